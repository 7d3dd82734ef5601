// The checksums of two venues, as their documentation tells them, for books without a venue's folder.
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <string>

#include "mdp/core/checksum.hpp"

namespace mdp::book::test {

// Kraken: the digits of price and quantity of the best ten asks, then of the best ten bids.
inline std::uint32_t kraken_checksum(std::span<const core::PriceLevel> bids,
                                     std::span<const core::PriceLevel> asks,
                                     const core::Instrument& instrument) noexcept {
  core::Crc32 crc;
  for (const auto side : {asks, bids}) {
    for (const core::PriceLevel& level : side) {
      crc.add(core::WrittenDigits(level.price, instrument.price_exponent, core::price_decimals(instrument))
                  .text());
      crc.add(core::WrittenDigits(level.quantity, instrument.quantity_exponent,
                                  core::quantity_decimals(instrument))
                  .text());
    }
  }
  return crc.value();
}

// As JavaScript prints mantissa * 10^-8: no zeros at the end, and an exponent below 10^-6.
inline std::string javascript_number(std::int64_t mantissa) {
  std::string digits = std::to_string(mantissa < 0 ? -mantissa : mantissa);
  const std::size_t count = digits.size();
  const bool tiny = count <= 2;
  while (digits.size() < 9 && !tiny) digits.insert(digits.begin(), '0');
  digits.insert(tiny ? 1 : digits.size() - 8, 1, '.');
  while (digits.back() == '0') digits.pop_back();
  if (digits.back() == '.') digits.pop_back();
  if (tiny) digits.append("e-").append(std::to_string(9 - count));
  if (mantissa < 0) digits.insert(digits.begin(), '-');
  return digits;
}

// Bitfinex: "price:amount" of the best bid, the best ask, the second bid, ..., 25 a side; amounts of asks are
// negative.
inline std::uint32_t bitfinex_checksum(std::span<const core::PriceLevel> bids,
                                       std::span<const core::PriceLevel> asks,
                                       const core::Instrument&) noexcept {
  std::string text;
  const auto add = [&text](std::int64_t price, std::int64_t amount) {
    if (!text.empty()) text.push_back(':');
    text.append(javascript_number(price)).append(":").append(javascript_number(amount));
  };
  for (std::size_t i = 0; i < std::max(bids.size(), asks.size()); ++i) {
    if (i < bids.size()) add(bids[i].price, bids[i].quantity);
    if (i < asks.size()) add(asks[i].price, -asks[i].quantity);
  }
  core::Crc32 crc;
  crc.add(text);
  return crc.value();
}

}  // namespace mdp::book::test
