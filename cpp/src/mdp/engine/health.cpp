#include "mdp/engine/health.hpp"

#include "mdp/engine/road.hpp"

namespace mdp::engine {

void EngineHealth::add(const Road& road) {
  for (std::size_t i = 0; i < road.manager_count(); ++i) {
    const RoadManager& manager = road.manager(i);
    add_to(*this, manager.books().counters());
    event_waits += manager.event_waits();
    message_waits += manager.message_waits();
  }
  event_queue_depth = road.event_queue_depth();
}

void EngineHealth::add(const publish::IPCPublisher& publisher) {
  add_to(*this, publisher.counters());
  const core::LatencyHistogram& latency = publisher.latency();
  latency_count = latency.count();
  p50_ns = latency.percentile(50);
  p90_ns = latency.percentile(90);
  p99_ns = latency.percentile(99);
  p999_ns = latency.percentile(99.9);
  max_ns = latency.max_ns();
}

}  // namespace mdp::engine
