// Lane: one line to a venue, with its connector, parser and the queue between them.
//
// Made by Engine. In the fused topology frames are parsed inline on the loop's thread; in the pipelined one
// they pass through the raw queue to run_parser(), which the engine runs on a thread of its own.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "mdp/core/venue.hpp"
#include "mdp/engine/control.hpp"
#include "mdp/engine/engine_config.hpp"
#include "mdp/engine/stages.hpp"
#include "mdp/net/exchange_connector.hpp"
#include "mdp/queue/idle_strategy.hpp"
#include "mdp/queue/spsc_queue.hpp"

namespace mdp::engine {

struct LaneContext {
  const core::Venue& venue;
  const VenueConfig& venue_config;
  const EngineConfig& config;
  const core::SymbolTable& symbols;
  ControlQueue& control;
  net::IoLoop& loop;
  net::RestClient& rest;
  core::LineId line;
};

class Lane final : public net::LineHandler {
 public:
  // Fused: `sink` is the next stage, called on the loop's thread. Pipelined: `sink` is called on the parser
  // thread, which waits by `parser_idle`.
  Lane(const LaneContext& context, std::unique_ptr<core::MessageSink> sink, Topology topology,
       queue::IdleMode parser_idle);

  // Any thread. Subscribes to every channel of the venue's config for this symbol, now if the line is up and
  // after each reconnect.
  void add_symbol(const std::string& venue_symbol);
  void remove_symbol(const std::string& venue_symbol);
  std::size_t stream_count() const;

  // Pipelined: runs until stop_parser(), then handles what is left in the queue.
  void run_parser();
  void stop_parser() noexcept;

  // Any thread. From now on a line that goes down is intended: its books keep their state.
  void begin_stop() noexcept;

  net::ExchangeConnector& connector() noexcept { return connector_; }
  const net::ExchangeConnector& connector() const noexcept { return connector_; }
  const ParseCounters& parse_counters() const noexcept { return parse_.counters(); }
  std::size_t raw_queue_depth() const noexcept { return raw_queue_ ? raw_queue_->size() : 0; }
  core::LineId line() const noexcept { return line_; }
  bool up() const noexcept;

 private:
  void on_frame(const core::RawMessage& frame) noexcept override;
  void on_line_state(shm::LineState state, net::LineReason reason, std::string_view detail) noexcept override;
  net::Requests on_up() override;

  void hand_on(const core::RawMessage& raw) noexcept;
  // Requests of these frames, which bear the next ids. Call with the lock held.
  net::Requests requests_of(std::vector<std::string> frames);
  std::vector<core::Subscription> subscriptions_of(const std::string& venue_symbol) const;
  static net::ConnectorOptions connector_options(const LaneContext& context, Topology topology);

  const core::Venue& venue_;
  const VenueConfig& venue_config_;
  ControlQueue& control_;
  core::LineId line_;
  std::unique_ptr<core::MessageSink> sink_;
  // Pipelined only. Connector thread writes, parser thread reads. Frames can't fill it: it has a slot for
  // every buffer of the pool and some for line changes.
  std::unique_ptr<queue::SpscQueue<core::RawMessage>> raw_queue_;
  queue::WakeSignal parser_wake_;
  queue::IdleMode parser_idle_;
  std::atomic<bool> parser_stop_{false};
  std::atomic<bool> stopping_{false};
  std::atomic<bool> up_{false};
  shm::LineState told_ = shm::LineState::Connecting;  // loop thread: the last state handed on
  mutable std::mutex subscriptions_mutex_;
  std::vector<core::Subscription> subscriptions_;
  std::int64_t next_request_id_ = 1;
  ParseStage parse_;
  net::ExchangeConnector connector_;
};

}  // namespace mdp::engine
