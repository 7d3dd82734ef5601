#include "mdp/net/io_loop.hpp"

#include "mdp/net/boost_config.hpp"
//
#include <boost/asio/post.hpp>

#include "mdp/core/error.hpp"
#include "mdp/net/io_loop_impl.hpp"

namespace mdp::net {
namespace {

// Runs what the handlers just run left on the ready list; new entries included, until none is left. Bounded
// by what one socket read can bring: only a completed read starts a chain.
void drain(IoLoop::Impl& loop) {
  // relaxed: stop() need only be seen soon; partner is the store in stop().
  while (!loop.ready.empty() && !loop.stop_requested.load(std::memory_order_relaxed)) loop.ready.run_first();
}

void run_polling(IoLoop::Impl& loop, bool yield) {
  // acquire: pairs with the release store in stop().
  while (!loop.stop_requested.load(std::memory_order_acquire)) {
    const bool worked = loop.io.poll_one() != 0;
    drain(loop);
    if (loop.poll_hook) loop.poll_hook();
    if (worked) continue;
    if (yield) {
      std::this_thread::yield();
    } else {
      queue::cpu_relax();
    }
  }
}

void run_blocking(IoLoop::Impl& loop) {
  // acquire: pairs with the release store in stop().
  while (!loop.stop_requested.load(std::memory_order_acquire)) {
    loop.io.run_one();
    drain(loop);
    if (loop.poll_hook) loop.poll_hook();
  }
}

// Marks the thread as the loop's while it is inside run(), also when an exception leaves it.
class ThreadMark {
 public:
  explicit ThreadMark(std::atomic<std::thread::id>& thread) : thread_(thread) {
    // release: pairs with the acquire loads in in_loop_thread() and running().
    thread_.store(std::this_thread::get_id(), std::memory_order_release);
  }
  ~ThreadMark() {
    // release: who sees the loop not running also sees all it did; same partners.
    thread_.store(std::thread::id(), std::memory_order_release);
  }
  ThreadMark(const ThreadMark&) = delete;
  ThreadMark& operator=(const ThreadMark&) = delete;

 private:
  std::atomic<std::thread::id>& thread_;
};

}  // namespace

IoLoop::IoLoop() : impl_(std::make_unique<Impl>()) {}

IoLoop::~IoLoop() { MDP_ASSERT(!running()); }

void IoLoop::run(queue::IdleMode mode) {
  MDP_ASSERT(!running());
  const ThreadMark mark(impl_->thread);
  drain(*impl_);  // left over when an exception ended an earlier run()
  switch (mode) {
    case queue::IdleMode::Spin:
      return run_polling(*impl_, false);
    case queue::IdleMode::Yield:
      return run_polling(*impl_, true);
    case queue::IdleMode::Park:
    case queue::IdleMode::Auto:
      return run_blocking(*impl_);
  }
}

void IoLoop::stop() noexcept {
  // release: pairs with the acquire loads in run_polling() and run_blocking().
  impl_->stop_requested.store(true, std::memory_order_release);
  impl_->io.stop();  // wakes a thread blocked in epoll
}

void IoLoop::post(std::function<void()> task) { asio::post(impl_->io, std::move(task)); }

void IoLoop::set_poll_hook(std::function<void()> hook) { impl_->poll_hook = std::move(hook); }

bool IoLoop::in_loop_thread() const noexcept {
  // acquire: pairs with the release stores in ThreadMark.
  return impl_->thread.load(std::memory_order_acquire) == std::this_thread::get_id();
}

bool IoLoop::running() const noexcept {
  // acquire: pairs with the release stores in ThreadMark.
  return impl_->thread.load(std::memory_order_acquire) != std::thread::id();
}

}  // namespace mdp::net
