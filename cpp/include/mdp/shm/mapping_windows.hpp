// Mapping on Windows: OpenFileMapping() and MapViewOfFile(). Included by mapping.hpp alone, and the names by
// the publisher's side (sys/shared_memory_windows.cpp).
//
// The name of a file mapping lives as long as somebody has a handle to it and cannot be taken away. A reader
// that keeps one to a dead publisher's segment would so keep the name from the next publisher. Therefore a
// segment is two objects: a small locator that bears the segment's name and says which number the present
// block has, and the block, named by that number. A new publisher makes a new block and stores its number:
//
//   Local\mdp-NAME        locator: number | size_bytes | pid, 0 | 0       number 0: none yet, or stopped
//   Local\mdp-NAME~417    the segment, here number 417 (numbers are random, so none comes twice)
//
// Handles are closed as soon as a view is there: the view alone keeps the memory.
//
// <windows.h> defines hundreds of macros, so the few functions used are declared here as they stand there; a
// program may include both, in either order.
#pragma once

#ifdef _WIN32

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>

#include "mdp/shm/segment_view.hpp"

namespace mdp::shm::detail {

namespace win32 {
extern "C" {
__declspec(dllimport) void* __stdcall OpenFileMappingA(unsigned long access, int inherit, const char* name);
__declspec(dllimport) void* __stdcall MapViewOfFile(void* mapping, unsigned long access,
                                                    unsigned long offset_high, unsigned long offset_low,
                                                    std::size_t size_bytes);
__declspec(dllimport) int __stdcall UnmapViewOfFile(const void* base);
__declspec(dllimport) void* __stdcall OpenProcess(unsigned long access, int inherit, unsigned long pid);
__declspec(dllimport) unsigned long __stdcall WaitForSingleObject(void* handle, unsigned long milliseconds);
__declspec(dllimport) int __stdcall CloseHandle(void* handle);
__declspec(dllimport) unsigned long __stdcall GetLastError();
}
inline constexpr unsigned long kFileMapRead = 0x0004;  // FILE_MAP_READ
inline constexpr unsigned long kSynchronize = 0x0010'0000;
inline constexpr unsigned long kWaitTimeout = 258;
inline constexpr unsigned long kFileNotFound = 2;
inline constexpr unsigned long kAccessDenied = 5;
}  // namespace win32

// What the object that bears the segment's name holds; the rest of its page is zero.
struct Locator {
  Word number;      // of the present block; stored last
  Word size_bytes;  // of that block
  Word owner_pid;   // of the publisher that owns the name
  Word reserved;
};
static_assert(sizeof(Locator) == 32 && std::is_standard_layout_v<Locator>);

inline constexpr std::size_t kLocatorBytes = 4096;

// The session's own name space: creating names in Global\ takes a privilege.
inline std::string locator_name(const std::string& segment) { return "Local\\mdp-" + segment; }
// '~' is in no segment name, so nothing else is named like this.
inline std::string block_name(const std::string& segment, std::uint64_t number) {
  return locator_name(segment) + "~" + std::to_string(number);
}

// Tells one segment from another of the same name.
struct SegmentId {
  std::uint64_t number = 0;
  bool operator==(const SegmentId& other) const noexcept { return number == other.number; }
};

struct OsMapping {
  const void* base = nullptr;
  std::size_t size_bytes = 0;
  SegmentId id;
};

inline AttachStatus status_of_last_error() noexcept {
  const unsigned long error = win32::GetLastError();
  if (error == win32::kFileNotFound) return AttachStatus::NotFound;
  return error == win32::kAccessDenied ? AttachStatus::NoPermission : AttachStatus::SystemError;
}

// Maps `size_bytes` of the object `object_name` for reading; fails if it is shorter.
inline AttachStatus map_object(const std::string& object_name, std::size_t size_bytes,
                               const void*& base) noexcept {
  void* handle = win32::OpenFileMappingA(win32::kFileMapRead, 0, object_name.c_str());
  if (handle == nullptr) return status_of_last_error();
  base = win32::MapViewOfFile(handle, win32::kFileMapRead, 0, 0, size_bytes);
  // A view longer than its object is "access denied": here that is a locator that lies, not a permission.
  const AttachStatus status = base != nullptr ? AttachStatus::Ok : AttachStatus::SystemError;
  win32::CloseHandle(handle);
  return status;
}

// The present block's number and size, by the locator. NotReady: there is none yet.
inline AttachStatus locate(const std::string& name, SegmentId& id, std::uint64_t& size_bytes) {
  const void* base = nullptr;
  const AttachStatus status = map_object(locator_name(name), kLocatorBytes, base);
  if (status != AttachStatus::Ok) return status;
  const auto& locator = *static_cast<const Locator*>(base);
  // acquire: the size is of this number or a later one; pairs with the release store in
  // SharedMemory::create().
  id.number = locator.number.load(std::memory_order_acquire);
  // relaxed: after the acquire load above. A block of another size is refused when it is mapped.
  size_bytes = locator.size_bytes.load(std::memory_order_relaxed);
  win32::UnmapViewOfFile(base);
  return id.number != 0 ? AttachStatus::Ok : AttachStatus::NotReady;
}

inline AttachStatus map_segment(const std::string& name, OsMapping& out) {
  std::uint64_t size = 0;
  AttachStatus status = locate(name, out.id, size);
  if (status != AttachStatus::Ok) return status;
  if (size < sizeof(SegmentHeader)) return AttachStatus::NotReady;
  const void* base = nullptr;
  status = map_object(block_name(name, out.id.number), static_cast<std::size_t>(size), base);
  if (status != AttachStatus::Ok) return status;
  out.base = base;
  out.size_bytes = static_cast<std::size_t>(size);
  return AttachStatus::Ok;
}

inline AttachStatus find_segment(const std::string& name, SegmentId& out) {
  std::uint64_t size = 0;
  return locate(name, out, size);
}

inline void unmap_segment(const OsMapping& mapping) noexcept {
  if (mapping.base != nullptr) win32::UnmapViewOfFile(mapping.base);
}

inline bool process_exists(std::uint32_t pid) noexcept {
  void* process = win32::OpenProcess(win32::kSynchronize, 0, pid);
  if (process == nullptr) return win32::GetLastError() == win32::kAccessDenied;
  // A process that ended is still an object while somebody has it open.
  const bool runs = win32::WaitForSingleObject(process, 0) == win32::kWaitTimeout;
  win32::CloseHandle(process);
  return runs;
}

inline std::int64_t wall_clock_ns() noexcept {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

}  // namespace mdp::shm::detail

#endif  // _WIN32
