// The engine's control thread beside all its others: what runs under the thread sanitizer.
#include <gtest/gtest.h>

#include <string>
#include <thread>
#include <vector>

#include "engine/fake_venue.hpp"

namespace mdp::engine {
namespace {

using test::engine_config;
using test::eventually;
using test::FakeVenue;
using test::Road;

class ControlThread : public testing::TestWithParam<Topology> {};
INSTANTIATE_TEST_SUITE_P(Topologies, ControlThread, testing::Values(Topology::Fused, Topology::Pipelined),
                         [](const auto& param) {
                           return param.param == Topology::Fused ? "Fused" : "Pipelined";
                         });

core::Instrument instrument(int number) {
  core::Instrument made;
  const std::string base = test::text_of({"S", std::to_string(number)});
  made.venue_symbol = test::text_of({base, "USDT"});
  made.canonical_symbol = test::text_of({"binance:", base, "-USDT"});
  made.price_exponent = -8;
  made.quantity_exponent = -8;
  return made;
}

// The answer comes on the REST thread while control removes the symbol that it is for.
TEST_P(ControlThread, SymbolsAreRemovedWhileTheirSnapshotsAreUnderWay) {
  constexpr int kSymbols = 16;
  FakeVenue venue;
  EngineConfig config = engine_config(GetParam());
  config.segment.instruments = kSymbols;
  Engine engine(config);
  engine.add_venue(test::venue_config(venue));
  engine.start();
  int outcomes = 0;
  for (int number = 0; number < kSymbols; ++number) {
    const core::SymbolId id = engine.add_symbol(0, instrument(number));
    engine.subscribe_added();
    engine.request_snapshot(id);
    EXPECT_EQ(engine.health().symbols.size(), static_cast<std::size_t>(number) + 1);
    if (number % 2 == 0) {
      // So that now and then the answer is in the middle of its way.
      std::this_thread::yield();
    }
    EXPECT_TRUE(engine.remove_symbol(id));
  }
  EXPECT_TRUE(eventually([&] {
    for (const ControlEvent& event : engine.take_control_events(100)) {
      if (event.kind == ControlKind::Snapshot) ++outcomes;
    }
    return outcomes == kSymbols;
  })) << outcomes;
  venue.finish();
  engine.stop();
}

#ifndef NDEBUG
TEST(ControlThreadDeathTest, ACallFromAnotherThreadIsAnError) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_DEATH(
      {
        Engine engine(engine_config(Topology::Fused));
        std::thread([&] { engine.health(); }).join();
      },
      "control_thread_");
}
#endif

}  // namespace
}  // namespace mdp::engine
