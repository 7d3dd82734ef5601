// The venues this build knows. No other file lists them.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "mdp/core/venue.hpp"

namespace mdp::venue {

// The venue of this name ("binance"). Throws ConfigError: no such venue, naming the known ones, or an option
// the venue does not have.
std::unique_ptr<core::Venue> make_venue(std::string_view name, const core::VenueOptions& options = {});

std::vector<std::string> venue_names();

}  // namespace mdp::venue
