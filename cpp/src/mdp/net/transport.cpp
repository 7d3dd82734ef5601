#include "mdp/net/transport.hpp"

#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <sys/socket.h>

#include <boost/asio/bind_allocator.hpp>
#include <cerrno>
#include <utility>

#include "mdp/core/error.hpp"
#include "mdp/core/log.hpp"
#include "mdp/sys/clock.hpp"

namespace mdp::net {
namespace {

std::string ms(std::chrono::milliseconds duration) { return std::to_string(duration.count()) + " ms"; }

bool is_ip_address(const std::string& host) {
  error_code ec;
  asio::ip::make_address(host, ec);
  return !ec;
}

}  // namespace

bool TcpStream::read_now(asio::mutable_buffer buffer, error_code& ec, std::size_t& bytes) noexcept {
  ssize_t n;
  do {
    n = ::recv(socket_.native_handle(), buffer.data(), buffer.size(), MSG_DONTWAIT);
  } while (n < 0 && errno == EINTR);
  if (n > 0) {
    const std::int64_t now_ns = sys::now_ns();
    traffic_.last_read_ns = now_ns;
    // relaxed: a statistic, orders nothing; partner is the load in ExchangeConnector::last_traffic_ns().
    traffic_.shared_read_ns.store(now_ns, std::memory_order_relaxed);
    bytes = static_cast<std::size_t>(n);
    traffic_.bytes.add(bytes);
    traffic_.reads.add();
    drained_ = bytes < buffer.size();
    return true;
  }
  if (n == 0) {
    ec = asio::error::eof;
    return true;
  }
  if (errno == EAGAIN || errno == EWOULDBLOCK) {
    drained_ = true;
    return false;
  }
  ec = error_code(errno, boost::system::system_category());
  return true;
}

std::optional<asio::ssl::context> make_tls_context(const Url& url, const TlsOptions& options) {
  const bool loopback = is_loopback_host(url.host);
  if (!url.secure()) {
    if (!loopback) {
      throw ConfigError(url.scheme + "://" + url.authority() +
                        ": connections without TLS are allowed to loopback " + "hosts only; use " +
                        (url.scheme == "ws" ? "wss" : "https"));
    }
    return std::nullopt;
  }
  std::optional<asio::ssl::context> context(std::in_place, asio::ssl::context::tls_client);
  SSL_CTX_set_min_proto_version(context->native_handle(), TLS1_2_VERSION);
  if (options.insecure_skip_verify) {
    if (!loopback) {
      throw ConfigError(url.authority() +
                        ": insecure_skip_verify is allowed for loopback hosts only; to trust a " +
                        "private certificate authority set ca_file");
    }
    core::log(core::LogLevel::Warning,
              "tls.verify_off host=" + url.authority() + " reason=insecure_skip_verify");
    context->set_verify_mode(asio::ssl::verify_none);
    return context;
  }
  error_code ec;
  if (options.ca_file.empty()) {
    context->set_default_verify_paths(ec);
  } else {
    context->load_verify_file(options.ca_file, ec);
  }
  if (ec) {
    throw ConfigError("ca_file '" + options.ca_file +
                      "': cannot be read as PEM certificates: " + describe(ec));
  }
  context->set_verify_mode(asio::ssl::verify_peer);
  return context;
}

std::string to_string(const tcp::endpoint& endpoint) {
  const std::string address = endpoint.address().to_string();
  return (endpoint.address().is_v6() ? "[" + address + "]" : address) + ":" + std::to_string(endpoint.port());
}

std::string describe(const error_code& ec) {
  std::string text = ec.message();
  const auto cut = text.find(" (SSL routines");
  return cut == std::string::npos ? text : text.substr(0, cut);
}

Dialer::Dialer(IoLoop::Impl& loop, const DialOptions& options, Transport& transport)
    : options_(options), transport_(&transport), resolver_(loop.io), timer_(loop.io) {}

void Dialer::start(std::shared_ptr<void> owner, Done done) {
  owner_ = std::move(owner);
  done_ = std::move(done);
  resolve();
}

void Dialer::cancel() noexcept {
  if (!done_) return;
  done_ = nullptr;
  const auto keep = std::move(owner_);
  try {
    timer_.cancel();
    resolver_.cancel();
  } catch (...) {  // out of memory inside Asio: the handlers find done_ empty anyway
  }
  transport_->close();
}

void Dialer::arm_timer(std::chrono::milliseconds timeout) {
  timeout_ = timeout;
  timer_.expires_after(timeout);
  timer_.async_wait([self = shared_from_this(), round = ++timer_round_](error_code ec) {
    if (!ec && self->done_ && round == self->timer_round_) self->on_timeout();
  });
}

void Dialer::resolve() {
  step_ = DialStep::Resolve;
  error_code not_an_address;
  const auto address = asio::ip::make_address(options_.url.host, not_an_address);
  if (!not_an_address) {
    // Through the loop: done() must not be called from within start().
    asio::post(resolver_.get_executor(), [self = shared_from_this(), address] {
      if (self->done_) self->on_resolved({}, {tcp::endpoint(address, self->options_.url.port)});
    });
    return;
  }
  arm_timer(options_.resolve_timeout);
  resolver_.async_resolve(options_.url.host, std::to_string(options_.url.port), Resolver::numeric_service,
                          [self = shared_from_this()](error_code ec, const Resolver::results_type& results) {
                            if (!self->done_ || self->step_ != DialStep::Resolve) return;
                            std::vector<tcp::endpoint> addresses;
                            for (const auto& entry : results) addresses.push_back(entry.endpoint());
                            self->on_resolved(ec, std::move(addresses));
                          });
}

void Dialer::on_resolved(error_code ec, std::vector<tcp::endpoint> addresses) {
  if (ec) return fail(false, describe(ec));
  // A loopback name may be pointed elsewhere by a hosts file: what makes it harmless is the address.
  const bool loopback_only = !options_.url.secure() || options_.tls.insecure_skip_verify;
  if (loopback_only) {
    std::erase_if(addresses, [](const tcp::endpoint& e) { return !e.address().is_loopback(); });
    if (addresses.empty()) return fail(false, "not a loopback address, which an unverified connection needs");
  }
  if (addresses.empty()) return fail(false, "no address");
  addresses_ = std::move(addresses);
  step_ = DialStep::Connect;
  connect_next();
}

void Dialer::connect_next() {
  if (next_address_ == addresses_.size()) {
    const bool timed_out = failures_.find("timed out after") != std::string::npos && addresses_.size() == 1;
    return fail(timed_out, failures_);
  }
  const tcp::endpoint address = addresses_[next_address_];
  const std::size_t attempt = next_address_++;
  Socket& socket = transport_->lowest_layer();
  error_code ec;
  socket.close(ec);
  socket.open(address.protocol(), ec);
  arm_timer(options_.connect_timeout);
  if (ec) {
    // No such address family on this host: through the loop, like any other failure.
    asio::post(socket.get_executor(),
               [self = shared_from_this(), ec, attempt] { self->on_connected(ec, attempt); });
    return;
  }
  apply_socket_options(address);
  socket.async_connect(address, [self = shared_from_this(), keep = owner_, attempt](error_code connect_ec) {
    self->on_connected(connect_ec, attempt);
  });
}

void Dialer::on_connected(error_code ec, std::size_t attempt) {
  // A late answer of an address that was given up counts for nothing.
  if (!done_ || step_ != DialStep::Connect || attempt + 1 != next_address_) return;
  if (ec) {
    failures_ += (failures_.empty() ? "" : "; ") + to_string(addresses_[attempt]) + ": " + describe(ec);
    return connect_next();
  }
  transport_->tcp_stream().reset();
  if (transport_->tls_stream() == nullptr) {
    return finish({true, DialStep::Connect, false, to_string(addresses_[attempt])});
  }
  step_ = DialStep::Tls;
  handshake();
}

void Dialer::apply_socket_options(const tcp::endpoint& address) {
  Socket& socket = transport_->lowest_layer();
  const auto warn = [&](std::string_view option, const error_code& ec) {
    if (ec) {
      core::log(core::LogLevel::Warning, "socket.option_refused option=" + std::string(option) + " address=" +
                                             to_string(address) + " reason=\"" + ec.message() + "\"");
    }
  };
  error_code ec;
  if (options_.tcp_nodelay) {
    socket.set_option(tcp::no_delay(true), ec);
    warn("TCP_NODELAY", ec);
  }
  if (options_.receive_buffer_bytes > 0) {
    // Before connect: the window scale is agreed on there.
    ec = {};
    socket.set_option(Socket::receive_buffer_size(options_.receive_buffer_bytes), ec);
    warn("SO_RCVBUF", ec);
  }
#ifdef SO_BUSY_POLL
  if (options_.busy_poll_us > 0) {
    ec = {};
    socket.set_option(asio::detail::socket_option::integer<SOL_SOCKET, SO_BUSY_POLL>(options_.busy_poll_us),
                      ec);
    warn("SO_BUSY_POLL", ec);
  }
#endif
}

void Dialer::handshake() {
  SSL* ssl = transport_->tls_stream()->native_handle();
  const std::string& name = options_.tls.server_name.empty() ? options_.url.host : options_.tls.server_name;
  // An address is checked against the certificate's addresses, and never sent as server name (RFC 6066).
  const bool by_address = is_ip_address(name);
  // What SSL_set_tlsext_host_name() does, without its C cast.
  bool ok = by_address || SSL_ctrl(ssl, SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name,
                                   const_cast<char*>(name.c_str())) == 1;
  if (!options_.tls.insecure_skip_verify) {
    X509_VERIFY_PARAM* verify = SSL_get0_param(ssl);
    X509_VERIFY_PARAM_set_hostflags(verify, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    ok = ok && (by_address ? X509_VERIFY_PARAM_set1_ip_asc(verify, name.c_str())
                           : X509_VERIFY_PARAM_set1_host(verify, name.c_str(), name.size())) == 1;
  }
  if (!ok) return fail(false, "cannot set the server name '" + name + "'");
  arm_timer(options_.tls_timeout);
  transport_->tls_stream()->async_handshake(asio::ssl::stream_base::client,
                                            [self = shared_from_this(), keep = owner_](error_code ec) {
                                              if (self->done_) self->on_handshake(ec);
                                            });
}

void Dialer::on_handshake(error_code ec) {
  if (!ec) return finish({true, DialStep::Tls, false, to_string(addresses_[next_address_ - 1])});
  const long verify = SSL_get_verify_result(transport_->tls_stream()->native_handle());
  std::string what = describe(ec);
  if (verify != X509_V_OK) {
    const std::string& name = options_.tls.server_name.empty() ? options_.url.host : options_.tls.server_name;
    what =
        "certificate refused: " + std::string(X509_verify_cert_error_string(verify)) + " (expected name " +
        name +
        (options_.tls.ca_file.empty() ? ", system's CA store)" : ", CA file " + options_.tls.ca_file + ")");
  }
  fail(false, what);
}

void Dialer::on_timeout() {
  const std::string what = "timed out after " + ms(timeout_);
  if (step_ != DialStep::Connect) return fail(true, what);
  failures_ += (failures_.empty() ? "" : "; ") + to_string(addresses_[next_address_ - 1]) + ": " + what;
  connect_next();
}

void Dialer::finish(DialResult result) {
  timer_.cancel();
  const auto keep = std::move(owner_);
  std::exchange(done_, nullptr)(std::move(result));
}

void Dialer::fail(bool timed_out, std::string what) {
  static constexpr const char* kStep[] = {"resolve ", "TCP connect to ", "TLS handshake with "};
  transport_->close();
  resolver_.cancel();
  finish({false, step_, timed_out, kStep[static_cast<int>(step_)] + options_.url.authority() + ": " + what});
}

}  // namespace mdp::net
