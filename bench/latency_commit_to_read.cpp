// Latency from commit to read between two pinned threads, as a multiple of what moving one cache line there
// takes.
//
// Each way of passing 64 bytes on is measured as a round trip: thread A sends, thread B waits for it and
// answers. Half of it is one way. The ways take turns within a round, since the machine may move the cores
// about between rounds.
//   line   a word in a line of its own, one each way: the least there is
//   spsc   the project's in-process queue
//   ring   RingWriter::append() and commit(), RingReader::poll() of the whole record, checked
//   boost  boost::lockfree::spsc_queue of fixed capacity, the form that can lie in shared memory: one reader
//   iceoryx2   loan, write, send; receive, copy (see iceoryx2_peer.hpp; left out where it is not built)
// Arguments: rounds (default 31), round trips in each (default 20,000). Options of Google Benchmark are
// ignored.
#include <algorithm>
#include <atomic>
#include <boost/lockfree/spsc_queue.hpp>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <new>
#include <string>
#include <thread>
#include <vector>

#include "iceoryx2_peer.hpp"
#include "mdp/core/error.hpp"
#include "mdp/publish/segment_writer.hpp"
#include "mdp/queue/idle_strategy.hpp"
#include "mdp/queue/spsc_queue.hpp"
#include "mdp/shm/shm.hpp"
#include "mdp/sys/thread.hpp"

namespace {

using namespace mdp;

struct alignas(64) Message {
  std::uint64_t number;
  std::uint64_t rest[7];
};

// ---- the ways

class Line {
 public:
  void send(std::uint64_t number) noexcept {
    // release: pairs with the load in receive().
    word_.store(number, std::memory_order_release);
  }
  bool try_receive(std::uint64_t& number) noexcept {
    // acquire: pairs with the store in send().
    const std::uint64_t word = word_.load(std::memory_order_acquire);
    const bool news = word != number;
    number = word;
    return news;
  }

 private:
  alignas(128) std::atomic<std::uint64_t> word_{0};
};

class Spsc {
 public:
  void send(std::uint64_t number) noexcept {
    while (!queue_.try_push(Message{number, {}})) queue::cpu_relax();
  }
  bool try_receive(std::uint64_t& number) noexcept {
    const Message* message = queue_.front();
    if (message == nullptr) return false;
    number = message->number;
    queue_.pop();
    return true;
  }

 private:
  queue::SpscQueue<Message> queue_{1024};
};

class BoostSpsc {
 public:
  void send(std::uint64_t number) noexcept {
    while (!queue_.push(Message{number, {}})) queue::cpu_relax();
  }
  bool try_receive(std::uint64_t& number) noexcept {
    Message message;
    if (!queue_.pop(message)) return false;
    number = message.number;
    return true;
  }

 private:
  boost::lockfree::spsc_queue<Message, boost::lockfree::capacity<1024>> queue_;
};

class Ring {
 public:
  Ring() {
    publish::SegmentConfig config;
    config.ring = 1 << 20;
    config.instruments = 16;
    const std::size_t bytes = publish::segment_size_bytes(config);
    memory_.reset(::operator new(bytes, std::align_val_t{4096}));
    std::memset(memory_.get(), 0, bytes);
    segment_ = std::make_unique<publish::SegmentWriter>(config, memory_.get(), bytes);
    reader_ = shm::RingReader(segment_->view());
  }
  void send(std::uint64_t number) noexcept {
    shm::EventHeader header{};
    header.type = shm::EventType::Instrument;  // a record of one line
    header.update_id = number;
    segment_->ring().append(header, nullptr, 0);
    segment_->ring().commit();
  }
  bool try_receive(std::uint64_t& number) noexcept {
    if (reader_.poll(event_) != shm::ReadStatus::Ok) return false;
    number = event_.header.update_id;
    return true;
  }

 private:
  struct Free {
    void operator()(void* memory) const { ::operator delete(memory, std::align_val_t{4096}); }
  };
  std::unique_ptr<void, Free> memory_;
  std::unique_ptr<publish::SegmentWriter> segment_;
  alignas(128) shm::RingReader reader_;
  shm::Event event_;
};

// ---- measuring

bool pinned = true;
void pin(int core) {
  try {
    sys::pin_thread(core);
  } catch (const ConfigError&) {
    pinned = false;
  }
}

// Waits for message `number`, which is the next.
template <class Way>
void receive(Way& way, std::uint64_t number) noexcept {
  std::uint64_t got = number - 1;
  while (!way.try_receive(got)) queue::cpu_relax();
  if (got != number) std::abort();
}

// Median of the round trips, halved, ns. A round trip is timed in groups, so that the clock costs little.
template <class Way>
double one_way_ns(int trips) {
  constexpr int kGroup = 50;
  const auto there = std::make_unique<Way>();
  const auto back = std::make_unique<Way>();
  const auto warm_up = static_cast<std::uint64_t>(trips / 10);
  const std::uint64_t end = warm_up + static_cast<std::uint64_t>(trips);
  std::thread answering([&] {
    pin(1);
    for (std::uint64_t number = 1; number <= end; ++number) {
      receive(*there, number);
      back->send(number);
    }
  });
  std::vector<double> groups;
  std::uint64_t number = 1;
  for (; number <= warm_up; ++number) {
    there->send(number);
    receive(*back, number);
  }
  while (number <= end) {
    const auto begin = std::chrono::steady_clock::now();
    int in_group = 0;
    for (; in_group < kGroup && number <= end; ++in_group, ++number) {
      there->send(number);
      receive(*back, number);
    }
    const std::chrono::duration<double, std::nano> took = std::chrono::steady_clock::now() - begin;
    groups.push_back(took.count() / in_group / 2);
  }
  answering.join();
  std::nth_element(groups.begin(), groups.begin() + static_cast<std::ptrdiff_t>(groups.size() / 2),
                   groups.end());
  return groups[groups.size() / 2];
}

struct Spread {
  double low, median, high;
};
Spread spread(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const std::size_t n = values.size();
  return {values[n / 10], values[n / 2], values[n - 1 - n / 10]};
}

void print(const char* way, const char* unit, const std::vector<double>& values) {
  const Spread s = spread(values);
  std::printf("%-22s median %8.2f   p10 %8.2f   p90 %8.2f\n", std::string(way).append(unit).c_str(), s.median,
              s.low, s.high);
}

}  // namespace

int main(int argc, char** argv) {
  std::vector<int> numbers;
  for (int i = 1; i < argc; ++i) {
    if (argv[i][0] != '-') numbers.push_back(std::atoi(argv[i]));
  }
  const int rounds = !numbers.empty() && numbers[0] > 0 ? numbers[0] : 31;
  const int trips = numbers.size() > 1 && numbers[1] >= 1000 ? numbers[1] : 20'000;
  if (sys::available_cores() < 2) {
    std::puts("latency_commit_to_read: needs two cores");
    return 0;
  }
  pin(0);
  struct Way {
    const char* name;
    double (*one_way_ns)(int trips);
    std::vector<double> times_ns, to_line, to_ring;
  };
  constexpr std::size_t kLine = 0;
  constexpr std::size_t kRing = 2;
  std::vector<Way> ways{{"line", one_way_ns<Line>, {}, {}, {}},
                        {"spsc queue", one_way_ns<Spsc>, {}, {}, {}},
                        {"shm ring", one_way_ns<Ring>, {}, {}, {}},
                        {"boost spsc", one_way_ns<BoostSpsc>, {}, {}, {}}};
  if (bench::Iceoryx2Library::get().available()) {
    ways.push_back({"iceoryx2", one_way_ns<bench::Iceoryx2>, {}, {}, {}});
  }
  for (int round = 0; round < rounds; ++round) {
    for (Way& way : ways) {
      way.times_ns.push_back(way.one_way_ns(trips));
      way.to_line.push_back(way.times_ns.back() / ways[kLine].times_ns.back());
    }
    for (Way& way : ways) way.to_ring.push_back(way.times_ns.back() / ways[kRing].times_ns.back());
  }
  std::printf("one way, %d rounds of %d round trips, 64 bytes%s\n", rounds, trips,
              pinned ? "" : ", NOT PINNED");
  for (const Way& way : ways) {
    print(way.name, ", ns", way.times_ns);
    print(way.name, " / line", way.to_line);
    print(way.name, " / shm ring", way.to_ring);
  }
  if (!bench::Iceoryx2Library::get().available())
    std::puts("iceoryx2: left out, $MDP_ICEORYX2_PEER names no library");
  return 0;
}
