#include "mdp/net/inflater.hpp"

#include <gtest/gtest.h>
#include <zlib.h>

#include <random>
#include <string>

namespace mdp::net {
namespace {

using Format = Inflater::Format;

constexpr int kGzip = 15 + 16, kZlib = 15, kRaw = -15;
constexpr std::size_t kPlenty = 1 << 22;

// zlib's own packing, by its window bits.
std::string packed(std::string text, int window_bits) {
  z_stream stream{};
  EXPECT_EQ(deflateInit2(&stream, Z_BEST_SPEED, Z_DEFLATED, window_bits, 8, Z_DEFAULT_STRATEGY), Z_OK);
  std::string out(deflateBound(&stream, static_cast<uLong>(text.size())) + 64, '\0');
  stream.next_in = reinterpret_cast<Bytef*>(text.data());
  stream.avail_in = static_cast<uInt>(text.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  EXPECT_EQ(deflate(&stream, Z_FINISH), Z_STREAM_END);
  out.resize(out.size() - stream.avail_out);
  deflateEnd(&stream);
  return out;
}

struct Packing {
  Format format;
  int window_bits;
};
constexpr Packing kPackings[] = {
    {Format::Gzip, kGzip}, {Format::Deflate, kZlib}, {Format::Deflate, kRaw}, {Format::Raw, kRaw}};

std::string levels(std::size_t bytes) {
  std::string text = R"({"bids":[)";
  for (int i = 0; text.size() < bytes; ++i)
    text += R"(["58005.11","0.)" + std::to_string(i * 7919) + R"("],)";
  text.resize(bytes);
  return text;
}

TEST(Inflater, WhatWasPackedComesBackWhateverItsLength) {
  for (const Packing& packing : kPackings) {
    Inflater inflater(packing.format);
    std::string out;
    for (const std::size_t bytes : {0, 1, 100, 4095, 4096, 4097, 65'536, 1'000'003}) {
      const std::string text = levels(bytes);
      const std::string stream = packed(text, packing.window_bits);
      ASSERT_EQ(inflater.inflate(stream, kPlenty, out), InflateStatus::Ok) << bytes;
      EXPECT_TRUE(out == text) << bytes;
      // What fills the room to the last byte is not too long.
      ASSERT_EQ(inflater.inflate(stream, bytes, out), InflateStatus::Ok) << bytes;
      EXPECT_TRUE(out == text) << bytes;
    }
  }
}

TEST(Inflater, ACutAnywhereIsTruncated) {
  for (const Packing& packing : kPackings) {
    const std::string stream = packed(levels(2'000), packing.window_bits);
    Inflater inflater(packing.format);
    std::string out;
    for (std::size_t bytes = 0; bytes < stream.size(); ++bytes) {
      ASSERT_EQ(inflater.inflate(stream.substr(0, bytes), kPlenty, out), InflateStatus::Truncated) << bytes;
    }
    EXPECT_EQ(inflater.inflate(stream, kPlenty, out), InflateStatus::Ok) << "the next stream begins anew";
  }
}

TEST(Inflater, BytesBehindAStreamAreTold) {
  for (const Packing& packing : kPackings) {
    Inflater inflater(packing.format);
    std::string out;
    for (const char* more : {"x", "\r\n", "\x1F", "{\"bids\":[]}"}) {
      EXPECT_EQ(inflater.inflate(packed("text", packing.window_bits) + more, kPlenty, out),
                InflateStatus::Trailing);
    }
  }
}

TEST(Inflater, MembersOfAGzipStreamAreOneText) {
  Inflater inflater(Format::Gzip);
  std::string out;
  const std::string first = packed("one, ", kGzip), second = packed("two", kGzip);
  ASSERT_EQ(inflater.inflate(first + packed("", kGzip) + second, kPlenty, out), InflateStatus::Ok);
  EXPECT_EQ(out, "one, two");
  EXPECT_EQ(inflater.inflate(first + second.substr(0, 12), kPlenty, out), InflateStatus::Truncated);
  EXPECT_EQ(inflater.inflate(first + second + "!", kPlenty, out), InflateStatus::Trailing);
  EXPECT_EQ(inflater.inflate(first + second, 7, out), InflateStatus::TooLong);
  EXPECT_EQ(inflater.inflate(first + second, 8, out), InflateStatus::Ok);
}

TEST(Inflater, WhatIsNoStreamOrHasAWrongChecksumIsDamaged) {
  std::string out;
  for (const char* text : {"{\"symbols\":[]}", "<html></html>", "\x1F\x8B\x07 no such method"}) {
    EXPECT_EQ(Inflater(Format::Gzip).inflate(text, kPlenty, out), InflateStatus::Damaged) << text;
  }
  std::string wrong = packed(levels(500), kGzip);
  wrong[wrong.size() - 6] = static_cast<char>(wrong[wrong.size() - 6] ^ 1);  // of the checksum
  EXPECT_EQ(Inflater(Format::Gzip).inflate(wrong, kPlenty, out), InflateStatus::Damaged);
  wrong = packed(levels(500), kZlib);
  wrong.back() = static_cast<char>(wrong.back() ^ 1);
  EXPECT_EQ(Inflater(Format::Deflate).inflate(wrong, kPlenty, out), InflateStatus::Damaged);
}

TEST(Inflater, ABombEndsAtTheLimit) {
  const std::string bomb = packed(std::string(50'000'000, '\0'), kGzip);
  ASSERT_LT(bomb.size(), 400'000u);
  std::string out;
  Inflater inflater(Format::Gzip);
  EXPECT_EQ(inflater.inflate(bomb, 100'000, out), InflateStatus::TooLong);
  EXPECT_LE(out.capacity(), 200'000u) << "no more memory than allowed";
  EXPECT_EQ(inflater.inflate(packed("next", kGzip), 100'000, out), InflateStatus::Ok);
  EXPECT_EQ(out, "next");
}

TEST(Inflater, IntoMemoryOfTheCallerNothingIsWrittenBeyondIt) {
  const std::string text = levels(1'000);
  const std::string stream = packed(text, kGzip);
  Inflater inflater(Format::Gzip);
  std::string room(1'100, '#');
  std::size_t written = 0;
  EXPECT_EQ(inflater.inflate(stream, room.data(), 999, written), InflateStatus::TooLong);
  EXPECT_EQ(written, 999u);
  EXPECT_EQ(room.substr(999), std::string(101, '#'));
  EXPECT_EQ(inflater.inflate(stream, room.data(), 1'000, written), InflateStatus::Ok);
  EXPECT_EQ(written, 1'000u);
  EXPECT_EQ(room.substr(0, 1'000), text);
  EXPECT_EQ(room.substr(1'000), std::string(100, '#'));
  EXPECT_EQ(inflater.inflate(stream, nullptr, 0, written), InflateStatus::TooLong);
}

TEST(Inflater, NoBytesHarmIt) {
  std::mt19937 random(7);
  Inflater inflaters[] = {Inflater(Format::Gzip), Inflater(Format::Deflate), Inflater(Format::Raw)};
  int whole = 0;
  for (int round = 0; round < 3'000; ++round) {
    const Packing& packing = kPackings[random() % std::size(kPackings)];
    std::string stream = packed(levels(random() % 600), packing.window_bits);
    for (int flips = static_cast<int>(random() % 3); flips > 0; --flips) {
      stream[random() % stream.size()] = static_cast<char>(random());
    }
    std::string out;
    for (Inflater& inflater : inflaters) {
      const InflateStatus status = inflater.inflate(stream, 500, out);
      ASSERT_LE(out.size(), 500u);
      whole += status == InflateStatus::Ok ? 1 : 0;
      ASSERT_STRNE(to_string(status), "unknown");
    }
  }
  EXPECT_GT(whole, 300) << "the inputs were no test of anything";
}

TEST(Coding, OfAContentEncodingHeader) {
  EXPECT_EQ(coding_of(""), Coding::Identity);
  EXPECT_EQ(coding_of("identity"), Coding::Identity);
  EXPECT_EQ(coding_of("gzip"), Coding::Gzip);
  EXPECT_EQ(coding_of(" GZIP "), Coding::Gzip);
  EXPECT_EQ(coding_of("x-gzip"), Coding::Gzip);
  EXPECT_EQ(coding_of("deflate"), Coding::Deflate);
  EXPECT_EQ(coding_of("identity, gzip,"), Coding::Gzip);
  for (const char* other : {"br", "zstd", "gzip, gzip", "gzip, br", "gzipped", "g", ";"}) {
    EXPECT_EQ(coding_of(other), Coding::Unknown) << other;
  }
}

}  // namespace
}  // namespace mdp::net
