// scan_levels: reads the levels of a book from the text of one JSON array, whichever shape a venue writes
// them in.
//
// Most venues send `[["61837.63000000","3.78826000"],...]`, and that is read many levels at a time. All other
// shapes are told by a LevelShape. The scanner is strict in both: a price is above zero, a quantity not
// negative, and what is not exactly of the shape is an error, never a wrong number. White space is allowed
// where JSON allows it.
#pragma once

#include <cstdint>
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

// Each level is exactly two decimal strings. Adds every level of the array that begins at `at` to `writer`;
// `at` ends up behind its closing bracket, on InexactNumber and NumberOverflow at that number, on another
// error anywhere. Digits are read up to the first character that is none, so one must come: before `end` (the
// `]` of a whole array), or in memory readable behind it. kFramePadding bytes behind `end` are readable, as
// in every frame. A number that runs out of the text is an error.
ParseStatus scan_levels(const char*& at, const char* end, const Instrument& instrument,
                        LevelWriter& writer) noexcept;

// The same for `text` that is to be such an array and nothing else. `failure` is written on an error status
// alone.
ParseStatus scan_levels(std::string_view text, const Instrument& instrument, LevelWriter& writer,
                        ParseFailure& failure) noexcept;

// Where a level has its price and its quantity. Each may be a string or a JSON number, also with a power of
// ten. The other parts of a level are passed over; they may be of any type that holds no other values.
struct LevelShape {
  // Of a level that is an array: the places, counted from 0. `["change",45283.5,10.0]` has them at 1 and 2.
  std::uint8_t price_at = 0;
  std::uint8_t quantity_at = 1;
  // Of a level that is an object: the keys. `{"px":"45283.5","sz":"10","n":3}` has them under "px" and "sz",
  // each of which must be there once. Both are empty where levels are arrays.
  std::string_view price_key{};
  std::string_view quantity_key{};
};

// The same for levels of a given shape: `text` is one such array and nothing else. kFramePadding bytes behind
// it are readable, and one of them is no digit.
ParseStatus scan_levels(std::string_view text, const LevelShape& shape, const Instrument& instrument,
                        LevelWriter& writer, ParseFailure& failure) noexcept;

}  // namespace mdp::core
