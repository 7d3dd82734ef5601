// The steps of a connection, one address after the other, and what is asked of the kernel.
#include "mdp/net/dialer.hpp"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <future>
#include <mutex>
#include <thread>

#include "mdp/core/log.hpp"
#include "net/fake_server.hpp"

namespace mdp::net::test {
namespace {

using std::chrono::milliseconds;

// Dials once, on a loop of its own.
class Dial {
 public:
  explicit Dial(const DialOptions& options)
      : transport(std::make_shared<Transport>(loop.impl(), traffic_, nullptr)) {
    auto done = std::make_shared<std::promise<DialResult>>();
    loop.post([this, options, done] {
      dialer_ = std::make_shared<Dialer>(loop.impl(), options, *transport);
      dialer_->start(transport, [done](DialResult dialed) { done->set_value(std::move(dialed)); });
    });
    std::thread thread([this] { loop.run(queue::IdleMode::Park); });
    result = done->get_future().get();
    loop.stop();
    thread.join();
  }

  IoLoop loop;
  DialResult result;

 private:
  core::Counter bytes_;
  core::Counter reads_;
  Traffic traffic_{bytes_, reads_};

 public:
  std::shared_ptr<Transport> transport;

 private:
  std::shared_ptr<Dialer> dialer_;
};

DialOptions options_for(std::vector<tcp::endpoint> addresses) {
  DialOptions options;
  options.url = *parse_url("ws://localhost");
  options.addresses = std::move(addresses);
  return options;
}

tcp::endpoint endpoint(const char* address, std::uint16_t port) {
  return {asio::ip::make_address(address), port};
}

FakeServer::Script wait_for_the_end() {
  return [](Connection& connection) { connection.read_request(); };
}

// An address on loopback that takes no connection and refuses none: its listener's queue is full.
class BlackHole {
 public:
  BlackHole() {
    listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    inet_pton(AF_INET, "127.0.0.1", &address.sin_addr);
    socklen_t size = sizeof address;
    if (::bind(listener_, reinterpret_cast<sockaddr*>(&address), size) != 0 || ::listen(listener_, 0) != 0 ||
        ::getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size) != 0) {
      throw std::runtime_error("cannot listen on loopback");
    }
    port = ntohs(address.sin_port);
    for (int& filler : fillers_) {
      filler = ::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
      (void)::connect(filler, reinterpret_cast<sockaddr*>(&address), size);
    }
  }
  ~BlackHole() {
    for (const int filler : fillers_) ::close(filler);
    ::close(listener_);
  }
  std::uint16_t port = 0;

 private:
  int listener_ = -1;
  int fillers_[4] = {};
};

TEST(Dialer, BlackHoledAddressDoesNotHoldUpTheNext) {
  const BlackHole hole;
  FakeServer server(wait_for_the_end(), {.tls = false});
  auto options = options_for({endpoint("127.0.0.1", hole.port), endpoint("127.0.0.1", server.port())});
  options.connect_timeout = std::chrono::hours(1);  // of the first: the next does not wait for it
  options.next_address_after = milliseconds(20);
  const Dial dial(options);
  EXPECT_TRUE(dial.result.ok) << dial.result.detail;
  EXPECT_EQ(dial.result.detail, "127.0.0.1:" + std::to_string(server.port()));
}

TEST(Dialer, RefusalIsFollowedByTheNextAddressAtOnce) {
  FakeServer server(wait_for_the_end(), {.tls = false});
  std::uint16_t nobody = 0;
  {
    nobody = FakeServer([](Connection&) {}).port();
  }
  auto options = options_for(
      {endpoint("127.0.0.1", nobody), endpoint("127.0.0.1", nobody), endpoint("127.0.0.1", server.port())});
  options.next_address_after = std::chrono::hours(1);  // a refusal starts the next at once
  const Dial dial(options);
  EXPECT_TRUE(dial.result.ok) << dial.result.detail;
}

TEST(Dialer, EveryAddressIsNamedWithItsReason) {
  const BlackHole hole;
  std::uint16_t nobody = 0;
  {
    nobody = FakeServer([](Connection&) {}).port();
  }
  auto options = options_for({endpoint("127.0.0.1", hole.port), endpoint("127.0.0.1", nobody)});
  options.connect_timeout = milliseconds(60);
  options.next_address_after = milliseconds(10);
  const Dial dial(options);
  EXPECT_FALSE(dial.result.ok);
  EXPECT_EQ(dial.result.step, DialStep::Connect);
  EXPECT_FALSE(dial.result.timed_out);  // not all of them
  const std::string refused = "127.0.0.1:" + std::to_string(nobody) + ": Connection refused";
  const std::string silent = "127.0.0.1:" + std::to_string(hole.port) + ": timed out after 60 ms";
  EXPECT_EQ(dial.result.detail, "TCP connect to localhost:80: " + refused + "; " + silent);
}

TEST(Dialer, OnlyBlackHolesAreATimeOut) {
  const BlackHole first;
  const BlackHole second;
  auto options = options_for({endpoint("127.0.0.1", first.port), endpoint("127.0.0.1", second.port)});
  options.connect_timeout = milliseconds(40);
  options.next_address_after = milliseconds(10);
  const Dial dial(options);
  EXPECT_FALSE(dial.result.ok);
  EXPECT_TRUE(dial.result.timed_out);
}

TEST(Dialer, Ipv6WithoutRouteFallsThroughToIpv4AtOnce) {
  FakeServer server(wait_for_the_end(), {.tls = false});
  auto options = options_for({});
  // Certified traffic would go anywhere; a plain one is limited to loopback, so this says it is TLS.
  options.url = *parse_url("wss://localhost");
  // A link-local address without its interface can't be routed, on any machine.
  options.addresses = {endpoint("fe80::1", 1), endpoint("fe80::2", 1), endpoint("127.0.0.1", server.port())};
  options.next_address_after = std::chrono::hours(1);
  const Dial dial(options);
  EXPECT_TRUE(dial.result.ok) << dial.result.detail;
}

TEST(Dialer, FamiliesTakeTurns) {
  std::uint16_t nobody = 0;
  {
    nobody = FakeServer([](Connection&) {}).port();
  }
  auto options = options_for({});
  options.url = *parse_url("wss://localhost");
  options.addresses = {endpoint("127.0.0.1", nobody), endpoint("127.0.0.2", nobody), endpoint("fe80::1", 1)};
  options.next_address_after = std::chrono::hours(1);
  const Dial dial(options);
  EXPECT_FALSE(dial.result.ok);
  const std::size_t second = dial.result.detail.find("; [fe80::1]:1: ");
  EXPECT_NE(second, std::string::npos) << dial.result.detail;
  EXPECT_LT(second, dial.result.detail.find("; 127.0.0.2:")) << dial.result.detail;
}

TEST(Dialer, UnverifiedConnectionGoesToLoopbackOnlyWhateverTheNameResolvesTo) {
  auto options = options_for({endpoint("192.0.2.1", 80)});  // the name says localhost
  const Dial dial(options);
  EXPECT_FALSE(dial.result.ok);
  EXPECT_EQ(dial.result.detail,
            "resolve localhost:80: not a loopback address, which an unverified connection needs");
}

// ---------------------------------------------------------------- socket options

class LogOf {
 public:
  LogOf() {
    lines().clear();
    core::set_log_sink([](core::LogLevel, std::string_view line) { lines().emplace_back(line); });
  }
  ~LogOf() { core::set_log_sink(nullptr); }
  static std::vector<std::string>& lines() {
    static std::vector<std::string> all;  // written by the loop's thread, read after it was joined
    return all;
  }
};

int value_of(Transport& transport, int level, int name) {
  int value = -1;
  socklen_t size = sizeof value;
  ::getsockopt(transport.lowest_layer().native_handle(), level, name, &value, &size);
  return value;
}

TEST(DialerSocket, NoDelayIsOnUnlessSwitchedOff) {
  FakeServer server(wait_for_the_end(), {.tls = false});
  auto options = options_for({endpoint("127.0.0.1", server.port())});
  EXPECT_EQ(value_of(*Dial(options).transport, IPPROTO_TCP, 1 /* TCP_NODELAY */), 1);
  options.socket.tcp_nodelay = false;
  EXPECT_EQ(value_of(*Dial(options).transport, IPPROTO_TCP, 1 /* TCP_NODELAY */), 0);
}

TEST(DialerSocket, ReceiveBufferIsSetAndLessThanAskedIsLogged) {
  FakeServer server(wait_for_the_end(), {.tls = false});
  auto options = options_for({endpoint("127.0.0.1", server.port())});
  options.socket.receive_buffer = 64 * 1024;
  {
    const LogOf log;
    // Linux doubles what is asked for.
    EXPECT_EQ(value_of(*Dial(options).transport, SOL_SOCKET, SO_RCVBUF), 2 * 64 * 1024);
    EXPECT_TRUE(LogOf::lines().empty()) << LogOf::lines()[0];
  }
  options.socket.receive_buffer = 1 << 30;  // above any net.core.rmem_max
  const LogOf log;
  EXPECT_LT(value_of(*Dial(options).transport, SOL_SOCKET, SO_RCVBUF), 1 << 30);
  ASSERT_EQ(LogOf::lines().size(), 1u);
  EXPECT_TRUE(LogOf::lines()[0].starts_with("socket.option_reduced option=SO_RCVBUF ")) << LogOf::lines()[0];
}

TEST(DialerSocket, BusyPollIsSetOrItsRefusalLoggedAndTheConnectionComesUp) {
  FakeServer server(wait_for_the_end(), {.tls = false});
  auto options = options_for({endpoint("127.0.0.1", server.port())});
  options.socket.busy_poll_us = 50;
  const LogOf log;
  const Dial dial(options);
  EXPECT_TRUE(dial.result.ok);
  const bool set = value_of(*dial.transport, SOL_SOCKET, SO_BUSY_POLL) == 50;
  const bool told = LogOf::lines().size() == 1 &&
                    LogOf::lines()[0].starts_with("socket.option_refused option=SO_BUSY_POLL ");
  EXPECT_NE(set, told) << LogOf::lines().size();
}

}  // namespace
}  // namespace mdp::net::test
