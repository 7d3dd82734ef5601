/* mdp_shm_library.h: what libmdp_shm.so has beyond the functions of mdp_shm.h, mdp_shm_text.h and
 * mdp_shm_book.h: handles and getters, for languages that cannot include those.
 *
 * C99 (and C++), declarations alone. The library exports every MDP_SHM_API function of the four headers,
 * under the version MDP_SHM_1; a program in C or C++ includes the headers and needs no library.
 *
 * A binding checks mdp_shm_abi_version() once: it is raised, and the soname with it, when a function or a
 * number changes what it means; new ones do not raise it. It makes handles with _new(), never looks inside,
 * and gives them to the functions of the other headers. Of the structs that lie in a segment
 * (mdp_shm_layout.h: records, entries) it may have its own, and compares their sizes with mdp_shm_size_of():
 * they change with the layout version alone. One thread per handle; nothing is global.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "mdp/shm/mdp_shm_layout.h"

#ifdef __cplusplus
extern "C" {
#endif

#define MDP_SHM_ABI_VERSION 1

struct mdp_shm_subscriber;
struct mdp_shm_book_keeper;

/* Structs whose size can be asked for. */
enum mdp_shm_type {
  MDP_SHM_TYPE_EVENT_HEADER = 0,
  MDP_SHM_TYPE_EVENT = 1, /* with room for the largest body */
  MDP_SHM_TYPE_PRICE_LEVEL = 2,
  MDP_SHM_TYPE_BBO_BODY = 3,
  MDP_SHM_TYPE_TRADE_BODY = 4,
  MDP_SHM_TYPE_BOOK_STATE_BODY = 5,
  MDP_SHM_TYPE_CONNECTION_STATUS_BODY = 6,
  MDP_SHM_TYPE_MARK_PRICE_BODY = 7,
  MDP_SHM_TYPE_LIQUIDATION_BODY = 8,
  MDP_SHM_TYPE_VENUE_ENTRY = 9,
  MDP_SHM_TYPE_INSTRUMENT_ENTRY = 10,
  MDP_SHM_TYPE_BOOK_ENTRY = 11,
  MDP_SHM_TYPE_SEGMENT_INFO = 12
};

#if !defined(MDP_SHM_LIBRARY)
#define MDP_SHM_LIBRARY
#endif

MDP_SHM_LIBRARY uint32_t mdp_shm_abi_version(void);
/* Bytes of a type; 0: this library does not know it. */
MDP_SHM_LIBRARY size_t mdp_shm_size_of(int type);

/* A closed reader: mdp_shm_open() is next. NULL: no memory. */
MDP_SHM_LIBRARY struct mdp_shm_subscriber* mdp_shm_subscriber_new(void);
/* Closes it, too. NULL is fine. */
MDP_SHM_LIBRARY void mdp_shm_subscriber_delete(struct mdp_shm_subscriber* shm);

/* Fields of a reader: of the segment it was opened with, ... */
MDP_SHM_LIBRARY int mdp_shm_is_open(const struct mdp_shm_subscriber* shm);
MDP_SHM_LIBRARY uint64_t mdp_shm_generation(const struct mdp_shm_subscriber* shm);
MDP_SHM_LIBRARY uint32_t mdp_shm_publisher_pid(const struct mdp_shm_subscriber* shm);
MDP_SHM_LIBRARY uint64_t mdp_shm_optional_features(const struct mdp_shm_subscriber* shm);
MDP_SHM_LIBRARY uint32_t mdp_shm_levels_per_side(const struct mdp_shm_subscriber* shm);
MDP_SHM_LIBRARY uint64_t mdp_shm_ring_bytes(const struct mdp_shm_subscriber* shm);
/* ... where the next poll reads, the sequence of the event there, and what laps took: the last, and all. */
MDP_SHM_LIBRARY uint64_t mdp_shm_position(const struct mdp_shm_subscriber* shm);
MDP_SHM_LIBRARY uint64_t mdp_shm_next_sequence(const struct mdp_shm_subscriber* shm);
MDP_SHM_LIBRARY uint64_t mdp_shm_lost_events(const struct mdp_shm_subscriber* shm);
MDP_SHM_LIBRARY uint64_t mdp_shm_lost_bytes(const struct mdp_shm_subscriber* shm);
MDP_SHM_LIBRARY uint64_t mdp_shm_total_lost_events(const struct mdp_shm_subscriber* shm);
MDP_SHM_LIBRARY uint64_t mdp_shm_laps(const struct mdp_shm_subscriber* shm);

/* An empty book. NULL: no memory. */
MDP_SHM_LIBRARY struct mdp_shm_book_keeper* mdp_shm_keeper_new(void);
/* NULL is fine. */
MDP_SHM_LIBRARY void mdp_shm_keeper_delete(struct mdp_shm_book_keeper* book);

#ifdef __cplusplus
}
#endif
