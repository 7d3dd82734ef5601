"""How the venue writes what it tells of trades: numbers, times, and what all families write alike.

A wording makes JSON-ready values; `body` and `frame` turn them into text. Times stand in them as `Time`: a
client chooses whether it gets milliseconds or microseconds.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Protocol

from mdp.sim.frames import Frame
from mdp.sim.instruments import E8, Instrument, decimal_text, text_e8
from mdp.sim.market import AggregateTrade, Top, Trade
from mdp.sim.tape import Bar, span_end

_MARK = "\0"
_MARK_TEXT = json.dumps(_MARK)


@dataclass(frozen=True)
class Time:
    """A time in an answer or event, microseconds since the epoch."""

    us: int


def _parts(value: Any) -> tuple[tuple[str, ...], tuple[int, ...]]:
    """Return the JSON text of a value, cut where a time goes, and the times."""
    times: list[int] = []

    def mark(time: Any) -> str:
        if not isinstance(time, Time):
            raise TypeError(f"no JSON: {time!r}")
        times.append(time.us)
        return _MARK

    text = json.dumps(value, separators=(",", ":"), default=mark, ensure_ascii=False)
    return tuple(text.split(_MARK_TEXT)), tuple(times)


def frame(stream: str, event: Any) -> Frame:
    """Return an event as frame of a stream."""
    return Frame(stream, *_parts(event))


def body(value: Any, *, micro: bool = False) -> str:
    """Return the text of a REST answer, its times in milliseconds or microseconds."""
    return Frame("", *_parts(value)).text(combined=False, micro=micro)


@dataclass(frozen=True)
class Statistics:
    """What a ticker tells of one market.

    Attributes
    ----------
    spec : Instrument
        The market.
    bar : Bar or None
        Everything traded in the window; None for nothing.
    opened_us, closed_us : int
        The window, microseconds since the epoch.
    previous_close : int or None
        Last price before the window in ticks, where it is known.
    last_lots : int
        Quantity of the newest trade.
    top : Top
        Best bid and ask.
    """

    spec: Instrument
    bar: Bar | None
    opened_us: int
    closed_us: int
    previous_close: int | None
    last_lots: int
    top: Top

    def numbers(self) -> dict[str, str]:
        """Return the numbers of the window as text, by plain names; zeros where nothing was traded."""
        spec, bar = self.spec, self.bar or Bar(0, 0, 0, 0, 0)
        change = bar.close - bar.open
        return {
            "change": ("-" if change < 0 else "") + spec.price_text(abs(change)),
            "percent": f"{100 * change / bar.open if bar.open else 0:.3f}",
            "average": price_e8_text(spec, average_e8(spec, bar)),
            "previous": spec.price_text(self.previous_close or 0),
            "last": spec.price_text(bar.close),
            "last_quantity": spec.quantity_text(self.last_lots),
            "open": spec.price_text(bar.open),
            "high": spec.price_text(bar.high),
            "low": spec.price_text(bar.low),
            "volume": spec.quantity_text(bar.lots),
            "turnover": turnover_text(spec, bar.turnover),
        }

    def ids(self) -> tuple[int, int, int]:
        """Return first and last trade id and the number of trades."""
        return (self.bar.first_id, self.bar.last_id, self.bar.count) if self.bar else (-1, -1, 0)


class Wording(Protocol):
    """How one family writes trades and tickers, for REST (``..._row``) and for streams (``..._event``)."""

    def trade_row(self, spec: Instrument, trade: Trade, worth: int, time_us: int) -> dict[str, Any]:
        """Return a row of ``trades``."""

    def agg_trade_row(self, spec: Instrument, trade: AggregateTrade, time_us: int) -> dict[str, Any]:
        """Return a row of ``aggTrades``."""

    def ticker_row(self, of: Statistics) -> dict[str, Any]:
        """Return a row of ``ticker/24hr``."""

    def price_row(self, spec: Instrument, price_ticks: int, time_us: int) -> dict[str, Any]:
        """Return a row of ``ticker/price``."""

    def book_ticker_row(self, spec: Instrument, top: Top, time_us: int) -> dict[str, Any]:
        """Return a row of ``ticker/bookTicker``."""

    def ticker_event(self, of: Statistics) -> dict[str, Any]:
        """Return an event of ``@ticker``."""

    def mini_ticker_event(self, of: Statistics) -> dict[str, Any]:
        """Return an event of ``@miniTicker``."""


def price_e8_text(spec: Instrument, price_e8: int) -> str:
    """Return a price that need not be a whole number of ticks, rounded down to the instrument's decimals."""
    return decimal_text(price_e8, spec.price_decimals)


def turnover_text(spec: Instrument, turnover: int) -> str:
    """Return a turnover (see `Tape.turnover`) as the venue writes it.

    Eight decimals on spot (rounded down) and COIN-M, all there can be on USD-M.
    """
    if spec.contract_size:
        return text_e8(turnover)
    worth_e16 = turnover * spec.tick_e8 * spec.lot_e8
    decimals = min(spec.price_decimals + spec.quantity_decimals, 16)
    if decimals == 16:  # spot, which writes eight of each
        return text_e8(worth_e16 // E8)
    scale = 10**decimals
    scaled = worth_e16 * scale // E8**2
    return f"{scaled // scale}.{scaled % scale:0{decimals}d}"


def average_e8(spec: Instrument, bar: Bar) -> int:
    """Return the mean price of a bar weighted by quantity, in units of 1e-8; 0 where nothing was traded."""
    if not bar.turnover:
        return 0
    if spec.contract_size:
        return spec.contract_size * bar.lots * E8 * E8 // bar.turnover
    return bar.turnover * spec.tick_e8 // bar.lots


def kline_row(spec: Instrument, interval: str, bar: Bar, zone_s: int) -> list[Any]:
    """Return a row of ``klines``, which all families write alike."""
    return [
        Time(bar.start_s * 1_000_000),
        spec.price_text(bar.open),
        spec.price_text(bar.high),
        spec.price_text(bar.low),
        spec.price_text(bar.close),
        spec.quantity_text(bar.lots),
        Time(span_end(interval, bar.start_s, zone_s) * 1_000_000 - 1),
        turnover_text(spec, bar.turnover),
        bar.count,
        spec.quantity_text(bar.taker_buy_lots),
        turnover_text(spec, bar.taker_buy_turnover),
        "0",
    ]


def kline_event(
    spec: Instrument, interval: str, bar: Bar, zone_s: int, *, closed: bool, now_us: int
) -> dict[str, Any]:
    """Return an event of ``@kline_<interval>``, which all families write alike."""
    return {
        "e": "kline",
        "E": Time(now_us),
        "s": spec.symbol,
        "k": {
            "t": Time(bar.start_s * 1_000_000),
            "T": Time(span_end(interval, bar.start_s, zone_s) * 1_000_000 - 1),
            "s": spec.symbol,
            "i": interval,
            "f": bar.first_id,
            "L": bar.last_id,
            "o": spec.price_text(bar.open),
            "c": spec.price_text(bar.close),
            "h": spec.price_text(bar.high),
            "l": spec.price_text(bar.low),
            "v": spec.quantity_text(bar.lots),
            "n": bar.count,
            "x": closed,
            "q": turnover_text(spec, bar.turnover),
            "V": spec.quantity_text(bar.taker_buy_lots),
            "Q": turnover_text(spec, bar.taker_buy_turnover),
            "B": "0",
        },
    }
