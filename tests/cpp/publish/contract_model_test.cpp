// Two protocols of the segment as small models, each tried in every interleaving: the doorbell
// (docs/wire-format.md, section 9), and a join at the newest whole book (section 5). They have the steps of
// IPCPublisher and of the readers, not their code, and show that the order of the steps is right and that
// each of them is needed.
#include <gtest/gtest.h>

#include <array>
#include <set>
#include <string>
#include <vector>

namespace mdp::publish {
namespace {

// Goes through every state that can be reached from `state`.
template <class State, class Model>
void explore(Model& model, const State& state, std::set<State>& seen) {
  if (!seen.insert(state).second) return;
  for (const State& next : model.after(state)) explore(model, next, seen);
}

// ---- the doorbell -----------------------------------------------------------------------------------------

constexpr int kRecords = 3;
constexpr int kReaders = 2;

enum class BellFlaw {
  None,
  NoPause,
  NoPauseButHeartbeat,
  PlainClear,
  ClearsRequestsForTheNext,
  ReplacesLater,
  WakesNobody
};

struct BellState {
  int cursor = 0;    // as others see it
  int buffered = 0;  // as the publisher has stored it: its store may get out later than its next load is done
  int waiting = 0;   // 0, or the cursor that a reader saw, plus 1
  int record = 0;
  int step = 0;  // of the publisher: 0 store, 1 look, 2 clear, 3 wake, 4 the last heartbeat is to come
  int looked = 0;
  bool beaten = false;
  struct Reader {
    int position = 0;
    int step = 0;  // 0 read, 1 ask, 2 pause, 3 sleep if nothing came, 4 asleep, 5 wake whom it replaced
    friend auto operator<=>(const Reader&, const Reader&) = default;
  };
  std::array<Reader, kReaders> readers;
  friend auto operator<=>(const BellState&, const BellState&) = default;
};

class BellModel {
 public:
  explicit BellModel(BellFlaw flaw) : flaw_(flaw) {}

  std::vector<BellState> after(const BellState& now) {
    std::vector<BellState> next;
    if (now.cursor != now.buffered) {  // the store gets out
      next.push_back(now);
      next.back().cursor = now.buffered;
    }
    publisher(now, next);
    for (std::size_t i = 0; i < kReaders; ++i) reader(now, i, next);
    if (next.empty()) {
      for (const auto& one : now.readers) {
        if (one.position != now.cursor) fault = "a reader sleeps, and there is something new";
      }
    }
    return next;
  }
  std::string fault;

 private:
  bool wanted(const BellState& state) const {
    if (flaw_ == BellFlaw::ClearsRequestsForTheNext) return state.looked != 0;
    return state.looked != 0 && state.looked - 1 != state.buffered;
  }
  bool pauses() const { return flaw_ != BellFlaw::NoPause && flaw_ != BellFlaw::NoPauseButHeartbeat; }
  static void wake(BellState& state) {
    for (auto& one : state.readers) {
      if (one.step == 4) one.step = 0;
    }
  }
  void publisher(const BellState& now, std::vector<BellState>& next) const {
    BellState state = now;
    switch (now.step) {
      case 0:
        if (now.record == kRecords) {
          if (flaw_ != BellFlaw::NoPauseButHeartbeat || now.beaten || now.cursor != now.buffered) return;
          // The heartbeat looks for who was missed.
          state.beaten = true;
          if (state.waiting != 0 && state.waiting - 1 != state.cursor) wake(state);
          return next.push_back(state);
        }
        if (now.cursor != now.buffered) return;  // the model's store buffer has room for one
        state.buffered = ++state.record;
        state.step = 1;
        return next.push_back(state);
      case 1:
        state.looked = state.waiting;
        state.step = wanted(state) ? 2 : 0;
        return next.push_back(state);
      case 2:  // a locked instruction: what was stored before is out
        state.cursor = state.buffered;
        if (flaw_ == BellFlaw::PlainClear || state.waiting == state.looked) state.waiting = 0;
        state.step = 3;
        return next.push_back(state);
      default:
        wake(state);
        state.step = 0;
        return next.push_back(state);
    }
  }
  void reader(const BellState& now, std::size_t i, std::vector<BellState>& next) const {
    BellState state = now;
    auto& one = state.readers[i];
    switch (one.step) {
      case 0:
        if (one.position != state.cursor) {
          one.position = state.cursor;
        } else {
          one.step = 1;
        }
        break;
      case 1:
        if (state.waiting > one.position + 1 && flaw_ != BellFlaw::ReplacesLater) {
          one.step = 0;
          break;
        }
        one.step = pauses() ? 2 : 3;
        if (state.waiting != 0 && state.waiting != one.position + 1 && flaw_ != BellFlaw::WakesNobody) {
          one.step = 5;
        }
        state.waiting = one.position + 1;
        break;
      case 5:
        wake(state);
        one.step = pauses() ? 2 : 3;
        break;
      case 2:  // longer than a store takes to get out
        if (state.cursor != state.buffered) return;
        one.step = 3;
        break;
      case 3:  // the kernel compares and sleeps in one step
        one.step = one.position == state.cursor ? 4 : 0;
        break;
      default:
        return;
    }
    next.push_back(state);
  }

  BellFlaw flaw_;
};

std::string bell_fault(BellFlaw flaw) {
  BellModel model(flaw);
  std::set<BellState> seen;
  explore(model, BellState{}, seen);
  EXPECT_GT(seen.size(), 500U);
  return model.fault;
}

TEST(BellModel, NobodySleepsThroughARecord) { EXPECT_EQ(bell_fault(BellFlaw::None), ""); }

TEST(BellModel, EveryStepIsNeeded) {
  EXPECT_NE(bell_fault(BellFlaw::NoPause), "") << "the publisher looked before its store was seen";
  EXPECT_NE(bell_fault(BellFlaw::PlainClear), "") << "who asked in between was wiped out";
  EXPECT_NE(bell_fault(BellFlaw::ClearsRequestsForTheNext), "") << "and is not rung for again";
  EXPECT_NE(bell_fault(BellFlaw::ReplacesLater), "");
  EXPECT_NE(bell_fault(BellFlaw::WakesNobody), "") << "whom it replaced sleeps on";
}

TEST(BellModel, TheHeartbeatFindsWhoWasMissed) { EXPECT_EQ(bell_fault(BellFlaw::NoPauseButHeartbeat), ""); }

// ---- a join at the newest whole book ----------------------------------------------------------------------

enum class JoinFlaw { None, EntryBeforeCommit, NotTheFirstRecord, EntryNotLocked };

// The publisher writes deltas and, now and then, the whole book in two records; a joiner copies the entry and
// reads from where it points to. Contents are version numbers: a book is right when each of its two parts has
// the version that the deltas have led to.
struct JoinState {
  std::array<int, 12> ring{};  // what each record holds: a delta is its version, a part of a book 100 + that
  int written = 0, cursor = 0, version = 0;
  int step = 0;  // of the publisher's script
  int seq = 0, refresh = -1, entry_position = 0, entry_version = 0;
  int reader = 0;  // 0 and 1: copy the entry; 2: read; 3: done
  int seen_seq = 0, at = 0, until = 0, wanted = 0, book = -1, parts = 0;
  friend auto operator<=>(const JoinState&, const JoinState&) = default;
};

class JoinModel {
 public:
  explicit JoinModel(JoinFlaw flaw) : flaw_(flaw) {}

  std::vector<JoinState> after(const JoinState& now) {
    std::vector<JoinState> next;
    if (now.step < 3 * kSteps) next.push_back(publisher(now));
    JoinState state = now;
    if (joiner(state)) next.push_back(state);
    return next;
  }
  std::string fault;
  int joined = 0;

 private:
  static constexpr int kSteps = 8;

  // One round: a delta and its entry, then the whole book again and its entry.
  JoinState publisher(JoinState state) const {
    const auto append = [&](int what) { state.ring[static_cast<std::size_t>(state.written++)] = what; };
    const int first = flaw_ == JoinFlaw::NotTheFirstRecord ? state.written - 1 : state.written - 2;
    int step = state.step % kSteps;
    if (flaw_ == JoinFlaw::EntryBeforeCommit) step = step == 5 ? 6 : step == 6 ? 7 : step == 7 ? 5 : step;
    switch (step) {
      case 0:
        append(++state.version);
        break;
      case 1:
      case 5:
        state.cursor = state.written;
        break;
      case 2:
        ++state.seq;
        state.entry_version = state.version;
        state.entry_position = state.written;
        ++state.seq;
        break;
      case 3:
      case 4:
        append(100 + state.version);
        break;
      case 6:
        if (flaw_ != JoinFlaw::EntryNotLocked) ++state.seq;
        state.refresh = first;
        break;
      default:
        state.entry_position = state.written;
        if (flaw_ != JoinFlaw::EntryNotLocked) ++state.seq;
        break;
    }
    ++state.step;
    return state;
  }
  bool joiner(JoinState& state) {
    switch (state.reader) {
      case 0:
        if (state.seq % 2 != 0 || state.refresh < 0) return false;
        state.seen_seq = state.seq;
        state.at = state.refresh;
        state.wanted = state.entry_version;
        state.reader = 1;
        return true;
      case 1:
        state.until = state.entry_position;
        state.reader = state.seq == state.seen_seq ? 2 : 0;
        return true;
      case 2:
        if (state.at >= state.until) {
          if (state.book != state.wanted) fault = "the joined book is not the entry's";
          ++joined;
          state.reader = 3;
          return true;
        }
        if (state.at >= state.cursor)
          return fault = "the entry names a place that nobody may read yet", false;
        take(state, state.ring[static_cast<std::size_t>(state.at++)]);
        return true;
      default:
        return false;
    }
  }
  static void take(JoinState& state, int record) {
    if (record < 100) {
      if (state.book >= 0) state.book = record;
    } else if (++state.parts == 2) {
      state.parts = 0;
      state.book = record - 100;
    }
  }

  JoinFlaw flaw_;
};

std::string join_fault(JoinFlaw flaw) {
  JoinModel model(flaw);
  std::set<JoinState> seen;
  explore(model, JoinState{}, seen);
  EXPECT_TRUE(model.joined > 0 || !model.fault.empty());
  return model.fault;
}

TEST(JoinModel, AJoinedBookIsTheEntrys) { EXPECT_EQ(join_fault(JoinFlaw::None), ""); }

TEST(JoinModel, EveryRuleIsNeeded) {
  EXPECT_NE(join_fault(JoinFlaw::EntryBeforeCommit), "");
  EXPECT_NE(join_fault(JoinFlaw::NotTheFirstRecord), "");
  EXPECT_NE(join_fault(JoinFlaw::EntryNotLocked), "");
}

}  // namespace
}  // namespace mdp::publish
