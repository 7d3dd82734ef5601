// The log sink. The library never prints: it hands lines of `event key=value ...` to whoever set the sink.
// Not for the message path.
#pragma once

#include <string_view>

namespace mdp::core {

enum class LogLevel : int { Debug = 0, Info = 1, Warning = 2, Error = 3 };

using LogSink = void (*)(LogLevel level, std::string_view line);

// Thread-safe; nullptr silences. The sink must be callable from any thread.
void set_log_sink(LogSink sink) noexcept;
void log(LogLevel level, std::string_view line) noexcept;

}  // namespace mdp::core
