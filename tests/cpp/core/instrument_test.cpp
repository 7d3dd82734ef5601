#include "mdp/core/instrument.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>

namespace mdp::core {
namespace {

constexpr std::int64_t kMax = std::numeric_limits<std::int64_t>::max();

TEST(Instrument, ExponentsAreAsFineAsTheVenueWritesWhereTheLargestValueFits) {
  const struct {
    const char* what;
    Limit step, largest;
    int exponent;
  } cases[] = {
      {"nothing is said", {}, {}, -8},
      {"a step alone", {1, -2}, {}, -8},
      {"a step finer than the venue writes", {1, -12}, {}, -12},
      {"the usual limits of a spot symbol", {1, -5}, {9'000, 0}, -8},
      {"the largest that fits a thousand times at -8", {1, 0}, {92'233'720, 0}, -8},
      {"one more", {1, 0}, {92'233'721, 0}, -7},
      {"99,999,999, as fourteen symbols of 2021 have it", {1, -2}, {99'999'999, 0}, -7},
      {"a step of 1 and 2^62 / 10^8", {1, 0}, {46'116'860'414, 0}, -5},
      {"the same with its cents", {1, 0}, {4'611'686'041'400, -2}, -5},
      {"a step of 1 leaves no more room", {1, 0}, {1, 17}, 0},
      {"a step of 10 leaves one digit more", {1, 1}, {1, 17}, 1},
      {"a step of 10 that is not needed whole", {1, 1}, {1, 15}, 0},
      {"a fine step is never cut", {1, -6}, {1, 17}, -6},
      {"a step finer than the venue writes is never cut", {1, -12}, {1, 17}, -12},
      {"without a step down to whole numbers", {}, {1, 17}, 0},
      {"what no exponent holds", {1, 0}, kLargestLimit, 0},
      {"what is below every unit", {1, 0}, {1, -18}, -8},
  };
  for (const auto& c : cases) {
    EXPECT_EQ(choose_exponent(c.step, c.largest, -8, 1'000), c.exponent) << c.what;
  }
}

TEST(Instrument, ExponentsHoldTheHeadRoomOrAreTheSteps) {
  std::mt19937_64 random(20'261'126);
  const auto below = [&](std::uint64_t n) { return static_cast<std::int64_t>(random() % n); };
  int cut = 0;
  for (int round = 0; round < 100'000; ++round) {
    const Limit step{1 + below(9), static_cast<int>(below(20)) - 14};
    const Limit largest{1 + below(99'999), static_cast<int>(below(18)) - 6};
    const std::int64_t head_room = round % 2 == 0 ? kQuantityHeadRoom : kPriceHeadRoom;
    const int exponent = choose_exponent(step, largest, -8, head_room);
    const auto fits = [&](int at) {
      const long double mantissa = static_cast<long double>(largest.mantissa * head_room) *
                                   std::pow(10.0L, static_cast<long double>(largest.exponent - at));
      return mantissa <= static_cast<long double>(kMax);
    };
    ASSERT_GE(exponent, std::min(-8, step.exponent));
    ASSERT_LE(exponent, std::max(-8, step.exponent));
    ASSERT_TRUE(fits(exponent) || exponent == step.exponent) << round;
    ASSERT_TRUE(exponent == std::min(-8, step.exponent) || !fits(exponent - 1))
        << round << ": could be finer";
    cut += exponent > -8;
  }
  EXPECT_GT(cut, 10'000);
}

}  // namespace
}  // namespace mdp::core
