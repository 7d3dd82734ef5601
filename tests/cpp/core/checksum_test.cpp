#include "mdp/core/checksum.hpp"

#include <gtest/gtest.h>

#include <string>

namespace mdp::core {
namespace {

std::string digits(std::int64_t mantissa, int exponent, int decimals) {
  return std::string(WrittenDigits(mantissa, exponent, decimals).text());
}

TEST(Crc32, IsTheOneOfZlib) {
  Crc32 crc;
  EXPECT_EQ(crc.value(), 0u);
  crc.add("12345");
  crc.add("6789");
  EXPECT_EQ(crc.value(), 0xCBF4'3926u);  // the check value that its catalogues give
}

TEST(WrittenDigits, AreTheMantissaWhereTheExponentIsThePrecision) {
  EXPECT_EQ(digits(788'684, -1, 1), "788684");  // 78868.4
  EXPECT_EQ(digits(5'100, -8, 8), "5100");      // 0.00005100
  EXPECT_EQ(digits(74'650'000, -12, 12), "74650000");
}

TEST(WrittenDigits, AreTheSameAtOtherExponents) {
  EXPECT_EQ(digits(7'886'840'000'000, -8, 1), "788684");  // finer
  EXPECT_EQ(digits(51, -6, 8), "5100");                   // coarser: 0.000051
  EXPECT_EQ(digits(3, 2, 1), "3000");                     // 300.0
  EXPECT_EQ(digits(3, 2, 0), "300");
  EXPECT_EQ(digits(9'223'372'036'854'775'807, -8, 8), "9223372036854775807");
  EXPECT_EQ(digits(9'223'372'036'854'775'807, 0, 2), "922337203685477580700");
}

TEST(WrittenDigits, OfZeroAreNone) {
  EXPECT_EQ(digits(0, -8, 8), "");
  EXPECT_EQ(digits(1, -8, 2), "");  // cut off
}

TEST(WrittenDigits, DecimalsAreThoseOfTheExponentUnlessTheVenueSaysOthers) {
  Instrument instrument;
  instrument.price_exponent = -5;
  EXPECT_EQ(price_decimals(instrument), 5);
  EXPECT_EQ(quantity_decimals(instrument), 8);
  instrument.price_decimals = 1;
  instrument.quantity_decimals = 0;
  EXPECT_EQ(price_decimals(instrument), 1);
  EXPECT_EQ(quantity_decimals(instrument), 0);
}

// The worked example of Kraken's documentation: ten asks from 0.05005 on, ten bids from 0.05000 down (0.04985
// is not among them), each of 0.00000500. At the pair's own precision, and at exponents that hold it
// otherwise.
TEST(WrittenDigits, MakeTheChecksumThatKrakenPublishes) {
  struct Case {
    int price_exponent, quantity_exponent;
    std::int64_t price_unit, quantity;
  };
  for (const Case& at : {Case{-5, -8, 1, 500}, Case{-8, -8, 1000, 500}, Case{-7, -6, 100, 5}}) {
    Crc32 crc;
    const auto add = [&](std::int64_t price) {
      crc.add(WrittenDigits(price * at.price_unit, at.price_exponent, 5).text());
      crc.add(WrittenDigits(at.quantity, at.quantity_exponent, 8).text());
    };
    for (std::int64_t ask = 5005; ask <= 5050; ask += 5) add(ask);
    for (std::int64_t bid = 5000; bid >= 4950; bid -= 5) {
      if (bid != 4985) add(bid);
    }
    EXPECT_EQ(crc.value(), 974'947'235u);
  }
}

}  // namespace
}  // namespace mdp::core
