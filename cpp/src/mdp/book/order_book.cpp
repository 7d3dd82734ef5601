#include "mdp/book/order_book.hpp"

#include <algorithm>

namespace mdp::book {
namespace {

// Orders a side from worst to best.
struct BidWorse {
  constexpr bool operator()(std::int64_t a, std::int64_t b) const noexcept { return a < b; }
};
struct AskWorse {
  constexpr bool operator()(std::int64_t a, std::int64_t b) const noexcept { return a > b; }
};

// First level that is not worse than `price`: where it is or belongs. Levels near the back are looked at one by one,
// where most changes fall; the rest by bisection.
template <class Worse>
PriceLevel* locate(PriceLevel* begin, PriceLevel* end, std::int64_t price, Worse worse) noexcept {
  constexpr std::ptrdiff_t kLinear = 8;
  PriceLevel* const stop = end - begin > kLinear ? end - kLinear : begin;
  PriceLevel* at = end;
  while (at != stop) {
    if (worse((at - 1)->price, price)) return at;
    --at;
  }
  // Bisection whose step compiles to a conditional move: the outcome of each comparison is a coin toss.
  PriceLevel* base = begin;
  std::size_t length = static_cast<std::size_t>(at - begin);
  while (length > 0) {
    const std::size_t half = length / 2;
    const bool right = worse(base[half].price, price);
    base = right ? base + (length - half) : base;
    length = half;
  }
  return base;
}

template <class Worse>
std::size_t apply_side(std::vector<PriceLevel>& side, std::span<const PriceLevel> changes, Worse worse) {
  std::size_t shallowest = OrderBook::kUntouched;
  for (const PriceLevel& change : changes) {
    PriceLevel* const end = side.data() + side.size();
    PriceLevel* const at = locate(side.data(), end, change.price, worse);
    const bool found = at != end && at->price == change.price;
    const auto levels_above = static_cast<std::size_t>(end - at);  // the changed level included, if it is there
    if (change.quantity != 0) {
      if (found) {
        if (at->quantity == change.quantity) continue;
        at->quantity = change.quantity;
        shallowest = std::min(shallowest, levels_above - 1);
      } else {
        side.insert(side.begin() + (at - side.data()), change);
        shallowest = std::min(shallowest, levels_above);
      }
    } else if (found) {
      side.erase(side.begin() + (at - side.data()));
      shallowest = std::min(shallowest, levels_above - 1);
    }
  }
  return shallowest;
}

template <class Worse>
void assign_side(std::vector<PriceLevel>& side, std::span<const PriceLevel> levels, Worse worse) {
  side.assign(levels.rbegin(), levels.rend());  // best first in, best last here
  const auto by_price = [worse](const PriceLevel& a, const PriceLevel& b) { return worse(a.price, b.price); };
  if (!std::is_sorted(side.begin(), side.end(), by_price)) std::stable_sort(side.begin(), side.end(), by_price);
  // Of equal prices the first one here came last in the message: unique() keeps it.
  side.erase(std::unique(side.begin(), side.end(),
                         [](const PriceLevel& a, const PriceLevel& b) { return a.price == b.price; }),
             side.end());
  std::erase_if(side, [](const PriceLevel& level) { return level.quantity == 0; });
}

}  // namespace

OrderBook::OrderBook(std::size_t depth_cap) : depth_cap_(depth_cap) {}

void OrderBook::reserve(std::size_t levels) {
  bids_.reserve(levels);
  asks_.reserve(levels);
}

std::size_t OrderBook::apply_update(std::span<const PriceLevel> bids, std::span<const PriceLevel> asks) {
  const std::size_t shallowest = std::min(apply_side(bids_, bids, BidWorse{}), apply_side(asks_, asks, AskWorse{}));
  if (depth_cap_ != 0) {
    cut(bids_);
    cut(asks_);
  }
  return shallowest;
}

void OrderBook::apply_snapshot(std::span<const PriceLevel> bids, std::span<const PriceLevel> asks) {
  assign_side(bids_, bids, BidWorse{});
  assign_side(asks_, asks, AskWorse{});
  if (depth_cap_ != 0) {
    cut(bids_);
    cut(asks_);
  }
}

void OrderBook::clear() noexcept {
  bids_.clear();
  asks_.clear();
  update_id_ = 0;
}

std::size_t OrderBook::copy_best(const std::vector<PriceLevel>& side, PriceLevel* out, std::size_t max) noexcept {
  const std::size_t count = std::min(side.size(), max);
  std::reverse_copy(side.end() - static_cast<std::ptrdiff_t>(count), side.end(), out);
  return count;
}

void OrderBook::cut(std::vector<PriceLevel>& side) {
  if (side.size() <= depth_cap_ + depth_cap_ / 4) return;
  side.erase(side.begin(), side.end() - static_cast<std::ptrdiff_t>(depth_cap_));
}

}  // namespace mdp::book
