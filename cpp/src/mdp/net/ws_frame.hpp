// The receiving side of WebSocket framing (RFC 6455 section 5), as functions on bytes: a frame's header and
// the check of its text. Session joins frames to messages.
#pragma once

#include <cstddef>
#include <cstdint>

namespace mdp::net {

enum class WsOpcode : std::uint8_t { Continuation = 0, Text = 1, Binary = 2, Close = 8, Ping = 9, Pong = 10 };

constexpr bool is_control(WsOpcode opcode) noexcept { return static_cast<std::uint8_t>(opcode) >= 8; }

constexpr std::size_t kMaxControlBytes = 125;

struct WsHeader {
  WsOpcode opcode;
  bool fin;
  std::size_t header_bytes;  // 2, 4 or 10
  std::uint64_t payload_bytes;
};

enum class WsHeaderStatus : std::uint8_t {
  Ok,
  NeedMore,        // the header is not all there yet
  ReservedBits,    // bits of an extension that was not agreed on
  ReservedOpcode,  // none of WsOpcode
  Masked,          // a server must not mask
  BadLength,       // longer than it needs to be, or more than 63 bits
  BadControl,      // a control frame in fragments, or longer than kMaxControlBytes
};
const char* to_string(WsHeaderStatus status) noexcept;

// The header at the beginning of `bytes`. `out` is set with Ok alone.
WsHeaderStatus read_ws_header(const char* bytes, std::size_t size, WsHeader& out) noexcept;

// Whether all of it is UTF-8 as RFC 3629 has it: no surrogates, nothing longer than it needs to be.
bool is_utf8(const char* text, std::size_t size) noexcept;

}  // namespace mdp::net
