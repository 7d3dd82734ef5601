// Loads what prepare_deltas.py wrote: a recorded session as snapshots and deltas of integers.
#pragma once

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

#include "mdp/core/normalized_message.hpp"

namespace mdp::bench {

using core::PriceLevel;

struct DeltaFile {
  enum Kind : std::uint32_t { kSnapshot = 1, kDelta = 2 };

  // As it lies in the file.
  struct Header {
    std::uint32_t symbol;
    std::uint32_t kind;
    std::uint64_t first_update_id;
    std::uint64_t last_update_id;
    std::uint64_t prev_update_id;
    std::int64_t exch_ts_ns;
    std::int64_t recv_ts_ns;
    std::uint32_t bid_count;
    std::uint32_t ask_count;
  };
  static_assert(sizeof(Header) == 56);

  struct Message {
    Header header;
    std::size_t first_level;
  };

  std::string name;
  std::uint32_t symbol_count = 0;
  std::vector<Message> messages;
  std::vector<PriceLevel> levels;

  std::span<const PriceLevel> bids(const Message& message) const {
    return std::span(levels).subspan(message.first_level, message.header.bid_count);
  }
  std::span<const PriceLevel> asks(const Message& message) const {
    return std::span(levels).subspan(message.first_level + message.header.bid_count,
                                     message.header.ask_count);
  }
  std::size_t delta_count() const { return messages.size() - symbol_count; }
  std::size_t delta_levels() const {
    std::size_t count = 0;
    for (const Message& message : messages) {
      if (message.header.kind == kDelta) count += message.header.bid_count + message.header.ask_count;
    }
    return count;
  }

  explicit DeltaFile(const std::filesystem::path& path) : name(path.stem().string()) {
    std::ifstream in(path, std::ios::binary);
    const auto read = [&](void* to, std::size_t size) {
      if (!in.read(static_cast<char*>(to), static_cast<std::streamsize>(size))) {
        throw std::runtime_error(path.string() + ": cut short");
      }
    };
    char magic[8];
    std::uint32_t version = 0;
    std::uint64_t message_count = 0;
    read(magic, sizeof(magic));
    read(&version, sizeof(version));
    read(&symbol_count, sizeof(symbol_count));
    read(&message_count, sizeof(message_count));
    if (std::string(magic, sizeof(magic)) != "mdpdelta" || version != 1) {
      throw std::runtime_error(path.string() + ": not a file of prepare_deltas.py");
    }
    messages.resize(message_count);
    for (Message& message : messages) {
      read(&message.header, sizeof(Header));
      message.first_level = levels.size();
      const std::size_t count = std::size_t{message.header.bid_count} + message.header.ask_count;
      levels.resize(levels.size() + count);
      if (count != 0) read(&levels[message.first_level], count * sizeof(PriceLevel));
    }
  }
};

// $MDP_BENCH_DATA, else build/bench-data of the working folder. Empty where nothing was prepared.
inline std::vector<DeltaFile> load_recorded_deltas() {
  const char* given = std::getenv("MDP_BENCH_DATA");
  const std::filesystem::path folder = given != nullptr ? given : "build/bench-data";
  std::vector<std::filesystem::path> paths;
  if (std::filesystem::is_directory(folder)) {
    for (const auto& entry : std::filesystem::directory_iterator(folder)) {
      if (entry.path().extension() == ".deltas") paths.push_back(entry.path());
    }
  }
  std::sort(paths.begin(), paths.end());
  std::vector<DeltaFile> files;
  for (const auto& path : paths) files.emplace_back(path);
  if (files.empty()) {
    std::fprintf(stderr, "no recorded deltas in %s: run bench/prepare_deltas.py; their benches are skipped\n",
                 folder.string().c_str());
  }
  return files;
}

}  // namespace mdp::bench
