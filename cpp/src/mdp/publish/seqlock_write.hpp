// SeqlockWrite: how the publisher replaces a small group of words that readers copy out whole. Used by the
// writers of the directory and of the book table. The readers' half is mdp_shm_copy_entry() in
// mdp/shm/mdp_shm.h.
#pragma once

#include <cstdint>

#include "mdp/shm/layout.hpp"

namespace mdp::publish {

// One thread at a time: words stored (shm::store_words()) while it lives become visible together.
class SeqlockWrite {
 public:
  explicit SeqlockWrite(shm::Word& seq) noexcept : seq_(seq), value_(seq.load(std::memory_order_relaxed)) {
    // relaxed: the release stores of the words that follow carry it along; pairs with the load in
    // mdp_shm_seqlock_unchanged(). (The load above is of the writer's own last store.)
    seq_.store(value_ + 1, std::memory_order_relaxed);
  }
  // release: publishes the words stored since; pairs with the acquire load in mdp_shm_seqlock_at_rest().
  ~SeqlockWrite() { seq_.store(value_ + 2, std::memory_order_release); }
  SeqlockWrite(const SeqlockWrite&) = delete;
  SeqlockWrite& operator=(const SeqlockWrite&) = delete;

 private:
  shm::Word& seq_;
  std::uint64_t value_;
};

}  // namespace mdp::publish
