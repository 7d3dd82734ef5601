#include "mdp/replay/replay.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

#include "mdp/core/error.hpp"
#include "mdp/core/symbol_table.hpp"
#include "mdp/core/text.hpp"
#include "mdp/replay/event_lines.hpp"
#include "mdp/shm/names.hpp"
#include "mdp/venue/registry.hpp"

namespace mdp::replay {
namespace {

constexpr std::size_t kInputSlots = 256;

std::vector<core::Instrument> instruments_of(const std::vector<ReplaySymbol>& symbols) {
  std::vector<core::Instrument> instruments;
  for (const ReplaySymbol& symbol : symbols) instruments.push_back(symbol.instrument);
  return instruments;
}

// The symbols with their ids, which are given anew.
std::vector<ReplaySymbol> numbered(std::vector<ReplaySymbol> symbols, std::size_t line_count) {
  for (std::size_t i = 0; i < symbols.size(); ++i) {
    symbols[i].instrument.symbol_id = static_cast<core::SymbolId>(i);
    for (const core::LineId line : symbols[i].lines) {
      if (line < line_count) continue;
      throw ConfigError(symbols[i].instrument.canonical_symbol + " rides line " + std::to_string(line) +
                        ", and there are " + std::to_string(line_count));
    }
  }
  return symbols;
}

}  // namespace

// One thing put in: a frame or a line's state (`raw`), or a REST answer for `snapshot_of`.
struct Replay::Input {
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

// What stands at the end of the road, in the publisher's place.
class Replay::End final : public engine::RoadEnd, public core::EventSink {
 public:
  End(std::string_view venue, const std::vector<core::Instrument>& instruments, bool lines)
      : check(instruments.size()),
        with_book(instruments.size(), false),
        lines_(venue, instruments),
        wanted_(lines) {
    slot_ = scratch_.get();
  }
  void commit() noexcept override { handle(*slot_); }
  core::EventSink& sink() noexcept override { return *this; }
  std::size_t drain(engine::EventQueue& queue, std::size_t max) noexcept override {
    std::size_t count = 0;
    for (; count < max; ++count) {
      const shm::Event* event = queue.front();
      if (event == nullptr) break;
      handle(*event);
      queue.pop();
    }
    return count;
  }

  QuoteCheck check;
  std::vector<bool> with_book;  // by symbol: whether its book ever had news
  std::string text;

 private:
  void handle(const shm::Event& event) noexcept {
    check.on_event(event);
    if (event.header.type == shm::EventType::BookState && event.header.symbol_id < with_book.size() &&
        event.book_state.reason != shm::StateReason::Starting) {
      with_book[event.header.symbol_id] = true;
    }
    if (wanted_) lines_.append(event, text);
  }

  EventLines lines_;
  bool wanted_;
  std::unique_ptr<shm::Event> scratch_ = std::make_unique<shm::Event>();
};

// What stands at the beginning: the parsers of all lines and of REST answers, behind one queue, in the
// connectors' place. A stage of the road.
class Replay::Intake final {
 public:
  Intake(const core::Venue& venue, const core::SymbolTable& table, std::size_t line_count,
         core::MessageSink& messages, engine::ControlQueue& control, bool has_thread)
      : venue_(venue), messages_(messages), has_thread_(has_thread) {
    for (std::size_t line = 0; line < line_count; ++line) {
      parsers_.push_back(std::make_unique<engine::ParseStage>(venue, table, messages, control));
    }
  }

  std::size_t line_count() const noexcept { return parsers_.size(); }
  // The next input, to be filled and put in.
  Input& claim() noexcept {
    Input& input = *queue_.claim();
    input.raw = {};
    input.snapshot_of = nullptr;
    return input;
  }
  void put_in();
  void wait_until_empty() const {
    queue::FullQueueWait wait;
    while (queue_.size() != 0) wait.wait();
  }

  bool run_once() noexcept {
    Input* const input = queue_.front();
    if (input == nullptr) return false;
    handle(*input);
    queue_.pop();
    return true;
  }
  bool has_work() noexcept { return queue_.front() != nullptr; }
  queue::WakeSignal& wake_signal() noexcept { return signal_; }

  core::Counter frames;
  core::Counter frame_errors;
  core::Counter snapshot_errors;
  std::vector<std::string> snapshot_problems;  // the parser thread's; anybody's after wait_until_empty()

 private:
  void handle(const Input& input);
  void hand_on_line(const core::RawMessage& raw);

  const core::Venue& venue_;
  core::MessageSink& messages_;
  const bool has_thread_;
  std::vector<std::unique_ptr<engine::ParseStage>> parsers_;  // by line
  queue::SpscSlotQueue<Input> queue_{kInputSlots};
  queue::WakeSignal signal_;
};

// Hands on the claimed input.
void Replay::Intake::put_in() {
  if (!has_thread_) return handle(*queue_.claim());
  queue::FullQueueWait wait;
  while (!queue_.try_commit()) wait.wait();
  signal_.notify();
}

// Parser thread, or inline.
void Replay::Intake::handle(const Input& input) {
  if (input.raw.kind == core::RawKind::Line) return hand_on_line(input.raw);
  if (input.snapshot_of == nullptr) {
    frames.add();
    if (core::is_error(parsers_[input.raw.line_id]->handle(input.raw))) frame_errors.add();
    return;
  }
  core::ParseFailure failure;
  const core::ParseStatus read = venue_.parse_snapshot(
      input.raw.text(), *input.snapshot_of, input.depth_limit, input.raw.recv_ts_ns, messages_, failure);
  if (!core::is_error(read)) return;
  snapshot_errors.add();
  const std::string number = core::describe(read, failure);
  snapshot_problems.push_back("unreadable snapshot of " + input.snapshot_of->canonical_symbol + " (" +
                              core::to_string(read) +
                              "): " + (number.empty() ? core::page_words(input.raw.text()) : number));
}

// As a lane does it.
void Replay::Intake::hand_on_line(const core::RawMessage& raw) {
  core::MessageHeader& header = messages_.slot().header;
  header = {};
  header.update_type = core::UpdateType::Line;
  header.reason = static_cast<std::uint8_t>(raw.line_state);
  header.symbol_id = core::kNoSymbol;
  header.exchange_id = venue_.exchange_id();
  header.line_id = raw.line_id;
  header.recv_ts_ns = raw.recv_ts_ns;
  header.flags = core::kFirst | core::kLast;
  messages_.commit();
}

Replay::Replay(std::string_view venue_name, const std::vector<ReplaySymbol>& symbols, std::size_t line_count,
               const ReplayOptions& options)
    : symbols_(numbered(symbols, line_count)),
      audit_(options.audit),
      venue_(venue::make_venue(venue_name)),
      table_(instruments_of(symbols_)),
      status_(std::make_unique<engine::SymbolStatus[]>(std::max<std::size_t>(symbols_.size(), 1))) {
  auto end = std::make_unique<End>(venue_name, instruments_of(symbols_), options.event_lines);
  end_ = end.get();
  engine::RoadOptions road;
  road.threads =
      options.pipelined ? engine::RoadOptions::Threads::Each : engine::RoadOptions::Threads::Caller;
  road.books.table_levels = 1;  // nobody reads the table
  road.books.self_audit = options.audit;
  road_ = std::make_unique<engine::Road>(road, std::move(end), status_.get(), control_);
  intake_ = std::make_unique<Intake>(*venue_, table_, line_count, manager().add_parser(), control_,
                                     options.pipelined);
  road_->start_parser(0, intake_->wake_signal(), *intake_);
  manager().call([this](book::OrderBookManager& books) {
    for (const ReplaySymbol& symbol : symbols_) {
      books.add_symbol(symbol.instrument.symbol_id, venue_->exchange_id(), symbol.lines, venue_->book_rule(),
                       symbol.instrument);
    }
  });
}

// The road drains before what puts in and what it tells are gone.
Replay::~Replay() { road_->stop(); }

Replay::Input& Replay::claim(core::LineId line) {
  if (line >= intake_->line_count()) throw ConfigError("no line " + std::to_string(line));
  Input& input = intake_->claim();
  input.raw.line_id = line;
  return input;
}

void Replay::line_state(core::LineId line, shm::LineState state, std::int64_t recv_ts_ns) {
  Input& input = claim(line);
  input.raw.kind = core::RawKind::Line;
  input.raw.line_state = state;
  input.raw.recv_ts_ns = recv_ts_ns;
  intake_->put_in();
}

void Replay::frame(core::LineId line, std::int64_t recv_ts_ns, std::string_view bytes, bool binary) {
  Input& input = claim(line);
  input.set_bytes(bytes);
  input.raw.kind = binary ? core::RawKind::Binary : core::RawKind::Text;
  input.raw.recv_ts_ns = recv_ts_ns;
  intake_->put_in();
}

bool Replay::snapshot(std::string_view venue_symbol, std::int64_t recv_ts_ns, std::string_view body,
                      std::string_view target) {
  const core::Instrument* const instrument = table_.find(venue_symbol);
  if (instrument == nullptr) return false;
  flush();
  manager().call([instrument](book::OrderBookManager& books) { books.begin_sync(instrument->symbol_id); });
  Input& input = intake_->claim();
  input.snapshot_of = instrument;
  input.depth_limit = venue_->depth_limit_of(target);
  input.set_bytes(body);
  input.raw.recv_ts_ns = recv_ts_ns;
  intake_->put_in();
  return true;
}

void Replay::flush() {
  intake_->wait_until_empty();
  road_->flush();
}

std::string Replay::take_event_lines() {
  flush();
  std::string taken;
  taken.swap(end_->text);
  return taken;
}

std::vector<std::string> Replay::take_problems() {
  flush();
  std::vector<engine::ControlEvent> events;
  control_.take(events, kControlSlots);
  std::vector<std::string> problems = std::exchange(intake_->snapshot_problems, {});
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
  summary.frames = intake_->frames.get();
  summary.parse_errors = intake_->frame_errors.get() + intake_->snapshot_errors.get();
  const book::OrderBookManager& books = manager().books();
  const book::BookCounters& counters = books.counters();
  summary.gaps = counters.gaps.get();
  summary.resyncs = counters.resyncs.get();
  summary.book_updates = counters.updates.get() + counters.updates_joined.get();
  summary.trades = counters.trades.get();
  summary.crossed = counters.crossed.get();
  summary.suspicions = counters.suspicions.get();
  summary.quotes_checked = audit_ ? counters.audits.get() : end_->check.checked();
  summary.quotes_wrong = audit_ ? counters.audit_mismatches.get() : end_->check.wrong().size();
  for (const ReplaySymbol& symbol : symbols_) {
    if (!end_->with_book[symbol.instrument.symbol_id]) continue;
    ++summary.books;
    if (books.state(symbol.instrument.symbol_id) == shm::BookState::Live) ++summary.books_live;
  }
  return summary;
}

const std::vector<WrongQuote>& Replay::wrong_quotes() {
  flush();
  return end_->check.wrong();
}

std::string Replay::books() {
  flush();
  const book::OrderBookManager& books = manager().books();
  std::string text("{");
  std::string side;
  std::vector<shm::PriceLevel> levels;
  for (const ReplaySymbol& symbol : symbols_) {
    const core::Instrument& instrument = symbol.instrument;
    const book::OrderBook& book = *books.book(instrument.symbol_id);
    if (text.size() > 1) text.append(",\n");
    append_json_string(instrument.canonical_symbol, text);
    text.append(":{\"state\":\"").append(to_string(books.state(instrument.symbol_id)));
    text.append("\",\"update_id\":").append(std::to_string(book.update_id()));
    for (const bool bids : {true, false}) {
      levels.resize(bids ? book.bid_count() : book.ask_count());
      bids ? book.copy_bids(levels.data(), levels.size()) : book.copy_asks(levels.data(), levels.size());
      side.clear();
      append_levels({levels.data(), levels.size()}, instrument.price_exponent, instrument.quantity_exponent,
                    side);
      text.append(bids ? ",\"bids\":[" : ",\"asks\":[").append(side).append("]");
    }
    text.append("}");
  }
  text.append("}\n");
  return text;
}

}  // namespace mdp::replay
