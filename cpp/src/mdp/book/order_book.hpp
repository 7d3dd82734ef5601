// OrderBook: the levels of one instrument, exact, sorted, with the best level at the back.
//
// Owned by OrderBookManager and touched by its thread alone. Knows nothing of sequence numbers: the manager
// decides what is applied.
//
// A side is two vectors, prices and quantities. A removed level stays in its place as a dead slot, quantity
// 0, and the next level that comes up beside it takes the slot: on most recorded streams three quarters of
// the changes put a level in or take one out, at places that lie close together, and with dead slots hardly
// any of them moves the others. A search reads prices alone, begins where the last change was (venues send
// deltas sorted) and ends with a count over a few neighbours in which no branch depends on the data. The best
// level is never a dead slot.
//
// What lies beyond the deepest known level is unknown, not empty: a venue's snapshot ends somewhere, the
// depth cap cuts somewhere, and a change beyond that end adds a level behind a hole. The top is exact; do not
// take the far end for complete.
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
  // `depth_cap`: levels kept a side, 0 for all. A side is cut back to the cap when it has grown a quarter
  // beyond it, so that the cut (which moves the whole side) is rare: up to depth_cap * 5/4 levels are there.
  // What is cut is forgotten; cut_bids() and cut_asks() tell of it, so that whoever repeats the updates
  // elsewhere can keep the same book.
  explicit OrderBook(std::size_t depth_cap = 0);

  // Room for this many levels a side without allocating.
  void reserve(std::size_t levels);

  // One whole delta: absolute quantities, zero removes; removing an unknown level is a no-op; a price named
  // twice takes the last quantity. Returns how deep the change reached: the smallest number of levels above a
  // changed one, over both sides (0: the top changed; kUntouched: nothing did). Counts to kReachCounted and
  // no further: where more levels than that lie above, the answer is some number not below it.
  std::size_t apply_update(std::span<const PriceLevel> bids, std::span<const PriceLevel> asks);

  // What the depth cap cut at the end of the last apply_update(), as removals (quantity 0); valid until the
  // next change.
  std::span<const PriceLevel> cut_bids() const noexcept { return cut_bids_; }
  std::span<const PriceLevel> cut_asks() const noexcept { return cut_asks_; }

  // Replaces everything. Levels come in any order (best first is fastest); zero quantities are ignored; a
  // price named twice takes the last.
  void apply_snapshot(std::span<const PriceLevel> bids, std::span<const PriceLevel> asks);

  void clear() noexcept;

  Bbo bbo() const noexcept { return {bids_.best(), asks_.best()}; }
  // True when both sides have levels and the best bid is not below the best ask.
  bool crossed() const noexcept {
    return !bids_.prices.empty() && !asks_.prices.empty() && bids_.prices.back() >= asks_.prices.back();
  }

  std::size_t bid_count() const noexcept { return bids_.level_count; }
  std::size_t ask_count() const noexcept { return asks_.level_count; }

  // Writes up to `max` levels, best first, and returns how many.
  std::size_t copy_bids(PriceLevel* out, std::size_t max) const noexcept {
    return copy_best(bids_, out, max);
  }
  std::size_t copy_asks(PriceLevel* out, std::size_t max) const noexcept {
    return copy_best(asks_, out, max);
  }

  // The venue's id of the state the levels are in; kept by the manager.
  std::uint64_t update_id() const noexcept { return update_id_; }
  void set_update_id(std::uint64_t id) noexcept { update_id_ = id; }

  static constexpr std::size_t kUntouched = ~std::size_t{0};
  static constexpr std::size_t kReachCounted = 128;

 private:
  // Slots from worst to best: no price is better than the one behind it, and of slots with the same price
  // only the first can be alive. So whatever is put between two neighbours keeps the order, dead or alive.
  struct Side {
    std::vector<std::int64_t> prices;
    std::vector<std::int64_t> quantities;  // 0: a dead slot
    std::size_t level_count = 0;           // slots that are alive

    PriceLevel best() const noexcept {
      return prices.empty() ? PriceLevel{} : PriceLevel{prices.back(), quantities.back()};
    }
    void reserve(std::size_t levels) {
      // Dead slots take room too: apply_side() lets there be as many as levels, and some.
      prices.reserve(levels * 2 + 64);
      quantities.reserve(levels * 2 + 64);
    }
    void clear() noexcept {
      prices.clear();
      quantities.clear();
      level_count = 0;
    }
  };
  static constexpr std::size_t kNoSlot = ~std::size_t{0};

  template <class Worse>
  static std::size_t apply_side(Side& side, std::span<const PriceLevel> changes, Worse worse);
  template <class Worse>
  static void assign_side(Side& side, std::span<const PriceLevel> levels, Worse worse);
  static std::size_t copy_best(const Side& side, PriceLevel* out, std::size_t max) noexcept;
  static std::size_t insert(Side& side, std::size_t at, PriceLevel level);
  static std::size_t move_up(std::int64_t* prices, std::int64_t* quantities, std::size_t at, std::size_t dead,
                             PriceLevel level) noexcept;
  static std::size_t move_down(std::int64_t* prices, std::int64_t* quantities, std::size_t at,
                               std::size_t dead, PriceLevel level) noexcept;
  static void respread(Side& side);
  static void spread(Side& side, std::size_t begin, std::size_t end, std::size_t size);
  void cut(Side& side, std::vector<PriceLevel>* removals);

  Side bids_;
  Side asks_;
  std::vector<PriceLevel> cut_bids_;
  std::vector<PriceLevel> cut_asks_;
  std::size_t depth_cap_;
  std::uint64_t update_id_ = 0;
};

}  // namespace mdp::book
