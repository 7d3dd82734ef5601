// What turning a frame into messages costs: Binance spot's parser beside a plain simdjson on-demand loop over
// the same bytes, and reading one decimal number.
//
// The frames are built here in the venue's format, with prices that walk around a middle price as they do in
// recordings. Each benchmark goes round kFrames different ones: a single frame would teach the branch
// predictor its digits.
//
// Beside them BM_Recorded_*: the frames of recorded sessions, as bench/prepare_frames.py wrote them to
// $MDP_BENCH_DATA (default: build/bench-data), with the time of single frames at the 50th and 99th
// percentile.
#include <benchmark/benchmark.h>
#include <simdjson.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "mdp/core/fixed_point.hpp"
#include "mdp/core/parser.hpp"
#include "mdp/core/symbol_table.hpp"
#include "mdp/shm/decimal.hpp"
#include "mdp/venue/binance/parser.hpp"

namespace {

using namespace mdp;
namespace ondemand = simdjson::ondemand;

constexpr std::size_t kFrames = 256;

core::Instrument instrument_of(std::string symbol) {
  core::Instrument instrument;
  instrument.symbol_id = 0;
  instrument.exchange_id = 1;
  instrument.venue_symbol = std::move(symbol);
  return instrument;
}
core::Instrument btcusdt() { return instrument_of("BTCUSDT"); }

// Frames one behind the other, each with the padding a parser may read.
class Frames {
 public:
  template <class Make>
  explicit Frames(Make make) {
    std::mt19937_64 random(1);
    for (std::size_t i = 0; i < kFrames; ++i) add(make(random, i));
  }
  explicit Frames(const std::vector<std::string>& texts) {
    for (const std::string& text : texts) add(text);
  }
  const core::RawMessage& next() {
    at_ = at_ + 1 == raws_.size() ? 0 : at_ + 1;
    return raws_[at_];
  }
  std::size_t count() const { return raws_.size(); }
  std::int64_t mean_bytes() const { return static_cast<std::int64_t>(bytes_ / raws_.size()); }

 private:
  void add(const std::string& text) {
    auto& buffer = buffers_.emplace_back(std::make_unique<char[]>(text.size() + core::kFramePadding));
    std::memcpy(buffer.get(), text.data(), text.size());
    core::RawMessage raw{};
    raw.data = buffer.get();
    raw.size = static_cast<std::uint32_t>(text.size());
    raws_.push_back(raw);
    bytes_ += text.size();
  }

  std::vector<std::unique_ptr<char[]>> buffers_;
  std::vector<core::RawMessage> raws_;
  std::size_t bytes_ = 0, at_ = 0;
};

std::string eight_decimals(std::int64_t mantissa, int exponent) {
  std::string text = shm::to_decimal(mantissa, exponent);
  const std::size_t point = text.find('.');
  const std::size_t decimals = point == std::string::npos ? 0 : text.size() - point - 1;
  if (point == std::string::npos) text += '.';
  return text.append(8 - decimals, '0');
}
std::string price(std::mt19937_64& random) {
  return eight_decimals(6'183'763 + static_cast<std::int64_t>(random() % 200'000) - 100'000, -2);
}
// A third of the levels of a recorded delta are removals.
std::string quantity(std::mt19937_64& random, bool may_be_zero) {
  if (may_be_zero && random() % 3 == 0) return "0.00000000";
  return eight_decimals(1 + static_cast<std::int64_t>(random() % (random() % 4 == 0 ? 10'000'000 : 100'000)),
                        -5);
}

std::string depth_frame(std::mt19937_64& random, std::size_t number, std::size_t levels) {
  const auto side = [&](std::size_t count) {
    std::string text = "[";
    for (std::size_t i = 0; i < count; ++i) {
      text += (i == 0 ? "[\"" : ",[\"") + price(random) + "\",\"" + quantity(random, true) + "\"]";
    }
    return text + ']';
  };
  const std::string id = std::to_string(50'093'239'189 + number);
  return R"({"stream":"btcusdt@depth@100ms","data":{"e":"depthUpdate","E":1723161255208,"s":"BTCUSDT","U":)" +
         id + ",\"u\":" + id + ",\"b\":" + side(levels / 2) + ",\"a\":" + side(levels - levels / 2) + "}}";
}
std::string trade_frame(std::mt19937_64& random, std::size_t number) {
  return R"({"stream":"btcusdt@trade","data":{"e":"trade","E":1723161255343,"s":"BTCUSDT","t":)" +
         std::to_string(3'735'683'259 + number) + R"(,"p":")" + price(random) + R"(","q":")" +
         quantity(random, false) + R"(","T":1723161255342,"m":)" + (random() % 2 ? "true" : "false") +
         R"(,"M":true}})";
}
std::string quote_frame(std::mt19937_64& random, std::size_t number) {
  return R"({"stream":"btcusdt@bookTicker","data":{"u":)" + std::to_string(50'093'239'212 + number) +
         R"(,"s":"BTCUSDT","b":")" + price(random) + R"(","B":")" + quantity(random, false) + R"(","a":")" +
         price(random) + R"(","A":")" + quantity(random, false) + R"("}})";
}

class ScratchSink final : public core::MessageSink {
 public:
  ScratchSink() { slot_ = &storage_; }
  void commit() noexcept override { benchmark::DoNotOptimize(storage_); }

 private:
  core::NormalizedMessage storage_{};
};

void run_parser(benchmark::State& state, Frames& frames, int quantity_exponent = -8) {
  core::Instrument instrument = btcusdt();
  instrument.quantity_exponent = static_cast<std::int8_t>(quantity_exponent);
  const core::SymbolTable symbols({instrument});
  const auto parser = venue::binance::make_parser(venue::binance::Family::Spot, symbols, 1);
  ScratchSink sink;
  for (auto _ : state) {
    if (parser->parse(frames.next(), sink) != core::ParseStatus::Ok)
      state.SkipWithError("a frame was refused");
  }
  state.SetBytesProcessed(state.iterations() * frames.mean_bytes());
}

// The plain loop: on-demand, get_string, digit by digit, unchecked where the parser checks.
std::int64_t plain_decimal(std::string_view text) {
  std::int64_t value = 0;
  int decimals = -1;
  for (const char c : text) {
    if (c == '.') {
      decimals = 0;
    } else {
      value = value * 10 + (c - '0');
      if (decimals >= 0) ++decimals;
    }
  }
  for (decimals = decimals < 0 ? 0 : decimals; decimals < 8; ++decimals) value *= 10;
  return value;
}
std::int64_t plain_decimal(ondemand::value value) {
  std::string_view text;
  if (value.get_string().get(text)) return 0;
  return plain_decimal(text);
}
void plain_levels(ondemand::object& data, std::string_view key, std::vector<core::PriceLevel>& levels) {
  ondemand::array array;
  if (data[key].get_array().get(array)) return;
  for (auto level : array) {
    core::PriceLevel read{};
    bool first = true;
    for (auto part : level.get_array()) {
      (first ? read.price : read.quantity) = plain_decimal(part.value());
      first = false;
    }
    levels.push_back(read);
  }
}

template <class Read>
void run_plain(benchmark::State& state, Frames& frames, Read read) {
  ondemand::parser json;
  const core::SymbolTable symbols({btcusdt()});
  for (auto _ : state) {
    const core::RawMessage& raw = frames.next();
    ondemand::document document;
    ondemand::object data;
    if (json.iterate(raw.data, raw.size, raw.size + core::kFramePadding).get(document) ||
        document["data"].get_object().get(data)) {
      state.SkipWithError("a frame was refused");
    }
    std::string_view symbol;
    if (data["s"].get_string().get(symbol)) state.SkipWithError("no symbol");
    benchmark::DoNotOptimize(symbols.find(symbol));
    read(data);
  }
  state.SetBytesProcessed(state.iterations() * frames.mean_bytes());
}

Frames depth_frames(std::int64_t levels) {
  return Frames([levels](std::mt19937_64& random, std::size_t number) {
    return depth_frame(random, number, static_cast<std::size_t>(levels));
  });
}

void BM_Parser_DepthUpdate(benchmark::State& state) {
  Frames frames = depth_frames(state.range(0));
  run_parser(state, frames);
  state.counters["bytes"] = static_cast<double>(frames.mean_bytes());
}
void BM_Plain_DepthUpdate(benchmark::State& state) {
  Frames frames = depth_frames(state.range(0));
  std::vector<core::PriceLevel> levels;
  run_plain(state, frames, [&](ondemand::object& data) {
    std::uint64_t first = 0, last = 0;
    if (data["U"].get_uint64().get(first) || data["u"].get_uint64().get(last)) state.SkipWithError("no ids");
    benchmark::DoNotOptimize(first + last);
    levels.clear();
    plain_levels(data, "b", levels);
    plain_levels(data, "a", levels);
    benchmark::DoNotOptimize(levels.data());
    benchmark::ClobberMemory();
  });
  if (levels.size() != static_cast<std::size_t>(state.range(0))) state.SkipWithError("levels were lost");
}
// As SHIBUSDT is held, whose largest quantity leaves no room for eight decimals.
void BM_Parser_CoarseDepthUpdate(benchmark::State& state) {
  Frames frames = depth_frames(state.range(0));
  run_parser(state, frames, -5);
}
BENCHMARK(BM_Parser_CoarseDepthUpdate)->Arg(8)->Arg(40);
BENCHMARK(BM_Parser_DepthUpdate)->Arg(1)->Arg(8)->Arg(40)->Arg(200)->Arg(1000);
BENCHMARK(BM_Plain_DepthUpdate)->Arg(1)->Arg(8)->Arg(40)->Arg(200)->Arg(1000);

void BM_Parser_Trade(benchmark::State& state) {
  Frames frames(trade_frame);
  run_parser(state, frames);
}
void BM_Plain_Trade(benchmark::State& state) {
  Frames frames(trade_frame);
  run_plain(state, frames, [&](ondemand::object& data) {
    std::uint64_t id = 0, time = 0;
    bool maker = false;
    if (data["t"].get_uint64().get(id)) state.SkipWithError("no id");
    const std::int64_t traded = plain_decimal(data["p"].value()) ^ plain_decimal(data["q"].value());
    if (data["T"].get_uint64().get(time) || data["m"].get_bool().get(maker)) state.SkipWithError("no time");
    benchmark::DoNotOptimize(static_cast<std::uint64_t>(traded) + id + time + maker);
  });
}
BENCHMARK(BM_Parser_Trade);
BENCHMARK(BM_Plain_Trade);

void BM_Parser_Quote(benchmark::State& state) {
  Frames frames(quote_frame);
  run_parser(state, frames);
}
void BM_Plain_Quote(benchmark::State& state) {
  Frames frames(quote_frame);
  run_plain(state, frames, [&](ondemand::object& data) {
    std::int64_t sum = 0;
    for (const std::string_view key : {"b", "B", "a", "A"}) sum ^= plain_decimal(data[key].value());
    benchmark::DoNotOptimize(sum);
  });
}
BENCHMARK(BM_Parser_Quote);
BENCHMARK(BM_Plain_Quote);

// One kind of frame of one recorded session.
struct Recording {
  std::string name;
  std::string channel;
  venue::binance::Family family = venue::binance::Family::Spot;
  std::vector<std::string> texts;
  std::vector<core::Instrument> instruments;
};

std::vector<Recording> recordings() {
  const char* const named = std::getenv("MDP_BENCH_DATA");
  const std::filesystem::path folder = named ? named : "build/bench-data";
  std::vector<Recording> found;
  std::error_code missing;
  for (const auto& entry : std::filesystem::directory_iterator(folder, missing)) {
    if (entry.path().extension() != ".frames") continue;
    for (const char* channel : {"depth", "bookTicker", "trade", "aggTrade"}) {
      Recording recording;
      recording.channel = channel;
      recording.name = channel + ('/' + entry.path().stem().string());
      if (recording.name.find("binance-spot") == std::string::npos) {
        recording.family = venue::binance::Family::Futures;
      }
      std::set<std::string> symbols;
      std::ifstream file(entry.path());
      for (std::string line; std::getline(file, line);) {
        if (line.compare(line.find('@') + 1, recording.channel.size(), channel) != 0) continue;
        const std::size_t at = line.find("\"s\":\"") + 5;
        symbols.insert(line.substr(at, line.find('"', at) - at));
        recording.texts.push_back(std::move(line));
      }
      for (const std::string& symbol : symbols) recording.instruments.push_back(instrument_of(symbol));
      if (recording.texts.size() > 100) found.push_back(std::move(recording));
    }
  }
  return found;
}

// Times rounds over all frames, then single frames; `read_one` reads the next.
template <class ReadOne>
void run_recording(benchmark::State& state, const Frames& frames, ReadOne read_one) {
  using Clock = std::chrono::steady_clock;
  for (auto _ : state) {
    for (std::size_t i = 0; i < frames.count(); ++i) read_one();
  }
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(frames.count()));
  std::vector<std::int64_t> ns;
  for (std::size_t i = 0; i < frames.count(); ++i) {
    const Clock::time_point begin = Clock::now();
    read_one();
    ns.push_back(std::chrono::nanoseconds(Clock::now() - begin).count());
  }
  std::sort(ns.begin(), ns.end());
  state.counters["p50_ns"] = static_cast<double>(ns[ns.size() / 2]);
  state.counters["p99_ns"] = static_cast<double>(ns[ns.size() * 99 / 100]);
}

void recorded_parser(benchmark::State& state, const Recording& recording) {
  Frames frames(recording.texts);
  const core::SymbolTable symbols(recording.instruments);
  const auto parser = venue::binance::make_parser(recording.family, symbols, 1);
  ScratchSink sink;
  run_recording(state, frames, [&] {
    if (parser->parse(frames.next(), sink) != core::ParseStatus::Ok) state.SkipWithError("refused");
  });
}

void recorded_plain(benchmark::State& state, const Recording& recording) {
  Frames frames(recording.texts);
  const core::SymbolTable symbols(recording.instruments);
  ondemand::parser json;
  std::vector<core::PriceLevel> levels;
  run_recording(state, frames, [&] {
    const core::RawMessage& raw = frames.next();
    ondemand::document document;
    ondemand::object data;
    std::string_view symbol;
    if (json.iterate(raw.data, raw.size, raw.size + core::kFramePadding).get(document) ||
        document["data"].get_object().get(data) || data["s"].get_string().get(symbol)) {
      state.SkipWithError("refused");
    }
    benchmark::DoNotOptimize(symbols.find(symbol));
    std::uint64_t numbers = 0, read = 0;
    const bool is_depth = recording.channel == "depth";
    if (is_depth) {
      for (const char* key : {"U", "u"}) {
        if (!data[key].get_uint64().get(read)) numbers += read;
      }
      levels.clear();
      plain_levels(data, "b", levels);
      plain_levels(data, "a", levels);
      benchmark::DoNotOptimize(levels.data());
    } else if (recording.channel == "bookTicker") {
      for (const char* key : {"b", "B", "a", "A"}) {
        numbers += static_cast<std::uint64_t>(plain_decimal(data[key].value()));
      }
    } else {
      bool maker = false;
      if (!data[recording.channel == "trade" ? "t" : "a"].get_uint64().get(read)) numbers += read;
      for (const char* key : {"p", "q"}) {
        numbers += static_cast<std::uint64_t>(plain_decimal(data[key].value()));
      }
      if (!data["T"].get_uint64().get(read)) numbers += read;
      if (!data["m"].get_bool().get(maker)) numbers += maker;
    }
    benchmark::DoNotOptimize(numbers);
    benchmark::ClobberMemory();
  });
}

[[maybe_unused]] const bool kRecordingsRegistered = [] {
  for (const Recording& recording : recordings()) {
    benchmark::RegisterBenchmark(("BM_Recorded_Parser/" + recording.name).c_str(),
                                 [recording](benchmark::State& state) { recorded_parser(state, recording); });
    benchmark::RegisterBenchmark(("BM_Recorded_Plain/" + recording.name).c_str(),
                                 [recording](benchmark::State& state) { recorded_plain(state, recording); });
  }
  return true;
}();

std::vector<std::string> number_texts() {
  std::mt19937_64 random(1);
  std::vector<std::string> texts;
  for (std::size_t i = 0; i < 1'024; ++i) texts.push_back(i % 2 ? price(random) : quantity(random, true));
  return texts;
}
void BM_FixedPoint_ParseDecimal(benchmark::State& state) {
  const std::vector<std::string> texts = number_texts();
  std::size_t at = 0;
  for (auto _ : state) {
    at = (at + 1) % texts.size();
    std::int64_t mantissa = 0;
    const char* end = nullptr;
    benchmark::DoNotOptimize(core::parse_decimal(texts[at].c_str(), -8, mantissa, end));
    benchmark::DoNotOptimize(mantissa);
  }
}
void BM_Plain_ParseDecimal(benchmark::State& state) {
  const std::vector<std::string> texts = number_texts();
  std::size_t at = 0;
  for (auto _ : state) {
    at = (at + 1) % texts.size();
    benchmark::DoNotOptimize(plain_decimal(std::string_view(texts[at])));
  }
}
BENCHMARK(BM_FixedPoint_ParseDecimal);
BENCHMARK(BM_Plain_ParseDecimal);

}  // namespace
