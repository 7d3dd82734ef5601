// What a Binance frame must become, read from a tree of JSON values: the independent opinion that the
// parser's results are compared with.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/strict_json.hpp"
#include "mdp/core/symbol_table.hpp"
#include "mdp/venue/binance/parser.hpp"

namespace mdp::venue::strict {

using mdp::strict::decimal;
using mdp::strict::Reader;
using mdp::strict::Value;

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
