// WindowRange: how far a book is known that is a window, the best so many levels of each side.
//
// The window moves with the market. Its worst level is another one after most updates, and with it the last
// price of which everything is known. Readers are told a price that stays true for longer: at first the worst
// of the window; once the window has left that behind, the price in its middle; and again when that is no
// price of the side any more. With 400 levels a market has to move by 200 of them before it is told anew.
//
// One for each symbol; the manager's thread.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "mdp/book/order_book.hpp"

namespace mdp::book {

class WindowRange {
 public:
  // The book is what a snapshot of at most `levels` a side says; 0: of any number, and the whole book is
  // known.
  void begin(std::size_t levels, const OrderBook& book) noexcept {
    levels_ = levels;
    const bool cut_bids = levels != 0 && book.bid_count() >= levels;
    const bool cut_asks = levels != 0 && book.ask_count() >= levels;
    known_bid_ = cut_bids ? book.bid_price(book.bid_count() - 1) : OrderBook::kAllBids;
    known_ask_ = cut_asks ? book.ask_price(book.ask_count() - 1) : OrderBook::kAllAsks;
  }
  // After an update. True: known_bid() or known_ask() is another one now.
  bool follow(const OrderBook& book) noexcept {
    if (levels_ == 0) return false;
    const std::size_t bids = book.bid_count(), asks = book.ask_count();
    const bool bid_left = bids >= levels_ && known_bid_ < book.bid_price(bids - 1);
    const bool ask_left = asks >= levels_ && known_ask_ > book.ask_price(asks - 1);
    const bool bid_moves = bid_left || (bids != 0 && known_bid_ > book.bbo().bid.price);
    const bool ask_moves = ask_left || (asks != 0 && known_ask_ < book.bbo().ask.price);
    if (bid_moves) known_bid_ = book.bid_price(std::min(bids - 1, levels_ / 2));
    if (ask_moves) known_ask_ = book.ask_price(std::min(asks - 1, levels_ / 2));
    return bid_moves || ask_moves;
  }

  std::size_t levels() const noexcept { return levels_; }
  // As those of OrderBook.
  std::int64_t known_bid() const noexcept { return known_bid_; }
  std::int64_t known_ask() const noexcept { return known_ask_; }

 private:
  std::size_t levels_ = 0;
  std::int64_t known_bid_ = OrderBook::kAllBids;
  std::int64_t known_ask_ = OrderBook::kAllAsks;
};

}  // namespace mdp::book
