// A symbol on two lines: copies, overlaps, holes, lost lines, and a long random comparison with the truth.
#include <gtest/gtest.h>

#include <deque>
#include <map>
#include <random>
#include <string>

#include "manager_fixture.hpp"
#include "mdp/book/line_arbiter.hpp"

namespace mdp::book::test {
namespace {

constexpr core::LineId kA = kLine;
constexpr core::LineId kB = kLine + 1;
constexpr std::int64_t kSecond = 1'000'000'000;

class Arbitration : public ManagerTest {
 protected:
  Arbitration() {
    add(0, kSpot, {kA, kB});
    manager.set_line_counters(kA, a);
    manager.set_line_counters(kB, b);
  }
  void on(core::LineId id) { line = id; }
  // Both lines up and proven, LIVE at 10.
  void both_live() {
    line_is(LineState::Up, kA);
    line_is(LineState::Up, kB);
    for (const core::LineId id : {kA, kB}) {
      on(id);
      delta_of(0, 9, 10, {}, {}, 8);
    }
    snapshot(10);
    ASSERT_EQ(state(), BookState::Live);
    states();
  }
  LineCounters a, b;
};

TEST_F(Arbitration, SecondCopyIsDroppedAndMeasured) {
  both_live();
  on(kA);
  delta(11, 12, {{100, 7}});
  now_ns += 250;
  on(kB);
  delta(11, 12, {{100, 7}});
  delta(13, 13, {{100, 8}});
  now_ns += 100;
  on(kA);
  delta(13, 13, {{100, 8}});
  EXPECT_EQ(id(), 13u);
  EXPECT_EQ(sink.of(EventType::BookDelta).size(), 2u);
  EXPECT_EQ(a.wins.get(), 1u);
  EXPECT_EQ(a.late.get(), 1u);
  EXPECT_EQ(b.wins.get(), 1u);
  EXPECT_EQ(b.late.get(), 1u);
  EXPECT_EQ(a.lead.max_ns(), 250u);
  EXPECT_EQ(b.lead.max_ns(), 100u);
}

TEST_F(Arbitration, BatchesCutElsewhereOverlapAndApply) {
  both_live();
  on(kA);
  delta(11, 14, {{100, 7}});
  on(kB);
  delta(11, 12, {{100, 3}});  // ends within
  EXPECT_EQ(bids()[0], (PriceLevel{100, 7}));
  delta(13, 17, {{100, 9}});  // overlaps, goes beyond
  EXPECT_EQ(id(), 17u);
  EXPECT_EQ(bids()[0], (PriceLevel{100, 9}));
  EXPECT_EQ(manager.counters().gaps.get(), 0u);
}

TEST_F(Arbitration, LeadIsMeasuredWhereTheLinesCutDifferently) {
  both_live();
  on(kA);
  delta(11, 14, {{100, 7}});
  now_ns += 70;
  on(kB);
  delta(13, 17, {{100, 9}});  // 14 came 70 ns later here
  now_ns += 30;
  on(kA);
  delta(15, 18, {{100, 8}});  // and 17 came 30 ns later there
  EXPECT_EQ(a.lead.count(), 1u);
  EXPECT_EQ(a.lead.max_ns(), 70u);
  EXPECT_EQ(b.lead.count(), 1u);
  EXPECT_EQ(b.lead.max_ns(), 30u);
  EXPECT_EQ(a.wins.get() + b.wins.get(), 3u);
}

TEST_F(Arbitration, ALineThatWasRefusedTheSymbolCoversNothing) {
  both_live();
  on(kB);
  invalidate(0, StateReason::Rejected);
  EXPECT_EQ(state(), BookState::Live);  // the other one goes on
  now_ns += 5 * kSecond;                // as long as any line needs to be trusted
  line_is(LineState::Down, kA);
  EXPECT_EQ(states(), (Strings{stale(StateReason::Disconnected)}));
  manager.begin_sync(0);
  EXPECT_EQ(state(), BookState::Stale);  // nothing would follow the snapshot
  line_is(LineState::Up, kA);
  manager.begin_sync(0);
  EXPECT_EQ(state(), BookState::Syncing);
}

// A number that no line's parser can hold: the other line brings it no better.
TEST_F(Arbitration, AnUpdateThatNoLineBringsReadablyIsNotWaitedFor) {
  both_live();
  on(kA);
  invalidate(0, StateReason::ParseError);
  EXPECT_EQ(state(), BookState::Live);  // the other one may bring it
  on(kB);
  invalidate(0, StateReason::ParseError);
  EXPECT_EQ(states(), (Strings{stale(StateReason::ParseError)}));
}

TEST_F(Arbitration, AnUnreadableFrameOfEachLineInTurnIsBroughtByTheOther) {
  both_live();
  on(kA);
  invalidate(0, StateReason::ParseError);
  on(kB);
  delta(11, 11, {{100, 7}});
  delta(12, 12, {{100, 8}});
  on(kA);
  delta(12, 12, {{100, 8}});
  on(kB);
  invalidate(0, StateReason::ParseError);
  EXPECT_EQ(state(), BookState::Live);
  EXPECT_TRUE(states().empty());
}

TEST_F(Arbitration, ASilentBookStaysSoWhileItsConnectionsAreReplaced) {
  both_live();
  states();
  on(kA);
  for (std::uint64_t id = 100; id < 160; ++id) {
    now_ns += kSecond / 10;
    quote(id, {100, 5}, {110, 5});
  }
  EXPECT_EQ(states(), (Strings{stale(StateReason::Silent)}));
  line_is(LineState::Down, kA);
  EXPECT_TRUE(states().empty());
  line_is(LineState::Down, kB);
  EXPECT_EQ(states(), (Strings{stale(StateReason::Disconnected)}));
}

TEST_F(Arbitration, ALineThatBringsTheSymbolAfterAllCoversIt) {
  both_live();
  on(kB);
  invalidate(0, StateReason::Rejected);
  delta(11, 11, {{100, 7}});
  line_is(LineState::Down, kA);
  EXPECT_EQ(state(), BookState::Live);
}

TEST_F(Arbitration, AHoleIsFilledByTheOtherLine) {
  both_live();
  on(kA);
  delta(13, 14, {{100, 2}});
  delta(15, 15, {{99, 1}});
  EXPECT_EQ(state(), BookState::Live);
  EXPECT_EQ(id(), 10u);  // right as far as it goes
  on(kB);
  delta(11, 12, {{100, 1}});
  EXPECT_EQ(id(), 15u);
  EXPECT_EQ(bids(), (Levels{{100, 2}, {99, 1}}));
  EXPECT_EQ(states(), Strings{});
  EXPECT_EQ(manager.counters().holes.get(), 2u);
  EXPECT_EQ(manager.counters().gaps.get(), 0u);
  delta(13, 15, {{100, 2}, {99, 1}});
  delta(16, 16, {{98, 1}});
  EXPECT_EQ(id(), 16u);
}

TEST_F(Arbitration, AHoleOnBothLinesIsAGap) {
  both_live();
  on(kA);
  delta(13, 14, {{100, 2}});
  EXPECT_EQ(state(), BookState::Live);
  on(kB);
  delta(12, 14, {{100, 2}});
  EXPECT_EQ(states(), (Strings{stale(StateReason::Gap), syncing(StateReason::Subscribed)}));
  EXPECT_EQ(manager.counters().gaps.get(), 1u);
  EXPECT_EQ(manager.counters().resyncs.get(), 1u);
  snapshot(12, {{100, 1}}, {{110, 1}});  // what waited behind the hole joins it
  EXPECT_EQ(state(), BookState::Live);
  EXPECT_EQ(id(), 14u);
  EXPECT_EQ(bids()[0], (PriceLevel{100, 2}));
}

TEST_F(Arbitration, AHoleFilledHalfwayIsStillAHole) {
  both_live();
  on(kA);
  delta(13, 13, {{100, 2}});
  delta(16, 16, {{100, 4}});
  on(kB);
  delta(11, 12, {{100, 1}});
  EXPECT_EQ(id(), 13u);
  EXPECT_EQ(state(), BookState::Live);
  delta(15, 15, {{100, 3}});  // now both go on behind 14
  EXPECT_EQ(states(), (Strings{stale(StateReason::Gap), syncing(StateReason::Subscribed)}));
}

TEST_F(Arbitration, AHoleDoesNotWaitForEver) {
  both_live();
  on(kA);
  delta(13, 13);
  now_ns += kSecond;
  delta(14, 14);
  EXPECT_EQ(state(), BookState::Live);
  now_ns += 1;
  delta(15, 15);
  EXPECT_EQ(states(), (Strings{stale(StateReason::Gap), syncing(StateReason::Subscribed)}));
}

TEST_F(Arbitration, AHoleDoesNotHoldAnyNumber) {
  both_live();
  on(kA);
  const std::uint64_t most = BookOptions{}.max_deltas_behind_hole;
  for (std::uint64_t i = 0; i < most; ++i) delta(13 + i, 13 + i);
  EXPECT_EQ(state(), BookState::Live);
  delta(13 + most, 13 + most);
  EXPECT_EQ(state(), BookState::Syncing);
}

TEST_F(Arbitration, LosingEitherLineLosesNothing) {
  for (const core::LineId lost : {kA, kB}) {
    both_live();
    const core::LineId left = lost == kA ? kB : kA;
    line_is(LineState::Down, lost);
    EXPECT_EQ(states(), Strings{});
    on(left);
    delta(11, 11, {{100, 4}});
    EXPECT_EQ(id(), 11u);
    line_is(LineState::Up, lost);
    on(lost);
    delta(12, 12, {{100, 5}});
    EXPECT_EQ(id(), 12u);
    line_is(LineState::Down, left);
    EXPECT_EQ(states(), Strings{});
    line_is(LineState::Down, lost);
    EXPECT_EQ(states(), Strings{stale(StateReason::Disconnected)});
    EXPECT_EQ(manager.counters().gaps.get(), 0u);
  }
}

// A line that has only just come up may have missed what the lost one did not bring any more.
TEST_F(Arbitration, ALineCoversWhenItBroughtSomethingOrIsUpForSomeTime) {
  both_live();
  line_is(LineState::Down, kB);
  now_ns += 10 * kSecond;
  line_is(LineState::Up, kB);
  now_ns += kSecond - 1;
  line_is(LineState::Down, kA);
  EXPECT_EQ(states(), Strings{stale(StateReason::Disconnected)});

  both_live();
  line_is(LineState::Down, kB);
  line_is(LineState::Up, kB);
  now_ns += kSecond;
  line_is(LineState::Down, kA);
  EXPECT_EQ(states(), Strings{});
}

TEST_F(Arbitration, LosingTheLineThatCouldFillTheHoleMakesItAGap) {
  both_live();
  on(kA);
  delta(13, 13, {{100, 2}});
  EXPECT_EQ(state(), BookState::Live);
  line_is(LineState::Down, kB);
  EXPECT_EQ(states(), (Strings{stale(StateReason::Gap), syncing(StateReason::Subscribed)}));
  snapshot(12, {{100, 1}}, {{110, 1}});
  EXPECT_EQ(id(), 13u);
}

TEST_F(Arbitration, AnUnreadableFrameOfOneLineIsReadOnTheOther) {
  both_live();
  on(kA);
  invalidate(0, StateReason::ParseError);
  EXPECT_EQ(states(), Strings{});
  delta(12, 12, {{100, 2}});  // 11 was in it
  on(kB);
  delta(11, 11, {{100, 1}});
  EXPECT_EQ(id(), 12u);
  line_is(LineState::Down, kA);
  invalidate(0, StateReason::ParseError);
  EXPECT_EQ(states(), Strings{stale(StateReason::ParseError)});
}

TEST_F(Arbitration, ChunksOfTwoLinesDoNotMix) {
  both_live();
  NormalizedMessage& message = *scratch;
  const auto chunk = [&](core::LineId id, std::uint16_t number, std::uint16_t flags, PriceLevel level) {
    on(id);
    message.header = header(UpdateType::Delta, 0, 11, 12, 0);
    message.header.flags = flags;
    message.header.chunk = number;
    message.header.bid_count = 1;
    message.levels[0] = level;
    manager.on_message(message);
  };
  chunk(kA, 0, core::kFirst, {100, 1});
  chunk(kB, 0, core::kFirst, {100, 1});
  chunk(kB, 1, core::kLast, {99, 2});
  EXPECT_EQ(id(), 12u);
  chunk(kA, 1, core::kLast, {99, 2});
  EXPECT_EQ(bids(), (Levels{{100, 1}, {99, 2}}));
  EXPECT_EQ(manager.counters().lost_chunks.get(), 0u);
  EXPECT_EQ(states(), Strings{});
}

TEST_F(Arbitration, CopiesInTheBufferJoinWhateverTheirOrder) {
  line_is(LineState::Up, kA);
  line_is(LineState::Up, kB);
  on(kB);
  delta(10, 11, {{100, 2}});
  on(kA);
  delta(8, 9, {{100, 1}});
  delta(10, 11, {{100, 2}});
  snapshot(8, {{100, 5}}, {{110, 5}});
  EXPECT_EQ(state(), BookState::Live);
  EXPECT_EQ(id(), 11u);
  EXPECT_EQ(bids()[0], (PriceLevel{100, 2}));
}

TEST_F(Arbitration, ALineThatIsNoneOfTheSymbolsIsUnroutable) {
  both_live();
  on(kB + 1);
  delta(11, 11);
  EXPECT_EQ(id(), 10u);
  EXPECT_EQ(manager.counters().unroutable.get(), 1u);
}

TEST_F(Arbitration, TradesPassOnceInWhateverOrder) {
  static constexpr BookRule kRule{.continuity = core::Continuity::FirstUpToNext, .trade_ids_grow = true};
  add(1, kRule, {kA, kB});
  NormalizedMessage& message = *scratch;
  const auto trade = [&](std::uint64_t trade_id, std::uint16_t kind = 0) {
    message.header = header(UpdateType::Trade, 1, 0, 0, 0);
    message.header.flags = static_cast<std::uint16_t>(core::kFirst | core::kLast | kind);
    message.trade = {100, 1, trade_id, shm::Side::Buy, {}};
    manager.on_message(message);
  };
  for (const std::uint64_t trade_id : {5, 7, 5, 6, 7, 6, 8}) trade(trade_id);
  trade(7, core::kAggregate);  // counts on its own
  trade(7, core::kAggregate);
  std::vector<std::uint64_t> ids;
  for (const Event& event : sink.of(EventType::Trade, 1)) ids.push_back(event.trade.trade_id);
  EXPECT_EQ(ids, (std::vector<std::uint64_t>{5, 7, 6, 8, 7}));
}

TEST_F(Arbitration, QuotesMarkPricesAndLiquidationsPassOnce) {
  NormalizedMessage& message = *scratch;
  for (const core::LineId id : {kA, kB}) {
    on(id);
    message.header = header(UpdateType::Quote, 0, 0, 9, 0);
    message.levels[0] = {99, 1};
    message.levels[1] = {101, 2};
    manager.on_message(message);
    message.header = header(UpdateType::MarkPrice, 0, 0, 0, 0);
    message.mark_price = {100, 101, 0, -5, 9};
    manager.on_message(message);
    message.header = header(UpdateType::Liquidation, 0, 0, 0, 0);
    message.liquidation = {100, 99, 3, 2, shm::Side::Sell, {}};
    manager.on_message(message);
  }
  EXPECT_EQ(sink.of(EventType::Bbo).size(), 1u);
  ASSERT_EQ(sink.of(EventType::MarkPrice).size(), 1u);
  EXPECT_EQ(sink.of(EventType::MarkPrice)[0].mark_price.funding_rate, -5);
  ASSERT_EQ(sink.of(EventType::Liquidation).size(), 1u);
  EXPECT_EQ(sink.of(EventType::Liquidation)[0].liquidation.filled_quantity, 2);
  EXPECT_EQ(manager.counters().duplicates.get(), 3u);
  on(kA);  // one line that says the same twice means two
  message.header = header(UpdateType::Liquidation, 0, 0, 0, 0);
  message.liquidation = {100, 99, 3, 2, shm::Side::Sell, {}};
  manager.on_message(message);
  EXPECT_EQ(sink.of(EventType::Liquidation).size(), 2u);
}

TEST(SeenIds, AgreesWithASetWithinItsWindow) {
  std::mt19937_64 random(7);
  for (int round = 0; round < 200; ++round) {
    SeenIds seen;
    std::map<std::uint64_t, bool> model;
    std::uint64_t newest = random() % 1000;
    for (int i = 0; i < 500; ++i) {
      if (random() % 50 == 0) newest += random() % 600;
      const std::uint64_t id = newest + random() % 4 - std::min<std::uint64_t>(newest, random() % 40);
      newest = std::max(newest, id);
      const bool known = model.contains(id);
      model[id] = true;
      ASSERT_EQ(seen.first_time(id), !known) << "round " << round << ", id " << id;
    }
  }
  SeenIds old;
  EXPECT_TRUE(old.first_time(1000));
  EXPECT_FALSE(old.first_time(1000 - 256));  // older than the window counts as seen
  EXPECT_TRUE(old.first_time(1000 - 255));
}

// Two lines carry one random sequence, each cut into batches at its own ids and each late by its own time;
// frames of one are lost, and lines go down and come up, but never is a number missing on both. The book must
// follow the truth without ever leaving LIVE.
class ArbitrationRandom : public ManagerTest, public testing::WithParamInterface<bool> {
 protected:
  struct Batch {
    std::uint64_t prev, first, last;
    Levels bids;
  };
  const BookRule& rule() const { return GetParam() ? kFutures : kSpot; }
};

TEST_P(ArbitrationRandom, FollowsTheTruthWithoutLeavingLive) {
  std::mt19937_64 random(20261122);
  add(0, rule(), {kA, kB});
  line_is(LineState::Up, kA);
  line_is(LineState::Up, kB);
  for (const core::LineId id : {kA, kB}) {
    line = id;
    delta_of(0, 9, 10, {}, {}, 8);
  }
  snapshot(10, {{1000, 5}}, {{5000, 5}});
  ASSERT_EQ(state(), BookState::Live);
  states();

  std::map<std::int64_t, std::int64_t> truth{{1000, 5}};  // bids
  std::map<std::uint64_t, std::map<std::int64_t, std::int64_t>> at;
  std::deque<Batch> queue[2];
  std::uint64_t sent[2] = {10, 10};  // ids each line has cut so far
  std::vector<std::pair<std::uint64_t, PriceLevel>> changes;
  std::uint64_t newest = 10;
  int losing = -1;  // the line that is unreliable now
  bool down = false;
  const std::uint64_t step = GetParam() ? 7 : 1;  // futures ids are shared by all symbols: they skip

  const auto cut = [&](int i) {
    if (sent[i] == newest) return;
    Batch batch{sent[i], sent[i] + 1, newest, {}};
    std::map<std::int64_t, std::int64_t> last;
    for (const auto& [change_id, level] : changes) {
      if (change_id > sent[i]) last[level.price] = level.quantity;
    }
    for (const auto& [price, quantity] : last) batch.bids.push_back({price, quantity});
    sent[i] = newest;
    const bool lost = losing == i && (down || random() % 4 == 0);
    if (!lost) queue[i].push_back(std::move(batch));
  };
  const auto deliver = [&](int i) {
    if (queue[i].empty()) return;
    const Batch batch = std::move(queue[i].front());
    queue[i].pop_front();
    line = i == 0 ? kA : kB;
    delta_of(0, batch.first, batch.last, batch.bids, {}, batch.prev);
  };

  for (int round = 0; round < 60'000; ++round) {
    now_ns += 1000;
    newest += step;
    const PriceLevel level{static_cast<std::int64_t>(900 + random() % 60),
                           static_cast<std::int64_t>(random() % 3)};
    changes.push_back({newest, level});
    if (level.quantity == 0) {
      truth.erase(level.price);
    } else {
      truth[level.price] = level.quantity;
    }
    at[newest] = truth;
    for (int i = 0; i < 2; ++i) {
      if (random() % 3 == 0) cut(i);
      while (queue[i].size() > random() % 4) deliver(i);
    }
    if (round % 500 == 499) {  // both catch up, then the other one is the unreliable
      for (int i = 0; i < 2; ++i) {
        if (losing != i) cut(i);
        while (!queue[i].empty()) deliver(i);
      }
      if (losing >= 0) {
        if (down) line_is(LineState::Up, losing == 0 ? kA : kB);
        sent[losing] = newest;
      }
      ASSERT_EQ(id(), newest);
      std::map<std::int64_t, std::int64_t> book;
      for (const PriceLevel& of : bids()) book[of.price] = of.quantity;
      ASSERT_EQ(book, truth) << "round " << round;
      // Proves the line that was down before the other may fail.
      now_ns += 2 * kSecond;
      losing = static_cast<int>(random() % 3) - 1;
      down = losing >= 0 && random() % 2 == 0;
      if (down) {
        queue[losing].clear();
        line_is(LineState::Down, losing == 0 ? kA : kB);
      }
      at.clear();
      changes.clear();
    }
    if (id() != 10 && at.contains(id())) {
      std::map<std::int64_t, std::int64_t> book;
      for (const PriceLevel& of : bids()) book[of.price] = of.quantity;
      ASSERT_EQ(book, at[id()]) << "round " << round << " id " << id();
    }
    ASSERT_EQ(states(), Strings{}) << "round " << round;
  }
  EXPECT_GT(manager.counters().holes.get(), 100u);
  EXPECT_GT(manager.counters().duplicates.get(), 1000u);
  EXPECT_EQ(manager.counters().gaps.get(), 0u);
}

INSTANTIATE_TEST_SUITE_P(Rules, ArbitrationRandom, testing::Bool(),
                         [](const auto& suite) { return suite.param ? "Futures" : "Spot"; });

}  // namespace
}  // namespace mdp::book::test
