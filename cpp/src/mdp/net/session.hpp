// Session: one attempt of an ExchangeConnector and, if it comes up, the connection: dials, upgrades, reads,
// sends, watches. Private to net (it includes Asio). Loop thread only.
#pragma once

#include "mdp/net/boost_config.hpp"
//
#include <boost/beast/websocket/stream.hpp>
#include <deque>
#include <memory>
#include <string>

#include "mdp/net/dialer.hpp"
#include "mdp/net/exchange_connector.hpp"
#include "mdp/net/keep_alive_watch.hpp"
#include "mdp/net/send_pacer.hpp"
#include "mdp/net/silence_watch.hpp"
#include "mdp/net/transport.hpp"
#include "mdp/net/ws_reader.hpp"

namespace mdp::net {

namespace websocket = beast::websocket;
namespace http = beast::http;

// Made for each (re)connect and given up as a whole. Handlers still in flight keep it in memory, and find
// `alive_` false.
struct Session : std::enable_shared_from_this<Session> {
  using Owner = ExchangeConnector::Impl;

  explicit Session(Owner& connector);

  void start();
  void shut() noexcept;  // frees socket, timers and buffer; nothing is called back after it
  void begin_close();
  void send(Requests requests);
  void acknowledged(std::int64_t request_id);
  void respond(core::ConnectionId connection, std::string text);

 private:
  // Connecting
  void on_dialed(DialResult result);
  void upgrade();
  void on_upgraded(error_code ec);

  // Receiving
  void receive(std::shared_ptr<Session> self);
  bool hand_on_frames();
  void hand_on();
  void on_ping();
  void on_close_frame();
  void on_bad_frame();
  void on_read_error(error_code ec);
  void wait_for_buffer();
  void wait_for_bytes(std::shared_ptr<Session> self);

  // Sending and watching
  void send_next();
  void send_urgent(std::string text);
  void keep_alive();
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
  asio::steady_timer keep_alive_timer_;

  bool alive_ = true;
  bool up_ = false;
  bool closing_ = false;
  std::int64_t up_since_ns_ = 0;

  WsReader reader_;
  core::RawMessage message_{};  // the next one; line and connection are the same in all of them
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
  std::deque<std::string> urgent_;  // goes out before the outbox, and is no request
  std::deque<Awaited> awaited_;     // in the order sent
  SendPacer request_pacer_;         // a new connection has all of its requests before it
  bool writing_ = false;
  bool pacing_ = false;
  bool ticking_ = false;  // ack_timer_ runs

  SilenceWatch silence_;
  KeepAliveWatch keep_alive_;
  websocket::ping_data pong_;  // the venue's latest ping
  bool pong_due_ = false;
  bool probe_due_ = false;
  bool control_busy_ = false;  // Beast takes one ping or pong at a time
  websocket::response_type upgrade_response_;

  friend struct ExchangeConnector::Impl;
};

}  // namespace mdp::net
