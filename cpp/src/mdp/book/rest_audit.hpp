// RestAudit: compares a LIVE book, level by level, with a snapshot that the venue gave over REST meanwhile.
//
// From the moment the snapshot is asked for, the deltas that are applied to the book are kept. Those that
// follow the snapshot, by the same BookRule as in a sync, are applied to it in a second book, and when that
// stands at the book's update id the two must be equal. So neither a hole that another line fills nor batches
// that are cut differently matter here: what was applied is what is kept.
//
// What is compared: on each side every level, price and quantity, from the best one to the nearer end of what
// is known to both books (OrderBook::known_bid(), known_ask()): the worst price of the snapshot that the
// audit fetched, that of the snapshot which the book was synced from, or where the depth cap cut. Beyond it
// the one or the other lacks levels rightly. Where they are equal, `spare` is the book at the same id, and
// may be known further: that is how a LIVE book gets deeper (BookSync::widen()).
//
// One for the symbol that is audited, as long as that lasts. Manager's thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "mdp/book/delta_buffer.hpp"
#include "mdp/book/order_book.hpp"
#include "mdp/core/book_rule.hpp"

namespace mdp::book {

class RestAudit {
 public:
  enum class Verdict : std::uint8_t {
    Open,   // the snapshot is not here yet, or ahead of the book: a delta will tell
    Equal,  // in all that both know
    // The snapshot is older than the first delta kept, nothing can be compared, or too much was kept.
    Unknown,
    Different,
  };
  struct Result {
    Verdict verdict = Verdict::Open;
    Bbo book;   // Different: on each side the first level that is another in the venue's book; {0, 0} where
    Bbo venue;  // a side ends before, and on both where the side is equal
  };

  // `max_deltas`, `max_levels`: what is kept at most. `rule` outlives this.
  RestAudit(const core::BookRule& rule, std::size_t max_deltas, std::size_t max_levels);

  // A delta was applied to the LIVE book.
  void on_delta(const core::MessageHeader& header, std::span<const PriceLevel> bids,
                std::span<const PriceLevel> asks);
  // The snapshot, which `spare` takes. One that comes when there is one already is not looked at.
  void on_snapshot(const core::MessageHeader& header, std::span<const PriceLevel> bids,
                   std::span<const PriceLevel> asks, OrderBook& spare);
  // After each of the two: brings `spare` on, and compares it with the book as soon as that can be done.
  Result compare(const OrderBook& book, OrderBook& spare);
  // Compares the two as they are, whatever their ids: for a book that did not get to the id of the snapshot,
  // which must be here. Unknown: nothing can be compared.
  static Result compare_levels(const OrderBook& book, const OrderBook& spare);

 private:
  bool overflow() const noexcept {
    return applied_.delta_count() > max_deltas_ || applied_.level_count() > max_levels_;
  }
  bool catch_up(OrderBook& spare);

  const core::BookRule& rule_;
  std::size_t max_deltas_;
  std::size_t max_levels_;
  DeltaBuffer applied_;   // since the snapshot was asked for
  std::size_t next_ = 0;  // of applied_: what `spare` has not seen
  bool has_snapshot_ = false;
  bool joined_ = false;        // a delta followed the snapshot
  std::uint64_t reached_ = 0;  // what `spare` stands at
};

}  // namespace mdp::book
