// Renewal: when a lane's connection is replaced by a new one, and in which steps. Only the decisions: Lane
// does what it says, and tells it what it sees, some times a second.
//
// A lane has two lines, 0 and 1, of which one is in use. Where an update has the same ids on every line, the
// other line comes up beside the one in use, both carry everything for a while, and then the old one is
// closed:
//
//   None -> Opening -> Overlap -> Closing -> None
//
// Where it has not, nobody could tell the copies of two connections apart: the connection is dropped first.
//
//   None -> Reopening -> None
#pragma once

#include <cstddef>
#include <cstdint>

namespace mdp::engine {

class Renewal {
 public:
  struct Plan {
    std::int64_t max_age_ns = 0;     // of a connection, by the venue or the configuration; 0: none
    std::int64_t percent_early = 0;  // it is replaced so much before that
    std::int64_t overlap_ns = 0;
    bool is_side_by_side = true;
  };
  // A line as it is now.
  struct View {
    bool is_up = false;
    bool is_leaving = false;  // the venue will end it, or control wants it renewed
    bool is_stopped = false;  // its connector has closed
    std::int64_t up_since_ns = 0;
  };
  enum class Action : std::uint8_t {
    Nothing,
    Open,      // connect the line that is not in use
    CloseOld,  // disconnect the line that is not in use (any more)
    Reopen,    // drop the connection in use, and make it anew
  };

  explicit Renewal(const Plan& plan) noexcept : plan_(plan) {}

  // `lines`: both, by number.
  Action next(const View (&lines)[2], std::int64_t now_ns) noexcept;
  std::size_t in_use() const noexcept { return in_use_; }
  std::size_t other() const noexcept { return 1 - in_use_; }

 private:
  enum class Step : std::uint8_t {
    None,
    Opening,    // the other line connects and subscribes
    Overlap,    // both carry everything
    Closing,    // the old line is being closed
    Reopening,  // the line in use was dropped, and connects anew
  };

  bool is_due(const View& line, std::int64_t now_ns) const noexcept;
  Action change_over() noexcept;

  const Plan plan_;
  std::size_t in_use_ = 0;
  Step step_ = Step::None;
  std::int64_t overlap_until_ns_ = 0;
  std::int64_t reopened_ns_ = 0;
};

}  // namespace mdp::engine
