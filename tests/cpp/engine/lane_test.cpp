// A lane and a venue that speaks in every way a venue may (core::Endpoint): what it asks for, when it is up,
// what it answers. In both topologies.
#include "mdp/engine/lane.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <mutex>
#include <thread>

#include "engine/gzipped.hpp"
#include "engine/toy_venue.hpp"
#include "mdp/engine/stage_thread.hpp"
#include "mdp/net/io_loop.hpp"
#include "net/fake_server.hpp"

namespace mdp::engine {
namespace {

using core::Channel;
using net::test::Connection;
using net::test::eventually;
using net::test::FakeServer;
using std::chrono::milliseconds;
using Texts = std::vector<std::string>;

// The road behind the lane, as far as a test needs it: data by symbol and line, and what was said of lines.
class BehindTheLane final : public core::MessageSink {
 public:
  BehindTheLane() { slot_ = message_.get(); }
  void commit() noexcept override {
    const core::MessageHeader& header = message_->header;
    const std::lock_guard lock(mutex_);
    switch (header.update_type) {
      case core::UpdateType::Line:
        lines_.push_back(static_cast<shm::LineState>(header.reason));
        return;
      case core::UpdateType::Invalidate:
        ++invalidated_;
        return;
      default:
        ++data_;
    }
  }
  long ups() const { return count(shm::LineState::Up); }
  long downs() const { return count(shm::LineState::Down); }
  int data() const {
    const std::lock_guard lock(mutex_);
    return data_;
  }
  int invalidated() const {
    const std::lock_guard lock(mutex_);
    return invalidated_;
  }

 private:
  long count(shm::LineState state) const {
    const std::lock_guard lock(mutex_);
    return std::count(lines_.begin(), lines_.end(), state);
  }

  std::unique_ptr<core::NormalizedMessage> message_ = std::make_unique<core::NormalizedMessage>();
  mutable std::mutex mutex_;
  std::vector<shm::LineState> lines_;
  int data_ = 0;
  int invalidated_ = 0;
};

// What the venue's side of a connection is sent, for the test to look at, and a hand to send with.
class VenueSide {
 public:
  FakeServer server{[this](Connection& connection) {
                      if (!connection.accept_websocket()) return;
                      if (!greeting.empty()) connection.send_text(greeting);
                      {
                        const std::lock_guard lock(mutex_);
                        ++accepted_;
                        newest_ = &connection;
                        upgrade_ = connection.request;
                      }
                      while (const auto frame = connection.read_frame()) {
                        if (frame->opcode == 9) connection.send_frame(10, frame->payload);
                        if (frame->opcode == 8) break;
                        if (frame->opcode != 1) continue;
                        const std::lock_guard lock(mutex_);
                        got_.push_back(frame->payload);
                      }
                      const std::lock_guard lock(mutex_);
                      if (newest_ == &connection) newest_ = nullptr;
                    },
                    {.tls = false}};
  std::string greeting;

  Texts got() const {
    const std::lock_guard lock(mutex_);
    return got_;
  }
  bool got(const std::string& text, long times = 1) const {
    const std::lock_guard lock(mutex_);
    return std::count(got_.begin(), got_.end(), text) >= times;
  }
  std::string upgrade() const {
    const std::lock_guard lock(mutex_);
    return upgrade_;
  }
  int accepted() const {
    const std::lock_guard lock(mutex_);
    return accepted_;
  }
  void say(const std::string& text, int opcode = 1) {
    const std::lock_guard lock(mutex_);
    if (newest_ != nullptr) newest_->send_frame(opcode, text);
  }
  void cut() {
    const std::lock_guard lock(mutex_);
    if (newest_ != nullptr) newest_->shut_down();
  }

 private:
  mutable std::mutex mutex_;
  Connection* newest_ = nullptr;
  int accepted_ = 0;
  std::string upgrade_;  // the newest connection's request for it
  Texts got_;
};

class LaneOf : public testing::TestWithParam<Topology> {
 protected:
  ~LaneOf() override {
    if (lane_) {
      lane_->begin_stop();
      EXPECT_TRUE(eventually([&] { return lane_->stopped(); }));
    }
    loop_.stop();
    if (loop_thread_.joinable()) loop_thread_.join();
    if (parser_thread_) parser_thread_->stop();
  }

  void start() {
    core::SymbolId id = 0;
    for (const char* symbol : {"BTC", "ETH"}) {
      core::Instrument instrument;
      instrument.symbol_id = id++;
      instrument.venue_symbol = symbol;
      symbols_.add(instrument);
    }
    config_.ws_url = venue_side_.server.ws_url("127.0.0.1");
    config_.rest_url = rest_side_.rest_url("127.0.0.1");
    config_.backoff.initial_ms = milliseconds(1);
    config_.backoff.max_ms = milliseconds(4);
    config_.channels = {Channel::Depth, Channel::Trade};
    const net::RestOptions rest_options;  // a default argument makes g++ 12 warn of what is initialized
    rest_ = std::make_unique<net::RestClient>(loop_, config_.rest_url, rest_options);
    const LaneContext context{venue_, config_, engine_config_, symbols_, control_, loop_, *rest_, 0, 0};
    lane_ = std::make_unique<Lane>(context, *road_, GetParam(), queue::IdleMode::Park);
    loop_thread_ = std::thread([this] { loop_.run(queue::IdleMode::Park); });
    if (GetParam() == Topology::Pipelined) {
      parser_thread_ =
          std::make_unique<StageThread>("parser", -1, queue::IdleMode::Park, lane_->wake_signal(), *lane_);
    }
    lane_->add_symbols({"BTC", "ETH"});
    lane_->connect();
  }
  void say(const std::string& text) { venue_side_.say(text); }
  bool hears(const std::string& text, long times = 1) {
    return eventually([&] { return venue_side_.got(text, times); });
  }
  // What is said before it has been handled: its answer comes after.
  bool handled() {
    const std::string number = std::to_string(++beats_);
    say("beat " + number);
    return hears("alive " + number);
  }
  std::uint64_t parse_errors() const {
    std::vector<LineHealth> health;
    lane_->append_health(health);
    std::uint64_t errors = 0;
    for (const LineHealth& line : health) errors += line.parse_errors;
    return errors;
  }

  VenueSide venue_side_;
  std::atomic<int> asked_where_{0};
  FakeServer rest_side_{
      [this](Connection& connection) {
        while (connection.read_request().starts_with("POST /where ")) {
          std::string body = "no idea";
          if (++asked_where_ != 1)
            body.assign("go to ").append(venue_side_.server.ws_url("127.0.0.1")).append("/x");
          connection.write("HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" +
                           body);
        }
      },
      {.tls = false}};
  ToyVenue venue_;
  VenueConfig config_;
  EngineConfig engine_config_;
  core::SymbolTable symbols_;
  ControlQueue control_{256};
  net::IoLoop loop_;
  std::unique_ptr<net::RestClient> rest_;
  const std::unique_ptr<BehindTheLane> road_ = std::make_unique<BehindTheLane>();
  std::unique_ptr<Lane> lane_;
  std::thread loop_thread_;
  std::unique_ptr<StageThread> parser_thread_;
  int beats_ = 0;
};

const std::string kAll = "BTC:depth BTC:trade ETH:depth ETH:trade";

TEST_P(LaneOf, AVenueThatAnswersRequestsHasALineUpWithItsAnswer) {
  start();
  ASSERT_TRUE(hears("sub 1 " + kAll));
  say("data BTC");
  ASSERT_TRUE(handled());
  EXPECT_EQ(road_->data(), 1) << "data may come before the answer";
  EXPECT_EQ(road_->ups(), 0);
  say("ack 1");
  EXPECT_TRUE(eventually([&] { return road_->ups() == 1; }));
}

TEST_P(LaneOf, AVenueThatAnswersByNameHasALineUpWithTheLastOfThem) {
  venue_.endpoint_.answers = core::Answers::PerSubscription;
  start();
  ASSERT_TRUE(hears("sub 1 " + kAll));
  say("data BTC");
  say("ack BTC depth");
  say("ack ETH trade");
  say("no BTC trade");
  ASSERT_TRUE(handled());
  EXPECT_EQ(road_->ups(), 0);
  EXPECT_EQ(road_->data(), 1);
  say("ack ETH depth");
  ASSERT_TRUE(eventually([&] { return road_->ups() == 1; }));
  EXPECT_EQ(road_->invalidated(), 0) << "a trade stream says nothing of the book";
  // The one it refused is not asked for again.
  venue_side_.cut();
  EXPECT_TRUE(hears("sub 2 BTC:depth ETH:depth ETH:trade"));
  std::vector<ControlEvent> told;
  control_.take(told, 256);
  EXPECT_EQ(std::count_if(told.begin(), told.end(),
                          [](const ControlEvent& event) {
                            return event.kind == ControlKind::Rejected && event.channel == Channel::Trade;
                          }),
            1);
}

TEST_P(LaneOf, AStreamThatIsPassedOverInSilenceKeepsNoLineDown) {
  venue_.endpoint_.answers = core::Answers::PerSubscription;
  config_.subscribe_timeout_ms = milliseconds(100);
  start();
  ASSERT_TRUE(hears("sub 1 " + kAll));
  for (const char* answer : {"ack BTC depth", "ack ETH trade", "ack BTC trade"}) say(answer);
  ASSERT_TRUE(hears("sub 2 ETH:depth"));
  EXPECT_TRUE(eventually([&] { return road_->ups() == 1; }));
  // Its refusal may come yet.
  say("no ETH depth");
  EXPECT_TRUE(eventually([&] { return road_->invalidated() == 2; })) << "on both lines of the lane";
  EXPECT_EQ(road_->downs(), 0);
  EXPECT_EQ(venue_side_.accepted(), 1);
}

TEST_P(LaneOf, AVenueThatAnswersNothingHasALineUpWithItsFirstData) {
  venue_.endpoint_.answers = core::Answers::None;
  start();
  ASSERT_TRUE(hears("sub 1 " + kAll));
  say("pong");
  ASSERT_TRUE(handled());
  EXPECT_EQ(road_->ups(), 0);
  say("data ETH");
  ASSERT_TRUE(eventually([&] { return road_->ups() == 1; }));
  EXPECT_EQ(road_->data(), 1);
  // And again on the next connection.
  venue_side_.cut();
  ASSERT_TRUE(hears("sub 2 " + kAll));
  EXPECT_EQ(road_->ups(), 1);
  // The road hears of the loss from the parser's thread, in order with the frames.
  ASSERT_TRUE(eventually([&] { return road_->downs() == 1; }));
  say("data ETH");
  EXPECT_TRUE(eventually([&] { return road_->ups() == 2; }));
}

TEST_P(LaneOf, NothingIsAskedBeforeTheWelcome) {
  venue_.endpoint_.ready = core::Ready::AfterWelcome;
  start();
  ASSERT_TRUE(eventually([&] { return venue_side_.accepted() == 1; }));
  ASSERT_TRUE(handled()) << "what the venue wants to hear it hears before, too";
  lane_->remove_symbol("ETH");
  ASSERT_TRUE(handled());
  EXPECT_EQ(venue_side_.got(), (Texts{"alive 1", "alive 2"}));
  say("welcome");
  ASSERT_TRUE(hears("sub 1 BTC:depth BTC:trade"));
  say("welcome");  // again: nothing is asked twice
  say("ack 1");
  EXPECT_TRUE(eventually([&] { return road_->ups() == 1; }));
  ASSERT_TRUE(handled());
  EXPECT_EQ(venue_side_.got().size(), 4u);
}

TEST_P(LaneOf, AWelcomeThatDoesNotComeEndsTheConnection) {
  venue_.endpoint_.ready = core::Ready::AfterWelcome;
  config_.subscribe_timeout_ms = milliseconds(40);
  start();
  EXPECT_TRUE(eventually([&] { return venue_side_.accepted() >= 3; }));
  std::vector<ControlEvent> told;
  control_.take(told, 256);
  EXPECT_TRUE(std::any_of(told.begin(), told.end(), [](const ControlEvent& event) {
    return event.kind == ControlKind::LineState &&
           std::string_view(event.text).starts_with("no welcome within 40 ms");
  }));
  EXPECT_TRUE(venue_side_.got().empty());
}

TEST_P(LaneOf, AVenueThatMustBeAskedWhereItIsIsAskedBeforeEachConnection) {
  venue_.is_asked_for_its_url_ = true;
  start();
  ASSERT_TRUE(hears("sub 1 " + kAll));
  EXPECT_EQ(asked_where_, 2) << "the first answer could not be read";
  std::vector<ControlEvent> told;
  control_.take(told, 256);
  EXPECT_TRUE(std::any_of(told.begin(), told.end(), [](const ControlEvent& event) {
    return event.kind == ControlKind::LineState &&
           std::string_view(event.text).starts_with("wanted `go to <url>`; next attempt in ");
  }));
  venue_side_.cut();
  ASSERT_TRUE(hears("sub 2 " + kAll));
  EXPECT_EQ(asked_where_, 3);
}

TEST_P(LaneOf, TheUpgradeHasTheHeadersThatTheVenueWants) {
  venue_.endpoint_.upgrade_headers = {{"X-Size-Decimal", "1"}};
  start();
  ASSERT_TRUE(hears("sub 1 " + kAll));
  EXPECT_NE(venue_side_.upgrade().find("\r\nX-Size-Decimal: 1\r\n"), std::string::npos)
      << venue_side_.upgrade();
}

TEST_P(LaneOf, AnswersGoOutBeforeRequestsThatWait) {
  venue_.endpoint_.max_streams_per_request = 1;
  venue_.endpoint_.requests = {2, std::chrono::hours(1)};
  start();
  ASSERT_TRUE(hears("sub 2 BTC:trade"));
  ASSERT_TRUE(handled());
  EXPECT_EQ(venue_side_.got(), (Texts{"sub 1 BTC:depth", "sub 2 BTC:trade", "alive 1"}));
}

TEST_P(LaneOf, AnAnswerThatCannotBeWrittenIsAnErrorOfTheFrame) {
  start();
  ASSERT_TRUE(hears("sub 1 " + kAll));
  say("beat");
  ASSERT_TRUE(handled());
  EXPECT_EQ(parse_errors(), 1u);
}

TEST_P(LaneOf, ResubscribingLeavesAndAsksForTheBookAlone) {
  start();
  ASSERT_TRUE(hears("sub 1 " + kAll));
  say("ack 1");
  ASSERT_TRUE(eventually([&] { return road_->ups() == 1; }));
  lane_->resubscribe("BTC");
  ASSERT_TRUE(hears("sub 3 BTC:depth"));
  EXPECT_EQ(venue_side_.got(), (Texts{"sub 1 " + kAll, "unsub 2 BTC:depth", "sub 3 BTC:depth"}));
  say("ack 2");
  say("ack 3");
  lane_->resubscribe("nobody");
  lane_->remove_symbol("BTC");
  lane_->resubscribe("BTC");
  ASSERT_TRUE(hears("unsub 4 BTC:depth BTC:trade"));
  ASSERT_TRUE(handled());
  EXPECT_EQ(venue_side_.got().size(), 5u);
  EXPECT_EQ(road_->ups(), 1);
  EXPECT_EQ(road_->downs(), 0) << "the line goes on meanwhile";
}

TEST_P(LaneOf, ResubscribingIsTwoRequestsOfTheVenuesLimit) {
  venue_.endpoint_.requests = {2, std::chrono::hours(1)};
  venue_.endpoint_.answers = core::Answers::None;
  start();
  ASSERT_TRUE(hears("sub 1 " + kAll));
  lane_->resubscribe("BTC");
  ASSERT_TRUE(hears("unsub 2 BTC:depth"));
  ASSERT_TRUE(handled());
  EXPECT_FALSE(venue_side_.got("sub 3 BTC:depth")) << "its place is in the next hour";
}

TEST_P(LaneOf, PackedFramesAreReadAndDamagedOnesAreErrors) {
  venue_.endpoint_.frame_coding = core::FrameCoding::Gzip;
  start();
  ASSERT_TRUE(hears("sub 1 " + kAll));
  venue_side_.say(gzipped("ack 1"), 2);
  ASSERT_TRUE(eventually([&] { return road_->ups() == 1; }));
  for (int i = 0; i < 3; ++i) venue_side_.say(gzipped("data BTC"), 2);
  say("data ETH");  // text is plain
  venue_side_.say(gzipped("beat 70"), 2);
  ASSERT_TRUE(hears("alive 70"));
  EXPECT_EQ(road_->data(), 4);
  EXPECT_EQ(parse_errors(), 0u);
  const std::string whole = gzipped("data BTC");
  std::string damaged = whole;
  damaged[damaged.size() - 6] = static_cast<char>(damaged[damaged.size() - 6] ^ 1);
  const std::string bomb = gzipped(std::string(core::kMaxInflatedBytes + 1, ' '));
  ASSERT_LT(bomb.size(), 100'000u);
  for (const std::string& frame : {whole.substr(0, whole.size() - 3), damaged, whole + "x", bomb,
                                   std::string("data BTC"), std::string()}) {
    venue_side_.say(frame, 2);
  }
  venue_side_.say(gzipped("beat 71"), 2);
  ASSERT_TRUE(hears("alive 71"));
  EXPECT_EQ(parse_errors(), 6u);
  EXPECT_EQ(road_->data(), 4);
  std::vector<ControlEvent> told;
  control_.take(told, 256);
  std::vector<std::string> problems;
  for (const ControlEvent& event : told) {
    if (event.kind == ControlKind::ParseError) problems.emplace_back(event.text);
  }
  ASSERT_EQ(problems.size(), 6u);
  EXPECT_EQ(problems[0], "truncated");
}

TEST_P(LaneOf, ALineIsRenewedBesideTheOldOneWhereItsUpdatesHaveTheSameIds) {
  venue_.book_rule_.lines_share_ids = true;
  config_.overlap_ms = milliseconds(0);
  start();
  ASSERT_TRUE(hears("sub 1 " + kAll));
  say("ack 1");
  ASSERT_TRUE(eventually([&] { return road_->ups() == 1; }));
  lane_->renew();
  lane_->tend();
  ASSERT_TRUE(hears("sub 2 " + kAll));
  EXPECT_EQ(road_->downs(), 0);
  say("ack 2");
  ASSERT_TRUE(eventually([&] { return road_->ups() == 2; }));
  EXPECT_EQ(road_->downs(), 0) << "the old one carries everything until then";
  EXPECT_TRUE(eventually([&] {
    lane_->tend();
    return road_->downs() == 1;
  }));
  EXPECT_EQ(venue_side_.accepted(), 2);
}

TEST_P(LaneOf, WhereIdsAreALinesOwnTheOldConnectionEndsBeforeTheNewOneBegins) {
  venue_.book_rule_.lines_share_ids = false;
  start();
  ASSERT_TRUE(hears("sub 1 " + kAll));
  say("ack 1");
  ASSERT_TRUE(eventually([&] { return road_->ups() == 1; }));
  say("bye");
  ASSERT_TRUE(handled());
  lane_->tend();
  ASSERT_TRUE(eventually([&] { return road_->downs() == 1; }));
  ASSERT_TRUE(hears("sub 2 " + kAll));
  for (int i = 0; i < 5; ++i) lane_->tend();  // once is enough
  EXPECT_EQ(road_->ups(), 1) << "no book hears of two lines";
  say("ack 2");
  ASSERT_TRUE(eventually([&] { return road_->ups() == 2; }));
  lane_->tend();
  ASSERT_TRUE(handled());
  EXPECT_EQ(venue_side_.accepted(), 2);
  std::vector<LineHealth> health;
  lane_->append_health(health);
  EXPECT_EQ(health.size(), 1u) << "there never was another line";
}

INSTANTIATE_TEST_SUITE_P(Topologies, LaneOf, testing::Values(Topology::Fused, Topology::Pipelined),
                         [](const auto& param) {
                           return std::string(param.param == Topology::Fused ? "Fused" : "Pipelined");
                         });

}  // namespace
}  // namespace mdp::engine
