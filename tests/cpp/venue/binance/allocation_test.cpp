// The parser's promise not to allocate once warm. The counting operators below serve the whole test program;
// only allocations of the measuring thread, between two readings, are looked at. simdjson allocates by the
// same operators: a shared library takes the program's.
#include <gtest/gtest.h>

#include <cstdint>
#include <cstdlib>
#include <new>
#include <string>
#include <vector>

#include "venue/binance/support.hpp"

namespace {
thread_local std::uint64_t g_allocations = 0;

void* allocate(std::size_t size) noexcept {
  ++g_allocations;
  return std::malloc(size == 0 ? 1 : size);
}
void* allocate(std::size_t size, std::align_val_t alignment) noexcept {
  ++g_allocations;
  const auto align = static_cast<std::size_t>(alignment);
  return std::aligned_alloc(align, (size + align - 1) / align * align);
}
void* or_throw(void* memory) {
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}
}  // namespace

// GCC pairs the operators across inlining and takes malloc behind new, free behind delete for a mismatch.
#ifdef __GNUC__
#pragma GCC diagnostic ignored "-Wmismatched-new-delete"
#endif
void* operator new(std::size_t size) { return or_throw(allocate(size)); }
void* operator new(std::size_t size, std::align_val_t alignment) {
  return or_throw(allocate(size, alignment));
}
void* operator new(std::size_t size, const std::nothrow_t&) noexcept { return allocate(size); }
void* operator new[](std::size_t size) { return or_throw(allocate(size)); }
void* operator new[](std::size_t size, const std::nothrow_t&) noexcept { return allocate(size); }
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
void operator delete(void* memory, std::align_val_t) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t, std::align_val_t) noexcept { std::free(memory); }
void operator delete[](void* memory) noexcept { std::free(memory); }
void operator delete[](void* memory, std::size_t) noexcept { std::free(memory); }

namespace mdp::venue::binance {
namespace {

// Allocates nothing itself.
class CountingSink final : public core::MessageSink {
 public:
  CountingSink() { slot_ = &storage_; }
  void commit() noexcept override { ++committed; }
  std::uint64_t committed = 0;

 private:
  core::NormalizedMessage storage_;
};

TEST(BinanceAllocationCounter, SeesAllocationsHereAndInSimdjson) {
  const std::uint64_t before = g_allocations;
  const core::SymbolTable symbols(known_instruments());
  const auto parser = make_parser(Family::Spot, symbols, kExchange);
  const std::uint64_t made = g_allocations;
  EXPECT_GT(made, before);
  const Frame frame(payload("ack.json"));
  CountingSink sink;
  const std::uint64_t cold = g_allocations;
  EXPECT_EQ(parser->parse(frame.raw(), sink), core::ParseStatus::Ack);
  EXPECT_GT(g_allocations, cold) << "a cold parser allocates; if this is not seen the test below is blind";
}

class BinanceAllocation : public testing::TestWithParam<VenueCase> {};

TEST_P(BinanceAllocation, AWarmParserAllocatesNothing) {
  const core::SymbolTable symbols(known_instruments());
  const auto parser = make_parser(GetParam().family, symbols, kExchange);
  std::vector<Frame> frames;
  frames.emplace_back(large_depth_update(1'076));
  const VenueCase& venue = GetParam();
  for (const std::string& name : {venue.depth, venue.trade, venue.aggregate, venue.quote}) {
    frames.emplace_back(payload(name, venue.folder));
  }
  if (venue.family == Family::Futures) {
    frames.emplace_back(payload("mark_price_combined.json", venue.folder));
    frames.emplace_back(payload("force_order_combined.json", venue.folder));
  }
  for (const char* name :
       {"depth_update_combined.json", "depth_update_both_sides_composed.json", "trade_2024_combined.json",
        "trade_2021_raw.json", "agg_trade_combined.json", "book_ticker_combined.json", "kline_composed.json",
        "partial_depth_combined.json", "mini_ticker_array_raw.json", "ack.json", "ack_list.json",
        "error_flat.json", "error_nested.json", "server_shutdown_combined.json"}) {
    frames.emplace_back(payload(name));
  }
  const std::string depth = payload("depth_update_both_sides_composed.json");
  for (const std::string& bad :
       {std::string(), depth.substr(0, 200), depth + "x", replaced(depth, "61737.63000000", "61737.63100000"),
        replaced(depth, "61737.63000000", "x"), replaced(depth, "\"E\"", "\"e\""),
        replaced(depth, "BTCUSDT", "\\u0042TCUSDT"), replaced(depth, "BTCUSDT", "XYZUSDT"),
        std::string("{\"data\":") + std::string(2'000, '[')}) {
    frames.emplace_back(bad);
  }
  CountingSink sink;
  const auto parse_all = [&] {
    std::uint64_t errors = 0;
    for (const Frame& frame : frames) errors += core::is_error(parser->parse(frame.raw(), sink));
    return errors;
  };
  const std::uint64_t errors = parse_all();  // warms up: the largest frame is among them
  EXPECT_GT(errors, 0u);
  const std::uint64_t before = g_allocations;
  for (int i = 0; i < 100; ++i) {
    if (parse_all() != errors) ADD_FAILURE() << "another outcome in round " << i;
  }
  EXPECT_EQ(g_allocations - before, 0u);
  EXPECT_GT(sink.committed, 0u);
}

INSTANTIATE_TEST_SUITE_P(Venues, BinanceAllocation, testing::ValuesIn(venue_cases()), case_name);

}  // namespace
}  // namespace mdp::venue::binance
