// The verdicts of a book rule on what venues document beside the usual step: counters that are set back,
// keep-alive updates, ids that are missing, restarts. One test for each venue's rule.
#include <gtest/gtest.h>

#include "mdp/core/book_rule.hpp"

namespace mdp::core {
namespace {

MessageHeader delta(std::uint64_t first, std::uint64_t last, std::uint64_t prev = 0) {
  MessageHeader header{};
  header.update_type = UpdateType::Delta;
  header.first_update_id = first;
  header.last_update_id = last;
  header.prev_update_id = prev;
  return header;
}
MessageHeader linked(std::uint64_t prev, std::uint64_t last) { return delta(0, last, prev); }

constexpr BookRule kChain{.continuity = Continuity::PrevIsLast,
                          .join = Join::InSequence,
                          .snapshot_source = SnapshotSource::Stream};

// OKX: "seqId < prevSeqId" is a counter that was set back by maintenance; the update applies, and the next
// one follows it.
TEST(BookRuleVerdict, AChainIsFollowedToASmallerId) {
  EXPECT_EQ(kChain.check_next(15, linked(15, 3)), SequenceVerdict::Apply);
  EXPECT_EQ(kChain.check_next(3, linked(3, 5)), SequenceVerdict::Apply);
  EXPECT_EQ(kChain.check_first(15, linked(15, 3)), SequenceVerdict::Apply);
}

// What came before the counter was set back is lost: the book would be LIVE and frozen if this passed for a
// copy.
TEST(BookRuleVerdict, ALinkFromBeyondTheBookToASmallerIdIsAGap) {
  EXPECT_EQ(kChain.check_next(15, linked(17, 3)), SequenceVerdict::Gap);
  EXPECT_EQ(kChain.check_first(15, linked(17, 3)), SequenceVerdict::Gap);
  EXPECT_EQ(kChain.check_next(15, linked(12, 14)), SequenceVerdict::Old);
}

// OKX's join over REST: "prevSeqId <= snapshot < seqId", then the chain.
TEST(BookRuleVerdict, AChainThatJoinsASnapshotOverRest) {
  constexpr BookRule rule{.continuity = Continuity::PrevIsLast, .join = Join::AfterSnapshotId};
  EXPECT_EQ(rule.check_first(100, linked(80, 90)), SequenceVerdict::Old);
  EXPECT_EQ(rule.check_first(100, linked(90, 100)), SequenceVerdict::Old);
  EXPECT_EQ(rule.check_first(100, linked(95, 110)), SequenceVerdict::Apply);
  EXPECT_EQ(rule.check_first(100, linked(100, 110)), SequenceVerdict::Apply);
  EXPECT_EQ(rule.check_first(100, linked(101, 110)), SequenceVerdict::Gap);
  EXPECT_EQ(rule.check_first(100, linked(100, 7)), SequenceVerdict::Apply);
  EXPECT_EQ(rule.check_first(100, linked(100, 100)), SequenceVerdict::KeepAlive);
}

TEST(BookRuleVerdict, AnUpdateWithoutAFirstIdDoesNotPassForOneThatReachesBack) {
  constexpr BookRule after{.continuity = Continuity::PrevIsLast, .join = Join::AfterSnapshotId};
  constexpr BookRule around{.continuity = Continuity::PrevIsLast, .join = Join::AroundSnapshotId};
  for (const BookRule& rule : {kChain, after, around}) {
    EXPECT_EQ(rule.check_first(10, linked(40, 50)), SequenceVerdict::Gap);
    EXPECT_EQ(rule.check_first(10, linked(10, 50)), SequenceVerdict::Apply);
  }
  for (const Continuity continuity :
       {Continuity::FirstIsNext, Continuity::FirstUpToNext, Continuity::FirstUpToLast}) {
    for (const Join join : {Join::AfterSnapshotId, Join::AroundSnapshotId, Join::InSequence}) {
      const BookRule rule{.continuity = continuity, .join = join};
      EXPECT_EQ(rule.check_first(10, delta(0, 11)), SequenceVerdict::Gap);
      EXPECT_EQ(rule.check_next(10, delta(0, 11)), SequenceVerdict::Gap);
    }
  }
}

// Bitget: `pseq` 0 in an update means that the book has to be fetched again.
TEST(BookRuleVerdict, APreviousIdOfZeroLinksToNothing) {
  EXPECT_EQ(kChain.check_next(10, linked(0, 50)), SequenceVerdict::Gap);
  EXPECT_EQ(kChain.check_first(10, linked(0, 50)), SequenceVerdict::Gap);
  EXPECT_EQ(kChain.check_next(10, linked(0, 5)), SequenceVerdict::Gap);
  EXPECT_EQ(kChain.check_first(0, linked(0, 50)), SequenceVerdict::Gap);
  constexpr BookRule overlapping{.continuity = Continuity::PrevUpToLast, .join = Join::AroundSnapshotId};
  EXPECT_EQ(overlapping.check_next(10, delta(0, 50, 0)), SequenceVerdict::Gap);
}

// Deribit: the snapshot of an empty book has `change_id` 0, and whatever comes next follows it.
TEST(BookRuleVerdict, AnEmptySnapshotWithoutAnIdIsFollowedByAnyUpdate) {
  BookRule rule = kChain;
  rule.empty_snapshot_has_no_id = true;
  EXPECT_EQ(rule.check_first(0, linked(0, 50)), SequenceVerdict::Apply);
  EXPECT_EQ(rule.check_first(0, linked(40, 50)), SequenceVerdict::Apply);
  EXPECT_EQ(rule.check_first(10, linked(0, 50)), SequenceVerdict::Gap);
  EXPECT_EQ(rule.check_next(50, linked(0, 60)), SequenceVerdict::Gap);
}

// Gemini: U is the u of the update before.
TEST(BookRuleVerdict, ABatchThatBeginsWithTheLastIdOfTheOneBefore) {
  constexpr BookRule rule{.continuity = Continuity::FirstUpToLast, .join = Join::InSequence};
  EXPECT_EQ(rule.check_next(100, delta(100, 105)), SequenceVerdict::Apply);
  EXPECT_EQ(rule.check_next(100, delta(90, 105)), SequenceVerdict::Apply);
  EXPECT_EQ(rule.check_next(100, delta(101, 105)), SequenceVerdict::Gap);
  EXPECT_EQ(rule.check_first(100, delta(101, 105)), SequenceVerdict::Gap);
  EXPECT_EQ(rule.check_next(100, delta(90, 100)), SequenceVerdict::Old);
}

// Bybit: `u` 1 is a whole book after a restart of the service.
TEST(BookRuleVerdict, ARestartIsNoOldUpdate) {
  constexpr BookRule rule{.continuity = Continuity::FirstIsNext, .join = Join::InSequence, .restart_id = 1};
  EXPECT_EQ(rule.check_next(1000, delta(1, 1)), SequenceVerdict::Restart);
  EXPECT_EQ(rule.check_first(1000, delta(1, 1)), SequenceVerdict::Restart);
  EXPECT_EQ(rule.check_next(1, delta(1, 1)), SequenceVerdict::Old);
  EXPECT_EQ(rule.check_next(1, delta(2, 2)), SequenceVerdict::Apply);
  EXPECT_EQ(rule.check_next(1000, delta(999, 999)), SequenceVerdict::Old);
}

// OKX, Bitget, Crypto.com, Deribit: an update that begins within what is applied and ends beyond it breaks
// the chain.
TEST(BookRuleVerdict, AStrictChainKnowsNoOverlap) {
  EXPECT_EQ(kChain.check_next(100, linked(90, 110)), SequenceVerdict::Gap);
  EXPECT_EQ(kChain.check_next(100, linked(110, 120)), SequenceVerdict::Gap);
  EXPECT_EQ(kChain.check_next(100, linked(80, 90)), SequenceVerdict::Old);
  EXPECT_EQ(kChain.check_next(100, linked(90, 100)), SequenceVerdict::Old);
  constexpr BookRule overlapping{.continuity = Continuity::PrevUpToLast, .join = Join::AroundSnapshotId};
  EXPECT_EQ(overlapping.check_next(100, delta(91, 110, 90)), SequenceVerdict::Apply);
}

TEST(BookRuleVerdict, AStrictCounterKnowsNoOverlap) {
  constexpr BookRule rule{.continuity = Continuity::FirstIsNext, .join = Join::InSequence};
  EXPECT_EQ(rule.check_next(100, delta(101, 105)), SequenceVerdict::Apply);
  EXPECT_EQ(rule.check_next(100, delta(100, 105)), SequenceVerdict::Gap);
  EXPECT_EQ(rule.check_next(100, delta(102, 105)), SequenceVerdict::Gap);
  EXPECT_EQ(rule.check_next(100, delta(99, 100)), SequenceVerdict::Old);
}

TEST(BookRuleVerdict, AKeepAliveLinksToTheBookAndToItself) {
  EXPECT_EQ(kChain.check_next(15, linked(15, 15)), SequenceVerdict::KeepAlive);
  EXPECT_EQ(kChain.check_first(15, linked(15, 15)), SequenceVerdict::KeepAlive);
  EXPECT_EQ(kChain.check_next(20, linked(15, 15)), SequenceVerdict::Old);
  EXPECT_EQ(kChain.check_next(10, linked(15, 15)), SequenceVerdict::Gap);
}

// Hyperliquid: the parser gives the time of a frame as its id.
TEST(BookRuleVerdict, IdsThatOnlyGrowTellWhatIsOldAndNoGap) {
  constexpr BookRule rule{.continuity = Continuity::Grows};
  EXPECT_EQ(rule.check_next(100, delta(0, 150)), SequenceVerdict::Apply);
  EXPECT_EQ(rule.check_next(100, delta(0, 100)), SequenceVerdict::Old);
  EXPECT_EQ(rule.check_first(100, delta(0, 90)), SequenceVerdict::Old);
  EXPECT_FALSE(rule.shows_gaps());
}

}  // namespace
}  // namespace mdp::core
