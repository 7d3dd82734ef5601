// QuoteAudit: compares a book's own top with what the venue's best-bid-and-ask stream says at the same update
// id.
//
// The two streams are independent: quotes run ahead of the depth batch that holds their id, or come after it.
// So both sides keep their last few states, and whichever comes second is compared with the first. Ids that
// only one of the two shows are not compared. Fixed memory, one per symbol, manager's thread.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "mdp/book/order_book.hpp"

namespace mdp::book {

class QuoteAudit {
 public:
  enum class Verdict : std::uint8_t {
    Unknown,  // the other stream has not shown this id (yet)
    Equal,
    Different,
  };
  struct Result {
    Verdict verdict = Verdict::Unknown;
    Bbo book;  // both set unless Unknown
    Bbo quote;
  };

  // The venue says that after `id` its best bid and ask are these. Ids come in growing order.
  Result on_quote(std::uint64_t id, const Bbo& quote) noexcept {
    if (id > last_book_id_ || book_count_ == 0) {
      quotes_[quote_end_++ % kQuotes] = {id, quote};
      return {};
    }
    const std::size_t oldest = book_count_ > kBooks ? book_count_ - kBooks : 0;
    for (std::size_t i = book_count_; i-- > oldest;) {
      const State& state = books_[i % kBooks];
      if (state.id == id) return compare(state.top, quote);
      if (state.id < id) break;
    }
    return {};
  }

  // The book is LIVE and its top after `id` is this. Ids come in growing order.
  Result on_book(std::uint64_t id, const Bbo& top) noexcept {
    books_[book_count_++ % kBooks] = {id, top};
    last_book_id_ = id;
    if (quote_end_ - quote_begin_ > kQuotes)
      quote_begin_ = quote_end_ - kQuotes;  // the oldest were overwritten
    while (quote_begin_ != quote_end_) {
      const State& state = quotes_[quote_begin_ % kQuotes];
      if (state.id > id) break;
      ++quote_begin_;
      if (state.id == id) return compare(top, state.top);
    }
    return {};
  }

  // The book is not LIVE any more: what it was says nothing. Quotes stay, they may be of what comes.
  void forget_books() noexcept {
    book_count_ = 0;
    last_book_id_ = 0;
  }
  // The venue's ids began anew: no quote will meet a book by its id.
  void forget_quotes() noexcept { quote_begin_ = quote_end_; }

 private:
  struct State {
    std::uint64_t id = 0;
    Bbo top;
  };
  static Result compare(const Bbo& book, const Bbo& quote) noexcept {
    return {book == quote ? Verdict::Equal : Verdict::Different, book, quote};
  }

  static constexpr std::size_t kQuotes = 256;  // a busy symbol's in the 100 ms of a depth batch
  static constexpr std::size_t kBooks = 16;
  std::array<State, kQuotes> quotes_;
  std::array<State, kBooks> books_;
  std::size_t quote_begin_ = 0;  // counts, not indices
  std::size_t quote_end_ = 0;
  std::size_t book_count_ = 0;
  std::uint64_t last_book_id_ = 0;
};

}  // namespace mdp::book
