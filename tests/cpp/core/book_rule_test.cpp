#include "mdp/core/book_rule.hpp"

#include <gtest/gtest.h>

namespace mdp::core {
namespace {

MessageHeader delta(std::uint64_t first, std::uint64_t last, std::uint64_t prev = 0) {
  MessageHeader header{};
  header.update_type = UpdateType::Delta;
  header.first_update_id = first;
  header.last_update_id = last;
  header.prev_update_id = prev;
  return header;
}

constexpr BookRule kSpot{.continuity = Continuity::FirstUpToNext, .join = Join::AfterSnapshotId};
constexpr BookRule kFutures{.continuity = Continuity::PrevUpToLast, .join = Join::AroundSnapshotId};

// The worked example of the protocol notes: BTCUSDT, 2024-08-09, lastUpdateId 50093239218.
TEST(BookRule, SpotExampleJoinsAtTheThirdDelta) {
  constexpr std::uint64_t kSnapshot = 50'093'239'218;
  EXPECT_EQ(kSpot.check_first(kSnapshot, delta(50'093'239'189, 50'093'239'202)), SequenceVerdict::Old);
  EXPECT_EQ(kSpot.check_first(kSnapshot, delta(50'093'239'203, 50'093'239'207)), SequenceVerdict::Old);
  EXPECT_EQ(kSpot.check_first(kSnapshot, delta(50'093'239'208, 50'093'239'224)), SequenceVerdict::Apply);
  EXPECT_EQ(kSpot.check_next(50'093'239'224, delta(50'093'239'225, 50'093'239'237)), SequenceVerdict::Apply);
  EXPECT_EQ(kSpot.check_next(50'093'239'237, delta(50'093'239'238, 50'093'239'407)), SequenceVerdict::Apply);
}

TEST(BookRule, SpotBoundariesOfTheJoin) {
  EXPECT_EQ(kSpot.check_first(100, delta(90, 100)), SequenceVerdict::Old);    // ends at the snapshot
  EXPECT_EQ(kSpot.check_first(100, delta(90, 101)), SequenceVerdict::Apply);  // holds the id that follows
  EXPECT_EQ(kSpot.check_first(100, delta(101, 101)), SequenceVerdict::Apply);
  EXPECT_EQ(kSpot.check_first(100, delta(102, 110)), SequenceVerdict::Gap);
}

TEST(BookRule, SpotBoundariesOfTheChain) {
  EXPECT_EQ(kSpot.check_next(100, delta(101, 105)), SequenceVerdict::Apply);
  EXPECT_EQ(kSpot.check_next(100, delta(95, 105)), SequenceVerdict::Apply);  // overlap
  EXPECT_EQ(kSpot.check_next(100, delta(95, 100)), SequenceVerdict::Old);
  EXPECT_EQ(kSpot.check_next(100, delta(102, 105)), SequenceVerdict::Gap);
}

// BTCUSDT futures 2024, lastUpdateId 5123107852948.
TEST(BookRule, FuturesExampleJoinsAroundTheSnapshot) {
  constexpr std::uint64_t kSnapshot = 5'123'107'852'948;
  EXPECT_EQ(kFutures.check_first(kSnapshot, delta(5'123'107'846'704, 5'123'107'850'146, 5'123'107'846'634)),
            SequenceVerdict::Old);
  EXPECT_EQ(kFutures.check_first(kSnapshot, delta(5'123'107'850'310, 5'123'107'853'551, 5'123'107'850'146)),
            SequenceVerdict::Apply);
  EXPECT_EQ(
      kFutures.check_next(5'123'107'853'551, delta(5'123'107'853'748, 5'123'107'856'210, 5'123'107'853'551)),
      SequenceVerdict::Apply);
  EXPECT_EQ(
      kFutures.check_next(5'123'107'853'551, delta(5'123'107'856'267, 5'123'107'858'366, 5'123'107'856'210)),
      SequenceVerdict::Gap);
}

TEST(BookRule, FuturesBoundariesOfTheJoin) {
  EXPECT_EQ(kFutures.check_first(100, delta(90, 99, 80)), SequenceVerdict::Old);
  EXPECT_EQ(kFutures.check_first(100, delta(90, 100, 80)), SequenceVerdict::Apply);
  EXPECT_EQ(kFutures.check_first(100, delta(110, 120, 100)), SequenceVerdict::Apply);  // prev is the snapshot
  EXPECT_EQ(kFutures.check_first(100, delta(110, 120, 101)), SequenceVerdict::Gap);
}

TEST(BookRule, AVenueWithoutPreviousIdsDoesNotJoinAcrossAHole) {
  constexpr BookRule rule{.continuity = Continuity::FirstUpToNext, .join = Join::AroundSnapshotId};
  EXPECT_EQ(rule.check_first(100, delta(95, 105)), SequenceVerdict::Apply);
  EXPECT_EQ(rule.check_first(100, delta(110, 120)), SequenceVerdict::Gap);
}

TEST(BookRule, WithoutNumbersEverythingApplies) {
  constexpr BookRule rule{};
  EXPECT_EQ(rule.check_first(100, delta(0, 0)), SequenceVerdict::Apply);
  EXPECT_EQ(rule.check_next(100, delta(0, 0)), SequenceVerdict::Apply);
}

}  // namespace
}  // namespace mdp::core
