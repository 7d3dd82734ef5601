// Exact conversion between decimal text and fixed-point mantissas: value = mantissa * 10^exponent.
//
// Used by the parsers on the message path and by set-up code. Nothing is ever rounded: what an exponent can't
// hold exactly is a status.
#pragma once

#include <array>
#include <cstdint>
#include <limits>
#include <string>
#include <string_view>

#include "mdp/core/quick_number.hpp"

namespace mdp::core {

enum class NumberStatus : std::uint8_t {
  Ok = 0,
  Bad,       // not `-`? digits (`.` digits)? ([eE] [+-]? digits)?
  Inexact,   // has non-zero digits below 10^exponent
  Overflow,  // does not fit int64 at 10^exponent
};

inline constexpr int kMinExponent = -18;  // 10^18 is the largest power of ten below 2^63
inline constexpr int kMaxExponent = 18;

inline constexpr std::array<std::int64_t, 19> kPowersOfTen = [] {
  std::array<std::int64_t, 19> powers{};
  std::int64_t power = 1;
  for (std::size_t i = 0; i < powers.size(); ++i) {
    powers[i] = power;
    if (i + 1 < powers.size()) power *= 10;
  }
  return powers;
}();

namespace detail {

constexpr bool is_digit(char c) noexcept { return c >= '0' && c <= '9'; }

// Appends one digit to a non-negative mantissa; false when it no longer fits.
constexpr bool append_digit(std::uint64_t& mantissa, char digit) noexcept {
  constexpr std::uint64_t kMax = static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());
  if (mantissa > kMax / 10) return false;
  mantissa = mantissa * 10 + static_cast<std::uint64_t>(digit - '0');  // below 2^64 in any case
  return mantissa <= kMax;
}

// Reads `-`? digits (`.` digits)?; the rest as parse_decimal() below. `exponent` may be any that an int
// holds.
constexpr NumberStatus parse_plain_decimal(const char* text, int exponent, std::int64_t& mantissa,
                                           const char*& end) noexcept {
  const bool negative = *text == '-';
  if (negative) ++text;
  const char* const integer_begin = text;
  std::uint64_t value = 0;
  bool fits = true;
  bool exact = true;
  for (; is_digit(*text); ++text) fits = fits && append_digit(value, *text);
  end = text;
  if (text == integer_begin) return NumberStatus::Bad;
  if (exponent > 0) [[unlikely]] {
    // The last digits in front of the point are below the exponent: they must be zero and count for nothing,
    // so 10^19 fits at exponent 1 though it does not fit int64 itself.
    const auto digits = text - integer_begin;
    const char* const kept_end = digits > exponent ? text - exponent : integer_begin;
    value = 0;
    fits = true;
    for (const char* at = integer_begin; at < kept_end; ++at) fits = fits && append_digit(value, *at);
    for (const char* at = kept_end; at < text; ++at) exact = exact && *at == '0';
  }

  int wanted = exponent < 0 ? -exponent : 0;  // digits still wanted behind the point
  if (*text == '.') {
    const char* const fraction_begin = ++text;
    for (; is_digit(*text); ++text) {
      if (wanted > 0) {
        fits = fits && append_digit(value, *text);
        --wanted;
      } else {
        exact = exact && *text == '0';
      }
    }
    end = text;
    if (text == fraction_begin) return NumberStatus::Bad;
  }
  if (!fits) return NumberStatus::Overflow;
  if (wanted > 0 && value != 0) {
    if (wanted > kMaxExponent) return NumberStatus::Overflow;
    const auto power = static_cast<std::uint64_t>(kPowersOfTen[static_cast<std::size_t>(wanted)]);
    if (value > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max()) / power) {
      return NumberStatus::Overflow;
    }
    value *= power;
  }
  if (!exact) return NumberStatus::Inexact;
  mantissa = negative ? -static_cast<std::int64_t>(value) : static_cast<std::int64_t>(value);
  return NumberStatus::Ok;
}

// Reads `[+-]? digits` behind an `e`; 10^9 stands for more, which no text is long enough to make up for.
// False: there is no digit.
constexpr bool parse_power_of_ten(const char*& text, int& power) noexcept {
  constexpr int kMost = 1'000'000'000;
  const bool negative = *text == '-';
  if (*text == '-' || *text == '+') ++text;
  const char* const begin = text;
  std::int64_t value = 0;
  for (; is_digit(*text); ++text) value = value < kMost ? value * 10 + (*text - '0') : kMost;
  if (value > kMost) value = kMost;
  power = static_cast<int>(negative ? -value : value);
  return text != begin;
}

}  // namespace detail

// Reads a decimal number that begins at `text` and ends before the first character that can't belong to it;
// `end` receives that place. The caller knows that such a character comes (a closing quote, a NUL) and checks
// which it is. A power of ten may stand behind the digits (`1.5e-3`, `0E-8`): the number is as exact as the
// same one written without it. Range of exponent: kMinExponent..kMaxExponent. The smallest int64 is Overflow:
// a mantissa is symmetric.
constexpr NumberStatus parse_decimal(const char* text, int exponent, std::int64_t& mantissa,
                                     const char*& end) noexcept {
  const NumberStatus status = detail::parse_plain_decimal(text, exponent, mantissa, end);
  if ((*end != 'e' && *end != 'E') || status == NumberStatus::Bad) [[likely]]
    return status;
  int power = 0;
  const char* behind = end + 1;
  const bool whole = detail::parse_power_of_ten(behind, power);
  // The digits times 10^power at `exponent` are the digits alone at `exponent - power`.
  const NumberStatus shifted = detail::parse_plain_decimal(text, exponent - power, mantissa, end);
  end = behind;
  return whole ? shifted : NumberStatus::Bad;
}

namespace detail {
// Not inlined: its registers would be saved for every number of the usual shape.
[[gnu::noinline]] inline NumberStatus parse_unusual_decimal(const char* text, int exponent,
                                                            std::int64_t& mantissa,
                                                            const char*& end) noexcept {
  return parse_decimal(text, exponent, mantissa, end);
}
}  // namespace detail

// The same for a quoted number inside a frame, with 24 readable bytes from `text` on (core::kFramePadding
// gives them).
inline NumberStatus parse_decimal_in_frame(const char* text, int exponent, std::int64_t& mantissa,
                                           const char*& end) noexcept {
  unsigned length = 0;
  std::int64_t value = 0;
  if (exponent == kQuickExponent && quick_decimal(text, value, length)) [[likely]] {
    mantissa = value;
    end = text + length;
    return NumberStatus::Ok;
  }
  return detail::parse_unusual_decimal(text, exponent, mantissa, end);
}

// The same for a whole string: anything behind the number is Bad. `mantissa` is written on Ok alone. Set-up
// code.
NumberStatus parse_decimal(std::string_view text, int exponent, std::int64_t& mantissa);

// The largest exponent that holds `text` exactly, with trailing zeros ignored: "0.01000000" -> -2, "0.5" ->
// -1, "100" -> 2, "1E-8" -> -8. Zero gives `zero_exponent`. Bad for what is not a decimal number.
NumberStatus exponent_of(std::string_view text, int zero_exponent, int& exponent);

}  // namespace mdp::core
