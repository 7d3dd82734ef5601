// WsReader: takes the bytes of a WebSocket server apart (RFC 6455 section 5) and joins its frames to
// messages, which lie in buffers of a FramePool. It knows no socket, no clock and no handler. Session reads
// into room(), tells took() how many bytes came, and calls next() until that answers NeedBytes. Loop thread
// only.
//
// The rest of a long payload is read straight into the message's buffer. Everything else is read onto the
// stage, where one read brings a TLS record with all its frames.
//
// A venue whose messages are compressed needs changes in here alone. For gzip in binary messages end_frame()
// inflates into a second buffer of the pool, before it looks at the UTF-8 and under the same max_frame_bytes.
// For permessage-deflate read_ws_header() also accepts RSV1 in the first frame of a message.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

#include "mdp/core/counters.hpp"
#include "mdp/core/raw_message.hpp"
#include "mdp/net/frame_pool.hpp"
#include "mdp/net/ws_frame.hpp"

namespace mdp::net {

class WsReader {
 public:
  // What next() found. Close and Error are the end of the connection: their bytes stay where they are, so
  // next() says the same again; after OutOfMemory it tries again.
  enum class Event : std::uint8_t {
    Message,     // a whole message; its buffer is the caller's
    Ping,        // to be answered with control()
    Close,       // the venue closes; close_code() and control() say why
    NeedBytes,   // read into room(), then took()
    NeedBuffer,  // every buffer is out: take_buffer() once one came back
    Error,       // error() says what is wrong
  };

  // A control frame has to lie on the stage as a whole.
  static constexpr std::size_t kMinStageBytes = 2 + kMaxControlBytes;

  // `pool` and `grown_frames`, which counts the times a buffer had to grow, outlive the reader.
  WsReader(FramePool& pool, core::Counter& grown_frames, std::size_t stage_bytes);
  ~WsReader() { drop(); }
  WsReader(const WsReader&) = delete;
  WsReader& operator=(const WsReader&) = delete;

  // Where the next bytes of the connection go: at least one, at first or after NeedBytes. Valid until took().
  [[nodiscard]] std::span<char> room() noexcept;
  void took(std::size_t bytes) noexcept {
    if (reads_into_message()) {
      used_ += bytes;
      payload_left_ -= bytes;
    } else {
      staged_end_ += bytes;
    }
  }

  // The next thing among the bytes that were read. Event::Message sets `data`, `size`, `buffer_index` and
  // `kind` of `message` and writes core::kFramePadding zeros behind its bytes; the other fields are the
  // caller's. Pongs are skipped: SilenceWatch counts their bytes, and nobody asks for more.
  [[nodiscard]] Event next(core::RawMessage& message) noexcept;

  // Valid until the next call of next() or room().
  std::string_view control() const noexcept { return control_; }
  unsigned close_code() const noexcept { return close_code_; }  // 1005: the frame has none
  WsStatus error() const noexcept { return error_; }
  // What is already there of the message under way.
  std::size_t message_bytes() const noexcept { return used_; }

  // Takes a buffer for the message under way, or for the next one. False: all are out.
  [[nodiscard]] bool take_buffer() noexcept {
    if (!holds_frame_) holds_frame_ = pool_.acquire(frame_);
    return holds_frame_;
  }
  // Gives the buffer back, for the connection is gone. Only the destructor may be called after it.
  void drop() noexcept;

 private:
  // The steps of next(). Each returns false when next() has something to say, and sets `event` to it.
  bool begin_frame(Event& event) noexcept;
  bool take_control(const WsHeader& header, std::string_view staged, Event& event) noexcept;
  bool take_payload(Event& event) noexcept;
  bool end_frame(core::RawMessage& message, Event& event) noexcept;
  bool fail(WsStatus error, Event& event) noexcept;

  // Whether the next read goes into the message's buffer. Only for long payloads: it then stops at the end of
  // the payload, while a read onto the stage brings the frames behind it as well.
  bool reads_into_message() const noexcept {
    return in_frame_ && holds_frame_ && staged_begin_ == staged_end_ && payload_left_ >= stage_bytes_ / 2;
  }

  FramePool& pool_;
  core::Counter& grown_frames_;

  // Bytes not yet looked at, from staged_begin_ to staged_end_. After NeedBytes no more than the beginning of
  // a header or of a control frame.
  const std::size_t stage_bytes_;
  const std::unique_ptr<char[]> stage_;
  std::size_t staged_begin_ = 0;
  std::size_t staged_end_ = 0;

  FramePool::Frame frame_;  // of the message under way
  std::size_t used_ = 0;
  std::uint64_t payload_left_ = 0;  // of the frame under way
  bool holds_frame_ = false;
  bool in_frame_ = false;    // a data frame's header was read, its payload not yet to its end
  bool in_message_ = false;  // a data frame without FIN came, or one is under way
  bool fin_ = false;
  core::RawKind kind_ = core::RawKind::Text;

  WsStatus error_ = WsStatus::Ok;
  unsigned close_code_ = 0;
  std::string_view control_;
};

}  // namespace mdp::net
