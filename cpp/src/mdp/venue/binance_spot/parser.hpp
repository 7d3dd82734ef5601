// Binance spot frames to NormalizedMessage: depthUpdate, trade, aggTrade, bookTicker, acks, errors,
// serverShutdown; raw (`/ws`) and combined (`/stream`) framing.
#pragma once

#include <memory>

#include "mdp/core/instrument.hpp"
#include "mdp/core/parser.hpp"
#include "mdp/core/symbol_table.hpp"

namespace mdp::venue::binance_spot {

// `symbols` outlives the parser; `exchange_id` goes into every message.
std::unique_ptr<core::Parser> make_parser(const core::SymbolTable& symbols, core::ExchangeId exchange_id);

// The body of GET /api/v3/depth into Snapshot chunks. `body` has kFramePadding readable bytes behind it.
[[nodiscard]] core::ParseStatus parse_snapshot(std::string_view body, const core::Instrument& instrument,
                                               std::int64_t recv_ts_ns, core::MessageSink& sink);

}  // namespace mdp::venue::binance_spot
