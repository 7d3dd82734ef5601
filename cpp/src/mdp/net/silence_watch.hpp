// SilenceWatch: tells a dead line from a quiet one. Whatever byte comes from the venue shows that the line
// lives: a frame of any symbol, a ping, the answer to a ping of ours. So a quiet symbol never ends a line,
// and a line on which nothing comes is asked before it is given up. Loop thread only; header-only.
#pragma once

#include <cstdint>

namespace mdp::net {

class SilenceWatch {
 public:
  enum class Verdict : std::uint8_t {
    Fine,
    Probe,  // half of the idle time-out went by in silence: send a ping, whose answer is a byte
    Dead,   // all of it did
  };

  // To be called kTicks times per idle time-out, evenly. Bytes are counted instead of times compared: a clock
  // that jumps, or a loop that was held up, ends no line. `reading`: false while we leave bytes in the socket
  // on purpose, since then silence says nothing.
  static constexpr int kTicks = 4;
  Verdict tick(std::uint64_t bytes_received, bool reading) noexcept {
    if (bytes_received != seen_bytes_ || !reading) {
      seen_bytes_ = bytes_received;
      silent_ticks_ = 0;
      return Verdict::Fine;
    }
    ++silent_ticks_;
    if (silent_ticks_ >= kTicks) return Verdict::Dead;
    return silent_ticks_ == kTicks / 2 ? Verdict::Probe : Verdict::Fine;
  }

 private:
  std::uint64_t seen_bytes_ = 0;
  int silent_ticks_ = 0;
};

}  // namespace mdp::net
