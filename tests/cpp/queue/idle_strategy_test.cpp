#include "mdp/queue/idle_strategy.hpp"

#include <gtest/gtest.h>

#include <cstdint>
#include <thread>

#include "mdp/queue/spsc_queue.hpp"

namespace mdp::queue {
namespace {

TEST(IdleStrategy, AutoSpinsOnlyWithACoreForEveryThreadAndTwoToSpare) {
  EXPECT_EQ(resolve(IdleMode::Auto, 4, 8), IdleMode::Spin);
  EXPECT_EQ(resolve(IdleMode::Auto, 4, 5), IdleMode::Park);
  EXPECT_EQ(resolve(IdleMode::Auto, 1, 2), IdleMode::Park);
  EXPECT_EQ(resolve(IdleMode::Yield, 9, 2), IdleMode::Yield);
}

class IdleStrategyHandOff : public testing::TestWithParam<IdleMode> {};

// A lost wake-up would hang here: the producer sends the next item only after the consumer took the last.
TEST_P(IdleStrategyHandOff, NoWakeUpIsLost) {
  constexpr std::uint64_t kCount = 3'000;
  WakeSignal to_consumer;
  WakeSignal to_producer;
  SpscQueue<std::uint64_t> there(1);
  SpscQueue<std::uint64_t> back(1);
  const auto receive = [](SpscQueue<std::uint64_t>& queue, IdleStrategy& idle) {
    while (queue.front() == nullptr) idle.idle([&] { return queue.front() != nullptr; });
    idle.reset();
    const std::uint64_t value = *queue.front();
    queue.pop();
    return value;
  };
  std::thread echo([&] {
    IdleStrategy idle(GetParam(), to_consumer);
    for (std::uint64_t i = 0; i < kCount; ++i) {
      back.push(receive(there, idle));
      to_producer.notify();
    }
  });
  IdleStrategy idle(GetParam(), to_producer);
  for (std::uint64_t i = 0; i < kCount; ++i) {
    there.push(i);
    to_consumer.notify();
    ASSERT_EQ(receive(back, idle), i);
  }
  echo.join();
}

// Spin is left out: two spinning threads on a shared core make no progress but by preemption.
INSTANTIATE_TEST_SUITE_P(Modes, IdleStrategyHandOff, testing::Values(IdleMode::Yield, IdleMode::Park),
                         [](const auto& param) { return to_string(param.param); });

}  // namespace
}  // namespace mdp::queue
