#include "mdp/net/frame_pool.hpp"

#include <algorithm>
#include <cstring>
#include <limits>
#include <new>
#include <string>

#include "mdp/core/error.hpp"

namespace mdp::net {
namespace {

const FramePoolOptions& checked(const FramePoolOptions& options) {
  if (options.frame_count == 0 || options.frame_count > std::numeric_limits<std::uint32_t>::max()) {
    throw ConfigError("frame pool: frame_count must be 1 to 4294967295, found " +
                      std::to_string(options.frame_count));
  }
  if (options.frame_bytes == 0) throw ConfigError("frame pool: frame_bytes must be at least 1, found 0");
  // RawMessage::size has 32 bits.
  if (options.max_frame_bytes < options.frame_bytes ||
      options.max_frame_bytes > std::numeric_limits<std::uint32_t>::max()) {
    throw ConfigError("frame pool: max_frame_bytes must be frame_bytes (" +
                      std::to_string(options.frame_bytes) + ") to 4294967295, found " +
                      std::to_string(options.max_frame_bytes));
  }
  return options;
}

}  // namespace

FramePool::FramePool(const FramePoolOptions& options)
    : options_(checked(options)), buffers_(options.frame_count), returned_(options.frame_count) {
  free_.reserve(buffers_.size());
  for (std::size_t i = 0; i < buffers_.size(); ++i) {
    // Value-initialized: the pages are touched now, not on the path, and the padding is zero.
    buffers_[i].bytes = std::make_unique<char[]>(options_.frame_bytes + core::kFramePadding);
    buffers_[i].capacity = options_.frame_bytes;
    free_.push_back(static_cast<std::uint32_t>(buffers_.size() - 1 - i));
  }
}

bool FramePool::acquire(Frame& out) noexcept {
  while (const std::uint32_t* index = returned_.front()) {
    free_.push_back(*index);
    returned_.pop();
  }
  if (free_.empty()) return false;
  const std::uint32_t index = free_.back();
  free_.pop_back();
  out = {buffers_[index].bytes.get(), buffers_[index].capacity, index};
  return true;
}

FramePool::GrowStatus FramePool::grow(Frame& frame, std::size_t used) noexcept {
  MDP_ASSERT(used <= frame.capacity);
  if (frame.capacity >= options_.max_frame_bytes) return GrowStatus::TooLarge;
  const std::size_t capacity = std::min(frame.capacity * 2, options_.max_frame_bytes);
  std::unique_ptr<char[]> bytes(new (std::nothrow) char[capacity + core::kFramePadding]);
  if (!bytes) return GrowStatus::OutOfMemory;
  std::memcpy(bytes.get(), frame.data, used);
  std::memset(bytes.get() + capacity, 0, core::kFramePadding);
  Buffer& buffer = buffers_[frame.buffer_index];
  buffer.bytes = std::move(bytes);
  buffer.capacity = capacity;
  frame.data = buffer.bytes.get();
  frame.capacity = capacity;
  return GrowStatus::Ok;
}

void FramePool::put_back(const Frame& frame) noexcept { free_.push_back(frame.buffer_index); }

void FramePool::wait_for_release() noexcept {
  // relaxed: a hint only. A release that reads it too early misses the wake-up, and the caller's timer finds
  // the buffer; partner is the load in release().
  waiting_.store(true, std::memory_order_relaxed);
}

void FramePool::release(const core::RawMessage& message) noexcept {
  MDP_ASSERT(message.buffer_index < buffers_.size());
  if (options_.release_from == ReleaseFrom::SameThread) {
    free_.push_back(message.buffer_index);  // room for every buffer was reserved
  } else {
    const bool pushed = returned_.try_push(message.buffer_index);
    MDP_ASSERT(pushed);  // else some buffer came back twice
    static_cast<void>(pushed);
  }
  // relaxed: see wait_for_release(). Read first, so that the line stays shared as long as nobody waits.
  if (waiting_.load(std::memory_order_relaxed) && waiting_.exchange(false, std::memory_order_relaxed) &&
      wake_) {
    wake_();
  }
}

}  // namespace mdp::net
