// A venue that is everything Binance is not, under faults, against the truth: snapshots in the stream, a
// strict chain whose counter is set back now and then, keep-alive updates, a window that we cut, a checksum
// over all of it. Frames are lost, come twice, change places, are altered, come with a wrong checksum or
// without one; chunks are lost, frames are unreadable, lines go down. The truth is the venue's whole book at
// each id. Whenever a book is LIVE it is the window of the truth at its id, a reader of the events has the
// same, and the known prices that it was told are true; and as soon as the faults pause the book is LIVE at
// the venue's id.
#include <gtest/gtest.h>

#include <deque>
#include <optional>
#include <random>
#include <set>

#include "book/manager_fixture.hpp"
#include "mdp/core/checksum.hpp"

namespace mdp::book {
namespace {

using namespace test;

constexpr std::size_t kWindow = 12;

std::uint32_t toy_checksum(std::span<const PriceLevel> bids, std::span<const PriceLevel> asks,
                           const core::Instrument& instrument) noexcept {
  core::Crc32 crc;
  for (const auto side : {bids, asks}) {
    for (const PriceLevel& level : side) {
      crc.add(core::WrittenDigits(level.price, instrument.price_exponent, 2).text());
      crc.add(core::WrittenDigits(level.quantity, instrument.quantity_exponent, 8).text());
    }
    crc.add("|");
  }
  return crc.value();
}

core::Instrument toy_instrument() {
  core::Instrument instrument;
  instrument.price_exponent = -2;
  instrument.quantity_exponent = -8;
  return instrument;
}

constexpr BookRule kToy{.continuity = core::Continuity::PrevIsLast,
                        .join = core::Join::InSequence,
                        .snapshot_source = core::SnapshotSource::Stream,
                        .window = core::Window::Cut,
                        .lines_share_ids = true,
                        .checksum = {toy_checksum, kWindow}};

// The same without a checksum: there the numbers alone have to be right. Nothing is altered then, for that
// would not show.
constexpr BookRule kUnchecked = [] {
  BookRule rule = kToy;
  rule.checksum = {};
  return rule;
}();

struct Setting {
  const char* name;
  std::size_t lines;
  const BookRule* rule;
};
std::ostream& operator<<(std::ostream& out, const Setting& setting) { return out << setting.name; }

struct Frame {
  UpdateType type = UpdateType::Delta;
  std::uint64_t prev = 0, last = 0;
  std::int64_t exch_ts_ns = 0;
  Levels bids, asks;
  std::optional<std::uint32_t> checksum;
};

class ToyVenue {
 public:
  explicit ToyVenue(std::mt19937_64& random) : random_(random) {
    for (std::int64_t i = 1; i <= 200; ++i) {
      truth.bids[middle_ - i] = i;
      truth.asks[middle_ + i] = i;
    }
    remember();
  }
  std::uint64_t draw(std::uint64_t most) {
    return std::uniform_int_distribution<std::uint64_t>(0, most)(random_);
  }

  // The levels of a side that enter the window or change in it, and those of it that are gone; not those that
  // are pushed out.
  Frame next() {
    const auto before = window();
    move();
    const auto after = window();
    Frame frame = stamped(UpdateType::Delta);
    frame.prev = last_id;
    frame.bids = changes(before.first, after.first, truth.bids);
    frame.asks = changes(before.second, after.second, truth.asks);
    last_id = draw(60) == 0 ? smaller_id() : last_id + 1 + draw(20);
    while (at.contains(last_id)) ++last_id;
    frame.last = last_id;
    frame.checksum = checksum();
    remember();
    return frame;
  }
  Frame keep_alive() {
    Frame frame = stamped(UpdateType::Delta);
    frame.prev = frame.last = last_id;
    if (draw(1) == 0) frame.checksum = checksum();
    return frame;
  }
  Frame snapshot() {
    Frame frame = stamped(UpdateType::Snapshot);
    frame.last = last_id;
    std::tie(frame.bids, frame.asks) = window();
    frame.checksum = checksum();
    return frame;
  }

  BookModel truth;
  std::uint64_t last_id = 1'000'000'000;
  // At each id, which is used once: the best levels, twice as many as the window has.
  std::map<std::uint64_t, std::pair<Levels, Levels>> at;
  std::size_t steps_back = 0;

 private:
  std::pair<Levels, Levels> window() const {
    return {head(truth.best_first_bids(), kWindow), head(truth.best_first_asks(), kWindow)};
  }
  std::uint32_t checksum() const {
    const auto [bids, asks] = window();
    return toy_checksum(bids, asks, toy_instrument());
  }
  Frame stamped(UpdateType type) {
    Frame frame;
    frame.type = type;
    frame.exch_ts_ns = time_ns_ += 1000;
    return frame;
  }
  std::uint64_t smaller_id() {
    ++steps_back;
    return 1 + draw(last_id - 2);
  }
  void remember() {
    at[last_id] = {head(truth.best_first_bids(), 2 * kWindow), head(truth.best_first_asks(), 2 * kWindow)};
  }
  static Levels changes(const Levels& before, const Levels& after, const BookModel::Side& truth) {
    Levels out;
    for (const PriceLevel& level : before) {
      if (!truth.contains(level.price)) out.push_back({level.price, 0});
    }
    for (const PriceLevel& level : after) {
      if (std::find(before.begin(), before.end(), level) == before.end()) out.push_back(level);
    }
    return out;
  }
  void move() {
    if (draw(100) == 0) pace_ = static_cast<std::int64_t>(draw(2)) - 1;
    middle_ += pace_;
    truth.bids.erase(truth.bids.lower_bound(middle_), truth.bids.end());
    truth.asks.erase(truth.asks.begin(), truth.asks.upper_bound(middle_));
    for (std::uint64_t n = 1 + draw(5); n-- > 0;) {
      const auto far = static_cast<std::int64_t>(1 + draw(30));
      const auto quantity = static_cast<std::int64_t>(1 + draw(1000));
      BookModel::Side& side = draw(1) == 0 ? truth.bids : truth.asks;
      const std::int64_t price = &side == &truth.bids ? middle_ - far : middle_ + far;
      if (draw(2) == 0) {
        side.erase(price);
      } else {
        side[price] = quantity;
      }
    }
    // Never fewer than the window has, so that the checksum covers the same number.
    for (std::int64_t i = 1; truth.bids.size() < 2 * kWindow; ++i) truth.bids[middle_ - 40 - i] = i;
    for (std::int64_t i = 1; truth.asks.size() < 2 * kWindow; ++i) truth.asks[middle_ + 40 + i] = i;
  }

  std::mt19937_64& random_;
  std::int64_t middle_ = 100'000;
  std::int64_t pace_ = 0;
  std::int64_t time_ns_ = 1'000'000'000;
};

// One connection: what the venue has sent on it and we have not read.
struct ToyLine {
  core::LineId id = 0;
  bool up = false;
  std::deque<Frame> queue;
};

class StreamRandom : public ManagerTest, public testing::WithParamInterface<Setting> {
 protected:
  void deliver(const ToyLine& on, const Frame& frame) {
    MessageHeader head{};
    head.update_type = frame.type;
    head.line_id = on.id;
    head.prev_update_id = frame.prev;
    head.last_update_id = frame.last;
    head.exch_ts_ns = frame.exch_ts_ns;
    head.recv_ts_ns = now_ns += 1000;
    if (frame.checksum) head.flags = core::kHasChecksum;
    head.checksum = frame.checksum.value_or(0);
    if (frame.type == UpdateType::Snapshot) head.depth_limit = kWindow;
    write(head, frame.bids, frame.asks);
  }
  void go_up(ToyLine& of, ToyVenue& venue) {
    of.up = true;
    line_is(LineState::Up, of.id);
    of.queue.push_back(venue.snapshot());
  }
  void go_down(ToyLine& of) {
    of.up = false;
    of.queue.clear();
    line_is(LineState::Down, of.id);
  }
};

TEST_P(StreamRandom, LiveIsRightAndEveryTroubleEnds) {
  const char* const given = std::getenv("MDP_SEED");
  const std::uint64_t seed = given != nullptr ? std::stoull(given) : std::random_device{}();
  SCOPED_TRACE("MDP_SEED=" + std::to_string(seed));
  std::printf("seed %llu\n", static_cast<unsigned long long>(seed));
  std::mt19937_64 random(seed);
  const char* const stress = std::getenv("MDP_STRESS");
  const std::size_t rounds = 60 * (stress != nullptr ? std::stoul(stress) : 1);

  ToyVenue venue(random);
  const BookRule& rule = *GetParam().rule;
  const bool checked = rule.checksum.of != nullptr;
  std::vector<ToyLine> lines(GetParam().lines);
  std::vector<core::LineId> ids;
  for (ToyLine& of : lines) {
    of.id = static_cast<core::LineId>(ids.size() + 1);
    ids.push_back(of.id);
  }
  manager.add_symbol(0, kExchange, ids, rule, toy_instrument());
  for (ToyLine& of : lines) go_up(of, venue);

  RebuiltBooks rebuilt;
  std::size_t compared = 0, altered = 0;
  std::uint64_t asked_at = 0, step = 0;
  bool asked = false;

  const auto check = [&] {
    for (const Event& event : sink.events) rebuilt.read(event);
    sink.events.clear();
    seen = 0;
    const RebuiltBooks::Book& read = rebuilt.books[0];
    ASSERT_EQ(read.state, state());
    if (state() != BookState::Live) return;
    ASSERT_TRUE(venue.at.contains(id())) << id();
    const auto& [true_bids, true_asks] = venue.at.at(id());
    ASSERT_EQ(bids(), head(true_bids, kWindow)) << "step " << step;
    ASSERT_EQ(asks(), head(true_asks, kWindow)) << "step " << step;
    ASSERT_EQ(read.levels.best_first_bids(), bids());
    ASSERT_EQ(read.levels.best_first_asks(), asks());
    ASSERT_EQ(read.bbo, manager.book(0)->bbo());
    for (const PriceLevel& level : true_bids) {
      if (level.price >= read.known_bid) {
        ASSERT_GE(level.price, bids().back().price) << "step " << step;
      }
    }
    for (const PriceLevel& level : true_asks) {
      if (level.price <= read.known_ask) {
        ASSERT_LE(level.price, asks().back().price) << "step " << step;
      }
    }
    ++compared;
  };
  // The venue goes on by one frame, and control makes the subscription again where it was asked to.
  const auto go_on = [&](bool faults) {
    const Frame frame = venue.draw(15) == 0 ? venue.keep_alive() : venue.next();
    for (ToyLine& of : lines) {
      if (of.up) of.queue.push_back(frame);
    }
    if (!listener.wanted.empty()) asked = true;
    listener.wanted.clear();
    if (!asked && state() != BookState::Live && step - asked_at > 60)
      asked = true;  // an answer was lost: again
    if (asked && state() != BookState::Live && step - asked_at > 5) {
      ToyLine& of = lines[venue.draw(lines.size() - 1)];
      if (of.up && !(faults && venue.draw(4) == 0)) of.queue.push_back(venue.snapshot());
      asked = false;
      asked_at = step;
    }
  };

  for (std::size_t round = 0; round < rounds; ++round) {
    for (int n = 0; n < 300; ++n, ++step) {
      go_on(true);
      for (ToyLine& of : lines) {
        while (of.queue.size() > venue.draw(6)) {
          Frame frame = std::move(of.queue.front());
          of.queue.pop_front();
          switch (venue.draw(150)) {
            case 0:
              break;  // lost
            case 1:
              deliver(of, frame);
              deliver(of, frame);
              break;
            case 2:  // changes places with the next one
              if (!of.queue.empty()) std::swap(frame, of.queue.front());
              deliver(of, frame);
              break;
            case 3:
              if (frame.checksum) frame.checksum = *frame.checksum + 1;
              deliver(of, frame);
              break;
            case 4:
              frame.checksum.reset();
              deliver(of, frame);
              break;
            case 5:
              if (checked && !frame.bids.empty() && frame.checksum) {
                frame.bids.front().quantity += 1;
                ++altered;
              }
              deliver(of, frame);
              break;
            case 6:
              line = of.id;
              invalidate(0, StateReason::ParseError);
              break;
            case 7:
              manager.request_resync(0);
              deliver(of, frame);
              break;
            case 8:
              of.queue.push_front(venue.snapshot());  // out of its order: older frames are still behind it
              of.queue.push_front(frame);
              break;
            default:
              deliver(of, frame);
          }
          ASSERT_NO_FATAL_FAILURE(check());
        }
        if (of.up && venue.draw(400) == 0) {
          go_down(of);
        } else if (!of.up && venue.draw(20) == 0) {
          go_up(of, venue);
        }
        ASSERT_NO_FATAL_FAILURE(check());
      }
    }
    // The faults pause.
    for (ToyLine& of : lines) {
      if (!of.up) go_up(of, venue);
    }
    // A step back of the ids in the last of these steps may need a snapshot: as long again for that.
    for (int n = 0; n < 200 || (n < 400 && state() != BookState::Live); ++n, ++step) {
      go_on(false);
      for (ToyLine& of : lines) {
        for (; !of.queue.empty(); of.queue.pop_front()) {
          deliver(of, of.queue.front());
          ASSERT_NO_FATAL_FAILURE(check());
        }
      }
    }
    ASSERT_EQ(state(), BookState::Live) << "round " << round;
    ASSERT_EQ(id(), venue.last_id) << "round " << round;
  }
  EXPECT_GT(compared, rounds * 300);
  EXPECT_EQ(altered > 0, checked);
  EXPECT_GT(venue.steps_back, rounds);
  if (checked) {
    EXPECT_GT(manager.counters().checksum_mismatches.get(), rounds / 4);
    EXPECT_GT(manager.counters().checksums.get(), rounds * 100);
  }
  EXPECT_GT(manager.counters().gaps.get(), 0u);
  EXPECT_GT(manager.counters().duplicates.get(), 0u);
  EXPECT_GT(manager.counters().snapshots_applied.get(), rounds);
}

INSTANTIATE_TEST_SUITE_P(Settings, StreamRandom,
                         testing::Values(Setting{"OneLine", 1, &kToy}, Setting{"TwoLines", 2, &kToy},
                                         Setting{"OneLineUnchecked", 1, &kUnchecked},
                                         Setting{"TwoLinesUnchecked", 2, &kUnchecked}),
                         [](const auto& setting) { return std::string(setting.param.name); });

}  // namespace
}  // namespace mdp::book
