// RingReader: reads every event of a segment's ring, in order, and knows exactly what it lost when it was too
// slow.
//
// Runs in the reader's process, one thread per RingReader, on memory it may only read: it takes no lock,
// makes no system call, allocates nothing, and the publisher knows nothing of it. It is built on a
// SegmentView, so it works on any mapping; subscriber.hpp joins it with one.
//
// The work is done by mdp_shm.h, which is C: mdp_shm_poll_into() tells how a record is read safely while its
// place may be overwritten. Here are its types, its statuses and its ownership in C++.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "mdp/shm/mdp_shm.h"
#include "mdp/shm/segment_view.hpp"

namespace mdp::shm {

enum class ReadStatus : std::uint8_t {
  Ok = 0,
  Empty = 1,    // nothing new; the publisher runs, as far as the segment says
  Lapped = 2,   // the publisher came round: lost_events() and lost_bytes() say how much; poll again to go on
  Stopped = 3,  // the publisher stopped in order and all it published was read
  PublisherDead = 4,   // wait() and check_publisher() only: it died, or another has its name
  Corrupt = 5,         // what stands in the ring is no record; the reader stays where it is
  NotAttached = 6,     // no segment
  PublisherStale = 7,  // of the same two: no sign of life; it may go on
  Mismatch = 8,        // poll() and wait() with a BookKeeper: Ok, and the book is not what the publisher says
  NoRoom = 9,          // of mdp_shm_poll_records() in C: the buffer is too small for a record
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
    case ReadStatus::Mismatch:
      return "the book is not what the publisher says: a checksum differs";
    case ReadStatus::NoRoom:
      return "the buffer is too small for a record";
  }
  return "unknown";
}

// Whether a loop around Subscriber::wait() ends with this: the publisher stopped or died, the ring is
// corrupt, or there is none. After Empty (its timeout passed), Lapped and PublisherStale it may go on.
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
  explicit RingReader(const SegmentView& view, Start start = Start::Newest) noexcept {
    if (!view.attached()) return;
    core_.base = reinterpret_cast<const unsigned char*>(&view.header());
    std::memcpy(&core_.info, &view.info(), sizeof(core_.info));
    core_.followed = kNoSymbol;
    this->start(start);
  }

  void start(Start start) noexcept {
    start == Start::Newest ? mdp_shm_start_newest(&core_) : mdp_shm_start_oldest(&core_);
  }

  // Begins at the event number `next_sequence` at `ring_position`, both from a BookEntry: everything before
  // it is in that book. With several books begin at the smallest position, and drop an instrument's events
  // whose sequence is below its own entry's next_sequence.
  void start_at(std::uint64_t ring_position, std::uint64_t next_sequence) noexcept {
    mdp_shm_start_at(&core_, ring_position, next_sequence);
  }

  // Copies the next event, its used bytes only. Ok, Empty, Lapped, Stopped, Corrupt, NotAttached. `out` is
  // valid with Ok and has then been checked: its level counts fit its size. Types this reader does not know
  // are delivered too.
  [[nodiscard]] ReadStatus poll(Event& out) noexcept { return poll(out.header, out.levels); }

  // The same in two places, for who gathers events in arrays of its own: `body` has room for kMaxBodyBytes
  // and is aligned to 8. Whatever the status, both may have been written to.
  [[nodiscard]] ReadStatus poll(EventHeader& header, void* body) noexcept {
    return static_cast<ReadStatus>(mdp_shm_poll_into(&core_, &header, body));
  }
  // The same, and the bodies of other instruments' events than `only` are not copied (kNoSymbol: all are).
  [[nodiscard]] ReadStatus poll(EventHeader& header, void* body, std::uint32_t only) noexcept {
    return static_cast<ReadStatus>(mdp_shm_poll_record(&core_, only, &header, body));
  }

  // Hands up to `max` events to `fn(const Event&)`; the reference is valid during the call. Events come
  // before the status: with Lapped, those handed over are older than the hole. `fn` must not throw if
  // exceptions are off; if it throws, that event counts as read.
  template <class Fn>
  PollResult poll(std::size_t max, Fn&& fn);

  // The next event of one instrument: of the others' the headers alone are read.
  [[nodiscard]] ReadStatus poll_only(std::uint32_t symbol_id, EventHeader& header, void* body) noexcept {
    return static_cast<ReadStatus>(mdp_shm_poll_only(&core_, symbol_id, &header, body));
  }

  // Of the last Lapped: how many events, and how many bytes of the ring, were skipped. Both 0: the publisher
  // was too fast even to resume; the next poll tries again, and the loss is counted then.
  std::uint64_t lost_events() const noexcept { return core_.lost_events; }
  std::uint64_t lost_bytes() const noexcept { return core_.lost_bytes; }
  // Since construction.
  std::uint64_t total_lost_events() const noexcept { return core_.total_lost_events; }
  std::uint64_t laps() const noexcept { return core_.laps; }

  // Where the next poll reads, and the sequence of the event it will find there (start(Newest) may learn the
  // latter only with the first event; until then it is the count of events published when the reader began).
  std::uint64_t position() const noexcept { return core_.position; }
  std::uint64_t next_sequence() const noexcept { return core_.next_sequence; }
  // Size of the ring; 0: not attached.
  std::uint64_t ring_bytes() const noexcept { return core_.info.ring.size_bytes; }
  // Bytes published and not yet read.
  std::uint64_t lag_bytes() const noexcept { return mdp_shm_lag_bytes(&core_); }

  // The reader in C, for what is written there. Not opened by name: mdp_shm_wait() and all that judges the
  // publisher are not for it.
  mdp_shm_subscriber& core() noexcept { return core_; }
  const mdp_shm_subscriber& core() const noexcept { return core_; }

 private:
  static_assert(sizeof(mdp_shm_segment_info) == sizeof(SegmentInfo) &&
                sizeof(mdp_shm_event_header) == sizeof(EventHeader));

  mdp_shm_subscriber core_{};  // base is null while there is no segment
};

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

}  // namespace mdp::shm
