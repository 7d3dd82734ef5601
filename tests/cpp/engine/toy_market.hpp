// An exchange of two symbols that speaks as ToyVenue hears it, in every way that Binance does not: a URL that
// must be asked for, a welcome, frames packed by gzip, a text ping, an answer for each subscription,
// snapshots in the stream, a chain of ids that is set back now and then, keep-alive updates, and a checksum
// over a book that its clients must cut to a window themselves. It knows the truth at every id, and does
// wrong on request.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <map>
#include <mutex>
#include <random>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "engine/gzipped.hpp"
#include "engine/toy_venue.hpp"
#include "mdp/core/checksum.hpp"
#include "net/fake_server.hpp"

namespace mdp::engine::test {

// The best levels of both sides, best first.
struct ToyTop {
  std::vector<core::PriceLevel> bids, asks;
  bool operator==(const ToyTop&) const = default;
};

enum class ToyFault : std::uint8_t {
  Drop,        // the update is not sent
  Twice,       // it is sent twice
  Swap,        // it is sent after the next one
  WrongLevel,  // it has a level more, at the best ask; the checksum is of the true book
  WrongSum,    // its checksum is wrong
  Garbage,     // it cannot be read
  Cut,         // the connection ends
  SetBack,     // the counter is set back, as the venue documents it
  KeepAlive,   // an update that says nothing is new
  Restart,     // a snapshot that nobody asked for
};
inline constexpr int kToyFaults = 10;

class ToyExchange {
 public:
  explicit ToyExchange(unsigned seed) : random_(seed) {
    for (const char* name : {"BTC", "ETH"}) {
      Market& market = markets_[name];
      for (int i = 0; i < 14; ++i) {
        market.bids[kMiddle - 1 - i] = quantity();
        market.asks[kMiddle + 1 + i] = quantity();
      }
      remember(market);
    }
  }

  std::string rest_url() const { return rest_.rest_url(); }
  std::string ws_url() const { return socket_.ws_url(); }
  int connections() const { return connections_; }
  int subscriptions() const { return subscriptions_; }
  int pings() const { return pings_; }
  int asked_for_url() const { return asked_for_url_; }
  // Ends what is open, so that whoever stops need not wait for it.
  void finish() {
    const std::lock_guard lock(mutex_);
    if (newest_ != nullptr) newest_->shut_down();
  }

  // The symbol's next update, with a fault or without.
  void step(const std::string& name) {
    const std::lock_guard lock(mutex_);
    const std::string frame = next_update(markets_[name], name);
    send(name, frame);
    flush();
  }
  void step(const std::string& name, ToyFault fault) {
    const std::lock_guard lock(mutex_);
    Market& market = markets_[name];
    switch (fault) {
      case ToyFault::Drop:
        next_update(market, name);
        break;
      case ToyFault::Twice: {
        const std::string frame = next_update(market, name);
        send(name, frame);
        send(name, frame);
        break;
      }
      case ToyFault::Swap: {
        const std::string first = next_update(market, name);
        send(name, next_update(market, name));
        send(name, first);
        break;
      }
      case ToyFault::WrongLevel: {
        send(name, next_update(market, name) + " 1001:77777");
        break;
      }
      case ToyFault::WrongSum:
        send(name, next_update(market, name, 1));
        break;
      case ToyFault::Garbage: {
        std::string frame = next_update(market, name);
        frame.back() = 'x';
        send(name, frame);
        break;
      }
      case ToyFault::Cut:
        next_update(market, name);
        if (newest_ != nullptr) newest_->shut_down();
        break;
      case ToyFault::SetBack: {
        const std::uint64_t before = market.id;
        market.base -= 100'000;  // smaller than every id before, so that an id has one truth
        market.id = market.base;
        send(name, next_update(market, name, 0, before));
        break;
      }
      case ToyFault::KeepAlive:
        send(name, update(market, name, market.id, {}, 0));
        break;
      case ToyFault::Restart:
        send(name, snapshot(market, name));
        break;
    }
    flush();
  }

  std::string heard() {  // the newest requests, for a failure
    const std::lock_guard lock(mutex_);
    std::string text;
    for (const std::string& request : heard_) text.append(request).append(", ");
    return text;
  }
  std::uint64_t id(const std::string& name) {
    const std::lock_guard lock(mutex_);
    return markets_[name].id;
  }
  // At an id that was; nullptr: there was none such.
  const ToyTop* truth(const std::string& name, std::uint64_t id) {
    const std::lock_guard lock(mutex_);
    const auto& known = markets_[name].truth;
    const auto found = known.find(id);
    return found == known.end() ? nullptr : &found->second;
  }

 private:
  static constexpr std::int64_t kMiddle = 1'000;
  using Levels = std::map<std::int64_t, std::int64_t>;
  struct Market {
    Levels bids, asks;
    std::uint64_t base = 900'000'000, id = 900'000'000;
    std::map<std::uint64_t, ToyTop> truth;
  };

  std::int64_t quantity() { return 1 + static_cast<std::int64_t>(random_() % 9'999); }
  static ToyTop top_of(const Market& market) {
    ToyTop top;
    for (auto it = market.bids.rbegin(); it != market.bids.rend() && top.bids.size() < kToyWindow; ++it)
      top.bids.push_back({it->first, it->second});
    for (auto it = market.asks.begin(); it != market.asks.end() && top.asks.size() < kToyWindow; ++it)
      top.asks.push_back({it->first, it->second});
    return top;
  }
  void remember(Market& market) { market.truth[market.id] = top_of(market); }

  static std::string levels_of(const std::vector<core::PriceLevel>& levels) {
    std::string text;
    for (const auto& level : levels) {
      text.append(" ").append(std::to_string(level.price)).append(":").append(std::to_string(level.quantity));
    }
    return text;
  }
  static std::string frame_of(std::string_view kind, const std::string& name, std::uint64_t prev,
                              std::uint64_t id, std::uint32_t sum, const ToyTop& levels) {
    std::string frame(kind);
    frame.append(" ").append(name).append(" ").append(std::to_string(prev));
    frame.append(" ").append(std::to_string(id)).append(" ").append(std::to_string(sum));
    return frame.append(" b").append(levels_of(levels.bids)).append(" a").append(levels_of(levels.asks));
  }
  std::string update(Market& market, const std::string& name, std::uint64_t prev, const ToyTop& changes,
                     std::uint32_t sum_off) {
    const ToyTop top = top_of(market);
    return frame_of("delta", name, prev, market.id, toy_checksum(top.bids, top.asks) + sum_off, changes);
  }
  std::string snapshot(Market& market, const std::string& name) {
    const ToyTop top = top_of(market);
    return frame_of("snap", name, 0, market.id, toy_checksum(top.bids, top.asks), top);
  }
  // Moves the market, and says what of its best levels is another one. What left them by others that came
  // before them is not said: clients cut it.
  std::string next_update(Market& market, const std::string& name, std::uint32_t sum_off = 0,
                          std::uint64_t prev = 0) {
    if (prev == 0) prev = market.id;
    const ToyTop before = top_of(market);
    for (std::size_t changes = 1 + random_() % 4; changes != 0; --changes) {
      const bool bid = random_() % 2 == 0;
      Levels& side = bid ? market.bids : market.asks;
      const std::int64_t away = 1 + static_cast<std::int64_t>(random_() % 20);
      const std::int64_t price = bid ? kMiddle - away : kMiddle + away;
      if (random_() % 3 == 0 && side.size() > 6) {
        side.erase(price);
      } else {
        side[price] = quantity();
      }
    }
    market.id += 1 + random_() % 5;
    const ToyTop after = top_of(market);
    ToyTop changes;
    changes.bids = changes_of(before.bids, after.bids, market.bids);
    changes.asks = changes_of(before.asks, after.asks, market.asks);
    remember(market);
    return update(market, name, prev, changes, sum_off);
  }
  static std::vector<core::PriceLevel> changes_of(const std::vector<core::PriceLevel>& before,
                                                  const std::vector<core::PriceLevel>& after,
                                                  const Levels& whole) {
    std::vector<core::PriceLevel> changes;
    for (const auto& level : before) {
      if (!whole.contains(level.price)) changes.push_back({level.price, 0});
    }
    for (const auto& level : after) {
      const auto same = [&](const core::PriceLevel& other) {
        return other.price == level.price && other.quantity == level.quantity;
      };
      if (std::none_of(before.begin(), before.end(), same)) changes.push_back(level);
    }
    return changes;
  }

  void send(const std::string& name, const std::string& frame) {
    if (subscribed_.contains(name)) outbox_.push_back(frame);
  }
  void flush() {
    for (const std::string& frame : outbox_) {
      if (newest_ != nullptr) newest_->send_frame(2, gzipped(frame));
    }
    outbox_.clear();
  }
  void serve_rest(net::test::Connection& connection) {
    if (!connection.handshake()) return;
    for (std::string request = connection.read_request(); !request.empty();
         request = connection.read_request()) {
      ++asked_for_url_;
      const std::string body = "go to " + socket_.ws_url() + "/toy";
      connection.write("HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" +
                       body);
    }
  }
  void serve_socket(net::test::Connection& connection) {
    if (!connection.handshake() || !connection.accept_websocket()) return;
    {
      const std::lock_guard lock(mutex_);
      ++connections_;
      newest_ = &connection;
      subscribed_.clear();
      connection.send_frame(2, gzipped("welcome"));
    }
    while (const auto frame = connection.read_frame()) {
      if (frame->opcode == 9) {
        const std::lock_guard lock(mutex_);
        connection.send_frame(10, frame->payload);
      }
      if (frame->opcode == 8) break;
      if (frame->opcode == 1) hear(connection, frame->payload);
    }
    const std::lock_guard lock(mutex_);
    if (newest_ != &connection) return;
    newest_ = nullptr;
    subscribed_.clear();
  }
  void hear(net::test::Connection& connection, std::string_view text) {
    const std::lock_guard lock(mutex_);
    if (newest_ != &connection) return;
    if (text == "ping") {
      ++pings_;
      outbox_.push_back("pong");
      return flush();
    }
    heard_.emplace_back(text);
    if (heard_.size() > 6) heard_.erase(heard_.begin());
    std::string_view rest = text;
    const std::string_view verb = toy_word(rest);
    toy_word(rest);  // the request's id, which this venue does not look at
    while (!rest.empty()) {
      const std::string_view what = toy_word(rest);
      const std::string name(what.substr(0, what.find(':')));
      if (verb == "unsub") {
        subscribed_.erase(name);
        continue;
      }
      ++subscriptions_;
      subscribed_.insert(name);
      // Data before the answer, as some do.
      outbox_.push_back(snapshot(markets_[name], name));
      outbox_.push_back("ack " + name + " depth");
    }
    flush();
  }

  std::mutex mutex_;
  std::mt19937 random_;
  std::map<std::string, Market> markets_;
  std::set<std::string> subscribed_;
  std::vector<std::string> outbox_, heard_;
  net::test::Connection* newest_ = nullptr;
  std::atomic<int> connections_{0}, subscriptions_{0}, pings_{0}, asked_for_url_{0};
  // Last: their threads use what is above.
  // Without TLS: the test sends while the connection's thread reads, which one TLS object cannot do.
  net::test::FakeServer socket_{[this](net::test::Connection& connection) { serve_socket(connection); },
                                {.tls = false}};
  net::test::FakeServer rest_{[this](net::test::Connection& connection) { serve_rest(connection); }};
};

}  // namespace mdp::engine::test
