// What a venue that sends its snapshots in the stream cannot have is refused where it is configured.
#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "engine/fake_venue.hpp"
#include "engine/toy_venue.hpp"
#include "mdp/core/error.hpp"

namespace mdp::engine {
namespace {

using core::SnapshotSource;
using core::Window;

struct Wanted {
  SnapshotSource source = SnapshotSource::Stream;
  Window window = Window::Grows;
  std::size_t snapshot_levels = 1000;
  std::uint32_t segment_levels = 20;
  int rest_audit_s = 0;
};

// What the engine says to it; empty: nothing.
std::string refusal(const Wanted& wanted) {
  auto venue = std::make_unique<ToyVenue>();
  venue->book_rule_.snapshot_source = wanted.source;
  venue->book_rule_.window = wanted.window;
  venue->snapshot_levels_ = wanted.snapshot_levels;
  EngineConfig config = test::engine_config(Topology::Fused);
  config.segment.levels = wanted.segment_levels;
  VenueConfig section;
  section.name = "toy";
  section.ws_url = "wss://127.0.0.1:1";
  section.rest_url = "https://127.0.0.1:1";
  section.rest_audit_s = std::chrono::seconds(wanted.rest_audit_s);
  Engine engine(config);
  try {
    engine.add_venue(section, std::move(venue));
  } catch (const ConfigError& error) {
    return error.what();
  }
  return "";
}

TEST(StreamVenue, HasNoAuditsAgainstRest) {
  EXPECT_EQ(refusal({.rest_audit_s = 30}),
            "toy: rest_audit_s: found 30, allowed: 0, for the venue sends snapshots in the stream alone, and "
            "none can "
            "be fetched to compare a book with");
  EXPECT_NE(refusal({.source = SnapshotSource::EveryFrame, .rest_audit_s = 1}), "");
  EXPECT_EQ(refusal({.source = SnapshotSource::Rest, .rest_audit_s = 30}), "");
  EXPECT_EQ(refusal({.rest_audit_s = 0}), "");
}

// A book that grows knows what its snapshot held, and no more comes: with fewer levels than are published it
// is never LIVE, with hardly more it is out of them at once. It would subscribe anew each time.
TEST(StreamVenue, PublishesHalfTheLevelsOfItsSnapshotsAtMost) {
  EXPECT_EQ(
      refusal({.snapshot_levels = 10, .segment_levels = 20}),
      "toy: its snapshots have 10 levels a side, and segment.levels is 20: its books would be subscribed to "
      "anew again and again. Set segment.levels to 5 or less, half of what a snapshot has");
  EXPECT_NE(refusal({.snapshot_levels = 10, .segment_levels = 6}), "");
  EXPECT_EQ(refusal({.snapshot_levels = 10, .segment_levels = 5}), "");
}

TEST(StreamVenue, PublishesAllThatAWindowHas) {
  for (const Window window : {Window::Cut, Window::ByVenue}) {
    EXPECT_EQ(refusal({.window = window, .snapshot_levels = 10, .segment_levels = 20}), "");
  }
  EXPECT_EQ(refusal({.source = SnapshotSource::EveryFrame, .snapshot_levels = 5, .segment_levels = 20}), "");
}

}  // namespace
}  // namespace mdp::engine
