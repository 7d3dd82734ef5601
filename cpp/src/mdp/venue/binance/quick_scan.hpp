// QuickScan: what scan_document() finds, for frames written as the venue writes them, in one pass over their
// bytes and without an index made first.
//
// It knows compact JSON: no white space, no escape, nothing but ASCII; an event alone or as the `data` behind
// a `stream`; keys in any order. The levels of a delta are the caller's to read, bids first. Whatever else a
// frame holds, it leaves to scan_document(). All of it is inline: a frame of 150 bytes takes about ten steps,
// and where the scan is stays in a register from one to the next.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>
#ifdef __SSE4_1__
#include <smmintrin.h>
#endif

#include "mdp/core/quick_number.hpp"
#include "mdp/venue/binance/scan.hpp"

namespace mdp::venue::binance {

// The last byte of a frame is a brace. Only a string could go beyond that, and must not; so every step begins
// in the frame, and what it reads beyond, at most 40 bytes, is padding and decides nothing.
class QuickScan {
 public:
  enum class Stop : std::uint8_t {
    End,  // the frame is read, and `fields` is what scan_document() makes of it
    // Before the level array of a `b`, which the caller reads; then asks_follow(), the array, ends(). A
    // number in there ends at the last brace at the latest.
    Bids,
    Unusual,  // the frame is of another kind, and `fields` holds anything
  };

  // `data` has kFramePadding readable bytes behind it. `fields` is reset; its texts will point into `data`.
  QuickScan(const char* data, std::size_t size, Fields& fields) noexcept
      : at_(data), end_(data + size), fields_(fields) {}

  [[gnu::always_inline]] Stop begin() noexcept {
    if (at_ == end_ || end_[-1] != '}') return Stop::Unusual;
    combined_ = take_text("{\"stream\":\"");
    if (combined_) {
      seen_ = kStream | kCombined;
      if (!string(fields_.stream) || !take_text(",\"data\":{")) return Stop::Unusual;
    } else if (!take('{')) {
      return Stop::Unusual;
    }
    const Stop stop = usual_delta() ? members() : Stop::Unusual;
    fields_.seen = seen_;
    return stop;
  }

  // Where the scan is: the caller reads an array from here, and says where that ends.
  const char* at() const noexcept { return at_; }
  void go_on(const char* at) noexcept { at_ = at; }

  bool asks_follow() noexcept { return take_text(",\"a\":"); }

  // True where the frame ends, be it behind members that mean nothing to us (`st` of futures).
  bool ends() noexcept {
    while (take(',')) {
      if (!two_letters()) return false;
    }
    return seen_ == fields_.seen && brace();
  }

 private:
  // Members of a delta, as far as they come in the order in which the venue sends them. What comes else, or
  // in another order, is left to members(). False: not to be read here.
  [[gnu::always_inline]] bool usual_delta() noexcept {
    if (!take_text("\"e\":\"depthUpdate\",")) return true;
    seen_ |= kEvent;
    fields_.event = "depthUpdate";
    if (take_text("\"E\":") && !(integer(kEventTime, fields_.event_time) && take(','))) return false;
    if (take_text("\"T\":") && !(integer(kEngineTime, fields_.engine_time) && take(','))) return false;
    if (take_text("\"s\":") && !(text(kSymbol, fields_.symbol) && take(','))) return false;
    if (take_text("\"ps\":") && !(skip() && take(','))) return false;
    if (take_text("\"U\":") && !(integer(kFirstId, fields_.first_id) && take(','))) return false;
    if (take_text("\"u\":") && !(integer(kLastId, fields_.last_id) && take(','))) return false;
    return !take_text("\"pu\":") || (integer(kPrevId, fields_.prev_id) && take(','));
  }

  // Members in any order, up to levels or behind the last brace.
  [[gnu::always_inline]] Stop members() noexcept {
    do {
      if (is_letter_key()) {
        const char key = at_[1];
        at_ += 4;
        if (*at_ == '[') {
          constexpr std::uint64_t kOtherSides = kBidPrice | kBidOrderId | kAskPrice | kAggregateId;
          return key == 'b' && (seen_ & kOtherSides) == 0 ? Stop::Bids : Stop::Unusual;
        }
        if (!letter(key)) return Stop::Unusual;
      } else if (!two_letters()) {
        return Stop::Unusual;
      }
    } while (take(','));
    return brace() ? Stop::End : Stop::Unusual;
  }

  bool brace() noexcept { return take('}') && (!combined_ || take('}')) && at_ == end_; }

  // `"x":` for any x.
  bool is_letter_key() const noexcept {
    constexpr char kShape[] = {'"', 0, '"', ':'};
    constexpr unsigned char kMask[] = {255, 0, 255, 255};
    std::uint32_t shape = 0, mask = 0, text = 0;
    std::memcpy(&shape, kShape, sizeof(shape));
    std::memcpy(&mask, kMask, sizeof(mask));
    std::memcpy(&text, at_, sizeof(text));
    return (text & mask) == shape;
  }

  [[gnu::always_inline]] bool letter(char key) noexcept {
    switch (key) {
      case 'e':
        return text(kEvent, fields_.event);
      case 'E':
        return integer(kEventTime, fields_.event_time);
      case 's':
        return text(kSymbol, fields_.symbol);
      case 'U':
        return integer(kFirstId, fields_.first_id);
      case 'u':
        return integer(kLastId, fields_.last_id);
      case 'b':
        return price_or_id(kBidPrice, fields_.bids, kBidOrderId, fields_.bid_order_id);
      case 'a':
        return price_or_id(kAskPrice, fields_.asks, kAggregateId, fields_.aggregate_id);
      case 'B':
        return text(kBidQuantity, fields_.bid_quantity);
      case 'A':
        return text(kAskQuantity, fields_.ask_quantity);
      case 't':
        return integer(kTradeId, fields_.trade_id);
      case 'T':
        return integer(kEngineTime, fields_.engine_time);
      case 'p':
        return text(kPrice, fields_.price);
      case 'q':
        return text(kQuantity, fields_.quantity);
      case 'm':
        return mark(kMaker) && boolean(fields_.buyer_is_maker);
      case 'P':
        return text(kSettlePrice, fields_.settle_price);
      case 'i':
        return text(kIndexPrice, fields_.index_price);
      case 'r':
        return text(kFundingRate, fields_.funding_rate);
      case 'X':
        return text(kTradeKind, fields_.trade_kind);
      case 'o':
        return false;  // a forced order: one a second at most
      default:
        return is_letter(key) && skip();
    }
  }

  // A member of a key of two letters: one that means something here, or nothing.
  [[gnu::always_inline]] bool two_letters() noexcept {
    const char* const key = at_;
    if (key[0] != '"' || key[3] != '"' || key[4] != ':') return false;
    at_ += 5;
    if (key[1] == 'p' && key[2] == 'u') return integer(kPrevId, fields_.prev_id);
    if (key[1] == 'i' && key[2] == 'd') return false;  // of replies
    return is_letter(key[1]) && is_letter(key[2]) && skip();
  }

  // Twice the same key, or the same with two meanings, is for scan_document() to refuse.
  bool mark(std::uint64_t bit, std::uint64_t alternative = 0) noexcept {
    const bool first = (seen_ & (bit | alternative)) == 0;
    seen_ |= bit;
    return first;
  }

  [[gnu::always_inline]] bool text(Has bit, std::string_view& value) noexcept {
    return mark(bit) && quoted(value);
  }
  [[gnu::always_inline]] bool integer(Has bit, std::uint64_t& value) noexcept {
    return mark(bit) && number(value);
  }
  [[gnu::always_inline]] bool price_or_id(Has price, std::string_view& text, Has id,
                                          std::uint64_t& value) noexcept {
    if (*at_ == '"') return mark(price, id) && quoted(text);
    return mark(id, price) && number(value);
  }

  // A value nobody wants. Numbers with a point or an exponent, null, arrays and objects are not for us.
  bool skip() noexcept {
    std::string_view text;
    std::uint64_t value = 0;
    bool is_true = false;
    if (*at_ == '"') return quoted(text);
    return *at_ == 't' || *at_ == 'f' ? boolean(is_true) : number(value);
  }

  [[gnu::always_inline]] bool quoted(std::string_view& text) noexcept { return take('"') && string(text); }

  // The rest of a string whose opening quote is read. Printable ASCII without an escape: any other byte is
  // scan_document()'s to judge.
  [[gnu::always_inline]] bool string(std::string_view& text) noexcept {
    const char* const begin = at_;
    for (; at_ < end_; at_ += kBlock) {
      const unsigned stop = stop_in_block();
      if (stop == kBlock) continue;
      at_ += stop;
      if (at_ >= end_) return false;
      text = {begin, static_cast<std::size_t>(at_ - begin)};
      return take('"');
    }
    return false;
  }

  [[gnu::always_inline]] bool number(std::uint64_t& value) noexcept {
    unsigned length = 0;
    if (!core::quick_integer(at_, value, length)) return false;
    at_ += length;
    return true;
  }

  bool boolean(bool& value) noexcept {
    value = *at_ == 't';
    return value ? take_text("true") : take_text("false");
  }

  bool take(char wanted) noexcept {
    if (*at_ != wanted) return false;
    ++at_;
    return true;
  }
  template <std::size_t N>
  bool take_text(const char (&wanted)[N]) noexcept {
    if (std::memcmp(at_, wanted, N - 1) != 0) return false;
    at_ += N - 1;
    return true;
  }

  static constexpr bool is_letter(char c) noexcept {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
  }

#ifdef __SSE4_1__
  static constexpr unsigned kBlock = 16;

  // The first quote, escape, control character or byte beyond ASCII: signed, both of the last are below 32.
  unsigned stop_in_block() const noexcept {
    const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(at_));  // NOLINT: what it takes
    const __m128i quote = _mm_cmpeq_epi8(bytes, _mm_set1_epi8('"'));
    const __m128i escape = _mm_cmpeq_epi8(bytes, _mm_set1_epi8('\\'));
    const __m128i other = _mm_cmplt_epi8(bytes, _mm_set1_epi8(' '));
    const __m128i stops = _mm_or_si128(_mm_or_si128(quote, escape), other);
    return static_cast<unsigned>(
        std::countr_zero(static_cast<unsigned>(_mm_movemask_epi8(stops)) | 1u << kBlock));
  }
#else
  static constexpr unsigned kBlock = 1;

  unsigned stop_in_block() const noexcept {
    const auto byte = static_cast<unsigned char>(*at_);
    return byte == '"' || byte == '\\' || byte < ' ' || byte >= 128 ? 0 : kBlock;
  }
#endif

  const char* at_;
  const char* const end_;
  Fields& fields_;
  std::uint64_t seen_ = 0;
  bool combined_ = false;
};

}  // namespace mdp::venue::binance
