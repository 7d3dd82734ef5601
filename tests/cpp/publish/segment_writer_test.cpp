// A segment as processes see it: made, found by name, stopped, killed, replaced; and hostile ones.
#include "mdp/publish/segment_writer.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <random>
#include <string>
#include <thread>

#include "mdp/core/error.hpp"
#include "mdp/publish/ipc_publisher.hpp"
#include "publish/test_segment.hpp"

namespace mdp::publish {
namespace {

using shm::AttachStatus;
using shm::Event;
using shm::ReadStatus;
using shm::Start;
using shm::Subscriber;
using test::MemorySegment;
using test::small_config;
using test::unique_name;

SegmentConfig named_config() {
  SegmentConfig config = small_config();
  config.name = unique_name();
  return config;
}

core::Instrument btc(core::SymbolId symbol_id) {
  core::Instrument result;
  result.symbol_id = symbol_id;
  result.exchange_id = 1;
  result.venue_symbol = "BTCUSDT";
  result.canonical_symbol = "binance:BTC-USDT";
  result.base = "BTC";
  result.quote = "USDT";
  result.status = "TRADING";
  result.price_exponent = -2;
  result.quantity_exponent = -5;
  result.tick_size = 1;
  result.lot_size = 1;
  return result;
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
  EXPECT_EQ(subscriber.view().info().publisher_pid, static_cast<std::uint32_t>(::getpid()));
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

TEST(SegmentWriter, BadValuesAreNamedWithTheirLimits) {
  const auto error_with = [](auto edit) {
    SegmentConfig config = named_config();
    edit(config);
    return error_of(config);
  };
  EXPECT_NE(error_with([](auto& c) { c.ring_bytes = 100'000; }).find("ring_bytes is 100000"),
            std::string::npos);
  EXPECT_NE(error_with([](auto& c) { c.ring_bytes = 4096; }).find("65536"), std::string::npos);
  EXPECT_NE(error_with([](auto& c) { c.levels_per_side = 129; }).find("1 to 128"), std::string::npos);
  EXPECT_NE(error_with([](auto& c) { c.instrument_capacity = 0; }).find("instrument_capacity"),
            std::string::npos);
  EXPECT_NE(error_with([](auto& c) { c.name = "../x"; }).find("../x"), std::string::npos);
  EXPECT_NE(error_with([](auto& c) { c.name = ""; }).find("segment name"), std::string::npos);
}

TEST(SegmentWriter, SecondPublisherIsToldWhoOwnsTheName) {
  const SegmentConfig config = named_config();
  const SegmentWriter segment(config);
  const std::string error = error_of(config);
  EXPECT_NE(error.find(config.name), std::string::npos) << error;
  EXPECT_NE(error.find(std::to_string(::getpid())), std::string::npos) << error;
}

TEST(SegmentWriter, LeavesNothingBehindAndTellsItsReaders) {
  const SegmentConfig config = named_config();
  Subscriber subscriber;
  {
    SegmentWriter segment(config);
    IPCPublisher publisher(segment);
    struct stat info{};
    ASSERT_EQ(::stat(("/dev/shm/" + config.name).c_str(), &info), 0);
    EXPECT_EQ(info.st_mode & 0777, 0640U);
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
  event.header.flags = shm::kFlagTableOnly;
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

// ---- death
// ------------------------------------------------------------------------------------------------------------

constexpr std::size_t kCrashLevels = 64;

// Publishes until it is killed: checked records into the ring, and a book of which every number is the same.
[[noreturn]] void publish_until_killed(const SegmentConfig& config) {
  try {
    SegmentWriter segment(config);
    segment.directory().set_instrument(btc(0));
    IPCPublisher publisher(segment);
    Event event;
    for (std::uint64_t n = 0;; ++n) {
      test::fill_event(event, n, kCrashLevels);
      publisher.publish(event);
      event.header.type = shm::EventType::BookSnapshot;
      event.header.flags = shm::kFlagTableOnly;
      event.header.symbol_id = 0;
      event.header.bid_count = event.header.ask_count = 8;
      for (int i = 0; i < 16; ++i)
        event.levels[i] = {static_cast<std::int64_t>(n), static_cast<std::int64_t>(n)};
      publisher.publish(event);
    }
  } catch (const std::exception&) {
    ::_exit(1);
  }
}

void expect_whole_book(const Subscriber& subscriber) {
  shm::Book book;
  const shm::BookStatus status = subscriber.read_book(0, book);
  ASSERT_TRUE(status == shm::BookStatus::Ok || status == shm::BookStatus::Busy);
  if (status != shm::BookStatus::Ok || book.bids.empty()) return;
  for (const auto& side : {book.bids, book.asks}) {
    for (const shm::PriceLevel& level : side) {
      ASSERT_EQ(level.price, static_cast<std::int64_t>(book.entry.update_id));
      ASSERT_EQ(level.quantity, level.price);
    }
  }
}

TEST(Crash, PublisherKilledAtAnyInstantNeverShowsATornRecord) {
  constexpr int kKills = 50;
  const SegmentConfig config = named_config();
  std::mt19937_64 random(20260101);
  Subscriber subscriber;
  std::uint64_t read = 0;
  int busy = 0;
  for (int kill = 0; kill < kKills; ++kill) {
    const pid_t publisher = ::fork();
    if (publisher == 0) publish_until_killed(config);
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(30);
    AttachStatus attached = AttachStatus::NotFound;
    while (attached != AttachStatus::Ok && std::chrono::steady_clock::now() < deadline) {
      attached = kill == 0 ? subscriber.open(config.name, Start::Oldest) : subscriber.reattach();
      std::this_thread::yield();
    }
    ASSERT_EQ(attached, AttachStatus::Ok) << to_string(attached);
    ASSERT_EQ(subscriber.view().info().publisher_pid, static_cast<std::uint32_t>(publisher));

    const std::uint64_t until = 1 + random() % 3000;
    std::uint64_t seen = 0;
    bool killed = false;
    Event event;
    for (;;) {
      const ReadStatus status = subscriber.poll(event);
      if (status == ReadStatus::Ok) {
        ASSERT_TRUE(test::intact(event, kCrashLevels));
        ASSERT_EQ(event.header.update_id, event.header.sequence);
        ++seen;
      } else if (status == ReadStatus::Empty) {
        if (killed) break;
        std::this_thread::yield();
      } else {
        ASSERT_EQ(status, ReadStatus::Lapped) << to_string(status);
      }
      if (!killed && seen >= until) {
        expect_whole_book(subscriber);
        ASSERT_EQ(::kill(publisher, SIGKILL), 0);
        ASSERT_EQ(::waitpid(publisher, nullptr, 0), publisher);
        killed = true;
      }
    }
    read += seen;
    ASSERT_EQ(subscriber.check_publisher(0), ReadStatus::PublisherDead);
    shm::Book book;
    busy += subscriber.read_book(0, book) == shm::BookStatus::Busy ? 1 : 0;
    expect_whole_book(subscriber);
  }
  RecordProperty("books_left_inside_a_write", busy);
  EXPECT_GT(read, static_cast<std::uint64_t>(kKills));
  // The stale segment of the last one does not stop a new start, whose clean stop leaves nothing.
  {
    const SegmentWriter segment(config);
  }
  EXPECT_EQ(Subscriber().open(config.name), AttachStatus::NotFound);
}

// ---- hostile segments
// -------------------------------------------------------------------------------------------------

// Everything a reader can do, on memory that may say anything.
void read_everything(const shm::SegmentView& view) {
  const shm::Directory directory(view);
  const shm::BookTable table(view);
  shm::VenueEntry venue;
  shm::InstrumentEntry entry;
  shm::Book book;
  for (std::uint32_t i = 0; i < directory.venue_count(); ++i) static_cast<void>(directory.venue(i, venue));
  static_cast<void>(directory.find("no such symbol", entry));
  for (std::uint32_t i = 0; i < 20; ++i) static_cast<void>(table.read(i, book));
  for (const Start start : {Start::Oldest, Start::Newest}) {
    shm::RingReader reader(view, start);
    if (start == Start::Newest) reader.start_at(book.entry.ring_position, book.entry.next_sequence);
    std::uint64_t sum = 0;
    for (int polls = 0; polls < 200; ++polls) {
      Event event;
      const ReadStatus status = reader.poll(event);
      if (status == ReadStatus::Corrupt || status == ReadStatus::Empty || status == ReadStatus::Stopped)
        break;
      if (status != ReadStatus::Ok) continue;
      const bool has_levels =
          event.header.type == shm::EventType::BookDelta || event.header.type == shm::EventType::BookSnapshot;
      const std::size_t levels =
          has_levels ? std::size_t{event.header.bid_count} + event.header.ask_count : 0;
      for (std::size_t i = 0; i < levels; ++i) sum += static_cast<std::uint64_t>(event.levels[i].price);
    }
    EXPECT_GE(sum + 1, sum == ~0ULL ? 0 : 1);  // used, so that no read is optimized away
  }
}

TEST(Mutation, CorruptSegmentsAreRefusedOrReadWithoutHarm) {
  constexpr int kMutants = 4000;
  MemorySegment original;
  original->directory().set_venue(1, "venue");
  for (std::uint32_t id = 0; id < 16; ++id) original->directory().set_instrument(btc(id));
  for (std::uint64_t n = 0; n < 300; ++n) test::write_event(original->ring(), n);
  std::unique_ptr<void, decltype(&std::free)> memory(std::aligned_alloc(64, original.size()), &std::free);
  auto* bytes = static_cast<unsigned char*>(memory.get());
  std::mt19937_64 random(4711);
  int attached = 0;
  for (int mutant = 0; mutant < kMutants; ++mutant) {
    std::memcpy(bytes, original.data(), original.size());
    const auto edits = 1 + random() % 8;
    for (std::uint64_t i = 0; i < edits; ++i) {
      // The header, the start of some record's header, or anywhere.
      const std::uint64_t kind = random() % 4;
      std::size_t at = random() % original.size();
      if (kind == 0) at = 8 + random() % 184;
      if (kind == 1) at = 192 + random() % 832;
      if (kind == 2) at = at / 64 * 64 + random() % 24;
      static constexpr std::array<unsigned char, 4> kEdges = {0x00, 0xFF, 0x80, 0x7F};
      bytes[at] = random() % 2 == 0 ? kEdges[random() % 4] : static_cast<unsigned char>(random());
      if (random() % 4 == 0 && at + 8 <= original.size()) {
        const std::uint64_t value = random() % 2 == 0 ? ~random() % 256 : 0 - (random() % 256) * 64;
        std::memcpy(bytes + at / 8 * 8, &value, sizeof(value));
      }
    }
    shm::SegmentView view;
    if (shm::SegmentView::attach(bytes, original.size(), view) != AttachStatus::Ok) continue;
    ++attached;
    read_everything(view);
  }
  EXPECT_GT(attached, kMutants / 10) << "the mutations must not all stop at the header";
}

TEST(Mutation, TruncatedFileIsNotMapped) {
  const std::string name = unique_name();
  const int fd = ::shm_open(("/" + name).c_str(), O_CREAT | O_EXCL | O_RDWR, 0600);
  ASSERT_GE(fd, 0);
  EXPECT_EQ(Subscriber().open(name), AttachStatus::NotReady) << "created, not sized yet";
  ASSERT_EQ(::ftruncate(fd, 4096), 0);
  EXPECT_EQ(Subscriber().open(name), AttachStatus::NotReady) << "sized, not formatted yet";
  const MemorySegment segment;
  ASSERT_EQ(::pwrite(fd, &segment.view().header(), 4096, 0), 4096);
  EXPECT_EQ(Subscriber().open(name), AttachStatus::Corrupt) << "its sections are not there";
  ::close(fd);
  ::shm_unlink(("/" + name).c_str());
}

}  // namespace
}  // namespace mdp::publish
