// Evidence that a LIVE book's updates have dried up, and what is none.
#include "mdp/book/stream_watch.hpp"

#include <gtest/gtest.h>

namespace mdp::book {
namespace {

using Finding = StreamWatch::Finding;

constexpr std::int64_t kMs = 1'000'000;
constexpr Bbo kTop{{100, 5}, {110, 5}};

class Watch : public testing::Test {
 protected:
  Finding trade(std::int64_t price, std::int64_t step_ns) {
    now_ns += step_ns;
    return watch.on_trade(id, kTop, price, now_ns);
  }
  // How many trades at this price until something is found; 0: nothing in a thousand.
  int trades_until(Finding found, std::int64_t price, std::int64_t step_ns) {
    for (int count = 1; count <= 1'000; ++count) {
      const Finding finding = trade(price, step_ns);
      if (finding == found) return count;
      if (finding != Finding::None) break;
    }
    return 0;
  }
  StreamWatch watch{5'000 * kMs};
  std::uint64_t id = 10;
  std::int64_t now_ns = 1'000 * kMs;
};

TEST_F(Watch, TradesBeyondTheTopForFiveSecondsAreStrong) {
  EXPECT_EQ(trades_until(Finding::Silent, 111, 100 * kMs), 52);  // the first one begins to count
  ++id;
  EXPECT_EQ(trades_until(Finding::Silent, 99, 100 * kMs), 52);
}

TEST_F(Watch, TradesWithinTheBookAreASuspicionAgainAndAgain) {
  for (const std::int64_t price : {100, 105, 110}) {
    ++id;
    EXPECT_EQ(trades_until(Finding::Suspect, price, 100 * kMs), 52);
    EXPECT_EQ(trades_until(Finding::Suspect, price, 100 * kMs), 51);
  }
}

TEST_F(Watch, AnUpdateEndsAllEvidence) {
  for (int round = 0; round < 100; ++round, ++id) {
    for (int i = 0; i < 40; ++i) {
      EXPECT_EQ(trade(111, 100 * kMs), Finding::None);
      EXPECT_EQ(watch.on_quote_ahead(id, 100 * kMs), Finding::None);
    }
  }
}

TEST_F(Watch, ABookThatIsNewAtTheSameIdBeginsAnew) {
  for (int i = 0; i < 50; ++i) EXPECT_EQ(trade(111, 100 * kMs), Finding::None);
  watch.on_new_book(now_ns);
  EXPECT_EQ(trades_until(Finding::Silent, 111, 100 * kMs), 52);
}

TEST_F(Watch, ABurstIsNoTimeAndFewTradesProveNothing) {
  for (int i = 0; i < 1'000; ++i) EXPECT_EQ(trade(111, 1'000), Finding::None);
  ++id;
  // One a minute counts half a second.
  EXPECT_EQ(trades_until(Finding::Silent, 111, 60'000 * kMs), 12);
}

TEST_F(Watch, AnEmptySideHasNothingBeyondIt) {
  now_ns += 1;
  for (int i = 0; i < 40; ++i) {
    now_ns += 100 * kMs;
    EXPECT_EQ(watch.on_trade(id, {}, 1, now_ns), Finding::None);
    EXPECT_EQ(watch.on_trade(id, {{}, {110, 5}}, 1, now_ns), Finding::None);
    EXPECT_EQ(watch.on_trade(id, {{100, 5}, {}}, 1'000, now_ns), Finding::None);
  }
}

TEST_F(Watch, QuotesAheadForFiveSecondsAreStrong) {
  int count = 1;
  while (watch.on_quote_ahead(id, 100 * kMs) == Finding::None) ++count;
  EXPECT_EQ(count, 51);
  ++id;
  EXPECT_EQ(watch.on_quote_ahead(id, -100 * kMs), Finding::None);
  for (int i = 0; i < 9; ++i) EXPECT_EQ(watch.on_quote_ahead(id, 60'000 * kMs), Finding::None);
}

TEST_F(Watch, UpdatesThatDoNotGetToTheSnapshotForFiveSecondsAreStrong) {
  watch.on_new_book(now_ns);
  int count = 1;
  while (watch.on_update_below(id, now_ns += 100 * kMs, 0) == Finding::None) ++count;
  EXPECT_EQ(count, 52);
}

TEST_F(Watch, OneUpdateOfJustNowIsEnoughWhereTheSnapshotIsOld) {
  watch.on_new_book(now_ns);
  EXPECT_EQ(watch.on_update_below(id, now_ns + 5'000 * kMs, now_ns + 4'990 * kMs), Finding::None);
  EXPECT_EQ(watch.on_update_below(id, now_ns + 5'001 * kMs, now_ns + 4'990 * kMs), Finding::Silent);
  EXPECT_EQ(watch.on_update_below(id, now_ns + 5'001 * kMs, now_ns + 5'010 * kMs), Finding::Silent);
  // A line that was held up brings what was made long ago, and a clock that is wrong says nothing.
  ++id;
  EXPECT_EQ(watch.on_update_below(id, now_ns + 60'000 * kMs, now_ns + 50'000 * kMs), Finding::None);
  EXPECT_EQ(watch.on_update_below(id, now_ns + 60'000 * kMs, now_ns + 70'000 * kMs), Finding::None);
}

TEST_F(Watch, ASnapshotAheadIsOverdueAfterFiveSecondsWithoutAnUpdate) {
  EXPECT_FALSE(watch.snapshot_is_ahead(id));
  watch.on_snapshot_ahead(id, now_ns);
  watch.on_snapshot_ahead(id, now_ns + 4'000 * kMs);  // the first one counts
  EXPECT_TRUE(watch.snapshot_is_ahead(id));
  EXPECT_FALSE(watch.update_is_overdue(id, now_ns + 5'000 * kMs));
  EXPECT_TRUE(watch.update_is_overdue(id, now_ns + 5'001 * kMs));
  EXPECT_FALSE(watch.update_is_overdue(id + 1, now_ns + 60'000 * kMs));
  watch.forget_snapshot();
  EXPECT_FALSE(watch.update_is_overdue(id, now_ns + 60'000 * kMs));
}

class Looks : public Watch {
 protected:
  // So many looks, a second apart, at a book that moves in `moves` of `of`.
  void look(int count, int moves, int of, bool others_move = true) {
    for (int i = 0; i < count; ++i) {
      if (i % of < moves) ++id;
      EXPECT_EQ(watch.on_look(id, others_move), Finding::None) << i;
    }
  }
  // Looks at a book that does not move until it is suspect; 0: never.
  int looks_until_suspect(bool others_move = true) {
    for (int count = 1; count <= 1'000; ++count) {
      if (watch.on_look(id, others_move) == Finding::Suspect) return count;
    }
    return 0;
  }
};

TEST_F(Looks, ABusyBookThatStandsStillIsSuspectOnce) {
  look(60, 1, 1);
  EXPECT_EQ(looks_until_suspect(), 10);
  EXPECT_EQ(looks_until_suspect(), 0);
  look(60, 1, 1);
  EXPECT_EQ(looks_until_suspect(), 10);
}

TEST_F(Looks, ABookThatMovesInThreeOfFourLooksIsBusy) {
  look(400, 3, 4);
  EXPECT_EQ(looks_until_suspect() != 0, true);
}

TEST_F(Looks, AQuietBookMayStandStillForEver) {
  for (const int of : {2, 3, 10, 60}) {
    look(600, 1, of);
    EXPECT_EQ(looks_until_suspect(), 0) << of;
  }
}

TEST_F(Looks, WhereNothingElseMovesNothingIsMissed) {
  look(60, 1, 1);
  EXPECT_EQ(looks_until_suspect(false), 0);
}

TEST_F(Looks, ABookThatHasOnlyBegunToMoveIsNotMissed) {
  look(5, 1, 1);
  EXPECT_EQ(looks_until_suspect(), 0);
}

TEST_F(Looks, WhetherItMovesIsKnown) {
  look(1, 1, 1);
  EXPECT_TRUE(watch.moves());
  look(1, 0, 1);
  EXPECT_FALSE(watch.moves());
}

}  // namespace
}  // namespace mdp::book
