// Pipelined, three threads stand where the engine's are: the parser's, the manager's and the publisher's.
#include "mdp/replay/replay.hpp"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <future>
#include <mutex>
#include <thread>

#include "mdp/core/error.hpp"
#include "mdp/core/symbol_table.hpp"
#include "mdp/core/text.hpp"
#include "mdp/engine/stages.hpp"
#include "mdp/replay/event_lines.hpp"
#include "mdp/sys/thread.hpp"
#include "mdp/venue/registry.hpp"

namespace mdp::replay {
namespace {

constexpr std::size_t kInputSlots = 256;
constexpr std::size_t kMessageSlots = 1024;
constexpr std::size_t kEventSlots = 1024;
constexpr std::size_t kControlSlots = 1024;

// One thing put in: a frame or a line's state (`raw`), or a REST answer for `snapshot_of`.
struct Input {
  core::RawMessage raw{};
  const core::Instrument* snapshot_of = nullptr;
  std::uint16_t depth_limit = 0;  // of that answer
  std::vector<char> bytes;        // with padding; keeps its room

  void set_bytes(std::string_view from) {
    bytes.resize(from.size() + core::kFramePadding);
    if (!from.empty()) std::memcpy(bytes.data(), from.data(), from.size());
    std::memset(bytes.data() + from.size(), 0, core::kFramePadding);
    raw.data = bytes.data();
    raw.size = static_cast<std::uint32_t>(from.size());
  }
};

std::vector<core::Instrument> instruments_of(const std::vector<ReplaySymbol>& symbols) {
  std::vector<core::Instrument> instruments;
  for (const ReplaySymbol& symbol : symbols) instruments.push_back(symbol.instrument);
  return instruments;
}

}  // namespace

// The stages and what joins them; in the order of the road.
struct Replay::Road final {
  // The last stage: where the publisher stands in the engine.
  class End final : public core::EventSink {
   public:
    End(std::string_view venue, const std::vector<core::Instrument>& instruments, bool lines)
        : check(instruments.size()),
          with_book(instruments.size(), false),
          lines_(venue, instruments),
          wanted_(lines) {
      slot_ = scratch_.get();
    }
    void commit() noexcept override { handle(*slot_); }
    void handle(const shm::Event& event) {
      check.on_event(event);
      if (event.header.type == shm::EventType::BookState && event.header.symbol_id < with_book.size() &&
          event.reason() != shm::StateReason::Starting) {
        with_book[event.header.symbol_id] = true;
      }
      if (wanted_) lines_.append(event, text);
    }

    QuoteCheck check;
    std::vector<bool> with_book;  // by symbol: whether its book ever had news
    std::string text;

   private:
    EventLines lines_;
    bool wanted_;
    std::unique_ptr<shm::Event> scratch_ = std::make_unique<shm::Event>();
  };

  Road(std::string_view venue_name, const std::vector<ReplaySymbol>& of, std::size_t line_count,
       const ReplayOptions& options);
  ~Road();

  void start_threads();
  void put_in();
  void handle(Input& input);
  void hand_on_line(const core::RawMessage& raw);
  void flush();
  template <class HasWork, class Round>
  void run(queue::WakeSignal& wake, HasWork has_work, Round round);

  const std::vector<ReplaySymbol>& symbols;
  std::unique_ptr<core::Venue> venue;
  core::SymbolTable table;
  engine::ControlQueue control{kControlSlots};
  std::unique_ptr<engine::SymbolStatus[]> status;
  End end;
  const bool pipelined;
  const bool audit;
  // The queues are megabytes: only the topology that has them makes them.
  std::unique_ptr<engine::EventQueue> event_queue;
  queue::WakeSignal end_wake;
  std::unique_ptr<core::EventSink> event_queue_sink;
  std::unique_ptr<engine::ManagerStage> manager;
  std::unique_ptr<engine::MessageQueue> message_queue;
  std::unique_ptr<core::MessageSink> messages;
  std::vector<std::unique_ptr<engine::ParseStage>> parsers;  // by line
  core::Counter frames;
  core::Counter frame_errors;
  core::Counter snapshot_errors;
  std::mutex problems_mutex;
  std::vector<std::string> problems;  // of snapshots
  queue::SpscSlotQueue<Input> input_queue{kInputSlots};
  queue::WakeSignal parser_wake;
  std::uint64_t markers_in = 0;
  std::atomic<std::uint64_t> markers_out{0};
  std::atomic<bool> stop{false};
  std::vector<std::thread> threads;
};

Replay::Road::Road(std::string_view venue_name, const std::vector<ReplaySymbol>& of, std::size_t line_count,
                   const ReplayOptions& options)
    : symbols(of),
      venue(venue::make_venue(venue_name)),
      table(instruments_of(of)),
      status(std::make_unique<engine::SymbolStatus[]>(std::max<std::size_t>(of.size(), 1))),
      end(venue_name, instruments_of(of), options.event_lines),
      pipelined(options.pipelined),
      audit(options.audit) {
  core::EventSink* events = &end;
  if (pipelined) {
    event_queue = std::make_unique<engine::EventQueue>(kEventSlots);
    event_queue_sink = std::make_unique<engine::QueueEventSink>(*event_queue, &end_wake);
    events = event_queue_sink.get();
  }
  book::BookOptions books;
  books.table_levels = 1;  // nobody reads the table
  books.self_audit = options.audit;
  manager = std::make_unique<engine::ManagerStage>(*events, books, status.get(), control);
  if (pipelined) {
    message_queue = std::make_unique<engine::MessageQueue>(kMessageSlots);
    manager->add_input(*message_queue);
    messages = std::make_unique<engine::QueueMessageSink>(*message_queue,
                                                          [this] { manager->wake_signal().notify(); });
  } else {
    messages = std::make_unique<engine::DirectMessageSink>(manager->manager());
  }
  for (std::size_t line = 0; line < line_count; ++line) {
    parsers.push_back(std::make_unique<engine::ParseStage>(*venue, table, *messages, control));
  }
  if (pipelined) start_threads();
  // As the engine does when it runs: on the manager's thread.
  std::promise<void> added;
  manager->post([this, &added](book::OrderBookManager& books_of) {
    for (const ReplaySymbol& symbol : symbols) {
      books_of.add_symbol(symbol.instrument.symbol_id, venue->exchange_id(), symbol.lines, venue->book_rule(),
                          symbol.instrument);
    }
    added.set_value();
  });
  if (!pipelined) manager->run_once();
  added.get_future().wait();
}

// A stage's thread: rounds until there is nothing left and stop is set.
template <class HasWork, class Round>
void Replay::Road::run(queue::WakeSignal& wake, HasWork has_work, Round round) {
  queue::IdleStrategy idle(queue::IdleMode::Park, wake);
  for (;;) {
    if (round()) {
      idle.reset();
      continue;
    }
    // acquire: pairs with the release store in ~Road().
    if (stop.load(std::memory_order_acquire) && !has_work()) return;
    idle.idle([&] {
      // acquire: as above.
      return has_work() || stop.load(std::memory_order_acquire);
    });
  }
}

void Replay::Road::start_threads() {
  threads.emplace_back([this] {
    sys::set_thread_name("mdp-parse-0");
    run(
        parser_wake, [this] { return input_queue.front() != nullptr; },
        [this] {
          Input* input = input_queue.front();
          if (input == nullptr) return false;
          handle(*input);
          input_queue.pop();
          return true;
        });
  });
  threads.emplace_back([this] {
    sys::set_thread_name("mdp-book-0");
    run(
        manager->wake_signal(), [this] { return manager->has_work(); },
        [this] { return manager->run_once(); });
  });
  threads.emplace_back([this] {
    sys::set_thread_name("mdp-publish");
    run(
        end_wake, [this] { return event_queue->front() != nullptr; },
        [this] {
          const shm::Event* event = event_queue->front();
          if (event == nullptr) return false;
          const bool marker = event->header.type == shm::EventType::None;
          if (!marker) end.handle(*event);
          event_queue->pop();
          // release: all that came before the marker is handled; pairs with the acquire load in flush().
          if (marker) markers_out.fetch_add(1, std::memory_order_release);
          return true;
        });
  });
}

Replay::Road::~Road() {
  flush();
  // release: everything was put in before; pairs with the acquire loads in run().
  stop.store(true, std::memory_order_release);
  parser_wake.notify();
  manager->wake_signal().notify();
  end_wake.notify();
  for (std::thread& thread : threads) thread.join();
}

// Hands on the claimed input.
void Replay::Road::put_in() {
  if (!pipelined) return handle(*input_queue.claim());
  queue::FullQueueWait wait;
  while (!input_queue.try_commit()) wait.wait();
  parser_wake.notify();
}

// Parser thread, or inline.
void Replay::Road::handle(Input& input) {
  if (input.raw.kind == core::RawKind::Line) return hand_on_line(input.raw);
  if (input.snapshot_of == nullptr) {
    frames.add();
    if (core::is_error(parsers[input.raw.line_id]->handle(input.raw))) frame_errors.add();
    return;
  }
  core::ParseFailure failure;
  const core::ParseStatus read = venue->parse_snapshot(
      input.raw.text(), *input.snapshot_of, input.depth_limit, input.raw.recv_ts_ns, *messages, failure);
  if (!core::is_error(read)) return;
  snapshot_errors.add();
  const std::string number = core::describe(read, failure);
  const std::lock_guard lock(problems_mutex);
  problems.push_back("unreadable snapshot of " + input.snapshot_of->canonical_symbol + " (" +
                     core::to_string(read) +
                     "): " + (number.empty() ? core::page_words(input.raw.text()) : number));
}

// As a lane does it.
void Replay::Road::hand_on_line(const core::RawMessage& raw) {
  core::MessageHeader& header = messages->slot().header;
  header = {};
  header.update_type = core::UpdateType::Line;
  header.reason = static_cast<std::uint8_t>(raw.line_state);
  header.symbol_id = core::kNoSymbol;
  header.exchange_id = venue->exchange_id();
  header.line_id = raw.line_id;
  header.recv_ts_ns = raw.recv_ts_ns;
  header.flags = core::kFirst | core::kLast;
  messages->commit();
}

// Every stage is done with an element only when what came of it is in the next queue, so the queues are
// looked at down the road. A marker then follows the manager's last event to the end.
void Replay::Road::flush() {
  if (!pipelined) return;
  const auto wait_for_end_of = [](auto& queue) {
    queue::FullQueueWait wait;
    while (queue.size() != 0) wait.wait();
  };
  wait_for_end_of(input_queue);
  wait_for_end_of(*message_queue);
  queue::FullQueueWait wait;
  shm::Event* marker = nullptr;
  while ((marker = event_queue->try_claim()) == nullptr) wait.wait();
  marker->header = {};
  event_queue->commit(marker);
  end_wake.notify();
  ++markers_in;
  // acquire: pairs with the release in the last thread.
  while (markers_out.load(std::memory_order_acquire) != markers_in) wait.wait();
}

Replay::Replay(std::string_view venue, const std::vector<ReplaySymbol>& symbols, std::size_t line_count,
               const ReplayOptions& options)
    : symbols_(symbols) {
  for (std::size_t i = 0; i < symbols_.size(); ++i) {
    symbols_[i].instrument.symbol_id = static_cast<core::SymbolId>(i);
    for (const core::LineId line : symbols_[i].lines) {
      if (line < line_count) continue;
      throw ConfigError(symbols_[i].instrument.canonical_symbol + " rides line " + std::to_string(line) +
                        ", and there are " + std::to_string(line_count));
    }
  }
  road_ = std::make_unique<Road>(venue, symbols_, line_count, options);
}

Replay::~Replay() = default;

void Replay::line_state(core::LineId line, shm::LineState state, std::int64_t recv_ts_ns) {
  if (line >= road_->parsers.size()) throw ConfigError("no line " + std::to_string(line));
  Input& input = *road_->input_queue.claim();
  input.raw = {};
  input.snapshot_of = nullptr;
  input.raw.kind = core::RawKind::Line;
  input.raw.line_state = state;
  input.raw.line_id = line;
  input.raw.recv_ts_ns = recv_ts_ns;
  road_->put_in();
}

void Replay::frame(core::LineId line, std::int64_t recv_ts_ns, std::string_view bytes, bool binary) {
  if (line >= road_->parsers.size()) throw ConfigError("no line " + std::to_string(line));
  Input& input = *road_->input_queue.claim();
  input.raw = {};
  input.snapshot_of = nullptr;
  input.set_bytes(bytes);
  input.raw.kind = binary ? core::RawKind::Binary : core::RawKind::Text;
  input.raw.line_id = line;
  input.raw.recv_ts_ns = recv_ts_ns;
  road_->put_in();
}

bool Replay::snapshot(std::string_view venue_symbol, std::int64_t recv_ts_ns, std::string_view body,
                      std::string_view target) {
  const core::Instrument* const instrument = road_->table.find(venue_symbol);
  if (instrument == nullptr) return false;
  flush();
  std::promise<void> begun;
  road_->manager->post([instrument, &begun](book::OrderBookManager& manager) {
    manager.begin_sync(instrument->symbol_id);
    begun.set_value();
  });
  if (!road_->pipelined) road_->manager->run_once();
  begun.get_future().wait();
  Input& input = *road_->input_queue.claim();
  input.raw = {};
  input.snapshot_of = instrument;
  input.depth_limit = road_->venue->depth_limit_of(target);
  input.set_bytes(body);
  input.raw.recv_ts_ns = recv_ts_ns;
  road_->put_in();
  return true;
}

void Replay::flush() { road_->flush(); }

std::string Replay::take_event_lines() {
  flush();
  std::string taken;
  taken.swap(road_->end.text);
  return taken;
}

std::vector<std::string> Replay::take_problems() {
  flush();
  std::vector<engine::ControlEvent> events;
  road_->control.take(events, kControlSlots);
  std::vector<std::string> problems;
  {
    const std::lock_guard lock(road_->problems_mutex);
    problems.swap(road_->problems);
  }
  for (const engine::ControlEvent& event : events) {
    if (event.kind == engine::ControlKind::AuditMismatch) {
      problems.push_back(symbols_[event.symbol].instrument.canonical_symbol + " at " +
                         std::to_string(event.update_id) + ": the venue's quote is another");
    }
    if (event.kind != engine::ControlKind::ParseError) continue;
    std::string number = core::describe(event.parse_status, event.failure);
    if (!number.empty())
      number.insert(0, symbols_[event.symbol].instrument.canonical_symbol + ": ").append(": ");
    problems.push_back("unreadable frame on line " + std::to_string(event.line) + " (" +
                       core::to_string(event.parse_status) + "): " + number + event.text);
  }
  return problems;
}

ReplaySummary Replay::summary() {
  flush();
  ReplaySummary summary{};
  summary.frames = road_->frames.get();
  summary.parse_errors = road_->frame_errors.get() + road_->snapshot_errors.get();
  const book::OrderBookManager& manager = road_->manager->manager();
  const book::BookCounters& counters = manager.counters();
  summary.gaps = counters.gaps.get();
  summary.resyncs = counters.resyncs.get();
  summary.book_updates = counters.updates.get() + counters.updates_joined.get();
  summary.trades = counters.trades.get();
  summary.crossed = counters.crossed.get();
  summary.suspicions = counters.suspicions.get();
  summary.quotes_checked = road_->audit ? counters.audits.get() : road_->end.check.checked();
  summary.quotes_wrong = road_->audit ? counters.audit_mismatches.get() : road_->end.check.wrong().size();
  for (const ReplaySymbol& symbol : symbols_) {
    if (!road_->end.with_book[symbol.instrument.symbol_id]) continue;
    ++summary.books;
    if (manager.state(symbol.instrument.symbol_id) == shm::BookState::Live) ++summary.books_live;
  }
  return summary;
}

const std::vector<WrongQuote>& Replay::wrong_quotes() {
  flush();
  return road_->end.check.wrong();
}

std::string Replay::books() {
  flush();
  const book::OrderBookManager& manager = road_->manager->manager();
  std::string text("{");
  std::string side;
  std::vector<shm::PriceLevel> levels;
  for (const ReplaySymbol& symbol : symbols_) {
    const core::Instrument& instrument = symbol.instrument;
    const book::OrderBook& book = *manager.book(instrument.symbol_id);
    if (text.size() > 1) text.append(",\n");
    append_json_string(instrument.canonical_symbol, text);
    text.append(":{\"state\":\"").append(to_text(manager.state(instrument.symbol_id)));
    text.append("\",\"update_id\":").append(std::to_string(book.update_id()));
    for (const bool bids : {true, false}) {
      levels.resize(bids ? book.bid_count() : book.ask_count());
      bids ? book.copy_bids(levels.data(), levels.size()) : book.copy_asks(levels.data(), levels.size());
      side.clear();
      append_levels(levels.data(), levels.size(), instrument.price_exponent, instrument.quantity_exponent,
                    side);
      text.append(bids ? ",\"bids\":[" : ",\"asks\":[").append(side).append("]");
    }
    text.append("}");
  }
  text.append("}\n");
  return text;
}

}  // namespace mdp::replay
