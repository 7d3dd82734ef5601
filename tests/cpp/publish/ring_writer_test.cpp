// The ring from both sides: publish::RingWriter and shm::RingReader.
#include "mdp/publish/ring_writer.hpp"

#include <gtest/gtest.h>

#include <thread>

#include "publish/test_segment.hpp"

namespace mdp::publish {
namespace {

using shm::Event;
using shm::ReadStatus;
using shm::RingReader;
using shm::Start;
using test::fill_event;
using test::intact;
using test::MemorySegment;
using test::small_config;
using test::write_event;

// Everything a reader is told until there is nothing more.
struct Seen {
  std::uint64_t events = 0;
  std::uint64_t lost = 0;
  bool sound = true;  // every event intact and in sequence
  ReadStatus end = ReadStatus::Ok;
};

Seen read_all(RingReader& reader) {
  Seen seen;
  Event event;
  for (;;) {
    const std::uint64_t expected = reader.next_sequence();
    const ReadStatus status = reader.poll(event);
    if (status == ReadStatus::Ok) {
      ++seen.events;
      seen.sound = seen.sound && intact(event) && event.header.sequence == expected &&
                   event.header.sequence == event.header.update_id;
    } else if (status == ReadStatus::Lapped) {
      seen.lost += reader.lost_events();
    } else {
      seen.end = status;
      return seen;
    }
  }
}

TEST(RingWriter, RecordArrivesAsWritten) {
  MemorySegment segment;
  RingReader reader(segment.view());
  Event event;
  EXPECT_EQ(reader.poll(event), ReadStatus::Empty);
  write_event(segment->ring(), 0);
  ASSERT_EQ(reader.poll(event), ReadStatus::Ok);
  EXPECT_TRUE(intact(event));
  EXPECT_EQ(event.header.sequence, 0U);
  EXPECT_EQ(reader.poll(event), ReadStatus::Empty);
}

TEST(RingWriter, NothingIsVisibleBeforeCommit) {
  MemorySegment segment;
  RingReader reader(segment.view());
  Event event;
  fill_event(event, 0);
  segment->ring().append(event.header, event.levels, test::body_bytes(event));
  EXPECT_EQ(reader.poll(event), ReadStatus::Empty);
  EXPECT_GT(segment->ring().pending_bytes(), 0U);
  segment->ring().commit();
  EXPECT_EQ(reader.poll(event), ReadStatus::Ok);
}

TEST(RingWriter, RestOfTheLastLineIsZero) {
  MemorySegment segment;
  std::memset(const_cast<unsigned char*>(segment.view().ring()), 0xEE, 256);
  Event event{};
  event.header.type = shm::EventType::BookDelta;
  event.header.bid_count = 1;
  segment->ring().append(event.header, event.levels, 16);
  segment->ring().commit();
  for (int i = 80; i < 128; ++i) EXPECT_EQ(segment.view().ring()[i], 0) << i;
  EXPECT_EQ(segment.view().ring()[128], 0xEE);
}

TEST(RingWriter, KeepsOrderOverManyLapsWithAReaderThatKeepsUp) {
  MemorySegment segment;
  RingReader reader(segment.view());
  for (std::uint64_t n = 0; n < 2000; ++n) {
    write_event(segment->ring(), n);
    const Seen seen = read_all(reader);
    ASSERT_TRUE(seen.sound && seen.events == 1 && seen.lost == 0) << n;
  }
  EXPECT_GT(segment->ring().position(), 10 * shm::kMinRingBytes);
}

TEST(RingWriter, PaddingTakesNoSequenceNumber) {
  MemorySegment segment;
  RingReader reader(segment.view(), Start::Oldest);
  Event event{};
  event.header.type = shm::EventType::BookDelta;
  const auto append_levels = [&](std::uint16_t levels) {
    event.header.bid_count = levels;
    segment->ring().append(event.header, event.levels, 16 * std::size_t{levels});
    segment->ring().commit();
  };
  while (segment->ring().position() + 64 < shm::kMinRingBytes) append_levels(0);
  const std::uint64_t before = segment->ring().sequence();
  append_levels(1);  // 128 bytes do not fit the 64 that are left
  EXPECT_EQ(segment->ring().position(), shm::kMinRingBytes + 128);
  EXPECT_EQ(segment->ring().sequence(), before + 1);
}

TEST(RingWriter, ReaderStepsOverPadding) {
  SegmentConfig config = small_config();
  config.first_position = shm::kMinRingBytes - 64;
  config.first_sequence = 41;
  MemorySegment segment(config);
  RingReader reader(segment.view());
  Event event{};
  event.header.type = shm::EventType::Trade;
  segment->ring().append(event.header, &event.trade, sizeof(event.trade));
  segment->ring().commit();
  ASSERT_EQ(reader.poll(event), ReadStatus::Ok);
  EXPECT_EQ(event.header.sequence, 41U);
  EXPECT_EQ(event.header.type, shm::EventType::Trade);
  EXPECT_EQ(reader.position(), shm::kMinRingBytes + 128);
}

TEST(RingWriter, PositionsWrapAround) {
  SegmentConfig config = small_config();
  config.first_position = 0 - 4 * shm::kMinRingBytes;
  config.first_sequence = 0;
  MemorySegment segment(config);
  RingReader reader(segment.view());
  RingReader slow(segment.view());
  for (std::uint64_t n = 0; n < 400; ++n) {
    write_event(segment->ring(), n);
    const Seen seen = read_all(reader);
    ASSERT_TRUE(seen.sound && seen.events == 1 && seen.lost == 0) << n;
  }
  EXPECT_LT(segment->ring().position(), 100 * shm::kMinRingBytes);  // it did wrap
  const Seen seen = read_all(slow);
  EXPECT_TRUE(seen.sound);
  EXPECT_EQ(seen.events + seen.lost, 400U);
}

TEST(RingReader, CountsExactlyWhatItLostAtEveryPhase) {
  for (std::uint64_t behind = 0; behind < 200; ++behind) {
    MemorySegment segment;
    RingReader reader(segment.view());
    std::uint64_t n = 0;
    for (; n < behind % 13; ++n) write_event(segment->ring(), n);
    const Seen first = read_all(reader);
    ASSERT_EQ(first.events, n);
    for (std::uint64_t i = 0; i < behind; ++i, ++n) write_event(segment->ring(), n);
    const std::uint64_t from = reader.position();
    Event event;
    const bool lapped = reader.poll(event) == ReadStatus::Lapped;
    const std::uint64_t lost = lapped ? reader.lost_events() : 0;
    if (lapped) {
      EXPECT_EQ(reader.lost_bytes(), reader.position() - from);
      EXPECT_GT(lost, 0U);
      // It resumes about half a ring back: with room to read, and not at the newest.
      EXPECT_LE(reader.lag_bytes(), shm::kMinRingBytes / 2 + shm::kMinRingBytes / 16);
      EXPECT_GE(reader.lag_bytes(), shm::kMinRingBytes / 4);
    }
    const Seen rest = read_all(reader);
    const std::uint64_t polled = behind > 0 && !lapped ? 1 : 0;
    ASSERT_TRUE(rest.sound) << behind;
    ASSERT_EQ(rest.lost, 0U);
    ASSERT_EQ(first.events + polled + lost + rest.events, n) << behind;
    ASSERT_EQ(reader.total_lost_events(), lost);
  }
}

TEST(RingReader, RecordBeingOverwrittenIsNeverReturned) {
  MemorySegment segment;
  RingReader reader(segment.view());
  RingWriter& ring = segment->ring();
  for (std::uint64_t n = 0; ring.position() < shm::kMinRingBytes - 8192; ++n) write_event(ring, n);
  // From here on nothing is committed: the writer is "inside" a record that reaches the reader's position.
  while (ring.position() < shm::kMinRingBytes + 64) {
    Event event;
    fill_event(event, 1);
    ring.append(event.header, event.levels, test::body_bytes(event));
  }
  Event event;
  EXPECT_EQ(reader.poll(event), ReadStatus::Lapped);
}

TEST(RingReader, StartsAtTheOldestEventOfAYoungRing) {
  MemorySegment segment;
  for (std::uint64_t n = 0; n < 5; ++n) write_event(segment->ring(), n);
  RingReader reader(segment.view(), Start::Oldest);
  EXPECT_EQ(reader.next_sequence(), 0U);
  const Seen seen = read_all(reader);
  EXPECT_TRUE(seen.sound);
  EXPECT_EQ(seen.events, 5U);
}

TEST(RingReader, StartsWithinTheLastLapOfAnOldRing) {
  MemorySegment segment;
  for (std::uint64_t n = 0; n < 500; ++n) write_event(segment->ring(), n);
  RingReader reader(segment.view(), Start::Oldest);
  EXPECT_GT(reader.lag_bytes(), shm::kMinRingBytes / 2);
  const std::uint64_t first = reader.next_sequence();
  const Seen seen = read_all(reader);
  EXPECT_TRUE(seen.sound);
  EXPECT_EQ(seen.lost, 0U);
  EXPECT_EQ(first + seen.events, 500U);
}

TEST(RingReader, StartsBehindTheNewestAndKnowsItsNumber) {
  MemorySegment segment;
  for (std::uint64_t n = 0; n < 7; ++n) write_event(segment->ring(), n);
  RingReader reader(segment.view(), Start::Newest);
  EXPECT_EQ(reader.next_sequence(), 7U);
  Event event;
  EXPECT_EQ(reader.poll(event), ReadStatus::Empty);
}

TEST(RingReader, StoppedOnlyOnceEverythingIsRead) {
  MemorySegment segment;
  RingReader reader(segment.view());
  write_event(segment->ring(), 0);
  segment->set_state(shm::SegmentState::Stopped);
  Event event;
  EXPECT_EQ(reader.poll(event), ReadStatus::Ok);
  EXPECT_EQ(reader.poll(event), ReadStatus::Stopped);
  EXPECT_EQ(reader.poll(event), ReadStatus::Stopped);
}

TEST(RingReader, BatchEndsAtTheMaximumOrWithAReason) {
  MemorySegment segment;
  RingReader reader(segment.view());
  for (std::uint64_t n = 0; n < 5; ++n) write_event(segment->ring(), n);
  std::uint64_t next = 0;
  const auto check = [&](const Event& event) { EXPECT_EQ(event.header.update_id, next++); };
  shm::PollResult result = reader.poll(3, check);
  EXPECT_EQ(result.events, 3U);
  EXPECT_EQ(result.status, ReadStatus::Ok);
  result = reader.poll(3, check);
  EXPECT_EQ(result.events, 2U);
  EXPECT_EQ(result.status, ReadStatus::Empty);
}

TEST(RingReader, NonsenseInTheRingIsCorruptAndNotFollowed) {
  const auto status_with = [](void (*edit)(shm::EventHeader&)) {
    MemorySegment segment;
    RingReader reader(segment.view());
    write_event(segment->ring(), 0);
    write_event(segment->ring(), 1);
    edit(*reinterpret_cast<shm::EventHeader*>(const_cast<unsigned char*>(segment.view().ring())));
    Event event;
    return reader.poll(event);
  };
  EXPECT_EQ(status_with([](shm::EventHeader& h) { h.size_lines = 0; }), ReadStatus::Corrupt);
  EXPECT_EQ(status_with([](shm::EventHeader& h) { h.size_lines = 0xFFFF; }), ReadStatus::Corrupt);
  EXPECT_EQ(status_with([](shm::EventHeader& h) { h.sequence = 5; }), ReadStatus::Corrupt);
  EXPECT_EQ(status_with([](shm::EventHeader& h) { h.bid_count = 0xFFFF; }), ReadStatus::Corrupt);
  EXPECT_EQ(status_with([](shm::EventHeader& h) { h.type = shm::EventType::Trade, h.size_lines = 1; }),
            ReadStatus::Corrupt);
}

TEST(RingReader, PositionThatIsNoneIsCorrupt) {
  MemorySegment segment;
  write_event(segment->ring(), 0);
  Event event;
  RingReader reader(segment.view());
  reader.start_at(segment->ring().position() + 64, 1);
  EXPECT_EQ(reader.poll(event), ReadStatus::Corrupt);
  reader.start_at(8, 0);
  EXPECT_EQ(reader.poll(event), ReadStatus::Corrupt);
}

// The publisher runs at full speed over a small ring; the reader now keeps up, now dawdles.
TEST(RingReader, StressEveryRecordIsReadIntactOrCountedAsLost) {
  constexpr std::uint64_t kEvents = 100'000;
  MemorySegment segment;
  RingReader reader(segment.view());
  std::thread publisher([&] {
    for (std::uint64_t n = 0; n < kEvents; ++n) {
      write_event(segment->ring(), n, n % 1000 < 500 ? 8 : shm::kMaxEventLevels);
      if (n % 64 == 0) std::this_thread::yield();
    }
    segment->set_state(shm::SegmentState::Stopped);
  });
  Event event;
  std::uint64_t read = 0;
  std::uint64_t lost = 0;
  bool sound = true;
  for (;;) {
    const std::uint64_t expected = reader.next_sequence();
    const ReadStatus status = reader.poll(event);
    if (status == ReadStatus::Stopped) break;
    if (status == ReadStatus::Ok) {
      const std::uint64_t n = event.header.update_id;
      sound = sound && n == expected && intact(event, n % 1000 < 500 ? 8 : shm::kMaxEventLevels);
      ++read;
      if (read % 2000 < 20) std::this_thread::yield();
    } else if (status == ReadStatus::Lapped) {
      lost += reader.lost_events();
    } else {
      ASSERT_EQ(status, ReadStatus::Empty);
      std::this_thread::yield();
    }
  }
  publisher.join();
  EXPECT_TRUE(sound);
  EXPECT_EQ(read + lost, kEvents);
  EXPECT_GT(read, 0U);
  EXPECT_EQ(reader.total_lost_events(), lost);
}

}  // namespace
}  // namespace mdp::publish
