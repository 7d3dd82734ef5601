// The shared-memory reader for Python, on the same headers C++ consumers include.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/string_view.h>
#include <nanobind/stl/vector.h>

#include <memory>
#include <string>
#include <vector>

#include "bindings.hpp"
#include "mdp/core/error.hpp"
#include "mdp/shm/shm.hpp"

namespace nb = nanobind;
using namespace nb::literals;

namespace mdp::bindings {
namespace {

using Levels = nb::ndarray<nb::numpy, std::int64_t, nb::shape<-1, 2>, nb::c_contig>;

// An array of its own, shape (levels, 2): price and quantity mantissas.
Levels to_array(const shm::PriceLevel* levels, std::size_t count) {
  auto* data = new std::int64_t[count * 2 + 1];
  for (std::size_t i = 0; i < count; ++i) {
    data[2 * i] = levels[i].price;
    data[2 * i + 1] = levels[i].quantity;
  }
  const nb::capsule owner(data, [](void* p) noexcept { delete[] static_cast<std::int64_t*>(p); });
  return Levels(data, {count, 2}, owner);
}

// Of a property that returns such an array. The default for properties is to keep `self` alive as the owner,
// which nanobind refuses for an array that has one.
constexpr auto kOwnMemory = nb::rv_policy::automatic;

// One event, copied out of the ring: header, and as many levels as it has.
struct ReaderEvent {
  shm::EventHeader header;
  std::vector<shm::PriceLevel> levels;
  shm::BboBody bbo{};
  shm::TradeBody trade{};
};

ReaderEvent copy_event(const shm::Event& event) {
  ReaderEvent copy{event.header, {}, {}, {}};
  switch (event.header.type) {
    case shm::EventType::BookDelta:
    case shm::EventType::BookSnapshot:
      copy.levels.assign(event.levels, event.levels + event.header.bid_count + event.header.ask_count);
      break;
    case shm::EventType::Bbo:
      copy.bbo = event.bbo;
      break;
    case shm::EventType::Trade:
      copy.trade = event.trade;
      break;
    default:
      break;
  }
  return copy;
}

std::pair<std::int64_t, std::int64_t> to_pair(const shm::PriceLevel& level) {
  return {level.price, level.quantity};
}

class Reader {
 public:
  Reader(std::string name, bool from_oldest) {
    const shm::AttachStatus status =
        subscriber_.open(name, from_oldest ? shm::Start::Oldest : shm::Start::Newest);
    if (status != shm::AttachStatus::Ok) {
      throw SegmentError("cannot attach to segment \"" + name + "\": " + shm::to_string(status));
    }
  }

  // Up to `max` events and the status that ended the batch.
  nb::tuple poll(std::size_t max) {
    std::vector<ReaderEvent> events;
    shm::PollResult result{};
    {
      const nb::gil_scoped_release unlocked;
      result = subscriber_.poll(max, [&](const shm::Event& event) { events.push_back(copy_event(event)); });
    }
    return nb::make_tuple(std::move(events), result.status);
  }

  nb::tuple book(std::uint32_t symbol_id) {
    const shm::BookStatus status = subscriber_.read_book(symbol_id, book_);
    if (status != shm::BookStatus::Ok) {
      throw SegmentError("cannot read the book of symbol " + std::to_string(symbol_id) + ": " +
                         shm::to_string(status));
    }
    return nb::make_tuple(book_.entry, to_array(book_.bids.data(), book_.bids.size()),
                          to_array(book_.asks.data(), book_.asks.size()));
  }

  std::vector<shm::InstrumentEntry> instruments() const {
    std::vector<shm::InstrumentEntry> found;
    shm::InstrumentEntry entry;
    for (std::uint32_t id = 0; id < subscriber_.directory().instrument_count(); ++id) {
      if (subscriber_.directory().instrument(id, entry) && entry.status == shm::InstrumentStatus::Active) {
        found.push_back(entry);
      }
    }
    return found;
  }

  shm::Subscriber& subscriber() noexcept { return subscriber_; }

 private:
  shm::Subscriber subscriber_;
  shm::Book book_;
};

template <std::size_t N>
std::string text_of(const char (&field)[N]) {
  return std::string(shm::text(field));
}

void bind_events(nb::module_& module) {
  nb::enum_<shm::ReadStatus>(module, "ReadStatus", "What ended a poll.")
      .value("OK", shm::ReadStatus::Ok)
      .value("EMPTY", shm::ReadStatus::Empty)
      .value("LAPPED", shm::ReadStatus::Lapped)
      .value("STOPPED", shm::ReadStatus::Stopped)
      .value("PUBLISHER_DEAD", shm::ReadStatus::PublisherDead)
      .value("CORRUPT", shm::ReadStatus::Corrupt)
      .value("NOT_ATTACHED", shm::ReadStatus::NotAttached);

  nb::class_<ReaderEvent>(module, "Event",
                          "One published event. Numbers are mantissas; see Instrument for exponents.")
      .def_prop_ro("type", [](const ReaderEvent& e) { return e.header.type; })
      .def_prop_ro(
          "flags", [](const ReaderEvent& e) { return e.header.flags; }, "EventFlag bits.")
      .def_prop_ro("exchange_id", [](const ReaderEvent& e) { return e.header.exchange_id; })
      .def_prop_ro("symbol_id", [](const ReaderEvent& e) { return e.header.symbol_id; })
      .def_prop_ro("sequence", [](const ReaderEvent& e) { return e.header.sequence; })
      .def_prop_ro("update_id", [](const ReaderEvent& e) { return e.header.update_id; })
      .def_prop_ro("first_update_id", [](const ReaderEvent& e) { return e.header.first_update_id; })
      .def_prop_ro("exch_ts_ns", [](const ReaderEvent& e) { return e.header.exch_ts_ns; })
      .def_prop_ro("recv_ts_ns", [](const ReaderEvent& e) { return e.header.recv_ts_ns; })
      .def_prop_ro("pub_ts_ns", [](const ReaderEvent& e) { return e.header.pub_ts_ns; })
      .def_prop_ro(
          "bids",
          [](const ReaderEvent& e) {
            return to_array(e.levels.data(), e.levels.empty() ? 0 : e.header.bid_count);
          },
          kOwnMemory, "BOOK_DELTA, BOOK_SNAPSHOT: int64 array of shape (levels, 2), price and quantity.")
      .def_prop_ro(
          "asks",
          [](const ReaderEvent& e) {
            return e.levels.empty() ? to_array(nullptr, 0)
                                    : to_array(e.levels.data() + e.header.bid_count, e.header.ask_count);
          },
          kOwnMemory, "BOOK_DELTA, BOOK_SNAPSHOT: int64 array of shape (levels, 2), price and quantity.")
      .def_prop_ro(
          "bid", [](const ReaderEvent& e) { return to_pair(e.bbo.bid); },
          "BBO: (price, quantity); quantity 0: no bid.")
      .def_prop_ro(
          "ask", [](const ReaderEvent& e) { return to_pair(e.bbo.ask); },
          "BBO: (price, quantity); quantity 0: no ask.")
      .def_prop_ro(
          "price", [](const ReaderEvent& e) { return e.trade.price; }, "TRADE.")
      .def_prop_ro(
          "quantity", [](const ReaderEvent& e) { return e.trade.quantity; }, "TRADE.")
      .def_prop_ro(
          "trade_id", [](const ReaderEvent& e) { return e.trade.trade_id; }, "TRADE.")
      .def_prop_ro(
          "side", [](const ReaderEvent& e) { return e.trade.side; }, "TRADE: the aggressor's.")
      .def_prop_ro(
          "book_state", [](const ReaderEvent& e) { return static_cast<shm::BookState>(e.header.bid_count); },
          "BOOK_STATE.")
      .def_prop_ro(
          "reason", [](const ReaderEvent& e) { return static_cast<shm::StateReason>(e.header.ask_count); },
          "BOOK_STATE.")
      .def_prop_ro(
          "line_state", [](const ReaderEvent& e) { return static_cast<shm::LineState>(e.header.bid_count); },
          "CONNECTION_STATUS.")
      .def_prop_ro("line", [](const ReaderEvent& e) { return e.header.ask_count; }, "CONNECTION_STATUS.");
}

void bind_entries(nb::module_& module) {
  nb::class_<shm::BookEntry>(module, "BookEntry", "Header of one book-table entry.")
      .def_ro("state", &shm::BookEntry::state)
      .def_ro("reason", &shm::BookEntry::reason)
      .def_ro("update_id", &shm::BookEntry::update_id)
      .def_ro("exch_ts_ns", &shm::BookEntry::exch_ts_ns)
      .def_ro("recv_ts_ns", &shm::BookEntry::recv_ts_ns)
      .def_ro("pub_ts_ns", &shm::BookEntry::pub_ts_ns)
      .def_ro("ring_position", &shm::BookEntry::ring_position)
      .def_ro("next_sequence", &shm::BookEntry::next_sequence);
  using shm::InstrumentEntry;
  nb::class_<InstrumentEntry>(module, "InstrumentEntry", "One instrument of a segment's directory.")
      .def_ro("symbol_id", &InstrumentEntry::symbol_id)
      .def_ro("exchange_id", &InstrumentEntry::exchange_id)
      .def_ro("price_exponent", &InstrumentEntry::price_exponent, "price = mantissa * 10**price_exponent.")
      .def_ro("quantity_exponent", &InstrumentEntry::quantity_exponent)
      .def_ro("tick_size", &InstrumentEntry::tick_size)
      .def_ro("lot_size", &InstrumentEntry::lot_size)
      .def_prop_ro("venue_symbol", [](const InstrumentEntry& e) { return text_of(e.venue_symbol); })
      .def_prop_ro("canonical_symbol", [](const InstrumentEntry& e) { return text_of(e.canonical_symbol); })
      .def_prop_ro("base", [](const InstrumentEntry& e) { return text_of(e.base); })
      .def_prop_ro("quote", [](const InstrumentEntry& e) { return text_of(e.quote); })
      .def_prop_ro("venue_status", [](const InstrumentEntry& e) { return text_of(e.venue_status); });
}

}  // namespace

void bind_reader(nb::module_& module) {
  bind_events(module);
  bind_entries(module);
  nb::class_<Reader>(module, "Reader",
                     "A segment mapped read-only: directory, book table and ring. One thread.")
      .def(nb::init<std::string, bool>(), "segment"_a, "from_oldest"_a = false,
           "Attach to a segment.\n\nRaises\n------\nSegmentError\n    Why it cannot be attached to.")
      .def("poll", &Reader::poll, "max"_a = 1024,
           nb::sig("def poll(self, max: int = 1024) -> tuple[list[Event], ReadStatus]"),
           "Return up to `max` events and the status that ended the batch. Never blocks.")
      .def("book", &Reader::book, "symbol_id"_a,
           nb::sig("def book(self, symbol_id: int) -> tuple[BookEntry, numpy.typing.NDArray[numpy.int64], "
                   "numpy.typing.NDArray[numpy.int64]]"),
           "Return the book-table entry, bids and asks: int64 arrays of shape (levels, 2), best first.\n\n"
           "Raises\n------\nSegmentError\n    No such symbol, or the publisher died inside the entry.")
      .def("instruments", &Reader::instruments, "Return the active instruments.")
      .def(
          "reattach",
          [](Reader& self, bool from_oldest) {
            return self.subscriber().reattach(from_oldest ? shm::Start::Oldest : shm::Start::Newest) ==
                   shm::AttachStatus::Ok;
          },
          "from_oldest"_a = true,
          "Map the segment of a publisher that was started again. False: it is not there yet.")
      .def(
          "check_publisher",
          [](const Reader& self, std::int64_t heartbeat_limit_ns) {
            return const_cast<Reader&>(self).subscriber().check_publisher(heartbeat_limit_ns);
          },
          "heartbeat_limit_ns"_a = 1'000'000'000,
          "EMPTY: the publisher is alive; else STOPPED or PUBLISHER_DEAD.")
      .def_prop_ro(
          "lost_events", [](Reader& self) { return self.subscriber().ring().total_lost_events(); },
          "Events lost to laps so far.")
      .def_prop_ro(
          "lag_bytes", [](Reader& self) { return self.subscriber().ring().lag_bytes(); },
          "Bytes published and not yet read.")
      .def_prop_ro("levels_per_side",
                   [](Reader& self) { return self.subscriber().books().levels_per_side(); })
      .def_prop_ro("publisher_pid",
                   [](Reader& self) { return self.subscriber().view().info().publisher_pid; })
      .def_prop_ro("generation", [](Reader& self) { return self.subscriber().view().info().generation; });
}

}  // namespace mdp::bindings
