/* mdp_shm.h: a reader of segments in plain C, for C programs and for languages that bind C.
 *
 * C99 (and C++), nothing but the C library and the operating system; docs/wire-format.md is what it follows,
 * and a test compares every struct here with the C++ one. One thread per `mdp_shm`. Nothing here allocates,
 * and after mdp_shm_open() only mdp_shm_reattach() and mdp_shm_check_publisher() call the operating system.
 *
 *   struct mdp_shm feed;
 *   if (mdp_shm_open(&feed, "mdp") != MDP_SHM_ATTACH_OK) ...
 *   while ((status = mdp_shm_poll(&feed, &event)) == MDP_SHM_READ_OK) ...
 *   mdp_shm_close(&feed);
 *
 * Include it first, or define _POSIX_C_SOURCE as 200809L or more: strict C99 hides shm_open() otherwise.
 *
 * Functions are `static inline`. To make a library of them for another language, define MDP_SHM_API as what
 * its functions are to be declared with (empty is fine), include this in one source file, and build that as a
 * shared library; mdp_shm_size() tells the other language how much room a struct mdp_shm takes.
 *
 * On Windows there is no mdp_shm_open() here yet: map the segment and give it to mdp_shm_attach().
 */
#pragma once

#if !defined(_WIN32) && !defined(_POSIX_C_SOURCE) && !defined(_GNU_SOURCE)
#define _POSIX_C_SOURCE 200809L
#endif

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if !defined(_WIN32)
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#endif

#if defined(_MSC_VER)
#include <intrin.h>
#endif

#if !defined(MDP_SHM_API)
#define MDP_SHM_API static inline
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* ---- layout v1
 * --------------------------------------------------------------------------------------------- */

#define MDP_SHM_MAGIC UINT64_C(0x004D48532D50444D) /* the bytes "MDP-SHM\0" */
#define MDP_SHM_LAYOUT_VERSION 1
#define MDP_SHM_CHECKPOINTS 64
#define MDP_SHM_MAX_EVENT_LEVELS 256
#define MDP_SHM_MAX_RECORD_BYTES 4160
#define MDP_SHM_MAX_LEVELS_PER_SIDE 128
#define MDP_SHM_MIN_RING_BYTES UINT64_C(65536)
#define MDP_SHM_MAX_RING_BYTES (UINT64_C(1) << 40)
#define MDP_SHM_NO_SYMBOL UINT32_C(0xFFFFFFFF)
#define MDP_SHM_MAX_NAME 200

enum mdp_shm_event_type {
  MDP_SHM_PADDING = 0,
  MDP_SHM_BOOK_DELTA = 1, /* levels: bid_count bids, then ask_count asks; absolute quantities, zero removes */
  MDP_SHM_BOOK_SNAPSHOT = 2, /* levels: the whole book (or its top), each side best first */
  MDP_SHM_BBO = 3,
  MDP_SHM_TRADE = 4,
  MDP_SHM_BOOK_STATE = 5, /* bid_count is the state, ask_count the reason */
  MDP_SHM_INSTRUMENT = 6, /* the directory entry of symbol_id was added or changed */
  MDP_SHM_CONNECTION_STATUS = 7
};

enum mdp_shm_flag { /* bits of an event's flags */
                    MDP_SHM_FLAG_FIRST = 1,
                    MDP_SHM_FLAG_LAST = 2,
                    MDP_SHM_FLAG_TOP = 4,
                    MDP_SHM_FLAG_VENUE_QUOTE = 8,
                    MDP_SHM_FLAG_AGGREGATE = 64
};

enum mdp_shm_book_state { MDP_SHM_STALE = 0, MDP_SHM_SYNCING = 1, MDP_SHM_LIVE = 2 };
enum mdp_shm_side { MDP_SHM_SIDE_NONE = 0, MDP_SHM_BUY = 1, MDP_SHM_SELL = 2 };
enum mdp_shm_segment_state { MDP_SHM_STARTING = 0, MDP_SHM_RUNNING = 1, MDP_SHM_STOPPED = 2 };
enum mdp_shm_instrument_status { MDP_SHM_UNUSED = 0, MDP_SHM_ACTIVE = 1, MDP_SHM_REMOVED = 2 };

struct mdp_shm_level {
  int64_t price; /* mantissas: value = mantissa * 10^exponent, with the exponents of the instrument */
  int64_t quantity;
};

struct mdp_shm_event_header {
  uint32_t size_bytes;
  uint8_t type;  /* enum mdp_shm_event_type */
  uint8_t flags; /* enum mdp_shm_flag */
  uint16_t exchange_id;
  uint32_t symbol_id; /* index of the instrument in the directory */
  uint16_t bid_count;
  uint16_t ask_count;
  uint64_t sequence;
  uint64_t update_id;
  uint64_t first_update_id;
  int64_t exch_ts_ns;
  int64_t recv_ts_ns;
  int64_t pub_ts_ns;
};

struct mdp_shm_bbo {
  struct mdp_shm_level bid;
  struct mdp_shm_level ask;
};

struct mdp_shm_trade {
  int64_t price;
  int64_t quantity;
  uint64_t trade_id;
  uint8_t side; /* enum mdp_shm_side */
  uint8_t reserved[7];
};

struct mdp_shm_event {
  struct mdp_shm_event_header header;
  union {
    struct mdp_shm_level levels[MDP_SHM_MAX_EVENT_LEVELS];
    struct mdp_shm_bbo bbo;
    struct mdp_shm_trade trade;
  } body;
};

struct mdp_shm_section {
  uint64_t offset;
  uint64_t size_bytes;
};

struct mdp_shm_info {
  uint64_t magic;
  uint32_t layout_version;
  uint32_t header_size;
  uint64_t total_size;
  uint64_t generation; /* differs at every start of a publisher */
  int64_t start_ts_ns;
  uint32_t publisher_pid;
  uint32_t reserved0;
  uint64_t reserved1[2];
  struct mdp_shm_section venues;
  struct mdp_shm_section instruments;
  struct mdp_shm_section table;
  struct mdp_shm_section ring;
  uint32_t venue_stride;
  uint32_t venue_capacity;
  uint32_t instrument_stride;
  uint32_t instrument_capacity;
  uint32_t table_stride;
  uint32_t levels_per_side;
  uint32_t checkpoint_count;
  uint32_t max_record_bytes;
  uint64_t reserved2[4];
};

struct mdp_shm_header { /* as it lies in the segment: words, each loaded whole */
  struct mdp_shm_info info;
  uint64_t state;
  uint64_t venue_count;
  uint64_t instrument_count;
  uint64_t reserved0[5];
  uint64_t heartbeat_ns;
  uint64_t reserved1[7];
  uint64_t reserve;
  uint64_t reserved2[7];
  uint64_t next_sequence;
  uint64_t cursor;
  uint64_t event_count;
  uint64_t reserved3[13];
  uint64_t checkpoints[MDP_SHM_CHECKPOINTS];
};

struct mdp_shm_venue {
  uint64_t seq;
  uint16_t exchange_id;
  uint16_t reserved0;
  uint32_t reserved1;
  char name[48];
};

struct mdp_shm_instrument {
  uint64_t seq;
  uint32_t symbol_id;
  uint16_t exchange_id;
  int8_t price_exponent;
  int8_t quantity_exponent;
  int64_t tick_size;
  int64_t lot_size;
  uint8_t status; /* enum mdp_shm_instrument_status */
  uint8_t kind;   /* 0 spot, 1 perpetual, 2 future, 3 option */
  int8_t contract_exponent;
  uint8_t reserved0[5];
  int64_t contract_size;
  int64_t expiry_ns;
  uint64_t reserved1;
  char
      venue_symbol[48]; /* texts are padded with NUL; one that fills its field has none: print with "%.48s" */
  char base[16];
  char canonical_symbol[64];
  char quote[16];
  char settle[16];
  char venue_status[16];
  uint64_t reserved2[2];
};

struct mdp_shm_book_entry {
  uint64_t seq;
  uint8_t state;  /* enum mdp_shm_book_state */
  uint8_t reason; /* of the state, see docs/wire-format.md */
  uint16_t reserved;
  uint16_t bid_count;
  uint16_t ask_count;
  uint64_t update_id;
  int64_t exch_ts_ns;
  int64_t recv_ts_ns;
  int64_t pub_ts_ns;
  uint64_t ring_position;
  uint64_t next_sequence;
};

/* ---- what the functions say
 * -------------------------------------------------------------------------------- */

enum mdp_shm_attach_status {
  MDP_SHM_ATTACH_OK = 0,
  MDP_SHM_ATTACH_BAD_NAME = 1,
  MDP_SHM_ATTACH_NOT_FOUND = 2,
  MDP_SHM_ATTACH_NO_PERMISSION = 3,
  MDP_SHM_ATTACH_NOT_READY = 4, /* the publisher is still formatting it: try again */
  MDP_SHM_ATTACH_NOT_A_SEGMENT = 5,
  MDP_SHM_ATTACH_WRONG_VERSION = 6,
  MDP_SHM_ATTACH_CORRUPT = 7,
  MDP_SHM_ATTACH_SYSTEM_ERROR = 8 /* errno says why */
};

enum mdp_shm_read_status {
  MDP_SHM_READ_OK = 0,
  MDP_SHM_READ_EMPTY = 1,
  MDP_SHM_READ_LAPPED = 2,         /* lost_events and lost_bytes say how much; poll again to go on */
  MDP_SHM_READ_STOPPED = 3,        /* the publisher stopped in order and all it published was read */
  MDP_SHM_READ_PUBLISHER_DEAD = 4, /* mdp_shm_check_publisher() only */
  MDP_SHM_READ_CORRUPT = 5,        /* what stands in the ring is no record; the reader stays where it is */
  MDP_SHM_READ_NOT_ATTACHED = 6,
  MDP_SHM_READ_PUBLISHER_STALE = 7 /* mdp_shm_check_publisher() only: silent, but its process is there */
};

enum mdp_shm_book_status {
  MDP_SHM_BOOK_OK = 0, /* whether the book is usable is its `state` */
  MDP_SHM_BOOK_NO_INSTRUMENT = 1,
  MDP_SHM_BOOK_BUSY = 2, /* the publisher is in the entry: it lost its core (try again), or died there */
  MDP_SHM_BOOK_CORRUPT = 3
};

/* A reader. Fields up to `laps` may be read, none may be written. */
struct mdp_shm {
  const unsigned char* base; /* NULL: closed */
  size_t size_bytes;         /* of the mapping; 0: the memory is the caller's (mdp_shm_attach) */
  struct mdp_shm_info info;  /* the checked copy */
  uint64_t position;         /* where the next poll reads */
  uint64_t next_sequence;    /* of the event there */
  uint64_t lost_events;      /* of the last lap */
  uint64_t lost_bytes;
  uint64_t total_lost_events;
  uint64_t laps;
  int sequence_known;
  uint64_t device; /* with inode: tells one segment from another of the same name */
  uint64_t inode;
  char name[MDP_SHM_MAX_NAME + 2]; /* with the slash shm_open() wants */
};

/* ---- shared words
 * ------------------------------------------------------------------------------------------ */

/* acquire: no later load is moved before this one. Pairs with the publisher's release stores. */
static inline uint64_t mdp_shm_load(const void* address) {
#if defined(_MSC_VER) && !defined(__clang__)
  /* An aligned 64-bit load is atomic on x64 and ordered by the processor; the barrier is for the compiler. */
  const uint64_t value = *(const volatile uint64_t*)address;
  _ReadWriteBarrier();
  return value;
#else
  return __atomic_load_n((const uint64_t*)address, __ATOMIC_ACQUIRE);
#endif
}

/* Copies `bytes`, a multiple of 8. */
static inline void mdp_shm_load_words(void* to, const void* from, size_t bytes) {
  size_t i;
  for (i = 0; i < bytes; i += 8) {
    const uint64_t value = mdp_shm_load((const unsigned char*)from + i);
    memcpy((unsigned char*)to + i, &value, sizeof(value));
  }
}

static inline const struct mdp_shm_header* mdp_shm_mapped_header(const struct mdp_shm* shm) {
  return (const struct mdp_shm_header*)(const void*)shm->base;
}
static inline uint64_t mdp_shm_cursor(const struct mdp_shm* shm) {
  return mdp_shm_load(&mdp_shm_mapped_header(shm)->cursor);
}
static inline const unsigned char* mdp_shm_at(const struct mdp_shm* shm, uint64_t position) {
  return shm->base + shm->info.ring.offset + (position & (shm->info.ring.size_bytes - 1));
}
/* Whether the publisher may have overwritten what lies at `position`. Call after copying from there. */
static inline int mdp_shm_overwritten(const struct mdp_shm* shm, uint64_t position) {
  return mdp_shm_load(&mdp_shm_mapped_header(shm)->reserve) - position > shm->info.ring.size_bytes;
}
/* Whether `a` is at or behind `b`; positions may wrap around 2^64. */
static inline int mdp_shm_reached(uint64_t a, uint64_t b) { return a - b < (UINT64_C(1) << 63); }

/* ---- opening
 * ----------------------------------------------------------------------------------------------- */

/* Room for a struct mdp_shm, for languages that cannot include this. */
MDP_SHM_API size_t mdp_shm_size(void) { return sizeof(struct mdp_shm); }

static inline int mdp_shm_section_fits(const struct mdp_shm_info* info, const struct mdp_shm_section* section,
                                       uint32_t stride, uint32_t capacity) {
  /* Compared with what is left behind the offset, so that nothing can overflow. */
  return section->offset % 64 == 0 && section->offset >= info->header_size &&
         section->offset <= info->total_size && section->size_bytes <= info->total_size - section->offset &&
         (uint64_t)stride * capacity <= section->size_bytes;
}

static inline int mdp_shm_info_valid(const struct mdp_shm_info* info, uint64_t size_bytes) {
  const uint64_t ring = info->ring.size_bytes;
  return info->total_size <= size_bytes && info->header_size >= sizeof(struct mdp_shm_header) &&
         info->header_size <= info->total_size &&
         mdp_shm_section_fits(info, &info->venues, info->venue_stride, info->venue_capacity) &&
         mdp_shm_section_fits(info, &info->instruments, info->instrument_stride, info->instrument_capacity) &&
         mdp_shm_section_fits(info, &info->table, info->table_stride, info->instrument_capacity) &&
         mdp_shm_section_fits(info, &info->ring, 0, 0) && info->venue_stride % 64 == 0 &&
         info->venue_stride >= sizeof(struct mdp_shm_venue) && info->instrument_stride % 64 == 0 &&
         info->instrument_stride >= sizeof(struct mdp_shm_instrument) && info->levels_per_side >= 1 &&
         info->levels_per_side <= MDP_SHM_MAX_LEVELS_PER_SIDE && info->table_stride % 64 == 0 &&
         info->table_stride >= 64 + 32 * (uint64_t)info->levels_per_side && (ring & (ring - 1)) == 0 &&
         ring >= MDP_SHM_MIN_RING_BYTES && ring <= MDP_SHM_MAX_RING_BYTES &&
         info->checkpoint_count == MDP_SHM_CHECKPOINTS &&
         info->max_record_bytes >= sizeof(struct mdp_shm_event_header) &&
         info->max_record_bytes <= MDP_SHM_MAX_RECORD_BYTES;
}

/* Begins behind the last event, and learns its number if the two words are caught belonging together. */
MDP_SHM_API void mdp_shm_start_newest(struct mdp_shm* shm) {
  const struct mdp_shm_header* header = mdp_shm_mapped_header(shm);
  int attempt;
  if (shm->base == NULL) return;
  for (attempt = 0; attempt < 1000; ++attempt) {
    const uint64_t count = mdp_shm_load(&header->event_count);
    shm->position = mdp_shm_cursor(shm);
    shm->next_sequence = mdp_shm_load(&header->next_sequence);
    shm->sequence_known = shm->next_sequence == count;
    if (shm->sequence_known) return;
  }
}

/* Begins at the event number `next_sequence` at `ring_position`, both from a book entry. */
MDP_SHM_API void mdp_shm_start_at(struct mdp_shm* shm, uint64_t ring_position, uint64_t next_sequence) {
  shm->position = ring_position;
  shm->next_sequence = next_sequence;
  shm->sequence_known = 1;
}

/* The first of `count` checkpoints, from segment `first` on, whose record is whole and not within `margin`
 * bytes of being overwritten. */
static inline int mdp_shm_checkpoint_from(const struct mdp_shm* shm, uint64_t first, uint32_t count,
                                          uint64_t margin, uint64_t* position, uint64_t* sequence) {
  const uint64_t ring = shm->info.ring.size_bytes;
  uint32_t i;
  for (i = 0; i < count; ++i) {
    const uint64_t index = (first + i) % MDP_SHM_CHECKPOINTS;
    const uint64_t candidate = mdp_shm_load(&mdp_shm_mapped_header(shm)->checkpoints[index]);
    const uint64_t end = mdp_shm_cursor(shm);
    struct mdp_shm_event_header header;
    if (candidate % 64 != 0 || candidate == end || end - candidate > ring ||
        (candidate & (ring - 1)) / (ring / MDP_SHM_CHECKPOINTS) != index) {
      continue; /* stale, not written yet, or nonsense */
    }
    mdp_shm_load_words(&header, mdp_shm_at(shm, candidate), sizeof(header));
    if (mdp_shm_overwritten(shm, candidate - margin)) continue;
    *position = candidate;
    *sequence = header.sequence;
    return 1;
  }
  return 0;
}

/* Begins at the oldest event that is not about to be overwritten. */
MDP_SHM_API void mdp_shm_start_oldest(struct mdp_shm* shm) {
  uint64_t segment, position, sequence;
  mdp_shm_start_newest(shm);
  if (shm->base == NULL) return;
  segment = shm->info.ring.size_bytes / MDP_SHM_CHECKPOINTS;
  if (mdp_shm_checkpoint_from(shm, (shm->position & (shm->info.ring.size_bytes - 1)) / segment + 1,
                              MDP_SHM_CHECKPOINTS, 2 * segment, &position, &sequence)) {
    mdp_shm_start_at(shm, position, sequence);
  }
}

/* Checks the segment in [base, base + size_bytes), which is aligned to 64 and outlives the reader, and begins
 * to read behind its last event. On any status but OK the reader is closed. */
MDP_SHM_API int mdp_shm_attach(struct mdp_shm* shm, const void* base, size_t size_bytes) {
  uint64_t magic;
  memset(shm, 0, sizeof(*shm));
  if (base == NULL || size_bytes < sizeof(struct mdp_shm_header)) return MDP_SHM_ATTACH_NOT_READY;
  magic = mdp_shm_load(base);
  if (magic == 0) return MDP_SHM_ATTACH_NOT_READY;
  if (magic != MDP_SHM_MAGIC) return MDP_SHM_ATTACH_NOT_A_SEGMENT;
  mdp_shm_load_words(&shm->info, base, sizeof(shm->info));
  if (shm->info.layout_version != MDP_SHM_LAYOUT_VERSION) return MDP_SHM_ATTACH_WRONG_VERSION;
  if (!mdp_shm_info_valid(&shm->info, size_bytes)) return MDP_SHM_ATTACH_CORRUPT;
  shm->base = (const unsigned char*)base;
  mdp_shm_start_newest(shm);
  return MDP_SHM_ATTACH_OK;
}

#if !defined(_WIN32)

/* "/NAME" into `path`. 0: not a segment name. */
static inline int mdp_shm_path(char path[MDP_SHM_MAX_NAME + 2], const char* name) {
  size_t i;
  for (i = 0; name[i] != '\0'; ++i) {
    const char c = name[i];
    const int good = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
                     c == '_' || c == '-';
    if (i == MDP_SHM_MAX_NAME || !good) return 0;
    path[i + 1] = c;
  }
  path[0] = '/';
  path[i + 1] = '\0';
  return i > 0 && name[0] != '.';
}

static inline int mdp_shm_status_of_errno(void) {
  if (errno == ENOENT) return MDP_SHM_ATTACH_NOT_FOUND;
  return errno == EACCES || errno == EPERM ? MDP_SHM_ATTACH_NO_PERMISSION : MDP_SHM_ATTACH_SYSTEM_ERROR;
}

MDP_SHM_API void mdp_shm_close(struct mdp_shm* shm) {
  /* munmap() takes a pointer to mutable memory although it changes none. */
  if (shm->base != NULL && shm->size_bytes != 0) munmap((void*)(uintptr_t)shm->base, shm->size_bytes);
  shm->base = NULL;
  shm->size_bytes = 0;
}

/* Maps the segment `name` and begins to read behind its last event (mdp_shm_start_oldest() and mdp_shm_join()
 * go elsewhere). On any status but OK the reader is closed. `shm` need not be initialized; one that is open
 * has to be closed first. */
MDP_SHM_API int mdp_shm_open(struct mdp_shm* shm, const char* name) {
  char path[MDP_SHM_MAX_NAME + 2];
  struct stat info;
  void* base;
  size_t size_bytes;
  int fd, status;
  memset(shm, 0, sizeof(*shm));
  if (!mdp_shm_path(path, name)) return MDP_SHM_ATTACH_BAD_NAME;
  fd = shm_open(path, O_RDONLY | O_CLOEXEC, 0);
  if (fd < 0) return mdp_shm_status_of_errno();
  if (fstat(fd, &info) != 0) {
    status = mdp_shm_status_of_errno();
    close(fd);
    return status;
  }
  size_bytes = info.st_size > 0 ? (size_t)info.st_size : 0;
  if (size_bytes < sizeof(struct mdp_shm_header)) {
    close(fd);
    return MDP_SHM_ATTACH_NOT_READY;
  }
  base = mmap(NULL, size_bytes, PROT_READ, MAP_SHARED, fd, 0);
  status = base == MAP_FAILED ? mdp_shm_status_of_errno() : MDP_SHM_ATTACH_OK;
  close(fd);
  if (status != MDP_SHM_ATTACH_OK) return status;
  status = mdp_shm_attach(shm, base, size_bytes);
  if (status != MDP_SHM_ATTACH_OK) {
    munmap(base, size_bytes);
    return status;
  }
  shm->size_bytes = size_bytes;
  shm->device = (uint64_t)info.st_dev;
  shm->inode = (uint64_t)info.st_ino;
  memcpy(shm->name, path, sizeof(path));
  return MDP_SHM_ATTACH_OK;
}

/* After STOPPED or PUBLISHER_DEAD: if the publisher was started again under the same name, maps its new
 * segment and begins at its oldest event. OK: done, look symbol_ids up again. Anything else: the new one is
 * not there yet, and the old mapping stays. */
MDP_SHM_API int mdp_shm_reattach(struct mdp_shm* shm) {
  struct mdp_shm fresh;
  int status;
  if (shm->base == NULL || shm->size_bytes == 0) return MDP_SHM_ATTACH_NOT_FOUND;
  status = mdp_shm_open(&fresh, shm->name + 1);
  if (status != MDP_SHM_ATTACH_OK) return status;
  if (fresh.device == shm->device && fresh.inode == shm->inode) {
    mdp_shm_close(&fresh);
    return MDP_SHM_ATTACH_NOT_FOUND;
  }
  mdp_shm_close(shm);
  mdp_shm_start_oldest(&fresh);
  *shm = fresh;
  return MDP_SHM_ATTACH_OK;
}

/* For when a poll is EMPTY: EMPTY (the publisher is alive, or left events to read), STOPPED, PUBLISHER_DEAD,
 * PUBLISHER_STALE (no heartbeat for longer than the limit, but its process exists), NOT_ATTACHED. */
MDP_SHM_API int mdp_shm_check_publisher(const struct mdp_shm* shm, int64_t heartbeat_limit_ns) {
  const struct mdp_shm_header* header = mdp_shm_mapped_header(shm);
  int status = MDP_SHM_READ_EMPTY;
  struct timespec now;
  if (shm->base == NULL) return MDP_SHM_READ_NOT_ATTACHED;
  clock_gettime(CLOCK_REALTIME, &now);
  if (mdp_shm_load(&header->state) == MDP_SHM_STOPPED) {
    status = MDP_SHM_READ_STOPPED;
  } else if ((int64_t)now.tv_sec * 1000000000 + now.tv_nsec - (int64_t)mdp_shm_load(&header->heartbeat_ns) >
             heartbeat_limit_ns) {
    const int exists = kill((pid_t)shm->info.publisher_pid, 0) == 0 || errno == EPERM;
    status = exists ? MDP_SHM_READ_PUBLISHER_STALE : MDP_SHM_READ_PUBLISHER_DEAD;
  }
  /* Looked at last: what it published before it ended is still to be read. */
  return mdp_shm_cursor(shm) == shm->position ? status : MDP_SHM_READ_EMPTY;
}

#endif /* !_WIN32 */

/* ---- directory and book table
 * ------------------------------------------------------------------------------- */

#define MDP_SHM_SEQLOCK_ATTEMPTS 4096

/* Copies an entry of `bytes`. 0: the publisher was inside at every attempt. */
static inline int mdp_shm_read_entry(const unsigned char* from, void* to, size_t bytes) {
  int i;
  for (i = 0; i < MDP_SHM_SEQLOCK_ATTEMPTS; ++i) {
    const uint64_t before = mdp_shm_load(from);
    if (before & 1) continue;
    mdp_shm_load_words(to, from, bytes);
    if (mdp_shm_load(from) == before) return 1;
  }
  return 0;
}

static inline uint32_t mdp_shm_count(const uint64_t* word, uint32_t capacity) {
  const uint64_t count = mdp_shm_load(word); /* the publisher's word; the capacity is what was checked */
  return count < capacity ? (uint32_t)count : capacity;
}

/* One more than the highest symbol_id in use. */
MDP_SHM_API uint32_t mdp_shm_instrument_count(const struct mdp_shm* shm) {
  if (shm->base == NULL) return 0;
  return mdp_shm_count(&mdp_shm_mapped_header(shm)->instrument_count, shm->info.instrument_capacity);
}

MDP_SHM_API uint32_t mdp_shm_venue_count(const struct mdp_shm* shm) {
  if (shm->base == NULL) return 0;
  return mdp_shm_count(&mdp_shm_mapped_header(shm)->venue_count, shm->info.venue_capacity);
}

/* Copies one entry. 0: there is none at that index. */
MDP_SHM_API int mdp_shm_get_venue(const struct mdp_shm* shm, uint32_t index, struct mdp_shm_venue* out) {
  return index < mdp_shm_venue_count(shm) &&
         mdp_shm_read_entry(shm->base + shm->info.venues.offset + (uint64_t)shm->info.venue_stride * index,
                            out, sizeof(*out));
}

MDP_SHM_API int mdp_shm_get_instrument(const struct mdp_shm* shm, uint32_t symbol_id,
                                       struct mdp_shm_instrument* out) {
  return symbol_id < mdp_shm_instrument_count(shm) &&
         mdp_shm_read_entry(
             shm->base + shm->info.instruments.offset + (uint64_t)shm->info.instrument_stride * symbol_id,
             out, sizeof(*out)) &&
         out->status != MDP_SHM_UNUSED;
}

static inline int mdp_shm_text_is(const char* field, size_t size, const char* text) {
  const size_t length = strlen(text);
  return length <= size && memcmp(field, text, length) == 0 && (length == size || field[length] == '\0');
}

/* Finds the active instrument whose canonical symbol is `symbol`, else the first whose venue symbol is. 0:
 * none. Walks the directory: look up once and keep the symbol_id. */
MDP_SHM_API int mdp_shm_find(const struct mdp_shm* shm, const char* symbol, struct mdp_shm_instrument* out) {
  const uint32_t count = mdp_shm_instrument_count(shm);
  struct mdp_shm_instrument entry;
  int by_venue_symbol = 0;
  uint32_t id;
  for (id = 0; id < count; ++id) {
    if (!mdp_shm_get_instrument(shm, id, &entry) || entry.status != MDP_SHM_ACTIVE) continue;
    if (mdp_shm_text_is(entry.canonical_symbol, sizeof(entry.canonical_symbol), symbol)) {
      *out = entry;
      return 1;
    }
    if (!by_venue_symbol && mdp_shm_text_is(entry.venue_symbol, sizeof(entry.venue_symbol), symbol)) {
      *out = entry;
      by_venue_symbol = 1;
    }
  }
  return by_venue_symbol;
}

/* Copies the entry, and the best `max_levels` of each side to arrays of at least that many, best first. The
 * entry's bid_count and ask_count are then what was copied. */
MDP_SHM_API int mdp_shm_read_book(const struct mdp_shm* shm, uint32_t symbol_id,
                                  struct mdp_shm_book_entry* entry, struct mdp_shm_level* bids,
                                  struct mdp_shm_level* asks, uint32_t max_levels) {
  const unsigned char* from;
  uint32_t capacity, limit, bid_count, ask_count;
  int i;
  if (shm->base == NULL || symbol_id >= shm->info.instrument_capacity) return MDP_SHM_BOOK_NO_INSTRUMENT;
  from = shm->base + shm->info.table.offset + (uint64_t)shm->info.table_stride * symbol_id;
  capacity = shm->info.levels_per_side;
  limit = max_levels < capacity ? max_levels : capacity;
  for (i = 0; i < MDP_SHM_SEQLOCK_ATTEMPTS; ++i) {
    const uint64_t before = mdp_shm_load(from);
    if (before & 1) continue;
    mdp_shm_load_words(entry, from, sizeof(*entry));
    /* Counts may be torn here: they are bounded before they are followed. */
    bid_count = entry->bid_count < limit ? entry->bid_count : limit;
    ask_count = entry->ask_count < limit ? entry->ask_count : limit;
    mdp_shm_load_words(bids, from + sizeof(*entry), sizeof(*bids) * bid_count);
    mdp_shm_load_words(asks, from + sizeof(*entry) + sizeof(*asks) * capacity, sizeof(*asks) * ask_count);
    if (mdp_shm_load(from) != before) continue;
    if (entry->bid_count > capacity || entry->ask_count > capacity) return MDP_SHM_BOOK_CORRUPT;
    entry->bid_count = (uint16_t)bid_count;
    entry->ask_count = (uint16_t)ask_count;
    return MDP_SHM_BOOK_OK;
  }
  return MDP_SHM_BOOK_BUSY;
}

/* Late join: mdp_shm_read_book(), and the next events of this instrument are exactly those not in it. */
MDP_SHM_API int mdp_shm_join(struct mdp_shm* shm, uint32_t symbol_id, struct mdp_shm_book_entry* entry,
                             struct mdp_shm_level* bids, struct mdp_shm_level* asks, uint32_t max_levels) {
  const int status = mdp_shm_read_book(shm, symbol_id, entry, bids, asks, max_levels);
  if (status == MDP_SHM_BOOK_OK) mdp_shm_start_at(shm, entry->ring_position, entry->next_sequence);
  return status;
}

/* ---- ring
 * --------------------------------------------------------------------------------------------------- */

/* Bytes published and not yet read. */
MDP_SHM_API uint64_t mdp_shm_lag_bytes(const struct mdp_shm* shm) {
  return shm->base == NULL ? 0 : mdp_shm_cursor(shm) - shm->position;
}

/* Lapped: goes on about half a ring behind the cursor. Nothing found there: the next poll tries again. */
static inline int mdp_shm_resume(struct mdp_shm* shm) {
  const uint64_t ring = shm->info.ring.size_bytes;
  const uint64_t half_back = (mdp_shm_cursor(shm) - ring / 2) & (ring - 1);
  uint64_t position, sequence;
  shm->lost_events = 0;
  shm->lost_bytes = 0;
  if (!mdp_shm_checkpoint_from(shm, half_back / (ring / MDP_SHM_CHECKPOINTS), MDP_SHM_CHECKPOINTS / 2, 0,
                               &position, &sequence)) {
    return MDP_SHM_READ_LAPPED;
  }
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

static inline int mdp_shm_body_fits(const struct mdp_shm_event_header* header) {
  const size_t body = header->size_bytes - sizeof(*header);
  switch (header->type) {
    case MDP_SHM_BOOK_DELTA:
    case MDP_SHM_BOOK_SNAPSHOT:
      return ((size_t)header->bid_count + header->ask_count) * sizeof(struct mdp_shm_level) <= body;
    case MDP_SHM_BBO:
      return sizeof(struct mdp_shm_bbo) <= body;
    case MDP_SHM_TRADE:
      return sizeof(struct mdp_shm_trade) <= body;
    default:
      return 1;
  }
}

/* Copies the next event, its used bytes only: OK, EMPTY, LAPPED, STOPPED, CORRUPT, NOT_ATTACHED. `out` is
 * valid with OK and has then been checked: its level counts fit its size. Types of later versions are
 * delivered too. */
MDP_SHM_API int mdp_shm_poll(struct mdp_shm* shm, struct mdp_shm_event* out) {
  const uint64_t ring = shm->info.ring.size_bytes;
  struct mdp_shm_event_header* header = &out->header;
  int records;
  if (shm->base == NULL) return MDP_SHM_READ_NOT_ATTACHED;
  /* Twice at most: a padding record fills the end of the ring, and a record follows it. */
  for (records = 0; records < 2; ++records) {
    const uint64_t end = mdp_shm_cursor(shm);
    const uint64_t to_end = ring - (shm->position & (ring - 1));
    if (end == shm->position) {
      if (mdp_shm_load(&mdp_shm_mapped_header(shm)->state) != MDP_SHM_STOPPED) return MDP_SHM_READ_EMPTY;
      return mdp_shm_cursor(shm) == shm->position ? MDP_SHM_READ_STOPPED : MDP_SHM_READ_EMPTY;
    }
    if (!mdp_shm_reached(end, shm->position) || shm->position % 64 != 0) return MDP_SHM_READ_CORRUPT;
    if (end - shm->position > ring) return mdp_shm_resume(shm);

    mdp_shm_load_words(header, mdp_shm_at(shm, shm->position), sizeof(*header));
    if (header->size_bytes < sizeof(*header) || header->size_bytes % 64 != 0 ||
        header->size_bytes > MDP_SHM_MAX_RECORD_BYTES || header->size_bytes > to_end ||
        header->size_bytes > end - shm->position) {
      return mdp_shm_overwritten(shm, shm->position) ? mdp_shm_resume(shm) : MDP_SHM_READ_CORRUPT;
    }
    if (header->type != MDP_SHM_PADDING) {
      mdp_shm_load_words(&out->body, mdp_shm_at(shm, shm->position) + sizeof(*header),
                         header->size_bytes - sizeof(*header));
    }
    if (mdp_shm_overwritten(shm, shm->position)) return mdp_shm_resume(shm);

    if (shm->sequence_known && header->sequence != shm->next_sequence) return MDP_SHM_READ_CORRUPT;
    if (header->type != MDP_SHM_PADDING && !mdp_shm_body_fits(header)) return MDP_SHM_READ_CORRUPT;
    shm->sequence_known = 1;
    shm->next_sequence = header->sequence;
    shm->position += header->size_bytes;
    if (header->type != MDP_SHM_PADDING) {
      ++shm->next_sequence;
      return MDP_SHM_READ_OK;
    }
  }
  return MDP_SHM_READ_CORRUPT;
}

/* ---- texts
 * -------------------------------------------------------------------------------------------------- */

#define MDP_SHM_DECIMAL_SIZE 160

/* Writes mantissa * 10^exponent (an instrument's: -128 to 127) as exact decimal text without trailing zeros,
 * and returns `out`. */
MDP_SHM_API const char* mdp_shm_decimal(char out[MDP_SHM_DECIMAL_SIZE], int64_t mantissa, int8_t exponent) {
  uint64_t left = mantissa < 0 ? ~(uint64_t)mantissa + 1 : (uint64_t)mantissa;
  int point = exponent;
  char digits[20];
  int count = 0;
  char* to = out;
  if (left == 0) return (const char*)memcpy(out, "0", 2);
  while (point < 0 && left % 10 == 0) { /* what these zeros say, the exponent can say */
    left /= 10;
    ++point;
  }
  for (; left != 0; left /= 10) digits[count++] = (char)('0' + left % 10);
  if (mantissa < 0) *to++ = '-';
  if (count + point <= 0) {
    *to++ = '0';
    *to++ = '.';
    for (; count + point < 0; ++point) *to++ = '0';
    while (count > 0) *to++ = digits[--count];
  } else {
    for (; count > 0; --count) {
      if (count + point == 0) *to++ = '.';
      *to++ = digits[count - 1];
    }
    for (; point > 0; --point) *to++ = '0';
  }
  *to = '\0';
  return out;
}

MDP_SHM_API const char* mdp_shm_attach_text(int status) {
  static const char* const texts[] = {"ok",
                                      "bad segment name",
                                      "no such segment: is the publisher running?",
                                      "no permission to read the segment: join its group",
                                      "the segment is not ready: its publisher is starting",
                                      "not a market data segment: no magic",
                                      "the segment has another layout version than this reader",
                                      "the segment's header is corrupt",
                                      "the operating system refused to map the segment"};
  return status >= 0 && status <= MDP_SHM_ATTACH_SYSTEM_ERROR ? texts[status] : "unknown";
}

#ifdef __cplusplus
}
#endif
