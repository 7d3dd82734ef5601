// Lane: one connection to a venue with all that belongs to it: connector, parser and the queue between them.
//
// Made by Placement. In the fused topology frames are parsed inline on the loop's thread; in the pipelined
// one they pass through the raw queue to run_once(), which the road runs on a thread of its own.
//
// A lane has two lines, of which one is in use. Before the venue ends the connection (its age limit, its
// shutdown notice) the lane is renewed (renewal.hpp): the other line comes up beside it, carries everything
// for a while, and only then the old one is closed. Frames of both pass the one parser; the book manager
// arbitrates between them as between any two lines, so no book notices. It can where an update has the same
// ids on every line (BookRule::lines_share_ids). Where it has not, the old connection is dropped first, and
// books sync anew.
//
// A line has one state, Lane::Phase, which enter() alone sets. What else says something like "up", and why it
// is not that state:
//
// | what                            | whose                    | why besides the phase                                  |
// |---------------------------------|--------------------------|--------------------------------------------------------|
// | connector made, stopped()       | net::ExchangeConnector   | it lives from the first need of the line to the lane's |
// |                                 |                          | end, through all reconnects                            |
// | Line::connection                | the connection's number  | answers that still come from the connection before it  |
// |                                 |                          | count for nothing                                      |
// | Subscriptions::is_confirmed()   | requests and answers     | the phase Up follows from it; data alone may do, too   |
// | Line::told                      | the parser's thread      | what books were told comes in order with the frames,   |
// |                                 |                          | later than the phase                                   |
// | Line::is_leaving                | a wish                   | a line that will be replaced is up until then          |
// | Renewal::in_use()               | the lane                 | both lines may be up; which one stays                  |
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "mdp/book/line_arbiter.hpp"
#include "mdp/core/venue.hpp"
#include "mdp/engine/control.hpp"
#include "mdp/engine/engine_config.hpp"
#include "mdp/engine/health.hpp"
#include "mdp/engine/renewal.hpp"
#include "mdp/engine/stages.hpp"
#include "mdp/engine/subscriptions.hpp"
#include "mdp/net/exchange_connector.hpp"
#include "mdp/net/rest_client.hpp"
#include "mdp/queue/idle_strategy.hpp"
#include "mdp/queue/spsc_queue.hpp"

namespace mdp::engine {

inline constexpr std::size_t kLinesOfALane = 2;

struct LaneContext {
  const core::Venue& venue;
  const VenueConfig& venue_config;
  const EngineConfig& config;
  const core::SymbolTable& symbols;
  ControlQueue& control;
  net::IoLoop& loop;
  net::RestClient& rest;
  std::size_t route;  // of core::Endpoint::ws_paths
  std::size_t lane;   // its number: the lines are 2 * lane and 2 * lane + 1
};

class Lane final {
 public:
  // Fused: `sink` is the next stage, called on the loop's thread. Pipelined: `sink` is called on the parser
  // thread, which waits by `parser_idle`.
  Lane(const LaneContext& context, core::MessageSink& sink, Topology topology, queue::IdleMode parser_idle);
  ~Lane();

  // Any thread. Starts, and keeps the lane connected until begin_stop().
  void connect();

  // Any thread. Subscribes to every channel of the venue's config that this route carries, now if the lane is
  // up and after each reconnect.
  void add_symbols(const std::vector<std::string>& venue_symbols);
  // Any thread. The same for one channel that the venue has refused; nothing where it is subscribed to.
  void subscribe_again(const core::Subscription& refused);
  void remove_symbol(const std::string& venue_symbol);
  // Any thread. Leaves the symbol's depth stream and subscribes to it anew, on each connection there is: a
  // venue whose snapshot comes in the stream sends another one. Two requests of the venue's limits
  // (core::Endpoint) on each connection. Nothing where this route carries no depth or the symbol's depth is
  // not subscribed to.
  void resubscribe(const std::string& venue_symbol);
  std::size_t stream_count() const;

  // Any thread. The next tend() begins to replace the connection: the old one is closed after the new one
  // is up.
  void renew() noexcept;
  // Any thread. Drops the connection and makes it anew.
  void reconnect(std::string reason);

  // The engine's housekeeping, some times a second: renewals.
  void tend();

  // Pipelined: a stage, which a StageThread runs.
  bool run_once() noexcept;
  bool has_work() noexcept { return raw_queue_->front() != nullptr; }
  queue::WakeSignal& wake_signal() noexcept { return parser_signal_; }

  // Any thread. Disconnects for good. From now on a line that goes down is intended: books keep their state.
  void begin_stop();
  bool stopped() const;

  std::array<core::LineId, kLinesOfALane> line_ids() const noexcept { return {lines_[0].id, lines_[1].id}; }
  book::LineCounters& line_counters(std::size_t i) noexcept { return lines_[i].arbitration; }
  std::size_t number() const noexcept { return lane_; }
  // Any thread. How long the line that is up longest has been up; -1: none is.
  std::int64_t up_for_ns() const noexcept;
  // Any thread. One entry for each line that was ever connected.
  void append_health(std::vector<LineHealth>& health) const;

 private:
  // What a line is, by its connection.
  enum class Phase : std::uint8_t {
    Down,      // no connection
    Greeting,  // connected; the venue has yet to say welcome (core::Ready::AfterWelcome)
    Asking,    // requests go out; some have no answer yet, or no data has shown that they were taken
    Up,        // every subscription is confirmed
  };
  // One of the two connections.
  struct Line final : net::LineHandler {
    Lane* lane = nullptr;
    core::LineId id = 0;
    std::unique_ptr<net::ExchangeConnector> connector;  // made when first needed, under lines_mutex_
    // Of the last time it connected, kNoConnection while Down; under lane->subscriptions_mutex_. What a
    // connection before it has brought says nothing of its requests.
    core::ConnectionId connection = core::kNoConnection;
    // Set by enter() alone, under lane->subscriptions_mutex_. release where it is set, acquire where it is
    // read: who sees Up sees the line's subscriptions go on.
    std::atomic<Phase> phase{Phase::Down};
    std::atomic<std::int64_t> up_since_ns{0};  // monotonic; relaxed: a time
    std::atomic<bool> is_leaving{false};       // to be renewed; relaxed: tend() looks again soon
    // What the road was last told, by the parser's thread.
    shm::LineState told = shm::LineState::Connecting;
    book::LineCounters arbitration;
    ParseCounters parsing;

    // acquire, both: pair with the release store in enter().
    bool is_up() const noexcept { return phase.load(std::memory_order_acquire) == Phase::Up; }
    bool takes_requests() const noexcept { return phase.load(std::memory_order_acquire) >= Phase::Asking; }

    void on_frame(const core::RawMessage& frame) noexcept override { lane->hand_on(frame); }
    void on_line_state(shm::LineState state, net::LineReason reason,
                       std::string_view detail) noexcept override {
      lane->on_line_state(*this, state, reason, detail);
    }
    net::Requests on_up(core::ConnectionId of) override { return lane->on_connected(*this, of); }
    net::Requests on_unanswered(std::int64_t request_id) override {
      return lane->on_unanswered(*this, request_id);
    }
  };
  // Loop thread.
  void on_line_state(Line& line, shm::LineState state, net::LineReason reason,
                     std::string_view detail) noexcept;
  net::Requests on_connected(Line& line, core::ConnectionId connection);
  net::Requests begin(Line& line, bool& came_up);
  net::Requests on_unanswered(Line& line, std::int64_t request_id);
  void hand_on(const core::RawMessage& raw) noexcept;
  void hand_on_state(const Line& line, shm::LineState state) noexcept;

  // Parser thread.
  void consume(const core::RawMessage& raw) noexcept;
  void on_first_data(Line& line, const core::RawMessage& raw) noexcept;
  void on_no_data(Line& line, const core::RawMessage& raw, core::ParseStatus status) noexcept;
  void on_reply(Line& line, const core::RawMessage& raw, bool is_refused) noexcept;
  void on_welcome(Line& line, const core::RawMessage& raw) noexcept;
  void reject(const Line& line, const core::Subscription& subscription,
              const core::VenueReply& reply) noexcept;
  void tell_road(Line& line, shm::LineState state) noexcept;

  void tell_control(const Line& line, shm::LineState state, std::string_view detail) noexcept;
  Line& line_of(core::LineId id) noexcept { return lines_[id % kLinesOfALane]; }
  std::vector<core::Subscription> subscriptions_of(const std::string& venue_symbol) const;
  void add(const std::vector<core::Subscription>& added);

  // Under subscriptions_mutex_.
  void enter(Line& line, Phase phase) noexcept;
  bool come_up_if_confirmed(Line& line) noexcept;

  // Under lines_mutex_.
  Line& in_use() noexcept { return lines_[renewal_.in_use()]; }
  void make_connector(Line& line);
  void prepare(std::function<void(net::Prepared)> done);
  Renewal::View view_of(const Line& line) const noexcept;

  const core::Venue& venue_;
  const VenueConfig& venue_config_;
  const core::SymbolTable& symbols_;
  ControlQueue& control_;
  net::IoLoop& loop_;
  net::RestClient& rest_;
  const std::size_t route_;
  const std::size_t lane_;
  const net::FramePoolOptions pool_;
  core::MessageSink& sink_;
  // Pipelined only. Connector thread writes, parser thread reads. Frames can't fill it: it has a slot for
  // every buffer of both pools and some for line changes.
  std::unique_ptr<queue::SpscQueue<core::RawMessage>> raw_queue_;
  queue::WakeSignal parser_signal_;
  const Wake parser_;
  std::atomic<bool> stopping_{false};

  mutable std::mutex subscriptions_mutex_;
  Subscriptions subscriptions_;  // of both lines, by their ids

  mutable std::mutex lines_mutex_;  // connectors being made, renewal_; control path only
  std::array<Line, kLinesOfALane> lines_;
  Renewal renewal_;
  ParseStage parse_;
};

}  // namespace mdp::engine
