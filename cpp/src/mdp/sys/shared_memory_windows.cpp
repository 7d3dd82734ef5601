// SharedMemory on Windows: a named file mapping in the paging file, with the existence of a named mutex as
// the proof of ownership.
//
// The kernel closes a process's handles when it ends, however it ends, and an object without handles is gone:
// so the mutex exists exactly as long as its owner runs. It is never locked: a locked mutex belongs to a
// thread, and the thread that starts a publisher may end before it. The block itself lives on while a reader
// maps it, and its name while a reader has it open; the next publisher's block has another.
// mdp/shm/mapping_windows.hpp draws that.
#define WIN32_LEAN_AND_MEAN
#define NOMINMAX
#include <windows.h>

#include <memory>
#include <random>
#include <utility>

#include "mdp/core/error.hpp"
#include "mdp/core/log.hpp"
#include "mdp/shm/mapping.hpp"
#include "mdp/sys/shared_memory.hpp"

namespace mdp::sys {

struct SharedMemory::WindowsOwnership final : Ownership {
  HANDLE owner_mutex = nullptr;
  HANDLE locator = nullptr;
  shm::detail::Locator* locator_view = nullptr;
  HANDLE block = nullptr;
  void* block_view = nullptr;

  ~WindowsOwnership() override {
    // release: what this publisher stored is complete before the name leads nowhere; pairs with the acquire
    // load in locate(). Needed because a reader that is looking at the locator right now keeps it alive.
    if (locator_view != nullptr) locator_view->number.store(0, std::memory_order_release);
    if (block_view != nullptr) ::UnmapViewOfFile(block_view);
    if (block != nullptr) ::CloseHandle(block);
    if (locator_view != nullptr) ::UnmapViewOfFile(locator_view);
    if (locator != nullptr) ::CloseHandle(locator);
    if (owner_mutex != nullptr) ::CloseHandle(owner_mutex);  // last: from here on the name is free
  }
  // Nobody can take away the name of an object that somebody has open.
  bool name_is_ours() const noexcept override { return true; }
};

namespace {

// Another starter that looks whether the name is free holds the mutex for microseconds; waiting 1 ms this
// often is ample.
constexpr int kOwnAttempts = 200;

[[noreturn]] void fail(const std::string& name, const std::string& what) {
  throw SegmentError("segment \"" + name + "\": " + what);
}

[[noreturn]] void fail_code(const std::string& name, const std::string& what, DWORD code) {
  fail(name, what + ": Windows error " + std::to_string(code));
}

std::string owner_name(const std::string& name) { return shm::detail::locator_name(name) + "~owner"; }

// The pid the present owner wrote into the locator; 0: it has not yet.
std::uint32_t stored_pid(const std::string& name) {
  const void* base = nullptr;
  if (shm::detail::map_object(shm::detail::locator_name(name), shm::detail::kLocatorBytes, base) !=
      shm::AttachStatus::Ok) {
    return 0;
  }
  // relaxed: a number for a message, orders nothing; pairs with the store in publish_locator().
  const auto pid = static_cast<const shm::detail::Locator*>(base)->owner_pid.load(std::memory_order_relaxed);
  ::UnmapViewOfFile(base);
  return static_cast<std::uint32_t>(pid);
}

HANDLE own_name(const std::string& name) {
  std::uint32_t owner_pid = 0;
  for (int attempt = 0; attempt < kOwnAttempts; ++attempt) {
    HANDLE mutex = ::CreateMutexA(nullptr, FALSE, owner_name(name).c_str());
    const DWORD code = ::GetLastError();
    if (mutex != nullptr && code != ERROR_ALREADY_EXISTS) return mutex;
    if (mutex == nullptr && code != ERROR_ACCESS_DENIED) fail_code(name, "cannot own the name", code);
    if (mutex != nullptr) ::CloseHandle(mutex);
    owner_pid = stored_pid(name);
    if (owner_pid != 0 && shm::detail::process_exists(owner_pid)) {
      fail(name, "it is owned by the running process " + std::to_string(owner_pid) +
                     ": stop that one, or give this one another segment name");
    }
    // Owned, and the pid is not written yet or is that of the dead: somebody is starting, or looking as we
    // do.
    ::Sleep(1);
  }
  fail(name, "another process holds it (its pid, " + std::to_string(owner_pid) +
                 ", is not a running one): choose another name");
}

HANDLE create_object(const std::string& name, const std::string& object, std::uint64_t size_bytes) {
  HANDLE handle = ::CreateFileMappingA(INVALID_HANDLE_VALUE, nullptr, PAGE_READWRITE | SEC_COMMIT,
                                       static_cast<DWORD>(size_bytes >> 32), static_cast<DWORD>(size_bytes),
                                       object.c_str());
  if (handle == nullptr) {
    fail_code(name, "cannot get " + std::to_string(size_bytes) + " bytes of shared memory", ::GetLastError());
  }
  return handle;
}

void* map_writable(const std::string& name, HANDLE object, std::size_t size_bytes) {
  void* base = ::MapViewOfFile(object, FILE_MAP_READ | FILE_MAP_WRITE, 0, 0, size_bytes);
  if (base == nullptr) fail_code(name, "cannot map it", ::GetLastError());
  return base;
}

// A new block under a number that no earlier one had: a reader that still maps an earlier one tells by it
// that its own is over, and may or may not keep that one's name alive.
std::uint64_t create_block(const std::string& name, std::size_t size_bytes, HANDLE& block) {
  std::random_device random;
  for (;;) {
    const std::uint64_t number = (std::uint64_t{random()} << 32) | random();
    if (number == 0) continue;
    block = create_object(name, shm::detail::block_name(name, number), size_bytes);
    if (::GetLastError() != ERROR_ALREADY_EXISTS) return number;
    ::CloseHandle(std::exchange(block, nullptr));
  }
}

// Touches every page now, so that none is faulted in on the road.
void prefault(void* base, std::size_t size_bytes) {
  auto* bytes = static_cast<volatile unsigned char*>(base);
  for (std::size_t at = 0; at < size_bytes; at += 4096) bytes[at] = 0;
}

// The working set must have room for what is locked.
bool lock_pages(void* base, std::size_t size_bytes) {
  SIZE_T minimum = 0;
  SIZE_T maximum = 0;
  const HANDLE self = ::GetCurrentProcess();
  return ::GetProcessWorkingSetSize(self, &minimum, &maximum) != 0 &&
         ::SetProcessWorkingSetSize(self, minimum + size_bytes, maximum + size_bytes) != 0 &&
         ::VirtualLock(base, size_bytes) != 0;
}

}  // namespace

std::uint32_t process_id() noexcept { return ::GetCurrentProcessId(); }

SharedMemory SharedMemory::create(const SharedMemoryConfig& config, SharedMemory* predecessor) {
  if (predecessor != nullptr) fail(config.name, "its name cannot have been taken away; this is a bug");
  if (!shm::valid_segment_name(config.name)) {
    throw SegmentError("segment name \"" + config.name +
                       "\": allowed are 1 to 200 of A-Z a-z 0-9 . _ - without a leading dot");
  }
  if (config.size_bytes == 0) fail(config.name, "its size must be at least 1 byte, found 0");
  if (!config.group.empty()) {
    fail(config.name, "group is \"" + config.group +
                          "\", but Windows segments belong to the user's session: leave it empty");
  }
  auto own = std::make_unique<WindowsOwnership>();
  own->owner_mutex = own_name(config.name);
  // The locator may exist: a reader may be looking at the one of a dead owner at this moment.
  own->locator =
      create_object(config.name, shm::detail::locator_name(config.name), shm::detail::kLocatorBytes);
  own->locator_view =
      static_cast<shm::detail::Locator*>(map_writable(config.name, own->locator, shm::detail::kLocatorBytes));
  shm::detail::Locator& locator = *own->locator_view;
  // release, both: who sees the pid of this owner does not see its predecessor's number; pairs with the loads
  // in locate() and stored_pid().
  locator.number.store(0, std::memory_order_release);
  locator.owner_pid.store(process_id(), std::memory_order_release);

  const std::uint64_t number = create_block(config.name, config.size_bytes, own->block);
  own->block_view = map_writable(config.name, own->block, config.size_bytes);
  prefault(own->block_view, config.size_bytes);

  SharedMemory memory;
  if (config.lock_memory) {
    memory.locked_ = lock_pages(own->block_view, config.size_bytes);
    if (!memory.locked_) {
      core::log(core::LogLevel::Warning,
                "segment.not_locked name=" + config.name + " error=" + std::to_string(::GetLastError()));
    }
  }
  if (config.huge_pages) {
    core::log(core::LogLevel::Warning,
              "segment.no_huge_pages name=" + config.name + " reason=\"not supported on Windows\"");
  }
  locator.size_bytes.store(config.size_bytes,
                           std::memory_order_relaxed);  // relaxed: the next store publishes it
  // release: the block is there and zero for who sees its number; pairs with the acquire load in locate().
  locator.number.store(number, std::memory_order_release);

  memory.name_ = config.name;
  memory.data_ = own->block_view;
  memory.size_bytes_ = config.size_bytes;
  memory.ownership_ = std::move(own);
  return memory;
}

}  // namespace mdp::sys
