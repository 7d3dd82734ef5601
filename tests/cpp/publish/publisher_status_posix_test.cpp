// The rule of life and death, and what may be opened, with real processes: publishers that are killed,
// suspended, replaced, or in another pid namespace, and files that others put under a segment's name.
#include <fcntl.h>
#include <grp.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <functional>
#include <string>
#include <thread>

#include "mdp/publish/ipc_publisher.hpp"
#include "publish/test_segment.hpp"

namespace mdp::publish {
namespace {

using shm::AttachStatus;
using shm::Book;
using shm::BookState;
using shm::BookStatus;
using shm::Event;
using shm::PublisherStatus;
using shm::ReadStatus;
using shm::Subscriber;

constexpr std::int64_t kLimitNs = 100'000'000;  // of a publisher that beats every millisecond
constexpr unsigned kNobody = 65534;

SegmentConfig named_config() {
  SegmentConfig config = test::small_config();
  config.name = test::unique_name();
  return config;
}

std::string path_of(const std::string& name) { return "/dev/shm/" + name; }
std::string lock_path_of(const std::string& name) { return "/dev/shm/." + name + ".lock"; }

// Publishes one LIVE book, and then lives until it is told to end.
[[noreturn]] void publish_one_book(const SegmentConfig& config) {
  try {
    SegmentWriter segment(config);
    segment.directory().set_instrument(test::btc(0));
    IPCPublisher publisher(segment);
    Event event{};
    event.header.type = shm::EventType::BookState;
    event.book_state = {shm::kAllBids, shm::kAllAsks, BookState::Live, shm::StateReason::Synced, {}};
    publisher.publish(event);
    for (;;) {
      publisher.heartbeat();
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
  } catch (const std::exception&) {
  }
  ::_exit(1);
}

// A publisher in a process of its own, with a reader of this one.
class PublisherProcess {
 public:
  explicit PublisherProcess(const SegmentConfig& config, std::function<void()> in_child = {})
      : config_(config), pid_(::fork()) {
    if (pid_ != 0) return;
    if (in_child) in_child();
    publish_one_book(config);
  }
  ~PublisherProcess() {
    if (pid_ > 0) end(SIGKILL);
    ::unlink(path_of(config_.name).c_str());
    ::unlink(lock_path_of(config_.name).c_str());
  }
  PublisherProcess(const PublisherProcess&) = delete;
  PublisherProcess& operator=(const PublisherProcess&) = delete;

  void signal(int number) const { ASSERT_EQ(::kill(pid_, number), 0); }
  void end(int number) {
    ::kill(pid_, number);
    ::waitpid(pid_, nullptr, 0);
    pid_ = 0;
  }
  // Attaches once the book is LIVE.
  void attach(Subscriber& feed) const {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(60);
    Book book;
    while (!(feed.open(config_.name) == AttachStatus::Ok && feed.read_book(0, book) == BookStatus::Ok &&
             book.entry.state == BookState::Live)) {
      ASSERT_LT(std::chrono::steady_clock::now(), deadline);
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
  }

 private:
  const SegmentConfig config_;
  pid_t pid_;
};

BookState usable(const Subscriber& feed) {
  Book book;
  EXPECT_EQ(feed.read_book(0, book), BookStatus::Ok);
  EXPECT_EQ(book.entry.state, BookState::Live) << "as its publisher left it";
  return feed.usable_state(book.entry.state, kLimitNs);
}

// Until the status is that: it takes as long as the limit.
void expect_soon(const Subscriber& feed, PublisherStatus wanted) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(60);
  while (feed.publisher_status(kLimitNs) != wanted && std::chrono::steady_clock::now() < deadline) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  EXPECT_STREQ(to_string(feed.publisher_status(kLimitNs)), to_string(wanted));
}

// Runs `body` as the user and group 65534, and gives its answer.
int as_nobody(const std::function<int()>& body) {
  const pid_t child = ::fork();
  if (child == 0) {
    if (::setgroups(0, nullptr) != 0 || ::setgid(kNobody) != 0 || ::setuid(kNobody) != 0) ::_exit(99);
    ::_exit(body());
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

TEST(PublisherStatus, OfOneThatIsKilledIsDeadAndItsBooksAreStale) {
  PublisherProcess publisher(named_config());
  Subscriber feed;
  ASSERT_NO_FATAL_FAILURE(publisher.attach(feed));
  expect_soon(feed, PublisherStatus::Running);
  EXPECT_EQ(usable(feed), BookState::Live);
  publisher.end(SIGKILL);
  expect_soon(feed, PublisherStatus::Dead);
  EXPECT_EQ(usable(feed), BookState::Stale);
  Event event;
  EXPECT_EQ(feed.wait(event, shm::Wait::Sleep, std::chrono::hours(1), std::chrono::nanoseconds(kLimitNs)),
            ReadStatus::PublisherDead);
}

TEST(PublisherStatus, OfOneThatIsSuspendedIsSilentUntilItGoesOn) {
  PublisherProcess publisher(named_config());
  Subscriber feed;
  ASSERT_NO_FATAL_FAILURE(publisher.attach(feed));
  publisher.signal(SIGSTOP);
  expect_soon(feed, PublisherStatus::Silent);
  EXPECT_EQ(usable(feed), BookState::Stale);
  Event event;
  const auto limit = std::chrono::nanoseconds(kLimitNs);
  EXPECT_EQ(feed.wait(event, shm::Wait::Sleep, std::chrono::hours(1), limit), ReadStatus::PublisherStale);
  publisher.signal(SIGCONT);
  expect_soon(feed, PublisherStatus::Running);
  EXPECT_EQ(usable(feed), BookState::Live);
}

// The pid in the header is for people. Here it is that of a process which lives, and of one which never did.
TEST(PublisherStatus, IsNotJudgedByThePid) {
  for (const std::uint32_t pid : {sys::process_id(), std::uint32_t{0x3FFF'FFFF}}) {
    const SegmentConfig config = named_config();
    PublisherProcess publisher(config);
    Subscriber feed;
    ASSERT_NO_FATAL_FAILURE(publisher.attach(feed));
    const int fd = ::open(path_of(config.name).c_str(), O_RDWR);
    ASSERT_EQ(::pwrite(fd, &pid, sizeof(pid), offsetof(shm::SegmentInfo, publisher_pid)), 4);
    ::close(fd);
    ASSERT_EQ(feed.open(config.name), AttachStatus::Ok);
    ASSERT_EQ(feed.view().info().publisher_pid, pid);
    expect_soon(feed, PublisherStatus::Running);
    publisher.signal(SIGSTOP);
    expect_soon(feed, PublisherStatus::Silent);
    publisher.end(SIGKILL);
    expect_soon(feed, PublisherStatus::Dead);
  }
}

TEST(PublisherStatus, IsSeenAcrossPidNamespaces) {
  // The first process of a new namespace is 1 there and something else here.
  const SegmentConfig config = named_config();
  int said[2];
  ASSERT_EQ(::pipe(said), 0);
  const pid_t outer = ::fork();
  if (outer == 0) {
    pid_t inner = ::unshare(CLONE_NEWPID) == 0 ? ::fork() : -1;
    if (inner == 0) publish_one_book(config);
    if (::write(said[1], &inner, sizeof(inner)) != static_cast<ssize_t>(sizeof(inner))) ::_exit(9);
    ::_exit(0);
  }
  pid_t inner = -1;
  ASSERT_EQ(::read(said[0], &inner, sizeof(inner)), static_cast<ssize_t>(sizeof(inner)));
  ::waitpid(outer, nullptr, 0);
  ::close(said[0]);
  ::close(said[1]);
  if (inner < 0) GTEST_SKIP() << "no new pid namespace here: " << std::strerror(errno);
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(60);
  Subscriber feed;
  Book book;
  while (feed.open(config.name) != AttachStatus::Ok || feed.read_book(0, book) != BookStatus::Ok ||
         book.entry.state != BookState::Live) {
    ASSERT_LT(std::chrono::steady_clock::now(), deadline);
  }
  EXPECT_EQ(feed.view().info().publisher_pid, 1U);
  expect_soon(feed, PublisherStatus::Running);
  ::kill(inner, SIGSTOP);
  expect_soon(feed, PublisherStatus::Silent);
  ::kill(inner, SIGKILL);
  expect_soon(feed, PublisherStatus::Dead);
  ::unlink(path_of(config.name).c_str());
  ::unlink(lock_path_of(config.name).c_str());
}

TEST(PublisherStatus, ASuccessorUnderTheNameIsProof) {
  const SegmentConfig config = named_config();
  Subscriber feed;
  {
    PublisherProcess publisher(config);
    ASSERT_NO_FATAL_FAILURE(publisher.attach(feed));
    publisher.end(SIGKILL);
    const SegmentWriter next(config);
    expect_soon(feed, PublisherStatus::Replaced);
    EXPECT_EQ(feed.check_publisher(kLimitNs), ReadStatus::PublisherDead);
    EXPECT_EQ(feed.reattach(), AttachStatus::Ok);
    EXPECT_EQ(feed.publisher_status(kLimitNs), PublisherStatus::Running);
  }
}

// Whoever holds the lock may be a successor that has not come to its segment yet: nothing is proven then.
TEST(PublisherStatus, IsSilentWhileASuccessorStarts) {
  const SegmentConfig config = named_config();
  PublisherProcess publisher(config);
  Subscriber feed;
  ASSERT_NO_FATAL_FAILURE(publisher.attach(feed));
  publisher.end(SIGKILL);
  expect_soon(feed, PublisherStatus::Dead);
  const int fd = ::open(lock_path_of(config.name).c_str(), O_RDWR);
  struct flock lock{};
  lock.l_type = F_WRLCK;
  ASSERT_EQ(::fcntl(fd, F_OFD_SETLK, &lock), 0) << "asking did not take it";
  EXPECT_EQ(feed.publisher_status(kLimitNs), PublisherStatus::Silent);
  ::close(fd);
  EXPECT_EQ(feed.publisher_status(kLimitNs), PublisherStatus::Dead);
}

TEST(PublisherStatus, OfAnotherUserIsSilentAfterItsDeathForWhoMayNotLook) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root may become another user";
  SegmentConfig config = named_config();
  config.mode = 0644;
  PublisherProcess publisher(config);
  Subscriber feed;
  ASSERT_NO_FATAL_FAILURE(publisher.attach(feed));
  publisher.end(SIGKILL);
  expect_soon(feed, PublisherStatus::Dead);
  const int seen = as_nobody([&] {
    Subscriber other;
    if (other.open(config.name) != AttachStatus::Ok) return 98;
    return static_cast<int>(other.publisher_status(kLimitNs));
  });
  EXPECT_EQ(seen, static_cast<int>(PublisherStatus::Silent));
}

// A reader that waits in flock() on the segment neither learns of anything nor keeps the next publisher out.
TEST(PublisherStatus, ReaderThatLocksTheSegmentChangesNothing) {
  const SegmentConfig config = named_config();
  PublisherProcess publisher(config);
  Subscriber feed;
  ASSERT_NO_FATAL_FAILURE(publisher.attach(feed));
  const int fd = ::open(path_of(config.name).c_str(), O_RDONLY);
  ASSERT_EQ(::flock(fd, LOCK_EX), 0);
  expect_soon(feed, PublisherStatus::Running);
  publisher.end(SIGKILL);
  expect_soon(feed, PublisherStatus::Dead);
  const SegmentWriter next(config);
  expect_soon(feed, PublisherStatus::Replaced);
  ::close(fd);
}

TEST(PublisherStatus, OfOneThatStoppedStaysSoWhoeverComes) {
  const SegmentConfig config = named_config();
  Subscriber feed;
  {
    SegmentWriter segment(config);
    ASSERT_EQ(feed.open(config.name), AttachStatus::Ok);
    IPCPublisher(segment).stop();
    EXPECT_EQ(feed.publisher_status(kLimitNs), PublisherStatus::Stopped);
  }
  const SegmentWriter next(config);
  EXPECT_EQ(feed.publisher_status(0), PublisherStatus::Stopped);
  EXPECT_EQ(feed.usable_state(BookState::Live), BookState::Stale);
  EXPECT_EQ(feed.usable_state(BookState::Syncing), BookState::Syncing);
}

// ---- what may be opened

class Opening : public testing::Test {
 protected:
  ~Opening() override {
    ::unlink(path.c_str());
    ::rmdir(path.c_str());
  }
  void write_file(mode_t mode, unsigned uid) {
    const int fd = ::open(path.c_str(), O_CREAT | O_EXCL | O_RDWR, 0600);
    ASSERT_GE(fd, 0);
    test::MemorySegment segment;
    ASSERT_EQ(::pwrite(fd, segment.data(), segment.size(), 0), static_cast<ssize_t>(segment.size()));
    ASSERT_EQ(::fchown(fd, uid, static_cast<gid_t>(-1)), 0);
    ASSERT_EQ(::fchmod(fd, mode), 0);
    ::close(fd);
  }
  // In C++ and in C, which agree.
  AttachStatus open(std::uint32_t trusted_uid = shm::kTrustNobody) {
    Subscriber feed;
    const AttachStatus status = feed.open(name, shm::Start::Newest, trusted_uid);
    why = feed.explain(status);
    mdp_shm_subscriber in_c;
    EXPECT_EQ(mdp_shm_open_trusting(&in_c, name.c_str(), trusted_uid), static_cast<int>(status));
    char text[MDP_SHM_ERROR_SIZE];
    EXPECT_EQ(mdp_shm_open_error(text, &in_c, static_cast<int>(status)), why);
    mdp_shm_close(&in_c);
    return status;
  }
  bool says(const std::string& text) const { return why.find(text) != std::string::npos; }

  const std::string name = test::unique_name();
  const std::string path = path_of(name);
  std::string why;
};

TEST_F(Opening, AFifoHangsNobody) {
  ASSERT_EQ(::mkfifo(path.c_str(), 0600), 0);
  EXPECT_EQ(open(), AttachStatus::Untrusted);
  EXPECT_TRUE(says("a FIFO")) << why;
}

TEST_F(Opening, ADirectoryIsRefused) {
  ASSERT_EQ(::mkdir(path.c_str(), 0700), 0);
  EXPECT_EQ(open(), AttachStatus::Untrusted);
  EXPECT_TRUE(says("a directory")) << why;
}

TEST_F(Opening, ALinkIsNotFollowed) {
  const SegmentWriter segment(named_config());
  ASSERT_EQ(::symlink(path_of(segment.name()).c_str(), path.c_str()), 0);
  EXPECT_EQ(open(), AttachStatus::Untrusted);
  EXPECT_TRUE(says("link")) << why;
}

TEST_F(Opening, AnEmptyFileIsNotReady) {
  ::close(::open(path.c_str(), O_CREAT | O_EXCL | O_RDWR, 0600));
  EXPECT_EQ(open(), AttachStatus::NotReady);
}

TEST_F(Opening, AFileOfAnotherUserTakesTrust) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root may give a file to another user";
  ASSERT_NO_FATAL_FAILURE(write_file(0644, 12345));
  EXPECT_EQ(open(), AttachStatus::Untrusted);
  EXPECT_TRUE(says("belongs to uid 12345")) << why;
  EXPECT_EQ(open(12346), AttachStatus::Untrusted);
  EXPECT_EQ(open(12345), AttachStatus::Ok);
}

TEST_F(Opening, AFileOfRootIsTrustedByAll) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root has one";
  ASSERT_NO_FATAL_FAILURE(write_file(0644, 0));
  EXPECT_EQ(as_nobody([&] { return static_cast<int>(Subscriber().open(name)); }),
            static_cast<int>(AttachStatus::Ok));
}

TEST_F(Opening, AFileThatOthersMayWriteIsRefused) {
  for (const mode_t mode : {0660U, 0602U, 0666U}) {
    ASSERT_NO_FATAL_FAILURE(write_file(mode, ::geteuid()));
    EXPECT_EQ(open(), AttachStatus::Untrusted);
    EXPECT_TRUE(says("may write the segment (mode 0" + std::to_string(mode >> 6) +
                     std::to_string(mode >> 3 & 7) + std::to_string(mode & 7)))
        << why;
    ASSERT_EQ(::unlink(path.c_str()), 0);
  }
  SegmentConfig config = named_config();
  for (const std::uint32_t mode : {0660U, 0642U}) {
    config.mode = mode;
    EXPECT_THROW(SegmentWriter{config}, SegmentError);
  }
}

// What is not to be trusted is no successor either.
TEST_F(Opening, ASquatterUnderTheNameReplacesNobody) {
  SegmentConfig config = test::small_config();
  config.name = name;
  PublisherProcess publisher(config);
  Subscriber feed;
  ASSERT_NO_FATAL_FAILURE(publisher.attach(feed));
  publisher.end(SIGKILL);
  ASSERT_EQ(::unlink(path.c_str()), 0);
  ASSERT_EQ(::mkfifo(path.c_str(), 0666), 0);
  expect_soon(feed, PublisherStatus::Dead);
  EXPECT_EQ(feed.reattach(), AttachStatus::NotFound);
}

}  // namespace
}  // namespace mdp::publish
