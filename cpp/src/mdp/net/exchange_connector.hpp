// ExchangeConnector: keeps one WebSocket connection to a venue alive for ever and delivers its frames. First
// stage of the road.
//
// The engine makes one per line, on the IoLoop of the connector thread. It knows no venue: what to subscribe
// to comes from the LineHandler, what a frame means is the parser's business. Whatever goes wrong (no
// address, refused, bad certificate, reset, close frame, silence, a request without an answer) ends in a
// reconnect with backoff and a line in the log that says why and how long it waits; it never gives up.
//
// Frames go into buffers of the connector's FramePool, all those of a TLS record in one go, with no
// allocation, lock or log line per frame once connected. When all buffers are out the connector stops
// reading, the TCP window closes, and nothing is lost. So a raw queue of at least
// FramePoolOptions::frame_count slots is never full: the pool is the bound.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <limits>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "mdp/core/counters.hpp"
#include "mdp/core/endpoint.hpp"
#include "mdp/core/ids.hpp"
#include "mdp/core/raw_message.hpp"
#include "mdp/net/connect_limiter.hpp"
#include "mdp/net/frame_pool.hpp"
#include "mdp/net/io_loop.hpp"
#include "mdp/net/line_settings.hpp"
#include "mdp/shm/event.hpp"

namespace mdp::net {

// Why a line is in its state. The names in to_string() are those of the log and the metrics.
enum class LineReason : std::uint8_t {
  Starting,        // first attempt
  Retrying,        // a later attempt
  Limited,         // an attempt waits for its place in ConnectorOptions::limiter
  Preparing,       // an attempt waits for ConnectorOptions::prepare
  Connected,       // Up
  PrepareFailed,   // the venue did not say where to connect to
  ResolveFailed,   // no address for the host
  ConnectFailed,   // no address accepted a TCP connection
  ProxyFailed,     // the proxy refused the tunnel
  TlsFailed,       // handshake failed, certificate refused included
  UpgradeFailed,   // the venue refused the WebSocket upgrade
  Timeout,         // a step took longer than its time-out; the detail names it
  Unanswered,      // a request of ours was not answered within ack_timeout
  Idle,            // no byte for the idle time-out, not even the answer to our ping
  ClosedByVenue,   // close frame
  ConnectionLost,  // reset, end of stream, truncated TLS
  ProtocolError,   // bytes that are no WebSocket
  FrameTooLarge,   // longer than FramePoolOptions::max_frame_bytes
  OutOfMemory,     // no memory to grow a buffer
  Requested,       // reconnect()
  Stopped,         // disconnect()
};
std::string_view to_string(LineReason reason) noexcept;  // "connection_lost"

// Where to connect to, for one attempt.
struct Prepared {
  std::string url;                           // as ConnectorOptions::ws_url, but with path and query
  core::KeepAlive keep_alive;                // without a text: that of ConnectorOptions
  std::string error;                         // why there is no URL; empty: there is one
  std::chrono::milliseconds retry_after{0};  // the least time to wait after an error
};

struct ConnectorOptions : LineSettings {
  std::string ws_url;   // wss://host[:port], without a path; ws:// for loopback hosts only
  std::string ws_path;  // path and query of the upgrade request; empty: "/"
  core::LineId line_id = 0;

  // Each step has its own; a step that runs out of time ends the attempt with LineReason::Timeout. TCP: per
  // address, and the next address does not wait for the one before (DialOptions::next_address_after).
  std::chrono::milliseconds resolve_timeout = kStepTimeout;
  std::chrono::milliseconds tcp_connect_timeout = kStepTimeout;
  std::chrono::milliseconds proxy_timeout = kStepTimeout;
  std::chrono::milliseconds tls_handshake_timeout = kStepTimeout;
  std::chrono::milliseconds ws_upgrade_timeout = kStepTimeout;
  // A request with an id (Requests) that acknowledged() did not name within this time, or at most a quarter
  // of it later, goes to LineHandler::on_unanswered(), which may end the line. 0: answers are not awaited.
  std::chrono::milliseconds ack_timeout{0};
  std::chrono::milliseconds close_timeout{1'000};  // how long disconnect() waits for the venue's close frame

  // Asked before each attempt; nullptr: none. See ConnectLimiter::shared().
  std::shared_ptr<ConnectLimiter> limiter;
  FramePoolOptions pool;

  // What the venue takes on one connection, and what it wants: see core::Endpoint. Text frames, pongs and our
  // own pings count as messages, of which one is kept free for a pong. What subscribe() sends counts as a
  // request.
  core::RateLimit messages;
  core::RateLimit requests;
  core::KeepAlive keep_alive;

  // Where the URL must be asked for: called on the loop thread before each attempt, in place of ws_url and
  // ws_path, which then only say whose place the limiter gives. Calls its argument once, on any thread, soon
  // or never (it has a time-out of its own). Its failure is that of an attempt.
  std::function<void(std::function<void(Prepared)>)> prepare;

  std::string user_agent = "mdp";
  core::RestHeaders upgrade_headers;  // more of the upgrade request
};

// Of one line, whatever connections it has had. Written by the connector thread, read by any.
struct ConnectorCounters {
#define MDP_NET_COUNTER(name, help) core::Counter name;
#include "mdp/core/counters.def"
};

// Stands for the venue's welcome among the ids of requests.
inline constexpr std::int64_t kWelcome = std::numeric_limits<std::int64_t>::max();

// Text frames to send, in order, paced. With a `first_id` frame i carries request id first_id + i, and its
// answer is awaited (ConnectorOptions::ack_timeout); 0: no answers are awaited. No frame and kWelcome: the
// venue's welcome is awaited, in the same time.
struct Requests {
  Requests(std::vector<std::string> text_frames = {}, std::int64_t first = 0)  // NOLINT: frames alone will do
      : frames(std::move(text_frames)), first_id(first) {}
  std::vector<std::string> frames;
  std::int64_t first_id;
};

// What a line tells its owner. Every call comes on the loop thread.
class LineHandler {
 public:
  virtual ~LineHandler() = default;

  // One whole message. The buffer is the handler's until it calls ExchangeConnector::release(); the
  // core::kFramePadding bytes after it are zero. The message path: no allocation, lock or log line in here.
  virtual void on_frame(const core::RawMessage& frame) noexcept = 0;

  // `detail` is for people, and valid during the call. Down is reported once per failed attempt or lost line,
  // and says how long until the next attempt.
  virtual void on_line_state(shm::LineState state, LineReason reason, std::string_view detail) noexcept = 0;

  // The line just came up (on_line_state(Up) was called before), and its frames will carry this id: what to
  // send. That is everything to be subscribed, since a new connection knows nothing of the old one.
  virtual Requests on_up(core::ConnectionId connection) = 0;

  // A request was not answered within ConnectorOptions::ack_timeout: what to send in its place. Nothing: the
  // line ends with LineReason::Unanswered.
  virtual Requests on_unanswered(std::int64_t /*request_id*/) { return {}; }
};

class ExchangeConnector {
 public:
  // Throws ConfigError: a URL or proxy that cannot be read, ws:// or insecure_skip_verify for a host that is
  // not loopback, a CA file that cannot be read, impossible pool settings. `loop` and `handler` outlive the
  // connector.
  ExchangeConnector(IoLoop& loop, ConnectorOptions options, LineHandler& handler);
  // On the loop thread, or when the loop does not run (any more). Drops the connection without a close frame.
  ~ExchangeConnector();
  ExchangeConnector(const ExchangeConnector&) = delete;
  ExchangeConnector& operator=(const ExchangeConnector&) = delete;

  // Any thread. Starts, or starts again once stopped(), and keeps the line alive until disconnect(). A second
  // call does nothing.
  void connect();

  // Any thread. Sends these now, paced, after those already waiting. Where the line is not up they are
  // dropped: on_up() of the next connection returns them all.
  void subscribe(Requests requests);

  // Any thread. The venue answered this request, with whatever words; negative: the answer named none, and
  // counts for the oldest one awaited. Ids nobody awaits are ignored, so the answer of an earlier connection
  // does no harm as long as ids are not used twice. Takes a lock: once per request, not per message.
  void acknowledged(std::int64_t request_id);

  // Any thread. Sends what a frame of this connection asked for (core::ParseStatus::Respond), ahead of
  // requests that wait. Nothing where the connection is gone. Takes a lock: once per such frame, some a
  // minute.
  void respond(core::ConnectionId connection, std::string_view text);

  // Runs the loop on the calling thread until IoLoop::stop().
  void run(queue::IdleMode mode) { loop_.run(mode); }

  // Any thread. Drops the line and connects anew at once (without backoff, unless it already waits in one): a
  // venue that announces its shutdown, a subscription that stays silent. Does nothing before connect().
  void reconnect(std::string reason);

  // Any thread. Close frame, at most close_timeout, then on_line_state(Down, Stopped), after which the
  // handler is not called any more and stopped() is true. Needs the loop to run.
  void disconnect();
  // Any thread.
  bool stopped() const noexcept;

  // The one releasing thread (FramePoolOptions::release_from).
  void release(const core::RawMessage& frame) noexcept { pool_->release(frame); }

  const ConnectorCounters& counters() const noexcept { return *counters_; }
  // Any thread. When the last byte came from the venue, pings included; 0: never. The age of the line, not of
  // a symbol.
  std::int64_t last_traffic_ns() const noexcept;
  core::LineId line_id() const noexcept { return line_id_; }

  struct Impl;

 private:
  IoLoop& loop_;
  core::LineId line_id_;
  std::shared_ptr<Impl> impl_;  // shared with handlers still in flight
  FramePool* pool_;             // impl_'s
  const ConnectorCounters* counters_;
};

}  // namespace mdp::net
