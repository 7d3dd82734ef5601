#include "mdp/venue/registry.hpp"

#include <gtest/gtest.h>

#include <set>

#include "mdp/core/error.hpp"
#include "mdp/core/symbol_table.hpp"

namespace mdp::venue {
namespace {

TEST(Registry, EveryVenueIsMadeByItsName) {
  std::set<core::ExchangeId> ids;
  for (const std::string& name : venue_names()) {
    const auto venue = make_venue(name);
    ASSERT_NE(venue, nullptr);
    EXPECT_EQ(venue->name(), name);
    EXPECT_TRUE(ids.insert(venue->exchange_id()).second) << name << " has the number of another venue";
    EXPECT_GT(venue->exchange_id(), 0) << name;
    EXPECT_TRUE(venue->endpoint().ws_url.starts_with("wss://")) << name;
    EXPECT_TRUE(venue->endpoint().rest_url.starts_with("https://")) << name;
    const core::SymbolTable symbols;
    EXPECT_NE(venue->make_parser(symbols), nullptr) << name;
  }
  EXPECT_FALSE(ids.empty());
}

TEST(Registry, ExchangeNumbersAreForEver) {
  EXPECT_EQ(make_venue("binance")->exchange_id(), 1);
  EXPECT_EQ(make_venue("binance-usdm")->exchange_id(), 2);
  EXPECT_EQ(make_venue("binance-coinm")->exchange_id(), 3);
}

TEST(Registry, EveryChannelOfferedHasARoute) {
  for (const std::string& name : venue_names()) {
    const auto venue = make_venue(name);
    EXPECT_TRUE(venue->offers(core::Channel::Depth)) << name;
    EXPECT_FALSE(venue->endpoint().ws_paths.empty()) << name;
    EXPECT_FALSE(venue->endpoint().rest_weight_pool.empty()) << name;
    for (std::uint8_t i = 0; i < core::kChannelCount; ++i) {
      EXPECT_LT(venue->route_of(static_cast<core::Channel>(i)), venue->endpoint().ws_paths.size()) << name;
    }
  }
}

// An option is the affair of the venue it is given to alone.
TEST(Registry, OptionsOfOneVenueDoNotTouchTheOthers) {
  EXPECT_NO_THROW(make_venue("binance", {.depth_interval_ms = 1000, .microsecond_times = true}));
  EXPECT_THROW(make_venue("binance-usdm", {.microsecond_times = true}), ConfigError);
}

TEST(Registry, AnUnknownNameIsToldTheKnownOnes) {
  try {
    make_venue("nosuch");
    FAIL() << "nothing thrown";
  } catch (const ConfigError& error) {
    const std::string what = error.what();
    EXPECT_NE(what.find("\"nosuch\""), std::string::npos) << what;
    for (const std::string& name : venue_names()) EXPECT_NE(what.find(name), std::string::npos) << what;
  }
}

}  // namespace
}  // namespace mdp::venue
