// Book table: the latest book of every instrument, one seqlocked entry each, and how a reader copies it out.
//
// Written by publish::TableWriter. A reader that only wants the present state reads this and nothing else;
// one that wants every change from here on copies the entry and then reads the ring from ring_position (no
// gap, no duplicate).
#pragma once

#include <cstddef>
#include <cstdint>
#include <type_traits>
#include <vector>

#include "mdp/shm/mdp_shm.h"
#include "mdp/shm/segment_view.hpp"

namespace mdp::shm {

//  @0   seq | state, reason, bid_count, ask_count | update_id | exch_ts_ns
//  @32  recv_ts_ns | pub_ts_ns | ring_position | next_sequence
//  @64  refresh_position | refresh_sequence | known_bid | known_ask
//  @96  0 ...
//  @levels_offset  PriceLevel bids[levels_per_side], best first
//  behind them     PriceLevel asks[levels_per_side], best first
//
// ring_position: every book record of this instrument before it is in the levels, none at or after it is. The
// publisher moves it along while the instrument is quiet, so that it stays within the ring.
// refresh_position: where the newest whole book of this instrument that is finished begins in the ring, as
// one BookSnapshot of one or more records. Who reads from there on has every level that the publisher has.
struct BookEntry {
  std::uint64_t seq;
  BookState state;
  StateReason reason;       // of the state
  std::uint16_t bid_count;  // levels in use
  std::uint16_t ask_count;
  std::uint64_t update_id;  // venue's id of the book
  std::int64_t exch_ts_ns;
  std::int64_t recv_ts_ns;
  std::int64_t pub_ts_ns;
  std::uint64_t ring_position;
  std::uint64_t next_sequence;  // sequence of the event at ring_position

  std::uint64_t refresh_position;  // kNoPosition: there is none
  std::uint64_t refresh_sequence;  // of the record there
  std::int64_t known_bid;          // as in BookStateBody, of the whole book
  std::int64_t known_ask;
  std::uint64_t reserved[4];
};
static_assert(sizeof(BookEntry) == 128 && std::is_trivially_copyable_v<BookEntry> &&
              std::is_standard_layout_v<BookEntry>);
static_assert(offsetof(BookEntry, state) == 8 && offsetof(BookEntry, reason) == 10 &&
              offsetof(BookEntry, bid_count) == 12 && offsetof(BookEntry, ask_count) == 14 &&
              offsetof(BookEntry, update_id) == 16 && offsetof(BookEntry, exch_ts_ns) == 24 &&
              offsetof(BookEntry, recv_ts_ns) == 32 && offsetof(BookEntry, pub_ts_ns) == 40 &&
              offsetof(BookEntry, ring_position) == 48 && offsetof(BookEntry, next_sequence) == 56 &&
              offsetof(BookEntry, refresh_position) == 64 && offsetof(BookEntry, known_bid) == 80);

// Bytes from one entry to the next.
constexpr std::uint32_t book_entry_stride(std::uint32_t levels_per_side) noexcept {
  const std::uint32_t bytes =
      static_cast<std::uint32_t>(sizeof(BookEntry) + 2 * sizeof(PriceLevel) * std::size_t{levels_per_side});
  return (bytes + 63) / 64 * 64;
}

enum class BookStatus : std::uint8_t {
  Ok = 0,            // whether the book is usable is its `state`
  NoInstrument = 1,  // no such symbol_id in this segment
  Busy = 2,          // the publisher was inside the entry at every attempt: descheduled, or it died there
  Corrupt = 3,       // the entry counts more levels than it has room for
  NoMemory = 4,      // of a BookKeeper: there is none for its levels
};

constexpr const char* to_string(BookStatus status) noexcept {
  switch (status) {
    case BookStatus::Ok:
      return "ok";
    case BookStatus::NoInstrument:
      return "no such instrument in the segment";
    case BookStatus::Busy:
      return "the publisher is writing the entry, or died while it did";
    case BookStatus::Corrupt:
      return "the book entry is corrupt";
    case BookStatus::NoMemory:
      return "there is no memory for the book";
  }
  return "unknown";
}

// A copied book. Reuse one: its vectors then allocate only once.
struct Book {
  BookEntry entry{};
  std::vector<PriceLevel> bids;  // best first
  std::vector<PriceLevel> asks;
};

// Reads the book table of an attached segment. Any thread; each call reads the present state.
class BookTable {
 public:
  BookTable() = default;
  explicit BookTable(const SegmentView& view) noexcept : view_(view) {}

  std::uint32_t levels_per_side() const noexcept {
    return view_.attached() ? view_.info().levels_per_side : 0;
  }

  // Copies the entry, and the best `max_levels` of each side to arrays of the caller's of at least that many.
  // entry.bid_count and ask_count are then what was copied, at most max_levels.
  [[nodiscard]] BookStatus read(std::uint32_t symbol_id, BookEntry& entry, PriceLevel* bids, PriceLevel* asks,
                                std::uint32_t max_levels) const noexcept;

  // The same into vectors, all levels. Allocates on first use.
  [[nodiscard]] BookStatus read(std::uint32_t symbol_id, Book& out) const {
    out.bids.resize(levels_per_side());
    out.asks.resize(levels_per_side());
    const BookStatus status = read(symbol_id, out.entry, out.bids.data(), out.asks.data(), levels_per_side());
    out.bids.resize(status == BookStatus::Ok ? out.entry.bid_count : 0);
    out.asks.resize(status == BookStatus::Ok ? out.entry.ask_count : 0);
    return status;
  }

 private:
  SegmentView view_;
};

inline BookStatus BookTable::read(std::uint32_t symbol_id, BookEntry& entry, PriceLevel* bids,
                                  PriceLevel* asks, std::uint32_t max_levels) const noexcept {
  if (!view_.attached() || symbol_id >= view_.info().instrument_capacity) return BookStatus::NoInstrument;
  const auto* from = static_cast<const unsigned char*>(view_.book(symbol_id));
  return static_cast<BookStatus>(mdp_shm_copy_book(
      from, view_.info().levels_offset, view_.info().levels_per_side, max_levels, &entry, bids, asks));
}

}  // namespace mdp::shm
