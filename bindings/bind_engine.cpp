// The engine for control. Calls that may block release the GIL; engine threads never call Python.
#include <nanobind/nanobind.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>

#include <algorithm>
#include <string>
#include <string_view>
#include <utility>

#include "bindings.hpp"
#include "mdp/engine/engine.hpp"
#include "mdp/net/proxy.hpp"
#include "mdp/net/url.hpp"
#include "text.hpp"

namespace nb = nanobind;
using namespace nb::literals;

namespace mdp::bindings {
namespace {

using engine::ControlEvent;
using engine::ControlKind;
using engine::Engine;
using engine::EngineConfig;
using engine::EngineHealth;
using engine::LineHealth;
using engine::Metric;
using engine::VenueConfig;

template <class Owner, class Value>
void def_setting(nb::class_<Owner>& type, const char* name, Value Owner::* member) {
  type.def_rw(name, member);
}

// A duration is a number of its own unit, which its name says: idle_timeout_ms, rest_audit_s.
template <class Owner, class Rep, class Period>
void def_setting(nb::class_<Owner>& type, const char* name,
                 std::chrono::duration<Rep, Period> Owner::* member) {
  type.def_prop_rw(
      name, [member](const Owner& self) { return (self.*member).count(); },
      [member](Owner& self, Rep count) { self.*member = std::chrono::duration<Rep, Period>(count); });
}

// A struct of settings, with an attribute for each (core/settings.hpp).
template <class Owner>
nb::class_<Owner> bind_settings(nb::module_& module, const char* name, const char* text) {
  nb::class_<Owner> type(module, name, text);
  type.def(nb::init<>());
  Owner::visit_settings([&type]<class Base, class Value>(const char* key, Value Base::* member) {
    def_setting(type, key, static_cast<Value Owner::*>(member));
  });
  return type;
}

void bind_config(nb::module_& module) {
  nb::enum_<engine::Topology>(module, "Topology", "How the stages are spread over threads.")
      .value("PIPELINED", engine::Topology::Pipelined)
      .value("FUSED", engine::Topology::Fused)
      .value("AUTO", engine::Topology::Auto);
  nb::enum_<queue::IdleMode>(module, "IdleMode", "How a stage waits for work.")
      .value("SPIN", queue::IdleMode::Spin)
      .value("YIELD", queue::IdleMode::Yield)
      .value("PARK", queue::IdleMode::Park)
      .value("AUTO", queue::IdleMode::Auto);
  nb::enum_<core::Channel>(module, "Channel", "What is subscribed to for each symbol.")
      .value("DEPTH", core::Channel::Depth)
      .value("TRADE", core::Channel::Trade)
      .value("AGGREGATE_TRADE", core::Channel::AggregateTrade)
      .value("QUOTE", core::Channel::Quote)
      .value("MARK_PRICE", core::Channel::MarkPrice)
      .value("LIQUIDATION", core::Channel::Liquidation);

  // What each setting means stands in docs/configuration.md, by the same name.
  bind_settings<publish::SegmentConfig>(module, "SegmentConfig", "The shared-memory segment.");
  bind_settings<engine::CoreMap>(module, "CoreMap", "Cores to pin threads to; -1 pins nothing.");
  bind_settings<EngineConfig>(module, "EngineConfig", "What an Engine is built from.")
      .def_rw("segment", &EngineConfig::segment);
  bind_settings<net::TlsOptions>(module, "TlsOptions", "How a connection proves it talks to the venue.");
  bind_settings<net::SocketOptions>(module, "SocketOptions", "What is asked of the kernel for a connection.");
  bind_settings<net::BackoffOptions>(module, "BackoffOptions", "Waits between attempts to connect.");
  bind_settings<VenueConfig>(module, "VenueConfig", "One venue of an Engine.");
}

std::tuple<std::int64_t, std::int64_t, std::int64_t, std::int64_t> top_of(const shm::BboBody& top) {
  return {top.bid.price, top.bid.quantity, top.ask.price, top.ask.quantity};
}

void bind_control(nb::module_& module) {
  nb::enum_<ControlKind>(module, "ControlKind", "What a ControlEvent tells.")
      .value("BOOK_STATE", ControlKind::BookState)
      .value("LINE_STATE", ControlKind::LineState)
      .value("SNAPSHOT", ControlKind::Snapshot)
      .value("REPLY", ControlKind::Reply)
      .value("PARSE_ERROR", ControlKind::ParseError)
      .value("REJECTED", ControlKind::Rejected)
      .value("AUDIT_MISMATCH", ControlKind::AuditMismatch)
      .value("AUDIT_SNAPSHOT", ControlKind::AuditSnapshot);
  nb::enum_<engine::Fetched>(module, "Fetched", "What came of a request for a snapshot.")
      .value("SNAPSHOT", engine::Fetched::Snapshot)
      .value("NOTHING", engine::Fetched::Nothing,
             "No connection, no answer, an error, or no snapshot at all.")
      .value("UNFIT", engine::Fetched::Unfit, "A snapshot with numbers that this book cannot hold.")
      .value("UNKNOWN_SYMBOL", engine::Fetched::UnknownSymbol,
             "The venue does not know the symbol (any more).")
      .value("ASKED", engine::Fetched::Asked, "It comes in the stream: the subscription was made anew.");
  nb::class_<ControlEvent>(module, "ControlEvent", "Something control should know; see engine/control.hpp.")
      .def_ro("kind", &ControlEvent::kind)
      .def_ro("fetched", &ControlEvent::fetched)
      .def_ro("symbol_id", &ControlEvent::symbol)
      .def_ro("exchange_id", &ControlEvent::exchange, "0: of no venue in particular.")
      .def_ro("channel", &ControlEvent::channel)
      .def_prop_ro(
          "book_top", [](const ControlEvent& self) { return top_of(self.book_top); },
          "AUDIT_MISMATCH: bid price, bid quantity, ask price, ask quantity; mantissas. The top, or where "
          "`text` "
          "says snapshot the first levels that differ.")
      .def_prop_ro(
          "venue_top", [](const ControlEvent& self) { return top_of(self.venue_top); }, "The same.")
      .def_ro("line", &ControlEvent::line)
      .def_ro("book_state", &ControlEvent::book_state)
      .def_ro("reason", &ControlEvent::reason)
      .def_ro("line_state", &ControlEvent::line_state)
      .def_ro("update_id", &ControlEvent::update_id)
      .def_ro("code", &ControlEvent::code)
      .def_ro("request_id", &ControlEvent::request_id)
      .def_ro("retry_after_s", &ControlEvent::retry_after_s, "-1: none.")
      .def_ro("used_weight", &ControlEvent::used_weight, "-1: not said.")
      .def_prop_ro("parse_status",
                   [](const ControlEvent& self) { return core::to_string(self.parse_status); })
      .def_prop_ro(
          "number_problem",
          [](const ControlEvent& self) { return core::describe(self.parse_status, self.failure); },
          "PARSE_ERROR, SNAPSHOT: the number that is too fine or too large for its instrument, and what can "
          "be\n"
          "held; empty: that was not the cause.")
      .def_prop_ro(
          "is_venue_error",
          [](const ControlEvent& self) { return self.parse_status == core::ParseStatus::VenueError; })
      .def_prop_ro("text", [](const ControlEvent& self) { return std::string_view(self.text); });
}

void bind_instruments(nb::module_& module) {
  using engine::InstrumentList;
  nb::class_<InstrumentList>(module, "InstrumentList", "What came of asking a venue for its instruments.")
      .def_ro("venue", &InstrumentList::venue, "Its index.")
      .def_ro("instruments", &InstrumentList::instruments)
      .def_ro("error", &InstrumentList::error, "Why there are none, naming the address; empty: there are.")
      .def_ro("retry_after_s", &InstrumentList::retry_after_s, "-1: none.")
      .def_ro("used_weight", &InstrumentList::used_weight, "-1: not said.");
}

// A read-only attribute for each line of core/counters.def that is of this kind of health.
template <class Health>
void def_counts(nb::class_<Health>& type, std::uint64_t Health::* Metric::* member) {
  for (const Metric& metric : engine::metrics()) {
    if (const auto count = metric.*member) {
      type.def_prop_ro(metric.name, [count](const Health& self) { return self.*count; }, metric.help);
    }
  }
}

// Sets the numbers that are named. Throws TypeError: nothing is counted by that name.
template <class Health>
void take_counts(Health& health, const nb::kwargs& counts, std::uint64_t Health::* Metric::* member) {
  for (const auto& [name, number] : counts) {
    const auto has_name = [&](const Metric& metric) {
      return metric.*member != nullptr && nb::cast<std::string_view>(name) == metric.name;
    };
    const auto all = engine::metrics();
    const auto found = std::find_if(all.begin(), all.end(), has_name);
    if (found == all.end()) throw nb::type_error("a name that is not in core/counters.def");
    health.*((*found).*member) = nb::cast<std::uint64_t>(number);
  }
}

void bind_health(nb::module_& module) {
  nb::enum_<book::DepthNeed>(module, "DepthNeed", "How badly a LIVE book needs a snapshot beside it.")
      .value("NONE", book::DepthNeed::None)
      .value("SOON", book::DepthNeed::Soon)
      .value("NOW", book::DepthNeed::Now);
  nb::class_<engine::LiveSpan>(module, "LiveSpan", "The last time that a book was LIVE and is no more.")
      .def_ro("number", &engine::LiveSpan::number, "Of the book's spans, from 1; 0: it was never LIVE.")
      .def_ro("duration_ns", &engine::LiveSpan::duration_ns)
      .def_ro("ended_by", &engine::LiveSpan::ended_by, "Why it left LIVE.")
      .def_ro("moved_on", &engine::LiveSpan::moved_on, "Whether an update was applied in it.");
  nb::class_<engine::SymbolHealth>(module, "SymbolHealth", "State of one book.")
      .def_ro("state", &engine::SymbolHealth::state)
      .def_ro("reason", &engine::SymbolHealth::reason)
      .def_ro("update_id", &engine::SymbolHealth::update_id)
      .def_ro("last_span", &engine::SymbolHealth::last_span);
  nb::class_<Metric>(module, "Metric", "A number of EngineHealth or LineHealth (core/counters.def).")
      .def_ro("name", &Metric::name, "Of the attribute.")
      .def_ro("help", &Metric::help, "What it says, in one line.")
      .def_prop_ro(
          "of_line", [](const Metric& self) { return self.of_line != nullptr; },
          "It is an attribute of LineHealth, one for each line; else of EngineHealth.")
      .def_ro("is_gauge", &Metric::is_gauge, "It goes up and down; else it is a counter since start.");
  module.def(
      "metrics",
      [] {
        const auto all = engine::metrics();
        return std::vector<Metric>(all.begin(), all.end());
      },
      "Return what is counted and measured: one entry for each line of core/counters.def.");
  nb::class_<LineHealth> line(module, "LineHealth", "State and counters of one line.");
  line.def(
          "__init__",
          [](LineHealth* self, std::string venue, core::LineId number, const nb::kwargs& counts) {
            new (self) LineHealth{};
            self->venue = std::move(venue);
            self->line = number;
            take_counts(*self, counts, &Metric::of_line);
          },
          "venue"_a, "line"_a, "counts"_a,
          nb::sig("def __init__(self, venue: str, line: int, **counts: int) -> None"),
          "Make one by hand, with the counts that are named: for tests of what reads it.")
      .def_ro("line", &LineHealth::line)
      .def_ro("venue", &LineHealth::venue)
      .def_ro("path", &LineHealth::path, "What it was connected to.")
      .def_ro("up", &LineHealth::up, "Connected, and every subscription confirmed.")
      .def_ro("in_use", &LineHealth::in_use, "Not the one that waits for the next renewal.")
      .def_ro("last_traffic_ns", &LineHealth::last_traffic_ns,
              "Last byte from the venue, pings included; 0: never.")
      .def_ro("lead_p50_ns", &LineHealth::lead_p50_ns, "By how much it was first, where it was.")
      .def_ro("lead_p99_ns", &LineHealth::lead_p99_ns);
  def_counts(line, &Metric::of_line);
  nb::class_<EngineHealth> health(module, "EngineHealth",
                                  "Counters since start; latencies are socket receive to ring commit.");
  health
      .def(
          "__init__",
          [](EngineHealth* self, std::vector<LineHealth> lines, const nb::kwargs& counts) {
            new (self) EngineHealth{};
            self->lines = std::move(lines);
            take_counts(*self, counts, &Metric::of_engine);
          },
          "lines"_a, "counts"_a,
          nb::sig("def __init__(self, lines: list[LineHealth], **counts: int) -> None"),
          "Make one by hand, with the counts that are named: for tests of what reads it.")
      .def_ro("latency_count", &EngineHealth::latency_count)
      .def_ro("p50_ns", &EngineHealth::p50_ns)
      .def_ro("p90_ns", &EngineHealth::p90_ns)
      .def_ro("p99_ns", &EngineHealth::p99_ns)
      .def_ro("p999_ns", &EngineHealth::p999_ns)
      .def_ro("max_ns", &EngineHealth::max_ns)
      .def_ro("lines", &EngineHealth::lines)
      .def_ro("symbols", &EngineHealth::symbols, "By symbol_id; those that were removed are in it, too.");
  def_counts(health, &Metric::of_engine);
}

void check_url(std::string_view key, std::string_view text) {
  if (key == "proxy") {
    net::checked_proxy(text);
  } else {
    net::checked_endpoint(key, text);
  }
}

void bind_urls(nb::module_& module) {
  module.def("check_url", &check_url, "key"_a, "text"_a,
             "Check the URL that stands in a configuration under `key`: ws_url, rest_url or proxy.\n\n"
             "Raises\n------\nConfigError\n    It cannot be used; names the key and shows no user info.");
  module.def("without_user_info", &net::without_user_info, "text"_a,
             "Return a URL, or what was meant to be one, without user name and password.");
}

}  // namespace

void bind_engine(nb::module_& module) {
  bind_config(module);
  bind_urls(module);
  bind_control(module);
  bind_instruments(module);
  bind_health(module);
  const auto unlocked = nb::call_guard<nb::gil_scoped_release>();
  nb::class_<Engine>(
      module, "Engine",
      "The road from venue to shared memory. One control thread calls it; see engine/engine.hpp.")
      .def(nb::init<EngineConfig>(), "config"_a, unlocked,
           "Create the segment (state Starting) and the REST thread.\n\n"
           "Raises\n------\nSegmentError\n    The name is owned by a live publisher, or there is no memory.\n"
           "ConfigError\n    A value out of range.")
      .def("add_venue", nb::overload_cast<engine::VenueConfig>(&Engine::add_venue), "config"_a, unlocked,
           "Add a venue, before start() or while running, and return its "
           "index.\n\nRaises\n------\nConfigError\n    Unknown "
           "venue, channel or option it does not offer, bad URL or TLS settings.")
      .def_static(
          "check_venue", &Engine::check_venue, "config"_a, "levels"_a,
          "Raise what add_venue() would in an engine whose segment has so many levels a side, and contact "
          "nobody.")
      .def("request_instruments", &Engine::request_instruments, "venue"_a, unlocked,
           "Ask the venue for its list of instruments, in the background.")
      .def("take_instruments", &Engine::take_instruments, unlocked,
           "Return what came of such requests since the last call.")
      .def(
          "rest_limits",
          [](const Engine& self, std::size_t venue) {
            const engine::RestLimits limits = self.rest_limits(venue);
            return nb::make_tuple(limits.pool, limits.weight_per_minute, limits.snapshot_weight,
                                  limits.instruments_weight);
          },
          "venue"_a, nb::sig("def rest_limits(self, venue: int) -> tuple[str, int, int, int]"),
          "Return the name of the venue's REST budget, its weight a minute (0: no limit) and the weights of "
          "a "
          "snapshot and of a list of instruments. Venues whose budgets have one name share it.")
      .def("add_symbol", &Engine::add_symbol, "venue"_a, "instrument"_a, unlocked,
           "Add an instrument, before start() or while running, and return its symbol_id. While running, "
           "subscribe_added() must follow.")
      .def("subscribe_added", &Engine::subscribe_added, unlocked,
           "Subscribe to what was added since start() or the last call, in as few requests as the venue "
           "takes.")
      .def("subscribe_again", &Engine::subscribe_again, "symbol_id"_a, "channel"_a, unlocked,
           "Ask once more for a channel of a symbol that the venue has refused (ControlKind.REJECTED).")
      .def("remove_symbol", &Engine::remove_symbol, "symbol_id"_a, unlocked,
           "Leave an instrument's channels and drop its book. False: no such symbol.")
      .def("start", &Engine::start, unlocked, "Start publisher, managers, then lines.")
      .def("stop", &Engine::stop, unlocked,
           "Stop intake, drain, mark the segment stopped, end the threads, unlink the segment. Idempotent.")
      .def("request_snapshot", &Engine::request_snapshot, "symbol_id"_a, unlocked,
           "Fetch a snapshot in the background, or subscribe anew where it comes in the stream; the outcome "
           "comes "
           "as ControlKind.SNAPSHOT.")
      .def(
          "audit", &Engine::audit, "symbol_id"_a, unlocked,
          "Fetch a snapshot in the background and compare the LIVE book with it; the outcome of the fetching "
          "comes as ControlKind.AUDIT_SNAPSHOT.")
      .def("begin_sync", &Engine::begin_sync, "symbol_id"_a, unlocked,
           "Let a quiet symbol begin to sync without waiting for its first delta.")
      .def("request_resync", &Engine::request_resync, "symbol_id"_a, unlocked,
           "Distrust a book and sync it anew.")
      .def("reconnect", &Engine::reconnect, "line"_a, "reason"_a, unlocked,
           "Drop the connection of a line's lane and make it anew.")
      .def("renew", &Engine::renew, "line"_a, unlocked,
           "Replace the connection of a line's lane: the old one is closed after the new one is up.")
      .def("renew_lines_of", &Engine::renew_lines_of, "symbol_id"_a, unlocked,
           "The same for all lines that carry the symbol's book.")
      .def("widen", &Engine::widen, "symbol_id"_a, unlocked,
           "Fetch a snapshot beside a LIVE book, which makes it known deeper; the outcome is a SNAPSHOT "
           "event.")
      .def("depth_needs", &Engine::depth_needs, unlocked,
           "Return the LIVE books that need one, each with how badly.")
      .def("take_snapshots_wanted", &Engine::take_snapshots_wanted, unlocked,
           "Return the symbol_ids that began to wait for a snapshot since the last call.")
      .def("take_suspects", &Engine::take_suspects, unlocked,
           "Return the symbol_ids of LIVE books that an audit is worth its weight for, since the last call.")
      .def("take_control_events", &Engine::take_control_events, "max"_a = 1024, unlocked,
           "Return up to `max` events, oldest first.")
      .def("up_for_ns", &Engine::up_for_ns, "symbol_id"_a,
           "How long a line that carries the symbol's book has been up, the longest of them; -1: none is.")
      .def("symbol_health", &Engine::symbol_health, "symbol_id"_a)
      .def("health", &Engine::health)
      .def_prop_ro("topology", &Engine::topology, "What AUTO came to.")
      .def_prop_ro("idle", &Engine::idle, "What AUTO came to.")
      .def_prop_ro("segment_name", &Engine::segment_name)
      .def_prop_ro("running", &Engine::running);
}

}  // namespace mdp::bindings
