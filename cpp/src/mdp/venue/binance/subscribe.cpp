#include "mdp/venue/binance/subscribe.hpp"

#include <algorithm>

namespace mdp::venue::binance {
namespace {

// Keeps a frame near 8 KiB: the venue publishes no limit for it, only 1024 streams a connection and 5 frames
// a second.
constexpr std::size_t kStreamsPerFrame = 200;

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
                                        std::int64_t first_request_id, std::string_view depth) {
  std::vector<std::string> frames;
  for (std::size_t begin = 0; begin < subscriptions.size(); begin += kStreamsPerFrame) {
    const auto batch = subscriptions.subspan(begin, std::min(kStreamsPerFrame, subscriptions.size() - begin));
    std::string frame = "{\"method\":\"" + std::string(method) + "\",\"params\":[";
    for (const core::Subscription& subscription : batch) {
      if (frame.back() != '[') frame += ',';
      frame += '"' + stream_name(subscription.venue_symbol, subscription.channel, depth) + '"';
    }
    frame += "],\"id\":" + std::to_string(first_request_id + static_cast<std::int64_t>(frames.size())) + '}';
    frames.push_back(std::move(frame));
  }
  return frames;
}

}  // namespace mdp::venue::binance
