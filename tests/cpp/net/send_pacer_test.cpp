#include "mdp/net/send_pacer.hpp"

#include <gtest/gtest.h>

#include <vector>

namespace mdp::net {
namespace {

constexpr std::int64_t kSecondNs = 1'000'000'000;

// Sends `count` text messages as early as allowed, from time 0, and returns when each went.
std::vector<std::int64_t> send_all(SendPacer& pacer, int count) {
  std::vector<std::int64_t> times_ns;
  std::int64_t now_ns = 0;
  for (int i = 0; i < count; ++i) {
    now_ns += pacer.delay_ns(now_ns);
    EXPECT_EQ(pacer.delay_ns(now_ns), 0);
    pacer.note(now_ns);
    times_ns.push_back(now_ns);
  }
  return times_ns;
}

std::size_t most_in_any_second(const std::vector<std::int64_t>& times_ns) {
  std::size_t most = 0;
  for (std::size_t i = 0; i < times_ns.size(); ++i) {
    std::size_t end = i;
    while (end < times_ns.size() && times_ns[end] <= times_ns[i] + kSecondNs) ++end;
    most = std::max(most, end - i);
  }
  return most;
}

TEST(SendPacer, NoLimitNeverDelays) {
  SendPacer pacer;
  const auto times_ns = send_all(pacer, 1'000);
  EXPECT_EQ(times_ns.back(), 0);
}

TEST(SendPacer, KeepsOnePlaceFreeForThePong) {
  SendPacer pacer({5, std::chrono::seconds(1)});
  const auto times_ns = send_all(pacer, 100);
  EXPECT_EQ(times_ns[3], 0);
  EXPECT_GT(times_ns[4], kSecondNs);
  EXPECT_EQ(most_in_any_second(times_ns), 4u);
}

TEST(SendPacer, PongsCountAgainstTheLimit) {
  SendPacer pacer({5, std::chrono::seconds(1)});
  for (int i = 0; i < 4; ++i) pacer.note(0);
  EXPECT_GT(pacer.delay_ns(0), kSecondNs);
  EXPECT_EQ(pacer.delay_ns(2 * kSecondNs), 0);
}

TEST(SendPacer, PongsBeyondTheLimitDelayButNeverForEver) {
  SendPacer pacer({5, std::chrono::seconds(1)});
  for (int i = 0; i < 50; ++i) pacer.note(i);
  EXPECT_GT(pacer.delay_ns(50), 0);
  EXPECT_EQ(pacer.delay_ns(50 + 2 * kSecondNs), 0);
}

TEST(SendPacer, OneASecondStillSends) {
  SendPacer pacer({1, std::chrono::seconds(1)});
  const auto times_ns = send_all(pacer, 5);
  EXPECT_EQ(most_in_any_second(times_ns), 1u);
}

TEST(SendPacer, LessThanOneASecondIsALongerWindow) {
  SendPacer pacer({1, std::chrono::seconds(2)});
  const auto times_ns = send_all(pacer, 3);
  EXPECT_GE(times_ns[1], 2 * kSecondNs);
  EXPECT_GE(times_ns[2], 4 * kSecondNs);
}

TEST(SendPacer, ALimitByTheHourIsAWindowOfAnHour) {
  constexpr std::int64_t kHourNs = 3'600 * kSecondNs;
  SendPacer pacer({480, std::chrono::hours(1)}, 0);
  const auto times_ns = send_all(pacer, 481);
  EXPECT_EQ(times_ns[479], 0) << "no place is kept free";
  EXPECT_GT(times_ns[480], kHourNs);
}

}  // namespace
}  // namespace mdp::net
