#include "mdp/net/retry_after.hpp"

#include <gtest/gtest.h>

#include <optional>

namespace mdp::net {
namespace {

constexpr std::int64_t kNow = 1'790'000'000;  // 2026-09-21 14:13:20 UTC
constexpr std::int64_t kExample = 784'111'777;

std::optional<std::int64_t> date(std::string_view text) { return parse_http_date(text, kNow); }

TEST(RetryAfter, SecondsAreTakenAsTheyAre) {
  EXPECT_EQ(retry_after_s("0", "", kNow), 0);
  EXPECT_EQ(retry_after_s("17", "Mon, 21 Sep 2026 14:00:00 GMT", kNow), 17);
  EXPECT_EQ(retry_after_s("259200", "", kNow), 3 * 86'400) << "three days, a documented ban";
}

TEST(RetryAfter, WhatIsNoWaitIsNone) {
  for (const char* text :
       {"", "soon", "-1", "-99999999999999999999", "1.5", "1 ", " 1", "+1", "0x10", "1,2"}) {
    EXPECT_EQ(retry_after_s(text, "", kNow), -1) << text;
  }
}

TEST(RetryAfter, DateIsCountedFromTheAnswersOwnDate) {
  EXPECT_EQ(retry_after_s("Mon, 21 Sep 2026 14:13:50 GMT", "Mon, 21 Sep 2026 14:13:47 GMT", kNow), 3);
  EXPECT_EQ(retry_after_s("Tue, 01 Jan 2030 00:00:05 GMT", "Tue, 01 Jan 2030 00:00:00 GMT", kNow), 5)
      << "the server's clock is years ahead of ours";
}

TEST(RetryAfter, DateIsCountedFromOurClockWhereTheAnswerHasNone) {
  EXPECT_EQ(retry_after_s("Mon, 21 Sep 2026 14:13:50 GMT", "", kNow), 30);
  EXPECT_EQ(retry_after_s("Mon, 21 Sep 2026 14:13:50 GMT", "today", kNow), 30);
}

TEST(RetryAfter, IsNeverNegativeNorLongerThanIsBelieved) {
  EXPECT_EQ(retry_after_s("Sun, 06 Nov 1994 08:49:37 GMT", "", kNow), 0);
  EXPECT_EQ(retry_after_s("Mon, 21 Sep 2026 14:13:50 GMT", "Mon, 21 Sep 2026 14:13:51 GMT", kNow), 0);
  for (const char* text :
       {"604801", "9223372036854775807", "99999999999999999999", "Fri, 31 Dec 9999 23:59:59 GMT"}) {
    EXPECT_EQ(retry_after_s(text, "", kNow), kMaxRetryAfterS) << text;
  }
}

TEST(HttpDate, ThreeFormsAreOneTime) {
  EXPECT_EQ(date("Sun, 06 Nov 1994 08:49:37 GMT"), kExample);
  EXPECT_EQ(date("Sunday, 06-Nov-94 08:49:37 GMT"), kExample);
  EXPECT_EQ(date("Sun Nov  6 08:49:37 1994"), kExample);
  EXPECT_EQ(date("Wed Nov 16 08:49:37 1994"), kExample + 10 * 86'400);
}

TEST(HttpDate, TwoDigitsOfAYearAreTheNearestCentury) {
  EXPECT_EQ(date("Monday, 21-Sep-26 14:13:20 GMT"), kNow);
  EXPECT_EQ(date("Friday, 01-Jan-77 00:00:00 GMT"), 220'924'800) << "51 years ahead is the past";
  EXPECT_EQ(date("Wednesday, 01-Jan-76 00:00:00 GMT"), 3'345'062'400);
}

TEST(HttpDate, CalendarIsRespected) {
  EXPECT_EQ(date("Thu, 29 Feb 2024 00:00:00 GMT"), 1'709'164'800);
  EXPECT_EQ(date("Sat, 31 Dec 2016 23:59:60 GMT"), 1'483'228'800) << "a leap second";
  for (const char* text :
       {"Sun, 29 Feb 2026 00:00:00 GMT", "Mon, 00 Nov 1994 08:49:37 GMT", "Mon, 31 Nov 1994 08:49:37 GMT",
        "Sun, 06 Nov 1994 24:00:00 GMT", "Sun, 06 Nov 1994 08:60:37 GMT", "Sun, 06 Nov 1994 08:49:61 GMT"}) {
    EXPECT_EQ(date(text), std::nullopt) << text;
  }
}

TEST(HttpDate, OtherTextsAreNone) {
  for (const char* text :
       {"", "Sun", "Sun,", "Sun, ", "Su, 06 Nov 1994 08:49:37 GMT", "Sun, 06 Nov 1994 08:49:37",
        "Sun, 06 Nov 1994 08:49:37 UTC", "Sun, 06 Nov 1994 08:49:37 GMT ", "Sun, 6 Nov 1994 08:49:37 GMT",
        "Sun, 06 nov 1994 08:49:37 GMT", "Sun, 06 anF 1994 08:49:37 GMT", "Sun, 06-Nov 1994 08:49:37 GMT",
        "Sun, 06 Nov 94 08:49:37 GMT", "Sun Nov 6 08:49:37 1994", "Sun Nov  6 08:49:37 1994 GMT",
        "1994-11-06T08:49:37Z"}) {
    EXPECT_EQ(date(text), std::nullopt) << text;
  }
}

TEST(HttpDate, EveryPrefixIsRefused) {
  for (const std::string_view whole :
       {"Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994"}) {
    for (std::size_t length = 0; length < whole.size(); ++length) {
      EXPECT_EQ(date(whole.substr(0, length)), std::nullopt) << whole.substr(0, length);
    }
  }
}

}  // namespace
}  // namespace mdp::net
