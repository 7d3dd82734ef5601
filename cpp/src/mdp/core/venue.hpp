// Venue: all that is special about one exchange, behind one interface. Bytes in, messages out: no socket, no
// thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "mdp/core/book_rule.hpp"
#include "mdp/core/channel.hpp"
#include "mdp/core/endpoint.hpp"
#include "mdp/core/expected.hpp"
#include "mdp/core/instrument.hpp"
#include "mdp/core/parser.hpp"
#include "mdp/core/rest_request.hpp"
#include "mdp/core/settings.hpp"

namespace mdp::core {

class SymbolTable;

struct Subscription {
  std::string venue_symbol;
  Channel channel = Channel::Depth;
};

// What a user may choose of how the venue sends its data.
struct VenueOptions {
  // Between depth updates, as the venue offers it; none: its fastest documented.
  std::optional<int> depth_interval_ms = std::nullopt;
  bool microsecond_times = false;  // where the venue offers it

  template <class Visit>
  static void visit_settings(Visit&& visit) {
    MDP_SETTING(VenueOptions, depth_interval_ms);
    MDP_SETTING(VenueOptions, microsecond_times);
  }
};

// Where a venue told us to connect to, for one time.
struct ConnectTarget {
  std::string url;       // wss://host[:port]/path?query, with whatever it wants to see again
  KeepAlive keep_alive;  // in place of Endpoint::keep_alive; without a text: that one
};

class Venue {
 public:
  virtual ~Venue() = default;

  virtual ExchangeId exchange_id() const noexcept = 0;
  // As in the canonical symbols: "binance". From the venue's line in registry.def.
  virtual std::string_view name() const noexcept = 0;
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

  // The levels a side that a snapshot has at most: one that snapshot_request() can ask for, or that comes in
  // the stream.
  virtual std::size_t max_snapshot_depth() const { return std::numeric_limits<std::uint16_t>::max(); }
  // What an answer's headers tell of the REST weight used this minute; -1: nothing.
  virtual std::int64_t used_weight(const RestHeaders& /*headers*/) const { return -1; }

  // The whole list of instruments, so that a symbol the venue does not list can be named; ids are not yet
  // given. One that makes no sense is in it with its `problem`: it must not take the others down. A venue may
  // list them by several requests (a kind of product each), and each by pages: what asks for the page after
  // `body`, the answer to `asked`; none where that was the last.
  virtual std::vector<RestRequest> instruments_requests() const = 0;
  virtual Expected<std::vector<Instrument>, std::string> parse_instruments(std::string_view body) const = 0;
  virtual std::optional<RestRequest> next_instruments_request(const RestRequest& /*asked*/,
                                                              std::string_view /*body*/) const {
    return std::nullopt;
  }

  // Where the URL to connect to must be asked for, each time anew: the request, and what its answer says.
  virtual std::optional<RestRequest> connect_request(std::size_t /*route*/) const { return std::nullopt; }
  virtual Expected<ConnectTarget, std::string> read_connect(std::string_view /*body*/) const {
    return Unexpected{std::string("this venue's URL need not be asked for")};
  }

  // A symbol that no list describes, as in a recording without one: named as far as its own text tells, so
  // base and quote may be a guess (here: what stands before and behind one of "-/_:"); default exponents.
  // Never for a live symbol.
  virtual Instrument unlisted(std::string_view venue_symbol) const;
  // The venue's words in the body of a refused REST call: "code -1121: Invalid symbol."; empty if it has
  // none.
  virtual std::string describe_rest_error(std::string_view body) const = 0;
  // Whether such a body says that the venue does not know the symbol asked for (any more).
  virtual bool says_unknown_symbol(std::string_view body) const = 0;

 protected:
  // For unlisted(): the names and nothing else. `quote` may be empty.
  Instrument named(std::string_view venue_symbol, std::string_view base, std::string_view quote) const;
};

}  // namespace mdp::core
