#include "mdp/sys/thread.hpp"

#include <exception>
#include <future>
#include <utility>

namespace mdp::sys {

std::thread start_thread(const std::string& name, int core, std::function<void()> body) {
  std::promise<void> ready;
  std::future<void> pinned = ready.get_future();
  std::thread thread([&name, core, &ready, body = std::move(body)] {
    set_thread_name(name);
    try {
      pin_thread(core);
    } catch (...) {
      ready.set_exception(std::current_exception());
      return;
    }
    ready.set_value();
    body();
  });
  try {
    pinned.get();
  } catch (...) {
    thread.join();
    throw;
  }
  return thread;
}

}  // namespace mdp::sys
