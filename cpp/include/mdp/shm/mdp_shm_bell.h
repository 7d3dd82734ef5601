/* mdp_shm_bell.h: the doorbell, by which a reader that sleeps is woken by the next record.
 *
 * Included by mdp_shm.h. C99 (and C++). Linux only; elsewhere mdp_shm_bell_open() finds none, and who waits
 * for it sleeps instead.
 *
 * A reader maps the segment read-only, so it says that it waits in a page of its own: a System V
 * shared-memory segment of 4096 bytes, which nobody can make shorter while the publisher has it mapped. It
 * sleeps in a futex on the low half of the ring's cursor.
 *
 *   reader that saw cursor c                         publisher
 *   1 `waiting` has a later cursor: look again       1 cursor = new end         (release)
 *   2 waiting = c | 1          (compare-exchange)    2 `waiting` is 0, or has the new end: nothing to do
 *   3 it had an earlier one: futex wake, all         3 otherwise waiting = 0, if it is still what was read
 *   4 pause, then futex wait: sleeps if the cursor   4 futex wake, all
 *     is still c
 *
 * One word serves all readers, so who replaces another's request wakes him (3), and none replaces a later one
 * (1). The publisher leaves a request for what comes next (2), and one that came in between (3).
 *
 * The publisher may look in step 2 before others see its step 1, for a processor may do a load before an
 * earlier store is out; a fence there would cost every record. So the reader pauses before it sleeps, much
 * longer than a store takes to get out, and finds the cursor moved. What would slip through all the same is
 * found by the publisher's next heartbeat, and no sleep is longer than MDP_SHM_BELL_SLICE_NS.
 * tests/cpp/publish/contract_model_test.cpp tries all of this in every interleaving, and without each rule.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "mdp/shm/mdp_shm_layout.h"
#include "mdp/shm/mdp_shm_os.h"

#if defined(__linux__)
#include <limits.h>
#include <linux/futex.h>
#include <sys/shm.h>
#include <sys/syscall.h>
#endif

#ifdef __cplusplus
extern "C" {
#elif defined(__linux__)
long syscall(long number, ...); /* strict C99 hides that of <unistd.h> */
#endif

#define MDP_SHM_BELL_MAGIC UINT64_C(0x4C4C45422D50444D) /* the bytes "MDP-BELL" */
#define MDP_SHM_BELL_BYTES 4096
#define MDP_SHM_BELL_SLICE_NS INT64_C(100000000)

/* What lies in the page. */
struct mdp_shm_bell_page {
  uint64_t magic;
  uint64_t generation; /* of its segment */
  uint64_t reserved0[6];
  uint64_t waiting; /* 0: nobody waits; otherwise a cursor that somebody saw, | 1 */
  uint64_t reserved1[7];
};

#if defined(__linux__)

/* Maps the doorbell of a segment. NULL: it has none, or this user may not write there. */
MDP_SHM_INLINE struct mdp_shm_bell_page* mdp_shm_bell_open(const struct mdp_shm_segment_info* info) {
  struct shmid_ds about;
  struct mdp_shm_bell_page* page;
  void* address;
  if ((info->optional_features & MDP_SHM_FEATURE_BELL) == 0) return NULL;
  if (shmctl((int)info->bell_id, IPC_STAT, &about) != 0 || about.shm_segsz != MDP_SHM_BELL_BYTES) return NULL;
  address = shmat((int)info->bell_id, NULL, 0);
  if ((intptr_t)address == -1) return NULL;
  page = (struct mdp_shm_bell_page*)address;
  /* Numbers come again once a publisher is gone: another page, of somebody else's. */
  if (page->magic == MDP_SHM_BELL_MAGIC && page->generation == info->generation) return page;
  shmdt(address);
  return NULL;
}

MDP_SHM_INLINE void mdp_shm_bell_close(struct mdp_shm_bell_page* page) {
  if (page != NULL) shmdt(page);
}

/* Sleeps until `cursor`, the mapped word, is another than `seen`, or `timeout_ns` has passed. May return
 * sooner. */
MDP_SHM_INLINE void mdp_shm_bell_wait(struct mdp_shm_bell_page* page, const uint64_t* cursor, uint64_t seen,
                                      int64_t timeout_ns) {
  const uint64_t mine = seen | 1;
  /* relaxed: the exchange below looks again; pairs with Doorbell::ring(). */
  uint64_t there = __atomic_load_n(&page->waiting, __ATOMIC_RELAXED);
  struct timespec timeout;
  int i;
  timeout.tv_sec = (time_t)(timeout_ns / 1000000000);
  timeout.tv_nsec = (long)(timeout_ns % 1000000000);
  while (there != mine) {
    if (there != 0 && (int64_t)(there - mine) > 0) return; /* somebody saw a later cursor: there is news */
    /* seq_cst: before the kernel looks at the cursor; pairs with Doorbell::is_wanted(). */
    if (!__atomic_compare_exchange_n(&page->waiting, &there, mine, 0, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED)) {
      continue;
    }
    /* Whose request this was sleeps through what is there already, for the publisher sees ours alone. */
    if (there != 0) syscall(SYS_futex, (const void*)cursor, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
    break;
  }
  for (i = 0; i < 128; ++i) mdp_shm_os_relax();
  syscall(SYS_futex, (const void*)cursor, FUTEX_WAIT, (uint32_t)seen, &timeout, NULL, 0);
}

#else

MDP_SHM_INLINE struct mdp_shm_bell_page* mdp_shm_bell_open(const struct mdp_shm_segment_info* info) {
  (void)info;
  return NULL;
}
MDP_SHM_INLINE void mdp_shm_bell_close(struct mdp_shm_bell_page* page) { (void)page; }
MDP_SHM_INLINE void mdp_shm_bell_wait(struct mdp_shm_bell_page* page, const uint64_t* cursor, uint64_t seen,
                                      int64_t timeout_ns) {
  (void)page, (void)cursor, (void)seen, (void)timeout_ns;
}

#endif

#ifdef __cplusplus
}
#endif
