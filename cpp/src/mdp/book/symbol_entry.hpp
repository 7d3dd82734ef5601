// SymbolEntry: all that the book manager knows of one symbol. The manager's thread alone touches it.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "mdp/book/book_control.hpp"
#include "mdp/book/delta_buffer.hpp"
#include "mdp/book/depth_watch.hpp"
#include "mdp/book/id_order.hpp"
#include "mdp/book/line_arbiter.hpp"
#include "mdp/book/order_book.hpp"
#include "mdp/book/quote_audit.hpp"
#include "mdp/book/rest_audit.hpp"
#include "mdp/book/stream_watch.hpp"
#include "mdp/book/window_range.hpp"
#include "mdp/core/book_rule.hpp"
#include "mdp/core/instrument.hpp"
#include "mdp/core/normalized_message.hpp"

namespace mdp::book {

using core::MessageHeader;

// One whole book update, its chunks joined.
struct BookUpdate {
  const core::MessageHeader* header;
  std::span<const PriceLevel> bids;
  std::span<const PriceLevel> asks;
};

// An update of which not every chunk is there yet. Deltas and snapshots have one each: a snapshot comes from
// the REST thread's queue, and deltas of the line are handled between its chunks.
struct ChunkAssembly {
  MessageHeader header{};
  std::vector<PriceLevel> bids;
  std::vector<PriceLevel> asks;
  std::uint16_t next_chunk = 0;
  bool active = false;
  bool skipping = false;  // a chunk of header.last_update_id was missing: the rest of it is of no use
};

// One of the lines a symbol rides.
struct EntryLine {
  core::LineId id;
  bool proven = false;      // brought an update of this symbol since it is up
  bool rejected = false;    // the venue refuses the symbol's book on it
  bool unreadable = false;  // the symbol's last frame on it could not be read
  IdOrder order;            // of the updates it brings
  ChunkAssembly chunks;     // of what the line brings, which is one update after the other
};

// What tells the first copy of a trade.
struct TradeIds {
  LineOrders order;
  SeenIds seen;
};

// One symbol: its book, where its sync stands, and what tells copies. Owned by OrderBookManager, which routes
// to it; BookSync alone changes its state and its book.
struct SymbolEntry {
  core::SymbolId symbol;
  core::ExchangeId exchange;
  const core::BookRule* rule;
  BookState state = BookState::Stale;
  StateReason reason = StateReason::None;
  bool joined = false;                     // a delta followed the snapshot: from now on check_next() holds
  bool silent = false;                     // STALE because it is silent: it stays so until an update comes
  bool widening = false;                   // the rest_audit under way is there to make the book known deeper
  bool disputed = false;                   // the last snapshot for that contradicted the book
  bool anew = false;                       // its ids began anew, and no sync has come of it yet
  bool windowed = false;                   // as the rule says, for every delta asks
  DepthNeed depth_need = DepthNeed::None;  // as the listener was told
  DepthWatch depth;
  std::uint64_t last_id = 0;     // applied so far; the snapshot's id until joined
  std::int64_t next_top_ns = 0;  // when the next snapshot of the top is due
  MessageHeader last_header{};   // of the message being handled: ids and times of what is emitted
  Bbo published_bbo;
  std::size_t lines_up = 0;
  std::vector<EntryLine> lines;
  std::unique_ptr<QuoteAudit> audit;  // made at the first quote that has an id
  std::unique_ptr<RestAudit>
      rest_audit;  // LIVE only, from begin_rest_audit() or begin_widening() to its outcome
  OrderBook book;
  OrderBook next;      // built while SYNCING, becomes `book` when it is right; LIVE: a REST audit's snapshot
  DeltaBuffer buffer;  // SYNCING: deltas that wait for the snapshot; LIVE: those behind a hole
  ChunkAssembly rest_chunks;
  FirstCopies copies;
  EndedSequence ended;  // of updates
  TradeIds trades;
  TradeIds aggregates;
  LineOrders quote_order;
  EndedSequence quotes_ended;
  MessageHeader last_quote{};
  Bbo last_quote_bbo;
  std::int64_t last_mark_ts_ns = 0;
  MessageHeader last_liquidation{};
  shm::LiquidationBody last_liquidation_body{};
  StreamWatch watch;
  WindowRange window;                                  // where the rule says that the book is one
  std::unique_ptr<const core::Instrument> instrument;  // where the rule has a checksum
  std::uint64_t whole_at_step = 0;  // BookOptions::ring_steps when the whole book was last published

  // Starts to fetch what every delta needs, all lines at once: with many books none of them is near.
  void prefetch() const noexcept {
    const char* const end = reinterpret_cast<const char*>(&next);
    for (auto* at = reinterpret_cast<const char*>(this); at < end; at += shm::kCacheLineSize) {
      __builtin_prefetch(at);
    }
  }

  SymbolEntry(core::SymbolId symbol_, core::ExchangeId exchange_, std::span<const core::LineId> line_ids,
              const core::BookRule& rule_, const core::Instrument& instrument_, const BookOptions& options,
              BlockPool& pool)
      : symbol(symbol_),
        exchange(exchange_),
        rule(&rule_),
        windowed(rule_.windowed()),
        depth(options.table_levels),
        book(rule_.windowed() ? 0 : options.book_depth,  // a window is short, and ends where the venue says
             &pool, options.book_checksum),
        next(rule_.windowed() ? 0 : options.book_depth, &pool, options.book_checksum),
        watch(options.max_silence_ns) {
    if (rule_.checksum.of != nullptr) instrument = std::make_unique<const core::Instrument>(instrument_);
    book.reserve(options.reserve_levels);
    next.reserve(options.reserve_levels);
    for (const core::LineId id : line_ids) lines.push_back({id, false, false, false, {}, {}});
  }

  EntryLine* line(core::LineId id) noexcept {
    for (EntryLine& line : lines) {
      if (line.id == id) return &line;
    }
    return nullptr;
  }

  // A line is gone, whatever it brought of the symbol beside book updates.
  void forget_line(core::LineId id) noexcept {
    trades.order.on_line_down(id);
    aggregates.order.on_line_down(id);
    quote_order.on_line_down(id);
  }

  // Of the ring, that the whole book takes as one update.
  std::uint64_t whole_bytes() const noexcept {
    const std::uint64_t levels = book.bid_count() + book.ask_count();
    const std::uint64_t full = levels == 0 ? 0 : (levels - 1) / shm::kMaxRecordLevels;
    const std::uint64_t rest = levels - full * shm::kMaxRecordLevels;
    return full * shm::record_size_bytes(sizeof(PriceLevel) * shm::kMaxRecordLevels) +
           shm::record_size_bytes(sizeof(PriceLevel) * rest + sizeof(std::uint64_t));
  }

  // The last prices of which everything is known.
  std::int64_t known_bid() const noexcept { return windowed ? window.known_bid() : book.known_bid(); }
  std::int64_t known_ask() const noexcept { return windowed ? window.known_ask() : book.known_ask(); }

  // How far the updates have come on the lines that count, and the venue's time of that.
  std::uint64_t reached() const noexcept {
    std::uint64_t id = 0;
    for (const EntryLine& line : lines) id = line.order.ended() ? id : std::max(id, line.order.reached());
    return id;
  }
  std::int64_t reached_ts_ns() const noexcept {
    std::int64_t ts_ns = 0;
    for (const EntryLine& line : lines) {
      ts_ns = line.order.ended() ? ts_ns : std::max(ts_ns, line.order.reached_ts_ns());
    }
    return ts_ns;
  }
};

}  // namespace mdp::book
