/* top_of_book.c SEGMENT SYMBOL: top_of_book.cpp in C99; prints the same line and ends with the same codes. */
#include <mdp/shm/mdp_shm.h>
#include <stdio.h>

static int fail(const char* what, const char* why) {
  fprintf(stderr, "top_of_book: %s: %s\n", what, why);
  return 1;
}

static void print_side(uint16_t count, const struct mdp_shm_price_level* best,
                       const struct mdp_shm_instrument_entry* of) {
  char price[MDP_SHM_DECIMAL_SIZE], quantity[MDP_SHM_DECIMAL_SIZE];
  if (count == 0) {
    printf(" - -");
    return;
  }
  printf(" %s %s", mdp_shm_decimal(price, best->price, of->price_exponent),
         mdp_shm_decimal(quantity, best->quantity, of->quantity_exponent));
}

int main(int argc, char** argv) {
  struct mdp_shm_subscriber feed;
  struct mdp_shm_instrument_entry instrument;
  struct mdp_shm_book_entry book;
  struct mdp_shm_price_level bid, ask;
  char why[MDP_SHM_ERROR_SIZE];
  int status, state;
  if (argc != 3) {
    fputs("usage: top_of_book SEGMENT SYMBOL\n", stderr);
    return 2;
  }
  status = mdp_shm_open(&feed, argv[1]);
  if (status != MDP_SHM_ATTACH_OK) return fail(argv[1], mdp_shm_open_error(why, &feed, status));
  if (!mdp_shm_find(&feed, argv[2], &instrument)) return fail(argv[2], "no such instrument in the segment");
  status = mdp_shm_read_book(&feed, instrument.symbol_id, &book, &bid, &ask, 1);
  if (status != MDP_SHM_BOOK_OK) return fail(argv[2], mdp_shm_book_status_text(status));
  /* LIVE no longer than its publisher runs. */
  state = mdp_shm_usable_state(&feed, book.state, MDP_SHM_HEARTBEAT_LIMIT);
  printf("%.96s %s %llu", instrument.canonical_symbol, mdp_shm_book_state_text(state),
         (unsigned long long)book.update_id);
  print_side(book.bid_count, &bid, &instrument);
  print_side(book.ask_count, &ask, &instrument);
  putchar('\n');
  mdp_shm_close(&feed);
  return 0;
}
