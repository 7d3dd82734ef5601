#include "mdp/core/level_scanner.hpp"

#include <algorithm>
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
  if (status != NumberStatus::Ok) return to_parse_status(status);
  at = number_end + 1;
  return ParseStatus::Ok;
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

// Where the text of levels that were read ends, and where the last of them does.
struct Scanned {
  const char* at;
  PriceLevel* next;
};

// Reads the levels from `at` on that are `["61837.63000000","3.78826000"]` at kQuickExponent, as the venues
// write nearly all of them, with nothing but a comma between them, into the places from `level` to `stop`.
// Where there is none, both ends are what was given. Up to kFramePadding bytes behind `end` are read and mean
// nothing.
[[gnu::always_inline]] inline Scanned scan_quick_levels(const char* at, const char* end, PriceLevel* level,
                                                        const PriceLevel* stop) noexcept {
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
  return {at, level};
}

// An array of levels: `scan_many(at, level, stop)` reads what it can, and what stops it is read in the
// general way.
template <class ScanMany>
[[gnu::always_inline]] inline ParseStatus scan_array(const char*& at, const char* end,
                                                     const Instrument& instrument, LevelWriter& writer,
                                                     ScanMany scan_many) noexcept {
  if (!consume(at, end, '[')) return ParseStatus::MalformedFrame;
  if (consume(at, end, ']')) return ParseStatus::Ok;
  do {
    PriceLevel* const first = writer.room();
    Scanned read = scan_many(at, first, writer.room_end());
    at = read.at;
    if (read.next == first) {
      const ParseStatus status = scan_level(at, end, instrument, *read.next++);
      if (status != ParseStatus::Ok) return status;
    }
    writer.wrote(read.next);
  } while (consume(at, end, ','));
  return consume(at, end, ']') ? ParseStatus::Ok : ParseStatus::MalformedFrame;
}

// At other exponents. Where both are coarser than kQuickExponent, the quick mantissas are cut, if all they
// lose is zeros. Not inlined, so that the usual exponents do not pay for it.
[[gnu::noinline]] ParseStatus scan_levels_at(const char*& at, const char* end, const Instrument& instrument,
                                             LevelWriter& writer) noexcept {
  const auto is_coarser = [](int exponent) {
    return exponent >= kQuickExponent && exponent <= kQuickExponent + kMaxExponent;
  };
  bool coarser = is_coarser(instrument.price_exponent) && is_coarser(instrument.quantity_exponent);
  const auto unit_of = [coarser](int exponent) {
    return coarser ? kPowersOfTen[static_cast<std::size_t>(exponent - kQuickExponent)] : 1;
  };
  const std::int64_t price_unit = unit_of(instrument.price_exponent);
  const std::int64_t quantity_unit = unit_of(instrument.quantity_exponent);
  return scan_array(at, end, instrument, writer, [&](const char* from, PriceLevel* first, PriceLevel* stop) {
    if (!coarser) return Scanned{from, first};
    const Scanned read = scan_quick_levels(from, end, first, stop);
    for (PriceLevel* level = first; level != read.next; ++level) {
      if (level->price % price_unit != 0 || level->quantity % quantity_unit != 0) {
        coarser = false;  // one of these can't be held: the general reading finds which
        return Scanned{from, first};
      }
      level->price /= price_unit;
      level->quantity /= quantity_unit;
    }
    return read;
  });
}

}  // namespace

ParseStatus scan_levels(const char*& at, const char* end, const Instrument& instrument,
                        LevelWriter& writer) noexcept {
  if (instrument.price_exponent != kQuickExponent || instrument.quantity_exponent != kQuickExponent)
      [[unlikely]]
    return scan_levels_at(at, end, instrument, writer);
  return scan_array(at, end, instrument, writer, [&](const char* from, PriceLevel* first, PriceLevel* stop) {
    return scan_quick_levels(from, end, first, stop);
  });
}

ParseStatus scan_levels(std::string_view text, const Instrument& instrument, LevelWriter& writer,
                        ParseFailure& failure) noexcept {
  const char* at = text.data();
  const char* const end = at + text.size();
  ParseStatus status = scan_levels(at, end, instrument, writer);
  if (status == ParseStatus::Ok && skip_space(at, end) != end) status = ParseStatus::MalformedFrame;
  if (status == ParseStatus::Ok) return status;
  failure = {};
  failure.symbol = instrument.symbol_id;
  if (status == ParseStatus::InexactNumber || status == ParseStatus::NumberOverflow) {
    // A price stands behind the bracket of its level, a quantity behind a comma.
    const char* before = at - 2;
    while (*before != '[' && *before != ',') --before;
    const int exponent = *before == '[' ? instrument.price_exponent : instrument.quantity_exponent;
    failure.set_number({at, std::find(at, end, '"')}, exponent);
  }
  return status;
}

namespace {

constexpr bool ends_a_number(char c) noexcept {
  return c == ',' || c == ']' || c == '}' || c == ' ' || c == '\n' || c == '\t' || c == '\r';
}

// Reads levels of one shape. Every method leaves `at` behind what it has read; on an error it is anywhere.
struct ShapeScanner {
  const char* at;
  const char* const end;
  const LevelShape& shape;
  const Instrument& instrument;
  ParseFailure& failure;

  ParseStatus levels(LevelWriter& writer) noexcept {
    if (!consume(at, end, '[')) return ParseStatus::MalformedFrame;
    if (!consume(at, end, ']')) {
      const bool are_objects = !shape.price_key.empty();
      do {
        PriceLevel read{};
        const ParseStatus status = are_objects ? object(read) : array(read);
        if (status != ParseStatus::Ok) return status;
        if (read.price <= 0 || read.quantity < 0) return ParseStatus::BadNumber;
        writer.add(read);
      } while (consume(at, end, ','));
      if (!consume(at, end, ']')) return ParseStatus::MalformedFrame;
    }
    return skip_space(at, end) == end ? ParseStatus::Ok : ParseStatus::MalformedFrame;
  }

 private:
  ParseStatus array(PriceLevel& level) noexcept {
    if (!consume(at, end, '[')) return ParseStatus::MalformedFrame;
    unsigned place = 0;
    do {
      ParseStatus status = ParseStatus::Ok;
      if (place == shape.price_at) {
        status = number(instrument.price_exponent, level.price);
      } else if (place == shape.quantity_at) {
        status = number(instrument.quantity_exponent, level.quantity);
      } else if (!pass_over()) {
        status = ParseStatus::MalformedFrame;
      }
      if (status != ParseStatus::Ok) return status;
      ++place;
    } while (consume(at, end, ','));
    const bool has_both = place > shape.price_at && place > shape.quantity_at;
    return has_both && consume(at, end, ']') ? ParseStatus::Ok : ParseStatus::MalformedFrame;
  }

  ParseStatus object(PriceLevel& level) noexcept {
    if (!consume(at, end, '{')) return ParseStatus::MalformedFrame;
    int prices = 0, quantities = 0;
    do {
      std::string_view key;
      if (!string(key) || !consume(at, end, ':')) return ParseStatus::MalformedFrame;
      ParseStatus status = ParseStatus::Ok;
      if (key == shape.price_key) {
        ++prices;
        status = number(instrument.price_exponent, level.price);
      } else if (key == shape.quantity_key) {
        ++quantities;
        status = number(instrument.quantity_exponent, level.quantity);
      } else if (!pass_over()) {
        status = ParseStatus::MalformedFrame;
      }
      if (status != ParseStatus::Ok) return status;
    } while (consume(at, end, ','));
    const bool has_both = prices == 1 && quantities == 1;
    return has_both && consume(at, end, '}') ? ParseStatus::Ok : ParseStatus::MalformedFrame;
  }

  // `"123.45"` or `123.45`.
  ParseStatus number(int exponent, std::int64_t& value) noexcept {
    at = skip_space(at, end);
    if (at >= end) return ParseStatus::MalformedFrame;
    const bool is_quoted = *at == '"';
    const char* const text = at + (is_quoted ? 1 : 0);
    const ParseStatus status =
        is_quoted ? scan_quoted(at, end, exponent, value) : plain_number(exponent, value);
    if (status == ParseStatus::InexactNumber || status == ParseStatus::NumberOverflow) {
      const auto is_end = [is_quoted](char c) { return is_quoted ? c == '"' : ends_a_number(c); };
      failure.set_number({text, std::find_if(text, end, is_end)}, exponent);
    }
    return status;
  }

  // Of JSON: without a zero in front of another digit. MalformedFrame: no number begins here. `at` ends up
  // behind it unless it is a BadNumber.
  ParseStatus plain_number(int exponent, std::int64_t& value) noexcept {
    const char* const digits = at + (*at == '-' ? 1 : 0);
    if (digits >= end || !detail::is_digit(*digits)) return ParseStatus::MalformedFrame;
    const char* number_end = nullptr;
    const NumberStatus status = parse_decimal(at, exponent, value, number_end);
    if (number_end >= end || !ends_a_number(*number_end)) return ParseStatus::BadNumber;
    if (*digits == '0' && detail::is_digit(digits[1])) return ParseStatus::BadNumber;
    at = number_end;
    return to_parse_status(status);
  }

  // A string as it stands between its quotes. A key that is written with escapes is none that a shape names.
  bool string(std::string_view& text) noexcept {
    if (!consume(at, end, '"')) return false;
    const char* const begin = at;
    for (; at < end && *at != '"'; ++at) {
      if (static_cast<unsigned char>(*at) < ' ') return false;
      if (*at == '\\' && ++at == end) return false;
    }
    if (at >= end) return false;
    text = {begin, at};
    ++at;
    return true;
  }

  // A string, a number, true, false or null.
  bool pass_over() noexcept {
    at = skip_space(at, end);
    if (at >= end) return false;
    std::string_view ignored;
    if (*at == '"') return string(ignored);
    for (const std::string_view word : {"true", "false", "null"}) {
      if (!std::string_view(at, end).starts_with(word)) continue;
      at += word.size();
      return true;
    }
    std::int64_t value = 0;
    const ParseStatus status = plain_number(0, value);  // one that cannot be held is a number
    return status != ParseStatus::MalformedFrame && status != ParseStatus::BadNumber;
  }
};

}  // namespace

ParseStatus scan_levels(std::string_view text, const LevelShape& shape, const Instrument& instrument,
                        LevelWriter& writer, ParseFailure& failure) noexcept {
  ParseFailure found;
  found.symbol = instrument.symbol_id;
  ShapeScanner scanner{text.data(), text.data() + text.size(), shape, instrument, found};
  const ParseStatus status = scanner.levels(writer);
  if (status != ParseStatus::Ok) failure = found;
  return status;
}

}  // namespace mdp::core
