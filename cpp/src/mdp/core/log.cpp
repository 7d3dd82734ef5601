#include "mdp/core/log.hpp"

#include <atomic>
#include <string>

#include "mdp/core/text.hpp"

namespace mdp::core {
namespace {
std::atomic<LogSink> g_sink{nullptr};
}

// release: publishes whatever the sink needs; pairs with the acquire load in log().
void set_log_sink(LogSink sink) noexcept { g_sink.store(sink, std::memory_order_release); }

void log(LogLevel level, std::string_view line) noexcept {
  // acquire: pairs with the release store in set_log_sink().
  const LogSink sink = g_sink.load(std::memory_order_acquire);
  if (sink == nullptr) return;
  if (is_printable(line)) return sink(level, line);
  try {
    sink(level, printable(line, std::string::npos));
  } catch (...) {  // no memory for a copy
    sink(level, "log.lost reason=memory");
  }
}

}  // namespace mdp::core
