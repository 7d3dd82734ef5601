// StageThread: one stage of the road on a thread of its own. The one loop that such threads run.
//
// A Stage has
//   bool run_once() noexcept;  // one round over what waits for it; false: there was nothing
//   bool has_work() noexcept;  // whether the next round would find something
// Whoever puts something into a queue of the stage wakes it afterwards, through a Wake.
#pragma once

#include <atomic>
#include <functional>
#include <string>
#include <thread>
#include <utility>

#include "mdp/queue/idle_strategy.hpp"
#include "mdp/sys/thread.hpp"

namespace mdp::engine {

// How the producers of a stage wake it: the one idiom of the road for all queues. What it does depends on
// where the stage runs.
class Wake {
 public:
  // Nothing: the stage's thread never sleeps.
  Wake() = default;
  // On a thread of its own that waits by `idle`.
  Wake(queue::IdleMode idle, queue::WakeSignal& signal)
      : signal_(idle == queue::IdleMode::Park ? &signal : nullptr) {}
  // On a thread that serves others too: `serve` makes it run a round. May allocate, so not for the message
  // path.
  explicit Wake(std::function<void()> serve) : serve_(std::move(serve)) {}

  void operator()() const {
    if (signal_ != nullptr) return signal_->notify();
    if (serve_) serve_();
  }

 private:
  queue::WakeSignal* signal_ = nullptr;
  std::function<void()> serve_;
};

class StageThread {
 public:
  // Runs `stage`. It and `signal`, on which the thread sleeps, outlive this. Throws ConfigError: no such
  // core.
  template <class Stage>
  StageThread(const std::string& name, int core, queue::IdleMode idle, queue::WakeSignal& signal,
              Stage& stage)
      : signal_(signal), thread_(sys::start_thread(name, core, [this, idle, &stage] { run(idle, stage); })) {}
  ~StageThread() { stop(); }
  StageThread(const StageThread&) = delete;
  StageThread& operator=(const StageThread&) = delete;

  // Ends the thread once nothing is left of what was put in before. Idempotent.
  void stop() noexcept {
    if (!thread_.joinable()) return;
    // release: what was put in before is seen by the last rounds; pairs with the acquire loads in run().
    stop_.store(true, std::memory_order_release);
    signal_.notify();
    thread_.join();
  }

 private:
  template <class Stage>
  void run(queue::IdleMode mode, Stage& stage) noexcept {
    queue::IdleStrategy idle(mode, signal_);
    for (;;) {
      if (stage.run_once()) {
        idle.reset();
        continue;
      }
      // acquire: pairs with the release store in stop().
      if (stop_.load(std::memory_order_acquire) && !stage.has_work()) return;
      idle.idle([this, &stage] {
        // acquire: as above.
        return stage.has_work() || stop_.load(std::memory_order_acquire);
      });
    }
  }

  queue::WakeSignal& signal_;
  std::atomic<bool> stop_{false};
  std::thread thread_;  // last: it uses the others
};

}  // namespace mdp::engine
