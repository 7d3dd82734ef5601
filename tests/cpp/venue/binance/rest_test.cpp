#include "mdp/venue/binance/rest.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "mdp/shm/decimal.hpp"
#include "mdp/venue/registry.hpp"
#include "venue/binance/support.hpp"

namespace mdp::venue::binance {
namespace {

core::Expected<std::vector<core::Instrument>, std::string> parse(std::string_view body) {
  return make_venue("binance")->parse_instruments(body);
}

std::string symbol_json(std::string_view symbol, std::string_view status, std::string_view filters) {
  return R"({"symbol":")" + std::string(symbol) + R"(","status":")" + std::string(status) +
         R"(","baseAsset":"AAA","quoteAsset":"BBB","filters":)" + std::string(filters) + '}';
}
std::string info_json(std::string_view symbols) { return R"({"symbols":[)" + std::string(symbols) + "]}"; }

constexpr std::string_view kFilters =
    R"([{"filterType":"PRICE_FILTER","tickSize":"0.05000000"},{"filterType":"LOT_SIZE","stepSize":"10.00000000"}])";

TEST(BinanceSpotRest, InstrumentsOfARecordedAnswer) {
  const auto instruments = parse(payload("exchange_info_composed.json"));
  ASSERT_TRUE(instruments.has_value()) << instruments.error();
  ASSERT_EQ(instruments->size(), 3u);
  const core::Instrument& btcusdt = instruments->at(0);
  EXPECT_EQ(btcusdt.venue_symbol, "BTCUSDT");
  EXPECT_EQ(btcusdt.base, "BTC");
  EXPECT_EQ(btcusdt.quote, "USDT");
  EXPECT_EQ(btcusdt.canonical_symbol, "binance:BTC-USDT");
  EXPECT_EQ(btcusdt.status, "TRADING");
  EXPECT_EQ(btcusdt.exchange_id, kExchange);
  EXPECT_EQ(btcusdt.symbol_id, core::kNoSymbol);
  EXPECT_EQ(shm::to_decimal(btcusdt.tick_size, btcusdt.price_exponent), "0.01");
  EXPECT_EQ(shm::to_decimal(btcusdt.lot_size, btcusdt.quantity_exponent), "0.000001");
  EXPECT_EQ(shm::to_decimal(btcusdt.min_quantity, btcusdt.quantity_exponent), "0.000001");
  EXPECT_EQ(shm::to_decimal(btcusdt.max_quantity, btcusdt.quantity_exponent), "9000");
  EXPECT_EQ(shm::to_decimal(btcusdt.min_notional, btcusdt.notional_exponent), "10");
  EXPECT_EQ(instruments->at(1).canonical_symbol, "binance:BUSD-TRY");
  EXPECT_EQ(shm::to_decimal(instruments->at(2).tick_size, instruments->at(2).price_exponent), "0.00000001");
}

// As in the session recorded on 2021-04-17: bids at 6.893 were in the book when the tick had grown to 0.01.
TEST(BinanceSpotRest, ABookWithPricesFinerThanTheTickIsReadExactly) {
  const auto instruments = parse(payload("exchange_info_composed.json"));
  ASSERT_TRUE(instruments.has_value());
  const Frame body(R"({"lastUpdateId":7,"bids":[["8.13000000","125.82000000"],["6.89300000","10.00000000"]],)"
                   R"("asks":[["8.14000000","1.00000000"],["9.00100000","2.50000000"]]})");
  core::CollectingSink sink;
  EXPECT_EQ(parse_snapshot(body.text(), instruments->at(1), 1000, 1, sink), core::ParseStatus::Ok);
  const core::Update update = core::join_chunks(sink.messages);
  EXPECT_EQ(update.header.update_type, core::UpdateType::Snapshot);
  ASSERT_EQ(update.bids.size(), 2u);
  ASSERT_EQ(update.asks.size(), 2u);
  EXPECT_EQ(shm::to_decimal(update.bids[1].price, instruments->at(1).price_exponent), "6.893");
  EXPECT_EQ(shm::to_decimal(update.asks[1].price, instruments->at(1).price_exponent), "9.001");
}

TEST(BinanceSpotRest, ZeroStepsAndMissingFiltersMeanNoRule) {
  const auto instruments = parse(info_json(
      symbol_json(
          "ZERO", "TRADING",
          R"([{"filterType":"PRICE_FILTER","tickSize":"0.00000000"},{"filterType":"LOT_SIZE","stepSize":"0"}])") +
      ',' + symbol_json("NONE", "TRADING", "[]") + ',' + symbol_json("SOME", "TRADING", kFilters)));
  ASSERT_TRUE(instruments.has_value()) << instruments.error();
  ASSERT_EQ(instruments->size(), 3u);
  for (const core::Instrument& instrument : *instruments) {
    EXPECT_EQ(instrument.price_exponent, -8) << instrument.venue_symbol;
    EXPECT_EQ(instrument.quantity_exponent, -8) << instrument.venue_symbol;
  }
  EXPECT_EQ(instruments->at(0).tick_size, 0);
  EXPECT_EQ(instruments->at(0).lot_size, 0);
  EXPECT_EQ(instruments->at(1).tick_size, 0);
  EXPECT_EQ(instruments->at(2).tick_size, 5'000'000);
  EXPECT_EQ(instruments->at(2).lot_size, 1'000'000'000);
}

TEST(BinanceSpotRest, ATickBelowEightDecimalsIsKept) {
  const auto instruments = parse(info_json(
      symbol_json("FINE", "TRADING", R"([{"filterType":"PRICE_FILTER","tickSize":"0.000000000001"}])")));
  ASSERT_TRUE(instruments.has_value());
  EXPECT_EQ(instruments->at(0).price_exponent, -12);
  EXPECT_EQ(instruments->at(0).tick_size, 1);
}

// Filters of one symbol, each as given; MARKET_LOT_SIZE has other numbers under the same keys.
std::string filters_json(std::string_view price, std::string_view lot) {
  return R"([{"filterType":"MARKET_LOT_SIZE","minQty":"0.0","maxQty":"9000000000000000","stepSize":"0.00000001"},)"
         R"({"filterType":"PRICE_FILTER",)" +
         std::string(price) + R"(},{"filterType":"ICEBERG_PARTS","limit":10},{"filterType":"LOT_SIZE",)" +
         std::string(lot) + R"(},{"filterType":"MARKET_LOT_SIZE","maxQty":"1","stepSize":"0"}])";
}

TEST(BinanceRest, ExponentsHoldTheLargestValueManyTimesOver) {
  const struct {
    const char* price;
    const char* lot;
    int price_exponent, quantity_exponent;
  } cases[] = {
      {R"("maxPrice":"1000000.00","tickSize":"0.01")", R"("maxQty":"9000.00","stepSize":"0.00001")", -8, -8},
      // SHIBUSDT and its like: at 10^-8 not three such orders at one price would fit.
      {R"("maxPrice":"1.00","tickSize":"0.00000001")", R"("maxQty":"46116860414.00","stepSize":"1.00")", -8,
       -5},
      {R"("maxPrice":"9000000000.00","tickSize":"1")", R"("maxQty":"92141578.00","stepSize":"0.1")", -8, -8},
      {R"("maxPrice":"90000000000","tickSize":"1")", R"("maxQty":"99999999.00","stepSize":"0.01")", -7, -7},
      {R"("tickSize":"0.01")", R"("stepSize":"1")", -8, -8},
      {R"("maxPrice":"0.00000000","tickSize":"0")", R"("maxQty":"0","stepSize":"0.00")", -8, -8},
      {R"("maxPrice":"1E+12","tickSize":"1E-2")", R"("maxQty":"1E+14","stepSize":"1E+2")", -5, -1},
      {R"("maxPrice":1000000000000,"tickSize":"1")", R"("maxQty":null,"stepSize":"1")", -8, -8},
      // Larger than any number that is held: as coarse as the step.
      {R"("maxPrice":"1E+60","tickSize":"0.01")", R"("maxQty":"1E+60","stepSize":"10.00")", -2, 1},
      {R"("maxPrice":"1","tickSize":"0.0000000001")", R"("maxQty":"1E+17","stepSize":"0.0000000001")", -10,
       -10},
  };
  for (const auto& c : cases) {
    for (const char* venue : {"binance", "binance-usdm", "binance-coinm"}) {
      const std::string symbol = replaced(
          symbol_json("AAABBB", "TRADING", filters_json(c.price, c.lot)), R"("filters")",
          R"("marginAsset":"AAA","deliveryDate":4133404800000,"contractSize":10,"contractType":"PERPETUAL","filters")");
      const auto instruments = make_venue(venue)->parse_instruments(info_json(symbol));
      ASSERT_TRUE(instruments.has_value()) << instruments.error();
      EXPECT_EQ(instruments->at(0).price_exponent, c.price_exponent) << venue << ' ' << c.price;
      EXPECT_EQ(instruments->at(0).quantity_exponent, c.quantity_exponent) << venue << ' ' << c.lot;
    }
  }
}

TEST(BinanceRest, LargestValuesThatAreNoneAreNamed) {
  for (const auto& [price, lot] : {std::pair<const char*, const char*>{R"("maxPrice":"x","tickSize":"1")",
                                                                       R"("maxQty":"1","stepSize":"1")"},
                                   {R"("maxPrice":"1","tickSize":"1")", R"("maxQty":"-1","stepSize":"1")"}}) {
    const auto instruments = parse(info_json(symbol_json("BAD", "TRADING", filters_json(price, lot)) + ',' +
                                             symbol_json("GOOD", "TRADING", kFilters)));
    ASSERT_TRUE(instruments.has_value());
    ASSERT_EQ(instruments->size(), 2u);
    EXPECT_EQ(instruments->at(0).problem.rfind("max", 0), 0u) << instruments->at(0).problem;
    EXPECT_EQ(instruments->at(1).problem, "");
  }
}

TEST(BinanceSpotRest, UnknownStatusAndUtf8SymbolsAreKeptAsTheyAre) {
  const auto instruments =
      parse(info_json(symbol_json("\xE5\xB8\x81\xE5\xAE\x89USDT", "CANCEL_ONLY", kFilters) + ',' +
                      symbol_json("\\u5e01USDT", "SOMETHING_NEW", kFilters)));
  ASSERT_TRUE(instruments.has_value());
  EXPECT_EQ(instruments->at(0).venue_symbol, "\xE5\xB8\x81\xE5\xAE\x89USDT");
  EXPECT_EQ(instruments->at(0).status, "CANCEL_ONLY");
  EXPECT_EQ(instruments->at(1).venue_symbol, "\xE5\xB8\x81USDT");
  EXPECT_EQ(instruments->at(1).status, "SOMETHING_NEW");
}

TEST(BinanceSpotRest, OneBadSymbolIsMarkedAndTakesNoOtherDown) {
  const std::string bad[] = {
      symbol_json("BADTICK", "TRADING", R"([{"filterType":"PRICE_FILTER","tickSize":"abc"}])"),
      symbol_json("BADSTEP", "TRADING", R"([{"filterType":"LOT_SIZE","stepSize":5}])"),
      symbol_json("NEGATIVE", "TRADING", R"([{"filterType":"LOT_SIZE","stepSize":"-1"}])"),
      symbol_json("HUGE", "TRADING", R"([{"filterType":"PRICE_FILTER","tickSize":"100000000000"}])"),
      symbol_json("NULLED", "TRADING", "null"),
      R"({"symbol":"NOBASE","quoteAsset":"BBB","filters":[]})",
      "17",  // these two have no name that anybody could ask for
      "null",
  };
  for (const std::string& one : bad) {
    const bool named = one.starts_with('{');
    const auto instruments = parse(info_json(one + ',' + symbol_json("GOOD", "TRADING", kFilters)));
    ASSERT_TRUE(instruments.has_value()) << one;
    ASSERT_EQ(instruments->size(), named ? 2u : 1u) << one;
    EXPECT_EQ(instruments->back().venue_symbol, "GOOD") << one;
    EXPECT_EQ(instruments->back().problem, "") << one;
    if (named) {
      EXPECT_NE(one.find('"' + instruments->front().venue_symbol + '"'), std::string::npos) << one;
      EXPECT_NE(instruments->front().problem, "") << one;
    }

    const auto none = parse(info_json(one));
    ASSERT_FALSE(none.has_value()) << one;
    EXPECT_NE(none.error().find("no symbol could be read"), std::string::npos) << none.error();
  }
}

TEST(BinanceSpotRest, AnAnswerThatIsNoListIsAnError) {
  const std::pair<std::string, std::string> cases[] = {
      {"", ""},
      {"<html>502</html>", "502"},
      {payload("rest_error.json"), payload("rest_error.json").substr(0, 20)},
      {"[]", "[]"},
      {R"({"symbols":{}})", R"({"symbols":{}})"},
      {"{\"symbols\":[", "{\"symbols\":["},
      {"\xFF\xFE", "\xEF\xBF\xBD\xEF\xBF\xBD"},
      {std::string("\x1F\x8B\x08\0", 4), "4 bytes that are no text, beginning 1f 8b 08 00"},
  };
  for (const auto& [body, shown] : cases) {
    const auto instruments = parse(body);
    ASSERT_FALSE(instruments.has_value()) << body;
    EXPECT_NE(instruments.error().find("exchangeInfo"), std::string::npos);
    EXPECT_NE(instruments.error().find("found: " + shown), std::string::npos) << instruments.error();
  }
  const auto empty = parse(R"({"symbols":[]})");
  ASSERT_TRUE(empty.has_value());
  EXPECT_TRUE(empty->empty());
}

TEST(BinanceSpotRest, RequestsNameDepthAndWeight) {
  const struct {
    std::size_t depth;
    const char* limit;
    std::uint32_t weight;
  } cases[] = {{0, "1", 5},         {1, "1", 5},        {100, "100", 5},    {101, "101", 25},
               {500, "500", 25},    {501, "501", 50},   {1000, "1000", 50}, {1001, "1001", 250},
               {5000, "5000", 250}, {9999, "5000", 250}};
  const auto venue = make_venue("binance");
  for (const auto& c : cases) {
    const core::RestRequest request = venue->snapshot_request("BTCUSDT", c.depth);
    EXPECT_EQ(request.target, std::string("/api/v3/depth?symbol=BTCUSDT&limit=") + c.limit);
    EXPECT_EQ(request.weight, c.weight) << c.depth;
  }
  EXPECT_EQ(venue->snapshot_request("\xE5\xB8\x81X&a=b", 5).target,
            "/api/v3/depth?symbol=%E5%B8%81X%26a%3Db&limit=5");
}

TEST(BinanceFuturesRest, RequestsAreRoundedUpToWhatIsOffered) {
  const struct {
    std::size_t depth;
    const char* limit;
    std::uint32_t weight;
  } cases[] = {{0, "5", 2},    {5, "5", 2},     {6, "10", 2},     {11, "20", 2},     {21, "50", 2},
               {51, "100", 5}, {100, "100", 5}, {101, "500", 10}, {501, "1000", 20}, {5000, "1000", 20}};
  for (const auto& c : cases) {
    for (const auto& [name, path] : {std::pair<const char*, std::string>{"binance-usdm", "/fapi/v1/depth"},
                                     {"binance-coinm", "/dapi/v1/depth"}}) {
      const core::RestRequest request = make_venue(name)->snapshot_request("BTCUSD_PERP", c.depth);
      EXPECT_EQ(request.target, path + "?symbol=BTCUSD%5FPERP&limit=" + c.limit);
      EXPECT_EQ(request.weight, c.weight) << c.depth;
    }
  }
  EXPECT_EQ(make_venue("binance-usdm")->instruments_requests().at(0).target, "/fapi/v1/exchangeInfo");
  EXPECT_EQ(make_venue("binance-coinm")->instruments_requests().at(0).target, "/dapi/v1/exchangeInfo");
}

TEST(BinanceFuturesRest, UsdmContracts) {
  const auto instruments =
      make_venue("binance-usdm")->parse_instruments(payload("exchange_info_composed.json", "binance_usdm"));
  ASSERT_TRUE(instruments.has_value()) << instruments.error();
  ASSERT_EQ(instruments->size(), 4u);
  const core::Instrument& perpetual = instruments->at(0);
  EXPECT_EQ(perpetual.canonical_symbol, "binance-usdm:BTC-USDT-PERP");
  EXPECT_EQ(perpetual.kind, shm::InstrumentKind::Perpetual);
  EXPECT_EQ(perpetual.settle, "USDT");
  EXPECT_EQ(perpetual.status, "TRADING");
  EXPECT_EQ(perpetual.exchange_id, 2);
  EXPECT_EQ(perpetual.expiry_ns, 0);
  EXPECT_FALSE(perpetual.inverse);
  EXPECT_EQ(perpetual.contract_size, 1);
  EXPECT_EQ(perpetual.contract_exponent, 0);
  EXPECT_EQ(perpetual.price_exponent, -8);
  EXPECT_EQ(shm::to_decimal(perpetual.tick_size, perpetual.price_exponent), "0.1");
  EXPECT_EQ(shm::to_decimal(perpetual.lot_size, perpetual.quantity_exponent), "0.001");
  const core::Instrument& dated = instruments->at(1);
  EXPECT_EQ(dated.canonical_symbol, "binance-usdm:BTC-USDT-210625");
  EXPECT_EQ(dated.kind, shm::InstrumentKind::Future);
  EXPECT_EQ(dated.expiry_ns, 1'624'608'000'000'000'000);
  const core::Instrument& settling = instruments->at(2);  // its type is an empty text
  EXPECT_EQ(settling.kind, shm::InstrumentKind::Future);
  EXPECT_EQ(settling.status, "SETTLING");
  EXPECT_EQ(instruments->at(3).price_exponent, -10) << "a tick finer than eight decimals";
}

TEST(BinanceFuturesRest, CoinmContracts) {
  const auto instruments =
      make_venue("binance-coinm")->parse_instruments(payload("exchange_info_composed.json", "binance_coinm"));
  ASSERT_TRUE(instruments.has_value()) << instruments.error();
  ASSERT_EQ(instruments->size(), 3u);
  const core::Instrument& perpetual = instruments->at(0);
  EXPECT_EQ(perpetual.canonical_symbol, "binance-coinm:BTC-USD-PERP");
  EXPECT_EQ(perpetual.kind, shm::InstrumentKind::Perpetual);
  EXPECT_EQ(perpetual.settle, "BTC");
  EXPECT_EQ(perpetual.status, "TRADING");
  EXPECT_EQ(perpetual.exchange_id, 3);
  EXPECT_TRUE(perpetual.inverse);
  EXPECT_EQ(perpetual.contract_size, 100);
  EXPECT_EQ(perpetual.contract_exponent, 0);
  EXPECT_EQ(instruments->at(1).canonical_symbol, "binance-coinm:BTC-USD-210625");
  EXPECT_EQ(instruments->at(1).expiry_ns, 1'624'608'000'000'000'000);
  EXPECT_EQ(instruments->at(2).contract_size, 10);
}

TEST(BinanceFuturesRest, AContractThatCannotBeReadIsMarked) {
  const std::string whole = payload("exchange_info_composed.json", "binance_coinm");
  for (const auto& [what, by] :
       {std::pair<const char*, const char*>{R"("contractSize":100)", R"("contractSize":0)"},
        {R"("contractSize":100)", R"("contractSize":1.5)"},
        {R"("contractSize":100)", R"("contractSize":"100")"},
        {R"("deliveryDate":4133404800000)", R"("deliveryDate":4133404800001)"},
        {R"("deliveryDate":4133404800000)", R"("deliveryDate":-1)"},
        {R"("deliveryDate":4133404800000)", R"("deliveryDate":null)"},
        {R"("marginAsset":"BTC")", R"("marginAsset":"")"}}) {
    const auto instruments = make_venue("binance-coinm")->parse_instruments(replaced(whole, what, by));
    ASSERT_TRUE(instruments.has_value()) << by;
    ASSERT_EQ(instruments->size(), 3u) << by;
    EXPECT_EQ(std::count_if(instruments->begin(), instruments->end(),
                            [](const core::Instrument& listed) { return !listed.problem.empty(); }),
              1)
        << by;
  }
}

TEST(BinanceSpotRest, ErrorsAreDescribedInTheVenuesWords) {
  EXPECT_EQ(describe_error(payload("rest_error.json")), "code -1121: Invalid symbol.");
  EXPECT_EQ(describe_error(R"({"code":-1003})"), "code -1003: ");
  for (const char* body : {"", "<html></html>", "{}", "[]", "null", R"({"code":"x"})", R"({"msg":"x"})"}) {
    EXPECT_EQ(describe_error(body), "") << body;
    EXPECT_FALSE(is_unknown_symbol(body)) << body;
  }
}

TEST(BinanceSpotRest, AnUnknownSymbolIsToldFromOtherErrors) {
  EXPECT_TRUE(is_unknown_symbol(payload("rest_error.json")));
  EXPECT_FALSE(is_unknown_symbol(R"({"code":-1003,"msg":"Too much request weight used."})"));
  EXPECT_FALSE(is_unknown_symbol(R"({"code":"-1121","msg":"Invalid symbol."})"));
}

TEST(BinanceRest, OnlyWhatIsTradingIsTradable) {
  for (const auto& [status, tradable] :
       {std::pair<const char*, bool>{"TRADING", true}, {"HALT", false}, {"BREAK", false}, {"", false}}) {
    const auto instruments = parse(info_json(symbol_json("AAABBB", status, "[]")));
    ASSERT_TRUE(instruments.has_value()) << instruments.error();
    EXPECT_EQ(instruments->at(0).tradable, tradable) << status;
    EXPECT_EQ(instruments->at(0).status, status);
  }
}

TEST(BinanceRest, TheWeightThatWasUsedStandsInAHeader) {
  for (const char* venue : {"binance", "binance-usdm", "binance-coinm"}) {
    const auto made = make_venue(venue);
    EXPECT_EQ(made->used_weight({{"date", "now"}, {"x-mbx-used-weight-1m", "250"}}), 250) << venue;
    EXPECT_EQ(made->used_weight({{"date", "now"}}), -1) << venue;
  }
}

TEST(BinanceRest, TheDeepestSnapshotIsTheLastOfItsLimits) {
  EXPECT_EQ(make_venue("binance")->max_snapshot_depth(), 5'000u);
  EXPECT_EQ(make_venue("binance-usdm")->max_snapshot_depth(), 1'000u);
  EXPECT_EQ(make_venue("binance-coinm")->max_snapshot_depth(), 1'000u);
}

}  // namespace
}  // namespace mdp::venue::binance
