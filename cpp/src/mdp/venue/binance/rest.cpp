#include "mdp/venue/binance/rest.hpp"

#include <simdjson.h>

#include <algorithm>
#include <cctype>
#include <cstdint>

#include "mdp/core/fixed_point.hpp"
#include "mdp/core/log.hpp"

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
  if (instrument.venue_symbol.empty() || instrument.base.empty() || instrument.quote.empty()) {
    return "has no symbol, baseAsset or quoteAsset";
  }
  instrument.canonical_symbol = std::string(profile.name) + ':' + instrument.base + '-' + instrument.quote;
  std::string problem =
      read_step(symbol, "PRICE_FILTER", "tickSize", instrument.price_exponent, instrument.tick_size);
  if (problem.empty()) {
    problem = read_step(symbol, "LOT_SIZE", "stepSize", instrument.quantity_exponent, instrument.lot_size);
  }
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
          limit->weight};
}

core::Expected<std::vector<core::Instrument>, std::string> parse_instruments(const Profile& profile,
                                                                             core::ExchangeId exchange_id,
                                                                             std::string_view body) {
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
    const std::string problem = read_instrument(symbol, profile, instrument);
    if (problem.empty()) {
      instruments.push_back(std::move(instrument));
      continue;
    }
    // One of thousands must not take the others down. Who wants this one is told that it is not listed.
    const std::string line = "venue=" + std::string(profile.name) + " symbol=\"" + instrument.venue_symbol +
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

bool is_unknown_symbol(std::string_view body) {
  constexpr std::int64_t kBadSymbol = -1121;
  dom::parser json;
  dom::element document;
  std::int64_t code = 0;
  return !json.parse(body.data(), body.size()).get(document) && !document["code"].get_int64().get(code) &&
         code == kBadSymbol;
}

}  // namespace mdp::venue::binance
