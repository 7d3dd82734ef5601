// The conformance kit (tests/data/conformance): a segment in a file, by which a reader in any language is
// tested without a publisher. Here it is made again from nothing, byte by byte the same, so the kit is what
// this publisher writes; tests/python/test_conformance_kit.py holds readers against it.
#include <gtest/gtest.h>

#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <string>
#include <vector>

#include "mdp/publish/ipc_publisher.hpp"
#include "publish/test_segment.hpp"

namespace mdp::publish {
namespace {

using shm::EventType;
using shm::PriceLevel;
using test::mix;

constexpr std::int64_t kStart = 1'700'000'000'000'000'000;
std::int64_t fixed_clock() noexcept { return kStart; }

struct Model {
  std::map<std::int64_t, std::int64_t, std::greater<>> bids;
  std::map<std::int64_t, std::int64_t> asks;
  std::uint64_t update_id = 100;
};

class Kit {
 public:
  static SegmentConfig config() {
    SegmentConfig config;
    config.ring = shm::kMinRingBytes;
    config.instruments = 8;
    config.venue_capacity = 4;
    config.levels = 5;
    config.optional_features = shm::kFeatureChecksum | shm::kFeatureRefresh;
    return config;
  }

  // What is left out of it differs from run to run; it is set to what stands in the kit.
  std::vector<char> bytes() {
    auto* const header = static_cast<shm::SegmentHeader*>(segment_.data());
    header->info.generation = 0x1122'3344'5566'7788;
    header->info.start_ts_ns = kStart;
    header->info.publisher_pid = 4711;
    header->info.optional_features &= ~std::uint64_t{shm::kFeatureBell};
    header->info.bell_id = 0;
    header->heartbeat_ns.store(1'000'000'000);
    const auto* const from = static_cast<const char*>(segment_.data());
    return {from, from + segment_.size()};
  }

  void fill() {
    segment_->directory().set_venue(1, "venue_a");
    segment_->directory().set_venue(0x8001, "private_b");
    add_instruments();
    for (std::uint32_t id = 0; id < 4; ++id) go_live(id);
    for (std::uint64_t n = 0; n < 900; ++n) step(n);
    stale(1);
    segment_->directory().remove_instrument(1);
    instrument_record(1);
    snapshot(2, shm::kFlagRefresh);  // one of its size is in several records
    for (std::uint64_t n = 900; n < 960; ++n) step(n);
    // The publisher dies inside an entry: it stays odd for ever.
    auto& seq = shm::word_at(const_cast<void*>(segment_.view().book(4)));
    seq.store(seq.load() + 1);
  }

 private:
  void add_instruments() {
    core::Instrument instrument = test::btc(0);
    instrument.canonical_symbol = "a:BTC-USDT";
    instrument.min_quantity = 1;
    instrument.max_quantity = 900'000'000;
    segment_->directory().set_instrument(instrument);
    instrument.symbol_id = 1;
    instrument.base = "ETH";
    instrument.canonical_symbol = "a:ETH-USDT";
    instrument.venue_symbol = "ETHUSDT";
    segment_->directory().set_instrument(instrument);
    instrument = test::btc(2);
    instrument.canonical_symbol = "a:BTC-USD-27MAR26-45000-P";
    instrument.venue_symbol = "BTC-27MAR26-45000-P";
    instrument.kind = shm::InstrumentKind::Option;
    instrument.option_right = shm::OptionRight::Put;
    instrument.strike_price = 45'000;
    instrument.settle = "BTC";
    instrument.inverse = true;
    instrument.contract_size = 1;
    instrument.expiry_ns = 1'774'598'400'000'000'000;
    instrument.underlying = "BTC-27MAR26";
    segment_->directory().set_instrument(instrument);
    instrument = test::btc(3);  // the same venue symbol as 0
    instrument.exchange_id = 0x8001;
    instrument.canonical_symbol = "b:BTC-USDT";
    segment_->directory().set_instrument(instrument);
    instrument = test::btc(4);
    instrument.canonical_symbol = "a:DEAD-USDT";
    instrument.venue_symbol = "DEADUSDT";
    segment_->directory().set_instrument(instrument);
  }

  shm::Event& begin(EventType type, std::uint32_t id, std::uint16_t flags = 0) {
    event_ = {};
    event_.header.type = type;
    event_.header.flags = flags != 0 ? flags : shm::kFlagFirst | shm::kFlagLast;
    event_.header.exchange_id = id == 3 ? 0x8001 : 1;
    event_.header.symbol_id = id;
    event_.header.update_id = models_[id].update_id;
    event_.header.first_update_id = models_[id].update_id;
    event_.header.exch_ts_ns = kStart - 5;
    event_.header.recv_ts_ns = kStart - 1;
    return event_;
  }
  void state(std::uint32_t id, shm::BookState state, shm::StateReason reason) {
    begin(EventType::BookState, id).book_state = {shm::kAllBids, shm::kAllAsks, state, reason, {}};
    publisher_.publish(event_);
  }
  void stale(std::uint32_t id) { state(id, shm::BookState::Stale, shm::StateReason::Gap); }
  void instrument_record(std::uint32_t id) {
    begin(EventType::Instrument, id);
    publisher_.publish(event_);
  }

  std::uint64_t checksum(std::uint32_t id) const {
    std::uint64_t sum = 0;
    for (const auto& [price, quantity] : models_[id].bids) sum += shm::level_checksum(price, quantity, false);
    for (const auto& [price, quantity] : models_[id].asks) sum += shm::level_checksum(price, quantity, true);
    return sum;
  }

  // As many records as it takes; the checksum stands in the last.
  void records(EventType type, std::uint32_t id, std::uint16_t flags, const std::vector<PriceLevel>& bids,
               const std::vector<PriceLevel>& asks) {
    std::vector<PriceLevel> levels = bids;
    levels.insert(levels.end(), asks.begin(), asks.end());
    std::size_t at = 0;
    do {
      const std::size_t count = std::min(levels.size() - at, shm::kMaxRecordLevels);
      const bool last = at + count == levels.size();
      begin(type, id,
            static_cast<std::uint16_t>(flags | (at == 0 ? shm::kFlagFirst : 0) |
                                       (last ? shm::kFlagLast | shm::kFlagChecksum : 0)));
      if ((event_.header.flags & (shm::kFlagFirst | shm::kFlagLast)) == 0) event_.header.flags = flags;
      const std::size_t bid_count = std::min(count, bids.size() - std::min(at, bids.size()));
      event_.header.bid_count = static_cast<std::uint16_t>(bid_count);
      event_.header.ask_count = static_cast<std::uint16_t>(count - bid_count);
      std::copy_n(levels.begin() + static_cast<std::ptrdiff_t>(at), count, event_.levels);
      if (last) event_.levels[count].price = static_cast<std::int64_t>(checksum(id));
      publisher_.publish(event_);
      at += count;
    } while (at != levels.size());
  }
  void snapshot(std::uint32_t id, std::uint16_t flags = 0) {
    std::vector<PriceLevel> bids, asks;
    for (const auto& [price, quantity] : models_[id].bids) bids.push_back({price, quantity});
    for (const auto& [price, quantity] : models_[id].asks) asks.push_back({price, quantity});
    records(EventType::BookSnapshot, id, flags, bids, asks);
  }
  void table(std::uint32_t id) {
    begin(EventType::BookSnapshot, id);
    event_.header.flags |= shm::kFlagTop | core::kFlagTableOnly;
    for (const auto& [price, quantity] : models_[id].bids) {
      if (event_.header.bid_count < 5) event_.levels[event_.header.bid_count++] = {price, quantity};
    }
    for (const auto& [price, quantity] : models_[id].asks) {
      if (event_.header.ask_count < 5)
        event_.levels[event_.header.bid_count + event_.header.ask_count++] = {price, quantity};
    }
    publisher_.publish(event_);
  }
  void go_live(std::uint32_t id) {
    Model& model = models_[id];
    const int levels = id == 2 ? 200 : 12;  // the third one's whole book takes two records
    for (int i = 0; i < levels; ++i) {
      model.bids[100'000 - i] =
          1 + static_cast<std::int64_t>(mix(id * 1000U + static_cast<unsigned>(i)) % 500);
      model.asks[100'001 + i] =
          1 + static_cast<std::int64_t>(mix(id * 1000U + static_cast<unsigned>(i)) % 700);
    }
    instrument_record(id);
    snapshot(id);
    state(id, shm::BookState::Live, shm::StateReason::Synced);
    table(id);
  }

  void delta(std::uint32_t id, std::uint64_t n) {
    Model& model = models_[id];
    ++model.update_id;
    std::vector<PriceLevel> bids, asks;
    for (std::uint64_t i = 0; i <= mix(n) % 6; ++i) {
      const auto away = static_cast<std::int64_t>(mix(n * 7 + i) % 40);
      const auto quantity =
          static_cast<std::int64_t>(mix(n * 11 + i) % 4 == 0 ? 0 : mix(n * 13 + i) % 1000 + 1);
      if (mix(n + i) % 2 == 0) {
        bids.push_back({100'000 - away, quantity});
        if (quantity != 0) {
          model.bids[100'000 - away] = quantity;
        } else {
          model.bids.erase(100'000 - away);
        }
      } else {
        asks.push_back({100'001 + away, quantity});
        if (quantity != 0) {
          model.asks[100'001 + away] = quantity;
        } else {
          model.asks.erase(100'001 + away);
        }
      }
    }
    records(EventType::BookDelta, id, 0, bids, asks);
    table(id);
  }

  void step(std::uint64_t n) {
    delta(mix(n) % 8 == 0 ? 2 : (mix(n) % 3 == 0 ? 3 : 0), n);
    switch (n % 12) {
      case 1:
        begin(EventType::Trade, 0).trade = {100'000, 5, 9000 + n, shm::Side::Sell, {}};
        break;
      case 2:
        begin(EventType::Bbo, 0, shm::kFlagFirst | shm::kFlagLast | shm::kFlagVenueQuote).bbo = {
            {99'999, 1}, {100'001, 2}};
        break;
      case 3:
        begin(EventType::MarkPrice, 3).mark_price = {100'000, 99'990, 0, -125'000'000, kStart + 1};
        break;
      case 4:
        begin(EventType::Liquidation, 3).liquidation = {99'000, 0, 7, 7, shm::Side::Buy, {}};
        break;
      case 5:
        begin(EventType::ConnectionStatus, shm::kNoSymbol & 0).connection_status = {
            3, shm::LineState::Up, {}};
        event_.header.symbol_id = shm::kNoSymbol;
        break;
      case 6:  // only the best levels: no news
        begin(EventType::BookSnapshot, 0, shm::kFlagFirst | shm::kFlagLast | shm::kFlagTop);
        event_.header.bid_count = 1;
        event_.levels[0] = {1, 1};
        break;
      case 7:
        if (n % 5 == 0) return snapshot(0, shm::kFlagRefresh);
        return;
      case 8:
        if (n % 5 == 0) return snapshot(3, shm::kFlagRefresh);
        return;
      case 9:  // a book that is lost and found again
        if (n % 7 != 0) return;
        stale(3);
        snapshot(3);
        state(3, shm::BookState::Live, shm::StateReason::Synced);
        return table(3);
      case 10:  // what this version does not know: a private type, a flag, a body that is longer
        return foreign(n);
      default:
        return;
    }
    publisher_.publish(event_);
  }
  void foreign(std::uint64_t n) {
    begin(EventType::Trade, 0, 0x0802);
    event_.header.type = n % 24 == 10 ? static_cast<EventType>(0x8001) : EventType::Trade;
    event_.header.pub_ts_ns = kStart;
    const std::uint64_t body[12] = {100'000, 6, 9000 + n, 1, n, n, n, n, n, n, n, n};
    segment_->ring().append(event_.header, body, sizeof(body));
    segment_->ring().commit();
  }

  test::MemorySegment segment_{config()};
  IPCPublisher publisher_{*segment_, &fixed_clock};
  Model models_[8];
  shm::Event event_;
};

TEST(ConformanceKit, IsWhatThisPublisherWrites) {
  Kit kit;
  kit.fill();
  const std::vector<char> made = kit.bytes();
  const auto path = std::filesystem::path(MDP_TEST_DATA) / "conformance" / "segment.bin";
  std::ifstream file(path, std::ios::binary);
  const std::vector<char> kept{std::istreambuf_iterator<char>(file), {}};
  if (made == kept) return;
  const auto beside = std::filesystem::temp_directory_path() / "mdp-conformance-segment.bin";
  std::ofstream(beside, std::ios::binary).write(made.data(), static_cast<std::streamsize>(made.size()));
  std::size_t first = 0;
  while (first < made.size() && first < kept.size() && made[first] == kept[first]) ++first;
  FAIL() << path << " has " << kept.size() << " bytes, made were " << made.size()
         << "; the first that differs is " << first << ". If the layout was meant to change, put " << beside
         << " in its place.";
}

}  // namespace
}  // namespace mdp::publish
