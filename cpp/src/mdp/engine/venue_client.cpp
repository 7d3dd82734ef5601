#include "mdp/engine/venue_client.hpp"

#include <utility>

#include "mdp/core/error.hpp"
#include "mdp/core/text.hpp"
#include "mdp/net/url.hpp"

namespace mdp::engine {
namespace {

// At a venue whose snapshots come in the stream. Throws ConfigError.
void refuse_what_needs_rest(const VenueConfig& config, const core::Venue& venue, std::size_t levels) {
  if (config.rest_audit_s.count() != 0) {
    throw ConfigError(
        config.name + ": rest_audit_s: found " + std::to_string(config.rest_audit_s.count()) +
        ", allowed: 0, for the venue sends snapshots in the stream alone, and none can be fetched to "
        "compare a book with");
  }
  // A window is known to its end. Any other book is out of what it knows when the levels of its snapshot are
  // used up, and the only way to have more is to subscribe anew.
  const std::size_t most = venue.max_snapshot_depth();
  if (!venue.book_rule().windowed() && most < 2 * levels) {
    throw ConfigError(config.name + ": its snapshots have " + std::to_string(most) +
                      " levels a side, and segment.levels is " + std::to_string(levels) +
                      ": its books would be subscribed to anew again and again. Set segment.levels to " +
                      std::to_string(most / 2) + " or less, half of what a snapshot has");
  }
}

VenueConfig checked(VenueConfig config, const core::Venue& venue, std::size_t levels) {
  if (config.ws_url.empty()) config.ws_url = venue.endpoint().ws_url;
  if (config.rest_url.empty()) config.rest_url = venue.endpoint().rest_url;
  const core::BookRule& rule = venue.book_rule();
  if (config.lines == 0 || (config.lines > 1 && !rule.lines_share_ids)) {
    throw ConfigError(config.name + ": lines: found " + std::to_string(config.lines) + ", allowed: 1" +
                      (config.lines == 0
                           ? " or more"
                           : ", for the venue's updates do not have the same ids on every line"));
  }
  if (rule.snapshot_source != core::SnapshotSource::Rest) refuse_what_needs_rest(config, venue, levels);
  for (const core::Channel channel : config.channels) {
    if (!venue.offers(channel)) {
      throw ConfigError(config.name + " does not offer the channel " + core::to_string(channel));
    }
  }
  net::check_tls(net::checked_endpoint("ws_url", config.ws_url), config.tls);
  return config;
}

net::RestOptions rest_options(const VenueConfig& config) {
  net::RestOptions rest;
  rest.tls = config.tls;
  rest.proxy = config.proxy;
  return rest;
}

// What the answer to a request for a snapshot needs. It is copied when the request is made: by the time that
// the answer comes, on the REST thread, control may have removed the symbol.
struct SnapshotRequest {
  const core::Venue& venue;
  const core::Instrument& instrument;  // never changed after it was added
  core::MessageSink& into;             // of the manager that had the symbol; the REST thread alone writes
  std::uint16_t depth_limit;
  ControlKind outcome;
  ControlQueue& control;
};

// REST thread.
void on_snapshot(const SnapshotRequest& request, const net::RestResponse& response) noexcept {
  const core::Venue& venue = request.venue;
  core::ParseStatus status = core::ParseStatus::Ok;
  core::ParseFailure failure;
  std::string problem = problem_of(venue, response);
  Fetched fetched = problem.empty() ? Fetched::Snapshot : Fetched::Nothing;
  if (response.error.empty() && response.status != 200 && venue.says_unknown_symbol(response.body())) {
    fetched = Fetched::UnknownSymbol;
  }
  if (problem.empty()) {
    status = venue.parse_snapshot(response.body(), request.instrument, request.depth_limit,
                                  response.recv_ts_ns, request.into, failure);
    if (core::is_error(status)) {
      const std::string number = core::describe(status, failure);
      problem = std::string("unreadable snapshot (") + core::to_string(status) +
                "): " + (number.empty() ? core::page_words(response.body()) : number);
      // Cut short, or a page of somebody on the way: that says nothing of the book.
      fetched = status == core::ParseStatus::MalformedFrame ? Fetched::Nothing : Fetched::Unfit;
    }
  }
  request.control.tell(request.outcome, [&](ControlEvent& event) {
    event.symbol = request.instrument.symbol_id;
    event.fetched = fetched;
    event.code = response.status;
    event.retry_after_s = response.retry_after_s();
    event.used_weight = venue.used_weight(response.headers);
    event.parse_status = status;
    event.failure = failure;
    event.set_text(problem);
  });
}

}  // namespace

VenueClient::VenueClient(net::IoLoop& rest_loop, VenueConfig config, std::unique_ptr<core::Venue> venue,
                         std::size_t levels)
    : venue_(std::move(venue)),
      config_(checked(std::move(config), *venue_, levels)),
      rest_(std::make_unique<net::RestClient>(rest_loop, config_.rest_url, rest_options(config_))) {}

void VenueClient::check_new(const core::Instrument& instrument) const {
  if (symbols_.find(instrument.venue_symbol) != nullptr) {
    throw ConfigError(std::string(venue_->name()) + ": symbol " + core::printable(instrument.venue_symbol) +
                      " was added already");
  }
  if (!instrument.problem.empty()) {
    throw ConfigError(std::string(venue_->name()) + " lists " + core::printable(instrument.venue_symbol) +
                      ", but what it says of it cannot be used: " + core::printable(instrument.problem));
  }
}

RestLimits VenueClient::rest_limits() const {
  return {venue_->endpoint().rest_weight_pool, venue_->endpoint().rest_weight_per_minute,
          venue_->snapshot_request("", config_.snapshot_depth).weight, instruments_weight(*venue_)};
}

void VenueClient::request_instruments(std::function<void(InstrumentList)> done) {
  fetch_instruments(*rest_, *venue_, config_.rest_url, config_.rest_timeout_ms, std::move(done));
}

void VenueClient::request_snapshot(const core::Instrument& instrument, core::MessageSink& into,
                                   ControlKind outcome, ControlQueue& control) {
  const core::RestRequest request = venue_->snapshot_request(instrument.venue_symbol, config_.snapshot_depth);
  const SnapshotRequest asked{*venue_, instrument, into, request.depth_limit, outcome, control};
  rest_->send(request, config_.rest_timeout_ms,
              [asked](const net::RestResponse& response) { on_snapshot(asked, response); });
}

}  // namespace mdp::engine
