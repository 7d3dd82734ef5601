#include "mdp/engine/lane.hpp"

#include <algorithm>

#include "mdp/sys/clock.hpp"

namespace mdp::engine {

Lane::Lane(const LaneContext& context, std::unique_ptr<core::MessageSink> sink, Topology topology,
           queue::IdleMode parser_idle)
    : venue_(context.venue),
      venue_config_(context.venue_config),
      control_(context.control),
      line_(context.line),
      sink_(std::move(sink)),
      parser_idle_(parser_idle),
      parse_(
          context.venue, context.symbols, context.line, *sink_, context.control,
          [this] { connector_.reconnect("the venue announced its shutdown"); },
          [this](std::int64_t request_id) { connector_.acknowledged(request_id); }),
      connector_(context.loop, connector_options(context, topology), *this, &context.rest) {
  constexpr std::size_t kLineChanges = 64;
  if (topology == Topology::Pipelined) {
    raw_queue_ =
        std::make_unique<queue::SpscQueue<core::RawMessage>>(context.config.frame_count + kLineChanges);
  }
}

net::ConnectorOptions Lane::connector_options(const LaneContext& context, Topology topology) {
  const VenueConfig& venue = context.venue_config;
  net::ConnectorOptions options;
  options.ws_url = venue.ws_url;
  options.ws_path = context.venue.endpoint().ws_path;
  options.proxy = venue.proxy;
  options.tls = venue.tls;
  options.line_id = context.line;
  options.resolve_timeout = venue.connect_timeout;
  options.tcp_connect_timeout = venue.connect_timeout;
  options.proxy_timeout = venue.connect_timeout;
  options.tls_handshake_timeout = venue.connect_timeout;
  options.ws_upgrade_timeout = venue.connect_timeout;
  if (context.venue.endpoint().answers_requests) options.ack_timeout = venue.connect_timeout;
  options.idle_timeout = venue.idle_timeout;
  options.backoff = venue.backoff;
  options.limiter = net::ConnectLimiter::shared(
      *net::parse_url(venue.ws_url), {.max_connects = context.venue.endpoint().max_connects_per_5min});
  options.socket = venue.socket;
  options.pool.frame_count = context.config.frame_count;
  options.pool.frame_bytes = context.config.frame_bytes;
  options.pool.release_from =
      topology == Topology::Pipelined ? net::ReleaseFrom::OtherThread : net::ReleaseFrom::SameThread;
  options.max_messages_per_second = context.venue.endpoint().max_requests_per_second;
  return options;
}

// ---- subscriptions ---------------------------------------------------------------------------------------

std::vector<core::Subscription> Lane::subscriptions_of(const std::string& venue_symbol) const {
  std::vector<core::Subscription> subscriptions;
  for (const core::Channel channel : venue_config_.channels) subscriptions.push_back({venue_symbol, channel});
  return subscriptions;
}

void Lane::add_symbol(const std::string& venue_symbol) {
  const std::vector<core::Subscription> added = subscriptions_of(venue_symbol);
  net::Requests requests;
  {
    const std::lock_guard lock(subscriptions_mutex_);
    subscriptions_.insert(subscriptions_.end(), added.begin(), added.end());
    if (!up()) return;  // on_up() will send them all
    requests = requests_of(venue_.subscribe_frames(added, next_request_id_));
  }
  connector_.subscribe(std::move(requests));
}

void Lane::remove_symbol(const std::string& venue_symbol) {
  net::Requests requests;
  {
    const std::lock_guard lock(subscriptions_mutex_);
    std::erase_if(subscriptions_,
                  [&](const core::Subscription& s) { return s.venue_symbol == venue_symbol; });
    if (!up()) return;
    requests = requests_of(venue_.unsubscribe_frames(subscriptions_of(venue_symbol), next_request_id_));
  }
  connector_.subscribe(std::move(requests));
}

std::size_t Lane::stream_count() const {
  const std::lock_guard lock(subscriptions_mutex_);
  return subscriptions_.size();
}

net::Requests Lane::requests_of(std::vector<std::string> frames) {
  const std::int64_t first_id = next_request_id_;
  next_request_id_ += static_cast<std::int64_t>(frames.size());
  return {std::move(frames), first_id};
}

net::Requests Lane::on_up() {
  const std::lock_guard lock(subscriptions_mutex_);
  // release: set under the lock, so that add_symbol() either is in the list below or sends its own frames;
  // pairs with the acquire load in up().
  up_.store(true, std::memory_order_release);
  return requests_of(venue_.subscribe_frames(subscriptions_, next_request_id_));
}

// acquire: pairs with the release stores in on_up() and on_line_state().
bool Lane::up() const noexcept { return up_.load(std::memory_order_acquire); }

// ---- frames ----------------------------------------------------------------------------------------------

void Lane::on_frame(const core::RawMessage& frame) noexcept { hand_on(frame); }

void Lane::hand_on(const core::RawMessage& raw) noexcept {
  if (raw_queue_ == nullptr) {
    parse_.handle(raw);
    if (raw.kind == core::RawKind::Frame) connector_.release(raw);
    return;
  }
  queue::FullQueueWait wait;
  while (!raw_queue_->try_push(raw)) wait.wait();
  if (parser_idle_ == queue::IdleMode::Park) parser_wake_.notify();
}

void Lane::on_line_state(shm::LineState state, net::LineReason reason, std::string_view detail) noexcept {
  // release: pairs with the acquire load in up(). Up is set by on_up(), with the subscriptions.
  if (state != shm::LineState::Up) up_.store(false, std::memory_order_release);
  control_.tell(ControlKind::LineState, [&](ControlEvent& event) {
    event.line = line_;
    event.line_state = state;
    event.code = static_cast<std::int64_t>(reason);
    event.set_text(detail.empty() ? net::to_string(reason) : detail);
  });
  // The road hears of Up and Down only, each once, in order with the frames.
  // relaxed: a line that goes down while the flag is being set may still be told.
  if (state == shm::LineState::Connecting || state == told_ || stopping_.load(std::memory_order_relaxed))
    return;
  told_ = state;
  core::RawMessage raw{};
  raw.kind = core::RawKind::Line;
  raw.line_state = state;
  raw.line_id = line_;
  raw.recv_ts_ns = sys::now_ns();
  hand_on(raw);
}

// relaxed: see on_line_state().
void Lane::begin_stop() noexcept { stopping_.store(true, std::memory_order_relaxed); }

void Lane::run_parser() {
  queue::IdleStrategy idle(parser_idle_, parser_wake_);
  for (;;) {
    const core::RawMessage* raw = raw_queue_->front();
    if (raw == nullptr) {
      // acquire: what the connector pushed before the stop is seen by the next look; pairs with
      // stop_parser().
      if (parser_stop_.load(std::memory_order_acquire) && raw_queue_->front() == nullptr) return;
      idle.idle([this] {
        // acquire: as above.
        return raw_queue_->front() != nullptr || parser_stop_.load(std::memory_order_acquire);
      });
      continue;
    }
    idle.reset();
    parse_.handle(*raw);
    if (raw->kind == core::RawKind::Frame) connector_.release(*raw);
    raw_queue_->pop();
  }
}

void Lane::stop_parser() noexcept {
  // release: pairs with the acquire loads in run_parser().
  parser_stop_.store(true, std::memory_order_release);
  parser_wake_.notify();
}

}  // namespace mdp::engine
