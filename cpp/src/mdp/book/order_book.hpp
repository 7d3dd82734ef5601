// OrderBook: the levels of one instrument, exact, in two sorted vectors with the best level at the back.
//
// Owned by OrderBookManager and touched by its thread alone. Most changes are near the top, and at the back of a vector
// they move few bytes. A delta whose levels are sorted, as venues send them, is applied in one walk from the top: each
// level is looked for near the one before, and what lies between is moved once for all of them. Knows nothing of
// sequence numbers: the manager decides what is applied.
//
// What lies beyond the deepest known level is unknown, not empty: a venue's snapshot ends somewhere, the depth cap cuts
// somewhere, and a change beyond that end adds a level behind a hole. The top is exact; do not take the far end for
// complete.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "mdp/core/normalized_message.hpp"

namespace mdp::book {

using core::PriceLevel;

// Best bid and offer; an empty side is {0, 0}.
struct Bbo {
  PriceLevel bid{};
  PriceLevel ask{};
  friend bool operator==(const Bbo&, const Bbo&) = default;
};

class OrderBook {
 public:
  // `depth_cap`: levels kept a side, 0 for all. A side is cut back to the cap when it has grown a quarter beyond it, so
  // that the cut (which moves the whole side) is rare: up to depth_cap * 5/4 levels are there. What is cut is forgotten;
  // cut_bids() and cut_asks() tell of it, so that whoever repeats the updates elsewhere can keep the same book.
  explicit OrderBook(std::size_t depth_cap = 0);

  // Room for this many levels a side without allocating.
  void reserve(std::size_t levels);

  // One whole delta: absolute quantities, zero removes; removing an unknown level is a no-op; a price named twice takes
  // the last quantity. Returns how deep the change reached: the smallest number of levels above a changed one, over
  // both sides (0: the top changed; kUntouched: nothing did).
  std::size_t apply_update(std::span<const PriceLevel> bids, std::span<const PriceLevel> asks);

  // What the depth cap cut at the end of the last apply_update(), as removals (quantity 0); valid until the next change.
  std::span<const PriceLevel> cut_bids() const noexcept { return cut_bids_; }
  std::span<const PriceLevel> cut_asks() const noexcept { return cut_asks_; }

  // Replaces everything. Levels come in any order (best first is fastest); zero quantities are ignored; a price named
  // twice takes the last.
  void apply_snapshot(std::span<const PriceLevel> bids, std::span<const PriceLevel> asks);

  void clear() noexcept;

  Bbo bbo() const noexcept {
    return {bids_.empty() ? PriceLevel{} : bids_.back(), asks_.empty() ? PriceLevel{} : asks_.back()};
  }
  // True when both sides have levels and the best bid is not below the best ask.
  bool crossed() const noexcept { return !bids_.empty() && !asks_.empty() && bids_.back().price >= asks_.back().price; }

  // Sorted from worst to best.
  std::span<const PriceLevel> bids() const noexcept { return bids_; }
  std::span<const PriceLevel> asks() const noexcept { return asks_; }

  // Writes up to `max` levels, best first, and returns how many.
  std::size_t copy_bids(PriceLevel* out, std::size_t max) const noexcept { return copy_best(bids_, out, max); }
  std::size_t copy_asks(PriceLevel* out, std::size_t max) const noexcept { return copy_best(asks_, out, max); }

  // The venue's id of the state the levels are in; kept by the manager.
  std::uint64_t update_id() const noexcept { return update_id_; }
  void set_update_id(std::uint64_t id) noexcept { update_id_ = id; }

  static constexpr std::size_t kUntouched = ~std::size_t{0};

 private:
  static std::size_t copy_best(const std::vector<PriceLevel>& side, PriceLevel* out, std::size_t max) noexcept;
  void cut(std::vector<PriceLevel>& side, std::vector<PriceLevel>* removals);

  std::vector<PriceLevel> bids_;  // ascending
  std::vector<PriceLevel> asks_;  // descending
  std::vector<PriceLevel> cut_bids_;
  std::vector<PriceLevel> cut_asks_;
  std::size_t depth_cap_;
  std::uint64_t update_id_ = 0;
};

}  // namespace mdp::book
