// What Engine::health() says: the counters of all owners as plain numbers, made from the table
// core/counters.def.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "mdp/book/book_control.hpp"
#include "mdp/book/line_arbiter.hpp"
#include "mdp/core/counters.hpp"
#include "mdp/core/ids.hpp"
#include "mdp/engine/control.hpp"
#include "mdp/net/exchange_connector.hpp"
#include "mdp/publish/ipc_publisher.hpp"

namespace mdp::engine {

class Road;

// Of one line. Written by the parser's thread, read by any.
struct ParseCounters {
#define MDP_PARSE_COUNTER(name, help) core::Counter name;
#include "mdp/core/counters.def"
};

struct LineHealth {
  core::LineId line = 0;
  std::string venue;
  std::string path;     // what it was connected to
  bool up = false;      // connected, and the venue has confirmed every subscription
  bool in_use = false;  // not the one that waits for the next renewal
  std::int64_t last_traffic_ns = 0;
  std::int64_t up_since_ns = 0;   // 0: not up
  std::uint64_t lead_p50_ns = 0;  // by how much it was first, where another brought the same later
  std::uint64_t lead_p99_ns = 0;
#define MDP_NET_COUNTER(name, help) std::uint64_t name = 0;
#define MDP_PARSE_COUNTER(name, help) std::uint64_t name = 0;
#define MDP_LINE_COUNTER(name, help) std::uint64_t name = 0;
#define MDP_LINE_GAUGE(name, help) std::uint64_t name = 0;
#include "mdp/core/counters.def"
};

struct SymbolHealth {
  shm::BookState state;
  shm::StateReason reason;
  std::uint64_t update_id;
  LiveSpan last_span;
};

struct EngineHealth {
#define MDP_BOOK_COUNTER(name, help) std::uint64_t name = 0;
#define MDP_PUBLISH_COUNTER(name, help) std::uint64_t name = 0;
#define MDP_SEGMENT_COUNTER(name, help) std::uint64_t name = 0;
#define MDP_WAIT_COUNTER(name, help) std::uint64_t name = 0;
#define MDP_ENGINE_GAUGE(name, help) std::uint64_t name = 0;
#include "mdp/core/counters.def"
  // Socket receive to ring commit.
  std::uint64_t latency_count = 0, p50_ns = 0, p90_ns = 0, p99_ns = 0, p999_ns = 0, max_ns = 0;

  // What the road and the publisher have counted.
  void add(const Road& road);
  void add(const publish::IPCPublisher& publisher);

  std::vector<LineHealth> lines;
  std::vector<SymbolHealth> symbols;  // by symbol id, those that were removed included
};

inline void add_to(EngineHealth& health, const book::BookCounters& of) noexcept {
#define MDP_BOOK_COUNTER(name, help) health.name += of.name.get();
#include "mdp/core/counters.def"
}

inline void add_to(EngineHealth& health, const publish::PublishCounters& of) noexcept {
#define MDP_PUBLISH_COUNTER(name, help) health.name += of.name.get();
#include "mdp/core/counters.def"
}

inline void add_to(LineHealth& health, const net::ConnectorCounters& of) noexcept {
#define MDP_NET_COUNTER(name, help) health.name += of.name.get();
#include "mdp/core/counters.def"
}

inline void add_to(LineHealth& health, const ParseCounters& of) noexcept {
#define MDP_PARSE_COUNTER(name, help) health.name += of.name.get();
#include "mdp/core/counters.def"
}

inline void add_to(LineHealth& health, const book::LineCounters& of) noexcept {
#define MDP_LINE_COUNTER(name, help) health.name += of.name.get();
#include "mdp/core/counters.def"
}

// A line of the table, for whoever shows numbers without knowing them.
struct Metric {
  const char* name;
  const char* help;
  bool is_gauge;                            // it goes up and down; else a counter since start
  std::uint64_t EngineHealth::* of_engine;  // where it stands; nullptr: it is of each line
  std::uint64_t LineHealth::* of_line;      // likewise
};

inline std::span<const Metric> metrics() noexcept {
  static constexpr Metric kMetrics[] = {
#define MDP_BOOK_COUNTER(name, help) {#name, help, false, &EngineHealth::name, nullptr},
#define MDP_PUBLISH_COUNTER(name, help) {#name, help, false, &EngineHealth::name, nullptr},
#define MDP_SEGMENT_COUNTER(name, help) {#name, help, false, &EngineHealth::name, nullptr},
#define MDP_WAIT_COUNTER(name, help) {#name, help, false, &EngineHealth::name, nullptr},
#define MDP_ENGINE_GAUGE(name, help) {#name, help, true, &EngineHealth::name, nullptr},
#define MDP_NET_COUNTER(name, help) {#name, help, false, nullptr, &LineHealth::name},
#define MDP_PARSE_COUNTER(name, help) {#name, help, false, nullptr, &LineHealth::name},
#define MDP_LINE_COUNTER(name, help) {#name, help, false, nullptr, &LineHealth::name},
#define MDP_LINE_GAUGE(name, help) {#name, help, true, nullptr, &LineHealth::name},
#include "mdp/core/counters.def"
  };
  return kMetrics;
}

}  // namespace mdp::engine
