// The requests of a lane as a venue sees them: cut to what it takes, halved where it refuses or does not
// answer.
#include "mdp/engine/subscriptions.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "engine/toy_venue.hpp"
#include "mdp/venue/registry.hpp"

namespace mdp::engine {
namespace {

using core::Channel;
using Streams = std::vector<std::string>;

const core::Venue& venue() {
  static const std::unique_ptr<core::Venue> binance = venue::make_venue("binance", {});
  return *binance;
}

Subscriptions::List symbols(int count, int from = 0) {
  Subscriptions::List list;
  for (int i = from; i < from + count; ++i) {
    for (const Channel channel : {Channel::Depth, Channel::Trade, Channel::Quote})
      list.push_back({"COIN" + std::to_string(i) + "USDT", channel});
  }
  return list;
}

// The streams that a SUBSCRIBE names.
Streams streams_of(const std::string& frame) {
  Streams streams;
  const std::size_t end = frame.find(']');
  for (std::size_t at = frame.find('[') + 1; at < end;) {
    const std::size_t close = frame.find('"', at + 1);
    streams.push_back(frame.substr(at + 1, close - at - 1));
    at = close + 2;
  }
  return streams;
}

// A venue that has been sent these requests: what it was asked for, by id.
std::map<std::int64_t, Streams> by_id(const net::Requests& requests) {
  std::map<std::int64_t, Streams> asked;
  for (std::size_t i = 0; i < requests.frames.size(); ++i) {
    const std::int64_t id = requests.first_id + static_cast<std::int64_t>(i);
    EXPECT_TRUE(requests.frames[i].ends_with("],\"id\":" + std::to_string(id) + "}")) << requests.frames[i];
    asked[id] = streams_of(requests.frames[i]);
  }
  return asked;
}

TEST(Subscriptions, RequestsAreCutToTheBytesAndTheStreamsThatTheVenueTakes) {
  // 90 symbols made a request of 4,572 bytes, which is more than some venues read.
  Subscriptions subscriptions(venue());
  subscriptions.add(symbols(90));
  const net::Requests requests = subscriptions.begin(0);
  const auto asked = by_id(requests);
  Streams all;
  for (const auto& [id, streams] : asked) {
    EXPECT_LE(streams.size(), venue().endpoint().max_streams_per_request);
    all.insert(all.end(), streams.begin(), streams.end());
  }
  EXPECT_EQ(all.size(), 270u);
  EXPECT_EQ(std::set<std::string>(all.begin(), all.end()).size(), 270u);
  EXPECT_EQ(all.front(), "coin0usdt@depth@100ms");
  for (const std::string& frame : requests.frames) EXPECT_LE(frame.size(), 4'000u);
  EXPECT_EQ(requests.frames.size(), 2u) << "and no more of them than it takes";
  EXPECT_GT(requests.frames.front().size(), 3'800u);
}

TEST(Subscriptions, ManyShortStreamsAreCutByTheirNumber) {
  Subscriptions subscriptions(venue());
  Subscriptions::List list;
  for (int i = 0; i < 1024; ++i) list.push_back({std::to_string(i), Channel::Trade});
  subscriptions.add(list);
  const net::Requests requests = subscriptions.begin(0);
  EXPECT_EQ(requests.frames.size(), 6u);
  for (const std::string& frame : requests.frames) EXPECT_LE(streams_of(frame).size(), 200u);
}

TEST(Subscriptions, OneStreamThatIsLongerThanARequestMayBeIsAskedForAlone) {
  Subscriptions subscriptions(venue());
  Subscriptions::List list = symbols(1);
  list.push_back({std::string(5'000, 'X'), Channel::Trade});
  list.push_back({"YUSDT", Channel::Trade});
  subscriptions.add(list);
  const net::Requests requests = subscriptions.begin(0);
  ASSERT_EQ(requests.frames.size(), 3u);
  EXPECT_EQ(streams_of(requests.frames[0]).size(), 3u);
  EXPECT_EQ(streams_of(requests.frames[1]).size(), 1u);
  EXPECT_EQ(streams_of(requests.frames[2]), Streams{"yusdt@trade"});
}

TEST(Subscriptions, AConnectionIsConfirmedWhenEachOfItsRequestsIsAnswered) {
  Subscriptions subscriptions(venue());
  EXPECT_TRUE(subscriptions.begin(0).frames.empty());
  EXPECT_TRUE(subscriptions.is_confirmed(0)) << "there is nothing to confirm";
  subscriptions.add(symbols(90));
  const auto asked = by_id(subscriptions.begin(0));
  const auto other = by_id(subscriptions.begin(1));
  for (const auto& [id, streams] : asked) {
    EXPECT_FALSE(subscriptions.is_confirmed(0));
    EXPECT_FALSE(subscriptions.answered(1, id, false).is_known) << "it was the other connection's";
    EXPECT_TRUE(subscriptions.answered(0, id, false).is_known);
    EXPECT_FALSE(subscriptions.answered(0, id, false).is_known) << "twice";
  }
  EXPECT_TRUE(subscriptions.is_confirmed(0));
  EXPECT_FALSE(subscriptions.is_confirmed(1));
  subscriptions.end(1);
  EXPECT_TRUE(subscriptions.is_confirmed(1));
  // An id is never used again: a late answer is to nothing.
  for (const auto& [id, streams] : by_id(subscriptions.begin(1))) EXPECT_GT(id, other.rbegin()->first);
  EXPECT_FALSE(subscriptions.answered(1, other.begin()->first, false).is_known);
}

TEST(Subscriptions, SymbolsComeAndGoWithRequestsOfTheirOwn) {
  Subscriptions subscriptions(venue());
  subscriptions.add(symbols(1));
  subscriptions.begin(0);
  subscriptions.add(symbols(1, 1));
  EXPECT_EQ(by_id(subscriptions.ask(0, symbols(1, 1))),
            (std::map<std::int64_t, Streams>{
                {2, {"coin1usdt@depth@100ms", "coin1usdt@trade", "coin1usdt@bookTicker"}}}));
  EXPECT_EQ(subscriptions.count(), 6u);
  subscriptions.remove("COIN0USDT");
  const net::Requests left = subscriptions.leave(symbols(1));
  ASSERT_EQ(left.frames.size(), 1u);
  EXPECT_EQ(left.first_id, 3);
  EXPECT_TRUE(left.frames[0].starts_with(R"({"method":"UNSUBSCRIBE","params":["coin0usdt@depth@100ms",)"));
  EXPECT_EQ(subscriptions.count(), 3u);
  EXPECT_EQ(by_id(subscriptions.begin(0)).begin()->second.front(), "coin1usdt@depth@100ms");
}

// Plays a venue until nothing is left to answer: `judge` says what it does with a request.
enum class Does { Answer, Refuse, Nothing };
struct Played {
  bool is_to_blame = false;
  Streams taken;
  Streams given_up;
  int rounds = 0;  // of requests that were not answered
};
Played play(Subscriptions& subscriptions, const std::function<Does(const std::string& frame)>& judge) {
  Played played;
  std::vector<net::Requests> sent{subscriptions.begin(0)};
  while (!sent.empty()) {
    std::vector<std::int64_t> unanswered;
    for (std::size_t i = 0; i < sent.size(); ++i) {
      const net::Requests requests = sent[i];
      for (const auto& [id, streams] : by_id(requests)) {
        const std::string& frame = requests.frames[static_cast<std::size_t>(id - requests.first_id)];
        const Does does = judge(frame);
        if (does == Does::Nothing) {
          unanswered.push_back(id);
          continue;
        }
        Subscriptions::Answer answer = subscriptions.answered(0, id, does == Does::Refuse);
        if (does == Does::Answer) played.taken.insert(played.taken.end(), streams.begin(), streams.end());
        if (answer.given_up) played.given_up.push_back(streams.front());
        if (!answer.again.frames.empty()) sent.push_back(std::move(answer.again));
      }
    }
    sent.clear();
    if (!unanswered.empty()) ++played.rounds;
    for (const std::int64_t id : unanswered) {
      net::Requests instead = subscriptions.unanswered(0, id);
      if (instead.frames.empty()) {
        played.is_to_blame = true;
        return played;
      }
      sent.push_back(std::move(instead));
    }
  }
  return played;
}

TEST(Subscriptions, ARefusedRequestIsHalvedUntilTheStreamThatIsWrongIsFound) {
  Subscriptions subscriptions(venue());
  subscriptions.add(symbols(90));
  const auto refuse = [](const std::string& frame) {
    return frame.find("\"coin7usdt@trade\"") != std::string::npos ||
                   frame.find("\"coin77usdt@bookTicker\"") != std::string::npos
               ? Does::Refuse
               : Does::Answer;
  };
  const Played played = play(subscriptions, refuse);
  EXPECT_EQ(std::set<std::string>(played.given_up.begin(), played.given_up.end()),
            (std::set<std::string>{"coin7usdt@trade", "coin77usdt@bookTicker"}));
  EXPECT_EQ(played.taken.size(), 268u);
  EXPECT_TRUE(subscriptions.is_confirmed(0));
  EXPECT_EQ(subscriptions.count(), 268u) << "the next connection does not ask for them";
  EXPECT_EQ(subscriptions.max_request_bytes(), 4'000u) << "that says nothing of lengths";
}

TEST(Subscriptions, AVenueThatLeavesLongRequestsUnansweredGetsShorterOnes) {
  for (const std::size_t most : {100u, 250u, 999u, 2'500u}) {
    Subscriptions subscriptions(venue());
    subscriptions.add(symbols(90));
    const auto judge = [&](const std::string& frame) {
      return frame.size() > most ? Does::Nothing : Does::Answer;
    };
    const Played played = play(subscriptions, judge);
    EXPECT_FALSE(played.is_to_blame) << most;
    EXPECT_EQ(std::set<std::string>(played.taken.begin(), played.taken.end()).size(), 270u) << most;
    EXPECT_TRUE(subscriptions.is_confirmed(0)) << most;
    EXPECT_TRUE(played.given_up.empty()) << most;
    EXPECT_LE(subscriptions.max_request_bytes(), most);
    EXPECT_GE(subscriptions.max_request_bytes(), std::min<std::size_t>(most / 3, 60)) << most;
    // The next connection begins with what is answered.
    const Played next = play(subscriptions, judge);
    EXPECT_EQ(next.rounds, 0) << most;
    EXPECT_EQ(next.taken.size(), 270u) << most;
  }
}

TEST(Subscriptions, AConnectionThatAnswersNothingIsToBlameAfterOneRoundMore) {
  Subscriptions subscriptions(venue());
  subscriptions.add(symbols(90));
  const Played played = play(subscriptions, [](const std::string&) { return Does::Nothing; });
  EXPECT_TRUE(played.is_to_blame);
  EXPECT_EQ(played.rounds, 2) << "not one for each halving down to a single stream";
  EXPECT_EQ(subscriptions.max_request_bytes(), 4'000u) << "which says nothing of lengths";
}

TEST(Subscriptions, AVenueThatLeavesLongRequestsUnansweredMayRefuseAStreamToo) {
  Subscriptions subscriptions(venue());
  subscriptions.add(symbols(90));
  const Played played = play(subscriptions, [](const std::string& frame) {
    if (frame.size() > 1'000) return Does::Nothing;
    return frame.find("\"coin7usdt@trade\"") != std::string::npos ? Does::Refuse : Does::Answer;
  });
  EXPECT_FALSE(played.is_to_blame);
  EXPECT_EQ(played.given_up, Streams{"coin7usdt@trade"});
  EXPECT_EQ(std::set<std::string>(played.taken.begin(), played.taken.end()).size(), 269u);
}

TEST(Subscriptions, WhatWasRemovedMeanwhileIsNotAskedForAgain) {
  for (const bool refused : {true, false}) {
    Subscriptions subscriptions(venue());
    subscriptions.add(symbols(3));
    const net::Requests first = subscriptions.begin(0);
    ASSERT_EQ(first.frames.size(), 1u);
    subscriptions.remove("COIN1USDT");
    const net::Requests again = refused ? subscriptions.answered(0, first.first_id, true).again
                                        : subscriptions.unanswered(0, first.first_id);
    std::size_t streams = 0;
    for (const std::string& frame : again.frames) {
      streams += streams_of(frame).size();
      EXPECT_EQ(frame.find("coin1usdt"), std::string::npos) << frame;
    }
    EXPECT_EQ(streams, 6u);
  }
}

TEST(Subscriptions, ALateAnswerToWhatWasCutIsToNothing) {
  Subscriptions subscriptions(venue());
  subscriptions.add(symbols(2));
  const net::Requests first = subscriptions.begin(0);
  const net::Requests again = subscriptions.unanswered(0, first.first_id);
  ASSERT_EQ(again.frames.size(), 3u);
  EXPECT_EQ(streams_of(again.frames[0]), Streams{"coin0usdt@depth@100ms"});
  EXPECT_FALSE(subscriptions.answered(0, first.first_id, false).is_known);
  EXPECT_FALSE(subscriptions.is_confirmed(0));
  EXPECT_TRUE(subscriptions.unanswered(0, again.first_id).frames.empty()) << "a single stream";
  EXPECT_TRUE(subscriptions.unanswered(0, 99).frames.empty()) << "not ours";
}

// ---- venues that answer in another way

class OtherwiseAnswering final : public ToyVenue {
 public:
  explicit OtherwiseAnswering(core::Answers answers, std::size_t streams = 4) {
    endpoint_.answers = answers;
    endpoint_.max_streams_per_request = streams;
  }
};

const core::Subscription kDepthOf0{"COIN0USDT", Channel::Depth};
const core::Subscription kTradeOf0{"COIN0USDT", Channel::Trade};
const core::Subscription kQuoteOf0{"COIN0USDT", Channel::Quote};
const core::Subscription kDepthOf1{"COIN1USDT", Channel::Depth};

TEST(Subscriptions, AnswersByNameConfirmARequestWhenEachOfItsStreamsHasOne) {
  const OtherwiseAnswering by_name(core::Answers::PerSubscription);
  Subscriptions subscriptions(by_name);
  subscriptions.add(symbols(2));  // requests of 4 and 2 streams
  const net::Requests requests = subscriptions.begin(0);
  ASSERT_EQ(requests.frames.size(), 2u);
  EXPECT_EQ(requests.first_id, 1);
  for (const core::Subscription& one : {kTradeOf0, kDepthOf1, kQuoteOf0}) {
    const Subscriptions::Answer answer = subscriptions.answered(0, one, false);
    EXPECT_TRUE(answer.is_known);
    EXPECT_EQ(answer.completed, 0);
    EXPECT_FALSE(subscriptions.answered(0, one, false).is_known) << "twice";
  }
  EXPECT_FALSE(subscriptions.answered(1, kDepthOf0, false).is_known) << "of another connection";
  EXPECT_EQ(subscriptions.answered(0, kDepthOf0, false).completed, 1);
  EXPECT_FALSE(subscriptions.is_confirmed(0));
  EXPECT_EQ(subscriptions.answered(0, {"COIN1USDT", Channel::Trade}, false).completed, 0);
  EXPECT_EQ(subscriptions.answered(0, {"COIN1USDT", Channel::Quote}, false).completed, 2);
  EXPECT_TRUE(subscriptions.is_confirmed(0));
}

TEST(Subscriptions, ARefusalByNameGivesUpThatStreamAloneAndHalvesNothing) {
  const OtherwiseAnswering by_name(core::Answers::PerSubscription);
  Subscriptions subscriptions(by_name);
  subscriptions.add(symbols(1));
  subscriptions.begin(0);
  const Subscriptions::Answer answer = subscriptions.answered(0, kTradeOf0, true);
  ASSERT_TRUE(answer.given_up.has_value());
  EXPECT_EQ(answer.given_up->channel, Channel::Trade);
  EXPECT_TRUE(answer.again.frames.empty());
  EXPECT_FALSE(subscriptions.has(kTradeOf0));
  EXPECT_EQ(subscriptions.count(), 2u);
  subscriptions.answered(0, kDepthOf0, false);
  EXPECT_EQ(subscriptions.answered(0, kQuoteOf0, false).completed, 1);
  EXPECT_TRUE(subscriptions.is_confirmed(0));
}

TEST(Subscriptions, AStreamPassedOverInSilenceIsAskedForOnceMoreAndNobodyWaits) {
  const OtherwiseAnswering by_name(core::Answers::PerSubscription);
  Subscriptions subscriptions(by_name);
  subscriptions.add(symbols(1));
  subscriptions.begin(0);
  subscriptions.answered(0, kTradeOf0, false);
  const net::Requests again = subscriptions.unanswered(0, 1);
  ASSERT_EQ(again.frames.size(), 1u);
  EXPECT_EQ(again.frames[0], "sub 2 COIN0USDT:depth COIN0USDT:quote");
  EXPECT_EQ(again.first_id, 0) << "the connection does not wait for it";
  EXPECT_TRUE(subscriptions.is_confirmed(0));
  // What the venue says of it after all counts.
  EXPECT_TRUE(subscriptions.answered(0, kDepthOf0, false).is_known);
  EXPECT_TRUE(subscriptions.answered(0, kQuoteOf0, true).given_up.has_value());
  EXPECT_EQ(subscriptions.count(), 2u);
}

TEST(Subscriptions, ASingleStreamIsPassedOverWhereOthersAreAnsweredElseTheConnectionIsToBlame) {
  const OtherwiseAnswering by_name(core::Answers::PerSubscription, 1);
  Subscriptions subscriptions(by_name);
  subscriptions.add(symbols(1));
  ASSERT_EQ(subscriptions.begin(0).frames.size(), 3u);
  EXPECT_TRUE(subscriptions.unanswered(0, 1).frames.empty()) << "nothing was answered yet";
  subscriptions.begin(1);  // requests 4 to 6
  subscriptions.answered(1, kTradeOf0, false);
  EXPECT_EQ(subscriptions.unanswered(1, 4).frames, Streams{"sub 7 COIN0USDT:depth"});
  EXPECT_FALSE(subscriptions.is_confirmed(1));
  subscriptions.answered(1, kQuoteOf0, false);
  EXPECT_TRUE(subscriptions.is_confirmed(1));
  subscriptions.begin(1);
  EXPECT_FALSE(subscriptions.is_confirmed(1)) << "the next connection asks for all of them";
  EXPECT_TRUE(subscriptions.unanswered(1, 8).frames.empty()) << "and has answered nothing yet";
}

TEST(Subscriptions, AnUnansweredRequestByNameIsHalvedWhereNothingOfItWasAnswered) {
  const OtherwiseAnswering by_name(core::Answers::PerSubscription);
  Subscriptions subscriptions(by_name);
  subscriptions.add(symbols(2));  // requests of 4 and 2 streams
  subscriptions.begin(0);
  subscriptions.answered(0, {"COIN1USDT", Channel::Trade}, false);
  const net::Requests again = subscriptions.unanswered(0, 1);
  EXPECT_EQ(again.frames, (Streams{"sub 3 COIN0USDT:depth", "sub 4 COIN0USDT:trade COIN0USDT:quote",
                                   "sub 5 COIN1USDT:depth"}));
  EXPECT_EQ(again.first_id, 3);
}

TEST(Subscriptions, AVenueThatAnswersNothingHasConfirmedAtOnce) {
  const OtherwiseAnswering mute(core::Answers::None);
  Subscriptions subscriptions(mute);
  subscriptions.add(symbols(2));
  EXPECT_EQ(subscriptions.begin(0).frames.size(), 2u);
  EXPECT_TRUE(subscriptions.is_confirmed(0));
  EXPECT_FALSE(subscriptions.answered(0, kDepthOf0, true).is_known);
}

TEST(Subscriptions, AnswersToALeaveAreAwaitedByTheirIdsAlone) {
  for (const auto answers : {core::Answers::PerFrame, core::Answers::PerSubscription, core::Answers::None}) {
    const OtherwiseAnswering venue_of(answers);
    Subscriptions subscriptions(venue_of);
    subscriptions.add(symbols(1));
    subscriptions.begin(0);
    const net::Requests left = subscriptions.leave({kDepthOf0});
    EXPECT_EQ(left.frames, Streams{"unsub 2 COIN0USDT:depth"});
    EXPECT_EQ(left.first_id, answers == core::Answers::PerFrame ? 2 : 0);
  }
}

}  // namespace
}  // namespace mdp::engine
