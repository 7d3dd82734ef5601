// BookRefresh, through the manager and a publisher: a late joiner finds every LIVE book whole, at a bounded
// price, and nobody else notices.
#include "mdp/book/book_refresh.hpp"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "book/manager_fixture.hpp"
#include "mdp/core/log.hpp"
#include "mdp/publish/ipc_publisher.hpp"
#include "mdp/shm/shm.hpp"
#include "publish/test_segment.hpp"

namespace mdp::book {
namespace {

using namespace test;

constexpr BookRule kEveryFrame{.continuity = core::Continuity::None,
                               .snapshot_source = core::SnapshotSource::EveryFrame};
constexpr std::uint64_t kRing = shm::kMinRingBytes;

std::vector<std::string> logged;

class Refresh : public testing::Test {
 protected:
  static constexpr core::LineId kLines[] = {0};

  void SetUp() override {
    logged.clear();
    core::set_log_sink([](core::LogLevel, std::string_view line) { logged.emplace_back(line); });
  }
  void TearDown() override { core::set_log_sink(nullptr); }

  // Manager and publisher on one thread, as in the fused topology.
  void begin(BookOptions options = {}) {
    config.ring = kRing;
    config.levels = 2;
    segment = std::make_unique<publish::test::MemorySegment>(config);
    publisher = std::make_unique<publish::IPCPublisher>(**segment);
    ring = shm::RingReader(segment->view());
    options.table_levels = 2;
    options.ring_steps = &publisher->ring_steps();
    options.ring_bytes = kRing;
    manager = std::make_unique<OrderBookManager>(*publisher, listener, options);
    messages = std::make_unique<ManagerSink>(*manager);
    for (core::SymbolId symbol = 0; symbol < config.instruments; ++symbol) {
      (*segment)->directory().set_instrument(publish::test::btc(symbol));
    }
  }
  void send(UpdateType type, core::SymbolId symbol, std::uint64_t id, const Levels& bids,
            const Levels& asks) {
    MessageHeader header{};
    header.update_type = type;
    header.symbol_id = symbol;
    header.first_update_id = header.last_update_id = id;
    header.exch_ts_ns = 1000 + static_cast<std::int64_t>(id);
    header.recv_ts_ns = 2000 + static_cast<std::int64_t>(id);
    core::LevelWriter writer(*messages, header);
    for (const PriceLevel& level : bids) writer.add(level);
    writer.begin_asks();
    for (const PriceLevel& level : asks) writer.add(level);
    writer.finish();
  }
  // LIVE at id 10 with so many levels a side.
  void make_live(core::SymbolId symbol, std::size_t levels, const BookRule& rule = kSpot) {
    manager->add_symbol(symbol, 1, kLines, rule);
    if (rule.snapshot_source == core::SnapshotSource::Rest) send(UpdateType::Delta, symbol, 10, {}, {});
    send(UpdateType::Snapshot, symbol, 10, ladder(-1, -1, levels), ladder(1, 1, levels));
    ASSERT_EQ(manager->state(symbol), BookState::Live);
  }
  void update(core::SymbolId symbol, std::uint64_t id) {
    send(UpdateType::Delta, symbol, id, {{-1, 1 + static_cast<std::int64_t>(id % 7)}}, {});
    ASSERT_EQ(manager->book(symbol)->update_id(), id);
  }
  shm::BookEntry entry(core::SymbolId symbol) const {
    shm::BookEntry out{};
    EXPECT_EQ(shm::BookTable(segment->view()).read(symbol, out, nullptr, nullptr, 0), shm::BookStatus::Ok);
    return out;
  }
  // What a reader has who begins at the whole book that the entry names.
  RebuiltBooks::Book joined(core::SymbolId symbol) {
    const shm::BookEntry at = entry(symbol);
    shm::RingReader reader(segment->view());
    reader.start_at(at.refresh_position, at.refresh_sequence);
    RebuiltBooks books;
    bool first = true;
    const auto read = reader.poll(1'000'000, [&](const Event& event) {
      if (first) {
        EXPECT_EQ(event.header.symbol_id, symbol);
        EXPECT_EQ(event.header.type, EventType::BookSnapshot);
        EXPECT_TRUE((event.header.flags & shm::kFlagFirst) != 0);
      }
      first = false;
      books.read(event);
    });
    EXPECT_EQ(read.status, shm::ReadStatus::Empty);
    return books.books[symbol];
  }
  std::uint64_t position() { return (*segment)->ring().position(); }
  std::vector<Event> events() {
    std::vector<Event> out;
    ring.poll(1'000'000, [&](const Event& event) { out.push_back(event); });
    return out;
  }
  const BookCounters& counters() const { return manager->counters(); }

  publish::SegmentConfig config = publish::test::small_config();
  std::unique_ptr<publish::test::MemorySegment> segment;
  std::unique_ptr<publish::IPCPublisher> publisher;
  shm::RingReader ring;
  Listener listener;
  std::unique_ptr<OrderBookManager> manager;
  std::unique_ptr<ManagerSink> messages;
};

TEST_F(Refresh, EveryLiveBookIsWholeWhereAReaderCanStillBegin) {
  begin();
  constexpr core::SymbolId kBooks = 5;
  for (core::SymbolId symbol = 0; symbol < kBooks; ++symbol) make_live(symbol, 20 + symbol);
  for (std::uint64_t id = 11; position() < 10 * kRing; ++id) {
    update(0, id);  // the others are quiet
    for (core::SymbolId symbol = 0; symbol < kBooks; ++symbol) {
      const shm::BookEntry at = entry(symbol);
      ASSERT_NE(at.refresh_position, shm::kNoPosition);
      ASSERT_LE(position() - at.refresh_position, kRing * 3 / 4) << symbol << " at " << id;
      ASSERT_LT(at.refresh_position, at.ring_position);
    }
    if (id % 16 != 0) continue;
    const auto symbol = static_cast<core::SymbolId>(id / 16 % kBooks);
    const RebuiltBooks::Book book = joined(symbol);
    ASSERT_EQ(book.levels.best_first_bids(), best_first_bids(*manager->book(symbol)));
    ASSERT_EQ(book.levels.best_first_asks(), best_first_asks(*manager->book(symbol)));
  }
  // Once in half of the ring each, and not oftener.
  EXPECT_GE(counters().refreshes.get(), 2 * 9 * kBooks);
  EXPECT_LE(counters().refreshes.get(), 2 * 10 * kBooks);
  EXPECT_EQ(counters().refreshes_late.get(), 0u);
}

TEST_F(Refresh, WhoFollowsSeesNoNews) {
  begin();
  make_live(0, 300);  // three records
  make_live(1, 2);
  RebuiltBooks follower;
  std::size_t states = 0, refresh_records = 0;
  std::uint64_t bytes = 0;
  for (const Event& event : events()) follower.read(event);
  for (std::uint64_t id = 11; position() < 3 * kRing; ++id) {
    update(1, id);
    for (const Event& event : events()) {
      follower.read(event);  // expects that a refresh is what it has
      states += event.header.type == EventType::BookState ? 1 : 0;
      if ((event.header.flags & shm::kFlagRefresh) == 0) continue;
      ++refresh_records;
      bytes += event.header.size_bytes();
      const std::uint64_t at = manager->book(event.header.symbol_id)->update_id();
      ASSERT_EQ(event.header.type, EventType::BookSnapshot);
      ASSERT_EQ(event.header.update_id, at);
      ASSERT_EQ(event.header.first_update_id, at);
      ASSERT_EQ(event.header.exch_ts_ns, 1000 + static_cast<std::int64_t>(at));
      ASSERT_EQ(event.header.recv_ts_ns, 2000 + static_cast<std::int64_t>(at));
      ASSERT_EQ(event.has_checksum(), (event.header.flags & shm::kFlagLast) != 0);
    }
  }
  EXPECT_EQ(states, 0u);
  EXPECT_GT(follower.books[0].refreshes, 3u);
  EXPECT_GT(follower.books[1].refreshes, 3u);
  EXPECT_EQ(follower.books[0].refreshes + follower.books[1].refreshes, counters().refreshes.get());
  EXPECT_EQ(refresh_records, 3 * follower.books[0].refreshes + follower.books[1].refreshes);
  EXPECT_EQ(bytes, counters().refresh_bytes.get());
}

// What came at the socket long ago tells nothing of the way to the ring.
TEST_F(Refresh, IsNoPartOfTheLatency) {
  begin();
  make_live(0, 2);
  std::uint64_t timed = publisher->latency().count(), records = publisher->counters().events.get();
  for (std::uint64_t id = 11; counters().refreshes.get() == 0; ++id) update(0, id);
  timed = publisher->latency().count() - timed;
  records = publisher->counters().events.get() - records;
  EXPECT_EQ(timed + 1, records);
}

TEST_F(Refresh, TakesItsShareOfTheRingAndTellsOnceThatItIsTooSmall) {
  BookOptions options;
  options.refresh_share = 20;
  begin(options);
  for (core::SymbolId symbol = 0; symbol < 4; ++symbol)
    make_live(symbol, 500);  // 16 KiB each: all are the ring
  const std::uint64_t from = position();
  for (std::uint64_t id = 11; position() < from + 20 * kRing; ++id) update(0, id);
  const auto advanced = static_cast<double>(position() - from);
  const auto refreshed = static_cast<double>(counters().refresh_bytes.get());
  EXPECT_LE(refreshed, 0.20 * advanced + 32 * 1024);
  EXPECT_GE(refreshed, 0.15 * advanced) << "and it is used";
  EXPECT_GT(counters().refreshes_late.get(), 0u);
  EXPECT_TRUE(logged.empty()) << "not from the message path";
  manager->look(0);
  manager->look(0);
  ASSERT_EQ(logged.size(), 1u);
  // 65 KiB of books in 15 % of the ring.
  EXPECT_EQ(logged[0].substr(0, logged[0].find(" books_bytes")),
            "books.ring_too_small ring=65536 wanted=524288");
}

TEST_F(Refresh, ARoundThatFitsIsNeverTooLate) {
  begin();
  make_live(0, 300);  // 10 of the 12 KiB that there are for refreshes in three quarters of the ring
  for (std::uint64_t id = 11; position() < 20 * kRing; ++id) update(0, id);
  EXPECT_GT(counters().refreshes.get(), 25u);
  EXPECT_EQ(counters().refreshes_late.get(), 0u);
  manager->look(0);
  EXPECT_TRUE(logged.empty());
}

TEST_F(Refresh, OffThereIsNone) {
  BookOptions options;
  options.refresh_every = 0;
  begin(options);
  make_live(0, 2);
  for (std::uint64_t id = 11; position() < 3 * kRing; ++id) update(0, id);
  EXPECT_EQ(counters().refreshes.get(), 0u);
  EXPECT_FALSE(manager->refresh_due());
  EXPECT_FALSE(manager->refresh_one());
}

TEST_F(Refresh, ABookThatComesWholeByItselfNeedsNone) {
  begin();
  make_live(0, 2, kEveryFrame);
  for (std::uint64_t id = 11; position() < 5 * kRing; ++id) {
    send(UpdateType::Snapshot, 0, id, {{-1, 1 + static_cast<std::int64_t>(id % 7)}}, {{1, 1}});
    const shm::BookEntry at = entry(0);
    ASSERT_LE(position() - at.refresh_position, 1024u);
    ASSERT_EQ(joined(0).levels.best_first_bids(), best_first_bids(*manager->book(0)));
  }
  EXPECT_EQ(counters().refreshes.get(), 0u);
}

TEST_F(Refresh, ABookThatIsNotLiveHasNoneAndNamesNone) {
  begin();
  make_live(0, 2);
  make_live(1, 2);
  EXPECT_NE(entry(1).refresh_position, shm::kNoPosition);
  manager->request_resync(1);
  EXPECT_EQ(entry(1).refresh_position, shm::kNoPosition);
  for (std::uint64_t id = 11; position() < 3 * kRing; ++id) {
    update(0, id);
    ASSERT_EQ(entry(1).refresh_position, shm::kNoPosition);
  }
  send(UpdateType::Delta, 1, 20, {}, {});
  send(UpdateType::Snapshot, 1, 20, {{-1, 1}}, {{1, 1}});
  ASSERT_EQ(manager->state(1), BookState::Live);
  EXPECT_EQ(joined(1).levels.best_first_bids(), (Levels{{-1, 1}}));
  manager->remove_symbol(1);
  EXPECT_EQ(entry(1).refresh_position, shm::kNoPosition);
}

TEST_F(Refresh, TheSameInputGivesTheSameEvents) {
  std::vector<std::string> runs[2];
  for (auto& lines : runs) {
    begin();
    for (core::SymbolId symbol = 0; symbol < 3; ++symbol) make_live(symbol, std::size_t{100} * symbol + 1);
    for (std::uint64_t id = 10; position() < 4 * kRing; ++id) {
      update(static_cast<core::SymbolId>(id % 2), id / 2 + 6);
      for (const Event& event : events()) {
        lines.push_back(std::to_string(event.header.symbol_id) + " " + std::to_string(event.header.sequence) +
                        " " + std::to_string(event.header.flags) + " " +
                        std::to_string(event.header.size_lines));
      }
    }
  }
  EXPECT_GT(counters().refreshes.get(), 10u);
  EXPECT_EQ(runs[0], runs[1]);
}

// The end of the ring's position numbers is no end for the steps.
TEST_F(Refresh, GoesOnWherePositionsWrap) {
  config.first_position = 0 - 2 * kRing;
  begin();
  make_live(0, 2);
  make_live(1, 2);
  std::uint64_t id = 11;
  for (; position() >= config.first_position; ++id) update(0, id);
  const std::uint64_t before = counters().refreshes.get();
  for (; position() < 2 * kRing; ++id) {
    update(0, id);
    ASSERT_LE(position() - entry(1).refresh_position, kRing * 3 / 4);
  }
  EXPECT_GT(before, 4u);
  EXPECT_GE(counters().refreshes.get(), before + 6);
  EXPECT_LE(counters().refreshes.get(), before + 10);
}

// Without messages: one at a time, and no more than the ring has brought.
TEST_F(Refresh, AnIdleManagerHasItsTurns) {
  core::Counter steps;
  BookOptions options;
  begin();
  options.table_levels = 2;
  options.ring_steps = &steps;
  options.ring_bytes = kRing;
  EventKeeper kept;
  manager = std::make_unique<OrderBookManager>(kept, listener, options);
  messages = std::make_unique<ManagerSink>(*manager);
  for (core::SymbolId symbol = 0; symbol < 4; ++symbol) make_live(symbol, 2);
  EXPECT_FALSE(manager->refresh_one());
  EXPECT_FALSE(manager->refresh_due());
  steps.add(16);  // half of a round
  EXPECT_TRUE(manager->refresh_due());
  EXPECT_TRUE(manager->refresh_one());
  EXPECT_TRUE(manager->refresh_one());
  EXPECT_FALSE(manager->refresh_one());
  EXPECT_FALSE(manager->refresh_due());
  steps.add(64);  // never two rounds for the ring's one
  std::size_t more = 0;
  while (manager->refresh_one()) ++more;
  EXPECT_EQ(more, 4u);
}

TEST_F(Refresh, ManagersOfOneRingShareTheShare) {
  std::uint64_t bytes[3] = {};
  for (const std::size_t managers : {1, 2}) {
    core::Counter steps;
    BookOptions options;
    options.table_levels = 2;
    options.ring_steps = &steps;
    options.ring_bytes = kRing;
    options.ring_managers = managers;
    begin();
    EventKeeper kept;
    manager = std::make_unique<OrderBookManager>(kept, listener, options);
    messages = std::make_unique<ManagerSink>(*manager);
    for (core::SymbolId symbol = 0; symbol < 8; ++symbol) make_live(symbol, 300);
    for (int step = 0; step < 640; ++step) {
      steps.add(1);
      while (manager->refresh_one()) {
      }
    }
    bytes[managers] = counters().refresh_bytes.get();
  }
  EXPECT_NEAR(static_cast<double>(bytes[1]), 10 * kRing * 0.25, 0.5 * kRing);
  EXPECT_NEAR(static_cast<double>(bytes[2]), 10 * kRing * 0.125, 0.5 * kRing);
}

}  // namespace
}  // namespace mdp::book
