"""The control side of a provider: configuration, start order, snapshot sync, health, recovery, shutdown.

Nothing here is on the message path: the C++ engine moves the data, the control thread tells it what to do.
That thread alone calls the engine and touches what this module keeps. What comes from another thread is
posted to it, and what another thread reads is what it published at the end of its last turn, some 10 ms ago.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import TypeVar

from mdp import _core, log
from mdp._core import (
    BookState,
    ControlEvent,
    ControlKind,
    DepthNeed,
    EngineHealth,
    Fetched,
    Instrument,
    StateReason,
    format_decimal,
)
from mdp.configuring.config import Config
from mdp.errors import ConfigError, ConnectError, MdpError
from mdp.providing import metrics
from mdp.providing.control_thread import ControlThread
from mdp.providing.health import Health
from mdp.providing.joining import Joining, Venue, named
from mdp.providing.snapshots import Failure, LiveSpan, Wish

_CONTROL_INTERVAL_S = 0.01
_SILENCE_RENEWAL_S = 600.0
_TOLD_WAIT_S = 1.0  # a book that waits this long for its next sync is told

_T = TypeVar("_T")

_WHOSE = {Fetched.UNFIT: Failure.BOOK, Fetched.UNKNOWN_SYMBOL: Failure.SYMBOL}


@dataclass
class _Symbol:
    symbol_id: int
    venue: Venue
    instrument: Instrument
    synced_once: bool = False
    unknown_told: bool = False
    """The venue does not know the symbol, and the log says so."""
    renew_not_before: float = 0.0
    """Monotonic seconds: the next time a silent book may have its lines made anew."""


def check_venues(config: Config) -> None:
    """Check what only the venues know: channels, speeds, addresses, certificate files. Contacts nobody.

    Raises
    ------
    ConfigError
        As `Provider.start` would, naming file and line.
    """
    for index, section in enumerate(config.venues):
        with named(config, ("venues", index)):
            _core.Engine.check_venue(section.native(), config.segment.levels)


@dataclass(frozen=True)
class _Published:
    """What the control thread knew at the end of a turn. Never changed: any thread may read it."""

    engine: EngineHealth
    books: tuple[tuple[int, str], ...] = ()
    """symbol_id and canonical symbol of each book."""
    missing: dict[str, dict[str, str]] = field(default_factory=dict)
    asked: bool = False
    """Whether every venue was asked once."""
    at: float = field(default_factory=time.monotonic)


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
        self._control = ControlThread(self._turn, self._shut_down, _CONTROL_INTERVAL_S)
        self._metrics: metrics.Server | None = None
        # Written by the control thread and read by any: one reference, replaced as a whole.
        self._published: _Published | None = None
        # All below is the control thread's own.
        self._engine: _core.Engine | None = None
        self._joining: Joining | None = None
        self._symbols: dict[int, _Symbol] = {}
        self._books: tuple[tuple[int, str], ...] = ()  # of these symbols, as published
        self._stale_since: dict[int, float] = {}  # by symbol_id; monotonic seconds
        self._running = False  # the engine publishes
        self._unreadable = log.RepeatedWarning("frame.unreadable")
        # Told once for each symbol, whatever brings the number: frames and every try for a snapshot do.
        self._unheld = log.RepeatedWarning("number.refused", shown=1, forget_s=math.inf)

    def __enter__(self) -> Provider:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    # ---- life ----

    def start(self, *, cancelled: Callable[[], bool] = lambda: False) -> None:
        """Create the segment, ask the venues for their instruments, subscribe and begin to publish.

        Returns when every venue was asked once. What of the configuration cannot be had then (a venue that is
        not reached or not understood, a symbol it does not list) is logged, in `missing`, and tried again for
        as long as the provider runs; nothing else waits for it. `cancelled`, asked from this thread, ends the
        wait when it returns true.

        With `strict: true` in the configuration nothing is published before all of it can be had.

        Raises
        ------
        ConfigError
            A setting that cannot work: a core that does not exist, a port in use. With `strict` also what a
            venue refuses or does not list. Nothing is left behind.
        SegmentError
            The segment's name is owned by a live publisher.
        ConnectError
            With `strict`: a venue was still not reached when `cancelled` or `stop` ended the wait.
        """
        strict = self._config.strict
        try:
            self._control.start()
            self.post(self._set_up).result()
            self._serve_metrics()
            self._wait_for_venues(cancelled)
            if strict:
                self.post(self._publish).result()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Stop intake, drain, mark the segment stopped, disconnect, unlink. May be called more than once.

        Called on the control thread (by a posted function) it returns at once, and that thread does the rest.
        """
        self._control.stop()
        if self._metrics is not None:
            self._metrics.close()
            self._metrics = None

    def wait(self, timeout_s: float | None = None) -> bool:
        """Block until the provider stops; False when `timeout_s` seconds passed first.

        Raises
        ------
        Exception
            What ended the control thread, where it was not `stop`.
        """
        ended = self._control.wait(timeout_s)
        if ended and self._control.failure is not None:
            raise self._control.failure
        return ended

    def post(self, function: Callable[[], _T]) -> Future[_T]:
        """Have `function` called on the control thread, between two of its turns.

        Everything that changes the provider goes this way; `subscribe` and the like post and wait. The
        function may call every method of the provider. It must not take long: books wait for their snapshots
        meanwhile.

        Returns
        -------
        concurrent.futures.Future
            Has what `function` returned or raised; `MdpError` once the provider has stopped. When it is done,
            `health` and `states` tell of it already.
        """
        return self._control.post(function)

    # ---- symbols ----

    def subscribe(self, venue: str, symbol: str) -> int:
        """Add a symbol while running and return its symbol_id.

        Raises
        ------
        ConfigError
            The provider has no such venue, the venue does not list the symbol or says of it what makes no
            sense, or it is subscribed already.
        ConnectError
            The venue could not be reached so far.
        SegmentError
            The segment has no room for it.
        """
        return self._ask(lambda: self._started_joining().subscribe(venue, symbol))

    def unsubscribe(self, symbol_id: int) -> bool:
        """Remove a symbol while running; False if there is no such symbol."""
        return self._ask(lambda: self._remove(symbol_id))

    def resync(self, symbol_id: int) -> None:
        """Distrust a book and sync it anew, without touching another.

        A book that waits because its syncs do not last, or because the venue does not know its symbol, is
        fetched without that wait this time.
        """
        self._ask(lambda: self._resync(symbol_id))

    # ---- health ----

    @property
    def segment(self) -> str:
        """Name of the segment that is published."""
        return self._config.segment.name

    def states(self) -> dict[str, tuple[BookState, StateReason]]:
        """Return state and reason of every book by canonical symbol, as published: see `health`."""
        published = self._last_published()
        symbols = published.engine.symbols
        return {name: (symbols[number].state, symbols[number].reason) for number, name in published.books}

    def health(self) -> Health:
        """Return how many books are in which state, and the engine's counters. Also after `stop`.

        Any thread may ask. The answer is what the control thread published at the end of its last turn, some
        10 ms ago; `age_s` tells.
        """
        published = self._last_published()
        symbols = published.engine.symbols
        states = [symbols[number].state for number, _ in published.books]
        return Health(
            symbols=len(states),
            live=states.count(BookState.LIVE),
            syncing=states.count(BookState.SYNCING),
            stale=states.count(BookState.STALE),
            missing={venue: len(missing) for venue, missing in published.missing.items()},
            engine=published.engine,
            age_s=time.monotonic() - published.at,
        )

    def missing(self) -> dict[str, dict[str, str]]:
        """Return what the configuration wants and cannot have now, and why, as published: see `health`.

        Returns
        -------
        dict
            By venue, then by symbol, or ``symbol channel`` where the venue refuses one stream of it alone.
        """
        return self._last_published().missing

    # ---- set-up ----

    def _ask(self, function: Callable[[], _T]) -> _T:
        """Post and wait."""
        self._last_published()
        return self.post(function).result()

    def _last_published(self) -> _Published:
        if self._published is None:
            raise MdpError("the provider was not started; call start() first")
        return self._published

    def _serve_metrics(self) -> None:
        section = self._config.metrics
        if section.port is None:
            return
        try:
            self._metrics = metrics.serve(self.health, section.host, section.port)
        except OSError as error:
            where = self._config.where("metrics", "port")
            raise ConfigError(
                f"{where}cannot serve at {section.host}:{section.port}: {error.strerror}"
            ) from error
        log.info("metrics.serve", host=self._metrics.host, port=self._metrics.port)

    def _wait_for_venues(self, cancelled: Callable[[], bool]) -> None:
        """Return when every venue was asked once; with `strict`, when all there is to be had is there."""
        strict = self._config.strict
        while not (cancelled() or self.wait(_CONTROL_INTERVAL_S)):
            published = self._last_published()
            if published.asked and not (strict and any(published.missing.values())):
                return
        if strict:
            why = "; ".join(sorted({why for venue in self.missing().values() for why in venue.values()}))
            raise ConnectError(f"given up while waiting for what is configured: {why}")

    # ---- control thread: all that follows ----

    def _set_up(self) -> None:
        self._engine = engine = _core.Engine(self._config.native())
        log.info(
            "provider.start",
            segment=engine.segment_name,
            topology=engine.topology.name.lower(),
            idle=engine.idle.name.lower(),
            queue=_core.SPSC_QUEUE,
        )
        self._joining = Joining(self._config, engine, self._on_joined)
        if not self._config.strict:
            self._publish()
        self._publish_health()

    def _publish(self) -> None:
        self._running_engine().start()
        self._started_joining().strict = False  # from now on the rest runs
        self._running = True

    def _turn(self) -> None:
        if self._joining is None:
            return  # not set up yet
        now = time.monotonic()
        try:
            self._joining.tend(now)
            if self._running:
                self._tend_books(now)
            self._publish_health()
        except Exception as error:
            if self._running:  # else start() tells it
                log.error("control.failed", error=repr(error))
            raise

    def _publish_health(self) -> None:
        joining = self._started_joining()
        engine = self._running_engine()
        self._published = _Published(engine.health(), self._books, joining.missing(), joining.asked)

    def _shut_down(self) -> None:
        """Whatever ended the thread: leave nothing behind."""
        if self._engine is None:
            return
        if self._engine.running:
            log.info("provider.stop", segment=self._engine.segment_name)
        self._engine.stop()
        if self._joining is not None:
            self._publish_health()

    def _running_engine(self) -> _core.Engine:
        if self._engine is None:
            raise MdpError("the provider was not started; call start() first")
        return self._engine

    def _started_joining(self) -> Joining:
        if self._joining is None:
            raise MdpError("the provider was not started; call start() first")
        return self._joining

    def _on_joined(self, venue: Venue, symbol_id: int, instrument: Instrument) -> None:
        self._symbols[symbol_id] = _Symbol(symbol_id, venue, instrument)
        self._books = (*self._books, (symbol_id, instrument.canonical_symbol))

    def _remove(self, symbol_id: int) -> bool:
        symbol = self._symbols.pop(symbol_id, None)
        if symbol is None:
            return False
        self._books = tuple(book for book in self._books if book[0] != symbol_id)
        self._stale_since.pop(symbol_id, None)
        symbol.venue.scheduler.forget(symbol_id)
        symbol.venue.audits.forget(symbol_id)
        symbol.venue.symbols.pop(symbol.instrument.venue_symbol, None)
        return self._running_engine().remove_symbol(symbol_id)

    def _resync(self, symbol_id: int) -> None:
        if symbol := self._symbols.get(symbol_id):
            symbol.venue.scheduler.pardon(symbol_id)
        self._running_engine().request_resync(symbol_id)

    def _tend_books(self, now: float) -> None:
        engine = self._running_engine()

        needs = dict(engine.depth_needs())

        def still_wanted(symbol_id: int, wish: Wish) -> bool:
            if wish is Wish.SYNC:
                return engine.symbol_health(symbol_id).state == BookState.SYNCING
            return symbol_id in needs

        for event in engine.take_control_events():
            self._handle(event, now)
        self._unreadable.sum_up(now)
        self._unheld.sum_up(now)
        for symbol_id in engine.take_snapshots_wanted():
            if symbol := self._symbols.get(symbol_id):
                self._want_sync(symbol, now)
        for symbol_id, need in needs.items():
            if symbol := self._symbols.get(symbol_id):
                wish = Wish.WIDEN if need == DepthNeed.NOW else Wish.WIDEN_SOON
                symbol.venue.scheduler.want(symbol_id, wish)
        for symbol_id in engine.take_suspects():
            if (symbol := self._symbols.get(symbol_id)) and symbol.venue.audits.suspect(symbol_id):
                log.info("book.suspect", symbol=symbol.instrument.canonical_symbol)
        for venue in self._started_joining().venues:
            self._wake_quiet_symbols(engine, venue, now)
            for symbol_id in venue.scheduler.take(now, still_wanted):
                if venue.scheduler.under_way(symbol_id) is Wish.SYNC:
                    engine.request_snapshot(symbol_id)
                else:
                    engine.widen(symbol_id)
            if (audited := venue.audits.take(now, self._is_live)) is not None:
                engine.audit(audited)

    def _want_sync(self, symbol: _Symbol, now: float) -> None:
        """Pass the wish of a book on, with what became of its last sync."""
        scheduler, symbol_id = symbol.venue.scheduler, symbol.symbol_id
        span = self._running_engine().symbol_health(symbol_id).last_span
        scheduler.saw(symbol_id, LiveSpan(span.number, span.duration_ns / 1e9, span.ended_by, span.moved_on))
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

    def _wake_quiet_symbols(self, engine: _core.Engine, venue: Venue, now: float) -> None:
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
            self._on_rejected(event, now)
        elif event.kind == ControlKind.AUDIT_MISMATCH:
            self._on_audit_mismatch(event)
        else:
            self._on_unreadable(event, now)

    def _on_unreadable(self, event: ControlEvent, now: float) -> None:
        symbol = self._symbols.get(event.symbol_id)
        name = {"symbol": symbol.instrument.canonical_symbol} if symbol else {}
        if event.number_problem:
            self._unheld.tell(now, name, problem=event.number_problem, line=event.line)
        else:
            kind = {**name, "line": event.line, "status": event.parse_status}
            self._unreadable.tell(now, kind, frame=event.text)

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
        if event.number_problem:
            name = symbol.instrument.canonical_symbol
            self._unheld.tell(now, {"symbol": name}, problem=event.number_problem, snapshot=True)
            return
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

    def _on_rejected(self, event: ControlEvent, now: float) -> None:
        symbol = self._symbols.get(event.symbol_id)
        channel = event.channel.name.lower()
        news = symbol is None or self._started_joining().reject(
            symbol.venue, symbol.instrument.venue_symbol, event, now
        )
        told = log.error if news else log.debug
        told(
            "symbol.rejected",
            symbol=symbol.instrument.canonical_symbol if symbol else event.symbol_id,
            channel=channel,
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
