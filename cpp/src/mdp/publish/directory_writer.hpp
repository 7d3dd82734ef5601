// DirectoryWriter: writes venues and instruments into a segment's directory.
//
// Set-up path: called by whoever adds symbols (control), from any thread, also while the publisher runs.
// After adding or changing an instrument while readers are attached, send an Instrument event through the
// ring to tell them.
#pragma once

#include <cstdint>
#include <mutex>
#include <string_view>

#include "mdp/core/instrument.hpp"
#include "mdp/shm/directory.hpp"

namespace mdp::publish {

class DirectoryWriter {
 public:
  // Over the zeroed sections of a formatted segment.
  DirectoryWriter(shm::SegmentHeader& header, void* venues, void* instruments) noexcept;

  // Adds a venue, or renames the one of that id. Throws SegmentError: directory full, name too long.
  void set_venue(core::ExchangeId exchange_id, std::string_view name);

  // Adds the instrument at index symbol_id, or replaces what is there, as Active. Throws SegmentError:
  // symbol_id beyond the capacity, a text too long for its field.
  void set_instrument(const core::Instrument& instrument);
  // The same with every field of the entry (contract fields, status). entry.seq is ignored.
  void set_instrument(const shm::InstrumentEntry& entry);

  // One more than the highest symbol_id in use. Any thread.
  std::uint32_t instrument_count() const noexcept {
    // relaxed: a number, not what stands behind it; pairs with set_instrument().
    return static_cast<std::uint32_t>(header_.instrument_count.load(std::memory_order_relaxed));
  }

  // Marks it Removed. Its id stays taken. False: no such instrument.
  bool remove_instrument(core::SymbolId symbol_id);

 private:
  void* venue(std::uint32_t index) const noexcept;
  void* instrument(std::uint32_t symbol_id) const noexcept;

  shm::SegmentHeader& header_;
  unsigned char* venues_;
  unsigned char* instruments_;
  std::mutex mutex_;
};

}  // namespace mdp::publish
