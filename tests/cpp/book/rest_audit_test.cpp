// A LIVE book against a snapshot over REST that was asked for meanwhile.
#include "mdp/book/rest_audit.hpp"

#include <gtest/gtest.h>

#include "manager_fixture.hpp"

namespace mdp::book::test {
namespace {

class AgainstRest : public ManagerTest {
 protected:
  explicit AgainstRest(const BookOptions& options = shallow()) : ManagerTest(options) { depth_limit = 2; }
  // Snapshots hold two levels a side at most, of which one is published.
  static BookOptions shallow() {
    BookOptions options;
    options.table_levels = 1;
    return options;
  }

  // LIVE at 10 with bids 100, 99 and asks 110, 111; what is applied from now on is kept.
  void begin(const BookRule& rule = kSpot, std::vector<core::LineId> lines = {kLine}) {
    add(0, rule, std::move(lines));
    make_live();
    states();
    wanted();
    sink.events.clear();
    seen = 0;
    manager.begin_rest_audit(0);
  }
  // audits, mismatches, dropped
  std::vector<std::uint64_t> counts() const {
    const BookCounters& counters = manager.counters();
    return {counters.rest_audits.get(), counters.rest_audit_mismatches.get(),
            counters.rest_audits_dropped.get()};
  }
  using Counts = std::vector<std::uint64_t>;
  const Counts kOpen{0, 0, 0}, kEqual{1, 0, 0}, kDifferent{1, 1, 0}, kDropped{0, 0, 1};
};

TEST_F(AgainstRest, AnEqualSnapshotAtTheBooksIdChangesNothing) {
  begin();
  snapshot(10);
  EXPECT_EQ(counts(), kEqual);
  EXPECT_EQ(state(), BookState::Live);
  EXPECT_TRUE(sink.events.empty());
  EXPECT_EQ(manager.counters().snapshots_unused.get(), 0u);
  snapshot(10, {{1, 1}});  // nobody waits for another one
  EXPECT_EQ(manager.counters().snapshots_unused.get(), 1u);
  EXPECT_EQ(counts(), kEqual);
}

TEST_F(AgainstRest, WithoutAnAuditASnapshotIsUnused) {
  add(0);
  make_live();
  snapshot(10, {{1, 1}});
  EXPECT_EQ(counts(), kOpen);
  EXPECT_EQ(state(), BookState::Live);
}

TEST_F(AgainstRest, WhatWasAppliedSinceIsAppliedToAnOlderSnapshot) {
  begin();
  delta(11, 12, {{100, 7}});
  delta(13, 13, {}, {{110, 0}});
  delta(14, 15, {{98, 3}}, {{112, 4}});
  snapshot(12, {{100, 7}, {99, 5}, {98, 1}}, {{110, 5}, {111, 5}, {112, 9}});
  EXPECT_EQ(counts(), kEqual);
  EXPECT_EQ(state(), BookState::Live);
  EXPECT_EQ(bids(), (Levels{{100, 7}, {99, 5}, {98, 3}}));
}

TEST_F(AgainstRest, ASnapshotAheadOfTheBookWaitsForIt) {
  begin();
  snapshot(13, {{101, 2}, {99, 5}}, {{110, 5}, {111, 5}});
  EXPECT_EQ(counts(), kOpen);
  delta(11, 11, {{100, 9}});
  EXPECT_EQ(counts(), kOpen);
  snapshot(11, {{1, 1}});  // a late answer to something else is not looked at
  delta(12, 14, {{100, 0}, {101, 2}, {99, 6}});
  EXPECT_EQ(counts(), kEqual);
  EXPECT_EQ(state(), BookState::Live);
}

TEST_F(AgainstRest, AWrongLevelMakesTheBookStaleAndIsTold) {
  begin();
  delta(11, 11, {{98, 1}});
  sink.events.clear();
  seen = 0;
  snapshot(11, {{100, 5}, {99, 4}}, {{110, 5}, {111, 5}});
  EXPECT_EQ(counts(), kDifferent);
  EXPECT_EQ(states(), Strings{stale(StateReason::AuditMismatch)});
  ASSERT_EQ(listener.mismatches.size(), 1u);
  EXPECT_EQ(listener.mismatches[0].id, 11u);
  EXPECT_EQ(listener.mismatches[0].source, AuditSource::Snapshot);
  EXPECT_EQ(listener.mismatches[0].book, (Bbo{{99, 5}, {}}));
  EXPECT_EQ(listener.mismatches[0].venue, (Bbo{{99, 4}, {}}));
  EXPECT_EQ(manager.counters().resyncs.get(), 1u);
  EXPECT_EQ(manager.counters().audit_mismatches.get(), 0u);
  delta(12, 12);
  EXPECT_EQ(states(), Strings{syncing(StateReason::Subscribed)});
  snapshot(12, {{100, 5}, {99, 4}}, {{110, 5}});
  EXPECT_EQ(state(), BookState::Live);
  EXPECT_EQ(bids(), (Levels{{100, 5}, {99, 4}}));
}

TEST_F(AgainstRest, ALevelThatOneSideLacksIsADifference) {
  begin();
  snapshot(10, {{100, 5}, {99, 5}}, {{111, 5}});
  EXPECT_EQ(counts(), kDifferent);
  ASSERT_EQ(listener.mismatches.size(), 1u);
  EXPECT_EQ(listener.mismatches[0].book, (Bbo{{}, {110, 5}}));
  EXPECT_EQ(listener.mismatches[0].venue, (Bbo{{}, {111, 5}}));
}

TEST_F(AgainstRest, AnUpdateThatShowsTheDifferenceIsNotEmitted) {
  begin();
  snapshot(11, {{100, 5}, {99, 5}}, {{110, 6}, {111, 5}});
  delta(11, 11, {{100, 6}});  // the ask's change is not in it
  EXPECT_EQ(counts(), kDifferent);
  EXPECT_EQ(states(), Strings{stale(StateReason::AuditMismatch)});
  EXPECT_TRUE(sink.of(EventType::BookDelta).empty());
  EXPECT_EQ(listener.mismatches[0].id, 11u);
}

TEST_F(AgainstRest, LevelsBeyondWhatBothKnowAreNotCompared) {
  begin();  // the book was synced down to 99 and up to 111
  delta(11, 11, {{95, 1}}, {{120, 1}});
  EXPECT_EQ(bids(), (Levels{{100, 5}, {99, 5}}));  // who knows what is between 99 and 95
  // Deeper than the book's first snapshot: the book lacks 98, 97 and 112, rightly.
  depth_limit = 5;
  snapshot(11, {{100, 5}, {99, 5}, {98, 2}, {97, 2}, {95, 1}}, {{110, 5}, {111, 5}, {112, 1}});
  EXPECT_EQ(counts(), kEqual);
  // Less deep than the book: what it does not reach is not compared.
  manager.begin_rest_audit(0);
  depth_limit = 1;
  snapshot(11, {{100, 5}}, {{110, 5}});
  EXPECT_EQ(counts(), (Counts{2, 0, 0}));
  EXPECT_EQ(state(), BookState::Live);
}

TEST_F(AgainstRest, WhereTheMarketLeftWhatIsKnownNothingIsCompared) {
  begin();
  // In the venue's book 90 and 120 are the best now; nothing of that is known here.
  delta(11, 11, {{100, 0}, {99, 0}, {90, 1}}, {{110, 0}, {111, 0}, {120, 1}});
  EXPECT_EQ(states(), Strings{stale(StateReason::DepthExhausted)});
  EXPECT_EQ(counts(), kDropped);
  EXPECT_TRUE(sink.of(EventType::BookDelta).empty());
}

TEST_F(AgainstRest, ASnapshotOlderThanWhatWasKeptSaysNothing) {
  begin();
  snapshot(9, {{1, 1}});
  EXPECT_EQ(counts(), kDropped);
  manager.begin_rest_audit(0);
  delta(11, 11);
  snapshot(9, {{1, 1}});
  EXPECT_EQ(counts(), (Counts{0, 0, 2}));
  EXPECT_EQ(state(), BookState::Live);
}

TEST_F(AgainstRest, AGapDropsTheAudit) {
  begin();
  delta(13, 13);
  EXPECT_EQ(counts(), kDropped);
  EXPECT_EQ(state(), BookState::Syncing);
  snapshot(13, {{100, 1}}, {{110, 5}});  // of the audit, but the sync can use it
  EXPECT_EQ(state(), BookState::Live);
  EXPECT_EQ(counts(), kDropped);
}

TEST_F(AgainstRest, AnAuditWithItsSnapshotThereIsDroppedByAResync) {
  begin();
  snapshot(12, {{1, 1}});
  manager.request_resync(0);
  EXPECT_EQ(counts(), kDropped);
  delta(11, 12);
  snapshot(11, {{100, 5}, {99, 5}});
  EXPECT_EQ(state(), BookState::Live);
  EXPECT_EQ(bids(), (Levels{{100, 1}, {99, 5}}));
}

TEST_F(AgainstRest, ASymbolIsRemovedDuringItsAudit) {
  begin();
  snapshot(12, {{1, 1}});
  manager.remove_symbol(0);
  EXPECT_EQ(states(), Strings{stale(StateReason::Unsubscribed)});
  snapshot(12);
  EXPECT_EQ(manager.counters().unroutable.get(), 1u);
  manager.begin_rest_audit(0);  // nobody there
  EXPECT_EQ(counts(), kDropped);
}

TEST_F(AgainstRest, OnlyALiveBookIsAudited) {
  add(0);
  manager.begin_rest_audit(0);
  make_live();
  EXPECT_EQ(counts(), kOpen);
  snapshot(10, {{1, 1}});
  EXPECT_EQ(manager.counters().snapshots_unused.get(), 1u);
  EXPECT_EQ(state(), BookState::Live);
}

TEST_F(AgainstRest, ASecondAuditTakesThePlaceOfOneWithoutAnAnswer) {
  begin();
  delta(11, 11);
  manager.begin_rest_audit(0);
  EXPECT_EQ(counts(), kDropped);
  snapshot(11, {{100, 1}, {99, 5}});
  EXPECT_EQ(counts(), (Counts{1, 0, 1}));
  EXPECT_EQ(state(), BookState::Live);
}

TEST_F(AgainstRest, ASnapshotInChunksIsComparedWhole) {
  begin();
  Levels many_bids{{100, 5}, {99, 5}}, many_asks{{110, 5}, {111, 5}};
  depth_limit = 1000;
  const auto count = static_cast<std::int64_t>(2 * core::kMaxMessageLevels);
  for (std::int64_t i = 0; i < count; ++i) many_bids.push_back({90 - i, 1});
  delta(11, 11, {{100, 6}});
  snapshot(10, many_bids, many_asks);
  EXPECT_EQ(counts(), kEqual);
  manager.begin_rest_audit(0);
  messages.lose_chunk = 1;
  snapshot(11, many_bids, many_asks);
  EXPECT_EQ(counts(), (Counts{1, 0, 1}));  // a part of it was lost: it says nothing
  EXPECT_EQ(state(), BookState::Live);
}

TEST_F(AgainstRest, FuturesJoinByTheirOwnRule) {
  begin(kFutures);
  linked(10, 21, 25, {{100, 7}});
  // Between two of the symbol's updates: ids are shared with other symbols.
  snapshot(30, {{100, 7}, {99, 5}}, {{110, 5}, {111, 5}});
  EXPECT_EQ(counts(), kOpen);
  linked(25, 33, 35, {{99, 8}});
  EXPECT_EQ(counts(), kEqual);
  manager.begin_rest_audit(0);
  linked(35, 40, 45, {{99, 9}});
  snapshot(45, {{100, 7}, {99, 8}}, {{110, 5}, {111, 5}});
  EXPECT_EQ(state(), BookState::Live);  // the delta that ends at the snapshot's id is applied to it once more
  EXPECT_EQ(counts(), (Counts{2, 0, 0}));
}

TEST_F(AgainstRest, AHoleThatAnotherLineFillsDoesNotMatter) {
  add(0, kSpot, {kLine, kLine + 1});
  line_is(LineState::Up, kLine + 1);
  make_live();
  manager.begin_rest_audit(0);
  delta(12, 13, {{99, 7}});  // 11 is missing, the other line may bring it
  EXPECT_EQ(manager.counters().holes.get(), 1u);
  EXPECT_EQ(state(), BookState::Live);
  snapshot(11, {{100, 6}, {99, 5}}, {{110, 5}, {111, 5}});
  EXPECT_EQ(counts(), kOpen);
  line = kLine + 1;
  delta(11, 12, {{100, 6}});  // cut elsewhere: now both are applied
  EXPECT_EQ(id(), 13u);
  EXPECT_EQ(counts(), kEqual);
  EXPECT_EQ(state(), BookState::Live);
}

TEST_F(AgainstRest, StreamVenuesAreNotAudited) {
  add(0, kStream);
  line_is(LineState::Up);
  snapshot(10);
  ASSERT_EQ(state(), BookState::Live);
  manager.begin_rest_audit(0);
  snapshot(12, {{90, 1}}, {{91, 1}});
  EXPECT_EQ(bids(), (Levels{{90, 1}}));
  EXPECT_EQ(counts(), kOpen);
}

class AgainstRestBounded : public AgainstRest {
 protected:
  AgainstRestBounded() : AgainstRest(options()) {}
  static BookOptions options() {
    BookOptions options = shallow();
    options.max_buffered_deltas = 3;
    return options;
  }
};

TEST_F(AgainstRestBounded, AnAuditWithoutAnAnswerEndsByItself) {
  begin();
  for (std::uint64_t id = 11; id <= 13; ++id) delta(id, id);
  EXPECT_EQ(counts(), kOpen);
  delta(14, 14);
  EXPECT_EQ(counts(), kDropped);
  EXPECT_EQ(state(), BookState::Live);
  EXPECT_EQ(id(), 14u);
}

class AgainstRestCapped : public AgainstRest {
 protected:
  AgainstRestCapped() : AgainstRest(options()) {}
  static BookOptions options() {
    BookOptions options = shallow();
    options.book_depth = 4;
    return options;
  }
};

TEST_F(AgainstRestCapped, WhatTheDepthCapCutIsNotCompared) {
  add(0);
  line_is(LineState::Up);
  delta(9, 10, {});
  snapshot(10, {{100, 1}, {99, 1}, {98, 1}, {97, 1}, {96, 1}, {95, 1}}, {{110, 1}});
  ASSERT_EQ(bids(), (Levels{{100, 1}, {99, 1}, {98, 1}, {97, 1}}));  // more than a quarter beyond the cap
  delta(11, 11, {{99, 0}, {98, 0}, {94, 1}});                        // comes behind 96 and 95, which are gone
  EXPECT_EQ(bids(), (Levels{{100, 1}, {97, 1}}));
  manager.begin_rest_audit(0);
  snapshot(11, {{100, 1}, {97, 1}, {96, 1}, {95, 1}, {94, 1}}, {{110, 1}});
  EXPECT_EQ(counts(), kEqual);
  EXPECT_EQ(bids(), (Levels{{100, 1}, {97, 1}, {96, 1}, {95, 1}, {94, 1}}));
  manager.begin_rest_audit(0);
  snapshot(11, {{100, 1}, {97, 2}, {96, 1}, {95, 1}, {94, 1}}, {{110, 1}});
  EXPECT_EQ(counts(), (Counts{2, 1, 0}));
}

}  // namespace
}  // namespace mdp::book::test
