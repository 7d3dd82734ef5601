#include "mdp/venue/binance/quick_scan.hpp"

#include <bit>
#include <cstring>

#include "mdp/core/quick_number.hpp"

#ifdef __SSE4_1__
#include <smmintrin.h>
#endif

namespace mdp::venue::binance {
namespace {

// `at` moves past what is read. What it reads beyond `end` is padding and means nothing: the frame is taken
// only where the last brace is the last byte, and every step goes forward. A step that begins before `end`
// reads at most 65 bytes.
struct Cursor {
  const char* at;
  const char* end;

  bool take(char wanted) noexcept {
    if (*at != wanted) return false;
    ++at;
    return true;
  }
  template <std::size_t N>
  bool take_text(const char (&wanted)[N]) noexcept {
    if (std::memcmp(at, wanted, N - 1) != 0) return false;
    at += N - 1;
    return true;
  }

  // The rest of a string whose opening quote is read. Printable ASCII without an escape: any other byte is
  // scan_document()'s to judge.
  bool string(std::string_view& text) noexcept {
    const char* const begin = at;
    for (; at < end; at += kBlock) {
      const unsigned stop = stop_in_block();
      if (stop == kBlock) continue;
      at += stop;
      if (*at != '"') return false;
      text = {begin, static_cast<std::size_t>(at - begin)};
      ++at;
      return true;
    }
    return false;
  }

  bool quoted(std::string_view& text) noexcept { return take('"') && string(text); }

  bool integer(std::uint64_t& value) noexcept {
    unsigned length = 0;
    if (!core::quick_integer(at, value, length)) return false;
    at += length;
    return true;
  }

  bool boolean(bool& value) noexcept {
    value = *at == 't';
    return value ? take_text("true") : take_text("false");
  }

  // `[]`, or what begins with `[[` and ends with the first `]]`.
  bool levels(std::string_view& text) noexcept {
    const char* const begin = at;
    if (!take('[')) return false;
    if (!take(']')) {
      if (*at != '[') return false;
      while (at < end && !closes_in_stride()) at += kStride;
      for (;; at += kBlock) {
        if (at >= end) return false;
        const unsigned closing = closing_in_block();
        if (closing == kBlock) continue;
        at += closing + 2;
        break;
      }
    }
    text = {begin, static_cast<std::size_t>(at - begin)};
    return true;
  }

  // A value nobody wants. Numbers with a point or an exponent, null, arrays and objects are not for us.
  bool skip() noexcept {
    std::string_view text;
    std::uint64_t number = 0;
    bool boolean_value = false;
    if (*at == '"') return quoted(text);
    return *at == 't' || *at == 'f' ? boolean(boolean_value) : integer(number);
  }

 private:
#ifdef __SSE4_1__
  static constexpr unsigned kBlock = 16;

  static __m128i load(const char* from) noexcept {
    return _mm_loadu_si128(reinterpret_cast<const __m128i*>(from));  // NOLINT: what the intrinsic takes
  }
  static unsigned first_bit(__m128i bytes) noexcept {
    return static_cast<unsigned>(
        std::countr_zero(static_cast<unsigned>(_mm_movemask_epi8(bytes)) | 1u << kBlock));
  }
  // The first quote, escape, control character or byte beyond ASCII: signed, both of the last are below 32.
  unsigned stop_in_block() const noexcept {
    const __m128i bytes = load(at);
    const __m128i quote = _mm_cmpeq_epi8(bytes, _mm_set1_epi8('"'));
    const __m128i escape = _mm_cmpeq_epi8(bytes, _mm_set1_epi8('\\'));
    const __m128i other = _mm_cmplt_epi8(bytes, _mm_set1_epi8(' '));
    return first_bit(_mm_or_si128(_mm_or_si128(quote, escape), other));
  }
  // Where in a block a `]]` begins.
  static __m128i closings(const char* from) noexcept {
    const __m128i bracket = _mm_set1_epi8(']');
    return _mm_and_si128(_mm_cmpeq_epi8(load(from), bracket), _mm_cmpeq_epi8(load(from + 1), bracket));
  }
  unsigned closing_in_block() const noexcept { return first_bit(closings(at)); }
  // Of the deltas of a busy book nearly all strides hold none. Reads 65 bytes: the last is padding still.
  static constexpr unsigned kStride = 64;
  bool closes_in_stride() const noexcept {
    const __m128i any = _mm_or_si128(_mm_or_si128(closings(at), closings(at + 16)),
                                     _mm_or_si128(closings(at + 32), closings(at + 48)));
    return _mm_movemask_epi8(any) != 0;
  }
#else
  static constexpr unsigned kBlock = 1;
  unsigned stop_in_block() const noexcept {
    const auto byte = static_cast<unsigned char>(*at);
    return byte == '"' || byte == '\\' || byte < ' ' || byte >= 128 ? 0 : kBlock;
  }
  unsigned closing_in_block() const noexcept { return at[0] == ']' && at[1] == ']' ? 0 : kBlock; }
  static constexpr unsigned kStride = 1;
  bool closes_in_stride() const noexcept { return closing_in_block() == 0; }
#endif
};

constexpr bool is_letter(char c) noexcept { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

// Twice the same key is for scan_document() to refuse.
bool mark(Fields& fields, std::uint64_t bit, std::uint64_t alternatives) noexcept {
  const bool first = (fields.seen & (bit | alternatives)) == 0;
  fields.seen |= bit;
  return first;
}
// The small steps are inlined by order: a frame of 150 bytes takes about ten of them.
[[gnu::always_inline]] inline bool text_field(Cursor& cursor, Fields& fields, Has bit,
                                              std::string_view& text) noexcept {
  return mark(fields, bit, 0) && cursor.quoted(text);
}
[[gnu::always_inline]] inline bool integer_field(Cursor& cursor, Fields& fields, Has bit,
                                                 std::uint64_t& value) noexcept {
  return mark(fields, bit, 0) && cursor.integer(value);
}

// `b` and `a`: levels, a price or an id.
[[gnu::always_inline]] inline bool side_field(Cursor& cursor, Fields& fields, Has levels, Has price, Has id,
                                              std::string_view& text, std::uint64_t& number) noexcept {
  const std::uint64_t all = std::uint64_t{levels} | price | id;
  if (*cursor.at == '[') return mark(fields, levels, all) && cursor.levels(text);
  if (*cursor.at == '"') return mark(fields, price, all) && cursor.quoted(text);
  return mark(fields, id, all) && cursor.integer(number);
}

bool letter_field(char key, Cursor& cursor, Fields& fields) noexcept {
  switch (key) {
    case 'e':
      return text_field(cursor, fields, kEvent, fields.event);
    case 'E':
      return integer_field(cursor, fields, kEventTime, fields.event_time);
    case 's':
      return text_field(cursor, fields, kSymbol, fields.symbol);
    case 'U':
      return integer_field(cursor, fields, kFirstId, fields.first_id);
    case 'u':
      return integer_field(cursor, fields, kLastId, fields.last_id);
    case 'b':
      return side_field(cursor, fields, kBidLevels, kBidPrice, kBidOrderId, fields.bids, fields.bid_order_id);
    case 'a':
      return side_field(cursor, fields, kAskLevels, kAskPrice, kAggregateId, fields.asks,
                        fields.aggregate_id);
    case 'B':
      return text_field(cursor, fields, kBidQuantity, fields.bid_quantity);
    case 'A':
      return text_field(cursor, fields, kAskQuantity, fields.ask_quantity);
    case 't':
      return integer_field(cursor, fields, kTradeId, fields.trade_id);
    case 'T':
      return integer_field(cursor, fields, kEngineTime, fields.engine_time);
    case 'p':
      return text_field(cursor, fields, kPrice, fields.price);
    case 'q':
      return text_field(cursor, fields, kQuantity, fields.quantity);
    case 'm':
      return mark(fields, kMaker, 0) && cursor.boolean(fields.buyer_is_maker);
    case 'P':
      return text_field(cursor, fields, kSettlePrice, fields.settle_price);
    case 'i':
      return text_field(cursor, fields, kIndexPrice, fields.index_price);
    case 'r':
      return text_field(cursor, fields, kFundingRate, fields.funding_rate);
    case 'X':
      return text_field(cursor, fields, kTradeKind, fields.trade_kind);
    case 'o':
      return false;  // a forced order: one a second at most
    default:
      return is_letter(key) && cursor.skip();
  }
}

// The members of an event whose opening brace is read, and its closing brace.
bool event_fields(Cursor& cursor, Fields& fields) noexcept {
  do {
    const char* const key = cursor.at;
    if (key >= cursor.end || key[0] != '"') return false;
    if (key[2] == '"' && key[3] == ':') {
      cursor.at += 4;
      if (!letter_field(key[1], cursor, fields)) return false;
    } else if (key[3] == '"' && key[4] == ':') {
      cursor.at += 5;
      if (key[1] == 'p' && key[2] == 'u') {
        if (!integer_field(cursor, fields, kPrevId, fields.prev_id)) return false;
      } else if (!is_letter(key[1]) || !is_letter(key[2]) || (key[1] == 'i' && key[2] == 'd') ||
                 !cursor.skip()) {
        return false;  // `id` is of replies
      }
    } else {
      return false;
    }
  } while (cursor.take(','));
  return cursor.take('}');
}

}  // namespace

bool quick_scan(const char* data, std::size_t size, Fields& fields) noexcept {
  Cursor cursor{data, data + size};
  const bool combined = cursor.take_text("{\"stream\":\"");
  if (combined) {
    fields.seen = kStream | kCombined;
    if (!cursor.string(fields.stream) || !cursor.take_text(",\"data\":{")) return false;
  } else if (!cursor.take('{')) {
    return false;
  }
  return event_fields(cursor, fields) && (!combined || cursor.take('}')) && cursor.at == cursor.end;
}

}  // namespace mdp::venue::binance
