// One pass over the frame's keys, in whatever order they come, records where everything is; then the event
// named by `e` is built from what was found. simdjson's on-demand interface checks only what is visited, so
// every value is visited, wanted or not, and the text of the level arrays is read by core's own strict
// scanner.
//
// A frame that says a thing twice is malformed, even where both agree: which of them is meant is a guess.
#include "mdp/venue/binance_spot/parser.hpp"

#include <simdjson.h>

#include <algorithm>
#include <cstring>

#include "mdp/core/level_scanner.hpp"
#include "mdp/core/level_writer.hpp"

namespace mdp::venue::binance_spot {
namespace {

using core::Instrument;
using core::MessageHeader;
using core::MessageSink;
using core::ParseStatus;
using core::UpdateType;
namespace ondemand = simdjson::ondemand;

static_assert(core::kFramePadding >= simdjson::SIMDJSON_PADDING);

// What a frame may hold, one bit each. A letter means different things, with different types, in different
// events: `b` is levels in depthUpdate, a price in bookTicker, and was an order id in trades up to 2023.
enum Has : std::uint32_t {
  kEvent = 1u << 0,          // e
  kEventTime = 1u << 1,      // E
  kSymbol = 1u << 2,         // s
  kFirstId = 1u << 3,        // U
  kLastId = 1u << 4,         // u
  kBidLevels = 1u << 5,      // b, array
  kAskLevels = 1u << 6,      // a, array
  kBidPrice = 1u << 7,       // b, string
  kBidQuantity = 1u << 8,    // B
  kAskPrice = 1u << 9,       // a, string
  kAskQuantity = 1u << 10,   // A
  kAggregateId = 1u << 11,   // a, number
  kTradeId = 1u << 12,       // t
  kTradeTime = 1u << 13,     // T
  kPrice = 1u << 14,         // p
  kQuantity = 1u << 15,      // q
  kMaker = 1u << 16,         // m
  kReplyId = 1u << 17,       // id
  kResult = 1u << 18,        // result
  kCode = 1u << 19,          // code
  kMessage = 1u << 20,       // msg
  kError = 1u << 21,         // error
  kLastUpdateId = 1u << 22,  // lastUpdateId: a REST snapshot, or a partial book
  kBids = 1u << 23,          // bids, array
  kAsks = 1u << 24,          // asks, array
  kArray = 1u << 25,         // an array of events: an all-market stream
  kCombined = 1u << 26,      // data: the event is in there, so not in the outer object
  kBidOrderId = 1u << 27,    // b, number
};

struct Fields {
  std::uint32_t seen = 0;
  std::string_view event, symbol;
  std::uint64_t event_time = 0, trade_time = 0, first_id = 0, last_id = 0, trade_id = 0, aggregate_id = 0;
  std::uint64_t bid_order_id = 0, snapshot_id = 0;
  std::string_view bids, asks;  // of an event: text of an array (levels) or of a string (price)
  std::string_view snapshot_bids, snapshot_asks;  // text of an array
  std::string_view bid_quantity, ask_quantity, price, quantity;
  bool buyer_is_maker = false;
  std::int64_t reply_id = -1, code = 0;
  std::string_view message;

  bool has(std::uint32_t all) const noexcept { return (seen & all) == all; }
};

// Milliseconds or, with timeUnit=MICROSECOND, microseconds: told apart by magnitude. 9 * 10^12 is the year
// 2255 in milliseconds, April 1970 in microseconds; both products fit.
constexpr std::int64_t to_ns(std::uint64_t venue_time) noexcept {
  constexpr std::uint64_t kMicrosecondFloor = 9'000'000'000'000;
  constexpr std::uint64_t kLargest = 9'000'000'000'000'000;
  if (venue_time > kLargest) return 0;
  return static_cast<std::int64_t>(venue_time) * (venue_time > kMicrosecondFloor ? 1'000 : 1'000'000);
}

// The characters of a JSON string as they stand in the frame, escapes untouched. The closing quote follows
// them.
bool string_text(ondemand::value& value, std::string_view& text) noexcept {
  const std::string_view token = value.raw_json_token();  // quotes included, and white space behind
  // Looking at the token does not take it, and a string not taken is skipped as loosely as a key would be:
  // `"q":"100":true}` would pass.
  ondemand::raw_json_string taken;
  if (value.get_raw_json_string().get(taken)) return false;
  const std::size_t closing = token.rfind('"');
  if (closing == 0) return false;
  text = token.substr(1, closing - 1);
  return true;
}

bool array_text(ondemand::value& value, std::string_view& text) noexcept {
  ondemand::array array;
  return !value.get_array().get(array) && !array.raw_json().get(text);
}

// Reads `value` into `out` by its JSON type; false where the type is wrong.
bool read(ondemand::value& value, std::uint64_t& out) noexcept { return !value.get_uint64().get(out); }
bool read(ondemand::value& value, std::int64_t& out) noexcept { return !value.get_int64().get(out); }
bool read(ondemand::value& value, bool& out) noexcept { return !value.get_bool().get(out); }
bool read(ondemand::value& value, std::string_view& out) noexcept { return string_text(value, out); }

// False where one of `bits` was there before.
constexpr bool first_time(const Fields& fields, std::uint32_t bits) noexcept {
  return (fields.seen & bits) == 0;
}

template <class T>
bool record(Fields& fields, std::uint32_t bit, ondemand::value& value, T& out) noexcept {
  if (!first_time(fields, bit) || !read(value, out)) return false;
  fields.seen |= bit;
  return true;
}

bool record_array(Fields& fields, std::uint32_t bit, ondemand::value& value,
                  std::string_view& text) noexcept {
  if (!first_time(fields, bit) || !array_text(value, text)) return false;
  fields.seen |= bit;
  return true;
}

// A name that is compared: escapes (`\u20BF`) are resolved, into simdjson's own buffer, which outlives
// `fields`.
bool record_name(Fields& fields, std::uint32_t bit, ondemand::value& value, std::string_view& text) noexcept {
  if (!record(fields, bit, value, text)) return false;
  return text.find('\\') == std::string_view::npos || !value.get_string().get(text);
}

// Checks a value nobody wants: a frame is read as a whole or not at all.
bool check_value(ondemand::value& value, int depth) noexcept {
  constexpr int kDepthMax = 32;  // the venue's own frames nest 5 deep
  ondemand::json_type type{};
  if (depth > kDepthMax || value.type().get(type)) return false;
  switch (type) {
    case ondemand::json_type::string: {
      std::string_view text;
      return string_text(value, text) &&
             (text.find('\\') == std::string_view::npos || !value.get_string().get(text));
    }
    case ondemand::json_type::number: {
      double number = 0;
      return !value.get_double().get(number);
    }
    case ondemand::json_type::boolean: {
      bool boolean = false;
      return !value.get_bool().get(boolean);
    }
    case ondemand::json_type::null: {
      bool null = false;
      return !value.is_null().get(null) && null;
    }
    case ondemand::json_type::array: {
      ondemand::array array;
      if (value.get_array().get(array)) return false;
      for (auto element : array) {
        ondemand::value inner;
        if (std::move(element).get(inner) || !check_value(inner, depth + 1)) return false;
      }
      return true;
    }
    case ondemand::json_type::object: {
      ondemand::object object;
      if (value.get_object().get(object)) return false;
      for (auto item : object) {
        ondemand::field field;
        std::string_view key;
        if (std::move(item).get(field) || field.unescaped_key().get(key)) return false;
        ondemand::value inner = field.value();
        if (!check_value(inner, depth + 1)) return false;
      }
      return true;
    }
  }
  return false;
}

// `b` and `a`: what they are depends on the event, and shows in the JSON type. A number is an aggregate's id,
// or the order id of an old trade.
bool record_side(Fields& fields, ondemand::value& value, std::uint32_t levels_bit, std::uint32_t price_bit,
                 std::uint32_t id_bit, std::string_view& text, std::uint64_t& id) noexcept {
  ondemand::json_type type{};
  if (!first_time(fields, levels_bit | price_bit | id_bit) || value.type().get(type)) return false;
  switch (type) {
    case ondemand::json_type::array:
      return record_array(fields, levels_bit, value, text);
    case ondemand::json_type::string:
      return record(fields, price_bit, value, text);
    case ondemand::json_type::number:
      return record(fields, id_bit, value, id);
    default:
      return false;
  }
}

// Keys of one letter: those of events.
bool record_letter(char key, ondemand::value& value, Fields& fields) noexcept {
  switch (key) {
    case 'e':
      return record_name(fields, kEvent, value, fields.event);
    case 'E':
      return record(fields, kEventTime, value, fields.event_time);
    case 's':
      return record_name(fields, kSymbol, value, fields.symbol);
    case 'U':
      return record(fields, kFirstId, value, fields.first_id);
    case 'u':
      return record(fields, kLastId, value, fields.last_id);
    case 'b':
      return record_side(fields, value, kBidLevels, kBidPrice, kBidOrderId, fields.bids, fields.bid_order_id);
    case 'a':
      return record_side(fields, value, kAskLevels, kAskPrice, kAggregateId, fields.asks,
                         fields.aggregate_id);
    case 'B':
      return record(fields, kBidQuantity, value, fields.bid_quantity);
    case 'A':
      return record(fields, kAskQuantity, value, fields.ask_quantity);
    case 't':
      return record(fields, kTradeId, value, fields.trade_id);
    case 'T':
      return record(fields, kTradeTime, value, fields.trade_time);
    case 'p':
      return record(fields, kPrice, value, fields.price);
    case 'q':
      return record(fields, kQuantity, value, fields.quantity);
    case 'm':
      return record(fields, kMaker, value, fields.buyer_is_maker);
    default:
      return check_value(value, 0);
  }
}

// Which object is scanned: the frame's own, the one under `data`, or the one under `error`.
enum class Place : std::uint8_t { Frame, Data, Error };

bool scan(ondemand::object& object, Fields& fields, Place place) noexcept;

// The event of a combined stream is all the frame says: what stands beside it is not mixed with it.
bool record_data(ondemand::value& value, Fields& fields) noexcept {
  ondemand::json_type type{};
  if (fields.seen != 0 || value.type().get(type)) return false;
  if (type == ondemand::json_type::array) {
    fields.seen |= kCombined | kArray;
    return check_value(value, 0);
  }
  ondemand::object inner;
  if (value.get_object().get(inner) || !scan(inner, fields, Place::Data)) return false;
  fields.seen |= kCombined;
  return true;
}

bool record_error(ondemand::value& value, Fields& fields) noexcept {
  ondemand::object inner;
  if (!first_time(fields, kError) || value.get_object().get(inner)) return false;
  fields.seen |= kError;
  return scan(inner, fields, Place::Error);
}

// An id of ours is a number; null and text are answers to somebody else.
bool record_reply_id(ondemand::value& value, Fields& fields) noexcept {
  ondemand::json_type type{};
  if (value.type().get(type)) return false;
  if (type == ondemand::json_type::number) return record(fields, kReplyId, value, fields.reply_id);
  if (!first_time(fields, kReplyId)) return false;
  fields.seen |= kReplyId;
  return check_value(value, 0);
}

// Longer keys: framing, replies and REST snapshots.
bool record_word(std::string_view key, ondemand::value& value, Fields& fields, Place place) noexcept {
  if (key == "data" && place == Place::Frame) return record_data(value, fields);
  if (key == "error" && place == Place::Frame) return record_error(value, fields);
  if (key == "lastUpdateId") return record(fields, kLastUpdateId, value, fields.snapshot_id);
  if (key == "bids") return record_array(fields, kBids, value, fields.snapshot_bids);
  if (key == "asks") return record_array(fields, kAsks, value, fields.snapshot_asks);
  if (key == "id") return record_reply_id(value, fields);
  if (key == "result") {
    if (!first_time(fields, kResult)) return false;
    fields.seen |= kResult;
  }
  if (key == "code") return record(fields, kCode, value, fields.code);
  if (key == "msg") return record(fields, kMessage, value, fields.message);
  return check_value(value, 0);
}

// Visits every field of `object`, so that its structure is checked to the end.
bool scan(ondemand::object& object, Fields& fields, Place place) noexcept {
  for (auto item : object) {
    ondemand::field field;
    if (std::move(item).get(field)) return false;
    const char* const key = field.key().raw();
    ondemand::value value = field.value();
    const std::uint32_t before = fields.seen;
    if (key[0] != '"' && key[1] == '"') {
      if (key[0] == '\\' || !record_letter(key[0], value, fields)) return false;
      if (place == Place::Error && fields.seen != before) return false;
    } else {
      // Longer than the padding: none we know. Escaped: the venue never does, and we would not recognize it.
      const void* const closing = std::memchr(key, '"', core::kFramePadding);
      const std::string_view word(key, closing
                                           ? static_cast<std::size_t>(static_cast<const char*>(closing) - key)
                                           : core::kFramePadding);
      if (word.find('\\') != std::string_view::npos || !record_word(word, value, fields, place)) return false;
    }
    if ((before & kCombined) != 0 && fields.seen != before) return false;  // `data` and something else
  }
  return true;
}

// An all-market stream with raw framing.
bool scan_array(ondemand::document& document, Fields& fields) noexcept {
  ondemand::array array;
  if (document.get_array().get(array)) return false;
  for (auto element : array) {
    ondemand::value value;
    if (std::move(element).get(value) || !check_value(value, 0)) return false;
  }
  fields.seen |= kArray;
  return true;
}

// The whole text is one JSON object or array with nothing behind it.
bool scan_document(ondemand::parser& json, const char* data, std::size_t size, Fields& fields) noexcept {
  ondemand::document document;
  ondemand::json_type type{};
  if (json.iterate(data, size, size + core::kFramePadding).get(document) || document.type().get(type))
    return false;
  if (type == ondemand::json_type::array) {
    if (!scan_array(document, fields)) return false;
  } else {
    ondemand::object object;
    if (document.get_object().get(object) || !scan(object, fields, Place::Frame)) return false;
  }
  return document.current_location().error() == simdjson::OUT_OF_BOUNDS;
}

ParseStatus read_number(std::string_view text, int exponent, std::int64_t& mantissa) noexcept {
  const char* end = nullptr;
  const core::NumberStatus status = core::parse_decimal_in_frame(text.data(), exponent, mantissa, end);
  return end == text.data() + text.size() ? core::to_parse_status(status) : ParseStatus::BadNumber;
}

ParseStatus write_levels(std::string_view bids, std::string_view asks, const Instrument& instrument,
                         const MessageHeader& header, MessageSink& sink) noexcept {
  core::LevelWriter writer(sink, header);
  ParseStatus status =
      core::scan_levels(bids, instrument, [&](core::PriceLevel level) { writer.add_bid(level); });
  if (status == ParseStatus::Ok) {
    status = core::scan_levels(asks, instrument, [&](core::PriceLevel level) { writer.add_ask(level); });
  }
  if (status != ParseStatus::Ok) {
    writer.abandon(shm::StateReason::ParseError);
    return status;
  }
  writer.finish();
  return status;
}

class BinanceSpotParser final : public core::Parser {
 public:
  BinanceSpotParser(const core::SymbolTable& symbols, core::ExchangeId exchange_id)
      : symbols_(symbols), exchange_id_(exchange_id) {}

  ParseStatus parse(const core::RawMessage& raw, MessageSink& sink) noexcept override {
    Fields fields;
    const bool whole = scan_document(json_, raw.data, raw.size, fields);
    const Instrument* const instrument = fields.has(kSymbol) ? symbols_.find(fields.symbol) : nullptr;
    MessageHeader header = header_of(raw, fields, instrument);
    const ParseStatus status =
        whole ? dispatch(fields, instrument, header, sink) : ParseStatus::MalformedFrame;
    // Levels report their own errors; a trade or quote that can't be read says nothing of the book.
    const bool may_be_book = !fields.has(kEvent) || fields.event == "depthUpdate";
    if (status == ParseStatus::MalformedFrame && instrument != nullptr && may_be_book && !invalidated_) {
      core::LevelWriter::invalidate(sink, header, shm::StateReason::ParseError);
    }
    return status;
  }

 private:
  MessageHeader header_of(const core::RawMessage& raw, const Fields& fields,
                          const Instrument* instrument) noexcept {
    MessageHeader header{};
    header.recv_ts_ns = raw.recv_ts_ns;
    header.exch_ts_ns = to_ns(fields.has(kTradeTime) ? fields.trade_time : fields.event_time);
    header.symbol_id = instrument ? instrument->symbol_id : core::kNoSymbol;
    header.exchange_id = exchange_id_;
    header.line_id = raw.line_id;
    invalidated_ = false;
    return header;
  }

  ParseStatus dispatch(const Fields& fields, const Instrument* instrument, MessageHeader& header,
                       MessageSink& sink) noexcept {
    if (!fields.has(kEvent)) {
      if (fields.has(kSymbol | kLastId | kBidPrice)) return quote(fields, instrument, header, sink);
      if (fields.seen & (kCode | kError) || fields.has(kReplyId | kResult)) return reply(fields);
      return fields.seen & (kLastUpdateId | kArray) ? ParseStatus::Ignored : ParseStatus::MalformedFrame;
    }
    if (fields.event == "depthUpdate") return depth(fields, instrument, header, sink);
    if (fields.event == "trade") return trade(fields, instrument, header, sink, kTradeId);
    if (fields.event == "aggTrade") return trade(fields, instrument, header, sink, kAggregateId);
    if (fields.event == "serverShutdown") return ParseStatus::Shutdown;
    return ParseStatus::Ignored;
  }

  // {"stream":"busdtry@depth@100ms","data":{"e":"depthUpdate","E":1618677372122,"s":"BUSDTRY","U":10166139,
  //  "u":10166139,"b":[],"a":[["8.14000000","107821.20000000"]]}}
  ParseStatus depth(const Fields& fields, const Instrument* instrument, MessageHeader& header,
                    MessageSink& sink) noexcept {
    if (!fields.has(kEventTime | kSymbol | kFirstId | kLastId | kBidLevels | kAskLevels) ||
        fields.first_id > fields.last_id) {
      return ParseStatus::MalformedFrame;
    }
    if (instrument == nullptr) return ParseStatus::Ignored;
    header.update_type = UpdateType::Delta;
    header.first_update_id = fields.first_id;
    header.last_update_id = fields.last_id;
    const ParseStatus status = write_levels(fields.bids, fields.asks, *instrument, header, sink);
    invalidated_ = status != ParseStatus::Ok;
    return status;
  }

  // {"stream":"btcusdt@trade","data":{"e":"trade","E":1723161255343,"s":"BTCUSDT","t":3735683259,"p":"61837.63000000",
  //  "q":"0.02000000","T":1723161255342,"m":true,"M":true}}
  // {"stream":"btcusdt@aggTrade","data":{"e":"aggTrade","E":1617566591315,"s":"BTCUSDT","a":665076760,
  //  "p":"58001.03000000","q":"0.08620500","f":745522877,"l":745522877,"T":1617566591314,"m":true,"M":true}}
  ParseStatus trade(const Fields& fields, const Instrument* instrument, MessageHeader& header,
                    MessageSink& sink, std::uint32_t id_bit) noexcept {
    if (!fields.has(kEventTime | kSymbol | kTradeTime | kPrice | kQuantity | kMaker | id_bit)) {
      return ParseStatus::MalformedFrame;
    }
    if (instrument == nullptr) return ParseStatus::Ignored;
    core::Trade body{};
    ParseStatus status = read_number(fields.price, instrument->price_exponent, body.price);
    if (status == ParseStatus::Ok)
      status = read_number(fields.quantity, instrument->quantity_exponent, body.quantity);
    if (status != ParseStatus::Ok) return status;
    if (body.price <= 0 || body.quantity <= 0) return ParseStatus::BadNumber;
    body.trade_id = id_bit == kTradeId ? fields.trade_id : fields.aggregate_id;
    body.side = fields.buyer_is_maker ? core::Side::Sell : core::Side::Buy;  // the aggressor's
    header.update_type = UpdateType::Trade;
    header.flags = static_cast<std::uint16_t>(core::kFirst | core::kLast |
                                              (id_bit == kAggregateId ? core::kAggregate : 0));
    sink.slot().header = header;
    sink.slot().trade = body;
    sink.commit();
    return ParseStatus::Ok;
  }

  // {"stream":"btcusdt@bookTicker","data":{"u":50093239212,"s":"BTCUSDT","b":"61837.63000000","B":"3.78826000",
  //  "a":"61837.64000000","A":"1.54698000"}}                                       no event type and no time
  ParseStatus quote(const Fields& fields, const Instrument* instrument, MessageHeader& header,
                    MessageSink& sink) noexcept {
    if (!fields.has(kBidPrice | kBidQuantity | kAskPrice | kAskQuantity)) return ParseStatus::MalformedFrame;
    if (instrument == nullptr) return ParseStatus::Ignored;
    core::PriceLevel sides[2] = {};
    const std::string_view prices[2] = {fields.bids, fields.asks};
    const std::string_view quantities[2] = {fields.bid_quantity, fields.ask_quantity};
    for (std::size_t i = 0; i < 2; ++i) {
      ParseStatus status = read_number(prices[i], instrument->price_exponent, sides[i].price);
      if (status == ParseStatus::Ok)
        status = read_number(quantities[i], instrument->quantity_exponent, sides[i].quantity);
      if (status != ParseStatus::Ok) return status;
      // An empty side is all zero.
      if (sides[i].price < 0 || sides[i].quantity < 0 || (sides[i].price == 0 && sides[i].quantity != 0)) {
        return ParseStatus::BadNumber;
      }
    }
    header.update_type = UpdateType::Quote;
    header.first_update_id = fields.last_id;
    header.last_update_id = fields.last_id;
    header.flags = core::kFirst | core::kLast;
    header.bid_count = 1;
    header.ask_count = 1;
    sink.slot().header = header;
    sink.slot().levels[0] = sides[0];
    sink.slot().levels[1] = sides[1];
    sink.commit();
    return ParseStatus::Ok;
  }

  // {"result":null,"id":1}   {"code":2,"msg":"Invalid request: ..."} {"error":{"code":2,"msg":"..."},"id":1}
  ParseStatus reply(const Fields& fields) noexcept {
    last_reply_.request_id = fields.reply_id;
    last_reply_.code = fields.code;
    const std::size_t length = std::min(fields.message.size(), sizeof(last_reply_.text) - 1);
    if (length != 0) std::memcpy(last_reply_.text, fields.message.data(), length);
    last_reply_.text[length] = '\0';
    return fields.seen & (kCode | kError) ? ParseStatus::VenueError : ParseStatus::Ack;
  }

  const core::SymbolTable& symbols_;
  core::ExchangeId exchange_id_;
  ondemand::parser json_;
  bool invalidated_ = false;  // this frame's Invalidate is already in the sink
};

}  // namespace

std::unique_ptr<core::Parser> make_parser(const core::SymbolTable& symbols, core::ExchangeId exchange_id) {
  return std::make_unique<BinanceSpotParser>(symbols, exchange_id);
}

// {"lastUpdateId":50093239218,"bids":[["61837.63000000","3.78826000"]],"asks":[["61837.64000000","1.54698000"]]}
core::ParseStatus parse_snapshot(std::string_view body, const Instrument& instrument, std::int64_t recv_ts_ns,
                                 MessageSink& sink) {
  ondemand::parser json;
  Fields fields;
  if (!scan_document(json, body.data(), body.size(), fields) || !fields.has(kLastUpdateId | kBids | kAsks) ||
      fields.has(kCombined)) {
    return ParseStatus::MalformedFrame;
  }
  MessageHeader header{};
  header.recv_ts_ns = recv_ts_ns;
  header.symbol_id = instrument.symbol_id;
  header.exchange_id = instrument.exchange_id;
  header.update_type = UpdateType::Snapshot;
  header.first_update_id = fields.snapshot_id;
  header.last_update_id = fields.snapshot_id;
  return write_levels(fields.snapshot_bids, fields.snapshot_asks, instrument, header, sink);
}

}  // namespace mdp::venue::binance_spot
