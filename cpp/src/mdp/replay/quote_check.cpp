#include "mdp/replay/quote_check.hpp"

#include <algorithm>

#include "mdp/core/sinks.hpp"

namespace mdp::replay {

void QuoteCheck::on_event(const shm::Event& event) {
  const shm::EventHeader& header = event.header;
  if (header.symbol_id >= symbols_.size()) return;
  Symbol& symbol = symbols_[header.symbol_id];
  switch (header.type) {
    case shm::EventType::Bbo:
      if ((header.flags & shm::kFlagVenueQuote) != 0) {
        on_quote(header.symbol_id, {header.update_id, event.bbo});
      } else {
        symbol.now = event.bbo;
      }
      return;
    case shm::EventType::BookDelta:
      symbol.by_delta = true;
      return;
    case shm::EventType::BookSnapshot:
      // The entry of the book table is the last event of every update: the Bbo, where there was one, is here.
      if ((header.flags & core::kFlagTableOnly) != 0) {
        on_update(header.symbol_id, header.update_id);
      } else if ((header.flags & shm::kFlagTop) == 0) {
        symbol.by_delta = header.first_update_id != header.update_id;
      }
      return;
    case shm::EventType::BookState:
      // What was LIVE before says nothing of the book that comes.
      if (event.book_state.state != shm::BookState::Live) symbol.tops.clear();
      // And a quote of the sequence that ended will meet no update.
      if (event.book_state.reason == shm::StateReason::SequenceReset) symbol.waiting.clear();
      return;
    default:
      return;
  }
}

void QuoteCheck::on_update(std::uint32_t symbol_id, std::uint64_t update_id) {
  Symbol& symbol = symbols_[symbol_id];
  if (symbol.by_delta) {
    if (symbol.tops.size() == kTops) symbol.tops.pop_front();
    symbol.tops.push_back({update_id, symbol.now});
  }
  while (!symbol.waiting.empty() && symbol.waiting.front().update_id <= update_id) {
    const Top& quote = symbol.waiting.front();
    if (symbol.by_delta && quote.update_id == update_id) compare(symbol_id, symbol.now, quote);
    symbol.waiting.pop_front();
  }
}

void QuoteCheck::on_quote(std::uint32_t symbol_id, const Top& quote) {
  Symbol& symbol = symbols_[symbol_id];
  if (symbol.tops.empty() || symbol.tops.back().update_id < quote.update_id) {
    if (symbol.waiting.size() == kWaiting) symbol.waiting.pop_front();
    symbol.waiting.push_back(quote);
    return;
  }
  const auto top = std::lower_bound(symbol.tops.begin(), symbol.tops.end(), quote.update_id,
                                    [](const Top& entry, std::uint64_t id) { return entry.update_id < id; });
  if (top != symbol.tops.end() && top->update_id == quote.update_id) compare(symbol_id, top->bbo, quote);
}

void QuoteCheck::compare(std::uint32_t symbol_id, const shm::BboBody& book, const Top& quote) {
  ++checked_;
  if (book.bid == quote.bbo.bid && book.ask == quote.bbo.ask) return;
  wrong_.push_back({symbol_id, quote.update_id, book, quote.bbo});
}

}  // namespace mdp::replay
