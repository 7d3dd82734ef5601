// Seqlock: how one writer replaces a small group of words that readers copy out whole. Used by the directory
// and the book table; both halves stand here because neither makes sense without the other.
//
// The sequence word is even at rest and odd while the writer is inside. Readers never wait: after a bounded
// number of attempts they give up, because a writer that died inside leaves the word odd for ever.
#pragma once

#include <cstdint>

#include "mdp/shm/layout.hpp"

namespace mdp::shm {

inline constexpr int kSeqlockAttempts = 4096;

// Calls `copy()` (load_words() from the guarded memory to the caller's) until nothing changed under it.
// False: the writer was inside at every attempt (very busy, descheduled, or dead), and what copy() brought is
// not valid.
template <class Copy>
[[nodiscard]] bool seqlock_read(const Word& seq, Copy&& copy, int attempts = kSeqlockAttempts) noexcept {
  for (int i = 0; i < attempts; ++i) {
    // acquire: the words copied below are at least as new as this sequence; pairs with ~SeqlockWrite().
    const std::uint64_t before = seq.load(std::memory_order_acquire);
    if ((before & 1) != 0) continue;
    copy();
    // relaxed: the acquire loads of copy() keep this load behind them, and if one of them saw a word of a
    // later write it saw that write's odd sequence too; pairs with the store in SeqlockWrite().
    if (seq.load(std::memory_order_relaxed) == before) return true;
  }
  return false;
}

// The writer's side, one thread at a time: words stored (store_words()) while it lives become visible
// together.
class SeqlockWrite {
 public:
  explicit SeqlockWrite(Word& seq) noexcept : seq_(seq), value_(seq.load(std::memory_order_relaxed)) {
    // relaxed: the release stores of the words that follow carry it along; pairs with the second load in
    // seqlock_read(). (The load above is of the writer's own last store.)
    seq_.store(value_ + 1, std::memory_order_relaxed);
  }
  // release: publishes the words stored since; pairs with the acquire load in seqlock_read().
  ~SeqlockWrite() { seq_.store(value_ + 2, std::memory_order_release); }
  SeqlockWrite(const SeqlockWrite&) = delete;
  SeqlockWrite& operator=(const SeqlockWrite&) = delete;

 private:
  Word& seq_;
  std::uint64_t value_;
};

}  // namespace mdp::shm
