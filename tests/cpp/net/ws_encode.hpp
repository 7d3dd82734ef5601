// Frames of a WebSocket server, for tests, fuzzing and benches.
#pragma once

#include <string>
#include <string_view>

namespace mdp::net::test {

inline std::string encode_frame(int opcode, std::string_view payload, bool fin = true) {
  std::string frame;
  frame += static_cast<char>((fin ? 0x80 : 0) | opcode);
  const std::size_t bytes = payload.size();
  if (bytes < 126) {
    frame += static_cast<char>(bytes);
  } else {
    const int length_bytes = bytes < 65'536 ? 2 : 8;
    frame += static_cast<char>(length_bytes == 2 ? 126 : 127);
    for (int i = length_bytes - 1; i >= 0; --i) frame += static_cast<char>((bytes >> (8 * i)) & 0xFF);
  }
  return frame.append(payload);
}

}  // namespace mdp::net::test
