// What each way of waiting costs a reader that is idle, and how long it takes to see a record after a pause.
//
// A publisher and a reader, a thread each. Idle: nothing comes but heartbeats for two seconds; the reader's
// processor time and how often it gave up its core are counted by the kernel. Paced: a record every
// millisecond or so; the time from before the commit to when the reader has it, median and 99th percentile.
// The ways take turns, in rounds. Arguments: rounds (default 5).
#include <sys/resource.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <new>
#include <string>
#include <thread>
#include <vector>

#include "mdp/publish/ipc_publisher.hpp"
#include "mdp/shm/shm.hpp"
#include "mdp/sys/shared_memory.hpp"

namespace {

using namespace mdp;
using std::chrono::microseconds;
using std::chrono::milliseconds;
using Clock = std::chrono::steady_clock;

constexpr shm::Wait kWays[] = {shm::Wait::Spin, shm::Wait::Yield, shm::Wait::Sleep, shm::Wait::Bell};
constexpr int kRecords = 500;

struct Idle {
  double cpu_percent;
  double wakes_per_second;
};

double cpu_seconds(const rusage& usage) {
  return static_cast<double>(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
         1e-6 * static_cast<double>(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
}

Idle idle(const std::string& name, shm::Wait how) {
  constexpr milliseconds kFor{2000};
  Idle result{};
  std::thread reader([&] {
    shm::Subscriber feed;
    shm::Event event;
    if (feed.open(name) != shm::AttachStatus::Ok) std::abort();
    rusage before{}, after{};
    getrusage(RUSAGE_THREAD, &before);
    static_cast<void>(feed.wait(event, how, kFor));
    getrusage(RUSAGE_THREAD, &after);
    const double seconds = std::chrono::duration<double>(kFor).count();
    result.cpu_percent = 100 * (cpu_seconds(after) - cpu_seconds(before)) / seconds;
    result.wakes_per_second = static_cast<double>(after.ru_nvcsw - before.ru_nvcsw) / seconds;
  });
  reader.join();
  return result;
}

std::vector<double> paced(const std::string& name, publish::IPCPublisher& publisher, shm::Wait how) {
  std::vector<double> latencies_us;
  std::atomic<bool> ready{false};
  std::thread reader([&] {
    shm::Subscriber feed;
    shm::Event event;
    if (feed.open(name) != shm::AttachStatus::Ok) std::abort();
    ready = true;
    while (latencies_us.size() < kRecords) {
      if (feed.wait(event, how, milliseconds(1000)) != shm::ReadStatus::Ok) continue;
      const auto now = Clock::now().time_since_epoch();
      latencies_us.push_back(
          std::chrono::duration<double, std::micro>(now - std::chrono::nanoseconds(event.trade.trade_id))
              .count());
    }
  });
  while (!ready) std::this_thread::yield();
  shm::Event event{};
  event.header.type = shm::EventType::Trade;
  for (int i = 0; i < kRecords; ++i) {
    std::this_thread::sleep_for(microseconds(800 + 37 * i % 400));
    event.trade.trade_id = static_cast<std::uint64_t>(Clock::now().time_since_epoch().count());
    publisher.publish(event);
  }
  reader.join();
  std::sort(latencies_us.begin(), latencies_us.end());
  return latencies_us;
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

}  // namespace

int main(int argc, char** argv) {
  const int rounds = argc > 1 && std::atoi(argv[1]) > 0 ? std::atoi(argv[1]) : 5;
  publish::SegmentConfig config;
  config.name = "mdp-bench-waits-" + std::to_string(sys::process_id());
  config.ring = 1 << 20;
  config.instruments = 16;
  publish::SegmentWriter segment(config);
  publish::IPCPublisher publisher(segment);
  std::vector<double> cpu[4], wakes[4], half[4], tail[4];
  for (int round = 0; round < rounds; ++round) {
    for (const shm::Wait how : kWays) {
      const auto i = static_cast<std::size_t>(how);
      std::atomic<bool> beats{true};
      std::thread heart([&] {
        while (beats) {
          publisher.heartbeat();
          std::this_thread::sleep_for(milliseconds(2));
        }
      });
      const Idle quiet = idle(config.name, how);
      beats = false;
      heart.join();
      cpu[i].push_back(quiet.cpu_percent);
      wakes[i].push_back(quiet.wakes_per_second);
      const std::vector<double> latencies = paced(config.name, publisher, how);
      half[i].push_back(latencies[latencies.size() / 2]);
      tail[i].push_back(latencies[latencies.size() * 99 / 100]);
    }
  }
  std::printf("%-8s %12s %14s %14s %14s\n", "wait", "idle: cpu %", "wakes / s", "median us", "p99 us");
  for (const shm::Wait how : kWays) {
    const auto i = static_cast<std::size_t>(how);
    std::printf("%-8s %12.1f %14.0f %14.1f %14.1f\n", shm::to_string(how), median(cpu[i]), median(wakes[i]),
                median(half[i]), median(tail[i]));
  }
  publisher.stop();
}
