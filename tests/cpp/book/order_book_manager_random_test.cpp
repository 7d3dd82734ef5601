// Whole streams with faults against the truth: whenever a book is LIVE it is the venue's book at that update
// id, the events alone rebuild it, from the sink and from a segment's ring, and no audit against REST objects.
#include <gtest/gtest.h>

#include <deque>
#include <random>

#include "book/manager_fixture.hpp"
#include "mdp/publish/ipc_publisher.hpp"
#include "mdp/shm/shm.hpp"
#include "publish/test_segment.hpp"

namespace mdp::book {
namespace {

using namespace test;

std::uint64_t environment(const char* name, std::uint64_t otherwise) {
  const char* text = std::getenv(name);
  return text != nullptr ? std::stoull(text) : otherwise;
}

// Passes events on to several.
class Tee final : public core::EventSink {
 public:
  explicit Tee(std::function<void(const Event&)> on_event) : on_event_(std::move(on_event)) {
    std::memset(static_cast<void*>(storage_.get()), 0xA5, sizeof(Event));
    slot_ = storage_.get();
  }
  void commit() noexcept override { on_event_(*storage_); }

 private:
  std::function<void(const Event&)> on_event_;
  std::unique_ptr<Event> storage_ = std::make_unique<Event>();
};

struct Update {
  std::uint64_t first, last, prev;
  Levels bids, asks;
};

// A venue's book and the updates that make it. Never crossed: bids below 0, asks above.
class Venue {
 public:
  Venue(std::mt19937_64& random, bool futures) : random_(random), futures_(futures) {
    for (std::int64_t i = 1; i <= 300; ++i) {
      truth.bids[-i] = i;
      truth.asks[i] = i;
    }
  }
  Update next() {
    Update update;
    update.prev = last_id;
    update.first = futures_ ? last_id + 1 + draw(5) : last_id + 1;
    update.last = update.first + draw(4);
    const std::size_t most = draw(50) == 0 ? 700 : 6;
    for (std::uint64_t n = draw(most); n-- > 0;) update.bids.push_back({-price(), quantity()});
    for (std::uint64_t n = draw(most); n-- > 0;) update.asks.push_back({price(), quantity()});
    truth.apply(update.bids, update.asks);
    last_id = update.last;
    return update;
  }
  std::uint64_t draw(std::uint64_t most) {
    return std::uniform_int_distribution<std::uint64_t>(0, most)(random_);
  }

  BookModel truth;
  std::uint64_t last_id = 1000;

 private:
  std::int64_t price() { return 1 + static_cast<std::int64_t>(draw(draw(3) == 0 ? 2000 : 15)); }
  std::int64_t quantity() { return draw(2) == 0 ? 0 : static_cast<std::int64_t>(draw(9)); }
  std::mt19937_64& random_;
  bool futures_;
};

struct Setting {
  const char* name;
  bool futures;
  std::size_t depth_cap;
};
std::ostream& operator<<(std::ostream& out, const Setting& setting) { return out << setting.name; }

class FaultyStream : public testing::TestWithParam<Setting> {
 protected:
  static constexpr core::SymbolId kSymbols = 3;

  void write(core::MessageSink& messages, UpdateType type, core::SymbolId symbol, const Update& update) {
    MessageHeader header{};
    header.update_type = type;
    header.symbol_id = symbol;
    header.first_update_id = update.first;
    header.last_update_id = update.last;
    header.prev_update_id = update.prev;
    header.recv_ts_ns = ++now_ns_;
    core::LevelWriter writer(messages, header);
    for (const PriceLevel& level : update.bids) writer.add(level);
    writer.begin_asks();
    for (const PriceLevel& level : update.asks) writer.add(level);
    writer.finish();
  }
  std::int64_t now_ns_ = 0;
};

TEST_P(FaultyStream, LiveIsRightAndTheEventsRebuildIt) {
  const Setting& setting = GetParam();
  const std::uint64_t seed = environment("MDP_SEED", std::random_device{}());
  SCOPED_TRACE("MDP_SEED=" + std::to_string(seed));
  std::printf("seed %llu\n", static_cast<unsigned long long>(seed));
  std::mt19937_64 random(seed);

  publish::SegmentConfig config = publish::test::small_config();
  config.ring_bytes = 1 << 20;
  publish::test::MemorySegment segment(config);
  publish::IPCPublisher publisher(*segment);
  shm::RingReader ring(segment.view());
  RebuiltBooks from_sink, from_ring;
  Tee sink([&](const Event& event) {
    from_sink.read(event);
    publisher.publish(event);
  });
  Listener listener;
  BookOptions options;
  options.depth_cap = setting.depth_cap;
  options.max_buffered_deltas = 40;
  options.snapshot_interval_ns = 50;
  OrderBookManager manager(sink, listener, options);
  ManagerSink messages(manager);
  std::vector<Venue> venues;
  for (core::SymbolId symbol = 0; symbol < kSymbols; ++symbol) {
    venues.emplace_back(random, setting.futures);
    constexpr core::LineId kLines[] = {0};
    manager.add_symbol(symbol, 1, kLines, setting.futures ? kFutures : kSpot);
  }

  std::array<std::deque<std::pair<std::uint64_t, BookModel>>, kSymbols> snapshots;  // on their way
  std::array<Update, kSymbols> held{};
  std::array<bool, kSymbols> holding{};
  std::size_t compared = 0;
  const std::uint64_t steps = 6000 * environment("MDP_STRESS", 1);
  for (std::uint64_t step = 0; step < steps; ++step) {
    const auto symbol = static_cast<core::SymbolId>(venues[0].draw(kSymbols - 1));
    Venue& venue = venues[symbol];
    const Update update = venue.next();
    const std::uint64_t fault = venue.draw(200);
    if (fault == 0) {
      // Lost.
    } else if (fault == 1) {
      write(messages, UpdateType::Delta, symbol, update);
      write(messages, UpdateType::Delta, symbol, update);
    } else if (fault == 2 && !holding[symbol]) {
      held[symbol] = update;  // comes after the next one
      holding[symbol] = true;
    } else if (fault == 3) {
      messages.lose_chunk = 0;
      write(messages, UpdateType::Delta, symbol, update);
    } else {
      write(messages, UpdateType::Delta, symbol, update);
      if (holding[symbol]) write(messages, UpdateType::Delta, symbol, held[symbol]);
      holding[symbol] = false;
    }
    messages.lose_chunk = -1;
    if (fault == 4) manager.request_resync(symbol);
    // A wanted snapshot is taken now and arrives some steps later, sometimes never.
    for (const auto& [wanted, reason] : listener.wanted) {
      snapshots[wanted].push_back({venues[wanted].last_id, venues[wanted].truth});
    }
    listener.wanted.clear();
    if (venue.draw(20) == 0 && snapshots[symbol].empty()) {
      manager.begin_rest_audit(symbol);
      snapshots[symbol].push_back({venue.last_id, venue.truth});
    }
    for (core::SymbolId waiting = 0; waiting < kSymbols; ++waiting) {
      if (snapshots[waiting].empty() || venue.draw(9) != 0) continue;
      const auto [id, model] = std::move(snapshots[waiting].front());
      snapshots[waiting].pop_front();
      Levels bids = model.best_first_bids(), asks = model.best_first_asks();
      if (manager.state(waiting) == BookState::Live) {  // an audit's: less deep than the book, or deeper
        bids.resize(std::min(bids.size(), venue.draw(400)));
        asks.resize(std::min(asks.size(), venue.draw(400)));
      }
      write(messages, UpdateType::Snapshot, waiting, {id, id, 0, bids, asks});
    }
    // Whatever became LIVE has it all; one that lost a delta and does not know yet stands at an older id.
    // Whole books every so often (that takes long), tops always.
    const bool whole = step % 8 == 0;
    if (whole && manager.state(symbol) == BookState::Live &&
        manager.book(symbol)->update_id() == venue.last_id) {
      const OrderBook& book = *manager.book(symbol);
      const Levels truth_bids = venue.truth.best_first_bids();
      const Levels truth_asks = venue.truth.best_first_asks();
      if (setting.depth_cap == 0) {
        ASSERT_EQ(best_first_bids(book), truth_bids);
        ASSERT_EQ(best_first_asks(book), truth_asks);
      } else {
        ASSERT_EQ(book.bbo(), venue.truth.bbo());
      }
      ++compared;
    }
    // What a reader has, event by event.
    const auto read = ring.poll(1'000'000, [&](const Event& event) { from_ring.read(event); });
    ASSERT_EQ(read.status, shm::ReadStatus::Empty);
    for (const RebuiltBooks* rebuilt : {&from_sink, &from_ring}) {
      const RebuiltBooks::Book& book = rebuilt->books.at(symbol);
      ASSERT_EQ(book.state, manager.state(symbol));
      if (book.state != BookState::Live) continue;
      ASSERT_EQ(book.update_id, manager.book(symbol)->update_id());
      ASSERT_EQ(book.bbo, manager.book(symbol)->bbo());
      if (!whole) continue;
      ASSERT_EQ(book.levels.best_first_bids(), best_first_bids(*manager.book(symbol)));
      ASSERT_EQ(book.levels.best_first_asks(), best_first_asks(*manager.book(symbol)));
    }
  }
  EXPECT_GT(compared, steps / 8 / 4);  // books do become LIVE
  EXPECT_EQ(publisher.rejected(), 0u);
  EXPECT_GT(manager.counters().gaps.get(), 0u);
  EXPECT_GT(manager.counters().duplicates.get(), 0u);
  EXPECT_GT(manager.counters().snapshots_applied.get(), 0u);
  EXPECT_GT(manager.counters().rest_audits.get(), steps / 200);
  EXPECT_EQ(manager.counters().rest_audit_mismatches.get(), 0u);  // whatever went wrong, no book was
}

INSTANTIATE_TEST_SUITE_P(Rules, FaultyStream,
                         testing::Values(Setting{"Spot", false, 0}, Setting{"Futures", true, 0},
                                         Setting{"SpotCapped", false, 100},
                                         Setting{"FuturesCapped", true, 30}),
                         [](const auto& setting) { return std::string(setting.param.name); });

}  // namespace
}  // namespace mdp::book
