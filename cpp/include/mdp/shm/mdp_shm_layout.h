/* mdp_shm_layout.h: what lies in a segment, layout v1, and the records of its ring, as C structs.
 *
 * Included by mdp_shm.h. C99 (and C++), no functions. docs/wire-format.md draws it byte by byte, and a test
 * compares every struct here with the C++ one. Names are those of C++ spelled in C: TradeBody is
 * struct mdp_shm_trade_body, EventType::Trade is MDP_SHM_TRADE.
 */
#pragma once

#include <stdint.h>

/* Of a struct that is read into the caller's own of another name (EventHeader of event.hpp): a compiler that
 * goes by types is told so. */
#if defined(__GNUC__) || defined(__clang__)
#define MDP_SHM_MAY_ALIAS __attribute__((may_alias))
#else
#define MDP_SHM_MAY_ALIAS
#endif

/* How functions of these headers are declared: in C each file has its own, in C++ the program has one, which
 * the inline functions of the C++ headers may then call. MDP_SHM_API is of those that a shared library would
 * export. */
#ifdef __cplusplus
#define MDP_SHM_INLINE inline
#else
#define MDP_SHM_INLINE static inline
#endif
#if !defined(MDP_SHM_API)
#define MDP_SHM_API MDP_SHM_INLINE
#endif
/* Of what has one caller for each way it is used, and is specialized for it. */
#if defined(__GNUC__) || defined(__clang__)
#define MDP_SHM_ALWAYS_INLINE MDP_SHM_INLINE __attribute__((always_inline))
#else
#define MDP_SHM_ALWAYS_INLINE MDP_SHM_INLINE
#endif

#ifdef __cplusplus
extern "C" {
#endif

#define MDP_SHM_MAGIC UINT64_C(0x004D48532D50444D) /* the bytes "MDP-SHM\0" */
#define MDP_SHM_LAYOUT_VERSION 1
#define MDP_SHM_MINOR_VERSION 0
/* Bits of required_features that this reader understands. A segment with others is refused. */
#define MDP_SHM_KNOWN_REQUIRED_FEATURES UINT64_C(0)
/* Bits of optional_features: what a reader may use, or leave. */
#define MDP_SHM_FEATURE_CHECKSUM UINT64_C(1) /* book updates carry MDP_SHM_FLAG_CHECKSUM */
#define MDP_SHM_FEATURE_REFRESH UINT64_C(2)  /* whole books come again, see refresh_position */
#define MDP_SHM_FEATURE_BELL UINT64_C(4)     /* bell_id leads to a doorbell */
#define MDP_SHM_MAX_EVENT_LEVELS 256         /* room in struct mdp_shm_event; a record has at most one less */
#define MDP_SHM_MAX_RECORD_BYTES 4160
#define MDP_SHM_MAX_LEVELS_PER_SIDE 128
#define MDP_SHM_MIN_RING_BYTES UINT64_C(65536)
#define MDP_SHM_MAX_RING_BYTES (UINT64_C(1) << 40)
#define MDP_SHM_NO_SYMBOL UINT32_C(0xFFFFFFFF)
#define MDP_SHM_NO_POSITION UINT64_MAX /* of a checkpoint or a refresh: there is none */

/* What an event is, and which member of its body is there. */
enum mdp_shm_event_type {
  MDP_SHM_PADDING = 0,           /* fills the end of the ring; mdp_shm_poll() does not deliver it */
  MDP_SHM_BOOK_DELTA = 1,        /* levels: the changed ones, bid_count bids, then ask_count asks */
  MDP_SHM_BOOK_SNAPSHOT = 2,     /* levels: the whole book (or its top), each side best first */
  MDP_SHM_BBO = 3,               /* bbo */
  MDP_SHM_TRADE = 4,             /* trade */
  MDP_SHM_BOOK_STATE = 5,        /* book_state */
  MDP_SHM_INSTRUMENT = 6,        /* none: the directory entry of symbol_id was added, changed or removed */
  MDP_SHM_CONNECTION_STATUS = 7, /* connection_status; symbol_id is MDP_SHM_NO_SYMBOL */
  MDP_SHM_MARK_PRICE = 8,        /* mark_price */
  MDP_SHM_LIQUIDATION = 9        /* liquidation */
};

/* Bits of an event's flags. A book update larger than one record is split: apply it when LAST is there. The
 * four highest are private to whoever writes the segment, as are types from 0x8000 on. */
enum mdp_shm_event_flag {
  MDP_SHM_FLAG_FIRST = 1,
  MDP_SHM_FLAG_LAST = 2,
  MDP_SHM_FLAG_TOP = 4,          /* BOOK_SNAPSHOT: the best levels only, no news to who follows the deltas */
  MDP_SHM_FLAG_REFRESH = 8,      /* BOOK_SNAPSHOT: a LIVE book again, whole; no news to who has it */
  MDP_SHM_FLAG_CHECKSUM = 16,    /* BOOK_DELTA, BOOK_SNAPSHOT: a u64 checksum stands behind the levels */
  MDP_SHM_FLAG_VENUE_QUOTE = 32, /* BBO: the venue's own, not that of the book */
  MDP_SHM_FLAG_AGGREGATE = 64    /* TRADE: several fills of one order */
};

/* STALE and SYNCING: not usable. LIVE: right, up to update_id. */
enum mdp_shm_book_state { MDP_SHM_STALE = 0, MDP_SHM_SYNCING = 1, MDP_SHM_LIVE = 2 };

/* Why a book is in its state; event.hpp says more of each. */
enum mdp_shm_state_reason {
  MDP_SHM_REASON_NONE = 0,
  MDP_SHM_REASON_STARTING = 1,
  MDP_SHM_REASON_SUBSCRIBED = 2,
  MDP_SHM_REASON_SYNCED = 3,
  MDP_SHM_REASON_GAP = 4,
  MDP_SHM_REASON_DISCONNECTED = 5,
  MDP_SHM_REASON_PARSE_ERROR = 6,
  MDP_SHM_REASON_CROSSED = 7,
  MDP_SHM_REASON_BUFFER_OVERFLOW = 8,
  MDP_SHM_REASON_SNAPSHOT_TOO_OLD = 9,
  MDP_SHM_REASON_SNAPSHOT_FAILED = 10,
  MDP_SHM_REASON_REQUESTED = 11,
  MDP_SHM_REASON_UNSUBSCRIBED = 12,
  MDP_SHM_REASON_CHECKSUM_MISMATCH = 13,
  MDP_SHM_REASON_AUDIT_MISMATCH = 14,
  MDP_SHM_REASON_REJECTED = 16,
  MDP_SHM_REASON_SILENT = 17,
  MDP_SHM_REASON_DEPTH_EXHAUSTED = 18,
  MDP_SHM_REASON_DEPTH_CHANGED = 19,
  MDP_SHM_REASON_SEQUENCE_RESET = 20
};

enum mdp_shm_line_state { MDP_SHM_LINE_DOWN = 0, MDP_SHM_LINE_CONNECTING = 1, MDP_SHM_LINE_UP = 2 };
enum mdp_shm_side { MDP_SHM_SIDE_NONE = 0, MDP_SHM_BUY = 1, MDP_SHM_SELL = 2 };
enum mdp_shm_segment_state { MDP_SHM_STARTING = 0, MDP_SHM_RUNNING = 1, MDP_SHM_STOPPED = 2 };
enum mdp_shm_instrument_kind {
  MDP_SHM_SPOT = 0,
  MDP_SHM_PERPETUAL = 1,
  MDP_SHM_FUTURE = 2,
  MDP_SHM_OPTION = 3
};
/* What a contract pays: LINEAR in its quote, INVERSE in its base, QUANTO in something else. */
enum mdp_shm_settlement {
  MDP_SHM_NO_SETTLEMENT = 0,
  MDP_SHM_LINEAR = 1,
  MDP_SHM_INVERSE = 2,
  MDP_SHM_QUANTO = 3
};
/* What contract_size counts. */
enum mdp_shm_contract_unit { MDP_SHM_NO_CONTRACT = 0, MDP_SHM_OF_BASE = 1, MDP_SHM_OF_QUOTE = 2 };
enum mdp_shm_option_right { MDP_SHM_NO_OPTION = 0, MDP_SHM_CALL = 1, MDP_SHM_PUT = 2 };
enum mdp_shm_instrument_status { MDP_SHM_UNUSED = 0, MDP_SHM_ACTIVE = 1, MDP_SHM_REMOVED = 2 };

/* Mantissas: value = mantissa * 10^exponent, with the exponents of the instrument. A quantity is absolute; in
 * a BOOK_DELTA zero removes the level. */
struct mdp_shm_price_level {
  int64_t price;
  int64_t quantity;
};

/* Times (_ts_ns) are nanoseconds since the Unix epoch. */
struct MDP_SHM_MAY_ALIAS mdp_shm_event_header {
  uint16_t size_lines; /* of the whole record in the ring, in units of 64 bytes */
  uint16_t type;       /* enum mdp_shm_event_type */
  uint16_t flags;      /* enum mdp_shm_event_flag */
  uint16_t exchange_id;
  uint32_t symbol_id; /* index of the instrument in the directory; MDP_SHM_NO_SYMBOL: of none */
  uint16_t bid_count; /* BOOK_DELTA, BOOK_SNAPSHOT: levels of each side; else 0 */
  uint16_t ask_count;
  uint64_t sequence;        /* number of this event, without holes */
  uint64_t update_id;       /* the venue's, of the book after this event; 0 where it has none */
  uint64_t first_update_id; /* first id the update covers: at most 1 above the update_id it follows */
  int64_t exch_ts_ns;       /* clock of the venue; 0: it sends none */
  int64_t recv_ts_ns;       /* at the socket */
  int64_t pub_ts_ns;        /* at the ring commit */
};

/* known_bid and known_ask of a side of which every level was published. */
#define MDP_SHM_ALL_BIDS INT64_MIN
#define MDP_SHM_ALL_ASKS INT64_MAX

/* All bids at known_bid or above it were published, and all asks at known_ask or below it. What lies beyond
 * is unknown, which is not the same as empty. */
struct mdp_shm_book_state_body {
  int64_t known_bid;
  int64_t known_ask;
  uint16_t state;  /* enum mdp_shm_book_state */
  uint16_t reason; /* enum mdp_shm_state_reason */
  uint8_t reserved[4];
};

/* A quantity of 0 is an empty side. */
struct mdp_shm_bbo_body {
  struct mdp_shm_price_level bid;
  struct mdp_shm_price_level ask;
};

struct mdp_shm_trade_body {
  int64_t price;
  int64_t quantity;
  uint64_t trade_id;
  uint8_t side; /* enum mdp_shm_side, the aggressor's */
  uint8_t reserved[7];
};

struct mdp_shm_connection_status_body {
  uint16_t line; /* number of the connection */
  uint8_t state; /* enum mdp_shm_line_state */
  uint8_t reserved[5];
};

#define MDP_SHM_FUNDING_RATE_EXPONENT (-12)

struct mdp_shm_mark_price_body {
  int64_t mark_price; /* prices: mantissas; 0: not sent */
  int64_t index_price;
  int64_t settle_price;
  int64_t funding_rate;       /* at MDP_SHM_FUNDING_RATE_EXPONENT */
  int64_t next_funding_ts_ns; /* 0: no funding, and funding_rate says nothing */
};

struct mdp_shm_liquidation_body {
  int64_t price;
  int64_t average_price; /* of what was filled; 0: not sent */
  int64_t quantity;
  int64_t filled_quantity;
  uint8_t side; /* enum mdp_shm_side, of the forced order */
  uint8_t reserved[7];
};

struct mdp_shm_event {
  struct mdp_shm_event_header header;
  union {
    struct mdp_shm_price_level levels[MDP_SHM_MAX_EVENT_LEVELS];
    struct mdp_shm_book_state_body book_state;
    struct mdp_shm_bbo_body bbo;
    struct mdp_shm_trade_body trade;
    struct mdp_shm_connection_status_body connection_status;
    struct mdp_shm_mark_price_body mark_price;
    struct mdp_shm_liquidation_body liquidation;
  } body;
};

struct mdp_shm_section {
  uint64_t offset;
  uint64_t size_bytes;
};

struct mdp_shm_segment_info {
  uint64_t magic;
  uint16_t layout_version;
  uint16_t minor_version;
  uint32_t header_size;
  uint64_t total_size;
  uint64_t required_features; /* a bit that is not known: the segment cannot be read */
  uint64_t optional_features; /* MDP_SHM_FEATURE_... */
  uint64_t generation;        /* differs at every start of a publisher */
  int64_t start_ts_ns;
  uint32_t publisher_pid;         /* for people: it proves nothing */
  uint32_t heartbeat_interval_ns; /* heartbeat_ns is stored as often, or oftener */
  struct mdp_shm_section venues;
  struct mdp_shm_section instruments;
  struct mdp_shm_section index;
  struct mdp_shm_section table;
  struct mdp_shm_section ring;
  struct mdp_shm_section checkpoints;
  uint32_t venue_stride;
  uint32_t venue_capacity;
  uint32_t instrument_stride;
  uint32_t instrument_capacity;
  uint32_t table_stride;
  uint32_t levels_per_side;
  uint32_t levels_offset; /* of the bids in a book entry */
  uint32_t checkpoint_count;
  uint32_t max_record_bytes;
  uint32_t bell_id; /* MDP_SHM_FEATURE_BELL */
  uint64_t reserved[7];
};

struct mdp_shm_segment_header { /* as it lies in the segment: words, each loaded whole */
  struct mdp_shm_segment_info info;
  uint64_t state;
  uint64_t venue_count;
  uint64_t instrument_count;
  uint64_t directory_epoch;
  uint64_t reserved0[4];
  uint64_t heartbeat_ns; /* of the monotonic clock */
  uint64_t reserved1[7];
  uint64_t reserve;
  uint64_t reserved2[15];
  uint64_t next_sequence;
  uint64_t cursor;
  uint64_t event_count;
  uint64_t reserved3[61];
};

struct mdp_shm_venue_entry {
  uint64_t seq;
  uint16_t exchange_id;
  uint16_t reserved0;
  uint32_t reserved1;
  char name[48];
};

struct mdp_shm_instrument_entry {
  uint64_t seq;
  uint32_t symbol_id;
  uint16_t exchange_id;
  int8_t price_exponent;
  int8_t quantity_exponent;
  int64_t tick_size;
  int64_t lot_size;
  uint16_t status;        /* enum mdp_shm_instrument_status */
  uint16_t kind;          /* enum mdp_shm_instrument_kind */
  uint16_t settlement;    /* enum mdp_shm_settlement */
  uint16_t contract_unit; /* enum mdp_shm_contract_unit */
  uint16_t option_right;  /* enum mdp_shm_option_right */
  int8_t contract_exponent;
  int8_t strike_exponent;
  int8_t notional_exponent;
  uint8_t reserved0[3];
  int64_t contract_size;
  int64_t expiry_ns;
  int64_t strike_price;
  int64_t min_quantity; /* of one order; this and the next two: 0 is unknown */
  int64_t max_quantity;
  int64_t min_notional;
  uint64_t reserved1[4];
  /* Texts are padded with NUL; one that fills its field has none: print with "%.96s". */
  char canonical_symbol[96];
  char venue_symbol[64];
  char underlying[32];
  char base[24];
  char quote[24];
  char settle[24];
  char venue_status[24];
  uint64_t reserved2[12];
};

struct MDP_SHM_MAY_ALIAS mdp_shm_book_entry {
  uint64_t seq;
  uint16_t state;  /* enum mdp_shm_book_state */
  uint16_t reason; /* enum mdp_shm_state_reason */
  uint16_t bid_count;
  uint16_t ask_count;
  uint64_t update_id;
  int64_t exch_ts_ns;
  int64_t recv_ts_ns;
  int64_t pub_ts_ns;
  uint64_t ring_position;
  uint64_t next_sequence;
  uint64_t refresh_position; /* of the first record of the newest whole book; MDP_SHM_NO_POSITION: none */
  uint64_t refresh_sequence; /* of that record */
  int64_t known_bid;         /* as in struct mdp_shm_book_state_body */
  int64_t known_ask;
  uint64_t reserved[4];
};

#ifdef __cplusplus
}
#endif
