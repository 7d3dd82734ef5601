#include <pthread.h>
#include <sched.h>

#include <thread>

#include "mdp/core/error.hpp"
#include "mdp/sys/thread.hpp"

namespace mdp::sys {
namespace {

std::string allowed_cores(const cpu_set_t& set) {
  std::string text;
  for (int core = 0; core < CPU_SETSIZE; ++core) {
    if (CPU_ISSET(static_cast<unsigned>(core), &set))
      text += (text.empty() ? "" : ",") + std::to_string(core);
  }
  return text;
}

}  // namespace

std::size_t available_cores() noexcept {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (sched_getaffinity(0, sizeof(set), &set) == 0) return static_cast<std::size_t>(CPU_COUNT(&set));
  const unsigned count = std::thread::hardware_concurrency();
  return count == 0 ? 1 : count;
}

void set_thread_name(const std::string& name) noexcept {
  pthread_setname_np(pthread_self(), name.substr(0, 15).c_str());
}

void pin_thread(int core) {
  if (core < 0) return;
  cpu_set_t allowed;
  CPU_ZERO(&allowed);
  sched_getaffinity(0, sizeof(allowed), &allowed);
  cpu_set_t wanted;
  CPU_ZERO(&wanted);
  if (core < CPU_SETSIZE) CPU_SET(static_cast<unsigned>(core), &wanted);
  if (core >= CPU_SETSIZE || pthread_setaffinity_np(pthread_self(), sizeof(wanted), &wanted) != 0) {
    throw ConfigError("cannot pin a thread to core " + std::to_string(core) +
                      ": this process may use cores " + allowed_cores(allowed) +
                      "; name one of those, or -1 for no pinning");
  }
}

}  // namespace mdp::sys
