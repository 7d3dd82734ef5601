/* mdp_shm.h: a reader of segments in plain C, for C programs and for languages that bind C. The C++ reader of
 * the ring (ring_reader.hpp) is built on it, so how a record is read safely is written here, once.
 *
 * C99 (and C++), nothing but the C library and the operating system (POSIX or Windows: mdp_shm_os.h);
 * docs/wire-format.md is what it follows, and mdp_shm_layout.h has its structs. One thread per
 * struct mdp_shm_subscriber. Nothing here allocates. What waits, attaches or judges the publisher calls the
 * operating system; mdp_shm_poll() and all that reads does not.
 *
 *   struct mdp_shm_subscriber feed;
 *   if (mdp_shm_open(&feed, "mdp") != MDP_SHM_ATTACH_OK) ...
 *   while (!mdp_shm_ended(status = mdp_shm_wait(&feed, &event, MDP_SHM_SLEEP, MDP_SHM_FOR_EVER,
 *                                               MDP_SHM_HEARTBEAT_LIMIT)))
 *     if (status == MDP_SHM_READ_OK && event.header.type == MDP_SHM_TRADE) ... event.body.trade ...
 *   mdp_shm_close(&feed);
 *
 * Include it first, or define _POSIX_C_SOURCE as 200809L or more: strict C99 hides shm_open() otherwise.
 *
 * Functions are inline. For languages that cannot include this there is libmdp_shm.so: mdp_shm_library.h.
 */
#pragma once

/* clang-format off: before anything of the C library, which it asks for POSIX */
#include "mdp/shm/mdp_shm_os.h"
/* clang-format on */
#include <stdio.h>

#include "mdp/shm/mdp_shm_bell.h"
#include "mdp/shm/mdp_shm_layout.h"
#include "mdp/shm/mdp_shm_text.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- what the functions say and take */

enum mdp_shm_read_status {
  MDP_SHM_READ_OK = 0,
  MDP_SHM_READ_EMPTY = 1,
  MDP_SHM_READ_LAPPED = 2,         /* lost_events and lost_bytes say how much; poll again to go on */
  MDP_SHM_READ_STOPPED = 3,        /* the publisher stopped in order and all it published was read */
  MDP_SHM_READ_PUBLISHER_DEAD = 4, /* of mdp_shm_wait() and mdp_shm_check_publisher(): dead, or replaced */
  MDP_SHM_READ_CORRUPT = 5,        /* what stands in the ring is no record; the reader stays where it is */
  MDP_SHM_READ_NOT_ATTACHED = 6,
  MDP_SHM_READ_PUBLISHER_STALE = 7, /* of the same two: silent; it may go on */
  MDP_SHM_READ_MISMATCH = 8, /* of mdp_shm_keeper_poll(): OK, and the book is not what the publisher says */
  MDP_SHM_READ_NO_ROOM = 9   /* of mdp_shm_poll_records(): the buffer is too small for a record */
};

/* What becomes of a publisher, as far as a reader can know. Its books are usable while it is RUNNING. */
enum mdp_shm_publisher_status {
  MDP_SHM_PUBLISHER_RUNNING = 0, /* its last heartbeat is no older than the limit */
  MDP_SHM_PUBLISHER_SILENT = 1, /* older, and no more is known: hung, suspended, or another user's and dead */
  MDP_SHM_PUBLISHER_DEAD = 2,   /* silent, and nobody holds the lock of its name */
  MDP_SHM_PUBLISHER_STOPPED = 3, /* in order: its segment says so */
  MDP_SHM_PUBLISHER_REPLACED = 4 /* silent, and another segment bears the name now: reattach */
};

enum mdp_shm_book_status {
  MDP_SHM_BOOK_OK = 0, /* whether the book is usable is its `state` */
  MDP_SHM_BOOK_NO_INSTRUMENT = 1,
  MDP_SHM_BOOK_BUSY = 2, /* the publisher is in the entry: it lost its core (try again), or died there */
  MDP_SHM_BOOK_CORRUPT = 3,
  MDP_SHM_BOOK_NO_MEMORY = 4 /* of mdp_shm_book.h */
};

/* Whether this ends a loop around mdp_shm_wait(): the publisher stopped or died, the ring is corrupt, or
 * there is none. After EMPTY (its timeout passed), LAPPED and PUBLISHER_STALE it may go on. */
MDP_SHM_API int mdp_shm_ended(int read_status) {
  return read_status == MDP_SHM_READ_STOPPED || read_status == MDP_SHM_READ_PUBLISHER_DEAD ||
         read_status == MDP_SHM_READ_CORRUPT || read_status == MDP_SHM_READ_NOT_ATTACHED;
}

enum mdp_shm_wait_strategy {
  MDP_SHM_SPIN = 0,  /* looks again at once: the least latency, a core of its own */
  MDP_SHM_YIELD = 1, /* lets other threads of the core run */
  MDP_SHM_SLEEP = 2, /* spins a little, yields a little, then sleeps for 50 us at a time */
  MDP_SHM_BELL = 3 /* spins a little, then sleeps until the publisher rings; without a doorbell like SLEEP */
};
#define MDP_SHM_FOR_EVER INT64_MAX

/* As the age that a heartbeat may have: so many of the intervals that the segment's header tells, which is a
 * second with mdp's publisher. */
#define MDP_SHM_HEARTBEAT_LIMIT INT64_C(-1)
#define MDP_SHM_HEARTBEATS_MISSED 10

/* A reader. Fields up to `laps` may be read, none may be written. */
struct mdp_shm_subscriber {
  const unsigned char* base;        /* NULL: closed */
  size_t size_bytes;                /* of the mapping; 0: the memory is the caller's (mdp_shm_attach) */
  struct mdp_shm_segment_info info; /* the checked copy */
  uint64_t position;                /* where the next poll reads */
  uint64_t next_sequence;           /* of the event there */
  uint64_t lost_events;             /* of the last lap */
  uint64_t lost_bytes;
  uint64_t total_lost_events;
  uint64_t laps;
  int sequence_known;
  int stale_said; /* by the last mdp_shm_wait() */
  int bell_tried;
  struct mdp_shm_bell_page* bell; /* once a wait has asked for it; NULL: there is none */
  uint32_t followed;              /* symbol_id, or MDP_SHM_NO_SYMBOL */
  uint32_t trusted_uid;
  struct mdp_shm_file file; /* also of one that mdp_shm_open() refused as UNTRUSTED */
  char name[MDP_SHM_MAX_SEGMENT_NAME_LENGTH + 1];
};

/* ---- shared words */

/* Copies `bytes`, a multiple of 8, out of shared memory. acquire, each: if a word is newer than what the
 * reader expects, its next load of the guarding word (the ring's `reserve`, a seqlock's `seq`) shows that;
 * pairs with the release store in store_words(). */
MDP_SHM_INLINE void mdp_shm_load_words(void* to, const void* from, size_t bytes) {
  size_t i;
  for (i = 0; i < bytes; i += 8) {
    const uint64_t value = mdp_shm_load((const unsigned char*)from + i);
    memcpy((unsigned char*)to + i, &value, sizeof(value));
  }
}

MDP_SHM_INLINE const struct mdp_shm_segment_header* mdp_shm_mapped_header(
    const struct mdp_shm_subscriber* shm) {
  return (const struct mdp_shm_segment_header*)(const void*)shm->base;
}
/* acquire: records up to the cursor are complete; pairs with the release store in RingWriter::commit(). */
MDP_SHM_INLINE uint64_t mdp_shm_cursor(const struct mdp_shm_subscriber* shm) {
  return mdp_shm_load(&mdp_shm_mapped_header(shm)->cursor);
}
MDP_SHM_INLINE const unsigned char* mdp_shm_at(const struct mdp_shm_subscriber* shm, uint64_t position) {
  return shm->base + shm->info.ring.offset + (position & (shm->info.ring.size_bytes - 1));
}
/* Whether the publisher may have overwritten what lies at `position`. Call after copying from there.
 * acquire: keeps this load among the loads around it; the acquire loads before it (mdp_shm_load_words()) make
 * it see the reserve of any newer word they saw; pairs with the store in RingWriter::reserve(). */
MDP_SHM_INLINE int mdp_shm_overwritten(const struct mdp_shm_subscriber* shm, uint64_t position) {
  return mdp_shm_load(&mdp_shm_mapped_header(shm)->reserve) - position > shm->info.ring.size_bytes;
}
/* Whether `a` is at or behind `b`; positions may wrap around 2^64. */
MDP_SHM_INLINE int mdp_shm_reached(uint64_t a, uint64_t b) { return (int64_t)(a - b) >= 0; }

/* ---- life and death (docs/wire-format.md, section 6) */

/* Whether another segment than `file` bears `name` now. What is there and not trusted is no successor. */
MDP_SHM_INLINE int mdp_shm_name_is_taken(const char* name, uint32_t trusted_uid,
                                         const struct mdp_shm_file* file) {
  struct mdp_shm_file present;
  return mdp_shm_os_find(name, trusted_uid, &present) == MDP_SHM_ATTACH_OK &&
         (present.device != file->device || present.inode != file->inode);
}

/* Age of the heartbeat of a mapped segment, ns. One of the future is nonsense, and as old as can be. */
MDP_SHM_INLINE int64_t mdp_shm_age_of_heartbeat(const void* base) {
  /* acquire: the clock is read behind it, so a heartbeat that comes meanwhile is none of the future; pairs
   * with SegmentWriter::heartbeat(). */
  const uint64_t beat =
      mdp_shm_load(&((const struct mdp_shm_segment_header*)(const void*)base)->heartbeat_ns);
  /* Unsigned: a corrupt heartbeat may be any number, and must not overflow. */
  const uint64_t age = (uint64_t)mdp_shm_os_monotonic_ns() - beat;
  return age <= INT64_MAX ? (int64_t)age : INT64_MAX;
}

/* mdp_shm_publisher_status() of a mapped segment, whose header told `interval_ns`. `name`: NULL where it was
 * not opened by one. */
MDP_SHM_INLINE int mdp_shm_judge_publisher(const void* base, uint32_t interval_ns, const char* name,
                                           uint32_t trusted_uid, const struct mdp_shm_file* file,
                                           int64_t limit_ns) {
  const struct mdp_shm_segment_header* header = (const struct mdp_shm_segment_header*)base;
  /* acquire: once it is stopped its cursor is final; pairs with SegmentWriter::set_state(). */
  if (mdp_shm_load(&header->state) == MDP_SHM_STOPPED) return MDP_SHM_PUBLISHER_STOPPED;
  if (limit_ns < 0) limit_ns = (int64_t)MDP_SHM_HEARTBEATS_MISSED * interval_ns;
  if (mdp_shm_age_of_heartbeat(base) <= limit_ns) return MDP_SHM_PUBLISHER_RUNNING;
  if (name == NULL) return MDP_SHM_PUBLISHER_SILENT;
  if (mdp_shm_name_is_taken(name, trusted_uid, file)) return MDP_SHM_PUBLISHER_REPLACED;
  return mdp_shm_os_owner_dead(name, file) ? MDP_SHM_PUBLISHER_DEAD : MDP_SHM_PUBLISHER_SILENT;
}

/* ---- opening */

MDP_SHM_INLINE int mdp_shm_section_fits(const struct mdp_shm_segment_info* info,
                                        const struct mdp_shm_section* section, uint32_t stride,
                                        uint32_t capacity) {
  /* Compared with what is left behind the offset, so that nothing can overflow. */
  return section->offset % 64 == 0 && section->offset >= info->header_size &&
         section->offset <= info->total_size && section->size_bytes <= info->total_size - section->offset &&
         (uint64_t)stride * capacity <= section->size_bytes;
}
MDP_SHM_INLINE int mdp_shm_power_of_two(uint64_t value) { return value != 0 && (value & (value - 1)) == 0; }

MDP_SHM_INLINE int mdp_shm_info_valid(const struct mdp_shm_segment_info* info, uint64_t size_bytes) {
  const uint64_t ring = info->ring.size_bytes;
  return info->total_size <= size_bytes && info->header_size >= sizeof(struct mdp_shm_segment_header) &&
         info->header_size <= info->total_size &&
         mdp_shm_section_fits(info, &info->venues, info->venue_stride, info->venue_capacity) &&
         mdp_shm_section_fits(info, &info->instruments, info->instrument_stride, info->instrument_capacity) &&
         mdp_shm_section_fits(info, &info->table, info->table_stride, info->instrument_capacity) &&
         mdp_shm_section_fits(info, &info->ring, 0, 0) && mdp_shm_section_fits(info, &info->index, 0, 0) &&
         mdp_shm_power_of_two(info->index.size_bytes) && info->index.size_bytes >= 64 &&
         mdp_shm_section_fits(info, &info->checkpoints, sizeof(uint64_t), info->checkpoint_count) &&
         mdp_shm_power_of_two(info->checkpoint_count) && info->checkpoint_count >= 4 &&
         info->checkpoint_count <= MDP_SHM_MIN_RING_BYTES / 64 && info->venue_stride % 64 == 0 &&
         info->venue_stride >= sizeof(struct mdp_shm_venue_entry) && info->instrument_stride % 64 == 0 &&
         info->instrument_stride >= sizeof(struct mdp_shm_instrument_entry) && info->levels_per_side >= 1 &&
         info->levels_per_side <= MDP_SHM_MAX_LEVELS_PER_SIDE && info->table_stride % 64 == 0 &&
         info->levels_offset % 64 == 0 && info->levels_offset >= sizeof(struct mdp_shm_book_entry) &&
         info->table_stride >= info->levels_offset + 32 * (uint64_t)info->levels_per_side &&
         mdp_shm_power_of_two(ring) && ring >= MDP_SHM_MIN_RING_BYTES && ring <= MDP_SHM_MAX_RING_BYTES &&
         info->max_record_bytes >= sizeof(struct mdp_shm_event_header) &&
         info->max_record_bytes <= MDP_SHM_MAX_RECORD_BYTES;
}

/* Begins behind the last event, and learns its number if the two words are caught belonging together. */
MDP_SHM_API void mdp_shm_start_newest(struct mdp_shm_subscriber* shm) {
  const struct mdp_shm_segment_header* header = mdp_shm_mapped_header(shm);
  int attempt;
  if (shm->base == NULL) return;
  for (attempt = 0; attempt < 1000; ++attempt) {
    /* acquire: the cursor below is at least the one of this count; pairs with the store behind the cursor's
     * in RingWriter::commit(). next_sequence is stored before the cursor, so if the cursor was newer than
     * `count`, this is too, and shows it. */
    const uint64_t count = mdp_shm_load(&header->event_count);
    shm->position = mdp_shm_cursor(shm);
    shm->next_sequence = mdp_shm_load(&header->next_sequence);
    shm->sequence_known = shm->next_sequence == count;
    if (shm->sequence_known) return;
  }
}

/* Begins at the event number `next_sequence` at `ring_position`, both from a book entry. */
MDP_SHM_API void mdp_shm_start_at(struct mdp_shm_subscriber* shm, uint64_t ring_position,
                                  uint64_t next_sequence) {
  shm->position = ring_position;
  shm->next_sequence = next_sequence;
  shm->sequence_known = 1;
}

/* The first of `count` checkpoints, from segment `first` on, whose record is whole and not within `margin`
 * bytes of being overwritten. */
MDP_SHM_INLINE int mdp_shm_checkpoint_from(const struct mdp_shm_subscriber* shm, uint64_t first,
                                           uint32_t count, uint64_t margin, uint64_t* position,
                                           uint64_t* sequence) {
  const uint64_t ring = shm->info.ring.size_bytes;
  uint32_t i;
  for (i = 0; i < count; ++i) {
    const uint64_t index = (first + i) % shm->info.checkpoint_count;
    /* acquire: keeps the cursor's load behind; pairs with the store in RingWriter::begin_record(). A record
     * that is not committed yet shows as one beyond the cursor. */
    const uint64_t candidate = mdp_shm_load(shm->base + shm->info.checkpoints.offset + 8 * index);
    const uint64_t end = mdp_shm_cursor(shm);
    struct mdp_shm_event_header header;
    if (candidate % 64 != 0 || candidate == end || end - candidate > ring ||
        (candidate & (ring - 1)) / (ring / shm->info.checkpoint_count) != index) {
      continue; /* stale, not written yet, or nonsense: not in the last lap, or not in this segment */
    }
    mdp_shm_load_words(&header, mdp_shm_at(shm, candidate), sizeof(header));
    if (mdp_shm_overwritten(shm, candidate - margin)) continue;
    *position = candidate;
    *sequence = header.sequence;
    return 1;
  }
  return 0;
}

/* Begins at the oldest event that is not about to be overwritten. The segment after the cursor's is the next
 * to be overwritten, so the oldest records start there; a margin of two segments (the publisher reserves one
 * ahead) gives the reader time to begin. */
MDP_SHM_API void mdp_shm_start_oldest(struct mdp_shm_subscriber* shm) {
  uint64_t segment, position, sequence;
  mdp_shm_start_newest(shm);
  if (shm->base == NULL) return;
  segment = shm->info.ring.size_bytes / shm->info.checkpoint_count;
  if (mdp_shm_checkpoint_from(shm, (shm->position & (shm->info.ring.size_bytes - 1)) / segment + 1,
                              shm->info.checkpoint_count, 2 * segment, &position, &sequence)) {
    mdp_shm_start_at(shm, position, sequence);
  }
}

/* Copies the fixed part of a segment's header and checks every offset and size of it against the memory there
 * is: OK, NOT_READY, NOT_A_SEGMENT, WRONG_VERSION, CORRUPT. */
MDP_SHM_INLINE int mdp_shm_check_segment(const void* base, size_t size_bytes,
                                         struct mdp_shm_segment_info* info) {
  uint64_t magic;
  /* The publisher creates the file before it gives it a size, and stores the magic after everything else. */
  if (base == NULL || size_bytes < sizeof(struct mdp_shm_segment_header)) return MDP_SHM_ATTACH_NOT_READY;
  /* acquire: the header is complete once the magic is there; pairs with the store in SegmentWriter. */
  magic = mdp_shm_load(base);
  if (magic == 0) return MDP_SHM_ATTACH_NOT_READY;
  if (magic != MDP_SHM_MAGIC) return MDP_SHM_ATTACH_NOT_A_SEGMENT;
  mdp_shm_load_words(info, base, sizeof(*info));
  if (info->layout_version != MDP_SHM_LAYOUT_VERSION ||
      (info->required_features & ~MDP_SHM_KNOWN_REQUIRED_FEATURES) != 0) {
    return MDP_SHM_ATTACH_WRONG_VERSION;
  }
  return mdp_shm_info_valid(info, size_bytes) ? MDP_SHM_ATTACH_OK : MDP_SHM_ATTACH_CORRUPT;
}

/* Checks the segment in [base, base + size_bytes), which is aligned to 64 and outlives the reader, and begins
 * to read behind its last event. On any status but OK the reader is closed. */
MDP_SHM_API int mdp_shm_attach(struct mdp_shm_subscriber* shm, const void* base, size_t size_bytes) {
  int status;
  memset(shm, 0, sizeof(*shm));
  status = mdp_shm_check_segment(base, size_bytes, &shm->info);
  if (status != MDP_SHM_ATTACH_OK) return status;
  shm->base = (const unsigned char*)base;
  shm->followed = MDP_SHM_NO_SYMBOL;
  mdp_shm_start_newest(shm);
  return MDP_SHM_ATTACH_OK;
}

MDP_SHM_API void mdp_shm_close(struct mdp_shm_subscriber* shm) {
  mdp_shm_bell_close(shm->bell);
  shm->bell = NULL;
  shm->bell_tried = 0;
  if (shm->base != NULL && shm->size_bytes != 0) mdp_shm_os_unmap(shm->base, shm->size_bytes);
  shm->base = NULL;
  shm->size_bytes = 0;
}

/* Maps the segment `name` and begins to read behind its last event (mdp_shm_start_oldest() and mdp_shm_join()
 * go elsewhere). It is taken if it belongs to the user who runs this, to root or to `trusted_uid`, and nobody
 * else may write it. On any status but OK the reader is closed. `shm` need not be initialized; one that is
 * open has to be closed first. */
MDP_SHM_API int mdp_shm_open_trusting(struct mdp_shm_subscriber* shm, const char* name,
                                      uint32_t trusted_uid) {
  struct mdp_shm_mapping mapping;
  int status = mdp_shm_os_map(name, trusted_uid, &mapping);
  if (status != MDP_SHM_ATTACH_OK) {
    memset(shm, 0, sizeof(*shm));
  } else {
    status = mdp_shm_attach(shm, mapping.base, mapping.size_bytes);
    if (status != MDP_SHM_ATTACH_OK) {
      shm->base = NULL;
      mdp_shm_os_unmap(mapping.base, mapping.size_bytes);
    }
  }
  shm->file = mapping.file;
  shm->trusted_uid = trusted_uid;
  if (status != MDP_SHM_ATTACH_OK) return status;
  shm->size_bytes = mapping.size_bytes;
  memcpy(shm->name, name, mdp_shm_name_length(name) + 1);
  return MDP_SHM_ATTACH_OK;
}
/* mdp_shm_open_trusting() of nobody but this user and root. */
MDP_SHM_API int mdp_shm_open(struct mdp_shm_subscriber* shm, const char* name) {
  return mdp_shm_open_trusting(shm, name, MDP_SHM_TRUST_NOBODY);
}

#define MDP_SHM_ERROR_SIZE 256

/* mdp_shm_attach_status_text(), and for UNTRUSTED what was found and what to do. Returns `out`. */
MDP_SHM_INLINE const char* mdp_shm_explain_attach(char out[MDP_SHM_ERROR_SIZE], int status,
                                                  const struct mdp_shm_file* file) {
  const unsigned mode = (unsigned)file->mode;
  if (status != MDP_SHM_ATTACH_UNTRUSTED) {
    snprintf(out, MDP_SHM_ERROR_SIZE, "%s", mdp_shm_attach_status_text(status));
  } else if ((mode & 0170000) != 0100000) { /* S_IFMT, S_IFREG */
    snprintf(out, MDP_SHM_ERROR_SIZE,
             "not trusted: what bears the segment's name is %s, wanted is a regular file: remove it",
             (mode & 0170000) == 0010000   ? "a FIFO"
             : (mode & 0170000) == 0040000 ? "a directory"
                                           : "a link, a socket or a device");
  } else if ((mode & 022) != 0) {
    snprintf(out, MDP_SHM_ERROR_SIZE,
             "not trusted: others than its owner, uid %lu, may write the segment (mode %04o): chmod go-w",
             (unsigned long)file->owner_uid, mode & 07777);
  } else {
    snprintf(out, MDP_SHM_ERROR_SIZE,
             "not trusted: the segment belongs to uid %lu, wanted is this user or root; to trust that one, "
             "give it as trusted_uid",
             (unsigned long)file->owner_uid);
  }
  return out;
}
/* Why mdp_shm_open() was not OK, as a sentence for people. Returns `out`. */
MDP_SHM_API const char* mdp_shm_open_error(char out[MDP_SHM_ERROR_SIZE], const struct mdp_shm_subscriber* shm,
                                           int status) {
  return mdp_shm_explain_attach(out, status, &shm->file);
}

/* Whether another segment bears the name now. (None at all: 0.) */
MDP_SHM_API int mdp_shm_replaced(const struct mdp_shm_subscriber* shm) {
  return shm->base != NULL && shm->size_bytes != 0 &&
         mdp_shm_name_is_taken(shm->name, shm->trusted_uid, &shm->file);
}

/* After STOPPED or PUBLISHER_DEAD: if the publisher was started again under the same name, maps its new
 * segment and begins at its oldest event. OK: done, look symbol_ids up again; none is followed, and what was
 * lost is counted anew. Anything else: the new one is not there yet, and the old mapping stays. */
MDP_SHM_API int mdp_shm_reattach(struct mdp_shm_subscriber* shm) {
  struct mdp_shm_subscriber fresh;
  int status;
  /* The look before the leap: while the old one is still there nothing is mapped. */
  if (!mdp_shm_replaced(shm)) return MDP_SHM_ATTACH_NOT_FOUND;
  status = mdp_shm_open_trusting(&fresh, shm->name, shm->trusted_uid);
  if (status != MDP_SHM_ATTACH_OK) return status;
  mdp_shm_close(shm);
  mdp_shm_start_oldest(&fresh);
  *shm = fresh;
  return MDP_SHM_ATTACH_OK;
}

/* ---- the publisher */

/* How long the publisher has given no sign of life, ns; its reader is open. */
MDP_SHM_API int64_t mdp_shm_heartbeat_age_ns(const struct mdp_shm_subscriber* shm) {
  return mdp_shm_age_of_heartbeat(mdp_shm_mapped_header(shm));
}

/* What the publisher is (enum mdp_shm_publisher_status), by the one rule for all readers. Its heartbeat may
 * be `limit_ns` old, or MDP_SHM_HEARTBEAT_LIMIT. Reads a clock, and asks the operating system only where the
 * heartbeat is older. A reader that is closed has none: DEAD. */
MDP_SHM_API int mdp_shm_publisher_status(const struct mdp_shm_subscriber* shm, int64_t limit_ns) {
  if (shm->base == NULL) return MDP_SHM_PUBLISHER_DEAD;
  return mdp_shm_judge_publisher(shm->base, shm->info.heartbeat_interval_ns,
                                 shm->size_bytes != 0 ? shm->name : NULL, shm->trusted_uid, &shm->file,
                                 limit_ns);
}

/* The state in which a reader should take a book (a book entry's, or that of the last BOOK_STATE event): a
 * LIVE one is STALE unless the publisher is RUNNING, for then nobody keeps it. */
MDP_SHM_API int mdp_shm_usable_state(const struct mdp_shm_subscriber* shm, int state, int64_t limit_ns) {
  if (state != MDP_SHM_LIVE) return state;
  return mdp_shm_publisher_status(shm, limit_ns) == MDP_SHM_PUBLISHER_RUNNING ? MDP_SHM_LIVE : MDP_SHM_STALE;
}

/* For when a poll is EMPTY: EMPTY (the publisher is running, or left events to read), STOPPED, PUBLISHER_DEAD
 * (or replaced), PUBLISHER_STALE (silent), NOT_ATTACHED. */
MDP_SHM_API int mdp_shm_check_publisher(const struct mdp_shm_subscriber* shm, int64_t limit_ns) {
  static const int read_status[] = {MDP_SHM_READ_EMPTY, MDP_SHM_READ_PUBLISHER_STALE,
                                    MDP_SHM_READ_PUBLISHER_DEAD, MDP_SHM_READ_STOPPED,
                                    MDP_SHM_READ_PUBLISHER_DEAD};
  int status;
  if (shm->base == NULL) return MDP_SHM_READ_NOT_ATTACHED;
  status = mdp_shm_publisher_status(shm, limit_ns);
  /* The cursor is looked at last: what it published before it ended is still to be read. */
  return mdp_shm_cursor(shm) == shm->position ? read_status[status] : MDP_SHM_READ_EMPTY;
}

/* ---- directory and book table */

/* Entries of the directory and the book table are seqlocked: their first word is even at rest and odd while
 * the publisher is inside. Readers never wait: after so many attempts they give up, because a publisher that
 * died inside leaves the word odd for ever. */
#define MDP_SHM_SEQLOCK_ATTEMPTS 4096

/* Whether an entry can be copied now; `before` is then for mdp_shm_seqlock_unchanged().
 * acquire: the words copied next are at least as new as this sequence; pairs with ~SeqlockWrite(). */
MDP_SHM_INLINE int mdp_shm_seqlock_at_rest(const void* entry, uint64_t* before) {
  *before = mdp_shm_load(entry);
  return (*before & 1) == 0;
}
/* Whether what was copied since is whole. The acquire loads of the copy keep this load behind them, and if
 * one of them saw a word of a later write it saw that write's odd sequence too; pairs with the store in
 * SeqlockWrite(). */
MDP_SHM_INLINE int mdp_shm_seqlock_unchanged(const void* entry, uint64_t before) {
  return mdp_shm_load(entry) == before;
}

/* Copies an entry of `bytes`. 0: the publisher was inside at every attempt. */
MDP_SHM_INLINE int mdp_shm_copy_entry(const void* from, void* to, size_t bytes) {
  uint64_t before;
  int i;
  for (i = 0; i < MDP_SHM_SEQLOCK_ATTEMPTS; ++i) {
    if (!mdp_shm_seqlock_at_rest(from, &before)) continue;
    mdp_shm_load_words(to, from, bytes);
    if (mdp_shm_seqlock_unchanged(from, before)) return 1;
  }
  return 0;
}

MDP_SHM_INLINE uint32_t mdp_shm_count(const uint64_t* word, uint32_t capacity) {
  const uint64_t count = mdp_shm_load(word); /* the publisher's word; the capacity is what was checked */
  return count < capacity ? (uint32_t)count : capacity;
}

/* One more than the highest symbol_id in use. */
MDP_SHM_API uint32_t mdp_shm_instrument_count(const struct mdp_shm_subscriber* shm) {
  if (shm->base == NULL) return 0;
  return mdp_shm_count(&mdp_shm_mapped_header(shm)->instrument_count, shm->info.instrument_capacity);
}

MDP_SHM_API uint32_t mdp_shm_venue_count(const struct mdp_shm_subscriber* shm) {
  if (shm->base == NULL) return 0;
  return mdp_shm_count(&mdp_shm_mapped_header(shm)->venue_count, shm->info.venue_capacity);
}

/* Copies one entry. 0: there is none at that index. */
MDP_SHM_API int mdp_shm_venue(const struct mdp_shm_subscriber* shm, uint32_t index,
                              struct mdp_shm_venue_entry* out) {
  return index < mdp_shm_venue_count(shm) &&
         mdp_shm_copy_entry(shm->base + shm->info.venues.offset + (uint64_t)shm->info.venue_stride * index,
                            out, sizeof(*out));
}

MDP_SHM_API int mdp_shm_instrument(const struct mdp_shm_subscriber* shm, uint32_t symbol_id,
                                   struct mdp_shm_instrument_entry* out) {
  return symbol_id < mdp_shm_instrument_count(shm) &&
         mdp_shm_copy_entry(
             shm->base + shm->info.instruments.offset + (uint64_t)shm->info.instrument_stride * symbol_id,
             out, sizeof(*out)) &&
         out->status != MDP_SHM_UNUSED;
}

/* Moves at every change of the directory: while it stands, what was read of it is true. Read it before. */
MDP_SHM_API uint64_t mdp_shm_directory_epoch(const struct mdp_shm_subscriber* shm) {
  return shm->base == NULL ? 0 : mdp_shm_load(&mdp_shm_mapped_header(shm)->directory_epoch);
}

MDP_SHM_INLINE int mdp_shm_text_is(const char* field, size_t size, const char* text, size_t length) {
  return length <= size && memcmp(field, text, length) == 0 && (length == size || field[length] == '\0');
}

/* FNV-1a of 64 bits, mixed once more: low bits are the place in the index, high ones the tag. */
MDP_SHM_INLINE uint64_t mdp_shm_symbol_hash(const char* symbol, size_t length) {
  uint64_t hash = UINT64_C(0xCBF29CE484222325);
  size_t i;
  for (i = 0; i < length; ++i) hash = (hash ^ (unsigned char)symbol[i]) * UINT64_C(0x100000001B3);
  return hash ^ (hash >> 32);
}
/* A slot of the index: the hash's upper half, and the symbol_id + 1. 0 is an empty one. */
MDP_SHM_INLINE uint64_t mdp_shm_index_slot(uint64_t hash, uint32_t symbol_id) {
  return (hash & UINT64_C(0xFFFFFFFF00000000)) | (symbol_id + 1u);
}

/* mdp_shm_find() over an index of `slots` words and instrument entries every `stride` bytes. A search walks
 * from the hash's place to the first empty slot; what it meets is believed once the entry says the same. */
MDP_SHM_INLINE int mdp_shm_find_entry(const unsigned char* index, uint64_t slots, const void* entries,
                                      uint32_t stride, uint32_t count, const char* symbol, size_t length,
                                      void* out) {
  const uint64_t hash = mdp_shm_symbol_hash(symbol, length);
  struct mdp_shm_instrument_entry entry;
  uint32_t best = MDP_SHM_NO_SYMBOL;
  uint64_t step;
  for (step = 0; step < slots; ++step) {
    /* What the slot says is only believed of the entry; pairs with the store in DirectoryWriter. */
    const uint64_t slot = mdp_shm_load(index + 8 * ((hash + step) & (slots - 1)));
    const uint32_t id = (uint32_t)slot - 1;
    if (slot == 0) break;
    if (((slot ^ hash) >> 32) != 0 || id >= count) continue;
    if (!mdp_shm_copy_entry((const unsigned char*)entries + (uint64_t)stride * id, &entry, sizeof(entry)) ||
        entry.status != MDP_SHM_ACTIVE) {
      continue;
    }
    if (mdp_shm_text_is(entry.canonical_symbol, sizeof(entry.canonical_symbol), symbol, length)) {
      memcpy(out, &entry, sizeof(entry));
      return 1;
    }
    if (id < best && mdp_shm_text_is(entry.venue_symbol, sizeof(entry.venue_symbol), symbol, length)) {
      memcpy(out, &entry, sizeof(entry));
      best = id;
    }
  }
  return best != MDP_SHM_NO_SYMBOL;
}

/* Finds the active instrument whose canonical symbol is `symbol`, else that with the smallest symbol_id of
 * those whose venue symbol is. 0: none. A few cache lines, however many instruments there are. */
MDP_SHM_API int mdp_shm_find(const struct mdp_shm_subscriber* shm, const char* symbol,
                             struct mdp_shm_instrument_entry* out) {
  if (shm->base == NULL) return 0;
  return mdp_shm_find_entry(shm->base + shm->info.index.offset, shm->info.index.size_bytes / 8,
                            shm->base + shm->info.instruments.offset, shm->info.instrument_stride,
                            mdp_shm_instrument_count(shm), symbol, strlen(symbol), out);
}

/* Copies a book entry whose sides have room for `capacity` levels, at `levels_offset`, to a struct
 * mdp_shm_book_entry, and the best `max_levels` of each side to arrays of that many, best first: OK, BUSY,
 * CORRUPT. */
MDP_SHM_INLINE int mdp_shm_copy_book(const unsigned char* from, uint32_t levels_offset, uint32_t capacity,
                                     uint32_t max_levels, void* entry_out, void* bids, void* asks) {
  struct mdp_shm_book_entry* const entry = (struct mdp_shm_book_entry*)entry_out;
  const size_t level = sizeof(struct mdp_shm_price_level);
  const uint32_t limit = max_levels < capacity ? max_levels : capacity;
  uint32_t bid_count, ask_count;
  uint64_t before;
  int i;
  for (i = 0; i < MDP_SHM_SEQLOCK_ATTEMPTS; ++i) {
    if (!mdp_shm_seqlock_at_rest(from, &before)) continue;
    mdp_shm_load_words(entry, from, sizeof(*entry));
    /* Counts may be torn here: they are bounded before they are followed. */
    bid_count = entry->bid_count < limit ? entry->bid_count : limit;
    ask_count = entry->ask_count < limit ? entry->ask_count : limit;
    mdp_shm_load_words(bids, from + levels_offset, level * bid_count);
    mdp_shm_load_words(asks, from + levels_offset + level * capacity, level * ask_count);
    if (!mdp_shm_seqlock_unchanged(from, before)) continue;
    if (entry->bid_count > capacity || entry->ask_count > capacity) return MDP_SHM_BOOK_CORRUPT;
    entry->bid_count = (uint16_t)bid_count;
    entry->ask_count = (uint16_t)ask_count;
    return MDP_SHM_BOOK_OK;
  }
  return MDP_SHM_BOOK_BUSY;
}

/* Copies the entry, and the best `max_levels` of each side to arrays of at least that many, best first. The
 * entry's bid_count and ask_count are then what was copied. */
MDP_SHM_API int mdp_shm_read_book(const struct mdp_shm_subscriber* shm, uint32_t symbol_id,
                                  struct mdp_shm_book_entry* entry, struct mdp_shm_price_level* bids,
                                  struct mdp_shm_price_level* asks, uint32_t max_levels) {
  if (shm->base == NULL || symbol_id >= shm->info.instrument_capacity) return MDP_SHM_BOOK_NO_INSTRUMENT;
  return mdp_shm_copy_book(shm->base + shm->info.table.offset + (uint64_t)shm->info.table_stride * symbol_id,
                           shm->info.levels_offset, shm->info.levels_per_side, max_levels, entry, bids, asks);
}

#define MDP_SHM_IDLES_PER_CHECK 64
#define MDP_SHM_LOOK_INTERVAL_NS INT64_C(1000000) /* a silent publisher is asked about by system calls */
#define MDP_SHM_IDLES_PER_BOOK 10000              /* most of them sleeps */
/* Nobody is inside an entry for so long: whether the publisher died there is asked sooner than elsewhere. */
#define MDP_SHM_INSIDE_LIMIT_NS INT64_C(20000000)

/* What to do at the `idles`th look in a row that found nothing. */
MDP_SHM_INLINE void mdp_shm_idle(int how, uint64_t idles) {
  if (how == MDP_SHM_SPIN || (how == MDP_SHM_SLEEP && idles <= 256)) {
    mdp_shm_os_relax();
  } else if (how == MDP_SHM_YIELD || idles <= 256 + 64) {
    mdp_shm_os_yield();
  } else {
    mdp_shm_os_sleep();
  }
}

/* The same of a reader that waits for the ring, for `left_ns` at most. */
MDP_SHM_INLINE void mdp_shm_rest(struct mdp_shm_subscriber* shm, int how, uint64_t idles, int64_t left_ns) {
  if (how != MDP_SHM_BELL) {
    mdp_shm_idle(how, idles);
    return;
  }
  if (idles <= 256) {
    mdp_shm_os_relax();
    return;
  }
  if (!shm->bell_tried) {
    shm->bell_tried = 1;
    shm->bell = mdp_shm_bell_open(&shm->info);
  }
  if (shm->bell == NULL) {
    mdp_shm_idle(MDP_SHM_SLEEP, idles);
    return;
  }
  mdp_shm_bell_wait(shm->bell, &mdp_shm_mapped_header(shm)->cursor, shm->position,
                    left_ns < MDP_SHM_BELL_SLICE_NS ? left_ns : MDP_SHM_BELL_SLICE_NS);
}

/* mdp_shm_read_book(), but waits while the publisher is inside, for about a second: BUSY means that it died
 * there. */
MDP_SHM_API int mdp_shm_wait_for_book(const struct mdp_shm_subscriber* shm, uint32_t symbol_id,
                                      struct mdp_shm_book_entry* entry, struct mdp_shm_price_level* bids,
                                      struct mdp_shm_price_level* asks, uint32_t max_levels) {
  uint64_t idles = 0;
  for (;;) {
    const int status = mdp_shm_read_book(shm, symbol_id, entry, bids, asks, max_levels);
    if (status != MDP_SHM_BOOK_BUSY || idles == MDP_SHM_IDLES_PER_BOOK) return status;
    if (++idles % MDP_SHM_IDLES_PER_CHECK == 0 &&
        mdp_shm_publisher_status(shm, MDP_SHM_INSIDE_LIMIT_NS) >= MDP_SHM_PUBLISHER_DEAD) {
      return status;
    }
    mdp_shm_idle(MDP_SHM_SLEEP, idles);
  }
}

/* Late join: mdp_shm_wait_for_book(), and the next events of this instrument are exactly those not in it. */
MDP_SHM_API int mdp_shm_join(struct mdp_shm_subscriber* shm, uint32_t symbol_id,
                             struct mdp_shm_book_entry* entry, struct mdp_shm_price_level* bids,
                             struct mdp_shm_price_level* asks, uint32_t max_levels) {
  const int status = mdp_shm_wait_for_book(shm, symbol_id, entry, bids, asks, max_levels);
  if (status == MDP_SHM_BOOK_OK) mdp_shm_start_at(shm, entry->ring_position, entry->next_sequence);
  return status;
}

/* mdp_shm_join(), and from then on mdp_shm_poll() and mdp_shm_wait() pass over the other instruments' events.
 * After LAPPED: again. */
MDP_SHM_API int mdp_shm_follow(struct mdp_shm_subscriber* shm, uint32_t symbol_id,
                               struct mdp_shm_book_entry* entry, struct mdp_shm_price_level* bids,
                               struct mdp_shm_price_level* asks, uint32_t max_levels) {
  const int status = mdp_shm_join(shm, symbol_id, entry, bids, asks, max_levels);
  if (status == MDP_SHM_BOOK_OK) shm->followed = symbol_id;
  return status;
}
/* Ends that: all events again. */
MDP_SHM_API void mdp_shm_follow_all(struct mdp_shm_subscriber* shm) { shm->followed = MDP_SHM_NO_SYMBOL; }

/* ---- ring */

/* Bytes published and not yet read. */
MDP_SHM_API uint64_t mdp_shm_lag_bytes(const struct mdp_shm_subscriber* shm) {
  return shm->base == NULL ? 0 : mdp_shm_cursor(shm) - shm->position;
}

/* Lapped: goes on about half a ring behind the cursor, which leaves the reader as much room as it can use.
 * Nothing found there (the publisher wrote half a ring meanwhile, or the checkpoints are nonsense): the next
 * poll tries again. */
MDP_SHM_INLINE int mdp_shm_resume(struct mdp_shm_subscriber* shm) {
  const uint64_t ring = shm->info.ring.size_bytes;
  const uint64_t half_back = (mdp_shm_cursor(shm) - ring / 2) & (ring - 1);
  uint64_t position, sequence;
  shm->lost_events = 0;
  shm->lost_bytes = 0;
  if (!mdp_shm_checkpoint_from(shm, half_back / (ring / shm->info.checkpoint_count),
                               shm->info.checkpoint_count / 2, 0, &position, &sequence)) {
    return MDP_SHM_READ_LAPPED;
  }
  /* A lap only ever leads forward. If it does not, positions and sequences contradict each other. */
  if (!mdp_shm_reached(position, shm->position) || !mdp_shm_reached(sequence, shm->next_sequence)) {
    return MDP_SHM_READ_CORRUPT;
  }
  shm->lost_bytes = position - shm->position;
  shm->lost_events = sequence - shm->next_sequence;
  shm->total_lost_events += shm->lost_events;
  ++shm->laps;
  mdp_shm_start_at(shm, position, sequence);
  return MDP_SHM_READ_LAPPED;
}

/* Of the whole record in the ring, header included. */
MDP_SHM_API uint32_t mdp_shm_record_bytes(const struct mdp_shm_event_header* header) {
  return (uint32_t)header->size_lines * 64;
}

/* Bytes of body that an event's type and counts call for; 0 for a type this version does not know. */
MDP_SHM_INLINE size_t mdp_shm_body_bytes(const struct mdp_shm_event_header* header) {
  switch (header->type) {
    case MDP_SHM_BOOK_DELTA:
    case MDP_SHM_BOOK_SNAPSHOT:
      return ((size_t)header->bid_count + header->ask_count) * sizeof(struct mdp_shm_price_level) +
             ((header->flags & MDP_SHM_FLAG_CHECKSUM) != 0 ? sizeof(uint64_t) : 0);
    case MDP_SHM_BOOK_STATE:
      return sizeof(struct mdp_shm_book_state_body);
    case MDP_SHM_BBO:
      return sizeof(struct mdp_shm_bbo_body);
    case MDP_SHM_TRADE:
      return sizeof(struct mdp_shm_trade_body);
    case MDP_SHM_CONNECTION_STATUS:
      return sizeof(struct mdp_shm_connection_status_body);
    case MDP_SHM_MARK_PRICE:
      return sizeof(struct mdp_shm_mark_price_body);
    case MDP_SHM_LIQUIDATION:
      return sizeof(struct mdp_shm_liquidation_body);
    default:
      return 0;
  }
}

/* mdp_shm_poll_into(), which leaves the bodies of other instruments' events than `only` where they are
 * (MDP_SHM_NO_SYMBOL: copies all).
 *
 * How a record is read safely while its place may be overwritten:
 *   publisher                                        reader at position p
 *   1 reserve = new end       (before any word)      1 c = cursor (acquire); c == p: nothing new
 *   2 record words            (release each)         2 copy the record's words (acquire each)
 *   3 cursor = new end        (release)              3 reserve - p > ring size: the copy may be torn,
 *                                                      drop it: lapped
 */
MDP_SHM_ALWAYS_INLINE int mdp_shm_poll_record(struct mdp_shm_subscriber* shm, uint32_t only, void* header_out,
                                              void* body_out) {
  const uint64_t ring = shm->info.ring.size_bytes;
  struct mdp_shm_event_header* const header = (struct mdp_shm_event_header*)header_out;
  uint32_t size_bytes;
  int records;
  if (shm->base == NULL) return MDP_SHM_READ_NOT_ATTACHED;
  /* Twice at most: a padding record fills the end of the ring, and a record follows it. */
  for (records = 0; records < 2; ++records) {
    const uint64_t end = mdp_shm_cursor(shm);
    if (end == shm->position) {
      /* acquire: once Stopped is seen the cursor is final, but it may have moved since it was read above;
       * pairs with SegmentWriter::set_state(). */
      if (mdp_shm_load(&mdp_shm_mapped_header(shm)->state) != MDP_SHM_STOPPED) return MDP_SHM_READ_EMPTY;
      return mdp_shm_cursor(shm) == shm->position ? MDP_SHM_READ_STOPPED : MDP_SHM_READ_EMPTY;
    }
    if (!mdp_shm_reached(end, shm->position) || shm->position % 64 != 0) return MDP_SHM_READ_CORRUPT;
    if (end - shm->position > ring) return mdp_shm_resume(shm);

    mdp_shm_load_words(header, mdp_shm_at(shm, shm->position), sizeof(*header));
    size_bytes = mdp_shm_record_bytes(header);
    if (size_bytes == 0 || size_bytes > shm->info.max_record_bytes ||
        size_bytes > ring - (shm->position & (ring - 1)) || size_bytes > end - shm->position) {
      return mdp_shm_overwritten(shm, shm->position) ? mdp_shm_resume(shm) : MDP_SHM_READ_CORRUPT;
    }
    if (header->type != MDP_SHM_PADDING && (only == MDP_SHM_NO_SYMBOL || header->symbol_id == only)) {
      mdp_shm_load_words(body_out, mdp_shm_at(shm, shm->position) + sizeof(*header),
                         size_bytes - sizeof(*header));
    }
    if (mdp_shm_overwritten(shm, shm->position)) return mdp_shm_resume(shm);

    if (shm->sequence_known && header->sequence != shm->next_sequence) return MDP_SHM_READ_CORRUPT;
    if (header->type != MDP_SHM_PADDING && mdp_shm_body_bytes(header) > size_bytes - sizeof(*header))
      return MDP_SHM_READ_CORRUPT;
    shm->sequence_known = 1;
    shm->next_sequence = header->sequence; /* a padding record carries that of the event behind it */
    shm->position += size_bytes;
    if (header->type != MDP_SHM_PADDING) {
      ++shm->next_sequence;
      return MDP_SHM_READ_OK;
    }
  }
  return MDP_SHM_READ_CORRUPT;
}

/* mdp_shm_poll() of all instruments' events, followed or not, into two places of the caller's: a struct
 * mdp_shm_event_header, and room for MDP_SHM_MAX_RECORD_BYTES - 64 bytes of body. Both are aligned to 8, and
 * may have been written to whatever the status. */
MDP_SHM_API int mdp_shm_poll_into(struct mdp_shm_subscriber* shm, void* header_out, void* body_out) {
  return mdp_shm_poll_record(shm, MDP_SHM_NO_SYMBOL, header_out, body_out);
}
/* Of one instrument: passes over the others' events, and of those reads the headers alone. */
MDP_SHM_INLINE int mdp_shm_poll_only(struct mdp_shm_subscriber* shm, uint32_t symbol_id, void* header_out,
                                     void* body_out) {
  const struct mdp_shm_event_header* const header = (const struct mdp_shm_event_header*)header_out;
  for (;;) {
    const int status = mdp_shm_poll_record(shm, symbol_id, header_out, body_out);
    if (status != MDP_SHM_READ_OK || header->symbol_id == symbol_id) return status;
  }
}

MDP_SHM_INLINE int mdp_shm_poll_any(struct mdp_shm_subscriber* shm, struct mdp_shm_event* out) {
  return mdp_shm_poll_into(shm, &out->header, &out->body);
}

/* Copies the next event, its used bytes only: OK, EMPTY, LAPPED, STOPPED, CORRUPT, NOT_ATTACHED. `out` is
 * valid with OK and has then been checked: its level counts fit its size. Types of later versions are
 * delivered too. After mdp_shm_follow(), the next of the followed instrument. */
MDP_SHM_API int mdp_shm_poll(struct mdp_shm_subscriber* shm, struct mdp_shm_event* out) {
  if (shm->followed == MDP_SHM_NO_SYMBOL) return mdp_shm_poll_any(shm, out);
  return mdp_shm_poll_only(shm, shm->followed, &out->header, &out->body);
}

/* Hands up to `max` events of all instruments to `on_event`, with `context`; the event is valid during the
 * call. Returns what ended it (OK: the maximum was reached), and in `events` how many were handed over before
 * that: with LAPPED they are older than the hole. */
MDP_SHM_API int mdp_shm_poll_batch(struct mdp_shm_subscriber* shm, size_t max, size_t* events,
                                   void (*on_event)(const struct mdp_shm_event* event, void* context),
                                   void* context) {
  struct mdp_shm_event event;
  for (*events = 0; *events < max; ++*events) {
    const int status = mdp_shm_poll_any(shm, &event);
    if (status != MDP_SHM_READ_OK) return status;
    on_event(&event, context);
  }
  return MDP_SHM_READ_OK;
}

/* Fills `buffer`, aligned to 8, with whole records, one behind the other: of each the header and its body, in
 * mdp_shm_record_bytes() of it, so that each begins as a struct mdp_shm_event does. They are what
 * mdp_shm_poll() would have given, of the followed instrument or of all. Returns what ended it (OK: less than
 * MDP_SHM_MAX_RECORD_BYTES are left of the buffer; NO_ROOM: it never had them), and in `records` and `bytes`
 * how much is there: with LAPPED it is older than the hole. What a body does not use of its last line is
 * zero. */
MDP_SHM_API int mdp_shm_poll_records(struct mdp_shm_subscriber* shm, void* buffer, size_t size_bytes,
                                     size_t* records, size_t* bytes) {
  *records = *bytes = 0;
  if (size_bytes < MDP_SHM_MAX_RECORD_BYTES) return MDP_SHM_READ_NO_ROOM;
  while (size_bytes - *bytes >= MDP_SHM_MAX_RECORD_BYTES) {
    struct mdp_shm_event* const next = (struct mdp_shm_event*)(void*)((unsigned char*)buffer + *bytes);
    const int status = mdp_shm_poll(shm, next);
    if (status != MDP_SHM_READ_OK) return status;
    *bytes += mdp_shm_record_bytes(&next->header);
    ++*records;
  }
  return MDP_SHM_READ_OK;
}

/* mdp_shm_poll(), but waits while it is EMPTY, in the way `how` (enum mdp_shm_wait_strategy): until there is
 * something else to say, the publisher stopped, died or gave no heartbeat for `heartbeat_limit_ns` (see
 * mdp_shm_publisher_status()), or `timeout_ns` has passed, which is EMPTY. PUBLISHER_STALE is said once: the
 * next mdp_shm_wait() goes on until it is over. */
MDP_SHM_API int mdp_shm_wait(struct mdp_shm_subscriber* shm, struct mdp_shm_event* out, int how,
                             int64_t timeout_ns, int64_t heartbeat_limit_ns) {
  int64_t began = 0, look_ns = INT64_MIN, left_ns = timeout_ns;
  uint64_t idles;
  for (idles = 0;; mdp_shm_rest(shm, how, ++idles, left_ns)) {
    int status = mdp_shm_poll(shm, out);
    int64_t now;
    if (status != MDP_SHM_READ_EMPTY) {
      shm->stale_said = 0;
      return status;
    }
    /* Clocks are read now and then while the waiting is a matter of nanoseconds. */
    if (how < MDP_SHM_SLEEP && idles % MDP_SHM_IDLES_PER_CHECK != 0) continue;
    now = mdp_shm_os_monotonic_ns();
    if (idles == 0) began = now;
    if (now >= look_ns) {
      int said;
      look_ns = now + MDP_SHM_LOOK_INTERVAL_NS;
      status = mdp_shm_check_publisher(shm, heartbeat_limit_ns);
      said = shm->stale_said && status == MDP_SHM_READ_PUBLISHER_STALE;
      shm->stale_said = status == MDP_SHM_READ_PUBLISHER_STALE;
      if (status != MDP_SHM_READ_EMPTY && !said) return status;
    }
    left_ns = timeout_ns - (now - began);
    if (left_ns <= 0) return MDP_SHM_READ_EMPTY;
  }
}

#ifdef __cplusplus
}
#endif
