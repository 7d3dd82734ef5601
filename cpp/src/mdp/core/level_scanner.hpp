// scan_levels: reads `[["61837.63000000","3.78826000"],...]`, the form many venues send book levels in.
//
// A strict scanner over the text of one JSON array: each level is exactly two decimal strings, price above
// zero, quantity not negative; anything else is an error, never a wrong number. White space is allowed where
// JSON allows it.
#pragma once

#include <cstdint>
#include <cstring>
#include <string_view>

#include "mdp/core/fixed_point.hpp"
#include "mdp/core/instrument.hpp"
#include "mdp/core/parser.hpp"

namespace mdp::core {

constexpr ParseStatus to_parse_status(NumberStatus status) noexcept {
  switch (status) {
    case NumberStatus::Ok:
      return ParseStatus::Ok;
    case NumberStatus::Bad:
      return ParseStatus::BadNumber;
    case NumberStatus::Inexact:
      return ParseStatus::InexactNumber;
    case NumberStatus::Overflow:
      return ParseStatus::NumberOverflow;
  }
  return ParseStatus::MalformedFrame;
}

namespace detail {

// The character at `at` after white space. `end` is readable: a frame has padding behind it.
constexpr const char* skip_space(const char* at, const char* end) noexcept {
  while (at < end && (*at == ' ' || *at == '\n' || *at == '\t' || *at == '\r')) ++at;
  return at;
}

// Consumes `wanted` after optional white space.
constexpr bool consume(const char*& at, const char* end, char wanted) noexcept {
  if (at < end && *at == wanted) [[likely]] {
    ++at;
    return true;
  }
  at = skip_space(at, end);
  if (at == end || *at != wanted) return false;
  ++at;
  return true;
}

// `"123.45"`; the digits end at the closing quote or it is not a number.
inline ParseStatus scan_quoted(const char*& at, const char* end, int exponent, std::int64_t& value) noexcept {
  if (!consume(at, end, '"')) return ParseStatus::MalformedFrame;
  const char* number_end = nullptr;
  const NumberStatus status = parse_decimal_in_frame(at, exponent, value, number_end);
  if (number_end >= end || *number_end != '"') return ParseStatus::BadNumber;
  at = number_end + 1;
  return to_parse_status(status);
}

// One level, `["61837.63000000","3.78826000"]` at kQuickExponent, as the venues write nearly all of them.
// False, and nothing is read: it is something else, or wrong. Up to kFramePadding bytes behind `end` are read
// and mean nothing.
inline bool scan_quick_level(const char*& at, const char* end, PriceLevel& level) noexcept {
  std::int64_t numbers[2];
  unsigned length = 0;
  if (std::memcmp(at, "[\"", 2) != 0 || !quick_decimal_pair(at + 2, numbers, length)) return false;
  const char* const closing = at + 2 + length;  // `"]`
  if (closing[1] != ']' || closing + 2 > end || numbers[0] == 0) return false;
  level = {numbers[0], numbers[1]};
  at = closing + 2;
  return true;
}

// One level of any shape. Not inlined: its registers would be saved for every level of the usual one.
[[gnu::noinline]] inline ParseStatus scan_level(const char*& at, const char* end,
                                                const Instrument& instrument, PriceLevel& level) noexcept {
  if (!consume(at, end, '[')) return ParseStatus::MalformedFrame;
  ParseStatus status = scan_quoted(at, end, instrument.price_exponent, level.price);
  if (status != ParseStatus::Ok) return status;
  if (!consume(at, end, ',')) return ParseStatus::MalformedFrame;
  status = scan_quoted(at, end, instrument.quantity_exponent, level.quantity);
  if (status != ParseStatus::Ok) return status;
  if (!consume(at, end, ']')) return ParseStatus::MalformedFrame;
  return level.price <= 0 || level.quantity < 0 ? ParseStatus::BadNumber : ParseStatus::Ok;
}

}  // namespace detail

// Calls `add(PriceLevel)` for every level of the array `text`, whose first character is `[`. Digits are read
// up to the first character that is none, so one must come: at the end of `text` at the latest (the `]` of a
// whole array), or in memory readable behind it. kFramePadding bytes behind `text` are readable, as in every
// frame. A number that runs out of `text` is an error.
template <class Add>
ParseStatus scan_levels(std::string_view text, const Instrument& instrument, Add&& add) noexcept {
  const char* at = text.data();
  const char* const end = at + text.size();
  const bool quick =
      instrument.price_exponent == kQuickExponent && instrument.quantity_exponent == kQuickExponent;
  if (!detail::consume(at, end, '[')) return ParseStatus::MalformedFrame;
  if (!detail::consume(at, end, ']')) {
    do {
      PriceLevel level{};
      if (!quick || !detail::scan_quick_level(at, end, level)) [[unlikely]] {
        // Copies: what a function takes by reference can't stay in a register between the usual levels.
        const char* unusual_at = at;
        PriceLevel unusual{};
        const ParseStatus status = detail::scan_level(unusual_at, end, instrument, unusual);
        if (status != ParseStatus::Ok) return status;
        at = unusual_at;
        level = unusual;
      }
      add(level);
    } while (detail::consume(at, end, ','));
    if (!detail::consume(at, end, ']')) return ParseStatus::MalformedFrame;
  }
  return detail::skip_space(at, end) == end ? ParseStatus::Ok : ParseStatus::MalformedFrame;
}

}  // namespace mdp::core
