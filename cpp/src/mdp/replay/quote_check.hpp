// QuoteCheck: compares the venue's own best bid and ask with the books, wherever both streams carry one id.
//
// Watches the events a manager emits. A quote may come before the depth update of its id or after it: quotes
// ahead of the book wait for it, and the last tops of each book are kept for those behind. It only counts;
// what a wrong book leads to is not decided here.
#pragma once

#include <cstdint>
#include <deque>
#include <vector>

#include "mdp/shm/event.hpp"

namespace mdp::replay {

struct WrongQuote {
  std::uint32_t symbol_id;
  std::uint64_t update_id;
  shm::BboBody book;
  shm::BboBody venue;
};

class QuoteCheck {
 public:
  explicit QuoteCheck(std::size_t symbol_count) : symbols_(symbol_count) {}

  void on_event(const shm::Event& event);

  std::uint64_t checked() const noexcept { return checked_; }
  const std::vector<WrongQuote>& wrong() const noexcept { return wrong_; }

 private:
  struct Top {
    std::uint64_t update_id;
    shm::BboBody bbo;
  };
  struct Symbol {
    shm::BboBody now{};       // the book's top
    bool by_delta = false;    // the last update was a delta, or a snapshot with deltas applied to it
    std::deque<Top> tops;     // of its last updates, oldest first
    std::deque<Top> waiting;  // quotes ahead of the book, in order of arrival
  };
  // At 100 ms an update, a quote may come 6 minutes late.
  static constexpr std::size_t kTops = 4096;
  static constexpr std::size_t kWaiting = 1 << 16;

  void on_update(std::uint32_t symbol_id, std::uint64_t update_id);
  void on_quote(std::uint32_t symbol_id, const Top& quote);
  void compare(std::uint32_t symbol_id, const shm::BboBody& book, const Top& quote);

  std::vector<Symbol> symbols_;
  std::vector<WrongQuote> wrong_;
  std::uint64_t checked_ = 0;
};

}  // namespace mdp::replay
