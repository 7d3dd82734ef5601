// What readers cost the writer of the ring: its own time for a record with 1, 2, 4 and 8 readers, as a
// multiple of the same without any. CPU time at full speed, and the median commit at 1.6 million records a
// second.
//
//   bench_ring_readers [REPEATS]                 the table (default 15); each number of readers once a repeat
//   bench_ring_readers --count KIND READERS      writes 200,000 records of 64 bytes, for a tool that counts
//       instructions: valgrind --tool=callgrind --toggle-collect='*write_records*' bench_ring_readers --count hard 8
//
// The writer is pinned to the first core, all readers to the second, so that none takes the writer's time.
// With two cores one reader runs at a time: eight that poll hard are one that is somewhere else every few
// milliseconds. Kinds of readers:
//   hard    polls every record, spinning
//   rare    wakes up every millisecond, reads the best 20 levels and up to 64 records, skips the rest
// Options of Google Benchmark are ignored.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <memory>
#include <new>
#include <string>
#include <thread>
#include <vector>

#include "mdp/core/error.hpp"
#include "mdp/publish/segment_writer.hpp"
#include "mdp/queue/idle_strategy.hpp"
#include "mdp/shm/shm.hpp"
#include "mdp/sys/thread.hpp"

namespace {

using namespace mdp;

bool pinned = true;
void pin(int core) {
  try {
    sys::pin_thread(core);
  } catch (const ConfigError&) {
    pinned = false;
  }
}

double thread_cpu_ns() {
  timespec now{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) * 1e9 + static_cast<double>(now.tv_nsec);
}

class Segment {
 public:
  Segment() {
    publish::SegmentConfig config;
    config.ring = 16 << 20;
    config.instruments = 16;
    config.levels = 20;
    const std::size_t bytes = publish::segment_size_bytes(config);
    memory_.reset(::operator new(bytes, std::align_val_t{4096}));
    std::memset(memory_.get(), 0, bytes);
    writer_ = std::make_unique<publish::SegmentWriter>(config, memory_.get(), bytes);
  }
  publish::SegmentWriter* operator->() { return writer_.get(); }

 private:
  struct Free {
    void operator()(void* memory) const { ::operator delete(memory, std::align_val_t{4096}); }
  };
  std::unique_ptr<void, Free> memory_;
  std::unique_ptr<publish::SegmentWriter> writer_;
};

enum class Kind { Hard, Rare };

// Readers that run from construction to destruction.
class Readers {
 public:
  Readers(const shm::SegmentView& view, Kind kind, int count) {
    for (int i = 0; i < count; ++i) {
      threads_.emplace_back([this, view, kind] {
        pin(1);
        std::uint64_t records = 0;
        kind == Kind::Hard ? poll_hard(view, records) : poll_rarely(view, records);
        records_ += records;
      });
    }
    while (attached_.load() < count) std::this_thread::yield();
  }
  ~Readers() { stop(); }
  Readers(const Readers&) = delete;
  Readers& operator=(const Readers&) = delete;

  // Ends them; how many records they read together.
  std::uint64_t stop() {
    done_ = true;
    for (std::thread& thread : threads_) thread.join();
    threads_.clear();
    return records_.load();
  }

 private:
  void poll_hard(const shm::SegmentView& view, std::uint64_t& records) {
    shm::RingReader reader(view);
    shm::Event event;
    ++attached_;
    while (!done_.load(std::memory_order_relaxed)) {  // relaxed: only ends the run
      if (reader.poll(event) == shm::ReadStatus::Ok) {
        ++records;
      } else {
        queue::cpu_relax();
      }
    }
  }
  void poll_rarely(const shm::SegmentView& view, std::uint64_t& records) {
    shm::RingReader reader(view);
    const shm::BookTable table(view);
    shm::Book book;
    ++attached_;
    while (!done_.load(std::memory_order_relaxed)) {  // relaxed: only ends the run
      static_cast<void>(table.read(0, book));
      records += reader.poll(64, [](const shm::Event&) {}).events;
      reader.start(shm::Start::Newest);
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
  }

  std::atomic<bool> done_{false};
  std::atomic<int> attached_{0};
  std::atomic<std::uint64_t> records_{0};
  std::vector<std::thread> threads_;
};

struct Load {
  const char* name;
  int record_bytes;
  int records_per_commit;
  int pause_ns;  // between commits; 0: none, as fast as it goes
};

// What is measured; a function of its own, so that a tool can count it alone.
[[gnu::noinline]] void write_records(publish::RingWriter& ring, const shm::Event& event, std::size_t body,
                                     int records, int records_per_commit) {
  for (int n = 0; n < records; n += records_per_commit) {
    for (int i = 0; i < records_per_commit; ++i) ring.append(event.header, event.levels, body);
    ring.commit();
  }
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

struct Outcome {
  double ns_per_record;
  double read_share;  // of the records, by one reader
};

Outcome measure(const Load& load, Kind kind, int reader_count, int records) {
  Segment segment;
  shm::Event event{};
  const auto levels = static_cast<std::uint16_t>((load.record_bytes - 64) / 16);
  event.header.type = levels == 0 ? shm::EventType::Instrument : shm::EventType::BookDelta;
  event.header.bid_count = levels;
  const std::size_t body = sizeof(shm::PriceLevel) * levels;
  publish::RingWriter& ring = segment->ring();
  write_records(ring, event, body, (32 << 20) / load.record_bytes, load.records_per_commit);  // warms it up
  Readers readers(segment->view(), kind, reader_count);
  double ns = 0;
  if (load.pause_ns == 0) {
    const double began = thread_cpu_ns();
    write_records(ring, event, body, records, load.records_per_commit);
    ns = (thread_cpu_ns() - began) / records;
  } else {
    // Median of the commits: whoever takes the core meanwhile is not in it. The clock's 25 ns are.
    std::vector<double> commits;
    for (int n = 0; n < records; n += load.records_per_commit) {
      const auto began = std::chrono::steady_clock::now();
      write_records(ring, event, body, load.records_per_commit, load.records_per_commit);
      const std::chrono::duration<double, std::nano> took = std::chrono::steady_clock::now() - began;
      commits.push_back(took.count() / load.records_per_commit);
      const auto until = began + std::chrono::nanoseconds(load.pause_ns);
      while (std::chrono::steady_clock::now() < until) queue::cpu_relax();
    }
    ns = median(std::move(commits));
  }
  const auto read = static_cast<double>(readers.stop());
  return {ns, reader_count == 0 ? 0 : read / reader_count / records};
}

void print_table(int repeats) {
  constexpr int kReaders[] = {0, 1, 2, 4, 8};
  constexpr Load kLoads[] = {{"64 B, commit each", 64, 1, 0},
                             {"640 B, commit each", 640, 1, 0},
                             {"64 B, commit 16 at once", 64, 16, 0},
                             {"64 B, 16 every 10 us", 64, 16, 10'000}};
  std::printf("time of the writer for a record, %d repeats; ratio to the same repeat without readers%s\n",
              repeats, pinned ? "" : "; NOT PINNED");
  for (const Kind kind : {Kind::Hard, Kind::Rare}) {
    for (const Load& load : kLoads) {
      const int records = load.pause_ns > 0 ? 80'000 : load.record_bytes == 64 ? 2'000'000 : 800'000;
      std::vector<double> times[5], ratios[5], shares[5];
      for (int repeat = 0; repeat < repeats; ++repeat) {
        double alone = 0;
        for (int i = 0; i < 5; ++i) {
          const Outcome outcome = measure(load, kind, kReaders[i], records);
          if (i == 0) alone = outcome.ns_per_record;
          times[i].push_back(outcome.ns_per_record);
          ratios[i].push_back(outcome.ns_per_record / alone);
          shares[i].push_back(outcome.read_share);
        }
      }
      for (int i = 0; i < 5; ++i) {
        std::sort(ratios[i].begin(), ratios[i].end());
        const std::size_t tenth = ratios[i].size() / 10;
        std::printf(
            "%-4s %-24s %d readers: %6.1f ns, ratio %.2f (p10 %.2f, p90 %.2f), one read %.2g of them\n",
            kind == Kind::Hard ? "hard" : "rare", load.name, kReaders[i], median(times[i]), median(ratios[i]),
            ratios[i][tenth], ratios[i][ratios[i].size() - 1 - tenth], median(shares[i]));
      }
    }
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (sys::available_cores() < 2) {
    std::puts("bench_ring_readers: needs two cores");
    return 0;
  }
  pin(0);
  if (argc == 4 && std::string(argv[1]) == "--count") {
    const Kind kind = std::string(argv[2]) == "rare" ? Kind::Rare : Kind::Hard;
    const Outcome outcome = measure({"64 B, commit each", 64, 1, 0}, kind, std::atoi(argv[3]), 200'000);
    std::printf("one reader read %.2g of the records\n", outcome.read_share);
    return 0;
  }
  const int repeats = argc > 1 && std::atoi(argv[1]) > 0 ? std::atoi(argv[1]) : 15;
  print_table(repeats);
  return 0;
}
