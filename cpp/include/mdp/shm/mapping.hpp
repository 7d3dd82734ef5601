// Mapping: a named segment mapped read-only into this process, and the rules for segment names.
//
// Used by readers (subscriber.hpp and anyone who wants less). All that depends on the operating system is in
// the one section marked so. Set-up path: the calls here are system calls.
#pragma once

#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <ctime>
#include <string>
#include <string_view>
#include <utility>

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

// ---- operating system
// -------------------------------------------------------------------------------------------------
namespace detail {

// Tells one segment from another of the same name.
struct SegmentId {
  std::uint64_t device = 0;
  std::uint64_t inode = 0;
  bool operator==(const SegmentId& other) const noexcept {
    return device == other.device && inode == other.inode;
  }
};

struct OsMapping {
  const void* base = nullptr;
  std::size_t size_bytes = 0;
  SegmentId id;
};

inline AttachStatus status_of_errno() noexcept {
  if (errno == ENOENT) return AttachStatus::NotFound;
  return errno == EACCES || errno == EPERM ? AttachStatus::NoPermission : AttachStatus::SystemError;
}

// Opens `name` for reading and looks at it; `fd` is the caller's to close.
inline AttachStatus open_segment(const std::string& name, int& fd, struct stat& info) noexcept {
  const std::string path = "/" + name;
  fd = ::shm_open(path.c_str(), O_RDONLY | O_CLOEXEC, 0);
  if (fd < 0) return status_of_errno();
  if (::fstat(fd, &info) == 0) return AttachStatus::Ok;
  const AttachStatus status = status_of_errno();
  ::close(fd);
  return status;
}

inline AttachStatus map_segment(const std::string& name, OsMapping& out) noexcept {
  int fd = -1;
  struct stat info{};
  AttachStatus status = open_segment(name, fd, info);
  if (status != AttachStatus::Ok) return status;
  const std::size_t size = info.st_size > 0 ? static_cast<std::size_t>(info.st_size) : 0;
  if (size < sizeof(SegmentHeader)) {
    ::close(fd);
    return AttachStatus::NotReady;
  }
  const void* base = ::mmap(nullptr, size, PROT_READ, MAP_SHARED, fd, 0);
  status = base == MAP_FAILED ? status_of_errno() : AttachStatus::Ok;
  ::close(fd);
  if (status != AttachStatus::Ok) return status;
  out.base = base;
  out.size_bytes = size;
  out.id = {static_cast<std::uint64_t>(info.st_dev), static_cast<std::uint64_t>(info.st_ino)};
  return AttachStatus::Ok;
}

inline AttachStatus find_segment(const std::string& name, SegmentId& out) noexcept {
  int fd = -1;
  struct stat info{};
  const AttachStatus status = open_segment(name, fd, info);
  if (status != AttachStatus::Ok) return status;
  ::close(fd);
  out = {static_cast<std::uint64_t>(info.st_dev), static_cast<std::uint64_t>(info.st_ino)};
  return AttachStatus::Ok;
}

// munmap() takes a pointer to mutable memory although it changes none.
inline void unmap_segment(const OsMapping& mapping) noexcept {
  if (mapping.base != nullptr) ::munmap(const_cast<void*>(mapping.base), mapping.size_bytes);
}

inline bool process_exists(std::uint32_t pid) noexcept {
  return ::kill(static_cast<pid_t>(pid), 0) == 0 || errno == EPERM;
}

inline std::int64_t wall_clock_ns() noexcept {
  struct timespec now{};
  ::clock_gettime(CLOCK_REALTIME, &now);
  return std::int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec;
}

}  // namespace detail
// ---- end of operating system
// ------------------------------------------------------------------------------------------

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
  std::int64_t heartbeat_age_ns() const noexcept { return detail::wall_clock_ns() - view_.heartbeat_ns(); }

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
