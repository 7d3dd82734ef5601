#include "mdp/engine/placement.hpp"

#include <algorithm>
#include <chrono>
#include <thread>
#include <utility>

#include "mdp/core/error.hpp"

namespace mdp::engine {

const std::vector<Lane*>& Place::book_lanes() const noexcept {
  static const std::vector<Lane*> none;
  return bundles.empty() ? none : bundles.front()->lanes;
}

std::vector<core::LineId> Place::book_lines() const {
  std::vector<core::LineId> lines;
  for (const Lane* lane : book_lanes()) {
    for (const core::LineId line : lane->line_ids()) lines.push_back(line);
  }
  return lines;
}

Placement::Placement(const EngineConfig& config, Topology topology, queue::IdleMode idle, Road& road,
                     ControlQueue& control)
    : config_(config), topology_(topology), idle_(idle), road_(road), control_(control) {}

Place Placement::add(VenueClient& venue, const std::string& venue_symbol) {
  // The book's own route first: it chooses the manager.
  std::vector<std::size_t> routes{venue.venue().route_of(core::Channel::Depth)};
  for (const core::Channel channel : venue.config().channels) {
    const std::size_t route = venue.venue().route_of(channel);
    if (std::find(routes.begin(), routes.end(), route) == routes.end()) routes.push_back(route);
  }
  Place place;
  for (const std::size_t route : routes) {
    Bundle& bundle = bundle_for(venue, route, place.manager);
    place.manager = bundle.manager;
    place.bundles.push_back(&bundle);
  }
  for (Bundle* bundle : place.bundles) bundle->added.push_back(venue_symbol);
  return place;
}

void Placement::subscribe_added() {
  for (auto& bundle : bundles_) {
    const std::vector<std::string> added = std::exchange(bundle->added, {});
    if (added.empty()) continue;
    for (Lane* lane : bundle->lanes) {
      lane->add_symbols(added);
      lane->connect();
    }
  }
}

void Placement::subscribe_again(const Place& place, const core::Venue& venue,
                                const core::Subscription& refused) {
  const std::size_t route = venue.route_of(refused.channel);
  for (Bundle* bundle : place.bundles) {
    if (bundle->route != route) continue;
    for (Lane* lane : bundle->lanes) lane->subscribe_again(refused);
  }
}

void Placement::remove(const Place& place, const std::string& venue_symbol) {
  for (Bundle* bundle : place.bundles) {
    if (std::erase(bundle->added, venue_symbol) != 0) continue;  // nobody was told of it
    for (Lane* lane : bundle->lanes) lane->remove_symbol(venue_symbol);
  }
}

// If `manager` is given, the lanes must bring their messages to that one; nullptr leaves the choice to us.
Bundle& Placement::bundle_for(VenueClient& venue, std::size_t route, RoadManager* manager) {
  const auto streams = static_cast<std::size_t>(
      std::count_if(venue.config().channels.begin(), venue.config().channels.end(),
                    [&](core::Channel channel) { return venue.venue().route_of(channel) == route; }));
  const std::size_t limit = venue.venue().endpoint().max_streams_per_connection;
  std::size_t of_venue = 0;
  for (auto& bundle : bundles_) {
    if (bundle->venue != &venue) continue;
    ++of_venue;
    const std::size_t carried = bundle->lanes.front()->stream_count() + bundle->added.size() * streams;
    const bool has_room = limit == 0 || carried + streams <= limit;
    if (bundle->route == route && has_room && (manager == nullptr || bundle->manager == manager)) {
      return *bundle;
    }
  }
  auto bundle = std::make_unique<Bundle>();
  bundle->venue = &venue;
  bundle->route = route;
  bundle->manager = manager != nullptr ? manager : &road_.manager(of_venue % road_.manager_count());
  for (std::size_t i = 0; i < venue.config().lines; ++i) {
    bundle->lanes.push_back(&make_lane(venue, route, *bundle->manager));
  }
  return *bundles_.emplace_back(std::move(bundle));
}

Lane& Placement::make_lane(VenueClient& venue, std::size_t route, RoadManager& manager) {
  const LaneContext context{venue.venue(),    venue.config(), config_, venue.symbols(), control_,
                            road_.add_loop(), venue.rest(),   route,   lanes_.size()};
  auto made = std::make_unique<Lane>(context, manager.add_parser(), topology_, idle_);
  Lane& lane = *made;
  {
    const std::lock_guard lock(lanes_mutex_);
    lanes_.push_back(std::move(made));
  }
  manager.post([&lane](book::OrderBookManager& books) {
    const auto lines = lane.line_ids();
    for (std::size_t i = 0; i < lines.size(); ++i) books.set_line_counters(lines[i], lane.line_counters(i));
  });
  // Before the connector brings it anything.
  road_.start_parser(lane.number(), lane.wake_signal(), lane);
  return lane;
}

Lane& Placement::lane_of(core::LineId line) const {
  const std::size_t lane = line / kLinesOfALane;
  if (lane >= lanes_.size()) throw ConfigError("no line " + std::to_string(line));
  return *lanes_[lane];
}

void Placement::append_health(std::vector<LineHealth>& health) const {
  for (const auto& lane : lanes_) lane->append_health(health);
}

void Placement::tend() {
  const std::lock_guard lock(lanes_mutex_);
  for (auto& lane : lanes_) lane->tend();
}

void Placement::stop() noexcept {
  for (auto& lane : lanes_) lane->begin_stop();
  for (auto& lane : lanes_) {
    while (!lane->stopped()) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
}

}  // namespace mdp::engine
