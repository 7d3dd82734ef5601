#include "mdp/net/io_loop.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <stdexcept>
#include <thread>
#include <vector>

#include "net/fake_server.hpp"

namespace mdp::net::test {
namespace {

class IoLoopIn : public testing::TestWithParam<queue::IdleMode> {};

TEST_P(IoLoopIn, RunsTasksInOrderOnItsThreadUntilStopped) {
  IoLoop loop;
  std::vector<int> order;
  std::atomic<bool> in_thread{true};
  EXPECT_FALSE(loop.running());
  loop.post([&] { order.push_back(0); });  // before run() counts too
  std::thread thread([&] { loop.run(GetParam()); });
  for (int i = 1; i < 100; ++i) {
    loop.post([&, i] {
      order.push_back(i);
      in_thread = in_thread && loop.in_loop_thread();
    });
  }
  loop.post([&] { loop.stop(); });
  thread.join();
  ASSERT_EQ(order.size(), 100u);
  for (int i = 0; i < 100; ++i) EXPECT_EQ(order[static_cast<std::size_t>(i)], i);
  EXPECT_TRUE(in_thread);
  EXPECT_FALSE(loop.in_loop_thread());
  EXPECT_FALSE(loop.running());
}

TEST_P(IoLoopIn, StopFromAnotherThreadEndsAnIdleLoop) {
  IoLoop loop;
  std::thread thread([&] { loop.run(GetParam()); });
  EXPECT_TRUE(eventually([&] { return loop.running(); }));
  loop.stop();
  thread.join();
}

TEST_P(IoLoopIn, HookRunsAfterARound) {
  IoLoop loop;
  int hooks = 0;
  loop.set_poll_hook([&] {
    if (++hooks == 3) loop.stop();
    loop.post([] {});
  });
  loop.post([] {});
  loop.run(GetParam());
  EXPECT_EQ(hooks, 3);
}

INSTANTIATE_TEST_SUITE_P(Modes, IoLoopIn,
                         testing::Values(queue::IdleMode::Park, queue::IdleMode::Yield,
                                         queue::IdleMode::Spin),
                         [](const auto& param) { return std::string(queue::to_string(param.param)); });

TEST(IoLoop, StopBeforeRunIsNotLost) {
  IoLoop loop;
  loop.stop();
  loop.run(queue::IdleMode::Park);  // returns
}

TEST(IoLoop, TasksNeverRunAreDestroyed) {
  const auto token = std::make_shared<int>(0);
  {
    IoLoop loop;
    loop.post([token] {});
    EXPECT_EQ(token.use_count(), 2);
  }
  EXPECT_EQ(token.use_count(), 1);
}

TEST(IoLoop, ExceptionOfATaskLeavesRunAndTheLoopCanGoOn) {
  IoLoop loop;
  bool ran = false;
  loop.post([] { throw std::runtime_error("task"); });
  loop.post([&] {
    ran = true;
    loop.stop();
  });
  EXPECT_THROW(loop.run(queue::IdleMode::Park), std::runtime_error);
  EXPECT_FALSE(loop.running());
  loop.run(queue::IdleMode::Park);
  EXPECT_TRUE(ran);
}

}  // namespace
}  // namespace mdp::net::test
