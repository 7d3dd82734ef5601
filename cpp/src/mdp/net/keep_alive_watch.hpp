// KeepAliveWatch: says when the venue is due a sign of life (core::KeepAlive). Loop thread only; header-only.
#pragma once

#include <cstdint>

namespace mdp::net {

class KeepAliveWatch {
 public:
  // `when_silent`: due only where nothing came from the venue meanwhile.
  explicit KeepAliveWatch(bool when_silent) : when_silent_(when_silent) {}

  // To be called kTicks times per KeepAlive::every, evenly. True: send the text now. Bytes are counted
  // instead of times compared, as in SilenceWatch.
  static constexpr int kTicks = 4;
  bool tick(std::uint64_t bytes_received) noexcept {
    if (when_silent_ && bytes_received != seen_bytes_) ticks_ = 0;
    seen_bytes_ = bytes_received;
    // Bytes that came since the tick before came at any time since: that tick does not count as a silent one.
    if (++ticks_ < (when_silent_ ? kTicks + 1 : kTicks)) return false;
    ticks_ = when_silent_ ? 1 : 0;
    return true;
  }

 private:
  const bool when_silent_;
  std::uint64_t seen_bytes_ = 0;
  int ticks_ = 0;
};

}  // namespace mdp::net
