// Inside of ExchangeConnector: Impl, which lives as long as the connector, and Session, one connection of it.
// Private to net (it includes Asio). Loop thread only.
#pragma once

#include "mdp/net/boost_config.hpp"
//
#include <boost/beast/websocket/stream.hpp>
#include <deque>
#include <optional>

#include "mdp/net/connect_limiter.hpp"
#include "mdp/net/dialer.hpp"
#include "mdp/net/exchange_connector.hpp"
#include "mdp/net/send_pacer.hpp"
#include "mdp/net/silence_watch.hpp"
#include "mdp/net/transport.hpp"
#include "mdp/net/ws_frame.hpp"

namespace mdp::net {

namespace websocket = beast::websocket;
namespace http = beast::http;
using std::chrono::milliseconds;

// One attempt and, if it comes up, the connection: made for each (re)connect, given up as a whole. Handlers
// still in flight keep it in memory, and find `alive` false.
struct Session : std::enable_shared_from_this<Session> {
  using Owner = ExchangeConnector::Impl;

  explicit Session(Owner& connector);

  void start();
  void shut() noexcept;  // frees socket, timers and buffer; nothing is called back after it
  void begin_close();
  void send(Requests requests);
  void acknowledged(std::int64_t request_id);

 private:
  // Connecting
  void on_dialed(DialResult result);
  void upgrade();
  void on_upgraded(error_code ec);

  // Receiving
  void receive(std::shared_ptr<Session> self);
  bool read_more(error_code& ec);
  bool take_frames();
  bool begin_frame(const WsHeader& header);
  bool take_payload();
  bool end_frame();
  bool take_control(const WsHeader& header, const char* payload);
  void on_close_frame(std::string_view payload);
  bool ensure_room();
  void deliver();
  void wait_for_buffer();
  void wait_for_bytes(std::shared_ptr<Session> self);
  void on_read_error(error_code ec);
  void protocol_error(std::string_view what);
  void too_large();

  // Sending and watching
  void send_next();
  void await_answer(std::int64_t request_id);
  void watch_answers();
  void on_answer_tick();
  void watch();
  void on_watch();
  void send_control();

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
  asio::steady_timer ack_timer_;   // runs while answers are awaited

  bool alive_ = true;
  bool up_ = false;
  bool closing_ = false;
  std::int64_t up_since_ns_ = 0;

  // Plaintext not yet looked at, from staged_begin_ to staged_end_: at least a TLS record, and a header before.
  static constexpr std::size_t kStageBytes = 20 * 1024;
  std::unique_ptr<char[]> stage_ = std::make_unique_for_overwrite<char[]>(kStageBytes);
  std::size_t staged_begin_ = 0;
  std::size_t staged_end_ = 0;

  FramePool::Frame frame_;  // of the message under way
  std::size_t used_ = 0;
  std::uint64_t payload_left_ = 0;  // of the WebSocket frame under way
  bool holds_frame_ = false;
  bool in_frame_ = false;    // a data frame's header was read, its payload not yet to its end
  bool in_message_ = false;  // a data frame without FIN came, or one is under way
  bool fin_ = false;
  bool binary_ = false;
  bool waiting_for_bytes_ = false;
  bool waiting_for_buffer_ = false;

  struct Request {
    std::string text;
    std::int64_t id;  // 0: its answer is not awaited
  };
  struct Awaited {
    std::int64_t id;
    int ticks;  // of ack_timer_ since it was sent
  };
  std::deque<Request> outbox_;
  std::deque<Awaited> awaited_;  // in the order sent
  bool writing_ = false;
  bool pacing_ = false;
  bool ticking_ = false;  // ack_timer_ runs

  SilenceWatch silence_;
  websocket::ping_data pong_;  // the venue's latest ping
  bool pong_due_ = false;
  bool probe_due_ = false;
  bool control_busy_ = false;  // Beast takes one ping or pong at a time
  websocket::response_type upgrade_response_;

  friend struct ExchangeConnector::Impl;
};

struct ExchangeConnector::Impl : std::enable_shared_from_this<Impl> {
  Impl(IoLoop& io_loop, ConnectorOptions connector_options, LineHandler& line_handler);

  void connect();
  void take_place();  // in the limiter, then attempt()
  void attempt();
  void attempt_after(std::chrono::nanoseconds delay, void (Impl::*next)());
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

}  // namespace mdp::net
