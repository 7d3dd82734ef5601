// What an engine says of itself: counters and states of its lines, symbols and stages, as of one moment.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "mdp/core/ids.hpp"
#include "mdp/engine/control.hpp"
#include "mdp/publish/ipc_publisher.hpp"

namespace mdp::engine {

class Road;

struct LineHealth {
  core::LineId line = 0;
  std::string venue;
  std::string path;     // what it was connected to
  bool up = false;      // connected, and the venue has confirmed every subscription
  bool in_use = false;  // not the one that waits for the next renewal
  std::int64_t last_traffic_ns = 0;
  std::int64_t up_since_ns = 0;  // 0: not up
  std::size_t streams = 0;
  std::size_t raw_queue_depth = 0;
  std::uint64_t frames = 0;
  std::uint64_t bytes = 0;
  std::uint64_t pings = 0;
  std::uint64_t reconnects = 0;
  std::uint64_t pool_waits = 0;
  std::uint64_t parse_errors = 0;
  std::uint64_t wins = 0;  // see book::LineCounters
  std::uint64_t late = 0;
  std::uint64_t lead_p50_ns = 0;
  std::uint64_t lead_p99_ns = 0;
};

struct SymbolHealth {
  shm::BookState state;
  shm::StateReason reason;
  std::uint64_t update_id;
  LiveSpan last_span;
};

struct EngineHealth {
  std::uint64_t events, table_writes, rejected_events, control_dropped;
  std::uint64_t updates, duplicates, trades, quotes, mark_prices, liquidations;
  std::uint64_t gaps, holes, resyncs, crossed, audits, audit_mismatches, lost_chunks, buffer_overflows;
  std::uint64_t widened, widen_disputes, depth_exhausted;
  std::uint64_t rest_audits, rest_audit_mismatches, rest_audits_dropped, suspicions;
  std::uint64_t snapshots_applied, snapshots_too_old, snapshots_unused;
  std::uint64_t event_queue_depth, message_waits, event_waits;
  std::uint64_t latency_count, p50_ns, p90_ns, p99_ns, p999_ns, max_ns;  // socket receive to ring commit

  // What the road and the publisher have counted.
  void add(const Road& road);
  void add(const publish::IPCPublisher& publisher);

  std::vector<LineHealth> lines;
  std::vector<SymbolHealth> symbols;  // by symbol id, those that were removed included
};

}  // namespace mdp::engine
