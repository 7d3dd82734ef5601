// What the enums of the records are called in text: one word for each, the same in the log, in Python
// (StateReason.PARSE_ERROR is "parse_error"), in the JSON of a replay and in mdp_shm.h.
//
// States of a book are in capitals ("LIVE"), all others in lower case. A value that this version does not
// know is "unknown". Statuses of functions have their to_string() beside them, which is a sentence for
// people.
#pragma once

#include "mdp/shm/directory.hpp"
#include "mdp/shm/event.hpp"
#include "mdp/shm/layout.hpp"

namespace mdp::shm {

constexpr const char* to_string(EventType type) noexcept {
  switch (type) {
    case EventType::Padding:
      return "padding";
    case EventType::BookDelta:
      return "book_delta";
    case EventType::BookSnapshot:
      return "book_snapshot";
    case EventType::Bbo:
      return "bbo";
    case EventType::Trade:
      return "trade";
    case EventType::BookState:
      return "book_state";
    case EventType::Instrument:
      return "instrument";
    case EventType::ConnectionStatus:
      return "connection_status";
    case EventType::MarkPrice:
      return "mark_price";
    case EventType::Liquidation:
      return "liquidation";
  }
  return "unknown";
}

constexpr const char* to_string(BookState state) noexcept {
  switch (state) {
    case BookState::Stale:
      return "STALE";
    case BookState::Syncing:
      return "SYNCING";
    case BookState::Live:
      return "LIVE";
  }
  return "unknown";
}

constexpr const char* to_string(StateReason reason) noexcept {
  switch (reason) {
    case StateReason::None:
      return "none";
    case StateReason::Starting:
      return "starting";
    case StateReason::Subscribed:
      return "subscribed";
    case StateReason::Synced:
      return "synced";
    case StateReason::Gap:
      return "gap";
    case StateReason::Disconnected:
      return "disconnected";
    case StateReason::ParseError:
      return "parse_error";
    case StateReason::Crossed:
      return "crossed";
    case StateReason::BufferOverflow:
      return "buffer_overflow";
    case StateReason::SnapshotTooOld:
      return "snapshot_too_old";
    case StateReason::SnapshotFailed:
      return "snapshot_failed";
    case StateReason::Requested:
      return "requested";
    case StateReason::Unsubscribed:
      return "unsubscribed";
    case StateReason::ChecksumMismatch:
      return "checksum_mismatch";
    case StateReason::AuditMismatch:
      return "audit_mismatch";
    case StateReason::Rejected:
      return "rejected";
    case StateReason::Silent:
      return "silent";
    case StateReason::DepthExhausted:
      return "depth_exhausted";
    case StateReason::DepthChanged:
      return "depth_changed";
    case StateReason::SequenceReset:
      return "sequence_reset";
  }
  return "unknown";
}

constexpr const char* to_string(LineState state) noexcept {
  switch (state) {
    case LineState::Down:
      return "down";
    case LineState::Connecting:
      return "connecting";
    case LineState::Up:
      return "up";
  }
  return "unknown";
}

constexpr const char* to_string(Side side) noexcept {
  switch (side) {
    case Side::None:
      return "none";
    case Side::Buy:
      return "buy";
    case Side::Sell:
      return "sell";
  }
  return "unknown";
}

constexpr const char* to_string(InstrumentKind kind) noexcept {
  switch (kind) {
    case InstrumentKind::Spot:
      return "spot";
    case InstrumentKind::Perpetual:
      return "perpetual";
    case InstrumentKind::Future:
      return "future";
    case InstrumentKind::Option:
      return "option";
  }
  return "unknown";
}

constexpr const char* to_string(Settlement settlement) noexcept {
  switch (settlement) {
    case Settlement::None:
      return "none";
    case Settlement::Linear:
      return "linear";
    case Settlement::Inverse:
      return "inverse";
    case Settlement::Quanto:
      return "quanto";
  }
  return "unknown";
}

constexpr const char* to_string(ContractUnit unit) noexcept {
  switch (unit) {
    case ContractUnit::None:
      return "none";
    case ContractUnit::Base:
      return "base";
    case ContractUnit::Quote:
      return "quote";
  }
  return "unknown";
}

constexpr const char* to_string(OptionRight right) noexcept {
  switch (right) {
    case OptionRight::None:
      return "none";
    case OptionRight::Call:
      return "call";
    case OptionRight::Put:
      return "put";
  }
  return "unknown";
}

constexpr const char* to_string(InstrumentStatus status) noexcept {
  switch (status) {
    case InstrumentStatus::Unused:
      return "unused";
    case InstrumentStatus::Active:
      return "active";
    case InstrumentStatus::Removed:
      return "removed";
  }
  return "unknown";
}

constexpr const char* to_string(SegmentState state) noexcept {
  switch (state) {
    case SegmentState::Starting:
      return "starting";
    case SegmentState::Running:
      return "running";
    case SegmentState::Stopped:
      return "stopped";
  }
  return "unknown";
}

}  // namespace mdp::shm
