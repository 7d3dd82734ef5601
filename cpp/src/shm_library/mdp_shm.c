/* libmdp_shm.so: the readers of the C headers as a library. The functions are those headers' own. */
#define MDP_SHM_API __attribute__((visibility("default")))
#define MDP_SHM_LIBRARY MDP_SHM_API

/* clang-format off: before anything of the C library, which it asks for POSIX */
#include "mdp/shm/mdp_shm_book.h"
/* clang-format on */
#include "mdp/shm/mdp_shm_library.h"

uint32_t mdp_shm_abi_version(void) { return MDP_SHM_ABI_VERSION; }

size_t mdp_shm_size_of(int type) {
  static const size_t sizes[] = {sizeof(struct mdp_shm_event_header),
                                 sizeof(struct mdp_shm_event),
                                 sizeof(struct mdp_shm_price_level),
                                 sizeof(struct mdp_shm_bbo_body),
                                 sizeof(struct mdp_shm_trade_body),
                                 sizeof(struct mdp_shm_book_state_body),
                                 sizeof(struct mdp_shm_connection_status_body),
                                 sizeof(struct mdp_shm_mark_price_body),
                                 sizeof(struct mdp_shm_liquidation_body),
                                 sizeof(struct mdp_shm_venue_entry),
                                 sizeof(struct mdp_shm_instrument_entry),
                                 sizeof(struct mdp_shm_book_entry),
                                 sizeof(struct mdp_shm_segment_info)};
  return type >= 0 && (size_t)type < sizeof(sizes) / sizeof(sizes[0]) ? sizes[type] : 0;
}

struct mdp_shm_subscriber* mdp_shm_subscriber_new(void) {
  return (struct mdp_shm_subscriber*)calloc(1, sizeof(struct mdp_shm_subscriber));
}
void mdp_shm_subscriber_delete(struct mdp_shm_subscriber* shm) {
  if (shm != NULL) mdp_shm_close(shm);
  free(shm);
}

int mdp_shm_is_open(const struct mdp_shm_subscriber* shm) { return shm->base != NULL; }
uint64_t mdp_shm_generation(const struct mdp_shm_subscriber* shm) { return shm->info.generation; }
uint32_t mdp_shm_publisher_pid(const struct mdp_shm_subscriber* shm) { return shm->info.publisher_pid; }
uint64_t mdp_shm_optional_features(const struct mdp_shm_subscriber* shm) {
  return shm->info.optional_features;
}
uint32_t mdp_shm_levels_per_side(const struct mdp_shm_subscriber* shm) { return shm->info.levels_per_side; }
uint64_t mdp_shm_ring_bytes(const struct mdp_shm_subscriber* shm) { return shm->info.ring.size_bytes; }
uint64_t mdp_shm_position(const struct mdp_shm_subscriber* shm) { return shm->position; }
uint64_t mdp_shm_next_sequence(const struct mdp_shm_subscriber* shm) { return shm->next_sequence; }
uint64_t mdp_shm_lost_events(const struct mdp_shm_subscriber* shm) { return shm->lost_events; }
uint64_t mdp_shm_lost_bytes(const struct mdp_shm_subscriber* shm) { return shm->lost_bytes; }
uint64_t mdp_shm_total_lost_events(const struct mdp_shm_subscriber* shm) { return shm->total_lost_events; }
uint64_t mdp_shm_laps(const struct mdp_shm_subscriber* shm) { return shm->laps; }

struct mdp_shm_book_keeper* mdp_shm_keeper_new(void) {
  struct mdp_shm_book_keeper* const book =
      (struct mdp_shm_book_keeper*)malloc(sizeof(struct mdp_shm_book_keeper));
  if (book != NULL) mdp_shm_keeper_init(book);
  return book;
}
void mdp_shm_keeper_delete(struct mdp_shm_book_keeper* book) {
  if (book != NULL) mdp_shm_keeper_free(book);
  free(book);
}
