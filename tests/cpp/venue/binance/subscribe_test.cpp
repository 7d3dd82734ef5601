#include "mdp/venue/binance/subscribe.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace mdp::venue::binance {
namespace {

using core::Channel;

constexpr std::string_view kDepth = "@depth@100ms";

TEST(BinanceSubscribe, StreamNamesAreLowerCase) {
  EXPECT_EQ(stream_name("BTCUSDT", Channel::Depth, kDepth), "btcusdt@depth@100ms");
  EXPECT_EQ(stream_name("1000SATSUSDT", Channel::Trade, kDepth), "1000satsusdt@trade");
  EXPECT_EQ(stream_name("BTCUSDT", Channel::AggregateTrade, kDepth), "btcusdt@aggTrade");
  EXPECT_EQ(stream_name("BTCUSDT", Channel::Quote, kDepth), "btcusdt@bookTicker");
  EXPECT_EQ(stream_name("BTCUSD_PERP", Channel::MarkPrice, kDepth), "btcusd_perp@markPrice@1s");
  EXPECT_EQ(stream_name("BTCUSDT_210625", Channel::Liquidation, kDepth), "btcusdt_210625@forceOrder");
  EXPECT_EQ(stream_name("BTCUSDT", Channel::Depth, "@depth"), "btcusdt@depth");
  EXPECT_EQ(stream_name("\xE5\xB8\x81USDT", Channel::Trade, kDepth), "\xE5\xB8\x81usdt@trade");
}

TEST(BinanceSubscribe, OneFrameForAllStreams) {
  const std::vector<core::Subscription> wanted = {{"BTCUSDT", Channel::Depth}, {"BTCUSDT", Channel::Trade}};
  EXPECT_EQ(request_frames("SUBSCRIBE", wanted, 1, kDepth),
            (std::vector<std::string>{
                R"({"method":"SUBSCRIBE","params":["btcusdt@depth@100ms","btcusdt@trade"],"id":1})"}));
  EXPECT_EQ(request_frames("UNSUBSCRIBE", std::span(wanted).subspan(1), 312, kDepth),
            (std::vector<std::string>{R"({"method":"UNSUBSCRIBE","params":["btcusdt@trade"],"id":312})"}));
  EXPECT_TRUE(request_frames("SUBSCRIBE", {}, 1, kDepth).empty());
}

}  // namespace
}  // namespace mdp::venue::binance
