// EngineConfig: what an Engine is built from. Names and defaults are those of the YAML (core/settings.hpp):
// Python sets each field from the key of its name, after it has checked the value.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "mdp/book/book_control.hpp"
#include "mdp/core/settings.hpp"
#include "mdp/core/venue.hpp"
#include "mdp/net/frame_pool.hpp"
#include "mdp/net/line_settings.hpp"
#include "mdp/publish/segment_writer.hpp"
#include "mdp/queue/idle_strategy.hpp"

namespace mdp::engine {

enum class Topology : std::uint8_t {
  Pipelined,  // a thread per stage
  Fused,      // parser, book and publish inline on one connector thread that carries every line
  Auto,       // Pipelined where every stage of the first line gets a core of its own, else Fused
};

// Cores to pin to; -1 or a missing entry leaves the thread to the system. A list gives one core to each
// thread of that kind, in the order the lines and managers are made.
struct CoreMap {
  std::vector<int> connectors;  // fused: the first is the one thread
  std::vector<int> parsers;
  std::vector<int> managers;
  int publisher = -1;
  int rest = -1;

  template <class Visit>
  static void visit_settings(Visit&& visit) {
    MDP_SETTING(CoreMap, connectors);
    MDP_SETTING(CoreMap, parsers);
    MDP_SETTING(CoreMap, managers);
    MDP_SETTING(CoreMap, publisher);
    MDP_SETTING(CoreMap, rest);
  }
};

struct EngineConfig : book::BookSettings {
  publish::SegmentConfig segment;  // a section of its own in the YAML
  Topology topology = Topology::Auto;
  queue::IdleMode idle = queue::IdleMode::Auto;
  CoreMap cores;
  std::size_t managers = 1;  // pipelined; lines are dealt to managers in turn
  // The best levels go into the ring, with the first update after so long; 0: never.
  std::chrono::milliseconds top_snapshot_ms{0};
  std::size_t frames = net::FramePoolOptions{}.frame_count;      // raw buffers of a line
  std::size_t frame_size = net::FramePoolOptions{}.frame_bytes;  // bytes that a buffer starts with
  std::size_t message_slots = 1024;  // of a queue of normalized messages, 4 KiB each
  std::size_t event_slots = 1024;    // of the queue of events, 4 KiB each

  template <class Visit>
  static void visit_settings(Visit&& visit) {
    book::BookSettings::visit_settings(visit);
    MDP_SETTING(EngineConfig, topology);
    MDP_SETTING(EngineConfig, idle);
    MDP_SETTING(EngineConfig, cores);
    MDP_SETTING(EngineConfig, managers);
    MDP_SETTING(EngineConfig, top_snapshot_ms);
    MDP_SETTING(EngineConfig, frames);
    MDP_SETTING(EngineConfig, frame_size);
    MDP_SETTING(EngineConfig, message_slots);
    MDP_SETTING(EngineConfig, event_slots);
  }
};

// What the venue itself reads of it is in VenueOptions, what its connections obey in LineSettings.
struct VenueConfig : core::VenueOptions, net::LineSettings {
  std::string name;      // "binance"
  std::string ws_url;    // empty: the venue's own
  std::string rest_url;  // empty: the venue's own
  std::vector<core::Channel> channels{core::Channel::Depth, core::Channel::Trade, core::Channel::Quote};
  std::size_t snapshot_depth = 1000;
  std::size_t lines = 1;  // connections that carry each symbol, all the same; the first copy counts
  std::chrono::milliseconds connect_timeout_ms = net::kStepTimeout;  // of each step
  std::chrono::milliseconds subscribe_timeout_ms{10'000};            // a request the venue does not answer
  // A connection is renewed some percent before it is this old; 0: the venue's own limit. For `overlap_ms`
  // the old and the new one both carry everything.
  std::chrono::seconds max_connection_age_s{0};
  std::chrono::milliseconds overlap_ms{3'000};
  std::chrono::milliseconds rest_timeout_ms{10'000};
  // Control's own, here to be refused where there is nothing to compare with: between two audits; 0: only of
  // books that are suspect.
  std::chrono::seconds rest_audit_s{0};

  template <class Visit>
  static void visit_settings(Visit&& visit) {
    core::VenueOptions::visit_settings(visit);
    net::LineSettings::visit_settings(visit);
    MDP_SETTING(VenueConfig, name);
    MDP_SETTING(VenueConfig, ws_url);
    MDP_SETTING(VenueConfig, rest_url);
    MDP_SETTING(VenueConfig, channels);
    MDP_SETTING(VenueConfig, snapshot_depth);
    MDP_SETTING(VenueConfig, lines);
    MDP_SETTING(VenueConfig, connect_timeout_ms);
    MDP_SETTING(VenueConfig, subscribe_timeout_ms);
    MDP_SETTING(VenueConfig, max_connection_age_s);
    MDP_SETTING(VenueConfig, overlap_ms);
    MDP_SETTING(VenueConfig, rest_timeout_ms);
    MDP_SETTING(VenueConfig, rest_audit_s);
  }
};

}  // namespace mdp::engine
