// Frames as the venue sends them. What it must not send is in malformed_test.cpp.
#include "mdp/venue/binance/parser.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <string>
#include <vector>

#include "venue/binance/support.hpp"

namespace mdp::venue::binance {
namespace {

using core::ParseStatus;
using core::PriceLevel;
using core::UpdateType;

TEST_F(BinanceSpotParserTest, DepthUpdateInBothFramings) {
  const std::string combined = payload("depth_update_both_sides_composed.json");
  for (const std::string& text : {combined, raw_framing(combined)}) {
    ASSERT_EQ(parse(text), ParseStatus::Ok) << text;
    ASSERT_EQ(sink.messages.size(), 1u);
    const core::NormalizedMessage& message = sink.messages[0];
    EXPECT_EQ(message.header.update_type, UpdateType::Delta);
    EXPECT_EQ(message.header.symbol_id, kBtcUsdt);
    EXPECT_EQ(message.header.exchange_id, kExchange);
    EXPECT_EQ(message.header.line_id, 7);
    EXPECT_EQ(message.header.first_update_id, 50'093'239'189u);
    EXPECT_EQ(message.header.last_update_id, 50'093'239'202u);
    EXPECT_EQ(message.header.prev_update_id, 0u);
    EXPECT_EQ(message.header.exch_ts_ns, 1'723'161'255'208'000'000);
    EXPECT_EQ(message.header.recv_ts_ns, 1'723'161'255'400'000'000);
    EXPECT_EQ(message.header.flags, core::kFirst | core::kLast);
    ASSERT_EQ(message.header.bid_count, 3);
    ASSERT_EQ(message.header.ask_count, 9);
    EXPECT_EQ(message.bids()[0], (PriceLevel{6'173'763, 0}));
    EXPECT_EQ(message.bids()[2], (PriceLevel{5'685'458, 0}));
    EXPECT_EQ(message.asks()[0], (PriceLevel{6'183'764, 154'698'000}));
    EXPECT_EQ(message.asks()[8], (PriceLevel{6'193'764, 2'000'000}));
    EXPECT_EQ(message.header.checksum, 0u);
  }
}

TEST_F(BinanceSpotParserTest, DepthUpdateWithOneSideOrNone) {
  ASSERT_EQ(parse(payload("depth_update_combined.json")), ParseStatus::Ok);
  ASSERT_EQ(sink.messages.size(), 1u);
  EXPECT_EQ(sink.messages[0].header.symbol_id, kBusdTry);
  EXPECT_EQ(sink.messages[0].header.bid_count, 0);
  ASSERT_EQ(sink.messages[0].header.ask_count, 1);
  EXPECT_EQ(sink.messages[0].asks()[0], (PriceLevel{814, 10'782'120}));

  ASSERT_EQ(parse(payload("depth_update_bids_only_combined.json")), ParseStatus::Ok);
  ASSERT_EQ(sink.messages.size(), 1u);
  ASSERT_EQ(sink.messages[0].header.bid_count, 4);
  EXPECT_EQ(sink.messages[0].header.ask_count, 0);
  EXPECT_EQ(sink.messages[0].bids()[3], (PriceLevel{434'909, 18'000}));

  ASSERT_EQ(parse(R"({"e":"depthUpdate","E":1617566591307,"s":"DOTUSDT","U":1,"u":1,"b":[],"a":[]})"),
            ParseStatus::Ok);
  ASSERT_EQ(sink.messages.size(), 1u);
  EXPECT_EQ(sink.messages[0].level_count(), 0u);
  EXPECT_EQ(sink.messages[0].header.flags, core::kFirst | core::kLast);
}

TEST_F(BinanceSpotParserTest, DepthUpdateOfAThousandLevelsComesInChunks) {
  const std::string text = large_depth_update(1'076);
  ASSERT_EQ(parse(text), ParseStatus::Ok);
  EXPECT_EQ(sink.messages.size(), 5u);
  const core::Update update = core::join_chunks(sink.messages);
  EXPECT_TRUE(update.flags_right);
  EXPECT_EQ(update.bids.size() + update.asks.size(), 1'076u);
  EXPECT_TRUE(std::is_sorted(update.bids.begin(), update.bids.end(),
                             [](PriceLevel a, PriceLevel b) { return a.price >= b.price; }));
  EXPECT_TRUE(std::is_sorted(update.asks.begin(), update.asks.end(),
                             [](PriceLevel a, PriceLevel b) { return a.price <= b.price; }));
}

TEST_F(BinanceSpotParserTest, KeysComeInAnyOrder) {
  const std::string fields[] = {
      R"("e":"depthUpdate")",     R"("E":1617566591307)", R"("s":"DOTUSDT")", R"("U":5)", R"("u":9)",
      R"("b":[["43.5083","7"]])", R"("a":[["43.6","0"]])"};
  std::vector<std::size_t> order = {0, 1, 2, 3, 4, 5, 6};
  do {
    std::string text = "{";
    for (const std::size_t i : order) text += (text.size() > 1 ? "," : "") + fields[i];
    text += '}';
    const bool data_first = order[0] % 2 == 0;
    if (order[1] % 2 == 0) {
      text =
          data_first ? R"({"data":)" + text + R"(,"stream":"x"})" : R"({"stream":"x","data":)" + text + '}';
    }
    ASSERT_EQ(parse(text), ParseStatus::Ok) << text;
    ASSERT_EQ(sink.messages.size(), 1u);
    const core::NormalizedMessage& message = sink.messages[0];
    ASSERT_EQ(message.header.first_update_id, 5u);
    ASSERT_EQ(message.header.last_update_id, 9u);
    ASSERT_EQ(message.header.symbol_id, kDotUsdt);
    ASSERT_EQ(message.header.bid_count, 1);
    ASSERT_EQ(message.bids()[0], (PriceLevel{435'083, 700}));
    ASSERT_EQ(message.header.ask_count, 1);
    ASSERT_EQ(message.asks()[0], (PriceLevel{436'000, 0}));
  } while (std::next_permutation(order.begin(), order.end()));
}

// Frames with `0E-8` for a zero exist. The number is as exact with a power of ten as without it.
TEST_F(BinanceSpotParserTest, NumbersMayHaveAPowerOfTen) {
  const std::string frame =
      R"({"e":"depthUpdate","E":1,"s":"BNBBTC","U":5,"u":9,"b":[["99.5","0E-8"],["9.95E+1","1E-8"]],)"
      R"("a":[["1005e-1","2"]]})";
  ASSERT_EQ(parse(frame), ParseStatus::Ok);
  ASSERT_EQ(sink.messages.size(), 1u);
  EXPECT_EQ(sink.messages[0].bids()[0], (PriceLevel{9'950'000'000, 0}));
  EXPECT_EQ(sink.messages[0].bids()[1], (PriceLevel{9'950'000'000, 1}));
  EXPECT_EQ(sink.messages[0].asks()[0], (PriceLevel{10'050'000'000, 200'000'000}));
  ASSERT_EQ(parse(R"({"u":5,"s":"BNBBTC","b":"2.5E-1","B":"0E-8","a":"0.5","A":"1e1"})"), ParseStatus::Ok);
  EXPECT_EQ(sink.messages[0].bids()[0], (PriceLevel{25'000'000, 0}));
  EXPECT_EQ(sink.messages[0].asks()[0], (PriceLevel{50'000'000, 1'000'000'000}));
}

TEST_F(BinanceSpotParserTest, WhiteSpaceBetweenTokensIsNothing) {
  const std::string tight = payload("depth_update_both_sides_composed.json");
  ASSERT_EQ(parse(tight), ParseStatus::Ok);
  const core::Update wanted = core::join_chunks(sink.messages);
  for (const std::string_view space : {" ", "\n", "\t", "\r\n", "          "}) {
    std::string wide;
    bool in_string = false;
    for (const char c : tight) {
      in_string = in_string != (c == '"');
      const bool structural = !in_string && std::string_view("{}[]:,").find(c) != std::string_view::npos;
      if (structural) wide += space;
      wide += c;
      if (structural) wide += space;
    }
    ASSERT_EQ(parse(wide), ParseStatus::Ok) << wide;
    const core::Update update = core::join_chunks(sink.messages);
    EXPECT_EQ(update.bids, wanted.bids);
    EXPECT_EQ(update.asks, wanted.asks);
  }
}

TEST_F(BinanceSpotParserTest, TradeOf2024) {
  ASSERT_EQ(parse(payload("trade_2024_combined.json")), ParseStatus::Ok);
  ASSERT_EQ(sink.messages.size(), 1u);
  const core::NormalizedMessage& message = sink.messages[0];
  EXPECT_EQ(message.header.update_type, UpdateType::Trade);
  EXPECT_EQ(message.header.symbol_id, kBtcUsdt);
  EXPECT_EQ(message.header.exch_ts_ns,
            1'723'161'255'342'000'000);  // T, when it traded; E is when it was sent
  EXPECT_EQ(message.header.flags, core::kFirst | core::kLast);
  EXPECT_EQ(message.header.bid_count + message.header.ask_count, 0);
  EXPECT_EQ(message.trade.price, 6'183'763);
  EXPECT_EQ(message.trade.quantity, 2'000'000);
  EXPECT_EQ(message.trade.trade_id, 3'735'683'259u);
  EXPECT_EQ(message.trade.side, core::Side::Sell);  // the buyer was the maker
  for (const std::uint8_t byte : message.trade.reserved) EXPECT_EQ(byte, 0);
}

TEST_F(BinanceSpotParserTest, TradeOf2021HasOrderIdsAsNumbers) {
  ASSERT_EQ(parse(payload("trade_2021_raw.json")), ParseStatus::Ok);
  ASSERT_EQ(sink.messages.size(), 1u);
  EXPECT_EQ(sink.messages[0].header.symbol_id, kBnbBtc);
  EXPECT_EQ(sink.messages[0].trade.price, 100'000);
  EXPECT_EQ(sink.messages[0].trade.quantity, 10'000'000'000);
  EXPECT_EQ(sink.messages[0].trade.trade_id, 12'345u);
}

TEST_F(BinanceSpotParserTest, AggregateTradeIsFlagged) {
  ASSERT_EQ(parse(payload("agg_trade_combined.json")), ParseStatus::Ok);
  ASSERT_EQ(sink.messages.size(), 1u);
  const core::NormalizedMessage& message = sink.messages[0];
  EXPECT_EQ(message.header.update_type, UpdateType::Trade);
  EXPECT_EQ(message.header.flags, core::kFirst | core::kLast | core::kAggregate);
  EXPECT_EQ(message.trade.trade_id, 665'076'760u);
  EXPECT_EQ(message.trade.price, 5'800'103);
  EXPECT_EQ(message.trade.quantity, 8'620'500);
}

TEST_F(BinanceSpotParserTest, TheAggressorBoughtWhereTheBuyerWasNotTheMaker) {
  ASSERT_EQ(parse(replaced(payload("trade_2024_combined.json"), R"("m":true)", R"("m":false)")),
            ParseStatus::Ok);
  EXPECT_EQ(sink.messages.at(0).trade.side, core::Side::Buy);
}

TEST_F(BinanceSpotParserTest, BookTickerBecomesAQuote) {
  const std::string combined = payload("book_ticker_combined.json");
  for (const std::string& text : {combined, raw_framing(combined)}) {
    ASSERT_EQ(parse(text), ParseStatus::Ok) << text;
    ASSERT_EQ(sink.messages.size(), 1u);
    const core::NormalizedMessage& message = sink.messages[0];
    EXPECT_EQ(message.header.update_type, UpdateType::Quote);
    EXPECT_EQ(message.header.last_update_id, 50'093'239'212u);
    EXPECT_EQ(message.header.exch_ts_ns, 0);
    EXPECT_EQ(message.header.bid_count, 1);
    EXPECT_EQ(message.header.ask_count, 1);
    EXPECT_EQ(message.bids()[0], (PriceLevel{6'183'763, 378'826'000}));
    EXPECT_EQ(message.asks()[0], (PriceLevel{6'183'764, 154'698'000}));
  }
}

TEST_F(BinanceSpotParserTest, AQuoteMayHaveAnEmptySide) {
  ASSERT_EQ(parse(R"({"u":5,"s":"BNBBTC","b":"0.00000000","B":"0.00000000","a":"0.5","A":"1"})"),
            ParseStatus::Ok);
  EXPECT_EQ(sink.messages.at(0).bids()[0], (PriceLevel{0, 0}));
  EXPECT_EQ(parse(R"({"u":5,"s":"BNBBTC","b":"0.00000000","B":"1","a":"0.5","A":"1"})"),
            ParseStatus::BadNumber);
  EXPECT_TRUE(sink.messages.empty());
}

TEST_F(BinanceSpotParserTest, WhatNobodyAskedForIsIgnored) {
  for (const char* name :
       {"kline_composed.json", "partial_depth_combined.json", "mini_ticker_array_raw.json"}) {
    const std::string text = payload(name);
    EXPECT_EQ(parse(text), ParseStatus::Ignored) << name;
    EXPECT_TRUE(sink.messages.empty()) << name;
    const std::string other = text.starts_with("{\"stream\"")
                                  ? raw_framing(text)
                                  : R"({"stream":"!miniTicker@arr","data":)" + text + '}';
    EXPECT_EQ(parse(other), ParseStatus::Ignored) << other;
    EXPECT_TRUE(sink.messages.empty()) << name;
  }
  EXPECT_EQ(parse(R"({"e":"referencePrice","s":"BTCUSDT","r":null,"t":1770123456789})"),
            ParseStatus::Ignored);
  EXPECT_EQ(parse(R"({"e":"tomorrow","s":"BTCUSDT","k":{"x":[1.5e3,-0,true,false,null,"\u20bf"]}})"),
            ParseStatus::Ignored);
  EXPECT_EQ(parse("[]"), ParseStatus::Ignored);
}

TEST_F(BinanceSpotParserTest, SymbolsNobodyAskedForAreIgnored) {
  for (const char* name : {"depth_update_both_sides_composed.json", "trade_2024_combined.json",
                           "agg_trade_combined.json", "book_ticker_combined.json"}) {
    EXPECT_EQ(parse(replaced(payload(name), "BTCUSDT", "XYZUSDT")), ParseStatus::Ignored) << name;
    EXPECT_TRUE(sink.messages.empty()) << name;
  }
  // Nobody has exponents for them, so their numbers are not read either.
  EXPECT_EQ(parse(R"({"e":"depthUpdate","E":1,"s":"XYZUSDT","U":1,"u":1,"b":[["-1","x"]],"a":[]})"),
            ParseStatus::Ignored);
}

TEST_F(BinanceSpotParserTest, SymbolsMayBeUtf8AndEscaped) {
  const std::string frame = R"({"u":5,"s":"%","b":"0.25","B":"2","a":"0.5","A":"1"})";
  for (const char* symbol :
       {"\xE5\xB8\x81\xE5\xAE\x89USDT", "\\u5e01\\u5B89USDT", "\\u5e01\xE5\xAE\x89\\u0055SDT"}) {
    ASSERT_EQ(parse(replaced(frame, "%", symbol)), ParseStatus::Ok) << symbol;
    EXPECT_EQ(sink.messages.at(0).header.symbol_id, kUtf8) << symbol;
  }
  ASSERT_EQ(parse(replaced(frame, "%", "BNB\\u0042TC")), ParseStatus::Ok);
  EXPECT_EQ(sink.messages.at(0).header.symbol_id, kBnbBtc);
  EXPECT_EQ(parse(replaced(frame, "%", "\\u0000")), ParseStatus::Ignored);
}

TEST_F(BinanceSpotParserTest, TimesAreMillisecondsOrMicroseconds) {
  const struct {
    const char* text;
    std::int64_t ns;
  } cases[] = {
      {"1723161255208", 1'723'161'255'208'000'000},
      {"1723161255208123", 1'723'161'255'208'123'000},
      {"0", 0},
      {"8999999999999", 8'999'999'999'999'000'000},
      {"9000000000001", 9'000'000'000'001'000},    // no time in milliseconds: the year 2255
      {"99999999999999", 99'999'999'999'999'000},  // 10^14 ms times 10^6 would not fit
      {"9000000000000000", 9'000'000'000'000'000'000},
      {"9000000000000001", 0},  // no time at all
      {"18446744073709551615", 0},
  };
  const std::string depth = payload("depth_update_both_sides_composed.json");
  for (const auto& c : cases) {
    ASSERT_EQ(parse(replaced(depth, "1723161255208", c.text)), ParseStatus::Ok) << c.text;
    EXPECT_EQ(sink.messages.at(0).header.exch_ts_ns, c.ns) << c.text;
  }
}

TEST_F(BinanceSpotParserTest, AcksNameTheRequest) {
  const struct {
    std::string text;
    std::int64_t id;
  } cases[] = {
      {payload("ack.json"), 1},
      {payload("ack_list.json"), 3},
      {payload("ack_property.json"), 2},
      {R"({"id":-9223372036854775808,"result":null})", std::numeric_limits<std::int64_t>::min()},
      {R"({"result":null,"id":"abc"})", -1},
      {R"({"result":null,"id":null})", -1},
  };
  for (const auto& c : cases) {
    EXPECT_EQ(parse(c.text), ParseStatus::Ack) << c.text;
    EXPECT_EQ(parser->last_reply().request_id, c.id) << c.text;
    EXPECT_EQ(parser->last_reply().code, 0) << c.text;
    EXPECT_STREQ(parser->last_reply().text, "") << c.text;
    EXPECT_TRUE(sink.messages.empty()) << c.text;
  }
}

TEST_F(BinanceSpotParserTest, ErrorsComeInTwoShapes) {
  EXPECT_EQ(parse(payload("error_flat.json")), ParseStatus::VenueError);
  EXPECT_EQ(parser->last_reply().code, 1);
  EXPECT_EQ(parser->last_reply().request_id, -1);
  EXPECT_STREQ(parser->last_reply().text, "Invalid value type: expected Boolean");

  EXPECT_EQ(parse(payload("error_nested.json")), ParseStatus::VenueError);
  EXPECT_EQ(parser->last_reply().code, 2);
  EXPECT_EQ(parser->last_reply().request_id, 1);
  EXPECT_STREQ(parser->last_reply().text, "\xE2\x80\xA6");

  EXPECT_EQ(parse(R"({"id":4,"error":{"msg":"no code"}})"), ParseStatus::VenueError);
  EXPECT_EQ(parser->last_reply().request_id, 4);
  EXPECT_EQ(parse(R"({"id":4,"error":{}})"), ParseStatus::VenueError);
  EXPECT_STREQ(parser->last_reply().text, "");
  EXPECT_EQ(parse(payload("ack.json")), ParseStatus::Ack);
  EXPECT_EQ(parser->last_reply().code, 0) << "nothing of the last reply stays";
}

TEST_F(BinanceSpotParserTest, LongErrorTextsAreCut) {
  const std::string text(1'000, 'x');
  EXPECT_EQ(parse(R"({"code":3,"msg":")" + text + R"("})"), ParseStatus::VenueError);
  EXPECT_EQ(std::string_view(parser->last_reply().text).size(), sizeof(core::VenueReply::text) - 1);
}

TEST_F(BinanceSpotParserTest, ShutdownInBothFramings) {
  EXPECT_EQ(parse(payload("server_shutdown_raw.json")), ParseStatus::Shutdown);
  EXPECT_EQ(parse(payload("server_shutdown_combined.json")), ParseStatus::Shutdown);
  EXPECT_TRUE(sink.messages.empty());
}

class BinanceSpotSnapshotTest : public testing::Test {
 protected:
  ParseStatus parse(std::string_view text, const core::Instrument& instrument) {
    sink.clear();
    const Frame body(text);
    return parse_snapshot(body.text(), instrument, 1000, 99, sink);
  }
  core::CollectingSink sink;
  const core::Instrument btcusdt = make_instrument("BTCUSDT", kBtcUsdt, -2, -8);
};

TEST_F(BinanceSpotSnapshotTest, BecomesASnapshot) {
  ASSERT_EQ(parse(payload("depth_snapshot.json"), btcusdt), ParseStatus::Ok);
  ASSERT_EQ(sink.messages.size(), 1u);
  const core::NormalizedMessage& message = sink.messages[0];
  EXPECT_EQ(message.header.update_type, UpdateType::Snapshot);
  EXPECT_EQ(message.header.last_update_id, 50'093'239'218u);
  EXPECT_EQ(message.header.symbol_id, kBtcUsdt);
  EXPECT_EQ(message.header.exchange_id, kExchange);
  EXPECT_EQ(message.header.recv_ts_ns, 99);
  EXPECT_EQ(message.header.flags, core::kFirst | core::kLast);
  ASSERT_EQ(message.header.bid_count, 2);
  ASSERT_EQ(message.header.ask_count, 2);
  EXPECT_EQ(message.bids()[1], (PriceLevel{6'183'762, 61'700'000}));
  EXPECT_EQ(message.asks()[1], (PriceLevel{6'183'765, 843'000}));
}

TEST_F(BinanceSpotSnapshotTest, LargeOnesComeInChunks) {
  std::string body = R"({"lastUpdateId":5,"bids":[)";
  for (int i = 5'000; i > 0; --i)
    body += "[\"" + std::to_string(i) + ".00000000\",\"1\"]" + (i > 1 ? "," : "");
  body += R"(],"asks":[]})";
  ASSERT_EQ(parse(body, btcusdt), ParseStatus::Ok);
  EXPECT_EQ(sink.messages.size(), 20u);
  const core::Update update = core::join_chunks(sink.messages);
  EXPECT_TRUE(update.flags_right);
  EXPECT_EQ(update.bids.size(), 5'000u);
}

TEST_F(BinanceSpotSnapshotTest, EmptySidesAreASnapshotToo) {
  EXPECT_EQ(parse(R"({"lastUpdateId":0,"bids":[],"asks":[]})", btcusdt), ParseStatus::Ok);
  EXPECT_EQ(sink.messages.size(), 1u);
}

TEST_F(BinanceSpotSnapshotTest, AnythingElseIsMalformedAndCommitsNothing) {
  const std::string whole = payload("depth_snapshot.json");
  for (const std::string& text :
       {payload("rest_error.json"), std::string("<html><body>403 Forbidden</body></html>"), std::string(),
        std::string("null"), std::string("[]"), std::string("{}"), std::string("[[[[[[[["),
        payload("depth_update_both_sides_composed.json"), "{\"data\":" + whole + '}', whole + '}',
        whole + whole, replaced(whole, "lastUpdateId", "lastUpdateID"), replaced(whole, "50093239218", "-1"),
        replaced(whole, "50093239218", "\"50093239218\""), replaced(whole, "50093239218", "1.5"),
        replaced(whole, R"("bids")", R"("b")"), replaced(whole, R"("asks")", R"("bids")"),
        replaced(whole, R"("asks")", R"("u":7,"asks")").erase(whole.size() / 2)}) {
    EXPECT_EQ(parse(text, btcusdt), ParseStatus::MalformedFrame) << text;
    EXPECT_TRUE(sink.messages.empty()) << text;
  }
  for (std::size_t size = 0; size < whole.size(); ++size) {
    EXPECT_TRUE(core::is_error(parse(whole.substr(0, size), btcusdt))) << size;
    EXPECT_TRUE(sink.messages.empty()) << size;
  }
}

TEST_F(BinanceSpotSnapshotTest, TheUpdateIdIsThatOfItsOwnKey) {
  ASSERT_EQ(parse(replaced(payload("depth_snapshot.json"), R"("asks")", R"("u":7,"asks")"), btcusdt),
            ParseStatus::Ok);
  EXPECT_EQ(sink.messages.at(0).header.last_update_id, 50'093'239'218u);
}

TEST_F(BinanceSpotSnapshotTest, ABadLevelInvalidatesTheBook) {
  EXPECT_EQ(parse(replaced(payload("depth_snapshot.json"), "61837.65000000", "61837.65100000"), btcusdt),
            ParseStatus::InexactNumber);
  ASSERT_EQ(sink.messages.size(), 1u);
  EXPECT_EQ(sink.messages[0].header.update_type, UpdateType::Invalidate);
  EXPECT_EQ(sink.messages[0].header.symbol_id, kBtcUsdt);
}

}  // namespace
}  // namespace mdp::venue::binance
