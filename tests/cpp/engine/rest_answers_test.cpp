// Lists of instruments that come in several answers.
#include "mdp/engine/rest_answers.hpp"

#include <gtest/gtest.h>

#include <future>
#include <map>
#include <mutex>
#include <thread>

#include "engine/toy_venue.hpp"
#include "net/fake_server.hpp"

namespace mdp::engine {
namespace {

using net::test::Connection;
using net::test::FakeServer;

// Lists symbols as words; "more <target>" at the end names the next page.
class PagedVenue final : public ToyVenue {
 public:
  std::vector<core::RestRequest> instruments_requests() const override {
    return {{"/spot", 3}, {"/swap", 4}};
  }
  core::Expected<std::vector<core::Instrument>, std::string> parse_instruments(
      std::string_view body) const override {
    if (body == "what?") return core::Unexpected{std::string("wanted words")};
    std::vector<core::Instrument> listed;
    body = body.substr(0, body.find(" more "));
    while (!body.empty()) {
      const std::string_view word = body.substr(0, body.find(' '));
      listed.emplace_back().venue_symbol = word;
      body.remove_prefix(std::min(body.size(), word.size() + 1));
    }
    return listed;
  }
  std::optional<core::RestRequest> next_instruments_request(const core::RestRequest& asked,
                                                            std::string_view body) const override {
    EXPECT_FALSE(asked.target.empty());
    const std::size_t at = body.find(" more ");
    if (at == std::string_view::npos) return std::nullopt;
    return core::RestRequest{std::string(body.substr(at + 6)), 1};
  }
  std::int64_t used_weight(const core::RestHeaders& headers) const override {
    for (const auto& [name, value] : headers) {
      if (name == "used") return std::stoll(value);
    }
    return -1;
  }
};

class Listing : public testing::Test {
 protected:
  // What comes of asking a server that has these pages, by target.
  InstrumentList list(std::map<std::string, std::string> pages) {
    FakeServer server(
        [&](Connection& connection) {
          for (std::string request = connection.read_request(); !request.empty();
               request = connection.read_request()) {
            const std::string target = request.substr(4, request.find(' ', 4) - 4);
            asked_.push_back(target);
            const std::string body = pages[target];
            connection.write("HTTP/1.1 " + std::string(body.empty() ? "404 Not Found" : "200 OK") +
                             "\r\nUsed: " + std::to_string(asked_.size()) +
                             "\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body);
          }
        },
        {.tls = false});
    net::IoLoop loop;
    const PagedVenue venue;
    std::promise<InstrumentList> done;
    InstrumentList result;
    {
      const net::RestOptions options;
      net::RestClient rest(loop, server.rest_url("127.0.0.1"), options);
      std::thread thread([&] { loop.run(queue::IdleMode::Park); });
      fetch_instruments(rest, venue, "http://here", std::chrono::minutes(1),
                        [&](InstrumentList answer) { done.set_value(std::move(answer)); });
      result = done.get_future().get();
      loop.stop();
      thread.join();
    }
    return result;
  }
  static std::vector<std::string> names(const InstrumentList& list) {
    std::vector<std::string> names;
    for (const core::Instrument& instrument : list.instruments) names.push_back(instrument.venue_symbol);
    return names;
  }

  std::vector<std::string> asked_;
};

TEST_F(Listing, EveryPageOfEveryRequestIsInTheList) {
  const InstrumentList got = list({{"/spot", "A B more /spot?page=2"},
                                   {"/spot?page=2", "C more /spot?page=3"},
                                   {"/spot?page=3", "D"},
                                   {"/swap", "E F"}});
  EXPECT_EQ(got.error, "");
  EXPECT_EQ(names(got), (std::vector<std::string>{"A", "B", "C", "D", "E", "F"}));
  EXPECT_EQ(asked_, (std::vector<std::string>{"/spot", "/spot?page=2", "/spot?page=3", "/swap"}));
  EXPECT_EQ(got.used_weight, 4) << "as the last answer says";
}

TEST_F(Listing, OnePageThatCannotBeHadIsTheErrorOfTheList) {
  const InstrumentList refused = list({{"/spot", "A more /spot?page=2"}});
  EXPECT_TRUE(refused.instruments.empty());
  EXPECT_TRUE(refused.error.starts_with(
      "toy: cannot list instruments: GET http://here/spot?page=2: HTTP 404 Not Found"))
      << refused.error;
  const InstrumentList unread = list({{"/spot", "A"}, {"/swap", "what?"}});
  EXPECT_TRUE(unread.instruments.empty());
  EXPECT_EQ(unread.error, "toy: cannot list instruments: GET http://here/swap: wanted words");
}

TEST_F(Listing, PagesThatNeverEndAreNotFollowedForEver) {
  const InstrumentList got = list({{"/spot", "A more /spot"}});
  EXPECT_TRUE(got.instruments.empty());
  EXPECT_EQ(got.error, "toy: cannot list instruments: GET http://here/spot: another page after 500");
  EXPECT_EQ(asked_.size(), 501u);
}

TEST(InstrumentsWeight, IsThatOfAllRequests) { EXPECT_EQ(instruments_weight(PagedVenue()), 7u); }

}  // namespace
}  // namespace mdp::engine
