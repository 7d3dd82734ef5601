#include "mdp/net/rest_client.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <mutex>
#include <thread>

#include "mdp/core/error.hpp"
#include "mdp/core/raw_message.hpp"
#include "net/line_recorder.hpp"

namespace mdp::net::test {
namespace {

using std::chrono::milliseconds;
constexpr milliseconds kLong{60'000};

std::string answer(std::string_view status, std::string_view body, std::string_view headers = "") {
  return "HTTP/1.1 " + std::string(status) + "\r\n" + std::string(headers) +
         "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + std::string(body);
}

// "text" + std::to_string(n), which g++ 12 takes for an overlapping copy.
std::string numbered(std::string_view text, int number) {
  std::string result(text);
  result += std::to_string(number);
  return result;
}

std::string target_of(const std::string& request) {
  const std::size_t start = request.find(' ') + 1;
  return request.substr(start, request.find(' ', start) - start);
}

RestOptions quick_rest() {
  RestOptions options;
  options.tls.ca_file = Certificates::shared().ca_file();
  return options;
}

// A client, its loop and its thread.
class RestRunner {
 public:
  explicit RestRunner(const std::string& url, const RestOptions& options = quick_rest())
      : client(loop, url, options), thread_([this] { loop.run(queue::IdleMode::Park); }) {}
  ~RestRunner() {
    loop.stop();
    thread_.join();
  }
  RestResponse get(std::string target, milliseconds timeout = kLong, HttpHeaders headers = {}) {
    return answer_to(client, std::move(target), timeout, std::move(headers));
  }

  IoLoop loop;
  RestClient client;

 private:
  std::thread thread_;
};

// Answers every request of a connection by `respond`; "" ends the connection.
FakeServer::Script serve(std::function<std::string(const std::string& request)> respond) {
  return [respond = std::move(respond)](Connection& connection) {
    if (!connection.handshake()) return;
    while (true) {
      const std::string request = connection.read_request();
      if (request.empty()) return;
      const std::string response = respond(request);
      if (response.empty() || !connection.write(response)) return;
    }
  };
}

TEST(RestClient, AnswerArrivesWithHeadersAndPadding) {
  FakeServer server(serve([](const std::string&) {
    return answer("200 OK", R"({"lastUpdateId":160})",
                  "X-MBX-USED-WEIGHT-1M: 250\r\nContent-Type: application/json\r\n");
  }));
  RestRunner rest(server.rest_url());
  const auto response = rest.get("/api/v3/depth?symbol=BTCUSDT&limit=5000");
  EXPECT_TRUE(response.ok()) << response.error;
  EXPECT_EQ(response.status, 200);
  EXPECT_EQ(response.body(), R"({"lastUpdateId":160})");
  EXPECT_EQ(std::string(response.body().end(), response.body().end() + core::kFramePadding),
            std::string(core::kFramePadding, '\0'));
  EXPECT_EQ(response.header("x-mbx-used-weight-1m"), "250");
  EXPECT_EQ(response.header("absent"), "");
  EXPECT_EQ(response.retry_after_s(), -1);
  EXPECT_GT(response.recv_ts_ns, 1'600'000'000'000'000'000);
}

TEST(RestClient, AConnectionThatIsIdleTooLongIsClosedWithoutAnotherRequest) {
  std::promise<void> closed;
  FakeServer server([&](Connection& connection) {
    if (!connection.handshake()) return;
    connection.read_request();
    connection.write(answer("200 OK", "{}"));
    if (connection.read_request().empty()) closed.set_value();
  });
  RestOptions options = quick_rest();
  options.keep_alive = milliseconds(20);
  RestRunner rest(server.rest_url(), options);
  EXPECT_TRUE(rest.get("/x").ok());
  EXPECT_EQ(closed.get_future().wait_for(kLong), std::future_status::ready);
}

TEST(RestClient, RequestNamesHostTargetAndOwnHeaders) {
  std::mutex mutex;
  std::string seen;
  FakeServer server(serve([&](const std::string& request) {
    const std::lock_guard lock(mutex);
    seen = request;
    return answer("200 OK", "");
  }));
  RestRunner rest(server.rest_url());
  EXPECT_TRUE(rest.get("/x?y=1", kLong, {{"X-MBX-APIKEY", "none"}}).ok());
  EXPECT_TRUE(seen.starts_with("GET /x?y=1 HTTP/1.1\r\n")) << seen;
  EXPECT_NE(seen.find("Host: localhost:" + std::to_string(server.port())), std::string::npos) << seen;
  EXPECT_NE(seen.find("X-MBX-APIKEY: none\r\n"), std::string::npos) << seen;
  EXPECT_NE(seen.find("Accept-Encoding: identity\r\n"), std::string::npos) << seen;
}

TEST(RestClient, RefusalsAreAnswersWithTheirBody) {
  FakeServer server(serve([](const std::string& request) {
    return target_of(request) == "/bad"
               ? answer("400 Bad Request", R"({"code":-1121,"msg":"Invalid symbol."})")
               : answer("429 Too Many Requests", "{}", "Retry-After: 17\r\n");
  }));
  RestRunner rest(server.rest_url());
  const auto bad = rest.get("/bad");
  EXPECT_EQ(bad.status, 400);
  EXPECT_EQ(bad.error, "");
  EXPECT_FALSE(bad.ok());
  EXPECT_EQ(bad.body(), R"({"code":-1121,"msg":"Invalid symbol."})");
  const auto limited = rest.get("/limited");
  EXPECT_EQ(limited.status, 429);
  EXPECT_EQ(limited.retry_after_s(), 17);
}

TEST(RestClient, RetryAfterMayBeADate) {
  FakeServer server(serve([](const std::string& request) {
    const bool dated = target_of(request) == "/dated";
    return answer(
        "503 Service Unavailable", "{}",
        dated ? "Date: Tue, 01 Jan 2030 00:00:00 GMT\r\nRetry-After: Tue, 01 Jan 2030 00:00:17 GMT\r\n"
              : "Retry-After: Sun, 06 Nov 1994 08:49:37 GMT\r\n");
  }));
  RestRunner rest(server.rest_url());
  EXPECT_EQ(rest.get("/dated").retry_after_s(), 17);
  EXPECT_EQ(rest.get("/").retry_after_s(), 0) << "by our clock it is long over";
}

TEST(RestClient, ChunkedBodyIsPutTogether) {
  FakeServer server(serve([](const std::string&) {
    return std::string(
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n1;x=y\r\n,\r\n6\r\n "
        "world\r\n0\r\n\r\n");
  }));
  RestRunner rest(server.rest_url());
  EXPECT_EQ(rest.get("/").body(), "hello, world");
  EXPECT_EQ(rest.get("/").body(), "hello, world");
  EXPECT_EQ(server.accepted(), 1);
}

TEST(RestClient, LargeBodyArrivesWhole) {
  std::string large(3'000'000, '\0');
  for (std::size_t i = 0; i < large.size(); ++i) large[i] = static_cast<char>('a' + i % 23);
  FakeServer server(serve([&](const std::string&) { return answer("200 OK", large); }));
  RestRunner rest(server.rest_url());
  EXPECT_TRUE(rest.get("/").body() == large);
}

TEST(RestClient, TruncatedBodyIsAnError) {
  FakeServer server([](Connection& connection) {
    if (!connection.handshake()) return;
    connection.read_request();
    connection.write("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nonly this");
    connection.cut();
  });
  RestRunner rest(server.rest_url());
  const auto response = rest.get("/depth");
  EXPECT_EQ(response.failed_step, "body");
  EXPECT_EQ(response.error, "body of GET /depth at localhost:" + std::to_string(server.port()) +
                                ": the connection ended after 9 bytes of the body: truncated");
  EXPECT_EQ(response.status, 0);
  EXPECT_EQ(response.body(), "");
}

TEST(RestClient, BodyBeyondTheLimitIsAnError) {
  FakeServer server(serve([](const std::string& request) {
    if (target_of(request) == "/length") return answer("200 OK", std::string(1'001, 'x'));
    if (target_of(request) == "/fits") return answer("200 OK", std::string(1'000, 'x'));
    return std::string("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3E9\r\n") +
           std::string(1'001, 'x') + "\r\n0\r\n\r\n";
  }));
  auto options = quick_rest();
  options.max_body_bytes = 1'000;
  RestRunner rest(server.rest_url(), options);
  EXPECT_EQ(rest.get("/fits").body_bytes, 1'000u);
  for (const char* target : {"/length", "/chunked"}) {
    const auto response = rest.get(target);
    EXPECT_EQ(response.failed_step, "body") << response.error;
    EXPECT_NE(response.error.find("max_body_bytes"), std::string::npos) << response.error;
  }
}

TEST(RestClient, BytesThatAreNoHttpAreAnErrorOfTheHeaders) {
  FakeServer server(serve([](const std::string&) { return std::string("what is this\r\n\r\n"); }));
  RestRunner rest(server.rest_url());
  EXPECT_EQ(rest.get("/").failed_step, "headers");
}

TEST(RestClient, SilenceTimesOutAndTheNextRequestWorks) {
  std::atomic<bool> silent{false};
  FakeServer server([&](Connection& connection) {
    if (!connection.handshake()) return;
    while (!connection.read_request().empty()) {
      if (!silent) connection.write(answer("200 OK", "back"));
    }
  });
  RestRunner rest(server.rest_url());
  EXPECT_EQ(rest.get("/first").body(), "back");  // connected: what takes long below is the answer alone
  silent = true;
  const auto response = rest.get("/slow", milliseconds(500));
  EXPECT_EQ(response.failed_step, "headers") << response.error;
  EXPECT_NE(response.error.find("no answer within 500 ms"), std::string::npos) << response.error;
  silent = false;
  EXPECT_EQ(rest.get("/again").body(), "back");
}

TEST(RestClient, TimeOutNamesTheStepItWasIn) {
  FakeServer server(
      [](Connection& connection) { connection.read_request(); },
      ServerOptions{.tls = false});  // takes what it is sent for a request, and waits for its end
  RestRunner rest("https://localhost:" + std::to_string(server.port()));
  const auto response = rest.get("/", milliseconds(100));
  EXPECT_EQ(response.failed_step, "tls");
  EXPECT_EQ(response.error,
            "TLS handshake with localhost:" + std::to_string(server.port()) + ": no answer within 100 ms");
}

TEST(RestClient, ConnectionIsKeptAndUsedAgain) {
  FakeServer server(serve([](const std::string& request) { return answer("200 OK", target_of(request)); }));
  RestRunner rest(server.rest_url());
  for (int i = 0; i < 20; ++i) EXPECT_EQ(rest.get(numbered("/", i)).body(), numbered("/", i));
  EXPECT_EQ(server.accepted(), 1);
}

TEST(RestClient, ConnectionCloseIsObeyed) {
  FakeServer server([](Connection& connection) {
    if (!connection.handshake()) return;
    connection.read_request();
    connection.write(answer("200 OK", "once", "Connection: close\r\n"));
  });
  RestRunner rest(server.rest_url());
  EXPECT_EQ(rest.get("/").body(), "once");
  EXPECT_EQ(rest.get("/").body(), "once");
  EXPECT_EQ(server.accepted(), 2);
}

TEST(RestClient, StaleConnectionIsReplacedOnceUnseen) {
  // Answers one request as if the connection would live, then drops it.
  FakeServer server([](Connection& connection) {
    if (!connection.handshake()) return;
    connection.read_request();
    connection.write(answer("200 OK", "fresh"));
    if (connection.index() % 2 == 0) connection.read_request();  // takes the next one and dies over it
    connection.reset();
  });
  RestRunner rest(server.rest_url());
  for (int i = 0; i < 6; ++i) {
    const auto response = rest.get("/");
    EXPECT_EQ(response.body(), "fresh") << response.error;
  }
  EXPECT_EQ(server.accepted(), 6);
}

TEST(RestClient, FreshConnectionThatDiesIsNotRetriedForEver) {
  FakeServer server([](Connection& connection) {
    if (!connection.handshake()) return;
    connection.read_request();
    connection.reset();
  });
  RestRunner rest(server.rest_url());
  const auto response = rest.get("/");
  EXPECT_EQ(response.failed_step, "headers") << response.error;
  EXPECT_EQ(server.accepted(), 1);
}

TEST(RestClient, NoMoreConnectionsThanAllowed) {
  constexpr int kRequests = 30;
  FakeServer server(serve([](const std::string& request) { return answer("200 OK", target_of(request)); }));
  auto options = quick_rest();
  options.max_connections = 3;
  RestRunner rest(server.rest_url(), options);
  std::atomic<int> right{0};
  for (int i = 0; i < kRequests; ++i) {
    rest.client.get(numbered("/", i), {}, kLong, [&right, i](const RestResponse& response) {
      if (response.body() == numbered("/", i)) ++right;
    });
  }
  EXPECT_TRUE(eventually([&] { return right == kRequests; }));
  EXPECT_LE(server.accepted(), 3);
}

TEST(RestClient, WaitingForAConnectionTimesOutToo) {
  FakeServer server([](Connection& connection) {
    if (connection.handshake()) connection.read_request();
    connection.read_request();
  });
  auto options = quick_rest();
  options.max_connections = 1;
  options.max_waiting = 1;
  RestRunner rest(server.rest_url(), options);
  rest.client.get("/first", {}, kLong, [](const RestResponse&) {});
  std::atomic<int> waited{0};
  std::mutex mutex;
  std::vector<RestResponse> responses;
  for (int i = 0; i < 2; ++i) {
    rest.client.get("/waits", {}, milliseconds(30), [&](RestResponse response) {
      const std::lock_guard lock(mutex);
      responses.push_back(std::move(response));
    });
  }
  ASSERT_TRUE(eventually([&] {
    const std::lock_guard lock(mutex);
    return responses.size() == 2;
  }));
  EXPECT_NE(responses[0].error.find("max_waiting"), std::string::npos) << responses[0].error;
  EXPECT_NE(responses[1].error.find("no free connection within 30 ms"), std::string::npos)
      << responses[1].error;
}

TEST(RestClient, WrongCertificateIsRefusedInStepTls) {
  FakeServer server(serve([](const std::string&) { return answer("200 OK", "secret"); }),
                    {.certificate = CertificateKind::WrongHost});
  RestRunner rest(server.rest_url());
  const auto response = rest.get("/");
  EXPECT_EQ(response.failed_step, "tls");
  EXPECT_NE(response.error.find("ostname mismatch"), std::string::npos) << response.error;
}

TEST(RestClient, RefusedConnectionNamesTheAddress) {
  std::uint16_t port = 0;
  {
    port = FakeServer([](Connection&) {}).port();
  }
  RestRunner rest(numbered("https://127.0.0.1:", port));
  const auto response = rest.get("/");
  EXPECT_EQ(response.failed_step, "connect");
  EXPECT_NE(response.error.find(numbered("127.0.0.1:", port) + ": Connection refused"), std::string::npos)
      << response.error;
}

TEST(RestClient, PlainHttpIsForLoopbackOnly) {
  FakeServer server(serve([](const std::string&) { return answer("200 OK", "plain"); }), {.tls = false});
  RestRunner rest(server.rest_url());
  EXPECT_EQ(rest.get("/").body(), "plain");
  IoLoop loop;
  EXPECT_THROW(RestClient(loop, "http://api.example.com"), ConfigError);
  EXPECT_THROW(RestClient(loop, "wss://localhost"), ConfigError);
  EXPECT_THROW(RestClient(loop, "https://localhost/api"), ConfigError);
}

TEST(RestClient, TargetThatWouldForgeHeadersIsRefused) {
  FakeServer server(serve([](const std::string&) { return answer("200 OK", ""); }));
  RestRunner rest(server.rest_url());
  EXPECT_EQ(rest.get("/x\r\nHost: y").failed_step, "queue");
  EXPECT_EQ(rest.get("no-slash").failed_step, "queue");
  EXPECT_EQ(rest.get("/x", kLong, {{"A", "b\r\nc: d"}}).failed_step, "queue");
}

TEST(RestClient, DestroyedWithARequestUnderWayLeavesNothingBehind) {
  FakeServer server([](Connection& connection) {
    if (connection.handshake()) connection.read_request();
    connection.read_request();
  });
  const auto token = std::make_shared<int>(0);
  {
    RestRunner rest(server.rest_url());
    rest.client.get("/", {}, kLong, [token](const RestResponse&) {});
    EXPECT_TRUE(eventually([&] { return server.accepted() == 1; }));
  }
  EXPECT_EQ(token.use_count(), 1);
}

TEST(RestClient, APostHasItsBodyItsLengthAndItsHeaders) {
  std::mutex mutex;
  std::string request;
  std::string body;
  FakeServer server([&](Connection& connection) {
    if (!connection.handshake()) return;
    const std::string head = connection.read_request();
    if (head.empty()) return;
    const std::lock_guard lock(mutex);
    request = head;
    body = connection.read_bytes(14);
    connection.write(answer("200 OK", "token"));
  });
  RestRunner rest(server.rest_url());
  core::RestRequest asked;
  asked.target = "/bullet";
  asked.method = core::RestMethod::Post;
  asked.body = R"({"type":"all"})";
  asked.headers = {{"X-Size-Decimal", "1"}};
  std::promise<RestResponse> answered;
  rest.client.send(asked, kLong, [&](RestResponse response) { answered.set_value(std::move(response)); });
  EXPECT_EQ(answered.get_future().get().body(), "token");
  const std::lock_guard lock(mutex);
  EXPECT_TRUE(request.starts_with("POST /bullet HTTP/1.1\r\n")) << request;
  EXPECT_NE(request.find("\r\nContent-Length: 14\r\n"), std::string::npos) << request;
  EXPECT_NE(request.find("\r\nContent-Type: application/json\r\n"), std::string::npos) << request;
  EXPECT_NE(request.find("\r\nX-Size-Decimal: 1\r\n"), std::string::npos) << request;
  EXPECT_EQ(body, asked.body);
}

TEST(RestClient, APostWithoutABodySaysSoAndIsNamedInItsError) {
  FakeServer server(serve([](const std::string& request) {
    return request.find("Content-Length: 0\r\n") == std::string::npos ? answer("411 Length Required", "")
                                                                      : std::string();
  }));
  RestRunner rest(server.rest_url());
  core::RestRequest asked;
  asked.target = "/bullet";
  asked.method = core::RestMethod::Post;
  std::promise<RestResponse> answered;
  rest.client.send(asked, kLong, [&](RestResponse response) { answered.set_value(std::move(response)); });
  const RestResponse response = answered.get_future().get();
  EXPECT_EQ(response.status, 0);
  EXPECT_NE(response.error.find("of POST /bullet at localhost:"), std::string::npos) << response.error;
}

TEST(RestClient, EndlessHeaderIsCutOff) {
  FakeServer server([](Connection& connection) {
    if (!connection.handshake()) return;
    connection.read_request();
    connection.write("HTTP/1.1 200 OK\r\n");
    while (connection.write("X-Filler: " + std::string(1'000, 'x') + "\r\n")) {
    }
  });
  RestRunner rest(server.rest_url());
  const RestResponse response = rest.get("/depth");
  EXPECT_EQ(response.failed_step, "headers");
  EXPECT_NE(response.error.find("header limit exceeded"), std::string::npos) << response.error;
}

// {"lastUpdateId":160,"bids":[],"asks":[]} as gzip of Python 3.11 packs it (mtime 0).
const std::string kPlain = R"({"lastUpdateId":160,"bids":[],"asks":[]})";
const std::string kGzip(
    "\x1F\x8B\x08\x00\x00\x00\x00\x00\x02\x03\xAB\x56\xCA\x49\x2C\x2E\x09\x2D\x48\x49"
    "\x2C\x49\xF5\x4C\x51\xB2\x32\x34\x33\xD0\x51\x4A\xCA\x4C\x29\x56\xB2\x8A\x8E\xD5"
    "\x51\x4A\x2C\xCE\x06\xB3\x6A\x01\xC3\xE4\x7F\xF1\x28\x00\x00\x00",
    56);
// 5,000 zeros, likewise.
const std::string kZeros(
    "\x1F\x8B\x08\x00\x00\x00\x00\x00\x02\x03\xED\xC1\x31\x01\x00\x00\x00\xC2\xA0\xF5"
    "\x4F\x6D\x0A\x3F\xA0\x00\x00\x00\x00\x80\xB7\x01\xA8\x0E\xE5\xD8\x88\x13\x00\x00",
    40);

TEST(RestClient, ACompressedBodyIsUnpackedThoughNobodyAskedForIt) {
  FakeServer server(serve([](const std::string& request) {
    return answer("200 OK", kGzip, "Content-Encoding: " + target_of(request).substr(1) + "\r\n");
  }));
  RestRunner rest(server.rest_url());
  for (const char* target : {"/gzip", "/GZip", "/x-gzip", "/identity,gzip"}) {
    const auto response = rest.get(target);
    EXPECT_EQ(response.error, "") << target;
    EXPECT_EQ(response.body(), kPlain) << target;
    EXPECT_EQ(response.padded_body.size(), kPlain.size() + core::kFramePadding) << target;
  }
  EXPECT_EQ(rest.get("/identity").body(), kGzip);
  EXPECT_EQ(server.accepted(), 1);
}

TEST(RestClient, ABodyThatCannotBeUnpackedIsAnErrorInWordsBesideStatusAndHeaders) {
  FakeServer server(serve([](const std::string& request) {
    const std::string target = target_of(request);
    if (target == "/cut")
      return answer("429 Slow", kGzip.substr(0, 30), "Content-Encoding: gzip\r\nRetry-After: 7\r\n");
    if (target == "/more") return answer("200 OK", kGzip + "more", "Content-Encoding: gzip\r\n");
    if (target == "/plain") return answer("200 OK", kPlain, "Content-Encoding: gzip\r\n");
    if (target == "/twice")
      return answer("200 OK", kGzip, "Content-Encoding: gzip\r\nContent-Encoding: gzip\r\n");
    return answer("200 OK", kPlain, "Content-Encoding: br\r\n");
  }));
  RestRunner rest(server.rest_url());
  const std::string at = " at localhost:" + std::to_string(server.port()) + ": HTTP ";
  const std::pair<const char*, std::string> cases[] = {
      {"/cut", R"(429 with Content-Encoding "gzip", 30 bytes: truncated)"},
      {"/more", R"(200 with Content-Encoding "gzip", 60 bytes: followed by bytes that do not belong to it)"},
      {"/plain", R"(200 with Content-Encoding "gzip", 40 bytes: damaged)"},
      {"/twice", R"(200 with Content-Encoding "gzip, gzip" was not asked for and cannot be read)"},
      {"/br", R"(200 with Content-Encoding "br" was not asked for and cannot be read)"},
  };
  for (const auto& [target, words] : cases) {
    const auto response = rest.get(target);
    EXPECT_EQ(response.failed_step, "body") << target;
    EXPECT_EQ(response.error, "body of GET " + std::string(target) + at + words);
    EXPECT_FALSE(response.ok());
    EXPECT_EQ(response.body(), "") << target;
  }
  EXPECT_EQ(rest.get("/cut").status, 429);
  EXPECT_EQ(rest.get("/cut").retry_after_s(), 7) << "the venue's word counts, whatever its page is";
  EXPECT_EQ(server.accepted(), 1) << "the connection is as good as before";
}

TEST(RestClient, TheLimitOnBodiesHoldsForWhatIsUnpacked) {
  FakeServer server(
      serve([](const std::string&) { return answer("200 OK", kGzip, "Content-Encoding: gzip\r\n"); }));
  auto options = quick_rest();
  options.max_body_bytes = kGzip.size();
  ASSERT_GT(kGzip.size(), kPlain.size());
  EXPECT_EQ(RestRunner(server.rest_url(), options).get("/").body(), kPlain);
  options.max_body_bytes = kZeros.size();
  FakeServer bomb(
      serve([](const std::string&) { return answer("200 OK", kZeros, "Content-Encoding: gzip\r\n"); }));
  const auto response = RestRunner(bomb.rest_url(), options).get("/");
  EXPECT_NE(response.error.find("too long when unpacked, longer than max_body_bytes, which is " +
                                std::to_string(kZeros.size())),
            std::string::npos)
      << response.error;
}

}  // namespace
}  // namespace mdp::net::test
