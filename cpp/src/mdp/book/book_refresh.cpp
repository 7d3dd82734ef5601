#include "mdp/book/book_refresh.hpp"

#include <algorithm>
#include <bit>
#include <string>

#include "mdp/core/log.hpp"
#include "mdp/core/sinks.hpp"

namespace mdp::book {
namespace {

constexpr std::uint64_t kLapSteps = core::kRingSteps;
// How far back a reader can begin without the writer coming round to it soon.
constexpr std::uint64_t kSafeSteps = kLapSteps * 3 / 4;
// What is left unused of the share is kept for so many steps: a book that is due in between does not wait,
// and no burst follows a time in which none was.
constexpr std::int64_t kKeptSteps = 4;

const core::Counter kNoRing;

}  // namespace

BookRefresh::BookRefresh(const BookOptions& options, BookCounters& counters) noexcept
    : options_(options),
      counters_(counters),
      ring_steps_(options.ring_steps != nullptr ? options.ring_steps : &kNoRing),
      round_steps_(std::max<std::uint64_t>(kLapSteps * options.refresh_every / 100, 1)),
      recent_steps_(std::max<std::uint64_t>(round_steps_ / 8, 1)),
      step_bytes_(static_cast<std::int64_t>(options.ring_bytes / kLapSteps * options.refresh_share / 100 /
                                            std::max<std::size_t>(options.ring_managers, 1))) {
  if (options.ring_steps == nullptr || options.refresh_every == 0) look_at_ = kNever;
}

// Turns and bytes that the ring has brought since.
void BookRefresh::count_steps(std::size_t books) noexcept {
  const std::uint64_t now = ring_steps_->get();
  const std::uint64_t steps = std::min(now - seen_, kLapSteps);
  seen_ = now;
  turns_ = std::min(turns_ + steps * books, round_steps_ * books);
  bytes_left_ =
      std::min(bytes_left_ + static_cast<std::int64_t>(steps) * step_bytes_, kKeptSteps * step_bytes_);
}

SymbolEntry* BookRefresh::next(std::span<SymbolEntry* const> routes) noexcept {
  if (look_at_ == kNever) return nullptr;
  count_steps(routes.size());
  while (turns_ >= round_steps_ && bytes_left_ > 0) {
    turns_ -= round_steps_;
    if (at_ >= routes.size()) at_ = 0;
    SymbolEntry* const entry = routes[at_++];
    if (entry == nullptr || entry->state != BookState::Live) continue;
    const std::uint64_t age = seen_ - entry->whole_at_step;
    if (age < recent_steps_) continue;
    const std::uint64_t bytes = entry->whole_bytes();
    bytes_left_ -= static_cast<std::int64_t>(bytes);
    counters_.refreshes.add();
    counters_.refresh_bytes.add(bytes);
    if (age > kSafeSteps) counters_.refreshes_late.add();
    look_at_ = 0;  // there may be more
    return entry;
  }
  look_at_ = seen_ + 1;
  return nullptr;
}

void BookRefresh::warn_if_late(std::span<SymbolEntry* const> routes) noexcept {
  if (warned_ || counters_.refreshes_late.get() == 0) return;
  warned_ = true;
  std::uint64_t bytes = 0;
  for (const SymbolEntry* entry : routes) {
    if (entry != nullptr && entry->state == BookState::Live) bytes += entry->whole_bytes();
  }
  // All books within the part that can be read, in the share that they may have.
  const std::uint64_t share = options_.refresh_share * kSafeSteps * options_.ring_bytes / kLapSteps / 100;
  const std::uint64_t wanted =
      options_.ring_bytes * bytes * options_.ring_managers / std::max<std::uint64_t>(share, 1);
  core::log(core::LogLevel::Warning,
            "books.ring_too_small ring=" + std::to_string(options_.ring_bytes) +
                " wanted=" + std::to_string(std::bit_ceil(std::max(wanted, 2 * options_.ring_bytes))) +
                " books_bytes=" + std::to_string(bytes) +
                " means=\"whole books come again too seldom: a late joiner gets segment.levels of some\"");
}

}  // namespace mdp::book
