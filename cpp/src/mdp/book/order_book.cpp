#include "mdp/book/order_book.hpp"

#include <algorithm>
#include <bit>
#include <cstring>

#if defined(__SSE4_2__)
#include <immintrin.h>
#endif

namespace mdp::book {
namespace {

// Orders a side from worst to best. The vector form answers -1 where it holds.
struct BidWorse {
  constexpr bool operator()(std::int64_t a, std::int64_t b) const noexcept { return a < b; }
#if defined(__SSE4_2__)
  __m128i operator()(__m128i a, __m128i b) const noexcept { return _mm_cmpgt_epi64(b, a); }
#endif
};
struct AskWorse {
  constexpr bool operator()(std::int64_t a, std::int64_t b) const noexcept { return a > b; }
#if defined(__SSE4_2__)
  __m128i operator()(__m128i a, __m128i b) const noexcept { return _mm_cmpgt_epi64(a, b); }
#endif
};

// Half of all changes lie within six slots of the one before, three quarters within sixteen.
constexpr std::size_t kWindow = 16;

// How many of the kWindow prices from `prices` on are worse than `price`. No branch depends on how many.
#if defined(__SSE4_2__)
template <class Worse>
std::size_t count_worse(const std::int64_t* prices, std::int64_t price, Worse worse) noexcept {
  const __m128i wanted = _mm_set1_epi64x(price);
  __m128i count = _mm_setzero_si128();
  for (std::size_t i = 0; i < kWindow; i += 2) {
    const __m128i two = _mm_loadu_si128(reinterpret_cast<const __m128i*>(prices + i));
    count = _mm_sub_epi64(count, worse(two, wanted));
  }
  return static_cast<std::size_t>(_mm_cvtsi128_si64(count) + _mm_extract_epi64(count, 1));
}
#else
template <class Worse>
std::size_t count_worse(const std::int64_t* prices, std::int64_t price, Worse worse) noexcept {
  std::size_t count = 0;
  for (std::size_t i = 0; i < kWindow; ++i) count += worse(prices[i], price) ? 1 : 0;
  return count;
}
#endif

// First of [0, length) that is not worse than `price`, by bisection whose step compiles to a conditional
// move: the outcome of each comparison is a coin toss.
template <class Worse>
std::size_t bisect(const std::int64_t* prices, std::size_t length, std::int64_t price, Worse worse) noexcept {
  const std::int64_t* base = prices;
  while (length > 0) {
    const std::size_t half = length / 2;
    base = worse(base[half], price) ? base + (length - half) : base;
    length = half;
  }
  return static_cast<std::size_t>(base - prices);
}

// First of [0, end) that is not worse than `price`: where it is or belongs. Looks back from `end` in steps
// that double, halves the last one down to a window, and counts there.
template <class Worse>
std::size_t locate(const std::int64_t* prices, std::size_t end, std::int64_t price, Worse worse) noexcept {
  std::size_t high = end;  // the answer is here or before
  std::size_t step = kWindow;
  for (;;) {
    if (high < step) return bisect(prices, high, price, worse);
    if (worse(prices[high - step], price)) break;
    high -= step;
    step *= 2;
  }
  const std::int64_t* base = prices + (high - step);  // is worse
  while (step > kWindow) {
    step /= 2;
    base = worse(base[step], price) ? base + step : base;
  }
  return static_cast<std::size_t>(base - prices) + count_worse(base, price, worse);
}

// A fresh side gets a dead slot for so many levels.
constexpr std::size_t kSpread = 4;
// A new level looks for a dead slot this far from its place one by one, then farther by blocks; where there
// is none the whole side is spread afresh.
constexpr std::size_t kNear = 8;
constexpr std::size_t kFar = 256;

constexpr std::size_t kBlock = 8;
#if defined(__SSE4_2__)
bool block_has_dead(const std::int64_t* quantities) noexcept {
  const __m128i zero = _mm_setzero_si128();
  __m128i dead = zero;
  for (std::size_t i = 0; i < kBlock; i += 2) {
    const __m128i two = _mm_loadu_si128(reinterpret_cast<const __m128i*>(quantities + i));
    dead = _mm_or_si128(dead, _mm_cmpeq_epi64(two, zero));
  }
  return _mm_movemask_epi8(dead) != 0;
}
#else
bool block_has_dead(const std::int64_t* quantities) noexcept {
  bool dead = false;
  for (std::size_t i = 0; i < kBlock; ++i) dead |= quantities[i] == 0;
  return dead;
}
#endif

// The first dead slot of [begin, end), and the last one; kNowhere where all are alive.
constexpr std::size_t kNowhere = ~std::size_t{0};
std::size_t first_dead(const std::int64_t* quantities, std::size_t begin, std::size_t end) noexcept {
  while (begin + kBlock <= end && !block_has_dead(quantities + begin)) begin += kBlock;
  while (begin < end && quantities[begin] != 0) ++begin;
  return begin < end ? begin : kNowhere;
}
std::size_t last_dead(const std::int64_t* quantities, std::size_t begin, std::size_t end) noexcept {
  while (begin + kBlock <= end && !block_has_dead(quantities + end - kBlock)) end -= kBlock;
  while (begin < end && quantities[end - 1] != 0) --end;
  return begin < end ? end - 1 : kNowhere;
}

}  // namespace

// Puts in `level`, which belongs at `at` and is not there; returns the slot it got, or kNoSlot where no dead
// slot is near. The slots between it and the dead one move by one.
std::size_t OrderBook::insert(Side& side, std::size_t at, PriceLevel level) {
  const std::size_t size = side.prices.size();
  std::int64_t* const prices = side.prices.data();
  std::int64_t* const quantities = side.quantities.data();
  for (std::size_t away = 0; away < kNear; ++away) {
    const std::size_t up = at + away;
    if (up == size) {  // behind the best level there is room always
      side.prices.push_back(0);
      side.quantities.push_back(0);
      return move_up(side.prices.data(), side.quantities.data(), at, up, level);
    }
    if (quantities[up] == 0) return move_up(prices, quantities, at, up, level);
    if (away < at && quantities[at - 1 - away] == 0)
      return move_down(prices, quantities, at, at - 1 - away, level);
  }
  const std::size_t above = first_dead(quantities, at + kNear, std::min(size, at + kFar));
  if (above != kNowhere) return move_up(prices, quantities, at, above, level);
  const std::size_t below = last_dead(quantities, at > kFar ? at - kFar : 0, at > kNear ? at - kNear : 0);
  if (below != kNowhere) return move_down(prices, quantities, at, below, level);
  return kNoSlot;
}

std::size_t OrderBook::move_up(std::int64_t* prices, std::int64_t* quantities, std::size_t at,
                               std::size_t dead, PriceLevel level) noexcept {
  if (dead - at > kNear) {
    std::memmove(prices + at + 1, prices + at, (dead - at) * sizeof(*prices));
    std::memmove(quantities + at + 1, quantities + at, (dead - at) * sizeof(*quantities));
  } else {
    for (std::size_t i = dead; i > at; --i) {
      prices[i] = prices[i - 1];
      quantities[i] = quantities[i - 1];
    }
  }
  prices[at] = level.price;
  quantities[at] = level.quantity;
  return at;
}

std::size_t OrderBook::move_down(std::int64_t* prices, std::int64_t* quantities, std::size_t at,
                                 std::size_t dead, PriceLevel level) noexcept {
  if (at - dead > kNear) {
    std::memmove(prices + dead, prices + dead + 1, (at - dead - 1) * sizeof(*prices));
    std::memmove(quantities + dead, quantities + dead + 1, (at - dead - 1) * sizeof(*quantities));
  } else {
    for (std::size_t i = dead; i + 1 < at; ++i) {
      prices[i] = prices[i + 1];
      quantities[i] = quantities[i + 1];
    }
  }
  prices[at - 1] = level.price;
  quantities[at - 1] = level.quantity;
  return at - 1;
}

template <class Worse>
std::size_t OrderBook::apply_side(Side& side, std::span<const PriceLevel> changes, Worse worse) {
  if (changes.empty()) return kUntouched;
  // Best first is the way to go: each search then begins where the last one ended. Strictly sorted the other
  // way, the changes can be taken from the end; in any other order they cannot, for the last of equal prices
  // wins.
  bool worst_first = worse(changes.front().price, changes.back().price);
  for (std::size_t i = 1; worst_first && i < changes.size(); ++i) {
    worst_first = worse(changes[i - 1].price, changes[i].price);
  }
  const PriceLevel* change = worst_first ? &changes.back() : &changes.front();
  const std::ptrdiff_t next = worst_first ? -1 : 1;

  std::int64_t* prices = side.prices.data();
  std::int64_t* quantities = side.quantities.data();
  std::size_t size = side.prices.size();
  std::size_t level_count = side.level_count;
  std::size_t end = size;  // all from here on is better than the next change
  std::int64_t previous = change->price;
  bool touched = false;
  std::int64_t best_touched = 0;
  for (std::size_t i = 0; i < changes.size(); ++i, change += next) {
    const std::int64_t price = change->price;
    const std::int64_t quantity = change->quantity;
    end = worse(price, previous) ? end : size;
    previous = price;
    const std::size_t at = locate(prices, end, price, worse);
    end = at;
    const bool found = at != size && prices[at] == price;
    bool changed = true;
    if (found || quantity == 0) {
      std::int64_t nothing = 0;
      std::int64_t* const held = found ? quantities + at : &nothing;
      const std::int64_t old = *held;
      changed = old != quantity;
      level_count += (quantity != 0 ? 1U : 0U);
      level_count -= (old != 0 ? 1U : 0U);
      *held = quantity;
    } else {
      end = insert(side, at, *change);
      if (end == kNoSlot) {
        side.level_count = level_count;
        respread(side);
        end = insert(side, locate(side.prices.data(), side.prices.size(), price, worse), *change);
      }
      ++level_count;
      prices = side.prices.data();
      quantities = side.quantities.data();
      size = side.prices.size();
    }
    const bool better = changed & (!touched | worse(best_touched, price));
    best_touched = better ? price : best_touched;
    touched |= changed;
  }
  side.level_count = level_count;
  // Dead slots behind the best level go: it has to be the last one.
  if (size > 0 && quantities[size - 1] == 0) {
    do --size;
    while (size > 0 && quantities[size - 1] == 0);
    side.prices.resize(size);
    side.quantities.resize(size);
  }
  if (size > 2 * level_count + 64) respread(side);
  if (!touched) return kUntouched;
  std::size_t above = 0;
  for (std::size_t i = side.prices.size(); i-- > 0 && above < kReachCounted;) {
    if (!worse(best_touched, side.prices[i])) break;
    above += side.quantities[i] != 0 ? 1 : 0;
  }
  return above;
}

// Lays the whole side out afresh.
void OrderBook::respread(Side& side) {
  if (side.level_count == 0) return side.clear();
  spread(side, 0, side.prices.size(), side.level_count + side.level_count / kSpread);
}

// Spreads the levels among [begin, end) evenly over `size` slots; where that is not the number there is,
// `end` is the end of the side. Each dead slot takes the price of the level before it.
void OrderBook::spread(Side& side, std::size_t begin, std::size_t end, std::size_t size) {
  std::size_t live_end = begin;
  for (std::size_t from = begin; from < end; ++from) {
    side.prices[live_end] = side.prices[from];
    side.quantities[live_end] = side.quantities[from];
    live_end += side.quantities[from] != 0 ? 1 : 0;
  }
  if (begin + size != end) {
    side.prices.resize(begin + size);
    side.quantities.resize(begin + size);
  }
  // The last level comes to the last slot. From the back, so that none is overwritten before it has moved.
  const std::size_t gaps = std::max<std::size_t>(live_end - begin, 2) - 1;
  const std::uint64_t step = ((size - 1) << 32) / gaps;
  std::size_t slot = begin + size;
  for (std::size_t from = live_end; from-- > begin;) {
    const std::size_t to = from + 1 == live_end ? begin + size - 1 : begin + (((from - begin) * step) >> 32);
    const std::int64_t price = side.prices[from];
    const std::int64_t quantity = side.quantities[from];
    while (--slot != to) {
      side.prices[slot] = price;
      side.quantities[slot] = 0;
    }
    side.prices[to] = price;
    side.quantities[to] = quantity;
  }
}

template <class Worse>
void OrderBook::assign_side(Side& side, std::span<const PriceLevel> levels, Worse worse) {
  side.clear();
  bool best_first = true;
  for (std::size_t i = 1; i < levels.size(); ++i) best_first &= worse(levels[i].price, levels[i - 1].price);
  if (!best_first) {
    apply_side(side, levels, worse);
    return;
  }
  for (std::size_t i = levels.size(); i-- > 0;) {
    if (levels[i].quantity == 0) continue;
    side.prices.push_back(levels[i].price);
    side.quantities.push_back(levels[i].quantity);
  }
  side.level_count = side.prices.size();
  respread(side);
}

OrderBook::OrderBook(std::size_t depth_cap) : depth_cap_(depth_cap) {}

void OrderBook::reserve(std::size_t levels) {
  bids_.reserve(levels);
  asks_.reserve(levels);
  if (depth_cap_ != 0) {
    cut_bids_.reserve(levels);
    cut_asks_.reserve(levels);
  }
}

std::size_t OrderBook::apply_update(std::span<const PriceLevel> bids, std::span<const PriceLevel> asks) {
  const std::size_t reached =
      std::min(apply_side(bids_, bids, BidWorse{}), apply_side(asks_, asks, AskWorse{}));
  if (depth_cap_ != 0) {
    cut(bids_, &cut_bids_);
    cut(asks_, &cut_asks_);
  }
  return reached;
}

void OrderBook::apply_snapshot(std::span<const PriceLevel> bids, std::span<const PriceLevel> asks) {
  assign_side(bids_, bids, BidWorse{});
  assign_side(asks_, asks, AskWorse{});
  cut_bids_.clear();
  cut_asks_.clear();
  if (depth_cap_ != 0) {
    cut(bids_, nullptr);
    cut(asks_, nullptr);
  }
}

void OrderBook::clear() noexcept {
  bids_.clear();
  asks_.clear();
  cut_bids_.clear();
  cut_asks_.clear();
  update_id_ = 0;
}

std::size_t OrderBook::copy_best(const Side& side, PriceLevel* out, std::size_t max) noexcept {
  const std::size_t count = std::min(side.level_count, max);
  std::size_t slot = side.prices.size();
  for (std::size_t copied = 0; copied < count;) {
    --slot;
    out[copied] = {side.prices[slot], side.quantities[slot]};
    copied += side.quantities[slot] != 0 ? 1 : 0;
  }
  return count;
}

void OrderBook::cut(Side& side, std::vector<PriceLevel>* removals) {
  if (removals != nullptr) removals->clear();
  if (side.level_count <= depth_cap_ + depth_cap_ / 4) return;
  std::size_t slot = 0;
  for (std::size_t left = side.level_count - depth_cap_; left > 0; ++slot) {
    if (side.quantities[slot] == 0) continue;
    if (removals != nullptr) removals->push_back({side.prices[slot], 0});
    --left;
  }
  side.prices.erase(side.prices.begin(), side.prices.begin() + static_cast<std::ptrdiff_t>(slot));
  side.quantities.erase(side.quantities.begin(), side.quantities.begin() + static_cast<std::ptrdiff_t>(slot));
  side.level_count = depth_cap_;
}

}  // namespace mdp::book
