// NormalizedMessage: the one form every venue's messages take between parser and book manager.
//
// Written by a parser into a slot its MessageSink hands out, read by OrderBookManager. Plain memory:
// trivially copyable, standard-layout. A slot holds kMaxMessageLevels levels; a larger snapshot or delta is
// split into chunks flagged kFirst and kLast and applied as one.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>

#include "mdp/core/ids.hpp"
#include "mdp/shm/event.hpp"

namespace mdp::core {

using shm::PriceLevel;
using shm::Side;

enum class UpdateType : std::uint8_t {
  Snapshot = 1,    // levels: the whole book at last_update_id; an in-stream or a REST snapshot
  Delta = 2,       // levels: absolute quantities; zero removes the level
  Trade = 3,       // trade
  Quote = 4,       // levels[0] best bid, levels[1] best ask, as the venue's own stream says
  Invalidate = 5,  // header only: what is known of symbol_id can't be trusted; reason is a shm::StateReason
  Line = 6,  // header only: line_id changed its state; reason is a shm::LineState; symbol_id is kNoSymbol
  MarkPrice = 7,    // mark_price
  Liquidation = 8,  // liquidation
  Checksum = 9,     // header only: the book as it stands has this checksum
};

// Bits of MessageHeader::flags.
enum MessageFlag : std::uint16_t {
  kFirst = 1,         // first chunk of this snapshot or delta
  kLast = 2,          // last chunk
  kAggregate = 4,     // Trade: an aggregate of several fills
  kReset = 8,         // Delta or Snapshot: the venue starts its sequence anew
  kHasChecksum = 16,  // Delta or Snapshot: checksum is the venue's of the book behind it
};

struct alignas(shm::kCacheLineSize) MessageHeader {
  std::uint64_t first_update_id;  // venue's `U` and the like; 0 where it has none
  std::uint64_t last_update_id;   // venue's `u`
  std::uint64_t prev_update_id;   // venue's `pu`; 0 where it has none
  std::int64_t exch_ts_ns;        // 0 where the venue sends none
  std::int64_t recv_ts_ns;
  SymbolId symbol_id;
  ExchangeId exchange_id;
  LineId line_id;  // the connection it came on
  UpdateType update_type;
  std::uint8_t reason;  // Invalidate: a shm::StateReason; Line: a shm::LineState
  std::uint16_t flags;  // MessageFlag bits
  std::uint16_t bid_count;
  std::uint16_t ask_count;
  std::uint16_t chunk;  // 0, 1, 2, ... of this snapshot or delta: a lost one shows
  // Snapshot: the most levels a side it was allowed to hold. A side with fewer is the whole side; one with as
  // many ends where the venue cut it, and what lies beyond is unknown. 0: the snapshot is the whole book.
  std::uint16_t depth_limit;
  std::uint32_t checksum;  // where kHasChecksum is set, and of a Checksum
};
static_assert(sizeof(MessageHeader) == shm::kCacheLineSize);

struct Trade {
  std::int64_t price;
  std::int64_t quantity;
  std::uint64_t trade_id;
  Side side;  // the aggressor's
  std::uint8_t reserved[7];
};
static_assert(sizeof(Trade) == sizeof(shm::TradeBody));

inline constexpr std::size_t kMaxMessageLevels = shm::kMaxEventLevels;

struct NormalizedMessage {
  MessageHeader header;
  union {
    PriceLevel levels[kMaxMessageLevels];  // bids, then asks
    Trade trade;
    shm::MarkPriceBody mark_price;
    shm::LiquidationBody liquidation;
  };

  const PriceLevel* bids() const noexcept { return levels; }
  const PriceLevel* asks() const noexcept { return levels + header.bid_count; }
  std::size_t level_count() const noexcept { return std::size_t{header.bid_count} + header.ask_count; }
  bool has(MessageFlag flag) const noexcept { return (header.flags & flag) != 0; }

  std::size_t body_bytes() const noexcept {
    switch (header.update_type) {
      case UpdateType::Trade:
        return sizeof(Trade);
      case UpdateType::MarkPrice:
        return sizeof(shm::MarkPriceBody);
      case UpdateType::Liquidation:
        return sizeof(shm::LiquidationBody);
      default:
        return level_count() * sizeof(PriceLevel);
    }
  }
  // Bytes that carry meaning: what a copy needs to move.
  std::size_t used_bytes() const noexcept { return sizeof(MessageHeader) + body_bytes(); }
};
// 65 lines, an odd number: slots of a queue then start in different cache sets.
static_assert(sizeof(NormalizedMessage) == 65 * shm::kCacheLineSize);
static_assert(std::is_trivially_copyable_v<NormalizedMessage> &&
              std::is_standard_layout_v<NormalizedMessage>);
static_assert(offsetof(NormalizedMessage, levels) == sizeof(MessageHeader));
static_assert(offsetof(MessageHeader, symbol_id) == 40 && offsetof(MessageHeader, bid_count) == 52);

// Copies the bytes in use only: 64 and 16 a level, not the slot's 4 KiB.
inline void copy_message(NormalizedMessage& to, const NormalizedMessage& from) noexcept {
  std::memcpy(static_cast<void*>(&to), static_cast<const void*>(&from), from.used_bytes());
}

}  // namespace mdp::core
