// Layout v1 of a segment: the header, the rules every section obeys, and how shared words are loaded and
// stored.
//
// Included by both sides: the publisher (publish/segment_writer.hpp) writes what is described here, readers
// of any process (mdp_shm.h, segment_view.hpp) follow it. docs/wire-format.md draws the same, byte by
// byte.
//
//   0        header_size                                                                     total_size
//   +--------+-------------+--------------+-------------------+-------+--------------+----------------+
//   | header | checkpoints | VenueEntry[] | InstrumentEntry[] | index | book entries | ring, 2^n bytes|
//   +--------+-------------+--------------+-------------------+-------+--------------+----------------+
//
// Each section is found by its offset in the header. Little-endian, 64-bit words. Whatever can change after
// the magic is stored is accessed as whole 64-bit atomic words.
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
inline constexpr std::uint16_t kLayoutVersion = 1;
inline constexpr std::uint16_t kMinorVersion = 0;

// Bits of SegmentInfo::required_features that this reader understands: there are none yet. A segment with
// others is refused.
inline constexpr std::uint64_t kKnownRequiredFeatures = 0;
// Bits of SegmentInfo::optional_features: what a reader may use, or leave.
enum OptionalFeature : std::uint64_t {
  kFeatureChecksum = 1,  // book updates carry kFlagChecksum
  kFeatureRefresh = 2,   // whole books come again: BookEntry::refresh_position
  kFeatureBell = 4,      // bell_id leads to a doorbell
};

// How many this publisher makes; a reader goes by the header's.
inline constexpr std::uint32_t kCheckpointCount = 64;
inline constexpr std::uint32_t kMaxRecordBytes = sizeof(Event);
inline constexpr std::uint64_t kMinRingBytes = 64 * 1024;  // half of it always holds the start of a record
inline constexpr std::uint64_t kMaxRingBytes = 1ULL << 40;
inline constexpr std::uint32_t kMaxLevelsPerSide = kMaxEventLevels / 2;  // a table update is one Event
inline constexpr std::uint64_t kNoPosition =
    ~std::uint64_t{0};  // of a checkpoint or a refresh: none yet; no multiple of 64

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
//   @0   magic | layout_version, minor_version, header_size | total_size | required_features
//   @32  optional_features | generation | start_ts_ns | publisher_pid, heartbeat_interval_ns
//   @64  {offset, size} of venues, instruments, index, table, ring, checkpoints
//   @160 venue stride, capacity | instrument stride, capacity | table stride, levels a side |
//        levels_offset, checkpoint_count
//   @192 max_record_bytes, bell_id | 0 ...
struct SegmentInfo {
  std::uint64_t magic;           // kMagic; stored last
  std::uint16_t layout_version;  // kLayoutVersion; another one is another layout
  std::uint16_t minor_version;   // a greater one has more that a reader of a smaller one passes over
  std::uint32_t header_size;     // bytes; the header of this version or a longer one
  std::uint64_t total_size;      // bytes of the segment
  std::uint64_t required_features;
  std::uint64_t optional_features;      // OptionalFeature bits
  std::uint64_t generation;             // differs at every start of a publisher
  std::int64_t start_ts_ns;             // when it started, since the Unix epoch
  std::uint32_t publisher_pid;          // for people: it proves nothing
  std::uint32_t heartbeat_interval_ns;  // heartbeat_ns is stored as often, or oftener

  Section venues;       // VenueEntry, one every venue_stride bytes
  Section instruments;  // InstrumentEntry, one every instrument_stride bytes; the index is the symbol_id
  Section index;        // words, a power of two of them: where a symbol's instrument is
  Section table;        // book entries, one every table_stride bytes; the index is the symbol_id
  Section ring;         // a power of two bytes
  Section checkpoints;  // words, checkpoint_count of them

  std::uint32_t
      venue_stride;  // strides may grow within a layout version: fields are only ever added at the end
  std::uint32_t venue_capacity;
  std::uint32_t instrument_stride;
  std::uint32_t instrument_capacity;  // entries of the instrument section and of the book table
  std::uint32_t table_stride;
  std::uint32_t levels_per_side;   // capacity of a book entry
  std::uint32_t levels_offset;     // of the bids in a book entry
  std::uint32_t checkpoint_count;  // a power of two
  std::uint32_t max_record_bytes;  // no record of the ring is larger
  std::uint32_t bell_id;           // kFeatureBell
  std::uint64_t reserved[7];
};
static_assert(sizeof(SegmentInfo) == 256 && std::is_trivially_copyable_v<SegmentInfo> &&
              std::is_standard_layout_v<SegmentInfo>);
static_assert(offsetof(SegmentInfo, layout_version) == 8 && offsetof(SegmentInfo, minor_version) == 10 &&
              offsetof(SegmentInfo, header_size) == 12 && offsetof(SegmentInfo, total_size) == 16 &&
              offsetof(SegmentInfo, required_features) == 24 &&
              offsetof(SegmentInfo, optional_features) == 32 && offsetof(SegmentInfo, generation) == 40 &&
              offsetof(SegmentInfo, start_ts_ns) == 48 && offsetof(SegmentInfo, publisher_pid) == 56 &&
              offsetof(SegmentInfo, heartbeat_interval_ns) == 60 && offsetof(SegmentInfo, venues) == 64 &&
              offsetof(SegmentInfo, instruments) == 80 && offsetof(SegmentInfo, index) == 96 &&
              offsetof(SegmentInfo, table) == 112 && offsetof(SegmentInfo, ring) == 128 &&
              offsetof(SegmentInfo, checkpoints) == 144 && offsetof(SegmentInfo, venue_stride) == 160 &&
              offsetof(SegmentInfo, venue_capacity) == 164 &&
              offsetof(SegmentInfo, instrument_stride) == 168 &&
              offsetof(SegmentInfo, instrument_capacity) == 172 &&
              offsetof(SegmentInfo, table_stride) == 176 && offsetof(SegmentInfo, levels_per_side) == 180 &&
              offsetof(SegmentInfo, levels_offset) == 184 && offsetof(SegmentInfo, checkpoint_count) == 188 &&
              offsetof(SegmentInfo, max_record_bytes) == 192 && offsetof(SegmentInfo, bell_id) == 196);

// The whole header. Each group of words that changes at its own pace has cache lines of its own, so that
// polling the cursor costs one line a record: `reserve` moves once in 1/64 of the ring, the heartbeat every
// few ms, the rest hardly ever.
//
//   @0    SegmentInfo
//   @256  state | venue_count | instrument_count | directory_epoch | 0 ...   rare
//   @320  heartbeat_ns | 0 ...                                 every few ms, ten times a second when idle
//   @384  reserve | 0 ...                                      once in a while
//   @512  next_sequence | cursor | event_count | 0 ...         every commit
//   @576  0 ...                                                unused: processors fetch lines in pairs
//   @1024
struct alignas(kCacheLineSize) SegmentHeader {
  SegmentInfo info;

  alignas(kCacheLineSize) Word state;  // a SegmentState
  Word venue_count;                    // entries in use; stored after the entry it adds
  Word instrument_count;
  Word directory_epoch;  // raised after every change of a venue or an instrument, removal included

  alignas(kCacheLineSize) Word
      heartbeat_ns;  // when the publisher last said it is alive, on the monotonic clock

  // The ring's positions are absolute: bytes since the publisher started, the place in the ring is position
  // mod size. Everything before `reserve - size` may be overwritten at any moment; `cursor` is the end of the
  // last whole record.
  alignas(kCacheLineSize) Word reserve;

  alignas(2 * kCacheLineSize) Word next_sequence;  // events up to the cursor; stored before it
  Word cursor;
  Word event_count;                                    // the same number; stored after the cursor
  alignas(kCacheLineSize) std::uint64_t reserved[56];  // the second line of the pair, see above, and room
};
static_assert(sizeof(SegmentHeader) == 1024 && std::is_standard_layout_v<SegmentHeader>);
static_assert(offsetof(SegmentHeader, state) == 256 && offsetof(SegmentHeader, venue_count) == 264 &&
              offsetof(SegmentHeader, instrument_count) == 272 &&
              offsetof(SegmentHeader, directory_epoch) == 280 &&
              offsetof(SegmentHeader, heartbeat_ns) == 320 && offsetof(SegmentHeader, reserve) == 384 &&
              offsetof(SegmentHeader, next_sequence) == 512 && offsetof(SegmentHeader, cursor) == 520 &&
              offsetof(SegmentHeader, event_count) == 528);

inline constexpr std::uint32_t kHeaderBytes = sizeof(SegmentHeader);

// Which of a ring's `count` equal parts `position` lies in. The checkpoint of a part is the position of the
// first record that starts in it on the newest lap: a lapped reader resumes there, at a true record boundary.
constexpr std::uint32_t checkpoint_index(std::uint64_t position, std::uint64_t ring_bytes,
                                         std::uint32_t count = kCheckpointCount) noexcept {
  return static_cast<std::uint32_t>((position & (ring_bytes - 1)) / (ring_bytes / count));
}

}  // namespace mdp::shm
