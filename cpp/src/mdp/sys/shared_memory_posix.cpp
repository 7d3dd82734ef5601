// SharedMemory on POSIX: a file of /dev/shm, with a lock on a second file as the proof of ownership.
//
//   /dev/shm/NAME         the block: what readers open
//   /dev/shm/.NAME.lock   the lock: mode 0600, so that nobody can hold it but this user; holds the owner's pid as
//                         text, for people. It is no segment name, so readers and lists pass over it.
//
// The kernel drops the lock when its holder dies, however it dies, so there is no stale lock and no pid to
// mistake for another process's. It is not on the block: whoever may read that could hold a lock on it, get
// it when the owner dies, and keep the next one out. It is an open-file-description lock, because others can
// ask about one without taking it (F_GETLK): so readers tell a dead owner from a silent one.
//
// Whoever holds the lock of the inode that the lock's name leads to owns the name NAME, and alone unlinks and
// creates there. A name therefore changes hands like this: open the lock's file or create it, lock it, see
// that the name still leads to it (its last holder may have unlinked it between the two), unlink the old
// block, create a new one.
//
// The lock belongs to the open file, which a forked child shares: a child that outlives its parent (Python's
// multiprocessing, a daemon started without exec) would keep the name. So a fork handler closes the
// descriptor in the child; the parent keeps the lock, and it ends with the parent. Classic fcntl() locks
// would not be inherited, but are lost when the process closes any descriptor of the file, which a reader in
// it does. (A child made by a bare clone() runs no handlers and shares the lock.)
#include <fcntl.h>
#include <grp.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cinttypes>
#include <cstdio>
#include <cstdlib>
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

// The lock's file changes, or its holder has yet to write its pid, for microseconds; waiting 1 ms this often
// is ample.
constexpr int kLockAttempts = 200;

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

std::string path_of(const std::string& name) { return "/dev/shm/" + name; }
std::string lock_path_of(const std::string& name) { return "/dev/shm/." + name + ".lock"; }

// Which file: no other has these two numbers for as long as somebody has it open or mapped.
struct FileId {
  dev_t device = 0;
  ino_t inode = 0;
  bool operator==(const FileId&) const = default;
};

FileId id_of(const Descriptor& file) {
  struct stat info{};
  if (::fstat(file.get(), &info) != 0) return {};
  return {info.st_dev, info.st_ino};
}

bool path_leads_to(const std::string& path, const FileId& id) noexcept {
  struct stat info{};
  return ::lstat(path.c_str(), &info) == 0 && FileId{info.st_dev, info.st_ino} == id;
}

void wait_a_moment() {
  const struct timespec moment{0, 1'000'000};
  ::nanosleep(&moment, nullptr);
}

const char* kind_of(mode_t mode) {
  if (S_ISREG(mode)) return "a file";
  if (S_ISDIR(mode)) return "a directory";
  if (S_ISLNK(mode)) return "a symbolic link";
  if (S_ISFIFO(mode)) return "a FIFO";
  return S_ISSOCK(mode) ? "a socket" : "a device";
}

// What lies under a path of ours and is not ours to touch: anything but a regular file of this user.
void refuse_squatter(const std::string& name, const std::string& path, const struct stat& found) {
  if (S_ISREG(found.st_mode) && found.st_uid == ::geteuid()) return;
  fail(name, path + " is " + kind_of(found.st_mode) + " of uid " + std::to_string(found.st_uid) +
                 ", wanted is nothing, or a file of uid " + std::to_string(::geteuid()) +
                 ", which this process runs as: remove it, or choose another segment name");
}

// Where there may be nothing any more.
void refuse_squatter(const std::string& name, const std::string& path) {
  struct stat found{};
  if (::lstat(path.c_str(), &found) == 0) refuse_squatter(name, path, found);
}

// Ownership of a name. Ends with this object or its process; in a forked child it does nothing.
class NameLock {
 public:
  // Throws SegmentError: somebody else owns the name (its pid is said), or the lock's place is taken by what
  // is no lock.
  static NameLock acquire(const std::string& name);

  NameLock(NameLock&&) noexcept = default;
  NameLock& operator=(NameLock&&) = delete;
  // The name first: who opened the file before that finds, once it has the lock, that the name leads
  // elsewhere.
  ~NameLock() {
    if (file_ && owner_pid_ == ::getpid() && is_named()) ::unlink(path_.c_str());
  }

  // Whether the lock's name still leads to what is locked: if not, others may have locked another file.
  bool is_named() const noexcept { return path_leads_to(path_, id_); }

 private:
  NameLock(std::string path, Descriptor&& file)
      : path_(std::move(path)), id_(id_of(file)), file_(std::move(file)) {}
  void write_pid() const noexcept;

  std::string path_;
  FileId id_;
  pid_t owner_pid_ = ::getpid();
  Descriptor file_;  // whose closing ends the lock
};

Descriptor open_lock(const std::string& name, const std::string& path) {
  // Neither waits for the other end of a FIFO nor follows a link.
  Descriptor file = Descriptor::lock_holder(LockHolders::instance().opened(
      [&] { return ::open(path.c_str(), O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0600); }));
  if (!file) {
    const int error = errno;
    refuse_squatter(name, path);
    fail_errno(name, "cannot open its lock " + path, error);
  }
  struct stat info{};
  if (::fstat(file.get(), &info) != 0) fail_errno(name, "cannot look at its lock " + path, errno);
  refuse_squatter(name, path, info);
  static_cast<void>(::fchmod(file.get(), 0600));  // whatever the umask: it is opened again by its name
  return file;
}

bool try_lock(const Descriptor& file) {
  struct flock whole{};
  whole.l_type = F_WRLCK;
  whole.l_whence = SEEK_SET;
  return ::fcntl(file.get(), F_OFD_SETLK, &whole) == 0;
}

// What the lock's holder has written; 0: nothing yet.
long written_pid(const Descriptor& file) {
  char text[32] = {};
  const ssize_t got = ::pread(file.get(), text, sizeof(text) - 1, 0);
  return got > 0 ? std::strtol(text, nullptr, 10) : 0;
}

[[noreturn]] void fail_owned(const std::string& name, long pid) {
  const bool here = pid > 0 && (::kill(static_cast<pid_t>(pid), 0) == 0 || errno == EPERM);
  const std::string remedy = ": stop that one, or give this one another segment name";
  if (here) fail(name, "it is owned by the running process " + std::to_string(pid) + remedy);
  fail(name, "it is owned by a running process (its pid, " + std::to_string(pid) +
                 ", is one of another pid namespace; fuser " + lock_path_of(name) + " finds it)" + remedy);
}

NameLock NameLock::acquire(const std::string& name) {
  const std::string path = lock_path_of(name);
  long pid = 0;
  for (int attempt = 0; attempt < kLockAttempts; ++attempt) {
    Descriptor file = open_lock(name, path);
    if (try_lock(file)) {
      NameLock lock(path, std::move(file));
      if (!lock.is_named()) continue;  // its last holder unlinked it between our open and our lock
      lock.write_pid();
      return lock;
    }
    if (errno != EAGAIN && errno != EACCES) fail_errno(name, "cannot lock " + path, errno);
    pid = written_pid(file);
    if (pid != 0) break;
    wait_a_moment();
  }
  fail_owned(name, pid);
}

// For people only. Where there is no room for it, nobody is told.
void NameLock::write_pid() const noexcept {
  char text[32];
  const int length = std::snprintf(text, sizeof(text), "%ld\n", static_cast<long>(owner_pid_));
  static_cast<void>(::pwrite(file_.get(), text, static_cast<std::size_t>(length), 0) == length &&
                    ::ftruncate(file_.get(), length) == 0);
}

// A new, empty block under the name, whose lock the caller holds. What a dead owner left there goes first.
Descriptor create_block(const std::string& name) {
  const std::string path = path_of(name);
  for (int attempt = 0; attempt < kLockAttempts; ++attempt) {
    Descriptor file(::open(path.c_str(), O_CREAT | O_EXCL | O_RDWR | O_NOFOLLOW | O_CLOEXEC, 0600));
    if (file) return file;
    if (errno != EEXIST) fail_errno(name, "cannot create it", errno);
    refuse_squatter(name, path);
    if (::unlink(path.c_str()) != 0 && errno != ENOENT) fail_errno(name, "cannot remove the old one", errno);
  }
  fail(name, "another program makes " + path + " as often as this one removes it: choose another name");
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
  PosixOwnership(const std::string& name, NameLock&& name_lock, const FileId& file, View&& mapping)
      : path(path_of(name)), id(file), lock(std::move(name_lock)), view(std::move(mapping)) {}

  // A forked child has a copy of this object but not the ownership. And somebody may have removed the file by
  // hand, in which case the name may be another's by now.
  ~PosixOwnership() override {
    if (lock && owner_pid == ::getpid() && path_leads_to(path, id)) ::unlink(path.c_str());
  }
  bool name_is_ours() const noexcept override { return lock && lock->is_named() && path_leads_to(path, id); }

  std::string path;
  FileId id;
  pid_t owner_pid = ::getpid();
  std::optional<NameLock> lock;  // none: a successor has it
  View view;
};

std::uint32_t process_id() noexcept { return static_cast<std::uint32_t>(::getpid()); }

SharedMemory SharedMemory::create(const SharedMemoryConfig& config, SharedMemory* predecessor) {
  if (config.name.empty() || config.name.find('/') != std::string::npos) {
    throw SegmentError("segment name \"" + config.name + "\": must not be empty or contain a slash");
  }
  if (config.size_bytes == 0) fail(config.name, "its size must be at least 1 byte, found 0");
  auto* before =
      predecessor != nullptr ? static_cast<PosixOwnership*>(predecessor->ownership_.get()) : nullptr;
  const bool inherits = before != nullptr && before->lock && before->lock->is_named();
  std::optional<NameLock> acquired;
  if (!inherits) acquired.emplace(NameLock::acquire(config.name));
  const Descriptor file = create_block(config.name);
  SharedMemory memory;
  try {
    set_permissions(config, file);
    set_size(config, file);
    View view = config.huge_pages ? map_huge(config, file, memory.huge_pages_) : map(config, file);
    if (config.lock_memory) memory.locked_ = lock_in_memory(config, view);
    memory.data_ = view.data();
    memory.size_bytes_ = view.size_bytes();
    memory.name_ = config.name;
    NameLock& lock = inherits ? *before->lock : *acquired;
    memory.ownership_ =
        std::make_unique<PosixOwnership>(config.name, std::move(lock), id_of(file), std::move(view));
  } catch (...) {
    ::unlink(path_of(config.name).c_str());  // ours: we hold its lock
    throw;
  }
  if (before != nullptr) before->lock.reset();
  return memory;
}

}  // namespace mdp::sys
