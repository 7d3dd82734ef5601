// The subscriber's comforts against a named segment: waiting, following one instrument, judging the
// publisher.
#include "mdp/shm/subscriber.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <limits>
#include <thread>

#include "mdp/publish/ipc_publisher.hpp"
#include "publish/test_segment.hpp"

namespace mdp::publish {
namespace {

using shm::AttachStatus;
using shm::Book;
using shm::BookStatus;
using shm::Event;
using shm::PublisherStatus;
using shm::ReadStatus;
using shm::Subscriber;
using shm::Wait;
using std::chrono::hours;
using std::chrono::milliseconds;

// The monotonic clock may have begun a minute ago.
std::int64_t long_ago() noexcept { return mdp_shm_os_monotonic_ns() - 7'200'000'000'000; }

SegmentConfig named_config() {
  SegmentConfig config = test::small_config();
  config.name = test::unique_name();
  return config;
}

class SubscriberTest : public testing::Test {
 protected:
  void SetUp() override {
    for (std::uint32_t id = 0; id < 16; ++id) {
      core::Instrument instrument;
      instrument.symbol_id = id;
      instrument.venue_symbol = std::to_string(id);
      segment.directory().set_instrument(instrument);
    }
    ASSERT_EQ(feed.open(segment.name()), AttachStatus::Ok);
  }
  void publish(std::uint64_t n) {
    test::fill_event(event, n, 8);
    publisher.publish(event);
  }

  SegmentWriter segment{named_config()};
  IPCPublisher publisher{segment};
  Subscriber feed;
  Event event{};
};

TEST_F(SubscriberTest, WaitGivesWhatIsThereAtOnce) {
  publish(1);
  ASSERT_EQ(feed.wait(event), ReadStatus::Ok);
  EXPECT_TRUE(test::intact(event, 8));
}

TEST_F(SubscriberTest, WaitIsEmptyAfterItsTimeout) {
  for (const Wait how : {Wait::Spin, Wait::Yield, Wait::Sleep, Wait::Bell}) {
    publisher.heartbeat();
    const auto began = std::chrono::steady_clock::now();
    EXPECT_EQ(feed.wait(event, how, milliseconds(5), hours(1)), ReadStatus::Empty);
    EXPECT_GE(std::chrono::steady_clock::now() - began, milliseconds(5));
  }
}

TEST_F(SubscriberTest, EveryStrategySeesEveryEventAndTheEnd) {
  constexpr std::uint64_t kEvents = 200;
  std::atomic<std::uint64_t> read{0};
  std::thread writer([&] {
    Event written;
    for (std::uint64_t n = 0; n < kEvents; ++n) {
      while (read.load() + 16 < n) std::this_thread::yield();  // no lap: the ring is small
      if (n % 50 == 0) std::this_thread::sleep_for(milliseconds(2));
      test::fill_event(written, n, 8);
      publisher.publish(written);
    }
    publisher.stop();
  });
  constexpr Wait kStrategies[] = {Wait::Spin, Wait::Yield, Wait::Sleep, Wait::Bell};
  ReadStatus status = ReadStatus::Ok;
  while (status == ReadStatus::Ok) {
    status = feed.wait(event, kStrategies[read.load() % 4], hours(1), hours(1));
    if (status == ReadStatus::Ok && event.header.sequence == read.load() && test::intact(event, 8)) ++read;
    if (status == ReadStatus::Ok && event.header.sequence >= read.load()) break;
  }
  const std::uint64_t seen = read.load();
  read = kEvents;
  writer.join();
  EXPECT_EQ(status, ReadStatus::Stopped);
  EXPECT_EQ(seen, kEvents);
}

TEST_F(SubscriberTest, SilentPublisherWhoseLockIsHeldIsStale) {
  EXPECT_EQ(feed.check_publisher(3'600'000'000'000), ReadStatus::Empty);
  segment.heartbeat_at(long_ago());
  EXPECT_EQ(feed.check_publisher(1'000'000'000), ReadStatus::PublisherStale);
  EXPECT_EQ(feed.wait(event, Wait::Sleep, hours(1)), ReadStatus::PublisherStale);
  EXPECT_EQ(feed.wait(event, Wait::Sleep, milliseconds(1)), ReadStatus::Empty) << "said once";
  publish(1);
  EXPECT_EQ(feed.check_publisher(1), ReadStatus::Empty) << "it left an event to read";
  EXPECT_EQ(feed.poll(event), ReadStatus::Ok);
  publisher.stop();
  EXPECT_EQ(feed.check_publisher(1), ReadStatus::Stopped);
}

// The undefined-behaviour sanitizer watches: the age of such a heartbeat does not fit.
TEST_F(SubscriberTest, AnyHeartbeatIsJudged) {
  for (const std::int64_t beat : {std::numeric_limits<std::int64_t>::min(), std::int64_t{-1},
                                  std::numeric_limits<std::int64_t>::max()}) {
    segment.heartbeat_at(beat);
    EXPECT_EQ(feed.publisher_status(), PublisherStatus::Silent) << beat;
    EXPECT_EQ(feed.check_publisher(), ReadStatus::PublisherStale) << beat;
  }
}

TEST_F(SubscriberTest, FollowPassesOverOtherInstruments) {
  for (std::uint64_t n = 0; n < 40; ++n) publish(n);  // of symbol n % 16
  Book book;
  ASSERT_EQ(feed.follow(3, book), BookStatus::Ok);
  for (std::uint64_t n = 40; n < 90; ++n) publish(n);
  std::vector<std::uint64_t> seen;
  while (feed.poll(event) == ReadStatus::Ok) {
    ASSERT_EQ(event.header.symbol_id, 3U);
    ASSERT_TRUE(test::intact(event, 8));
    seen.push_back(event.header.update_id);
  }
  // No table entry was written, so the book lacks all of them.
  EXPECT_EQ(seen, (std::vector<std::uint64_t>{3, 19, 35, 51, 67, 83}));
  feed.follow_all();
  publish(90);
  ASSERT_EQ(feed.poll(event), ReadStatus::Ok);
  EXPECT_EQ(event.header.symbol_id, 10U);
  EXPECT_EQ(feed.follow(99, book), BookStatus::NoInstrument);
  publish(91);
  EXPECT_EQ(feed.poll(event), ReadStatus::Ok) << "a follow that failed filters nothing";
}

TEST_F(SubscriberTest, WaitsForAPublisherInsideTheBook) {
  // The entry's sequence word, which is odd while the publisher is inside.
  auto& seq = shm::word_at(const_cast<void*>(segment.view().book(2)));
  seq.fetch_add(1);
  Book book;
  EXPECT_EQ(feed.read_book(2, book), BookStatus::Busy);
  std::thread leaves([&] {
    std::this_thread::sleep_for(milliseconds(20));
    seq.fetch_add(1);
  });
  EXPECT_EQ(feed.wait_for_book(2, book), BookStatus::Ok);
  leaves.join();
  seq.fetch_add(1);
  EXPECT_EQ(feed.join(2, book), BookStatus::Busy) << "it never leaves";
  seq.fetch_add(1);
}

TEST_F(SubscriberTest, HeaderAndBodyMayGoToPlacesOfTheCallers) {
  publish(5);
  shm::EventHeader header;
  std::vector<shm::PriceLevel> body(shm::kMaxEventLevels);
  ASSERT_EQ(feed.poll(header, body.data()), ReadStatus::Ok);
  Event expected;
  test::fill_event(expected, 5, 8);
  EXPECT_EQ(header.update_id, 5U);
  EXPECT_EQ(std::memcmp(body.data(), expected.levels, test::body_bytes(expected)), 0);
}

}  // namespace
}  // namespace mdp::publish
