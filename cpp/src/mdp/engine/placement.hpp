// Placement: which lanes carry which symbols. It owns an engine's lanes.
//
// A symbol has lanes with room for its channels on each route that they need, as many of the same as the
// venue's `lines` say, and one book manager. Part of Engine; for the control thread, but for tend().
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "mdp/core/venue.hpp"
#include "mdp/engine/control.hpp"
#include "mdp/engine/engine_config.hpp"
#include "mdp/engine/health.hpp"
#include "mdp/engine/lane.hpp"
#include "mdp/engine/road.hpp"
#include "mdp/engine/venue_client.hpp"

namespace mdp::engine {

// Lanes that carry the same symbols on the same route: as many as the venue's config asks for.
struct Bundle {
  const VenueClient* venue = nullptr;
  std::size_t route = 0;
  RoadManager* manager = nullptr;
  std::vector<Lane*> lanes;
  std::vector<std::string> added;  // by the venue's names: those the lanes have yet to be told of
};

// Where a symbol is. Nowhere: before it is placed and after it was removed.
struct Place {
  RoadManager* manager = nullptr;
  std::vector<Bundle*> bundles;  // one a route, that of its book first

  explicit operator bool() const noexcept { return manager != nullptr; }
  // Those that carry its book; none where it is nowhere.
  const std::vector<Lane*>& book_lanes() const noexcept;
  std::vector<core::LineId> book_lines() const;
};

class Placement {
 public:
  // All outlive this.
  Placement(const EngineConfig& config, Topology topology, queue::IdleMode idle, Road& road,
            ControlQueue& control);

  // Finds the symbol its place, on lanes that are made if need be. The lanes hear of it with
  // subscribe_added().
  Place add(VenueClient& venue, const std::string& venue_symbol);
  void subscribe_added();
  void subscribe_again(const Place& place, const core::Venue& venue, const core::Subscription& refused);
  void remove(const Place& place, const std::string& venue_symbol);

  // Throws ConfigError: there is no such line.
  Lane& lane_of(core::LineId line) const;
  void append_health(std::vector<LineHealth>& health) const;

  // The housekeeping thread: what lanes do by the clock.
  void tend();

  // Disconnects all lanes and returns when they are.
  void stop() noexcept;

 private:
  Bundle& bundle_for(VenueClient& venue, std::size_t route, RoadManager* manager);
  Lane& make_lane(VenueClient& venue, std::size_t route, RoadManager& manager);

  const EngineConfig& config_;
  const Topology topology_;
  const queue::IdleMode idle_;
  Road& road_;
  ControlQueue& control_;
  std::vector<std::unique_ptr<Bundle>> bundles_;
  std::mutex lanes_mutex_;                    // housekeeping goes through them while control adds one
  std::vector<std::unique_ptr<Lane>> lanes_;  // by number
};

}  // namespace mdp::engine
