// What the tests of the Binance family share: payload files, frames in buffers without a byte to spare, a
// parser with a few known symbols.
#pragma once

#include <gtest/gtest.h>

#include <cstring>
#include <fstream>
#include <iterator>
#include <memory>
#include <ostream>
#include <string>
#include <string_view>
#include <vector>

#include "core/collecting_sink.hpp"
#include "mdp/core/level_scanner.hpp"
#include "mdp/core/parser.hpp"
#include "mdp/core/symbol_table.hpp"
#include "mdp/venue/binance/parser.hpp"

namespace mdp::venue::binance {

// A file of tests/data; `folder` is the venue's.
inline std::string payload(const std::string& name, const std::string& folder = "binance_spot") {
  std::ifstream file(std::string(MDP_TEST_DATA) + '/' + folder + '/' + name, std::ios::binary);
  if (!file) ADD_FAILURE() << "no payload " << folder << '/' << name;
  return {std::istreambuf_iterator<char>(file), {}};
}

// A combined depth frame of `levels` levels, half of them a side, each side best first as the venue sends
// them. (The largest delta in a recorded session has 1,076 levels.)
inline std::string large_depth_update(int levels) {
  // Appended piece by piece: g++ 12 takes operator+ on a temporary for an overlapping copy.
  const auto add_level = [](std::string& side, int price, const char* cents, int lots) {
    side.append(side.empty() ? "" : ",").append("[\"").append(std::to_string(price)).append(cents);
    side.append("000000\",\"").append(std::to_string(lots)).append(".00000000\"]");
  };
  std::string bids;
  std::string asks;
  for (int i = 0; i < levels / 2; ++i) {
    add_level(bids, 61'000 - i, ".50", i % 9);
    add_level(asks, 61'001 + i, ".25", i % 4);
  }
  std::string frame =
      R"({"stream":"btcusdt@depth@100ms","data":{"e":"depthUpdate","E":1723161255208,"s":"BTCUSDT",)";
  frame.append(R"("U":50093239189,"u":50093239202,"b":[)")
      .append(bids)
      .append(R"(],"a":[)")
      .append(asks)
      .append("]}}");
  return frame;
}

// A frame in a heap buffer of exactly its size and the padding: one byte read beyond is seen by the address
// sanitizer, one byte written beyond the payload by padding_intact(). `behind` is what an earlier frame left
// in the padding.
class Frame {
 public:
  explicit Frame(std::string_view text, std::string_view behind = {})
      : size_(text.size()), buffer_(std::make_unique<char[]>(text.size() + core::kFramePadding)) {
    if (!text.empty()) std::memcpy(buffer_.get(), text.data(), text.size());
    char* const padding = buffer_.get() + size_;
    for (std::size_t i = 0; i < core::kFramePadding; ++i) padding[i] = i < behind.size() ? behind[i] : kGuard;
    padding_.assign(padding, core::kFramePadding);
  }

  core::RawMessage raw() const {
    core::RawMessage message{};
    message.data = buffer_.get();
    message.size = static_cast<std::uint32_t>(size_);
    message.recv_ts_ns = 1'723'161'255'400'000'000;
    message.line_id = 7;
    return message;
  }
  std::string_view text() const { return {buffer_.get(), size_}; }
  bool padding_intact() const {
    return padding_ == std::string_view(buffer_.get() + size_, core::kFramePadding);
  }

 private:
  static constexpr char kGuard = '7';  // a digit: a number that runs out of the frame goes wrong

  std::size_t size_;
  std::unique_ptr<char[]> buffer_;
  std::string padding_;
};

inline constexpr core::ExchangeId kExchange = 1;

inline core::Instrument make_instrument(std::string symbol, core::SymbolId id, int price_exponent = -8,
                                        int quantity_exponent = -8) {
  core::Instrument instrument;
  instrument.symbol_id = id;
  instrument.exchange_id = kExchange;
  instrument.venue_symbol = std::move(symbol);
  instrument.price_exponent = static_cast<std::int8_t>(price_exponent);
  instrument.quantity_exponent = static_cast<std::int8_t>(quantity_exponent);
  return instrument;
}

inline constexpr core::SymbolId kBtcUsdt = 0, kBusdTry = 1, kDotUsdt = 2, kBnbBtc = 3, kUtf8 = 4,
                                kBtcUsdPerp = 5, kBtcUsd210625 = 6;

inline std::vector<core::Instrument> known_instruments() {
  return {make_instrument("BTCUSDT", kBtcUsdt, -2, -8),
          make_instrument("BUSDTRY", kBusdTry, -2, -2),
          make_instrument("DOTUSDT", kDotUsdt, -4, -2),
          make_instrument("BNBBTC", kBnbBtc),
          make_instrument("\xE5\xB8\x81\xE5\xAE\x89USDT", kUtf8),
          make_instrument("BTCUSD_PERP", kBtcUsdPerp, -2, -8),
          make_instrument("BTCUSD_210625", kBtcUsd210625)};
}

// One of the three venues, with payload files that exist for each.
struct VenueCase {
  const char* folder;
  Family family;
  core::SymbolId symbol;  // of its payloads
  std::string depth, trade, aggregate, quote;
};
// Names the test in ctest's list.
inline void PrintTo(const VenueCase& venue, std::ostream* out) { *out << venue.folder; }
inline std::vector<VenueCase> venue_cases() {
  return {{"binance_spot", Family::Spot, kBtcUsdt, "depth_update_both_sides_composed.json",
           "trade_2024_combined.json", "agg_trade_combined.json", "book_ticker_combined.json"},
          {"binance_usdm", Family::Futures, kBtcUsdt, "depth_update_combined.json", "trade_combined.json",
           "agg_trade_combined.json", "book_ticker_combined.json"},
          {"binance_coinm", Family::Futures, kBtcUsdPerp, "depth_update_combined.json", "trade_combined.json",
           "agg_trade_combined.json", "book_ticker_combined.json"}};
}
inline std::string case_name(const testing::TestParamInfo<VenueCase>& info) { return info.param.folder; }

// Reads a snapshot whose failure is of no interest.
inline core::ParseStatus parse_snapshot(std::string_view body, const core::Instrument& instrument,
                                        std::uint16_t depth_limit, std::int64_t recv_ts_ns,
                                        core::MessageSink& sink) {
  core::ParseFailure failure;
  return parse_snapshot(body, instrument, depth_limit, recv_ts_ns, sink, failure);
}

class ParserFixture : public testing::Test {
 protected:
  explicit ParserFixture(Family family) : parser(make_parser(family, symbols, kExchange)) {}

  core::ParseStatus parse(std::string_view text, std::string_view behind = {}) {
    sink.clear();
    const Frame frame(text, behind);
    const core::ParseStatus status = parser->parse(frame.raw(), sink);
    EXPECT_TRUE(frame.padding_intact()) << text;
    EXPECT_EQ(frame.text(), text) << "a parser must not change the frame";
    return status;
  }

  // The symbol is known to be wrong, and nothing before that looks whole.
  void expect_invalidated(core::SymbolId symbol, std::string_view what) {
    ASSERT_FALSE(sink.messages.empty()) << what;
    const core::MessageHeader& last = sink.messages.back().header;
    EXPECT_EQ(last.update_type, core::UpdateType::Invalidate) << what;
    EXPECT_EQ(last.symbol_id, symbol) << what;
    EXPECT_EQ(last.exchange_id, kExchange) << what;
    EXPECT_EQ(last.line_id, 7) << what;
    EXPECT_EQ(last.reason, static_cast<std::uint8_t>(shm::StateReason::ParseError)) << what;
    EXPECT_EQ(last.flags, core::kFirst | core::kLast) << what;
    EXPECT_EQ(last.bid_count + last.ask_count, 0) << what;
    for (std::size_t i = 0; i + 1 < sink.messages.size(); ++i) {
      EXPECT_FALSE(sink.messages[i].has(core::kLast)) << what;
    }
  }

  core::SymbolTable symbols{known_instruments()};
  std::unique_ptr<core::Parser> parser;
  core::CollectingSink sink;
};

class BinanceSpotParserTest : public ParserFixture {
 protected:
  BinanceSpotParserTest() : ParserFixture(Family::Spot) {}
};

// `{"stream":"...","data":X}` -> X: what the same event looks like with raw framing.
inline std::string raw_framing(const std::string& combined) {
  const std::size_t begin = combined.find("\"data\":") + 7;
  return combined.substr(begin, combined.size() - begin - 1);
}

inline std::string replaced(std::string text, std::string_view what, std::string_view by) {
  const std::size_t at = text.find(what);
  if (at == std::string::npos) {
    ADD_FAILURE() << "no " << what << " in " << text;
    return text;
  }
  return text.replace(at, what.size(), by);
}

}  // namespace mdp::venue::binance
