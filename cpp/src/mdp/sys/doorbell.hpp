// Doorbell: the publisher's side of mdp/shm/mdp_shm_bell.h, where the protocol is drawn. It tells whether a
// reader sleeps, and wakes those that do.
//
// Used by publish::IPCPublisher after every commit: with nobody asleep that is one load of a line that nobody
// writes. One thread rings. Linux only; elsewhere, and where the system refuses the page, no reader can ask.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>

#include "mdp/shm/layout.hpp"

namespace mdp::sys {

class Doorbell {
 public:
  // One that nobody can reach.
  Doorbell() noexcept;
  // For the readers of the segment `name` of this generation: whoever may read it by `mode` (and `group`,
  // empty: the process's own) may ask to be woken. Where there cannot be one, a warning is logged and it is
  // like the above.
  Doorbell(const std::string& name, std::uint64_t generation, std::uint32_t mode, const std::string& group);
  ~Doorbell();
  Doorbell(const Doorbell&) = delete;
  Doorbell& operator=(const Doorbell&) = delete;

  bool exists() const noexcept { return page_ != nullptr; }
  std::uint32_t id() const noexcept { return id_; }  // if it exists

  // Whether somebody asked to be woken by what ends at `cursor`. Who asked for what comes behind it is left
  // to wait.
  bool is_wanted(std::uint64_t cursor) const noexcept {
    // relaxed: the store of the cursor before it may be seen later than this load is done, which readers make
    // up for. Pairs with mdp_shm_bell_wait().
    const std::uint64_t waiting = waiting_->load(std::memory_order_relaxed);
    return waiting != 0 && (waiting & ~std::uint64_t{1}) != cursor;
  }

  // Wakes all who sleep on `cursor`, which was stored before. A system call.
  void ring(shm::Word& cursor) noexcept;

 private:
  shm::Word own_{0};  // what is_wanted() looks at where there is no page
  shm::Word* waiting_;
  void* page_ = nullptr;
  std::uint32_t id_ = 0;
};

}  // namespace mdp::sys
