// The published records: what the book manager emits, the ring carries and every reader receives.
//
// C++17, standard library only. Every type is standard-layout and trivially copyable, every field has an
// explicit width, reserved bytes are zero.
//   Prices and quantities are mantissas: value = mantissa * 10^exponent, with the two exponents of the
//   instrument (directory.hpp), from -128 to 127 and usually negative. At exponent -8 the price 12.5 is
//   1'250'000'000. decimal.hpp writes them as text. A quantity is never negative.
//   Times (names end in _ts_ns) are nanoseconds since the Unix epoch.
// What the enums are called in text is in names.hpp.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <type_traits>

namespace mdp::shm {

// Ours, because the standard's constant varies with compiler and flags.
inline constexpr std::size_t kCacheLineSize = 64;

// One price of a book, or one change of it: the quantity is absolute, and zero removes the level.
struct PriceLevel {
  std::int64_t price;
  std::int64_t quantity;
};
static_assert(sizeof(PriceLevel) == 16 && std::is_trivially_copyable_v<PriceLevel>);

inline bool operator==(const PriceLevel& a, const PriceLevel& b) noexcept {
  return a.price == b.price && a.quantity == b.quantity;
}
inline bool operator!=(const PriceLevel& a, const PriceLevel& b) noexcept { return !(a == b); }

// Levels of one side that lie in somebody else's memory: an event's, which owns them.
class LevelSpan {
 public:
  constexpr LevelSpan(const PriceLevel* first, std::size_t count) noexcept : first_(first), count_(count) {}

  constexpr const PriceLevel* begin() const noexcept { return first_; }
  constexpr const PriceLevel* end() const noexcept { return first_ + count_; }
  constexpr const PriceLevel* data() const noexcept { return first_; }
  constexpr std::size_t size() const noexcept { return count_; }
  constexpr bool empty() const noexcept { return count_ == 0; }
  // index < size()
  constexpr const PriceLevel& operator[](std::size_t index) const noexcept { return first_[index]; }

 private:
  const PriceLevel* first_;
  std::size_t count_;
};

// What an event is, and so what its body is. A reader passes over types it does not know: a later minor
// version may have more. From 0x8000 on they are private to whoever writes the segment.
enum class EventType : std::uint16_t {
  Padding = 0,           // fills the end of the ring; no reader delivers it
  BookDelta = 1,         // bids(), asks(): the levels that changed
  BookSnapshot = 2,      // bids(), asks(): the whole book (or its top), best level first
  Bbo = 3,               // BboBody: best bid and offer after update_id
  Trade = 4,             // TradeBody
  BookState = 5,         // BookStateBody: whether the book may be used, and how far it is known
  Instrument = 6,        // no body: the directory entry of symbol_id was added, changed or removed
  ConnectionStatus = 7,  // ConnectionStatusBody: a connection to the venue; symbol_id is kNoSymbol
  MarkPrice = 8,         // MarkPriceBody: mark and index price, funding
  Liquidation = 9,       // LiquidationBody: a forced order of somebody's, as far as the venue tells
};

// Bits of EventHeader::flags. A book update larger than one record is split: the reader collects its records
// and applies them when Last arrives. Bits that are not named here may come to mean something: ignore them.
// The four highest are private to whoever writes the segment.
enum EventFlag : std::uint16_t {
  kFlagFirst = 1,      // first record of this update
  kFlagLast = 2,       // last record of this update
  kFlagTop = 4,        // BookSnapshot: the best levels only, and no news to who follows the deltas
  kFlagRefresh = 8,    // BookSnapshot: a LIVE book again, whole, for who joins late; no news to who has it
  kFlagChecksum = 16,  // BookDelta, BookSnapshot: the checksum of the book after it stands behind the levels
  kFlagVenueQuote = 32,  // Bbo: from the venue's own best-bid-and-ask stream, not from the book
  kFlagAggregate = 64,   // Trade: several fills of one taker order; trade_id is the aggregate's id
};

// Whether a book may be used. docs/reading.md tells what a reader does in each state.
enum class BookState : std::uint16_t {
  Stale = 0,    // not usable; what is in the book table is the last known state
  Syncing = 1,  // not usable yet: deltas are buffered until a snapshot joins them
  Live = 2,     // right, up to update_id
};

// Why a book is in its state. (15 is free: nothing ever sent it. From 0x8000 on: private.)
enum class StateReason : std::uint16_t {
  None = 0,
  Starting = 1,           // no data yet
  Subscribed = 2,         // first delta arrived, a snapshot was asked for
  Synced = 3,             // snapshot and deltas joined
  Gap = 4,                // a sequence number is missing
  Disconnected = 5,       // the line was lost
  ParseError = 6,         // a frame of this symbol could not be read exactly
  Crossed = 7,            // best bid >= best ask after an update
  BufferOverflow = 8,     // too many deltas while SYNCING
  SnapshotTooOld = 9,     // the snapshot is older than the first buffered delta: another one is fetched
  SnapshotFailed = 10,    // the snapshot could not be fetched or read
  Requested = 11,         // the publisher's operator asked for a resync
  Unsubscribed = 12,      // the symbol was removed
  ChecksumMismatch = 13,  // the venue's checksum disagrees
  AuditMismatch = 14,     // the venue's best bid and ask, or its snapshot, disagrees at this id
  Rejected = 16,          // the venue refused the subscription
  Silent = 17,            // the venue confirmed the subscription; quotes or trades go on, and no update comes
  DepthExhausted = 18,    // fewer levels of a side are known than the segment publishes
  DepthChanged = 19,      // LIVE as before; from here on the book is known to another depth
  SequenceReset = 20,     // the venue's update ids began anew: the next update_id may be lower than the last
};

// State of one connection ("line") to a venue.
enum class LineState : std::uint8_t { Down = 0, Connecting = 1, Up = 2 };

// Of a trade: the aggressor's. Of a liquidation: that of the forced order. None: the venue does not say.
enum class Side : std::uint8_t { None = 0, Buy = 1, Sell = 2 };

// What is traded.
enum class InstrumentKind : std::uint16_t { Spot = 0, Perpetual = 1, Future = 2, Option = 3 };

// What a contract pays: Linear in its quote, Inverse in its base, Quanto in something else. None: no
// contract.
enum class Settlement : std::uint16_t { None = 0, Linear = 1, Inverse = 2, Quanto = 3 };

// What contract_size counts. None: there are no contracts, quantities are amounts of base.
enum class ContractUnit : std::uint16_t { None = 0, Base = 1, Quote = 2 };

enum class OptionRight : std::uint16_t { None = 0, Call = 1, Put = 2 };

// symbol_id of an event that is about no instrument.
inline constexpr std::uint32_t kNoSymbol = 0xFFFF'FFFF;

//  0       2      4       6          8           12          14          16             24
//  +-------+------+-------+----------+-----------+-----------+-----------+--------------+------------------+
//  | lines | type | flags | exchange | symbol_id | bid_count | ask_count | sequence     | update_id        |
//  +-------+------+-------+----------+-----------+-----------+-----------+--------------+------------------+
//  | first_update_id @32 | exch_ts_ns @40        | recv_ts_ns @48        | pub_ts_ns @56                   |
//  +---------------------+-----------------------+-----------------------+---------------------------------+
//  then the body @64; a record takes whole cache lines
struct EventHeader {
  std::uint16_t size_lines;  // of the whole record in the ring, header included, in units of 64 bytes
  EventType type;
  std::uint16_t flags;            // EventFlag bits
  std::uint16_t exchange_id;      // VenueEntry::exchange_id
  std::uint32_t symbol_id;        // index of the instrument in the directory; kNoSymbol: of none
  std::uint16_t bid_count;        // BookDelta, BookSnapshot: bids of the body, which asks follow; else 0
  std::uint16_t ask_count;        // BookDelta, BookSnapshot: asks of the body; else 0
  std::uint64_t sequence;         // number of this event in the ring, 0, 1, 2, ... without holes
  std::uint64_t update_id;        // venue's id of the book after this event; 0 where it has none
  std::uint64_t first_update_id;  // first id the update covers: at most 1 above the update_id it follows
  std::int64_t exch_ts_ns;        // clock of the venue; 0 where it sends none
  std::int64_t recv_ts_ns;        // at the socket
  std::int64_t pub_ts_ns;         // at the ring commit

  // Of the whole record in the ring, header included.
  constexpr std::uint32_t size_bytes() const noexcept {
    return size_lines * static_cast<std::uint32_t>(kCacheLineSize);
  }
};
static_assert(sizeof(EventHeader) == kCacheLineSize && std::is_trivially_copyable_v<EventHeader> &&
              std::is_standard_layout_v<EventHeader>);
static_assert(offsetof(EventHeader, type) == 2 && offsetof(EventHeader, flags) == 4 &&
              offsetof(EventHeader, exchange_id) == 6 && offsetof(EventHeader, symbol_id) == 8 &&
              offsetof(EventHeader, bid_count) == 12 && offsetof(EventHeader, ask_count) == 14 &&
              offsetof(EventHeader, sequence) == 16 && offsetof(EventHeader, update_id) == 24 &&
              offsetof(EventHeader, first_update_id) == 32 && offsetof(EventHeader, exch_ts_ns) == 40 &&
              offsetof(EventHeader, recv_ts_ns) == 48 && offsetof(EventHeader, pub_ts_ns) == 56);

// Bodies. Each names its event type in kType, by which Event::get_if() finds it.

// known_bid and known_ask of a side of which every level was published.
inline constexpr std::int64_t kAllBids = std::numeric_limits<std::int64_t>::min();
inline constexpr std::int64_t kAllAsks = std::numeric_limits<std::int64_t>::max();

// Every bid at known_bid or above it is in what was published, and every ask at known_ask or below it. What
// lies beyond is unknown, which is not the same as empty.
struct BookStateBody {
  static constexpr EventType kType = EventType::BookState;
  std::int64_t known_bid;  // mantissa of a price, or kAllBids
  std::int64_t known_ask;  // mantissa of a price, or kAllAsks
  BookState state;
  StateReason reason;  // of the state
  std::uint8_t reserved[4];
};
static_assert(sizeof(BookStateBody) == 24 && offsetof(BookStateBody, state) == 16 &&
              offsetof(BookStateBody, reason) == 18);

// A quantity of 0 is an empty side; its price then means nothing.
struct BboBody {
  static constexpr EventType kType = EventType::Bbo;
  PriceLevel bid;
  PriceLevel ask;
};
static_assert(sizeof(BboBody) == 32);

struct TradeBody {
  static constexpr EventType kType = EventType::Trade;
  std::int64_t price;
  std::int64_t quantity;
  std::uint64_t trade_id;  // the venue's
  Side side;
  std::uint8_t reserved[7];
};
static_assert(sizeof(TradeBody) == 32);

struct ConnectionStatusBody {
  static constexpr EventType kType = EventType::ConnectionStatus;
  std::uint16_t line;  // number of the connection, from 0; the publisher's, over all venues
  LineState state;
  std::uint8_t reserved[5];
};
static_assert(sizeof(ConnectionStatusBody) == 8);

// value = mantissa * 10^kFundingRateExponent, the same for every instrument: a rate has no tick.
inline constexpr int kFundingRateExponent = -12;

// Prices at the instrument's price_exponent; a price the venue does not send is 0.
struct MarkPriceBody {
  static constexpr EventType kType = EventType::MarkPrice;
  std::int64_t mark_price;
  std::int64_t index_price;
  std::int64_t settle_price;        // estimated settlement price
  std::int64_t funding_rate;        // at kFundingRateExponent, of the present interval; can be negative
  std::int64_t next_funding_ts_ns;  // 0: the contract has no funding, and funding_rate says nothing
};
static_assert(sizeof(MarkPriceBody) == 40);

struct LiquidationBody {
  static constexpr EventType kType = EventType::Liquidation;
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

// Levels there is room for in one Event, bids and asks together. A record of the ring holds at most
// kMaxRecordLevels, so that a checksum fits behind them; a larger update is split (kFlagFirst, kFlagLast).
inline constexpr std::size_t kMaxEventLevels = 256;
inline constexpr std::size_t kMaxRecordLevels = kMaxEventLevels - 1;

// What one level adds to the checksum of its book: the sum of these over all levels, modulo 2^64. So a change
// of one level changes the sum by one multiple of its quantity's change, whatever else the book holds, and
// their order means nothing. The factor is odd: no quantity but 0 adds nothing. Asks count against bids.
constexpr std::uint64_t level_checksum(std::int64_t price, std::int64_t quantity, bool is_ask) noexcept {
  const auto p = static_cast<std::uint64_t>(price);
  const std::uint64_t weight = p * (p + 1) + 1;
  return (is_ask ? 0 - weight : weight) * static_cast<std::uint64_t>(quantity);
}

// One event in memory. Which member of the union is there goes by header.type: ask get_if(), bids() and
// asks(), or switch over the type and read the member of its name.
struct alignas(kCacheLineSize) Event {
  EventHeader header;
  union {
    PriceLevel levels[kMaxEventLevels];  // used up to bid_count + ask_count: bids, then asks
    BookStateBody book_state;
    BboBody bbo;
    TradeBody trade;
    ConnectionStatusBody connection_status;
    MarkPriceBody mark_price;
    LiquidationBody liquidation;
  };

  // The body if the event is of Body's type, else null: if (const auto* trade = event.get_if<TradeBody>())
  // ... Valid as long as the event and unchanged.
  template <class Body>
  const Body* get_if() const noexcept {
    if (header.type != Body::kType) return nullptr;
    // A standard-layout union and each of its members have one address.
    return static_cast<const Body*>(static_cast<const void*>(levels));
  }

  // Levels of a BookDelta or BookSnapshot; of any other event none.
  LevelSpan bids() const noexcept { return {levels, has_levels() ? header.bid_count : std::size_t{0}}; }
  LevelSpan asks() const noexcept {
    return has_levels() ? LevelSpan{levels + header.bid_count, header.ask_count} : LevelSpan{levels, 0};
  }
  bool has_levels() const noexcept {
    return header.type == EventType::BookDelta || header.type == EventType::BookSnapshot;
  }

  // The sum of level_checksum() over all levels of the book as it is after this update, where the record
  // tells it (kFlagChecksum): in the last record of each update of the book. Call only then.
  std::uint64_t checksum() const noexcept {
    const auto index = std::size_t{header.bid_count} + header.ask_count;
    return static_cast<std::uint64_t>(levels[index < kMaxRecordLevels ? index : kMaxRecordLevels].price);
  }
  bool has_checksum() const noexcept { return has_levels() && (header.flags & kFlagChecksum) != 0; }
};
static_assert(sizeof(Event) == 65 * kCacheLineSize && std::is_trivially_copyable_v<Event> &&
              std::is_standard_layout_v<Event>);

// Bytes of body that an event's type and counts call for; -1: a type this version does not know.
constexpr std::int64_t body_bytes(const EventHeader& header) noexcept {
  switch (header.type) {
    case EventType::BookDelta:
    case EventType::BookSnapshot:
      return (std::int64_t{header.bid_count} + header.ask_count) *
                 static_cast<std::int64_t>(sizeof(PriceLevel)) +
             ((header.flags & kFlagChecksum) != 0 ? std::int64_t{sizeof(std::uint64_t)} : 0);
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
    case EventType::ConnectionStatus:
      return sizeof(ConnectionStatusBody);
    case EventType::Instrument:
      return 0;
    case EventType::Padding:
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
