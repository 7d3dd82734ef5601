// SUBSCRIBE and UNSUBSCRIBE frames of Binance spot.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "mdp/core/venue.hpp"

namespace mdp::venue::binance_spot {

// "BTCUSDT", Depth -> "btcusdt@depth@100ms": lower case in stream names, upper case in payloads.
std::string stream_name(std::string_view venue_symbol, core::Channel channel);

// `method` is SUBSCRIBE or UNSUBSCRIBE; a few hundred streams a frame, ids counting up from
// `first_request_id`.
std::vector<std::string> request_frames(std::string_view method,
                                        std::span<const core::Subscription> subscriptions,
                                        std::int64_t first_request_id);

}  // namespace mdp::venue::binance_spot
