// Whole streams with faults against the truth: whenever a book is LIVE it is the venue's book at that update
// id, as far as it says that it is known, and that is at least as far as the book table shows it; the events
// alone rebuild it, from the sink and from a segment's ring, and no audit against REST objects. The truth is
// the venue's whole book: it knows nothing of snapshots that end somewhere, of caps and of what a book knows.
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
  std::uint16_t depth_limit = 0;  // of a snapshot
};

// A venue's book and the updates that make it. Never crossed: bids below the middle, asks above. The market
// runs up and down: the side it runs into is eaten, the other one grows.
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
    run(update);
    for (std::uint64_t n = draw(most); n-- > 0;) update.bids.push_back({middle_ - price(), quantity()});
    for (std::uint64_t n = draw(most); n-- > 0;) update.asks.push_back({middle_ + price(), quantity()});
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
  // Moves the middle a few prices: mostly the same way for a while.
  void run(Update& update) {
    if (draw(300) == 0) pace_ = static_cast<std::int64_t>(draw(6)) - 3;
    middle_ += pace_;
    for (auto at = truth.asks.begin(); at != truth.asks.end() && at->first <= middle_; ++at) {
      update.asks.push_back({at->first, 0});
    }
    for (auto at = truth.bids.rbegin(); at != truth.bids.rend() && at->first >= middle_; ++at) {
      update.bids.push_back({at->first, 0});
    }
    if (pace_ > 0) update.bids.push_back({middle_ - 1, 1});
    if (pace_ < 0) update.asks.push_back({middle_ + 1, 1});
  }
  std::int64_t middle_ = 0;
  std::int64_t pace_ = 0;
  std::int64_t price() { return 1 + static_cast<std::int64_t>(draw(draw(3) == 0 ? 2000 : 15)); }
  std::int64_t quantity() { return draw(2) == 0 ? 0 : static_cast<std::int64_t>(draw(9)); }
  std::mt19937_64& random_;
  bool futures_;
};

struct Setting {
  const char* name;
  bool futures;
  std::size_t depth_cap;
  std::size_t snapshot_limit;
  std::size_t table_levels;
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
    header.depth_limit = update.depth_limit;
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
  config.ring = 1 << 20;
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
  options.book_depth = setting.depth_cap;
  options.table_levels = setting.table_levels;
  options.max_buffered_deltas = 40;
  options.snapshot_interval_ns = 50;
  options.ring_steps = &publisher.ring_steps();
  options.ring_bytes = config.ring;
  options.refresh_every = 5;
  OrderBookManager manager(sink, listener, options);
  ManagerSink messages(manager);
  std::vector<Venue> venues;
  for (core::SymbolId symbol = 0; symbol < kSymbols; ++symbol) {
    venues.emplace_back(random, setting.futures);
    constexpr core::LineId kLines[] = {0};
    manager.add_symbol(symbol, 1, kLines, setting.futures ? kFutures : kSpot);
  }

  std::array<std::deque<std::pair<std::uint64_t, BookModel>>, kSymbols> snapshots;  // on their way
  std::array<DepthNeed, kSymbols> needs{};
  std::array<Update, kSymbols> held{};
  std::array<bool, kSymbols> holding{};
  std::size_t compared = 0, joins = 0;
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
    for (const auto& [in_need, need] : listener.needs) needs[in_need] = need;
    listener.needs.clear();
    if (needs[symbol] != DepthNeed::None && snapshots[symbol].empty()) {
      manager.begin_widening(symbol);
      snapshots[symbol].push_back({venue.last_id, venue.truth});
    } else if (venue.draw(20) == 0 && snapshots[symbol].empty()) {
      manager.begin_rest_audit(symbol);
      snapshots[symbol].push_back({venue.last_id, venue.truth});
    }
    for (core::SymbolId waiting = 0; waiting < kSymbols; ++waiting) {
      if (snapshots[waiting].empty() || venue.draw(9) != 0) continue;
      const auto [id, model] = std::move(snapshots[waiting].front());
      snapshots[waiting].pop_front();
      Levels bids = model.best_first_bids(), asks = model.best_first_asks();
      std::size_t limit = setting.snapshot_limit;
      if (needs[waiting] == DepthNeed::None && manager.state(waiting) == BookState::Live) {
        limit = 1 + venue.draw(400);  // an audit's: less deep than the book, or deeper
      }
      bids.resize(std::min(bids.size(), limit));
      asks.resize(std::min(asks.size(), limit));
      write(messages, UpdateType::Snapshot, waiting,
            {id, id, 0, bids, asks, static_cast<std::uint16_t>(limit)});
    }
    // Whatever became LIVE has it all; one that lost a delta and does not know yet stands at an older id.
    // Whole books every so often (that takes long), tops always.
    const bool whole = step % 8 == 0;
    if (whole && manager.state(symbol) == BookState::Live &&
        manager.book(symbol)->update_id() == venue.last_id) {
      const OrderBook& book = *manager.book(symbol);
      Levels bids = venue.truth.best_first_bids(), asks = venue.truth.best_first_asks();
      std::erase_if(bids, [&](const PriceLevel& level) { return level.price < book.known_bid(); });
      std::erase_if(asks, [&](const PriceLevel& level) { return level.price > book.known_ask(); });
      ASSERT_EQ(best_first_bids(book), bids);
      ASSERT_EQ(best_first_asks(book), asks);
      const RebuiltBooks::Book& read = from_sink.books.at(symbol);
      ASSERT_EQ(read.known_bid, book.known_bid());
      ASSERT_EQ(read.known_ask, book.known_ask());
      // What the book table shows is the truth, whatever is known beyond.
      ASSERT_EQ(read.table_bids, head(venue.truth.best_first_bids(), setting.table_levels));
      ASSERT_EQ(read.table_asks, head(venue.truth.best_first_asks(), setting.table_levels));
      ++compared;
    }
    // What a reader has that joins now.
    const shm::BookTable table(segment.view());
    shm::BookEntry entry{};
    ASSERT_EQ(table.read(symbol, entry, nullptr, nullptr, 0), shm::BookStatus::Ok);
    ASSERT_EQ(entry.refresh_position == shm::kNoPosition, manager.state(symbol) != BookState::Live);
    if (step % 64 == 0 && manager.state(symbol) == BookState::Live) {
      ASSERT_LT(entry.refresh_position, entry.ring_position);
      shm::RingReader joiner(segment.view());
      joiner.start_at(entry.refresh_position, entry.refresh_sequence);
      RebuiltBooks joined;
      const auto end = joiner.poll(1'000'000, [&](const Event& event) { joined.read(event); });
      ASSERT_EQ(end.status, shm::ReadStatus::Empty);
      ASSERT_EQ(joined.books.at(symbol).levels.best_first_bids(), best_first_bids(*manager.book(symbol)));
      ASSERT_EQ(joined.books.at(symbol).levels.best_first_asks(), best_first_asks(*manager.book(symbol)));
      ASSERT_EQ(joined.books.at(symbol).update_id, manager.book(symbol)->update_id());
      ++joins;
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
  EXPECT_GT(joins, steps / 64 / 4);
  EXPECT_GT(manager.counters().refreshes.get(), 0u);
  EXPECT_EQ(manager.counters().refreshes_late.get(), 0u);
  EXPECT_GT(manager.counters().widened.get(), 0u);
  EXPECT_EQ(manager.counters().widen_disputes.get(), 0u);
  EXPECT_EQ(publisher.counters().rejected_events.get(), 0u);
  EXPECT_GT(manager.counters().gaps.get(), 0u);
  EXPECT_GT(manager.counters().duplicates.get(), 0u);
  EXPECT_GT(manager.counters().snapshots_applied.get(), 0u);
  EXPECT_GT(manager.counters().rest_audits.get(), steps / 200);
  EXPECT_EQ(manager.counters().rest_audit_mismatches.get(), 0u);  // whatever went wrong, no book was
}

INSTANTIATE_TEST_SUITE_P(
    Rules, FaultyStream,
    testing::Values(Setting{"Spot", false, 0, 300, 20}, Setting{"Futures", true, 0, 200, 5},
                    Setting{"Shallow", false, 0, 40, 20}, Setting{"FuturesShallow", true, 0, 10, 1},
                    Setting{"SpotCapped", false, 100, 300, 20}, Setting{"FuturesCapped", true, 30, 100, 10}),
    [](const auto& setting) { return std::string(setting.param.name); });

}  // namespace
}  // namespace mdp::book
