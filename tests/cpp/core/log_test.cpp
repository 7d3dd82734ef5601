#include "mdp/core/log.hpp"

#include <gtest/gtest.h>

#include <string>

namespace mdp::core {
namespace {

std::string g_line;

TEST(Log, TheSinkGetsAPrintableLineWhateverWasPutIntoIt) {
  set_log_sink([](LogLevel, std::string_view line) { g_line = line; });
  const std::string whole = "event text=" + std::string(2'000, 'x');
  log(LogLevel::Info, whole);
  EXPECT_EQ(g_line, whole) << "a line is not cut";
  log(LogLevel::Info, "event text=Malm\xF6\nforged level=error \x1B[2J");
  EXPECT_EQ(g_line, "event text=Malm\xEF\xBF\xBD forged level=error  [2J");
  set_log_sink(nullptr);
  g_line.clear();
  log(LogLevel::Info, "nobody listens");
  EXPECT_EQ(g_line, "");
}

}  // namespace
}  // namespace mdp::core
