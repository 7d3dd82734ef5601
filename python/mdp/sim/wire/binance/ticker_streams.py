"""Streams that are published at an interval and tell of trades: tickers, klines and averages.

Intervals and names are the venue's, each family in one row of `STREAMS`. A stream is published when something
changed since it was published last, as on the venue.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from mdp.sim.frames import Frame
from mdp.sim.tape import INTERVALS_S, span_end, span_start
from mdp.sim.wire.binance.market_view import MarketView
from mdp.sim.wire.binance.wording import frame, kline_event
from mdp.sim.wire.binance.wording_spot import SpotWording

if TYPE_CHECKING:
    from mdp.sim.hub import Hub

_WINDOWS_S = {"1h": 3600, "4h": 14_400, "1d": 86_400}
_KLINE_RE = re.compile(r"([^@]+)@kline_(\w+?)(@\+08:00)?")
_EAST_S = 8 * 3600


@dataclass(frozen=True)
class Streams:
    """Which of these streams a family has, and their intervals in ms; 0 where it has none.

    Attributes
    ----------
    ticker_ms : int
        ``@ticker`` and ``@miniTicker``.
    all_ms : int
        ``!miniTicker@arr``.
    all_tickers_ms : int
        ``!ticker@arr``, which spot lost in 2026.
    windows_ms : int
        ``@ticker_1h``, ``@ticker_4h``, ``@ticker_1d``, and ``!ticker_1h@arr`` and so on.
    average_ms : int
        ``@avgPrice``.
    kline_ms, second_kline_ms : int
        ``@kline_1m`` and longer ones; ``@kline_1s``.
    zoned : bool
        Whether klines are also cut by the days of UTC+8: ``@kline_1d@+08:00``.
    book_tickers_ms : int or None
        ``!bookTicker``, where 0 is every change at once; None where there is none.
    """

    ticker_ms: int
    all_ms: int = 1000
    all_tickers_ms: int = 1000
    windows_ms: int = 0
    average_ms: int = 0
    kline_ms: int = 250
    second_kline_ms: int = 0
    zoned: bool = False
    book_tickers_ms: int | None = None


STREAMS: dict[str, Streams] = {
    "binance": Streams(
        ticker_ms=1000,
        all_tickers_ms=0,
        windows_ms=1000,
        average_ms=1000,
        kline_ms=2000,
        second_kline_ms=1000,
        zoned=True,
    ),
    "binance-usdm": Streams(ticker_ms=2000, book_tickers_ms=5000),
    "binance-coinm": Streams(ticker_ms=500, book_tickers_ms=0),
}
"""By name of the family."""


class TickerStreams:
    """Publishes these streams of one family.

    Parameters
    ----------
    hub : Hub
        Where to.
    view : MarketView
        What they tell about.
    """

    def __init__(self, hub: Hub, view: MarketView) -> None:
        self._hub = hub
        self._view = view
        self._streams = STREAMS[hub.family.name]
        self._published: dict[
            tuple[str, str], int
        ] = {}  # by stream and symbol: the newest trade or update told
        self._klines: dict[
            str, tuple[int, int]
        ] = {}  # by stream: start of the bar told last, its newest trade

    def timers(self) -> list[tuple[int, Callable[[], None]]]:
        """Return what is to be called, and at which interval in ms."""
        own = self._streams
        every: list[tuple[int, Callable[[], None]]] = [
            (own.ticker_ms, self.publish_tickers),
            (own.all_ms, partial(self.publish_all, "!miniTicker@arr")),
            (own.all_tickers_ms, partial(self.publish_all, "!ticker@arr")),
            (own.windows_ms, self.publish_windows),
            (own.average_ms, self.publish_averages),
            (own.kline_ms, self.publish_klines),
            (own.second_kline_ms, partial(self.publish_klines, seconds=True)),
        ]
        return [(interval_ms, publish) for interval_ms, publish in every if interval_ms]

    def serves(self, stream: str) -> bool:
        """Return whether a stream is one of these and of a symbol there is."""
        own = self._streams
        if stream in ("!miniTicker@arr", *(["!ticker@arr"] if own.all_tickers_ms else [])):
            return True
        if own.windows_ms and stream in [f"!ticker_{window}@arr" for window in _WINDOWS_S]:
            return True
        if (kline := _KLINE_RE.fullmatch(stream)) is not None:
            return (
                kline[1] == kline[1].lower()
                and kline[1].upper() in self._view.markets
                and kline[2] in INTERVALS_S
                and (kline[2] != "1s" or own.second_kline_ms > 0)
                and (kline[3] is None or own.zoned)
            )
        symbol, _, kind = stream.partition("@")
        kinds = ["ticker", "miniTicker"]
        if own.windows_ms:
            kinds += [f"ticker_{window}" for window in _WINDOWS_S]
        if own.average_ms:
            kinds.append("avgPrice")
        return kind in kinds and symbol == symbol.lower() and symbol.upper() in self._view.markets

    # ------------------------------------------------------------------ tickers

    def _moved(self, stream: str, symbol: str, *, book: bool = False) -> bool:
        """Return whether a stream has news of a symbol, and note that they are told.

        Parameters
        ----------
        stream, symbol : str
            The stream, and the symbol it is about to tell of.
        book : bool
            A change of the book is news too, not a trade alone.
        """
        tape = self._view.tapes[symbol]
        if not tape.trades:
            return False
        now = self._view.markets[symbol].update_id if book else tape.last_id
        before = self._published.get((stream, symbol))
        self._published[stream, symbol] = now
        return now != before

    def _ticker(self, symbol: str, kind: str, now_us: int, stream: str) -> Frame | None:
        """Return the frame of one ticker, or None where nothing changed."""
        wording = self._view.wording
        spot = isinstance(wording, SpotWording)
        # Spot's ticker alone has the best bid and ask in it.
        if not self._moved(stream, symbol, book=spot and kind == "ticker"):
            return None
        if kind == "ticker":
            event = wording.ticker_event(self._view.day(symbol, now_us))
        elif kind == "miniTicker":
            event = wording.mini_ticker_event(self._view.day(symbol, now_us))
        else:
            assert isinstance(wording, SpotWording)
            window = kind.removeprefix("ticker_")
            event = wording.window_event(self._view.rolling(symbol, now_us, _WINDOWS_S[window]), window)
        return frame(stream, event)

    def _publish_each(self, kinds: list[str]) -> None:
        now_us = time.time_ns() // 1000
        for symbol in self._view.markets:
            for kind in kinds:
                stream = f"{symbol.lower()}@{kind}"
                if self._hub.wanted(stream):
                    ticker = self._ticker(symbol, kind, now_us, stream)
                    if ticker is not None:
                        self._hub.publish(ticker)

    def publish_tickers(self) -> None:
        """Publish ``@ticker`` and ``@miniTicker`` of every symbol."""
        self._publish_each(["ticker", "miniTicker"])

    def publish_windows(self) -> None:
        """Publish the tickers of rolling windows, of single symbols and of all."""
        self._publish_each([f"ticker_{window}" for window in _WINDOWS_S])
        for window in _WINDOWS_S:
            self.publish_all(f"!ticker_{window}@arr")

    def publish_all(self, stream: str) -> None:
        """Publish an array of the tickers that changed, as ``!miniTicker@arr`` has it."""
        if not self._hub.wanted(stream):
            return
        kind = stream.removeprefix("!").removesuffix("@arr")
        now_us = time.time_ns() // 1000
        tickers = [self._ticker(symbol, kind, now_us, stream) for symbol in self._view.markets]
        changed = [ticker for ticker in tickers if ticker is not None]
        if changed:
            self._hub.publish(Frame.array(stream, changed))

    def publish_averages(self) -> None:
        """Publish ``@avgPrice`` of every symbol that has traded since."""
        wording = self._view.wording
        assert isinstance(wording, SpotWording)
        now_us = time.time_ns() // 1000
        for symbol, tape in self._view.tapes.items():
            stream = f"{symbol.lower()}@avgPrice"
            if self._hub.wanted(stream) and self._moved(stream, symbol):
                price, time_us = self._view.average(symbol, now_us)
                event = wording.average_event(tape.instrument, price, time_us, now_us)
                self._hub.publish(frame(stream, event))

    # ------------------------------------------------------------------ klines

    def publish_klines(self, *, seconds: bool = False) -> None:
        """Publish the klines that someone listens to.

        A bar that has ended since the last time is told once more, as closed; then the present one.

        Parameters
        ----------
        seconds : bool
            Those of ``1s``, which have an interval of their own; else all others.
        """
        now_us = time.time_ns() // 1000
        for stream in list(self._hub.streams):
            if "@kline_" not in stream or not self.serves(stream):
                continue
            match = _KLINE_RE.fullmatch(stream)
            assert match is not None
            if (match[2] == "1s") == seconds:
                self._publish_kline(stream, match[1].upper(), match[2], _EAST_S if match[3] else 0, now_us)
        self._klines = {stream: told for stream, told in self._klines.items() if stream in self._hub.streams}

    def _publish_kline(self, stream: str, symbol: str, interval: str, zone_s: int, now_us: int) -> None:
        now_s = now_us // 1_000_000
        tape = self._view.tapes[symbol]
        present_s = span_start(interval, now_s, zone_s)
        told_s, told_id = self._klines.get(stream, (present_s, -2))
        bars = tape.klines(interval, now_s, limit=1000, start_s=told_s, zone_s=zone_s)
        for bar in bars:
            closed = span_end(interval, bar.start_s, zone_s) <= now_s
            if closed or (bar.start_s, bar.last_id) != (told_s, told_id):
                event = kline_event(tape.instrument, interval, bar, zone_s, closed=closed, now_us=now_us)
                self._hub.publish(frame(stream, event))
        if bars:
            newest = bars[-1]
            self._klines[stream] = (newest.start_s, newest.last_id)
