// mdp_shm_book.h and BookKeeper: a book kept from the ring is the publisher's, wherever it began and whatever
// came. Whole books and checksums are made by hand here, so that each can be wrong.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <iterator>
#include <map>
#include <optional>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "mdp/core/sinks.hpp"
#include "mdp/publish/ipc_publisher.hpp"
#include "mdp/shm/mdp_shm_book.h"
#include "publish/test_segment.hpp"

namespace mdp::publish {
namespace {

using shm::BookState;
using shm::EventType;
using shm::PriceLevel;

constexpr std::uint16_t kWhole = shm::kFlagFirst | shm::kFlagLast;
using Side = std::map<std::int64_t, std::int64_t>;  // quantity by price

struct Model {
  Side bids;
  Side asks;
  std::uint64_t update_id = 0;
  BookState state = BookState::Stale;

  std::vector<PriceLevel> levels(bool of_asks, std::size_t most = ~std::size_t{0}) const {
    std::vector<PriceLevel> result;
    if (of_asks) {
      for (const auto& [price, quantity] : asks) result.push_back({price, quantity});
    } else {
      for (auto it = bids.rbegin(); it != bids.rend(); ++it) result.push_back({it->first, it->second});
    }
    if (result.size() > most) result.resize(most);
    return result;
  }
  std::uint64_t checksum() const {
    std::uint64_t sum = 0;
    for (const auto& [price, quantity] : bids) sum += shm::level_checksum(price, quantity, false);
    for (const auto& [price, quantity] : asks) sum += shm::level_checksum(price, quantity, true);
    return sum;
  }
};

// Publishes books in a segment in memory, and remembers what each was after each event.
class Market {
 public:
  explicit Market(std::uint64_t ring_bytes = shm::kMinRingBytes) : segment_(config(ring_bytes)) {
    publisher_.emplace(*segment_);
    for (std::uint32_t id = 0; id < kBooks; ++id) {
      core::Instrument instrument;
      instrument.symbol_id = id;
      instrument.venue_symbol = std::to_string(id);
      segment_->directory().set_instrument(instrument);
    }
  }
  static constexpr std::uint32_t kBooks = 3;

  void state(std::uint32_t id, BookState state) {
    begin(id, EventType::BookState, kWhole);
    event_.book_state = {shm::kAllBids, shm::kAllAsks, state, shm::StateReason::Synced, {}};
    books[id].state = state;
    publish(id);
  }
  // Absolute quantities; a part of more than `split` levels goes into records of its own.
  void delta(std::uint32_t id, const std::vector<PriceLevel>& bids, const std::vector<PriceLevel>& asks,
             std::size_t split = 200) {
    Model& book = books[id];
    ++book.update_id;
    for (const auto& [side, levels] : {std::pair{&book.bids, &bids}, std::pair{&book.asks, &asks}}) {
      for (const PriceLevel& level : *levels) {
        if (level.quantity == 0) {
          side->erase(level.price);
        } else {
          (*side)[level.price] = level.quantity;
        }
      }
    }
    levels(id, EventType::BookDelta, 0, bids, asks, split);
    table(id);
  }
  void snapshot(std::uint32_t id, std::uint16_t flags = 0, std::size_t split = 200) {
    levels(id, EventType::BookSnapshot, flags, books[id].levels(false), books[id].levels(true), split);
    table(id);
  }
  void refresh(std::uint32_t id, std::size_t split = 200) { snapshot(id, shm::kFlagRefresh, split); }
  void top(std::uint32_t id, std::size_t most) {
    begin(id, EventType::BookSnapshot, kWhole | shm::kFlagTop);
    put(books[id].levels(false, most), books[id].levels(true, most));
    publish(id);
    table(id);
  }
  void trade(std::uint32_t id) {
    begin(id, EventType::Trade, kWhole);
    event_.trade = {1, 1, ++trades, shm::Side::Buy, {}};
    publish(id);
  }
  // Writes into the entry where the newest whole book is said to begin.
  void claim_whole_book(std::uint32_t id, std::uint64_t position, std::uint64_t sequence) {
    const shm::SegmentInfo& info = segment_.view().info();
    auto* const entry = static_cast<unsigned char*>(segment_.data()) + info.table.offset +
                        std::size_t{info.table_stride} * id;
    // relaxed: one thread
    shm::word_at(entry + offsetof(shm::BookEntry, refresh_position))
        .store(position, std::memory_order_relaxed);
    shm::word_at(entry + offsetof(shm::BookEntry, refresh_sequence))
        .store(sequence, std::memory_order_relaxed);
  }

  // The book as it was before the event number `next_sequence`.
  Model before(std::uint32_t id, std::uint64_t next_sequence) const {
    const auto found = history_[id].lower_bound(next_sequence);
    return found == history_[id].begin() ? Model{} : std::prev(found)->second;
  }
  test::MemorySegment& segment() { return segment_; }

  Model books[kBooks];
  std::uint64_t trades = 0;
  bool checksums = true;
  std::uint64_t spoil = 0;  // added to the next checksum

 private:
  static SegmentConfig config(std::uint64_t ring_bytes) {
    SegmentConfig result = test::small_config();
    result.ring = ring_bytes;
    return result;
  }
  void begin(std::uint32_t id, EventType type, std::uint16_t flags) {
    event_.header = {};
    event_.header.type = type;
    event_.header.flags = flags;
    event_.header.symbol_id = id;
    event_.header.update_id = event_.header.first_update_id = books[id].update_id;
  }
  void put(const std::vector<PriceLevel>& bids, const std::vector<PriceLevel>& asks) {
    event_.header.bid_count = static_cast<std::uint16_t>(bids.size());
    event_.header.ask_count = static_cast<std::uint16_t>(asks.size());
    std::copy(bids.begin(), bids.end(), event_.levels);
    std::copy(asks.begin(), asks.end(), event_.levels + bids.size());
  }
  void levels(std::uint32_t id, EventType type, std::uint16_t flags, const std::vector<PriceLevel>& bids,
              const std::vector<PriceLevel>& asks, std::size_t split) {
    std::size_t bid = 0, ask = 0;
    std::uint16_t place = shm::kFlagFirst;
    for (;;) {
      const std::size_t more_bids = std::min(split, bids.size() - bid);
      const std::size_t more_asks = std::min(split - more_bids, asks.size() - ask);
      const bool last = bid + more_bids == bids.size() && ask + more_asks == asks.size();
      if (last) place |= shm::kFlagLast;
      begin(id, type, static_cast<std::uint16_t>(flags | place));
      put({bids.begin() + static_cast<std::ptrdiff_t>(bid),
           bids.begin() + static_cast<std::ptrdiff_t>(bid + more_bids)},
          {asks.begin() + static_cast<std::ptrdiff_t>(ask),
           asks.begin() + static_cast<std::ptrdiff_t>(ask + more_asks)});
      if (last && checksums) {
        event_.header.flags |= shm::kFlagChecksum;
        event_.levels[more_bids + more_asks].price =
            static_cast<std::int64_t>(books[id].checksum() + std::exchange(spoil, 0));
      }
      publisher_->publish(event_);
      if (last) break;
      bid += more_bids;
      ask += more_asks;
      place = 0;
      trade((id + 1) % kBooks);  // other instruments' records lie between the parts
    }
    note(id);
  }
  void publish(std::uint32_t id) {
    publisher_->publish(event_);
    note(id);
  }
  void note(std::uint32_t id) { history_[id][segment_->ring().sequence() - 1] = books[id]; }
  void table(std::uint32_t id) {
    begin(id, EventType::BookSnapshot, kWhole | shm::kFlagTop | core::kFlagTableOnly);
    put(books[id].levels(false, 8), books[id].levels(true, 8));
    publisher_->publish(event_);
  }

  test::MemorySegment segment_;
  std::optional<IPCPublisher> publisher_;
  shm::Event event_{};
  std::map<std::uint64_t, Model> history_[kBooks];  // by the sequence of the event that made it so
};

std::vector<PriceLevel> levels_of(const mdp_shm_book_keeper& book, int side) {
  std::vector<PriceLevel> result;
  mdp_shm_price_level level;
  while (mdp_shm_keeper_level(&book, side, result.size(), &level) != 0)
    result.push_back({level.price, level.quantity});
  return result;
}

class BookKeeperTest : public testing::Test {
 protected:
  BookKeeperTest() { mdp_shm_keeper_init(&book); }
  ~BookKeeperTest() override { mdp_shm_keeper_free(&book); }

  // A LIVE book of `depth` levels a side, deeper than the table.
  void begin(std::uint32_t id, std::int64_t depth = 20) {
    for (std::int64_t i = 0; i < depth; ++i) {
      market.books[id].bids[1000 - i] = i + 1;
      market.books[id].asks[1001 + i] = i + 1;
    }
    market.books[id].update_id = 100;
    market.snapshot(id);
    market.state(id, BookState::Live);
  }
  void attach() {
    ASSERT_EQ(mdp_shm_attach(&feed, market.segment().data(), market.segment().size()), MDP_SHM_ATTACH_OK);
  }
  int follow(std::uint32_t id) {
    if (feed.base == nullptr) attach();
    return mdp_shm_keeper_follow(&book, &feed, id);
  }
  int poll() { return mdp_shm_keeper_poll(&book, &feed, &event); }
  void drain() {
    while (poll() == MDP_SHM_READ_OK) check();
  }
  // The book is the publisher's, as far as it is known, as of the event it says.
  void check() {
    const Model expected = market.before(book.symbol_id, book.next_sequence);
    EXPECT_EQ(book.update_id, expected.update_id);
    EXPECT_EQ(static_cast<BookState>(book.state), expected.state);
    for (const bool asks : {false, true}) {
      const std::vector<PriceLevel> held = levels_of(book, asks ? MDP_SHM_ASKS : MDP_SHM_BIDS);
      std::vector<PriceLevel> right = expected.levels(asks);
      if (mdp_shm_keeper_whole(&book) == 0) {
        const std::int64_t known = mdp_shm_keeper_known(&book, asks ? 1 : 0);
        right.erase(std::remove_if(right.begin(), right.end(),
                                   [&](const PriceLevel& level) {
                                     return asks ? level.price > known : level.price < known;
                                   }),
                    right.end());
      }
      EXPECT_TRUE(held == right) << (asks ? "asks" : "bids") << " before event " << book.next_sequence << ": "
                                 << held.size() << " levels, " << right.size() << " in the publisher's";
    }
  }

  Market market;
  mdp_shm_subscriber feed{};
  mdp_shm_book_keeper book;
  mdp_shm_event event;
};

TEST_F(BookKeeperTest, ChecksumOfALevelIsThatOfTheRecords) {
  for (std::uint64_t n = 0; n < 1000; ++n) {
    const auto price = static_cast<std::int64_t>(test::mix(n));
    const auto quantity = static_cast<std::int64_t>(test::mix(~n) >> 1);
    EXPECT_EQ(mdp_shm_level_checksum(price, quantity, MDP_SHM_BIDS),
              shm::level_checksum(price, quantity, false));
    EXPECT_EQ(mdp_shm_level_checksum(price, quantity, MDP_SHM_ASKS),
              shm::level_checksum(price, quantity, true));
  }
}

TEST_F(BookKeeperTest, LateJoinerHasEveryLevel) {
  begin(1);
  market.delta(1, {{985, 7}}, {{1015, 0}});
  ASSERT_EQ(follow(1), MDP_SHM_BOOK_OK);
  EXPECT_TRUE(mdp_shm_keeper_whole(&book));
  EXPECT_TRUE(mdp_shm_keeper_usable(&book));
  EXPECT_EQ(mdp_shm_keeper_count(&book, MDP_SHM_BIDS), 20U);
  EXPECT_EQ(mdp_shm_keeper_count(&book, MDP_SHM_ASKS), 19U);
  check();
  EXPECT_EQ(poll(), MDP_SHM_READ_EMPTY) << "as new as the table";
  market.delta(1, {{1000, 0}, {900, 3}}, {});
  EXPECT_EQ(poll(), MDP_SHM_READ_OK);
  check();
}

TEST_F(BookKeeperTest, RefreshMakesALateJoinerLive) {
  begin(1);
  market.refresh(1, 7);
  ASSERT_EQ(follow(1), MDP_SHM_BOOK_OK);
  EXPECT_EQ(mdp_shm_keeper_state(&book), MDP_SHM_LIVE);
  check();
  market.state(1, BookState::Stale);
  mdp_shm_book_keeper later;
  mdp_shm_keeper_init(&later);
  ASSERT_EQ(mdp_shm_keeper_load(&later, &feed, 1), MDP_SHM_BOOK_OK);
  EXPECT_EQ(mdp_shm_keeper_state(&later), MDP_SHM_STALE) << "the state that came behind the refresh";
  EXPECT_FALSE(mdp_shm_keeper_usable(&later));
  mdp_shm_keeper_free(&later);
}

TEST_F(BookKeeperTest, TableIsWhereItBeginsWithoutAWholeBook) {
  begin(1);
  for (const std::uint64_t nonsense : {~std::uint64_t{0}, std::uint64_t{1} << 40, std::uint64_t{65}}) {
    market.claim_whole_book(1, nonsense, 3);
    ASSERT_EQ(follow(1), MDP_SHM_BOOK_OK);
    EXPECT_FALSE(mdp_shm_keeper_whole(&book));
    EXPECT_EQ(mdp_shm_keeper_count(&book, MDP_SHM_BIDS), 8U);
    EXPECT_EQ(mdp_shm_keeper_known(&book, MDP_SHM_BIDS), 993);
    EXPECT_EQ(mdp_shm_keeper_known(&book, MDP_SHM_ASKS), 1008);
    check();
  }
  market.delta(1, {{980, 5}, {1000, 0}}, {{1001, 9}});
  drain();
  EXPECT_EQ(mdp_shm_keeper_count(&book, MDP_SHM_BIDS), 7U) << "980 is beyond what is known";
  market.refresh(1);
  EXPECT_EQ(poll(), MDP_SHM_READ_OK);
  EXPECT_TRUE(mdp_shm_keeper_whole(&book));
  check();
}

TEST_F(BookKeeperTest, RefreshThatLeftTheRingIsNotReadFrom) {
  begin(1);
  const std::uint64_t lap = market.segment().view().info().ring.size_bytes;
  while (market.segment()->ring().position() < lap) market.delta(2, {{5, 1}}, {{6, 1}});
  ASSERT_EQ(follow(1), MDP_SHM_BOOK_OK);
  EXPECT_FALSE(mdp_shm_keeper_whole(&book));
  check();
}

TEST_F(BookKeeperTest, UnknownInstrumentHasNoBook) {
  EXPECT_EQ(follow(99), MDP_SHM_BOOK_NO_INSTRUMENT);
  EXPECT_FALSE(mdp_shm_keeper_usable(&book));
}

TEST_F(BookKeeperTest, SplitUpdateIsAppliedAtItsLastRecord) {
  begin(1);
  ASSERT_EQ(follow(1), MDP_SHM_BOOK_OK);
  market.delta(1, {{1000, 0}, {999, 0}, {998, 0}}, {{1001, 0}, {1002, 4}}, 2);
  for (int part = 0; part < 2; ++part) {
    EXPECT_EQ(poll(), MDP_SHM_READ_OK);
    EXPECT_EQ(mdp_shm_keeper_count(&book, MDP_SHM_BIDS), 20U);
    EXPECT_EQ(book.update_id, 100U);
  }
  EXPECT_EQ(poll(), MDP_SHM_READ_OK);
  EXPECT_EQ(mdp_shm_keeper_count(&book, MDP_SHM_BIDS), 17U);
  check();
  EXPECT_EQ(poll(), MDP_SHM_READ_EMPTY);
}

TEST_F(BookKeeperTest, PartsWithoutAFirstAreLeft) {
  begin(1);
  ASSERT_EQ(follow(1), MDP_SHM_BOOK_OK);
  market.delta(1, {{1000, 0}, {999, 0}, {998, 0}}, {}, 1);
  EXPECT_EQ(mdp_shm_poll(&feed, &event), MDP_SHM_READ_OK);
  EXPECT_NE(event.header.flags & MDP_SHM_FLAG_FIRST, 0);
  EXPECT_EQ(poll(), MDP_SHM_READ_OK);
  EXPECT_EQ(poll(), MDP_SHM_READ_OK);
  EXPECT_EQ(mdp_shm_keeper_count(&book, MDP_SHM_BIDS), 20U);
}

TEST_F(BookKeeperTest, ZeroRemovesAndRemovesNothing) {
  begin(1);
  ASSERT_EQ(follow(1), MDP_SHM_BOOK_OK);
  market.delta(1, {{1000, 0}, {500, 0}}, {{1001, 0}, {5000, 0}});
  drain();
  EXPECT_EQ(mdp_shm_keeper_count(&book, MDP_SHM_BIDS), 19U);
  EXPECT_EQ(mdp_shm_keeper_count(&book, MDP_SHM_ASKS), 19U);
}

TEST_F(BookKeeperTest, EventThatIsInItAlreadyChangesNothing) {
  begin(1);
  ASSERT_EQ(follow(1), MDP_SHM_BOOK_OK);
  market.delta(1, {{1000, 50}}, {});
  EXPECT_EQ(poll(), MDP_SHM_READ_OK);
  const mdp_shm_event older = event;
  market.delta(1, {{1000, 60}}, {});
  EXPECT_EQ(poll(), MDP_SHM_READ_OK);
  EXPECT_EQ(mdp_shm_keeper_apply(&book, &older), MDP_SHM_KEEPER_SAME);
  check();
}

TEST_F(BookKeeperTest, TopIsNoNewsToAWholeBookAndFillsOneThatMelted) {
  begin(1);
  ASSERT_EQ(follow(1), MDP_SHM_BOOK_OK);
  market.top(1, 5);
  EXPECT_EQ(poll(), MDP_SHM_READ_OK);
  EXPECT_EQ(mdp_shm_keeper_count(&book, MDP_SHM_BIDS), 20U);
  market.claim_whole_book(1, shm::kNoPosition, 0);
  ASSERT_EQ(follow(1), MDP_SHM_BOOK_OK);
  market.top(1, 12);
  EXPECT_EQ(poll(), MDP_SHM_READ_OK);
  EXPECT_EQ(mdp_shm_keeper_count(&book, MDP_SHM_BIDS), 12U);
  market.top(1, 5);
  EXPECT_EQ(poll(), MDP_SHM_READ_OK);
  EXPECT_EQ(mdp_shm_keeper_count(&book, MDP_SHM_BIDS), 12U);
  check();
}

TEST_F(BookKeeperTest, RefreshIsNoNewsAndIsCompared) {
  begin(1);
  ASSERT_EQ(follow(1), MDP_SHM_BOOK_OK);
  market.refresh(1, 6);
  drain();
  EXPECT_EQ(mdp_shm_keeper_verified(&book), 1U);
  EXPECT_EQ(mdp_shm_keeper_mismatches(&book), 0U);
  market.books[1].bids[400] = 4;  // nobody was told
  market.refresh(1);
  EXPECT_EQ(poll(), MDP_SHM_READ_MISMATCH);
  EXPECT_EQ(mdp_shm_keeper_mismatches(&book), 1U);
  EXPECT_TRUE(mdp_shm_keeper_usable(&book)) << "it has been right from here on";
  check();
}

TEST_F(BookKeeperTest, ChecksumThatDiffersRefutesTheBook) {
  begin(1);
  mdp_shm_keeper_verify(&book, 1);
  ASSERT_EQ(follow(1), MDP_SHM_BOOK_OK);
  const std::uint64_t loaded = mdp_shm_keeper_verified(&book);
  market.delta(1, {{1000, 5}, {700, 1}}, {{1001, 0}});
  EXPECT_EQ(poll(), MDP_SHM_READ_OK);
  EXPECT_EQ(mdp_shm_keeper_verified(&book), loaded + 1);
  EXPECT_EQ(mdp_shm_keeper_checksum(&book), market.books[1].checksum());
  market.spoil = 1;
  market.delta(1, {{1000, 6}}, {});
  EXPECT_EQ(poll(), MDP_SHM_READ_MISMATCH);
  EXPECT_EQ(mdp_shm_keeper_state(&book), MDP_SHM_LIVE) << "the state is what was told";
  EXPECT_FALSE(mdp_shm_keeper_usable(&book));
  market.refresh(1);
  EXPECT_EQ(poll(), MDP_SHM_READ_OK);
  EXPECT_TRUE(mdp_shm_keeper_usable(&book));
  mdp_shm_keeper_verify(&book, 0);
  market.spoil = 1;
  market.delta(1, {{1000, 7}}, {});
  EXPECT_EQ(poll(), MDP_SHM_READ_OK) << "nobody asked";
  EXPECT_EQ(mdp_shm_keeper_checksum(&book), market.books[1].checksum());
}

TEST_F(BookKeeperTest, BookOfTheTableAloneCannotBeVerified) {
  begin(1);
  market.claim_whole_book(1, shm::kNoPosition, 0);
  mdp_shm_keeper_verify(&book, 1);
  ASSERT_EQ(follow(1), MDP_SHM_BOOK_OK);
  market.delta(1, {{1000, 5}}, {});
  EXPECT_EQ(poll(), MDP_SHM_READ_OK);
  EXPECT_EQ(mdp_shm_keeper_verified(&book), 0U);
}

TEST_F(BookKeeperTest, DeltaThatDoesNotFollowIsCounted) {
  begin(1);
  ASSERT_EQ(follow(1), MDP_SHM_BOOK_OK);
  market.delta(1, {{1000, 5}}, {});
  drain();
  EXPECT_EQ(mdp_shm_keeper_gaps(&book), 0U);
  market.books[1].update_id += 5;
  market.delta(1, {{1000, 6}}, {});
  drain();
  EXPECT_EQ(mdp_shm_keeper_gaps(&book), 1U);
}

TEST_F(BookKeeperTest, LapLosesNoTradeThatIsStillInTheRing) {
  begin(1);
  ASSERT_EQ(follow(1), MDP_SHM_BOOK_OK);
  while (market.segment()->ring().position() < 3 * shm::kMinRingBytes) {
    market.delta(1, {{1000, static_cast<std::int64_t>(market.trades) + 1}}, {});
    market.trade(1);
  }
  market.refresh(1);
  ASSERT_EQ(poll(), MDP_SHM_READ_LAPPED);
  EXPECT_GT(feed.lost_events, 0U);
  EXPECT_EQ(mdp_shm_keeper_loads(&book), 2U);
  EXPECT_EQ(book.update_id, market.books[1].update_id) << "the present one";
  check();
  std::uint64_t trades = 0, first = 0;
  for (int status; (status = poll()) != MDP_SHM_READ_EMPTY;) {
    ASSERT_EQ(status, MDP_SHM_READ_OK);
    check();
    if (event.header.type != MDP_SHM_TRADE) continue;
    if (trades++ == 0) first = event.body.trade.trade_id;
  }
  EXPECT_EQ(first + trades - 1, market.trades) << "from where it goes on, every one";
  EXPECT_GT(trades, 100U) << "of half a ring";
}

TEST_F(BookKeeperTest, OneReaderKeepsSeveralBooks) {
  attach();
  mdp_shm_book_keeper books[Market::kBooks];
  std::uint64_t position = 0, sequence = 0;
  for (std::uint32_t id = 0; id < Market::kBooks; ++id) begin(id, 10 + id);
  for (std::uint32_t id = 0; id < Market::kBooks; ++id) {
    mdp_shm_keeper_init(&books[id]);
    ASSERT_EQ(mdp_shm_keeper_load(&books[id], &feed, id), MDP_SHM_BOOK_OK);
    if (id == 0 || books[id].next_sequence < sequence) {
      position = books[id].position;
      sequence = books[id].next_sequence;
    }
    market.delta(0, {{1000, 70 + id}}, {});
    market.delta(1, {{1000, 80 + id}}, {});
  }
  mdp_shm_start_at(&feed, position, sequence);
  while (mdp_shm_poll(&feed, &event) == MDP_SHM_READ_OK)
    for (mdp_shm_book_keeper& each : books) mdp_shm_keeper_apply(&each, &event);
  for (std::uint32_t id = 0; id < Market::kBooks; ++id) {
    std::swap(book, books[id]);
    check();
    EXPECT_EQ(book.update_id, market.books[id].update_id);
    mdp_shm_keeper_free(&books[id]);
  }
}

TEST_F(BookKeeperTest, BatchTakesEventsInAndCarriesTheirChecksums) {
  begin(1);
  shm::RingReader ring(market.segment().view());
  shm::BookKeeper taken, later;
  for (shm::BookKeeper* each : {&taken, &later}) {
    each->verify(true);
    ASSERT_EQ(each->load(ring, 1), shm::BookStatus::Ok);
  }
  ring.start_at(taken.position(), taken.next_sequence());
  market.trade(0);
  market.delta(1, {{1000, 5}}, {{1001, 0}}, 1);
  market.spoil = 1;
  market.delta(1, {{1000, 6}}, {});
  market.delta(1, {{1000, 7}}, {});
  shm::EventBatch batch;
  EXPECT_EQ(batch.fill(ring, 100, 1, &taken), shm::ReadStatus::Mismatch);
  ASSERT_EQ(batch.size(), 3U) << "two parts of an update, and the one that is refuted";
  EXPECT_EQ(batch.checksums().bodies.size(), 2U);
  EXPECT_FALSE(taken.usable());
  std::vector<shm::BookNews> news;
  for (std::size_t row = 0; row < batch.size(); ++row) {
    const shm::BatchEvent of = batch.event(row);
    EXPECT_EQ(of.bids().size() + of.asks().size(), 1U);
    news.push_back(later.apply(of.header, of.body_of_book()));
  }
  EXPECT_EQ(news, (std::vector{shm::BookNews::Same, shm::BookNews::Changed, shm::BookNews::Mismatch}));
  EXPECT_EQ(taken.bid(), later.bid());
  EXPECT_EQ(batch.fill(ring, 100, 1, &taken), shm::ReadStatus::Empty);
  EXPECT_EQ(batch.size(), 4U);
}

// The same in C++, in a named segment.
TEST(BookKeeperOfASubscriber, FollowsVerifiesAndIsToldTheEnd) {
  SegmentConfig config = test::small_config();
  config.name = test::unique_name();
  SegmentWriter segment(config);
  IPCPublisher publisher(segment);
  core::Instrument instrument;
  instrument.symbol_id = 3;
  segment.directory().set_instrument(instrument);
  const auto publish = [&](EventType type, std::uint16_t flags, std::uint64_t update_id, auto&& fill) {
    shm::Event event{};
    event.header.type = type;
    event.header.flags = kWhole | flags;
    event.header.symbol_id = 3;
    event.header.update_id = event.header.first_update_id = update_id;
    fill(event);
    publisher.publish(event);
  };
  publish(EventType::BookState, 0, 0, [](shm::Event& event) {
    event.book_state = {shm::kAllBids, shm::kAllAsks, BookState::Live, shm::StateReason::Synced, {}};
  });
  shm::Subscriber feed;
  shm::BookKeeper book;
  book.verify(true);
  ASSERT_EQ(feed.open(config.name), shm::AttachStatus::Ok);
  EXPECT_EQ(feed.follow(99, book), shm::BookStatus::NoInstrument);
  ASSERT_EQ(feed.follow(3, book), shm::BookStatus::Ok);
  EXPECT_TRUE(book.usable() && book.whole()) << "a LIVE book that the table has room for";
  EXPECT_EQ(book.bid(), std::nullopt);
  std::uint64_t wrong = 0;
  const auto level = [&](shm::Event& event) {
    event.header.bid_count = 1;
    event.levels[0] = {100, 7};
    event.levels[1].price = static_cast<std::int64_t>(shm::level_checksum(100, 7, false) + wrong);
  };
  publish(EventType::BookDelta, shm::kFlagChecksum, 1, level);
  shm::Event event;
  EXPECT_EQ(feed.wait(event, book), shm::ReadStatus::Ok);
  EXPECT_EQ(book.bid(), (PriceLevel{100, 7}));
  EXPECT_EQ(book.ask(), std::nullopt);
  EXPECT_EQ(book.checksum(), shm::level_checksum(100, 7, false));
  EXPECT_EQ(book.update_id(), 1U);
  shm::BookKeeper moved = std::move(book);
  wrong = 1;
  publish(EventType::BookDelta, shm::kFlagChecksum, 2, level);
  EXPECT_EQ(feed.poll(event, moved), shm::ReadStatus::Mismatch);
  EXPECT_FALSE(moved.usable());
  EXPECT_EQ(moved.mismatches(), 1U);
  EXPECT_EQ(moved.verified(), 2U);
  publisher.stop();
  EXPECT_EQ(feed.wait(event, moved), shm::ReadStatus::Stopped);
}

// Everything at once, at random: joins, laps, states, splits, tops, refreshes; after every poll the book is
// what the publisher's was at that event.
TEST_F(BookKeeperTest, AnyCourseOfEventsKeepsTheBookRight) {
  std::mt19937_64 random(20261127);
  const auto below = [&](std::uint64_t end) { return random() % end; };
  for (std::uint32_t id = 0; id < Market::kBooks; ++id) begin(id, 3 + static_cast<std::int64_t>(below(30)));
  mdp_shm_keeper_verify(&book, 1);
  attach();
  std::uint64_t checks = 0, whole = 0, laps = 0;
  for (int round = 0; round < 40; ++round) {
    ASSERT_EQ(follow(static_cast<std::uint32_t>(below(Market::kBooks))), MDP_SHM_BOOK_OK);
    check();
    for (int turn = 0; turn < 10; ++turn) {
      const std::uint64_t steps = below(turn == 7 ? 1500 : 30);
      for (std::uint64_t step = 0; step < steps; ++step) {
        const auto id = static_cast<std::uint32_t>(below(Market::kBooks));
        const std::uint64_t what = below(100);
        const std::size_t split = 1 + below(12);
        if (market.books[id].state != BookState::Live) {
          if (what < 50) continue;
          market.state(id, BookState::Syncing);
          market.books[id].bids.erase(market.books[id].bids.begin(), market.books[id].bids.end());
          for (std::uint64_t n = below(15); n > 0; --n)
            market.books[id].bids[900 + static_cast<std::int64_t>(below(100))] = 1;
          market.books[id].update_id += 100;
          market.snapshot(id, 0, split);
          market.state(id, BookState::Live);
        } else if (what < 70) {
          std::vector<PriceLevel> bids, asks;
          for (std::uint64_t n = below(6); n > 0; --n) {
            const auto away = static_cast<std::int64_t>(below(40) * below(3));
            const auto quantity = static_cast<std::int64_t>(below(3) * below(1000));
            if (below(2) != 0) {
              bids.push_back({1000 - away, quantity});
            } else {
              asks.push_back({1001 + away, quantity});
            }
          }
          market.delta(id, bids, asks, below(3) == 0 ? split : 200);
        } else if (what < 85) {
          market.trade(id);
        } else if (what < 90) {
          market.top(id, 1 + below(20));
        } else if (what < 99) {
          market.refresh(id, split);
        } else {
          market.state(id, BookState::Stale);
        }
      }
      for (int status; (status = poll()) != MDP_SHM_READ_EMPTY;) {
        ASSERT_TRUE(status == MDP_SHM_READ_OK || status == MDP_SHM_READ_LAPPED)
            << mdp_shm_read_status_text(status);
        check();
        ++checks;
        laps += status == MDP_SHM_READ_LAPPED;
        whole += static_cast<std::uint64_t>(mdp_shm_keeper_whole(&book));
        if (HasFailure()) return;
      }
    }
  }
  EXPECT_GT(checks, 10'000U);
  EXPECT_GT(laps, 20U);
  EXPECT_GT(whole, checks / 2);
  EXPECT_LT(whole, checks) << "some began with the table alone";
  EXPECT_EQ(mdp_shm_keeper_mismatches(&book), 0U);
  EXPECT_GT(mdp_shm_keeper_verified(&book), checks / 10);
}

}  // namespace
}  // namespace mdp::publish
