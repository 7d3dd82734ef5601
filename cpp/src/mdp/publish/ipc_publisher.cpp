#include "mdp/publish/ipc_publisher.hpp"

#include <algorithm>
#include <cstring>

#include "mdp/sys/clock.hpp"

namespace mdp::publish {
namespace {

// The table is gone over once in a quarter of the ring, in steps of 1/64 of the ring: a quiet instrument's
// position is then never further back than that.
constexpr std::uint32_t kAdvanceSteps = core::kRingSteps / 4;

// Whether such a record can be.
bool publishable(const shm::EventHeader& header) noexcept {
  constexpr std::int64_t kMaxBody = shm::kMaxEventLevels * sizeof(shm::PriceLevel);
  const std::int64_t body = shm::body_bytes(header);
  return body >= 0 && body <= kMaxBody;
}

// A slot's reserved bytes are whatever was there before.
template <class Body>
Body with_zeros(Body body) noexcept {
  std::memset(body.reserved, 0, sizeof(body.reserved));
  return body;
}

// A book that is published again is no change.
bool changes_book(const shm::EventHeader& header) noexcept {
  return (header.type == shm::EventType::BookDelta || header.type == shm::EventType::BookSnapshot) &&
         (header.flags & shm::kFlagRefresh) == 0;
}

bool is_whole_book(const shm::EventHeader& header) noexcept {
  return header.type == shm::EventType::BookSnapshot && (header.flags & shm::kFlagTop) == 0;
}

}  // namespace

Clock IPCPublisher::default_clock() noexcept { return &sys::now_ns; }

IPCPublisher::IPCPublisher(SegmentWriter& segment, Clock clock)
    : segment_(&segment),
      ring_(&segment.ring()),
      table_(&segment.table()),
      clock_(clock),
      step_bytes_(ring_->ring_bytes() / core::kRingSteps),
      last_step_(ring_->position() / step_bytes_),
      scratch_(std::make_unique<shm::Event>()) {
  slot_ = scratch_.get();
  last_beat_ns_ = clock_();
  segment_->heartbeat();
  segment_->set_state(shm::SegmentState::Running);
}

void IPCPublisher::commit() noexcept { publish(*slot_); }

void IPCPublisher::publish(const shm::Event& event) noexcept {
  write(event);
  flush();
}

std::uint64_t IPCPublisher::append(const shm::EventHeader& header, const shm::Event& event) noexcept {
  switch (header.type) {
    case shm::EventType::Trade: {
      const shm::TradeBody trade = with_zeros(event.trade);
      return ring_->append(header, &trade, sizeof(trade));
    }
    case shm::EventType::Liquidation: {
      const shm::LiquidationBody liquidation = with_zeros(event.liquidation);
      return ring_->append(header, &liquidation, sizeof(liquidation));
    }
    default:
      return ring_->append(header, event.levels, static_cast<std::size_t>(shm::body_bytes(header)));
  }
}

// What was appended is committed by flush(), or sooner where the table needs it.
void IPCPublisher::write(const shm::Event& event) noexcept {
  const std::int64_t now_ns = clock_();
  if ((event.header.flags & core::kFlagTableOnly) != 0) {
    write_table(event, now_ns);
  } else {
    write_ring(event, now_ns);
  }
  beat(now_ns);
}

void IPCPublisher::write_table(const shm::Event& event, std::int64_t now_ns) noexcept {
  // The entry claims every record before its ring position, so these have to be visible first.
  flush();
  if (event.header.type != shm::EventType::BookSnapshot || !publishable(event.header) ||
      !table_->write_book(event, now_ns, {ring_->position(), ring_->sequence()})) {
    counters_.rejected_events.add();
    return;
  }
  counters_.table_writes.add();
}

void IPCPublisher::write_ring(const shm::Event& event, std::int64_t now_ns) noexcept {
  if (!publishable(event.header)) {
    counters_.rejected_events.add();
    return;
  }
  shm::EventHeader header = event.header;
  header.pub_ts_ns = now_ns;
  // Before flush(): a table entry must not be moved past a book record it does not have.
  if (changes_book(header)) table_->note_record(header.symbol_id);
  const std::uint64_t sequence = ring_->sequence();
  const std::uint64_t position = append(header, event);
  counters_.events.add();
  const bool again = (header.flags & shm::kFlagRefresh) != 0;  // its times are those of the book
  if (header.recv_ts_ns != 0 && !again) latency_.record(now_ns - header.recv_ts_ns);
  if (is_whole_book(header)) [[unlikely]] {
    table_->note_whole_book(header, {position, sequence});
    if (again && (header.flags & shm::kFlagLast) != 0) {
      // The entry claims every record of the book, so these have to be visible first.
      flush();
      table_->write_refresh(header.symbol_id, {ring_->position(), ring_->sequence()});
    }
  }
  if (header.type == shm::EventType::BookState) {
    flush();
    if (table_->write_state(event, now_ns, {ring_->position(), ring_->sequence()}))
      counters_.table_writes.add();
  }
}

// Commits, and moves some table entries along when the ring has advanced by another 1/64.
void IPCPublisher::flush() noexcept {
  if (ring_->pending_bytes() == 0) return;
  ring_->commit();
  if (segment_->bell_wanted()) [[unlikely]]
    ring_bell();
  const std::uint64_t step = ring_->position() / step_bytes_;
  if (step == last_step_) return;
  // Positions wrap at 2^64, steps with them.
  const std::uint64_t steps = (step - last_step_) & (~std::uint64_t{0} / step_bytes_);
  last_step_ = step;
  ring_steps_.add(steps);
  const std::uint64_t instruments = segment_->directory().instrument_count();
  const std::uint64_t due =
      (instruments * std::min<std::uint64_t>(steps, kAdvanceSteps) + kAdvanceSteps - 1) / kAdvanceSteps;
  table_->advance(static_cast<std::uint32_t>(due), static_cast<std::uint32_t>(instruments),
                  {ring_->position(), ring_->sequence()});
}

void IPCPublisher::ring_bell() noexcept {
  segment_->ring_bell();
  counters_.bells.add();
}

void IPCPublisher::beat(std::int64_t now_ns) noexcept {
  if (now_ns - last_beat_ns_ < kHeartbeatIntervalNs && now_ns >= last_beat_ns_) return;
  last_beat_ns_ = now_ns;
  segment_->heartbeat();
  if (segment_->bell_wanted()) ring_bell();
}

void IPCPublisher::move_to(SegmentWriter& next) noexcept {
  flush();
  SegmentWriter& former = *segment_;
  segment_ = &next;
  ring_ = &next.ring();
  table_ = &next.table();
  last_step_ = ring_->position() / step_bytes_;
  next.heartbeat();
  next.set_state(shm::SegmentState::Running);
  former.set_state(
      shm::SegmentState::Stopped);  // behind the above: whoever sees it finds the next one running
  former.ring_bell();
}

void IPCPublisher::stop() noexcept {
  flush();
  segment_->heartbeat();
  segment_->set_state(shm::SegmentState::Stopped);
  segment_->ring_bell();
}

}  // namespace mdp::publish
