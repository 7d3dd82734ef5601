// The road by itself, wherever its stages run: what is put in comes out at its end, and all of it before
// stop() ends.
#include "mdp/engine/road.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>
#include <utility>

#include "engine/toy_venue.hpp"
#include "mdp/core/error.hpp"
#include "net/fake_server.hpp"

namespace mdp::engine {
namespace {

using Threads = RoadOptions::Threads;

class Counting final : public RoadEnd, public core::EventSink {
 public:
  Counting(std::atomic<int>& events, std::atomic<int>& rests, const std::atomic<bool>& held,
           const core::Counter& steps)
      : events_(events), rests_(rests), held_(held), steps_(steps) {
    slot_ = scratch_.get();
  }
  void commit() noexcept override { ++events_; }
  core::EventSink& sink() noexcept override { return *this; }
  std::size_t drain(EventQueue& queue, std::size_t max) noexcept override {
    std::size_t count = 0;
    for (; !held_ && count < max && queue.front() != nullptr; ++count) {
      queue.pop();
      ++events_;
    }
    return count;
  }
  const core::Counter* ring_steps() const noexcept override { return &steps_; }
  void idle() noexcept override { ++rests_; }

 private:
  std::atomic<int>& events_;
  std::atomic<int>& rests_;
  const std::atomic<bool>& held_;
  const core::Counter& steps_;
  std::unique_ptr<shm::Event> scratch_ = std::make_unique<shm::Event>();
};

class RoadOn : public testing::TestWithParam<Threads> {
 protected:
  static constexpr int kMessages = 5'000;  // several times what the queues hold

  void SetUp() override {
    RoadOptions options;
    options.threads = GetParam();
    options.message_queue_slots = 8;
    options.event_queue_slots = 8;
    options.books.ring_bytes = 1 << 20;
    road_ = std::make_unique<Road>(options, std::make_unique<Counting>(events_, rests_, held_, steps_),
                                   status_, control_);
  }
  // Each makes one event, whatever state the book is in.
  void put_trades(core::MessageSink& into) {
    for (int i = 0; i < kMessages; ++i) {
      core::NormalizedMessage& message = into.slot();
      message.header = {};
      message.header.update_type = core::UpdateType::Trade;
      message.header.last_update_id = ++id_;
      message.header.flags = core::kFirst | core::kLast;
      message.trade = {};
      into.commit();
    }
  }
  void add_symbol() {
    core::Instrument instrument;
    instrument.symbol_id = 0;
    constexpr core::LineId kLines[] = {0};
    road_->manager(0).call([&](book::OrderBookManager& books) {
      books.add_symbol(0, 1, kLines, venue_.book_rule(), instrument);
    });
    road_->flush();
    before_ = events_;
  }

  ToyVenue venue_;
  SymbolStatus status_[1];
  ControlQueue control_{64};
  std::atomic<int> events_{0};
  std::atomic<int> rests_{0};
  std::atomic<bool> held_{false};  // the end takes nothing
  core::Counter steps_;            // of a ring at the end
  int before_ = 0;
  std::atomic<std::uint64_t> id_ = 0;
  std::unique_ptr<Road> road_;
};

TEST_P(RoadOn, WhatIsPutInHasComeOutAfterAFlush) {
  if (GetParam() == Threads::Loop) GTEST_SKIP() << "only the loop's thread may put in";
  add_symbol();
  core::MessageSink& parser = road_->manager(0).add_parser();
  put_trades(parser);
  road_->flush();
  EXPECT_EQ(events_ - before_, kMessages);
}

TEST_P(RoadOn, StopDrainsWhatIsOnTheWay) {
  if (GetParam() == Threads::Loop) GTEST_SKIP() << "only the loop's thread may put in";
  add_symbol();
  put_trades(road_->manager(0).add_parser());
  road_->stop();
  EXPECT_EQ(events_ - before_, kMessages);
  road_->stop();  // again: nothing
}

TEST_P(RoadOn, AnswersOverRestComeFromAThreadOfTheirOwn) {
  if (GetParam() == Threads::Caller) GTEST_SKIP() << "there is one thread";
  add_symbol();
  core::MessageSink& rest = road_->manager(0).rest_input();
  std::thread([&] { put_trades(rest); }).join();
  EXPECT_TRUE(net::test::eventually([&] { return events_ - before_ == kMessages; }));
  EXPECT_EQ(&road_->manager(0).rest_input(), &rest) << "there is one";
}

// The end is held until everything before it is full: parser, REST thread and manager have all waited then,
// or will.
TEST_P(RoadOn, WhoFindsAQueueFullIsCounted) {
  if (GetParam() != Threads::Each) GTEST_SKIP() << "there are no queues between stages";
  add_symbol();
  RoadManager& manager = road_->manager(0);
  core::MessageSink& parser = manager.add_parser();
  core::MessageSink& rest = manager.rest_input();
  EXPECT_EQ(manager.message_waits(), 0u);
  EXPECT_EQ(manager.event_waits(), 0u);
  for (core::MessageSink* into : {&rest, &parser}) {
    const std::uint64_t before = manager.message_waits();
    held_ = true;
    id_ = 0;
    std::thread put([&] { put_trades(*into); });
    std::uint64_t seen = 0;
    // Nothing goes on any more: each look is 1 ms after the one before.
    EXPECT_TRUE(net::test::eventually([&] {
      const std::uint64_t now = id_;
      return std::exchange(seen, now) == now && now > 8;
    }));
    held_ = false;
    put.join();
    EXPECT_GT(manager.message_waits(), before) << (into == &rest ? "of the REST thread" : "of the parser");
    road_->flush();
  }
  EXPECT_GT(manager.event_waits(), 0u);
}

// Others fill the ring: the manager that has nothing to do publishes its books again all the same.
TEST_P(RoadOn, AnIdleManagerPublishesItsBooksAgainAsTheRingGoesOn) {
  if (GetParam() != Threads::Each) GTEST_SKIP() << "nobody else fills the ring";
  venue_.book_rule_.snapshot_source = core::SnapshotSource::Stream;
  add_symbol();
  core::MessageSink& into = road_->manager(0).add_parser();
  core::NormalizedMessage& message = into.slot();
  message.header = {};
  message.header.update_type = core::UpdateType::Snapshot;
  message.header.first_update_id = message.header.last_update_id = 1;
  message.header.flags = core::kFirst | core::kLast;
  message.header.bid_count = 1;
  message.levels[0] = {1, 1};
  into.commit();
  road_->flush();
  const book::BookCounters& counters = road_->manager(0).books().counters();
  ASSERT_EQ(counters.snapshots_applied.get(), 1u);
  ASSERT_EQ(counters.refreshes.get(), 0u);
  const int before = events_;
  for (std::uint64_t round = 1; round <= 3; ++round) {
    steps_.add(core::kRingSteps / 2);
    road_->tick(1);  // wakes it
    EXPECT_TRUE(net::test::eventually([&] { return counters.refreshes.get() == round; }));
  }
  road_->flush();
  EXPECT_EQ(events_ - before, 3);
  steps_.add(core::kRingSteps / 2);
  road_->stop();  // with one due
}

TEST_P(RoadOn, ATickGivesTheEndARound) {
  if (GetParam() == Threads::Caller) GTEST_SKIP() << "nobody ticks";
  const int before = rests_;
  EXPECT_TRUE(net::test::eventually([&] {
    road_->tick(1);
    return rests_ > before + 3;
  }));
}

std::string name_of(const testing::TestParamInfo<Threads>& info) {
  if (info.param == Threads::Each) return "Each";
  return info.param == Threads::Loop ? "Loop" : "Caller";
}

INSTANTIATE_TEST_SUITE_P(Threads, RoadOn, testing::Values(Threads::Each, Threads::Loop, Threads::Caller),
                         name_of);

TEST(Road, ACoreThatDoesNotExistIsAnError) {
  SymbolStatus status[1];
  ControlQueue control(64);
  std::atomic<int> events{0};
  const std::atomic<bool> held{false};
  const core::Counter steps;
  RoadOptions options;
  options.threads = Threads::Each;
  options.cores.managers = {1'000'000};
  EXPECT_THROW(Road(options, std::make_unique<Counting>(events, events, held, steps), status, control),
               ConfigError);
}

}  // namespace
}  // namespace mdp::engine
