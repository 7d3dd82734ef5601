#include "mdp/venue/binance/family.hpp"

#include <array>
#include <cstdlib>
#include <optional>
#include <string>
#include <utility>

#include "mdp/core/error.hpp"
#include "mdp/venue/binance/rest.hpp"
#include "mdp/venue/binance/subscribe.hpp"

namespace mdp::venue::binance {
namespace {

std::string_view depth_stream(const Profile& profile, std::optional<int> interval_ms) {
  if (!interval_ms) return profile.depth_speeds.front().stream;
  std::string offered;
  for (const DepthSpeed& speed : profile.depth_speeds) {
    if (speed.interval_ms == interval_ms) return speed.stream;
    offered.append(offered.empty() ? "" : ", ").append(std::to_string(speed.interval_ms));
  }
  throw ConfigError("venue " + std::string(profile.name) + ": depth_interval_ms " +
                    std::to_string(*interval_ms) + " is not offered, only " + offered +
                    " (left out: the first)");
}

// What a symbol may end in; longer names before those they end in.
constexpr std::array<std::string_view, 23> kQuotes = {
    "FDUSD", "USDT", "USDC", "BUSD", "TUSD", "BIDR", "EUR", "GBP", "TRY", "RUB",  "BRL", "AUD",
    "UAH",   "NGN",  "DAI",  "PAX",  "BTC",  "ETH",  "BNB", "TRX", "XRP", "DOGE", "USD"};

// Base and quote of BTCUSDT; the quote is empty where nothing tells it.
std::pair<std::string_view, std::string_view> split(std::string_view symbol) {
  for (const std::string_view quote : kQuotes) {
    if (symbol.size() > quote.size() && symbol.ends_with(quote)) {
      return {symbol.substr(0, symbol.size() - quote.size()), quote};
    }
  }
  return {symbol, {}};
}

void check_times(const Profile& profile, const core::VenueOptions& options) {
  if (!options.microsecond_times || profile.microsecond_times) return;
  throw ConfigError("venue " + std::string(profile.name) +
                    ": microsecond_times is not offered, only milliseconds; leave it out");
}

class FamilyVenue final : public core::Venue {
 public:
  FamilyVenue(const Profile& profile, core::ExchangeId exchange_id, const core::VenueOptions& options)
      : profile_(profile),
        exchange_id_(exchange_id),
        depth_stream_(depth_stream(profile, options.depth_interval_ms)) {
    check_times(profile, options);
  }

  core::ExchangeId exchange_id() const noexcept override { return exchange_id_; }
  std::string_view name() const noexcept override { return profile_.name; }
  const core::Endpoint& endpoint() const noexcept override { return profile_.endpoint; }
  const core::BookRule& book_rule() const noexcept override { return profile_.book_rule; }
  bool offers(core::Channel channel) const noexcept override {
    return profile_.routes[static_cast<std::size_t>(channel)] != kNotOffered;
  }
  std::size_t route_of(core::Channel channel) const noexcept override {
    return offers(channel) ? profile_.routes[static_cast<std::size_t>(channel)] : 0;
  }

  std::vector<std::string> subscribe_frames(std::span<const core::Subscription> subscriptions,
                                            std::int64_t first_request_id) const override {
    return request_frames("SUBSCRIBE", subscriptions, first_request_id, depth_stream_);
  }
  std::vector<std::string> unsubscribe_frames(std::span<const core::Subscription> subscriptions,
                                              std::int64_t first_request_id) const override {
    return request_frames("UNSUBSCRIBE", subscriptions, first_request_id, depth_stream_);
  }

  std::unique_ptr<core::Parser> make_parser(const core::SymbolTable& symbols) const override {
    return binance::make_parser(profile_.family, symbols, exchange_id_);
  }

  core::RestRequest snapshot_request(std::string_view venue_symbol, std::size_t depth) const override {
    return binance::snapshot_request(profile_, venue_symbol, depth);
  }
  std::uint16_t depth_limit_of(std::string_view target) const override {
    return binance::depth_limit_of(profile_, target);
  }
  core::ParseStatus parse_snapshot(std::string_view body, const core::Instrument& instrument,
                                   std::uint16_t depth_limit, std::int64_t recv_ts_ns,
                                   core::MessageSink& sink, core::ParseFailure& failure) const override {
    return binance::parse_snapshot(body, instrument, depth_limit, recv_ts_ns, sink, failure);
  }

  std::size_t max_snapshot_depth() const override { return profile_.depth_limits.back().levels; }
  // x-mbx-used-weight-1m, and the like.
  std::int64_t used_weight(const core::RestHeaders& headers) const override {
    for (const auto& [header, value] : headers) {
      if (header.find("used-weight-1m") != std::string::npos) return std::atoll(value.c_str());
    }
    return -1;
  }

  std::vector<core::RestRequest> instruments_requests() const override {
    return {{std::string(profile_.instruments_target), profile_.instruments_weight}};
  }
  core::Expected<std::vector<core::Instrument>, std::string> parse_instruments(
      std::string_view body) const override {
    return binance::parse_instruments(profile_, exchange_id_, body);
  }
  core::Instrument unlisted(std::string_view venue_symbol) const override {
    const std::size_t at =
        profile_.contracts == Contracts::None ? std::string_view::npos : venue_symbol.rfind('_');
    const auto [base, quote] = split(venue_symbol.substr(0, at));
    core::Instrument instrument = named(venue_symbol, base, quote);
    if (profile_.contracts == Contracts::None) return instrument;
    const std::string_view contract = at == std::string_view::npos ? "PERP" : venue_symbol.substr(at + 1);
    instrument.canonical_symbol.append("-").append(contract);
    return instrument;
  }
  std::string describe_rest_error(std::string_view body) const override { return describe_error(body); }
  bool says_unknown_symbol(std::string_view body) const override { return is_unknown_symbol(body); }

 private:
  Profile profile_;
  core::ExchangeId exchange_id_;
  std::string_view depth_stream_;
};

}  // namespace

std::unique_ptr<core::Venue> make_family_venue(const Profile& profile, core::ExchangeId exchange_id,
                                               const core::VenueOptions& options) {
  return std::make_unique<FamilyVenue>(profile, exchange_id, options);
}

}  // namespace mdp::venue::binance
