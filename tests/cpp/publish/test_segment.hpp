// What the publish tests share: segments in plain memory, unique names, and events whose content proves
// itself.
#pragma once

#include <atomic>
#include <cstdint>
#include <cstring>
#include <memory>
#include <new>
#include <string>

#include "mdp/publish/segment_writer.hpp"
#include "mdp/shm/shm.hpp"

namespace mdp::publish::test {

inline std::string unique_name() {
  static std::atomic<int> next{0};
  return "mdp-test-" + std::to_string(sys::process_id()) + "-" + std::to_string(next++);
}

inline SegmentConfig small_config() {
  SegmentConfig config;
  config.ring = shm::kMinRingBytes;
  config.instruments = 16;
  config.venue_capacity = 4;
  config.levels = 8;
  return config;
}

struct AlignedDelete {
  void operator()(void* memory) const { ::operator delete(memory, std::align_val_t{64}); }
};
using AlignedMemory = std::unique_ptr<void, AlignedDelete>;
inline AlignedMemory allocate(std::size_t bytes) {
  return AlignedMemory(::operator new(bytes, std::align_val_t{64}));
}

inline core::Instrument btc(core::SymbolId symbol_id) {
  core::Instrument result;
  result.symbol_id = symbol_id;
  result.exchange_id = 1;
  result.venue_symbol = "BTCUSDT";
  result.canonical_symbol = "binance:BTC-USDT";
  result.base = "BTC";
  result.quote = "USDT";
  result.status = "TRADING";
  result.price_exponent = -2;
  result.quantity_exponent = -5;
  result.tick_size = 1;
  result.lot_size = 1;
  return result;
}

// A segment in memory of exactly its size: address sanitizer sees a step outside, thread sanitizer sees both
// sides (two mappings of one segment would be two places to it).
class MemorySegment {
 public:
  explicit MemorySegment(const SegmentConfig& config = small_config())
      : size_(segment_size_bytes(config)), memory_(allocate(size_)) {
    std::memset(memory_.get(), 0, size_);
    writer_ = std::make_unique<SegmentWriter>(config, memory_.get(), size_);
  }
  SegmentWriter& operator*() { return *writer_; }
  SegmentWriter* operator->() { return writer_.get(); }
  const shm::SegmentView& view() const { return writer_->view(); }
  void* data() { return memory_.get(); }
  std::size_t size() const { return size_; }

 private:
  std::size_t size_;
  AlignedMemory memory_;
  std::unique_ptr<SegmentWriter> writer_;
};

constexpr std::uint64_t mix(std::uint64_t x) {
  x += 0x9E37'79B9'7F4A'7C15;
  x = (x ^ (x >> 30)) * 0xBF58'476D'1CE4'E5B9;
  x = (x ^ (x >> 27)) * 0x94D0'49BB'1331'11EB;
  return x ^ (x >> 31);
}

// Event number `n`: type, size and every byte of the body follow from n (which travels as update_id).
inline void fill_event(shm::Event& event, std::uint64_t n, std::size_t max_levels = shm::kMaxEventLevels) {
  event.header = {};
  event.header.type = shm::EventType::BookDelta;
  event.header.symbol_id = static_cast<std::uint32_t>(n % 16);
  event.header.update_id = n;
  event.header.first_update_id = mix(n);
  const std::size_t levels = mix(n ^ 0xABCD) % (max_levels + 1);
  event.header.bid_count = static_cast<std::uint16_t>(levels / 2);
  event.header.ask_count = static_cast<std::uint16_t>(levels - levels / 2);
  for (std::size_t i = 0; i < levels; ++i) {
    event.levels[i] = {static_cast<std::int64_t>(mix(n * 1000 + i)),
                       static_cast<std::int64_t>(mix(~n * 1000 + i))};
  }
}

inline std::size_t body_bytes(const shm::Event& event) {
  return sizeof(shm::PriceLevel) * (std::size_t{event.header.bid_count} + event.header.ask_count);
}

// Whether the event is exactly what fill_event() made of its update_id.
inline bool intact(const shm::Event& event, std::size_t max_levels = shm::kMaxEventLevels) {
  shm::Event expected;
  fill_event(expected, event.header.update_id, max_levels);
  return event.header.first_update_id == expected.header.first_update_id &&
         event.header.bid_count == expected.header.bid_count &&
         event.header.ask_count == expected.header.ask_count &&
         event.header.size_bytes() == shm::record_size_bytes(body_bytes(expected)) &&
         std::memcmp(event.levels, expected.levels, body_bytes(expected)) == 0;
}

// Appends and commits event number `n`.
inline void write_event(RingWriter& ring, std::uint64_t n, std::size_t max_levels = shm::kMaxEventLevels) {
  shm::Event event;
  fill_event(event, n, max_levels);
  ring.append(event.header, event.levels, body_bytes(event));
  ring.commit();
}

}  // namespace mdp::publish::test
