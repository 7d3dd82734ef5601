// Ids that begin anew on a line: books that would be LIVE and frozen for ever. And all that looks like it and
// must not end LIVE: copies, late frames, lines that lag, connections that are replaced.
#include <gtest/gtest.h>

#include "book/manager_fixture.hpp"

namespace mdp::book::test {
namespace {

using Reasons = std::vector<StateReason>;

constexpr std::int64_t kMs = 1'000'000;
constexpr core::LineId kA = kLine;
constexpr core::LineId kB = kLine + 1;
constexpr std::uint64_t kOld = 5'000'000'008;

const Strings kAnew{stale(StateReason::SequenceReset), syncing(StateReason::Subscribed)};

// A book LIVE at kOld on line kA, of which line kB brings copies.
class Anew : public ManagerTest {
 protected:
  explicit Anew(const BookRule& rule = kSpot) {
    now_ns = 1'000'000 * kMs;
    add(0, rule, {kA, kB});
    make_live(0, kOld);
    states();
    wanted();
  }
  void on(core::LineId id) { line = id; }
  // 100 ms later, the next batch.
  void batch(std::uint64_t first, std::uint64_t last, const Levels& bids = {{100, 1}}) {
    now_ns += 100 * kMs;
    delta(first, last, bids);
  }
  // The message of a moment before, with its time: a copy or a late one.
  void old_batch(std::int64_t age_ns, std::uint64_t first, std::uint64_t last) {
    MessageHeader head = header(UpdateType::Delta, 0, first, last, 0);
    head.exch_ts_ns -= age_ns;
    write(head, {{100, 1}}, {});
  }
  void both_lines() {
    line_is(LineState::Up, kB);
    on(kB);
    delta(kOld - 1, kOld, {});
    on(kA);
    ASSERT_EQ(state(), BookState::Live);
    states();
  }
};

TEST_F(Anew, OneUpdateThatWasMadeLaterAndNumberedLowerEndsLive) {
  batch(1, 4, {{100, 0}, {99, 0}, {50, 3}});
  EXPECT_EQ(states(), kAnew);
  EXPECT_EQ(wanted(), (Reasons{StateReason::Subscribed}));
  EXPECT_EQ(manager.counters().resyncs.get(), 1u);
  batch(5, 5, {{50, 5}});
  snapshot(3, {{50, 2}}, {{51, 3}});  // the update is in the buffer, and follows it
  EXPECT_EQ(states(), Strings{kLive});
  EXPECT_EQ(id(), 5u);
  EXPECT_EQ(bids(), (Levels{{50, 5}}));
  batch(6, 6, {{50, 6}});
  EXPECT_EQ(id(), 6u);
  EXPECT_EQ(bids(), (Levels{{50, 6}}));
  // Numbers tell the snapshot of one sequence from that of another only roughly, so another one is asked for.
  EXPECT_EQ(listener.suspects, std::vector<core::SymbolId>{0});
  EXPECT_EQ(manager.counters().suspicions.get(), 1u);
}

TEST_F(Anew, AStepBackWithinWhatTheLineHasBroughtIsSeenAsWell) {
  for (std::uint64_t i = 1; i <= 500; ++i) batch(kOld + i, kOld + i);
  states();
  batch(kOld + 400, kOld + 401, {{50, 1}});
  EXPECT_EQ(states(), kAnew);
  snapshot(kOld + 401, {{50, 1}});
  EXPECT_EQ(state(), BookState::Live);
  EXPECT_EQ(bids(), (Levels{{50, 1}}));
}

// Less than a batch: the numbers alone say that it overlaps what is applied, and goes on behind it.
TEST_F(Anew, AStepBackOfAFewIdsIsSeenAsWell) {
  batch(kOld + 1, kOld + 10);
  batch(kOld + 8, kOld + 15, {{50, 1}});
  EXPECT_EQ(states(), kAnew);
  snapshot(kOld + 15, {{50, 1}});
  EXPECT_EQ(state(), BookState::Live);
  EXPECT_EQ(bids(), (Levels{{50, 1}}));
}

TEST_F(Anew, ASnapshotOfTheSequenceThatEndedIsNotTaken) {
  batch(1, 4);
  wanted();
  for (const std::uint64_t old : {kOld - 5, kOld, kOld + 3}) {
    snapshot(old);
    EXPECT_EQ(state(), BookState::Syncing);
    EXPECT_EQ(wanted(), (Reasons{StateReason::SnapshotTooOld}));
  }
  EXPECT_EQ(manager.counters().snapshots_too_old.get(), 3u);
  EXPECT_TRUE(sink.of(EventType::BookSnapshot).size() == 1u);  // of the book that was LIVE before
  snapshot(40);                                                // ahead of the updates, as snapshots are
  EXPECT_EQ(state(), BookState::Live);
  EXPECT_EQ(id(), 40u);
  batch(39, 42, {{101, 7}});
  EXPECT_EQ(bids().front(), (PriceLevel{101, 7}));
}

TEST_F(Anew, WhatIsBufferedOfTheSequenceThatEndedIsGone) {
  invalidate(0, StateReason::ParseError);
  batch(kOld + 9, kOld + 10, {{90, 1}});
  batch(kOld + 11, kOld + 12, {{91, 1}});
  states();
  wanted();
  batch(1, 4, {{92, 1}});
  EXPECT_EQ(states(), kAnew);
  EXPECT_EQ(wanted(), (Reasons{StateReason::Subscribed}));  // the one under way is of the other sequence
  EXPECT_EQ(manager.counters().resyncs.get(), 1u);          // the unreadable frame
  snapshot(kOld + 10);
  EXPECT_EQ(state(), BookState::Syncing);
  snapshot(2);
  EXPECT_EQ(state(), BookState::Live);
  EXPECT_EQ(bids(), (Levels{{100, 5}, {99, 5}, {92, 1}}));
  EXPECT_EQ(id(), 4u);
}

TEST_F(Anew, ABookThatIsStaleForAnotherReasonBeginsToSyncAsEver) {
  invalidate(0, StateReason::ParseError);
  states();
  batch(1, 4);
  EXPECT_EQ(states(), Strings{syncing(StateReason::Subscribed)});
  snapshot(kOld + 1);
  EXPECT_EQ(state(), BookState::Syncing);
  snapshot(4);
  EXPECT_EQ(state(), BookState::Live);
}

TEST_F(Anew, TheVenueMayBeginAnewAgain) {
  for (int round = 0; round < 3; ++round) {
    batch(1, 4);
    EXPECT_EQ(states(), kAnew);
    snapshot(4);
    EXPECT_EQ(states(), Strings{kLive});
    for (std::uint64_t i = 5; i < 50; ++i) batch(i, i);
    EXPECT_EQ(id(), 49u);
  }
  // And go on where it was, which is a gap.
  batch(kOld + 1, kOld + 2);
  EXPECT_EQ(states(), (Strings{stale(StateReason::Gap), syncing(StateReason::Subscribed)}));
  snapshot(kOld + 2);
  EXPECT_EQ(state(), BookState::Live);
  batch(kOld + 3, kOld + 3);
  EXPECT_EQ(id(), kOld + 3);
}

// Synced from the snapshot alone: no line has brought an update that an id could be compared with.
TEST_F(Anew, AQuietBookIsKnownByItsSnapshot) {
  add(1);
  manager.begin_sync(1);
  snapshot_of(1, kOld, {{100, 5}}, {{110, 5}});
  ASSERT_EQ(state(1), BookState::Live);
  states(1);
  delta_of(1, kOld - 9, kOld - 2);  // behind it, as updates may be for a moment
  EXPECT_EQ(states(1), Strings{});
  add(2);
  manager.begin_sync(2);
  snapshot_of(2, kOld, {{100, 5}}, {{110, 5}});
  states(2);
  delta_of(2, 1, 4);
  EXPECT_EQ(states(2), kAnew);
}

TEST_F(Anew, UpdatesThatNeverGetToTheSnapshotEndLive) {
  add(1);
  delta_of(1, 900, 901);
  snapshot_of(1, 1'000, {{100, 5}}, {{110, 5}});  // ahead, or of another sequence: nobody can tell yet
  ASSERT_EQ(state(1), BookState::Live);
  states(1);
  for (std::uint64_t i = 902; i < 952; ++i) {
    now_ns += 100 * kMs;
    delta_of(1, i, i);
    EXPECT_EQ(states(1), Strings{}) << i;
  }
  now_ns += 100 * kMs;
  delta_of(1, 952, 952);
  EXPECT_EQ(states(1), kAnew);
  snapshot_of(1, 1'001, {{100, 5}}, {{110, 5}});
  EXPECT_EQ(state(1), BookState::Syncing);
  snapshot_of(1, 952, {{100, 5}}, {{110, 5}});
  EXPECT_EQ(state(1), BookState::Live);
}

// A book of small numbers, so nothing is far below; and it is quiet, so nothing comes in a row.
TEST_F(Anew, OneUpdateOfJustNowBelowAnOldSnapshotEndsLive) {
  for (const core::SymbolId symbol : {core::SymbolId{1}, core::SymbolId{2}}) {
    add(symbol);
    manager.begin_sync(symbol);
    snapshot_of(symbol, 282'106, {{100, 5}}, {{110, 5}});
    states(symbol);
  }
  delta_of(1, 282'101, 282'106);  // of the moment before
  EXPECT_EQ(states(1), Strings{});
  now_ns += 6'000 * kMs;
  delta_of(1, 282'107, 282'108);
  EXPECT_EQ(id(1), 282'108u);
  delta_of(2, 1, 2);
  EXPECT_EQ(states(2), kAnew);
}

// The first snapshot is of a sequence that ended before we came.
TEST_F(Anew, ASnapshotThatNoLagExplainsIsNotTaken) {
  add(1);
  delta_of(1, 1, 4);
  wanted(1);
  snapshot_of(1, kOld, {{100, 5}}, {{110, 5}});
  EXPECT_EQ(state(1), BookState::Syncing);
  EXPECT_EQ(wanted(1), (Reasons{StateReason::SnapshotTooOld}));
}

// ---- without times of the venue's ----

class AnewUntimed : public ManagerTest {
 protected:
  AnewUntimed() {
    now_ns = 5;  // the fixture's venue sends 5 ns before: 0, no time
    add(0);
    make_live(0, kOld);
    states();
  }
};

TEST_F(AnewUntimed, FarBelowIsEnough) {
  delta(1, 4);
  EXPECT_EQ(states(), kAnew);
}

TEST_F(AnewUntimed, NearIdsHaveToComeInARow) {
  for (std::uint64_t i = kOld + 1; i <= kOld + 500; ++i) delta(i, i);
  for (std::uint64_t i = 0; i < 15; ++i) {
    delta(kOld + 400 + i, kOld + 400 + i, {{50, 1}});
    EXPECT_EQ(states(), Strings{}) << i;
  }
  delta(kOld + 415, kOld + 415, {{50, 1}});
  EXPECT_EQ(states(), kAnew);
  snapshot(kOld + 415, {{50, 1}});
  EXPECT_EQ(state(), BookState::Live);
}

// ---- futures: ids that all symbols share, so they skip ----

class AnewFutures : public Anew {
 protected:
  AnewFutures() : Anew(kFutures) {}
};

TEST_F(AnewFutures, TheChainBeginsAnew) {
  now_ns += 100 * kMs;
  linked(0, 17, 40, {{50, 3}});
  EXPECT_EQ(states(), kAnew);
  now_ns += 100 * kMs;
  linked(40, 55, 90, {{50, 4}});
  snapshot(30, {{50, 1}});
  EXPECT_EQ(states(), Strings{kLive});
  EXPECT_EQ(id(), 90u);
  EXPECT_EQ(bids(), (Levels{{50, 4}}));
}

// ---- what is no beginning ----

TEST_F(Anew, CopiesAndLateFramesOfALineEndNothing) {
  for (std::uint64_t i = 1; i <= 300; ++i) {
    batch(kOld + i, kOld + i);
    old_batch(0, kOld + i, kOld + i);                                  // the same again
    if (i > 40) old_batch(4'000 * kMs, kOld + i - 40, kOld + i - 40);  // one of 40 batches ago
  }
  // Its last 60, all once more.
  for (std::uint64_t i = 60; i > 0; --i)
    old_batch(static_cast<std::int64_t>(i) * 100 * kMs, kOld + 300 - i, kOld + 300 - i);
  EXPECT_EQ(states(), Strings{});
  EXPECT_EQ(id(), kOld + 300);
  EXPECT_EQ(manager.counters().gaps.get(), 0u);
}

TEST_F(Anew, SwappedFramesAreAGapAndNoBeginning) {
  now_ns += 200 * kMs;
  delta(kOld + 2, kOld + 2);
  EXPECT_EQ(states(), (Strings{stale(StateReason::Gap), syncing(StateReason::Subscribed)}));
  old_batch(100 * kMs, kOld + 1, kOld + 1);
  EXPECT_EQ(states(), Strings{});
  snapshot(kOld + 2);
  EXPECT_EQ(state(), BookState::Live);
}

TEST_F(Anew, ALineThatLagsFarBehindEndsNothing) {
  both_lines();
  constexpr std::uint64_t kLag = 2'000;
  for (std::uint64_t i = 1; i <= kLag; ++i) batch(kOld + i, kOld + i);
  on(kB);
  for (std::uint64_t i = 1; i <= kLag; ++i) {
    now_ns += 10 * kMs;
    old_batch(200'000 * kMs, kOld + i, kOld + i);
  }
  EXPECT_EQ(states(), Strings{});
  EXPECT_EQ(id(), kOld + kLag);
  batch(kOld + kLag + 1, kOld + kLag + 1);
  EXPECT_EQ(id(), kOld + kLag + 1);
}

// Two servers of the venue cut their batches at other moments, and their clocks differ.
TEST_F(Anew, ALineWithALaterClockIsNoBeginning) {
  both_lines();
  for (std::uint64_t i = 1; i <= 500; ++i) {
    on(kA);
    batch(kOld + 10 * i - 5, kOld + 10 * i + 4);
    on(kB);
    old_batch(-3 * kMs, kOld + 10 * i - 9, kOld + 10 * i);  // ends below, and was made later by its clock
  }
  EXPECT_EQ(states(), Strings{});
  EXPECT_EQ(manager.counters().gaps.get(), 0u);
}

TEST_F(Anew, AConnectionThatIsReplacedEndsNothing) {
  for (int round = 0; round < 4; ++round) {
    const core::LineId old = round % 2 == 0 ? kA : kB;
    const core::LineId fresh = round % 2 == 0 ? kB : kA;
    line_is(LineState::Up, fresh);
    for (int i = 0; i < 30; ++i) {  // both carry everything, interleaved, the new one a batch behind
      on(old);
      batch(id() + 1, id() + 3);
      on(fresh);
      if (i > 0) old_batch(100 * kMs, id() - 5, id() - 3);
      if (i == 29) old_batch(0, id() - 2, id());
    }
    line_is(LineState::Down, old);
    on(fresh);
    batch(id() + 1, id() + 1);
  }
  EXPECT_EQ(states(), Strings{});
  EXPECT_EQ(manager.counters().gaps.get(), 0u);
}

// ---- two lines, of which one begins anew before the other ----

TEST_F(Anew, WhatTheOtherLineStillBringsOfTheOldSequenceIsDropped) {
  both_lines();
  batch(kOld + 1, kOld + 1);
  batch(1, 4, {{92, 1}});
  EXPECT_EQ(states(), kAnew);
  on(kB);
  batch(kOld + 1, kOld + 1, {{93, 1}});
  on(kA);
  batch(5, 5, {{94, 1}});
  on(kB);
  batch(kOld + 2, kOld + 2, {{95, 1}});
  snapshot(4);
  EXPECT_EQ(states(), Strings{kLive});
  EXPECT_EQ(bids(), (Levels{{100, 5}, {99, 5}, {94, 1}}));
  on(kB);
  batch(kOld + 3, kOld + 3, {{96, 1}});
  EXPECT_EQ(id(), 5u);
  // It begins anew as well: copies now, and then it is as good as the other.
  batch(1, 4);
  batch(5, 5);
  EXPECT_EQ(id(), 5u);
  batch(6, 6, {{97, 1}});
  EXPECT_EQ(id(), 6u);
  on(kA);
  batch(6, 6, {{97, 1}});
  batch(7, 7, {{98, 1}});
  EXPECT_EQ(id(), 7u);
  EXPECT_EQ(states(), Strings{});
  EXPECT_EQ(manager.counters().gaps.get(), 0u);
}

// A step back of a few ids: what the late line brings looks as if it followed.
TEST_F(Anew, WhatALateLineBringsOfTheOldSequenceIsDroppedThoughItsIdsWouldFollow) {
  both_lines();
  for (std::uint64_t i = 1; i <= 60; ++i) batch(kOld + i, kOld + i);
  on(kB);
  for (std::uint64_t i = 1; i <= 15; ++i)
    old_batch(static_cast<std::int64_t>(60 - i) * 100 * kMs, kOld + i, kOld + i);
  on(kA);
  batch(kOld + 11, kOld + 12, {{50, 1}});
  EXPECT_EQ(states(), kAnew);
  on(kB);
  for (std::uint64_t i = 16; i <= 60; ++i)
    old_batch(static_cast<std::int64_t>(61 - i) * 100 * kMs, kOld + i, kOld + i);
  snapshot(kOld + 12, {{50, 1}});
  EXPECT_EQ(states(), Strings{kLive});
  EXPECT_EQ(id(), kOld + 12);
  EXPECT_EQ(bids(), (Levels{{50, 1}}));
  old_batch(0, kOld + 11, kOld + 12);  // now it has begun anew as well
  batch(kOld + 13, kOld + 13, {{50, 2}});
  EXPECT_EQ(bids(), (Levels{{50, 2}}));
  EXPECT_EQ(states(), Strings{});
}

TEST_F(Anew, ALineOfTheOldSequenceCoversNothing) {
  both_lines();
  batch(1, 4);
  snapshot(4);
  states();
  line_is(LineState::Down, kA);
  EXPECT_EQ(states(), Strings{stale(StateReason::Disconnected)});
  // It is all there is: so what it brings is what counts.
  on(kB);
  batch(kOld + 1, kOld + 2);
  EXPECT_EQ(states(), Strings{syncing(StateReason::Subscribed)});
  snapshot(kOld + 2);
  EXPECT_EQ(states(), Strings{kLive});
  batch(kOld + 3, kOld + 3);
  EXPECT_EQ(id(), kOld + 3);
}

TEST_F(Anew, AHoleCanNotBeFilledByALineOfTheOldSequence) {
  both_lines();
  batch(1, 4);
  snapshot(4);
  states();
  batch(7, 7);
  EXPECT_EQ(states(), (Strings{stale(StateReason::Gap), syncing(StateReason::Subscribed)}));
}

TEST_F(Anew, ASnapshotFromBeforeAReconnectIsNotTaken) {
  invalidate(0, StateReason::ParseError);
  batch(kOld + 1, kOld + 2);  // asks for one
  line_is(LineState::Down);
  line_is(LineState::Up);
  states();
  batch(1, 4);
  EXPECT_EQ(states(), Strings{syncing(StateReason::Subscribed)});
  snapshot(kOld + 2);  // and here it comes
  EXPECT_EQ(state(), BookState::Syncing);
  snapshot(4);
  EXPECT_EQ(state(), BookState::Live);
}

// ---- trades and quotes ----

class AnewMarket : public Anew {
 protected:
  static constexpr BookRule kRule{.continuity = core::Continuity::FirstUpToNext, .trade_ids_grow = true};
  AnewMarket() : Anew(kRule) { both_lines(); }

  void trade(std::uint64_t trade_id, std::int64_t age_ns = 0, std::uint16_t kind = 0) {
    NormalizedMessage& message = *scratch;
    message.header = header(UpdateType::Trade, 0, 0, 0, 0);
    message.header.exch_ts_ns -= age_ns;
    message.header.flags = static_cast<std::uint16_t>(core::kFirst | core::kLast | kind);
    message.trade = {105, 1, trade_id, shm::Side::Buy, {}};
    manager.on_message(message);
  }
  std::vector<std::uint64_t> trades() {
    std::vector<std::uint64_t> ids;
    for (const Event& event : sink.of(EventType::Trade)) ids.push_back(event.trade.trade_id);
    sink.events.clear();
    seen = 0;
    return ids;
  }
  std::vector<std::uint64_t> quotes() {
    std::vector<std::uint64_t> ids;
    for (const Event& event : sink.of(EventType::Bbo)) {
      if ((event.header.flags & shm::kFlagVenueQuote) != 0) ids.push_back(event.header.update_id);
    }
    sink.events.clear();
    seen = 0;
    return ids;
  }
  // Without a time, as spot's have none.
  void untimed_quote(std::uint64_t id, std::int64_t quantity = 5) {
    const std::int64_t now = now_ns;
    now_ns = 5;
    quote(id, {100, quantity}, {110, 5});
    now_ns = now;
  }
};

TEST_F(AnewMarket, TradesOfANewSequencePassFromTheFirstOn) {
  for (const std::uint64_t id : {9'000, 9'001, 9'002}) trade(id);
  now_ns += kMs;
  for (const std::uint64_t id : {1, 2, 2, 3}) trade(id);
  trade(9'003, 2 * kMs);  // as old as its number says
  EXPECT_EQ(trades(), (std::vector<std::uint64_t>{9'000, 9'001, 9'002, 1, 2, 3, 9'003}));
}

TEST_F(AnewMarket, TradesNearTheLastOnesAreANewSequenceByTheirTime) {
  for (const std::uint64_t id : {9'000, 9'001, 9'002}) trade(id);
  now_ns += kMs;
  for (const std::uint64_t id : {9'001, 9'002, 9'003}) trade(id);
  EXPECT_EQ(trades(), (std::vector<std::uint64_t>{9'000, 9'001, 9'002, 9'001, 9'002, 9'003}));
}

TEST_F(AnewMarket, TradesOfTwoLinesPassOnceInBothSequences) {
  for (const core::LineId of : {kA, kB}) {
    on(of);
    for (const std::uint64_t id : {9'000, 9'001}) trade(id);
  }
  now_ns += kMs;
  on(kA);
  trade(1);
  on(kB);
  trade(9'001, kMs);
  trade(9'002, kMs);  // of the old sequence: the other line has brought it, or would have
  on(kA);
  now_ns += kMs;
  trade(2);
  on(kB);
  trade(1, kMs);
  trade(2);
  now_ns += kMs;
  trade(3);
  on(kA);
  trade(3);
  EXPECT_EQ(trades(), (std::vector<std::uint64_t>{9'000, 9'001, 1, 2, 3}));
}

TEST_F(AnewMarket, AggregatesHaveTheirOwnIds) {
  trade(9'000);
  trade(4'000, 0, core::kAggregate);
  now_ns += kMs;
  trade(1, 0, core::kAggregate);
  trade(9'001);
  EXPECT_EQ(trades(), (std::vector<std::uint64_t>{9'000, 4'000, 1, 9'001}));
}

TEST_F(AnewMarket, TradesThatBeginAnewWhileNoLineIsUpPass) {
  trade(9'000);
  line_is(LineState::Down, kA);
  line_is(LineState::Down, kB);
  line_is(LineState::Up, kB);
  now_ns += kMs;
  on(kB);
  for (const std::uint64_t id : {1, 2, 3}) trade(id);
  EXPECT_EQ(trades(), (std::vector<std::uint64_t>{9'000, 1, 2, 3}));
}

TEST_F(AnewMarket, LateAndDoubleTradesAreNoNewSequence) {
  for (std::uint64_t id = 9'000; id < 9'400; ++id) {
    now_ns += kMs;
    trade(id);
    trade(id);
    if (id > 9'300) trade(id - 300, 300 * kMs);
  }
  EXPECT_EQ(trades().size(), 400u);
}

TEST_F(AnewMarket, QuotesOfANewSequencePassFromTheFirstOn) {
  quote(kOld + 5, {100, 5}, {110, 5});
  now_ns += kMs;
  quote(2, {100, 5}, {110, 5});  // with times, as futures' have
  quote(3, {100, 6}, {110, 5});
  EXPECT_EQ(quotes(), (std::vector<std::uint64_t>{kOld + 5, 2, 3}));
}

TEST_F(AnewMarket, QuotesWithoutTimesPassFromTheFirstOnWhenTheyAreFarBelow) {
  untimed_quote(kOld + 5);
  untimed_quote(2);
  untimed_quote(2);
  untimed_quote(1);
  untimed_quote(3);
  EXPECT_EQ(quotes(), (std::vector<std::uint64_t>{kOld + 5, 2, 3}));
}

TEST_F(AnewMarket, QuotesWithoutTimesNearTheLastOnesPassSoonAfter) {
  untimed_quote(kOld + 500);
  for (std::uint64_t i = 1; i <= 20; ++i) untimed_quote(kOld + i);
  EXPECT_EQ(quotes(),
            (std::vector<std::uint64_t>{kOld + 500, kOld + 16, kOld + 17, kOld + 18, kOld + 19, kOld + 20}));
}

TEST_F(AnewMarket, LateQuotesOfTheOtherLineAreDroppedAsEver) {
  for (std::uint64_t i = 1; i <= 200; ++i) untimed_quote(kOld + i);
  on(kB);
  for (std::uint64_t i = 1; i <= 200; ++i) untimed_quote(kOld + i);
  EXPECT_EQ(quotes().size(), 200u);
}

TEST_F(AnewMarket, QuotesOfTheOldSequenceAreCopies) {
  untimed_quote(kOld + 1);
  on(kB);
  untimed_quote(kOld + 1);
  untimed_quote(2);
  on(kA);
  untimed_quote(kOld + 2);
  on(kB);
  untimed_quote(3);
  on(kA);
  untimed_quote(3);
  EXPECT_EQ(quotes(), (std::vector<std::uint64_t>{kOld + 1, 2, 3}));
}

TEST_F(AnewMarket, TheAuditGoesOnInTheNewSequence) {
  untimed_quote(kOld + 1);
  untimed_quote(kOld + 7);  // ahead of the book, and of the sequence that ends
  batch(1, 4);
  untimed_quote(6, 9);
  snapshot(4);
  ASSERT_EQ(state(), BookState::Live);
  states();
  const std::uint64_t before = manager.counters().audits.get();
  batch(5, 6, {{100, 9}});
  EXPECT_EQ(manager.counters().audits.get(), before + 1);
  untimed_quote(8, 9);
  batch(7, 8, {{100, 8}});
  EXPECT_EQ(states(), Strings{stale(StateReason::AuditMismatch)});
}

// Quotes are told at once, updates in batches. If these do not follow within seconds, their stream is dead.
TEST_F(AnewMarket, QuotesThatBeganAnewAloneLeaveTheBookBehind) {
  untimed_quote(kOld + 1);
  for (std::uint64_t i = 1; i <= 10; ++i) {
    untimed_quote(i);
    EXPECT_EQ(states(), Strings{}) << i;
  }
  for (std::uint64_t i = 11; i <= 80; ++i) {
    now_ns += 100 * kMs;
    quote(i, {100, 5}, {110, 5});
  }
  EXPECT_EQ(states(), Strings{stale(StateReason::Silent)});
}

}  // namespace
}  // namespace mdp::book::test
