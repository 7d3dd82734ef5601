// MpscQueue: a bounded multi-producer single-consumer queue of slots, filled and read in place.
//
// Each slot carries a turn number (D. Vyukov's bounded queue): a producer takes a position by one
// compare-exchange, fills the slot, and passes the turn to the consumer, who passes it to the producers of
// the next lap. Full policy: try_claim() returns nullptr; the book managers wait by their own strategy and
// count it.
#pragma once

#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <stdexcept>

namespace mdp::queue {

template <class T>
class MpscQueue {
 public:
  // `capacity` is rounded up to a power of two. Throws std::invalid_argument for zero.
  explicit MpscQueue(std::size_t capacity) {
    if (capacity == 0) throw std::invalid_argument("MPSC queue: capacity must be at least 1, found 0");
    slot_count_ = std::bit_ceil(capacity < 2 ? std::size_t{2} : capacity);
    slots_ = std::make_unique<Slot[]>(slot_count_);
    // relaxed: nobody else knows the queue yet; whoever shares it orders these.
    for (std::size_t i = 0; i < slot_count_; ++i) slots_[i].turn.store(i, std::memory_order_relaxed);
  }
  MpscQueue(const MpscQueue&) = delete;
  MpscQueue& operator=(const MpscQueue&) = delete;

  // Any producer. A slot of its own to fill, or nullptr when full. Must be committed, and soon: the consumer
  // waits at it.
  [[nodiscard]] T* try_claim() noexcept {
    // relaxed: a guess, the compare-exchange below decides.
    std::uint64_t position = head_.load(std::memory_order_relaxed);
    for (;;) {
      Slot& slot = slots_[position & (slot_count_ - 1)];
      // acquire: the consumer is done with the slot's last lap; pairs with the release store in pop().
      const std::uint64_t turn = slot.turn.load(std::memory_order_acquire);
      if (turn == position) {
        // relaxed: only hands out positions; the slot's turn orders its content.
        if (head_.compare_exchange_weak(position, position + 1, std::memory_order_relaxed)) {
          slot.position = position;
          return &slot.value;
        }
      } else if (turn < position) {
        return nullptr;
      } else {
        position = head_.load(std::memory_order_relaxed);  // relaxed: as above
      }
    }
  }

  // The producer that claimed `value`. Publishes it.
  void commit(T* value) noexcept {
    Slot& slot = *reinterpret_cast<Slot*>(reinterpret_cast<char*>(value) - kValueOffset);
    // release: publishes the slot's content; pairs with the acquire load in front().
    slot.turn.store(slot.position + 1, std::memory_order_release);
  }

  // Consumer. The oldest slot if it is committed, else nullptr; stays until pop().
  [[nodiscard]] T* front() noexcept {
    Slot& slot = slots_[tail_ & (slot_count_ - 1)];
    // acquire: the slot's content is written; pairs with the release store in commit().
    return slot.turn.load(std::memory_order_acquire) == tail_ + 1 ? &slot.value : nullptr;
  }
  void pop() noexcept {
    // release: the slot may be written again one lap later; pairs with the acquire load in try_claim().
    slots_[tail_ & (slot_count_ - 1)].turn.store(tail_ + slot_count_, std::memory_order_release);
    // release: whoever sees the slot gone sees what the consumer did with it; pairs with the acquire load in
    // size().
    tail_shown_.store(++tail_, std::memory_order_release);
  }

  // Any thread; a moment's value. Where it is 0, what the consumer did with all that this thread knows to be
  // committed is visible.
  std::size_t size() const noexcept {
    // acquire: pairs with the release store in pop().
    const std::uint64_t tail = tail_shown_.load(std::memory_order_acquire);
    // relaxed: positions alone.
    const std::uint64_t head = head_.load(std::memory_order_relaxed);
    return head > tail ? static_cast<std::size_t>(head - tail) : 0;
  }
  std::size_t capacity() const noexcept { return slot_count_; }

 private:
  static constexpr std::size_t kLine = 64;
  struct Slot {
    alignas(kLine) std::atomic<std::uint64_t> turn;
    std::uint64_t position;  // of the producer that holds the slot
    alignas(kLine) T value;
  };
  static constexpr std::size_t kValueOffset = alignof(T) > kLine ? alignof(T) : kLine;

  std::size_t slot_count_;
  std::unique_ptr<Slot[]> slots_;
  alignas(kLine) std::atomic<std::uint64_t> head_{0};  // producers'
  alignas(kLine) std::uint64_t tail_ = 0;              // consumer's
  std::atomic<std::uint64_t> tail_shown_{0};           // consumer's, for size()
};

}  // namespace mdp::queue
