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
  // Over a segment at `base` whose header tells its sections, which are zeroed.
  DirectoryWriter(shm::SegmentHeader& header, void* base) noexcept;

  // Adds a venue, or renames the one of that id. Throws SegmentError: directory full, name too long.
  void set_venue(core::ExchangeId exchange_id, std::string_view name);

  // Adds the instrument at index symbol_id, or replaces what is there, as Active. Throws SegmentError:
  // symbol_id beyond the capacity, a text too long for its field, an index that is full of former names.
  void set_instrument(const core::Instrument& instrument);
  // The same with every field of the entry (contract fields, status). entry.seq is ignored.
  void set_instrument(const shm::InstrumentEntry& entry);

  // All of it as in another one, which has as much room. Nobody reads this one yet.
  void copy(DirectoryWriter& other) noexcept;

  // One more than the highest symbol_id in use. Any thread.
  std::uint32_t instrument_count() const noexcept {
    // relaxed: a number, not what stands behind it; pairs with set_instrument().
    return static_cast<std::uint32_t>(header_.instrument_count.load(std::memory_order_relaxed));
  }

  // Marks it Removed. Its id stays its own. False: no such instrument.
  bool remove_instrument(core::SymbolId symbol_id);

 private:
  void* venue(std::uint32_t index) const noexcept;
  void* instrument(std::uint32_t symbol_id) const noexcept;
  void add_to_index(std::string_view symbol, std::uint32_t symbol_id);
  void changed() noexcept;

  shm::SegmentHeader& header_;
  unsigned char* venues_;
  unsigned char* instruments_;
  shm::Word* index_;
  std::uint64_t index_slots_;
  std::mutex mutex_;
};

}  // namespace mdp::publish
