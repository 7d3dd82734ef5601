#include "mdp/core/text.hpp"

#include <gtest/gtest.h>

#include <random>
#include <string>
#include <vector>

namespace mdp::core {
namespace {

const std::string kBad = "\xEF\xBF\xBD";  // U+FFFD

// An independent reading of the definition: RFC 3629, character by character, without any shortcut.
bool is_utf8(std::string_view text) {
  for (std::size_t i = 0; i < text.size();) {
    const auto byte = [&](std::size_t at) {
      return at < text.size() ? static_cast<unsigned char>(text[at]) : 0u;
    };
    const unsigned lead = byte(i);
    const std::size_t length = lead < 0x80            ? 1
                               : lead >> 5 == 0b110   ? 2
                               : lead >> 4 == 0b1110  ? 3
                               : lead >> 3 == 0b11110 ? 4
                                                      : 0;
    if (length == 0) return false;
    unsigned long code = length == 1 ? lead : lead & (0xFFu >> (length + 1));
    for (std::size_t k = 1; k < length; ++k) {
      if (byte(i + k) >> 6 != 0b10) return false;
      code = code << 6 | (byte(i + k) & 0x3F);
    }
    constexpr unsigned long kLeast[] = {0, 0, 0x80, 0x800, 0x10000};
    if (code < kLeast[length] || code > 0x10FFFF || (code >= 0xD800 && code <= 0xDFFF)) return false;
    i += length;
  }
  return true;
}

TEST(Printable, TextThatIsPrintableStaysAsItIs) {
  for (const std::string text : {"", "Invalid symbol.", "\xE5\xB8\x81\xE5\xAE\x89USDT", "Malm\xC3\xB6",
                                 "\xF0\x9F\x9A\x80", "\xEF\xBF\xBD", "\xF4\x8F\xBF\xBF"}) {
    EXPECT_EQ(printable(text), text);
    EXPECT_TRUE(is_printable(text)) << text;
  }
}

TEST(Printable, BytesThatAreNoUtf8BecomeReplacementCharacters) {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"Soci\xE9t\xE9", "Soci" + kBad + "t" + kBad},    // Latin-1
      {"cut \xE5\xB8", "cut " + kBad},                  // inside a character: one
      {"cut \xF0\x9F\x9A", "cut " + kBad},              //
      {"\x80\xBF", kBad + kBad},                        // continuations of nothing
      {"\xC0\xAF", kBad + kBad},                        // overlong
      {"\xE0\x80\xAF", kBad + kBad + kBad},             // overlong
      {"\xED\xA0\x80", kBad + kBad + kBad},             // a surrogate
      {"\xF4\x90\x80\x80", kBad + kBad + kBad + kBad},  // beyond U+10FFFF
      {"\xFF\xFE", kBad + kBad},                        //
      {"\xE5"
       "A",
       kBad + "A"},                         // what follows is not swallowed
      {"\xC3\xC3\xA9", kBad + "\xC3\xA9"},  //
  };
  for (const auto& [bytes, shown] : cases) {
    EXPECT_EQ(printable(bytes), shown);
    EXPECT_FALSE(is_printable(bytes)) << shown;
  }
}

TEST(Printable, NothingEndsTheLineOrSteersATerminal) {
  const std::string steering[] = {std::string(1, '\0'), "\n", "\r", "\t", "\x1B", "\x7F",
                                  "\xC2\x9B",       // the one-byte escape of ISO 6429
                                  "\xC2\x85",       // next line
                                  "\xE2\x80\xA8",   // line separator
                                  "\xE2\x80\xAE",   // right to left from here
                                  "\xE2\x81\xA6"};  // an isolate
  for (const std::string& control : steering) {
    EXPECT_EQ(printable("a" + control + "b"), "a b");
    EXPECT_FALSE(is_printable("a" + control + "b"));
  }
}

TEST(Printable, CutsFallBetweenCharactersAndAreTold) {
  EXPECT_EQ(printable("abcdef", 6), "abcdef");
  EXPECT_EQ(printable("abcdefg", 6), "abc...");
  const std::string money = "\xE2\x82\xAC\xE2\x82\xAC\xE2\x82\xAC";  // three bytes each
  EXPECT_EQ(printable(money, 9), money);
  EXPECT_EQ(printable(money, 8), "\xE2\x82\xAC...");
  EXPECT_EQ(printable(money, 6), "\xE2\x82\xAC...");
  EXPECT_EQ(printable(money, 5), "...");
  EXPECT_EQ(printable(money, 2), "");
  EXPECT_EQ(printable("abc", 2), "ab");
  EXPECT_EQ(printable("\xFF\xFF", 5), "...") << "what stands for a byte is longer than it";
}

TEST(Printable, IntoMemoryOfTheCallerWritesWholeCharactersOnly) {
  char to[8];
  EXPECT_EQ(printable("", to, sizeof(to)), 0u);
  EXPECT_EQ(printable("\xE2\x82\xAC\xE2\x82\xAC\xE2\x82\xAC", to, sizeof(to)), 6u);
  EXPECT_EQ(std::string_view(to, 6), "\xE2\x82\xAC\xE2\x82\xAC");
  EXPECT_EQ(printable("ab\n\xE9", to, sizeof(to)), 6u);
  EXPECT_EQ(std::string_view(to, 6), "ab " + kBad);
  EXPECT_EQ(printable("abc", to, 0), 0u);
  EXPECT_EQ(printable("exactly8", to, sizeof(to)), 8u);
}

TEST(Printable, WhateverTheBytesTheResultIsUtf8AndShortEnough) {
  std::mt19937 random(20261101);
  // Bytes that make, break or cut characters, more often than plain chance would.
  constexpr unsigned char kTelling[] = {0x00, 0x1B, 0x41, 0x7F, 0x80, 0x9F, 0xA0, 0xBF, 0xC0, 0xC2, 0xDF,
                                        0xE0, 0xE2, 0xED, 0xEF, 0xF0, 0xF4, 0xF5, 0xFF, 0x22, 0x5C, 0x3C};
  std::size_t longest = 0;
  for (int round = 0; round < 20'000; ++round) {
    std::string bytes(random() % 40, '\0');
    for (char& c : bytes) {
      c = static_cast<char>(random() % 4 != 0 ? kTelling[random() % std::size(kTelling)] : random() % 256);
    }
    const std::size_t limit = random() % 50;
    const std::string shown = printable(bytes, limit);
    ASSERT_TRUE(is_utf8(shown)) << round;
    ASSERT_LE(shown.size(), limit) << round;
    ASSERT_TRUE(is_printable(shown)) << round;
    ASSERT_EQ(printable(shown, limit), shown) << "a second time changes nothing";
    ASSERT_EQ(is_printable(bytes), printable(bytes, 3 * bytes.size()) == bytes) << round;
    char to[50];
    const std::string_view written(to, printable(bytes, to, limit));
    ASSERT_TRUE(is_utf8(written)) << round;
    ASSERT_TRUE(printable(bytes, 3 * bytes.size()).starts_with(written)) << round;
    ASSERT_TRUE(is_utf8(quoted(bytes, limit))) << round;
    ASSERT_TRUE(is_utf8(page_words(bytes, limit))) << round;
    longest = std::max(longest, shown.size());
  }
  EXPECT_GT(longest, 30u) << "the inputs were no test of anything";
}

TEST(Quoted, QuotesAndBackslashesAreEscaped) {
  EXPECT_EQ(quoted("plain"), R"("plain")");
  EXPECT_EQ(quoted(""), R"("")");
  EXPECT_EQ(quoted(R"(say "no" \ yes)"), R"("say \"no\" \\ yes")");
  EXPECT_EQ(quoted("a\nb=\xFF"), "\"a b=" + kBad + "\"");
  EXPECT_EQ(quoted("abcdefgh", 6), R"("abc...")");
}

TEST(PageWords, OfAPageTheTextAlone) {
  EXPECT_EQ(
      page_words("<!DOCTYPE html>\n<html><head><title>Access denied</title><style>p {color: red}</style>"
                 "<SCRIPT>if (1 < 2) { alert('</p>'); }</SCRIPT></head><!-- <p>hidden</p> -->"
                 "<body class=\"a\">\n  <h1>Sorry,&nbsp;you have</h1><p>been &lt;blocked&gt;</p>"),
      "Access denied Sorry, you have been <blocked>");
  EXPECT_EQ(page_words("\xEF\xBB\xBF<?xml version=\"1.0\"?><Error><Code>AccessDenied</Code></Error>"),
            "AccessDenied");
  EXPECT_EQ(page_words("<html><script>never closed"), "");
  EXPECT_EQ(page_words("<p>never closed <b"), "never closed");
  EXPECT_EQ(page_words("<p>&unknown; &"), "&unknown; &");
}

TEST(PageWords, PlainTextAndJsonStayWhatTheyAre) {
  EXPECT_EQ(page_words("error code:  1020\n"), "error code: 1020");
  EXPECT_EQ(page_words(R"({"msg":"a<b>c"})"), R"({"msg":"a<b>c"})");
  EXPECT_EQ(page_words(" \r\n\t"), "");
  EXPECT_EQ(page_words(""), "");
  EXPECT_EQ(page_words("Acc\xE8s refus\xE9"), "Acc" + kBad + "s refus" + kBad);
  EXPECT_EQ(page_words(std::string(500, 'x'), 10), "xxxxxxx...");
}

TEST(PageWords, BytesThatAreNoTextAreCountedAndShownInHexadecimal) {
  const std::string gzip("\x1F\x8B\x08\0\0\0\0\0\x02\xFF\x03\0\0\0\0\0\0\0\0\0", 20);
  EXPECT_EQ(page_words(gzip),
            "20 bytes that are no text, beginning 1f 8b 08 00 00 00 00 00 02 ff 03 00 00 00 00 00");
}

}  // namespace
}  // namespace mdp::core
