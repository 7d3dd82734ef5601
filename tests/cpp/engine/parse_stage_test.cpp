// The parse stage by itself: no allocation per frame, packed or not, nor for the answer to one.
#include <gtest/gtest.h>

#include <cstdlib>
#include <memory>
#include <new>
#include <vector>

#include "engine/gzipped.hpp"
#include "engine/toy_venue.hpp"
#include "mdp/engine/stages.hpp"

namespace {
// On the thread that counts, while it does.
thread_local bool t_counting = false;
thread_local std::size_t t_allocations = 0;
}  // namespace

// Not inlined: else the compiler sees malloc on one side, operator delete on the other, and warns.
[[gnu::noinline]] void* operator new(std::size_t bytes) {
  if (t_counting) ++t_allocations;
  if (void* memory = std::malloc(bytes == 0 ? 1 : bytes)) return memory;
  throw std::bad_alloc();
}
[[gnu::noinline]] void* operator new(std::size_t bytes, const std::nothrow_t&) noexcept {
  if (t_counting) ++t_allocations;
  return std::malloc(bytes == 0 ? 1 : bytes);
}
[[gnu::noinline]] void* operator new[](std::size_t bytes) { return operator new(bytes); }
// simdjson asks this way; without it the sanitizer sees one allocator's memory given to another.
[[gnu::noinline]] void* operator new[](std::size_t bytes, const std::nothrow_t& nothrow) noexcept {
  return operator new(bytes, nothrow);
}
[[gnu::noinline]] void operator delete(void* memory) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete[](void* memory) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete[](void* memory, std::size_t) noexcept { std::free(memory); }

namespace mdp::engine {
namespace {

class CountingSink final : public core::MessageSink {
 public:
  CountingSink() { slot_ = message_.get(); }
  void commit() noexcept override { ++count; }
  int count = 0;

 private:
  std::unique_ptr<core::NormalizedMessage> message_ = std::make_unique<core::NormalizedMessage>();
};

class PackedVenue final : public ToyVenue {
 public:
  PackedVenue() { endpoint_.frame_coding = core::FrameCoding::Gzip; }
};

class ParseStageOf : public testing::Test {
 protected:
  ParseStageOf() {
    core::Instrument instrument;
    instrument.symbol_id = 0;
    instrument.venue_symbol = "BTC";
    symbols_.add(instrument);
  }
  core::ParseStatus handle(const std::string& bytes, core::RawKind kind) {
    std::vector<char> padded(bytes.begin(), bytes.end());
    padded.resize(bytes.size() + core::kFramePadding);
    core::RawMessage raw{};
    raw.data = padded.data();
    raw.size = static_cast<std::uint32_t>(bytes.size());
    raw.kind = kind;
    t_counting = true;
    const core::ParseStatus status = stage_.handle(raw);
    t_counting = false;
    return status;
  }

  PackedVenue venue_;
  core::SymbolTable symbols_;
  CountingSink sink_;
  ControlQueue control_{256};
  ParseStage stage_{venue_, symbols_, sink_, control_};
};

TEST_F(ParseStageOf, APackedFrameAllocatesNothingAfterTheFirst) {
  const std::string data = gzipped("data BTC");
  const std::string beat = gzipped("beat 7");
  ASSERT_EQ(handle(data, core::RawKind::Binary), core::ParseStatus::Ok);
  t_allocations = 0;
  for (int i = 0; i < 1'000; ++i) {
    ASSERT_EQ(handle(data, core::RawKind::Binary), core::ParseStatus::Ok);
    ASSERT_EQ(handle("data BTC", core::RawKind::Text), core::ParseStatus::Ok);
    ASSERT_EQ(handle(beat, core::RawKind::Binary), core::ParseStatus::Respond);
  }
  EXPECT_EQ(stage_.response(), "alive 7");
  EXPECT_EQ(sink_.count, 2'001);
  EXPECT_EQ(t_allocations, 0u);
}

TEST_F(ParseStageOf, AFrameOfTheGreatestLengthIsReadAndOneByteMoreIsNot) {
  EXPECT_EQ(handle(gzipped("pong " + std::string(core::kMaxInflatedBytes - 5, 'x')), core::RawKind::Binary),
            core::ParseStatus::Ignored);
  EXPECT_EQ(handle(gzipped("pong " + std::string(core::kMaxInflatedBytes - 4, 'x')), core::RawKind::Binary),
            core::ParseStatus::MalformedFrame);
  // What is left of it in the buffer is not taken for a part of the next one.
  EXPECT_EQ(handle(gzipped("beat 8"), core::RawKind::Binary), core::ParseStatus::Respond);
  EXPECT_EQ(stage_.response(), "alive 8");
}

}  // namespace
}  // namespace mdp::engine
