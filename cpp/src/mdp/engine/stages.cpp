#include "mdp/engine/stages.hpp"

#include <algorithm>
#include <cstring>
#include <string_view>

#include "mdp/net/inflater.hpp"
#include "mdp/sys/clock.hpp"

namespace mdp::engine {

void QueueEventSink::commit() noexcept {
  queue::FullQueueWait wait;
  shm::Event* to = nullptr;
  while ((to = queue_.try_claim()) == nullptr) wait.wait();
  if (wait.waited()) waits_.add();
  const auto body = static_cast<std::size_t>(shm::body_bytes(slot_->header));
  std::memcpy(static_cast<void*>(to), slot_, sizeof(shm::EventHeader) + body);
  queue_.commit(to);
  end_();
}

// Where a packed frame is unpacked: one after another in the same memory. What is never used of it stays the
// system's.
struct ParseStage::Unpacker {
  net::Inflater inflater{net::Inflater::Format::Gzip};
  std::unique_ptr<char[]> room =
      std::make_unique_for_overwrite<char[]>(core::kMaxInflatedBytes + core::kFramePadding);
};

ParseStage::ParseStage(const core::Venue& venue, const core::SymbolTable& symbols, core::MessageSink& sink,
                       ControlQueue& control)
    : parser_(venue.make_parser(symbols)), exchange_(venue.exchange_id()), sink_(sink), control_(control) {
  if (venue.endpoint().frame_coding == core::FrameCoding::Gzip) unpacker_ = std::make_unique<Unpacker>();
}

ParseStage::~ParseStage() = default;

core::ParseStatus ParseStage::unpack(const core::RawMessage& frame) noexcept {
  core::RawMessage plain = frame;
  std::size_t bytes = 0;
  const net::InflateStatus status =
      unpacker_->inflater.inflate(frame.text(), unpacker_->room.get(), core::kMaxInflatedBytes, bytes);
  if (status != net::InflateStatus::Ok) {
    return report_error(core::ParseStatus::MalformedFrame, frame, {}, net::to_string(status));
  }
  plain.data = unpacker_->room.get();
  plain.size = static_cast<std::uint32_t>(bytes);
  plain.kind = core::RawKind::Text;
  std::memset(plain.data + bytes, 0, core::kFramePadding);
  return parse(plain);
}

// Not the message path any more: errors, replies, what the venue wants.
core::ParseStatus ParseStage::report(core::ParseStatus status, const core::RawMessage& frame) noexcept {
  if (core::is_error(status)) return report_error(status, frame, parser_->last_failure(), frame.text());
  if (status == core::ParseStatus::Respond) {
    response_bytes_ = parser_->write_response(frame, response_);
    if (response_bytes_ != 0) return status;
    return report_error(core::ParseStatus::MalformedFrame, frame, {}, frame.text());
  }
  if (status != core::ParseStatus::Ack && status != core::ParseStatus::VenueError) return status;
  const core::VenueReply& reply = parser_->last_reply();
  control_.tell(ControlKind::Reply, [&](ControlEvent& event) {
    event.line = frame.line_id;
    event.exchange = exchange_;
    event.parse_status = status;
    event.code = reply.code;
    event.request_id = reply.request_id;
    event.set_text(reply.text);
  });
  return status;
}

core::ParseStatus ParseStage::report_error(core::ParseStatus status, const core::RawMessage& frame,
                                           const core::ParseFailure& failure,
                                           std::string_view text) noexcept {
  control_.tell(ControlKind::ParseError, [&](ControlEvent& event) {
    event.line = frame.line_id;
    event.exchange = exchange_;
    event.parse_status = status;
    event.failure = failure;
    event.symbol = failure.symbol;
    event.set_text(text);
  });
  return status;
}

void ManagerStage::post(Command command) {
  {
    const std::lock_guard lock(commands_mutex_);
    commands_.push_back(std::move(command));
  }
  // release: the command is in the list; pairs with the acquire load in run_commands().
  has_commands_.store(true, std::memory_order_release);
  wake_();
}

bool ManagerStage::run_commands() noexcept {
  // acquire: pairs with the release store in post().
  if (!has_commands_.load(std::memory_order_acquire)) return false;
  std::vector<Command> commands;
  {
    const std::lock_guard lock(commands_mutex_);
    commands.swap(commands_);
    // relaxed: under the lock that post() takes before it sets the flag again.
    has_commands_.store(false, std::memory_order_relaxed);
  }
  for (const Command& command : commands) command(manager_);
  return true;
}

bool ManagerStage::run_once() noexcept {
  constexpr std::size_t kBurst = 32;  // of one queue, before the next one is looked at
  bool worked = run_commands();
  for (std::size_t at = 0; at < inputs_.size(); ++at) {  // a command may add one
    MessageQueue* const input = inputs_[at];
    for (std::size_t i = 0; i < kBurst; ++i) {
      const core::NormalizedMessage* message = input->front();
      if (message == nullptr) break;
      // What was posted before this message was made comes before it: it may be of a symbol just added.
      run_commands();
      manager_.on_message(*message);
      input->pop();
      worked = true;
    }
  }
  return worked || manager_.refresh_one();
}

bool ManagerStage::has_work() noexcept {
  // acquire: pairs with the release store in post().
  if (has_commands_.load(std::memory_order_acquire)) return true;
  return manager_.refresh_due() || std::any_of(inputs_.begin(), inputs_.end(),
                                               [](MessageQueue* input) { return input->front() != nullptr; });
}

void ManagerStage::on_book_state(core::SymbolId symbol, shm::BookState state, shm::StateReason reason,
                                 std::uint64_t update_id) noexcept {
  symbols_[symbol].enter(state, reason, update_id, sys::monotonic_ns());
  control_.tell(ControlKind::BookState, [&](ControlEvent& event) {
    event.symbol = symbol;
    event.book_state = state;
    event.reason = reason;
    event.update_id = update_id;
  });
}

void ManagerStage::on_audit_mismatch(core::SymbolId symbol, std::uint64_t update_id, book::AuditSource source,
                                     const book::Bbo& book, const book::Bbo& venue) noexcept {
  control_.tell(ControlKind::AuditMismatch, [&](ControlEvent& event) {
    event.symbol = symbol;
    event.update_id = update_id;
    event.book_top = {book.bid, book.ask};
    event.venue_top = {venue.bid, venue.ask};
    event.set_text(source == book::AuditSource::Quote ? "quote" : "snapshot");
  });
}

void ManagerStage::on_depth_need(core::SymbolId symbol, book::DepthNeed need) noexcept {
  // relaxed: the word stands for itself; pairs with the load in Engine::depth_needs().
  symbols_[symbol].depth_need.store(need, std::memory_order_relaxed);
}

void ManagerStage::on_suspect(core::SymbolId symbol) noexcept {
  // release: as on_snapshot_wanted(); pairs with take_marks().
  symbols_[symbol].suspect.store(true, std::memory_order_release);
}

void ManagerStage::on_snapshot_wanted(core::SymbolId symbol, shm::StateReason) noexcept {
  // release: whoever takes the mark sees the state that goes with it, or a later one; pairs with
  // take_marks().
  symbols_[symbol].snapshot_wanted.store(true, std::memory_order_release);
}

}  // namespace mdp::engine
