// Ownership of a named block: one live owner, stale blocks replaced, permissions, a clean end. Uses
// processes.
#include "mdp/sys/shared_memory.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cstring>
#include <string>
#include <vector>

#include "mdp/core/error.hpp"

namespace mdp::sys {
namespace {

constexpr std::size_t kSize = 8192;

SharedMemoryConfig config_for(const std::string& name) {
  SharedMemoryConfig config;
  config.name = name;
  config.size_bytes = kSize;
  config.pid_offset = 40;
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

void write_pid(SharedMemory& memory) {
  const std::uint32_t pid = process_id();
  std::memcpy(static_cast<unsigned char*>(memory.data()) + 40, &pid, sizeof(pid));
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
    write_pid(memory);
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
  write_pid(memory);
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

TEST(SharedMemory, NameTakenOverByHandIsNotUnlinked) {
  const std::string name = unique_name();
  SharedMemory first = SharedMemory::create(config_for(name));
  ASSERT_EQ(::shm_unlink(("/" + name).c_str()), 0);
  const SharedMemory second = SharedMemory::create(config_for(name));
  first.close();
  EXPECT_TRUE(exists(name));
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
          write_pid(memory);
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
