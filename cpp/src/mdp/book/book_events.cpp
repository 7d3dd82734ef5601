#include "mdp/book/book_events.hpp"

#include <algorithm>
#include <iterator>

namespace mdp::book {

using core::NormalizedMessage;
using shm::EventType;

namespace {

constexpr std::uint16_t kTableFlags = shm::kFlagFirst | shm::kFlagLast | shm::kFlagTop | core::kFlagTableOnly;

// Where ids skip, because the venue shares them among its symbols, an update covers all from its predecessor
// on: whoever reads the events can then check every venue's in one way.
std::uint64_t first_covered(const core::BookRule& rule, const MessageHeader& header) noexcept {
  const bool linked = rule.chained() && header.prev_update_id != 0;
  return linked ? header.prev_update_id + 1 : header.first_update_id;
}

}  // namespace

shm::EventHeader& BookEvents::begin(const SymbolEntry& entry, EventType type, std::uint16_t flags) noexcept {
  shm::EventHeader& event = sink_.slot().header;
  event.size_lines = 0;  // size, sequence and pub_ts_ns are the publisher's
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

void BookEvents::emit_instrument(const SymbolEntry& entry) noexcept {
  begin(entry, EventType::Instrument, shm::kFlagFirst | shm::kFlagLast);
  sink_.commit();
}

void BookEvents::emit_state(const SymbolEntry& entry, shm::StateReason reason) noexcept {
  begin(entry, EventType::BookState, shm::kFlagFirst | shm::kFlagLast);
  sink_.slot().book_state = {entry.known_bid(), entry.known_ask(), entry.state, reason, {}};
  sink_.commit();
}

// ---- of the book's levels ---------------------------------------------------------------------------------

// One record, or several where the update is larger than one; bids before asks. `extra_flags`: of each.
void BookEvents::emit_levels(const SymbolEntry& entry, EventType type, std::span<const PriceLevel> bids,
                             std::span<const PriceLevel> asks, std::uint16_t extra_flags) noexcept {
  std::uint16_t flags = shm::kFlagFirst | extra_flags;
  for (;;) {
    const std::size_t bid_count = std::min(bids.size(), shm::kMaxRecordLevels);
    const std::size_t ask_count = std::min(asks.size(), shm::kMaxRecordLevels - bid_count);
    const bool last = bid_count == bids.size() && ask_count == asks.size();
    if (last) flags |= options_.book_checksum ? shm::kFlagLast | shm::kFlagChecksum : shm::kFlagLast;
    shm::EventHeader& event = begin(entry, type, flags);
    if (extra_flags != 0) [[unlikely]]
      event.first_update_id = event.update_id;  // it covers no update
    event.bid_count = static_cast<std::uint16_t>(bid_count);
    event.ask_count = static_cast<std::uint16_t>(ask_count);
    PriceLevel* const levels = sink_.slot().levels;
    std::copy_n(bids.data(), bid_count, levels);
    std::copy_n(asks.data(), ask_count, levels + bid_count);
    // Behind the levels; kMaxRecordLevels leaves room for it.
    levels[bid_count + ask_count].price = static_cast<std::int64_t>(entry.book.checksum());
    sink_.commit();
    if (last) return;
    bids = bids.subspan(bid_count);
    asks = asks.subspan(ask_count);
    flags = extra_flags;
  }
}

void BookEvents::emit_bbo_if_changed(SymbolEntry& entry) noexcept {
  const Bbo bbo = entry.book.bbo();
  if (bbo == entry.published_bbo) return;
  entry.published_bbo = bbo;
  begin(entry, EventType::Bbo, shm::kFlagFirst | shm::kFlagLast);
  sink_.slot().bbo = {bbo.bid, bbo.ask};
  sink_.commit();
}

void BookEvents::emit_whole(SymbolEntry& entry, std::uint16_t extra_flags) noexcept {
  if (options_.ring_steps != nullptr) entry.whole_at_step = options_.ring_steps->get();
  const std::size_t bid_count = entry.book.bid_count();
  scratch_.resize(bid_count + entry.book.ask_count());
  entry.book.copy_bids(scratch_.data(), bid_count);
  entry.book.copy_asks(scratch_.data() + bid_count, entry.book.ask_count());
  const std::span all(scratch_);
  emit_levels(entry, EventType::BookSnapshot, all.first(bid_count), all.subspan(bid_count), extra_flags);
}

// What the depth cap cut goes with the update that made it: a reader's book is cut as this one is.
void BookEvents::emit_delta(const SymbolEntry& entry, const BookUpdate& delta) noexcept {
  const OrderBook& book = entry.book;
  if (!book.passed_over() && !book.was_cut()) {
    return emit_levels(entry, EventType::BookDelta, delta.bids, delta.asks);
  }
  // A removal stays after a cut: its level may have been there until now, and is not among those that were
  // cut.
  const bool cut = book.was_cut();
  scratch_.clear();
  std::copy_if(
      delta.bids.begin(), delta.bids.end(), std::back_inserter(scratch_),
      [&](const PriceLevel& bid) { return bid.price >= book.known_bid() || (cut && bid.quantity == 0); });
  scratch_.insert(scratch_.end(), book.cut_bids().begin(), book.cut_bids().end());
  const std::size_t bid_count = scratch_.size();
  std::copy_if(
      delta.asks.begin(), delta.asks.end(), std::back_inserter(scratch_),
      [&](const PriceLevel& ask) { return ask.price <= book.known_ask() || (cut && ask.quantity == 0); });
  scratch_.insert(scratch_.end(), book.cut_asks().begin(), book.cut_asks().end());
  const std::span all(scratch_);
  emit_levels(entry, EventType::BookDelta, all.first(bid_count), all.subspan(bid_count));
}

[[gnu::always_inline]] inline void BookEvents::emit_best(const SymbolEntry& entry,
                                                         std::uint16_t flags) noexcept {
  shm::EventHeader& event = begin(entry, EventType::BookSnapshot, flags);
  PriceLevel* const levels = sink_.slot().levels;
  event.bid_count = static_cast<std::uint16_t>(entry.book.copy_bids(levels, options_.table_levels));
  event.ask_count =
      static_cast<std::uint16_t>(entry.book.copy_asks(levels + event.bid_count, options_.table_levels));
  sink_.commit();
}

void BookEvents::emit_table(const SymbolEntry& entry, bool same_levels) noexcept {
  if (!same_levels) return emit_best(entry, kTableFlags);
  begin(entry, EventType::BookSnapshot, kTableFlags | core::kFlagSameLevels);
  sink_.commit();
}

void BookEvents::emit_top(const SymbolEntry& entry) noexcept {
  emit_best(entry, shm::kFlagFirst | shm::kFlagLast | shm::kFlagTop);
}

void BookEvents::emit_whole_table(const SymbolEntry& entry) noexcept { emit_best(entry, kTableFlags); }

void BookEvents::emit_same_table(const SymbolEntry& entry) noexcept {
  begin(entry, EventType::BookSnapshot, kTableFlags | core::kFlagSameLevels);
  sink_.commit();
}

// ---- of messages that are no part of the book -------------------------------------------------------------

void BookEvents::begin_market(const SymbolEntry& entry, EventType type, std::uint16_t flags,
                              const MessageHeader& header) noexcept {
  shm::EventHeader& event = begin(entry, type, shm::kFlagFirst | shm::kFlagLast | flags);
  event.update_id = header.last_update_id;
  event.first_update_id = header.first_update_id;
  event.exch_ts_ns = header.exch_ts_ns;
  event.recv_ts_ns = header.recv_ts_ns;
}

void BookEvents::emit_trade(const SymbolEntry& entry, const NormalizedMessage& message) noexcept {
  const std::uint16_t flags = message.has(core::kAggregate) ? shm::kFlagAggregate : 0;
  begin_market(entry, EventType::Trade, flags, message.header);
  sink_.slot().trade = {
      message.trade.price, message.trade.quantity, message.trade.trade_id, message.trade.side, {}};
  sink_.commit();
}

void BookEvents::emit_quote(const SymbolEntry& entry, const NormalizedMessage& message) noexcept {
  begin_market(entry, EventType::Bbo, shm::kFlagVenueQuote, message.header);
  sink_.slot().bbo = {message.levels[0], message.levels[1]};
  sink_.commit();
}

void BookEvents::emit_mark_price(const SymbolEntry& entry, const NormalizedMessage& message) noexcept {
  begin_market(entry, EventType::MarkPrice, 0, message.header);
  sink_.slot().mark_price = message.mark_price;
  sink_.commit();
}

void BookEvents::emit_liquidation(const SymbolEntry& entry, const NormalizedMessage& message) noexcept {
  begin_market(entry, EventType::Liquidation, 0, message.header);
  sink_.slot().liquidation = message.liquidation;
  sink_.commit();
}

void BookEvents::emit_line(const MessageHeader& line) noexcept {
  shm::EventHeader& event = sink_.slot().header;
  event = {};
  event.type = EventType::ConnectionStatus;
  event.flags = shm::kFlagFirst | shm::kFlagLast;
  event.exchange_id = line.exchange_id;
  event.symbol_id = shm::kNoSymbol;
  event.recv_ts_ns = line.recv_ts_ns;
  sink_.slot().connection_status = {line.line_id, static_cast<shm::LineState>(line.reason), {}};
  sink_.commit();
}

}  // namespace mdp::book
