// Wait: what a reader's thread does while there is nothing to read.
//
// Used by Subscriber::wait(); one IdleWait per waiting thread.
#pragma once

#include <chrono>
#include <cstdint>
#include <thread>

#if defined(__x86_64__) || defined(__i386__)
#include <immintrin.h>
#endif

namespace mdp::shm {

enum class Wait : std::uint8_t {
  Spin = 0,   // looks again at once: the least latency, a core of its own
  Yield = 1,  // lets other threads of the core run
  Sleep = 2,  // spins a little, yields a little, then sleeps: idle time costs next to nothing
};

constexpr const char* to_string(Wait how) noexcept {
  switch (how) {
    case Wait::Spin:
      return "spin";
    case Wait::Yield:
      return "yield";
    case Wait::Sleep:
      return "sleep";
  }
  return "unknown";
}

class IdleWait {
 public:
  explicit IdleWait(Wait how) noexcept : how_(how) {}

  // Call each time there was nothing.
  void idle() {
    ++idles_;
    const std::uint64_t spins = how_ == Wait::Spin ? ~std::uint64_t{0} : (how_ == Wait::Yield ? 0 : kSpins);
    if (idles_ <= spins) {
      relax();
    } else if (how_ == Wait::Yield || idles_ <= kSpins + kYields) {
      std::this_thread::yield();
    } else {
      std::this_thread::sleep_for(kSleep);
    }
  }
  // Call when there was something: a busy time is spun through.
  void reset() noexcept { idles_ = 0; }
  // Calls of idle() since reset().
  std::uint64_t idles() const noexcept { return idles_; }

 private:
  static constexpr std::uint64_t kSpins = 256;
  static constexpr std::uint64_t kYields = 64;
  static constexpr std::chrono::microseconds kSleep{50};

  static void relax() noexcept {
#if defined(__x86_64__) || defined(__i386__)
    _mm_pause();  // leaves the core to its other hardware thread, and a spin ends without a pipeline flush
#endif
  }

  Wait how_;
  std::uint64_t idles_ = 0;
};

}  // namespace mdp::shm
