// Mapping: a named segment mapped read-only into this process, and the rules for segment names.
//
// Used by readers (subscriber.hpp and anyone who wants less). All that depends on the operating system is in
// mapping_posix.hpp and mapping_windows.hpp, which offer the same: SegmentId, OsMapping, map_segment(),
// find_segment(), unmap_segment(), process_exists(), wall_clock_ns(). Set-up path: the calls here are system
// calls.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#ifdef _WIN32
#include "mdp/shm/mapping_windows.hpp"
#else
#include "mdp/shm/mapping_posix.hpp"
#endif
#include "mdp/shm/segment_view.hpp"

namespace mdp::shm {

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

  // Maps the segment `name` and checks its header; an earlier mapping is closed first. On any status but Ok
  // nothing is mapped. May throw std::bad_alloc.
  [[nodiscard]] AttachStatus open(std::string_view name) {
    close();
    if (!valid_segment_name(name)) return AttachStatus::BadName;
    name_ = name;
    AttachStatus status = detail::map_segment(name_, os_);
    if (status == AttachStatus::Ok) status = SegmentView::attach(os_.base, os_.size_bytes, view_);
    if (status != AttachStatus::Ok) close();
    return status;
  }

  // Unmaps. Views and readers of this mapping are invalid from here on.
  void close() noexcept {
    detail::unmap_segment(os_);
    os_ = {};
    view_ = {};
  }

  bool is_open() const noexcept { return os_.base != nullptr; }
  const std::string& name() const noexcept { return name_; }
  const SegmentView& view() const noexcept { return view_; }

  // Whether another segment bears the name now: the publisher was started again. (None at all: false.)
  bool replaced() const noexcept {
    detail::SegmentId present;
    return is_open() && detail::find_segment(name_, present) == AttachStatus::Ok && !(present == os_.id);
  }

  // Whether the publisher gave no sign of life for `heartbeat_limit_ns` and its process is gone. A publisher
  // in another pid namespace looks gone, one whose pid was given to another process looks alive: then judge
  // by the heartbeat alone (heartbeat_age_ns()).
  bool publisher_dead(std::int64_t heartbeat_limit_ns) const noexcept {
    return is_open() && heartbeat_age_ns() > heartbeat_limit_ns &&
           !detail::process_exists(view_.info().publisher_pid);
  }
  std::int64_t heartbeat_age_ns() const noexcept {
    // Unsigned: a corrupt heartbeat may be any number, and must not overflow.
    return static_cast<std::int64_t>(static_cast<std::uint64_t>(detail::wall_clock_ns()) -
                                     static_cast<std::uint64_t>(view_.heartbeat_ns()));
  }

 private:
  void swap(Mapping& other) noexcept {
    std::swap(name_, other.name_);
    std::swap(os_, other.os_);
    std::swap(view_, other.view_);
  }

  std::string name_;
  detail::OsMapping os_;
  SegmentView view_;
};

}  // namespace mdp::shm
