// Naming, pinning and starting of threads.
#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <thread>

namespace mdp::sys {

// Cores this process may run on.
std::size_t available_cores() noexcept;

// Names the calling thread (cut to the 15 characters Linux keeps).
void set_thread_name(const std::string& name) noexcept;

// Pins the calling thread to `core`; negative leaves it alone. Throws ConfigError when the core does not
// exist or is not allowed to this process, naming those that are.
void pin_thread(int core);

// Runs `body` on a new thread with this name, pinned to `core`. Returns when the thread has both; throws what
// pinning threw, and `body` has not run then.
std::thread start_thread(const std::string& name, int core, std::function<void()> body);

}  // namespace mdp::sys
