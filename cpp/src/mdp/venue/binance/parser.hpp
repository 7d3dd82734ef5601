// Frames of the Binance family to NormalizedMessage: depthUpdate, trade, aggTrade, bookTicker,
// markPriceUpdate, forceOrder, acks, errors, serverShutdown; raw (`/ws`) and combined (`/stream`) framing.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>

#include "mdp/core/instrument.hpp"
#include "mdp/core/parser.hpp"
#include "mdp/core/symbol_table.hpp"

namespace mdp::venue::binance {

// What decides how an event is read.
enum class Family : std::uint8_t {
  Spot,
  Futures,  // a depthUpdate names the id it follows (`pu`), a trade says what kind it is (`X`)
};

// `symbols` outlives the parser; `exchange_id` goes into every message.
std::unique_ptr<core::Parser> make_parser(Family family, const core::SymbolTable& symbols,
                                          core::ExchangeId exchange_id);

// The body of GET depth into Snapshot chunks. `body` has kFramePadding readable bytes behind it;
// `depth_limit`: the `limit` it was asked for with. `failure` is written on an error status alone.
[[nodiscard]] core::ParseStatus parse_snapshot(std::string_view body, const core::Instrument& instrument,
                                               std::uint16_t depth_limit, std::int64_t recv_ts_ns,
                                               core::MessageSink& sink, core::ParseFailure& failure);

}  // namespace mdp::venue::binance
