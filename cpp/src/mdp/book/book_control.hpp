// What control and the book manager have between them: the options, what control is told, and what is
// counted.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory_resource>

#include "mdp/book/depth_watch.hpp"
#include "mdp/book/order_book.hpp"
#include "mdp/core/counters.hpp"
#include "mdp/core/ids.hpp"
#include "mdp/core/settings.hpp"
#include "mdp/shm/event.hpp"

namespace mdp::book {

using shm::BookState;
using shm::StateReason;

// What a book was compared with.
enum class AuditSource : std::uint8_t {
  Quote,     // the venue's own best bid and ask at the same id
  Snapshot,  // a snapshot over REST, brought to the same id
};

// What control needs to know. Called on the manager's thread, so it must not block or allocate.
class BookListener {
 public:
  virtual void on_book_state(core::SymbolId symbol, BookState state, StateReason reason,
                             std::uint64_t update_id) noexcept = 0;
  // The book is SYNCING and waits for a snapshot. Comes again when the one that came could not be used.
  virtual void on_snapshot_wanted(core::SymbolId symbol, StateReason reason) noexcept = 0;
  // How badly the LIVE book needs a snapshot beside it (OrderBookManager::begin_widening()), when that is
  // another than before. None: no more.
  virtual void on_depth_need(core::SymbolId symbol, DepthNeed need) noexcept = 0;
  // At this id the book is not what the venue says. Quote: the tops of both. Snapshot: on each side the first
  // level that differs; {0, 0} where a side ends before, and in both where it is equal. The book goes STALE
  // after this.
  virtual void on_audit_mismatch(core::SymbolId symbol, std::uint64_t update_id, AuditSource source,
                                 const Bbo& book, const Bbo& venue) noexcept = 0;
  // The LIVE book may have lost its updates (stream_watch.hpp), or was synced to ids that began anew. No
  // verdict: an audit is worth its weight. Comes again while the reasons go on.
  virtual void on_suspect(core::SymbolId symbol) noexcept = 0;

 protected:
  ~BookListener() = default;
};

// What a configuration says of books and the manager obeys as it stands.
struct BookSettings {
  std::size_t book_depth = 0;  // levels kept a side, 0 for all
  bool self_audit = true;      // compare with the venue's best bid and ask where it comes
  bool book_checksum = true;   // whole books and deltas carry the checksum of the book after them
  // Each LIVE book goes out again as a whole once in so many percent of the ring, at most 75; 0: never.
  std::uint32_t refresh_every = 50;
  std::uint32_t refresh_share = 25;  // percent of the ring's bytes that this may take

  template <class Visit>
  static void visit_settings(Visit&& visit) {
    MDP_SETTING(BookSettings, book_depth);
    MDP_SETTING(BookSettings, self_audit);
    MDP_SETTING(BookSettings, book_checksum);
    MDP_SETTING(BookSettings, refresh_every);
    MDP_SETTING(BookSettings, refresh_share);
  }
};

struct BookOptions : BookSettings {
  // Best levels a side for the book table; at most kMaxEventLevels / 2. A LIVE book knows as many of each
  // side, or the whole side.
  std::size_t table_levels = 20;
  std::size_t reserve_levels = 2048;  // room a side made when a symbol is added
  // While SYNCING, a symbol; beyond: STALE, and the buffer starts anew. Also of what a REST audit keeps;
  // beyond: it is given up.
  std::size_t max_buffered_deltas = 4096;
  std::size_t max_buffered_levels = 1 << 18;
  // The best table_levels a side into the ring, with the first update this long (by receive time) after the
  // last one; 0: never. For readers that join late or were lapped and want no more than the top.
  std::int64_t snapshot_interval_ns = 0;
  // A delta behind a hole waits for another line this long (by receive time), and with so many others at
  // most.
  std::int64_t max_hole_ns = 1'000'000'000;
  std::size_t max_deltas_behind_hole = 256;
  // A line that is up for so long brings every symbol it carries, even those that have been quiet.
  std::int64_t line_settle_ns = 1'000'000'000;
  // A LIVE book that has been without one update for so long, while other streams say that it changed, is
  // STALE (Silent); see stream_watch.hpp for which, and how the time is counted.
  std::int64_t max_silence_ns = 5'000'000'000;
  // How often the ring has advanced by 1/64, as its publisher tells; outlives the manager. Null: there is no
  // ring, and no book goes out again.
  const core::Counter* ring_steps = nullptr;
  std::uint64_t ring_bytes = 0;
  std::size_t ring_managers = 1;  // that share the ring, and refresh_share with it
  // Where the levels of all books lie; outlives the manager. Huge pages pay from some hundred books on.
  std::pmr::memory_resource* memory = std::pmr::new_delete_resource();
};

// Of one manager. What they mean is in the table.
struct BookCounters {
#define MDP_BOOK_COUNTER(name, help) core::Counter name;
#include "mdp/core/counters.def"
};

}  // namespace mdp::book
