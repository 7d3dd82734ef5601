// Engine: venues, symbols, lanes and the road between them and a segment, with the handles that control
// needs.
//
// Used by the Python Provider through the bindings, and by C++ tests. One thread makes the engine and calls
// all its methods, the control thread; a debug build asserts it. Nothing of the engine's own waits for that
// thread: what others bring it (control events, marks, lists of instruments) lies in queues until it takes
// it.
#pragma once

#include <atomic>
#include <cassert>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "mdp/core/counters.hpp"
#include "mdp/core/instrument.hpp"
#include "mdp/engine/control.hpp"
#include "mdp/engine/engine_config.hpp"
#include "mdp/engine/health.hpp"
#include "mdp/engine/housekeeping.hpp"
#include "mdp/engine/placement.hpp"
#include "mdp/engine/rest_answers.hpp"
#include "mdp/engine/road.hpp"
#include "mdp/engine/venue_client.hpp"
#include "mdp/net/io_loop.hpp"
#include "mdp/publish/ipc_publisher.hpp"

namespace mdp::engine {

class Engine {
 public:
  // Creates the segment (state Starting) and the REST thread. Throws SegmentError (the name is owned by a
  // live publisher, no memory) or ConfigError.
  explicit Engine(EngineConfig config);
  ~Engine();  // stop()
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  // Before start() or while running. Returns the venue's index. Throws ConfigError: unknown venue, channel or
  // option it does not offer, bad URL or TLS settings.
  std::size_t add_venue(VenueConfig config);
  // The same for a venue that is not in the registry: an embedder's own, or a test's. `config.name` names
  // nothing then.
  std::size_t add_venue(VenueConfig config, std::unique_ptr<core::Venue> venue);
  // Throws what add_venue() would in an engine whose segment has so many levels a side, and contacts nobody.
  // Needs no engine.
  static void check_venue(VenueConfig config, std::size_t levels);

  // Asks the venue for its list of instruments; take_instruments() gives what comes of it.
  void request_instruments(std::size_t venue);
  // What came of such requests since the last call.
  std::vector<InstrumentList> take_instruments() {
    assert_control_thread();
    return lists_.take();
  }

  RestLimits rest_limits(std::size_t venue) const;

  // Gives the symbol its id (one that was removed before gets its old one), its directory entry, its book and
  // a line. Before start() or while running; then subscribe_added() must follow. Throws SegmentError (the
  // directory is full, or a name does not fit) or ConfigError (already added, or the venue says of it what
  // cannot be used).
  core::SymbolId add_symbol(std::size_t venue, core::Instrument instrument);
  // Subscribes to all symbols that were added since start() or the last call: as few requests as the venue
  // takes, where one a symbol would use up what it allows.
  void subscribe_added();
  // Asks once more for a channel of a symbol that the venue has refused (ControlKind::Rejected).
  void subscribe_again(core::SymbolId symbol, core::Channel channel);
  // Leaves the channels and drops the book; its id is given to nothing else. False: no such symbol.
  bool remove_symbol(core::SymbolId symbol);

  // Publisher, managers, then lanes. Throws ConfigError (a core that does not exist); nothing runs then.
  void start();
  // Stops intake, drains, marks the segment stopped, ends the threads and unlinks the segment. Idempotent.
  void stop() noexcept;

  // Asynchronous: the outcome comes as ControlKind::Snapshot, the book itself takes its own way into the
  // manager. From a venue whose snapshots come in the stream one is had by subscribing anew; the outcome then
  // says that this was asked for.
  void request_snapshot(core::SymbolId symbol);
  // Likewise over REST, for an audit of the book against it; the outcome is ControlKind::AuditSnapshot. A
  // LIVE book that differs goes STALE, and tells by ControlKind::AuditMismatch; of one in another state
  // nothing is said. Throws ConfigError where snapshots come in the stream: there is none to be had beside a
  // book.
  void audit(core::SymbolId symbol);
  // Likewise over REST, to make a LIVE book known deeper; the outcome is ControlKind::Snapshot. The book
  // stays LIVE. Throws as audit().
  void widen(core::SymbolId symbol);
  // A quiet symbol need not wait for its first delta.
  void begin_sync(core::SymbolId symbol);
  void request_resync(core::SymbolId symbol);
  // Drops the connection of the line's lane and makes it anew.
  void reconnect(core::LineId line, std::string reason);
  // Replaces the connection of the line's lane: the old one is closed after the new one is up.
  void renew(core::LineId line);
  // The same for all lines that carry the symbol's book.
  void renew_lines_of(core::SymbolId symbol);

  // Symbols that wait for a snapshot and have not been asked about since; clears the marks.
  std::vector<core::SymbolId> take_snapshots_wanted() { return take_marks(&SymbolStatus::snapshot_wanted); }
  // LIVE books that an audit is worth its weight for (BookListener::on_suspect()); clears the marks.
  std::vector<core::SymbolId> take_suspects() { return take_marks(&SymbolStatus::suspect); }
  // LIVE books that need a snapshot beside them, and how badly.
  std::vector<std::pair<core::SymbolId, book::DepthNeed>> depth_needs() const;
  std::vector<ControlEvent> take_control_events(std::size_t max);
  // How long a line that carries the symbol's book has been up, the longest of them; -1: none is.
  std::int64_t up_for_ns(core::SymbolId symbol) const;
  SymbolHealth symbol_health(core::SymbolId symbol) const;
  EngineHealth health() const;

  Topology topology() const noexcept { return topology_; }
  queue::IdleMode idle() const noexcept { return idle_; }
  const std::string& segment_name() const noexcept { return config_.segment.name; }
  bool running() const noexcept { return running_; }

 private:
  struct Symbol;
  class Publisher;

  core::SymbolId id_for(const core::Instrument& instrument) const;
  void wait_until_gone(const Symbol& symbol);
  template <class Change>
  void directory(Change&& change);
  void tend_segment() noexcept;
  void place(Symbol& symbol);
  void command(const Symbol& symbol, ManagerStage::Command command);
  void fetch(const Symbol& symbol, ControlKind outcome);
  Lane& lane_of(core::LineId line);
  Symbol& symbol_at(core::SymbolId symbol) const;
  Symbol& placed_symbol_at(core::SymbolId symbol) const;
  Symbol& fetchable_symbol_at(core::SymbolId symbol) const;
  // In every public method that touches what only the control thread may.
  void assert_control_thread() const noexcept { assert(std::this_thread::get_id() == control_thread_); }
  std::vector<core::SymbolId> take_marks(std::atomic<bool> SymbolStatus::* mark);

  const std::thread::id control_thread_ = std::this_thread::get_id();
  EngineConfig config_;
  const Topology topology_;
  const queue::IdleMode idle_;
  bool running_ = false;
  bool stopped_ = false;
  ControlQueue control_;
  std::unique_ptr<SymbolStatus[]> symbol_status_;
  InstrumentLists lists_;
  mutable std::mutex segment_mutex_;  // control changes the directory, housekeeping may change the segment
  std::unique_ptr<publish::SegmentWriter> segment_;
  // The housekeeping thread's, while the publisher moves from one to the other.
  std::unique_ptr<publish::SegmentWriter> former_segment_;
  std::uint64_t segment_rounds_ = 0;
  bool name_lost_ = false;
  core::Counter names_lost_;
  net::IoLoop rest_loop_;
  std::vector<std::unique_ptr<VenueClient>> venues_;
  std::vector<std::unique_ptr<Symbol>> symbols_;  // by id
  std::unique_ptr<Road> road_;                    // from start() on, as all below
  Publisher* publisher_ = nullptr;                // the end of the road
  std::unique_ptr<Placement> placement_;
  std::unique_ptr<Housekeeping> housekeeping_;  // from the beginning
  std::thread rest_thread_;                     // likewise
  EngineHealth final_health_{};                 // what health() says after stop()
};

}  // namespace mdp::engine
