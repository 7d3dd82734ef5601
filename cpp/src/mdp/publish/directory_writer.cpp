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

// Raises a count to `count`, once the entries below it are written.
void raise(shm::Word& word, std::uint64_t count) noexcept {
  // relaxed load: ours. release store: publishes the entry; pairs with Directory::count().
  if (word.load(std::memory_order_relaxed) < count) word.store(count, std::memory_order_release);
}

}  // namespace

DirectoryWriter::DirectoryWriter(shm::SegmentHeader& header, void* venues, void* instruments) noexcept
    : header_(header),
      venues_(static_cast<unsigned char*>(venues)),
      instruments_(static_cast<unsigned char*>(instruments)) {}

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
  entry.contract_exponent = instrument.contract_exponent;
  entry.contract_size = instrument.contract_size;
  entry.expiry_ns = instrument.expiry_ns;
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
  store_entry(instrument(entry.symbol_id), entry);
  raise(header_.instrument_count, entry.symbol_id + 1ULL);
}

bool DirectoryWriter::remove_instrument(core::SymbolId symbol_id) {
  const std::lock_guard lock(mutex_);
  // relaxed: our own count.
  if (symbol_id >= header_.instrument_count.load(std::memory_order_relaxed)) return false;
  auto entry = load_entry<shm::InstrumentEntry>(instrument(symbol_id));
  if (entry.status == shm::InstrumentStatus::Unused) return false;
  entry.status = shm::InstrumentStatus::Removed;
  store_entry(instrument(symbol_id), entry);
  return true;
}

void* DirectoryWriter::venue(std::uint32_t index) const noexcept {
  return venues_ + std::uint64_t{header_.info.venue_stride} * index;
}
void* DirectoryWriter::instrument(std::uint32_t symbol_id) const noexcept {
  return instruments_ + std::uint64_t{header_.info.instrument_stride} * symbol_id;
}

}  // namespace mdp::publish
