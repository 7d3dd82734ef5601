#include "mdp/core/instrument.hpp"

#include <algorithm>

#include "mdp/core/fixed_point.hpp"

namespace mdp::core {
namespace {

constexpr int kPowers = static_cast<int>(kPowersOfTen.size());

// Whether the mantissa of `value` at `exponent`, rounded up, is at most `most`.
bool is_at_most(std::int64_t most, Limit value, int exponent) noexcept {
  const int zeros = value.exponent - exponent;  // behind its mantissa; below 0: so many digits are cut
  if (value.mantissa == 0) return true;
  if (zeros >= kPowers) return false;
  if (zeros >= 0) return value.mantissa <= most / kPowersOfTen[static_cast<std::size_t>(zeros)];
  if (-zeros >= kPowers) return most > 0;
  return value.mantissa / kPowersOfTen[static_cast<std::size_t>(-zeros)] < most;
}

}  // namespace

int choose_exponent(Limit step, Limit largest, int wanted, std::int64_t head_room) noexcept {
  const int of_step = step.mantissa != 0 ? step.exponent : 0;
  int exponent = step.mantissa != 0 ? std::min(wanted, step.exponent) : wanted;
  const std::int64_t most = std::numeric_limits<std::int64_t>::max() / head_room;
  while (exponent < of_step && !is_at_most(most, largest, exponent)) ++exponent;
  return exponent;
}

}  // namespace mdp::core
