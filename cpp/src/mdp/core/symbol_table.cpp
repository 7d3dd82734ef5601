#include "mdp/core/symbol_table.hpp"

#include <algorithm>
#include <bit>

namespace mdp::core {

SymbolTable::SymbolTable(const std::vector<Instrument>& instruments) {
  for (const Instrument& instrument : instruments) {
    instruments_.push_back(instrument);
    listed_.push_back(&instruments_.back());
  }
  publish();
}

void SymbolTable::add(const Instrument& instrument) {
  const std::lock_guard lock(change_);
  std::erase_if(listed_,
                [&](const Instrument* listed) { return listed->venue_symbol == instrument.venue_symbol; });
  instruments_.push_back(instrument);
  listed_.push_back(&instruments_.back());
  publish();
}

void SymbolTable::remove(std::string_view venue_symbol) {
  const std::lock_guard lock(change_);
  std::erase_if(listed_, [&](const Instrument* listed) { return listed->venue_symbol == venue_symbol; });
  publish();
}

void SymbolTable::publish() {
  auto index = std::make_unique<Index>();
  index->slots.resize(std::bit_ceil(std::max<std::size_t>(listed_.size() * 2, 2)));
  index->mask = index->slots.size() - 1;
  index->shift = 64 - std::countr_zero(index->slots.size());
  for (const Instrument* instrument : listed_) {
    const Ends ends = ends_of(instrument->venue_symbol);
    const std::size_t size = instrument->venue_symbol.size();
    std::uint64_t at = hash_of(ends, size) >> index->shift;
    while (index->slots[at].instrument != nullptr) at = (at + 1) & index->mask;
    index->slots[at] = {ends, size, instrument};
  }
  // Kept first: if this throws, find() goes on with the index it has.
  indexes_.push_back(std::move(index));
  // release: publishes the index written above; pairs with the acquire load in find().
  current_.store(indexes_.back().get(), std::memory_order_release);
}

}  // namespace mdp::core
