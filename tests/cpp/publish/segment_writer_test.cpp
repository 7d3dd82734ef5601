// A segment as processes see it: made, found by name, stopped, replaced. On every platform.
#include "mdp/publish/segment_writer.hpp"

#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "mdp/core/error.hpp"
#include "mdp/core/text.hpp"
#include "mdp/publish/ipc_publisher.hpp"
#include "publish/test_segment.hpp"

namespace mdp::publish {
namespace {

using shm::AttachStatus;
using shm::Event;
using shm::ReadStatus;
using shm::Start;
using shm::Subscriber;
using test::btc;
using test::MemorySegment;
using test::small_config;
using test::unique_name;

SegmentConfig named_config() {
  SegmentConfig config = small_config();
  config.name = unique_name();
  return config;
}

std::string error_of(const SegmentConfig& config) {
  try {
    const SegmentWriter segment(config);
  } catch (const SegmentError& error) {
    return error.what();
  }
  return "";
}

TEST(SegmentWriter, IsFoundByNameWithItsDirectory) {
  const SegmentConfig config = named_config();
  SegmentWriter segment(config);
  segment.directory().set_venue(1, "binance_spot");
  segment.directory().set_instrument(btc(2));
  Subscriber subscriber;
  ASSERT_EQ(subscriber.open(config.name), AttachStatus::Ok);
  EXPECT_EQ(subscriber.view().info().publisher_pid, sys::process_id());
  EXPECT_EQ(subscriber.directory().instrument_count(), 3U);
  shm::VenueEntry venue;
  ASSERT_TRUE(subscriber.directory().venue(0, venue));
  EXPECT_EQ(shm::text(venue.name), "binance_spot");
  shm::InstrumentEntry entry;
  for (const char* symbol : {"BTCUSDT", "binance:BTC-USDT"}) {
    ASSERT_TRUE(subscriber.find(symbol, entry)) << symbol;
    EXPECT_EQ(entry.symbol_id, 2U);
    EXPECT_EQ(entry.price_exponent, -2);
    EXPECT_EQ(entry.quantity_exponent, -5);
    EXPECT_EQ(shm::text(entry.base), "BTC");
    EXPECT_EQ(shm::text(entry.venue_status), "TRADING");
  }
  EXPECT_FALSE(subscriber.find("ETHUSDT", entry));
  EXPECT_FALSE(subscriber.directory().instrument(0, entry)) << "ids below that are not in use";
}

TEST(SegmentWriter, InstrumentsComeAndGoWhileReadersAreAttached) {
  MemorySegment segment;
  const shm::Directory directory(segment.view());
  shm::InstrumentEntry entry;
  EXPECT_FALSE(directory.find("BTCUSDT", entry));
  segment->directory().set_instrument(btc(0));
  EXPECT_TRUE(directory.find("BTCUSDT", entry));
  core::Instrument changed = btc(0);
  changed.tick_size = 5;
  segment->directory().set_instrument(changed);
  ASSERT_TRUE(directory.find("BTCUSDT", entry));
  EXPECT_EQ(entry.tick_size, 5);
  EXPECT_TRUE(segment->directory().remove_instrument(0));
  EXPECT_FALSE(directory.find("BTCUSDT", entry));
  ASSERT_TRUE(directory.instrument(0, entry));
  EXPECT_EQ(entry.status, shm::InstrumentStatus::Removed);
  EXPECT_FALSE(segment->directory().remove_instrument(1));
}

TEST(SegmentWriter, DirectoryRefusesWhatDoesNotFit) {
  MemorySegment segment;
  EXPECT_THROW(segment->directory().set_instrument(btc(16)), SegmentError);
  core::Instrument wordy = btc(0);
  wordy.canonical_symbol = std::string(65, 'x');
  EXPECT_THROW(segment->directory().set_instrument(wordy), SegmentError);
  wordy.canonical_symbol = std::string(64, 'x');
  segment->directory().set_instrument(wordy);
  shm::InstrumentEntry entry;
  EXPECT_TRUE(shm::Directory(segment.view()).find(std::string(64, 'x'), entry));
  for (std::uint16_t id = 0; id < 4; ++id) segment->directory().set_venue(id, "v");
  EXPECT_THROW(segment->directory().set_venue(4, "v"), SegmentError);
  segment->directory().set_venue(3, "renamed");
}

TEST(SegmentWriter, DirectoryHoldsOnlyNamesThatAreText) {
  MemorySegment segment;
  using Name = std::string core::Instrument::*;
  for (const Name name : {&core::Instrument::venue_symbol, &core::Instrument::canonical_symbol,
                          &core::Instrument::base, &core::Instrument::quote, &core::Instrument::settle}) {
    for (const char* bad : {"Malm\xF6", "cut \xE5\xB8", "a\x1B[31m", "two\nlines"}) {
      core::Instrument instrument = btc(0);
      instrument.*name = bad;
      try {
        segment->directory().set_instrument(instrument);
        FAIL() << bad;
      } catch (const SegmentError& error) {
        EXPECT_TRUE(core::is_printable(error.what())) << error.what();
        EXPECT_NE(std::string(error.what()).find("no UTF-8"), std::string::npos) << error.what();
      }
    }
  }
  EXPECT_EQ(shm::Directory(segment.view()).instrument_count(), 0U) << "nothing was written";
}

TEST(SegmentWriter, AStatusIsMadeToFit) {
  MemorySegment segment;
  const shm::Directory directory(segment.view());
  shm::InstrumentEntry entry;
  core::Instrument instrument = btc(0);
  instrument.status = "PRE_TRADING_\xE5\xB8\x81\xE5\xB8\x81";
  segment->directory().set_instrument(instrument);
  ASSERT_TRUE(directory.instrument(0, entry));
  EXPECT_EQ(shm::text(entry.venue_status), "PRE_TRADING_\xE5\xB8\x81") << "16 bytes hold one more of them";
  instrument.status = "HALT\xE9";
  segment->directory().set_instrument(instrument);
  ASSERT_TRUE(directory.instrument(0, entry));
  EXPECT_EQ(shm::text(entry.venue_status), "HALT\xEF\xBF\xBD");
}

TEST(SegmentWriter, BadValuesAreNamedWithTheirLimits) {
  const auto error_with = [](auto edit) {
    SegmentConfig config = named_config();
    edit(config);
    return error_of(config);
  };
  EXPECT_NE(error_with([](auto& c) { c.ring = 100'000; }).find("ring is 100000"), std::string::npos);
  EXPECT_NE(error_with([](auto& c) { c.ring = 4096; }).find("65536"), std::string::npos);
  EXPECT_NE(error_with([](auto& c) { c.levels = 129; }).find("1 to 128"), std::string::npos);
  EXPECT_NE(error_with([](auto& c) { c.instruments = 0; }).find("instruments"), std::string::npos);
  EXPECT_NE(error_with([](auto& c) { c.name = "../x"; }).find("../x"), std::string::npos);
  EXPECT_NE(error_with([](auto& c) { c.name = ""; }).find("segment name"), std::string::npos);
}

TEST(SegmentWriter, SecondPublisherIsToldWhoOwnsTheName) {
  const SegmentConfig config = named_config();
  const SegmentWriter segment(config);
  const std::string error = error_of(config);
  EXPECT_NE(error.find(config.name), std::string::npos) << error;
  EXPECT_NE(error.find(std::to_string(sys::process_id())), std::string::npos) << error;
}

TEST(SegmentWriter, LeavesNothingBehindAndTellsItsReaders) {
  const SegmentConfig config = named_config();
  Subscriber subscriber;
  {
    SegmentWriter segment(config);
    IPCPublisher publisher(segment);
    ASSERT_EQ(subscriber.open(config.name), AttachStatus::Ok);
  }
  Event event;
  EXPECT_EQ(subscriber.poll(event), ReadStatus::Stopped);
  EXPECT_EQ(subscriber.check_publisher(0), ReadStatus::Stopped);
  EXPECT_EQ(Subscriber().open(config.name), AttachStatus::NotFound);
  EXPECT_EQ(subscriber.reattach(), AttachStatus::NotFound);
}

TEST(Subscriber, FindsARestartedPublisherAgain) {
  const SegmentConfig config = named_config();
  auto first = std::make_unique<SegmentWriter>(config);
  Subscriber subscriber;
  ASSERT_EQ(subscriber.open(config.name), AttachStatus::Ok);
  const std::uint64_t generation = subscriber.view().info().generation;
  EXPECT_NE(subscriber.reattach(), AttachStatus::Ok) << "it is still the same";
  first.reset();
  SegmentWriter second(config);
  test::write_event(second.ring(), 0);
  ASSERT_EQ(subscriber.reattach(), AttachStatus::Ok);
  EXPECT_NE(subscriber.view().info().generation, generation);
  Event event;
  ASSERT_EQ(subscriber.poll(event), ReadStatus::Ok) << "its first event was not missed";
  EXPECT_TRUE(test::intact(event));
}

TEST(Subscriber, PublisherIsNotOverWhileItsEventsAreUnread) {
  const SegmentConfig config = named_config();
  SegmentWriter segment(config);
  Subscriber subscriber;
  ASSERT_EQ(subscriber.open(config.name), AttachStatus::Ok);
  EXPECT_EQ(subscriber.check_publisher(-1), ReadStatus::PublisherStale)
      << "its process is there, however old the heartbeat";
  test::write_event(segment.ring(), 0);
  segment.set_state(shm::SegmentState::Stopped);
  EXPECT_EQ(subscriber.check_publisher(0), ReadStatus::Empty);
  Event event;
  EXPECT_EQ(subscriber.poll(event), ReadStatus::Ok);
  EXPECT_EQ(subscriber.check_publisher(0), ReadStatus::Stopped);
}

TEST(Subscriber, JoinContinuesFromTheBook) {
  const SegmentConfig config = named_config();
  SegmentWriter segment(config);
  IPCPublisher publisher(segment);
  segment.directory().set_instrument(btc(0));
  Event event{};
  event.header.type = shm::EventType::BookSnapshot;
  event.header.flags = core::kFlagTableOnly;
  event.header.bid_count = 1;
  event.levels[0] = {100, 5};
  publisher.publish(event);
  Subscriber subscriber;
  ASSERT_EQ(subscriber.open(config.name), AttachStatus::Ok);
  test::write_event(segment.ring(), 0);
  shm::Book book;
  ASSERT_EQ(subscriber.join(0, book), shm::BookStatus::Ok);
  EXPECT_EQ(book.bids.at(0), (shm::PriceLevel{100, 5}));
  ASSERT_EQ(subscriber.poll(event), ReadStatus::Ok);
  EXPECT_TRUE(test::intact(event));
}

}  // namespace
}  // namespace mdp::publish
