#include "mdp/core/level_scanner.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <optional>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "core/collecting_sink.hpp"
#include "core/strict_levels.hpp"
#include "mdp/core/raw_message.hpp"

namespace mdp::core {
namespace {

using namespace std::string_view_literals;

const Instrument kInstrument = [] {
  Instrument instrument;
  instrument.symbol_id = 3;
  instrument.price_exponent = -2;
  instrument.quantity_exponent = -8;
  return instrument;
}();

struct Scan {
  ParseStatus status = ParseStatus::Ok;
  ParseFailure failure;
  std::vector<PriceLevel> levels;
};

// Of a text with readable bytes behind it.
Scan scan_in(std::string_view text, const Instrument& instrument = kInstrument) {
  CollectingSink sink;
  const MessageHeader header{};
  LevelWriter writer(sink, header);
  Scan result;
  result.status = scan_levels(text, instrument, writer, result.failure);
  writer.finish();
  result.levels = join_chunks(sink.messages).bids;
  return result;
}

// The text stands in a buffer of its own with a frame's padding behind it: an overread past that is seen by
// the sanitizer. `behind` fills the padding: what an earlier frame left there must not matter. Its last byte
// is no digit, as scan_levels() wants it.
Scan scan(std::string_view text, char behind = '\0') {
  std::vector<char> buffer(text.begin(), text.end());
  buffer.insert(buffer.end(), kFramePadding - 1, behind);
  buffer.push_back('\0');
  return scan_in({buffer.data(), text.size()});
}

bool all_digits(std::string_view text) {
  return !text.empty() && text.find_first_not_of("0123456789") == std::string_view::npos;
}

// Writes `digits.digits` times 10^power without the power. False: one of the two is no number.
bool move_point(std::string& text, std::string power) {
  const bool down = power.starts_with('-');
  if (down || power.starts_with('+')) power.erase(0, 1);
  const std::size_t point = std::min(text.find('.'), text.size());
  std::string integer = text.substr(0, point);
  std::string fraction = point < text.size() ? text.substr(point + 1) : "0";
  if (!all_digits(integer) || !all_digits(fraction) || !all_digits(power)) return false;
  const std::size_t places = std::min<std::size_t>(std::stoull(power.substr(0, 9)), 50);
  integer.insert(0, down ? places : 0, '0');
  fraction.append(down ? 1 : places + 1, '0');
  const std::string digits = integer + fraction;
  const std::size_t moved = down ? integer.size() - places : integer.size() + places;
  text = (moved == 0 ? "0" : digits.substr(0, moved)) + '.' + digits.substr(moved);
  return true;
}

std::optional<std::int64_t> number_by_model(std::string text, std::size_t decimals) {
  const bool negative = text.starts_with('-');
  if (negative) text.erase(0, 1);
  if (const std::size_t letter = text.find_first_of("eE"); letter != std::string::npos) {
    const std::string power = text.substr(letter + 1);
    text.erase(letter);
    if (!move_point(text, power)) return std::nullopt;
  }
  const std::size_t point = text.find('.');
  std::string integer = text.substr(0, point);
  std::string fraction = point == std::string::npos ? "0" : text.substr(point + 1);
  if (!all_digits(integer) || !all_digits(fraction)) return std::nullopt;
  while (fraction.size() > decimals) {
    if (fraction.back() != '0') return std::nullopt;
    fraction.pop_back();
  }
  integer += fraction.append(decimals - fraction.size(), '0');
  integer.erase(0, std::min(integer.find_first_not_of('0'), integer.size() - 1));
  if (integer.size() > 18) return std::nullopt;  // enough for the texts of this test
  const auto value = static_cast<std::int64_t>(std::stoll(integer));
  return negative ? -value : value;
}

// An independent reading, by cutting: white space outside quotes goes, then the text is split at `],[` and
// `","`. The levels, or nothing where the text is not exactly right.
std::optional<std::vector<PriceLevel>> read_by_model(const std::string& text) {
  std::string tight;
  bool quoted = false;
  for (const char c : text) {
    quoted = quoted != (c == '"');
    if (quoted || " \t\r\n"sv.find(c) == std::string_view::npos) tight += c;
  }
  if (tight == "[]") return std::vector<PriceLevel>{};
  if (!tight.starts_with("[[\"") || !tight.ends_with("\"]]")) return std::nullopt;
  std::string_view rest = std::string_view(tight).substr(1, tight.size() - 2);  // `["1","2"],["3","4"]`
  std::vector<PriceLevel> levels;
  for (;;) {
    const std::size_t end = std::min(rest.find("],["), rest.size() - 1);
    const std::string_view level = rest.substr(0, end + 1);
    const std::size_t middle = level.find("\",\"");
    if (!level.starts_with("[\"") || !level.ends_with("\"]") || middle == std::string_view::npos ||
        middle < 2) {
      return std::nullopt;
    }
    const auto price = number_by_model(std::string(level.substr(2, middle - 2)), 2);
    if (level.size() < middle + 5) return std::nullopt;
    const auto quantity =
        number_by_model(std::string(level.substr(middle + 3, level.size() - middle - 5)), 8);
    if (!price || !quantity || *price <= 0 || *quantity < 0) return std::nullopt;
    levels.push_back({*price, *quantity});
    if (end + 1 == rest.size()) return levels;
    rest.remove_prefix(end + 2);
  }
}

void expect_as_model(const std::string& text) {
  const auto wanted = read_by_model(text);
  for (const char behind : {'\0', '0', '"', ']'}) {
    const Scan result = scan(text, behind);
    if (wanted) {
      EXPECT_EQ(result.status, ParseStatus::Ok) << text;
      EXPECT_EQ(result.levels, *wanted) << text;
    } else {
      EXPECT_TRUE(is_error(result.status)) << text;
    }
  }
}

constexpr std::string_view kValid =
    R"([["43.50000000","7.00000000"], [ "43.49","0.00000000" ],["0.01" , "180.5"]])";

TEST(LevelScanner, ReadsLevelsInOrder) {
  const Scan result = scan(kValid);
  EXPECT_EQ(result.status, ParseStatus::Ok);
  EXPECT_EQ(result.levels, (std::vector<PriceLevel>{{4350, 700'000'000}, {4349, 0}, {1, 18'050'000'000}}));
}

TEST(LevelScanner, EmptyArraysHoldNoLevel) {
  for (const std::string_view text : {"[]", "[ ]", " [\n\t\r ] "}) {
    const Scan result = scan(text);
    EXPECT_EQ(result.status, ParseStatus::Ok) << text;
    EXPECT_TRUE(result.levels.empty()) << text;
  }
}

TEST(LevelScanner, WhiteSpaceIsAllowedWhereJsonAllowsIt) {
  const Scan result = scan(" [ \t[\r\n\"1.00\" , \"2\"\n] , [ \"3\",\"4\"]\t]\n");
  EXPECT_EQ(result.status, ParseStatus::Ok);
  EXPECT_EQ(result.levels, (std::vector<PriceLevel>{{100, 200'000'000}, {300, 400'000'000}}));
  for (const std::string_view text : {R"([[" 1","2"]])"sv, R"([["1 ","2"]])"sv, R"([["1. 0","2"]])"sv,
                                      "[[\"1\",\"2\"]\v]"sv, "[[\"1\",\"2\"]\xC2\xA0]"sv}) {
    EXPECT_TRUE(is_error(scan(text).status)) << text;
  }
}

TEST(LevelScanner, NamesWhatIsWrong) {
  const struct {
    std::string_view text;
    ParseStatus status;
  } cases[] = {
      {"", ParseStatus::MalformedFrame},
      {" ", ParseStatus::MalformedFrame},
      {"[", ParseStatus::MalformedFrame},
      {"]", ParseStatus::MalformedFrame},
      {"{}", ParseStatus::MalformedFrame},
      {"null", ParseStatus::MalformedFrame},
      {R"("1")", ParseStatus::MalformedFrame},
      {R"([[]])", ParseStatus::MalformedFrame},
      {R"([["1"]])", ParseStatus::MalformedFrame},
      {R"([["1","2","3"]])", ParseStatus::MalformedFrame},
      {R"([["1","2"],])", ParseStatus::MalformedFrame},
      {R"([,["1","2"]])", ParseStatus::MalformedFrame},
      {R"([["1","2"]["3","4"]])", ParseStatus::MalformedFrame},
      {R"([["1","2",]])", ParseStatus::MalformedFrame},
      {R"([["1""2"]])", ParseStatus::MalformedFrame},
      {R"([["1":"2"]])", ParseStatus::MalformedFrame},
      {R"(["1","2"])", ParseStatus::MalformedFrame},
      {R"([["1","2"]]])", ParseStatus::MalformedFrame},
      {R"([["1","2"]] x)", ParseStatus::MalformedFrame},
      {R"([["1","2"]}])", ParseStatus::MalformedFrame},
      {R"([[1,2]])", ParseStatus::MalformedFrame},
      {R"([[1.5,"2"]])", ParseStatus::MalformedFrame},
      {R"([["1",null]])", ParseStatus::MalformedFrame},
      {R"([[["1","2"]]])", ParseStatus::MalformedFrame},
      {R"([{"p":"1"}])", ParseStatus::MalformedFrame},
      {R"([['1','2']])", ParseStatus::MalformedFrame},
      {R"([["","2"]])", ParseStatus::BadNumber},
      {R"([["1e","2"]])", ParseStatus::BadNumber},
      {R"([["0E-8","2"]])", ParseStatus::BadNumber},
      {R"([["1E-3","2"]])", ParseStatus::InexactNumber},
      {R"([["1","1E11"]])", ParseStatus::NumberOverflow},
      {R"([["\u0031","2"]])", ParseStatus::BadNumber},
      {R"([["1","2\u0030"]])", ParseStatus::BadNumber},
      {R"([["0","2"]])", ParseStatus::BadNumber},
      {R"([["0.00","2"]])", ParseStatus::BadNumber},
      {R"([["-1","2"]])", ParseStatus::BadNumber},
      {R"([["1","-2"]])", ParseStatus::BadNumber},
      {R"([["1)", ParseStatus::BadNumber},
      {R"([["1.001","2"]])", ParseStatus::InexactNumber},
      {R"([["1","0.000000001"]])", ParseStatus::InexactNumber},
      {R"([["92233720368547758.08","2"]])", ParseStatus::NumberOverflow},
      {R"([["1","92233720368.54775808"]])", ParseStatus::NumberOverflow},
      {R"([["99999999999999999999999999999999999999","2"]])", ParseStatus::NumberOverflow},
  };
  for (const auto& c : cases) EXPECT_EQ(scan(c.text).status, c.status) << c.text;
  EXPECT_EQ(scan("[[\"1\0\",\"2\"]]"sv).status, ParseStatus::BadNumber);
}

TEST(LevelScanner, NamesTheNumberThatCannotBeHeld) {
  const struct {
    std::string_view text;
    std::string_view number;
    int exponent;
  } cases[] = {
      {R"([["1.00","2"],["1.001","2"]])", "1.001", -2},
      {R"([["1","0.000000001"]])", "0.000000001", -8},
      {R"([ [ "1.00" , "0.000000001" ] ])", "0.000000001", -8},
      {"[\n[\n\"92233720368547758.08\",\"2\"]]", "92233720368547758.08", -2},
      {R"([["1","92233720369"],["x","2"]])", "92233720369", -8},
      {R"([["1","1E-9"]])", "1E-9", -8},
      {R"([["99999999999999999999999999999999999999999999999999","2"]])",
       "9999999999999999999999999999999999999999999999", -2},  // cut to fit
      {R"([["x","2"]])", "", 0},
      {R"([["1","2"]})", "", 0},
  };
  for (const auto& c : cases) {
    const Scan result = scan(c.text);
    EXPECT_TRUE(is_error(result.status)) << c.text;
    EXPECT_EQ(result.failure.symbol, 3u) << c.text;
    EXPECT_STREQ(result.failure.number, std::string(c.number).c_str()) << c.text;
    EXPECT_EQ(result.failure.exponent, c.exponent) << c.text;
  }
  ParseFailure failure;
  failure.set_number("92233720369.00", -8);
  EXPECT_EQ(describe(ParseStatus::NumberOverflow, failure),
            "92233720369.00 is beyond 92233720368.54775807, the largest number of the exponent -8");
  failure.set_number("0.001", -2);
  EXPECT_EQ(describe(ParseStatus::InexactNumber, failure),
            "0.001 has digits below 0.01, the smallest step of the exponent -2");
  EXPECT_EQ(describe(ParseStatus::MalformedFrame, failure), "");
  EXPECT_EQ(describe(ParseStatus::NumberOverflow, {}), "");
}

TEST(LevelScanner, ANegativeZeroQuantityIsZero) {
  const Scan result = scan(R"([["1","-0.0"]])");
  EXPECT_EQ(result.status, ParseStatus::Ok);
  EXPECT_EQ(result.levels, (std::vector<PriceLevel>{{100, 0}}));
}

TEST(LevelScanner, APowerOfTenIsReadExactly) {
  const Scan result = scan(R"([["1","0E-8"],["2.5e1","1.50E2"],["300E-2","1E-8"]])");
  EXPECT_EQ(result.status, ParseStatus::Ok);
  EXPECT_EQ(result.levels, (std::vector<PriceLevel>{{100, 0}, {2500, 15'000'000'000}, {300, 1}}));
}

// Compact levels are read many at a time where exponents are -8 or coarser; what comes of it is what each
// number alone is read as.
TEST(LevelScanner, AnyExponentsReadAsNumberByNumber) {
  std::mt19937_64 random(20'261'127);
  const auto below = [&](int n) { return static_cast<int>(random() % static_cast<unsigned>(n)); };
  std::map<ParseStatus, int> outcomes;
  for (int round = 0; round < 4'000; ++round) {
    Instrument instrument = kInstrument;
    instrument.price_exponent = static_cast<std::int8_t>(below(12) - 10);
    instrument.quantity_exponent = static_cast<std::int8_t>(below(14) - 10);
    const auto number = [&](int exponent) {
      // Now and then one digit too fine for the exponent, or more digits than are read at once.
      const int finer = below(400) == 0 ? 1 : 0;
      const int decimals = std::max(-exponent + finer - below(3), 0);
      const std::string zeros(static_cast<std::size_t>(std::max(exponent - finer, 0)), '0');
      std::string text = std::to_string(1 + random() % (below(50) == 0 ? 10'000'000'000 : 9'999)) + zeros;
      if (decimals > 0) text += '.';
      for (int i = 0; i < decimals; ++i) text += static_cast<char>('0' + below(10));
      return text + (decimals > 0 ? std::string(static_cast<std::size_t>(below(3)), '0') : "");
    };
    ParseStatus wanted = ParseStatus::Ok;
    std::vector<PriceLevel> levels;
    std::string text = "[";
    for (int left = below(round % 10 == 0 ? 700 : 12); left > 0; --left) {
      PriceLevel level{};
      const std::string price = number(instrument.price_exponent);
      const std::string quantity = below(3) == 0 ? "0.000" : number(instrument.quantity_exponent);
      text += (text.size() > 1 ? ",[\"" : "[\"") + price + (below(200) == 0 ? "\", \"" : "\",\"") + quantity +
              "\"]";
      if (wanted != ParseStatus::Ok) continue;
      wanted = to_parse_status(parse_decimal(price, instrument.price_exponent, level.price));
      if (wanted == ParseStatus::Ok && level.price == 0) wanted = ParseStatus::BadNumber;
      if (wanted == ParseStatus::Ok)
        wanted = to_parse_status(parse_decimal(quantity, instrument.quantity_exponent, level.quantity));
      if (wanted == ParseStatus::Ok) levels.push_back(level);
    }
    std::vector<char> buffer(text.begin(), text.end());
    buffer.push_back(']');
    buffer.insert(buffer.end(), kFramePadding, '\0');
    const Scan result = scan_in({buffer.data(), text.size() + 1}, instrument);
    ASSERT_EQ(result.status, wanted) << "round " << round << ": " << text;
    if (wanted == ParseStatus::Ok) {
      ASSERT_EQ(result.levels, levels) << text;
    }
    ++outcomes[wanted];
  }
  EXPECT_GT(outcomes[ParseStatus::Ok], 2'000);
  EXPECT_GT(outcomes[ParseStatus::InexactNumber], 50);
}

TEST(LevelScanner, TruncatedAnywhereIsAnError) {
  for (std::size_t size = 0; size < kValid.size(); ++size) {
    for (const char behind : {'\0', '0', '9', '"', ']', ' '}) {
      EXPECT_TRUE(is_error(scan(kValid.substr(0, size), behind).status)) << kValid.substr(0, size);
    }
    // What an earlier, longer frame left behind the end: the rest of a valid text.
    std::vector<char> buffer(kValid.begin(), kValid.end());
    buffer.insert(buffer.end(), kFramePadding, '\0');
    EXPECT_TRUE(is_error(scan_in({buffer.data(), size}).status)) << kValid.substr(0, size);
  }
}

TEST(LevelScanner, AnyByteChangedReadsAsAnIndependentReaderReadsIt) {
  constexpr std::string_view kNasty = "\0\x01\t\n\r \"'\\,.:;-+/0189eEx[]{}()\x7F\x80\xC3\xFF"sv;
  for (std::size_t at = 0; at < kValid.size(); ++at) {
    for (const char nasty : kNasty) {
      std::string text(kValid);
      text[at] = nasty;
      expect_as_model(text);
    }
  }
}

TEST(LevelScanner, AnyByteInsertedOrRemovedReadsAsAnIndependentReaderReadsIt) {
  constexpr std::string_view kNasty = "\0\n \"\\,.-0[]{}"sv;
  for (std::size_t at = 0; at < kValid.size(); ++at) {
    std::string shorter(kValid);
    expect_as_model(shorter.erase(at, 1));
    for (const char nasty : kNasty) {
      std::string longer(kValid);
      expect_as_model(longer.insert(at, 1, nasty));
    }
  }
}

// Levels of every shape, read by the scanner and, as a tree of JSON values, by an independent reader.
struct Shaped {
  const char* about;
  LevelShape shape;
  std::string_view example;
};
const Shaped kShapes[] = {
    {"pairs of numbers", {}, R"([[43.5,7.00000001],[ 43.49 , 0 ],[1e-2,1.805E2]])"},
    {"longer tuples of strings",
     {},
     R"([["43.5","7","0","4"],["43.49","0","0","0"],["0.01","180.5","",null]])"},
    {"an action in front", {1, 2}, R"([["new",43.5,7.0],["delete",43.49,0.0],["cha]n\"ge",0.01,180.5]])"},
    {"quantity in front", {2, 0}, R"([["7",true,"43.5"],["0",false,"43.49"]])"},
    {"objects of strings",
     {0, 1, "px", "sz"},
     R"([{"px":"43.5","sz":"7","n":3},{"n":1,"sz":"0","px":"43.49"}])"},
    {"objects of numbers",
     {0, 1, "price", "qty"},
     R"([{"price":43.50,"qty":7.00000000},{ "qty" : 180.5 , "price" : 0.01 , "x" : "},{" }])"},
    {"objects with mixed numbers", {0, 1, "p", "s"}, R"([{"p":"43.5","s":100},{"p":"0.1","s":0}])"},
};

Scan scan_shaped(std::string_view text, const LevelShape& shape, char behind = '\0') {
  std::vector<char> buffer(text.begin(), text.end());
  buffer.insert(buffer.end(), kFramePadding - 1, behind);
  buffer.push_back('\0');
  CollectingSink sink;
  const MessageHeader header{};
  LevelWriter writer(sink, header);
  Scan result;
  result.status = scan_levels({buffer.data(), text.size()}, shape, kInstrument, writer, result.failure);
  writer.finish();
  result.levels = join_chunks(sink.messages).bids;
  return result;
}

std::optional<std::vector<PriceLevel>> read_shaped(std::string_view text, const LevelShape& shape) {
  return strict::read_levels(text, shape, kInstrument);
}

// Whether a level has a part that holds other values.
bool holds_nested(std::string_view text, const LevelShape& shape) {
  const auto tree = strict::Reader(text).read();
  const auto nests = [](const strict::Value& part) {
    return part.type == strict::Value::Type::Array || part.type == strict::Value::Type::Object;
  };
  for (const strict::Value& level : tree->elements) {
    for (const strict::Value& part : level.elements) {
      if (nests(part)) return true;
    }
    for (const auto& member : level.members) {
      if (nests(member.second)) return true;
      // A key that is written with an escape is another key to the scanner.
      if (member.first == shape.price_key && text.find('\\') != std::string_view::npos) return true;
    }
  }
  return false;
}

TEST(LevelShapes, EachIsReadInOrder) {
  const std::vector<PriceLevel> first_two{{4350, 700'000'000}, {4349, 0}};
  for (const Shaped& shaped : kShapes) {
    const Scan result = scan_shaped(shaped.example, shaped.shape);
    EXPECT_EQ(result.status, ParseStatus::Ok) << shaped.about;
    EXPECT_EQ(result.levels, read_shaped(shaped.example, shaped.shape)) << shaped.about;
    EXPECT_EQ(result.levels.front().price, 4350) << shaped.about;
    EXPECT_TRUE(scan_shaped(" [ ] ", shaped.shape).levels.empty()) << shaped.about;
    EXPECT_EQ(scan_shaped("[]", shaped.shape).status, ParseStatus::Ok) << shaped.about;
  }
  EXPECT_EQ(scan_shaped(R"([["new",43.5,7.0],["delete",43.49,0.0]])", {1, 2}).levels, first_two);
}

TEST(LevelShapes, NamesWhatIsWrong) {
  const LevelShape object{0, 1, "p", "s"};
  const struct {
    std::string_view text;
    LevelShape shape;
    ParseStatus status;
  } cases[] = {
      {R"([[1]])", {}, ParseStatus::MalformedFrame},
      {R"([])x", {}, ParseStatus::MalformedFrame},
      {R"([[1,2]] ])",
       {},
       ParseStatus::MalformedFrame},
      {R"([[1,2,]])", {}, ParseStatus::MalformedFrame},
      {R"([[1,2,[3]]])", {}, ParseStatus::MalformedFrame},
      {R"([[1,2,{}]])", {}, ParseStatus::MalformedFrame},
      {R"([["new",1]])", {1, 2}, ParseStatus::MalformedFrame},
      {R"([[null,2]])", {}, ParseStatus::MalformedFrame},
      {R"([[true,2]])", {}, ParseStatus::MalformedFrame},
      {R"([[,2]])", {}, ParseStatus::MalformedFrame},
      {R"([[1 2]])", {}, ParseStatus::MalformedFrame},
      {R"([[01,2]])", {}, ParseStatus::BadNumber},
      {R"([[1.,2]])", {}, ParseStatus::BadNumber},
      {R"([[1x,2]])", {}, ParseStatus::BadNumber},
      {R"([[1"2"]])", {}, ParseStatus::BadNumber},
      {R"([[0,2]])", {}, ParseStatus::BadNumber},
      {R"([[1,-2]])", {}, ParseStatus::BadNumber},
      {R"([["1,2"]])", {}, ParseStatus::BadNumber},
      {R"([[1.001,2]])", {}, ParseStatus::InexactNumber},
      {R"([[1,1e11]])", {}, ParseStatus::NumberOverflow},
      {R"([{"p":1}])", object, ParseStatus::MalformedFrame},
      {R"([{"s":1}])", object, ParseStatus::MalformedFrame},
      {R"([{}])", object, ParseStatus::MalformedFrame},
      {R"([[1,2]])", object, ParseStatus::MalformedFrame},
      {R"([{"p":1,"s":2}])", {}, ParseStatus::MalformedFrame},
      {R"([{"p":1,"s":2,"p":1}])", object, ParseStatus::MalformedFrame},
      {R"([{"p":1,"s":2,"s":2}])", object, ParseStatus::MalformedFrame},
      {R"([{"p":1,"s":2,}])", object, ParseStatus::MalformedFrame},
      {R"([{"p":1,"s":2,"n":[]}])", object, ParseStatus::MalformedFrame},
      {R"([{"p" 1,"s":2}])", object, ParseStatus::MalformedFrame},
      {R"([{p:1,"s":2}])", object, ParseStatus::MalformedFrame},
      {R"([{"p":1,"s":2])", object, ParseStatus::MalformedFrame},
  };
  for (const auto& c : cases) EXPECT_EQ(scan_shaped(c.text, c.shape).status, c.status) << c.text;
}

TEST(LevelShapes, NamesTheNumberThatCannotBeHeld) {
  const LevelShape object{0, 1, "p", "s"};
  const struct {
    std::string_view text;
    LevelShape shape;
    std::string_view number;
    int exponent;
  } cases[] = {
      {R"([[1.00,2],[1.001,2]])", {}, "1.001", -2},
      {R"([[1,1e-9]])", {}, "1e-9", -8},
      {R"([["7",true,"0.001"]])", {2, 0}, "0.001", -2},
      {R"([{"s":"0.000000001","p":1}])", object, "0.000000001", -8},
      {R"([{"s": 1, "p": 92233720368547758.08 }])", object, "92233720368547758.08", -2},
      {R"([{"p":x,"s":1}])", object, "", 0},
  };
  for (const auto& c : cases) {
    const Scan result = scan_shaped(c.text, c.shape);
    EXPECT_TRUE(is_error(result.status)) << c.text;
    EXPECT_EQ(result.failure.symbol, 3u) << c.text;
    EXPECT_STREQ(result.failure.number, std::string(c.number).c_str()) << c.text;
    EXPECT_EQ(result.failure.exponent, c.exponent) << c.text;
  }
}

// A text must be read as the independent reader reads it. What stands in a string that is passed over is not
// looked at: where only that is wrong the levels are those of the text before its change.
TEST(LevelShapes, AnyByteChangedInsertedOrRemovedReadsAsAnIndependentReaderReadsIt) {
  constexpr std::string_view kNasty = "\0\x01\t\n \"'\\,.:-+/019eEx[]{}\x80"sv;
  int read = 0, refused = 0;
  const auto compare = [&](const std::string& text, const Shaped& shaped) {
    const auto wanted = read_shaped(text, shaped.shape);
    const auto before = read_shaped(shaped.example, shaped.shape);
    for (const char behind : {'\0', '0', '"', ']', '}'}) {
      const Scan result = scan_shaped(text, shaped.shape, behind);
      if (result.status == ParseStatus::Ok) {
        EXPECT_EQ(result.levels, wanted ? *wanted : *before) << shaped.about << ": " << text;
      } else {
        // A nested value is refused even where it would be passed over.
        EXPECT_TRUE(!wanted || holds_nested(text, shaped.shape)) << shaped.about << ": " << text;
      }
      ++(result.status == ParseStatus::Ok ? read : refused);
    }
  };
  for (const Shaped& shaped : kShapes) {
    for (std::size_t at = 0; at < shaped.example.size(); ++at) {
      std::string shorter(shaped.example);
      compare(shorter.erase(at, 1), shaped);
      for (const char nasty : kNasty) {
        std::string changed(shaped.example), longer(shaped.example);
        changed[at] = nasty;
        compare(changed, shaped);
        compare(longer.insert(at, 1, nasty), shaped);
      }
    }
    for (std::size_t size = 0; size < shaped.example.size(); ++size) {
      for (const char behind : {'\0', '0', '9', '"', ']', '}', ' '}) {
        EXPECT_TRUE(is_error(scan_shaped(shaped.example.substr(0, size), shaped.shape, behind).status))
            << shaped.about << ": " << shaped.example.substr(0, size);
      }
    }
  }
  EXPECT_GT(read, 1'000);
  EXPECT_GT(refused, 10'000);
}

}  // namespace
}  // namespace mdp::core
