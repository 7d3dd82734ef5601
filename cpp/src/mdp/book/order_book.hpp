// OrderBook: the levels of one instrument, exact, sorted, with the best level at the back.
//
// Owned by OrderBookManager and touched by its thread alone. Knows nothing of sequence numbers: the manager
// decides what is applied.
//
// A side is a row of small sorted blocks with an index over it (book_side.hpp): a delta costs a search over a
// few lines and a shift within one block, wherever in the book it falls.
//
// A book has no holes. A venue's snapshot ends at some price, or the depth cap cuts there, and what lies
// beyond is unknown, not empty: known_bid() and known_ask() are the last prices of which everything is known.
// A change beyond them is not taken, for its neighbours may be missing. So every level here is right, and
// each side has all levels down to its known price; how many that are shrinks when the market moves that way.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "mdp/book/book_side.hpp"
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
  static constexpr std::size_t kUntouched = BookSide::kUntouched;
  static constexpr std::size_t kReachCounted = 128;

  // `depth_cap`: levels kept a side, 0 for all. A side is cut back to the cap when it has grown a quarter
  // beyond it, so that the cut (which moves the whole side) is rare: up to depth_cap * 5/4 levels are there.
  // What is cut is forgotten; cut_bids() and cut_asks() tell of it, so that whoever repeats the updates
  // elsewhere can keep the same book. `pool`, where given, outlives the book, and is used by one thread only;
  // books that are visited in turn should share one. `summed`: whether checksum() is kept.
  explicit OrderBook(std::size_t depth_cap = 0, BlockPool* pool = nullptr, bool summed = false);
  // The books change places.
  OrderBook& operator=(OrderBook&& other) noexcept;
  OrderBook(OrderBook&&) noexcept = default;
  ~OrderBook() = default;

  // Room for this many levels a side without allocating.
  void reserve(std::size_t levels);

  // One whole delta: absolute quantities, zero removes; removing an unknown level is a no-op; a price named
  // twice takes the last quantity; a price beyond what is known is passed over. Returns how deep the change
  // reached: the smallest number of levels above a changed one, over both sides (0: the top changed;
  // kUntouched: nothing did). Counts to `count_to` and no further: where more levels than that lie above, the
  // answer is some number not below it.
  std::size_t apply_update(std::span<const PriceLevel> bids, std::span<const PriceLevel> asks,
                           std::size_t count_to = kReachCounted);

  // What the depth cap cut at the end of the last apply_update(), as removals (quantity 0); valid until the
  // next change.
  std::span<const PriceLevel> cut_bids() const noexcept { return std::span(cut_).first(cut_bid_count_); }
  std::span<const PriceLevel> cut_asks() const noexcept { return std::span(cut_).subspan(cut_bid_count_); }

  bool was_cut() const noexcept { return !cut_.empty(); }

  // Cuts each side to its best `levels`, at once; for a book without a depth cap. cut_bids() and cut_asks()
  // tell of it. What is known stays as it is: the book is a window, and its levels come and go at both ends.
  void cut_to_window(std::size_t levels);

  // Replaces everything. Levels come in any order (best first is fastest); zero quantities are ignored; a
  // price named twice takes the last. `depth_limit`: the most levels a side it could hold, 0 for any number.
  // A side with as many is known down to its worst price; one with fewer is the whole side, and known to the
  // end.
  void apply_snapshot(std::span<const PriceLevel> bids, std::span<const PriceLevel> asks,
                      std::size_t depth_limit = 0);

  // Takes from `other`, which has the same levels as far as both are known, each side that it knows further.
  // The sides change places, so both books must have been made alike, with the same pool. True: there was
  // one.
  bool take_wider_sides(OrderBook& other) noexcept;

  void clear() noexcept;

  Bbo bbo() const noexcept { return {bids_.best(), asks_.best()}; }
  // True when both sides have levels and the best bid is not below the best ask.
  bool crossed() const noexcept {
    return bids_.level_count() != 0 && asks_.level_count() != 0 && bids_.best().price >= asks_.best().price;
  }

  std::size_t bid_count() const noexcept { return bids_.level_count(); }
  std::size_t ask_count() const noexcept { return asks_.level_count(); }

  // The sum of shm::level_checksum() over all levels that are here, modulo 2^64. Kept with every change,
  // never summed up anew; 0 where the book was not made to keep it.
  std::uint64_t checksum() const noexcept { return bids_.checksum() - asks_.checksum(); }

  // Writes up to `max` levels, best first, and returns how many.
  std::size_t copy_bids(PriceLevel* out, std::size_t max) const noexcept { return bids_.copy_best(out, max); }
  std::size_t copy_asks(PriceLevel* out, std::size_t max) const noexcept { return asks_.copy_best(out, max); }

  // Of the level below `better` others, which must be there.
  std::int64_t bid_price(std::size_t better) const noexcept { return bids_.price_at(better); }
  std::int64_t ask_price(std::size_t better) const noexcept { return asks_.price_at(better); }

  // Bids at this price or above it, and asks at this one or below, are all here, and none beyond: the far
  // ends of the last apply_snapshot(), or what the depth cap left since. kAllBids, kAllAsks: the whole side
  // is here.
  static constexpr std::int64_t kAllBids = shm::kAllBids;
  static constexpr std::int64_t kAllAsks = shm::kAllAsks;
  std::int64_t known_bid() const noexcept { return known_bid_; }
  std::int64_t known_ask() const noexcept { return known_ask_; }
  // Whether the last apply_update() passed over a change because its price was beyond that.
  bool passed_over() const noexcept { return bids_.passed_over() || asks_.passed_over(); }

  // The venue's id of the state the levels are in; kept by the manager.
  std::uint64_t update_id() const noexcept { return update_id_; }
  void set_update_id(std::uint64_t id) noexcept { update_id_ = id; }

  // Starts to fetch what a change near the top needs.
  void prefetch_top() const noexcept {
    bids_.prefetch_top();
    asks_.prefetch_top();
  }

 private:
  void cut_to_cap();

  // Three cache lines: this one and one a side.
  std::unique_ptr<BlockPool> own_pool_;  // where none was given; before the sides, which give back to it
  std::uint32_t depth_cap_;
  std::uint32_t cut_bid_count_ = 0;
  std::vector<PriceLevel> cut_;  // bids, then asks
  std::uint64_t update_id_ = 0;
  std::int64_t known_bid_ = kAllBids;
  std::int64_t known_ask_ = kAllAsks;
  BookSide bids_;
  BookSide asks_;
};
static_assert(sizeof(OrderBook) == 3 * shm::kCacheLineSize);

// Here because every delta passes: whether it is inlined shall not depend on the link.
inline std::size_t OrderBook::apply_update(std::span<const PriceLevel> bids, std::span<const PriceLevel> asks,
                                           std::size_t count_to) {
  const std::size_t reached =
      std::min(bids_.apply(bids, count_to, known_bid_), asks_.apply(asks, count_to, known_ask_));
  if (depth_cap_ != 0) cut_to_cap();
  return reached;
}

}  // namespace mdp::book
