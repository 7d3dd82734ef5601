// scan_document(): one pass over a frame's keys, in whatever order they come, that records where everything
// is. What it means is parser.cpp's business.
//
// simdjson's on-demand interface checks only what is visited, so every value is visited, wanted or not. A
// frame that says a thing twice is malformed, even where both agree: which of them is meant is a guess.
#pragma once

#include <simdjson.h>

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace mdp::venue::binance {

// What a frame may hold, one bit each. A letter means different things, with different types, in different
// events: `b` is levels in depthUpdate, a price in bookTicker, and was an order id in trades up to 2023.
enum Has : std::uint64_t {
  kEvent = 1u << 0,           // e
  kEventTime = 1u << 1,       // E
  kSymbol = 1u << 2,          // s
  kFirstId = 1u << 3,         // U
  kLastId = 1u << 4,          // u
  kBidLevels = 1u << 5,       // b, array
  kAskLevels = 1u << 6,       // a, array
  kBidPrice = 1u << 7,        // b, string
  kBidQuantity = 1u << 8,     // B
  kAskPrice = 1u << 9,        // a, string
  kAskQuantity = 1u << 10,    // A
  kAggregateId = 1u << 11,    // a, number
  kTradeId = 1u << 12,        // t
  kEngineTime = 1u << 13,     // T: of the matching engine; in markPriceUpdate of the next funding
  kPrice = 1u << 14,          // p
  kQuantity = 1u << 15,       // q
  kMaker = 1u << 16,          // m
  kReplyId = 1u << 17,        // id
  kResult = 1u << 18,         // result
  kCode = 1u << 19,           // code
  kMessage = 1u << 20,        // msg
  kError = 1u << 21,          // error
  kLastUpdateId = 1u << 22,   // lastUpdateId: a REST snapshot, or a partial book of spot
  kBids = 1u << 23,           // bids, array
  kAsks = 1u << 24,           // asks, array
  kArray = 1u << 25,          // an array of events: an all-market stream
  kCombined = 1u << 26,       // data: the event is in there, so not in the outer object
  kBidOrderId = 1u << 27,     // b, number
  kPrevId = 1u << 28,         // pu
  kStream = 1u << 29,         // stream
  kSettlePrice = 1u << 30,    // P, string
  kIndexPrice = 1ull << 31,   // i, string
  kFundingRate = 1ull << 32,  // r, string
  kTradeKind = 1ull << 33,    // X, string
  kOrder = 1ull << 34,        // o, object
  kOther = 1ull << 35,        // P, i, r, X or o of another type: they are no part of an event we know
  kNoPrevId = 1ull << 36,     // pu is -1: no event of the symbol came before; kPrevId is set, too
};

// The `o` of a forceOrder: a letter means something else in there once more.
enum OrderHas : std::uint32_t {
  kOrderSymbol = 1u << 0,    // s
  kOrderSide = 1u << 1,      // S
  kOrderQuantity = 1u << 2,  // q
  kOrderPrice = 1u << 3,     // p
  kOrderAverage = 1u << 4,   // ap
  kOrderFilled = 1u << 5,    // z
  kOrderTime = 1u << 6,      // T
};

struct OrderFields {
  std::uint32_t seen = 0;
  std::string_view symbol, side, quantity, price, average, filled;
  std::uint64_t time = 0;

  bool has(std::uint32_t all) const noexcept { return (seen & all) == all; }
};

struct Fields {
  std::uint64_t seen = 0;
  std::string_view stream, event, symbol;
  std::uint64_t event_time = 0, engine_time = 0, first_id = 0, last_id = 0, prev_id = 0;
  std::uint64_t trade_id = 0, aggregate_id = 0, bid_order_id = 0, snapshot_id = 0;
  std::string_view bids, asks;  // of an event: text of an array (levels) or of a string (price)
  std::string_view snapshot_bids, snapshot_asks;  // text of an array
  std::string_view bid_quantity, ask_quantity, price, quantity;
  std::string_view settle_price, index_price, funding_rate, trade_kind;
  bool buyer_is_maker = false;
  std::int64_t reply_id = -1, code = 0;
  std::string_view message;
  OrderFields order;

  // Forgets a frame. What is read only where its bit is set stays as it is: clearing all 470 bytes would cost
  // as much as reading a number.
  void reset() noexcept {
    seen = 0;
    stream = {};
    event = {};
    funding_rate = {};
    trade_kind = {};
    message = {};
    event_time = engine_time = prev_id = 0;
    reply_id = -1;
    code = 0;
    order.seen = 0;
    order.side = {};
  }

  bool has(std::uint64_t all) const noexcept { return (seen & all) == all; }
};

// True where the whole text is one JSON object or array with nothing behind it, in which every key we know
// has a type we know and stands once. On false `fields` holds what was found so far. Texts point into `data`,
// which has kFramePadding readable bytes behind it, or into `json`.
bool scan_document(simdjson::ondemand::parser& json, const char* data, std::size_t size,
                   Fields& fields) noexcept;

}  // namespace mdp::venue::binance
