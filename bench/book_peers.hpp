// What OrderBook is compared with: the two books people write first.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <map>
#include <span>
#include <vector>

#include "mdp/book/order_book.hpp"

namespace mdp::bench {

using book::Bbo;
using core::PriceLevel;

// std::map<int64_t, int64_t> a side.
class MapBook {
 public:
  void apply_snapshot(std::span<const PriceLevel> bids, std::span<const PriceLevel> asks) {
    bids_.clear();
    asks_.clear();
    apply_update(bids, asks);
  }
  void apply_update(std::span<const PriceLevel> bids, std::span<const PriceLevel> asks) {
    apply_side(bids_, bids);
    apply_side(asks_, asks);
  }
  Bbo bbo() const {
    Bbo best;
    if (!bids_.empty()) best.bid = {bids_.begin()->first, bids_.begin()->second};
    if (!asks_.empty()) best.ask = {asks_.begin()->first, asks_.begin()->second};
    return best;
  }

 private:
  template <class Side>
  static void apply_side(Side& side, std::span<const PriceLevel> changes) {
    for (const PriceLevel& change : changes) {
      if (change.quantity == 0) {
        side.erase(change.price);
      } else {
        side[change.price] = change.quantity;
      }
    }
  }
  std::map<std::int64_t, std::int64_t, std::greater<>> bids_;
  std::map<std::int64_t, std::int64_t> asks_;
};

// A sorted vector of {price, quantity}, best level at the front, std::lower_bound, insert and erase.
class FrontVectorBook {
 public:
  void reserve(std::size_t levels) {
    bids_.reserve(levels);
    asks_.reserve(levels);
  }
  void apply_snapshot(std::span<const PriceLevel> bids, std::span<const PriceLevel> asks) {
    bids_.clear();
    asks_.clear();
    apply_update(bids, asks);
  }
  void apply_update(std::span<const PriceLevel> bids, std::span<const PriceLevel> asks) {
    apply_side(bids_, bids, [](const PriceLevel& level, std::int64_t price) { return level.price > price; });
    apply_side(asks_, asks, [](const PriceLevel& level, std::int64_t price) { return level.price < price; });
  }
  Bbo bbo() const {
    return {bids_.empty() ? PriceLevel{} : bids_.front(), asks_.empty() ? PriceLevel{} : asks_.front()};
  }

 private:
  template <class Better>
  static void apply_side(std::vector<PriceLevel>& side, std::span<const PriceLevel> changes, Better better) {
    for (const PriceLevel& change : changes) {
      const auto at = std::lower_bound(side.begin(), side.end(), change.price, better);
      const bool found = at != side.end() && at->price == change.price;
      if (change.quantity == 0) {
        if (found) side.erase(at);
      } else if (found) {
        at->quantity = change.quantity;
      } else {
        side.insert(at, change);
      }
    }
  }
  std::vector<PriceLevel> bids_, asks_;
};

// The sorted vector OrderBook was before it took a delta in one walk: best level at the back, the last eight
// looked at one by one, then bisection, insert and erase one by one.
class BackVectorBook {
 public:
  void reserve(std::size_t levels) {
    bids_.reserve(levels);
    asks_.reserve(levels);
  }
  void apply_snapshot(std::span<const PriceLevel> bids, std::span<const PriceLevel> asks) {
    bids_.clear();
    asks_.clear();
    apply_update(bids, asks);
  }
  void apply_update(std::span<const PriceLevel> bids, std::span<const PriceLevel> asks) {
    apply_side(bids_, bids, [](std::int64_t a, std::int64_t b) { return a < b; });
    apply_side(asks_, asks, [](std::int64_t a, std::int64_t b) { return a > b; });
  }
  Bbo bbo() const {
    return {bids_.empty() ? PriceLevel{} : bids_.back(), asks_.empty() ? PriceLevel{} : asks_.back()};
  }

 private:
  template <class Worse>
  static PriceLevel* locate(PriceLevel* begin, PriceLevel* end, std::int64_t price, Worse worse) {
    PriceLevel* const stop = end - begin > 8 ? end - 8 : begin;
    PriceLevel* at = end;
    for (; at != stop; --at) {
      if (worse((at - 1)->price, price)) return at;
    }
    PriceLevel* base = begin;
    for (auto length = static_cast<std::size_t>(at - begin); length > 0;) {
      const std::size_t half = length / 2;
      base = worse(base[half].price, price) ? base + (length - half) : base;
      length = half;
    }
    return base;
  }
  template <class Worse>
  static void apply_side(std::vector<PriceLevel>& side, std::span<const PriceLevel> changes, Worse worse) {
    for (const PriceLevel& change : changes) {
      PriceLevel* const end = side.data() + side.size();
      PriceLevel* const at = locate(side.data(), end, change.price, worse);
      const bool found = at != end && at->price == change.price;
      if (change.quantity == 0) {
        if (found) side.erase(side.begin() + (at - side.data()));
      } else if (found) {
        at->quantity = change.quantity;
      } else {
        side.insert(side.begin() + (at - side.data()), change);
      }
    }
  }
  std::vector<PriceLevel> bids_, asks_;
};

}  // namespace mdp::bench
