// The book engine by itself, for tests and research: a book fed with arrays, and a manager fed with messages.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>

#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "bindings.hpp"
#include "mdp/book/order_book_manager.hpp"
#include "mdp/core/level_writer.hpp"
#include "text.hpp"

namespace nb = nanobind;
using namespace nb::literals;

namespace mdp::bindings {
namespace {

using book::OrderBook;
using shm::PriceLevel;

using LevelArray = nb::ndarray<const std::int64_t, nb::shape<-1, 2>, nb::c_contig, nb::device::cpu>;
using OwnedLevels = nb::ndarray<nb::numpy, std::int64_t, nb::shape<-1, 2>>;

std::vector<PriceLevel> to_levels(const LevelArray& array) {
  std::vector<PriceLevel> levels(array.shape(0));
  for (std::size_t i = 0; i < levels.size(); ++i) levels[i] = {array(i, 0), array(i, 1)};
  return levels;
}

OwnedLevels to_array(std::span<const PriceLevel> levels) {
  auto* const copy = new std::vector<PriceLevel>(levels.begin(), levels.end());
  const nb::capsule owner(
      copy, [](void* memory) noexcept { delete static_cast<std::vector<PriceLevel>*>(memory); });
  return OwnedLevels(copy->empty() ? nullptr : &copy->data()->price, {copy->size(), 2}, owner);
}

OwnedLevels best_first(const OrderBook& book, bool bids) {
  std::vector<PriceLevel> levels(bids ? book.bid_count() : book.ask_count());
  bids ? book.copy_bids(levels.data(), levels.size()) : book.copy_asks(levels.data(), levels.size());
  return to_array(levels);
}

nb::object top(const PriceLevel& level, std::size_t count) {
  return count == 0 ? nb::none() : nb::object(nb::make_tuple(level.price, level.quantity));
}

class EventKeeper final : public core::EventSink {
 public:
  EventKeeper() { slot_ = scratch_.get(); }
  void commit() noexcept override {
    if ((slot_->header.flags & core::kFlagTableOnly) == 0) events.push_back(*slot_);
  }
  std::vector<shm::Event> events;

 private:
  std::unique_ptr<shm::Event> scratch_ = std::make_unique<shm::Event>();
};

class MessagesTo final : public core::MessageSink {
 public:
  explicit MessagesTo(book::OrderBookManager& manager) : manager_(manager) { slot_ = scratch_.get(); }
  void commit() noexcept override { manager_.on_message(*slot_); }

 private:
  book::OrderBookManager& manager_;
  std::unique_ptr<core::NormalizedMessage> scratch_ = std::make_unique<core::NormalizedMessage>();
};

// An OrderBookManager whose events and wishes are kept until Python takes them.
constexpr core::LineId kLines[] = {0};

class ManagerHarness final : book::BookListener {
 public:
  ManagerHarness(std::size_t depth_cap, std::int64_t snapshot_interval_ns)
      : manager_(kept_, *this, options(depth_cap, snapshot_interval_ns)), messages_(manager_) {}
  void add_symbol(core::SymbolId symbol, bool futures) {
    manager_.add_symbol(symbol, 1, kLines, futures ? kFutures : kSpot);
  }
  void remove_symbol(core::SymbolId symbol) { manager_.remove_symbol(symbol); }
  void line(bool up) {
    core::MessageHeader header{};
    header.update_type = core::UpdateType::Line;
    header.reason = static_cast<std::uint8_t>(up ? shm::LineState::Up : shm::LineState::Down);
    header.symbol_id = shm::kNoSymbol;
    messages_.slot().header = header;
    messages_.commit();
  }
  void update(core::UpdateType type, core::SymbolId symbol, std::uint64_t first, std::uint64_t last,
              std::uint64_t prev, const LevelArray& bids, const LevelArray& asks) {
    core::MessageHeader header{};
    header.update_type = type;
    header.symbol_id = symbol;
    header.first_update_id = first;
    header.last_update_id = last;
    header.prev_update_id = prev;
    header.recv_ts_ns = ++clock_;
    core::LevelWriter writer(messages_, header);
    for (const PriceLevel& level : to_levels(bids)) writer.add(level);
    writer.begin_asks();
    for (const PriceLevel& level : to_levels(asks)) writer.add(level);
    writer.finish();
  }
  shm::BookState state(core::SymbolId symbol) const { return manager_.state(symbol); }
  OrderBook book(core::SymbolId symbol) const {
    const OrderBook* found = manager_.book(symbol);
    if (found == nullptr) throw nb::key_error("no such symbol");
    // Levels and id in a pool of the copy's own: the manager's is its thread's alone.
    std::vector<PriceLevel> bids(found->bid_count()), asks(found->ask_count());
    found->copy_bids(bids.data(), bids.size());
    found->copy_asks(asks.data(), asks.size());
    OrderBook copy;
    copy.apply_snapshot(bids, asks);
    copy.set_update_id(found->update_id());
    return copy;
  }
  nb::list take_events() {
    nb::list out;
    for (const shm::Event& event : kept_.events) {
      const shm::EventHeader& header = event.header;
      nb::object bids = nb::none(), asks = nb::none();
      if (header.type == shm::EventType::BookDelta || header.type == shm::EventType::BookSnapshot) {
        bids = nb::cast(to_array({event.bids().data(), event.bids().size()}));
        asks = nb::cast(to_array({event.asks().data(), event.asks().size()}));
      } else if (header.type == shm::EventType::Bbo) {
        bids = nb::cast(to_array({&event.bbo.bid, 1}));
        asks = nb::cast(to_array({&event.bbo.ask, 1}));
      } else if (header.type == shm::EventType::BookState) {
        bids = nb::cast(event.book_state.state);
        asks = nb::cast(event.book_state.reason);
      }
      out.append(nb::make_tuple(header.type, header.symbol_id, header.flags, header.update_id, bids, asks));
    }
    kept_.events.clear();
    return out;
  }
  nb::list take_wanted() {
    nb::list out;
    for (const auto& [symbol, reason] : wanted_) out.append(nb::make_tuple(symbol, reason));
    wanted_.clear();
    return out;
  }

 private:
  static constexpr core::BookRule kSpot{.continuity = core::Continuity::FirstUpToNext};
  static constexpr core::BookRule kFutures{.continuity = core::Continuity::PrevUpToLast,
                                           .join = core::Join::AroundSnapshotId};

  static book::BookOptions options(std::size_t depth_cap, std::int64_t snapshot_interval_ns) {
    book::BookOptions options;
    options.book_depth = depth_cap;
    options.snapshot_interval_ns = snapshot_interval_ns;
    return options;
  }
  void on_book_state(core::SymbolId, shm::BookState, shm::StateReason, std::uint64_t) noexcept override {}
  void on_depth_need(core::SymbolId, book::DepthNeed) noexcept override {}
  void on_snapshot_wanted(core::SymbolId symbol, shm::StateReason reason) noexcept override {
    wanted_.emplace_back(symbol, reason);
  }
  void on_audit_mismatch(core::SymbolId, std::uint64_t, book::AuditSource, const book::Bbo&,
                         const book::Bbo&) noexcept override {}
  void on_suspect(core::SymbolId) noexcept override {}

  EventKeeper kept_;
  book::OrderBookManager manager_;
  MessagesTo messages_;
  std::vector<std::pair<core::SymbolId, shm::StateReason>> wanted_;
  std::int64_t clock_ = 0;
};

}  // namespace

void bind_book(nb::module_& module) {
  nb::class_<OrderBook>(module, "OrderBook",
                        "The levels of one instrument (book/order_book.hpp). Not thread-safe.")
      .def(nb::init<std::size_t>(), "depth_cap"_a = 0,
           "Parameters\n----------\ndepth_cap\n    Levels kept a side, 0 for all; a side is cut back when it "
           "has grown a "
           "quarter beyond.")
      .def(
          "apply_update",
          [](OrderBook& self, const LevelArray& bids, const LevelArray& asks) {
            const std::size_t reached = self.apply_update(to_levels(bids), to_levels(asks));
            return reached == OrderBook::kUntouched ? nb::object(nb::none()) : nb::object(nb::int_(reached));
          },
          "bids"_a, "asks"_a,
          nb::sig("def apply_update(self, bids: numpy.typing.NDArray[numpy.int64], asks: "
                  "numpy.typing.NDArray[numpy.int64]) -> int | None"),
          "Apply one delta: int64 arrays of shape (n, 2), price and absolute quantity; zero removes.\n\n"
          "Returns\n-------\nint or None\n    Levels above the best changed one, exact up to 128; None: "
          "nothing changed.")
      .def(
          "apply_snapshot",
          [](OrderBook& self, const LevelArray& bids, const LevelArray& asks) {
            self.apply_snapshot(to_levels(bids), to_levels(asks));
          },
          "bids"_a, "asks"_a,
          nb::sig("def apply_snapshot(self, bids: numpy.typing.NDArray[numpy.int64], asks: "
                  "numpy.typing.NDArray[numpy.int64]) -> None"),
          "Replace everything by int64 arrays of shape (n, 2), in any order.")
      .def("clear", &OrderBook::clear)
      .def(
          "bids", [](const OrderBook& self) { return best_first(self, true); },
          "Return a copy, int64 of shape (levels, 2), best first.")
      .def(
          "asks", [](const OrderBook& self) { return best_first(self, false); },
          "Return a copy, int64 of shape (levels, 2), best first.")
      .def_prop_ro(
          "bbo",
          [](const OrderBook& self) {
            const book::Bbo bbo = self.bbo();
            return nb::make_tuple(top(bbo.bid, self.bid_count()), top(bbo.ask, self.ask_count()));
          },
          nb::for_getter(
              nb::sig("def bbo(self, /) -> tuple[tuple[int, int] | None, tuple[int, int] | None]")),
          "Best bid and best ask as (price, quantity); None for an empty side.")
      .def_prop_ro("crossed", &OrderBook::crossed)
      .def_prop_rw("update_id", &OrderBook::update_id, &OrderBook::set_update_id);

  nb::class_<ManagerHarness>(module, "BookManagerHarness",
                             "An OrderBookManager on its own, for tests: messages in, events out.")
      .def(nb::init<std::size_t, std::int64_t>(), "depth_cap"_a = 0, "snapshot_interval_ns"_a = 0)
      .def("add_symbol", &ManagerHarness::add_symbol, "symbol_id"_a, "futures"_a = false,
           "Add a book whose ids follow each other, or (futures) name the one before.")
      .def("remove_symbol", &ManagerHarness::remove_symbol, "symbol_id"_a)
      .def("line", &ManagerHarness::line, "up"_a, "Tell that the one line is up or down.")
      .def(
          "delta",
          [](ManagerHarness& self, core::SymbolId symbol, std::uint64_t first, std::uint64_t last,
             const LevelArray& bids, const LevelArray& asks, std::uint64_t prev) {
            self.update(core::UpdateType::Delta, symbol, first, last, prev, bids, asks);
          },
          "symbol_id"_a, "first"_a, "last"_a, "bids"_a, "asks"_a, "prev"_a = 0,
          nb::sig("def delta(self, symbol_id: int, first: int, last: int, bids: "
                  "numpy.typing.NDArray[numpy.int64], asks: numpy.typing.NDArray[numpy.int64], prev: int = "
                  "0) -> None"))
      .def(
          "snapshot",
          [](ManagerHarness& self, core::SymbolId symbol, std::uint64_t last, const LevelArray& bids,
             const LevelArray& asks) {
            self.update(core::UpdateType::Snapshot, symbol, last, last, 0, bids, asks);
          },
          "symbol_id"_a, "last"_a, "bids"_a, "asks"_a,
          nb::sig("def snapshot(self, symbol_id: int, last: int, bids: numpy.typing.NDArray[numpy.int64], "
                  "asks: numpy.typing.NDArray[numpy.int64]) -> None"))
      .def("state", &ManagerHarness::state, "symbol_id"_a)
      .def("book", &ManagerHarness::book, "symbol_id"_a, "Return a copy of the book.")
      .def("take_events", &ManagerHarness::take_events,
           nb::sig("def take_events(self) -> list[tuple[EventType, int, int, int, object, object]]"),
           "Return (type, symbol_id, flags, update_id, bids, asks) of each event since the last call; for "
           "BOOK_STATE the last two are state and reason.")
      .def("take_snapshots_wanted", &ManagerHarness::take_wanted,
           nb::sig("def take_snapshots_wanted(self) -> list[tuple[int, StateReason]]"),
           "Return (symbol_id, reason) of each wish.");
}

}  // namespace mdp::bindings
