// A connector that cannot come up says which step failed, with whom and why, and tries again.
#include <gtest/gtest.h>

#include <atomic>
#include <functional>
#include <mutex>
#include <string>
#include <vector>

#include "mdp/core/error.hpp"
#include "mdp/net/exchange_connector.hpp"
#include "net/line_recorder.hpp"

namespace mdp::net::test {
namespace {

using std::chrono::milliseconds;

struct Refusal {
  const char* name;
  CertificateKind kind;
  const char* words;
};

class ConnectorRefuses : public testing::TestWithParam<Refusal> {};

TEST_P(ConnectorRefuses, CertificateAndSaysWhy) {
  std::atomic<int> requests{0};
  FakeServer server(
      [&](Connection& connection) {
        if (connection.accept_websocket()) ++requests;
      },
      {.certificate = GetParam().kind});
  LineRecorder line(quick_options(server.ws_url()));
  line.start();
  ASSERT_TRUE(eventually([&] { return line.connector->counters().connects.get() >= 3; }));
  const auto down = line.find_down(LineReason::TlsFailed);
  EXPECT_TRUE(down.detail.starts_with("TLS handshake with localhost:" + std::to_string(server.port()) +
                                      ": certificate refused: "))
      << down.detail;
  EXPECT_NE(down.detail.find(GetParam().words), std::string::npos) << down.detail;
  EXPECT_EQ(requests, 0);
  EXPECT_EQ(line.connector->counters().ups.get(), 0u);
  EXPECT_TRUE(line.stop());
}

INSTANTIATE_TEST_SUITE_P(
    Kinds, ConnectorRefuses,
    testing::Values(Refusal{"Expired", CertificateKind::Expired, "certificate has expired"},
                    Refusal{"NotYetValid", CertificateKind::NotYetValid, "not yet valid"},
                    Refusal{"WrongHost", CertificateKind::WrongHost, "ostname mismatch"},
                    Refusal{"SelfSigned", CertificateKind::SelfSigned, "self-signed certificate"},
                    Refusal{"UnknownCa", CertificateKind::UnknownCa, "issuer certificate"}),
    [](const auto& param) { return std::string(param.param.name); });

TEST(ConnectorDials, CertificateIsCheckedAgainstAddressWhereUrlHasOne) {
  FakeServer server([](Connection& connection) {
    if (connection.accept_websocket()) connection.read_until_closed();
  });
  LineRecorder good(quick_options(server.ws_url("127.0.0.1")));
  good.start();
  EXPECT_TRUE(eventually([&] { return good.connector->counters().ups.get() == 1; }));
  LineRecorder bad(quick_options(server.ws_url("127.0.0.2")));  // reaches nobody, or a certificate without it
  bad.start();
  EXPECT_TRUE(eventually([&] { return bad.connector->counters().connects.get() >= 2; }));
  EXPECT_EQ(bad.connector->counters().ups.get(), 0u);
}

TEST(ConnectorDials, ServerNameReplacesHostInTheCheck) {
  FakeServer server(
      [](Connection& connection) {
        if (connection.accept_websocket()) connection.read_until_closed();
      },
      {.certificate = CertificateKind::WrongHost});
  auto options = quick_options(server.ws_url());
  options.tls.server_name = "stream.example.com";
  LineRecorder line(options);
  line.start();
  EXPECT_TRUE(eventually([&] { return line.connector->counters().ups.get() == 1; }));
}

TEST(ConnectorDials, SkippingVerificationWorksOnLoopbackOnly) {
  FakeServer server(
      [](Connection& connection) {
        if (connection.accept_websocket()) connection.read_until_closed();
      },
      {.certificate = CertificateKind::SelfSigned});
  auto options = quick_options(server.ws_url());
  options.tls.insecure_skip_verify = true;
  LineRecorder line(options);
  line.start();
  EXPECT_TRUE(eventually([&] { return line.connector->counters().ups.get() == 1; }));
  options.ws_url = "wss://stream.example.com";
  IoLoop loop;
  EXPECT_THROW(ExchangeConnector(loop, options, line), ConfigError);
}

TEST(ConnectorDials, RefusedConnectionNamesAddressAndReason) {
  std::uint16_t port = 0;
  {
    port = FakeServer([](Connection&) {}).port();
  }  // nobody listens there any more
  LineRecorder line(quick_options("wss://127.0.0.1:" + std::to_string(port)));
  line.start();
  ASSERT_TRUE(eventually([&] { return line.went_down(LineReason::ConnectFailed); }));
  const std::string address = "127.0.0.1:" + std::to_string(port);
  const std::string detail = line.find_down(LineReason::ConnectFailed).detail;
  EXPECT_TRUE(detail.starts_with("TCP connect to " + address + ": " + address +
                                 ": Connection refused; next attempt in "))
      << detail;
  EXPECT_TRUE(line.stop());
}

TEST(ConnectorDials, UnknownHostFailsInStepResolve) {
  auto options = quick_options("wss://no-such-host.invalid");
  options.backoff.initial_ms = options.backoff.max_ms = std::chrono::hours(1);
  LineRecorder line(options);
  line.start();
  ASSERT_TRUE(eventually([&] { return line.states().size() >= 2; }));
  const auto down = line.states()[1];
  // A resolver without any answer runs into the time-out instead.
  EXPECT_TRUE(down.reason == LineReason::ResolveFailed || down.reason == LineReason::Timeout);
  EXPECT_TRUE(down.detail.starts_with("resolve no-such-host.invalid:443: ")) << down.detail;
  EXPECT_TRUE(line.stop());
}

TEST(ConnectorDials, AddressThatRefusesFallsThroughToTheNext) {
  // "localhost" is ::1 as well on most machines; this server has 127.0.0.1 alone.
  FakeServer server([](Connection& connection) {
    if (connection.accept_websocket()) connection.read_until_closed();
  });
  LineRecorder line(quick_options(server.ws_url("localhost")));
  line.start();
  ASSERT_TRUE(eventually([&] { return line.states().size() >= 2; }));
  EXPECT_EQ(line.states().at(1).detail, "127.0.0.1:" + std::to_string(server.port()));
}

TEST(ConnectorDials, SilentServerTimesOutInStepTls) {
  FakeServer server([](Connection& connection) { connection.read_request(); }, {.tls = false});
  auto options = quick_options("wss://localhost:" + std::to_string(server.port()));
  options.tls_handshake_timeout = milliseconds(30);
  // The plain server waits for a request's end and never answers the ClientHello.
  LineRecorder line(options);
  line.start();
  ASSERT_TRUE(eventually([&] { return line.went_down(LineReason::Timeout); }));
  const std::string detail = line.find_down(LineReason::Timeout).detail;
  EXPECT_TRUE(detail.starts_with("TLS handshake with localhost:" + std::to_string(server.port()) +
                                 ": timed out after 30 ms; next attempt in "))
      << detail;
}

TEST(ConnectorDials, SilentServerTimesOutInStepUpgrade) {
  FakeServer server([](Connection& connection) {
    if (!connection.handshake()) return;
    connection.read_request();
    connection.read_request();
  });
  auto options = quick_options(server.ws_url());
  options.ws_upgrade_timeout = milliseconds(30);
  LineRecorder line(options);
  line.start();
  ASSERT_TRUE(eventually([&] { return line.connector->counters().connects.get() >= 3; }));
  const std::string detail = line.find_down(LineReason::Timeout).detail;
  EXPECT_TRUE(detail.starts_with("WebSocket upgrade at localhost:" + std::to_string(server.port()) +
                                 "/stream: timed out after 30 ms; next attempt in "))
      << detail;
}

TEST(ConnectorDials, RefusedUpgradeShowsStatusAndBody) {
  FakeServer server([](Connection& connection) {
    if (!connection.handshake()) return;
    connection.read_request();
    connection.write("HTTP/1.1 403 Forbidden\r\nContent-Length: 10\r\n\r\nnot for us");
  });
  LineRecorder line(quick_options(server.ws_url()));
  line.start();
  ASSERT_TRUE(eventually([&] { return line.went_down(LineReason::UpgradeFailed); }));
  const std::string detail = line.find_down(LineReason::UpgradeFailed).detail;
  EXPECT_NE(detail.find("HTTP 403 Forbidden: not for us"), std::string::npos) << detail;
}

// ---------------------------------------------------------------- a URL that must be asked for

TEST(ConnectorPrepares, EachAttemptGoesWhereTheVenueSaysThen) {
  std::mutex mutex;
  std::vector<std::string> upgrades;
  FakeServer server([&](Connection& connection) {
    if (!connection.accept_websocket()) return;
    {
      const std::lock_guard lock(mutex);
      upgrades.push_back(connection.request.substr(0, connection.request.find('\r')));
    }
    while (const auto frame = connection.read_frame()) {
      if (frame->opcode == 1) connection.send_text(frame->payload);
    }
  });
  auto options = quick_options("wss://127.0.0.1:1");  // nobody is there
  std::atomic<int> asked{0};
  options.prepare = [&](std::function<void(Prepared)> done) {
    Prepared prepared;
    prepared.url = server.ws_url() + "/endpoint?token=" + std::to_string(++asked);
    prepared.keep_alive = {.text = std::string("ping ").append(std::to_string(asked)),
                           .every = std::chrono::milliseconds(20)};
    done(std::move(prepared));
  };
  LineRecorder line(options);
  line.start();
  const auto got = [&](const std::string& text) {
    return eventually([&] {
      for (const auto& frame : line.frames()) {
        if (frame.payload == text) return true;
      }
      return false;
    });
  };
  ASSERT_TRUE(got("ping 1")) << "the sign of life is the one that came with the URL";
  line.connector->reconnect("for the test");
  ASSERT_TRUE(got("ping 2"));
  const std::lock_guard lock(mutex);
  EXPECT_EQ(upgrades,
            (std::vector<std::string>{"GET /endpoint?token=1 HTTP/1.1", "GET /endpoint?token=2 HTTP/1.1"}));
  EXPECT_EQ(line.connector->counters().connects.get(), 2u);
}

TEST(ConnectorPrepares, AFailureIsThatOfAnAttemptAndTheNextOneAsksAgain) {
  FakeServer server([](Connection& connection) {
    if (connection.accept_websocket()) connection.read_until_closed();
  });
  auto options = quick_options("wss://127.0.0.1:1");
  std::atomic<int> asked{0};
  options.prepare = [&](std::function<void(Prepared)> done) {
    Prepared prepared;
    switch (++asked) {
      case 1:
        prepared.error = "HTTP 500";
        break;
      case 2:
        prepared.url = "ws://example.com/token";  // without TLS, and no loopback host
        break;
      case 3:
        prepared.url = "https://localhost/";
        break;
      default:
        prepared.url = server.ws_url();
    }
    done(std::move(prepared));
  };
  LineRecorder line(options);
  line.start();
  ASSERT_TRUE(eventually([&] { return line.connector->counters().ups.get() == 1; }));
  std::vector<std::string> failures;
  for (const RecordedState& state : line.states()) {
    if (state.reason == LineReason::PrepareFailed) failures.push_back(state.detail);
  }
  ASSERT_EQ(failures.size(), 3u);
  EXPECT_TRUE(failures[0].starts_with("HTTP 500; next attempt in ")) << failures[0];
  EXPECT_TRUE(
      failures[1].starts_with("the URL to connect to: URL 'ws://example.com/token': connections without TLS"))
      << failures[1];
  EXPECT_TRUE(failures[2].starts_with("the URL to connect to: URL 'https://localhost/': scheme must be wss"))
      << failures[2];
  EXPECT_EQ(line.connector->counters().connects.get(), 4u);
}

TEST(ConnectorPrepares, AnAnswerAfterTheStopConnectsNobody) {
  FakeServer server([](Connection& connection) {
    if (connection.accept_websocket()) connection.read_until_closed();
  });
  auto options = quick_options("wss://127.0.0.1:1");
  std::mutex mutex;
  std::vector<std::function<void(Prepared)>> asked;
  options.prepare = [&](std::function<void(Prepared)> done) {
    const std::lock_guard lock(mutex);
    asked.push_back(std::move(done));
  };
  LineRecorder line(options);
  line.start();
  const auto asked_times = [&](std::size_t times) {
    return eventually([&] {
      const std::lock_guard lock(mutex);
      return asked.size() == times;
    });
  };
  ASSERT_TRUE(asked_times(1));
  line.connector->disconnect();
  ASSERT_TRUE(eventually([&] { return line.connector->stopped(); }));
  line.connector->connect();
  ASSERT_TRUE(asked_times(2));
  Prepared prepared;
  prepared.url = server.ws_url();
  for (const auto& done : asked) done(prepared);  // the first of them is to nobody
  ASSERT_TRUE(eventually([&] { return line.connector->counters().ups.get() == 1; }));
  EXPECT_TRUE(line.stop());
  EXPECT_EQ(server.accepted(), 1);
}

}  // namespace
}  // namespace mdp::net::test
