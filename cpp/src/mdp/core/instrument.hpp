// Instrument: what a venue says of one symbol, as far as parsing and publishing need it, and the exponents
// that are chosen from what it says.
#pragma once

#include <cstdint>
#include <limits>
#include <optional>
#include <string>

#include "mdp/core/ids.hpp"

namespace mdp::core {

// Exponents where a venue gives no tick or lot size.
inline constexpr std::int8_t kDefaultExponent = -8;

// One of a venue's limits, exact: value = mantissa * 10^exponent. A mantissa of 0: the venue does not say it.
struct Limit {
  std::int64_t mantissa = 0;
  int exponent = 0;
};
// For a largest value that no exponent holds.
inline constexpr Limit kLargestLimit{std::numeric_limits<std::int64_t>::max(), 18};

// How many times the largest value of one order a book must be able to hold. A level's quantity is the sum of
// many orders. A price is that of one order, but one that is older than today's limits may be beyond them.
inline constexpr std::int64_t kQuantityHeadRoom = 1'000;
inline constexpr std::int64_t kPriceHeadRoom = 10;

// The exponent to hold an instrument's prices, or its quantities, at: one rule for every venue.
//
// `step` is what a new order's number is a multiple of, `largest` the largest number of one order, `wanted`
// the exponent at which the venue writes its numbers. The result is `wanted`, or the step's own exponent
// where that is finer. Where `head_room` times `largest` does not fit an int64 there, it is the finest
// exponent at which that fits; but it is never coarser than the step, nor than 10^0 where there is no step.
// At -8 an int64 ends at 92,233,720,368: a largest quantity of 46,116,860,414 with a step of 1 gives -5.
int choose_exponent(Limit step, Limit largest, int wanted, std::int64_t head_room) noexcept;

struct Instrument {
  SymbolId symbol_id = kNoSymbol;
  ExchangeId exchange_id = 0;
  std::string venue_symbol;                       // as the venue spells it: BTCUSDT
  std::string base;                               // BTC
  std::string quote;                              // USDT
  std::string canonical_symbol;                   // binance:BTC-USDT
  std::string status;                             // the venue's own word: TRADING, HALT, ...
  bool tradable = true;                           // whether that word means that it trades now
  std::int8_t price_exponent = kDefaultExponent;  // value = mantissa * 10^exponent
  std::int8_t quantity_exponent = kDefaultExponent;
  // Digits behind the point as the venue writes them, for checksums over the digits; none: as many as the
  // exponent has.
  std::optional<std::int8_t> price_decimals;
  std::optional<std::int8_t> quantity_decimals;
  std::int64_t tick_size = 0;  // mantissa at price_exponent; 0 where the venue gives none
  std::int64_t lot_size = 0;   // mantissa at quantity_exponent; 0 where the venue gives none
  // Limits of one order; 0 where the venue gives none.
  std::int64_t min_quantity = 0;  // mantissa at quantity_exponent
  std::int64_t max_quantity = 0;  // likewise
  std::int64_t min_notional = 0;  // price times quantity: mantissa at notional_exponent, in quote
  std::int8_t notional_exponent = kDefaultExponent;
  shm::InstrumentKind kind = shm::InstrumentKind::Spot;
  std::string settle;  // what a contract is paid in: USDT, BTC; empty for spot
  // Worth of one contract: mantissa at contract_exponent, in base (in quote where `inverse`); 0 for spot.
  std::int64_t contract_size = 0;
  std::int8_t contract_exponent = 0;
  bool inverse = false;        // quantities are numbers of contracts of a fixed worth in quote
  std::int64_t expiry_ns = 0;  // 0: none
  // Of an option.
  shm::OptionRight option_right = shm::OptionRight::None;
  std::int64_t strike_price = 0;  // mantissa at strike_exponent
  std::int8_t strike_exponent = 0;
  std::string underlying;  // of a future or an option, where it is not the base: an index, another future
  // Why it cannot be subscribed to, as far as the venue's list tells: a tick size that is no number. Empty:
  // it can. What could not be read then has its default.
  std::string problem;
};

}  // namespace mdp::core
