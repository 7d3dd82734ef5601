// Frames of the venue, damaged at random. The parser must not crash, and what it commits must be what an
// independent strict reading of the same bytes says. MDP_TEST_SEED and MDP_TEST_ROUNDS repeat or prolong a
// run.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <random>
#include <string>
#include <vector>

#include "venue/binance_support.hpp"
#include "venue/strict_json.hpp"

namespace mdp::venue::binance {
namespace {

using core::ParseStatus;
using core::UpdateType;

std::uint64_t from_environment(const char* name, std::uint64_t fallback) {
  const char* const text = std::getenv(name);
  return text ? std::strtoull(text, nullptr, 0) : fallback;
}

class Mutator {
 public:
  Mutator(std::vector<std::string> frames, std::uint64_t seed) : frames_(std::move(frames)), random_(seed) {}

  std::string next() {
    std::string text = pick(frames_);
    for (std::uint64_t n = 1 + below(4); n > 0; --n) damage(text);
    return text;
  }
  std::string behind() {
    // What an earlier frame may have left: nothing special, or what could complete this one.
    static const std::vector<std::string> leftovers = {
        "", "}", "}}", "\"}}", "]}}", "0", "\",\"1\"]]}}", "null}", ":1}}", ",\"a\":[]}}"};
    return pick(leftovers);
  }

 private:
  std::uint64_t below(std::uint64_t n) { return random_() % n; }
  const std::string& pick(const std::vector<std::string>& from) { return from[below(from.size())]; }

  void damage(std::string& text) {
    static const std::vector<std::string> snippets = {"\"",
                                                      "\\",
                                                      "{",
                                                      "}",
                                                      "[",
                                                      "]",
                                                      ",",
                                                      ":",
                                                      "null",
                                                      "true",
                                                      "-",
                                                      ".",
                                                      "0",
                                                      "9",
                                                      "e5",
                                                      " ",
                                                      "\n",
                                                      std::string(1, '\0'),
                                                      "\x80",
                                                      "\xC3\xA9",
                                                      "\\u0031",
                                                      "\"e\":\"trade\",",
                                                      "\"e\":\"depthUpdate\",",
                                                      "\"s\":\"BTCUSDT\",",
                                                      "\"u\":1,",
                                                      "\"U\":99999999999999,",
                                                      "\"b\":[],",
                                                      "\"a\":\"1\",",
                                                      "\"m\":false,",
                                                      "[\"1\",\"2\"],",
                                                      "\"data\":{},",
                                                      "99999999999999999999",
                                                      "\"x\":{\"y\":[1,2,{}]},",
                                                      "-0",
                                                      "1e400",
                                                      "0.00000000"};
    const std::size_t at = text.empty() ? 0 : below(text.size());
    const std::size_t length = text.empty() ? 0 : std::min<std::size_t>(1 + below(12), text.size() - at);
    switch (below(8)) {
      case 0:
        if (!text.empty()) text[at] = static_cast<char>(below(256));
        return;
      case 1:
        if (!text.empty()) text[at] = static_cast<char>('0' + below(10));
        return;
      case 2:
        text.erase(at, length);
        return;
      case 3:
        text.insert(at, pick(snippets));
        return;
      case 4:
        text.insert(below(text.size() + 1), text.substr(at, length));
        return;
      case 5:
        if (below(4) == 0) text.resize(at);
        return;
      case 6: {  // the head of this frame and the tail of another
        const std::string& other = pick(frames_);
        if (below(4) == 0) text = text.substr(0, at) + other.substr(below(other.size()));
        return;
      }
      default:  // two bytes change places
        if (!text.empty()) std::swap(text[at], text[below(text.size())]);
    }
  }

  std::vector<std::string> frames_;
  std::mt19937_64 random_;
};

// The event as messages became it, chunks joined.
void expect_same(const strict::Event& wanted, const std::vector<core::NormalizedMessage>& messages) {
  const core::Update update = core::join_chunks(messages);
  EXPECT_TRUE(update.flags_right);
  ASSERT_EQ(update.header.update_type, wanted.type);
  EXPECT_EQ(update.header.symbol_id, wanted.symbol_id);
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
  EXPECT_EQ(update.bids, wanted.bids);
  EXPECT_EQ(update.asks, wanted.asks);
}

class BinanceSpotMutation : public BinanceSpotParserTest {};

TEST_F(BinanceSpotMutation, DamagedFramesAreReadAsAStrictReaderReadsThem) {
  const std::uint64_t seed = from_environment("MDP_TEST_SEED", 20'261'122);
  const std::uint64_t rounds = from_environment("MDP_TEST_ROUNDS", 200'000);
  std::printf("seed %llu, rounds %llu\n", static_cast<unsigned long long>(seed),
              static_cast<unsigned long long>(rounds));
  std::vector<std::string> frames;
  for (const char* name : {"depth_update_both_sides_composed.json", "depth_update_combined.json",
                           "depth_update_bids_only_combined.json", "trade_2024_combined.json",
                           "agg_trade_combined.json", "book_ticker_combined.json"}) {
    frames.push_back(payload(name));
    frames.push_back(raw_framing(frames.back()));
  }
  for (const char* name :
       {"trade_2021_raw.json", "kline_composed.json", "partial_depth_combined.json", "ack.json",
        "error_nested.json", "server_shutdown_combined.json", "mini_ticker_array_raw.json"}) {
    frames.push_back(payload(name));
  }
  Mutator mutator(frames, seed);
  std::uint64_t read = 0, refused = 0, invalidated = 0;
  for (std::uint64_t round = 0; round < rounds; ++round) {
    const std::string text = mutator.next();
    SCOPED_TRACE(::testing::Message() << "seed " << seed << " round " << round << ": " << text);
    const ParseStatus status = parse(text, mutator.behind());
    const std::optional<strict::Event> wanted = strict::read_frame(text, symbols);
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

TEST_F(BinanceSpotMutation, DamagedSnapshotsAreReadAsAStrictReaderReadsThem) {
  const std::uint64_t seed = from_environment("MDP_TEST_SEED", 20'261'123);
  const std::uint64_t rounds = from_environment("MDP_TEST_ROUNDS", 50'000);
  Mutator mutator({payload("depth_snapshot.json")}, seed);
  const core::Instrument instrument = make_instrument("BTCUSDT", kBtcUsdt, -2, -8);
  std::uint64_t read = 0;
  for (std::uint64_t round = 0; round < rounds; ++round) {
    const std::string text = mutator.next();
    SCOPED_TRACE(::testing::Message() << "seed " << seed << " round " << round << ": " << text);
    const Frame body(text, mutator.behind());
    sink.clear();
    if (parse_snapshot(body.text(), instrument, 1, sink) != ParseStatus::Ok) {
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
