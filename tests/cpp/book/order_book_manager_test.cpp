// OrderBookManager: the transitions of its table, one by one, and what it emits.
#include "mdp/book/order_book_manager.hpp"

#include <gtest/gtest.h>

#include "book/manager_fixture.hpp"

namespace mdp::book {
namespace {

using namespace test;
using Reasons = std::vector<StateReason>;

class Manager : public ManagerTest {
 protected:
  void SetUp() override {
    add(0);
    states();
  }
};

const std::string kLive = "LIVE " + std::to_string(static_cast<int>(StateReason::Synced));

// ---- no book, and STALE ----------------------------------------------------------------------------------

TEST_F(ManagerTest, AddedSymbolStartsStaleAndIsAnnounced) {
  add(5);
  EXPECT_EQ(states(5), (Strings{stale(StateReason::Starting)}));
  EXPECT_EQ(sink.of(EventType::Instrument, 5).size(), 1u);
  EXPECT_EQ(manager.symbol_count(), 1u);
  add(5);  // again: nothing
  EXPECT_EQ(manager.symbol_count(), 1u);
  EXPECT_TRUE(states(5).empty());
  EXPECT_EQ(manager.book(4), nullptr);
  EXPECT_EQ(manager.book(500), nullptr);
}

TEST_F(Manager, MessagesForAnUnknownSymbolAreCountedAndDropped) {
  delta_of(9, 1, 2);
  snapshot_of(9, 2, {}, {});
  invalidate(9, StateReason::Gap);
  EXPECT_EQ(manager.counters().unroutable.get(), 3u);
  EXPECT_TRUE(states(9).empty());
}

TEST_F(Manager, FirstDeltaBeginsToSyncAndAsksForASnapshot) {
  delta(10, 12);
  EXPECT_EQ(states(), (Strings{syncing(StateReason::Subscribed)}));
  EXPECT_EQ(wanted(), (Reasons{StateReason::Subscribed}));
  EXPECT_TRUE(sink.of(EventType::BookDelta).empty());
}

TEST_F(Manager, SnapshotForAStaleBookIsNotUsed) {
  snapshot(10);
  EXPECT_EQ(state(), BookState::Stale);
  EXPECT_EQ(manager.counters().snapshots_unused.get(), 1u);
}

TEST_F(Manager, InvalidateOfAStaleBookChangesTheReasonOnce) {
  invalidate(0, StateReason::ParseError);
  invalidate(0, StateReason::ParseError);
  EXPECT_EQ(states(), (Strings{stale(StateReason::ParseError)}));
}

TEST_F(Manager, LineDownOfAStaleBookChangesTheReasonOnce) {
  line_is(LineState::Connecting);
  line_is(LineState::Down);
  EXPECT_EQ(states(), (Strings{stale(StateReason::Disconnected)}));
  EXPECT_EQ(sink.of(EventType::ConnectionStatus, shm::kNoSymbol).size(), 2u);
}

TEST_F(Manager, QuietSymbolSyncsWithoutADeltaOnlyWhileItsLineIsUp) {
  manager.begin_sync(0);
  EXPECT_EQ(state(), BookState::Stale);
  line_is(LineState::Up);
  line_is(LineState::Down);
  manager.begin_sync(0);
  EXPECT_EQ(state(), BookState::Stale);
  line_is(LineState::Up, kLine + 1);  // another's
  manager.begin_sync(0);
  EXPECT_EQ(state(), BookState::Stale);
  line_is(LineState::Up);
  manager.begin_sync(0);
  EXPECT_EQ(state(), BookState::Syncing);
  EXPECT_EQ(wanted(), (Reasons{StateReason::Subscribed}));
  snapshot(10);
  EXPECT_EQ(state(), BookState::Live);
  EXPECT_EQ(id(), 10u);
  delta(9, 11, {{101, 1}});  // the first one has to join the snapshot
  EXPECT_EQ(state(), BookState::Live);
  EXPECT_EQ(bids().front(), (PriceLevel{101, 1}));
}

TEST_F(Manager, BeginSyncOfALiveOrSyncingBookDoesNothing) {
  line_is(LineState::Up);
  delta(10, 12);
  states();
  manager.begin_sync(0);
  EXPECT_TRUE(states().empty());
  snapshot(12);
  states();
  manager.begin_sync(0);
  EXPECT_TRUE(states().empty());
  manager.begin_sync(77);
}

// ---- SYNCING: the join -----------------------------------------------------------------------------------

TEST_F(Manager, JoinsASnapshotWithinTheBufferedDeltas) {
  delta(8, 10, {{90, 9}});
  delta(11, 13, {{91, 9}});
  delta(14, 15, {{92, 9}});
  snapshot(12);
  EXPECT_EQ(states(), (Strings{syncing(StateReason::Subscribed), kLive}));
  EXPECT_EQ(bids(), (Levels{{100, 5}, {99, 5}, {92, 9}, {91, 9}}));  // 90 is older than the snapshot
  EXPECT_EQ(id(), 15u);
  EXPECT_EQ(manager.counters().snapshots_applied.get(), 1u);
}

TEST_F(Manager, SnapshotOlderThanTheBufferIsFetchedAgainAndTheBufferStays) {
  delta(12, 13, {{91, 9}});
  wanted();
  snapshot(10);  // 11 is missing
  EXPECT_EQ(state(), BookState::Syncing);
  EXPECT_EQ(wanted(), (Reasons{StateReason::SnapshotTooOld}));
  EXPECT_EQ(manager.counters().snapshots_too_old.get(), 1u);
  snapshot(11);
  EXPECT_EQ(state(), BookState::Live);
  EXPECT_EQ(bids(), (Levels{{100, 5}, {99, 5}, {91, 9}}));
  EXPECT_EQ(id(), 13u);
}

TEST_F(Manager, SnapshotExactlyBeforeTheBufferJoins) {
  delta(11, 13);
  snapshot(10);
  EXPECT_EQ(state(), BookState::Live);
  EXPECT_EQ(id(), 13u);
}

TEST_F(Manager, SnapshotExactlyAtTheEndOfTheBufferDropsItAll) {
  delta(8, 10, {{90, 9}});
  snapshot(10);
  EXPECT_EQ(state(), BookState::Live);
  EXPECT_EQ(bids(), (Levels{{100, 5}, {99, 5}}));
  EXPECT_EQ(id(), 10u);
  delta(11, 12, {{101, 1}});
  EXPECT_EQ(state(), BookState::Live);
  EXPECT_EQ(id(), 12u);
}

TEST_F(Manager, SnapshotNewerThanTheWholeBufferWaitsForItsFirstDelta) {
  delta(8, 10, {{90, 9}});
  snapshot(20);
  EXPECT_EQ(state(), BookState::Live);
  EXPECT_EQ(id(), 20u);
  delta(11, 15, {{91, 9}});  // older still: dropped
  EXPECT_EQ(id(), 20u);
  EXPECT_EQ(manager.counters().duplicates.get(), 1u);
  delta(16, 22, {{92, 9}});  // holds 21
  EXPECT_EQ(id(), 22u);
  EXPECT_EQ(bids(), (Levels{{100, 5}, {99, 5}, {92, 9}}));
}

TEST_F(Manager, GapInTheFirstDeltaAfterTheSnapshotResyncs) {
  delta(8, 10);
  snapshot(10);
  states();
  wanted();
  delta(12, 13, {{91, 9}});
  EXPECT_EQ(states(), (Strings{stale(StateReason::Gap), syncing(StateReason::Subscribed)}));
  EXPECT_EQ(wanted(), (Reasons{StateReason::Subscribed}));
  EXPECT_EQ(manager.counters().gaps.get(), 1u);
  snapshot(12);  // and that delta is in the buffer
  EXPECT_EQ(state(), BookState::Live);
  EXPECT_EQ(bids(), (Levels{{100, 5}, {99, 5}, {91, 9}}));
}

TEST_F(Manager, HoleAmongBufferedDeltasWaitsForASnapshotFromBehindIt) {
  delta(8, 10);
  delta(11, 12, {{90, 9}});
  delta(15, 16, {{91, 9}});
  delta(17, 18, {{92, 9}});
  wanted();
  states();
  snapshot(10);
  EXPECT_EQ(states(), (Strings{stale(StateReason::Gap), syncing(StateReason::Gap)}));
  EXPECT_EQ(wanted(), (Reasons{StateReason::Gap}));
  EXPECT_EQ(manager.counters().gaps.get(), 1u);
  EXPECT_TRUE(sink.of(EventType::BookSnapshot).empty());
  snapshot(13);  // within the hole: too old for what is behind
  EXPECT_EQ(state(), BookState::Syncing);
  EXPECT_EQ(wanted(), (Reasons{StateReason::SnapshotTooOld}));
  snapshot(14);
  EXPECT_EQ(state(), BookState::Live);
  EXPECT_EQ(bids(), (Levels{{100, 5}, {99, 5}, {92, 9}, {91, 9}}));
  EXPECT_EQ(id(), 18u);
}

TEST_F(Manager, HoleBeforeTheSnapshotDoesNoHarm) {
  delta(8, 10, {{90, 9}});
  delta(15, 16, {{91, 9}});
  snapshot(15);
  EXPECT_EQ(state(), BookState::Live);
  EXPECT_EQ(bids(), (Levels{{100, 5}, {99, 5}, {91, 9}}));
}

TEST_F(Manager, DuplicatesAndOverlapsInTheBufferAreAppliedOnce) {
  delta(8, 10);
  delta(11, 13, {{90, 1}});
  delta(11, 13, {{90, 2}});  // the same update again
  delta(12, 15, {{91, 3}});  // overlaps and goes beyond
  delta(14, 14, {{92, 4}});  // within
  snapshot(10);
  EXPECT_EQ(state(), BookState::Live);
  EXPECT_EQ(bids(), (Levels{{100, 5}, {99, 5}, {91, 3}, {90, 1}}));
  EXPECT_EQ(id(), 15u);
}

TEST_F(Manager, CrossedAfterTheJoinIsNotPublished) {
  delta(8, 10);
  delta(11, 12, {{115, 1}});
  states();
  snapshot(10);
  EXPECT_EQ(states(), (Strings{stale(StateReason::Crossed)}));
  EXPECT_EQ(manager.counters().crossed.get(), 1u);
  EXPECT_TRUE(sink.of(EventType::BookSnapshot).empty());
  EXPECT_EQ(manager.counters().resyncs.get(), 0u);
  delta(13, 14);
  EXPECT_EQ(state(), BookState::Syncing);
}

TEST_F(Manager, InvalidateWhileSyncingDropsTheBuffer) {
  delta(8, 10, {{90, 9}});
  states();
  invalidate(0, StateReason::ParseError);
  EXPECT_EQ(states(), (Strings{stale(StateReason::ParseError)}));
  snapshot(9);
  EXPECT_EQ(state(), BookState::Stale);
  delta(12, 13, {{91, 9}});
  snapshot(11);
  EXPECT_EQ(bids(), (Levels{{100, 5}, {99, 5}, {91, 9}}));
}

TEST_F(Manager, LineDownWhileSyncing) {
  line_is(LineState::Up);
  delta(8, 10);
  states();
  line_is(LineState::Down);
  EXPECT_EQ(states(), (Strings{stale(StateReason::Disconnected)}));
}

TEST_F(Manager, UnsubscribeWhileSyncing) {
  delta(8, 10);
  states();
  manager.remove_symbol(0);
  EXPECT_EQ(states(), (Strings{stale(StateReason::Unsubscribed)}));
  EXPECT_EQ(manager.book(0), nullptr);
  EXPECT_EQ(manager.symbol_count(), 0u);
  snapshot(10);  // the answer that was on its way
  delta(11, 12);
  EXPECT_EQ(manager.counters().unroutable.get(), 2u);
  add(0);  // and again, with nothing left of before
  EXPECT_EQ(state(), BookState::Stale);
  delta(21, 22);
  snapshot(21);
  EXPECT_EQ(state(), BookState::Live);
}

TEST_F(Manager, ResyncRequestedWhileSyncingBeginsAnew) {
  line_is(LineState::Up);
  delta(8, 10, {{90, 9}});
  states();
  wanted();
  manager.request_resync(0);
  EXPECT_EQ(states(), (Strings{stale(StateReason::Requested), syncing(StateReason::Subscribed)}));
  EXPECT_EQ(wanted(), (Reasons{StateReason::Subscribed}));
  snapshot(10);
  EXPECT_EQ(bids(), (Levels{{100, 5}, {99, 5}}));
}

class SmallBuffer : public ManagerTest {
 protected:
  SmallBuffer()
      : ManagerTest([] {
          BookOptions options;
          options.max_buffered_deltas = 3;
          options.max_buffered_levels = 100;
          return options;
        }()) {
    add(0);
  }
};

TEST_F(SmallBuffer, OverflowByDeltasBeginsAnewFromTheOneThatDidNotFit) {
  delta(1, 1, {{81, 1}});
  delta(2, 2, {{82, 1}});
  delta(3, 3, {{83, 1}});
  states();
  wanted();
  delta(4, 4, {{84, 1}});
  EXPECT_EQ(states(), (Strings{stale(StateReason::BufferOverflow), syncing(StateReason::BufferOverflow)}));
  EXPECT_EQ(wanted(), (Reasons{StateReason::BufferOverflow}));
  EXPECT_EQ(manager.counters().buffer_overflows.get(), 1u);
  snapshot(2);  // asked for before the overflow: 3 is gone
  EXPECT_EQ(wanted(), (Reasons{StateReason::SnapshotTooOld}));
  snapshot(3);
  EXPECT_EQ(state(), BookState::Live);
  EXPECT_EQ(bids(), (Levels{{100, 5}, {99, 5}, {84, 1}}));
}

TEST_F(SmallBuffer, OverflowByLevels) {
  delta(1, 1, Levels(60, PriceLevel{80, 1}));
  delta(2, 2, Levels(60, PriceLevel{81, 1}));
  EXPECT_EQ(manager.counters().buffer_overflows.get(), 1u);
  EXPECT_EQ(state(), BookState::Syncing);
  snapshot(1);
  EXPECT_EQ(bids(), (Levels{{100, 5}, {99, 5}, {81, 1}}));
}

// ---- LIVE ------------------------------------------------------------------------------------------------

TEST_F(Manager, AppliesWhatFollows) {
  make_live();
  delta(11, 11, {{101, 2}});
  delta(12, 14, {{100, 0}}, {{110, 7}});
  EXPECT_EQ(state(), BookState::Live);
  EXPECT_EQ(bids(), (Levels{{101, 2}, {99, 5}}));
  EXPECT_EQ(asks(), (Levels{{110, 7}, {111, 5}}));
  EXPECT_EQ(id(), 14u);
  EXPECT_EQ(manager.counters().updates.get(), 2u);
}

TEST_F(Manager, DuplicateAndOldDeltasAreDropped) {
  make_live();
  delta(11, 12, {{101, 2}});
  const std::size_t events = sink.events.size();
  delta(11, 12, {{101, 9}});
  delta(3, 7, {{102, 9}});
  delta(12, 12, {{103, 9}});
  EXPECT_EQ(sink.events.size(), events);
  EXPECT_EQ(manager.counters().duplicates.get(), 3u);
  EXPECT_EQ(bids().front(), (PriceLevel{101, 2}));
}

TEST_F(Manager, OverlapThatGoesBeyondIsApplied) {
  make_live();
  delta(11, 12);
  delta(9, 15, {{101, 9}});
  EXPECT_EQ(state(), BookState::Live);
  EXPECT_EQ(id(), 15u);
  EXPECT_EQ(bids().front(), (PriceLevel{101, 9}));
}

TEST_F(Manager, GapResyncsWithTheDeltaThatShowedIt) {
  make_live();
  delta(11, 12, {{101, 2}});
  states();
  wanted();
  delta(14, 15, {{98, 9}});
  EXPECT_EQ(states(), (Strings{stale(StateReason::Gap), syncing(StateReason::Subscribed)}));
  EXPECT_EQ(wanted(), (Reasons{StateReason::Subscribed}));
  EXPECT_EQ(manager.counters().gaps.get(), 1u);
  EXPECT_EQ(manager.counters().resyncs.get(), 1u);
  EXPECT_EQ(bids().front(), (PriceLevel{101, 2}));  // the old book stays readable
  EXPECT_EQ(id(), 12u);
  snapshot(13);
  EXPECT_EQ(state(), BookState::Live);
  EXPECT_EQ(bids(), (Levels{{100, 5}, {99, 5}, {98, 9}}));
  EXPECT_EQ(id(), 15u);
}

TEST_F(Manager, LateSnapshotForALiveBookIsNotUsed) {
  make_live();
  const std::size_t events = sink.events.size();
  snapshot(50, {{1, 1}}, {{2, 1}});
  EXPECT_EQ(sink.events.size(), events);
  EXPECT_EQ(manager.counters().snapshots_unused.get(), 1u);
  delta(11, 12);
  EXPECT_EQ(state(), BookState::Live);
}

TEST_F(Manager, InvalidateOfALiveBook) {
  make_live();
  states();
  invalidate(0, StateReason::ChecksumMismatch);
  EXPECT_EQ(states(), (Strings{stale(StateReason::ChecksumMismatch)}));
  EXPECT_EQ(manager.counters().resyncs.get(), 1u);
  delta(11, 12);
  EXPECT_EQ(state(), BookState::Syncing);
}

TEST_F(Manager, LineDownTakesOnlyItsOwnSymbols) {
  add(1, kSpot, {kLine + 1});
  add(2);
  make_live(0);
  line_is(LineState::Up, kLine + 1);
  line = kLine + 1;
  delta_of(1, 9, 10);
  snapshot_of(1, 10, {{100, 5}}, {{110, 5}});
  states(2);
  line_is(LineState::Down);
  EXPECT_EQ(state(0), BookState::Stale);
  EXPECT_EQ(state(1), BookState::Live);
  delta_of(1, 11, 12);
  EXPECT_EQ(id(1), 12u);
  line = kLine;
  line_is(LineState::Up);
  EXPECT_EQ(state(0), BookState::Stale);  // until a delta comes or control says so
  delta(40, 41);
  EXPECT_EQ(state(0), BookState::Syncing);
}

TEST_F(Manager, ResyncRequestedOfALiveBook) {
  make_live();
  states();
  manager.request_resync(0);
  EXPECT_EQ(states(), (Strings{stale(StateReason::Requested), syncing(StateReason::Subscribed)}));
  EXPECT_EQ(sink.events.back().header.recv_ts_ns, 0);  // no message behind it, so no latency to measure
  manager.request_resync(99);
}

TEST_F(Manager, ResyncRequestedWhileTheLineIsDownWaits) {
  make_live();
  line_is(LineState::Down);
  manager.request_resync(0);
  EXPECT_EQ(state(), BookState::Stale);
}

TEST_F(Manager, UnsubscribeOfALiveBookIsNoResync) {
  make_live();
  states();
  manager.remove_symbol(0);
  EXPECT_EQ(states(), (Strings{stale(StateReason::Unsubscribed)}));
  EXPECT_EQ(sink.events.back().header.recv_ts_ns, 0);
  EXPECT_EQ(manager.counters().resyncs.get(), 0u);
  manager.remove_symbol(0);
  EXPECT_TRUE(states().empty());
}

TEST_F(Manager, SymbolsComeAndGoWithoutDisturbingAnother) {
  make_live();
  for (core::SymbolId symbol = 1; symbol < 300; ++symbol) {
    add(symbol);
    delta_of(symbol, 9, 10);
    if (symbol > 2) manager.remove_symbol(symbol - 2);
    delta(symbol + 10, symbol + 10, {{100, symbol}});
    ASSERT_EQ(state(), BookState::Live);
    ASSERT_EQ(bids().front(), (PriceLevel{100, symbol}));
  }
  EXPECT_EQ(manager.symbol_count(), 3u);
}

TEST_F(Manager, CrossedAfterAnUpdateResyncsThatSymbolAlone) {
  add(1);
  make_live(0);
  make_live(1);
  states();
  const std::size_t deltas = sink.of(EventType::BookDelta).size();
  delta(11, 12, {{110, 1}});  // locked counts as crossed
  EXPECT_EQ(states(), (Strings{stale(StateReason::Crossed)}));
  EXPECT_EQ(sink.of(EventType::BookDelta).size(), deltas);
  EXPECT_EQ(manager.counters().crossed.get(), 1u);
  EXPECT_EQ(state(1), BookState::Live);
  delta(13, 14);
  EXPECT_EQ(state(), BookState::Syncing);
}

TEST_F(Manager, CrossedBetweenTheSidesOfOneUpdateIsNoFault) {
  make_live();
  delta(11, 12, {{112, 1}}, {{110, 0}, {111, 0}, {113, 1}});
  EXPECT_EQ(state(), BookState::Live);
  EXPECT_EQ(bids().front(), (PriceLevel{112, 1}));
}

TEST_F(ManagerTest, CrossedIsPublishedWhereTheVenueMayShowIt) {
  add(0, kSpotAllowingCrossed);
  make_live();
  delta(11, 12, {{115, 1}});
  EXPECT_EQ(state(), BookState::Live);
  EXPECT_EQ(manager.counters().crossed.get(), 0u);
  EXPECT_EQ(sink.of(EventType::Bbo).back().bbo.bid, (PriceLevel{115, 1}));
  // And a join that ends crossed.
  invalidate(0, StateReason::Requested);
  delta(13, 14, {{120, 1}});
  snapshot(12);
  EXPECT_EQ(state(), BookState::Live);
  EXPECT_TRUE(manager.book(0)->crossed());
}

TEST_F(Manager, SequenceThatStartsAnewIsAGap) {
  make_live();
  extra_flags = core::kReset;
  delta(1, 1);
  extra_flags = 0;
  EXPECT_EQ(state(), BookState::Syncing);
  delta(2, 3, {{90, 2}});
  snapshot(1);
  EXPECT_EQ(state(), BookState::Live);
  EXPECT_EQ(id(), 3u);
  // While SYNCING it drops what belongs to the old sequence.
  invalidate(0, StateReason::Requested);
  delta(4, 5, {{91, 2}});
  extra_flags = core::kReset;
  delta(1, 1);
  extra_flags = 0;
  delta(2, 2, {{92, 2}});
  snapshot(1);
  EXPECT_EQ(bids(), (Levels{{100, 5}, {99, 5}, {92, 2}}));
}

// ---- other rules -----------------------------------------------------------------------------------------

class Futures : public ManagerTest {
 protected:
  Futures() {
    add(0, kFutures);
    states();
  }
};

// The worked example of the protocol notes: BTCUSDT, USD-M, lastUpdateId 5123107852948.
TEST_F(Futures, RecordedExampleJoinsAndFollows) {
  linked(5'123'107'846'634, 5'123'107'846'704, 5'123'107'850'146, {{90, 1}});
  linked(5'123'107'850'146, 5'123'107'850'310, 5'123'107'853'551, {{91, 1}});
  snapshot(5'123'107'852'948);
  EXPECT_EQ(state(), BookState::Live);
  EXPECT_EQ(bids(), (Levels{{100, 5}, {99, 5}, {91, 1}}));
  linked(5'123'107'853'551, 5'123'107'853'748, 5'123'107'856'210, {{92, 1}});
  linked(5'123'107'856'210, 5'123'107'856'267, 5'123'107'858'366, {{93, 1}});
  // Events are linked without holes though the venue's ids skip.
  EXPECT_EQ(sink.of(EventType::BookDelta).back().header.first_update_id, 5'123'107'856'211u);
  EXPECT_EQ(state(), BookState::Live);
  EXPECT_EQ(id(), 5'123'107'858'366u);
  EXPECT_EQ(bids().size(), 5u);
}

TEST_F(Futures, DeltaThatEndsAtTheSnapshotIsTheFirst) {
  linked(5, 6, 10, {{91, 1}});
  linked(10, 14, 20, {{92, 1}});
  snapshot(10);
  EXPECT_EQ(state(), BookState::Live);
  EXPECT_EQ(id(), 20u);
}

TEST_F(Futures, SnapshotBetweenTwoDeltasJoinsByThePreviousId) {
  linked(5, 6, 10, {{91, 1}});
  linked(10, 14, 20, {{92, 1}});
  snapshot(12);  // no delta holds 12, but nothing lies between 10 and 14
  EXPECT_EQ(state(), BookState::Live);
  EXPECT_EQ(bids(), (Levels{{100, 5}, {99, 5}, {92, 1}}));
}

TEST_F(Futures, SnapshotOlderThanTheBufferIsFetchedAgain) {
  linked(5, 6, 10);
  wanted();
  snapshot(4);
  EXPECT_EQ(state(), BookState::Syncing);
  EXPECT_EQ(wanted(), (Reasons{StateReason::SnapshotTooOld}));
}

TEST_F(Futures, BrokenChainIsAGapHoweverTheIdsLook) {
  linked(5, 6, 10);
  snapshot(10);
  linked(10, 500, 600);  // ids skip ahead: normal
  EXPECT_EQ(state(), BookState::Live);
  states();
  linked(601, 601, 700);
  EXPECT_EQ(states(), (Strings{stale(StateReason::Gap), syncing(StateReason::Subscribed)}));
}

TEST_F(Futures, OldDeltaIsDroppedAndOverlapApplied) {
  linked(5, 6, 10);
  snapshot(10);
  linked(10, 11, 20);
  linked(5, 6, 10, {{150, 1}});
  EXPECT_EQ(manager.counters().duplicates.get(), 1u);
  linked(15, 16, 30, {{101, 1}});  // another line's cut
  EXPECT_EQ(state(), BookState::Live);
  EXPECT_EQ(id(), 30u);
}

class InStream : public ManagerTest {
 protected:
  InStream() {
    add(0, kStream);
    states();
  }
};

TEST_F(InStream, SnapshotMakesTheBookLiveAndReplacesALiveOne) {
  delta(1, 2);  // before the snapshot: of no use
  EXPECT_EQ(state(), BookState::Stale);
  EXPECT_TRUE(wanted().empty());
  snapshot(10);
  EXPECT_EQ(states(), (Strings{kLive}));
  delta(11, 12, {{101, 1}});
  EXPECT_EQ(id(), 12u);
  snapshot(3, {{50, 1}}, {{60, 1}});  // anew
  EXPECT_EQ(state(), BookState::Live);
  EXPECT_EQ(bids(), (Levels{{50, 1}}));
  delta(4, 4, {{51, 1}});
  EXPECT_EQ(id(), 4u);
}

TEST_F(InStream, AfterAGapOnlyASnapshotHelps) {
  snapshot(10);
  states();
  delta(12, 13);
  EXPECT_EQ(states(), (Strings{stale(StateReason::Gap)}));
  delta(14, 15);
  manager.begin_sync(0);
  EXPECT_EQ(state(), BookState::Stale);
  snapshot(20);
  EXPECT_EQ(state(), BookState::Live);
}

TEST_F(InStream, CrossedSnapshotOfALiveBookIsNotPublished) {
  snapshot(10);
  states();
  const std::size_t snapshots = sink.of(EventType::BookSnapshot).size();
  snapshot(20, {{120, 1}}, {{110, 1}});
  EXPECT_EQ(states(), (Strings{stale(StateReason::Crossed)}));
  EXPECT_EQ(sink.of(EventType::BookSnapshot).size(), snapshots);
  EXPECT_EQ(bids(), (Levels{{100, 5}, {99, 5}}));
}

TEST_F(InStream, PartOfASnapshotLostDistrustsALiveBook) {
  snapshot(10);
  states();
  messages.lose_chunk = 1;
  snapshot(20, Levels(600, PriceLevel{90, 1}));
  EXPECT_EQ(states(), (Strings{stale(StateReason::Gap)}));
}

TEST_F(ManagerTest, UnnumberedDeltasAlwaysApplyAndALostChunkStillShows) {
  add(0, kUnnumbered);
  snapshot(0);
  delta(0, 0, {{101, 1}});
  delta(0, 0, {{102, 1}});
  EXPECT_EQ(bids().front(), (PriceLevel{102, 1}));
  states();
  Levels many;
  for (std::int64_t i = 0; i < 600; ++i) many.push_back({90 - i, 1});
  messages.lose_chunk = 2;  // the last: nothing says so until the next update begins
  delta(0, 0, many);
  EXPECT_EQ(state(), BookState::Live);
  delta(0, 0, {{101, 1}});
  EXPECT_EQ(states(), (Strings{stale(StateReason::Gap)}));
}

// ---- chunks ----------------------------------------------------------------------------------------------

Levels ladder(std::int64_t from, std::int64_t step, std::size_t count, std::int64_t quantity = 1) {
  Levels out;
  for (std::size_t i = 0; i < count; ++i)
    out.push_back({from + step * static_cast<std::int64_t>(i), quantity});
  return out;
}

TEST_F(Manager, ChunkedSnapshotAndDeltaAreAppliedAsOne) {
  delta(9, 10);
  snapshot(10, ladder(100, -1, 1000), ladder(101, 1, 1000));
  EXPECT_EQ(state(), BookState::Live);
  EXPECT_EQ(bids(), ladder(100, -1, 1000));
  EXPECT_EQ(asks(), ladder(101, 1, 1000));
  const std::size_t before = sink.of(EventType::Bbo).size();
  // Crossed until its last chunk is there.
  Levels new_bids = ladder(500, -1, 399, 2);
  Levels new_asks = ladder(101, 1, 400, 0);
  delta(11, 20, new_bids, new_asks);
  EXPECT_EQ(state(), BookState::Live);
  EXPECT_EQ(manager.book(0)->bbo(), (Bbo{{500, 2}, {501, 1}}));
  EXPECT_EQ(sink.of(EventType::Bbo).size(), before + 1);
  EXPECT_EQ(id(), 20u);
}

TEST_F(Manager, DeltasBetweenTheChunksOfASnapshotDoNotDisturbIt) {
  delta(9, 10);
  std::uint64_t next = 11;
  messages.between = [&] {
    auto between = std::move(messages.between);
    messages.between = nullptr;
    delta(next, next, {{static_cast<std::int64_t>(next), 3}});
    ++next;
    messages.between = std::move(between);
  };
  // The fixture's sink is used by both: the slot is written whole each time, so they can take turns.
  const MessageHeader head = header(UpdateType::Snapshot, 0, 10, 10, 0);
  core::LevelWriter writer(messages, head);
  for (const PriceLevel& level : ladder(1000, -1, 700)) writer.add(level);
  writer.begin_asks();
  for (const PriceLevel& level : ladder(1001, 1, 700)) writer.add(level);
  writer.finish();
  messages.between = nullptr;
  EXPECT_EQ(state(), BookState::Live);
  EXPECT_EQ(id(), next - 1);
  EXPECT_EQ(bids().size(), 700u + (next - 11));
  EXPECT_EQ(manager.counters().lost_chunks.get(), 0u);
  EXPECT_EQ(manager.counters().resyncs.get(), 0u);
}

class LostChunk : public Manager, public testing::WithParamInterface<int> {};

TEST_P(LostChunk, OfADeltaResyncsALiveBook) {
  make_live();
  states();
  messages.lose_chunk = GetParam();
  delta(11, 12, ladder(98, -1, 1000, 4));
  // A lost end shows with the next update.
  delta(13, 14, {{97, 8}});
  EXPECT_EQ(states(), (Strings{stale(StateReason::Gap), syncing(StateReason::Subscribed)}));
  EXPECT_EQ(manager.counters().lost_chunks.get(), 1u);
  EXPECT_TRUE(sink.of(EventType::BookDelta).empty());
  snapshot(12);
  EXPECT_EQ(state(), BookState::Live);
  EXPECT_EQ(bids(), (Levels{{100, 5}, {99, 5}, {97, 8}}));
}

TEST_P(LostChunk, OfADeltaWhileSyncingBeginsAnew) {
  delta(9, 10, {{90, 3}});
  messages.lose_chunk = GetParam();
  delta(11, 12, ladder(98, -1, 1000, 4));
  delta(13, 14, {{97, 8}});
  EXPECT_EQ(state(), BookState::Syncing);
  snapshot(10);
  EXPECT_EQ(state(), BookState::Syncing);
  snapshot(12);
  EXPECT_EQ(state(), BookState::Live);
  EXPECT_EQ(bids(), (Levels{{100, 5}, {99, 5}, {97, 8}}));
}

TEST_P(LostChunk, OfASnapshotAsksForAnother) {
  delta(9, 10);
  wanted();
  messages.lose_chunk = GetParam();
  snapshot(10, ladder(100, -1, 500), ladder(101, 1, 500));
  EXPECT_EQ(state(), BookState::Syncing);
  messages.lose_chunk = -1;
  delta(11, 12, {{90, 7}});
  snapshot(11, ladder(100, -1, 500), ladder(101, 1, 500));
  EXPECT_EQ(wanted(), (Reasons{StateReason::SnapshotFailed}));
  EXPECT_EQ(state(), BookState::Live);
  EXPECT_EQ(id(), 12u);
}

TEST_P(LostChunk, OfASnapshotNobodyWaitsForDoesNotHurtALiveBook) {
  make_live();
  states();
  messages.lose_chunk = GetParam();
  snapshot(20, ladder(100, -1, 500), ladder(101, 1, 500));
  delta(11, 12);
  EXPECT_TRUE(states().empty());
  EXPECT_EQ(state(), BookState::Live);
}

INSTANTIATE_TEST_SUITE_P(First0Middle1Last3, LostChunk, testing::Values(0, 1, 2, 3));

TEST_F(Manager, AbandonedChunksAreForgotten) {
  make_live();
  states();
  const MessageHeader head = header(UpdateType::Delta, 0, 11, 12, 0);
  core::LevelWriter writer(messages, head);
  for (const PriceLevel& level : ladder(98, -1, 300)) writer.add(level);
  writer.abandon(StateReason::ParseError);
  EXPECT_EQ(states(), (Strings{stale(StateReason::ParseError)}));
  delta(13, 14, {{90, 8}});
  snapshot(12);
  EXPECT_EQ(state(), BookState::Live);
  EXPECT_EQ(manager.counters().lost_chunks.get(), 0u);
}

TEST_F(Manager, LineDownInTheMiddleOfAChunkedDelta) {
  make_live();
  const MessageHeader head = header(UpdateType::Delta, 0, 11, 12, 0);
  core::LevelWriter writer(messages, head);
  for (const PriceLevel& level : ladder(98, -1, 300)) writer.add(level);
  line_is(LineState::Down);
  line_is(LineState::Up);
  delta(30, 31, {{90, 8}});
  snapshot(30);
  EXPECT_EQ(state(), BookState::Live);
  EXPECT_EQ(manager.counters().lost_chunks.get(), 0u);
}

// ---- output ----------------------------------------------------------------------------------------------

TEST_F(Manager, LiveBookIsPublishedWholeBeforeItsState) {
  now_ns = 500;
  delta(9, 10, {}, {});
  now_ns = 700;
  snapshot(10);
  std::vector<EventType> order;
  for (const Event& event : sink.events) order.push_back(event.header.type);
  ASSERT_GE(order.size(), 4u);
  EXPECT_EQ((std::vector<EventType>(order.end() - 4, order.end())),
            (std::vector<EventType>{EventType::BookSnapshot, EventType::Bbo, EventType::BookSnapshot,
                                    EventType::BookState}));
  const Event snapshot = sink.of(EventType::BookSnapshot).back();
  EXPECT_EQ(snapshot.header.flags, shm::kFlagFirst | shm::kFlagLast);
  EXPECT_EQ(snapshot.header.update_id, 10u);
  EXPECT_EQ(snapshot.header.exchange_id, kExchange);
  EXPECT_EQ(snapshot.header.recv_ts_ns, 700);
  EXPECT_EQ(snapshot.header.bid_count, 2u);
  EXPECT_EQ(snapshot.bids()[0], (PriceLevel{100, 5}));
  EXPECT_EQ(snapshot.asks()[1], (PriceLevel{111, 5}));
}

TEST_F(Manager, BboOnlyWhenItChanged) {
  make_live();
  EXPECT_EQ(sink.of(EventType::Bbo).size(), 1u);
  delta(11, 11, {{98, 1}});
  delta(12, 12, {{100, 5}});
  delta(13, 13, {{100, 6}, {100, 5}});
  delta(14, 14, {}, {{112, 1}});
  EXPECT_EQ(sink.of(EventType::Bbo).size(), 1u);
  delta(15, 15, {{100, 6}});
  delta(16, 16, {}, {{110, 0}});
  const std::vector<Event> bbos = sink.of(EventType::Bbo);
  ASSERT_EQ(bbos.size(), 3u);
  EXPECT_EQ(bbos[1].bbo.bid, (PriceLevel{100, 6}));
  EXPECT_EQ(bbos[2].bbo.ask, (PriceLevel{111, 5}));
  EXPECT_EQ(bbos[2].header.update_id, 16u);
}

TEST_F(Manager, BboAfterAResyncOnlyWhenItChangedEvenToNothing) {
  make_live();
  invalidate(0, StateReason::Requested);
  delta(11, 12);
  snapshot(12);
  EXPECT_EQ(sink.of(EventType::Bbo).size(), 1u);
  invalidate(0, StateReason::Requested);
  delta(13, 14, {});
  snapshot(14, {}, {});
  ASSERT_EQ(sink.of(EventType::Bbo).size(), 2u);
  EXPECT_EQ(sink.of(EventType::Bbo)[1].bbo.bid, (PriceLevel{0, 0}));
  EXPECT_EQ(state(), BookState::Live);
}

TEST_F(Manager, DeltasCarryAbsoluteQuantitiesAsTheyCame) {
  make_live();
  delta(11, 13, {{100, 0}, {97, 4}}, {{110, 9}});
  const Event event = sink.of(EventType::BookDelta).back();
  EXPECT_EQ(event.header.first_update_id, 11u);
  EXPECT_EQ(event.header.update_id, 13u);
  ASSERT_EQ(event.header.bid_count, 2u);
  ASSERT_EQ(event.header.ask_count, 1u);
  EXPECT_EQ(event.bids()[0], (PriceLevel{100, 0}));
  EXPECT_EQ(event.bids()[1], (PriceLevel{97, 4}));
  EXPECT_EQ(event.asks()[0], (PriceLevel{110, 9}));
}

TEST_F(Manager, TradesAndQuotesPassInEveryState) {
  NormalizedMessage& message = *scratch;
  for (std::uint64_t i = 0; i < 2; ++i) {
    message.header = header(UpdateType::Trade, 0, 5, 6, 0);
    message.header.flags = core::kFirst | core::kLast | core::kAggregate;
    message.trade = {100, 3, 77, shm::Side::Sell, {}};
    manager.on_message(message);
    message.header = header(UpdateType::Quote, 0, 0, 8 + i, 0);
    message.levels[0] = {99, 1};
    message.levels[1] = {101, 2};
    manager.on_message(message);
    if (i == 0) make_live();
  }
  const std::vector<Event> trades = sink.of(EventType::Trade);
  ASSERT_EQ(trades.size(), 2u);
  EXPECT_EQ(trades[1].trade.trade_id, 77u);
  EXPECT_EQ(trades[1].trade.side, shm::Side::Sell);
  EXPECT_NE(trades[1].header.flags & shm::kFlagAggregate, 0);
  const Event quote = sink.of(EventType::Bbo).back();
  EXPECT_NE(quote.header.flags & shm::kFlagVenueQuote, 0);
  EXPECT_EQ(quote.header.update_id, 9u);
  EXPECT_EQ(manager.book(0)->bbo().bid.price, 100);  // a quote changes no book
}

TEST_F(Manager, LargeUpdatesBecomeSeveralRecords) {
  make_live();
  delta(11, 12, ladder(98, -1, 400), ladder(200, 1, 200));
  const std::vector<Event> records = sink.of(EventType::BookDelta);
  ASSERT_EQ(records.size(), 3u);
  std::size_t bid_count = 0, ask_count = 0;
  for (std::size_t i = 0; i < records.size(); ++i) {
    EXPECT_EQ((records[i].header.flags & shm::kFlagFirst) != 0, i == 0);
    EXPECT_EQ((records[i].header.flags & shm::kFlagLast) != 0, i == 2);
    EXPECT_TRUE(records[i].header.bid_count == 0 || ask_count == 0);
    bid_count += records[i].header.bid_count;
    ask_count += records[i].header.ask_count;
  }
  EXPECT_EQ(bid_count, 400u);
  EXPECT_EQ(ask_count, 200u);
}

TEST_F(Manager, TableGetsLevelsOnlyWhenTheTopMoved) {
  make_live();
  delta(11, 11, ladder(98, -1, 50));
  const auto last_table = [&] { return sink.events.back().header; };
  EXPECT_NE(last_table().flags & shm::kFlagTableOnly, 0);
  EXPECT_EQ(last_table().flags & shm::kFlagSameLevels, 0);
  EXPECT_EQ(last_table().bid_count, 20u);
  delta(12, 12, {{60, 4}});  // below the best twenty
  EXPECT_NE(last_table().flags & shm::kFlagSameLevels, 0);
  EXPECT_EQ(last_table().update_id, 12u);
  delta(13, 13, {{81, 4}});  // the twentieth
  EXPECT_EQ(last_table().flags & shm::kFlagSameLevels, 0);
}

class TopSnapshots : public ManagerTest {
 protected:
  TopSnapshots()
      : ManagerTest([] {
          BookOptions options;
          options.snapshot_interval_ns = 1000;
          options.table_levels = 3;
          return options;
        }()) {
    add(0);
  }
  std::vector<Event> tops() const {
    std::vector<Event> out;
    for (const Event& event : sink.of(EventType::BookSnapshot)) {
      if ((event.header.flags & shm::kFlagTop) != 0) out.push_back(event);
    }
    return out;
  }
};

TEST_F(TopSnapshots, ComeWithTheFirstUpdateOfEachInterval) {
  now_ns = 10'000;
  make_live();
  for (std::uint64_t id = 11; id < 20; ++id) {
    now_ns += 300;
    delta(id, id, {{static_cast<std::int64_t>(id), 1}});
  }
  // LIVE at 10,000 with the whole book; updates at 10,300, 10,600, ... 12,700.
  const std::vector<Event> found = tops();
  ASSERT_EQ(found.size(), 2u);
  EXPECT_EQ(found[0].header.recv_ts_ns, 11'200);
  EXPECT_EQ(found[1].header.recv_ts_ns, 12'400);
  EXPECT_EQ(found[0].header.bid_count, 3u);
  EXPECT_EQ(found[0].header.ask_count, 2u);
  EXPECT_EQ(found[0].bids()[0], (PriceLevel{100, 5}));
  EXPECT_EQ(found[0].bids()[2], (PriceLevel{14, 1}));
}

TEST_F(Manager, NoTopSnapshotsUnlessAskedFor) {
  make_live();
  now_ns += 1'000'000'000'000;
  delta(11, 11);
  for (const Event& event : sink.of(EventType::BookSnapshot))
    EXPECT_EQ(event.header.flags & shm::kFlagTop, 0);
}

}  // namespace
}  // namespace mdp::book
