#include "mdp/core/parser.hpp"

#include <limits>

#include "mdp/shm/decimal.hpp"

namespace mdp::core {

std::string describe(ParseStatus status, const ParseFailure& failure) {
  std::string text(failure.number);
  const int exponent = failure.exponent;
  if (text.empty()) return text;
  if (status == ParseStatus::InexactNumber) {
    return text.append(" has digits below ")
        .append(shm::to_decimal(1, exponent))
        .append(", the smallest step of the exponent ")
        .append(std::to_string(exponent));
  }
  if (status == ParseStatus::NumberOverflow) {
    const std::string largest = shm::to_decimal(std::numeric_limits<std::int64_t>::max(), exponent);
    return text.append(" is beyond ")
        .append(largest)
        .append(", the largest number of the exponent ")
        .append(std::to_string(exponent));
  }
  return {};
}

}  // namespace mdp::core
