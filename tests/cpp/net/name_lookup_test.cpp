#include "mdp/net/name_lookup.hpp"

#include <gtest/gtest.h>

#include <optional>
#include <thread>

#include "mdp/net/io_loop.hpp"

namespace mdp::net {
namespace {

struct Answer {
  error_code ec;
  std::vector<tcp::endpoint> addresses;
  std::thread::id thread;
};

// Runs the loop on this thread until the answer is there.
Answer ask(const std::string& host) {
  IoLoop loop;
  std::optional<Answer> answer;
  const NameLookup lookup(loop.impl(), host, 443, [&](error_code ec, std::vector<tcp::endpoint> addresses) {
    answer = {ec, std::move(addresses), std::this_thread::get_id()};
    loop.stop();
  });
  EXPECT_FALSE(answer.has_value()) << "called from within";
  loop.run(queue::IdleMode::Park);
  return answer.value_or(Answer{});
}

TEST(NameLookup, AnswerComesOnTheThreadOfTheLoop) {
  const Answer answer = ask("localhost");
  EXPECT_FALSE(answer.ec) << answer.ec.message();
  EXPECT_EQ(answer.thread, std::this_thread::get_id());
  ASSERT_FALSE(answer.addresses.empty());
  for (const auto& address : answer.addresses) {
    EXPECT_TRUE(address.address().is_loopback());
    EXPECT_EQ(address.port(), 443);
  }
}

TEST(NameLookup, WhatNoNameServerIsAskedForIsAnErrorToo) {
  const Answer answer = ask(std::string(300, 'x'));  // too long to be one
  EXPECT_TRUE(answer.ec);
  EXPECT_TRUE(answer.addresses.empty());
}

TEST(NameLookup, NobodyIsToldAfterItsEnd) {
  IoLoop loop;
  bool told = false;
  for (int i = 0; i < 50; ++i) {
    const NameLookup lookup(loop.impl(), "localhost", 443,
                            [&](error_code, const std::vector<tcp::endpoint>&) { told = true; });
    // Some answers are on the loop already when the lookup goes, others come to nobody.
    if (i % 2 == 0) std::this_thread::yield();
  }
  loop.post([&] { loop.stop(); });  // behind every answer that was on the loop
  loop.run(queue::IdleMode::Park);
  EXPECT_FALSE(told);
}

TEST(NameLookup, LoopMayEndBeforeTheAnswer) {
  for (int i = 0; i < 50; ++i) {
    IoLoop loop;
    const NameLookup lookup(loop.impl(), "localhost", 443, [](error_code, const std::vector<tcp::endpoint>&) {
      ADD_FAILURE() << "the loop never ran";
    });
  }
}

}  // namespace
}  // namespace mdp::net
