// A venue on loopback over TLS and an engine on it: what the tests of the whole road share.
#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>
#include <condition_variable>
#include <deque>
#include <functional>
#include <initializer_list>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "mdp/engine/engine.hpp"
#include "mdp/shm/shm.hpp"
#include "net/fake_server.hpp"

namespace mdp::engine::test {

using net::test::Certificates;
using net::test::Connection;
using net::test::eventually;
using net::test::FakeServer;

// One text of several parts. (operator+ on a temporary makes g++ 12 warn of an overlapping copy.)
inline std::string text_of(std::initializer_list<std::string_view> parts) {
  std::string text;
  for (const std::string_view part : parts) text += part;
  return text;
}

inline std::string segment_name() {
  static std::atomic<int> next{0};
  return text_of({"mdp-engine-test-", std::to_string(::getpid()), "-", std::to_string(next++)});
}

inline std::string delta(std::string_view symbol, std::uint64_t first, std::uint64_t last,
                         std::string_view bids, std::string_view asks) {
  return text_of({R"({"stream":"x@depth@100ms","data":{"e":"depthUpdate","E":1723161255208,"s":")", symbol,
                  R"(","U":)", std::to_string(first), R"(,"u":)", std::to_string(last), R"(,"b":)", bids,
                  R"(,"a":)", asks, "}}"});
}

inline constexpr std::string_view kTrade =
    R"({"stream":"btcusdt@trade","data":{"e":"trade","E":1723161255343,"s":"BTCUSDT","t":7,"p":"100.50000000",)"
    R"("q":"0.02000000","T":1723161255342,"m":true,"M":true}})";
inline constexpr std::string_view kQuote =
    R"({"stream":"btcusdt@bookTicker","data":{"u":12,"s":"BTCUSDT","b":"100.00000000","B":"2.00000000",)"
    R"("a":"101.00000000","A":"1.00000000"}})";

// A venue whose web socket sends what the test pushes, and whose REST answers what the test set.
class FakeVenue {
 public:
  FakeVenue()
      : socket_([this](Connection& connection) { serve_socket(connection); }),
        rest_([this](Connection& connection) { serve_rest(connection); }) {}
  ~FakeVenue() { finish(); }
  // Ends every connection: whoever stops need not wait for an answer to its close frame.
  void finish() {
    const std::lock_guard lock(mutex_);
    over_ = true;
    changed_.notify_all();
  }

  void push(std::string frame) {
    const std::lock_guard lock(mutex_);
    frames_.push_back(std::move(frame));
    changed_.notify_all();
  }
  // Ends the present connection.
  void cut() { push(""); }
  void set_depth(std::string body) {
    const std::lock_guard lock(mutex_);
    depth_ = std::move(body);
  }
  int connections() const { return connections_; }
  int snapshots() const { return snapshots_; }
  std::string subscription() const {
    const std::lock_guard lock(mutex_);
    return subscription_;
  }
  std::string ws_url() const { return socket_.ws_url(); }
  std::string rest_url() const { return rest_.rest_url(); }

 private:
  void serve_socket(Connection& connection) {
    if (!connection.handshake() || !connection.accept_websocket()) return;
    ++connections_;
    const auto request = connection.read_frame();
    if (!request) return;
    {
      const std::lock_guard lock(mutex_);
      subscription_ = request->payload;
    }
    connection.send_text(R"({"result":null,"id":1})");
    for (;;) {
      std::string frame;
      {
        std::unique_lock lock(mutex_);
        changed_.wait(lock, [this] { return over_ || !frames_.empty(); });
        if (over_) break;
        frame = std::move(frames_.front());
        frames_.pop_front();
      }
      if (frame.empty()) return connection.reset();
      if (!connection.send_text(frame)) return;
    }
  }
  void serve_rest(Connection& connection) {
    if (!connection.handshake()) return;
    for (std::string request = connection.read_request(); !request.empty();
         request = connection.read_request()) {
      std::string body = R"({"symbols":[)" + listed("BTCUSDT", "BTC") + "," + listed("ETHUSDT", "ETH") + "]}";
      if (request.find("/api/v3/depth") != std::string::npos) {
        ++snapshots_;
        const std::lock_guard lock(mutex_);
        body = depth_;
      }
      connection.write("HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" +
                       body);
    }
  }
  static std::string listed(const std::string& symbol, const std::string& base) {
    return R"({"symbol":")" + symbol + R"(","status":"TRADING","baseAsset":")" + base +
           R"(","quoteAsset":"USDT","filters":[{"filterType":"PRICE_FILTER","tickSize":"0.01"},)"
           R"({"filterType":"LOT_SIZE","stepSize":"0.00001"}]})";
  }

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::string> frames_;
  std::string depth_ =
      R"({"lastUpdateId":10,"bids":[["100.00","2"],["99.00","3"]],"asks":[["101.00","1"],["102.00","4"]]})";
  std::string subscription_;
  bool over_ = false;
  std::atomic<int> connections_{0};
  std::atomic<int> snapshots_{0};
  FakeServer socket_;
  FakeServer rest_;
};

inline EngineConfig engine_config(Topology topology) {
  EngineConfig config;
  config.segment.name = segment_name();
  config.segment.ring = 1 << 20;
  config.segment.instruments = 16;
  config.topology = topology;
  config.idle = queue::IdleMode::Park;
  config.frames = 64;
  config.message_slots = 64;
  config.event_slots = 64;
  return config;
}

inline VenueConfig venue_config(const FakeVenue& venue) {
  VenueConfig config;
  config.name = "binance";
  config.ws_url = venue.ws_url();
  config.rest_url = venue.rest_url();
  config.tls.ca_file = Certificates::shared().ca_file();
  config.backoff.initial_ms = std::chrono::milliseconds(1);
  config.backoff.max_ms = std::chrono::milliseconds(20);
  return config;
}

// What the venue answers when it is asked for its instruments.
inline InstrumentList listed_by(Engine& engine, std::size_t venue) {
  engine.request_instruments(venue);
  std::vector<InstrumentList> lists;
  EXPECT_TRUE(eventually([&] {
    lists = engine.take_instruments();
    return !lists.empty();
  }));
  EXPECT_EQ(lists.at(0).venue, venue);
  return lists.at(0);
}

// An engine on the fake venue, with the little that control does of Provider's work.
class Road {
 public:
  Road(FakeVenue& fake_venue, Topology topology) : venue(fake_venue), engine(engine_config(topology)) {
    engine.add_venue(venue_config(venue));
    listed = listed_by(engine, 0).instruments;
    EXPECT_EQ(subscriber.open(engine.segment_name(), shm::Start::Oldest), shm::AttachStatus::Ok);
  }
  ~Road() { venue.finish(); }
  // Fetches what is wanted until `condition` holds.
  bool until(const std::function<bool()>& condition) {
    return eventually([&] {
      for (const core::SymbolId id : engine.take_snapshots_wanted()) engine.request_snapshot(id);
      for (ControlEvent& event : engine.take_control_events(100)) told.push_back(event);
      collect();
      return condition();
    });
  }
  bool live(core::SymbolId id) {
    return until([&] { return engine.symbol_health(id).state == shm::BookState::Live; });
  }
  bool left_live(core::SymbolId id, shm::StateReason reason) {
    return until([&] {
      for (const auto& event : events) {
        if (event.header.type == shm::EventType::BookState && event.header.symbol_id == id &&
            event.book_state.state == shm::BookState::Stale && event.book_state.reason == reason) {
          return true;
        }
      }
      return false;
    });
  }
  bool applied(core::SymbolId id, std::uint64_t update_id) {
    return until([&] {
      return subscriber.read_book(id, book) == shm::BookStatus::Ok && book.entry.update_id == update_id;
    });
  }
  void collect() {
    subscriber.poll(1000, [&](const shm::Event& event) { events.push_back(event); });
  }

  FakeVenue& venue;
  Engine engine;
  std::vector<core::Instrument> listed;
  shm::Subscriber subscriber;
  shm::Book book;
  std::vector<shm::Event> events;
  std::vector<ControlEvent> told;
};

}  // namespace mdp::engine::test
