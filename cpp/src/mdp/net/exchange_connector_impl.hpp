// Inside of ExchangeConnector: Impl lives as long as the connector, with the buffers and counters of all its
// sessions, and decides when the next one begins. Private to net (it includes Asio). Loop thread only.
#pragma once

#include "mdp/net/boost_config.hpp"
//
#include <boost/asio/steady_timer.hpp>
#include <memory>
#include <optional>

#include "mdp/net/dialer.hpp"
#include "mdp/net/exchange_connector.hpp"
#include "mdp/net/send_pacer.hpp"
#include "mdp/net/transport.hpp"

namespace mdp::net {

struct Session;

struct ExchangeConnector::Impl : std::enable_shared_from_this<Impl> {
  Impl(IoLoop& io_loop, ConnectorOptions connector_options, LineHandler& line_handler);

  void connect();
  void take_place();  // in the limiter, then prepare()
  void prepare();     // asks where to connect to, where that is not known; then attempt()
  void on_prepared(const Prepared& prepared);
  void attempt();
  void attempt_after(std::chrono::nanoseconds delay, void (Impl::*next)());
  void session_up(std::string_view address);
  // The end of the current session, whatever the reason. `retry_after`: the least time to wait, as the venue
  // asked.
  void session_down(LineReason reason, std::string_view detail, std::chrono::milliseconds retry_after = {});
  // The end of an attempt: tells, and begins to wait for the next one.
  void down(LineReason reason, std::string_view detail, std::chrono::milliseconds retry_after = {});
  void disconnect();
  void finish_stop();
  void notify(shm::LineState state, LineReason reason, std::string_view detail) {
    if (handler != nullptr) handler->on_line_state(state, reason, detail);
  }

  IoLoop& loop;
  const ConnectorOptions options;
  LineHandler* owner;    // nullptr once the connector is gone
  LineHandler* handler;  // the owner, or nullptr while disconnected
  // Of ConnectorOptions, or as prepared for the newest attempt.
  Url url;
  std::optional<asio::ssl::context> tls;
  DialOptions dial;
  core::KeepAlive keep_alive;
  FramePool pool;
  ConnectorCounters counters;
  Traffic traffic{counters.bytes, counters.reads};
  Backoff backoff;
  SendPacer pacer;
  asio::steady_timer retry_timer;
  std::shared_ptr<Session> session;
  bool started = false;
  bool stopping = false;
  std::atomic<bool> stopped{false};
};

}  // namespace mdp::net
