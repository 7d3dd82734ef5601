#include "mdp/book/order_book_manager.hpp"

#include <algorithm>

#include "mdp/book/delta_buffer.hpp"

namespace mdp::book {

using core::MessageHeader;
using core::NormalizedMessage;
using core::SequenceVerdict;
using core::UpdateType;
using shm::EventType;

namespace {

constexpr std::size_t kPoolChunkBlocks = (std::size_t{2} << 20) / sizeof(LevelBlock);  // a huge page

// Where ids skip, because the venue shares them among its symbols, an update covers all from its predecessor on:
// whoever reads the events can then check every venue's in one way.
std::uint64_t first_covered(const core::SyncRule& rule, const MessageHeader& header) noexcept {
  const bool linked = rule.continuity == core::Continuity::PrevEqualsLast && header.prev_update_id != 0;
  return linked ? header.prev_update_id + 1 : header.first_update_id;
}

// An update of which not every chunk is there yet. Deltas and snapshots have one each: a snapshot comes from
// the REST thread's queue, and deltas of the line are handled between its chunks.
struct Assembly {
  MessageHeader header{};
  std::vector<PriceLevel> bids;
  std::vector<PriceLevel> asks;
  std::uint16_t next_chunk = 0;
  bool active = false;
  bool skipping = false;  // a chunk of header.last_update_id was missing: the rest of it is of no use
};

}  // namespace

// One of the lines a symbol rides.
struct OrderBookManager::EntryLine {
  core::LineId id;
  bool proven = false;    // brought an update of this symbol since it is up
  bool rejected = false;  // the venue refuses the symbol's book on it
  bool silent = false;    // the venue sends quotes of the symbol, and no update, on this connection
  Assembly chunks;        // of what the line brings, which is one update after the other

  bool brings() const noexcept { return !rejected && !silent; }
};

struct OrderBookManager::Entry {
  core::SymbolId symbol;
  core::ExchangeId exchange;
  const core::SyncRule* rule;
  BookState state = BookState::Stale;
  StateReason reason = StateReason::None;
  bool joined = false;           // a delta followed the snapshot: from now on check_next() holds
  std::uint64_t last_id = 0;     // applied so far; the snapshot's id until joined
  std::int64_t next_top_ns = 0;  // when the next snapshot of the top is due
  MessageHeader last_header{};   // of the message being handled: ids and times of what is emitted
  Bbo published_bbo;
  std::size_t lines_up = 0;
  std::vector<EntryLine> lines;
  std::unique_ptr<QuoteAudit> audit;  // made at the first quote that has an id
  OrderBook book;
  OrderBook next;      // built while SYNCING, becomes `book` when it is right
  DeltaBuffer buffer;  // SYNCING: deltas that wait for the snapshot; LIVE: those behind a hole
  Assembly rest_chunks;
  FirstCopies copies;
  SeenIds trades;
  SeenIds aggregates;
  MessageHeader last_quote{};
  Bbo last_quote_bbo;
  std::int64_t behind_ns = 0;  // how long quotes have been ahead of the LIVE book without an update
  std::int64_t last_mark_ts_ns = 0;
  MessageHeader last_liquidation{};
  shm::LiquidationBody last_liquidation_body{};

  // Starts to fetch what every delta needs, all lines at once: with many books none of them is near.
  void prefetch() const noexcept {
    const char* const end = reinterpret_cast<const char*>(&next);
    for (auto* at = reinterpret_cast<const char*>(this); at < end; at += shm::kCacheLineSize) {
      __builtin_prefetch(at);
    }
  }

  Entry(core::SymbolId symbol_, core::ExchangeId exchange_, std::span<const core::LineId> line_ids,
        const core::SyncRule& rule_, const BookOptions& options, BlockPool& pool)
      : symbol(symbol_),
        exchange(exchange_),
        rule(&rule_),
        book(options.depth_cap, &pool),
        next(options.depth_cap, &pool) {
    book.reserve(options.reserve_levels);
    next.reserve(options.reserve_levels);
    for (const core::LineId id : line_ids) lines.push_back({id, false, false, false, {}});
  }

  EntryLine* line(core::LineId id) noexcept {
    for (EntryLine& line : lines) {
      if (line.id == id) return &line;
    }
    return nullptr;
  }
};

// "rest" and "stream" say where the venue's rule gets snapshots from. A message for a symbol without a book is
// counted as unroutable.
//
//                 STALE                          SYNCING                            LIVE
// Delta           rest: SYNCING, buffered,       buffered; buffer full: STALE,      Old: dropped; follows: applied;
//                 snapshot wanted; stream:       SYNCING anew                       Gap: waits for another line, or
//                 dropped                                                           STALE, then as if STALE;
//                                                                                   crossed, audit differs: STALE
// Snapshot        rest: unused; stream: LIVE     joined: LIVE; older than the       rest: unused; stream: LIVE
//                                                buffer or a hole in it: another    with the new book
//                                                one wanted; crossed: STALE
// BrokenSnapshot  -                              another one wanted                 rest: -; stream: STALE (Gap)
// Distrust        reason changes                 STALE                              STALE
// LineDown        reason changes                 STALE                              STALE
//                 (only when no other line covers the symbol; the same for Distrust of what one line brought)
// SyncRequest     line up that brings it, rest:  -                                  -
//                 SYNCING, snapshot wanted
// Remove          STALE, no book                 STALE, no book                     STALE, no book
//
// Distrust is a parser's Invalidate, a broken delta, or request_resync() of control, which goes on with a
// SyncRequest.
const OrderBookManager::Action OrderBookManager::kTransitions[kStates][kInputs] = {
    // STALE
    {&OrderBookManager::start_buffering, &OrderBookManager::stale_snapshot, &OrderBookManager::ignore,
     &OrderBookManager::distrust, &OrderBookManager::distrust, &OrderBookManager::start_empty,
     &OrderBookManager::remove},
    // SYNCING
    {&OrderBookManager::buffer, &OrderBookManager::join, &OrderBookManager::want_another,
     &OrderBookManager::distrust, &OrderBookManager::distrust, &OrderBookManager::ignore,
     &OrderBookManager::remove},
    // LIVE
    {&OrderBookManager::apply_live, &OrderBookManager::live_snapshot, &OrderBookManager::live_broken_snapshot,
     &OrderBookManager::distrust, &OrderBookManager::distrust, &OrderBookManager::ignore,
     &OrderBookManager::remove},
};

OrderBookManager::OrderBookManager(core::EventSink& events, BookListener& listener,
                                   const BookOptions& options)
    : events_(events), listener_(listener), options_(options), pool_(options.memory, kPoolChunkBlocks) {
  options_.table_levels = std::min(options_.table_levels, shm::kMaxEventLevels / 2);
}
OrderBookManager::~OrderBookManager() = default;

void OrderBookManager::add_symbol(core::SymbolId symbol, core::ExchangeId exchange,
                                  std::span<const core::LineId> lines, const core::SyncRule& rule) {
  if (route(symbol) != nullptr) return;
  auto entry = std::make_unique<Entry>(symbol, exchange, lines, rule, options_, pool_);
  for (const core::LineId line : lines) entry->lines_up += line_status(line).up ? 1 : 0;
  if (symbol >= routes_.size()) routes_.resize(symbol + std::size_t{1}, nullptr);
  routes_[symbol] = entry.get();
  Entry& added = *entry;
  books_.emplace(symbol, std::move(entry));
  begin_event(added, EventType::Instrument, shm::kFlagFirst | shm::kFlagLast);
  events_.commit();
  emit_state(added, BookState::Stale, StateReason::Starting);
}

void OrderBookManager::remove_symbol(core::SymbolId symbol) noexcept {
  Entry* entry = route(symbol);
  if (entry == nullptr) return;
  dispatch(*entry, Input::Remove, {nullptr, {}, {}});
  routes_[symbol] = nullptr;
  books_.erase(symbol);
}

const OrderBook* OrderBookManager::book(core::SymbolId symbol) const noexcept {
  return symbol < routes_.size() && routes_[symbol] ? &routes_[symbol]->book : nullptr;
}

BookState OrderBookManager::state(core::SymbolId symbol) const noexcept {
  return symbol < routes_.size() && routes_[symbol] ? routes_[symbol]->state : BookState::Stale;
}

// ---- input -----------------------------------------------------------------------------------------------

void OrderBookManager::on_message(const NormalizedMessage& message) noexcept {
  const MessageHeader& header = message.header;
  if (header.update_type == UpdateType::Line) return on_line(header);
  Entry* const entry = route(header.symbol_id);
  if (entry == nullptr) return counters_.unroutable.add();
  entry->prefetch();
  switch (header.update_type) {
    case UpdateType::Delta:
    case UpdateType::Snapshot:
      return on_book_chunk(*entry, message);
    case UpdateType::Trade:
      return on_trade(*entry, message);
    case UpdateType::Quote:
      return on_quote(*entry, message);
    case UpdateType::MarkPrice:
      return on_mark_price(*entry, message);
    case UpdateType::Liquidation:
      return on_liquidation(*entry, message);
    case UpdateType::Invalidate:
      if (EntryLine* line = entry->line(header.line_id)) {
        line->chunks.active = false;
        if (static_cast<StateReason>(header.reason) == StateReason::Rejected) line->rejected = true;
      }
      if (other_line_covers(*entry, header)) return;  // it brings what could not be read here
      return dispatch(*entry, Input::Distrust, {&header, {}, {}});
    case UpdateType::Line:
      return;
  }
}

// A whole update goes on as it is; a chunk waits for the rest. No part of an update is ever applied.
void OrderBookManager::on_book_chunk(Entry& entry, const NormalizedMessage& chunk) noexcept {
  const MessageHeader& header = chunk.header;
  const bool delta = header.update_type == UpdateType::Delta;
  const Input input = delta ? Input::Delta : Input::Snapshot;
  const bool rides_line = delta || entry.rule->snapshot_source == core::SnapshotSource::Stream;
  EntryLine* const line = rides_line ? entry.line(header.line_id) : nullptr;
  if (rides_line && line == nullptr) return counters_.unroutable.add();
  if (line != nullptr) {
    line->proven = true;
    line->rejected = line->silent = false;
  }
  Assembly& assembly = line != nullptr ? line->chunks : entry.rest_chunks;
  const std::span bids(chunk.bids(), header.bid_count);
  const std::span asks(chunk.asks(), header.ask_count);
  if (chunk.has(core::kFirst)) {
    assembly.skipping = false;
    if (assembly.active) {  // the end of the one before never came
      assembly.active = false;
      on_broken(entry, assembly.header);
    }
    if (chunk.has(core::kLast)) return dispatch(entry, input, {&header, bids, asks});
    assembly.active = true;
    assembly.next_chunk = 0;
    assembly.header = header;
    assembly.bids.clear();
    assembly.asks.clear();
  }
  const bool same = header.last_update_id == assembly.header.last_update_id;
  if (assembly.skipping && same) return;
  if (!assembly.active || !same || header.chunk != assembly.next_chunk) {
    assembly.active = false;
    assembly.skipping = true;
    assembly.header = header;
    return on_broken(entry, header);
  }
  ++assembly.next_chunk;
  assembly.bids.insert(assembly.bids.end(), bids.begin(), bids.end());
  assembly.asks.insert(assembly.asks.end(), asks.begin(), asks.end());
  if (!chunk.has(core::kLast)) return;
  assembly.active = false;
  dispatch(entry, input, {&assembly.header, assembly.bids, assembly.asks});
}

// A chunk is missing: something between the parser and here was lost.
void OrderBookManager::on_broken(Entry& entry, const MessageHeader& chunk) noexcept {
  counters_.lost_chunks.add();
  MessageHeader cause = chunk;
  cause.reason = static_cast<std::uint8_t>(StateReason::Gap);
  const bool delta = chunk.update_type == UpdateType::Delta;
  if (delta && other_line_covers(entry, chunk)) return;  // it brings the whole of it
  dispatch(entry, delta ? Input::Distrust : Input::BrokenSnapshot, {&cause, {}, {}});
}

void OrderBookManager::on_line(const MessageHeader& line) noexcept {
  shm::EventHeader& event = events_.slot().header;
  event = {};
  event.type = EventType::ConnectionStatus;
  event.flags = shm::kFlagFirst | shm::kFlagLast;
  event.exchange_id = line.exchange_id;
  event.symbol_id = shm::kNoSymbol;
  event.bid_count = line.reason;
  event.ask_count = line.line_id;
  event.recv_ts_ns = line.recv_ts_ns;
  events_.commit();
  LineStatus& status = line_status(line.line_id);
  const bool up = static_cast<shm::LineState>(line.reason) == shm::LineState::Up;
  const bool was_up = status.up;
  status.up = up;
  status.up_since_ns = line.recv_ts_ns;
  MessageHeader cause = line;
  cause.reason = static_cast<std::uint8_t>(StateReason::Disconnected);
  for (Entry* entry : routes_) {  // by symbol: the same order every time
    EntryLine* const lost = entry != nullptr ? entry->line(line.line_id) : nullptr;
    if (lost == nullptr) continue;
    if (up && !was_up) ++entry->lines_up;
    if (!up && was_up) --entry->lines_up;
    if (up) continue;
    lost->proven = lost->silent = false;
    lost->chunks.active = false;  // the rest of a chunked update will not come
    if (!other_line_covers(*entry, line)) {
      dispatch(*entry, Input::LineDown, {&cause, {}, {}});
    } else if (entry->state == BookState::Live && !hole_may_be_filled(*entry)) {
      entry->last_header = cause;
      gap(*entry);
    }
  }
}

void OrderBookManager::dispatch(Entry& entry, Input input, const Update& update) noexcept {
  // A request of control has no message behind it, and so no receive time to measure a latency from.
  entry.last_header = update.header != nullptr ? *update.header : MessageHeader{};
  (this->*kTransitions[static_cast<std::size_t>(entry.state)][static_cast<std::size_t>(input)])(entry,
                                                                                                update);
}

void OrderBookManager::request_resync(core::SymbolId symbol) noexcept {
  Entry* entry = route(symbol);
  if (entry == nullptr) return;
  MessageHeader cause{};
  cause.reason = static_cast<std::uint8_t>(StateReason::Requested);
  dispatch(*entry, Input::Distrust, {&cause, {}, {}});
  dispatch(*entry, Input::SyncRequest, {nullptr, {}, {}});
}

void OrderBookManager::begin_sync(core::SymbolId symbol) noexcept {
  if (Entry* entry = route(symbol)) dispatch(*entry, Input::SyncRequest, {nullptr, {}, {}});
}

// ---- actions of the table --------------------------------------------------------------------------------

void OrderBookManager::ignore(Entry&, const Update&) noexcept {}

// Only now is a snapshot asked for: one that is older than the first delta could not be joined.
void OrderBookManager::start_buffering(Entry& entry, const Update& delta) noexcept {
  if (entry.rule->snapshot_source == core::SnapshotSource::Rest) {
    begin_syncing(entry, StateReason::Subscribed);
    buffer(entry, delta);
  }
}

void OrderBookManager::start_empty(Entry& entry, const Update&) noexcept {
  // A line that does not bring the symbol brings nothing to follow a snapshot.
  const bool carried = std::any_of(entry.lines.begin(), entry.lines.end(), [this](const EntryLine& line) {
    return lines_[line.id].up && line.brings();
  });
  if (carried && entry.rule->snapshot_source == core::SnapshotSource::Rest) {
    begin_syncing(entry, StateReason::Subscribed);
  }
}

void OrderBookManager::buffer(Entry& entry, const Update& delta) noexcept {
  // Sequence numbers start anew: what is buffered belongs to another sequence.
  if ((delta.header->flags & core::kReset) != 0) entry.buffer.clear();
  const std::size_t levels = entry.buffer.level_count() + delta.bids.size() + delta.asks.size();
  if (entry.buffer.delta_count() == options_.max_buffered_deltas || levels > options_.max_buffered_levels) {
    counters_.buffer_overflows.add();
    go_stale(entry, StateReason::BufferOverflow);
    begin_syncing(entry, StateReason::BufferOverflow);
  }
  entry.buffer.push(*delta.header, delta.bids, delta.asks);
}

SequenceVerdict OrderBookManager::check(const Entry& entry, const MessageHeader& delta) const noexcept {
  return entry.joined ? entry.rule->check_next(entry.last_id, delta)
                      : entry.rule->check_first(entry.last_id, delta);
}

void OrderBookManager::apply_live(Entry& entry, const Update& delta) noexcept {
  entry.book.prefetch_top();
  // Sequence numbers start anew: nothing says that this one follows.
  if ((delta.header->flags & core::kReset) != 0) {
    counters_.gaps.add();
    go_stale(entry, StateReason::Gap);
    return dispatch(entry, Input::Delta, delta);  // the first of the next sync
  }
  switch (check(entry, *delta.header)) {
    case SequenceVerdict::Old:
      counters_.duplicates.add();
      if (entry.lines_up > 1) count_copy(entry, *delta.header, false);
      return;
    case SequenceVerdict::Gap:
      return wait_behind_hole(entry, delta);
    case SequenceVerdict::Apply:
      if (apply_next(entry, delta) && entry.buffer.delta_count() != 0) apply_waiting(entry);
  }
}

// False: the book is not LIVE any more.
bool OrderBookManager::apply_next(Entry& entry, const Update& delta) noexcept {
  const std::size_t reached = entry.book.apply_update(delta.bids, delta.asks, options_.table_levels);
  entry.joined = true;
  entry.behind_ns = 0;
  entry.last_id = delta.header->last_update_id;
  entry.book.set_update_id(entry.last_id);
  if (entry.rule->crossed == core::CrossedPolicy::Resync && entry.book.crossed()) {
    counters_.crossed.add();
    go_stale(entry, StateReason::Crossed);
    return false;
  }
  if (entry.audit != nullptr) {
    const QuoteAudit::Result result = entry.audit->on_book(entry.last_id, entry.book.bbo());
    if (result.verdict != QuoteAudit::Verdict::Unknown) audit(entry, result, entry.last_id);
    if (entry.state != BookState::Live) return false;
  }
  counters_.updates.add();
  if (entry.lines_up > 1) count_copy(entry, *delta.header, true);
  emit_delta(entry, delta);
  emit_top_when_due(entry);
  if (reached == 0) emit_bbo_if_changed(entry);
  emit_table(entry, reached >= options_.table_levels);
  return true;
}

// ---- several lines ---------------------------------------------------------------------------------------

LineStatus& OrderBookManager::line_status(core::LineId line) {
  if (line >= lines_.size()) lines_.resize(line + std::size_t{1});
  return lines_[line];
}

void OrderBookManager::set_line_counters(core::LineId line, LineCounters& counters) {
  line_status(line).counters = &counters;
}

// Whether whatever happens to the symbol from now on comes on this line.
bool OrderBookManager::covers(const EntryLine& line, std::int64_t now_ns) const noexcept {
  const LineStatus& status = lines_[line.id];
  return status.up && line.brings() &&
         (line.proven || now_ns - status.up_since_ns >= options_.line_settle_ns);
}

// Whether the symbol has another line than that of `cause`, so that nothing is lost with what `cause` tells.
bool OrderBookManager::other_line_covers(const Entry& entry, const MessageHeader& cause) const noexcept {
  return std::any_of(entry.lines.begin(), entry.lines.end(), [&](const EntryLine& line) {
    return line.id != cause.line_id && covers(line, cause.recv_ts_ns);
  });
}

// Whether a line is up that has not shown yet that it goes on behind the hole. Each line brings its updates in
// order, so one that has a delta waiting can't bring what is before it any more.
bool OrderBookManager::hole_may_be_filled(const Entry& entry) const noexcept {
  const std::span<const DeltaBuffer::Delta> waiting = entry.buffer.deltas();
  if (waiting.empty()) return true;
  return std::any_of(entry.lines.begin(), entry.lines.end(), [&](const EntryLine& line) {
    return lines_[line.id].up && line.brings() &&
           std::none_of(waiting.begin(), waiting.end(), [&](const DeltaBuffer::Delta& delta) {
             return delta.header.line_id == line.id && check(entry, delta.header) == SequenceVerdict::Gap;
           });
  });
}

void OrderBookManager::wait_behind_hole(Entry& entry, const Update& delta) noexcept {
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
void OrderBookManager::apply_waiting(Entry& entry) noexcept {
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
void OrderBookManager::gap(Entry& entry) noexcept {
  counters_.gaps.add();
  counters_.resyncs.add();
  entry.joined = false;
  if (entry.audit != nullptr) entry.audit->forget_books();
  emit_state(entry, BookState::Stale, StateReason::Gap);
  if (entry.rule->snapshot_source != core::SnapshotSource::Rest) return entry.buffer.clear();
  emit_state(entry, BookState::Syncing, StateReason::Subscribed);
  listener_.on_snapshot_wanted(entry.symbol, StateReason::Subscribed);
}

// A delta of one of several lines that are up: the first copy, or a late one.
void OrderBookManager::count_copy(Entry& entry, const MessageHeader& delta, bool first) noexcept {
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
void OrderBookManager::join(Entry& entry, const Update& snapshot) noexcept {
  // First whether they join at all: the numbers say so without building anything. Lines bring copies of one
  // sequence, each in order, not all in one.
  if (entry.lines_up > 1 && entry.rule->continuity != core::Continuity::None) entry.buffer.sort();
  const std::span<const DeltaBuffer::Delta> deltas = entry.buffer.deltas();
  std::uint64_t last_id = snapshot.header->last_update_id;
  std::size_t first_applied = deltas.size();
  for (std::size_t i = 0; i < deltas.size(); ++i) {
    const MessageHeader& header = deltas[i].header;
    const bool joined = first_applied != deltas.size();
    const SequenceVerdict verdict =
        joined ? entry.rule->check_next(last_id, header) : entry.rule->check_first(last_id, header);
    if (verdict == SequenceVerdict::Old) continue;
    if (verdict == SequenceVerdict::Apply) {
      if (!joined) first_applied = i;
      last_id = header.last_update_id;
      continue;
    }
    if (!joined) {  // older than what is buffered
      counters_.snapshots_too_old.add();
      return listener_.on_snapshot_wanted(entry.symbol, StateReason::SnapshotTooOld);
    }
    // A hole among the buffered deltas themselves. They stay: a snapshot from behind the hole joins those
    // behind it.
    counters_.gaps.add();
    emit_state(entry, BookState::Stale, StateReason::Gap);
    emit_state(entry, BookState::Syncing, StateReason::Gap);
    return listener_.on_snapshot_wanted(entry.symbol, StateReason::Gap);
  }

  OrderBook& next = entry.next;
  next.apply_snapshot(snapshot.bids, snapshot.asks);
  std::uint64_t applied_id = snapshot.header->last_update_id;
  std::uint64_t applied = 0;
  for (std::size_t i = first_applied; i < deltas.size(); ++i) {
    const DeltaBuffer::Delta& delta = deltas[i];
    if (i != first_applied && entry.rule->check_next(applied_id, delta.header) == SequenceVerdict::Old)
      continue;
    next.apply_update(entry.buffer.bids(delta), entry.buffer.asks(delta));
    ++applied;
    applied_id = delta.header.last_update_id;
    entry.last_header = delta.header;
  }
  if (entry.rule->crossed == core::CrossedPolicy::Resync && next.crossed()) {
    counters_.crossed.add();
    return go_stale(entry, StateReason::Crossed);
  }
  counters_.snapshots_applied.add();
  counters_.updates_joined.add(applied);
  entry.joined = first_applied != deltas.size();
  entry.last_id = applied_id;
  install(entry, snapshot);
}

void OrderBookManager::stale_snapshot(Entry& entry, const Update& snapshot) noexcept {
  if (entry.rule->snapshot_source == core::SnapshotSource::Rest) return counters_.snapshots_unused.add();
  join(entry, snapshot);
}

// A late answer to an old request, or an in-stream venue that starts anew.
void OrderBookManager::live_snapshot(Entry& entry, const Update& snapshot) noexcept {
  // Another line's copy of what is applied already.
  const bool reset = (snapshot.header->flags & core::kReset) != 0;
  if (entry.lines_up > 1 && !reset && snapshot.header->last_update_id <= entry.last_id) {
    return counters_.duplicates.add();
  }
  stale_snapshot(entry, snapshot);
}

void OrderBookManager::want_another(Entry& entry, const Update&) noexcept {
  listener_.on_snapshot_wanted(entry.symbol, StateReason::SnapshotFailed);
}

// A part of an answer nobody waits for says nothing about the book; a part of the stream does.
void OrderBookManager::live_broken_snapshot(Entry& entry, const Update& snapshot) noexcept {
  if (entry.rule->snapshot_source == core::SnapshotSource::Stream) distrust(entry, snapshot);
}

void OrderBookManager::distrust(Entry& entry, const Update& cause) noexcept {
  if (cause.header->update_type == UpdateType::Invalidate) {  // in place of the chunks that are still out
    entry.rest_chunks.active = false;
  }
  const auto reason = static_cast<StateReason>(cause.header->reason);
  if (entry.state == BookState::Stale && entry.reason == reason) return;
  go_stale(entry, reason);
}

void OrderBookManager::remove(Entry& entry, const Update&) noexcept {
  emit_state(entry, BookState::Stale, StateReason::Unsubscribed);
}

// ---- state -----------------------------------------------------------------------------------------------

void OrderBookManager::go_stale(Entry& entry, StateReason reason) noexcept {
  if (entry.state == BookState::Live) counters_.resyncs.add();
  entry.buffer.clear();
  entry.joined = false;
  if (entry.audit != nullptr) entry.audit->forget_books();
  emit_state(entry, BookState::Stale, reason);
}

void OrderBookManager::begin_syncing(Entry& entry, StateReason reason) noexcept {
  entry.buffer.clear();
  emit_state(entry, BookState::Syncing, reason);
  listener_.on_snapshot_wanted(entry.symbol, reason);
}

// The book in `next` is right: it replaces the old one, readers get it whole, then hear that it is LIVE.
void OrderBookManager::install(Entry& entry, const Update& snapshot) noexcept {
  std::swap(entry.book, entry.next);
  entry.next.clear();  // its blocks serve other books meanwhile
  entry.book.set_update_id(entry.last_id);
  entry.behind_ns = 0;
  entry.buffer.clear();
  const std::size_t bid_count = entry.book.bid_count();
  scratch_.resize(bid_count + entry.book.ask_count());
  entry.book.copy_bids(scratch_.data(), bid_count);
  entry.book.copy_asks(scratch_.data() + bid_count, entry.book.ask_count());
  const std::span all(scratch_);
  entry.last_header.first_update_id = snapshot.header->last_update_id;
  entry.last_header.last_update_id = entry.last_id;
  // The buffered deltas waited for the snapshot: what is published now began with its arrival.
  entry.last_header.recv_ts_ns = std::max(entry.last_header.recv_ts_ns, snapshot.header->recv_ts_ns);
  emit_levels(entry, EventType::BookSnapshot,
              {&entry.last_header, all.first(bid_count), all.subspan(bid_count)});
  entry.next_top_ns = entry.last_header.recv_ts_ns + options_.snapshot_interval_ns;
  emit_bbo_if_changed(entry);
  emit_table(entry, false);
  emit_state(entry, BookState::Live, StateReason::Synced);
  if (entry.audit == nullptr) return;
  const QuoteAudit::Result result = entry.audit->on_book(entry.last_id, entry.book.bbo());
  if (result.verdict != QuoteAudit::Verdict::Unknown) audit(entry, result, entry.last_id);
}

// ---- output ----------------------------------------------------------------------------------------------

shm::EventHeader& OrderBookManager::begin_event(const Entry& entry, EventType type,
                                                std::uint8_t flags) noexcept {
  shm::EventHeader& event = events_.slot().header;
  event.size_bytes = 0;  // size, sequence and pub_ts_ns are the publisher's
  event.type = type;
  event.flags = flags;
  event.exchange_id = entry.exchange;
  event.symbol_id = entry.symbol;
  event.bid_count = 0;
  event.ask_count = 0;
  event.sequence = 0;
  event.update_id = entry.book.update_id();
  event.first_update_id = first_covered(*entry.rule, entry.last_header);
  event.exch_ts_ns = entry.last_header.exch_ts_ns;
  event.recv_ts_ns = entry.last_header.recv_ts_ns;
  event.pub_ts_ns = 0;
  return event;
}

void OrderBookManager::emit_state(Entry& entry, BookState state, StateReason reason) noexcept {
  entry.state = state;
  entry.reason = reason;
  shm::EventHeader& event = begin_event(entry, EventType::BookState, shm::kFlagFirst | shm::kFlagLast);
  event.bid_count = static_cast<std::uint16_t>(state);
  event.ask_count = static_cast<std::uint16_t>(reason);
  events_.commit();
  listener_.on_book_state(entry.symbol, state, reason, entry.book.update_id());
}

// One record, or several where the update is larger than one; bids before asks.
void OrderBookManager::emit_levels(const Entry& entry, EventType type, const Update& update) noexcept {
  std::span bids = update.bids;
  std::span asks = update.asks;
  std::uint8_t flags = shm::kFlagFirst;
  for (;;) {
    const std::size_t bid_count = std::min(bids.size(), shm::kMaxEventLevels);
    const std::size_t ask_count = std::min(asks.size(), shm::kMaxEventLevels - bid_count);
    const bool last = bid_count == bids.size() && ask_count == asks.size();
    if (last) flags |= shm::kFlagLast;
    shm::EventHeader& event = begin_event(entry, type, flags);
    event.bid_count = static_cast<std::uint16_t>(bid_count);
    event.ask_count = static_cast<std::uint16_t>(ask_count);
    PriceLevel* const levels = events_.slot().levels;
    std::copy_n(bids.data(), bid_count, levels);
    std::copy_n(asks.data(), ask_count, levels + bid_count);
    events_.commit();
    if (last) return;
    bids = bids.subspan(bid_count);
    asks = asks.subspan(ask_count);
    flags = 0;
  }
}

void OrderBookManager::emit_bbo_if_changed(Entry& entry) noexcept {
  const Bbo bbo = entry.book.bbo();
  if (bbo == entry.published_bbo) return;
  entry.published_bbo = bbo;
  begin_event(entry, EventType::Bbo, shm::kFlagFirst | shm::kFlagLast);
  events_.slot().bbo = {bbo.bid, bbo.ask};
  events_.commit();
}

// What the depth cap cut goes with the update that made it: a reader's book is cut as this one is.
void OrderBookManager::emit_delta(Entry& entry, const Update& delta) noexcept {
  const std::span cut_bids = entry.book.cut_bids();
  const std::span cut_asks = entry.book.cut_asks();
  if (cut_bids.empty() && cut_asks.empty()) return emit_levels(entry, EventType::BookDelta, delta);
  scratch_.assign(delta.bids.begin(), delta.bids.end());
  scratch_.insert(scratch_.end(), cut_bids.begin(), cut_bids.end());
  const std::size_t bid_count = scratch_.size();
  scratch_.insert(scratch_.end(), delta.asks.begin(), delta.asks.end());
  scratch_.insert(scratch_.end(), cut_asks.begin(), cut_asks.end());
  const std::span all(scratch_);
  emit_levels(entry, EventType::BookDelta, {delta.header, all.first(bid_count), all.subspan(bid_count)});
}

void OrderBookManager::emit_top_when_due(Entry& entry) noexcept {
  const std::int64_t now_ns = entry.last_header.recv_ts_ns;
  if (options_.snapshot_interval_ns == 0 || now_ns < entry.next_top_ns) return;
  entry.next_top_ns = now_ns + options_.snapshot_interval_ns;
  emit_best(entry, shm::kFlagFirst | shm::kFlagLast | shm::kFlagTop);
}

void OrderBookManager::emit_best(Entry& entry, std::uint8_t flags) noexcept {
  shm::EventHeader& event = begin_event(entry, EventType::BookSnapshot, flags);
  PriceLevel* const levels = events_.slot().levels;
  event.bid_count = static_cast<std::uint16_t>(entry.book.copy_bids(levels, options_.table_levels));
  event.ask_count =
      static_cast<std::uint16_t>(entry.book.copy_asks(levels + event.bid_count, options_.table_levels));
  events_.commit();
}

void OrderBookManager::emit_table(Entry& entry, bool same_levels) noexcept {
  constexpr std::uint8_t kFlags = shm::kFlagFirst | shm::kFlagLast | shm::kFlagTop | shm::kFlagTableOnly;
  if (!same_levels) return emit_best(entry, kFlags);
  begin_event(entry, EventType::BookSnapshot, kFlags | shm::kFlagSameLevels);
  events_.commit();
}

// An event that is no part of the book: its ids and times are those of its own message.
void OrderBookManager::begin_market_event(const Entry& entry, EventType type, std::uint8_t flags,
                                          const MessageHeader& header) noexcept {
  shm::EventHeader& event = begin_event(entry, type, shm::kFlagFirst | shm::kFlagLast | flags);
  event.update_id = header.last_update_id;
  event.first_update_id = header.first_update_id;
  event.exch_ts_ns = header.exch_ts_ns;
  event.recv_ts_ns = header.recv_ts_ns;
}

// ---- what is no part of the book -------------------------------------------------------------------------

void OrderBookManager::on_trade(Entry& entry, const NormalizedMessage& message) noexcept {
  SeenIds& seen = message.has(core::kAggregate) ? entry.aggregates : entry.trades;
  if (entry.rule->trade_ids_grow && !seen.first_time(message.trade.trade_id))
    return counters_.duplicates.add();
  emit_trade(entry, message);
}

void OrderBookManager::on_quote(Entry& entry, const NormalizedMessage& message) noexcept {
  const std::uint64_t id = message.header.last_update_id;
  const Bbo quote{message.levels[0], message.levels[1]};
  const std::uint64_t last = entry.last_quote.last_update_id;
  if (id != 0 && (id < last || (id == last && quote == entry.last_quote_bbo))) {
    return counters_.duplicates.add();
  }
  const std::int64_t step_ns = message.header.recv_ts_ns - entry.last_quote.recv_ts_ns;
  entry.last_quote = message.header;
  entry.last_quote_bbo = quote;
  emit_quote(entry, message);
  if (entry.state == BookState::Live && id > entry.last_id) {
    // Quotes run ahead of the batch that holds their id. A held-up line brings both late: its pause counts as
    // one short step, for the batch comes with the next frames.
    entry.behind_ns += std::clamp<std::int64_t>(step_ns, 0, options_.max_silence_ns / 10);
    if (entry.behind_ns > options_.max_silence_ns) return silent(entry, message.header);
  }
  if (!options_.self_audit || id == 0) return;
  if (entry.audit == nullptr) entry.audit = std::make_unique<QuoteAudit>();
  const QuoteAudit::Result result = entry.audit->on_quote(id, quote);
  if (result.verdict == QuoteAudit::Verdict::Unknown) return;
  entry.last_header = message.header;
  audit(entry, result, id);
}

// The venue said yes to the subscription and sends nothing: the book is not right any more, and would not be for
// long with another snapshot. Until a line brings an update, or is made anew, it is STALE.
void OrderBookManager::silent(Entry& entry, const MessageHeader& quote) noexcept {
  for (EntryLine& line : entry.lines) line.silent = lines_[line.id].up;
  entry.last_header = quote;
  counters_.gaps.add();
  go_stale(entry, StateReason::Gap);
}

void OrderBookManager::audit(Entry& entry, const QuoteAudit::Result& result,
                             std::uint64_t update_id) noexcept {
  counters_.audits.add();
  if (result.verdict == QuoteAudit::Verdict::Equal) return;
  counters_.audit_mismatches.add();
  listener_.on_audit_mismatch(entry.symbol, update_id, result.book, result.quote);
  go_stale(entry, StateReason::AuditMismatch);
}

void OrderBookManager::on_mark_price(Entry& entry, const NormalizedMessage& message) noexcept {
  if (message.header.exch_ts_ns <= entry.last_mark_ts_ns) return counters_.duplicates.add();
  entry.last_mark_ts_ns = message.header.exch_ts_ns;
  emit_mark_price(entry, message);
}

// Liquidations have no id.
void OrderBookManager::on_liquidation(Entry& entry, const NormalizedMessage& message) noexcept {
  const bool same = message.header.exch_ts_ns == entry.last_liquidation.exch_ts_ns &&
                    message.header.line_id != entry.last_liquidation.line_id &&
                    message.liquidation == entry.last_liquidation_body;
  if (same) return counters_.duplicates.add();
  entry.last_liquidation = message.header;
  entry.last_liquidation_body = message.liquidation;
  emit_liquidation(entry, message);
}

void OrderBookManager::emit_trade(const Entry& entry, const NormalizedMessage& message) noexcept {
  counters_.trades.add();
  const std::uint8_t flags = message.has(core::kAggregate) ? shm::kFlagAggregate : 0;
  begin_market_event(entry, EventType::Trade, flags, message.header);
  events_.slot().trade = {
      message.trade.price, message.trade.quantity, message.trade.trade_id, message.trade.side, {}};
  events_.commit();
}

void OrderBookManager::emit_quote(const Entry& entry, const NormalizedMessage& message) noexcept {
  counters_.quotes.add();
  begin_market_event(entry, EventType::Bbo, shm::kFlagVenueQuote, message.header);
  events_.slot().bbo = {message.levels[0], message.levels[1]};
  events_.commit();
}

void OrderBookManager::emit_mark_price(const Entry& entry, const NormalizedMessage& message) noexcept {
  counters_.mark_prices.add();
  begin_market_event(entry, EventType::MarkPrice, 0, message.header);
  events_.slot().mark_price = message.mark_price;
  events_.commit();
}

void OrderBookManager::emit_liquidation(const Entry& entry, const NormalizedMessage& message) noexcept {
  counters_.liquidations.add();
  begin_market_event(entry, EventType::Liquidation, 0, message.header);
  events_.slot().liquidation = message.liquidation;
  events_.commit();
}

}  // namespace mdp::book
