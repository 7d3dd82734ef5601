// The message path does not allocate once books are warm: operator new of this program counts.
#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>
#include <new>
#include <random>

#include "book/manager_fixture.hpp"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define MDP_COUNTS_ALLOCATIONS 0  // the sanitizers bring an operator new of their own
#else
#define MDP_COUNTS_ALLOCATIONS 1
#endif

#if MDP_COUNTS_ALLOCATIONS
namespace {
// relaxed, all: the test reads it on the thread that counts.
std::atomic<std::size_t> allocations{0};

void* counted(std::size_t size, std::size_t alignment) {
  allocations.fetch_add(1, std::memory_order_relaxed);
  const std::size_t rounded = (size + alignment - 1) / alignment * alignment;
  if (void* memory = alignment > alignof(std::max_align_t) ? std::aligned_alloc(alignment, rounded)
                                                           : std::malloc(size)) {
    return memory;
  }
  throw std::bad_alloc();
}
}  // namespace

void* operator new(std::size_t size) { return counted(size, 1); }
void* operator new[](std::size_t size) { return counted(size, 1); }
void* operator new(std::size_t size, std::align_val_t alignment) {
  return counted(size, static_cast<std::size_t>(alignment));
}
void* operator new[](std::size_t size, std::align_val_t alignment) {
  return counted(size, static_cast<std::size_t>(alignment));
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete[](void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
void operator delete[](void* memory, std::size_t) noexcept { std::free(memory); }
void operator delete(void* memory, std::align_val_t) noexcept { std::free(memory); }
void operator delete[](void* memory, std::align_val_t) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t, std::align_val_t) noexcept { std::free(memory); }
void operator delete[](void* memory, std::size_t, std::align_val_t) noexcept { std::free(memory); }

namespace mdp::book {
namespace {

using namespace test;

class NullSink final : public core::EventSink {
 public:
  NullSink() { slot_ = storage_.get(); }
  void commit() noexcept override {}

 private:
  std::unique_ptr<Event> storage_ = std::make_unique<Event>();
};

class NullListener final : public BookListener {
  void on_book_state(core::SymbolId, BookState, StateReason, std::uint64_t) noexcept override {}
  void on_snapshot_wanted(core::SymbolId, StateReason) noexcept override {}
  void on_depth_need(core::SymbolId, DepthNeed) noexcept override {}
  void on_audit_mismatch(core::SymbolId, std::uint64_t, AuditSource, const Bbo&,
                         const Bbo&) noexcept override {}
  void on_suspect(core::SymbolId) noexcept override {}
};

// Applied updates, gaps, resyncs with chunked snapshots, duplicates, line changes: one round of everything.
class Round {
 public:
  explicit Round(OrderBookManager& manager) : manager_(manager), messages_(manager) {
    for (std::int64_t i = 0; i < 1500; ++i) {
      bids_.push_back({-i - 1, 1});
      asks_.push_back({i + 1, 1});
    }
  }
  void run() {
    line(LineState::Up);
    random_.seed(5);
    std::uint64_t id = 1000;
    write(UpdateType::Delta, id, id, one_, none_);
    write(UpdateType::Snapshot, id, id, bids_, asks_);
    for (int i = 0; i < 2000; ++i) {
      ++id;
      if (i % 500 == 499) ++id;  // a gap
      const std::size_t count = i % 100 == 0 ? 600 : 8;
      levels_.clear();
      for (std::size_t n = 0; n < count; ++n) {
        levels_.push_back(
            {-1 - static_cast<std::int64_t>(random_() % 1800), static_cast<std::int64_t>(random_() % 2)});
      }
      write(UpdateType::Delta, id, id, levels_, none_);
      write(UpdateType::Delta, id, id, levels_, none_);
      if (i % 500 == 499) write(UpdateType::Snapshot, id, id, bids_, asks_);
    }
    line(LineState::Down);
  }

 private:
  void line(LineState state) {
    scratch_->header = {};
    scratch_->header.update_type = UpdateType::Line;
    scratch_->header.reason = static_cast<std::uint8_t>(state);
    manager_.on_message(*scratch_);
  }
  void write(UpdateType type, std::uint64_t first, std::uint64_t last, const Levels& bids,
             const Levels& asks) {
    MessageHeader header{};
    header.update_type = type;
    header.first_update_id = first;
    header.last_update_id = last;
    core::LevelWriter writer(messages_, header);
    for (const PriceLevel& level : bids) writer.add(level);
    writer.begin_asks();
    for (const PriceLevel& level : asks) writer.add(level);
    writer.finish();
  }
  OrderBookManager& manager_;
  ManagerSink messages_;
  std::unique_ptr<NormalizedMessage> scratch_ = std::make_unique<NormalizedMessage>();
  std::mt19937_64 random_;
  Levels bids_, asks_, levels_;
  const Levels one_{{-1, 1}}, none_;
};

class Allocation : public testing::TestWithParam<std::size_t> {};

TEST_P(Allocation, NoneOnceTheBooksAreWarm) {
  NullSink sink;
  NullListener listener;
  BookOptions options;
  options.book_depth = GetParam();
  options.snapshot_interval_ns = 1;
  OrderBookManager manager(sink, listener, options);
  constexpr core::LineId kLines[] = {0};
  manager.add_symbol(0, 1, kLines, kSpot);
  Round round(manager);
  round.run();
  round.run();  // `book` and `next` change places: both grow to their size
  ASSERT_GT(manager.counters().updates.get(), 3000u);
  const std::size_t before = allocations.load(std::memory_order_relaxed);
  round.run();
  EXPECT_EQ(allocations.load(std::memory_order_relaxed), before);
}

INSTANTIATE_TEST_SUITE_P(DepthCap, Allocation, testing::Values(0, 500), testing::PrintToStringParamName());

TEST(Allocation, NoneWithinTheReservedLevels) {
  OrderBook book;
  book.reserve(2000);
  std::mt19937_64 random(3);
  Levels levels;
  levels.reserve(100);
  const std::size_t before = allocations.load(std::memory_order_relaxed);
  for (int i = 0; i < 5000; ++i) {
    levels.clear();
    for (int n = 0; n < 50; ++n) {
      levels.push_back({static_cast<std::int64_t>(random() % 2000), static_cast<std::int64_t>(random() % 3)});
    }
    book.apply_update(levels, levels);
  }
  EXPECT_EQ(allocations.load(std::memory_order_relaxed), before);
}

}  // namespace
}  // namespace mdp::book
#endif
