#include "mdp/sys/clock.hpp"

#include <chrono>

#if defined(__x86_64__)
#include <cpuid.h>
#endif

namespace mdp::sys {
namespace {

__extension__ using Int128 = __int128;  // 64.32 fixed point needs 96 bits

std::uint64_t read_tsc() noexcept {
#if defined(__x86_64__)
  return __rdtsc();
#else
  return 0;
#endif
}

// CPUID 8000'0007h EDX bit 8: the counter runs at one rate in every power state.
bool has_invariant_tsc() noexcept {
#if defined(__x86_64__)
  unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
  return __get_cpuid(0x8000'0007, &eax, &ebx, &ecx, &edx) != 0 && (edx & (1u << 8)) != 0;
#else
  return false;
#endif
}

template <class Clock>
std::int64_t count_ns() noexcept {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(Clock::now().time_since_epoch()).count();
}

}  // namespace

std::int64_t realtime_ns() noexcept { return count_ns<std::chrono::system_clock>(); }
std::int64_t monotonic_ns() noexcept { return count_ns<std::chrono::steady_clock>(); }

TscClock::TscClock(std::int64_t calibration_ns) : uses_tsc_(has_invariant_tsc()) {
  if (!uses_tsc_) return;
  first_ = read_both();
  Reading last = read_both();
  while (last.monotonic_ns - first_.monotonic_ns < calibration_ns) last = read_both();
  ns_per_tick_ = static_cast<double>(last.monotonic_ns - first_.monotonic_ns) /
                 static_cast<double>(last.ticks - first_.ticks);
  publish(last);
}

std::int64_t TscClock::now_ns() const noexcept {
  if (!uses_tsc_) return sys::realtime_ns();
  for (;;) {
    // acquire: the three loads below come after it; pairs with the release stores in publish().
    const std::uint64_t version = version_.load(std::memory_order_acquire);
    // acquire, each: the re-check of version_ comes after them; pairs with the release stores in publish().
    const std::uint64_t base_ticks = base_ticks_.load(std::memory_order_acquire);
    const std::int64_t base_ns = base_ns_.load(std::memory_order_acquire);
    const std::uint64_t rate = ns_per_tick_q32_.load(std::memory_order_acquire);
    // relaxed: ordered after the acquire loads above.
    if ((version & 1) == 0 && version_.load(std::memory_order_relaxed) == version) {
      // Signed: another core's counter may be a few ticks behind the one that anchored.
      const auto ticks = static_cast<std::int64_t>(read_tsc() - base_ticks);
      return base_ns +
             static_cast<std::int64_t>((static_cast<Int128>(ticks) * static_cast<Int128>(rate)) >> 32);
    }
  }
}

void TscClock::anchor() noexcept {
  if (!uses_tsc_) return;
  const Reading at = read_both();
  ns_per_tick_ = static_cast<double>(at.monotonic_ns - first_.monotonic_ns) /
                 static_cast<double>(at.ticks - first_.ticks);
  publish(at);
}

// The counter and both clocks at one instant: the narrowest of a few bracketings, so that an interruption
// between two reads does not spoil the tie.
TscClock::Reading TscClock::read_both() noexcept {
  Reading best{};
  std::uint64_t best_width = ~std::uint64_t{0};
  for (int i = 0; i < 5; ++i) {
    const std::uint64_t before = read_tsc();
    const std::int64_t realtime = sys::realtime_ns();
    const std::int64_t monotonic = sys::monotonic_ns();
    const std::uint64_t after = read_tsc();
    if (after - before < best_width) {
      best_width = after - before;
      best = {before + (after - before) / 2, realtime, monotonic};
    }
  }
  return best;
}

void TscClock::publish(const Reading& at) noexcept {
  // relaxed: this is the one thread that writes version_.
  const std::uint64_t version = version_.load(std::memory_order_relaxed);
  version_.store(version + 1, std::memory_order_relaxed);
  // release, each: readers that see one of these also see the odd version before them; pairs with now_ns().
  base_ticks_.store(at.ticks, std::memory_order_release);
  base_ns_.store(at.realtime_ns, std::memory_order_release);
  ns_per_tick_q32_.store(static_cast<std::uint64_t>(ns_per_tick_ * 4294967296.0 + 0.5),
                         std::memory_order_release);
  // release: the three words above are whole; pairs with the acquire load in now_ns().
  version_.store(version + 2, std::memory_order_release);
}

TscClock& process_clock() {
  static TscClock clock;
  return clock;
}

}  // namespace mdp::sys
