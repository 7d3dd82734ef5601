// Housekeeping: the thread mdp-house, for what has to be done by the clock. Nothing of the road waits for it.
#pragma once

#include <condition_variable>
#include <functional>
#include <mutex>
#include <thread>

namespace mdp::engine {

class Housekeeping {
 public:
  // Starts. Ten times a second it does `round`, and once a second it anchors the process's clock anew.
  explicit Housekeeping(std::function<void()> round);
  ~Housekeeping() { stop(); }
  Housekeeping(const Housekeeping&) = delete;
  Housekeeping& operator=(const Housekeeping&) = delete;

  // From now on it does this. Waits for a round that is under way.
  void set_round(std::function<void()> round);
  // Waits for a round that is under way, and there is no other. Idempotent.
  void stop() noexcept;

 private:
  void run() noexcept;

  std::mutex mutex_;
  std::condition_variable stopping_;
  bool stop_ = false;
  std::function<void()> round_;
  std::thread thread_;
};

}  // namespace mdp::engine
