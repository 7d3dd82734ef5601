// Frames of the venue, damaged at random. The parser must not crash, and what it commits must be what an
// independent strict reading of the same bytes says. MDP_TEST_SEED and MDP_TEST_ROUNDS repeat or prolong a
// run.
#include <gtest/gtest.h>

#include <cstdio>
#include <cstring>
#include <optional>
#include <string>
#include <vector>

#include "venue/binance/mutator.hpp"
#include "venue/binance/strict_reader.hpp"
#include "venue/binance/support.hpp"

namespace mdp::venue::binance {
namespace {

using core::ParseStatus;
using core::UpdateType;

// The event as messages became it, chunks joined.
void expect_same(const strict::Event& wanted, const std::vector<core::NormalizedMessage>& messages) {
  const core::Update update = core::join_chunks(messages);
  EXPECT_TRUE(update.flags_right);
  ASSERT_EQ(update.header.update_type, wanted.type);
  EXPECT_EQ(update.header.symbol_id, wanted.symbol_id);
  EXPECT_EQ(update.header.exch_ts_ns, wanted.exch_ts_ns);
  if (wanted.type == UpdateType::MarkPrice) {
    EXPECT_EQ(std::memcmp(&messages.at(0).mark_price, &wanted.mark, sizeof(wanted.mark)), 0);
    return;
  }
  if (wanted.type == UpdateType::Liquidation) {
    EXPECT_EQ(std::memcmp(&messages.at(0).liquidation, &wanted.liquidation, sizeof(wanted.liquidation)), 0);
    return;
  }
  if (wanted.type == UpdateType::Trade) {
    ASSERT_EQ(messages.size(), 1u);
    EXPECT_EQ(messages[0].trade.price, wanted.trade.price);
    EXPECT_EQ(messages[0].trade.quantity, wanted.trade.quantity);
    EXPECT_EQ(messages[0].trade.trade_id, wanted.trade.trade_id);
    EXPECT_EQ(messages[0].trade.side, wanted.trade.side);
    EXPECT_EQ(messages[0].has(core::kAggregate), wanted.aggregate);
    return;
  }
  EXPECT_EQ(update.header.first_update_id, wanted.first_id);
  EXPECT_EQ(update.header.last_update_id, wanted.last_id);
  EXPECT_EQ(update.header.prev_update_id, wanted.prev_id);
  EXPECT_EQ(update.bids, wanted.bids);
  EXPECT_EQ(update.asks, wanted.asks);
}

class BinanceMutation : public ParserFixture, public testing::WithParamInterface<VenueCase> {
 protected:
  BinanceMutation() : ParserFixture(GetParam().family) {}
};
INSTANTIATE_TEST_SUITE_P(Venues, BinanceMutation, testing::ValuesIn(venue_cases()), case_name);

TEST_P(BinanceMutation, DamagedFramesAreReadAsAStrictReaderReadsThem) {
  const std::uint64_t seed = from_environment("MDP_TEST_SEED", 20'261'122);
  const std::uint64_t rounds = from_environment("MDP_TEST_ROUNDS", 200'000);
  std::printf("seed %llu, rounds %llu\n", static_cast<unsigned long long>(seed),
              static_cast<unsigned long long>(rounds));
  Mutator mutator(frames_of(GetParam()), seed);
  std::uint64_t read = 0, refused = 0, invalidated = 0;
  for (std::uint64_t round = 0; round < rounds; ++round) {
    const std::string text = mutator.next();
    SCOPED_TRACE(::testing::Message() << "seed " << seed << " round " << round << ": " << text);
    const ParseStatus status = parse(text, mutator.behind());
    const std::optional<strict::Event> wanted = strict::read_frame(text, symbols, GetParam().family);
    if (status == ParseStatus::Ok) {
      ASSERT_TRUE(wanted.has_value());
      expect_same(*wanted, sink.messages);
      ++read;
    } else if (core::is_error(status)) {
      if (!sink.messages.empty()) {
        expect_invalidated(sink.messages.back().header.symbol_id, text);
        ++invalidated;
      }
      ++refused;
    } else {
      EXPECT_TRUE(sink.messages.empty());
    }
    // The other way round: the parser refuses nothing that is right. Escapes in keys and numbers it may
    // refuse.
    if (wanted && wanted->usual && status != ParseStatus::Ok) {
      EXPECT_NE(text.find('\\'), std::string::npos) << core::to_string(status);
    }
    if (HasFailure()) break;
  }
  std::printf("read %llu, refused %llu, of which invalidated a book %llu\n",
              static_cast<unsigned long long>(read), static_cast<unsigned long long>(refused),
              static_cast<unsigned long long>(invalidated));
  EXPECT_GT(read, rounds / 50) << "the damage is too great to test anything";
  EXPECT_GT(refused, rounds / 50);
  EXPECT_GT(invalidated, rounds / 500);
}

TEST_P(BinanceMutation, DamagedSnapshotsAreReadAsAStrictReaderReadsThem) {
  const std::uint64_t seed = from_environment("MDP_TEST_SEED", 20'261'123);
  const std::uint64_t rounds = from_environment("MDP_TEST_ROUNDS", 50'000);
  Mutator mutator({payload("depth_snapshot.json", GetParam().folder)}, seed);
  const core::Instrument instrument = make_instrument("BTCUSDT", kBtcUsdt, -2, -8);
  std::uint64_t read = 0;
  for (std::uint64_t round = 0; round < rounds; ++round) {
    const std::string text = mutator.next();
    SCOPED_TRACE(::testing::Message() << "seed " << seed << " round " << round << ": " << text);
    const Frame body(text, mutator.behind());
    sink.clear();
    if (parse_snapshot(body.text(), instrument, 1000, 1, sink) != ParseStatus::Ok) {
      if (!sink.messages.empty()) {
        EXPECT_EQ(sink.messages.back().header.update_type, UpdateType::Invalidate);
      }
    } else {
      const auto tree = strict::Reader(text).read();
      ASSERT_TRUE(tree.has_value());
      const auto id = strict::unsigned_integer(tree->only("lastUpdateId", strict::Value::Type::Number));
      const auto bids = strict::levels(tree->only("bids", strict::Value::Type::Array), instrument);
      const auto asks = strict::levels(tree->only("asks", strict::Value::Type::Array), instrument);
      ASSERT_TRUE(id && bids && asks);
      const core::Update update = core::join_chunks(sink.messages);
      EXPECT_TRUE(update.flags_right);
      EXPECT_EQ(update.header.last_update_id, *id);
      EXPECT_EQ(update.bids, *bids);
      EXPECT_EQ(update.asks, *asks);
      ++read;
    }
    if (HasFailure()) break;
  }
  EXPECT_GT(read, rounds / 50);
}

}  // namespace
}  // namespace mdp::venue::binance
