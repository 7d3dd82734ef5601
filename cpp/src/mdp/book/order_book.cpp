#include "mdp/book/order_book.hpp"

#include <algorithm>
#include <cstring>

#if defined(__SSE4_2__)
#include <immintrin.h>
#endif

namespace mdp::book {
namespace {

// Orders a side from worst to best.
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

constexpr std::size_t kWindow = 16;

// How many of the kWindow levels from `level` on are worse than `price`. No branch depends on where they end.
#if defined(__SSE4_2__)
template <class Worse>
std::size_t count_worse(const PriceLevel* level, std::int64_t price, Worse worse) noexcept {
  const __m128i wanted = _mm_set1_epi64x(price);
  __m128i count = _mm_setzero_si128();
  for (std::size_t i = 0; i < kWindow; i += 2) {
    const __m128i first = _mm_loadu_si128(reinterpret_cast<const __m128i*>(level + i));
    const __m128i second = _mm_loadu_si128(reinterpret_cast<const __m128i*>(level + i + 1));
    // A comparison that holds is -1.
    count = _mm_sub_epi64(count, worse(_mm_unpacklo_epi64(first, second), wanted));
  }
  return static_cast<std::size_t>(_mm_cvtsi128_si64(count) + _mm_extract_epi64(count, 1));
}
#else
template <class Worse>
std::size_t count_worse(const PriceLevel* level, std::int64_t price, Worse worse) noexcept {
  std::size_t count = 0;
  for (std::size_t i = 0; i < kWindow; ++i) count += worse(level[i].price, price) ? 1 : 0;
  return count;
}
#endif

// First of [begin, begin + length) that is not worse than `price`, by bisection whose step compiles to a conditional
// move: the outcome of each comparison is a coin toss.
template <class Worse>
std::size_t bisect(const PriceLevel* begin, std::size_t length, std::int64_t price, Worse worse) noexcept {
  const PriceLevel* base = begin;
  while (length > 0) {
    const std::size_t half = length / 2;
    const bool right = worse(base[half].price, price);
    base = right ? base + (length - half) : base;
    length = half;
  }
  return static_cast<std::size_t>(base - begin);
}

// First of [0, end) that is not worse than `price`: where it is or belongs. Looks back from `end` in steps that double,
// halves the last one down to a window, and counts there.
template <class Worse>
std::size_t locate(const PriceLevel* side, std::size_t end, std::int64_t price, Worse worse) noexcept {
  std::size_t high = end;  // the answer is here or before
  std::size_t step = kWindow;
  for (;;) {
    if (high < step) return bisect(side, high, price, worse);
    if (worse(side[high - step].price, price)) break;
    high -= step;
    step *= 2;
  }
  const PriceLevel* base = side + (high - step);  // is worse
  while (step > kWindow) {
    step /= 2;
    base = worse(base[step].price, price) ? base + step : base;
  }
  return static_cast<std::size_t>(base - side) + count_worse(base, price, worse);
}

// One level to put in or take out: which one, and where, counted before any of them.
struct Shift {
  const PriceLevel* change;
  std::size_t at;
  std::ptrdiff_t below;  // by how much the levels worse than it move
  bool inserts() const noexcept { return change->quantity != 0; }
};

// memmove() by hand. The library's is slow here: the distance is a level or two and `rep movsb`, which it takes for
// longer runs, crawls where source and target overlap so closely.
using Vector = long long __attribute__((vector_size(16), aligned(8), may_alias));

void move_down(PriceLevel* levels, std::size_t count, std::ptrdiff_t by) noexcept {
  const Vector* from = reinterpret_cast<const Vector*>(levels);
  Vector* to = reinterpret_cast<Vector*>(levels + by);
  for (; count >= 4; count -= 4, from += 4, to += 4) {
    const Vector a = from[0], b = from[1], c = from[2], d = from[3];
    to[0] = a;
    to[1] = b;
    to[2] = c;
    to[3] = d;
  }
  for (; count > 0; --count) *to++ = *from++;
}

void move_up(PriceLevel* levels, std::size_t count, std::ptrdiff_t by) noexcept {
  const Vector* from = reinterpret_cast<const Vector*>(levels + count);
  Vector* to = reinterpret_cast<Vector*>(levels + count) + by;
  for (; count >= 4; count -= 4) {
    from -= 4;
    to -= 4;
    const Vector a = from[0], b = from[1], c = from[2], d = from[3];
    to[0] = a;
    to[1] = b;
    to[2] = c;
    to[3] = d;
  }
  for (; count > 0; --count) *--to = *--from;
}

// Puts in and takes out `count` levels, best first, moving what lies between two of them once. What is worse than the
// last one does not move. Between two, levels move by what is put in below less what is taken out below; runs that move
// towards the front go first, from the front on, then those that move towards the back, from the back on: so none is
// overwritten before it has moved.
void shift(std::vector<PriceLevel>& side, Shift* shifts, std::size_t count) {
  const std::size_t old_size = side.size();
  std::ptrdiff_t by = 0;
  bool any_up = false;
  for (std::size_t i = count; i-- > 0;) {
    shifts[i].below = by;
    by += shifts[i].inserts() ? 1 : -1;
    any_up |= by > 0;
    if (by >= 0) continue;
    const std::size_t first = shifts[i].at + (shifts[i].inserts() ? 0 : 1);
    const std::size_t end = i == 0 ? old_size : shifts[i - 1].at;
    move_down(side.data() + first, end - first, by);
  }
  const std::size_t new_size = static_cast<std::size_t>(static_cast<std::ptrdiff_t>(old_size) + by);
  if (by > 0) side.resize(new_size);
  PriceLevel* const levels = side.data();
  for (std::size_t i = 0; i < count; ++i) {
    if (by > 0) {
      const std::size_t first = shifts[i].at + (shifts[i].inserts() ? 0 : 1);
      const std::size_t end = i == 0 ? old_size : shifts[i - 1].at;
      move_up(levels + first, end - first, by);
    }
    by = shifts[i].below;
    if (shifts[i].inserts()) levels[static_cast<std::ptrdiff_t>(shifts[i].at) + by] = *shifts[i].change;
  }
  if (new_size < old_size) side.resize(new_size);
}

constexpr std::size_t kBatch = 256;

std::size_t fill_empty(std::vector<PriceLevel>& side, const PriceLevel* change, std::size_t count, std::ptrdiff_t next) {
  for (std::size_t i = count; i-- > 0;) {
    const PriceLevel& level = change[next * static_cast<std::ptrdiff_t>(i)];
    if (level.quantity != 0) side.push_back(level);
  }
  return side.empty() ? OrderBook::kUntouched : 0;
}

// `count` changes, each worse than the one before; `next` is how to step from one to the next: 1 or -1.
template <class Worse>
std::size_t apply_sorted(std::vector<PriceLevel>& side, const PriceLevel* change, std::size_t count,
                         std::ptrdiff_t next, Worse worse) {
  std::size_t shallowest = OrderBook::kUntouched;
  Shift shifts[kBatch + 1];
  std::size_t end = side.size();  // all from here on is better than the next change
  while (count > 0) {
    const std::size_t size = side.size();
    if (size == 0) return std::min(shallowest, fill_empty(side, change, count, next));
    const std::size_t batch = std::min(count, kBatch);
    std::size_t shift_count = 0;
    PriceLevel* const levels = side.data();
    for (std::size_t i = 0; i < batch; ++i, change += next) {
      // No branch on what is there and what is wanted: neither can be predicted.
      const std::int64_t quantity = change->quantity;
      const std::size_t at = locate(levels, end, change->price, worse);
      // Where it belongs behind the last level, that one is looked at: it is worse, so it is not taken for it.
      PriceLevel& level = levels[at - (at == size ? 1 : 0)];
      const std::int64_t old = level.quantity;
      const unsigned found = level.price == change->price ? 1 : 0;
      const unsigned shifts_levels = found ^ (quantity != 0 ? 1U : 0U);  // out and there, or in and not
      level.quantity = found != 0 ? quantity : old;
      shifts[shift_count] = {change, at, 0};
      shift_count += shifts_levels;
      const unsigned changes = shifts_levels | (found & (old != quantity ? 1U : 0U));
      const std::size_t above = size - at - found;
      shallowest = std::min(shallowest, changes != 0 ? above : OrderBook::kUntouched);
      end = at;
    }
    if (shift_count != 0) shift(side, shifts, shift_count);
    count -= batch;
  }
  return shallowest;
}

// In the order given, each by itself.
template <class Worse>
std::size_t apply_unsorted(std::vector<PriceLevel>& side, std::span<const PriceLevel> changes, Worse worse) {
  std::size_t shallowest = OrderBook::kUntouched;
  for (const PriceLevel& change : changes) {
    shallowest = std::min(shallowest, apply_sorted(side, &change, 1, 1, worse));
  }
  return shallowest;
}

template <class Worse>
std::size_t apply_side(std::vector<PriceLevel>& side, std::span<const PriceLevel> changes, Worse worse) {
  if (changes.empty()) return OrderBook::kUntouched;
  bool best_first = true;
  bool worst_first = true;
  for (std::size_t i = 1; i < changes.size(); ++i) {
    best_first &= worse(changes[i].price, changes[i - 1].price);
    worst_first &= worse(changes[i - 1].price, changes[i].price);
  }
  if (best_first) return apply_sorted(side, changes.data(), changes.size(), 1, worse);
  if (worst_first) return apply_sorted(side, &changes.back(), changes.size(), -1, worse);
  return apply_unsorted(side, changes, worse);
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
  if (depth_cap_ != 0) {
    cut_bids_.reserve(levels);
    cut_asks_.reserve(levels);
  }
}

std::size_t OrderBook::apply_update(std::span<const PriceLevel> bids, std::span<const PriceLevel> asks) {
  const std::size_t shallowest = std::min(apply_side(bids_, bids, BidWorse{}), apply_side(asks_, asks, AskWorse{}));
  if (depth_cap_ != 0) {
    cut(bids_, &cut_bids_);
    cut(asks_, &cut_asks_);
  }
  return shallowest;
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

std::size_t OrderBook::copy_best(const std::vector<PriceLevel>& side, PriceLevel* out, std::size_t max) noexcept {
  const std::size_t count = std::min(side.size(), max);
  std::reverse_copy(side.end() - static_cast<std::ptrdiff_t>(count), side.end(), out);
  return count;
}

void OrderBook::cut(std::vector<PriceLevel>& side, std::vector<PriceLevel>* removals) {
  if (removals != nullptr) removals->clear();
  if (side.size() <= depth_cap_ + depth_cap_ / 4) return;
  const auto kept = side.end() - static_cast<std::ptrdiff_t>(depth_cap_);
  if (removals != nullptr) {
    for (auto level = side.begin(); level != kept; ++level) removals->push_back({level->price, 0});
  }
  side.erase(side.begin(), kept);
}

}  // namespace mdp::book
