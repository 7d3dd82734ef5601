// Numbers of the usual shape against the general reading of the same text.
#include "mdp/core/quick_number.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "mdp/core/fixed_point.hpp"

namespace mdp::core {
namespace {

using Decimal = bool (*)(const char*, std::int64_t&, unsigned&) noexcept;
using Pair = bool (*)(const char*, std::int64_t*, unsigned&) noexcept;
using Integer = bool (*)(const char*, std::uint64_t&, unsigned&) noexcept;

// As many bytes as are promised and not one more, so that the address sanitizer sees an overread.
std::vector<char> buffer_of(const std::string& text, std::size_t size) {
  std::vector<char> buffer(text.begin(), text.end());
  buffer.resize(std::max(size, text.size()), '7');
  return buffer;
}

class QuickDecimal : public testing::TestWithParam<Decimal> {};

// What `text` (with a closing quote) is read as, against parse_decimal(). Gives whether it was read.
bool compare(Decimal quick, const std::string& text) {
  const std::vector<char> buffer = buffer_of(text, 24);
  std::int64_t value = 0, wanted = 0;
  unsigned length = 0;
  if (!quick(buffer.data(), value, length)) return false;
  const char* end = nullptr;
  EXPECT_EQ(parse_decimal(buffer.data(), kQuickExponent, wanted, end), NumberStatus::Ok) << text;
  EXPECT_EQ(*end, '"') << text;
  EXPECT_EQ(end - buffer.data(), static_cast<std::ptrdiff_t>(length)) << text;
  EXPECT_EQ(value, wanted) << text;
  return true;
}

TEST_P(QuickDecimal, EveryShapeOfSevenAndEightDigits) {
  for (std::size_t whole = 1; whole <= 10; ++whole) {
    for (std::size_t decimals = 0; decimals <= 10; ++decimals) {
      for (const char* digits : {"1234567890", "9999999999", "0000000000", "0000000001"}) {
        std::string text(digits, whole);
        if (decimals != 0) text.append(".").append(digits, decimals);
        const std::size_t size = text.size();
        const bool read = compare(GetParam(), text + '"');
        if (whole <= 7 && decimals <= 8 && size <= 15) {
          EXPECT_TRUE(read) << text;
        } else if (whole != 8 || decimals > 8 || size > 15) {  // eight: where there is SSE4.1
          EXPECT_FALSE(read) << text;
        }
      }
    }
  }
}

TEST_P(QuickDecimal, WhatIsNoNumberIsRefused) {
  for (const std::string text :
       {"\"",   ".\"",   ".5\"",       "5.\"",   "1.2.3\"",  "-1\"",     "+1\"", "1e5\"", " 1\"",
        "1 \"", "1,5\"", "x\"",        "1x\"",   "1.x\"",    "1.5x\"",   "1/\"", "1:\"",  "1.5:\"",
        "1",    "1.5",   "1\\u0030\"", "\xB1\"", "1.\xFF\"", "12345678", "1.5]"}) {
    EXPECT_FALSE(compare(GetParam(), text)) << text;
  }
}

TEST_P(QuickDecimal, RandomCharacters) {
  std::mt19937_64 random(7);
  const std::string alphabet = "0123456789012345678901234567890123456789...\"\"/:-e ";
  int read = 0;
  for (int round = 0; round < 300'000; ++round) {
    std::string text;
    for (std::uint64_t n = random() % 20; n > 0; --n) text += alphabet[random() % alphabet.size()];
    read += compare(GetParam(), text + '"');
    if (HasFailure()) break;
  }
  EXPECT_GT(read, 10'000);
}

class QuickDecimalPair : public testing::TestWithParam<Pair> {};

// Both as parse_decimal() reads them, or nothing read; what stands behind them is not looked at.
bool compare_pair(Pair quick, const std::string& text) {
  const std::vector<char> buffer = buffer_of(text, 42);
  std::int64_t numbers[2] = {};
  unsigned length = 0;
  if (!quick(buffer.data(), numbers, length) || buffer[length] != '"') return false;
  const std::string read(buffer.data(), length);
  const std::size_t middle = read.find("\",\"");
  if (middle == std::string::npos) {
    ADD_FAILURE() << text << " is no pair";
    return false;
  }
  for (const auto& [part, number] :
       {std::pair{read.substr(0, middle), numbers[0]}, std::pair{read.substr(middle + 3), numbers[1]}}) {
    std::int64_t wanted = 0;
    EXPECT_EQ(parse_decimal(part, kQuickExponent, wanted), NumberStatus::Ok) << text;
    EXPECT_EQ(number, wanted) << text;
  }
  return true;
}

TEST_P(QuickDecimalPair, EveryPairOfShapes) {
  std::vector<std::string> shapes;
  for (std::size_t whole = 1; whole <= 9; ++whole) {
    for (std::size_t decimals = 0; decimals <= 9; ++decimals) {
      shapes.push_back(std::string("912345678").substr(0, whole));
      if (decimals != 0) shapes.back().append(".").append(std::string("876543219").substr(0, decimals));
    }
  }
  const auto is_quick = [](const std::string& shape) {  // the shapes both of the functions take
    const std::size_t point = std::min(shape.find('.'), shape.size());
    return point <= 7 && shape.size() - point <= 9 && shape.size() <= 15;
  };
  for (const std::string& first : shapes) {
    for (const std::string& second : shapes) {
      const bool read = compare_pair(GetParam(), first + "\",\"" + second + '"');
      if (is_quick(first) && is_quick(second) && first.size() + 3 + second.size() <= 32) {
        EXPECT_TRUE(read) << first << ' ' << second;
      }
    }
  }
}

TEST_P(QuickDecimalPair, RandomCharacters) {
  std::mt19937_64 random(8);
  const std::string alphabet = "0123456789012345678901234567890123456789..\"\",-";
  int read = 0;
  for (int round = 0; round < 400'000 && !HasFailure(); ++round) {
    std::string text;
    const auto part = [&] {
      for (std::uint64_t n = random() % 12; n > 0; --n) text += alphabet[random() % alphabet.size()];
    };
    part();
    text += "\",\"";
    part();
    read += compare_pair(GetParam(), text + '"');
  }
  EXPECT_GT(read, 10'000);
}

class QuickInteger : public testing::TestWithParam<Integer> {};

TEST_P(QuickInteger, UpToFifteenDigits) {
  for (std::size_t digits = 1; digits <= 20; ++digits) {
    for (const std::string text : {"12345678901234567890", "99999999999999999999", "10000000000000000000"}) {
      const std::vector<char> buffer = buffer_of(text.substr(0, digits) + ',', 16);
      std::uint64_t value = 0;
      unsigned length = 0;
      ASSERT_EQ(GetParam()(buffer.data(), value, length), digits <= 15) << digits;
      if (digits > 15) continue;
      EXPECT_EQ(value, std::stoull(text.substr(0, digits)));
      EXPECT_EQ(length, digits);
    }
  }
}

TEST_P(QuickInteger, WhatIsNoneIsRefusedAndWhatFollowsIsLeft) {
  std::uint64_t value = 0;
  unsigned length = 0;
  for (const std::string text : {"", "-1", "01", "00", "x", "\"1\"", "/", ":", ".5", "\xB0"}) {
    EXPECT_FALSE(GetParam()(buffer_of(text + ',', 16).data(), value, length)) << text;
  }
  for (const char* behind : {",", "}", ".5", "e5", "/", ":", "x", "\xB1"}) {
    ASSERT_TRUE(GetParam()(buffer_of("120" + std::string(behind), 16).data(), value, length)) << behind;
    EXPECT_EQ(value, 120u);
    EXPECT_EQ(length, 3u);
  }
  ASSERT_TRUE(GetParam()(buffer_of("0,", 16).data(), value, length));
  EXPECT_EQ(value, 0u);
}

INSTANTIATE_TEST_SUITE_P(Words, QuickDecimal, testing::Values(&detail::quick_decimal_by_words));
INSTANTIATE_TEST_SUITE_P(Words, QuickDecimalPair, testing::Values(&detail::quick_decimal_pair_by_words));
INSTANTIATE_TEST_SUITE_P(Words, QuickInteger, testing::Values(&detail::quick_integer_by_words));
#ifdef __SSE4_1__
INSTANTIATE_TEST_SUITE_P(Sixteen, QuickDecimal, testing::Values(&detail::quick_decimal_by_sixteen));
INSTANTIATE_TEST_SUITE_P(Sixteen, QuickDecimalPair, testing::Values(&detail::quick_decimal_pair_by_sixteen));
INSTANTIATE_TEST_SUITE_P(Sixteen, QuickInteger, testing::Values(&detail::quick_integer_by_sixteen));
#endif

}  // namespace
}  // namespace mdp::core
