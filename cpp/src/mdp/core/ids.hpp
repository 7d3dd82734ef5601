// Identifiers of venues, instruments and lines.
#pragma once

#include <cstdint>

#include "mdp/shm/event.hpp"

namespace mdp::core {

using ExchangeId = std::uint16_t;  // fixed per venue in venue/registry.def, never renumbered
using SymbolId = std::uint32_t;    // dense, given at start from the config: lookups are array indexing
using LineId = std::uint16_t;      // index of a connection in the engine

inline constexpr SymbolId kNoSymbol = shm::kNoSymbol;

}  // namespace mdp::core
