// Replay: recorded frames down the road of the engine, as fast as it goes.
//
// The road is the engine's (engine/road.hpp), in both topologies; in the connector's place stands whoever
// calls frame(), in the publisher's the lines of text and the checks at the end. The events are the same
// every time and in both topologies, for what is put in keeps its order: pipelined, all lines share one
// parser thread, and REST answers pass through it too.
//
// One thread calls everything here.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "mdp/core/instrument.hpp"
#include "mdp/core/symbol_table.hpp"
#include "mdp/core/venue.hpp"
#include "mdp/engine/road.hpp"
#include "mdp/replay/quote_check.hpp"

namespace mdp::replay {

// A symbol of a recorded session, and the lines that bring its book.
struct ReplaySymbol {
  core::Instrument instrument;
  std::vector<core::LineId> lines;
};

struct ReplayOptions {
  bool pipelined = false;
  bool event_lines = false;  // whether take_event_lines() will have any
  // Whether a quote of the venue that disagrees makes the book STALE, as it does live. Otherwise it is only
  // counted, and so are all that follow it.
  bool audit = false;
};

struct ReplaySummary {
  std::uint64_t frames;
  std::uint64_t parse_errors;  // frames and snapshots that could not be read
  std::uint64_t gaps;
  std::uint64_t resyncs;
  std::uint64_t book_updates;  // applied: to a LIVE book, or to a snapshot that they waited for
  std::uint64_t trades;
  std::uint64_t crossed;
  std::uint64_t quotes_checked;  // the venue's quotes that have the id of an update; with `audit` as the
                                 // books' own audit saw them
  std::uint64_t quotes_wrong;
  std::uint64_t suspicions;  // times a provider would have audited a LIVE book against REST
  std::uint64_t books;       // symbols with book updates
  std::uint64_t books_live;  // of those, LIVE now
};

class Replay {
 public:
  // Symbol ids are given anew, in the order of `symbols`. `line_count`: lines are 0 to line_count - 1. Throws
  // ConfigError for an unknown venue.
  Replay(std::string_view venue, const std::vector<ReplaySymbol>& symbols, std::size_t line_count,
         const ReplayOptions& options);
  ~Replay();
  Replay(const Replay&) = delete;
  Replay& operator=(const Replay&) = delete;

  // In order of their times. The bytes are copied; a line must be below line_count, else ConfigError.
  void line_state(core::LineId line, shm::LineState state, std::int64_t recv_ts_ns);
  void frame(core::LineId line, std::int64_t recv_ts_ns, std::string_view bytes, bool binary);
  // A REST answer for a symbol of the session; false where `venue_symbol` is none. A book that waits for its
  // first delta begins to sync before it, as control makes a quiet symbol do. `target`: path and query of the
  // request, which tell how deep the answer is.
  bool snapshot(std::string_view venue_symbol, std::int64_t recv_ts_ns, std::string_view body,
                std::string_view target = {});

  // Waits until everything put in so far has come out at the end. The rest of this class does so by itself.
  void flush();

  // JSON lines of the events since the last call.
  std::string take_event_lines();
  // What could not be read since the last call, a line each; of very many at once not all.
  std::vector<std::string> take_problems();
  ReplaySummary summary();
  const std::vector<WrongQuote>& wrong_quotes();
  const std::vector<ReplaySymbol>& symbols() const noexcept { return symbols_; }
  // All books as one JSON object: {"binance:BTC-USDT":{"state":"LIVE","update_id":1,"bids":[["1","2"]],
  // "asks":[]}}, each best level first.
  std::string books();

 private:
  struct Input;
  class Intake;
  class End;
  static constexpr std::size_t kControlSlots = 1024;

  Input& claim(core::LineId line);
  engine::RoadManager& manager() noexcept { return road_->manager(0); }

  const std::vector<ReplaySymbol> symbols_;
  const bool audit_;
  const std::unique_ptr<core::Venue> venue_;
  const core::SymbolTable table_;
  engine::ControlQueue control_{kControlSlots};
  const std::unique_ptr<engine::SymbolStatus[]> status_;
  End* end_ = nullptr;  // the road's
  std::unique_ptr<engine::Road> road_;
  std::unique_ptr<Intake> intake_;
};

}  // namespace mdp::replay
