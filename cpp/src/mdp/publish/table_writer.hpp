// TableWriter: the one writer of a segment's book table.
//
// Called by the publisher thread only. It also decides which ring position an entry may claim: see
// ring_position in mdp/shm/book_table.hpp.
#pragma once

#include <cstdint>
#include <vector>

#include "mdp/shm/book_table.hpp"

namespace mdp::publish {

// Where in the ring an entry is valid: the cursor and the sequence of the event that will stand there.
struct RingPosition {
  std::uint64_t position;
  std::uint64_t next_sequence;
};

class TableWriter {
 public:
  // Over the zeroed table of a segment that nobody reads yet. Every entry becomes Stale, Starting, valid from
  // `start`.
  TableWriter(const shm::SegmentInfo& info, void* table, RingPosition start);

  // Entry of `event` (a BookSnapshot): ids, times and levels, the best levels_per_side of each side.
  // `event.levels` hold bids best first, then asks best first. With kFlagSameLevels the levels stay. False:
  // no such symbol_id.
  bool write_book(const shm::Event& event, std::int64_t pub_ts_ns, RingPosition at) noexcept;

  // Entry of `event` (a BookState): state and reason. A book record (note_record()) the levels do not have
  // yet holds back Live until write_book(), so that the table never calls an old book LIVE. False: no such
  // symbol_id.
  bool write_state(const shm::Event& event, std::int64_t pub_ts_ns, RingPosition at) noexcept;

  // A BookDelta or BookSnapshot of this instrument went into the ring: its entry is behind until
  // write_book().
  void note_record(std::uint32_t symbol_id) noexcept {
    if (symbol_id < capacity_) shadow_[symbol_id].behind = true;
  }

  // A record of a whole book (a BookSnapshot that is not only its top) went into the ring `at` this place.
  // The entry points to it (refresh_position) once the last record of the book is there, with the next
  // write.
  void note_whole_book(const shm::EventHeader& record, RingPosition at) noexcept;

  // The book of this instrument was published again as it is, up to `at`: the entry goes there.
  void write_refresh(std::uint32_t symbol_id, RingPosition at) noexcept;

  // Moves ring_position of the next `count` of the first `instrument_count` entries forward to `at` where an
  // entry is not behind. Called as the ring advances, so that a quiet instrument's position does not fall out
  // of the ring.
  void advance(std::uint32_t count, std::uint32_t instrument_count, RingPosition at) noexcept;

 private:
  // What the publisher knows of an entry without reading shared memory.
  struct Shadow {
    shm::BookEntry entry{};
    bool behind = false;         // the ring holds book records the levels don't have
    bool live_pending = false;   // Live was announced while behind
    bool whole_pending = false;  // refresh_position is another one than in the table
    RingPosition whole_begin{};  // of the whole book that is being written
    shm::StateReason pending_reason = shm::StateReason::None;
  };
  unsigned char* at(std::uint32_t symbol_id) const noexcept {
    return table_ + std::uint64_t{stride_} * symbol_id;
  }
  void store_entry(std::uint32_t symbol_id) noexcept;
  void store_more(std::uint32_t symbol_id) noexcept;

  unsigned char* table_;
  std::uint32_t stride_;
  std::uint32_t capacity_;
  std::uint32_t levels_per_side_;
  std::uint32_t advance_next_ = 0;
  std::vector<Shadow> shadow_;
};

}  // namespace mdp::publish
