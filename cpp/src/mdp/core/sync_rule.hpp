// SyncRule: a venue's law for joining snapshot and deltas and for telling a gap. Data, not code paths: each
// venue's folder has its own constant of this type, OrderBookManager asks the two questions below and nothing
// else.
#pragma once

#include <cstdint>

#include "mdp/core/normalized_message.hpp"

namespace mdp::core {

// How a delta is known to follow what is applied.
enum class Continuity : std::uint8_t {
  FirstFollowsLast,  // first == last + 1; an overlap (first <= last < update's last) applies too
  PrevEqualsLast,    // prev == last
  None,              // the venue sends no usable number: every delta applies
};

// Which delta is the first after a snapshot of id S.
enum class Join : std::uint8_t {
  AfterSnapshotId,   // drop last <= S; the first has first <= S + 1 <= last
  AroundSnapshotId,  // drop last < S; the first has first <= S <= last, or prev <= S <= last
};

enum class SnapshotSource : std::uint8_t { Rest, Stream };

// What is done when a book is crossed after an update.
enum class CrossedPolicy : std::uint8_t {
  Resync,  // the book is wrong: STALE, and a new snapshot for this symbol
  Allow,   // the venue may show it for a moment (auctions): published as it is
};

enum class SequenceVerdict : std::uint8_t {
  Apply,  // follows what is applied
  Old,    // ends within what is applied: a duplicate, dropped
  Gap,    // begins beyond it: something is missing
};

struct SyncRule {
  Continuity continuity = Continuity::None;
  Join join = Join::AfterSnapshotId;
  SnapshotSource snapshot_source = SnapshotSource::Rest;
  CrossedPolicy crossed = CrossedPolicy::Resync;
  bool trade_ids_grow = false;  // by small steps, aggregates by their own: a copy shows by its id

  // The first delta after a snapshot with id `snapshot_id`.
  SequenceVerdict check_first(std::uint64_t snapshot_id, const MessageHeader& delta) const noexcept {
    if (continuity == Continuity::None) return SequenceVerdict::Apply;
    if (join == Join::AfterSnapshotId) {
      if (delta.last_update_id <= snapshot_id) return SequenceVerdict::Old;
      return delta.first_update_id <= snapshot_id + 1 ? SequenceVerdict::Apply : SequenceVerdict::Gap;
    }
    if (delta.last_update_id < snapshot_id) return SequenceVerdict::Old;
    // prev_update_id is 0 where the venue has none: that must not pass for "reaches back to the snapshot".
    const bool covers = delta.first_update_id <= snapshot_id ||
                        (continuity == Continuity::PrevEqualsLast && delta.prev_update_id <= snapshot_id);
    return covers ? SequenceVerdict::Apply : SequenceVerdict::Gap;
  }

  // Every later delta; `last` is the last_update_id applied.
  SequenceVerdict check_next(std::uint64_t last, const MessageHeader& delta) const noexcept {
    switch (continuity) {
      case Continuity::None:
        return SequenceVerdict::Apply;
      case Continuity::FirstFollowsLast:
        if (delta.last_update_id <= last) return SequenceVerdict::Old;
        return delta.first_update_id <= last + 1 ? SequenceVerdict::Apply : SequenceVerdict::Gap;
      case Continuity::PrevEqualsLast:
        if (delta.last_update_id <= last) return SequenceVerdict::Old;
        return delta.prev_update_id <= last ? SequenceVerdict::Apply : SequenceVerdict::Gap;
    }
    return SequenceVerdict::Gap;
  }
};

}  // namespace mdp::core
