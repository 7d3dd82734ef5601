// Levels of books in every shape, held against a reader that makes a tree of JSON values first. The first
// byte chooses the shape.
#include <optional>

#include "core/collecting_sink.hpp"
#include "core/strict_json.hpp"
#include "fuzz_venue.hpp"
#include "mdp/core/level_scanner.hpp"

namespace {

using namespace mdp;
using Type = strict::Value::Type;

constexpr core::LevelShape kShapes[] = {{}, {1, 2}, {2, 0}, {0, 1, "px", "sz"}};

core::Instrument instrument() {
  core::Instrument instrument;
  instrument.price_exponent = -2;
  instrument.quantity_exponent = -8;
  return instrument;
}

const strict::Value* part(const strict::Value& level, std::uint8_t place, std::string_view key) {
  if (key.empty()) return place < level.elements.size() ? &level.elements[place] : nullptr;
  const strict::Value* found = nullptr;
  for (const auto& [name, value] : level.members) {
    if (name != key) continue;
    if (found != nullptr) return nullptr;
    found = &value;
  }
  return found;
}

std::optional<std::vector<core::PriceLevel>> by_tree(std::string_view text, const core::LevelShape& shape) {
  const auto tree = strict::Reader(text).read();
  if (!tree || tree->type != Type::Array) return std::nullopt;
  std::vector<core::PriceLevel> levels;
  for (const strict::Value& level : tree->elements) {
    const strict::Value* const price = part(level, shape.price_at, shape.price_key);
    const strict::Value* const quantity = part(level, shape.quantity_at, shape.quantity_key);
    for (const strict::Value* one : {price, quantity}) {
      if (one == nullptr || (one->type != Type::String && one->type != Type::Number)) return std::nullopt;
    }
    const auto held_price = strict::decimal(price->text, -2);
    const auto held_quantity = strict::decimal(quantity->text, -8);
    if (!held_price || !held_quantity) return std::nullopt;
    levels.push_back({*held_price, *held_quantity});
  }
  return levels;
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
  if (const auto wanted = by_tree(array, shape)) {
    MDP_FUZZ_CHECK(core::join_chunks(sink.messages).bids == *wanted);
  }
  return 0;
}
