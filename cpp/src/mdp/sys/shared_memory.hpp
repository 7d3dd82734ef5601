// SharedMemory: a named block of shared memory that this process created and owns.
//
// Used by publish::SegmentWriter at start and stop. One file per platform implements it
// (shared_memory_posix.cpp, shared_memory_windows.cpp); nothing of the operating system shows here. Readers
// map segments with mdp/shm/mapping.hpp instead.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>

namespace mdp::sys {

// The number of this process.
std::uint32_t process_id() noexcept;

struct SharedMemoryConfig {
  std::string name;            // without a slash; the caller has checked its spelling
  std::size_t size_bytes = 0;  // at least 1
  std::uint32_t mode = 0640;   // permission bits, whatever the umask; Windows has none and ignores them
  std::string group;  // name of the group to give it to; empty: the process's own, and always on Windows
  // Wishes. Where the system refuses one, a warning says so and how to allow it, and the block works without.
  bool lock_memory = false;  // never swapped out: mlock(), VirtualLock()
  bool huge_pages =
      false;  // pages of 2 MiB, where /dev/shm is mounted with huge=advise (or within_size, always)
};

// Owned means: the kernel keeps a lock of its name for as long as this object or its process lives, so a name
// has one owner at a time and the death of an owner, however sudden, frees the name. Nobody who may only read
// the block can hold that lock. A forked child still maps the memory
// but owns nothing: it neither keeps the name from the next owner nor unlinks it. Not thread-safe; the memory
// itself is.
class SharedMemory {
 public:
  SharedMemory() = default;

  // Creates the block: zeroed, backed by memory that is really there, mapped readable and writable, no page
  // of it still to be faulted in. A block left by a dead owner is not touched: its name goes to a new one,
  // and whoever still maps the old one keeps reading it unharmed. Throws SegmentError: the name is owned by a
  // live process (its pid is named) or taken by what is not ours (it is said what), there is not enough
  // memory, no permission, no such group.
  //
  // With a `predecessor` of the same name and process, whose name may have been taken away from outside, the
  // new block has the name from here on, and the old one is memory without a name.
  static SharedMemory create(const SharedMemoryConfig& config, SharedMemory* predecessor = nullptr);

  // Unlinks the name (unless it no longer leads here, or this is a forked child), unmaps, gives up ownership.
  ~SharedMemory() = default;
  void close() noexcept { *this = SharedMemory(); }

  SharedMemory(SharedMemory&& other) noexcept { swap(other); }
  SharedMemory& operator=(SharedMemory&& other) noexcept {
    SharedMemory(std::move(other)).swap(*this);
    return *this;
  }
  SharedMemory(const SharedMemory&) = delete;
  SharedMemory& operator=(const SharedMemory&) = delete;

  bool is_open() const noexcept { return data_ != nullptr; }
  void* data() const noexcept { return data_; }
  std::size_t size_bytes() const noexcept { return size_bytes_; }
  const std::string& name() const noexcept { return name_; }
  // Whether the name still leads here, and is still locked. Not so once somebody has removed or replaced the
  // files of it, which the owner hears of in no other way. Some system calls; any thread.
  bool name_is_ours() const noexcept { return ownership_ != nullptr && ownership_->name_is_ours(); }
  // What became of the wishes. Huge: at least one page of it is.
  bool locked() const noexcept { return locked_; }
  bool huge_pages() const noexcept { return huge_pages_; }

 private:
  // What the operating system gave. Its destruction gives all of it back, the name last.
  struct Ownership {
    Ownership() = default;
    virtual ~Ownership() = default;
    virtual bool name_is_ours() const noexcept = 0;
    Ownership(const Ownership&) = delete;
    Ownership& operator=(const Ownership&) = delete;
  };
  struct PosixOwnership;
  struct WindowsOwnership;

  void swap(SharedMemory& other) noexcept {
    std::swap(name_, other.name_);
    std::swap(data_, other.data_);
    std::swap(size_bytes_, other.size_bytes_);
    std::swap(locked_, other.locked_);
    std::swap(huge_pages_, other.huge_pages_);
    std::swap(ownership_, other.ownership_);
  }

  std::string name_;
  void* data_ = nullptr;
  std::size_t size_bytes_ = 0;
  bool locked_ = false;
  bool huge_pages_ = false;
  std::unique_ptr<Ownership> ownership_;
};

}  // namespace mdp::sys
