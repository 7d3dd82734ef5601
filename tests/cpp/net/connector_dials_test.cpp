// A connector that cannot come up says which step failed, with whom and why, and tries again.
#include <gtest/gtest.h>

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
  options.backoff.initial = options.backoff.max = std::chrono::hours(1);
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

}  // namespace
}  // namespace mdp::net::test
