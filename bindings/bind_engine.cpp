// The engine for control. Calls that may block release the GIL; engine threads never call Python.
#include <nanobind/nanobind.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>

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
using engine::VenueConfig;

// A std::chrono::milliseconds member as a Python int of milliseconds.
template <class Owner>
void def_ms(nb::class_<Owner>& type, const char* name, std::chrono::milliseconds Owner::* member) {
  type.def_prop_rw(
      name, [member](const Owner& self) { return (self.*member).count(); },
      [member](Owner& self, std::int64_t ms) { self.*member = std::chrono::milliseconds(ms); });
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

  nb::class_<publish::SegmentConfig>(module, "SegmentConfig",
                                     "The shared-memory segment (publish/segment_writer.hpp).")
      .def(nb::init<>())
      .def_rw("name", &publish::SegmentConfig::name)
      .def_rw("ring_bytes", &publish::SegmentConfig::ring_bytes)
      .def_rw("instrument_capacity", &publish::SegmentConfig::instrument_capacity)
      .def_rw("levels_per_side", &publish::SegmentConfig::levels_per_side)
      .def_rw("mode", &publish::SegmentConfig::mode)
      .def_rw("group", &publish::SegmentConfig::group)
      .def_rw("lock_memory", &publish::SegmentConfig::lock_memory)
      .def_rw("huge_pages", &publish::SegmentConfig::huge_pages);
  nb::class_<engine::CoreMap>(module, "CoreMap", "Cores to pin threads to; -1 pins nothing.")
      .def(nb::init<>())
      .def_rw("connectors", &engine::CoreMap::connectors)
      .def_rw("parsers", &engine::CoreMap::parsers)
      .def_rw("managers", &engine::CoreMap::managers)
      .def_rw("publisher", &engine::CoreMap::publisher)
      .def_rw("rest", &engine::CoreMap::rest);
  nb::class_<EngineConfig> config(module, "EngineConfig",
                                  "What an Engine is built from (engine/engine_config.hpp).");
  config.def(nb::init<>())
      .def_rw("segment", &EngineConfig::segment)
      .def_rw("topology", &EngineConfig::topology)
      .def_rw("idle", &EngineConfig::idle)
      .def_rw("cores", &EngineConfig::cores)
      .def_rw("manager_count", &EngineConfig::manager_count)
      .def_rw("book_depth", &EngineConfig::book_depth)
      .def_rw("self_audit", &EngineConfig::self_audit)
      .def_rw("frame_count", &EngineConfig::frame_count)
      .def_rw("frame_bytes", &EngineConfig::frame_bytes)
      .def_rw("message_queue_slots", &EngineConfig::message_queue_slots)
      .def_rw("event_queue_slots", &EngineConfig::event_queue_slots);
  def_ms(config, "top_snapshot_ms", &EngineConfig::top_snapshot);

  nb::class_<net::TlsOptions>(module, "TlsOptions", "How a connection proves it talks to the venue.")
      .def(nb::init<>())
      .def_rw("ca_file", &net::TlsOptions::ca_file)
      .def_rw("server_name", &net::TlsOptions::server_name)
      .def_rw("insecure_skip_verify", &net::TlsOptions::insecure_skip_verify);
  nb::class_<net::SocketOptions>(module, "SocketOptions", "What is asked of the kernel for a connection.")
      .def(nb::init<>())
      .def_rw("tcp_nodelay", &net::SocketOptions::tcp_nodelay)
      .def_rw("receive_buffer_bytes", &net::SocketOptions::receive_buffer_bytes,
              "0: the kernel's own sizing.")
      .def_rw("busy_poll_us", &net::SocketOptions::busy_poll_us, "0: off.");
  nb::class_<net::BackoffOptions> backoff(module, "BackoffOptions", "Waits between attempts to connect.");
  backoff.def(nb::init<>())
      .def_rw("multiplier", &net::BackoffOptions::multiplier)
      .def_rw("jitter", &net::BackoffOptions::jitter);
  def_ms(backoff, "initial_ms", &net::BackoffOptions::initial);
  def_ms(backoff, "max_ms", &net::BackoffOptions::max);
  def_ms(backoff, "stable_after_ms", &net::BackoffOptions::stable_after);
  nb::class_<core::VenueOptions>(module, "VenueOptions", "How the venue is to send its data.")
      .def(nb::init<>())
      .def_rw("depth_interval_ms", &core::VenueOptions::depth_interval_ms,
              "As the venue offers it; None: its fastest documented.")
      .def_rw("microsecond_times", &core::VenueOptions::microsecond_times);
  nb::class_<VenueConfig> venue(module, "VenueConfig", "One venue of an Engine.");
  venue.def(nb::init<>())
      .def_rw("name", &VenueConfig::name)
      .def_rw("ws_url", &VenueConfig::ws_url, "Empty: the venue's own.")
      .def_rw("rest_url", &VenueConfig::rest_url, "Empty: the venue's own.")
      .def_rw("options", &VenueConfig::options)
      .def_rw("lines", &VenueConfig::lines, "Connections that carry each symbol.")
      .def_rw("proxy", &VenueConfig::proxy, "http://[user:password@]host:port; empty: none.")
      .def_rw("socket", &VenueConfig::socket)
      .def_rw("tls", &VenueConfig::tls)
      .def_rw("backoff", &VenueConfig::backoff)
      .def_rw("channels", &VenueConfig::channels)
      .def_rw("snapshot_depth", &VenueConfig::snapshot_depth, "Levels a side.");
  def_ms(venue, "connect_timeout_ms", &VenueConfig::connect_timeout);
  def_ms(venue, "subscribe_timeout_ms", &VenueConfig::subscribe_timeout);
  def_ms(venue, "idle_timeout_ms", &VenueConfig::idle_timeout);
  def_ms(venue, "max_connection_age_ms", &VenueConfig::max_connection_age);
  def_ms(venue, "overlap_ms", &VenueConfig::overlap);
  def_ms(venue, "rest_timeout_ms", &VenueConfig::rest_timeout);
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
  nb::class_<LineHealth>(module, "LineHealth", "State and counters of one line.")
      .def_ro("line", &LineHealth::line)
      .def_ro("venue", &LineHealth::venue)
      .def_ro("path", &LineHealth::path, "What it was connected to.")
      .def_ro("up", &LineHealth::up, "Connected, and every subscription confirmed.")
      .def_ro("in_use", &LineHealth::in_use, "Not the one that waits for the next renewal.")
      .def_ro("last_traffic_ns", &LineHealth::last_traffic_ns,
              "Last byte from the venue, pings included; 0: never.")
      .def_ro("streams", &LineHealth::streams)
      .def_ro("raw_queue_depth", &LineHealth::raw_queue_depth)
      .def_ro("frames", &LineHealth::frames)
      .def_ro("bytes", &LineHealth::bytes)
      .def_ro("pings", &LineHealth::pings)
      .def_ro("reconnects", &LineHealth::reconnects)
      .def_ro("pool_waits", &LineHealth::pool_waits)
      .def_ro("parse_errors", &LineHealth::parse_errors)
      .def_ro("wins", &LineHealth::wins, "Book updates it brought first, while another line was up.")
      .def_ro("late", &LineHealth::late, "Book updates another line had brought before.")
      .def_ro("lead_p50_ns", &LineHealth::lead_p50_ns, "By how much it was first, where it was.")
      .def_ro("lead_p99_ns", &LineHealth::lead_p99_ns);
  nb::class_<EngineHealth>(module, "EngineHealth",
                           "Counters since start; latencies are socket receive to ring commit.")
      .def_ro("events", &EngineHealth::events)
      .def_ro("table_writes", &EngineHealth::table_writes)
      .def_ro("rejected_events", &EngineHealth::rejected_events)
      .def_ro("control_dropped", &EngineHealth::control_dropped)
      .def_ro("updates", &EngineHealth::updates)
      .def_ro("duplicates", &EngineHealth::duplicates)
      .def_ro("trades", &EngineHealth::trades)
      .def_ro("quotes", &EngineHealth::quotes)
      .def_ro("mark_prices", &EngineHealth::mark_prices)
      .def_ro("liquidations", &EngineHealth::liquidations)
      .def_ro("gaps", &EngineHealth::gaps)
      .def_ro("holes", &EngineHealth::holes)
      .def_ro("audits", &EngineHealth::audits)
      .def_ro("audit_mismatches", &EngineHealth::audit_mismatches)
      .def_ro("rest_audits", &EngineHealth::rest_audits)
      .def_ro("rest_audit_mismatches", &EngineHealth::rest_audit_mismatches)
      .def_ro("rest_audits_dropped", &EngineHealth::rest_audits_dropped)
      .def_ro("widened", &EngineHealth::widened)
      .def_ro("widen_disputes", &EngineHealth::widen_disputes)
      .def_ro("depth_exhausted", &EngineHealth::depth_exhausted)
      .def_ro("suspicions", &EngineHealth::suspicions)
      .def_ro("resyncs", &EngineHealth::resyncs)
      .def_ro("crossed", &EngineHealth::crossed)
      .def_ro("lost_chunks", &EngineHealth::lost_chunks)
      .def_ro("buffer_overflows", &EngineHealth::buffer_overflows)
      .def_ro("snapshots_applied", &EngineHealth::snapshots_applied)
      .def_ro("snapshots_too_old", &EngineHealth::snapshots_too_old)
      .def_ro("snapshots_unused", &EngineHealth::snapshots_unused)
      .def_ro("event_queue_depth", &EngineHealth::event_queue_depth)
      .def_ro("message_waits", &EngineHealth::message_waits)
      .def_ro("event_waits", &EngineHealth::event_waits)
      .def_ro("latency_count", &EngineHealth::latency_count)
      .def_ro("p50_ns", &EngineHealth::p50_ns)
      .def_ro("p90_ns", &EngineHealth::p90_ns)
      .def_ro("p99_ns", &EngineHealth::p99_ns)
      .def_ro("p999_ns", &EngineHealth::p999_ns)
      .def_ro("max_ns", &EngineHealth::max_ns)
      .def_ro("lines", &EngineHealth::lines)
      .def_ro("symbols", &EngineHealth::symbols, "By symbol_id; those that were removed are in it, too.");
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
      .def_static("check_venue", &Engine::check_venue, "config"_a,
                  "Raise what add_venue() would, and contact nobody.")
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
           "Replace the connection of a line's lane by a new one, without a moment between.")
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
