"""REST routes of market data beside the depth snapshot: trades, klines, averages and tickers.

All of it is told from the exchange's own truth: the trades and books that the synthetic market made.
docs/sim.md lists the routes; a test compares that list with the routes there are.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from multidict import MultiMapping

from mdp.sim.instruments import Instrument
from mdp.sim.tape import INTERVALS_S, span_start
from mdp.sim.wire.binance.market_view import MarketView
from mdp.sim.wire.binance.rest_query import Query, invalid, requested_limit
from mdp.sim.wire.binance.wording import Statistics, kline_row
from mdp.sim.wire.binance.wording_futures import FuturesWording
from mdp.sim.wire.binance.wording_spot import SpotWording
from mdp.sim.wire.protocol import RestError, Weight

_WINDOW_UNITS_S = {"m": (60, 59), "h": (3600, 23), "d": (86_400, 7)}  # seconds, and the most of each
_MOST_WINDOW_SYMBOLS = 100
_AGG_TRADES_SPAN_S = 3600


@dataclass(frozen=True)
class Route:
    """One path.

    Attributes
    ----------
    names : tuple of str
        Parameters it reads.
    weight : callable
        What a request with these parameters costs.
    answer : callable
        Makes the JSON-ready answer; a `RestError` is answered as the venue does.
    keyed : bool
        Whether the venue wants an API key in the header ``X-MBX-APIKEY``; any will do here.
    """

    names: tuple[str, ...]
    weight: Weight
    answer: Callable[[Query], Any]
    keyed: bool = False


def _fixed(weight: int) -> Weight:
    return lambda _: weight


def _now_us() -> int:
    return time.time_ns() // 1000


class MarketRoutes(ABC):
    """What the families have in common."""

    def __init__(self, view: MarketView, *, cut: bool) -> None:
        self.view = view
        self._cut = cut

    @abstractmethod
    def routes(self) -> dict[str, Route]:
        """Return the routes by what follows the base of their paths."""

    def limit(self, query: Query, default: int = 500, most: int = 1000) -> int:
        """Return how many rows are wanted."""
        return query.limit(default, most, cut=self._cut)

    def trades(self, query: Query) -> list[Any]:
        """Return the newest trades, or the oldest known from ``fromId`` on."""
        tape = self.view.tapes[query.symbol()]
        limit, from_id = self.limit(query), query.number("fromId")
        rows = list(tape.trades)
        if from_id is None:
            rows = rows[-limit:]
        else:
            rows = [row for row in rows if row[0].trade_id >= from_id][:limit]
        return [
            self.view.wording.trade_row(
                tape.instrument, trade, tape.turnover(trade.price_ticks, trade.lots), time_us
            )
            for trade, time_us in rows
        ]

    def agg_trades(self, query: Query) -> list[Any]:
        """Return the newest aggregate trades, or the oldest known from an id or a time on."""
        tape = self.view.tapes[query.symbol()]
        limit, from_id = self.limit(query), query.number("fromId")
        start, end = query.seconds("startTime"), query.seconds("endTime")
        if not self._cut and start is not None and end is not None and end - start >= _AGG_TRADES_SPAN_S:
            raise RestError(
                400, -1127, "Lookup interval is too big. More than 1 hours between startTime and endTime."
            )
        rows = [
            (trade, time_us)
            for trade, time_us in tape.agg_trades
            if (from_id is None or trade.agg_id >= from_id)
            and (start is None or time_us // 1000 >= start * 1000)
            and (end is None or time_us // 1000 <= end * 1000)
        ]
        rows = rows[-limit:] if from_id is None and start is None else rows[:limit]
        return [self.view.wording.agg_trade_row(tape.instrument, trade, time_us) for trade, time_us in rows]

    def klines(self, query: Query, most: int, intervals: Iterable[str], *, zoned: bool) -> list[Any]:
        """Return klines; `zoned`: cut by the days of the time zone that the query names."""
        tape = self.view.tapes[query.symbol()]
        interval = query.text("interval")
        if interval not in intervals:
            raise RestError(400, -1120, "Invalid interval.")
        zone_s = query.zone_s() if zoned else 0
        bars = tape.klines(
            interval,
            _now_us() // 1_000_000,
            limit=self.limit(query, 500, most),
            start_s=query.seconds("startTime"),
            end_s=query.seconds("endTime"),
            zone_s=zone_s,
        )
        return [kline_row(tape.instrument, interval, bar, zone_s) for bar in bars]

    def price_row(self, symbol: str) -> Any:
        """Return the last price of a symbol."""
        tape = self.view.tapes[symbol]
        last, time_us = tape.trades[-1] if tape.trades else (None, 0)
        return self.view.wording.price_row(tape.instrument, last.price_ticks if last else 0, time_us)

    def book_ticker_row(self, symbol: str) -> Any:
        """Return best bid and ask of a symbol."""
        market = self.view.markets[symbol]
        return self.view.wording.book_ticker_row(market.instrument, market.top(), _now_us())

    def day_row(self, symbol: str) -> Any:
        """Return the ticker of a symbol over 24 hours."""
        return self.view.wording.ticker_row(self.view.day(symbol, _now_us()))


class SpotRoutes(MarketRoutes):
    """Those of spot."""

    def __init__(self, view: MarketView, wording: SpotWording) -> None:
        super().__init__(view, cut=True)
        self._wording = wording

    def routes(self) -> dict[str, Route]:
        """Return the routes by what follows the base of their paths."""
        klines = Route(
            ("symbol", "interval", "startTime", "endTime", "timeZone", "limit"), _fixed(2), self._klines
        )
        several = ("symbol", "symbols", "symbolStatus")
        windowed = (*several, "type")
        return {
            "trades": Route(("symbol", "limit"), _fixed(25), self.trades),
            "historicalTrades": Route(("symbol", "limit", "fromId"), _fixed(25), self.trades),
            "aggTrades": Route(
                ("symbol", "fromId", "startTime", "endTime", "limit"), _fixed(4), self.agg_trades
            ),
            "klines": klines,
            "uiKlines": klines,
            "avgPrice": Route(("symbol",), _fixed(2), self._average),
            "ticker/24hr": Route(windowed, _day_weight, self._day),
            "ticker/tradingDay": Route((*windowed, "timeZone"), _window_weight, self._trading_day),
            "ticker/price": Route(several, _top_weight, lambda query: self._each(query, self.price_row)),
            "ticker/bookTicker": Route(
                several, _top_weight, lambda query: self._each(query, self.book_ticker_row)
            ),
            "ticker": Route((*windowed, "windowSize"), _window_weight, self._window),
        }

    def _klines(self, query: Query) -> list[Any]:
        return self.klines(query, 1000, INTERVALS_S, zoned=True)

    def _average(self, query: Query) -> Any:
        return self._wording.average_row(*self.view.average(query.symbol(), _now_us()))

    def _each(self, query: Query, row: Callable[[str], Any]) -> Any:
        """Return the row of one symbol, or a list for several or all."""
        wanted = query.symbols()
        if not query.check_status():
            return []
        if "symbol" in query and wanted is not None:
            return row(wanted[0])
        return [row(symbol) for symbol in (self.view.markets if wanted is None else wanted)]

    def _of_type(self, query: Query, full: Callable[[Statistics], Any]) -> Callable[[Statistics], Any]:
        mini = query.choice("type", ("FULL", "MINI"), "FULL") == "MINI"
        return self._wording.mini_ticker_row if mini else full

    def _day(self, query: Query) -> Any:
        row, now_us = self._of_type(query, self._wording.ticker_row), _now_us()
        return self._each(query, lambda symbol: row(self.view.day(symbol, now_us)))

    def _trading_day(self, query: Query) -> Any:
        now_us = _now_us()
        since_s = span_start("1d", now_us // 1_000_000, query.zone_s())
        row = self._of_type(query, self._wording.window_row)
        return self._some(
            query, lambda symbol: row(self.view.statistics(symbol, now_us, since_s, since_s * 1_000_000))
        )

    def _window(self, query: Query) -> Any:
        size = query.text("windowSize") if "windowSize" in query else "1d"
        count, unit = size[:-1], size[-1]
        length_s, most = _WINDOW_UNITS_S.get(unit, (0, 0))
        if not (count.isdecimal() and count.isascii() and 1 <= int(count) <= most):
            raise invalid("windowSize")
        row, now_us = self._of_type(query, self._wording.window_row), _now_us()
        return self._some(query, lambda symbol: row(self.view.rolling(symbol, now_us, int(count) * length_s)))

    def _some(self, query: Query, row: Callable[[str], Any]) -> Any:
        """Return rows where symbols must be named, at most a hundred."""
        wanted = query.symbols()
        if wanted is None:
            query.text("symbol")
        elif len(wanted) > _MOST_WINDOW_SYMBOLS:
            raise RestError(
                400,
                -1101,
                f"Too many parameters; expected '{_MOST_WINDOW_SYMBOLS}' and received '{len(wanted)}'.",
            )
        return self._each(query, row)


def _named(query: MultiMapping[str]) -> int | None:
    """Return how many symbols ``symbols`` names; None where it is not sent."""
    return query["symbols"].count(",") + 1 if "symbols" in query else None


def _day_weight(query: MultiMapping[str]) -> int:
    if "symbol" in query:
        return 2
    named = _named(query)
    return 80 if named is None or named > 100 else 2 if named <= 20 else 40


def _top_weight(query: MultiMapping[str]) -> int:
    return 2 if "symbol" in query else 4


def _window_weight(query: MultiMapping[str]) -> int:
    return min(200, 4 * (_named(query) or 1))


class FuturesRoutes(MarketRoutes):
    """Those of USD-M and COIN-M."""

    def __init__(self, view: MarketView, wording: FuturesWording) -> None:
        super().__init__(view, cut=False)
        self._wording = wording
        self._coin = wording.coin

    def routes(self) -> dict[str, Route]:
        """Return the routes by what follows the base of their paths."""
        several = ("symbol", "pair") if self._coin else ("symbol",)
        return {
            "trades": Route(("symbol", "limit"), _fixed(5), self.trades),
            "historicalTrades": Route(("symbol", "limit", "fromId"), _fixed(200), self.trades, keyed=True),
            "aggTrades": Route(
                ("symbol", "fromId", "startTime", "endTime", "limit"), _fixed(20), self.agg_trades
            ),
            "klines": Route(
                ("symbol", "interval", "startTime", "endTime", "limit"), _klines_weight, self._klines
            ),
            "ticker/24hr": Route(several, _one_or_all(1, 40), lambda query: self._each(query, self.day_row)),
            "ticker/price": Route(
                several, _one_or_all(1, 2), lambda query: self._each(query, self.price_row)
            ),
            "ticker/bookTicker": Route(
                several, _one_or_all(2, 5), lambda query: self._each(query, self.book_ticker_row)
            ),
            "premiumIndex": Route(
                several,
                _fixed(10) if self._coin else _one_or_all(1, 10),
                lambda query: self._each(query, self._mark_row),
            ),
        }

    def _klines(self, query: Query) -> list[Any]:
        return self.klines(query, 1500, (name for name in INTERVALS_S if name != "1s"), zoned=False)

    def _mark_row(self, symbol: str) -> Any:
        derivative, now_us = self.view.derivatives[symbol], _now_us()
        return self._wording.mark_row(derivative.market.instrument, derivative.mark(now_us), now_us)

    def _each(self, query: Query, row: Callable[[str], Any]) -> Any:
        """Return the row of one symbol, or those of a pair or all; COIN-M lists even a single one."""
        specs = [market.instrument for market in self.view.markets.values()]
        if "pair" in query:
            if "symbol" in query:
                raise RestError(400, -1128, "Combination of optional parameters invalid.")
            return [row(spec.symbol) for spec in _of_pair(specs, query.text("pair"))]
        if "symbol" in query:
            found = row(query.symbol())
            return [found] if self._coin else found
        return [row(spec.symbol) for spec in specs]


def _of_pair(specs: Sequence[Instrument], pair: str) -> list[Instrument]:
    found = [spec for spec in specs if spec.pair == pair]
    if not found:
        raise RestError(400, -1121, "Invalid symbol.")
    return found


def _one_or_all(one: int, every: int) -> Weight:
    return lambda query: one if "symbol" in query else every


def _klines_weight(query: MultiMapping[str]) -> int:
    limit = requested_limit(query, 500)
    return 1 if limit < 100 else 2 if limit < 500 else 5 if limit <= 1000 else 10
