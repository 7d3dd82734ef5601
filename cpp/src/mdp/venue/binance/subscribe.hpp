// SUBSCRIBE and UNSUBSCRIBE frames of the Binance family.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "mdp/core/venue.hpp"

namespace mdp::venue::binance {

// "BTCUSDT", Depth -> "btcusdt@depth@100ms": lower case in stream names, upper case in payloads. `depth` is
// what a depth stream is called behind the symbol.
std::string stream_name(std::string_view venue_symbol, core::Channel channel, std::string_view depth);

// `method` is SUBSCRIBE or UNSUBSCRIBE; one frame for all of them, none for none. The venue publishes no
// limit for it, only 1024 streams a connection and 5 frames a second.
std::vector<std::string> request_frames(std::string_view method,
                                        std::span<const core::Subscription> subscriptions,
                                        std::int64_t request_id, std::string_view depth);

}  // namespace mdp::venue::binance
