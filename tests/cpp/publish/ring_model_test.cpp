// The ring's protocol as a small model, tried in every interleaving of one publisher and one reader
// (docs/wire-format.md, section 3): positions count records, a record is two words, the ring holds four.
//
// The model has the steps of RingWriter and RingReader, not their code: what it shows is that the order of
// the steps is right, and that each of them is needed. That the code has this order on real memory is for
// mutation_test.cpp, the crash tests and the thread sanitizer.
#include <gtest/gtest.h>

#include <array>
#include <cstdint>
#include <cstdio>
#include <map>
#include <string>
#include <tuple>

namespace mdp::publish {
namespace {

constexpr int kRing = 4;
constexpr int kRecords = 9;  // the publisher comes round twice

enum class Flaw { None, ReserveLast, NoReserveCheck, CursorFirst };

struct State {
  // Shared memory.
  int reserve = 0;
  int cursor = 0;
  std::array<std::array<int, 2>, kRing> words{{{-1, -1}, {-1, -1}, {-1, -1}, {-1, -1}}};
  // Publisher: the record it writes, and its next step.
  int record = 0;
  int writer_step = 0;
  // Reader: its position, its next step, what it has copied, how many it got and how many it lost.
  int position = 0;
  int reader_step = 0;
  std::array<int, 2> copy{-1, -1};
  int read = 0;
  int lost = 0;

  auto tie() const {
    return std::tie(reserve, cursor, words, record, writer_step, position, reader_step, copy, read, lost);
  }
  friend bool operator<(const State& a, const State& b) { return a.tie() < b.tie(); }
};

class Model {
 public:
  Model(Flaw flaw, int announce_ahead) : flaw_(flaw), ahead_(announce_ahead) {}

  // How many interleavings lead from `state` to the end; `fault` is set if one of them shows the reader what
  // was never written, or a wrong count.
  double explore(const State& state) {
    if (const auto known = paths_.find(state); known != paths_.end()) return known->second;
    double paths = 0;
    if (state.record < kRecords) paths += explore(after_writer(state));
    if (State next = state; step_reader(next)) paths += explore(next);
    if (state.record == kRecords && state.position == state.cursor) {
      if (state.read + state.lost != kRecords) fault = "read and lost do not make up what was written";
      paths = 1;
    }
    paths_.emplace(state, paths);
    return paths;
  }

  std::size_t states() const { return paths_.size(); }
  std::string fault;

 private:
  // Announce, first word, second word, publish: one step each.
  State after_writer(State state) const {
    static constexpr int kOrder[][4] = {{0, 1, 2, 3}, {1, 2, 0, 3}, {0, 1, 2, 3}, {3, 0, 1, 2}};
    const int action = kOrder[static_cast<int>(flaw_)][state.writer_step];
    auto& slot = state.words[static_cast<std::size_t>(state.record % kRing)];
    if (action == 0 && state.reserve < state.record + 1) state.reserve = state.record + ahead_;
    if (action == 1) slot[0] = state.record;
    if (action == 2) slot[1] = state.record;
    if (action == 3) state.cursor = state.record + 1;
    if (++state.writer_step == 4) {
      state.writer_step = 0;
      ++state.record;
    }
    return state;
  }

  void lapped(State& state) const {
    const int resume = state.cursor - kRing / 2;  // as far back as leaves room
    state.lost += resume - state.position;
    state.position = resume;
    state.reader_step = 0;
  }

  // False: the reader has nothing to do.
  bool step_reader(State& state) {
    const auto& slot = state.words[static_cast<std::size_t>(state.position % kRing)];
    switch (state.reader_step) {
      case 0:
        if (state.cursor == state.position) return false;
        if (state.cursor - state.position > kRing) return lapped(state), true;
        state.reader_step = 1;
        return true;
      case 1:
      case 2:
        state.copy[static_cast<std::size_t>(state.reader_step - 1)] =
            slot[static_cast<std::size_t>(state.reader_step - 1)];
        ++state.reader_step;
        return true;
      default:
        if (flaw_ != Flaw::NoReserveCheck && state.reserve - state.position > kRing) {
          return lapped(state), true;
        }
        if (state.copy != std::array{state.position, state.position}) fault = "a torn record was returned";
        state.copy = {-1, -1};
        ++state.position;
        ++state.read;
        state.reader_step = 0;
        return true;
    }
  }

  Flaw flaw_;
  int ahead_;
  std::map<State, double> paths_;
};

TEST(RingModel, NoInterleavingTearsOrMiscounts) {
  for (const int ahead : {1, 2}) {  // announced record by record, or further ahead
    Model model(Flaw::None, ahead);
    const double interleavings = model.explore({});
    EXPECT_EQ(model.fault, "");
    EXPECT_GT(interleavings, 1e6);
    std::printf("ring model, announced %d ahead: %.3g interleavings over %zu states\n", ahead, interleavings,
                model.states());
  }
}

TEST(RingModel, EveryStepIsNeeded) {
  for (const Flaw flaw : {Flaw::ReserveLast, Flaw::NoReserveCheck, Flaw::CursorFirst}) {
    Model model(flaw, 1);
    model.explore({});
    EXPECT_EQ(model.fault, "a torn record was returned") << "flaw " << static_cast<int>(flaw);
  }
}

}  // namespace
}  // namespace mdp::publish
