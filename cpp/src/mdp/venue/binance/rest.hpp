// REST calls of the Binance family: what to GET, what it weighs, how to read the answers that are not
// snapshots.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "mdp/core/venue.hpp"
#include "mdp/venue/binance/family.hpp"

namespace mdp::venue::binance {

// GET depth; `depth` levels a side, rounded up to what the venue offers, at most its largest.
core::RestRequest snapshot_request(const Profile& profile, std::string_view venue_symbol, std::size_t depth);
// The `limit` of such a request, or what the venue takes where it names none; 1 where it cannot be read: then
// a snapshot is known to its worst level only.
std::uint16_t depth_limit_of(const Profile& profile, std::string_view target);

// exchangeInfo. symbol_id is left to the caller; canonical symbols are `binance:BTC-USDT`,
// `binance-usdm:BTC-USDT-PERP`, `binance-coinm:BTC-USD-210625`. A symbol that can't be read is logged and
// left out. The error says what is wrong with the body.
core::Expected<std::vector<core::Instrument>, std::string> parse_instruments(const Profile& profile,
                                                                             core::ExchangeId exchange_id,
                                                                             std::string_view body);

// {"code":-1121,"msg":"Invalid symbol."} -> "code -1121: Invalid symbol."; empty for anything else (a proxy's
// HTML).
std::string describe_error(std::string_view body);

// Whether it is code -1121: a name that was never listed, or that is listed no more.
bool is_unknown_symbol(std::string_view body);

}  // namespace mdp::venue::binance
