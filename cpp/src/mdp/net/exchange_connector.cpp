#include "mdp/net/exchange_connector.hpp"

#include "mdp/net/boost_config.hpp"
//
#include <boost/asio/post.hpp>
#include <boost/beast/http/field.hpp>
#include <boost/beast/websocket/stream.hpp>
#include <charconv>
#include <cstring>
#include <deque>
#include <utility>

#include "mdp/core/error.hpp"
#include "mdp/core/log.hpp"
#include "mdp/net/send_pacer.hpp"
#include "mdp/net/transport.hpp"
#include "mdp/sys/clock.hpp"

namespace mdp::net {

namespace websocket = beast::websocket;
namespace http = beast::http;
using std::chrono::milliseconds;

std::string_view to_string(LineReason reason) noexcept {
  switch (reason) {
    case LineReason::None:
      return "none";
    case LineReason::Starting:
      return "starting";
    case LineReason::Retrying:
      return "retrying";
    case LineReason::Connected:
      return "connected";
    case LineReason::ResolveFailed:
      return "resolve_failed";
    case LineReason::ConnectFailed:
      return "connect_failed";
    case LineReason::TlsFailed:
      return "tls_failed";
    case LineReason::UpgradeFailed:
      return "upgrade_failed";
    case LineReason::Timeout:
      return "timeout";
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
  auto url = parse_url(options.ws_url);
  if (!url) throw ConfigError("ws_url: " + url.error());
  if (url->scheme != "wss" && url->scheme != "ws") {
    throw ConfigError("ws_url '" + options.ws_url + "': scheme must be wss (or ws for a loopback host)");
  }
  if (!url->path.empty() && url->path != "/") {
    throw ConfigError("ws_url '" + options.ws_url + "': found a path; it belongs into ws_path");
  }
  url->path = options.ws_path.empty() ? "/" : options.ws_path;
  if (url->path.front() != '/') throw ConfigError("ws_path '" + options.ws_path + "': must start with '/'");
  return *url;
}

DialOptions dial_options(const Url& url, const ConnectorOptions& options) {
  DialOptions dial;
  dial.url = url;
  dial.tls = options.tls;
  dial.resolve_timeout = options.resolve_timeout;
  dial.connect_timeout = options.tcp_connect_timeout;
  dial.tls_timeout = options.tls_handshake_timeout;
  dial.tcp_nodelay = options.tcp_nodelay;
  dial.receive_buffer_bytes = options.receive_buffer_bytes;
  dial.busy_poll_us = options.busy_poll_us;
  return dial;
}

// Quotes and line ends would break the key=value line, and the text may come from the other side.
std::string log_text(std::string_view text) {
  std::string clean(text.substr(0, 512));
  for (char& c : clean) {
    if (c == '"') c = '\'';
    if (static_cast<unsigned char>(c) < ' ') c = ' ';
  }
  return '"' + clean + '"';
}

LineReason reason_of(const DialResult& result) {
  if (result.timed_out) return LineReason::Timeout;
  switch (result.step) {
    case DialStep::Resolve:
      return LineReason::ResolveFailed;
    case DialStep::Connect:
      return LineReason::ConnectFailed;
    case DialStep::Tls:
      return LineReason::TlsFailed;
  }
  return LineReason::ConnectFailed;
}

}  // namespace

// One attempt and, if it comes up, the connection: made for each (re)connect, given up as a whole. Handlers
// still in flight keep it in memory, and find `alive` false.
struct Session : std::enable_shared_from_this<Session> {
  using Owner = ExchangeConnector::Impl;

  explicit Session(Owner& connector);

  void start();
  void shut() noexcept;  // frees socket, timers and buffer; nothing is called back after it
  void begin_close();
  void send(std::vector<std::string> text_frames);

 private:
  // Connecting
  void on_dialed(DialResult result);
  void upgrade();
  void on_upgraded(error_code ec);

  // Receiving
  void read_next(std::shared_ptr<Session> self);
  void on_read(std::shared_ptr<Session> self, error_code ec, std::size_t bytes);
  bool ensure_room();
  void deliver();
  void wait_for_buffer();
  void on_read_error(error_code ec);
  void on_control(websocket::frame_type kind);

  // Sending and watching
  void send_next();
  void watch();
  void on_watch();

 public:
  // A buffer came back while reading was stopped, or the look-again timer fired.
  void try_resume();

 private:
  std::shared_ptr<Owner> owner_;
  IoLoop::Impl& loop_;
  websocket::stream<Transport, false> ws_;
  std::shared_ptr<Dialer> dialer_;
  asio::steady_timer timer_;       // of the step under way; once up, of the watch for silence
  asio::steady_timer send_timer_;  // pacing
  asio::steady_timer pool_timer_;  // looks again for a free buffer

  bool alive_ = true;
  bool up_ = false;
  bool closing_ = false;
  std::int64_t up_since_ns_ = 0;

  FramePool::Frame frame_;
  std::size_t used_ = 0;
  bool holds_frame_ = false;
  bool reading_ = false;
  bool waiting_for_buffer_ = false;

  std::deque<std::string> outbox_;
  bool writing_ = false;
  bool pacing_ = false;

  std::uint64_t watched_bytes_ = 0;
  int silent_ticks_ = 0;
  bool probing_ = false;
  websocket::response_type upgrade_response_;

  friend struct ExchangeConnector::Impl;
};

struct ExchangeConnector::Impl : std::enable_shared_from_this<Impl> {
  Impl(IoLoop& io_loop, ConnectorOptions connector_options, LineHandler& line_handler)
      : loop(io_loop),
        options(std::move(connector_options)),
        owner(&line_handler),
        handler(owner),
        url(checked_url(options)),
        tls(make_tls_context(url, options.tls)),
        dial(dial_options(url, options)),
        pool(options.pool),
        backoff(options.backoff),
        pacer(options.max_messages_per_second),
        retry_timer(io_loop.impl().io) {}

  void connect();
  void attempt();
  void session_up(std::string_view address);
  // The end of the current session, whatever the reason. `retry_after`: the least time to wait, as the venue
  // asked.
  void session_down(LineReason reason, std::string_view detail, milliseconds retry_after = milliseconds(0));
  void disconnect();
  void finish_stop();
  void notify(shm::LineState state, LineReason reason, std::string_view detail) {
    if (handler != nullptr) handler->on_line_state(state, reason, detail);
  }

  IoLoop& loop;
  const ConnectorOptions options;
  LineHandler* owner;    // nullptr once the connector is gone
  LineHandler* handler;  // the owner, or nullptr while disconnected
  const Url url;
  std::optional<asio::ssl::context> tls;
  const DialOptions dial;
  FramePool pool;
  ConnectorCounters counters;
  Traffic traffic{counters.socket_bytes, counters.reads};
  Backoff backoff;
  SendPacer pacer;
  asio::steady_timer retry_timer;
  std::shared_ptr<Session> session;
  bool started = false;
  bool stopping = false;
  std::atomic<bool> stopped{false};
};

// ---------------------------------------------------------------- Session: connecting

Session::Session(Owner& connector)
    : owner_(connector.shared_from_this()),
      loop_(connector.loop.impl()),
      ws_(loop_, connector.traffic, connector.tls ? &*connector.tls : nullptr),
      timer_(loop_.io),
      send_timer_(loop_.io),
      pool_timer_(loop_.io) {}

void Session::start() {
  dialer_ = std::make_shared<Dialer>(loop_, owner_->dial, ws_.next_layer());
  dialer_->start(shared_from_this(), [self = shared_from_this()](DialResult result) {
    if (self->alive_) self->on_dialed(std::move(result));
  });
}

void Session::on_dialed(DialResult result) {
  if (!result.ok) return owner_->session_down(reason_of(result), result.detail);
  upgrade();
}

void Session::upgrade() {
  ws_.set_option(
      websocket::stream_base::decorator([agent = owner_->options.user_agent](http::fields& fields) {
        fields.set(http::field::user_agent, agent);
      }));
  ws_.read_message_max(owner_->options.pool.max_frame_bytes);
  // Never outlives ws_, which is ours.
  ws_.control_callback([this](websocket::frame_type kind, beast::string_view) { on_control(kind); });
  timer_.expires_after(owner_->options.ws_upgrade_timeout);
  timer_.async_wait([self = shared_from_this()](error_code ec) {
    if (ec || !self->alive_ || self->up_) return;
    const auto& options = self->owner_->options;
    self->owner_->session_down(LineReason::Timeout, "WebSocket upgrade at " + self->owner_->url.authority() +
                                                        self->owner_->url.path + ": timed out after " +
                                                        std::to_string(options.ws_upgrade_timeout.count()) +
                                                        " ms");
  });
  ws_.async_handshake(upgrade_response_, owner_->url.host_header(), owner_->url.path,
                      LoopHandler(loop_, [self = shared_from_this()](error_code ec) {
                        if (self->alive_) self->on_upgraded(ec);
                      }));
}

void Session::on_upgraded(error_code ec) {
  timer_.cancel();
  if (ec) {
    std::string what = "WebSocket upgrade at " + owner_->url.authority() + owner_->url.path + ": ";
    milliseconds retry_after{0};
    if (ec == websocket::error::upgrade_declined) {
      what += "HTTP " + std::to_string(upgrade_response_.result_int()) + " " +
              std::string(upgrade_response_.reason()) + " " + upgrade_response_.body().substr(0, 200);
      const auto header = upgrade_response_[http::field::retry_after];
      std::int64_t seconds = 0;
      std::from_chars(header.data(), header.data() + header.size(), seconds);
      if (seconds > 0) retry_after = std::chrono::seconds(std::min<std::int64_t>(seconds, 7 * 86'400));
    } else {
      what += describe(ec);
    }
    return owner_->session_down(LineReason::UpgradeFailed, what, retry_after);
  }
  up_ = true;
  up_since_ns_ = sys::monotonic_ns();
  error_code ignored;
  const auto remote = ws_.next_layer().lowest_layer().remote_endpoint(ignored);
  const auto self = shared_from_this();
  owner_->session_up(to_string(remote));
  if (!alive_) return;
  watch();
  read_next(self);
}

void Session::shut() noexcept {
  alive_ = false;
  up_ = false;
  try {
    if (dialer_) dialer_->cancel();
    timer_.cancel();
    send_timer_.cancel();
    pool_timer_.cancel();
  } catch (...) {  // out of memory inside Asio: the handlers find alive_ false anyway
  }
  ws_.next_layer().close();
  // A read under way may still write into the buffer: on_read gives it back then.
  if (holds_frame_ && !reading_) {
    owner_->pool.put_back(frame_);
    holds_frame_ = false;
  }
}

void Session::begin_close() {
  closing_ = true;
  outbox_.clear();
  timer_.expires_after(owner_->options.close_timeout);
  timer_.async_wait([self = shared_from_this()](error_code ec) {
    if (!ec && self->alive_) self->owner_->finish_stop();
  });
  ws_.async_close(websocket::close_code::normal, LoopHandler(loop_, [self = shared_from_this()](error_code) {
                    if (self->alive_) self->owner_->finish_stop();
                  }));
}

// ---------------------------------------------------------------- Session: receiving

void Session::read_next(std::shared_ptr<Session> self) {
  if (!ensure_room()) return;
  reading_ = true;
  const asio::mutable_buffer room(frame_.data + used_, frame_.capacity - used_);
  ws_.async_read_some(room,
                      LoopHandler(loop_, [self = std::move(self)](error_code ec, std::size_t bytes) mutable {
                        Session& session = *self;
                        session.on_read(std::move(self), ec, bytes);
                      }));
}

void Session::on_read(std::shared_ptr<Session> self, error_code ec, std::size_t bytes) {
  reading_ = false;
  if (!alive_) {
    if (holds_frame_) owner_->pool.put_back(frame_);
    holds_frame_ = false;
    return;
  }
  if (ec) return on_read_error(ec);
  used_ += bytes;
  if (ws_.is_message_done()) deliver();
  if (alive_) read_next(std::move(self));
}

// A buffer with at least one free byte; else the read is put off or the line goes down.
bool Session::ensure_room() {
  if (!holds_frame_) {
    if (!owner_->pool.acquire(frame_)) {
      wait_for_buffer();
      return false;
    }
    holds_frame_ = true;
    used_ = 0;
  }
  if (used_ < frame_.capacity) return true;
  switch (owner_->pool.grow(frame_, used_)) {
    case FramePool::GrowStatus::Ok:
      owner_->counters.grown_frames.add();
      return true;
    case FramePool::GrowStatus::TooLarge:
      owner_->session_down(LineReason::FrameTooLarge,
                           "a frame is longer than max_frame_bytes, which is " +
                               std::to_string(owner_->options.pool.max_frame_bytes));
      return false;
    case FramePool::GrowStatus::OutOfMemory:
      owner_->session_down(LineReason::OutOfMemory,
                           "no memory for a frame longer than " + std::to_string(frame_.capacity) + " bytes");
      return false;
  }
  return false;
}

void Session::deliver() {
  // The bytes after the payload are left over from earlier frames; zero is what the parser's tests see.
  std::memset(frame_.data + used_, 0, core::kFramePadding);
  core::RawMessage message{};
  message.data = frame_.data;
  message.size = static_cast<std::uint32_t>(used_);
  message.buffer_index = frame_.buffer_index;
  message.recv_ts_ns = owner_->traffic.last_read_ns;
  message.line_id = owner_->options.line_id;
  message.binary = ws_.got_binary();
  holds_frame_ = false;
  owner_->counters.frames.add();
  owner_->counters.frame_bytes.add(used_);
  owner_->handler->on_frame(message);
}

void Session::wait_for_buffer() {
  if (!waiting_for_buffer_) owner_->counters.pool_waits.add();
  waiting_for_buffer_ = true;
  owner_->pool.wait_for_release();
  // The releasing thread normally wakes us; the timer is for the wake-up that was missed
  // (FramePool::wait_for_release).
  pool_timer_.expires_after(milliseconds(1));
  pool_timer_.async_wait([self = shared_from_this()](error_code ec) {
    if (!ec) self->try_resume();
  });
}

void Session::try_resume() {
  if (!alive_ || closing_ || !waiting_for_buffer_ || reading_) return;
  FramePool::Frame frame;
  if (!owner_->pool.acquire(frame)) return wait_for_buffer();
  frame_ = frame;
  holds_frame_ = true;
  used_ = 0;
  waiting_for_buffer_ = false;
  pool_timer_.cancel();
  read_next(shared_from_this());
}

void Session::on_read_error(error_code ec) {
  if (closing_) return;  // async_close's own handler ends the session
  if (ec == websocket::error::closed) {
    const auto& close = ws_.reason();
    return owner_->session_down(LineReason::ClosedByVenue, "close frame with code " +
                                                               std::to_string(close.code) + " '" +
                                                               std::string(close.reason.c_str()) + "'");
  }
  if (ec == websocket::error::message_too_big || ec == websocket::error::buffer_overflow) {
    return owner_->session_down(LineReason::FrameTooLarge,
                                "a frame is longer than max_frame_bytes, which is " +
                                    std::to_string(owner_->options.pool.max_frame_bytes));
  }
  const bool protocol = ec.category() == make_error_code(websocket::error::closed).category();
  owner_->session_down(protocol ? LineReason::ProtocolError : LineReason::ConnectionLost, describe(ec));
}

void Session::on_control(websocket::frame_type kind) {
  if (kind != websocket::frame_type::ping) return;
  owner_->counters.pings.add();
  owner_->pacer.note(sys::monotonic_ns());  // Beast answers it with the same payload
}

// ---------------------------------------------------------------- Session: sending and watching

void Session::send(std::vector<std::string> text_frames) {
  if (!up_ || closing_) return;
  for (auto& text : text_frames) outbox_.push_back(std::move(text));
  send_next();
}

void Session::send_next() {
  if (writing_ || pacing_ || outbox_.empty() || closing_) return;
  const std::int64_t now_ns = sys::monotonic_ns();
  if (const std::int64_t delay_ns = owner_->pacer.delay_ns(now_ns); delay_ns > 0) {
    pacing_ = true;
    send_timer_.expires_after(std::chrono::nanoseconds(delay_ns));
    send_timer_.async_wait([self = shared_from_this()](error_code ec) {
      self->pacing_ = false;
      if (!ec && self->alive_) self->send_next();
    });
    return;
  }
  owner_->pacer.note(now_ns);
  writing_ = true;
  ws_.text(true);
  ws_.async_write(asio::buffer(outbox_.front()),
                  LoopHandler(loop_, [self = shared_from_this()](error_code ec, std::size_t) {
                    self->writing_ = false;
                    if (!self->alive_ || self->closing_) return;
                    if (ec)
                      return self->owner_->session_down(LineReason::ConnectionLost, "send: " + describe(ec));
                    self->owner_->counters.messages_sent.add();
                    self->outbox_.pop_front();
                    self->send_next();
                  }));
}

// Four ticks of silence make a dead line; after two we ask. Counting bytes instead of looking at a clock
// needs no word about clocks that jump, and a venue's ping counts like any frame.
void Session::watch() {
  timer_.expires_after(std::max(milliseconds(1), owner_->options.idle_timeout / 4));
  timer_.async_wait([self = shared_from_this()](error_code ec) {
    if (!ec && self->alive_ && !self->closing_) self->on_watch();
  });
}

void Session::on_watch() {
  const std::uint64_t bytes = owner_->traffic.bytes.get();
  if (bytes != watched_bytes_ || waiting_for_buffer_) {
    // While we are the ones who do not read, silence says nothing about the line.
    watched_bytes_ = bytes;
    silent_ticks_ = 0;
  } else if (++silent_ticks_ >= 4) {
    return owner_->session_down(LineReason::Idle, "no byte for " +
                                                      std::to_string(owner_->options.idle_timeout.count()) +
                                                      " ms, and no answer to our ping");
  } else if (silent_ticks_ == 2 && !probing_) {
    probing_ = true;
    owner_->counters.probes.add();
    owner_->pacer.note(sys::monotonic_ns());
    ws_.async_ping({},
                   LoopHandler(loop_, [self = shared_from_this()](error_code) { self->probing_ = false; }));
  }
  watch();
}

// ---------------------------------------------------------------- Impl

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
  attempt();
}

void ExchangeConnector::Impl::attempt() {
  counters.connects.add();
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
  if (handler != nullptr && session) session->send(handler->on_up());
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
  // Asked for by ourselves: nothing is wrong with the venue, so there is nothing to back off from.
  const milliseconds delay =
      reason == LineReason::Requested ? milliseconds(0) : std::max(backoff.next(), retry_after);
  core::log(core::LogLevel::Warning,
            "line.down line=" + std::to_string(options.line_id) + " host=" + url.authority() +
                " reason=" + std::string(to_string(reason)) + " detail=" + log_text(detail) +
                " retry_in_ms=" + std::to_string(delay.count()));
  notify(shm::LineState::Down, reason, detail);
  if (stopping) return;
  retry_timer.expires_after(delay);
  retry_timer.async_wait([self = shared_from_this()](error_code ec) {
    if (!ec && !self->stopping) self->attempt();
  });
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

ExchangeConnector::ExchangeConnector(IoLoop& loop, ConnectorOptions options, LineHandler& handler,
                                     RestClient* rest)
    : loop_(loop),
      rest_(rest),
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

void ExchangeConnector::subscribe(std::vector<std::string> text_frames) {
  loop_.post([impl = impl_, frames = std::move(text_frames)]() mutable {
    if (impl->session) impl->session->send(std::move(frames));
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

void ExchangeConnector::fetch_snapshot(std::string target, milliseconds timeout,
                                       RestClient::Callback callback) {
  MDP_ASSERT(rest_ != nullptr);
  rest_->get(std::move(target), {}, timeout, std::move(callback));
}

std::int64_t ExchangeConnector::last_traffic_ns() const noexcept {
  // relaxed: a statistic; partner is the store in TcpStream::read_now().
  return impl_->traffic.shared_read_ns.load(std::memory_order_relaxed);
}

}  // namespace mdp::net
