// Parser: venue bytes to NormalizedMessage. One interface, one implementation per venue, one instance per
// lane.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "mdp/core/channel.hpp"
#include "mdp/core/ids.hpp"
#include "mdp/core/raw_message.hpp"
#include "mdp/core/sinks.hpp"

namespace mdp::core {

enum class ParseStatus : std::uint8_t {
  Ok = 0,          // zero or more messages were committed
  Ignored,         // a valid frame of a kind or symbol nobody asked for
  Ack,             // the venue confirmed a request; Parser::last_reply() has it
  VenueError,      // the venue refused a request; Parser::last_reply() has its words
  Shutdown,        // the venue announces that it will close this connection soon
  Welcome,         // the venue takes requests from now on (Ready::AfterWelcome)
  Respond,         // the venue wants an answer to this frame; Parser::write_response() has it
  MalformedFrame,  // not the JSON this venue sends, cut short, or a field missing or of the wrong type
  BadNumber,       // not a decimal number
  InexactNumber,   // has digits below the instrument's exponent
  NumberOverflow,  // does not fit int64 at the instrument's exponent
};
inline constexpr std::uint8_t kParseStatusCount = 11;

constexpr bool is_error(ParseStatus status) noexcept { return status >= ParseStatus::MalformedFrame; }

constexpr const char* to_string(ParseStatus status) noexcept {
  switch (status) {
    case ParseStatus::Ok:
      return "ok";
    case ParseStatus::Ignored:
      return "ignored";
    case ParseStatus::Ack:
      return "ack";
    case ParseStatus::VenueError:
      return "venue-error";
    case ParseStatus::Shutdown:
      return "shutdown";
    case ParseStatus::Welcome:
      return "welcome";
    case ParseStatus::Respond:
      return "respond";
    case ParseStatus::MalformedFrame:
      return "malformed-frame";
    case ParseStatus::BadNumber:
      return "bad-number";
    case ParseStatus::InexactNumber:
      return "inexact-number";
    case ParseStatus::NumberOverflow:
      return "number-overflow";
  }
  return "unknown";
}

// Room for the answer to a frame that wants one, and far more than any venue's takes.
inline constexpr std::size_t kResponseBytes = 256;

// The venue's answer to a request of ours. What it is about is told by the request's id, or (where the venue
// answers each subscription, Answers::PerSubscription) by the subscription's name. There an answer to a
// request to leave says nothing that anybody waits for: parse() gives Ignored for it.
struct VenueReply {
  std::int64_t request_id = -1;      // -1: the reply carried none
  std::int64_t code = 0;             // the venue's error number
  char text[240] = {};               // the venue's words, cut to fit, NUL-terminated
  char symbol[48] = {};              // Subscription::venue_symbol, NUL-terminated; empty: it names none
  Channel channel = Channel::Depth;  // of the symbol

  void set_subscription(std::string_view venue_symbol, Channel of) noexcept {
    symbol[venue_symbol.copy(symbol, sizeof(symbol) - 1)] = '\0';
    channel = of;
  }
};

// What is known of a frame or a REST body that could not be read, beside the status.
struct ParseFailure {
  SymbolId symbol = kNoSymbol;  // whose it was, where that is known
  std::int8_t exponent = 0;     // InexactNumber, NumberOverflow: of the instrument, for this kind of number
  char number[47] = {};         // the same: the number's text, cut to fit, NUL-terminated; else empty

  void set_number(std::string_view text, int at_exponent) noexcept {
    exponent = static_cast<std::int8_t>(at_exponent);
    number[text.copy(number, sizeof(number) - 1)] = '\0';
  }
};

// What the number was, and what can be held, in words; empty where no number was too fine or too large.
std::string describe(ParseStatus status, const ParseFailure& failure);

class Parser {
 public:
  virtual ~Parser() = default;

  // Turns one frame into messages. Never allocates once warm, never throws. On an error status of what may be
  // a book update, and where its symbol is known, the last message committed is an UpdateType::Invalidate:
  // the book manager resyncs that symbol. Before it there may be leading chunks of the update, never one with
  // kLast. A trade or quote that can't be read says nothing of the book: then nothing is committed. Reads up
  // to kFramePadding bytes past raw.size. Thread: the lane's parser thread.
  [[nodiscard]] virtual ParseStatus parse(const RawMessage& raw, MessageSink& sink) noexcept = 0;

  // After Respond, for the same frame: writes what the venue wants to hear to the front of `to`, and returns
  // how many bytes that are; 0: it cannot be told. Never allocates. Thread: as parse().
  virtual std::size_t write_response(const RawMessage& /*raw*/,
                                     std::span<char, kResponseBytes> /*to*/) const noexcept {
    return 0;
  }

  // Valid after Ack or VenueError until the next parse().
  const VenueReply& last_reply() const noexcept { return last_reply_; }

  // Valid after an error status until the next parse().
  const ParseFailure& last_failure() const noexcept { return last_failure_; }

 protected:
  VenueReply last_reply_;
  ParseFailure last_failure_;
};

}  // namespace mdp::core
