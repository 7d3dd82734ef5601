// SharedMemory on Windows: a named file mapping in the paging file, with the existence of a named mutex as
// the proof of ownership.
//
// The name of a file mapping lives as long as somebody has a handle to it and cannot be taken away. A reader
// that keeps one to a dead publisher's segment would so keep the name from the next publisher. Therefore a
// segment is two objects: a small locator that bears the segment's name and says which number the present
// block has, and the block, named by that number. A new publisher makes a new block and stores its number:
//
//   Local\mdp-NAME              locator: number | size_bytes | pid, 0 | 0    number 0: none yet, or stopped
//   Local\mdp-NAME~417          the segment, here number 417 (numbers are random, so none comes twice)
//   Local\mdp-NAME~417~alive    an event: exists for as long as the publisher of that block
//   Local\mdp-NAME~owner        a mutex: exists for as long as somebody owns the name
//
// The kernel closes a process's handles when it ends, however it ends, and an object without handles is gone:
// so the mutex and the event exist exactly as long as their owner runs. The mutex is never locked: a locked
// mutex belongs to a thread, and the thread that starts a publisher may end before it. Readers ask for the
// event, not for the mutex: to look at an object is to have it open, and an open mutex would keep a name from
// the next publisher. The block itself lives on while a reader maps it; the next publisher's has another
// number.
#define WIN32_LEAN_AND_MEAN
#define NOMINMAX
#include <windows.h>

#include <memory>
#include <random>
#include <type_traits>
#include <utility>

#include "mdp/core/error.hpp"
#include "mdp/core/log.hpp"
#include "mdp/shm/mapping.hpp"
#include "mdp/sys/shared_memory.hpp"

namespace mdp::sys {

namespace {

// What the object that bears the segment's name holds; the rest of its page is zero.
struct Locator {
  shm::Word number;      // of the present block; stored last
  shm::Word size_bytes;  // of that block
  shm::Word owner_pid;   // of the publisher that owns the name
  shm::Word reserved;
};
static_assert(sizeof(Locator) == 32 && std::is_standard_layout_v<Locator>);

}  // namespace

struct SharedMemory::WindowsOwnership final : Ownership {
  HANDLE owner_mutex = nullptr;
  HANDLE locator = nullptr;
  Locator* locator_view = nullptr;
  HANDLE block = nullptr;
  HANDLE alive = nullptr;
  void* block_view = nullptr;

  ~WindowsOwnership() override {
    // release: what this publisher stored is complete before the name leads nowhere; pairs with the acquire
    // load in mdp_shm_win_locate(). Needed because a reader that is looking at the locator right now keeps it
    // alive.
    if (locator_view != nullptr) locator_view->number.store(0, std::memory_order_release);
    if (block_view != nullptr) ::UnmapViewOfFile(block_view);
    if (block != nullptr) ::CloseHandle(block);
    if (alive != nullptr) ::CloseHandle(alive);
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

std::string locator_name(const std::string& name) {
  char text[MDP_SHM_WIN_NAME_BYTES];
  mdp_shm_win_name(text, name.c_str(), 0);
  return text;
}
std::string block_name(const std::string& name, std::uint64_t number) {
  char text[MDP_SHM_WIN_NAME_BYTES];
  mdp_shm_win_name(text, name.c_str(), number);
  return text;
}
std::string alive_name(const std::string& name, std::uint64_t number) {
  char text[MDP_SHM_WIN_NAME_BYTES];
  mdp_shm_win_alive_name(text, name.c_str(), number);
  return text;
}
std::string owner_name(const std::string& name) { return locator_name(name) + "~owner"; }

// The pid the present owner wrote into the locator; 0: it has not yet.
std::uint32_t stored_pid(const std::string& name) {
  const void* base = nullptr;
  if (mdp_shm_win_map(locator_name(name).c_str(), MDP_SHM_WIN_LOCATOR_BYTES, &base) != MDP_SHM_ATTACH_OK) {
    return 0;
  }
  // relaxed: a number for a message, orders nothing; pairs with the store in create().
  const auto pid = static_cast<const Locator*>(base)->owner_pid.load(std::memory_order_relaxed);
  ::UnmapViewOfFile(base);
  return static_cast<std::uint32_t>(pid);
}

bool process_exists(std::uint32_t pid) {
  const HANDLE process = ::OpenProcess(SYNCHRONIZE, FALSE, pid);
  if (process == nullptr) return ::GetLastError() == ERROR_ACCESS_DENIED;
  // A process that ended is still an object while somebody has it open.
  const bool runs = ::WaitForSingleObject(process, 0) == WAIT_TIMEOUT;
  ::CloseHandle(process);
  return runs;
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
    if (owner_pid != 0 && process_exists(owner_pid)) {
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
    block = create_object(name, block_name(name, number), size_bytes);
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
  own->locator = create_object(config.name, locator_name(config.name), MDP_SHM_WIN_LOCATOR_BYTES);
  own->locator_view =
      static_cast<Locator*>(map_writable(config.name, own->locator, MDP_SHM_WIN_LOCATOR_BYTES));
  Locator& locator = *own->locator_view;
  // release, both: who sees the pid of this owner does not see its predecessor's number; pairs with the loads
  // in mdp_shm_win_locate() and stored_pid().
  locator.number.store(0, std::memory_order_release);
  locator.owner_pid.store(process_id(), std::memory_order_release);

  const std::uint64_t number = create_block(config.name, config.size_bytes, own->block);
  own->alive = ::CreateEventA(nullptr, TRUE, FALSE, alive_name(config.name, number).c_str());
  if (own->alive == nullptr) fail_code(config.name, "cannot make its sign of life", ::GetLastError());
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
  // release: the block is there and zero for who sees its number; pairs with the acquire load in
  // mdp_shm_win_locate().
  locator.number.store(number, std::memory_order_release);

  memory.name_ = config.name;
  memory.data_ = own->block_view;
  memory.size_bytes_ = config.size_bytes;
  memory.ownership_ = std::move(own);
  return memory;
}

}  // namespace mdp::sys
