// REST calls of Binance spot: what to GET, what it weighs, how to read the answers that are not snapshots.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "mdp/core/venue.hpp"

namespace mdp::venue::binance_spot {

// GET /api/v3/depth; `depth` levels a side, 1 to 5000 (more is cut by the venue).
core::RestRequest snapshot_request(std::string_view venue_symbol, std::size_t depth);
// GET /api/v3/exchangeInfo, all symbols.
core::RestRequest instruments_request();

// symbol_id is left to the caller; canonical symbols are `<venue_name>:<base>-<quote>`. A symbol that can't
// be read is logged and left out. The error says what is wrong with the body.
core::Expected<std::vector<core::Instrument>, std::string> parse_instruments(std::string_view body,
                                                                             std::string_view venue_name,
                                                                             core::ExchangeId exchange_id);

// {"code":-1121,"msg":"Invalid symbol."} -> "code -1121: Invalid symbol."; empty for anything else (a proxy's
// HTML).
std::string describe_error(std::string_view body);

}  // namespace mdp::venue::binance_spot
