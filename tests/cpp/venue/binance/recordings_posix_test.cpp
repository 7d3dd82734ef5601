// Recorded sessions of the three venues, frame by frame: all is read, nothing is lost, the ids form a chain.
// The recordings are no part of the repository: they are in $MDP_SHARED_DATA, else in ../shared/data. Without
// them the test is skipped.
#include <gtest/gtest.h>

#include <algorithm>
#include <cctype>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <ostream>
#include <string>
#include <vector>

#include "mdp/venue/registry.hpp"
#include "venue/binance/strict_reader.hpp"
#include "venue/binance/support.hpp"

namespace mdp::venue::binance {
namespace {

using core::ParseStatus;
using core::UpdateType;

struct Session {
  const char* venue;
  const char* folder;
  const char* file;  // without `.ws1...`
  const char* suffix;
  const char* symbol;                // where no instrument list was recorded
  std::map<std::string, int> kinds;  // frames by the stream's name behind the symbol
};

// Names the test in ctest's list.
void PrintTo(const Session& session, std::ostream* out) { *out << session.folder << '/' << session.file; }

std::vector<Session> sessions() {
  return {
      {"binance",
       "binance-spot",
       "2021-04-04",
       "",
       "BTCUSDT ETHUSDT DOTUSDT",
       {{"depth@100ms", 2688}, {"aggTrade", 1910}, {"kline_1m", 118}}},
      {"binance",
       "binance-spot",
       "2021-04-17",
       "",
       "",
       {{"depth@100ms", 614}, {"bookTicker", 570}, {"kline_1m", 20}, {"aggTrade", 24}}},
      {"binance",
       "binance-spot",
       "2024-08-08-btcusdt",
       ".part1",
       "BTCUSDT",
       {{"depth@100ms", 3246}, {"bookTicker", 26946}, {"trade", 9487}}},
      {"binance-usdm",
       "binance-usdm",
       "2021-04-17",
       "",
       "",
       {{"bookTicker", 1959}, {"depth@100ms", 1016}, {"kline_1m", 99}, {"aggTrade", 185}}},
      {"binance-usdm",
       "binance-usdm",
       "2024-08-08-btcusdt",
       ".part1",
       "BTCUSDT",
       {{"depth@0ms", 2291}, {"bookTicker", 22431}, {"trade", 4315}}},
      {"binance-coinm",
       "binance-coinm",
       "2021-04-17",
       "",
       "",
       {{"bookTicker", 7082}, {"depth@100ms", 2429}, {"aggTrade", 131}}},
      {"binance-coinm",
       "binance-coinm",
       "2024-08-08-btcusd_perp",
       ".part1",
       "BTCUSD_PERP",
       {{"depth@0ms", 4468}, {"bookTicker", 3815}, {"trade", 244}}},
  };
}

std::string path_of(const Session& session, const std::string& kind, const std::string& suffix) {
  const char* const named = std::getenv("MDP_SHARED_DATA");
  const std::string data = named ? named : std::string(MDP_TEST_DATA) + "/../../../shared/data";
  return data + '/' + session.folder + '/' + session.file + '.' + kind + suffix + ".jsonl.gz";
}

struct Record {
  std::string kind, url, data;
};

// The records of a file, by way of gzip; nothing where there is no file.
std::vector<Record> read_records(const std::string& path) {
  std::vector<Record> records;
  if (!std::filesystem::exists(path)) return records;
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> pipe(popen(("gzip -dc '" + path + "'").c_str(), "r"),
                                                             &pclose);
  std::string text;
  char block[65536];
  for (std::size_t n = 0; (n = std::fread(block, 1, sizeof(block), pipe.get())) > 0;) text.append(block, n);
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = text.find('\n', begin);
    const auto record = strict::Reader(std::string_view(text).substr(begin, end - begin)).read();
    if (!record) {
      ADD_FAILURE() << path << ": no record: " << text.substr(begin, 100);
      break;
    }
    const auto text_of = [&](const char* key) {
      const strict::Value* const value = record->only(key, strict::Value::Type::String);
      return value ? value->text : std::string();
    };
    records.push_back({text_of("kind"), text_of("url"), text_of("data")});
    begin = end == std::string::npos ? text.size() : end + 1;
  }
  return records;
}

std::vector<core::Instrument> instruments_of(const Session& session, const core::Venue& venue) {
  std::vector<core::Instrument> instruments;
  for (const Record& record : read_records(path_of(session, "info", ""))) {
    const auto listed = venue.parse_instruments(record.data);
    EXPECT_TRUE(listed.has_value()) << listed.error();
    if (listed.has_value()) instruments = *listed;
  }
  const std::string symbols = session.symbol;
  for (std::size_t begin = 0; begin < symbols.size();) {
    const std::size_t end = std::min(symbols.find(' ', begin), symbols.size());
    instruments.push_back(make_instrument(symbols.substr(begin, end - begin), 0));
    begin = end + 1;
  }
  for (std::size_t i = 0; i < instruments.size(); ++i) {
    instruments[i].symbol_id = static_cast<core::SymbolId>(i);
  }
  return instruments;
}

class BinanceRecordings : public testing::TestWithParam<Session> {};

std::string session_name(const testing::TestParamInfo<Session>& info) {
  std::string name = std::string(info.param.venue) + '_' + info.param.file;
  for (char& c : name) c = std::isalnum(static_cast<unsigned char>(c)) ? c : '_';
  return name;
}

TEST_P(BinanceRecordings, EveryFrameIsReadAndTheIdsFormAChain) {
  const Session& session = GetParam();
  const std::vector<Record> records = read_records(path_of(session, "ws1", session.suffix));
  if (records.empty()) GTEST_SKIP() << "no recording at " << path_of(session, "ws1", session.suffix);
  const auto venue = make_venue(session.venue);
  const core::SymbolTable symbols(instruments_of(session, *venue));
  const auto parser = venue->make_parser(symbols);
  const bool by_prev = venue->book_rule().continuity == core::Continuity::PrevUpToLast;
  std::map<core::SymbolId, std::uint64_t> last_ids;
  std::map<std::string, int> kinds;
  core::CollectingSink sink;
  for (const Record& record : records) {
    if (record.kind != "ws-in") continue;
    const std::size_t at = record.data.find('@') + 1;
    const std::string kind = record.data.substr(at, record.data.find('"', at) - at);
    ++kinds[kind];
    sink.clear();
    const Frame frame(record.data);
    const ParseStatus status = parser->parse(frame.raw(), sink);
    if (kind.starts_with("kline")) {
      ASSERT_EQ(status, ParseStatus::Ignored) << record.data;
      continue;
    }
    ASSERT_EQ(status, ParseStatus::Ok) << record.data;
    const core::Update update = core::join_chunks(sink.messages);
    ASSERT_TRUE(update.flags_right) << record.data;
    ASSERT_EQ(update.header.update_type, kind.starts_with("depth") ? UpdateType::Delta
                                         : kind == "bookTicker"    ? UpdateType::Quote
                                                                   : UpdateType::Trade);
    if (update.header.update_type != UpdateType::Delta) continue;
    const std::uint64_t before = last_ids[update.header.symbol_id];
    if (before != 0) {
      ASSERT_EQ(by_prev ? update.header.prev_update_id : update.header.first_update_id - 1, before)
          << record.data;
    }
    last_ids[update.header.symbol_id] = update.header.last_update_id;
  }
  EXPECT_EQ(kinds, session.kinds);
}

TEST_P(BinanceRecordings, EverySnapshotIsRead) {
  const Session& session = GetParam();
  const std::vector<Record> records = read_records(path_of(session, "http", session.suffix));
  if (records.empty()) GTEST_SKIP() << "no recording at " << path_of(session, "http", session.suffix);
  const auto venue = make_venue(session.venue);
  const core::SymbolTable symbols(instruments_of(session, *venue));
  for (const Record& record : records) {
    const std::size_t at = record.url.find("symbol=") + 7;
    const std::string symbol = record.url.substr(at, record.url.find('&', at) - at);
    const core::Instrument* const instrument = symbols.find(symbol);
    ASSERT_NE(instrument, nullptr) << symbol;
    core::CollectingSink sink;
    const Frame body(record.data);
    core::ParseFailure failure;
    ASSERT_EQ(venue->parse_snapshot(body.text(), *instrument, 1000, 1, sink, failure), ParseStatus::Ok)
        << record.url;
    const core::Update update = core::join_chunks(sink.messages);
    EXPECT_TRUE(update.flags_right);
    EXPECT_GT(update.header.last_update_id, 0u);
    EXPECT_EQ(update.header.exch_ts_ns != 0, std::string(session.venue) != "binance") << "spot sends no time";
    EXPECT_GT(update.bids.size(), 0u);
    EXPECT_GT(update.asks.size(), 0u);
  }
}

// At the chosen exponents the venue's own limits are held: the step exactly, and a thousand of the largest
// orders.
TEST_P(BinanceRecordings, EveryListedInstrumentHoldsItsOwnLimits) {
  const Session& session = GetParam();
  const std::vector<Record> records = read_records(path_of(session, "info", ""));
  if (records.empty()) GTEST_SKIP() << "no recording at " << path_of(session, "info", "");
  const auto listed = make_venue(session.venue)->parse_instruments(records.at(0).data);
  ASSERT_TRUE(listed.has_value()) << listed.error();
  const auto info = strict::Reader(records.at(0).data).read();
  ASSERT_TRUE(info.has_value());
  const strict::Value* const entries = info->only("symbols", strict::Value::Type::Array);
  ASSERT_EQ(listed->size(), entries->elements.size()) << "some were left out";
  std::map<int, int> exponents;
  for (std::size_t i = 0; i < listed->size(); ++i) {
    const core::Instrument& instrument = listed->at(i);
    ++exponents[instrument.quantity_exponent];
    EXPECT_EQ(instrument.price_exponent, -8) << instrument.venue_symbol;
    for (const strict::Value& filter :
         entries->elements[i].only("filters", strict::Value::Type::Array)->elements) {
      const std::string& type = filter.only("filterType", strict::Value::Type::String)->text;
      const bool price = type == "PRICE_FILTER";
      if (!price && type != "LOT_SIZE") continue;
      const int exponent = price ? instrument.price_exponent : instrument.quantity_exponent;
      const auto number = [&](const char* key, const char* zeros) {
        const std::string text = filter.only(key, strict::Value::Type::String)->text;
        return strict::decimal(text + "E" + zeros, exponent);
      };
      EXPECT_EQ(number(price ? "tickSize" : "stepSize", "0"),
                price ? instrument.tick_size : instrument.lot_size);
      EXPECT_TRUE(number(price ? "maxPrice" : "maxQty", price ? "1" : "3")) << instrument.venue_symbol;
    }
  }
  for (const auto& [exponent, count] : exponents) std::printf("quantities at 10^%d: %d\n", exponent, count);
  EXPECT_GT(exponents[-8], 30);
  EXPECT_LE(exponents.size(), 2u)
      << "-8, and -7 for 14 symbols of spot with a largest quantity of 99,999,999";
}

INSTANTIATE_TEST_SUITE_P(Sessions, BinanceRecordings, testing::ValuesIn(sessions()), session_name);

}  // namespace
}  // namespace mdp::venue::binance
