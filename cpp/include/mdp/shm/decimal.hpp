// Exact decimal text of a fixed-point number.
#pragma once

#include <cstdint>
#include <string>

namespace mdp::shm {

// mantissa * 10^exponent as plain decimal text without trailing zeros: (123400, -4) is "12.34", (5, 2) is
// "500".
inline std::string to_decimal(std::int64_t mantissa, int exponent) {
  if (mantissa == 0) return "0";
  const bool negative = mantissa < 0;
  // Negated as unsigned: the most negative number has no positive counterpart.
  const std::uint64_t magnitude =
      negative ? ~static_cast<std::uint64_t>(mantissa) + 1 : static_cast<std::uint64_t>(mantissa);
  std::string digits = std::to_string(magnitude);
  if (exponent >= 0) {
    digits.append(static_cast<std::size_t>(exponent), '0');
  } else {
    const std::size_t decimals = static_cast<std::size_t>(-exponent);
    if (digits.size() <= decimals) digits.insert(0, decimals + 1 - digits.size(), '0');
    digits.insert(digits.size() - decimals, 1, '.');
    digits.erase(digits.find_last_not_of('0') + 1);
    if (digits.back() == '.') digits.pop_back();
  }
  if (negative) digits.insert(digits.begin(), '-');
  return digits;
}

}  // namespace mdp::shm
