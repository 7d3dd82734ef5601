// What turning a frame into messages costs: Binance spot's parser beside a plain simdjson on-demand loop over
// the same bytes, and reading one decimal number.
//
// The frames are built here in the venue's format, with prices that walk around a middle price as they do in
// recordings. Each benchmark goes round kFrames different ones: a single frame would teach the branch
// predictor its digits.
#include <benchmark/benchmark.h>
#include <simdjson.h>

#include <cstdint>
#include <cstring>
#include <memory>
#include <random>
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

core::Instrument btcusdt() {
  core::Instrument instrument;
  instrument.symbol_id = 0;
  instrument.exchange_id = 1;
  instrument.venue_symbol = "BTCUSDT";
  return instrument;
}

// Frames one behind the other, each with the padding a parser may read.
class Frames {
 public:
  template <class Make>
  explicit Frames(Make make) {
    std::mt19937_64 random(1);
    for (std::size_t i = 0; i < kFrames; ++i) {
      const std::string text = make(random, i);
      auto& buffer = buffers_.emplace_back(std::make_unique<char[]>(text.size() + core::kFramePadding));
      std::memcpy(buffer.get(), text.data(), text.size());
      core::RawMessage raw{};
      raw.data = buffer.get();
      raw.size = static_cast<std::uint32_t>(text.size());
      raws_.push_back(raw);
      bytes_ += text.size();
    }
  }
  const core::RawMessage& next() {
    at_ = (at_ + 1) % kFrames;
    return raws_[at_];
  }
  std::int64_t mean_bytes() const { return static_cast<std::int64_t>(bytes_ / kFrames); }

 private:
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

void run_parser(benchmark::State& state, Frames& frames) {
  const core::SymbolTable symbols({btcusdt()});
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
