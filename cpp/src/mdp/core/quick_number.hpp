// Numbers of the usual shape in a handful of instructions and without a branch on how many digits they have.
//
// Used by the parsers on the message path, who read what is not of that shape in the general way. The length
// of a price or an id is what a branch predictor can't learn, and a misprediction costs more than the
// arithmetic.
#pragma once

#include <bit>
#include <cstdint>
#include <cstring>
#ifdef __SSE4_1__
#include <smmintrin.h>
#endif

namespace mdp::core {

inline constexpr int kQuickExponent = -8;

// A bit for each right count of characters from the point on: none, or the point and one to eight digits.
inline constexpr std::uint32_t kQuickFractions = 0b11'1111'1101;

namespace detail {

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

// The two functions below for processors without SSE4.1, in words of eight bytes.
inline bool quick_decimal_by_words(const char* text, std::int64_t& mantissa, unsigned& length) noexcept {
  if constexpr (std::endian::native != std::endian::little) return false;
  const std::uint64_t whole = load_eight(text) ^ kEightZeros;
  const auto digits = static_cast<unsigned>(std::countr_zero(non_digits(whole))) / 8;
  if (digits < 1 || digits > 7) return false;
  std::uint64_t value = join_eight(whole << (64 - 8 * digits)) * 100'000'000;
  length = digits;
  if (text[digits] == '.') {
    const std::uint64_t fraction = load_eight(text + digits + 1) ^ kEightZeros;
    const auto decimals = static_cast<unsigned>(std::countr_zero(non_digits(fraction))) / 8;
    if (decimals == 0) return false;
    // What lies behind the digits is put to zero: so many more decimals.
    value += join_eight(decimals == 8 ? fraction : fraction & ((1ull << (8 * decimals)) - 1));
    length = digits + 1 + decimals;
  }
  mantissa = static_cast<std::int64_t>(value);
  return text[length] == '"' && length < 16;
}

inline bool quick_integer_by_words(const char* text, std::uint64_t& value, unsigned& length) noexcept {
  value = 0;
  for (length = 0; length < 16 && text[length] >= '0' && text[length] <= '9'; ++length) {
    value = value * 10 + static_cast<std::uint64_t>(text[length] - '0');
  }
  return length > 0 && length < 16 && (length == 1 || text[0] != '0');
}

#ifdef __SSE4_1__
inline __m128i load_sixteen(const void* from) noexcept {
  return _mm_loadu_si128(static_cast<const __m128i*>(from));
}

// Sixteen digit values as four numbers of four digits, 32 bits each.
inline __m128i join_fours(__m128i values) noexcept {
  const __m128i pairs = _mm_maddubs_epi16(values, _mm_set1_epi16(0x010A));  // 10, 1
  return _mm_madd_epi16(pairs, _mm_set1_epi32(0x0001'0064));                // 100, 1
}

// Two times four numbers of four digits as two numbers of sixteen digits.
inline __m128i join_two(__m128i first, __m128i second) noexcept {
  const __m128i packed = _mm_packus_epi32(first, second);
  const __m128i eights = _mm_madd_epi16(packed, _mm_set1_epi32(0x0001'2710));  // 10,000, 1
  const __m128i upper = _mm_mul_epu32(eights, _mm_set1_epi64x(100'000'000));
  return _mm_add_epi64(upper, _mm_srli_epi64(eights, 32));
}

// Not zero where a digit value is above 9.
inline __m128i above_nine(__m128i values) noexcept { return _mm_subs_epu8(values, _mm_set1_epi8(9)); }

// The number of the lowest bit of sixteen, 16 where none is set.
inline unsigned first_of(int bits) noexcept {
  return static_cast<unsigned>(std::countr_zero(static_cast<unsigned>(bits) | 0x10000u));  // never of zero
}

// Row n puts the n digits in front of the point at the end of the first eight bytes, and what is behind the
// point into the last eight. 128 gives a zero.
struct PointShuffles {
  alignas(16) std::uint8_t rows[9][16];
};
inline constexpr PointShuffles kPointShuffles = [] {
  PointShuffles shuffles{};
  for (int whole = 0; whole <= 8; ++whole) {
    for (int i = 0; i < 8; ++i) {
      const int from = whole - 8 + i;
      shuffles.rows[whole][i] = static_cast<std::uint8_t>(from < 0 ? 128 : from);
      shuffles.rows[whole][8 + i] = static_cast<std::uint8_t>(whole + 1 + i < 16 ? whole + 1 + i : 128);
    }
  }
  return shuffles;
}();

// From byte 16 - n on: a mask of the first n bytes.
inline constexpr std::uint8_t kFirstBytes[32] = {255, 255, 255, 255, 255, 255, 255, 255,
                                                 255, 255, 255, 255, 255, 255, 255, 255};
// From byte n on: a shuffle that puts the first n bytes last and zeros in front of them.
inline constexpr std::uint8_t kToTheEnd[32] = {128, 128, 128, 128, 128, 128, 128, 128, 128, 128, 128,
                                               128, 128, 128, 128, 128, 0,   1,   2,   3,   4,   5,
                                               6,   7,   8,   9,   10,  11,  12,  13,  14,  15};

// The digits of a decimal, eight in front of the point and eight behind it, as values: not yet seen to be
// digits. False: no quote within 16 characters, or the point is not where it may be.
inline bool spread_decimal(const char* text, __m128i& values, unsigned& length) noexcept {
  const __m128i characters = load_sixteen(text);
  const int quotes = _mm_movemask_epi8(_mm_cmpeq_epi8(characters, _mm_set1_epi8('"')));
  const int points = _mm_movemask_epi8(_mm_cmpeq_epi8(characters, _mm_set1_epi8('.')));
  length = first_of(quotes);
  const unsigned whole = first_of(quotes | points);
  if (whole - 1 >= 8 || (kQuickFractions >> (length - whole) & 1) == 0 || length == 16) return false;
  const __m128i kept =
      _mm_and_si128(_mm_sub_epi8(characters, _mm_set1_epi8('0')), load_sixteen(kFirstBytes + 16 - length));
  values = _mm_shuffle_epi8(kept, load_sixteen(kPointShuffles.rows[whole]));
  return true;
}

inline bool quick_decimal_by_sixteen(const char* text, std::int64_t& mantissa, unsigned& length) noexcept {
  __m128i values;
  if (!spread_decimal(text, values, length)) return false;
  const __m128i fours = join_fours(values);
  mantissa = _mm_cvtsi128_si64(join_two(fours, fours));
  const __m128i wrong = above_nine(values);
  return _mm_testz_si128(wrong, wrong) != 0;
}

inline bool quick_integer_by_sixteen(const char* text, std::uint64_t& value, unsigned& length) noexcept {
  const __m128i values = _mm_sub_epi8(load_sixteen(text), _mm_set1_epi8('0'));
  const __m128i nine = _mm_set1_epi8(9);
  const int digits = _mm_movemask_epi8(_mm_cmpeq_epi8(_mm_max_epu8(values, nine), nine));
  length = first_of(~digits & 0xFFFF);
  if (length - 1 >= 15 || (length > 1 && text[0] == '0')) return false;
  const __m128i fours = join_fours(_mm_shuffle_epi8(values, load_sixteen(kToTheEnd + length)));
  value = static_cast<std::uint64_t>(_mm_cvtsi128_si64(join_two(fours, fours)));
  return true;
}
#endif

}  // namespace detail

// Reads a decimal of one to eight digits (seven without SSE4.1) in front of a point and none or one to eight
// behind it, at most 15 characters and then a closing quote, into a mantissa at kQuickExponent; `length` is
// its number of characters. False: something else stands there, or a longer number; both results are then
// meaningless. 24 bytes from `text` on are readable.
inline bool quick_decimal(const char* text, std::int64_t& mantissa, unsigned& length) noexcept {
#ifdef __SSE4_1__
  return detail::quick_decimal_by_sixteen(text, mantissa, length);
#else
  return detail::quick_decimal_by_words(text, mantissa, length);
#endif
}

// Reads `123.45","67.8"`: two decimals as quick_decimal() reads them, their mantissas into numbers[0] and
// numbers[1]. `length` is up to the last quote. False: something else stands there, and what is in the
// results means nothing. 42 bytes from `text` on are readable.
inline bool quick_decimal_pair(const char* text, std::int64_t* numbers, unsigned& length) noexcept {
  unsigned first_length = 0;
  unsigned second_length = 0;
#ifdef __SSE4_1__
  __m128i first;
  __m128i second;
  if (!detail::spread_decimal(text, first, first_length)) return false;
  const char* const middle = text + first_length;
  if (std::memcmp(middle, "\",\"", 3) != 0 || !detail::spread_decimal(middle + 3, second, second_length)) {
    return false;
  }
  const __m128i wrong = _mm_or_si128(detail::above_nine(first), detail::above_nine(second));
  if (_mm_testz_si128(wrong, wrong) == 0) return false;
  const __m128i both = detail::join_two(detail::join_fours(first), detail::join_fours(second));
  std::memcpy(numbers, &both, sizeof(both));
#else
  if (!quick_decimal(text, numbers[0], first_length)) return false;
  const char* const middle = text + first_length;
  if (std::memcmp(middle, "\",\"", 3) != 0 || !quick_decimal(middle + 3, numbers[1], second_length)) {
    return false;
  }
#endif
  length = first_length + 3 + second_length;
  return true;
}

// Reads an integer of one to 15 digits, as JSON writes it: without a zero in front. The caller looks at what
// stands behind it. False: none, or a longer one; both results are then meaningless. 16 bytes from `text` on
// are readable.
inline bool quick_integer(const char* text, std::uint64_t& value, unsigned& length) noexcept {
#ifdef __SSE4_1__
  return detail::quick_integer_by_sixteen(text, value, length);
#else
  return detail::quick_integer_by_words(text, value, length);
#endif
}

}  // namespace mdp::core
