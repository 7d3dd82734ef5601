#include "mdp/engine/rest_answers.hpp"

#include <cstdlib>

#include "mdp/net/refusal.hpp"

namespace mdp::engine {

std::string problem_of(const core::Venue& venue, const net::RestResponse& response) {
  if (!response.error.empty()) return response.error;
  if (response.status == 200) return {};
  const net::HttpAnswer answer{response.status, response.reason, response.header("server"),
                               response.header("location"), response.body()};
  return net::describe_refusal(answer, venue.describe_rest_error(response.body()), "rest_url");
}

std::int64_t used_weight(const net::RestResponse& response) {
  for (const auto& [name, value] : response.headers) {
    if (name.find("used-weight-1m") != std::string::npos) return std::atoll(value.c_str());
  }
  return -1;
}

}  // namespace mdp::engine
