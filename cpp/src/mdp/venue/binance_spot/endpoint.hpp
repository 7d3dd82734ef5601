// Where Binance spot is and what it tolerates (README.md beside this file has the sources).
#pragma once

#include <chrono>

#include "mdp/core/venue.hpp"

namespace mdp::venue::binance_spot {

inline core::Endpoint make_endpoint(const core::VenueOptions& options) {
  core::Endpoint endpoint;
  endpoint.ws_url = "wss://stream.binance.com:9443";
  endpoint.rest_url = "https://api.binance.com";
  endpoint.ws_paths = {options.microsecond_times ? "/stream?timeUnit=MICROSECOND" : "/stream"};
  endpoint.max_streams_per_connection = 1024;
  endpoint.messages = {5, std::chrono::seconds(1)};  // pongs count
  endpoint.connects = {300, std::chrono::minutes(5)};
  endpoint.rest_weight_per_minute = 6000;
  endpoint.rest_weight_pool = "binance";
  endpoint.max_connection_age_ms = 24LL * 3600 * 1000;
  return endpoint;
}

}  // namespace mdp::venue::binance_spot
