// Frames of USD-M and COIN-M futures as the venue sends them. What spot has too is in parser_test.cpp.
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "venue/binance/support.hpp"

namespace mdp::venue::binance {
namespace {

using core::ParseStatus;
using core::PriceLevel;
using core::UpdateType;

std::string usdm(const std::string& name) { return payload(name, "binance_usdm"); }
std::string coinm(const std::string& name) { return payload(name, "binance_coinm"); }

class BinanceFuturesParserTest : public ParserFixture {
 protected:
  BinanceFuturesParserTest() : ParserFixture(Family::Futures) {}

  // The one message a frame became.
  const core::NormalizedMessage& only(const std::string& text, UpdateType type) {
    EXPECT_EQ(parse(text), ParseStatus::Ok) << text;
    EXPECT_EQ(sink.messages.size(), 1u) << text;
    if (sink.messages.empty()) sink.messages.emplace_back();
    EXPECT_EQ(sink.messages[0].header.update_type, type) << text;
    EXPECT_EQ(sink.messages[0].header.flags & ~core::kAggregate, core::kFirst | core::kLast) << text;
    return sink.messages[0];
  }
};

TEST_F(BinanceFuturesParserTest, DepthUpdateNamesTheIdItFollows) {
  const std::string combined = usdm("depth_update_combined.json");
  for (const std::string& text : {combined, raw_framing(combined)}) {
    const core::NormalizedMessage& message = only(text, UpdateType::Delta);
    EXPECT_EQ(message.header.symbol_id, kBtcUsdt);
    EXPECT_EQ(message.header.first_update_id, 9'000'000'000'157u);
    EXPECT_EQ(message.header.last_update_id, 9'000'000'000'160u);
    EXPECT_EQ(message.header.prev_update_id, 9'000'000'000'149u);
    EXPECT_EQ(message.header.exch_ts_ns, 1'770'000'000'119'000'000) << "T, of the matching engine";
    ASSERT_EQ(message.header.bid_count, 3);
    ASSERT_EQ(message.header.ask_count, 3);
    EXPECT_EQ(message.bids()[0], (PriceLevel{6'170'010, 1'400'000}));
    EXPECT_EQ(message.bids()[1], (PriceLevel{6'179'650, 0}));
    EXPECT_EQ(message.asks()[1], (PriceLevel{6'180'100, 0}));
    EXPECT_EQ(message.asks()[2], (PriceLevel{6'185'000, 1'200'000'000}));
  }
}

TEST_F(BinanceFuturesParserTest, KeysOfOtherYearsAndVenuesChangeNothing) {
  EXPECT_EQ(only(usdm("depth_update_2026_combined.json"), UpdateType::Delta).header.prev_update_id,
            9'000'000'000'160u);
  const core::NormalizedMessage& message = only(coinm("depth_update_combined.json"), UpdateType::Delta);
  EXPECT_EQ(message.header.symbol_id, kBtcUsdPerp);
  EXPECT_EQ(message.header.prev_update_id, 1'000'000'000'249u);
  EXPECT_EQ(message.bids()[0], (PriceLevel{6'177'360, 100'100'000'000}));
}

TEST_F(BinanceFuturesParserTest, DepthUpdateWithoutPrevIdIsMalformed) {
  const std::string frame = replaced(usdm("depth_update_combined.json"), R"("pu":9000000000149,)", "");
  EXPECT_EQ(parse(frame), ParseStatus::MalformedFrame);
  expect_invalidated(kBtcUsdt, frame);
  parser = make_parser(Family::Spot, symbols, kExchange);
  EXPECT_EQ(parse(frame), ParseStatus::Ok) << "spot has none";
}

// As COIN-M sent it for RUNEUSD_PERP on 2022-03-23, in a partial book of one ask and no bid.
TEST_F(BinanceFuturesParserTest, TheFirstEventOfABookFollowsWhateverEndsBeforeIt) {
  const std::string frame = usdm("depth_update_combined.json");
  for (const std::string& text : {replaced(frame, R"("pu":9000000000149)", R"("pu":-1)"),
                                  replaced(replaced(frame, R"("pu":9000000000149,)", ""),
                                           R"("e":"depthUpdate")", R"("pu": -1,"e":"depthUpdate")")}) {
    EXPECT_EQ(only(text, UpdateType::Delta).header.prev_update_id, 9'000'000'000'156u) << "U - 1: " << text;
  }
  const char* const zero =
      R"({"e":"depthUpdate","E":1,"T":1,"s":"BTCUSDT","U":0,"u":0,"pu":-1,"b":[],"a":[]})";
  EXPECT_EQ(only(zero, UpdateType::Delta).header.prev_update_id, 0u);
  for (const char* other :
       {R"("pu":-2)", R"("pu":-1.0)", R"("pu":"-1")", R"("pu":null)", R"("pu":-1,"pu":-1)",
        R"("pu":-1,"pu":9000000000149)", R"("pu":9000000000149,"pu":-1)"}) {
    EXPECT_EQ(parse(replaced(frame, R"("pu":9000000000149)", other)), ParseStatus::MalformedFrame) << other;
    expect_invalidated(kBtcUsdt, other);
  }
}

TEST_F(BinanceFuturesParserTest, OtherBooksThatLookLikeDeltasAreIgnored) {
  for (const std::string& text : {usdm("partial_depth_combined.json"), usdm("rpi_depth_combined.json")}) {
    EXPECT_EQ(parse(text), ParseStatus::Ignored) << text;
    EXPECT_TRUE(sink.messages.empty());
  }
  const std::string frame = usdm("depth_update_combined.json");
  for (const char* stream : {"btcusdt@depth5", "btcusdt@depth20@100ms", "btcusdt@depth10@250ms"}) {
    EXPECT_EQ(parse(replaced(frame, "btcusdt@depth@100ms", stream)), ParseStatus::Ignored) << stream;
    // The name may stand behind the event too.
    EXPECT_EQ(parse(R"({"data":)" + raw_framing(frame) + R"(,"stream":")" + stream + "\"}"),
              ParseStatus::Ignored)
        << stream;
  }
  for (const char* stream : {"btcusdt@depth", "btcusdt@depth@500ms", "btcusdt@depth@0ms"}) {
    EXPECT_EQ(parse(replaced(frame, "btcusdt@depth@100ms", stream)), ParseStatus::Ok) << stream;
  }
}

TEST_F(BinanceFuturesParserTest, TradesOfTheMarket) {
  const core::NormalizedMessage& message = only(usdm("trade_combined.json"), UpdateType::Trade);
  EXPECT_EQ(message.trade.price, 6'180'030);
  EXPECT_EQ(message.trade.quantity, 600'000);
  EXPECT_EQ(message.trade.trade_id, 5'266'583'935u);
  EXPECT_EQ(message.trade.side, core::Side::Buy);
  EXPECT_EQ(message.header.exch_ts_ns, 1'770'000'000'300'000'000);
  EXPECT_EQ(only(coinm("trade_combined.json"), UpdateType::Trade).trade.side, core::Side::Sell);
}

TEST_F(BinanceFuturesParserTest, TradesThatAreNoneOfTheMarketAreIgnored) {
  EXPECT_EQ(parse(usdm("trade_insurance_fund_combined.json")), ParseStatus::Ignored);
  for (const char* kind : {"ADL", "NA", "SOMETHING_NEW", ""}) {
    EXPECT_EQ(parse(replaced(usdm("trade_combined.json"), "MARKET", kind)), ParseStatus::Ignored) << kind;
  }
  EXPECT_TRUE(sink.messages.empty());
}

TEST_F(BinanceFuturesParserTest, AggregateTrades) {
  const core::NormalizedMessage& message = only(usdm("agg_trade_combined.json"), UpdateType::Trade);
  EXPECT_TRUE(message.has(core::kAggregate));
  EXPECT_EQ(message.trade.trade_id, 5'933'014u);
  EXPECT_EQ(message.trade.quantity, 10'000'000'000) << "q, not nq";
  EXPECT_EQ(message.trade.side, core::Side::Sell);
  EXPECT_EQ(only(coinm("agg_trade_combined.json"), UpdateType::Trade).trade.trade_id, 49'681'086u);
}

TEST_F(BinanceFuturesParserTest, BookTickersHaveTimes) {
  const core::NormalizedMessage& message = only(usdm("book_ticker_combined.json"), UpdateType::Quote);
  EXPECT_EQ(message.header.last_update_id, 9'000'000'000'171u);
  EXPECT_EQ(message.header.exch_ts_ns, 1'770'000'000'412'000'000);
  EXPECT_EQ(message.bids()[0], (PriceLevel{6'180'020, 291'000'000}));
  EXPECT_EQ(message.asks()[0], (PriceLevel{6'180'030, 107'200'000}));
  EXPECT_EQ(only(coinm("book_ticker_combined.json"), UpdateType::Quote).header.symbol_id, kBtcUsdPerp);
}

class BinanceMarkPriceTest : public BinanceFuturesParserTest {
 protected:
  BinanceMarkPriceTest() {
    symbols.add(make_instrument("BTCUSDT", kBtcUsdt));  // mark prices have eight decimals
    symbols.add(make_instrument("BTCUSD_PERP", kBtcUsdPerp));
  }
};

TEST_F(BinanceMarkPriceTest, WithFunding) {
  const core::NormalizedMessage& message = only(usdm("mark_price_combined.json"), UpdateType::MarkPrice);
  EXPECT_EQ(message.header.symbol_id, kBtcUsdt);
  EXPECT_EQ(message.header.exch_ts_ns, 1'562'305'380'000'000'000) << "E: T is the next funding";
  EXPECT_EQ(message.mark_price.mark_price, 1'179'415'000'000);
  EXPECT_EQ(message.mark_price.index_price, 1'178'462'659'091);
  EXPECT_EQ(message.mark_price.settle_price, 1'178'425'641'265);
  EXPECT_EQ(message.mark_price.funding_rate, 381'670'000) << "0.00038167 at 10^-12";
  EXPECT_EQ(message.mark_price.next_funding_ts_ns, 1'562'306'400'000'000'000);
  EXPECT_EQ(only(coinm("mark_price_combined.json"), UpdateType::MarkPrice).mark_price.funding_rate,
            -100'000'000);
}

TEST_F(BinanceMarkPriceTest, OfADeliveryContractHasNoFunding) {
  const core::NormalizedMessage& message =
      only(coinm("mark_price_delivery_combined.json"), UpdateType::MarkPrice);
  EXPECT_EQ(message.header.symbol_id, kBtcUsd210625);
  EXPECT_EQ(message.header.exch_ts_ns, 1'596'095'725'000'000'000);
  EXPECT_EQ(message.mark_price.mark_price, 1'093'462'615'417);
  EXPECT_EQ(message.mark_price.settle_price, 1'096'217'178'236);
  EXPECT_EQ(message.mark_price.funding_rate, 0);
  EXPECT_EQ(message.mark_price.next_funding_ts_ns, 0);
}

TEST_F(BinanceMarkPriceTest, PricesThatAreNotSentAreZero) {
  std::string text = replaced(usdm("mark_price_combined.json"), R"("i":"11784.62659091",)", "");
  text = replaced(text, R"("P":"11784.25641265",)", "");
  const core::NormalizedMessage& message = only(text, UpdateType::MarkPrice);
  EXPECT_EQ(message.mark_price.index_price, 0);
  EXPECT_EQ(message.mark_price.settle_price, 0);
}

TEST_F(BinanceMarkPriceTest, WhatCannotBeReadIsAnErrorAndSaysNothingOfTheBook) {
  const std::string frame = usdm("mark_price_combined.json");
  const struct {
    const char* what;
    const char* by;
    ParseStatus status;
  } cases[] = {
      {R"("p":"11794.15000000",)", "", ParseStatus::MalformedFrame},
      {R"("r":"0.00038167",)", "", ParseStatus::MalformedFrame},
      {R"(,"T":1562306400000)", "", ParseStatus::MalformedFrame},
      {R"("E":1562305380000,)", "", ParseStatus::MalformedFrame},
      {R"("r":"0.00038167")", R"("r":null)", ParseStatus::MalformedFrame},
      {R"("i":"11784.62659091")", R"("i":11784)", ParseStatus::MalformedFrame},
      {R"("P":"11784.25641265")", R"("P":[])", ParseStatus::MalformedFrame},
      {R"("i":"11784.62659091")", R"("i":"1","i":"1")", ParseStatus::MalformedFrame},
      {R"("r":"0.00038167")", R"("r":"0.1","r":null)", ParseStatus::MalformedFrame},
      {R"("p":"11794.15000000")", R"("p":"-1")", ParseStatus::BadNumber},
      {R"("i":"11784.62659091")", R"("i":"")", ParseStatus::BadNumber},
      {R"("P":"11784.25641265")", R"("P":"x")", ParseStatus::BadNumber},
      {R"("r":"0.00038167")", R"("r":"1e")", ParseStatus::BadNumber},
      {R"("r":"0.00038167")", R"("r":"1e-13")", ParseStatus::InexactNumber},
      {R"("r":"0.00038167")", R"("r":"0.0000000000001")", ParseStatus::InexactNumber},
      {R"("p":"11794.15000000")", R"("p":"11794.150000001")", ParseStatus::InexactNumber},
      {R"("r":"0.00038167")", R"("r":"10000000")", ParseStatus::NumberOverflow},
  };
  for (const auto& c : cases) {
    EXPECT_EQ(parse(replaced(frame, c.what, c.by)), c.status) << c.what << " -> " << c.by;
    EXPECT_TRUE(sink.messages.empty()) << c.by;
    EXPECT_EQ(parser->last_failure().symbol, kBtcUsdt) << c.by;
    const bool unheld = c.status == ParseStatus::InexactNumber || c.status == ParseStatus::NumberOverflow;
    const std::string number(parser->last_failure().number);
    EXPECT_EQ(!number.empty() && std::string(c.by).find('"' + number + '"') != std::string::npos, unheld)
        << c.by << ": " << number;
  }
}

TEST_F(BinanceFuturesParserTest, AllMarketArraysAreIgnored) {
  const std::string array = usdm("mark_price_array_raw.json");
  EXPECT_EQ(parse(array), ParseStatus::Ignored);
  EXPECT_EQ(parse(R"({"stream":"!markPrice@arr","data":)" + array + '}'), ParseStatus::Ignored);
  EXPECT_TRUE(sink.messages.empty());
}

TEST_F(BinanceFuturesParserTest, ForcedOrders) {
  const core::NormalizedMessage& sold = only(usdm("force_order_combined.json"), UpdateType::Liquidation);
  EXPECT_EQ(sold.header.symbol_id, kBtcUsdt);
  EXPECT_EQ(sold.header.exch_ts_ns, 1'568'014'460'890'000'000) << "T of the order";
  EXPECT_EQ(sold.liquidation.side, core::Side::Sell);
  EXPECT_EQ(sold.liquidation.price, 991'000);
  EXPECT_EQ(sold.liquidation.average_price, 991'000);
  EXPECT_EQ(sold.liquidation.quantity, 1'400'000);
  EXPECT_EQ(sold.liquidation.filled_quantity, 1'400'000);
  for (const std::uint8_t byte : sold.liquidation.reserved) EXPECT_EQ(byte, 0);
  const core::NormalizedMessage& bought = only(coinm("force_order_combined.json"), UpdateType::Liquidation);
  EXPECT_EQ(bought.header.symbol_id, kBtcUsdPerp);
  EXPECT_EQ(bought.liquidation.side, core::Side::Buy);
  EXPECT_EQ(bought.liquidation.average_price, 949'650);
  EXPECT_EQ(bought.liquidation.quantity, 300'000'000);
  EXPECT_EQ(bought.liquidation.filled_quantity, 100'000'000);
  EXPECT_EQ(only(replaced(usdm("force_order_combined.json"), R"("ap":"9910",)", ""), UpdateType::Liquidation)
                .liquidation.average_price,
            0);
}

TEST_F(BinanceFuturesParserTest, AForcedOrderThatCannotBeReadIsAnError) {
  const std::string frame = usdm("force_order_combined.json");
  const struct {
    const char* what;
    const char* by;
    ParseStatus status;
  } cases[] = {
      {R"("S":"SELL",)", "", ParseStatus::MalformedFrame},
      {R"("S":"SELL")", R"("S":"HOLD")", ParseStatus::MalformedFrame},
      {R"("s":"BTCUSDT",)", "", ParseStatus::MalformedFrame},
      {R"("s":"BTCUSDT",)", R"("s":"BTCUSDT","s":"BTCUSDT",)", ParseStatus::MalformedFrame},
      {R"("q":"0.014",)", "", ParseStatus::MalformedFrame},
      {R"("p":"9910",)", "", ParseStatus::MalformedFrame},
      {R"("z":"0.014",)", "", ParseStatus::MalformedFrame},
      {R"(,"T":1568014460890)", "", ParseStatus::MalformedFrame},
      {R"("E":1568014460893,)", "", ParseStatus::MalformedFrame},
      {R"("q":"0.014")", R"("q":0.014)", ParseStatus::MalformedFrame},
      {R"("z":"0.014")", R"("\u007a":"0.014")", ParseStatus::MalformedFrame},
      {R"("q":"0.014")", R"("q":"0")", ParseStatus::BadNumber},
      {R"("p":"9910")", R"("p":"0")", ParseStatus::BadNumber},
      {R"("z":"0.014")", R"("z":"-1")", ParseStatus::BadNumber},
      {R"("ap":"9910")", R"("ap":"x")", ParseStatus::BadNumber},
      {R"("p":"9910")", R"("p":"9910.001")", ParseStatus::InexactNumber},
      {R"("s":"BTCUSDT")", R"("s":"XYZUSDT")", ParseStatus::Ignored},
  };
  for (const auto& c : cases) {
    EXPECT_EQ(parse(replaced(frame, c.what, c.by)), c.status) << c.what << " -> " << c.by;
    EXPECT_TRUE(sink.messages.empty()) << c.by;
  }
  EXPECT_EQ(parse(R"({"e":"forceOrder","E":1,"o":"x"})"), ParseStatus::MalformedFrame);
  EXPECT_EQ(parse(R"({"e":"forceOrder","E":1})"), ParseStatus::MalformedFrame);
  EXPECT_EQ(parse(R"({"e":"1hTicker","E":1,"s":"BTCUSDT","o":"1.5","P":"0.1","X":null})"),
            ParseStatus::Ignored);
}

// The keys of every event in every order: a letter's meaning never depends on what stands before it.
TEST_F(BinanceFuturesParserTest, KeysComeInAnyOrder) {
  symbols.add(make_instrument("BTCUSDT", kBtcUsdt));
  const std::vector<std::string> events[] = {
      {R"("e":"depthUpdate")", R"("E":1770000000123,"T":1770000000119)", R"("s":"BTCUSDT")", R"("U":5,"u":9)",
       R"("pu":4)", R"("b":[["1.50","2"]])", R"("a":[["3","0.0"]])"},
      {R"("e":"markPriceUpdate")", R"("E":1562305380000)", R"("s":"BTCUSDT")", R"("p":"1.5","i":"2.5")",
       R"("P":"3.5")", R"("r":"0.1")", R"("T":1562306400000)"},
      {R"("e":"forceOrder")", R"("E":1568014460893)", R"("st":1)", R"("T":1)", R"("ps":"BTCUSDT")",
       R"("o":{"T":1568014460890,"z":"0","q":"1","S":"BUY","p":"2","s":"BTCUSDT"})"},
      {R"("e":"bookTicker")", R"("u":9)", R"("s":"BTCUSDT")", R"("b":"1","B":"2")", R"("a":"3","A":"4")",
       R"("T":1770000000119)", R"("E":1770000000123)"},
  };
  for (std::vector<std::string> keys : events) {
    std::sort(keys.begin(), keys.end());
    std::vector<core::NormalizedMessage> first;
    do {
      std::string text;
      for (const std::string& key : keys) text += (text.empty() ? "{" : ",") + key;
      ASSERT_EQ(parse(text + '}'), ParseStatus::Ok) << text;
      ASSERT_EQ(sink.messages.size(), 1u);
      if (first.empty()) first = sink.messages;
      ASSERT_EQ(std::memcmp(&first[0], &sink.messages[0], first[0].used_bytes()), 0) << text;
    } while (std::next_permutation(keys.begin(), keys.end()));
  }
}

TEST_F(BinanceFuturesParserTest, SnapshotsHaveATime) {
  for (const auto& [folder, symbol] :
       {std::pair<const char*, core::SymbolId>{"binance_usdm", kBtcUsdt}, {"binance_coinm", kBtcUsdPerp}}) {
    const Frame body(payload("depth_snapshot.json", folder));
    sink.clear();
    const core::Instrument instrument = make_instrument("X", symbol);
    ASSERT_EQ(parse_snapshot(body.text(), instrument, 1000, 99, sink), ParseStatus::Ok) << folder;
    ASSERT_EQ(sink.messages.size(), 1u);
    const core::NormalizedMessage& message = sink.messages[0];
    EXPECT_EQ(message.header.update_type, UpdateType::Snapshot);
    EXPECT_EQ(message.header.symbol_id, symbol);
    EXPECT_EQ(message.header.exch_ts_ns, 1'770'000'000'141'000'000);
    EXPECT_EQ(message.header.recv_ts_ns, 99);
    EXPECT_EQ(message.header.prev_update_id, 0u);
    EXPECT_EQ(message.header.bid_count, 2);
    EXPECT_EQ(message.header.ask_count, 2);
  }
}

}  // namespace
}  // namespace mdp::venue::binance
