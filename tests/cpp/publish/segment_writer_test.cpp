// A segment as processes see it: made, found by name, stopped, replaced. On every platform.
#include "mdp/publish/segment_writer.hpp"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>

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

TEST(SegmentWriter, EveryChangeOfTheDirectoryMovesItsEpoch) {
  MemorySegment segment;
  const shm::Directory directory(segment.view());
  std::uint64_t last = directory.epoch();
  const auto moved = [&] { return std::exchange(last, directory.epoch()) < directory.epoch(); };
  EXPECT_FALSE(moved());
  segment->directory().set_venue(1, "v");
  EXPECT_TRUE(moved());
  segment->directory().set_instrument(btc(0));
  EXPECT_TRUE(moved());
  segment->directory().set_instrument(btc(0));
  EXPECT_TRUE(moved());
  segment->directory().remove_instrument(0);
  EXPECT_TRUE(moved());
  segment->directory().remove_instrument(5);
  EXPECT_FALSE(moved());
  EXPECT_EQ(shm::Directory().epoch(), 0U);
}

// The index finds what a walk over all entries finds, also after names changed and came back.
TEST(SegmentWriter, TheIndexFindsEachOfThousands) {
  constexpr std::uint32_t kCount = 10'000;
  SegmentConfig config;
  config.instruments = kCount;
  config.ring = shm::kMinRingBytes;
  MemorySegment segment(config);
  const shm::Directory directory(segment.view());
  const auto named = [](std::uint32_t id, const std::string& suffix) {
    core::Instrument instrument = btc(id);
    // Two venues: each name twice.
    instrument.venue_symbol = std::to_string(id % (kCount / 2)).append(suffix);
    instrument.canonical_symbol = std::string(id < kCount / 2 ? "a:" : "b:").append(instrument.venue_symbol);
    return instrument;
  };
  for (std::uint32_t id = 0; id < kCount; ++id) segment->directory().set_instrument(named(id, ""));
  for (std::uint32_t id = 0; id < 100; ++id) segment->directory().set_instrument(named(id, "-renamed"));
  for (std::uint32_t id = 0; id < 50; ++id) segment->directory().set_instrument(named(id, ""));
  for (std::uint32_t id = 200; id < 300; ++id) segment->directory().remove_instrument(id);
  shm::InstrumentEntry entry;
  for (std::uint32_t id = 0; id < kCount; ++id) {
    const bool renamed = id >= 50 && id < 100;
    const bool removed = id >= 200 && id < 300;
    const core::Instrument instrument = named(id, renamed ? "-renamed" : "");
    ASSERT_EQ(directory.find(instrument.canonical_symbol, entry), !removed) << id;
    if (!removed) {
      ASSERT_EQ(entry.symbol_id, id);
    }
    if (id < kCount / 2) {
      ASSERT_TRUE(directory.find(instrument.venue_symbol, entry)) << id;
      ASSERT_EQ(entry.symbol_id, removed ? id + kCount / 2 : id) << "the smallest id that is active";
    }
  }
  EXPECT_FALSE(directory.find(named(60, "").canonical_symbol, entry)) << "a name that no instrument has now";
  EXPECT_FALSE(directory.find("", entry));
  EXPECT_FALSE(shm::Directory().find("a:1", entry));
}

TEST(SegmentWriter, AFullIndexIsAnErrorThatChangesNothing) {
  SegmentConfig config;
  config.instruments = 1;
  config.ring = shm::kMinRingBytes;
  MemorySegment segment(config);
  const shm::Directory directory(segment.view());
  core::Instrument instrument = btc(0);
  shm::InstrumentEntry entry;
  const auto rename = [&](int n) {
    instrument.venue_symbol = std::to_string(n);
    instrument.canonical_symbol = std::string("a:").append(instrument.venue_symbol);
    segment->directory().set_instrument(instrument);
  };
  const auto slots = static_cast<int>(segment.view().info().index.size_bytes / sizeof(shm::Word));
  for (int n = 0; n < slots / 2; ++n) rename(n);
  const std::uint64_t epoch = directory.epoch();
  try {
    rename(slots);
    FAIL() << "there is no room";
  } catch (const SegmentError& error) {
    EXPECT_NE(std::string(error.what()).find("too many instruments were renamed"), std::string::npos);
  }
  EXPECT_EQ(directory.epoch(), epoch);
  const std::string last = std::to_string(slots / 2 - 1);
  ASSERT_TRUE(directory.find(last, entry));
  EXPECT_EQ(shm::text(entry.venue_symbol), last);
  EXPECT_FALSE(directory.find(std::to_string(slots), entry)) << "a search ends in a full index, too";
}

TEST(SegmentWriter, AnEntryDescribesOptionsAndContracts) {
  MemorySegment segment;
  core::Instrument instrument = btc(0);
  instrument.kind = shm::InstrumentKind::Option;
  instrument.settle = "BTC";
  instrument.inverse = true;
  instrument.contract_size = 1;
  instrument.option_right = shm::OptionRight::Put;
  instrument.strike_price = 45'000;
  instrument.strike_exponent = 0;
  instrument.underlying = "BTC-27MAR26";
  instrument.min_quantity = 10'000;
  instrument.max_quantity = 900'000'000;
  instrument.min_notional = 5;
  instrument.notional_exponent = 1;
  segment->directory().set_instrument(instrument);
  const shm::Directory directory(segment.view());
  shm::InstrumentEntry entry;
  ASSERT_TRUE(directory.instrument(0, entry));
  EXPECT_EQ(entry.kind, shm::InstrumentKind::Option);
  EXPECT_EQ(entry.settlement, shm::Settlement::Inverse);
  EXPECT_EQ(entry.contract_unit, shm::ContractUnit::Quote);
  EXPECT_EQ(entry.option_right, shm::OptionRight::Put);
  EXPECT_EQ(entry.strike_price, 45'000);
  EXPECT_EQ(shm::text(entry.underlying), "BTC-27MAR26");
  EXPECT_EQ(entry.min_quantity, 10'000);
  EXPECT_EQ(entry.max_quantity, 900'000'000);
  EXPECT_EQ(entry.min_notional, 5);
  EXPECT_EQ(entry.notional_exponent, 1);

  instrument.inverse = false;
  instrument.settle = "USDT";
  segment->directory().set_instrument(instrument);
  ASSERT_TRUE(directory.instrument(0, entry));
  EXPECT_EQ(entry.settlement, shm::Settlement::Linear);
  EXPECT_EQ(entry.contract_unit, shm::ContractUnit::Base);
  instrument.settle = "ETH";
  segment->directory().set_instrument(instrument);
  ASSERT_TRUE(directory.instrument(0, entry));
  EXPECT_EQ(entry.settlement, shm::Settlement::Quanto);
  segment->directory().set_instrument(btc(0));
  ASSERT_TRUE(directory.instrument(0, entry));
  EXPECT_EQ(entry.settlement, shm::Settlement::None) << "spot";
  EXPECT_EQ(entry.contract_unit, shm::ContractUnit::None);
}

TEST(SegmentWriter, DirectoryRefusesWhatDoesNotFit) {
  MemorySegment segment;
  EXPECT_THROW(segment->directory().set_instrument(btc(16)), SegmentError);
  core::Instrument wordy = btc(0);
  wordy.canonical_symbol = std::string(97, 'x');
  EXPECT_THROW(segment->directory().set_instrument(wordy), SegmentError);
  wordy.canonical_symbol = std::string(96, 'x');
  segment->directory().set_instrument(wordy);
  shm::InstrumentEntry entry;
  EXPECT_TRUE(shm::Directory(segment.view()).find(std::string(96, 'x'), entry));
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
  instrument.status = "PRE_TRADING_OF_DAY_1_\xE5\xB8\x81\xE5\xB8\x81";
  segment->directory().set_instrument(instrument);
  ASSERT_TRUE(directory.instrument(0, entry));
  EXPECT_EQ(shm::text(entry.venue_status), "PRE_TRADING_OF_DAY_1_\xE5\xB8\x81")
      << "24 bytes hold one more of them";
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
  segment.heartbeat_at(1);
  EXPECT_EQ(subscriber.check_publisher(), ReadStatus::PublisherStale)
      << "its lock is held, however old the heartbeat";
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
