#include "mdp/engine/log_spdlog.hpp"

#include <spdlog/async.h>
#include <spdlog/sinks/basic_file_sink.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <memory>

#include "mdp/core/error.hpp"

namespace mdp::engine {
namespace {

constexpr std::size_t kQueuedLines = 8192;

spdlog::level::level_enum to_spdlog(core::LogLevel level) noexcept {
  switch (level) {
    case core::LogLevel::Debug:
      return spdlog::level::debug;
    case core::LogLevel::Info:
      return spdlog::level::info;
    case core::LogLevel::Warning:
      return spdlog::level::warn;
    case core::LogLevel::Error:
      return spdlog::level::err;
  }
  return spdlog::level::info;
}

void write_line(core::LogLevel level, std::string_view line) {
  spdlog::default_logger_raw()->log(to_spdlog(level), spdlog::string_view_t(line.data(), line.size()));
}

}  // namespace

void start_logging(core::LogLevel level, const std::string& file) {
  core::set_log_sink(nullptr);
  std::shared_ptr<spdlog::sinks::sink> sink;
  try {
    if (file.empty()) {
      sink = std::make_shared<spdlog::sinks::stderr_sink_mt>();
    } else {
      sink = std::make_shared<spdlog::sinks::basic_file_sink_mt>(file);
    }
  } catch (const spdlog::spdlog_ex& error) {
    throw ConfigError("log file: " + std::string(error.what()));
  }
  if (spdlog::thread_pool() == nullptr) spdlog::init_thread_pool(kQueuedLines, 1);
  auto logger = std::make_shared<spdlog::async_logger>("mdp", std::move(sink), spdlog::thread_pool(),
                                                       spdlog::async_overflow_policy::overrun_oldest);
  logger->set_pattern("%Y-%m-%dT%H:%M:%S.%fZ %l %v", spdlog::pattern_time_type::utc);
  logger->set_level(to_spdlog(level));
  logger->flush_on(spdlog::level::info);
  spdlog::set_default_logger(std::move(logger));
  core::set_log_sink(write_line);
}

void stop_logging() noexcept {
  core::set_log_sink(nullptr);
  spdlog::shutdown();
}

}  // namespace mdp::engine
