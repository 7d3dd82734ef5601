#include "mdp/net/connect_limiter.hpp"

#include <algorithm>
#include <map>

namespace mdp::net {

namespace {
constexpr std::int64_t kNever = INT64_MIN;
}  // namespace

ConnectLimiter::ConnectLimiter(const ConnectLimits& limits)
    : limits_(limits), places_ns_(limits.max_connects, kNever) {}

std::int64_t ConnectLimiter::take_ns(std::int64_t now_ns) {
  const std::lock_guard lock(mutex_);
  std::int64_t at_ns = std::max(now_ns, next_ns_);
  if (!places_ns_.empty()) {
    std::int64_t& oldest_ns = places_ns_[oldest_];
    // Places are given in the order of their times, so the oldest leaves the window first.
    if (oldest_ns != kNever) at_ns = std::max(at_ns, oldest_ns + limits_.window.count());
    oldest_ns = at_ns;
    oldest_ = (oldest_ + 1) % places_ns_.size();
  }
  next_ns_ = at_ns + limits_.min_gap.count();
  return at_ns - now_ns;
}

void ConnectLimiter::hold_until(std::int64_t until_ns) {
  const std::lock_guard lock(mutex_);
  next_ns_ = std::max(next_ns_, until_ns);
}

std::shared_ptr<ConnectLimiter> ConnectLimiter::shared(const Url& url, const ConnectLimits& limits) {
  static std::mutex mutex;
  // Kept for good: who stops its lines and starts others has not left the venue's window.
  static std::map<std::string, std::shared_ptr<ConnectLimiter>> limiters;
  const std::string host = is_loopback_host(url.host) ? url.authority() : url.host;
  const std::lock_guard lock(mutex);
  std::shared_ptr<ConnectLimiter>& limiter = limiters[host];
  if (!limiter) limiter = std::make_shared<ConnectLimiter>(limits);
  return limiter;
}

}  // namespace mdp::net
