#include "mdp/venue/registry.hpp"

#include "mdp/core/error.hpp"

namespace mdp::venue {

#define MDP_VENUE(exchange_id, folder)                                                  \
  namespace folder {                                                                    \
  std::unique_ptr<core::Venue> make_venue(core::ExchangeId, const core::VenueOptions&); \
  }
#include "mdp/venue/registry.def"
#undef MDP_VENUE

namespace {

std::vector<std::unique_ptr<core::Venue>> make_all(const core::VenueOptions& options) {
  std::vector<std::unique_ptr<core::Venue>> venues;
#define MDP_VENUE(exchange_id, folder) venues.push_back(folder::make_venue(exchange_id, options));
#include "mdp/venue/registry.def"
#undef MDP_VENUE
  return venues;
}

}  // namespace

std::unique_ptr<core::Venue> make_venue(std::string_view name, const core::VenueOptions& options) {
  std::string known;
  for (auto& venue : make_all(options)) {
    if (venue->name() == name) return std::move(venue);
    known.append(known.empty() ? "" : ", ").append(venue->name());
  }
  throw ConfigError("unknown venue \"" + std::string(name) + "\": this build knows " + known);
}

std::vector<std::string> venue_names() {
  std::vector<std::string> names;
  for (const auto& venue : make_all({})) names.emplace_back(venue->name());
  return names;
}

}  // namespace mdp::venue
