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

}  // namespace mdp::core
