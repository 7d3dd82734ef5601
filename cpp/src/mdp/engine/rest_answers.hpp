// What a venue answers to REST requests, read and put into words. REST thread.
#pragma once

#include <cstdint>
#include <string>

#include "mdp/core/venue.hpp"
#include "mdp/net/rest_client.hpp"

namespace mdp::engine {

// Why the answer is of no use, for people: the step that failed, or what the venue or a server before it said.
// Empty for HTTP 200 with a body.
std::string problem_of(const core::Venue& venue, const net::RestResponse& response);

// What the venue said of its REST budget: `x-mbx-used-weight-1m` and the like; -1 where it said nothing.
std::int64_t used_weight(const net::RestResponse& response);

}  // namespace mdp::engine
