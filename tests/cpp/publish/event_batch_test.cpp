// EventBatch (mdp/shm/event_batch.hpp) on a ring that is written here: every event in its column, whole and
// in order.
#include "mdp/shm/event_batch.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <vector>

#include "publish/test_segment.hpp"

namespace mdp::publish {
namespace {

using shm::Event;
using shm::EventBatch;
using shm::EventType;
using shm::ReadStatus;
using test::MemorySegment;

class Batches : public testing::Test {
 protected:
  void write(const Event& event) {
    Event written = event;
    written.header.update_id = count_++;
    segment_->ring().append(written.header, written.levels,
                            static_cast<std::size_t>(shm::body_bytes(written.header)));
    segment_->ring().commit();
  }
  static Event of(EventType type, std::uint32_t symbol_id = 1) {
    Event event{};
    event.header.type = type;
    event.header.symbol_id = symbol_id;
    return event;
  }
  // One of each type, with numbers of its own.
  void write_one_of_each() {
    Event event = of(EventType::Bbo);
    event.bbo = {{99, 1}, {101, 2}};
    write(event);
    event = of(EventType::Trade);
    event.trade = {100, 3, 77, shm::Side::Sell, {}};
    write(event);
    event = of(EventType::BookSnapshot);
    event.header.bid_count = 2;
    event.header.ask_count = 1;
    event.levels[0] = {99, 1};
    event.levels[1] = {98, 4};
    event.levels[2] = {101, 2};
    write(event);
    event = of(EventType::BookState);
    event.book_state = {98, shm::kAllAsks, shm::BookState::Live, shm::StateReason::Synced, {}};
    write(event);
    write(of(EventType::Instrument));
    event = of(EventType::ConnectionStatus, shm::kNoSymbol);
    event.connection_status = {3, shm::LineState::Up, {}};
    write(event);
    event = of(EventType::MarkPrice);
    event.mark_price = {100, 101, 102, -5, 9};
    write(event);
    event = of(EventType::Liquidation);
    event.liquidation = {100, 0, 7, 2, shm::Side::Buy, {}};
    write(event);
    event = of(EventType::BookDelta, 2);
    event.header.ask_count = 1;
    event.levels[0] = {102, 0};
    write(event);
    event = of(EventType::Trade, 2);
    event.trade = {103, 1, 78, shm::Side::Buy, {}};
    write(event);
  }

  MemorySegment segment_;
  shm::RingReader reader_{segment_.view()};
  std::uint64_t count_ = 0;
};

TEST_F(Batches, EveryBodyIsInTheColumnOfItsTypeWithTheRowOfItsEvent) {
  write_one_of_each();
  EventBatch batch;
  EXPECT_EQ(batch.fill(reader_, 100), ReadStatus::Empty);
  ASSERT_EQ(batch.size(), 10U);
  const std::vector<std::int64_t> offsets(batch.level_offset().begin(), batch.level_offset().end());
  EXPECT_EQ(offsets, (std::vector<std::int64_t>{0, 0, 0, 3, 3, 3, 3, 3, 3, 4, 4}));
  ASSERT_EQ(batch.levels().size(), 4U);
  EXPECT_EQ(batch.levels()[3], (shm::PriceLevel{102, 0}));

  const auto& trades = batch.column<shm::TradeBody>();
  ASSERT_EQ(trades.bodies.size(), 2U);
  EXPECT_EQ(trades.rows[0], 1);
  EXPECT_EQ(trades.rows[1], 9);
  EXPECT_EQ(trades.bodies[1].trade_id, 78U);
  const auto& states = batch.column<shm::BookStateBody>();
  ASSERT_EQ(states.bodies.size(), 1U);
  EXPECT_EQ(states.rows[0], 3);
  EXPECT_EQ(states.bodies[0].state, shm::BookState::Live);
  const auto& lines = batch.column<shm::ConnectionStatusBody>();
  ASSERT_EQ(lines.bodies.size(), 1U);
  EXPECT_EQ(lines.bodies[0].line, 3);
  EXPECT_EQ(batch.column<shm::BboBody>().bodies[0].ask.quantity, 2);
  EXPECT_EQ(batch.column<shm::MarkPriceBody>().bodies[0].funding_rate, -5);
  EXPECT_EQ(batch.column<shm::LiquidationBody>().bodies[0].filled_quantity, 2);
}

TEST_F(Batches, OneEventByItselfIsWhatTheReaderGives) {
  write_one_of_each();
  shm::RingReader single(segment_.view());
  single.start_at(0, 0);
  EventBatch batch;
  ASSERT_EQ(batch.fill(reader_, 100), ReadStatus::Empty);
  for (std::size_t row = 0; row < batch.size(); ++row) {
    Event expected;
    ASSERT_EQ(single.poll(expected), ReadStatus::Ok);
    const shm::BatchEvent event = batch.event(row);
    EXPECT_EQ(std::memcmp(&event.header, &expected.header, sizeof(event.header)), 0) << row;
    const auto same_body = [&](auto body) {
      const auto* got = event.get_if<decltype(body)>();
      const auto* wanted = expected.get_if<decltype(body)>();
      ASSERT_EQ(got != nullptr, wanted != nullptr) << row;
      if (got != nullptr) {
        EXPECT_EQ(std::memcmp(got, wanted, sizeof(body)), 0) << row;
      }
    };
    same_body(shm::BookStateBody{});
    same_body(shm::BboBody{});
    same_body(shm::TradeBody{});
    same_body(shm::ConnectionStatusBody{});
    same_body(shm::MarkPriceBody{});
    same_body(shm::LiquidationBody{});
    EXPECT_TRUE(
        std::equal(event.bids().begin(), event.bids().end(), expected.bids().begin(), expected.bids().end()));
    EXPECT_TRUE(
        std::equal(event.asks().begin(), event.asks().end(), expected.asks().begin(), expected.asks().end()));
  }
}

TEST_F(Batches, OneInstrumentsEventsAreKeptAndAllAreLookedAt) {
  write_one_of_each();
  EventBatch batch;
  EXPECT_EQ(batch.fill(reader_, 9, 2), ReadStatus::Ok) << "nine were looked at";
  ASSERT_EQ(batch.size(), 1U);
  EXPECT_EQ(batch.headers()[0].update_id, 8U);
  EXPECT_EQ(batch.column<shm::TradeBody>().rows.size(), 0U);
  EXPECT_EQ(batch.fill(reader_, 9, 2), ReadStatus::Empty) << "a second fill goes on behind the first";
  ASSERT_EQ(batch.size(), 2U);
  EXPECT_EQ(batch.column<shm::TradeBody>().rows[0], 1);
  EXPECT_EQ(batch.event(1).get_if<shm::TradeBody>()->price, 103);
}

TEST_F(Batches, TypesOfLaterVersionsArePassedOver) {
  Event event = of(static_cast<EventType>(200));
  segment_->ring().append(event.header, event.levels, 64);
  segment_->ring().commit();
  event = of(EventType::Trade);
  write(event);
  EventBatch batch;
  EXPECT_EQ(batch.fill(reader_, 100), ReadStatus::Empty);
  ASSERT_EQ(batch.size(), 1U);
  EXPECT_EQ(batch.headers()[0].type, EventType::Trade);
}

TEST_F(Batches, EmptyPollHasNoRows) {
  EventBatch batch;
  EXPECT_EQ(batch.fill(reader_, 100), ReadStatus::Empty);
  EXPECT_EQ(batch.size(), 0U);
  ASSERT_EQ(batch.level_offset().size(), 1U);
  EXPECT_EQ(batch.level_offset()[0], 0);
  shm::RingReader closed;
  EXPECT_EQ(batch.fill(closed, 100), ReadStatus::NotAttached);
}

TEST_F(Batches, LapEndsABatchBeforeTheHoleAndNothingIsTorn) {
  EventBatch before;
  for (; count_ < 12; ++count_) test::write_event(segment_->ring(), count_);
  EXPECT_EQ(before.fill(reader_, 10), ReadStatus::Ok);
  EXPECT_EQ(before.size(), 10U);
  for (; count_ < 2000; ++count_) test::write_event(segment_->ring(), count_);
  EventBatch hole, after;
  EXPECT_EQ(hole.fill(reader_, 10'000), ReadStatus::Lapped);
  EXPECT_EQ(hole.size(), 0U);
  EXPECT_EQ(after.fill(reader_, 10'000), ReadStatus::Empty);
  ASSERT_GT(after.size(), 0U);
  EXPECT_EQ(10 + reader_.total_lost_events() + after.size(), 2000U);
  std::size_t level = 0;
  for (std::size_t row = 0; row < after.size(); ++row) {
    Event copy;
    copy.header = after.headers()[row];
    const std::size_t count = std::size_t{copy.header.bid_count} + copy.header.ask_count;
    std::copy_n(after.levels().data() + level, count, copy.levels);
    EXPECT_TRUE(test::intact(copy)) << row;
    level += count;
    EXPECT_EQ(after.level_offset()[row + 1], static_cast<std::int64_t>(level));
  }
}

}  // namespace
}  // namespace mdp::publish
