#include "mdp/net/ws_frame.hpp"

#include <gtest/gtest.h>

#include <random>
#include <string>

#include "net/line_recorder.hpp"
#include "net/ws_reference.hpp"

namespace mdp::net::test {
namespace {

using Status = WsStatus;

Status status_of(std::string_view bytes) {
  WsHeader header;
  return read_ws_header(bytes.data(), bytes.size(), header);
}

TEST(WsHeader, EveryLengthIsReadAndEveryCutAsksForMore) {
  for (const std::size_t bytes : {0U, 1U, 125U, 126U, 127U, 65'535U, 65'536U, 1'000'000U}) {
    const std::string frame = Connection::encode(2, std::string(bytes, 'x'), bytes % 2 == 0);
    WsHeader header;
    ASSERT_EQ(read_ws_header(frame.data(), frame.size(), header), Status::Ok);
    EXPECT_EQ(header.opcode, WsOpcode::Binary);
    EXPECT_EQ(header.fin, bytes % 2 == 0);
    EXPECT_EQ(header.payload_bytes, bytes);
    EXPECT_EQ(header.header_bytes, frame.size() - bytes);
    for (std::size_t cut = 0; cut < header.header_bytes; ++cut) {
      EXPECT_EQ(status_of(std::string_view(frame).substr(0, cut)), Status::NeedMore) << bytes << " " << cut;
    }
  }
}

TEST(WsHeader, WhatAServerMustNotSendIsRefused) {
  using namespace std::string_view_literals;
  for (const char first : "\x83\x84\x85\x86\x87\x8B\x8C\x8D\x8E\x8F"sv) {
    const char bytes[] = {first, 0};
    EXPECT_EQ(status_of({bytes, 2}), Status::ReservedOpcode) << int{first};
  }
  EXPECT_EQ(status_of("\xC1\x00"sv), Status::ReservedBits);  // compressed, which was not agreed on
  EXPECT_EQ(status_of("\xA1\x00"sv), Status::ReservedBits);
  EXPECT_EQ(status_of("\x91\x00"sv), Status::ReservedBits);
  EXPECT_EQ(status_of("\x81\x80"sv), Status::Masked);
  EXPECT_EQ(status_of("\x81\x7E\x00\x7D"sv), Status::BadLength);
  EXPECT_EQ(status_of("\x81\x7F\x00\x00\x00\x00\x00\x00\xFF\xFF"sv), Status::BadLength);
  EXPECT_EQ(status_of("\x81\x7F\x80\x00\x00\x00\x00\x00\x00\x00"sv), Status::BadLength);
  EXPECT_EQ(status_of("\x09\x00"sv), Status::BadControl);          // a ping in fragments
  EXPECT_EQ(status_of("\x89\x7E\x00\x7E"sv), Status::BadControl);  // a ping of 126 bytes
}

TEST(Utf8, AgreesWithTheTableOnShortAndLongText) {
  std::mt19937_64 random(3);
  // Leads and tails at the table's borders, so that half of the texts are near misses.
  const std::string alphabet("a\x7F\x80\x8F\x90\x9F\xA0\xBF\xC1\xC2\xDF\xE0\xE1\xED\xEF\xF0\xF1\xF4\xF5\xFF");
  std::size_t valid = 0;
  for (int i = 0; i < 300'000; ++i) {
    std::string text(random() % 3 == 0 ? 16 + random() % 20 : 0, 'x');
    for (std::size_t n = random() % 5; n > 0; --n) text += alphabet[random() % alphabet.size()];
    text.append(random() % 3, 'y');
    const bool expected = is_utf8_by_the_table(text);
    valid += expected;
    ASSERT_EQ(is_utf8(text.data(), text.size()), expected) << i;
  }
  EXPECT_GT(valid, 30'000u);
}

TEST(WsReceive, FramesCutAnywhereArriveWhole) {
  // Small and large, in fragments, with control frames between them, in pieces of every small size.
  std::string stream;
  std::vector<std::string> expected;
  for (std::size_t i = 0; i < 40; ++i) {
    const std::size_t bytes = i * i * 37 % 30'011;
    std::string payload(bytes, static_cast<char>('a' + i % 26));
    if (i % 3 == 0) {
      stream += Connection::encode(1, payload.substr(0, bytes / 2), false);
      stream += Connection::encode(9, "ping");
      stream += Connection::encode(0, payload.substr(bytes / 2), true);
    } else {
      stream += Connection::encode(1, payload);
      stream += Connection::encode(10, "unasked pong");
    }
    expected.push_back(std::move(payload));
  }
  FakeServer server([&](Connection& connection) {
    if (!connection.accept_websocket()) return;
    // Each connection cuts at other places; the first one byte by byte for the first 5,000.
    std::mt19937_64 random(static_cast<std::uint64_t>(connection.index()) + 1);
    std::string_view left = stream;
    for (std::size_t sent = 0; !left.empty(); ++sent) {
      const std::size_t piece = connection.index() == 0 && sent < 5'000 ? 1 : 1 + random() % 4'000;
      if (!connection.write(left.substr(0, piece))) return;
      left.remove_prefix(std::min(piece, left.size()));
    }
    connection.read_until_closed();
  });
  for (int round = 0; round < 5; ++round) {
    LineRecorder line(quick_options(server.ws_url()));
    line.start();
    ASSERT_TRUE(eventually([&] { return line.frame_count() == expected.size(); }));
    const auto frames = line.frames();
    for (std::size_t i = 0; i < expected.size(); ++i) ASSERT_TRUE(frames[i].payload == expected[i]) << i;
    EXPECT_TRUE(line.stop());
  }
}

struct Misbehaviour {
  const char* name;
  std::string bytes;
  const char* words;
};

class WsMisbehaviour : public testing::TestWithParam<Misbehaviour> {};

TEST_P(WsMisbehaviour, EndsTheLineAsAProtocolError) {
  FakeServer server([&](Connection& connection) {
    if (!connection.accept_websocket()) return;
    if (connection.index() == 0) connection.write(GetParam().bytes);
    connection.read_until_closed();
  });
  LineRecorder line(quick_options(server.ws_url()));
  line.start();
  ASSERT_TRUE(eventually([&] { return line.connector->counters().ups.get() == 2; }));
  const auto down = line.find_down(LineReason::ProtocolError);
  EXPECT_TRUE(down.detail.starts_with(GetParam().words)) << down.detail;
  EXPECT_EQ(line.frame_count(), 0u);
}

INSTANTIATE_TEST_SUITE_P(
    Kinds, WsMisbehaviour,
    testing::Values(
        Misbehaviour{"ContinuationOfNothing", Connection::encode(0, "x"), "a continuation of no message"},
        Misbehaviour{"MessageInsideMessage", Connection::encode(1, "x", false) + Connection::encode(1, "y"),
                     "a message begins before the end of the one before"},
        Misbehaviour{"Masked", std::string("\x81\x81mask!"), "a frame from the server is masked"},
        Misbehaviour{"Compressed", std::string("\xC1\x01x"), "reserved bits"},
        Misbehaviour{"LongPing", Connection::encode(9, std::string(126, 'x')), "a control frame"},
        Misbehaviour{"CloseOfOneByte", Connection::encode(8, "x"), "a close frame of one byte"},
        Misbehaviour{"Utf8CutByTheEnd", Connection::encode(1, "\xE2\x82"), "a text message is not UTF-8"}),
    [](const auto& param) { return std::string(param.param.name); });

TEST(WsReceive, Utf8MayBeCutBetweenFragmentsAndBinaryMayBeAnything) {
  FakeServer server([&](Connection& connection) {
    if (!connection.accept_websocket()) return;
    connection.write(Connection::encode(1, "\xE2\x82", false) + Connection::encode(0, "\xAC") +
                     Connection::encode(2, "\xFF\xFE"));
    connection.read_until_closed();
  });
  LineRecorder line(quick_options(server.ws_url()));
  line.start();
  ASSERT_TRUE(eventually([&] { return line.frame_count() == 2; }));
  EXPECT_EQ(line.frames()[0].payload, "\xE2\x82\xAC");
  EXPECT_EQ(line.frames()[1].payload, "\xFF\xFE");
  EXPECT_TRUE(line.stop());
}

TEST(WsReceive, CloseFrameOfTheVenueIsAnswered) {
  std::atomic<bool> answered{false};
  FakeServer server([&](Connection& connection) {
    if (!connection.accept_websocket()) return;
    if (connection.index() > 0) return connection.read_until_closed();
    connection.send_frame(8, "\x03\xE9");
    const auto frame = connection.read_frame();
    answered = frame && frame->opcode == 8;
  });
  LineRecorder line(quick_options(server.ws_url()));
  line.start();
  ASSERT_TRUE(eventually([&] { return line.connector->counters().ups.get() == 2; }));
  EXPECT_TRUE(eventually([&] { return answered.load(); }));
  EXPECT_TRUE(line.went_down(LineReason::ClosedByVenue));
}

TEST(WsReceive, FramesRightBehindTheUpgradeAreNotLost) {
  FakeServer server([](Connection& connection) {
    // One write, one TLS record: the 101 and two frames.
    if (!connection.accept_websocket(Connection::encode(1, "first") + Connection::encode(1, "second")))
      return;
    connection.read_until_closed();
  });
  LineRecorder line(quick_options(server.ws_url()));
  line.start();
  ASSERT_TRUE(eventually([&] { return line.frame_count() == 2; }));
  EXPECT_EQ(line.frames()[0].payload, "first");
  EXPECT_EQ(line.frames()[1].payload, "second");
}

}  // namespace
}  // namespace mdp::net::test
