#include "mdp/sys/huge_page_memory.hpp"

#include <cstddef>
#include <new>

#if defined(__linux__)
#include <sys/mman.h>
#endif

namespace mdp::sys {
namespace {

constexpr std::size_t kHugePage = std::size_t{2} << 20;

class HugePageMemory final : public std::pmr::memory_resource {
  static std::size_t rounded(std::size_t bytes) noexcept {
    return (bytes + kHugePage - 1) / kHugePage * kHugePage;
  }

  void* do_allocate(std::size_t bytes, std::size_t) override {
    void* const memory = ::operator new(rounded(bytes), std::align_val_t{kHugePage});
#if defined(MADV_HUGEPAGE)
    // A hint, given before a page is there. Refused by a kernel without huge pages: nothing is lost.
    static_cast<void>(::madvise(memory, rounded(bytes), MADV_HUGEPAGE));
#endif
    return memory;
  }
  void do_deallocate(void* memory, std::size_t bytes, std::size_t) override {
    ::operator delete(memory, rounded(bytes), std::align_val_t{kHugePage});
  }
  bool do_is_equal(const memory_resource& other) const noexcept override { return this == &other; }
};

}  // namespace

std::pmr::memory_resource& huge_page_memory() noexcept {
  static HugePageMemory memory;
  return memory;
}

}  // namespace mdp::sys
