// Retry-After (RFC 9110 section 10.2.3): how long a server asks its clients to stay away. Not on the message
// path.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace mdp::net {

// What is longer is not believed: the longest ban a venue has documented is three days.
constexpr std::int64_t kMaxRetryAfterS = 7 * 86'400;

// The wait in seconds, 0 to kMaxRetryAfterS; -1 where `value` is neither a number of seconds nor an HTTP
// date. A date is counted from `date`, the answer's own Date header, for the server's clock may differ from
// ours; from `now_s` (Unix time) where that is no date.
std::int64_t retry_after_s(std::string_view value, std::string_view date, std::int64_t now_s) noexcept;

// Unix time of an HTTP date (RFC 9110 section 5.6.7) in any of its three forms. `now_s` says which century
// two digits of a year mean. nullopt: it is none.
std::optional<std::int64_t> parse_http_date(std::string_view text, std::int64_t now_s) noexcept;

}  // namespace mdp::net
