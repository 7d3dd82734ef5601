// The two hand-over points of the road: MessageSink (parser -> book manager) and EventSink (book manager ->
// publisher).
//
// Both give the stage a slot of memory that is already allocated (a queue's own slot, or the scratch slot of
// the next stage when it runs inline), let it fill the slot in place, and take it back with commit(). A stage
// therefore never knows whether its successor runs on another thread. commit() may wait when a queue is full,
// and never fails.
#pragma once

#include <cstdint>

#include "mdp/core/normalized_message.hpp"
#include "mdp/shm/event.hpp"

namespace mdp::core {

// Bits of EventHeader::flags between manager and publisher. What has them never gets into the ring.
inline constexpr std::uint16_t kFlagTableOnly = 0x4000;  // a BookSnapshot for the book table alone
inline constexpr std::uint16_t kFlagSameLevels =
    0x8000;  // with it: the table's levels stand, ids and times move on

// In how many steps a lap of the ring is counted by the publisher, which tells the managers of each.
inline constexpr std::uint64_t kRingSteps = 64;

template <class Slot>
class SlotSink {
 public:
  virtual ~SlotSink() = default;
  SlotSink(const SlotSink&) = delete;
  SlotSink& operator=(const SlotSink&) = delete;

  // The slot to fill. Its old content is undefined: write the whole header. Valid until commit().
  Slot& slot() noexcept { return *slot_; }

  // Hands the slot on; slot() is another one afterwards.
  virtual void commit() noexcept = 0;

 protected:
  SlotSink() = default;

  Slot* slot_ = nullptr;
};

using MessageSink = SlotSink<NormalizedMessage>;
using EventSink = SlotSink<shm::Event>;

}  // namespace mdp::core
