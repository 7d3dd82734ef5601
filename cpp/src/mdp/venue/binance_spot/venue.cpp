// Joins the parts of Binance spot into its core::Venue.
#include "mdp/venue/binance/family.hpp"
#include "mdp/venue/binance_spot/book_rule.hpp"
#include "mdp/venue/binance_spot/endpoint.hpp"

namespace mdp::venue::binance_spot {
namespace {

using binance::kNotOffered;

constexpr binance::DepthSpeed kDepthSpeeds[] = {{100, "@depth@100ms"}, {1000, "@depth"}};
constexpr binance::DepthLimit kDepthLimits[] = {{100, 5}, {500, 25}, {1000, 50}, {5000, 250}};

}  // namespace

std::unique_ptr<core::Venue> make_venue(core::ExchangeId exchange_id, std::string_view name,
                                        const core::VenueOptions& options) {
  binance::Profile profile;
  profile.name = name;
  profile.family = binance::Family::Spot;
  profile.contracts = binance::Contracts::None;
  profile.book_rule = kBookRule;
  profile.endpoint = make_endpoint(options);
  profile.routes = {0, 0, 0, 0, kNotOffered, kNotOffered};  // mark prices and liquidations are of futures
  profile.depth_speeds = kDepthSpeeds;
  profile.depth_path = "/api/v3/depth";
  profile.depth_limits = kDepthLimits;
  profile.default_depth = 100;
  profile.any_depth = true;
  profile.instruments_target = "/api/v3/exchangeInfo?showPermissionSets=false";
  profile.instruments_weight = 20;
  profile.microsecond_times = true;
  return binance::make_family_venue(profile, exchange_id, options);
}

}  // namespace mdp::venue::binance_spot
