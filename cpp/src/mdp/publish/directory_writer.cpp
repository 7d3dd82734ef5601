#include "mdp/publish/directory_writer.hpp"

#include <cstring>
#include <string>

#include "mdp/core/error.hpp"
#include "mdp/core/text.hpp"
#include "mdp/publish/seqlock_write.hpp"
#include "mdp/shm/mdp_shm.h"

namespace mdp::publish {
namespace {

// A name: it identifies, so what does not fit or is no text is refused, not changed.
template <std::size_t N>
void set_name(char (&field)[N], std::string_view value, const char* what) {
  const auto refuse = [&](const std::string& why) {
    throw SegmentError(std::string("directory: ") + what + " " + core::quoted(value) + why);
  };
  if (value.size() > N) {
    refuse(" has " + std::to_string(value.size()) + " bytes, the field holds " + std::to_string(N));
  }
  if (!core::is_printable(value)) refuse(" has control characters, or bytes that are no UTF-8");
  std::memset(field, 0, N);
  std::memcpy(field, value.data(), value.size());
}

// A word of the venue's for people: as much of it as fits.
template <std::size_t N>
void set_words(char (&field)[N], std::string_view value) {
  std::memset(field, 0, N);
  core::printable(value, field, N);
}

// Replaces all of a mapped entry but its sequence word.
template <class Entry>
void store_entry(void* to, const Entry& entry) noexcept {
  const auto* from = reinterpret_cast<const unsigned char*>(&entry);
  const SeqlockWrite write(shm::word_at(to));
  shm::store_words(static_cast<unsigned char*>(to) + sizeof(shm::Word), from + sizeof(shm::Word),
                   sizeof(Entry) - sizeof(shm::Word));
}

template <class Entry>
Entry load_entry(const void* from) noexcept {
  Entry entry;
  mdp_shm_load_words(&entry, from, sizeof(entry));  // the one writer reads its own
  return entry;
}

shm::Settlement settlement_of(const core::Instrument& instrument) noexcept {
  if (instrument.kind == shm::InstrumentKind::Spot) return shm::Settlement::None;
  if (instrument.inverse) return shm::Settlement::Inverse;
  return instrument.settle == instrument.quote ? shm::Settlement::Linear : shm::Settlement::Quanto;
}

shm::ContractUnit unit_of(const core::Instrument& instrument) noexcept {
  if (instrument.contract_size == 0) return shm::ContractUnit::None;
  return instrument.inverse ? shm::ContractUnit::Quote : shm::ContractUnit::Base;
}

// Raises a count to `count`, once the entries below it are written.
void raise(shm::Word& word, std::uint64_t count) noexcept {
  // relaxed load: ours. release store: publishes the entry; pairs with Directory::count().
  if (word.load(std::memory_order_relaxed) < count) word.store(count, std::memory_order_release);
}

}  // namespace

DirectoryWriter::DirectoryWriter(shm::SegmentHeader& header, void* base) noexcept
    : header_(header),
      venues_(static_cast<unsigned char*>(base) + header.info.venues.offset),
      instruments_(static_cast<unsigned char*>(base) + header.info.instruments.offset),
      index_(&shm::word_at(static_cast<unsigned char*>(base) + header.info.index.offset)),
      index_slots_(header.info.index.size_bytes / sizeof(shm::Word)) {}

void DirectoryWriter::set_venue(core::ExchangeId exchange_id, std::string_view name) {
  shm::VenueEntry entry{};
  entry.exchange_id = exchange_id;
  set_name(entry.name, name, "venue name");
  const std::lock_guard lock(mutex_);
  // relaxed: our own count.
  const auto count = static_cast<std::uint32_t>(header_.venue_count.load(std::memory_order_relaxed));
  std::uint32_t index = 0;
  while (index < count && load_entry<shm::VenueEntry>(venue(index)).exchange_id != exchange_id) ++index;
  if (index == header_.info.venue_capacity) {
    throw SegmentError("directory: no room for venue \"" + std::string(name) + "\", the segment holds " +
                       std::to_string(header_.info.venue_capacity) + " venues");
  }
  store_entry(venue(index), entry);
  raise(header_.venue_count, index + 1ULL);
  changed();
}

void DirectoryWriter::set_instrument(const core::Instrument& instrument) {
  shm::InstrumentEntry entry{};
  entry.symbol_id = instrument.symbol_id;
  entry.exchange_id = instrument.exchange_id;
  entry.price_exponent = instrument.price_exponent;
  entry.quantity_exponent = instrument.quantity_exponent;
  entry.tick_size = instrument.tick_size;
  entry.lot_size = instrument.lot_size;
  entry.status = shm::InstrumentStatus::Active;
  entry.kind = instrument.kind;
  entry.settlement = settlement_of(instrument);
  entry.contract_unit = unit_of(instrument);
  entry.option_right = instrument.option_right;
  entry.contract_exponent = instrument.contract_exponent;
  entry.strike_exponent = instrument.strike_exponent;
  entry.notional_exponent = instrument.notional_exponent;
  entry.contract_size = instrument.contract_size;
  entry.expiry_ns = instrument.expiry_ns;
  entry.strike_price = instrument.strike_price;
  entry.min_quantity = instrument.min_quantity;
  entry.max_quantity = instrument.max_quantity;
  entry.min_notional = instrument.min_notional;
  set_name(entry.underlying, instrument.underlying, "underlying");
  set_name(entry.settle, instrument.settle, "settle");
  set_name(entry.venue_symbol, instrument.venue_symbol, "venue symbol");
  set_name(entry.canonical_symbol, instrument.canonical_symbol, "canonical symbol");
  set_name(entry.base, instrument.base, "base");
  set_name(entry.quote, instrument.quote, "quote");
  set_words(entry.venue_status, instrument.status);
  set_instrument(entry);
}

void DirectoryWriter::set_instrument(const shm::InstrumentEntry& entry) {
  if (entry.symbol_id >= header_.info.instrument_capacity) {
    throw SegmentError("directory: no room for symbol_id " + std::to_string(entry.symbol_id) + " (\"" +
                       std::string(shm::text(entry.canonical_symbol)) + "\"), the segment holds " +
                       std::to_string(header_.info.instrument_capacity) + " instruments");
  }
  const std::lock_guard lock(mutex_);
  add_to_index(shm::text(entry.canonical_symbol), entry.symbol_id);
  add_to_index(shm::text(entry.venue_symbol), entry.symbol_id);
  store_entry(instrument(entry.symbol_id), entry);
  raise(header_.instrument_count, entry.symbol_id + 1ULL);
  changed();
}

// Slots are only ever added. One that leads to an entry with another name (it is not written yet, or had this
// name before) is believed by nobody. So a full index is found before anything is changed.
void DirectoryWriter::add_to_index(std::string_view symbol, std::uint32_t symbol_id) {
  const std::uint64_t hash = mdp_shm_symbol_hash(symbol.data(), symbol.size());
  const std::uint64_t wanted = mdp_shm_index_slot(hash, symbol_id);
  for (std::uint64_t step = 0; step < index_slots_; ++step) {
    shm::Word& slot = index_[(hash + step) & (index_slots_ - 1)];
    // relaxed load: ours.
    const std::uint64_t found = slot.load(std::memory_order_relaxed);
    if (found == wanted) return;
    if (found != 0) continue;
    // relaxed: the entry says whether the slot is right; pairs with the load in mdp_shm_find_entry().
    slot.store(wanted, std::memory_order_relaxed);
    return;
  }
  throw SegmentError("directory: no room in the index for " + core::quoted(symbol) +
                     ": too many instruments were renamed, start the publisher anew");
}

// relaxed load: ours. release store: who sees the new epoch sees the change; pairs with Directory::epoch().
void DirectoryWriter::changed() noexcept {
  header_.directory_epoch.store(header_.directory_epoch.load(std::memory_order_relaxed) + 1,
                                std::memory_order_release);
}

bool DirectoryWriter::remove_instrument(core::SymbolId symbol_id) {
  const std::lock_guard lock(mutex_);
  // relaxed: our own count.
  if (symbol_id >= header_.instrument_count.load(std::memory_order_relaxed)) return false;
  auto entry = load_entry<shm::InstrumentEntry>(instrument(symbol_id));
  if (entry.status == shm::InstrumentStatus::Unused) return false;
  entry.status = shm::InstrumentStatus::Removed;
  store_entry(instrument(symbol_id), entry);
  changed();
  return true;
}

void DirectoryWriter::copy(DirectoryWriter& other) noexcept {
  const std::lock_guard lock(other.mutex_);
  const shm::SegmentInfo& info = header_.info;
  // The one writer reads its own, between two changes: no entry is being written.
  mdp_shm_load_words(venues_, other.venues_, std::size_t{info.venue_stride} * info.venue_capacity);
  mdp_shm_load_words(instruments_, other.instruments_,
                     std::size_t{info.instrument_stride} * info.instrument_capacity);
  mdp_shm_load_words(index_, other.index_, info.index.size_bytes);
  // relaxed: the magic, which is stored last, publishes all of it.
  for (const auto word : {&shm::SegmentHeader::venue_count, &shm::SegmentHeader::instrument_count,
                          &shm::SegmentHeader::directory_epoch}) {
    (header_.*word).store((other.header_.*word).load(std::memory_order_relaxed), std::memory_order_relaxed);
  }
}

void* DirectoryWriter::venue(std::uint32_t index) const noexcept {
  return venues_ + std::uint64_t{header_.info.venue_stride} * index;
}
void* DirectoryWriter::instrument(std::uint32_t symbol_id) const noexcept {
  return instruments_ + std::uint64_t{header_.info.instrument_stride} * symbol_id;
}

}  // namespace mdp::publish
