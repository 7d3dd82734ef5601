// BookModel: the plainest book there is, two std::map, for tests to compare with.
#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>
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

inline Levels head(Levels levels, std::size_t most) {
  levels.resize(std::min(levels.size(), most));
  return levels;
}

struct BookModel {
  using Side = std::map<std::int64_t, std::int64_t>;
  Side bids, asks;
  // The last prices of which everything is known.
  std::int64_t known_bid = std::numeric_limits<std::int64_t>::min();
  std::int64_t known_ask = std::numeric_limits<std::int64_t>::max();

  void apply(std::span<const PriceLevel> bid_changes, std::span<const PriceLevel> ask_changes) {
    apply_side(bids, bid_changes);
    apply_side(asks, ask_changes);
  }
  // The same, without what is beyond.
  void apply_known(std::span<const PriceLevel> bid_changes, std::span<const PriceLevel> ask_changes) {
    Levels known_bids, known_asks;
    for (const PriceLevel& level : bid_changes) {
      if (level.price >= known_bid) known_bids.push_back(level);
    }
    for (const PriceLevel& level : ask_changes) {
      if (level.price <= known_ask) known_asks.push_back(level);
    }
    apply(known_bids, known_asks);
  }
  void replace(std::span<const PriceLevel> bid_levels, std::span<const PriceLevel> ask_levels) {
    *this = {};
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
  // As the document of the wire format says it.
  std::uint64_t checksum() const {
    std::uint64_t sum = 0;
    for (const auto& [price, quantity] : bids) sum += shm::level_checksum(price, quantity, false);
    for (const auto& [price, quantity] : asks) sum += shm::level_checksum(price, quantity, true);
    return sum;
  }
  bool crossed() const {
    return !bids.empty() && !asks.empty() && bids.rbegin()->first >= asks.begin()->first;
  }

  // What OrderBook promises of a depth cap: the best `cap` levels stay once a side has grown a quarter
  // beyond.
  void cut(std::size_t cap) {
    if (bids.size() > cap + cap / 4) {
      while (bids.size() > cap) {
        known_bid = bids.begin()->first + 1;
        bids.erase(bids.begin());
      }
    }
    if (asks.size() > cap + cap / 4) {
      while (asks.size() > cap) {
        known_ask = std::prev(asks.end())->first - 1;
        asks.erase(std::prev(asks.end()));
      }
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
