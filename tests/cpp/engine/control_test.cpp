#include "mdp/engine/control.hpp"

#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <vector>

namespace mdp::engine {
namespace {

TEST(ControlEvent, TextIsCutBetweenCharactersAndKeepsToOneLine) {
  ControlEvent event{};
  event.set_text("a\nb\tc");
  EXPECT_EQ(std::string_view(event.text), "a b c");
  std::string euros;
  for (int i = 0; i < 200; ++i) euros += "\xE2\x82\xAC";
  event.set_text(euros);
  EXPECT_EQ(std::string_view(event.text).size(), 255u);  // 85 characters of three bytes
  event.set_text("x" + euros);
  EXPECT_EQ(std::string_view(event.text).size(), 1u + 84 * 3);
}

TEST(ControlQueue, FullQueueDropsAndCounts) {
  ControlQueue queue(4);
  for (int i = 0; i < 6; ++i) {
    queue.tell(ControlKind::Reply, [&](ControlEvent& event) { event.code = i; });
  }
  EXPECT_EQ(queue.dropped(), 2u);
  std::vector<ControlEvent> events;
  EXPECT_EQ(queue.take(events, 3), 3u);
  EXPECT_EQ(queue.take(events, 100), 1u);
  ASSERT_EQ(events.size(), 4u);
  EXPECT_EQ(events[3].code, 3);
  EXPECT_EQ(events[3].symbol, core::kNoSymbol);
  EXPECT_EQ(events[3].retry_after_s, -1);
}

}  // namespace
}  // namespace mdp::engine
