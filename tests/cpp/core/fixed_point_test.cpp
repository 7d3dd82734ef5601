#include "mdp/core/fixed_point.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <random>
#include <string>
#include <string_view>

#include "mdp/shm/decimal.hpp"

namespace mdp::core {
namespace {

using namespace std::string_view_literals;

constexpr std::int64_t kMax = std::numeric_limits<std::int64_t>::max();
constexpr std::int64_t kMin = std::numeric_limits<std::int64_t>::min();

struct Case {
  std::string_view text;
  int exponent;
  NumberStatus status;
  std::int64_t mantissa = 0;
};

constexpr Case kCases[] = {
    // plain
    {"0"sv, 0, NumberStatus::Ok, 0},
    {"0"sv, -18, NumberStatus::Ok, 0},
    {"0"sv, 18, NumberStatus::Ok, 0},
    {"0.00000000"sv, -2, NumberStatus::Ok, 0},
    {"1"sv, 0, NumberStatus::Ok, 1},
    {"1"sv, -8, NumberStatus::Ok, 100'000'000},
    {"61837.63000000"sv, -2, NumberStatus::Ok, 6'183'763},
    {"61837.63000000"sv, -8, NumberStatus::Ok, 6'183'763'000'000},
    {"34354585.00000000"sv, -8, NumberStatus::Ok, 3'435'458'500'000'000},
    {"0.00000001"sv, -8, NumberStatus::Ok, 1},
    {"1.5"sv, -18, NumberStatus::Ok, 1'500'000'000'000'000'000},
    // sign
    {"-1"sv, 0, NumberStatus::Ok, -1},
    {"-1.25"sv, -2, NumberStatus::Ok, -125},
    {"-0"sv, 0, NumberStatus::Ok, 0},
    {"-0.00"sv, -2, NumberStatus::Ok, 0},
    {"--1"sv, 0, NumberStatus::Bad},
    {"+1"sv, 0, NumberStatus::Bad},
    {"1-"sv, 0, NumberStatus::Bad},
    // bounds: symmetric, so the smallest int64 is out
    {"9223372036854775807"sv, 0, NumberStatus::Ok, kMax},
    {"9223372036854775808"sv, 0, NumberStatus::Overflow},
    {"-9223372036854775807"sv, 0, NumberStatus::Ok, -kMax},
    {"-9223372036854775808"sv, 0, NumberStatus::Overflow},
    {"92233720368.54775807"sv, -8, NumberStatus::Ok, kMax},
    {"92233720368.54775808"sv, -8, NumberStatus::Overflow},
    {"92233720369"sv, -8, NumberStatus::Overflow},
    {"9.223372036854775807"sv, -18, NumberStatus::Ok, kMax},
    {"9.223372036854775808"sv, -18, NumberStatus::Overflow},
    {"10"sv, -18, NumberStatus::Overflow},
    // 18, 19, 20 digits
    {"999999999999999999"sv, 0, NumberStatus::Ok, 999'999'999'999'999'999},
    {"1000000000000000000"sv, 0, NumberStatus::Ok, 1'000'000'000'000'000'000},
    {"9999999999999999999"sv, 0, NumberStatus::Overflow},
    {"10000000000000000000"sv, 0, NumberStatus::Overflow},
    {"18446744073709551615"sv, 0, NumberStatus::Overflow},
    {"18446744073709551617"sv, 0, NumberStatus::Overflow},  // 2^64 + 1 must not wrap to 1
    // leading zeros, trailing zeros beyond the exponent
    {"007"sv, 0, NumberStatus::Ok, 7},
    {"0000000000000000000000000000001.5"sv, -1, NumberStatus::Ok, 15},
    {"-000.50"sv, -1, NumberStatus::Ok, -5},
    {"1.2300000000000000000000000000000000000000"sv, -2, NumberStatus::Ok, 123},
    {"9223372036854775807.0000"sv, 0, NumberStatus::Ok, kMax},
    {"1.23"sv, -1, NumberStatus::Inexact},
    {"0.000000001"sv, -8, NumberStatus::Inexact},
    {"0.00000000000000000000000000001"sv, -18, NumberStatus::Inexact},
    {"1.0000000000000000000000000000001"sv, -8, NumberStatus::Inexact},
    // positive exponents
    {"100"sv, 2, NumberStatus::Ok, 1},
    {"12300.000"sv, 2, NumberStatus::Ok, 123},
    {"-12300"sv, 2, NumberStatus::Ok, -123},
    {"12345"sv, 2, NumberStatus::Inexact},
    {"100.1"sv, 2, NumberStatus::Inexact},
    {"5"sv, 1, NumberStatus::Inexact},
    {"5"sv, 18, NumberStatus::Inexact},
    {"1000000000000000000"sv, 18, NumberStatus::Ok, 1},
    {"10000000000000000000"sv, 1, NumberStatus::Ok, 1'000'000'000'000'000'000},
    {"100000000000000000000"sv, 18, NumberStatus::Ok, 100},
    {"9223372036854775807000000000000000000"sv, 18, NumberStatus::Ok, kMax},
    {"-9223372036854775807000000000000000000"sv, 18, NumberStatus::Ok, -kMax},
    {"9223372036854775808000000000000000000"sv, 18, NumberStatus::Overflow},
    // with a power of ten: as exact as without it
    {"0E-8"sv, -8, NumberStatus::Ok, 0},
    {"0E-8"sv, 0, NumberStatus::Ok, 0},
    {"0e8"sv, 0, NumberStatus::Ok, 0},
    {"-0.00e-3"sv, -2, NumberStatus::Ok, 0},
    {"0E-999999999999"sv, -8, NumberStatus::Ok, 0},
    {"0E+999999999999"sv, -8, NumberStatus::Ok, 0},
    {"1e5"sv, 0, NumberStatus::Ok, 100'000},
    {"1E+05"sv, 0, NumberStatus::Ok, 100'000},
    {"1.5e-3"sv, -8, NumberStatus::Ok, 150'000},
    {"-1.25E1"sv, -1, NumberStatus::Ok, -125},
    {"1E-8"sv, -8, NumberStatus::Ok, 1},
    {"1E-9"sv, -8, NumberStatus::Inexact},
    {"10E-9"sv, -8, NumberStatus::Ok, 1},
    {"1.05E1"sv, 0, NumberStatus::Inexact},
    {"1E18"sv, 0, NumberStatus::Ok, 1'000'000'000'000'000'000},
    {"1E19"sv, 0, NumberStatus::Overflow},
    {"0.1E19"sv, 0, NumberStatus::Ok, 1'000'000'000'000'000'000},
    {"0.00000000000000000000000001E26"sv, 0, NumberStatus::Ok, 1},
    {"100000000000000000000000000E-26"sv, 0, NumberStatus::Ok, 1},
    {"9223372036854775807E-18"sv, -18, NumberStatus::Ok, kMax},
    {"9223372036854775808E-18"sv, -18, NumberStatus::Overflow},
    {"1E999999999999999999999"sv, 18, NumberStatus::Overflow},
    {"1E-999999999999999999999"sv, -18, NumberStatus::Inexact},
    // not numbers
    {"1e"sv, 0, NumberStatus::Bad},
    {"1E+"sv, 0, NumberStatus::Bad},
    {"1e-"sv, 0, NumberStatus::Bad},
    {"e5"sv, 0, NumberStatus::Bad},
    {"1.e5"sv, 0, NumberStatus::Bad},
    {"1e5.0"sv, 0, NumberStatus::Bad},
    {"1e5e5"sv, 0, NumberStatus::Bad},
    {"1e+-5"sv, 0, NumberStatus::Bad},
    {"1 e5"sv, 0, NumberStatus::Bad},
    {""sv, 0, NumberStatus::Bad},
    {"-"sv, 0, NumberStatus::Bad},
    {"."sv, 0, NumberStatus::Bad},
    {"-."sv, 0, NumberStatus::Bad},
    {"1."sv, 0, NumberStatus::Bad},
    {".5"sv, -1, NumberStatus::Bad},
    {"-.5"sv, -1, NumberStatus::Bad},
    {"1.."sv, 0, NumberStatus::Bad},
    {"1.2.3"sv, -2, NumberStatus::Bad},
    {"0x1"sv, 0, NumberStatus::Bad},
    {"1,0"sv, 0, NumberStatus::Bad},
    {"1_000"sv, 0, NumberStatus::Bad},
    {" "sv, 0, NumberStatus::Bad},
    {" 1"sv, 0, NumberStatus::Bad},
    {"1 "sv, 0, NumberStatus::Bad},
    {"\t1"sv, 0, NumberStatus::Bad},
    {"nan"sv, 0, NumberStatus::Bad},
    {"inf"sv, 0, NumberStatus::Bad},
    {"1\0"sv, 0, NumberStatus::Bad},
    {"1\0002"sv, 0, NumberStatus::Bad},
    {"\0"sv, 0, NumberStatus::Bad},
    {"1.\0005"sv, -1, NumberStatus::Bad},
    {"\xD9\xA1"sv, 0, NumberStatus::Bad},  // an Arabic-Indic one
};

TEST(FixedPoint, TableOfCases) {
  for (const Case& c : kCases) {
    std::int64_t mantissa = 4711;
    EXPECT_EQ(parse_decimal(c.text, c.exponent, mantissa), c.status)
        << '"' << c.text << "\" at " << c.exponent;
    EXPECT_EQ(mantissa, c.status == NumberStatus::Ok ? c.mantissa : 4711)
        << '"' << c.text << "\" at " << c.exponent << ": an error must leave the value alone";
  }
}

TEST(FixedPoint, EndIsTheFirstCharacterThatCannotBelong) {
  const struct {
    const char* text;
    std::ptrdiff_t length;
    NumberStatus status;
  } cases[] = {
      {"12.5\"", 4, NumberStatus::Ok}, {"12.5.1", 4, NumberStatus::Ok},
      {"12e5", 4, NumberStatus::Ok},   {"12E+5\"", 5, NumberStatus::Ok},
      {"12e5.1", 4, NumberStatus::Ok}, {"12e-5\"", 5, NumberStatus::Inexact},
      {"12e\"", 3, NumberStatus::Bad}, {"12e-\"", 4, NumberStatus::Bad},
      {"-3,", 2, NumberStatus::Ok},    {"1.55\"", 4, NumberStatus::Inexact},
      {"-\"", 1, NumberStatus::Bad},   {"1.\"", 2, NumberStatus::Bad},
      {"\"", 0, NumberStatus::Bad},    {"99999999999999999999\"", 20, NumberStatus::Overflow},
  };
  for (const auto& c : cases) {
    std::int64_t mantissa = 0;
    const char* end = nullptr;
    EXPECT_EQ(parse_decimal(c.text, -1, mantissa, end), c.status) << c.text;
    EXPECT_EQ(end - c.text, c.length) << c.text;
  }
}

TEST(FixedPoint, IsUsableInConstantExpressions) {
  constexpr auto parse = [](const char* text, int exponent) {
    std::int64_t mantissa = 0;
    const char* end = nullptr;
    return parse_decimal(text, exponent, mantissa, end) == NumberStatus::Ok ? mantissa : -1;
  };
  static_assert(parse("1.25", -2) == 125);
  static_assert(parse("1200", 2) == 12);
}

TEST(FixedPoint, ExponentOfIsTheLargestExactOne) {
  const struct {
    std::string_view text;
    NumberStatus status;
    int exponent;
  } cases[] = {
      {"0.01000000", NumberStatus::Ok, -2},
      {"0.00000100", NumberStatus::Ok, -6},
      {"0.5", NumberStatus::Ok, -1},
      {"0.25", NumberStatus::Ok, -2},
      {"1", NumberStatus::Ok, 0},
      {"1.00", NumberStatus::Ok, 0},
      {"100", NumberStatus::Ok, 2},
      {"120.0", NumberStatus::Ok, 1},
      {"-0.10", NumberStatus::Ok, -1},
      {"0.000000000000000001", NumberStatus::Ok, -18},
      {"1000000000000000000", NumberStatus::Ok, 18},
      {"100000000000000000000", NumberStatus::Ok, 18},  // 10^20: the largest exponent is still 18
      {"0", NumberStatus::Ok, -8},
      {"0.00000000", NumberStatus::Ok, -8},
      {"-0", NumberStatus::Ok, -8},
      {"0.0000000000000000001", NumberStatus::Inexact, 99},
      {"", NumberStatus::Bad, 99},
      {"1e-5", NumberStatus::Ok, -5},
      {"2.50E-7", NumberStatus::Ok, -8},
      {"1E3", NumberStatus::Ok, 3},
      {"0E-3", NumberStatus::Ok, -8},
      {"1e", NumberStatus::Bad, 99},
      {"abc", NumberStatus::Bad, 99},
      {"1.", NumberStatus::Bad, 99},
  };
  for (const auto& c : cases) {
    int exponent = 99;
    EXPECT_EQ(exponent_of(c.text, -8, exponent), c.status) << c.text;
    EXPECT_EQ(exponent, c.exponent) << c.text;
  }
  int exponent = 99;
  EXPECT_EQ(exponent_of("12345678901234567890123", -8, exponent), NumberStatus::Overflow);
  EXPECT_EQ(exponent, 99);
}

TEST(FixedPoint, FormatDecimalHasNoTrailingZeros) {
  EXPECT_EQ(shm::to_decimal(6'183'763, -2), "61837.63");
  EXPECT_EQ(shm::to_decimal(6'183'700, -2), "61837");
  EXPECT_EQ(shm::to_decimal(5, 1), "50");
  EXPECT_EQ(shm::to_decimal(-5, 1), "-50");
  EXPECT_EQ(shm::to_decimal(1, -8), "0.00000001");
  EXPECT_EQ(shm::to_decimal(-120, -3), "-0.12");
  EXPECT_EQ(shm::to_decimal(10, -1), "1");
  EXPECT_EQ(shm::to_decimal(100, 0), "100");
  EXPECT_EQ(shm::to_decimal(0, -8), "0");
  EXPECT_EQ(shm::to_decimal(0, 5), "0");
  EXPECT_EQ(shm::to_decimal(kMax, -18), "9.223372036854775807");
  EXPECT_EQ(shm::to_decimal(kMax, 18), "9223372036854775807000000000000000000");
  EXPECT_EQ(shm::to_decimal(kMin, 0), "-9223372036854775808");
  EXPECT_EQ(shm::to_decimal(kMin, -18), "-9.223372036854775808");
}

// The model: schoolbook, on padded digit strings and 128-bit integers, not on a running mantissa.
__extension__ typedef __int128 Wide;

struct Reading {
  NumberStatus status = NumberStatus::Bad;
  std::int64_t mantissa = 0;
};

Reading read_by_model(const std::string& text, int exponent) {
  const auto all_digits = [](const std::string& s) {
    return !s.empty() && s.find_first_not_of("0123456789") == std::string::npos;
  };
  std::string rest = text;
  const bool negative = rest.starts_with("-");
  if (negative) rest.erase(0, 1);
  const std::size_t letter = rest.find_first_of("eE");
  int power = 0;
  if (letter != std::string::npos) {
    std::string digits = rest.substr(letter + 1);
    rest.erase(letter);
    const bool below_one = digits.starts_with("-");
    if (below_one || digits.starts_with("+")) digits.erase(0, 1);
    if (!all_digits(digits)) return {};
    // No text of this test has so many digits that 10^100 would not move all of them out of int64.
    power = static_cast<int>(std::min(std::stod(digits), 100.0)) * (below_one ? -1 : 1);
  }
  const std::size_t point = rest.find('.');
  std::string whole = rest.substr(0, point);
  std::string fraction = point == std::string::npos ? std::string("0") : rest.substr(point + 1);
  if (!all_digits(whole) || !all_digits(fraction)) return {};
  // Shift the point so that the mantissa is the whole part, and pad on either side.
  fraction.append(200, '0');
  whole.insert(0, 200, '0');
  const std::string digits = whole + fraction;
  const auto cut = static_cast<std::size_t>(static_cast<int>(whole.size()) - exponent + power);
  const std::string kept = digits.substr(0, cut);
  const bool exact = digits.find_first_not_of('0', cut) == std::string::npos;
  const std::size_t first = kept.find_first_not_of('0');
  const std::string significant = first == std::string::npos ? "0" : kept.substr(first);
  Wide value = 0;
  if (significant.size() > 30) return {NumberStatus::Overflow, 0};
  for (const char digit : significant) value = value * 10 + (digit - '0');
  if (value > kMax) return {NumberStatus::Overflow, 0};
  if (!exact) return {NumberStatus::Inexact, 0};
  return {NumberStatus::Ok, static_cast<std::int64_t>(negative ? -value : value)};
}

// Seed and count can be given in the environment, to repeat a failure or to run for long.
std::uint64_t from_environment(const char* name, std::uint64_t fallback) {
  const char* const text = std::getenv(name);
  return text ? std::strtoull(text, nullptr, 0) : fallback;
}

std::string random_number_text(std::mt19937_64& random) {
  const auto below = [&](std::uint64_t n) { return random() % n; };
  const auto digits = [&](std::uint64_t count) {
    std::string out;
    const std::uint64_t style = below(4);  // any digits, mostly zeros, mostly nines, near the int64 bound
    constexpr std::string_view kBound = "9223372036854775807";
    for (std::uint64_t i = 0; i < count; ++i) {
      const char any = static_cast<char>('0' + below(10));
      if (style == 0 || below(8) == 0) {
        out += any;
      } else {
        out += style == 1 ? '0' : style == 2 ? '9' : kBound[i % kBound.size()];
      }
    }
    return out;
  };
  std::string text = below(4) == 0 ? "-" : "";
  if (below(16) == 0) text += std::string(below(12), '0');
  text += digits(below(8) == 0 ? below(30) : below(20));
  if (below(4) != 0) {
    text += '.';
    text += digits(below(8) == 0 ? below(30) : below(12));
    if (below(4) == 0) text += std::string(below(20), '0');
  }
  if (below(6) == 0) {
    text += "eE"[below(2)];
    text += std::string(below(3) == 0 ? "+" : "").append(below(2) == 0 ? "-" : "");
    text += std::to_string(below(8) == 0 ? below(1'000'000'000'000) : below(25));
  }
  if (below(16) == 0 && !text.empty()) text[below(text.size())] = "-+.e ,x\"0"[below(9)];
  return text;
}

TEST(FixedPoint, AgreesWithTheModelOnRandomTexts) {
  const std::uint64_t seed = from_environment("MDP_TEST_SEED", 20'261'122);
  const std::uint64_t rounds = from_environment("MDP_TEST_ROUNDS", 2'000'000);
  RecordProperty("seed", std::to_string(seed));
  std::printf("seed %llu, rounds %llu\n", static_cast<unsigned long long>(seed),
              static_cast<unsigned long long>(rounds));
  std::mt19937_64 random(seed);
  std::uint64_t counts[4] = {};
  for (std::uint64_t round = 0; round < rounds; ++round) {
    const std::string text = random_number_text(random);
    const int exponent = static_cast<int>(random() % 37) - 18;
    const Reading wanted = read_by_model(text, exponent);
    std::int64_t mantissa = 0;
    const NumberStatus status = parse_decimal(text, exponent, mantissa);
    ASSERT_EQ(status, wanted.status) << '"' << text << "\" at " << exponent << ", seed " << seed;
    ASSERT_EQ(mantissa, wanted.mantissa) << '"' << text << "\" at " << exponent << ", seed " << seed;
    ++counts[static_cast<std::size_t>(status)];
    if (status == NumberStatus::Ok) {
      // What was read prints as text that reads the same, and exponent_of holds it.
      const std::string printed = shm::to_decimal(mantissa, exponent);
      std::int64_t again = 0;
      ASSERT_EQ(parse_decimal(printed, exponent, again), NumberStatus::Ok) << printed;
      ASSERT_EQ(again, mantissa) << printed << " from " << text;
      int largest = 0;
      ASSERT_EQ(exponent_of(printed, exponent, largest), NumberStatus::Ok) << printed;
      ASSERT_GE(largest, exponent) << printed;
    }
  }
  for (const std::uint64_t count : counts)
    EXPECT_GT(count, rounds / 200) << "the texts miss a kind of outcome";
}

// The eight-at-a-time reading must say what the plain one says, whatever stands in and behind the number.
TEST(FixedPoint, ReadingInAFrameAgreesWithThePlainOne) {
  const std::uint64_t seed = from_environment("MDP_TEST_SEED", 20'261'122);
  const std::uint64_t rounds = from_environment("MDP_TEST_ROUNDS", 2'000'000);
  SCOPED_TRACE("MDP_TEST_SEED=" + std::to_string(seed));
  std::mt19937_64 random(seed);
  constexpr std::string_view kEndings = "\"]}, -.e0x:/\x80\xB0\xFF";
  std::uint64_t eight_decimals = 0;
  for (std::uint64_t round = 0; round < rounds; ++round) {
    char buffer[64];
    for (char& c : buffer) c = static_cast<char>('0' + random() % 10);
    std::string text(random() % 8 == 0 ? "-" : "");
    for (auto digits = random() % 11; digits > 0; --digits) text += static_cast<char>('0' + random() % 10);
    if (random() % 8 != 0) text += '.';
    const auto decimals = random() % 3 == 0 ? random() % 12 : 8;
    for (auto digits = decimals; digits > 0; --digits) text += static_cast<char>('0' + random() % 10);
    if (random() % 8 == 0) text += "E-" + std::to_string(random() % 12);
    if (random() % 8 == 0 && !text.empty())
      text[random() % text.size()] = kEndings[random() % kEndings.size()];
    eight_decimals += decimals == 8;
    text += kEndings[random() % kEndings.size()];
    text += '\0';
    std::memcpy(buffer, text.data(), text.size());
    const int exponent = random() % 4 == 0 ? static_cast<int>(random() % 12) - 10 : -8;
    std::int64_t plain = -1;
    std::int64_t in_frame = -1;
    const char* plain_end = nullptr;
    const char* in_frame_end = nullptr;
    const NumberStatus wanted = parse_decimal(buffer, exponent, plain, plain_end);
    ASSERT_EQ(parse_decimal_in_frame(buffer, exponent, in_frame, in_frame_end), wanted) << text;
    ASSERT_EQ(in_frame, plain) << text;
    ASSERT_EQ(in_frame_end, plain_end) << text;
  }
  EXPECT_GT(eight_decimals, rounds / 2);
}

TEST(FixedPoint, FormatDecimalRoundTripsAtEveryExponent) {
  std::mt19937_64 random(7);
  for (int exponent = kMinExponent; exponent <= kMaxExponent; ++exponent) {
    for (int i = 0; i < 2'000; ++i) {
      std::int64_t mantissa = static_cast<std::int64_t>(random() >> (random() % 64));
      if (mantissa == kMin) mantissa = kMax;
      std::int64_t again = 0;
      const std::string text = shm::to_decimal(mantissa, exponent);
      ASSERT_EQ(parse_decimal(text, exponent, again), NumberStatus::Ok) << text << " at " << exponent;
      ASSERT_EQ(again, mantissa) << text << " at " << exponent;
    }
  }
}

}  // namespace
}  // namespace mdp::core
