// BookSide: the levels of one side of an OrderBook, and the pool its memory comes from.
//
// Levels lie in blocks of eight, each two cache lines: a line of keys, a line of quantities. A key is the
// price of a bid and the complement of the price of an ask, so that a greater key is better on both sides and
// there is one code for both. Within a block the levels are packed, worst first; a slot without a level has
// the greatest key there is and quantity 0. An index has two numbers a block, worst block first: a separator,
// not above any key of the block and above every key of the block before, and an entry, the block's address
// plus its number of levels. So a search counts over eight separators and eight keys, an insert or a removal
// shifts within one block, and none of that branches on the data. A full block is split in half; one that
// gets nearly empty joins a neighbour.
//
//   index   separators_  | MIN | 9970 | 9981 | 9990 |       best block last
//           entries_     | *+6 | *+4  | *+8  | *+5  |
//                                 |
//   block                keys        9970 9972 9975 9979  MAX  MAX  MAX  MAX
//                        quantities    12    3   40    7    0    0    0    0
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory_resource>
#include <span>
#include <utility>
#include <vector>

#include "mdp/shm/event.hpp"

namespace mdp::book {

using shm::PriceLevel;

struct alignas(shm::kCacheLineSize) LevelBlock {
  static constexpr std::size_t kSlots = 8;
  static constexpr std::int64_t kNoKey = std::numeric_limits<std::int64_t>::max();
  std::int64_t keys[kSlots];
  std::int64_t quantities[kSlots];  // 0: no level here, and none behind

  void clear() noexcept {
    for (std::size_t i = 0; i < kSlots; ++i) {
      keys[i] = kNoKey;
      quantities[i] = 0;
    }
  }
};
static_assert(sizeof(LevelBlock) == 2 * shm::kCacheLineSize);

// Blocks for the books of one thread. Shared by many books they lie close together, whatever room each book
// has reserved: a page is touched only when a level comes to lie there.
class BlockPool {
 public:
  // `memory` outlives the pool. `chunk_blocks`: it is asked for so many blocks at once, or a multiple.
  explicit BlockPool(std::pmr::memory_resource* memory = std::pmr::new_delete_resource(),
                     std::size_t chunk_blocks = 64);
  ~BlockPool();
  BlockPool(const BlockPool&) = delete;
  BlockPool& operator=(const BlockPool&) = delete;

  // Makes room for this many blocks more than was asked for before.
  void reserve(std::size_t blocks);

  // `count` blocks side by side, their contents undefined. Allocates where nothing is left.
  LevelBlock* take_run(std::size_t count);
  LevelBlock* take() {
    if (free_ == nullptr) return take_run(1);
    FreeBlock* const block = free_;
    free_ = block->next;
    return reinterpret_cast<LevelBlock*>(block);
  }
  void give_back(LevelBlock* block) noexcept { free_ = ::new (static_cast<void*>(block)) FreeBlock{free_}; }
  void give_back_run(LevelBlock* run, std::size_t count) noexcept {
    for (std::size_t i = count; i-- > 0;) give_back(run + i);
  }

 private:
  struct FreeBlock {
    FreeBlock* next;
  };
  struct Chunk {
    LevelBlock* blocks;
    std::size_t count;
  };
  void grow(std::size_t blocks);

  std::pmr::memory_resource* memory_;
  std::size_t chunk_blocks_;
  FreeBlock* free_ = nullptr;
  std::vector<Chunk> chunks_;
  std::size_t current_ = 0;   // the chunk fresh blocks come from; those behind it are untouched
  std::size_t used_ = 0;      // blocks of it handed out
  std::size_t reserved_ = 0;  // blocks asked for with reserve()
  std::size_t capacity_ = 0;  // blocks of all chunks
};

class alignas(shm::kCacheLineSize) BookSide {
 public:
  enum class Best : std::int16_t { Highest = 0, Lowest = -1 };

  // `pool` outlives the side. `summed`: whether it keeps checksum().
  BookSide(Best best, BlockPool& pool, bool summed = false) noexcept
      : summed_(summed), flip_(static_cast<std::int16_t>(best)), pool_(&pool) {}
  ~BookSide();
  BookSide(BookSide&& other) noexcept;
  BookSide& operator=(BookSide&& other) noexcept;

  // As OrderBook's functions of these names, for one side. Changes at prices worse than `known_to` are passed
  // over; passed_over() tells whether there was one.
  void reserve(std::size_t levels);
  std::size_t apply(std::span<const PriceLevel> changes, std::size_t count_to, std::int64_t known_to);
  std::size_t apply(std::span<const PriceLevel> changes, std::size_t count_to) {
    return apply(changes, count_to, std::numeric_limits<std::int64_t>::min() ^ flip_);
  }
  bool passed_over() const noexcept { return passed_over_; }
  void assign(std::span<const PriceLevel> levels);
  void clear() noexcept;
  std::size_t copy_best(PriceLevel* out, std::size_t max) const noexcept;

  // The price of the level that `better` others are above; there must be one.
  std::int64_t price_at(std::size_t better) const noexcept;

  // Leaves the best `count` levels and adds the others to `removals`, their quantity 0.
  void keep_best(std::size_t count, std::vector<PriceLevel>& removals);

  // {0, 0} where there is none.
  PriceLevel best() const noexcept { return best_; }
  std::size_t level_count() const noexcept { return level_count_; }
  // The sum of shm::level_checksum() over all levels; 0 where it is not kept.
  std::uint64_t checksum() const noexcept { return checksum_; }

  // Starts to fetch what changes near the top and a copy of the best levels need, all at once: a book that
  // was not looked at for long is in no cache, and one line after the other would be waited for.
  void prefetch_top() const noexcept {
    if (block_count_ < kPrefetched) return;
    __builtin_prefetch(separators_ + block_count_ - kWindow);
    for (std::size_t at = block_count_ - kPrefetched; at < block_count_; ++at) {
      const LevelBlock& fetched = block(at);
      __builtin_prefetch(fetched.keys);
      __builtin_prefetch(fetched.quantities);
    }
  }

  static constexpr std::size_t kUntouched = ~std::size_t{0};

 private:
  static constexpr std::size_t kSlots = LevelBlock::kSlots;
  static constexpr std::size_t kWindow = 8;  // separators looked at at once
  static constexpr std::size_t kPrefetched = 4;
  static constexpr std::size_t kFill = 6;  // levels a block of a fresh side
  static constexpr std::size_t kFew = 1;   // a block with no more joins a neighbour that has no more than
  static constexpr std::size_t kHalf = kSlots / 2;
  static constexpr std::uintptr_t kCountMask = alignof(LevelBlock) - 1;

  LevelBlock& block(std::size_t at) const noexcept {
    return *reinterpret_cast<LevelBlock*>(entries_[at] & ~kCountMask);
  }
  std::size_t count(std::size_t at) const noexcept { return entries_[at] & kCountMask; }

  std::size_t find_block(std::size_t from, bool down, std::int64_t key) const noexcept;
  std::size_t bisect(std::size_t begin, std::size_t end, std::int64_t key) const noexcept;
  std::size_t split(std::size_t at, std::size_t& slot);
  std::size_t shrink(std::size_t at) noexcept;
  void join_next(std::size_t at) noexcept;
  void insert_block(std::size_t at, LevelBlock* block, std::size_t count);
  void drop_blocks(std::size_t at, std::size_t count) noexcept;
  void grow_index(std::size_t capacity);
  std::size_t count_better(std::int64_t key, std::size_t count_to) const noexcept;
  void note_best() noexcept;
  template <bool kSummed>
  std::size_t apply_changes(std::span<const PriceLevel> changes, std::size_t count_to, std::int64_t known_to);

  // One cache line, with the pool pointer. Of the separators, kWindow more stand in front of the first and
  // behind the last, of the smallest and of the greatest key, so that a window needs no bounds.
  std::int64_t* separators_ = nullptr;
  std::uintptr_t* entries_ = nullptr;
  std::uint32_t block_count_ = 0;
  std::uint32_t capacity_ = 0;  // of the index
  std::uint32_t level_count_ = 0;
  bool passed_over_ = false;
  bool summed_;
  std::int16_t flip_;  // all ones where the lowest price is best
  PriceLevel best_{};
  std::uint64_t checksum_ = 0;
  BlockPool* pool_;
};
static_assert(sizeof(BookSide) == shm::kCacheLineSize);

}  // namespace mdp::book
