#include "mdp/core/level_writer.hpp"

#include <gtest/gtest.h>

#include "core/collecting_sink.hpp"

namespace mdp::core {
namespace {

MessageHeader header_of_update() {
  MessageHeader header{};
  header.first_update_id = 11;
  header.last_update_id = 12;
  header.exch_ts_ns = 13;
  header.recv_ts_ns = 14;
  header.symbol_id = 15;
  header.exchange_id = 16;
  header.line_id = 17;
  header.update_type = UpdateType::Delta;
  header.bid_count = 99;  // rubbish: the writer counts itself
  header.ask_count = 99;
  header.flags = kLast | kAggregate;
  return header;
}

std::vector<PriceLevel> numbered(std::size_t count, std::int64_t first) {
  std::vector<PriceLevel> levels;
  for (std::size_t i = 0; i < count; ++i) {
    levels.push_back({first + static_cast<std::int64_t>(i), static_cast<std::int64_t>(i)});
  }
  return levels;
}

struct Shape {
  std::size_t bids, asks, chunks;
};

class LevelWriterShapes : public testing::TestWithParam<Shape> {};

TEST_P(LevelWriterShapes, ChunksHoldEveryLevelOnce) {
  const Shape shape = GetParam();
  CollectingSink sink;
  const MessageHeader header = header_of_update();
  LevelWriter writer(sink, header);
  const auto bids = numbered(shape.bids, 1'000'000);
  const auto asks = numbered(shape.asks, 2'000'000);
  for (const PriceLevel level : bids) writer.add(level);
  writer.begin_asks();
  for (const PriceLevel level : asks) writer.add(level);
  writer.finish();
  ASSERT_EQ(sink.messages.size(), shape.chunks);
  const Update update = join_chunks(sink.messages);
  EXPECT_TRUE(update.flags_right);
  EXPECT_EQ(update.bids, bids);
  EXPECT_EQ(update.asks, asks);
  for (const NormalizedMessage& chunk : sink.messages) {
    EXPECT_EQ(chunk.header.first_update_id, 11u);
    EXPECT_EQ(chunk.header.last_update_id, 12u);
    EXPECT_EQ(chunk.header.exch_ts_ns, 13);
    EXPECT_EQ(chunk.header.recv_ts_ns, 14);
    EXPECT_EQ(chunk.header.symbol_id, 15u);
    EXPECT_EQ(chunk.header.exchange_id, 16u);
    EXPECT_EQ(chunk.header.line_id, 17u);
    EXPECT_FALSE(chunk.has(kAggregate));
  }
}

INSTANTIATE_TEST_SUITE_P(Sizes, LevelWriterShapes,
                         testing::Values(Shape{0, 0, 1}, Shape{1, 0, 1}, Shape{0, 1, 1}, Shape{256, 0, 1},
                                         Shape{0, 256, 1}, Shape{128, 128, 1}, Shape{255, 1, 1},
                                         Shape{256, 1, 2}, Shape{257, 0, 2}, Shape{0, 257, 2},
                                         Shape{255, 2, 2}, Shape{256, 256, 2}, Shape{511, 1, 2},
                                         Shape{512, 0, 2}, Shape{512, 1, 3}, Shape{1000, 1000, 8},
                                         Shape{1076, 0, 5}, Shape{5000, 5000, 40}),
                         [](const testing::TestParamInfo<Shape>& shape) {
                           return std::to_string(shape.param.bids) + "and" + std::to_string(shape.param.asks);
                         });

TEST(LevelWriter, ResetIsOnTheFirstChunkAlone) {
  CollectingSink sink;
  MessageHeader header = header_of_update();
  header.flags = kReset;
  LevelWriter writer(sink, header);
  for (const PriceLevel level : numbered(600, 1)) writer.add(level);
  writer.finish();
  ASSERT_EQ(sink.messages.size(), 3u);
  EXPECT_EQ(sink.messages[0].header.flags, kReset | kFirst);
  EXPECT_EQ(sink.messages[1].header.flags, 0);
  EXPECT_EQ(sink.messages[2].header.flags, kLast);
}

TEST(LevelWriter, AbandonHandsOnAnInvalidateInsteadOfTheLastChunk) {
  for (const std::size_t written : {0u, 1u, 256u, 257u, 700u}) {
    CollectingSink sink;
    const MessageHeader header = header_of_update();
    LevelWriter writer(sink, header);
    for (const PriceLevel level : numbered(written, 1)) writer.add(level);
    writer.abandon(shm::StateReason::ParseError);
    ASSERT_FALSE(sink.messages.empty());
    const MessageHeader& last = sink.messages.back().header;
    EXPECT_EQ(last.update_type, UpdateType::Invalidate);
    EXPECT_EQ(last.reason, static_cast<std::uint8_t>(shm::StateReason::ParseError));
    EXPECT_EQ(last.flags, kFirst | kLast);
    EXPECT_EQ(last.bid_count + last.ask_count, 0);
    EXPECT_EQ(last.symbol_id, 15u);
    EXPECT_EQ(last.line_id, 17u);
    for (std::size_t i = 0; i + 1 < sink.messages.size(); ++i) {
      EXPECT_FALSE(sink.messages[i].has(kLast)) << "an abandoned update must not look whole";
    }
  }
}

}  // namespace
}  // namespace mdp::core
