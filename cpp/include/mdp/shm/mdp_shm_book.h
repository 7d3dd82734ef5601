/* mdp_shm_book.h: one instrument's whole book, kept from the records of the ring, in the reader's process.
 *
 * C99 (and C++), on mdp_shm.h. The book keeper of every language is this one. It allocates: what it holds of
 * the book, by realloc(); nothing else of the C headers does. Poll and apply make no system call but that.
 *
 *   struct mdp_shm_book_keeper book;
 *   mdp_shm_keeper_init(&book);
 *   if (mdp_shm_keeper_follow(&book, &feed, instrument.symbol_id) != MDP_SHM_BOOK_OK) ...
 *   while (!mdp_shm_ended(status = mdp_shm_keeper_wait(&book, &feed, &event, MDP_SHM_BELL, ...)))
 *     if (mdp_shm_keeper_usable(&book)) ... mdp_shm_keeper_level(&book, MDP_SHM_ASKS, 0, &best) ...
 *   mdp_shm_keeper_free(&book);
 *
 * Where it begins. Loading reads the book from the newest whole one in the ring (refresh_position of the book
 * entry) where that is still safe to read, and every level that the publisher holds is then here: the book is
 * whole. Else from the levels of the book table: a side of which the table had no room for more is known down
 * to its last level there, and changes beyond are left out, for their neighbours may be missing; it is whole
 * from the next whole snapshot on. Either way it is as new as the book entry.
 *
 * What it goes by. A split update is applied when its last record is there; parts without a first are left.
 * The top alone (MDP_SHM_FLAG_TOP) is no news to who holds more, a book that comes again (_REFRESH) none to
 * who holds it all: then the two are compared. Quantities are absolute, zero removes, also of a level that is
 * not there. An event that is in the book already (its sequence is below next_sequence) changes nothing. A
 * delta follows if its first_update_id is at most the book's update_id + 1; one that does not is counted in
 * `gaps`, is applied, and is the publisher's fault: laps do not make any. Events that come while the book is
 * STALE are applied as well.
 *
 * After a lap the reader goes on half a ring behind the publisher, and the book is loaded anew: it is the
 * present one, ahead of the events that follow until they reach mdp_shm_keeper_next_sequence(). So of what is
 * still in the ring no trade is lost.
 */
#pragma once

/* clang-format off: before anything of the C library, which it asks for POSIX */
#include "mdp/shm/mdp_shm.h"
/* clang-format on */
#include <stdlib.h>

#ifdef __cplusplus
extern "C" {
#endif

#define MDP_SHM_MAX_BOOK_LEVELS ((size_t)1 << 20) /* a side that is longer cannot be right: NO_MEMORY */

/* The sides of a book, where a function asks for one. */
enum mdp_shm_book_side { MDP_SHM_BIDS = 0, MDP_SHM_ASKS = 1 };

/* What an event was to a book. */
enum mdp_shm_keeper_news {
  MDP_SHM_KEEPER_SAME = 0,     /* none: a trade, a part, another instrument's, known already */
  MDP_SHM_KEEPER_CHANGED = 1,  /* its levels or its state are others now */
  MDP_SHM_KEEPER_MISMATCH = 2, /* applied, and the book is not what the publisher says */
  MDP_SHM_KEEPER_NO_MEMORY = 3 /* the book is gone: load it again */
};

/* Levels of one side. The price of a level is its key here: rising keys lead to the best level, which is the
 * last, so that what changes most is moved least. The key of an ask is the complement of its price. */
struct mdp_shm_side_levels {
  struct mdp_shm_price_level* levels;
  size_t count;
  size_t capacity;
  int64_t known; /* key of the last level that is known; INT64_MIN: the side is whole */
};

/* A book. Read it by the functions below. */
struct mdp_shm_book_keeper {
  uint32_t symbol_id; /* MDP_SHM_NO_SYMBOL: it takes every event for its own */
  int held;           /* there is a book for deltas to change */
  int wrong;          /* a mismatch, and no whole book since */
  int state_told;     /* since it was loaded */
  int verify;
  int split;     /* a split update is under way; its levels so far are in `parts` */
  uint16_t type; /* of that */
  uint16_t state;
  uint16_t reason;
  uint64_t update_id;
  int64_t exch_ts_ns; /* of the last update, as are the next two */
  int64_t recv_ts_ns;
  int64_t pub_ts_ns;
  uint64_t position; /* loaded: the events from here on are not in it */
  uint64_t next_sequence;
  uint64_t sums[2]; /* of the sides' checksums, kept while `verify` */
  uint64_t loads;
  uint64_t gaps;
  uint64_t verified;
  uint64_t mismatches;
  int64_t known[2]; /* as keys: how far the publisher knows each side */
  struct mdp_shm_side_levels sides[2];
  struct mdp_shm_side_levels parts[2]; /* as they came: prices, any order */
};

/* ---- sides */

#define MDP_SHM_BEST_LEVELS ((size_t)32)

MDP_SHM_INLINE int64_t mdp_shm_side_key(int side, int64_t price) {
  return side == MDP_SHM_ASKS ? ~price : price;
}

/* What a level adds to the sum of its side (level_checksum() of event.hpp); the book's checksum is the bids'
 * sum less the asks'. A price and its complement have one weight, so it is the key's. */
MDP_SHM_INLINE uint64_t mdp_shm_key_checksum(int64_t key, uint64_t quantity) {
  const uint64_t k = (uint64_t)key;
  return (k * (k + 1) + 1) * quantity;
}
MDP_SHM_API uint64_t mdp_shm_level_checksum(int64_t price, int64_t quantity, int side) {
  const uint64_t sum = mdp_shm_key_checksum(price, (uint64_t)quantity);
  return side == MDP_SHM_ASKS ? 0 - sum : sum;
}

MDP_SHM_INLINE int mdp_shm_side_reserve(struct mdp_shm_side_levels* side, size_t count) {
  size_t capacity = side->capacity * 2 > 64 ? side->capacity * 2 : 64;
  void* levels;
  if (count <= side->capacity) return 1;
  if (count > MDP_SHM_MAX_BOOK_LEVELS) return 0;
  if (capacity < count) capacity = count;
  levels = realloc(side->levels, capacity * sizeof(struct mdp_shm_price_level));
  if (levels == NULL) return 0;
  side->levels = (struct mdp_shm_price_level*)levels;
  side->capacity = capacity;
  return 1;
}

/* Index of the first level whose key is `key` or above. Halves what is left without a branch on the data: of
 * the best levels alone where it is among them, as it mostly is. */
MDP_SHM_INLINE size_t mdp_shm_side_find(const struct mdp_shm_side_levels* side, int64_t key) {
  const struct mdp_shm_price_level* const levels = side->levels;
  size_t base = 0, left = side->count;
  if (left > MDP_SHM_BEST_LEVELS && levels[left - MDP_SHM_BEST_LEVELS].price < key) {
    base = left - MDP_SHM_BEST_LEVELS;
    left = MDP_SHM_BEST_LEVELS;
  }
  while (left > 0) {
    const size_t half = (left + 1) / 2;
    base = levels[base + half - 1].price < key ? base + half : base;
    left -= half;
  }
  return base;
}

/* Sets or removes one level, and keeps `sum` (NULL: nobody asks for it). 0: no memory. */
MDP_SHM_INLINE int mdp_shm_side_set(struct mdp_shm_side_levels* side, int64_t key, int64_t quantity,
                                    uint64_t* sum) {
  const size_t at = mdp_shm_side_find(side, key);
  const int found = at < side->count && side->levels[at].price == key;
  const uint64_t before = found ? (uint64_t)side->levels[at].quantity : 0;
  if (sum != NULL) *sum += mdp_shm_key_checksum(key, (uint64_t)quantity - before);
  if (quantity == 0) {
    if (!found) return 1;
    --side->count;
    memmove(side->levels + at, side->levels + at + 1, (side->count - at) * sizeof(*side->levels));
    return 1;
  }
  if (!found) {
    if (!mdp_shm_side_reserve(side, side->count + 1)) return 0;
    memmove(side->levels + at + 1, side->levels + at, (side->count - at) * sizeof(*side->levels));
    ++side->count;
    side->levels[at].price = key;
  }
  side->levels[at].quantity = quantity;
  return 1;
}

/* One of the levels of a record's body, which has no type of its own. */
MDP_SHM_INLINE struct mdp_shm_price_level mdp_shm_level_at(const void* levels, size_t index) {
  struct mdp_shm_price_level level;
  memcpy(&level, (const unsigned char*)levels + index * sizeof(level), sizeof(level));
  return level;
}

/* A delta's levels; what lies beyond the known ones is left out. 0: no memory. */
MDP_SHM_INLINE int mdp_shm_side_change(struct mdp_shm_side_levels* side, int which, const void* levels,
                                       size_t count, uint64_t* sum) {
  size_t i;
  for (i = 0; i < count; ++i) {
    const struct mdp_shm_price_level level = mdp_shm_level_at(levels, i);
    const int64_t key = mdp_shm_side_key(which, level.price);
    if (key < side->known) continue;
    if (!mdp_shm_side_set(side, key, level.quantity, sum)) return 0;
  }
  return 1;
}

/* A snapshot's levels, best first, in place of what is there. 0: no memory. */
MDP_SHM_INLINE int mdp_shm_side_assign(struct mdp_shm_side_levels* side, int which, const void* levels,
                                       size_t count, int64_t known) {
  side->count = 0;
  side->known = known;
  if (!mdp_shm_side_reserve(side, count)) return 0;
  while (count > 0) {
    const struct mdp_shm_price_level level = mdp_shm_level_at(levels, --count);
    const int64_t key = mdp_shm_side_key(which, level.price);
    if (side->count == 0 || side->levels[side->count - 1].price < key) {
      side->levels[side->count].price = key;
      side->levels[side->count].quantity = level.quantity;
      side->count += level.quantity != 0;
    } else if (!mdp_shm_side_set(side, key, level.quantity, NULL)) { /* out of order: nobody sends that */
      return 0;
    }
  }
  return 1;
}

MDP_SHM_INLINE int mdp_shm_side_equals(const struct mdp_shm_side_levels* side, int which, const void* levels,
                                       size_t count) {
  size_t i;
  if (side->count != count) return 0;
  for (i = 0; i < count; ++i) {
    const struct mdp_shm_price_level level = mdp_shm_level_at(levels, i);
    const struct mdp_shm_price_level* held = side->levels + (count - 1 - i);
    if (held->price != mdp_shm_side_key(which, level.price) || held->quantity != level.quantity) return 0;
  }
  return 1;
}

MDP_SHM_INLINE uint64_t mdp_shm_side_checksum(const struct mdp_shm_side_levels* side) {
  uint64_t sum = 0;
  size_t i;
  for (i = 0; i < side->count; ++i)
    sum += mdp_shm_key_checksum(side->levels[i].price, (uint64_t)side->levels[i].quantity);
  return sum;
}

/* ---- what a book is */

/* As the last state record, or the book entry, has it (enum mdp_shm_book_state, mdp_shm_state_reason). */
MDP_SHM_API int mdp_shm_keeper_state(const struct mdp_shm_book_keeper* book) { return book->state; }
MDP_SHM_API int mdp_shm_keeper_reason(const struct mdp_shm_book_keeper* book) { return book->reason; }
/* Whether the book is right: LIVE, held, and not refuted since. What it cannot know is whether its publisher
 * lives: ask that of the reader. */
MDP_SHM_API int mdp_shm_keeper_usable(const struct mdp_shm_book_keeper* book) {
  return book->state == MDP_SHM_LIVE && book->held && !book->wrong;
}
/* Whether it has every level that the publisher has. Only such a book can be verified. */
MDP_SHM_API int mdp_shm_keeper_whole(const struct mdp_shm_book_keeper* book) {
  return book->held && book->sides[0].known == INT64_MIN && book->sides[1].known == INT64_MIN;
}
/* The venue's id of the book; 0 where it has none. */
MDP_SHM_API uint64_t mdp_shm_keeper_update_id(const struct mdp_shm_book_keeper* book) {
  return book->update_id;
}
/* Of the last update: the venue's clock (0: it sends none), at the socket, at the ring commit. */
MDP_SHM_API int64_t mdp_shm_keeper_exch_ts_ns(const struct mdp_shm_book_keeper* book) {
  return book->exch_ts_ns;
}
MDP_SHM_API int64_t mdp_shm_keeper_recv_ts_ns(const struct mdp_shm_book_keeper* book) {
  return book->recv_ts_ns;
}
MDP_SHM_API int64_t mdp_shm_keeper_pub_ts_ns(const struct mdp_shm_book_keeper* book) {
  return book->pub_ts_ns;
}
/* Where the ring went on when the book was loaded; and the sequence of the first event that is not in it. */
MDP_SHM_API uint64_t mdp_shm_keeper_position(const struct mdp_shm_book_keeper* book) {
  return book->position;
}
MDP_SHM_API uint64_t mdp_shm_keeper_next_sequence(const struct mdp_shm_book_keeper* book) {
  return book->next_sequence;
}
/* How often it was loaded: more than once after laps. */
MDP_SHM_API uint64_t mdp_shm_keeper_loads(const struct mdp_shm_book_keeper* book) { return book->loads; }
/* Deltas that did not follow the book, updates that were compared with the publisher's checksum or whole
 * book, and those of them that differed. */
MDP_SHM_API uint64_t mdp_shm_keeper_gaps(const struct mdp_shm_book_keeper* book) { return book->gaps; }
MDP_SHM_API uint64_t mdp_shm_keeper_verified(const struct mdp_shm_book_keeper* book) {
  return book->verified;
}
MDP_SHM_API uint64_t mdp_shm_keeper_mismatches(const struct mdp_shm_book_keeper* book) {
  return book->mismatches;
}

/* Levels of a side (enum mdp_shm_book_side). */
MDP_SHM_API size_t mdp_shm_keeper_count(const struct mdp_shm_book_keeper* book, int side) {
  return book->sides[side != 0].count;
}
/* The level number `index` of a side, 0 being the best. 0: there are not so many, or they are not known. */
MDP_SHM_API int mdp_shm_keeper_level(const struct mdp_shm_book_keeper* book, int side, size_t index,
                                     struct mdp_shm_price_level* out) {
  const struct mdp_shm_side_levels* of = &book->sides[side != 0];
  if (index >= of->count) return 0;
  *out = of->levels[of->count - 1 - index];
  out->price = mdp_shm_side_key(side != 0, out->price);
  return 1;
}
/* Copies the best `max` levels of a side, best first, to `out`, and returns how many there were. */
MDP_SHM_API size_t mdp_shm_keeper_levels(const struct mdp_shm_book_keeper* book, int side,
                                         struct mdp_shm_price_level* out, size_t max) {
  size_t count = 0;
  while (count < max && mdp_shm_keeper_level(book, side, count, out + count)) ++count;
  return count;
}
/* Price of the last level that is known of a side, as in struct mdp_shm_book_state_body. */
MDP_SHM_API int64_t mdp_shm_keeper_known(const struct mdp_shm_book_keeper* book, int side) {
  const struct mdp_shm_side_levels* of = &book->sides[side != 0];
  return mdp_shm_side_key(side != 0, of->known == INT64_MIN ? book->known[side != 0] : of->known);
}
/* Of all its levels: of a whole book, what the publisher sends. */
MDP_SHM_API uint64_t mdp_shm_keeper_checksum(const struct mdp_shm_book_keeper* book) {
  if (book->verify) return book->sums[0] - book->sums[1];
  return mdp_shm_side_checksum(&book->sides[0]) - mdp_shm_side_checksum(&book->sides[1]);
}

/* ---- keeping it */

/* An empty book. It is to be freed, whatever happens to it. */
MDP_SHM_API void mdp_shm_keeper_init(struct mdp_shm_book_keeper* book) {
  memset(book, 0, sizeof(*book));
  book->symbol_id = MDP_SHM_NO_SYMBOL;
  book->reason = MDP_SHM_REASON_STARTING;
}
MDP_SHM_API void mdp_shm_keeper_free(struct mdp_shm_book_keeper* book) {
  int i;
  for (i = 0; i < 2; ++i) {
    free(book->sides[i].levels);
    free(book->parts[i].levels);
  }
  mdp_shm_keeper_init(book);
}

MDP_SHM_INLINE void mdp_shm_keeper_sum(struct mdp_shm_book_keeper* book) {
  if (!book->verify) return;
  book->sums[0] = mdp_shm_side_checksum(&book->sides[0]);
  book->sums[1] = mdp_shm_side_checksum(&book->sides[1]);
}
/* Asks for verification, or ends it: while it is on, a whole book is compared with the checksum of every
 * update that has one (MDP_SHM_FEATURE_CHECKSUM). Costs a few instructions for each level that changes. */
MDP_SHM_API void mdp_shm_keeper_verify(struct mdp_shm_book_keeper* book, int on) {
  book->verify = on != 0;
  mdp_shm_keeper_sum(book);
}

/* Forgets the book; its memory stays. */
MDP_SHM_INLINE void mdp_shm_keeper_forget(struct mdp_shm_book_keeper* book, uint32_t symbol_id) {
  int i;
  for (i = 0; i < 2; ++i) {
    book->sides[i].count = book->parts[i].count = 0;
    book->sides[i].known = INT64_MAX;
    book->known[i] = INT64_MIN;
    book->sums[i] = 0;
  }
  book->symbol_id = symbol_id;
  book->held = book->wrong = book->state_told = book->split = 0;
  book->state = MDP_SHM_STALE;
  book->reason = MDP_SHM_REASON_STARTING;
  book->update_id = book->next_sequence = 0;
}
MDP_SHM_INLINE int mdp_shm_keeper_no_memory(struct mdp_shm_book_keeper* book) {
  const uint64_t next_sequence = book->next_sequence;
  mdp_shm_keeper_forget(book, book->symbol_id);
  book->next_sequence = next_sequence;
  return MDP_SHM_KEEPER_NO_MEMORY;
}

/* Compares with the publisher's checksum, which stands behind the levels of an update's last record. */
MDP_SHM_INLINE int mdp_shm_keeper_check(struct mdp_shm_book_keeper* book,
                                        const struct mdp_shm_event_header* header, const void* body,
                                        int news) {
  uint64_t checksum;
  if (!book->verify || (header->flags & MDP_SHM_FLAG_CHECKSUM) == 0 || !mdp_shm_keeper_whole(book))
    return news;
  memcpy(&checksum,
         (const unsigned char*)body +
             ((size_t)header->bid_count + header->ask_count) * sizeof(struct mdp_shm_price_level),
         sizeof(checksum));
  ++book->verified;
  if (checksum == book->sums[0] - book->sums[1]) return news;
  ++book->mismatches;
  book->wrong = 1;
  return MDP_SHM_KEEPER_MISMATCH;
}

MDP_SHM_INLINE void mdp_shm_keeper_stamp(struct mdp_shm_book_keeper* book,
                                         const struct mdp_shm_event_header* header) {
  book->update_id = header->update_id;
  book->exch_ts_ns = header->exch_ts_ns;
  book->recv_ts_ns = header->recv_ts_ns;
  book->pub_ts_ns = header->pub_ts_ns;
}

/* The top of a book: taken where fewer levels are known. */
MDP_SHM_INLINE int mdp_shm_keeper_take_top(struct mdp_shm_book_keeper* book,
                                           const struct mdp_shm_event_header* header,
                                           const void* const levels[2], const size_t counts[2]) {
  int news = MDP_SHM_KEEPER_SAME, i;
  for (i = 0; i < 2; ++i) {
    int64_t last;
    if (counts[i] == 0) continue;
    last = mdp_shm_side_key(i, mdp_shm_level_at(levels[i], counts[i] - 1).price);
    if (book->sides[i].known <= last) continue;
    if (!mdp_shm_side_assign(&book->sides[i], i, levels[i], counts[i], last))
      return mdp_shm_keeper_no_memory(book);
    news = MDP_SHM_KEEPER_CHANGED;
  }
  if (news == MDP_SHM_KEEPER_SAME) return news;
  book->held = 1;
  mdp_shm_keeper_stamp(book, header);
  mdp_shm_keeper_sum(book);
  return news;
}

MDP_SHM_INLINE int mdp_shm_keeper_take_snapshot(struct mdp_shm_book_keeper* book,
                                                const struct mdp_shm_event_header* header, const void* body,
                                                const void* const levels[2], const size_t counts[2]) {
  const int again = (header->flags & MDP_SHM_FLAG_REFRESH) != 0;
  int news = MDP_SHM_KEEPER_CHANGED, i;
  if (again && !book->state_told) { /* only LIVE books come again */
    book->state = MDP_SHM_LIVE;
    book->reason = MDP_SHM_REASON_NONE;
    book->state_told = 1;
  }
  if (again && !book->wrong && mdp_shm_keeper_whole(book)) {
    ++book->verified;
    if (mdp_shm_side_equals(&book->sides[0], 0, levels[0], counts[0]) &&
        mdp_shm_side_equals(&book->sides[1], 1, levels[1], counts[1])) {
      return MDP_SHM_KEEPER_SAME;
    }
    ++book->mismatches;
    news = MDP_SHM_KEEPER_MISMATCH; /* it was wrong; from here on it is right */
  }
  for (i = 0; i < 2; ++i) {
    if (!mdp_shm_side_assign(&book->sides[i], i, levels[i], counts[i], INT64_MIN))
      return mdp_shm_keeper_no_memory(book);
  }
  book->held = 1;
  book->wrong = 0;
  mdp_shm_keeper_stamp(book, header);
  mdp_shm_keeper_sum(book);
  return mdp_shm_keeper_check(book, header, body, news);
}

MDP_SHM_INLINE int mdp_shm_keeper_take_delta(struct mdp_shm_book_keeper* book,
                                             const struct mdp_shm_event_header* header, const void* body,
                                             const void* const levels[2], const size_t counts[2]) {
  uint64_t* const sums = book->verify ? book->sums : NULL;
  if (!book->held) return MDP_SHM_KEEPER_SAME;
  if (header->first_update_id > book->update_id + 1) ++book->gaps;
  if (!mdp_shm_side_change(&book->sides[0], 0, levels[0], counts[0], sums) ||
      !mdp_shm_side_change(&book->sides[1], 1, levels[1], counts[1], sums == NULL ? NULL : sums + 1)) {
    return mdp_shm_keeper_no_memory(book);
  }
  mdp_shm_keeper_stamp(book, header);
  return mdp_shm_keeper_check(book, header, body, MDP_SHM_KEEPER_CHANGED);
}

/* A whole update: `header` and `body` are its last record. */
MDP_SHM_INLINE int mdp_shm_keeper_take_update(struct mdp_shm_book_keeper* book,
                                              const struct mdp_shm_event_header* header, const void* body,
                                              const void* const levels[2], const size_t counts[2]) {
  if (header->type == MDP_SHM_BOOK_DELTA)
    return mdp_shm_keeper_take_delta(book, header, body, levels, counts);
  if ((header->flags & MDP_SHM_FLAG_TOP) != 0) return mdp_shm_keeper_take_top(book, header, levels, counts);
  return mdp_shm_keeper_take_snapshot(book, header, body, levels, counts);
}

/* One record of a split update. */
MDP_SHM_INLINE int mdp_shm_keeper_take_part(struct mdp_shm_book_keeper* book,
                                            const struct mdp_shm_event_header* header, const void* body,
                                            const void* const levels[2], const size_t counts[2]) {
  const void* all[2];
  size_t all_counts[2];
  int i;
  if ((header->flags & MDP_SHM_FLAG_FIRST) != 0) {
    book->split = 1;
    book->type = header->type;
    book->parts[0].count = book->parts[1].count = 0;
  }
  if (!book->split || book->type != header->type) return MDP_SHM_KEEPER_SAME; /* its first is not here */
  for (i = 0; i < 2; ++i) {
    struct mdp_shm_side_levels* const parts = &book->parts[i];
    if (counts[i] == 0) continue;
    if (!mdp_shm_side_reserve(parts, parts->count + counts[i])) return mdp_shm_keeper_no_memory(book);
    memcpy(parts->levels + parts->count, levels[i], counts[i] * sizeof(*parts->levels));
    parts->count += counts[i];
  }
  if ((header->flags & MDP_SHM_FLAG_LAST) == 0) return MDP_SHM_KEEPER_SAME;
  book->split = 0;
  for (i = 0; i < 2; ++i) {
    all[i] = book->parts[i].levels;
    all_counts[i] = book->parts[i].count;
  }
  return mdp_shm_keeper_take_update(book, header, body, all, all_counts);
}

/* mdp_shm_keeper_apply() of a header and, elsewhere, its body, as mdp_shm_poll_into() gives them. */
MDP_SHM_INLINE int mdp_shm_keeper_take(struct mdp_shm_book_keeper* book, const void* header_in,
                                       const void* body) {
  const uint16_t whole = MDP_SHM_FLAG_FIRST | MDP_SHM_FLAG_LAST;
  const struct mdp_shm_event_header* const header = (const struct mdp_shm_event_header*)header_in;
  const void* levels[2];
  size_t counts[2];
  if (header->sequence < book->next_sequence ||
      (header->symbol_id != book->symbol_id && book->symbol_id != MDP_SHM_NO_SYMBOL)) {
    return MDP_SHM_KEEPER_SAME;
  }
  book->next_sequence = header->sequence + 1;
  if (header->type == MDP_SHM_BOOK_STATE) {
    struct mdp_shm_book_state_body told;
    memcpy(&told, body, sizeof(told));
    book->state = told.state;
    book->reason = told.reason;
    book->known[0] = mdp_shm_side_key(MDP_SHM_BIDS, told.known_bid);
    book->known[1] = mdp_shm_side_key(MDP_SHM_ASKS, told.known_ask);
    book->state_told = 1;
    return MDP_SHM_KEEPER_CHANGED;
  }
  counts[0] = header->bid_count;
  counts[1] = header->ask_count;
  if ((header->type != MDP_SHM_BOOK_DELTA && header->type != MDP_SHM_BOOK_SNAPSHOT) ||
      counts[0] + counts[1] > MDP_SHM_MAX_EVENT_LEVELS) {
    return MDP_SHM_KEEPER_SAME;
  }
  levels[0] = body;
  levels[1] = (const unsigned char*)body + counts[0] * sizeof(struct mdp_shm_price_level);
  if ((header->flags & whole) != whole) return mdp_shm_keeper_take_part(book, header, body, levels, counts);
  book->split = 0;
  return mdp_shm_keeper_take_update(book, header, body, levels, counts);
}

/* Takes in the next event, whichever it is: for who reads several instruments' events with one reader, and
 * has a book for each (load them, and begin at the smallest position). Returns enum mdp_shm_keeper_news. */
MDP_SHM_API int mdp_shm_keeper_apply(struct mdp_shm_book_keeper* book, const struct mdp_shm_event* event) {
  return mdp_shm_keeper_take(book, &event->header, &event->body);
}

/* ---- beginning */

/* The book of a book entry, with at most `capacity` levels a side: fewer than that are a whole side, if the
 * book is LIVE. */
MDP_SHM_INLINE int mdp_shm_keeper_from_entry(struct mdp_shm_book_keeper* book, uint32_t symbol_id,
                                             const struct mdp_shm_book_entry* entry, const void* bids,
                                             const void* asks, uint32_t capacity) {
  const void* const levels[2] = {bids, asks};
  const size_t counts[2] = {entry->bid_count, entry->ask_count};
  int i;
  mdp_shm_keeper_forget(book, symbol_id);
  for (i = 0; i < 2; ++i) {
    int64_t known = INT64_MAX;
    if (entry->state == MDP_SHM_LIVE && counts[i] < capacity) {
      known = INT64_MIN;
    } else if (counts[i] > 0) {
      known = mdp_shm_side_key(i, mdp_shm_level_at(levels[i], counts[i] - 1).price);
    }
    if (!mdp_shm_side_assign(&book->sides[i], i, levels[i], counts[i], known)) {
      mdp_shm_keeper_no_memory(book);
      return MDP_SHM_BOOK_NO_MEMORY;
    }
  }
  book->held = 1;
  book->state = entry->state;
  book->reason = entry->reason;
  book->state_told = 1;
  book->known[0] = mdp_shm_side_key(MDP_SHM_BIDS, entry->known_bid);
  book->known[1] = mdp_shm_side_key(MDP_SHM_ASKS, entry->known_ask);
  book->update_id = entry->update_id;
  book->exch_ts_ns = entry->exch_ts_ns;
  book->recv_ts_ns = entry->recv_ts_ns;
  book->pub_ts_ns = entry->pub_ts_ns;
  book->position = entry->ring_position;
  book->next_sequence = entry->next_sequence;
  mdp_shm_keeper_sum(book);
  ++book->loads;
  return MDP_SHM_BOOK_OK;
}

/* The book from the newest whole one in the ring, on to where the entry stands. 0: not to be had, or lapped
 * on the way. */
MDP_SHM_INLINE int mdp_shm_keeper_from_ring(struct mdp_shm_book_keeper* book,
                                            const struct mdp_shm_subscriber* shm, uint32_t symbol_id,
                                            const struct mdp_shm_book_entry* entry) {
  /* Two segments ahead of being overwritten, as where the oldest event is looked for. */
  const uint64_t margin = 2 * (shm->info.ring.size_bytes / shm->info.checkpoint_count);
  struct mdp_shm_subscriber scout = *shm;
  struct mdp_shm_event event;
  if (entry->refresh_position == MDP_SHM_NO_POSITION ||
      mdp_shm_overwritten(shm, entry->refresh_position - margin)) {
    return 0;
  }
  mdp_shm_keeper_forget(book, symbol_id);
  book->next_sequence = entry->refresh_sequence;
  book->known[0] = mdp_shm_side_key(MDP_SHM_BIDS, entry->known_bid);
  book->known[1] = mdp_shm_side_key(MDP_SHM_ASKS, entry->known_ask);
  mdp_shm_start_at(&scout, entry->refresh_position, entry->refresh_sequence);
  while (!mdp_shm_reached(scout.position, entry->ring_position) || !mdp_shm_keeper_whole(book)) {
    if (mdp_shm_poll_record(&scout, symbol_id, &event.header, &event.body) != MDP_SHM_READ_OK) return 0;
    mdp_shm_keeper_take(book, &event.header, &event.body);
  }
  if (!book->state_told) {
    book->state = entry->state;
    book->reason = entry->reason;
    book->state_told = 1;
  }
  book->position = scout.position;
  book->next_sequence = scout.next_sequence;
  ++book->loads;
  return 1;
}

/* Loads the present book of an instrument: OK, NO_INSTRUMENT, BUSY, CORRUPT, NO_MEMORY. Never blocks. The
 * reader stays where it is; the events that are not in the book begin at the book's `position`, number
 * `next_sequence`. On any status but OK there is no book: it is STALE. */
MDP_SHM_API int mdp_shm_keeper_load(struct mdp_shm_book_keeper* book, const struct mdp_shm_subscriber* shm,
                                    uint32_t symbol_id) {
  struct mdp_shm_price_level bids[MDP_SHM_MAX_LEVELS_PER_SIDE], asks[MDP_SHM_MAX_LEVELS_PER_SIDE];
  struct mdp_shm_book_entry entry;
  int attempt, status;
  for (attempt = 0; attempt < 3; ++attempt) {
    status = mdp_shm_read_book(shm, symbol_id, &entry, bids, asks, MDP_SHM_MAX_LEVELS_PER_SIDE);
    if (status != MDP_SHM_BOOK_OK) {
      mdp_shm_keeper_forget(book, symbol_id);
      return status;
    }
    if (mdp_shm_keeper_from_ring(book, shm, symbol_id, &entry)) return MDP_SHM_BOOK_OK;
    if (entry.refresh_position == MDP_SHM_NO_POSITION) break;
  }
  return mdp_shm_keeper_from_entry(book, symbol_id, &entry, bids, asks, shm->info.levels_per_side);
}

/* mdp_shm_keeper_load(), which waits while the publisher is inside the entry (BUSY: it died there), and from
 * then on the reader gives the events of this instrument that are not in the book. */
MDP_SHM_API int mdp_shm_keeper_follow(struct mdp_shm_book_keeper* book, struct mdp_shm_subscriber* shm,
                                      uint32_t symbol_id) {
  struct mdp_shm_book_entry entry;
  int status = mdp_shm_keeper_load(book, shm, symbol_id), attempt;
  for (attempt = 0; attempt < 8 && status == MDP_SHM_BOOK_BUSY; ++attempt) {
    status = mdp_shm_wait_for_book(shm, symbol_id, &entry, NULL, NULL, 0);
    if (status == MDP_SHM_BOOK_OK) status = mdp_shm_keeper_load(book, shm, symbol_id);
  }
  if (status != MDP_SHM_BOOK_OK) return status;
  mdp_shm_start_at(shm, book->position, book->next_sequence);
  shm->followed = symbol_id;
  return status;
}

/* What a poll gave, taken into the book. */
MDP_SHM_INLINE int mdp_shm_keeper_after(struct mdp_shm_book_keeper* book, struct mdp_shm_subscriber* shm,
                                        int status, const void* header, const void* body) {
  const struct mdp_shm_event_header* const of = (const struct mdp_shm_event_header*)header;
  if (status == MDP_SHM_READ_OK) {
    if (mdp_shm_keeper_take(book, header, body) == MDP_SHM_KEEPER_MISMATCH) status = MDP_SHM_READ_MISMATCH;
    /* Without a book, because loading failed or memory ran out, a delta is as good a moment to load it. */
    if (book->held || book->symbol_id == MDP_SHM_NO_SYMBOL || of->type != MDP_SHM_BOOK_DELTA) return status;
  } else if (status != MDP_SHM_READ_LAPPED || book->symbol_id == MDP_SHM_NO_SYMBOL) {
    return status;
  }
  if (mdp_shm_keeper_load(book, shm, book->symbol_id) == MDP_SHM_BOOK_OK &&
      !mdp_shm_reached(book->next_sequence, shm->next_sequence)) {
    /* A book older than where the reader stands: what lies between is read again. */
    mdp_shm_start_at(shm, book->position, book->next_sequence);
  }
  return status;
}

/* mdp_shm_poll() of the followed instrument, and its event taken into the book: what mdp_shm_poll() gives,
 * and MISMATCH, which is OK with a book that was refuted: mdp_shm_keeper_usable() is 0 until it comes whole
 * again, or is followed anew. After LAPPED the book has been loaded anew. */
MDP_SHM_API int mdp_shm_keeper_poll(struct mdp_shm_book_keeper* book, struct mdp_shm_subscriber* shm,
                                    struct mdp_shm_event* out) {
  const int status = mdp_shm_poll(shm, out);
  return mdp_shm_keeper_after(book, shm, status, &out->header, &out->body);
}

/* mdp_shm_wait() in the same way. */
MDP_SHM_API int mdp_shm_keeper_wait(struct mdp_shm_book_keeper* book, struct mdp_shm_subscriber* shm,
                                    struct mdp_shm_event* out, int how, int64_t timeout_ns,
                                    int64_t heartbeat_limit_ns) {
  const int status = mdp_shm_wait(shm, out, how, timeout_ns, heartbeat_limit_ns);
  return mdp_shm_keeper_after(book, shm, status, &out->header, &out->body);
}

#ifdef __cplusplus
}
#endif
