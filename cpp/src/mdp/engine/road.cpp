#include "mdp/engine/road.hpp"

#include <future>
#include <utility>

namespace mdp::engine {
namespace {

constexpr std::size_t kRestSlots = 64;

template <class Queue>
void wait_until_empty(const Queue& queue) {
  queue::FullQueueWait wait;
  while (queue.size() != 0) wait.wait();
}

// The managers are told of the ring at the end of the road.
RoadOptions with_ring(RoadOptions options, const RoadEnd& end) {
  options.books.ring_steps = end.ring_steps();
  options.books.ring_managers = options.threads == RoadOptions::Threads::Each ? options.managers : 1;
  return options;
}

}  // namespace

// ---- a manager -------------------------------------------------------------------------------------------

RoadManager::RoadManager(const RoadOptions& options, std::unique_ptr<QueueEventSink> events,
                         core::EventSink& end, net::IoLoop* loop, SymbolStatus* symbols,
                         ControlQueue& control)
    : parser_slots_(events ? options.message_queue_slots : 0),
      events_(std::move(events)),
      stage_(events_ ? *events_ : end, options.books, symbols, control, wake_by(options, loop)) {
  if (!events_) direct_ = std::make_unique<DirectMessageSink>(stage_.manager());
}

Wake RoadManager::wake_by(const RoadOptions& options, net::IoLoop* loop) {
  switch (options.threads) {
    case RoadOptions::Threads::Each:
      return {options.idle, signal_};
    case RoadOptions::Threads::Loop:
      return Wake([this, loop] { loop->post([this] { stage_.run_once(); }); });
    case RoadOptions::Threads::Caller:
      return Wake([this] { stage_.run_once(); });
  }
  return {};
}

core::MessageSink& RoadManager::add_parser() {
  if (direct_) return *direct_;
  return add_queue(parsers_, parser_slots_).sink;
}

core::MessageSink& RoadManager::rest_input() {
  return (rest_inputs_.empty() ? add_queue(rest_inputs_, kRestSlots) : *rest_inputs_.front()).sink;
}

RoadManager::Input& RoadManager::add_queue(std::vector<std::unique_ptr<Input>>& to, std::size_t slots) {
  Input& input = *to.emplace_back(std::make_unique<Input>(slots, stage_.wake()));
  post([this, &input](book::OrderBookManager&) { stage_.add_input(input.queue); });
  return input;
}

void RoadManager::call(const ManagerStage::Command& command) {
  std::promise<void> done;
  post([&command, &done](book::OrderBookManager& books) {
    command(books);
    done.set_value();
  });
  done.get_future().wait();
}

std::uint64_t RoadManager::message_waits() const noexcept {
  std::uint64_t waits = 0;
  for (const auto* inputs : {&parsers_, &rest_inputs_}) {
    for (const auto& input : *inputs) waits += input->sink.waits();
  }
  return waits;
}

void RoadManager::wait_until_empty() const {
  for (const auto& input : parsers_) engine::wait_until_empty(input->queue);
}

// ---- the end ---------------------------------------------------------------------------------------------

bool Road::End::run_once() noexcept {
  constexpr std::size_t kBurst = 256;
  if (end->drain(*queue, kBurst) != 0) return true;
  end->idle();
  return false;
}

// ---- the road --------------------------------------------------------------------------------------------

Road::Road(const RoadOptions& options, std::unique_ptr<RoadEnd> end, SymbolStatus* symbols,
           ControlQueue& control)
    : options_(with_ring(options, *end)) {
  using Threads = RoadOptions::Threads;
  const bool is_pipelined = options.threads == Threads::Each;
  end_.end = std::move(end);
  net::IoLoop* const loop = options.threads == Threads::Loop ? &start_loop().loop : nullptr;
  if (is_pipelined) {
    end_.queue = std::make_unique<EventQueue>(options.event_queue_slots);
    end_.wake = Wake(options.idle, end_.signal);
    end_thread_ = std::make_unique<StageThread>("mdp-publish", options.cores.publisher, options.idle,
                                                end_.signal, end_);
  }
  for (std::size_t i = 0; i < (is_pipelined ? options.managers : 1); ++i) {
    auto events = is_pipelined ? std::make_unique<QueueEventSink>(*end_.queue, end_.wake) : nullptr;
    // (The constructor is private: no make_unique.)
    managers_.emplace_back(
        new RoadManager(options_, std::move(events), end_.end->sink(), loop, symbols, control));
    if (!is_pipelined) continue;
    manager_threads_.push_back(
        std::make_unique<StageThread>("mdp-book-" + std::to_string(i), core_at(options.cores.managers, i),
                                      options.idle, managers_.back()->signal_, managers_.back()->stage_));
  }
}

Road::~Road() { stop(); }

Road::LoopThread& Road::start_loop() {
  auto started = std::make_unique<LoopThread>();
  LoopThread& made = *started;
  made.thread = sys::start_thread("mdp-conn-" + std::to_string(loops_.size()),
                                  core_at(options_.cores.connectors, loops_.size()),
                                  [&made, idle = options_.idle] { made.loop.run(idle); });
  loops_.push_back(std::move(started));
  return made;
}

net::IoLoop& Road::add_loop() {
  return (options_.threads == RoadOptions::Threads::Each ? start_loop() : *loops_.front()).loop;
}

// Every stage is done with an element only when what came of it is in the next queue, and takes it out of its
// own after that: so the queues are looked at down the road.
void Road::flush() const {
  if (!end_.queue) return;
  for (const auto& manager : managers_) manager->wait_until_empty();
  wait_until_empty(*end_.queue);
}

void Road::stop() noexcept {
  for (auto& loop : loops_) loop->loop.stop();
  for (auto& loop : loops_) {
    if (loop->thread.joinable()) loop->thread.join();
  }
  for (auto& parser : parsers_) parser->stop();
  for (auto& thread : manager_threads_) thread->stop();
  if (end_thread_) end_thread_->stop();
}

void Road::tick(std::int64_t now_ns) {
  for (auto& manager : managers_) {
    manager->post([now_ns](book::OrderBookManager& books) { books.look(now_ns); });
  }
  if (options_.threads == RoadOptions::Threads::Loop) {
    loops_.front()->loop.post([this] { end_.end->idle(); });
  } else {
    end_.wake();
  }
}

void Road::announce() {
  for (auto& manager : managers_) manager->post([](book::OrderBookManager& books) { books.announce(); });
}

}  // namespace mdp::engine
