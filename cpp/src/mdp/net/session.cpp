#include "mdp/net/session.hpp"

#include <algorithm>
#include <atomic>
#include <boost/asio/post.hpp>
#include <boost/beast/http/field.hpp>
#include <span>
#include <utility>

#include "mdp/net/exchange_connector_impl.hpp"
#include "mdp/net/refusal.hpp"
#include "mdp/net/retry_after.hpp"
#include "mdp/sys/clock.hpp"

namespace mdp::net {

using std::chrono::milliseconds;

namespace {

// A TLS record, and before it the beginning of a control frame.
constexpr std::size_t kStageBytes = 20 * 1024;

core::ConnectionId next_connection_id() noexcept {
  static std::atomic<core::ConnectionId> last{core::kNoConnection};
  // relaxed: a number that no other thread is given; its partner is itself.
  return last.fetch_add(1, std::memory_order_relaxed) + 1;
}

LineReason reason_of(const DialResult& result) {
  if (result.timed_out) return LineReason::Timeout;
  switch (result.step) {
    case DialStep::Resolve:
      return LineReason::ResolveFailed;
    case DialStep::Connect:
      return LineReason::ConnectFailed;
    case DialStep::Proxy:
      return LineReason::ProxyFailed;
    case DialStep::Tls:
      return LineReason::TlsFailed;
  }
  return LineReason::ConnectFailed;
}

}  // namespace

// ---------------------------------------------------------------- Session: connecting

Session::Session(Owner& connector)
    : owner_(connector.shared_from_this()),
      loop_(connector.loop.impl()),
      ws_(loop_, connector.traffic, connector.tls ? &*connector.tls : nullptr),
      timer_(loop_.io),
      send_timer_(loop_.io),
      pool_timer_(loop_.io),
      ack_timer_(loop_.io),
      keep_alive_timer_(loop_.io),
      reader_(connector.pool, connector.counters.grown_frames, kStageBytes),
      request_pacer_(connector.options.requests, 0),
      keep_alive_(connector.keep_alive.when_silent) {
  message_.line_id = connector.options.line_id;
}

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
  ws_.set_option(websocket::stream_base::decorator([owner = owner_](http::fields& fields) {
    fields.set(http::field::user_agent, owner->options.user_agent);
    for (const auto& [name, value] : owner->options.upgrade_headers) fields.set(name, value);
  }));
  // More than any header Beast takes: the frames that follow it are for receive().
  ws_.next_layer().read_bytewise(16 * 1024);
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
      const auto header = [&](http::field field) {
        const auto value = upgrade_response_[field];
        return std::string_view(value.data(), value.size());
      };
      const HttpAnswer answer{static_cast<int>(upgrade_response_.result_int()), upgrade_response_.reason(),
                              header(http::field::server), header(http::field::location),
                              upgrade_response_.body()};
      what += describe_refusal(answer, {}, "ws_url");
      const std::int64_t seconds = retry_after_s(header(http::field::retry_after), header(http::field::date),
                                                 sys::now_ns() / 1'000'000'000);
      retry_after = std::chrono::seconds(std::max<std::int64_t>(seconds, 0));
    } else {
      what += describe(ec);
    }
    return owner_->session_down(LineReason::UpgradeFailed, what, retry_after);
  }
  ws_.next_layer().read_bytewise(0);
  message_.connection_id = next_connection_id();
  up_ = true;
  up_since_ns_ = sys::monotonic_ns();
  error_code ignored;
  const auto remote = ws_.next_layer().lowest_layer().remote_endpoint(ignored);
  const auto self = shared_from_this();
  owner_->session_up(to_string(remote));
  if (!alive_) return;
  watch();
  if (!owner_->keep_alive.text.empty()) keep_alive();
  receive(self);
}

void Session::shut() noexcept {
  alive_ = false;
  up_ = false;
  try {
    if (dialer_) dialer_->cancel();
    timer_.cancel();
    send_timer_.cancel();
    pool_timer_.cancel();
    ack_timer_.cancel();
    keep_alive_timer_.cancel();
  } catch (...) {  // out of memory inside Asio: the handlers find alive_ false anyway
  }
  ws_.next_layer().close();
  reader_.drop();
}

void Session::begin_close() {
  closing_ = true;
  awaited_.clear();
  // What waits in the outbox is sent no more. It stays, for a write under way reads from it until its last
  // byte.
  timer_.expires_after(owner_->options.close_timeout);
  timer_.async_wait([self = shared_from_this()](error_code ec) {
    if (!ec && self->alive_) self->owner_->finish_stop();
  });
  ws_.async_close(websocket::close_code::normal, LoopHandler(loop_, [self = shared_from_this()](error_code) {
                    if (self->alive_) self->owner_->finish_stop();
                  }));
}

// ---------------------------------------------------------------- Session: receiving
//
// Beast makes the upgrade and sends; frames are taken apart by WsReader. Beast's own reading costs an
// asynchronous operation per frame and copies each payload through a buffer of 1.5 KB. Here a TLS record is
// decrypted at once, and all its frames are handed on in one go.

// Reads until the socket is empty, the buffers are out or the line is down.
void Session::receive(std::shared_ptr<Session> self) {
  // Then others on the loop have their turn. A record is at most 16 KiB, so this is a megabyte.
  constexpr int kMaxReads = 64;
  for (int i = 0; i < kMaxReads; ++i) {
    if (!hand_on_frames()) return;
    error_code ec;
    const std::span<char> room = reader_.room();
    reader_.took(ws_.next_layer().read_some(asio::mutable_buffer(room.data(), room.size()), ec));
    if (ec == asio::error::would_block) return wait_for_bytes(std::move(self));
    if (ec) return on_read_error(ec);
  }
  waiting_for_bytes_ = true;
  asio::post(loop_.io, LoopHandler(loop_, [self = std::move(self)]() mutable {
               Session& session = *self;
               session.waiting_for_bytes_ = false;
               if (session.alive_ && !session.closing_) session.receive(std::move(self));
             }));
}

void Session::wait_for_bytes(std::shared_ptr<Session> self) {
  waiting_for_bytes_ = true;
  ws_.next_layer().lowest_layer().async_wait(
      Socket::wait_read, LoopHandler(loop_, [self = std::move(self)](error_code ec) mutable {
        Session& session = *self;
        session.waiting_for_bytes_ = false;
        if (!session.alive_ || session.closing_) return;
        if (ec) return session.on_read_error(ec);
        session.ws_.next_layer().tcp_stream().reset();
        session.receive(std::move(self));
      }));
}

// All that was read. False: the buffers are out, or the line is down.
bool Session::hand_on_frames() {
  for (;;) {
    switch (reader_.next(message_)) {
      case WsReader::Event::Message:
        hand_on();
        if (!alive_ || closing_) return false;
        break;
      case WsReader::Event::Ping:
        on_ping();
        break;
      case WsReader::Event::Close:
        on_close_frame();
        return false;
      case WsReader::Event::NeedBytes:
        return true;
      case WsReader::Event::NeedBuffer:
        wait_for_buffer();
        return false;
      case WsReader::Event::Error:
        on_bad_frame();
        return false;
    }
  }
}

void Session::hand_on() {
  message_.recv_ts_ns = owner_->traffic.last_read_ns;
  owner_->counters.frames.add();
  owner_->counters.frame_bytes.add(message_.size);
  owner_->handler->on_frame(message_);
}

void Session::on_ping() {
  owner_->counters.pings.add();
  // The latest one: an answer to it answers those before as well (RFC 6455 section 5.5.3).
  pong_.assign(reader_.control().data(), reader_.control().size());
  pong_due_ = true;
  send_control();
}

void Session::on_close_frame() {
  closing_ = true;
  // Its first write goes to the kernel at once; nothing waits for what follows.
  ws_.async_close(websocket::close_code::normal,
                  LoopHandler(loop_, [self = shared_from_this()](error_code) {}));
  owner_->session_down(LineReason::ClosedByVenue, "close frame with code " +
                                                      std::to_string(reader_.close_code()) + " '" +
                                                      std::string(reader_.control()) + "'");
}

void Session::on_bad_frame() {
  const std::string what = to_string(reader_.error());
  switch (reader_.error()) {
    case WsStatus::TooLarge:
      return owner_->session_down(
          LineReason::FrameTooLarge,
          what + ", which is " + std::to_string(owner_->options.pool.max_frame_bytes));
    case WsStatus::OutOfMemory:
      return owner_->session_down(LineReason::OutOfMemory,
                                  what + " than " + std::to_string(reader_.message_bytes()) + " bytes");
    default:
      return owner_->session_down(LineReason::ProtocolError, what);
  }
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
  if (!alive_ || closing_ || !waiting_for_buffer_ || waiting_for_bytes_) return;
  if (!reader_.take_buffer()) return wait_for_buffer();
  waiting_for_buffer_ = false;
  pool_timer_.cancel();
  receive(shared_from_this());
}

void Session::on_read_error(error_code ec) {
  if (closing_) return;  // async_close's own handler ends the session
  owner_->session_down(LineReason::ConnectionLost, describe(ec));
}

// ---------------------------------------------------------------- Session: sending and watching

void Session::send(Requests requests) {
  if (!up_ || closing_) return;
  std::int64_t id = requests.first_id;
  if (requests.frames.empty() && id == kWelcome) return await_answer(id);
  for (auto& text : requests.frames) outbox_.push_back({std::move(text), id == 0 ? 0 : id++});
  send_next();
}

void Session::send_next() {
  if (writing_ || pacing_ || closing_ || (urgent_.empty() && outbox_.empty())) return;
  const std::int64_t now_ns = sys::monotonic_ns();
  const bool is_request = urgent_.empty();
  std::int64_t delay_ns = owner_->pacer.delay_ns(now_ns);
  if (is_request) delay_ns = std::max(delay_ns, request_pacer_.delay_ns(now_ns));
  if (delay_ns > 0) {
    pacing_ = true;
    send_timer_.expires_after(std::chrono::nanoseconds(delay_ns));
    send_timer_.async_wait([self = shared_from_this()](error_code) {
      self->pacing_ = false;  // cancelled: something came that need not wait so long
      if (self->alive_) self->send_next();
    });
    return;
  }
  owner_->pacer.note(now_ns);
  writing_ = true;
  if (is_request) {
    request_pacer_.note(now_ns);
    await_answer(outbox_.front().id);
  }
  ws_.text(true);
  ws_.async_write(asio::buffer(is_request ? outbox_.front().text : urgent_.front()),
                  LoopHandler(loop_, [self = shared_from_this(), is_request](error_code ec, std::size_t) {
                    self->writing_ = false;
                    if (!self->alive_ || self->closing_) return;
                    if (ec)
                      return self->owner_->session_down(LineReason::ConnectionLost, "send: " + describe(ec));
                    self->owner_->counters.messages_sent.add();
                    is_request ? self->outbox_.pop_front() : self->urgent_.pop_front();
                    self->send_next();
                  }));
}

// A request may be waiting for its place in the next hour; what is urgent waits only for a message's.
void Session::send_urgent(std::string text) {
  urgent_.push_back(std::move(text));
  if (pacing_) {
    send_timer_.cancel();
  } else {
    send_next();
  }
}

void Session::respond(core::ConnectionId connection, std::string text) {
  // More than any venue leaves unanswered before it ends the connection: a flood of such frames is not let
  // grow.
  constexpr std::size_t kMaxUrgent = 32;
  if (!up_ || closing_ || connection != message_.connection_id || urgent_.size() >= kMaxUrgent) return;
  owner_->counters.responses.add();
  send_urgent(std::move(text));
}

// ---- signs of life

void Session::keep_alive() {
  const core::KeepAlive& wanted = owner_->keep_alive;
  keep_alive_timer_.expires_after(std::max(milliseconds(1), wanted.every / KeepAliveWatch::kTicks));
  keep_alive_timer_.async_wait([self = shared_from_this()](error_code ec) {
    if (ec || !self->alive_ || self->closing_) return;
    Owner& owner = *self->owner_;
    // One that still waits for its place is as good as another.
    if (self->keep_alive_.tick(owner.traffic.bytes.get()) && self->urgent_.empty()) {
      owner.counters.keep_alives.add();
      self->send_urgent(owner.keep_alive.text);
    }
    if (self->alive_) self->keep_alive();
  });
}

// ---- answers

constexpr int kAnswerTicks = 4;  // per ack_timeout

void Session::await_answer(std::int64_t request_id) {
  if (request_id == 0 || owner_->options.ack_timeout.count() <= 0) return;
  awaited_.push_back({request_id, 0});
  if (!ticking_) watch_answers();
}

void Session::acknowledged(std::int64_t request_id) {
  if (request_id < 0 && !awaited_.empty()) return awaited_.pop_front();
  std::erase_if(awaited_, [&](const Awaited& awaited) { return awaited.id == request_id; });
}

// Ticks instead of a deadline: after a loop that was held up, the bytes that came meanwhile are read before
// the next one.
void Session::watch_answers() {
  ticking_ = true;
  ack_timer_.expires_after(std::max(milliseconds(1), owner_->options.ack_timeout / kAnswerTicks));
  ack_timer_.async_wait([self = shared_from_this()](error_code ec) {
    self->ticking_ = false;
    if (!ec && self->alive_ && !self->closing_) self->on_answer_tick();
  });
}

void Session::on_answer_tick() {
  if (awaited_.empty()) return;
  // While we are the ones who do not read, the answer may be there.
  if (!waiting_for_buffer_) {
    for (Awaited& awaited : awaited_) ++awaited.ticks;
  }
  // The first tick came at any time after sending: only the ones between it and this are whole.
  while (!awaited_.empty() && awaited_.front().ticks > kAnswerTicks) {
    const std::int64_t id = awaited_.front().id;
    awaited_.pop_front();
    Requests instead = owner_->handler->on_unanswered(id);
    if (instead.frames.empty()) {
      const std::string what =
          id == kWelcome ? "no welcome" : "no answer to subscribe id " + std::to_string(id);
      return owner_->session_down(
          LineReason::Unanswered,
          what + " within " + std::to_string(owner_->options.ack_timeout.count()) + " ms");
    }
    send(std::move(instead));
    if (!alive_) return;
  }
  if (!awaited_.empty() && !ticking_) watch_answers();
}

// ---- silence

void Session::watch() {
  timer_.expires_after(std::max(milliseconds(1), owner_->options.idle_timeout_ms / SilenceWatch::kTicks));
  timer_.async_wait([self = shared_from_this()](error_code ec) {
    if (!ec && self->alive_ && !self->closing_) self->on_watch();
  });
}

void Session::on_watch() {
  switch (silence_.tick(owner_->traffic.bytes.get(), !waiting_for_buffer_)) {
    case SilenceWatch::Verdict::Fine:
      break;
    case SilenceWatch::Verdict::Probe:
      if (!probe_due_) owner_->counters.probes.add();
      probe_due_ = true;
      send_control();
      break;
    case SilenceWatch::Verdict::Dead:
      return owner_->session_down(LineReason::Idle,
                                  "no byte for " + std::to_string(owner_->options.idle_timeout_ms.count()) +
                                      " ms, and no answer to our ping");
  }
  watch();
}

// Counted, not delayed: one message of the venue's limit is kept free for control frames.
void Session::send_control() {
  if (control_busy_ || closing_ || !(pong_due_ || probe_due_)) return;
  control_busy_ = true;
  owner_->pacer.note(sys::monotonic_ns());
  auto sent = LoopHandler(loop_, [self = shared_from_this()](error_code) {
    self->control_busy_ = false;
    if (self->alive_) self->send_control();  // an error shows in the read
  });
  if (std::exchange(pong_due_, false)) return ws_.async_pong(pong_, std::move(sent));
  probe_due_ = false;
  ws_.async_ping({}, std::move(sent));
}

}  // namespace mdp::net
