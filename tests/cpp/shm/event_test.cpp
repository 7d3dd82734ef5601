// Typed access to an event's body, and what the enums are called.
#include "mdp/shm/event.hpp"

#include <gtest/gtest.h>

#include <cctype>
#include <set>
#include <string>
#include <type_traits>

#include "mdp/shm/shm.hpp"

namespace mdp::shm {
namespace {

Event event_of(EventType type) {
  Event event{};
  event.header.type = type;
  return event;
}

template <class Body>
bool is_only_body_of(EventType type) {
  for (int i = 0; i < 256; ++i) {
    const Event event = event_of(static_cast<EventType>(i));
    const Body* body = event.get_if<Body>();
    if ((body != nullptr) != (event.header.type == type)) return false;
    if (body != nullptr && static_cast<const void*>(body) != static_cast<const void*>(event.levels))
      return false;
  }
  return true;
}

TEST(Event, BodyIsGivenForItsOwnTypeAlone) {
  EXPECT_TRUE(is_only_body_of<BookStateBody>(EventType::BookState));
  EXPECT_TRUE(is_only_body_of<BboBody>(EventType::Bbo));
  EXPECT_TRUE(is_only_body_of<TradeBody>(EventType::Trade));
  EXPECT_TRUE(is_only_body_of<ConnectionStatusBody>(EventType::ConnectionStatus));
  EXPECT_TRUE(is_only_body_of<MarkPriceBody>(EventType::MarkPrice));
  EXPECT_TRUE(is_only_body_of<LiquidationBody>(EventType::Liquidation));
}

TEST(Event, BodyIsWhatWasWritten) {
  Event event = event_of(EventType::BookState);
  event.book_state = {90, 110, BookState::Stale, StateReason::Gap, {}};
  const BookStateBody* body = event.get_if<BookStateBody>();
  ASSERT_NE(body, nullptr);
  EXPECT_EQ(body->known_bid, 90);
  EXPECT_EQ(body->known_ask, 110);
  EXPECT_EQ(body->state, BookState::Stale);
  EXPECT_EQ(body->reason, StateReason::Gap);
}

TEST(Event, LevelsAreBidsThenAsks) {
  for (const EventType type : {EventType::BookDelta, EventType::BookSnapshot}) {
    Event event = event_of(type);
    event.header.bid_count = 1;
    event.header.ask_count = 2;
    event.levels[0] = {99, 1};
    event.levels[1] = {101, 2};
    event.levels[2] = {102, 3};
    ASSERT_EQ(event.bids().size(), 1U);
    EXPECT_EQ(event.bids()[0], (PriceLevel{99, 1}));
    std::int64_t quantity = 0;
    for (const PriceLevel& level : event.asks()) quantity += level.quantity;
    EXPECT_EQ(quantity, 5);
  }
}

// The counts of another type mean nothing: a publisher of a later version may use them.
TEST(Event, EventsThatAreNoBookHaveNoLevelsWhateverTheyCount) {
  for (int i = 0; i < 256; ++i) {
    Event event = event_of(static_cast<EventType>(i));
    event.header.bid_count = event.header.ask_count = 0xFFFF;
    if (event.has_levels()) continue;
    EXPECT_TRUE(event.bids().empty() && event.asks().empty()) << i;
  }
}

// The number that docs/wire-format.md gives as an example, and what the sum has to notice.
TEST(Checksum, OfALevelIsTheDocumentsAndTellsSidesPricesAndQuantitiesApart) {
  EXPECT_EQ(level_checksum(100, 5, false), 50'505U);
  EXPECT_EQ(level_checksum(100, 5, true), std::uint64_t{0} - 50'505U);
  EXPECT_EQ(level_checksum(6'000'000'000'000, 150'000'000, true), 0x3832'B317'B7F2'E80U);
  EXPECT_NE(level_checksum(5, 100, false), level_checksum(100, 5, false));
  EXPECT_NE(level_checksum(100, 5, false) + level_checksum(101, 6, false),
            level_checksum(100, 6, false) + level_checksum(101, 5, false));
  // No change of one bit is lost, and no level adds nothing.
  for (int bit = 0; bit < 63; ++bit) {
    const std::int64_t other = std::int64_t{1} << bit;
    EXPECT_NE(level_checksum(100 ^ other, 5, false), level_checksum(100, 5, false)) << bit;
    EXPECT_NE(level_checksum(100, 5 ^ other, false), level_checksum(100, 5, false)) << bit;
    EXPECT_NE(level_checksum(other, other, false), 0U) << bit;
  }
}

TEST(Checksum, StandsBehindTheLevelsOfARecord) {
  Event event = event_of(EventType::BookDelta);
  event.header.bid_count = 2;
  event.header.ask_count = 1;
  EXPECT_EQ(body_bytes(event.header), 48);
  EXPECT_FALSE(event.has_checksum());
  event.header.flags = kFlagChecksum;
  event.levels[3] = {77, 1};
  EXPECT_EQ(body_bytes(event.header), 56);
  EXPECT_TRUE(event.has_checksum());
  EXPECT_EQ(event.checksum(), 77U);
  event.header.bid_count = event.header.ask_count = 0xFFFF;  // of a corrupt record: not followed
  static_cast<void>(event.checksum());
  event.header.type = EventType::Trade;
  EXPECT_FALSE(event.has_checksum());
}

// Every enumerator up to `last` has a word of its own, and what lies beyond is unknown. `gaps` have none.
template <class Enum>
void expect_words(Enum last, const std::set<int>& gaps = {}) {
  std::set<std::string> words;
  const int count = static_cast<int>(last) + 1;
  for (int i = 0; i < count; ++i) {
    const std::string word = to_string(static_cast<Enum>(i));
    EXPECT_EQ(word == "unknown", gaps.count(i) != 0) << i;
    EXPECT_TRUE(gaps.count(i) != 0 || words.insert(word).second) << word;
  }
  EXPECT_STREQ(to_string(static_cast<Enum>(count)), "unknown");
}

TEST(Names, EveryEnumHasWordsOfItsOwn) {
  expect_words(EventType::Liquidation);
  expect_words(BookState::Live);
  expect_words(StateReason::SequenceReset, {15});
  expect_words(LineState::Up);
  expect_words(Side::Sell);
  expect_words(InstrumentKind::Option);
  expect_words(Settlement::Quanto);
  expect_words(ContractUnit::Quote);
  expect_words(OptionRight::Put);
  expect_words(InstrumentStatus::Removed);
  expect_words(SegmentState::Stopped);
  expect_words(AttachStatus::Untrusted);
  expect_words(ReadStatus::NoRoom);
  expect_words(BookStatus::NoMemory);
  expect_words(PublisherStatus::Replaced);
  expect_words(Start::Oldest);
  expect_words(Wait::Bell);
}

TEST(ReadStatus, EndsALoopWhenNothingCanFollow) {
  for (const ReadStatus status :
       {ReadStatus::Stopped, ReadStatus::PublisherDead, ReadStatus::Corrupt, ReadStatus::NotAttached}) {
    EXPECT_TRUE(ended(status)) << to_string(status);
  }
  for (const ReadStatus status :
       {ReadStatus::Ok, ReadStatus::Empty, ReadStatus::Lapped, ReadStatus::PublisherStale}) {
    EXPECT_FALSE(ended(status)) << to_string(status);
  }
}

}  // namespace
}  // namespace mdp::shm
