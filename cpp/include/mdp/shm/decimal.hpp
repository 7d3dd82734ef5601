// Exact decimal text of a fixed-point number.
#pragma once

#include <charconv>
#include <cstddef>
#include <cstdint>
#include <string>

namespace mdp::shm {

// Appends mantissa * 10^exponent as plain decimal text without trailing zeros: (123400, -4) is "12.34", (5,
// 2) is "500".
inline void append_decimal(std::string& text, std::int64_t mantissa, int exponent) {
  char digits[24];  // 20 at most: the sign and 19 digits
  const char* end = std::to_chars(digits, digits + sizeof(digits), mantissa).ptr;
  const char* begin = digits;
  if (mantissa == 0 || exponent >= 0) {
    text.append(begin, end);
    if (mantissa != 0) text.append(static_cast<std::size_t>(exponent), '0');
    return;
  }
  if (mantissa < 0) text += *begin++;
  auto decimals = static_cast<std::size_t>(-exponent);
  for (; decimals > 0 && end[-1] == '0'; --decimals)
    --end;  // a digit that is not 0 comes before they run out
  const auto count = static_cast<std::size_t>(end - begin);
  if (decimals >= count) {
    text.append("0.").append(decimals - count, '0').append(begin, end);
    return;
  }
  text.append(begin, end - decimals);
  if (decimals > 0) text.append(1, '.').append(end - decimals, end);
}

inline std::string to_decimal(std::int64_t mantissa, int exponent) {
  std::string text;
  append_decimal(text, mantissa, exponent);
  return text;
}

}  // namespace mdp::shm
