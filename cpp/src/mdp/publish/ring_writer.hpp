// RingWriter: the one writer of a segment's ring.
//
// Called by the publisher thread only. append() writes records, commit() shows them to readers; it never
// waits for a reader and does not know that there are any. The reader's half is mdp/shm/mdp_shm.h,
// where the protocol is drawn.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "mdp/core/error.hpp"
#include "mdp/shm/layout.hpp"

namespace mdp::publish {

class RingWriter {
 public:
  // Over a formatted header, its checkpoints and its ring of `ring_bytes`. Goes on at `position` (a multiple
  // of 64) and `sequence`, which are 0 for a new segment.
  RingWriter(shm::SegmentHeader& header, shm::Word* checkpoints, void* ring, std::uint64_t ring_bytes,
             std::uint64_t position = 0, std::uint64_t sequence = 0) noexcept;

  // Writes one record: `event` with its body of `body_bytes`, a multiple of 8 that fits a record. size_lines
  // and sequence are filled in here, the rest is the caller's. Not visible before commit(). Returns the
  // record's position.
  std::uint64_t append(const shm::EventHeader& event, const void* body, std::size_t body_bytes) noexcept;

  // Shows readers everything appended so far.
  void commit() noexcept;

  // Bytes appended and not committed.
  std::uint64_t pending_bytes() const noexcept { return position_ - committed_position_; }
  // Where the next record goes, and its sequence. After commit(): the cursor and the count of events.
  std::uint64_t position() const noexcept { return position_; }
  std::uint64_t sequence() const noexcept { return sequence_; }
  std::uint64_t ring_bytes() const noexcept { return ring_bytes_; }

 private:
  void pad(std::uint64_t bytes) noexcept;
  void reserve(std::uint64_t end) noexcept;
  void begin_record(std::uint64_t bytes) noexcept;
  unsigned char* at(std::uint64_t position) const noexcept { return ring_ + (position & (ring_bytes_ - 1)); }

  shm::SegmentHeader& header_;
  shm::Word* checkpoints_;
  unsigned char* ring_;
  std::uint64_t ring_bytes_;
  std::uint64_t position_;
  std::uint64_t sequence_;
  std::uint64_t committed_position_;
  std::uint64_t reserved_;  // value of the header's reserve
  std::uint32_t segment_;   // of the last record's start
};

inline RingWriter::RingWriter(shm::SegmentHeader& header, shm::Word* checkpoints, void* ring,
                              std::uint64_t ring_bytes, std::uint64_t position,
                              std::uint64_t sequence) noexcept
    : header_(header),
      checkpoints_(checkpoints),
      ring_(static_cast<unsigned char*>(ring)),
      ring_bytes_(ring_bytes),
      position_(position),
      sequence_(sequence),
      committed_position_(position),
      reserved_(position),
      segment_(shm::kCheckpointCount) {
  // relaxed, all: nobody reads yet; storing the magic orders them.
  header_.reserve.store(position, std::memory_order_relaxed);
  header_.cursor.store(position, std::memory_order_relaxed);
  header_.next_sequence.store(sequence, std::memory_order_relaxed);
  header_.event_count.store(sequence, std::memory_order_relaxed);
  for (std::uint32_t i = 0; i < shm::kCheckpointCount; ++i)
    checkpoints_[i].store(shm::kNoPosition, std::memory_order_relaxed);
}

inline std::uint64_t RingWriter::append(const shm::EventHeader& event, const void* body,
                                        std::size_t body_bytes) noexcept {
  MDP_ASSERT(body_bytes % sizeof(shm::Word) == 0);
  const std::uint32_t size = shm::record_size_bytes(body_bytes);
  MDP_ASSERT(size <= shm::kMaxRecordBytes);
  // A record never wraps: the end of the ring is filled with a padding record when it is too short for this
  // one.
  const std::uint64_t to_end = ring_bytes_ - (position_ & (ring_bytes_ - 1));
  if (size > to_end) pad(to_end);

  begin_record(size);
  shm::EventHeader record = event;
  record.size_lines = static_cast<std::uint16_t>(size / shm::kCacheLineSize);
  record.sequence = sequence_;
  unsigned char* to = at(position_);
  shm::store_words(to, &record, sizeof(record));
  shm::store_words(to + sizeof(record), body, body_bytes);
  static constexpr unsigned char kZeros[shm::kCacheLineSize] = {};
  shm::store_words(to + sizeof(record) + body_bytes, kZeros, size - sizeof(record) - body_bytes);
  position_ += size;
  ++sequence_;
  return position_ - size;
}

inline void RingWriter::commit() noexcept {
  if (position_ == committed_position_) return;
  // release, all four. next_sequence before cursor before event_count: a reader that finds the two counts
  // equal holds the cursor that belongs to them; pairs with mdp_shm_start_newest(). The cursor publishes
  // the records written above; pairs with mdp_shm_cursor().
  header_.next_sequence.store(sequence_, std::memory_order_release);
  header_.cursor.store(position_, std::memory_order_release);
  header_.event_count.store(sequence_, std::memory_order_release);
  committed_position_ = position_;
}

// Fills `bytes` up to the end of the ring. Takes no sequence number: it carries the one of the event behind
// it.
inline void RingWriter::pad(std::uint64_t bytes) noexcept {
  begin_record(bytes);
  shm::EventHeader padding{};
  padding.size_lines = static_cast<std::uint16_t>(bytes / shm::kCacheLineSize);
  padding.type = shm::EventType::Padding;
  padding.symbol_id = shm::kNoSymbol;
  padding.sequence = sequence_;
  shm::store_words(at(position_), &padding, sizeof(padding));
  position_ += bytes;
}

// Announces that the record's place is about to be overwritten, and notes the first record of each 1/64 of
// the ring.
inline void RingWriter::begin_record(std::uint64_t bytes) noexcept {
  const std::uint64_t end = position_ + bytes;
  if (static_cast<std::int64_t>(end - reserved_) > 0) reserve(end);
  const std::uint32_t segment = shm::checkpoint_index(position_, ring_bytes_);
  if (segment == segment_) return;
  segment_ = segment;
  // release: a reader that sees this position and then finds it behind its cursor waits for the cursor; pairs
  // with mdp_shm_checkpoint_from().
  checkpoints_[segment].store(position_, std::memory_order_release);
}

// Reserves 1/64 of the ring at a time rather than each record: readers look at the word after every record
// they copy, and while it rests it stays in their caches. The price is 1/64 of the ring's depth.
inline void RingWriter::reserve(std::uint64_t end) noexcept {
  reserved_ = end + ring_bytes_ / shm::kCheckpointCount;
  // relaxed: the release stores of the words that follow (store_words()) carry it along; pairs with
  // mdp_shm_overwritten().
  header_.reserve.store(reserved_, std::memory_order_relaxed);
}

}  // namespace mdp::publish
