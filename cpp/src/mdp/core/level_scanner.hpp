// scan_levels: reads `[["61837.63000000","3.78826000"],...]`, the form many venues send book levels in.
//
// A strict scanner over the text of one JSON array: each level is exactly two decimal strings, price above
// zero, quantity not negative; anything else is an error, never a wrong number. White space is allowed where
// JSON allows it.
#pragma once

#include <string_view>

#include "mdp/core/fixed_point.hpp"
#include "mdp/core/instrument.hpp"
#include "mdp/core/level_writer.hpp"
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

// Adds every level of the array that begins at `at` to `writer`; `at` ends up behind its closing bracket, on
// InexactNumber and NumberOverflow at that number, on another error anywhere. Digits are read up to the first character that is none, so one must come: before `end` (the
// `]` of a whole array), or in memory readable behind it. kFramePadding bytes behind `end` are readable, as in
// every frame. A number that runs out of the text is an error.
ParseStatus scan_levels(const char*& at, const char* end, const Instrument& instrument,
                        LevelWriter& writer) noexcept;

// The same for `text` that is to be such an array and nothing else. `failure` is written on an error status alone.
ParseStatus scan_levels(std::string_view text, const Instrument& instrument, LevelWriter& writer,
                        ParseFailure& failure) noexcept;

}  // namespace mdp::core
