// Books of venues whose snapshots come in the stream: whatever goes wrong, another snapshot is asked for, and
// the one that comes begins the book; counters that are set back; keep-alive updates; frames that are the
// whole book.
#include <gtest/gtest.h>

#include "book/manager_fixture.hpp"

namespace mdp::book {
namespace {

using namespace test;

constexpr core::LineId kA = 3, kB = 4;
constexpr std::int64_t kSecond = 1'000'000'000;

class Chain : public ManagerTest {
 protected:
  explicit Chain(const BookRule& rule = kChain, std::vector<core::LineId> lines = {kA},
                 const BookOptions& options = {})
      : ManagerTest(options) {
    add(0, rule, lines);
    for (const core::LineId id : lines) line_is(LineState::Up, id);
    states();
  }
  // Deltas of a chain: no first id.
  void link(std::uint64_t prev, std::uint64_t last, const Levels& bids = {{100, 1}},
            const Levels& asks = {}) {
    now_ns += 1000;
    delta_of(0, 0, last, bids, asks, prev);
  }
  void link_on(core::LineId on, std::uint64_t prev, std::uint64_t last, const Levels& bids = {{100, 1}}) {
    line = on;
    link(prev, last, bids);
  }
  Strings trouble(StateReason reason) { return {stale(reason), syncing(reason)}; }
};

TEST_F(Chain, ASnapshotBeginsTheBookAndDeltasFollowIt) {
  snapshot(10);
  EXPECT_EQ(states(), Strings{kLive});
  link(10, 500, {{101, 1}});
  EXPECT_EQ(id(), 500u);
  EXPECT_EQ(bids().front(), (PriceLevel{101, 1}));
  EXPECT_TRUE(wanted().empty());
}

// ---- every trouble asks for another snapshot -------------------------------------------------------------

TEST_F(Chain, AGapAsksForASnapshot) {
  snapshot(10);
  states();
  link(15, 20);
  EXPECT_EQ(states(), (Strings{stale(StateReason::Gap), syncing(StateReason::Subscribed)}));
  EXPECT_EQ(wanted(), std::vector{StateReason::Subscribed});
  link(20, 25);  // still of the old subscription
  EXPECT_TRUE(wanted().empty());
  snapshot(30, {{90, 1}}, {{95, 1}});
  EXPECT_EQ(states(), Strings{kLive});
  EXPECT_EQ(bids(), (Levels{{90, 1}}));
  link(30, 31, {{91, 1}});
  EXPECT_EQ(id(), 31u);
}

TEST_F(Chain, AnOverlapIsAGap) {
  snapshot(10);
  link(5, 20);
  EXPECT_EQ(state(), BookState::Syncing);
  EXPECT_EQ(manager.counters().gaps.get(), 1u);
}

TEST_F(Chain, ACrossedBookAsksForASnapshot) {
  snapshot(10);
  states();
  link(10, 11, {{120, 1}});
  EXPECT_EQ(states(), trouble(StateReason::Crossed));
  EXPECT_EQ(wanted(), std::vector{StateReason::Crossed});
  snapshot(12);
  EXPECT_EQ(states(), Strings{kLive});
}

TEST_F(Chain, AnUnreadableFrameAsksForASnapshot) {
  snapshot(10);
  states();
  invalidate(0, StateReason::ParseError);
  EXPECT_EQ(states(), trouble(StateReason::ParseError));
  EXPECT_EQ(wanted(), std::vector{StateReason::ParseError});
  invalidate(0, StateReason::ParseError);  // it may have been the snapshot
  EXPECT_EQ(wanted(), std::vector{StateReason::ParseError});
  snapshot(12);
  EXPECT_EQ(state(), BookState::Live);
}

TEST_F(Chain, ABrokenSnapshotAsksForAnother) {
  snapshot(10);
  link(20, 21);
  wanted();
  messages.lose_chunk = 1;
  snapshot(30, Levels(600, PriceLevel{90, 1}));
  EXPECT_EQ(wanted(), std::vector{StateReason::SnapshotFailed});
  snapshot(31);
  EXPECT_EQ(state(), BookState::Live);
}

TEST_F(Chain, ControlMayAskForASnapshot) {
  snapshot(10);
  states();
  manager.request_resync(0);
  EXPECT_EQ(states(), trouble(StateReason::Requested));
  EXPECT_EQ(wanted(), std::vector{StateReason::Requested});
}

// The subscription of a connection made anew brings its own.
TEST_F(Chain, ALostLineAsksForNothing) {
  snapshot(10);
  states();
  line_is(LineState::Down);
  EXPECT_EQ(states(), Strings{stale(StateReason::Disconnected)});
  line_is(LineState::Up);
  EXPECT_TRUE(wanted().empty());
  snapshot(5);
  EXPECT_EQ(states(), Strings{kLive});
  link(5, 6);
  EXPECT_EQ(id(), 6u);
}

TEST_F(Chain, ARefusedSymbolAsksForNothing) {
  invalidate(0, StateReason::Rejected);
  EXPECT_EQ(states(), Strings{stale(StateReason::Rejected)});
  EXPECT_TRUE(wanted().empty());
}

TEST_F(Chain, AQuietSymbolIsAskedForByControl) {
  manager.begin_sync(0);
  EXPECT_EQ(wanted(), std::vector{StateReason::Subscribed});
}

class ChainOfSmallBuffer : public Chain {
 protected:
  ChainOfSmallBuffer() : Chain(kChain, {kA}, options()) {}
  static BookOptions options() {
    BookOptions options;
    options.max_buffered_deltas = 2;
    return options;
  }
};
TEST_F(ChainOfSmallBuffer, AFullBufferAsksOnceMore) {
  link(1, 2);
  link(2, 3);
  wanted();
  link(3, 4);
  EXPECT_EQ(wanted(), std::vector{StateReason::BufferOverflow});
  EXPECT_EQ(state(), BookState::Syncing);
}

// ---- counters that are set back, and keep-alive updates --------------------------------------------------

TEST_F(Chain, ACounterThatWasSetBackGoesOn) {
  snapshot(10);
  link(10, 15);
  states();
  link(15, 3, {{101, 1}});
  EXPECT_EQ(id(), 3u);
  link(3, 5, {{102, 1}});
  EXPECT_EQ(id(), 5u);
  EXPECT_EQ(bids().front(), (PriceLevel{102, 1}));
  EXPECT_EQ(states(), Strings{});
  link(6, 7);  // and a gap is one as before
  EXPECT_EQ(state(), BookState::Syncing);
}

TEST_F(Chain, ACounterThatWasSetBackMayBeTheFirstAfterTheSnapshot) {
  snapshot(1'000'000'000);
  link(1'000'000'000, 3);
  link(3, 4);
  EXPECT_EQ(state(), BookState::Live);
  EXPECT_EQ(id(), 4u);
}

TEST_F(Chain, AParserThatFillsInTheFirstIdChangesNothing) {
  snapshot(10);
  delta_of(0, 11, 15, {{101, 1}}, {}, 10);
  delta_of(0, 16, 3, {{102, 1}}, {}, 15);
  delta_of(0, 4, 5, {{103, 1}}, {}, 3);
  EXPECT_EQ(state(), BookState::Live);
  EXPECT_EQ(id(), 5u);
}

TEST_F(Chain, AStepBackThatNothingLinksIsASequenceThatBegunAnew) {
  snapshot(10);
  link(10, 15);
  states();
  link(17, 3);
  EXPECT_EQ(states(), trouble(StateReason::SequenceReset));
  EXPECT_EQ(wanted(), std::vector{StateReason::SequenceReset});
}

TEST_F(Chain, AKeepAliveMovesTheTimesAlone) {
  snapshot(10);
  states();
  sink.events.clear();
  seen = 0;
  now_ns += kSecond;
  link(10, 10, {});
  EXPECT_EQ(id(), 10u);
  ASSERT_EQ(sink.events.size(), 1u);
  const shm::EventHeader& event = sink.events[0].header;
  EXPECT_EQ(event.flags & (core::kFlagTableOnly | core::kFlagSameLevels),
            core::kFlagTableOnly | core::kFlagSameLevels);
  EXPECT_EQ(event.recv_ts_ns, now_ns);
  EXPECT_EQ(event.update_id, 10u);
  EXPECT_EQ(manager.counters().updates.get(), 0u);
  link(10, 12);
  EXPECT_EQ(id(), 12u);
}

TEST_F(Chain, APreviousIdOfZeroIsAGap) {
  snapshot(10);
  link(0, 11);
  EXPECT_EQ(wanted(), std::vector{StateReason::Subscribed});
}

class EmptyBook : public Chain {
 protected:
  static BookRule rule() {
    BookRule rule = kChain;
    rule.empty_snapshot_has_no_id = true;
    return rule;
  }
  EmptyBook() : Chain(kRule) {}
  inline static const BookRule kRule = rule();
};
TEST_F(EmptyBook, IsFollowedByWhateverComes) {
  snapshot(0, {}, {});
  EXPECT_EQ(state(), BookState::Live);
  link(0, 50, {{100, 1}});
  link(50, 60, {{101, 1}});
  EXPECT_EQ(bids(), (Levels{{101, 1}, {100, 1}}));
  link(0, 70);
  EXPECT_EQ(state(), BookState::Syncing);
}

// ---- restarts --------------------------------------------------------------------------------------------

class Restarting : public Chain {
 protected:
  static constexpr BookRule kRule{.continuity = core::Continuity::FirstIsNext,
                                  .join = core::Join::InSequence,
                                  .snapshot_source = core::SnapshotSource::Stream,
                                  .lines_share_ids = true,
                                  .restart_id = 1};
  explicit Restarting(std::vector<core::LineId> lines = {kA}) : Chain(kRule, std::move(lines)) {}
};
TEST_F(Restarting, AWholeBookInADeltaOfTheRestartIdReplacesTheBook) {
  snapshot(1000);
  delta(1001, 1001);
  states();
  delta(1, 1, {{50, 1}}, {{60, 1}});
  EXPECT_EQ(states(), Strings{kLive});
  EXPECT_EQ(bids(), (Levels{{50, 1}}));
  delta(2, 2, {{51, 1}});
  EXPECT_EQ(id(), 2u);
  EXPECT_TRUE(wanted().empty());
}
TEST_F(Restarting, AlsoWhereASnapshotIsWaitedFor) {
  delta(7, 7);
  EXPECT_EQ(state(), BookState::Syncing);
  delta(1, 1, {{50, 1}}, {{60, 1}});
  EXPECT_EQ(state(), BookState::Live);
  EXPECT_EQ(bids(), (Levels{{50, 1}}));
}
TEST_F(Restarting, ASnapshotMayComeAtAnyTime) {
  snapshot(1000);
  snapshot(1, {{50, 1}}, {{60, 1}});
  delta(2, 2, {{51, 1}});
  EXPECT_EQ(state(), BookState::Live);
  EXPECT_EQ(id(), 2u);
}

class RestartingOnTwoLines : public Restarting {
 protected:
  RestartingOnTwoLines() : Restarting({kA, kB}) {}
};
TEST_F(RestartingOnTwoLines, TheFirstLineToRestartTakesTheBookAlong) {
  for (const core::LineId id : {kA, kB}) {
    line = id;
    snapshot(1000);
  }
  line = kB;
  delta(1001, 1001, {{99, 7}});
  line = kA;
  delta(1001, 1001, {{99, 7}});
  states();
  now_ns += 1000;
  snapshot(1, {{50, 1}}, {{60, 1}});
  delta(2, 2, {{51, 1}});
  EXPECT_EQ(id(), 2u);
  EXPECT_EQ(bids(), (Levels{{51, 1}, {50, 1}}));
  line = kB;
  now_ns -= 1000;
  delta(1002, 1002, {{99, 1}});  // still of the old sequence
  EXPECT_EQ(id(), 2u);
  now_ns += 1000;
  snapshot(1, {{50, 1}}, {{60, 1}});  // a copy
  EXPECT_EQ(id(), 2u);
  now_ns += 1000;
  delta(2, 2, {{51, 1}});
  delta(3, 3, {{52, 1}});
  EXPECT_EQ(id(), 3u);
  EXPECT_EQ(state(), BookState::Live);
}

// ---- batches that begin with the last id of the one before -----------------------------------------------

class Overlapping : public Chain {
 protected:
  static constexpr BookRule kRule{.continuity = core::Continuity::FirstUpToLast,
                                  .join = core::Join::InSequence,
                                  .snapshot_source = core::SnapshotSource::Stream};
  Overlapping() : Chain(kRule) {}
  void batch(std::uint64_t first, std::uint64_t last) {
    now_ns += 1000;  // made later each time: a step back by less than a batch would be a sequence begun anew
    delta(first, last);
  }
};
TEST_F(Overlapping, FollowEachOther) {
  snapshot(100);
  states();
  batch(100, 105);
  batch(105, 130);
  batch(130, 131);
  EXPECT_EQ(id(), 131u);
  EXPECT_EQ(states(), Strings{});
  batch(132, 140);
  EXPECT_EQ(states(), (Strings{stale(StateReason::Gap), syncing(StateReason::Subscribed)}));
}

// ---- two lines -------------------------------------------------------------------------------------------

class ChainOnTwoLines : public Chain {
 protected:
  ChainOnTwoLines() : Chain(kChain, {kA, kB}) {}
};
TEST_F(ChainOnTwoLines, EachFillsTheHolesOfTheOther) {
  snapshot(10);
  link_on(kB, 10, 11);
  link_on(kA, 11, 12);  // A lost (10, 11), which B had
  EXPECT_EQ(id(), 12u);
  link_on(kA, 15, 20, {{101, 1}});  // waits
  EXPECT_EQ(id(), 12u);
  link_on(kB, 11, 12);
  link_on(kB, 12, 15);
  EXPECT_EQ(id(), 20u);
  EXPECT_EQ(state(), BookState::Live);
  EXPECT_TRUE(wanted().empty());
}
TEST_F(ChainOnTwoLines, BothStepBackOneAfterTheOther) {
  snapshot(10);
  link_on(kA, 10, 15);
  link_on(kB, 10, 15);
  link_on(kA, 15, 3, {{101, 1}});
  link_on(kA, 3, 4, {{102, 1}});
  link_on(kB, 15, 3, {{101, 1}});
  link_on(kB, 3, 4, {{102, 1}});
  link_on(kB, 4, 6, {{103, 1}});
  link_on(kA, 4, 6, {{103, 1}});
  link_on(kA, 6, 7, {{104, 1}});
  EXPECT_EQ(state(), BookState::Live);
  EXPECT_EQ(id(), 7u);
  EXPECT_EQ(bids().front(), (PriceLevel{104, 1}));
}
// A steps back behind a hole that the late line B would have filled: nobody can tell the ids apart, so the
// book is made anew. It must not stay LIVE at the old id.
TEST_F(ChainOnTwoLines, AStepBackBehindAHoleMakesTheBookAnew) {
  snapshot(10);
  link_on(kB, 10, 11);
  link_on(kA, 10, 11);
  link_on(kA, 12, 15);  // waits for (11, 12)
  states();
  link_on(kA, 15, 3);
  EXPECT_EQ(states(), trouble(StateReason::SequenceReset));
  EXPECT_FALSE(wanted().empty());
}
TEST_F(ChainOnTwoLines, WhatTheOtherLineBroughtBehindTheSnapshotJoinsIt) {
  snapshot(10);
  link_on(kA, 12, 13);
  link_on(kB, 12, 13);  // nobody has (10, 12)
  ASSERT_EQ(state(), BookState::Syncing);
  link_on(kB, 13, 14, {{101, 1}});
  link_on(kB, 14, 15, {{102, 1}});
  line = kA;
  snapshot(14, {{101, 1}}, {{110, 1}});
  EXPECT_EQ(state(), BookState::Live);
  EXPECT_EQ(id(), 15u);
  link_on(kA, 14, 15, {{102, 1}});
  link_on(kA, 15, 16, {{103, 1}});
  EXPECT_EQ(id(), 16u);
}
TEST_F(ChainOnTwoLines, WhereTheOtherLineIsAheadTheSnapshotsOwnLineGoesOn) {
  link_on(kB, 20, 21);
  line = kA;
  snapshot(14, {{101, 1}}, {{110, 1}});
  EXPECT_EQ(state(), BookState::Live);
  link_on(kA, 14, 20, {{102, 1}});
  link_on(kA, 20, 21, {{103, 1}});
  link_on(kB, 21, 22, {{104, 1}});
  EXPECT_EQ(id(), 22u);
}

// ---- every frame is the whole book -----------------------------------------------------------------------

class Frames : public Chain {
 protected:
  static constexpr BookRule kRule{.continuity = core::Continuity::Grows,
                                  .snapshot_source = core::SnapshotSource::EveryFrame};
  Frames() : Chain(kRule) {}
};
TEST_F(Frames, EachReplacesTheOneBefore) {
  snapshot(10);
  EXPECT_EQ(states(), Strings{kLive});
  snapshot(20, {{90, 1}}, {{95, 1}});
  EXPECT_EQ(bids(), (Levels{{90, 1}}));
  EXPECT_EQ(asks(), (Levels{{95, 1}}));
  EXPECT_EQ(id(), 20u);
  EXPECT_EQ(states(), Strings{});  // LIVE all the time
  RebuiltBooks rebuilt;
  for (const Event& event : sink.events) rebuilt.read(event);
  EXPECT_EQ(rebuilt.books[0].levels.best_first_bids(), bids());
  EXPECT_EQ(rebuilt.books[0].bbo, manager.book(0)->bbo());
  EXPECT_EQ(rebuilt.books[0].table_bids, bids());
}
TEST_F(Frames, AnOlderOneIsDroppedAndTheSameOnceMoreIsAKeepAlive) {
  snapshot(10);
  snapshot(9, {{90, 1}}, {{95, 1}});
  EXPECT_EQ(id(), 10u);
  EXPECT_EQ(manager.counters().duplicates.get(), 1u);
  const std::size_t snapshots = sink.of(EventType::BookSnapshot).size();
  snapshot(10);
  EXPECT_EQ(sink.of(EventType::BookSnapshot).size(), snapshots);
}
TEST_F(Frames, TheNextOneHealsAndNothingIsAskedFor) {
  snapshot(10);
  states();
  snapshot(11, {{120, 1}}, {{110, 1}});
  EXPECT_EQ(states(), Strings{stale(StateReason::Crossed)});
  snapshot(12);
  EXPECT_EQ(states(), Strings{kLive});
  invalidate(0, StateReason::ParseError);
  EXPECT_EQ(states(), Strings{stale(StateReason::ParseError)});
  snapshot(13);
  EXPECT_EQ(states(), Strings{kLive});
  EXPECT_TRUE(wanted().empty());
}

}  // namespace
}  // namespace mdp::book
