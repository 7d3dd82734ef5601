// Dialer: opens a Transport step by step: resolve, TCP connect, the proxy's CONNECT where there is one, TLS
// handshake. Each step has its own time-out and its own words when it fails. Private to net. Loop thread
// only.
#pragma once

#include "mdp/net/boost_config.hpp"
//
#include <array>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "mdp/net/line_settings.hpp"
#include "mdp/net/name_lookup.hpp"
#include "mdp/net/proxy.hpp"
#include "mdp/net/transport.hpp"

namespace mdp::net {

// One address, "1.2.3.4:443" or "[::1]:443".
std::string to_string(const tcp::endpoint& endpoint);

enum class DialStep : std::uint8_t { Resolve, Connect, Proxy, Tls };
std::string_view to_string(DialStep step) noexcept;  // "resolve", "connect", "proxy", "tls"

struct DialOptions {
  Url url;
  TlsOptions tls;
  std::optional<Proxy> proxy;  // then the first two steps are about its host
  SocketOptions socket;
  std::chrono::milliseconds resolve_timeout = kStepTimeout;
  std::chrono::milliseconds connect_timeout = kStepTimeout;  // per address
  std::chrono::milliseconds proxy_timeout = kStepTimeout;
  std::chrono::milliseconds tls_timeout = kStepTimeout;
  // An address that has not answered for so long gets company by the next one (RFC 8305 section 5).
  std::chrono::milliseconds next_address_after{250};
  std::vector<tcp::endpoint> addresses;  // instead of what the name resolves to; empty but in tests
};

struct DialResult {
  bool ok = false;
  DialStep step = DialStep::Resolve;  // the one that failed
  bool timed_out = false;
  std::string detail;  // for people: step, host, port, reason of each address; after success the address
};

class Dialer : public std::enable_shared_from_this<Dialer> {
 public:
  using Done = std::function<void(DialResult)>;

  Dialer(IoLoop::Impl& loop, const DialOptions& options, Transport& transport);

  // Once. `done` is called once, unless cancel() comes first. `owner` keeps the transport alive: socket
  // operations that were given up still end, later, and touch it.
  void start(std::shared_ptr<void> owner, Done done);
  // Drops `done` and closes the sockets.
  void cancel() noexcept;

  // Where it is, for a caller with a time-out of its own: the step, and the words every failure of it begins
  // with.
  DialStep step() const noexcept { return step_; }
  std::string step_text() const;

 private:
  // A TCP connection to one address. The first that comes about wins.
  struct Attempt {
    Attempt(IoLoop::Impl& loop, const tcp::endpoint& endpoint)
        : address(endpoint), socket(loop.io), timer(loop.io) {}
    tcp::endpoint address;
    Socket socket;
    asio::steady_timer timer;
    bool over = false;
  };

  const Url& peer() const noexcept { return options_.proxy ? options_.proxy->url : options_.url; }
  void arm_timer(std::chrono::milliseconds timeout);
  void resolve();
  void on_resolved(error_code ec, std::vector<tcp::endpoint> addresses);
  void connect_next();
  void on_connected(error_code ec, std::size_t index);
  void on_address_failed(std::size_t index, const std::string& why);
  void give_up_attempts() noexcept;
  void apply_socket_options(Socket& socket, const tcp::endpoint& address);
  void on_tcp_up(Attempt& winner);
  void ask_proxy();
  void read_proxy_answer();
  void on_proxy_answer(error_code ec, std::size_t bytes);
  void secure();
  void handshake();
  void on_handshake(error_code ec);
  void finish(DialResult result);
  void fail(bool timed_out, const std::string& what);

  IoLoop::Impl& loop_;
  DialOptions options_;
  Transport* transport_;
  std::optional<NameLookup> lookup_;  // while a name is being resolved
  asio::steady_timer timer_;
  std::shared_ptr<void> owner_;  // until done or cancelled; then only operations under way hold it
  Done done_;
  DialStep step_ = DialStep::Resolve;
  std::uint64_t timer_round_ = 0;  // a timer that fired while it was being armed anew is not ours
  std::vector<tcp::endpoint> addresses_;
  std::vector<std::unique_ptr<Attempt>> attempts_;  // one per address tried so far, in that order
  std::size_t failed_attempts_ = 0;
  std::size_t timed_out_attempts_ = 0;
  std::string failures_;  // "address: reason; address: reason"
  std::string address_;   // the one connected to
  std::string proxy_text_;
  std::array<char, 1024> proxy_buffer_;
};

}  // namespace mdp::net
