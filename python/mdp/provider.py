"""The control side of a provider: configuration, start order, snapshot sync, health, recovery, shutdown.

Nothing here is on the message path: the C++ engine moves the data, this thread tells it what to do.
"""

from __future__ import annotations

import difflib
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import tenacity

from mdp import _core, log, metrics
from mdp._core import (
    BookState,
    ControlEvent,
    ControlKind,
    EngineHealth,
    Fetched,
    Instrument,
    StateReason,
    format_decimal,
)
from mdp.config import Config, VenueSection
from mdp.errors import ConfigError, ConnectError, MdpError
from mdp.snapshots import AuditScheduler, Failure, LiveSpan, RestBudget, SnapshotScheduler, Wish

_CONTROL_INTERVAL_S = 0.01
_SILENCE_RENEWAL_S = 600.0
_TOLD_WAIT_S = 1.0  # a book that waits this long for its next sync is told

_WHOSE = {Fetched.UNFIT: Failure.BOOK, Fetched.UNKNOWN_SYMBOL: Failure.SYMBOL}


@dataclass
class _Symbol:
    symbol_id: int
    venue: _Venue
    instrument: Instrument
    synced_once: bool = False
    unknown_told: bool = False
    """The venue does not know the symbol, and the log says so."""
    renew_not_before: float = 0.0
    """Monotonic seconds: the next time a silent book may have its lines made anew."""


@dataclass
class _Venue:
    section: VenueSection
    path: tuple[str | int, ...]
    index: int
    scheduler: SnapshotScheduler
    audits: AuditScheduler
    listed: dict[str, Instrument] | None = None
    """By the venue's names; None before it has told them."""
    asked: threading.Event = field(default_factory=threading.Event)
    """Set once the first request for its instruments was answered or failed."""
    failure: Exception | None = None
    """Why there will be no list of instruments."""
    lister: threading.Thread | None = None


def check_venues(config: Config) -> None:
    """Check what only the venues know: channels, speeds, addresses, certificate files. Contacts nobody.

    Raises
    ------
    ConfigError
        As `Provider.start` would, naming file and line.
    """
    for index, section in enumerate(config.venues):
        with _named(config, ("venues", index)):
            _core.Engine.check_venue(_venue_config(section))


@contextmanager
def _named(config: Config, path: tuple[str | int, ...]) -> Iterator[None]:
    try:
        yield
    except ConfigError as error:
        raise ConfigError(config.where(*path) + str(error)) from error


@dataclass(frozen=True)
class Health:
    """What `Provider.health` returns: counts of books by state, and the engine's counters."""

    symbols: int
    live: int
    syncing: int
    stale: int
    engine: EngineHealth


class Provider:
    """Connects to the venues of a configuration and publishes their books and trades.

    Creating it changes nothing outside; `start` creates the segment, then starts managers and lines. Use it
    as a context manager, or call `stop` when done: it drains, marks the segment stopped and unlinks it.

    Parameters
    ----------
    config
        From `mdp.load_config`.
    """

    def __init__(self, config: Config) -> None:
        self._config = config
        self._engine: _core.Engine | None = None
        self._venues: list[_Venue] = []
        self._budgets: dict[tuple[str, str | None], RestBudget] = {}  # by pool and address
        self._symbols: dict[int, _Symbol] = {}
        self._stale_since: dict[int, float] = {}  # by symbol_id; monotonic seconds
        self._stop = threading.Event()
        self._lock = threading.RLock()
        self._thread: threading.Thread | None = None
        self._started = False
        self._metrics: metrics.Server | None = None

    def __enter__(self) -> Provider:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    # ---- life ----

    def start(self, *, cancelled: Callable[[], bool] = lambda: False) -> None:
        """Create the segment, list the venues' instruments, subscribe and begin to publish.

        Keeps retrying while no venue can be reached, until `cancelled`, asked from any thread, returns true
        or `stop` is called. A venue that cannot be reached while another can joins later; what it does not
        list is logged then, for the others run already.

        Raises
        ------
        ConfigError
            A setting that cannot work, or a symbol the venue does not list. Nothing is left behind.
        SegmentError
            The segment's name is owned by a live publisher.
        ConnectError
            Given up while waiting for a venue, because of `cancelled`.
        """
        try:
            self._engine = _core.Engine(_engine_config(self._config))
            log.info(
                "provider.start",
                segment=self._engine.segment_name,
                topology=self._engine.topology.name.lower(),
                idle=self._engine.idle.name.lower(),
                queue=_core.SPSC_QUEUE,
            )
            for index, section in enumerate(self._config.venues):
                self._add_venue(section, ("venues", index))
            self._wait_for_a_venue(cancelled)
            with self._lock:
                for venue in self._venues:
                    if venue.listed is not None:
                        self._subscribe_all(venue)
                self._engine.start()
                self._started = True
            self._serve_metrics()
        except BaseException:
            self.stop()
            raise
        self._thread = threading.Thread(target=self._run, name="mdp-control", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop intake, drain, mark the segment stopped, disconnect, unlink. May be called more than once."""
        self._stop.set()
        if self._engine is not None:
            self._engine.cancel_requests()
        for venue in self._venues:
            if venue.lister is not None:
                venue.lister.join()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join()
            self._thread = None
        if self._metrics is not None:
            self._metrics.close()
            self._metrics = None
        if self._engine is not None and self._engine.running:
            log.info("provider.stop", segment=self._engine.segment_name)
        if self._engine is not None:
            self._engine.stop()

    def wait(self, timeout_s: float | None = None) -> bool:
        """Block until the provider stops; False when `timeout_s` seconds passed first."""
        return self._stop.wait(timeout_s)

    # ---- symbols ----

    def subscribe(self, venue: str, symbol: str) -> int:
        """Add a symbol while running and return its symbol_id.

        Raises
        ------
        ConfigError
            The provider has no such venue, the venue does not list the symbol, or it is subscribed already.
        ConnectError
            The venue could not be reached so far.
        """
        with self._lock:
            for candidate in self._venues:
                if candidate.section.name == venue:
                    return self._subscribe(candidate, symbol, (venue,))
        known = ", ".join(candidate.section.name for candidate in self._venues)
        raise ConfigError(f"no venue {venue!r} in this provider; it has: {known}")

    def unsubscribe(self, symbol_id: int) -> bool:
        """Remove a symbol while running; False if there is no such symbol."""
        with self._lock:
            symbol = self._symbols.pop(symbol_id, None)
            if symbol is None or self._engine is None:
                return False
            self._stale_since.pop(symbol_id, None)
            symbol.venue.scheduler.forget(symbol_id)
            symbol.venue.audits.forget(symbol_id)
            return self._engine.remove_symbol(symbol_id)

    def resync(self, symbol_id: int) -> None:
        """Distrust a book and sync it anew, without touching another.

        A book that waits because its syncs do not last, or because the venue does not know its symbol, is
        fetched without that wait this time.
        """
        engine = self._running_engine()
        with self._lock:
            if symbol := self._symbols.get(symbol_id):
                symbol.venue.scheduler.pardon(symbol_id)
        engine.request_resync(symbol_id)

    # ---- health ----

    @property
    def segment(self) -> str:
        """Name of the segment that is published."""
        return self._config.segment.name

    def states(self) -> dict[str, tuple[BookState, StateReason]]:
        """Return state and reason of every book by canonical symbol."""
        engine = self._running_engine()
        with self._lock:
            symbols = list(self._symbols.values())
        states = {}
        for symbol in symbols:
            health = engine.symbol_health(symbol.symbol_id)
            states[symbol.instrument.canonical_symbol] = (health.state, health.reason)
        return states

    def health(self) -> Health:
        """Return how many books are in which state, and the engine's counters. Also after `stop`."""
        states = [state for state, _ in self.states().values()]
        return Health(
            symbols=len(states),
            live=states.count(BookState.LIVE),
            syncing=states.count(BookState.SYNCING),
            stale=states.count(BookState.STALE),
            engine=self._running_engine().health(),
        )

    # ---- set-up ----

    def _running_engine(self) -> _core.Engine:
        if self._engine is None:
            raise MdpError("the provider was not started; call start() first")
        return self._engine

    def _serve_metrics(self) -> None:
        section = self._config.metrics
        if section.port is None:
            return
        try:
            self._metrics = metrics.serve(self, section.host, section.port)
        except OSError as error:
            where = self._config.where("metrics", "port")
            raise ConfigError(
                f"{where}cannot serve at {section.host}:{section.port}: {error.strerror}"
            ) from error
        log.info("metrics.serve", host=self._metrics.host, port=self._metrics.port)

    def _add_venue(self, section: VenueSection, path: tuple[str | int, ...]) -> None:
        engine = self._running_engine()
        with _named(self._config, path):
            index = engine.add_venue(_venue_config(section))
        pool, weight_per_minute, weight = engine.rest_limits(index)
        # Counted by address: the venue's own and a stand-in at another one have nothing to share.
        key = (pool, urlsplit(section.rest_url).hostname)
        budget = self._budgets.setdefault(key, RestBudget(weight_per_minute))
        scheduler = SnapshotScheduler(budget, weight, lost_after_s=2 * section.rest_timeout_ms / 1000 + 1)
        audits = AuditScheduler(scheduler, section.rest_audit_s)
        self._venues.append(_Venue(section, path, index, scheduler, audits))

    def _wait_for_a_venue(self, cancelled: Callable[[], bool]) -> None:
        """Ask every venue for its instruments, and return when all were asked and one has answered."""
        for venue in self._venues:
            venue.lister = threading.Thread(
                target=self._join, args=(venue, cancelled), name=f"mdp-list-{venue.index}", daemon=True
            )
            venue.lister.start()
        while True:
            if cancelled() or self._stop.is_set():
                self._running_engine().cancel_requests()
            for venue in self._venues:
                if venue.failure is not None:
                    raise venue.failure
            asked = all(venue.asked.is_set() for venue in self._venues)
            if asked and any(venue.listed is not None for venue in self._venues):
                return
            time.sleep(_CONTROL_INTERVAL_S)

    def _join(self, venue: _Venue, cancelled: Callable[[], bool]) -> None:
        """List a venue's instruments, on a thread of its own, and subscribe where the others run already."""
        try:
            listed = self._list_instruments(venue, cancelled)
        except ConnectError as error:  # given up, as cancelled() or stop() asked
            venue.failure = error
        except Exception as error:
            venue.failure = error
            if self._started:
                log.error("venue.failed", venue=venue.section.name, error=error)
        else:
            with self._lock:
                venue.listed = listed
                if self._started and not self._stop.is_set():
                    self._subscribe_all(venue)
        finally:
            venue.asked.set()

    def _subscribe_all(self, venue: _Venue) -> None:
        for index, name in enumerate(venue.section.symbols):
            try:
                self._subscribe(venue, name, (*venue.path, "symbols", index))
            except ConfigError as error:
                if not self._started:
                    raise
                log.error("symbol.refused", venue=venue.section.name, symbol=name, error=error)

    def _list_instruments(self, venue: _Venue, cancelled: Callable[[], bool]) -> dict[str, Instrument]:
        backoff = venue.section.backoff
        own_wait = tenacity.wait_exponential(
            multiplier=backoff.initial_ms / 1000, max=backoff.max_ms / 1000, exp_base=backoff.multiplier
        ) + tenacity.wait_random(0, backoff.jitter * backoff.initial_ms / 1000)

        def delay(state: tenacity.RetryCallState) -> float:
            error = state.outcome.exception() if state.outcome else None
            retry_after_s = error.retry_after_s if isinstance(error, ConnectError) else -1
            if retry_after_s > 0:  # for whatever else is asked of the venues of the pool, too
                venue.scheduler.budget.pause(time.monotonic() + retry_after_s)
            return max(own_wait(state), retry_after_s)

        def given_up(_: tenacity.RetryCallState) -> bool:
            return cancelled() or self._stop.is_set()

        def wait(seconds: float) -> None:
            deadline = time.monotonic() + seconds
            while time.monotonic() < deadline and not cancelled() and not self._stop.wait(0.05):
                pass

        def tell(state: tenacity.RetryCallState) -> None:
            failure = state.outcome.exception() if state.outcome else None
            seconds = state.next_action.sleep if state.next_action else 0.0
            log.warning(
                "venue.unreachable",
                venue=venue.section.name,
                attempt=state.attempt_number,
                retry_in_ms=round(seconds * 1000),
                error=failure,
            )
            venue.asked.set()

        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception_type(ConnectError),
            wait=delay,
            stop=given_up,
            sleep=wait,
            before_sleep=tell,
            reraise=True,
        )
        instruments = retrying(self._running_engine().fetch_instruments, venue.index)
        log.info("venue.instruments", venue=venue.section.name, count=len(instruments))
        return {instrument.venue_symbol: instrument for instrument in instruments}

    def _subscribe(self, venue: _Venue, name: str, path: tuple[str | int, ...]) -> int:
        if venue.listed is None:
            raise ConnectError(f"{venue.section.name} could not be reached yet; its symbols are not known")
        instrument = venue.listed.get(name)
        if instrument is None:
            close = difflib.get_close_matches(name.upper(), venue.listed, n=3)
            hint = f"; did you mean {' or '.join(close)}?" if close else ""
            raise ConfigError(
                f"{self._config.where(*path)}{venue.section.name} does not list {name!r}{hint} "
                f"({len(venue.listed)} symbols are listed)"
            )
        is_trading = instrument.status == "TRADING"
        if not is_trading:
            log.warning("symbol.not_trading", symbol=instrument.canonical_symbol, status=instrument.status)
        with self._lock:
            symbol_id = self._running_engine().add_symbol(venue.index, instrument)
            self._symbols[symbol_id] = _Symbol(symbol_id, venue, instrument)
            if not is_trading:
                venue.scheduler.ask_rarely(symbol_id)
            venue.audits.add(symbol_id)
        return symbol_id

    # ---- control thread ----

    def _run(self) -> None:
        engine = self._running_engine()

        def still_wanted(symbol_id: int, wish: Wish) -> bool:
            wanted_in = BookState.SYNCING if wish is Wish.SYNC else BookState.LIVE
            return engine.symbol_health(symbol_id).state == wanted_in

        while not self._stop.wait(_CONTROL_INTERVAL_S):
            now = time.monotonic()
            with self._lock:
                for event in engine.take_control_events():
                    self._handle(event, now)
                for symbol_id in engine.take_snapshots_wanted():
                    if symbol := self._symbols.get(symbol_id):
                        self._want_sync(symbol, now)
                for venue in self._venues:
                    self._wake_quiet_symbols(engine, venue, now)
                    for symbol_id in venue.scheduler.take(now, still_wanted):
                        engine.fetch_snapshot(symbol_id)
                    if (audited := venue.audits.take(now, self._is_live)) is not None:
                        engine.audit(audited)

    def _want_sync(self, symbol: _Symbol, now: float) -> None:
        """Pass the wish of a book on, with what became of its last sync."""
        scheduler, symbol_id = symbol.venue.scheduler, symbol.symbol_id
        span = self._running_engine().symbol_health(symbol_id).last_span
        scheduler.saw(
            symbol_id, LiveSpan(span.number, span.duration_ns / 1e9, span.ended_by, span.moved_on)
        )
        misses_before = scheduler.misses(symbol_id)
        scheduler.want(symbol_id)
        misses, wait_s = scheduler.misses(symbol_id), scheduler.wait_s(symbol_id, now)
        if misses > misses_before and wait_s >= _TOLD_WAIT_S:
            log.warning(
                "sync.postponed",
                symbol=symbol.instrument.canonical_symbol,
                failed=misses,
                retry_in_ms=round(wait_s * 1000),
            )

    def _is_live(self, symbol_id: int) -> bool:
        return self._running_engine().symbol_health(symbol_id).state == BookState.LIVE

    def _wake_quiet_symbols(self, engine: _core.Engine, venue: _Venue, now: float) -> None:
        """Let books that wait in vain for a first delta sync from the snapshot alone.

        Not sooner after their line came up than their subscription takes, or deltas would be missed.
        """
        quiet_s = venue.section.quiet_sync_ms / 1000
        for symbol_id, since in self._stale_since.items():
            if self._symbols[symbol_id].venue is not venue or now < since + quiet_s:
                continue
            if engine.up_for_ns(symbol_id) >= quiet_s * 1e9:
                self._stale_since[symbol_id] = now  # asked again if nothing comes of it
                engine.begin_sync(symbol_id)

    def _handle(self, event: ControlEvent, now: float) -> None:
        if event.kind == ControlKind.BOOK_STATE:
            self._on_book_state(event, now)
        elif event.kind == ControlKind.SNAPSHOT:
            self._on_snapshot(event, now)
        elif event.kind == ControlKind.AUDIT_SNAPSHOT:
            self._on_audit_snapshot(event, now)
        elif event.kind == ControlKind.LINE_STATE:
            pass  # the connector logs it, with address and cause
        elif event.kind == ControlKind.REPLY:
            told = log.warning if event.is_venue_error else log.debug
            name = "venue.refused" if event.is_venue_error else "venue.ack"
            told(name, line=event.line, request=event.request_id, code=event.code, text=event.text)
        elif event.kind == ControlKind.REJECTED:
            self._on_rejected(event)
        elif event.kind == ControlKind.AUDIT_MISMATCH:
            self._on_audit_mismatch(event)
        else:
            log.warning("frame.unreadable", line=event.line, status=event.parse_status, frame=event.text)

    def _on_book_state(self, event: ControlEvent, now: float) -> None:
        symbol = self._symbols.get(event.symbol_id)
        if symbol is None:
            return
        if event.book_state == BookState.STALE:
            self._stale_since[event.symbol_id] = now
        else:
            self._stale_since.pop(event.symbol_id, None)
        name = symbol.instrument.canonical_symbol
        reason = event.reason.name.lower()
        if event.book_state == BookState.LIVE:
            log.info("book.live", symbol=name, update_id=event.update_id)
            symbol.synced_once, symbol.unknown_told = True, False
        elif event.book_state == BookState.SYNCING:
            log.debug("book.syncing", symbol=name, reason=reason)
        elif symbol.synced_once:
            log.warning("book.stale", symbol=name, reason=reason, update_id=event.update_id)
        if event.reason == StateReason.SILENT and now >= symbol.renew_not_before:
            # What was subscribed to in vain may be heard on a new connection. If not, the others on this one
            # are not to be moved for it again and again.
            symbol.renew_not_before = now + _SILENCE_RENEWAL_S
            self._running_engine().renew_lines_of(event.symbol_id)

    def _on_snapshot(self, event: ControlEvent, now: float) -> None:
        symbol = self._symbols.get(event.symbol_id)
        if symbol is None:
            return
        scheduler = symbol.venue.scheduler
        if not event.text:
            scheduler.succeeded(event.symbol_id, now, event.used_weight)
            return
        whose = _WHOSE.get(event.fetched, Failure.VENUE)
        delay = scheduler.failed(event.symbol_id, now, event.retry_after_s, event.used_weight, whose)
        told, name = log.warning, "snapshot.failed"
        if whose is Failure.SYMBOL:
            told, name = (log.debug if symbol.unknown_told else log.error), "symbol.unknown"
            symbol.unknown_told = True
        told(
            name,
            symbol=symbol.instrument.canonical_symbol,
            error=event.text,
            retry_in_ms=round(delay * 1000),
        )

    def _on_audit_snapshot(self, event: ControlEvent, now: float) -> None:
        symbol = self._symbols.get(event.symbol_id)
        if symbol is None:
            return
        symbol.venue.audits.done(event.symbol_id, now, event.retry_after_s, event.used_weight)
        if event.text:
            log.warning("audit.failed", symbol=symbol.instrument.canonical_symbol, error=event.text)

    def _on_rejected(self, event: ControlEvent) -> None:
        symbol = self._symbols.get(event.symbol_id)
        log.error(
            "symbol.rejected",
            symbol=symbol.instrument.canonical_symbol if symbol else event.symbol_id,
            channel=event.channel.name.lower(),
            line=event.line,
            code=event.code,
            text=event.text,
        )

    def _on_audit_mismatch(self, event: ControlEvent) -> None:
        symbol = self._symbols.get(event.symbol_id)
        if symbol is None:
            return
        instrument = symbol.instrument

        def top(numbers: tuple[int, int, int, int]) -> str:
            exponents = (instrument.price_exponent, instrument.quantity_exponent) * 2
            exact = [format_decimal(n, exponent) for n, exponent in zip(numbers, exponents, strict=True)]
            return f"{exact[0]}x{exact[1]}/{exact[2]}x{exact[3]}"

        log.error(
            "book.audit_mismatch",
            symbol=instrument.canonical_symbol,
            update_id=event.update_id,
            against=event.text,
            book=top(event.book_top),
            venue=top(event.venue_top),
        )


def _engine_config(config: Config) -> _core.EngineConfig:
    result = _core.EngineConfig()
    segment = _core.SegmentConfig()
    segment.name = config.segment.name
    segment.ring_bytes = int(config.segment.ring)
    segment.instrument_capacity = config.segment.instruments
    segment.levels_per_side = config.segment.levels
    segment.mode = int(config.segment.mode, 8)
    segment.group = config.segment.group
    segment.lock_memory = config.segment.lock_memory
    segment.huge_pages = config.segment.huge_pages
    result.segment = segment
    result.topology = _core.Topology[config.engine.topology.upper()]
    result.idle = _core.IdleMode[config.engine.idle.upper()]
    cores = _core.CoreMap()
    cores.connectors = config.engine.cores.connectors
    cores.parsers = config.engine.cores.parsers
    cores.managers = config.engine.cores.managers
    cores.publisher = config.engine.cores.publisher
    cores.rest = config.engine.cores.rest
    result.cores = cores
    result.manager_count = config.engine.managers
    result.book_depth = config.engine.book_depth
    result.self_audit = config.engine.self_audit
    result.top_snapshot_ms = config.engine.top_snapshot_ms
    result.frame_count = config.engine.frames
    result.frame_bytes = int(config.engine.frame_size)
    result.message_queue_slots = config.engine.message_slots
    result.event_queue_slots = config.engine.event_slots
    return result


def _venue_config(section: VenueSection) -> _core.VenueConfig:
    result = _core.VenueConfig()
    result.name = section.name
    result.ws_url = section.ws_url
    result.rest_url = section.rest_url
    result.proxy = section.proxy.get_secret_value()
    socket = _core.SocketOptions()
    socket.tcp_nodelay = section.socket.tcp_nodelay
    socket.receive_buffer_bytes = int(section.socket.receive_buffer)
    socket.busy_poll_us = section.socket.busy_poll_us
    result.socket = socket
    tls = _core.TlsOptions()
    tls.ca_file = section.tls.ca_file
    tls.server_name = section.tls.server_name
    tls.insecure_skip_verify = section.tls.insecure_skip_verify
    result.tls = tls
    backoff = _core.BackoffOptions()
    backoff.initial_ms = section.backoff.initial_ms
    backoff.max_ms = section.backoff.max_ms
    backoff.multiplier = section.backoff.multiplier
    backoff.jitter = section.backoff.jitter
    backoff.stable_after_ms = section.backoff.stable_after_ms
    result.backoff = backoff
    result.channels = [_core.Channel[name.upper()] for name in section.channels]
    options = _core.VenueOptions()
    options.depth_interval_ms = section.depth_interval_ms
    options.microsecond_times = section.microsecond_times
    result.options = options
    result.lines = section.lines
    result.max_connection_age_ms = section.max_connection_age_s * 1000
    result.overlap_ms = section.overlap_ms
    result.subscribe_timeout_ms = section.subscribe_timeout_ms
    result.snapshot_depth = section.snapshot_depth
    result.connect_timeout_ms = section.connect_timeout_ms
    result.idle_timeout_ms = section.idle_timeout_ms
    result.rest_timeout_ms = section.rest_timeout_ms
    return result
