#include "mdp/core/venue.hpp"

#include <array>
#include <utility>

namespace mdp::core {
namespace {

// Longer names before those they end in.
constexpr std::array<std::string_view, 23> kQuotes = {
    "FDUSD", "USDT", "USDC", "BUSD", "TUSD", "BIDR", "EUR", "GBP", "TRY", "RUB",  "BRL", "AUD",
    "UAH",   "NGN",  "DAI",  "PAX",  "BTC",  "ETH",  "BNB", "TRX", "XRP", "DOGE", "USD"};

// Base and quote; the quote is empty where nothing tells it.
std::pair<std::string_view, std::string_view> split(std::string_view symbol) {
  if (const std::size_t at = symbol.find_first_of("-/_:"); at != std::string_view::npos) {
    return {symbol.substr(0, at), symbol.substr(at + 1)};
  }
  for (const std::string_view quote : kQuotes) {
    if (symbol.size() > quote.size() && symbol.ends_with(quote)) {
      return {symbol.substr(0, symbol.size() - quote.size()), quote};
    }
  }
  return {symbol, {}};
}

}  // namespace

Instrument Venue::unlisted(std::string_view venue_symbol) const {
  Instrument instrument;
  const auto [base, quote] = split(venue_symbol);
  instrument.exchange_id = exchange_id();
  instrument.venue_symbol = venue_symbol;
  instrument.base = base;
  instrument.quote = quote;
  instrument.canonical_symbol.append(name()).append(":").append(base);
  if (!quote.empty()) instrument.canonical_symbol.append("-").append(quote);
  return instrument;
}

}  // namespace mdp::core
