#include "mdp/net/keep_alive_watch.hpp"

#include <gtest/gtest.h>

#include <string>

namespace mdp::net {
namespace {

// One character per tick: '.' not due, 'K' due. `bytes_per_tick`: what the venue sends meanwhile.
std::string run(KeepAliveWatch& watch, int ticks, std::uint64_t& bytes, std::uint64_t bytes_per_tick) {
  std::string due;
  for (int i = 0; i < ticks; ++i) due += watch.tick(bytes += bytes_per_tick) ? 'K' : '.';
  return due;
}

TEST(KeepAliveWatch, EveryFourthTickIsDueWhateverTheVenueSends) {
  for (const std::uint64_t bytes_per_tick : {0u, 100u}) {
    KeepAliveWatch watch(false);
    std::uint64_t bytes = 0;
    EXPECT_EQ(run(watch, 12, bytes, bytes_per_tick), "...K...K...K");
  }
}

TEST(KeepAliveWatch, WhenSilentATalkativeVenueIsNeverDue) {
  KeepAliveWatch watch(true);
  std::uint64_t bytes = 0;
  EXPECT_EQ(run(watch, 50, bytes, 1), std::string(50, '.'));
}

TEST(KeepAliveWatch, WhenSilentFourWholeTicksOfSilenceAreDue) {
  KeepAliveWatch watch(true);
  std::uint64_t bytes = 0;
  EXPECT_EQ(run(watch, 3, bytes, 1), "...");
  // The first silent tick ends a span in which bytes may have come.
  EXPECT_EQ(run(watch, 12, bytes, 0), "...K...K...K");
  EXPECT_EQ(run(watch, 1, bytes, 1), ".") << "the answer";
  EXPECT_EQ(run(watch, 4, bytes, 0), "...K");
}

}  // namespace
}  // namespace mdp::net
