// What taking a frame apart costs by itself, without socket and TLS: WsReader over the plaintext of TLS
// records of 16 KiB, its messages given back at once. Beside it the least that a reader can do: the payload's
// way into its buffer and the zeros behind it, with no look at any byte. Text frames, so the check of UTF-8
// is in the first.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <span>
#include <string>
#include <string_view>

#include "mdp/net/ws_reader.hpp"
#include "net/ws_encode.hpp"

namespace {

using mdp::net::FramePool;
using mdp::net::FramePoolOptions;
using mdp::net::WsReader;

constexpr std::size_t kRecordBytes = 16 * 1024;
constexpr std::size_t kStageBytes = 20 * 1024;  // as Session has it

FramePoolOptions pool_options() {
  FramePoolOptions options;
  options.frame_count = 16;
  options.release_from = mdp::net::ReleaseFrom::SameThread;
  return options;
}

// Small frames: as many as one record holds. A large one: what it takes.
std::string wire_of(std::size_t frame_bytes) {
  const std::string frame = mdp::net::test::encode_frame(1, std::string(frame_bytes, 'x'));
  std::string wire = frame;
  while (wire.size() + frame.size() <= kRecordBytes) wire += frame;
  return wire;
}

// What Session does, with a buffer for a socket. Not inlined, so that callgrind can collect here alone.
[[gnu::noinline]] std::size_t read_records(WsReader& reader, FramePool& pool, std::string_view wire) {
  std::size_t frames = 0;
  std::size_t left_of_record = 0;
  mdp::core::RawMessage message{};
  for (;;) {
    switch (reader.next(message)) {
      case WsReader::Event::Message:
        ++frames;
        pool.release(message);
        break;
      case WsReader::Event::NeedBytes: {
        if (wire.empty()) return frames;
        if (left_of_record == 0) left_of_record = std::min(kRecordBytes, wire.size());
        const std::span<char> room = reader.room();
        const std::size_t bytes = std::min(left_of_record, room.size());
        std::memcpy(room.data(), wire.data(), bytes);
        reader.took(bytes);
        wire.remove_prefix(bytes);
        left_of_record -= bytes;
        break;
      }
      default:
        std::abort();
    }
  }
}

void count(benchmark::State& state, std::size_t frames) {
  state.counters["per_frame"] =
      benchmark::Counter(static_cast<double>(frames),
                         benchmark::Counter::kIsIterationInvariantRate | benchmark::Counter::kInvert);
}

void BM_WsReader_Frames(benchmark::State& state) {
  FramePool pool(pool_options());
  mdp::core::Counter grown;
  WsReader reader(pool, grown, kStageBytes);
  const std::string wire = wire_of(static_cast<std::size_t>(state.range(0)));
  std::size_t frames = read_records(reader, pool, wire);  // grows the buffer of a large one
  for (auto _ : state) frames = read_records(reader, pool, wire);
  count(state, frames);
}

void BM_Copy_Frames(benchmark::State& state) {
  const auto frame_bytes = static_cast<std::size_t>(state.range(0));
  const std::string wire = wire_of(frame_bytes);
  const std::size_t frames =
      wire.size() / mdp::net::test::encode_frame(1, std::string(frame_bytes, 'x')).size();
  const std::string record(kRecordBytes, '\0');
  std::string stage(kRecordBytes, '\0');
  std::string buffer(frame_bytes + mdp::core::kFramePadding, '\0');
  for (auto _ : state) {
    // A small frame comes by way of the stage, a large one straight.
    if (frames > 1) std::memcpy(stage.data(), record.data(), kRecordBytes);
    const char* const from = frames > 1 ? stage.data() : wire.data();
    for (std::size_t i = 0; i < frames; ++i) {
      std::memcpy(buffer.data(), from + i * frame_bytes, frame_bytes);
      std::memset(buffer.data() + frame_bytes, 0, mdp::core::kFramePadding);
      benchmark::ClobberMemory();
    }
  }
  count(state, frames);
}

void shapes(benchmark::internal::Benchmark* benchmark) {
  for (const int bytes : {150, 2'000, 100'000, 1'000'000}) benchmark->Arg(bytes);
}
BENCHMARK(BM_WsReader_Frames)->Apply(shapes);
BENCHMARK(BM_Copy_Frames)->Apply(shapes);

}  // namespace
