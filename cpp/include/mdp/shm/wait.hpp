// Wait: what a reader's thread does while there is nothing to read, and the doorbell.
//
// Used by Subscriber::wait(); one IdleWait per waiting thread.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <thread>
#include <utility>

#if defined(__x86_64__) || defined(__i386__)
#include <immintrin.h>
#endif

#include "mdp/shm/mdp_shm_bell.h"
#include "mdp/shm/segment_view.hpp"

namespace mdp::shm {

enum class Wait : std::uint8_t {
  Spin = 0,   // looks again at once: the least latency, a core of its own
  Yield = 1,  // lets other threads of the core run
  Sleep = 2,  // spins a little, yields a little, then sleeps for 50 us at a time
  Bell = 3,   // spins a little, then sleeps until the publisher rings; without a doorbell like Sleep
};

constexpr const char* to_string(Wait how) noexcept {
  switch (how) {
    case Wait::Spin:
      return "spin";
    case Wait::Yield:
      return "yield";
    case Wait::Sleep:
      return "sleep";
    case Wait::Bell:
      return "bell";
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
  // Whether the next idle() would give up the core: a doorbell is waited for instead.
  bool would_sleep() const noexcept { return how_ == Wait::Bell && idles_ >= kSpins; }
  // idle() was done in another way.
  void count() noexcept { ++idles_; }
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

// The doorbell of a segment: see mdp_shm_bell.h.
class Doorbell {
 public:
  Doorbell() = default;
  ~Doorbell() { mdp_shm_bell_close(page_); }
  Doorbell(Doorbell&& other) noexcept { swap(other); }
  Doorbell& operator=(Doorbell&& other) noexcept {
    Doorbell(std::move(other)).swap(*this);
    return *this;
  }
  Doorbell(const Doorbell&) = delete;
  Doorbell& operator=(const Doorbell&) = delete;

  // Sleeps until the cursor of `view` is another than `seen`, or `timeout` has passed, which may be cut
  // short. False: there is no doorbell, or this user may not ask there.
  bool wait(const SegmentView& view, std::uint64_t seen, std::chrono::nanoseconds timeout) noexcept {
    if (!tried_) {
      tried_ = true;
      mdp_shm_segment_info info;
      static_assert(sizeof(info) == sizeof(SegmentInfo));
      std::memcpy(&info, &view.info(), sizeof(info));
      page_ = mdp_shm_bell_open(&info);
    }
    if (page_ == nullptr) return false;
    const void* const cursor = &view.header().cursor;
    mdp_shm_bell_wait(page_, static_cast<const std::uint64_t*>(cursor), seen,
                      std::min<std::int64_t>(timeout.count(), MDP_SHM_BELL_SLICE_NS));
    return true;
  }

 private:
  void swap(Doorbell& other) noexcept {
    std::swap(page_, other.page_);
    std::swap(tried_, other.tried_);
  }

  mdp_shm_bell_page* page_ = nullptr;
  bool tried_ = false;
};

}  // namespace mdp::shm
