#include "mdp/net/exchange_connector.hpp"

#include <utility>

#include "mdp/core/error.hpp"
#include "mdp/core/log.hpp"
#include "mdp/core/text.hpp"
#include "mdp/net/exchange_connector_impl.hpp"
#include "mdp/net/session.hpp"
#include "mdp/sys/clock.hpp"

namespace mdp::net {

using std::chrono::milliseconds;

std::string_view to_string(LineReason reason) noexcept {
  switch (reason) {
    case LineReason::Starting:
      return "starting";
    case LineReason::Retrying:
      return "retrying";
    case LineReason::Limited:
      return "limited";
    case LineReason::Preparing:
      return "preparing";
    case LineReason::Connected:
      return "connected";
    case LineReason::PrepareFailed:
      return "prepare_failed";
    case LineReason::ResolveFailed:
      return "resolve_failed";
    case LineReason::ConnectFailed:
      return "connect_failed";
    case LineReason::ProxyFailed:
      return "proxy_failed";
    case LineReason::TlsFailed:
      return "tls_failed";
    case LineReason::UpgradeFailed:
      return "upgrade_failed";
    case LineReason::Timeout:
      return "timeout";
    case LineReason::Unanswered:
      return "unanswered";
    case LineReason::Idle:
      return "idle";
    case LineReason::ClosedByVenue:
      return "closed_by_venue";
    case LineReason::ConnectionLost:
      return "connection_lost";
    case LineReason::ProtocolError:
      return "protocol_error";
    case LineReason::FrameTooLarge:
      return "frame_too_large";
    case LineReason::OutOfMemory:
      return "out_of_memory";
    case LineReason::Requested:
      return "requested";
    case LineReason::Stopped:
      return "stopped";
  }
  return "unknown";
}

namespace {

Url checked_url(const ConnectorOptions& options) {
  Url url = checked_endpoint("ws_url", options.ws_url);
  url.path = options.ws_path.empty() ? "/" : options.ws_path;
  if (url.path.front() != '/') throw ConfigError("ws_path '" + options.ws_path + "': must start with '/'");
  return url;
}

DialOptions dial_options(const Url& url, const ConnectorOptions& options) {
  DialOptions dial;
  dial.url = url;
  dial.tls = options.tls;
  dial.proxy = checked_proxy(options.proxy);
  dial.socket = options.socket;
  dial.resolve_timeout = options.resolve_timeout;
  dial.connect_timeout = options.tcp_connect_timeout;
  dial.proxy_timeout = options.proxy_timeout;
  dial.tls_timeout = options.tls_handshake_timeout;
  return dial;
}

// Of a line's end: the words of the venue are cut already where they are many.
constexpr std::size_t kDetailBytes = 512;

}  // namespace

// ---------------------------------------------------------------- Impl

ExchangeConnector::Impl::Impl(IoLoop& io_loop, ConnectorOptions connector_options, LineHandler& line_handler)
    : loop(io_loop),
      options(std::move(connector_options)),
      owner(&line_handler),
      handler(owner),
      url(checked_url(options)),
      tls(make_tls_context(url, options.tls)),
      dial(dial_options(url, options)),
      keep_alive(options.keep_alive),
      pool(options.pool),
      backoff(options.backoff),
      pacer(options.messages),
      retry_timer(io_loop.impl().io) {}

void ExchangeConnector::Impl::connect() {
  // relaxed: only this thread writes it; partner is the release store in finish_stop().
  if (stopped.load(std::memory_order_relaxed) && owner != nullptr) {
    handler = owner;
    stopping = started = false;
    // relaxed: whoever reads it must not take it for more than a moment's state.
    stopped.store(false, std::memory_order_relaxed);
  }
  if (started || stopping) return;
  started = true;
  // Set here: the pool must not keep us alive, and a release may come when all else is gone.
  pool.set_wake([weak = weak_from_this(), io_loop = &loop] {
    try {
      io_loop->post([weak] {
        if (const auto self = weak.lock(); self && self->session) self->session->try_resume();
      });
    } catch (...) {  // no memory for the wake-up: the look-again timer finds the buffer
    }
  });
  take_place();
}

void ExchangeConnector::Impl::take_place() {
  const std::int64_t wait_ns = options.limiter ? options.limiter->take_ns(sys::monotonic_ns()) : 0;
  if (wait_ns <= 0) return prepare();
  const ConnectLimits& limits = options.limiter->limits();
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(limits.window).count();
  // Rounded up: "waits 0 ms" would look like a fault.
  const std::string wait_ms = std::to_string((wait_ns + 999'999) / 1'000'000);
  const std::string why =
      url.authority() + ": waits " + wait_ms + " ms for its place among the lines of this host (at most " +
      std::to_string(limits.max_connects) + " attempts in " + std::to_string(seconds) + " s)";
  core::log(core::LogLevel::Info, "line.limited line=" + std::to_string(options.line_id) +
                                      " host=" + url.authority() + " wait_ms=" + wait_ms);
  notify(shm::LineState::Connecting, LineReason::Limited, why);
  if (!stopping) attempt_after(std::chrono::nanoseconds(wait_ns), &Impl::prepare);
}

void ExchangeConnector::Impl::attempt_after(std::chrono::nanoseconds delay, void (Impl::*next)()) {
  retry_timer.expires_after(delay);
  retry_timer.async_wait([self = shared_from_this(), next](error_code ec) {
    if (!ec && !self->stopping) (*self.*next)();
  });
}

void ExchangeConnector::Impl::prepare() {
  counters.connects.add();
  if (!options.prepare) return attempt();
  notify(shm::LineState::Connecting, LineReason::Preparing, "asks the venue where to connect to");
  if (stopping) return;
  options.prepare(
      [weak = weak_from_this(), io_loop = &loop, attempt = counters.connects.get()](Prepared prepared) {
        io_loop->post([weak, attempt, prepared = std::move(prepared)] {
          const auto self = weak.lock();
          // Meanwhile stopped, and perhaps started again.
          if (self && !self->stopping && self->counters.connects.get() == attempt)
            self->on_prepared(prepared);
        });
      });
}

void ExchangeConnector::Impl::on_prepared(const Prepared& prepared) {
  if (!prepared.error.empty()) return down(LineReason::PrepareFailed, prepared.error, prepared.retry_after);
  try {
    Url where = checked_stream_url("the URL to connect to", prepared.url);
    auto context = make_tls_context(where, options.tls);
    dial = dial_options(where, options);
    url = std::move(where);
    tls = std::move(context);
  } catch (const ConfigError& error) {
    return down(LineReason::PrepareFailed, error.what());
  }
  keep_alive = prepared.keep_alive.text.empty() ? options.keep_alive : prepared.keep_alive;
  attempt();
}

void ExchangeConnector::Impl::attempt() {
  notify(shm::LineState::Connecting,
         counters.connects.get() == 1 ? LineReason::Starting : LineReason::Retrying, url.authority());
  if (stopping) return;
  session = std::make_shared<Session>(*this);
  session->start();
}

void ExchangeConnector::Impl::session_up(std::string_view address) {
  counters.ups.add();
  core::log(core::LogLevel::Info, "line.up line=" + std::to_string(options.line_id) +
                                      " host=" + url.authority() + " address=" + std::string(address));
  notify(shm::LineState::Up, LineReason::Connected, address);
  if (handler != nullptr && session) session->send(handler->on_up(session->message_.connection_id));
}

void ExchangeConnector::Impl::session_down(LineReason reason, std::string_view detail,
                                           milliseconds retry_after) {
  if (stopping) return finish_stop();
  const auto ended = std::exchange(session, nullptr);
  const bool was_up = ended->up_;
  if (was_up) {
    counters.reconnects.add();
    backoff.note_uptime(std::chrono::nanoseconds(sys::monotonic_ns() - ended->up_since_ns_));
  }
  ended->shut();
  down(reason, detail, retry_after);
}

void ExchangeConnector::Impl::down(LineReason reason, std::string_view detail, milliseconds retry_after) {
  // Asked for by ourselves: nothing is wrong with the venue, so there is nothing to back off from.
  const milliseconds delay =
      reason == LineReason::Requested ? milliseconds(0) : std::max(backoff.next(), retry_after);
  core::log(core::LogLevel::Warning, "line.down line=" + std::to_string(options.line_id) + " host=" +
                                         url.authority() + " reason=" + std::string(to_string(reason)) +
                                         " detail=" + core::quoted(detail, kDetailBytes) +
                                         " retry_in_ms=" + std::to_string(delay.count()));
  // The venue bans an address, not a line: none of this host's lines comes back before.
  if (retry_after.count() > 0 && options.limiter) {
    options.limiter->hold_until(sys::monotonic_ns() + std::chrono::nanoseconds(retry_after).count());
  }
  std::string text(detail);
  text += "; next attempt in " + std::to_string(delay.count()) + " ms";
  if (retry_after.count() > 0 && delay == retry_after) text += ", as the venue asked";
  notify(shm::LineState::Down, reason, text);
  if (!stopping) attempt_after(delay, &Impl::take_place);
}

void ExchangeConnector::Impl::disconnect() {
  if (stopping) return;
  stopping = true;
  retry_timer.cancel();
  if (session && session->up_) return session->begin_close();
  finish_stop();
}

void ExchangeConnector::Impl::finish_stop() {
  if (const auto ended = std::exchange(session, nullptr)) ended->shut();
  // relaxed: only this thread writes it; partner is the release store below.
  if (stopped.load(std::memory_order_relaxed)) return;
  core::log(core::LogLevel::Info,
            "line.stopped line=" + std::to_string(options.line_id) + " host=" + url.authority());
  notify(shm::LineState::Down, LineReason::Stopped, "disconnect() was called");
  handler = nullptr;
  // release: who sees it knows that the handler is not called any more; pairs with the acquire load in
  // stopped().
  stopped.store(true, std::memory_order_release);
}

// ---------------------------------------------------------------- ExchangeConnector

ExchangeConnector::ExchangeConnector(IoLoop& loop, ConnectorOptions options, LineHandler& handler)
    : loop_(loop),
      line_id_(options.line_id),
      impl_(std::make_shared<Impl>(loop, std::move(options), handler)),
      pool_(&impl_->pool),
      counters_(&impl_->counters) {}

ExchangeConnector::~ExchangeConnector() {
  MDP_ASSERT(!loop_.running() || loop_.in_loop_thread());
  impl_->owner = impl_->handler = nullptr;
  impl_->stopping = true;
  impl_->retry_timer.cancel();
  if (const auto ended = std::exchange(impl_->session, nullptr)) ended->shut();
}

void ExchangeConnector::connect() {
  loop_.post([impl = impl_] { impl->connect(); });
}

void ExchangeConnector::subscribe(Requests requests) {
  loop_.post([impl = impl_, requests = std::move(requests)]() mutable {
    if (impl->session) impl->session->send(std::move(requests));
  });
}

void ExchangeConnector::acknowledged(std::int64_t request_id) {
  loop_.post([impl = impl_, request_id] {
    if (impl->session) impl->session->acknowledged(request_id);
  });
}

void ExchangeConnector::respond(core::ConnectionId connection, std::string_view text) {
  loop_.post([impl = impl_, connection, text = std::string(text)]() mutable {
    if (impl->session) impl->session->respond(connection, std::move(text));
  });
}

void ExchangeConnector::reconnect(std::string reason) {
  loop_.post([impl = impl_, reason = std::move(reason)] {
    if (impl->session && !impl->stopping) impl->session_down(LineReason::Requested, reason);
  });
}

void ExchangeConnector::disconnect() {
  loop_.post([impl = impl_] { impl->disconnect(); });
}

bool ExchangeConnector::stopped() const noexcept {
  // acquire: pairs with the release store in finish_stop().
  return impl_->stopped.load(std::memory_order_acquire);
}

std::int64_t ExchangeConnector::last_traffic_ns() const noexcept {
  // relaxed: a statistic; partner is the store in TcpStream::read_now().
  return impl_->traffic.shared_read_ns.load(std::memory_order_relaxed);
}

}  // namespace mdp::net
