#include "mdp/book/book_side.hpp"

#include <algorithm>
#include <cstring>
#include <new>

#if defined(__SSE4_2__)
#include <immintrin.h>
#endif

namespace mdp::book {
namespace {

constexpr std::size_t kSlots = LevelBlock::kSlots;
constexpr std::int64_t kMinKey = std::numeric_limits<std::int64_t>::min();

// What a level adds to the checksum of its side, or a change of its quantity: linear in it. The weight of a
// price is that of its complement, so the key will do, and the side's sign comes at the end.
inline std::uint64_t checksum_of(std::int64_t key, std::int64_t quantity) noexcept {
  return shm::level_checksum(key, quantity, false);
}

// How many of eight sorted numbers are below `key`, or above. No branch depends on the answer.
#if defined(__SSE4_2__)
inline __m128i load(const std::int64_t* from) noexcept {
  return _mm_load_si128(reinterpret_cast<const __m128i*>(from));
}
inline void store(std::int64_t* to, __m128i value) noexcept {
  _mm_store_si128(reinterpret_cast<__m128i*>(to), value);
}
// Of eight lanes, each 0 or -1.
inline std::size_t count_lanes(__m128i a, __m128i b, __m128i c, __m128i d) noexcept {
  const __m128i bytes = _mm_packs_epi32(_mm_packs_epi32(a, b), _mm_packs_epi32(c, d));
  return static_cast<std::size_t>(__builtin_popcount(static_cast<unsigned>(_mm_movemask_epi8(bytes)))) / 2;
}
inline std::size_t count_below(const std::int64_t* keys, std::int64_t key) noexcept {
  const __m128i x = _mm_set1_epi64x(key);
  return count_lanes(_mm_cmpgt_epi64(x, load(keys)), _mm_cmpgt_epi64(x, load(keys + 2)),
                     _mm_cmpgt_epi64(x, load(keys + 4)), _mm_cmpgt_epi64(x, load(keys + 6)));
}
inline std::size_t count_above(const std::int64_t* keys, std::int64_t key) noexcept {
  const __m128i x = _mm_set1_epi64x(key);
  const auto two = [&](std::size_t i) {
    return _mm_cmpgt_epi64(_mm_loadu_si128(reinterpret_cast<const __m128i*>(keys + i)), x);
  };
  return count_lanes(two(0), two(2), two(4), two(6));
}

// Puts a level into a block that has room, or takes the one with this key out. All is read before anything is
// written, in aligned pairs: a read that straddles two writes just made would wait for them.
inline void insert_level(LevelBlock& block, std::size_t, std::int64_t key, std::int64_t quantity) noexcept {
  const __m128i x = _mm_set1_epi64x(key);
  const __m128i y = _mm_set1_epi64x(quantity);
  __m128i previous_below = _mm_set1_epi64x(-1);
  __m128i previous_key = x, previous_quantity = y;
  for (std::size_t i = 0; i < kSlots; i += 2) {
    const __m128i k = load(block.keys + i), q = load(block.quantities + i);
    const __m128i below = _mm_cmpgt_epi64(x, k);
    // The lanes one slot up: the level moves here, where it is not below and the one before is not either.
    const __m128i before = _mm_alignr_epi8(below, previous_below, 8);
    const __m128i moved_k = _mm_blendv_epi8(_mm_alignr_epi8(k, previous_key, 8), x, before);
    const __m128i moved_q = _mm_blendv_epi8(_mm_alignr_epi8(q, previous_quantity, 8), y, before);
    store(block.keys + i, _mm_blendv_epi8(moved_k, k, below));
    store(block.quantities + i, _mm_blendv_epi8(moved_q, q, below));
    previous_below = below;
    previous_key = k;
    previous_quantity = q;
  }
}
inline void remove_level(LevelBlock& block, std::size_t, std::int64_t key) noexcept {
  const __m128i x = _mm_set1_epi64x(key);
  __m128i k = load(block.keys), q = load(block.quantities);
  for (std::size_t i = 0; i < kSlots; i += 2) {
    const bool last = i + 2 == kSlots;
    const __m128i next_k = last ? _mm_set1_epi64x(LevelBlock::kNoKey) : load(block.keys + i + 2);
    const __m128i next_q = last ? _mm_setzero_si128() : load(block.quantities + i + 2);
    const __m128i below = _mm_cmpgt_epi64(x, k);
    store(block.keys + i, _mm_blendv_epi8(_mm_alignr_epi8(next_k, k, 8), k, below));
    store(block.quantities + i, _mm_blendv_epi8(_mm_alignr_epi8(next_q, q, 8), q, below));
    k = next_k;
    q = next_q;
  }
}
#else
inline std::size_t count_below(const std::int64_t* keys, std::int64_t key) noexcept {
  std::size_t count = 0;
  for (std::size_t i = 0; i < kSlots; ++i) count += keys[i] < key ? 1 : 0;
  return count;
}
inline std::size_t count_above(const std::int64_t* keys, std::int64_t key) noexcept {
  std::size_t count = 0;
  for (std::size_t i = 0; i < kSlots; ++i) count += keys[i] > key ? 1 : 0;
  return count;
}
// Puts a level into a block that has room, or takes one out.
inline void insert_level(LevelBlock& block, std::size_t slot, std::int64_t key,
                         std::int64_t quantity) noexcept {
  for (std::size_t i = kSlots - 1; i > slot; --i) {
    block.keys[i] = block.keys[i - 1];
    block.quantities[i] = block.quantities[i - 1];
  }
  block.keys[slot] = key;
  block.quantities[slot] = quantity;
}
inline void remove_level(LevelBlock& block, std::size_t slot, std::int64_t) noexcept {
  for (std::size_t i = slot; i + 1 < kSlots; ++i) {
    block.keys[i] = block.keys[i + 1];
    block.quantities[i] = block.quantities[i + 1];
  }
  block.keys[kSlots - 1] = LevelBlock::kNoKey;
  block.quantities[kSlots - 1] = 0;
}
#endif

}  // namespace

// ---- BlockPool -------------------------------------------------------------------------------------------

BlockPool::BlockPool(std::pmr::memory_resource* memory, std::size_t chunk_blocks)
    : memory_(memory), chunk_blocks_(chunk_blocks) {}

BlockPool::~BlockPool() {
  for (const Chunk& chunk : chunks_) {
    memory_->deallocate(chunk.blocks, chunk.count * sizeof(LevelBlock), alignof(LevelBlock));
  }
}

void BlockPool::grow(std::size_t blocks) {
  const std::size_t count = (blocks + chunk_blocks_ - 1) / chunk_blocks_ * chunk_blocks_;
  chunks_.reserve(chunks_.size() + 1);
  void* const memory = memory_->allocate(count * sizeof(LevelBlock), alignof(LevelBlock));
  chunks_.push_back({static_cast<LevelBlock*>(memory), count});
  capacity_ += count;
}

void BlockPool::reserve(std::size_t blocks) {
  reserved_ += blocks;
  if (reserved_ > capacity_) grow(reserved_ - capacity_);
}

LevelBlock* BlockPool::take_run(std::size_t count) {
  while (current_ == chunks_.size() || chunks_[current_].count - used_ < count) {
    if (current_ == chunks_.size()) {
      // A pool that keeps growing asks less and less often.
      grow(std::max(count, capacity_ / 4));
      continue;
    }
    // What is left of this chunk is too short for the run, not for single blocks.
    give_back_run(chunks_[current_].blocks + used_, chunks_[current_].count - used_);
    ++current_;
    used_ = 0;
  }
  LevelBlock* const run = chunks_[current_].blocks + used_;
  used_ += count;
  return run;
}

// ---- BookSide: memory ------------------------------------------------------------------------------------

BookSide::BookSide(BookSide&& other) noexcept
    : separators_(std::exchange(other.separators_, nullptr)),
      entries_(std::exchange(other.entries_, nullptr)),
      block_count_(std::exchange(other.block_count_, 0)),
      capacity_(std::exchange(other.capacity_, 0)),
      level_count_(std::exchange(other.level_count_, 0)),
      summed_(other.summed_),
      flip_(other.flip_),
      best_(std::exchange(other.best_, {})),
      checksum_(std::exchange(other.checksum_, 0)),
      pool_(other.pool_) {}

BookSide& BookSide::operator=(BookSide&& other) noexcept {
  std::swap(separators_, other.separators_);
  std::swap(entries_, other.entries_);
  std::swap(block_count_, other.block_count_);
  std::swap(capacity_, other.capacity_);
  std::swap(level_count_, other.level_count_);
  std::swap(passed_over_, other.passed_over_);
  std::swap(summed_, other.summed_);
  std::swap(flip_, other.flip_);
  std::swap(best_, other.best_);
  std::swap(checksum_, other.checksum_);
  std::swap(pool_, other.pool_);
  return *this;
}

namespace {
// Blocks of the pool an index takes: separators with a window before and behind, then entries.
std::size_t index_blocks(std::size_t capacity, std::size_t window) noexcept {
  const std::size_t bytes =
      (2 * window + capacity) * sizeof(std::int64_t) + capacity * sizeof(std::uintptr_t);
  return (bytes + sizeof(LevelBlock) - 1) / sizeof(LevelBlock);
}
}  // namespace

BookSide::~BookSide() {
  clear();
  if (capacity_ != 0) {
    pool_->give_back_run(reinterpret_cast<LevelBlock*>(separators_ - kWindow),
                         index_blocks(capacity_, kWindow));
  }
}

void BookSide::grow_index(std::size_t capacity) {
  capacity = (capacity + 7) / 8 * 8;
  auto* const memory = pool_->take_run(index_blocks(capacity, kWindow));
  auto* const separators = reinterpret_cast<std::int64_t*>(memory) + kWindow;
  auto* const entries = reinterpret_cast<std::uintptr_t*>(separators + capacity + kWindow);
  std::fill_n(separators - kWindow, kWindow, kMinKey);
  std::copy_n(separators_, block_count_, separators);
  std::fill_n(separators + block_count_, kWindow, LevelBlock::kNoKey);
  std::copy_n(entries_, block_count_, entries);
  if (capacity_ != 0) {
    pool_->give_back_run(reinterpret_cast<LevelBlock*>(separators_ - kWindow),
                         index_blocks(capacity_, kWindow));
  }
  separators_ = separators;
  entries_ = entries;
  capacity_ = static_cast<std::uint32_t>(capacity);
}

void BookSide::reserve(std::size_t levels) {
  // Two neighbours have at least three levels between them: shrink() sees to it.
  const std::size_t blocks = levels * 2 / 3 + 2;
  // The index grows when it must, in the pool's room (each one twice as large as the last, and all that came
  // before lie beside it as blocks). Made for the worst from the start, those of many books would lie a
  // large even number of lines apart, and their ends share a few sets of the cache.
  pool_->reserve(blocks + 2 * index_blocks(blocks, kWindow));
}

void BookSide::insert_block(std::size_t at, LevelBlock* block, std::size_t count) {
  if (block_count_ == capacity_) grow_index(std::max<std::size_t>(2 * capacity_, 8));
  const std::size_t behind = block_count_ - at;
  std::memmove(separators_ + at + 1, separators_ + at, (behind + kWindow) * sizeof(*separators_));
  std::memmove(entries_ + at + 1, entries_ + at, behind * sizeof(*entries_));
  ++block_count_;
  separators_[at] = at == 0 ? kMinKey : block->keys[0];
  entries_[at] = reinterpret_cast<std::uintptr_t>(block) + count;
}

// From the index; the blocks themselves are the caller's.
void BookSide::drop_blocks(std::size_t at, std::size_t count) noexcept {
  const std::size_t behind = block_count_ - at - count;
  std::memmove(separators_ + at, separators_ + at + count, (behind + kWindow) * sizeof(*separators_));
  std::memmove(entries_ + at, entries_ + at + count, behind * sizeof(*entries_));
  block_count_ -= static_cast<std::uint32_t>(count);
  if (at == 0) separators_[0] = kMinKey;
}

void BookSide::clear() noexcept {
  for (std::size_t at = block_count_; at-- > 0;) pool_->give_back(&block(at));
  if (capacity_ != 0) std::fill_n(separators_, kWindow, LevelBlock::kNoKey);
  block_count_ = 0;
  level_count_ = 0;
  best_ = {};
  checksum_ = 0;
}

// ---- BookSide: changes -----------------------------------------------------------------------------------

// The block where `key` is or belongs. The search begins at block `from`: `down` where the key is below the
// one found there last, else it is not in a block before.
inline std::size_t BookSide::find_block(std::size_t from, bool down, std::int64_t key) const noexcept {
  if (down) {
    const std::int64_t* const window = separators_ + from + 1 - kWindow;
    if (window[0] <= key) return from - count_above(window, key);
    return bisect(0, from + 1 - kWindow, key);
  }
  const std::int64_t* const window = separators_ + from + 1;
  // The greatest key of all is not below the separators that aren't there.
  if (window[kWindow - 1] > key) return from + kWindow - count_above(window, key);
  return bisect(from, block_count_, key);
}

// Likewise among [begin, end), of which the first is not above `key`. The outcome of each comparison is a
// coin toss: the step compiles to a conditional move.
std::size_t BookSide::bisect(std::size_t begin, std::size_t end, std::int64_t key) const noexcept {
  const std::int64_t* base = separators_ + begin;
  for (std::size_t length = end - begin; length > 1;) {
    const std::size_t half = length / 2;
    base = base[half] <= key ? base + half : base;
    length -= half;
  }
  return static_cast<std::size_t>(base - separators_);
}

// Half of block `at` comes into a new one behind it. Returns the block that slot `slot` is in now.
std::size_t BookSide::split(std::size_t at, std::size_t& slot) {
  LevelBlock* const upper = pool_->take();
  LevelBlock& lower = block(at);
  upper->clear();
  for (std::size_t i = 0; i < kHalf; ++i) {
    upper->keys[i] = lower.keys[kHalf + i];
    upper->quantities[i] = lower.quantities[kHalf + i];
    lower.keys[kHalf + i] = LevelBlock::kNoKey;
    lower.quantities[kHalf + i] = 0;
  }
  entries_[at] -= kHalf;
  insert_block(at + 1, upper, kHalf);
  if (slot <= kHalf) return at;
  slot -= kHalf;
  return at + 1;
}

// All levels of the block behind `at` come into `at`.
void BookSide::join_next(std::size_t at) noexcept {
  LevelBlock& to = block(at);
  LevelBlock& from = block(at + 1);
  const std::size_t held = count(at), added = count(at + 1);
  for (std::size_t i = 0; i < added; ++i) {
    to.keys[held + i] = from.keys[i];
    to.quantities[held + i] = from.quantities[i];
  }
  entries_[at] += added;
  drop_blocks(at + 1, 1);
  pool_->give_back(&from);
}

// Block `at` has at most kFew levels left. Returns the block where its place is now.
std::size_t BookSide::shrink(std::size_t at) noexcept {
  if (at + 1 < block_count_ && count(at + 1) <= kHalf) {
    join_next(at);
    return at;
  }
  if (at > 0 && count(at - 1) <= kHalf) {
    join_next(at - 1);
    return at - 1;
  }
  if (count(at) == 0 && block_count_ > 1) {
    pool_->give_back(&block(at));
    drop_blocks(at, 1);
    return at == 0 ? 0 : at - 1;
  }
  return at;
}

void BookSide::note_best() noexcept {
  if (level_count_ == 0) {
    best_ = {};
    return;
  }
  const LevelBlock& top = block(block_count_ - 1);
  const std::size_t slot = count(block_count_ - 1) - 1;
  best_ = {top.keys[slot] ^ flip_, top.quantities[slot]};
}

// To `count_to`, or some more: whole blocks are counted at once.
std::size_t BookSide::count_better(std::int64_t key, std::size_t count_to) const noexcept {
  std::size_t better = 0;
  for (std::size_t at = block_count_; at-- > 0 && better < count_to;) {
    if (separators_[at] <= key) {
      // Without the slots that have no level: they hold the greatest key.
      return better + count(at) - std::min(count(at), kSlots - count_above(block(at).keys, key));
    }
    better += count(at);
  }
  return better;
}

std::size_t BookSide::apply(std::span<const PriceLevel> changes, std::size_t count_to,
                            std::int64_t known_to) {
  return summed_ ? apply_changes<true>(changes, count_to, known_to)
                 : apply_changes<false>(changes, count_to, known_to);
}

// kSummed: so that a side without a checksum pays nothing for it.
template <bool kSummed>
std::size_t BookSide::apply_changes(std::span<const PriceLevel> changes, std::size_t count_to,
                                    std::int64_t known_to) {
  passed_over_ = false;
  if (changes.empty()) return kUntouched;
  if (block_count_ == 0) {
    LevelBlock* const first = pool_->take();
    first->clear();
    insert_block(0, first, 0);
  }
  const std::int64_t flip = flip_;
  const std::int64_t known_key = known_to ^ flip;
  const std::int64_t best_before = level_count_ == 0 ? kMinKey : best_.price ^ flip;
  std::int64_t best_touched = kMinKey;
  std::uint64_t sum = checksum_;
  bool touched = false;
  // Venues send changes sorted: each search begins where the last one ended, the first at the top.
  std::size_t at = block_count_ - 1;
  std::int64_t previous = LevelBlock::kNoKey;
  for (const PriceLevel& change : changes) {
    const std::int64_t key = change.price ^ flip;
    const std::int64_t quantity = change.quantity;
    if (key < known_key) {
      passed_over_ = true;
      continue;
    }
    at = find_block(at, key < previous, key);
    previous = key;
    LevelBlock* into = &block(at);
    std::size_t slot = count_below(into->keys, key);
    // One branch, not two: each is close to a coin toss.
    const bool found = (slot < count(at)) & (into->keys[slot % kSlots] == key);
    if (found) {
      if (quantity != 0) {
        if (into->quantities[slot] == quantity) continue;
        if constexpr (kSummed) sum += checksum_of(key, quantity - into->quantities[slot]);
        into->quantities[slot] = quantity;
      } else {
        if constexpr (kSummed) sum -= checksum_of(key, into->quantities[slot]);
        remove_level(*into, slot, key);
        --level_count_;
        --entries_[at];
        if (count(at) <= kFew) at = shrink(at);
      }
    } else {
      if (quantity == 0) continue;
      if constexpr (kSummed) sum += checksum_of(key, quantity);
      if (count(at) == kSlots) {
        at = split(at, slot);
        into = &block(at);
      }
      insert_level(*into, slot, key, quantity);
      ++level_count_;
      ++entries_[at];
    }
    touched = true;
    best_touched = std::max(best_touched, key);
  }
  if (!touched) return kUntouched;
  if constexpr (kSummed) checksum_ = sum;
  if (best_touched >= best_before) note_best();
  return count_better(best_touched, count_to);
}

void BookSide::assign(std::span<const PriceLevel> levels) {
  bool best_first = true;
  std::size_t total = 0;
  for (std::size_t i = 0; i < levels.size(); ++i) {
    best_first &= i == 0 || (levels[i].price ^ flip_) < (levels[i - 1].price ^ flip_);
    total += levels[i].quantity != 0 ? 1 : 0;
  }
  if (!best_first) {
    clear();
    apply(levels, 0);
    return;
  }
  const std::size_t blocks = (total + kFill - 1) / kFill;
  while (block_count_ > blocks) pool_->give_back(&block(--block_count_));
  if (blocks > capacity_) grow_index(std::max<std::size_t>(2 * capacity_, blocks));
  while (block_count_ < blocks) entries_[block_count_++] = reinterpret_cast<std::uintptr_t>(pool_->take());
  std::size_t from = levels.size();
  checksum_ = 0;
  for (std::size_t at = 0; at < blocks; ++at) {
    LevelBlock& into = block(at);
    into.clear();
    std::size_t slot = 0;
    while (slot < kFill && from > 0) {
      --from;
      if (levels[from].quantity == 0) continue;
      into.keys[slot] = levels[from].price ^ flip_;
      into.quantities[slot] = levels[from].quantity;
      if (summed_) checksum_ += checksum_of(into.keys[slot], into.quantities[slot]);
      ++slot;
    }
    separators_[at] = at == 0 ? kMinKey : into.keys[0];
    entries_[at] = reinterpret_cast<std::uintptr_t>(&into) + slot;
  }
  if (capacity_ != 0) std::fill_n(separators_ + blocks, kWindow, LevelBlock::kNoKey);
  level_count_ = static_cast<std::uint32_t>(total);
  note_best();
}

std::size_t BookSide::copy_best(PriceLevel* out, std::size_t max) const noexcept {
  const std::size_t wanted = std::min<std::size_t>(level_count_, max);
  std::size_t copied = 0;
  for (std::size_t at = block_count_; copied < wanted;) {
    --at;
    const LevelBlock& from = block(at);
    const std::size_t held = count(at), left = wanted - copied;
    // Where there is room, all slots, whatever their number, so that no branch depends on it: the next block
    // overwrites those too many.
    const std::size_t most = left >= kSlots ? kSlots : std::min(held, left);
    for (std::size_t i = 0; i < most; ++i) {
      const std::size_t slot = (held - 1 - i) % kSlots;
      out[copied + i] = {from.keys[slot] ^ flip_, from.quantities[slot]};
    }
    copied += std::min(held, left);
  }
  return wanted;
}

std::int64_t BookSide::price_at(std::size_t better) const noexcept {
  if (better + 1 == level_count_) return block(0).keys[0] ^ flip_;  // the worst is asked for most
  std::size_t at = block_count_ - 1;
  for (; better >= count(at); --at) better -= count(at);
  return block(at).keys[count(at) - 1 - better] ^ flip_;
}

void BookSide::keep_best(std::size_t wanted, std::vector<PriceLevel>& removals) {
  if (level_count_ <= wanted) return;
  std::size_t left = level_count_ - wanted;
  std::size_t whole = 0;  // blocks of which nothing stays
  for (;; ++whole) {
    LevelBlock& from = block(whole);
    const std::size_t gone = std::min(count(whole), left);
    for (std::size_t slot = 0; slot < gone; ++slot) {
      removals.push_back({from.keys[slot] ^ flip_, 0});
      if (summed_) checksum_ -= checksum_of(from.keys[slot], from.quantities[slot]);
    }
    left -= gone;
    if (gone < count(whole) || whole + 1 == block_count_) {  // one block there always is
      for (std::size_t i = 0; i < gone; ++i) remove_level(from, 0, from.keys[0]);
      entries_[whole] -= gone;
      break;
    }
    pool_->give_back(&from);
  }
  if (whole != 0) drop_blocks(0, whole);
  level_count_ = static_cast<std::uint32_t>(wanted);
  note_best();
  if (count(0) <= kFew) shrink(0);
}

}  // namespace mdp::book
