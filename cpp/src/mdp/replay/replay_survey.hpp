// ReplaySurvey: the first look at a recorded session, before it is replayed.
//
// It tells which symbols the session has and on which lines, and finds the exponents of those that no
// instrument list describes: the coarsest at which the venue's own parser reads every number exactly.
//
// One thread.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "mdp/core/symbol_table.hpp"
#include "mdp/replay/replay.hpp"

namespace mdp::replay {

class ReplaySurvey {
 public:
  // Throws ConfigError for an unknown venue.
  explicit ReplaySurvey(std::string_view venue);
  ~ReplaySurvey();

  // The targets of the venue's REST calls, to know recorded ones again.
  std::string snapshot_target(std::string_view venue_symbol) const;
  std::string instruments_target() const;

  // The recorded instrument list; before any frame. Throws ConfigError where it can't be read.
  void add_listed(std::string_view body);
  // A symbol whose exponents are still to be found; ignored where it is known.
  void add_unlisted(std::string_view venue_symbol);

  void frame(core::LineId line, std::string_view bytes, bool binary);
  void snapshot(std::string_view venue_symbol, std::string_view body);

  // The symbols seen in frames or snapshots, by canonical symbol.
  std::vector<ReplaySymbol> found() const;

 private:
  class Seen;
  struct Candidate {
    core::Instrument instrument;
    bool listed = false;
    bool seen = false;
    std::vector<core::LineId> lines;  // that brought book updates
  };
  void add(core::Instrument instrument, bool listed);
  template <class Read>
  bool refine(Candidate& candidate, const Read& read);

  std::unique_ptr<core::Venue> venue_;
  std::vector<Candidate> candidates_;  // by symbol_id
  std::unique_ptr<core::SymbolTable> table_;
  std::unique_ptr<core::Parser> parser_;
  std::unique_ptr<Seen> sink_;
  std::string padded_;
};

}  // namespace mdp::replay
