// Numbers, enums of the published records, instruments, venues.
#include <nanobind/nanobind.h>
#include <nanobind/stl/vector.h>

#include "bindings.hpp"
#include "mdp/core/error.hpp"
#include "mdp/core/fixed_point.hpp"
#include "mdp/core/instrument.hpp"
#include "mdp/queue/spsc_queue.hpp"
#include "mdp/shm/decimal.hpp"
#include "mdp/shm/directory.hpp"
#include "mdp/shm/event.hpp"
#include "mdp/venue/registry.hpp"
#include "text.hpp"

namespace nb = nanobind;
using namespace nb::literals;

namespace mdp::bindings {
namespace {

std::int64_t parse_decimal(std::string_view text, int exponent) {
  std::int64_t mantissa = 0;
  switch (core::parse_decimal(text, exponent, mantissa)) {
    case core::NumberStatus::Ok:
      return mantissa;
    case core::NumberStatus::Bad:
      throw nb::value_error(("not a decimal number: \"" + std::string(text) + "\"").c_str());
    case core::NumberStatus::Inexact:
      throw nb::value_error(
          ("\"" + std::string(text) + "\" has digits below 10^" + std::to_string(exponent)).c_str());
    case core::NumberStatus::Overflow:
      break;
  }
  throw nb::value_error(
      ("\"" + std::string(text) + "\" does not fit 64 bits at exponent " + std::to_string(exponent)).c_str());
}

void bind_record_enums(nb::module_& module) {
  nb::enum_<shm::EventType>(module, "EventType", "Kind of a published event.")
      .value("BOOK_DELTA", shm::EventType::BookDelta)
      .value("BOOK_SNAPSHOT", shm::EventType::BookSnapshot)
      .value("BBO", shm::EventType::Bbo)
      .value("TRADE", shm::EventType::Trade)
      .value("BOOK_STATE", shm::EventType::BookState)
      .value("INSTRUMENT", shm::EventType::Instrument)
      .value("CONNECTION_STATUS", shm::EventType::ConnectionStatus)
      .value("MARK_PRICE", shm::EventType::MarkPrice)
      .value("LIQUIDATION", shm::EventType::Liquidation);
  nb::enum_<shm::EventFlag>(module, "EventFlag", nb::is_flag(), "Bits of an event's flags.")
      .value("FIRST", shm::kFlagFirst)
      .value("LAST", shm::kFlagLast)
      .value("TOP", shm::kFlagTop)
      .value("VENUE_QUOTE", shm::kFlagVenueQuote)
      .value("AGGREGATE", shm::kFlagAggregate);
  nb::enum_<shm::BookState>(module, "BookState", "Whether a book may be used.")
      .value("STALE", shm::BookState::Stale)
      .value("SYNCING", shm::BookState::Syncing)
      .value("LIVE", shm::BookState::Live);
  nb::enum_<shm::StateReason>(module, "StateReason", "Why a book is in its state.")
      .value("NONE", shm::StateReason::None)
      .value("STARTING", shm::StateReason::Starting)
      .value("SUBSCRIBED", shm::StateReason::Subscribed)
      .value("SYNCED", shm::StateReason::Synced)
      .value("GAP", shm::StateReason::Gap)
      .value("DISCONNECTED", shm::StateReason::Disconnected)
      .value("PARSE_ERROR", shm::StateReason::ParseError)
      .value("CROSSED", shm::StateReason::Crossed)
      .value("BUFFER_OVERFLOW", shm::StateReason::BufferOverflow)
      .value("SNAPSHOT_TOO_OLD", shm::StateReason::SnapshotTooOld)
      .value("SNAPSHOT_FAILED", shm::StateReason::SnapshotFailed)
      .value("REQUESTED", shm::StateReason::Requested)
      .value("UNSUBSCRIBED", shm::StateReason::Unsubscribed)
      .value("CHECKSUM_MISMATCH", shm::StateReason::ChecksumMismatch)
      .value("AUDIT_MISMATCH", shm::StateReason::AuditMismatch)
      .value("REJECTED", shm::StateReason::Rejected)
      .value("SILENT", shm::StateReason::Silent)
      .value("DEPTH_EXHAUSTED", shm::StateReason::DepthExhausted)
      .value("DEPTH_CHANGED", shm::StateReason::DepthChanged)
      .value("SEQUENCE_RESET", shm::StateReason::SequenceReset);
  nb::enum_<shm::InstrumentKind>(module, "InstrumentKind", "What is traded.")
      .value("SPOT", shm::InstrumentKind::Spot)
      .value("PERPETUAL", shm::InstrumentKind::Perpetual)
      .value("FUTURE", shm::InstrumentKind::Future)
      .value("OPTION", shm::InstrumentKind::Option);
  nb::enum_<shm::Settlement>(module, "Settlement", "What a contract pays.")
      .value("NONE", shm::Settlement::None, "No contract.")
      .value("LINEAR", shm::Settlement::Linear, "In its quote.")
      .value("INVERSE", shm::Settlement::Inverse, "In its base.")
      .value("QUANTO", shm::Settlement::Quanto, "In something else.");
  nb::enum_<shm::ContractUnit>(module, "ContractUnit", "What contract_size counts.")
      .value("NONE", shm::ContractUnit::None, "There are no contracts: quantities are amounts of base.")
      .value("BASE", shm::ContractUnit::Base)
      .value("QUOTE", shm::ContractUnit::Quote);
  nb::enum_<shm::OptionRight>(module, "OptionRight", "What an option gives the right to.")
      .value("NONE", shm::OptionRight::None, "No option.")
      .value("CALL", shm::OptionRight::Call)
      .value("PUT", shm::OptionRight::Put);
  nb::enum_<shm::LineState>(module, "LineState", "State of a connection to a venue.")
      .value("DOWN", shm::LineState::Down)
      .value("CONNECTING", shm::LineState::Connecting)
      .value("UP", shm::LineState::Up);
  nb::enum_<shm::Side>(module, "Side", "Side of a trade's aggressor.")
      .value("NONE", shm::Side::None)
      .value("BUY", shm::Side::Buy)
      .value("SELL", shm::Side::Sell);
}

}  // namespace

void bind_core(nb::module_& module) {
  bind_record_enums(module);
  module.def(
      "parse_decimal", &parse_decimal, "text"_a, "exponent"_a,
      "Return the mantissa of a decimal number at `exponent`: value = mantissa * 10**exponent. A power of "
      "ten\n"
      "may stand behind its digits: 1.5e-3, 0E-8.\n\n"
      "Raises\n------\nValueError\n    Not a decimal number, not exact at this exponent, or beyond 64 bits.");
  module.def("format_decimal", &shm::to_decimal, "mantissa"_a, "exponent"_a,
             "Return mantissa * 10**exponent as exact decimal text without trailing zeros.");
  module.def("venue_names", &venue::venue_names, "Return the names of the venues this build knows.");
  module.def(
      "max_snapshot_depth",
      [](const std::string& venue) { return venue::make_venue(venue)->max_snapshot_depth(); }, "venue"_a,
      "Return how many levels a side a snapshot of the venue can be asked to hold at most.\n\n"
      "Raises\n------\nConfigError\n    No such venue.");
  module.attr("VENUE_SYMBOL_BYTES") = sizeof(shm::InstrumentEntry::venue_symbol);
  module.attr("SPSC_QUEUE") = queue::kSpscQueueName;

  nb::class_<core::Instrument>(module, "Instrument", "What a venue says of one symbol.")
      .def_ro("symbol_id", &core::Instrument::symbol_id)
      .def_ro("exchange_id", &core::Instrument::exchange_id)
      .def_ro("venue_symbol", &core::Instrument::venue_symbol, "As the venue spells it: BTCUSDT.")
      .def_ro("canonical_symbol", &core::Instrument::canonical_symbol, "binance:BTC-USDT.")
      .def_ro("base", &core::Instrument::base)
      .def_ro("quote", &core::Instrument::quote)
      .def_ro("status", &core::Instrument::status, "The venue's own word: TRADING.")
      .def_ro("tradable", &core::Instrument::tradable, "Whether that word means that it trades now.")
      .def_ro("price_exponent", &core::Instrument::price_exponent, "price = mantissa * 10**price_exponent.")
      .def_ro("quantity_exponent", &core::Instrument::quantity_exponent)
      .def_ro("tick_size", &core::Instrument::tick_size, "Mantissa at price_exponent; 0: unknown.")
      .def_ro("lot_size", &core::Instrument::lot_size, "Mantissa at quantity_exponent; 0: unknown.")
      .def_ro("min_quantity", &core::Instrument::min_quantity,
              "Of one order, mantissa at quantity_exponent; 0: unknown.")
      .def_ro("max_quantity", &core::Instrument::max_quantity,
              "Of one order, mantissa at quantity_exponent; 0: unknown.")
      .def_ro("min_notional", &core::Instrument::min_notional,
              "Of one order, mantissa at notional_exponent, in quote; 0: unknown.")
      .def_ro("notional_exponent", &core::Instrument::notional_exponent)
      .def_ro("kind", &core::Instrument::kind)
      .def_ro("settle", &core::Instrument::settle, "What a contract is paid in; empty for spot.")
      .def_ro(
          "contract_size", &core::Instrument::contract_size,
          "Worth of one contract: mantissa at contract_exponent, in base (inverse: in quote); 0 for spot.")
      .def_ro("contract_exponent", &core::Instrument::contract_exponent)
      .def_ro("inverse", &core::Instrument::inverse)
      .def_ro("expiry_ns", &core::Instrument::expiry_ns, "0: none.")
      .def_ro("problem", &core::Instrument::problem, "Why it cannot be subscribed to; empty: it can.");
}

}  // namespace mdp::bindings
