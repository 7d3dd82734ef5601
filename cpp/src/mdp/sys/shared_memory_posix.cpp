// SharedMemory on POSIX: shm_open, with flock on the descriptor as the proof of ownership.
//
// The kernel drops the lock when its holder dies, however it dies, so there is no stale lock and no pid to
// mistake for another process's. Whoever holds the lock of the inode a name leads to may unlink the name;
// nobody else does. A name therefore changes hands like this: lock the old inode, see that the name still
// leads to it, unlink, create, lock.
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <ctime>
#include <optional>
#include <utility>
#include <vector>

#include "mdp/core/error.hpp"
#include "mdp/sys/shared_memory.hpp"

namespace mdp::sys {
namespace {

// A stale block is held for microseconds by whoever replaces it; waiting 1 ms this often is ample.
constexpr int kReplaceAttempts = 200;

class Descriptor {
 public:
  explicit Descriptor(int fd) noexcept : fd_(fd) {}
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  Descriptor& operator=(Descriptor&&) = delete;

  int get() const noexcept { return fd_; }
  int release() noexcept { return std::exchange(fd_, -1); }
  explicit operator bool() const noexcept { return fd_ >= 0; }

 private:
  int fd_;
};

[[noreturn]] void fail(const std::string& name, const std::string& what) {
  throw SegmentError("segment \"" + name + "\": " + what);
}

[[noreturn]] void fail_errno(const std::string& name, const std::string& what, int error) {
  fail(name, what + ": " + std::strerror(error));
}

std::string path_of(const std::string& name) { return "/" + name; }

Descriptor open_existing(const std::string& name, int access) {
  return Descriptor(::shm_open(path_of(name).c_str(), access | O_CLOEXEC, 0));
}

bool try_lock(const Descriptor& block) { return ::flock(block.get(), LOCK_EX | LOCK_NB) == 0; }

// Whether `name` still leads to the inode that `fd` has open.
bool name_leads_to(const std::string& name, int fd) {
  const Descriptor present = open_existing(name, O_RDONLY);
  struct stat ours{};
  struct stat theirs{};
  return present && ::fstat(fd, &ours) == 0 && ::fstat(present.get(), &theirs) == 0 &&
         ours.st_dev == theirs.st_dev && ours.st_ino == theirs.st_ino;
}

std::uint32_t stored_pid(const Descriptor& block, std::size_t offset) {
  std::uint32_t pid = 0;
  const ssize_t got = ::pread(block.get(), &pid, sizeof(pid), static_cast<off_t>(offset));
  return got == static_cast<ssize_t>(sizeof(pid)) ? pid : 0;
}

bool process_exists(std::uint32_t pid) {
  return pid != 0 && (::kill(static_cast<pid_t>(pid), 0) == 0 || errno == EPERM);
}

void wait_a_moment() {
  const struct timespec moment{0, 1'000'000};
  ::nanosleep(&moment, nullptr);
}

// What became of one attempt to clear the way for a new block.
enum class Clearing { Free, TryAgain, Owned };

// Unlinks what a dead owner left under `name`. Owned: somebody holds the lock; `owner_pid` is what the block
// says.
Clearing clear_stale(const SharedMemoryConfig& config, std::uint32_t& owner_pid) {
  const Descriptor old = open_existing(config.name, O_RDWR);
  if (!old) {
    if (errno == ENOENT) return Clearing::Free;
    if (errno == EACCES) {
      fail(config.name,
           "it exists and belongs to another user: choose another name or remove /dev/shm/" + config.name);
    }
    fail_errno(config.name, "cannot open the block that exists under this name", errno);
  }
  if (!try_lock(old)) {
    owner_pid = stored_pid(old, config.pid_offset);
    return Clearing::Owned;
  }
  // Another process may have replaced it between our open and our lock: then the lock is of a block without a
  // name.
  if (!name_leads_to(config.name, old.get())) return Clearing::TryAgain;
  ::shm_unlink(path_of(config.name).c_str());
  return Clearing::Free;
}

// A new, locked, empty block under `name`, or none if somebody was quicker.
std::optional<Descriptor> create_locked(const SharedMemoryConfig& config) {
  Descriptor block(
      ::shm_open(path_of(config.name).c_str(), O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, config.mode & 0777));
  if (!block) {
    if (errno == EEXIST) return std::nullopt;
    fail_errno(config.name, "cannot create it", errno);
  }
  // Between creation and lock another starter can take it for stale, lock and unlink it: then it is no longer
  // ours.
  if (!try_lock(block) || !name_leads_to(config.name, block.get())) return std::nullopt;
  return block;
}

Descriptor acquire_name(const SharedMemoryConfig& config) {
  std::uint32_t owner_pid = 0;
  for (int attempt = 0; attempt < kReplaceAttempts; ++attempt) {
    if (auto block = create_locked(config)) return std::move(*block);
    if (clear_stale(config, owner_pid) != Clearing::Owned) continue;
    if (process_exists(owner_pid)) {
      fail(config.name, "it is owned by the running process " + std::to_string(owner_pid) +
                            ": stop that one, or give this one another segment name");
    }
    // Locked, and its pid is not written yet or is that of the dead: another process is starting at this
    // moment.
    wait_a_moment();
  }
  fail(config.name, "another process holds it (its pid, " + std::to_string(owner_pid) +
                        ", is not a running one here): find it with fuser /dev/shm/" + config.name +
                        ", or choose another name");
}

gid_t group_id(const SharedMemoryConfig& config) {
  std::vector<char> buffer(16 * 1024);
  struct group entry{};
  struct group* found = nullptr;
  const int error = ::getgrnam_r(config.group.c_str(), &entry, buffer.data(), buffer.size(), &found);
  if (found == nullptr) {
    fail(config.name, "there is no group \"" + config.group + "\"" +
                          (error != 0 ? std::string(": ") + std::strerror(error) : std::string()));
  }
  return found->gr_gid;
}

void set_permissions(const SharedMemoryConfig& config, const Descriptor& block) {
  if (!config.group.empty() && ::fchown(block.get(), static_cast<uid_t>(-1), group_id(config)) != 0) {
    fail_errno(config.name, "cannot give it to group \"" + config.group + "\" (are you a member?)", errno);
  }
  // After the owner changes, and again although shm_open had it: the umask took bits away.
  if (::fchmod(block.get(), config.mode & 0777) != 0)
    fail_errno(config.name, "cannot set its permissions", errno);
}

// Gives the block its size and the memory for it now: a full /dev/shm is an error here, not a SIGBUS on the
// road.
void allocate(const SharedMemoryConfig& config, const Descriptor& block) {
  const auto size = static_cast<off_t>(config.size_bytes);
  if (::ftruncate(block.get(), size) != 0) fail_errno(config.name, "cannot set its size", errno);
  int error = 0;
  do {
    error = ::posix_fallocate(block.get(), 0, size);
  } while (error == EINTR);
  if (error != 0) {
    fail(config.name, "cannot get " + std::to_string(config.size_bytes) + " bytes of shared memory (" +
                          std::strerror(error) + "): free some in /dev/shm, or make the ring smaller");
  }
}

void* map(const SharedMemoryConfig& config, const Descriptor& block) {
  int flags = MAP_SHARED;
#ifdef MAP_POPULATE
  flags |= MAP_POPULATE;  // no page fault on the road
#endif
  void* data = ::mmap(nullptr, config.size_bytes, PROT_READ | PROT_WRITE, flags, block.get(), 0);
  if (data == MAP_FAILED) fail_errno(config.name, "cannot map it", errno);
  return data;
}

}  // namespace

std::uint32_t process_id() noexcept { return static_cast<std::uint32_t>(::getpid()); }

SharedMemory SharedMemory::create(const SharedMemoryConfig& config) {
  if (config.name.empty() || config.name.find('/') != std::string::npos) {
    throw SegmentError("segment name \"" + config.name + "\": must not be empty or contain a slash");
  }
  if (config.size_bytes == 0) fail(config.name, "its size must be at least 1 byte, found 0");
  Descriptor block = acquire_name(config);
  SharedMemory memory;
  try {
    set_permissions(config, block);
    allocate(config, block);
    memory.data_ = map(config, block);
  } catch (...) {
    ::shm_unlink(path_of(config.name).c_str());  // ours: we hold its lock
    throw;
  }
  memory.name_ = config.name;
  memory.size_bytes_ = config.size_bytes;
  memory.owner_pid_ = process_id();
  memory.handle_ = block.release();
  return memory;
}

void SharedMemory::close() noexcept {
  if (data_ == nullptr) return;
  const int fd = static_cast<int>(handle_);
  // A forked child has a copy of this object but not the ownership. And somebody may have removed the file by
  // hand, in which case the name may be another's by now.
  const bool ours = owner_pid_ == process_id();
  if (ours && name_leads_to(name_, fd)) ::shm_unlink(path_of(name_).c_str());
  ::munmap(data_, size_bytes_);
  ::close(fd);
  data_ = nullptr;
  size_bytes_ = 0;
  handle_ = -1;
}

SharedMemory::SharedMemory(SharedMemory&& other) noexcept
    : name_(std::move(other.name_)),
      data_(std::exchange(other.data_, nullptr)),
      size_bytes_(std::exchange(other.size_bytes_, 0)),
      handle_(std::exchange(other.handle_, -1)),
      owner_pid_(other.owner_pid_) {}

SharedMemory& SharedMemory::operator=(SharedMemory&& other) noexcept {
  if (this != &other) {
    close();
    name_ = std::move(other.name_);
    data_ = std::exchange(other.data_, nullptr);
    size_bytes_ = std::exchange(other.size_bytes_, 0);
    handle_ = std::exchange(other.handle_, -1);
    owner_pid_ = other.owner_pid_;
  }
  return *this;
}

}  // namespace mdp::sys
