#include "mdp/net/backoff.hpp"

#include <gtest/gtest.h>

#include <vector>

namespace mdp::net {
namespace {

using std::chrono::milliseconds;

BackoffOptions options_without_jitter() {
  BackoffOptions options;
  options.initial_ms = milliseconds(100);
  options.max_ms = milliseconds(1'000);
  options.multiplier = 2;
  options.jitter = 0;
  options.seed = 1;
  return options;
}

TEST(Backoff, DoublesUpToTheCap) {
  Backoff backoff(options_without_jitter());
  std::vector<std::int64_t> delays_ms;
  for (int i = 0; i < 7; ++i) delays_ms.push_back(backoff.next().count());
  EXPECT_EQ(delays_ms, (std::vector<std::int64_t>{100, 200, 400, 800, 1'000, 1'000, 1'000}));
  EXPECT_EQ(backoff.attempts(), 7u);
}

TEST(Backoff, JitterStaysInTheStepAndVaries) {
  auto options = options_without_jitter();
  options.jitter = 0.5;
  Backoff backoff(options);
  std::int64_t distinct = 0;
  std::int64_t last_ms = -1;
  for (int i = 0; i < 1'000; ++i) {
    const std::int64_t low_ms = std::min<std::int64_t>(1'000, 100LL << std::min(i, 10)) / 2;
    const std::int64_t delay_ms = backoff.next().count();
    EXPECT_GE(delay_ms, low_ms);
    EXPECT_LE(delay_ms, low_ms * 2);
    distinct += delay_ms != last_ms ? 1 : 0;
    last_ms = delay_ms;
  }
  EXPECT_GT(distinct, 900);
}

TEST(Backoff, FullJitterReachesBothEnds) {
  auto options = options_without_jitter();
  options.initial_ms = options.max_ms;
  options.jitter = 1;
  Backoff backoff(options);
  std::int64_t smallest_ms = 1'000;
  std::int64_t largest_ms = 0;
  for (int i = 0; i < 1'000; ++i) {
    const std::int64_t delay_ms = backoff.next().count();
    smallest_ms = std::min(smallest_ms, delay_ms);
    largest_ms = std::max(largest_ms, delay_ms);
  }
  EXPECT_LT(smallest_ms, 50);
  EXPECT_GT(largest_ms, 950);
}

TEST(Backoff, SameSeedGivesSameSequenceAndZeroSeedDoesNot) {
  auto options = options_without_jitter();
  options.jitter = 1;
  options.initial_ms = options.max_ms = milliseconds(1'000'000);
  const auto sequence = [&] {
    Backoff backoff(options);
    std::vector<std::int64_t> delays_ms;
    for (int i = 0; i < 8; ++i) delays_ms.push_back(backoff.next().count());
    return delays_ms;
  };
  EXPECT_EQ(sequence(), sequence());
  options.seed = 0;
  EXPECT_NE(sequence(), sequence());
}

TEST(Backoff, StartsOverOnlyAfterAStablePeriod) {
  auto options = options_without_jitter();
  options.stable_after_ms = milliseconds(5'000);
  Backoff backoff(options);
  backoff.next();
  backoff.next();
  backoff.note_uptime(milliseconds(4'999));
  EXPECT_EQ(backoff.next(), milliseconds(400));
  backoff.note_uptime(milliseconds(5'000));
  EXPECT_EQ(backoff.attempts(), 0u);
  EXPECT_EQ(backoff.next(), milliseconds(100));
}

TEST(Backoff, OddSettingsAreMadeSafe) {
  BackoffOptions options;
  options.initial_ms = milliseconds(0);
  options.max_ms = milliseconds(-5);
  options.multiplier = 0.1;
  options.jitter = 7;
  options.seed = 3;
  Backoff backoff(options);
  for (int i = 0; i < 100; ++i) {
    const auto delay = backoff.next();
    EXPECT_GE(delay, milliseconds(0));
    EXPECT_LE(delay, milliseconds(1));
  }
}

}  // namespace
}  // namespace mdp::net
