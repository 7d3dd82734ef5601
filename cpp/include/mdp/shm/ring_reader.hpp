// RingReader: reads every event of a segment's ring, in order, and knows exactly what it lost when it was too
// slow.
//
// Runs in the reader's process, one thread per RingReader, on memory it may only read: it takes no lock,
// makes no system call, allocates nothing, and the publisher knows nothing of it. It is built on a
// SegmentView, so it works on any mapping; subscriber.hpp joins it with one.
//
// How a record is read safely while its place may be overwritten:
//   publisher                                        reader at position p
//   1 reserve = new end       (before any word)      1 c = cursor (acquire); c == p: nothing new
//   2 record words            (release each)         2 copy the record's words (acquire each)
//   3 cursor = new end        (release)              3 reserve - p > ring size: the copy may be torn,
//                                                      drop it: lapped
#pragma once

#include <cstddef>
#include <cstdint>

#include "mdp/shm/segment_view.hpp"

namespace mdp::shm {

enum class ReadStatus : std::uint8_t {
  Ok = 0,
  Empty = 1,    // nothing new; the publisher runs, as far as the segment says
  Lapped = 2,   // the publisher came round: lost_events() and lost_bytes() say how much; poll again to go on
  Stopped = 3,  // the publisher stopped in order and all it published was read
  PublisherDead = 4,   // check_publisher() only: no sign of life, and its process is gone
  Corrupt = 5,         // what stands in the ring is no record; the reader stays where it is
  NotAttached = 6,     // no segment
  PublisherStale = 7,  // check_publisher() only: no sign of life, but its process is there; it may go on
};

constexpr const char* to_string(ReadStatus status) noexcept {
  switch (status) {
    case ReadStatus::Ok:
      return "ok";
    case ReadStatus::Empty:
      return "nothing new";
    case ReadStatus::Lapped:
      return "lapped: events were lost";
    case ReadStatus::Stopped:
      return "the publisher stopped";
    case ReadStatus::PublisherDead:
      return "the publisher died";
    case ReadStatus::Corrupt:
      return "the ring is corrupt";
    case ReadStatus::NotAttached:
      return "not attached to a segment";
    case ReadStatus::PublisherStale:
      return "the publisher gives no sign of life";
  }
  return "unknown";
}

// Whether a loop around Subscriber::wait() ends with this: the publisher stopped or died, the ring is corrupt, or
// there is none. After Empty (its timeout passed), Lapped and PublisherStale it may go on.
constexpr bool ended(ReadStatus status) noexcept {
  return status == ReadStatus::Stopped || status == ReadStatus::PublisherDead ||
         status == ReadStatus::Corrupt || status == ReadStatus::NotAttached;
}

// Where a reader begins.
enum class Start : std::uint8_t {
  Newest = 0,  // behind the last event: only what comes
  Oldest = 1,  // at the oldest event that is not about to be overwritten
};

constexpr const char* to_string(Start start) noexcept {
  switch (start) {
    case Start::Newest:
      return "newest";
    case Start::Oldest:
      return "oldest";
  }
  return "unknown";
}

// What one batch brought: `events` were handed over, then `status` ended it (Ok: the maximum was reached).
struct PollResult {
  ReadStatus status;
  std::size_t events;
};

inline constexpr std::size_t kMaxBodyBytes = kMaxRecordBytes - sizeof(EventHeader);

class RingReader {
 public:
  RingReader() = default;
  explicit RingReader(const SegmentView& view, Start start = Start::Newest) noexcept : view_(view) {
    this->start(start);
  }

  void start(Start start) noexcept { start == Start::Newest ? start_newest() : start_oldest(); }

  // Begins at the event number `next_sequence` at `ring_position`, both from a BookEntry: everything before
  // it is in that book. With several books begin at the smallest position, and drop an instrument's events
  // whose sequence is below its own entry's next_sequence.
  void start_at(std::uint64_t ring_position, std::uint64_t next_sequence) noexcept {
    position_ = ring_position;
    next_sequence_ = next_sequence;
    sequence_known_ = true;
  }

  // Copies the next event, its used bytes only. Ok, Empty, Lapped, Stopped, Corrupt, NotAttached. `out` is
  // valid with Ok and has then been checked: its level counts fit its size. Types this reader does not know
  // are delivered too.
  [[nodiscard]] ReadStatus poll(Event& out) noexcept { return poll(out.header, out.levels); }

  // The same in two places, for who gathers events in arrays of its own: `body` has room for kMaxBodyBytes
  // and is aligned to 8. Whatever the status, both may have been written to.
  [[nodiscard]] ReadStatus poll(EventHeader& header, void* body) noexcept;

  // Hands up to `max` events to `fn(const Event&)`; the reference is valid during the call. Events come
  // before the status: with Lapped, those handed over are older than the hole. `fn` must not throw if
  // exceptions are off; if it throws, that event counts as read.
  template <class Fn>
  PollResult poll(std::size_t max, Fn&& fn);

  // Of the last Lapped: how many events, and how many bytes of the ring, were skipped. Both 0: the publisher
  // was too fast even to resume; the next poll tries again, and the loss is counted then.
  std::uint64_t lost_events() const noexcept { return lost_events_; }
  std::uint64_t lost_bytes() const noexcept { return lost_bytes_; }
  // Since construction.
  std::uint64_t total_lost_events() const noexcept { return total_lost_events_; }
  std::uint64_t laps() const noexcept { return laps_; }

  // Where the next poll reads, and the sequence of the event it will find there (start(Newest) may learn the
  // latter only with the first event; until then it is the count of events published when the reader began).
  std::uint64_t position() const noexcept { return position_; }
  std::uint64_t next_sequence() const noexcept { return next_sequence_; }
  // Size of the ring; 0: not attached.
  std::uint64_t ring_bytes() const noexcept { return view_.attached() ? view_.ring_bytes() : 0; }
  // Bytes published and not yet read.
  std::uint64_t lag_bytes() const noexcept { return view_.attached() ? cursor() - position_ : 0; }

 private:
  std::uint64_t cursor() const noexcept {
    // acquire: records up to the cursor are complete; pairs with the release store in RingWriter::commit().
    return view_.header().cursor.load(std::memory_order_acquire);
  }
  // Whether the publisher may have overwritten what lies at `position`. Call after copying from there.
  bool overwritten(std::uint64_t position) const noexcept {
    // acquire: keeps this load among the loads around it; the acquire loads before it (load_words()) make it
    // see the reserve of any newer word they saw; pairs with the store in RingWriter::reserve().
    return view_.header().reserve.load(std::memory_order_acquire) - position > view_.ring_bytes();
  }
  const unsigned char* at(std::uint64_t position) const noexcept {
    return view_.ring() + (position & (view_.ring_bytes() - 1));
  }
  // Whether `b` is at or behind `a`; positions may wrap around 2^64.
  static bool reached(std::uint64_t a, std::uint64_t b) noexcept {
    return static_cast<std::int64_t>(a - b) >= 0;
  }

  void start_newest() noexcept;
  void start_oldest() noexcept;
  ReadStatus nothing_new() const noexcept;
  bool frame_fits(const EventHeader& header, std::uint64_t cursor_now) const noexcept;
  static bool body_fits(const EventHeader& header) noexcept;
  ReadStatus resume() noexcept;
  bool checkpoint_from(std::uint32_t first, std::uint32_t count, std::uint64_t margin_bytes,
                       std::uint64_t& position, std::uint64_t& sequence) const noexcept;

  SegmentView view_;
  std::uint64_t position_ = 0;
  std::uint64_t next_sequence_ = 0;
  bool sequence_known_ = false;
  std::uint64_t lost_events_ = 0;
  std::uint64_t lost_bytes_ = 0;
  std::uint64_t total_lost_events_ = 0;
  std::uint64_t laps_ = 0;
};

inline ReadStatus RingReader::poll(EventHeader& header, void* body) noexcept {
  if (!view_.attached()) return ReadStatus::NotAttached;
  // Twice at most: a padding record fills the end of the ring, and a record follows it.
  for (int records = 0; records < 2; ++records) {
    const std::uint64_t end = cursor();
    if (end == position_) return nothing_new();
    if (!reached(end, position_) || position_ % kCacheLineSize != 0) return ReadStatus::Corrupt;
    if (end - position_ > view_.ring_bytes()) return resume();

    load_words(&header, at(position_), sizeof(EventHeader));
    if (!frame_fits(header, end)) return overwritten(position_) ? resume() : ReadStatus::Corrupt;
    const bool padding = header.type == EventType::Padding;
    if (!padding) {
      load_words(body, at(position_) + sizeof(EventHeader), header.size_bytes - sizeof(EventHeader));
    }
    if (overwritten(position_)) return resume();

    const bool expected = !sequence_known_ || header.sequence == next_sequence_;
    if (!expected || (!padding && !body_fits(header))) return ReadStatus::Corrupt;
    sequence_known_ = true;
    next_sequence_ = header.sequence;  // a padding record carries the sequence of the event behind it
    position_ += header.size_bytes;
    if (!padding) {
      ++next_sequence_;
      return ReadStatus::Ok;
    }
  }
  return ReadStatus::Corrupt;
}

template <class Fn>
PollResult RingReader::poll(std::size_t max, Fn&& fn) {
  Event event;
  std::size_t events = 0;
  while (events < max) {
    const ReadStatus status = poll(event);
    if (status != ReadStatus::Ok) return {status, events};
    ++events;
    fn(static_cast<const Event&>(event));
  }
  return {ReadStatus::Ok, events};
}

// The reader has everything up to the cursor.
inline ReadStatus RingReader::nothing_new() const noexcept {
  if (view_.state() != SegmentState::Stopped) return ReadStatus::Empty;
  // Once Stopped is seen the cursor is final; it may have moved between the two loads.
  return cursor() == position_ ? ReadStatus::Stopped : ReadStatus::Empty;
}

// Whether a record of this size can stand at the present position: what poll() needs to copy it without
// leaving the ring.
inline bool RingReader::frame_fits(const EventHeader& header, std::uint64_t cursor_now) const noexcept {
  const std::uint64_t size = header.size_bytes;
  const std::uint64_t to_end = view_.ring_bytes() - (position_ & (view_.ring_bytes() - 1));
  return size >= sizeof(EventHeader) && size % kCacheLineSize == 0 && size <= kMaxRecordBytes &&
         size <= to_end && size <= cursor_now - position_;
}

// Whether the body the type implies lies inside the record, so that the caller may follow the counts.
inline bool RingReader::body_fits(const EventHeader& header) noexcept {
  return body_bytes(header) <= std::int64_t{header.size_bytes} - std::int64_t{sizeof(EventHeader)};
}

// Begins behind the last event, and learns its number if the two words are caught belonging together.
inline void RingReader::start_newest() noexcept {
  if (!view_.attached()) return;
  const SegmentHeader& header = view_.header();
  for (int attempt = 0; attempt < 1000; ++attempt) {
    // acquire: the cursor below is at least the one of this count; pairs with the store behind the cursor's
    // in RingWriter::commit().
    const std::uint64_t count = header.event_count.load(std::memory_order_acquire);
    position_ = cursor();
    // relaxed: the acquire load of the cursor keeps it behind; next_sequence is stored before the cursor, so
    // if the cursor was newer than `count`, this is too.
    next_sequence_ = header.next_sequence.load(std::memory_order_relaxed);
    sequence_known_ = next_sequence_ == count;
    if (sequence_known_) return;
  }
}

inline void RingReader::start_oldest() noexcept {
  start_newest();
  if (!view_.attached()) return;
  // The segment after the cursor's is the next to be overwritten, so the oldest records start there; a margin
  // of two segments (the publisher reserves one ahead) gives the reader time to begin.
  const std::uint64_t ring_bytes = view_.ring_bytes();
  const std::uint32_t next = checkpoint_index(position_, ring_bytes) + 1;
  std::uint64_t position = 0;
  std::uint64_t sequence = 0;
  if (!checkpoint_from(next, kCheckpointCount, 2 * (ring_bytes / kCheckpointCount), position, sequence))
    return;
  start_at(position, sequence);
}

// The first of `count` checkpoints, from segment `first` on, whose record is whole and not within
// `margin_bytes` of being overwritten.
inline bool RingReader::checkpoint_from(std::uint32_t first, std::uint32_t count, std::uint64_t margin_bytes,
                                        std::uint64_t& position, std::uint64_t& sequence) const noexcept {
  for (std::uint32_t i = 0; i < count; ++i) {
    const std::uint32_t index = (first + i) % kCheckpointCount;
    // acquire: keeps the cursor's load behind; pairs with the store in RingWriter::begin_record(). A record
    // that is not committed yet shows as one beyond the cursor.
    const std::uint64_t candidate = view_.header().checkpoints[index].load(std::memory_order_acquire);
    const std::uint64_t end = cursor();
    // Stale, not written yet, or nonsense: all show as a position that is not in the last lap, or not in this
    // segment.
    if (candidate % kCacheLineSize != 0 || candidate == end || end - candidate > view_.ring_bytes() ||
        checkpoint_index(candidate, view_.ring_bytes()) != index) {
      continue;
    }
    EventHeader header;
    load_words(&header, at(candidate), sizeof(header));
    if (overwritten(candidate - margin_bytes)) continue;
    position = candidate;
    sequence = header.sequence;
    return true;
  }
  return false;
}

// The reader was lapped: goes on about half a ring behind the cursor, which leaves it as much room as it can
// use.
inline ReadStatus RingReader::resume() noexcept {
  const std::uint64_t ring_bytes = view_.ring_bytes();
  std::uint64_t position = 0;
  std::uint64_t sequence = 0;
  lost_events_ = 0;
  lost_bytes_ = 0;
  const std::uint32_t half_back = checkpoint_index(cursor() - ring_bytes / 2, ring_bytes);
  // Nothing found: the publisher wrote half a ring meanwhile (the next poll tries again) or the checkpoints
  // are nonsense.
  if (!checkpoint_from(half_back, kCheckpointCount / 2, 0, position, sequence)) return ReadStatus::Lapped;
  // A lap only ever leads forward. If it does not, positions and sequences contradict each other.
  if (!reached(position, position_) || !reached(sequence, next_sequence_)) return ReadStatus::Corrupt;
  lost_bytes_ = position - position_;
  lost_events_ = sequence - next_sequence_;
  total_lost_events_ += lost_events_;
  ++laps_;
  start_at(position, sequence);
  return ReadStatus::Lapped;
}

}  // namespace mdp::shm
