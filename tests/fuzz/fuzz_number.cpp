// Number text: the reader that takes eight digits a step against the one that takes one, and the two against
// plain long division. The first byte chooses the exponent. (tests/python/test_numbers.py holds both against
// Python's decimal.)
#include "fuzz_venue.hpp"
#include "mdp/core/fixed_point.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace mdp;
  if (size == 0) return 0;
  const int exponent = size % 2 == 0 ? -8 : static_cast<int>(data[0] % 37) - 18;
  // A quote ends the text, as in a frame; the padding could go on with digits.
  std::string quoted(reinterpret_cast<const char*>(data) + 1, size - 1);
  quoted += '"';
  fuzz::PaddedText text(reinterpret_cast<const std::uint8_t*>(quoted.data()), quoted.size(), '7');
  std::int64_t by_steps = 0;
  std::int64_t by_one = 0;
  const char* steps_end = nullptr;
  const char* one_end = nullptr;
  const core::NumberStatus status = core::parse_decimal_in_frame(text.data(), exponent, by_steps, steps_end);
  MDP_FUZZ_CHECK(core::parse_decimal(text.data(), exponent, by_one, one_end) == status);
  MDP_FUZZ_CHECK(steps_end == one_end && steps_end < text.data() + quoted.size());
  if (status != core::NumberStatus::Ok) return 0;
  MDP_FUZZ_CHECK(by_steps == by_one);
  // The digits of the text are those of the mantissa, with zeros on either side.
  std::string digits;
  const char* point = nullptr;
  const char* at = text.data();
  for (; at != steps_end && *at != 'e' && *at != 'E'; ++at) {
    if (*at >= '0' && *at <= '9') digits += *at;
    if (*at == '.') point = at;
  }
  const long power = at != steps_end ? std::strtol(std::string(at + 1, steps_end).c_str(), nullptr, 10) : 0;
  if (power < -1'000 || power > 1'000) {  // what is so small or so large is Inexact or Overflow, but for zero
    MDP_FUZZ_CHECK(by_steps == 0 || digits.size() > 900);
    return 0;
  }
  const int decimals = (point != nullptr ? static_cast<int>(at - point - 1) : 0) - static_cast<int>(power);
  std::string mantissa = std::to_string(by_steps < 0 ? -by_steps : by_steps);
  // Both as integers at the finer of the two scales.
  const int shift = exponent + decimals;
  (shift > 0 ? mantissa : digits).append(static_cast<std::size_t>(shift > 0 ? shift : -shift), '0');
  const auto bare = [](const std::string& number) {
    const std::size_t first = number.find_first_not_of('0');
    return first == std::string::npos ? std::string() : number.substr(first);
  };
  MDP_FUZZ_CHECK(bare(digits) == bare(mantissa));
  return 0;
}
