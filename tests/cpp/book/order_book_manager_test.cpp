// OrderBookManager: which message goes where, and chunks put together.
#include "mdp/book/order_book_manager.hpp"

#include <gtest/gtest.h>

#include "book/manager_fixture.hpp"

namespace mdp::book {
namespace {

using namespace test;
using Reasons = std::vector<StateReason>;

TEST_F(ManagerTest, AddedSymbolStartsStaleAndIsAnnounced) {
  add(5);
  EXPECT_EQ(states(5), (Strings{stale(StateReason::Starting)}));
  EXPECT_EQ(sink.of(EventType::Instrument, 5).size(), 1u);
  EXPECT_EQ(manager.symbol_count(), 1u);
  add(5);  // again: nothing
  EXPECT_EQ(manager.symbol_count(), 1u);
  EXPECT_TRUE(states(5).empty());
  EXPECT_EQ(manager.book(4), nullptr);
  EXPECT_EQ(manager.book(500), nullptr);
}

TEST_F(Manager, MessagesForAnUnknownSymbolAreCountedAndDropped) {
  delta_of(9, 1, 2);
  snapshot_of(9, 2, {}, {});
  invalidate(9, StateReason::Gap);
  EXPECT_EQ(manager.counters().unroutable.get(), 3u);
  EXPECT_TRUE(states(9).empty());
}

TEST_F(Manager, ChunkedSnapshotAndDeltaAreAppliedAsOne) {
  delta(9, 10);
  snapshot(10, ladder(100, -1, 1000), ladder(101, 1, 1000));
  EXPECT_EQ(state(), BookState::Live);
  EXPECT_EQ(bids(), ladder(100, -1, 1000));
  EXPECT_EQ(asks(), ladder(101, 1, 1000));
  const std::size_t before = sink.of(EventType::Bbo).size();
  // Crossed until its last chunk is there.
  Levels new_bids = ladder(500, -1, 399, 2);
  Levels new_asks = ladder(101, 1, 400, 0);
  delta(11, 20, new_bids, new_asks);
  EXPECT_EQ(state(), BookState::Live);
  EXPECT_EQ(manager.book(0)->bbo(), (Bbo{{500, 2}, {501, 1}}));
  EXPECT_EQ(sink.of(EventType::Bbo).size(), before + 1);
  EXPECT_EQ(id(), 20u);
}

TEST_F(Manager, DeltasBetweenTheChunksOfASnapshotDoNotDisturbIt) {
  delta(9, 10);
  std::uint64_t next = 11;
  messages.between = [&] {
    auto between = std::move(messages.between);
    messages.between = nullptr;
    delta(next, next, {{static_cast<std::int64_t>(next), 3}});
    ++next;
    messages.between = std::move(between);
  };
  // The fixture's sink is used by both: the slot is written whole each time, so they can take turns.
  const MessageHeader head = header(UpdateType::Snapshot, 0, 10, 10, 0);
  core::LevelWriter writer(messages, head);
  for (const PriceLevel& level : ladder(1000, -1, 700)) writer.add(level);
  writer.begin_asks();
  for (const PriceLevel& level : ladder(1001, 1, 700)) writer.add(level);
  writer.finish();
  messages.between = nullptr;
  EXPECT_EQ(state(), BookState::Live);
  EXPECT_EQ(id(), next - 1);
  EXPECT_EQ(bids().size(), 700u + (next - 11));
  EXPECT_EQ(manager.counters().lost_chunks.get(), 0u);
  EXPECT_EQ(manager.counters().resyncs.get(), 0u);
}

class LostChunk : public Manager, public testing::WithParamInterface<int> {};

TEST_P(LostChunk, OfADeltaResyncsALiveBook) {
  make_live();
  states();
  messages.lose_chunk = GetParam();
  delta(11, 12, ladder(98, -1, 1000, 4));
  // A lost end shows with the next update.
  delta(13, 14, {{97, 8}});
  EXPECT_EQ(states(), (Strings{stale(StateReason::Gap), syncing(StateReason::Subscribed)}));
  EXPECT_EQ(manager.counters().lost_chunks.get(), 1u);
  EXPECT_TRUE(sink.of(EventType::BookDelta).empty());
  snapshot(12);
  EXPECT_EQ(state(), BookState::Live);
  EXPECT_EQ(bids(), (Levels{{100, 5}, {99, 5}, {97, 8}}));
}

TEST_P(LostChunk, OfADeltaWhileSyncingBeginsAnew) {
  delta(9, 10, {{90, 3}});
  messages.lose_chunk = GetParam();
  delta(11, 12, ladder(98, -1, 1000, 4));
  delta(13, 14, {{97, 8}});
  EXPECT_EQ(state(), BookState::Syncing);
  snapshot(10);
  EXPECT_EQ(state(), BookState::Syncing);
  snapshot(12);
  EXPECT_EQ(state(), BookState::Live);
  EXPECT_EQ(bids(), (Levels{{100, 5}, {99, 5}, {97, 8}}));
}

TEST_P(LostChunk, OfASnapshotAsksForAnother) {
  delta(9, 10);
  wanted();
  messages.lose_chunk = GetParam();
  snapshot(10, ladder(100, -1, 500), ladder(101, 1, 500));
  EXPECT_EQ(state(), BookState::Syncing);
  messages.lose_chunk = -1;
  delta(11, 12, {{90, 7}});
  snapshot(11, ladder(100, -1, 500), ladder(101, 1, 500));
  EXPECT_EQ(wanted(), (Reasons{StateReason::SnapshotFailed}));
  EXPECT_EQ(state(), BookState::Live);
  EXPECT_EQ(id(), 12u);
}

TEST_P(LostChunk, OfASnapshotNobodyWaitsForDoesNotHurtALiveBook) {
  make_live();
  states();
  messages.lose_chunk = GetParam();
  snapshot(20, ladder(100, -1, 500), ladder(101, 1, 500));
  delta(11, 12);
  EXPECT_TRUE(states().empty());
  EXPECT_EQ(state(), BookState::Live);
}

INSTANTIATE_TEST_SUITE_P(First0Middle1Last3, LostChunk, testing::Values(0, 1, 2, 3));

TEST_F(Manager, AbandonedChunksAreForgotten) {
  make_live();
  states();
  const MessageHeader head = header(UpdateType::Delta, 0, 11, 12, 0);
  core::LevelWriter writer(messages, head);
  for (const PriceLevel& level : ladder(98, -1, 300)) writer.add(level);
  writer.abandon(StateReason::ParseError);
  EXPECT_EQ(states(), (Strings{stale(StateReason::ParseError)}));
  delta(13, 14, {{90, 8}});
  snapshot(12);
  EXPECT_EQ(state(), BookState::Live);
  EXPECT_EQ(manager.counters().lost_chunks.get(), 0u);
}

TEST_F(Manager, LineDownInTheMiddleOfAChunkedDelta) {
  make_live();
  const MessageHeader head = header(UpdateType::Delta, 0, 11, 12, 0);
  core::LevelWriter writer(messages, head);
  for (const PriceLevel& level : ladder(98, -1, 300)) writer.add(level);
  line_is(LineState::Down);
  line_is(LineState::Up);
  delta(30, 31, {{90, 8}});
  snapshot(30);
  EXPECT_EQ(state(), BookState::Live);
  EXPECT_EQ(manager.counters().lost_chunks.get(), 0u);
}

}  // namespace
}  // namespace mdp::book
