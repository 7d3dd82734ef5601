// Exact conversion between decimal text and fixed-point mantissas: value = mantissa * 10^exponent.
//
// Used by the parsers on the message path and by set-up code. Nothing is ever rounded: what an exponent can't
// hold exactly is a status.
#pragma once

#include <array>
#include <bit>
#include <cstdint>
#include <cstring>
#include <limits>
#include <string>
#include <string_view>

namespace mdp::core {

enum class NumberStatus : std::uint8_t {
  Ok = 0,
  Bad,       // not `-`? digits (`.` digits)?
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

// Eight characters, the first in the lowest byte.
inline std::uint64_t load_eight(const char* text) noexcept {
  std::uint64_t word;
  std::memcpy(&word, text, sizeof(word));
  return word;
}

inline constexpr std::uint64_t kEightZeros = 0x3030'3030'3030'3030;  // "00000000"

// The top bit of every byte that is not a digit; `values` is load_eight() ^ kEightZeros.
constexpr std::uint64_t non_digits(std::uint64_t values) noexcept {
  // 0x76 carries 10 and more into the top bit; masked first, so that no byte carries into the next.
  const std::uint64_t above_nine = (values & 0x7F7F'7F7F'7F7F'7F7F) + 0x7676'7676'7676'7676;
  return (above_nine | values) & 0x8080'8080'8080'8080;
}

// Eight digit values, the most significant in the lowest byte, as one number: neighbours are joined to pairs,
// pairs to fours, fours to eight, each by one multiplication.
constexpr std::uint64_t join_eight(std::uint64_t values) noexcept {
  const std::uint64_t pairs = (values * ((10u << 8) + 1) >> 8) & 0x00FF'00FF'00FF'00FF;
  const std::uint64_t fours = (pairs * ((100ull << 16) + 1) >> 16) & 0x0000'FFFF'0000'FFFF;
  return fours * ((10'000ull << 32) + 1) >> 32;
}

}  // namespace detail

// Reads a decimal number that begins at `text` and ends before the first character that can't belong to it;
// `end` receives that place. The caller knows that such a character comes (a closing quote, a NUL) and checks
// which it is. Exponent form (1e-5) is Bad here. Range of exponent: kMinExponent..kMaxExponent. The smallest
// int64 is Overflow: a mantissa is symmetric.
constexpr NumberStatus parse_decimal(const char* text, int exponent, std::int64_t& mantissa,
                                     const char*& end) noexcept {
  const bool negative = *text == '-';
  if (negative) ++text;
  const char* const integer_begin = text;
  std::uint64_t value = 0;
  bool fits = true;
  bool exact = true;
  for (; detail::is_digit(*text); ++text) fits = fits && detail::append_digit(value, *text);
  end = text;
  if (text == integer_begin) return NumberStatus::Bad;
  if (exponent > 0) [[unlikely]] {
    // The last digits in front of the point are below the exponent: they must be zero and count for nothing,
    // so 10^19 fits at exponent 1 though it does not fit int64 itself.
    const auto digits = static_cast<int>(text - integer_begin);
    const char* const kept_end = digits > exponent ? text - exponent : integer_begin;
    value = 0;
    fits = true;
    for (const char* at = integer_begin; at < kept_end; ++at) fits = fits && detail::append_digit(value, *at);
    for (const char* at = kept_end; at < text; ++at) exact = exact && *at == '0';
  }

  int wanted = exponent < 0 ? -exponent : 0;  // digits still wanted behind the point
  if (*text == '.') {
    const char* const fraction_begin = ++text;
    for (; detail::is_digit(*text); ++text) {
      if (wanted > 0) {
        fits = fits && detail::append_digit(value, *text);
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

// The same for text inside a frame, with 24 readable bytes from `text` on (core::kFramePadding gives them).
// Most numbers of a venue with a fixed count of decimals take two steps of eight characters here instead of
// one a character.
inline NumberStatus parse_decimal_in_frame(const char* text, int exponent, std::int64_t& mantissa,
                                           const char*& end) noexcept {
  if constexpr (std::endian::native == std::endian::little) {
    constexpr int kDecimals = 8;
    const std::uint64_t whole = detail::load_eight(text) ^ detail::kEightZeros;
    const std::uint64_t others = detail::non_digits(whole);
    const int digits = std::countr_zero(others) / 8;  // in front of the point; 8 where there is none so soon
    if (exponent == -kDecimals && digits >= 1 && digits < 8 && text[digits] == '.') {
      const std::uint64_t fraction = detail::load_eight(text + digits + 1) ^ detail::kEightZeros;
      const char* const behind = text + digits + 1 + kDecimals;
      if (detail::non_digits(fraction) == 0 && !detail::is_digit(*behind)) {
        end = behind;
        // Fewer than 16 digits: nothing overflows. The shift puts zeros in front of the whole part.
        mantissa = static_cast<std::int64_t>(detail::join_eight(whole << (64 - 8 * digits)) * 100'000'000 +
                                             detail::join_eight(fraction));
        return NumberStatus::Ok;
      }
    }
  }
  return parse_decimal(text, exponent, mantissa, end);
}

// The same for a whole string: anything behind the number is Bad. `mantissa` is written on Ok alone. Set-up
// code.
NumberStatus parse_decimal(std::string_view text, int exponent, std::int64_t& mantissa);

// The largest exponent that holds `text` exactly, with trailing zeros ignored: "0.01000000" -> -2, "0.5" ->
// -1, "100" -> 2. Zero gives `zero_exponent`. Bad for what is not a decimal number.
NumberStatus exponent_of(std::string_view text, int zero_exponent, int& exponent);

}  // namespace mdp::core
