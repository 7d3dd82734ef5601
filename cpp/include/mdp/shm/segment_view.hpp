// SegmentView: the checked description of a segment that lies in this process's memory. Readers are built on
// it.
//
// A segment is somebody else's memory and may be corrupt or hostile: attach() copies the header's fixed part
// and checks every offset and size of it against the memory there is. From then on readers use that copy,
// never the mapped one.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "mdp/shm/layout.hpp"
#include "mdp/shm/mdp_shm.h"

namespace mdp::shm {

enum class AttachStatus : std::uint8_t {
  Ok = 0,
  BadName = 1,       // not a segment name: 1 to 200 of A-Z a-z 0-9 . _ - and no leading dot
  NotFound = 2,      // no segment of that name: the publisher is not running
  NoPermission = 3,  // it exists, but this user may not read it (default: owner and group)
  NotReady = 4,      // the publisher is still formatting it (or died doing so): try again
  NotASegment = 5,   // there is no magic at its start
  WrongVersion = 6,  // another layout version than kLayoutVersion, or a required feature that is not known
  Corrupt = 7,       // offsets or sizes that do not fit the mapping
  SystemError = 8,   // the operating system refused; errno says why
  Untrusted = 9,     // no regular file, or of an owner who is not trusted, or others may write it
};

constexpr const char* to_string(AttachStatus status) noexcept {
  switch (status) {
    case AttachStatus::Ok:
      return "ok";
    case AttachStatus::BadName:
      return "bad segment name: use 1 to 200 of A-Z a-z 0-9 . _ - without a leading dot";
    case AttachStatus::NotFound:
      return "no such segment: is the publisher running?";
    case AttachStatus::NoPermission:
      return "no permission to read the segment: join its group";
    case AttachStatus::NotReady:
      return "the segment is not ready: its publisher is starting";
    case AttachStatus::NotASegment:
      return "not a market data segment: no magic";
    case AttachStatus::WrongVersion:
      return "the segment has another layout version than this reader, or needs a feature that it does not "
             "know";
    case AttachStatus::Corrupt:
      return "the segment's header is corrupt";
    case AttachStatus::SystemError:
      return "the operating system refused to map the segment";
    case AttachStatus::Untrusted:
      return "the segment is not to be trusted: no regular file, of another user, or others may write it";
  }
  return "unknown";
}

class SegmentView {
 public:
  SegmentView() = default;

  // Checks the segment in [base, base + size_bytes) and describes it in `out`, which stays untouched unless
  // the status is Ok: NotReady, NotASegment, WrongVersion, Corrupt. `base` is a multiple of 64 (mappings
  // are), and the memory outlives `out` and every reader built on it.
  [[nodiscard]] static AttachStatus attach(const void* base, std::size_t size_bytes,
                                           SegmentView& out) noexcept;

  bool attached() const noexcept { return base_ != nullptr; }

  // The checked copy. Call only when attached, as all below.
  const SegmentInfo& info() const noexcept { return info_; }
  std::uint64_t ring_bytes() const noexcept { return info_.ring.size_bytes; }

  // Mapped memory; index < capacity.
  const SegmentHeader& header() const noexcept { return *static_cast<const SegmentHeader*>(at(0)); }
  const void* venue(std::uint32_t index) const noexcept {
    return entry(info_.venues, info_.venue_stride, index);
  }
  const void* instrument(std::uint32_t symbol_id) const noexcept {
    return entry(info_.instruments, info_.instrument_stride, symbol_id);
  }
  const void* index() const noexcept { return at(info_.index.offset); }
  const void* book(std::uint32_t symbol_id) const noexcept {
    return entry(info_.table, info_.table_stride, symbol_id);
  }
  const unsigned char* ring() const noexcept {
    return static_cast<const unsigned char*>(at(info_.ring.offset));
  }

  // acquire: what was stored before the publisher changed state (its last cursor) is visible; pairs with
  // SegmentWriter::set_state().
  SegmentState state() const noexcept {
    return static_cast<SegmentState>(header().state.load(std::memory_order_acquire));
  }
  // When the publisher last said it is alive, ns of the monotonic clock.
  std::int64_t heartbeat_ns() const noexcept {
    // relaxed: a sign of life, orders nothing; pairs with SegmentWriter::heartbeat().
    return static_cast<std::int64_t>(header().heartbeat_ns.load(std::memory_order_relaxed));
  }
  // Events committed since the publisher started. relaxed: a statistic; pairs with RingWriter::commit().
  std::uint64_t event_count() const noexcept { return header().event_count.load(std::memory_order_relaxed); }

 private:
  const void* at(std::uint64_t offset) const noexcept { return base_ + offset; }
  const void* entry(const Section& section, std::uint32_t stride, std::uint32_t index) const noexcept {
    return at(section.offset + std::uint64_t{stride} * index);
  }

  const unsigned char* base_ = nullptr;
  SegmentInfo info_{};
};

inline AttachStatus SegmentView::attach(const void* base, std::size_t size_bytes, SegmentView& out) noexcept {
  mdp_shm_segment_info checked;
  const auto status = static_cast<AttachStatus>(mdp_shm_check_segment(base, size_bytes, &checked));
  if (status != AttachStatus::Ok) return status;
  out.base_ = static_cast<const unsigned char*>(base);
  static_assert(sizeof(out.info_) == sizeof(checked));
  std::memcpy(&out.info_, &checked, sizeof(checked));
  return status;
}

}  // namespace mdp::shm
