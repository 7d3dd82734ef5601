// IdOrder: tells when the ids that a line brings begin anew.
//
// A venue that restarts may count from 1 again on a connection that stays up: 5,000,000,008 is followed by 1.
// By the numbers alone every later update is older than the book, and the book would be LIVE and frozen for
// ever. The sign is that ids go back on one line, for each line brings its own in growing order. But a frame
// that comes twice, or late, goes back too. What tells them apart:
//   - Time. A frame that comes again was made before the newest one, by the venue's own clock. One that was made
//     later and is numbered lower belongs to another sequence. So does one that begins within what the line has
//     brought and ends beyond it: batches of one line do not overlap.
//   - Where the venue sends no time, the distance: not half of the id that the line had reached, and more than a
//     million below it. No frame is that late.
//   - Where neither tells, persistence: so many ids in a row on the line that grow among themselves and stay below
//     what it had reached. Frames that come late are followed by newer ones.
//
// Lines do not begin anew at the same moment. One that still brings the old sequence while another has begun
// the new one brings only copies of what came before: it has ended, until it brings what was made since. Its
// ids alone do not tell: after a small step back they look as if they followed.
//
// One for each line and each kind of id: updates, trades, aggregates, quotes. Manager's thread.
#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>
#include <vector>

#include "mdp/core/ids.hpp"

namespace mdp::book {

class IdOrder {
 public:
  enum class Step : std::uint8_t {
    Forward,  // beyond what the line has brought
    Back,     // within it: a copy, or late
    Ended,    // of the sequence that has ended
    Anew,  // the first that shows that the line's ids have begun anew; from here on it counts from this one
  };

  // The usual path, alone, because every message passes it: a message of the ids `first` to `last`. False:
  // back() says what it is, and has to be asked; also where `last` is below `first`, as behind a chain that
  // goes back. `ts_ns`: the venue's time of the message, 0 where it sends none.
  bool forward(std::uint64_t first, std::uint64_t last, std::int64_t ts_ns) noexcept {
    if (first <= passed_ || last < first) return false;
    passed_ = last;
    ts_ns_ = ts_ns;
    return true;
  }
  // `first`: 0 where the venue has none.
  Step back(std::uint64_t first, std::uint64_t last, std::int64_t ts_ns) noexcept;
  // The newest id once more, which is all that a line brings twice as a rule: Back.
  bool repeats(std::uint64_t id) const noexcept { return id == passed_; }
  Step step(std::uint64_t id, std::int64_t ts_ns) noexcept {
    return forward(id, id, ts_ns) ? Step::Forward : back(id, id, ts_ns);
  }

  // The venue itself says that the line counts from this id on.
  void begin(std::uint64_t id, std::int64_t ts_ns) noexcept {
    ended_at_ = reached();
    passed_ = id;
    ts_ns_ = ts_ns;
    run_ = 0;
  }
  // Another line has begun a sequence that follows the one of this line, with a message of the venue's time
  // `since_ts_ns`.
  void end(std::int64_t since_ts_ns) noexcept {
    if (ended()) return;
    ended_at_ = passed_;
    passed_ = kEnded;
    ts_ns_ = since_ts_ns;
  }
  // It is not so any more: no line is left that brings the sequence that followed.
  void resume() noexcept {
    if (ended()) passed_ = ended_at_;
  }
  // The line is another connection from here on: its batches need not begin where those of the one before
  // ended.
  void reopen() noexcept {
    resume();
    reopened_at_ = passed_;
  }

  // No line is so late, and no snapshot so early: `id` is of another sequence than `newest`.
  static bool far_below(std::uint64_t id, std::uint64_t newest) noexcept {
    return id < newest / 2 && newest - id > kFar;
  }

  bool used() const noexcept { return passed_ != 0; }
  bool ended() const noexcept { return passed_ == kEnded; }
  // The largest id of the line's present sequence, and the time of it.
  std::uint64_t reached() const noexcept { return ended() ? ended_at_ : passed_; }
  std::int64_t reached_ts_ns() const noexcept { return ts_ns_; }
  // The largest id of the sequence before that.
  std::uint64_t ended_at() const noexcept { return ended_at_; }

 private:
  static constexpr std::uint64_t kEnded = std::numeric_limits<std::uint64_t>::max();
  static constexpr std::uint64_t kFar = 1'000'000;
  static constexpr std::int64_t kClocksDifferNs = 1'000'000'000;  // of two servers of a venue, at most
  static constexpr std::uint32_t kRun = 16;
  // With a time that says that they are old: venues do not send so many frames once more.
  static constexpr std::uint32_t kOldRun = 64;

  bool contradicts(std::uint64_t id, std::int64_t ts_ns) noexcept;

  std::uint64_t passed_ = 0;    // kEnded: every id goes to back()
  std::int64_t ts_ns_ = 0;      // of the message that brought reached(); ended: of the one that ended it
  std::uint64_t ended_at_ = 0;  // ended: reached(); else as ended_at() says
  // Ids in a row that went back, and the last of them. It counts as long as the line has reached no more.
  std::uint64_t run_id_ = 0;
  std::uint64_t run_reached_ = 0;
  std::uint64_t reopened_at_ = 0;
  std::uint32_t run_ = 0;
};

inline IdOrder::Step IdOrder::back(std::uint64_t first, std::uint64_t last, std::int64_t ts_ns) noexcept {
  const bool was_ended = ended();
  const std::uint64_t newest = reached();
  bool anew = false;
  if (was_ended) {
    // Below what it had reached, made since: that is enough. Beyond it, the clocks may differ.
    const std::int64_t since_ns = ts_ns - ts_ns_;
    const bool timed = ts_ns != 0 && ts_ns_ != 0;
    anew =
        timed ? since_ns >= (last < newest ? 0 : kClocksDifferNs) : last < newest && contradicts(last, ts_ns);
    if (!anew) ended_at_ = std::max(newest, last);
  } else if (last > newest) {
    const bool overlaps = first != 0 && first <= newest && newest != reopened_at_;
    anew = overlaps && ts_ns_ != 0 && ts_ns > ts_ns_;
    if (!anew) {
      passed_ = last;
      ts_ns_ = ts_ns;
      return Step::Forward;
    }
  } else {
    anew = contradicts(last, ts_ns);
  }
  if (anew) {
    begin(last, ts_ns);
    return Step::Anew;
  }
  return was_ended ? Step::Ended : Step::Back;
}

// Whether an id that the line has passed can't be of the sequence that the line is in.
inline bool IdOrder::contradicts(std::uint64_t id, std::int64_t ts_ns) noexcept {
  const std::uint64_t newest = reached();
  if (id == newest) return false;
  const bool timed = ts_ns != 0 && ts_ns_ != 0;
  if (timed && ts_ns > ts_ns_) return true;
  if (!timed && far_below(id, newest)) return true;
  const bool same_run = run_ != 0 && run_reached_ == newest;
  if (same_run && id == run_id_) return false;
  run_ = same_run && id > run_id_ ? run_ + 1 : 1;
  run_id_ = id;
  run_reached_ = newest;
  return run_ >= (timed ? kOldRun : kRun);
}

// A sequence of ids that was followed by one that began anew. For a while something of it may still come:
// snapshots that were asked for before, and what lines bring that are behind.
class EndedSequence {
 public:
  // None has ended.
  EndedSequence() = default;
  // The largest of its ids that is known.
  explicit EndedSequence(std::uint64_t end) noexcept : end_(end) {}

  // Whether `id` is of it rather than of the sequence that stands at `reached` now: the nearer one has it.
  // Once the new one has come as far, nobody can tell.
  bool has(std::uint64_t id, std::uint64_t reached) const noexcept {
    return reached < end_ && id > reached && id - reached > (end_ - reached) / 2;
  }

 private:
  std::uint64_t end_ = 0;
};

// `first` has begun anew: those of the other lines of the same ids, a range of something with an `order`,
// have ended that still bring the sequence which it has left. By their ids, or by the time of what they
// brought last.
template <class Lines>
void end_others(Lines& lines, const IdOrder& first) noexcept {
  const EndedSequence left(first.ended_at());
  for (auto& line : lines) {
    IdOrder& other = line.order;
    if (&other == &first || !other.used()) continue;
    if (left.has(other.reached(), first.reached()) || other.reached_ts_ns() < first.reached_ts_ns()) {
      other.end(first.reached_ts_ns());
    }
  }
}
// After a line was lost: where all that are left have ended, nothing follows what they bring.
template <class Lines>
void resume_if_all_ended(Lines& lines) noexcept {
  for (const auto& line : lines) {
    if (line.order.used() && !line.order.ended()) return;
  }
  for (auto& line : lines) line.order.resume();
}

// The orders of one kind of id of one symbol, for lines that nobody has listed: each is known once it has
// brought something. One that comes when all others are gone continues theirs, so that a connection made anew
// tells a sequence that has begun anew meanwhile.
class LineOrders {
 public:
  LineOrders() : lines_(1) {}

  // As IdOrder::step(); Forward where a line that had ended has begun anew as well, for that is no news.
  [[gnu::always_inline]] IdOrder::Step step(core::LineId line, std::uint64_t id, std::int64_t ts_ns) {
    Line& first = lines_.front();
    IdOrder& order = first.id == line ? first.order : order_of(line);
    if (order.forward(id, id, ts_ns)) return IdOrder::Step::Forward;
    if (order.repeats(id)) return IdOrder::Step::Back;
    return back(order, id, ts_ns);
  }
  void on_line_down(core::LineId line) noexcept {
    for (Line& of : lines_) {
      if (of.id != line) continue;
      if (lines_.size() > 1) {
        of = lines_.back();
        lines_.pop_back();
        return resume_if_all_ended(lines_);
      }
      of.id = kNoLine;  // whichever comes next goes on here
      return of.order.reopen();
    }
  }

 private:
  static constexpr core::LineId kNoLine = std::numeric_limits<core::LineId>::max();
  struct Line {
    core::LineId id = kNoLine;
    IdOrder order;
  };
  [[gnu::noinline]] IdOrder::Step back(IdOrder& order, std::uint64_t id, std::int64_t ts_ns) noexcept {
    const bool had_ended = order.ended();
    const IdOrder::Step step = order.back(id, id, ts_ns);
    if (step != IdOrder::Step::Anew) return step;
    if (had_ended) return IdOrder::Step::Forward;
    end_others(lines_, order);
    return step;
  }
  [[gnu::noinline]] IdOrder& order_of(core::LineId line) {
    for (Line& of : lines_) {
      if (of.id == line) return of.order;
    }
    if (lines_.front().id != kNoLine) return lines_.emplace_back(Line{line, {}}).order;
    lines_.front().id = line;
    return lines_.front().order;
  }

  std::vector<Line> lines_;  // never empty; kNoLine: no line is up that has brought something
};

}  // namespace mdp::book
