// What venues' checksums of books are made of: the CRC-32 of zlib and Ethernet, and the digits of a number as
// the venue writes it. A venue's own checksum function (BookRule::checksum) puts the levels' digits into a
// Crc32 in its order.
#pragma once

#include <array>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "mdp/core/fixed_point.hpp"
#include "mdp/core/instrument.hpp"

namespace mdp::core {

class Crc32 {
 public:
  void add(std::string_view text) noexcept {
    for (const char c : text)
      state_ = kTable[(state_ ^ static_cast<unsigned char>(c)) & 0xFF] ^ (state_ >> 8);
  }
  std::uint32_t value() const noexcept { return ~state_; }

 private:
  static constexpr std::array<std::uint32_t, 256> kTable = [] {
    std::array<std::uint32_t, 256> table{};
    for (std::uint32_t byte = 0; byte < table.size(); ++byte) {
      std::uint32_t remainder = byte;
      for (int bit = 0; bit < 8; ++bit) {
        remainder = (remainder >> 1) ^ ((remainder & 1) != 0 ? 0xEDB8'8320u : 0u);
      }
      table[byte] = remainder;
    }
    return table;
  }();

  std::uint32_t state_ = 0xFFFF'FFFF;
};

// How many decimals the venue writes.
inline int price_decimals(const Instrument& instrument) noexcept {
  return instrument.price_decimals.value_or(static_cast<std::int8_t>(-instrument.price_exponent));
}
inline int quantity_decimals(const Instrument& instrument) noexcept {
  return instrument.quantity_decimals.value_or(static_cast<std::int8_t>(-instrument.quantity_exponent));
}

// The digits of mantissa * 10^exponent, which is not negative, as a venue writes it with `decimals` digits
// behind the point; without the point and without the zeros before the first digit. With 8 decimals 0.000051
// is "5100", at each exponent that holds it; zero is "". Where the exponent is -decimals, as a venue's
// precision gives it, the mantissa is the digits. What is beyond `decimals` is cut off.
class WrittenDigits {
 public:
  WrittenDigits(std::int64_t mantissa, int exponent, int decimals) noexcept {
    if (mantissa <= 0) return;
    int zeros = exponent + decimals;
    for (; zeros < 0 && mantissa != 0; ++zeros) mantissa /= 10;
    if (mantissa == 0) return;
    char* end = std::to_chars(text_, text_ + kMaxDigits, mantissa).ptr;
    for (; zeros > 0 && end != text_ + sizeof(text_); --zeros) *end++ = '0';
    size_ = static_cast<std::size_t>(end - text_);
  }
  std::string_view text() const noexcept { return {text_, size_}; }

 private:
  static constexpr std::size_t kMaxDigits = 20;  // of an int64
  char
      text_[kMaxDigits + 2 * std::size_t{kMaxExponent}];  // as many zeros as an exponent and decimals ask for
  std::size_t size_ = 0;
};

}  // namespace mdp::core
