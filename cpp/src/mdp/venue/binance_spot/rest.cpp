#include "mdp/venue/binance_spot/rest.hpp"

#include <simdjson.h>

#include <algorithm>
#include <cctype>
#include <cstdint>

#include "mdp/core/fixed_point.hpp"
#include "mdp/core/log.hpp"

namespace mdp::venue::binance_spot {
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

// The step of one filter ("0.01000000") as exponent and mantissa. Zero means that the rule is off.
std::string read_step(const dom::element& symbol, std::string_view filter_type, std::string_view key,
                      std::int8_t& exponent, std::int64_t& step) {
  exponent = kWireExponent;
  dom::array filters;
  if (symbol["filters"].get_array().get(filters)) return "has no filters";
  for (const dom::element filter : filters) {
    if (text_of(filter, "filterType") != filter_type) continue;
    int found = kWireExponent;
    const std::string_view text = text_of(filter, key);
    if (core::exponent_of(text, kWireExponent, found) != core::NumberStatus::Ok) {
      return std::string(key) + " is not a number: \"" + std::string(text) + "\"";
    }
    exponent = static_cast<std::int8_t>(std::min(found, kWireExponent));
    if (core::parse_decimal(text, exponent, step) != core::NumberStatus::Ok || step < 0) {
      return std::string(key) + " is out of range: \"" + std::string(text) + "\"";
    }
    return {};
  }
  return {};  // no such filter: the rule is off
}

// What is wrong with `symbol`, or nothing.
std::string read_instrument(const dom::element& symbol, std::string_view venue_name,
                            core::Instrument& instrument) {
  instrument.venue_symbol = text_of(symbol, "symbol");
  instrument.base = text_of(symbol, "baseAsset");
  instrument.quote = text_of(symbol, "quoteAsset");
  instrument.status = text_of(symbol, "status");
  if (instrument.venue_symbol.empty() || instrument.base.empty() || instrument.quote.empty()) {
    return "has no symbol, baseAsset or quoteAsset";
  }
  instrument.canonical_symbol = std::string(venue_name) + ':' + instrument.base + '-' + instrument.quote;
  std::string problem =
      read_step(symbol, "PRICE_FILTER", "tickSize", instrument.price_exponent, instrument.tick_size);
  if (problem.empty()) {
    problem = read_step(symbol, "LOT_SIZE", "stepSize", instrument.quantity_exponent, instrument.lot_size);
  }
  return problem;
}

}  // namespace

core::RestRequest snapshot_request(std::string_view venue_symbol, std::size_t depth) {
  const std::size_t limit = std::clamp<std::size_t>(depth, 1, 5000);
  const std::uint32_t weight = limit <= 100 ? 5 : limit <= 500 ? 25 : limit <= 1000 ? 50 : 250;
  return {"/api/v3/depth?symbol=" + percent_encode(venue_symbol) + "&limit=" + std::to_string(limit), weight};
}

core::RestRequest instruments_request() { return {"/api/v3/exchangeInfo?showPermissionSets=false", 20}; }

core::Expected<std::vector<core::Instrument>, std::string> parse_instruments(std::string_view body,
                                                                             std::string_view venue_name,
                                                                             core::ExchangeId exchange_id) {
  dom::parser json;
  dom::element document;
  dom::array symbols;
  if (json.parse(body.data(), body.size()).get(document) || document["symbols"].get_array().get(symbols)) {
    return core::Unexpected{
        std::string("exchangeInfo: wanted a JSON object with an array \"symbols\", found: ") +
        std::string(body.substr(0, 80))};
  }
  std::vector<core::Instrument> instruments;
  std::string first_problem;
  for (const dom::element symbol : symbols) {
    core::Instrument instrument;
    instrument.exchange_id = exchange_id;
    const std::string problem = read_instrument(symbol, venue_name, instrument);
    if (problem.empty()) {
      instruments.push_back(std::move(instrument));
      continue;
    }
    // One of thousands must not take the others down. Who wants this one is told that it is not listed.
    const std::string line = "venue=" + std::string(venue_name) + " symbol=\"" + instrument.venue_symbol +
                             "\" problem=\"" + problem + '"';
    core::log(core::LogLevel::Warning, "instrument_skipped " + line);
    if (first_problem.empty()) first_problem = line;
  }
  if (instruments.empty() && !first_problem.empty()) {
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

}  // namespace mdp::venue::binance_spot
