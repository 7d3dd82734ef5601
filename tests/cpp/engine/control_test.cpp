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

// Control may look only once in all this: what it must know of the short-lived sync is still there.
TEST(SymbolStatus, TheLastSpanLiveIsKeptWhateverCameAfterIt) {
  SymbolStatus status;
  EXPECT_EQ(status.last_span().number, 0u);
  status.enter(shm::BookState::Stale, shm::StateReason::Starting, 0, 100);
  status.enter(shm::BookState::Syncing, shm::StateReason::Subscribed, 0, 200);
  EXPECT_EQ(status.last_span().number, 0u);
  status.enter(shm::BookState::Live, shm::StateReason::Synced, 7, 300);
  EXPECT_EQ(status.last_span().number, 0u) << "it is not over";
  status.enter(shm::BookState::Stale, shm::StateReason::AuditMismatch, 7, 304);
  status.enter(shm::BookState::Syncing, shm::StateReason::Subscribed, 7, 305);
  status.enter(shm::BookState::Stale, shm::StateReason::Disconnected, 7, 306);
  LiveSpan span = status.last_span();
  EXPECT_EQ(span.number, 1u);
  EXPECT_EQ(span.duration_ns, 4);
  EXPECT_EQ(span.ended_by, shm::StateReason::AuditMismatch);
  EXPECT_FALSE(span.moved_on);
  status.enter(shm::BookState::Live, shm::StateReason::Synced, 9, 400);
  status.enter(shm::BookState::Live, shm::StateReason::Synced, 9, 450);
  status.enter(shm::BookState::Stale, shm::StateReason::Gap, 12, 1400);
  span = status.last_span();
  EXPECT_EQ(span.number, 2u);
  EXPECT_EQ(span.duration_ns, 1000);
  EXPECT_EQ(span.ended_by, shm::StateReason::Gap);
  EXPECT_TRUE(span.moved_on);
}

}  // namespace
}  // namespace mdp::engine
