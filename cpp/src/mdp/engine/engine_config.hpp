// EngineConfig: what an Engine is built from. Filled by the bindings from the checked Python configuration.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "mdp/core/venue.hpp"
#include "mdp/net/backoff.hpp"
#include "mdp/net/socket_options.hpp"
#include "mdp/net/tls_options.hpp"
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
};

struct EngineConfig {
  publish::SegmentConfig segment;
  Topology topology = Topology::Auto;
  queue::IdleMode idle = queue::IdleMode::Auto;
  CoreMap cores;
  std::size_t manager_count = 1;  // pipelined; lines are dealt to managers in turn
  std::size_t book_depth = 0;     // levels kept a side, 0 for all
  bool self_audit = true;         // compare books with the venue's own best bid and ask, where that comes
  std::chrono::milliseconds top_snapshot{
      0};  // the best levels into the ring, with the first update after so long; 0: never
  std::size_t frame_count = 1024;          // raw buffers of a line
  std::size_t frame_bytes = 16 * 1024;     // what a buffer starts with
  std::size_t message_queue_slots = 1024;  // normalized messages, 4 KiB each
  std::size_t event_queue_slots = 1024;    // events, 4 KiB each
};

struct VenueConfig {
  std::string name;           // "binance"
  std::string ws_url;         // empty: the venue's own
  std::string rest_url;       // empty: the venue's own
  std::string proxy;          // http://[user:password@]host:port for WebSocket and REST; empty: none
  net::SocketOptions socket;  // of the WebSocket connections
  core::VenueOptions options;
  net::TlsOptions tls;
  net::BackoffOptions backoff;
  std::vector<core::Channel> channels{core::Channel::Depth, core::Channel::Trade, core::Channel::Quote};
  std::size_t snapshot_depth = 1000;
  std::size_t lines = 1;  // connections that carry each symbol, all the same; the first copy counts
  std::chrono::milliseconds connect_timeout{5'000};     // of each step
  std::chrono::milliseconds subscribe_timeout{10'000};  // a request the venue does not answer
  std::chrono::milliseconds idle_timeout{60'000};       // no byte, not even a ping
  // A connection is renewed some percent before it is this old; 0: the venue's own limit. For `overlap` the
  // old and the new one both carry everything.
  std::chrono::milliseconds max_connection_age{0};
  std::chrono::milliseconds overlap{3'000};
  std::chrono::milliseconds rest_timeout{10'000};
};

}  // namespace mdp::engine
