// BookEvents: writes what the manager has to say as shm::Event into the sink, a function for each kind.
//
// What is emitted when is told in order_book_manager.hpp. Ids and times come from entry.last_header, the
// message being handled, unless said otherwise. The manager's thread; does not allocate once grown.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "mdp/book/book_control.hpp"
#include "mdp/book/symbol_entry.hpp"
#include "mdp/core/sinks.hpp"

namespace mdp::book {

class BookEvents {
 public:
  // Both outlive this.
  BookEvents(core::EventSink& sink, const BookOptions& options) : sink_(sink), options_(options) {}

  void emit_instrument(const SymbolEntry& entry) noexcept;
  // The state it is in, with its reason (or another) and how deep the book is known.
  void emit_state(const SymbolEntry& entry) noexcept { emit_state(entry, entry.reason); }
  [[gnu::noinline]] void emit_state(const SymbolEntry& entry, shm::StateReason reason) noexcept;

  // Of the book's levels. A delta takes with it what the depth cap cut at its application, and leaves out
  // what was beyond the known part.
  void emit_book(SymbolEntry& entry) noexcept { emit_whole(entry, 0); }
  // The same again, for who joins late.
  void emit_refresh(SymbolEntry& entry) noexcept { emit_whole(entry, shm::kFlagRefresh); }
  void emit_delta(const SymbolEntry& entry, const BookUpdate& delta) noexcept;
  void emit_top_when_due(SymbolEntry& entry) noexcept;
  void emit_bbo_if_changed(SymbolEntry& entry) noexcept;
  // For the book table. `same_levels`: the best table_levels a side are those of the last time. It has one
  // caller, for every delta, and is inlined there; all others use the two below.
  void emit_table(const SymbolEntry& entry, bool same_levels) noexcept;
  [[gnu::noinline]] void emit_whole_table(const SymbolEntry& entry) noexcept;
  [[gnu::noinline]] void emit_same_table(const SymbolEntry& entry) noexcept;

  // Of the message itself, with its own ids and times.
  void emit_trade(const SymbolEntry& entry, const core::NormalizedMessage& message) noexcept;
  void emit_quote(const SymbolEntry& entry, const core::NormalizedMessage& message) noexcept;
  void emit_mark_price(const SymbolEntry& entry, const core::NormalizedMessage& message) noexcept;
  void emit_liquidation(const SymbolEntry& entry, const core::NormalizedMessage& message) noexcept;
  void emit_line(const MessageHeader& line) noexcept;

 private:
  shm::EventHeader& begin(const SymbolEntry& entry, shm::EventType type, std::uint16_t flags) noexcept;
  void begin_market(const SymbolEntry& entry, shm::EventType type, std::uint16_t flags,
                    const MessageHeader& header) noexcept;
  void emit_levels(const SymbolEntry& entry, shm::EventType type, std::span<const PriceLevel> bids,
                   std::span<const PriceLevel> asks, std::uint16_t extra_flags = 0) noexcept;
  [[gnu::noinline]] void emit_whole(SymbolEntry& entry, std::uint16_t extra_flags) noexcept;
  void emit_best(const SymbolEntry& entry, std::uint16_t flags) noexcept;
  [[gnu::noinline]] void emit_top(const SymbolEntry& entry) noexcept;

  core::EventSink& sink_;
  const BookOptions& options_;
  std::vector<PriceLevel> scratch_;  // a whole book, or a delta with what was cut
};

inline void BookEvents::emit_top_when_due(SymbolEntry& entry) noexcept {
  const std::int64_t now_ns = entry.last_header.recv_ts_ns;
  if (options_.snapshot_interval_ns == 0 || now_ns < entry.next_top_ns) return;
  entry.next_top_ns = now_ns + options_.snapshot_interval_ns;
  emit_top(entry);
}

}  // namespace mdp::book
