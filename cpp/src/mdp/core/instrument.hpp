// Instrument: what a venue says of one symbol, as far as parsing and publishing need it.
#pragma once

#include <cstdint>
#include <string>

#include "mdp/core/ids.hpp"

namespace mdp::core {

// Exponents where a venue gives no tick or lot size.
inline constexpr std::int8_t kDefaultExponent = -8;

struct Instrument {
  SymbolId symbol_id = kNoSymbol;
  ExchangeId exchange_id = 0;
  std::string venue_symbol;                       // as the venue spells it: BTCUSDT
  std::string base;                               // BTC
  std::string quote;                              // USDT
  std::string canonical_symbol;                   // binance:BTC-USDT
  std::string status;                             // the venue's own word: TRADING, HALT, ...
  std::int8_t price_exponent = kDefaultExponent;  // value = mantissa * 10^exponent
  std::int8_t quantity_exponent = kDefaultExponent;
  std::int64_t tick_size = 0;  // mantissa at price_exponent; 0 where the venue gives none
  std::int64_t lot_size = 0;   // mantissa at quantity_exponent; 0 where the venue gives none
  shm::InstrumentKind kind = shm::InstrumentKind::Spot;
  std::string settle;  // what a contract is paid in: USDT, BTC; empty for spot
  // Worth of one contract: mantissa at contract_exponent, in base (in quote where `inverse`); 0 for spot.
  std::int64_t contract_size = 0;
  std::int8_t contract_exponent = 0;
  bool inverse = false;        // quantities are numbers of contracts of a fixed worth in quote
  std::int64_t expiry_ns = 0;  // 0: none
  // Why it cannot be subscribed to, as far as the venue's list tells: a tick size that is no number. Empty: it can.
  // What could not be read then has its default.
  std::string problem;
};

}  // namespace mdp::core
