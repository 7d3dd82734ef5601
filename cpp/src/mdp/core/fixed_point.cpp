#include "mdp/core/fixed_point.hpp"

namespace mdp::core {

NumberStatus parse_decimal(std::string_view text, int exponent, std::int64_t& mantissa) {
  const std::string terminated(text);
  const char* end = nullptr;
  std::int64_t value = 0;
  const NumberStatus status = parse_decimal(terminated.c_str(), exponent, value, end);
  if (end != terminated.c_str() + terminated.size()) return NumberStatus::Bad;
  if (status == NumberStatus::Ok) mantissa = value;
  return status;
}

NumberStatus exponent_of(std::string_view text, int zero_exponent, int& exponent) {
  std::int64_t mantissa = 0;
  NumberStatus last = NumberStatus::Bad;
  for (int candidate = kMaxExponent; candidate >= kMinExponent; --candidate) {
    last = parse_decimal(text, candidate, mantissa);
    if (last == NumberStatus::Bad) return last;
    if (last == NumberStatus::Ok) {
      exponent = mantissa == 0 ? zero_exponent : candidate;
      return last;
    }
  }
  return last;
}

std::string format_decimal(std::int64_t mantissa, int exponent) {
  if (mantissa == 0) return "0";
  const bool negative = mantissa < 0;
  const std::uint64_t magnitude =
      negative ? ~static_cast<std::uint64_t>(mantissa) + 1 : static_cast<std::uint64_t>(mantissa);
  std::string digits = std::to_string(magnitude);
  if (exponent >= 0) {
    digits.append(static_cast<std::size_t>(exponent), '0');
  } else {
    const auto decimals = static_cast<std::size_t>(-exponent);
    if (digits.size() <= decimals) digits.insert(0, decimals - digits.size() + 1, '0');
    digits.insert(digits.size() - decimals, 1, '.');
    digits.erase(digits.find_last_not_of('0') + 1);
    if (digits.back() == '.') digits.pop_back();
  }
  return negative ? "-" + digits : digits;
}

}  // namespace mdp::core
