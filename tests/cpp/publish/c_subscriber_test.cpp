// mdp_shm.h against a named segment: opening, waiting, following, attaching anew, judging the publisher. Runs
// on Windows too. subscriber_test.cpp asks the C++ reader the same.
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "mdp/publish/ipc_publisher.hpp"
#include "mdp/shm/mdp_shm.h"
#include "publish/test_segment.hpp"

namespace mdp::publish {
namespace {

constexpr std::int64_t kHour = 3'600'000'000'000;
constexpr std::int64_t kMillisecond = 1'000'000;

// The monotonic clock may have begun a minute ago.
std::int64_t long_ago() noexcept { return mdp_shm_os_monotonic_ns() - 7'200'000'000'000; }

// A publisher with 16 instruments, under a name it can be started under again.
class Publisher {
 public:
  explicit Publisher(const std::string& name) : segment_(config(name)), publisher_(segment_) {
    for (std::uint32_t id = 0; id < 16; ++id) {
      core::Instrument instrument;
      instrument.symbol_id = id;
      instrument.venue_symbol = std::to_string(id);
      segment_.directory().set_instrument(instrument);
    }
  }
  void publish(std::uint64_t n) {
    test::fill_event(event_, n, 8);
    publisher_.publish(event_);
  }
  IPCPublisher& operator*() { return publisher_; }
  SegmentWriter& segment() { return segment_; }

 private:
  static SegmentConfig config(const std::string& name) {
    SegmentConfig result = test::small_config();
    result.name = name;
    return result;
  }
  SegmentWriter segment_;
  IPCPublisher publisher_;
  shm::Event event_{};
};

class CSubscriber : public testing::Test {
 protected:
  void SetUp() override {
    publisher.emplace(name);
    ASSERT_EQ(mdp_shm_open(&feed, name.c_str()), MDP_SHM_ATTACH_OK);
  }
  void TearDown() override { mdp_shm_close(&feed); }
  bool intact() {
    shm::Event copy;
    std::memcpy(&copy, &event, mdp_shm_record_bytes(&event.header));
    return test::intact(copy, 8);
  }
  int follow(std::uint32_t symbol_id) { return mdp_shm_follow(&feed, symbol_id, &entry, bids, asks, 8); }

  const std::string name = test::unique_name();
  std::optional<Publisher> publisher;
  mdp_shm_subscriber feed{};
  mdp_shm_event event;
  mdp_shm_book_entry entry;
  mdp_shm_price_level bids[8];
  mdp_shm_price_level asks[8];
};

TEST_F(CSubscriber, WaitGivesWhatIsThereAtOnce) {
  publisher->publish(1);
  ASSERT_EQ(mdp_shm_wait(&feed, &event, MDP_SHM_SLEEP, MDP_SHM_FOR_EVER, kHour), MDP_SHM_READ_OK);
  EXPECT_TRUE(intact());
}

TEST_F(CSubscriber, WaitIsEmptyAfterItsTimeout) {
  for (const int how : {MDP_SHM_SPIN, MDP_SHM_YIELD, MDP_SHM_SLEEP, MDP_SHM_BELL}) {
    (**publisher).heartbeat();
    const auto began = std::chrono::steady_clock::now();
    EXPECT_EQ(mdp_shm_wait(&feed, &event, how, 5 * kMillisecond, kHour), MDP_SHM_READ_EMPTY);
    EXPECT_GE(std::chrono::steady_clock::now() - began, std::chrono::milliseconds(5));
  }
}

TEST_F(CSubscriber, EveryStrategySeesEveryEventAndTheEnd) {
  constexpr std::uint64_t kEvents = 200;
  std::atomic<std::uint64_t> read{0};
  std::thread writer([&] {
    for (std::uint64_t n = 0; n < kEvents; ++n) {
      while (read.load() + 16 < n) std::this_thread::yield();  // no lap: the ring is small
      if (n % 50 == 0) std::this_thread::sleep_for(std::chrono::milliseconds(2));
      publisher->publish(n);
    }
    (**publisher).stop();
  });
  std::uint64_t seen = 0;
  int status = MDP_SHM_READ_OK;
  while (status == MDP_SHM_READ_OK) {
    status = mdp_shm_wait(&feed, &event, static_cast<int>(seen % 3), kHour, kHour);
    if (status != MDP_SHM_READ_OK) break;
    if (event.header.sequence != seen || !intact()) break;
    read = ++seen;
  }
  read = kEvents;
  writer.join();
  EXPECT_EQ(status, MDP_SHM_READ_STOPPED) << mdp_shm_read_status_text(status);
  EXPECT_EQ(seen, kEvents);
}

TEST_F(CSubscriber, SilentPublisherWhoseLockIsHeldIsStale) {
  EXPECT_EQ(mdp_shm_check_publisher(&feed, kHour), MDP_SHM_READ_EMPTY);
  publisher->segment().heartbeat_at(long_ago());
  EXPECT_GT(mdp_shm_heartbeat_age_ns(&feed), kHour);
  EXPECT_EQ(mdp_shm_check_publisher(&feed, 1'000'000'000), MDP_SHM_READ_PUBLISHER_STALE);
  EXPECT_EQ(mdp_shm_wait(&feed, &event, MDP_SHM_SLEEP, kHour, 1'000'000'000), MDP_SHM_READ_PUBLISHER_STALE);
  EXPECT_EQ(mdp_shm_wait(&feed, &event, MDP_SHM_SLEEP, kMillisecond, 1'000'000'000), MDP_SHM_READ_EMPTY)
      << "said once";
  publisher->publish(1);
  EXPECT_EQ(mdp_shm_check_publisher(&feed, 1), MDP_SHM_READ_EMPTY) << "it left an event to read";
  EXPECT_EQ(mdp_shm_poll(&feed, &event), MDP_SHM_READ_OK);
  (**publisher).stop();
  EXPECT_EQ(mdp_shm_check_publisher(&feed, 1), MDP_SHM_READ_STOPPED);
}

// The undefined-behaviour sanitizer watches: the age of such a heartbeat does not fit.
TEST_F(CSubscriber, AnyHeartbeatIsJudged) {
  for (const std::int64_t beat : {std::numeric_limits<std::int64_t>::min(), std::int64_t{-1},
                                  std::numeric_limits<std::int64_t>::max()}) {
    publisher->segment().heartbeat_at(beat);
    EXPECT_EQ(mdp_shm_publisher_status(&feed, MDP_SHM_HEARTBEAT_LIMIT), MDP_SHM_PUBLISHER_SILENT) << beat;
    EXPECT_EQ(mdp_shm_check_publisher(&feed, MDP_SHM_HEARTBEAT_LIMIT), MDP_SHM_READ_PUBLISHER_STALE);
  }
}

TEST_F(CSubscriber, FollowPassesOverOtherInstruments) {
  for (std::uint64_t n = 0; n < 40; ++n) publisher->publish(n);  // of symbol n % 16
  ASSERT_EQ(follow(3), MDP_SHM_BOOK_OK);
  for (std::uint64_t n = 40; n < 90; ++n) publisher->publish(n);
  std::vector<std::uint64_t> seen;
  while (mdp_shm_poll(&feed, &event) == MDP_SHM_READ_OK) {
    ASSERT_EQ(event.header.symbol_id, 3U);
    ASSERT_TRUE(intact());
    seen.push_back(event.header.update_id);
  }
  // No table entry was written, so the book lacks all of them.
  EXPECT_EQ(seen, (std::vector<std::uint64_t>{3, 19, 35, 51, 67, 83}));
  mdp_shm_follow_all(&feed);
  publisher->publish(90);
  ASSERT_EQ(mdp_shm_poll(&feed, &event), MDP_SHM_READ_OK);
  EXPECT_EQ(event.header.symbol_id, 10U);
  EXPECT_EQ(follow(99), MDP_SHM_BOOK_NO_INSTRUMENT);
  publisher->publish(91);
  EXPECT_EQ(mdp_shm_poll(&feed, &event), MDP_SHM_READ_OK) << "a follow that failed filters nothing";
}

TEST_F(CSubscriber, WaitsForAPublisherInsideTheBook) {
  // The entry's sequence word, which is odd while the publisher is inside.
  auto& seq = shm::word_at(const_cast<void*>(publisher->segment().view().book(2)));
  seq.fetch_add(1);
  EXPECT_EQ(mdp_shm_read_book(&feed, 2, &entry, bids, asks, 8), MDP_SHM_BOOK_BUSY);
  std::thread leaves([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    seq.fetch_add(1);
  });
  EXPECT_EQ(mdp_shm_wait_for_book(&feed, 2, &entry, bids, asks, 8), MDP_SHM_BOOK_OK);
  leaves.join();
}

TEST_F(CSubscriber, BatchEndsAtTheMaximumOrWithAReason) {
  for (std::uint64_t n = 0; n < 25; ++n) publisher->publish(n);
  std::vector<std::uint64_t> seen;
  const auto note = [](const mdp_shm_event* one, void* context) {
    static_cast<std::vector<std::uint64_t>*>(context)->push_back(one->header.update_id);
  };
  size_t events = 0;
  EXPECT_EQ(mdp_shm_poll_batch(&feed, 10, &events, note, &seen), MDP_SHM_READ_OK);
  EXPECT_EQ(events, 10U);
  EXPECT_EQ(mdp_shm_poll_batch(&feed, 100, &events, note, &seen), MDP_SHM_READ_EMPTY);
  EXPECT_EQ(events, 15U);
  ASSERT_EQ(seen.size(), 25U);
  for (std::uint64_t n = 0; n < 25; ++n) EXPECT_EQ(seen[n], n);
}

TEST_F(CSubscriber, LappedReaderIsToldHowMuchAndGoesOn) {
  for (std::uint64_t n = 0; n < 3000; ++n) publisher->publish(n);
  const std::uint64_t from = feed.position;
  ASSERT_EQ(mdp_shm_wait(&feed, &event, MDP_SHM_YIELD, kHour, kHour), MDP_SHM_READ_LAPPED);
  const std::uint64_t lost = feed.lost_events;
  EXPECT_GT(lost, 0U);
  EXPECT_EQ(feed.lost_bytes, feed.position - from);
  EXPECT_EQ(feed.laps, 1U);
  EXPECT_EQ(feed.total_lost_events, lost);
  std::uint64_t read = 0;
  for (; mdp_shm_poll(&feed, &event) == MDP_SHM_READ_OK; ++read) {
    ASSERT_EQ(event.header.update_id, lost + read);
    ASSERT_TRUE(intact());
  }
  EXPECT_EQ(lost + read, 3000U) << "each event was read or counted as lost";
}

TEST_F(CSubscriber, FindsARestartedPublisherAgain) {
  EXPECT_EQ(mdp_shm_reattach(&feed), MDP_SHM_ATTACH_NOT_FOUND) << "it is still the same";
  publisher->publish(7);
  ASSERT_EQ(follow(3), MDP_SHM_BOOK_OK);
  (**publisher).stop();
  publisher.reset();
  EXPECT_EQ(mdp_shm_reattach(&feed), MDP_SHM_ATTACH_NOT_FOUND) << "there is none";
  mdp_shm_follow_all(&feed);
  ASSERT_EQ(mdp_shm_poll(&feed, &event), MDP_SHM_READ_OK) << "the old mapping stays";
  EXPECT_EQ(mdp_shm_wait(&feed, &event, MDP_SHM_SLEEP, kHour, kHour), MDP_SHM_READ_STOPPED);

  const std::uint64_t generation = feed.info.generation;
  ASSERT_EQ(follow(3), MDP_SHM_BOOK_OK);
  publisher.emplace(name);
  publisher->publish(100);  // of symbol 4
  ASSERT_EQ(mdp_shm_reattach(&feed), MDP_SHM_ATTACH_OK);
  EXPECT_NE(feed.info.generation, generation);
  ASSERT_EQ(mdp_shm_poll(&feed, &event), MDP_SHM_READ_OK) << "none is followed any more";
  EXPECT_EQ(event.header.update_id, 100U);
  EXPECT_EQ(event.header.sequence, 0U) << "its first event";
}

TEST(CMapping, IsAlsoForReadersOfTheirOwn) {
  const std::string name = test::unique_name();
  mdp_shm_mapping mapping{};
  EXPECT_EQ(mdp_shm_os_map(name.c_str(), MDP_SHM_TRUST_NOBODY, &mapping), MDP_SHM_ATTACH_NOT_FOUND);
  EXPECT_EQ(mdp_shm_os_map("../etc", MDP_SHM_TRUST_NOBODY, &mapping), MDP_SHM_ATTACH_BAD_NAME);
  Publisher publisher(name);
  ASSERT_EQ(mdp_shm_os_map(name.c_str(), MDP_SHM_TRUST_NOBODY, &mapping), MDP_SHM_ATTACH_OK);
  mdp_shm_file file{};
  ASSERT_EQ(mdp_shm_os_find(name.c_str(), MDP_SHM_TRUST_NOBODY, &file), MDP_SHM_ATTACH_OK);
  EXPECT_EQ(file.device, mapping.file.device);
  EXPECT_EQ(file.inode, mapping.file.inode);
  mdp_shm_subscriber feed;
  ASSERT_EQ(mdp_shm_attach(&feed, mapping.base, mapping.size_bytes), MDP_SHM_ATTACH_OK);
  EXPECT_EQ(mdp_shm_reattach(&feed), MDP_SHM_ATTACH_NOT_FOUND) << "it knows no name";
  EXPECT_EQ(feed.info.publisher_pid, sys::process_id());
  EXPECT_EQ(mdp_shm_publisher_status(&feed, MDP_SHM_HEARTBEAT_LIMIT), MDP_SHM_PUBLISHER_RUNNING);
  EXPECT_EQ(mdp_shm_publisher_status(&feed, 0), MDP_SHM_PUBLISHER_SILENT) << "by the heartbeat alone";
  mdp_shm_close(&feed);  // the memory is the caller's
  EXPECT_EQ(mdp_shm_load(mapping.base), MDP_SHM_MAGIC);
  mdp_shm_os_unmap(mapping.base, mapping.size_bytes);
}

TEST(CTexts, EveryStatusHasItsText) {
  for (int status = 0; status <= MDP_SHM_READ_NO_ROOM; ++status) {
    EXPECT_STREQ(mdp_shm_read_status_text(status), to_string(static_cast<shm::ReadStatus>(status)));
  }
  EXPECT_STREQ(mdp_shm_read_status_text(MDP_SHM_READ_NO_ROOM + 1), "unknown");
  EXPECT_STREQ(mdp_shm_read_status_text(-1), "unknown");
}

}  // namespace
}  // namespace mdp::publish
