// What a message costs OrderBookManager, by how many symbols it has: the same recorded deltas, given to 10,
// 100 and 1,000 books in turn. The sink takes what is emitted and does nothing with it.
//
//   bench_order_book_manager [N]                     N (9) interleaved repeats; medians
//   bench_order_book_manager --once=SYMBOLS:STREAM   one round after a warm one, for callgrind
//
// Messages are laid out in small batches beforehand, as they lie in a queue, and the batch is timed with the
// thread's own clock. Each book replays one recorded symbol; books that share one get its messages one after
// the other in shuffled order, so that with 1,000 symbols a book is cold again when its turn comes.
#include <time.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <memory>
#include <numeric>
#include <random>
#include <span>
#include <string>
#include <vector>

#include "delta_file.hpp"
#include "mdp/book/order_book_manager.hpp"
#include "mdp/sys/huge_page_memory.hpp"

namespace {

using namespace mdp;
using bench::DeltaFile;
using core::NormalizedMessage;

constexpr std::size_t kBatch = 64;
constexpr core::BookRule kSpot{.continuity = core::Continuity::FirstUpToNext};
constexpr core::BookRule kFutures{.continuity = core::Continuity::PrevUpToLast,
                                  .join = core::Join::AroundSnapshotId};

double thread_ns() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) * 1e9 + static_cast<double>(now.tv_nsec);
}

class NullSink final : public core::EventSink {
 public:
  NullSink() { slot_ = storage_.get(); }
  void commit() noexcept override {}

 private:
  std::unique_ptr<shm::Event> storage_ = std::make_unique<shm::Event>();
};
class NullListener final : public book::BookListener {
  void on_book_state(core::SymbolId, book::BookState, book::StateReason, std::uint64_t) noexcept override {}
  void on_snapshot_wanted(core::SymbolId, book::StateReason) noexcept override {}
  void on_depth_need(core::SymbolId, book::DepthNeed) noexcept override {}
  void on_audit_mismatch(core::SymbolId, std::uint64_t, book::AuditSource, const book::Bbo&,
                         const book::Bbo&) noexcept override {}
  void on_suspect(core::SymbolId) noexcept override {}
};

// A delta as one message; the few larger than a slot are left to the caller to skip.
void fill(NormalizedMessage& message, const DeltaFile& file, const DeltaFile::Message& from,
          core::SymbolId symbol) {
  core::MessageHeader& header = message.header;
  header = {};
  header.update_type = core::UpdateType::Delta;
  header.flags = core::kFirst | core::kLast;
  header.symbol_id = symbol;
  header.first_update_id = from.header.first_update_id;
  header.last_update_id = from.header.last_update_id;
  header.prev_update_id = from.header.prev_update_id;
  header.exch_ts_ns = from.header.exch_ts_ns;
  header.recv_ts_ns = from.header.recv_ts_ns;
  header.bid_count = static_cast<std::uint16_t>(from.header.bid_count);
  header.ask_count = static_cast<std::uint16_t>(from.header.ask_count);
  const auto bids = file.bids(from), asks = file.asks(from);
  std::copy(bids.begin(), bids.end(), message.levels);
  std::copy(asks.begin(), asks.end(), message.levels + bids.size());
}

void sync(book::OrderBookManager& manager, const DeltaFile& file, core::SymbolId symbol,
          std::uint32_t recorded) {
  const DeltaFile::Message& snapshot = file.messages[recorded];
  auto message = std::make_unique<NormalizedMessage>();
  // Begins to sync with an empty delta of the snapshot's own id. Each round is a sequence of its own.
  message->header = {};
  message->header.update_type = core::UpdateType::Delta;
  message->header.flags = core::kFirst | core::kLast | core::kReset;
  message->header.symbol_id = symbol;
  message->header.first_update_id = message->header.last_update_id = message->header.prev_update_id =
      snapshot.header.last_update_id;
  manager.on_message(*message);
  message->header.update_type = core::UpdateType::Snapshot;
  const auto bids = file.bids(snapshot), asks = file.asks(snapshot);
  std::size_t bid = 0, ask = 0;
  for (std::uint16_t chunk = 0;; ++chunk) {
    const std::size_t bid_count = std::min(core::kMaxMessageLevels, bids.size() - bid);
    const std::size_t ask_count = std::min(core::kMaxMessageLevels - bid_count, asks.size() - ask);
    std::copy_n(bids.data() + bid, bid_count, message->levels);
    std::copy_n(asks.data() + ask, ask_count, message->levels + bid_count);
    bid += bid_count;
    ask += ask_count;
    const bool last = bid == bids.size() && ask == asks.size();
    message->header.flags =
        static_cast<std::uint16_t>((chunk == 0 ? core::kFirst : 0) | (last ? core::kLast : 0));
    message->header.chunk = chunk;
    message->header.bid_count = static_cast<std::uint16_t>(bid_count);
    message->header.ask_count = static_cast<std::uint16_t>(ask_count);
    manager.on_message(*message);
    if (last) return;
  }
}

// What is measured. Not inlined, so that callgrind can collect here alone.
[[gnu::noinline]] void deliver(book::OrderBookManager& manager, std::span<const NormalizedMessage> batch) {
  for (const NormalizedMessage& message : batch) manager.on_message(message);
}

struct Cost {
  double ns_per_message;
  std::uint64_t updates;
};

// `rounds`: how often the stream is replayed, so that every number of symbols handles as many messages.
Cost measure(const DeltaFile& file, std::size_t symbol_count, std::size_t rounds) {
  NullSink sink;
  NullListener listener;
  book::BookOptions options;
  options.memory = &sys::huge_page_memory();  // as the engine does
  book::OrderBookManager manager(sink, listener, options);
  const bool futures = file.name.find("spot") == std::string::npos;
  for (core::SymbolId symbol = 0; symbol < symbol_count; ++symbol) {
    constexpr core::LineId kLines[] = {0};
    manager.add_symbol(symbol, 1, kLines, futures ? kFutures : kSpot);
  }
  const std::size_t copies = symbol_count / file.symbol_count;
  std::vector<core::SymbolId> order(copies);
  std::iota(order.begin(), order.end(), core::SymbolId{0});
  std::mt19937 random(1);
  std::vector<NormalizedMessage> batch(kBatch);
  double ns = 0;
  std::size_t messages = 0;
  for (std::size_t round = 0; round <= rounds; ++round) {
    for (core::SymbolId symbol = 0; symbol < copies * file.symbol_count; ++symbol) {
      if (round != 0) manager.request_resync(symbol);
      sync(manager, file, symbol, file.messages[symbol % file.symbol_count].header.symbol);
    }
    std::size_t filled = 0;
    const auto run = [&] {
      const double start = thread_ns();
      deliver(manager, std::span(batch).first(filled));
      const double spent = thread_ns() - start;
      if (round > 0) {  // the first one brings memory and caches in
        ns += spent;
        messages += filled;
      }
      filled = 0;
    };
    for (std::size_t i = file.symbol_count; i < file.messages.size(); ++i) {
      const DeltaFile::Message& delta = file.messages[i];
      std::shuffle(order.begin(), order.end(), random);
      for (const core::SymbolId copy : order) {
        if (delta.header.bid_count + delta.header.ask_count > core::kMaxMessageLevels) continue;
        fill(batch[filled++], file, delta,
             static_cast<core::SymbolId>(copy * file.symbol_count + delta.header.symbol));
        if (filled == kBatch) run();
      }
    }
    run();
  }
  return {ns / static_cast<double>(messages), manager.counters().updates.get()};
}

double median(std::vector<double> values) {
  std::nth_element(values.begin(), values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2),
                   values.end());
  return values[values.size() / 2];
}

}  // namespace

int main(int argc, char** argv) {
  const std::string argument = argc > 1 ? argv[1] : "";
  const std::size_t repeats = argc > 1 && argv[1][0] != '-' ? std::stoul(argv[1]) : 9;
  const std::vector<DeltaFile> files = bench::load_recorded_deltas();
  for (const DeltaFile& file : files) {
    if (file.symbol_count != 10) continue;
    if (argument.rfind("--once=", 0) == 0) {
      const std::size_t colon = argument.find(':');
      if (argument.substr(colon + 1) == file.name) measure(file, std::stoul(argument.substr(7, colon)), 1);
      continue;
    }
    constexpr std::array<std::size_t, 3> kSymbols{10, 100, 1000};
    std::array<std::vector<double>, 3> ns, ratio;
    for (std::size_t repeat = 0; repeat < repeats; ++repeat) {
      std::array<double, 3> now{};
      for (std::size_t i = 0; i < kSymbols.size(); ++i) {
        const Cost cost = measure(file, kSymbols[i], 100 * 10 / kSymbols[i]);
        now[i] = cost.ns_per_message;
        if (repeat == 0) {
          std::printf("%s: %zu symbols, %llu updates applied\n", file.name.c_str(), kSymbols[i],
                      static_cast<unsigned long long>(cost.updates));
        }
      }
      for (std::size_t i = 0; i < kSymbols.size(); ++i) {
        ns[i].push_back(now[i]);
        ratio[i].push_back(now[i] / now[0]);
      }
    }
    for (std::size_t i = 0; i < kSymbols.size(); ++i) {
      std::printf("%s: %4zu symbols %7.0f ns a message, %.2f times that of 10\n", file.name.c_str(),
                  kSymbols[i], median(ns[i]), median(ratio[i]));
    }
  }
  return 0;
}
