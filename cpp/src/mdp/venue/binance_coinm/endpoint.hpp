// Where Binance COIN-M futures are and what they tolerate (README.md beside this file has the sources).
#pragma once

#include <chrono>

#include "mdp/core/venue.hpp"

namespace mdp::venue::binance_coinm {

inline core::Endpoint make_endpoint() {
  core::Endpoint endpoint;
  endpoint.ws_url = "wss://dstream.binance.com";
  endpoint.rest_url = "https://dapi.binance.com";
  endpoint.ws_paths = {"/stream"};
  endpoint.max_streams_per_connection = 1024;
  endpoint.messages = {10, std::chrono::seconds(1)};
  endpoint.connects = {300, std::chrono::minutes(5)};  // not documented for futures: that of spot
  endpoint.rest_weight_per_minute = 2400;
  endpoint.rest_weight_pool = "binance-futures";  // USD-M and COIN-M are counted together since 2026
  endpoint.max_connection_age_ms = 24LL * 3600 * 1000;
  return endpoint;
}

}  // namespace mdp::venue::binance_coinm
