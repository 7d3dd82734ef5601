// Venue: all that is special about one exchange, behind one interface. Bytes in, messages out: no socket, no
// thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "mdp/core/book_rule.hpp"
#include "mdp/core/expected.hpp"
#include "mdp/core/instrument.hpp"
#include "mdp/core/parser.hpp"

namespace mdp::core {

class SymbolTable;

enum class Channel : std::uint8_t { Depth, Trade, AggregateTrade, Quote, MarkPrice, Liquidation };
inline constexpr std::uint8_t kChannelCount = 6;

constexpr const char* to_string(Channel channel) noexcept {
  constexpr const char* kNames[kChannelCount] = {"depth", "trade",      "aggregate_trade",
                                                 "quote", "mark_price", "liquidation"};
  return static_cast<std::uint8_t>(channel) < kChannelCount ? kNames[static_cast<std::uint8_t>(channel)]
                                                            : "unknown";
}

struct Subscription {
  std::string venue_symbol;
  Channel channel = Channel::Depth;
};

// What a user may choose of how the venue sends its data.
struct VenueOptions {
  // Between depth updates, as the venue offers it; none: its fastest documented.
  std::optional<int> depth_interval_ms = std::nullopt;
  bool microsecond_times = false;  // where the venue offers it
};

// Where the venue is and what it tolerates. The two URLs are defaults; config may name others.
struct Endpoint {
  std::string ws_url;                         // wss://host:port, without a path
  std::string rest_url;                       // https://host[:port]
  std::vector<std::string> ws_paths;          // of the connections that are then subscribed to, one a route
  bool acknowledges_requests = true;          // every subscribe frame is answered, by its request id
  std::size_t max_streams_per_request = 200;  // subscriptions of one subscribe frame
  std::size_t max_request_bytes = 4'000;      // of one subscribe frame, unless a single stream needs more
  std::size_t max_streams_per_connection = 0;
  double max_requests_per_second = 0;     // client frames on one connection, pongs included
  std::size_t max_connects_per_5min = 0;  // attempts of one address of ours; 0: no limit known
  std::size_t rest_weight_per_minute = 0;
  std::string rest_weight_pool;            // venues that name the same pool share that weight
  std::int64_t max_connection_age_ms = 0;  // the venue closes a connection this old; 0: never
};

// A REST call of the venue: what to GET and what it costs.
struct RestRequest {
  std::string target;  // path and query
  std::uint32_t weight = 0;
  std::uint16_t depth_limit = 0;  // of a snapshot: levels a side the answer holds at most; 0: the whole book
};

class Venue {
 public:
  virtual ~Venue() = default;

  virtual ExchangeId exchange_id() const noexcept = 0;
  virtual std::string_view name() const noexcept = 0;  // as in the canonical symbols: "binance"
  virtual const Endpoint& endpoint() const noexcept = 0;
  virtual const BookRule& book_rule() const noexcept = 0;

  virtual bool offers(Channel channel) const noexcept = 0;
  // Which of endpoint().ws_paths carries the channel. A venue whose channels come over several kinds of
  // connection has several routes.
  virtual std::size_t route_of(Channel channel) const noexcept = 0;

  // The frames that subscribe to (or leave) these channels, in the order to send them; request ids count up
  // from `first_request_id`, one a frame. Usually one frame: whoever asks for many cuts them to what
  // endpoint() allows (engine/subscriptions.hpp).
  virtual std::vector<std::string> subscribe_frames(std::span<const Subscription> subscriptions,
                                                    std::int64_t first_request_id) const = 0;
  virtual std::vector<std::string> unsubscribe_frames(std::span<const Subscription> subscriptions,
                                                      std::int64_t first_request_id) const = 0;

  // One parser per lane. `symbols` outlives it.
  virtual std::unique_ptr<Parser> make_parser(const SymbolTable& symbols) const = 0;

  // Snapshot over REST: `depth` levels a side, rounded up to what the venue offers.
  virtual RestRequest snapshot_request(std::string_view venue_symbol, std::size_t depth) const = 0;
  // The depth_limit of a request that was made before, by its path and query; for recordings.
  virtual std::uint16_t depth_limit_of(std::string_view target) const = 0;
  // Turns the body into Snapshot chunks in `sink`. `body` has kFramePadding readable bytes after it.
  // `depth_limit`: as in the request that it answers. `failure` is written on an error status alone.
  [[nodiscard]] virtual ParseStatus parse_snapshot(std::string_view body, const Instrument& instrument,
                                                   std::uint16_t depth_limit, std::int64_t recv_ts_ns,
                                                   MessageSink& sink, ParseFailure& failure) const = 0;

  // The whole list of instruments, so that a symbol the venue does not list can be named; ids are not yet
  // given. One that makes no sense is in it with its `problem`: it must not take the others down.
  virtual RestRequest instruments_request() const = 0;
  virtual Expected<std::vector<Instrument>, std::string> parse_instruments(std::string_view body) const = 0;
  // A symbol that no list describes, as in a recording without one: named as far as its own text tells, so base
  // and quote may be a guess; default exponents. Never for a live symbol.
  virtual Instrument unlisted(std::string_view venue_symbol) const;
  // The venue's words in the body of a refused REST call: "code -1121: Invalid symbol."; empty if it has
  // none.
  virtual std::string describe_rest_error(std::string_view body) const = 0;
  // Whether such a body says that the venue does not know the symbol asked for (any more).
  virtual bool says_unknown_symbol(std::string_view body) const = 0;
};

}  // namespace mdp::core
