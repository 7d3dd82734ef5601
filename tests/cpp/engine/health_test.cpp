// The table of counters (core/counters.def): what each owner counts comes out of health by the same name.
#include "mdp/engine/health.hpp"

#include <gtest/gtest.h>

#include <set>
#include <string>

namespace mdp::engine {
namespace {

// Each line of the table is given a number of its own, in two owners; health has their sum, and nothing else.
template <class Owner, class Health>
struct Counted {
  Owner owners[2];
  Health health;
  std::uint64_t next = 1;

  void count(core::Counter Owner::* counter) {
    (owners[0].*counter).add(next);
    (owners[1].*counter).add(1000);
    ++next;
  }
  void sum() {
    for (const Owner& owner : owners) add_to(health, owner);
    next = 1;
  }
  std::uint64_t wanted() { return 1000 + next++; }
};

TEST(Health, EveryCounterOfABookManagerIsSummedIntoIt) {
  Counted<book::BookCounters, EngineHealth> books;
#define MDP_BOOK_COUNTER(name, help) books.count(&book::BookCounters::name);
#include "mdp/core/counters.def"
  books.sum();
#define MDP_BOOK_COUNTER(name, help) EXPECT_EQ(books.health.name, books.wanted()) << #name;
#include "mdp/core/counters.def"
  EXPECT_GT(books.next, 20u);
}

TEST(Health, EveryCounterOfThePublisherIsInIt) {
  Counted<publish::PublishCounters, EngineHealth> publisher;
#define MDP_PUBLISH_COUNTER(name, help) publisher.count(&publish::PublishCounters::name);
#include "mdp/core/counters.def"
  publisher.sum();
#define MDP_PUBLISH_COUNTER(name, help) EXPECT_EQ(publisher.health.name, publisher.wanted()) << #name;
#include "mdp/core/counters.def"
  EXPECT_GE(publisher.next, 5u);
}

TEST(Health, EveryCounterOfALineIsInIt) {
  Counted<net::ConnectorCounters, LineHealth> connector;
  Counted<ParseCounters, LineHealth> parser;
  Counted<book::LineCounters, LineHealth> arbiter;
#define MDP_NET_COUNTER(name, help) connector.count(&net::ConnectorCounters::name);
#define MDP_PARSE_COUNTER(name, help) parser.count(&ParseCounters::name);
#define MDP_LINE_COUNTER(name, help) arbiter.count(&book::LineCounters::name);
#include "mdp/core/counters.def"
  connector.sum();
  parser.sum();
  arbiter.sum();
#define MDP_NET_COUNTER(name, help) EXPECT_EQ(connector.health.name, connector.wanted()) << #name;
#define MDP_PARSE_COUNTER(name, help) EXPECT_EQ(parser.health.name, parser.wanted()) << #name;
#define MDP_LINE_COUNTER(name, help) EXPECT_EQ(arbiter.health.name, arbiter.wanted()) << #name;
#include "mdp/core/counters.def"
  EXPECT_GT(connector.next, 10u);
}

TEST(Health, EveryMetricHasItsOwnNameItsOwnTextAndOnePlace) {
  std::set<std::string> texts;
  std::set<std::string> names;
  for (const Metric& metric : metrics()) {
    EXPECT_TRUE(texts.insert(metric.help).second) << metric.name << ": " << metric.help;
    EXPECT_NE((metric.of_engine != nullptr), (metric.of_line != nullptr)) << metric.name;
    EXPECT_TRUE(names.insert((metric.of_line != nullptr ? "line_" : "") + std::string(metric.name)).second)
        << metric.name;
  }
  EXPECT_GT(names.size(), 50u);
}

TEST(Health, AMetricPointsAtTheNumberOfItsName) {
  EngineHealth engine;
  LineHealth line;
  engine.unroutable = 7;
  engine.event_queue_depth = 8;
  line.probes = 9;
  for (const Metric& metric : metrics()) {
    const std::string name = metric.name;
    const std::uint64_t wanted = name == "unroutable"          ? 7
                                 : name == "event_queue_depth" ? 8
                                 : name == "probes"            ? 9
                                                               : 0;
    EXPECT_EQ(metric.of_line != nullptr ? line.*metric.of_line : engine.*metric.of_engine, wanted) << name;
  }
}

}  // namespace
}  // namespace mdp::engine
