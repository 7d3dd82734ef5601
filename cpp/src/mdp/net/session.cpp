#include "mdp/net/session.hpp"

#include <boost/beast/http/field.hpp>
#include <charconv>
#include <cstring>
#include <utility>

#include "mdp/sys/clock.hpp"

namespace mdp::net {
namespace {

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
      ack_timer_(loop_.io) {}

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
    ack_timer_.cancel();
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
  awaited_.clear();
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

void Session::send(Requests requests) {
  if (!up_ || closing_) return;
  std::int64_t id = requests.first_id;
  for (auto& text : requests.frames) outbox_.push_back({std::move(text), id == 0 ? 0 : id++});
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
  await_answer(outbox_.front().id);
  ws_.text(true);
  ws_.async_write(asio::buffer(outbox_.front().text),
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
  if (awaited_.front().ticks > kAnswerTicks) {
    return owner_->session_down(LineReason::Unanswered,
                                "no answer to subscribe id " + std::to_string(awaited_.front().id) +
                                    " within " + std::to_string(owner_->options.ack_timeout.count()) + " ms");
  }
  watch_answers();
}

// ---- silence

void Session::watch() {
  timer_.expires_after(std::max(milliseconds(1), owner_->options.idle_timeout / SilenceWatch::kTicks));
  timer_.async_wait([self = shared_from_this()](error_code ec) {
    if (!ec && self->alive_ && !self->closing_) self->on_watch();
  });
}

void Session::on_watch() {
  switch (silence_.tick(owner_->traffic.bytes.get(), !waiting_for_buffer_)) {
    case SilenceWatch::Verdict::Fine:
      break;
    case SilenceWatch::Verdict::Probe:
      probe();
      break;
    case SilenceWatch::Verdict::Dead:
      return owner_->session_down(LineReason::Idle, "no byte for " +
                                                        std::to_string(owner_->options.idle_timeout.count()) +
                                                        " ms, and no answer to our ping");
  }
  watch();
}

void Session::probe() {
  if (probing_) return;
  probing_ = true;
  owner_->counters.probes.add();
  // Counted, not delayed: one message of the venue's limit is kept free for control frames.
  owner_->pacer.note(sys::monotonic_ns());
  ws_.async_ping({}, LoopHandler(loop_, [self = shared_from_this()](error_code) { self->probing_ = false; }));
}

}  // namespace mdp::net
