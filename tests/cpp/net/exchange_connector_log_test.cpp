// What the connector writes to the log, and how its reads, rounds and waits follow each other.
#include <gtest/gtest.h>

#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "mdp/core/log.hpp"
#include "net/line_recorder.hpp"

namespace mdp::net::test {
namespace {

using std::chrono::milliseconds;

std::mutex g_mutex;
std::vector<std::string> g_lines;

// Collects log lines as long as it lives. One at a time.
class LogCapture {
 public:
  LogCapture() {
    core::set_log_sink([](core::LogLevel, std::string_view line) {
      const std::lock_guard lock(g_mutex);
      g_lines.emplace_back(line);
    });
  }
  ~LogCapture() {
    core::set_log_sink(nullptr);
    const std::lock_guard lock(g_mutex);
    g_lines.clear();
  }
  std::vector<std::string> lines(std::string_view event) const {
    const std::lock_guard lock(g_mutex);
    std::vector<std::string> found;
    for (const auto& line : g_lines) {
      if (line.starts_with(event)) found.push_back(line);
    }
    return found;
  }
};

std::string value_of(const std::string& line, std::string_view key) {
  const std::size_t at = line.find(std::string(" ").append(key).append("="));
  if (at == std::string::npos) return {};
  const std::size_t start = at + key.size() + 2;
  return line.substr(start, line.find(' ', start) - start);
}

TEST(ExchangeConnectorLog, EveryFailureIsALineAndTheWaitsDoubleUpToTheCap) {
  FakeServer server([](Connection& connection) {
    if (!connection.handshake()) return;
    connection.read_request();
    connection.write("HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n");
  });
  const LogCapture log;
  auto options = quick_options(server.ws_url());
  options.line_id = 3;
  options.backoff.initial_ms = milliseconds(1);
  options.backoff.max_ms = milliseconds(8);
  options.backoff.jitter = 0;
  LineRecorder line(options);
  line.start();
  ASSERT_TRUE(eventually([&] { return log.lines("line.down").size() >= 6; }));
  EXPECT_TRUE(line.stop());
  const auto down = log.lines("line.down");
  const char* const waits_ms[] = {"1", "2", "4", "8", "8", "8"};
  for (std::size_t i = 0; i < std::size(waits_ms); ++i) {
    EXPECT_EQ(value_of(down[i], "retry_in_ms"), waits_ms[i]) << down[i];
    EXPECT_EQ(value_of(down[i], "line"), "3") << down[i];
    EXPECT_EQ(value_of(down[i], "reason"), "upgrade_failed") << down[i];
  }
  EXPECT_EQ(log.lines("line.stopped").size(), 1u);
}

TEST(ExchangeConnectorLog, LineThatComesUpAndFallsKeepsBackingOff) {
  FakeServer server([](Connection& connection) {
    if (connection.accept_websocket()) connection.reset();
  });
  const LogCapture log;
  auto options = quick_options(server.ws_url());
  options.backoff.jitter = 0;
  options.backoff.stable_after_ms = std::chrono::hours(1);
  LineRecorder line(options);
  line.start();
  ASSERT_TRUE(eventually([&] { return log.lines("line.down").size() >= 3; }));
  EXPECT_TRUE(line.stop());
  EXPECT_EQ(value_of(log.lines("line.down")[0], "retry_in_ms"), "1");
  EXPECT_EQ(value_of(log.lines("line.down")[1], "retry_in_ms"), "2");
  EXPECT_EQ(value_of(log.lines("line.down")[2], "retry_in_ms"), "4");
}

TEST(ExchangeConnectorLog, TextOfTheVenueCannotForgeAnotherLine) {
  FakeServer server([](Connection& connection) {
    if (!connection.accept_websocket()) return;
    connection.send_frame(8, std::string("\x03\xE9") + "bye\" reason=fine\nline.up line=0");
    connection.read_until_closed();
  });
  const LogCapture log;
  LineRecorder line(quick_options(server.ws_url()));
  line.start();
  ASSERT_TRUE(eventually([&] { return !log.lines("line.down").empty(); }));
  EXPECT_TRUE(line.stop());
  const std::string down = log.lines("line.down")[0];
  EXPECT_EQ(down.find('\n'), std::string::npos);
  EXPECT_EQ(value_of(down, "reason"), "closed_by_venue");
  EXPECT_NE(down.find(R"(bye\" reason=fine line.up line=0)"), std::string::npos) << down;
}

TEST(ExchangeConnectorLog, VerificationSwitchedOffIsAWarning) {
  const LogCapture log;
  auto options = quick_options("wss://localhost:1");
  options.tls.insecure_skip_verify = true;
  LineRecorder line(options);
  EXPECT_EQ(log.lines("tls.verify_off host=localhost:1").size(), 1u);
}

// Counts loop rounds, and notes the round of each frame.
class RoundRecorder : public LineHandler {
 public:
  void on_frame(const core::RawMessage& frame) noexcept override {
    // relaxed: the test reads both after it saw the last count; that load is an acquire.
    if (frames.load(std::memory_order_relaxed) == 0) first_round = round;
    last_round = round;
    connector->release(frame);
    // release: publishes the rounds; pairs with the acquire load in the test.
    frames.fetch_add(1, std::memory_order_release);
  }
  void on_line_state(shm::LineState, LineReason, std::string_view) noexcept override {}
  Requests on_up(core::ConnectionId) override { return std::vector<std::string>{"ready"}; }

  ExchangeConnector* connector = nullptr;
  int round = 0;
  int first_round = -1;
  int last_round = -2;
  std::atomic<int> frames{0};
};

TEST(ExchangeConnectorRounds, OneSocketReadDeliversAllItsFramesInOneRound) {
  FakeServer server([](Connection& connection) {
    if (!connection.accept_websocket()) return;
    connection.read_frame();
    // One TLS record of many frames, longer than Beast's own read buffer.
    std::string record;
    for (int i = 0; i < 100; ++i) record += Connection::encode(1, std::string(150, 'x'));
    connection.write(record);
    connection.read_until_closed();
  });
  RoundRecorder handler;
  IoLoop loop;
  ExchangeConnector connector(loop, quick_options(server.ws_url()), handler);
  handler.connector = &connector;
  loop.set_poll_hook([&] { ++handler.round; });
  connector.connect();
  std::thread thread([&] { loop.run(queue::IdleMode::Park); });
  // acquire: pairs with the release in on_frame().
  EXPECT_TRUE(eventually([&] { return handler.frames.load(std::memory_order_acquire) == 100; }));
  loop.stop();
  thread.join();
  EXPECT_EQ(handler.first_round, handler.last_round);
}

}  // namespace
}  // namespace mdp::net::test
