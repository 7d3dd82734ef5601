// SharedMemory: a named block of shared memory that this process created and owns.
//
// Used by publish::SegmentWriter at start and stop. One file per platform implements it
// (shared_memory_posix.cpp); nothing of the operating system shows here. Readers map segments with
// mdp/shm/mapping.hpp instead.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

namespace mdp::sys {

// The number of this process.
std::uint32_t process_id() noexcept;

struct SharedMemoryConfig {
  std::string name;            // without a slash; the caller has checked its spelling
  std::size_t size_bytes = 0;  // at least 1
  std::uint32_t mode = 0640;   // permission bits, whatever the umask
  std::string group;           // name of the group to give it to; empty: the process's own
  // Where in the block its owner's pid (u32, little-endian) will stand: what a second owner is told. Nothing
  // else is ever read from a block that is not ours.
  std::size_t pid_offset = 0;
};

// Owned means: locked by the kernel for as long as this object or its process lives, so a name has one owner
// at a time and the death of an owner, however sudden, frees the name. (A child forked without exec shares
// the lock: it must exec or end with its parent.) Not thread-safe; the memory itself is.
class SharedMemory {
 public:
  SharedMemory() = default;

  // Creates the block: zeroed, backed by memory that is really there, mapped readable and writable. A block
  // left by a dead owner is unlinked and a new one made, so that whoever still maps the old one keeps reading
  // it unharmed. Throws SegmentError: the name is owned by a live process (its pid is named), there is not
  // enough memory, no permission, no such group.
  static SharedMemory create(const SharedMemoryConfig& config);

  // Unlinks the name (unless it no longer leads here, or this is a forked child), unmaps, gives up ownership.
  ~SharedMemory() { close(); }
  void close() noexcept;

  SharedMemory(SharedMemory&& other) noexcept;
  SharedMemory& operator=(SharedMemory&& other) noexcept;
  SharedMemory(const SharedMemory&) = delete;
  SharedMemory& operator=(const SharedMemory&) = delete;

  bool is_open() const noexcept { return data_ != nullptr; }
  void* data() const noexcept { return data_; }
  std::size_t size_bytes() const noexcept { return size_bytes_; }
  const std::string& name() const noexcept { return name_; }

 private:
  std::string name_;
  void* data_ = nullptr;
  std::size_t size_bytes_ = 0;
  std::intptr_t handle_ = -1;  // the descriptor that holds the lock
  std::uint32_t owner_pid_ = 0;
};

}  // namespace mdp::sys
