#include "mdp/net/ws_reader.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

#include "mdp/core/error.hpp"

namespace mdp::net {

WsReader::WsReader(FramePool& pool, core::Counter& grown_frames, std::size_t stage_bytes)
    : pool_(pool),
      grown_frames_(grown_frames),
      stage_bytes_(stage_bytes),
      stage_(std::make_unique_for_overwrite<char[]>(stage_bytes)) {
  MDP_ASSERT(stage_bytes >= kMinStageBytes);
}

std::span<char> WsReader::room() noexcept {
  if (reads_into_message()) {
    const std::size_t bytes = std::min<std::uint64_t>(payload_left_, frame_.capacity - used_);
    return {frame_.data + used_, bytes};
  }
  if (staged_begin_ > 0) {
    std::memmove(stage_.get(), stage_.get() + staged_begin_, staged_end_ - staged_begin_);
    staged_end_ -= staged_begin_;
    staged_begin_ = 0;
  }
  return {stage_.get() + staged_end_, stage_bytes_ - staged_end_};
}

// The steps of next() are inline because the libraries are position-independent: g++ then inlines no function
// that another object could put one of its own in place of, and the calls cost more than a step.

inline bool WsReader::fail(WsStatus error, Event& event) noexcept {
  error_ = error;
  event = Event::Error;
  return false;
}

// True also where a pong was passed over.
inline bool WsReader::begin_frame(Event& event) noexcept {
  const std::string_view staged(stage_.get() + staged_begin_, staged_end_ - staged_begin_);
  WsHeader header;
  const WsStatus status = read_ws_header(staged.data(), staged.size(), header);
  if (status == WsStatus::NeedMore) {
    event = Event::NeedBytes;
    return false;
  }
  if (status != WsStatus::Ok) return fail(status, event);
  if (is_control(header.opcode)) return take_control(header, staged, event);
  const bool continues = header.opcode == WsOpcode::Continuation;
  if (continues != in_message_) {
    return fail(in_message_ ? WsStatus::MessageInMessage : WsStatus::NoMessage, event);
  }
  if (header.payload_bytes > pool_.options().max_frame_bytes - used_) {
    return fail(WsStatus::TooLarge, event);
  }
  staged_begin_ += header.header_bytes;
  payload_left_ = header.payload_bytes;
  if (!continues) kind_ = header.opcode == WsOpcode::Binary ? core::RawKind::Binary : core::RawKind::Text;
  fin_ = header.fin;
  in_message_ = in_frame_ = true;
  return true;
}

bool WsReader::take_control(const WsHeader& header, std::string_view staged, Event& event) noexcept {
  const std::size_t frame_bytes = header.header_bytes + static_cast<std::size_t>(header.payload_bytes);
  if (staged.size() < frame_bytes) {
    event = Event::NeedBytes;
    return false;
  }
  control_ = staged.substr(header.header_bytes, frame_bytes - header.header_bytes);
  if (header.opcode == WsOpcode::Close) {
    constexpr unsigned kNoStatus = 1005;
    if (control_.size() == 1) return fail(WsStatus::BadClose, event);
    close_code_ = kNoStatus;
    if (control_.size() >= 2) {
      close_code_ = static_cast<unsigned char>(control_[0]) * 256U + static_cast<unsigned char>(control_[1]);
      control_.remove_prefix(2);
    }
    event = Event::Close;
    return false;
  }
  staged_begin_ += frame_bytes;
  event = Event::Ping;
  return header.opcode == WsOpcode::Pong;
}

// Copies from the stage what belongs to the frame under way. Where it asks for bytes, the buffer has room for
// at least one.
inline bool WsReader::take_payload(Event& event) noexcept {
  if (!take_buffer()) {
    event = Event::NeedBuffer;
    return false;
  }
  while (payload_left_ > 0) {
    if (used_ == frame_.capacity) {
      const FramePool::GrowStatus grown = pool_.grow(frame_, used_);
      // A frame that would be too large was refused at its header.
      MDP_ASSERT(grown != FramePool::GrowStatus::TooLarge);
      if (grown != FramePool::GrowStatus::Ok) return fail(WsStatus::OutOfMemory, event);
      grown_frames_.add();
    }
    const std::size_t bytes =
        std::min<std::uint64_t>({payload_left_, staged_end_ - staged_begin_, frame_.capacity - used_});
    if (bytes == 0) {
      event = Event::NeedBytes;
      return false;
    }
    std::memcpy(frame_.data + used_, stage_.get() + staged_begin_, bytes);
    used_ += bytes;
    payload_left_ -= bytes;
    staged_begin_ += bytes;
  }
  return true;
}

inline bool WsReader::end_frame(core::RawMessage& message, Event& event) noexcept {
  if (!fin_) {
    in_frame_ = false;
    return true;
  }
  if (kind_ == core::RawKind::Text && !is_utf8(frame_.data, used_)) return fail(WsStatus::NotUtf8, event);
  // The bytes after the payload are left over from earlier frames; zero is what the parser's tests see.
  std::memset(frame_.data + used_, 0, core::kFramePadding);
  message.data = frame_.data;
  message.size = static_cast<std::uint32_t>(used_);
  message.buffer_index = frame_.buffer_index;
  message.kind = kind_;
  in_frame_ = in_message_ = holds_frame_ = false;
  used_ = 0;
  event = Event::Message;
  return false;
}

WsReader::Event WsReader::next(core::RawMessage& message) noexcept {
  Event event{};
  for (;;) {
    if (in_frame_ && !(take_payload(event) && end_frame(message, event))) return event;
    if (!begin_frame(event)) return event;
  }
}

void WsReader::drop() noexcept {
  if (std::exchange(holds_frame_, false)) pool_.put_back(frame_);
}

}  // namespace mdp::net
