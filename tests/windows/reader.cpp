// Processes that share a named mapping: starts mdp_windows_writer again and again, follows it, kills it at
// random instants, and checks what a reader is promised; mdp_windows_c_reader, in C, follows it too.
// reader [KILLS]; exit code 0: all of it held.
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <random>
#include <string>
#include <thread>

#include "mdp/core/error.hpp"
#include "mdp/publish/segment_writer.hpp"
#include "mdp/shm/shm.hpp"
#include "publish/test_segment.hpp"
// clang-format off: after ours here, before ours in writer.cpp; the public headers declare some of its
// functions.
#include <windows.h>
// clang-format on

namespace {

using namespace mdp;
using shm::AttachStatus;
using shm::ReadStatus;

#define CHECK(condition)                                                  \
  do {                                                                    \
    if (!(condition)) {                                                   \
      std::printf("%s:%d: failed: %s\n", __FILE__, __LINE__, #condition); \
      std::exit(1);                                                       \
    }                                                                     \
  } while (false)

// A program that lies beside this one, with its stdin and stdout in our hands; killed when it goes out of
// scope.
class Process {
 public:
  Process(const std::string& file, const std::string& arguments) {
    SECURITY_ATTRIBUTES inherit{sizeof(SECURITY_ATTRIBUTES), nullptr, TRUE};
    HANDLE child_in = nullptr;
    HANDLE child_out = nullptr;
    CHECK(::CreatePipe(&child_in, &in_, &inherit, 0) != 0);
    CHECK(::CreatePipe(&out_, &child_out, &inherit, 0) != 0);
    ::SetHandleInformation(in_, HANDLE_FLAG_INHERIT, 0);
    ::SetHandleInformation(out_, HANDLE_FLAG_INHERIT, 0);
    STARTUPINFOA start{};
    start.cb = sizeof(start);
    start.dwFlags = STARTF_USESTDHANDLES;
    start.hStdInput = child_in;
    start.hStdOutput = child_out;
    start.hStdError = ::GetStdHandle(STD_ERROR_HANDLE);
    char self[MAX_PATH];
    CHECK(::GetModuleFileNameA(nullptr, self, sizeof(self)) != 0);
    std::string program(self);
    program = program.substr(0, program.find_last_of("\\/") + 1) + file;
    std::string command = "\"" + program + "\" " + arguments;
    CHECK(::CreateProcessA(program.c_str(), command.data(), nullptr, nullptr, TRUE, 0, nullptr, nullptr,
                           &start, &process_) != 0);
    ::CloseHandle(child_in);
    ::CloseHandle(child_out);
  }
  ~Process() {
    kill();
    ::CloseHandle(process_.hThread);
    ::CloseHandle(process_.hProcess);
    ::CloseHandle(in_);
    ::CloseHandle(out_);
  }
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;

  std::uint32_t pid() const { return process_.dwProcessId; }
  void kill() {
    ::TerminateProcess(process_.hProcess, 9);
    ::WaitForSingleObject(process_.hProcess, INFINITE);
  }
  void end() {
    DWORD written = 0;
    CHECK(::WriteFile(in_, "\n", 1, &written, nullptr) != 0);
  }
  DWORD wait() {
    DWORD code = 0;
    CHECK(::WaitForSingleObject(process_.hProcess, 60'000) == WAIT_OBJECT_0);
    CHECK(::GetExitCodeProcess(process_.hProcess, &code) != 0);
    return code;
  }
  std::string output() {
    std::string text(4096, '\0');
    DWORD got = 0;
    ::ReadFile(out_, text.data(), static_cast<DWORD>(text.size()), &got, nullptr);
    text.resize(got);
    return text;
  }
  // One line of it, without its end.
  std::string line() {
    std::string text;
    char c = 0;
    for (DWORD got = 0; ::ReadFile(out_, &c, 1, &got, nullptr) != 0 && got == 1 && c != '\n';) {
      if (c != '\r') text += c;
    }
    return text;
  }

 private:
  HANDLE in_ = nullptr;
  HANDLE out_ = nullptr;
  PROCESS_INFORMATION process_{};
};

class Writer : public Process {
 public:
  explicit Writer(const std::string& arguments) : Process("mdp_windows_writer.exe", arguments) {}
};

// Attaches to the publisher `pid`, from its oldest event on.
void follow(shm::Subscriber& subscriber, const std::string& name, std::uint32_t pid) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(60);
  for (;;) {
    const AttachStatus status =
        subscriber.mapping().is_open() ? subscriber.reattach() : subscriber.open(name, shm::Start::Oldest);
    if (status == AttachStatus::Ok && subscriber.view().info().publisher_pid == pid) return;
    CHECK(std::chrono::steady_clock::now() < deadline);
    std::this_thread::yield();
  }
}

void check_book(const shm::Subscriber& subscriber, int& busy) {
  shm::Book book;
  const shm::BookStatus status = subscriber.read_book(0, book);
  CHECK(status == shm::BookStatus::Ok || status == shm::BookStatus::Busy);
  if (status == shm::BookStatus::Busy) {
    ++busy;
    return;
  }
  for (const auto& side : {book.bids, book.asks}) {
    for (const shm::PriceLevel& level : side) {
      CHECK(level.price == static_cast<std::int64_t>(book.entry.update_id) && level.quantity == level.price);
    }
  }
}

void read_ordered_end(const std::string& name) {
  constexpr std::uint64_t kEvents = 100;
  Writer writer(name + " " + std::to_string(kEvents));
  shm::Subscriber subscriber;
  follow(subscriber, name, writer.pid());
  shm::InstrumentEntry entry;
  CHECK(subscriber.find("binance:BTC-USDT", entry) && entry.symbol_id == 0);
  shm::Event event;
  std::uint64_t seen = 0;
  ReadStatus status = ReadStatus::Ok;
  while ((status = subscriber.poll(event)) != ReadStatus::Stopped) {
    CHECK(status == ReadStatus::Ok || status == ReadStatus::Empty);
    if (status != ReadStatus::Ok) continue;
    CHECK(publish::test::intact(event, 64) && event.header.update_id == seen);
    ++seen;
  }
  CHECK(seen == kEvents);
  writer.end();
  CHECK(writer.wait() == 0);
  CHECK(subscriber.poll(event) == ReadStatus::Stopped);  // the view outlives the publisher
  CHECK(shm::Subscriber().open(name) == AttachStatus::NotFound);
  std::puts("an ordered end: read to the last event, and the name is gone");
}

// One C program through three publishers: two stop in order, the one between is killed at full speed.
void c_reader_follows(const std::string& name) {
  constexpr std::uint64_t kEvents = 60;  // the small ring holds them
  Process reader("mdp_windows_c_reader.exe", name + " 3");
  for (const bool killed : {false, true, false}) {
    Writer writer(killed ? name : std::string(name).append(" ").append(std::to_string(kEvents)));
    CHECK(reader.line() == std::string("attached ").append(std::to_string(writer.pid())));
    if (killed) {
      shm::Subscriber subscriber;
      follow(subscriber, name, writer.pid());
      while (subscriber.view().event_count() < 20'000) std::this_thread::yield();
      writer.kill();
      const std::string ending = reader.line();
      std::printf("a reader in C, of a publisher that was killed: %s\n", ending.c_str());
      CHECK(ending.find("the publisher died") != std::string::npos);
    } else {
      const std::string ending = reader.line();
      CHECK(ending == std::string("run ").append(std::to_string(kEvents)) + " 0 0 the publisher stopped");
      writer.end();
      CHECK(writer.wait() == 0);
    }
  }
  CHECK(reader.wait() == 0);
  std::puts("a reader in C followed three publishers of one name");
}

void refuse_second_owner(const std::string& name) {
  Writer writer(name);
  shm::Subscriber subscriber;
  follow(subscriber, name, writer.pid());
  Writer second(name);
  CHECK(second.wait() == 3);
  const std::string refusal = second.output();
  CHECK(refusal.find(std::to_string(writer.pid())) != std::string::npos);
  CHECK(refusal.find(name) != std::string::npos);
  std::printf("a second owner was refused: %s", refusal.c_str());
}

void kill_at_random(const std::string& name, int kills) {
  std::mt19937_64 random(20261122);
  shm::Subscriber subscriber;
  std::uint64_t records = 0;
  std::uint64_t lost = 0;
  int busy = 0;
  // What a careless reader does: it keeps a handle to the first segment's name all the while.
  HANDLE hoarded = nullptr;
  for (int kill = 0; kill < kills; ++kill) {
    Writer writer(name);
    follow(subscriber, name, writer.pid());
    if (hoarded == nullptr) {
      hoarded = ::OpenFileMappingA(FILE_MAP_READ, FALSE, ("Local\\mdp-" + name).c_str());
      CHECK(hoarded != nullptr);
    }
    const std::uint64_t until = 1 + random() % 2000;
    std::uint64_t seen = 0;
    bool killed = false;
    shm::Event event;
    for (;;) {
      const ReadStatus status = subscriber.poll(event);
      if (status == ReadStatus::Ok) {
        CHECK(publish::test::intact(event, 64) && event.header.update_id == event.header.sequence);
        ++seen;
      } else if (status == ReadStatus::Empty) {
        if (killed) break;
        std::this_thread::yield();
      } else {
        CHECK(status == ReadStatus::Lapped);
        lost += subscriber.ring().lost_events();
      }
      if (!killed && seen >= until) {
        check_book(subscriber, busy);
        writer.kill();
        killed = true;
      }
    }
    records += seen;
    CHECK(subscriber.publisher_status(0) == shm::PublisherStatus::Dead);
    CHECK(subscriber.check_publisher(0) == ReadStatus::PublisherDead);
    CHECK(subscriber.usable_state(shm::BookState::Live, 0) == shm::BookState::Stale);
    check_book(subscriber, busy);
  }
  {
    // The stale one is no obstacle, and a clean stop leads nowhere even though the locator is held open.
    publish::SegmentConfig config = publish::test::small_config();
    config.name = name;
    const publish::SegmentWriter segment(config);
    CHECK(subscriber.publisher_status(0) == shm::PublisherStatus::Replaced);
    CHECK(subscriber.reattach() == AttachStatus::Ok);
    CHECK(subscriber.publisher_status() == shm::PublisherStatus::Running);
    CHECK(subscriber.publisher_status(0) == shm::PublisherStatus::Silent);
  }
  CHECK(shm::Subscriber().open(name) == AttachStatus::NotReady);
  ::CloseHandle(hoarded);
  CHECK(shm::Subscriber().open(name) == AttachStatus::NotFound);
  std::printf(
      "%d publishers killed, %llu records checked, %llu lost to laps, %d books found inside a write\n", kills,
      static_cast<unsigned long long>(records), static_cast<unsigned long long>(lost), busy);
}

}  // namespace

int main(int argc, char** argv) {
  const int kills = argc > 1 ? std::atoi(argv[1]) : 20;
  const std::string name = publish::test::unique_name();
  read_ordered_end(name);
  refuse_second_owner(name);
  c_reader_follows(name);
  kill_at_random(name, kills);
  return 0;
}
