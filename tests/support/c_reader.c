/* c_reader SEGMENT RUNS: follows a segment through so many publishers with mdp_shm.h, in strict C99, and says
 * of each what it read:
 *   run EVENTS LAPS LOST_EVENTS STATUS    STATUS: how the publisher ended, as mdp_shm_read_status_text() says
 *   it
 * Reads everything, from each publisher's oldest event on, and waits in the three ways in turn. Exit code 1
 * with a message: something was not as mdp_shm.h promises. tests/windows/reader.cpp and test_c_header.py
 * start it.
 */
#include <mdp/shm/mdp_shm.h>
#include <stdio.h>
#include <stdlib.h>

static const int64_t minute_ns = INT64_C(60000000000);
static const int64_t heartbeat_limit_ns = INT64_C(200000000);

static int fail(const char* what, const char* why) {
  printf("c_reader: %s: %s\n", what, why);
  return 1;
}

/* The first publisher by open, later ones by reattach; a minute is waited for each. */
static int attach(struct mdp_shm_subscriber* feed, const char* name, int first) {
  const int64_t began = mdp_shm_os_monotonic_ns();
  for (;;) {
    const int status = first ? mdp_shm_open(feed, name) : mdp_shm_reattach(feed);
    if (status == MDP_SHM_ATTACH_OK) break;
    if (status != MDP_SHM_ATTACH_NOT_FOUND && status != MDP_SHM_ATTACH_NOT_READY) return status;
    if (mdp_shm_os_monotonic_ns() - began > minute_ns) return status;
    mdp_shm_os_sleep();
  }
  mdp_shm_start_oldest(feed);
  return MDP_SHM_ATTACH_OK;
}

int main(int argc, char** argv) {
  struct mdp_shm_subscriber feed;
  struct mdp_shm_event event;
  int run, runs;
  if (argc != 3) return 2;
  runs = atoi(argv[2]);
  for (run = 0; run < runs; ++run) {
    uint64_t events = 0, first = 0; /* the ring may have gone round before this reader came */
    int status = attach(&feed, argv[1], run == 0);
    if (status != MDP_SHM_ATTACH_OK) return fail(argv[1], mdp_shm_attach_status_text(status));
    printf("attached %lu\n", (unsigned long)feed.info.publisher_pid);
    fflush(stdout);
    for (;;) {
      status = mdp_shm_wait(&feed, &event, (int)(events % 3), minute_ns, heartbeat_limit_ns);
      if (status == MDP_SHM_READ_OK && events == 0) first = event.header.sequence - feed.total_lost_events;
      if (status == MDP_SHM_READ_OK && event.header.sequence != first + events++ + feed.total_lost_events) {
        return fail("sequence", "an event is missing or came twice");
      }
      if (status == MDP_SHM_READ_PUBLISHER_STALE) continue; /* it lost its core */
      if (status != MDP_SHM_READ_OK && status != MDP_SHM_READ_LAPPED) break;
    }
    printf("run %lu %lu %lu %s\n", (unsigned long)events, (unsigned long)feed.laps,
           (unsigned long)feed.total_lost_events, mdp_shm_read_status_text(status));
    fflush(stdout);
  }
  mdp_shm_close(&feed);
  return 0;
}
