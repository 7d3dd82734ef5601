#include "mdp/venue/binance/rest.hpp"

#include <simdjson.h>

#include <algorithm>
#include <cctype>
#include <charconv>
#include <cstdint>

#include "mdp/core/fixed_point.hpp"
#include "mdp/core/text.hpp"

namespace mdp::venue::binance {
namespace {

namespace dom = simdjson::dom;

// Symbols may be UTF-8 since 2025.
std::string percent_encode(std::string_view text) {
  constexpr char kHex[] = "0123456789ABCDEF";
  std::string encoded;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x80 && std::isalnum(byte)) {
      encoded += c;
    } else {
      encoded += {'%', kHex[byte >> 4], kHex[byte & 15]};
    }
  }
  return encoded;
}

std::string_view text_of(const dom::element& object, std::string_view key) {
  std::string_view text;
  return object[key].get_string().get(text) ? std::string_view{} : text;
}

// Eight decimals, whatever the tick: that is how the venue writes every number, and a book holds more than
// the tick of the day allows. Orders placed before a tick or lot grew stay as they are: the BUSDTRY snapshot
// of 2021-04-17 has bids at 6.893 with a tick of 0.01.
constexpr int kWireExponent = -8;

// Where a filter says how prices, or quantities, may be. MARKET_LOT_SIZE has the keys of LOT_SIZE, with other
// numbers in them: market orders do not rest in a book.
struct Filter {
  std::string_view type, step, largest;
  std::int64_t head_room;
};
constexpr Filter kPrices{"PRICE_FILTER", "tickSize", "maxPrice", core::kPriceHeadRoom};
constexpr Filter kQuantities{"LOT_SIZE", "stepSize", "maxQty", core::kQuantityHeadRoom};

// "0.01000000" as a limit; zero means that the rule is off. Inexact, Overflow: what no exponent holds.
core::NumberStatus read_limit(std::string_view text, core::Limit& limit) {
  const core::NumberStatus status = core::exponent_of(text, kWireExponent, limit.exponent);
  return status == core::NumberStatus::Ok ? core::parse_decimal(text, limit.exponent, limit.mantissa)
                                          : status;
}

std::string problem_with(std::string_view key, std::string_view text, core::NumberStatus status) {
  return std::string(key) + " is " + (status == core::NumberStatus::Bad ? "not a number" : "out of range") +
         ": \"" + std::string(text) + '"';
}

// Exponent and step of prices or quantities. What is wrong, or nothing.
std::string read_filter(const dom::element& symbol, const Filter& filter, std::int8_t& exponent,
                        std::int64_t& step) {
  exponent = kWireExponent;
  dom::array filters;
  if (symbol["filters"].get_array().get(filters)) return "has no filters";
  for (const dom::element found : filters) {
    if (text_of(found, "filterType") != filter.type) continue;
    const std::string_view step_text = text_of(found, filter.step);
    const std::string_view largest_text = text_of(found, filter.largest);
    core::Limit step_size;
    core::NumberStatus status = read_limit(step_text, step_size);
    if (status != core::NumberStatus::Ok || step_size.mantissa < 0) {
      return problem_with(filter.step, step_text, status);
    }
    core::Limit largest;
    status = largest_text.empty() ? core::NumberStatus::Ok : read_limit(largest_text, largest);
    if (status == core::NumberStatus::Bad || largest.mantissa < 0) {
      return problem_with(filter.largest, largest_text, status);
    }
    if (status == core::NumberStatus::Overflow) largest = core::kLargestLimit;
    exponent =
        static_cast<std::int8_t>(core::choose_exponent(step_size, largest, kWireExponent, filter.head_room));
    status = core::parse_decimal(step_text, exponent, step);
    return status == core::NumberStatus::Ok ? std::string() : problem_with(filter.step, step_text, status);
  }
  return {};  // no such filter: the rule is off
}

// A limit of one order; 0 where it is not said, or not exact at the exponent.
std::int64_t read_order_limit(const dom::element& filter, std::string_view key, std::int8_t exponent) {
  std::int64_t value = 0;
  const std::string_view text = text_of(filter, key);
  return core::parse_decimal(text, exponent, value) == core::NumberStatus::Ok ? value : 0;
}

void read_order_limits(const dom::element& symbol, core::Instrument& instrument) {
  dom::array filters;
  if (symbol["filters"].get_array().get(filters)) return;
  for (const dom::element filter : filters) {
    const std::string_view type = text_of(filter, "filterType");
    if (type == kQuantities.type) {
      instrument.min_quantity = read_order_limit(filter, "minQty", instrument.quantity_exponent);
      instrument.max_quantity = read_order_limit(filter, kQuantities.largest, instrument.quantity_exponent);
    } else if (type == "NOTIONAL" || type == "MIN_NOTIONAL") {  // the second: USD-M, and spot of before
      const std::string_view key = text_of(filter, "minNotional").empty() ? "notional" : "minNotional";
      instrument.min_notional = read_order_limit(filter, key, instrument.notional_exponent);
    }
  }
}

// A perpetual contract has this deliveryDate: 2100-12-25.
constexpr std::int64_t kNoDelivery = 4'133'404'800'000;

// What tells this contract from the others of its pair: `PERP`, or the day of delivery as the venue's symbol
// ends in it.
std::string contract_suffix(const core::Instrument& instrument) {
  const std::size_t at = instrument.venue_symbol.rfind('_');
  return at == std::string::npos ? "PERP" : instrument.venue_symbol.substr(at + 1);
}

// {"symbol":"BTCUSD_210625","pair":"BTCUSD","contractType":"CURRENT_QUARTER","deliveryDate":1624608000000,
//  "contractStatus":"TRADING","contractSize":100,"marginAsset":"BTC","baseAsset":"BTC","quoteAsset":"USD",...}
std::string read_contract(const dom::element& symbol, Contracts contracts, core::Instrument& instrument) {
  instrument.settle = text_of(symbol, "marginAsset");
  std::int64_t delivery_ms = 0;
  if (instrument.settle.empty() || symbol["deliveryDate"].get_int64().get(delivery_ms)) {
    return "has no marginAsset or deliveryDate";
  }
  if (delivery_ms < 0 || delivery_ms > kNoDelivery) return "deliveryDate is out of range";
  // PERPETUAL, CURRENT_QUARTER, NEXT_QUARTER, "PERPETUAL DELIVERING", ...; empty while settling.
  const std::string_view type = text_of(symbol, "contractType");
  const bool is_perpetual =
      type.empty() ? delivery_ms == kNoDelivery : type.find("PERPETUAL") != std::string_view::npos;
  instrument.kind = is_perpetual ? shm::InstrumentKind::Perpetual : shm::InstrumentKind::Future;
  // A perpetual contract that is taken off the list has a day of delivery too.
  instrument.expiry_ns = delivery_ms == kNoDelivery ? 0 : delivery_ms * 1'000'000;
  instrument.inverse = contracts == Contracts::Inverse;
  instrument.contract_size = 1;  // USD-M: quantities are in base
  if (instrument.inverse &&
      (symbol["contractSize"].get_int64().get(instrument.contract_size) || instrument.contract_size <= 0)) {
    return "contractSize is no whole number above zero";
  }
  instrument.canonical_symbol += '-' + contract_suffix(instrument);
  return {};
}

// What is wrong with `symbol`, or nothing.
std::string read_instrument(const dom::element& symbol, const Profile& profile,
                            core::Instrument& instrument) {
  instrument.venue_symbol = text_of(symbol, "symbol");
  instrument.base = text_of(symbol, "baseAsset");
  instrument.quote = text_of(symbol, "quoteAsset");
  instrument.status = text_of(symbol, "status");
  if (instrument.status.empty()) instrument.status = text_of(symbol, "contractStatus");  // COIN-M
  instrument.tradable = instrument.status == "TRADING";
  if (instrument.venue_symbol.empty() || instrument.base.empty() || instrument.quote.empty()) {
    return "has no symbol, baseAsset or quoteAsset";
  }
  instrument.canonical_symbol = std::string(profile.name) + ':' + instrument.base + '-' + instrument.quote;
  std::string problem = read_filter(symbol, kPrices, instrument.price_exponent, instrument.tick_size);
  if (problem.empty()) {
    problem = read_filter(symbol, kQuantities, instrument.quantity_exponent, instrument.lot_size);
  }
  if (problem.empty()) read_order_limits(symbol, instrument);
  if (problem.empty() && profile.contracts != Contracts::None) {
    problem = read_contract(symbol, profile.contracts, instrument);
  }
  return problem;
}

}  // namespace

core::RestRequest snapshot_request(const Profile& profile, std::string_view venue_symbol, std::size_t depth) {
  const DepthLimit* limit = &profile.depth_limits.front();
  for (const DepthLimit& next : profile.depth_limits) {
    if (limit->levels < depth) limit = &next;
  }
  const std::size_t levels =
      profile.any_depth ? std::clamp<std::size_t>(depth, 1, limit->levels) : limit->levels;
  return {std::string(profile.depth_path) + "?symbol=" + percent_encode(venue_symbol) +
              "&limit=" + std::to_string(levels),
          limit->weight, static_cast<std::uint16_t>(levels)};
}

std::uint16_t depth_limit_of(const Profile& profile, std::string_view target) {
  constexpr std::string_view kKey = "limit=";
  std::size_t at = target.find(kKey);
  while (at != std::string_view::npos && at != 0 && target[at - 1] != '?' && target[at - 1] != '&') {
    at = target.find(kKey, at + 1);
  }
  if (at == std::string_view::npos) return profile.default_depth;
  const std::string_view text = target.substr(at + kKey.size());
  std::uint16_t levels = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), levels);
  const bool whole = end == text.data() + text.size() || *end == '&';
  return error == std::errc() && whole && levels != 0 ? levels : std::uint16_t{1};
}

core::Expected<std::vector<core::Instrument>, std::string> parse_instruments(const Profile& profile,
                                                                             core::ExchangeId exchange_id,
                                                                             std::string_view body) {
  dom::parser json;
  dom::element document;
  dom::array symbols;
  if (json.parse(body.data(), body.size()).get(document) || document["symbols"].get_array().get(symbols)) {
    return core::Unexpected{"exchangeInfo: wanted a JSON object with an array \"symbols\", found: " +
                            core::page_words(body)};
  }
  std::vector<core::Instrument> instruments;
  std::string first_problem;
  bool all_bad = true;
  for (const dom::element symbol : symbols) {
    core::Instrument instrument;
    instrument.exchange_id = exchange_id;
    instrument.problem = read_instrument(symbol, profile, instrument);
    all_bad = all_bad && !instrument.problem.empty();
    if (all_bad && first_problem.empty()) {
      first_problem = core::quoted(instrument.venue_symbol) + ' ' + core::printable(instrument.problem);
    }
    if (!instrument.venue_symbol.empty())
      instruments.push_back(std::move(instrument));  // else nobody can want it
  }
  if (all_bad && !first_problem.empty()) {
    return core::Unexpected{"exchangeInfo: no symbol could be read; the first: " + first_problem};
  }
  return instruments;
}

std::string describe_error(std::string_view body) {
  dom::parser json;
  dom::element document;
  std::int64_t code = 0;
  if (json.parse(body.data(), body.size()).get(document) || document["code"].get_int64().get(code)) return {};
  return "code " + std::to_string(code) + ": " + std::string(text_of(document, "msg"));
}

bool is_unknown_symbol(std::string_view body) {
  constexpr std::int64_t kBadSymbol = -1121;
  dom::parser json;
  dom::element document;
  std::int64_t code = 0;
  return !json.parse(body.data(), body.size()).get(document) && !document["code"].get_int64().get(code) &&
         code == kBadSymbol;
}

}  // namespace mdp::venue::binance
