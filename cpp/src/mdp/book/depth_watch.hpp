// DepthWatch: tells when the known part of a book is about to run out.
//
// A snapshot brings so many levels a side, the depth cap leaves so many, and a market that moves towards that
// end eats them: what is behind is unknown (OrderBook::known_bid()). While a book is LIVE, a side that is not
// known to its end has at least the levels that the segment publishes. To keep it so another snapshot has to
// be here before the last of them is needed. Of what a side had above that need when it was last filled, half
// may go before one is wanted, and three quarters before it is urgent. With 1000 levels and 20 published: at
// 510, and at 265.
//
// One for each symbol; the manager's thread.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "mdp/book/order_book.hpp"

namespace mdp::book {

// How badly a LIVE book needs a snapshot beside it.
enum class DepthNeed : std::uint8_t { None, Soon, Now };

class DepthWatch {
 public:
  // `required`: levels that a side must have, unless it has no more at all.
  explicit DepthWatch(std::size_t required) noexcept : required_(required) {}

  // The sides were filled: by a snapshot, or by the cut of a cap, which leaves so many.
  void fill_bids(const OrderBook& book) noexcept {
    bids_ = marks(book.bid_count(), book.known_bid() == OrderBook::kAllBids);
  }
  void fill_asks(const OrderBook& book) noexcept {
    asks_ = marks(book.ask_count(), book.known_ask() == OrderBook::kAllAsks);
  }
  void fill(const OrderBook& book) noexcept {
    fill_bids(book);
    fill_asks(book);
  }

  // Whether need() or exhausted() has anything to say.
  bool low(const OrderBook& book) const noexcept {
    return book.bid_count() < bids_.soon || book.ask_count() < asks_.soon;
  }
  DepthNeed need(const OrderBook& book) const noexcept {
    if (book.bid_count() < bids_.now || book.ask_count() < asks_.now) return DepthNeed::Now;
    return low(book) ? DepthNeed::Soon : DepthNeed::None;
  }
  // A level that the segment publishes is unknown: the book is not LIVE.
  bool exhausted(const OrderBook& book) const noexcept {
    return (book.known_bid() != OrderBook::kAllBids && book.bid_count() < required_) ||
           (book.known_ask() != OrderBook::kAllAsks && book.ask_count() < required_);
  }

 private:
  // With fewer levels than that; 0: never.
  struct Marks {
    std::uint32_t soon = 0;
    std::uint32_t now = 0;
  };
  Marks marks(std::size_t filled, bool whole) const noexcept {
    if (whole) return {};
    const std::size_t spare = std::max(filled, required_) - required_;
    // One more than the need itself: a side that stands at it is asked for before it falls below.
    return {static_cast<std::uint32_t>(required_ + std::max<std::size_t>(spare / 2, 1)),
            static_cast<std::uint32_t>(required_ + std::max<std::size_t>(spare / 4, 1))};
  }

  std::size_t required_;
  Marks bids_;
  Marks asks_;
};

}  // namespace mdp::book
