// The doorbell: a reader that sleeps is woken by the next record, nobody who watches costs a system call, and
// none sleeps on when the two sides meet in the middle.
#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>
#include <cstdint>
#include <fstream>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "mdp/publish/ipc_publisher.hpp"
#include "mdp/shm/mdp_shm.h"
#include "publish/test_segment.hpp"

namespace mdp::publish {
namespace {

using test::MemorySegment;

constexpr std::int64_t kLong = 3'600'000'000'000;  // who sleeps through it hangs, and ctest says so

std::int64_t test_now_ns = 1'000'000'000;
std::int64_t test_clock() noexcept { return test_now_ns; }

// Whether the kernel has that thread of this process asleep.
bool asleep(pid_t number) {
  std::ifstream stat("/proc/self/task/" + std::to_string(number) + "/stat");
  std::string word;
  for (int i = 0; i < 3; ++i) stat >> word;  // number, (name), state; the name is this program's, in one word
  return word == "S";
}

class Bell : public testing::Test {
 protected:
  void SetUp() override {
    if ((segment.view().info().optional_features & shm::kFeatureBell) == 0)
      GTEST_SKIP() << "this system has no doorbell";
    ASSERT_EQ(mdp_shm_attach(&feed, segment.data(), segment.size()), MDP_SHM_ATTACH_OK);
    page = mdp_shm_bell_open(&feed.info);
    ASSERT_NE(page, nullptr);
  }
  void TearDown() override { mdp_shm_bell_close(page); }

  const std::uint64_t* cursor() const { return &mdp_shm_mapped_header(&feed)->cursor; }
  void publish(std::uint64_t n) {
    test::fill_event(event, n, 4);
    publisher.publish(event);
  }

  void heartbeat() {
    test_now_ns += kHeartbeatIntervalNs;
    publisher.heartbeat();
  }

  MemorySegment segment;
  IPCPublisher publisher{*segment, &test_clock};
  shm::Event event;
  mdp_shm_subscriber feed{};
  mdp_shm_bell_page* page = nullptr;
};

TEST_F(Bell, NobodyWaitsSoNobodyIsRungFor) {
  for (std::uint64_t n = 0; n < 100; ++n) publish(n);
  EXPECT_EQ(publisher.counters().bells.get(), 0U);
}

TEST_F(Bell, OneRingForABurstAndNoneForWhoHasNotAskedAgain) {
  page->waiting = mdp_shm_cursor(&feed) | 1;
  for (std::uint64_t n = 0; n < 100; ++n) publish(n);
  EXPECT_EQ(publisher.counters().bells.get(), 1U);
  EXPECT_EQ(page->waiting, 0U);
}

TEST_F(Bell, WakesASleeper) {
  std::atomic<bool> woken{false};
  std::thread sleeper([&] {
    while (mdp_shm_cursor(&feed) == 0) mdp_shm_bell_wait(page, cursor(), 0, kLong);
    woken = true;
  });
  // Asleep or about to: either way the record ends it.
  while (__atomic_load_n(&page->waiting, __ATOMIC_SEQ_CST) == 0) std::this_thread::yield();
  EXPECT_FALSE(woken.load());
  publish(0);
  heartbeat();
  sleeper.join();
  EXPECT_TRUE(woken.load());
}

TEST_F(Bell, ACursorThatMovedMeanwhileIsNoSleep) {
  publish(0);
  mdp_shm_bell_wait(page, cursor(), 0, kLong);  // would hang
  EXPECT_EQ(page->waiting, 1U) << "he has asked, and a ring for him does no harm";
}

// The load of `waiting` may be done before the cursor is seen: the next heartbeat finds who was missed.
TEST_F(Bell, AHeartbeatFindsWhoWasMissed) {
  publish(0);
  page->waiting = 0 | 1;  // as if it had been stored while publish() went on
  heartbeat();
  EXPECT_EQ(publisher.counters().bells.get(), 1U);
  page->waiting = mdp_shm_cursor(&feed) | 1;
  heartbeat();
  EXPECT_EQ(publisher.counters().bells.get(), 1U) << "this one misses nothing";
}

// One word serves all readers.
TEST_F(Bell, ALaterRequestReplacesAnEarlierOneAndNotTheOtherWayRound) {
  publish(0);
  const std::uint64_t now = mdp_shm_cursor(&feed);
  page->waiting = 0 | 1;
  mdp_shm_bell_wait(page, cursor(), now, 1);
  EXPECT_EQ(page->waiting, now | 1);
  mdp_shm_bell_wait(page, cursor(), 0, kLong);  // would hang
  EXPECT_EQ(page->waiting, now | 1);
}

TEST_F(Bell, WhoIsReplacedIsWoken) {
  std::atomic<bool> woken{false};
  std::thread sleeper([&] {
    mdp_shm_bell_wait(page, cursor(), 0, kLong);
    woken = true;
  });
  while (__atomic_load_n(&page->waiting, __ATOMIC_SEQ_CST) == 0) std::this_thread::yield();
  // A record of which the publisher has not looked for requests yet, and somebody who saw it.
  test::fill_event(event, 0, 4);
  segment->ring().append(event.header, event.levels, test::body_bytes(event));
  segment->ring().commit();
  mdp_shm_bell_wait(page, cursor(), mdp_shm_cursor(&feed), 1);
  sleeper.join();
  EXPECT_TRUE(woken.load());
}

TEST_F(Bell, TheEndIsRungIn) {
  std::atomic<pid_t> number{0};
  std::thread sleeper([&] {
    number = ::gettid();
    mdp_shm_bell_wait(page, cursor(), mdp_shm_cursor(&feed), kLong);
  });
  while (__atomic_load_n(&page->waiting, __ATOMIC_SEQ_CST) == 0) std::this_thread::yield();
  while (!asleep(number)) std::this_thread::yield();
  publisher.stop();
  sleeper.join();
}

TEST_F(Bell, APageOfAnotherSegmentIsNotTaken) {
  mdp_shm_segment_info info = feed.info;
  ++info.generation;
  EXPECT_EQ(mdp_shm_bell_open(&info), nullptr);
  info = feed.info;
  info.optional_features = 0;
  EXPECT_EQ(mdp_shm_bell_open(&info), nullptr);
  info = feed.info;
  info.bell_id = 0x7FFF'FFFF;
  EXPECT_EQ(mdp_shm_bell_open(&info), nullptr);
}

// Every record is read by each of several sleepers, with pauses of all kinds between them.
TEST_F(Bell, NoneIsForgottenUnderLoad) {
  constexpr std::uint64_t kEvents = 20'000;
  constexpr int kSleepers = 3;
  std::atomic<std::uint64_t> read[kSleepers]{};
  std::atomic<int> ended{0};
  std::vector<std::thread> sleepers;
  for (int i = 0; i < kSleepers; ++i) {
    sleepers.emplace_back([&, i] {
      mdp_shm_subscriber own;
      ASSERT_EQ(mdp_shm_attach(&own, segment.data(), segment.size()), MDP_SHM_ATTACH_OK);
      mdp_shm_start_at(&own, 0, 0);
      mdp_shm_bell_page* const bell = mdp_shm_bell_open(&own.info);
      auto got = std::make_unique<mdp_shm_event>();
      for (;;) {
        const int status = mdp_shm_poll(&own, got.get());
        if (status == MDP_SHM_READ_STOPPED) break;
        if (status == MDP_SHM_READ_EMPTY) {
          mdp_shm_bell_wait(bell, cursor(), own.position, kLong);
        } else if (status == MDP_SHM_READ_OK) {
          read[i] = got->header.sequence + 1;
        }
      }
      mdp_shm_bell_close(bell);
      EXPECT_EQ(read[i].load(), kEvents);
      ++ended;
    });
  }
  for (std::uint64_t n = 0; n < kEvents; ++n) {
    publish(n);
    for (std::uint64_t pause = n % 64 == 0 ? test::mix(n) % 64 : 0; pause > 0; --pause)
      std::this_thread::yield();
    if (n % 1000 == 999) {  // until all sleep: none of them may have missed the last one
      for (auto& one : read) {
        while (one.load() != n + 1) {
          heartbeat();
          std::this_thread::yield();
        }
      }
    }
  }
  publisher.stop();
  // The end moves no cursor: who went to sleep after its ring is rung for again. (A reader looks by itself
  // every MDP_SHM_BELL_SLICE_NS.)
  while (ended != kSleepers) {
    segment->ring_bell();
    std::this_thread::yield();
  }
  for (std::thread& sleeper : sleepers) sleeper.join();
}

}  // namespace
}  // namespace mdp::publish
