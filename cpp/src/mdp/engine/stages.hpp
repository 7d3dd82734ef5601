// The stages of the road as the engine runs them, and the sinks that join them. No thread is started here.
//
//   ParseStage    raw frames -> MessageSink                (parser thread, or inline)
//   ManagerStage  message queues -> manager -> EventSink   (manager thread, or inline)
//
// A sink is a queue (pipelined) or the next stage (fused).
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string_view>
#include <vector>

#include "mdp/book/order_book_manager.hpp"
#include "mdp/core/counters.hpp"
#include "mdp/core/sinks.hpp"
#include "mdp/core/venue.hpp"
#include "mdp/engine/control.hpp"
#include "mdp/engine/stage_thread.hpp"
#include "mdp/queue/idle_strategy.hpp"
#include "mdp/queue/mpsc_queue.hpp"
#include "mdp/queue/spsc_slot_queue.hpp"

namespace mdp::engine {

using MessageQueue = queue::SpscSlotQueue<core::NormalizedMessage>;
using EventQueue = queue::MpscQueue<shm::Event>;

// Parser (or REST thread) to manager through a queue. Full: waits for the manager, counted.
class QueueMessageSink final : public core::MessageSink {
 public:
  QueueMessageSink(MessageQueue& queue, Wake manager) : queue_(queue), manager_(std::move(manager)) {
    slot_ = queue_.claim();
  }
  void commit() noexcept override {
    queue::FullQueueWait wait;
    while (!queue_.try_commit()) wait.wait();
    if (wait.waited()) waits_.add();
    slot_ = queue_.claim();
    manager_();
  }
  std::uint64_t waits() const noexcept { return waits_.get(); }

 private:
  MessageQueue& queue_;
  Wake manager_;
  core::Counter waits_;
};

// Parser to manager on the same thread.
class DirectMessageSink final : public core::MessageSink {
 public:
  explicit DirectMessageSink(book::OrderBookManager& manager)
      : manager_(manager), scratch_(std::make_unique<core::NormalizedMessage>()) {
    slot_ = scratch_.get();
  }
  void commit() noexcept override { manager_.on_message(*slot_); }

 private:
  book::OrderBookManager& manager_;
  std::unique_ptr<core::NormalizedMessage> scratch_;
};

// Manager to publisher through the MPSC. The event is written aside and copied (its used bytes) when it is
// whole: a slot claimed early would hold back the events of the other managers behind it. Full: waits,
// counted.
class QueueEventSink final : public core::EventSink {
 public:
  QueueEventSink(EventQueue& queue, Wake end)
      : queue_(queue), end_(std::move(end)), scratch_(std::make_unique<shm::Event>()) {
    slot_ = scratch_.get();
  }
  void commit() noexcept override;
  std::uint64_t waits() const noexcept { return waits_.get(); }

 private:
  EventQueue& queue_;
  Wake end_;
  std::unique_ptr<shm::Event> scratch_;
  core::Counter waits_;
};

// Parses the frames of one lane, and tells control of those that are no data.
class ParseStage {
 public:
  ParseStage(const core::Venue& venue, const core::SymbolTable& symbols, core::MessageSink& sink,
             ControlQueue& control);
  ~ParseStage();

  // What the frame was. The message path where that is Ok or Ignored.
  core::ParseStatus handle(const core::RawMessage& frame) noexcept {
    return unpacker_ != nullptr && frame.kind == core::RawKind::Binary ? unpack(frame) : parse(frame);
  }
  // After Ack or VenueError, until the next handle().
  const core::VenueReply& reply() const noexcept { return parser_->last_reply(); }
  // After Respond, until the next handle(): what the venue wants to hear.
  std::string_view response() const noexcept { return {response_.data(), response_bytes_}; }

 private:
  struct Unpacker;

  core::ParseStatus parse(const core::RawMessage& frame) noexcept {
    const core::ParseStatus status = parser_->parse(frame, sink_);
    return status <= core::ParseStatus::Ignored ? status : report(status, frame);
  }
  core::ParseStatus unpack(const core::RawMessage& frame) noexcept;
  core::ParseStatus report(core::ParseStatus status, const core::RawMessage& frame) noexcept;
  core::ParseStatus report_error(core::ParseStatus status, const core::RawMessage& frame,
                                 const core::ParseFailure& failure, std::string_view text) noexcept;

  std::unique_ptr<core::Parser> parser_;
  std::unique_ptr<Unpacker> unpacker_;  // where the venue packs its frames
  core::ExchangeId exchange_;
  core::MessageSink& sink_;
  ControlQueue& control_;
  std::array<char, core::kResponseBytes> response_{};
  std::size_t response_bytes_ = 0;
};

// One OrderBookManager with the queues that feed it and the commands of control.
class ManagerStage final : public book::BookListener {
 public:
  using Command = std::function<void(book::OrderBookManager&)>;

  // `wake` makes run_once() run: on the stage's thread, or where that is not running at all by the caller of
  // post().
  ManagerStage(core::EventSink& events, const book::BookOptions& options, SymbolStatus* symbols,
               ControlQueue& control, Wake wake = {})
      : manager_(events, *this, options), symbols_(symbols), control_(control), wake_(std::move(wake)) {}

  // Set-up, or on the manager's thread.
  void add_input(MessageQueue& queue) { inputs_.push_back(&queue); }

  // Any thread. Run by the next run_once().
  void post(Command command);

  // The manager's thread. One round over commands and queues; false when there was nothing.
  bool run_once() noexcept;
  // The manager's thread. Whether the next round would find something.
  bool has_work() noexcept;

  book::OrderBookManager& manager() noexcept { return manager_; }
  const book::OrderBookManager& manager() const noexcept { return manager_; }
  // For whoever puts something into one of the queues.
  const Wake& wake() const noexcept { return wake_; }

 private:
  bool run_commands() noexcept;
  void on_book_state(core::SymbolId symbol, shm::BookState state, shm::StateReason reason,
                     std::uint64_t update_id) noexcept override;
  void on_snapshot_wanted(core::SymbolId symbol, shm::StateReason reason) noexcept override;
  void on_depth_need(core::SymbolId symbol, book::DepthNeed need) noexcept override;
  void on_audit_mismatch(core::SymbolId symbol, std::uint64_t update_id, book::AuditSource source,
                         const book::Bbo& book, const book::Bbo& venue) noexcept override;
  void on_suspect(core::SymbolId symbol) noexcept override;

  book::OrderBookManager manager_;
  SymbolStatus* symbols_;
  ControlQueue& control_;
  std::vector<MessageQueue*> inputs_;
  Wake wake_;
  std::mutex commands_mutex_;
  std::vector<Command> commands_;
  std::atomic<bool> has_commands_{false};
};

}  // namespace mdp::engine
