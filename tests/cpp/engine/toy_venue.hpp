// ToyVenue: a venue that speaks words instead of JSON, so that a test reads what is said. How it is spoken to
// is the test's to choose: `endpoint_` and `book_rule_` are there to be changed before it is used.
//
//   we say                              the venue says
//   sub 1 BTC:depth BTC:trade           ack 1 | no 1        an answer by id
//   unsub 2 BTC:depth                   ack BTC depth | no BTC depth     one by name
//   alive 17                            beat 17             it wants to hear `alive 17`
//                                       welcome | bye | data BTC | pong
//                                       snap BTC 0 17 <sum> b 99:5 98:1 a 101:2     a book up to its window
//                                       delta BTC 17 18 <sum> b 99:0 a 101:7        prev, id, then changes
#pragma once

#include <algorithm>
#include <charconv>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "mdp/core/checksum.hpp"
#include "mdp/core/level_writer.hpp"
#include "mdp/core/symbol_table.hpp"
#include "mdp/core/venue.hpp"

namespace mdp::engine {

inline constexpr std::size_t kToyWindow = 10;

// The first word of `rest`, which it leaves there.
inline std::string_view toy_word(std::string_view& rest) noexcept {
  const std::string_view first = rest.substr(0, rest.find(' '));
  rest.remove_prefix(std::min(rest.size(), first.size() + 1));
  return first;
}

// Asks, then bids, best first: digits of price and quantity.
inline std::uint32_t toy_checksum(std::span<const core::PriceLevel> bids,
                                  std::span<const core::PriceLevel> asks) noexcept {
  core::Crc32 crc;
  for (const auto& side : {asks, bids}) {
    for (const core::PriceLevel& level : side) {
      crc.add(core::WrittenDigits(level.price, 0, 0).text());
      crc.add(core::WrittenDigits(level.quantity, 0, 0).text());
    }
  }
  return crc.value();
}

class ToyParser final : public core::Parser {
 public:
  explicit ToyParser(const core::SymbolTable& symbols) : symbols_(symbols) {}

  core::ParseStatus parse(const core::RawMessage& raw, core::MessageSink& sink) noexcept override {
    std::string_view rest = raw.text();
    const std::string_view kind = word(rest);
    if (kind == "data") {
      const core::Instrument* instrument = symbols_.find(word(rest));
      if (instrument == nullptr) return core::ParseStatus::Ignored;
      core::MessageHeader& header = sink.slot().header;
      header = {};
      header.update_type = core::UpdateType::Delta;
      header.symbol_id = instrument->symbol_id;
      header.line_id = raw.line_id;
      header.flags = core::kFirst | core::kLast;
      sink.commit();
      return core::ParseStatus::Ok;
    }
    if (kind == "snap" || kind == "delta") return book(raw, rest, kind == "snap", sink);
    if (kind == "ack" || kind == "no") {
      last_reply_ = {};
      const std::string_view what = word(rest);
      if (const std::string_view channel = word(rest); channel.empty()) {
        std::from_chars(what.data(), what.data() + what.size(), last_reply_.request_id);
      } else {
        last_reply_.set_subscription(
            what, channel == "depth" ? core::Channel::Depth
                                     : (channel == "trade" ? core::Channel::Trade : core::Channel::Quote));
      }
      std::string_view("as it says").copy(last_reply_.text, sizeof(last_reply_.text) - 1);
      return kind == "ack" ? core::ParseStatus::Ack : core::ParseStatus::VenueError;
    }
    if (kind == "welcome") return core::ParseStatus::Welcome;
    if (kind == "bye") return core::ParseStatus::Shutdown;
    if (kind == "beat") return core::ParseStatus::Respond;
    return kind == "pong" ? core::ParseStatus::Ignored : core::ParseStatus::MalformedFrame;
  }

  std::size_t write_response(const core::RawMessage& raw,
                             std::span<char, core::kResponseBytes> to) const noexcept override {
    std::string_view rest = raw.text();
    word(rest);
    if (rest.empty()) return 0;
    constexpr std::string_view kAlive = "alive ";
    const std::size_t bytes = kAlive.copy(to.data(), to.size());
    return bytes + rest.copy(to.data() + bytes, to.size() - bytes);
  }

 private:
  static std::string_view word(std::string_view& rest) noexcept { return toy_word(rest); }
  template <class Number>
  static bool read(std::string_view text, Number& number) noexcept {
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    return error == std::errc{} && end == text.data() + text.size();
  }

  core::ParseStatus book(const core::RawMessage& raw, std::string_view rest, bool snapshot,
                         core::MessageSink& sink) noexcept {
    const core::Instrument* instrument = symbols_.find(word(rest));
    if (instrument == nullptr) return core::ParseStatus::Ignored;
    core::MessageHeader header{};
    header.update_type = snapshot ? core::UpdateType::Snapshot : core::UpdateType::Delta;
    header.symbol_id = instrument->symbol_id;
    header.exchange_id = instrument->exchange_id;
    header.line_id = raw.line_id;
    header.recv_ts_ns = raw.recv_ts_ns;
    header.flags = core::kHasChecksum;
    if (snapshot) header.depth_limit = kToyWindow;
    const bool numbers = read(word(rest), header.prev_update_id) && read(word(rest), header.last_update_id) &&
                         read(word(rest), header.checksum) && word(rest) == "b";
    core::LevelWriter levels(sink, header);
    bool in_asks = false, good = numbers;
    while (good && !rest.empty()) {
      const std::string_view text = word(rest);
      if (text == "a" && !in_asks) {
        levels.begin_asks();
        in_asks = true;
        continue;
      }
      core::PriceLevel level{};
      const std::size_t colon = text.find(':');
      good = colon != std::string_view::npos && read(text.substr(0, colon), level.price) &&
             read(text.substr(colon + 1), level.quantity);
      if (good) levels.add(level);
    }
    if (!good || !in_asks) {
      levels.abandon(shm::StateReason::ParseError);
      last_failure_ = {};
      last_failure_.symbol = instrument->symbol_id;
      return core::ParseStatus::MalformedFrame;
    }
    levels.finish();
    return core::ParseStatus::Ok;
  }

  const core::SymbolTable& symbols_;
};

class ToyVenue : public core::Venue {
 public:
  ToyVenue() { endpoint_.ws_paths = {"/toy"}; }

  core::ExchangeId exchange_id() const noexcept override { return 999; }
  std::string_view name() const noexcept override { return "toy"; }
  const core::Endpoint& endpoint() const noexcept override { return endpoint_; }
  const core::BookRule& book_rule() const noexcept override { return book_rule_; }
  bool offers(core::Channel channel) const noexcept override { return channel <= core::Channel::Quote; }
  std::size_t route_of(core::Channel) const noexcept override { return 0; }

  std::vector<std::string> subscribe_frames(std::span<const core::Subscription> subscriptions,
                                            std::int64_t id) const override {
    return frames("sub ", subscriptions, id);
  }
  std::vector<std::string> unsubscribe_frames(std::span<const core::Subscription> subscriptions,
                                              std::int64_t id) const override {
    return frames("unsub ", subscriptions, id);
  }
  std::unique_ptr<core::Parser> make_parser(const core::SymbolTable& symbols) const override {
    return std::make_unique<ToyParser>(symbols);
  }
  core::RestRequest snapshot_request(std::string_view, std::size_t) const override { return {}; }
  std::size_t max_snapshot_depth() const override { return snapshot_levels_; }
  std::uint16_t depth_limit_of(std::string_view) const override { return 1; }
  core::ParseStatus parse_snapshot(std::string_view, const core::Instrument&, std::uint16_t, std::int64_t,
                                   core::MessageSink&, core::ParseFailure&) const override {
    return core::ParseStatus::MalformedFrame;
  }
  std::vector<core::RestRequest> instruments_requests() const override { return {}; }
  core::Expected<std::vector<core::Instrument>, std::string> parse_instruments(
      std::string_view) const override {
    return core::Unexpected{std::string("the toy venue lists nothing")};
  }
  // {"url":...} would be a venue's words; ours is the URL alone, behind "go to ".
  std::optional<core::RestRequest> connect_request(std::size_t) const override {
    if (!is_asked_for_its_url_) return std::nullopt;
    core::RestRequest request;
    request.target = "/where";
    request.method = core::RestMethod::Post;
    return request;
  }
  core::Expected<core::ConnectTarget, std::string> read_connect(std::string_view body) const override {
    if (!body.starts_with("go to ")) return core::Unexpected{std::string("wanted `go to <url>`")};
    return core::ConnectTarget{std::string(body.substr(6)), {}};
  }
  std::string describe_rest_error(std::string_view) const override { return {}; }
  bool says_unknown_symbol(std::string_view) const override { return false; }

  core::Endpoint endpoint_;
  core::BookRule book_rule_{};
  bool is_asked_for_its_url_ = false;
  std::size_t snapshot_levels_ = 1000;

 private:
  static std::vector<std::string> frames(std::string_view verb,
                                         std::span<const core::Subscription> subscriptions, std::int64_t id) {
    if (subscriptions.empty()) return {};
    std::string frame(verb);
    frame += std::to_string(id);
    for (const core::Subscription& one : subscriptions) {
      frame.append(" ").append(one.venue_symbol).append(":").append(core::to_string(one.channel));
    }
    return {frame};
  }
};

}  // namespace mdp::engine
