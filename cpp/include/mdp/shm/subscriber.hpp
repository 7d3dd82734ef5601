// Subscriber: one segment by name, with its directory, its books and its ring. What most reader programs use.
//
// One thread per Subscriber. open() and reattach() map memory; everything else is as cheap as the part it
// forwards to.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "mdp/shm/book_keeper.hpp"
#include "mdp/shm/book_table.hpp"
#include "mdp/shm/directory.hpp"
#include "mdp/shm/mapping.hpp"
#include "mdp/shm/ring_reader.hpp"
#include "mdp/shm/wait.hpp"

namespace mdp::shm {

class Subscriber {
 public:
  // Maps the segment `name` and begins to read at `start`. It is taken if it belongs to the user who runs
  // this, to root or to `trusted_uid`, and nobody else may write it. On any status but Ok the subscriber is
  // closed.
  [[nodiscard]] AttachStatus open(std::string_view name, Start start = Start::Newest,
                                  std::uint32_t trusted_uid = kTrustNobody) {
    const AttachStatus status = mapping_.open(name, trusted_uid);
    attach(start);
    return status;
  }
  // Why the last open() was not Ok, as a sentence for people.
  std::string explain(AttachStatus status) const { return mapping_.explain(status); }

  // After Stopped or PublisherDead: if the publisher was started again under the same name, maps its new
  // segment and begins at `start` (Oldest: its first event if that is still there). Ok: done, symbol_ids have
  // to be looked up again. Anything else: the new one is not there yet, and the old mapping stays.
  [[nodiscard]] AttachStatus reattach(Start start = Start::Oldest) {
    if (!mapping_.replaced()) return AttachStatus::NotFound;
    Mapping fresh;
    const AttachStatus status = fresh.open(mapping_.name(), mapping_.trusted_uid());
    if (status != AttachStatus::Ok) return status;
    mapping_ = std::move(fresh);
    attach(start);
    return status;
  }

  // The next event of the ring: see RingReader::poll(). After follow(), the next of the followed instrument.
  [[nodiscard]] ReadStatus poll(Event& out) noexcept { return poll(out.header, out.levels); }
  [[nodiscard]] ReadStatus poll(EventHeader& header, void* body) noexcept {
    return followed_ == kNoSymbol ? ring_.poll(header, body) : ring_.poll_only(followed_, header, body);
  }
  // Hands over all instruments' events, followed or not: see RingReader::poll().
  template <class Fn>
  PollResult poll(std::size_t max, Fn&& fn) {
    return ring_.poll(max, std::forward<Fn>(fn));
  }

  // poll(), but waits while it is Empty: until there is something else to say, the publisher stopped, died or
  // gave no heartbeat for `heartbeat_limit` (see publisher_status(); negative: kHeartbeatLimit), or `timeout`
  // has passed, which is Empty. PublisherStale is said once: the next wait() goes on until it is over.
  [[nodiscard]] ReadStatus wait(Event& out, Wait how = Wait::Bell,
                                std::chrono::nanoseconds timeout = std::chrono::nanoseconds::max(),
                                std::chrono::nanoseconds heartbeat_limit = std::chrono::nanoseconds(-1)) {
    std::chrono::steady_clock::time_point began{};
    std::chrono::steady_clock::time_point look{};
    std::chrono::nanoseconds left = timeout;
    for (IdleWait idle(how);; rest(idle, left)) {
      ReadStatus status = poll(out);
      if (status != ReadStatus::Empty) {
        stale_said_ = false;
        return status;
      }
      // Clocks are read now and then while the waiting is a matter of nanoseconds.
      if (how < Wait::Sleep && idle.idles() % kIdlesPerCheck != 0) continue;
      const auto now = std::chrono::steady_clock::now();
      if (idle.idles() == 0) began = look = now;
      if (now >= look) {
        look = now + kLookInterval;
        status = check_publisher(heartbeat_limit.count());
        const bool said = stale_said_ && status == ReadStatus::PublisherStale;
        stale_said_ = status == ReadStatus::PublisherStale;
        if (status != ReadStatus::Empty && !said) return status;
      }
      left = timeout - (now - began);
      if (left.count() <= 0) return ReadStatus::Empty;
    }
  }

  // For loops around poll(): sleeps until there is something new, or `timeout` has passed; may return sooner.
  void sleep(std::chrono::nanoseconds timeout) noexcept {
    if (view().attached() && ring_.lag_bytes() == 0 && !bell_.wait(view(), ring_.position(), timeout)) {
      std::this_thread::sleep_for(std::min<std::chrono::nanoseconds>(timeout, kSleepWithoutBell));
    }
  }

  // What the publisher is: see Mapping::publisher_status().
  PublisherStatus publisher_status(std::int64_t heartbeat_limit_ns = kHeartbeatLimit) const noexcept {
    return mapping_.publisher_status(heartbeat_limit_ns);
  }
  // The state in which to take a book (a table entry's, or that of the last BookState event): a Live one is
  // Stale unless the publisher is Running, for then nobody keeps it.
  BookState usable_state(BookState state, std::int64_t heartbeat_limit_ns = kHeartbeatLimit) const noexcept {
    if (state != BookState::Live || publisher_status(heartbeat_limit_ns) == PublisherStatus::Running) {
      return state;
    }
    return BookState::Stale;
  }

  // For when poll() is Empty: Empty (the publisher is running, or left events to read), Stopped,
  // PublisherDead (or replaced), PublisherStale (silent), NotAttached.
  [[nodiscard]] ReadStatus check_publisher(std::int64_t heartbeat_limit_ns = kHeartbeatLimit) const noexcept {
    if (!mapping_.is_open()) return ReadStatus::NotAttached;
    ReadStatus status = ReadStatus::Empty;
    switch (publisher_status(heartbeat_limit_ns)) {
      case PublisherStatus::Running:
        break;
      case PublisherStatus::Silent:
        status = ReadStatus::PublisherStale;
        break;
      case PublisherStatus::Stopped:
        status = ReadStatus::Stopped;
        break;
      case PublisherStatus::Dead:
      case PublisherStatus::Replaced:
        status = ReadStatus::PublisherDead;
        break;
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
  // Copies the present book. Never blocks: Busy is also a publisher that lost its core inside the entry.
  [[nodiscard]] BookStatus read_book(std::uint32_t symbol_id, Book& out) const {
    return books_.read(symbol_id, out);
  }
  // The same, but waits while the publisher is inside, for about a second: Busy means that it died there.
  [[nodiscard]] BookStatus wait_for_book(std::uint32_t symbol_id, Book& out) const {
    for (IdleWait idle(Wait::Sleep);; idle.idle()) {
      const BookStatus status = books_.read(symbol_id, out);
      if (status != BookStatus::Busy || idle.idles() == kIdlesPerBook) return status;
      if (idle.idles() % kIdlesPerCheck == kIdlesPerCheck - 1 &&
          publisher_status(MDP_SHM_INSIDE_LIMIT_NS) >= PublisherStatus::Dead) {
        return status;
      }
    }
  }

  // wait_for_book(), and sets the ring to continue from it: the next events of this instrument are exactly
  // those that are not in `out`.
  [[nodiscard]] BookStatus join(std::uint32_t symbol_id, Book& out) {
    const BookStatus status = wait_for_book(symbol_id, out);
    if (status == BookStatus::Ok) ring_.start_at(out.entry.ring_position, out.entry.next_sequence);
    return status;
  }

  // join(), and from then on poll() and wait() pass over the other instruments' events. After Lapped: again.
  [[nodiscard]] BookStatus follow(std::uint32_t symbol_id, Book& out) {
    const BookStatus status = join(symbol_id, out);
    if (status == BookStatus::Ok) followed_ = symbol_id;
    return status;
  }
  // The same with a book that is kept: `keeper` is then the present book, whole where the ring has a whole
  // one (see mdp_shm_book.h), and the next events are those that are not in it.
  [[nodiscard]] BookStatus follow(std::uint32_t symbol_id, BookKeeper& keeper) {
    BookStatus status = keeper.load(ring_, symbol_id);
    Book book;
    for (int attempt = 0; attempt < 8 && status == BookStatus::Busy; ++attempt) {
      status = wait_for_book(symbol_id, book);
      if (status == BookStatus::Ok) status = keeper.load(ring_, symbol_id);
    }
    if (status != BookStatus::Ok) return status;
    ring_.start_at(keeper.position(), keeper.next_sequence());
    followed_ = symbol_id;
    return status;
  }
  // poll() and wait() of the followed instrument, and the event taken into `keeper`. Mismatch is Ok with a
  // book that was refuted: it is not usable() until it comes whole again, or is followed anew. After Lapped
  // the book has been loaded anew: it is ahead of the events that follow, until they reach its
  // next_sequence().
  [[nodiscard]] ReadStatus poll(Event& out, BookKeeper& keeper) noexcept {
    return keeper.after(ring_, poll(out), out.header, out.levels);
  }
  [[nodiscard]] ReadStatus wait(Event& out, BookKeeper& keeper, Wait how = Wait::Bell,
                                std::chrono::nanoseconds timeout = std::chrono::nanoseconds::max(),
                                std::chrono::nanoseconds heartbeat_limit = std::chrono::nanoseconds(-1)) {
    return keeper.after(ring_, wait(out, how, timeout, heartbeat_limit), out.header, out.levels);
  }
  // Ends that: all events again.
  void follow_all() noexcept { followed_ = kNoSymbol; }

  const Mapping& mapping() const noexcept { return mapping_; }
  const SegmentView& view() const noexcept { return mapping_.view(); }
  const Directory& directory() const noexcept { return directory_; }
  const BookTable& books() const noexcept { return books_; }
  RingReader& ring() noexcept { return ring_; }
  const RingReader& ring() const noexcept { return ring_; }

 private:
  static constexpr std::uint64_t kIdlesPerCheck = 64;
  static constexpr std::chrono::nanoseconds kLookInterval{MDP_SHM_LOOK_INTERVAL_NS};
  static constexpr std::uint64_t kIdlesPerBook = 10'000;  // most of them sleeps of 50 us and more

  void rest(IdleWait& idle, std::chrono::nanoseconds left) noexcept {
    if (idle.would_sleep() && bell_.wait(view(), ring_.position(), left)) return idle.count();
    idle.idle();
  }
  void attach(Start start) noexcept {
    bell_ = {};
    followed_ = kNoSymbol;
    directory_ = Directory(mapping_.view());
    books_ = BookTable(mapping_.view());
    ring_ = RingReader(mapping_.view(), start);
  }

  static constexpr std::chrono::microseconds kSleepWithoutBell{500};

  Mapping mapping_;
  Doorbell bell_;
  Directory directory_;
  BookTable books_;
  RingReader ring_;
  std::uint32_t followed_ = kNoSymbol;
  bool stale_said_ = false;
};

}  // namespace mdp::shm
