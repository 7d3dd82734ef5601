// What the venue must not send, and what must come of it: an error, nothing that looks whole, and an
// Invalidate where the frame may be a book update of a known symbol.
#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <vector>

#include "venue/binance/support.hpp"

namespace mdp::venue::binance {
namespace {

using namespace std::string_view_literals;
using core::ParseStatus;
using core::UpdateType;

class BinanceMalformed : public ParserFixture, public testing::WithParamInterface<VenueCase> {
 protected:
  BinanceMalformed() : ParserFixture(GetParam().family) {}

  void expect_malformed(std::string_view text, std::string_view behind = {}) {
    EXPECT_EQ(parse(text, behind), ParseStatus::MalformedFrame) << text;
    for (const core::NormalizedMessage& message : sink.messages) {
      EXPECT_EQ(message.header.update_type, UpdateType::Invalidate) << text;
    }
  }

  std::string load(const std::string& name) const { return payload(name, GetParam().folder); }

  const bool futures_ = GetParam().family == Family::Futures;
  const std::string prev_ = futures_ ? R"("pu":4,)" : "";  // what depthUpdate has more
  const std::string depth_ = load(GetParam().depth);
  const std::string trade_ = load(GetParam().trade);
  const std::string aggregate_ = load(GetParam().aggregate);
  const std::string quote_ = load(GetParam().quote);
  // The first price and quantity, and the symbol, as they stand in those.
  const std::string price_ = first_between(depth_, "[[\"", "\"");
  const std::string symbol_ = first_between(depth_, "\"s\":\"", "\"");

  // `frame` with another text under `key`.
  static std::string with_price(const std::string& frame, const std::string& key, std::string_view text) {
    const std::string before = "\"" + key + "\":\"";
    return replaced(frame, before + first_between(frame, before, "\"") + "\"",
                    before + std::string(text) + "\"");
  }

 private:
  static std::string first_between(const std::string& text, std::string_view before,
                                   std::string_view behind) {
    const std::size_t begin = text.find(before) + before.size();
    return text.substr(begin, text.find(behind, begin) - begin);
  }
};

TEST_P(BinanceMalformed, NotJson) {
  for (const std::string_view text : {""sv,
                                      " "sv,
                                      "\0"sv,
                                      "\n\n"sv,
                                      "x"sv,
                                      "null"sv,
                                      "true"sv,
                                      "1"sv,
                                      "\"text\""sv,
                                      "{"sv,
                                      "}"sv,
                                      "["sv,
                                      "]"sv,
                                      "{]"sv,
                                      "[}"sv,
                                      "{}"sv,
                                      "{,}"sv,
                                      "{\"e\"}"sv,
                                      "{\"e\":}"sv,
                                      "{\"e\":\"trade\",}"sv,
                                      "{e:\"trade\"}"sv,
                                      "{'e':'trade'}"sv,
                                      "<html><body>403</body></html>"sv,
                                      "\xEF\xBB\xBF{\"result\":null,\"id\":1}"sv,
                                      "ping"sv,
                                      "{\"stream\":\"x\"}"sv,
                                      "{\"stream\":\"x\",\"data\":null}"sv,
                                      "{\"stream\":\"x\",\"data\":\"text\"}"sv,
                                      "{\"stream\":\"x\",\"data\":{}}"sv,
                                      "{\"id\":1}"sv,
                                      "{\"result\":null}"sv,
                                      "{\"error\":null,\"id\":1}"sv,
                                      "{\"code\":\"2\"}"sv,
                                      "{\"code\":2,\"msg\":7}"sv,
                                      "{\"result\":null,\"id\":99999999999999999999}"sv,
                                      "[1,2"sv,
                                      "[1,2}"sv,
                                      "[nul]"sv,
                                      "[] []"sv,
                                      "[]]"sv}) {
    expect_malformed(text);
    EXPECT_TRUE(sink.messages.empty()) << text;
  }
}

TEST_P(BinanceMalformed, TruncatedAtEveryByte) {
  for (const std::string& whole : {depth_, raw_framing(depth_), trade_, raw_framing(trade_), aggregate_,
                                   quote_, raw_framing(quote_), load("depth_update_combined.json")}) {
    for (std::size_t size = 0; size < whole.size(); ++size) {
      const std::string cut = whole.substr(0, size);
      expect_malformed(cut);
      // The buffer held the whole frame once: its tail still stands behind the end.
      expect_malformed(cut, std::string_view(whole).substr(size));
      for (const std::string_view behind : {"}"sv, "}}"sv, "\"}}"sv, "]}}"sv, "0}}"sv})
        expect_malformed(cut, behind);
    }
  }
}

TEST_P(BinanceMalformed, SomethingBehindAString) {
  for (const std::string& whole : {depth_, trade_, quote_, raw_framing(trade_), raw_framing(quote_)}) {
    for (std::size_t at = 0; (at = whole.find("\",", at)) != std::string::npos; ++at) {
      for (const char* garbage :
           {":1", ":true}", ":\"x\"", ":[]", " 1", "\"\"", "{}", ":1,\"y\":2}", "]", "}"}) {
        std::string text = whole;
        expect_malformed(text.insert(at + 1, garbage));
      }
    }
  }
}

TEST_P(BinanceMalformed, SomethingBehindTheObject) {
  for (const std::string& whole :
       {depth_, raw_framing(depth_), trade_, quote_, payload("ack.json"), payload("server_shutdown_raw.json"),
        payload("mini_ticker_array_raw.json")}) {
    for (const std::string_view garbage :
         {"}"sv, "]"sv, ","sv, "x"sv, "0"sv, "\0"sv, "\""sv, "null"sv, "{}"sv, " 1"sv}) {
      expect_malformed(whole + std::string(garbage));
    }
    expect_malformed(whole + whole);
    EXPECT_FALSE(core::is_error(parse(whole + " \r\n\t"))) << "white space behind is JSON";
  }
}

// Each key in turn: absent, of every other type, twice.
TEST_P(BinanceMalformed, KeysMissingOfTheWrongTypeOrTwice) {
  struct Key {
    std::string name, text;
  };
  struct Form {
    std::vector<Key> keys;
    bool is_book;  // may be a book update: the symbol is invalidated, if it is known by then
  };
  Form forms[] = {
      {{{"e", R"("depthUpdate")"},
        {"E", "1617566591307"},
        {"s", R"("BTCUSDT")"},
        {"U", "5"},
        {"u", "9"},
        {"b", R"([["1.00","2"]])"},
        {"a", R"([["3.00","4"]])"}},
       true},
      {{{"e", R"("trade")"},
        {"E", "1617566591307"},
        {"s", R"("BTCUSDT")"},
        {"t", "77"},
        {"p", R"("1.00")"},
        {"q", R"("2")"},
        {"T", "1617566591306"},
        {"m", "true"}},
       false},
      {{{"e", R"("aggTrade")"},
        {"E", "1617566591307"},
        {"s", R"("BTCUSDT")"},
        {"a", "77"},
        {"p", R"("1.00")"},
        {"q", R"("2")"},
        {"T", "1617566591306"},
        {"m", "true"}},
       false},
      {{{"u", "9"},
        {"s", R"("BTCUSDT")"},
        {"b", R"("1.00")"},
        {"B", R"("2")"},
        {"a", R"("3.00")"},
        {"A", R"("4")"}},
       true},
  };
  if (futures_) forms[0].keys.push_back({"pu", "4"});
  const auto frame_of = [](const std::vector<Key>& keys) {
    std::string text = "{";
    for (const Key& key : keys) text += (text.size() > 1 ? ",\"" : "\"") + key.name + "\":" + key.text;
    return text + '}';
  };
  for (const Form& form : forms) {
    ASSERT_EQ(parse(frame_of(form.keys)), ParseStatus::Ok) << frame_of(form.keys);
    for (std::size_t i = 0; i < form.keys.size(); ++i) {
      const std::string& name = form.keys[i].name;
      std::vector<Key> changed = form.keys;
      changed.erase(changed.begin() + static_cast<std::ptrdiff_t>(i));
      if (name != "e") {  // without it another event may be meant
        expect_malformed(frame_of(changed));
        if (form.is_book && name != "s") expect_invalidated(kBtcUsdt, name);
      }
      for (const char* other : {"null", "true", "1.5", "-1", "{}", "[]", "[[]]", R"("")", R"("x")", "1e3",
                                "99999999999999999999", "0x10", "01", "nul", "tru", "\"\\q\""}) {
        changed = form.keys;
        changed[i].text = other;
        const ParseStatus status = parse(frame_of(changed));
        if (status == ParseStatus::Ok) {  // an empty array of levels, a maker flag of true, no event before
          EXPECT_TRUE((name == "b" && other == "[]"sv) || (name == "a" && other == "[]"sv) ||
                      (name == "m" && other == "true"sv) || (name == "pu" && other == "-1"sv))
              << frame_of(changed);
        } else if (status == ParseStatus::Ignored) {  // another event, another symbol
          EXPECT_TRUE(name == "e" || name == "s") << frame_of(changed);
        } else {
          EXPECT_TRUE(core::is_error(status)) << frame_of(changed);
          for (const auto& message : sink.messages)
            EXPECT_EQ(message.header.update_type, UpdateType::Invalidate);
        }
      }
      for (std::size_t place = 0; place <= form.keys.size(); ++place) {
        changed = form.keys;
        changed.insert(changed.begin() + static_cast<std::ptrdiff_t>(place), form.keys[i]);
        expect_malformed(frame_of(changed));
        expect_malformed(R"({"stream":"x","data":)" + frame_of(changed) + '}');
      }
      // Beside the event instead of in it, or both.
      expect_malformed("{\"" + name + "\":" + form.keys[i].text + R"(,"data":)" + frame_of(form.keys) + '}');
      expect_malformed(R"({"data":)" + frame_of(form.keys) + ",\"" + name + "\":" + form.keys[i].text + '}');
    }
    expect_malformed(R"({"data":)" + frame_of(form.keys) + R"(,"data":)" + frame_of(form.keys) + '}');
    expect_malformed(R"({"data":[],"data":)" + frame_of(form.keys) + '}');
    expect_malformed(R"({"error":)" + frame_of(form.keys) + '}');
    EXPECT_NE(parse(R"({"data":{"data":)" + frame_of(form.keys) + "}}"), ParseStatus::Ok);
    EXPECT_NE(parse(R"({"x":)" + frame_of(form.keys) + '}'), ParseStatus::Ok);
  }
}

TEST_P(BinanceMalformed, TheSameKeyWithAnotherTypeIsTheSameKey) {
  const std::string frame = R"({"e":"depthUpdate","E":1617566591307,"s":"BTCUSDT","U":5,"u":9,)" + prev_ +
                            R"("b":[["1.00","2"]],"a":[]%})";
  ASSERT_EQ(parse(replaced(frame, "%", "")), ParseStatus::Ok);
  for (const char* second : {R"(,"b":"1")", R"(,"b":1)", R"(,"a":"1")", R"(,"a":1)", R"(,"a":[])"}) {
    expect_malformed(replaced(frame, "%", second));
    expect_invalidated(kBtcUsdt, second);
  }
  // Other words for the same thing are not the same thing.
  EXPECT_EQ(parse(R"({"e":"depthUpdate","E":1617566591307,"s":"BTCUSDT","U":5,"u":9,)" + prev_ +
                  R"("bids":[],"asks":[]})"),
            ParseStatus::MalformedFrame);
  ASSERT_EQ(parse(replaced(frame, "%", R"(,"bids":[["7.00","7"]],"lastUpdateId":3)")), ParseStatus::Ok);
  EXPECT_EQ(sink.messages.at(0).bids()[0], (core::PriceLevel{100, 200'000'000}));
  EXPECT_EQ(sink.messages.at(0).header.last_update_id, 9u);
}

TEST_P(BinanceMalformed, LevelsThatCannotBeReadInvalidateTheBook) {
  const struct {
    std::string_view levels;
    ParseStatus status;
  } cases[] = {
      {R"([["1.001","2"]])", ParseStatus::InexactNumber},
      {R"([["1","0.000000001"]])", ParseStatus::InexactNumber},
      {R"([["92233720368547758.08","2"]])", ParseStatus::NumberOverflow},
      {R"([["1","92233720369"]])", ParseStatus::NumberOverflow},
      {R"([["-1","2"]])", ParseStatus::BadNumber},
      {R"([["0","2"]])", ParseStatus::BadNumber},
      {R"([["1","-2"]])", ParseStatus::BadNumber},
      {R"([["","2"]])", ParseStatus::BadNumber},
      {R"([["1e","2"]])", ParseStatus::BadNumber},
      {R"([["0E-8","2"]])", ParseStatus::BadNumber},
      {R"([["1","1E-9"]])", ParseStatus::InexactNumber},
      {R"([["1","1E11"]])", ParseStatus::NumberOverflow},
      {R"([["1\u0030","2"]])", ParseStatus::BadNumber},
      {R"([[1,2]])", ParseStatus::MalformedFrame},
      {R"([["1"]])", ParseStatus::MalformedFrame},
      {R"([["1","2","3"]])", ParseStatus::MalformedFrame},
      {R"(["1","2"])", ParseStatus::MalformedFrame},
      {R"([["1","2"],null])", ParseStatus::MalformedFrame},
      {R"([{"1":"2"}])", ParseStatus::MalformedFrame},
  };
  for (const auto& c : cases) {
    for (const bool bids : {true, false}) {
      const std::string text = R"({"stream":"x","data":{"e":"depthUpdate","E":1,"s":"BTCUSDT","U":5,"u":9,)" +
                               prev_ + R"("b":)" + std::string(bids ? c.levels : "[[\"1\",\"1\"]]") +
                               R"(,"a":)" + std::string(bids ? "[[\"1\",\"1\"]]" : c.levels) + "}}";
      EXPECT_EQ(parse(text), c.status) << text;
      EXPECT_EQ(sink.messages.size(), 1u) << text;
      expect_invalidated(kBtcUsdt, text);
      const core::ParseFailure& failure = parser->last_failure();
      EXPECT_EQ(failure.symbol, kBtcUsdt) << text;
      const bool unheld = c.status == ParseStatus::InexactNumber || c.status == ParseStatus::NumberOverflow;
      EXPECT_EQ(failure.number[0] != 0, unheld) << text;
      if (unheld) {
        EXPECT_NE(c.levels.find('"' + std::string(failure.number) + '"'), std::string_view::npos) << text;
      }
    }
  }
}

TEST_P(BinanceMalformed, AnErrorBehindManyLevelsLeavesNothingWhole) {
  for (const int good : {255, 256, 257, 600, 1'000}) {
    std::string text = R"({"e":"depthUpdate","E":1,"s":"BTCUSDT","U":5,"u":9,)" + prev_ + R"("b":[)";
    for (int i = 1; i <= good; ++i) text += "[\"" + std::to_string(i) + "\",\"1\"],";
    text += R"(["x","1"]],"a":[]})";
    EXPECT_EQ(parse(text), ParseStatus::BadNumber);
    expect_invalidated(kBtcUsdt, std::to_string(good));
  }
}

TEST_P(BinanceMalformed, IdsOutOfOrder) {
  const std::string frame =
      R"({"e":"depthUpdate","E":1,"s":"BTCUSDT","U":%,"u":9,)" + prev_ + R"("b":[],"a":[]})";
  EXPECT_EQ(parse(replaced(frame, "%", "9")), ParseStatus::Ok);
  expect_malformed(replaced(frame, "%", "10"));
  expect_invalidated(kBtcUsdt, "first id above the last");
  expect_malformed(replaced(frame, "%", "18446744073709551615"));
}

TEST_P(BinanceMalformed, TradesAndQuotesWithBadNumbersSayNothingOfTheBook) {
  const struct {
    std::string_view number;
    ParseStatus status;
  } cases[] = {
      {"61837.631", ParseStatus::InexactNumber}, {"92233720368547758.08", ParseStatus::NumberOverflow},
      {"-61837.63", ParseStatus::BadNumber},     {"", ParseStatus::BadNumber},
      {"6.1e", ParseStatus::BadNumber},          {"61837,63", ParseStatus::BadNumber},
      {"\\u0036", ParseStatus::BadNumber},
  };
  for (const auto& c : cases) {
    for (const std::string& frame : {with_price(trade_, "p", c.number), with_price(quote_, "b", c.number)}) {
      EXPECT_EQ(parse(frame), c.status) << frame;
      EXPECT_TRUE(sink.messages.empty()) << c.number;
      const bool unheld = c.status == ParseStatus::InexactNumber || c.status == ParseStatus::NumberOverflow;
      EXPECT_EQ(parser->last_failure().number, unheld ? c.number : std::string_view()) << frame;
      EXPECT_EQ(parser->last_failure().symbol, GetParam().symbol) << frame;
    }
  }
  EXPECT_EQ(parse(with_price(trade_, "p", "0")), ParseStatus::BadNumber);
  EXPECT_EQ(parse(with_price(trade_, "q", "0.00")), ParseStatus::BadNumber);
}

TEST_P(BinanceMalformed, InvalidUtf8AndControlCharacters) {
  for (const std::string_view bad : {"\x80"sv, "\xC3"sv, "\xC0\x80"sv, "\xED\xA0\x80"sv, "\xF5\x80\x80\x80"sv,
                                     "\xFF"sv, "\0"sv, "\x01"sv, "\n"sv, "\x1F"sv}) {
    expect_malformed(replaced(depth_, "\"btcusd", std::string("\"btc") + std::string(bad) + "usd"));
    expect_malformed(replaced(depth_, symbol_, symbol_.substr(0, 3) + std::string(bad) + "USDT"));
    expect_malformed(replaced(depth_, "\"s\"", std::string("\"x") + std::string(bad) + "\":1,\"s\""));
  }
}

TEST_P(BinanceMalformed, ValuesNobodyWantsAreCheckedToo) {
  const std::string frame = replaced(depth_, "\"e\":", "\"x\":%,\"e\":");
  for (const char* good : {"1", "-0.5e3", "true", "null", R"("\u20bf")", "[]", "{}", R"([1,{"a":[null]}])"}) {
    EXPECT_EQ(parse(replaced(frame, "%", good)), ParseStatus::Ok) << good;
  }
  for (const char* bad : {"",         "tru",         "truee",       "nul",          "01",
                          "1.",       "+1",          "1e",          "--1",          "NaN",
                          R"("\q")",  R"("\u12")",   R"("\ud800")", "[1,]",         "[1 2]",
                          "[}",       "{]",          R"({"a"})",    R"({"a":})",    R"({"a":1,})",
                          R"({1:2})", R"({"\q":1})", "[[1,2}]",     R"({"a":[1}])", "1 2"}) {
    expect_malformed(replaced(frame, "%", bad));
  }
}

TEST_P(BinanceMalformed, DeepNesting) {
  for (const std::size_t depth : {20u, 40u, 1'000u, 1'030u, 200'000u}) {
    for (const auto& [open, close] : {std::pair<std::string, std::string>{"[", "]"}, {"{\"a\":", "}"}}) {
      std::string nest;
      for (std::size_t i = 0; i < depth; ++i) nest += open;
      nest += "1";
      std::string closed = nest;
      for (std::size_t i = 0; i < depth; ++i) closed += close;
      const ParseStatus wanted = depth < 32 ? ParseStatus::Ok : ParseStatus::MalformedFrame;
      EXPECT_EQ(parse(replaced(depth_, "\"e\":", "\"x\":" + closed + ",\"e\":")), wanted) << depth;
      expect_malformed(replaced(depth_, "\"e\":", "\"x\":" + nest + ",\"e\":"));
      EXPECT_EQ(parse(closed), open == "[" && depth < 32 ? ParseStatus::Ignored : ParseStatus::MalformedFrame)
          << depth;
      EXPECT_NE(parse(R"({"e":"depthUpdate","E":1,"s":"BTCUSDT","U":5,"u":9,)" + prev_ + R"("a":[],"b":)" +
                      closed + '}'),
                ParseStatus::Ok);
      EXPECT_NE(parse("{\"data\":" + closed + '}'), ParseStatus::Ok);
    }
  }
}

TEST_P(BinanceMalformed, EscapedKeysAreNotGuessedAt) {
  expect_malformed(replaced(depth_, "\"b\":", "\"\\u0062\":"));
  expect_malformed(replaced(depth_, "\"e\":", "\"\\u0065\":"));
  expect_malformed(replaced(quote_, "\"u\":", "\"\\\"\":1,\"u\":"));
  expect_malformed(replaced(depth_, "\"data\":", "\"d\\u0061ta\":"));
  expect_malformed(
      replaced(payload("depth_snapshot.json"), "lastUpdateId",
               "\\u006c\\u0061\\u0073\\u0074\\u0055\\u0070\\u0064\\u0061\\u0074\\u0065\\u0049\\u0064"));
  const std::string longer(500, 'k');
  EXPECT_EQ(parse(replaced(depth_, "\"e\":", '"' + longer + "\":1,\"e\":")), ParseStatus::Ok);
  EXPECT_EQ(parse(replaced(depth_, "\"e\":", "\"\":1,\"e\":")), ParseStatus::Ok);
}

TEST_P(BinanceMalformed, AnErrorDoesNotStayForTheNextFrame) {
  for (int i = 0; i < 3; ++i) {
    EXPECT_TRUE(core::is_error(parse(depth_.substr(0, depth_.size() / 2))));
    EXPECT_STREQ(parser->last_failure().number, "") << "nothing of the last failure stays";
    EXPECT_TRUE(core::is_error(parse(replaced(depth_, price_, price_ + "111"))));
    expect_invalidated(GetParam().symbol, "inexact");
    EXPECT_EQ(parse(depth_), ParseStatus::Ok);
    ASSERT_EQ(sink.messages.size(), 1u);
    EXPECT_EQ(sink.messages[0].header.update_type, UpdateType::Delta);
  }
}

INSTANTIATE_TEST_SUITE_P(Venues, BinanceMalformed, testing::ValuesIn(venue_cases()), case_name);

}  // namespace
}  // namespace mdp::venue::binance
