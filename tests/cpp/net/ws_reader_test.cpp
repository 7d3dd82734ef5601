#include "mdp/net/ws_reader.hpp"

#include <gtest/gtest.h>

#include <random>

#include "net/ws_encode.hpp"
#include "net/ws_reference.hpp"

namespace mdp::net::test {

void PrintTo(const WsTold& told, std::ostream* out) {
  const char* const names[] = {"message", "ping", "close", "need bytes", "need buffer", "error"};
  *out << names[static_cast<std::size_t>(told.event)] << " '" << told.payload.substr(0, 40) << "' of "
       << told.payload.size() << (told.binary ? " binary" : "") << " code " << told.close_code << " "
       << to_string(told.error);
}

namespace {

using namespace std::string_view_literals;
using Event = WsReader::Event;

FramePoolOptions small_pool(std::size_t frame_count = 2, std::size_t frame_bytes = 16,
                            std::size_t max_frame_bytes = 1'000) {
  return {frame_count, frame_bytes, max_frame_bytes, ReleaseFrom::SameThread};
}

WsTold message(std::string payload, bool binary = false) {
  return {.event = Event::Message, .payload = std::move(payload), .binary = binary};
}
WsTold ping(std::string payload) { return {.event = Event::Ping, .payload = std::move(payload)}; }
WsTold close(unsigned code, std::string words = "") {
  return {.event = Event::Close, .payload = std::move(words), .close_code = code};
}
WsTold error(WsStatus status) { return {.event = Event::Error, .error = status}; }
const WsTold kNeedBytes{.event = Event::NeedBytes};

// Whole, cut in two at every position, and in pieces of every size; with a stage that holds one control frame
// and one that holds all. Every buffer comes back, and nothing that was handed over changes afterwards.
void expect_at_every_cut(std::string_view wire, const std::vector<WsTold>& expected,
                         const FramePoolOptions& options = small_pool()) {
  ASSERT_EQ(read_at_once(wire, options.max_frame_bytes), expected) << "the reference itself";
  for (const std::size_t stage_bytes : {WsReader::kMinStageBytes, std::size_t{20 * 1024}}) {
    const auto check = [&](const std::function<std::size_t(std::size_t)>& cut, std::size_t where) {
      WsFeeder feeder(options, stage_bytes);
      ASSERT_EQ(feeder.read(wire, cut), expected) << "cut " << where << ", stage of " << stage_bytes;
      ASSERT_TRUE(feeder.all_back()) << "cut " << where;
      ASSERT_EQ(feeder.faults, 0u) << "cut " << where;
    };
    for (std::size_t first = 1; first <= wire.size(); ++first) {
      check([&](std::size_t left) { return left == wire.size() ? first : left; }, first);
      check([&](std::size_t) { return first; }, first);
    }
  }
}

TEST(WsReader, EveryKindOfFrameCutAtEveryPosition) {
  const std::string long_text(126, 't');
  const std::string longer(700, 'b');
  expect_at_every_cut(encode_frame(1, "text") + encode_frame(2, "\xFF\xFE") + encode_frame(1, "") +
                          encode_frame(9, "ping") + encode_frame(10, "unasked") + encode_frame(2, "") +
                          encode_frame(1, long_text) + encode_frame(9, "") + encode_frame(2, longer) +
                          encode_frame(9, std::string(125, 'p')) + encode_frame(8, "\x03\xE9going away") +
                          encode_frame(1, "behind the end"),
                      {message("text"), message("\xFF\xFE", true), message(""), ping("ping"),
                       message("", true), message(long_text), ping(""), message(longer, true),
                       ping(std::string(125, 'p')), close(1001, "going away")});
}

TEST(WsReader, FragmentsWithControlFramesBetweenThemCutAtEveryPosition) {
  expect_at_every_cut(encode_frame(1, "one ", false) + encode_frame(9, "between") +
                          encode_frame(0, "", false) + encode_frame(10, "pong") +
                          encode_frame(0, "two ", false) + encode_frame(9, "again") +
                          encode_frame(0, "\xE2\x82", false) + encode_frame(0, "\xAC") +
                          encode_frame(2, "", false) + encode_frame(0, "", false) + encode_frame(0, "") +
                          encode_frame(2, "\xFF", false) + encode_frame(9, "") + encode_frame(0, "\x00"sv) +
                          encode_frame(1, "unfinished", false) + encode_frame(9, "last"),
                      {ping("between"), ping("again"), message("one two \xE2\x82\xAC"), message("", true),
                       ping(""), message(std::string("\xFF\x00", 2), true), ping("last"), kNeedBytes});
}

TEST(WsReader, CloseIsTheLastThingTold) {
  expect_at_every_cut(encode_frame(8, ""), {close(1005)});
  expect_at_every_cut(encode_frame(8, "\x03\xF0"), {close(1008)});
  expect_at_every_cut(encode_frame(1, "half", false) + encode_frame(8, "\x03\xE8" + std::string(123, 'w')),
                      {close(1000, std::string(123, 'w'))});
  WsFeeder feeder(small_pool(), WsReader::kMinStageBytes);
  const auto at_once = [](std::size_t left) { return left; };
  feeder.read(encode_frame(8, "\x03\xE8") + encode_frame(1, "behind"), at_once);
  EXPECT_EQ(feeder.read("", at_once), std::vector<WsTold>{close(1000)});
}

struct Illegal {
  const char* name;
  std::string bytes;
  WsStatus error;
};

class WsReaderRefuses : public testing::TestWithParam<Illegal> {};

// Whatever is whole before it is told, and the error is the same wherever the bytes are cut.
TEST_P(WsReaderRefuses, AtEveryCutAndForGood) {
  const auto& [name, bytes, status] = GetParam();
  const std::string wire = encode_frame(1, "whole") + encode_frame(9, "p") + bytes;
  expect_at_every_cut(wire + encode_frame(1, "behind"), {message("whole"), ping("p"), error(status)});
  WsFeeder feeder(small_pool(), WsReader::kMinStageBytes);
  const auto at_once = [](std::size_t left) { return left; };
  feeder.read(wire, at_once);
  EXPECT_EQ(feeder.read("", at_once), std::vector<WsTold>{error(status)});
  EXPECT_STRNE(to_string(status), "unknown");
}

std::string bytes_of(std::string_view bytes) { return std::string(bytes); }
std::string text_of(std::string_view bytes) { return encode_frame(1, bytes); }

INSTANTIATE_TEST_SUITE_P(
    Kinds, WsReaderRefuses,
    testing::Values(
        Illegal{"Rsv1", bytes_of("\xC1\x01x"), WsStatus::ReservedBits},
        Illegal{"Rsv2", bytes_of("\xA2\x01x"), WsStatus::ReservedBits},
        Illegal{"Rsv3OfAPing", bytes_of("\x99\x00"sv), WsStatus::ReservedBits},
        Illegal{"Opcode3", bytes_of("\x83\x00"sv), WsStatus::ReservedOpcode},
        Illegal{"Opcode7InFragments", bytes_of("\x07\x01x"), WsStatus::ReservedOpcode},
        Illegal{"Opcode11", bytes_of("\x8B\x00"sv), WsStatus::ReservedOpcode},
        Illegal{"Opcode15", bytes_of("\x8F\x00"sv), WsStatus::ReservedOpcode},
        Illegal{"MaskedText", bytes_of("\x81\x81mask!"), WsStatus::Masked},
        Illegal{"MaskedPing", bytes_of("\x89\x80mask"), WsStatus::Masked},
        Illegal{"Length125InTwoBytes", bytes_of("\x81\x7E\x00\x7D"sv), WsStatus::BadLength},
        Illegal{"Length65535InEightBytes", bytes_of("\x82\x7F\x00\x00\x00\x00\x00\x00\xFF\xFF"sv),
                WsStatus::BadLength},
        Illegal{"LengthOf64Bits", bytes_of("\x82\x7F\x80\x00\x00\x00\x00\x00\x00\x00"sv),
                WsStatus::BadLength},
        Illegal{"PingInFragments", bytes_of("\x09\x00"sv), WsStatus::BadControl},
        Illegal{"CloseInFragments", bytes_of("\x08\x00"sv), WsStatus::BadControl},
        Illegal{"PongOf126", encode_frame(10, std::string(126, 'x')), WsStatus::BadControl},
        Illegal{"ContinuationOfNothing", encode_frame(0, "x"), WsStatus::NoMessage},
        Illegal{"ContinuationOfNothingInFragments", encode_frame(0, "x", false), WsStatus::NoMessage},
        Illegal{"TextInText", encode_frame(1, "x", false) + encode_frame(1, "y"), WsStatus::MessageInMessage},
        Illegal{"BinaryInEmptyText", encode_frame(1, "", false) + encode_frame(2, "y", false),
                WsStatus::MessageInMessage},
        Illegal{"CloseOfOneByte", encode_frame(8, "x"), WsStatus::BadClose},
        Illegal{"Utf8CutByTheEnd", text_of("\xE2\x82"), WsStatus::NotUtf8},
        Illegal{"Utf8CutByTheEndOfFragments", encode_frame(1, "\xE2", false) + encode_frame(0, "\x82"),
                WsStatus::NotUtf8},
        Illegal{"Utf8LongerThanNeeded", text_of("\xC0\xAF"), WsStatus::NotUtf8},
        Illegal{"Utf8Surrogate", text_of("\xED\xA0\x80"), WsStatus::NotUtf8},
        Illegal{"Utf8AboveTheLast", text_of(std::string(40, 'x') + "\xF4\x90\x80\x80"), WsStatus::NotUtf8},
        Illegal{"OneByteTooLong", encode_frame(1, std::string(1'001, 'x')), WsStatus::TooLarge},
        Illegal{"Length63Bits", bytes_of("\x82\x7F\x7F\xFF\xFF\xFF\xFF\xFF\xFF\xFF"), WsStatus::TooLarge},
        Illegal{"FragmentsTogetherTooLong",
                encode_frame(2, std::string(600, 'x'), false) + encode_frame(0, std::string(401, 'x')),
                WsStatus::TooLarge}),
    [](const auto& param) { return std::string(param.param.name); });

TEST(WsReader, MessageOfTheMaximumPassesWholeAndInFragments) {
  const std::string most(1'000, 'x');
  expect_at_every_cut(encode_frame(1, most) + encode_frame(2, most.substr(600), false) +
                          encode_frame(0, most.substr(400)) + encode_frame(0, ""),
                      {message(most), message(most, true), error(WsStatus::NoMessage)}, small_pool(2, 16));
}

TEST(WsReader, LengthsOfEveryFormArriveWhole) {
  std::string wire;
  std::vector<WsTold> expected;
  for (const std::size_t bytes : {0U, 1U, 125U, 126U, 127U, 20'479U, 20'480U, 65'535U, 65'536U, 300'000U}) {
    const bool binary = bytes % 2 == 0;
    expected.push_back(message(std::string(bytes, static_cast<char>('a' + bytes % 26)), binary));
    wire += encode_frame(binary ? 2 : 1, expected.back().payload) + encode_frame(10, "");
  }
  expected.push_back(kNeedBytes);
  ASSERT_EQ(read_at_once(wire, 1 << 20), expected);
  for (std::uint64_t seed = 0; seed < 40; ++seed) {
    std::mt19937_64 random(seed);
    WsFeeder feeder(small_pool(3, 1'000, 1 << 20), seed % 2 == 0 ? 20 * 1024 : 1'000);
    const std::size_t longest = std::size_t{1} << (4 + random() % 16);
    ASSERT_EQ(feeder.read(wire, [&](std::size_t) { return random() % longest; }), expected) << seed;
    EXPECT_TRUE(feeder.all_back());
    EXPECT_EQ(feeder.faults, 0u);
    EXPECT_GE(feeder.grown.get(), 9u);  // 1,000 bytes to 512,000
  }
}

// Frames as likely as venues and faults make them, cut anywhere: what the fuzzer does, for a moment.
TEST(WsReader, RandomFramesAgreeWithTheReference) {
  std::size_t broken = 0;
  for (std::uint64_t seed = 0; seed < 20'000; ++seed) {
    std::mt19937_64 random(seed);
    std::string wire;
    for (std::size_t n = random() % 12; n > 0; --n) {
      const int opcodes[] = {0, 0, 1, 1, 2, 2, 9, 10, 9, 8};
      const int opcode = opcodes[random() % (random() % 8 == 0 ? 10 : 9)];
      std::string payload(opcode >= 8 ? random() % 126 : random() % 400, 'x');
      if (random() % 16 == 0) payload += static_cast<char>(random());
      wire += encode_frame(opcode, payload, opcode >= 8 || random() % 3 != 0);
    }
    if (!wire.empty() && random() % 4 == 0) wire[random() % wire.size()] = static_cast<char>(random());
    const auto expected = read_at_once(wire, 1'000);
    broken += expected.back().event == Event::Error;
    WsFeeder feeder(small_pool(1 + random() % 3, 1 + random() % 300),
                    WsReader::kMinStageBytes + random() % 500);
    const std::size_t longest = 1 + random() % 300;
    ASSERT_EQ(feeder.read(wire, [&](std::size_t) { return random() % longest; }), expected) << seed;
    ASSERT_TRUE(feeder.all_back()) << seed;
    ASSERT_EQ(feeder.faults, 0u) << seed;
  }
  EXPECT_GT(broken, 2'000u);
  EXPECT_LT(broken, 18'000u);
}

TEST(WsReader, EmptyPoolIsToldUntilABufferIsBackAndLosesNothing) {
  WsFeeder feeder(small_pool(1), 1'000);
  WsReader& reader = feeder.reader;
  const std::string wire =
      encode_frame(1, "first") + encode_frame(9, "p") + encode_frame(1, "second") + encode_frame(9, "q");
  std::memcpy(reader.room().data(), wire.data(), wire.size());
  reader.took(wire.size());
  core::RawMessage first{};
  ASSERT_EQ(reader.next(first), Event::Message);
  core::RawMessage second{};
  EXPECT_EQ(reader.next(second), Event::Ping);  // what needs no buffer goes on
  EXPECT_EQ(reader.next(second), Event::NeedBuffer);
  EXPECT_EQ(reader.next(second), Event::NeedBuffer);
  EXPECT_FALSE(reader.take_buffer());
  EXPECT_EQ(first.text(), "first");
  feeder.pool.release(first);
  EXPECT_TRUE(reader.take_buffer());
  EXPECT_TRUE(reader.take_buffer());  // it is still the one
  ASSERT_EQ(reader.next(second), Event::Message);
  EXPECT_EQ(second.text(), "second");
  EXPECT_EQ(reader.next(first), Event::Ping);
  EXPECT_EQ(reader.control(), "q");
  EXPECT_EQ(reader.next(first), Event::NeedBytes);
}

TEST(WsReader, LongPayloadIsReadIntoTheMessageItself) {
  WsFeeder feeder(small_pool(2, 50'000, 50'000), 20 * 1024);
  WsReader& reader = feeder.reader;
  const std::string frame = encode_frame(2, std::string(40'000, 'x'));
  core::RawMessage told{};
  // A record of TLS brings the beginning; the rest of the payload needs no copy, and its end may not be
  // passed.
  std::memcpy(reader.room().data(), frame.data(), 16'384);
  reader.took(16'384);
  ASSERT_EQ(reader.next(told), Event::NeedBytes);
  const std::size_t taken = 16'384 - 4;
  EXPECT_EQ(reader.message_bytes(), taken);
  const std::span<char> room = reader.room();
  EXPECT_EQ(room.size(), 40'000 - taken);
  std::memcpy(room.data(), frame.data() + 16'384, 5'000);
  reader.took(5'000);
  ASSERT_EQ(reader.next(told), Event::NeedBytes);
  const char* const next = reader.room().data();
  std::memcpy(reader.room().data(), frame.data() + 21'384, 10'000);
  reader.took(10'000);
  ASSERT_EQ(reader.next(told), Event::NeedBytes);
  // What is left is short: over the stage, together with what comes behind it.
  EXPECT_EQ(reader.room().size(), 20 * 1024u);
  const std::string rest = frame.substr(31'384) + encode_frame(1, "behind");
  std::memcpy(reader.room().data(), rest.data(), rest.size());
  reader.took(rest.size());
  ASSERT_EQ(reader.next(told), Event::Message);
  EXPECT_EQ(told.data + taken, room.data());
  EXPECT_EQ(told.data + taken + 5'000, next);
  EXPECT_TRUE(told.text() == std::string(40'000, 'x'));
  ASSERT_EQ(reader.next(told), Event::Message);
  EXPECT_EQ(told.text(), "behind");
}

TEST(WsReader, OnlyItsOwnFieldsOfAMessageAreWritten) {
  WsFeeder feeder(small_pool(), 1'000);
  const std::string wire = encode_frame(2, "x");
  std::memcpy(feeder.reader.room().data(), wire.data(), wire.size());
  feeder.reader.took(wire.size());
  core::RawMessage told{};
  told.line_id = 7;
  told.connection_id = 9;
  told.recv_ts_ns = 11;
  ASSERT_EQ(feeder.reader.next(told), Event::Message);
  EXPECT_EQ(told.line_id, 7);
  EXPECT_EQ(told.connection_id, 9u);
  EXPECT_EQ(told.recv_ts_ns, 11);
}

TEST(WsReader, GivesTheBufferOfAnUnfinishedMessageBack) {
  FramePool pool(small_pool(1));
  core::Counter grown;
  const std::string wire = encode_frame(1, "unfinished", false);
  FramePool::Frame frame;
  const auto begin = [&](WsReader& reader) {
    std::memcpy(reader.room().data(), wire.data(), wire.size());
    reader.took(wire.size());
    core::RawMessage told{};
    EXPECT_EQ(reader.next(told), Event::NeedBytes);
    EXPECT_FALSE(pool.acquire(frame));
  };
  {
    WsReader destroyed(pool, grown, 1'000);
    begin(destroyed);
  }
  WsReader dropped(pool, grown, 1'000);
  begin(dropped);
  dropped.drop();
  dropped.drop();
  EXPECT_TRUE(pool.acquire(frame));
  EXPECT_FALSE(pool.acquire(frame));
}

}  // namespace
}  // namespace mdp::net::test
