// mdp_test_publisher SEGMENT [RING_BYTES [LEVELS]]: a publisher for tests and benches of readers in other
// languages. Commands come by line on stdin, each is answered by a line on stdout:
//   fill N    publishes N steps at once; "filled EVENTS" is how many events the ring has seen by then
//   load      publishes at full speed from here on
//   rest      ends that; "resting EVENTS"
//   die       ends without a word, as kill -9 would
// At the end of stdin it stops in order. Between commands it gives its heartbeat.
//
// One step is one delta of one of four instruments (the last one quiet: one step in 1024), its table entry,
// and now and then a quote or a trade. The books are real: slots of a price grid, set and removed at random,
// and an instrument's update ids count up by one.
#include <unistd.h>

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <iostream>
#include <mutex>
#include <string>
#include <thread>

#include "mdp/core/error.hpp"
#include "mdp/core/sinks.hpp"
#include "mdp/publish/ipc_publisher.hpp"
#include "publish/test_segment.hpp"

namespace {

using mdp::publish::test::mix;
namespace shm = mdp::shm;

constexpr std::uint32_t kSymbols = 4;
constexpr std::size_t kSlots = 48;  // prices of each side
constexpr std::int64_t kMiddle = 1'000'000;
const char* const kNames[kSymbols] = {"BTCUSDT", "ETHUSDT", "SOLUSDT", "QUIETUSDT"};

struct Book {
  std::array<std::int64_t, kSlots> bids{};  // quantity at kMiddle - 1 - slot
  std::array<std::int64_t, kSlots> asks{};  // quantity at kMiddle + 1 + slot
  std::uint64_t update_id = 0;
};

std::int64_t price(bool bid, std::size_t slot) {
  const auto away = static_cast<std::int64_t>(slot) + 1;
  return bid ? kMiddle - away : kMiddle + away;
}

class Market {
 public:
  explicit Market(mdp::publish::SegmentWriter& segment) : segment_(segment), publisher_(segment) {
    segment.directory().set_venue(1, "test");
    for (std::uint32_t id = 0; id < kSymbols; ++id) {
      mdp::core::Instrument instrument;
      instrument.symbol_id = id;
      instrument.exchange_id = 1;
      instrument.venue_symbol = kNames[id];
      instrument.canonical_symbol = "test:" + instrument.venue_symbol;
      instrument.price_exponent = -2;
      instrument.quantity_exponent = -3;
      instrument.tick_size = 1;
      segment.directory().set_instrument(instrument);
      publish_state(id);
    }
  }

  void step() {
    const std::uint64_t n = steps_++;
    const std::uint64_t random = mix(n);
    const auto id = static_cast<std::uint32_t>(n % 1024 == 1023 ? kSymbols - 1 : random % (kSymbols - 1));
    Book& book = books_[id];
    ++book.update_id;
    begin(shm::EventType::BookDelta, id);
    change(book, random);
    publisher_.publish(event_);
    begin(shm::EventType::BookSnapshot, id);
    event_.header.flags |= shm::kFlagTop | mdp::core::kFlagTableOnly;
    event_.header.bid_count = best(book, true, event_.levels);
    event_.header.ask_count = best(book, false, event_.levels + event_.header.bid_count);
    const shm::PriceLevel nobody{0, 0};
    const shm::PriceLevel bid = event_.header.bid_count > 0 ? event_.levels[0] : nobody;
    const shm::PriceLevel ask = event_.header.ask_count > 0 ? event_.levels[event_.header.bid_count] : nobody;
    publisher_.publish(event_);
    if (n % 2 == 0) {
      begin(shm::EventType::Bbo, id);
      event_.bbo = {bid, ask};
      publisher_.publish(event_);
    }
    if (n % 4 == 0) {
      begin(shm::EventType::Trade, id);
      event_.trade = {kMiddle,
                      static_cast<std::int64_t>(n % 1000) + 1,
                      ++trades_,
                      n % 8 == 0 ? shm::Side::Buy : shm::Side::Sell,
                      {}};
      publisher_.publish(event_);
    }
  }

  void heartbeat() { publisher_.heartbeat(); }
  void stop() { publisher_.stop(); }
  std::uint64_t events() const { return segment_.view().event_count(); }

 private:
  void begin(shm::EventType type, std::uint32_t id) {
    event_.header = {};
    event_.header.type = type;
    event_.header.flags = shm::kFlagFirst | shm::kFlagLast;
    event_.header.exchange_id = 1;
    event_.header.symbol_id = id;
    event_.header.update_id = books_[id].update_id;
    event_.header.first_update_id = books_[id].update_id;
  }
  void publish_state(std::uint32_t id) {
    begin(shm::EventType::BookState, id);
    event_.book_state = {shm::kAllBids, shm::kAllAsks, shm::BookState::Live, shm::StateReason::Synced, {}};
    publisher_.publish(event_);
  }
  // Sets or removes one or two levels a side.
  void change(Book& book, std::uint64_t random) {
    std::size_t count = 0;
    for (const bool bid : {true, false}) {
      const std::size_t changes = 1 + mix(random ^ (bid ? 1 : 2)) % 2;
      for (std::size_t i = 0; i < changes; ++i) {
        const std::uint64_t r = mix(random + 7 * i + (bid ? 100 : 200));
        // The second change hits another half of the grid, so that a delta names no price twice.
        const std::size_t slot = (r % (kSlots / 2)) + i * (kSlots / 2);
        const std::int64_t quantity = r % 3 == 0 ? 0 : static_cast<std::int64_t>((r >> 8) % 1'000'000) + 1;
        (bid ? book.bids : book.asks)[slot] = quantity;
        event_.levels[count++] = {price(bid, slot), quantity};
      }
      const auto so_far = static_cast<std::uint16_t>(count);
      if (bid) {
        event_.header.bid_count = so_far;
      } else {
        event_.header.ask_count = static_cast<std::uint16_t>(so_far - event_.header.bid_count);
      }
    }
  }
  std::uint16_t best(const Book& book, bool bid, shm::PriceLevel* out) const {
    const auto& side = bid ? book.bids : book.asks;
    std::uint16_t count = 0;
    for (std::size_t slot = 0; slot < kSlots && count < segment_.view().info().levels_per_side; ++slot) {
      if (side[slot] != 0) out[count++] = {price(bid, slot), side[slot]};
    }
    return count;
  }

  mdp::publish::SegmentWriter& segment_;
  mdp::publish::IPCPublisher publisher_;
  shm::Event event_{};
  std::array<Book, kSymbols> books_{};
  std::uint64_t steps_ = 0;
  std::uint64_t trades_ = 0;
};

void answer(const char* word, std::uint64_t events) {
  std::printf("%s %llu\n", word, static_cast<unsigned long long>(events));
  std::fflush(stdout);
}

int serve(int argc, char** argv) {
  mdp::publish::SegmentConfig config = mdp::publish::test::small_config();
  config.name = argv[1];
  if (argc > 2) config.ring = std::stoull(argv[2]);
  if (argc > 3) config.levels = static_cast<std::uint32_t>(std::stoul(argv[3]));
  mdp::publish::SegmentWriter segment(config);
  Market market(segment);
  std::mutex mutex;  // of `market`: the commands' thread and the one below take turns
  std::atomic<bool> loading{false};
  std::atomic<bool> done{false};
  std::thread worker([&] {
    while (!done) {
      {
        const std::lock_guard lock(mutex);
        for (int i = 0; i < 256 && loading; ++i) market.step();
        market.heartbeat();
      }
      if (loading) {
        std::this_thread::yield();
      } else {
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
      }
    }
  });
  answer("ready", market.events());
  for (std::string line; std::getline(std::cin, line);) {
    if (line == "die") ::_exit(9);
    loading = line == "load";
    const std::lock_guard lock(mutex);
    if (line.rfind("fill ", 0) == 0) {
      for (std::uint64_t n = std::stoull(line.substr(5)); n > 0; --n) market.step();
      answer("filled", market.events());
    } else {
      answer(loading ? "loading" : "resting", market.events());
    }
  }
  done = true;
  worker.join();
  market.stop();
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) {
    std::fputs("usage: mdp_test_publisher SEGMENT [RING_BYTES [LEVELS]]\n", stderr);
    return 2;
  }
  try {
    return serve(argc, argv);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "mdp_test_publisher: %s\n", error.what());
    return 1;
  }
}
