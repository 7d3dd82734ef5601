// The bodies of REST answers: snapshots, instrument lists and refusals of every venue, whatever the bytes.
#include "fuzz_venue.hpp"
#include "mdp/core/fixed_point.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace mdp;
  static const core::Instrument instrument = fuzz::instruments().front();
  for (const auto& venue : fuzz::venues()) {
    const fuzz::PaddedText body(data, size, '0');
    core::CollectingSink sink;
    core::ParseFailure failure;
    const core::ParseStatus status = venue->parse_snapshot(body.text(), instrument, 5, 1, sink, failure);
    fuzz::check_messages(sink.messages, status);
    const fuzz::PaddedText again(data, size, ']');
    core::CollectingSink other;
    const core::ParseStatus other_status =
        venue->parse_snapshot(again.text(), instrument, 5, 1, other, failure);
    MDP_FUZZ_CHECK(core::is_error(status) == core::is_error(other_status));
    if (status == core::ParseStatus::Ok) MDP_FUZZ_CHECK(fuzz::same(sink.messages, other.messages));
    if (const auto listed = venue->parse_instruments(body.text())) {
      for (const core::Instrument& found : *listed) {
        MDP_FUZZ_CHECK(!found.venue_symbol.empty());
        if (!found.problem.empty()) continue;
        MDP_FUZZ_CHECK(!found.canonical_symbol.empty());
        MDP_FUZZ_CHECK(found.price_exponent >= core::kMinExponent &&
                       found.price_exponent <= core::kMaxExponent);
        MDP_FUZZ_CHECK(found.quantity_exponent >= core::kMinExponent &&
                       found.quantity_exponent <= core::kMaxExponent);
        MDP_FUZZ_CHECK(found.tick_size >= 0 && found.lot_size >= 0);
      }
    } else {
      MDP_FUZZ_CHECK(!listed.error().empty());
    }
    const std::string words = venue->describe_rest_error(body.text());
    MDP_FUZZ_CHECK(!venue->says_unknown_symbol(body.text()) || !words.empty());
  }
  return 0;
}
