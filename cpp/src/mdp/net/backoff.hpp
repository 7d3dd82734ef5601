// Backoff: how long to wait before the next attempt. Capped exponential with jitter, so that many lines
// dropped by one event do not all come back in the same instant. Loop thread only; header-only.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <random>

#include "mdp/core/settings.hpp"

namespace mdp::net {

struct BackoffOptions {
  std::chrono::milliseconds initial_ms{250};
  std::chrono::milliseconds max_ms{30'000};
  double multiplier = 2.0;
  double jitter = 1.0;  // 1: full, anywhere from zero to the step; 0.5: the upper half of the step; 0: none
  // Up for this long counts as well again: the next failure starts from `initial_ms`.
  std::chrono::milliseconds stable_after_ms{60'000};
  std::uint64_t seed = 0;  // 0: from std::random_device; else the sequence is repeatable

  template <class Visit>
  static void visit_settings(Visit&& visit) {
    MDP_SETTING(BackoffOptions, initial_ms);
    MDP_SETTING(BackoffOptions, max_ms);
    MDP_SETTING(BackoffOptions, multiplier);
    MDP_SETTING(BackoffOptions, jitter);
    MDP_SETTING(BackoffOptions, stable_after_ms);
  }
};

class Backoff {
 public:
  explicit Backoff(const BackoffOptions& options = {})
      : options_(options), step_ms_(initial_ms()), rng_(options.seed != 0 ? options.seed : random_seed()) {}

  // The delay before the next attempt; every call lengthens the one after it, up to the cap.
  std::chrono::milliseconds next() {
    const double low_ms = step_ms_ * (1.0 - std::clamp(options_.jitter, 0.0, 1.0));
    const double delay_ms = std::uniform_real_distribution<double>(low_ms, step_ms_)(rng_);
    step_ms_ = std::min(step_ms_ * std::max(options_.multiplier, 1.0), max_ms());
    ++attempts_;
    return std::chrono::milliseconds(static_cast<std::int64_t>(delay_ms));
  }

  // Call when a line that was up goes down: starts over if it had been up long enough. A line that comes up
  // only to be dropped at once keeps backing off.
  void note_uptime(std::chrono::nanoseconds up_for) {
    if (up_for >= options_.stable_after_ms) reset();
  }

  void reset() {
    step_ms_ = initial_ms();
    attempts_ = 0;
  }

  std::uint32_t attempts() const noexcept { return attempts_; }  // delays given since the last reset

 private:
  double max_ms() const { return std::max(1.0, static_cast<double>(options_.max_ms.count())); }
  double initial_ms() const {
    return std::clamp(static_cast<double>(options_.initial_ms.count()), 1.0, max_ms());
  }
  static std::uint64_t random_seed() {
    std::random_device device;
    return (std::uint64_t{device()} << 32) | device();
  }

  BackoffOptions options_;
  double step_ms_;
  std::uint32_t attempts_ = 0;
  std::mt19937_64 rng_;
};

}  // namespace mdp::net
