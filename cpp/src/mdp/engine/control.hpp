// What the engine tells control: a bounded queue of ControlEvent for logs and decisions, and one word per
// symbol for what must not be missed.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "mdp/book/depth_watch.hpp"
#include "mdp/core/counters.hpp"
#include "mdp/core/ids.hpp"
#include "mdp/core/parser.hpp"
#include "mdp/core/text.hpp"
#include "mdp/core/venue.hpp"
#include "mdp/queue/mpsc_queue.hpp"

namespace mdp::engine {

enum class ControlKind : std::uint8_t {
  BookState = 1,  // symbol, book_state, reason, update_id
  LineState = 2,  // line, line_state, text
  // symbol, fetched, code: HTTP status or 0, retry_after_s, used_weight, text: empty or what went wrong;
  // parse_status and failure where that was a body that could not be read
  Snapshot = 3,
  Reply = 4,       // line, code: the venue's number or 0, request_id, text: the venue's words
  ParseError = 5,  // line, symbol where it is known, parse_status, failure, text: the beginning of the frame
  Rejected = 6,    // line, symbol, channel, code, text: the venue's words. The channel is given up
  // symbol, update_id, text: "quote" or "snapshot", whatever the book was compared with; book_top, venue_top:
  // the tops, or against a snapshot the first levels that differ
  AuditMismatch = 7,
  AuditSnapshot = 8,  // as Snapshot, of one asked for by audit()
};

// What came of a request for a snapshot.
enum class Fetched : std::uint8_t {
  Snapshot = 1,
  Nothing = 2,        // no connection, no answer, an error, or bytes that are no snapshot at all
  Unfit = 3,          // a snapshot with numbers that this book cannot hold
  UnknownSymbol = 4,  // the venue does not know the symbol (any more)
  Asked = 5,          // it comes in the stream: the subscription was made anew
};

struct ControlEvent {
  ControlKind kind;
  Fetched fetched;
  shm::BookState book_state;
  shm::StateReason reason;
  shm::LineState line_state;
  core::ParseStatus parse_status;
  core::Channel channel;
  core::LineId line;
  core::ExchangeId exchange;  // 0: of no venue in particular
  core::SymbolId symbol;
  std::uint64_t update_id;
  std::int64_t code;
  std::int64_t request_id;
  std::int64_t retry_after_s;  // -1: none
  std::int64_t used_weight;    // of the venue's REST budget this minute; -1: not said
  shm::BboBody book_top;       // mantissas
  shm::BboBody venue_top;
  core::ParseFailure failure;
  char text[256];

  // Made printable (core/text.hpp) and cut to fit, between characters.
  void set_text(std::string_view words) noexcept;
};

// Any thread of the engine tells, the one control thread takes. Telling never waits: when control is so far
// behind that the queue is full, the event is dropped and counted. What would be lost with it is in
// SymbolStatus as well; a Snapshot's outcome is given up by time (SnapshotScheduler).
class ControlQueue {
 public:
  explicit ControlQueue(std::size_t capacity) : queue_(capacity) {}

  template <class Fill>
  void tell(ControlKind kind, Fill&& fill) noexcept {
    ControlEvent* event = queue_.try_claim();
    if (event == nullptr) {
      // relaxed: a statistic.
      dropped_.fetch_add(1, std::memory_order_relaxed);
      return;
    }
    *event = {};
    event->kind = kind;
    event->symbol = core::kNoSymbol;
    event->retry_after_s = -1;
    event->used_weight = -1;
    fill(*event);
    queue_.commit(event);
  }

  std::size_t take(std::vector<ControlEvent>& out, std::size_t max) {
    std::size_t count = 0;
    for (; count < max; ++count) {
      const ControlEvent* event = queue_.front();
      if (event == nullptr) break;
      out.push_back(*event);
      queue_.pop();
    }
    return count;
  }
  // relaxed: a statistic.
  std::uint64_t dropped() const noexcept { return dropped_.load(std::memory_order_relaxed); }

 private:
  queue::MpscQueue<ControlEvent> queue_;
  std::atomic<std::uint64_t> dropped_{0};
};

inline void ControlEvent::set_text(std::string_view words) noexcept {
  text[core::printable(words, text, sizeof(text) - 1)] = '\0';
}

// The last time that a book was LIVE and is no more. Control looks at a symbol some times a second, and a
// sync may last for less than that; but no book is LIVE twice without a snapshot that control has fetched
// between.
struct LiveSpan {
  std::uint64_t number;  // of the book's spans, from 1; 0: it was never LIVE
  std::int64_t duration_ns;
  shm::StateReason ended_by;
  bool moved_on;  // an update was applied in it: the first one followed what was joined
};

// Written by the symbol's manager, read by control. relaxed: each word stands for itself, but the two marks,
// which come with the state they were set in and the span before that.
struct alignas(64) SymbolStatus {
  std::atomic<shm::BookState> state{shm::BookState::Stale};
  std::atomic<shm::StateReason> reason{shm::StateReason::Starting};
  std::atomic<bool> snapshot_wanted{false};
  std::atomic<book::DepthNeed> depth_need{book::DepthNeed::None};
  std::atomic<bool> suspect{false};
  std::atomic<shm::StateReason> span_ended_by{shm::StateReason::None};
  std::atomic<bool> span_moved_on{false};
  std::atomic<std::uint64_t> update_id{0};
  std::atomic<std::uint64_t> live_from_id{0};  // where the last span, or the one under way, began
  std::atomic<std::int64_t> live_since_ns{0};  // monotonic; when it did
  std::atomic<std::int64_t> span_ns{0};
  std::atomic<std::uint64_t> spans{0};  // that are over

  // The manager's thread.
  void enter(shm::BookState next, shm::StateReason why, std::uint64_t id, std::int64_t now_ns) noexcept;
  // Any thread.
  LiveSpan last_span() const noexcept;
};

// relaxed, all: each word stands for itself; control tolerates a mix of two moments. Partners are last_span()
// and symbol_health().
inline void SymbolStatus::enter(shm::BookState next, shm::StateReason why, std::uint64_t id,
                                std::int64_t now_ns) noexcept {
  const bool was_live = state.load(std::memory_order_relaxed) == shm::BookState::Live;
  if (was_live && next != shm::BookState::Live) {
    span_ns.store(now_ns - live_since_ns.load(std::memory_order_relaxed), std::memory_order_relaxed);
    span_ended_by.store(why, std::memory_order_relaxed);
    span_moved_on.store(id != live_from_id.load(std::memory_order_relaxed), std::memory_order_relaxed);
    spans.store(spans.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
  } else if (!was_live && next == shm::BookState::Live) {
    live_since_ns.store(now_ns, std::memory_order_relaxed);
    live_from_id.store(id, std::memory_order_relaxed);
  }
  state.store(next, std::memory_order_relaxed);
  reason.store(why, std::memory_order_relaxed);
  update_id.store(id, std::memory_order_relaxed);
  if (next != shm::BookState::Syncing) snapshot_wanted.store(false, std::memory_order_relaxed);
}

// relaxed, all: as above.
inline LiveSpan SymbolStatus::last_span() const noexcept {
  return {spans.load(std::memory_order_relaxed), span_ns.load(std::memory_order_relaxed),
          span_ended_by.load(std::memory_order_relaxed), span_moved_on.load(std::memory_order_relaxed)};
}

}  // namespace mdp::engine
