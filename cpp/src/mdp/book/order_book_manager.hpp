// OrderBookManager: routes messages to books, checks every sequence number, and emits what happened.
//
// Third stage of the road. One thread calls it: the manager thread, or in the fused topology the connector's.
// Input is NormalizedMessage (deltas, snapshots, trades, quotes, line changes), output is shm::Event through
// the EventSink and word of state changes and wanted snapshots to the BookListener.
//
// Each symbol is STALE (not usable, with a reason), SYNCING (deltas are buffered until a snapshot joins them)
// or LIVE. What each input does in each state is the table kTransitions in the source. The old book stays
// readable, marked STALE, until the new one is LIVE.
//
// A symbol may ride several lines (line_arbiter.hpp). The first copy of each update counts. A delta that begins
// beyond what is applied is no gap as long as another line may still bring what is missing: it waits, and the
// book stays LIVE as it is. Where the venue streams its own best bid and ask, the book's top is compared with
// it at every update id the two share (quote_audit.hpp).
//
// What is emitted for a symbol, in this order for each update:
//   BookSnapshot  the whole book, when it becomes LIVE (before the BookState that says so)
//   BookDelta     every update applied to a LIVE book: absolute quantities, zero removes; a level the
//                 depth cap cuts is removed here too
//   BookSnapshot  with kFlagTop: its best levels again, at an interval if BookOptions asks for them
//   Bbo           when the best bid or offer is another than the last one emitted
//   BookState     every change of state or of its reason
//   Trade, Bbo with kFlagVenueQuote, MarkPrice, Liquidation, ConnectionStatus: as they come
// Whoever takes whole snapshots and deltas in order (and leaves those with kFlagTop) has the book exactly as
// it is here whenever it is LIVE. An update that crosses the book or fails the audit is not emitted: STALE comes
// in its place.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <memory_resource>
#include <span>
#include <unordered_map>
#include <vector>

#include "mdp/book/line_arbiter.hpp"
#include "mdp/book/order_book.hpp"
#include "mdp/book/quote_audit.hpp"
#include "mdp/core/counters.hpp"
#include "mdp/core/sinks.hpp"
#include "mdp/core/sync_rule.hpp"

namespace mdp::book {

using shm::BookState;
using shm::StateReason;

// What control needs to know. Called on the manager's thread, so it must not block or allocate.
class BookListener {
 public:
  virtual void on_book_state(core::SymbolId symbol, BookState state, StateReason reason,
                             std::uint64_t update_id) noexcept = 0;
  // The book is SYNCING and waits for a snapshot. Comes again when the one that came could not be used.
  virtual void on_snapshot_wanted(core::SymbolId symbol, StateReason reason) noexcept = 0;
  // The book's top is not what the venue's own stream says at this id. The book goes STALE after this.
  virtual void on_audit_mismatch(core::SymbolId symbol, std::uint64_t update_id, const Bbo& book,
                                 const Bbo& quote) noexcept = 0;

 protected:
  ~BookListener() = default;
};

struct BookOptions {
  std::size_t depth_cap = 0;          // levels kept a side, 0 for all
  std::size_t table_levels = 20;      // best levels a side for the book table; at most kMaxEventLevels / 2
  std::size_t reserve_levels = 2048;  // room a side made when a symbol is added
  std::size_t max_buffered_deltas =
      4096;  // while SYNCING, a symbol; beyond: STALE, and the buffer starts anew
  std::size_t max_buffered_levels = 1 << 18;
  // The best table_levels a side into the ring, with the first update this long (by receive time) after the
  // last one; 0: never. For readers that join late or were lapped and want no more than the top.
  std::int64_t snapshot_interval_ns = 0;
  bool self_audit = true;  // compare with the venue's best bid and ask where it comes
  // A delta behind a hole waits for another line this long (by receive time), and with so many others at most.
  std::int64_t max_hole_ns = 1'000'000'000;
  std::size_t max_deltas_behind_hole = 256;
  // A line that is up for so long brings every symbol it carries, even those that have been quiet.
  std::int64_t line_settle_ns = 1'000'000'000;
  // A LIVE book that the venue's quotes have been ahead of for so long (by receive time, a pause between two of
  // them counting a tenth of it at most) without one update is STALE (Gap): its stream is silent.
  std::int64_t max_silence_ns = 5'000'000'000;
  // Where the levels of all books lie; outlives the manager. Huge pages pay from some hundred books on.
  std::pmr::memory_resource* memory = std::pmr::new_delete_resource();
};

struct BookCounters {
  core::Counter updates;         // deltas applied to a LIVE book
  core::Counter updates_joined;  // buffered deltas applied to the snapshot they waited for
  core::Counter
      duplicates;        // what came again: deltas that ended within what was applied, trades, quotes, ...
  core::Counter holes;   // deltas that had to wait for another line to bring what was missing before them
  core::Counter audits;  // times the venue's best bid and ask stood at an id of the book's
  core::Counter audit_mismatches;
  core::Counter trades;
  core::Counter quotes;
  core::Counter mark_prices;
  core::Counter liquidations;
  core::Counter gaps;         // holes in the sequence, in LIVE books and among buffered deltas
  core::Counter lost_chunks;  // snapshots and deltas of which a part was missing
  core::Counter resyncs;      // times a book left LIVE, other than by its removal
  core::Counter crossed;
  core::Counter snapshots_applied;
  core::Counter snapshots_too_old;
  core::Counter snapshots_unused;  // came for a book that did not wait for one
  core::Counter buffer_overflows;
  core::Counter unroutable;  // messages for a symbol this manager doesn't have
};

class OrderBookManager {
 public:
  // Both outlive the manager.
  OrderBookManager(core::EventSink& events, BookListener& listener, const BookOptions& options = {});
  ~OrderBookManager();
  OrderBookManager(const OrderBookManager&) = delete;
  OrderBookManager& operator=(const OrderBookManager&) = delete;

  // Set-up, or while running on the manager's thread. The book starts STALE (Starting). `rule` outlives the
  // manager. `lines` are those its book updates may come on; a message of another one is unroutable.
  void add_symbol(core::SymbolId symbol, core::ExchangeId exchange, std::span<const core::LineId> lines,
                  const core::SyncRule& rule);
  // STALE (Unsubscribed) is emitted and the book is gone; messages still on their way are counted as
  // unroutable. Unknown symbols are ignored.
  void remove_symbol(core::SymbolId symbol) noexcept;

  // Set-up, or while running on the manager's thread. Where to count what this line wins; outlives the manager.
  void set_line_counters(core::LineId line, LineCounters& counters);

  // The message path. Does not allocate once the books have grown to their size.
  void on_message(const core::NormalizedMessage& message) noexcept;

  // Control, on the manager's thread: leave whatever state it is in, and begin again with a fresh snapshot.
  void request_resync(core::SymbolId symbol) noexcept;
  // Control, on the manager's thread: a STALE book that waits for its first delta need not wait longer (quiet
  // symbols). Does nothing while its line is down: a snapshot without deltas to follow would not stay right.
  void begin_sync(core::SymbolId symbol) noexcept;

  // nullptr: not here.
  const OrderBook* book(core::SymbolId symbol) const noexcept;
  BookState state(core::SymbolId symbol) const noexcept;
  std::size_t symbol_count() const noexcept { return books_.size(); }
  const BookCounters& counters() const noexcept { return counters_; }

 private:
  struct Entry;
  struct EntryLine;
  // One whole book update, its chunks joined.
  struct Update {
    const core::MessageHeader* header;
    std::span<const PriceLevel> bids;
    std::span<const PriceLevel> asks;
  };
  enum class Input : std::uint8_t {
    Delta,
    Snapshot,
    BrokenSnapshot,
    Distrust,
    LineDown,
    SyncRequest,
    Remove
  };
  static constexpr std::size_t kInputs = 7;
  static constexpr std::size_t kStates = 3;
  using Action = void (OrderBookManager::*)(Entry&, const Update&) noexcept;
  static const Action kTransitions[kStates][kInputs];

  // Actions of the table.
  void ignore(Entry&, const Update&) noexcept;
  void start_buffering(Entry&, const Update& delta) noexcept;
  void buffer(Entry&, const Update& delta) noexcept;
  void apply_live(Entry&, const Update& delta) noexcept;
  void join(Entry&, const Update& snapshot) noexcept;
  void stale_snapshot(Entry&, const Update& snapshot) noexcept;
  void live_snapshot(Entry&, const Update& snapshot) noexcept;
  void want_another(Entry&, const Update& snapshot) noexcept;
  void live_broken_snapshot(Entry&, const Update& snapshot) noexcept;
  void distrust(Entry&, const Update& cause) noexcept;  // header.reason says why
  void start_empty(Entry&, const Update&) noexcept;
  void remove(Entry&, const Update&) noexcept;

  LineStatus& line_status(core::LineId line);
  bool covers(const EntryLine& line, std::int64_t now_ns) const noexcept;
  bool other_line_covers(const Entry& entry, const core::MessageHeader& cause) const noexcept;
  bool hole_may_be_filled(const Entry& entry) const noexcept;
  void count_copy(Entry& entry, const core::MessageHeader& delta, bool first) noexcept;

  core::SequenceVerdict check(const Entry& entry, const core::MessageHeader& delta) const noexcept;
  bool apply_next(Entry& entry, const Update& delta) noexcept;
  void wait_behind_hole(Entry& entry, const Update& delta) noexcept;
  void apply_waiting(Entry& entry) noexcept;
  void gap(Entry& entry) noexcept;
  void silent(Entry& entry, const core::MessageHeader& quote) noexcept;
  void audit(Entry& entry, const QuoteAudit::Result& result, std::uint64_t update_id) noexcept;

  Entry* route(core::SymbolId symbol) noexcept { return symbol < routes_.size() ? routes_[symbol] : nullptr; }
  void dispatch(Entry& entry, Input input, const Update& update) noexcept;
  void on_quote(Entry& entry, const core::NormalizedMessage& message) noexcept;
  void on_trade(Entry& entry, const core::NormalizedMessage& message) noexcept;
  void on_mark_price(Entry& entry, const core::NormalizedMessage& message) noexcept;
  void on_liquidation(Entry& entry, const core::NormalizedMessage& message) noexcept;
  void on_book_chunk(Entry& entry, const core::NormalizedMessage& chunk) noexcept;
  void on_broken(Entry& entry, const core::MessageHeader& chunk) noexcept;
  void on_line(const core::MessageHeader& line) noexcept;
  void go_stale(Entry& entry, StateReason reason) noexcept;
  void begin_syncing(Entry& entry, StateReason reason) noexcept;
  void install(Entry& entry, const Update& snapshot) noexcept;

  shm::EventHeader& begin_event(const Entry& entry, shm::EventType type, std::uint8_t flags) noexcept;
  void emit_state(Entry& entry, BookState state, StateReason reason) noexcept;
  void emit_levels(const Entry& entry, shm::EventType type, const Update& update) noexcept;
  void emit_bbo_if_changed(Entry& entry) noexcept;
  void emit_delta(Entry& entry, const Update& delta) noexcept;
  void emit_top_when_due(Entry& entry) noexcept;
  void emit_best(Entry& entry, std::uint8_t flags) noexcept;
  void emit_table(Entry& entry, bool same_levels) noexcept;
  void begin_market_event(const Entry& entry, shm::EventType type, std::uint8_t flags,
                          const core::MessageHeader& header) noexcept;
  void emit_mark_price(const Entry& entry, const core::NormalizedMessage& message) noexcept;
  void emit_liquidation(const Entry& entry, const core::NormalizedMessage& message) noexcept;
  void emit_trade(const Entry& entry, const core::NormalizedMessage& message) noexcept;
  void emit_quote(const Entry& entry, const core::NormalizedMessage& message) noexcept;

  core::EventSink& events_;
  BookListener& listener_;
  BookOptions options_;
  BlockPool pool_;                                                    // of all books: before them
  std::unordered_map<core::SymbolId, std::unique_ptr<Entry>> books_;  // owns
  std::vector<Entry*> routes_;                                        // by symbol_id
  std::vector<LineStatus> lines_;                                     // by line_id
  std::vector<PriceLevel> scratch_;  // a whole book, or a delta with what was cut
  BookCounters counters_;
};

}  // namespace mdp::book
