#include "mdp/net/frame_pool.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <thread>

#include "mdp/core/error.hpp"

namespace mdp::net {
namespace {

FramePoolOptions small(ReleaseFrom release_from) {
  FramePoolOptions options;
  options.frame_count = 4;
  options.frame_bytes = 100;
  options.max_frame_bytes = 1'000;
  options.release_from = release_from;
  return options;
}

core::RawMessage message_of(const FramePool::Frame& frame) {
  core::RawMessage message{};
  message.data = frame.data;
  message.buffer_index = frame.buffer_index;
  return message;
}

class FramePoolFrom : public testing::TestWithParam<ReleaseFrom> {};

TEST_P(FramePoolFrom, GivesEveryBufferOnceAndThenNone) {
  FramePool pool(small(GetParam()));
  std::vector<FramePool::Frame> frames(4);
  for (auto& frame : frames) {
    ASSERT_TRUE(pool.acquire(frame));
    EXPECT_EQ(frame.capacity, 100u);
    const char* padding = frame.data + frame.capacity;
    EXPECT_TRUE(std::all_of(padding, padding + core::kFramePadding, [](char c) { return c == 0; }));
    std::memset(frame.data, 'x', frame.capacity);
  }
  FramePool::Frame none;
  EXPECT_FALSE(pool.acquire(none));
  pool.release(message_of(frames[2]));
  ASSERT_TRUE(pool.acquire(none));
  EXPECT_EQ(none.data, frames[2].data);
}

TEST_P(FramePoolFrom, TakesTheBufferReleasedLastFirst) {
  FramePool pool(small(GetParam()));
  FramePool::Frame a;
  FramePool::Frame b;
  FramePool::Frame again;
  ASSERT_TRUE(pool.acquire(a) && pool.acquire(b));
  pool.release(message_of(a));
  pool.release(message_of(b));
  ASSERT_TRUE(pool.acquire(again));
  EXPECT_EQ(again.buffer_index, b.buffer_index);
}

INSTANTIATE_TEST_SUITE_P(Release, FramePoolFrom,
                         testing::Values(ReleaseFrom::OtherThread, ReleaseFrom::SameThread),
                         [](const auto& param) {
                           return param.param == ReleaseFrom::OtherThread ? "OtherThread" : "SameThread";
                         });

TEST(FramePool, GrowthKeepsBytesAndEndsAtTheMaximum) {
  FramePool pool(small(ReleaseFrom::SameThread));
  FramePool::Frame frame;
  ASSERT_TRUE(pool.acquire(frame));
  std::memset(frame.data, 'x', 100);
  std::vector<std::size_t> capacities;
  while (pool.grow(frame, 100) == FramePool::GrowStatus::Ok) capacities.push_back(frame.capacity);
  EXPECT_EQ(capacities, (std::vector<std::size_t>{200, 400, 800, 1'000}));
  EXPECT_EQ(std::string(frame.data, 100), std::string(100, 'x'));
  EXPECT_EQ(std::string(frame.data + 1'000, core::kFramePadding), std::string(core::kFramePadding, '\0'));
  EXPECT_EQ(pool.grow(frame, 100), FramePool::GrowStatus::TooLarge);
  pool.put_back(frame);
  FramePool::Frame again;
  ASSERT_TRUE(pool.acquire(again));
  EXPECT_EQ(again.capacity, 1'000u);
}

TEST(FramePool, WakesOnceForAWaiter) {
  FramePool pool(small(ReleaseFrom::OtherThread));
  int wakes = 0;
  pool.set_wake([&] { ++wakes; });
  std::vector<FramePool::Frame> frames(4);
  for (auto& frame : frames) ASSERT_TRUE(pool.acquire(frame));
  pool.release(message_of(frames[0]));
  EXPECT_EQ(wakes, 0);
  pool.wait_for_release();
  pool.release(message_of(frames[1]));
  pool.release(message_of(frames[2]));
  EXPECT_EQ(wakes, 1);
}

TEST(FramePool, TwoThreadsNeverHoldTheSameBuffer) {
  constexpr std::size_t kRounds = 100'000;
  FramePool pool(small(ReleaseFrom::OtherThread));
  queue::SpscQueue<core::RawMessage> raw(pool.frame_count());
  std::atomic<bool> wrong{false};
  std::thread parser([&] {
    for (std::size_t i = 0; i < kRounds; ++i) {
      core::RawMessage* front = raw.front();
      while (front == nullptr) {
        std::this_thread::yield();
        front = raw.front();
      }
      const core::RawMessage message = *front;
      raw.pop();
      std::size_t seen = 0;
      std::memcpy(&seen, message.data, sizeof seen);
      if (seen != i) wrong = true;
      pool.release(message);
    }
  });
  for (std::size_t i = 0; i < kRounds; ++i) {
    FramePool::Frame frame;
    while (!pool.acquire(frame)) std::this_thread::yield();
    std::memcpy(frame.data, &i, sizeof i);
    ASSERT_TRUE(raw.try_push(message_of(frame)));  // as many slots as buffers: never full
  }
  parser.join();
  EXPECT_FALSE(wrong);
}

TEST(FramePool, ImpossibleOptionsAreRefused) {
  const auto refused = [](std::size_t count, std::size_t bytes, std::size_t max) {
    try {
      FramePool pool({count, bytes, max, ReleaseFrom::SameThread});
    } catch (const ConfigError& error) {
      return std::string(error.what());
    }
    return std::string("accepted");
  };
  EXPECT_EQ(refused(1, 1, 1), "accepted");
  EXPECT_NE(refused(0, 1, 1).find("frame_count"), std::string::npos);
  EXPECT_NE(refused(1, 0, 1).find("frame_bytes"), std::string::npos);
  EXPECT_NE(refused(1, 2, 1).find("max_frame_bytes"), std::string::npos);
  EXPECT_NE(refused(1, 1, std::size_t{1} << 33).find("max_frame_bytes"), std::string::npos);
}

}  // namespace
}  // namespace mdp::net
