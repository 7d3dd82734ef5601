// BookSync, through the manager: the transitions of its table, one by one.
#include <gtest/gtest.h>

#include "book/manager_fixture.hpp"
#include "mdp/book/order_book_manager.hpp"

namespace mdp::book {
namespace {

using namespace test;
using Reasons = std::vector<StateReason>;

// ---- STALE -----------------------------------------------------------------------------------------------

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
  EXPECT_EQ(sink.events.back().header.type, shm::EventType::Instrument) << "readers look at its entry";
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

TEST_F(Manager, SequenceThatStartsAnewByTheVenuesWordEndsLive) {
  make_live();
  states();
  extra_flags = core::kReset;
  delta(1, 1);
  extra_flags = 0;
  EXPECT_EQ(states(), (Strings{stale(StateReason::SequenceReset), syncing(StateReason::Subscribed)}));
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
    line_is(LineState::Up);
    states();
  }
};

TEST_F(InStream, SnapshotMakesTheBookLiveAndReplacesALiveOne) {
  delta(1, 2);  // the snapshot before it was missed
  EXPECT_EQ(wanted(), std::vector{StateReason::Subscribed});
  snapshot(10);
  EXPECT_EQ(states(), (Strings{syncing(StateReason::Subscribed), kLive}));
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
  EXPECT_EQ(states(), (Strings{stale(StateReason::Gap), syncing(StateReason::Subscribed)}));
  EXPECT_EQ(wanted(), std::vector{StateReason::Subscribed});
  delta(14, 15);
  manager.begin_sync(0);
  EXPECT_EQ(state(), BookState::Syncing);
  EXPECT_TRUE(wanted().empty());
  snapshot(20);
  EXPECT_EQ(state(), BookState::Live);
}

TEST_F(InStream, CrossedSnapshotOfALiveBookIsNotPublished) {
  snapshot(10);
  states();
  const std::size_t snapshots = sink.of(EventType::BookSnapshot).size();
  snapshot(20, {{120, 1}}, {{110, 1}});
  EXPECT_EQ(states(), (Strings{stale(StateReason::Crossed), syncing(StateReason::Crossed)}));
  EXPECT_EQ(wanted(), std::vector{StateReason::Crossed});
  EXPECT_EQ(sink.of(EventType::BookSnapshot).size(), snapshots);
  EXPECT_EQ(bids(), (Levels{{100, 5}, {99, 5}}));
}

TEST_F(InStream, PartOfASnapshotLostDistrustsALiveBook) {
  snapshot(10);
  states();
  messages.lose_chunk = 1;
  snapshot(20, Levels(600, PriceLevel{90, 1}));
  EXPECT_EQ(states(), (Strings{stale(StateReason::Gap), syncing(StateReason::Gap)}));
  EXPECT_EQ(wanted(), std::vector{StateReason::Gap});
}

TEST_F(ManagerTest, UnnumberedDeltasAlwaysApplyAndALostChunkStillShows) {
  add(0, kUnnumbered);
  line_is(LineState::Up);
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
  EXPECT_EQ(states(), (Strings{stale(StateReason::Gap), syncing(StateReason::Gap)}));
}

}  // namespace
}  // namespace mdp::book
