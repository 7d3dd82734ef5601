#include "mdp/net/ws_frame.hpp"

#include <cstring>

namespace mdp::net {

const char* to_string(WsStatus status) noexcept {
  switch (status) {
    case WsStatus::Ok:
      return "ok";
    case WsStatus::NeedMore:
      return "incomplete frame header";
    case WsStatus::ReservedBits:
      return "reserved bits are set in a frame header";
    case WsStatus::ReservedOpcode:
      return "reserved opcode in a frame header";
    case WsStatus::Masked:
      return "a frame from the server is masked";
    case WsStatus::BadLength:
      return "bad length in a frame header";
    case WsStatus::BadControl:
      return "a control frame is fragmented or longer than 125 bytes";
    case WsStatus::NoMessage:
      return "a continuation of no message";
    case WsStatus::MessageInMessage:
      return "a message begins before the end of the one before";
    case WsStatus::BadClose:
      return "a close frame of one byte";
    case WsStatus::NotUtf8:
      return "a text message is not UTF-8";
    case WsStatus::TooLarge:
      return "a frame is longer than max_frame_bytes";
    case WsStatus::OutOfMemory:
      return "no memory for a longer frame";
  }
  return "unknown";
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
