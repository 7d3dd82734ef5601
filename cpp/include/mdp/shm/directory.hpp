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

enum class InstrumentStatus : std::uint16_t {
  Unused = 0,  // nothing is in the entry
  Active = 1,
  Removed = 2,  // no longer published; the id is not given to another, and is its own again if it returns
};

//  @0   seq | symbol_id, exchange_id, price_exponent, quantity_exponent | tick_size | lot_size
//  @32  status, kind, settlement, contract_unit | option_right, contract, strike and notional exponent, 0
//  @48  contract_size | expiry_ns | strike_price | min_quantity | max_quantity | min_notional | 0 ...
//  @128 canonical_symbol[96] | venue_symbol[64] | underlying[32]
//  @320 base[24] | quote[24] | settle[24] | venue_status[24] | 0 ...
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
  Settlement settlement;
  ContractUnit contract_unit;
  OptionRight option_right;
  std::int8_t contract_exponent;
  std::int8_t strike_exponent;
  std::int8_t notional_exponent;
  std::uint8_t reserved0[3];
  std::int64_t contract_size;  // mantissa at contract_exponent, of contract_unit; 0 where there is none
  std::int64_t expiry_ns;      // since the Unix epoch; 0: none
  std::int64_t strike_price;   // mantissa at strike_exponent; of an option
  std::int64_t min_quantity;   // of one order, mantissa at quantity_exponent; 0: unknown
  std::int64_t max_quantity;   // likewise
  std::int64_t min_notional;   // of one order, mantissa at notional_exponent, in quote; 0: unknown
  std::uint64_t reserved1[4];

  char canonical_symbol[96];  // binance:BTC-USDT, binance-usdm:BTC-USDT-PERP
  char venue_symbol[64];      // as the venue spells it: BTCUSDT
  char underlying[32];        // of a future or an option, where it is not the base
  char base[24];
  char quote[24];
  char settle[24];        // empty for spot
  char venue_status[24];  // the venue's own word: TRADING
  std::uint64_t reserved2[12];
};
static_assert(sizeof(InstrumentEntry) == 512 && std::is_trivially_copyable_v<InstrumentEntry> &&
              std::is_standard_layout_v<InstrumentEntry>);
static_assert(
    offsetof(InstrumentEntry, symbol_id) == 8 && offsetof(InstrumentEntry, exchange_id) == 12 &&
    offsetof(InstrumentEntry, price_exponent) == 14 && offsetof(InstrumentEntry, quantity_exponent) == 15 &&
    offsetof(InstrumentEntry, tick_size) == 16 && offsetof(InstrumentEntry, lot_size) == 24 &&
    offsetof(InstrumentEntry, status) == 32 && offsetof(InstrumentEntry, kind) == 34 &&
    offsetof(InstrumentEntry, settlement) == 36 && offsetof(InstrumentEntry, contract_unit) == 38 &&
    offsetof(InstrumentEntry, option_right) == 40 && offsetof(InstrumentEntry, contract_exponent) == 42 &&
    offsetof(InstrumentEntry, strike_exponent) == 43 && offsetof(InstrumentEntry, notional_exponent) == 44 &&
    offsetof(InstrumentEntry, contract_size) == 48 && offsetof(InstrumentEntry, expiry_ns) == 56 &&
    offsetof(InstrumentEntry, strike_price) == 64 && offsetof(InstrumentEntry, min_quantity) == 72 &&
    offsetof(InstrumentEntry, max_quantity) == 80 && offsetof(InstrumentEntry, min_notional) == 88 &&
    offsetof(InstrumentEntry, canonical_symbol) == 128 && offsetof(InstrumentEntry, venue_symbol) == 224 &&
    offsetof(InstrumentEntry, underlying) == 288 && offsetof(InstrumentEntry, base) == 320 &&
    offsetof(InstrumentEntry, quote) == 344 && offsetof(InstrumentEntry, settle) == 368 &&
    offsetof(InstrumentEntry, venue_status) == 392);

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

  // Finds the active instrument whose canonical symbol is `symbol`, else that with the smallest symbol_id of
  // those whose venue symbol is. False: none. A few cache lines, however many instruments there are.
  [[nodiscard]] bool find(std::string_view symbol, InstrumentEntry& out) const noexcept {
    if (!view_.attached()) return false;
    const auto* words = static_cast<const unsigned char*>(view_.index());
    return mdp_shm_find_entry(words, view_.info().index.size_bytes / sizeof(Word), view_.instrument(0),
                              view_.info().instrument_stride, instrument_count(), symbol.data(),
                              symbol.size(), &out) != 0;
  }

  // Moves at every change of the directory: while it stands, what was read of it is true. Read it before.
  std::uint64_t epoch() const noexcept {
    // acquire: what is read after it is at least as new; pairs with the release store in DirectoryWriter.
    return view_.attached() ? view_.header().directory_epoch.load(std::memory_order_acquire) : 0;
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
