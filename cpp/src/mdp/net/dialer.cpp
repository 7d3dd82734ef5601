#include "mdp/net/dialer.hpp"

#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <sys/socket.h>

#include <algorithm>
#include <boost/asio/post.hpp>
#include <boost/asio/write.hpp>
#include <utility>

#include "mdp/core/log.hpp"

namespace mdp::net {
namespace {

std::string after(std::chrono::milliseconds timeout) {
  return "timed out after " + std::to_string(timeout.count()) + " ms";
}

bool is_ip_address(const std::string& host) {
  error_code ec;
  asio::ip::make_address(host, ec);
  return !ec;
}

// The resolver's order, but the two families in turn: where one of them has no way out, every second address
// still has (RFC 8305 section 4).
std::vector<tcp::endpoint> interleaved(const std::vector<tcp::endpoint>& addresses) {
  std::vector<tcp::endpoint> families[2];
  const auto family_of = [&](const tcp::endpoint& e) { return e.protocol() != addresses[0].protocol(); };
  for (const auto& address : addresses) families[family_of(address)].push_back(address);
  std::vector<tcp::endpoint> mixed;
  for (std::size_t i = 0; mixed.size() < addresses.size(); ++i) {
    for (const auto& family : families) {
      if (i < family.size()) mixed.push_back(family[i]);
    }
  }
  return mixed;
}

}  // namespace

std::string to_string(const tcp::endpoint& endpoint) {
  const std::string address = endpoint.address().to_string();
  return (endpoint.address().is_v6() ? "[" + address + "]" : address) + ":" + std::to_string(endpoint.port());
}

std::string_view to_string(DialStep step) noexcept {
  switch (step) {
    case DialStep::Resolve:
      return "resolve";
    case DialStep::Connect:
      return "connect";
    case DialStep::Proxy:
      return "proxy";
    case DialStep::Tls:
      return "tls";
  }
  return "unknown";
}

Dialer::Dialer(IoLoop::Impl& loop, const DialOptions& options, Transport& transport)
    : loop_(loop), options_(options), transport_(&transport), timer_(loop.io) {}

void Dialer::start(std::shared_ptr<void> owner, Done done) {
  owner_ = std::move(owner);
  done_ = std::move(done);
  resolve();
}

void Dialer::cancel() noexcept {
  if (!done_) return;
  done_ = nullptr;
  const auto keep = std::move(owner_);
  lookup_.reset();
  try {
    timer_.cancel();
  } catch (...) {  // out of memory inside Asio: the handlers find done_ empty anyway
  }
  give_up_attempts();
  transport_->close();
}

// For the steps that stand alone; each address of the step Connect has a timer of its own.
void Dialer::arm_timer(std::chrono::milliseconds timeout) {
  timer_.expires_after(timeout);
  timer_.async_wait([self = shared_from_this(), timeout, round = ++timer_round_](error_code ec) {
    if (!ec && self->done_ && round == self->timer_round_) self->fail(true, after(timeout));
  });
}

// ---------------------------------------------------------------- resolve

void Dialer::resolve() {
  step_ = DialStep::Resolve;
  error_code not_an_address;
  const auto address = asio::ip::make_address(peer().host, not_an_address);
  if (!not_an_address) options_.addresses = {tcp::endpoint(address, peer().port)};
  if (!options_.addresses.empty()) {
    // Through the loop: done() must not be called from within start().
    asio::post(loop_.io, [self = shared_from_this()] {
      if (self->done_) self->on_resolved({}, self->options_.addresses);
    });
    return;
  }
  arm_timer(options_.resolve_timeout);
  lookup_.emplace(loop_, peer().host, peer().port,
                  [weak = weak_from_this()](error_code ec, std::vector<tcp::endpoint> addresses) {
                    const auto self = weak.lock();
                    if (self && self->done_) self->on_resolved(ec, std::move(addresses));
                  });
}

void Dialer::on_resolved(error_code ec, std::vector<tcp::endpoint> addresses) {
  if (ec) return fail(false, describe(ec));
  // A loopback name may be pointed elsewhere by a hosts file: what makes it harmless is the address. Through
  // a proxy, whose resolver we do not see, it is that the proxy is on this machine.
  const bool loopback_only = !options_.url.secure() || options_.tls.insecure_skip_verify;
  if (loopback_only) {
    std::erase_if(addresses, [](const tcp::endpoint& e) { return !e.address().is_loopback(); });
    if (addresses.empty()) return fail(false, "not a loopback address, which an unverified connection needs");
  }
  if (addresses.empty()) return fail(false, "no address");
  addresses_ = interleaved(addresses);
  step_ = DialStep::Connect;
  connect_next();
}

// ---------------------------------------------------------------- TCP connect

void Dialer::connect_next() {
  const std::size_t index = attempts_.size();
  attempts_.push_back(std::make_unique<Attempt>(loop_, addresses_[index]));
  Attempt& attempt = *attempts_.back();
  attempt.timer.expires_after(options_.connect_timeout);
  attempt.timer.async_wait([self = shared_from_this(), index](error_code ec) {
    if (ec || !self->done_ || self->attempts_[index]->over) return;
    ++self->timed_out_attempts_;
    self->on_address_failed(index, after(self->options_.connect_timeout));
  });
  if (attempts_.size() < addresses_.size()) {
    timer_.expires_after(options_.next_address_after);
    timer_.async_wait([self = shared_from_this(), round = ++timer_round_](error_code ec) {
      if (!ec && self->done_ && round == self->timer_round_) self->connect_next();
    });
  }
  error_code ec;
  attempt.socket.open(attempt.address.protocol(), ec);
  if (ec) {
    // No such address family on this host: through the loop, like any other failure.
    asio::post(loop_.io, [self = shared_from_this(), ec, index] { self->on_connected(ec, index); });
    return;
  }
  apply_socket_options(attempt.socket, attempt.address);
  attempt.socket.async_connect(attempt.address, [self = shared_from_this(), index](error_code connect_ec) {
    self->on_connected(connect_ec, index);
  });
}

void Dialer::on_connected(error_code ec, std::size_t index) {
  Attempt& attempt = *attempts_[index];
  // A late answer of an address that was given up counts for nothing.
  if (!done_ || attempt.over) return;
  if (ec) return on_address_failed(index, describe(ec));
  on_tcp_up(attempt);
}

void Dialer::on_address_failed(std::size_t index, const std::string& why) {
  Attempt& attempt = *attempts_[index];
  attempt.over = true;
  attempt.timer.cancel();
  error_code ignored;
  attempt.socket.close(ignored);
  ++failed_attempts_;
  failures_ += (failures_.empty() ? "" : "; ") + to_string(attempt.address) + ": " + why;
  // An address that failed is followed by the next at once.
  if (attempts_.size() < addresses_.size()) return connect_next();
  if (failed_attempts_ == addresses_.size()) fail(timed_out_attempts_ == addresses_.size(), failures_);
}

void Dialer::give_up_attempts() noexcept {
  for (const auto& attempt : attempts_) {
    if (std::exchange(attempt->over, true)) continue;
    error_code ignored;
    attempt->socket.close(ignored);
    try {
      attempt->timer.cancel();
    } catch (...) {  // out of memory inside Asio: the handler finds `over`
    }
  }
}

void Dialer::on_tcp_up(Attempt& winner) {
  transport_->lowest_layer() = std::move(winner.socket);
  transport_->tcp_stream().reset();
  address_ = to_string(winner.address);
  give_up_attempts();
  timer_.cancel();
  ++timer_round_;
  if (options_.proxy) return ask_proxy();
  secure();
}

void Dialer::apply_socket_options(Socket& socket, const tcp::endpoint& address) {
  const auto warn = [&](std::string_view event, std::string_view option, const std::string& what) {
    core::log(core::LogLevel::Warning, std::string(event) + " option=" + std::string(option) +
                                           " address=" + to_string(address) + " " + what);
  };
  const auto refused = [&](std::string_view option, const error_code& ec) {
    if (ec) warn("socket.option_refused", option, "reason=\"" + ec.message() + "\"");
  };
  error_code ec;
  if (options_.socket.tcp_nodelay) {
    socket.set_option(tcp::no_delay(true), ec);
    refused("TCP_NODELAY", ec);
  }
  if (const int asked = options_.socket.receive_buffer; asked > 0) {
    // Before connect: the window scale is agreed on there.
    ec = {};
    socket.set_option(Socket::receive_buffer_size(asked), ec);
    refused("SO_RCVBUF", ec);
    // Linux gives no more than net.core.rmem_max, without an error, and reports twice what it gives.
    Socket::receive_buffer_size got;
    if (!ec) socket.get_option(got, ec);
    if (!ec && got.value() < asked) {
      warn("socket.option_reduced", "SO_RCVBUF",
           "asked=" + std::to_string(asked) + " got=" + std::to_string(got.value()));
    }
  }
  if (options_.socket.busy_poll_us > 0) {
#ifdef SO_BUSY_POLL
    ec = {};
    socket.set_option(
        asio::detail::socket_option::integer<SOL_SOCKET, SO_BUSY_POLL>(options_.socket.busy_poll_us), ec);
#else
    ec = asio::error::operation_not_supported;
#endif
    refused("SO_BUSY_POLL", ec);
  }
}

// ---------------------------------------------------------------- proxy

void Dialer::ask_proxy() {
  step_ = DialStep::Proxy;
  arm_timer(options_.proxy_timeout);
  proxy_text_ = connect_request(*options_.proxy, options_.url);
  asio::async_write(transport_->lowest_layer(), asio::buffer(proxy_text_),
                    [self = shared_from_this(), keep = owner_](error_code ec, std::size_t) {
                      if (!self->done_) return;
                      self->proxy_text_.clear();
                      if (ec) return self->fail(false, describe(ec));
                      self->read_proxy_answer();
                    });
}

void Dialer::read_proxy_answer() {
  transport_->lowest_layer().async_read_some(
      asio::buffer(proxy_buffer_),
      [self = shared_from_this(), keep = owner_](error_code ec, std::size_t bytes) {
        if (self->done_) self->on_proxy_answer(ec, bytes);
      });
}

void Dialer::on_proxy_answer(error_code ec, std::size_t bytes) {
  if (ec == asio::error::eof) return fail(false, "the proxy closed the connection without an answer");
  if (ec) return fail(false, describe(ec));
  proxy_text_.append(proxy_buffer_.data(), bytes);
  // Told by its first line already, so that a refusal is not kept waiting for the end of its header.
  if (proxy_text_.find("\r\n") != std::string::npos || proxy_text_.size() > kMaxProxyAnswerBytes) {
    if (const std::string refusal = proxy_refusal(*options_.proxy, proxy_text_); !refusal.empty()) {
      return fail(false, refusal);
    }
  }
  const std::size_t end = proxy_text_.find("\r\n\r\n");
  if (end == std::string::npos) {
    if (proxy_text_.size() <= kMaxProxyAnswerBytes) return read_proxy_answer();
    return fail(false,
                "the answer's header is longer than " + std::to_string(kMaxProxyAnswerBytes) + " bytes");
  }
  // In TLS and in WebSocket the client speaks first, so nothing can follow yet.
  if (end + 4 != proxy_text_.size()) return fail(false, "the proxy sent bytes behind its answer");
  secure();
}

// ---------------------------------------------------------------- TLS

void Dialer::secure() {
  if (transport_->tls_stream() == nullptr) return finish({true, step_, false, address_});
  handshake();
}

void Dialer::handshake() {
  step_ = DialStep::Tls;
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
  if (!ec) return finish({true, DialStep::Tls, false, address_});
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

// ---------------------------------------------------------------- the end

void Dialer::finish(DialResult result) {
  timer_.cancel();
  ++timer_round_;
  const auto keep = std::move(owner_);
  std::exchange(done_, nullptr)(std::move(result));
}

std::string Dialer::step_text() const {
  const std::string host = (options_.proxy ? "proxy " : "") + peer().authority();
  switch (step_) {
    case DialStep::Resolve:
      return "resolve " + host;
    case DialStep::Connect:
      return "TCP connect to " + host;
    case DialStep::Proxy:
      return "CONNECT to " + options_.url.authority() + " through " + host;
    case DialStep::Tls:
      return "TLS handshake with " + options_.url.authority();
  }
  return "connect to " + host;
}

void Dialer::fail(bool timed_out, const std::string& what) {
  give_up_attempts();
  transport_->close();
  lookup_.reset();
  finish({false, step_, timed_out, step_text() + ": " + what});
}

}  // namespace mdp::net
