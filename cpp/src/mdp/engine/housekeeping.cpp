#include "mdp/engine/housekeeping.hpp"

#include <chrono>
#include <utility>

#include "mdp/sys/clock.hpp"
#include "mdp/sys/thread.hpp"

namespace mdp::engine {
namespace {

constexpr std::chrono::milliseconds kInterval{100};
constexpr int kAnchorEvery = 10;  // rounds

}  // namespace

Housekeeping::Housekeeping(std::function<void()> round)
    : round_(std::move(round)), thread_(sys::start_thread("mdp-house", -1, [this] { run(); })) {}

void Housekeeping::set_round(std::function<void()> round) {
  const std::lock_guard lock(mutex_);
  round_ = std::move(round);
}

void Housekeeping::stop() noexcept {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  stopping_.notify_one();
  if (thread_.joinable()) thread_.join();
}

void Housekeeping::run() noexcept {
  std::unique_lock lock(mutex_);
  for (int number = 1; !stopping_.wait_for(lock, kInterval, [this] { return stop_; }); ++number) {
    if (number % kAnchorEvery == 0) sys::process_clock().anchor();
    round_();
  }
}

}  // namespace mdp::engine
