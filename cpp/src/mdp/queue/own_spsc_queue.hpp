// OwnSpscQueue: a bounded single-producer single-consumer queue with the interface of rigtorp::SPSCQueue.
//
// Used through the alias in spsc_queue.hpp where rigtorp's header is not found. Full policy: try_push() says
// no, push() spins; the stages wait by their own strategy and count it.
#pragma once

#include <atomic>
#include <cstddef>
#include <memory>
#include <new>
#include <stdexcept>
#include <type_traits>
#include <utility>

namespace mdp::queue {

inline constexpr std::size_t kCacheLineSize = 64;

template <class T>
class OwnSpscQueue {
 public:
  // Holds up to `capacity` elements, at least one. Throws std::invalid_argument for zero.
  explicit OwnSpscQueue(std::size_t capacity) : slot_count_(capacity + 1) {
    if (capacity == 0) throw std::invalid_argument("SPSC queue: capacity must be at least 1, found 0");
    slots_ = static_cast<T*>(::operator new(slot_count_ * sizeof(T), std::align_val_t{kAlignment}));
  }
  ~OwnSpscQueue() {
    while (front()) pop();
    ::operator delete(static_cast<void*>(slots_), std::align_val_t{kAlignment});
  }
  OwnSpscQueue(const OwnSpscQueue&) = delete;
  OwnSpscQueue& operator=(const OwnSpscQueue&) = delete;

  // Producer. False when full.
  template <class... Args>
  [[nodiscard]] bool try_emplace(Args&&... args) noexcept(std::is_nothrow_constructible_v<T, Args&&...>) {
    // relaxed: only this thread writes write_index_.
    const std::size_t write = write_index_.load(std::memory_order_relaxed);
    const std::size_t next = advance(write);
    if (next == read_index_cache_) {
      // acquire: the consumer is done with the slot; pairs with the release store in pop().
      read_index_cache_ = read_index_.load(std::memory_order_acquire);
      if (next == read_index_cache_) return false;
    }
    ::new (static_cast<void*>(slots_ + write)) T(std::forward<Args>(args)...);
    // release: publishes the element written above; pairs with the acquire load in front().
    write_index_.store(next, std::memory_order_release);
    return true;
  }
  [[nodiscard]] bool try_push(const T& value) { return try_emplace(value); }
  template <class... Args>
  void emplace(Args&&... args) {
    while (!try_emplace(std::forward<Args>(args)...)) {
    }
  }
  void push(const T& value) { emplace(value); }

  // Consumer. The oldest element, or nullptr when empty; stays until pop().
  [[nodiscard]] T* front() noexcept {
    // relaxed: only this thread writes read_index_.
    const std::size_t read = read_index_.load(std::memory_order_relaxed);
    if (read == write_index_cache_) {
      // acquire: the element is written; pairs with the release store in try_emplace().
      write_index_cache_ = write_index_.load(std::memory_order_acquire);
      if (read == write_index_cache_) return nullptr;
    }
    return slots_ + read;
  }
  // Consumer. Only after a front() that gave this element: front() is what looks at the producer's index.
  void pop() noexcept {
    const std::size_t read = read_index_.load(std::memory_order_relaxed);
    slots_[read].~T();
    // release: the slot may be written again; pairs with the acquire load in try_emplace().
    read_index_.store(advance(read), std::memory_order_release);
  }

  // Any thread; a moment's value.
  [[nodiscard]] std::size_t size() const noexcept {
    // acquire, both: a size is never torn below zero; pairs with the release stores above.
    const std::size_t write = write_index_.load(std::memory_order_acquire);
    const std::size_t read = read_index_.load(std::memory_order_acquire);
    return write >= read ? write - read : write + slot_count_ - read;
  }
  [[nodiscard]] bool empty() const noexcept { return size() == 0; }
  [[nodiscard]] std::size_t capacity() const noexcept { return slot_count_ - 1; }

 private:
  static constexpr std::size_t kAlignment = alignof(T) > kCacheLineSize ? alignof(T) : kCacheLineSize;
  std::size_t advance(std::size_t index) const noexcept { return index + 1 == slot_count_ ? 0 : index + 1; }

  // Four lines: what each side writes, and each side's cached view of the other, so that a side touches the
  // other's line only when its cached view says full or empty.
  std::size_t slot_count_;  // one more than the capacity: full and empty differ
  T* slots_ = nullptr;
  alignas(kCacheLineSize) std::atomic<std::size_t> write_index_{0};
  alignas(kCacheLineSize) std::size_t read_index_cache_ = 0;  // producer's
  alignas(kCacheLineSize) std::atomic<std::size_t> read_index_{0};
  alignas(kCacheLineSize) std::size_t write_index_cache_ = 0;  // consumer's
};

}  // namespace mdp::queue
