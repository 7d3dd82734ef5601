#include "mdp/sys/doorbell.hpp"

#include <cerrno>
#include <climits>
#include <cstring>
#include <string>
#include <vector>

#if defined(__linux__)
#include <grp.h>
#endif

#include "mdp/core/log.hpp"
#include "mdp/shm/mdp_shm_bell.h"

namespace mdp::sys {

Doorbell::Doorbell() noexcept : waiting_(&own_) {}

#if defined(__linux__)

namespace {

// The page is readable and writable for whoever may read the segment.
unsigned page_mode(std::uint32_t segment_mode) noexcept {
  return (segment_mode & 0444) | ((segment_mode & 0444) >> 1);
}

// False: there is no such group, which whoever made the segment has said already.
bool group_number(const std::string& group, gid_t& number) {
  std::vector<char> buffer(16 * 1024);
  struct group entry{};
  struct group* found = nullptr;
  ::getgrnam_r(group.c_str(), &entry, buffer.data(), buffer.size(), &found);
  if (found != nullptr) number = found->gr_gid;
  return found != nullptr;
}

}  // namespace

// The page is marked for destruction at once: it ends with the last process that has it mapped, however that
// dies. Linux lets readers map it all the same.
Doorbell::Doorbell(const std::string& name, std::uint64_t generation, std::uint32_t mode,
                   const std::string& group)
    : Doorbell() {
  const auto warn = [&](const char* what) {
    core::log(core::LogLevel::Warning, "segment.no_doorbell name=" + name + " refused=" + what + " error=\"" +
                                           std::strerror(errno) +
                                           "\" remedy=\"none needed: readers that wait for it sleep\"");
  };
  const int id = ::shmget(IPC_PRIVATE, MDP_SHM_BELL_BYTES, IPC_CREAT | static_cast<int>(page_mode(mode)));
  if (id < 0) {
    warn("shmget");
    return;
  }
  void* const page = ::shmat(id, nullptr, 0);
  if (reinterpret_cast<std::intptr_t>(page) == -1) {
    warn("shmat");
    ::shmctl(id, IPC_RMID, nullptr);
    return;
  }
  if (!group.empty()) {
    struct shmid_ds about{};
    ::shmctl(id, IPC_STAT, &about);
    if (!group_number(group, about.shm_perm.gid) || ::shmctl(id, IPC_SET, &about) != 0) warn("group");
  }
  ::shmctl(id, IPC_RMID, nullptr);
  auto* const bell = static_cast<mdp_shm_bell_page*>(page);  // zeroed
  bell->magic = MDP_SHM_BELL_MAGIC;
  bell->generation = generation;
  waiting_ = &shm::word_at(&bell->waiting);
  page_ = page;
  id_ = static_cast<std::uint32_t>(id);
}

Doorbell::~Doorbell() {
  if (page_ != nullptr) ::shmdt(page_);
}

void Doorbell::ring(shm::Word& cursor) noexcept {
  // relaxed: the futex orders; pairs with mdp_shm_bell_wait(). A request that came since the load is another
  // value and stays. (The cursor is the caller's own.)
  std::uint64_t waiting = waiting_->load(std::memory_order_relaxed);
  if (waiting != 0 && (waiting & ~std::uint64_t{1}) != cursor.load(std::memory_order_relaxed)) {
    waiting_->compare_exchange_strong(waiting, 0, std::memory_order_seq_cst);
  }
  ::syscall(SYS_futex, static_cast<void*>(&cursor), FUTEX_WAKE, INT_MAX, nullptr, nullptr, 0);
}

#else

Doorbell::Doorbell(const std::string&, std::uint64_t, std::uint32_t, const std::string&) : Doorbell() {}
Doorbell::~Doorbell() = default;
void Doorbell::ring(shm::Word&) noexcept {}

#endif

}  // namespace mdp::sys
