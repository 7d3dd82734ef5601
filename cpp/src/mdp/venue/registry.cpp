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

struct Entry {
  core::ExchangeId exchange_id;
  std::unique_ptr<core::Venue> (*make)(core::ExchangeId, const core::VenueOptions&);
};

constexpr Entry kEntries[] = {
#define MDP_VENUE(exchange_id, folder) {exchange_id, folder::make_venue},
#include "mdp/venue/registry.def"
#undef MDP_VENUE
};

}  // namespace

std::unique_ptr<core::Venue> make_venue(std::string_view name, const core::VenueOptions& options) {
  std::string known;
  for (const Entry& entry : kEntries) {
    // Made without options first: another venue may not have those asked for.
    const auto venue = entry.make(entry.exchange_id, {});
    if (venue->name() == name) return entry.make(entry.exchange_id, options);
    known.append(known.empty() ? "" : ", ").append(venue->name());
  }
  throw ConfigError("unknown venue \"" + std::string(name) + "\": this build knows " + known);
}

std::vector<std::string> venue_names() {
  std::vector<std::string> names;
  for (const Entry& entry : kEntries) names.emplace_back(entry.make(entry.exchange_id, {})->name());
  return names;
}

}  // namespace mdp::venue
