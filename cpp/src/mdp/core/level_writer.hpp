// LevelWriter: writes one book update of any size into a sink, split into chunks where it exceeds a slot.
//
// Used by the parsers: bids first, then asks, then finish(). On an error abandon() tells the book manager to
// forget the chunks already handed on and to resync the symbol. While an update is written nobody else
// commits to its sink: the writer keeps its place in the slot.
#pragma once

#include "mdp/core/error.hpp"
#include "mdp/core/sinks.hpp"

namespace mdp::core {

class LevelWriter {
 public:
  // `header` carries everything but flags and counts; its kReset flag is kept. `handed_on` chunks of the same
  // update have gone into the sink before: they are counted, not written once more.
  LevelWriter(MessageSink& sink, const MessageHeader& header, std::uint16_t handed_on = 0) noexcept
      : sink_(sink), header_(header), handed_on_(handed_on) {
    header_.chunk = 0;
    flags_ = static_cast<std::uint16_t>((header.flags & kReset) | kFirst);
    begin_chunk();
  }

  void add_bid(PriceLevel level) noexcept {
    MDP_ASSERT(next_ == bids_end_);
    put(level);
    bids_end_ = next_;
  }
  void add_ask(PriceLevel level) noexcept { put(level); }

  // Chunks handed on so far.
  std::uint16_t chunks() const noexcept { return header_.chunk; }

  // Hands on the last (usually the only) chunk.
  void finish() noexcept { commit_chunk(kLast); }

  // Hands on an Invalidate message instead.
  void abandon(shm::StateReason reason) noexcept { invalidate(sink_, header_, reason); }

  static void invalidate(MessageSink& sink, const MessageHeader& from, shm::StateReason reason) noexcept {
    MessageHeader& header = sink.slot().header;
    header = from;
    header.update_type = UpdateType::Invalidate;
    header.reason = static_cast<std::uint8_t>(reason);
    header.flags = kFirst | kLast;
    header.chunk = 0;
    header.bid_count = 0;
    header.ask_count = 0;
    sink.commit();
  }

 private:
  void put(PriceLevel level) noexcept {
    if (next_ == end_) [[unlikely]] {
      commit_chunk(0);
    }
    *next_++ = level;
  }
  void begin_chunk() noexcept {
    next_ = bids_end_ = sink_.slot().levels;
    end_ = next_ + kMaxMessageLevels;
  }
  void commit_chunk(std::uint16_t last) noexcept {
    header_.bid_count = static_cast<std::uint16_t>(bids_end_ - sink_.slot().levels);
    header_.ask_count = static_cast<std::uint16_t>(next_ - bids_end_);
    if (last != 0 || header_.chunk >= handed_on_) {
      header_.flags = static_cast<std::uint16_t>(flags_ | last);
      sink_.slot().header = header_;
      sink_.commit();
    }
    flags_ = 0;
    ++header_.chunk;
    begin_chunk();
  }

  MessageSink& sink_;
  MessageHeader header_;
  // In the sink's slot: where the next level goes, where the bids of this chunk end, where the slot does.
  PriceLevel* next_;
  PriceLevel* bids_end_;
  PriceLevel* end_;
  std::uint16_t flags_;
  std::uint16_t handed_on_;
};

}  // namespace mdp::core
