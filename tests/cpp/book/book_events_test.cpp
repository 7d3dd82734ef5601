// BookEvents, through the manager: what is emitted, and when.
#include <gtest/gtest.h>

#include "book/manager_fixture.hpp"
#include "mdp/book/order_book_manager.hpp"

namespace mdp::book {
namespace {

using namespace test;

TEST_F(Manager, LiveBookIsPublishedWholeBeforeItsState) {
  now_ns = 500;
  delta(9, 10, {}, {});
  now_ns = 700;
  snapshot(10);
  std::vector<EventType> order;
  for (const Event& event : sink.events) order.push_back(event.header.type);
  ASSERT_GE(order.size(), 4u);
  EXPECT_EQ((std::vector<EventType>(order.end() - 4, order.end())),
            (std::vector<EventType>{EventType::BookSnapshot, EventType::Bbo, EventType::BookSnapshot,
                                    EventType::BookState}));
  const Event snapshot = sink.of(EventType::BookSnapshot).back();
  EXPECT_EQ(snapshot.header.flags, shm::kFlagFirst | shm::kFlagLast | shm::kFlagChecksum);
  EXPECT_EQ(snapshot.header.update_id, 10u);
  EXPECT_EQ(snapshot.header.exchange_id, kExchange);
  EXPECT_EQ(snapshot.header.recv_ts_ns, 700);
  EXPECT_EQ(snapshot.header.bid_count, 2u);
  EXPECT_EQ(snapshot.bids()[0], (PriceLevel{100, 5}));
  EXPECT_EQ(snapshot.asks()[1], (PriceLevel{111, 5}));
}

TEST_F(Manager, BboOnlyWhenItChanged) {
  make_live();
  EXPECT_EQ(sink.of(EventType::Bbo).size(), 1u);
  delta(11, 11, {{98, 1}});
  delta(12, 12, {{100, 5}});
  delta(13, 13, {{100, 6}, {100, 5}});
  delta(14, 14, {}, {{112, 1}});
  EXPECT_EQ(sink.of(EventType::Bbo).size(), 1u);
  delta(15, 15, {{100, 6}});
  delta(16, 16, {}, {{110, 0}});
  const std::vector<Event> bbos = sink.of(EventType::Bbo);
  ASSERT_EQ(bbos.size(), 3u);
  EXPECT_EQ(bbos[1].bbo.bid, (PriceLevel{100, 6}));
  EXPECT_EQ(bbos[2].bbo.ask, (PriceLevel{111, 5}));
  EXPECT_EQ(bbos[2].header.update_id, 16u);
}

TEST_F(Manager, BboAfterAResyncOnlyWhenItChangedEvenToNothing) {
  make_live();
  invalidate(0, StateReason::Requested);
  delta(11, 12);
  snapshot(12);
  EXPECT_EQ(sink.of(EventType::Bbo).size(), 1u);
  invalidate(0, StateReason::Requested);
  delta(13, 14, {});
  snapshot(14, {}, {});
  ASSERT_EQ(sink.of(EventType::Bbo).size(), 2u);
  EXPECT_EQ(sink.of(EventType::Bbo)[1].bbo.bid, (PriceLevel{0, 0}));
  EXPECT_EQ(state(), BookState::Live);
}

TEST_F(Manager, DeltasCarryAbsoluteQuantitiesAsTheyCame) {
  make_live();
  delta(11, 13, {{100, 0}, {97, 4}}, {{110, 9}});
  const Event event = sink.of(EventType::BookDelta).back();
  EXPECT_EQ(event.header.first_update_id, 11u);
  EXPECT_EQ(event.header.update_id, 13u);
  ASSERT_EQ(event.header.bid_count, 2u);
  ASSERT_EQ(event.header.ask_count, 1u);
  EXPECT_EQ(event.bids()[0], (PriceLevel{100, 0}));
  EXPECT_EQ(event.bids()[1], (PriceLevel{97, 4}));
  EXPECT_EQ(event.asks()[0], (PriceLevel{110, 9}));
}

TEST_F(Manager, TradesAndQuotesPassInEveryState) {
  NormalizedMessage& message = *scratch;
  for (std::uint64_t i = 0; i < 2; ++i) {
    message.header = header(UpdateType::Trade, 0, 5, 6, 0);
    message.header.flags = core::kFirst | core::kLast | core::kAggregate;
    message.trade = {100, 3, 77, shm::Side::Sell, {}};
    manager.on_message(message);
    message.header = header(UpdateType::Quote, 0, 0, 8 + i, 0);
    message.levels[0] = {99, 1};
    message.levels[1] = {101, 2};
    manager.on_message(message);
    if (i == 0) make_live();
  }
  const std::vector<Event> trades = sink.of(EventType::Trade);
  ASSERT_EQ(trades.size(), 2u);
  EXPECT_EQ(trades[1].trade.trade_id, 77u);
  EXPECT_EQ(trades[1].trade.side, shm::Side::Sell);
  EXPECT_NE(trades[1].header.flags & shm::kFlagAggregate, 0);
  const Event quote = sink.of(EventType::Bbo).back();
  EXPECT_NE(quote.header.flags & shm::kFlagVenueQuote, 0);
  EXPECT_EQ(quote.header.update_id, 9u);
  EXPECT_EQ(manager.book(0)->bbo().bid.price, 100);  // a quote changes no book
}

TEST_F(Manager, LargeUpdatesBecomeSeveralRecords) {
  make_live();
  delta(11, 12, ladder(98, -1, 400), ladder(200, 1, 200));
  const std::vector<Event> records = sink.of(EventType::BookDelta);
  ASSERT_EQ(records.size(), 3u);
  std::size_t bid_count = 0, ask_count = 0;
  for (std::size_t i = 0; i < records.size(); ++i) {
    EXPECT_EQ((records[i].header.flags & shm::kFlagFirst) != 0, i == 0);
    EXPECT_EQ((records[i].header.flags & shm::kFlagLast) != 0, i == 2);
    EXPECT_TRUE(records[i].header.bid_count == 0 || ask_count == 0);
    bid_count += records[i].header.bid_count;
    ask_count += records[i].header.ask_count;
  }
  EXPECT_EQ(bid_count, 400u);
  EXPECT_EQ(ask_count, 200u);
}

TEST_F(Manager, TableGetsLevelsOnlyWhenTheTopMoved) {
  make_live();
  delta(11, 11, ladder(98, -1, 50));
  const auto last_table = [&] { return sink.events.back().header; };
  EXPECT_NE(last_table().flags & core::kFlagTableOnly, 0);
  EXPECT_EQ(last_table().flags & core::kFlagSameLevels, 0);
  EXPECT_EQ(last_table().bid_count, 20u);
  delta(12, 12, {{60, 4}});  // below the best twenty
  EXPECT_NE(last_table().flags & core::kFlagSameLevels, 0);
  EXPECT_EQ(last_table().update_id, 12u);
  delta(13, 13, {{81, 4}});  // the twentieth
  EXPECT_EQ(last_table().flags & core::kFlagSameLevels, 0);
}

class TopSnapshots : public ManagerTest {
 protected:
  TopSnapshots()
      : ManagerTest([] {
          BookOptions options;
          options.snapshot_interval_ns = 1000;
          options.table_levels = 3;
          return options;
        }()) {
    add(0);
  }
  std::vector<Event> tops() const {
    std::vector<Event> out;
    for (const Event& event : sink.of(EventType::BookSnapshot)) {
      if ((event.header.flags & shm::kFlagTop) != 0) out.push_back(event);
    }
    return out;
  }
};

TEST_F(TopSnapshots, ComeWithTheFirstUpdateOfEachInterval) {
  now_ns = 10'000;
  make_live();
  for (std::uint64_t id = 11; id < 20; ++id) {
    now_ns += 300;
    delta(id, id, {{static_cast<std::int64_t>(id), 1}});
  }
  // LIVE at 10,000 with the whole book; updates at 10,300, 10,600, ... 12,700.
  const std::vector<Event> found = tops();
  ASSERT_EQ(found.size(), 2u);
  EXPECT_EQ(found[0].header.recv_ts_ns, 11'200);
  EXPECT_EQ(found[1].header.recv_ts_ns, 12'400);
  EXPECT_EQ(found[0].header.bid_count, 3u);
  EXPECT_EQ(found[0].header.ask_count, 2u);
  EXPECT_EQ(found[0].bids()[0], (PriceLevel{100, 5}));
  EXPECT_EQ(found[0].bids()[2], (PriceLevel{14, 1}));
}

TEST_F(Manager, NoTopSnapshotsUnlessAskedFor) {
  make_live();
  now_ns += 1'000'000'000'000;
  delta(11, 11);
  for (const Event& event : sink.of(EventType::BookSnapshot))
    EXPECT_EQ(event.header.flags & shm::kFlagTop, 0);
}

}  // namespace
}  // namespace mdp::book
