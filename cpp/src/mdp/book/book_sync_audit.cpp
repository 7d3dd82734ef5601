// BookSync's self-audit: what a LIVE book is compared with beside its own updates, and what follows. The
// venue's quotes and trades, control's looks, and snapshots over REST, which may make the book known deeper
// too.
#include <algorithm>

#include "mdp/book/book_sync.hpp"

namespace mdp::book {

void BookSync::on_quote(SymbolEntry& entry, const MessageHeader& header, const Bbo& quote,
                        std::int64_t step_ns) noexcept {
  // Quotes run ahead of the batch that holds their id, also those that have begun anew before the updates
  // have.
  const std::uint64_t id = header.last_update_id;
  const bool ahead = id > entry.last_id || entry.quotes_ended.has(entry.last_id, id);
  if (entry.state == BookState::Live && ahead &&
      entry.watch.on_quote_ahead(entry.last_id, step_ns) == StreamWatch::Finding::Silent) {
    return silent(entry, header);
  }
  if (!options_.self_audit) return;
  if (entry.audit == nullptr) entry.audit = std::make_unique<QuoteAudit>();
  const QuoteAudit::Result result = entry.audit->on_quote(id, quote);
  if (result.verdict == QuoteAudit::Verdict::Unknown) return;
  entry.last_header = header;
  audit_differs(entry, result, id);
}

// The venue said yes to the subscription and sends nothing: the book is not right any more, and would not be
// for long with another snapshot. Until a line brings an update it is STALE; control has its lines made anew.
void BookSync::silent(SymbolEntry& entry, const MessageHeader& cause) noexcept {
  entry.silent = true;
  for (EntryLine& line : entry.lines) line.proven = false;
  entry.last_header = cause;
  go_stale(entry, StateReason::Silent);
}

void BookSync::weigh_trade(SymbolEntry& entry, const MessageHeader& header, std::int64_t price) noexcept {
  // One that was made before the book's last update, or with it, says nothing of what comes after: it is in
  // there.
  const std::int64_t book_ts_ns = entry.reached_ts_ns();
  if (header.exch_ts_ns != 0 && header.exch_ts_ns <= book_ts_ns) return;
  switch (entry.watch.on_trade(entry.last_id, entry.book.bbo(), price, header.recv_ts_ns)) {
    case StreamWatch::Finding::Silent:
      return silent(entry, header);
    case StreamWatch::Finding::Suspect:
      return suspect(entry);
    case StreamWatch::Finding::None:
      return;
  }
}

// Whether a snapshot over REST can be compared with the book, now that it is LIVE.
bool BookSync::auditable(const SymbolEntry& entry) noexcept {
  return entry.state == BookState::Live && entry.rule->snapshot_source == core::SnapshotSource::Rest &&
         entry.rule->shows_gaps();
}

void BookSync::suspect(SymbolEntry& entry) noexcept {
  if (!auditable(entry)) return;
  counters_.suspicions.add();
  listener_.on_suspect(entry.symbol);
}

void BookSync::look(SymbolEntry& entry, std::int64_t now_ns) noexcept {
  if (entry.state != BookState::Live) return;
  constexpr std::int64_t kLately = 2'000'000'000;  // two looks at every book
  const bool others_move = std::any_of(entry.lines.begin(), entry.lines.end(), [&](const EntryLine& of) {
    const LineStatus& status = lines_[of.id];
    return status.up && of.proven && now_ns - status.moved_ns < kLately;
  });
  if (entry.watch.on_look(entry.last_id, others_move) == StreamWatch::Finding::Suspect) suspect(entry);
  if (entry.watch.moves()) {
    for (const EntryLine& of : entry.lines) {
      if (of.proven) lines_[of.id].moved_ns = now_ns;
    }
  }
  if (entry.rest_audit != nullptr && entry.watch.update_is_overdue(entry.last_id, now_ns)) {
    settle_overdue_audit(entry);
  }
}

// True: the book is STALE now.
bool BookSync::audit_differs(SymbolEntry& entry, const QuoteAudit::Result& result,
                             std::uint64_t update_id) noexcept {
  if (result.verdict == QuoteAudit::Verdict::Unknown) return false;
  counters_.audits.add();
  if (result.verdict == QuoteAudit::Verdict::Equal) return false;
  counters_.audit_mismatches.add();
  listener_.on_audit_mismatch(entry.symbol, update_id, AuditSource::Quote, result.book, result.quote);
  go_stale(entry, StateReason::AuditMismatch);
  return true;
}

void BookSync::begin_rest_audit(SymbolEntry& entry) noexcept {
  if (!auditable(entry)) return;
  if (entry.rest_audit != nullptr) {
    if (entry.watch.snapshot_is_ahead(entry.last_id)) return;  // look() will tell
    drop_rest_audit(entry);                                    // its snapshot never came
  }
  entry.watch.forget_snapshot();
  entry.widening = false;
  entry.rest_audit =
      std::make_unique<RestAudit>(*entry.rule, options_.max_buffered_deltas, options_.max_buffered_levels);
}

void BookSync::begin_widening(SymbolEntry& entry) noexcept {
  begin_rest_audit(entry);
  entry.widening = entry.rest_audit != nullptr;
}

// Different: the book was wrong, and is STALE now. Equal: entry.next is the book at the same id; widen() goes
// on.
RestAudit::Verdict BookSync::rest_audit(SymbolEntry& entry) noexcept {
  const RestAudit::Result result = entry.rest_audit->compare(entry.book, entry.next);
  if (result.verdict == RestAudit::Verdict::Open) return result.verdict;
  if (result.verdict == RestAudit::Verdict::Unknown) {
    drop_rest_audit(entry);
    return result.verdict;
  }
  counters_.rest_audits.add();
  entry.rest_audit.reset();
  if (result.verdict == RestAudit::Verdict::Equal) {
    entry.disputed = false;
    return result.verdict;
  }
  entry.next.clear();
  if (entry.widening && !entry.disputed) {  // one of the two is wrong; the next snapshot tells which
    entry.disputed = true;
    counters_.widen_disputes.add();
    return RestAudit::Verdict::Unknown;
  }
  counters_.rest_audit_mismatches.add();
  listener_.on_audit_mismatch(entry.symbol, entry.last_id, AuditSource::Snapshot, result.book, result.venue);
  go_stale(entry, StateReason::AuditMismatch);
  return result.verdict;
}

// A snapshot agreed with the book at its id, and is in entry.next: where it is known further it is the better
// one.
void BookSync::widen(SymbolEntry& entry) noexcept {
  const bool wider = entry.book.take_wider_sides(entry.next);
  entry.next.clear();  // its blocks serve other books meanwhile
  note_depth_need(entry, DepthNeed::None);
  entry.depth.fill(entry.book);
  if (!wider) return;
  counters_.widened.add();
  events_.emit_book(entry);
  events_.emit_state(entry, StateReason::DepthChanged);
  events_.emit_whole_table(entry);
}

// A snapshot has stood ahead of the book for so long, and no update came. Where ids are shared by all symbols
// that may be so of a quiet one: then the levels are equal.
void BookSync::settle_overdue_audit(SymbolEntry& entry) noexcept {
  const RestAudit::Result result = RestAudit::compare_levels(entry.book, entry.next);
  if (result.verdict == RestAudit::Verdict::Unknown) return drop_rest_audit(entry);
  counters_.rest_audits.add();
  entry.rest_audit.reset();
  entry.next.clear();
  if (result.verdict == RestAudit::Verdict::Different) silent(entry, {});
}

void BookSync::drop_rest_audit(SymbolEntry& entry) noexcept {
  counters_.rest_audits_dropped.add();
  entry.rest_audit.reset();
  entry.next.clear();  // its blocks serve other books meanwhile
}

}  // namespace mdp::book
