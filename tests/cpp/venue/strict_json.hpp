// A JSON reader that takes nothing for granted, and the reading of Binance spot events on top of it: the
// independent opinion the parser's results are compared with. Written for clarity: a tree of values, no
// tricks.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "mdp/core/symbol_table.hpp"

namespace mdp::venue::strict {

struct Value {
  enum class Type { Null, Bool, Number, String, Array, Object } type = Type::Null;
  bool boolean = false;
  std::string text;  // a number as it stands, a string without its escapes
  std::vector<Value> elements;
  std::vector<std::pair<std::string, Value>> members;  // in their order, duplicates too

  std::size_t count(std::string_view key) const {
    std::size_t n = 0;
    for (const auto& member : members) n += member.first == key;
    return n;
  }
  // The value of a key that is there exactly once and has this type, else nullptr.
  const Value* only(std::string_view key, Type wanted) const {
    if (count(key) != 1) return nullptr;
    for (const auto& member : members) {
      if (member.first == key) return member.second.type == wanted ? &member.second : nullptr;
    }
    return nullptr;
  }
};

class Reader {
 public:
  explicit Reader(std::string_view text) : text_(text) {}

  // The whole text as one value, or nothing.
  std::optional<Value> read() {
    Value value;
    if (!is_utf8(text_) || !read_value(value, 0)) return std::nullopt;
    skip_space();
    return at_ == text_.size() ? std::optional(value) : std::nullopt;
  }

  static bool is_utf8(std::string_view text) {
    for (std::size_t i = 0; i < text.size();) {
      const auto first = static_cast<unsigned char>(text[i]);
      const int more = first < 0x80       ? 0
                       : first >> 5 == 6  ? 1
                       : first >> 4 == 14 ? 2
                       : first >> 3 == 30 ? 3
                                          : -1;
      if (more < 0 || i + static_cast<std::size_t>(more) >= text.size()) return false;
      std::uint32_t code = more == 0 ? first : first & (0x3Fu >> more);
      for (int k = 1; k <= more; ++k) {
        const auto next = static_cast<unsigned char>(text[i + static_cast<std::size_t>(k)]);
        if (next >> 6 != 2) return false;
        code = code << 6 | (next & 0x3Fu);
      }
      constexpr std::uint32_t kSmallest[] = {0, 0x80, 0x800, 0x10000};
      if (code < kSmallest[more] || code > 0x10FFFF || (code >= 0xD800 && code < 0xE000)) return false;
      i += static_cast<std::size_t>(more) + 1;
    }
    return true;
  }

 private:
  char peek() const { return at_ < text_.size() ? text_[at_] : '\0'; }
  bool take(char wanted) {
    if (at_ >= text_.size() || text_[at_] != wanted) return false;
    ++at_;
    return true;
  }
  bool take_word(std::string_view word) {
    if (text_.substr(at_, word.size()) != word) return false;
    at_ += word.size();
    return true;
  }
  void skip_space() {
    while (at_ < text_.size() && std::string_view(" \t\r\n").find(text_[at_]) != std::string_view::npos)
      ++at_;
  }
  static bool is_digit(char c) { return c >= '0' && c <= '9'; }
  bool take_digits() {
    const std::size_t begin = at_;
    while (is_digit(peek())) ++at_;
    return at_ != begin;
  }

  bool read_value(Value& out, int depth) {
    if (depth > 64) return false;
    skip_space();
    switch (peek()) {
      case '{':
        return read_object(out, depth);
      case '[':
        return read_array(out, depth);
      case '"':
        out.type = Value::Type::String;
        return read_string(out.text);
      case 't':
      case 'f':
        out.type = Value::Type::Bool;
        out.boolean = peek() == 't';
        return take_word(out.boolean ? "true" : "false");
      case 'n':
        return take_word("null");
      default:
        return read_number(out);
    }
  }

  bool read_number(Value& out) {
    out.type = Value::Type::Number;
    const std::size_t begin = at_;
    take('-');
    if (!take('0') && !take_digits()) return false;
    if (take('.') && !take_digits()) return false;
    if (take('e') || take('E')) {
      if (!take('+')) take('-');
      if (!take_digits()) return false;
    }
    out.text = text_.substr(begin, at_ - begin);
    return std::isfinite(std::strtod(out.text.c_str(), nullptr));
  }

  bool read_hex(std::uint32_t& code) {
    if (text_.size() - at_ < 4) return false;
    code = 0;
    for (int i = 0; i < 4; ++i) {
      const std::size_t digit =
          std::string_view("0123456789abcdef")
              .find(static_cast<char>(text_[at_] >= 'A' && text_[at_] <= 'F' ? text_[at_] + 32 : text_[at_]));
      if (digit == std::string_view::npos) return false;
      code = code * 16 + static_cast<std::uint32_t>(digit);
      ++at_;
    }
    return true;
  }

  bool read_string(std::string& out) {
    if (!take('"')) return false;
    for (;;) {
      if (at_ >= text_.size() || static_cast<unsigned char>(text_[at_]) < 0x20) return false;
      const char c = text_[at_++];
      if (c == '"') return true;
      if (c != '\\') {
        out += c;
        continue;
      }
      const std::size_t simple = std::string_view("\"\\/bfnrt").find(peek());
      if (at_ < text_.size() && simple != std::string_view::npos) {
        out += "\"\\/\b\f\n\r\t"[simple];
        ++at_;
        continue;
      }
      std::uint32_t code = 0;
      if (!take('u') || !read_hex(code) || (code >= 0xDC00 && code < 0xE000)) return false;
      if (code >= 0xD800 && code < 0xDC00) {
        std::uint32_t low = 0;
        if (!take_word("\\u") || !read_hex(low) || low < 0xDC00 || low >= 0xE000) return false;
        code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
      }
      append_utf8(out, code);
    }
  }
  static void append_utf8(std::string& out, std::uint32_t code) {
    const auto tail = [&](int shift) { out += static_cast<char>(0x80 | (code >> shift & 0x3F)); };
    if (code < 0x80) {
      out += static_cast<char>(code);
    } else if (code < 0x800) {
      out += static_cast<char>(0xC0 | code >> 6);
      tail(0);
    } else if (code < 0x10000) {
      out += static_cast<char>(0xE0 | code >> 12);
      tail(6), tail(0);
    } else {
      out += static_cast<char>(0xF0 | code >> 18);
      tail(12), tail(6), tail(0);
    }
  }

  bool read_array(Value& out, int depth) {
    out.type = Value::Type::Array;
    take('[');
    skip_space();
    if (take(']')) return true;
    do {
      if (!read_value(out.elements.emplace_back(), depth + 1)) return false;
      skip_space();
    } while (take(','));
    return take(']');
  }

  bool read_object(Value& out, int depth) {
    out.type = Value::Type::Object;
    take('{');
    skip_space();
    if (take('}')) return true;
    do {
      skip_space();
      auto& [key, value] = out.members.emplace_back();
      if (!read_string(key)) return false;
      skip_space();
      if (!take(':') || !read_value(value, depth + 1)) return false;
      skip_space();
    } while (take(','));
    return take('}');
  }

  std::string_view text_;
  std::size_t at_ = 0;
};

// A decimal number at an exponent of zero or less, by moving digits about.
inline std::optional<std::int64_t> decimal(std::string text, int exponent) {
  const bool negative = text.starts_with('-');
  if (negative) text.erase(0, 1);
  const std::size_t point = text.find('.');
  std::string whole = text.substr(0, point);
  std::string fraction = point == std::string::npos ? "0" : text.substr(point + 1);
  for (const std::string& part : {whole, fraction}) {
    if (part.empty() || part.find_first_not_of("0123456789") != std::string::npos) return std::nullopt;
  }
  const auto decimals = static_cast<std::size_t>(-exponent);
  while (fraction.size() < decimals) fraction += '0';
  if (fraction.find_first_not_of('0', decimals) != std::string::npos) return std::nullopt;
  std::string digits = whole + fraction.substr(0, decimals);
  while (digits.size() > 1 && digits[0] == '0') digits.erase(0, 1);
  const std::string largest = "9223372036854775807";
  if (digits.size() > largest.size() || (digits.size() == largest.size() && digits > largest))
    return std::nullopt;
  const std::int64_t value = std::strtoll(digits.c_str(), nullptr, 10);
  return negative ? -value : value;
}

inline std::optional<std::uint64_t> unsigned_integer(const Value* value) {
  if (value == nullptr || value->text.find_first_not_of("0123456789") != std::string::npos)
    return std::nullopt;
  const std::string largest = "18446744073709551615";
  if (value->text.size() > largest.size() ||
      (value->text.size() == largest.size() && value->text > largest)) {
    return std::nullopt;
  }
  return std::strtoull(value->text.c_str(), nullptr, 10);
}

inline std::optional<std::vector<core::PriceLevel>> levels(const Value* array,
                                                           const core::Instrument& instrument) {
  if (array == nullptr) return std::nullopt;
  std::vector<core::PriceLevel> out;
  for (const Value& level : array->elements) {
    if (level.type != Value::Type::Array || level.elements.size() != 2) return std::nullopt;
    for (const Value& part : level.elements) {
      if (part.type != Value::Type::String) return std::nullopt;
    }
    const auto price = decimal(level.elements[0].text, instrument.price_exponent);
    const auto quantity = decimal(level.elements[1].text, instrument.quantity_exponent);
    if (!price || !quantity || *price <= 0 || *quantity < 0) return std::nullopt;
    out.push_back({*price, *quantity});
  }
  return out;
}

// What a frame says, as far as it must become a message.
struct Event {
  core::UpdateType type{};
  core::SymbolId symbol_id = 0;
  std::uint64_t first_id = 0, last_id = 0;
  std::vector<core::PriceLevel> bids, asks;
  core::Trade trade{};
  bool aggregate = false;
  bool usual = false;  // see has_usual_types()
};

// True where every key of one letter has a type some event gives it. A parser may refuse others even in an
// event that does not need them: it meets keys before it knows the event.
inline bool has_usual_types(const Value& object) {
  using Type = Value::Type;
  for (const auto& [key, value] : object.members) {
    const auto is_any_of = [&](std::string_view keys) {
      return key.size() == 1 && keys.find(key) != std::string_view::npos;
    };
    const bool integer = value.type == Type::Number && unsigned_integer(&value);
    if (is_any_of("EUutT") && !integer) return false;
    if (is_any_of("esBApq") && value.type != Type::String) return false;
    if (is_any_of("ba") && !integer && value.type != Type::String && value.type != Type::Array) return false;
    if (is_any_of("m") && value.type != Type::Bool) return false;
  }
  return true;
}

inline std::optional<Event> read_event(const Value& object, const core::SymbolTable& symbols) {
  using Type = Value::Type;
  for (const char* key : {"e", "E", "s", "U", "u", "b", "a", "B", "A", "t", "T", "p", "q", "m"}) {
    if (object.count(key) > 1) return std::nullopt;
  }
  const Value* const symbol = object.only("s", Type::String);
  const core::Instrument* const instrument = symbol ? symbols.find(symbol->text) : nullptr;
  if (instrument == nullptr) return std::nullopt;
  const auto number = [&](const char* key) { return unsigned_integer(object.only(key, Type::Number)); };
  const auto price = [&](const char* key, int exponent) -> std::optional<std::int64_t> {
    const Value* const text = object.only(key, Type::String);
    return text ? decimal(text->text, exponent) : std::nullopt;
  };
  Event event;
  event.symbol_id = instrument->symbol_id;
  event.usual = has_usual_types(object);
  if (object.count("e") == 0) {
    const auto bid = price("b", instrument->price_exponent), ask = price("a", instrument->price_exponent);
    const auto bid_quantity = price("B", instrument->quantity_exponent),
               ask_quantity = price("A", instrument->quantity_exponent);
    const auto id = number("u");
    if (!id || !bid || !ask || !bid_quantity || !ask_quantity) return std::nullopt;
    if (*bid < 0 || *ask < 0 || *bid_quantity < 0 || *ask_quantity < 0) return std::nullopt;
    if ((*bid == 0 && *bid_quantity != 0) || (*ask == 0 && *ask_quantity != 0)) return std::nullopt;
    event.type = core::UpdateType::Quote;
    event.first_id = event.last_id = *id;
    event.bids = {{*bid, *bid_quantity}};
    event.asks = {{*ask, *ask_quantity}};
    return event;
  }
  const Value* const name = object.only("e", Type::String);
  if (name == nullptr || !number("E")) return std::nullopt;
  if (name->text == "depthUpdate") {
    const auto first = number("U"), last = number("u");
    const auto bids = levels(object.only("b", Type::Array), *instrument);
    const auto asks = levels(object.only("a", Type::Array), *instrument);
    if (!first || !last || *first > *last || !bids || !asks) return std::nullopt;
    event.type = core::UpdateType::Delta;
    event.first_id = *first;
    event.last_id = *last;
    event.bids = *bids;
    event.asks = *asks;
    return event;
  }
  event.aggregate = name->text == "aggTrade";
  if (name->text != "trade" && !event.aggregate) return std::nullopt;
  const auto id = number(event.aggregate ? "a" : "t");
  const auto trade_price = price("p", instrument->price_exponent);
  const auto quantity = price("q", instrument->quantity_exponent);
  const Value* const maker = object.only("m", Type::Bool);
  if (!id || !number("T") || !trade_price || !quantity || !maker || *trade_price <= 0 || *quantity <= 0) {
    return std::nullopt;
  }
  event.type = core::UpdateType::Trade;
  event.trade.price = *trade_price;
  event.trade.quantity = *quantity;
  event.trade.trade_id = *id;
  event.trade.side = maker->boolean ? core::Side::Sell : core::Side::Buy;
  return event;
}

// The event a frame must become, or nothing.
inline std::optional<Event> read_frame(std::string_view text, const core::SymbolTable& symbols) {
  const std::optional<Value> frame = Reader(text).read();
  if (!frame || frame->type != Value::Type::Object) return std::nullopt;
  if (frame->count("data") == 0) return read_event(*frame, symbols);
  for (const auto& [key, value] : frame->members) {
    for (const char* known : {"e",    "E",   "s", "U", "u",  "b",      "a",    "B",   "A",     "t",
                              "T",    "p",   "q", "m", "id", "result", "code", "msg", "error", "lastUpdateId",
                              "bids", "asks"}) {
      if (key == known) return std::nullopt;  // the frame says something else too
    }
  }
  const Value* const data = frame->only("data", Value::Type::Object);
  return data ? read_event(*data, symbols) : std::nullopt;
}

}  // namespace mdp::venue::strict
