// The log sink. The library never prints: it hands lines of `event key=value ...` to whoever set the sink.
// Not for the message path.
#pragma once

#include <string_view>

namespace mdp::core {

enum class LogLevel : int { Debug = 0, Info = 1, Warning = 2, Error = 3 };

using LogSink = void (*)(LogLevel level, std::string_view line);

// Thread-safe; nullptr silences. The sink must be callable from any thread, and throws nothing.
void set_log_sink(LogSink sink) noexcept;
// The sink gets the line printable (core/text.hpp), whatever was put into it. A value that came from outside
// is put into it by core::quoted(), so that it cannot pass for another key.
void log(LogLevel level, std::string_view line) noexcept;

}  // namespace mdp::core
