#include <gtest/gtest.h>
#include <pthread.h>
#include <sched.h>

#include <string>
#include <thread>

#include "mdp/core/error.hpp"
#include "mdp/sys/thread.hpp"

namespace mdp::sys {
namespace {

TEST(Thread, NameIsCutToWhatTheSystemKeeps) {
  std::thread([] {
    set_thread_name("mdp-parser-0-and-more");
    char name[32] = {};
    pthread_getname_np(pthread_self(), name, sizeof(name));
    EXPECT_STREQ(name, "mdp-parser-0-an");
  }).join();
}

TEST(Thread, PinsToAnAllowedCore) {
  std::thread([] {
    cpu_set_t allowed;
    sched_getaffinity(0, sizeof(allowed), &allowed);
    int core = 0;
    while (!CPU_ISSET(static_cast<unsigned>(core), &allowed)) ++core;
    pin_thread(core);
    EXPECT_EQ(available_cores(), 1u);
    EXPECT_EQ(sched_getcpu(), core);
  }).join();
}

TEST(Thread, RefusesACoreThatDoesNotExistAndNamesTheAllowedOnes) {
  try {
    pin_thread(100'000);
    FAIL() << "pinned to core 100000";
  } catch (const ConfigError& error) {
    EXPECT_NE(std::string(error.what()).find("core 100000"), std::string::npos) << error.what();
    EXPECT_NE(std::string(error.what()).find("may use cores "), std::string::npos) << error.what();
  }
}

}  // namespace
}  // namespace mdp::sys
