#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "mdp/core/log.hpp"
#include "mdp/shm/decimal.hpp"
#include "mdp/venue/binance_spot/rest.hpp"
#include "venue/binance_spot_support.hpp"

namespace mdp::venue::binance_spot {
namespace {

// What the library logged during one test.
class LogLines {
 public:
  LogLines() {
    lines().clear();
    core::set_log_sink([](core::LogLevel, std::string_view line) { lines().emplace_back(line); });
  }
  ~LogLines() { core::set_log_sink(nullptr); }
  static std::vector<std::string>& lines() {
    static std::vector<std::string> kept;
    return kept;
  }
};

core::Expected<std::vector<core::Instrument>, std::string> parse(std::string_view body) {
  return parse_instruments(body, "binance", kExchange);
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
  EXPECT_EQ(parse_snapshot(body.text(), instruments->at(1), 1, sink), core::ParseStatus::Ok);
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

TEST(BinanceSpotRest, OneBadSymbolIsLeftOutAndLogged) {
  const LogLines log;
  const std::string bad[] = {
      symbol_json("BADTICK", "TRADING", R"([{"filterType":"PRICE_FILTER","tickSize":"abc"}])"),
      symbol_json("BADSTEP", "TRADING", R"([{"filterType":"LOT_SIZE","stepSize":5}])"),
      symbol_json("NEGATIVE", "TRADING", R"([{"filterType":"LOT_SIZE","stepSize":"-1"}])"),
      symbol_json("HUGE", "TRADING", R"([{"filterType":"PRICE_FILTER","tickSize":"100000000000"}])"),
      symbol_json("NULLED", "TRADING", "null"),
      R"({"symbol":"NOBASE","quoteAsset":"BBB","filters":[]})",
      "17",
      "null",
  };
  for (const std::string& one : bad) {
    LogLines::lines().clear();
    const auto instruments = parse(info_json(one + ',' + symbol_json("GOOD", "TRADING", kFilters)));
    ASSERT_TRUE(instruments.has_value()) << one;
    ASSERT_EQ(instruments->size(), 1u) << one;
    EXPECT_EQ(instruments->at(0).venue_symbol, "GOOD") << one;
    ASSERT_EQ(LogLines::lines().size(), 1u) << one;
    EXPECT_TRUE(LogLines::lines()[0].starts_with("instrument_skipped venue=binance")) << LogLines::lines()[0];

    const auto none = parse(info_json(one));
    ASSERT_FALSE(none.has_value()) << one;
    EXPECT_NE(none.error().find("no symbol could be read"), std::string::npos) << none.error();
  }
}

TEST(BinanceSpotRest, AnAnswerThatIsNoListIsAnError) {
  for (const std::string& body :
       {std::string(), std::string("<html>502</html>"), payload("rest_error.json"), std::string("[]"),
        std::string(R"({"symbols":{}})"), std::string("{\"symbols\":["), std::string("\xFF\xFE")}) {
    const auto instruments = parse(body);
    ASSERT_FALSE(instruments.has_value()) << body;
    EXPECT_NE(instruments.error().find("exchangeInfo"), std::string::npos);
    EXPECT_NE(instruments.error().find(body.substr(0, 20)), std::string::npos) << "the error shows what came";
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
  for (const auto& c : cases) {
    const core::RestRequest request = snapshot_request("BTCUSDT", c.depth);
    EXPECT_EQ(request.target, std::string("/api/v3/depth?symbol=BTCUSDT&limit=") + c.limit);
    EXPECT_EQ(request.weight, c.weight) << c.depth;
  }
  EXPECT_EQ(snapshot_request("\xE5\xB8\x81X&a=b", 5).target,
            "/api/v3/depth?symbol=%E5%B8%81X%26a%3Db&limit=5");
}

TEST(BinanceSpotRest, ErrorsAreDescribedInTheVenuesWords) {
  EXPECT_EQ(describe_error(payload("rest_error.json")), "code -1121: Invalid symbol.");
  EXPECT_EQ(describe_error(R"({"code":-1003})"), "code -1003: ");
  for (const char* body : {"", "<html></html>", "{}", "[]", "null", R"({"code":"x"})", R"({"msg":"x"})"}) {
    EXPECT_EQ(describe_error(body), "") << body;
  }
}

}  // namespace
}  // namespace mdp::venue::binance_spot
