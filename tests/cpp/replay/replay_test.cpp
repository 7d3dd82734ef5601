#include "mdp/replay/replay.hpp"

#include <gtest/gtest.h>

#include <string>

#include "mdp/core/error.hpp"
#include "mdp/replay/replay_survey.hpp"

namespace mdp::replay {
namespace {

constexpr int kDeltas = 2000;

std::string delta(int id) {
  const std::string number = std::to_string(id);
  return R"({"stream":"btcusdt@depth@100ms","data":{"e":"depthUpdate","E":1700000000000,"s":"BTCUSDT","U":)" +
         number + R"(,"u":)" + number + R"(,"b":[["99.)" + std::to_string(id % 7) + R"(0000000",")" + number +
         R"(.00000000"]],"a":[["101.5)" + std::to_string(id % 3) + R"(000000","0.50000000"]]}})";
}

std::string quote(int id) {
  return R"({"stream":"btcusdt@bookTicker","data":{"u":)" + std::to_string(id) +
         R"(,"s":"BTCUSDT","b":"1.00000000","B":"1.00000000","a":"2.00000000","A":"1.00000000"}})";
}

constexpr std::string_view kSnapshot =
    R"({"lastUpdateId":10,"bids":[["99.00000000","5.00000000"]],"asks":[["101.50000000","1.00000000"]]})";

std::vector<ReplaySymbol> symbols() {
  ReplaySurvey survey("binance");
  survey.add_unlisted("BTCUSDT");
  survey.snapshot("BTCUSDT", kSnapshot);
  for (int id = 1; id <= 20; ++id) survey.frame(0, delta(id), false);
  return survey.found();
}

// Deltas of one symbol, its snapshot among them, and a quote that is wrong.
void play(Replay& replay) {
  replay.line_state(0, shm::LineState::Up, 1);
  for (int id = 1; id <= kDeltas; ++id) {
    replay.frame(0, id, delta(id), false);
    if (id == 20) {
      EXPECT_TRUE(replay.snapshot("BTCUSDT", id, kSnapshot));
    }
    if (id == 99) replay.frame(0, id, quote(100), false);
  }
}

TEST(Replay, BothTopologiesTellTheSame) {
  std::string lines[2];
  std::string books[2];
  for (const bool pipelined : {false, true}) {
    Replay replay("binance", symbols(), 1, {pipelined, true, false});
    play(replay);
    lines[pipelined] = replay.take_event_lines();
    books[pipelined] = replay.books();
    const ReplaySummary summary = replay.summary();
    EXPECT_EQ(summary.frames, kDeltas + 1u);
    EXPECT_EQ(summary.book_updates, kDeltas - 10u);
    EXPECT_EQ(summary.parse_errors + summary.gaps + summary.resyncs, 0u);
    EXPECT_EQ(summary.quotes_checked, 1u);
    ASSERT_EQ(replay.wrong_quotes().size(), 1u);
    EXPECT_EQ(replay.wrong_quotes()[0].update_id, 100u);
    EXPECT_EQ(summary.books_live, 1u);
  }
  EXPECT_EQ(lines[0], lines[1]);
  EXPECT_EQ(books[0], books[1]);
  EXPECT_NE(books[0].find(R"("binance:BTC-USDT":{"state":"LIVE","update_id":2000,)"), std::string::npos);
}

TEST(Replay, AuditMakesTheBookStale) {
  for (const bool pipelined : {false, true}) {
    Replay replay("binance", symbols(), 1, {pipelined, true, true});
    play(replay);
    const ReplaySummary summary = replay.summary();
    EXPECT_EQ(summary.quotes_wrong, 1u);
    EXPECT_EQ(summary.resyncs, 1u);
    EXPECT_EQ(summary.books_live, 0u);
  }
}

TEST(Replay, WhatIsTakenInBetweenIsWhatWouldHaveCome) {
  Replay whole("binance", symbols(), 1, {true, true, false});
  play(whole);
  Replay parts("binance", symbols(), 1, {true, true, false});
  std::string taken;
  parts.line_state(0, shm::LineState::Up, 1);
  for (int id = 1; id <= kDeltas; ++id) {
    parts.frame(0, id, delta(id), false);
    if (id == 20) {
      EXPECT_TRUE(parts.snapshot("BTCUSDT", id, kSnapshot));
    }
    if (id == 99) parts.frame(0, id, quote(100), false);
    if (id % 50 == 0) taken += parts.take_event_lines();
  }
  EXPECT_EQ(taken + parts.take_event_lines(), whole.take_event_lines());
}

TEST(Replay, UnreadableInputIsTold) {
  Replay replay("binance", symbols(), 1, {});
  replay.frame(0, 1, R"({"e":"depthUpdate")", false);
  EXPECT_TRUE(replay.snapshot("BTCUSDT", 2, "{}"));
  EXPECT_FALSE(replay.snapshot("LTCUSDT", 2, kSnapshot));
  EXPECT_EQ(replay.summary().parse_errors, 2u);
  EXPECT_EQ(replay.take_problems().size(), 2u);
  EXPECT_TRUE(replay.take_problems().empty());
  EXPECT_THROW(replay.frame(1, 1, "{}", false), ConfigError);
}

}  // namespace
}  // namespace mdp::replay
