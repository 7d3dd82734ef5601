#include "mdp/sys/huge_page_memory.hpp"

#include <gtest/gtest.h>

#include <cstdint>
#include <cstring>

namespace mdp::sys {
namespace {

// Whether the pages are huge is the system's affair; that they could be is not.
TEST(HugePageMemory, GivesWholeAlignedHugePages) {
  constexpr std::size_t kHugePage = std::size_t{2} << 20;
  std::pmr::memory_resource& memory = huge_page_memory();
  constexpr std::size_t kBytes = kHugePage + 1;
  auto* const first = static_cast<unsigned char*>(memory.allocate(kBytes, 64));
  auto* const second = static_cast<unsigned char*>(memory.allocate(kBytes, 64));
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(first) % kHugePage, 0u);
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(second) % kHugePage, 0u);
  std::memset(first, 1, kBytes);
  std::memset(second, 2, kBytes);
  EXPECT_EQ(first[kBytes - 1], 1);
  EXPECT_EQ(second[0], 2);
  memory.deallocate(first, kBytes, 64);
  memory.deallocate(second, kBytes, 64);
  EXPECT_TRUE(memory.is_equal(huge_page_memory()));
}

}  // namespace
}  // namespace mdp::sys
