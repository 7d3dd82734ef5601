// The whole road in one process: a venue on loopback over TLS, the engine in both topologies, a reader of the
// segment.
#include "mdp/engine/engine.hpp"

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <set>
#include <string>
#include <tuple>
#include <vector>

#include "engine/fake_venue.hpp"
#include "mdp/core/error.hpp"
#include "mdp/shm/shm.hpp"

namespace mdp::engine {
namespace {

using test::delta;
using test::engine_config;
using test::FakeVenue;
using test::kQuote;
using test::kTrade;
using test::listed_by;
using test::Road;
using test::segment_name;
using test::text_of;
using test::venue_config;

class EngineRoad : public testing::TestWithParam<Topology> {};
INSTANTIATE_TEST_SUITE_P(Topologies, EngineRoad, testing::Values(Topology::Fused, Topology::Pipelined),
                         [](const auto& param) {
                           return param.param == Topology::Fused ? "Fused" : "Pipelined";
                         });

TEST_P(EngineRoad, BookTradeAndQuoteArriveInTheSegment) {
  FakeVenue venue;
  Road road(venue, GetParam());
  const core::SymbolId id = road.engine.add_symbol(0, road.listed[0]);
  road.engine.start();
  venue.push(delta("BTCUSDT", 9, 11, R"([["100.00000000","5.00000000"]])", "[]"));
  ASSERT_TRUE(road.live(id));
  venue.push(std::string(kTrade));
  venue.push(std::string(kQuote));
  venue.push(
      delta("BTCUSDT", 12, 13, R"([["100.00000000","0.00000000"]])", R"([["100.75000000","1.50000000"]])"));
  ASSERT_TRUE(road.applied(id, 13));

  EXPECT_EQ(road.book.entry.state, shm::BookState::Live);
  EXPECT_EQ(road.book.bids, (std::vector<shm::PriceLevel>{{9'900'000'000, 300'000'000}}));
  EXPECT_EQ(road.book.asks, (std::vector<shm::PriceLevel>{{10'075'000'000, 150'000'000},
                                                          {10'100'000'000, 100'000'000},
                                                          {10'200'000'000, 400'000'000}}));
  EXPECT_NE(venue.subscription().find("btcusdt@depth@100ms"), std::string::npos) << venue.subscription();
  road.engine.stop();
  road.collect();
  std::multiset<shm::EventType> types;
  for (std::size_t i = 0; i < road.events.size(); ++i) {
    EXPECT_EQ(road.events[i].header.sequence, i);
    types.insert(road.events[i].header.type);
  }
  EXPECT_EQ(types.count(shm::EventType::Trade), 1u);
  EXPECT_EQ(types.count(shm::EventType::BookDelta), 1u);
  EXPECT_EQ(types.count(shm::EventType::Bbo), 3u);  // two of the book, one quote of the venue
  const EngineHealth health = road.engine.health();
  EXPECT_EQ(health.gaps, 0u);
  EXPECT_EQ(health.events, road.events.size());
  EXPECT_GT(health.p50_ns, 0u);
}

// Somebody removes the segment's files: a careless rm, or systemd at the end of a session.
TEST_P(EngineRoad, SegmentWhoseNameIsRemovedIsPublishedAgain) {
  for (const bool lock_too : {false, true}) {
    FakeVenue venue;
    Road road(venue, GetParam());
    const core::SymbolId btc = road.engine.add_symbol(0, road.listed[0]);
    const core::SymbolId eth = road.engine.add_symbol(0, road.listed[1]);
    road.engine.start();
    venue.push(delta("BTCUSDT", 9, 11, R"([["100.00000000","5.00000000"]])", "[]"));
    ASSERT_TRUE(road.live(btc));
    ASSERT_TRUE(road.applied(btc, 11));
    const shm::Book before = road.book;
    const std::uint64_t generation = road.subscriber.view().info().generation;
    const std::string path = "/dev/shm/" + road.engine.segment_name();
    const std::string lock_path = "/dev/shm/." + road.engine.segment_name() + ".lock";
    ASSERT_EQ(::unlink(path.c_str()), 0);
    if (lock_too) {
      ASSERT_EQ(::unlink(lock_path.c_str()), 0);
    }
    // Who was attached reads to the end of the former segment, and finds the new one.
    shm::Event event;
    ASSERT_TRUE(road.until([&] { return road.subscriber.poll(event) == shm::ReadStatus::Stopped; }));
    ASSERT_EQ(road.subscriber.reattach(), shm::AttachStatus::Ok);
    EXPECT_NE(road.subscriber.view().info().generation, generation);
    EXPECT_EQ(::access(lock_path.c_str(), F_OK), 0);
    shm::InstrumentEntry entry;
    EXPECT_TRUE(road.subscriber.find("binance:BTC-USDT", entry));
    EXPECT_EQ(entry.symbol_id, btc);
    // Everything is told again, from the first event on.
    road.events.clear();
    ASSERT_TRUE(road.until([&] {
      return !road.events.empty() && road.events.back().header.type == shm::EventType::BookState &&
             road.events.back().header.symbol_id == eth;
    }));
    ASSERT_TRUE(road.applied(btc, 11));
    EXPECT_EQ(road.book.entry.state, shm::BookState::Live);
    EXPECT_EQ(road.book.bids, before.bids);
    EXPECT_EQ(road.book.asks, before.asks);
    EXPECT_EQ(road.subscriber.publisher_status(), shm::PublisherStatus::Running);
    std::vector<shm::EventType> told;
    for (const auto& one : road.events) {
      if (one.header.symbol_id == btc) told.push_back(one.header.type);
    }
    using enum shm::EventType;
    EXPECT_EQ(told, (std::vector<shm::EventType>{Instrument, BookSnapshot, Bbo, BookState}));
    EXPECT_EQ(road.events.front().header.sequence, 0u);
    // The road goes on there.
    venue.push(delta("BTCUSDT", 12, 13, R"([["100.00000000","0.00000000"]])", "[]"));
    ASSERT_TRUE(road.applied(btc, 13));
    EXPECT_EQ(road.engine.health().names_lost, 1u);
    road.engine.stop();
    EXPECT_EQ(road.subscriber.publisher_status(), shm::PublisherStatus::Stopped);
    EXPECT_NE(::access(path.c_str(), F_OK), 0);
    EXPECT_NE(::access(lock_path.c_str(), F_OK), 0);
  }
}

TEST_P(EngineRoad, GapMakesTheBookStaleAndThenLiveAgain) {
  FakeVenue venue;
  Road road(venue, GetParam());
  const core::SymbolId id = road.engine.add_symbol(0, road.listed[0]);
  road.engine.start();
  venue.push(delta("BTCUSDT", 9, 11, "[]", "[]"));
  ASSERT_TRUE(road.live(id));
  venue.set_depth(R"({"lastUpdateId":25,"bids":[["90.00","1"]],"asks":[["91.00","1"]]})");
  venue.push(delta("BTCUSDT", 20, 26, R"([["89.00000000","1.00000000"]])", "[]"));
  ASSERT_TRUE(road.left_live(id, shm::StateReason::Gap));
  ASSERT_TRUE(road.applied(id, 26));
  EXPECT_EQ(road.book.entry.state, shm::BookState::Live);
  EXPECT_EQ(road.book.bids,
            (std::vector<shm::PriceLevel>{{9'000'000'000, 100'000'000}, {8'900'000'000, 100'000'000}}));
  EXPECT_EQ(road.engine.health().gaps, 1u);
  EXPECT_EQ(road.engine.health().resyncs, 1u);
}

TEST_P(EngineRoad, UnreadableFrameResyncsItsSymbolAlone) {
  FakeVenue venue;
  Road road(venue, GetParam());
  const core::SymbolId btc = road.engine.add_symbol(0, road.listed[0]);
  const core::SymbolId eth = road.engine.add_symbol(0, road.listed[1]);
  road.engine.start();
  venue.push(delta("BTCUSDT", 9, 11, "[]", "[]"));
  venue.push(delta("ETHUSDT", 9, 11, "[]", "[]"));
  ASSERT_TRUE(road.live(btc));
  ASSERT_TRUE(road.live(eth));
  venue.push(delta("BTCUSDT", 12, 12, R"([["1O0.00000000","1.00000000"]])", "[]"));
  ASSERT_TRUE(road.left_live(btc, shm::StateReason::ParseError));
  venue.set_depth(R"({"lastUpdateId":14,"bids":[["90.00","1"]],"asks":[["91.00","1"]]})");
  venue.push(delta("BTCUSDT", 13, 15, "[]", "[]"));
  ASSERT_TRUE(road.applied(btc, 15));
  ASSERT_TRUE(road.live(btc));
  for (const auto& event : road.events) {
    EXPECT_FALSE(event.header.symbol_id == eth && event.header.type == shm::EventType::BookState &&
                 event.book_state.reason == shm::StateReason::ParseError);
  }
  ASSERT_TRUE(road.until([&] {
    return std::any_of(road.told.begin(), road.told.end(),
                       [](const ControlEvent& event) { return event.kind == ControlKind::ParseError; });
  }));
  EXPECT_EQ(road.engine.health().lines.at(0).parse_errors, 1u);
}

// 92,233,720,369 is more than 10^-8 leaves room for. Who tells the user learns whose number it was, and
// which.
TEST_P(EngineRoad, ANumberThatCannotBeHeldCostsItsSymbolAloneAndIsNamed) {
  FakeVenue venue;
  Road road(venue, GetParam());
  const core::SymbolId btc = road.engine.add_symbol(0, road.listed[0]);
  const core::SymbolId eth = road.engine.add_symbol(0, road.listed[1]);
  road.engine.start();
  venue.push(delta("ETHUSDT", 9, 11, "[]", "[]"));
  venue.push(delta("BTCUSDT", 9, 11, "[]", "[]"));
  ASSERT_TRUE(road.live(btc));
  ASSERT_TRUE(road.live(eth));
  venue.set_depth(R"({"lastUpdateId":14,"bids":[["90.00","92233720369"]],"asks":[["91.00","1"]]})");
  venue.push(delta("BTCUSDT", 12, 12, R"([["99.00000000","92233720369.00000000"]])", "[]"));
  ASSERT_TRUE(road.left_live(btc, shm::StateReason::ParseError));
  venue.push(delta("ETHUSDT", 12, 12, R"([["99.00000000","92233720368.00000000"]])", "[]"));
  ASSERT_TRUE(road.applied(eth, 12));
  EXPECT_EQ(road.book.bids.at(1).quantity, 9'223'372'036'800'000'000);
  // The snapshot of the next sync has it too.
  venue.push(delta("BTCUSDT", 13, 15, "[]", "[]"));
  const auto told = [&](ControlKind kind, const char* number) {
    return road.until([&] {
      return std::any_of(road.told.begin(), road.told.end(), [&](const ControlEvent& event) {
        return event.kind == kind && event.symbol == btc && event.failure.exponent == -8 &&
               event.parse_status == core::ParseStatus::NumberOverflow &&
               std::string_view(event.failure.number) == number;
      });
    });
  };
  EXPECT_TRUE(told(ControlKind::ParseError, "92233720369.00000000"));
  EXPECT_TRUE(told(ControlKind::Snapshot, "92233720369"));
  EXPECT_NE(road.engine.symbol_health(btc).state, shm::BookState::Live);
  EXPECT_EQ(road.engine.symbol_health(eth).state, shm::BookState::Live);
  for (const auto& event : road.events) {
    EXPECT_FALSE(event.header.symbol_id == eth && event.header.type == shm::EventType::BookState &&
                 event.book_state.reason == shm::StateReason::ParseError);
  }
}

TEST_P(EngineRoad, LostLineMakesBooksStaleUntilItIsBack) {
  FakeVenue venue;
  Road road(venue, GetParam());
  const core::SymbolId id = road.engine.add_symbol(0, road.listed[0]);
  road.engine.start();
  venue.push(delta("BTCUSDT", 9, 11, "[]", "[]"));
  ASSERT_TRUE(road.live(id));
  venue.cut();
  ASSERT_TRUE(road.left_live(id, shm::StateReason::Disconnected));
  venue.set_depth(R"({"lastUpdateId":30,"bids":[["90.00","1"]],"asks":[["91.00","1"]]})");
  venue.push(delta("BTCUSDT", 30, 31, "[]", "[]"));
  ASSERT_TRUE(road.applied(id, 31));
  ASSERT_TRUE(road.live(id));
  EXPECT_EQ(venue.connections(), 2);
  EXPECT_EQ(road.engine.health().gaps, 0u);
}

TEST_P(EngineRoad, QuietSymbolIsSyncedWithoutADelta) {
  FakeVenue venue;
  Road road(venue, GetParam());
  const core::SymbolId id = road.engine.add_symbol(0, road.listed[0]);
  road.engine.start();
  ASSERT_TRUE(road.until([&] { return road.engine.health().lines.at(0).up; }));
  ASSERT_TRUE(road.until([&] {
    road.engine.begin_sync(id);
    return road.engine.symbol_health(id).state == shm::BookState::Live;
  }));
  ASSERT_TRUE(road.applied(id, 10));
}

TEST_P(EngineRoad, AStoppedEngineHasNoLinesToAskOrToRenew) {
  FakeVenue venue;
  Road road(venue, GetParam());
  const core::SymbolId id = road.engine.add_symbol(0, road.listed[0]);
  road.engine.start();
  ASSERT_TRUE(road.until([&] { return road.engine.up_for_ns(id) >= 0; }));
  road.engine.stop();
  EXPECT_EQ(road.engine.up_for_ns(id), -1);
  road.engine.renew_lines_of(id);  // the lanes are gone
  EXPECT_THROW(road.engine.renew(0), ConfigError);
  EXPECT_THROW(road.engine.request_snapshot(id), ConfigError);
}

TEST_P(EngineRoad, SymbolsComeAndGoWhileRunning) {
  FakeVenue venue;
  Road road(venue, GetParam());
  const core::SymbolId btc = road.engine.add_symbol(0, road.listed[0]);
  road.engine.start();
  venue.push(delta("BTCUSDT", 9, 11, "[]", "[]"));
  ASSERT_TRUE(road.live(btc));
  const core::SymbolId eth = road.engine.add_symbol(0, road.listed[1]);
  EXPECT_THROW(road.engine.add_symbol(0, road.listed[1]), ConfigError);
  road.engine.subscribe_added();
  venue.push(delta("ETHUSDT", 9, 11, "[]", "[]"));
  ASSERT_TRUE(road.live(eth));
  EXPECT_TRUE(road.engine.remove_symbol(btc));
  EXPECT_FALSE(road.engine.remove_symbol(btc));
  ASSERT_TRUE(road.left_live(btc, shm::StateReason::Unsubscribed));
  venue.push(delta("BTCUSDT", 12, 13, "[]", "[]"));
  venue.push(delta("ETHUSDT", 12, 13, "[]", "[]"));
  ASSERT_TRUE(road.applied(eth, 13));
  EXPECT_EQ(road.engine.symbol_health(eth).state, shm::BookState::Live);
  shm::InstrumentEntry entry;
  EXPECT_FALSE(road.subscriber.find("BTCUSDT", entry));
}

TEST_P(EngineRoad, AnInstrumentThatReturnsGetsItsOldId) {
  FakeVenue venue;
  Road road(venue, GetParam());
  const core::SymbolId btc = road.engine.add_symbol(0, road.listed[0]);
  const core::SymbolId eth = road.engine.add_symbol(0, road.listed[1]);
  road.engine.start();
  for (int round = 0; round < 20; ++round) {
    venue.push(delta("BTCUSDT", 9, 11, "[]", "[]"));
    ASSERT_TRUE(road.live(btc)) << round;
    ASSERT_TRUE(road.engine.remove_symbol(btc));
    ASSERT_TRUE(road.left_live(btc, shm::StateReason::Unsubscribed));
    ASSERT_EQ(road.engine.add_symbol(0, road.listed[0]), btc) << round;
    road.engine.subscribe_added();
  }
  EXPECT_EQ(road.subscriber.directory().instrument_count(), 2U);
  ASSERT_TRUE(road.engine.remove_symbol(btc));
  core::Instrument finer = road.listed[0];
  --finer.price_exponent;
  EXPECT_EQ(road.engine.add_symbol(0, finer), eth + 1) << "its numbers would mean something else";
}

TEST_P(EngineRoad, AVenueJoinsWhileOthersRun) {
  FakeVenue first, second;
  Road road(first, GetParam());
  const core::SymbolId btc = road.engine.add_symbol(0, road.listed[0]);
  road.engine.start();
  first.push(delta("BTCUSDT", 9, 11, "[]", "[]"));
  ASSERT_TRUE(road.live(btc));
  VenueConfig late = venue_config(second);
  EXPECT_THROW(road.engine.add_venue([&] {
    VenueConfig wrong = late;
    wrong.channels = {core::Channel::Liquidation};
    return wrong;
  }()),
               ConfigError);
  ASSERT_EQ(road.engine.add_venue(late), 1u) << "one that was refused has no number";
  const core::SymbolId eth = road.engine.add_symbol(1, listed_by(road.engine, 1).instruments.at(1));
  EXPECT_EQ(second.connections(), 0) << "nothing is subscribed to one by one";
  road.engine.subscribe_added();
  second.push(delta("ETHUSDT", 9, 11, "[]", "[]"));
  ASSERT_TRUE(road.live(eth));
  EXPECT_EQ(road.engine.symbol_health(btc).state, shm::BookState::Live);
  second.finish();
}

TEST_P(EngineRoad, SymbolsAddedTogetherAreOneRequest) {
  FakeVenue venue;
  Road road(venue, GetParam());
  road.engine.start();
  for (const core::Instrument& instrument : road.listed) road.engine.add_symbol(0, instrument);
  road.engine.subscribe_added();
  ASSERT_TRUE(road.until([&] { return !venue.subscription().empty(); }));
  EXPECT_NE(venue.subscription().find("btcusdt@depth"), std::string::npos) << venue.subscription();
  EXPECT_NE(venue.subscription().find("ethusdt@depth"), std::string::npos) << venue.subscription();
}

TEST_P(EngineRoad, ASymbolRemovedBeforeAnybodyWasToldOfItIsNeverAskedFor) {
  FakeVenue venue;
  Road road(venue, GetParam());
  road.engine.start();
  const core::SymbolId btc = road.engine.add_symbol(0, road.listed[0]);
  road.engine.add_symbol(0, road.listed[1]);
  EXPECT_TRUE(road.engine.remove_symbol(btc));
  road.engine.subscribe_added();
  ASSERT_TRUE(road.until([&] { return !venue.subscription().empty(); }));
  EXPECT_EQ(venue.subscription().find("btcusdt"), std::string::npos) << venue.subscription();
}

TEST_P(EngineRoad, AnInstrumentThatMakesNoSenseIsRefusedWithTheReason) {
  FakeVenue venue;
  Road road(venue, GetParam());
  core::Instrument senseless = road.listed[0];
  senseless.problem = "tickSize is not a number: \"\x1B[2J\"";
  try {
    road.engine.add_symbol(0, senseless);
    FAIL();
  } catch (const ConfigError& error) {
    EXPECT_STREQ(
        error.what(),
        "binance lists BTCUSDT, but what it says of it cannot be used: tickSize is not a number: \" [2J\"");
  }
  EXPECT_EQ(road.engine.add_symbol(0, road.listed[0]), 0u) << "a refused one takes no id";
}

TEST_P(EngineRoad, VenueErrorReachesControlInTheVenuesWords) {
  FakeVenue venue;
  Road road(venue, GetParam());
  road.engine.add_symbol(0, road.listed[0]);
  road.engine.start();
  venue.push(R"({"code":2,"msg":"Invalid request: unknown variant"})");
  ASSERT_TRUE(road.until([&] {
    return std::any_of(road.told.begin(), road.told.end(), [](const ControlEvent& event) {
      return event.kind == ControlKind::Reply && event.code == 2 &&
             std::string_view(event.text) == "Invalid request: unknown variant";
    });
  }));
}

// What a stream of events says, times aside: times differ from run to run.
using Said = std::tuple<shm::EventType, int, std::uint32_t, std::uint64_t, std::uint64_t, std::uint64_t,
                        std::vector<std::int64_t>>;

std::vector<Said> said(const std::vector<shm::Event>& events) {
  std::vector<Said> result;
  for (const shm::Event& event : events) {
    std::vector<std::int64_t> body;
    const auto& header = event.header;
    if (header.type == shm::EventType::BookDelta || header.type == shm::EventType::BookSnapshot) {
      for (int i = 0; i < header.bid_count + header.ask_count; ++i) {
        body.insert(body.end(), {event.levels[i].price, event.levels[i].quantity});
      }
    } else if (header.type == shm::EventType::Bbo) {
      body = {event.bbo.bid.price, event.bbo.bid.quantity, event.bbo.ask.price, event.bbo.ask.quantity};
    } else if (header.type == shm::EventType::Trade) {
      body = {event.trade.price, event.trade.quantity};
    } else {
      body = {header.bid_count, header.ask_count};
    }
    result.emplace_back(header.type, header.flags, header.symbol_id, header.sequence, header.update_id,
                        header.first_update_id, std::move(body));
  }
  return result;
}

std::vector<Said> stream_of(Topology topology) {
  FakeVenue venue;
  Road road(venue, topology);
  const core::SymbolId id = road.engine.add_symbol(0, road.listed[0]);
  road.engine.start();
  venue.push(delta("BTCUSDT", 9, 11, R"([["98.00000000","5.00000000"]])", "[]"));
  EXPECT_TRUE(road.live(id));
  std::string many = "[";
  for (int i = 0; i < 700; ++i) {
    many += text_of({i ? "," : "", R"([")", std::to_string(1000 + i), R"(.5","1"])"});
  }
  many += "]";
  venue.push(delta("BTCUSDT", 12, 400, "[]", many));
  std::uint64_t last = 400;
  for (int i = 0; i < 300; ++i) {
    venue.push(delta(
        "BTCUSDT", last + 1, last + 3,
        text_of({"[[\"", std::to_string(90 + i % 11), ".25\",\"", std::to_string(i % 4), "\"]]"}), "[]"));
    last += 3;
    if (i % 5 == 0) venue.push(std::string(kTrade));
  }
  EXPECT_TRUE(road.applied(id, last));
  road.engine.stop();
  road.collect();
  EXPECT_EQ(road.subscriber.ring().total_lost_events(), 0u);
  return said(road.events);
}

TEST(Engine, BothTopologiesPublishTheSameStream) {
  const auto fused = stream_of(Topology::Fused);
  const auto pipelined = stream_of(Topology::Pipelined);
  EXPECT_GT(fused.size(), 300u);
  ASSERT_EQ(fused.size(), pipelined.size());
  for (std::size_t i = 0; i < fused.size(); ++i) ASSERT_EQ(fused[i], pipelined[i]) << "event " << i;
}

TEST(Engine, SegmentOfALivePublisherIsRefusedAndUnharmed) {
  EngineConfig config = engine_config(Topology::Fused);
  Engine first(config);
  try {
    Engine second(config);
    FAIL() << "a second engine took the segment";
  } catch (const SegmentError& error) {
    EXPECT_NE(std::string(error.what()).find(std::to_string(::getpid())), std::string::npos) << error.what();
  }
  shm::Subscriber subscriber;
  EXPECT_EQ(subscriber.open(config.segment.name), shm::AttachStatus::Ok);
}

TEST(Engine, StopUnlinksTheSegmentEvenIfNothingWasStarted) {
  for (const bool started : {false, true}) {
    for (const Topology topology : {Topology::Fused, Topology::Pipelined}) {
      Engine engine(engine_config(topology));
      if (started) engine.start();
      engine.stop();
      engine.stop();
      shm::Subscriber subscriber;
      EXPECT_EQ(subscriber.open(engine.segment_name()), shm::AttachStatus::NotFound);
      EXPECT_THROW(engine.start(), ConfigError);
    }
  }
}

TEST(Engine, CoreThatDoesNotExistIsAnErrorAndLeavesNothingBehind) {
  for (const Topology topology : {Topology::Fused, Topology::Pipelined}) {
    EngineConfig config = engine_config(topology);
    config.cores.connectors = {100'000};
    config.cores.parsers = {100'000};
    {
      FakeVenue venue;
      Engine engine(config);
      engine.add_venue(venue_config(venue));
      engine.add_symbol(0, listed_by(engine, 0).instruments.at(0));
      EXPECT_THROW(engine.start(), ConfigError);
    }
    shm::Subscriber subscriber;
    EXPECT_EQ(subscriber.open(config.segment.name), shm::AttachStatus::NotFound);
  }
}

TEST(Engine, UnreachableVenueIsNamedWithStepAndAddress) {
  Engine engine(engine_config(Topology::Fused));
  VenueConfig config;
  config.name = "binance";
  config.ws_url = "wss://localhost:1";
  config.rest_url = "https://localhost:1";
  engine.add_venue(config);
  const InstrumentList none = listed_by(engine, 0);
  EXPECT_TRUE(none.instruments.empty());
  EXPECT_NE(none.error.find("localhost:1"), std::string::npos) << none.error;
  EXPECT_NE(none.error.find("exchangeInfo"), std::string::npos) << none.error;
}

TEST(Engine, UnknownVenueAndBadUrlAreRefused) {
  Engine engine(engine_config(Topology::Fused));
  VenueConfig config;
  config.name = "binanze";
  EXPECT_THROW(engine.add_venue(config), ConfigError);
  config.name = "binance";
  config.ws_url = "htp:/nowhere";
  EXPECT_THROW(engine.add_venue(config), ConfigError);
}

}  // namespace
}  // namespace mdp::engine
