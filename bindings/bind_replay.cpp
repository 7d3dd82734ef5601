// Replays of recorded sessions (replay/replay.hpp). Blocking calls release the GIL.
#include <nanobind/nanobind.h>
#include <nanobind/stl/vector.h>

#include <string_view>
#include <utility>

#include "bindings.hpp"
#include "mdp/replay/replay_survey.hpp"
#include "mdp/shm/decimal.hpp"
#include "text.hpp"

namespace nb = nanobind;
using namespace nb::literals;

namespace mdp::bindings {
namespace {

using replay::Replay;
using replay::ReplaySummary;
using replay::ReplaySurvey;
using replay::ReplaySymbol;

std::string_view view(const nb::bytes& bytes) { return {bytes.c_str(), bytes.size()}; }

nb::tuple top_of(const shm::BboBody& bbo, const core::Instrument& instrument) {
  const auto price = [&](std::int64_t mantissa) {
    return shm::to_decimal(mantissa, instrument.price_exponent);
  };
  const auto quantity = [&](std::int64_t mantissa) {
    return shm::to_decimal(mantissa, instrument.quantity_exponent);
  };
  return nb::make_tuple(price(bbo.bid.price), quantity(bbo.bid.quantity), price(bbo.ask.price),
                        quantity(bbo.ask.quantity));
}

nb::list wrong_quotes(Replay& replay) {
  nb::list out;
  for (const replay::WrongQuote& wrong : replay.wrong_quotes()) {
    const core::Instrument& instrument = replay.symbols()[wrong.symbol_id].instrument;
    out.append(nb::make_tuple(instrument.canonical_symbol, wrong.update_id, top_of(wrong.book, instrument),
                              top_of(wrong.venue, instrument)));
  }
  return out;
}

void bind_survey(nb::module_& module) {
  nb::class_<ReplaySymbol>(module, "ReplaySymbol", "A symbol of a recorded session and its lines.")
      .def_ro("instrument", &ReplaySymbol::instrument)
      .def_ro("lines", &ReplaySymbol::lines, "Those that bring its book.");
  nb::class_<ReplaySurvey>(module, "ReplaySurvey",
                           "The first look at a recorded session (replay/replay_survey.hpp).")
      .def(nb::init<std::string_view>(), "venue"_a)
      .def("snapshot_target", &ReplaySurvey::snapshot_target, "venue_symbol"_a,
           "Return path and query of the venue's REST call for a snapshot.")
      .def_prop_ro("instruments_target", &ReplaySurvey::instruments_target,
                   "Path and query of the venue's REST call for its instruments.")
      .def(
          "add_listed", [](ReplaySurvey& self, const nb::bytes& body) { self.add_listed(view(body)); },
          "body"_a, "Take the recorded instrument list; before any frame.")
      .def("add_unlisted", &ReplaySurvey::add_unlisted, "venue_symbol"_a,
           "Add a symbol whose exponents are to be found in the digits of the session.")
      .def(
          "frame",
          [](ReplaySurvey& self, core::LineId line, const nb::bytes& data, bool binary) {
            self.frame(line, view(data), binary);
          },
          "line"_a, "data"_a, "binary"_a = false)
      .def(
          "snapshot",
          [](ReplaySurvey& self, std::string_view venue_symbol, const nb::bytes& body) {
            self.snapshot(venue_symbol, view(body));
          },
          "venue_symbol"_a, "body"_a)
      .def("found", &ReplaySurvey::found, "Return the symbols seen, by canonical symbol.");
}

}  // namespace

void bind_replay(nb::module_& module) {
  bind_survey(module);
  nb::class_<ReplaySummary>(module, "ReplaySummary", "Counts of a replay.")
      .def_ro("frames", &ReplaySummary::frames)
      .def_ro("parse_errors", &ReplaySummary::parse_errors, "Frames and snapshots that could not be read.")
      .def_ro("gaps", &ReplaySummary::gaps)
      .def_ro("resyncs", &ReplaySummary::resyncs)
      .def_ro("book_updates", &ReplaySummary::book_updates,
              "Applied: to a LIVE book, or to a snapshot they waited for.")
      .def_ro("trades", &ReplaySummary::trades)
      .def_ro("crossed", &ReplaySummary::crossed)
      .def_ro("suspicions", &ReplaySummary::suspicions)
      .def_ro("quotes_checked", &ReplaySummary::quotes_checked,
              "Quotes of the venue with the id of a book update.")
      .def_ro("quotes_wrong", &ReplaySummary::quotes_wrong)
      .def_ro("books", &ReplaySummary::books, "Symbols with book updates.")
      .def_ro("books_live", &ReplaySummary::books_live, "Of those, LIVE now.");
  nb::class_<Replay>(module, "Replay",
                     "Recorded frames down the road of the engine (replay/replay.hpp). One thread calls it.")
      .def(
          "__init__",
          [](Replay* self, std::string_view venue, const std::vector<ReplaySymbol>& symbols,
             std::size_t lines, bool pipelined, bool event_lines,
             bool audit) { new (self) Replay(venue, symbols, lines, {pipelined, event_lines, audit}); },
          "venue"_a, "symbols"_a, "lines"_a, "pipelined"_a = false, "event_lines"_a = false,
          "audit"_a = false)
      .def("line_state", &Replay::line_state, "line"_a, "state"_a, "recv_ts_ns"_a,
           nb::call_guard<nb::gil_scoped_release>())
      .def(
          "frame",
          [](Replay& self, core::LineId line, std::int64_t recv_ts_ns, const nb::bytes& data, bool binary) {
            const std::string_view bytes = view(data);
            const nb::gil_scoped_release released;
            self.frame(line, recv_ts_ns, bytes, binary);
          },
          "line"_a, "recv_ts_ns"_a, "data"_a, "binary"_a = false)
      .def(
          "snapshot",
          [](Replay& self, std::string_view venue_symbol, std::int64_t recv_ts_ns, const nb::bytes& body,
             std::string_view target) {
            const std::string_view bytes = view(body);
            const nb::gil_scoped_release released;
            return self.snapshot(venue_symbol, recv_ts_ns, bytes, target);
          },
          "venue_symbol"_a, "recv_ts_ns"_a, "body"_a, "target"_a = "",
          "Enter a REST answer; False where the symbol is none of the session. `target`: path and query, or "
          "URL, "
          "of its request, which tell how deep the answer is.")
      .def("flush", &Replay::flush, nb::call_guard<nb::gil_scoped_release>(),
           "Wait until everything put in so far has come out at the end.")
      .def(
          "take_event_lines",
          [](Replay& self) {
            std::string text;
            {
              const nb::gil_scoped_release released;
              text = self.take_event_lines();
            }
            return nb::bytes(text.data(), text.size());
          },
          "Return the events since the last call as JSON lines.")
      .def("take_problems", &Replay::take_problems, nb::call_guard<nb::gil_scoped_release>(),
           "Return what could not be read since the last call; of very many at once not all.")
      .def("summary", &Replay::summary, nb::call_guard<nb::gil_scoped_release>())
      .def("wrong_quotes", &wrong_quotes,
           nb::sig("def wrong_quotes(self) -> list[tuple[str, int, tuple[str, str, str, str], tuple[str, "
                   "str, str, str]]]"),
           "Return (symbol, update id, the book's top, the venue's quote) of each; a top is bid price and "
           "quantity, ask price and quantity.")
      .def(
          "books",
          [](Replay& self) {
            const std::string text = self.books();
            return nb::bytes(text.data(), text.size());
          },
          "Return all books as one JSON object.");
}

}  // namespace mdp::bindings
