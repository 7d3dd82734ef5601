// Ids that begin anew on one line, and what goes back without that.
#include "mdp/book/id_order.hpp"

#include <gtest/gtest.h>

#include <vector>

namespace mdp::book {
namespace {

using Step = IdOrder::Step;

constexpr std::uint64_t kOld = 5'000'000'008;
constexpr std::int64_t kMs = 1'000'000;

// A line that has brought ids up to `id`, at the venue's time `ts_ns`.
IdOrder at(std::uint64_t id, std::int64_t ts_ns) {
  IdOrder order;
  EXPECT_EQ(order.step(id - 7, ts_ns == 0 ? 0 : ts_ns - kMs), Step::Forward);
  EXPECT_EQ(order.step(id, ts_ns), Step::Forward);
  return order;
}

TEST(IdOrder, GrowingIdsGoForward) {
  IdOrder order;
  EXPECT_FALSE(order.used());
  for (std::uint64_t id = 5; id < 500; id += 7) EXPECT_EQ(order.step(id, 0), Step::Forward);
  EXPECT_EQ(order.reached(), 495u);
  EXPECT_TRUE(order.used());
}

TEST(IdOrder, ALowerIdThatWasMadeLaterBeginsAnewHoweverNear) {
  for (const std::uint64_t id : {std::uint64_t{1}, kOld / 2, kOld - 1}) {
    IdOrder order = at(kOld, 100 * kMs);
    EXPECT_EQ(order.step(id, 101 * kMs), Step::Anew);
    EXPECT_EQ(order.reached(), id);
    EXPECT_EQ(order.reached_ts_ns(), 101 * kMs);
    EXPECT_EQ(order.ended_at(), kOld);
    EXPECT_EQ(order.step(id, 101 * kMs), Step::Back);
    EXPECT_EQ(order.step(id + 1, 101 * kMs), Step::Forward);
  }
}

TEST(IdOrder, CopiesAndLateOnesWereMadeBefore) {
  IdOrder order = at(kOld, 100 * kMs);
  EXPECT_EQ(order.step(kOld, 100 * kMs), Step::Back);      // the same again
  EXPECT_EQ(order.step(kOld, 101 * kMs), Step::Back);      // the same state told again, as some venues do
  EXPECT_EQ(order.step(kOld - 3, 100 * kMs), Step::Back);  // two of one moment, swapped
  EXPECT_EQ(order.step(1, 99 * kMs), Step::Back);          // as old as can be
  EXPECT_EQ(order.reached(), kOld);
}

// A venue sends its last frames once more: each was made when it was made.
TEST(IdOrder, ABlockThatIsSentAgainIsNoNewSequence) {
  IdOrder order;
  std::vector<std::uint64_t> block;
  for (std::uint64_t i = 0; i < 40; ++i) {
    block.push_back(kOld + i);
    EXPECT_EQ(order.step(block.back(), static_cast<std::int64_t>(i + 1) * kMs), Step::Forward);
  }
  for (std::uint64_t i = 0; i < 40; ++i)
    EXPECT_EQ(order.step(block[i], static_cast<std::int64_t>(i + 1) * kMs), Step::Back);
  EXPECT_EQ(order.step(kOld + 40, 41 * kMs), Step::Forward);
}

TEST(IdOrder, AClockThatWentBackAsWellIsFoundBySoManyInARow) {
  IdOrder order = at(kOld, 1'000 * kMs);
  int steps = 1;
  while (order.step(static_cast<std::uint64_t>(steps), steps * kMs) == Step::Back) ++steps;
  EXPECT_EQ(steps, 64);
  EXPECT_EQ(order.reached(), 64u);
}

TEST(IdOrder, WithoutTimesWhatIsFarBelowBeginsAnewAtOnce) {
  IdOrder order = at(kOld, 0);
  EXPECT_EQ(order.step(1, 0), Step::Anew);
  order = at(kOld, 0);
  EXPECT_EQ(order.step(kOld / 2 - 1, 0), Step::Anew);
  order = at(kOld, 0);
  EXPECT_EQ(order.step(kOld / 2 + 1, 0), Step::Back);
  order = at(1'000'000, 0);  // a venue that has not counted far: a start may be that late
  EXPECT_EQ(order.step(1, 0), Step::Back);
}

TEST(IdOrder, WithoutTimesNearIdsBeginAnewWhenManyGrowInARow) {
  IdOrder order = at(kOld, 0);
  std::uint64_t id = kOld - 1'000;
  for (int i = 1; i < 16; ++i, ++id) {
    EXPECT_EQ(order.step(id, 0), Step::Back);
    EXPECT_EQ(order.step(id, 0), Step::Back);    // its copy counts once
    EXPECT_EQ(order.step(kOld, 0), Step::Back);  // and the newest once more does not end the row
  }
  EXPECT_EQ(order.step(id, 0), Step::Anew);
  EXPECT_EQ(order.ended_at(), kOld);
}

TEST(IdOrder, LateOnesAreFollowedByNewerOnesWhichEndsTheRow) {
  IdOrder order = at(kOld, 0);
  std::uint64_t newest = kOld;
  for (int round = 0; round < 100; ++round) {
    for (std::uint64_t late = 15; late > 0; --late) {
      EXPECT_EQ(order.step(newest - late, 0), Step::Back);
    }
    EXPECT_EQ(order.step(++newest, 0), Step::Forward);
  }
}

TEST(IdOrder, WhatGoesBackInOneRowIsCountedFromTheBeginning) {
  IdOrder order = at(kOld, 0);
  for (int round = 0; round < 100; ++round) {  // the same block again and again
    for (std::uint64_t late = 15; late > 0; --late) EXPECT_EQ(order.step(kOld - late, 0), Step::Back);
  }
}

TEST(IdOrder, TheVenueMaySayThatItBeginsAnew) {
  IdOrder order = at(kOld, 100 * kMs);
  order.begin(kOld - 2, 100 * kMs);
  EXPECT_EQ(order.reached(), kOld - 2);
  EXPECT_EQ(order.ended_at(), kOld);
  EXPECT_EQ(order.step(kOld - 1, 100 * kMs), Step::Forward);
}

TEST(IdOrder, ALineThatHasEndedBringsNothingUntilItBeginsAnew) {
  IdOrder order = at(kOld, 100 * kMs);
  order.end(111 * kMs);
  EXPECT_EQ(order.step(kOld + 1, 101 * kMs), Step::Ended);
  EXPECT_EQ(order.step(kOld, 100 * kMs), Step::Ended);
  EXPECT_EQ(order.step(kOld + 9, 110 * kMs), Step::Ended);
  EXPECT_EQ(order.reached(), kOld + 9);
  EXPECT_EQ(order.step(3, 111 * kMs), Step::Anew);
  EXPECT_FALSE(order.ended());
  EXPECT_EQ(order.ended_at(), kOld + 9);
  EXPECT_EQ(order.step(4, 112 * kMs), Step::Forward);
}

TEST(IdOrder, ALineThatHadEndedGoesOnWhenNothingFollowsIt) {
  IdOrder order = at(kOld, 100 * kMs);
  order.end(101 * kMs);
  EXPECT_EQ(order.step(kOld + 1, 101 * kMs), Step::Ended);
  order.resume();
  EXPECT_EQ(order.step(kOld + 1, 101 * kMs), Step::Back);
  EXPECT_EQ(order.step(kOld + 2, 102 * kMs), Step::Forward);
}

TEST(EndedSequence, HasWhatIsNearerToItThanToTheNewOne) {
  EXPECT_FALSE(EndedSequence().has(kOld, 5));
  const EndedSequence far(kOld);
  EXPECT_TRUE(far.has(kOld - 5, 5));
  EXPECT_TRUE(far.has(kOld + 50, 5));
  EXPECT_FALSE(far.has(4, 5));
  EXPECT_FALSE(far.has(1'000'000, 5));  // a snapshot may be ahead of the updates
  const EndedSequence near(1'000);
  EXPECT_TRUE(near.has(990, 900));
  EXPECT_FALSE(near.has(910, 900));
  EXPECT_FALSE(near.has(1'010, 1'000));  // the new one has come as far
}

TEST(IdOrder, BatchesOfOneLineDoNotOverlap) {
  IdOrder order = at(kOld, 100 * kMs);
  EXPECT_TRUE(order.forward(kOld + 1, kOld + 3, 200 * kMs));
  ASSERT_FALSE(order.forward(kOld + 2, kOld + 6, 300 * kMs));
  EXPECT_EQ(order.back(kOld + 2, kOld + 6, 300 * kMs), Step::Anew);
  EXPECT_EQ(order.ended_at(), kOld + 3);
  EXPECT_EQ(order.reached(), kOld + 6);
  // Unless nothing says that it was made later: that is no proof.
  for (const std::int64_t ts_ns : {100 * kMs, std::int64_t{0}}) {
    order = at(kOld, 100 * kMs);
    EXPECT_EQ(order.back(kOld - 2, kOld + 6, ts_ns), Step::Forward);
    EXPECT_EQ(order.reached(), kOld + 6);
  }
}

TEST(IdOrder, ANewConnectionMayCutItsBatchesElsewhere) {
  IdOrder order = at(kOld, 100 * kMs);
  order.reopen();
  EXPECT_EQ(order.back(kOld - 2, kOld + 6, 300 * kMs), Step::Forward);
  EXPECT_EQ(order.back(kOld + 2, kOld + 9, 400 * kMs), Step::Anew);
  order = at(kOld, 100 * kMs);
  order.reopen();
  EXPECT_EQ(order.back(kOld - 7, kOld - 2, 300 * kMs), Step::Anew);
}

TEST(IdOrder, AVenueWithoutFirstIdsGoesForwardByTheLast) {
  IdOrder order = at(kOld, 100 * kMs);
  ASSERT_FALSE(order.forward(0, kOld + 6, 300 * kMs));
  EXPECT_EQ(order.back(0, kOld + 6, 300 * kMs), Step::Forward);
  EXPECT_EQ(order.back(0, kOld + 5, 400 * kMs), Step::Anew);
}

constexpr core::LineId kA = 0, kB = 2;

TEST(LineOrders, EachLineHasItsOwnOrder) {
  LineOrders orders;
  for (std::uint64_t i = 0; i < 100; ++i) {
    EXPECT_EQ(orders.step(kA, 1'000 + i, 0), Step::Forward);
    EXPECT_EQ(orders.step(kB, 500 + i, 0), Step::Forward);  // far behind, and in order
  }
}

TEST(LineOrders, TheOtherLineEndsUntilItBeginsAnewToo) {
  LineOrders orders;
  for (const core::LineId line : {kA, kB}) EXPECT_EQ(orders.step(line, kOld, 100 * kMs), Step::Forward);
  EXPECT_EQ(orders.step(kA, 1, 101 * kMs), Step::Anew);
  EXPECT_EQ(orders.step(kB, kOld + 1, 100 * kMs), Step::Ended);
  EXPECT_EQ(orders.step(kA, 2, 102 * kMs), Step::Forward);
  EXPECT_EQ(orders.step(kB, 1, 101 * kMs), Step::Forward);  // no news
  EXPECT_EQ(orders.step(kB, 2, 102 * kMs), Step::Forward);
  EXPECT_EQ(orders.step(kA, 3, 103 * kMs), Step::Forward);
}

// The ids alone would take it for one of the new sequence: what it brings was made before that began.
TEST(LineOrders, ALineThatLagsBehindASmallStepBackHasEndedAsWell) {
  LineOrders orders;
  EXPECT_EQ(orders.step(kA, 1'000, 100 * kMs), Step::Forward);
  EXPECT_EQ(orders.step(kB, 960, 60 * kMs), Step::Forward);
  EXPECT_EQ(orders.step(kA, 951, 101 * kMs), Step::Anew);
  EXPECT_EQ(orders.step(kB, 961, 61 * kMs), Step::Ended);
  EXPECT_EQ(orders.step(kB, 1'000, 100 * kMs), Step::Ended);
  EXPECT_EQ(orders.step(kB, 951, 101 * kMs), Step::Forward);  // of the same moment as on the other line
  EXPECT_EQ(orders.step(kB, 952, 102 * kMs), Step::Forward);
  EXPECT_EQ(orders.step(kA, 952, 102 * kMs), Step::Forward);
}

// It was quiet while the other began anew, and its first ids since are beyond those it had reached.
TEST(LineOrders, ALineThatHadEndedCountsAgainForWhatIsMadeLater) {
  LineOrders orders;
  EXPECT_EQ(orders.step(kA, 1'000, 100 * kMs), Step::Forward);
  EXPECT_EQ(orders.step(kB, 960, 60 * kMs), Step::Forward);
  EXPECT_EQ(orders.step(kA, 951, 101 * kMs), Step::Anew);
  EXPECT_EQ(orders.step(kB, 970, 900 * kMs), Step::Ended);  // the clocks of two servers differ that much
  EXPECT_EQ(orders.step(kB, 980, 1'200 * kMs), Step::Forward);
  EXPECT_EQ(orders.step(kB, 981, 1'201 * kMs), Step::Forward);
}

TEST(LineOrders, ALineThatIsInTheNewSequenceAlreadyDoesNotEnd) {
  LineOrders orders;
  EXPECT_EQ(orders.step(kA, kOld, 100 * kMs), Step::Forward);
  EXPECT_EQ(orders.step(kB, 3, 103 * kMs), Step::Forward);  // came up since
  EXPECT_EQ(orders.step(kA, 1, 101 * kMs), Step::Anew);
  EXPECT_EQ(orders.step(kB, 4, 104 * kMs), Step::Forward);
}

TEST(LineOrders, WhereTheLineThatBeganAnewIsLostTheOthersCountAgain) {
  LineOrders orders;
  for (const core::LineId line : {kA, kB}) EXPECT_EQ(orders.step(line, kOld, 100 * kMs), Step::Forward);
  EXPECT_EQ(orders.step(kA, 1, 101 * kMs), Step::Anew);
  orders.on_line_down(kA);
  EXPECT_EQ(orders.step(kB, kOld + 1, 102 * kMs), Step::Forward);
}

TEST(LineOrders, AConnectionMadeAnewTellsWhatHasBegunAnewMeanwhile) {
  LineOrders orders;
  for (const core::LineId line : {kA, kB}) EXPECT_EQ(orders.step(line, kOld, 100 * kMs), Step::Forward);
  orders.on_line_down(kB);
  orders.on_line_down(kA);
  orders.on_line_down(kA);                                  // it brings nothing: nothing to forget
  EXPECT_EQ(orders.step(kB, 1, 200 * kMs), Step::Anew);     // whichever comes first
  EXPECT_EQ(orders.step(kA, 1, 200 * kMs), Step::Forward);  // a line of its own
}

}  // namespace
}  // namespace mdp::book
