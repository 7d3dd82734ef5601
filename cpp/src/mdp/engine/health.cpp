#include "mdp/engine/health.hpp"

#include "mdp/engine/road.hpp"

namespace mdp::engine {

void EngineHealth::add(const Road& road) {
  for (std::size_t i = 0; i < road.manager_count(); ++i) {
    const RoadManager& manager = road.manager(i);
    const book::BookCounters& counters = manager.books().counters();
    updates += counters.updates.get();
    duplicates += counters.duplicates.get();
    trades += counters.trades.get();
    quotes += counters.quotes.get();
    mark_prices += counters.mark_prices.get();
    liquidations += counters.liquidations.get();
    gaps += counters.gaps.get();
    holes += counters.holes.get();
    audits += counters.audits.get();
    audit_mismatches += counters.audit_mismatches.get();
    rest_audits += counters.rest_audits.get();
    rest_audit_mismatches += counters.rest_audit_mismatches.get();
    rest_audits_dropped += counters.rest_audits_dropped.get();
    widened += counters.widened.get();
    widen_disputes += counters.widen_disputes.get();
    depth_exhausted += counters.depth_exhausted.get();
    suspicions += counters.suspicions.get();
    resyncs += counters.resyncs.get();
    crossed += counters.crossed.get();
    lost_chunks += counters.lost_chunks.get();
    buffer_overflows += counters.buffer_overflows.get();
    snapshots_applied += counters.snapshots_applied.get();
    snapshots_too_old += counters.snapshots_too_old.get();
    snapshots_unused += counters.snapshots_unused.get();
    event_waits += manager.event_waits();
    message_waits += manager.message_waits();
  }
  event_queue_depth = road.event_queue_depth();
}

void EngineHealth::add(const publish::IPCPublisher& publisher) {
  events = publisher.events();
  table_writes = publisher.table_writes();
  rejected_events = publisher.rejected();
  const core::LatencyHistogram& latency = publisher.latency();
  latency_count = latency.count();
  p50_ns = latency.percentile(50);
  p90_ns = latency.percentile(90);
  p99_ns = latency.percentile(99);
  p999_ns = latency.percentile(99.9);
  max_ns = latency.max_ns();
}

}  // namespace mdp::engine
