// Mutator: frames of the venue, damaged at random. MDP_TEST_SEED and MDP_TEST_ROUNDS repeat or prolong a run.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <random>
#include <string>
#include <vector>

#include "venue/binance/support.hpp"

namespace mdp::venue::binance {

inline std::uint64_t from_environment(const char* name, std::uint64_t fallback) {
  const char* const text = std::getenv(name);
  return text ? std::strtoull(text, nullptr, 0) : fallback;
}

// What may come over a connection of this venue, in both framings.
inline std::vector<std::string> frames_of(const VenueCase& venue) {
  std::vector<std::string> events = {venue.depth, venue.trade, venue.aggregate, venue.quote};
  if (venue.family == Family::Futures) {
    events.insert(events.end(), {"mark_price_combined.json", "force_order_combined.json"});
  } else {
    events.insert(events.end(), {"depth_update_combined.json", "depth_update_bids_only_combined.json"});
  }
  std::vector<std::string> frames;
  for (const std::string& name : events) {
    frames.push_back(payload(name, venue.folder));
    frames.push_back(raw_framing(frames.back()));
  }
  if (std::string(venue.folder) == "binance_coinm") {
    frames.push_back(payload("mark_price_delivery_combined.json", venue.folder));
  }
  for (const char* name :
       {"trade_2021_raw.json", "kline_composed.json", "partial_depth_combined.json", "ack.json",
        "error_nested.json", "server_shutdown_combined.json", "mini_ticker_array_raw.json"}) {
    frames.push_back(payload(name));
  }
  return frames;
}

class Mutator {
 public:
  Mutator(std::vector<std::string> frames, std::uint64_t seed) : frames_(std::move(frames)), random_(seed) {}

  std::string next() {
    std::string text = pick(frames_);
    for (std::uint64_t n = 1 + below(4); n > 0; --n) damage(text);
    return text;
  }
  std::string behind() {
    // What an earlier frame may have left: nothing special, or what could complete this one.
    static const std::vector<std::string> leftovers = {
        "", "}", "}}", "\"}}", "]}}", "0", "\",\"1\"]]}}", "null}", ":1}}", ",\"a\":[]}}"};
    return pick(leftovers);
  }

 private:
  std::uint64_t below(std::uint64_t n) { return random_() % n; }
  const std::string& pick(const std::vector<std::string>& from) { return from[below(from.size())]; }

  void damage(std::string& text) {
    static const std::vector<std::string> snippets = {"\"",
                                                      "\\",
                                                      "{",
                                                      "}",
                                                      "[",
                                                      "]",
                                                      ",",
                                                      ":",
                                                      "null",
                                                      "true",
                                                      "-",
                                                      ".",
                                                      "0",
                                                      "9",
                                                      "e5",
                                                      " ",
                                                      "\n",
                                                      std::string(1, '\0'),
                                                      "\x80",
                                                      "\xC3\xA9",
                                                      "\\u0031",
                                                      "\"e\":\"trade\",",
                                                      "\"e\":\"depthUpdate\",",
                                                      "\"s\":\"BTCUSDT\",",
                                                      "\"u\":1,",
                                                      "\"U\":99999999999999,",
                                                      "\"b\":[],",
                                                      "\"a\":\"1\",",
                                                      "\"m\":false,",
                                                      "\"pu\":7,",
                                                      "\"X\":\"MARKET\",",
                                                      "\"r\":\"\",",
                                                      "\"o\":{\"s\":\"BTCUSDT\"},",
                                                      "@depth5",
                                                      "[\"1\",\"2\"],",
                                                      "\"data\":{},",
                                                      "99999999999999999999",
                                                      "\"x\":{\"y\":[1,2,{}]},",
                                                      "-0",
                                                      "1e400",
                                                      "0.00000000"};
    const std::size_t at = text.empty() ? 0 : below(text.size());
    const std::size_t length = text.empty() ? 0 : std::min<std::size_t>(1 + below(12), text.size() - at);
    switch (below(8)) {
      case 0:
        if (!text.empty()) text[at] = static_cast<char>(below(256));
        return;
      case 1:
        if (!text.empty()) text[at] = static_cast<char>('0' + below(10));
        return;
      case 2:
        text.erase(at, length);
        return;
      case 3:
        text.insert(at, pick(snippets));
        return;
      case 4:
        text.insert(below(text.size() + 1), text.substr(at, length));
        return;
      case 5:
        if (below(4) == 0) text.resize(at);
        return;
      case 6: {  // the head of this frame and the tail of another
        const std::string& other = pick(frames_);
        if (below(4) == 0) text = text.substr(0, at) + other.substr(below(other.size()));
        return;
      }
      default:  // two bytes change places
        if (!text.empty()) std::swap(text[at], text[below(text.size())]);
    }
  }

  std::vector<std::string> frames_;
  std::mt19937_64 random_;
};

}  // namespace mdp::venue::binance
