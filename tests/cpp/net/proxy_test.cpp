#include "mdp/net/proxy.hpp"

#include <gtest/gtest.h>

#include <mutex>

#include "mdp/core/error.hpp"
#include "mdp/core/log.hpp"
#include "net/fake_proxy.hpp"
#include "net/line_recorder.hpp"

namespace mdp::net::test {
namespace {

using std::chrono::milliseconds;
using Then = FakeProxy::Then;

// ---------------------------------------------------------------- the option

TEST(Proxy, OptionIsReadWithAndWithoutCredentials) {
  EXPECT_FALSE(parse_proxy("")->has_value());
  const auto plain = parse_proxy("http://proxy.example.com:3128");
  ASSERT_TRUE(plain && *plain);
  EXPECT_EQ((*plain)->url.authority(), "proxy.example.com:3128");
  EXPECT_EQ((*plain)->authorization, "");
  // The example of RFC 7617 section 2.
  EXPECT_EQ((*parse_proxy("http://Aladdin:open%20sesame@[::1]:8080/"))->authorization,
            "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
  EXPECT_EQ((*parse_proxy("http://user@host:1"))->authorization, "Basic dXNlcjo=");
  EXPECT_EQ((*parse_proxy("http://u:%3A%40%25@host:1"))->authorization, "Basic dTo6QCU=");
}

TEST(Proxy, BadOptionIsRefusedAndItsCredentialsAreNotShown) {
  const char* const bad[] = {"proxy:3128",
                             "https://secret:hidden@proxy:3128",
                             "secret:hidden@proxy:3128",
                             "http://secret:hidden@proxy",
                             "http://secret:hidden@[::1]",
                             "http://secret:hidden@",
                             "http://secret:hidden@proxy:0",
                             "http://secret:hidden@proxy:3128/path",
                             "http://secret:hid%xden@proxy:3128",
                             "http://secret:hidden%4@proxy:3128",
                             "http://secret:hid@den@proxy:3128",
                             "http://secret:hid/den@proxy:3128",
                             "http://:hidden@proxy:3128",
                             "http://se%3Acret:hidden@proxy:3128",
                             "http://secret:hidden@pro xy:3128"};
  for (const char* text : bad) {
    const auto proxy = parse_proxy(text);
    ASSERT_FALSE(proxy) << text;
    EXPECT_EQ(proxy.error().find("secret"), std::string::npos) << proxy.error();
    EXPECT_EQ(proxy.error().find("hid"), std::string::npos) << proxy.error();
  }
  auto options = quick_options("wss://localhost");
  options.proxy = "http://secret:hidden@proxy";
  IoLoop loop;
  LineRecorder handler(quick_options("wss://localhost"));
  try {
    const ExchangeConnector connector(loop, options, handler);
    ADD_FAILURE() << "accepted";
  } catch (const ConfigError& error) {
    EXPECT_TRUE(std::string_view(error.what()).starts_with("proxy: the port is missing")) << error.what();
  }
}

TEST(Proxy, AnswerIsJudgedByItsStatusLine) {
  const Proxy anonymous{*parse_url("http://proxy:1"), ""};
  const Proxy known{*parse_url("http://proxy:1"), "Basic x"};
  EXPECT_EQ(proxy_refusal(anonymous, "HTTP/1.1 200 Connection established\r\n\r\n"), "");
  EXPECT_EQ(proxy_refusal(anonymous, "HTTP/1.0 200\r\n\r\n"), "");
  EXPECT_EQ(proxy_refusal(anonymous, "HTTP/1.1 403 Forbidden\r\n\r\n"),
            "the proxy refused: 'HTTP/1.1 403 Forbidden'");
  EXPECT_EQ(proxy_refusal(anonymous, "HTTP/1.1 407 Proxy Authentication Required\r\n\r\n"),
            "the proxy refused: 'HTTP/1.1 407 Proxy Authentication Required': it asks for a user name and "
            "password, and none is configured");
  EXPECT_EQ(proxy_refusal(known, "HTTP/1.1 407 No\r\n\r\n"),
            "the proxy refused: 'HTTP/1.1 407 No': it does not accept the user name and password configured");
  for (const char* garbage :
       {"SSH-2.0-OpenSSH_9.2\r\n", "", "HTTP/1.1 2000 OK\r\n\r\n", "HTTP/1.1 20\r\n\r\n",
        "HTTP/1.1  200 OK\r\n\r\n", "HTTP/2 200\r\n\r\n", "\x16\x03\x01\r\n"}) {
    EXPECT_TRUE(proxy_refusal(anonymous, garbage).starts_with("the answer is not HTTP: '")) << garbage;
  }
}

// ---------------------------------------------------------------- the WebSocket line

FakeServer::Script say_hello() {
  return [](Connection& connection) {
    if (!connection.accept_websocket()) return;
    connection.send_text("hello");
    connection.read_until_closed();
  };
}

TEST(ProxyLine, FramesComeThroughTheTunnelWithTlsToTheVenue) {
  FakeServer server(say_hello());
  FakeProxy proxy(Then::Tunnel);
  auto options = quick_options(server.ws_url());
  options.proxy = proxy.url("Aladdin:open%20sesame@");
  LineRecorder line(options);
  line.start();
  ASSERT_TRUE(eventually([&] { return line.frame_count() == 1; }));
  EXPECT_EQ(line.frames()[0].payload, "hello");
  ASSERT_EQ(proxy.requests().size(), 1u);
  const std::string target = "localhost:" + std::to_string(server.port());
  EXPECT_EQ(proxy.requests()[0], "CONNECT " + target + " HTTP/1.1\r\nHost: " + target +
                                     "\r\nProxy-Authorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==\r\n\r\n");
  EXPECT_TRUE(line.stop());
}

TEST(ProxyLine, AnswerInPiecesIsReadToItsEnd) {
  FakeServer server(say_hello());
  FakeProxy proxy(Then::Tunnel, "HTTP/1.0 200 OK\r\nVia: " + std::string(3'000, 'x') + "\r\n\r\n");
  auto options = quick_options(server.ws_url());
  options.proxy = proxy.url();
  LineRecorder line(options);
  line.start();
  ASSERT_TRUE(eventually([&] { return line.frame_count() == 1; }));
  EXPECT_EQ(proxy.requests()[0].find("Proxy-Authorization"), std::string::npos);
}

TEST(ProxyLine, CertificateIsCheckedAgainstTheVenueNotTheProxy) {
  FakeServer server(say_hello(), {.certificate = CertificateKind::WrongHost});
  FakeProxy proxy(Then::Tunnel);
  auto options = quick_options(server.ws_url());
  options.proxy = proxy.url();
  LineRecorder line(options);
  line.start();
  ASSERT_TRUE(eventually([&] { return line.went_down(LineReason::TlsFailed); }));
  const std::string detail = line.find_down(LineReason::TlsFailed).detail;
  EXPECT_TRUE(detail.starts_with("TLS handshake with localhost:" + std::to_string(server.port()) +
                                 ": certificate refused: "))
      << detail;
  EXPECT_NE(detail.find("(expected name localhost,"), std::string::npos) << detail;
  EXPECT_EQ(line.connector->counters().ups.get(), 0u);
}

struct Trouble {
  const char* name;
  Then then;
  const char* answer;
  LineReason reason;
  const char* words;
};

class ProxyTrouble : public testing::TestWithParam<Trouble> {};

TEST_P(ProxyTrouble, IsAnErrorWithItsOwnWordsAndTheLineTriesAgain) {
  FakeProxy proxy(GetParam().then, GetParam().answer);
  auto options = quick_options("wss://venue.example.com:9443");
  options.proxy = proxy.url("secret:hidden@");
  if (GetParam().then == Then::Stall) options.proxy_timeout = milliseconds(30);
  LineRecorder line(options);
  line.start();
  ASSERT_TRUE(eventually([&] { return line.connector->counters().connects.get() >= 3; }));
  const auto down = line.find_down(GetParam().reason);
  EXPECT_NE(down.detail.find(GetParam().words), std::string::npos) << down.detail;
  if (GetParam().reason != LineReason::TlsFailed) {
    const std::string where =
        "CONNECT to venue.example.com:9443 through proxy 127.0.0.1:" + std::to_string(proxy.port()) + ": ";
    EXPECT_TRUE(down.detail.starts_with(where)) << down.detail;
  }
  for (const auto& state : line.states()) {
    EXPECT_EQ(state.detail.find("secret"), std::string::npos) << state.detail;
    EXPECT_EQ(state.detail.find("hidden"), std::string::npos) << state.detail;
    EXPECT_EQ(state.detail.find("Basic"), std::string::npos) << state.detail;
  }
  EXPECT_EQ(line.connector->counters().ups.get(), 0u);
  EXPECT_TRUE(line.stop());
}

INSTANTIATE_TEST_SUITE_P(
    Kinds, ProxyTrouble,
    testing::Values(Trouble{"Refuses", Then::Answer, "HTTP/1.1 403 Forbidden\r\n\r\n",
                            LineReason::ProxyFailed, "the proxy refused: 'HTTP/1.1 403 Forbidden'"},
                    Trouble{"RefusesWithoutEnd", Then::Answer, "HTTP/1.1 502 Bad Gateway\r\nX: y",
                            LineReason::ProxyFailed, "'HTTP/1.1 502 Bad Gateway'"},
                    Trouble{"WantsOtherCredentials", Then::Answer, "HTTP/1.1 407 Who\r\n\r\n",
                            LineReason::ProxyFailed,
                            "it does not accept the user name and password configured"},
                    Trouble{"Garbage", Then::Answer, "220 smtp ready\r\n", LineReason::ProxyFailed,
                            "the answer is not HTTP: '220 smtp ready'"},
                    Trouble{"BytesBehindTheAnswer", Then::Answer, "HTTP/1.1 200 OK\r\n\r\nhello",
                            LineReason::ProxyFailed, "the proxy sent bytes behind its answer"},
                    Trouble{"Stalls", Then::Stall, "", LineReason::Timeout, "timed out after 30 ms"},
                    Trouble{"Closes", Then::Close, "", LineReason::ProxyFailed,
                            "the proxy closed the connection without an answer"},
                    Trouble{"CutsTheHandshake", Then::TunnelAndCutInHandshake, "HTTP/1.1 200 OK\r\n\r\n",
                            LineReason::TlsFailed, "TLS handshake with venue.example.com:9443: "}),
    [](const auto& param) { return std::string(param.param.name); });

TEST(ProxyLine, EndlessAnswerIsCutOff) {
  FakeProxy proxy(Then::Answer, "HTTP/1.1 200 OK\r\nX: " + std::string(100'000, 'x'));
  auto options = quick_options("wss://venue.example.com:9443");
  options.proxy = proxy.url();
  LineRecorder line(options);
  line.start();
  ASSERT_TRUE(eventually([&] { return line.went_down(LineReason::ProxyFailed); }));
  const std::string detail = line.find_down(LineReason::ProxyFailed).detail;
  EXPECT_NE(detail.find("header is longer than 8192 bytes"), std::string::npos) << detail;
}

TEST(ProxyLine, ProxyThatIsNotThereIsNamed) {
  std::uint16_t port = 0;
  {
    port = FakeProxy(Then::Close).port();
  }  // nobody listens there any more
  auto options = quick_options("wss://venue.example.com:9443");
  options.proxy = "http://127.0.0.1:" + std::to_string(port);
  LineRecorder line(options);
  line.start();
  ASSERT_TRUE(eventually([&] { return line.went_down(LineReason::ConnectFailed); }));
  const std::string address = "127.0.0.1:" + std::to_string(port);
  const std::string detail = line.find_down(LineReason::ConnectFailed).detail;
  EXPECT_TRUE(detail.starts_with("TCP connect to proxy " + address + ": " + address + ": Connection refused"))
      << detail;
}

TEST(ProxyLine, CredentialsAreInNoLineOfTheLog) {
  static std::mutex mutex;
  static std::string log;
  core::set_log_sink([](core::LogLevel, std::string_view text) {
    const std::lock_guard lock(mutex);
    log.append(text).append("\n");
  });
  {
    FakeProxy proxy(Then::Answer, "HTTP/1.1 407 Proxy Authentication Required\r\n\r\n");
    auto options = quick_options("wss://venue.example.com:9443");
    options.proxy = proxy.url("secret:hidden@");
    LineRecorder line(options);
    line.start();
    EXPECT_TRUE(eventually([&] { return line.went_down(LineReason::ProxyFailed); }));
    EXPECT_TRUE(line.stop());
  }
  core::set_log_sink(nullptr);
  const std::lock_guard lock(mutex);
  EXPECT_NE(log.find("reason=proxy_failed"), std::string::npos) << log;
  for (const char* word : {"secret", "hidden", "Basic", "c2VjcmV0OmhpZGRlbg=="}) {
    EXPECT_EQ(log.find(word), std::string::npos) << log;
  }
}

// ---------------------------------------------------------------- REST

class RestThroughProxy {
 public:
  RestThroughProxy(const std::string& url, const std::string& proxy)
      : client(loop, url, options(proxy)), thread_([this] { loop.run(queue::IdleMode::Park); }) {}
  ~RestThroughProxy() {
    loop.stop();
    thread_.join();
  }
  static RestOptions options(const std::string& proxy) {
    RestOptions rest;
    rest.tls.ca_file = Certificates::shared().ca_file();
    rest.proxy = proxy;
    return rest;
  }
  IoLoop loop;
  RestClient client;

 private:
  std::thread thread_;
};

TEST(ProxyRest, AnswerComesThroughTheTunnelWhichIsKeptAlive) {
  FakeServer server([](Connection& connection) {
    if (!connection.handshake()) return;
    while (!connection.read_request().empty()) {
      connection.write("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    }
  });
  FakeProxy proxy(Then::Tunnel);
  RestThroughProxy rest(server.rest_url(), proxy.url());
  for (int i = 0; i < 3; ++i) {
    const RestResponse response = answer_to(rest.client, "/depth");
    EXPECT_EQ(response.body(), "ok") << response.error;
  }
  EXPECT_EQ(proxy.requests().size(), 1u);
}

TEST(ProxyRest, RefusalIsAnErrorOfTheStepProxy) {
  FakeProxy proxy(Then::Answer, "HTTP/1.1 407 Proxy Authentication Required\r\n\r\n");
  RestThroughProxy rest("https://venue.example.com", proxy.url());
  const RestResponse response = answer_to(rest.client, "/depth");
  EXPECT_EQ(response.failed_step, "proxy");
  EXPECT_EQ(response.error,
            "CONNECT to venue.example.com:443 through proxy 127.0.0.1:" + std::to_string(proxy.port()) +
                ": the proxy refused: 'HTTP/1.1 407 Proxy Authentication Required': it asks "
                "for a user name and password, and none is configured");
}

TEST(ProxyRest, TimeOutNamesProxyAndStep) {
  FakeProxy proxy(Then::Stall);
  RestThroughProxy rest("https://venue.example.com", proxy.url());
  const RestResponse response = answer_to(rest.client, "/depth", milliseconds(100));
  EXPECT_EQ(response.failed_step, "proxy");
  EXPECT_EQ(response.error, "CONNECT to venue.example.com:443 through proxy 127.0.0.1:" +
                                std::to_string(proxy.port()) + ": no answer within 100 ms");
}

TEST(ProxyRest, PlainConnectionThroughAProxyIsStillForLoopbackOnly) {
  IoLoop loop;
  EXPECT_THROW(RestClient(loop, "http://venue.example.com", RestThroughProxy::options("http://127.0.0.1:1")),
               ConfigError);
}

}  // namespace
}  // namespace mdp::net::test
