// IoLoop: the event loop of a connector thread (or of the REST thread), with Asio hidden behind it.
//
// The engine makes one per I/O thread, hands it to the connectors (one in the pipelined topology, all of them
// in the fused one) or the REST client that live on it, and calls run() on that thread. Everything those
// objects do happens inside run(). Destroy them before the loop.
#pragma once

#include <functional>
#include <memory>

#include "mdp/queue/idle_strategy.hpp"

namespace mdp::net {

class IoLoop {
 public:
  struct Impl;  // io_loop_impl.hpp, private to net: the only place that knows Asio

  IoLoop();
  ~IoLoop();
  IoLoop(const IoLoop&) = delete;
  IoLoop& operator=(const IoLoop&) = delete;

  // Runs handlers on the calling thread until stop(), also while there is nothing to do. Spin and Yield poll
  // the kernel and never block; Park (and Auto, which the engine resolves before) blocks in epoll. At most
  // one thread at a time. An exception out of a posted task or of the hook leaves run(): both are the
  // caller's own code.
  void run(queue::IdleMode mode);

  // Any thread, also before run(). Final: run() returns after the handler it is in, and returns at once ever
  // after.
  void stop() noexcept;

  // Any thread: runs `task` on the loop thread. Takes a lock and allocates: control plane only. Tasks not yet
  // run when the loop is destroyed are destroyed unrun.
  void post(std::function<void()> task);

  // Called after every round of the loop (every poll when spinning, every batch of events when parked): in
  // the fused topology, whatever else the thread serves. Set before run(); empty to remove.
  void set_poll_hook(std::function<void()> hook);

  // True on the thread that is inside run().
  bool in_loop_thread() const noexcept;
  // True while a thread is inside run(). Any thread.
  bool running() const noexcept;

  Impl& impl() noexcept { return *impl_; }

 private:
  std::unique_ptr<Impl> impl_;
};

}  // namespace mdp::net
