// The engine reads as what control does with it, in its order: set-up, start, stop, the verbs of control,
// health. What it is made of is beside it:
//
// | file             | what                                                                        |
// |------------------|-----------------------------------------------------------------------------|
// | road.hpp         | parsers to publisher: managers, queues and every thread of the message path |
// | placement.hpp    | the lanes (connections), and which symbols they carry                       |
// | venue_client.hpp | a venue's configuration, symbols and REST requests                          |
// | housekeeping.hpp | the thread for what has to be done by the clock                             |
// | health.hpp       | what the engine says of itself                                              |
#include "mdp/engine/engine.hpp"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <utility>

#include "mdp/core/error.hpp"
#include "mdp/core/log.hpp"
#include "mdp/core/text.hpp"
#include "mdp/sys/clock.hpp"
#include "mdp/sys/huge_page_memory.hpp"
#include "mdp/sys/thread.hpp"
#include "mdp/venue/registry.hpp"

namespace mdp::engine {
namespace {

constexpr std::size_t kControlSlots = 8192;
constexpr std::size_t kStagesOfALine = 4;  // connector, parser, manager, publisher

Topology resolved(Topology topology) {
  if (topology != Topology::Auto) return topology;
  return kStagesOfALine < sys::available_cores() ? Topology::Pipelined : Topology::Fused;
}

queue::IdleMode resolved(const EngineConfig& config, Topology topology) {
  const std::size_t busy_threads = topology == Topology::Fused ? 1 : kStagesOfALine + config.managers - 1;
  return queue::resolve(config.idle, busy_threads, sys::available_cores());
}

RoadOptions road_options(const EngineConfig& config, Topology topology, queue::IdleMode idle) {
  RoadOptions road;
  road.threads = topology == Topology::Fused ? RoadOptions::Threads::Loop : RoadOptions::Threads::Each;
  road.idle = idle;
  road.cores = config.cores;
  road.managers = config.managers;
  road.message_queue_slots = config.message_slots;
  road.event_queue_slots = config.event_slots;
  road.books.memory = &sys::huge_page_memory();
  static_cast<book::BookSettings&>(road.books) = config;
  road.books.table_levels = config.segment.levels;
  road.books.ring_bytes = config.segment.ring;
  road.books.snapshot_interval_ns = std::chrono::nanoseconds(config.top_snapshot_ms).count();
  return road;
}

publish::SegmentConfig segment_config(const EngineConfig& config) {
  publish::SegmentConfig segment = config.segment;
  if (config.book_checksum) segment.optional_features |= shm::kFeatureChecksum;
  if (config.refresh_every != 0) segment.optional_features |= shm::kFeatureRefresh;
  return segment;
}

}  // namespace

struct Engine::Symbol {
  core::Instrument instrument;
  VenueClient* venue = nullptr;
  Place place;
  RoadManager* former_manager = nullptr;  // of one that was removed
};

// The end of the road.
class Engine::Publisher final : public RoadEnd {
 public:
  explicit Publisher(publish::SegmentWriter& segment) : publisher(segment) {}

  // Any thread: it goes on in `next` from its next rest on. One at a time.
  void move_to(publish::SegmentWriter& next) noexcept {
    // release: the segment is whole; pairs with the load in move().
    next_.store(&next, std::memory_order_release);
  }
  // acquire: what it wrote to the former segment is written; pairs with the store in move().
  bool has_moved() const noexcept { return next_.load(std::memory_order_acquire) == nullptr; }

  core::EventSink& sink() noexcept override { return publisher; }
  std::size_t drain(EventQueue& queue, std::size_t max) noexcept override {
    move();
    return publisher.drain(queue, max);
  }
  const core::Counter* ring_steps() const noexcept override { return &publisher.ring_steps(); }
  void idle() noexcept override {
    move();
    publisher.heartbeat();
  }

  publish::IPCPublisher publisher;

 private:
  void move() noexcept {
    // acquire: pairs with the store in move_to().
    publish::SegmentWriter* const next = next_.load(std::memory_order_acquire);
    if (next == nullptr) [[likely]]
      return;
    publisher.move_to(*next);
    // release: the former segment is done with; pairs with the load in has_moved().
    next_.store(nullptr, std::memory_order_release);
  }

  std::atomic<publish::SegmentWriter*> next_{nullptr};
};

// ---- set-up ----------------------------------------------------------------------------------------------

Engine::Engine(EngineConfig config)
    : config_(std::move(config)),
      topology_(resolved(config_.topology)),
      idle_(resolved(config_, topology_)),
      control_(kControlSlots) {
  if (config_.managers == 0) throw ConfigError("managers must be at least 1, found 0");
  symbol_status_ = std::make_unique<SymbolStatus[]>(config_.segment.instruments);
  sys::process_clock();  // calibrated here, not at the first frame
  segment_ = std::make_unique<publish::SegmentWriter>(segment_config(config_));
  // Nothing publishes yet.
  housekeeping_ = std::make_unique<Housekeeping>([this] { segment_->heartbeat(); });
  rest_thread_ =
      sys::start_thread("mdp-rest", config_.cores.rest, [this] { rest_loop_.run(queue::IdleMode::Park); });
}

Engine::~Engine() { stop(); }

void Engine::check_venue(VenueConfig config, std::size_t levels) {
  net::IoLoop nobody_runs_it;
  auto venue = venue::make_venue(config.name, config);
  VenueClient(nobody_runs_it, std::move(config), std::move(venue), levels);
}

std::size_t Engine::add_venue(VenueConfig config) {
  auto venue = venue::make_venue(config.name, config);
  return add_venue(std::move(config), std::move(venue));
}

std::size_t Engine::add_venue(VenueConfig config, std::unique_ptr<core::Venue> venue) {
  assert_control_thread();
  auto client =
      std::make_unique<VenueClient>(rest_loop_, std::move(config), std::move(venue), config_.segment.levels);
  directory(
      [&](auto& directory) { directory.set_venue(client->venue().exchange_id(), client->venue().name()); });
  venues_.push_back(std::move(client));
  return venues_.size() - 1;
}

void Engine::request_instruments(std::size_t venue) {
  assert_control_thread();
  venues_.at(venue)->request_instruments([this, venue](InstrumentList list) {
    list.venue = venue;
    lists_.post(std::move(list));
  });
}

RestLimits Engine::rest_limits(std::size_t venue) const {
  assert_control_thread();
  return venues_.at(venue)->rest_limits();
}

core::SymbolId Engine::add_symbol(std::size_t venue, core::Instrument instrument) {
  assert_control_thread();
  VenueClient& client = *venues_.at(venue);
  client.check_new(instrument);
  auto symbol = std::make_unique<Symbol>();
  symbol->instrument = std::move(instrument);
  symbol->instrument.exchange_id = client.venue().exchange_id();
  symbol->venue = &client;
  const core::SymbolId id = id_for(symbol->instrument);
  symbol->instrument.symbol_id = id;
  if (id < symbols_.size()) wait_until_gone(*symbols_[id]);
  directory([&](auto& directory) { directory.set_instrument(symbol->instrument); });
  client.add_symbol(symbol->instrument);
  if (id == symbols_.size()) symbols_.emplace_back();
  symbols_[id] = std::move(symbol);
  if (running_) place(*symbols_[id]);
  return id;
}

// An instrument that was removed and returns gets its old id. Not with other exponents: a message that is
// still on its way from before would be read as another number.
core::SymbolId Engine::id_for(const core::Instrument& instrument) const {
  const auto returns = [&](const std::unique_ptr<Symbol>& former) {
    const core::Instrument& known = former->instrument;
    return former->former_manager != nullptr && known.exchange_id == instrument.exchange_id &&
           known.venue_symbol == instrument.venue_symbol &&
           known.canonical_symbol == instrument.canonical_symbol &&
           known.price_exponent == instrument.price_exponent &&
           known.quantity_exponent == instrument.quantity_exponent;
  };
  return static_cast<core::SymbolId>(std::find_if(symbols_.begin(), symbols_.end(), returns) -
                                     symbols_.begin());
}

// Its manager has said its last word of it: what another one says of it then comes behind that.
void Engine::wait_until_gone(const Symbol& symbol) {
  if (running_) symbol.former_manager->call([](book::OrderBookManager&) {});
}

bool Engine::remove_symbol(core::SymbolId id) {
  assert_control_thread();
  if (!running_ || id >= symbols_.size() || !symbols_[id]->place) return false;
  Symbol& symbol = *symbols_[id];
  placement_->remove(symbol.place, symbol.instrument.venue_symbol);
  symbol.venue->remove_symbol(symbol.instrument.venue_symbol);
  // Before the record that tells of it.
  directory([&](auto& directory) { directory.remove_instrument(id); });
  command(symbol, [id](book::OrderBookManager& books) { books.remove_symbol(id); });
  symbol.former_manager = std::exchange(symbol.place, {}).manager;
  return true;
}

// ---- start -----------------------------------------------------------------------------------------------

void Engine::start() {
  assert_control_thread();
  if (running_) return;
  if (stopped_) throw ConfigError("a stopped engine does not start again: make a new one");
  auto end = std::make_unique<Publisher>(*segment_);
  Publisher& publisher = *end;
  road_ = std::make_unique<Road>(road_options(config_, topology_, idle_), std::move(end),
                                 symbol_status_.get(), control_);
  publisher_ = &publisher;
  placement_ = std::make_unique<Placement>(config_, topology_, idle_, *road_, control_);
  housekeeping_->set_round([this] {
    placement_->tend();
    tend_segment();
    road_->tick(sys::now_ns());  // the publisher's round is the segment's heartbeat
  });
  running_ = true;
  for (auto& symbol : symbols_) place(*symbol);
  subscribe_added();
}

// Gives the symbol lanes, and its book to one manager.
void Engine::place(Symbol& symbol) {
  symbol.place = placement_->add(*symbol.venue, symbol.instrument.venue_symbol);
  command(symbol, [lines = symbol.place.book_lines(), &rule = symbol.venue->venue().book_rule(),
                   instrument = symbol.instrument](book::OrderBookManager& books) {
    books.add_symbol(instrument.symbol_id, instrument.exchange_id, lines, rule, instrument);
  });
}

void Engine::subscribe_added() {
  assert_control_thread();
  if (placement_) placement_->subscribe_added();
}

void Engine::subscribe_again(core::SymbolId id, core::Channel channel) {
  const Symbol& symbol = symbol_at(id);
  if (symbol.place) {
    placement_->subscribe_again(symbol.place, symbol.venue->venue(),
                                {symbol.instrument.venue_symbol, channel});
  }
}

// ---- stop ------------------------------------------------------------------------------------------------

void Engine::stop() noexcept {
  if (stopped_) return;
  assert_control_thread();
  stopped_ = true;
  running_ = false;
  // Intake first: the lines leave in order. Then down the road, and the segment is told last.
  if (placement_) placement_->stop();
  rest_loop_.stop();
  if (rest_thread_.joinable()) rest_thread_.join();
  if (road_) road_->stop();
  if (housekeeping_) housekeeping_->stop();
  if (publisher_ != nullptr) publisher_->publisher.stop();
  final_health_ = health();
  for (auto& symbol : symbols_) symbol->place = {};
  placement_.reset();
  for (auto& venue : venues_) venue->close();
  former_segment_.reset();
  segment_.reset();  // unlinks
}

// ---- a name that is lost ---------------------------------------------------------------------------------

template <class Change>
void Engine::directory(Change&& change) {
  const std::lock_guard lock(segment_mutex_);
  change(segment_->directory());
}

// The housekeeping thread, ten times a second. What is mapped cannot be given a name again: so there is a new
// segment, the publisher goes on in it, and the managers tell it everything anew. Readers of the former one
// hear that it stopped, and find the new one.
void Engine::tend_segment() noexcept {
  if (former_segment_ != nullptr) {
    if (!publisher_->has_moved()) return;
    former_segment_.reset();
    road_->announce();
    core::log(core::LogLevel::Warning, "segment.published_again name=" + config_.segment.name);
    return;
  }
  constexpr std::uint64_t kLookEvery = 10;  // once a second
  if (++segment_rounds_ % kLookEvery != 0 || segment_->name_is_ours()) return;
  const bool first_try = !std::exchange(name_lost_, true);
  if (first_try) {
    names_lost_.add();
    core::log(core::LogLevel::Error, "segment.name_lost name=" + config_.segment.name +
                                         " cause=\"its files were removed or replaced: rm, or RemoveIPC= of "
                                         "systemd-logind\"");
  }
  try {
    const std::lock_guard lock(segment_mutex_);
    auto next = std::make_unique<publish::SegmentWriter>(segment_config(config_), *segment_);
    former_segment_ = std::exchange(segment_, std::move(next));
  } catch (const std::exception& error) {  // no memory, or another owns the name: again in a second
    if (first_try) {
      core::log(core::LogLevel::Error, "segment.not_published_again name=" + config_.segment.name +
                                           " error=" + core::quoted(error.what()));
    }
    return;
  }
  name_lost_ = false;
  publisher_->move_to(*segment_);
}

// ---- control ---------------------------------------------------------------------------------------------

Engine::Symbol& Engine::symbol_at(core::SymbolId id) const {
  assert_control_thread();
  if (id >= symbols_.size()) {
    throw ConfigError("no symbol has id " + std::to_string(id) + ": " + std::to_string(symbols_.size()) +
                      " were added");
  }
  return *symbols_[id];
}

Engine::Symbol& Engine::placed_symbol_at(core::SymbolId id) const {
  Symbol& symbol = symbol_at(id);
  if (!symbol.place) throw ConfigError(symbol.instrument.canonical_symbol + " is not subscribed");
  return symbol;
}

Engine::Symbol& Engine::fetchable_symbol_at(core::SymbolId id) const {
  Symbol& symbol = placed_symbol_at(id);
  if (symbol.venue->venue().book_rule().snapshot_source == core::SnapshotSource::Rest) return symbol;
  throw ConfigError(
      symbol.instrument.canonical_symbol +
      ": no snapshot can be fetched beside the book, for the venue sends them in the stream alone");
}

// Nothing where the symbol is in no book.
void Engine::command(const Symbol& symbol, ManagerStage::Command command) {
  if (symbol.place) symbol.place.manager->post(std::move(command));
}

void Engine::fetch(const Symbol& symbol, ControlKind outcome) {
  symbol.venue->request_snapshot(symbol.instrument, symbol.place.manager->rest_input(), outcome, control_);
}

void Engine::request_snapshot(core::SymbolId id) {
  const Symbol& symbol = placed_symbol_at(id);
  if (symbol.venue->venue().book_rule().snapshot_source == core::SnapshotSource::Rest) {
    return fetch(symbol, ControlKind::Snapshot);
  }
  // On a line that is down this does nothing: its next connection subscribes, which brings a snapshot.
  for (Lane* lane : symbol.place.book_lanes()) lane->resubscribe(symbol.instrument.venue_symbol);
  control_.tell(ControlKind::Snapshot, [id](ControlEvent& event) {
    event.symbol = id;
    event.fetched = Fetched::Asked;
  });
}

void Engine::audit(core::SymbolId id) {
  const Symbol& symbol = fetchable_symbol_at(id);
  command(symbol, [id](book::OrderBookManager& books) { books.begin_rest_audit(id); });
  fetch(symbol, ControlKind::AuditSnapshot);
}

void Engine::widen(core::SymbolId id) {
  const Symbol& symbol = fetchable_symbol_at(id);
  command(symbol, [id](book::OrderBookManager& books) { books.begin_widening(id); });
  fetch(symbol, ControlKind::Snapshot);
}

void Engine::begin_sync(core::SymbolId id) {
  command(symbol_at(id), [id](book::OrderBookManager& books) { books.begin_sync(id); });
}

void Engine::request_resync(core::SymbolId id) {
  command(symbol_at(id), [id](book::OrderBookManager& books) { books.request_resync(id); });
}

Lane& Engine::lane_of(core::LineId line) {
  assert_control_thread();
  if (!placement_) throw ConfigError("no line " + std::to_string(line));
  return placement_->lane_of(line);
}

void Engine::reconnect(core::LineId line, std::string reason) { lane_of(line).reconnect(std::move(reason)); }

void Engine::renew(core::LineId line) { lane_of(line).renew(); }

void Engine::renew_lines_of(core::SymbolId id) {
  for (Lane* lane : symbol_at(id).place.book_lanes()) lane->renew();
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
  for (const Lane* lane : symbol_at(id).place.book_lanes()) longest = std::max(longest, lane->up_for_ns());
  return longest;
}

// ---- health ----------------------------------------------------------------------------------------------

SymbolHealth Engine::symbol_health(core::SymbolId id) const {
  symbol_at(id);
  const SymbolStatus& status = symbol_status_[id];
  // relaxed, all: each word stands for itself; partner is SymbolStatus::enter().
  return {status.state.load(std::memory_order_relaxed), status.reason.load(std::memory_order_relaxed),
          status.update_id.load(std::memory_order_relaxed), status.last_span()};
}

EngineHealth Engine::health() const {
  assert_control_thread();
  {
    const std::lock_guard lock(segment_mutex_);
    if (segment_ == nullptr) return final_health_;
  }
  EngineHealth health{};
  health.control_dropped = control_.dropped();
  if (publisher_ != nullptr) health.add(publisher_->publisher);
  health.names_lost = names_lost_.get();
  if (road_) health.add(*road_);
  if (placement_) placement_->append_health(health.lines);
  health.symbols.reserve(symbols_.size());
  for (core::SymbolId id = 0; id < symbols_.size(); ++id) health.symbols.push_back(symbol_health(id));
  return health;
}

}  // namespace mdp::engine
