#include "mdp/replay/replay_survey.hpp"

#include <algorithm>

#include "mdp/core/error.hpp"
#include "mdp/core/fixed_point.hpp"
#include "mdp/venue/registry.hpp"

namespace mdp::replay {

using core::ParseStatus;

// Marks what symbols the parser makes messages of.
class ReplaySurvey::Seen final : public core::MessageSink {
 public:
  explicit Seen(std::vector<Candidate>& candidates) : candidates_(candidates) { slot_ = scratch_.get(); }
  void commit() noexcept override {
    const core::MessageHeader& header = slot_->header;
    if (header.symbol_id >= candidates_.size()) return;
    Candidate& candidate = candidates_[header.symbol_id];
    candidate.seen = true;
    const bool book = header.update_type == core::UpdateType::Delta ||
                      header.update_type == core::UpdateType::Snapshot ||
                      header.update_type == core::UpdateType::Invalidate;
    std::vector<core::LineId>& lines = candidate.lines;
    if (!book || !on_line || std::find(lines.begin(), lines.end(), header.line_id) != lines.end()) return;
    lines.push_back(header.line_id);
  }

  bool on_line = true;  // false while a REST answer is read

 private:
  std::vector<Candidate>& candidates_;
  std::unique_ptr<core::NormalizedMessage> scratch_ = std::make_unique<core::NormalizedMessage>();
};

namespace {

class NoSink final : public core::MessageSink {
 public:
  NoSink() { slot_ = scratch_.get(); }
  void commit() noexcept override {}

 private:
  std::unique_ptr<core::NormalizedMessage> scratch_ = std::make_unique<core::NormalizedMessage>();
};

}  // namespace

ReplaySurvey::ReplaySurvey(std::string_view venue)
    : venue_(venue::make_venue(venue)),
      table_(std::make_unique<core::SymbolTable>()),
      parser_(venue_->make_parser(*table_)),
      sink_(std::make_unique<Seen>(candidates_)) {}
ReplaySurvey::~ReplaySurvey() = default;

std::string ReplaySurvey::snapshot_target(std::string_view venue_symbol) const {
  return venue_->snapshot_request(venue_symbol, 1000).target;
}

std::string ReplaySurvey::instruments_target() const { return venue_->instruments_requests().front().target; }

void ReplaySurvey::add(core::Instrument instrument, bool listed) {
  instrument.symbol_id = static_cast<core::SymbolId>(candidates_.size());
  instrument.exchange_id = venue_->exchange_id();
  Candidate candidate;
  candidate.instrument = std::move(instrument);
  candidate.listed = listed;
  candidates_.push_back(std::move(candidate));
}

void ReplaySurvey::add_listed(std::string_view body) {
  padded_.assign(body);
  padded_.append(core::kFramePadding, '\0');
  auto instruments = venue_->parse_instruments(std::string_view(padded_).substr(0, body.size()));
  if (!instruments) throw ConfigError("the recorded instrument list: " + instruments.error());
  for (core::Instrument& instrument : instruments.value()) {
    if (!instrument.problem.empty()) continue;  // as if it were not listed
    if (table_->find(instrument.venue_symbol) == nullptr) add(std::move(instrument), true);
  }
  // All at once: symbol by symbol, each of thousands would leave a whole table behind.
  std::vector<core::Instrument> known;
  for (const Candidate& candidate : candidates_) known.push_back(candidate.instrument);
  table_ = std::make_unique<core::SymbolTable>(known);
  parser_ = venue_->make_parser(*table_);
}

void ReplaySurvey::add_unlisted(std::string_view venue_symbol) {
  if (table_->find(venue_symbol) != nullptr) return;
  core::Instrument instrument = venue_->unlisted(venue_symbol);
  instrument.price_exponent = 0;
  instrument.quantity_exponent = 0;
  add(std::move(instrument), false);
  table_->add(candidates_.back().instrument);
}

// Finds the exponents nearest to the present ones at which `read(instrument)` is not inexact, and takes them.
// False where it is not this instrument's exponents that are too coarse.
template <class Read>
bool ReplaySurvey::refine(Candidate& candidate, const Read& read) {
  core::Instrument trial = candidate.instrument;
  if (candidate.listed || read(trial) != ParseStatus::InexactNumber) return false;
  const int price = candidate.instrument.price_exponent;
  const int quantity = candidate.instrument.quantity_exponent;
  for (int more = 1; more <= -2 * core::kMinExponent; ++more) {
    for (int of_price = 0; of_price <= more; ++of_price) {
      if (price - of_price < core::kMinExponent || quantity - (more - of_price) < core::kMinExponent)
        continue;
      trial.price_exponent = static_cast<std::int8_t>(price - of_price);
      trial.quantity_exponent = static_cast<std::int8_t>(quantity - (more - of_price));
      if (core::is_error(read(trial))) continue;
      candidate.instrument = trial;
      table_->add(trial);
      return true;
    }
  }
  return false;
}

void ReplaySurvey::frame(core::LineId line, std::string_view bytes, bool binary) {
  padded_.assign(bytes);
  padded_.append(core::kFramePadding, '\0');
  core::RawMessage raw{};
  raw.data = padded_.data();
  raw.size = static_cast<std::uint32_t>(bytes.size());
  raw.line_id = line;
  raw.kind = binary ? core::RawKind::Binary : core::RawKind::Text;
  if (parser_->parse(raw, *sink_) != ParseStatus::InexactNumber) return;
  for (Candidate& candidate : candidates_) {
    // A parser that knows this symbol alone: for any other the frame is nothing.
    const auto read = [&](const core::Instrument& instrument) {
      const core::SymbolTable alone(std::vector<core::Instrument>{instrument});
      NoSink nowhere;
      return venue_->make_parser(alone)->parse(raw, nowhere);
    };
    if (!refine(candidate, read)) continue;
    static_cast<void>(parser_->parse(raw, *sink_));  // now it is seen
    return;
  }
}

void ReplaySurvey::snapshot(std::string_view venue_symbol, std::string_view body) {
  const core::Instrument* const known = table_->find(venue_symbol);
  if (known == nullptr) return;
  Candidate& candidate = candidates_[known->symbol_id];
  padded_.assign(body);
  padded_.append(core::kFramePadding, '\0');
  const std::string_view text = std::string_view(padded_).substr(0, body.size());
  const auto read = [&](const core::Instrument& instrument) {
    NoSink nowhere;
    core::ParseFailure ignored;
    return venue_->parse_snapshot(text, instrument, 0, 0, nowhere, ignored);
  };
  refine(candidate, read);
  sink_->on_line = false;
  core::ParseFailure ignored;
  static_cast<void>(venue_->parse_snapshot(text, candidate.instrument, 0, 0, *sink_, ignored));
  sink_->on_line = true;
}

std::vector<ReplaySymbol> ReplaySurvey::found() const {
  std::vector<ReplaySymbol> symbols;
  for (const Candidate& candidate : candidates_) {
    if (candidate.seen) symbols.push_back({candidate.instrument, candidate.lines});
  }
  std::sort(symbols.begin(), symbols.end(), [](const ReplaySymbol& a, const ReplaySymbol& b) {
    return a.instrument.canonical_symbol < b.instrument.canonical_symbol;
  });
  return symbols;
}

}  // namespace mdp::replay
