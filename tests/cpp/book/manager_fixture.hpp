// What the manager's tests share: a sink and a listener that keep everything, messages in few words, and a
// reader that rebuilds books from events alone.
#pragma once

#include <gtest/gtest.h>

#include <cstring>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "book/book_model.hpp"
#include "mdp/book/order_book_manager.hpp"
#include "mdp/core/level_writer.hpp"

namespace mdp::book::test {

using core::BookRule;
using core::CrossedPolicy;
using core::MessageHeader;
using core::NormalizedMessage;
using core::UpdateType;
using shm::Event;
using shm::EventType;
using shm::LineState;

inline constexpr BookRule kSpot{.continuity = core::Continuity::FirstUpToNext,
                                .join = core::Join::AfterSnapshotId};
inline constexpr BookRule kFutures{.continuity = core::Continuity::PrevUpToLast,
                                   .join = core::Join::AroundSnapshotId};
inline constexpr BookRule kSpotAllowingCrossed{.continuity = core::Continuity::FirstUpToNext,
                                               .join = core::Join::AfterSnapshotId,
                                               .crossed = CrossedPolicy::Allow};
inline constexpr BookRule kStream{.continuity = core::Continuity::FirstUpToNext,
                                  .join = core::Join::AfterSnapshotId,
                                  .snapshot_source = core::SnapshotSource::Stream};
// Snapshots in the stream, and each delta names the one before.
inline constexpr BookRule kChain{.continuity = core::Continuity::PrevIsLast,
                                 .join = core::Join::InSequence,
                                 .snapshot_source = core::SnapshotSource::Stream,
                                 .lines_share_ids = true};
inline constexpr BookRule kUnnumbered{.continuity = core::Continuity::None,
                                      .snapshot_source = core::SnapshotSource::Stream};

// Keeps every event. Its slot is full of rubbish each time: what the manager forgets to write shows.
class EventKeeper final : public core::EventSink {
 public:
  EventKeeper() { renew(); }
  void commit() noexcept override {
    events.push_back(*slot_);
    renew();
  }
  std::vector<Event> of(EventType type, core::SymbolId symbol = 0) const {
    std::vector<Event> out;
    for (const Event& event : events) {
      const bool table = (event.header.flags & core::kFlagTableOnly) != 0;
      if (event.header.type == type && event.header.symbol_id == symbol && !table) out.push_back(event);
    }
    return out;
  }
  std::vector<Event> events;

 private:
  void renew() {
    std::memset(static_cast<void*>(storage_.get()), 0xA5, sizeof(Event));
    slot_ = storage_.get();
  }
  std::unique_ptr<Event> storage_ = std::make_unique<Event>();
};

struct Listener final : BookListener {
  void on_book_state(core::SymbolId, BookState, StateReason, std::uint64_t) noexcept override { ++states; }
  void on_snapshot_wanted(core::SymbolId symbol, StateReason reason) noexcept override {
    wanted.push_back({symbol, reason});
  }
  void on_depth_need(core::SymbolId symbol, DepthNeed need) noexcept override {
    needs.push_back({symbol, need});
  }
  void on_audit_mismatch(core::SymbolId symbol, std::uint64_t id, AuditSource source, const Bbo& book,
                         const Bbo& venue) noexcept override {
    mismatches.push_back({symbol, id, source, book, venue});
  }
  void on_suspect(core::SymbolId symbol) noexcept override { suspects.push_back(symbol); }
  struct Mismatch {
    core::SymbolId symbol;
    std::uint64_t id;
    AuditSource source;
    Bbo book;
    Bbo venue;
  };
  std::vector<Mismatch> mismatches;
  std::vector<std::pair<core::SymbolId, DepthNeed>> needs;
  std::vector<core::SymbolId> suspects;
  std::size_t states = 0;
  std::vector<std::pair<core::SymbolId, StateReason>> wanted;
};

// Hands every chunk on to the manager; can lose one.
class ManagerSink final : public core::MessageSink {
 public:
  explicit ManagerSink(OrderBookManager& manager) : manager_(manager) { slot_ = storage_.get(); }
  void commit() noexcept override {
    if (lose_chunk-- != 0) manager_.on_message(*storage_);
    if (between) between();
  }
  int lose_chunk = -1;
  std::function<void()> between;  // what else happens after each chunk

 private:
  OrderBookManager& manager_;
  std::unique_ptr<NormalizedMessage> storage_ = std::make_unique<NormalizedMessage>();
};

using Strings = std::vector<std::string>;
inline std::string stale(StateReason reason) { return "STALE " + std::to_string(static_cast<int>(reason)); }
inline std::string syncing(StateReason reason) {
  return "SYNCING " + std::to_string(static_cast<int>(reason));
}

inline constexpr core::ExchangeId kExchange = 7;
inline constexpr core::LineId kLine = 3;

class ManagerTest : public testing::Test {
 protected:
  explicit ManagerTest(const BookOptions& options = {})
      : manager(sink, listener, options), messages(manager) {}

  void add(core::SymbolId symbol, const BookRule& rule = kSpot, std::vector<core::LineId> lines = {kLine}) {
    manager.add_symbol(symbol, kExchange, lines, rule);
  }
  void line_is(LineState state, core::LineId of = kLine) {
    NormalizedMessage& message = *scratch;
    message.header = {};
    message.header.update_type = UpdateType::Line;
    message.header.reason = static_cast<std::uint8_t>(state);
    message.header.symbol_id = shm::kNoSymbol;
    message.header.line_id = of;
    message.header.recv_ts_ns = now_ns;
    manager.on_message(message);
  }
  void invalidate(core::SymbolId symbol, StateReason reason) {
    NormalizedMessage& message = *scratch;
    message.header = {};
    message.header.update_type = UpdateType::Invalidate;
    message.header.reason = static_cast<std::uint8_t>(reason);
    message.header.symbol_id = symbol;
    message.header.line_id = line;
    message.header.recv_ts_ns = now_ns;
    manager.on_message(message);
  }
  MessageHeader header(UpdateType type, core::SymbolId symbol, std::uint64_t first, std::uint64_t last,
                       std::uint64_t prev) {
    MessageHeader header{};
    header.update_type = type;
    header.symbol_id = symbol;
    header.exchange_id = kExchange;
    header.line_id = line;
    header.first_update_id = first;
    header.last_update_id = last;
    header.prev_update_id = prev;
    header.exch_ts_ns = now_ns - 5;
    header.recv_ts_ns = now_ns;
    header.flags = extra_flags;
    if (type == UpdateType::Snapshot) header.depth_limit = depth_limit;
    return header;
  }
  void write(const MessageHeader& head, const Levels& bids, const Levels& asks) {
    core::LevelWriter writer(messages, head);
    for (const PriceLevel& level : bids) writer.add(level);
    writer.begin_asks();
    for (const PriceLevel& level : asks) writer.add(level);
    writer.finish();
  }
  // The venue's best bid and ask after update `id`.
  void quote(std::uint64_t id, PriceLevel bid, PriceLevel ask) {
    core::NormalizedMessage& message = *scratch;
    message.header = header(UpdateType::Quote, 0, 0, id, 0);
    message.levels[0] = bid;
    message.levels[1] = ask;
    manager.on_message(message);
  }
  void delta_of(core::SymbolId symbol, std::uint64_t first, std::uint64_t last,
                const Levels& bids = {{100, 1}}, const Levels& asks = {}, std::uint64_t prev = 0) {
    write(header(UpdateType::Delta, symbol, first, last, prev), bids, asks);
  }
  void delta(std::uint64_t first, std::uint64_t last, const Levels& bids = {{100, 1}},
             const Levels& asks = {}) {
    delta_of(0, first, last, bids, asks);
  }
  // A futures delta: its ids skip ahead, `prev` chains them.
  void linked(std::uint64_t prev, std::uint64_t first, std::uint64_t last, const Levels& bids = {{100, 1}}) {
    delta_of(0, first, last, bids, {}, prev);
  }
  void snapshot_of(core::SymbolId symbol, std::uint64_t id, const Levels& bids, const Levels& asks) {
    write(header(UpdateType::Snapshot, symbol, id, id, 0), bids, asks);
  }
  void snapshot(std::uint64_t id, const Levels& bids = {{100, 5}, {99, 5}},
                const Levels& asks = {{110, 5}, {111, 5}}) {
    snapshot_of(0, id, bids, asks);
  }
  // LIVE at `id` with bids 100, 99 and asks 110, 111.
  void make_live(core::SymbolId symbol = 0, std::uint64_t id = 10) {
    line_is(LineState::Up);
    delta_of(symbol, id - 1, id, {}, {}, id - 2);
    snapshot_of(symbol, id, {{100, 5}, {99, 5}}, {{110, 5}, {111, 5}});
    ASSERT_EQ(manager.state(symbol), BookState::Live);
  }
  BookState state(core::SymbolId symbol = 0) const { return manager.state(symbol); }
  // "STALE(Gap)" and the like, of all state events since the last call.
  std::vector<std::string> states(core::SymbolId symbol = 0) {
    std::vector<std::string> out;
    for (; seen < sink.events.size(); ++seen) {
      const Event& event = sink.events[seen];
      if (event.header.type != EventType::BookState || event.header.symbol_id != symbol) continue;
      static const char* const kNames[] = {"STALE", "SYNCING", "LIVE"};
      out.push_back(std::string(kNames[static_cast<int>(event.book_state.state)]) + " " +
                    std::to_string(static_cast<int>(event.book_state.reason)));
    }
    return out;
  }
  static std::string text(BookState state, StateReason reason) {
    static const char* const kNames[] = {"STALE", "SYNCING", "LIVE"};
    return std::string(kNames[static_cast<int>(state)]) + " " + std::to_string(static_cast<int>(reason));
  }
  std::vector<StateReason> wanted(core::SymbolId symbol = 0) {
    std::vector<StateReason> out;
    for (const auto& [of, reason] : listener.wanted) {
      if (of == symbol) out.push_back(reason);
    }
    listener.wanted.clear();
    return out;
  }
  Levels bids(core::SymbolId symbol = 0) const { return best_first_bids(*manager.book(symbol)); }
  Levels asks(core::SymbolId symbol = 0) const { return best_first_asks(*manager.book(symbol)); }
  std::uint64_t id(core::SymbolId symbol = 0) const { return manager.book(symbol)->update_id(); }

  EventKeeper sink;
  Listener listener;
  OrderBookManager manager;
  ManagerSink messages;
  std::unique_ptr<NormalizedMessage> scratch = std::make_unique<NormalizedMessage>();
  core::LineId line = kLine;  // what is sent now comes on
  std::int64_t now_ns = 1'000'000;
  std::uint16_t extra_flags = 0;
  std::uint16_t depth_limit = 0;  // of the snapshots that are sent now
  std::size_t seen = 0;
};

// A reader of events: knows nothing but what they say. Expects the checksum of each update to be that of the
// book after it.
class RebuiltBooks {
 public:
  struct Book {
    BookModel levels;
    BookState state = BookState::Stale;
    std::uint64_t update_id = 0;
    Bbo bbo;
    std::int64_t known_bid = shm::kAllBids, known_ask = shm::kAllAsks;
    bool whole = false;  // a whole book was read, and everything since
    bool open = false;   // the records of an update have not ended
    std::size_t refreshes = 0;
    Levels table_bids, table_asks;  // as the book table is told
  };

  void read(const Event& event) {
    const shm::EventHeader& header = event.header;
    if ((header.flags & shm::kFlagVenueQuote) != 0 || header.symbol_id == shm::kNoSymbol) return;
    Book& book = books[header.symbol_id];
    if (book.open) {  // its update is not whole yet: nothing else of the symbol comes between
      EXPECT_TRUE(event.has_levels() && (header.flags & (shm::kFlagFirst | shm::kFlagTop)) == 0);
    }
    if ((header.flags & core::kFlagTableOnly) != 0) {
      if ((header.flags & core::kFlagSameLevels) != 0) return;
      book.table_bids.assign(event.bids().begin(), event.bids().end());
      book.table_asks.assign(event.asks().begin(), event.asks().end());
      return;
    }
    switch (header.type) {
      case EventType::BookState:
        book.state = event.book_state.state;
        book.known_bid = event.book_state.known_bid;
        book.known_ask = event.book_state.known_ask;
        break;
      case EventType::Bbo:
        book.bbo = {event.bbo.bid, event.bbo.ask};
        break;
      case EventType::BookDelta:
      case EventType::BookSnapshot:
        if ((header.flags & shm::kFlagTop) == 0) read_levels(book, event);
        break;
      default:
        break;
    }
  }
  std::map<core::SymbolId, Book> books;

 private:
  void read_levels(Book& book, const Event& event) {
    if ((event.header.flags & shm::kFlagFirst) != 0) {
      bids_.clear();
      asks_.clear();
    }
    bids_.insert(bids_.end(), event.bids().begin(), event.bids().end());
    asks_.insert(asks_.end(), event.asks().begin(), event.asks().end());
    book.open = (event.header.flags & shm::kFlagLast) == 0;
    if (book.open) {
      EXPECT_FALSE(event.has_checksum());
      return;
    }
    if ((event.header.flags & shm::kFlagRefresh) != 0 && book.whole) {
      // No news.
      ++book.refreshes;
      EXPECT_EQ(book.state, BookState::Live);
      EXPECT_EQ(book.update_id, event.header.update_id);
      EXPECT_EQ(book.levels.best_first_bids(), bids_);
      EXPECT_EQ(book.levels.best_first_asks(), asks_);
    }
    if ((event.header.flags & shm::kFlagRefresh) != 0) book.state = BookState::Live;  // only such come again
    if (event.header.type == EventType::BookSnapshot) {
      expect_best_first(bids_, -1);
      expect_best_first(asks_, 1);
      book.whole = true;
      book.levels.replace(bids_, asks_);
    } else {
      EXPECT_TRUE(book.state == BookState::Live || !book.whole) << "a delta of a book that is not LIVE";
      book.levels.apply(bids_, asks_);
    }
    book.update_id = event.header.update_id;
    if (event.has_checksum() && book.whole) {
      EXPECT_EQ(book.levels.checksum(), event.checksum()) << book.update_id;
    }
  }
  static void expect_best_first(const Levels& side, std::int64_t sign) {
    for (std::size_t i = 0; i < side.size(); ++i) {
      EXPECT_NE(side[i].quantity, 0);
      EXPECT_TRUE(i == 0 || (side[i].price > side[i - 1].price) == (sign > 0));
    }
  }
  Levels bids_, asks_;
};

// The symbol 0, announced.
class Manager : public ManagerTest {
 protected:
  void SetUp() override {
    add(0);
    states();
  }
};

inline const std::string kLive = "LIVE " + std::to_string(static_cast<int>(StateReason::Synced));

inline Levels ladder(std::int64_t from, std::int64_t step, std::size_t count, std::int64_t quantity = 1) {
  Levels out;
  for (std::size_t i = 0; i < count; ++i)
    out.push_back({from + step * static_cast<std::int64_t>(i), quantity});
  return out;
}

}  // namespace mdp::book::test
