#include "mdp/book/order_book_manager.hpp"

#include <algorithm>

namespace mdp::book {

using core::NormalizedMessage;
using core::UpdateType;

namespace {

constexpr std::size_t kPoolChunkBlocks = (std::size_t{2} << 20) / sizeof(LevelBlock);  // a huge page

BookOptions capped(BookOptions options) noexcept {
  options.table_levels = std::min(options.table_levels, shm::kMaxEventLevels / 2);
  return options;
}

}  // namespace

OrderBookManager::OrderBookManager(core::EventSink& events, BookListener& listener,
                                   const BookOptions& options)
    : options_(capped(options)),
      events_(events, options_),
      sync_(events_, listener, options_, counters_),
      refresh_(options_, counters_),
      pool_(options.memory, kPoolChunkBlocks) {}

void OrderBookManager::add_symbol(core::SymbolId symbol, core::ExchangeId exchange,
                                  std::span<const core::LineId> lines, const core::BookRule& rule,
                                  const core::Instrument& instrument) {
  if (route(symbol) != nullptr) return;
  auto entry = std::make_unique<SymbolEntry>(symbol, exchange, lines, rule, instrument, options_, pool_);
  if (symbol >= routes_.size()) routes_.resize(symbol + std::size_t{1}, nullptr);
  routes_[symbol] = entry.get();
  SymbolEntry& added = *entry;
  books_.emplace(symbol, std::move(entry));
  events_.emit_instrument(added);
  sync_.start(added);
}

void OrderBookManager::remove_symbol(core::SymbolId symbol) noexcept {
  SymbolEntry* entry = route(symbol);
  if (entry == nullptr) return;
  sync_.handle(*entry, BookSync::Input::Remove, {nullptr, {}, {}});
  events_.emit_instrument(*entry);
  routes_[symbol] = nullptr;
  books_.erase(symbol);
}

const OrderBook* OrderBookManager::book(core::SymbolId symbol) const noexcept {
  const SymbolEntry* const entry = route(symbol);
  return entry != nullptr ? &entry->book : nullptr;
}

BookState OrderBookManager::state(core::SymbolId symbol) const noexcept {
  const SymbolEntry* const entry = route(symbol);
  return entry != nullptr ? entry->state : BookState::Stale;
}

void OrderBookManager::set_line_counters(core::LineId line, LineCounters& counters) {
  sync_.line(line).counters = &counters;
}

// ---- input -----------------------------------------------------------------------------------------------

void OrderBookManager::handle(const NormalizedMessage& message) noexcept {
  const MessageHeader& header = message.header;
  if (header.update_type == UpdateType::Line) return on_line(header);
  SymbolEntry* const entry = route(header.symbol_id);
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
        line->unreadable = true;
        if (static_cast<StateReason>(header.reason) == StateReason::Rejected) line->rejected = true;
      }
      if (sync_.other_line_covers(*entry, header)) return;  // it brings what could not be read here
      return sync_.handle(*entry, BookSync::Input::Distrust, {&header, {}, {}});
    case UpdateType::Checksum:
      return on_checksum(*entry, header);
    case UpdateType::Line:
      return;
  }
}

void OrderBookManager::on_checksum(SymbolEntry& entry, const MessageHeader& header) noexcept {
  if (entry.line(header.line_id) == nullptr) return counters_.unroutable.add();
  sync_.on_checksum(entry, header);
}

// A whole update goes on as it is; a chunk waits for the rest. No part of an update is ever applied.
void OrderBookManager::on_book_chunk(SymbolEntry& entry, const NormalizedMessage& chunk) noexcept {
  const MessageHeader& header = chunk.header;
  const bool delta = header.update_type == UpdateType::Delta;
  const BookSync::Input input = delta ? BookSync::Input::Delta : BookSync::Input::Snapshot;
  const bool rides_line = delta || entry.rule->snapshot_source != core::SnapshotSource::Rest;
  EntryLine* const line = rides_line ? entry.line(header.line_id) : nullptr;
  if (rides_line && line == nullptr) return counters_.unroutable.add();
  if (line != nullptr) {
    line->proven = true;
    line->rejected = line->unreadable = entry.silent = false;
  }
  ChunkAssembly& assembly = line != nullptr ? line->chunks : entry.rest_chunks;
  BookUpdate update{&header, {chunk.bids(), header.bid_count}, {chunk.asks(), header.ask_count}};
  constexpr std::uint16_t kWhole = core::kFirst | core::kLast;
  bool reset = false;
  if ((header.flags & (kWhole | core::kReset)) != kWhole || assembly.active) [[unlikely]] {
    if (!assemble(entry, assembly, update)) return;
    update = {&assembly.header, assembly.bids, assembly.asks};
    reset = (assembly.header.flags & core::kReset) != 0;
  }
  assembly.skipping = false;
  if (line != nullptr) {
    const MessageHeader& whole = *update.header;
    const bool forward =
        !reset && line->order.forward(whole.first_update_id, whole.last_update_id, whole.exch_ts_ns);
    if (!forward && !sync_.in_sequence(entry, *line, whole)) return;
  }
  sync_.handle(entry, input, update);
}

// Puts a chunk of an update to those before it. True: it was the last, and all are there.
bool OrderBookManager::assemble(SymbolEntry& entry, ChunkAssembly& assembly,
                                const BookUpdate& chunk) noexcept {
  const MessageHeader& header = *chunk.header;
  if ((header.flags & core::kFirst) != 0) {
    assembly.skipping = false;
    if (assembly.active) on_broken(entry, assembly.header);  // the end of the one before never came
    assembly.active = true;
    assembly.next_chunk = 0;
    assembly.header = header;
    assembly.bids.clear();
    assembly.asks.clear();
  }
  const bool same = header.last_update_id == assembly.header.last_update_id;
  if (assembly.skipping && same) return false;
  if (!assembly.active || !same || header.chunk != assembly.next_chunk) {
    assembly.active = false;
    assembly.skipping = true;
    assembly.header = header;
    on_broken(entry, header);
    return false;
  }
  ++assembly.next_chunk;
  assembly.bids.insert(assembly.bids.end(), chunk.bids.begin(), chunk.bids.end());
  assembly.asks.insert(assembly.asks.end(), chunk.asks.begin(), chunk.asks.end());
  if ((header.flags & core::kLast) == 0) return false;
  assembly.active = false;
  return true;
}

// A chunk is missing: something between the parser and here was lost.
void OrderBookManager::on_broken(SymbolEntry& entry, const MessageHeader& chunk) noexcept {
  counters_.lost_chunks.add();
  MessageHeader cause = chunk;
  cause.reason = static_cast<std::uint8_t>(StateReason::Gap);
  const bool delta = chunk.update_type == UpdateType::Delta;
  if (delta && sync_.other_line_covers(entry, chunk)) return;  // it brings the whole of it
  sync_.handle(entry, delta ? BookSync::Input::Distrust : BookSync::Input::BrokenSnapshot, {&cause, {}, {}});
}

void OrderBookManager::on_line(const MessageHeader& line) noexcept {
  events_.emit_line(line);
  LineStatus& status = sync_.line(line.line_id);
  const bool up = static_cast<shm::LineState>(line.reason) == shm::LineState::Up;
  const bool was_up = status.up;
  status.up = up;
  status.up_since_ns = line.recv_ts_ns;
  MessageHeader cause = line;
  cause.reason = static_cast<std::uint8_t>(StateReason::Disconnected);
  for (SymbolEntry* entry : routes_) {  // by symbol: the same order every time
    EntryLine* const ridden = entry != nullptr ? entry->line(line.line_id) : nullptr;
    if (entry != nullptr && !up) entry->forget_line(line.line_id);
    if (ridden == nullptr) continue;
    if (up && !was_up) ++entry->lines_up;
    if (!up && was_up) --entry->lines_up;
    if (!up) sync_.on_line_down(*entry, *ridden, cause);
  }
}

void OrderBookManager::request_resync(core::SymbolId symbol) noexcept {
  SymbolEntry* entry = route(symbol);
  if (entry == nullptr) return;
  MessageHeader cause{};
  cause.reason = static_cast<std::uint8_t>(StateReason::Requested);
  sync_.handle(*entry, BookSync::Input::Distrust, {&cause, {}, {}});
  sync_.handle(*entry, BookSync::Input::SyncRequest, {nullptr, {}, {}});
}

void OrderBookManager::begin_sync(core::SymbolId symbol) noexcept {
  if (SymbolEntry* entry = route(symbol))
    sync_.handle(*entry, BookSync::Input::SyncRequest, {nullptr, {}, {}});
}

void OrderBookManager::begin_rest_audit(core::SymbolId symbol) noexcept {
  if (SymbolEntry* entry = route(symbol)) sync_.begin_rest_audit(*entry);
}

void OrderBookManager::begin_widening(core::SymbolId symbol) noexcept {
  if (SymbolEntry* entry = route(symbol)) sync_.begin_widening(*entry);
}

void OrderBookManager::announce() noexcept {
  for (SymbolEntry* entry : routes_) {
    if (entry == nullptr) continue;
    events_.emit_instrument(*entry);
    if (entry->state == BookState::Live) {
      events_.emit_book(*entry);
      entry->published_bbo = {};
      events_.emit_bbo_if_changed(*entry);
    }
    events_.emit_whole_table(*entry);
    events_.emit_state(*entry);
  }
}

void OrderBookManager::look(std::int64_t now_ns) noexcept {
  constexpr std::size_t kLooks = 10;
  for (std::size_t symbol = look_++ % kLooks; symbol < routes_.size(); symbol += kLooks) {
    if (SymbolEntry* entry = routes_[symbol]) sync_.look(*entry, now_ns);
  }
  refresh_.warn_if_late(routes_);
}

bool OrderBookManager::refresh_one() noexcept {
  SymbolEntry* const entry = refresh_.next(routes_);
  if (entry == nullptr) return false;
  events_.emit_refresh(*entry);
  return true;
}

// ---- what is no part of the book -------------------------------------------------------------------------

void OrderBookManager::on_trade(SymbolEntry& entry, const NormalizedMessage& message) noexcept {
  const bool aggregate = message.has(core::kAggregate);
  if (entry.rule->trade_ids_grow && !is_new_trade(aggregate ? entry.aggregates : entry.trades, message)) {
    return counters_.duplicates.add();
  }
  counters_.trades.add();
  events_.emit_trade(entry, message);
  sync_.on_trade(entry, message.header, message.trade.price);
}

bool OrderBookManager::is_new_trade(TradeIds& ids, const NormalizedMessage& message) noexcept {
  const MessageHeader& header = message.header;
  const std::uint64_t id = message.trade.trade_id;
  const IdOrder::Step step = ids.order.step(header.line_id, id, header.exch_ts_ns);
  if (step >= IdOrder::Step::Ended) [[unlikely]] {
    if (step == IdOrder::Step::Ended) return false;
    ids.seen = {};
  }
  return ids.seen.first_time(id);
}

void OrderBookManager::on_quote(SymbolEntry& entry, const NormalizedMessage& message) noexcept {
  const std::uint64_t id = message.header.last_update_id;
  const Bbo quote{message.levels[0], message.levels[1]};
  if (id != 0 && !is_new_quote(entry, message.header, quote)) return counters_.duplicates.add();
  const std::int64_t step_ns = message.header.recv_ts_ns - entry.last_quote.recv_ts_ns;
  entry.last_quote = message.header;
  entry.last_quote_bbo = quote;
  counters_.quotes.add();
  events_.emit_quote(entry, message);
  if (id != 0) sync_.on_quote(entry, message.header, quote, step_ns);
}

bool OrderBookManager::is_new_quote(SymbolEntry& entry, const MessageHeader& header,
                                    const Bbo& quote) noexcept {
  const std::uint64_t id = header.last_update_id;
  const std::uint64_t last = entry.last_quote.last_update_id;
  const IdOrder::Step step = entry.quote_order.step(header.line_id, id, header.exch_ts_ns);
  if (step >= IdOrder::Step::Ended) [[unlikely]] {
    if (step == IdOrder::Step::Ended) return false;
    sync_.on_quotes_anew(entry, last);
    return true;
  }
  return id > last || (id == last && quote != entry.last_quote_bbo);
}

void OrderBookManager::on_mark_price(SymbolEntry& entry, const NormalizedMessage& message) noexcept {
  if (message.header.exch_ts_ns <= entry.last_mark_ts_ns) return counters_.duplicates.add();
  entry.last_mark_ts_ns = message.header.exch_ts_ns;
  counters_.mark_prices.add();
  events_.emit_mark_price(entry, message);
}

// Liquidations have no id.
void OrderBookManager::on_liquidation(SymbolEntry& entry, const NormalizedMessage& message) noexcept {
  const bool same = message.header.exch_ts_ns == entry.last_liquidation.exch_ts_ns &&
                    message.header.line_id != entry.last_liquidation.line_id &&
                    message.liquidation == entry.last_liquidation_body;
  if (same) return counters_.duplicates.add();
  entry.last_liquidation = message.header;
  entry.last_liquidation_body = message.liquidation;
  counters_.liquidations.add();
  events_.emit_liquidation(entry, message);
}

}  // namespace mdp::book
