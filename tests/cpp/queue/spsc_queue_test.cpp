#include "mdp/queue/spsc_queue.hpp"

#include <gtest/gtest.h>

#include <cstdint>
#include <cstdio>
#include <memory>
#include <stdexcept>
#include <thread>

#include "mdp/queue/own_spsc_queue.hpp"
#include "mdp/queue/spsc_slot_queue.hpp"

namespace mdp::queue {
namespace {

// The alias and the project's own queue: the same test whichever implementation the build took.
template <class Queue>
class SpscQueueTest : public testing::Test {};
template <class T>
struct Names {
  template <class Q>
  static std::string GetName(int index) {
    return index == 0 ? std::string("Alias_") + kSpscQueueName : "Own";
  }
};
using Queues = testing::Types<SpscQueue<std::uint64_t>, OwnSpscQueue<std::uint64_t>>;
TYPED_TEST_SUITE(SpscQueueTest, Queues, Names<void>);

TYPED_TEST(SpscQueueTest, HoldsExactlyItsCapacityInOrder) {
  TypeParam queue(3);
  EXPECT_EQ(queue.capacity(), 3u);
  EXPECT_EQ(queue.front(), nullptr);
  EXPECT_TRUE(queue.try_push(1));
  EXPECT_TRUE(queue.try_push(2));
  EXPECT_TRUE(queue.try_push(3));
  EXPECT_FALSE(queue.try_push(4));
  EXPECT_EQ(queue.size(), 3u);
  for (std::uint64_t expected = 1; expected <= 3; ++expected) {
    ASSERT_NE(queue.front(), nullptr);
    EXPECT_EQ(*queue.front(), expected);
    queue.pop();
  }
  EXPECT_TRUE(queue.empty());
}

TYPED_TEST(SpscQueueTest, IndicesWrapManyTimes) {
  TypeParam queue(2);
  for (std::uint64_t i = 0; i < 1000; ++i) {
    ASSERT_TRUE(queue.try_push(i));
    ASSERT_EQ(*queue.front(), i);
    queue.pop();
  }
}

TYPED_TEST(SpscQueueTest, TwoThreadsLoseAndReorderNothing) {
  TypeParam queue(64);
  constexpr std::uint64_t kCount = 300'000;
  std::thread producer([&] {
    for (std::uint64_t i = 0; i < kCount; ++i) {
      while (!queue.try_push(i * 7)) std::this_thread::yield();
    }
  });
  for (std::uint64_t i = 0; i < kCount; ++i) {
    while (queue.front() == nullptr) std::this_thread::yield();
    ASSERT_EQ(*queue.front(), i * 7);
    queue.pop();
  }
  producer.join();
  EXPECT_TRUE(queue.empty());
  std::printf("%llu values through a queue of 64, in order\n", 0ULL + kCount);
}

TEST(OwnSpscQueue, DestroysWhatIsLeft) {
  auto counted = std::make_shared<int>(0);
  {
    OwnSpscQueue<std::shared_ptr<int>> queue(4);
    EXPECT_TRUE(queue.try_push(counted));
    EXPECT_TRUE(queue.try_push(counted));
    ASSERT_NE(queue.front(), nullptr);
    queue.pop();
    EXPECT_EQ(counted.use_count(), 2);
  }
  EXPECT_EQ(counted.use_count(), 1);
}

TEST(OwnSpscQueue, RefusesZeroCapacity) { EXPECT_THROW(OwnSpscQueue<int>(0), std::invalid_argument); }

TEST(SpscSlotQueue, SlotIsFilledInPlaceAndKeptWhileFull) {
  SpscSlotQueue<int> queue(2);
  for (int value = 1; value <= 2; ++value) {
    *queue.claim() = value;
    EXPECT_TRUE(queue.try_commit());
  }
  *queue.claim() = 3;  // the slot beyond the capacity is free to fill...
  EXPECT_FALSE(queue.try_commit());
  EXPECT_EQ(*queue.front(), 1);
  queue.pop();
  EXPECT_TRUE(queue.try_commit());  // ...and keeps what was written until there is room
  EXPECT_EQ(*queue.front(), 2);
  queue.pop();
  EXPECT_EQ(*queue.front(), 3);
  queue.pop();
  EXPECT_EQ(queue.front(), nullptr);
}

TEST(SpscSlotQueue, NoSlotIsWrittenWhileTheConsumerReadsIt) {
  struct Wide {
    std::uint64_t words[32];
  };
  SpscSlotQueue<Wide> queue(3);
  constexpr std::uint64_t kCount = 100'000;
  std::thread producer([&] {
    for (std::uint64_t i = 0; i < kCount; ++i) {
      for (auto& word : queue.claim()->words) word = i;
      while (!queue.try_commit()) std::this_thread::yield();
    }
  });
  for (std::uint64_t i = 0; i < kCount; ++i) {
    Wide* slot = nullptr;
    while ((slot = queue.front()) == nullptr) std::this_thread::yield();
    for (const auto word : slot->words) ASSERT_EQ(word, i);
    queue.pop();
  }
  producer.join();
  std::printf("%llu slots of 32 words through 3, none torn\n", 0ULL + kCount);
}

}  // namespace
}  // namespace mdp::queue
