// FramePool: the fixed set of buffers the socket reads into. They travel to the parser by handle and come
// back.
//
// The connector thread acquires, grows and puts back; ONE other thread releases (pipelined), or the connector
// thread itself does (fused). FramePoolOptions says which: nothing is guessed at run time.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "mdp/core/counters.hpp"
#include "mdp/core/raw_message.hpp"
#include "mdp/queue/spsc_queue.hpp"

namespace mdp::net {

enum class ReleaseFrom : std::uint8_t {
  OtherThread,  // one thread that is not the connector's: handles come back through an SPSC
  SameThread,   // the connector thread, from within on_frame or later: straight to the free list
};

struct FramePoolOptions {
  std::size_t frame_count = 1024;
  std::size_t frame_bytes = 16 * 1024;  // capacity a buffer starts with
  std::size_t max_frame_bytes =
      64 * 1024 * 1024;  // a longer frame drops the line with LineReason::FrameTooLarge
  ReleaseFrom release_from = ReleaseFrom::OtherThread;
};

class FramePool {
 public:
  // One buffer, while the connector thread holds it. core::kFramePadding readable bytes follow `capacity`.
  struct Frame {
    char* data = nullptr;
    std::size_t capacity = 0;
    std::uint32_t buffer_index = 0;
  };

  enum class GrowStatus : std::uint8_t {
    Ok,
    TooLarge,     // max_frame_bytes reached
    OutOfMemory,  // the allocation failed; the frame is as it was
  };

  // Allocates every buffer. Throws ConfigError for a zero count or size, or a maximum below frame_bytes or
  // above 4 GiB.
  explicit FramePool(const FramePoolOptions& options);

  // --- connector thread ---

  // Takes a free buffer, the one released last first (its memory is warm). False: all are out.
  [[nodiscard]] bool acquire(Frame& out) noexcept;
  // Doubles the capacity, keeping the first `used` bytes. The buffer stays this large: since the warmest
  // buffer is taken first, few ever grow. The one allocation on the path, once per record size of a buffer.
  [[nodiscard]] GrowStatus grow(Frame& frame, std::size_t used) noexcept;
  // Gives back a frame that was not handed on.
  void put_back(const Frame& frame) noexcept;
  // After a failed acquire: asks release() to call the wake function. A release in the very same instant can
  // miss it, so the caller also looks again on a timer.
  void wait_for_release() noexcept;

  // --- the releasing thread (see ReleaseFrom) ---

  // Hands the buffer of `message` back; its bytes are the connector's from then on.
  void release(const core::RawMessage& message) noexcept;

  // Called by the releasing thread when a frame came back that the connector waits for. Set before the first
  // acquire.
  void set_wake(std::function<void()> wake) { wake_ = std::move(wake); }

  std::size_t frame_count() const noexcept { return buffers_.size(); }
  const FramePoolOptions& options() const noexcept { return options_; }

 private:
  struct Buffer {
    std::unique_ptr<char[]> bytes;
    std::size_t capacity = 0;
  };

  FramePoolOptions options_;
  std::vector<Buffer> buffers_;      // connector thread only: release() passes on an index
  std::vector<std::uint32_t> free_;  // connector thread only; a stack, with room for every buffer
  // Releasing thread writes, connector thread reads. It holds every buffer there is, so it is never full.
  queue::SpscQueue<std::uint32_t> returned_;
  std::function<void()> wake_;
  // On its own line: written by both threads, but only when the pool ran dry.
  alignas(shm::kCacheLineSize) std::atomic<bool> waiting_{false};
};

}  // namespace mdp::net
