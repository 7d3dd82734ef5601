// StreamWatch: tells when the updates of a LIVE book have dried up, by what else comes of its symbol and its
// line.
//
// A stream that the venue has confirmed may fall silent on a connection that lives, and a book without
// updates looks like one of a quiet symbol. Evidence counts from the book's last update on, and any update
// ends it:
//   - Quotes of the venue that are ahead of the book; its own trades at a price beyond the book's top, above the
//     best ask or below the best bid. Each changes the book, so an update has to come. Strong: after 5 s Silent.
//   - Trades within the book. Most of them change a level, but not one against an order that the venue hides from
//     its book. Weak: after 5 s Suspect.
//   - The book used to move from one look of control's to the next, and has not for ten of them, while others on
//     its line do. Weak: Suspect, once.
//   - A snapshot over REST, fetched beside the book, that is ahead of it with other levels. Strong: after 5 s.
// A suspicion is no verdict. Control fetches such a snapshot for it, which agrees with the book, or ends it.
//
// The seconds are of receive times, a pause between two messages counting a tenth of the limit at most: a
// line that was held up brings all at once, and the update with it. One for each symbol; manager's thread.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "mdp/book/order_book.hpp"

namespace mdp::book {

class StreamWatch {
 public:
  enum class Finding : std::uint8_t {
    None,
    Suspect,  // a look at the venue's own book is worth its weight
    Silent,   // updates are missing
  };

  explicit StreamWatch(std::int64_t max_silence_ns) noexcept : max_silence_ns_(max_silence_ns) {}

  // Updates cost nothing here: evidence is of the update id at which the book stood, `book_id` everywhere,
  // and void once it stands at another. A new book may stand at the same.
  void on_new_book(std::int64_t recv_ts_ns) noexcept {
    at_id_ = 0;
    new_since_ns_ = recv_ts_ns;
  }

  // The venue has just said that the book is as it was.
  void on_keep_alive() noexcept { at_id_ = 0; }

  // A quote whose id is ahead of the book, `step_ns` after the quote before it.
  Finding on_quote_ahead(std::uint64_t book_id, std::int64_t step_ns) noexcept {
    begin(book_id);
    quotes_ns_ += counted(step_ns);
    return quotes_ns_ > max_silence_ns_ ? Finding::Silent : Finding::None;
  }
  // Whether a trade is looked at: four times a second is enough, for what they prove they prove by time. On
  // the message path.
  bool looks_at_trade(std::int64_t recv_ts_ns) const noexcept {
    return static_cast<std::uint64_t>(recv_ts_ns - looked_at_trade_ns_) >=
           kTradeStepNs;  // or the clock went back
  }
  // A trade that the venue made after the book's last update; `top` is the book's.
  Finding on_trade(std::uint64_t book_id, const Bbo& top, std::int64_t price,
                   std::int64_t recv_ts_ns) noexcept;

  // An update that ends before the id of the book, which is a snapshot that none has followed yet. Silent:
  // updates have come for so long and do not get there; or one has that was made just now, for the snapshot
  // is that old.
  Finding on_update_below(std::uint64_t book_id, std::int64_t recv_ts_ns, std::int64_t exch_ts_ns) noexcept;

  // A snapshot that came beside the LIVE book at `recv_ts_ns` is ahead of it.
  void on_snapshot_ahead(std::uint64_t book_id, std::int64_t recv_ts_ns) noexcept {
    begin(book_id);
    if (ahead_since_ns_ == 0) ahead_since_ns_ = recv_ts_ns;
  }
  // Whether the update that such a snapshot told of is missing for too long.
  bool update_is_overdue(std::uint64_t book_id, std::int64_t now_ns) const noexcept {
    return snapshot_is_ahead(book_id) && now_ns - ahead_since_ns_ > max_silence_ns_;
  }
  bool snapshot_is_ahead(std::uint64_t book_id) const noexcept {
    return at_id_ == book_id && ahead_since_ns_ != 0;
  }
  void forget_snapshot() noexcept { ahead_since_ns_ = 0; }

  // Control looks, about once a second. `others_move`: whether a line that brings the LIVE book has just
  // brought another book's updates.
  Finding on_look(std::uint64_t book_id, bool others_move) noexcept;
  // Whether the book had moved by the last look.
  bool moves() const noexcept { return still_looks_ == 0; }

 private:
  static constexpr std::uint64_t kTradeStepNs = 250'000'000;
  static constexpr std::uint32_t kTrades = 3;  // fewer prove nothing, whatever their time
  static constexpr std::uint32_t kStillLooks = 10;
  // How busy a book was that moved in three of four looks, and then in ten in a row not: 192 * (15 / 16)^10.
  static constexpr std::uint32_t kWasBusy = 100;
  static constexpr std::uint32_t kAlwaysBusy = 256;

  void begin(std::uint64_t book_id) noexcept {
    if (at_id_ == book_id) return;
    at_id_ = book_id;
    quotes_ns_ = trades_ns_ = beyond_ns_ = last_trade_ns_ = below_ns_ = last_below_ns_ = ahead_since_ns_ = 0;
    trades_ = beyond_ = 0;
  }
  std::int64_t counted(std::int64_t step_ns) const noexcept {
    return std::clamp<std::int64_t>(step_ns, 0, max_silence_ns_ / 10);
  }

  std::int64_t max_silence_ns_;
  std::uint64_t at_id_ = 0;  // 0: there is no evidence
  std::uint32_t trades_ = 0;
  std::uint32_t beyond_ = 0;
  std::int64_t quotes_ns_ = 0;
  std::int64_t trades_ns_ = 0;
  std::int64_t beyond_ns_ = 0;
  std::int64_t last_trade_ns_ = 0;
  std::int64_t looked_at_trade_ns_ = 0;
  std::int64_t new_since_ns_ = 0;
  std::int64_t below_ns_ = 0;
  std::int64_t last_below_ns_ = 0;
  std::int64_t ahead_since_ns_ = 0;  // 0: no snapshot is
  std::uint64_t looked_at_id_ = 0;
  std::uint32_t busy_ = 0;         // how many of the looks it moved in, in 1/256, the last 16 counting most
  std::uint32_t still_looks_ = 0;  // in a row
};

inline StreamWatch::Finding StreamWatch::on_trade(std::uint64_t book_id, const Bbo& top, std::int64_t price,
                                                  std::int64_t recv_ts_ns) noexcept {
  begin(book_id);
  looked_at_trade_ns_ = recv_ts_ns;
  const std::int64_t step_ns = last_trade_ns_ != 0 ? counted(recv_ts_ns - last_trade_ns_) : 0;
  last_trade_ns_ = recv_ts_ns;
  ++trades_;
  trades_ns_ += step_ns;
  const bool above = top.ask.quantity != 0 && price > top.ask.price;
  const bool below = top.bid.quantity != 0 && price < top.bid.price;
  if (above || below) {
    ++beyond_;
    beyond_ns_ += step_ns;
    if (beyond_ >= kTrades && beyond_ns_ > max_silence_ns_) return Finding::Silent;
  }
  if (trades_ < kTrades || trades_ns_ <= max_silence_ns_) return Finding::None;
  trades_ = 0;  // what comes of it is told; more of the same is another reason
  trades_ns_ = 0;
  return Finding::Suspect;
}

inline StreamWatch::Finding StreamWatch::on_update_below(std::uint64_t book_id, std::int64_t recv_ts_ns,
                                                         std::int64_t exch_ts_ns) noexcept {
  begin(book_id);
  if (last_below_ns_ != 0) below_ns_ += counted(recv_ts_ns - last_below_ns_);
  last_below_ns_ = recv_ts_ns;
  // As far as the two clocks agree: where they do not, it is no update of just now.
  const bool just_made = exch_ts_ns != 0 && std::abs(recv_ts_ns - exch_ts_ns) < max_silence_ns_ / 5;
  const bool old_snapshot = recv_ts_ns - new_since_ns_ > max_silence_ns_;
  return below_ns_ > max_silence_ns_ || (just_made && old_snapshot) ? Finding::Silent : Finding::None;
}

inline StreamWatch::Finding StreamWatch::on_look(std::uint64_t book_id, bool others_move) noexcept {
  const bool moved = book_id != looked_at_id_;
  looked_at_id_ = book_id;
  if (moved) {
    still_looks_ = 0;
    busy_ = std::min(kAlwaysBusy, busy_ + (kAlwaysBusy - busy_) / 16 + 1);
    return Finding::None;
  }
  busy_ -= busy_ / 16;
  if (++still_looks_ < kStillLooks || busy_ < kWasBusy || !others_move) return Finding::None;
  busy_ = 0;  // told once: only a book that moves again is missed again
  return Finding::Suspect;
}

}  // namespace mdp::book
