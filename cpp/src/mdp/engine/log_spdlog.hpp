// The log of an mdp process: spdlog, asynchronous, behind core/log.hpp.
#pragma once

#include <string>

#include "mdp/core/log.hpp"

namespace mdp::engine {

// Sends every log line from `level` up to `file` (appended; empty: standard error), through a queue and a
// thread of spdlog's, so that whoever logs never waits for the disk: when the queue is full the oldest line
// is dropped. Control path; may be called again to change level or file. Throws ConfigError when the file
// cannot be opened.
void start_logging(core::LogLevel level, const std::string& file);

// Writes out what is queued and ends the thread.
void stop_logging() noexcept;

}  // namespace mdp::engine
