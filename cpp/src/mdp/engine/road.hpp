// Road: the stages behind the connectors with all that they run on. It owns the book managers, the end of the
// road (the publisher), the queues between them, and every thread of the message path.
//
//   loops -> parsers -> [queue] -> managers -> [queue] -> end
//
// The engine has its lanes put frames in, a replay puts in recorded ones; the stages, and what comes out, are
// the same. Where they run is one of three:
//   Each    pipelined: a thread a stage, a queue between any two
//   Loop    fused: everything on the thread of the one loop, connectors included; a stage's sink is the next stage
//   Caller  fused, no thread at all: whoever puts something in runs the stages (a replay)
//
// It starts by being made and drains as it stops: each stage, from the first to the last, handles what the
// one before has left. What puts frames in (lanes, parsers) is given by reference and outlives stop().
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "mdp/core/sinks.hpp"
#include "mdp/engine/control.hpp"
#include "mdp/engine/engine_config.hpp"
#include "mdp/engine/stage_thread.hpp"
#include "mdp/engine/stages.hpp"
#include "mdp/net/io_loop.hpp"

namespace mdp::engine {

// Where the road ends: the publisher, or what a replay makes of the events.
class RoadEnd {
 public:
  virtual ~RoadEnd() = default;
  // Where the managers write their events, fused.
  virtual core::EventSink& sink() noexcept = 0;
  // Pipelined. Takes up to `max` events from the queue and returns how many there were.
  virtual std::size_t drain(EventQueue& queue, std::size_t max) noexcept = 0;
  // Any thread, from start to end: how often the ring has advanced by 1/64 of it. Null: there is none.
  virtual const core::Counter* ring_steps() const noexcept { return nullptr; }
  // On the thread of the calls above, when there was nothing to take and some times a second.
  virtual void idle() noexcept {}
};

struct RoadOptions {
  enum class Threads : std::uint8_t { Each, Loop, Caller };
  Threads threads = Threads::Caller;
  queue::IdleMode idle = queue::IdleMode::Park;  // resolved: not Auto
  CoreMap cores;
  std::size_t managers = 1;                // Each
  std::size_t message_queue_slots = 1024;  // Each: of a parser's queue
  std::size_t event_queue_slots = 1024;    // Each
  book::BookOptions books;
};

// One book manager with the queues that lead to it.
class RoadManager {
 public:
  // The way in for a parser. Fused it is the manager itself, pipelined a queue. Control thread.
  core::MessageSink& add_parser();
  // The way in for answers over REST, whose thread alone writes there. Control thread.
  core::MessageSink& rest_input();

  // Any thread: the manager runs it, before what is put in from now on.
  void post(ManagerStage::Command command) { stage_.post(std::move(command)); }
  // The same, and waits until it is done. Not on the manager's own thread.
  void call(const ManagerStage::Command& command);

  // Any thread for its counters; the rest is the manager's thread's, or anybody's while nothing runs.
  book::OrderBookManager& books() noexcept { return stage_.manager(); }
  const book::OrderBookManager& books() const noexcept { return stage_.manager(); }
  std::uint64_t message_waits() const noexcept;  // of parsers and of the REST thread
  std::uint64_t event_waits() const noexcept { return events_ ? events_->waits() : 0; }

 private:
  friend class Road;
  struct Input {
    Input(std::size_t slots, const Wake& wake) : queue(slots), sink(queue, wake) {}
    MessageQueue queue;
    QueueMessageSink sink;
  };

  RoadManager(const RoadOptions& options, std::unique_ptr<QueueEventSink> events, core::EventSink& end,
              net::IoLoop* loop, SymbolStatus* symbols, ControlQueue& control);
  Wake wake_by(const RoadOptions& options, net::IoLoop* loop);
  Input& add_queue(std::vector<std::unique_ptr<Input>>& to, std::size_t slots);
  void wait_until_empty() const;

  const std::size_t parser_slots_;          // 0: fused
  std::unique_ptr<QueueEventSink> events_;  // pipelined
  queue::WakeSignal signal_;
  ManagerStage stage_;
  std::unique_ptr<DirectMessageSink> direct_;        // fused
  std::vector<std::unique_ptr<Input>> parsers_;      // pipelined
  std::vector<std::unique_ptr<Input>> rest_inputs_;  // one, once somebody asks for it
};

class Road {
 public:
  // `symbols` and `control` outlive this. Throws ConfigError: a core that does not exist.
  Road(const RoadOptions& options, std::unique_ptr<RoadEnd> end, SymbolStatus* symbols,
       ControlQueue& control);
  ~Road();  // stop()
  Road(const Road&) = delete;
  Road& operator=(const Road&) = delete;

  // Those below are for one thread, control's.

  std::size_t manager_count() const noexcept { return managers_.size(); }
  RoadManager& manager(std::size_t i) noexcept { return *managers_[i]; }
  const RoadManager& manager(std::size_t i) const noexcept { return *managers_[i]; }

  // The loop for the connectors of the next lane, already running: one of its own, or (Loop) the one there
  // is.
  net::IoLoop& add_loop();
  // Each: runs the parser of lane `number` on a thread of its own. Otherwise its connector's thread does.
  template <class Stage>
  void start_parser(std::size_t number, queue::WakeSignal& signal, Stage& parser) {
    if (options_.threads != RoadOptions::Threads::Each) return;
    parsers_.push_back(std::make_unique<StageThread>("mdp-parse-" + std::to_string(number),
                                                     core_at(options_.cores.parsers, number), options_.idle,
                                                     signal, parser));
  }

  // Waits until all that the parsers have put in so far has come out at the end. They rest meanwhile.
  void flush() const;
  // Ends all threads, when nothing is left on the way. Connectors have stopped before. Idempotent.
  void stop() noexcept;

  // Any thread, some times a second: gives books the clock that they have while nothing comes, and the end a
  // round.
  void tick(std::int64_t now_ns);

  // Any thread: every book is told anew (OrderBookManager::announce()).
  void announce();

  std::size_t event_queue_depth() const noexcept { return end_.queue ? end_.queue->size() : 0; }

 private:
  // The last stage.
  struct End {
    bool run_once() noexcept;
    bool has_work() noexcept { return queue->front() != nullptr; }

    std::unique_ptr<RoadEnd> end;
    std::unique_ptr<EventQueue> queue;  // pipelined
    queue::WakeSignal signal;
    Wake wake;
  };
  struct LoopThread {
    net::IoLoop loop;
    std::thread thread;
  };

  static int core_at(const std::vector<int>& cores, std::size_t i) noexcept {
    return i < cores.size() ? cores[i] : -1;
  }
  LoopThread& start_loop();

  const RoadOptions options_;
  End end_;
  std::vector<std::unique_ptr<LoopThread>> loops_;  // Each: one a lane; Loop: one
  std::vector<std::unique_ptr<RoadManager>> managers_;
  // Ended in this order.
  std::vector<std::unique_ptr<StageThread>> parsers_;
  std::vector<std::unique_ptr<StageThread>> manager_threads_;
  std::unique_ptr<StageThread> end_thread_;
};

}  // namespace mdp::engine
