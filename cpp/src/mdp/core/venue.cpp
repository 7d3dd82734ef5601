#include "mdp/core/venue.hpp"

namespace mdp::core {

Instrument Venue::unlisted(std::string_view venue_symbol) const {
  const std::size_t at = venue_symbol.find_first_of("-/_:");
  if (at == std::string_view::npos) return named(venue_symbol, venue_symbol, {});
  return named(venue_symbol, venue_symbol.substr(0, at), venue_symbol.substr(at + 1));
}

Instrument Venue::named(std::string_view venue_symbol, std::string_view base, std::string_view quote) const {
  Instrument instrument;
  instrument.exchange_id = exchange_id();
  instrument.venue_symbol = venue_symbol;
  instrument.base = base;
  instrument.quote = quote;
  instrument.canonical_symbol.append(name()).append(":").append(base);
  if (!quote.empty()) instrument.canonical_symbol.append("-").append(quote);
  return instrument;
}

}  // namespace mdp::core
