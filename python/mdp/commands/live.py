"""``mdp top``: all books of a segment, live."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable
from typing import Annotated, Optional

import typer
from rich.console import Console
from rich.live import Live
from rich.table import Table

from mdp._core import BookState, InstrumentEntry, format_decimal
from mdp.commands.read import TrustedUid
from mdp.commands.signals import stop_on_signals
from mdp.commands.text import publisher_line, top_line
from mdp.reading.reader import Book, Subscriber

_REFRESH_S = 0.25
_PLAIN_REFRESH_S = 1.0
_STATE_STYLE = {BookState.LIVE: "green", BookState.SYNCING: "yellow", BookState.STALE: "red"}


def top(
    segment: Annotated[str, typer.Argument(help="Name of the segment.")],
    duration: Annotated[
        Optional[float], typer.Option(min=0, help="Stop after this many seconds.")  # noqa: UP045
    ] = None,
    trusted_uid: TrustedUid = None,
) -> None:
    """Show all books of a segment, live; plain lines where there is no terminal."""
    subscriber = Subscriber(segment, trusted_uid=trusted_uid)
    stop = stop_on_signals()
    deadline = None if duration is None else time.monotonic() + duration
    live_view(subscriber, stop, deadline)


def live_view(
    subscriber: Subscriber,
    stop: threading.Event,
    deadline: float | None,
    *,
    title: str = "",
    footer: Callable[[], str] | None = None,
    on_refresh: Callable[[], None] | None = None,
) -> None:
    """Show all books until `stop` is set, `deadline` (monotonic seconds) passes or the publisher goes.

    A table that redraws itself on a terminal; elsewhere one line per symbol and second.
    """
    terminal = sys.stdout.isatty()
    interval = _REFRESH_S if terminal else _PLAIN_REFRESH_S
    rates = _Rates()

    def finished() -> bool:
        if on_refresh:
            on_refresh()
        over = deadline is not None and time.monotonic() >= deadline
        return over or subscriber.publisher_gone

    def pause() -> bool:
        left = interval if deadline is None else min(interval, max(0.0, deadline - time.monotonic()))
        return stop.wait(left)

    if not terminal:
        while not pause() and not finished():
            for book in _books(subscriber):
                print(top_line(book), flush=True)
        return
    with Live(console=Console(), screen=False, auto_refresh=False, transient=False) as live:
        while True:
            below = footer() if footer else publisher_line(subscriber)
            live.update(_table(_books(subscriber), rates, title, below), refresh=True)
            if pause() or finished():
                return


class _Rates:
    """Updates a second of each symbol, from the update ids and times of consecutive looks."""

    def __init__(self) -> None:
        self._last: dict[int, tuple[float, int]] = {}

    def per_second(self, book: Book) -> float:
        now = time.monotonic()
        before = self._last.get(book.instrument.symbol_id)
        self._last[book.instrument.symbol_id] = (now, book.update_id)
        if before is None or now <= before[0]:
            return 0.0
        return max(0, book.update_id - before[1]) / (now - before[0])


def _tick_decimals(instrument: InstrumentEntry) -> int:
    """Return how many decimals the tick has, so that a column of prices lines up."""
    tick = format_decimal(instrument.tick_size, instrument.price_exponent)
    return len(tick.partition(".")[2])


def _padded(price: str, quantity: str, decimals: int) -> tuple[str, str]:
    whole, _, fraction = price.partition(".")
    return (f"{whole}.{fraction.ljust(decimals, '0')}" if decimals else price), quantity


def _books(subscriber: Subscriber) -> list[Book]:
    return [subscriber.book(instrument.symbol_id) for instrument in subscriber.instruments]


def _table(books: list[Book], rates: _Rates, title: str, footer: str) -> Table:
    table = Table(title=title or None, caption=footer or None, expand=False)
    table.add_column("symbol")
    table.add_column("state")
    for name in ("bid qty", "bid", "ask", "ask qty", "ids/s", "age ms"):
        table.add_column(name, justify="right")
    now_ns = time.time_ns()
    for book in books:
        decimals = _tick_decimals(book.instrument)
        bid = [_padded(*level, decimals) for level in book.levels("bids", 1)] or [("-", "-")]
        ask = [_padded(*level, decimals) for level in book.levels("asks", 1)] or [("-", "-")]
        age = f"{max(0, now_ns - book.recv_ts_ns) / 1e6:.0f}" if book.recv_ts_ns else "-"
        table.add_row(
            book.instrument.canonical_symbol,
            f"[{_STATE_STYLE[book.state]}]{book.state.name}[/]",
            bid[0][1],
            bid[0][0],
            ask[0][0],
            ask[0][1],
            f"{rates.per_second(book):.0f}",
            age,
        )
    return table
