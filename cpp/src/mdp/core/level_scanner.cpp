#include "mdp/core/level_scanner.hpp"

#include <cstring>

#include "mdp/core/quick_number.hpp"

namespace mdp::core {
namespace {

// The character at `at` after white space. `end` is readable: a frame has padding behind it.
const char* skip_space(const char* at, const char* end) noexcept {
  while (at < end && (*at == ' ' || *at == '\n' || *at == '\t' || *at == '\r')) ++at;
  return at;
}

// Consumes `wanted` after optional white space.
bool consume(const char*& at, const char* end, char wanted) noexcept {
  if (*at <= ' ') [[unlikely]]
    at = skip_space(at, end);
  if (at >= end || *at != wanted) return false;
  ++at;
  return true;
}

// `"123.45"`; the digits end at the closing quote or it is not a number.
ParseStatus scan_quoted(const char*& at, const char* end, int exponent, std::int64_t& value) noexcept {
  if (!consume(at, end, '"')) return ParseStatus::MalformedFrame;
  const char* number_end = nullptr;
  const NumberStatus status = parse_decimal_in_frame(at, exponent, value, number_end);
  if (number_end >= end || *number_end != '"') return ParseStatus::BadNumber;
  at = number_end + 1;
  return to_parse_status(status);
}

// One level of any shape.
ParseStatus scan_level(const char*& at, const char* end, const Instrument& instrument,
                       PriceLevel& level) noexcept {
  if (!consume(at, end, '[')) return ParseStatus::MalformedFrame;
  ParseStatus status = scan_quoted(at, end, instrument.price_exponent, level.price);
  if (status != ParseStatus::Ok) return status;
  if (!consume(at, end, ',')) return ParseStatus::MalformedFrame;
  status = scan_quoted(at, end, instrument.quantity_exponent, level.quantity);
  if (status != ParseStatus::Ok) return status;
  if (!consume(at, end, ']')) return ParseStatus::MalformedFrame;
  return level.price <= 0 || level.quantity < 0 ? ParseStatus::BadNumber : ParseStatus::Ok;
}

// The levels from `at` on that are `["61837.63000000","3.78826000"]` at kQuickExponent, as the venues write
// nearly all of them, with nothing but a comma between them, into the places up to `stop`. Gives the end of the
// last one, `at` where there is none, and moves `next` behind it. Up to kFramePadding bytes behind `end` are
// read and mean nothing. Not inlined: all of its registers are for the loop.
const char* scan_quick_levels(const char* at, const char* end, PriceLevel*& next,
                              const PriceLevel* stop) noexcept {
  PriceLevel* level = next;
  const char* text = at;
  while (level != stop) {
    std::int64_t numbers[2];
    unsigned length = 0;
    if (std::memcmp(text, "[\"", 2) != 0 || !quick_decimal_pair(text + 2, numbers, length)) break;
    const char* const closing = text + 2 + length;
    if (std::memcmp(closing, "\"]", 2) != 0 || closing + 2 > end || numbers[0] == 0) break;
    *level++ = {numbers[0], numbers[1]};
    at = closing + 2;
    if (*at != ',') break;
    text = at + 1;
  }
  next = level;
  return at;
}

}  // namespace

ParseStatus scan_levels(const char*& at, const char* end, const Instrument& instrument,
                        LevelWriter& writer) noexcept {
  const bool quick =
      instrument.price_exponent == kQuickExponent && instrument.quantity_exponent == kQuickExponent;
  if (!consume(at, end, '[')) return ParseStatus::MalformedFrame;
  if (consume(at, end, ']')) return ParseStatus::Ok;
  do {
    PriceLevel* const first = writer.room();
    PriceLevel* next = first;
    if (quick) at = scan_quick_levels(at, end, next, writer.room_end());
    if (next == first) {
      const ParseStatus status = scan_level(at, end, instrument, *next++);
      if (status != ParseStatus::Ok) return status;
    }
    writer.wrote(next);
  } while (consume(at, end, ','));
  return consume(at, end, ']') ? ParseStatus::Ok : ParseStatus::MalformedFrame;
}

ParseStatus scan_levels(std::string_view text, const Instrument& instrument, LevelWriter& writer) noexcept {
  const char* at = text.data();
  const char* const end = at + text.size();
  const ParseStatus status = scan_levels(at, end, instrument, writer);
  if (status != ParseStatus::Ok) return status;
  return skip_space(at, end) == end ? ParseStatus::Ok : ParseStatus::MalformedFrame;
}

}  // namespace mdp::core
