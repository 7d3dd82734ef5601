// SharedMemory on POSIX: shm_open, with flock on the descriptor as the proof of ownership.
//
// The kernel drops the lock when its holder dies, however it dies, so there is no stale lock and no pid to
// mistake for another process's. Whoever holds the lock of the inode a name leads to may unlink the name;
// nobody else does. A name therefore changes hands like this: lock the old inode, see that the name still
// leads to it, unlink, create, lock.
//
// flock belongs to the open file, which a forked child shares: a child that outlives its parent (Python's
// multiprocessing, a daemon started without exec) would keep the name. So a fork handler closes the
// descriptor in the child; the parent keeps the lock, and it ends with the parent. The other kinds of lock
// don't do: classic fcntl() locks are lost when the process closes any descriptor of the file, which a reader
// in it does, and open-file-description locks are inherited like flock. (A child made by a bare clone() runs
// no handlers and shares the lock.)
#include <fcntl.h>
#include <grp.h>
#include <pthread.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cinttypes>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

#include "mdp/core/error.hpp"
#include "mdp/core/log.hpp"
#include "mdp/sys/shared_memory.hpp"

namespace mdp::sys {
namespace {

// A stale block is held for microseconds by whoever replaces it; waiting 1 ms this often is ample.
constexpr int kReplaceAttempts = 200;

// The descriptors that hold a lock, so that a forked child can close its copies. They are opened and closed
// under the mutex, which fork() takes too: no child is made between an open and its entry here.
class LockHolders {
 public:
  static LockHolders& instance() {
    static auto* holders = new LockHolders;  // never destroyed: a thread may fork while the process ends
    return *holders;
  }
  // Opens a descriptor by `open()` and notes it.
  template <class Open>
  int opened(Open&& open) {
    const std::lock_guard lock(mutex_);
    descriptors_.reserve(descriptors_.size() +
                         1);  // so that push_back() does not throw with a descriptor open
    const int fd = open();
    if (fd >= 0) descriptors_.push_back(fd);
    return fd;
  }
  void close(int fd) noexcept {
    const std::lock_guard lock(mutex_);
    std::erase(descriptors_, fd);
    ::close(fd);
  }

 private:
  LockHolders() { ::pthread_atfork(&before_fork, &in_parent, &in_child); }
  static void before_fork() { instance().mutex_.lock(); }
  static void in_parent() { instance().mutex_.unlock(); }
  // Async-signal-safe, as the child of a process with threads has to be.
  static void in_child() {
    for (const int fd : instance().descriptors_) ::close(fd);
    instance().descriptors_.clear();
    instance().mutex_.unlock();
  }

  std::mutex mutex_;
  std::vector<int> descriptors_;
};

class Descriptor {
 public:
  explicit Descriptor(int fd) noexcept : fd_(fd) {}
  // One that LockHolders::opened() opened.
  static Descriptor lock_holder(int fd) noexcept {
    Descriptor holder(fd);
    holder.holder_pid_ = ::getpid();
    return holder;
  }
  ~Descriptor() {
    if (fd_ < 0) return;
    if (holder_pid_ == 0) {
      ::close(fd_);
    } else if (holder_pid_ ==
               ::getpid()) {  // in a forked child it is closed, and its number may be another file's
      LockHolders::instance().close(fd_);
    }
  }
  Descriptor(Descriptor&& other) noexcept
      : fd_(std::exchange(other.fd_, -1)), holder_pid_(other.holder_pid_) {}
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  Descriptor& operator=(Descriptor&&) = delete;

  int get() const noexcept { return fd_; }
  explicit operator bool() const noexcept { return fd_ >= 0; }

 private:
  int fd_;
  pid_t holder_pid_ = 0;  // of a lock holder: the process it is open in
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

bool same_file(int a, int b) {
  struct stat one{};
  struct stat other{};
  return ::fstat(a, &one) == 0 && ::fstat(b, &other) == 0 && one.st_dev == other.st_dev &&
         one.st_ino == other.st_ino;
}

// Whether `name` still leads to the inode that `fd` has open.
bool name_leads_to(const std::string& name, int fd) {
  const Descriptor present = open_existing(name, O_RDONLY);
  return present && same_file(fd, present.get());
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

// A block under our name. A lock ends when nothing refers to the file it was taken through, and a mapping
// does: what is mapped (`file`) was therefore opened apart from what is locked, or a forked child's mapping
// would keep the lock.
struct Block {
  Descriptor file;
  Descriptor lock;
};

// A new, locked, empty block under `name`, or none if somebody was quicker.
std::optional<Block> create_locked(const SharedMemoryConfig& config) {
  const std::string path = path_of(config.name);
  Descriptor file(::shm_open(path.c_str(), O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0600));
  if (!file) {
    if (errno == EEXIST) return std::nullopt;
    fail_errno(config.name, "cannot create it", errno);
  }
  static_cast<void>(
      ::fchmod(file.get(), 0600));  // the umask may have taken it away, and it is opened again here
  Descriptor lock = Descriptor::lock_holder(
      LockHolders::instance().opened([&] { return ::shm_open(path.c_str(), O_RDWR | O_CLOEXEC, 0); }));
  // Between creation and lock another starter can take it for stale, lock and unlink it: then it is no longer
  // ours.
  if (!lock || !try_lock(lock) || !same_file(lock.get(), file.get()) ||
      !name_leads_to(config.name, file.get()))
    return std::nullopt;
  return Block{std::move(file), std::move(lock)};
}

Block acquire_name(const SharedMemoryConfig& config) {
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

void warn(const SharedMemoryConfig& config, const std::string& event, const std::string& rest) {
  core::log(core::LogLevel::Warning, event + " name=" + config.name + " " + rest);
}

void set_size(const SharedMemoryConfig& config, const Descriptor& block) {
  if (::ftruncate(block.get(), static_cast<off_t>(config.size_bytes)) != 0) {
    fail_errno(config.name, "cannot set its size", errno);
  }
}

// Gets the memory for the block now: a full /dev/shm is an error here, not a SIGBUS on the road.
void allocate(const SharedMemoryConfig& config, const Descriptor& block) {
  int error = 0;
  do {
    error = ::posix_fallocate(block.get(), 0, static_cast<off_t>(config.size_bytes));
  } while (error == EINTR);
  if (error != 0) {
    fail(config.name, "cannot get " + std::to_string(config.size_bytes) + " bytes of shared memory (" +
                          std::strerror(error) + "): free some in /dev/shm, or make the ring smaller");
  }
}

// A mapping that is undone unless it is handed on.
class View {
 public:
  View(const SharedMemoryConfig& config, const Descriptor& block, int more_flags)
      : size_bytes_(config.size_bytes),
        data_(::mmap(nullptr, size_bytes_, PROT_READ | PROT_WRITE, MAP_SHARED | more_flags, block.get(), 0)) {
    if (data_ == MAP_FAILED) fail_errno(config.name, "cannot map it", errno);
  }
  ~View() {
    if (data_ != nullptr) ::munmap(data_, size_bytes_);
  }
  View(View&& other) noexcept : size_bytes_(other.size_bytes_), data_(std::exchange(other.data_, nullptr)) {}
  View(const View&) = delete;
  View& operator=(const View&) = delete;
  View& operator=(View&&) = delete;

  void* data() const noexcept { return data_; }
  std::size_t size_bytes() const noexcept { return size_bytes_; }

 private:
  std::size_t size_bytes_;
  void* data_;
};

View map(const SharedMemoryConfig& config, const Descriptor& block) {
  allocate(config, block);
#ifdef MAP_POPULATE
  return View(config, block, MAP_POPULATE);  // no page fault on the road
#else
  return View(config, block, 0);
#endif
}

// Whether the kernel's list of this process's mappings says that the one at `data` has a huge page.
bool has_huge_pages(const void* data) {
  std::unique_ptr<std::FILE, int (*)(std::FILE*)> smaps(std::fopen("/proc/self/smaps", "re"), &std::fclose);
  if (!smaps) return false;
  const auto address = reinterpret_cast<std::uintptr_t>(data);
  bool inside = false;
  char line[512];
  while (std::fgets(line, sizeof(line), smaps.get()) != nullptr) {
    std::uintptr_t from = 0;
    std::uintptr_t to = 0;
    unsigned long kilobytes = 0;
    if (std::sscanf(line, "%" SCNxPTR "-%" SCNxPTR " ", &from, &to) == 2) {
      inside = from <= address && address < to;
    } else if (inside && (std::sscanf(line, "ShmemPmdMapped: %lu", &kilobytes) == 1 ||
                          std::sscanf(line, "FilePmdMapped: %lu", &kilobytes) == 1)) {
      if (kilobytes != 0) return true;
    }
  }
  return false;
}

// Huge pages have to be asked for before a page is there, so here the mapping comes first and
// posix_fallocate(), which takes small pages, only fills what is left. hugetlbfs was no choice: it is not
// where shm_open() looks, so readers would have to know, and its pages have to be set aside beforehand.
View map_huge(const SharedMemoryConfig& config, const Descriptor& block, bool& huge) {
  View view(config, block, 0);
#ifdef MADV_HUGEPAGE
  // Refused by a kernel without huge pages, which shows below.
  static_cast<void>(::madvise(view.data(), view.size_bytes(), MADV_HUGEPAGE));
#endif
#ifdef MADV_POPULATE_WRITE
  // Fails where memory is short, which allocate() says better, and before Linux 5.14.
  static_cast<void>(::madvise(view.data(), view.size_bytes(), MADV_POPULATE_WRITE));
#endif
  allocate(config, block);
  auto* bytes = static_cast<volatile unsigned char*>(view.data());
  for (std::size_t at = 0; at < view.size_bytes(); at += 4096) bytes[at] = 0;
  huge = has_huge_pages(view.data());
  if (!huge) {
    warn(config, "segment.no_huge_pages",
         "size_bytes=" + std::to_string(config.size_bytes) +
             " remedy=\"mount -o remount,huge=advise /dev/shm; a segment of 2 MiB or more\"");
  }
  return view;
}

bool lock_in_memory(const SharedMemoryConfig& config, const View& view) {
  if (::mlock(view.data(), view.size_bytes()) == 0) return true;
  const int error = errno;
  warn(config, "segment.not_locked",
       "size_bytes=" + std::to_string(config.size_bytes) + " error=\"" + std::strerror(error) +
           "\" remedy=\"ulimit -l, LimitMEMLOCK= of a service, or CAP_IPC_LOCK\"");
  return false;
}

}  // namespace

struct SharedMemory::PosixOwnership final : Ownership {
  PosixOwnership(std::string segment_name, Descriptor&& lock_holder, View&& mapping)
      : name(std::move(segment_name)), lock(std::move(lock_holder)), view(std::move(mapping)) {}

  // A forked child has a copy of this object but not the ownership. And somebody may have removed the file by
  // hand, in which case the name may be another's by now.
  ~PosixOwnership() override {
    if (owner_pid == ::getpid() && name_leads_to(name, lock.get())) ::shm_unlink(path_of(name).c_str());
  }

  std::string name;
  pid_t owner_pid = ::getpid();
  Descriptor lock;
  View view;
};

std::uint32_t process_id() noexcept { return static_cast<std::uint32_t>(::getpid()); }

SharedMemory SharedMemory::create(const SharedMemoryConfig& config) {
  if (config.name.empty() || config.name.find('/') != std::string::npos) {
    throw SegmentError("segment name \"" + config.name + "\": must not be empty or contain a slash");
  }
  if (config.size_bytes == 0) fail(config.name, "its size must be at least 1 byte, found 0");
  Block block = acquire_name(config);
  SharedMemory memory;
  try {
    set_permissions(config, block.file);
    set_size(config, block.file);
    View view =
        config.huge_pages ? map_huge(config, block.file, memory.huge_pages_) : map(config, block.file);
    if (config.lock_memory) memory.locked_ = lock_in_memory(config, view);
    memory.data_ = view.data();
    memory.size_bytes_ = view.size_bytes();
    memory.name_ = config.name;
    memory.ownership_ = std::make_unique<PosixOwnership>(config.name, std::move(block.lock), std::move(view));
  } catch (...) {
    ::shm_unlink(path_of(config.name).c_str());  // ours: we hold its lock
    throw;
  }
  return memory;
}

}  // namespace mdp::sys
