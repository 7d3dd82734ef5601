// Channel: the kinds of data that a venue can be asked for.
#pragma once

#include <cstdint>

namespace mdp::core {

enum class Channel : std::uint8_t { Depth, Trade, AggregateTrade, Quote, MarkPrice, Liquidation };
inline constexpr std::uint8_t kChannelCount = 6;

constexpr const char* to_string(Channel channel) noexcept {
  constexpr const char* kNames[kChannelCount] = {"depth", "trade",      "aggregate_trade",
                                                 "quote", "mark_price", "liquidation"};
  return static_cast<std::uint8_t>(channel) < kChannelCount ? kNames[static_cast<std::uint8_t>(channel)]
                                                            : "unknown";
}

}  // namespace mdp::core
