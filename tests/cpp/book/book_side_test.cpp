// BookSide where its layout has seams: full blocks, nearly empty ones, the ends of the index, slots without a
// level beside the greatest price there is.
#include "mdp/book/book_side.hpp"

#include <gtest/gtest.h>

#include <limits>
#include <random>
#include <vector>

#include "book/book_model.hpp"

namespace mdp::book {
namespace {

using test::Levels;

constexpr std::int64_t kMin = std::numeric_limits<std::int64_t>::min();
constexpr std::int64_t kMax = std::numeric_limits<std::int64_t>::max();
constexpr std::size_t kAll = 1 << 20;
constexpr auto kSlots = static_cast<std::int64_t>(LevelBlock::kSlots);

Levels levels(const BookSide& side) {
  Levels out(side.level_count());
  out.resize(side.copy_best(out.data(), out.size()));
  return out;
}

// Prices 10, 20, ... up to 10 * count, best first.
Levels ladder(std::int64_t count) {
  Levels out;
  for (std::int64_t i = count; i > 0; --i) out.push_back({10 * i, i});
  return out;
}

// Every number of levels around one, two and three blocks.
class BlockSeams : public testing::TestWithParam<std::int64_t> {
 protected:
  BookSide filled() {
    BookSide side(BookSide::Best::Highest, pool_);
    side.assign(ladder(GetParam()));
    return side;
  }
  BlockPool pool_;
};

TEST_P(BlockSeams, ALevelPutInAtAnyPlaceAndTakenOutAgain) {
  for (std::int64_t place = 0; place <= GetParam(); ++place) {
    BookSide side = filled();
    Levels expected = ladder(GetParam());
    const PriceLevel added{10 * place + 5, 77};
    expected.insert(expected.end() - place, added);
    EXPECT_EQ(side.apply(Levels{added}, kAll), static_cast<std::size_t>(GetParam() - place));
    EXPECT_EQ(levels(side), expected) << "place " << place;
    EXPECT_EQ(side.best(), expected.front());
    EXPECT_EQ(side.apply(Levels{{added.price, 0}}, kAll), static_cast<std::size_t>(GetParam() - place));
    EXPECT_EQ(levels(side), ladder(GetParam())) << "place " << place;
    EXPECT_EQ(side.best(), ladder(GetParam()).front());
  }
}

TEST_P(BlockSeams, ABlockFilledUpAtAnyPlaceThenEmptied) {
  for (std::int64_t place = 0; place <= GetParam(); ++place) {
    BookSide side = filled();
    Levels added, removed;
    for (std::int64_t i = 1; i < 10; ++i) {
      added.push_back({10 * place + i, i});
      removed.push_back({10 * place + i, 0});
    }
    side.apply(added, kAll);
    Levels expected = ladder(GetParam());
    expected.insert(expected.end() - place, added.rbegin(), added.rend());
    EXPECT_EQ(levels(side), expected) << "place " << place;
    side.apply(removed, kAll);
    EXPECT_EQ(levels(side), ladder(GetParam())) << "place " << place;
  }
}

TEST_P(BlockSeams, EmptiedFromEitherEnd) {
  for (const bool from_best : {true, false}) {
    BookSide side = filled();
    Levels left = ladder(GetParam());
    while (!left.empty()) {
      const auto gone = from_best ? left.begin() : left.end() - 1;
      side.apply(Levels{{gone->price, 0}}, kAll);
      left.erase(gone);
      ASSERT_EQ(levels(side), left);
      ASSERT_EQ(side.best(), left.empty() ? PriceLevel{} : left.front());
    }
    side.apply(Levels{{3, 4}}, kAll);
    EXPECT_EQ(levels(side), (Levels{{3, 4}}));
  }
}

TEST_P(BlockSeams, CopiesNoMoreThanAskedFor) {
  const BookSide side = filled();
  const Levels all = ladder(GetParam());
  for (std::size_t max = 0; max <= all.size(); ++max) {
    Levels out(max + 1, PriceLevel{-1, -1});
    ASSERT_EQ(side.copy_best(out.data(), max), max);
    Levels expected(all.begin(), all.begin() + static_cast<std::ptrdiff_t>(max));
    expected.push_back({-1, -1});
    ASSERT_EQ(out, expected);
  }
}

TEST_P(BlockSeams, KeepsTheBestAndTellsTheRest) {
  for (std::int64_t kept = 1; kept <= GetParam(); ++kept) {
    BookSide side = filled();
    std::vector<PriceLevel> removals;
    side.keep_best(static_cast<std::size_t>(kept), removals);
    const Levels all = ladder(GetParam());
    EXPECT_EQ(levels(side), Levels(all.begin(), all.begin() + kept));
    ASSERT_EQ(removals.size(), all.size() - static_cast<std::size_t>(kept));
    Levels told = test::sorted(removals);
    for (std::size_t i = 0; i < told.size(); ++i) {
      EXPECT_EQ(told[i], (PriceLevel{10 * (static_cast<std::int64_t>(i) + 1), 0}));
    }
    // What was cut is not there any more, and can come back.
    EXPECT_EQ(side.apply(Levels{{10, 5}}, kAll),
              kept == GetParam() ? side.level_count() - 1 : static_cast<std::size_t>(kept));
  }
}

INSTANTIATE_TEST_SUITE_P(Levels, BlockSeams,
                         testing::Values(1, 5, 6, 7, kSlots, kSlots + 1, 2 * kSlots, 3 * kSlots, 70, 100));

TEST(BookSide, TheGreatestPriceIsNoSlotWithoutALevel) {
  for (const auto best : {BookSide::Best::Highest, BookSide::Best::Lowest}) {
    BlockPool pool;
    BookSide side(best, pool);
    const std::int64_t top = best == BookSide::Best::Highest ? kMax : kMin;
    const std::int64_t step = best == BookSide::Best::Highest ? -1 : 1;
    EXPECT_EQ(side.apply(Levels{{top, 0}}, kAll), BookSide::kUntouched);  // nothing there yet
    side.apply(Levels{{top, 3}}, kAll);
    EXPECT_EQ(side.best(), (PriceLevel{top, 3}));
    Levels expected{{top, 3}};
    for (std::int64_t i = 1; i <= 3 * kSlots; ++i) {  // split with that level in the block
      side.apply(Levels{{top + i * step, i}}, kAll);
      expected.push_back({top + i * step, i});
      ASSERT_EQ(levels(side), expected);
    }
    side.apply(Levels{{top, 0}}, kAll);
    expected.erase(expected.begin());
    EXPECT_EQ(levels(side), expected);
    EXPECT_EQ(side.best(), expected.front());
    EXPECT_EQ(side.apply(Levels{{top, 0}}, kAll), BookSide::kUntouched);
  }
}

TEST(BookSide, CountsTheLevelsAboveUpToTheNumberAskedFor) {
  BlockPool pool;
  BookSide side(BookSide::Best::Highest, pool);
  side.assign(ladder(200));
  for (const std::size_t above : {0u, 1u, 5u, 19u, 20u, 21u, 100u, 199u}) {
    const auto price = 10 * (200 - static_cast<std::int64_t>(above));
    EXPECT_EQ(side.apply(Levels{{price, static_cast<std::int64_t>(1000 + above)}}, kAll), above);
    const std::size_t counted = side.apply(Levels{{price, static_cast<std::int64_t>(2000 + above)}}, 20);
    if (above < 20) {
      EXPECT_EQ(counted, above);
    } else {
      EXPECT_GE(counted, 20u);
      EXPECT_LE(counted, above);
    }
  }
}

TEST(BookSide, TheIndexGrowsWithoutLosingALevel) {
  BlockPool pool(std::pmr::new_delete_resource(), 1);  // a new chunk nearly every time
  BookSide side(BookSide::Best::Lowest, pool);
  test::BookModel model;
  std::mt19937_64 random(7);
  for (int i = 0; i < 20'000; ++i) {
    const Levels change{{static_cast<std::int64_t>(random() % 1'000'000), 1 + i}};
    side.apply(change, 0);
    model.apply({}, change);
  }
  EXPECT_EQ(levels(side), model.best_first_asks());
}

TEST(BlockPool, SharedByBooksThatComeAndGo) {
  BlockPool pool;
  std::mt19937_64 random(11);
  std::vector<OrderBook> books;
  std::vector<test::BookModel> models(20);
  for (std::size_t i = 0; i < models.size(); ++i) books.emplace_back(0, &pool);
  for (int round = 0; round < 5'000; ++round) {
    const std::size_t at = random() % books.size();
    switch (random() % 20) {
      case 0:
        books[at] = OrderBook(0, &pool);
        models[at] = {};
        break;
      case 1: {
        const std::size_t other = random() % books.size();
        if (other == at) break;
        std::swap(books[at], books[other]);
        std::swap(models[at], models[other]);
        break;
      }
      case 2:
        books[at].clear();
        models[at] = {};
        break;
      default: {
        Levels changes;
        for (int i = 0; i < 30; ++i) {
          changes.push_back(
              {static_cast<std::int64_t>(random() % 300), static_cast<std::int64_t>(random() % 3)});
        }
        books[at].apply_update(changes, changes);
        models[at].apply(changes, changes);
      }
    }
    ASSERT_EQ(test::best_first_bids(books[at]), models[at].best_first_bids());
    ASSERT_EQ(test::best_first_asks(books[at]), models[at].best_first_asks());
  }
  for (std::size_t i = 0; i < books.size(); ++i) {
    EXPECT_EQ(test::best_first_bids(books[i]), models[i].best_first_bids());
  }
}

TEST(OrderBook, OutlivesTheBookItWasMovedFrom) {
  OrderBook kept;
  kept.apply_update(Levels{{1, 1}}, Levels{{2, 2}});
  {
    OrderBook other;
    other.apply_update(Levels{{5, 5}, {4, 4}}, Levels{{6, 6}});
    std::swap(kept, other);
    EXPECT_EQ(other.bbo(), (Bbo{{1, 1}, {2, 2}}));
  }
  kept.apply_update(Levels{{3, 3}}, {});
  EXPECT_EQ(test::best_first_bids(kept), (Levels{{5, 5}, {4, 4}, {3, 3}}));
  EXPECT_EQ(kept.bbo(), (Bbo{{5, 5}, {6, 6}}));
}

}  // namespace
}  // namespace mdp::book
