#include "mdp/net/session.hpp"

#include <algorithm>
#include <boost/asio/post.hpp>
#include <boost/beast/http/field.hpp>
#include <cstring>
#include <utility>

#include "mdp/net/refusal.hpp"
#include "mdp/net/retry_after.hpp"
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
  up_ = true;
  up_since_ns_ = sys::monotonic_ns();
  error_code ignored;
  const auto remote = ws_.next_layer().lowest_layer().remote_endpoint(ignored);
  const auto self = shared_from_this();
  owner_->session_up(to_string(remote));
  if (!alive_) return;
  watch();
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
  } catch (...) {  // out of memory inside Asio: the handlers find alive_ false anyway
  }
  ws_.next_layer().close();
  if (std::exchange(holds_frame_, false)) owner_->pool.put_back(frame_);
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
//
// Beast makes the upgrade and sends; frames are taken apart here. Its own reading costs an asynchronous
// operation per frame and copies each payload through a buffer of 1.5 KB. Here a TLS record is decrypted
// into the stage, or, inside a long payload, right into the frame's buffer, and all its frames are handed on
// in one go.

// Reads until the socket is empty, the buffers are out or the line is down.
void Session::receive(std::shared_ptr<Session> self) {
  // Then others on the loop have their turn. A record is at most 16 KiB, so this is a megabyte.
  constexpr int kMaxReads = 64;
  for (int i = 0; i < kMaxReads; ++i) {
    if (!take_frames()) return;
    error_code ec;
    if (read_more(ec)) continue;
    if (ec == asio::error::would_block) return wait_for_bytes(std::move(self));
    return on_read_error(ec);
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

// One read of plaintext, into the frame's buffer where that is all payload, else onto the stage. After
// take_frames(), so that the stage holds no more than the beginning of a header or control frame.
bool Session::read_more(error_code& ec) {
  Transport& transport = ws_.next_layer();
  if (in_frame_ && staged_begin_ == staged_end_ && payload_left_ >= kStageBytes / 2) {
    const std::size_t room = std::min<std::uint64_t>(payload_left_, frame_.capacity - used_);
    const std::size_t bytes = transport.read_some(asio::mutable_buffer(frame_.data + used_, room), ec);
    used_ += bytes;
    payload_left_ -= bytes;
    return !ec;
  }
  if (staged_begin_ > 0) {
    std::memmove(stage_.get(), stage_.get() + staged_begin_, staged_end_ - staged_begin_);
    staged_end_ -= staged_begin_;
    staged_begin_ = 0;
  }
  staged_end_ +=
      transport.read_some(asio::mutable_buffer(stage_.get() + staged_end_, kStageBytes - staged_end_), ec);
  return !ec;
}

// Takes what is on the stage apart. False: the buffers are out, or the line is down. After true, a payload
// under way has room for at least one byte.
bool Session::take_frames() {
  for (;;) {
    if (in_frame_) {
      if (!take_payload()) return false;
      if (payload_left_ > 0) return true;
      if (!end_frame()) return false;
    }
    const char* const at = stage_.get() + staged_begin_;
    const std::size_t staged = staged_end_ - staged_begin_;
    WsHeader header;
    const WsHeaderStatus status = read_ws_header(at, staged, header);
    if (status == WsHeaderStatus::NeedMore) return true;
    if (status != WsHeaderStatus::Ok) {
      protocol_error(to_string(status));
      return false;
    }
    if (is_control(header.opcode)) {
      if (staged < header.header_bytes + header.payload_bytes) return true;
      staged_begin_ += header.header_bytes + static_cast<std::size_t>(header.payload_bytes);
      if (!take_control(header, at + header.header_bytes)) return false;
    } else {
      staged_begin_ += header.header_bytes;
      if (!begin_frame(header)) return false;
    }
  }
}

bool Session::begin_frame(const WsHeader& header) {
  if ((header.opcode == WsOpcode::Continuation) != in_message_) {
    protocol_error(in_message_ ? "a message begins before the end of the one before"
                               : "a continuation of no message");
    return false;
  }
  if (header.opcode != WsOpcode::Continuation) binary_ = header.opcode == WsOpcode::Binary;
  const std::size_t before = holds_frame_ ? used_ : 0;
  if (header.payload_bytes > owner_->options.pool.max_frame_bytes - before) {
    too_large();
    return false;
  }
  in_message_ = true;
  in_frame_ = true;
  fin_ = header.fin;
  payload_left_ = header.payload_bytes;
  return true;
}

// Copies from the stage what belongs to the frame under way. False: no room.
bool Session::take_payload() {
  for (;;) {
    if ((payload_left_ > 0 || !holds_frame_) && !ensure_room()) return false;
    const std::size_t bytes =
        std::min<std::uint64_t>({payload_left_, staged_end_ - staged_begin_, frame_.capacity - used_});
    if (bytes == 0) return true;
    std::memcpy(frame_.data + used_, stage_.get() + staged_begin_, bytes);
    used_ += bytes;
    payload_left_ -= bytes;
    staged_begin_ += bytes;
  }
}

// False: the line is down.
bool Session::end_frame() {
  in_frame_ = false;
  if (!fin_) return true;
  in_message_ = false;
  if (!binary_ && !is_utf8(frame_.data, used_)) {
    protocol_error("a text message is not UTF-8");
    return false;
  }
  deliver();
  return alive_ && !closing_;
}

// False: the line is down.
bool Session::take_control(const WsHeader& header, const char* payload) {
  const std::string_view bytes(payload, static_cast<std::size_t>(header.payload_bytes));
  if (header.opcode == WsOpcode::Close) {
    on_close_frame(bytes);
    return false;
  }
  if (header.opcode == WsOpcode::Ping) {
    owner_->counters.pings.add();
    // The latest one: an answer to it answers those before as well (RFC 6455 section 5.5.3).
    pong_.assign(bytes.data(), bytes.size());
    pong_due_ = true;
    send_control();
  }
  return true;
}

void Session::on_close_frame(std::string_view payload) {
  constexpr unsigned kNoStatus = 1005;
  unsigned code = kNoStatus;
  if (payload.size() == 1) return protocol_error("a close frame of one byte");
  if (payload.size() >= 2) {
    code = static_cast<unsigned char>(payload[0]) * 256U + static_cast<unsigned char>(payload[1]);
    payload.remove_prefix(2);
  }
  closing_ = true;
  // Its first write goes to the kernel at once; nothing waits for what follows.
  ws_.async_close(websocket::close_code::normal,
                  LoopHandler(loop_, [self = shared_from_this()](error_code) {}));
  owner_->session_down(LineReason::ClosedByVenue,
                       "close frame with code " + std::to_string(code) + " '" + std::string(payload) + "'");
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
      too_large();
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
  message.binary = binary_;
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
  if (!alive_ || closing_ || !waiting_for_buffer_ || waiting_for_bytes_) return;
  FramePool::Frame frame;
  if (!owner_->pool.acquire(frame)) return wait_for_buffer();
  frame_ = frame;
  holds_frame_ = true;
  used_ = 0;
  waiting_for_buffer_ = false;
  pool_timer_.cancel();
  receive(shared_from_this());
}

void Session::on_read_error(error_code ec) {
  if (closing_) return;  // async_close's own handler ends the session
  owner_->session_down(LineReason::ConnectionLost, describe(ec));
}

void Session::protocol_error(std::string_view what) { owner_->session_down(LineReason::ProtocolError, what); }

void Session::too_large() {
  owner_->session_down(LineReason::FrameTooLarge, "a frame is longer than max_frame_bytes, which is " +
                                                      std::to_string(owner_->options.pool.max_frame_bytes));
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
      if (!probe_due_) owner_->counters.probes.add();
      probe_due_ = true;
      send_control();
      break;
    case SilenceWatch::Verdict::Dead:
      return owner_->session_down(LineReason::Idle, "no byte for " +
                                                        std::to_string(owner_->options.idle_timeout.count()) +
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
