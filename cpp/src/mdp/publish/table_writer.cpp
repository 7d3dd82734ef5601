#include "mdp/publish/table_writer.hpp"

#include <algorithm>
#include <cstddef>

#include "mdp/core/sinks.hpp"
#include "mdp/publish/seqlock_write.hpp"

namespace mdp::publish {
namespace {

constexpr std::size_t kEntryLine = offsetof(shm::BookEntry, refresh_position);
static_assert(kEntryLine == shm::kCacheLineSize);

}  // namespace

TableWriter::TableWriter(const shm::SegmentInfo& info, void* table, RingPosition start)
    : table_(static_cast<unsigned char*>(table)),
      stride_(info.table_stride),
      capacity_(info.instrument_capacity),
      levels_per_side_(info.levels_per_side),
      shadow_(info.instrument_capacity) {
  for (std::uint32_t symbol_id = 0; symbol_id < capacity_; ++symbol_id) {
    shm::BookEntry& entry = shadow_[symbol_id].entry;
    entry.reason = shm::StateReason::Starting;
    entry.ring_position = start.position;
    entry.next_sequence = start.next_sequence;
    entry.refresh_position = shm::kNoPosition;
    store_entry(symbol_id);
    store_more(symbol_id);
  }
}

bool TableWriter::write_book(const shm::Event& event, std::int64_t pub_ts_ns,
                             RingPosition at_cursor) noexcept {
  const std::uint32_t symbol_id = event.header.symbol_id;
  if (symbol_id >= capacity_) return false;
  Shadow& shadow = shadow_[symbol_id];
  shm::BookEntry& entry = shadow.entry;
  entry.update_id = event.header.update_id;
  entry.exch_ts_ns = event.header.exch_ts_ns;
  entry.recv_ts_ns = event.header.recv_ts_ns;
  entry.pub_ts_ns = pub_ts_ns;
  entry.ring_position = at_cursor.position;
  entry.next_sequence = at_cursor.next_sequence;
  shadow.behind = false;
  const bool becomes_live = shadow.live_pending;
  if (becomes_live) {
    entry.state = shm::BookState::Live;
    entry.reason = shadow.pending_reason;
    shadow.live_pending = false;
  }
  const SeqlockWrite write(shm::word_at(at(symbol_id)));
  if (becomes_live || shadow.whole_pending) store_more(symbol_id);
  if ((event.header.flags & core::kFlagSameLevels) != 0) {
    store_entry(symbol_id);
    return true;
  }
  entry.bid_count =
      static_cast<std::uint16_t>(std::min<std::uint32_t>(event.header.bid_count, levels_per_side_));
  entry.ask_count =
      static_cast<std::uint16_t>(std::min<std::uint32_t>(event.header.ask_count, levels_per_side_));
  unsigned char* bids = at(symbol_id) + sizeof(shm::BookEntry);
  unsigned char* asks = bids + sizeof(shm::PriceLevel) * std::size_t{levels_per_side_};
  store_entry(symbol_id);
  shm::store_words(bids, event.levels, sizeof(shm::PriceLevel) * entry.bid_count);
  shm::store_words(asks, event.levels + event.header.bid_count, sizeof(shm::PriceLevel) * entry.ask_count);
  return true;
}

bool TableWriter::write_state(const shm::Event& event, std::int64_t pub_ts_ns,
                              RingPosition at_cursor) noexcept {
  const std::uint32_t symbol_id = event.header.symbol_id;
  if (symbol_id >= capacity_) return false;
  Shadow& shadow = shadow_[symbol_id];
  const shm::BookState state = event.book_state.state;
  shadow.entry.known_bid = event.book_state.known_bid;
  shadow.entry.known_ask = event.book_state.known_ask;
  shadow.live_pending = state == shm::BookState::Live && shadow.behind;
  if (shadow.live_pending) {
    shadow.pending_reason = event.book_state.reason;
    return true;
  }
  // A stale book promises nothing of its levels, and a whole snapshot follows in the ring before it is Live
  // again: the records it missed don't hold its position back.
  if (state == shm::BookState::Stale) {
    shadow.behind = false;
    shadow.entry.refresh_position = shm::kNoPosition;
  }
  shadow.entry.state = state;
  shadow.entry.reason = event.book_state.reason;
  shadow.entry.pub_ts_ns = pub_ts_ns;
  if (!shadow.behind) {
    shadow.entry.ring_position = at_cursor.position;
    shadow.entry.next_sequence = at_cursor.next_sequence;
  }
  const SeqlockWrite write(shm::word_at(at(symbol_id)));
  store_entry(symbol_id);
  store_more(symbol_id);
  return true;
}

void TableWriter::note_whole_book(const shm::EventHeader& record, RingPosition at_record) noexcept {
  if (record.symbol_id >= capacity_) return;
  Shadow& shadow = shadow_[record.symbol_id];
  if ((record.flags & shm::kFlagFirst) != 0) shadow.whole_begin = at_record;
  if ((record.flags & shm::kFlagLast) == 0) return;
  shadow.entry.refresh_position = shadow.whole_begin.position;
  shadow.entry.refresh_sequence = shadow.whole_begin.next_sequence;
  shadow.whole_pending = true;
}

void TableWriter::write_refresh(std::uint32_t symbol_id, RingPosition at_cursor) noexcept {
  if (symbol_id >= capacity_) return;
  Shadow& shadow = shadow_[symbol_id];
  if (!shadow.behind) {
    shadow.entry.ring_position = at_cursor.position;
    shadow.entry.next_sequence = at_cursor.next_sequence;
  }
  const SeqlockWrite write(shm::word_at(at(symbol_id)));
  store_entry(symbol_id);
  store_more(symbol_id);
}

void TableWriter::advance(std::uint32_t count, std::uint32_t instrument_count,
                          RingPosition at_cursor) noexcept {
  const std::uint32_t end = std::min(instrument_count, capacity_);
  for (std::uint32_t i = 0; i < std::min(count, end); ++i) {
    if (advance_next_ >= end) advance_next_ = 0;
    const std::uint32_t symbol_id = advance_next_++;
    Shadow& shadow = shadow_[symbol_id];
    if (shadow.behind) continue;
    shadow.entry.ring_position = at_cursor.position;
    shadow.entry.next_sequence = at_cursor.next_sequence;
    const SeqlockWrite write(shm::word_at(at(symbol_id)));
    store_entry(symbol_id);
  }
}

// The first line of the entry, which changes with every update, but its sequence word. Inside a SeqlockWrite.
void TableWriter::store_entry(std::uint32_t symbol_id) noexcept {
  const shm::BookEntry& entry = shadow_[symbol_id].entry;
  shm::store_words(at(symbol_id) + sizeof(shm::Word), &entry.state, kEntryLine - sizeof(shm::Word));
}

// The second line. Inside a SeqlockWrite.
void TableWriter::store_more(std::uint32_t symbol_id) noexcept {
  shadow_[symbol_id].whole_pending = false;
  const shm::BookEntry& entry = shadow_[symbol_id].entry;
  shm::store_words(at(symbol_id) + kEntryLine, &entry.refresh_position, sizeof(entry) - kEntryLine);
}

}  // namespace mdp::publish
