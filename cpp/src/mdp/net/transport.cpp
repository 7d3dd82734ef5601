#include "mdp/net/transport.hpp"

#include <openssl/ssl.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "mdp/core/error.hpp"
#include "mdp/core/log.hpp"
#include "mdp/sys/clock.hpp"

namespace mdp::net {
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

namespace {

std::optional<asio::ssl::context> tls_context(const Url& url, const TlsOptions& options) {
  const bool loopback = is_loopback_host(url.host);
  MDP_ASSERT(url.secure() || loopback);  // checked_endpoint() sees to it
  if (!url.secure()) return std::nullopt;
  std::optional<asio::ssl::context> context(std::in_place, asio::ssl::context::tls_client);
  SSL_CTX_set_min_proto_version(context->native_handle(), TLS1_2_VERSION);
  if (options.insecure_skip_verify) {
    if (!loopback) {
      throw ConfigError(url.authority() +
                        ": insecure_skip_verify is allowed for loopback hosts only; to trust a " +
                        "private certificate authority set ca_file");
    }
    context->set_verify_mode(asio::ssl::verify_none);
    return context;
  }
  error_code ec;
  if (options.ca_file.empty()) {
    context->set_default_verify_paths(ec);
    if (ec)
      throw ConfigError("tls: the system's CA store cannot be read (" + describe(ec) + "); name a ca_file");
  } else {
    context->load_verify_file(options.ca_file, ec);
    if (ec) {
      throw ConfigError(
          "tls.ca_file '" + options.ca_file + "': cannot be read as PEM certificates: " + describe(ec) +
          "; name a file of certificates in PEM form that this user may read, or leave it out for the " +
          "system's CA store");
    }
  }
  context->set_verify_mode(asio::ssl::verify_peer);
  return context;
}

}  // namespace

std::optional<asio::ssl::context> make_tls_context(const Url& url, const TlsOptions& options) {
  auto context = tls_context(url, options);
  if (context && options.insecure_skip_verify) {
    core::log(core::LogLevel::Warning,
              "tls.verify_off host=" + url.authority() + " reason=insecure_skip_verify");
  }
  return context;
}

void check_tls(const Url& url, const TlsOptions& options) { tls_context(url, options); }

std::string describe(const error_code& ec) {
  std::string text = ec.message();
  // OpenSSL names the part of itself: "certificate verify failed (SSL routines)".
  if (text.ends_with(" routines)")) text.resize(std::min(text.size(), text.rfind(" (")));
  return text;
}

}  // namespace mdp::net
