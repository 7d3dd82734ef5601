// Venue: all that is special about one exchange, behind one interface. Bytes in, messages out: no socket, no
// thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "mdp/core/expected.hpp"
#include "mdp/core/instrument.hpp"
#include "mdp/core/parser.hpp"
#include "mdp/core/sync_rule.hpp"

namespace mdp::core {

class SymbolTable;

enum class Channel : std::uint8_t { Depth, Trade, AggregateTrade, Quote };

struct Subscription {
  std::string venue_symbol;
  Channel channel = Channel::Depth;
};

// Where the venue is and what it tolerates. The two URLs are defaults; config may name others.
struct Endpoint {
  std::string ws_url;    // wss://host:port, without a path
  std::string rest_url;  // https://host[:port]
  std::string ws_path;   // of the connection that is then subscribed to
  std::size_t max_streams_per_connection = 0;
  double max_requests_per_second = 0;     // client frames on one connection, pongs included
  std::size_t max_connects_per_5min = 0;  // attempts of one address of ours; 0: no limit known
  bool answers_requests = false;          // each client frame is answered by a VenueReply with its id
  std::size_t rest_weight_per_minute = 0;
  std::int64_t ping_interval_ms = 0;       // of the server's pings; 0: it sends none
  std::int64_t max_connection_age_ms = 0;  // the venue closes a connection this old; 0: never
};

// A REST call of the venue: what to GET and what it costs.
struct RestRequest {
  std::string target;  // path and query
  std::uint32_t weight = 0;
};

class Venue {
 public:
  virtual ~Venue() = default;

  virtual ExchangeId exchange_id() const noexcept = 0;
  virtual std::string_view name() const noexcept = 0;  // as in the canonical symbols: "binance"
  virtual const Endpoint& endpoint() const noexcept = 0;
  virtual const SyncRule& sync_rule() const noexcept = 0;

  // The frames that subscribe to (or leave) these channels, in the order to send them; request ids count up
  // from `first_request_id`, one a frame.
  virtual std::vector<std::string> subscribe_frames(std::span<const Subscription> subscriptions,
                                                    std::int64_t first_request_id) const = 0;
  virtual std::vector<std::string> unsubscribe_frames(std::span<const Subscription> subscriptions,
                                                      std::int64_t first_request_id) const = 0;

  // One parser per lane. `symbols` outlives it.
  virtual std::unique_ptr<Parser> make_parser(const SymbolTable& symbols) const = 0;

  // Snapshot over REST: `depth` levels a side, rounded up to what the venue offers.
  virtual RestRequest snapshot_request(std::string_view venue_symbol, std::size_t depth) const = 0;
  // Turns the body into Snapshot chunks in `sink`. `body` has kFramePadding readable bytes after it.
  [[nodiscard]] virtual ParseStatus parse_snapshot(std::string_view body, const Instrument& instrument,
                                                   std::int64_t recv_ts_ns, MessageSink& sink) const = 0;

  // The whole list of instruments, so that a symbol the venue does not list can be named; ids are not yet
  // given.
  virtual RestRequest instruments_request() const = 0;
  virtual Expected<std::vector<Instrument>, std::string> parse_instruments(std::string_view body) const = 0;
  // The venue's words in the body of a refused REST call: "code -1121: Invalid symbol."; empty if it has
  // none.
  virtual std::string describe_rest_error(std::string_view body) const = 0;
};

}  // namespace mdp::core
