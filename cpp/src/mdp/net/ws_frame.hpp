// The receiving side of WebSocket framing (RFC 6455 section 5), as functions on bytes: a frame's header and
// the check of its text. WsReader joins frames to messages.
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

enum class WsStatus : std::uint8_t {
  Ok,
  NeedMore,  // the header is not all there yet
  // Of a header
  ReservedBits,    // bits of an extension that was not agreed on
  ReservedOpcode,  // none of WsOpcode
  Masked,          // a server must not mask
  BadLength,       // longer than it needs to be, or more than 63 bits
  BadControl,      // a control frame in fragments, or longer than kMaxControlBytes
  // Of frames one after the other (WsReader)
  NoMessage,         // a continuation, and no message is under way
  MessageInMessage,  // a text or binary frame before the end of the message under way
  BadClose,          // a close frame of one byte: a status has two
  NotUtf8,           // a text message
  TooLarge,          // a message longer than FramePoolOptions::max_frame_bytes
  OutOfMemory,       // no memory to grow a buffer; what was taken is still there
};
const char* to_string(WsStatus status) noexcept;

// The header at the beginning of `bytes`. `out` is set with Ok alone.
WsStatus read_ws_header(const char* bytes, std::size_t size, WsHeader& out) noexcept;

// Whether all of it is UTF-8 as RFC 3629 has it: no surrogates, nothing longer than it needs to be.
bool is_utf8(const char* text, std::size_t size) noexcept;

// --- inline: once a frame ---

inline WsStatus read_ws_header(const char* bytes, std::size_t size, WsHeader& out) noexcept {
  if (size < 2) return WsStatus::NeedMore;
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(bytes[i]); };
  if ((byte(0) & 0x70) != 0) return WsStatus::ReservedBits;
  const unsigned opcode = byte(0) & 0x0F;
  if (opcode > 10 || (opcode > 2 && opcode < 8)) return WsStatus::ReservedOpcode;
  if ((byte(1) & 0x80) != 0) return WsStatus::Masked;
  WsHeader header{static_cast<WsOpcode>(opcode), (byte(0) & 0x80) != 0, 2, byte(1)};
  if (is_control(header.opcode) && (!header.fin || header.payload_bytes > kMaxControlBytes)) {
    return WsStatus::BadControl;
  }
  if (header.payload_bytes >= 126) {
    const std::size_t length_bytes = header.payload_bytes == 126 ? 2 : 8;
    header.header_bytes += length_bytes;
    if (size < header.header_bytes) return WsStatus::NeedMore;
    std::uint64_t length = 0;
    for (std::size_t i = 0; i < length_bytes; ++i) length = length << 8 | byte(2 + i);
    if (length < (length_bytes == 2 ? 126U : 65'536U) || (length >> 63) != 0) return WsStatus::BadLength;
    header.payload_bytes = length;
  }
  out = header;
  return WsStatus::Ok;
}

}  // namespace mdp::net
