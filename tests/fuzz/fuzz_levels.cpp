// Levels of books in every shape, held against a reader that makes a tree of JSON values first. The first
// byte chooses the shape.
#include "core/collecting_sink.hpp"
#include "core/strict_levels.hpp"
#include "fuzz_venue.hpp"
#include "mdp/core/level_scanner.hpp"

namespace {

using namespace mdp;
constexpr core::LevelShape kShapes[] = {{}, {1, 2}, {2, 0}, {0, 1, "px", "sz"}};

core::Instrument instrument() {
  core::Instrument instrument;
  instrument.price_exponent = -2;
  instrument.quantity_exponent = -8;
  return instrument;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const core::LevelShape& shape = kShapes[data[0] % std::size(kShapes)];
  // A bracket ends the text, as in a frame; the padding could go on with digits.
  std::string array(reinterpret_cast<const char*>(data) + 1, size - 1);
  array += ']';
  fuzz::PaddedText text(reinterpret_cast<const std::uint8_t*>(array.data()), array.size(), '7');
  static const core::Instrument kInstrument = instrument();
  core::CollectingSink sink;
  const core::MessageHeader header{};
  core::LevelWriter writer(sink, header);
  core::ParseFailure failure;
  const core::ParseStatus status =
      core::scan_levels({text.data(), array.size()}, shape, kInstrument, writer, failure);
  MDP_FUZZ_CHECK(status == core::ParseStatus::Ok || core::is_error(status));
  if (status != core::ParseStatus::Ok) return 0;
  writer.finish();
  // The tree has an opinion where all of the text is good; what strings that are passed over hold is nobody's
  // business.
  if (const auto wanted = strict::read_levels(array, shape, kInstrument)) {
    MDP_FUZZ_CHECK(core::join_chunks(sink.messages).bids == *wanted);
  }
  return 0;
}
