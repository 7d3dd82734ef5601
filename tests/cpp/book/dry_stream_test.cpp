// Streams that dry up: books that would be LIVE and frozen for ever. And quiet symbols, which must stay LIVE.
#include <gtest/gtest.h>

#include "book/manager_fixture.hpp"

namespace mdp::book::test {
namespace {

constexpr std::int64_t kMs = 1'000'000;

class Dry : public ManagerTest {
 protected:
  static constexpr BookRule kRule{.continuity = core::Continuity::FirstUpToNext, .trade_ids_grow = true};
  Dry() {
    now_ns = 1'000'000 * kMs;
    add(0, kRule);
    add(1, kRule);
    make_live();
    delta_of(1, 9, 10, {}, {});
    snapshot_of(1, 10, {{100, 5}}, {{110, 5}});
    states();
    listener.suspects.clear();
  }
  // A trade of symbol 0 at this price, made `age_ns` ago.
  void trade(std::int64_t price, std::int64_t age_ns = 0) {
    NormalizedMessage& message = *scratch;
    message.header = header(UpdateType::Trade, 0, 0, 0, 0);
    message.header.exch_ts_ns -= age_ns;
    message.header.flags = core::kFirst | core::kLast;
    message.trade = {price, 1, next_trade_++, shm::Side::Buy, {}};
    manager.on_message(message);
  }
  void trades(int count, std::int64_t price, std::int64_t age_ns = 0) {
    for (int i = 0; i < count; ++i) {
      now_ns += 100 * kMs;
      trade(price, age_ns);
    }
  }
  void look(int seconds) {
    for (int i = 0; i < 10 * seconds; ++i) manager.look(now_ns += 100 * kMs);
  }
  std::uint64_t next_trade_ = 1;
};

TEST_F(Dry, TradesAboveTheBestAskOrBelowTheBestBidEndLive) {
  trades(51, 111);
  EXPECT_EQ(states(), Strings{});
  trades(1, 111);
  EXPECT_EQ(states(), Strings{stale(StateReason::Silent)});
  EXPECT_EQ(manager.counters().resyncs.get(), 1u);
  manager.begin_sync(0);
  EXPECT_EQ(states(), Strings{});  // nothing would follow a snapshot, as far as is known
  trades(100, 111);
  EXPECT_EQ(states(), Strings{});
  delta(20, 21);
  snapshot(20);
  EXPECT_EQ(states(), (Strings{syncing(StateReason::Subscribed), kLive}));
  trades(52, 99);
  EXPECT_EQ(states(), Strings{stale(StateReason::Silent)});
  EXPECT_EQ(states(1), Strings{});
}

TEST_F(Dry, TradesWithinTheBookAreForAnAuditToJudge) {
  trades(200, 110);
  EXPECT_EQ(states(), Strings{});
  EXPECT_EQ(listener.suspects, (std::vector<core::SymbolId>{0, 0, 0}));
  EXPECT_EQ(manager.counters().suspicions.get(), 3u);
}

TEST_F(Dry, ABookThatMovesWithItsTradesIsRight) {
  for (std::uint64_t id = 11; id < 400; ++id) {
    trades(3, 111);  // told at once; the update of 300 ms later has the ask that is left
    delta(id, id, {}, {{110, 0}, {111, 5}});
    trades(3, 109);
    ++id;
    delta(id, id, {}, {{110, 5}});
  }
  EXPECT_EQ(states(), Strings{});
  EXPECT_TRUE(listener.suspects.empty());
}

// Another line brings the trades, and is ten seconds behind.
TEST_F(Dry, TradesFromBeforeTheLastUpdateSayNothing) {
  trades(300, 111, 60'000 * kMs);
  EXPECT_EQ(states(), Strings{});
  EXPECT_TRUE(listener.suspects.empty());
}

TEST_F(Dry, AQuietSymbolIsQuiet) {
  look(600);
  trade(110);
  look(600);
  trade(100);
  look(600);
  EXPECT_EQ(states(), Strings{});
  EXPECT_TRUE(listener.suspects.empty());
}

TEST_F(Dry, ABusyBookThatStandsStillWhileItsNeighbourMovesIsSuspect) {
  std::uint64_t id = 10;
  const auto second = [&](bool moves) {
    ++id;
    if (moves) delta(id, id);
    delta_of(1, id, id);
    look(1);
  };
  for (int i = 0; i < 60; ++i) second(true);
  const std::uint64_t stood = manager.book(0)->update_id();
  for (int i = 0; i < 9; ++i) second(false);
  EXPECT_TRUE(listener.suspects.empty());
  for (int i = 0; i < 60; ++i) second(false);
  EXPECT_EQ(listener.suspects, std::vector<core::SymbolId>{0});
  EXPECT_EQ(states(), Strings{});
  EXPECT_EQ(manager.book(0)->update_id(), stood);
}

TEST_F(Dry, WhereTheWholeLineStandsStillNoBookIsSuspect) {
  for (std::uint64_t id = 11; id < 71; ++id) {
    delta(id, id);
    delta_of(1, id, id);
    look(1);
  }
  look(60);
  EXPECT_TRUE(listener.suspects.empty());
}

TEST_F(Dry, ASnapshotThatStaysAheadWithOtherLevelsEndsLive) {
  manager.begin_rest_audit(0);
  snapshot(15, {{101, 2}, {99, 5}}, {{110, 5}, {111, 5}});
  look(5);
  EXPECT_EQ(states(), Strings{});
  manager.begin_rest_audit(0);  // the next one's turn: the one that is ahead goes on
  look(1);
  EXPECT_EQ(states(), Strings{stale(StateReason::Silent)});
  EXPECT_EQ(manager.counters().rest_audits.get(), 1u);
  EXPECT_EQ(manager.counters().rest_audits_dropped.get(), 0u);
}

TEST_F(Dry, ASnapshotThatIsAheadWithTheSameLevelsIsOfAQuietSymbol) {
  manager.begin_rest_audit(0);
  snapshot(15, {{100, 5}, {99, 5}}, {{110, 5}, {111, 5}});  // as futures' are: ids are shared
  look(60);
  EXPECT_EQ(states(), Strings{});
  EXPECT_EQ(manager.counters().rest_audits.get(), 1u);
  manager.begin_rest_audit(0);
  look(60);  // nothing has come for it
  EXPECT_EQ(states(), Strings{});
  snapshot(10, {{100, 5}, {99, 4}}, {{110, 5}, {111, 5}});
  EXPECT_EQ(states(), Strings{stale(StateReason::AuditMismatch)});
}

TEST_F(Dry, AnUpdateThatComesAfterAllIsWhatTheSnapshotWaitedFor) {
  manager.begin_rest_audit(0);
  snapshot(12, {{101, 2}, {99, 5}}, {{110, 5}, {111, 5}});
  look(4);
  delta(11, 11, {{100, 0}});
  look(10);
  EXPECT_EQ(states(), Strings{});
  delta(12, 12, {{101, 2}});
  EXPECT_EQ(manager.counters().rest_audits.get(), 1u);
  EXPECT_EQ(manager.counters().rest_audit_mismatches.get(), 0u);
  EXPECT_EQ(states(), Strings{});
}

}  // namespace
}  // namespace mdp::book::test
