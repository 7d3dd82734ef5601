#include "mdp/venue/registry.hpp"

#include "mdp/core/error.hpp"

namespace mdp::venue {

#define MDP_VENUE(exchange_id, folder, name)                                                              \
  namespace folder {                                                                                      \
  std::unique_ptr<core::Venue> make_venue(core::ExchangeId, std::string_view, const core::VenueOptions&); \
  }
#include "mdp/venue/registry.def"
#undef MDP_VENUE

namespace {

struct Entry {
  core::ExchangeId exchange_id;
  std::string_view name;
  std::unique_ptr<core::Venue> (*make)(core::ExchangeId, std::string_view, const core::VenueOptions&);
};

constexpr Entry kEntries[] = {
#define MDP_VENUE(exchange_id, folder, name) {exchange_id, name, folder::make_venue},
#include "mdp/venue/registry.def"
#undef MDP_VENUE
};

}  // namespace

std::unique_ptr<core::Venue> make_venue(std::string_view name, const core::VenueOptions& options) {
  std::string known;
  for (const Entry& entry : kEntries) {
    if (entry.name == name) return entry.make(entry.exchange_id, entry.name, options);
    known.append(known.empty() ? "" : ", ").append(entry.name);
  }
  throw ConfigError("unknown venue \"" + std::string(name) + "\": this build knows " + known);
}

std::vector<std::string> venue_names() {
  std::vector<std::string> names;
  for (const Entry& entry : kEntries) names.emplace_back(entry.name);
  return names;
}

}  // namespace mdp::venue
