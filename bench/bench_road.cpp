// What one frame costs from the connector's hand-over to the ring commit, all stages inline (the fused
// topology): parse, sequence check, book, events, ring and book table. No sockets, no threads.
#include <benchmark/benchmark.h>

#include <cstdint>
#include <cstring>
#include <initializer_list>
#include <memory>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "mdp/core/symbol_table.hpp"
#include "mdp/engine/stages.hpp"
#include "mdp/publish/ipc_publisher.hpp"
#include "mdp/publish/segment_writer.hpp"
#include "mdp/sys/clock.hpp"
#include "mdp/venue/registry.hpp"

namespace {

using namespace mdp;

constexpr std::uint64_t kSnapshotId = 1000;
constexpr int kDepth = 1000;  // levels a side of the snapshot

// One text of several parts. (operator+ on a temporary makes g++ 12 warn of an overlapping copy.)
std::string text_of(std::initializer_list<std::string_view> parts) {
  std::string text;
  for (const std::string_view part : parts) text += part;
  return text;
}

std::string level(std::int64_t ticks, std::int64_t lots) {
  const std::string cents = std::to_string(100 + ticks % 100).substr(1);
  return text_of(
      {"[\"", std::to_string(ticks / 100), ".", cents, "000000\",\"", std::to_string(lots), ".00000000\"]"});
}

// The stages of a lane on one segment in ordinary memory, with one LIVE book.
class Road {
 public:
  Road() : venue_(venue::make_venue("binance")) {
    config_.ring = 1 << 22;
    config_.instruments = 4;
    const std::size_t bytes = publish::segment_size_bytes(config_);
    memory_.reset(static_cast<char*>(std::aligned_alloc(4096, (bytes + 4095) / 4096 * 4096)));
    std::memset(memory_.get(), 0, bytes);
    segment_ = std::make_unique<publish::SegmentWriter>(config_, memory_.get(), bytes);
    core::Instrument instrument;
    instrument.symbol_id = 0;
    instrument.exchange_id = venue_->exchange_id();
    instrument.venue_symbol = "BTCUSDT";
    instrument.canonical_symbol = "binance:BTC-USDT";
    segment_->directory().set_instrument(instrument);
    symbols_.add(instrument);
    publisher_ = std::make_unique<publish::IPCPublisher>(*segment_);
    book::BookOptions options;
    options.table_levels = config_.levels;
    manager_ = std::make_unique<engine::ManagerStage>(*publisher_, options, status_, control_);
    constexpr core::LineId kLines[] = {0};
    manager_->manager().add_symbol(0, instrument.exchange_id, kLines, venue_->book_rule());
    sink_ = std::make_unique<engine::DirectMessageSink>(manager_->manager());
    parse_ = std::make_unique<engine::ParseStage>(*venue_, symbols_, *sink_, control_);
    send(delta_frame(kSnapshotId, kSnapshotId + 1, "", ""));
    std::string bids;
    std::string asks;
    for (int i = 0; i < kDepth; ++i) {
      bids += text_of({i ? "," : "", level(6'000'000 - i, 5)});
      asks += text_of({i ? "," : "", level(6'000'001 + i, 5)});
    }
    std::string body = text_of({R"({"lastUpdateId":1000,"bids":[)", bids, R"(],"asks":[)", asks, "]}"});
    const std::size_t size = body.size();
    body.resize(size + core::kFramePadding);
    core::ParseFailure failure;
    if (venue_->parse_snapshot({body.data(), size}, instrument, 1000, 1, *sink_, failure) !=
        core::ParseStatus::Ok)
      std::abort();
    if (manager_->manager().state(0) != shm::BookState::Live) std::abort();
    next_id_ = kSnapshotId + 2;
  }

  std::string delta_frame(std::uint64_t first, std::uint64_t last, const std::string& bids,
                          const std::string& asks) {
    return text_of(
        {R"({"stream":"btcusdt@depth@100ms","data":{"e":"depthUpdate","E":1723161255208,"s":"BTCUSDT","U":)",
         std::to_string(first), R"(,"u":)", std::to_string(last), R"(,"b":[)", bids, R"(],"a":[)", asks,
         "]}}"});
  }

  // A delta of `levels` changes, best first on each side, near the top as most recorded ones are; the book
  // never crosses and stays about as deep.
  std::string next_delta(int levels) {
    std::string bids;
    std::string asks;
    std::int64_t depth = 0;
    for (int i = 0; i < levels; ++i) {
      depth += 1 + static_cast<std::int64_t>(random_() % 4);
      const auto lots = static_cast<std::int64_t>(random_() % 4 == 0 ? 0 : 1 + random_() % 90);
      std::string& side = i % 2 ? asks : bids;
      if (!side.empty()) side += ',';
      side += level(i % 2 ? 6'000'001 + depth : 6'000'000 - depth, lots);
    }
    const std::uint64_t id = next_id_++;
    return delta_frame(id, id, bids, asks);
  }

  core::ParseStatus send(const std::string& frame) {
    if (buffer_.size() < frame.size() + core::kFramePadding)
      buffer_.resize(frame.size() + core::kFramePadding);
    std::memcpy(buffer_.data(), frame.data(), frame.size());
    core::RawMessage raw{};
    raw.data = buffer_.data();
    raw.size = static_cast<std::uint32_t>(frame.size());
    raw.recv_ts_ns = sys::now_ns();
    if (parse_->handle(raw) != core::ParseStatus::Ok) std::abort();  // the frames of this bench are data
    return core::ParseStatus::Ok;
  }

  const publish::IPCPublisher& publisher() const { return *publisher_; }
  bool live() const { return manager_->manager().state(0) == shm::BookState::Live; }

 private:
  struct Free {
    void operator()(char* memory) const { std::free(memory); }
  };
  publish::SegmentConfig config_;
  std::unique_ptr<core::Venue> venue_;
  std::unique_ptr<char, Free> memory_;
  std::unique_ptr<publish::SegmentWriter> segment_;
  core::SymbolTable symbols_;
  engine::SymbolStatus status_[4];
  engine::ControlQueue control_{64};
  std::unique_ptr<publish::IPCPublisher> publisher_;
  std::unique_ptr<engine::ManagerStage> manager_;
  std::unique_ptr<engine::DirectMessageSink> sink_;
  std::unique_ptr<engine::ParseStage> parse_;
  std::mt19937_64 random_{1};
  std::uint64_t next_id_ = 0;
  std::vector<char> buffer_;
};

constexpr std::size_t kFrames = 4096;

void run(benchmark::State& state, Road& road, const std::vector<std::string>& frames) {
  std::size_t at = 0;
  const std::uint64_t before = road.publisher().counters().events.get();
  for (auto _ : state) {
    road.send(frames[at]);
    at = at + 1 == frames.size() ? 0 : at + 1;
  }
  state.counters["events"] =
      benchmark::Counter(static_cast<double>(road.publisher().counters().events.get() - before),
                         benchmark::Counter::kAvgIterations);
  if (!road.live()) state.SkipWithError("the book left LIVE");
}

// Deltas follow each other by id, so each run makes its own and stops when they are used up.
void BM_Road_DepthUpdate(benchmark::State& state) {
  Road road;
  std::vector<std::string> frames;
  for (std::size_t i = 0; i < kFrames; ++i)
    frames.push_back(road.next_delta(static_cast<int>(state.range(0))));
  run(state, road, frames);
}
BENCHMARK(BM_Road_DepthUpdate)->Arg(1)->Arg(8)->Arg(40)->Arg(200)->Iterations(kFrames);

// With ids that grow: the same frame again would be dropped as a copy.
void BM_Road_Trade(benchmark::State& state) {
  Road road;
  std::vector<std::string> frames;
  for (std::uint64_t id = 3'735'683'259; frames.size() < kFrames; ++id) {
    frames.push_back(
        text_of({R"({"stream":"btcusdt@trade","data":{"e":"trade","E":1723161255343,"s":"BTCUSDT","t":)",
                 std::to_string(id),
                 R"(,"p":"61837.63000000","q":"0.02000000","T":1723161255342,"m":true,"M":true}})"}));
  }
  run(state, road, frames);
}
BENCHMARK(BM_Road_Trade)->Iterations(kFrames);

void BM_Road_Quote(benchmark::State& state) {
  Road road;
  std::vector<std::string> frames;
  for (std::uint64_t id = 50'093'239'212; frames.size() < kFrames; ++id) {
    frames.push_back(text_of(
        {R"({"stream":"btcusdt@bookTicker","data":{"u":)", std::to_string(id),
         R"(,"s":"BTCUSDT","b":"61837.63000000","B":"3.78826000","a":"61837.64000000","A":"1.54698000"}})"}));
  }
  run(state, road, frames);
}
BENCHMARK(BM_Road_Quote)->Iterations(kFrames);

}  // namespace
