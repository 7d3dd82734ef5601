#include "mdp/venue/binance/subscribe.hpp"

#include <algorithm>
#include <utility>

namespace mdp::venue::binance {
namespace {

std::string_view channel_suffix(core::Channel channel, std::string_view depth) {
  switch (channel) {
    case core::Channel::Depth:
      return depth;
    case core::Channel::Trade:
      return "@trade";
    case core::Channel::AggregateTrade:
      return "@aggTrade";
    case core::Channel::Quote:
      return "@bookTicker";
    case core::Channel::MarkPrice:
      return "@markPrice@1s";
    case core::Channel::Liquidation:
      return "@forceOrder";
  }
  return "";
}

}  // namespace

std::string stream_name(std::string_view venue_symbol, core::Channel channel, std::string_view depth) {
  std::string name(venue_symbol);
  // ASCII only: symbols may be UTF-8, whose other bytes have no case here.
  std::transform(name.begin(), name.end(), name.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
  return name.append(channel_suffix(channel, depth));
}

std::vector<std::string> request_frames(std::string_view method,
                                        std::span<const core::Subscription> subscriptions,
                                        std::int64_t request_id, std::string_view depth) {
  if (subscriptions.empty()) return {};
  std::string frame = "{\"method\":\"" + std::string(method) + "\",\"params\":[";
  for (const core::Subscription& subscription : subscriptions) {
    if (frame.back() != '[') frame += ',';
    frame += '"' + stream_name(subscription.venue_symbol, subscription.channel, depth) + '"';
  }
  frame += "],\"id\":" + std::to_string(request_id) + '}';
  return {std::move(frame)};
}

}  // namespace mdp::venue::binance
