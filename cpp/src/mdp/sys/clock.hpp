// TscClock and now_ns(): nanoseconds since the Unix epoch for a few nanoseconds a call.
//
// The time stamp counter is calibrated against CLOCK_REALTIME. Where the processor does not promise an
// invariant counter, now_ns() falls back to clock_gettime.
#pragma once

#include <atomic>
#include <cstdint>

#if defined(__x86_64__)
#include <x86intrin.h>
#endif

namespace mdp::sys {

// CLOCK_REALTIME, by the operating system.
std::int64_t realtime_ns() noexcept;
// CLOCK_MONOTONIC, by the operating system.
std::int64_t monotonic_ns() noexcept;

class TscClock {
 public:
  // Measures the counter's rate for about `calibration_ns`. Thread: set-up.
  explicit TscClock(std::int64_t calibration_ns = 10'000'000);

  // Any thread. Follows CLOCK_REALTIME; may step by as much as that clock was stepped at the last anchor().
  std::int64_t now_ns() const noexcept;

  // Ties the counter to CLOCK_REALTIME again and refines the rate over the whole time since start. Call about
  // once a second, from one thread. Between two calls the error is the rate's error times the time between
  // them.
  void anchor() noexcept;

  bool uses_tsc() const noexcept { return uses_tsc_; }
  // Ticks of the counter in one nanosecond; 0 where it isn't used.
  double ticks_per_ns() const noexcept { return uses_tsc_ ? 1.0 / ns_per_tick_ : 0.0; }

 private:
  struct Reading {
    std::uint64_t ticks;
    std::int64_t realtime_ns;
    std::int64_t monotonic_ns;
  };
  static Reading read_both() noexcept;
  void publish(const Reading& at) noexcept;

  bool uses_tsc_ = false;
  double ns_per_tick_ = 0;  // set-up and anchor() only
  Reading first_{};

  // The conversion, seqlocked: odd while being changed.
  std::atomic<std::uint64_t> version_{0};
  std::atomic<std::uint64_t> base_ticks_{0};
  std::atomic<std::int64_t> base_ns_{0};
  std::atomic<std::uint64_t> ns_per_tick_q32_{0};  // nanoseconds a tick, times 2^32
};

// The process's clock, calibrated at first use.
TscClock& process_clock();
inline std::int64_t now_ns() noexcept { return process_clock().now_ns(); }

}  // namespace mdp::sys
