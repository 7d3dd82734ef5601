// RawMessage: the handle of one received frame, travelling by value from connector to parser and back to the
// pool.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <type_traits>

#include "mdp/core/ids.hpp"

namespace mdp::core {

// Bytes past the payload a parser may read (never interpret). Not less than simdjson's SIMDJSON_PADDING,
// which the venue library asserts.
inline constexpr std::size_t kFramePadding = 64;

enum class RawKind : std::uint8_t {
  Text = 0,    // a frame of UTF-8; so a message that is all zeros is an empty one
  Binary = 1,  // a frame of any bytes
  Line = 2,    // no frame: the line changed its state, in order with its frames; `line_state` says to what
};

// Who holds a RawMessage owns its buffer until it hands it on. `data` has kFramePadding readable bytes after
// `size`.
struct RawMessage {
  char* data;
  std::uint32_t size;          // bytes of payload
  std::uint32_t buffer_index;  // which buffer of the connector's FramePool
  std::int64_t recv_ts_ns;     // when the socket handed over the bytes that completed the frame
  ConnectionId connection_id;  // which connection it came over; kNoConnection where that is unknown
  LineId line_id;
  RawKind kind;
  shm::LineState line_state;  // of RawKind::Line

  std::string_view text() const noexcept { return {data, size}; }
};
static_assert(sizeof(RawMessage) == 32 && std::is_trivially_copyable_v<RawMessage>);

}  // namespace mdp::core
