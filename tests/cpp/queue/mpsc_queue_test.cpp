#include "mdp/queue/mpsc_queue.hpp"

#include <gtest/gtest.h>

#include <cstdint>
#include <cstdio>
#include <stdexcept>
#include <thread>
#include <vector>

namespace mdp::queue {
namespace {

TEST(MpscQueue, RoundsCapacityUpAndRefusesZero) {
  EXPECT_EQ(MpscQueue<int>(5).capacity(), 8u);
  EXPECT_EQ(MpscQueue<int>(1).capacity(), 2u);
  EXPECT_THROW(MpscQueue<int>(0), std::invalid_argument);
}

TEST(MpscQueue, FullGivesNoSlotUntilOneIsPopped) {
  MpscQueue<int> queue(2);
  for (int value = 1; value <= 2; ++value) {
    int* slot = queue.try_claim();
    ASSERT_NE(slot, nullptr);
    *slot = value;
    queue.commit(slot);
  }
  EXPECT_EQ(queue.try_claim(), nullptr);
  EXPECT_EQ(queue.size(), 2u);
  ASSERT_NE(queue.front(), nullptr);
  EXPECT_EQ(*queue.front(), 1);
  queue.pop();
  EXPECT_NE(queue.try_claim(), nullptr);
}

TEST(MpscQueue, ClaimedButUncommittedSlotHoldsBackTheOnesBehindIt) {
  MpscQueue<int> queue(4);
  int* first = queue.try_claim();
  int* second = queue.try_claim();
  *second = 2;
  queue.commit(second);
  EXPECT_EQ(queue.front(), nullptr);
  *first = 1;
  queue.commit(first);
  EXPECT_EQ(*queue.front(), 1);
  queue.pop();
  EXPECT_EQ(*queue.front(), 2);
}

TEST(MpscQueue, ManyProducersKeepTheirOwnOrderAndLoseNothing) {
  struct Item {
    std::uint32_t producer;
    std::uint64_t number;
  };
  constexpr std::uint32_t kProducers = 3;
  constexpr std::uint64_t kEach = 100'000;
  MpscQueue<Item> queue(64);
  std::vector<std::thread> producers;
  for (std::uint32_t p = 0; p < kProducers; ++p) {
    producers.emplace_back([&queue, p] {
      for (std::uint64_t i = 0; i < kEach; ++i) {
        Item* slot = nullptr;
        while ((slot = queue.try_claim()) == nullptr) std::this_thread::yield();
        *slot = {p, i};
        queue.commit(slot);
      }
    });
  }
  std::vector<std::uint64_t> next(kProducers, 0);
  for (std::uint64_t seen = 0; seen < kProducers * kEach; ++seen) {
    Item* slot = nullptr;
    while ((slot = queue.front()) == nullptr) std::this_thread::yield();
    ASSERT_EQ(slot->number, next[slot->producer]++);
    queue.pop();
  }
  for (auto& producer : producers) producer.join();
  EXPECT_EQ(queue.size(), 0u);
  std::printf("%llu items of %u producers through a queue of 64, each in its order\n",
              0ULL + kProducers * kEach, kProducers);
}

}  // namespace
}  // namespace mdp::queue
