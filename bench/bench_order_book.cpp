// What a book costs: each operation at three depths, and recorded streams, for OrderBook and its peers
// (book_peers.hpp).
//
//   bench_order_book [Google Benchmark options]   single operations and replays, then the ratios
//   bench_order_book --ratios[=N]                 the ratios alone: N (21) interleaved repeats, medians
//   bench_order_book --replay=BOOK:STREAM[:N]     N (1) replays without a clock, for callgrind; BOOK is
//                                                 order_book, map, front_vector or back_vector, STREAM the
//                                                 name of a .deltas file
//
// Recorded streams come from prepare_deltas.py; without them those parts are skipped. The ratios of one run
// are what to read: the machine's speed changes from minute to minute, and the sentinel beside them (a chain
// of multiplications, which no cache or neighbour's memory traffic touches) shows by how much it did.
#include <benchmark/benchmark.h>
#include <time.h>
#include <x86intrin.h>

#include <array>
#include <chrono>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "book_peers.hpp"
#include "delta_file.hpp"
#include "mdp/book/order_book.hpp"

namespace {

using namespace mdp;
using bench::BackVectorBook;
using bench::DeltaFile;
using bench::FrontVectorBook;
using bench::MapBook;
using book::OrderBook;
using core::PriceLevel;

// Of this thread's own time: on a shared machine the wall clock also counts what others ran in between.
double thread_ns() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) * 1e9 + static_cast<double>(now.tv_nsec);
}
double wall_ns() {
  return std::chrono::duration<double, std::nano>(std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

// The peers don't say how deep a change reached; OrderBookManager asks for no more than its table's depth.
constexpr std::size_t kTableLevels = 20;
template <class Book>
void apply(Book& book, std::span<const PriceLevel> bids, std::span<const PriceLevel> asks) {
  if constexpr (std::is_same_v<Book, OrderBook>) {
    benchmark::DoNotOptimize(book.apply_update(bids, asks, kTableLevels));
  } else {
    book.apply_update(bids, asks);
  }
}

// ---- single operations -----------------------------------------------------------------------------------

constexpr std::int64_t kStep = 4;  // between prices, so that there is room to put one in

template <class Book>
Book book_of_depth(std::int64_t depth) {
  std::vector<PriceLevel> bids, asks;
  for (std::int64_t i = 0; i < depth; ++i) {
    bids.push_back({-kStep * (i + 1), 100 + i});
    asks.push_back({kStep * (i + 1), 100 + i});
  }
  Book book;
  book.apply_snapshot(bids, asks);
  return book;
}

// Where in the book, in thousandths of its depth: 0 the top, 500 the middle, 1000 the far end.
std::int64_t level_at(const benchmark::State& state) { return (state.range(0) - 1) * state.range(1) / 1000; }

template <class Book>
void BM_Change(benchmark::State& state) {
  Book book = book_of_depth<Book>(state.range(0));
  const std::int64_t price = -kStep * (level_at(state) + 1);
  std::int64_t quantity = 1;
  for (auto _ : state) {
    const PriceLevel change{price, ++quantity};
    apply(book, {&change, 1}, {});
    benchmark::DoNotOptimize(book.bbo());
  }
}

// Two operations an iteration: what was put in has to go.
template <class Book>
void BM_AddThenRemove(benchmark::State& state) {
  Book book = book_of_depth<Book>(state.range(0));
  const std::int64_t price = -kStep * (level_at(state) + 1) + 1;
  for (auto _ : state) {
    const PriceLevel add{price, 5};
    apply(book, {&add, 1}, {});
    const PriceLevel remove{price, 0};
    apply(book, {&remove, 1}, {});
    benchmark::DoNotOptimize(book.bbo());
  }
}

template <class Book>
void BM_RemoveUnknown(benchmark::State& state) {
  Book book = book_of_depth<Book>(state.range(0));
  const PriceLevel change{-kStep * (level_at(state) + 1) + 1, 0};
  for (auto _ : state) {
    apply(book, {&change, 1}, {});
    benchmark::DoNotOptimize(book.bbo());
  }
}

template <class Book>
void BM_Snapshot(benchmark::State& state) {
  std::vector<PriceLevel> bids, asks;
  for (std::int64_t i = 0; i < state.range(0); ++i) {
    bids.push_back({-kStep * (i + 1), 100 + i});
    asks.push_back({kStep * (i + 1), 100 + i});
  }
  Book book;
  for (auto _ : state) book.apply_snapshot(bids, asks);
}

void BM_OrderBook_CopyTop20(benchmark::State& state) {
  const OrderBook book = book_of_depth<OrderBook>(state.range(0));
  std::array<PriceLevel, 40> out;
  for (auto _ : state) {
    benchmark::DoNotOptimize(book.copy_bids(out.data(), 20));
    benchmark::DoNotOptimize(book.copy_asks(out.data() + 20, 20));
    benchmark::ClobberMemory();
  }
}

template <class Book>
void register_operations(const std::string& name) {
  const auto places = [](benchmark::internal::Benchmark* bench) {
    bench->ArgNames({"depth", "at_permille"});
    for (const std::int64_t depth : {100, 1000, 5000}) {
      for (const std::int64_t at : {0, 500, 1000}) bench->Args({depth, at});
    }
  };
  places(benchmark::RegisterBenchmark(("BM_" + name + "_Change").c_str(), BM_Change<Book>));
  places(benchmark::RegisterBenchmark(("BM_" + name + "_AddThenRemove").c_str(), BM_AddThenRemove<Book>));
  places(benchmark::RegisterBenchmark(("BM_" + name + "_RemoveUnknown").c_str(), BM_RemoveUnknown<Book>));
  benchmark::RegisterBenchmark(("BM_" + name + "_Snapshot").c_str(), BM_Snapshot<Book>)
      ->Arg(100)
      ->Arg(1000)
      ->Arg(5000);
}

// ---- recorded streams ------------------------------------------------------------------------------------

template <class Book>
std::vector<Book> books_at_start(const DeltaFile& file) {
  std::vector<Book> books(file.symbol_count);
  // As OrderBookManager does; the map cannot.
  if constexpr (requires(Book book) { book.reserve(4096); }) {
    for (Book& book : books) book.reserve(4096);
  }
  for (std::size_t i = 0; i < file.symbol_count; ++i) {
    const DeltaFile::Message& snapshot = file.messages[i];
    books[snapshot.header.symbol].apply_snapshot(file.bids(snapshot), file.asks(snapshot));
  }
  return books;
}

// What is measured: every delta of the file. Not inlined, so that callgrind can collect here alone.
template <class Book>
[[gnu::noinline]] void replay_deltas(std::vector<Book>& books, const DeltaFile& file) {
  for (std::size_t i = file.symbol_count; i < file.messages.size(); ++i) {
    const DeltaFile::Message& delta = file.messages[i];
    Book& book = books[delta.header.symbol];
    apply(book, file.bids(delta), file.asks(delta));
    benchmark::DoNotOptimize(book.bbo());
  }
}

template <class Book>
void BM_Replay(benchmark::State& state, const DeltaFile* file) {
  for (auto _ : state) {
    std::vector<Book> books = books_at_start<Book>(*file);
    const double start = thread_ns();
    replay_deltas(books, *file);
    state.SetIterationTime((thread_ns() - start) * 1e-9);
  }
  using benchmark::Counter;
  const auto per = [&](std::size_t count) {
    return Counter(static_cast<double>(count) * 1e-9, Counter::kIsIterationInvariantRate | Counter::kInvert);
  };
  state.counters["ns_per_level"] = per(file->delta_levels());
  state.counters["ns_per_message"] = per(file->delta_count());
}

// A chain of dependent multiplications: 4 cycles each (3 on some), whatever else the machine does.
double sentinel_ns() {
  const double start = thread_ns();
  std::uint64_t x = 3;
  for (int i = 0; i < 200'000; ++i) {
    x *= 0x9E37'79B9'7F4A'7C15;
    benchmark::DoNotOptimize(x);
  }
  return (thread_ns() - start) / 200'000;
}

double median(std::vector<double> values) {
  std::nth_element(values.begin(), values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2),
                   values.end());
  return values[values.size() / 2];
}
double quantile(std::vector<double>& values, double share) {
  const auto at =
      values.begin() + static_cast<std::ptrdiff_t>(share * static_cast<double>(values.size() - 1));
  std::nth_element(values.begin(), at, values.end());
  return *at;
}

template <class Book>
double time_replay(const DeltaFile& file) {
  std::vector<Book> books = books_at_start<Book>(file);
  replay_deltas(books, file);  // warm: caches, branch predictors, the allocator's free lists
  books = books_at_start<Book>(file);
  const double start = thread_ns();
  replay_deltas(books, file);
  return (thread_ns() - start);
}

// Cost of each delta by itself, in ns; the clock's own cost (two rdtsc) is taken off.
template <class Book>
void time_messages(const DeltaFile& file, double ns_per_tick, std::vector<double>& out) {
  std::vector<Book> books = books_at_start<Book>(file);
  std::uint64_t clock_cost = ~std::uint64_t{0};
  for (int i = 0; i < 1000; ++i) {
    const std::uint64_t start = __rdtsc();
    clock_cost = std::min<std::uint64_t>(clock_cost, __rdtsc() - start);
  }
  for (std::size_t i = file.symbol_count; i < file.messages.size(); ++i) {
    const DeltaFile::Message& delta = file.messages[i];
    Book& book = books[delta.header.symbol];
    const std::uint64_t start = __rdtsc();
    apply(book, file.bids(delta), file.asks(delta));
    benchmark::DoNotOptimize(book.bbo());
    const std::uint64_t ticks = __rdtsc() - start;
    out.push_back(static_cast<double>(ticks - std::min(ticks, clock_cost)) * ns_per_tick);
  }
}

double ns_per_tick() {
  const double start = wall_ns();
  const std::uint64_t first = __rdtsc();
  while (wall_ns() - start < 20e6) {
  }
  return (wall_ns() - start) / static_cast<double>(__rdtsc() - first);
}

void print_ratios(const std::vector<DeltaFile>& files, std::size_t repeats) {
  const double tick = ns_per_tick();
  std::printf(
      "\nRecorded deltas, %zu interleaved repeats. ns/level: medians. Ratio: median over the repeats of peer "
      "/ OrderBook.\n",
      repeats);
  std::printf("%-36s %7s %7s | %8s %8s %8s %8s | %6s %6s %6s | %13s %13s %13s\n", "stream", "deltas",
              "lev/msg", "order_bk", "map", "frontvec", "backvec", "x map", "x frnt", "x back",
              "p50/p99 ours", "map", "frontvec");
  std::vector<double> sentinels;
  for (const DeltaFile& file : files) {
    std::array<std::vector<double>, 4> ns;
    std::array<std::vector<double>, 3> ratios;
    for (std::size_t repeat = 0; repeat < repeats; ++repeat) {
      sentinels.push_back(sentinel_ns());
      std::array<double, 4> now{};
      for (std::size_t i = 0; i < 4; ++i) {  // in turn, each time another first
        switch ((i + repeat) % 4) {
          case 0:
            now[0] = time_replay<OrderBook>(file);
            break;
          case 1:
            now[1] = time_replay<MapBook>(file);
            break;
          case 2:
            now[2] = time_replay<FrontVectorBook>(file);
            break;
          default:
            now[3] = time_replay<BackVectorBook>(file);
            break;
        }
      }
      for (std::size_t i = 0; i < 4; ++i) ns[i].push_back(now[i] / static_cast<double>(file.delta_levels()));
      for (std::size_t i = 0; i < 3; ++i) ratios[i].push_back(now[i + 1] / now[0]);
    }
    std::array<std::vector<double>, 3> messages;
    for (int repeat = 0; repeat < 5; ++repeat) {
      time_messages<OrderBook>(file, tick, messages[0]);
      time_messages<MapBook>(file, tick, messages[1]);
      time_messages<FrontVectorBook>(file, tick, messages[2]);
    }
    std::printf("%-36s %7zu %7.1f | %8.1f %8.1f %8.1f %8.1f | %6.2f %6.2f %6.2f |", file.name.c_str(),
                file.delta_count(),
                static_cast<double>(file.delta_levels()) / static_cast<double>(file.delta_count()),
                median(ns[0]), median(ns[1]), median(ns[2]), median(ns[3]), median(ratios[0]),
                median(ratios[1]), median(ratios[2]));
    for (auto& of_book : messages) {
      std::printf(" %5.0f/%7.0f", quantile(of_book, 0.5), quantile(of_book, 0.99));
    }
    std::printf("\n");
    std::fflush(stdout);
  }
  if (sentinels.empty()) return;
  std::printf("sentinel: %.2f ns a multiplication, p10 %.2f, p90 %.2f\n", median(sentinels),
              quantile(sentinels, 0.1), quantile(sentinels, 0.9));
}

template <class Book>
int replay_only(const std::vector<DeltaFile>& files, std::string_view stream, int times) {
  for (const DeltaFile& file : files) {
    if (file.name != stream) continue;
    for (int i = 0; i < times; ++i) {
      std::vector<Book> books = books_at_start<Book>(file);
      replay_deltas(books, file);
    }
    std::printf("%zu levels in %zu deltas, %d times\n", file.delta_levels(), file.delta_count(), times);
    return 0;
  }
  std::fprintf(stderr, "no stream %.*s\n", static_cast<int>(stream.size()), stream.data());
  return 1;
}

int replay_only(const std::vector<DeltaFile>& files, std::string what) {
  std::array<std::string, 3> part;
  for (std::string& text : part) {
    const std::size_t colon = what.find(':');
    text = what.substr(0, colon);
    what = colon == std::string::npos ? "" : what.substr(colon + 1);
  }
  const int times = part[2].empty() ? 1 : std::stoi(part[2]);
  if (part[0] == "order_book") return replay_only<OrderBook>(files, part[1], times);
  if (part[0] == "map") return replay_only<MapBook>(files, part[1], times);
  if (part[0] == "front_vector") return replay_only<FrontVectorBook>(files, part[1], times);
  if (part[0] == "back_vector") return replay_only<BackVectorBook>(files, part[1], times);
  std::fprintf(stderr, "no book %s\n", part[0].c_str());
  return 1;
}

template <class Book>
void register_replays(const std::string& name, const std::vector<DeltaFile>& files) {
  for (const DeltaFile& file : files) {
    benchmark::RegisterBenchmark(("BM_" + name + "_Replay/" + file.name).c_str(), BM_Replay<Book>, &file)
        ->UseManualTime();
  }
}

}  // namespace

int main(int argc, char** argv) {
  const std::vector<DeltaFile> files = bench::load_recorded_deltas();
  std::size_t repeats = 21;
  for (int i = 1; i < argc; ++i) {
    const std::string argument = argv[i];
    if (argument.rfind("--replay=", 0) == 0) return replay_only(files, argument.substr(9));
    if (argument.rfind("--ratios", 0) == 0) {
      if (argument.size() > 9) repeats = std::stoul(argument.substr(9));
      print_ratios(files, repeats);
      return 0;
    }
  }
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  register_operations<OrderBook>("OrderBook");
  register_operations<MapBook>("MapBook");
  register_operations<FrontVectorBook>("FrontVectorBook");
  benchmark::RegisterBenchmark("BM_OrderBook_CopyTop20", BM_OrderBook_CopyTop20)->Arg(1000);
  register_replays<OrderBook>("OrderBook", files);
  register_replays<MapBook>("MapBook", files);
  register_replays<FrontVectorBook>("FrontVectorBook", files);
  benchmark::RunSpecifiedBenchmarks();
  if (!files.empty()) print_ratios(files, repeats);
  return 0;
}
