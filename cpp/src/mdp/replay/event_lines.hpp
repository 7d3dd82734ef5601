// EventLines: published events as JSON, one object a line, numbers as exact decimal text.
//
// Written by a replay (replay/replay.hpp). A book update that takes several records becomes one line.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "mdp/core/instrument.hpp"
#include "mdp/shm/event.hpp"

namespace mdp::replay {

class EventLines {
 public:
  // `instruments` by symbol_id; not kept.
  EventLines(std::string_view venue, const std::vector<core::Instrument>& instruments);

  // Appends the event's line to `text`; an update's when its last record is here. Events for the book table
  // alone, and those without news (Instrument, the top once more), have none.
  void append(const shm::Event& event, std::string& text);

 private:
  struct Symbol {
    std::string names;  // ,"venue":"...","symbol":"..."
    int price_exponent;
    int quantity_exponent;
  };
  void append_head(std::string_view type, const std::string& names, const shm::EventHeader& header,
                   std::string& text) const;

  std::vector<Symbol> symbols_;
  std::string no_symbol_;  // of events that are no symbol's
  std::string bids_;       // of the update that is being put together
  std::string asks_;
};

// [["price","quantity"],...] without the outer brackets, behind what `text` already holds of that array.
void append_levels(shm::LevelSpan levels, int price_exponent, int quantity_exponent, std::string& text);
// `words` as a JSON string, quotes included.
void append_json_string(std::string_view words, std::string& text);

}  // namespace mdp::replay
