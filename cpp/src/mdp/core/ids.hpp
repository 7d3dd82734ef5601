// Identifiers of venues, instruments and lines.
#pragma once

#include <cstdint>

#include "mdp/shm/event.hpp"

namespace mdp::core {

using ExchangeId = std::uint16_t;  // fixed per venue in venue/registry.def, never renumbered
using SymbolId = std::uint32_t;    // dense, given at start from the config: lookups are array indexing
using LineId = std::uint16_t;      // index of a connection in the engine
// One established connection, counted up from 1 through the process: a line gets another with each reconnect,
// and the two connections of a renewal differ.
using ConnectionId = std::uint32_t;

inline constexpr SymbolId kNoSymbol = shm::kNoSymbol;
inline constexpr ConnectionId kNoConnection = 0;  // a recorded frame, a change of a line's state

}  // namespace mdp::core
