// Endpoint: where a venue is, and how one speaks to it. Data alone: a venue fills it in its own folder,
// engine and net act on it. ARCHITECTURE.md, "How a venue is spoken to", says which venues need which field.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "mdp/core/rest_request.hpp"

namespace mdp::core {

// At most `count` in any span of time as long as `window`. A count of 0: no limit is known.
struct RateLimit {
  std::size_t count = 0;
  std::chrono::nanoseconds window = std::chrono::seconds(1);
};

// A text that the venue wants from us as a sign of life, where pings of the WebSocket protocol are not
// enough: `ping`, or a JSON object. Its answer comes as a frame like any other; the parser ignores it.
struct KeepAlive {
  std::string text;                    // empty: the venue wants none
  std::chrono::milliseconds every{0};  // above 0 where there is a text
  bool when_silent = false;            // only after nothing has come from the venue for so long
};

// How a venue answers requests to subscribe. Data may come before the answer: it is handed on, but the line
// is up only when everything was answered.
enum class Answers : std::uint8_t {
  PerFrame,         // each request as a whole, by its id (VenueReply::request_id)
  PerSubscription,  // each subscription by its name (VenueReply::symbol, channel), one frame after another
  None,             // not at all: that data comes is the answer
};

// What comes before the venue takes requests.
enum class Ready : std::uint8_t {
  AtOnce,
  AfterWelcome,  // a frame of the venue's (ParseStatus::Welcome), within the time that an answer has
};

// How the payload of a frame is packed, beside what the WebSocket protocol does itself.
enum class FrameCoding : std::uint8_t {
  Plain,
  Gzip,  // each binary frame is one gzip stream of text; text frames are plain
};
// A frame that holds more than this, unpacked, is not read.
inline constexpr std::size_t kMaxInflatedBytes = 4 * 1024 * 1024;

// Where the venue is and what it tolerates. The two URLs are defaults; config may name others.
struct Endpoint {
  std::string ws_url;                 // wss://host:port, without a path
  std::string rest_url;               // https://host[:port]
  std::vector<std::string> ws_paths;  // of the connections that are then subscribed to, one a route

  RestHeaders upgrade_headers;  // of the WebSocket upgrade, beside those that every client sends

  RateLimit connects;    // attempts to connect, of one address of ours
  RateLimit messages;    // frames that we send on one connection, pongs included
  RateLimit requests;    // requests to subscribe or to leave on one connection; each is a message as well
  KeepAlive keep_alive;  // on each connection

  FrameCoding frame_coding = FrameCoding::Plain;
  Ready ready = Ready::AtOnce;
  Answers answers = Answers::PerFrame;
  std::size_t max_streams_per_request = 200;  // subscriptions of one subscribe frame
  std::size_t max_request_bytes = 4'000;      // of one subscribe frame, unless a single stream needs more
  std::size_t max_streams_per_connection = 0;
  std::int64_t max_connection_age_ms = 0;  // the venue closes a connection this old; 0: never

  std::size_t rest_weight_per_minute = 0;
  std::string rest_weight_pool;  // venues that name the same pool share that weight
};

}  // namespace mdp::core
