// IPCPublisher: the last stage of the road. Takes Events, writes ring records and book-table entries.
//
// One thread calls it: in the fused topology the stage before, through the EventSink it is (slot(),
// commit()); in the pipelined one the publisher thread, which drains the event queue. Both come to publish().
// It never waits for a reader.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "mdp/core/counters.hpp"
#include "mdp/core/latency_histogram.hpp"
#include "mdp/core/sinks.hpp"
#include "mdp/publish/segment_writer.hpp"

namespace mdp::publish {

// Nanoseconds since the Unix epoch. The default is sys::now_ns().
using Clock = std::int64_t (*)() noexcept;

// drain() commits when the queue is empty, and at the latest after so many bytes: one cursor store for
// several records when they come in faster than they are written, and no record waits for more than this.
inline constexpr std::uint64_t kMaxBatchBytes = 1024;

// Written by the publisher's thread, read by any.
struct PublishCounters {
#define MDP_PUBLISH_COUNTER(name, help) core::Counter name;
#include "mdp/core/counters.def"
};

class IPCPublisher final : public core::EventSink {
 public:
  // `segment` outlives the publisher. Sets it Running.
  explicit IPCPublisher(SegmentWriter& segment, Clock clock = default_clock());

  // EventSink: publishes what was written to slot().
  void commit() noexcept override;

  // Publishes one event, at once:
  //   kFlagTableOnly             to the book table: ids, times, levels (not the levels with kFlagSameLevels)
  //   BookState                  to the ring, and state and reason to the book table
  //   BookSnapshot, whole        to the ring, and its place there to the book table
  //   everything else            to the ring
  // Ring records get sequence, size_lines and pub_ts_ns here. An event that cannot be published (more levels
  // than a record holds, a type that does not exist, a symbol_id outside the table) is dropped and counted.
  void publish(const shm::Event& event) noexcept;

  // Publishes up to `max` slots of a queue with front() and pop() (MpscQueue<shm::Event>) and returns how
  // many there were. When 0 was returned, call heartbeat().
  template <class Queue>
  std::size_t drain(Queue& queue, std::size_t max) noexcept;

  // For times without events: says that the publisher is alive. Cheap; call it as often as you like.
  void heartbeat() noexcept { beat(clock_()); }

  // Goes on in another segment, and marks the one before Stopped. Books and instruments have to be published
  // again: what they were stands in the former one.
  void move_to(SegmentWriter& next) noexcept;

  // Marks the segment Stopped. Nothing is published afterwards.
  void stop() noexcept;

  // Any thread, all below.
  const PublishCounters& counters() const noexcept { return counters_; }
  // pub_ts_ns - recv_ts_ns of every ring record that has a recv_ts_ns.
  const core::LatencyHistogram& latency() const noexcept { return latency_; }
  // How often the ring has advanced by 1/64 of it since the start: by this the managers know when to publish
  // a book again.
  const core::Counter& ring_steps() const noexcept { return ring_steps_; }

 private:
  static Clock default_clock() noexcept;
  void write(const shm::Event& event) noexcept;
  void write_table(const shm::Event& event, std::int64_t now_ns) noexcept;
  std::uint64_t append(const shm::EventHeader& header, const shm::Event& event) noexcept;
  void write_ring(const shm::Event& event, std::int64_t now_ns) noexcept;
  void flush() noexcept;
  void ring_bell() noexcept;
  void beat(std::int64_t now_ns) noexcept;

  SegmentWriter* segment_;
  RingWriter* ring_;
  TableWriter* table_;
  Clock clock_;
  std::int64_t last_beat_ns_ = 0;
  const std::uint64_t step_bytes_;  // 1/64 of the ring
  std::uint64_t last_step_;         // of the ring position that was committed last
  PublishCounters counters_;
  core::LatencyHistogram latency_;
  std::unique_ptr<shm::Event> scratch_;  // the slot of the fused topology
  // Lines of its own: read after every message, and changed 64 times a lap.
  alignas(shm::kCacheLineSize) core::Counter ring_steps_;
};

template <class Queue>
std::size_t IPCPublisher::drain(Queue& queue, std::size_t max) noexcept {
  std::size_t count = 0;
  for (; count < max; ++count) {
    const shm::Event* event = queue.front();
    if (event == nullptr) break;
    write(*event);
    queue.pop();
    if (ring_->pending_bytes() >= kMaxBatchBytes) flush();
  }
  flush();
  return count;
}

}  // namespace mdp::publish
