// BookSync: brings books into sync and keeps them so; the one place that changes an entry's state and levels.
//
// Each symbol is STALE (not usable, with a reason), SYNCING (deltas are buffered until a snapshot joins them)
// or LIVE. What each input does in each state is the table kTransitions in the source. The old book stays
// readable, marked STALE, until the new one is LIVE.
//
// Nothing is emitted of a book before all that is known of it was checked: see refuted().
//
// A symbol may ride several lines (line_arbiter.hpp). The first copy of each update counts. A delta that
// begins beyond what is applied is no gap as long as another line may still bring what is missing: it waits,
// and the book stays LIVE as it is. Where the venue streams its own best bid and ask, the book's top is
// compared with it at every update id the two share (quote_audit.hpp). Where control asks for it, the whole
// book is compared with a snapshot over REST (rest_audit.hpp).
//
// Two things leave a book as it is for ever, though every update that comes is in order: ids that begin anew
// (id_order.hpp), and a stream that dries up (stream_watch.hpp).
//
// Part of OrderBookManager, which owns the entries and routes to them. The manager's thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "mdp/book/book_control.hpp"
#include "mdp/book/book_events.hpp"
#include "mdp/book/line_arbiter.hpp"
#include "mdp/book/symbol_entry.hpp"

namespace mdp::book {

class BookSync {
 public:
  enum class Input : std::uint8_t {
    Delta,
    Snapshot,
    BrokenSnapshot,
    Distrust,
    LineDown,
    SyncRequest,
    Remove
  };

  // All outlive this.
  BookSync(BookEvents& events, BookListener& listener, const BookOptions& options, BookCounters& counters)
      : events_(events), listener_(listener), options_(options), counters_(counters) {}

  // A new entry: STALE (Starting).
  void start(SymbolEntry& entry) noexcept;

  // `update.header` is nullptr where no message is behind the input.
  void handle(SymbolEntry& entry, Input input, const BookUpdate& update) noexcept {
    // A request of control has no message behind it, and so no receive time to measure a latency from.
    entry.last_header = update.header != nullptr ? *update.header : MessageHeader{};
    // Two steps: in one, g++ 12 with -fsanitize=bounds checks an index it has not computed.
    const Action action =
        kTransitions[static_cast<std::size_t>(entry.state)][static_cast<std::size_t>(input)];
    (this->*action)(entry, update);
  }

  // The venue's best bid and ask after update `header.last_update_id`, which is not 0; `step_ns`: since the
  // one before.
  void on_quote(SymbolEntry& entry, const MessageHeader& header, const Bbo& quote,
                std::int64_t step_ns) noexcept;

  // A whole update of `line` whose id the line has passed, or that begins anew by the venue's word. False:
  // nothing comes of it. True: it goes on to handle(), a book that it does not follow being STALE
  // (SequenceReset) by then.
  bool in_sequence(SymbolEntry& entry, EntryLine& line, const MessageHeader& update) noexcept;
  // The venue's checksum of the book as it stands, in a message of its own.
  void on_checksum(SymbolEntry& entry, const MessageHeader& header) noexcept;
  // The venue's quotes have begun anew; the first such, after those up to `ended_at`.
  void on_quotes_anew(SymbolEntry& entry, std::uint64_t ended_at) noexcept;
  // A trade of the venue's, the first copy of it.
  void on_trade(SymbolEntry& entry, const MessageHeader& header, std::int64_t price) noexcept {
    if (entry.state == BookState::Live && entry.watch.looks_at_trade(header.recv_ts_ns)) {
      weigh_trade(entry, header, price);
    }
  }
  // Control looks at the entry, about once a second; `now_ns` is of the receive clock.
  void look(SymbolEntry& entry, std::int64_t now_ns) noexcept;

  // The next snapshot of the entry, if it is LIVE now and its snapshots come over REST, is for an audit.
  void begin_rest_audit(SymbolEntry& entry) noexcept;
  // Likewise, to make the book known deeper.
  void begin_widening(SymbolEntry& entry) noexcept;

  // What is known of a line; makes room for it. Valid until the next call for another one.
  LineStatus& line(core::LineId line);
  // One of the entry's lines, that of `cause`, is gone.
  void on_line_down(SymbolEntry& entry, EntryLine& lost, const MessageHeader& cause) noexcept;
  // Whether the symbol has another line than that of `cause`, so that nothing is lost with what `cause`
  // tells.
  bool other_line_covers(const SymbolEntry& entry, const MessageHeader& cause) const noexcept;

 private:
  static constexpr std::size_t kInputs = 7;
  static constexpr std::size_t kStates = 3;
  using Action = void (BookSync::*)(SymbolEntry&, const BookUpdate&) noexcept;
  static const Action kTransitions[kStates][kInputs];

  // Actions of the table.
  void ignore(SymbolEntry&, const BookUpdate&) noexcept;
  void start_buffering(SymbolEntry&, const BookUpdate& delta) noexcept;
  void buffer(SymbolEntry&, const BookUpdate& delta) noexcept;
  void apply_live(SymbolEntry&, const BookUpdate& delta) noexcept;
  void join(SymbolEntry&, const BookUpdate& snapshot) noexcept;
  void stale_snapshot(SymbolEntry&, const BookUpdate& snapshot) noexcept;
  void live_snapshot(SymbolEntry&, const BookUpdate& snapshot) noexcept;
  void want_another(SymbolEntry&, const BookUpdate& snapshot) noexcept;
  void live_broken_snapshot(SymbolEntry&, const BookUpdate& snapshot) noexcept;
  void distrust(SymbolEntry&, const BookUpdate& cause) noexcept;  // header.reason says why
  void start_empty(SymbolEntry&, const BookUpdate&) noexcept;
  void remove(SymbolEntry&, const BookUpdate&) noexcept;

  bool covers(const EntryLine& line, std::int64_t now_ns) const noexcept;
  bool hole_may_be_filled(const SymbolEntry& entry) const noexcept;
  void count_copy(SymbolEntry& entry, const MessageHeader& delta, bool first) noexcept;

  void begin_anew(SymbolEntry& entry, EntryLine& first, const MessageHeader& delta) noexcept;
  void step_back(SymbolEntry& entry, EntryLine& first) noexcept;
  void leave_sequence(SymbolEntry& entry, std::uint64_t ended_at) noexcept;
  void on_update_below(SymbolEntry& entry, const BookUpdate& delta) noexcept;

  bool snapshot_would_help(const SymbolEntry& entry) const noexcept;
  bool is_copy(const SymbolEntry& entry, const MessageHeader& snapshot) const noexcept;
  void next_frame(SymbolEntry& entry, const BookUpdate& frame) noexcept;
  [[gnu::noinline]] void apply_none(SymbolEntry& entry, const BookUpdate& delta,
                                    core::SequenceVerdict verdict) noexcept;
  void keep_alive(SymbolEntry& entry) noexcept;
  // Inlined, as what it calls is for the usual case: every delta asks.
  [[gnu::always_inline]] static core::SequenceVerdict check(const SymbolEntry& entry,
                                                            const MessageHeader& delta) noexcept {
    return entry.joined ? entry.rule->check_next(entry.last_id, delta)
                        : entry.rule->check_first(entry.last_id, delta);
  }
  [[gnu::always_inline]] inline bool refuted(SymbolEntry& entry, const MessageHeader& at,
                                             const OrderBook& book) noexcept;
  [[gnu::noinline]] bool checksum_differs(SymbolEntry& entry, std::uint32_t checksum,
                                          const OrderBook& book) noexcept;
  static void cut_to_window(const SymbolEntry& entry, OrderBook& book, std::size_t levels) noexcept;
  bool apply_next(SymbolEntry& entry, const BookUpdate& delta) noexcept;
  void wait_behind_hole(SymbolEntry& entry, const BookUpdate& delta) noexcept;
  void apply_waiting(SymbolEntry& entry) noexcept;
  void gap(SymbolEntry& entry) noexcept;
  void silent(SymbolEntry& entry, const MessageHeader& cause) noexcept;
  void weigh_trade(SymbolEntry& entry, const MessageHeader& header, std::int64_t price) noexcept;
  static bool auditable(const SymbolEntry& entry) noexcept;
  void suspect(SymbolEntry& entry) noexcept;
  bool audit_differs(SymbolEntry& entry, const QuoteAudit::Result& result, std::uint64_t update_id) noexcept;

  RestAudit::Verdict rest_audit(SymbolEntry& entry) noexcept;
  void settle_overdue_audit(SymbolEntry& entry) noexcept;
  void drop_rest_audit(SymbolEntry& entry) noexcept;
  void widen(SymbolEntry& entry) noexcept;
  bool depth_suffices(SymbolEntry& entry) noexcept;
  void note_depth_need(SymbolEntry& entry, DepthNeed need) noexcept;

  void enter(SymbolEntry& entry, BookState state, StateReason reason) noexcept;
  void go_stale(SymbolEntry& entry, StateReason reason) noexcept;
  void begin_syncing(SymbolEntry& entry, StateReason reason) noexcept;
  void install(SymbolEntry& entry, const BookUpdate& snapshot) noexcept;

  BookEvents& events_;
  BookListener& listener_;
  const BookOptions& options_;
  BookCounters& counters_;
  std::vector<LineStatus> lines_;  // by line_id
};

}  // namespace mdp::book
