#include "mdp/engine/renewal.hpp"

namespace mdp::engine {

bool Renewal::is_due(const View& line, std::int64_t now_ns) const noexcept {
  if (line.is_leaving) return true;
  if (!line.is_up || plan_.max_age_ns == 0) return false;
  return now_ns - line.up_since_ns > plan_.max_age_ns / 100 * (100 - plan_.percent_early);
}

Renewal::Action Renewal::next(const View (&lines)[2], std::int64_t now_ns) noexcept {
  const View& active = lines[in_use()];
  const View& standby = lines[other()];
  switch (step_) {
    case Step::None:
      if (!is_due(active, now_ns)) return Action::Nothing;
      if (plan_.is_side_by_side) {
        step_ = Step::Opening;
        return Action::Open;
      }
      reopened_ns_ = now_ns;
      step_ = Step::Reopening;
      return Action::Reopen;
    case Step::Opening:
      if (standby.is_up) {
        overlap_until_ns_ = now_ns + plan_.overlap_ns;
        step_ = Step::Overlap;
      } else if (!active.is_up) {
        return change_over();  // it is lost already: the new one goes on trying alone
      }
      return Action::Nothing;
    case Step::Overlap:
      if (!standby.is_up) {
        step_ = Step::Opening;
      } else if (now_ns >= overlap_until_ns_) {
        return change_over();
      }
      return Action::Nothing;
    case Step::Closing:
      if (standby.is_stopped) step_ = Step::None;
      return Action::Nothing;
    case Step::Reopening:
      if (active.is_up && active.up_since_ns > reopened_ns_) step_ = Step::None;
      return Action::Nothing;
  }
  return Action::Nothing;
}

Renewal::Action Renewal::change_over() noexcept {
  in_use_ = other();
  step_ = Step::Closing;
  return Action::CloseOld;
}

}  // namespace mdp::engine
