// DeltaBuffer: the deltas of one symbol that wait for its snapshot, or are kept beside it. Flat storage,
// reused from sync to sync.
#pragma once

#include <algorithm>
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

  // Room for so many without allocating.
  void reserve(std::size_t deltas, std::size_t levels) {
    deltas_.reserve(deltas);
    levels_.reserve(levels);
  }
  void push(const core::MessageHeader& header, std::span<const core::PriceLevel> bids,
            std::span<const core::PriceLevel> asks) {
    deltas_.push_back({header, levels_.size(), bids.size(), asks.size()});
    levels_.insert(levels_.end(), bids.begin(), bids.end());
    levels_.insert(levels_.end(), asks.begin(), asks.end());
  }
  // By last update id, copies in the order they came: several lines bring one sequence, each in order, not
  // all.
  void sort() noexcept {
    std::sort(deltas_.begin(), deltas_.end(), [](const Delta& a, const Delta& b) {
      return a.header.last_update_id != b.header.last_update_id
                 ? a.header.last_update_id < b.header.last_update_id
                 : a.first_level < b.first_level;
    });
  }
  // Drops the deltas before the first for which `keep(header)` holds. Their levels stay until clear().
  template <class Keep>
  void erase_until(Keep keep) {
    deltas_.erase(deltas_.begin(), std::find_if(deltas_.begin(), deltas_.end(),
                                                [&](const Delta& delta) { return keep(delta.header); }));
  }
  // Drops the deltas of one line. Likewise.
  void erase_of(core::LineId line) {
    std::erase_if(deltas_, [line](const Delta& delta) { return delta.header.line_id == line; });
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
