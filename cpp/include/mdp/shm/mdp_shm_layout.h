/* mdp_shm_layout.h: what lies in a segment, layout v1, and the records of its ring, as C structs.
 *
 * Included by mdp_shm.h. C99 (and C++), no functions. docs/wire-format.md draws it byte by byte, and a test
 * compares every struct here with the C++ one. Names are those of C++ spelled in C: TradeBody is
 * struct mdp_shm_trade_body, EventType::Trade is MDP_SHM_TRADE.
 */
#pragma once

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define MDP_SHM_MAGIC UINT64_C(0x004D48532D50444D) /* the bytes "MDP-SHM\0" */
#define MDP_SHM_LAYOUT_VERSION 1
#define MDP_SHM_CHECKPOINT_COUNT 64
#define MDP_SHM_MAX_EVENT_LEVELS 256
#define MDP_SHM_MAX_RECORD_BYTES 4160
#define MDP_SHM_MAX_LEVELS_PER_SIDE 128
#define MDP_SHM_MIN_RING_BYTES UINT64_C(65536)
#define MDP_SHM_MAX_RING_BYTES (UINT64_C(1) << 40)
#define MDP_SHM_NO_SYMBOL UINT32_C(0xFFFFFFFF)

enum mdp_shm_event_type {
  MDP_SHM_PADDING = 0,
  MDP_SHM_BOOK_DELTA = 1, /* levels: bid_count bids, then ask_count asks; absolute quantities, zero removes */
  MDP_SHM_BOOK_SNAPSHOT = 2, /* levels: the whole book (or its top), each side best first */
  MDP_SHM_BBO = 3,
  MDP_SHM_TRADE = 4,
  MDP_SHM_BOOK_STATE = 5, /* bid_count is the state, ask_count the reason; known */
  MDP_SHM_INSTRUMENT = 6, /* the directory entry of symbol_id was added or changed */
  MDP_SHM_CONNECTION_STATUS = 7,
  MDP_SHM_MARK_PRICE = 8,
  MDP_SHM_LIQUIDATION = 9
};

/* Bits of an event's flags. */
enum mdp_shm_event_flag {
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

struct mdp_shm_price_level {
  int64_t price; /* mantissas: value = mantissa * 10^exponent, with the exponents of the instrument */
  int64_t quantity;
};

struct mdp_shm_event_header {
  uint32_t size_bytes;
  uint8_t type;  /* enum mdp_shm_event_type */
  uint8_t flags; /* enum mdp_shm_event_flag */
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

/* All bids at known_bid or above it are published, and all asks at known_ask or below it; what is beyond is unknown.
   MDP_SHM_ALL_BIDS, MDP_SHM_ALL_ASKS: the side has no more. */
#define MDP_SHM_ALL_BIDS INT64_MIN
#define MDP_SHM_ALL_ASKS INT64_MAX

struct mdp_shm_book_state_body {
  int64_t known_bid;
  int64_t known_ask;
};

struct mdp_shm_bbo_body {
  struct mdp_shm_price_level bid;
  struct mdp_shm_price_level ask;
};

struct mdp_shm_trade_body {
  int64_t price;
  int64_t quantity;
  uint64_t trade_id;
  uint8_t side; /* enum mdp_shm_side */
  uint8_t reserved[7];
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
    struct mdp_shm_book_state_body known;
    struct mdp_shm_bbo_body bbo;
    struct mdp_shm_trade_body trade;
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

struct mdp_shm_segment_header { /* as it lies in the segment: words, each loaded whole */
  struct mdp_shm_segment_info info;
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
  uint64_t checkpoints[MDP_SHM_CHECKPOINT_COUNT];
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
  uint8_t status; /* enum mdp_shm_instrument_status */
  uint8_t kind;   /* 0 spot, 1 perpetual, 2 future, 3 option */
  int8_t contract_exponent;
  uint8_t reserved0[5];
  int64_t contract_size;
  int64_t expiry_ns;
  uint64_t reserved1;
  /* Texts are padded with NUL; one that fills its field has none: print with "%.48s". */
  char venue_symbol[48];
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

#ifdef __cplusplus
}
#endif
