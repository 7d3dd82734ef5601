// OrderBook against BookModel on random streams of the shapes venues send: sorted either way, shuffled,
// prices named twice, near the top or anywhere, at the edges of int64, from one level to thousands.
//
// The default run takes a second. MDP_STRESS=<factor> makes it so much longer, MDP_SEED=<n> repeats a run.
#include <gtest/gtest.h>

#include <cstdlib>
#include <limits>
#include <random>
#include <string>

#include "book/book_model.hpp"

namespace mdp::book {
namespace {

using test::BookModel;
using test::Levels;

std::uint64_t environment(const char* name, std::uint64_t otherwise) {
  const char* text = std::getenv(name);
  return text != nullptr ? std::stoull(text) : otherwise;
}

struct Shape {
  std::string name;
  std::int64_t low, high;       // prices
  std::size_t snapshot_levels;  // a side, at most
  std::size_t delta_levels;     // a side, at most
  double near_top;              // share of changes within 20 prices of the top
  std::size_t depth_cap;
  std::size_t operations;  // level changes before the factor
};

std::ostream& operator<<(std::ostream& out, const Shape& shape) { return out << shape.name; }

class RandomBook : public testing::TestWithParam<Shape> {
 protected:
  std::int64_t price() {
    return std::uniform_int_distribution<std::int64_t>(GetParam().low, GetParam().high)(random_);
  }
  // Within 20 of `top`, kept inside the shape's range.
  std::int64_t price_near(std::int64_t top) {
    const std::int64_t low = top < GetParam().low + 20 ? GetParam().low : top - 20;
    const std::int64_t high = top > GetParam().high - 20 ? GetParam().high : top + 20;
    return std::uniform_int_distribution<std::int64_t>(low, high)(random_);
  }
  std::size_t up_to(std::size_t most) { return std::uniform_int_distribution<std::size_t>(0, most)(random_); }
  bool chance(double share) { return std::uniform_real_distribution<>(0, 1)(random_) < share; }

  Levels changes(std::size_t most, const BookModel::Side& side, std::int64_t top) {
    // Small ones mostly, as on the wire.
    const std::size_t count = chance(0.7) ? up_to(std::min<std::size_t>(most, 8)) : up_to(most);
    Levels out;
    for (std::size_t i = 0; i < count; ++i) {
      std::int64_t at = chance(GetParam().near_top) ? price_near(top) : price();
      // Half of them hit a level that is there.
      if (!side.empty() && chance(0.5)) {
        auto hit = side.lower_bound(at);
        if (hit == side.end()) --hit;
        at = hit->first;
      }
      out.push_back({at, chance(0.45) ? 0 : 1 + static_cast<std::int64_t>(up_to(3))});
    }
    const auto worse = [](const PriceLevel& a, const PriceLevel& b) { return a.price < b.price; };
    switch (up_to(3)) {
      case 0:
        std::stable_sort(out.begin(), out.end(), worse);
        break;
      case 1:
        std::stable_sort(out.rbegin(), out.rend(), worse);
        break;
      case 2:  // sorted, with one stray
        std::stable_sort(out.begin(), out.end(), worse);
        if (!out.empty())
          out.push_back({out[up_to(out.size() - 1)].price, static_cast<std::int64_t>(up_to(2))});
        break;
      default:
        break;
    }
    return out;
  }

  void expect_same(const OrderBook& book, const BookModel& model) {
    ASSERT_EQ(test::best_first_bids(book), model.best_first_bids());
    ASSERT_EQ(test::best_first_asks(book), model.best_first_asks());
    ASSERT_EQ(book.checksum(), model.checksum());
  }

  std::mt19937_64 random_;
};

// How deep the first difference between two best-first sides lies.
std::size_t first_difference(const Levels& a, const Levels& b) {
  std::size_t i = 0;
  while (i < a.size() && i < b.size() && a[i] == b[i]) ++i;
  return i == a.size() && i == b.size() ? OrderBook::kUntouched : i;
}

TEST_P(RandomBook, AgreesWithTheMap) {
  const Shape& shape = GetParam();
  const std::uint64_t seed = environment("MDP_SEED", std::random_device{}());
  RecordProperty("seed", std::to_string(seed));
  SCOPED_TRACE("MDP_SEED=" + std::to_string(seed));
  std::printf("seed %llu\n", static_cast<unsigned long long>(seed));
  random_.seed(seed);

  OrderBook book(shape.depth_cap, nullptr, true);
  BookModel model;
  const std::size_t operations = shape.operations * environment("MDP_STRESS", 1);
  std::size_t done = 0;
  for (std::size_t message = 0; done < operations; ++message) {
    if (message == 0 || chance(0.0005)) {
      Levels bids(up_to(shape.snapshot_levels)), asks(up_to(shape.snapshot_levels));
      for (PriceLevel& level : bids) level = {price(), static_cast<std::int64_t>(up_to(5))};
      for (PriceLevel& level : asks) level = {price(), static_cast<std::int64_t>(up_to(5))};
      book.apply_snapshot(bids, asks);
      model.replace(bids, asks);
      done += bids.size() + asks.size();
      if (shape.depth_cap != 0) model.cut(shape.depth_cap);
      ASSERT_NO_FATAL_FAILURE(expect_same(book, model));
      continue;
    }
    const Bbo top = model.bbo();
    const Levels bids = changes(shape.delta_levels, model.bids, top.bid.price);
    const Levels asks = changes(shape.delta_levels, model.asks, top.ask.price);
    done += bids.size() + asks.size() + 1;
    // Comparing whole books costs more than changing them: every message while books are small, some else.
    const bool whole = model.bids.size() + model.asks.size() < 64 || chance(0.02);
    const Levels bids_before = whole ? model.best_first_bids() : Levels{};
    const Levels asks_before = whole ? model.best_first_asks() : Levels{};
    model.apply_known(bids, asks);
    const std::size_t reached = book.apply_update(bids, asks);
    if (whole) {
      // Never later than the first difference: a reader of the top N must not miss one. It may be earlier,
      // where a later change of the same message took the first back.
      const std::size_t differs = std::min(first_difference(bids_before, model.best_first_bids()),
                                           first_difference(asks_before, model.best_first_asks()));
      ASSERT_LE(std::min(reached, OrderBook::kReachCounted), differs);
    }
    if (shape.depth_cap != 0) {
      const BookModel uncut = model;
      model.cut(shape.depth_cap);
      // What the book says it cut, taken from the uncut book, leaves the cut one.
      BookModel told = uncut;
      told.apply(book.cut_bids(), book.cut_asks());
      ASSERT_EQ(told.bids, model.bids);
      ASSERT_EQ(told.asks, model.asks);
    }
    if (whole) {
      ASSERT_NO_FATAL_FAILURE(expect_same(book, model));
    }
    ASSERT_EQ(book.bbo(), model.bbo());
    ASSERT_EQ(book.crossed(), model.crossed());
    ASSERT_EQ(book.bid_count(), model.bids.size());
    ASSERT_EQ(book.ask_count(), model.asks.size());
  }
  expect_same(book, model);
}

constexpr std::int64_t kMin = std::numeric_limits<std::int64_t>::min();
constexpr std::int64_t kMax = std::numeric_limits<std::int64_t>::max();

INSTANTIATE_TEST_SUITE_P(Shapes, RandomBook,
                         testing::Values(Shape{"Tiny", -3, 3, 4, 6, 0, 0, 200'000},             //
                                         Shape{"Small", 0, 40, 20, 30, 0.5, 0, 300'000},        //
                                         Shape{"Usual", 0, 5'000, 1'000, 60, 0.7, 0, 400'000},  //
                                         Shape{"Deep", 0, 60'000, 30'000, 40, 0.8, 0, 200'000},
                                         Shape{"HugeDeltas", 0, 8'000, 3'000, 4'000, 0.2, 0, 400'000},
                                         Shape{"LowEdge", kMin, kMin + 200, 100, 40, 0.5, 0, 200'000},
                                         Shape{"HighEdge", kMax - 200, kMax, 100, 40, 0.5, 0, 200'000},
                                         Shape{"WholeRange", kMin, kMax, 2'000, 200, 0.6, 0, 200'000},
                                         Shape{"Capped", 0, 3'000, 1'500, 60, 0.5, 50, 300'000},
                                         Shape{"CappedAtOne", 0, 30, 10, 10, 0.5, 1, 100'000}),
                         [](const auto& shape) { return shape.param.name; });

}  // namespace
}  // namespace mdp::book
