// EventBatch: the events of one poll as columns, an array for each kind of body, for whoever works on many
// events at once. The Python reader is built on it.
//
// One thread fills a batch. Between two calls of fill() it does not change, and pointers into it stay valid.
// Filling allocates (std::bad_alloc), which reading single events with RingReader does not.
//
//   EventBatch batch;
//   ReadStatus status = batch.fill(feed.ring(), 65'536);
//   const auto& trades = batch.column<TradeBody>();
//   for (std::size_t i = 0; i < trades.bodies.size(); ++i)
//     volume[batch.headers()[trades.rows[i]].symbol_id] += trades.bodies[i].quantity;
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <new>
#include <tuple>
#include <type_traits>
#include <variant>
#include <vector>

#include "mdp/shm/book_keeper.hpp"
#include "mdp/shm/event.hpp"
#include "mdp/shm/ring_reader.hpp"

namespace mdp::shm {

// A growing array that is never filled in advance: what is copied out of the ring is written once.
template <class T>
class Column {
 public:
  static_assert(std::is_trivially_copyable_v<T>);
  Column() = default;
  ~Column() { std::free(begin_); }
  Column(const Column&) = delete;
  Column& operator=(const Column&) = delete;

  const T* data() const noexcept { return begin_; }  // null while it is empty and nothing was reserved
  std::size_t size() const noexcept { return static_cast<std::size_t>(end_ - begin_); }
  const T& operator[](std::size_t index) const noexcept { return begin_[index]; }  // index < size()
  const T* begin() const noexcept { return begin_; }
  const T* end() const noexcept { return end_; }

  // For the batch: room for `count` behind the end, to be written at free_space() and then taken in by add().
  void reserve_more(std::size_t count) {
    if (static_cast<std::size_t>(limit_ - end_) < count) grow(count);
  }
  T* free_space() noexcept { return end_; }
  void add(std::size_t count) noexcept { end_ += count; }
  void push(const T& value) {
    if (end_ == limit_) grow(1);
    *end_++ = value;
  }

 private:
  void grow(std::size_t count) {
    const std::size_t used = size();
    const std::size_t capacity = std::max(used + count, 2 * static_cast<std::size_t>(limit_ - begin_));
    void* data = std::realloc(begin_, capacity * sizeof(T));
    if (data == nullptr) throw std::bad_alloc();
    begin_ = static_cast<T*>(data);
    end_ = begin_ + used;
    limit_ = begin_ + capacity;
  }

  T* begin_ = nullptr;
  T* end_ = nullptr;
  T* limit_ = nullptr;
};

// The bodies of one type, and of each the row of its event. A row is an index of EventBatch::headers(); rows
// rise.
template <class Body>
struct BodyColumn {
  Column<Body> bodies;
  Column<std::int64_t> rows;
};

// One event taken out of a batch, which it may outlive.
struct BatchEvent {
  EventHeader header;
  // Of a BookDelta or BookSnapshot: bids, then asks, and behind them, as in the record, the checksum if it
  // has one, in place of a price.
  std::vector<PriceLevel> levels;
  std::variant<std::monostate, BookStateBody, BboBody, TradeBody, ConnectionStatusBody, MarkPriceBody,
               LiquidationBody>
      body;

  // What BookKeeper::apply() takes beside the header.
  const void* body_of_book() const noexcept {
    if (const auto* state = std::get_if<BookStateBody>(&body)) return state;
    return levels.data();
  }

  // As those of Event.
  template <class Body>
  const Body* get_if() const noexcept {
    return std::get_if<Body>(&body);
  }
  LevelSpan bids() const noexcept { return {levels.data(), levels.empty() ? 0U : header.bid_count}; }
  LevelSpan asks() const noexcept {
    return {levels.data() + bids().size(), levels.empty() ? 0U : header.ask_count};
  }
};

class EventBatch {
 public:
  EventBatch() { level_offset_.push(0); }

  // Copies up to `max` events out of the ring behind those that are here, and keeps of them those of one
  // instrument, or all with kNoSymbol. Types this version does not know are passed over, as the wire format
  // asks. Returns what ended it, as RingReader::poll(); Ok: `max` events were looked at, and there may be
  // more. With Lapped the events that are here are older than the hole.
  // The events of a `keeper`'s instrument are taken into it, as Subscriber::poll() with one does: Mismatch
  // ends the batch behind the event that refuted the book.
  ReadStatus fill(RingReader& from, std::size_t max, std::uint32_t symbol_id = kNoSymbol,
                  BookKeeper* keeper = nullptr);

  // Events.
  std::size_t size() const noexcept { return headers_.size(); }
  const Column<EventHeader>& headers() const noexcept { return headers_; }
  // Levels of all deltas and snapshots, one behind the other: those of row i from level_offset()[i] up to,
  // and without, level_offset()[i + 1]: bid_count bids, then asks. level_offset() is one longer than
  // headers().
  const Column<PriceLevel>& levels() const noexcept { return levels_; }
  const Column<std::int64_t>& level_offset() const noexcept { return level_offset_; }
  // The checksums of those that have one (kFlagChecksum).
  const BodyColumn<std::uint64_t>& checksums() const noexcept { return checksums_; }
  // column<TradeBody>(): all trades.
  template <class Body>
  const BodyColumn<Body>& column() const noexcept {
    return std::get<BodyColumn<Body>>(columns_);
  }

  // One event by itself. row < size()
  BatchEvent event(std::size_t row) const;

 private:
  void add(const EventHeader& header, const void* body);
  template <class Body>
  void add_body(const void* body);
  template <class Body>
  static const Body& at_row(const BodyColumn<Body>& column, std::int64_t row);
  template <class Body>
  void copy_body(std::int64_t row, BatchEvent& event) const;

  Column<EventHeader> headers_;
  Column<std::int64_t> level_offset_;
  Column<PriceLevel> levels_;
  BodyColumn<std::uint64_t> checksums_;
  std::tuple<BodyColumn<BookStateBody>, BodyColumn<BboBody>, BodyColumn<TradeBody>,
             BodyColumn<ConnectionStatusBody>, BodyColumn<MarkPriceBody>, BodyColumn<LiquidationBody>>
      columns_;
};

inline ReadStatus EventBatch::fill(RingReader& from, std::size_t max, std::uint32_t symbol_id,
                                   BookKeeper* keeper) {
  // What lies in the ring bounds what there is to come: a nearly empty poll allocates next to nothing. Few
  // records are one line. Bounded by the ring itself: a corrupt segment may say anything.
  const std::uint64_t lag = std::min(from.lag_bytes(), from.ring_bytes());
  const auto expected =
      static_cast<std::size_t>(std::min<std::uint64_t>(max, lag / (2 * kCacheLineSize) + 1));
  headers_.reserve_more(expected);
  level_offset_.reserve_more(expected);
  for (std::size_t polled = 0; polled < max; ++polled) {
    headers_.reserve_more(1);
    levels_.reserve_more(kMaxEventLevels);
    EventHeader& header = *headers_.free_space();
    PriceLevel* const body = levels_.free_space();
    ReadStatus status = from.poll(header, body, symbol_id);
    const bool wanted = symbol_id == kNoSymbol || header.symbol_id == symbol_id;
    if (keeper != nullptr && (wanted || status != ReadStatus::Ok)) {
      status = keeper->after(from, status, header, body);
    }
    if (wanted && (status == ReadStatus::Ok || status == ReadStatus::Mismatch)) add(header, body);
    if (status != ReadStatus::Ok) return status;
  }
  return ReadStatus::Ok;
}

// Takes in the event, which stands in the free space of headers_ and levels_.
inline void EventBatch::add(const EventHeader& header, const void* body) {
  switch (header.type) {
    case EventType::BookDelta:
    case EventType::BookSnapshot: {
      const std::size_t count = std::size_t{header.bid_count} + header.ask_count;
      if ((header.flags & kFlagChecksum) != 0) {
        std::uint64_t checksum;
        std::memcpy(&checksum, static_cast<const PriceLevel*>(body) + count, sizeof(checksum));
        checksums_.bodies.push(checksum);
        checksums_.rows.push(static_cast<std::int64_t>(headers_.size()));
      }
      levels_.add(count);
      break;
    }
    case EventType::BookState:
      add_body<BookStateBody>(body);
      break;
    case EventType::Bbo:
      add_body<BboBody>(body);
      break;
    case EventType::Trade:
      add_body<TradeBody>(body);
      break;
    case EventType::ConnectionStatus:
      add_body<ConnectionStatusBody>(body);
      break;
    case EventType::MarkPrice:
      add_body<MarkPriceBody>(body);
      break;
    case EventType::Liquidation:
      add_body<LiquidationBody>(body);
      break;
    case EventType::Instrument:
      break;
    case EventType::Padding:
    default:
      return;
  }
  headers_.add(1);
  level_offset_.push(static_cast<std::int64_t>(levels_.size()));
}

template <class Body>
void EventBatch::add_body(const void* body) {
  auto& [bodies, rows] = std::get<BodyColumn<Body>>(columns_);
  bodies.reserve_more(1);
  std::memcpy(bodies.free_space(), body, sizeof(Body));
  bodies.add(1);
  rows.push(static_cast<std::int64_t>(headers_.size()));
}

// Of the column, what stands at this row; the caller knows that it has one.
template <class Body>
const Body& EventBatch::at_row(const BodyColumn<Body>& column, std::int64_t row) {
  const auto found = std::lower_bound(column.rows.begin(), column.rows.end(), row);
  return column.bodies[static_cast<std::size_t>(found - column.rows.begin())];
}

template <class Body>
void EventBatch::copy_body(std::int64_t row, BatchEvent& event) const {
  if (event.header.type == Body::kType) event.body = at_row(column<Body>(), row);
}

inline BatchEvent EventBatch::event(std::size_t row) const {
  BatchEvent event{headers_[row], {}, {}};
  const auto signed_row = static_cast<std::int64_t>(row);
  const PriceLevel* const levels = levels_.data();
  event.levels.assign(levels + level_offset_[row], levels + level_offset_[row + 1]);
  const bool of_book =
      event.header.type == EventType::BookDelta || event.header.type == EventType::BookSnapshot;
  if (of_book && (event.header.flags & kFlagChecksum) != 0) {
    event.levels.push_back({static_cast<std::int64_t>(at_row(checksums_, signed_row)), 0});
  }
  copy_body<BookStateBody>(signed_row, event);
  copy_body<BboBody>(signed_row, event);
  copy_body<TradeBody>(signed_row, event);
  copy_body<ConnectionStatusBody>(signed_row, event);
  copy_body<MarkPriceBody>(signed_row, event);
  copy_body<LiquidationBody>(signed_row, event);
  return event;
}

}  // namespace mdp::shm
