// A JSON reader that takes nothing for granted, and the reading of Binance events on top of it: the
// independent opinion the parser's results are compared with. Written for clarity: a tree of values, no
// tricks.
#pragma once

#include <algorithm>
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
#include "mdp/venue/binance/parser.hpp"

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

inline bool all_digits(std::string_view text) {
  return !text.empty() && text.find_first_not_of("0123456789") == std::string_view::npos;
}

// A decimal number at an exponent of zero or less, by moving digits about.
inline std::optional<std::int64_t> decimal(std::string text, int exponent) {
  const bool negative = text.starts_with('-');
  if (negative) text.erase(0, 1);
  std::string power = "0";
  if (const std::size_t letter = text.find_first_of("eE"); letter != std::string::npos) {
    power = text.substr(letter + 1);
    text.erase(letter);
  }
  const bool down = power.starts_with('-');
  if (down || power.starts_with('+')) power.erase(0, 1);
  const std::size_t point = text.find('.');
  std::string whole = text.substr(0, point);
  std::string fraction = point == std::string::npos ? "0" : text.substr(point + 1);
  if (!all_digits(whole) || !all_digits(fraction) || !all_digits(power)) return std::nullopt;
  // The point moves over the digits of the other side, and over zeros where there are none.
  for (int places = static_cast<int>(std::min(std::stod(power), 1'000.0)); places > 0; --places) {
    if (down) {
      fraction.insert(fraction.begin(), whole.empty() ? '0' : whole.back());
      if (!whole.empty()) whole.pop_back();
    } else {
      whole += fraction.empty() ? '0' : fraction.front();
      if (!fraction.empty()) fraction.erase(fraction.begin());
    }
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
  std::uint64_t first_id = 0, last_id = 0, prev_id = 0;
  std::int64_t exch_ts_ns = 0;
  std::vector<core::PriceLevel> bids, asks;
  core::Trade trade{};
  bool aggregate = false;
  shm::MarkPriceBody mark{};
  shm::LiquidationBody liquidation{};
  bool usual = false;  // see has_usual_types()
};

inline std::int64_t nanoseconds(std::uint64_t time) {
  if (time > 9'000'000'000'000'000) return 0;
  return static_cast<std::int64_t>(time) * (time > 9'000'000'000'000 ? 1'000 : 1'000'000);
}

// True where every key we know has a type some event gives it. A parser may refuse others even in an event
// that does not need them: it meets keys before it knows the event.
inline bool has_usual_types(const Value& object) {
  using Type = Value::Type;
  const auto is_integer = [](const Value& value) {
    return value.type == Type::Number && unsigned_integer(&value);
  };
  for (const auto& [key, value] : object.members) {
    const auto is_any_of = [&](std::string_view keys) {
      return key.size() == 1 && keys.find(key) != std::string_view::npos;
    };
    const bool no_previous = key == "pu" && value.type == Type::Number && value.text == "-1";
    if ((is_any_of("EUutT") || key == "pu") && !is_integer(value) && !no_previous) return false;
    if (is_any_of("esBApq") && value.type != Type::String) return false;
    if (is_any_of("ba") && !is_integer(value) && value.type != Type::String && value.type != Type::Array)
      return false;
    if (is_any_of("m") && value.type != Type::Bool) return false;
    if (key != "o" || value.type != Type::Object) continue;
    for (const auto& [inner_key, inner] : value.members) {
      if (inner_key == "T" && !is_integer(inner)) return false;
      for (const char* text : {"s", "S", "q", "p", "ap", "z"}) {
        if (inner_key == text && inner.type != Type::String) return false;
      }
    }
  }
  return true;
}

inline constexpr const char* kEventKeys[] = {"e", "E", "s", "U", "u", "b", "a", "B", "A", "t",
                                             "T", "p", "q", "m", "P", "i", "r", "X", "o", "pu"};

// Reads one event of one instrument, or says that it must become nothing.
class EventReader {
 public:
  EventReader(const Value& object, const core::SymbolTable& symbols, binance::Family family,
              const std::string& stream)
      : object_(object), symbols_(symbols), family_(family), stream_(stream) {}

  std::optional<Event> read() {
    for (const char* key : kEventKeys) {
      if (object_.count(key) > 1) return std::nullopt;
    }
    event_.usual = has_usual_types(object_);
    const std::string name = text("e").value_or("");
    if (object_.count("e") != 0 && object_.only("e", Value::Type::String) == nullptr) return std::nullopt;
    if (object_.count("e") != 0 && !number("E")) return std::nullopt;
    if (name == "forceOrder") return finish(liquidation());
    const auto symbol = text("s");
    instrument_ = symbol ? symbols_.find(*symbol) : nullptr;
    if (instrument_ == nullptr) return std::nullopt;
    event_.symbol_id = instrument_->symbol_id;
    event_.exch_ts_ns = nanoseconds(number("T").value_or(number("E").value_or(0)));
    if (object_.count("e") == 0 || name == "bookTicker") return finish(quote());
    if (name == "depthUpdate") return finish(depth());
    if (name == "trade" || name == "aggTrade") return finish(trade(name == "aggTrade"));
    if (name == "markPriceUpdate") return finish(mark_price());
    return std::nullopt;
  }

 private:
  using Type = Value::Type;

  std::optional<Event> finish(bool read) const { return read ? std::optional(event_) : std::nullopt; }
  std::optional<std::uint64_t> number(const char* key) const {
    return unsigned_integer(object_.only(key, Type::Number));
  }
  std::optional<std::string> text(const char* key, const Value* from = nullptr) const {
    const Value* const found = (from ? from : &object_)->only(key, Type::String);
    return found ? std::optional(found->text) : std::nullopt;
  }
  // A number of at least `least` under `key`, into `out`.
  bool take(const char* key, int exponent, std::int64_t least, std::int64_t& out,
            const Value* from = nullptr) const {
    const auto found = text(key, from);
    const auto value = found ? decimal(*found, exponent) : std::nullopt;
    if (!value || *value < least) return false;
    out = *value;
    return true;
  }
  bool take_price(const char* key, std::int64_t least, std::int64_t& out, const Value* from = nullptr) const {
    return take(key, instrument_->price_exponent, least, out, from);
  }
  bool take_quantity(const char* key, std::int64_t least, std::int64_t& out,
                     const Value* from = nullptr) const {
    return take(key, instrument_->quantity_exponent, least, out, from);
  }
  // The keys that futures alone have, where they are of another type than there.
  bool has_strange_keys() const {
    for (const char* key : {"P", "i", "r", "X"}) {
      if (object_.count(key) != 0 && !text(key)) return true;
    }
    return object_.count("o") != 0 && object_.only("o", Type::Object) == nullptr;
  }

  bool quote() {
    core::PriceLevel bid{}, ask{};
    const auto id = number("u");
    if (!id || !take_price("b", 0, bid.price) || !take_price("a", 0, ask.price) ||
        !take_quantity("B", 0, bid.quantity) || !take_quantity("A", 0, ask.quantity)) {
      return false;
    }
    event_.type = core::UpdateType::Quote;
    event_.first_id = event_.last_id = *id;
    event_.bids = {bid};
    event_.asks = {ask};
    return (bid.price != 0 || bid.quantity == 0) && (ask.price != 0 || ask.quantity == 0);
  }

  bool depth() {
    const auto first = number("U"), last = number("u");
    auto prev = number("pu");
    const Value* const none = object_.only("pu", Type::Number);
    if (first && none != nullptr && none->text == "-1") prev = std::max<std::uint64_t>(*first, 1) - 1;
    const auto bids = levels(object_.only("b", Type::Array), *instrument_);
    const auto asks = levels(object_.only("a", Type::Array), *instrument_);
    if (!first || !last || *first > *last || !bids || !asks) return false;
    if (object_.count("pu") != 0 && !prev) return false;
    if (family_ == binance::Family::Futures) {
      if (!prev) return false;
      const std::string channel = stream_.substr(std::min(stream_.find('@'), stream_.size()));
      if (channel.starts_with("@rpiDepth")) return false;
      if (channel.starts_with("@depth") && channel != "@depth" && channel[6] != '@') return false;
    }
    event_.type = core::UpdateType::Delta;
    event_.first_id = *first;
    event_.last_id = *last;
    event_.prev_id = prev.value_or(0);
    event_.bids = *bids;
    event_.asks = *asks;
    return true;
  }

  bool trade(bool aggregate) {
    event_.aggregate = aggregate;
    event_.type = core::UpdateType::Trade;
    const auto id = number(aggregate ? "a" : "t");
    const Value* const maker = object_.only("m", Type::Bool);
    if (!id || !number("T") || !maker || !take_price("p", 1, event_.trade.price) ||
        !take_quantity("q", 1, event_.trade.quantity)) {
      return false;
    }
    if (family_ == binance::Family::Futures && object_.count("X") != 0 && text("X") != "MARKET") return false;
    event_.trade.trade_id = *id;
    event_.trade.side = maker->boolean ? core::Side::Sell : core::Side::Buy;
    return true;
  }

  bool mark_price() {
    const auto rate = text("r");
    const auto next = number("T");
    if (!rate || !next || has_strange_keys()) return false;
    if (!take_price("p", 0, event_.mark.mark_price)) return false;
    if (text("i") && !take_price("i", 0, event_.mark.index_price)) return false;
    if (text("P") && !take_price("P", 0, event_.mark.settle_price)) return false;
    if (!rate->empty()) {
      const auto value = decimal(*rate, shm::kFundingRateExponent);
      if (!value) return false;
      event_.mark.funding_rate = *value;
      event_.mark.next_funding_ts_ns = nanoseconds(*next);
    }
    event_.type = core::UpdateType::MarkPrice;
    event_.exch_ts_ns = nanoseconds(*number("E"));
    return true;
  }

  bool liquidation() {
    const Value* const order = object_.only("o", Type::Object);
    if (order == nullptr || has_strange_keys()) return false;
    for (const char* key : {"s", "S", "q", "p", "ap", "z", "T"}) {
      if (order->count(key) > 1) return false;
    }
    const auto symbol = text("s", order), side = text("S", order);
    const auto time = unsigned_integer(order->only("T", Type::Number));
    instrument_ = symbol ? symbols_.find(*symbol) : nullptr;
    if (instrument_ == nullptr || !time || (side != "BUY" && side != "SELL")) return false;
    shm::LiquidationBody& body = event_.liquidation;
    if (!take_price("p", 1, body.price, order) || !take_quantity("q", 1, body.quantity, order) ||
        !take_quantity("z", 0, body.filled_quantity, order) ||
        (order->count("ap") != 0 && !take_price("ap", 0, body.average_price, order))) {
      return false;
    }
    body.side = side == "BUY" ? core::Side::Buy : core::Side::Sell;
    event_.type = core::UpdateType::Liquidation;
    event_.symbol_id = instrument_->symbol_id;
    event_.exch_ts_ns = nanoseconds(*time);
    return true;
  }

  const Value& object_;
  const core::SymbolTable& symbols_;
  binance::Family family_;
  const std::string& stream_;
  const core::Instrument* instrument_ = nullptr;
  Event event_;
};

// The event a frame must become, or nothing.
inline std::optional<Event> read_frame(std::string_view text, const core::SymbolTable& symbols,
                                       binance::Family family) {
  const std::optional<Value> frame = Reader(text).read();
  if (!frame || frame->type != Value::Type::Object) return std::nullopt;
  std::string stream;
  if (frame->count("stream") != 0) {
    const Value* const name = frame->only("stream", Value::Type::String);
    if (name == nullptr) return std::nullopt;
    stream = name->text;
  }
  if (frame->count("data") == 0) return EventReader(*frame, symbols, family, stream).read();
  for (const auto& [key, value] : frame->members) {
    for (const char* known : kEventKeys) {
      if (key == known) return std::nullopt;  // the frame says something else too
    }
    for (const char* known : {"id", "result", "code", "msg", "error", "lastUpdateId", "bids", "asks"}) {
      if (key == known) return std::nullopt;
    }
  }
  const Value* const data = frame->only("data", Value::Type::Object);
  return data ? EventReader(*data, symbols, family, stream).read() : std::nullopt;
}

}  // namespace mdp::venue::strict
