// What the fuzz targets of venues share: the venues to fuzz, symbols they know, and two readings of one text.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/collecting_sink.hpp"
#include "fuzz_check.hpp"
#include "mdp/core/symbol_table.hpp"
#include "mdp/venue/registry.hpp"

namespace mdp::fuzz {

// Symbols of the seed frames: a parser leaves the frames of any other alone.
inline std::vector<core::Instrument> instruments() {
  std::vector<core::Instrument> made;
  for (const char* symbol :
       {"BTCUSDT", "ETHUSDT", "DOTUSDT", "BUSDTRY", "BTCUSD_PERP", "BTCUSD_210924", "BTCUSDT_210625",
        "YFIUSDT", "KSMUSDT", "BCHUSD_210625", "ETHUSD_210625", "BTC-USDT", "BTC/USD", "BTC-USD"}) {
    core::Instrument instrument;
    instrument.symbol_id = static_cast<core::SymbolId>(made.size());
    instrument.exchange_id = 1;
    instrument.venue_symbol = symbol;
    instrument.canonical_symbol = symbol;
    made.push_back(instrument);
  }
  return made;
}

// MDP_FUZZ_VENUE names one; otherwise every input goes to all of the registry.
inline const std::vector<std::unique_ptr<core::Venue>>& venues() {
  static const auto* const made = [] {
    auto* list = new std::vector<std::unique_ptr<core::Venue>>;
    const char* const only = std::getenv("MDP_FUZZ_VENUE");
    for (const std::string& name : venue::venue_names()) {
      if (only == nullptr || name == only) list->push_back(venue::make_venue(name));
    }
    MDP_FUZZ_CHECK(!list->empty());
    return list;
  }();
  return *made;
}

// The text in memory of its own, so that the sanitizer sees a step outside, with padding that says `filler`.
class PaddedText {
 public:
  PaddedText(const std::uint8_t* data, std::size_t size, char filler)
      : memory_(std::make_unique<char[]>(size + core::kFramePadding)), size_(size) {
    if (size != 0) std::memcpy(memory_.get(), data, size);
    std::memset(memory_.get() + size, filler, core::kFramePadding);
  }
  char* data() { return memory_.get(); }
  std::string_view text() const { return {memory_.get(), size_}; }

 private:
  std::unique_ptr<char[]> memory_;
  std::size_t size_;
};

inline bool same(const std::vector<core::NormalizedMessage>& a,
                 const std::vector<core::NormalizedMessage>& b) {
  if (a.size() != b.size()) return false;
  for (std::size_t i = 0; i < a.size(); ++i) {
    if (a[i].used_bytes() != b[i].used_bytes() || std::memcmp(&a[i], &b[i], a[i].used_bytes()) != 0)
      return false;
  }
  return true;
}

inline bool holds_levels(const core::NormalizedMessage& message) {
  return message.header.update_type == core::UpdateType::Delta ||
         message.header.update_type == core::UpdateType::Snapshot;
}

// What the interface promises of the messages of one text, whatever the text.
inline void check_messages(const std::vector<core::NormalizedMessage>& messages, core::ParseStatus status) {
  std::vector<core::NormalizedMessage> update;
  bool whole = false;
  for (const core::NormalizedMessage& message : messages) {
    MDP_FUZZ_CHECK(message.header.symbol_id < instruments().size());
    if (!holds_levels(message)) continue;
    MDP_FUZZ_CHECK(message.level_count() <= core::kMaxMessageLevels);
    MDP_FUZZ_CHECK(message.header.first_update_id <= message.header.last_update_id);
    for (std::size_t i = 0; i < message.level_count(); ++i) {
      MDP_FUZZ_CHECK(message.levels[i].price > 0 && message.levels[i].quantity >= 0);
    }
    update.push_back(message);
    if (!message.has(core::kLast)) continue;
    MDP_FUZZ_CHECK(core::join_chunks(update).flags_right);
    update.clear();
    whole = true;
  }
  if (core::is_error(status)) {
    // No part of an unreadable update may pass for a whole one.
    MDP_FUZZ_CHECK(!whole);
    MDP_FUZZ_CHECK(update.empty() || messages.back().header.update_type == core::UpdateType::Invalidate);
  } else {
    MDP_FUZZ_CHECK(update.empty());
  }
}

}  // namespace mdp::fuzz
