"""What the command line shows: books and events as text, and the live view."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable

from rich.console import Console
from rich.live import Live
from rich.table import Table

from mdp._core import (
    FUNDING_RATE_EXPONENT,
    BookState,
    Event,
    EventFlag,
    EventType,
    InstrumentEntry,
    format_decimal,
)
from mdp.errors import SegmentError
from mdp.reading.reader import Book, Subscriber

_REFRESH_S = 0.25
_PLAIN_REFRESH_S = 1.0
_STATE_STYLE = {BookState.LIVE: "green", BookState.SYNCING: "yellow", BookState.STALE: "red"}


def top_line(book: Book) -> str:
    """Return ``SYMBOL STATE UPDATE_ID BID_PRICE BID_QTY ASK_PRICE ASK_QTY``; ``-`` for an empty side."""
    bid = book.levels("bids", 1) or [("-", "-")]
    ask = book.levels("asks", 1) or [("-", "-")]
    return " ".join(
        [book.instrument.canonical_symbol, book.state.name, str(book.update_id), *bid[0], *ask[0]]
    )


def print_book(book: Book, depth: int, *, top_only: bool = False) -> None:
    """Print one book, best levels first, or its top in one line."""
    if top_only:
        print(top_line(book))
        return
    print(
        f"{book.instrument.canonical_symbol}  {book.state.name} ({book.reason.name})  update {book.update_id}"
    )
    bids, asks = book.levels("bids", depth), book.levels("asks", depth)
    print(f"{'quantity':>18} {'bid':>16} | {'ask':<16} {'quantity':<18}")
    for index in range(max(len(bids), len(asks))):
        bid_price, bid_quantity = bids[index] if index < len(bids) else ("", "")
        ask_price, ask_quantity = asks[index] if index < len(asks) else ("", "")
        print(f"{bid_quantity:>18} {bid_price:>16} | {ask_price:<16} {ask_quantity:<18}".rstrip())


def describe_event(event: Event, subscriber: Subscriber) -> str:
    """Return one line that tells an event, numbers as exact decimals."""
    head = f"{event.sequence} {event.type.name.lower()}"
    if event.type == EventType.CONNECTION_STATUS:
        return f"{head} line={event.line} state={event.line_state.name.lower()}"
    try:
        instrument = subscriber.instrument(event.symbol_id)
    except SegmentError:  # removed since
        return f"{head} symbol_id={event.symbol_id}"
    head += f" {instrument.canonical_symbol}"
    if event.type == EventType.BBO:
        source = "venue" if event.flags & EventFlag.VENUE_QUOTE.value else "book"
        bid, ask = _level(event.bid, instrument), _level(event.ask, instrument)
        return f"{head} id={event.update_id} bid={bid} ask={ask} source={source}"
    if event.type == EventType.TRADE:
        trade = _level((event.price, event.quantity), instrument)
        return f"{head} trade_id={event.trade_id} side={event.side.name.lower()} {trade}"
    if event.type == EventType.LIQUIDATION:
        order = _level((event.price, event.quantity), instrument)
        filled = format_decimal(event.filled_quantity, instrument.quantity_exponent)
        return f"{head} side={event.side.name.lower()} {order} filled={filled}"
    if event.type == EventType.MARK_PRICE:
        return f"{head} {_mark_price(event, instrument)}"
    if event.type == EventType.BOOK_STATE:
        return f"{head} id={event.update_id} state={event.book_state.name} reason={event.reason.name.lower()}"
    if event.type in (EventType.BOOK_DELTA, EventType.BOOK_SNAPSHOT):
        ids = f"id={event.first_update_id}..{event.update_id}"
        return f"{head} {ids} bids={len(event.bids)} asks={len(event.asks)}"
    return head


def _mark_price(event: Event, instrument: InstrumentEntry) -> str:
    mark = format_decimal(event.mark_price, instrument.price_exponent)
    index = format_decimal(event.index_price, instrument.price_exponent)
    if not event.next_funding_ts_ns:
        return f"mark={mark} index={index}"
    rate = format_decimal(event.funding_rate, FUNDING_RATE_EXPONENT)
    return f"mark={mark} index={index} funding={rate}"


def _level(level: tuple[int, int], instrument: InstrumentEntry) -> str:
    price = format_decimal(level[0], instrument.price_exponent)
    return f"{price}x{format_decimal(level[1], instrument.quantity_exponent)}"


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
            live.update(_table(_books(subscriber), rates, title, footer() if footer else ""), refresh=True)
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
