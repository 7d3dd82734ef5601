// What WsReader is compared with, in tests and under the fuzzer: a second reading that has all bytes at once
// and shares no code with ours (RFC 6455 section 5 and RFC 3629, step by step), and one who feeds a WsReader.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <deque>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "mdp/net/ws_reader.hpp"

namespace mdp::net::test {

// Straight from the table of RFC 3629 section 4, one sequence after the other.
inline bool is_utf8_by_the_table(std::string_view text) {
  const auto in = [&](std::size_t i, unsigned low, unsigned high) {
    return i < text.size() && static_cast<unsigned char>(text[i]) >= low &&
           static_cast<unsigned char>(text[i]) <= high;
  };
  for (std::size_t i = 0; i < text.size();) {
    const auto tail = [&](std::size_t k) { return in(i + k, 0x80, 0xBF); };
    if (in(i, 0x00, 0x7F)) {
      i += 1;
    } else if (in(i, 0xC2, 0xDF) && tail(1)) {
      i += 2;
    } else if ((in(i, 0xE0, 0xE0) && in(i + 1, 0xA0, 0xBF) && tail(2)) ||
               (in(i, 0xE1, 0xEC) && tail(1) && tail(2)) ||
               (in(i, 0xED, 0xED) && in(i + 1, 0x80, 0x9F) && tail(2)) ||
               (in(i, 0xEE, 0xEF) && tail(1) && tail(2))) {
      i += 3;
    } else if ((in(i, 0xF0, 0xF0) && in(i + 1, 0x90, 0xBF) && tail(2) && tail(3)) ||
               (in(i, 0xF1, 0xF3) && tail(1) && tail(2) && tail(3)) ||
               (in(i, 0xF4, 0xF4) && in(i + 1, 0x80, 0x8F) && tail(2) && tail(3))) {
      i += 4;
    } else {
      return false;
    }
  }
  return true;
}

// What a connection told, one after the other: messages, pings, and at the end what stopped it.
struct WsTold {
  WsReader::Event event;
  std::string payload = {};  // of a message, ping or close frame
  bool binary = false;
  unsigned close_code = 0;
  WsStatus error = WsStatus::Ok;

  bool operator==(const WsTold&) const = default;
};

// The reference. The last one is Close, Error, or NeedBytes where `wire` ends.
inline std::vector<WsTold> read_at_once(std::string_view wire, std::uint64_t max_message_bytes) {
  using Event = WsReader::Event;
  std::vector<WsTold> told;
  std::string message;
  int message_opcode = 0;  // 0: none is under way
  const auto ends = [&](WsTold last) {
    told.push_back(std::move(last));
    return told;
  };
  const auto breaks = [&](WsStatus error) { return ends({.event = Event::Error, .error = error}); };
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(wire[i]); };
  for (;;) {
    if (wire.size() < 2) return ends({.event = Event::NeedBytes});
    const bool fin = byte(0) >= 0x80;
    const int opcode = byte(0) % 16;
    const bool control = opcode >= 8;
    if (byte(0) / 16 % 8 != 0) return breaks(WsStatus::ReservedBits);
    if (opcode != 0 && opcode != 1 && opcode != 2 && opcode != 8 && opcode != 9 && opcode != 10)
      return breaks(WsStatus::ReservedOpcode);
    if (byte(1) >= 0x80) return breaks(WsStatus::Masked);
    if (control && (!fin || byte(1) > 125)) return breaks(WsStatus::BadControl);
    std::size_t header_bytes = 2;
    std::uint64_t length = byte(1);
    if (length >= 126) {
      header_bytes = length == 126 ? 4 : 10;
      if (wire.size() < header_bytes) return ends({.event = Event::NeedBytes});
      length = 0;
      for (std::size_t i = 2; i < header_bytes; ++i) length = length * 256 + byte(i);
      const std::uint64_t shortest = header_bytes == 4 ? 126 : 65'536;
      if (length < shortest || length > 0x7FFF'FFFF'FFFF'FFFF) return breaks(WsStatus::BadLength);
    }
    if (!control && opcode == 0 && message_opcode == 0) return breaks(WsStatus::NoMessage);
    if (!control && opcode != 0 && message_opcode != 0) return breaks(WsStatus::MessageInMessage);
    if (!control && message.size() + length > max_message_bytes) return breaks(WsStatus::TooLarge);
    if (wire.size() - header_bytes < length) return ends({.event = Event::NeedBytes});
    const std::string payload(wire.substr(header_bytes, static_cast<std::size_t>(length)));
    wire.remove_prefix(header_bytes + payload.size());
    if (opcode == 8) {
      if (payload.empty()) return ends({.event = Event::Close, .close_code = 1005});
      if (payload.size() == 1) return breaks(WsStatus::BadClose);
      const unsigned code =
          static_cast<unsigned char>(payload[0]) * 256U + static_cast<unsigned char>(payload[1]);
      return ends({.event = Event::Close, .payload = payload.substr(2), .close_code = code});
    }
    if (opcode == 9) told.push_back({.event = Event::Ping, .payload = payload});
    if (control) continue;
    if (opcode != 0) message_opcode = opcode;
    message += payload;
    if (!fin) continue;
    if (message_opcode == 1 && !is_utf8_by_the_table(message)) return breaks(WsStatus::NotUtf8);
    told.push_back({.event = Event::Message, .payload = message, .binary = message_opcode == 2});
    message.clear();
    message_opcode = 0;
  }
}

// A WsReader with its pool, and one who uses it as Session does: reads pieces of `cut(bytes left)` bytes, and
// lets go of the oldest message it holds when the buffers are out.
class WsFeeder {
 public:
  explicit WsFeeder(const FramePoolOptions& options, std::size_t stage_bytes)
      : pool(options), reader(pool, grown, stage_bytes) {}

  std::vector<WsTold> read(std::string_view wire, const std::function<std::size_t(std::size_t)>& cut) {
    using Event = WsReader::Event;
    std::vector<WsTold> told;
    for (;;) {
      core::RawMessage message{};
      const Event event = reader.next(message);
      switch (event) {
        case Event::Message:
          told.push_back({.event = event,
                          .payload = std::string(message.text()),
                          .binary = message.kind == core::RawKind::Binary});
          held_.push_back({message, told.back().payload});
          break;
        case Event::Ping:
          told.push_back({.event = event, .payload = std::string(reader.control())});
          break;
        case Event::Close:
          told.push_back(
              {.event = event, .payload = std::string(reader.control()), .close_code = reader.close_code()});
          return told;
        case Event::Error:
          told.push_back({.event = event, .error = reader.error()});
          return told;
        case Event::NeedBuffer:
          ++buffer_waits;
          if (held_.empty()) ++faults;
          let_go();
          break;
        case Event::NeedBytes: {
          if (wire.empty()) {
            told.push_back({.event = event});
            return told;
          }
          const std::span<char> room = reader.room();
          if (room.empty()) ++faults;
          const std::size_t bytes =
              std::min({std::max<std::size_t>(cut(wire.size()), 1), wire.size(), room.size()});
          std::memcpy(room.data(), wire.data(), bytes);
          reader.took(bytes);
          wire.remove_prefix(bytes);
          break;
        }
      }
    }
  }

  // Gives the oldest message back; a message must stay as it was handed over, and end in zeros.
  void let_go() {
    if (held_.empty()) return;
    const auto& [message, payload] = held_.front();
    if (message.text() != payload) ++faults;
    for (std::size_t i = 0; i < core::kFramePadding; ++i) {
      if (message.data[message.size + i] != 0) ++faults;
    }
    pool.release(message);
    held_.pop_front();
  }

  // Whether every buffer is back once all is let go.
  bool all_back() {
    while (!held_.empty()) let_go();
    reader.drop();
    FramePool::Frame frame;
    for (std::size_t i = 0; i < pool.frame_count(); ++i) {
      if (!pool.acquire(frame)) return false;
    }
    return !pool.acquire(frame);
  }

  FramePool pool;
  core::Counter grown;
  WsReader reader;
  std::size_t buffer_waits = 0;
  std::size_t faults = 0;  // promises of the reader that were not kept

 private:
  struct Held {
    core::RawMessage message;
    std::string payload;
  };
  std::deque<Held> held_;
};

}  // namespace mdp::net::test
