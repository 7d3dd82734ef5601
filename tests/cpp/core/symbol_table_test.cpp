#include "mdp/core/symbol_table.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace mdp::core {
namespace {

Instrument instrument_of(std::string symbol, SymbolId id) {
  Instrument instrument;
  instrument.symbol_id = id;
  instrument.venue_symbol = std::move(symbol);
  return instrument;
}

SymbolId id_of(const SymbolTable& table, std::string_view symbol) {
  const Instrument* const found = table.find(symbol);
  return found ? found->symbol_id : kNoSymbol;
}

TEST(SymbolTable, EmptyTableFindsNothing) {
  const SymbolTable bare;
  EXPECT_EQ(bare.find("BTCUSDT"), nullptr);
  const SymbolTable table{std::vector<Instrument>{}};
  EXPECT_EQ(table.find("BTCUSDT"), nullptr);
  EXPECT_EQ(table.find(""), nullptr);
  EXPECT_EQ(table.find({}), nullptr);  // no text at all: a null pointer
}

TEST(SymbolTable, FindsExactlyWhatIsListed) {
  const SymbolTable table({instrument_of("BTCUSDT", 0), instrument_of("ETHUSDT", 1)});
  EXPECT_EQ(id_of(table, "BTCUSDT"), 0u);
  EXPECT_EQ(id_of(table, "ETHUSDT"), 1u);
  for (const std::string_view other : {"BTCUSD", "BTCUSDTT", "btcusdt", "TCUSDT", "", "BTCUSDC"}) {
    EXPECT_EQ(table.find(other), nullptr) << other;
  }
  EXPECT_EQ(table.find(std::string_view("BTCUSDT\0", 8)), nullptr);  // a short symbol is not its padded form
}

TEST(SymbolTable, FindReadsNoFurtherThanTheSymbol) {
  const SymbolTable table(
      {instrument_of("A", 0), instrument_of("BTCUSDT", 1), instrument_of("1000SATSUSDT", 2)});
  for (const std::string_view symbol : {"A", "BTCUSDT", "1000SATSUSDT"}) {
    const std::vector<char> exact(symbol.begin(), symbol.end());  // the sanitizer sees an overread
    EXPECT_NE(table.find({exact.data(), exact.size()}), nullptr) << symbol;
  }
}

TEST(SymbolTable, HoldsSymbolsOfEveryLength) {
  std::vector<Instrument> instruments;
  std::string symbol;
  for (SymbolId id = 0; id < 40; ++id) instruments.push_back(instrument_of(symbol += 'X', id));
  const SymbolTable table(instruments);
  for (const Instrument& instrument : instruments) {
    EXPECT_EQ(id_of(table, instrument.venue_symbol), instrument.symbol_id) << instrument.venue_symbol;
  }
  EXPECT_EQ(table.find(symbol + 'X'), nullptr);
}

TEST(SymbolTable, TellsSymbolsApartThatDifferInTheMiddle) {
  // Equal in the first eight and the last eight bytes and in size, so equal in hash.
  std::vector<Instrument> instruments;
  for (SymbolId id = 0; id < 26; ++id) {
    instruments.push_back(
        instrument_of(std::string("BTC-2803") + static_cast<char>('A' + id) + "-80000-C", id));
  }
  const SymbolTable table(instruments);
  for (const Instrument& instrument : instruments) {
    EXPECT_EQ(id_of(table, instrument.venue_symbol), instrument.symbol_id) << instrument.venue_symbol;
  }
  EXPECT_EQ(table.find("BTC-2803?-80000-C"), nullptr);
}

TEST(SymbolTable, HoldsUtf8Symbols) {
  const SymbolTable table(
      {instrument_of("\xE5\xB8\x81\xE5\xAE\x89USDT", 5), instrument_of("\xE5\xB8\x81", 6)});
  EXPECT_EQ(id_of(table, "\xE5\xB8\x81\xE5\xAE\x89USDT"), 5u);
  EXPECT_EQ(id_of(table, "\xE5\xB8\x81"), 6u);
  EXPECT_EQ(table.find("\xE5\xB8"), nullptr);
}

TEST(SymbolTable, AddReplacesBySymbol) {
  SymbolTable table({instrument_of("BTCUSDT", 0)});
  const Instrument* const before = table.find("BTCUSDT");
  table.add(instrument_of("BTCUSDT", 9));
  table.add(instrument_of("ETHUSDT", 1));
  EXPECT_EQ(id_of(table, "BTCUSDT"), 9u);
  EXPECT_EQ(id_of(table, "ETHUSDT"), 1u);
  EXPECT_EQ(before->symbol_id, 0u);  // one in hand stays valid
}

TEST(SymbolTable, RemoveForgetsOneAndOnlyThat) {
  SymbolTable table({instrument_of("BTCUSDT", 0), instrument_of("ETHUSDT", 1)});
  table.remove("BTCUSDT");
  table.remove("NOSUCH");
  EXPECT_EQ(table.find("BTCUSDT"), nullptr);
  EXPECT_EQ(id_of(table, "ETHUSDT"), 1u);
  table.remove(table.find("ETHUSDT")->venue_symbol);  // the text may be the table's own
  EXPECT_EQ(table.find("ETHUSDT"), nullptr);
  table.add(instrument_of("BTCUSDT", 2));
  EXPECT_EQ(id_of(table, "BTCUSDT"), 2u);
}

TEST(SymbolTable, HoldsThousandsThatSharePrefixesAndSuffixes) {
  std::vector<Instrument> instruments;
  for (int base = 0; base < 500; ++base) {
    for (const char* quote : {"USDT", "USDC", "BTC", "FDUSD"}) {
      instruments.push_back(
          instrument_of("COIN" + std::to_string(base) + quote, static_cast<SymbolId>(instruments.size())));
    }
  }
  SymbolTable table(instruments);
  for (const Instrument& instrument : instruments) {
    ASSERT_EQ(id_of(table, instrument.venue_symbol), instrument.symbol_id) << instrument.venue_symbol;
    ASSERT_EQ(table.find(instrument.venue_symbol + "X"), nullptr);
  }
  for (std::size_t i = 0; i < instruments.size(); i += 2) table.remove(instruments[i].venue_symbol);
  for (std::size_t i = 0; i < instruments.size(); ++i) {
    ASSERT_EQ(table.find(instruments[i].venue_symbol) != nullptr, i % 2 == 1) << instruments[i].venue_symbol;
  }
}

// A symbol that is always there is always found, while another thread adds and removes others.
TEST(SymbolTable, FindsWhileAnotherThreadChangesIt) {
  SymbolTable table({instrument_of("BTCUSDT", 0)});
  std::atomic<bool> stop{false};
  std::atomic<std::uint64_t> looked{0};
  std::thread reader([&] {
    const std::string removed = "COIN7USDT";
    do {
      const Instrument* const found = table.find("BTCUSDT");
      if (found == nullptr || found->symbol_id != 0 || found->venue_symbol != "BTCUSDT") {
        ADD_FAILURE() << "a listed symbol was not found";
        return;
      }
      const Instrument* const other = table.find(removed);
      EXPECT_TRUE(other == nullptr || other->venue_symbol == removed);
      looked.fetch_add(1, std::memory_order_relaxed);
    } while (!stop.load(std::memory_order_relaxed));
  });
  for (int i = 0; i < 300; ++i) {
    const std::string symbol = "COIN" + std::to_string(i % 20) + "USDT";
    table.add(instrument_of(symbol, static_cast<SymbolId>(i + 1)));
    EXPECT_EQ(id_of(table, symbol), static_cast<SymbolId>(i + 1));
    if (i % 3 == 0) table.remove(symbol);
  }
  stop.store(true, std::memory_order_relaxed);
  reader.join();
  EXPECT_GT(looked.load(), 0u);
}

}  // namespace
}  // namespace mdp::core
