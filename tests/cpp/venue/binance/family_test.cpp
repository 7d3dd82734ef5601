// What the three venues of the family say of themselves: routes, limits, options, book rules.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "mdp/core/error.hpp"
#include "mdp/venue/registry.hpp"

namespace mdp::venue::binance {
namespace {

using core::Channel;

std::string depth_stream(const std::string& name, const core::VenueOptions& options) {
  const std::vector<core::Subscription> wanted = {{"X", Channel::Depth}};
  const std::string frame = make_venue(name, options)->subscribe_frames(wanted, 1).at(0);
  const std::size_t begin = frame.find("[\"x") + 3;
  return frame.substr(begin, frame.find('"', begin) - begin);
}

std::string refusal(const std::string& name, const core::VenueOptions& options) {
  try {
    make_venue(name, options);
  } catch (const ConfigError& error) {
    return error.what();
  }
  return "";
}

TEST(BinanceFamily, DepthSpeeds) {
  EXPECT_EQ(depth_stream("binance", {}), "@depth@100ms");
  EXPECT_EQ(depth_stream("binance", {.depth_interval_ms = 100}), "@depth@100ms");
  EXPECT_EQ(depth_stream("binance", {.depth_interval_ms = 1000}), "@depth");
  for (const char* name : {"binance-usdm", "binance-coinm"}) {
    EXPECT_EQ(depth_stream(name, {}), "@depth@100ms");
    EXPECT_EQ(depth_stream(name, {.depth_interval_ms = 100}), "@depth@100ms");
    EXPECT_EQ(depth_stream(name, {.depth_interval_ms = 250}), "@depth");
    EXPECT_EQ(depth_stream(name, {.depth_interval_ms = 500}), "@depth@500ms");
    EXPECT_EQ(depth_stream(name, {.depth_interval_ms = 0}), "@depth@0ms");
  }
}

TEST(BinanceFamily, ASpeedThatIsNotOfferedIsToldTheOffered) {
  EXPECT_EQ(refusal("binance", {.depth_interval_ms = 250}),
            "venue binance: depth_interval_ms 250 is not offered, only 100, 1000 (left out: the first)");
  EXPECT_NE(refusal("binance", {.depth_interval_ms = 0}).find("only 100, 1000"), std::string::npos);
  for (const int wrong : {-1, 1, 1000}) {
    const std::string what = refusal("binance-coinm", {.depth_interval_ms = wrong});
    EXPECT_NE(what.find("only 100, 250, 500, 0"), std::string::npos) << what;
  }
}

TEST(BinanceFamily, MicrosecondsAreOfSpotAlone) {
  EXPECT_EQ(make_venue("binance")->endpoint().ws_paths, std::vector<std::string>{"/stream"});
  EXPECT_EQ(make_venue("binance", {.microsecond_times = true})->endpoint().ws_paths,
            std::vector<std::string>{"/stream?timeUnit=MICROSECOND"});
  for (const char* name : {"binance-usdm", "binance-coinm"}) {
    EXPECT_NE(refusal(name, {.microsecond_times = true}).find("microsecond_times is not offered"),
              std::string::npos);
  }
}

TEST(BinanceFamily, Routes) {
  const auto usdm = make_venue("binance-usdm");
  EXPECT_EQ(usdm->endpoint().ws_paths, (std::vector<std::string>{"/public/stream", "/market/stream"}));
  for (const Channel channel : {Channel::Depth, Channel::Quote, Channel::Trade}) {
    EXPECT_EQ(usdm->route_of(channel), 0u);
  }
  for (const Channel channel : {Channel::AggregateTrade, Channel::MarkPrice, Channel::Liquidation}) {
    EXPECT_EQ(usdm->route_of(channel), 1u);
  }
  EXPECT_EQ(make_venue("binance-coinm")->endpoint().ws_paths, std::vector<std::string>{"/stream"});
}

TEST(BinanceFamily, MarkPricesAndLiquidationsAreOfFutures) {
  for (const Channel channel : {Channel::MarkPrice, Channel::Liquidation}) {
    EXPECT_FALSE(make_venue("binance")->offers(channel));
    EXPECT_TRUE(make_venue("binance-usdm")->offers(channel));
    EXPECT_TRUE(make_venue("binance-coinm")->offers(channel));
  }
}

TEST(BinanceFamily, FuturesShareOneWeightPool) {
  const auto usdm = make_venue("binance-usdm"), coinm = make_venue("binance-coinm");
  EXPECT_EQ(usdm->endpoint().rest_weight_pool, coinm->endpoint().rest_weight_pool);
  EXPECT_EQ(usdm->endpoint().rest_weight_per_minute, coinm->endpoint().rest_weight_per_minute);
  EXPECT_NE(make_venue("binance")->endpoint().rest_weight_pool, usdm->endpoint().rest_weight_pool);
}

// The worked examples of the documentation: which event is the first after the snapshot, and what follows it.
TEST(BinanceFamily, BookRules) {
  const auto delta = [](std::uint64_t first, std::uint64_t last, std::uint64_t prev) {
    core::MessageHeader header{};
    header.first_update_id = first;
    header.last_update_id = last;
    header.prev_update_id = prev;
    return header;
  };
  using core::SequenceVerdict;
  const auto spot = make_venue("binance");
  const core::BookRule& by_first = spot->book_rule();
  EXPECT_EQ(by_first.check_first(202, delta(189, 202, 0)), SequenceVerdict::Old);
  EXPECT_EQ(by_first.check_first(202, delta(203, 207, 0)), SequenceVerdict::Apply);
  EXPECT_EQ(by_first.check_first(202, delta(204, 207, 0)), SequenceVerdict::Gap);
  EXPECT_EQ(by_first.check_next(207, delta(209, 210, 0)), SequenceVerdict::Gap);
  for (const char* name : {"binance-usdm", "binance-coinm"}) {
    const auto venue = make_venue(name);
    const core::BookRule& by_prev = venue->book_rule();
    EXPECT_EQ(by_prev.check_first(852, delta(704, 851, 634)), SequenceVerdict::Old);
    EXPECT_EQ(by_prev.check_first(852, delta(810, 852, 701)), SequenceVerdict::Apply) << "u may equal the id";
    EXPECT_EQ(by_prev.check_first(852, delta(900, 950, 851)), SequenceVerdict::Apply);
    EXPECT_EQ(by_prev.check_first(852, delta(900, 950, 853)), SequenceVerdict::Gap);
    EXPECT_EQ(by_prev.check_next(950, delta(1200, 1300, 950)), SequenceVerdict::Apply) << "U skips ahead";
    EXPECT_EQ(by_prev.check_next(950, delta(951, 1300, 951)), SequenceVerdict::Gap);
  }
}

}  // namespace
}  // namespace mdp::venue::binance
