// ConnectLimiter: keeps the attempts to connect to one host below what the venue allows, over all lines of
// the process. Asked before each attempt, off the message path.
//
// A venue counts attempts per address of the client and window (Binance: 300 in 5 minutes), and bans who
// exceeds it. So the lines of a host share one of these, and attempts are places in one queue: each line gets
// the time from which it may connect, in the order of asking. After a mass disconnect the lines come back one
// behind the other instead of all at once.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "mdp/net/url.hpp"

namespace mdp::net {

struct ConnectLimits {
  std::size_t max_connects = 0;  // in any window; 0: no limit but min_gap
  std::chrono::nanoseconds window = std::chrono::minutes(5);
  std::chrono::nanoseconds min_gap = std::chrono::milliseconds(20);  // between two attempts
};

// Any thread.
class ConnectLimiter {
 public:
  explicit ConnectLimiter(const ConnectLimits& limits);

  // Takes the next place: how long from `now_ns` until the attempt may be made, 0 for at once. A place taken
  // counts, whether or not it is used. `now_ns` is a monotonic clock, the same for all callers.
  std::int64_t take_ns(std::int64_t now_ns);

  // The venue asks this host's clients to stay away until then (Retry-After): nobody gets a place before.
  // Places given already are not taken back.
  void hold_until(std::int64_t until_ns);

  const ConnectLimits& limits() const noexcept { return limits_; }

  // The limiter that all lines to the host of `url` share; the first of them made it, with its limits. On
  // loopback each port is a host of its own: another server.
  static std::shared_ptr<ConnectLimiter> shared(const Url& url, const ConnectLimits& limits);

 private:
  const ConnectLimits limits_;
  std::mutex mutex_;
  std::vector<std::int64_t> places_ns_;  // the last max_connects places, as a ring
  std::size_t oldest_ = 0;
  std::int64_t next_ns_ = INT64_MIN;  // no place before: the last one and min_gap, or hold_until()
};

}  // namespace mdp::net
