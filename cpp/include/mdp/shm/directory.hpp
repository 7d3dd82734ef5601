// Directory: the venues and instruments of a segment, as stored, and how a reader looks them up.
//
// Written by publish::DirectoryWriter (at start, and when symbols are added, changed or removed while
// running); each entry is seqlocked, and counts are stored after the entries they add. An entry is never
// moved or reused while the publisher lives: an instrument's index is its symbol_id, and its book is at the
// same index of the book table.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <type_traits>
#include <vector>

#include "mdp/shm/mdp_shm.h"
#include "mdp/shm/segment_view.hpp"

namespace mdp::shm {

// The text of a NUL-padded field.
template <std::size_t N>
std::string_view text(const char (&field)[N]) noexcept {
  std::size_t length = 0;
  while (length < N && field[length] != '\0') ++length;
  return {field, length};
}

//  @0 seq | @8 exchange_id (u16), 0 | @16 name, UTF-8, NUL-padded
struct VenueEntry {
  std::uint64_t seq;
  std::uint16_t exchange_id;  // fixed per venue, never renumbered
  std::uint16_t reserved0;
  std::uint32_t reserved1;
  char name[48];  // as in the config: binance_spot
};
static_assert(sizeof(VenueEntry) == 64 && std::is_trivially_copyable_v<VenueEntry>);
static_assert(offsetof(VenueEntry, exchange_id) == 8 && offsetof(VenueEntry, name) == 16);

enum class InstrumentStatus : std::uint8_t {
  Unused = 0,  // nothing is in the entry
  Active = 1,
  Removed = 2,  // no longer published; the id is not given to another
};

//  @0   seq | symbol_id, exchange_id, price_exponent, quantity_exponent | tick_size | lot_size
//  @32  status, kind, contract_exponent, 0 | contract_size | expiry_ns | 0
//  @64  venue_symbol[48] | base[16]
//  @128 canonical_symbol[64]
//  @192 quote[16] | settle[16] | venue_status[16] | 0
struct InstrumentEntry {
  std::uint64_t seq;
  std::uint32_t symbol_id;
  std::uint16_t exchange_id;
  std::int8_t price_exponent;  // price = mantissa * 10^price_exponent
  std::int8_t quantity_exponent;
  std::int64_t tick_size;  // mantissa at price_exponent; 0: unknown
  std::int64_t lot_size;   // mantissa at quantity_exponent; 0: unknown

  InstrumentStatus status;
  InstrumentKind kind;
  std::int8_t contract_exponent;  // contract fields: 0 for spot
  std::uint8_t reserved0[5];
  std::int64_t contract_size;  // mantissa at contract_exponent, in units of base (or of quote if inverse)
  std::int64_t expiry_ns;      // 0: none
  std::uint64_t reserved1;

  char venue_symbol[48];  // as the venue spells it: BTCUSDT
  char base[16];
  char canonical_symbol[64];  // binance:BTC-USDT, binance-usdm:BTC-USDT-PERP
  char quote[16];
  char settle[16];        // empty for spot
  char venue_status[16];  // the venue's own word: TRADING
  std::uint64_t reserved2[2];
};
static_assert(sizeof(InstrumentEntry) == 256 && std::is_trivially_copyable_v<InstrumentEntry> &&
              std::is_standard_layout_v<InstrumentEntry>);
static_assert(offsetof(InstrumentEntry, symbol_id) == 8 && offsetof(InstrumentEntry, exchange_id) == 12 &&
              offsetof(InstrumentEntry, price_exponent) == 14 &&
              offsetof(InstrumentEntry, quantity_exponent) == 15 &&
              offsetof(InstrumentEntry, tick_size) == 16 && offsetof(InstrumentEntry, lot_size) == 24 &&
              offsetof(InstrumentEntry, status) == 32 && offsetof(InstrumentEntry, kind) == 33 &&
              offsetof(InstrumentEntry, contract_exponent) == 34 &&
              offsetof(InstrumentEntry, contract_size) == 40 && offsetof(InstrumentEntry, expiry_ns) == 48 &&
              offsetof(InstrumentEntry, venue_symbol) == 64 && offsetof(InstrumentEntry, base) == 112 &&
              offsetof(InstrumentEntry, canonical_symbol) == 128 && offsetof(InstrumentEntry, quote) == 192 &&
              offsetof(InstrumentEntry, settle) == 208 && offsetof(InstrumentEntry, venue_status) == 224);

// Reads the directory of an attached segment. Any thread; each call reads the present state.
class Directory {
 public:
  Directory() = default;
  explicit Directory(const SegmentView& view) noexcept : view_(view) {}

  std::uint32_t venue_count() const noexcept {
    return view_.attached() ? count(view_.header().venue_count, view_.info().venue_capacity) : 0;
  }
  // One more than the highest symbol_id in use; entries in between may be InstrumentStatus::Unused.
  std::uint32_t instrument_count() const noexcept {
    return view_.attached() ? count(view_.header().instrument_count, view_.info().instrument_capacity) : 0;
  }

  // Copies one entry. False: there is none at that index, or the publisher died while it wrote it.
  [[nodiscard]] bool venue(std::uint32_t index, VenueEntry& out) const noexcept {
    return index < venue_count() && read(view_.venue(index), out);
  }
  [[nodiscard]] bool instrument(std::uint32_t symbol_id, InstrumentEntry& out) const noexcept {
    return symbol_id < instrument_count() && read(view_.instrument(symbol_id), out) &&
           out.status != InstrumentStatus::Unused;
  }

  // Finds the active instrument whose canonical symbol is `symbol`, else the first whose venue symbol is.
  // False: none. Walks the directory: look up once and keep the symbol_id.
  [[nodiscard]] bool find(std::string_view symbol, InstrumentEntry& out) const noexcept {
    bool by_venue_symbol = false;
    InstrumentEntry entry;
    for (std::uint32_t id = 0, end = instrument_count(); id < end; ++id) {
      if (!instrument(id, entry) || entry.status != InstrumentStatus::Active) continue;
      if (text(entry.canonical_symbol) == symbol) {
        out = entry;
        return true;
      }
      if (!by_venue_symbol && text(entry.venue_symbol) == symbol) {
        out = entry;
        by_venue_symbol = true;
      }
    }
    return by_venue_symbol;
  }

  // All active instruments, by symbol_id. Allocates.
  std::vector<InstrumentEntry> active_instruments() const {
    std::vector<InstrumentEntry> found;
    InstrumentEntry entry;
    for (std::uint32_t id = 0, end = instrument_count(); id < end; ++id) {
      if (instrument(id, entry) && entry.status == InstrumentStatus::Active) found.push_back(entry);
    }
    return found;
  }

 private:
  // A count is the publisher's word; the capacity is what was checked.
  static std::uint32_t count(const Word& word, std::uint32_t capacity) noexcept {
    // acquire: the entries below the count are complete; pairs with the release store in DirectoryWriter.
    const std::uint64_t value = word.load(std::memory_order_acquire);
    return value < capacity ? static_cast<std::uint32_t>(value) : capacity;
  }
  template <class Entry>
  static bool read(const void* from, Entry& out) noexcept {
    return mdp_shm_copy_entry(from, &out, sizeof(Entry)) != 0;
  }

  SegmentView view_;
};

}  // namespace mdp::shm
