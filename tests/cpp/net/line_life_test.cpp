// How a line lives: how long it waits and says so, whom it waits for, and when it takes a line for dead.
#include <gtest/gtest.h>

#include <algorithm>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <utility>

#include "mdp/sys/clock.hpp"
#include "net/line_recorder.hpp"

namespace mdp::net::test {
namespace {

using std::chrono::milliseconds;

FakeServer::Script stay() {
  return [](Connection& connection) {
    if (connection.accept_websocket()) connection.read_until_closed();
  };
}

// ---------------------------------------------------------------- waits

struct Told {
  const char* name;
  const char* answer;  // status line and Retry-After
};

class LineIsToldToWait : public testing::TestWithParam<Told> {};

TEST_P(LineIsToldToWait, AndObeysToTheSecondForAllLinesOfTheHost) {
  FakeServer server([](Connection& connection) {
    if (!connection.handshake()) return;
    connection.read_request();
    connection.write(std::string("HTTP/1.1 ") + GetParam().answer + "\r\nContent-Length: 0\r\n\r\n");
  });
  auto options = quick_options(server.ws_url());
  options.limiter = std::make_shared<ConnectLimiter>(ConnectLimits{.max_connects = 300});
  const std::int64_t before_ns = sys::monotonic_ns();
  LineRecorder line(options);
  line.start();
  ASSERT_TRUE(eventually([&] { return line.went_down(LineReason::UpgradeFailed); }));
  const std::string detail = line.find_down(LineReason::UpgradeFailed).detail;
  const std::string_view answer = GetParam().answer;
  EXPECT_NE(detail.find("HTTP " + std::string(answer.substr(0, answer.find('\r')))), std::string::npos)
      << detail;
  EXPECT_TRUE(detail.ends_with("; next attempt in 3600000 ms, as the venue asked")) << detail;
  // Another line of the host gets no place before either.
  const std::int64_t now_ns = sys::monotonic_ns();
  EXPECT_GE(now_ns + options.limiter->take_ns(now_ns), before_ns + 3'600'000'000'000);
  EXPECT_TRUE(line.stop());  // out of a wait of an hour
  EXPECT_EQ(server.accepted(), 1);
}

INSTANTIATE_TEST_SUITE_P(
    Status, LineIsToldToWait,
    testing::Values(Told{"Http429", "429 Too Many Requests\r\nRetry-After: 3600"},
                    Told{"Http418", "418 I'm a teapot\r\nRetry-After: 3600"},
                    Told{"Http503", "503 Service Unavailable\r\nRetry-After: 3600"},
                    Told{"HttpDate",
                         "429 Too Many Requests\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\n"
                         "Retry-After: Sun, 06 Nov 1994 09:49:37 GMT"}),
    [](const auto& param) { return std::string(param.param.name); });

TEST(LineLife, RetryAfterOfASecondIsASecondAndThenTheLineComesUp) {
  std::mutex mutex;
  std::vector<std::int64_t> asked_ns;
  FakeServer server([&](Connection& connection) {
    if (connection.index() > 0) {
      if (connection.accept_websocket()) {
        const std::lock_guard lock(mutex);
        asked_ns.push_back(sys::monotonic_ns());
      }
      connection.read_until_closed();
      return;
    }
    if (!connection.handshake()) return;
    connection.read_request();
    {
      const std::lock_guard lock(mutex);
      asked_ns.push_back(sys::monotonic_ns());
    }
    connection.write("HTTP/1.1 429 Too Many Requests\r\nRetry-After: 1\r\nContent-Length: 0\r\n\r\n");
  });
  LineRecorder line(quick_options(server.ws_url()));
  line.start();
  ASSERT_TRUE(eventually([&] {
    const std::lock_guard lock(mutex);
    return asked_ns.size() == 2;
  }));
  const std::lock_guard lock(mutex);
  EXPECT_GE(asked_ns[1] - asked_ns[0], 1'000'000'000);
}

TEST(LineLife, RetryAfterThatIsNeitherNumberNorDateLeavesTheBackoff) {
  FakeServer server([](Connection& connection) {
    if (!connection.handshake()) return;
    connection.read_request();
    connection.write("HTTP/1.1 503 No\r\nRetry-After: soon\r\nContent-Length: 0\r\n\r\n");
  });
  LineRecorder line(quick_options(server.ws_url()));
  line.start();
  EXPECT_TRUE(eventually([&] { return line.connector->counters().connects.get() >= 4; }));
}

TEST(LineLife, LineWithoutAPlaceSaysThatItWaitsAndForHowLong) {
  FakeServer server(stay());
  auto options = quick_options(server.ws_url());
  options.limiter = std::make_shared<ConnectLimiter>(
      ConnectLimits{.max_connects = 1, .window = std::chrono::hours(1), .min_gap = milliseconds(0)});
  LineRecorder line(options);
  line.start();
  ASSERT_TRUE(eventually([&] { return line.connector->counters().ups.get() == 1; }));
  line.connector->reconnect("for the test");
  const auto limited = [&] {
    for (const auto& state : line.states()) {
      if (state.reason == LineReason::Limited) return state;
    }
    return RecordedState{};
  };
  ASSERT_TRUE(eventually([&] { return limited().reason == LineReason::Limited; }));
  EXPECT_EQ(limited().state, shm::LineState::Connecting);
  const std::string where = "localhost:" + std::to_string(server.port());
  EXPECT_TRUE(limited().detail.starts_with(where + ": waits 3")) << limited().detail;
  EXPECT_TRUE(limited().detail.ends_with(" (at most 1 attempts in 3600 s)")) << limited().detail;
  EXPECT_EQ(line.connector->counters().connects.get(), 1u);
  EXPECT_TRUE(line.stop());
  EXPECT_EQ(server.accepted(), 1);
}

class QuietHandler : public LineHandler {
 public:
  void on_frame(const core::RawMessage& frame) noexcept override { connector->release(frame); }
  void on_line_state(shm::LineState, LineReason, std::string_view) noexcept override {}
  Requests on_up(core::ConnectionId) override { return {}; }
  ExchangeConnector* connector = nullptr;
};

// Fifty lines, all cut in one instant: they come back, and no faster than the limiter lets them.
TEST(LineLife, MassDisconnectIsNoStorm) {
  constexpr std::size_t kLines = 50;
  constexpr std::size_t kInAWindow = 20;
  constexpr std::int64_t kWindowNs = 200'000'000;
  std::mutex mutex;
  std::vector<std::int64_t> accepted_ns;
  std::vector<Connection*> open;
  FakeServer server(
      [&](Connection& connection) {
        {
          const std::lock_guard lock(mutex);
          accepted_ns.push_back(sys::monotonic_ns());
        }
        if (!connection.accept_websocket()) return;
        if (connection.index() < static_cast<int>(kLines)) {
          const std::lock_guard lock(mutex);
          open.push_back(&connection);
        }
        connection.read_until_closed();
      },
      {.tls = false});
  auto options = quick_options(server.ws_url("127.0.0.1"));
  const ConnectLimits limits{
      .max_connects = kInAWindow, .window = std::chrono::nanoseconds(kWindowNs), .min_gap = milliseconds(1)};
  options.limiter = std::make_shared<ConnectLimiter>(limits);
  options.backoff.jitter = 0;  // the worst case: all of them at the same time
  IoLoop loop;
  std::vector<std::unique_ptr<QuietHandler>> handlers;
  std::vector<std::unique_ptr<ExchangeConnector>> lines;
  for (std::size_t i = 0; i < kLines; ++i) {
    handlers.push_back(std::make_unique<QuietHandler>());
    lines.push_back(std::make_unique<ExchangeConnector>(loop, options, *handlers.back()));
    handlers.back()->connector = lines.back().get();
    lines.back()->connect();
  }
  std::thread thread([&] { loop.run(queue::IdleMode::Park); });
  const auto ups = [&] {
    std::uint64_t sum = 0;
    for (const auto& line : lines) sum += line->counters().ups.get();
    return sum;
  };
  EXPECT_TRUE(eventually([&] {
    const std::lock_guard lock(mutex);
    return open.size() == kLines;
  }));
  EXPECT_TRUE(eventually([&] { return ups() == kLines; }));
  {
    const std::lock_guard lock(mutex);
    for (Connection* connection : open) connection->shut_down();
  }
  EXPECT_TRUE(eventually([&] { return ups() == 2 * kLines; }));
  std::uint64_t connects = 0;
  for (const auto& line : lines) connects += line->counters().connects.get();
  EXPECT_EQ(connects, 2 * kLines);
  loop.stop();
  thread.join();
  lines.clear();
  // A hundred attempts at most 20 a window take at least 4 windows: whatever the threads' pace, less time
  // than that between the first and the last of them would be a limit not kept.
  const std::lock_guard lock(mutex);
  const auto [first, last] = std::minmax_element(accepted_ns.begin(), accepted_ns.end());
  EXPECT_GE(*last - *first, kWindowNs * 3);
}

// ---------------------------------------------------------------- answers

TEST(LineLife, RequestWithoutAnAnswerEndsTheLineAndNamesTheId) {
  FakeServer server([](Connection& connection) {
    if (!connection.accept_websocket()) return;
    // Alive in every other way, so that the watch for silence has nothing to say.
    while (const auto frame = connection.read_frame()) {
      if (frame->opcode == 9) connection.send_frame(10, frame->payload);
      if (frame->payload == "second" && connection.index() == 0) continue;
      if (frame->opcode == 1) connection.send_text("answer to " + frame->payload);
    }
  });
  auto options = quick_options(server.ws_url());
  options.ack_timeout = milliseconds(60);
  LineRecorder line(options);
  line.subscriptions = {"first", "second", "third"};
  line.first_request_id = 6;
  line.start();
  ASSERT_TRUE(eventually([&] { return line.frame_count() >= 2; }));
  line.connector->acknowledged(6);
  line.connector->acknowledged(8);
  ASSERT_TRUE(eventually([&] { return line.went_down(LineReason::Unanswered); }));
  const std::string detail = line.find_down(LineReason::Unanswered).detail;
  // On a slow machine the test itself may be late with its answer to 6.
  EXPECT_TRUE(detail.starts_with("no answer to subscribe id 7 within 60 ms; next attempt in ") ||
              detail.starts_with("no answer to subscribe id 6 within 60 ms; next attempt in "))
      << detail;
  EXPECT_TRUE(eventually([&] { return line.connector->counters().ups.get() >= 2; }));
  EXPECT_TRUE(line.stop());
}

// Answers at once, on the loop's thread, as the engine does.
class AnsweringRecorder : public QuietHandler {
 public:
  void on_frame(const core::RawMessage& frame) noexcept override {
    const std::int64_t id = std::stoll(std::string(frame.text()));
    connector->acknowledged(id);
    connector->release(frame);
    ++answers;
  }
  void on_line_state(shm::LineState state, LineReason reason, std::string_view) noexcept override {
    if (state == shm::LineState::Down && reason == LineReason::Unanswered) ++unanswered;
  }
  Requests on_up(core::ConnectionId) override { return {{"1", "2", "3"}, 1}; }
  std::atomic<int> answers{0};
  std::atomic<int> unanswered{0};
};

// Asks for 2 and 3 where 1 has no answer.
class AskingAgainRecorder : public AnsweringRecorder {
 public:
  Requests on_up(core::ConnectionId) override { return {{"1"}, 1}; }
  Requests on_unanswered(std::int64_t request_id) override {
    if (request_id != 1) return {};
    ++asked_again;
    return {{"2", "3"}, 2};
  }
  std::atomic<int> asked_again{0};
};

// A server that answers every request but these.
FakeServer::Script deaf_to(std::set<std::string> requests) {
  return [requests = std::move(requests)](Connection& connection) {
    if (!connection.accept_websocket()) return;
    while (const auto frame = connection.read_frame()) {
      if (frame->opcode == 9) connection.send_frame(10, frame->payload);
      if (frame->opcode == 1 && !requests.contains(frame->payload)) connection.send_text(frame->payload);
    }
  };
}

TEST(LineLife, RequestWithoutAnAnswerMayBeAskedForInAnotherWay) {
  FakeServer server(deaf_to({"1"}));
  auto options = quick_options(server.ws_url());
  options.ack_timeout = milliseconds(500);
  options.idle_timeout_ms = milliseconds(1'000);
  AskingAgainRecorder handler;
  IoLoop loop;
  ExchangeConnector connector(loop, options, handler);
  handler.connector = &connector;
  connector.connect();
  std::thread thread([&] { loop.run(queue::IdleMode::Park); });
  EXPECT_TRUE(eventually([&] { return handler.answers == 2; }));
  // Longer than any answer would be awaited.
  EXPECT_TRUE(eventually([&] { return connector.counters().probes.get() >= 3; }));
  EXPECT_EQ(handler.asked_again, 1);
  EXPECT_EQ(handler.unanswered, 0);
  EXPECT_EQ(connector.counters().ups.get(), 1u);
  loop.stop();
  thread.join();
}

TEST(LineLife, WhatIsAskedInItsPlaceIsAwaitedToo) {
  FakeServer server(deaf_to({"1", "3"}));
  auto options = quick_options(server.ws_url());
  options.ack_timeout = milliseconds(60);
  AskingAgainRecorder handler;
  IoLoop loop;
  ExchangeConnector connector(loop, options, handler);
  handler.connector = &connector;
  connector.connect();
  std::thread thread([&] { loop.run(queue::IdleMode::Park); });
  EXPECT_TRUE(eventually([&] { return handler.unanswered >= 1 && connector.counters().ups.get() >= 2; }));
  EXPECT_GE(handler.asked_again, 1);
  loop.stop();
  thread.join();
}

TEST(LineLife, AnsweredRequestsAndLaterSilenceKeepTheLine) {
  FakeServer server([](Connection& connection) {
    if (!connection.accept_websocket()) return;
    while (const auto frame = connection.read_frame()) {
      if (frame->opcode == 9) connection.send_frame(10, frame->payload);
      if (frame->opcode == 1) connection.send_text(frame->payload == "3" ? "-1" : frame->payload);
    }
  });
  auto options = quick_options(server.ws_url());
  options.ack_timeout = milliseconds(2'000);
  options.idle_timeout_ms = milliseconds(2'000);
  AnsweringRecorder handler;
  IoLoop loop;
  ExchangeConnector connector(loop, options, handler);
  handler.connector = &connector;
  connector.connect();
  std::thread thread([&] { loop.run(queue::IdleMode::Park); });
  EXPECT_TRUE(eventually([&] { return handler.answers == 3; }));
  // Three pings of ours: longer than any answer would be awaited.
  EXPECT_TRUE(eventually([&] { return connector.counters().probes.get() >= 3; }));
  EXPECT_EQ(handler.unanswered, 0);
  EXPECT_EQ(connector.counters().reconnects.get(), 0u);
  loop.stop();
  thread.join();
}

TEST(LineLife, AnswersThatNobodyAwaitsAreIgnored) {
  FakeServer server(stay());
  LineRecorder line(quick_options(server.ws_url()));  // ack_timeout 0
  line.subscriptions = {"first"};
  line.first_request_id = 1;
  line.start();
  ASSERT_TRUE(eventually([&] { return line.connector->counters().messages_sent.get() == 1; }));
  line.connector->acknowledged(-1);
  line.connector->acknowledged(99);
  line.connector->reconnect("for the test");
  EXPECT_TRUE(eventually([&] { return line.connector->counters().ups.get() == 2; }));
  EXPECT_EQ(line.connector->counters().reconnects.get(), 1u);
  EXPECT_TRUE(line.stop());
}

// ---------------------------------------------------------------- signs of life and requests by the hour

// A server that says what it got: its own texts aside, it is silent.
struct ListeningVenue {
  std::mutex mutex;
  std::vector<std::string> got;
  FakeServer server{[this](Connection& connection) {
    if (!connection.accept_websocket()) return;
    while (const auto frame = connection.read_frame()) {
      if (frame->opcode == 9) connection.send_frame(10, frame->payload);
      if (frame->opcode != 1) continue;
      {
        const std::lock_guard lock(mutex);
        got.push_back(frame->payload);
      }
      if (frame->payload == "ping") connection.send_text("pong");
    }
  }};
  long count(const std::string& text) {
    const std::lock_guard lock(mutex);
    return std::count(got.begin(), got.end(), text);
  }
};

TEST(LineLife, TheVenueGetsItsSignOfLifeEverySoOften) {
  ListeningVenue venue;
  auto options = quick_options(venue.server.ws_url());
  options.keep_alive = {.text = "ping", .every = milliseconds(20)};
  LineRecorder line(options);
  line.start();
  ASSERT_TRUE(eventually([&] { return venue.count("ping") >= 3; }));
  EXPECT_TRUE(eventually([&] { return line.frame_count() >= 3; })) << "what it answers is a frame";
  EXPECT_GE(line.connector->counters().keep_alives.get(), 3u);
  EXPECT_EQ(line.connector->counters().reconnects.get(), 0u);
}

TEST(LineLife, ASignOfLifeIsAMessageAndWaitsForItsPlace) {
  ListeningVenue venue;
  auto options = quick_options(venue.server.ws_url());
  options.keep_alive = {.text = "ping", .every = milliseconds(8)};
  options.messages = {2, std::chrono::hours(1)};  // of which one is kept for a pong
  options.idle_timeout_ms = milliseconds(40);
  LineRecorder line(options);
  line.start();
  // Our own pings show that time goes by.
  ASSERT_TRUE(eventually([&] { return line.connector->counters().keep_alives.get() == 2; }));
  ASSERT_TRUE(eventually([&] { return line.connector->counters().probes.get() >= 3; }));
  EXPECT_EQ(venue.count("ping"), 1);
  EXPECT_EQ(line.connector->counters().keep_alives.get(), 2u) << "one waits, and no second one behind it";
}

TEST(LineLife, RequestsByTheHourAreKeptAndANewConnectionHasItsOwn) {
  ListeningVenue venue;
  auto options = quick_options(venue.server.ws_url());
  options.requests = {2, std::chrono::hours(1)};
  options.keep_alive = {.text = "ping", .every = milliseconds(20)};
  LineRecorder line(options);
  line.subscriptions = {"1", "2", "3"};
  line.start();
  ASSERT_TRUE(eventually([&] { return venue.count("2") == 1; }));
  // Signs of life are no requests: they go out while the third request waits.
  ASSERT_TRUE(eventually([&] { return venue.count("ping") >= 3; }));
  EXPECT_EQ(venue.count("3"), 0);
  line.connector->reconnect("for the test");
  ASSERT_TRUE(eventually([&] { return venue.count("2") == 2; }));
  ASSERT_TRUE(eventually([&] { return venue.count("ping") >= 6; }));
  EXPECT_EQ(venue.count("3"), 0);
}

TEST(LineLife, AStopDuringALongRequestSendsNothingButIt) {
  const std::string request(8 * 1024 * 1024, 'x');  // more than the socket takes at once
  std::atomic<bool> is_read{false};
  std::atomic<std::size_t> clean{0};
  std::atomic<std::size_t> other{0};
  FakeServer server([&](Connection& connection) {
    if (!connection.accept_websocket()) return;
    eventually([&] { return is_read.load(); });
    while (const auto frame = connection.read_frame()) {
      if (frame->opcode == 8) return;
      const auto count =
          static_cast<std::size_t>(std::count(frame->payload.begin(), frame->payload.end(), 'x'));
      clean += count;
      other += frame->payload.size() - count;
    }
  });
  auto options = quick_options(server.ws_url());
  options.close_timeout = std::chrono::seconds(20);
  LineRecorder line(options);
  line.subscriptions = {request};
  line.start();
  ASSERT_TRUE(eventually([&] { return line.connector->counters().ups.get() == 1; }));
  line.connector->disconnect();
  std::atomic<bool> has_begun{false};
  line.loop.post([&] { has_begun = true; });
  ASSERT_TRUE(eventually([&] { return has_begun.load(); }));
  is_read = true;
  EXPECT_TRUE(eventually([&] { return line.connector->stopped(); }));
  EXPECT_GT(clean, 0u);
  EXPECT_EQ(other, 0u);
}

// ---------------------------------------------------------------- silence

TEST(LineLife, PingsAloneKeepALineForManyIdleTimeouts) {
  std::atomic<bool> done{false};
  FakeServer server([&](Connection& connection) {
    if (!connection.accept_websocket()) return;
    // Never reads: no answer to a ping of ours either.
    for (int i = 0; i < 100; ++i) {
      std::this_thread::sleep_for(milliseconds(25));  // the venue's pace, which is what is tested
      if (!connection.send_frame(9, std::to_string(i))) return;
    }
    done = true;
    connection.read_until_closed();
  });
  auto options = quick_options(server.ws_url());
  options.idle_timeout_ms = milliseconds(600);
  LineRecorder line(options);
  line.start();
  ASSERT_TRUE(eventually([&] { return done.load() || line.connector->counters().reconnects.get() != 0; }));
  EXPECT_EQ(line.connector->counters().reconnects.get(), 0u);
  EXPECT_EQ(line.frame_count(), 0u);
}

TEST(LineLife, DataAloneKeepsALineThatAnswersNoPing) {
  std::atomic<bool> done{false};
  FakeServer server([&](Connection& connection) {
    if (!connection.accept_websocket()) return;
    for (int i = 0; i < 100; ++i) {
      std::this_thread::sleep_for(milliseconds(25));  // the venue's pace, which is what is tested
      if (!connection.send_text(std::to_string(i))) return;
    }
    done = true;
    connection.read_until_closed();
  });
  auto options = quick_options(server.ws_url());
  options.idle_timeout_ms = milliseconds(600);
  LineRecorder line(options);
  line.start();
  ASSERT_TRUE(eventually([&] { return done.load() || line.connector->counters().reconnects.get() != 0; }));
  EXPECT_EQ(line.connector->counters().reconnects.get(), 0u);
}

TEST(LineLife, PeerThatVanishedWithoutAFinIsGivenUpWithItsReason) {
  std::atomic<bool> over{false};
  FakeServer server([&](Connection& connection) {
    if (!connection.accept_websocket()) return;
    if (connection.index() > 0) return connection.read_until_closed();
    // Neither reads nor writes nor closes: what a machine that lost power looks like from here.
    eventually([&] { return over.load(); });
  });
  auto options = quick_options(server.ws_url());
  options.idle_timeout_ms = milliseconds(80);
  LineRecorder line(options);
  line.start();
  ASSERT_TRUE(eventually([&] { return line.went_down(LineReason::Idle); }));
  const std::string detail = line.find_down(LineReason::Idle).detail;
  EXPECT_TRUE(detail.starts_with("no byte for 80 ms, and no answer to our ping; next attempt in ")) << detail;
  EXPECT_GE(line.connector->counters().probes.get(), 1u);
  over = true;
  EXPECT_TRUE(eventually([&] { return line.connector->counters().ups.get() >= 2; }));
}

// ---------------------------------------------------------------- bounds

TEST(LineLife, EndlessUpgradeHeaderIsCutOff) {
  FakeServer server([](Connection& connection) {
    if (!connection.handshake()) return;
    connection.read_request();
    connection.write("HTTP/1.1 101 Switching Protocols\r\n");
    while (connection.write("X-Filler: " + std::string(1'000, 'x') + "\r\n")) {
    }
  });
  auto options = quick_options(server.ws_url());
  options.ws_upgrade_timeout = std::chrono::hours(1);  // it is the length that ends it
  LineRecorder line(options);
  line.start();
  ASSERT_TRUE(eventually([&] { return line.went_down(LineReason::UpgradeFailed); }));
  const std::string detail = line.find_down(LineReason::UpgradeFailed).detail;
  EXPECT_NE(detail.find("header limit exceeded"), std::string::npos) << detail;
}

}  // namespace
}  // namespace mdp::net::test
