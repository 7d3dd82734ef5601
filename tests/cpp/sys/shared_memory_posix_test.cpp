// Ownership of a named block: one live owner, stale blocks replaced, permissions, a clean end. Uses
// processes.
#include <fcntl.h>
#include <grp.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstring>
#include <mutex>
#include <string>
#include <vector>

#include "mdp/core/error.hpp"
#include "mdp/core/log.hpp"
#include "mdp/sys/shared_memory.hpp"

namespace mdp::sys {
namespace {

constexpr std::size_t kSize = 8192;

SharedMemoryConfig config_for(const std::string& name) {
  SharedMemoryConfig config;
  config.name = name;
  config.size_bytes = kSize;
  return config;
}

std::string unique_name() {
  static std::atomic<int> next{0};
  return "mdp-test-sys-" + std::to_string(::getpid()) + "-" + std::to_string(next++);
}

bool exists(const std::string& name) {
  const int fd = ::shm_open(("/" + name).c_str(), O_RDONLY, 0);
  if (fd >= 0) ::close(fd);
  return fd >= 0;
}

// Two pipes: the child says one byte when it is ready, and goes on when the parent lets go.
struct Rendezvous {
  int said[2];
  int go[2];
  Rendezvous() {
    if (::pipe(said) != 0 || ::pipe(go) != 0) std::abort();
  }
  ~Rendezvous() {
    for (const int fd : {said[0], said[1], go[0], go[1]}) {
      if (fd >= 0) ::close(fd);
    }
  }
  void say(char c) {
    if (::write(said[1], &c, 1) != 1) ::_exit(9);
  }
  char hear() {
    char c = 0;
    return ::read(said[0], &c, 1) == 1 ? c : '\0';
  }
  void wait_for_go() {  // in a child: returns when the parent closed its end
    ::close(go[1]);
    char c;
    while (::read(go[0], &c, 1) > 0) {
    }
  }
  void let_go() {
    ::close(go[1]);
    go[1] = -1;
  }
};

// A child that owns `name` until it is told to end (or killed). Returns when it does.
pid_t spawn_owner(const std::string& name, Rendezvous& meeting) {
  const pid_t pid = ::fork();
  if (pid != 0) {
    EXPECT_EQ(meeting.hear(), 'o');
    return pid;
  }
  try {
    SharedMemory memory = SharedMemory::create(config_for(name));
    meeting.say('o');
    meeting.wait_for_go();
    memory.close();
  } catch (const std::exception&) {
    ::_exit(1);
  }
  ::_exit(0);
}

void kill_and_wait(pid_t pid) {
  ::kill(pid, SIGKILL);
  ::waitpid(pid, nullptr, 0);
}

TEST(SharedMemory, IsZeroedAndGoneAfterClose) {
  const std::string name = unique_name();
  SharedMemory memory = SharedMemory::create(config_for(name));
  ASSERT_TRUE(memory.is_open());
  EXPECT_TRUE(exists(name));
  const auto* bytes = static_cast<const unsigned char*>(memory.data());
  for (std::size_t i = 0; i < kSize; ++i) ASSERT_EQ(bytes[i], 0);
  memory.close();
  EXPECT_FALSE(exists(name));
  EXPECT_FALSE(memory.is_open());
}

TEST(SharedMemory, MoveCarriesOwnership) {
  const std::string name = unique_name();
  SharedMemory outer;
  {
    SharedMemory inner = SharedMemory::create(config_for(name));
    outer = std::move(inner);
  }
  EXPECT_TRUE(exists(name));
  EXPECT_EQ(outer.name(), name);
  outer = SharedMemory();
  EXPECT_FALSE(exists(name));
}

TEST(SharedMemory, IsForOwnerAndGroupWhateverTheUmask) {
  const std::string name = unique_name();
  const mode_t before = ::umask(0777);
  const SharedMemory memory = SharedMemory::create(config_for(name));
  ::umask(before);
  struct stat info{};
  ASSERT_EQ(::stat(("/dev/shm/" + name).c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0640U);
}

TEST(SharedMemory, ModeMayBeAnother) {
  SharedMemoryConfig config = config_for(unique_name());
  config.mode = 0600;
  const SharedMemory memory = SharedMemory::create(config);
  struct stat info{};
  ASSERT_EQ(::stat(("/dev/shm/" + config.name).c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600U);
}

// Whether a process of the user and group 65534, and of `group` besides, may read the block.
bool other_user_may_read(const std::string& name, gid_t group) {
  const pid_t child = ::fork();
  if (child == 0) {
    constexpr unsigned kNobody = 65534;
    if (::setgroups(1, &group) != 0 || ::setgid(kNobody) != 0 || ::setuid(kNobody) != 0) ::_exit(9);
    const int fd = ::shm_open(("/" + name).c_str(), O_RDONLY, 0);
    ::_exit(fd >= 0 ? 0 : (errno == EACCES ? 1 : 2));
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) <= 1) << status;
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

TEST(SharedMemory, IsReadByTheGroupThatIsNamedAndByNobodyElse) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root may give a block to any group, and become another user";
  const struct group* daemon = ::getgrnam("daemon");
  if (daemon == nullptr) GTEST_SKIP() << "this system has no group \"daemon\"";
  SharedMemoryConfig config = config_for(unique_name());
  config.group = "daemon";
  const gid_t gid = daemon->gr_gid;
  const SharedMemory memory = SharedMemory::create(config);
  struct stat info{};
  ASSERT_EQ(::stat(("/dev/shm/" + config.name).c_str(), &info), 0);
  EXPECT_EQ(info.st_gid, gid);
  EXPECT_EQ(info.st_mode & 0777, 0640U);
  EXPECT_TRUE(other_user_may_read(config.name, gid));
  EXPECT_FALSE(other_user_may_read(config.name, 65534));
}

TEST(SharedMemory, UnknownGroupIsRefusedAndLeavesNothing) {
  SharedMemoryConfig config = config_for(unique_name());
  config.group = "no-such-group-here";
  try {
    SharedMemory::create(config);
    FAIL();
  } catch (const SegmentError& error) {
    EXPECT_NE(std::string(error.what()).find("no-such-group-here"), std::string::npos);
  }
  EXPECT_FALSE(exists(config.name));
}

TEST(SharedMemory, MoreThanThereIsIsRefusedAndLeavesNothing) {
  SharedMemoryConfig config = config_for(unique_name());
  config.size_bytes = std::size_t{1} << 50;
  EXPECT_THROW(SharedMemory::create(config), SegmentError);
  EXPECT_FALSE(exists(config.name));
}

TEST(SharedMemory, SlashInTheNameIsRefused) {
  EXPECT_THROW(SharedMemory::create(config_for("a/b")), SegmentError);
  EXPECT_THROW(SharedMemory::create(config_for("")), SegmentError);
}

TEST(SharedMemory, LiveOwnerIsNamed) {
  const std::string name = unique_name();
  Rendezvous meeting;
  const pid_t owner = spawn_owner(name, meeting);
  try {
    SharedMemory::create(config_for(name));
    ADD_FAILURE() << "a second owner was accepted";
  } catch (const SegmentError& error) {
    const std::string what = error.what();
    EXPECT_NE(what.find(name), std::string::npos) << what;
    EXPECT_NE(what.find(std::to_string(owner)), std::string::npos) << what;
  }
  EXPECT_TRUE(exists(name));
  meeting.let_go();
  ::waitpid(owner, nullptr, 0);
  EXPECT_FALSE(exists(name));
}

TEST(SharedMemory, OwnerInThisProcessIsNamedToo) {
  const std::string name = unique_name();
  SharedMemory memory = SharedMemory::create(config_for(name));
  EXPECT_THROW(SharedMemory::create(config_for(name)), SegmentError);
  EXPECT_TRUE(exists(name));
}

TEST(SharedMemory, BlockOfADeadOwnerIsReplacedByANewOne) {
  const std::string name = unique_name();
  Rendezvous meeting;
  const pid_t owner = spawn_owner(name, meeting);
  const int old = ::shm_open(("/" + name).c_str(), O_RDONLY, 0);
  kill_and_wait(owner);
  ASSERT_TRUE(exists(name));
  const SharedMemory memory = SharedMemory::create(config_for(name));
  struct stat before{};
  struct stat after{};
  ASSERT_EQ(::fstat(old, &before), 0);
  ASSERT_EQ(::stat(("/dev/shm/" + name).c_str(), &after), 0);
  EXPECT_NE(before.st_ino, after.st_ino);
  EXPECT_EQ(before.st_size, static_cast<off_t>(kSize)) << "never truncated: readers still map it";
  ::close(old);
}

TEST(SharedMemory, ForkedChildDoesNotUnlink) {
  const std::string name = unique_name();
  SharedMemory memory = SharedMemory::create(config_for(name));
  const pid_t child = ::fork();
  if (child == 0) {
    memory.close();
    ::_exit(0);
  }
  ::waitpid(child, nullptr, 0);
  EXPECT_TRUE(exists(name));
}

// A worker that a publisher forked (without exec) and that survives it.
TEST(SharedMemory, ForkedChildThatSurvivesItsParentDoesNotKeepTheName) {
  const std::string name = unique_name();
  Rendezvous worker;
  const pid_t owner = ::fork();
  if (owner == 0) {
    try {
      SharedMemory memory = SharedMemory::create(config_for(name));
      if (::fork() == 0) {
        worker.say('o');
        worker.wait_for_go();
        // It still maps the memory; letting go of it takes nothing from the next owner.
        const bool same = static_cast<const unsigned char*>(memory.data())[39] == 0;
        memory.close();
        worker.say(same ? 'y' : 'n');
        ::_exit(0);
      }
      for (;;) ::pause();
    } catch (const std::exception&) {
      ::_exit(1);
    }
  }
  ASSERT_EQ(worker.hear(), 'o');
  kill_and_wait(owner);
  ASSERT_TRUE(exists(name));
  const SharedMemory next = SharedMemory::create(config_for(name));  // the worker runs on
  worker.let_go();
  EXPECT_EQ(worker.hear(), 'y');
  EXPECT_TRUE(exists(name));
}

TEST(SharedMemory, ForkedChildMayOwnItsOwnBlock) {
  const std::string parent_name = unique_name();
  const std::string own_name = unique_name();
  SharedMemory memory = SharedMemory::create(config_for(parent_name));
  const pid_t child = ::fork();
  if (child == 0) {
    int code = 1;
    try {
      // Its descriptor very likely has the number that the parent's had.
      SharedMemory own = SharedMemory::create(config_for(own_name));
      memory.close();
      const bool refused = [&] {
        try {
          SharedMemory::create(config_for(own_name));
        } catch (const SegmentError&) {
          return true;
        }
        return false;
      }();
      code = refused ? 0 : 2;
    } catch (const std::exception&) {
    }
    ::_exit(code);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  EXPECT_EQ(WEXITSTATUS(status), 0);
  EXPECT_TRUE(exists(parent_name));
  EXPECT_FALSE(exists(own_name));
  EXPECT_THROW(SharedMemory::create(config_for(parent_name)), SegmentError)
      << "the parent still owns its name";
}

// ---- wishes

std::mutex log_mutex;
std::string log_lines;

class Warnings {
 public:
  Warnings() {
    log_lines.clear();
    core::set_log_sink([](core::LogLevel level, std::string_view line) {
      const std::lock_guard lock(log_mutex);
      if (level == core::LogLevel::Warning) log_lines.append(line).append("\n");
    });
  }
  ~Warnings() { core::set_log_sink(nullptr); }
  bool mention(const std::string& text) const {
    const std::lock_guard lock(log_mutex);
    return log_lines.find(text) != std::string::npos;
  }
};

// VmLck of this process, kB.
long locked_kilobytes() {
  std::FILE* status = std::fopen("/proc/self/status", "r");
  char line[256];
  long kilobytes = 0;
  while (status != nullptr && std::fgets(line, sizeof(line), status) != nullptr) {
    if (std::sscanf(line, "VmLck: %ld", &kilobytes) == 1) break;
  }
  if (status != nullptr) std::fclose(status);
  return kilobytes;
}

// The address and thread sanitizers make mlock() do nothing and say that it did.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool kSystemLocks = false;
#else
constexpr bool kSystemLocks = true;
#endif

TEST(SharedMemory, IsLockedInMemoryOnRequest) {
  if (!kSystemLocks) GTEST_SKIP() << "the sanitizer keeps mlock() to itself";
  SharedMemoryConfig config = config_for(unique_name());
  const Warnings warnings;
  const long before = locked_kilobytes();
  {
    const SharedMemory memory = SharedMemory::create(config);
    EXPECT_FALSE(memory.locked());
    EXPECT_EQ(locked_kilobytes(), before);
  }
  config.lock_memory = true;
  const SharedMemory memory = SharedMemory::create(config);
  EXPECT_TRUE(memory.is_open());
  if (memory.locked()) {
    EXPECT_EQ(locked_kilobytes(), before + static_cast<long>(kSize / 1024));
    EXPECT_FALSE(warnings.mention("segment.not_locked"));
  } else {
    EXPECT_TRUE(warnings.mention("segment.not_locked name=" + config.name));
  }
}

// In a child without the privilege and with a limit of nothing.
TEST(SharedMemory, WorksUnlockedWhereLockingIsNotAllowed) {
  if (!kSystemLocks) GTEST_SKIP() << "the sanitizer keeps mlock() to itself";
  const SharedMemoryConfig config = [] {
    SharedMemoryConfig wishes = config_for(unique_name());
    wishes.lock_memory = true;
    return wishes;
  }();
  const pid_t child = ::fork();
  if (child == 0) {
    const struct rlimit none{0, 0};
    if (::setrlimit(RLIMIT_MEMLOCK, &none) != 0) ::_exit(3);
    if (::geteuid() == 0 && ::setuid(65534) != 0) ::_exit(4);  // root may lock whatever the limit
    int code = 1;
    try {
      const Warnings warnings;
      const SharedMemory memory = SharedMemory::create(config);
      code =
          memory.is_open() && !memory.locked() && warnings.mention("segment.not_locked name=" + config.name)
              ? 0
              : 2;
    } catch (const std::exception&) {
    }
    ::_exit(code);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  EXPECT_EQ(WEXITSTATUS(status), 0);
  EXPECT_FALSE(exists(config.name));
}

// Whether /dev/shm gives huge pages depends on how it is mounted; either way the block is there, zero and
// faulted in.
TEST(SharedMemory, HugePagesAreUsedOrMissedAloud) {
  SharedMemoryConfig config = config_for(unique_name());
  config.size_bytes = std::size_t{4} << 20;
  config.huge_pages = true;
  const Warnings warnings;
  const SharedMemory memory = SharedMemory::create(config);
  EXPECT_NE(memory.huge_pages(), warnings.mention("segment.no_huge_pages name=" + config.name));
  std::vector<unsigned char> resident(config.size_bytes / 4096);
  ASSERT_EQ(::mincore(memory.data(), config.size_bytes, resident.data()), 0);
  for (const unsigned char page : resident) ASSERT_EQ(page & 1, 1);
  const auto* bytes = static_cast<const unsigned char*>(memory.data());
  for (std::size_t i = 0; i < config.size_bytes; ++i) ASSERT_EQ(bytes[i], 0);
  struct stat info{};
  ASSERT_EQ(::stat(("/dev/shm/" + config.name).c_str(), &info), 0);
  EXPECT_GE(static_cast<std::size_t>(info.st_blocks) * 512, config.size_bytes) << "every page is backed";
}

TEST(SharedMemory, TooLargeForHugePagesIsAnErrorAndNotASignal) {
  SharedMemoryConfig config = config_for(unique_name());
  config.size_bytes = std::size_t{1} << 50;
  config.huge_pages = true;
  EXPECT_THROW(SharedMemory::create(config), SegmentError);
  EXPECT_FALSE(exists(config.name));
}

// ---- the lock

std::string path_of(const std::string& name) { return "/dev/shm/" + name; }
std::string lock_path_of(const std::string& name) { return "/dev/shm/." + name + ".lock"; }

struct stat stat_of(const std::string& path) {
  struct stat info{};
  EXPECT_EQ(::lstat(path.c_str(), &info), 0) << path << ": " << std::strerror(errno);
  return info;
}

std::string refusal_of(const SharedMemoryConfig& config) {
  try {
    SharedMemory::create(config);
  } catch (const SegmentError& error) {
    return error.what();
  }
  return {};
}

TEST(SharedMemory, LockIsForItsOwnerAloneAndGoneAfterClose) {
  const std::string name = unique_name();
  const mode_t before = ::umask(0);
  SharedMemory memory = SharedMemory::create(config_for(name));
  ::umask(before);
  const struct stat info = stat_of(lock_path_of(name));
  EXPECT_EQ(info.st_mode & 07777, 0600U);
  EXPECT_EQ(info.st_uid, ::geteuid());
  EXPECT_TRUE(memory.name_is_ours());
  memory.close();
  EXPECT_NE(::access(lock_path_of(name).c_str(), F_OK), 0);
  EXPECT_FALSE(memory.name_is_ours());
}

TEST(SharedMemory, LockOfADeadOwnerIsUsedAgain) {
  const std::string name = unique_name();
  Rendezvous meeting;
  kill_and_wait(spawn_owner(name, meeting));
  const ino_t left = stat_of(lock_path_of(name)).st_ino;
  SharedMemory memory = SharedMemory::create(config_for(name));
  EXPECT_EQ(stat_of(lock_path_of(name)).st_ino, left);
  EXPECT_NE(refusal_of(config_for(name)).find("process " + std::to_string(::getpid())), std::string::npos)
      << "the pid is the new owner's";
  memory.close();
  EXPECT_NE(::access(lock_path_of(name).c_str(), F_OK), 0);
}

// A reader that waits for a lock on the block gets it, at the latest when the owner dies.
TEST(SharedMemory, ReaderThatLocksTheBlockDoesNotKeepTheNameFromTheNextOwner) {
  const std::string name = unique_name();
  Rendezvous meeting;
  const pid_t owner = spawn_owner(name, meeting);
  Rendezvous locked;
  const pid_t reader = ::fork();
  if (reader == 0) {
    const int fd = ::open(path_of(name).c_str(), O_RDONLY);
    locked.say(fd >= 0 && ::flock(fd, LOCK_EX) == 0 ? 'l' : 'n');
    locked.wait_for_go();
    ::_exit(0);
  }
  EXPECT_EQ(locked.hear(), 'l') << "the owner has no lock there that a reader could wait for";
  kill_and_wait(owner);
  const SharedMemory next = SharedMemory::create(config_for(name));
  EXPECT_TRUE(next.name_is_ours());
  locked.let_go();
  ::waitpid(reader, nullptr, 0);
}

TEST(SharedMemory, OtherUsersCannotOpenTheLock) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root may become another user";
  const std::string name = unique_name();
  SharedMemoryConfig config = config_for(name);
  config.group = "nogroup";
  const SharedMemory memory = SharedMemory::create(config);
  const pid_t child = ::fork();
  if (child == 0) {
    constexpr unsigned kNobody = 65534;
    if (::setgroups(0, nullptr) != 0 || ::setgid(kNobody) != 0 || ::setuid(kNobody) != 0) ::_exit(9);
    const bool reads = ::open(path_of(name).c_str(), O_RDONLY) >= 0;
    const bool locks = ::open(lock_path_of(name).c_str(), O_RDONLY) >= 0;
    ::_exit(reads && !locks && errno == EACCES ? 0 : 1);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  EXPECT_EQ(status, 0);
}

// ---- a name that is lost

TEST(SharedMemory, OwnerWhoseNameIsRemovedKeepsOthersOutAndNoticesIt) {
  const std::string name = unique_name();
  SharedMemory memory = SharedMemory::create(config_for(name));
  EXPECT_TRUE(memory.name_is_ours());
  ASSERT_EQ(::unlink(path_of(name).c_str()), 0);
  EXPECT_FALSE(memory.name_is_ours());
  EXPECT_NE(refusal_of(config_for(name)).find("owned by the running process"), std::string::npos);
}

TEST(SharedMemory, NameThatWasReplacedByHandIsLeftAlone) {
  const std::string name = unique_name();
  SharedMemory memory = SharedMemory::create(config_for(name));
  ASSERT_EQ(::unlink(path_of(name).c_str()), 0);
  ASSERT_EQ(::unlink(lock_path_of(name).c_str()), 0);
  const SharedMemory other = SharedMemory::create(config_for(name));
  EXPECT_FALSE(memory.name_is_ours());
  EXPECT_TRUE(other.name_is_ours());
  memory.close();
  EXPECT_TRUE(other.name_is_ours());
}

TEST(SharedMemory, SuccessorTakesTheNameBack) {
  for (const bool lock_too : {false, true}) {
    const std::string name = unique_name();
    SharedMemory memory = SharedMemory::create(config_for(name));
    static_cast<unsigned char*>(memory.data())[0] = 42;
    ASSERT_EQ(::unlink(path_of(name).c_str()), 0);
    if (lock_too) {
      ASSERT_EQ(::unlink(lock_path_of(name).c_str()), 0);
    }
    SharedMemory next = SharedMemory::create(config_for(name), &memory);
    EXPECT_TRUE(next.name_is_ours());
    EXPECT_FALSE(memory.name_is_ours());
    EXPECT_EQ(static_cast<const unsigned char*>(memory.data())[0], 42) << "who maps the old one reads on";
    EXPECT_EQ(static_cast<const unsigned char*>(next.data())[0], 0);
    memory.close();
    EXPECT_TRUE(next.name_is_ours());
    EXPECT_NE(refusal_of(config_for(name)), "");
    next.close();
    EXPECT_FALSE(exists(name));
    EXPECT_NE(::access(lock_path_of(name).c_str(), F_OK), 0);
  }
}

TEST(SharedMemory, SuccessorIsRefusedWhileAnotherOwnsTheName) {
  const std::string name = unique_name();
  SharedMemory memory = SharedMemory::create(config_for(name));
  ASSERT_EQ(::unlink(path_of(name).c_str()), 0);
  ASSERT_EQ(::unlink(lock_path_of(name).c_str()), 0);
  SharedMemory other = SharedMemory::create(config_for(name));
  EXPECT_THROW(SharedMemory::create(config_for(name), &memory), SegmentError);
  EXPECT_TRUE(other.name_is_ours());
  other.close();
  EXPECT_TRUE(SharedMemory::create(config_for(name), &memory).name_is_ours());
}

// ---- squatters

// What somebody may put where the block or its lock belongs.
struct Squatter {
  const char* what;
  int (*put)(const char* path);
  int (*remove)(const char* path);
};

constexpr Squatter kSquatters[] = {
    {"a FIFO", [](const char* path) { return ::mkfifo(path, 0666); }, &::unlink},
    {"a directory", [](const char* path) { return ::mkdir(path, 0777); }, &::rmdir},
    {"a symbolic link", [](const char* path) { return ::symlink("/dev/shm/mdp-nobody-made-this", path); },
     &::unlink},
};

TEST(SharedMemory, WhatIsNoFileUnderItsNamesIsRefusedAndLeftAlone) {
  for (const Squatter& squatter : kSquatters) {
    for (const bool lock : {false, true}) {
      const std::string name = unique_name();
      const std::string path = lock ? lock_path_of(name) : path_of(name);
      ASSERT_EQ(squatter.put(path.c_str()), 0) << std::strerror(errno);
      const std::string what = refusal_of(config_for(name));
      EXPECT_NE(what.find(path + " is " + squatter.what), std::string::npos) << what;
      EXPECT_NE(what.find("remove it"), std::string::npos) << what;
      EXPECT_EQ(squatter.remove(path.c_str()), 0) << "left as it was";
      EXPECT_EQ(refusal_of(config_for(name)), "");
    }
  }
  EXPECT_FALSE(exists("mdp-nobody-made-this"));
}

TEST(SharedMemory, FilesOfAnotherUserAreRefusedByUidAndLeftAlone) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root may give a file to another user";
  for (const bool lock : {false, true}) {
    const std::string name = unique_name();
    const std::string path = lock ? lock_path_of(name) : path_of(name);
    const int fd = ::open(path.c_str(), O_CREAT | O_EXCL | O_RDWR, 0666);
    ASSERT_GE(fd, 0);
    ASSERT_EQ(::fchown(fd, 12345, 12345), 0);
    ::close(fd);
    const std::string what = refusal_of(config_for(name));
    EXPECT_NE(what.find(path + " is a file of uid 12345"), std::string::npos) << what;
    EXPECT_EQ(::unlink(path.c_str()), 0);
  }
}

// Many start at once over what a dead owner left: one gets it, the others are told.
TEST(SharedMemory, OneOfManySimultaneousStartersWins) {
  constexpr int kStarters = 6;
  for (int round = 0; round < 20; ++round) {
    const std::string name = unique_name();
    {
      Rendezvous meeting;
      kill_and_wait(spawn_owner(name, meeting));
    }
    Rendezvous start;
    Rendezvous result;
    std::vector<pid_t> starters;
    for (int i = 0; i < kStarters; ++i) {
      const pid_t pid = ::fork();
      if (pid == 0) {
        ::close(result.go[1]);
        start.wait_for_go();
        try {
          SharedMemory memory = SharedMemory::create(config_for(name));
          result.say('w');
          char c;
          while (::read(result.go[0], &c, 1) > 0) {
          }
          memory.close();
        } catch (const SegmentError&) {
          result.say('l');
        }
        ::_exit(0);
      }
      starters.push_back(pid);
    }
    start.let_go();
    int winners = 0;
    for (int i = 0; i < kStarters; ++i) winners += result.hear() == 'w' ? 1 : 0;
    EXPECT_EQ(winners, 1) << "round " << round;
    result.let_go();
    for (const pid_t pid : starters) ::waitpid(pid, nullptr, 0);
    EXPECT_FALSE(exists(name));
  }
}

}  // namespace
}  // namespace mdp::sys
