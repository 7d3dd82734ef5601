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
  // symbol, code: HTTP status or 0, retry_after_s, used_weight, text: empty or what went wrong; parse_status, failure
  // where that was a body that could not be read
  Snapshot = 3,
  Reply = 4,       // line, code: the venue's number or 0, request_id, text: the venue's words
  ParseError = 5,  // line, symbol where it is known, parse_status, failure, text: the beginning of the frame
  Rejected = 6,    // line, symbol, channel, code, text: the venue's words. The channel is given up
  // symbol, update_id, text: "quote" or "snapshot", whatever the book was compared with; book_top, venue_top: the
  // tops, or against a snapshot the first levels that differ
  AuditMismatch = 7,
  AuditSnapshot = 8,  // as Snapshot, of one asked for by audit()
};

struct ControlEvent {
  ControlKind kind;
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

// Written by the symbol's manager, read by control. relaxed: each word stands for itself, but the two marks, which
// come with the state they were set in.
struct alignas(64) SymbolStatus {
  std::atomic<shm::BookState> state{shm::BookState::Stale};
  std::atomic<shm::StateReason> reason{shm::StateReason::Starting};
  std::atomic<bool> snapshot_wanted{false};
  std::atomic<book::DepthNeed> depth_need{book::DepthNeed::None};
  std::atomic<bool> suspect{false};
  std::atomic<std::uint64_t> update_id{0};
};

}  // namespace mdp::engine
