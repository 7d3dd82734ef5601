#include "mdp/net/retry_after.hpp"

#include <algorithm>
#include <charconv>
#include <chrono>

namespace mdp::net {
namespace {

// Takes a text apart from its beginning; `ok` is false once something else was found than was asked for.
struct Scanner {
  std::string_view text;
  bool ok = true;

  void literal(std::string_view expected) noexcept {
    ok = ok && text.starts_with(expected);
    if (ok) text.remove_prefix(expected.size());
  }

  int digits(std::size_t count) noexcept {
    int value = 0;
    ok = ok && text.size() >= count;
    for (std::size_t i = 0; ok && i < count; ++i) {
      ok = text[i] >= '0' && text[i] <= '9';
      value = value * 10 + (text[i] - '0');
    }
    if (ok) text.remove_prefix(count);
    return ok ? value : 0;
  }

  // 1 to 12.
  unsigned month() noexcept {
    constexpr std::string_view kMonths = "JanFebMarAprMayJunJulAugSepOctNovDec";
    const std::size_t at = text.size() < 3 ? std::string_view::npos : kMonths.find(text.substr(0, 3));
    ok = ok && at != std::string_view::npos && at % 3 == 0;
    if (!ok) return 0;
    text.remove_prefix(3);
    return static_cast<unsigned>(at / 3 + 1);
  }

  // hh:mm:ss as seconds of the day; a leap second is one.
  int time() noexcept {
    const int hour = digits(2);
    literal(":");
    const int minute = digits(2);
    literal(":");
    const int second = digits(2);
    ok = ok && hour < 24 && minute < 60 && second <= 60;
    return hour * 3'600 + minute * 60 + second;
  }
};

int year_of(std::int64_t unix_s) noexcept {
  const auto day =
      std::chrono::floor<std::chrono::days>(std::chrono::sys_seconds(std::chrono::seconds(unix_s)));
  return static_cast<int>(std::chrono::year_month_day(day).year());
}

}  // namespace

std::optional<std::int64_t> parse_http_date(std::string_view text, std::int64_t now_s) noexcept {
  // The name of the day says nothing that the date does not.
  const std::size_t day_name_end = text.find_first_of(", ");
  if (day_name_end == std::string_view::npos || day_name_end < 3) return std::nullopt;
  Scanner scan{text.substr(day_name_end)};
  int year = 0;
  unsigned month = 0;
  int day = 0;
  int seconds = 0;
  if (scan.text.starts_with(' ')) {  // Sun Nov  6 08:49:37 1994, of C's asctime()
    scan.literal(" ");
    month = scan.month();
    scan.literal(" ");
    const bool one_digit = scan.text.starts_with(' ');
    if (one_digit) scan.literal(" ");
    day = scan.digits(one_digit ? 1 : 2);
    scan.literal(" ");
    seconds = scan.time();
    scan.literal(" ");
    year = scan.digits(4);
  } else {
    scan.literal(", ");
    day = scan.digits(2);
    const bool rfc_850 = scan.text.starts_with('-');
    const std::string_view separator = rfc_850 ? "-" : " ";
    scan.literal(separator);
    month = scan.month();
    scan.literal(separator);
    if (rfc_850) {  // Sunday, 06-Nov-94 08:49:37 GMT
      const int this_year = year_of(now_s);
      year = this_year / 100 * 100 + scan.digits(2);
      // What looks more than 50 years away is the past.
      if (year > this_year + 50) year -= 100;
    } else {  // Sun, 06 Nov 1994 08:49:37 GMT
      year = scan.digits(4);
    }
    scan.literal(" ");
    seconds = scan.time();
    scan.literal(" GMT");
  }
  const std::chrono::year_month_day date{std::chrono::year(year), std::chrono::month(month),
                                         std::chrono::day(static_cast<unsigned>(day))};
  if (!scan.ok || !scan.text.empty() || !date.ok()) return std::nullopt;
  return std::int64_t{std::chrono::sys_days(date).time_since_epoch().count()} * 86'400 + seconds;
}

std::int64_t retry_after_s(std::string_view value, std::string_view date, std::int64_t now_s) noexcept {
  std::int64_t wait_s = -1;
  const char* const end = value.data() + value.size();
  const auto [stop, error] = std::from_chars(value.data(), end, wait_s);
  if (stop == end && error != std::errc::invalid_argument) {
    if (value.starts_with('-')) return -1;
    return error == std::errc{} ? std::min(wait_s, kMaxRetryAfterS) : kMaxRetryAfterS;
  }
  const auto until = parse_http_date(value, now_s);
  if (!until) return -1;
  const std::int64_t from = parse_http_date(date, now_s).value_or(now_s);
  return std::clamp(*until - from, std::int64_t{0}, kMaxRetryAfterS);
}

}  // namespace mdp::net
