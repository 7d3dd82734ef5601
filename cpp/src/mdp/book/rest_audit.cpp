#include "mdp/book/rest_audit.hpp"

#include <algorithm>
#include <vector>

namespace mdp::book {
namespace {

// A side's levels, best first, down to the price that both books know it to.
std::vector<PriceLevel> known_bids(const OrderBook& book, std::int64_t down_to) {
  std::vector<PriceLevel> levels(book.bid_count());
  book.copy_bids(levels.data(), levels.size());
  std::erase_if(levels, [down_to](const PriceLevel& level) { return level.price < down_to; });
  return levels;
}
std::vector<PriceLevel> known_asks(const OrderBook& book, std::int64_t up_to) {
  std::vector<PriceLevel> levels(book.ask_count());
  book.copy_asks(levels.data(), levels.size());
  std::erase_if(levels, [up_to](const PriceLevel& level) { return level.price > up_to; });
  return levels;
}

// Puts the first levels of a side that differ into `ours` and `theirs`. False: all are equal.
bool first_difference(std::span<const PriceLevel> our_side, std::span<const PriceLevel> their_side,
                      PriceLevel& ours, PriceLevel& theirs) {
  const auto [our, their] =
      std::mismatch(our_side.begin(), our_side.end(), their_side.begin(), their_side.end());
  if (our == our_side.end() && their == their_side.end()) return false;
  ours = our == our_side.end() ? PriceLevel{} : *our;
  theirs = their == their_side.end() ? PriceLevel{} : *their;
  return true;
}

}  // namespace

RestAudit::RestAudit(const core::BookRule& rule, std::size_t max_deltas, std::size_t max_levels)
    : rule_(rule), max_deltas_(max_deltas), max_levels_(max_levels) {
  // What an answer usually takes to come: most audits allocate here and in compare() alone.
  constexpr std::size_t kDeltas = 64;
  applied_.reserve(kDeltas, kDeltas * 32);
}

void RestAudit::on_delta(const core::MessageHeader& header, std::span<const PriceLevel> bids,
                         std::span<const PriceLevel> asks) {
  applied_.push(header, bids, asks);
}

void RestAudit::on_snapshot(const core::MessageHeader& header, std::span<const PriceLevel> bids,
                            std::span<const PriceLevel> asks, OrderBook& spare) {
  if (has_snapshot_) return;
  has_snapshot_ = true;
  reached_ = header.last_update_id;
  spare.apply_snapshot(bids, asks, header.depth_limit);
}

// False: the snapshot is older than the first delta that was kept.
bool RestAudit::catch_up(OrderBook& spare) {
  for (; next_ < applied_.delta_count(); ++next_) {
    const DeltaBuffer::Delta& delta = applied_.deltas()[next_];
    const core::SequenceVerdict verdict =
        joined_ ? rule_.check_next(reached_, delta.header) : rule_.check_first(reached_, delta.header);
    if (verdict == core::SequenceVerdict::Gap) return false;
    if (verdict == core::SequenceVerdict::Old) continue;
    spare.apply_update(applied_.bids(delta), applied_.asks(delta));
    joined_ = true;
    reached_ = delta.header.last_update_id;
  }
  return true;
}

RestAudit::Result RestAudit::compare(const OrderBook& book, OrderBook& spare) {
  Result result;
  result.verdict = Verdict::Unknown;
  if (overflow()) return result;
  if (!has_snapshot_) return {};
  if (!catch_up(spare) || reached_ < book.update_id()) return result;
  if (reached_ > book.update_id()) return {};
  return compare_levels(book, spare);
}

RestAudit::Result RestAudit::compare_levels(const OrderBook& book, const OrderBook& spare) {
  Result result;
  result.verdict = Verdict::Unknown;
  const std::int64_t down_to = std::max(book.known_bid(), spare.known_bid());
  const std::int64_t up_to = std::min(book.known_ask(), spare.known_ask());
  const std::vector<PriceLevel> our_bids = known_bids(book, down_to), their_bids = known_bids(spare, down_to);
  const std::vector<PriceLevel> our_asks = known_asks(book, up_to), their_asks = known_asks(spare, up_to);
  if (our_bids.empty() && their_bids.empty() && our_asks.empty() && their_asks.empty()) return result;
  const bool bids_differ = first_difference(our_bids, their_bids, result.book.bid, result.venue.bid);
  const bool asks_differ = first_difference(our_asks, their_asks, result.book.ask, result.venue.ask);
  result.verdict = bids_differ || asks_differ ? Verdict::Different : Verdict::Equal;
  return result;
}

}  // namespace mdp::book
