#include "mdp/engine/lane.hpp"

#include <algorithm>
#include <utility>

#include "mdp/core/log.hpp"
#include "mdp/core/symbol_table.hpp"
#include "mdp/engine/rest_answers.hpp"
#include "mdp/net/connect_limiter.hpp"
#include "mdp/net/url.hpp"
#include "mdp/sys/clock.hpp"

namespace mdp::engine {
namespace {

constexpr std::size_t kLineChanges = 64;  // slots of the raw queue beside those for frames

net::FramePoolOptions pool_options(const EngineConfig& config, Topology topology) {
  net::FramePoolOptions pool;
  pool.frame_count = config.frames;
  pool.frame_bytes = config.frame_size;
  pool.release_from =
      topology == Topology::Pipelined ? net::ReleaseFrom::OtherThread : net::ReleaseFrom::SameThread;
  return pool;
}

constexpr std::int64_t to_ns(std::chrono::milliseconds duration) noexcept {
  return std::chrono::nanoseconds(duration).count();
}

Renewal::Plan plan_of(const LaneContext& context) {
  Renewal::Plan plan;
  plan.max_age_ns = context.venue_config.max_connection_age_s.count() != 0
                        ? to_ns(context.venue_config.max_connection_age_s)
                        : context.venue.endpoint().max_connection_age_ms * 1'000'000;
  // Lanes that came up together do not leave together.
  plan.percent_early = static_cast<std::int64_t>(5 + context.lane % 8);
  plan.overlap_ns = to_ns(context.venue_config.overlap_ms);
  plan.is_side_by_side = context.venue.book_rule().lines_share_ids;
  return plan;
}

}  // namespace

Lane::Lane(const LaneContext& context, core::MessageSink& sink, Topology topology,
           queue::IdleMode parser_idle)
    : venue_(context.venue),
      venue_config_(context.venue_config),
      symbols_(context.symbols),
      control_(context.control),
      loop_(context.loop),
      rest_(context.rest),
      route_(context.route),
      lane_(context.lane),
      pool_(pool_options(context.config, topology)),
      sink_(sink),
      parser_(parser_idle, parser_signal_),
      subscriptions_(context.venue),
      renewal_(plan_of(context)),
      parse_(context.venue, context.symbols, sink_, context.control) {
  for (std::size_t i = 0; i < kLinesOfALane; ++i) {
    lines_[i].lane = this;
    lines_[i].id = static_cast<core::LineId>(kLinesOfALane * lane_ + i);
  }
  if (topology == Topology::Pipelined) {
    raw_queue_ = std::make_unique<queue::SpscQueue<core::RawMessage>>(kLinesOfALane * pool_.frame_count +
                                                                      kLineChanges);
  }
}

Lane::~Lane() = default;

void Lane::make_connector(Line& line) {
  if (line.connector != nullptr) return;
  const core::Endpoint& endpoint = venue_.endpoint();
  net::ConnectorOptions options;
  static_cast<net::LineSettings&>(options) = venue_config_;
  options.ws_url = venue_config_.ws_url;
  options.ws_path = endpoint.ws_paths[route_];
  options.line_id = line.id;
  options.resolve_timeout = venue_config_.connect_timeout_ms;
  options.tcp_connect_timeout = venue_config_.connect_timeout_ms;
  options.proxy_timeout = venue_config_.connect_timeout_ms;
  options.tls_handshake_timeout = venue_config_.connect_timeout_ms;
  options.ws_upgrade_timeout = venue_config_.connect_timeout_ms;
  if (endpoint.answers != core::Answers::None || endpoint.ready != core::Ready::AtOnce)
    options.ack_timeout = venue_config_.subscribe_timeout_ms;
  options.limiter = net::ConnectLimiter::shared(
      *net::parse_url(venue_config_.ws_url),
      {.max_connects = endpoint.connects.count, .window = endpoint.connects.window});
  options.pool = pool_;
  options.messages = endpoint.messages;
  options.requests = endpoint.requests;
  options.keep_alive = endpoint.keep_alive;
  options.upgrade_headers = endpoint.upgrade_headers;
  if (venue_.connect_request(route_)) options.prepare = [this](auto done) { prepare(std::move(done)); };
  line.connector = std::make_unique<net::ExchangeConnector>(loop_, std::move(options), line);
}

// Where the venue must be asked for the URL. Loop thread; `done` is called on the REST thread.
void Lane::prepare(std::function<void(net::Prepared)> done) {
  const auto answered = [this, done = std::move(done)](const net::RestResponse& response) {
    net::Prepared prepared;
    prepared.error = problem_of(venue_, response);
    prepared.retry_after = std::chrono::seconds(std::max<std::int64_t>(response.retry_after_s(), 0));
    if (prepared.error.empty()) {
      if (auto target = venue_.read_connect(response.body())) {
        prepared.url = std::move(target->url);
        prepared.keep_alive = std::move(target->keep_alive);
      } else {
        prepared.error = target.error();
      }
    }
    done(std::move(prepared));
  };
  rest_.send(*venue_.connect_request(route_), venue_config_.rest_timeout_ms, answered);
}

void Lane::connect() {
  const std::lock_guard lock(lines_mutex_);
  make_connector(in_use());
  in_use().connector->connect();
}

void Lane::reconnect(std::string reason) {
  const std::lock_guard lock(lines_mutex_);
  if (in_use().connector != nullptr) in_use().connector->reconnect(std::move(reason));
}

// relaxed: tend() looks again soon.
void Lane::renew() noexcept {
  const std::lock_guard lock(lines_mutex_);
  in_use().is_leaving.store(true, std::memory_order_relaxed);
}

void Lane::begin_stop() {
  // relaxed: a line that goes down while the flag is being set may still be told.
  stopping_.store(true, std::memory_order_relaxed);
  const std::lock_guard lock(lines_mutex_);
  for (Line& line : lines_) {
    if (line.connector != nullptr) line.connector->disconnect();
  }
}

bool Lane::stopped() const {
  const std::lock_guard lock(lines_mutex_);
  return std::all_of(lines_.begin(), lines_.end(),
                     [](const Line& line) { return line.connector == nullptr || line.connector->stopped(); });
}

std::int64_t Lane::up_for_ns() const noexcept {
  std::int64_t longest = -1;
  const std::int64_t now_ns = sys::monotonic_ns();
  for (const Line& line : lines_) {
    if (!line.is_up()) continue;
    // relaxed: a time.
    longest = std::max(longest, now_ns - line.up_since_ns.load(std::memory_order_relaxed));
  }
  return longest;
}

void Lane::append_health(std::vector<LineHealth>& health) const {
  const std::lock_guard lock(lines_mutex_);
  for (const Line& line : lines_) {
    if (line.connector == nullptr) continue;
    LineHealth entry;
    entry.line = line.id;
    entry.venue = venue_.name();
    entry.path = venue_.endpoint().ws_paths[route_];
    entry.up = line.is_up();
    entry.in_use = &line == &lines_[renewal_.in_use()];
    entry.last_traffic_ns = line.connector->last_traffic_ns();
    // relaxed: a time.
    entry.up_since_ns = entry.up ? line.up_since_ns.load(std::memory_order_relaxed) : 0;
    entry.streams = stream_count();
    entry.raw_queue_depth = raw_queue_ ? raw_queue_->size() : 0;
    add_to(entry, line.connector->counters());
    add_to(entry, line.parsing);
    add_to(entry, line.arbitration);
    entry.lead_p50_ns = line.arbitration.lead.percentile(50);
    entry.lead_p99_ns = line.arbitration.lead.percentile(99);
    health.push_back(std::move(entry));
  }
}

// ---- subscriptions ---------------------------------------------------------------------------------------

std::vector<core::Subscription> Lane::subscriptions_of(const std::string& venue_symbol) const {
  std::vector<core::Subscription> subscriptions;
  for (const core::Channel channel : venue_config_.channels) {
    if (venue_.route_of(channel) == route_) subscriptions.push_back({venue_symbol, channel});
  }
  return subscriptions;
}

void Lane::add_symbols(const std::vector<std::string>& venue_symbols) {
  std::vector<core::Subscription> added;
  for (const std::string& venue_symbol : venue_symbols) {
    const std::vector<core::Subscription> of_symbol = subscriptions_of(venue_symbol);
    added.insert(added.end(), of_symbol.begin(), of_symbol.end());
  }
  const std::lock_guard lock(subscriptions_mutex_);
  add(added);
}

void Lane::subscribe_again(const core::Subscription& refused) {
  const std::lock_guard lock(subscriptions_mutex_);
  if (!subscriptions_.has(refused)) add({refused});
}

// Under subscriptions_mutex_.
void Lane::add(const std::vector<core::Subscription>& added) {
  subscriptions_.add(added);
  for (Line& line : lines_) {
    if (line.takes_requests()) line.connector->subscribe(subscriptions_.ask(line.id, added));
  }
}

void Lane::remove_symbol(const std::string& venue_symbol) {
  const std::vector<core::Subscription> left = subscriptions_of(venue_symbol);
  const std::lock_guard lock(subscriptions_mutex_);
  subscriptions_.remove(venue_symbol);
  for (Line& line : lines_) {
    if (line.takes_requests()) line.connector->subscribe(subscriptions_.leave(left));
  }
}

void Lane::resubscribe(const std::string& venue_symbol) {
  const std::vector<core::Subscription> depth{{venue_symbol, core::Channel::Depth}};
  const std::lock_guard lock(subscriptions_mutex_);
  if (!subscriptions_.has(depth.front())) return;
  for (Line& line : lines_) {
    if (!line.takes_requests()) continue;
    line.connector->subscribe(subscriptions_.leave(depth));
    line.connector->subscribe(subscriptions_.ask(line.id, depth));
  }
}

std::size_t Lane::stream_count() const {
  const std::lock_guard lock(subscriptions_mutex_);
  return subscriptions_.count();
}

// Loop thread.
net::Requests Lane::on_connected(Line& line, core::ConnectionId connection) {
  net::Requests requests;
  bool came_up = false;
  {
    const std::lock_guard lock(subscriptions_mutex_);
    line.connection = connection;
    // relaxed: the notice was for the connection before this one.
    line.is_leaving.store(false, std::memory_order_relaxed);
    if (venue_.endpoint().ready == core::Ready::AfterWelcome) {
      enter(line, Phase::Greeting);
      return {{}, net::kWelcome};
    }
    requests = begin(line, came_up);
  }
  if (came_up) hand_on_state(line, shm::LineState::Up);
  return requests;
}

// Under subscriptions_mutex_. The connection takes requests: those for everything there is.
net::Requests Lane::begin(Line& line, bool& came_up) {
  enter(line, Phase::Asking);
  net::Requests requests = subscriptions_.begin(line.id);
  const bool data_will_tell = venue_.endpoint().answers == core::Answers::None && subscriptions_.count() != 0;
  came_up = !data_will_tell && come_up_if_confirmed(line);
  return requests;
}

void Lane::enter(Line& line, Phase phase) noexcept {
  if (phase == Phase::Down) line.connection = core::kNoConnection;
  // relaxed: a time.
  if (phase == Phase::Up) line.up_since_ns.store(sys::monotonic_ns(), std::memory_order_relaxed);
  // release: pairs with the acquire loads in Line::is_up() and Line::takes_requests().
  line.phase.store(phase, std::memory_order_release);
}

// Whether it came up just now.
bool Lane::come_up_if_confirmed(Line& line) noexcept {
  if (line.is_up() || !subscriptions_.is_confirmed(line.id)) return false;
  enter(line, Phase::Up);
  return true;
}

// Loop thread. The request may have been too long for the venue: the connection is blamed only when a single
// stream has no answer either.
net::Requests Lane::on_unanswered(Line& line, std::int64_t request_id) {
  bool came_up = false;
  net::Requests instead;
  {
    const std::lock_guard lock(subscriptions_mutex_);
    instead = subscriptions_.unanswered(line.id, request_id);
    // What the venue passes over nobody waits for: it may have been the last.
    came_up = !instead.frames.empty() && come_up_if_confirmed(line);
  }
  if (came_up) hand_on_state(line, shm::LineState::Up);
  if (!instead.frames.empty()) {
    core::log(core::LogLevel::Warning, "line.request_unanswered line=" + std::to_string(line.id) +
                                           " request=" + std::to_string(request_id) +
                                           " asked_again_in=" + std::to_string(instead.frames.size()));
  }
  return instead;
}

// Parser thread. All that the message path is not.
void Lane::on_no_data(Line& line, const core::RawMessage& raw, core::ParseStatus status) noexcept {
  switch (status) {
    case core::ParseStatus::Ack:
    case core::ParseStatus::VenueError:
      return on_reply(line, raw, status == core::ParseStatus::VenueError);
    case core::ParseStatus::Welcome:
      return on_welcome(line, raw);
    case core::ParseStatus::Respond:
      return line.connector->respond(raw.connection_id, parse_.response());
    case core::ParseStatus::Shutdown:
      // relaxed: tend() looks again soon.
      return line.is_leaving.store(true, std::memory_order_relaxed);
    default:
      return line.parsing.parse_errors.add();
  }
}

// Parser thread. Who answers no requests has taken them when data comes.
void Lane::on_first_data(Line& line, const core::RawMessage& raw) noexcept {
  {
    const std::lock_guard lock(subscriptions_mutex_);
    if (!line.takes_requests() || raw.connection_id != line.connection) return;
    if (!line.is_up()) enter(line, Phase::Up);
  }
  tell_road(line, shm::LineState::Up);
}

// Parser thread.
void Lane::on_welcome(Line& line, const core::RawMessage& raw) noexcept {
  bool came_up = false;
  {
    const std::lock_guard lock(subscriptions_mutex_);
    if (raw.connection_id != line.connection || line.takes_requests()) return;
    line.connector->acknowledged(net::kWelcome);
    line.connector->subscribe(begin(line, came_up));
  }
  if (came_up) tell_road(line, shm::LineState::Up);
}

// Parser thread.
void Lane::on_reply(Line& line, const core::RawMessage& raw, bool is_refused) noexcept {
  const core::VenueReply& reply = parse_.reply();
  const bool by_name = venue_.endpoint().answers == core::Answers::PerSubscription;
  // An answer to nothing in particular may be to anything. If it was to a request of ours, that one stays
  // unanswered.
  if (by_name ? reply.symbol[0] == '\0' : reply.request_id < 0) return;
  if (!by_name) line.connector->acknowledged(reply.request_id);
  bool came_up = false;
  {
    const std::lock_guard lock(subscriptions_mutex_);
    if (raw.connection_id != line.connection) return;
    Subscriptions::Answer answer =
        by_name ? subscriptions_.answered(line.id, {reply.symbol, reply.channel}, is_refused)
                : subscriptions_.answered(line.id, reply.request_id, is_refused);
    if (!answer.is_known) return;
    if (by_name && answer.completed != 0) line.connector->acknowledged(answer.completed);
    if (answer.given_up) reject(line, *answer.given_up, reply);
    if (!answer.again.frames.empty()) line.connector->subscribe(std::move(answer.again));
    came_up = come_up_if_confirmed(line);
  }
  if (came_up) tell_road(line, shm::LineState::Up);
}

// Parser thread. The venue refused this one stream: it is given up, with the venue's words.
void Lane::reject(const Line& line, const core::Subscription& subscription,
                  const core::VenueReply& reply) noexcept {
  const core::Instrument* instrument = symbols_.find(subscription.venue_symbol);
  control_.tell(ControlKind::Rejected, [&](ControlEvent& event) {
    event.line = line.id;
    event.exchange = venue_.exchange_id();
    event.symbol = instrument != nullptr ? instrument->symbol_id : core::kNoSymbol;
    event.channel = subscription.channel;
    event.code = reply.code;
    event.set_text(reply.text);
  });
  if (instrument == nullptr || subscription.channel != core::Channel::Depth) return;
  // The connection that replaces this one some day will not ask for it either.
  for (const Line& each : lines_) {
    core::MessageHeader& header = sink_.slot().header;
    header = {};
    header.update_type = core::UpdateType::Invalidate;
    header.reason = static_cast<std::uint8_t>(shm::StateReason::Rejected);
    header.symbol_id = instrument->symbol_id;
    header.exchange_id = venue_.exchange_id();
    header.line_id = each.id;
    header.recv_ts_ns = sys::now_ns();
    sink_.commit();
  }
}

// ---- frames ----------------------------------------------------------------------------------------------

void Lane::hand_on(const core::RawMessage& raw) noexcept {
  if (raw_queue_ == nullptr) return consume(raw);
  queue::FullQueueWait wait;
  while (!raw_queue_->try_push(raw)) wait.wait();
  parser_();
}

// Parser thread.
void Lane::consume(const core::RawMessage& raw) noexcept {
  Line& line = line_of(raw.line_id);
  if (raw.kind == core::RawKind::Line) return tell_road(line, raw.line_state);
  // Books go by what comes before the line is confirmed, too: if it is lost now, they must hear of it.
  if (line.told == shm::LineState::Down) line.told = shm::LineState::Connecting;
  const core::ParseStatus status = parse_.handle(raw);
  if (status == core::ParseStatus::Ok) {
    if (line.told != shm::LineState::Up && venue_.endpoint().answers == core::Answers::None) {
      on_first_data(line, raw);
    }
  } else if (status != core::ParseStatus::Ignored) {
    on_no_data(line, raw, status);
  }
  line.connector->release(raw);
}

// A change of state takes its place among the frames.
void Lane::hand_on_state(const Line& line, shm::LineState state) noexcept {
  core::RawMessage raw{};
  raw.kind = core::RawKind::Line;
  raw.line_state = state;
  raw.line_id = line.id;
  raw.recv_ts_ns = sys::now_ns();
  hand_on(raw);
}

// Loop thread. That the connector is up is not yet that the line is: see on_connected().
void Lane::on_line_state(Line& line, shm::LineState state, net::LineReason reason,
                         std::string_view detail) noexcept {
  if (state == shm::LineState::Up) return;
  {
    const std::lock_guard lock(subscriptions_mutex_);
    enter(line, Phase::Down);
    subscriptions_.end(line.id);
  }
  tell_control(line, state, detail.empty() ? net::to_string(reason) : detail);
  // relaxed: a line that goes down while the flag is being set may still be told.
  if (state == shm::LineState::Down && !stopping_.load(std::memory_order_relaxed)) {
    hand_on_state(line, shm::LineState::Down);
  }
}

// Parser thread. The road hears of Up and Down only, each once, in order with the frames.
void Lane::tell_road(Line& line, shm::LineState state) noexcept {
  if (state == line.told) return;
  line.told = state;
  if (state == shm::LineState::Up) tell_control(line, state, "");
  core::MessageHeader& header = sink_.slot().header;
  header = {};
  header.update_type = core::UpdateType::Line;
  header.reason = static_cast<std::uint8_t>(state);
  header.symbol_id = core::kNoSymbol;
  header.exchange_id = venue_.exchange_id();
  header.line_id = line.id;
  header.recv_ts_ns = sys::now_ns();
  header.flags = core::kFirst | core::kLast;
  sink_.commit();
}

void Lane::tell_control(const Line& line, shm::LineState state, std::string_view detail) noexcept {
  control_.tell(ControlKind::LineState, [&](ControlEvent& event) {
    event.line = line.id;
    event.exchange = venue_.exchange_id();
    event.line_state = state;
    event.set_text(detail);
  });
}

bool Lane::run_once() noexcept {
  const core::RawMessage* raw = raw_queue_->front();
  if (raw == nullptr) return false;
  consume(*raw);
  raw_queue_->pop();
  return true;
}

// ---- what needs no frame to happen -----------------------------------------------------------------------

void Lane::tend() {
  // relaxed: a moment later is soon enough.
  if (stopping_.load(std::memory_order_relaxed)) return;
  const std::lock_guard lock(lines_mutex_);
  const Renewal::View lines[] = {view_of(lines_[0]), view_of(lines_[1])};
  switch (renewal_.next(lines, sys::monotonic_ns())) {
    case Renewal::Action::Nothing:
      return;
    case Renewal::Action::Open: {
      Line& other = lines_[renewal_.other()];
      core::log(core::LogLevel::Info,
                "line.renew line=" + std::to_string(in_use().id) + " new_line=" + std::to_string(other.id));
      make_connector(other);
      return other.connector->connect();
    }
    case Renewal::Action::CloseOld:
      return lines_[renewal_.other()].connector->disconnect();
    case Renewal::Action::Reopen:
      // relaxed: the notice is obeyed.
      in_use().is_leaving.store(false, std::memory_order_relaxed);
      return in_use().connector->reconnect("renewed before the venue ends it");
  }
}

Renewal::View Lane::view_of(const Line& line) const noexcept {
  // relaxed, both: a notice, a time.
  return {.is_up = line.is_up(),
          .is_leaving = line.is_leaving.load(std::memory_order_relaxed),
          .is_stopped = line.connector == nullptr || line.connector->stopped(),
          .up_since_ns = line.up_since_ns.load(std::memory_order_relaxed)};
}

}  // namespace mdp::engine
