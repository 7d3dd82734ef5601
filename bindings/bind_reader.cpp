// The shared-memory reader for Python, on the same headers C++ consumers include.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/vector.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <new>
#include <string>
#include <type_traits>
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
  shm::BookStateBody book_state{};
  shm::BboBody bbo{};
  shm::TradeBody trade{};
  shm::ConnectionStatusBody connection_status{};
  shm::MarkPriceBody mark_price{};
  shm::LiquidationBody liquidation{};
};

std::pair<std::int64_t, std::int64_t> to_pair(const shm::PriceLevel& level) {
  return {level.price, level.quantity};
}

// A growing array that is never filled in advance: a batch is written once, by the copy out of the ring.
template <class T>
class Column {
 public:
  static_assert(std::is_trivially_copyable_v<T>);
  Column() = default;
  ~Column() { std::free(data_); }
  Column(const Column&) = delete;
  Column& operator=(const Column&) = delete;

  // Room for `count` behind the end.
  void reserve_more(std::size_t count) {
    if (size_ + count > capacity_) grow(size_ + count);
  }
  T* end() noexcept { return data_ + size_; }
  void add(std::size_t count) noexcept { size_ += count; }
  void push(const T& value) {
    reserve_more(1);
    data_[size_++] = value;
  }
  const T* data() const noexcept { return data_; }
  std::size_t size() const noexcept { return size_; }
  const T& operator[](std::size_t i) const noexcept { return data_[i]; }

 private:
  void grow(std::size_t wanted) {
    const std::size_t capacity = std::max(wanted, 2 * capacity_);
    void* data = std::realloc(data_, capacity * sizeof(T));
    if (data == nullptr) throw std::bad_alloc();
    data_ = static_cast<T*>(data);
    capacity_ = capacity;
  }

  T* data_ = nullptr;
  std::size_t size_ = 0;
  std::size_t capacity_ = 0;
};

// Events as columns. Filled by one poll and never changed after, so arrays of it stay valid as long as they
// live.
class Batch {
 public:
  // Copies up to `max` events out of the ring, and keeps those of one instrument only, unless `symbol_id` is
  // kNoSymbol. Types this version does not know are passed over, as the wire format asks.
  shm::ReadStatus fill(shm::Subscriber& from, std::size_t max, std::uint32_t symbol_id) {
    level_offset_.push(0);
    // What lies in the ring bounds what there is to come: a nearly empty poll allocates next to nothing.
    // Bounded itself: a corrupt segment may say anything.
    const std::uint64_t lag = std::min(from.ring().lag_bytes(), from.view().ring_bytes());
    const std::size_t expected =
        std::min<std::uint64_t>(max, lag / (2 * shm::kCacheLineSize) + 1);  // few records are one line
    headers_.reserve_more(expected);
    level_offset_.reserve_more(expected);
    for (std::size_t polled = 0; polled < max; ++polled) {
      headers_.reserve_more(1);
      levels_.reserve_more(shm::kMaxEventLevels);
      const shm::ReadStatus status = from.ring().poll(*headers_.end(), levels_.end());
      if (status != shm::ReadStatus::Ok) return status;
      if (symbol_id == shm::kNoSymbol || headers_.end()->symbol_id == symbol_id) add();
    }
    return shm::ReadStatus::Ok;
  }

  std::size_t size() const noexcept { return headers_.size(); }

  ReaderEvent event(std::size_t row) const {
    ReaderEvent event{headers_[row], {}, {}, {}, {}, {}, {}, {}};
    switch (event.header.type) {
      case shm::EventType::BookDelta:
      case shm::EventType::BookSnapshot:
        event.levels.assign(levels_.data() + level_offset_[row], levels_.data() + level_offset_[row + 1]);
        break;
      case shm::EventType::BookState:
        event.book_state = book_states_[index_of(book_state_rows_, row)];
        break;
      case shm::EventType::Bbo:
        event.bbo = quotes_[index_of(quote_rows_, row)];
        break;
      case shm::EventType::Trade:
        event.trade = trades_[index_of(trade_rows_, row)];
        break;
      case shm::EventType::ConnectionStatus:
        event.connection_status = connection_statuses_[index_of(connection_status_rows_, row)];
        break;
      case shm::EventType::MarkPrice:
        event.mark_price = mark_prices_[index_of(mark_price_rows_, row)];
        break;
      case shm::EventType::Liquidation:
        event.liquidation = liquidations_[index_of(liquidation_rows_, row)];
        break;
      default:
        break;
    }
    return event;
  }

  const Column<shm::EventHeader>& headers() const noexcept { return headers_; }
  const Column<std::int64_t>& level_offset() const noexcept { return level_offset_; }
  const Column<shm::PriceLevel>& levels() const noexcept { return levels_; }
  const Column<shm::BookStateBody>& book_states() const noexcept { return book_states_; }
  const Column<std::int64_t>& book_state_rows() const noexcept { return book_state_rows_; }
  const Column<shm::BboBody>& quotes() const noexcept { return quotes_; }
  const Column<std::int64_t>& quote_rows() const noexcept { return quote_rows_; }
  const Column<shm::TradeBody>& trades() const noexcept { return trades_; }
  const Column<std::int64_t>& trade_rows() const noexcept { return trade_rows_; }
  const Column<shm::ConnectionStatusBody>& connection_statuses() const noexcept {
    return connection_statuses_;
  }
  const Column<std::int64_t>& connection_status_rows() const noexcept { return connection_status_rows_; }
  const Column<shm::MarkPriceBody>& mark_prices() const noexcept { return mark_prices_; }
  const Column<std::int64_t>& mark_price_rows() const noexcept { return mark_price_rows_; }
  const Column<shm::LiquidationBody>& liquidations() const noexcept { return liquidations_; }
  const Column<std::int64_t>& liquidation_rows() const noexcept { return liquidation_rows_; }

 private:
  // Takes in the event whose header and body stand behind the ends of headers_ and levels_.
  void add() {
    const shm::EventHeader& header = *headers_.end();
    const auto row = static_cast<std::int64_t>(headers_.size());
    switch (header.type) {
      case shm::EventType::BookDelta:
      case shm::EventType::BookSnapshot:
        levels_.add(std::size_t{header.bid_count} + header.ask_count);
        break;
      case shm::EventType::Bbo:
        take_body(quotes_);
        quote_rows_.push(row);
        break;
      case shm::EventType::Trade:
        take_body(trades_);
        trade_rows_.push(row);
        break;
      case shm::EventType::MarkPrice:
        take_body(mark_prices_);
        mark_price_rows_.push(row);
        break;
      case shm::EventType::Liquidation:
        take_body(liquidations_);
        liquidation_rows_.push(row);
        break;
      case shm::EventType::BookState:
        take_body(book_states_);
        book_state_rows_.push(row);
        break;
      case shm::EventType::ConnectionStatus:
        take_body(connection_statuses_);
        connection_status_rows_.push(row);
        break;
      case shm::EventType::Instrument:
        break;
      default:
        return;
    }
    headers_.add(1);
    level_offset_.push(static_cast<std::int64_t>(levels_.size()));
  }
  template <class Body>
  void take_body(Column<Body>& column) {
    column.reserve_more(1);
    std::memcpy(column.end(), levels_.end(), sizeof(Body));
    column.add(1);
  }
  static std::size_t index_of(const Column<std::int64_t>& rows, std::size_t row) {
    const std::int64_t* end = rows.data() + rows.size();
    return static_cast<std::size_t>(std::lower_bound(rows.data(), end, static_cast<std::int64_t>(row)) -
                                    rows.data());
  }

  Column<shm::EventHeader> headers_;
  Column<std::int64_t> level_offset_;
  Column<shm::PriceLevel> levels_;
  Column<shm::BookStateBody> book_states_;
  Column<std::int64_t> book_state_rows_;
  Column<shm::BboBody> quotes_;
  Column<std::int64_t> quote_rows_;
  Column<shm::TradeBody> trades_;
  Column<std::int64_t> trade_rows_;
  Column<shm::ConnectionStatusBody> connection_statuses_;
  Column<std::int64_t> connection_status_rows_;
  Column<shm::MarkPriceBody> mark_prices_;
  Column<std::int64_t> mark_price_rows_;
  Column<shm::LiquidationBody> liquidations_;
  Column<std::int64_t> liquidation_rows_;
};

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
  nb::tuple poll(std::size_t max, std::uint32_t symbol_id) {
    auto batch = std::make_unique<Batch>();
    shm::ReadStatus status{};
    {
      const nb::gil_scoped_release unlocked;
      status = batch->fill(subscriber_, max, symbol_id);
    }
    nb::object owned = nb::cast(batch.get(), nb::rv_policy::take_ownership);
    batch.release();  // after the cast, which may throw
    return nb::make_tuple(std::move(owned), status);
  }

  // The book, and the ring set to go on from it.
  nb::tuple join(std::uint32_t symbol_id) {
    check(unlocked([&] { return subscriber_.join(symbol_id, book_); }), symbol_id);
    return copied_book();
  }

  nb::tuple book(std::uint32_t symbol_id) {
    check(unlocked([&] { return subscriber_.wait_for_book(symbol_id, book_); }), symbol_id);
    return copied_book();
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
    return nb::make_tuple(book_.entry, to_array(book_.bids.data(), book_.bids.size()),
                          to_array(book_.asks.data(), book_.asks.size()));
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
      .value("PUBLISHER_STALE", shm::ReadStatus::PublisherStale);

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
          "price",
          [](const ReaderEvent& e) {
            return e.header.type == shm::EventType::Liquidation ? e.liquidation.price : e.trade.price;
          },
          "TRADE, LIQUIDATION.")
      .def_prop_ro(
          "quantity",
          [](const ReaderEvent& e) {
            return e.header.type == shm::EventType::Liquidation ? e.liquidation.quantity : e.trade.quantity;
          },
          "TRADE, LIQUIDATION.")
      .def_prop_ro(
          "trade_id", [](const ReaderEvent& e) { return e.trade.trade_id; }, "TRADE.")
      .def_prop_ro(
          "side",
          [](const ReaderEvent& e) {
            return e.header.type == shm::EventType::Liquidation ? e.liquidation.side : e.trade.side;
          },
          "TRADE: the aggressor's. LIQUIDATION: of the forced order.")
      .def_prop_ro(
          "average_price", [](const ReaderEvent& e) { return e.liquidation.average_price; },
          "LIQUIDATION: of what was filled; 0: not said.")
      .def_prop_ro(
          "filled_quantity", [](const ReaderEvent& e) { return e.liquidation.filled_quantity; },
          "LIQUIDATION.")
      .def_prop_ro(
          "mark_price", [](const ReaderEvent& e) { return e.mark_price.mark_price; },
          "MARK_PRICE; this and the next two at price_exponent, 0: not said.")
      .def_prop_ro(
          "index_price", [](const ReaderEvent& e) { return e.mark_price.index_price; }, "MARK_PRICE.")
      .def_prop_ro(
          "settle_price", [](const ReaderEvent& e) { return e.mark_price.settle_price; },
          "MARK_PRICE: estimated settlement price.")
      .def_prop_ro(
          "funding_rate", [](const ReaderEvent& e) { return e.mark_price.funding_rate; },
          "MARK_PRICE: mantissa at FUNDING_RATE_EXPONENT.")
      .def_prop_ro(
          "next_funding_ts_ns", [](const ReaderEvent& e) { return e.mark_price.next_funding_ts_ns; },
          "MARK_PRICE; 0: the contract has no funding.")
      .def_prop_ro(
          "book_state", [](const ReaderEvent& e) { return e.book_state.state; }, "BOOK_STATE.")
      .def_prop_ro(
          "reason", [](const ReaderEvent& e) { return e.book_state.reason; }, "BOOK_STATE.")
      .def_prop_ro(
          "known_bid",
          [](const ReaderEvent& e) -> std::optional<std::int64_t> {
            if (e.book_state.known_bid == shm::kAllBids) return std::nullopt;
            return e.book_state.known_bid;
          },
          "BOOK_STATE: all bids at this price or above it are known, and none below; None: all bids are.")
      .def_prop_ro(
          "known_ask",
          [](const ReaderEvent& e) -> std::optional<std::int64_t> {
            if (e.book_state.known_ask == shm::kAllAsks) return std::nullopt;
            return e.book_state.known_ask;
          },
          "BOOK_STATE: all asks at this price or below it are known, and none above; None: all asks are.")
      .def_prop_ro(
          "line_state", [](const ReaderEvent& e) { return e.connection_status.state; }, "CONNECTION_STATUS.")
      .def_prop_ro(
          "line", [](const ReaderEvent& e) { return e.connection_status.line; }, "CONNECTION_STATUS.");
}

using Bytes = nb::ndarray<nb::numpy, const std::uint8_t, nb::ndim<1>, nb::c_contig>;

// The bytes of a column; the batch is their owner. An empty one is no memory at all.
template <class T>
Bytes bytes_of(nb::handle_t<Batch> batch, const Column<T>& (Batch::*column)() const noexcept) {
  static const std::uint8_t nothing = 0;
  const Column<T>& values = (nb::cast<const Batch&>(batch).*column)();
  const void* data = values.data() == nullptr ? &nothing : static_cast<const void*>(values.data());
  return Bytes(data, {values.size() * sizeof(T)}, batch);
}

template <auto kColumn>
void bind_column(nb::class_<Batch>& type, const char* name, const char* doc) {
  type.def_prop_ro(
      name, [](nb::handle_t<Batch> self) { return bytes_of(self, kColumn); }, kOwnMemory,
      nb::sig(("def " + std::string(name) + "(self) -> numpy.typing.NDArray[numpy.uint8]").c_str()), doc);
}

void bind_batch(nb::module_& module) {
  nb::class_<Batch> type(module, "Batch",
                         "Events of one poll, as columns of raw bytes; see mdp.reading.dtypes.");
  type.def("__len__", &Batch::size)
      .def(
          "event",
          [](const Batch& self, std::size_t row) {
            if (row >= self.size()) throw nb::index_error("no such event in the batch");
            return self.event(row);
          },
          "row"_a, "Return one event as an object.");
  bind_column<&Batch::headers>(type, "headers", "EVENT_DTYPE, one a row.");
  bind_column<&Batch::level_offset>(type, "level_offset", "int64, one more than there are rows.");
  bind_column<&Batch::levels>(type, "levels", "LEVEL_DTYPE, of all deltas and snapshots.");
  bind_column<&Batch::book_states>(type, "book_states", "BOOK_STATE_DTYPE.");
  bind_column<&Batch::book_state_rows>(type, "book_state_rows", "int64: the row of each book state.");
  bind_column<&Batch::quotes>(type, "quotes", "BBO_DTYPE.");
  bind_column<&Batch::quote_rows>(type, "quote_rows", "int64: the row of each quote.");
  bind_column<&Batch::trades>(type, "trades", "TRADE_DTYPE.");
  bind_column<&Batch::trade_rows>(type, "trade_rows", "int64: the row of each trade.");
  bind_column<&Batch::connection_statuses>(type, "connection_statuses", "CONNECTION_STATUS_DTYPE.");
  bind_column<&Batch::connection_status_rows>(type, "connection_status_rows",
                                              "int64: the row of each connection status.");
  bind_column<&Batch::mark_prices>(type, "mark_prices", "MARK_PRICE_DTYPE.");
  bind_column<&Batch::mark_price_rows>(type, "mark_price_rows", "int64: the row of each mark price.");
  bind_column<&Batch::liquidations>(type, "liquidations", "LIQUIDATION_DTYPE.");
  bind_column<&Batch::liquidation_rows>(type, "liquidation_rows", "int64: the row of each liquidation.");
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
             {MDP_FIELD(EventHeader, size_bytes), MDP_FIELD(EventHeader, type), MDP_FIELD(EventHeader, flags),
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
      .def_prop_ro("settle", [](const InstrumentEntry& e) { return text_of(e.settle); })
      .def_prop_ro("venue_status", [](const InstrumentEntry& e) { return text_of(e.venue_status); })
      .def_ro("kind", &InstrumentEntry::kind)
      .def_ro("contract_size", &InstrumentEntry::contract_size, "Mantissa at contract_exponent; 0 for spot.")
      .def_ro("contract_exponent", &InstrumentEntry::contract_exponent)
      .def_ro("expiry_ns", &InstrumentEntry::expiry_ns, "0: none.");
}

}  // namespace

void bind_reader(nb::module_& module) {
  bind_events(module);
  bind_entries(module);
  bind_batch(module);
  module.def("record_layouts", &record_layouts,
             nb::sig("def record_layouts() -> dict[str, tuple[int, dict[str, int]]]"),
             "Return size and field offsets of each record, by the name it has in mdp.reading.dtypes.");
  module.attr("NO_SYMBOL") = shm::kNoSymbol;
  module.attr("FUNDING_RATE_EXPONENT") = shm::kFundingRateExponent;
  nb::class_<Reader>(module, "Reader",
                     "A segment mapped read-only: directory, book table and ring. One thread.")
      .def(nb::init<std::string, bool>(), "segment"_a, "from_oldest"_a = false,
           "Attach to a segment.\n\nRaises\n------\nSegmentError\n    Why it cannot be attached to.")
      .def("poll", &Reader::poll, "max"_a = 1024, "symbol_id"_a = shm::kNoSymbol,
           nb::sig("def poll(self, max: int = 1024, symbol_id: int = ...) -> tuple[Batch, ReadStatus]"),
           "Return up to `max` events, of one instrument or of all, and the status that ended the batch. "
           "Never "
           "blocks.")
      .def("join", &Reader::join, "symbol_id"_a,
           nb::sig("def join(self, symbol_id: int) -> tuple[BookEntry, numpy.typing.NDArray[numpy.int64], "
                   "numpy.typing.NDArray[numpy.int64]]"),
           "Return what `book` returns, and go on reading with the first event that is not in it.")
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
          "EMPTY: the publisher is alive; else STOPPED, PUBLISHER_DEAD or PUBLISHER_STALE.")
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
