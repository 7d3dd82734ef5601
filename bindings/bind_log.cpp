#include <nanobind/nanobind.h>

#include "bindings.hpp"
#include "mdp/engine/log_spdlog.hpp"
#include "text.hpp"

namespace nb = nanobind;
using namespace nb::literals;

namespace mdp::bindings {

void bind_log(nb::module_& module) {
  nb::enum_<core::LogLevel>(module, "LogLevel", "How much a log line matters.")
      .value("DEBUG", core::LogLevel::Debug)
      .value("INFO", core::LogLevel::Info)
      .value("WARNING", core::LogLevel::Warning)
      .value("ERROR", core::LogLevel::Error);
  module.def("start_logging", &engine::start_logging, "level"_a, "file"_a = "",
             "Send log lines from `level` up to `file` (appended), or to standard error when it is empty.\n\n"
             "Raises\n------\nConfigError\n    The file cannot be opened.");
  module.def("stop_logging", &engine::stop_logging, nb::call_guard<nb::gil_scoped_release>(),
             "Write out what is queued and end the log's thread.");
  module.def("log", &core::log, "level"_a, "line"_a, "Log one line: an event's name, then key=value fields.");
}

}  // namespace mdp::bindings
