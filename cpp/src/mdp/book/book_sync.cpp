#include "mdp/book/book_sync.hpp"

#include <algorithm>

namespace mdp::book {

using core::SequenceVerdict;

// "rest", "stream" and "every frame" say where the venue's rule gets snapshots from. A message for a symbol
// without a book is counted as unroutable.
//
//                 STALE                          SYNCING                            LIVE
// Delta           SYNCING, buffered, snapshot    buffered; buffer full: STALE,      Old: dropped; follows: applied;
//                 wanted; every frame: dropped   SYNCING anew                       Gap: waits for another line, or
//                                                                                   STALE, SYNCING;
//                                                                                   refuted: STALE
// Snapshot        rest: unused; else: LIVE       joined: LIVE; rest: older than     rest: an audit's, or unused;
//                                                the buffer or a hole in it:        else: LIVE with the new book;
//                                                another one wanted;                refuted: STALE
//                                                refuted: STALE
// BrokenSnapshot  -                              another one wanted                 rest: -; else: STALE (Gap)
// Distrust        reason changes                 STALE                              STALE
// LineDown        reason changes                 STALE                              STALE
//                 (only when no other line covers the symbol; the same for Distrust of what one line brought)
// SyncRequest     line up that brings it,        -                                  -
//                 not Silent: SYNCING, snapshot
//                 wanted; every frame: -
// Remove          STALE, no book                 STALE, no book                     STALE, no book
//
// A book that gets STALE while a line brings its symbol needs another snapshot. Where snapshots come over
// REST one is asked for with the first delta, for an older one could not be joined. Where they come in the
// stream one is asked for at once (stream: SYNCING follows each STALE of the table), for what the line brings
// behind it follows it.
//
// Distrust is a parser's Invalidate, a broken delta, or request_resync() of control, which goes on with a
// SyncRequest. A delta with which the ids of the symbol begin anew comes to a STALE entry: see begin_anew().
// A delta that is the whole book (BookRule::restart_id) is a Snapshot.
const BookSync::Action BookSync::kTransitions[kStates][kInputs] = {
    // STALE
    {&BookSync::start_buffering, &BookSync::stale_snapshot, &BookSync::ignore, &BookSync::distrust,
     &BookSync::distrust, &BookSync::start_empty, &BookSync::remove},
    // SYNCING
    {&BookSync::buffer, &BookSync::join, &BookSync::want_another, &BookSync::distrust, &BookSync::distrust,
     &BookSync::ignore, &BookSync::remove},
    // LIVE
    {&BookSync::apply_live, &BookSync::live_snapshot, &BookSync::live_broken_snapshot, &BookSync::distrust,
     &BookSync::distrust, &BookSync::ignore, &BookSync::remove},
};

// ---- actions of the table --------------------------------------------------------------------------------

void BookSync::ignore(SymbolEntry&, const BookUpdate&) noexcept {}

void BookSync::start_buffering(SymbolEntry& entry, const BookUpdate& delta) noexcept {
  if (entry.rule->restarts(*delta.header)) return join(entry, delta);
  if (entry.rule->snapshot_source == core::SnapshotSource::EveryFrame) return;
  begin_syncing(entry, StateReason::Subscribed);
  buffer(entry, delta);
}

void BookSync::start_empty(SymbolEntry& entry, const BookUpdate&) noexcept {
  if (snapshot_would_help(entry)) begin_syncing(entry, StateReason::Subscribed);
}

// Whether a snapshot can be asked for, and would be followed by updates.
bool BookSync::snapshot_would_help(const SymbolEntry& entry) const noexcept {
  if (entry.silent || entry.rule->snapshot_source == core::SnapshotSource::EveryFrame) return false;
  return std::any_of(entry.lines.begin(), entry.lines.end(),
                     [this](const EntryLine& line) { return lines_[line.id].up && !line.rejected; });
}

void BookSync::buffer(SymbolEntry& entry, const BookUpdate& delta) noexcept {
  if (entry.rule->restarts(*delta.header)) return join(entry, delta);
  const std::size_t levels = entry.buffer.level_count() + delta.bids.size() + delta.asks.size();
  if (entry.buffer.delta_count() == options_.max_buffered_deltas || levels > options_.max_buffered_levels) {
    counters_.buffer_overflows.add();
    go_stale(entry, StateReason::BufferOverflow);
    if (entry.state == BookState::Stale) begin_syncing(entry, StateReason::BufferOverflow);
  }
  entry.buffer.push(*delta.header, delta.bids, delta.asks);
}

void BookSync::apply_live(SymbolEntry& entry, const BookUpdate& delta) noexcept {
  entry.book.prefetch_top();
  const SequenceVerdict verdict = check(entry, *delta.header);
  if (verdict != SequenceVerdict::Apply) [[unlikely]]
    return apply_none(entry, delta, verdict);
  if (apply_next(entry, delta) && entry.buffer.delta_count() != 0) [[unlikely]]
    apply_waiting(entry);
}

// A delta that is no next one of a LIVE book.
void BookSync::apply_none(SymbolEntry& entry, const BookUpdate& delta, SequenceVerdict verdict) noexcept {
  switch (verdict) {
    case SequenceVerdict::Old:
      counters_.duplicates.add();
      if (entry.lines_up > 1) count_copy(entry, *delta.header, false);
      if (!entry.joined) on_update_below(entry, delta);
      return;
    case SequenceVerdict::Gap:
      return wait_behind_hole(entry, delta);
    case SequenceVerdict::Restart:
      return live_snapshot(entry, delta);
    case SequenceVerdict::KeepAlive:
      return keep_alive(entry);
    case SequenceVerdict::Apply:
      return;
  }
}

// The venue says that the book is as it was: readers of the book table see that by the times.
void BookSync::keep_alive(SymbolEntry& entry) noexcept {
  const MessageHeader& at = entry.last_header;
  if ((at.flags & core::kHasChecksum) != 0 && checksum_differs(entry, at.checksum, entry.book)) return;
  entry.watch.on_keep_alive();
  events_.emit_same_table(entry);
}

// Whether something contradicts `book`, which stands where the message `at` has brought it; then the entry is
// STALE. Asked before anything of it is emitted, of a LIVE book and of one that is about to be, after a
// window was cut. A message without a checksum proves nothing, and is no failure: venues leave it out now and
// then.
bool BookSync::refuted(SymbolEntry& entry, const MessageHeader& at, const OrderBook& book) noexcept {
  if (entry.rule->crossed == core::CrossedPolicy::Resync && book.crossed()) {
    counters_.crossed.add();
    go_stale(entry, StateReason::Crossed);
    return true;
  }
  if ((at.flags & core::kHasChecksum) != 0 && checksum_differs(entry, at.checksum, book)) [[unlikely]]
    return true;
  const std::uint64_t update_id = at.last_update_id;
  return entry.audit != nullptr &&
         audit_differs(entry, entry.audit->on_book(update_id, book.bbo()), update_id);
}

// True: the entry is STALE now.
bool BookSync::checksum_differs(SymbolEntry& entry, std::uint32_t checksum, const OrderBook& book) noexcept {
  const core::ChecksumRule& rule = entry.rule->checksum;
  if (rule.of == nullptr) return false;
  PriceLevel bids[core::ChecksumRule::kMaxLevels], asks[core::ChecksumRule::kMaxLevels];
  const std::size_t most = std::min(rule.levels, core::ChecksumRule::kMaxLevels);
  const std::span<const PriceLevel> best_bids(bids, book.copy_bids(bids, most));
  const std::span<const PriceLevel> best_asks(asks, book.copy_asks(asks, most));
  counters_.checksums.add();
  if (rule.of(best_bids, best_asks, *entry.instrument) == checksum) return false;
  counters_.checksum_mismatches.add();
  go_stale(entry, StateReason::ChecksumMismatch);
  return true;
}

// Where several lines are up it has to say which id it is of, for the one that brings it may be behind the
// book.
void BookSync::on_checksum(SymbolEntry& entry, const MessageHeader& header) noexcept {
  const bool of_this_book =
      header.last_update_id != 0 ? header.last_update_id == entry.last_id : entry.lines_up < 2;
  if (entry.state != BookState::Live || !of_this_book) return;
  entry.last_header = header;
  checksum_differs(entry, header.checksum, entry.book);
}

// False: the book is not LIVE any more.
bool BookSync::apply_next(SymbolEntry& entry, const BookUpdate& delta) noexcept {
  const std::size_t reached = entry.book.apply_update(delta.bids, delta.asks, options_.table_levels);
  if (entry.windowed) [[unlikely]]
    cut_to_window(entry, entry.book, entry.window.levels());
  entry.joined = true;
  entry.last_id = delta.header->last_update_id;
  entry.book.set_update_id(entry.last_id);
  // First of all: where nothing is known of a side, there is no best price to be refuted by a quote.
  if (entry.depth.low(entry.book) && !depth_suffices(entry)) [[unlikely]]
    return false;
  if (refuted(entry, *delta.header, entry.book)) return false;
  RestAudit::Verdict beside = RestAudit::Verdict::Open;
  if (entry.rest_audit != nullptr) [[unlikely]] {
    entry.rest_audit->on_delta(*delta.header, delta.bids, delta.asks);
    beside = rest_audit(entry);
    if (beside == RestAudit::Verdict::Different) return false;
  }
  counters_.updates.add();
  if (entry.lines_up > 1) count_copy(entry, *delta.header, true);
  events_.emit_delta(entry, delta);
  if (entry.book.was_cut()) [[unlikely]] {
    if (!entry.book.cut_bids().empty()) entry.depth.fill_bids(entry.book);
    if (!entry.book.cut_asks().empty()) entry.depth.fill_asks(entry.book);
    if (!entry.windowed) events_.emit_state(entry, StateReason::DepthChanged);
  }
  if (entry.windowed && entry.window.follow(entry.book)) [[unlikely]] {
    events_.emit_state(entry, StateReason::DepthChanged);
  }
  events_.emit_top_when_due(entry);
  if (reached == 0) events_.emit_bbo_if_changed(entry);
  events_.emit_table(entry, reached >= options_.table_levels);
  if (beside == RestAudit::Verdict::Equal) widen(entry);
  return true;
}

void BookSync::cut_to_window(const SymbolEntry& entry, OrderBook& book, std::size_t levels) noexcept {
  if (levels != 0 && entry.rule->window == core::Window::Cut) book.cut_to_window(levels);
}

// The known part of a side got short. False: it does not hold what the segment publishes, and the book is
// STALE.
bool BookSync::depth_suffices(SymbolEntry& entry) noexcept {
  if (!entry.depth.exhausted(entry.book)) {
    // A snapshot beside the LIVE book can be had over REST alone.
    if (entry.rule->snapshot_source == core::SnapshotSource::Rest) {
      note_depth_need(entry, std::max(entry.depth_need, entry.depth.need(entry.book)));
    }
    return true;
  }
  counters_.depth_exhausted.add();
  go_stale(entry, StateReason::DepthExhausted);
  return false;
}

void BookSync::note_depth_need(SymbolEntry& entry, DepthNeed need) noexcept {
  if (entry.depth_need == need) return;
  entry.depth_need = need;
  listener_.on_depth_need(entry.symbol, need);
}

// ---- ids that begin anew ---------------------------------------------------------------------------------

// What tells that ids have begun anew, the strongest first: the venue says so (kReset, a snapshot of a
// smaller id, a restart_id); the chain says that it is no new sequence (the delta names the one before, so
// the book follows it to a smaller id); the times and distances of id_order.hpp.
bool BookSync::in_sequence(SymbolEntry& entry, EntryLine& line, const MessageHeader& update) noexcept {
  if (!entry.rule->numbered()) return true;
  const std::uint64_t id = update.last_update_id;
  const bool had_ended = line.order.ended();
  const bool whole = update.update_type == core::UpdateType::Snapshot || entry.rule->restarts(update);
  if (whole && entry.rule->snapshot_source != core::SnapshotSource::EveryFrame) {
    // In the stream: deltas count from here, and the book with them.
    const bool back = line.order.used() && id < line.order.reached();
    line.order.begin(id, update.exch_ts_ns);
    if (back && !had_ended) step_back(entry, line);
    return true;
  }
  if ((update.flags & core::kReset) != 0) {
    line.order.begin(id, update.exch_ts_ns);
  } else if (entry.rule->continuity == core::Continuity::PrevIsLast && id < update.prev_update_id &&
             update.prev_update_id == line.order.reached()) {
    line.order.begin(id, update.exch_ts_ns);
    if (entry.state == BookState::Live && entry.last_id == update.prev_update_id) {
      if (!had_ended) step_back(entry, line);
      return true;
    }
    // The book is not where the line is: behind a hole, or not LIVE. Nothing tells its ids from the new ones
    // then.
  } else {
    switch (line.order.back(entry.rule->first_new_id(update), id, update.exch_ts_ns)) {
      case IdOrder::Step::Ended:
        line.proven = false;
        counters_.duplicates.add();
        return false;
      case IdOrder::Step::Anew:
        break;
      default:
        return true;
    }
  }
  if (!had_ended) begin_anew(entry, line, update);  // else another line was there before
  return true;
}

// The venue itself goes on from a smaller id, and the book with it: what is known by larger ids is of the
// past.
void BookSync::step_back(SymbolEntry& entry, EntryLine& first) noexcept {
  end_others(entry.lines, first.order);
  for (EntryLine& line : entry.lines) line.proven = line.proven && !line.order.ended();
  entry.ended = EndedSequence(first.order.ended_at());
  entry.copies = {};
  if (entry.audit != nullptr) entry.audit->forget_books();
  if (entry.rest_audit != nullptr) drop_rest_audit(entry);
}

// The update is the first of a sequence that has nothing to do with the book or with what is buffered. It
// begins the next sync.
void BookSync::begin_anew(SymbolEntry& entry, EntryLine& first, const MessageHeader& delta) noexcept {
  end_others(entry.lines, first.order);
  for (EntryLine& line : entry.lines) line.proven = line.proven && !line.order.ended();
  entry.last_header = delta;
  leave_sequence(entry, first.order.ended_at());
}

void BookSync::leave_sequence(SymbolEntry& entry, std::uint64_t ended_at) noexcept {
  entry.ended = EndedSequence(ended_at);
  entry.anew = true;
  if (entry.state != BookState::Stale) go_stale(entry, StateReason::SequenceReset);
}

// The LIVE book is a snapshot, which is ahead of the updates, as it may be for a moment. Where they do not
// get there it is of another sequence, and would be frozen for ever.
void BookSync::on_update_below(SymbolEntry& entry, const BookUpdate& delta) noexcept {
  const bool far = IdOrder::far_below(delta.header->last_update_id, entry.last_id);
  const StreamWatch::Finding found =
      entry.watch.on_update_below(entry.last_id, delta.header->recv_ts_ns, delta.header->exch_ts_ns);
  if (!far && found != StreamWatch::Finding::Silent) return;
  leave_sequence(entry, entry.last_id);
  handle(entry, Input::Delta, delta);
}

void BookSync::on_quotes_anew(SymbolEntry& entry, std::uint64_t ended_at) noexcept {
  entry.quotes_ended = EndedSequence(ended_at);
  if (entry.audit != nullptr) entry.audit->forget_quotes();
}

// ---- several lines ---------------------------------------------------------------------------------------

LineStatus& BookSync::line(core::LineId line) {
  if (line >= lines_.size()) lines_.resize(line + std::size_t{1});
  return lines_[line];
}

void BookSync::on_line_down(SymbolEntry& entry, EntryLine& lost, const MessageHeader& cause) noexcept {
  lost.proven = lost.unreadable = false;
  lost.chunks.active = false;  // the rest of a chunked update will not come
  const bool covered = other_line_covers(entry, cause);
  if (entry.lines_up != 0) {
    lost.order = {};
    resume_if_all_ended(entry.lines);
  } else {  // whichever comes up next shows whether the ids have begun anew meanwhile
    lost.order.reopen();
    for (EntryLine& line : entry.lines) line.order = lost.order;
  }
  if (entry.silent && entry.lines_up != 0) return;  // made anew for that: the reason it is STALE stays
  if (!covered) {
    handle(entry, Input::LineDown, {&cause, {}, {}});
  } else if (entry.state == BookState::Live && !hole_may_be_filled(entry)) {
    entry.last_header = cause;
    gap(entry);
  }
}

// Whether whatever happens to the symbol from now on comes on this line.
bool BookSync::covers(const EntryLine& line, std::int64_t now_ns) const noexcept {
  const LineStatus& status = lines_[line.id];
  return status.up && !line.rejected && !line.unreadable && !line.order.ended() &&
         (line.proven || now_ns - status.up_since_ns >= options_.line_settle_ns);
}

bool BookSync::other_line_covers(const SymbolEntry& entry, const MessageHeader& cause) const noexcept {
  return std::any_of(entry.lines.begin(), entry.lines.end(), [&](const EntryLine& line) {
    return line.id != cause.line_id && covers(line, cause.recv_ts_ns);
  });
}

// Whether a line is up that has not shown yet that it goes on behind the hole. Each line brings its updates
// in order, so one that has a delta waiting can't bring what is before it any more.
bool BookSync::hole_may_be_filled(const SymbolEntry& entry) const noexcept {
  const std::span<const DeltaBuffer::Delta> waiting = entry.buffer.deltas();
  if (waiting.empty()) return true;
  return std::any_of(entry.lines.begin(), entry.lines.end(), [&](const EntryLine& line) {
    return lines_[line.id].up && !line.rejected && !line.order.ended() &&
           std::none_of(waiting.begin(), waiting.end(), [&](const DeltaBuffer::Delta& delta) {
             return delta.header.line_id == line.id && check(entry, delta.header) == SequenceVerdict::Gap;
           });
  });
}

void BookSync::wait_behind_hole(SymbolEntry& entry, const BookUpdate& delta) noexcept {
  entry.buffer.push(*delta.header, delta.bids, delta.asks);
  const std::int64_t oldest_ns = entry.buffer.deltas().front().header.recv_ts_ns;
  if (entry.lines_up < 2 || !hole_may_be_filled(entry) ||
      entry.buffer.delta_count() > options_.max_deltas_behind_hole ||
      delta.header->recv_ts_ns - oldest_ns > options_.max_hole_ns) {
    return gap(entry);
  }
  counters_.holes.add();
}

// The hole before what waits was filled, or a part of it. Not the usual path.
void BookSync::apply_waiting(SymbolEntry& entry) noexcept {
  entry.buffer.sort();
  bool more = false;
  for (std::size_t i = 0; i < entry.buffer.delta_count(); ++i) {
    const DeltaBuffer::Delta& delta = entry.buffer.deltas()[i];
    const SequenceVerdict verdict = check(entry, delta.header);
    if (verdict == SequenceVerdict::Old) {
      counters_.duplicates.add();
    } else if (verdict == SequenceVerdict::Apply) {
      entry.last_header = delta.header;
      if (!apply_next(entry, {&delta.header, entry.buffer.bids(delta), entry.buffer.asks(delta)})) return;
    } else {
      more = true;
    }
  }
  if (!more) return entry.buffer.clear();
  entry.buffer.erase_until(
      [&](const MessageHeader& header) { return check(entry, header) == SequenceVerdict::Gap; });
  if (!hole_may_be_filled(entry)) gap(entry);
}

// Something is missing and no line will bring it. What waits behind the hole begins the next sync.
void BookSync::gap(SymbolEntry& entry) noexcept {
  counters_.gaps.add();
  counters_.resyncs.add();
  entry.joined = false;
  if (entry.audit != nullptr) entry.audit->forget_books();
  enter(entry, BookState::Stale, StateReason::Gap);
  enter(entry, BookState::Syncing, StateReason::Subscribed);
  listener_.on_snapshot_wanted(entry.symbol, StateReason::Subscribed);
}

// A delta of one of several lines that are up: the first copy, or a late one.
void BookSync::count_copy(SymbolEntry& entry, const MessageHeader& delta, bool first) noexcept {
  if (LineCounters* counters = lines_[delta.line_id].counters) {
    core::Counter& counter = first ? counters->wins : counters->late;
    counter.add();
  }
  entry.copies.catch_up(delta, [&](const FirstCopies::Copy& copy) {
    if (LineCounters* counters = lines_[copy.line].counters)
      counters->lead.record(delta.recv_ts_ns - copy.recv_ts_ns);
  });
  if (first) entry.copies.note(delta);
}

// Builds the new book beside the old one: snapshot, then every buffered delta that follows it.
void BookSync::join(SymbolEntry& entry, const BookUpdate& snapshot) noexcept {
  // First whether they join at all: the numbers say so without building anything. Lines bring copies of one
  // sequence, each in order, not all in one.
  if (entry.lines_up > 1 && entry.rule->numbered()) entry.buffer.sort();
  const bool rest = entry.rule->snapshot_source == core::SnapshotSource::Rest &&
                    snapshot.header->update_type == core::UpdateType::Snapshot;
  // What a line brought before its own snapshot is in that.
  if (!rest) entry.buffer.erase_of(snapshot.header->line_id);
  std::span<const DeltaBuffer::Delta> deltas = entry.buffer.deltas();
  std::uint64_t last_id = snapshot.header->last_update_id;
  const std::uint64_t reached = entry.reached();
  if (rest && (entry.ended.has(last_id, reached) || (reached != 0 && IdOrder::far_below(reached, last_id)))) {
    // Of a sequence that has ended: older than what is buffered, whatever its number.
    counters_.snapshots_too_old.add();
    return listener_.on_snapshot_wanted(entry.symbol, StateReason::SnapshotTooOld);
  }
  std::size_t first_applied = deltas.size();
  for (std::size_t i = 0; i < deltas.size(); ++i) {
    const MessageHeader& header = deltas[i].header;
    const bool joined = first_applied != deltas.size();
    const SequenceVerdict verdict =
        joined ? entry.rule->check_next(last_id, header) : entry.rule->check_first(last_id, header);
    if (verdict == SequenceVerdict::Old || verdict == SequenceVerdict::KeepAlive) continue;
    if (verdict == SequenceVerdict::Apply) {
      if (!joined) first_applied = i;
      last_id = header.last_update_id;
      continue;
    }
    if (!rest) {
      // Another line is ahead. This one brings what is missing, for it goes on behind its snapshot.
      deltas = deltas.first(i);
      if (!joined) first_applied = i;
      break;
    }
    if (!joined) {  // older than what is buffered
      counters_.snapshots_too_old.add();
      return listener_.on_snapshot_wanted(entry.symbol, StateReason::SnapshotTooOld);
    }
    // A hole among the buffered deltas themselves. They stay: a snapshot from behind the hole joins those
    // behind it.
    counters_.gaps.add();
    enter(entry, BookState::Stale, StateReason::Gap);
    enter(entry, BookState::Syncing, StateReason::Gap);
    return listener_.on_snapshot_wanted(entry.symbol, StateReason::Gap);
  }

  OrderBook& next = entry.next;
  const bool windowed = entry.rule->windowed();
  // A restart in the form of a delta does not say it: as many as before.
  const std::size_t window = snapshot.header->update_type == core::UpdateType::Snapshot
                                 ? snapshot.header->depth_limit
                                 : entry.window.levels();
  next.apply_snapshot(snapshot.bids, snapshot.asks, windowed ? 0 : snapshot.header->depth_limit);
  cut_to_window(entry, next, window);
  std::uint64_t applied_id = snapshot.header->last_update_id;
  std::uint64_t applied = 0;
  if (refuted(entry, *snapshot.header, next)) return next.clear();
  for (std::size_t i = first_applied; i < deltas.size(); ++i) {
    const DeltaBuffer::Delta& delta = deltas[i];
    if (i != first_applied && entry.rule->check_next(applied_id, delta.header) != SequenceVerdict::Apply)
      continue;
    next.apply_update(entry.buffer.bids(delta), entry.buffer.asks(delta));
    cut_to_window(entry, next, window);
    ++applied;
    applied_id = delta.header.last_update_id;
    entry.last_header = delta.header;
    if (!entry.depth.exhausted(next) && refuted(entry, delta.header, next)) return next.clear();
  }
  if (entry.depth.exhausted(next)) {  // the deltas since have eaten into what it holds
    counters_.depth_exhausted.add();
    next.clear();
    if (!rest) return go_stale(entry, StateReason::DepthExhausted);
    return listener_.on_snapshot_wanted(entry.symbol, StateReason::DepthExhausted);
  }
  counters_.snapshots_applied.add();
  counters_.updates_joined.add(applied);
  entry.joined = first_applied != deltas.size();
  entry.last_id = applied_id;
  if (windowed) entry.window.begin(window, next);
  install(entry, snapshot);
}

void BookSync::stale_snapshot(SymbolEntry& entry, const BookUpdate& snapshot) noexcept {
  if (entry.rule->snapshot_source == core::SnapshotSource::Rest) return counters_.snapshots_unused.add();
  join(entry, snapshot);
}

// What an audit waits for, a late answer to an old request, or an in-stream venue that starts anew.
void BookSync::live_snapshot(SymbolEntry& entry, const BookUpdate& snapshot) noexcept {
  if (entry.rest_audit != nullptr) {
    entry.rest_audit->on_snapshot(*snapshot.header, snapshot.bids, snapshot.asks, entry.next);
    if (rest_audit(entry) == RestAudit::Verdict::Equal) widen(entry);
    if (entry.rest_audit != nullptr)
      entry.watch.on_snapshot_ahead(entry.last_id, snapshot.header->recv_ts_ns);
    return;
  }
  if (entry.rule->snapshot_source == core::SnapshotSource::EveryFrame) return next_frame(entry, snapshot);
  if (is_copy(entry, *snapshot.header)) return counters_.duplicates.add();
  if (entry.rule->snapshot_source == core::SnapshotSource::Rest && !entry.rule->restarts(*snapshot.header)) {
    return counters_.snapshots_unused.add();
  }
  join(entry, snapshot);
}

// Whether the snapshot of a line is of what is applied already, for another line has brought it. One of a
// smaller id than the line itself has brought is none: the other lines have ended then.
bool BookSync::is_copy(const SymbolEntry& entry, const MessageHeader& snapshot) const noexcept {
  if (entry.lines_up < 2 || (snapshot.flags & core::kReset) != 0 || snapshot.last_update_id > entry.last_id) {
    return false;
  }
  return std::any_of(entry.lines.begin(), entry.lines.end(), [&](const EntryLine& line) {
    return line.id != snapshot.line_id && !line.order.ended() &&
           line.order.reached() >= snapshot.last_update_id;
  });
}

// The whole book once more, and the book stays LIVE.
void BookSync::next_frame(SymbolEntry& entry, const BookUpdate& frame) noexcept {
  const std::uint64_t id = frame.header->last_update_id;
  if (entry.rule->numbered() && id <= entry.last_id) {
    if (id < entry.last_id) return counters_.duplicates.add();
    return keep_alive(entry);
  }
  entry.next.apply_snapshot(frame.bids, frame.asks);
  if (refuted(entry, *frame.header, entry.next)) return entry.next.clear();
  std::swap(entry.book, entry.next);
  entry.next.clear();  // its blocks serve other books meanwhile
  entry.last_id = id;
  entry.book.set_update_id(id);
  counters_.updates.add();
  events_.emit_book(entry);
  if (entry.window.follow(entry.book)) events_.emit_state(entry, StateReason::DepthChanged);
  events_.emit_bbo_if_changed(entry);
  events_.emit_whole_table(entry);
}

void BookSync::want_another(SymbolEntry& entry, const BookUpdate&) noexcept {
  listener_.on_snapshot_wanted(entry.symbol, StateReason::SnapshotFailed);
}

// A part of an answer nobody waits for says nothing about the book; a part of the stream does.
void BookSync::live_broken_snapshot(SymbolEntry& entry, const BookUpdate& snapshot) noexcept {
  if (entry.rest_audit != nullptr) return drop_rest_audit(entry);
  if (entry.rule->snapshot_source != core::SnapshotSource::Rest) distrust(entry, snapshot);
}

void BookSync::distrust(SymbolEntry& entry, const BookUpdate& cause) noexcept {
  if (cause.header->update_type ==
      core::UpdateType::Invalidate) {  // in place of the chunks that are still out
    entry.rest_chunks.active = false;
  }
  const auto reason = static_cast<StateReason>(cause.header->reason);
  if (entry.state == BookState::Stale && entry.reason == reason) return;
  go_stale(entry, reason);
}

void BookSync::remove(SymbolEntry& entry, const BookUpdate&) noexcept {
  enter(entry, BookState::Stale, StateReason::Unsubscribed);
}

// ---- state -----------------------------------------------------------------------------------------------

void BookSync::start(SymbolEntry& entry) noexcept {
  for (const EntryLine& ridden : entry.lines) entry.lines_up += line(ridden.id).up ? 1 : 0;
  enter(entry, BookState::Stale, StateReason::Starting);
}

void BookSync::enter(SymbolEntry& entry, BookState state, StateReason reason) noexcept {
  if (entry.rest_audit != nullptr && state != BookState::Live) drop_rest_audit(entry);
  entry.state = state;
  entry.reason = reason;
  if (state != BookState::Live) note_depth_need(entry, DepthNeed::None);
  events_.emit_state(entry);
  listener_.on_book_state(entry.symbol, state, reason, entry.book.update_id());
}

void BookSync::go_stale(SymbolEntry& entry, StateReason reason) noexcept {
  if (entry.state == BookState::Live) counters_.resyncs.add();
  entry.buffer.clear();
  entry.joined = false;
  if (entry.audit != nullptr) entry.audit->forget_books();
  enter(entry, BookState::Stale, reason);
  if (entry.rule->snapshot_source == core::SnapshotSource::Stream && snapshot_would_help(entry)) {
    begin_syncing(entry, reason);
  }
}

void BookSync::begin_syncing(SymbolEntry& entry, StateReason reason) noexcept {
  entry.buffer.clear();
  enter(entry, BookState::Syncing, reason);
  listener_.on_snapshot_wanted(entry.symbol, reason);
}

// The book in `next` is right: it replaces the old one, readers get it whole, then hear that it is LIVE.
void BookSync::install(SymbolEntry& entry, const BookUpdate& snapshot) noexcept {
  std::swap(entry.book, entry.next);
  entry.next.clear();  // its blocks serve other books meanwhile
  entry.book.set_update_id(entry.last_id);
  entry.depth.fill(entry.book);
  entry.disputed = false;
  entry.buffer.clear();
  entry.last_header.first_update_id = snapshot.header->last_update_id;
  entry.last_header.last_update_id = entry.last_id;
  // The buffered deltas waited for the snapshot: what is published now began with its arrival.
  entry.last_header.recv_ts_ns = std::max(entry.last_header.recv_ts_ns, snapshot.header->recv_ts_ns);
  entry.watch.on_new_book(entry.last_header.recv_ts_ns);
  events_.emit_book(entry);
  entry.next_top_ns = entry.last_header.recv_ts_ns + options_.snapshot_interval_ns;
  events_.emit_bbo_if_changed(entry);
  events_.emit_whole_table(entry);
  enter(entry, BookState::Live, StateReason::Synced);
  // Numbers tell a snapshot of before the ids began anew from one of after only roughly. Another one makes it
  // sure.
  if (entry.anew) suspect(entry);
  entry.anew = false;
}

}  // namespace mdp::book
