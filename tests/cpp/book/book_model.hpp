// BookModel: the plainest book there is, two std::map, for tests to compare with.
#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <span>
#include <vector>

#include "mdp/book/order_book.hpp"

namespace mdp::book::test {

using Levels = std::vector<PriceLevel>;

inline Levels best_first_bids(const OrderBook& book) {
  Levels out(book.bid_count());
  out.resize(book.copy_bids(out.data(), out.size()));
  return out;
}
inline Levels best_first_asks(const OrderBook& book) {
  Levels out(book.ask_count());
  out.resize(book.copy_asks(out.data(), out.size()));
  return out;
}

inline Levels sorted(std::span<const PriceLevel> levels) {
  Levels out(levels.begin(), levels.end());
  std::sort(out.begin(), out.end(),
            [](const PriceLevel& a, const PriceLevel& b) { return a.price < b.price; });
  return out;
}

struct BookModel {
  using Side = std::map<std::int64_t, std::int64_t>;
  Side bids, asks;

  void apply(std::span<const PriceLevel> bid_changes, std::span<const PriceLevel> ask_changes) {
    apply_side(bids, bid_changes);
    apply_side(asks, ask_changes);
  }
  void replace(std::span<const PriceLevel> bid_levels, std::span<const PriceLevel> ask_levels) {
    bids.clear();
    asks.clear();
    apply(bid_levels, ask_levels);
  }
  Levels best_first_bids() const {
    Levels out;
    for (auto it = bids.rbegin(); it != bids.rend(); ++it) out.push_back({it->first, it->second});
    return out;
  }
  Levels best_first_asks() const {
    Levels out;
    for (const auto& [price, quantity] : asks) out.push_back({price, quantity});
    return out;
  }
  Bbo bbo() const {
    Bbo best;
    if (!bids.empty()) best.bid = {bids.rbegin()->first, bids.rbegin()->second};
    if (!asks.empty()) best.ask = {asks.begin()->first, asks.begin()->second};
    return best;
  }
  bool crossed() const {
    return !bids.empty() && !asks.empty() && bids.rbegin()->first >= asks.begin()->first;
  }

  // What OrderBook promises of a depth cap: the best `cap` levels stay once a side has grown a quarter
  // beyond.
  void cut(std::size_t cap) {
    if (bids.size() > cap + cap / 4) {
      while (bids.size() > cap) bids.erase(bids.begin());
    }
    if (asks.size() > cap + cap / 4) {
      while (asks.size() > cap) asks.erase(std::prev(asks.end()));
    }
  }

 private:
  static void apply_side(Side& side, std::span<const PriceLevel> changes) {
    for (const PriceLevel& change : changes) {
      if (change.quantity == 0) {
        side.erase(change.price);
      } else {
        side[change.price] = change.quantity;
      }
    }
  }
};

}  // namespace mdp::book::test
