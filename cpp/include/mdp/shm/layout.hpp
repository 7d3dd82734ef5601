// Layout v1 of a segment: the header, the rules every section obeys, and how shared words are loaded and
// stored.
//
// Included by both sides: the publisher (publish/segment_writer.hpp) writes what is described here, readers
// of any process (mdp_shm.h, segment_view.hpp) follow it. docs/wire-format.md draws the same, byte by
// byte.
//
//   0        header_size      venues.offset  instruments.offset  table.offset   ring.offset      total_size
//   +--------+----------------+--------------+-------------------+--------------+----------------+
//   | header | (page padding) | VenueEntry[] | InstrumentEntry[] | book entries | ring, 2^n bytes|
//   +--------+----------------+--------------+-------------------+--------------+----------------+
//
// Little-endian, 64-bit words. Whatever can change after the magic is stored is accessed as whole 64-bit
// atomic words.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>

#include "mdp/shm/event.hpp"

#if defined(__BYTE_ORDER__) && defined(__ORDER_LITTLE_ENDIAN__)
#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "layout v1 is little-endian"
#endif
#endif

namespace mdp::shm {

inline constexpr std::uint64_t kMagic = 0x004D'4853'2D50'444D;  // the bytes "MDP-SHM\0"
inline constexpr std::uint32_t kLayoutVersion = 1;

inline constexpr std::uint32_t kCheckpointCount = 64;
inline constexpr std::uint32_t kMaxRecordBytes = sizeof(Event);
inline constexpr std::uint64_t kMinRingBytes = 64 * 1024;  // half of it always holds the start of a record
inline constexpr std::uint64_t kMaxRingBytes = 1ULL << 40;
inline constexpr std::uint32_t kMaxLevelsPerSide = kMaxEventLevels / 2;  // a table update is one Event
inline constexpr std::uint64_t kNoPosition =
    ~std::uint64_t{0};  // of a checkpoint: none yet; no multiple of 64

// A 64-bit word that two processes access at the same time.
using Word = std::atomic<std::uint64_t>;
static_assert(Word::is_always_lock_free, "a lock inside shared memory would tie the processes together");
static_assert(sizeof(Word) == 8 && alignof(Word) == 8 && std::is_standard_layout_v<Word>);

// The word at `address`, which is a multiple of 8 inside a mapping. A load is a plain move, so it is allowed
// on a read-only mapping.
inline const Word& word_at(const void* address) noexcept { return *static_cast<const Word*>(address); }
inline Word& word_at(void* address) noexcept { return *static_cast<Word*>(address); }

// Copies `bytes` (a multiple of 8) into shared memory.
inline void store_words(void* to, const void* from, std::size_t bytes) noexcept {
  auto* out = static_cast<unsigned char*>(to);
  const auto* in = static_cast<const unsigned char*>(from);
  for (std::size_t i = 0; i < bytes; i += sizeof(Word)) {
    std::uint64_t value;
    std::memcpy(&value, in + i, sizeof(value));
    // release: the guarding word was stored before, so who sees this word sees that one too; pairs with the
    // acquire load in mdp_shm_load_words().
    word_at(out + i).store(value, std::memory_order_release);
  }
}

enum class SegmentState : std::uint64_t {
  Starting = 0,  // formatted; nothing is published yet
  Running = 1,
  Stopped = 2,  // the publisher ended in order: nothing follows what the cursor shows
};

struct Section {
  std::uint64_t offset;  // from the start of the segment, a multiple of 64
  std::uint64_t size_bytes;
};
static_assert(sizeof(Section) == 16);

// The part of the header that never changes once the magic is stored. A reader copies it, checks the copy
// (segment_view.hpp), and uses the copy alone.
//
//   @0   magic | layout_version, header_size | total_size | generation | start_ts_ns | publisher_pid, 0 | 0 | 0
//   @64  venues {offset, size} | instruments {offset, size} | table {offset, size} | ring {offset, size}
//   @128 venue stride, capacity | instrument stride, capacity | table stride, levels a side |
//        checkpoint_count, max_record_bytes | 0 | 0 | 0 | 0
struct SegmentInfo {
  std::uint64_t magic;           // kMagic; stored last
  std::uint32_t layout_version;  // kLayoutVersion; another one is another layout
  std::uint32_t header_size;     // bytes; the header of this version or a longer one
  std::uint64_t total_size;      // bytes of the segment
  std::uint64_t generation;      // differs at every start of a publisher
  std::int64_t start_ts_ns;      // when it started, since the Unix epoch
  std::uint32_t publisher_pid;
  std::uint32_t reserved0;
  std::uint64_t reserved1[2];

  Section venues;       // VenueEntry, one every venue_stride bytes
  Section instruments;  // InstrumentEntry, one every instrument_stride bytes; the index is the symbol_id
  Section table;        // book entries, one every table_stride bytes; the index is the symbol_id
  Section ring;         // a power of two bytes

  std::uint32_t
      venue_stride;  // strides may grow within a layout version: fields are only ever added at the end
  std::uint32_t venue_capacity;
  std::uint32_t instrument_stride;
  std::uint32_t instrument_capacity;  // entries of the instrument section and of the book table
  std::uint32_t table_stride;
  std::uint32_t levels_per_side;  // capacity of a book entry
  std::uint32_t checkpoint_count;
  std::uint32_t max_record_bytes;  // no record of the ring is larger
  std::uint64_t reserved2[4];
};
static_assert(sizeof(SegmentInfo) == 192 && std::is_trivially_copyable_v<SegmentInfo> &&
              std::is_standard_layout_v<SegmentInfo>);
static_assert(offsetof(SegmentInfo, layout_version) == 8 && offsetof(SegmentInfo, header_size) == 12 &&
              offsetof(SegmentInfo, total_size) == 16 && offsetof(SegmentInfo, generation) == 24 &&
              offsetof(SegmentInfo, start_ts_ns) == 32 && offsetof(SegmentInfo, publisher_pid) == 40 &&
              offsetof(SegmentInfo, venues) == 64 && offsetof(SegmentInfo, instruments) == 80 &&
              offsetof(SegmentInfo, table) == 96 && offsetof(SegmentInfo, ring) == 112 &&
              offsetof(SegmentInfo, venue_stride) == 128 && offsetof(SegmentInfo, venue_capacity) == 132 &&
              offsetof(SegmentInfo, instrument_stride) == 136 &&
              offsetof(SegmentInfo, instrument_capacity) == 140 &&
              offsetof(SegmentInfo, table_stride) == 144 && offsetof(SegmentInfo, levels_per_side) == 148 &&
              offsetof(SegmentInfo, checkpoint_count) == 152 &&
              offsetof(SegmentInfo, max_record_bytes) == 156);

// The whole header. Each group of words that changes at its own pace has cache lines of its own, so that
// polling the cursor costs one line a record: `reserve` moves once in 1/64 of the ring, the heartbeat every
// few ms, the rest hardly ever.
//
//   @0    SegmentInfo
//   @192  state | venue_count | instrument_count | 0 ...       rare
//   @256  heartbeat_ns | 0 ...                                 every few ms
//   @320  reserve | 0 ...                                      once in a while
//   @384  next_sequence | cursor | event_count | 0 ...         every commit
//   @448  0 ...                                                unused: processors fetch lines in pairs
//   @512  checkpoint[64]                                       once in 1/64 of the ring
//   @1024
struct alignas(kCacheLineSize) SegmentHeader {
  SegmentInfo info;

  alignas(kCacheLineSize) Word state;  // a SegmentState
  Word venue_count;                    // entries in use; stored after the entry it adds
  Word instrument_count;

  alignas(kCacheLineSize) Word
      heartbeat_ns;  // when the publisher last said it is alive, since the Unix epoch

  // The ring's positions are absolute: bytes since the publisher started, the place in the ring is position
  // mod size. Everything before `reserve - size` may be overwritten at any moment; `cursor` is the end of the
  // last whole record.
  alignas(kCacheLineSize) Word reserve;

  alignas(kCacheLineSize) Word next_sequence;  // events up to the cursor; stored before it
  Word cursor;
  Word event_count;                                   // the same number; stored after the cursor
  alignas(kCacheLineSize) std::uint64_t reserved[8];  // the second line of the pair, see above

  // Of segment i (1/64 of the ring): the position of the first record that starts in it on the newest lap. A
  // lapped reader resumes there, at a true record boundary.
  alignas(kCacheLineSize) Word checkpoints[kCheckpointCount];
};
static_assert(sizeof(SegmentHeader) == 1024 && alignof(SegmentHeader) == kCacheLineSize &&
              std::is_standard_layout_v<SegmentHeader>);
static_assert(offsetof(SegmentHeader, state) == 192 && offsetof(SegmentHeader, venue_count) == 200 &&
              offsetof(SegmentHeader, instrument_count) == 208 &&
              offsetof(SegmentHeader, heartbeat_ns) == 256 && offsetof(SegmentHeader, reserve) == 320 &&
              offsetof(SegmentHeader, next_sequence) == 384 && offsetof(SegmentHeader, cursor) == 392 &&
              offsetof(SegmentHeader, event_count) == 400 && offsetof(SegmentHeader, checkpoints) == 512);

inline constexpr std::uint32_t kHeaderBytes = sizeof(SegmentHeader);

// The segment of the ring (its 1/64) that `position` lies in.
constexpr std::uint32_t checkpoint_index(std::uint64_t position, std::uint64_t ring_bytes) noexcept {
  return static_cast<std::uint32_t>((position & (ring_bytes - 1)) / (ring_bytes / kCheckpointCount));
}

}  // namespace mdp::shm
