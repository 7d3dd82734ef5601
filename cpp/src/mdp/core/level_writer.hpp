// LevelWriter: writes one book update of any size into a sink, split into chunks where it exceeds a slot.
//
// Used by the parsers: bids first, then asks, then finish(). On an error abandon() tells the book manager to
// forget the chunks already handed on and to resync the symbol.
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
    header_.bid_count = 0;
    header_.ask_count = 0;
    header_.chunk = 0;
    flags_ = static_cast<std::uint16_t>((header.flags & kReset) | kFirst);
  }

  void add_bid(PriceLevel level) noexcept {
    MDP_ASSERT(header_.ask_count == 0);
    make_room();
    sink_.slot().levels[header_.bid_count++] = level;
  }
  void add_ask(PriceLevel level) noexcept {
    make_room();
    sink_.slot().levels[header_.bid_count + header_.ask_count++] = level;
  }

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
  void make_room() noexcept {
    if (std::size_t{header_.bid_count} + header_.ask_count == kMaxMessageLevels) commit_chunk(0);
  }
  void commit_chunk(std::uint16_t last) noexcept {
    if (last != 0 || header_.chunk >= handed_on_) {
      header_.flags = static_cast<std::uint16_t>(flags_ | last);
      sink_.slot().header = header_;
      sink_.commit();
    }
    flags_ = 0;
    ++header_.chunk;
    header_.bid_count = 0;
    header_.ask_count = 0;
  }

  MessageSink& sink_;
  MessageHeader header_;
  std::uint16_t flags_;
  std::uint16_t handed_on_;
};

}  // namespace mdp::core
