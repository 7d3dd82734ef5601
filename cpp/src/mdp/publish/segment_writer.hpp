// SegmentWriter: creates and formats a segment and owns the writers of its parts.
//
// Made at start by the engine (or by any program that publishes: it needs nothing else of the engine),
// destroyed at stop. ring() and table() belong to the publisher thread, directory() is safe from any.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "mdp/core/settings.hpp"
#include "mdp/publish/directory_writer.hpp"
#include "mdp/publish/ring_writer.hpp"
#include "mdp/publish/table_writer.hpp"
#include "mdp/shm/segment_view.hpp"
#include "mdp/sys/doorbell.hpp"
#include "mdp/sys/shared_memory.hpp"

namespace mdp::publish {

// The publisher says that it is alive when an event comes and the last time is so long ago,
inline constexpr std::int64_t kHeartbeatIntervalNs = 2'000'000;
// and where none comes so often (engine/housekeeping.hpp), which is what the header tells.
inline constexpr std::uint32_t kIdleHeartbeatIntervalNs = 100'000'000;

struct SegmentConfig {
  std::string name = "mdp";
  std::uint64_t ring = 64ULL << 20;  // bytes: a power of two, 64 KiB to 1 TiB
  std::uint32_t instruments = 1024;  // that there is room for: symbol_ids are below it
  std::uint32_t venue_capacity = 64;
  std::uint32_t levels = 20;  // a side, 1 to 128: depth of the book table
  std::uint32_t mode = 0640;
  std::string group;  // empty: the process's own
  // Wishes: where the system refuses one, a warning is logged and the segment works without. Without them it
  // is backed by memory that is there and faulted in all the same.
  bool lock_memory = false;             // never swapped out
  bool huge_pages = false;              // pages of 2 MiB, where /dev/shm is mounted with huge=advise
  std::uint64_t optional_features = 0;  // shm::OptionalFeature bits, of what will be published
  // For a relay that carries another publisher's events on, and for tests of the wrap.
  std::uint64_t first_position = 0;  // a multiple of 64
  std::uint64_t first_sequence = 0;

  template <class Visit>
  static void visit_settings(Visit&& visit) {
    MDP_SETTING(SegmentConfig, name);
    MDP_SETTING(SegmentConfig, ring);
    MDP_SETTING(SegmentConfig, instruments);
    MDP_SETTING(SegmentConfig, levels);
    MDP_SETTING(SegmentConfig, mode);
    MDP_SETTING(SegmentConfig, group);
    MDP_SETTING(SegmentConfig, lock_memory);
    MDP_SETTING(SegmentConfig, huge_pages);
  }
};

// The bytes a segment of this configuration takes. Throws SegmentError: a value out of range (named, with its
// limits).
std::size_t segment_size_bytes(const SegmentConfig& config);

class SegmentWriter {
 public:
  // Creates the named segment and formats it; readers can attach when this returns (state Starting). Throws
  // SegmentError: a value out of range, a bad name, and what sys::SharedMemory::create() throws.
  explicit SegmentWriter(const SegmentConfig& config);

  // The same under the name of `predecessor`, which somebody has taken away from it: with its directory, and
  // otherwise empty. From then on the predecessor is memory without a name.
  SegmentWriter(const SegmentConfig& config, SegmentWriter& predecessor);

  // Formats memory of the caller's instead, zeroed, aligned to 64, of at least segment_size_bytes(config).
  SegmentWriter(const SegmentConfig& config, void* memory, std::size_t size_bytes);

  // Marks the segment Stopped and unlinks it, if it created it.
  ~SegmentWriter();

  SegmentWriter(const SegmentWriter&) = delete;
  SegmentWriter& operator=(const SegmentWriter&) = delete;

  RingWriter& ring() noexcept { return *ring_; }
  TableWriter& table() noexcept { return *table_; }
  DirectoryWriter& directory() noexcept { return *directory_; }

  // What a reader in this process attaches to.
  const shm::SegmentView& view() const noexcept { return view_; }
  const std::string& name() const noexcept { return memory_.name(); }
  const sys::SharedMemory& memory() const noexcept { return memory_; }
  // The publisher's thread: wakes readers that sleep.
  bool bell_wanted() const noexcept {
    return bell_->is_wanted(header_->cursor.load(std::memory_order_relaxed));  // relaxed: its own
  }
  void ring_bell() noexcept { bell_->ring(header_->cursor); }
  // Whether the segment still bears its name: sys::SharedMemory::name_is_ours().
  bool name_is_ours() const noexcept { return memory_.name_is_ours(); }

  // Any thread. Everything committed before is visible to who sees the state.
  void set_state(shm::SegmentState state) noexcept;
  // Any thread: says that the publisher is alive, by the clock that readers judge it by.
  void heartbeat() noexcept { heartbeat_at(mdp_shm_os_monotonic_ns()); }
  void heartbeat_at(std::int64_t monotonic_ns) noexcept;

 private:
  void format(const SegmentConfig& config, void* memory, const SegmentWriter* predecessor = nullptr);

  sys::SharedMemory memory_;
  shm::SegmentHeader* header_ = nullptr;
  std::unique_ptr<sys::Doorbell> bell_;
  std::unique_ptr<RingWriter> ring_;
  std::unique_ptr<TableWriter> table_;
  std::unique_ptr<DirectoryWriter> directory_;
  shm::SegmentView view_;
};

}  // namespace mdp::publish
