#include "mdp/book/order_book.hpp"

#include <gtest/gtest.h>

#include <limits>
#include <vector>

#include "book/book_model.hpp"

namespace mdp::book {
namespace {

using test::Levels;

constexpr std::int64_t kMin = std::numeric_limits<std::int64_t>::min();
constexpr std::int64_t kMax = std::numeric_limits<std::int64_t>::max();

Levels bids(const OrderBook& book) { return test::best_first_bids(book); }
Levels asks(const OrderBook& book) { return test::best_first_asks(book); }

// Bids 100, 99, ... and asks 101, 102, ..., all of quantity 1.
OrderBook deep_book(std::int64_t levels, std::size_t depth_cap = 0) {
  OrderBook book(depth_cap);
  Levels bid_levels, ask_levels;
  for (std::int64_t i = 0; i < levels; ++i) {
    bid_levels.push_back({100 - i, 1});
    ask_levels.push_back({101 + i, 1});
  }
  book.apply_snapshot(bid_levels, ask_levels);
  return book;
}

TEST(OrderBook, EmptyBookHasNoTopAndIsNotCrossed) {
  const OrderBook book;
  EXPECT_EQ(book.bbo(), Bbo{});
  EXPECT_FALSE(book.crossed());
  EXPECT_EQ(book.bid_count(), 0u);
  EXPECT_EQ(book.ask_count(), 0u);
  EXPECT_EQ(book.update_id(), 0u);
}

TEST(OrderBook, SnapshotSortsBothSidesWithTheBestOnTop) {
  OrderBook book;
  book.apply_snapshot(Levels{{98, 1}, {100, 2}, {99, 3}}, Levels{{103, 4}, {101, 5}, {102, 6}});
  EXPECT_EQ(bids(book), (Levels{{100, 2}, {99, 3}, {98, 1}}));
  EXPECT_EQ(asks(book), (Levels{{101, 5}, {102, 6}, {103, 4}}));
  EXPECT_EQ(book.bbo(), (Bbo{{100, 2}, {101, 5}}));
}

TEST(OrderBook, ZeroQuantityInASnapshotIsIgnored) {
  OrderBook book;
  book.apply_snapshot(Levels{{100, 0}, {99, 3}}, Levels{{101, 5}, {102, 0}});
  EXPECT_EQ(bids(book), (Levels{{99, 3}}));
  EXPECT_EQ(asks(book), (Levels{{101, 5}}));
}

TEST(OrderBook, LastOfAPriceNamedTwiceInASnapshotWins) {
  OrderBook book;
  book.apply_snapshot(Levels{{100, 1}, {99, 3}, {100, 2}}, Levels{{101, 5}, {101, 0}});
  EXPECT_EQ(bids(book), (Levels{{100, 2}, {99, 3}}));
  EXPECT_TRUE(asks(book).empty());
}

TEST(OrderBook, SnapshotReplacesEverything) {
  OrderBook book = deep_book(10);
  book.apply_snapshot(Levels{{7, 1}}, {});
  EXPECT_EQ(bids(book), (Levels{{7, 1}}));
  EXPECT_TRUE(asks(book).empty());
  book.apply_snapshot({}, {});
  EXPECT_EQ(book.bbo(), Bbo{});
}

TEST(OrderBook, AddAtTopMiddleAndFarEnd) {
  OrderBook book;
  book.apply_snapshot(Levels{{100, 1}, {90, 1}}, Levels{{110, 1}, {120, 1}});
  EXPECT_EQ(book.apply_update(Levels{{105, 2}}, {}), 0u);
  EXPECT_EQ(book.apply_update(Levels{{95, 3}}, {}), 2u);
  EXPECT_EQ(book.apply_update(Levels{{80, 4}}, {}), 4u);
  EXPECT_EQ(bids(book), (Levels{{105, 2}, {100, 1}, {95, 3}, {90, 1}, {80, 4}}));
  EXPECT_EQ(book.apply_update({}, Levels{{106, 2}}), 0u);
  EXPECT_EQ(book.apply_update({}, Levels{{115, 3}}), 2u);
  EXPECT_EQ(book.apply_update({}, Levels{{130, 4}}), 4u);
  EXPECT_EQ(asks(book), (Levels{{106, 2}, {110, 1}, {115, 3}, {120, 1}, {130, 4}}));
}

TEST(OrderBook, ChangeAtTopMiddleAndFarEnd) {
  OrderBook book = deep_book(100);
  EXPECT_EQ(book.apply_update(Levels{{100, 7}}, {}), 0u);
  EXPECT_EQ(book.apply_update(Levels{{50, 8}}, {}), 50u);
  EXPECT_EQ(book.apply_update(Levels{{1, 9}}, {}), 99u);
  EXPECT_EQ(book.apply_update({}, Levels{{101, 7}}), 0u);
  EXPECT_EQ(book.apply_update({}, Levels{{151, 8}}), 50u);
  EXPECT_EQ(book.apply_update({}, Levels{{200, 9}}), 99u);
  EXPECT_EQ(bids(book)[0], (PriceLevel{100, 7}));
  EXPECT_EQ(bids(book)[50], (PriceLevel{50, 8}));
  EXPECT_EQ(bids(book)[99], (PriceLevel{1, 9}));
  EXPECT_EQ(asks(book)[0], (PriceLevel{101, 7}));
  EXPECT_EQ(asks(book)[50], (PriceLevel{151, 8}));
  EXPECT_EQ(asks(book)[99], (PriceLevel{200, 9}));
  EXPECT_EQ(bids(book).size(), 100u);
}

TEST(OrderBook, RemoveAtTopMiddleAndFarEnd) {
  OrderBook book;
  book.apply_snapshot(Levels{{5, 1}, {4, 1}, {3, 1}, {2, 1}, {1, 1}},
                      Levels{{6, 1}, {7, 1}, {8, 1}, {9, 1}, {10, 1}});
  EXPECT_EQ(book.apply_update(Levels{{5, 0}}, {}), 0u);
  EXPECT_EQ(book.apply_update(Levels{{3, 0}}, {}), 1u);
  EXPECT_EQ(book.apply_update(Levels{{1, 0}}, {}), 2u);
  EXPECT_EQ(bids(book), (Levels{{4, 1}, {2, 1}}));
  EXPECT_EQ(book.apply_update({}, Levels{{6, 0}}), 0u);
  EXPECT_EQ(book.apply_update({}, Levels{{8, 0}}), 1u);
  EXPECT_EQ(book.apply_update({}, Levels{{10, 0}}), 2u);
  EXPECT_EQ(asks(book), (Levels{{7, 1}, {9, 1}}));
}

TEST(OrderBook, RemovingAnUnknownLevelChangesNothing) {
  OrderBook book = deep_book(5);
  const Levels before = bids(book);
  EXPECT_EQ(book.apply_update(Levels{{200, 0}, {1, 0}, {-5, 0}}, Levels{{50, 0}, {1000, 0}}),
            OrderBook::kUntouched);
  EXPECT_EQ(bids(book), before);
  OrderBook empty;
  EXPECT_EQ(empty.apply_update(Levels{{1, 0}}, Levels{{2, 0}}), OrderBook::kUntouched);
}

TEST(OrderBook, SameQuantityAgainTouchesNothing) {
  OrderBook book = deep_book(5);
  EXPECT_EQ(book.apply_update(Levels{{100, 1}}, Levels{{101, 1}}), OrderBook::kUntouched);
  EXPECT_EQ(book.apply_update({}, {}), OrderBook::kUntouched);
}

TEST(OrderBook, LastOfAPriceNamedTwiceInADeltaWins) {
  OrderBook book = deep_book(3);
  book.apply_update(Levels{{100, 5}, {100, 6}, {105, 1}, {105, 0}, {99, 0}, {99, 4}}, {});
  EXPECT_EQ(bids(book), (Levels{{100, 6}, {99, 4}, {98, 1}}));
  // Far apart in the message, and in no order.
  book.apply_update({}, Levels{{103, 2}, {101, 0}, {90, 3}, {103, 0}, {101, 9}, {90, 0}, {103, 4}});
  EXPECT_EQ(asks(book), (Levels{{101, 9}, {102, 1}, {103, 4}}));
}

TEST(OrderBook, ReportsTheShallowestOfAllChanges) {
  OrderBook book = deep_book(100);
  EXPECT_EQ(book.apply_update(Levels{{60, 5}, {70, 5}, {65, 0}}, Levels{{121, 5}}), 20u);
  EXPECT_EQ(book.apply_update(Levels{{60, 6}}, Levels{{126, 0}, {131, 7}}), 25u);
}

TEST(OrderBook, OneSidedBookHasATopAndIsNotCrossed) {
  OrderBook book;
  book.apply_update(Levels{{100, 1}}, {});
  EXPECT_EQ(book.bbo(), (Bbo{{100, 1}, {}}));
  EXPECT_FALSE(book.crossed());
  book.apply_update(Levels{{100, 0}}, Levels{{90, 2}});
  EXPECT_EQ(book.bbo(), (Bbo{{}, {90, 2}}));
  EXPECT_FALSE(book.crossed());
}

TEST(OrderBook, CrossedWhereTheBestBidReachesTheBestAsk) {
  OrderBook book;
  book.apply_snapshot(Levels{{100, 1}}, Levels{{101, 1}});
  EXPECT_FALSE(book.crossed());
  book.apply_update(Levels{{101, 1}}, {});
  EXPECT_TRUE(book.crossed());  // locked counts: no venue leaves a matchable pair standing
  book.apply_update({}, Levels{{101, 0}, {102, 1}});
  EXPECT_FALSE(book.crossed());
}

TEST(OrderBook, ClearingASideLevelByLevelLeavesItEmptyAndUsable) {
  OrderBook book = deep_book(50);
  Levels removals;
  for (std::int64_t i = 0; i < 50; ++i) removals.push_back({100 - i, 0});
  EXPECT_EQ(book.apply_update(removals, {}), 0u);
  EXPECT_TRUE(bids(book).empty());
  EXPECT_EQ(asks(book).size(), 50u);
  book.apply_update(Levels{{42, 1}}, {});
  EXPECT_EQ(bids(book), (Levels{{42, 1}}));
}

TEST(OrderBook, ClearEmptiesBothSidesAndForgetsTheId) {
  OrderBook book = deep_book(5);
  book.set_update_id(17);
  EXPECT_EQ(book.update_id(), 17u);
  book.clear();
  EXPECT_EQ(book.bbo(), Bbo{});
  EXPECT_EQ(book.update_id(), 0u);
}

TEST(OrderBook, PricesAndQuantitiesAtTheEdgesOfInt64) {
  OrderBook book;
  book.apply_snapshot(Levels{{kMin, 1}, {kMin + 1, kMax}, {-1, kMin}},
                      Levels{{kMax, 1}, {kMax - 1, kMax}, {0, 3}});
  EXPECT_EQ(bids(book), (Levels{{-1, kMin}, {kMin + 1, kMax}, {kMin, 1}}));
  EXPECT_EQ(asks(book), (Levels{{0, 3}, {kMax - 1, kMax}, {kMax, 1}}));
  book.apply_update(Levels{{kMin, 0}, {kMax, 1}}, Levels{{kMax, 0}, {kMin, 2}});
  EXPECT_EQ(bids(book), (Levels{{kMax, 1}, {-1, kMin}, {kMin + 1, kMax}}));
  EXPECT_EQ(asks(book), (Levels{{kMin, 2}, {0, 3}, {kMax - 1, kMax}}));
  EXPECT_TRUE(book.crossed());
  book.apply_update(Levels{{kMax, 0}, {-1, 0}, {kMin + 1, 0}}, Levels{{kMin, 0}, {kMax - 1, 0}, {0, 0}});
  EXPECT_EQ(book.bbo(), Bbo{});
}

TEST(OrderBook, CopiesTheBestLevelsBestFirst) {
  const OrderBook book = deep_book(5);
  Levels out(8, PriceLevel{-1, -1});
  EXPECT_EQ(book.copy_bids(out.data(), 3), 3u);
  EXPECT_EQ(out[0], (PriceLevel{100, 1}));
  EXPECT_EQ(out[2], (PriceLevel{98, 1}));
  EXPECT_EQ(out[3], (PriceLevel{-1, -1}));
  EXPECT_EQ(book.copy_asks(out.data(), 8), 5u);
  EXPECT_EQ(out[4], (PriceLevel{105, 1}));
  EXPECT_EQ(book.copy_asks(out.data(), 0), 0u);
}

TEST(OrderBook, DepthCapCutsASideBackWhenItIsAQuarterBeyond) {
  OrderBook book = deep_book(8, 8);
  book.apply_update(Levels{{92, 1}, {91, 1}}, {});
  EXPECT_EQ(bids(book).size(), 10u);  // a quarter beyond: stays
  book.apply_update(Levels{{101, 1}}, Levels{{101, 0}, {109, 1}});
  EXPECT_EQ(bids(book).size(), 8u);
  EXPECT_EQ(bids(book).front(), (PriceLevel{101, 1}));
  EXPECT_EQ(bids(book).back(), (PriceLevel{94, 1}));
  EXPECT_EQ(asks(book).size(), 8u);
  // What was cut is unknown, not empty: a later change there is passed over, for it would stand behind a
  // hole.
  book.apply_update(Levels{{91, 5}}, {});
  EXPECT_EQ(bids(book).back(), (PriceLevel{94, 1}));
  EXPECT_EQ(book.known_bid(), 94);
}

TEST(OrderBook, TellsWhichLevelsTheDepthCapCut) {
  OrderBook book = deep_book(8, 8);
  book.apply_update(Levels{{92, 1}, {91, 1}}, {});
  EXPECT_TRUE(book.cut_bids().empty());
  book.apply_update(Levels{{101, 1}}, {});
  EXPECT_EQ(test::sorted(book.cut_bids()), (Levels{{91, 0}, {92, 0}, {93, 0}}));
  EXPECT_TRUE(book.cut_asks().empty());
  book.apply_update(Levels{{101, 2}}, {});
  EXPECT_TRUE(book.cut_bids().empty());  // of the last update only
}

TEST(OrderBook, DepthCapHoldsForSnapshots) {
  OrderBook book = deep_book(100, 8);
  EXPECT_EQ(bids(book).size(), 8u);
  EXPECT_EQ(asks(book).size(), 8u);
  EXPECT_EQ(bids(book).front(), (PriceLevel{100, 1}));
  EXPECT_TRUE(book.cut_bids().empty());  // whoever publishes a snapshot publishes the book, not the message
}

TEST(OrderBook, ADeltaOfThousandsOfLevelsInAnyOrder) {
  OrderBook book = deep_book(5000);
  test::BookModel model;
  for (std::int64_t i = 0; i < 5000; ++i) {
    model.bids[100 - i] = 1;
    model.asks[101 + i] = 1;
  }
  Levels changes;
  for (std::int64_t i = 0; i < 3000; ++i) {
    changes.push_back({100 - (i * 7919) % 6000, i % 3 == 0 ? 0 : i + 2});  // 7919 is prime: every price once
  }
  model.apply(changes, {});
  book.apply_update(changes, {});
  EXPECT_EQ(bids(book), model.best_first_bids());
  EXPECT_EQ(asks(book), model.best_first_asks());
}

}  // namespace
}  // namespace mdp::book
