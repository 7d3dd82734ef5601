#include "mdp/book/order_book_manager.hpp"

#include <algorithm>

#include "mdp/book/delta_buffer.hpp"
#include "mdp/core/error.hpp"

namespace mdp::book {

using core::MessageHeader;
using core::NormalizedMessage;
using core::SequenceVerdict;
using core::UpdateType;
using shm::EventType;

struct OrderBookManager::Entry {
  core::SymbolId symbol;
  core::ExchangeId exchange;
  core::LineId line;
  const core::SyncRule* rule;
  BookState state = BookState::Stale;
  bool joined = false;           // a delta followed the snapshot: from now on check_next() holds
  std::uint64_t last_id = 0;     // applied so far; the snapshot's id until joined
  MessageHeader last_header{};   // of the message being handled: ids and times of what is emitted
  Bbo published_bbo;
  OrderBook book;
  OrderBook next;                // built while SYNCING, becomes `book` when it is right
  DeltaBuffer buffer;
  // Chunks of an update that is not complete yet.
  MessageHeader chunk_header{};
  std::vector<PriceLevel> chunk_bids;
  std::vector<PriceLevel> chunk_asks;
  bool assembling = false;

  Entry(core::SymbolId symbol_, core::ExchangeId exchange_, core::LineId line_, const core::SyncRule& rule_,
        const BookOptions& options)
      : symbol(symbol_),
        exchange(exchange_),
        line(line_),
        rule(&rule_),
        book(options.depth_cap),
        next(options.depth_cap) {
    book.reserve(options.reserve_levels);
    next.reserve(options.reserve_levels);
  }
};

//                             Delta                     Snapshot             Invalidate        LineDown      SyncRequest
const OrderBookManager::Action OrderBookManager::kTransitions[kStates][kInputs] = {
    /* STALE   */ {&OrderBookManager::start_buffering, &OrderBookManager::stale_snapshot, &OrderBookManager::distrust,
                   &OrderBookManager::distrust, &OrderBookManager::start_empty},
    /* SYNCING */ {&OrderBookManager::buffer, &OrderBookManager::join, &OrderBookManager::distrust,
                   &OrderBookManager::distrust, &OrderBookManager::ignore},
    /* LIVE    */ {&OrderBookManager::apply_live, &OrderBookManager::live_snapshot, &OrderBookManager::distrust,
                   &OrderBookManager::distrust, &OrderBookManager::ignore},
};

OrderBookManager::OrderBookManager(core::EventSink& events, BookListener& listener, const BookOptions& options)
    : events_(events), listener_(listener), options_(options) {
  options_.table_levels = std::min(options_.table_levels, shm::kMaxEventLevels / 2);
}
OrderBookManager::~OrderBookManager() = default;

void OrderBookManager::add_symbol(core::SymbolId symbol, core::ExchangeId exchange, core::LineId line,
                                  const core::SyncRule& rule) {
  if (route(symbol) != nullptr) return;
  auto entry = std::make_unique<Entry>(symbol, exchange, line, rule, options_);
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
  go_stale(*entry, StateReason::Unsubscribed);
  routes_[symbol] = nullptr;
  books_.erase(symbol);
}

const OrderBook* OrderBookManager::book(core::SymbolId symbol) const noexcept {
  return symbol < routes_.size() && routes_[symbol] ? &routes_[symbol]->book : nullptr;
}

BookState OrderBookManager::state(core::SymbolId symbol) const noexcept {
  return symbol < routes_.size() && routes_[symbol] ? routes_[symbol]->state : BookState::Stale;
}

// ---- input ----------------------------------------------------------------------------------------------------------

void OrderBookManager::on_message(const NormalizedMessage& message) noexcept {
  const MessageHeader& header = message.header;
  if (header.update_type == UpdateType::Line) return on_line(header);
  Entry* const entry = route(header.symbol_id);
  if (entry == nullptr) return counters_.unroutable.add();
  switch (header.update_type) {
    case UpdateType::Delta:
    case UpdateType::Snapshot:
      return on_book_chunk(*entry, message);
    case UpdateType::Trade:
      return emit_trade(*entry, message);
    case UpdateType::Quote:
      return emit_quote(*entry, message);
    case UpdateType::Invalidate:
      return dispatch(*entry, Input::Invalidate, {&header, {}, {}});
    case UpdateType::Line:
      return;
  }
}

// A whole update goes on as it is; a chunk waits for the rest.
void OrderBookManager::on_book_chunk(Entry& entry, const NormalizedMessage& chunk) noexcept {
  const MessageHeader& header = chunk.header;
  const Input input = header.update_type == UpdateType::Delta ? Input::Delta : Input::Snapshot;
  const std::span bids(chunk.bids(), header.bid_count);
  const std::span asks(chunk.asks(), header.ask_count);
  if (chunk.has(core::kFirst) && chunk.has(core::kLast)) {
    entry.assembling = false;
    return dispatch(entry, input, {&header, bids, asks});
  }
  if (chunk.has(core::kFirst)) {
    entry.assembling = true;
    entry.chunk_header = header;
    entry.chunk_bids.clear();
    entry.chunk_asks.clear();
  } else if (!entry.assembling || header.update_type != entry.chunk_header.update_type ||
             header.last_update_id != entry.chunk_header.last_update_id) {
    // A chunk without its beginning: something between the parser and here was lost. Never apply a part.
    entry.assembling = false;
    MessageHeader cause = header;
    cause.reason = static_cast<std::uint8_t>(StateReason::Gap);
    return dispatch(entry, Input::Invalidate, {&cause, {}, {}});
  }
  entry.chunk_bids.insert(entry.chunk_bids.end(), bids.begin(), bids.end());
  entry.chunk_asks.insert(entry.chunk_asks.end(), asks.begin(), asks.end());
  if (!chunk.has(core::kLast)) return;
  entry.assembling = false;
  dispatch(entry, input, {&entry.chunk_header, entry.chunk_bids, entry.chunk_asks});
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
  const bool up = static_cast<shm::LineState>(line.reason) == shm::LineState::Up;
  if (line.line_id >= line_up_.size()) line_up_.resize(line.line_id + std::size_t{1}, false);
  line_up_[line.line_id] = up;
  if (up) return;
  MessageHeader cause = line;
  cause.reason = static_cast<std::uint8_t>(StateReason::Disconnected);
  for (auto& [symbol, entry] : books_) {
    if (entry->line == line.line_id) dispatch(*entry, Input::LineDown, {&cause, {}, {}});
  }
}

void OrderBookManager::dispatch(Entry& entry, Input input, const Update& update) noexcept {
  // A request of control has no message behind it, and so no receive time to measure a latency from.
  entry.last_header = update.header != nullptr ? *update.header : MessageHeader{};
  (this->*kTransitions[static_cast<std::size_t>(entry.state)][static_cast<std::size_t>(input)])(entry, update);
}

void OrderBookManager::request_resync(core::SymbolId symbol) noexcept {
  Entry* entry = route(symbol);
  if (entry == nullptr) return;
  MessageHeader cause{};
  cause.reason = static_cast<std::uint8_t>(StateReason::Requested);
  dispatch(*entry, Input::Invalidate, {&cause, {}, {}});
  dispatch(*entry, Input::SyncRequest, {nullptr, {}, {}});
}

void OrderBookManager::begin_sync(core::SymbolId symbol) noexcept {
  if (Entry* entry = route(symbol)) dispatch(*entry, Input::SyncRequest, {nullptr, {}, {}});
}

// ---- actions of the table -------------------------------------------------------------------------------------------

void OrderBookManager::ignore(Entry&, const Update&) noexcept {}

// Only now is a snapshot asked for: one that is older than the first delta could not be joined.
void OrderBookManager::start_buffering(Entry& entry, const Update& delta) noexcept {
  if (entry.rule->snapshot_source == core::SnapshotSource::Rest) {
    begin_syncing(entry, StateReason::Subscribed);
    buffer(entry, delta);
  }
}

void OrderBookManager::start_empty(Entry& entry, const Update&) noexcept {
  const bool line_up = entry.line < line_up_.size() && line_up_[entry.line];
  if (line_up && entry.rule->snapshot_source == core::SnapshotSource::Rest) {
    begin_syncing(entry, StateReason::Subscribed);
  }
}

void OrderBookManager::buffer(Entry& entry, const Update& delta) noexcept {
  const std::size_t levels = entry.buffer.level_count() + delta.bids.size() + delta.asks.size();
  if (entry.buffer.delta_count() == options_.max_buffered_deltas || levels > options_.max_buffered_levels) {
    counters_.buffer_overflows.add();
    go_stale(entry, StateReason::BufferOverflow);
    begin_syncing(entry, StateReason::BufferOverflow);
  }
  entry.buffer.push(*delta.header, delta.bids, delta.asks);
}

void OrderBookManager::apply_live(Entry& entry, const Update& delta) noexcept {
  const SequenceVerdict verdict = entry.joined ? entry.rule->check_next(entry.last_id, *delta.header)
                                               : entry.rule->check_first(entry.last_id, *delta.header);
  if (verdict == SequenceVerdict::Old) return counters_.duplicates.add();
  if (verdict == SequenceVerdict::Gap) {
    counters_.gaps.add();
    go_stale(entry, StateReason::Gap);
    return dispatch(entry, Input::Delta, delta);  // the first of the next sync
  }
  const std::size_t shallowest = entry.book.apply_update(delta.bids, delta.asks);
  entry.joined = true;
  entry.last_id = delta.header->last_update_id;
  entry.book.set_update_id(entry.last_id);
  if (entry.rule->crossed == core::CrossedPolicy::Resync && entry.book.crossed()) {
    counters_.crossed.add();
    return go_stale(entry, StateReason::Crossed);
  }
  counters_.updates.add();
  emit_levels(entry, EventType::BookDelta, delta);
  if (shallowest == 0) emit_bbo_if_changed(entry);
  emit_table(entry, shallowest >= options_.table_levels);
}

// Builds the new book beside the old one: snapshot, then every buffered delta that follows it.
void OrderBookManager::join(Entry& entry, const Update& snapshot) noexcept {
  OrderBook& next = entry.next;
  next.apply_snapshot(snapshot.bids, snapshot.asks);
  std::uint64_t last_id = snapshot.header->last_update_id;
  bool joined = false;
  for (const DeltaBuffer::Delta& delta : entry.buffer.deltas()) {
    const SequenceVerdict verdict =
        joined ? entry.rule->check_next(last_id, delta.header) : entry.rule->check_first(last_id, delta.header);
    if (verdict == SequenceVerdict::Old) continue;
    if (verdict == SequenceVerdict::Gap) {
      if (!joined) {
        // Older than what is buffered: the buffer stays, another snapshot is fetched.
        counters_.snapshots_too_old.add();
        return listener_.on_snapshot_wanted(entry.symbol, StateReason::SnapshotTooOld);
      }
      counters_.gaps.add();  // a hole among the buffered deltas themselves
      return go_stale(entry, StateReason::Gap);
    }
    next.apply_update(entry.buffer.bids(delta), entry.buffer.asks(delta));
    joined = true;
    last_id = delta.header.last_update_id;
    entry.last_header = delta.header;
  }
  if (entry.rule->crossed == core::CrossedPolicy::Resync && next.crossed()) {
    counters_.crossed.add();
    return go_stale(entry, StateReason::Crossed);
  }
  counters_.snapshots_applied.add();
  entry.joined = joined;
  entry.last_id = last_id;
  install(entry, snapshot);
}

void OrderBookManager::stale_snapshot(Entry& entry, const Update& snapshot) noexcept {
  if (entry.rule->snapshot_source == core::SnapshotSource::Rest) return counters_.snapshots_unused.add();
  join(entry, snapshot);
}

// A late answer to an old request, or an in-stream venue that starts anew.
void OrderBookManager::live_snapshot(Entry& entry, const Update& snapshot) noexcept {
  if (entry.rule->snapshot_source == core::SnapshotSource::Rest) return counters_.snapshots_unused.add();
  entry.buffer.clear();
  join(entry, snapshot);
}

void OrderBookManager::distrust(Entry& entry, const Update& cause) noexcept {
  entry.assembling = false;
  go_stale(entry, static_cast<StateReason>(cause.header->reason));
}

// ---- state ----------------------------------------------------------------------------------------------------------

void OrderBookManager::go_stale(Entry& entry, StateReason reason) noexcept {
  if (entry.state == BookState::Live) counters_.resyncs.add();
  entry.buffer.clear();
  entry.joined = false;
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
  entry.book.set_update_id(entry.last_id);
  entry.buffer.clear();
  const std::size_t bid_count = entry.book.bid_count();
  best_first_.resize(bid_count + entry.book.ask_count());
  entry.book.copy_bids(best_first_.data(), bid_count);
  entry.book.copy_asks(best_first_.data() + bid_count, entry.book.ask_count());
  const std::span all(best_first_);
  entry.last_header.first_update_id = snapshot.header->last_update_id;
  entry.last_header.last_update_id = entry.last_id;
  // The buffered deltas waited for the snapshot: what is published now began with its arrival.
  entry.last_header.recv_ts_ns = std::max(entry.last_header.recv_ts_ns, snapshot.header->recv_ts_ns);
  emit_levels(entry, EventType::BookSnapshot, {&entry.last_header, all.first(bid_count), all.subspan(bid_count)});
  entry.published_bbo = {};
  emit_bbo_if_changed(entry);
  emit_table(entry, false);
  emit_state(entry, BookState::Live, StateReason::Synced);
}

// ---- output ---------------------------------------------------------------------------------------------------------

shm::EventHeader& OrderBookManager::begin_event(const Entry& entry, EventType type, std::uint8_t flags) noexcept {
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
  event.first_update_id = entry.last_header.first_update_id;
  event.exch_ts_ns = entry.last_header.exch_ts_ns;
  event.recv_ts_ns = entry.last_header.recv_ts_ns;
  event.pub_ts_ns = 0;
  return event;
}

void OrderBookManager::emit_state(Entry& entry, BookState state, StateReason reason) noexcept {
  entry.state = state;
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

void OrderBookManager::emit_table(Entry& entry, bool same_levels) noexcept {
  std::uint8_t flags = shm::kFlagFirst | shm::kFlagLast | shm::kFlagTop | shm::kFlagTableOnly;
  if (same_levels) flags |= shm::kFlagSameLevels;
  shm::EventHeader& event = begin_event(entry, EventType::BookSnapshot, flags);
  if (!same_levels) {
    PriceLevel* const levels = events_.slot().levels;
    event.bid_count = static_cast<std::uint16_t>(entry.book.copy_bids(levels, options_.table_levels));
    event.ask_count =
        static_cast<std::uint16_t>(entry.book.copy_asks(levels + event.bid_count, options_.table_levels));
  }
  events_.commit();
}

void OrderBookManager::emit_trade(const Entry& entry, const NormalizedMessage& message) noexcept {
  counters_.trades.add();
  const MessageHeader& header = message.header;
  std::uint8_t flags = shm::kFlagFirst | shm::kFlagLast;
  if (message.has(core::kAggregate)) flags |= shm::kFlagAggregate;
  shm::EventHeader& event = begin_event(entry, EventType::Trade, flags);
  event.update_id = header.last_update_id;
  event.first_update_id = header.first_update_id;
  event.exch_ts_ns = header.exch_ts_ns;
  event.recv_ts_ns = header.recv_ts_ns;
  events_.slot().trade = {message.trade.price, message.trade.quantity, message.trade.trade_id, message.trade.side, {}};
  events_.commit();
}

void OrderBookManager::emit_quote(const Entry& entry, const NormalizedMessage& message) noexcept {
  counters_.quotes.add();
  const MessageHeader& header = message.header;
  shm::EventHeader& event =
      begin_event(entry, EventType::Bbo, shm::kFlagFirst | shm::kFlagLast | shm::kFlagVenueQuote);
  event.update_id = header.last_update_id;
  event.first_update_id = header.first_update_id;
  event.exch_ts_ns = header.exch_ts_ns;
  event.recv_ts_ns = header.recv_ts_ns;
  events_.slot().bbo = {message.levels[0], message.levels[1]};
  events_.commit();
}

}  // namespace mdp::book
