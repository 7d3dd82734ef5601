// The publisher as the stages before it and the readers see it: where each event goes, and what a late joiner
// finds.
#include "mdp/publish/ipc_publisher.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <iostream>
#include <thread>
#include <utility>
#include <vector>

#include "mdp/queue/mpsc_queue.hpp"
#include "mdp/sys/clock.hpp"
#include "publish/test_segment.hpp"

namespace mdp::publish {
namespace {

using shm::Book;
using shm::BookState;
using shm::BookStatus;
using shm::BookTable;
using shm::Event;
using shm::EventType;
using shm::PriceLevel;
using shm::ReadStatus;
using shm::RingReader;
using shm::StateReason;
using test::MemorySegment;
using test::small_config;

constexpr std::int64_t kStartNs = 1'000'000'000;
std::int64_t test_now_ns = kStartNs;
std::int64_t test_clock() noexcept { return test_now_ns; }

core::Instrument instrument(core::SymbolId symbol_id, const std::string& symbol) {
  core::Instrument result;
  result.symbol_id = symbol_id;
  result.exchange_id = 3;
  result.venue_symbol = symbol;
  result.canonical_symbol = "test:" + symbol;
  return result;
}

Event book_delta(std::uint32_t symbol_id, std::uint64_t update_id, std::vector<PriceLevel> bids,
                 std::vector<PriceLevel> asks) {
  Event event{};
  event.header.type = EventType::BookDelta;
  event.header.flags = shm::kFlagFirst | shm::kFlagLast;
  event.header.symbol_id = symbol_id;
  event.header.update_id = update_id;
  event.header.bid_count = static_cast<std::uint16_t>(bids.size());
  event.header.ask_count = static_cast<std::uint16_t>(asks.size());
  std::copy(bids.begin(), bids.end(), event.levels);
  std::copy(asks.begin(), asks.end(), event.levels + bids.size());
  return event;
}

Event table_only(std::uint32_t symbol_id, std::uint64_t update_id, std::vector<PriceLevel> bids,
                 std::vector<PriceLevel> asks, std::uint16_t more_flags = 0) {
  Event event = book_delta(symbol_id, update_id, std::move(bids), std::move(asks));
  event.header.type = EventType::BookSnapshot;
  event.header.flags = static_cast<std::uint16_t>(core::kFlagTableOnly | more_flags);
  return event;
}

Event book_state(std::uint32_t symbol_id, BookState state, StateReason reason) {
  Event event{};
  event.header.type = EventType::BookState;
  event.header.symbol_id = symbol_id;
  event.book_state = {shm::kAllBids, shm::kAllAsks, state, reason, {}};
  return event;
}

class IPCPublisherTest : public testing::Test {
 protected:
  void SetUp() override {
    for (std::uint32_t id = 0; id < 4; ++id) {
      segment->directory().set_instrument(instrument(id, std::string(1, static_cast<char>('A' + id))));
    }
  }
  void TearDown() override { test_now_ns = kStartNs; }
  Book book(std::uint32_t symbol_id) {
    Book result;
    EXPECT_EQ(BookTable(segment.view()).read(symbol_id, result), BookStatus::Ok);
    return result;
  }

  MemorySegment segment;
  RingReader reader{segment.view()};
  IPCPublisher publisher{*segment, &test_clock};
  Event event{};
};

TEST_F(IPCPublisherTest, StampsSequenceSizeAndTime) {
  test_now_ns = 5'000'000'000;
  Event trade{};
  trade.header.type = EventType::Trade;
  trade.header.symbol_id = 1;
  trade.header.recv_ts_ns = 4'999'999'000;
  trade.trade = {10, 20, 30, shm::Side::Sell, {}};
  std::memset(trade.trade.reserved, 0xEE, sizeof(trade.trade.reserved));
  publisher.publish(trade);
  ASSERT_EQ(reader.poll(event), ReadStatus::Ok);
  EXPECT_EQ(event.header.sequence, 0U);
  EXPECT_EQ(event.header.size_bytes(), 128U);
  EXPECT_EQ(event.header.pub_ts_ns, 5'000'000'000);
  EXPECT_EQ(event.trade.trade_id, 30U);
  EXPECT_EQ(event.trade.side, shm::Side::Sell);
  EXPECT_EQ(event.trade.reserved[0], 0) << "reserved bytes are zero whatever the slot held";
  EXPECT_EQ(publisher.counters().events.get(), 1U);
  EXPECT_EQ(publisher.latency().count(), 1U);
  EXPECT_EQ(publisher.latency().max_ns(), 1000U);
}

TEST_F(IPCPublisherTest, IsTheEventSinkOfTheFusedTopology) {
  core::EventSink& sink = publisher;
  sink.slot() = book_delta(2, 7, {{100, 1}}, {});
  sink.commit();
  ASSERT_EQ(reader.poll(event), ReadStatus::Ok);
  EXPECT_EQ(event.header.update_id, 7U);
  EXPECT_EQ(event.levels[0], (PriceLevel{100, 1}));
}

TEST_F(IPCPublisherTest, DrainsAQueueInOrder) {
  queue::MpscQueue<Event> queue(64);
  EXPECT_EQ(publisher.drain(queue, 10), 0U);
  for (std::uint64_t n = 0; n < 40; ++n) {
    Event* slot = queue.try_claim();
    test::fill_event(*slot, n, 64);
    queue.commit(slot);
  }
  EXPECT_EQ(publisher.drain(queue, 25), 25U);
  EXPECT_EQ(segment.view().event_count(), 25U) << "all that was drained is committed";
  EXPECT_EQ(publisher.drain(queue, 25), 15U);
  for (std::uint64_t n = 0; n < 40; ++n) {
    ASSERT_EQ(reader.poll(event), ReadStatus::Ok);
    ASSERT_EQ(event.header.update_id, n);
    ASSERT_TRUE(test::intact(event, 64));
  }
}

TEST_F(IPCPublisherTest, TableOnlyGoesToTheTableAlone) {
  publisher.publish(book_delta(1, 5, {{99, 1}}, {}));
  publisher.publish(table_only(1, 5, {{99, 1}, {98, 2}}, {{101, 3}}));
  EXPECT_EQ(publisher.counters().events.get(), 1U);
  EXPECT_EQ(publisher.counters().table_writes.get(), 1U);
  const Book now = book(1);
  EXPECT_EQ(now.bids, (std::vector<PriceLevel>{{99, 1}, {98, 2}}));
  EXPECT_EQ(now.asks, (std::vector<PriceLevel>{{101, 3}}));
  EXPECT_EQ(now.entry.update_id, 5U);
  EXPECT_EQ(now.entry.ring_position, segment->ring().position());
  EXPECT_EQ(now.entry.next_sequence, 1U);
}

TEST_F(IPCPublisherTest, SameLevelsMovesOnlyIdsAndTimes) {
  publisher.publish(table_only(1, 5, {{99, 1}}, {{101, 3}}));
  test_now_ns += 5;
  publisher.publish(table_only(1, 6, {}, {}, core::kFlagSameLevels));
  const Book now = book(1);
  EXPECT_EQ(now.entry.update_id, 6U);
  EXPECT_EQ(now.entry.pub_ts_ns, test_now_ns);
  EXPECT_EQ(now.bids, (std::vector<PriceLevel>{{99, 1}}));
  EXPECT_EQ(now.asks, (std::vector<PriceLevel>{{101, 3}}));
}

TEST_F(IPCPublisherTest, TableKeepsOnlyTheLevelsItHasRoomFor) {
  std::vector<PriceLevel> bids;
  for (std::int64_t i = 0; i < 20; ++i) bids.push_back({100 - i, i + 1});
  publisher.publish(table_only(0, 1, bids, {{101, 1}}));
  const Book now = book(0);
  ASSERT_EQ(now.bids.size(), 8U);
  EXPECT_EQ(now.bids[7], bids[7]);
  EXPECT_EQ(now.asks, (std::vector<PriceLevel>{{101, 1}}));
}

TEST_F(IPCPublisherTest, ReaderMayAskForFewerLevels) {
  publisher.publish(table_only(0, 1, {{99, 1}, {98, 1}}, {{101, 1}, {102, 1}}));
  shm::BookEntry entry;
  PriceLevel bid[1];
  PriceLevel ask[1];
  ASSERT_EQ(BookTable(segment.view()).read(0, entry, bid, ask, 1), BookStatus::Ok);
  EXPECT_EQ(entry.bid_count, 1U);
  EXPECT_EQ(bid[0], (PriceLevel{99, 1}));
  EXPECT_EQ(ask[0], (PriceLevel{101, 1}));
}

TEST_F(IPCPublisherTest, StateGoesToRingAndTable) {
  EXPECT_EQ(book(1).entry.state, BookState::Stale);
  EXPECT_EQ(book(1).entry.reason, StateReason::Starting);
  publisher.publish(book_state(1, BookState::Syncing, StateReason::Subscribed));
  ASSERT_EQ(reader.poll(event), ReadStatus::Ok);
  EXPECT_EQ(event.book_state.state, BookState::Syncing);
  EXPECT_EQ(event.book_state.reason, StateReason::Subscribed);
  EXPECT_EQ(book(1).entry.state, BookState::Syncing);
  EXPECT_EQ(book(1).entry.reason, StateReason::Subscribed);
}

TEST_F(IPCPublisherTest, TableIsNotLiveBeforeItHasTheBook) {
  Event snapshot = book_delta(1, 9, {{99, 1}}, {{101, 1}});
  snapshot.header.type = EventType::BookSnapshot;
  publisher.publish(snapshot);
  publisher.publish(book_state(1, BookState::Live, StateReason::Synced));
  EXPECT_EQ(book(1).entry.state, BookState::Stale) << "the levels are not there yet";
  publisher.publish(table_only(1, 9, {{99, 1}}, {{101, 1}}));
  EXPECT_EQ(book(1).entry.state, BookState::Live);
  EXPECT_EQ(book(1).entry.reason, StateReason::Synced);
  // In the other order it is Live at once.
  publisher.publish(book_state(1, BookState::Stale, StateReason::Gap));
  EXPECT_EQ(book(1).entry.state, BookState::Stale);
  publisher.publish(snapshot);
  publisher.publish(table_only(1, 9, {{99, 1}}, {{101, 1}}));
  publisher.publish(book_state(1, BookState::Live, StateReason::Synced));
  EXPECT_EQ(book(1).entry.state, BookState::Live);
}

TEST_F(IPCPublisherTest, StaleWinsOverALiveThatWaits) {
  publisher.publish(book_delta(1, 9, {{99, 1}}, {}));
  publisher.publish(book_state(1, BookState::Live, StateReason::Synced));
  publisher.publish(book_state(1, BookState::Stale, StateReason::Gap));
  publisher.publish(table_only(1, 9, {{99, 1}}, {}));
  EXPECT_EQ(book(1).entry.state, BookState::Stale);
}

TEST_F(IPCPublisherTest, ImpossibleEventsAreDroppedAndCounted) {
  Event bad = book_delta(1, 1, {}, {});
  bad.header.bid_count = 200;
  bad.header.ask_count = 57;
  publisher.publish(bad);
  publisher.publish(Event{});  // no type
  publisher.publish(table_only(16, 1, {}, {}));
  Event wrong = table_only(1, 1, {}, {});
  wrong.header.type = EventType::Trade;
  publisher.publish(wrong);
  EXPECT_EQ(publisher.counters().rejected_events.get(), 4U);
  EXPECT_EQ(reader.poll(event), ReadStatus::Empty);
}

// When it beats goes by the clock of the events, what it says by the monotonic one.
TEST_F(IPCPublisherTest, HeartbeatFollowsTheClockButNotEveryEvent) {
  const auto beats = [&](auto&& act) {
    segment->heartbeat_at(0);
    const std::int64_t before = sys::monotonic_ns();
    act();
    const std::int64_t said = segment.view().heartbeat_ns();
    EXPECT_TRUE(said == 0 || (said >= before && said <= sys::monotonic_ns())) << said;
    return said != 0;
  };
  test_now_ns += 1000;
  EXPECT_FALSE(beats([&] { publisher.publish(book_delta(1, 1, {}, {})); }));
  test_now_ns += kHeartbeatIntervalNs;
  EXPECT_TRUE(beats([&] { publisher.publish(book_delta(1, 2, {}, {})); }));
  test_now_ns += kHeartbeatIntervalNs;
  EXPECT_TRUE(beats([&] { publisher.heartbeat(); }));
  EXPECT_FALSE(beats([&] { publisher.heartbeat(); }));
  test_now_ns -= 1'000'000'000;  // the clock was set back: the heart goes on beating
  EXPECT_TRUE(beats([&] { publisher.heartbeat(); }));
}

TEST_F(IPCPublisherTest, StatesOfTheSegment) {
  EXPECT_EQ(segment.view().state(), shm::SegmentState::Running);
  publisher.stop();
  EXPECT_EQ(segment.view().state(), shm::SegmentState::Stopped);
  EXPECT_EQ(reader.poll(event), ReadStatus::Stopped);
}

TEST_F(IPCPublisherTest, JoinerOfAQuietInstrumentIsNotLapped) {
  publisher.publish(book_delta(3, 1, {{99, 1}}, {}));
  publisher.publish(table_only(3, 1, {{99, 1}}, {}));
  const std::uint64_t laps = 10;
  while (segment->ring().position() < laps * shm::kMinRingBytes) {
    publisher.publish(book_delta(0, 1, {{99, 1}}, {{101, 1}}));
    publisher.publish(table_only(0, 1, {{99, 1}}, {{101, 1}}));
    for (const std::uint32_t symbol_id : {3U, 2U}) {  // one that had data once, one that never had
      const Book joined = book(symbol_id);
      RingReader joiner(segment.view());
      joiner.start_at(joined.entry.ring_position, joined.entry.next_sequence);
      const ReadStatus status = joiner.poll(event);
      ASSERT_TRUE(status == ReadStatus::Ok || status == ReadStatus::Empty) << to_string(status);
      ASSERT_LE(joiner.lag_bytes(), shm::kMinRingBytes / 2);
    }
  }
  publisher.publish(book_delta(3, 2, {{99, 2}}, {}));
  const Book behind = book(3);
  EXPECT_EQ(behind.entry.update_id, 1U);
  EXPECT_LT(behind.entry.ring_position, segment->ring().position())
      << "the record it lacks is still before the joiner";
}

TEST_F(IPCPublisherTest, PositionIsNotMovedPastARecordTheLevelsLack) {
  publisher.publish(book_delta(3, 1, {{99, 1}}, {}));
  const std::uint64_t behind_from = book(3).entry.ring_position;
  while (segment->ring().position() < shm::kMinRingBytes)
    publisher.publish(book_delta(0, 1, {{99, 1}}, {{101, 1}}));
  EXPECT_EQ(book(3).entry.ring_position, behind_from);
  EXPECT_GT(book(2).entry.ring_position, behind_from);
}

Event whole_book(std::uint32_t symbol_id, std::uint64_t update_id, int flags) {
  Event event = book_delta(symbol_id, update_id, {{99, 1}, {98, 1}}, {{101, 1}});
  event.header.type = EventType::BookSnapshot;
  event.header.flags = static_cast<std::uint16_t>(flags);
  return event;
}

// A whole book that is new: the entry names it together with its levels.
TEST_F(IPCPublisherTest, EntryNamesTheWholeBookWithItsLevels) {
  EXPECT_EQ(book(1).entry.refresh_position, shm::kNoPosition);
  publisher.publish(book_delta(0, 1, {{99, 1}}, {}));
  const std::uint64_t begin = segment->ring().position(), sequence = segment->ring().sequence();
  publisher.publish(whole_book(1, 5, shm::kFlagFirst));
  publisher.publish(book_delta(0, 2, {{99, 1}}, {}));  // another manager's record may lie between
  publisher.publish(whole_book(1, 5, shm::kFlagLast));
  EXPECT_EQ(book(1).entry.refresh_position, shm::kNoPosition);
  publisher.publish(table_only(1, 5, {{99, 1}}, {{101, 1}}));
  EXPECT_EQ(book(1).entry.refresh_position, begin);
  EXPECT_EQ(book(1).entry.refresh_sequence, sequence);
  EXPECT_EQ(book(1).entry.ring_position, segment->ring().position());
  publisher.publish(whole_book(1, 5, shm::kFlagFirst | shm::kFlagLast | shm::kFlagTop));
  publisher.publish(table_only(1, 6, {{99, 1}}, {{101, 1}}));
  EXPECT_EQ(book(1).entry.refresh_position, begin) << "the top is no whole book";
  publisher.publish(book_state(1, BookState::Stale, StateReason::Gap));
  EXPECT_EQ(book(1).entry.refresh_position, shm::kNoPosition);
}

// A book that comes again: nothing else follows, and its levels are no news.
TEST_F(IPCPublisherTest, EntryNamesARefreshAtOnceAndIsNotBehindIt) {
  publisher.publish(whole_book(1, 5, shm::kFlagFirst | shm::kFlagLast));
  publisher.publish(table_only(1, 5, {{99, 1}}, {{101, 1}}));
  publisher.publish(book_state(1, BookState::Live, StateReason::Synced));
  const Book before = book(1);
  const std::uint64_t begin = segment->ring().position(), sequence = segment->ring().sequence();
  publisher.publish(whole_book(1, 5, shm::kFlagFirst | shm::kFlagRefresh));
  EXPECT_EQ(book(1).entry.refresh_position, before.entry.refresh_position) << "not before it is whole";
  publisher.publish(whole_book(1, 5, shm::kFlagLast | shm::kFlagRefresh));
  const Book after = book(1);
  EXPECT_EQ(after.entry.refresh_position, begin);
  EXPECT_EQ(after.entry.refresh_sequence, sequence);
  EXPECT_EQ(after.entry.ring_position, segment->ring().position());
  EXPECT_EQ(after.entry.next_sequence, segment->ring().sequence());
  EXPECT_EQ(after.entry.state, BookState::Live);
  EXPECT_EQ(after.entry.update_id, 5U);
  EXPECT_EQ(after.entry.pub_ts_ns, before.entry.pub_ts_ns);
  EXPECT_EQ(after.bids, before.bids);
  while (segment->ring().position() < begin + shm::kMinRingBytes)
    publisher.publish(book_delta(0, 1, {{99, 1}}, {{101, 1}}));
  EXPECT_GT(book(1).entry.ring_position, after.entry.ring_position) << "it moves along";
}

// Where events are committed in batches the entry still names nothing that a reader cannot see.
TEST_F(IPCPublisherTest, ARefreshIsVisibleBeforeTheEntryNamesIt) {
  queue::MpscQueue<Event> queue(8);
  for (const int flags : {shm::kFlagFirst | shm::kFlagRefresh, shm::kFlagLast | shm::kFlagRefresh}) {
    Event* slot = queue.try_claim();
    ASSERT_NE(slot, nullptr);
    *slot = whole_book(1, 5, flags);
    queue.commit(slot);
  }
  publisher.drain(queue, 1);
  EXPECT_EQ(book(1).entry.refresh_position, shm::kNoPosition);
  publisher.drain(queue, 1);
  RingReader joiner(segment.view());
  joiner.start_at(book(1).entry.refresh_position, book(1).entry.refresh_sequence);
  ASSERT_EQ(joiner.poll(event), ReadStatus::Ok);
  ASSERT_EQ(joiner.poll(event), ReadStatus::Ok);
  EXPECT_EQ(joiner.position(), book(1).entry.ring_position);
}

TEST_F(IPCPublisherTest, StepsOfTheRingAreCounted) {
  EXPECT_EQ(publisher.ring_steps().get(), 0U);
  while (segment->ring().position() < 3 * shm::kMinRingBytes) {
    publisher.publish(book_delta(0, 1, {{99, 1}}, {{101, 1}}));
    ASSERT_EQ(publisher.ring_steps().get(),
              segment->ring().position() / (shm::kMinRingBytes / core::kRingSteps));
  }
}

// A thread that is told to end, and waited for, however the test is left.
class Joiner {
 public:
  template <class Fn>
  Joiner(std::atomic<bool>& done, Fn&& fn) : done_(done), thread_(std::forward<Fn>(fn)) {}
  ~Joiner() {
    done_ = true;
    thread_.join();
  }

 private:
  std::atomic<bool>& done_;
  std::thread thread_;
};

// A reader joins again and again while the publisher works at full speed. Each join must continue exactly
// where the copied book ends: update ids of an instrument count up by one.
TEST(LateJoin, HasNoGapAndNoDuplicateUnderLoad) {
  constexpr std::uint32_t kSymbols = 4;
  constexpr int kJoins = 1200;
  SegmentConfig config = small_config();
  config.ring = 1 << 20;
  MemorySegment segment(config);
  for (std::uint32_t id = 0; id < kSymbols; ++id) segment->directory().set_instrument(instrument(id, "S"));
  IPCPublisher publisher(*segment);
  std::atomic<bool> done{false};
  const Joiner writer(done, [&] {
    std::uint64_t update_ids[kSymbols] = {};
    for (std::uint64_t n = 0; !done.load(std::memory_order_relaxed); ++n) {
      // Symbol 3 is quiet: one update in 1024.
      const auto symbol_id = static_cast<std::uint32_t>(n % 1024 == 0 ? 3 : test::mix(n) % 3);
      const std::uint64_t id = ++update_ids[symbol_id];
      const auto quantity = static_cast<std::int64_t>(id);
      publisher.publish(book_delta(symbol_id, id, {{100, quantity}}, {{101, quantity}}));
      publisher.publish(table_only(symbol_id, id, {{100, quantity}}, {{101, quantity}}));
      if (n % 256 == 0) std::this_thread::yield();
    }
  });
  const BookTable table(segment.view());
  RingReader reader(segment.view());
  Book book;
  Event event;
  int joins = 0;
  int laps = 0;
  while (joins < kJoins) {
    const auto symbol_id = static_cast<std::uint32_t>(joins % kSymbols);
    const BookStatus status = table.read(symbol_id, book);
    if (status == BookStatus::Busy) continue;
    ASSERT_EQ(status, BookStatus::Ok);
    std::uint64_t update_id = book.entry.update_id;
    if (update_id != 0) {
      ASSERT_EQ(book.bids.at(0).quantity, static_cast<std::int64_t>(update_id));
      ASSERT_EQ(book.asks.at(0).quantity, static_cast<std::int64_t>(update_id));
    }
    reader.start_at(book.entry.ring_position, book.entry.next_sequence);
    ReadStatus read = ReadStatus::Ok;
    for (int followed = 0; followed < (symbol_id == 3 ? 1 : 10) && read != ReadStatus::Lapped;) {
      read = reader.poll(event);
      ASSERT_TRUE(read == ReadStatus::Ok || read == ReadStatus::Empty || read == ReadStatus::Lapped)
          << to_string(read);
      if (read == ReadStatus::Empty) std::this_thread::yield();
      if (read != ReadStatus::Ok || event.header.symbol_id != symbol_id) continue;
      ASSERT_EQ(event.header.update_id, ++update_id) << "join " << joins << " of symbol " << symbol_id;
      ASSERT_EQ(event.levels[0].quantity, static_cast<std::int64_t>(update_id));
      ++followed;
    }
    // Lapped: this thread was not scheduled for a while. It was told, and joins again.
    read != ReadStatus::Lapped ? ++joins : ++laps;
  }
  std::cout << joins << " joins, " << laps << " more that were lapped, under " << segment.view().event_count()
            << " events\n";
}

TEST(BookTable, StressNoTornBookIsEverReturned) {
  constexpr std::uint64_t kWrites = 50'000;
  MemorySegment segment;
  std::atomic<bool> done{false};
  const Joiner writer(done, [&] {
    Event event = table_only(5, 0, {}, {});
    for (std::uint64_t n = 1; n <= kWrites; ++n) {
      event.header.update_id = n;
      event.header.recv_ts_ns = static_cast<std::int64_t>(test::mix(n));
      event.header.bid_count = static_cast<std::uint16_t>(n % 9);
      event.header.ask_count = static_cast<std::uint16_t>((n / 9) % 9);
      for (std::size_t i = 0; i < 16; ++i)
        event.levels[i] = {static_cast<std::int64_t>(n), static_cast<std::int64_t>(~n)};
      segment->table().write_book(event, 0, {n * 64, n});
      if (n % 128 == 0) std::this_thread::yield();
    }
    done = true;
  });
  const BookTable table(segment.view());
  Book book;
  std::uint64_t good = 0;
  std::uint64_t last = 0;
  while (!done || good == 0) {
    const BookStatus status = table.read(5, book);
    if (status == BookStatus::Busy) continue;
    ASSERT_EQ(status, BookStatus::Ok);
    const std::uint64_t n = book.entry.update_id;
    ASSERT_GE(n, last);
    last = n;
    if (n == 0) continue;
    ASSERT_EQ(book.entry.recv_ts_ns, static_cast<std::int64_t>(test::mix(n)));
    ASSERT_EQ(book.entry.ring_position, n * 64);
    ASSERT_EQ(book.bids.size(), n % 9);
    ASSERT_EQ(book.asks.size(), (n / 9) % 9);
    const PriceLevel expected{static_cast<std::int64_t>(n), static_cast<std::int64_t>(~n)};
    for (const PriceLevel& level : book.bids) ASSERT_EQ(level, expected);
    for (const PriceLevel& level : book.asks) ASSERT_EQ(level, expected);
    ++good;
  }
}

}  // namespace
}  // namespace mdp::publish
