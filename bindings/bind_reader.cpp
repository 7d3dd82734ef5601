// The shared-memory reader for Python, on the same headers C++ consumers include.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/vector.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "bindings.hpp"
#include "mdp/core/error.hpp"
#include "mdp/core/text.hpp"
#include "mdp/shm/shm.hpp"
#include "text.hpp"

namespace nb = nanobind;
using namespace nb::literals;

namespace mdp::bindings {
namespace {

using Levels = nb::ndarray<nb::numpy, std::int64_t, nb::shape<-1, 2>, nb::c_contig>;

// An array of its own, shape (levels, 2): price and quantity mantissas.
Levels to_array(shm::LevelSpan levels) {
  auto* data = new std::int64_t[levels.size() * 2 + 1];
  for (std::size_t i = 0; i < levels.size(); ++i) {
    data[2 * i] = levels[i].price;
    data[2 * i + 1] = levels[i].quantity;
  }
  const nb::capsule owner(data, [](void* p) noexcept { delete[] static_cast<std::int64_t*>(p); });
  return Levels(data, {levels.size(), 2}, owner);
}

// Of a property that returns such an array. The default for properties is to keep `self` alive as the owner,
// which nanobind refuses for an array that has one.
constexpr auto kOwnMemory = nb::rv_policy::automatic;

std::pair<std::int64_t, std::int64_t> to_pair(const shm::PriceLevel& level) {
  return {level.price, level.quantity};
}

// The body of an event; of one of another type zeros.
template <class Body>
Body body_or_zero(const shm::BatchEvent& event) {
  const Body* body = event.get_if<Body>();
  return body != nullptr ? *body : Body{};
}

// A field of a body, as a property of the event.
template <auto kField, class Body, class Type>
Type field_of(const shm::BatchEvent& event, Type Body::* /*deduces the types*/) {
  return body_or_zero<Body>(event).*kField;
}
template <auto kField>
auto field(const shm::BatchEvent& event) {
  return field_of<kField>(event, kField);
}
// The same, None for the value that means it.
template <auto kField, auto kNone>
auto unless(const shm::BatchEvent& event) {
  const auto value = field<kField>(event);
  return value == kNone ? std::nullopt : std::optional(value);
}
template <auto kOfTrade, auto kOfLiquidation>
auto of_trade_or_liquidation(const shm::BatchEvent& event) {
  return event.header.type == shm::EventType::Liquidation ? field<kOfLiquidation>(event)
                                                          : field<kOfTrade>(event);
}

class Reader {
 public:
  Reader(std::string name, bool from_oldest, std::optional<std::uint32_t> trusted_uid) {
    const shm::AttachStatus status = subscriber_.open(
        name, from_oldest ? shm::Start::Oldest : shm::Start::Newest, trusted_uid.value_or(shm::kTrustNobody));
    if (status != shm::AttachStatus::Ok) {
      throw SegmentError("cannot attach to segment \"" + name + "\": " + subscriber_.explain(status));
    }
  }

  // Up to `max` events and the status that ended the batch.
  nb::tuple poll(std::size_t max, std::uint32_t symbol_id, shm::BookKeeper* book) {
    auto batch = std::make_unique<shm::EventBatch>();
    shm::ReadStatus status{};
    if (book != nullptr) {  // another thread may look at it: not without the lock
      status = batch->fill(subscriber_.ring(), max, symbol_id, book);
    } else {
      const nb::gil_scoped_release unlocked;
      status = batch->fill(subscriber_.ring(), max, symbol_id);
    }
    nb::object owned = nb::cast(batch.get(), nb::rv_policy::take_ownership);
    batch.release();  // after the cast, which may throw
    return nb::make_tuple(std::move(owned), status);
  }

  // `book` is the present one. The ring stays where it is.
  void load(std::uint32_t symbol_id, shm::BookKeeper& book) {
    shm::BookStatus status;
    while ((status = book.load(subscriber_.ring(), symbol_id)) == shm::BookStatus::Busy) {
      check(unlocked([&] { return subscriber_.wait_for_book(symbol_id, book_); }), symbol_id);
    }
    check(status, symbol_id);
  }
  // The same, and the ring goes on from it.
  void follow(std::uint32_t symbol_id, shm::BookKeeper& book) {
    load(symbol_id, book);
    subscriber_.ring().start_at(book.position(), book.next_sequence());
  }

  nb::tuple book(std::uint32_t symbol_id) {
    check(unlocked([&] { return subscriber_.wait_for_book(symbol_id, book_); }), symbol_id);
    return copied_book();
  }

  std::vector<shm::InstrumentEntry> instruments() const {
    return subscriber_.directory().active_instruments();
  }

  shm::Subscriber& subscriber() noexcept { return subscriber_; }

 private:
  template <class Fn>
  static shm::BookStatus unlocked(Fn&& fn) {
    const nb::gil_scoped_release release;
    return fn();
  }
  static void check(shm::BookStatus status, std::uint32_t symbol_id) {
    if (status == shm::BookStatus::Ok) return;
    throw SegmentError("cannot read the book of symbol " + std::to_string(symbol_id) + ": " +
                       shm::to_string(status));
  }
  nb::tuple copied_book() const {
    return nb::make_tuple(book_.entry, to_array({book_.bids.data(), book_.bids.size()}),
                          to_array({book_.asks.data(), book_.asks.size()}));
  }

  shm::Subscriber subscriber_;
  shm::Book book_;
};

// The segment may be corrupt or hostile: what it says is not trusted to leave a terminal alone.
template <std::size_t N>
std::string text_of(const char (&field)[N]) {
  return core::printable(shm::text(field), 3 * N);
}

void bind_events(nb::module_& module) {
  nb::enum_<shm::ReadStatus>(module, "ReadStatus", "What ended a poll.")
      .value("OK", shm::ReadStatus::Ok)
      .value("EMPTY", shm::ReadStatus::Empty)
      .value("LAPPED", shm::ReadStatus::Lapped)
      .value("STOPPED", shm::ReadStatus::Stopped)
      .value("PUBLISHER_DEAD", shm::ReadStatus::PublisherDead)
      .value("CORRUPT", shm::ReadStatus::Corrupt)
      .value("NOT_ATTACHED", shm::ReadStatus::NotAttached)
      .value("PUBLISHER_STALE", shm::ReadStatus::PublisherStale)
      .value("MISMATCH", shm::ReadStatus::Mismatch);
  nb::enum_<shm::PublisherStatus>(
      module, "PublisherStatus",
      "What becomes of a publisher, as far as a reader can know. Its books are usable while it is RUNNING.")
      .value("RUNNING", shm::PublisherStatus::Running, "Its last heartbeat is no older than the limit.")
      .value("SILENT", shm::PublisherStatus::Silent,
             "Older, and no more is known: hung, suspended, or another user's and dead.")
      .value("DEAD", shm::PublisherStatus::Dead, "Silent, and nobody holds the lock of its name.")
      .value("STOPPED", shm::PublisherStatus::Stopped, "In order: its segment says so.")
      .value("REPLACED", shm::PublisherStatus::Replaced,
             "Silent, and another segment bears the name now: reattach.");

  nb::class_<shm::BatchEvent>(module, "Event",
                              "One published event. Numbers are mantissas; see Instrument for exponents.")
      .def_prop_ro("type", [](const shm::BatchEvent& e) { return e.header.type; })
      .def_prop_ro(
          "flags", [](const shm::BatchEvent& e) { return e.header.flags; }, "EventFlag bits.")
      .def_prop_ro("exchange_id", [](const shm::BatchEvent& e) { return e.header.exchange_id; })
      .def_prop_ro("symbol_id", [](const shm::BatchEvent& e) { return e.header.symbol_id; })
      .def_prop_ro("sequence", [](const shm::BatchEvent& e) { return e.header.sequence; })
      .def_prop_ro("update_id", [](const shm::BatchEvent& e) { return e.header.update_id; })
      .def_prop_ro("first_update_id", [](const shm::BatchEvent& e) { return e.header.first_update_id; })
      .def_prop_ro("exch_ts_ns", [](const shm::BatchEvent& e) { return e.header.exch_ts_ns; })
      .def_prop_ro("recv_ts_ns", [](const shm::BatchEvent& e) { return e.header.recv_ts_ns; })
      .def_prop_ro("pub_ts_ns", [](const shm::BatchEvent& e) { return e.header.pub_ts_ns; })
      .def_prop_ro(
          "bids", [](const shm::BatchEvent& e) { return to_array(e.bids()); }, kOwnMemory,
          "BOOK_DELTA, BOOK_SNAPSHOT: int64 array of shape (levels, 2), price and quantity.")
      .def_prop_ro(
          "asks", [](const shm::BatchEvent& e) { return to_array(e.asks()); }, kOwnMemory,
          "BOOK_DELTA, BOOK_SNAPSHOT: int64 array of shape (levels, 2), price and quantity.")
      .def_prop_ro(
          "bid", [](const shm::BatchEvent& e) { return to_pair(body_or_zero<shm::BboBody>(e).bid); },
          "BBO: (price, quantity); quantity 0: no bid.")
      .def_prop_ro(
          "ask", [](const shm::BatchEvent& e) { return to_pair(body_or_zero<shm::BboBody>(e).ask); },
          "BBO: (price, quantity); quantity 0: no ask.")
      .def_prop_ro("price", &of_trade_or_liquidation<&shm::TradeBody::price, &shm::LiquidationBody::price>,
                   "TRADE, LIQUIDATION.")
      .def_prop_ro("quantity",
                   &of_trade_or_liquidation<&shm::TradeBody::quantity, &shm::LiquidationBody::quantity>,
                   "TRADE, LIQUIDATION.")
      .def_prop_ro("trade_id", &field<&shm::TradeBody::trade_id>, "TRADE.")
      .def_prop_ro("side", &of_trade_or_liquidation<&shm::TradeBody::side, &shm::LiquidationBody::side>,
                   "TRADE: the aggressor's. LIQUIDATION: of the forced order.")
      .def_prop_ro("average_price", &field<&shm::LiquidationBody::average_price>,
                   "LIQUIDATION: of what was filled; 0: not said.")
      .def_prop_ro("filled_quantity", &field<&shm::LiquidationBody::filled_quantity>, "LIQUIDATION.")
      .def_prop_ro("mark_price", &field<&shm::MarkPriceBody::mark_price>,
                   "MARK_PRICE; this and the next two at price_exponent, 0: not said.")
      .def_prop_ro("index_price", &field<&shm::MarkPriceBody::index_price>, "MARK_PRICE.")
      .def_prop_ro("settle_price", &field<&shm::MarkPriceBody::settle_price>,
                   "MARK_PRICE: estimated settlement price.")
      .def_prop_ro("funding_rate", &field<&shm::MarkPriceBody::funding_rate>,
                   "MARK_PRICE: mantissa at FUNDING_RATE_EXPONENT.")
      .def_prop_ro("next_funding_ts_ns", &field<&shm::MarkPriceBody::next_funding_ts_ns>,
                   "MARK_PRICE; 0: the contract has no funding.")
      .def_prop_ro("book_state", &field<&shm::BookStateBody::state>, "BOOK_STATE.")
      .def_prop_ro("reason", &field<&shm::BookStateBody::reason>, "BOOK_STATE.")
      .def_prop_ro("known_bid", &unless<&shm::BookStateBody::known_bid, shm::kAllBids>,
                   "BOOK_STATE: all bids at this price or above it are known, and none below; None: all bids "
                   "are.")
      .def_prop_ro("known_ask", &unless<&shm::BookStateBody::known_ask, shm::kAllAsks>,
                   "BOOK_STATE: all asks at this price or below it are known, and none above; None: all asks "
                   "are.")
      .def_prop_ro("line_state", &field<&shm::ConnectionStatusBody::state>, "CONNECTION_STATUS.")
      .def_prop_ro("line", &field<&shm::ConnectionStatusBody::line>, "CONNECTION_STATUS.");
}

using Bytes = nb::ndarray<nb::numpy, const std::uint8_t, nb::ndim<1>, nb::c_contig>;

// The bytes of a column; the batch is their owner. An empty one is no memory at all.
template <class T>
Bytes bytes_of(nb::handle batch, const shm::Column<T>& column) {
  static const std::uint8_t nothing = 0;
  const void* data = column.data() == nullptr ? &nothing : static_cast<const void*>(column.data());
  return Bytes(data, {column.size() * sizeof(T)}, batch);
}

template <class Get>
void bind_column(nb::class_<shm::EventBatch>& type, const std::string& name, Get get, const char* doc) {
  type.def_prop_ro(
      name.c_str(),
      [get](nb::handle_t<shm::EventBatch> self) {
        return bytes_of(self, get(nb::cast<const shm::EventBatch&>(self)));
      },
      kOwnMemory, nb::sig(("def " + name + "(self) -> numpy.typing.NDArray[numpy.uint8]").c_str()), doc);
}

// The two columns of a body: `plural`, and `singular`_rows.
template <class Body>
void bind_bodies(nb::class_<shm::EventBatch>& type, const char* plural, const std::string& singular,
                 const char* dtype) {
  using shm::EventBatch;
  bind_column(
      type, plural, [](const EventBatch& batch) -> auto& { return batch.column<Body>().bodies; }, dtype);
  bind_column(
      type, singular + "_rows", [](const EventBatch& batch) -> auto& { return batch.column<Body>().rows; },
      "int64: the row of each of them.");
}

void bind_batch(nb::module_& module) {
  using shm::EventBatch;
  nb::class_<EventBatch> type(module, "Batch",
                              "Events of one poll, as columns of raw bytes; see mdp.reading.dtypes.");
  type.def("__len__", &EventBatch::size)
      .def(
          "event",
          [](const EventBatch& self, std::size_t row) {
            if (row >= self.size()) throw nb::index_error("no such event in the batch");
            return self.event(row);
          },
          "row"_a, "Return one event as an object.");
  bind_column(
      type, "headers", [](const EventBatch& batch) -> auto& { return batch.headers(); },
      "EVENT_DTYPE, one a row.");
  bind_column(
      type, "level_offset", [](const EventBatch& batch) -> auto& { return batch.level_offset(); },
      "int64, one more than there are rows.");
  bind_column(
      type, "levels", [](const EventBatch& batch) -> auto& { return batch.levels(); },
      "LEVEL_DTYPE, of all deltas and snapshots.");
  bind_bodies<shm::BookStateBody>(type, "book_states", "book_state", "BOOK_STATE_DTYPE.");
  bind_bodies<shm::BboBody>(type, "bbo", "bbo", "BBO_DTYPE.");
  bind_bodies<shm::TradeBody>(type, "trades", "trade", "TRADE_DTYPE.");
  bind_bodies<shm::ConnectionStatusBody>(type, "connection_statuses", "connection_status",
                                         "CONNECTION_STATUS_DTYPE.");
  bind_bodies<shm::MarkPriceBody>(type, "mark_prices", "mark_price", "MARK_PRICE_DTYPE.");
  bind_bodies<shm::LiquidationBody>(type, "liquidations", "liquidation", "LIQUIDATION_DTYPE.");
}

// Sizes and offsets of the records, which mdp.reading.dtypes repeats and a test compares.
nb::dict record_layouts() {
  const auto record = [](std::size_t size, std::vector<std::pair<const char*, std::size_t>> offsets) {
    nb::dict fields;
    for (const auto& [name, offset] : offsets) fields[name] = offset;
    return nb::make_tuple(size, fields);
  };
  nb::dict layouts;
#define MDP_FIELD(type, field) {#field, offsetof(shm::type, field)}
  layouts["EVENT_DTYPE"] =
      record(sizeof(shm::EventHeader),
             {MDP_FIELD(EventHeader, size_lines), MDP_FIELD(EventHeader, type), MDP_FIELD(EventHeader, flags),
              MDP_FIELD(EventHeader, exchange_id), MDP_FIELD(EventHeader, symbol_id),
              MDP_FIELD(EventHeader, bid_count), MDP_FIELD(EventHeader, ask_count),
              MDP_FIELD(EventHeader, sequence), MDP_FIELD(EventHeader, update_id),
              MDP_FIELD(EventHeader, first_update_id), MDP_FIELD(EventHeader, exch_ts_ns),
              MDP_FIELD(EventHeader, recv_ts_ns), MDP_FIELD(EventHeader, pub_ts_ns)});
  layouts["LEVEL_DTYPE"] =
      record(sizeof(shm::PriceLevel), {MDP_FIELD(PriceLevel, price), MDP_FIELD(PriceLevel, quantity)});
  layouts["BOOK_STATE_DTYPE"] = record(
      sizeof(shm::BookStateBody), {MDP_FIELD(BookStateBody, known_bid), MDP_FIELD(BookStateBody, known_ask),
                                   MDP_FIELD(BookStateBody, state), MDP_FIELD(BookStateBody, reason)});
  layouts["CONNECTION_STATUS_DTYPE"] =
      record(sizeof(shm::ConnectionStatusBody),
             {MDP_FIELD(ConnectionStatusBody, line), MDP_FIELD(ConnectionStatusBody, state)});
  layouts["BBO_DTYPE"] =
      record(sizeof(shm::BboBody), {{"bid_price", offsetof(shm::BboBody, bid.price)},
                                    {"bid_quantity", offsetof(shm::BboBody, bid.quantity)},
                                    {"ask_price", offsetof(shm::BboBody, ask.price)},
                                    {"ask_quantity", offsetof(shm::BboBody, ask.quantity)}});
  layouts["TRADE_DTYPE"] =
      record(sizeof(shm::TradeBody), {MDP_FIELD(TradeBody, price), MDP_FIELD(TradeBody, quantity),
                                      MDP_FIELD(TradeBody, trade_id), MDP_FIELD(TradeBody, side)});
  layouts["MARK_PRICE_DTYPE"] =
      record(sizeof(shm::MarkPriceBody),
             {MDP_FIELD(MarkPriceBody, mark_price), MDP_FIELD(MarkPriceBody, index_price),
              MDP_FIELD(MarkPriceBody, settle_price), MDP_FIELD(MarkPriceBody, funding_rate),
              MDP_FIELD(MarkPriceBody, next_funding_ts_ns)});
  layouts["LIQUIDATION_DTYPE"] =
      record(sizeof(shm::LiquidationBody),
             {MDP_FIELD(LiquidationBody, price), MDP_FIELD(LiquidationBody, average_price),
              MDP_FIELD(LiquidationBody, quantity), MDP_FIELD(LiquidationBody, filled_quantity),
              MDP_FIELD(LiquidationBody, side)});
#undef MDP_FIELD
  return layouts;
}

std::vector<std::string> segment_names() {
  std::vector<std::string> names;
  const auto add = [](const char* name, void* to) {
    static_cast<std::vector<std::string>*>(to)->emplace_back(name);
  };
  if (mdp_shm_os_list(add, &names) == 0) {
    throw SegmentError("this system keeps no list of segments: it has no /dev/shm");
  }
  std::sort(names.begin(), names.end());
  return names;
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
      .def_ro("next_sequence", &shm::BookEntry::next_sequence)
      .def_ro("refresh_position", &shm::BookEntry::refresh_position,
              "Where the newest whole book begins in the ring; 2**64 - 1: there is none.")
      .def_ro("refresh_sequence", &shm::BookEntry::refresh_sequence);
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
      .def_prop_ro("settle", [](const InstrumentEntry& e) { return text_of(e.settle); })
      .def_prop_ro("venue_status", [](const InstrumentEntry& e) { return text_of(e.venue_status); })
      .def_ro("kind", &InstrumentEntry::kind)
      .def_ro("settlement", &InstrumentEntry::settlement)
      .def_ro("contract_unit", &InstrumentEntry::contract_unit, "What contract_size counts.")
      .def_ro("contract_size", &InstrumentEntry::contract_size,
              "Mantissa at contract_exponent, of contract_unit; 0: there are no contracts.")
      .def_ro("contract_exponent", &InstrumentEntry::contract_exponent)
      .def_ro("expiry_ns", &InstrumentEntry::expiry_ns, "Since the Unix epoch; 0: none.")
      .def_ro("option_right", &InstrumentEntry::option_right)
      .def_ro("strike_price", &InstrumentEntry::strike_price, "Of an option: mantissa at strike_exponent.")
      .def_ro("strike_exponent", &InstrumentEntry::strike_exponent)
      .def_prop_ro(
          "underlying", [](const InstrumentEntry& e) { return text_of(e.underlying); },
          "Of a future or an option, where it is not the base.")
      .def_ro("min_quantity", &InstrumentEntry::min_quantity,
              "Of one order, mantissa at quantity_exponent; 0: unknown.")
      .def_ro("max_quantity", &InstrumentEntry::max_quantity,
              "Of one order, mantissa at quantity_exponent; 0: unknown.")
      .def_ro("min_notional", &InstrumentEntry::min_notional,
              "Of one order, mantissa at notional_exponent, in quote; 0: unknown.")
      .def_ro("notional_exponent", &InstrumentEntry::notional_exponent);
}

}  // namespace

// "bids" or "asks", as an index of a book's sides.
int side_of(const std::string& side) {
  if (side == "bids") return MDP_SHM_BIDS;
  if (side == "asks") return MDP_SHM_ASKS;
  throw nb::value_error(("wanted is \"bids\" or \"asks\", found \"" + side + "\"").c_str());
}

using Pairs = std::vector<std::pair<std::int64_t, std::int64_t>>;

Pairs levels_of(const shm::BookKeeper& book, const std::string& side, std::optional<std::size_t> depth) {
  const bool asks = side_of(side) == MDP_SHM_ASKS;
  const std::size_t held = asks ? book.ask_count() : book.bid_count();
  const std::size_t count = depth && *depth < held ? *depth : held;
  Pairs levels;
  levels.reserve(count);
  for (std::size_t i = 0; i < count; ++i) levels.push_back(to_pair(*(asks ? book.ask(i) : book.bid(i))));
  return levels;
}

std::optional<std::pair<std::int64_t, std::int64_t>> best_of(const shm::BookKeeper& book,
                                                             const std::string& side) {
  const auto best = side_of(side) == MDP_SHM_ASKS ? book.ask() : book.bid();
  if (!best) return std::nullopt;
  return to_pair(*best);
}

void reset_book(shm::BookKeeper& book, shm::BookState state, shm::StateReason reason, std::uint64_t update_id,
                const Pairs& bids, const Pairs& asks, std::uint32_t capacity) {
  constexpr std::size_t kMost = 0xFFFF;
  if (bids.size() > kMost || asks.size() > kMost) throw nb::value_error("more than 65535 levels of a side");
  shm::Book from;
  from.entry.state = state;
  from.entry.reason = reason;
  from.entry.update_id = update_id;
  from.entry.known_bid = shm::kAllBids;
  from.entry.known_ask = shm::kAllAsks;
  for (const auto& [price, quantity] : bids) from.bids.push_back({price, quantity});
  for (const auto& [price, quantity] : asks) from.asks.push_back({price, quantity});
  if (book.load(from, shm::kNoSymbol, capacity) != shm::BookStatus::Ok) throw std::bad_alloc();
}

void bind_local_book(nb::module_& module) {
  using shm::BookKeeper;
  nb::class_<BookKeeper>(
      module, "LocalBook",
      "One instrument's book, kept in this process by `apply`; `Subscriber.follow` makes one that is right.\n"
      "\n"
      "Prices and quantities are mantissas. A book that began with a whole one has every level that the\n"
      "publisher has (`whole`). One that began with the book table knows the prices up to the last level\n"
      "there; what lies beyond is left out rather than shown with holes, so as levels are taken away fewer\n"
      "remain, until the next whole snapshot. What `levels` returns is right whenever `live` is true.")
      .def(nb::init<>())
      .def_prop_ro("state", &BookKeeper::state, "As the last BOOK_STATE, or the book table, had it.")
      .def_prop_ro("reason", &BookKeeper::reason, "Of the state.")
      .def_prop_ro("live", &BookKeeper::usable,
                   "Whether the book is right up to `update_id`: LIVE, and not refuted since it came whole.")
      .def_prop_ro("whole", &BookKeeper::whole,
                   "Whether it has every level that the publisher has. Only such a book can be verified.")
      .def_prop_ro("update_id", &BookKeeper::update_id,
                   "The venue's id of the book after the last update applied.")
      .def_prop_ro("next_sequence", &BookKeeper::next_sequence,
                   "Sequence of the first event that is not in the book.")
      .def_prop_ro("loads", &BookKeeper::loads, "How often it was loaded: more than once after laps.")
      .def_prop_ro("gaps", &BookKeeper::gaps, "Deltas that did not follow the book: the publisher's fault.")
      .def_prop_ro("verified", &BookKeeper::verified,
                   "Updates that were compared with the publisher's checksum or whole book.")
      .def_prop_ro("mismatches", &BookKeeper::mismatches, "Those of them that differed.")
      .def_prop_ro("checksum", &BookKeeper::checksum, "Of all its levels, as the publisher sends it.")
      .def_prop_rw("verify", &BookKeeper::verifies, &BookKeeper::verify,
                   "Whether each update is compared with the publisher's checksum.")
      .def(
          "reset", &reset_book, "state"_a, "reason"_a, "update_id"_a, "bids"_a, "asks"_a, "capacity"_a,
          "Begin anew with the best `capacity` levels a side, (price, quantity) best first; fewer than that\n"
          "are the whole side of a LIVE book.")
      .def(
          "apply",
          [](BookKeeper& self, const shm::BatchEvent& event) {
            self.apply(event.header, event.body_of_book());
          },
          "event"_a,
          "Take in the next event of this instrument. Trades and quotes change nothing, nor does an event "
          "that\n"
          "is in it already, by its sequence.")
      .def("levels", &levels_of, "side"_a, "depth"_a = nb::none(),
           nb::sig("def levels(self, side: typing.Literal['bids', 'asks'], depth: int | None = None) -> "
                   "list[tuple[int, int]]"),
           "Return (price, quantity) of a side, best first, at most `depth` of those known.\n\n"
           "Raises\n------\nValueError\n    `side` is neither \"bids\" nor \"asks\".")
      .def("best", &best_of, "side"_a,
           nb::sig("def best(self, side: typing.Literal['bids', 'asks']) -> tuple[int, int] | None"),
           "Return (price, quantity) of the best level of a side; None: there is none, or none is known.");
}

void bind_reader(nb::module_& module) {
  bind_events(module);
  bind_local_book(module);
  bind_entries(module);
  bind_batch(module);
  module.def("record_layouts", &record_layouts,
             nb::sig("def record_layouts() -> dict[str, tuple[int, dict[str, int]]]"),
             "Return size and field offsets of each record, by the name it has in mdp.reading.dtypes.");
  module.attr("NO_SYMBOL") = shm::kNoSymbol;
  module.attr("FUNDING_RATE_EXPONENT") = shm::kFundingRateExponent;
  module.def("segment_names", &segment_names,
             "Return the names under which segments could be on this machine, sorted.\n\nRaises\n------\n"
             "SegmentError\n    This system has no list of them.");
  nb::class_<Reader>(module, "Reader",
                     "A segment mapped read-only: directory, book table and ring. One thread.")
      .def(nb::init<std::string, bool, std::optional<std::uint32_t>>(), "segment"_a, "from_oldest"_a = false,
           "trusted_uid"_a = nb::none(),
           "Attach to a segment of this user, of root or of `trusted_uid`.\n\nRaises\n------\nSegmentError\n "
           "   Why it cannot be attached to.")
      .def("poll", &Reader::poll, "max"_a = 1024, "symbol_id"_a = shm::kNoSymbol, "book"_a = nb::none(),
           nb::sig("def poll(self, max: int = 1024, symbol_id: int = ..., book: LocalBook | None = None) -> "
                   "tuple[Batch, ReadStatus]"),
           "Return up to `max` events, of one instrument or of all, and the status that ended the batch. "
           "They are taken into `book`, which was followed. Never blocks.")
      .def("follow", &Reader::follow, "symbol_id"_a, "book"_a,
           "Make `book` the present one, and go on reading with the first event that is not in it.\n\n"
           "Raises\n------\nSegmentError\n    No such symbol, or the publisher died inside the entry.")
      .def("load", &Reader::load, "symbol_id"_a, "book"_a,
           "Make `book` the present one, and stay where the reader is.\n\n"
           "Raises\n------\nSegmentError\n    As `follow`.")
      .def("book", &Reader::book, "symbol_id"_a,
           nb::sig("def book(self, symbol_id: int) -> tuple[BookEntry, numpy.typing.NDArray[numpy.int64], "
                   "numpy.typing.NDArray[numpy.int64]]"),
           "Return the book-table entry, bids and asks: int64 arrays of shape (levels, 2), best first.\n\n"
           "Raises\n------\nSegmentError\n    No such symbol, or the publisher died inside the entry.")
      .def(
          "sleep",
          [](Reader& self, double timeout_s) {
            const nb::gil_scoped_release unlocked;
            self.subscriber().sleep(std::chrono::duration_cast<std::chrono::nanoseconds>(
                std::chrono::duration<double>(timeout_s)));
          },
          "timeout_s"_a,
          "Sleep until there is something new, by the segment's doorbell; without one for a moment. Returns "
          "after "
          "`timeout_s` at the latest.")
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
          "publisher_status",
          [](Reader& self, std::int64_t heartbeat_limit_ns) {
            return self.subscriber().publisher_status(heartbeat_limit_ns);
          },
          "heartbeat_limit_ns"_a = shm::kHeartbeatLimit,
          "Return what the publisher is. A negative limit is what the segment's header asks for.")
      .def_prop_ro(
          "heartbeat_age_ns", [](Reader& self) { return self.subscriber().mapping().heartbeat_age_ns(); },
          "How long the publisher has given no sign of life, on the monotonic clock.")
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
      .def_prop_ro("generation", [](Reader& self) { return self.subscriber().view().info().generation; })
      .def_prop_ro(
          "owner_uid", [](Reader& self) { return self.subscriber().mapping().file().owner_uid; },
          "The user whose segment it is; 0 on Windows.")
      .def_prop_ro(
          "start_ts_ns", [](Reader& self) { return self.subscriber().view().info().start_ts_ns; },
          "When the publisher started, since the Unix epoch.")
      .def_prop_ro(
          "event_count", [](Reader& self) { return self.subscriber().view().event_count(); },
          "Events published so far.")
      .def_prop_ro(
          "instrument_count", [](Reader& self) { return self.subscriber().directory().instrument_count(); },
          "One more than the highest symbol_id in use.");
}

}  // namespace mdp::bindings
