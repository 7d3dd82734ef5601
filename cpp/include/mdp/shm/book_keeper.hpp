// BookKeeper: one instrument's whole book, kept from the records of the ring, in the reader's process.
//
// One thread. Subscriber::follow(symbol_id, keeper) begins it, Subscriber::poll() and wait() with a keeper go
// on. The work is done by mdp_shm_book.h, which is C, and whose head tells where a book begins, what it
// goes by and what becomes of it after a lap. It allocates what it holds of the book.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <utility>

#include "mdp/shm/book_table.hpp"
#include "mdp/shm/event.hpp"
#include "mdp/shm/mdp_shm_book.h"
#include "mdp/shm/ring_reader.hpp"

namespace mdp::shm {

// What an event was to a book.
enum class BookNews : std::uint8_t {
  Same = 0,      // none: a trade, a part of an update, another instrument's, known already
  Changed = 1,   // its levels or its state are others now
  Mismatch = 2,  // applied, and the book is not what the publisher says
  NoMemory = 3,  // the book is gone: load it again
};

class BookKeeper {
 public:
  BookKeeper() noexcept { mdp_shm_keeper_init(&core_); }
  ~BookKeeper() { mdp_shm_keeper_free(&core_); }
  BookKeeper(BookKeeper&& other) noexcept : BookKeeper() { std::swap(core_, other.core_); }
  BookKeeper& operator=(BookKeeper&& other) noexcept {
    std::swap(core_, other.core_);
    return *this;
  }

  // Asks for verification, or ends it: while it is on, a whole() book is compared with the checksum of every
  // update that has one (kFeatureChecksum).
  void verify(bool on) noexcept { mdp_shm_keeper_verify(&core_, on ? 1 : 0); }
  bool verifies() const noexcept { return core_.verify != 0; }

  // Loads the present book: Ok, NoInstrument, Busy, Corrupt, NoMemory. Never blocks. The reader stays where
  // it is; the events that are not in the book begin at position(), number next_sequence(). For who keeps
  // several books with one reader: load each, begin at the smallest position, give every event to apply().
  [[nodiscard]] BookStatus load(const RingReader& ring, std::uint32_t symbol_id) noexcept {
    return static_cast<BookStatus>(mdp_shm_keeper_load(&core_, &ring.core(), symbol_id));
  }
  // Begins with a copied entry, of a table that has room for `capacity` levels a side.
  [[nodiscard]] BookStatus load(const Book& book, std::uint32_t symbol_id, std::uint32_t capacity) noexcept {
    mdp_shm_book_entry entry;
    std::memcpy(&entry, &book.entry, sizeof(entry));
    entry.bid_count = static_cast<std::uint16_t>(book.bids.size());
    entry.ask_count = static_cast<std::uint16_t>(book.asks.size());
    return static_cast<BookStatus>(
        mdp_shm_keeper_from_entry(&core_, symbol_id, &entry, book.bids.data(), book.asks.data(), capacity));
  }

  // Takes in the next event, whichever it is.
  BookNews apply(const Event& event) noexcept { return apply(event.header, event.levels); }
  BookNews apply(const EventHeader& header, const void* body) noexcept {
    return static_cast<BookNews>(mdp_shm_keeper_take(&core_, &header, body));
  }
  // Takes in what a poll of the followed instrument gave: see Subscriber::poll().
  ReadStatus after(RingReader& ring, ReadStatus status, const EventHeader& header,
                   const void* body) noexcept {
    return static_cast<ReadStatus>(
        mdp_shm_keeper_after(&core_, &ring.core(), static_cast<int>(status), &header, body));
  }

  // As the last BookState event, or the book table, has it.
  BookState state() const noexcept { return static_cast<BookState>(core_.state); }
  StateReason reason() const noexcept { return static_cast<StateReason>(core_.reason); }
  // Whether the book is right: Live, and not refuted since it came whole. What it cannot know is whether its
  // publisher lives.
  bool usable() const noexcept { return mdp_shm_keeper_usable(&core_) != 0; }
  // Whether it has every level that the publisher has. Only such a book can be verified.
  bool whole() const noexcept { return mdp_shm_keeper_whole(&core_) != 0; }
  std::uint64_t update_id() const noexcept { return core_.update_id; }
  std::int64_t exch_ts_ns() const noexcept { return core_.exch_ts_ns; }
  std::int64_t recv_ts_ns() const noexcept { return core_.recv_ts_ns; }
  std::int64_t pub_ts_ns() const noexcept { return core_.pub_ts_ns; }
  // Of the first event that is not in the book. position() is where that was when the book was loaded.
  std::uint64_t next_sequence() const noexcept { return core_.next_sequence; }
  std::uint64_t position() const noexcept { return core_.position; }
  // How often it was loaded; deltas that did not follow; updates compared, and those that differed.
  std::uint64_t loads() const noexcept { return core_.loads; }
  std::uint64_t gaps() const noexcept { return core_.gaps; }
  std::uint64_t verified() const noexcept { return core_.verified; }
  std::uint64_t mismatches() const noexcept { return core_.mismatches; }

  std::size_t bid_count() const noexcept { return mdp_shm_keeper_count(&core_, MDP_SHM_BIDS); }
  std::size_t ask_count() const noexcept { return mdp_shm_keeper_count(&core_, MDP_SHM_ASKS); }
  // Level number `index` of a side, 0 being the best. None: there are not so many, or they are not known.
  std::optional<PriceLevel> bid(std::size_t index = 0) const noexcept { return level(MDP_SHM_BIDS, index); }
  std::optional<PriceLevel> ask(std::size_t index = 0) const noexcept { return level(MDP_SHM_ASKS, index); }
  // Price of the last level that is known, or kAllBids, kAllAsks.
  std::int64_t known_bid() const noexcept { return mdp_shm_keeper_known(&core_, MDP_SHM_BIDS); }
  std::int64_t known_ask() const noexcept { return mdp_shm_keeper_known(&core_, MDP_SHM_ASKS); }
  // The sum of level_checksum() over all levels.
  std::uint64_t checksum() const noexcept { return mdp_shm_keeper_checksum(&core_); }

 private:
  std::optional<PriceLevel> level(int side, std::size_t index) const noexcept {
    mdp_shm_price_level out;
    if (mdp_shm_keeper_level(&core_, side, index, &out) == 0) return std::nullopt;
    return PriceLevel{out.price, out.quantity};
  }

  mdp_shm_book_keeper core_;
};

}  // namespace mdp::shm
