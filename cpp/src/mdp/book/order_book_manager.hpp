// OrderBookManager: routes messages to books, checks every sequence number, and emits what happened.
//
// Third stage of the road. One thread calls it: the manager thread, or in the fused topology the connector's.
// Input is NormalizedMessage (deltas, snapshots, trades, quotes, line changes), output is shm::Event through
// the EventSink and word of state changes and wanted snapshots to the BookListener.
//
// Here messages are routed to their symbol (SymbolEntry), chunks of one update are put together, and what is
// no part of a book (trades, quotes, mark prices, liquidations) is told once of however many lines bring it.
// Book updates and whatever casts doubt on a book go to BookSync, the state machine; both write through
// BookEvents.
//
// What is emitted for a symbol, in this order for each update:
//   BookSnapshot  the whole book as far as it is known, when it becomes LIVE (before the BookState that says so),
//                 and when a LIVE book is known deeper than before
//   BookDelta     every update applied to a LIVE book: absolute quantities, zero removes; a level the
//                 depth cap cuts is removed here too, one beyond what is known is left out
//   BookSnapshot  with kFlagTop: its best levels again, at an interval if BookOptions asks for them
//   BookSnapshot  with kFlagRefresh: a LIVE book again as a whole, at any time between two updates
//                 (book_refresh.hpp)
//   Bbo           when the best bid or offer is another than the last one emitted
//   BookState     every change of state or of its reason, with the prices that the book is known to; again
//                 (DepthChanged) when those become others while it is LIVE
//   Trade, Bbo with kFlagVenueQuote, MarkPrice, Liquidation, ConnectionStatus: as they come
// Whoever takes whole snapshots and deltas in order (and leaves those with kFlagTop) has the book exactly as
// it is here whenever it is LIVE. An update that crosses the book or fails the audit is not emitted: STALE
// comes in its place.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <unordered_map>
#include <vector>

#include "mdp/book/book_control.hpp"
#include "mdp/book/book_events.hpp"
#include "mdp/book/book_refresh.hpp"
#include "mdp/book/book_sync.hpp"
#include "mdp/book/symbol_entry.hpp"

namespace mdp::book {

class OrderBookManager {
 public:
  // Both outlive the manager.
  OrderBookManager(core::EventSink& events, BookListener& listener, const BookOptions& options = {});
  OrderBookManager(const OrderBookManager&) = delete;
  OrderBookManager& operator=(const OrderBookManager&) = delete;

  // Set-up, or while running on the manager's thread. The book starts STALE (Starting). `rule` outlives the
  // manager. `lines` are those its book updates may come on; a message of another one is unroutable.
  // `instrument` is what the rule's checksum is given, where it has one; it is copied.
  void add_symbol(core::SymbolId symbol, core::ExchangeId exchange, std::span<const core::LineId> lines,
                  const core::BookRule& rule, const core::Instrument& instrument = {});
  // STALE (Unsubscribed) and an Instrument record are emitted and the book is gone; messages still on their
  // way are counted as unroutable. Unknown symbols are ignored.
  void remove_symbol(core::SymbolId symbol) noexcept;

  // Set-up, or while running on the manager's thread. Where to count what this line wins; outlives the
  // manager.
  void set_line_counters(core::LineId line, LineCounters& counters);

  // The message path. Does not allocate once the books have grown to their size.
  void on_message(const core::NormalizedMessage& message) noexcept {
    handle(message);
    if (refresh_.due()) [[unlikely]]
      refresh_one();
  }

  // For times without messages, on the manager's thread: publishes one book again if one is due. False: none.
  bool refresh_one() noexcept;
  bool refresh_due() const noexcept { return refresh_.due(); }

  // Control, on the manager's thread: leave whatever state it is in, and begin again with a fresh snapshot.
  void request_resync(core::SymbolId symbol) noexcept;
  // Control, on the manager's thread: a STALE book that waits for its first delta need not wait longer (quiet
  // symbols). Does nothing while its line is down: a snapshot without deltas to follow would not stay right.
  void begin_sync(core::SymbolId symbol) noexcept;

  // Control, on the manager's thread, before it asks for the snapshot of an audit: a LIVE book keeps what is
  // applied from now on, and the next snapshot that comes is compared with it. Does nothing in another state.
  void begin_rest_audit(core::SymbolId symbol) noexcept;

  // Control, on the manager's thread, before it asks for a snapshot to make a LIVE book known deeper: as an
  // audit, and where the two agree each side is the one that is known further. One snapshot that contradicts
  // the book is dropped (venues have given old ones under a new id), a second one in a row makes it STALE.
  void begin_widening(core::SymbolId symbol) noexcept;

  // Control, on the manager's thread, when all that was published is gone: every instrument again, its book
  // in whole where it is LIVE, its table entry and its state.
  void announce() noexcept;

  // Control's clock, on the manager's thread: looks at a tenth of the books, those whose turn it is. Ten
  // times a second then makes the look a second at every book that stream_watch.hpp counts with. `now_ns`: of
  // the receive clock.
  void look(std::int64_t now_ns) noexcept;

  // nullptr: not here.
  const OrderBook* book(core::SymbolId symbol) const noexcept;
  BookState state(core::SymbolId symbol) const noexcept;
  std::size_t symbol_count() const noexcept { return books_.size(); }
  const BookCounters& counters() const noexcept { return counters_; }

 private:
  void handle(const core::NormalizedMessage& message) noexcept;
  SymbolEntry* route(core::SymbolId symbol) const noexcept {
    return symbol < routes_.size() ? routes_[symbol] : nullptr;
  }
  void on_checksum(SymbolEntry& entry, const MessageHeader& header) noexcept;
  void on_book_chunk(SymbolEntry& entry, const core::NormalizedMessage& chunk) noexcept;
  bool assemble(SymbolEntry& entry, ChunkAssembly& assembly, const BookUpdate& chunk) noexcept;
  void on_broken(SymbolEntry& entry, const MessageHeader& chunk) noexcept;
  void on_line(const MessageHeader& line) noexcept;
  void on_trade(SymbolEntry& entry, const core::NormalizedMessage& message) noexcept;
  static bool is_new_trade(TradeIds& ids, const core::NormalizedMessage& message) noexcept;
  void on_quote(SymbolEntry& entry, const core::NormalizedMessage& message) noexcept;
  bool is_new_quote(SymbolEntry& entry, const MessageHeader& header, const Bbo& quote) noexcept;
  void on_mark_price(SymbolEntry& entry, const core::NormalizedMessage& message) noexcept;
  void on_liquidation(SymbolEntry& entry, const core::NormalizedMessage& message) noexcept;

  BookOptions options_;
  BookCounters counters_;
  BookEvents events_;
  BookSync sync_;
  BookRefresh refresh_;
  BlockPool pool_;                                                          // of all books: before them
  std::unordered_map<core::SymbolId, std::unique_ptr<SymbolEntry>> books_;  // owns
  std::vector<SymbolEntry*> routes_;                                        // by symbol_id
  std::size_t look_ = 0;                                                    // how often control looked
};

}  // namespace mdp::book
