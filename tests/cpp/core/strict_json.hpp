// A JSON reader that takes nothing for granted, and decimal numbers by moving digits about: the independent
// opinion that the results of scanners and parsers are compared with. Written for clarity: a tree of values,
// no tricks.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace mdp::strict {

struct Member;

struct Value {
  enum class Type { Null, Bool, Number, String, Array, Object } type = Type::Null;
  bool boolean = false;
  std::string text;  // a number as it stands, a string without its escapes
  std::vector<Value> elements;
  std::vector<Member> members;  // in their order, duplicates too

  Value();
  std::size_t count(std::string_view key) const;
  // The value of a key that is there exactly once and has this type, else nullptr.
  const Value* only(std::string_view key, Type wanted) const;
};

struct Member {
  std::string first;  // the key
  Value second;
};

inline Value::Value() = default;

inline std::size_t Value::count(std::string_view key) const {
  std::size_t n = 0;
  for (const Member& member : members) n += member.first == key;
  return n;
}

inline const Value* Value::only(std::string_view key, Type wanted) const {
  if (count(key) != 1) return nullptr;
  for (const Member& member : members) {
    if (member.first == key) return member.second.type == wanted ? &member.second : nullptr;
  }
  return nullptr;
}

class Reader {
 public:
  explicit Reader(std::string_view text) : text_(text) {}

  // The whole text as one value, or nothing.
  std::optional<Value> read() {
    Value value;
    if (!is_utf8(text_) || !read_value(value, 0)) return std::nullopt;
    skip_space();
    return at_ == text_.size() ? std::optional(value) : std::nullopt;
  }

  static bool is_utf8(std::string_view text) {
    for (std::size_t i = 0; i < text.size();) {
      const auto first = static_cast<unsigned char>(text[i]);
      const int more = first < 0x80       ? 0
                       : first >> 5 == 6  ? 1
                       : first >> 4 == 14 ? 2
                       : first >> 3 == 30 ? 3
                                          : -1;
      if (more < 0 || i + static_cast<std::size_t>(more) >= text.size()) return false;
      std::uint32_t code = more == 0 ? first : first & (0x3Fu >> more);
      for (int k = 1; k <= more; ++k) {
        const auto next = static_cast<unsigned char>(text[i + static_cast<std::size_t>(k)]);
        if (next >> 6 != 2) return false;
        code = code << 6 | (next & 0x3Fu);
      }
      constexpr std::uint32_t kSmallest[] = {0, 0x80, 0x800, 0x10000};
      if (code < kSmallest[more] || code > 0x10FFFF || (code >= 0xD800 && code < 0xE000)) return false;
      i += static_cast<std::size_t>(more) + 1;
    }
    return true;
  }

 private:
  char peek() const { return at_ < text_.size() ? text_[at_] : '\0'; }
  bool take(char wanted) {
    if (at_ >= text_.size() || text_[at_] != wanted) return false;
    ++at_;
    return true;
  }
  bool take_word(std::string_view word) {
    if (text_.substr(at_, word.size()) != word) return false;
    at_ += word.size();
    return true;
  }
  void skip_space() {
    while (at_ < text_.size() && std::string_view(" \t\r\n").find(text_[at_]) != std::string_view::npos)
      ++at_;
  }
  static bool is_digit(char c) { return c >= '0' && c <= '9'; }
  bool take_digits() {
    const std::size_t begin = at_;
    while (is_digit(peek())) ++at_;
    return at_ != begin;
  }

  bool read_value(Value& out, int depth) {
    if (depth > 64) return false;
    skip_space();
    switch (peek()) {
      case '{':
        return read_object(out, depth);
      case '[':
        return read_array(out, depth);
      case '"':
        out.type = Value::Type::String;
        return read_string(out.text);
      case 't':
      case 'f':
        out.type = Value::Type::Bool;
        out.boolean = peek() == 't';
        return take_word(out.boolean ? "true" : "false");
      case 'n':
        return take_word("null");
      default:
        return read_number(out);
    }
  }

  bool read_number(Value& out) {
    out.type = Value::Type::Number;
    const std::size_t begin = at_;
    take('-');
    if (!take('0') && !take_digits()) return false;
    if (take('.') && !take_digits()) return false;
    if (take('e') || take('E')) {
      if (!take('+')) take('-');
      if (!take_digits()) return false;
    }
    out.text = text_.substr(begin, at_ - begin);
    return std::isfinite(std::strtod(out.text.c_str(), nullptr));
  }

  bool read_hex(std::uint32_t& code) {
    if (text_.size() - at_ < 4) return false;
    code = 0;
    for (int i = 0; i < 4; ++i) {
      const std::size_t digit =
          std::string_view("0123456789abcdef")
              .find(static_cast<char>(text_[at_] >= 'A' && text_[at_] <= 'F' ? text_[at_] + 32 : text_[at_]));
      if (digit == std::string_view::npos) return false;
      code = code * 16 + static_cast<std::uint32_t>(digit);
      ++at_;
    }
    return true;
  }

  bool read_string(std::string& out) {
    if (!take('"')) return false;
    for (;;) {
      if (at_ >= text_.size() || static_cast<unsigned char>(text_[at_]) < 0x20) return false;
      const char c = text_[at_++];
      if (c == '"') return true;
      if (c != '\\') {
        out += c;
        continue;
      }
      const std::size_t simple = std::string_view("\"\\/bfnrt").find(peek());
      if (at_ < text_.size() && simple != std::string_view::npos) {
        out += "\"\\/\b\f\n\r\t"[simple];
        ++at_;
        continue;
      }
      std::uint32_t code = 0;
      if (!take('u') || !read_hex(code) || (code >= 0xDC00 && code < 0xE000)) return false;
      if (code >= 0xD800 && code < 0xDC00) {
        std::uint32_t low = 0;
        if (!take_word("\\u") || !read_hex(low) || low < 0xDC00 || low >= 0xE000) return false;
        code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
      }
      append_utf8(out, code);
    }
  }
  static void append_utf8(std::string& out, std::uint32_t code) {
    const auto tail = [&](int shift) { out += static_cast<char>(0x80 | (code >> shift & 0x3F)); };
    if (code < 0x80) {
      out += static_cast<char>(code);
    } else if (code < 0x800) {
      out += static_cast<char>(0xC0 | code >> 6);
      tail(0);
    } else if (code < 0x10000) {
      out += static_cast<char>(0xE0 | code >> 12);
      tail(6), tail(0);
    } else {
      out += static_cast<char>(0xF0 | code >> 18);
      tail(12), tail(6), tail(0);
    }
  }

  bool read_array(Value& out, int depth) {
    out.type = Value::Type::Array;
    take('[');
    skip_space();
    if (take(']')) return true;
    do {
      if (!read_value(out.elements.emplace_back(), depth + 1)) return false;
      skip_space();
    } while (take(','));
    return take(']');
  }

  bool read_object(Value& out, int depth) {
    out.type = Value::Type::Object;
    take('{');
    skip_space();
    if (take('}')) return true;
    do {
      skip_space();
      auto& [key, value] = out.members.emplace_back();
      if (!read_string(key)) return false;
      skip_space();
      if (!take(':') || !read_value(value, depth + 1)) return false;
      skip_space();
    } while (take(','));
    return take('}');
  }

  std::string_view text_;
  std::size_t at_ = 0;
};

inline bool all_digits(std::string_view text) {
  return !text.empty() && text.find_first_not_of("0123456789") == std::string_view::npos;
}

// A decimal number at an exponent of zero or less, by moving digits about.
inline std::optional<std::int64_t> decimal(std::string text, int exponent) {
  const bool negative = text.starts_with('-');
  if (negative) text.erase(0, 1);
  std::string power = "0";
  if (const std::size_t letter = text.find_first_of("eE"); letter != std::string::npos) {
    power = text.substr(letter + 1);
    text.erase(letter);
  }
  const bool down = power.starts_with('-');
  if (down || power.starts_with('+')) power.erase(0, 1);
  const std::size_t point = text.find('.');
  std::string whole = text.substr(0, point);
  std::string fraction = point == std::string::npos ? "0" : text.substr(point + 1);
  if (!all_digits(whole) || !all_digits(fraction) || !all_digits(power)) return std::nullopt;
  // The point moves over the digits of the other side, and over zeros where there are none.
  const double moves = std::min(std::strtod(power.c_str(), nullptr), 1'000.0);
  for (int places = static_cast<int>(moves); places > 0; --places) {
    if (down) {
      fraction.insert(fraction.begin(), whole.empty() ? '0' : whole.back());
      if (!whole.empty()) whole.pop_back();
    } else {
      whole += fraction.empty() ? '0' : fraction.front();
      if (!fraction.empty()) fraction.erase(fraction.begin());
    }
  }
  const auto decimals = static_cast<std::size_t>(-exponent);
  while (fraction.size() < decimals) fraction += '0';
  if (fraction.find_first_not_of('0', decimals) != std::string::npos) return std::nullopt;
  std::string digits = whole + fraction.substr(0, decimals);
  while (digits.size() > 1 && digits[0] == '0') digits.erase(0, 1);
  const std::string largest = "9223372036854775807";
  if (digits.size() > largest.size() || (digits.size() == largest.size() && digits > largest))
    return std::nullopt;
  const std::int64_t value = std::strtoll(digits.c_str(), nullptr, 10);
  return negative ? -value : value;
}

}  // namespace mdp::strict
