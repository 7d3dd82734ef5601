// SymbolTable: venue symbol text to Instrument, for the parsers of one venue.
//
// Looked up by parser threads for every frame; changed by the control thread, also while they run: a change
// builds a new immutable hash table and swaps a pointer. Old tables are kept until the SymbolTable goes (they
// are small and changes are rare), so a parser may keep using the one it has in hand.
#pragma once

#include <atomic>
#include <cstdint>
#include <cstring>
#include <deque>
#include <memory>
#include <mutex>
#include <string_view>
#include <vector>

#include "mdp/core/instrument.hpp"

namespace mdp::core {

class SymbolTable {
 public:
  SymbolTable() = default;
  explicit SymbolTable(const std::vector<Instrument>& instruments);
  SymbolTable(const SymbolTable&) = delete;
  SymbolTable& operator=(const SymbolTable&) = delete;

  // Parser threads. The instrument, valid as long as this table, or nullptr.
  const Instrument* find(std::string_view venue_symbol) const noexcept;

  // Control thread. Adds or replaces by venue symbol; removes what is there.
  void add(const Instrument& instrument);
  void remove(std::string_view venue_symbol);

 private:
  // The first and the last eight characters of a symbol, of a shorter one four, or all of three and less.
  struct Ends {
    std::uint64_t head = 0;
    std::uint64_t tail = 0;
    bool operator==(const Ends&) const = default;
  };
  struct Slot {
    Ends ends;
    std::size_t size = 0;
    const Instrument* instrument = nullptr;
  };
  struct Index {
    std::vector<Slot> slots;  // open addressing, a power of two, at most half full
    std::uint64_t mask = 0;
    int shift = 0;  // 64 - log2 of the size: a slot is chosen by the top bits of the hash
  };
  static Ends ends_of(std::string_view text) noexcept;
  static std::uint64_t hash_of(const Ends& ends, std::size_t size) noexcept;
  void publish();

  std::mutex change_;                   // one change at a time
  std::deque<Instrument> instruments_;  // stable addresses
  std::vector<const Instrument*> listed_;
  std::vector<std::unique_ptr<Index>> indexes_;
  std::atomic<const Index*> current_{nullptr};
};

// Two overlapping reads cover the usual symbol; longer ones differ in the middle rarely.
inline SymbolTable::Ends SymbolTable::ends_of(std::string_view text) noexcept {
  const auto read = [&]<class Word>(Word) {
    Word head;
    Word tail;
    std::memcpy(&head, text.data(), sizeof(Word));
    std::memcpy(&tail, text.data() + text.size() - sizeof(Word), sizeof(Word));
    return Ends{head, tail};
  };
  if (text.size() >= sizeof(std::uint64_t)) return read(std::uint64_t{});
  if (text.size() >= sizeof(std::uint32_t)) return read(std::uint32_t{});
  Ends ends{};
  for (const char c : text) ends.head = ends.head << 8 | static_cast<unsigned char>(c);
  return ends;
}

inline std::uint64_t SymbolTable::hash_of(const Ends& ends, std::size_t size) noexcept {
  // Only the top bits of a product depend on every character: its low bits ignore the last ones, and symbols
  // differ in their last ones (USDT, USDC). So slots are chosen by the top bits.
  return (ends.head ^ (ends.tail * 0x9E37'79B9'7F4A'7C15ULL) ^ size) * 0xD6E8'FEB8'6659'FD93ULL;
}

inline const Instrument* SymbolTable::find(std::string_view venue_symbol) const noexcept {
  // acquire: the index is whole; pairs with the release store in publish().
  const Index* index = current_.load(std::memory_order_acquire);
  if (index == nullptr) return nullptr;
  const Ends ends = ends_of(venue_symbol);
  const std::uint64_t hash = hash_of(ends, venue_symbol.size());
  for (std::uint64_t at = hash >> index->shift;; at = (at + 1) & index->mask) {
    const Slot& slot = index->slots[at];
    if (slot.instrument == nullptr) return nullptr;
    if (slot.ends != ends || slot.size != venue_symbol.size()) continue;
    // Both reads together are the whole of a symbol of up to 16 characters.
    if (slot.size <= 16 || slot.instrument->venue_symbol == venue_symbol) [[likely]]
      return slot.instrument;
  }
}

}  // namespace mdp::core
