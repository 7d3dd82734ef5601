"""``mdp demo``: the embedded exchange, a provider and a live view, checked against the exchange's truth."""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from http.client import HTTPException
from pathlib import Path
from typing import Annotated, Optional

import typer

from mdp import _core
from mdp.commands.live import live_view
from mdp.commands.signals import stop_on_signals
from mdp.configuring.config import Config, load_config
from mdp.errors import MdpError
from mdp.providing.provider import Provider
from mdp.reading.reader import Book, Subscriber
from mdp.sim import SimProcess, start_sim_process

_CHECK_INTERVAL_S = 1.0
_SETTLE_S = 30.0


def demo(
    config: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(help="Configuration file; the embedded exchange's addresses replace its own."),
    ] = None,
    duration: Annotated[
        Optional[float], typer.Option(min=0, help="Stop after this many seconds; until Ctrl-C by default.")  # noqa: UP045
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="No screen; end by printing one JSON object.")
    ] = False,
    seed: Annotated[int, typer.Option(help="Of the synthetic market.")] = 1,
    rate: Annotated[float, typer.Option(min=1, help="Book events a second and symbol.")] = 300,
) -> None:
    """Run the embedded exchange and a provider, show the books, and check every one against the truth.

    The exit code is 0 only when every book is LIVE at the end and none ever differed from the exchange's own.
    """
    settings = load_config(config or default_config())
    stop = stop_on_signals()
    _core.start_logging(
        _core.LogLevel.WARNING if not settings.log.file else _core.LogLevel.INFO, settings.log.file
    )
    symbols = settings.venues[0].symbols
    try:
        with start_sim_process(symbols=",".join(symbols), seed=seed, rate=rate) as sim:
            result = _Demo(_against(settings, sim), sim, stop).run(duration, screen=not as_json)
    finally:
        _core.stop_logging()
    if as_json:
        print(json.dumps(result))
    else:
        print(
            f"{result['live']} of {result['symbols']} books live, {result['events']} events, "
            f"{result['gaps']} gaps, {result['resyncs']} resyncs, "
            f"{result['mismatches']} mismatches with the exchange's truth; "
            f"socket to ring p50 {result['p50_ns'] / 1000:.1f} us, p99 {result['p99_ns'] / 1000:.1f} us"
        )
    raise typer.Exit(0 if result["live"] == result["symbols"] and result["mismatches"] == 0 else 1)


def default_config() -> Path:
    """Return config/demo.yaml of the working directory, or else the copy that was installed."""
    here = Path("config/demo.yaml")
    return here if here.exists() else Path(_core.__file__).parent / "config" / "demo.yaml"


def _against(settings: Config, sim: SimProcess) -> Config:
    """Return the configuration with the embedded exchange's addresses, and a segment name of its own."""
    venue = settings.venues[0]
    tls = venue.tls.model_copy(update={"ca_file": str(sim.ca_file)})
    venue = venue.model_copy(update={"ws_url": sim.ws_url, "rest_url": sim.rest_url, "tls": tls})
    segment = settings.segment.model_copy(update={"name": f"{settings.segment.name}-{os.getpid()}"})
    return settings.model_copy(update={"venues": [venue], "segment": segment})


class _Demo:
    """One run: provider and view in this process, the exchange in another."""

    def __init__(self, settings: Config, sim: SimProcess, stop: threading.Event) -> None:
        self._provider = Provider(settings)
        self._segment = settings.segment.name
        self._sim = sim
        self._stop = stop
        self._mismatches = 0
        self._next_check = 0.0
        self._turn = 0

    def run(self, duration: float | None, *, screen: bool) -> dict[str, int]:
        """Run for `duration` seconds or until stopped, and return the figures of the JSON object."""
        try:
            self._provider.start(cancelled=self._stop.is_set)
            subscriber = Subscriber(self._segment)
            deadline = None if duration is None else time.monotonic() + duration
            if screen:
                live_view(
                    subscriber,
                    self._stop,
                    deadline,
                    title=f"segment {self._segment}",
                    footer=self._footer,
                    on_refresh=lambda: self._check_one(subscriber),
                )
            else:
                while not self._stop.wait(0.1) and (deadline is None or time.monotonic() < deadline):
                    self._check_one(subscriber)
            return self._finish(subscriber)
        finally:
            self._provider.stop()

    def _footer(self) -> str:
        health = self._provider.health().engine
        return (
            f"{health.events} events, {health.gaps} gaps, {health.resyncs} resyncs, "
            f"{self._mismatches} mismatches; "
            f"socket to ring p50 {health.p50_ns / 1000:.1f} us, p99 {health.p99_ns / 1000:.1f} us"
        )

    def _finish(self, subscriber: Subscriber) -> dict[str, int]:
        # A run cut short, or a resync in its last moment, is given time to become LIVE.
        deadline = time.monotonic() + _SETTLE_S
        live = 0
        for instrument in subscriber.instruments:
            book = subscriber.book(instrument.symbol_id)
            while not book.live and time.monotonic() < deadline:
                time.sleep(0.05)
                book = subscriber.book(instrument.symbol_id)
            live += book.live
            self._mismatches += book.live and not self._matches(book)
        health = self._provider.health()
        return {
            "symbols": health.symbols,
            "live": live,
            "events": health.engine.events,
            "gaps": health.engine.gaps,
            "resyncs": health.engine.resyncs,
            "mismatches": self._mismatches,
            "p50_ns": health.engine.p50_ns,
            "p99_ns": health.engine.p99_ns,
        }

    def _check_one(self, subscriber: Subscriber) -> None:
        """Compare one book a second with the truth, in turn."""
        if time.monotonic() < self._next_check:
            return
        self._next_check = time.monotonic() + _CHECK_INTERVAL_S
        instruments = subscriber.instruments
        self._turn += 1
        symbol_id = instruments[self._turn % len(instruments)].symbol_id
        book = subscriber.book(symbol_id)
        if book.live:
            self._mismatches += not self._matches(book)

    def _matches(self, book: Book) -> bool:
        """Whether a LIVE book is what the exchange's was at the same update id, level by level."""
        try:
            truth = self._sim.truth(book.instrument.venue_symbol, book.update_id, book.capacity)
        except (LookupError, OSError, HTTPException) as error:
            raise MdpError(f"the embedded exchange cannot tell the truth: {error}") from error
        for side in ("bids", "asks"):
            expected = [(_plain(price), _plain(quantity)) for price, quantity in truth[side]]
            if book.levels(side) != expected:
                print(
                    f"mismatch: {book.instrument.canonical_symbol} {side} at update {book.update_id}: "
                    f"published {book.levels(side, 3)}..., the exchange had {expected[:3]}...",
                    file=sys.stderr,
                )
                return False
        return True


def _plain(number: str) -> str:
    """Return a decimal text without trailing zeros, as `format_decimal` writes it."""
    return number.rstrip("0").rstrip(".") if "." in number else number
