// The road, wired. This file and replay/replay.cpp start every thread but mdp-resolve (net/name_lookup.cpp).
//
// | step             | code                    | thread           | hands over                                |
// |------------------|-------------------------|------------------|-------------------------------------------|
// | wire, connector  | net/exchange_connector  | mdp-conn-<lane>  | RawMessage                                |
// | raw queue        | queue/spsc_queue        |                  | full: the connector waits (TCP window)    |
// | parser           | venue/<name>/parser     | mdp-parse-<lane> | 0..n NormalizedMessage into a sink        |
// | normalized queue | queue/spsc_slot_queue   |                  | full: the parser waits, counted           |
// | book manager     | book/order_book_manager | mdp-book-<n>     | shm::Event: delta, BBO, trade, state      |
// | event queue      | queue/mpsc_queue        |                  | full: the manager waits, counted          |
// | publisher        | publish/ipc_publisher   | mdp-publish      | ring record, book-table entry             |
// | REST             | net/rest_client         | mdp-rest         | snapshot chunks for the manager           |
// | housekeeping     | here                    | mdp-house        | re-anchors the clock, keeps the heartbeat |
//
// The threads are those of the pipelined topology. Fused: connector, parser, book manager and publisher are
// all on the one thread mdp-conn-0, and no queue is between them.
#include "mdp/engine/engine.hpp"

#include <algorithm>
#include <chrono>
#include <exception>
#include <future>
#include <string_view>
#include <utility>

#include "mdp/core/error.hpp"
#include "mdp/core/log.hpp"
#include "mdp/core/text.hpp"
#include "mdp/net/url.hpp"
#include "mdp/sys/clock.hpp"
#include "mdp/sys/huge_page_memory.hpp"
#include "mdp/sys/thread.hpp"
#include "mdp/venue/registry.hpp"

namespace mdp::engine {
namespace {

constexpr std::size_t kSnapshotSlots = 64;
constexpr std::size_t kControlSlots = 8192;
constexpr std::chrono::milliseconds kHousekeepingInterval{100};
constexpr int kAnchorEvery = 10;  // housekeeping rounds

int core_at(const std::vector<int>& cores, std::size_t index) {
  return index < cores.size() ? cores[index] : -1;
}

}  // namespace

struct Engine::VenueRuntime {
  VenueConfig config;
  std::unique_ptr<core::Venue> venue;
  core::SymbolTable symbols;
  std::unique_ptr<net::RestClient> rest;
  std::vector<std::unique_ptr<Bundle>> bundles;
};

// What the answer to a request for a snapshot needs. It is copied when the request is made: by the time that
// the answer comes, on the REST thread, control may have removed the symbol.
struct Engine::SnapshotRequest {
  const core::Venue& venue;            // until the engine is destroyed, as all below
  const core::Instrument& instrument;  // never changed after it was added
  core::MessageSink& into;             // of the manager that had the symbol; the REST thread alone writes
  std::uint16_t depth_limit;
  ControlKind outcome;
};

// Lanes that carry the same symbols on the same route: as many as the venue's config asks for.
struct Engine::Bundle {
  std::size_t route = 0;
  ManagerThread* manager = nullptr;
  std::vector<Lane*> lanes;
  std::vector<std::string> added;  // by the venue's names: those the lanes have yet to be told of
};

struct Engine::SymbolRuntime {
  core::Instrument instrument;
  VenueRuntime* venue = nullptr;
  std::vector<Bundle*> bundles;  // one a route; empty before start() and after removal
  ManagerThread* manager = nullptr;

  bool placed() const noexcept { return manager != nullptr; }
};

struct Engine::LoopThread {
  net::IoLoop loop;
  std::vector<Lane*> lanes;
};

struct Engine::ManagerThread {
  std::unique_ptr<QueueEventSink> sink;  // pipelined
  MessageQueue snapshots{kSnapshotSlots};
  std::vector<std::unique_ptr<MessageQueue>> lane_inputs;
  std::vector<const QueueMessageSink*> lane_sinks;  // of those inputs; the lanes own them
  std::unique_ptr<ManagerStage> stage;
  std::unique_ptr<QueueMessageSink> snapshot_sink;  // REST thread writes
  int core = -1;
};

// ---- set-up ----------------------------------------------------------------------------------------------

Engine::Engine(EngineConfig config) : config_(std::move(config)), control_(kControlSlots) {
  if (config_.manager_count == 0) throw ConfigError("manager_count must be at least 1, found 0");
  resolve_modes();
  symbol_status_ = std::make_unique<SymbolStatus[]>(config_.segment.instrument_capacity);
  sys::process_clock();  // calibrated here, not at the first frame
  segment_ = std::make_unique<publish::SegmentWriter>(config_.segment);
  segment_->heartbeat(sys::now_ns());
  start_thread(rest_thread_, "mdp-rest", config_.cores.rest,
               [this] { rest_loop_.run(queue::IdleMode::Park); });
  start_thread(housekeeping_thread_, "mdp-house", -1, [this] { run_housekeeping(); });
}

Engine::~Engine() { stop(); }

void Engine::resolve_modes() {
  constexpr std::size_t kStagesOfALine = 4;  // connector, parser, manager, publisher
  const std::size_t cores = sys::available_cores();
  topology_ = config_.topology;
  if (topology_ == Topology::Auto) topology_ = kStagesOfALine < cores ? Topology::Pipelined : Topology::Fused;
  const std::size_t busy_threads =
      topology_ == Topology::Fused ? 1 : kStagesOfALine + config_.manager_count - 1;
  idle_ = queue::resolve(config_.idle, busy_threads, cores);
}

std::unique_ptr<Engine::VenueRuntime> Engine::make_venue(net::IoLoop& rest_loop, VenueConfig config,
                                                         std::unique_ptr<core::Venue> venue) {
  auto runtime = std::make_unique<VenueRuntime>();
  runtime->venue = std::move(venue);
  if (config.ws_url.empty()) config.ws_url = runtime->venue->endpoint().ws_url;
  if (config.rest_url.empty()) config.rest_url = runtime->venue->endpoint().rest_url;
  const core::BookRule& rule = runtime->venue->book_rule();
  if (config.lines == 0 || (config.lines > 1 && !rule.lines_share_ids)) {
    throw ConfigError(config.name + ": lines: found " + std::to_string(config.lines) + ", allowed: 1" +
                      (config.lines == 0
                           ? " or more"
                           : ", for the venue's updates do not have the same ids on every line"));
  }
  for (const core::Channel channel : config.channels) {
    if (!runtime->venue->offers(channel)) {
      throw ConfigError(config.name + " does not offer the channel " + core::to_string(channel));
    }
  }
  net::check_tls(net::checked_endpoint("ws_url", config.ws_url), config.tls);
  net::RestOptions rest;
  rest.tls = config.tls;
  rest.proxy = config.proxy;
  runtime->rest = std::make_unique<net::RestClient>(rest_loop, config.rest_url, rest);
  runtime->config = std::move(config);
  return runtime;
}

void Engine::check_venue(VenueConfig config) {
  net::IoLoop nobody_runs_it;
  auto venue = venue::make_venue(config.name, config.options);
  make_venue(nobody_runs_it, std::move(config), std::move(venue));
}

std::size_t Engine::add_venue(VenueConfig config) {
  auto venue = venue::make_venue(config.name, config.options);
  return add_venue(std::move(config), std::move(venue));
}

std::size_t Engine::add_venue(VenueConfig config, std::unique_ptr<core::Venue> venue) {
  assert_control_thread();
  auto runtime = make_venue(rest_loop_, std::move(config), std::move(venue));
  segment_->directory().set_venue(runtime->venue->exchange_id(), runtime->venue->name());
  venues_.push_back(std::move(runtime));
  return venues_.size() - 1;
}

void Engine::request_instruments(std::size_t index) {
  assert_control_thread();
  VenueRuntime& runtime = *venues_.at(index);
  fetch_instruments(*runtime.rest, *runtime.venue, runtime.config.rest_url, runtime.config.rest_timeout,
                    [this, index](InstrumentList list) {
                      list.venue = index;
                      lists_.post(std::move(list));
                    });
}

Engine::RestLimits Engine::rest_limits(std::size_t venue) const {
  assert_control_thread();
  const VenueRuntime& runtime = *venues_.at(venue);
  return {runtime.venue->endpoint().rest_weight_pool, runtime.venue->endpoint().rest_weight_per_minute,
          runtime.venue->snapshot_request("", runtime.config.snapshot_depth).weight,
          instruments_weight(*runtime.venue)};
}

core::SymbolId Engine::add_symbol(std::size_t venue, core::Instrument instrument) {
  assert_control_thread();
  VenueRuntime& runtime = *venues_.at(venue);
  if (runtime.symbols.find(instrument.venue_symbol) != nullptr) {
    throw ConfigError(std::string(runtime.venue->name()) + ": symbol " +
                      core::printable(instrument.venue_symbol) + " was added already");
  }
  if (!instrument.problem.empty()) {
    throw ConfigError(std::string(runtime.venue->name()) + " lists " +
                      core::printable(instrument.venue_symbol) +
                      ", but what it says of it cannot be used: " + core::printable(instrument.problem));
  }
  auto symbol = std::make_unique<SymbolRuntime>();
  symbol->instrument = std::move(instrument);
  symbol->instrument.symbol_id = static_cast<core::SymbolId>(symbols_.size());
  symbol->instrument.exchange_id = runtime.venue->exchange_id();
  symbol->venue = &runtime;
  segment_->directory().set_instrument(symbol->instrument);
  runtime.symbols.add(symbol->instrument);
  symbols_.push_back(std::move(symbol));
  if (running_) place(*symbols_.back());
  return symbols_.back()->instrument.symbol_id;
}

bool Engine::remove_symbol(core::SymbolId id) {
  assert_control_thread();
  if (!running_ || id >= symbols_.size() || !symbols_[id]->placed()) return false;
  SymbolRuntime& symbol = *symbols_[id];
  for (Bundle* bundle : symbol.bundles) {
    if (std::erase(bundle->added, symbol.instrument.venue_symbol) != 0) continue;  // nobody was told of it
    for (Lane* lane : bundle->lanes) lane->remove_symbol(symbol.instrument.venue_symbol);
  }
  symbol.venue->symbols.remove(symbol.instrument.venue_symbol);
  command(*symbol.manager, [id](book::OrderBookManager& manager) { manager.remove_symbol(id); });
  segment_->directory().remove_instrument(id);
  symbol.bundles.clear();
  symbol.manager = nullptr;
  return true;
}

Engine::SymbolRuntime& Engine::symbol_at(core::SymbolId id) const {
  assert_control_thread();
  if (id >= symbols_.size()) {
    throw ConfigError("no symbol has id " + std::to_string(id) + ": " + std::to_string(symbols_.size()) +
                      " were added");
  }
  return *symbols_[id];
}

// ---- start -----------------------------------------------------------------------------------------------

void Engine::start() {
  assert_control_thread();
  if (running_) return;
  if (stopped_) throw ConfigError("a stopped engine does not start again: make a new one");
  publisher_ = std::make_unique<publish::IPCPublisher>(*segment_);
  if (topology_ == Topology::Pipelined) {
    event_queue_ = std::make_unique<EventQueue>(config_.event_queue_slots);
    start_thread(publisher_thread_, "mdp-publish", config_.cores.publisher, [this] { run_publisher(); });
  }
  make_managers();
  {
    const std::lock_guard lock(housekeeping_mutex_);
    if (topology_ == Topology::Fused) {
      beat_ = [this] { loops_.front()->loop.post([this] { publisher_->heartbeat(); }); };
    } else {
      beat_ = [this] { publisher_wake_.notify(); };
    }
    managers_made_ = true;
  }
  running_ = true;
  for (auto& symbol : symbols_) place(*symbol);
  subscribe_added();
}

void Engine::make_managers() {
  const bool pipelined = topology_ == Topology::Pipelined;
  book::BookOptions options;
  options.memory = &sys::huge_page_memory();
  options.depth_cap = config_.book_depth;
  options.table_levels = config_.segment.levels_per_side;
  options.self_audit = config_.self_audit;
  options.snapshot_interval_ns = std::chrono::nanoseconds(config_.top_snapshot).count();
  for (std::size_t i = 0; i < (pipelined ? config_.manager_count : 1); ++i) {
    auto manager = std::make_unique<ManagerThread>();
    core::EventSink* events = publisher_.get();
    if (pipelined) {
      queue::WakeSignal* consumer = idle_ == queue::IdleMode::Park ? &publisher_wake_ : nullptr;
      manager->sink = std::make_unique<QueueEventSink>(*event_queue_, consumer);
      events = manager->sink.get();
    }
    manager->core = core_at(config_.cores.managers, i);
    manager->stage = std::make_unique<ManagerStage>(*events, options, symbol_status_.get(), control_);
    manager->stage->add_input(manager->snapshots);
    ManagerThread& made = *manager;
    managers_.push_back(std::move(manager));
    if (pipelined) {
      made.snapshot_sink =
          std::make_unique<QueueMessageSink>(made.snapshots, [&made] { made.stage->wake_signal().notify(); });
      start_thread(manager_threads_, "mdp-book-" + std::to_string(i), made.core,
                   [this, &made] { run_manager(made); });
    } else {
      loops_.push_back(std::make_unique<LoopThread>());
      net::IoLoop& loop = loops_.back()->loop;
      made.snapshot_sink = std::make_unique<QueueMessageSink>(
          made.snapshots, [&made, &loop] { loop.post([&made] { made.stage->run_once(); }); });
      start_thread(loop_threads_, "mdp-conn-0", core_at(config_.cores.connectors, 0),
                   [this, &loop] { loop.run(idle_); });
    }
  }
}

// Gives the symbol lanes with room for its channels, on each route they need, and its book to one manager.
void Engine::place(SymbolRuntime& symbol) {
  VenueRuntime& venue = *symbol.venue;
  // The book's own route first: it chooses the manager.
  std::vector<std::size_t> routes{venue.venue->route_of(core::Channel::Depth)};
  for (const core::Channel channel : venue.config.channels) {
    const std::size_t route = venue.venue->route_of(channel);
    if (std::find(routes.begin(), routes.end(), route) == routes.end()) routes.push_back(route);
  }
  for (const std::size_t route : routes) {
    Bundle& bundle = bundle_for(venue, route, symbol.manager);
    symbol.manager = bundle.manager;
    symbol.bundles.push_back(&bundle);
  }
  std::vector<core::LineId> lines;
  for (Lane* lane : symbol.bundles.front()->lanes) {
    for (const core::LineId line : lane->line_ids()) lines.push_back(line);
  }
  const core::SymbolId id = symbol.instrument.symbol_id;
  const core::ExchangeId exchange = symbol.instrument.exchange_id;
  const core::BookRule& rule = venue.venue->book_rule();
  command(*symbol.manager, [id, exchange, lines = std::move(lines), &rule,
                            instrument = symbol.instrument](book::OrderBookManager& manager) {
    manager.add_symbol(id, exchange, lines, rule, instrument);
  });
  for (Bundle* bundle : symbol.bundles) bundle->added.push_back(symbol.instrument.venue_symbol);
}

void Engine::subscribe_added() {
  assert_control_thread();
  for (auto& venue : venues_) {
    for (auto& bundle : venue->bundles) {
      const std::vector<std::string> added = std::exchange(bundle->added, {});
      if (added.empty()) continue;
      for (Lane* lane : bundle->lanes) {
        lane->add_symbols(added);
        lane->connect();
      }
    }
  }
}

void Engine::subscribe_again(core::SymbolId id, core::Channel channel) {
  assert_control_thread();
  const SymbolRuntime& symbol = symbol_at(id);
  const std::size_t route = symbol.venue->venue->route_of(channel);
  for (Bundle* bundle : symbol.bundles) {
    if (bundle->route != route) continue;
    for (Lane* lane : bundle->lanes) lane->subscribe_again({symbol.instrument.venue_symbol, channel});
  }
}

// `manager`: whose messages it must bring; nullptr: any.
Engine::Bundle& Engine::bundle_for(VenueRuntime& venue, std::size_t route, ManagerThread* manager) {
  const auto streams = static_cast<std::size_t>(
      std::count_if(venue.config.channels.begin(), venue.config.channels.end(),
                    [&](core::Channel channel) { return venue.venue->route_of(channel) == route; }));
  const std::size_t limit = venue.venue->endpoint().max_streams_per_connection;
  for (auto& bundle : venue.bundles) {
    const std::size_t carried = bundle->lanes.front()->stream_count() + bundle->added.size() * streams;
    const bool has_room = limit == 0 || carried + streams <= limit;
    if (bundle->route == route && has_room && (manager == nullptr || bundle->manager == manager))
      return *bundle;
  }
  auto bundle = std::make_unique<Bundle>();
  bundle->route = route;
  bundle->manager = manager != nullptr ? manager : managers_[venue.bundles.size() % managers_.size()].get();
  for (std::size_t i = 0; i < venue.config.lines; ++i) {
    bundle->lanes.push_back(&make_lane(venue, route, *bundle->manager));
  }
  venue.bundles.push_back(std::move(bundle));
  return *venue.bundles.back();
}

Lane& Engine::make_lane(VenueRuntime& venue, std::size_t route, ManagerThread& manager) {
  const bool pipelined = topology_ == Topology::Pipelined;
  std::unique_ptr<core::MessageSink> sink;
  if (pipelined) {
    loops_.push_back(std::make_unique<LoopThread>());
    manager.lane_inputs.push_back(std::make_unique<MessageQueue>(config_.message_queue_slots));
    MessageQueue& input = *manager.lane_inputs.back();
    ManagerStage& stage = *manager.stage;
    stage.post([&stage, &input](book::OrderBookManager&) { stage.add_input(input); });
    std::function<void()> wake;
    if (idle_ == queue::IdleMode::Park) wake = [&stage] { stage.wake_signal().notify(); };
    auto queue_sink = std::make_unique<QueueMessageSink>(input, std::move(wake));
    manager.lane_sinks.push_back(queue_sink.get());
    sink = std::move(queue_sink);
  } else {
    sink = std::make_unique<DirectMessageSink>(manager.stage->manager());
  }
  LoopThread& loop = pipelined ? *loops_.back() : *loops_.front();
  const LaneContext context{*venue.venue, venue.config, config_, venue.symbols, control_,
                            loop.loop,    *venue.rest,  route,   lanes_.size()};
  auto made = std::make_unique<Lane>(context, std::move(sink), topology_, idle_);
  Lane& lane = *made;
  {
    const std::lock_guard lock(housekeeping_mutex_);
    lanes_.push_back(std::move(made));
  }
  command(manager, [&lane](book::OrderBookManager& books) {
    const auto lines = lane.line_ids();
    for (std::size_t i = 0; i < lines.size(); ++i) books.set_line_counters(lines[i], lane.line_counters(i));
  });
  if (pipelined) start_lane(lane, loop);
  return lane;
}

// The parser runs before the connector brings it anything.
void Engine::start_lane(Lane& lane, LoopThread& loop) {
  const std::string number = std::to_string(lane.number());
  start_thread(parser_threads_, "mdp-parse-" + number, core_at(config_.cores.parsers, lane.number()),
               [&lane] { lane.run_parser(); });
  start_thread(loop_threads_, "mdp-conn-" + number, core_at(config_.cores.connectors, lane.number()),
               [this, &loop] { loop.loop.run(idle_); });
}

// Returns when the thread has its name and its core; throws what pinning threw.
void Engine::start_thread(std::vector<std::thread>& threads, const std::string& name, int core,
                          std::function<void()> body) {
  std::promise<void> ready;
  std::future<void> pinned = ready.get_future();
  std::thread thread([&name, core, &ready, body = std::move(body)] {
    sys::set_thread_name(name);
    try {
      sys::pin_thread(core);
    } catch (...) {
      ready.set_exception(std::current_exception());
      return;
    }
    ready.set_value();
    body();
  });
  try {
    pinned.get();
  } catch (...) {
    thread.join();
    throw;
  }
  threads.push_back(std::move(thread));
}

// ---- threads ---------------------------------------------------------------------------------------------

void Engine::run_publisher() noexcept {
  constexpr std::size_t kBurst = 256;
  queue::IdleStrategy idle(idle_, publisher_wake_);
  for (;;) {
    if (publisher_->drain(*event_queue_, kBurst) != 0) {
      idle.reset();
      continue;
    }
    publisher_->heartbeat();
    // acquire: every event was committed before the flag; pairs with the release store in stop().
    if (stop_publisher_.load(std::memory_order_acquire) && event_queue_->front() == nullptr) return;
    idle.idle([this] {
      // acquire: as above.
      return event_queue_->front() != nullptr || stop_publisher_.load(std::memory_order_acquire);
    });
  }
}

void Engine::run_manager(ManagerThread& manager) noexcept {
  ManagerStage& stage = *manager.stage;
  queue::IdleStrategy idle(idle_, stage.wake_signal());
  for (;;) {
    if (stage.run_once()) {
      idle.reset();
      continue;
    }
    // acquire: every message was committed before the flag; pairs with the release store in stop().
    if (stop_managers_.load(std::memory_order_acquire) && !stage.has_work()) return;
    idle.idle([this, &stage] {
      // acquire: as above.
      return stage.has_work() || stop_managers_.load(std::memory_order_acquire);
    });
  }
}

// The heartbeat is the publisher's own: this only makes sure that its thread comes round when there is no
// traffic. Lanes are tended here: nothing of the road waits for that.
void Engine::run_housekeeping() noexcept {
  std::unique_lock lock(housekeeping_mutex_);
  for (int round = 1;
       !housekeeping_stop_.wait_for(lock, kHousekeepingInterval, [this] { return stop_housekeeping_; });
       ++round) {
    if (round % kAnchorEvery == 0) sys::process_clock().anchor();
    for (auto& lane : lanes_) lane->tend();
    if (managers_made_) {  // the clock that books have while nothing comes, as often as look() asks for
      const auto look = [now_ns = sys::now_ns()](book::OrderBookManager& books) { books.look(now_ns); };
      for (auto& manager : managers_) post(*manager, look);
    }
    if (beat_) {
      beat_();
    } else {
      segment_->heartbeat(sys::now_ns());  // nothing publishes yet
    }
  }
}

void Engine::command(ManagerThread& manager, ManagerStage::Command command) {
  if (running_) post(manager, std::move(command));
}

// Any thread.
void Engine::post(ManagerThread& manager, ManagerStage::Command command) {
  manager.stage->post(std::move(command));
  if (topology_ == Topology::Fused) {
    loops_.front()->loop.post([&manager] { manager.stage->run_once(); });
  }
}

// ---- stop ------------------------------------------------------------------------------------------------

void Engine::stop() noexcept {
  if (stopped_) return;
  assert_control_thread();
  stopped_ = true;
  running_ = false;
  // Intake first: the lines leave in order, each loop runs until its lines are closed.
  // (A loop that never ran, because start() threw, has nothing to close.)
  const auto loop_of = [this](const Lane& lane) -> net::IoLoop& {
    return loops_[topology_ == Topology::Fused ? 0 : lane.number()]->loop;
  };
  for (auto& lane : lanes_) lane->begin_stop();
  for (auto& lane : lanes_) {
    while (loop_of(*lane).running() && !lane->stopped()) {
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
  }
  rest_loop_.stop();
  stop_threads(rest_thread_);
  for (auto& loop : loops_) loop->loop.stop();
  stop_threads(loop_threads_);
  // Then down the road: each stage drains what the one before has left.
  for (auto& lane : lanes_) lane->stop_parser();
  stop_threads(parser_threads_);
  // release: pairs with the acquire loads in run_manager().
  stop_managers_.store(true, std::memory_order_release);
  for (auto& manager : managers_) manager->stage->wake_signal().notify();
  stop_threads(manager_threads_);
  {
    const std::lock_guard lock(housekeeping_mutex_);
    stop_housekeeping_ = true;
  }
  housekeeping_stop_.notify_one();
  stop_threads(housekeeping_thread_);
  // release: pairs with the acquire loads in run_publisher().
  stop_publisher_.store(true, std::memory_order_release);
  publisher_wake_.notify();
  stop_threads(publisher_thread_);
  if (publisher_) publisher_->stop();
  final_health_ = health();
  lanes_.clear();
  for (auto& venue : venues_) venue->rest.reset();
  segment_.reset();  // unlinks
}

void Engine::stop_threads(std::vector<std::thread>& threads) noexcept {
  for (std::thread& thread : threads) thread.join();
  threads.clear();
}

// ---- control ---------------------------------------------------------------------------------------------

void Engine::request_snapshot(core::SymbolId id) {
  SymbolRuntime& symbol = symbol_at(id);
  if (symbol.venue->venue->book_rule().snapshot_source == core::SnapshotSource::Rest) {
    return fetch(symbol, ControlKind::Snapshot);
  }
  if (!running_ || !symbol.placed())
    throw ConfigError(symbol.instrument.canonical_symbol + " is not subscribed");
  // On a line that is down this does nothing: its next connection subscribes, which brings a snapshot.
  for (Lane* lane : symbol.bundles.front()->lanes) lane->resubscribe(symbol.instrument.venue_symbol);
  control_.tell(ControlKind::Snapshot, [id](ControlEvent& event) {
    event.symbol = id;
    event.fetched = Fetched::Asked;
  });
}

void Engine::audit(core::SymbolId id) {
  SymbolRuntime& symbol = symbol_at(id);
  if (symbol.manager != nullptr) {
    command(*symbol.manager, [id](book::OrderBookManager& books) { books.begin_rest_audit(id); });
  }
  fetch(symbol, ControlKind::AuditSnapshot);
}

void Engine::widen(core::SymbolId id) {
  SymbolRuntime& symbol = symbol_at(id);
  if (symbol.manager != nullptr) {
    command(*symbol.manager, [id](book::OrderBookManager& books) { books.begin_widening(id); });
  }
  fetch(symbol, ControlKind::Snapshot);
}

void Engine::fetch(SymbolRuntime& symbol, ControlKind outcome) {
  if (!running_ || !symbol.placed())
    throw ConfigError(symbol.instrument.canonical_symbol + " is not subscribed");
  VenueRuntime& venue = *symbol.venue;
  const core::RestRequest request =
      venue.venue->snapshot_request(symbol.instrument.venue_symbol, venue.config.snapshot_depth);
  const SnapshotRequest asked{*venue.venue, symbol.instrument, *symbol.manager->snapshot_sink,
                              request.depth_limit, outcome};
  venue.rest->send(request, venue.config.rest_timeout,
                   [this, asked](const net::RestResponse& response) { on_snapshot(asked, response); });
}

// REST thread.
void Engine::on_snapshot(const SnapshotRequest& request, const net::RestResponse& response) noexcept {
  const core::Venue& venue = request.venue;
  core::ParseStatus status = core::ParseStatus::Ok;
  core::ParseFailure failure;
  std::string problem = problem_of(venue, response);
  Fetched fetched = problem.empty() ? Fetched::Snapshot : Fetched::Nothing;
  if (response.error.empty() && response.status != 200 && venue.says_unknown_symbol(response.body())) {
    fetched = Fetched::UnknownSymbol;
  }
  if (problem.empty()) {
    status = venue.parse_snapshot(response.body(), request.instrument, request.depth_limit,
                                  response.recv_ts_ns, request.into, failure);
    if (core::is_error(status)) {
      const std::string number = core::describe(status, failure);
      problem = std::string("unreadable snapshot (") + core::to_string(status) +
                "): " + (number.empty() ? core::page_words(response.body()) : number);
      // Cut short, or a page of somebody on the way: that says nothing of the book.
      fetched = status == core::ParseStatus::MalformedFrame ? Fetched::Nothing : Fetched::Unfit;
    }
  }
  control_.tell(request.outcome, [&](ControlEvent& event) {
    event.symbol = request.instrument.symbol_id;
    event.fetched = fetched;
    event.code = response.status;
    event.retry_after_s = response.retry_after_s();
    event.used_weight = venue.used_weight(response.headers);
    event.parse_status = status;
    event.failure = failure;
    event.set_text(problem);
  });
}

void Engine::begin_sync(core::SymbolId id) {
  if (ManagerThread* manager = symbol_at(id).manager) {
    command(*manager, [id](book::OrderBookManager& books) { books.begin_sync(id); });
  }
}

void Engine::request_resync(core::SymbolId id) {
  if (ManagerThread* manager = symbol_at(id).manager) {
    command(*manager, [id](book::OrderBookManager& books) { books.request_resync(id); });
  }
}

Lane& Engine::lane_of(core::LineId line) {
  assert_control_thread();
  const std::size_t lane = line / kLinesOfALane;
  if (!running_ || lane >= lanes_.size()) throw ConfigError("no line " + std::to_string(line));
  return *lanes_[lane];
}

void Engine::reconnect(core::LineId line, std::string reason) { lane_of(line).reconnect(std::move(reason)); }

void Engine::renew(core::LineId line) { lane_of(line).renew(); }

void Engine::renew_lines_of(core::SymbolId id) {
  const SymbolRuntime& symbol = symbol_at(id);
  if (!symbol.placed()) return;
  for (Lane* lane : symbol.bundles.front()->lanes) lane->renew();
}

std::vector<core::SymbolId> Engine::take_marks(std::atomic<bool> SymbolStatus::* mark) {
  assert_control_thread();
  std::vector<core::SymbolId> marked;
  for (core::SymbolId id = 0; id < symbols_.size(); ++id) {
    // relaxed: only whether to look closer. acquire: with the mark comes the state; pairs with
    // on_snapshot_wanted() and on_suspect().
    std::atomic<bool>& of = symbol_status_[id].*mark;
    if (of.load(std::memory_order_relaxed) && of.exchange(false, std::memory_order_acquire))
      marked.push_back(id);
  }
  return marked;
}

std::vector<std::pair<core::SymbolId, book::DepthNeed>> Engine::depth_needs() const {
  assert_control_thread();
  std::vector<std::pair<core::SymbolId, book::DepthNeed>> needs;
  for (core::SymbolId id = 0; id < symbols_.size(); ++id) {
    // relaxed: the word stands for itself; pairs with the store in on_depth_need().
    const book::DepthNeed need = symbol_status_[id].depth_need.load(std::memory_order_relaxed);
    if (need != book::DepthNeed::None) needs.emplace_back(id, need);
  }
  return needs;
}

std::vector<ControlEvent> Engine::take_control_events(std::size_t max) {
  assert_control_thread();
  std::vector<ControlEvent> events;
  control_.take(events, max);
  return events;
}

std::int64_t Engine::up_for_ns(core::SymbolId id) const {
  std::int64_t longest = -1;
  const SymbolRuntime& symbol = symbol_at(id);
  if (!symbol.placed()) return longest;
  for (const Lane* lane : symbol.bundles.front()->lanes) longest = std::max(longest, lane->up_for_ns());
  return longest;
}

SymbolHealth Engine::symbol_health(core::SymbolId id) const {
  symbol_at(id);
  const SymbolStatus& status = symbol_status_[id];
  // relaxed, all: each word stands for itself; partner is SymbolStatus::enter().
  return {status.state.load(std::memory_order_relaxed), status.reason.load(std::memory_order_relaxed),
          status.update_id.load(std::memory_order_relaxed), status.last_span()};
}

EngineHealth Engine::health() const {
  assert_control_thread();
  if (segment_ == nullptr) return final_health_;
  EngineHealth health{};
  health.control_dropped = control_.dropped();
  if (publisher_) {
    health.events = publisher_->events();
    health.table_writes = publisher_->table_writes();
    health.rejected_events = publisher_->rejected();
    const core::LatencyHistogram& latency = publisher_->latency();
    health.latency_count = latency.count();
    health.p50_ns = latency.percentile(50);
    health.p90_ns = latency.percentile(90);
    health.p99_ns = latency.percentile(99);
    health.p999_ns = latency.percentile(99.9);
    health.max_ns = latency.max_ns();
  }
  for (const auto& manager : managers_) {
    const book::BookCounters& counters = manager->stage->manager().counters();
    health.updates += counters.updates.get();
    health.duplicates += counters.duplicates.get();
    health.trades += counters.trades.get();
    health.quotes += counters.quotes.get();
    health.mark_prices += counters.mark_prices.get();
    health.liquidations += counters.liquidations.get();
    health.gaps += counters.gaps.get();
    health.holes += counters.holes.get();
    health.audits += counters.audits.get();
    health.audit_mismatches += counters.audit_mismatches.get();
    health.rest_audits += counters.rest_audits.get();
    health.rest_audit_mismatches += counters.rest_audit_mismatches.get();
    health.rest_audits_dropped += counters.rest_audits_dropped.get();
    health.widened += counters.widened.get();
    health.widen_disputes += counters.widen_disputes.get();
    health.depth_exhausted += counters.depth_exhausted.get();
    health.suspicions += counters.suspicions.get();
    health.resyncs += counters.resyncs.get();
    health.crossed += counters.crossed.get();
    health.lost_chunks += counters.lost_chunks.get();
    health.buffer_overflows += counters.buffer_overflows.get();
    health.snapshots_applied += counters.snapshots_applied.get();
    health.snapshots_too_old += counters.snapshots_too_old.get();
    health.snapshots_unused += counters.snapshots_unused.get();
    if (manager->sink) health.event_waits += manager->sink->waits();
    for (const QueueMessageSink* sink : manager->lane_sinks) health.message_waits += sink->waits();
  }
  if (event_queue_) health.event_queue_depth = event_queue_->size();
  for (const auto& lane : lanes_) lane->append_health(health.lines);
  health.symbols.reserve(symbols_.size());
  for (core::SymbolId id = 0; id < symbols_.size(); ++id) health.symbols.push_back(symbol_health(id));
  return health;
}

}  // namespace mdp::engine
