// BookRule: what a venue says of its books: how deltas follow a snapshot and each other, where snapshots come
// from, how deep a book is, and what proves it right. Data, not code paths: each venue's folder has one
// constant of this type, and the book stage asks it for a verdict on each delta. ARCHITECTURE.md, "What a
// venue's book rule says", lists which venue needs what.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "mdp/core/normalized_message.hpp"

namespace mdp::core {

struct Instrument;

// How a delta is known to follow the last one applied. `first`, `last`, `prev` are the ids of the delta, 0
// where the venue sends none; `applied` is the `last` of what was applied. A delta without the id that its
// kind needs is a Gap.
enum class Continuity : std::uint8_t {
  None,   // the venue sends no usable number: every delta applies
  Grows,  // last > applied: an older one is dropped, a missing one does not show. Also for venues that number
          // by time alone: their parser gives the time as the id
  FirstIsNext,    // first == applied + 1
  FirstUpToNext,  // first <= applied + 1: batches may overlap, as lines cut them at their own ids
  FirstUpToLast,  // first <= applied: a batch begins with the id at which the last one ended
  PrevIsLast,     // prev == applied, whatever the size of the ids
  PrevUpToLast,   // prev <= applied: as PrevIsLast, and batches may overlap
};

// Which delta is the first after a snapshot of id S.
enum class Join : std::uint8_t {
  AfterSnapshotId,   // drop last <= S; the first has first <= S + 1 <= last, or prev <= S < last
  AroundSnapshotId,  // drop last < S; the first has first <= S <= last, or prev <= S <= last
  InSequence,        // the snapshot is one more member of the sequence, which the first delta follows
};

enum class SnapshotSource : std::uint8_t {
  Rest,        // asked for over REST, and joined with the deltas that were buffered meanwhile
  Stream,      // comes in the stream after each subscription: what the line brings behind it follows it
  EveryFrame,  // every frame is the whole book, and there are no deltas
};

// How many levels a book has.
enum class Window : std::uint8_t {
  Grows,    // all that come: a snapshot that was cut is known as far as it goes, and the book no further
  ByVenue,  // the best so many of each side, which the venue keeps up: it deletes what leaves
  Cut,      // the same, but the venue does not tell what leaves: the book is cut after each update
};

// What is done when a book is crossed after an update.
enum class CrossedPolicy : std::uint8_t {
  Resync,  // the book is wrong: STALE, and a new snapshot for this symbol
  Allow,   // the venue may show it for a moment (auctions): published as it is
};

enum class SequenceVerdict : std::uint8_t {
  Apply,      // follows what is applied
  Old,        // ends within what is applied: a duplicate, dropped
  Gap,        // does not follow: something is missing
  Restart,    // is the whole book, and the first of a new sequence
  KeepAlive,  // says that the book is as it was: time goes on, no level changes
};

// A checksum over the best levels of both sides, best first. Of a side with fewer than `levels` it gets all.
struct ChecksumRule {
  using Function = std::uint32_t (*)(std::span<const PriceLevel> bids, std::span<const PriceLevel> asks,
                                     const Instrument& instrument) noexcept;
  static constexpr std::size_t kMaxLevels = 32;

  Function of = nullptr;   // nullptr: the venue has none, or none that can be used
  std::size_t levels = 0;  // a side, at most kMaxLevels
};

struct BookRule {
  Continuity continuity = Continuity::None;
  Join join = Join::AfterSnapshotId;
  SnapshotSource snapshot_source = SnapshotSource::Rest;
  Window window = Window::Grows;  // the number of levels is the depth_limit of the snapshots
  CrossedPolicy crossed = CrossedPolicy::Resync;
  bool trade_ids_grow = false;  // by small steps, aggregates by their own: a copy shows by its id
  // An update has the same ids on every line. Where it has not, two lines cannot be merged: a venue has one.
  bool lines_share_ids = false;
  // A snapshot of id 0 is of an empty book, which the venue has not numbered: any delta may follow it.
  bool empty_snapshot_has_no_id = false;
  // A delta of this id is the whole book after a restart of the venue; 0: there is none such.
  std::uint64_t restart_id = 0;
  ChecksumRule checksum{};

  // Whether deltas name the one before them.
  bool chained() const noexcept { return continuity >= Continuity::PrevIsLast; }
  bool numbered() const noexcept { return continuity != Continuity::None; }
  // Whether a hole in the numbers shows.
  bool shows_gaps() const noexcept { return continuity > Continuity::Grows; }
  // Whether the book is the best so many levels of each side. A frame that is the whole book always is.
  bool windowed() const noexcept {
    return window != Window::Grows || snapshot_source == SnapshotSource::EveryFrame;
  }
  // The first id of a delta that is not of the delta before it; 0 where the venue does not say it.
  std::uint64_t first_new_id(const MessageHeader& delta) const noexcept {
    const bool repeats_one = continuity == Continuity::FirstUpToLast && delta.first_update_id != 0;
    return delta.first_update_id + (repeats_one ? 1 : 0);
  }
  bool restarts(const MessageHeader& delta) const noexcept {
    return restart_id != 0 && delta.last_update_id == restart_id;
  }

  // The first delta after a snapshot with id `snapshot_id`.
  SequenceVerdict check_first(std::uint64_t snapshot_id, const MessageHeader& delta) const noexcept {
    if (continuity <= Continuity::Grows) return check_next(snapshot_id, delta);
    if (snapshot_id == 0 && empty_snapshot_has_no_id) return SequenceVerdict::Apply;
    // The chain says more than the size of the ids.
    const bool linked = continuity == Continuity::PrevIsLast && delta.prev_update_id == snapshot_id;
    if (linked || join == Join::InSequence) return check_next(snapshot_id, delta);
    const std::uint64_t begin_by = join == Join::AfterSnapshotId ? snapshot_id + 1 : snapshot_id;
    if (delta.last_update_id < begin_by) return old(snapshot_id, delta);
    const bool reaches_back = (delta.first_update_id != 0 && delta.first_update_id <= begin_by) ||
                              (chained() && delta.prev_update_id != 0 && delta.prev_update_id <= snapshot_id);
    return reaches_back ? SequenceVerdict::Apply : SequenceVerdict::Gap;
  }

  // Every later delta; `applied` is the last_update_id applied.
  // The usual case of the kinds whose batches may overlap is inlined at each delta; all else is a call.
  [[gnu::always_inline]] SequenceVerdict check_next(std::uint64_t applied,
                                                    const MessageHeader& delta) const noexcept {
    if (delta.last_update_id > applied) {
      if (continuity == Continuity::FirstUpToNext && delta.first_update_id - 1 <= applied) {
        return SequenceVerdict::Apply;
      }
      if (continuity == Continuity::PrevUpToLast && delta.prev_update_id - 1 < applied) {
        return SequenceVerdict::Apply;
      }
    }
    return check_any(applied, delta);
  }

 private:
  [[gnu::noinline]] SequenceVerdict check_any(std::uint64_t applied,
                                              const MessageHeader& delta) const noexcept {
    const std::uint64_t first = delta.first_update_id, last = delta.last_update_id;
    const std::uint64_t prev = delta.prev_update_id;
    switch (continuity) {
      case Continuity::None:
        return SequenceVerdict::Apply;
      case Continuity::Grows:
        return last > applied ? SequenceVerdict::Apply : old(applied, delta);
      case Continuity::FirstIsNext:
        if (last <= applied) return old(applied, delta);
        return first == applied + 1 ? SequenceVerdict::Apply : SequenceVerdict::Gap;
      case Continuity::FirstUpToNext:
        if (last <= applied) return old(applied, delta);
        return first - 1 <= applied ? SequenceVerdict::Apply : SequenceVerdict::Gap;  // 0 - 1 is beyond all
      case Continuity::FirstUpToLast:
        if (last <= applied) return old(applied, delta);
        return first - 1 < applied ? SequenceVerdict::Apply : SequenceVerdict::Gap;
      case Continuity::PrevIsLast:
        // First of all: a delta that links to the book follows it, also where its own id is smaller (the
        // venue has set its counter back) or the same (nothing happened). Asked the other way round, each
        // update of a counter that was set back would be old, and the book LIVE and frozen.
        if (prev == applied && prev != 0) {
          return last == applied ? SequenceVerdict::KeepAlive : SequenceVerdict::Apply;
        }
        if (prev == 0) return SequenceVerdict::Gap;
        // A copy links to something older. Who links beyond the book shows that something is missing, though
        // his own id may be smaller: the counter was set back, and what came before that was lost.
        return last <= applied && prev < applied ? old(applied, delta) : SequenceVerdict::Gap;
      case Continuity::PrevUpToLast:
        if (last <= applied) return old(applied, delta);
        return prev - 1 < applied ? SequenceVerdict::Apply : SequenceVerdict::Gap;
    }
    return SequenceVerdict::Gap;
  }

  SequenceVerdict old(std::uint64_t applied, const MessageHeader& delta) const noexcept {
    return restarts(delta) && applied != restart_id ? SequenceVerdict::Restart : SequenceVerdict::Old;
  }
};

}  // namespace mdp::core
