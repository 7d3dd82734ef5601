// Mapping on POSIX: shm_open() and mmap(). Included by mapping.hpp alone, whose file comment explains.
#pragma once

#ifndef _WIN32

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

#include "mdp/shm/segment_view.hpp"

namespace mdp::shm::detail {

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

}  // namespace mdp::shm::detail

#endif  // !_WIN32
