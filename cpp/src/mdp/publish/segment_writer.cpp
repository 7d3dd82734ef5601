#include "mdp/publish/segment_writer.hpp"

#include <algorithm>
#include <bit>
#include <cstdio>
#include <random>

#include "mdp/core/error.hpp"
#include "mdp/shm/mapping.hpp"
#include "mdp/sys/clock.hpp"

namespace mdp::publish {
namespace {

constexpr std::uint64_t kPageSize =
    4096;  // sections start on pages, so that each may be advised or protected alone

void require(bool ok, const char* key, std::uint64_t found, const char* allowed) {
  if (ok) return;
  throw SegmentError(std::string("segment: ") + key + " is " + std::to_string(found) + ", allowed is " +
                     allowed);
}

void check(const SegmentConfig& config) {
  const std::uint64_t ring = config.ring;
  require(ring >= shm::kMinRingBytes && ring <= shm::kMaxRingBytes && (ring & (ring - 1)) == 0, "ring", ring,
          "a power of two from 65536 to 1099511627776");
  require(config.instruments >= 1 && config.instruments <= (1U << 24), "instruments", config.instruments,
          "1 to 16777216");
  require(config.venue_capacity >= 1 && config.venue_capacity <= (1U << 16), "venue_capacity",
          config.venue_capacity, "1 to 65536");
  require(config.levels >= 1 && config.levels <= shm::kMaxLevelsPerSide, "levels", config.levels, "1 to 128");
  require(config.first_position % shm::kCacheLineSize == 0, "first_position", config.first_position,
          "a multiple of 64");
  if ((config.mode & 022) != 0) {
    char mode[16];
    std::snprintf(mode, sizeof(mode), "%04o", config.mode);
    throw SegmentError(std::string("segment: mode is ") + mode +
                       ", allowed is one that lets only the owner write, such as 0640 or 0644: readers take "
                       "nothing that others may write");
  }
}

shm::Section after(const shm::Section& previous, std::uint64_t size_bytes) {
  const std::uint64_t end = previous.offset + previous.size_bytes;
  return {(end + kPageSize - 1) / kPageSize * kPageSize, size_bytes};
}

// Each instrument has two slots, one for either of its symbols. Half of them or more stay empty, so that a
// search ends soon.
std::uint64_t index_bytes(std::uint32_t instruments) noexcept {
  return std::max<std::uint64_t>(std::bit_ceil(4ULL * instruments) * sizeof(shm::Word), shm::kCacheLineSize);
}

// Where everything lies. What is left at zero is filled in by the writer.
shm::SegmentInfo plan(const SegmentConfig& config) {
  check(config);
  shm::SegmentInfo info{};
  info.layout_version = shm::kLayoutVersion;
  info.minor_version = shm::kMinorVersion;
  info.header_size = shm::kHeaderBytes;
  info.optional_features = config.optional_features;
  info.heartbeat_interval_ns = kIdleHeartbeatIntervalNs;
  info.venue_stride = sizeof(shm::VenueEntry);
  info.venue_capacity = config.venue_capacity;
  info.instrument_stride = sizeof(shm::InstrumentEntry);
  info.instrument_capacity = config.instruments;
  info.levels_per_side = config.levels;
  info.levels_offset = sizeof(shm::BookEntry);
  info.table_stride = shm::book_entry_stride(config.levels);
  info.checkpoint_count = shm::kCheckpointCount;
  info.max_record_bytes = shm::kMaxRecordBytes;
  info.checkpoints = {shm::kHeaderBytes, sizeof(shm::Word) * shm::kCheckpointCount};
  info.venues = after(info.checkpoints, std::uint64_t{info.venue_stride} * info.venue_capacity);
  info.instruments = after(info.venues, std::uint64_t{info.instrument_stride} * info.instrument_capacity);
  info.index = after(info.instruments, index_bytes(config.instruments));
  info.table = after(info.index, std::uint64_t{info.table_stride} * info.instrument_capacity);
  info.ring = after(info.table, config.ring);
  info.total_size = info.ring.offset + info.ring.size_bytes;
  return info;
}

sys::SharedMemory create_memory(const SegmentConfig& config, sys::SharedMemory* predecessor = nullptr) {
  if (!shm::valid_segment_name(config.name)) {
    throw SegmentError("segment name \"" + config.name +
                       "\": allowed are 1 to 200 of A-Z a-z 0-9 . _ - without a leading dot");
  }
  sys::SharedMemoryConfig memory;
  memory.name = config.name;
  memory.size_bytes = segment_size_bytes(config);
  memory.mode = config.mode;
  memory.group = config.group;
  memory.lock_memory = config.lock_memory;
  memory.huge_pages = config.huge_pages;
  return sys::SharedMemory::create(memory, predecessor);
}

std::uint64_t new_generation() {
  std::random_device random;
  const std::uint64_t value = (std::uint64_t{random()} << 32) | random();
  return value != 0 ? value : 1;
}

}  // namespace

std::size_t segment_size_bytes(const SegmentConfig& config) { return plan(config).total_size; }

SegmentWriter::SegmentWriter(const SegmentConfig& config) : memory_(create_memory(config)) {
  format(config, memory_.data());
}

SegmentWriter::SegmentWriter(const SegmentConfig& config, SegmentWriter& predecessor)
    : memory_(create_memory(config, &predecessor.memory_)) {
  format(config, memory_.data(), &predecessor);
}

SegmentWriter::SegmentWriter(const SegmentConfig& config, void* memory, std::size_t size_bytes) {
  require(size_bytes >= segment_size_bytes(config), "size of the memory given", size_bytes,
          "segment_size_bytes() or more");
  format(config, memory);
}

SegmentWriter::~SegmentWriter() {
  // A forked child has a copy of this object but is not the publisher.
  if (view_.info().publisher_pid == sys::process_id()) set_state(shm::SegmentState::Stopped);
}

void SegmentWriter::format(const SegmentConfig& config, void* memory, const SegmentWriter* predecessor) {
  shm::SegmentInfo info = plan(config);
  info.generation = new_generation();
  info.start_ts_ns = sys::realtime_ns();
  info.publisher_pid = sys::process_id();
  bell_ = std::make_unique<sys::Doorbell>(config.name, info.generation, config.mode, config.group);
  if (bell_->exists()) {
    info.optional_features |= shm::kFeatureBell;
    info.bell_id = bell_->id();
  }
  auto* base = static_cast<unsigned char*>(memory);
  header_ = static_cast<shm::SegmentHeader*>(memory);  // zeroed memory is a header whose words are all 0
  // The words behind the magic, then the parts, then the magic.
  constexpr std::size_t kMagicBytes = sizeof(info.magic);
  shm::store_words(base + kMagicBytes, &info.layout_version, sizeof(info) - kMagicBytes);
  ring_ = std::make_unique<RingWriter>(*header_, &shm::word_at(base + info.checkpoints.offset),
                                       base + info.ring.offset, info.ring.size_bytes, config.first_position,
                                       config.first_sequence);
  table_ = std::make_unique<TableWriter>(info, base + info.table.offset,
                                         RingPosition{config.first_position, config.first_sequence});
  directory_ = std::make_unique<DirectoryWriter>(*header_, memory);
  if (predecessor != nullptr) directory_->copy(*predecessor->directory_);
  heartbeat();
  // release: everything above is visible to who sees the magic; pairs with SegmentView::attach().
  shm::word_at(memory).store(shm::kMagic, std::memory_order_release);
  if (shm::SegmentView::attach(memory, info.total_size, view_) != shm::AttachStatus::Ok) {
    throw SegmentError("segment: a reader would refuse what was just formatted; this is a bug");
  }
}

void SegmentWriter::set_state(shm::SegmentState state) noexcept {
  // release: the last commit is visible to who sees the state; pairs with SegmentView::state().
  header_->state.store(static_cast<std::uint64_t>(state), std::memory_order_release);
}

void SegmentWriter::heartbeat_at(std::int64_t monotonic_ns) noexcept {
  // relaxed: a sign of life, orders nothing; pairs with mdp_shm_age_of_heartbeat().
  header_->heartbeat_ns.store(static_cast<std::uint64_t>(monotonic_ns), std::memory_order_relaxed);
}

}  // namespace mdp::publish
