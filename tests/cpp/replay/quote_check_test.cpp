#include "mdp/replay/quote_check.hpp"

#include <gtest/gtest.h>

#include "mdp/core/sinks.hpp"

namespace mdp::replay {
namespace {

using shm::EventType;

shm::Event event_of(EventType type, std::uint16_t flags, std::uint64_t first_id, std::uint64_t id) {
  shm::Event event{};
  event.header.type = type;
  event.header.flags = flags;
  event.header.first_update_id = first_id;
  event.header.update_id = id;
  return event;
}

// The events of one update, as a manager emits them.
void update(QuoteCheck& check, EventType type, std::uint64_t first_id, std::uint64_t id, shm::BboBody bbo) {
  check.on_event(event_of(type, shm::kFlagFirst | shm::kFlagLast, first_id, id));
  shm::Event top = event_of(EventType::Bbo, 0, first_id, id);
  top.bbo = bbo;
  check.on_event(top);
  check.on_event(
      event_of(EventType::BookSnapshot, core::kFlagTableOnly | shm::kFlagTop | core::kFlagSameLevels, 0, id));
}

void quote(QuoteCheck& check, std::uint64_t id, shm::BboBody bbo) {
  shm::Event event = event_of(EventType::Bbo, shm::kFlagVenueQuote, id, id);
  event.bbo = bbo;
  check.on_event(event);
}

constexpr shm::BboBody kTop{{100, 1}, {101, 2}};
constexpr shm::BboBody kOther{{100, 1}, {101, 3}};

TEST(QuoteCheck, QuoteAheadOfItsUpdateWaitsForIt) {
  QuoteCheck check(1);
  quote(check, 7, kOther);
  update(check, EventType::BookDelta, 5, 6, kOther);
  EXPECT_EQ(check.checked(), 0u);
  update(check, EventType::BookDelta, 7, 7, kTop);
  EXPECT_EQ(check.checked(), 1u);
  ASSERT_EQ(check.wrong().size(), 1u);
  EXPECT_EQ(check.wrong()[0].update_id, 7u);
  EXPECT_EQ(check.wrong()[0].book.ask, kTop.ask);
  EXPECT_EQ(check.wrong()[0].venue.ask, kOther.ask);
}

TEST(QuoteCheck, QuoteBehindItsUpdateMeetsTheTopOfThen) {
  QuoteCheck check(1);
  update(check, EventType::BookDelta, 5, 6, kTop);
  update(check, EventType::BookDelta, 7, 9, kOther);
  quote(check, 6, kTop);
  quote(check, 6, kTop);
  quote(check, 8, kTop);  // inside an update: nobody knows the book there
  EXPECT_EQ(check.checked(), 2u);
  EXPECT_TRUE(check.wrong().empty());
}

TEST(QuoteCheck, SnapshotAloneIsNoUpdate) {
  QuoteCheck check(1);
  quote(check, 20, kOther);
  update(check, EventType::BookSnapshot, 20, 20, kTop);
  quote(check, 20, kOther);
  EXPECT_EQ(check.checked(), 0u);
  update(check, EventType::BookSnapshot, 20, 24, kTop);  // deltas up to 24 were applied to it
  quote(check, 24, kTop);
  EXPECT_EQ(check.checked(), 1u);
}

TEST(QuoteCheck, StaleBookForgetsItsTops) {
  QuoteCheck check(1);
  update(check, EventType::BookDelta, 5, 6, kTop);
  shm::Event state = event_of(EventType::BookState, 0, 0, 6);
  state.book_state.state = shm::BookState::Stale;
  check.on_event(state);
  quote(check, 6, kOther);
  EXPECT_EQ(check.checked(), 0u);
}

}  // namespace
}  // namespace mdp::replay
