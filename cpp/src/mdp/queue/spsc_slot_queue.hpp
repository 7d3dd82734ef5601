// SpscSlotQueue: an SPSC queue of large slots that are filled and read in place.
//
// The slots are written by the producer where the consumer will read them, so a 4 KiB message moves only the
// bytes it uses, once. Order and flow control come from an SpscQueue of slot numbers, whichever
// implementation that is.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <stdexcept>

#include "mdp/queue/spsc_queue.hpp"

namespace mdp::queue {

template <class T>
class SpscSlotQueue {
 public:
  // Holds up to `capacity` committed slots. Touches every slot, so that no page fault is left for later.
  explicit SpscSlotQueue(std::size_t capacity)
      : ready_(capacity), slots_(std::make_unique<T[]>(capacity + 1)), slot_count_(capacity + 1) {}

  // Producer. The slot to fill. Always free: at most `capacity` slots are committed and not yet popped, they
  // are the most recent ones, and there is one slot more.
  T* claim() noexcept { return &slots_[claimed_]; }

  // Producer. Publishes the claimed slot; false when the queue is full (fill state is kept: call again).
  [[nodiscard]] bool try_commit() noexcept {
    if (!ready_.try_push(claimed_)) return false;
    claimed_ = claimed_ + 1 == slot_count_ ? 0 : claimed_ + 1;
    return true;
  }

  // Consumer. The oldest committed slot, or nullptr; stays until pop().
  T* front() noexcept {
    const std::uint32_t* index = ready_.front();
    return index ? &slots_[*index] : nullptr;
  }
  void pop() noexcept { ready_.pop(); }

  std::size_t size() const noexcept { return ready_.size(); }
  std::size_t capacity() const noexcept { return slot_count_ - 1; }

 private:
  SpscQueue<std::uint32_t> ready_;
  std::unique_ptr<T[]> slots_;
  std::size_t slot_count_;
  std::uint32_t claimed_ = 0;  // producer's
};

}  // namespace mdp::queue
