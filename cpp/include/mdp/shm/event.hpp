// The published records: what the book manager emits, the ring carries and every reader receives.
//
// C++17, standard library only. Every type is standard-layout and trivially copyable, every field has an
// explicit width, reserved bytes are zero. Numbers are fixed-point mantissas: value = mantissa * 10^exponent,
// with the two exponents of the instrument (directory.hpp), usually negative. Times are nanoseconds since the
// Unix epoch.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <type_traits>

namespace mdp::shm {

inline constexpr std::size_t kCacheLineSize =
    64;  // ours: the standard's constant varies with compiler and flags

// One price of a book, or one change of it: quantity is absolute, zero removes the level.
struct PriceLevel {
  std::int64_t price;
  std::int64_t quantity;
};
static_assert(sizeof(PriceLevel) == 16 && std::is_trivially_copyable_v<PriceLevel>);

inline bool operator==(const PriceLevel& a, const PriceLevel& b) noexcept {
  return a.price == b.price && a.quantity == b.quantity;
}
inline bool operator!=(const PriceLevel& a, const PriceLevel& b) noexcept { return !(a == b); }

enum class EventType : std::uint8_t {
  None = 0,
  BookDelta = 1,         // levels: changed levels, bids then asks; absolute quantities, zero removes
  BookSnapshot = 2,      // levels: the whole book (or its top), bids then asks, each best first
  Bbo = 3,               // bbo: best bid and offer after update_id; a zero quantity is an empty side
  Trade = 4,             // trade
  BookState = 5,         // book_state: how far the book is known; state and reason are in the header
  Instrument = 6,        // header only: the directory entry of symbol_id was added or changed
  ConnectionStatus = 7,  // header only: state is a LineState, reason the line's index; symbol_id is kNoSymbol
  MarkPrice = 8,         // mark_price: mark and index price, funding
  Liquidation = 9,       // liquidation: a forced order of somebody's, as far as the venue tells
};

// Bits of EventHeader::flags. A book update larger than one record is split: the reader applies it when Last
// arrives.
enum EventFlag : std::uint8_t {
  kFlagFirst = 1,  // first record of this update
  kFlagLast = 2,   // last record of this update
  kFlagTop = 4,    // BookSnapshot: only the best levels, and no news: whoever follows the deltas leaves it
  kFlagVenueQuote = 8,   // Bbo: from the venue's own best-bid-and-ask stream, not from the book
  kFlagTableOnly = 16,   // between manager and publisher: goes to the book table, never into the ring
  kFlagSameLevels = 32,  // with kFlagTableOnly: the table's levels stand, only ids and times move on
  kFlagAggregate =
      64,  // Trade: several fills of one taker order in one record (trade_id is the aggregate's id)
};

enum class BookState : std::uint8_t {
  Stale = 0,    // not usable; what is in the book table is the last known state
  Syncing = 1,  // deltas are being buffered until a snapshot joins them
  Live = 2,     // right, up to update_id
};

enum class StateReason : std::uint8_t {
  None = 0,
  Starting = 1,           // no data yet
  Subscribed = 2,         // first delta arrived, a snapshot was asked for
  Synced = 3,             // snapshot and deltas joined
  Gap = 4,                // a sequence number is missing
  Disconnected = 5,       // the line was lost
  ParseError = 6,         // a frame of this symbol could not be read exactly
  Crossed = 7,            // best bid >= best ask after an update
  BufferOverflow = 8,     // too many deltas while SYNCING
  SnapshotTooOld = 9,     // snapshot older than the first buffered delta: another one is fetched
  SnapshotFailed = 10,    // the snapshot could not be fetched or read
  Requested = 11,         // control asked for a resync
  Unsubscribed = 12,      // the symbol was removed
  ChecksumMismatch = 13,  // the venue's checksum disagrees
  AuditMismatch = 14,     // the venue's best bid and ask, or its snapshot, disagrees at this id
  Stopped = 15,           // the publisher stopped
  Rejected = 16,          // the venue refused the subscription
  Silent = 17,            // the venue confirmed the subscription; quotes or trades go on, and no update comes
  DepthExhausted = 18,    // fewer levels of a side are known than the segment publishes
  DepthChanged = 19,      // LIVE as before; from here on the book is known to another depth
  SequenceReset = 20,     // the venue's update ids began anew: what comes does not follow the book
};

enum class LineState : std::uint8_t { Down = 0, Connecting = 1, Up = 2 };

enum class Side : std::uint8_t { None = 0, Buy = 1, Sell = 2 };  // of a trade: the aggressor's

enum class InstrumentKind : std::uint8_t { Spot = 0, Perpetual = 1, Future = 2, Option = 3 };

inline constexpr std::uint32_t kNoSymbol = 0xFFFF'FFFF;

//  0        4    5     6        8           12             14             16             24
//  +--------+----+-----+--------+-----------+--------------+--------------+--------------+-----------------+
//  | size   |type|flags|exchange| symbol_id | bids / state | asks / reason| sequence     | update_id       |
//  +--------+----+-----+--------+-----------+--------------+--------------+--------------+-----------------+
//  | first_update_id @32 | exch_ts_ns @40   | recv_ts_ns @48              | pub_ts_ns @56                  |
//  +---------------------+------------------+-----------------------------+--------------------------------+
//  then the body @64; a record takes whole cache lines
struct EventHeader {
  std::uint32_t size_bytes;  // of the whole record in the ring: a multiple of 64, header included
  EventType type;
  std::uint8_t flags;  // EventFlag bits
  std::uint16_t exchange_id;
  std::uint32_t symbol_id;        // index of the instrument in the directory
  std::uint16_t bid_count;        // levels of each side that follow; BookState: the BookState
  std::uint16_t ask_count;        //                                  BookState: the StateReason
  std::uint64_t sequence;         // number of this event in the ring, 0, 1, 2, ... without holes
  std::uint64_t update_id;        // venue's id of the book after this event; 0 where it has none
  std::uint64_t first_update_id;  // first id the update covers: at most 1 above the update_id it follows
  std::int64_t exch_ts_ns;        // clock of the venue; 0 where it sends none
  std::int64_t recv_ts_ns;        // at the socket
  std::int64_t pub_ts_ns;         // at the ring commit
};
static_assert(sizeof(EventHeader) == kCacheLineSize && std::is_trivially_copyable_v<EventHeader> &&
              std::is_standard_layout_v<EventHeader>);
static_assert(offsetof(EventHeader, type) == 4 && offsetof(EventHeader, flags) == 5 &&
              offsetof(EventHeader, exchange_id) == 6 && offsetof(EventHeader, symbol_id) == 8 &&
              offsetof(EventHeader, bid_count) == 12 && offsetof(EventHeader, ask_count) == 14 &&
              offsetof(EventHeader, sequence) == 16 && offsetof(EventHeader, update_id) == 24 &&
              offsetof(EventHeader, first_update_id) == 32 && offsetof(EventHeader, exch_ts_ns) == 40 &&
              offsetof(EventHeader, recv_ts_ns) == 48 && offsetof(EventHeader, pub_ts_ns) == 56);

// Every level of the book at known_bid or above it is in what was published, and at known_ask or below it; what
// lies beyond is unknown, not empty. kAllBids, kAllAsks: the side has no level but those published.
inline constexpr std::int64_t kAllBids = std::numeric_limits<std::int64_t>::min();
inline constexpr std::int64_t kAllAsks = std::numeric_limits<std::int64_t>::max();

struct BookStateBody {
  std::int64_t known_bid;
  std::int64_t known_ask;
};
static_assert(sizeof(BookStateBody) == 16);

struct BboBody {
  PriceLevel bid;
  PriceLevel ask;
};
static_assert(sizeof(BboBody) == 32);

struct TradeBody {
  std::int64_t price;
  std::int64_t quantity;
  std::uint64_t trade_id;
  Side side;
  std::uint8_t reserved[7];
};
static_assert(sizeof(TradeBody) == 32);

// value = mantissa * 10^kFundingRateExponent, the same for every instrument: a rate has no tick.
inline constexpr int kFundingRateExponent = -12;

// Prices at the instrument's price_exponent; a price the venue does not send is 0.
struct MarkPriceBody {
  std::int64_t mark_price;
  std::int64_t index_price;
  std::int64_t settle_price;        // estimated settlement price
  std::int64_t funding_rate;        // at kFundingRateExponent, of the present interval; can be negative
  std::int64_t next_funding_ts_ns;  // 0: the contract has no funding, and funding_rate says nothing
};
static_assert(sizeof(MarkPriceBody) == 40);

struct LiquidationBody {
  std::int64_t price;            // of the forced order
  std::int64_t average_price;    // of what was filled; 0 where the venue does not send it
  std::int64_t quantity;         // of the forced order
  std::int64_t filled_quantity;  // so far
  Side side;                     // of the forced order: Sell closes somebody's long position
  std::uint8_t reserved[7];
};
static_assert(sizeof(LiquidationBody) == 40);

inline bool operator==(const LiquidationBody& a, const LiquidationBody& b) noexcept {
  return a.price == b.price && a.average_price == b.average_price && a.quantity == b.quantity &&
         a.filled_quantity == b.filled_quantity && a.side == b.side;
}

inline constexpr std::size_t kMaxEventLevels =
    256;  // of one record; a larger update is split (kFlagFirst, kFlagLast)

// One event in memory. `levels` is used up to bid_count + ask_count: bids, then asks.
struct alignas(kCacheLineSize) Event {
  EventHeader header;
  union {
    PriceLevel levels[kMaxEventLevels];
    BookStateBody book_state;
    BboBody bbo;
    TradeBody trade;
    MarkPriceBody mark_price;
    LiquidationBody liquidation;
  };

  const PriceLevel* bids() const noexcept { return levels; }
  const PriceLevel* asks() const noexcept { return levels + header.bid_count; }
  BookState state() const noexcept { return static_cast<BookState>(header.bid_count); }
  StateReason reason() const noexcept { return static_cast<StateReason>(header.ask_count); }
};
static_assert(sizeof(Event) == 65 * kCacheLineSize && std::is_trivially_copyable_v<Event> &&
              std::is_standard_layout_v<Event>);

// Bytes of body that an event's type and counts call for; -1: a type this version does not know.
constexpr std::int64_t body_bytes(const EventHeader& header) noexcept {
  switch (header.type) {
    case EventType::BookDelta:
    case EventType::BookSnapshot:
      return (std::int64_t{header.bid_count} + header.ask_count) *
             static_cast<std::int64_t>(sizeof(PriceLevel));
    case EventType::Bbo:
      return sizeof(BboBody);
    case EventType::Trade:
      return sizeof(TradeBody);
    case EventType::MarkPrice:
      return sizeof(MarkPriceBody);
    case EventType::Liquidation:
      return sizeof(LiquidationBody);
    case EventType::BookState:
      return sizeof(BookStateBody);
    case EventType::Instrument:
    case EventType::ConnectionStatus:
      return 0;
    case EventType::None:
      break;
  }
  return -1;
}

// Bytes of the record for a body of `body_bytes`: header and body, rounded up to whole cache lines.
constexpr std::uint32_t record_size_bytes(std::size_t body_bytes) noexcept {
  return static_cast<std::uint32_t>((sizeof(EventHeader) + body_bytes + kCacheLineSize - 1) / kCacheLineSize *
                                    kCacheLineSize);
}

}  // namespace mdp::shm
