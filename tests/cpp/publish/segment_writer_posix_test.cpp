// Segments and the processes that use them: killed at any instant, forked, tampered with by name.
//
// Stress.* are the long forms, run by `make stress`.
#include <fcntl.h>
#include <grp.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <iostream>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "mdp/core/error.hpp"
#include "mdp/publish/ipc_publisher.hpp"
#include "mdp/publish/segment_writer.hpp"
#include "publish/mutated_segment.hpp"

namespace mdp::publish {
namespace {

using shm::AttachStatus;
using shm::Event;
using shm::ReadStatus;
using shm::Start;
using shm::Subscriber;
using test::btc;
using test::MemorySegment;
using test::small_config;
using test::unique_name;

SegmentConfig named_config() {
  SegmentConfig config = small_config();
  config.name = unique_name();
  return config;
}

bool exists(const std::string& name) { return ::access(("/dev/shm/" + name).c_str(), F_OK) == 0; }

TEST(SegmentWriter, IsForOwnerAndGroup) {
  const SegmentConfig config = named_config();
  const SegmentWriter segment(config);
  struct stat info{};
  ASSERT_EQ(::stat(("/dev/shm/" + config.name).c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0640U);
}

TEST(SegmentWriter, ReaderWithoutPermissionIsToldSo) {
  SegmentConfig config = named_config();
  config.mode = 0200;
  const SegmentWriter segment(config);
  const pid_t reader = ::fork();
  if (reader == 0) {
    constexpr unsigned kNobody = 65534;  // root may read everything
    if (::geteuid() == 0 && (::setgroups(0, nullptr) != 0 || ::setuid(kNobody) != 0)) ::_exit(99);
    ::_exit(static_cast<int>(Subscriber().open(config.name)));
  }
  int status = 0;
  ASSERT_EQ(::waitpid(reader, &status, 0), reader);
  ASSERT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), static_cast<int>(AttachStatus::NoPermission));
}

// ---- death of the publisher

constexpr std::size_t kCrashLevels = 64;

// Publishes checked records into the ring, and a book of which every number is the same, until `stop()`.
template <class Stop>
void publish_until(const SegmentConfig& config, Stop&& stop) {
  SegmentWriter segment(config);
  segment.directory().set_instrument(btc(0));
  IPCPublisher publisher(segment);
  Event event;
  for (std::uint64_t n = 0; !stop(); ++n) {
    test::fill_event(event, n, kCrashLevels);
    publisher.publish(event);
    event.header.type = shm::EventType::BookSnapshot;
    event.header.flags = core::kFlagTableOnly;
    event.header.symbol_id = 0;
    event.header.bid_count = event.header.ask_count = 8;
    for (int i = 0; i < 16; ++i)
      event.levels[i] = {static_cast<std::int64_t>(n), static_cast<std::int64_t>(n)};
    publisher.publish(event);
  }
  publisher.stop();
}

pid_t fork_publisher(const SegmentConfig& config) {
  const pid_t pid = ::fork();
  if (pid != 0) return pid;
  try {
    publish_until(config, [] { return false; });
  } catch (const std::exception& error) {
    std::cerr << "publisher: " << error.what() << std::endl;
  }
  ::_exit(1);
}

bool whole_book(const Subscriber& subscriber, bool& busy) {
  shm::Book book;
  const shm::BookStatus status = subscriber.read_book(0, book);
  busy = status == shm::BookStatus::Busy;
  if (status != shm::BookStatus::Ok) return busy;
  const auto number = static_cast<std::int64_t>(book.entry.update_id);
  for (const auto& side : {book.bids, book.asks}) {
    for (const shm::PriceLevel& level : side) {
      if (level.price != number || level.quantity != number) return false;
    }
  }
  return true;
}

void kill_and_wait(pid_t pid) {
  ASSERT_EQ(::kill(pid, SIGKILL), 0);
  int status = 0;
  ASSERT_EQ(::waitpid(pid, &status, 0), pid);
  ASSERT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL)
      << "it ended before it was killed: " << status;
}

// Kills publishers of one name at random instants, one after the other, while one reader follows them.
class PublisherCampaign {
 public:
  explicit PublisherCampaign(std::uint64_t seed) : random_(seed) {}
  ~PublisherCampaign() {
    if (publisher_ > 0) {
      ::kill(publisher_, SIGKILL);
      ::waitpid(publisher_, nullptr, 0);
    }
  }

  void run(int kills) {
    for (int kill = 0; kill < kills; ++kill) {
      publisher_ = fork_publisher(config_);
      // Three in four in the middle of their work, the others while they take the name and format the
      // segment.
      if (random_() % 4 != 0) {
        ASSERT_NO_FATAL_FAILURE(attach());
        ASSERT_NO_FATAL_FAILURE(read_and_kill());
      } else {
        ASSERT_NO_FATAL_FAILURE(kill_while_it_starts());
      }
    }
    std::cout << kills << " publishers killed (" << early_ << " while starting, " << early_attached_
              << " of these had a segment to attach to), " << records_ << " records and " << books_
              << " books checked, " << lost_ << " records lost to laps, " << busy_
              << " books left inside a write\n";
    EXPECT_GT(records_, static_cast<std::uint64_t>(kills));
    EXPECT_GT(books_, static_cast<std::uint64_t>(kills) / 2);
    // The stale segment of the last one does not stop a new start, whose clean stop leaves nothing.
    EXPECT_TRUE(exists(config_.name)) << "killed, so it was left behind";
    {
      const SegmentWriter segment(config_);
      EXPECT_EQ(subscriber_.mapping().replaced(), true);
    }
    EXPECT_FALSE(exists(config_.name));
    EXPECT_EQ(Subscriber().open(config_.name), AttachStatus::NotFound);
  }

 private:
  void attach() {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(60);
    for (;;) {
      const AttachStatus status = subscriber_.mapping().is_open()
                                      ? subscriber_.reattach()
                                      : subscriber_.open(config_.name, Start::Oldest);
      // The name may still lead to a predecessor that was killed as it started.
      if (status == AttachStatus::Ok &&
          subscriber_.view().info().publisher_pid == static_cast<std::uint32_t>(publisher_)) {
        return;
      }
      ASSERT_LT(std::chrono::steady_clock::now(), deadline) << to_string(status);
      std::this_thread::yield();
    }
  }

  void check(const Event& event) {
    ASSERT_TRUE(test::intact(event, kCrashLevels)) << "a torn record, sequence " << event.header.sequence;
    ASSERT_EQ(event.header.update_id, event.header.sequence);
    ++records_;
  }

  void check_book() {
    bool busy = false;
    ASSERT_TRUE(whole_book(subscriber_, busy)) << "a torn book";
    ++books_;
  }

  // Reads some events, kills the publisher, reads all that is left.
  void read_and_kill() {
    const std::uint64_t until = 1 + random_() % 3000;
    std::uint64_t seen = 0;
    bool killed = false;
    Event event;
    for (;;) {
      const ReadStatus status = subscriber_.poll(event);
      if (status == ReadStatus::Ok) {
        ASSERT_NO_FATAL_FAILURE(check(event));
        ++seen;
        if (seen % 256 == 0) {
          ASSERT_NO_FATAL_FAILURE(check_book());
        }
      } else if (status == ReadStatus::Empty) {
        if (killed) break;
        std::this_thread::yield();
      } else {
        ASSERT_EQ(status, ReadStatus::Lapped) << to_string(status);
        lost_ += subscriber_.ring().lost_events();
      }
      if (!killed && seen >= until) {
        ASSERT_NO_FATAL_FAILURE(kill_and_wait(publisher_));
        publisher_ = 0;
        killed = true;
      }
    }
    ASSERT_EQ(subscriber_.check_publisher(0), ReadStatus::PublisherDead);
    bool busy = false;
    ASSERT_TRUE(whole_book(subscriber_, busy)) << "a torn book of the dead";
    busy_ += busy ? 1 : 0;
    ++books_;
  }

  // Whatever state it left: attach refuses it or reads it right.
  void kill_while_it_starts() {
    std::this_thread::sleep_for(std::chrono::microseconds(random_() % 2000));
    ASSERT_NO_FATAL_FAILURE(kill_and_wait(publisher_));
    const auto killed = static_cast<std::uint32_t>(publisher_);
    publisher_ = 0;
    ++early_;
    Subscriber late;
    const AttachStatus status = late.open(config_.name, Start::Oldest);
    ASSERT_TRUE(status == AttachStatus::Ok || status == AttachStatus::NotReady ||
                status == AttachStatus::NotFound)
        << to_string(status);
    if (status != AttachStatus::Ok || late.view().info().publisher_pid != killed) return;
    ++early_attached_;
    Event event;
    ReadStatus read = ReadStatus::Ok;
    while ((read = late.poll(event)) == ReadStatus::Ok) ASSERT_NO_FATAL_FAILURE(check(event));
    ASSERT_EQ(read, ReadStatus::Empty) << to_string(read);
    bool busy = false;
    ASSERT_TRUE(whole_book(late, busy));
  }

  const SegmentConfig config_ = named_config();
  std::mt19937_64 random_;
  pid_t publisher_ = 0;
  Subscriber subscriber_;
  std::uint64_t records_ = 0;
  std::uint64_t books_ = 0;
  std::uint64_t lost_ = 0;
  int busy_ = 0;
  int early_ = 0;
  int early_attached_ = 0;
};

TEST(Crash, PublisherKilledAtAnyInstantNeverShowsATornRecord) { PublisherCampaign(20260101).run(50); }

TEST(Stress, PublisherKilledAThousandTimesNeverShowsATornRecord) { PublisherCampaign(20261122).run(1000); }

// ---- death of readers

// Attaches, checks what it reads, and goes on until it is killed. Exits by itself only if something was
// wrong.
[[noreturn]] void read_until_killed(const std::string& name, int ready) {
  Subscriber subscriber;
  if (subscriber.open(name, Start::Oldest) != AttachStatus::Ok) ::_exit(2);
  const char byte = 'r';
  if (::write(ready, &byte, 1) != 1) ::_exit(3);
  Event event;
  for (;;) {
    const ReadStatus status = subscriber.poll(event);
    if (status == ReadStatus::Ok && !test::intact(event, kCrashLevels)) ::_exit(4);
    if (status != ReadStatus::Ok && status != ReadStatus::Lapped && status != ReadStatus::Empty) ::_exit(5);
    bool busy = false;
    if (event.header.sequence % 64 == 0 && !whole_book(subscriber, busy)) ::_exit(6);
  }
}

// The publisher neither waits for a reader nor knows of its death; the other readers go on too.
void kill_readers(int kills, std::uint64_t seed) {
  std::mt19937_64 random(seed);
  const SegmentConfig config = named_config();
  int end[2];
  ASSERT_EQ(::pipe2(end, O_CLOEXEC | O_NONBLOCK), 0);
  const pid_t publisher = ::fork();
  if (publisher == 0) {
    ::close(end[1]);
    try {
      publish_until(config, [&] {
        char byte;
        return ::read(end[0], &byte, 1) == 0;  // the parent closed its end, by intent or by its death
      });
    } catch (const std::exception&) {
      ::_exit(1);
    }
    ::_exit(0);
  }
  ::close(end[0]);
  Subscriber observer;
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(60);
  while (observer.open(config.name) != AttachStatus::Ok) {
    ASSERT_LT(std::chrono::steady_clock::now(), deadline);
    std::this_thread::yield();
  }
  std::uint64_t records = 0;
  Event event;
  for (int kill = 0; kill < kills && !testing::Test::HasFatalFailure(); ++kill) {
    int ready[2];
    ASSERT_EQ(::pipe2(ready, O_CLOEXEC), 0);
    const pid_t reader = ::fork();
    if (reader == 0) {
      ::close(end[1]);
      read_until_killed(config.name, ready[1]);
    }
    ::close(ready[1]);
    char byte = 0;
    EXPECT_EQ(::read(ready[0], &byte, 1), 1) << "the reader ended by itself";
    ::close(ready[0]);
    // The observer reads on meanwhile: a dead reader takes nothing from it.
    const std::uint64_t before = observer.view().event_count();
    const std::uint64_t until = records + 1 + random() % 500;
    while (records < until) {
      const ReadStatus status = observer.poll(event);
      if (status == ReadStatus::Ok) {
        ASSERT_TRUE(test::intact(event, kCrashLevels));
        ++records;
      } else {
        ASSERT_TRUE(status == ReadStatus::Empty || status == ReadStatus::Lapped) << to_string(status);
      }
    }
    kill_and_wait(reader);
    while (observer.view().event_count() == before) {
      ASSERT_EQ(observer.check_publisher(60'000'000'000), ReadStatus::Empty) << "the publisher stands still";
    }
  }
  ::close(end[1]);
  int status = 0;
  ASSERT_EQ(::waitpid(publisher, &status, 0), publisher);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << "status " << status;
  std::cout << kills << " readers killed, " << records << " records checked beside them\n";
  EXPECT_EQ(Subscriber().open(config.name), AttachStatus::NotFound) << "the clean stop left nothing";
}

TEST(Crash, ReadersKilledAtAnyInstantDisturbNobody) { kill_readers(30, 20260102); }

TEST(Stress, ReadersKilledAThousandTimesDisturbNobody) { kill_readers(1000, 20261123); }

// ---- tampered with by name

// One named object, rewritten for each mutant, opened as a program opens it.
TEST(Mutation, SubscriberRefusesOrReadsCorruptSegmentsWithoutHarm) {
  constexpr int kMutants = 500;
  MemorySegment original;
  test::fill_segment(*original);
  const std::string name = unique_name();
  const int fd = ::shm_open(("/" + name).c_str(), O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0600);
  ASSERT_GE(fd, 0);
  ASSERT_EQ(::ftruncate(fd, static_cast<off_t>(original.size())), 0);
  std::vector<unsigned char> bytes(original.size());
  std::mt19937_64 random(815);
  int attached = 0;
  test::Seen all;
  for (int mutant = 0; mutant < kMutants; ++mutant) {
    std::memcpy(bytes.data(), original.data(), original.size());
    test::mutate(bytes.data(), bytes.size(), random);
    ASSERT_EQ(::pwrite(fd, bytes.data(), bytes.size(), 0), static_cast<ssize_t>(bytes.size()));
    Subscriber subscriber;
    if (subscriber.open(name, mutant % 2 == 0 ? Start::Oldest : Start::Newest) != AttachStatus::Ok) {
      EXPECT_FALSE(subscriber.mapping().is_open());
      continue;
    }
    ++attached;
    const test::Seen seen = test::read_everything(subscriber);
    all.records += seen.records;
    all.instruments += seen.instruments;
  }
  ::close(fd);
  ::shm_unlink(("/" + name).c_str());
  std::cout << kMutants << " mutants: " << attached << " attached, " << all.instruments << " instruments and "
            << all.records << " records read\n";
  EXPECT_GT(attached, kMutants / 10);
  EXPECT_GT(all.records, static_cast<std::uint64_t>(kMutants));
}

TEST(Mutation, TruncatedFileIsNotMapped) {
  const std::string name = unique_name();
  const int fd = ::shm_open(("/" + name).c_str(), O_CREAT | O_EXCL | O_RDWR, 0600);
  ASSERT_GE(fd, 0);
  EXPECT_EQ(Subscriber().open(name), AttachStatus::NotReady) << "created, not sized yet";
  ASSERT_EQ(::ftruncate(fd, 4096), 0);
  EXPECT_EQ(Subscriber().open(name), AttachStatus::NotReady) << "sized, not formatted yet";
  const MemorySegment segment;
  ASSERT_EQ(::pwrite(fd, &segment.view().header(), 4096, 0), 4096);
  EXPECT_EQ(Subscriber().open(name), AttachStatus::Corrupt) << "its sections are not there";
  ::close(fd);
  ::shm_unlink(("/" + name).c_str());
}

}  // namespace
}  // namespace mdp::publish
