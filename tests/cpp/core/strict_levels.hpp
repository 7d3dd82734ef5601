// Levels of any shape, read from a tree of JSON values: the independent opinion that scan_levels() is
// compared with.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "core/strict_json.hpp"
#include "mdp/core/level_scanner.hpp"

namespace mdp::strict {

// The levels, or nothing where the text is not exactly right. Both exponents are zero or less.
inline std::optional<std::vector<core::PriceLevel>> read_levels(std::string_view text,
                                                                const core::LevelShape& shape,
                                                                const core::Instrument& instrument) {
  using Type = Value::Type;
  const auto tree = Reader(text).read();
  if (!tree || tree->type != Type::Array) return std::nullopt;
  const bool are_objects = !shape.price_key.empty();
  std::vector<core::PriceLevel> levels;
  for (const Value& level : tree->elements) {
    if (level.type != (are_objects ? Type::Object : Type::Array)) return std::nullopt;
    const auto part = [&](std::uint8_t place, std::string_view key) -> const Value* {
      if (!are_objects) return place < level.elements.size() ? &level.elements[place] : nullptr;
      if (level.count(key) != 1) return nullptr;
      for (const Member& member : level.members) {
        if (member.first == key) return &member.second;
      }
      return nullptr;
    };
    const Value* const price = part(shape.price_at, shape.price_key);
    const Value* const quantity = part(shape.quantity_at, shape.quantity_key);
    for (const Value* one : {price, quantity}) {
      if (one == nullptr || (one->type != Type::String && one->type != Type::Number)) return std::nullopt;
    }
    const auto price_value = decimal(price->text, instrument.price_exponent);
    const auto quantity_value = decimal(quantity->text, instrument.quantity_exponent);
    if (!price_value || !quantity_value || *price_value <= 0 || *quantity_value < 0) return std::nullopt;
    levels.push_back({*price_value, *quantity_value});
  }
  return levels;
}

}  // namespace mdp::strict
