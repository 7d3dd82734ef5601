#include "mdp/venue/binance/scan.hpp"

#include <cstring>

#include "mdp/core/raw_message.hpp"

namespace mdp::venue::binance {
namespace {

namespace ondemand = simdjson::ondemand;

static_assert(core::kFramePadding >= simdjson::SIMDJSON_PADDING);

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
template <class From>
constexpr bool first_time(const From& fields, std::uint64_t bits) noexcept {
  return (fields.seen & bits) == 0;
}

template <class From, class Bit, class T>
bool record(From& fields, Bit bit, ondemand::value& value, T& out) noexcept {
  if (!first_time(fields, bit) || !read(value, out)) return false;
  fields.seen |= bit;
  return true;
}

bool record_array(Fields& fields, Has bit, ondemand::value& value, std::string_view& text) noexcept {
  if (!first_time(fields, bit) || !array_text(value, text)) return false;
  fields.seen |= bit;
  return true;
}

// A name that is compared: escapes (`\u20BF`) are resolved, into simdjson's own buffer, which outlives
// `fields`.
template <class From, class Bit>
bool record_name(From& fields, Bit bit, ondemand::value& value, std::string_view& text) noexcept {
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
bool record_side(Fields& fields, ondemand::value& value, Has levels_bit, Has price_bit, Has id_bit,
                 std::string_view& text, std::uint64_t& id) noexcept {
  ondemand::json_type type{};
  if (!first_time(fields, std::uint64_t{levels_bit} | price_bit | id_bit) || value.type().get(type))
    return false;
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

// A key of events we know as text alone: the reference price of spot has an `r` that may be null.
bool record_if_text(Fields& fields, Has bit, ondemand::value& value, std::string_view& text) noexcept {
  ondemand::json_type type{};
  if (!first_time(fields, bit) || value.type().get(type)) return false;
  if (type == ondemand::json_type::string) return record(fields, bit, value, text);
  fields.seen |= bit | kOther;
  return check_value(value, 0);
}

// One key of a forceOrder's `o`.
bool record_order_key(std::string_view key, ondemand::value& value, OrderFields& order) noexcept {
  if (key == "s") return record_name(order, kOrderSymbol, value, order.symbol);
  if (key == "S") return record(order, kOrderSide, value, order.side);
  if (key == "q") return record(order, kOrderQuantity, value, order.quantity);
  if (key == "p") return record(order, kOrderPrice, value, order.price);
  if (key == "ap") return record(order, kOrderAverage, value, order.average);
  if (key == "z") return record(order, kOrderFilled, value, order.filled);
  if (key == "T") return record(order, kOrderTime, value, order.time);
  return check_value(value, 0);
}

// The text between the quotes of a key. Longer than the padding: none we know. False for an escaped one: the
// venue never does that, and we would not recognize it.
bool key_text(ondemand::field& field, std::string_view& key) noexcept {
  const char* const raw = field.key().raw();
  const void* const closing = std::memchr(raw, '"', core::kFramePadding);
  key = {raw,
         closing ? static_cast<std::size_t>(static_cast<const char*>(closing) - raw) : core::kFramePadding};
  return key.find('\\') == std::string_view::npos;
}

bool record_order(ondemand::value& value, Fields& fields) noexcept {
  ondemand::json_type type{};
  if (!first_time(fields, kOrder) || value.type().get(type)) return false;
  fields.seen |= kOrder;
  if (type != ondemand::json_type::object) {
    fields.seen |= kOther;
    return check_value(value, 0);
  }
  ondemand::object order;
  if (value.get_object().get(order)) return false;
  for (auto item : order) {
    ondemand::field field;
    std::string_view key;
    if (std::move(item).get(field) || !key_text(field, key)) return false;
    ondemand::value inner = field.value();
    if (!record_order_key(key, inner, fields.order)) return false;
  }
  return true;
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
      return record(fields, kEngineTime, value, fields.engine_time);
    case 'p':
      return record(fields, kPrice, value, fields.price);
    case 'q':
      return record(fields, kQuantity, value, fields.quantity);
    case 'm':
      return record(fields, kMaker, value, fields.buyer_is_maker);
    case 'P':
      return record_if_text(fields, kSettlePrice, value, fields.settle_price);
    case 'i':
      return record_if_text(fields, kIndexPrice, value, fields.index_price);
    case 'r':
      return record_if_text(fields, kFundingRate, value, fields.funding_rate);
    case 'X':
      return record_if_text(fields, kTradeKind, value, fields.trade_kind);
    case 'o':
      return record_order(value, fields);
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
  if ((fields.seen & ~kStream) != 0 || value.type().get(type)) return false;
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

// `pu`: an id, or -1 in the first event of a book.
bool record_prev_id(ondemand::value& value, Fields& fields) noexcept {
  if (record(fields, kPrevId, value, fields.prev_id)) return true;
  std::int64_t none = 0;
  if (!first_time(fields, kPrevId) || value.get_int64().get(none) || none != -1) return false;
  fields.seen |= kPrevId | kNoPrevId;
  return true;
}

// Longer keys: framing, replies and REST snapshots.
bool record_word(std::string_view key, ondemand::value& value, Fields& fields, Place place) noexcept {
  if (key == "pu") return record_prev_id(value, fields);
  if (key == "stream" && place == Place::Frame) return record_name(fields, kStream, value, fields.stream);
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
    const std::uint64_t before = fields.seen & ~kStream;
    if (key[0] != '"' && key[1] == '"') {
      if (key[0] == '\\' || !record_letter(key[0], value, fields)) return false;
      if (place == Place::Error && (fields.seen & ~kStream) != before) return false;
    } else {
      std::string_view word;
      if (!key_text(field, word) || !record_word(word, value, fields, place)) return false;
    }
    if ((before & kCombined) != 0 && (fields.seen & ~kStream) != before)
      return false;  // data and something else
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

}  // namespace

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

}  // namespace mdp::venue::binance
