#include "mdp/net/ws_frame.hpp"

#include <cstring>

namespace mdp::net {

const char* to_string(WsHeaderStatus status) noexcept {
  switch (status) {
    case WsHeaderStatus::Ok:
      return "ok";
    case WsHeaderStatus::NeedMore:
      return "incomplete frame header";
    case WsHeaderStatus::ReservedBits:
      return "reserved bits are set in a frame header";
    case WsHeaderStatus::ReservedOpcode:
      return "reserved opcode in a frame header";
    case WsHeaderStatus::Masked:
      return "a frame from the server is masked";
    case WsHeaderStatus::BadLength:
      return "bad length in a frame header";
    case WsHeaderStatus::BadControl:
      return "a control frame is fragmented or longer than 125 bytes";
  }
  return "unknown";
}

WsHeaderStatus read_ws_header(const char* bytes, std::size_t size, WsHeader& out) noexcept {
  if (size < 2) return WsHeaderStatus::NeedMore;
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(bytes[i]); };
  if ((byte(0) & 0x70) != 0) return WsHeaderStatus::ReservedBits;
  const unsigned opcode = byte(0) & 0x0F;
  if (opcode > 10 || (opcode > 2 && opcode < 8)) return WsHeaderStatus::ReservedOpcode;
  if ((byte(1) & 0x80) != 0) return WsHeaderStatus::Masked;
  WsHeader header{static_cast<WsOpcode>(opcode), (byte(0) & 0x80) != 0, 2, byte(1)};
  if (is_control(header.opcode) && (!header.fin || header.payload_bytes > kMaxControlBytes)) {
    return WsHeaderStatus::BadControl;
  }
  if (header.payload_bytes >= 126) {
    const std::size_t length_bytes = header.payload_bytes == 126 ? 2 : 8;
    header.header_bytes += length_bytes;
    if (size < header.header_bytes) return WsHeaderStatus::NeedMore;
    std::uint64_t length = 0;
    for (std::size_t i = 0; i < length_bytes; ++i) length = length << 8 | byte(2 + i);
    if (length < (length_bytes == 2 ? 126U : 65'536U) || (length >> 63) != 0)
      return WsHeaderStatus::BadLength;
    header.payload_bytes = length;
  }
  out = header;
  return WsHeaderStatus::Ok;
}

bool is_utf8(const char* text, std::size_t size) noexcept {
  const auto* at = reinterpret_cast<const unsigned char*>(text);
  const auto* const end = at + size;
  const auto follows = [&](std::ptrdiff_t i) { return (at[i] & 0xC0) == 0x80; };
  while (at < end) {
    // Nearly all text of a venue is ASCII: 16 bytes at a time.
    while (end - at >= 16) {
      std::uint64_t words[2];
      std::memcpy(words, at, sizeof words);
      if (((words[0] | words[1]) & 0x8080808080808080U) != 0) break;
      at += 16;
    }
    if (at == end) return true;
    const unsigned lead = *at;
    if (lead < 0x80) {
      ++at;
    } else if (lead >= 0xC2 && lead <= 0xDF) {
      if (end - at < 2 || !follows(1)) return false;
      at += 2;
    } else if (lead >= 0xE0 && lead <= 0xEF) {
      if (end - at < 3 || !follows(1) || !follows(2)) return false;
      if (lead == 0xE0 && at[1] < 0xA0) return false;   // fits in two bytes
      if (lead == 0xED && at[1] >= 0xA0) return false;  // a surrogate
      at += 3;
    } else if (lead >= 0xF0 && lead <= 0xF4) {
      if (end - at < 4 || !follows(1) || !follows(2) || !follows(3)) return false;
      if (lead == 0xF0 && at[1] < 0x90) return false;   // fits in three bytes
      if (lead == 0xF4 && at[1] >= 0x90) return false;  // above U+10FFFF
      at += 4;
    } else {
      return false;
    }
  }
  return true;
}

}  // namespace mdp::net
