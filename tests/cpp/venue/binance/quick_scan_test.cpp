// Two readings of one frame: with the quick scan, and with the general one alone. They must come to the same;
// and the frames venues send must be read by the quick one.
//
// The general reading of any frame is had from the parser itself: white space in front of a frame is nothing
// to JSON and too much for the quick scan.
#include "mdp/venue/binance/quick_scan.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <random>
#include <string>
#include <vector>

#include "venue/binance/mutator.hpp"
#include "venue/binance/support.hpp"

namespace mdp::venue::binance {
namespace {

using core::ParseStatus;

class BinanceQuickScan : public ParserFixture, public testing::WithParamInterface<VenueCase> {
 protected:
  BinanceQuickScan() : ParserFixture(GetParam().family) {
    // The exponents of the venue's instruments, which the quick reading of numbers is made for.
    for (const auto& [symbol, id] : {std::pair<const char*, core::SymbolId>{"BTCUSDT", kBtcUsdt},
                                     {"BUSDTRY", kBusdTry},
                                     {"DOTUSDT", kDotUsdt},
                                     {"BTCUSD_PERP", kBtcUsdPerp}}) {
      symbols.add(make_instrument(symbol, id));
    }
  }

  struct Reading {
    ParseStatus status;
    std::vector<core::NormalizedMessage> messages;
  };
  Reading read(const std::string& text, std::string_view behind) {
    const ParseStatus status = parse(text, behind);
    return {status, sink.messages};
  }

  // True where both read it.
  bool compare(const std::string& text, std::string_view behind = {}) {
    const Reading quick = read(text, behind);
    const Reading general = read(' ' + text, behind);
    EXPECT_EQ(quick.status, general.status) << text;
    // Leading chunks in front of an Invalidate count for nothing: one reading may have begun sooner.
    const std::size_t skipped = core::is_error(quick.status) && !quick.messages.empty()
                                    ? quick.messages.size() - general.messages.size()
                                    : 0;
    EXPECT_EQ(quick.messages.size() - skipped, general.messages.size()) << text;
    if (testing::Test::HasFailure()) return false;
    for (std::size_t i = 0; i < general.messages.size(); ++i) {
      const core::NormalizedMessage& a = quick.messages[i + skipped];
      const core::NormalizedMessage& b = general.messages[i];
      EXPECT_EQ(a.used_bytes(), b.used_bytes()) << text;
      EXPECT_EQ(std::memcmp(&a, &b, a.used_bytes()), 0) << text;
    }
    if (core::is_error(quick.status)) {
      for (const core::NormalizedMessage& message : quick.messages) {
        EXPECT_FALSE(message.has(core::kLast) && message.header.update_type == core::UpdateType::Delta);
      }
    }
    return quick.status == ParseStatus::Ok;
  }
};
INSTANTIATE_TEST_SUITE_P(Venues, BinanceQuickScan, testing::ValuesIn(venue_cases()), case_name);

// A delta of `levels` levels with numbers of all lengths.
std::string random_delta(std::mt19937_64& random, const VenueCase& venue, std::size_t levels) {
  const auto number = [&](bool may_be_zero) {
    std::string text = std::to_string(random() % (random() % 2 ? 100 : 100'000'000));
    if (const std::uint64_t decimals = random() % 10; decimals != 0) {
      text += '.';
      for (std::uint64_t i = 0; i < decimals; ++i)
        text += static_cast<char>('0' + (i < 8 ? random() % 10 : 0));
    }
    return may_be_zero || text.find_first_of("123456789") != std::string::npos ? text : std::string("1");
  };
  const auto side = [&](std::size_t count) {
    std::string text = "[";
    for (std::size_t i = 0; i < count; ++i) {
      text.append(i ? "," : "").append("[\"").append(number(false)).append("\",\"");
      text.append(number(true)).append("\"]");
    }
    return text + ']';
  };
  const std::string frame = payload(venue.depth, venue.folder);
  const std::size_t split = random() % (levels + 1);
  return frame.substr(0, frame.find("\"b\":") + 4) + side(split) + ",\"a\":" + side(levels - split) + "}}";
}

TEST_P(BinanceQuickScan, AgreesOnFramesAsTheVenueSendsThem) {
  for (const std::string& text : frames_of(GetParam())) compare(text);
  std::mt19937_64 random(from_environment("MDP_TEST_SEED", 1));
  for (const std::size_t levels : {0, 1, 2, 7, 40, 255, 256, 257, 600}) {
    for (int i = 0; i < 20; ++i) EXPECT_TRUE(compare(random_delta(random, GetParam(), levels))) << levels;
  }
}

// Bids where the quick scan comes through a delta whose arrays somebody else reads.
QuickScan::Stop quick_stop(const std::string& text) {
  const Frame frame(text);
  Fields fields;
  fields.reset();
  QuickScan scan(frame.raw().data, frame.raw().size, fields);
  const QuickScan::Stop stop = scan.begin();
  if (stop != QuickScan::Stop::Bids) return stop;
  const auto behind_array = [&] {
    const std::string_view rest = frame.text().substr(static_cast<std::size_t>(scan.at() - frame.raw().data));
    return scan.at() + (rest.starts_with("[]") ? 2 : rest.find("]]") + 2);
  };
  scan.go_on(behind_array());
  if (!scan.asks_follow()) return QuickScan::Stop::Unusual;
  scan.go_on(behind_array());
  return scan.ends() ? QuickScan::Stop::Bids : QuickScan::Stop::Unusual;
}

TEST_P(BinanceQuickScan, ReadsWhatTheVenueSends) {
  const VenueCase& venue = GetParam();
  std::mt19937_64 random(2);
  for (const std::size_t levels : {0, 1, 2, 40}) {
    const std::string delta = random_delta(random, venue, levels);
    EXPECT_EQ(quick_stop(delta), QuickScan::Stop::Bids) << delta;
    EXPECT_EQ(quick_stop(raw_framing(delta)), QuickScan::Stop::Bids) << delta;
  }
  for (const std::string& name : {venue.trade, venue.aggregate, venue.quote}) {
    EXPECT_EQ(quick_stop(payload(name, venue.folder)), QuickScan::Stop::End) << name;
    EXPECT_EQ(quick_stop(raw_framing(payload(name, venue.folder))), QuickScan::Stop::End) << name;
  }
}

// Keys in another order, keys nobody knows and keys behind the levels, as they come and go over the years.
TEST_P(BinanceQuickScan, AgreesOnMembersInOtherPlaces) {
  std::mt19937_64 random(4);
  const std::string delta = random_delta(random, GetParam(), 5);
  const auto with = [&](std::string_view at, std::string_view inserted) {
    std::string text = delta;
    text.insert(text.find(at), inserted);
    return text;
  };
  const auto behind = [&](std::string_view members) { return with("}}", members); };
  const struct {
    std::string text;
    bool quick;
  } cases[] = {
      {with("\"e\":", "\"st\":1,"), true},
      {with("\"s\":", "\"x\":\"y\",\"st\":1,"), true},
      {with("\"U\":", "\"z\":true,"), true},
      {with("\"b\":", "\"nq\":\"1.5\","), true},
      {with("\"b\":", "\"y\":[1],"), false},
      {behind(",\"st\":1"), true},
      {behind(",\"st\":1,\"ps\":\"BTCUSDT\""), true},
      {behind(",\"y\":7"), false},
      {behind(",\"T\":1723161255300"), false},
      {behind(",\"E\":1723161255300"), false},
      {behind(",\"pu\":5"), false},
      {behind(",\"id\":5"), false},
      {behind(",\"b\":[]"), false},
      {behind(",\"a\":\"1\""), false},
      {behind(","), false},
      {with("\"b\":", "\"a\":\"1\","), false},
      {with("\"b\":", "\"a\":[],"), false},
      {with("\"b\":", "\"b\":7,"), false},
      {with("\"b\":", "\"s\":\"DOTUSDT\","), false},
  };
  for (const auto& c : cases) {
    EXPECT_EQ(quick_stop(c.text) == QuickScan::Stop::Bids, c.quick) << c.text;
    compare(c.text);
  }
  // The members in front of the levels, in every order.
  const std::size_t begin = delta.find("\"e\":");
  std::vector<std::string> members;
  for (std::size_t at = begin, end = 0; at < delta.find("\"b\":"); at = end + 1) {
    end = delta.find(',', at);
    members.push_back(delta.substr(at, end + 1 - at));
  }
  std::shuffle(members.begin(), members.end(), random);
  for (int round = 0; round < 300; ++round) {
    std::string text = delta.substr(0, begin);
    for (const std::string& member : members) text += member;
    text += delta.substr(delta.find("\"b\":"));
    EXPECT_EQ(quick_stop(text), QuickScan::Stop::Bids) << text;
    EXPECT_TRUE(compare(text));
    std::shuffle(members.begin(), members.end(), random);
  }
}

TEST_P(BinanceQuickScan, AgreesOnDamagedFrames) {
  const std::uint64_t seed = from_environment("MDP_TEST_SEED", 20'261'122);
  const std::uint64_t rounds = from_environment("MDP_TEST_ROUNDS", 100'000);
  std::mt19937_64 random(seed);
  std::vector<std::string> frames = frames_of(GetParam());
  for (const std::size_t levels : {1, 3, 8}) frames.push_back(random_delta(random, GetParam(), levels));
  Mutator mutator(frames, seed);
  std::uint64_t read = 0;
  for (std::uint64_t round = 0; round < rounds && !HasFailure(); ++round) {
    const std::string text = mutator.next();
    SCOPED_TRACE(::testing::Message() << "seed " << seed << " round " << round << ": " << text);
    read += compare(text, mutator.behind());
  }
  EXPECT_GT(read, rounds / 50);
}

// A string that hides the last brace, with what could complete the frame, and more, behind it.
TEST_P(BinanceQuickScan, DoesNotGoOnInThePadding) {
  std::mt19937_64 random(5);
  const std::string whole = random_delta(random, GetParam(), 1);
  for (std::size_t size = 1; size < whole.size(); ++size) {
    for (const char* last : {"}", "}}", "\"}", "1}"}) {
      const std::string text = whole.substr(0, size) + last;
      compare(text, std::string_view(whole).substr(size));
      compare(text, std::string(core::kFramePadding, '7'));
      compare(text, "\",\"U\":999999999999999,\"u\":999999999999999,\"pu\":9999999999999,");
    }
  }
}

// Chunks have gone into the sink when the damage is met.
TEST_P(BinanceQuickScan, AgreesOnDamageBehindManyLevels) {
  const std::uint64_t seed = from_environment("MDP_TEST_SEED", 20'261'122);
  std::mt19937_64 random(seed);
  std::vector<std::string> frames;
  for (int i = 0; i < 3; ++i) frames.push_back(random_delta(random, GetParam(), 700));
  Mutator mutator(frames, seed);
  std::uint64_t abandoned = 0;
  for (int round = 0; round < 3'000 && !HasFailure(); ++round) {
    const std::string text = mutator.next();
    SCOPED_TRACE(::testing::Message() << "seed " << seed << " round " << round);
    compare(text, mutator.behind());
    parse(text);
    abandoned +=
        sink.messages.size() > 1 && sink.messages.back().header.update_type == core::UpdateType::Invalidate;
  }
  EXPECT_GT(abandoned, 100u);
  // White space between the last brackets of a side hides its end from the quick scan.
  const std::string whole = frames[0];
  std::string text = whole;
  text.insert(text.find("]]") + 1, " ");
  EXPECT_TRUE(compare(text));
}

TEST_P(BinanceQuickScan, AgreesOnEveryTruncation) {
  std::mt19937_64 random(3);
  const std::string whole = random_delta(random, GetParam(), 3);
  for (std::size_t size = 0; size < whole.size(); ++size) {
    compare(whole.substr(0, size), std::string_view(whole).substr(size));
  }
}

}  // namespace
}  // namespace mdp::venue::binance
