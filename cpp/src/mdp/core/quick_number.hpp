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

// The functions below for processors without SSE4.1, in words of eight bytes.
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

inline bool quick_decimal_pair_by_words(const char* text, std::int64_t* numbers, unsigned& length) noexcept {
  unsigned first_length = 0;
  unsigned second_length = 0;
  if (!quick_decimal_by_words(text, numbers[0], first_length)) return false;
  const char* const middle = text + first_length;
  if (std::memcmp(middle, "\",\"", 3) != 0 ||
      !quick_decimal_by_words(middle + 3, numbers[1], second_length)) {
    return false;
  }
  length = first_length + 3 + second_length;
  return true;
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

// From byte n on: a shuffle that puts the first n bytes last and zeros in front of them.
inline constexpr std::uint8_t kToTheEnd[32] = {128, 128, 128, 128, 128, 128, 128, 128, 128, 128, 128,
                                               128, 128, 128, 128, 128, 0,   1,   2,   3,   4,   5,
                                               6,   7,   8,   9,   10,  11,  12,  13,  14,  15};

// Where the digits of a decimal go, by `whole`, its digits in front of the point, and `rest`, its characters
// from the point on: the former to the end of the first eight bytes, those behind the point to the beginning
// of the last eight. 128 gives a zero. A row that can't be (none in front of the point or none behind it,
// more than sixteen characters) takes the character at `whole`, which is no digit, and so shows as an error.
inline constexpr unsigned kMostWhole = 8;
inline constexpr unsigned kMostRest = 9;
struct DecimalShuffles {
  alignas(16) std::uint8_t rows[kMostWhole + 1][16][16];  // 16 for 10: the row is found by shifts
};
inline constexpr DecimalShuffles kDecimalShuffles = [] {
  DecimalShuffles shuffles{};
  for (unsigned whole = 0; whole <= kMostWhole; ++whole) {
    for (unsigned rest = 0; rest < 16; ++rest) {
      const bool possible = whole != 0 && rest != 1 && rest <= kMostRest && whole + rest <= 16;
      for (unsigned i = 0; i < 8; ++i) {
        const bool in_front = i + whole >= 8;
        const bool behind = i + 1 < rest;
        shuffles.rows[whole][rest][i] = static_cast<std::uint8_t>(!possible  ? whole
                                                                  : in_front ? i + whole - 8
                                                                             : 128);
        shuffles.rows[whole][rest][8 + i] =
            static_cast<std::uint8_t>(possible && behind ? whole + 1 + i : 128);
      }
    }
  }
  return shuffles;
}();

// The digits of a decimal of that shape as values, eight in front of the point and eight behind it: not yet
// seen to be digits.
inline __m128i spread_decimal(const char* text, unsigned whole, unsigned rest) noexcept {
  const __m128i values = _mm_sub_epi8(load_sixteen(text), _mm_set1_epi8('0'));
  return _mm_shuffle_epi8(values, load_sixteen(kDecimalShuffles.rows[whole][rest]));
}
inline bool may_be_decimal(unsigned whole, unsigned rest) noexcept {
  return whole <= kMostWhole && rest <= kMostRest;
}

// A bit for every character that is `wanted`.
inline unsigned places_of(char wanted, __m128i characters) noexcept {
  return static_cast<unsigned>(_mm_movemask_epi8(_mm_cmpeq_epi8(characters, _mm_set1_epi8(wanted))));
}
inline unsigned first_of(std::uint64_t bits) noexcept {
  return static_cast<unsigned>(std::countr_zero(bits));
}

inline bool quick_decimal_by_sixteen(const char* text, std::int64_t& mantissa, unsigned& length) noexcept {
  const __m128i characters = load_sixteen(text);
  const unsigned quotes = places_of('"', characters) | 1u << 16;
  length = first_of(quotes);
  const unsigned whole = first_of(quotes | places_of('.', characters));
  if (!may_be_decimal(whole, length - whole) || length == 16) return false;
  const __m128i values = spread_decimal(text, whole, length - whole);
  const __m128i fours = join_fours(values);
  mantissa = _mm_cvtsi128_si64(join_two(fours, fours));
  const __m128i wrong = above_nine(values);
  return _mm_testz_si128(wrong, wrong) != 0;
}

// Both numbers from one look for quotes and points in the first 32 characters. What would be a quote behind
// them is taken for one here, and looked at like every other: by the comparison with `","` and by the caller.
inline bool quick_decimal_pair_by_sixteen(const char* text, std::int64_t* numbers,
                                          unsigned& length) noexcept {
  const __m128i begin = load_sixteen(text);
  const __m128i end = load_sixteen(text + 16);
  const std::uint64_t quotes = ~0ull << 32 | places_of('"', end) << 16 | places_of('"', begin);
  const std::uint64_t stops = quotes | places_of('.', end) << 16 | places_of('.', begin);
  const unsigned first_length = first_of(quotes);
  const unsigned first_whole = first_of(stops);
  if (!may_be_decimal(first_whole, first_length - first_whole) ||
      std::memcmp(text + first_length, "\",\"", 3) != 0) {
    return false;
  }
  const unsigned second = first_length + 3;
  const unsigned second_length = first_of(quotes >> second);
  const unsigned second_whole = first_of(stops >> second);
  if (!may_be_decimal(second_whole, second_length - second_whole)) return false;
  const __m128i price = spread_decimal(text, first_whole, first_length - first_whole);
  const __m128i quantity = spread_decimal(text + second, second_whole, second_length - second_whole);
  const __m128i wrong = _mm_or_si128(above_nine(price), above_nine(quantity));
  if (_mm_testz_si128(wrong, wrong) == 0) return false;
  const __m128i both = join_two(join_fours(price), join_fours(quantity));
  std::memcpy(numbers, &both, sizeof(both));
  length = second + second_length;
  return true;
}

inline bool quick_integer_by_sixteen(const char* text, std::uint64_t& value, unsigned& length) noexcept {
  const __m128i values = _mm_sub_epi8(load_sixteen(text), _mm_set1_epi8('0'));
  const __m128i nine = _mm_set1_epi8(9);
  const int digits = _mm_movemask_epi8(_mm_cmpeq_epi8(_mm_max_epu8(values, nine), nine));
  length = first_of(~static_cast<unsigned>(digits) | 1u << 16);
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

// Reads `123.45","67.8`: two decimals as quick_decimal() reads them, or with 16 characters, their mantissas
// into numbers[0] and numbers[1]. The caller looks for the quote behind them, at text[length]. False:
// something else stands there, and what is in the results means nothing. 42 bytes from `text` on are
// readable.
inline bool quick_decimal_pair(const char* text, std::int64_t* numbers, unsigned& length) noexcept {
#ifdef __SSE4_1__
  return detail::quick_decimal_pair_by_sixteen(text, numbers, length);
#else
  return detail::quick_decimal_pair_by_words(text, numbers, length);
#endif
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
