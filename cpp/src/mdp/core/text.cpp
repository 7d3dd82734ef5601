#include "mdp/core/text.hpp"

#include <algorithm>
#include <cstdint>
#include <cstring>

namespace mdp::core {
namespace {

constexpr std::string_view kReplacement = "\xEF\xBF\xBD";  // U+FFFD
constexpr std::string_view kCut = "...";

struct Character {
  std::size_t bytes;    // of the text it takes, at least 1
  char32_t code_point;  // meaningless unless valid
  bool valid;
};

constexpr bool continues(char c) noexcept { return (static_cast<unsigned char>(c) & 0xC0) == 0x80; }

// The character at the beginning of `text`, which is not empty. The longest beginning of a character that is
// ill-formed counts as one, as the Unicode standard recommends (3.9, U+FFFD substitution of maximal
// subparts): a character cut in two is one U+FFFD.
Character first_of(std::string_view text) noexcept {
  const auto lead = static_cast<unsigned char>(text[0]);
  if (lead < 0x80) return {1, lead, true};
  // What may follow the lead byte: no overlong form, no surrogate, nothing beyond U+10FFFF.
  std::size_t length = 0;
  unsigned char low = 0x80, high = 0xBF;
  char32_t code_point = 0;
  if (lead >= 0xC2 && lead <= 0xDF) {
    length = 2;
    code_point = lead & 0x1Fu;
  } else if (lead >= 0xE0 && lead <= 0xEF) {
    length = 3;
    code_point = lead & 0x0Fu;
    if (lead == 0xE0) low = 0xA0;
    if (lead == 0xED) high = 0x9F;
  } else if (lead >= 0xF0 && lead <= 0xF4) {
    length = 4;
    code_point = lead & 0x07u;
    if (lead == 0xF0) low = 0x90;
    if (lead == 0xF4) high = 0x8F;
  } else {
    return {1, 0, false};
  }
  for (std::size_t i = 1; i < length; ++i) {
    if (i == text.size()) return {i, 0, false};
    const auto byte = static_cast<unsigned char>(text[i]);
    if (byte < low || byte > high) return {i, 0, false};
    low = 0x80;
    high = 0xBF;
    code_point = code_point << 6 | (byte & 0x3Fu);
  }
  return {length, code_point, true};
}

// What ends a line, moves a cursor or turns the direction of writing.
constexpr bool is_control(char32_t c) noexcept {
  return c < 0x20 || (c >= 0x7F && c < 0xA0) || c == 0x2028 || c == 0x2029 || c == 0x200E || c == 0x200F ||
         (c >= 0x202A && c <= 0x202E) || (c >= 0x2066 && c <= 0x2069) || c == 0xFEFF;
}

// Calls `put(bytes)` with what each character becomes, until it returns false. True: the text was gone
// through.
template <class Put>
bool each_printable(std::string_view text, const Put& put) noexcept(noexcept(put(text))) {
  while (!text.empty()) {
    const Character c = first_of(text);
    const std::string_view shown = !c.valid                   ? kReplacement
                                   : is_control(c.code_point) ? std::string_view(" ")
                                                              : text.substr(0, c.bytes);
    if (!put(shown)) return false;
    text.remove_prefix(c.bytes);
  }
  return true;
}

// The greatest length up to `most` at which valid UTF-8 can be cut.
std::size_t cut_at(std::string_view text, std::size_t most) noexcept {
  if (text.size() <= most) return text.size();
  while (most > 0 && continues(text[most])) --most;
  return most;
}

bool is_space(char c) noexcept { return c == ' ' || (c >= '\t' && c <= '\r'); }

// No text of any encoding that is a superset of ASCII: it has control characters that are no white space.
bool is_binary(std::string_view page) noexcept {
  return std::any_of(page.begin(), page.end(), [](char c) {
    return static_cast<unsigned char>(c) < 0x20 && !is_space(c) && c != '\x1B';
  });
}

bool begins_with_ignoring_case(std::string_view text, std::string_view lower) noexcept {
  if (text.size() < lower.size()) return false;
  return std::equal(lower.begin(), lower.end(), text.begin(), [](char want, char found) {
    return (found >= 'A' && found <= 'Z' ? static_cast<char>(found - 'A' + 'a') : found) == want;
  });
}

std::size_t find_ignoring_case(std::string_view text, std::string_view lower) noexcept {
  for (std::size_t at = 0; at + lower.size() <= text.size(); ++at) {
    if (begins_with_ignoring_case(text.substr(at), lower)) return at;
  }
  return std::string_view::npos;
}

// How many bytes the tag at the beginning of `page` takes, what it hides included: a comment, a script, a
// style.
std::size_t tag_bytes(std::string_view page) noexcept {
  std::string_view end = ">";
  if (page.starts_with("<!--")) end = "-->";
  if (begins_with_ignoring_case(page, "<script")) end = "</script>";
  if (begins_with_ignoring_case(page, "<style")) end = "</style>";
  const std::size_t at = find_ignoring_case(page, end);
  return at == std::string_view::npos ? page.size() : at + end.size();
}

// The entity at the beginning of `page`, which is '&', in one character; 0 for one that is not known.
char entity_at(std::string_view page, std::size_t& bytes) noexcept {
  struct Entity {
    std::string_view name;
    char means;
  };
  constexpr Entity kEntities[] = {{"&amp;", '&'},  {"&lt;", '<'},    {"&gt;", '>'},  {"&quot;", '"'},
                                  {"&#39;", '\''}, {"&apos;", '\''}, {"&nbsp;", ' '}};
  for (const Entity& entity : kEntities) {
    if (!page.starts_with(entity.name)) continue;
    bytes = entity.name.size();
    return entity.means;
  }
  return 0;
}

std::string without_tags(std::string_view page) {
  std::string text;
  while (!page.empty()) {
    std::size_t bytes = 1;
    if (page[0] == '<') {
      bytes = tag_bytes(page);
      text += ' ';
    } else if (const char entity = page[0] == '&' ? entity_at(page, bytes) : '\0'; entity != 0) {
      text += entity;
    } else {
      text += page[0];
    }
    page.remove_prefix(bytes);
  }
  return text;
}

// Runs of white space as one blank, none at the ends.
std::string joined(std::string_view text) {
  std::string words;
  for (const char c : text) {
    if (!is_space(c)) {
      words += c;
    } else if (!words.empty() && words.back() != ' ') {
      words += ' ';
    }
  }
  if (!words.empty() && words.back() == ' ') words.pop_back();
  return words;
}

std::string hexadecimal(std::string_view bytes) {
  constexpr char kHex[] = "0123456789abcdef";
  std::string text;
  for (const char c : bytes) {
    const auto byte = static_cast<unsigned char>(c);
    if (!text.empty()) text += ' ';
    text += {kHex[byte >> 4], kHex[byte & 15]};
  }
  return text;
}

}  // namespace

std::string printable(std::string_view text, std::size_t max_bytes) {
  std::string shown;
  // A character more than there is room for tells that there is more.
  each_printable(text, [&](std::string_view character) {
    shown += character;
    return shown.size() <= max_bytes;
  });
  if (shown.size() <= max_bytes) return shown;
  shown.resize(cut_at(shown, max_bytes < kCut.size() ? max_bytes : max_bytes - kCut.size()));
  if (max_bytes >= kCut.size()) shown += kCut;
  return shown;
}

std::size_t printable(std::string_view text, char* to, std::size_t capacity) noexcept {
  std::size_t written = 0;
  each_printable(text, [&](std::string_view character) noexcept {
    if (character.size() > capacity - written) return false;
    std::memcpy(to + written, character.data(), character.size());
    written += character.size();
    return true;
  });
  return written;
}

bool is_printable(std::string_view text) noexcept {
  while (!text.empty()) {
    const Character c = first_of(text);
    if (!c.valid || is_control(c.code_point)) return false;
    text.remove_prefix(c.bytes);
  }
  return true;
}

std::string quoted(std::string_view text, std::size_t max_bytes) {
  std::string value(1, '"');
  for (const char c : printable(text, max_bytes)) {
    if (c == '"' || c == '\\') value += '\\';
    value += c;
  }
  value += '"';
  return value;
}

std::string page_words(std::string_view page, std::size_t max_bytes) {
  constexpr std::size_t kLookedAt = 64 * 1024;  // pages hide their words behind styles and scripts
  constexpr std::size_t kShownOfBinary = 16;
  constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";
  std::string_view beginning = page.substr(0, kLookedAt);
  if (beginning.starts_with(kByteOrderMark)) beginning.remove_prefix(kByteOrderMark.size());
  if (is_binary(beginning)) {
    return std::to_string(page.size()) + " bytes that are no text, beginning " +
           hexadecimal(page.substr(0, kShownOfBinary));
  }
  const auto first = std::find_if_not(beginning.begin(), beginning.end(), is_space);
  const bool is_markup = first != beginning.end() && *first == '<';
  return printable(joined(is_markup ? without_tags(beginning) : std::string(beginning)), max_bytes);
}

}  // namespace mdp::core
