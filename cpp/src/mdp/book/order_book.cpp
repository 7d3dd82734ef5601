#include "mdp/book/order_book.hpp"

#include <algorithm>
#include <utility>

#include "mdp/core/error.hpp"

namespace mdp::book {

OrderBook::OrderBook(std::size_t depth_cap, BlockPool* pool, bool summed)
    : own_pool_(pool == nullptr ? std::make_unique<BlockPool>() : nullptr),
      depth_cap_(static_cast<std::uint32_t>(std::min<std::size_t>(depth_cap, UINT32_MAX))),
      bids_(BookSide::Best::Highest, pool == nullptr ? *own_pool_ : *pool, summed),
      asks_(BookSide::Best::Lowest, pool == nullptr ? *own_pool_ : *pool, summed) {}

OrderBook& OrderBook::operator=(OrderBook&& other) noexcept {
  std::swap(own_pool_, other.own_pool_);  // blocks stay with the pool they came from
  std::swap(depth_cap_, other.depth_cap_);
  std::swap(update_id_, other.update_id_);
  std::swap(known_bid_, other.known_bid_);
  std::swap(known_ask_, other.known_ask_);
  std::swap(cut_, other.cut_);
  std::swap(cut_bid_count_, other.cut_bid_count_);
  bids_ = std::move(other.bids_);  // a swap too
  asks_ = std::move(other.asks_);
  return *this;
}

void OrderBook::reserve(std::size_t levels) {
  bids_.reserve(levels);
  asks_.reserve(levels);
  if (depth_cap_ != 0) cut_.reserve(2 * levels);
}

void OrderBook::apply_snapshot(std::span<const PriceLevel> bids, std::span<const PriceLevel> asks,
                               std::size_t depth_limit) {
  bids_.assign(bids);
  asks_.assign(asks);
  const auto by_price = [](const PriceLevel& a, const PriceLevel& b) { return a.price < b.price; };
  const auto is_whole = [depth_limit](std::span<const PriceLevel> side) {
    return depth_limit == 0 || side.size() < depth_limit;
  };
  known_bid_ = is_whole(bids) ? kAllBids : std::min_element(bids.begin(), bids.end(), by_price)->price;
  known_ask_ = is_whole(asks) ? kAllAsks : std::max_element(asks.begin(), asks.end(), by_price)->price;
  if (depth_cap_ != 0) cut_to_cap();
  cut_.clear();
  cut_bid_count_ = 0;
}

void OrderBook::clear() noexcept {
  bids_.clear();
  asks_.clear();
  cut_.clear();
  cut_bid_count_ = 0;
  update_id_ = 0;
  known_bid_ = kAllBids;
  known_ask_ = kAllAsks;
}

bool OrderBook::take_wider_sides(OrderBook& other) noexcept {
  MDP_ASSERT(own_pool_ == nullptr && other.own_pool_ == nullptr);
  const bool bids = other.known_bid_ < known_bid_;
  const bool asks = other.known_ask_ > known_ask_;
  if (bids) {
    bids_ = std::move(other.bids_);  // a swap
    std::swap(known_bid_, other.known_bid_);
  }
  if (asks) {
    asks_ = std::move(other.asks_);
    std::swap(known_ask_, other.known_ask_);
  }
  return bids || asks;
}

void OrderBook::cut_to_window(std::size_t levels) {
  cut_.clear();
  bids_.keep_best(levels, cut_);
  cut_bid_count_ = static_cast<std::uint32_t>(cut_.size());
  asks_.keep_best(levels, cut_);
}

void OrderBook::cut_to_cap() {
  const std::size_t most = depth_cap_ + std::size_t{depth_cap_} / 4;
  cut_.clear();
  if (bids_.level_count() > most) bids_.keep_best(depth_cap_, cut_);
  cut_bid_count_ = static_cast<std::uint32_t>(cut_.size());
  if (asks_.level_count() > most) asks_.keep_best(depth_cap_, cut_);
  // A level that comes again beyond the cut may have neighbours that were cut.
  for (const PriceLevel& level : cut_bids()) known_bid_ = std::max(known_bid_, level.price + 1);
  for (const PriceLevel& level : cut_asks()) known_ask_ = std::min(known_ask_, level.price - 1);
}

}  // namespace mdp::book
