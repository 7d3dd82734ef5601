// VenueClient: one venue of an engine: its checked configuration, its symbols, and what is asked of it over
// REST.
//
// Part of Engine. Control calls; what comes of a request is told on the REST thread, by way of queues.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "mdp/core/instrument.hpp"
#include "mdp/core/sinks.hpp"
#include "mdp/core/symbol_table.hpp"
#include "mdp/core/venue.hpp"
#include "mdp/engine/control.hpp"
#include "mdp/engine/engine_config.hpp"
#include "mdp/engine/rest_answers.hpp"
#include "mdp/net/io_loop.hpp"
#include "mdp/net/rest_client.hpp"

namespace mdp::engine {

// The venue's REST budget a minute (0: none), and what a snapshot and a list of instruments take of it.
struct RestLimits {
  std::string pool;  // venues of the same pool share one budget
  std::size_t weight_per_minute;
  std::uint32_t snapshot_weight;
  std::uint32_t instruments_weight;
};

class VenueClient {
 public:
  // Contacts nobody. `levels`: those that the segment has a side. Throws ConfigError: a channel or option
  // that the venue does not offer, a bad URL, TLS settings, what cannot be had without snapshots over REST.
  VenueClient(net::IoLoop& rest_loop, VenueConfig config, std::unique_ptr<core::Venue> venue,
              std::size_t levels);

  const core::Venue& venue() const noexcept { return *venue_; }
  const VenueConfig& config() const noexcept { return config_; }
  const core::SymbolTable& symbols() const noexcept { return symbols_; }
  net::RestClient& rest() noexcept { return *rest_; }

  // Whether the symbol can be added. Throws ConfigError: it was already, or the venue says of it what cannot
  // be used.
  void check_new(const core::Instrument& instrument) const;
  void add_symbol(const core::Instrument& instrument) { symbols_.add(instrument); }
  void remove_symbol(const std::string& venue_symbol) { symbols_.remove(venue_symbol); }

  RestLimits rest_limits() const;
  // `done` is called on the REST thread.
  void request_instruments(std::function<void(InstrumentList)> done);
  // What it brings goes `into` a manager and is told as `outcome`. `instrument`, `into` and `control` outlive
  // close().
  void request_snapshot(const core::Instrument& instrument, core::MessageSink& into, ControlKind outcome,
                        ControlQueue& control);
  // The REST thread has ended. Answers still due are dropped.
  void close() noexcept { rest_.reset(); }

 private:
  const std::unique_ptr<core::Venue> venue_;
  const VenueConfig config_;
  core::SymbolTable symbols_;
  std::unique_ptr<net::RestClient> rest_;
};

}  // namespace mdp::engine
