// SendPacer: keeps what we send on one connection below a limit of the venue. Loop thread only; header-only,
// time is given by the caller.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "mdp/core/endpoint.hpp"

namespace mdp::net {

class SendPacer {
 public:
  // `kept_free`: places of the limit that text messages never take (core::Endpoint::messages keeps one for
  // the answer to a ping). A limit of one message is all theirs.
  explicit SendPacer(const core::RateLimit& limit = {}, std::size_t kept_free = 1)
      // A tenth longer than asked: messages sent evenly may arrive closer together than they left.
      : window_ns_(limit.window.count() / 10 * 11),
        kept_free_(limit.count > kept_free ? kept_free : 0),
        sent_ns_(limit.count, kNever) {}

  // Counts a message that had to be sent whatever the limit says: a pong, a ping of ours.
  void note(std::int64_t now_ns) noexcept {
    if (sent_ns_.empty()) return;
    sent_ns_[oldest_] = now_ns;
    oldest_ = (oldest_ + 1) % sent_ns_.size();
  }

  // Nanoseconds until a text message may be sent; 0: now, then call note().
  std::int64_t delay_ns(std::int64_t now_ns) const noexcept {
    if (sent_ns_.empty()) return 0;
    const std::int64_t at_ns = sent_ns_[(oldest_ + kept_free_) % sent_ns_.size()];
    return at_ns == kNever ? 0 : std::max<std::int64_t>(0, at_ns + window_ns_ - now_ns);
  }

 private:
  static constexpr std::int64_t kNever = INT64_MIN;

  std::int64_t window_ns_;
  std::size_t kept_free_;
  std::vector<std::int64_t> sent_ns_;  // the last messages, as a ring
  std::size_t oldest_ = 0;
};

}  // namespace mdp::net
