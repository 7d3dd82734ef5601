// Books that are a window of the venue's: cut by us after each update or kept up by the venue, what is told
// of the cut, and how far such a book says that it is known.
#include <gtest/gtest.h>

#include <random>

#include "book/manager_fixture.hpp"

namespace mdp::book {
namespace {

using namespace test;

constexpr BookRule kCut{.continuity = core::Continuity::None,
                        .snapshot_source = core::SnapshotSource::Stream,
                        .window = core::Window::Cut};
constexpr BookRule kByVenue{.continuity = core::Continuity::None,
                            .snapshot_source = core::SnapshotSource::Stream,
                            .window = core::Window::ByVenue};

BookOptions with_cap(std::size_t cap) {
  BookOptions options;
  options.book_depth = cap;
  return options;
}

class Windowed : public ManagerTest {
 protected:
  explicit Windowed(const BookRule& rule = kCut, const BookOptions& options = {}) : ManagerTest(options) {
    add(0, rule);
    line_is(LineState::Up);
    depth_limit = 3;
    snapshot(0, {{100, 1}, {99, 1}, {98, 1}}, {{110, 1}, {111, 1}, {112, 1}});
    states();
    EXPECT_EQ(state(), BookState::Live);
  }
  shm::BookStateBody last_state() const {
    shm::BookStateBody body{};
    for (const Event& event : sink.of(EventType::BookState)) body = event.book_state;
    return body;
  }
  RebuiltBooks::Book rebuilt() const {
    RebuiltBooks books;
    for (const Event& event : sink.events) books.read(event);
    return books.books.at(0);
  }
};

TEST_F(Windowed, IsCutAfterEachUpdateAndTheCutIsToldWithIt) {
  const std::size_t before = sink.of(EventType::BookDelta).size();
  delta(0, 0, {{101, 1}, {102, 1}}, {{109, 1}});
  EXPECT_EQ(bids(), (Levels{{102, 1}, {101, 1}, {100, 1}}));
  EXPECT_EQ(asks(), (Levels{{109, 1}, {110, 1}, {111, 1}}));
  const std::vector<Event> deltas = sink.of(EventType::BookDelta);
  ASSERT_EQ(deltas.size(), before + 1);
  const Event& told = deltas.back();
  EXPECT_EQ(Levels(told.bids().begin(), told.bids().end()), (Levels{{101, 1}, {102, 1}, {98, 0}, {99, 0}}));
  EXPECT_EQ(Levels(told.asks().begin(), told.asks().end()), (Levels{{109, 1}, {112, 0}}));
}

TEST_F(Windowed, WhatWasCutIsGone) {
  delta(0, 0, {{101, 1}});
  delta(0, 0, {{101, 0}});
  EXPECT_EQ(bids(), (Levels{{100, 1}, {99, 1}}));  // the venue would have sent 98 again
  delta(0, 0, {{97, 1}});                          // what moves in comes from below the old end
  EXPECT_EQ(bids(), (Levels{{100, 1}, {99, 1}, {97, 1}}));
  EXPECT_EQ(rebuilt().levels.best_first_bids(), bids());
}

TEST_F(Windowed, ALevelThatIsCutAtOnceIsToldOfAndTakenBack) {
  delta(0, 0, {{97, 1}});
  EXPECT_EQ(bids(), (Levels{{100, 1}, {99, 1}, {98, 1}}));
  EXPECT_EQ(rebuilt().levels.best_first_bids(), bids());
}

TEST_F(Windowed, ASnapshotIsCutToo) {
  snapshot(0, {{100, 1}, {99, 1}, {98, 1}, {97, 1}}, {{110, 1}});
  EXPECT_EQ(bids().size(), 3u);
}

// With 20 levels in the book table and three in the window: they are all that there is, and no other will
// come.
TEST_F(Windowed, AsksForNothingHoweverShort) {
  delta(0, 0, {{100, 0}, {99, 0}, {98, 0}}, {});
  EXPECT_EQ(state(), BookState::Live);
  EXPECT_TRUE(listener.needs.empty());
  EXPECT_TRUE(wanted().empty());
  EXPECT_EQ(manager.counters().depth_exhausted.get(), 0u);
}

TEST_F(Windowed, IsKnownToItsEndAndThenToItsMiddle) {
  EXPECT_EQ(last_state().known_bid, 98);
  EXPECT_EQ(last_state().known_ask, 112);
  delta(0, 0, {{101, 1}});  // 98 has left: what was told is not true any more
  EXPECT_EQ(states(), Strings{"LIVE " + std::to_string(static_cast<int>(StateReason::DepthChanged))});
  EXPECT_EQ(last_state().known_bid, 100);
  EXPECT_EQ(last_state().known_ask, 112);
  delta(0, 0, {{102, 1}});  // 99 has left: 100 is still known
  EXPECT_EQ(states(), Strings{});
}

TEST_F(Windowed, ASideOfFewerLevelsIsWhole) {
  snapshot(0, {{100, 1}, {99, 1}}, {});
  EXPECT_EQ(last_state().known_bid, shm::kAllBids);
  EXPECT_EQ(last_state().known_ask, shm::kAllAsks);
}

class Capped : public Windowed {
 protected:
  Capped() : Windowed(kByVenue, with_cap(1)) {}
};
TEST_F(Capped, ADepthCapDoesNotCutAWindow) { EXPECT_EQ(bids().size(), 3u); }

class KeptUp : public Windowed {
 protected:
  KeptUp() : Windowed(kByVenue) {}
};
TEST_F(KeptUp, TheVenueDeletesWhatLeavesAndAddsBelowTheOldEnd) {
  delta(0, 0, {{101, 1}, {98, 0}});
  EXPECT_EQ(bids(), (Levels{{101, 1}, {100, 1}, {99, 1}}));
  delta(0, 0, {{101, 0}, {100, 0}, {96, 1}, {95, 1}});
  EXPECT_EQ(bids(), (Levels{{99, 1}, {96, 1}, {95, 1}}));
}

// A market that runs up and down: what a reader was told of the known range is true after every update, and
// it is told seldom.
TEST(WindowRange, IsTrueAfterEveryUpdateOfAWanderingMarket) {
  std::mt19937_64 random(20261126);
  constexpr std::size_t kLevels = 40;
  BookModel truth;
  OrderBook book;
  WindowRange range;
  std::int64_t middle = 0, pace = 0;
  for (std::int64_t i = 1; i <= 200; ++i) truth.bids[-i] = truth.asks[i] = 1;
  const auto window = [&] {
    return std::pair(head(truth.best_first_bids(), kLevels), head(truth.best_first_asks(), kLevels));
  };
  book.apply_snapshot(window().first, window().second);
  range.begin(kLevels, book);
  std::size_t told = 0;
  for (int step = 0; step < 20'000; ++step) {
    if (random() % 500 == 0) pace = static_cast<std::int64_t>(random() % 3) - 1;
    middle += pace;
    truth.bids.erase(truth.bids.lower_bound(middle), truth.bids.end());
    truth.asks.erase(truth.asks.begin(), truth.asks.upper_bound(middle));
    for (int n = 0; n < 4; ++n) {
      const auto far = static_cast<std::int64_t>(1 + random() % 100);
      if (random() % 2 == 0) {
        truth.bids[middle - far] = truth.asks[middle + far] = 1;
      } else {
        truth.bids.erase(middle - far);
        truth.asks.erase(middle + far);
      }
    }
    const auto [bids, asks] = window();
    book.apply_snapshot(bids, asks);
    told += range.follow(book) ? 1 : 0;
    // Everything of the truth down to the known prices is in the window.
    for (const auto& [price, quantity] : truth.bids) {
      if (price < range.known_bid()) continue;
      ASSERT_GE(price, bids.back().price) << "step " << step;
    }
    for (const auto& [price, quantity] : truth.asks) {
      if (price > range.known_ask()) continue;
      ASSERT_LE(price, asks.back().price) << "step " << step;
    }
    if (!bids.empty()) {
      ASSERT_LE(range.known_bid(), bids.front().price);
    }
    if (!asks.empty()) {
      ASSERT_GE(range.known_ask(), asks.front().price);
    }
  }
  EXPECT_GT(told, 10u);
  EXPECT_LT(told, 20'000u / 4);
}

}  // namespace
}  // namespace mdp::book
