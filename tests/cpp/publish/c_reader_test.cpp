// mdp_shm.h against the C++ headers: the same layout, the same statuses, the same events from the same ring.
#include <gtest/gtest.h>

#include <cstddef>
#include <cstring>
#include <type_traits>

#include "mdp/publish/ipc_publisher.hpp"
#include "mdp/shm/mdp_shm.h"
#include "mdp/shm/shm.hpp"
#include "publish/test_segment.hpp"

namespace mdp::publish {
namespace {

#define SAME_SIZE(c, cpp) static_assert(sizeof(c) == sizeof(shm::cpp))
#define SAME(c, cpp, field)                                        \
  static_assert(offsetof(c, field) == offsetof(shm::cpp, field) && \
                sizeof(c::field) == sizeof(shm::cpp::field))

SAME_SIZE(mdp_shm_price_level, PriceLevel);
SAME(mdp_shm_price_level, PriceLevel, price);
SAME(mdp_shm_price_level, PriceLevel, quantity);

SAME_SIZE(mdp_shm_event_header, EventHeader);
SAME(mdp_shm_event_header, EventHeader, size_lines);
SAME(mdp_shm_event_header, EventHeader, type);
SAME(mdp_shm_event_header, EventHeader, flags);
SAME(mdp_shm_event_header, EventHeader, exchange_id);
SAME(mdp_shm_event_header, EventHeader, symbol_id);
SAME(mdp_shm_event_header, EventHeader, bid_count);
SAME(mdp_shm_event_header, EventHeader, ask_count);
SAME(mdp_shm_event_header, EventHeader, sequence);
SAME(mdp_shm_event_header, EventHeader, update_id);
SAME(mdp_shm_event_header, EventHeader, first_update_id);
SAME(mdp_shm_event_header, EventHeader, exch_ts_ns);
SAME(mdp_shm_event_header, EventHeader, recv_ts_ns);
SAME(mdp_shm_event_header, EventHeader, pub_ts_ns);

SAME_SIZE(mdp_shm_book_state_body, BookStateBody);
SAME(mdp_shm_book_state_body, BookStateBody, known_bid);
SAME(mdp_shm_book_state_body, BookStateBody, known_ask);
SAME(mdp_shm_book_state_body, BookStateBody, state);
SAME(mdp_shm_book_state_body, BookStateBody, reason);
SAME_SIZE(mdp_shm_connection_status_body, ConnectionStatusBody);
SAME(mdp_shm_connection_status_body, ConnectionStatusBody, line);
SAME(mdp_shm_connection_status_body, ConnectionStatusBody, state);
static_assert(MDP_SHM_ALL_BIDS == shm::kAllBids && MDP_SHM_ALL_ASKS == shm::kAllAsks);
SAME_SIZE(mdp_shm_bbo_body, BboBody);
SAME(mdp_shm_bbo_body, BboBody, bid);
SAME(mdp_shm_bbo_body, BboBody, ask);
SAME_SIZE(mdp_shm_trade_body, TradeBody);
SAME(mdp_shm_trade_body, TradeBody, price);
SAME(mdp_shm_trade_body, TradeBody, quantity);
SAME(mdp_shm_trade_body, TradeBody, trade_id);
SAME(mdp_shm_trade_body, TradeBody, side);
SAME_SIZE(mdp_shm_event, Event);
SAME(mdp_shm_event, Event, header);
static_assert(offsetof(mdp_shm_event, body) == offsetof(shm::Event, levels));
static_assert(sizeof(mdp_shm_event::body) == sizeof(shm::Event::levels));

SAME_SIZE(mdp_shm_section, Section);
SAME(mdp_shm_section, Section, offset);
SAME(mdp_shm_section, Section, size_bytes);
SAME_SIZE(mdp_shm_segment_info, SegmentInfo);
SAME(mdp_shm_segment_info, SegmentInfo, magic);
SAME(mdp_shm_segment_info, SegmentInfo, layout_version);
SAME(mdp_shm_segment_info, SegmentInfo, minor_version);
SAME(mdp_shm_segment_info, SegmentInfo, required_features);
SAME(mdp_shm_segment_info, SegmentInfo, optional_features);
SAME(mdp_shm_segment_info, SegmentInfo, heartbeat_interval_ns);
SAME(mdp_shm_segment_info, SegmentInfo, index);
SAME(mdp_shm_segment_info, SegmentInfo, checkpoints);
SAME(mdp_shm_segment_info, SegmentInfo, levels_offset);
SAME(mdp_shm_segment_info, SegmentInfo, bell_id);
SAME(mdp_shm_segment_info, SegmentInfo, header_size);
SAME(mdp_shm_segment_info, SegmentInfo, total_size);
SAME(mdp_shm_segment_info, SegmentInfo, generation);
SAME(mdp_shm_segment_info, SegmentInfo, start_ts_ns);
SAME(mdp_shm_segment_info, SegmentInfo, publisher_pid);
SAME(mdp_shm_segment_info, SegmentInfo, venues);
SAME(mdp_shm_segment_info, SegmentInfo, instruments);
SAME(mdp_shm_segment_info, SegmentInfo, table);
SAME(mdp_shm_segment_info, SegmentInfo, ring);
SAME(mdp_shm_segment_info, SegmentInfo, venue_stride);
SAME(mdp_shm_segment_info, SegmentInfo, venue_capacity);
SAME(mdp_shm_segment_info, SegmentInfo, instrument_stride);
SAME(mdp_shm_segment_info, SegmentInfo, instrument_capacity);
SAME(mdp_shm_segment_info, SegmentInfo, table_stride);
SAME(mdp_shm_segment_info, SegmentInfo, levels_per_side);
SAME(mdp_shm_segment_info, SegmentInfo, checkpoint_count);
SAME(mdp_shm_segment_info, SegmentInfo, max_record_bytes);
SAME_SIZE(mdp_shm_segment_header, SegmentHeader);
SAME(mdp_shm_segment_header, SegmentHeader, info);
SAME(mdp_shm_segment_header, SegmentHeader, state);
SAME(mdp_shm_segment_header, SegmentHeader, venue_count);
SAME(mdp_shm_segment_header, SegmentHeader, instrument_count);
SAME(mdp_shm_segment_header, SegmentHeader, directory_epoch);
SAME(mdp_shm_segment_header, SegmentHeader, heartbeat_ns);
SAME(mdp_shm_segment_header, SegmentHeader, reserve);
SAME(mdp_shm_segment_header, SegmentHeader, next_sequence);
SAME(mdp_shm_segment_header, SegmentHeader, cursor);
SAME(mdp_shm_segment_header, SegmentHeader, event_count);

SAME_SIZE(mdp_shm_venue_entry, VenueEntry);
SAME(mdp_shm_venue_entry, VenueEntry, seq);
SAME(mdp_shm_venue_entry, VenueEntry, exchange_id);
SAME(mdp_shm_venue_entry, VenueEntry, name);
SAME_SIZE(mdp_shm_instrument_entry, InstrumentEntry);
SAME(mdp_shm_instrument_entry, InstrumentEntry, seq);
SAME(mdp_shm_instrument_entry, InstrumentEntry, symbol_id);
SAME(mdp_shm_instrument_entry, InstrumentEntry, exchange_id);
SAME(mdp_shm_instrument_entry, InstrumentEntry, price_exponent);
SAME(mdp_shm_instrument_entry, InstrumentEntry, quantity_exponent);
SAME(mdp_shm_instrument_entry, InstrumentEntry, tick_size);
SAME(mdp_shm_instrument_entry, InstrumentEntry, lot_size);
SAME(mdp_shm_instrument_entry, InstrumentEntry, status);
SAME(mdp_shm_instrument_entry, InstrumentEntry, kind);
SAME(mdp_shm_instrument_entry, InstrumentEntry, settlement);
SAME(mdp_shm_instrument_entry, InstrumentEntry, contract_unit);
SAME(mdp_shm_instrument_entry, InstrumentEntry, option_right);
SAME(mdp_shm_instrument_entry, InstrumentEntry, strike_exponent);
SAME(mdp_shm_instrument_entry, InstrumentEntry, notional_exponent);
SAME(mdp_shm_instrument_entry, InstrumentEntry, strike_price);
SAME(mdp_shm_instrument_entry, InstrumentEntry, min_quantity);
SAME(mdp_shm_instrument_entry, InstrumentEntry, max_quantity);
SAME(mdp_shm_instrument_entry, InstrumentEntry, min_notional);
SAME(mdp_shm_instrument_entry, InstrumentEntry, underlying);
SAME(mdp_shm_instrument_entry, InstrumentEntry, contract_exponent);
SAME(mdp_shm_instrument_entry, InstrumentEntry, contract_size);
SAME(mdp_shm_instrument_entry, InstrumentEntry, expiry_ns);
SAME(mdp_shm_instrument_entry, InstrumentEntry, venue_symbol);
SAME(mdp_shm_instrument_entry, InstrumentEntry, base);
SAME(mdp_shm_instrument_entry, InstrumentEntry, canonical_symbol);
SAME(mdp_shm_instrument_entry, InstrumentEntry, quote);
SAME(mdp_shm_instrument_entry, InstrumentEntry, settle);
SAME(mdp_shm_instrument_entry, InstrumentEntry, venue_status);
SAME_SIZE(mdp_shm_book_entry, BookEntry);
SAME(mdp_shm_book_entry, BookEntry, seq);
SAME(mdp_shm_book_entry, BookEntry, state);
SAME(mdp_shm_book_entry, BookEntry, reason);
SAME(mdp_shm_book_entry, BookEntry, bid_count);
SAME(mdp_shm_book_entry, BookEntry, ask_count);
SAME(mdp_shm_book_entry, BookEntry, update_id);
SAME(mdp_shm_book_entry, BookEntry, exch_ts_ns);
SAME(mdp_shm_book_entry, BookEntry, recv_ts_ns);
SAME(mdp_shm_book_entry, BookEntry, pub_ts_ns);
SAME(mdp_shm_book_entry, BookEntry, ring_position);
SAME(mdp_shm_book_entry, BookEntry, next_sequence);
SAME(mdp_shm_book_entry, BookEntry, refresh_position);
SAME(mdp_shm_book_entry, BookEntry, refresh_sequence);
SAME(mdp_shm_book_entry, BookEntry, known_bid);
SAME(mdp_shm_book_entry, BookEntry, known_ask);

static_assert(sizeof(mdp_shm_segment_header) == MDP_SHM_HEADER_BYTES);
static_assert(MDP_SHM_MAGIC == shm::kMagic && MDP_SHM_LAYOUT_VERSION == shm::kLayoutVersion &&
              MDP_SHM_MAX_EVENT_LEVELS == shm::kMaxEventLevels &&
              MDP_SHM_MAX_RECORD_BYTES == shm::kMaxRecordBytes &&
              MDP_SHM_MAX_LEVELS_PER_SIDE == shm::kMaxLevelsPerSide &&
              MDP_SHM_MIN_RING_BYTES == shm::kMinRingBytes && MDP_SHM_MAX_RING_BYTES == shm::kMaxRingBytes &&
              MDP_SHM_NO_SYMBOL == shm::kNoSymbol && MDP_SHM_NO_POSITION == shm::kNoPosition &&
              MDP_SHM_MINOR_VERSION == shm::kMinorVersion &&
              MDP_SHM_KNOWN_REQUIRED_FEATURES == shm::kKnownRequiredFeatures &&
              MDP_SHM_FEATURE_CHECKSUM == shm::kFeatureChecksum &&
              MDP_SHM_FEATURE_REFRESH == shm::kFeatureRefresh && MDP_SHM_FEATURE_BELL == shm::kFeatureBell &&
              MDP_SHM_MAX_SEGMENT_NAME_LENGTH == shm::kMaxSegmentNameLength);

template <class Enum>
constexpr bool same(int c, Enum cpp) {
  return c == static_cast<int>(cpp);
}
static_assert(same(MDP_SHM_PADDING, shm::EventType::Padding) &&
              same(MDP_SHM_BOOK_DELTA, shm::EventType::BookDelta) &&
              same(MDP_SHM_BOOK_SNAPSHOT, shm::EventType::BookSnapshot) &&
              same(MDP_SHM_BBO, shm::EventType::Bbo) && same(MDP_SHM_TRADE, shm::EventType::Trade) &&
              same(MDP_SHM_BOOK_STATE, shm::EventType::BookState) &&
              same(MDP_SHM_INSTRUMENT, shm::EventType::Instrument) &&
              same(MDP_SHM_CONNECTION_STATUS, shm::EventType::ConnectionStatus));
static_assert(same(MDP_SHM_FLAG_FIRST, shm::kFlagFirst) && same(MDP_SHM_FLAG_LAST, shm::kFlagLast) &&
              same(MDP_SHM_FLAG_TOP, shm::kFlagTop) && same(MDP_SHM_FLAG_VENUE_QUOTE, shm::kFlagVenueQuote) &&
              same(MDP_SHM_FLAG_AGGREGATE, shm::kFlagAggregate));
static_assert(same(MDP_SHM_STALE, shm::BookState::Stale) && same(MDP_SHM_SYNCING, shm::BookState::Syncing) &&
              same(MDP_SHM_LIVE, shm::BookState::Live) && same(MDP_SHM_BUY, shm::Side::Buy) &&
              same(MDP_SHM_SELL, shm::Side::Sell) && same(MDP_SHM_STOPPED, shm::SegmentState::Stopped) &&
              same(MDP_SHM_RUNNING, shm::SegmentState::Running) &&
              same(MDP_SHM_ACTIVE, shm::InstrumentStatus::Active) &&
              same(MDP_SHM_REMOVED, shm::InstrumentStatus::Removed));
static_assert(same(MDP_SHM_ATTACH_OK, shm::AttachStatus::Ok) &&
              same(MDP_SHM_ATTACH_BAD_NAME, shm::AttachStatus::BadName) &&
              same(MDP_SHM_ATTACH_NOT_FOUND, shm::AttachStatus::NotFound) &&
              same(MDP_SHM_ATTACH_NO_PERMISSION, shm::AttachStatus::NoPermission) &&
              same(MDP_SHM_ATTACH_NOT_READY, shm::AttachStatus::NotReady) &&
              same(MDP_SHM_ATTACH_NOT_A_SEGMENT, shm::AttachStatus::NotASegment) &&
              same(MDP_SHM_ATTACH_WRONG_VERSION, shm::AttachStatus::WrongVersion) &&
              same(MDP_SHM_ATTACH_CORRUPT, shm::AttachStatus::Corrupt) &&
              same(MDP_SHM_ATTACH_SYSTEM_ERROR, shm::AttachStatus::SystemError));
static_assert(same(MDP_SHM_READ_OK, shm::ReadStatus::Ok) &&
              same(MDP_SHM_READ_EMPTY, shm::ReadStatus::Empty) &&
              same(MDP_SHM_READ_LAPPED, shm::ReadStatus::Lapped) &&
              same(MDP_SHM_READ_STOPPED, shm::ReadStatus::Stopped) &&
              same(MDP_SHM_READ_PUBLISHER_DEAD, shm::ReadStatus::PublisherDead) &&
              same(MDP_SHM_READ_CORRUPT, shm::ReadStatus::Corrupt) &&
              same(MDP_SHM_READ_NOT_ATTACHED, shm::ReadStatus::NotAttached) &&
              same(MDP_SHM_READ_PUBLISHER_STALE, shm::ReadStatus::PublisherStale));
static_assert(same(MDP_SHM_BOOK_OK, shm::BookStatus::Ok) &&
              same(MDP_SHM_BOOK_NO_INSTRUMENT, shm::BookStatus::NoInstrument) &&
              same(MDP_SHM_BOOK_BUSY, shm::BookStatus::Busy) &&
              same(MDP_SHM_BOOK_CORRUPT, shm::BookStatus::Corrupt));
static_assert(same(MDP_SHM_SPIN, shm::Wait::Spin) && same(MDP_SHM_YIELD, shm::Wait::Yield) &&
              same(MDP_SHM_SLEEP, shm::Wait::Sleep) && same(MDP_SHM_BELL, shm::Wait::Bell));

static_assert(
    same(MDP_SHM_MARK_PRICE, shm::EventType::MarkPrice) &&
    same(MDP_SHM_LIQUIDATION, shm::EventType::Liquidation) &&
    same(MDP_SHM_REASON_PARSE_ERROR, shm::StateReason::ParseError) &&
    same(MDP_SHM_REASON_REJECTED, shm::StateReason::Rejected) &&
    same(MDP_SHM_REASON_SEQUENCE_RESET, shm::StateReason::SequenceReset) &&
    same(MDP_SHM_LINE_UP, shm::LineState::Up) && same(MDP_SHM_UNUSED, shm::InstrumentStatus::Unused) &&
    same(MDP_SHM_STARTING, shm::SegmentState::Starting) &&
    same(MDP_SHM_PUBLISHER_RUNNING, shm::PublisherStatus::Running) &&
    same(MDP_SHM_PUBLISHER_REPLACED, shm::PublisherStatus::Replaced) &&
    same(MDP_SHM_OPTION, shm::InstrumentKind::Option) && same(MDP_SHM_QUANTO, shm::Settlement::Quanto) &&
    same(MDP_SHM_OF_QUOTE, shm::ContractUnit::Quote) && same(MDP_SHM_PUT, shm::OptionRight::Put) &&
    same(MDP_SHM_FLAG_REFRESH, shm::kFlagRefresh) && same(MDP_SHM_FLAG_CHECKSUM, shm::kFlagChecksum) &&
    same(MDP_SHM_FLAG_VENUE_QUOTE, shm::kFlagVenueQuote) && same(MDP_SHM_SIDE_NONE, shm::Side::None));

// Numbers beyond the last enumerator, and the negative ones that only C can ask for, included.
template <class Enum>
void expect_same_texts(const char* (*c_text)(int)) {
  for (int i = 0; i < 32; ++i) EXPECT_STREQ(c_text(i), to_string(static_cast<Enum>(i))) << i;
  EXPECT_STREQ(c_text(-1), "unknown");
}

TEST(CText, SaysWhatToStringSays) {
  expect_same_texts<shm::AttachStatus>(mdp_shm_attach_status_text);
  expect_same_texts<shm::ReadStatus>(mdp_shm_read_status_text);
  expect_same_texts<shm::PublisherStatus>(mdp_shm_publisher_status_text);
  expect_same_texts<shm::BookStatus>(mdp_shm_book_status_text);
  expect_same_texts<shm::EventType>(mdp_shm_event_type_text);
  expect_same_texts<shm::BookState>(mdp_shm_book_state_text);
  expect_same_texts<shm::StateReason>(mdp_shm_state_reason_text);
  expect_same_texts<shm::LineState>(mdp_shm_line_state_text);
  expect_same_texts<shm::Side>(mdp_shm_side_text);
  expect_same_texts<shm::InstrumentKind>(mdp_shm_instrument_kind_text);
  expect_same_texts<shm::Settlement>(mdp_shm_settlement_text);
  expect_same_texts<shm::ContractUnit>(mdp_shm_contract_unit_text);
  expect_same_texts<shm::OptionRight>(mdp_shm_option_right_text);
  expect_same_texts<shm::InstrumentStatus>(mdp_shm_instrument_status_text);
  expect_same_texts<shm::SegmentState>(mdp_shm_segment_state_text);
  for (int i = -1; i < 32; ++i)
    EXPECT_EQ(mdp_shm_ended(i) != 0, i >= 0 && shm::ended(static_cast<shm::ReadStatus>(i)));
}

class CReader : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_EQ(mdp_shm_attach(&feed, segment.data(), segment.size()), MDP_SHM_ATTACH_OK);
  }

  // Reads with both until one has no more to say; they say the same all the way.
  void expect_same(shm::RingReader& reader) {
    shm::Event expected;
    mdp_shm_event event;
    for (shm::ReadStatus status = shm::ReadStatus::Ok;
         status == shm::ReadStatus::Ok || status == shm::ReadStatus::Lapped;) {
      status = reader.poll(expected);
      ASSERT_EQ(mdp_shm_poll(&feed, &event), static_cast<int>(status));
      ASSERT_EQ(feed.position, reader.position());
      ASSERT_EQ(feed.next_sequence, reader.next_sequence());
      ASSERT_EQ(feed.lost_events, reader.lost_events());
      ASSERT_EQ(feed.lost_bytes, reader.lost_bytes());
      ASSERT_EQ(feed.total_lost_events, reader.total_lost_events());
      ASSERT_EQ(feed.laps, reader.laps());
      if (status != shm::ReadStatus::Ok) continue;
      ASSERT_EQ(std::memcmp(&event, &expected, expected.header.size_bytes()), 0);
      ++events;
    }
  }

  test::MemorySegment segment;
  mdp_shm_subscriber feed;
  std::uint64_t events = 0;
};

TEST_F(CReader, ReadsWhatTheCppReaderReads) {
  shm::RingReader reader(segment.view());
  IPCPublisher publisher(*segment);
  shm::Event event;
  // In bursts of one to five hundred events: sometimes both are lapped, mostly not.
  for (std::uint64_t n = 0, burst = 1; burst < 60; ++burst) {
    for (std::uint64_t end = n + test::mix(burst) % 80 * (burst % 7 == 0 ? 6 : 1); n < end; ++n) {
      test::fill_event(event, n, 60);
      publisher.publish(event);
    }
    ASSERT_NO_FATAL_FAILURE(expect_same(reader));
  }
  EXPECT_GT(feed.laps, 0U);
  EXPECT_GT(events, 1000U);
  publisher.stop();
  ASSERT_NO_FATAL_FAILURE(expect_same(reader));
  mdp_shm_event last;
  EXPECT_EQ(mdp_shm_poll(&feed, &last), MDP_SHM_READ_STOPPED);
}

TEST_F(CReader, BeginsAtTheOldestAndAtTheNewestLikeTheCppReader) {
  for (std::uint64_t n = 0; n < 700; ++n) test::write_event(segment->ring(), n, 60);
  for (const shm::Start start : {shm::Start::Oldest, shm::Start::Newest}) {
    shm::RingReader reader(segment.view(), start);
    start == shm::Start::Oldest ? mdp_shm_start_oldest(&feed) : mdp_shm_start_newest(&feed);
    events = 0;
    ASSERT_NO_FATAL_FAILURE(expect_same(reader));
    EXPECT_EQ(events > 0, start == shm::Start::Oldest);
  }
}

TEST_F(CReader, JoinsFromABook) {
  core::Instrument instrument;
  instrument.symbol_id = 2;
  instrument.venue_symbol = "BTCUSDT";
  instrument.canonical_symbol = "test:BTC-USDT";
  instrument.price_exponent = -2;
  segment->directory().set_instrument(instrument);
  IPCPublisher publisher(*segment);
  shm::Event event;
  test::fill_event(event, 2, 8);
  publisher.publish(event);
  event.header = {};
  event.header.type = shm::EventType::BookSnapshot;
  event.header.flags = core::kFlagTableOnly;
  event.header.symbol_id = 2;
  event.header.update_id = 2;
  event.header.bid_count = 2;
  event.header.ask_count = 1;
  event.levels[0] = {100, 5};
  event.levels[1] = {99, 6};
  event.levels[2] = {101, 7};
  publisher.publish(event);
  test::fill_event(event, 18, 8);
  publisher.publish(event);

  mdp_shm_instrument_entry found;
  EXPECT_EQ(mdp_shm_find(&feed, "NOSUCH", &found), 0);
  ASSERT_EQ(mdp_shm_find(&feed, "test:BTC-USDT", &found), 1);
  ASSERT_EQ(mdp_shm_find(&feed, "BTCUSDT", &found), 1);
  EXPECT_EQ(found.symbol_id, 2U);
  EXPECT_EQ(found.price_exponent, -2);
  mdp_shm_book_entry entry;
  mdp_shm_price_level bids[8];
  mdp_shm_price_level asks[8];
  ASSERT_EQ(mdp_shm_join(&feed, 2, &entry, bids, asks, 8), MDP_SHM_BOOK_OK);
  EXPECT_EQ(entry.update_id, 2U);
  ASSERT_EQ(entry.bid_count, 2);
  ASSERT_EQ(entry.ask_count, 1);
  EXPECT_EQ(bids[1].price, 99);
  EXPECT_EQ(asks[0].quantity, 7);
  mdp_shm_event next;
  ASSERT_EQ(mdp_shm_poll(&feed, &next), MDP_SHM_READ_OK);
  EXPECT_EQ(next.header.update_id, 18U);
  EXPECT_EQ(mdp_shm_poll(&feed, &next), MDP_SHM_READ_EMPTY);
  ASSERT_EQ(mdp_shm_read_book(&feed, 2, &entry, bids, asks, 1), MDP_SHM_BOOK_OK);
  EXPECT_EQ(entry.bid_count, 1);
  EXPECT_EQ(mdp_shm_read_book(&feed, 16, &entry, bids, asks, 1), MDP_SHM_BOOK_NO_INSTRUMENT);
}

TEST_F(CReader, SaysWhatIsWrongWithASegment) {
  mdp_shm_subscriber other{};
  EXPECT_EQ(mdp_shm_open(&other, "no/such"), MDP_SHM_ATTACH_BAD_NAME);
  EXPECT_EQ(mdp_shm_open(&other, ".hidden"), MDP_SHM_ATTACH_BAD_NAME);
  EXPECT_EQ(mdp_shm_open(&other, ""), MDP_SHM_ATTACH_BAD_NAME);
  EXPECT_EQ(mdp_shm_open(&other, std::string(201, 'a').c_str()), MDP_SHM_ATTACH_BAD_NAME);
  EXPECT_EQ(mdp_shm_open(&other, test::unique_name().c_str()), MDP_SHM_ATTACH_NOT_FOUND);
  mdp_shm_event event;
  EXPECT_EQ(mdp_shm_poll(&other, &event), MDP_SHM_READ_NOT_ATTACHED);
  EXPECT_EQ(mdp_shm_attach(&other, segment.data(), 512), MDP_SHM_ATTACH_NOT_READY);
  auto* info = static_cast<shm::SegmentInfo*>(segment.data());
  const shm::SegmentInfo good = *info;
  const auto attach_with = [&](auto&& spoil) {
    spoil(*info);
    const int status = mdp_shm_attach(&other, segment.data(), segment.size());
    shm::SegmentView view;
    EXPECT_EQ(static_cast<int>(shm::SegmentView::attach(segment.data(), segment.size(), view)), status);
    *info = good;
    return status;
  };
  EXPECT_EQ(attach_with([](auto& i) { i.magic = 1; }), MDP_SHM_ATTACH_NOT_A_SEGMENT);
  EXPECT_EQ(attach_with([](auto& i) { i.magic = 0; }), MDP_SHM_ATTACH_NOT_READY);
  EXPECT_EQ(attach_with([](auto& i) { i.layout_version = 2; }), MDP_SHM_ATTACH_WRONG_VERSION);
  EXPECT_EQ(attach_with([](auto& i) { i.total_size += 64; }), MDP_SHM_ATTACH_CORRUPT);
  EXPECT_EQ(attach_with([](auto& i) { i.ring.offset = ~0ULL - 63; }), MDP_SHM_ATTACH_CORRUPT);
  EXPECT_EQ(attach_with([](auto& i) { i.ring.size_bytes = 65'535; }), MDP_SHM_ATTACH_CORRUPT);
  EXPECT_EQ(attach_with([](auto& i) { i.table_stride = 64; }), MDP_SHM_ATTACH_CORRUPT);
  EXPECT_EQ(attach_with([](auto& i) { i.instrument_capacity = 0xFFFF'FFFF; }), MDP_SHM_ATTACH_CORRUPT);
  EXPECT_EQ(attach_with([](auto&) {}), MDP_SHM_ATTACH_OK);
}

// Single words of ring and header spoilt at random: both readers say the same, and neither leaves its memory
// (the address sanitizer's preset watches).
TEST_F(CReader, SurvivesSpoiltWordsLikeTheCppReader) {
  for (std::uint64_t n = 0; n < 400; ++n) test::write_event(segment->ring(), n, 60);
  const std::size_t ring_at = static_cast<std::size_t>(segment.view().info().ring.offset);
  auto* bytes = static_cast<unsigned char*>(segment.data());
  for (std::uint64_t round = 0; round < 2000; ++round) {
    const std::uint64_t random = test::mix(round);
    // Header words from `state` on, or the first words of a cache line of the ring.
    const std::size_t at = random % 3 == 0 ? 192 + random / 3 % 104 * 8
                                           : ring_at + (random / 3 % 1024) * 64 + random / 4096 % 3 * 8;
    std::uint64_t was;
    std::memcpy(&was, bytes + at, 8);
    const std::uint64_t spoilt = round % 2 == 0 ? test::mix(random) : was ^ (1ULL << random % 64);
    std::memcpy(bytes + at, &spoilt, 8);
    mdp_shm_start_oldest(&feed);
    feed.lost_events = feed.lost_bytes = feed.total_lost_events = feed.laps = 0;
    shm::RingReader reader(segment.view(), shm::Start::Oldest);
    shm::Event expected;
    mdp_shm_event event;
    for (int i = 0; i < 450; ++i) {
      const shm::ReadStatus status = reader.poll(expected);
      ASSERT_EQ(mdp_shm_poll(&feed, &event), static_cast<int>(status)) << "round " << round;
      if (status != shm::ReadStatus::Ok && status != shm::ReadStatus::Lapped) break;
    }
    std::memcpy(bytes + at, &was, 8);
  }
}

TEST(CDecimal, SaysWhatToDecimalSays) {
  char text[MDP_SHM_DECIMAL_SIZE];
  for (std::uint64_t n = 0; n < 20'000; ++n) {
    const auto exponent = static_cast<std::int8_t>(test::mix(n) % 256);
    std::uint64_t magnitude = test::mix(~n) >> (test::mix(n + 7) % 64);
    if (n % 3 == 0) magnitude = magnitude / 1000 * 1000;
    const auto mantissa = static_cast<std::int64_t>(magnitude);
    ASSERT_EQ(mdp_shm_decimal(text, mantissa, exponent), shm::to_decimal(mantissa, exponent))
        << mantissa << " e " << int{exponent};
  }
  EXPECT_STREQ(mdp_shm_decimal(text, INT64_MIN, -128), shm::to_decimal(INT64_MIN, -128).c_str());
  EXPECT_STREQ(mdp_shm_decimal(text, INT64_MIN, 127), shm::to_decimal(INT64_MIN, 127).c_str());
  EXPECT_STREQ(mdp_shm_decimal(text, 0, -8), "0");
}

}  // namespace
}  // namespace mdp::publish
