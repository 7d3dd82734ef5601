// Every parser of the registry over any bytes: no step outside the frame and its padding, what it commits
// keeps the interface's promises, and it depends on the frame alone: not on what lies behind it, nor on the
// frames before.
#include "fuzz_venue.hpp"

namespace {

using namespace mdp;

core::ParseStatus parse(core::Parser& parser, fuzz::PaddedText& frame, core::CollectingSink& sink) {
  core::RawMessage raw{};
  raw.data = frame.data();
  raw.size = static_cast<std::uint32_t>(frame.text().size());
  raw.recv_ts_ns = 1;
  return parser.parse(raw, sink);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const core::SymbolTable symbols(fuzz::instruments());
  static const auto* const used = [] {
    auto* parsers = new std::vector<std::unique_ptr<core::Parser>>;
    for (const auto& venue : fuzz::venues()) parsers->push_back(venue->make_parser(symbols));
    return parsers;
  }();
  for (std::size_t i = 0; i < fuzz::venues().size(); ++i) {
    fuzz::PaddedText frame(data, size, '0');
    core::CollectingSink sink;
    const core::ParseStatus status = parse(*(*used)[i], frame, sink);
    fuzz::check_messages(sink.messages, status);
    fuzz::PaddedText again(data, size, '}');
    core::CollectingSink other;
    const auto fresh = fuzz::venues()[i]->make_parser(symbols);
    const core::ParseStatus other_status = parse(*fresh, again, other);
    // Data depends on the frame alone. Of a frame without data it is left open how far it was read: where a
    // string or a bracket is not closed simdjson looks at the byte behind the frame, so a symbol may be found
    // (and made to resync) or not. The gap that follows tells as well.
    if (status != core::ParseStatus::Ok && other_status != core::ParseStatus::Ok) continue;
    MDP_FUZZ_CHECK(status == other_status);
    MDP_FUZZ_CHECK(fuzz::same(sink.messages, other.messages));
  }
  return 0;
}
