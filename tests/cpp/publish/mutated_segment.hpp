// Segments that lie, and everything a reader can do with one. Shared by mutation_test.cpp and the fuzz
// target.
#pragma once

#include <array>
#include <cstdint>
#include <cstring>
#include <string>

#include "mdp/publish/ipc_publisher.hpp"
#include "mdp/shm/mdp_shm.h"
#include "publish/test_segment.hpp"

namespace mdp::publish::test {

// A segment with something in every section: venues, instruments, books that were written, a ring that was
// lapped.
inline void fill_segment(SegmentWriter& segment) {
  segment.directory().set_venue(1, "venue");
  for (std::uint32_t id = 0; id < 16; ++id) segment.directory().set_instrument(btc(id));
  IPCPublisher publisher(segment);
  for (std::uint64_t n = 0; n < 300; ++n) {
    shm::Event event;
    fill_event(event, n);
    if (n % 3 == 0) event.header.flags = shm::kFlagFirst | shm::kFlagLast;
    publisher.publish(event);
    if (n % 16 % 5 == 0) {  // the books that read_everything() keeps come whole
      event.header.type = shm::EventType::BookSnapshot;
      event.header.flags = shm::kFlagFirst | shm::kFlagLast | shm::kFlagRefresh;
      publisher.publish(event);
    }
    event.header.type = shm::EventType::BookSnapshot;
    event.header.flags = core::kFlagTableOnly;
    publisher.publish(event);
  }
}

// What was seen of a segment: not to be checked, but to be used, so that no read is optimized away.
struct Seen {
  std::uint64_t sum = 0;
  std::uint64_t records = 0;
  std::uint64_t books = 0;
  std::uint64_t instruments = 0;
  std::uint64_t kept = 0;
  std::uint64_t kept_whole = 0;

  void add(const shm::Event& event) {
    ++records;
    const bool has_levels =
        event.header.type == shm::EventType::BookDelta || event.header.type == shm::EventType::BookSnapshot;
    // The reader promised that the counts fit the record; following them is the test of it.
    const std::size_t levels = has_levels ? std::size_t{event.header.bid_count} + event.header.ask_count : 0;
    for (std::size_t i = 0; i < levels; ++i) sum += static_cast<std::uint64_t>(event.levels[i].price);
  }
  void add(const shm::Book& book) {
    ++books;
    for (const auto& side : {book.bids, book.asks}) {
      for (const shm::PriceLevel& level : side) sum += static_cast<std::uint64_t>(level.quantity);
    }
  }
};

// Polls until there is nothing more, or often enough: a ring may lie so that it never ends.
template <class Poll>
void drain(Poll&& poll, Seen& seen) {
  for (int polls = 0; polls < 200; ++polls) {
    shm::Event event;
    const shm::ReadStatus status = poll(event);
    if (status == shm::ReadStatus::Ok) seen.add(event);
    if (status != shm::ReadStatus::Ok && status != shm::ReadStatus::Lapped) return;
  }
}

// Directory, book table and ring over memory that may say anything.
inline Seen read_everything(const shm::SegmentView& view) {
  Seen seen;
  const shm::Directory directory(view);
  shm::VenueEntry venue;
  shm::InstrumentEntry entry;
  for (std::uint32_t i = 0; i < directory.venue_count() && i < 64; ++i) {
    if (directory.venue(i, venue)) seen.sum += shm::text(venue.name).size();
  }
  for (std::uint32_t i = 0; i < directory.instrument_count() && i < 64; ++i) {
    if (directory.instrument(i, entry)) {
      ++seen.instruments;
      seen.sum += shm::text(entry.canonical_symbol).size() +
                  shm::to_decimal(entry.tick_size, entry.price_exponent).size();
    }
  }
  static_cast<void>(directory.find("no such symbol", entry));
  const shm::BookTable table(view);
  shm::Book book;
  for (std::uint32_t i = 0; i < 20; ++i) {
    if (table.read(i, book) != shm::BookStatus::Ok) continue;
    seen.add(book);
    shm::RingReader joined(view);
    joined.start_at(book.entry.ring_position, book.entry.next_sequence);
    drain([&](shm::Event& event) { return joined.poll(event); }, seen);
  }
  for (std::uint32_t i = 0; i < 20; i += 5) {
    shm::RingReader reader(view);
    shm::BookKeeper keeper;
    keeper.verify(true);
    if (keeper.load(reader, i) != shm::BookStatus::Ok) continue;
    ++seen.kept;
    seen.kept_whole += keeper.whole() ? 1 : 0;
    reader.start_at(keeper.position(), keeper.next_sequence());
    shm::Event event;
    for (int polls = 0; polls < 20; ++polls) {  // a lap loads the book each time
      seen.sum +=
          static_cast<std::uint64_t>(keeper.after(reader, reader.poll(event), event.header, event.levels));
    }
    for (std::size_t level = 0; const auto bid = keeper.bid(level); ++level)
      seen.sum += static_cast<std::uint64_t>(bid->quantity);
    seen.sum += keeper.checksum() + keeper.ask_count();
  }
  for (const shm::Start start : {shm::Start::Oldest, shm::Start::Newest}) {
    shm::RingReader reader(view, start);
    drain([&](shm::Event& event) { return reader.poll(event); }, seen);
  }
  return seen;
}

// The same by the road most programs take.
inline Seen read_everything(shm::Subscriber& subscriber) {
  Seen seen = read_everything(subscriber.view());
  shm::InstrumentEntry entry;
  shm::Book book;
  if (subscriber.find("binance:BTC-USDT", entry) &&
      subscriber.join(entry.symbol_id, book) == shm::BookStatus::Ok) {
    seen.add(book);
  }
  drain(
      [&](shm::Event& event) {
        const shm::ReadStatus status = subscriber.poll(event);
        if (status == shm::ReadStatus::Ok && subscriber.instrument(event, entry)) ++seen.instruments;
        return status;
      },
      seen);
  subscriber.poll(10, [&](const shm::Event& event) { seen.add(event); });
  seen.sum += static_cast<std::uint64_t>(subscriber.check_publisher(1));
  seen.sum += subscriber.ring().lag_bytes() + subscriber.ring().total_lost_events();
  return seen;
}

// Attaches the reader in C to the same memory and does the same with it; returns the attach status.
inline int read_everything_in_c(const void* base, std::size_t size, Seen& seen) {
  mdp_shm_subscriber feed;
  const int attached = mdp_shm_attach(&feed, base, size);
  if (attached != MDP_SHM_ATTACH_OK) return attached;
  mdp_shm_venue_entry venue;
  mdp_shm_instrument_entry entry;
  for (std::uint32_t i = 0; i < 64; ++i) {
    if (mdp_shm_venue(&feed, i, &venue) != 0) seen.sum += venue.exchange_id;
    if (mdp_shm_instrument(&feed, i, &entry) == 0) continue;
    char price[MDP_SHM_DECIMAL_SIZE];
    seen.sum += std::strlen(mdp_shm_decimal(price, entry.tick_size, entry.price_exponent));
    ++seen.instruments;
  }
  seen.sum += static_cast<std::uint64_t>(mdp_shm_find(&feed, "no such symbol", &entry));
  mdp_shm_event event;
  const auto drain_feed = [&] {
    for (int polls = 0; polls < 200; ++polls) {
      const int status = mdp_shm_poll(&feed, &event);
      if (status != MDP_SHM_READ_OK && status != MDP_SHM_READ_LAPPED) return;
      if (status != MDP_SHM_READ_OK) continue;
      ++seen.records;
      const bool has_levels =
          event.header.type == MDP_SHM_BOOK_DELTA || event.header.type == MDP_SHM_BOOK_SNAPSHOT;
      // Promised to fit the record, as by the C++ reader.
      const int levels = has_levels ? event.header.bid_count + event.header.ask_count : 0;
      for (int i = 0; i < levels; ++i) seen.sum += static_cast<std::uint64_t>(event.body.levels[i].price);
    }
  };
  mdp_shm_book_entry book;
  mdp_shm_price_level bids[MDP_SHM_MAX_LEVELS_PER_SIDE];
  mdp_shm_price_level asks[MDP_SHM_MAX_LEVELS_PER_SIDE];
  for (std::uint32_t i = 0; i < 20; ++i) {
    // Not mdp_shm_join(), which would wait for a publisher inside the entry.
    if (mdp_shm_read_book(&feed, i, &book, bids, asks, MDP_SHM_MAX_LEVELS_PER_SIDE) != MDP_SHM_BOOK_OK)
      continue;
    ++seen.books;
    for (int level = 0; level < book.bid_count; ++level)
      seen.sum += static_cast<std::uint64_t>(bids[level].price);
    for (int level = 0; level < book.ask_count; ++level)
      seen.sum += static_cast<std::uint64_t>(asks[level].price);
    mdp_shm_start_at(&feed, book.ring_position, book.next_sequence);
    drain_feed();
  }
  mdp_shm_start_oldest(&feed);
  drain_feed();
  mdp_shm_start_newest(&feed);
  drain_feed();
  seen.sum += static_cast<std::uint64_t>(mdp_shm_check_publisher(&feed, 1)) + mdp_shm_lag_bytes(&feed);
  return attached;
}

// Changes 1 to 8 places of a segment of `size` bytes: the header, the start of a line, where records and
// entries begin, or anywhere; to edge values, to small and to huge numbers. `random()` gives 64 bits.
template <class Random>
void mutate(unsigned char* bytes, std::size_t size, Random&& random) {
  const std::uint64_t edits = 1 + random() % 8;
  for (std::uint64_t i = 0; i < edits; ++i) {
    const std::uint64_t kind = random() % 4;
    std::size_t at = random() % size;
    if (kind == 0) at = 8 + random() % 184;
    if (kind == 1) at = 192 + random() % 832;
    if (kind == 2) at = at / 64 * 64 + random() % 24;
    static constexpr std::array<unsigned char, 4> kEdges = {0x00, 0xFF, 0x80, 0x7F};
    bytes[at] = random() % 2 == 0 ? kEdges[random() % 4] : static_cast<unsigned char>(random());
    if (random() % 4 == 0 && at + 8 <= size) {
      const std::uint64_t value = random() % 2 == 0 ? ~random() % 256 : 0 - (random() % 256) * 64;
      std::memcpy(bytes + at / 8 * 8, &value, sizeof(value));
    }
  }
}

}  // namespace mdp::publish::test
