#include "mdp/sys/clock.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>
#include <thread>

namespace mdp::sys {
namespace {

// Bracketed by two readings of the reference, so that a preempted test can't fail: only a wrong clock can.
TEST(TscClock, StaysWithinTheReferenceClock) {
  TscClock clock;
  constexpr std::int64_t kTolerance = 100'000;  // calibration error over the test's short life
  for (int i = 0; i < 1000; ++i) {
    const std::int64_t before = realtime_ns();
    const std::int64_t now = clock.now_ns();
    const std::int64_t after = realtime_ns();
    ASSERT_GE(now, before - kTolerance);
    ASSERT_LE(now, after + kTolerance);
    if (i % 100 == 0) clock.anchor();
  }
}

TEST(TscClock, ReadersNeverSeeAHalfChangedAnchor) {
  TscClock clock;
  std::atomic<bool> stop{false};
  std::thread anchoring([&] {
    while (!stop.load(std::memory_order_relaxed)) clock.anchor();  // relaxed: only ends the test
  });
  for (int i = 0; i < 20'000; ++i) {
    const std::int64_t before = realtime_ns();
    const std::int64_t now = clock.now_ns();
    ASSERT_LT(std::llabs(now - before), 1'000'000'000);  // a torn conversion is off by years
  }
  stop.store(true, std::memory_order_relaxed);  // relaxed: only ends the test
  anchoring.join();
}

}  // namespace
}  // namespace mdp::sys
