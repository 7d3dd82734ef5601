// Joins the parts of Binance spot into its core::Venue.
#include "mdp/core/venue.hpp"

#include "mdp/venue/binance_spot/endpoint.hpp"
#include "mdp/venue/binance_spot/parser.hpp"
#include "mdp/venue/binance_spot/rest.hpp"
#include "mdp/venue/binance_spot/subscribe.hpp"
#include "mdp/venue/binance_spot/sync_rule.hpp"

namespace mdp::venue::binance_spot {
namespace {

class BinanceSpot final : public core::Venue {
 public:
  BinanceSpot(core::ExchangeId exchange_id, const core::VenueOptions& options)
      : exchange_id_(exchange_id), endpoint_(make_endpoint(options)) {}

  core::ExchangeId exchange_id() const noexcept override { return exchange_id_; }
  std::string_view name() const noexcept override { return "binance"; }
  const core::Endpoint& endpoint() const noexcept override { return endpoint_; }
  const core::SyncRule& sync_rule() const noexcept override { return kSyncRule; }
  bool offers(core::Channel channel) const noexcept override { return channel <= core::Channel::Quote; }
  std::size_t route_of(core::Channel) const noexcept override { return 0; }

  std::vector<std::string> subscribe_frames(std::span<const core::Subscription> subscriptions,
                                            std::int64_t first_request_id) const override {
    return request_frames("SUBSCRIBE", subscriptions, first_request_id);
  }
  std::vector<std::string> unsubscribe_frames(std::span<const core::Subscription> subscriptions,
                                              std::int64_t first_request_id) const override {
    return request_frames("UNSUBSCRIBE", subscriptions, first_request_id);
  }

  std::unique_ptr<core::Parser> make_parser(const core::SymbolTable& symbols) const override {
    return binance_spot::make_parser(symbols, exchange_id_);
  }

  core::RestRequest snapshot_request(std::string_view venue_symbol, std::size_t depth) const override {
    return binance_spot::snapshot_request(venue_symbol, depth);
  }
  core::ParseStatus parse_snapshot(std::string_view body, const core::Instrument& instrument,
                                   std::int64_t recv_ts_ns, core::MessageSink& sink) const override {
    return binance_spot::parse_snapshot(body, instrument, recv_ts_ns, sink);
  }

  core::RestRequest instruments_request() const override { return binance_spot::instruments_request(); }
  core::Expected<std::vector<core::Instrument>, std::string> parse_instruments(
      std::string_view body) const override {
    return binance_spot::parse_instruments(body, name(), exchange_id_);
  }
  std::string describe_rest_error(std::string_view body) const override { return describe_error(body); }

 private:
  core::ExchangeId exchange_id_;
  core::Endpoint endpoint_;
};

}  // namespace

std::unique_ptr<core::Venue> make_venue(core::ExchangeId exchange_id, const core::VenueOptions& options) {
  return std::make_unique<BinanceSpot>(exchange_id, options);
}

}  // namespace mdp::venue::binance_spot
