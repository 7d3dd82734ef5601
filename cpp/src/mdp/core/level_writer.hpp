// LevelWriter: writes one book update of any size into a sink, split into chunks where it exceeds a slot.
//
// Used by the parsers: bids, begin_asks(), asks, then finish(). On an error abandon() tells the book manager
// to forget the chunks already handed on and to resync the symbol. While an update is written nobody else
// commits to its sink: the writer keeps its place in the slot.
#pragma once

#include "mdp/core/error.hpp"
#include "mdp/core/sinks.hpp"

namespace mdp::core {

class LevelWriter {
 public:
  // `header` carries everything but flags, counts and chunk; its kReset flag is kept. It must outlive the
  // writer. `handed_on` chunks of the same update have gone into the sink before: they are counted, not
  // written once more.
  LevelWriter(MessageSink& sink, const MessageHeader& header, std::uint16_t handed_on = 0) noexcept
      : sink_(sink),
        header_(header),
        flags_(static_cast<std::uint16_t>((header.flags & (kReset | kHasChecksum)) | kFirst)),
        handed_on_(handed_on) {
    begin_chunk();
  }
  LevelWriter(MessageSink&, const MessageHeader&&, std::uint16_t = 0) = delete;

  void add(PriceLevel level) noexcept {
    PriceLevel* const place = room();
    *place = level;
    wrote(place + 1);
  }
  void begin_asks() noexcept {
    bids_end_ = next_;
    in_asks_ = true;
  }

  // For who writes levels in place: from room() to room_end(), at least one; then wrote() up to where.
  PriceLevel* room() noexcept {
    if (next_ == end_) [[unlikely]]
      commit_chunk(0);
    return next_;
  }
  PriceLevel* room_end() const noexcept { return end_; }
  void wrote(PriceLevel* next) noexcept {
    MDP_ASSERT(next_ <= next && next <= end_);
    next_ = next;
  }

  // Chunks handed on so far.
  std::uint16_t chunks() const noexcept { return chunk_; }

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
  void begin_chunk() noexcept {
    next_ = bids_end_ = sink_.slot().levels;
    end_ = next_ + kMaxMessageLevels;
  }
  void commit_chunk(std::uint16_t last) noexcept {
    if (last != 0 || chunk_ >= handed_on_) {
      NormalizedMessage& slot = sink_.slot();
      slot.header = header_;
      slot.header.flags = static_cast<std::uint16_t>(flags_ | last);
      const PriceLevel* const bids_end = in_asks_ ? bids_end_ : next_;
      slot.header.bid_count = static_cast<std::uint16_t>(bids_end - slot.levels);
      slot.header.ask_count = static_cast<std::uint16_t>(next_ - bids_end);
      slot.header.chunk = chunk_;
      sink_.commit();
    }
    flags_ = 0;
    ++chunk_;
    begin_chunk();
  }

  MessageSink& sink_;
  const MessageHeader& header_;  // copied when it is long written: loads right behind the stores would wait
  // In the sink's slot: where the next level goes, where the bids of this chunk end if asks have begun, where
  // the slot does.
  PriceLevel* next_;
  PriceLevel* bids_end_;
  PriceLevel* end_;
  bool in_asks_ = false;
  std::uint16_t flags_;
  std::uint16_t chunk_ = 0;
  std::uint16_t handed_on_;
};

}  // namespace mdp::core
