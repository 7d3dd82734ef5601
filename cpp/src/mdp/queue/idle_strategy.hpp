// How a stage waits for work, and how its producers wake it.
//
// Spinning gives the lowest latency and costs a core; parking gives the core back and costs a wake-up of some
// tens of microseconds. A consumer thread owns one IdleStrategy; every producer that feeds it holds a pointer
// to its WakeSignal.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <thread>

#ifdef _WIN32
#include <condition_variable>
#include <mutex>
#endif

namespace mdp::queue {

enum class IdleMode : std::uint8_t {
  Spin,   // never gives the core away
  Yield,  // spins a little, then yields
  Park,   // spins a little, yields a little, then sleeps until woken
  Auto,   // Spin where every thread has a core of its own, else Park
};

constexpr const char* to_string(IdleMode mode) noexcept {
  switch (mode) {
    case IdleMode::Spin:
      return "spin";
    case IdleMode::Yield:
      return "yield";
    case IdleMode::Park:
      return "park";
    case IdleMode::Auto:
      return "auto";
  }
  return "unknown";
}

// What Auto means with `thread_count` busy threads on `core_count` cores: two cores are left to everybody
// else.
constexpr IdleMode resolve(IdleMode mode, std::size_t thread_count, std::size_t core_count) noexcept {
  if (mode != IdleMode::Auto) return mode;
  return thread_count + 2 <= core_count ? IdleMode::Spin : IdleMode::Park;
}

inline void cpu_relax() noexcept {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

// The word a parked consumer sleeps on. Any number of producers, one consumer.
class WakeSignal {
 public:
  // Producer, after it has published work. Costs one locked instruction; the system call only when somebody
  // sleeps.
  void notify() noexcept {
    // seq_cst exchange: orders the producer's push before the look at the flag, so that either this sees the
    // sleeper or the sleeper's re-check sees the push; pairs with the exchange in wait().
    if (sleeping_.exchange(0, std::memory_order_seq_cst) != 0) wake();
  }

  // Consumer. Sleeps until notify(), unless `has_work()` holds already. May return early.
  template <class HasWork>
  void wait(HasWork&& has_work) noexcept {
    // seq_cst exchange: announces the sleeper before the re-check; pairs with the exchange in notify().
    sleeping_.exchange(1, std::memory_order_seq_cst);
    if (has_work()) {
      // relaxed: withdraws the announcement; a producer that saw it merely wakes nobody.
      sleeping_.store(0, std::memory_order_relaxed);
      return;
    }
    sleep();
  }

 private:
#ifdef _WIN32
  // MinGW's std::atomic::wait() has no futex below it and was seen to miss a notify.
  void wake() noexcept {
    const std::lock_guard lock(mutex_);
    woken_.notify_one();
  }
  void sleep() noexcept {
    std::unique_lock lock(mutex_);
    // acquire: what the producer wrote before notify() is visible; pairs with the exchange there.
    woken_.wait(lock, [this] { return sleeping_.load(std::memory_order_acquire) == 0; });
  }
  std::mutex mutex_;
  std::condition_variable woken_;
#else
  void wake() noexcept { sleeping_.notify_one(); }
  // acquire: what the producer wrote before notify() is visible; pairs with the exchange there.
  void sleep() noexcept { sleeping_.wait(1, std::memory_order_acquire); }
#endif

  alignas(64) std::atomic<std::uint32_t> sleeping_{0};
};

class IdleStrategy {
 public:
  // `mode` must be resolved: not Auto. `signal` is slept on in Park mode and outlives this.
  IdleStrategy(IdleMode mode, WakeSignal& signal) noexcept : mode_(mode), signal_(&signal) {}

  // After a round that found work.
  void reset() noexcept { rounds_ = 0; }

  // After a round that found none: waits a little longer each time. `has_work()` is asked once more before
  // sleeping.
  template <class HasWork>
  void idle(HasWork&& has_work) noexcept {
    if (mode_ == IdleMode::Spin) {
      cpu_relax();
    } else if (rounds_ < kSpinRounds) {
      ++rounds_;
      cpu_relax();
    } else if (mode_ == IdleMode::Yield || rounds_ < kSpinRounds + kYieldRounds) {
      if (mode_ != IdleMode::Yield) ++rounds_;
      std::this_thread::yield();
    } else {
      signal_->wait(has_work);
      rounds_ = 0;
    }
  }

  IdleMode mode() const noexcept { return mode_; }

 private:
  static constexpr std::uint32_t kSpinRounds = 64;
  static constexpr std::uint32_t kYieldRounds = 8;

  IdleMode mode_;
  WakeSignal* signal_;
  std::uint32_t rounds_ = 0;
};

// How a producer waits for room in a full queue. Room comes when the consumer runs, so the core is offered to
// it soon.
class FullQueueWait {
 public:
  void wait() noexcept {
    if (++rounds_ < 16) {
      cpu_relax();
    } else {
      std::this_thread::yield();
    }
  }
  bool waited() const noexcept { return rounds_ != 0; }

 private:
  std::uint32_t rounds_ = 0;
};

}  // namespace mdp::queue
