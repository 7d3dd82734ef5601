// What a book knows: down to where a snapshot ended or a cap cut, and how a LIVE book is kept known deep
// enough.
#include <gtest/gtest.h>

#include "manager_fixture.hpp"
#include "mdp/book/depth_watch.hpp"

namespace mdp::book::test {
namespace {

TEST(KnownRange, ASnapshotAtItsLimitIsKnownToItsWorstLevels) {
  OrderBook book;
  book.apply_snapshot(Levels{{100, 1}, {98, 1}}, Levels{{101, 1}, {104, 1}}, 2);
  EXPECT_EQ(book.known_bid(), 98);
  EXPECT_EQ(book.known_ask(), 104);
}

TEST(KnownRange, ASideWithFewerLevelsThanTheLimitIsTheWholeSide) {
  OrderBook book;
  book.apply_snapshot(Levels{{100, 1}}, {}, 2);
  EXPECT_EQ(book.known_bid(), OrderBook::kAllBids);
  EXPECT_EQ(book.known_ask(), OrderBook::kAllAsks);
  book.apply_snapshot(Levels{{100, 1}, {98, 1}}, Levels{{101, 1}});
  EXPECT_EQ(book.known_bid(), OrderBook::kAllBids);  // no limit
}

TEST(KnownRange, AChangeBeyondItIsPassedOver) {
  OrderBook book;
  book.apply_snapshot(Levels{{100, 1}, {98, 1}}, Levels{{101, 1}, {104, 1}}, 2);
  EXPECT_EQ(book.apply_update(Levels{{97, 5}}, Levels{{105, 5}}), OrderBook::kUntouched);
  EXPECT_TRUE(book.passed_over());
  EXPECT_EQ(best_first_bids(book), (Levels{{100, 1}, {98, 1}}));
  EXPECT_EQ(best_first_asks(book), (Levels{{101, 1}, {104, 1}}));
  EXPECT_EQ(book.apply_update(Levels{{98, 0}, {99, 2}}, Levels{{104, 3}}), 1u);
  EXPECT_FALSE(book.passed_over());
  EXPECT_EQ(best_first_bids(book), (Levels{{100, 1}, {99, 2}}));
  EXPECT_EQ(book.known_bid(), 98);  // still known: there is nothing now
}

TEST(KnownRange, TheWiderSidesAreTaken) {
  BlockPool pool;
  OrderBook book(0, &pool, true), other(0, &pool, true), same(0, &pool, true);
  book.apply_snapshot(Levels{{100, 1}, {98, 1}}, Levels{{101, 1}, {104, 1}}, 2);
  other.apply_snapshot(Levels{{100, 1}, {98, 1}, {97, 1}}, Levels{{101, 1}}, 3);
  EXPECT_TRUE(book.take_wider_sides(other));
  EXPECT_EQ(best_first_bids(book), (Levels{{100, 1}, {98, 1}, {97, 1}}));
  EXPECT_EQ(book.known_bid(), 97);
  EXPECT_EQ(book.known_ask(), OrderBook::kAllAsks);
  BookModel model;
  model.replace(Levels{{100, 1}, {98, 1}, {97, 1}}, Levels{{101, 1}});
  EXPECT_EQ(book.checksum(), model.checksum());
  same.apply_snapshot(Levels{{100, 1}, {98, 1}, {97, 1}}, {}, 3);
  EXPECT_FALSE(book.take_wider_sides(same));
}

TEST(DepthWatch, AsksWhenHalfOfTheSpareIsGoneAndPressesAtThreeQuarters) {
  OrderBook book;
  Levels bids;
  for (std::int64_t i = 0; i < 100; ++i) bids.push_back({1000 - i, 1});
  book.apply_snapshot(bids, Levels{{1001, 1}}, 100);  // the asks are all there are
  DepthWatch watch(20);
  watch.fill(book);
  std::int64_t best = 1000;
  const auto eat_down_to = [&](std::size_t left) {
    while (book.bid_count() > left) book.apply_update(Levels{{best--, 0}}, {});
  };
  EXPECT_FALSE(watch.low(book));
  eat_down_to(60);
  EXPECT_EQ(watch.need(book), DepthNeed::None);
  eat_down_to(59);
  EXPECT_TRUE(watch.low(book));
  EXPECT_EQ(watch.need(book), DepthNeed::Soon);
  eat_down_to(39);
  EXPECT_EQ(watch.need(book), DepthNeed::Now);
  eat_down_to(20);
  EXPECT_FALSE(watch.exhausted(book));
  eat_down_to(19);
  EXPECT_TRUE(watch.exhausted(book));
}

TEST(DepthWatch, ASideThatIsWholeNeverRunsOut) {
  OrderBook book;
  book.apply_snapshot(Levels{{100, 1}}, Levels{{101, 1}}, 2);
  DepthWatch watch(20);
  watch.fill(book);
  book.apply_update(Levels{{100, 0}}, Levels{{101, 0}});
  EXPECT_FALSE(watch.low(book));
  EXPECT_FALSE(watch.exhausted(book));
}

// Snapshots hold eight levels a side, of which two are published.
class Shallow : public ManagerTest {
 protected:
  Shallow() : Shallow(0) {}
  explicit Shallow(std::size_t depth_cap) : ManagerTest(options(depth_cap)) { depth_limit = 8; }
  static BookOptions options(std::size_t depth_cap) {
    BookOptions options;
    options.table_levels = 2;
    options.book_depth = depth_cap;
    return options;
  }
  // Bids 100 to 93, asks 110 to 117.
  void go_live() {
    add(0);
    line_is(LineState::Up);
    delta(9, 10, {});
    snapshot(10, ladder(100, -1, 8), ladder(110, 1, 8));
    ASSERT_EQ(states().back(), kLive);
    sink.events.clear();
    seen = 0;
    wanted();
    listener.needs.clear();
  }
  // Takes away the best `count` bids.
  void eat(std::size_t count) {
    for (; count > 0; --count) {
      const std::uint64_t next = id() + 1;
      delta(next, next, {{bids().front().price, 0}});
    }
  }
  std::vector<DepthNeed> needs() {
    std::vector<DepthNeed> out;
    for (const auto& [symbol, need] : listener.needs) out.push_back(need);
    listener.needs.clear();
    return out;
  }
  Event last_state() { return sink.of(EventType::BookState).back(); }
  using Needs = std::vector<DepthNeed>;
  const std::string kChanged = "LIVE " + std::to_string(static_cast<int>(StateReason::DepthChanged));
};

TEST_F(Shallow, TheStateSaysHowDeepTheBookIsKnown) {
  add(0);
  line_is(LineState::Up);
  delta(9, 10, {});
  snapshot(10, ladder(100, -1, 8), {{110, 1}});
  ASSERT_EQ(state(), BookState::Live);
  EXPECT_EQ(last_state().book_state.known_bid, 93);
  EXPECT_EQ(last_state().book_state.known_ask, shm::kAllAsks);
}

TEST_F(Shallow, WhatIsBeyondIsNotEmitted) {
  go_live();
  delta(11, 11, {{100, 2}, {92, 7}, {50, 0}}, {{118, 1}});
  const auto deltas = sink.of(EventType::BookDelta);
  ASSERT_EQ(deltas.size(), 1u);
  EXPECT_EQ(deltas[0].header.bid_count, 1);
  EXPECT_EQ(deltas[0].header.ask_count, 0);
  EXPECT_EQ(deltas[0].bids()[0], (PriceLevel{100, 2}));
  EXPECT_EQ(bids().back(), (PriceLevel{93, 1}));
}

TEST_F(Shallow, ABookThatRunsLowAsksOnceForEachNeed) {
  go_live();
  eat(3);
  EXPECT_EQ(needs(), Needs{});
  eat(1);  // 4 left: half of the spare 6 is gone
  EXPECT_EQ(needs(), Needs{DepthNeed::Soon});
  eat(1);
  EXPECT_EQ(needs(), Needs{});
  eat(1);  // 2 left
  EXPECT_EQ(needs(), Needs{DepthNeed::Now});
  EXPECT_EQ(state(), BookState::Live);
}

TEST_F(Shallow, WithoutEnoughLevelsItIsNotLive) {
  go_live();
  eat(6);
  states();
  sink.events.clear();
  seen = 0;
  delta(17, 17, {{94, 0}});
  EXPECT_EQ(states(), Strings{stale(StateReason::DepthExhausted)});
  EXPECT_TRUE(sink.of(EventType::BookDelta).empty());  // the update that showed it is not published
  EXPECT_EQ(needs().back(), DepthNeed::None);
  EXPECT_EQ(manager.counters().depth_exhausted.get(), 1u);
  delta(18, 18, {});
  EXPECT_EQ(wanted(), std::vector{StateReason::Subscribed});
  snapshot(18, ladder(93, -1, 8), ladder(110, 1, 8));
  EXPECT_EQ(state(), BookState::Live);
}

TEST_F(Shallow, AQuoteOfWhatIsNotKnownRefutesNothing) {
  go_live();
  eat(6);
  quote(17, {92, 1}, {110, 1});  // right: 94 and 93 are gone with that update, and 92 was never known
  states();
  delta(17, 17, {{94, 0}, {93, 0}});
  EXPECT_EQ(states(), Strings{stale(StateReason::DepthExhausted)});
  EXPECT_EQ(manager.counters().audit_mismatches.get(), 0u);
}

TEST_F(Shallow, AQuoteOfWhatIsNotKnownRefutesNoSync) {
  add(0);
  line_is(LineState::Up);
  delta(9, 10, {});
  wanted();
  quote(11, {92, 1}, {110, 1});
  Levels removals;
  for (const PriceLevel& level : ladder(100, -1, 8)) removals.push_back({level.price, 0});
  delta(11, 11, removals);
  snapshot(10, ladder(100, -1, 8), ladder(110, 1, 8));
  EXPECT_EQ(state(), BookState::Syncing);
  EXPECT_EQ(wanted(), std::vector{StateReason::DepthExhausted});
  EXPECT_EQ(manager.counters().audit_mismatches.get(), 0u);
}

TEST_F(Shallow, ASnapshotBesideItMakesTheLiveBookDeeper) {
  go_live();
  eat(4);
  manager.begin_widening(0);
  delta(15, 15, {{95, 3}});
  sink.events.clear();
  seen = 0;
  snapshot(14, ladder(96, -1, 8), ladder(110, 1, 8));
  EXPECT_EQ(states(), Strings{kChanged});
  EXPECT_EQ(last_state().book_state.known_bid, 89);
  EXPECT_EQ(bids(), (Levels{{96, 1}, {95, 3}, {94, 1}, {93, 1}, {92, 1}, {91, 1}, {90, 1}, {89, 1}}));
  const auto books = sink.of(EventType::BookSnapshot);
  ASSERT_FALSE(books.empty());
  EXPECT_EQ(books[0].header.flags & shm::kFlagTop, 0);
  EXPECT_EQ(books[0].header.bid_count, 8);
  EXPECT_EQ(books[0].header.update_id, 15u);
  EXPECT_EQ(needs().back(), DepthNeed::None);
  EXPECT_EQ(manager.counters().widened.get(), 1u);
  EXPECT_EQ(manager.counters().resyncs.get(), 0u);
  delta(16, 16, {{92, 0}, {88, 1}});
  EXPECT_EQ(bids().size(), 7u);  // 88 is beyond
}

TEST_F(Shallow, TheUpdateThatBringsTheBookToTheSnapshotComesFirst) {
  go_live();
  manager.begin_widening(0);
  snapshot(11, {{100, 2}, {99, 1}, {98, 1}, {97, 1}, {96, 1}, {95, 1}, {94, 1}, {93, 1}, {92, 1}},
           ladder(110, 1, 8));
  EXPECT_TRUE(sink.of(EventType::BookSnapshot).empty());
  delta(11, 11, {{100, 2}});
  std::vector<EventType> order;
  for (const Event& event : sink.events) {
    if ((event.header.flags & core::kFlagTableOnly) == 0) order.push_back(event.header.type);
  }
  EXPECT_EQ(order, (std::vector{EventType::BookDelta, EventType::Bbo, EventType::BookSnapshot,
                                EventType::BookState}));
}

TEST_F(Shallow, OneSnapshotThatContradictsTheBookIsDroppedASecondEndsLive) {
  go_live();
  manager.begin_widening(0);
  snapshot(10, {{100, 9}}, ladder(110, 1, 8));
  EXPECT_EQ(state(), BookState::Live);
  EXPECT_EQ(manager.counters().widen_disputes.get(), 1u);
  EXPECT_TRUE(listener.mismatches.empty());
  manager.begin_widening(0);
  snapshot(10, ladder(100, -1, 8), ladder(110, 1, 8));  // agrees: the first one was wrong
  EXPECT_EQ(state(), BookState::Live);
  manager.begin_widening(0);
  snapshot(10, {{100, 9}}, ladder(110, 1, 8));
  EXPECT_EQ(state(), BookState::Live);
  manager.begin_widening(0);
  snapshot(10, {{100, 8}}, ladder(110, 1, 8));
  EXPECT_EQ(states(), Strings{stale(StateReason::AuditMismatch)});
  EXPECT_EQ(listener.mismatches.size(), 1u);
}

TEST_F(Shallow, ASnapshotThatTheDeltasHaveEatenIsNoStart) {
  add(0);
  line_is(LineState::Up);
  delta(9, 10, {});
  wanted();
  Levels removals;
  for (const PriceLevel& level : ladder(100, -1, 7)) removals.push_back({level.price, 0});
  delta(11, 11, removals);
  snapshot(10, ladder(100, -1, 8), ladder(110, 1, 8));
  EXPECT_EQ(state(), BookState::Syncing);
  EXPECT_EQ(wanted(), std::vector{StateReason::DepthExhausted});
  snapshot(11, ladder(93, -1, 8), ladder(110, 1, 8));
  EXPECT_EQ(state(), BookState::Live);
}

class ShallowCapped : public Shallow {
 protected:
  ShallowCapped() : Shallow(4) {}
};

TEST_F(ShallowCapped, WhatTheCapCutIsUnknownAndTheEventsSayItAll) {
  go_live();
  ASSERT_EQ(bids(), ladder(100, -1, 4));
  delta(11, 11, {{101, 1}, {97, 0}});  // 97 goes, and with it nothing else
  delta(12, 12, {{102, 1}});
  delta(13, 13, {{103, 1}, {98, 0}});
  EXPECT_EQ(states(), Strings{});
  delta(14, 14, {{104, 1}});  // a quarter beyond the cap
  EXPECT_EQ(bids(), (Levels{{104, 1}, {103, 1}, {102, 1}, {101, 1}}));
  EXPECT_EQ(states(), Strings{kChanged});
  EXPECT_EQ(last_state().book_state.known_bid, 101);
  EXPECT_EQ(sink.of(EventType::BookDelta).back().header.bid_count, 3);  // 104, and that 100 and 99 are gone
  delta(15, 15, {{103, 0}, {102, 0}, {101, 0}, {99, 4}});
  EXPECT_EQ(states(), Strings{stale(StateReason::DepthExhausted)});
}

}  // namespace
}  // namespace mdp::book::test
