#include "mdp/engine/rest_answers.hpp"

#include <cstdlib>
#include <utility>

#include "mdp/net/refusal.hpp"

namespace mdp::engine {

std::string problem_of(const core::Venue& venue, const net::RestResponse& response) {
  if (!response.error.empty()) return response.error;
  if (response.status == 200) return {};
  const net::HttpAnswer answer{response.status, response.reason, response.header("server"),
                               response.header("location"), response.body()};
  return net::describe_refusal(answer, venue.describe_rest_error(response.body()), "rest_url");
}

InstrumentList read_instruments(const core::Venue& venue, const net::RestResponse& response,
                                std::string_view rest_url, std::string_view target) {
  InstrumentList list;
  list.retry_after_s = response.retry_after_s();
  list.used_weight = used_weight(response);
  list.error = problem_of(venue, response);
  if (list.error.empty()) {
    auto instruments = venue.parse_instruments(response.body());
    if (instruments) {
      list.instruments = std::move(instruments).value();
      return list;
    }
    list.error = instruments.error();
  }
  list.error = std::string(venue.name()) + ": cannot list instruments: GET " + std::string(rest_url) +
               std::string(target) + ": " + list.error;
  return list;
}

std::int64_t used_weight(const net::RestResponse& response) {
  for (const auto& [name, value] : response.headers) {
    if (name.find("used-weight-1m") != std::string::npos) return std::atoll(value.c_str());
  }
  return -1;
}

}  // namespace mdp::engine
