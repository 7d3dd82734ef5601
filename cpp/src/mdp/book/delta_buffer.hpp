// DeltaBuffer: the deltas of one symbol that wait for its snapshot. Flat storage, reused from sync to sync.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "mdp/core/normalized_message.hpp"

namespace mdp::book {

class DeltaBuffer {
 public:
  struct Delta {
    core::MessageHeader header;
    std::size_t first_level;
    std::size_t bid_count;
    std::size_t ask_count;
  };

  void push(const core::MessageHeader& header, std::span<const core::PriceLevel> bids,
            std::span<const core::PriceLevel> asks) {
    deltas_.push_back({header, levels_.size(), bids.size(), asks.size()});
    levels_.insert(levels_.end(), bids.begin(), bids.end());
    levels_.insert(levels_.end(), asks.begin(), asks.end());
  }
  void clear() noexcept {
    deltas_.clear();
    levels_.clear();
  }

  std::size_t delta_count() const noexcept { return deltas_.size(); }
  std::size_t level_count() const noexcept { return levels_.size(); }
  std::span<const Delta> deltas() const noexcept { return deltas_; }
  std::span<const core::PriceLevel> bids(const Delta& delta) const noexcept {
    return std::span(levels_).subspan(delta.first_level, delta.bid_count);
  }
  std::span<const core::PriceLevel> asks(const Delta& delta) const noexcept {
    return std::span(levels_).subspan(delta.first_level + delta.bid_count, delta.ask_count);
  }

 private:
  std::vector<Delta> deltas_;
  std::vector<core::PriceLevel> levels_;
};

}  // namespace mdp::book
