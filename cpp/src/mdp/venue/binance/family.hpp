// What the venues of the Binance family share, given what each is: `Profile` is data, and make_family_venue()
// joins it with the family's parser, REST calls and request frames into a core::Venue.
//
// This folder is no venue and has no line in registry.def. binance_spot, binance_usdm and binance_coinm say
// where they are, how snapshot and deltas join, and nothing twice.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

#include "mdp/core/venue.hpp"
#include "mdp/venue/binance/parser.hpp"

namespace mdp::venue::binance {

// A snapshot of up to so many levels a side, and its request weight.
struct DepthLimit {
  std::size_t levels;
  std::uint32_t weight;
};

// How often a depth stream sends, and what it is called behind the symbol.
struct DepthSpeed {
  int interval_ms;
  std::string_view stream;
};

enum class Contracts : std::uint8_t {
  None,     // spot
  Linear,   // quantities in base
  Inverse,  // quantities are contracts of a fixed worth in quote
};

inline constexpr std::uint8_t kNotOffered = 255;

struct Profile {
  std::string_view name;
  Family family = Family::Spot;
  Contracts contracts = Contracts::None;
  core::BookRule book_rule;
  core::Endpoint endpoint;
  std::array<std::uint8_t, core::kChannelCount> routes{};  // by Channel; kNotOffered
  std::span<const DepthSpeed> depth_speeds;                // the default first
  std::string_view depth_path;                             // of GET depth
  std::span<const DepthLimit> depth_limits;                // ascending
  bool any_depth = false;           // any number of levels may be asked for, not the limits alone
  std::uint16_t default_depth = 0;  // levels a side of a request that names no limit
  std::string_view instruments_target;
  std::uint32_t instruments_weight = 0;
  bool microsecond_times = false;  // can be asked for
};

// Throws ConfigError: an option the venue does not have, naming what it has.
std::unique_ptr<core::Venue> make_family_venue(const Profile& profile, core::ExchangeId exchange_id,
                                               const core::VenueOptions& options);

}  // namespace mdp::venue::binance
