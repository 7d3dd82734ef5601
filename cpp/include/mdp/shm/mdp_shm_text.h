/* mdp_shm_text.h: numbers, enums and statuses of mdp_shm.h as text.
 *
 * Included by mdp_shm.h. C99 (and C++), nothing but the C library. The words are those of names.hpp, and a
 * test compares them. Every function returns static text (or, mdp_shm_decimal(), its own argument), "unknown"
 * for a value that this version does not know.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "mdp/shm/mdp_shm_layout.h"

#ifdef __cplusplus
extern "C" {
#endif

MDP_SHM_INLINE const char* mdp_shm_text_of(const char* const* texts, size_t count, int value) {
  return value >= 0 && (size_t)value < count && texts[value] != NULL ? texts[value] : "unknown";
}

/* ---- numbers */

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

/* ---- statuses, as a sentence for people */

MDP_SHM_API const char* mdp_shm_attach_status_text(int status) {
  static const char* const texts[] = {
      "ok",
      "bad segment name: use 1 to 200 of A-Z a-z 0-9 . _ - without a leading dot",
      "no such segment: is the publisher running?",
      "no permission to read the segment: join its group",
      "the segment is not ready: its publisher is starting",
      "not a market data segment: no magic",
      "the segment has another layout version than this reader, or needs a feature that it does not know",
      "the segment's header is corrupt",
      "the operating system refused to map the segment",
      "the segment is not to be trusted: no regular file, of another user, or others may write it"};
  return mdp_shm_text_of(texts, sizeof(texts) / sizeof(texts[0]), status);
}

MDP_SHM_API const char* mdp_shm_read_status_text(int status) {
  static const char* const texts[] = {"ok",
                                      "nothing new",
                                      "lapped: events were lost",
                                      "the publisher stopped",
                                      "the publisher died",
                                      "the ring is corrupt",
                                      "not attached to a segment",
                                      "the publisher gives no sign of life",
                                      "the book is not what the publisher says: a checksum differs",
                                      "the buffer is too small for a record"};
  return mdp_shm_text_of(texts, sizeof(texts) / sizeof(texts[0]), status);
}

MDP_SHM_API const char* mdp_shm_book_status_text(int status) {
  static const char* const texts[] = {"ok", "no such instrument in the segment",
                                      "the publisher is writing the entry, or died while it did",
                                      "the book entry is corrupt", "there is no memory for the book"};
  return mdp_shm_text_of(texts, sizeof(texts) / sizeof(texts[0]), status);
}

/* ---- what stands in records and entries, as one word */

MDP_SHM_API const char* mdp_shm_event_type_text(int type) {
  static const char* const texts[] = {"padding",    "book_delta", "book_snapshot", "bbo",
                                      "trade",      "book_state", "instrument",    "connection_status",
                                      "mark_price", "liquidation"};
  return mdp_shm_text_of(texts, sizeof(texts) / sizeof(texts[0]), type);
}

MDP_SHM_API const char* mdp_shm_book_state_text(int state) {
  static const char* const texts[] = {"STALE", "SYNCING", "LIVE"};
  return mdp_shm_text_of(texts, sizeof(texts) / sizeof(texts[0]), state);
}

MDP_SHM_API const char* mdp_shm_state_reason_text(int reason) {
  static const char* const texts[] = {"none",
                                      "starting",
                                      "subscribed",
                                      "synced",
                                      "gap",
                                      "disconnected",
                                      "parse_error",
                                      "crossed",
                                      "buffer_overflow",
                                      "snapshot_too_old",
                                      "snapshot_failed",
                                      "requested",
                                      "unsubscribed",
                                      "checksum_mismatch",
                                      "audit_mismatch",
                                      NULL,
                                      "rejected",
                                      "silent",
                                      "depth_exhausted",
                                      "depth_changed",
                                      "sequence_reset"};
  return mdp_shm_text_of(texts, sizeof(texts) / sizeof(texts[0]), reason);
}

MDP_SHM_API const char* mdp_shm_line_state_text(int state) {
  static const char* const texts[] = {"down", "connecting", "up"};
  return mdp_shm_text_of(texts, sizeof(texts) / sizeof(texts[0]), state);
}

MDP_SHM_API const char* mdp_shm_side_text(int side) {
  static const char* const texts[] = {"none", "buy", "sell"};
  return mdp_shm_text_of(texts, sizeof(texts) / sizeof(texts[0]), side);
}

MDP_SHM_API const char* mdp_shm_instrument_kind_text(int kind) {
  static const char* const texts[] = {"spot", "perpetual", "future", "option"};
  return mdp_shm_text_of(texts, sizeof(texts) / sizeof(texts[0]), kind);
}

MDP_SHM_API const char* mdp_shm_settlement_text(int settlement) {
  static const char* const texts[] = {"none", "linear", "inverse", "quanto"};
  return mdp_shm_text_of(texts, sizeof(texts) / sizeof(texts[0]), settlement);
}

MDP_SHM_API const char* mdp_shm_contract_unit_text(int unit) {
  static const char* const texts[] = {"none", "base", "quote"};
  return mdp_shm_text_of(texts, sizeof(texts) / sizeof(texts[0]), unit);
}

MDP_SHM_API const char* mdp_shm_option_right_text(int right) {
  static const char* const texts[] = {"none", "call", "put"};
  return mdp_shm_text_of(texts, sizeof(texts) / sizeof(texts[0]), right);
}

MDP_SHM_API const char* mdp_shm_instrument_status_text(int status) {
  static const char* const texts[] = {"unused", "active", "removed"};
  return mdp_shm_text_of(texts, sizeof(texts) / sizeof(texts[0]), status);
}

MDP_SHM_API const char* mdp_shm_publisher_status_text(int status) {
  static const char* const texts[] = {"running", "silent", "dead", "stopped", "replaced"};
  return mdp_shm_text_of(texts, sizeof(texts) / sizeof(texts[0]), status);
}

MDP_SHM_API const char* mdp_shm_segment_state_text(int state) {
  static const char* const texts[] = {"starting", "running", "stopped"};
  return mdp_shm_text_of(texts, sizeof(texts) / sizeof(texts[0]), state);
}

#ifdef __cplusplus
}
#endif
