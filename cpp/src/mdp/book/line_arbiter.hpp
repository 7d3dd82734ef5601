// Line arbitration: a symbol may ride several lines, and the first copy of what they carry counts.
//
// Book updates need nothing of their own to tell copies: the book rule sees by the numbers that a delta ends
// within what is applied, overlaps it, or begins beyond it. What is here knows the rest: which lines could
// still bring what is missing, by how much one was ahead, and which trades were seen. Manager's thread.
#pragma once

#include <algorithm>
#include <array>
#include <bitset>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "mdp/core/counters.hpp"
#include "mdp/core/latency_histogram.hpp"
#include "mdp/core/normalized_message.hpp"

namespace mdp::book {

// Of one line, where another was up beside it. Written by the manager's thread, read by any.
struct LineCounters {
#define MDP_LINE_COUNTER(name, help) core::Counter name;
#include "mdp/core/counters.def"
  core::LatencyHistogram lead;  // from each update it brought first until another line had brought it too
};

// What is known of a line, whatever rides it.
struct LineStatus {
  bool up = false;
  std::int64_t up_since_ns = 0;  // receive clock
  std::int64_t moved_ns = 0;     // when a book that it brings was last seen to have moved, of look()
  LineCounters* counters = nullptr;
};

// Ids that grow by small steps, seen once each: a window of the newest, as in replay protection. An id older
// than the window counts as seen.
class SeenIds {
 public:
  // Whether `id` comes for the first time; notes it.
  bool first_time(std::uint64_t id) noexcept {
    if (id > newest_ || empty_) {
      const std::uint64_t step = id - newest_;
      if (step == 1 && !empty_) [[likely]] {
        seen_ <<= 1;  // a shift by a constant is a third of the instructions
      } else if (empty_ || step >= kWindow) {
        seen_.reset();
      } else {
        seen_ <<= step;
      }
      newest_ = id;
      empty_ = false;
      seen_.set(0);
      return true;
    }
    const std::uint64_t age = newest_ - id;
    if (age >= kWindow || seen_.test(age)) return false;
    seen_.set(age);
    return true;
  }

 private:
  static constexpr std::size_t kWindow = 256;
  std::uint64_t newest_ = 0;
  bool empty_ = true;
  std::bitset<kWindow> seen_;  // bit i: newest_ - i was seen
};

// The last few updates applied to a book, to measure by how much another line brought them later. Lines need
// not cut their batches at the same ids: one has brought an update when it has brought its last id.
class FirstCopies {
 public:
  struct Copy {
    std::uint64_t last_update_id = 0;
    std::int64_t recv_ts_ns = 0;
    core::LineId line = 0;
    bool open = false;  // no other line has brought it yet
  };

  void note(const core::MessageHeader& applied) noexcept {
    copies_[next_++ % kKept] = {applied.last_update_id, applied.recv_ts_ns, applied.line_id, true};
  }
  // Calls `second(copy)` for each update of another line that `delta` catches up with.
  template <class Second>
  void catch_up(const core::MessageHeader& delta, Second&& second) noexcept {
    for (Copy& copy : copies_) {
      if (!copy.open || copy.line == delta.line_id || copy.last_update_id > delta.last_update_id) continue;
      copy.open = false;
      second(copy);
    }
  }

 private:
  static constexpr std::size_t kKept = 8;
  std::array<Copy, kKept> copies_{};
  std::size_t next_ = 0;
};

}  // namespace mdp::book
