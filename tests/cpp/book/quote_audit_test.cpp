// The book's own top against the venue's best bid and ask, at the update ids the two share.
#include "mdp/book/quote_audit.hpp"

#include <gtest/gtest.h>

#include "manager_fixture.hpp"

namespace mdp::book::test {
namespace {

class Audit : public ManagerTest {
 protected:
  Audit() {
    add(0);
    quote(1, {1, 1}, {2, 1});  // books are noted from the first quote on
    sink.events.clear();
  }
  std::uint64_t audits() const { return manager.counters().audits.get(); }
};

TEST_F(Audit, EqualTopsAtASharedIdChangeNothing) {
  make_live();
  quote(10, {100, 5}, {110, 5});  // after the book
  quote(11, {100, 6}, {110, 5});  // before it
  delta(11, 11, {{100, 6}});
  EXPECT_EQ(audits(), 2u);
  EXPECT_EQ(state(), BookState::Live);
  EXPECT_TRUE(listener.mismatches.empty());
}

TEST_F(Audit, AQuoteAfterTheBookShowsAWrongTop) {
  make_live();
  states();
  quote(10, {100, 4}, {110, 5});
  EXPECT_EQ(states(), Strings{stale(StateReason::AuditMismatch)});
  ASSERT_EQ(listener.mismatches.size(), 1u);
  EXPECT_EQ(listener.mismatches[0].id, 10u);
  EXPECT_EQ(listener.mismatches[0].book.bid, (PriceLevel{100, 5}));
  EXPECT_EQ(listener.mismatches[0].venue.bid, (PriceLevel{100, 4}));
  EXPECT_EQ(manager.counters().audit_mismatches.get(), 1u);
  EXPECT_EQ(manager.counters().resyncs.get(), 1u);
  delta(11, 11);
  EXPECT_EQ(state(), BookState::Syncing);
}

TEST_F(Audit, AQuoteBeforeTheBookStopsTheWrongUpdate) {
  make_live();
  states();
  quote(12, {101, 1}, {110, 5});
  EXPECT_EQ(state(), BookState::Live);
  delta(11, 12, {{102, 1}});
  EXPECT_EQ(states(), Strings{stale(StateReason::AuditMismatch)});
  EXPECT_TRUE(sink.of(EventType::BookDelta).empty());  // STALE came in its place
}

// What is known is checked before anything is emitted: not one reader sees the wrong book, least of all as
// LIVE.
class DisprovedSync : public Audit {
 protected:
  // All that came of the sync is that it was not right; `id` is where that shows.
  void expect_disproved_at(std::uint64_t id) {
    EXPECT_EQ(states(), Strings{stale(StateReason::AuditMismatch)});
    for (const Event& event : sink.events) {
      EXPECT_NE(event.header.type, EventType::BookSnapshot);  // for the book table neither
      const bool of_venue = (event.header.flags & shm::kFlagVenueQuote) != 0;
      EXPECT_TRUE(event.header.type != EventType::Bbo || of_venue);
    }
    ASSERT_EQ(listener.mismatches.size(), 1u);
    EXPECT_EQ(listener.mismatches[0].id, id);
    EXPECT_EQ(manager.counters().audit_mismatches.get(), 1u);
    EXPECT_EQ(manager.counters().snapshots_applied.get(), 0u);
  }
  // SYNCING, with the updates 9 to 10 and 11 to 12.
  void begin() {
    line_is(LineState::Up);
    delta(9, 10);
    delta(11, 12, {{101, 2}});
    states();
    sink.events.clear();
    seen = 0;
  }
};

TEST_F(DisprovedSync, ByAQuoteAtTheIdItEndsAt) {
  begin();
  quote(12, {101, 1}, {110, 5});
  snapshot(10, {{100, 5}}, {{110, 5}});
  expect_disproved_at(12);
  EXPECT_EQ(listener.mismatches[0].book.bid, (PriceLevel{101, 2}));
  EXPECT_EQ(listener.mismatches[0].venue.bid, (PriceLevel{101, 1}));
  EXPECT_EQ(manager.counters().resyncs.get(), 0u);  // it was not LIVE
  // The next one is right.
  delta(13, 13, {{101, 3}});
  snapshot(13, {{101, 3}}, {{110, 5}});
  EXPECT_EQ(states(), (Strings{syncing(StateReason::Subscribed), kLive}));
}

TEST_F(DisprovedSync, ByAQuoteAtTheSnapshotsOwnId) {
  begin();
  quote(11, {99, 1}, {110, 5});
  snapshot(11, {{100, 5}}, {{110, 5}});
  expect_disproved_at(11);
}

TEST_F(DisprovedSync, ByAQuoteAtAnUpdateInBetween) {
  begin();
  delta(13, 14, {{102, 1}});
  quote(12, {101, 1}, {110, 5});
  quote(14, {102, 1}, {110, 5});  // hides it again
  snapshot(10, {{100, 5}}, {{110, 5}});
  expect_disproved_at(12);
}

TEST_F(DisprovedSync, ByTheSnapshotAloneWhereNoUpdateFollowsIt) {
  line_is(LineState::Up);
  manager.begin_sync(0);
  quote(10, {100, 1}, {110, 5});
  states();
  sink.events.clear();
  seen = 0;
  snapshot(10, {{100, 5}}, {{110, 5}});
  expect_disproved_at(10);
}

TEST_F(DisprovedSync, TheBookThatWasLiveBeforeStaysReadable) {
  make_live();
  invalidate(0, StateReason::ParseError);
  delta(11, 12, {{101, 2}});
  states();
  quote(12, {101, 1}, {110, 5});
  sink.events.clear();
  seen = 0;
  snapshot(11, {{100, 7}}, {{110, 7}});
  EXPECT_EQ(states(), Strings{stale(StateReason::AuditMismatch)});
  EXPECT_EQ(bids(), (Levels{{100, 5}, {99, 5}}));
  EXPECT_EQ(id(), 10u);
  EXPECT_EQ(sink.events[0].header.update_id, 10u);
}

TEST_F(DisprovedSync, OfAVenueThatSendsItsSnapshotsInTheStream) {
  add(5, kStream);
  line_is(LineState::Up);
  snapshot_of(5, 10, {{100, 5}}, {{110, 5}});
  ASSERT_EQ(state(5), BookState::Live);
  states(5);
  scratch->header = header(UpdateType::Quote, 5, 0, 20, 0);
  scratch->levels[0] = {100, 1};
  scratch->levels[1] = {110, 5};
  manager.on_message(*scratch);
  sink.events.clear();
  seen = 0;
  snapshot_of(5, 20, {{100, 5}}, {{110, 5}});
  EXPECT_EQ(states(5), (Strings{stale(StateReason::AuditMismatch), syncing(StateReason::AuditMismatch)}));
  EXPECT_TRUE(sink.of(EventType::BookSnapshot, 5).empty());
  EXPECT_EQ(manager.counters().resyncs.get(), 1u);
}

TEST_F(Audit, QuotesThatAgreeWithEveryStepOfASyncLetItBeLive) {
  line_is(LineState::Up);
  delta(9, 10);
  delta(11, 12, {{101, 2}});
  quote(9, {100, 5}, {110, 5});
  quote(10, {100, 1}, {110, 5});
  quote(12, {101, 2}, {110, 5});
  snapshot(9, {{100, 5}}, {{110, 5}});
  EXPECT_EQ(state(), BookState::Live);
  EXPECT_EQ(audits(), 3u);
  quote(10, {100, 2}, {110, 5});        // and is known by its last states afterwards
  EXPECT_EQ(state(), BookState::Live);  // of the quotes this one is old
}

TEST_F(Audit, IdsThatAreNotSharedSayNothing) {
  make_live();
  quote(9, {1, 1}, {2, 2});
  quote(12, {101, 1}, {110, 5});
  delta(11, 13, {{102, 1}});
  EXPECT_EQ(audits(), 0u);
  EXPECT_EQ(state(), BookState::Live);
}

TEST_F(Audit, LateQuotesFindOneOfTheLastBooks) {
  make_live();
  for (std::uint64_t i = 11; i <= 20; ++i) delta(i, i, {{100, static_cast<std::int64_t>(i)}});
  quote(15, {100, 15}, {110, 5});
  EXPECT_EQ(audits(), 1u);
  EXPECT_EQ(state(), BookState::Live);
  quote(16, {100, 15}, {110, 5});
  EXPECT_EQ(state(), BookState::Stale);
}

TEST_F(Audit, ManyQuotesAheadKeepTheNewest) {
  make_live();
  for (std::uint64_t i = 11; i <= 600; ++i) quote(i, {100, static_cast<std::int64_t>(i)}, {110, 5});
  delta(11, 20, {{100, 999}});  // its quote is forgotten
  EXPECT_EQ(audits(), 0u);
  delta(21, 600, {{100, 600}});
  EXPECT_EQ(audits(), 1u);
  EXPECT_EQ(state(), BookState::Live);
}

TEST_F(Audit, ABookThatIsNotLiveIsNotCompared) {
  make_live();
  line_is(LineState::Down);
  quote(10, {1, 1}, {2, 2});
  EXPECT_EQ(audits(), 0u);
  EXPECT_TRUE(listener.mismatches.empty());
}

class Silence : public Audit {
 protected:
  static constexpr std::int64_t kMs = 1'000'000;
  Silence() {
    line_is(LineState::Up);
    make_live();
    states();
  }
  // So many quotes ahead of the book.
  void ahead(std::size_t count, std::int64_t step_ns) {
    for (std::size_t i = 0; i < count; ++i) {
      now_ns += step_ns;
      quote(next_id_++, {100, 5}, {110, 5});
    }
  }
  std::uint64_t next_id_ = 1000;
};

TEST_F(Silence, ABookTheQuotesLeaveBehindIsStaleUntilItsStreamSpeaks) {
  ahead(50, 100 * kMs);
  EXPECT_TRUE(states().empty());
  ahead(1, 100 * kMs);
  EXPECT_EQ(states(), Strings{stale(StateReason::Silent)});
  EXPECT_EQ(manager.counters().resyncs.get(), 1u);
  manager.begin_sync(0);  // a snapshot that nothing follows would be wrong as soon
  ahead(100, 100 * kMs);
  EXPECT_TRUE(states().empty());
  delta(1200, 1201);
  EXPECT_EQ(state(), BookState::Syncing);
}

TEST_F(Silence, ANewConnectionIsNotBelievedBeforeItSpeaks) {
  ahead(60, 100 * kMs);
  line_is(LineState::Down);
  line_is(LineState::Up);
  manager.begin_sync(0);
  EXPECT_EQ(state(), BookState::Stale);
  delta(1200, 1201);
  EXPECT_EQ(state(), BookState::Syncing);
  snapshot(1200);
  EXPECT_EQ(state(), BookState::Live);
}

TEST_F(Silence, AnyUpdateEndsIt) {
  for (std::uint64_t id = 11; id < 31; ++id) {
    ahead(40, 100 * kMs);
    delta(id, id);
  }
  EXPECT_TRUE(states().empty());
}

TEST_F(Silence, APauseOfTheLineIsNone) {
  for (std::uint64_t id = 11; id < 31; ++id) {
    ahead(1, 60'000 * kMs);  // held up for a minute: quotes come first, then the batch
    ahead(50, 1000);
    delta(id, id);
  }
  EXPECT_TRUE(states().empty());
}

class NoAudit : public ManagerTest {
 protected:
  static BookOptions options() {
    BookOptions options;
    options.self_audit = false;
    return options;
  }
  NoAudit() : ManagerTest(options()) { add(0); }
};

TEST_F(NoAudit, CanBeSwitchedOff) {
  make_live();
  NormalizedMessage& message = *scratch;
  message.header = header(UpdateType::Quote, 0, 0, 10, 0);
  message.levels[0] = {1, 1};
  message.levels[1] = {2, 2};
  manager.on_message(message);
  EXPECT_EQ(state(), BookState::Live);
  EXPECT_EQ(manager.counters().audits.get(), 0u);
}

}  // namespace
}  // namespace mdp::book::test
