// Ownership of a named block on Windows. What takes two processes is in tests/windows.
#include <gtest/gtest.h>

#include <string>
#include <thread>

#include "mdp/core/error.hpp"
#include "mdp/shm/mapping.hpp"
#include "mdp/sys/shared_memory.hpp"

namespace mdp::sys {
namespace {

constexpr std::size_t kSize = 8192;

SharedMemoryConfig config_for(const std::string& name) {
  SharedMemoryConfig config;
  config.name = name + "-" + std::to_string(process_id());
  config.size_bytes = kSize;
  return config;
}

int look(const std::string& name) {
  mdp_shm_mapping mapping{};
  const int status = mdp_shm_os_map(name.c_str(), MDP_SHM_TRUST_NOBODY, &mapping);
  if (status == MDP_SHM_ATTACH_OK) mdp_shm_os_unmap(mapping.base, mapping.size_bytes);
  return status;
}

TEST(SharedMemory, IsZeroedAndGoneAfterClose) {
  const SharedMemoryConfig config = config_for("zeroed");
  SharedMemory memory = SharedMemory::create(config);
  const auto* bytes = static_cast<const unsigned char*>(memory.data());
  for (std::size_t i = 0; i < kSize; ++i) ASSERT_EQ(bytes[i], 0);
  EXPECT_EQ(look(config.name), MDP_SHM_ATTACH_OK);
  memory.close();
  EXPECT_FALSE(memory.is_open());
  EXPECT_EQ(look(config.name), MDP_SHM_ATTACH_NOT_FOUND);
}

TEST(SharedMemory, OwnerIsNamed) {
  const SharedMemoryConfig config = config_for("owned");
  const SharedMemory memory = SharedMemory::create(config);
  try {
    SharedMemory::create(config);
    FAIL() << "a second owner was accepted";
  } catch (const SegmentError& error) {
    EXPECT_NE(std::string(error.what()).find(std::to_string(process_id())), std::string::npos)
        << error.what();
  }
  EXPECT_EQ(look(config.name), MDP_SHM_ATTACH_OK);
}

// A mutex that is locked belongs to a thread and is abandoned with it; existing is all that is asked of this
// one.
TEST(SharedMemory, OutlivesTheThreadThatMadeIt) {
  const SharedMemoryConfig config = config_for("thread");
  SharedMemory memory;
  std::thread([&] { memory = SharedMemory::create(config); }).join();
  EXPECT_THROW(SharedMemory::create(config), SegmentError);
  memory.close();
  EXPECT_TRUE(SharedMemory::create(config).is_open());
}

TEST(SharedMemory, ReaderOfAnEarlierOneSeesThatItWasReplaced) {
  const SharedMemoryConfig config = config_for("replaced");
  SharedMemory memory = SharedMemory::create(config);
  mdp_shm_mapping old{};
  ASSERT_EQ(mdp_shm_os_map(config.name.c_str(), MDP_SHM_TRUST_NOBODY, &old), MDP_SHM_ATTACH_OK);
  EXPECT_EQ(mdp_shm_name_is_taken(config.name.c_str(), MDP_SHM_TRUST_NOBODY, &old.file), 0);
  EXPECT_EQ(mdp_shm_os_owner_dead(config.name.c_str(), &old.file), 0);
  static_cast<unsigned char*>(memory.data())[0] = 42;
  memory.close();
  EXPECT_EQ(mdp_shm_os_owner_dead(config.name.c_str(), &old.file), 1);
  memory = SharedMemory::create(config);
  EXPECT_EQ(mdp_shm_name_is_taken(config.name.c_str(), MDP_SHM_TRUST_NOBODY, &old.file), 1);
  EXPECT_EQ(mdp_shm_os_owner_dead(config.name.c_str(), &old.file), 1) << "whoever came after it";
  EXPECT_EQ(static_cast<const unsigned char*>(old.base)[0], 42) << "the old one stays as it was";
  mdp_shm_os_unmap(old.base, old.size_bytes);
}

TEST(SharedMemory, WishesAndWhatWindowsLacks) {
  SharedMemoryConfig config = config_for("wishes");
  config.lock_memory = true;
  config.huge_pages = true;
  const SharedMemory memory = SharedMemory::create(config);
  EXPECT_TRUE(memory.is_open());
  EXPECT_FALSE(memory.huge_pages());
  config.name += "-group";
  config.group = "staff";
  EXPECT_THROW(SharedMemory::create(config), SegmentError);
  EXPECT_EQ(look(config.name), MDP_SHM_ATTACH_NOT_FOUND);
}

TEST(SharedMemory, BadNamesAndSizesAreRefused) {
  SharedMemoryConfig config = config_for("size");
  config.size_bytes = 0;
  EXPECT_THROW(SharedMemory::create(config), SegmentError);
  config.size_bytes = kSize;
  for (const char* name : {"", "a\\b", "a/b", "a~b", ".hidden"}) {
    config.name = name;
    EXPECT_THROW(SharedMemory::create(config), SegmentError) << name;
  }
}

}  // namespace
}  // namespace mdp::sys
