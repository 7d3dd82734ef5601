// A venue's checksum of the book: with each message, with some, or in a message of its own. What it refutes
// is not published. The numbers of the venues' own frames are those of the captures that the comments name;
// nobody here has computed their checksums.
#include <gtest/gtest.h>

#include "book/manager_fixture.hpp"
#include "book/venue_checksums.hpp"

namespace mdp::book {
namespace {

using namespace test;

constexpr BookRule kKraken{.continuity = core::Continuity::None,
                           .snapshot_source = core::SnapshotSource::Stream,
                           .window = core::Window::Cut,
                           .checksum = {kraken_checksum, 10}};

class Checksum : public ManagerTest {
 protected:
  void begin(const BookRule& rule, int price_exponent, int quantity_exponent) {
    core::Instrument instrument;
    instrument.price_exponent = static_cast<std::int8_t>(price_exponent);
    instrument.quantity_exponent = static_cast<std::int8_t>(quantity_exponent);
    begin(rule, instrument);
  }
  void begin(const BookRule& rule, const core::Instrument& instrument) {
    manager.add_symbol(0, kExchange, std::vector<core::LineId>{kLine}, rule, instrument);
    line_is(LineState::Up);
    states();
    depth_limit = 10;
  }
  void send(UpdateType type, std::uint32_t checksum, const Levels& bids, const Levels& asks = {}) {
    MessageHeader head = header(type, 0, 0, 0, 0);
    head.flags = core::kHasChecksum;
    head.checksum = checksum;
    write(head, bids, asks);
  }
  void check(std::int32_t checksum, std::uint64_t at_id = 0) {
    scratch->header = header(UpdateType::Checksum, 0, 0, at_id, 0);
    scratch->header.checksum = static_cast<std::uint32_t>(checksum);
    manager.on_message(*scratch);
  }
  std::uint64_t compared() const { return manager.counters().checksums.get(); }
  std::uint64_t mismatches() const { return manager.counters().checksum_mismatches.get(); }
};

// Kraken v2, BTC/USD, depth 10, 2026-08-24: a snapshot and three updates with their checksums.
const Levels kBids{{788715, 1266503},  {788684, 5100},    {788673, 59789},   {788658, 30000},
                   {788657, 1532403},  {788645, 5100},    {788606, 4618528}, {788605, 5100},
                   {788592, 20128607}, {788588, 63404462}};
const Levels kAsks{{788716, 421103066}, {788722, 41892437}, {788725, 8877452}, {788737, 64976822},
                   {788755, 63391066},  {788762, 2287157},  {788772, 810675},  {788778, 65087492},
                   {788779, 189408049}, {788780, 452243185}};

class Kraken : public Checksum {
 protected:
  void SetUp() override { begin(kKraken, -1, -8); }
  void run() {
    send(UpdateType::Snapshot, 1'406'471'562, kBids, kAsks);
    send(UpdateType::Delta, 2'416'540'570, {{788588, 0}, {788570, 34775324}});
    send(UpdateType::Delta, 2'136'263'304, {{788592, 1378631}});
  }
};
TEST_F(Kraken, AgreesWithTheBookOfEachMessage) {
  run();
  send(UpdateType::Delta, 2'126'323'084, {{788592, 0}, {788568, 60870868}});
  EXPECT_EQ(states(), Strings{kLive});
  EXPECT_EQ(compared(), 4u);
  EXPECT_EQ(mismatches(), 0u);
}
TEST_F(Kraken, AMessageThatWasLostShowsAndIsNotPublished) {
  run();
  const std::size_t deltas = sink.of(EventType::BookDelta).size();
  const Levels before = bids();
  states();
  send(UpdateType::Delta, 2'126'323'084, {{788568, 60870868}});  // the removal of 78859.2 is missing
  EXPECT_EQ(states(),
            (Strings{stale(StateReason::ChecksumMismatch), syncing(StateReason::ChecksumMismatch)}));
  EXPECT_EQ(wanted(), std::vector{StateReason::ChecksumMismatch});
  EXPECT_EQ(sink.of(EventType::BookDelta).size(), deltas);
  EXPECT_EQ(mismatches(), 1u);
  send(UpdateType::Snapshot, 1'406'471'562, kBids, kAsks);
  EXPECT_EQ(states(), Strings{kLive});
}
TEST_F(Kraken, AWrongSnapshotMakesNoBook) {
  send(UpdateType::Snapshot, 1'406'471'563, kBids, kAsks);
  EXPECT_EQ(states(),
            (Strings{stale(StateReason::ChecksumMismatch), syncing(StateReason::ChecksumMismatch)}));
  EXPECT_TRUE(sink.of(EventType::BookSnapshot).empty());
}
TEST_F(Kraken, AMessageWithoutAChecksumIsUnverifiedAndNoFailure) {
  run();
  delta(0, 0, {{788592, 0}, {788568, 60870868}});
  EXPECT_EQ(state(), BookState::Live);
  EXPECT_EQ(compared(), 3u);
}
TEST_F(Kraken, IsTakenAfterTheWindowWasCut) {
  send(UpdateType::Snapshot, 1'406'471'562, kBids, kAsks);
  // A better bid pushes the worst out. The checksum of the eleven would be of the same ten: so ask for what
  // is left when the better one goes again, which is nine bids.
  delta(0, 0, {{788714, 1}, {788715, 1266503}});
  delta(0, 0, {{788714, 0}});
  ASSERT_EQ(bids().size(), 9u);
  const Levels nine(kBids.begin(), kBids.end() - 1);
  core::Instrument instrument;
  instrument.price_exponent = -1;
  send(UpdateType::Delta, kraken_checksum(nine, kAsks, instrument), {});
  EXPECT_EQ(state(), BookState::Live);
  EXPECT_EQ(mismatches(), 0u);
}
TEST_F(Kraken, AChunkedSnapshotHasOne) {
  Levels many = kBids;
  for (std::int64_t i = 1; i <= 600; ++i) many.push_back({788588 - i, 1});
  depth_limit = 1000;
  send(UpdateType::Snapshot, 1'406'471'562, many, kAsks);  // over the best ten
  EXPECT_EQ(state(), BookState::Live);
  EXPECT_EQ(compared(), 1u);
}

// The same book at the default exponents, with the pair's decimals beside them.
class KrakenAtOtherExponents : public Checksum {};
TEST_F(KrakenAtOtherExponents, TheDigitsAreThoseOfThePair) {
  core::Instrument instrument;  // -8, -8
  instrument.price_decimals = 1;
  begin(kKraken, instrument);
  Levels bids = kBids, asks = kAsks;
  for (PriceLevel& level : bids) level.price *= 10'000'000;
  for (PriceLevel& level : asks) level.price *= 10'000'000;
  send(UpdateType::Snapshot, 1'406'471'562, bids, asks);
  EXPECT_EQ(states(), Strings{kLive});
}

// Kraken v1, LUNA/EUR: twelve decimals, and volumes of 3 * 10^8 with eight.
TEST_F(Checksum, OfTwelveDecimalsAndLargeVolumes) {
  begin(kKraken, -12, -8);
  snapshot(0,
           {{74590000, 7102987806720},
            {74580000, 1593557686404000},
            {74520000, 3375861179634000},
            {74350000, 315665058590277},
            {74340000, 30172726079999999},
            {74320000, 6461149653837000},
            {74310000, 10422859660000000},
            {74300000, 4036604610582000},
            {74200000, 369021657320475},
            {74060000, 133717052532521}},
           {{74650000, 14735432016076},
            {74710000, 508488140000000},
            {74760000, 970050270476704},
            {74990000, 293338023886300},
            {75000000, 43333333333333},
            {75020000, 15291484493416},
            {75070000, 14652990542161},
            {75250000, 73707285720004},
            {75400000, 67006164567140},
            {75460000, 98022663603417}});
  send(UpdateType::Delta, 418'307'145, {{74060000, 0}, {74050000, 1674242117790510}});
  EXPECT_EQ(states(), Strings{kLive});
  EXPECT_EQ(compared(), 1u);
}

// Bitfinex, tXRPBTC: a checksum in a frame of its own, numbers printed as by JavaScript (7e-7).
class Bitfinex : public Checksum {
 protected:
  static constexpr BookRule kRule{.continuity = core::Continuity::None,
                                  .snapshot_source = core::SnapshotSource::Stream,
                                  .window = core::Window::ByVenue,
                                  .checksum = {bitfinex_checksum, 25}};
  void SetUp() override {
    begin(kRule, -8, -8);
    depth_limit = 25;
    snapshot(0,
             {{110, 27151049000000},
              {109, 50079310790141},
              {108, 77636743000000},
              {107, 2332954842056},
              {106, 11686887735849},
              {105, 20500000000000},
              {103, 22730825386407},
              {102, 10500000000000},
              {101, 297000000000},
              {100, 2100000000000},
              {70, 1000000000000},
              {66, 1000000000000},
              {60, 10000000000000},
              {49, 1000000000000},
              {25, 200000000000},
              {6, 10000000000000},
              {5, 20000000000000},
              {1, 64000000000000}},
             {{111, 484713000000},   {112, 52810269042633}, {113, 30239707000000}, {114, 33908893000000},
              {126, 24594406000000}, {127, 500000000000},   {130, 500000000000},   {134, 824918938656},
              {136, 1316125184766},  {145, 291400000000},   {150, 5444850000000},  {152, 553854849594},
              {153, 6269175475079},  {159, 291400000000},   {160, 5263110296831},  {164, 400000000000},
              {166, 383146784605},   {171, 1457517730379},  {174, 312481815395},   {180, 1800000000000},
              {182, 1600000000000},  {186, 400000000000},   {189, 1000068662400},  {191, 1450000000000},
              {193, 242200000000}});
  }
};
TEST_F(Bitfinex, AFrameOfItsOwnVerifiesTheBookAsItStands) {
  delta(0, 0, {{110, 26612294000000}});
  check(-1'175'357'890);
  EXPECT_EQ(states(), Strings{kLive});
  EXPECT_EQ(compared(), 1u);
  EXPECT_EQ(mismatches(), 0u);
}
TEST_F(Bitfinex, AndRefutesOneThatMissedAnUpdate) {
  states();
  check(-1'175'357'890);
  EXPECT_EQ(states(),
            (Strings{stale(StateReason::ChecksumMismatch), syncing(StateReason::ChecksumMismatch)}));
  EXPECT_EQ(wanted(), std::vector{StateReason::ChecksumMismatch});
  check(-1'175'357'890);  // says nothing of a book that is not LIVE
  EXPECT_EQ(compared(), 1u);
}

std::uint32_t count_levels(std::span<const PriceLevel> bids, std::span<const PriceLevel> asks,
                           const core::Instrument&) noexcept {
  return static_cast<std::uint32_t>(100 * bids.size() + asks.size());
}

// A frame of its own that names an id is of that id alone; a line that is behind may bring it.
TEST_F(ManagerTest, AChecksumOfAnotherIdIsNotCompared) {
  BookRule rule = kChain;
  rule.checksum = {count_levels, 25};
  add(0, rule, {1, 2});
  line = 1;
  line_is(LineState::Up, 1);
  line_is(LineState::Up, 2);
  snapshot(10);
  delta_of(0, 0, 11, {{98, 1}}, {}, 10);
  const auto check_at = [&](std::uint64_t at, std::uint32_t checksum) {
    scratch->header = header(UpdateType::Checksum, 0, 0, at, 0);
    scratch->header.checksum = checksum;
    manager.on_message(*scratch);
  };
  check_at(10, 202);
  check_at(0, 202);
  EXPECT_EQ(manager.counters().checksums.get(), 0u);
  check_at(11, 302);
  EXPECT_EQ(manager.counters().checksums.get(), 1u);
  EXPECT_EQ(state(), BookState::Live);
}

TEST_F(ManagerTest, AChecksumOfAVenueWhoseRuleHasNoneIsIgnored) {
  add(0, kStream);
  line_is(LineState::Up);
  MessageHeader head = header(UpdateType::Snapshot, 0, 10, 10, 0);
  head.flags = core::kHasChecksum;  // OKX sends 0 with every message since it was withdrawn
  write(head, {{100, 1}}, {{110, 1}});
  EXPECT_EQ(state(), BookState::Live);
}

}  // namespace
}  // namespace mdp::book
