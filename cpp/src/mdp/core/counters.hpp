// Counter: a number one thread increments and any thread may read.
#pragma once

#include <atomic>
#include <cstdint>

namespace mdp::core {

class Counter {
 public:
  // Called by the one owning thread: a plain load and store, no locked instruction.
  void add(std::uint64_t n = 1) noexcept {
    // relaxed: a statistic, orders nothing; partner is get().
    value_.store(value_.load(std::memory_order_relaxed) + n, std::memory_order_relaxed);
  }
  // relaxed: a statistic; partner is add().
  std::uint64_t get() const noexcept { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<std::uint64_t> value_{0};
};

}  // namespace mdp::core
