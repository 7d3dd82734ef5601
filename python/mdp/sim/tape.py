"""What one market has traded: its newest trades, and bars from which tickers, klines and averages are made.

Everything is an integer, as in the market: prices in ticks, quantities in lots. Only what the market really
traded is on the tape, so a sim that has just started has no klines of the hours before.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone
from itertools import takewhile

from mdp.sim.instruments import E8, Instrument
from mdp.sim.market import AggregateTrade, Trade

_NEWEST_TRADES = 1_000
"""As many as one request may ask for."""
_SECOND_BARS = 1_000
_MINUTE_BARS = 7 * 24 * 60
_WEEK_S = 7 * 86_400
_FIRST_MONDAY_S = 4 * 86_400  # 1970-01-05

INTERVALS_S: dict[str, int] = {
    "1s": 1, "1m": 60, "3m": 180, "5m": 300, "15m": 900, "30m": 1800, "1h": 3600, "2h": 7200, "4h": 14_400,
    "6h": 21_600, "8h": 28_800, "12h": 43_200, "1d": 86_400, "3d": 259_200, "1w": _WEEK_S, "1M": 0,
}  # fmt: skip
"""Length of every kline interval of the venue in seconds; 0 for the month, which has no fixed one."""


@dataclass(slots=True)
class Bar:
    """What was traded in a span of time.

    Attributes
    ----------
    start_s : int
        Where the span begins, seconds since the epoch.
    open, high, low, close : int
        Prices in ticks.
    lots, taker_buy_lots : int
        Quantity traded, and the part of it whose taker bought.
    turnover, taker_buy_turnover : int
        The same in the other asset, in units of `Tape.turnover`.
    count : int
        Number of trades; 0 for a span in which nothing was traded, with all four prices the close before it.
    first_id, last_id : int
        Trade ids; -1 where there is none.
    """

    start_s: int
    open: int
    high: int
    low: int
    close: int
    lots: int = 0
    taker_buy_lots: int = 0
    turnover: int = 0
    taker_buy_turnover: int = 0
    count: int = 0
    first_id: int = -1
    last_id: int = -1

    def add(self, later: Bar) -> None:
        """Take in what was traded later."""
        self.high = max(self.high, later.high)
        self.low = min(self.low, later.low)
        self.close = later.close
        self.lots += later.lots
        self.taker_buy_lots += later.taker_buy_lots
        self.turnover += later.turnover
        self.taker_buy_turnover += later.taker_buy_turnover
        self.count += later.count
        self.last_id = later.last_id


def span_start(interval: str, at_s: int, zone_s: int = 0) -> int:
    """Return where the span of an interval begins that a time falls into.

    Parameters
    ----------
    interval : str
        Key of `INTERVALS_S`.
    at_s : int
        Seconds since the epoch.
    zone_s : int
        How far the clock by which days begin is ahead of UTC, seconds.
    """
    local_s = at_s + zone_s
    if interval == "1M":
        month = datetime.fromtimestamp(local_s, timezone.utc).replace(
            day=1, hour=0, minute=0, second=0, microsecond=0
        )
        return int(month.timestamp()) - zone_s
    length = INTERVALS_S[interval]
    anchor = _FIRST_MONDAY_S if length == _WEEK_S else 0
    return (local_s - anchor) // length * length + anchor - zone_s


def span_end(interval: str, start_s: int, zone_s: int = 0) -> int:
    """Return where the span that begins at `start_s` ends, which is where the next begins."""
    if interval != "1M":
        return start_s + INTERVALS_S[interval]
    first = datetime.fromtimestamp(start_s + zone_s, timezone.utc)
    return int((first + timedelta(days=31)).replace(day=1).timestamp()) - zone_s


class Tape:
    """Trades of one market.

    Holds the newest thousand trades, as many aggregate trades, a thousand bars of a second, and seven days of
    bars of a minute. Spans without a trade take no room.

    Parameters
    ----------
    instrument : Instrument
        What is traded.

    Attributes
    ----------
    trades : deque of (Trade, int)
        The newest trades with their times, microseconds since the epoch.
    agg_trades : deque of (AggregateTrade, int)
        The newest aggregate trades.
    """

    def __init__(self, instrument: Instrument) -> None:
        self.instrument = instrument
        self.trades: deque[tuple[Trade, int]] = deque(maxlen=_NEWEST_TRADES)
        self.agg_trades: deque[tuple[AggregateTrade, int]] = deque(maxlen=_NEWEST_TRADES)
        self._seconds: deque[Bar] = deque(maxlen=_SECOND_BARS)
        self._minutes: deque[Bar] = deque(maxlen=_MINUTE_BARS)

    @property
    def last_id(self) -> int:
        """Id of the newest trade; -1 before the first."""
        return self.trades[-1][0].trade_id if self.trades else -1

    def turnover(self, price_ticks: int, lots: int) -> int:
        """Return what a quantity is worth in the other asset, as a count of the instrument's turnover units.

        On spot and USD-M the unit is one tick times one lot, and the product is exact. On COIN-M, whose
        quantities are contracts of a fixed worth, it is 1e-8 of the base asset, rounded down.
        """
        spec = self.instrument
        if not spec.contract_size:
            return price_ticks * lots
        return spec.contract_size * lots * E8 * E8 // (price_ticks * spec.tick_e8)

    def record(self, trade: Trade, time_us: int) -> None:
        """Note a trade."""
        self.trades.append((trade, time_us))
        price, lots = trade.price_ticks, trade.lots
        worth = self.turnover(price, lots)
        bought = not trade.buyer_is_maker
        second = time_us // 1_000_000
        for bars, start_s in ((self._seconds, second), (self._minutes, second // 60 * 60)):
            bar = Bar(
                start_s,
                price,
                price,
                price,
                price,
                lots,
                lots if bought else 0,
                worth,
                worth if bought else 0,
                1,
                trade.trade_id,
                trade.trade_id,
            )
            # A clock that was set back must not make bars out of order: its trades count to the newest bar.
            if bars and start_s <= bars[-1].start_s:
                bars[-1].add(bar)
            else:
                bars.append(bar)

    def record_agg(self, trade: AggregateTrade, time_us: int) -> None:
        """Note an aggregate trade."""
        self.agg_trades.append((trade, time_us))

    def window(self, since_s: int, *, seconds: bool = False) -> Bar | None:
        """Return everything traded since a time, or None.

        Parameters
        ----------
        since_s : int
            Seconds since the epoch. The window begins at the whole minute before it.
        seconds : bool
            Begin at the second itself; such a window reaches back no further than the bars of a second.
        """
        bars = self._seconds if seconds else self._minutes
        from_s = since_s if seconds else since_s // 60 * 60
        newest_first = list(takewhile(lambda bar: bar.start_s >= from_s, reversed(bars)))
        return _merged(reversed(newest_first))

    def close_before(self, since_s: int) -> int | None:
        """Return the price in ticks of the last trade before the minute of a time, or None."""
        minute_s = since_s // 60 * 60
        return next((bar.close for bar in reversed(self._minutes) if bar.start_s < minute_s), None)

    def klines(
        self,
        interval: str,
        now_s: int,
        *,
        limit: int,
        start_s: float | None = None,
        end_s: float | None = None,
        zone_s: int = 0,
    ) -> list[Bar]:
        """Return the bars of an interval, oldest first; without a trade they are flat at the close before.

        Parameters
        ----------
        interval : str
            Key of `INTERVALS_S`.
        now_s : int
            The last bar is the one of this second, closed or not.
        limit : int
            At most so many: the oldest from `start_s` where that is given, else the newest.
        start_s, end_s : float or None
            Bars that begin before `start_s` or after `end_s` are left out.
        zone_s : int
            See `span_start`.
        """
        bars = self._seconds if interval == "1s" else self._minutes
        if not bars or (start_s is not None and start_s > now_s):  # which may be too far for the calendar
            return []
        traded: dict[int, Bar] = {}
        for bar in bars:
            at_s = span_start(interval, bar.start_s, zone_s)
            if at_s in traded:
                traded[at_s].add(bar)
            else:
                traded[at_s] = replace(bar, start_s=at_s)
        first_s = next(iter(traded))
        newest_s = now_s if end_s is None else min(now_s, int(end_s))
        starts = _spans(interval, zone_s, first_s, newest_s, limit, start_s)
        out: list[Bar] = []
        close = next(
            (bar.close for bar in reversed(traded.values()) if starts and bar.start_s < starts[0]), 0
        )
        for at_s in starts:
            flat = Bar(at_s, close, close, close, close)
            out.append(traded.get(at_s, flat))
            close = out[-1].close
        return out


def _merged(bars: Iterable[Bar]) -> Bar | None:
    whole: Bar | None = None
    for bar in bars:
        if whole is None:
            whole = replace(bar)
        else:
            whole.add(bar)
    return whole


def _spans(
    interval: str, zone_s: int, first_s: int, newest_s: int, limit: int, start_s: float | None
) -> list[int]:
    """Return where the spans begin that a request asks for; walking backwards where it wants the newest."""
    if start_s is not None:
        at_s = span_start(interval, int(start_s), zone_s)
        begin = max(first_s, at_s if at_s >= start_s else span_end(interval, at_s, zone_s))
        return _take(begin, limit, lambda s: s <= newest_s, lambda s: span_end(interval, s, zone_s))
    last = span_start(interval, newest_s, zone_s)
    newest_first = _take(last, limit, lambda s: s >= first_s, lambda s: span_start(interval, s - 1, zone_s))
    return newest_first[::-1]


def _take(begin: int, limit: int, wanted: Callable[[int], bool], step: Callable[[int], int]) -> list[int]:
    def walk() -> Iterator[int]:
        at_s = begin
        for _ in range(limit):
            if not wanted(at_s):
                return
            yield at_s
            at_s = step(at_s)

    return list(walk())
