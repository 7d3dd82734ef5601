// BookRefresh: which LIVE book is published again as a whole, and when.
//
// A reader that joins late needs a whole book in the part of the ring that it can still read. So each book
// comes again once in `refresh_every` of the ring. Time is the ring's own, in steps of 1/64 of it
// (BookOptions::ring_steps), never a clock's: the same input gives the same events, and a quiet ring has no
// refreshes. A book that went out as a whole a moment ago for another reason is passed over.
//
// At most one book is published after a message, for the next one waits for it. All of them together take at
// most `refresh_share` of the bytes of the ring: where the books are too large for that, the round takes
// longer, and the oldest ones fall out of the part that can be read. That is counted, and told once.
//
// The manager's thread alone.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "mdp/book/symbol_entry.hpp"

namespace mdp::book {

class BookRefresh {
 public:
  // `options` outlive this.
  BookRefresh(const BookOptions& options, BookCounters& counters) noexcept;

  // Asked after every message: whether next() may have a book.
  bool due() const noexcept { return ring_steps_->get() >= look_at_; }

  // The next book to be published, or null: none for now. `routes`: all books of the manager, null where
  // there is none. Whoever gets one publishes it at once.
  SymbolEntry* next(std::span<SymbolEntry* const> routes) noexcept;

  // Not the message path: logs a warning, once, when books come too late.
  void warn_if_late(std::span<SymbolEntry* const> routes) noexcept;

 private:
  static constexpr std::uint64_t kNever = ~std::uint64_t{0};

  void count_steps(std::size_t books) noexcept;

  const BookOptions& options_;
  BookCounters& counters_;
  const core::Counter* ring_steps_;
  std::uint64_t round_steps_;  // a round over all books
  std::uint64_t recent_steps_;
  std::int64_t step_bytes_;    // for refreshes, a step
  std::uint64_t look_at_ = 0;  // the step at which there is something to do; 0: now
  std::uint64_t seen_ = 0;     // steps counted
  std::uint64_t turns_ = 0;    // books whose turn it is, times round_steps_
  std::int64_t bytes_left_ = 0;
  std::size_t at_ = 0;  // whose turn it is next
  bool warned_ = false;
};

}  // namespace mdp::book
