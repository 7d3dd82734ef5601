// Subscriber: one segment by name, with its directory, its books and its ring. What most reader programs use.
//
// One thread per Subscriber. open() and reattach() map memory; everything else is as cheap as the part it
// forwards to.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "mdp/shm/book_table.hpp"
#include "mdp/shm/directory.hpp"
#include "mdp/shm/mapping.hpp"
#include "mdp/shm/ring_reader.hpp"

namespace mdp::shm {

class Subscriber {
 public:
  // Maps the segment `name` and begins to read at `start`. On any status but Ok the subscriber is closed.
  [[nodiscard]] AttachStatus open(std::string_view name, Start start = Start::Newest) {
    const AttachStatus status = mapping_.open(name);
    attach(start);
    return status;
  }

  // After Stopped or PublisherDead: if the publisher was started again under the same name, maps its new
  // segment and begins at `start` (Oldest: its first event if that is still there). Ok: done, symbol_ids have
  // to be looked up again. Anything else: the new one is not there yet, and the old mapping stays.
  [[nodiscard]] AttachStatus reattach(Start start = Start::Oldest) {
    if (!mapping_.replaced()) return AttachStatus::NotFound;
    Mapping fresh;
    const AttachStatus status = fresh.open(std::string(mapping_.name()));
    if (status != AttachStatus::Ok) return status;
    mapping_ = std::move(fresh);
    attach(start);
    return status;
  }

  // The next event of the ring: see RingReader::poll().
  [[nodiscard]] ReadStatus poll(Event& out) noexcept { return ring_.poll(out); }
  template <class Fn>
  PollResult poll(std::size_t max, Fn&& fn) {
    return ring_.poll(max, std::forward<Fn>(fn));
  }

  // For when poll() is Empty: Empty (the publisher is alive, or left events to read), Stopped, PublisherDead,
  // NotAttached. Reads the clock, and asks the operating system about the process only if the heartbeat is
  // older than the limit.
  [[nodiscard]] ReadStatus check_publisher(std::int64_t heartbeat_limit_ns) const noexcept {
    if (!mapping_.is_open()) return ReadStatus::NotAttached;
    ReadStatus status = ReadStatus::Empty;
    if (mapping_.view().state() == SegmentState::Stopped) {
      status = ReadStatus::Stopped;
    } else if (mapping_.publisher_dead(heartbeat_limit_ns)) {
      status = ReadStatus::PublisherDead;
    }
    // Looked at last: what it published before it ended is still to be read.
    return ring_.lag_bytes() == 0 ? status : ReadStatus::Empty;
  }

  // Finds an active instrument by canonical or venue symbol. Walks the directory: keep the symbol_id.
  [[nodiscard]] bool find(std::string_view symbol, InstrumentEntry& out) const noexcept {
    return directory_.find(symbol, out);
  }
  // The instrument an event is about. False: the event is about none.
  [[nodiscard]] bool instrument(const Event& event, InstrumentEntry& out) const noexcept {
    return directory_.instrument(event.header.symbol_id, out);
  }
  // Copies the present book.
  [[nodiscard]] BookStatus read_book(std::uint32_t symbol_id, Book& out) const {
    return books_.read(symbol_id, out);
  }

  // Copies the present book and sets the ring to continue from it: the next events of this instrument are
  // exactly those that are not in `out`.
  [[nodiscard]] BookStatus join(std::uint32_t symbol_id, Book& out) {
    const BookStatus status = books_.read(symbol_id, out);
    if (status == BookStatus::Ok) ring_.start_at(out.entry.ring_position, out.entry.next_sequence);
    return status;
  }

  const Mapping& mapping() const noexcept { return mapping_; }
  const SegmentView& view() const noexcept { return mapping_.view(); }
  const Directory& directory() const noexcept { return directory_; }
  const BookTable& books() const noexcept { return books_; }
  RingReader& ring() noexcept { return ring_; }
  const RingReader& ring() const noexcept { return ring_; }

 private:
  void attach(Start start) noexcept {
    directory_ = Directory(mapping_.view());
    books_ = BookTable(mapping_.view());
    ring_ = RingReader(mapping_.view(), start);
  }

  Mapping mapping_;
  Directory directory_;
  BookTable books_;
  RingReader ring_;
};

}  // namespace mdp::shm
