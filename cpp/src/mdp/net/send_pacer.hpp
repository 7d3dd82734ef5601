// SendPacer: keeps what we send on one connection below the venue's limit. Loop thread only; header-only,
// time is given by the caller.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace mdp::net {

class SendPacer {
 public:
  // No more than `max_per_second` messages in any second; 0: no limit. A limit of less than one a second is
  // one message in a longer window.
  explicit SendPacer(double max_per_second = 0) {
    if (max_per_second <= 0) return;
    const double burst = std::max(1.0, static_cast<double>(static_cast<std::int64_t>(max_per_second)));
    // A tenth longer than asked: messages sent evenly may arrive closer together than they left.
    window_ns_ = static_cast<std::int64_t>(1.1e9 * burst / max_per_second);
    sent_ns_.assign(static_cast<std::size_t>(burst), kNever);
  }

  // Counts a message that had to be sent whatever the limit says: a pong, a ping of ours.
  void note(std::int64_t now_ns) noexcept {
    if (sent_ns_.empty()) return;
    sent_ns_[oldest_] = now_ns;
    oldest_ = (oldest_ + 1) % sent_ns_.size();
  }

  // Nanoseconds until a text message may be sent; 0: now, then call note(). Where the limit allows more than
  // one, the last place is kept free, so that the venue's ping can always be answered.
  std::int64_t delay_ns(std::int64_t now_ns) const noexcept {
    if (sent_ns_.empty()) return 0;
    const std::size_t reserved = sent_ns_.size() > 1 ? 1 : 0;
    const std::int64_t at_ns = sent_ns_[(oldest_ + reserved) % sent_ns_.size()];
    return at_ns == kNever ? 0 : std::max<std::int64_t>(0, at_ns + window_ns_ - now_ns);
  }

 private:
  static constexpr std::int64_t kNever = INT64_MIN;

  std::int64_t window_ns_ = 0;
  std::vector<std::int64_t> sent_ns_;  // the last messages, as a ring
  std::size_t oldest_ = 0;
};

}  // namespace mdp::net
