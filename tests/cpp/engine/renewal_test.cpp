#include "mdp/engine/renewal.hpp"

#include <gtest/gtest.h>

namespace mdp::engine {
namespace {

using Action = Renewal::Action;

constexpr std::int64_t kSecond = 1'000'000'000;
constexpr Renewal::Plan kPlan{
    .max_age_ns = 1000 * kSecond, .percent_early = 10, .overlap_ns = 3 * kSecond, .is_side_by_side = true};

class TwoLines {
 public:
  explicit TwoLines(const Renewal::Plan& plan) : renewal(plan) { lines[0] = up_at(0); }
  static Renewal::View up_at(std::int64_t second) {
    return {.is_up = true, .is_leaving = false, .is_stopped = false, .up_since_ns = second * kSecond};
  }
  Action at(std::int64_t second) { return renewal.next(lines, second * kSecond); }

  Renewal renewal;
  Renewal::View lines[2];
};

TEST(Renewal, ALineIsReplacedBesideTheOldOneSomePercentBeforeItsAgeLimit) {
  TwoLines lane(kPlan);
  EXPECT_EQ(lane.at(900), Action::Nothing);
  EXPECT_EQ(lane.at(901), Action::Open);
  EXPECT_EQ(lane.at(902), Action::Nothing) << "asked for once";
  lane.lines[1] = TwoLines::up_at(903);
  EXPECT_EQ(lane.at(903), Action::Nothing);
  EXPECT_EQ(lane.at(905), Action::Nothing) << "both carry everything";
  EXPECT_EQ(lane.renewal.in_use(), 0u);
  EXPECT_EQ(lane.at(906), Action::CloseOld);
  EXPECT_EQ(lane.renewal.in_use(), 1u);
  EXPECT_EQ(lane.renewal.other(), 0u);
  lane.lines[0] = {};
  lane.lines[1].is_leaving = true;
  EXPECT_EQ(lane.at(907), Action::Nothing) << "one renewal at a time";
  lane.lines[0].is_stopped = true;
  EXPECT_EQ(lane.at(908), Action::Nothing);
  EXPECT_EQ(lane.at(909), Action::Open) << "and back";
}

TEST(Renewal, ALineThatTheVenueWillEndIsReplacedAtOnce) {
  TwoLines lane(kPlan);
  lane.lines[0].is_leaving = true;
  EXPECT_EQ(lane.at(1), Action::Open);
}

TEST(Renewal, WithoutAnAgeLimitALineStays) {
  TwoLines lane({});
  EXPECT_EQ(lane.at(1'000'000), Action::Nothing);
}

TEST(Renewal, ALineThatIsDownIsNotOld) {
  TwoLines lane(kPlan);
  lane.lines[0].is_up = false;
  EXPECT_EQ(lane.at(5000), Action::Nothing);
}

TEST(Renewal, WhereTheOldLineIsLostFirstTheNewOneIsInUseAndGoesOnTrying) {
  TwoLines lane(kPlan);
  lane.lines[0].is_leaving = true;
  ASSERT_EQ(lane.at(1), Action::Open);
  lane.lines[0].is_up = false;
  EXPECT_EQ(lane.at(2), Action::CloseOld);
  EXPECT_EQ(lane.renewal.in_use(), 1u);
}

TEST(Renewal, ANewLineThatIsLostInTheOverlapHasAnotherWholeOverlap) {
  TwoLines lane(kPlan);
  lane.lines[0].is_leaving = true;
  ASSERT_EQ(lane.at(1), Action::Open);
  lane.lines[1] = TwoLines::up_at(2);
  ASSERT_EQ(lane.at(2), Action::Nothing);
  lane.lines[1].is_up = false;
  EXPECT_EQ(lane.at(4), Action::Nothing);
  EXPECT_EQ(lane.at(60), Action::Nothing) << "the old one is up and carries on";
  lane.lines[1] = TwoLines::up_at(61);
  EXPECT_EQ(lane.at(61), Action::Nothing);
  EXPECT_EQ(lane.at(63), Action::Nothing);
  EXPECT_EQ(lane.at(64), Action::CloseOld);
}

TEST(Renewal, WhereIdsAreALinesOwnTheConnectionIsDroppedOnce) {
  Renewal::Plan plan = kPlan;
  plan.is_side_by_side = false;
  TwoLines lane(plan);
  EXPECT_EQ(lane.at(901), Action::Reopen);
  EXPECT_EQ(lane.at(902), Action::Nothing) << "it is not down yet";
  lane.lines[0].is_up = false;
  EXPECT_EQ(lane.at(903), Action::Nothing);
  lane.lines[0] = TwoLines::up_at(904);
  EXPECT_EQ(lane.at(905), Action::Nothing);
  EXPECT_EQ(lane.at(1804), Action::Nothing) << "it is new";
  EXPECT_EQ(lane.at(1805), Action::Reopen);
  EXPECT_EQ(lane.renewal.in_use(), 0u);
}

}  // namespace
}  // namespace mdp::engine
