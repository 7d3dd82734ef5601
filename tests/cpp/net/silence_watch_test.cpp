#include "mdp/net/silence_watch.hpp"

#include <gtest/gtest.h>

namespace mdp::net {
namespace {

using Verdict = SilenceWatch::Verdict;

TEST(SilenceWatch, SilenceIsProbedOnceAndThenDead) {
  SilenceWatch watch;
  EXPECT_EQ(watch.tick(100, true), Verdict::Fine);
  EXPECT_EQ(watch.tick(100, true), Verdict::Fine);
  EXPECT_EQ(watch.tick(100, true), Verdict::Probe);
  EXPECT_EQ(watch.tick(100, true), Verdict::Fine);
  EXPECT_EQ(watch.tick(100, true), Verdict::Dead);
}

TEST(SilenceWatch, AnAnswerToTheProbeStartsOver) {
  SilenceWatch watch;
  std::uint64_t bytes = 100;
  EXPECT_EQ(watch.tick(bytes, true), Verdict::Fine);
  for (int i = 0; i < 1'000; ++i) {
    EXPECT_EQ(watch.tick(bytes, true), Verdict::Fine);
    EXPECT_EQ(watch.tick(bytes, true), Verdict::Probe);
    bytes += 2;  // a pong
    EXPECT_EQ(watch.tick(bytes, true), Verdict::Fine);
  }
}

TEST(SilenceWatch, OneByteATickKeepsTheLineWithoutAProbe) {
  SilenceWatch watch;
  for (std::uint64_t bytes = 1; bytes < 10'000; ++bytes) ASSERT_EQ(watch.tick(bytes, true), Verdict::Fine);
}

TEST(SilenceWatch, NotReadingIsNoSilenceOfTheVenue) {
  SilenceWatch watch;
  for (int i = 0; i < 100; ++i) EXPECT_EQ(watch.tick(5, false), Verdict::Fine);
  EXPECT_EQ(watch.tick(5, true), Verdict::Fine);
  EXPECT_EQ(watch.tick(5, true), Verdict::Probe);
}

}  // namespace
}  // namespace mdp::net
