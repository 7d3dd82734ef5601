#include "mdp/net/connect_limiter.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <thread>
#include <vector>

namespace mdp::net {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr std::int64_t kMs = 1'000'000;

Url url_of(const std::string& text) { return *parse_url(text); }

TEST(ConnectLimiter, WithoutLimitsNobodyWaits) {
  ConnectLimiter limiter({.max_connects = 0, .min_gap = milliseconds(0)});
  for (int i = 0; i < 1'000; ++i) EXPECT_EQ(limiter.take_ns(5), 0);
}

TEST(ConnectLimiter, FiftyLinesAtOnceComeOneBehindTheOther) {
  ConnectLimiter limiter({.max_connects = 300, .min_gap = milliseconds(20)});
  for (int i = 0; i < 50; ++i) EXPECT_EQ(limiter.take_ns(1'000), i * 20 * kMs);
}

TEST(ConnectLimiter, FullWindowMakesTheNextWaitForItsOldest) {
  ConnectLimiter limiter({.max_connects = 3, .window = seconds(10), .min_gap = milliseconds(0)});
  EXPECT_EQ(limiter.take_ns(0), 0);
  EXPECT_EQ(limiter.take_ns(1'000 * kMs), 0);
  EXPECT_EQ(limiter.take_ns(2'000 * kMs), 0);
  EXPECT_EQ(limiter.take_ns(2'500 * kMs), 7'500 * kMs);  // until the first leaves the window
  EXPECT_EQ(limiter.take_ns(2'500 * kMs), 8'500 * kMs);
  EXPECT_EQ(limiter.take_ns(60'000 * kMs), 0);
}

TEST(ConnectLimiter, NoWindowEverHoldsMoreThanTheLimitWhateverTheCallers) {
  std::mt19937_64 random(11);
  for (int round = 0; round < 50; ++round) {
    const std::size_t max_connects = 1 + random() % 20;
    const std::int64_t window_ns = static_cast<std::int64_t>(1 + random() % 1'000) * kMs;
    ConnectLimiter limiter({.max_connects = max_connects,
                            .window = std::chrono::nanoseconds(window_ns),
                            .min_gap = milliseconds(random() % 5)});
    std::int64_t now_ns = 0;
    std::vector<std::int64_t> places_ns;
    for (int i = 0; i < 400; ++i) {
      now_ns += static_cast<std::int64_t>(random() % 3 == 0 ? random() % (100 * kMs) : 0);
      if (random() % 50 == 0) limiter.hold_until(now_ns + 30 * kMs);
      const std::int64_t wait_ns = limiter.take_ns(now_ns);
      ASSERT_GE(wait_ns, 0);
      places_ns.push_back(now_ns + wait_ns);
    }
    ASSERT_TRUE(std::is_sorted(places_ns.begin(), places_ns.end()));
    for (std::size_t i = max_connects; i < places_ns.size(); ++i) {
      ASSERT_GE(places_ns[i] - places_ns[i - max_connects], window_ns) << "round " << round << " place " << i;
    }
  }
}

TEST(ConnectLimiter, HoldKeepsEveryLineOfTheHostAway) {
  ConnectLimiter limiter({.max_connects = 300, .min_gap = milliseconds(0)});
  limiter.hold_until(7'000 * kMs);
  limiter.hold_until(3'000 * kMs);  // an earlier end does not shorten it
  EXPECT_EQ(limiter.take_ns(1'000 * kMs), 6'000 * kMs);
  EXPECT_EQ(limiter.take_ns(7'000 * kMs), 0);
}

TEST(ConnectLimiter, ThreadsTogetherStayBelowTheLimit) {
  ConnectLimiter limiter({.max_connects = 10, .window = seconds(1), .min_gap = milliseconds(0)});
  std::vector<std::vector<std::int64_t>> taken(4);
  std::vector<std::thread> threads;
  for (auto& mine : taken) {
    threads.emplace_back([&limiter, &mine] {
      for (int i = 0; i < 250; ++i) mine.push_back(limiter.take_ns(0));
    });
  }
  for (auto& thread : threads) thread.join();
  std::vector<std::int64_t> all;
  for (const auto& mine : taken) all.insert(all.end(), mine.begin(), mine.end());
  std::sort(all.begin(), all.end());
  for (std::size_t i = 0; i < all.size(); ++i) {
    ASSERT_EQ(all[i], static_cast<std::int64_t>(i / 10) * 1'000 * kMs) << i;
  }
}

TEST(ConnectLimiter, LinesOfOneHostShareOneAndLoopbackPortsDoNot) {
  const ConnectLimits limits{.max_connects = 300};
  const auto first = ConnectLimiter::shared(url_of("wss://limiter-test.example.com:9443"), limits);
  EXPECT_EQ(first, ConnectLimiter::shared(url_of("wss://limiter-test.example.com:443"), limits));
  EXPECT_NE(first, ConnectLimiter::shared(url_of("wss://other.example.com:9443"), limits));
  EXPECT_EQ(first->limits().max_connects, 300u);
  const auto loopback = ConnectLimiter::shared(url_of("wss://127.0.0.1:1111"), limits);
  EXPECT_EQ(loopback, ConnectLimiter::shared(url_of("ws://127.0.0.1:1111"), limits));
  EXPECT_NE(loopback, ConnectLimiter::shared(url_of("wss://127.0.0.1:1112"), limits));
}

TEST(ConnectLimiter, StoppingEveryLineDoesNotForgetTheWindow) {
  const ConnectLimits limits{.max_connects = 1, .window = std::chrono::hours(1)};
  const Url url = url_of("wss://forget-test.example.com");
  EXPECT_EQ(ConnectLimiter::shared(url, limits)->take_ns(0), 0);
  EXPECT_GT(ConnectLimiter::shared(url, limits)->take_ns(1), 0);
}

}  // namespace
}  // namespace mdp::net
