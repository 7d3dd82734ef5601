// Joins the parts of Binance USD-M futures into their core::Venue.
#include "mdp/venue/binance/family.hpp"
#include "mdp/venue/binance_usdm/book_rule.hpp"
#include "mdp/venue/binance_usdm/endpoint.hpp"

namespace mdp::venue::binance_usdm {
namespace {

// @depth@0ms is recorded but not documented: for those who ask for it by name, never the default.
constexpr binance::DepthSpeed kDepthSpeeds[] = {
    {100, "@depth@100ms"}, {250, "@depth"}, {500, "@depth@500ms"}, {0, "@depth@0ms"}};
constexpr binance::DepthLimit kDepthLimits[] = {{5, 2},   {10, 2},   {20, 2},   {50, 2},
                                                {100, 5}, {500, 10}, {1000, 20}};

}  // namespace

std::unique_ptr<core::Venue> make_venue(core::ExchangeId exchange_id, std::string_view name,
                                        const core::VenueOptions& options) {
  binance::Profile profile;
  profile.name = name;
  profile.family = binance::Family::Futures;
  profile.contracts = binance::Contracts::Linear;
  profile.book_rule = kBookRule;
  profile.endpoint = make_endpoint();
  // Depth, trade and bookTicker are public data, aggTrade, markPrice and forceOrder market data: another
  // route.
  profile.routes = {0, 0, 1, 0, 1, 1};
  profile.depth_speeds = kDepthSpeeds;
  profile.depth_path = "/fapi/v1/depth";
  profile.depth_limits = kDepthLimits;
  profile.default_depth = 500;
  profile.instruments_target = "/fapi/v1/exchangeInfo";
  profile.instruments_weight = 1;
  return binance::make_family_venue(profile, exchange_id, options);
}

}  // namespace mdp::venue::binance_usdm
