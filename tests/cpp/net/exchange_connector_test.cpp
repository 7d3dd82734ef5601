#include "mdp/net/exchange_connector.hpp"

#include <gtest/gtest.h>

#include <filesystem>
#include <map>
#include <random>
#include <set>

#include "mdp/core/error.hpp"
#include "net/line_recorder.hpp"

namespace mdp::net::test {
namespace {

using std::chrono::milliseconds;

std::string bytes_of(std::size_t size, std::uint64_t seed, bool text) {
  std::mt19937_64 random(seed);
  std::string bytes(size, '\0');
  for (char& c : bytes) c = static_cast<char>(text ? ' ' + random() % 95 : random() % 256);
  return bytes;
}

class ConnectorInMode : public testing::TestWithParam<queue::IdleMode> {};

TEST_P(ConnectorInMode, FramesOfEverySizeArriveIntactAndPadded) {
  const std::size_t sizes[] = {0,      1,      125,    126,    127,       1'535,     1'536, 1'537,  16'383,
                               16'384, 16'385, 65'535, 65'536, 1'000'000, 5'000'000, 100,   16'384, 2};
  std::vector<std::string> sent;
  for (std::size_t i = 0; i < std::size(sizes); ++i) sent.push_back(bytes_of(sizes[i], i, i % 2 == 0));
  FakeServer server([&](Connection& connection) {
    if (!connection.accept_websocket()) return;
    for (std::size_t i = 0; i < sent.size(); ++i) connection.send_frame(i % 2 == 0 ? 1 : 2, sent[i]);
    connection.read_until_closed();
  });
  auto options = quick_options(server.ws_url());
  options.line_id = 5;
  LineRecorder line(options);
  line.start(GetParam());
  ASSERT_TRUE(eventually([&] { return line.frame_count() == sent.size(); }));
  const auto frames = line.frames();
  for (std::size_t i = 0; i < sent.size(); ++i) {
    EXPECT_TRUE(frames[i].payload == sent[i]) << "frame " << i << " of " << sent[i].size() << " bytes";
    EXPECT_EQ(frames[i].binary, i % 2 == 1);
    EXPECT_TRUE(frames[i].padding_zero);
    EXPECT_EQ(frames[i].line_id, 5);
    EXPECT_GT(frames[i].recv_ts_ns, 1'600'000'000'000'000'000);
    EXPECT_GE(frames[i].recv_ts_ns, frames[i == 0 ? 0 : i - 1].recv_ts_ns);
  }
  EXPECT_EQ(line.connector->counters().frames.get(), sent.size());
  EXPECT_GE(line.connector->counters().grown_frames.get(), 1u);
  EXPECT_TRUE(line.stop());
}

TEST_P(ConnectorInMode, BurstArrivesInOrder) {
  constexpr std::size_t kFrames = 20'000;
  FakeServer server([&](Connection& connection) {
    if (!connection.accept_websocket()) return;
    std::string burst;
    for (std::size_t i = 0; i < kFrames; ++i) burst += Connection::encode(1, "frame " + std::to_string(i));
    connection.write(burst);
    connection.read_until_closed();
  });
  LineRecorder line(quick_options(server.ws_url()));
  line.start(GetParam());
  ASSERT_TRUE(eventually([&] { return line.frame_count() == kFrames; }));
  const auto frames = line.frames();
  for (std::size_t i = 0; i < kFrames; ++i) ASSERT_EQ(frames[i].payload, "frame " + std::to_string(i));
  // One read brings about a thousand of these.
  EXPECT_LT(line.connector->counters().reads.get(), kFrames / 10);
  EXPECT_TRUE(line.stop());
}

INSTANTIATE_TEST_SUITE_P(Modes, ConnectorInMode,
                         testing::Values(queue::IdleMode::Park, queue::IdleMode::Yield,
                                         queue::IdleMode::Spin),
                         [](const auto& param) { return std::string(queue::to_string(param.param)); });

TEST(ExchangeConnector, PlainWebSocketOnLoopbackWorks) {
  FakeServer server(
      [](Connection& connection) {
        if (!connection.accept_websocket()) return;
        connection.send_text("plain");
        connection.read_until_closed();
      },
      {.tls = false});
  LineRecorder line(quick_options(server.ws_url()));
  line.start();
  EXPECT_TRUE(eventually([&] { return line.frame_count() == 1; }));
  EXPECT_TRUE(line.stop());
}

TEST(ExchangeConnector, FragmentedMessageArrivesWholeAroundPings) {
  FakeServer server([](Connection& connection) {
    if (!connection.accept_websocket()) return;
    connection.send_frame(1, "one ", false);
    connection.send_frame(9, "between");
    connection.send_frame(0, "", false);
    connection.send_frame(0, "two ", false);
    connection.send_frame(0, "three", true);
    connection.send_text("next");
    connection.read_until_closed();
  });
  LineRecorder line(quick_options(server.ws_url()));
  line.start();
  ASSERT_TRUE(eventually([&] { return line.frame_count() == 2; }));
  EXPECT_EQ(line.frames()[0].payload, "one two three");
  EXPECT_EQ(line.frames()[1].payload, "next");
  EXPECT_EQ(line.connector->counters().pings.get(), 1u);
}

TEST(ExchangeConnector, FramesOfOneReadCarryTheTimeOfThatRead) {
  FakeServer server([](Connection& connection) {
    if (!connection.accept_websocket()) return;
    // One TLS record: it can be decrypted only when its last byte is there.
    std::string record;
    for (int i = 0; i < 50; ++i) record += Connection::encode(1, "frame");
    connection.write(record);
    connection.read_until_closed();
  });
  LineRecorder line(quick_options(server.ws_url()));
  line.start();
  ASSERT_TRUE(eventually([&] { return line.frame_count() == 50; }));
  std::set<std::int64_t> times;
  for (const auto& frame : line.frames()) times.insert(frame.recv_ts_ns);
  EXPECT_EQ(times.size(), 1u);
  EXPECT_EQ(line.connector->last_traffic_ns(), *times.begin());
}

// The two lines are what a renewal is: one connector's connection beside the other's, over one parser.
TEST(ExchangeConnector, EveryConnectionHasAnIdOfItsOwn) {
  FakeServer server([](Connection& connection) {
    if (!connection.accept_websocket()) return;
    for (int i = 0; i < 3; ++i) connection.send_text("frame");
    if (connection.index() < 4) return connection.cut();
    connection.read_until_closed();
  });
  LineRecorder renewed(quick_options(server.ws_url()));
  LineRecorder renewing(quick_options(server.ws_url()));
  renewed.start();
  renewing.start();
  ASSERT_TRUE(eventually([&] { return renewed.frame_count() + renewing.frame_count() == 6 * 3; }));
  std::map<core::ConnectionId, std::size_t> frames;
  for (const LineRecorder* line : {&renewed, &renewing}) {
    core::ConnectionId last = core::kNoConnection;
    for (const auto& frame : line->frames()) {
      EXPECT_GE(frame.connection_id, last);
      last = frame.connection_id;
      ++frames[last];
    }
  }
  EXPECT_EQ(frames.size(), 6u);
  for (const auto& [id, count] : frames) EXPECT_EQ(count, 3u) << "connection " << id;
  EXPECT_EQ(frames.count(core::kNoConnection), 0u);
}

TEST(ExchangeConnector, PingIsAnsweredWithItsPayload) {
  std::mutex mutex;
  std::vector<std::string> pongs;
  FakeServer server([&](Connection& connection) {
    if (!connection.accept_websocket()) return;
    for (const char* payload : {"1770123456789", "", "x"}) {
      connection.send_frame(9, payload);
      const auto frame = connection.read_frame();
      if (!frame || frame->opcode != 10) return;
      const std::lock_guard lock(mutex);
      pongs.push_back(frame->payload);
    }
    connection.read_until_closed();
  });
  LineRecorder line(quick_options(server.ws_url()));
  line.start();
  EXPECT_TRUE(eventually([&] {
    const std::lock_guard lock(mutex);
    return pongs.size() == 3;
  }));
  EXPECT_EQ(pongs, (std::vector<std::string>{"1770123456789", "", "x"}));
  EXPECT_EQ(line.connector->counters().pings.get(), 3u);
  EXPECT_TRUE(line.stop());
}

TEST(ExchangeConnector, UpgradeRequestNamesHostAndPath) {
  std::mutex mutex;
  std::string request;
  FakeServer server([&](Connection& connection) {
    const bool up = connection.accept_websocket();
    {
      const std::lock_guard lock(mutex);
      request = connection.request;
    }
    if (up) connection.read_until_closed();
  });
  auto options = quick_options(server.ws_url());
  options.ws_path = "/stream?streams=btcusdt@trade";
  LineRecorder line(options);
  line.start();
  ASSERT_TRUE(eventually([&] { return line.connector->counters().ups.get() == 1; }));
  ASSERT_TRUE(eventually([&] {
    const std::lock_guard lock(mutex);
    return !request.empty();
  }));
  const std::lock_guard lock(mutex);
  EXPECT_TRUE(request.starts_with("GET /stream?streams=btcusdt@trade HTTP/1.1\r\n")) << request;
  EXPECT_NE(request.find("Host: localhost:" + std::to_string(server.port()) + "\r\n"), std::string::npos)
      << request;
  EXPECT_EQ(request.find("permessage-deflate"), std::string::npos);
}

// ---------------------------------------------------------------- losing the line

struct Loss {
  const char* name;
  LineReason reason;
  const char* detail;
  void (*lose)(Connection&);
};

class ConnectorLoses : public testing::TestWithParam<Loss> {};

TEST_P(ConnectorLoses, LineAndReconnectsAndSubscribesAgain) {
  std::atomic<int> subscribed{0};
  FakeServer server([&](Connection& connection) {
    if (!connection.accept_websocket()) return;
    const auto frame = connection.read_frame();
    if (frame && frame->payload == "subscribe") ++subscribed;
    connection.send_text("hello " + std::to_string(connection.index()));
    if (connection.index() < 3) {
      GetParam().lose(connection);
    } else {
      connection.read_until_closed();
    }
  });
  LineRecorder line(quick_options(server.ws_url()));
  line.subscriptions = {"subscribe"};
  line.start();
  ASSERT_TRUE(eventually([&] { return line.connector->counters().ups.get() == 4 && subscribed == 4; }));
  EXPECT_EQ(line.connector->counters().reconnects.get(), 3u);
  const auto states = line.states();
  // Connecting, Up, Down, Connecting, Up, Down, ...
  for (std::size_t i = 0; i < 11; ++i) {
    const auto expected = i % 3 == 0   ? shm::LineState::Connecting
                          : i % 3 == 1 ? shm::LineState::Up
                                       : shm::LineState::Down;
    ASSERT_EQ(states.at(i).state, expected) << i;
    if (i % 3 == 2) {
      EXPECT_EQ(to_string(states[i].reason), to_string(GetParam().reason)) << states[i].detail;
      EXPECT_NE(states[i].detail.find(GetParam().detail), std::string::npos) << states[i].detail;
    }
  }
  EXPECT_EQ(states[0].reason, LineReason::Starting);
  EXPECT_EQ(states[3].reason, LineReason::Retrying);
  EXPECT_TRUE(line.stop());
}

INSTANTIATE_TEST_SUITE_P(
    Ways, ConnectorLoses,
    testing::Values(Loss{"Reset", LineReason::ConnectionLost, "reset", [](Connection& c) { c.reset(); }},
                    Loss{"TruncatedTls", LineReason::ConnectionLost, "", [](Connection& c) { c.cut(); }},
                    Loss{"CutInsideFrame", LineReason::ConnectionLost, "",
                         [](Connection& c) {
                           c.write(std::string("\x81\x7E\x01\x00 only the start", 19));
                           c.cut();
                         }},
                    Loss{"CloseFrame", LineReason::ClosedByVenue, "1001 'going away'",
                         [](Connection& c) {
                           c.send_frame(8, std::string("\x03\xE9going away"));
                           c.read_until_closed();
                         }},
                    Loss{"CloseFrameUnanswered", LineReason::ClosedByVenue, "1008",
                         [](Connection& c) { c.send_frame(8, std::string("\x03\xF0")); }},
                    Loss{"ReservedOpcode", LineReason::ProtocolError, "",
                         [](Connection& c) {
                           c.write("\x83\x01x");
                           c.read_until_closed();
                         }},
                    Loss{"BadUtf8", LineReason::ProtocolError, "",
                         [](Connection& c) {
                           c.send_text("\xC3\x28");
                           c.read_until_closed();
                         }}),
    [](const auto& param) { return std::string(param.param.name); });

TEST(ExchangeConnector, HalfOpenLineIsProbedAndGivenUp) {
  FakeServer server([](Connection& connection) {
    if (!connection.accept_websocket()) return;
    if (connection.index() > 0) return connection.read_until_closed();
    // Reads, but never answers: as good as a cable that was pulled.
    while (connection.read_frame()) {
    }
  });
  auto options = quick_options(server.ws_url());
  options.idle_timeout_ms = milliseconds(80);
  LineRecorder line(options);
  line.start();
  ASSERT_TRUE(eventually([&] { return line.went_down(LineReason::Idle); }));
  EXPECT_GE(line.connector->counters().probes.get(), 1u);
  EXPECT_TRUE(eventually([&] { return line.connector->counters().ups.get() >= 2; }));
}

TEST(ExchangeConnector, QuietLineThatAnswersProbesStaysUp) {
  FakeServer server([](Connection& connection) {
    if (connection.accept_websocket()) connection.read_until_closed();
  });
  auto options = quick_options(server.ws_url());
  options.idle_timeout_ms = milliseconds(1'000);
  LineRecorder line(options);
  line.start();
  ASSERT_TRUE(eventually([&] { return line.connector->counters().probes.get() >= 3; }));
  EXPECT_EQ(line.connector->counters().ups.get(), 1u);
  EXPECT_EQ(line.connector->counters().reconnects.get(), 0u);
}

TEST(ExchangeConnector, ReconnectOnRequestIsImmediate) {
  FakeServer server([](Connection& connection) {
    if (connection.accept_websocket()) connection.read_until_closed();
  });
  auto options = quick_options(server.ws_url());
  options.backoff.initial_ms = options.backoff.max_ms = std::chrono::hours(1);  // a wait would never end
  LineRecorder line(options);
  line.start();
  ASSERT_TRUE(eventually([&] { return line.connector->counters().ups.get() == 1; }));
  line.connector->reconnect("venue announced its shutdown");
  ASSERT_TRUE(eventually([&] { return line.connector->counters().ups.get() == 2; }));
  EXPECT_EQ(line.find_down(LineReason::Requested).detail,
            "venue announced its shutdown; next attempt in 0 ms");
  EXPECT_TRUE(line.stop());
}

// ---------------------------------------------------------------- buffers

TEST(ExchangeConnector, EmptyPoolMakesTheLineWaitAndLosesNothing) {
  constexpr std::size_t kFrames = 500;
  FakeServer server([&](Connection& connection) {
    if (!connection.accept_websocket()) return;
    for (std::size_t i = 0; i < kFrames; ++i) connection.send_text(std::to_string(i));
    connection.read_until_closed();
  });
  auto options = quick_options(server.ws_url());
  options.pool.frame_count = 4;
  options.pool.release_from = ReleaseFrom::OtherThread;
  options.idle_timeout_ms = milliseconds(40);  // our own waiting must not look like a dead line
  LineRecorder line(options);
  line.start();
  ASSERT_TRUE(eventually([&] { return line.connector->counters().pool_waits.get() == 1; }));
  EXPECT_EQ(line.frame_count(), 4u);
  ASSERT_TRUE(eventually([&] {
    for (const auto& frame : line.take_held()) line.connector->release(frame);
    return line.frame_count() == kFrames;
  }));
  const auto frames = line.frames();
  for (std::size_t i = 0; i < kFrames; ++i) ASSERT_EQ(frames[i].payload, std::to_string(i));
  EXPECT_EQ(line.connector->counters().ups.get(), 1u);
  EXPECT_TRUE(line.stop());
}

TEST(ExchangeConnector, FrameOfTheMaximumPassesAndOneByteMoreDropsTheLine) {
  FakeServer server([](Connection& connection) {
    if (!connection.accept_websocket()) return;
    if (connection.index() == 0) {
      connection.send_text(std::string(1'000, 'x'));
      connection.send_text(std::string(1'001, 'y'));
    }
    connection.read_until_closed();
  });
  auto options = quick_options(server.ws_url());
  options.pool.frame_bytes = 100;
  options.pool.max_frame_bytes = 1'000;
  LineRecorder line(options);
  line.start();
  ASSERT_TRUE(eventually([&] { return line.connector->counters().ups.get() == 2; }));
  ASSERT_EQ(line.frame_count(), 1u);
  EXPECT_EQ(line.frames()[0].payload, std::string(1'000, 'x'));
  const std::string detail = line.find_down(LineReason::FrameTooLarge).detail;
  EXPECT_NE(detail.find("max_frame_bytes, which is 1000"), std::string::npos) << detail;
}

TEST(ExchangeConnector, FragmentsTogetherBeyondTheMaximumDropTheLine) {
  FakeServer server([](Connection& connection) {
    if (!connection.accept_websocket()) return;
    if (connection.index() == 0) {
      connection.send_frame(1, std::string(600, 'x'), false);
      connection.send_frame(0, std::string(600, 'x'), true);
    }
    connection.read_until_closed();
  });
  auto options = quick_options(server.ws_url());
  options.pool.frame_bytes = options.pool.max_frame_bytes = 1'000;
  LineRecorder line(options);
  line.start();
  ASSERT_TRUE(eventually([&] { return line.connector->counters().ups.get() == 2; }));
  EXPECT_TRUE(line.went_down(LineReason::FrameTooLarge));
  EXPECT_EQ(line.frame_count(), 0u);
}

// ---------------------------------------------------------------- sending and ending

TEST(ExchangeConnector, SubscriptionsAreSentInOrderUnderALimit) {
  std::mutex mutex;
  std::vector<std::string> got;
  FakeServer server([&](Connection& connection) {
    if (!connection.accept_websocket()) return;
    while (const auto frame = connection.read_frame()) {
      const std::lock_guard lock(mutex);
      got.push_back(frame->payload);
    }
  });
  auto options = quick_options(server.ws_url());
  options.messages = {40, std::chrono::seconds(1)};  // how far apart is send_pacer_test's business
  LineRecorder line(options);
  std::vector<std::string> expected;
  for (int i = 0; i < 60; ++i) expected.push_back("subscribe " + std::to_string(i));
  line.subscriptions.assign(expected.begin(), expected.begin() + 50);
  line.start();
  ASSERT_TRUE(eventually([&] { return line.connector->counters().ups.get() == 1; }));
  line.connector->subscribe(std::vector<std::string>(expected.begin() + 50, expected.end()));
  ASSERT_TRUE(eventually([&] {
    const std::lock_guard lock(mutex);
    return got.size() == expected.size();
  }));
  EXPECT_EQ(got, expected);
  EXPECT_TRUE(eventually([&] { return line.connector->counters().messages_sent.get() == expected.size(); }));
}

std::size_t open_descriptors() {
  const std::filesystem::directory_iterator entries("/proc/self/fd");
  return static_cast<std::size_t>(std::distance(begin(entries), end(entries)));
}

std::size_t threads() {
  const std::filesystem::directory_iterator entries("/proc/self/task");
  return static_cast<std::size_t>(std::distance(begin(entries), end(entries)));
}

TEST(ExchangeConnector, DisconnectSaysGoodbyeAndLeavesNothingBehind) {
  std::mutex mutex;
  std::string close_payload;
  const auto round = [&] {
    FakeServer server([&](Connection& connection) {
      if (!connection.accept_websocket()) return;
      connection.send_text("hello");
      const auto frame = connection.read_frame();
      if (!frame || frame->opcode != 8) return;
      {
        const std::lock_guard lock(mutex);
        close_payload = frame->payload;
      }
      connection.send_frame(8, frame->payload);
    });
    LineRecorder line(quick_options(server.ws_url()));
    line.start();
    EXPECT_TRUE(eventually([&] { return line.frame_count() == 1; }));
    EXPECT_TRUE(line.stop());
    EXPECT_EQ(line.states().back().state, shm::LineState::Down);
    EXPECT_EQ(line.states().back().reason, LineReason::Stopped);
  };
  round();  // what the libraries set up once and keep
  const std::size_t descriptors_before = open_descriptors();
  const std::size_t threads_before = threads();
  round();
  EXPECT_EQ(close_payload, std::string("\x03\xE8"));
  EXPECT_EQ(open_descriptors(), descriptors_before);
  EXPECT_TRUE(eventually([&] { return threads() == threads_before; }));
}

TEST(ExchangeConnector, DisconnectDoesNotWaitForADeafServer) {
  std::atomic<bool> done{false};
  FakeServer server([&](Connection& connection) {
    if (!connection.accept_websocket()) return;
    eventually([&] { return done.load(); });
  });
  auto options = quick_options(server.ws_url());
  options.close_timeout = milliseconds(20);
  LineRecorder line(options);
  line.start();
  ASSERT_TRUE(eventually([&] { return line.connector->counters().ups.get() == 1; }));
  EXPECT_TRUE(line.stop());
  done = true;
}

TEST(ExchangeConnector, DisconnectWorksWhileConnectingAndWhileWaiting) {
  FakeServer silent([](Connection& connection) { connection.read_request(); }, {.tls = false});
  LineRecorder connecting(quick_options("wss://localhost:" + std::to_string(silent.port())));
  connecting.start();
  ASSERT_TRUE(eventually([&] { return silent.accepted() == 1; }));
  EXPECT_TRUE(connecting.stop());

  FakeServer refusing([](Connection& connection) {
    if (!connection.handshake()) return;
    connection.read_request();
    connection.reset();
  });
  auto options = quick_options(refusing.ws_url());
  options.backoff.initial_ms = options.backoff.max_ms = std::chrono::hours(1);
  LineRecorder waiting(options);
  waiting.start();
  ASSERT_TRUE(eventually([&] { return waiting.went_down(LineReason::UpgradeFailed); }));
  EXPECT_TRUE(waiting.stop());
}

TEST(ExchangeConnector, DestroyedWithoutDisconnectLeavesNothingBehind) {
  FakeServer server([](Connection& connection) {
    if (!connection.accept_websocket()) return;
    while (connection.send_text(std::string(3'000, 'x'))) {
    }
  });
  LineRecorder line(quick_options(server.ws_url()));
  line.start();
  ASSERT_TRUE(eventually([&] { return line.frame_count() > 1'000; }));
}  // ~LineRecorder stops the loop in the middle of the flood; the sanitizer looks for what is left

class CountingHandler : public LineHandler {
 public:
  void on_frame(const core::RawMessage& frame) noexcept override {
    ++frames;
    connector->release(frame);
  }
  void on_line_state(shm::LineState, LineReason, std::string_view) noexcept override {}
  Requests on_up(core::ConnectionId) override { return {}; }

  std::atomic<int> frames{0};
  ExchangeConnector* connector = nullptr;
};

TEST(ExchangeConnector, TwoLinesShareOneLoop) {
  FakeServer server([](Connection& connection) {
    if (!connection.accept_websocket()) return;
    for (int i = 0; i < 100; ++i) connection.send_text(std::to_string(i));
    connection.read_until_closed();
  });
  LineRecorder first(quick_options(server.ws_url()));
  CountingHandler handler;
  {
    ExchangeConnector second(first.loop, quick_options(server.ws_url()), handler);
    handler.connector = &second;
    second.connect();
    first.start();
    EXPECT_TRUE(eventually([&] { return first.frame_count() == 100 && handler.frames == 100; }));
    second.disconnect();
    EXPECT_TRUE(eventually([&] { return second.stopped(); }));
    EXPECT_TRUE(first.stop());
  }
}

TEST(ExchangeConnector, ImpossibleOptionsAreRefusedWithTheirName) {
  FakeServer server([](Connection&) {});
  LineRecorder handler(quick_options(server.ws_url()));
  IoLoop loop;
  const auto message = [&](const ConnectorOptions& options) -> std::string {
    try {
      const ExchangeConnector connector(loop, options, handler);
    } catch (const ConfigError& error) {
      return error.what();
    }
    return "accepted";
  };
  auto options = quick_options("wss://localhost");
  EXPECT_EQ(message(options), "accepted");
  options.ws_url = "https://localhost";
  EXPECT_NE(message(options).find("scheme must be wss"), std::string::npos);
  options.ws_url = "wss://localhost/ws";
  EXPECT_NE(message(options).find("found a path"), std::string::npos);
  options.ws_url = "ws://stream.example.com";
  EXPECT_NE(message(options).find("loopback"), std::string::npos);
  options = quick_options("wss://localhost");
  options.tls.ca_file = "/no/such/file.pem";
  EXPECT_NE(message(options).find("tls.ca_file '/no/such/file.pem'"), std::string::npos) << message(options);
  options = quick_options("wss://localhost");
  options.pool.frame_count = 0;
  EXPECT_NE(message(options).find("frame_count"), std::string::npos);
}

}  // namespace
}  // namespace mdp::net::test
