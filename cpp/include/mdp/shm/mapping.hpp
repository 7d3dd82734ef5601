// Mapping: a named segment mapped read-only into this process, the rules for segment names, and what becomes
// of its publisher.
//
// Used by readers (subscriber.hpp and anyone who wants less). What it asks of the operating system, and the
// rule of life and death, are those of the C reader (mdp_shm_os.h, mdp_shm.h). Set-up path: the calls here
// are system calls.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "mdp/shm/mdp_shm.h"
#include "mdp/shm/segment_view.hpp"

namespace mdp::shm {

// As the uid that a reader trusts besides root and its own: nobody.
inline constexpr std::uint32_t kTrustNobody = MDP_SHM_TRUST_NOBODY;

// As the age that a heartbeat may have: ten of the intervals that the segment's header tells, which is a
// second with mdp's publisher.
inline constexpr std::int64_t kHeartbeatLimit = MDP_SHM_HEARTBEAT_LIMIT;

// What becomes of a publisher, as far as a reader can know. Its books are usable while it is Running.
enum class PublisherStatus : std::uint8_t {
  Running = 0,   // its last heartbeat is no older than the limit
  Silent = 1,    // older, and no more is known: hung, suspended, or another user's and dead
  Dead = 2,      // silent, and nobody holds the lock of its name
  Stopped = 3,   // in order: its segment says so
  Replaced = 4,  // silent, and another segment bears the name now: reattach
};

constexpr const char* to_string(PublisherStatus status) noexcept {
  switch (status) {
    case PublisherStatus::Running:
      return "running";
    case PublisherStatus::Silent:
      return "silent";
    case PublisherStatus::Dead:
      return "dead";
    case PublisherStatus::Stopped:
      return "stopped";
    case PublisherStatus::Replaced:
      return "replaced";
  }
  return "unknown";
}

inline constexpr std::size_t kMaxSegmentNameLength = 200;

// 1 to 200 of A-Z a-z 0-9 . _ - and no leading dot: no way to spell a path or a hidden file.
constexpr bool valid_segment_name(std::string_view name) noexcept {
  if (name.empty() || name.size() > kMaxSegmentNameLength || name.front() == '.') return false;
  for (const char c : name) {
    const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    const bool digit = c >= '0' && c <= '9';
    if (!letter && !digit && c != '.' && c != '_' && c != '-') return false;
  }
  return true;
}

class Mapping {
 public:
  Mapping() = default;
  ~Mapping() { close(); }
  Mapping(Mapping&& other) noexcept { swap(other); }
  Mapping& operator=(Mapping&& other) noexcept {
    if (this != &other) {
      close();
      swap(other);
    }
    return *this;
  }
  Mapping(const Mapping&) = delete;
  Mapping& operator=(const Mapping&) = delete;

  // Maps the segment `name` and checks its header; an earlier mapping is closed first. It is taken if it
  // belongs to the user who runs this, to root or to `trusted_uid`, and nobody else may write it. On any
  // status but Ok nothing is mapped. May throw std::bad_alloc.
  [[nodiscard]] AttachStatus open(std::string_view name, std::uint32_t trusted_uid = kTrustNobody) {
    close();
    trusted_uid_ = trusted_uid;
    file_ = {};
    if (!valid_segment_name(name)) return AttachStatus::BadName;
    name_ = name;
    mdp_shm_mapping mapped{};
    auto status = static_cast<AttachStatus>(mdp_shm_os_map(name_.c_str(), trusted_uid, &mapped));
    file_ = mapped.file;
    if (status != AttachStatus::Ok) return status;
    base_ = mapped.base;
    size_bytes_ = mapped.size_bytes;
    status = SegmentView::attach(base_, size_bytes_, view_);
    if (status != AttachStatus::Ok) close();
    return status;
  }
  // Why the last open() was not Ok, as a sentence for people.
  std::string explain(AttachStatus status) const {
    char text[MDP_SHM_ERROR_SIZE];
    return mdp_shm_explain_attach(text, static_cast<int>(status), &file_);
  }

  // Unmaps. Views and readers of this mapping are invalid from here on.
  void close() noexcept {
    if (base_ != nullptr) mdp_shm_os_unmap(base_, size_bytes_);
    base_ = nullptr;
    size_bytes_ = 0;
    view_ = {};
  }

  bool is_open() const noexcept { return base_ != nullptr; }
  const std::string& name() const noexcept { return name_; }
  std::uint32_t trusted_uid() const noexcept { return trusted_uid_; }
  // Which file it is and whose, also of one that was refused.
  const mdp_shm_file& file() const noexcept { return file_; }
  const SegmentView& view() const noexcept { return view_; }

  // Whether another segment bears the name now: the publisher was started again. (None at all: false.)
  bool replaced() const noexcept {
    return is_open() && mdp_shm_name_is_taken(name_.c_str(), trusted_uid_, &file_) != 0;
  }

  // What the publisher is, by the one rule for all readers. Its heartbeat may be `limit_ns` old, or
  // kHeartbeatLimit. Reads a clock, and asks the operating system only where the heartbeat is older. A
  // mapping that is closed has none: Dead.
  PublisherStatus publisher_status(std::int64_t limit_ns = kHeartbeatLimit) const noexcept {
    if (!is_open()) return PublisherStatus::Dead;
    return static_cast<PublisherStatus>(mdp_shm_judge_publisher(
        base_, view_.info().heartbeat_interval_ns, name_.c_str(), trusted_uid_, &file_, limit_ns));
  }
  // How long the publisher has given no sign of life, on the monotonic clock; the mapping is open.
  std::int64_t heartbeat_age_ns() const noexcept { return mdp_shm_age_of_heartbeat(base_); }

 private:
  void swap(Mapping& other) noexcept {
    std::swap(name_, other.name_);
    std::swap(trusted_uid_, other.trusted_uid_);
    std::swap(file_, other.file_);
    std::swap(base_, other.base_);
    std::swap(size_bytes_, other.size_bytes_);
    std::swap(view_, other.view_);
  }

  std::string name_;
  std::uint32_t trusted_uid_ = kTrustNobody;
  mdp_shm_file file_{};
  const void* base_ = nullptr;
  std::size_t size_bytes_ = 0;
  SegmentView view_;
};

}  // namespace mdp::shm
