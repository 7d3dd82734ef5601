"""Trades, tickers and averages in the words of spot."""

from __future__ import annotations

from typing import Any

from mdp.sim.instruments import Instrument
from mdp.sim.market import AggregateTrade, Top, Trade
from mdp.sim.wire.binance.wording import Statistics, Time, turnover_text


class SpotWording:
    """See `mdp.sim.wire.binance.wording.Wording`."""

    def trade_row(self, spec: Instrument, trade: Trade, worth: int, time_us: int) -> dict[str, Any]:
        """Return a row of ``trades``."""
        return {
            "id": trade.trade_id,
            "price": spec.price_text(trade.price_ticks),
            "qty": spec.quantity_text(trade.lots),
            "quoteQty": turnover_text(spec, worth),
            "time": Time(time_us),
            "isBuyerMaker": trade.buyer_is_maker,
            "isBestMatch": True,
        }

    def agg_trade_row(self, spec: Instrument, trade: AggregateTrade, time_us: int) -> dict[str, Any]:
        """Return a row of ``aggTrades``."""
        return {
            "a": trade.agg_id,
            "p": spec.price_text(trade.price_ticks),
            "q": spec.quantity_text(trade.lots),
            "f": trade.first_trade_id,
            "l": trade.last_trade_id,
            "T": Time(time_us),
            "m": trade.buyer_is_maker,
            "M": True,
        }

    def ticker_row(self, of: Statistics) -> dict[str, Any]:
        """Return a row of ``ticker/24hr`` with ``type=FULL``."""
        spec, top, numbers = of.spec, of.top, of.numbers()
        return {
            **_change(of, numbers),
            "prevClosePrice": numbers["previous"],
            "lastPrice": numbers["last"],
            "lastQty": numbers["last_quantity"],
            "bidPrice": spec.price_text(top.bid_ticks),
            "bidQty": spec.quantity_text(top.bid_lots),
            "askPrice": spec.price_text(top.ask_ticks),
            "askQty": spec.quantity_text(top.ask_lots),
            **_range(numbers),
            **_traded(of, numbers),
        }

    def mini_ticker_row(self, of: Statistics) -> dict[str, Any]:
        """Return a row of any ticker with ``type=MINI``."""
        numbers = of.numbers()
        return {
            "symbol": of.spec.symbol,
            **_range(numbers),
            "lastPrice": numbers["last"],
            **_traded(of, numbers),
        }

    def window_row(self, of: Statistics) -> dict[str, Any]:
        """Return a row of ``ticker`` or ``ticker/tradingDay`` with ``type=FULL``."""
        numbers = of.numbers()
        return {
            **_change(of, numbers),
            **_range(numbers),
            "lastPrice": numbers["last"],
            **_traded(of, numbers),
        }

    def price_row(self, spec: Instrument, price_ticks: int, time_us: int) -> dict[str, Any]:
        """Return a row of ``ticker/price``."""
        return {"symbol": spec.symbol, "price": spec.price_text(price_ticks)}

    def book_ticker_row(self, spec: Instrument, top: Top, time_us: int) -> dict[str, Any]:
        """Return a row of ``ticker/bookTicker``."""
        return {
            "symbol": spec.symbol,
            "bidPrice": spec.price_text(top.bid_ticks),
            "bidQty": spec.quantity_text(top.bid_lots),
            "askPrice": spec.price_text(top.ask_ticks),
            "askQty": spec.quantity_text(top.ask_lots),
        }

    def average_row(self, price: str, time_us: int) -> dict[str, Any]:
        """Return the body of ``avgPrice``, whose window is five minutes."""
        return {"mins": 5, "price": price, "closeTime": Time(time_us)}

    def average_event(self, spec: Instrument, price: str, time_us: int, now_us: int) -> dict[str, Any]:
        """Return an event of ``@avgPrice``."""
        return {
            "e": "avgPrice",
            "E": Time(now_us),
            "s": spec.symbol,
            "i": "5m",
            "w": price,
            "T": Time(time_us),
        }

    def ticker_event(self, of: Statistics) -> dict[str, Any]:
        """Return an event of ``@ticker``."""
        spec, top, numbers = of.spec, of.top, of.numbers()
        return {
            "e": "24hrTicker",
            "E": Time(of.closed_us),
            "s": spec.symbol,
            "p": numbers["change"],
            "P": numbers["percent"],
            "w": numbers["average"],
            "x": numbers["previous"],
            "c": numbers["last"],
            "Q": numbers["last_quantity"],
            "b": spec.price_text(top.bid_ticks),
            "B": spec.quantity_text(top.bid_lots),
            "a": spec.price_text(top.ask_ticks),
            "A": spec.quantity_text(top.ask_lots),
            "o": numbers["open"],
            "h": numbers["high"],
            "l": numbers["low"],
            **self._window_end(of, numbers),
        }

    def window_event(self, of: Statistics, window: str) -> dict[str, Any]:
        """Return an event of ``@ticker_<window>``."""
        numbers = of.numbers()
        return {
            "e": f"{window}Ticker",
            "E": Time(of.closed_us),
            "s": of.spec.symbol,
            "p": numbers["change"],
            "P": numbers["percent"],
            "o": numbers["open"],
            "h": numbers["high"],
            "l": numbers["low"],
            "c": numbers["last"],
            "w": numbers["average"],
            **self._window_end(of, numbers),
        }

    def _window_end(self, of: Statistics, numbers: dict[str, str]) -> dict[str, Any]:
        first_id, last_id, count = of.ids()
        return {
            "v": numbers["volume"],
            "q": numbers["turnover"],
            "O": Time(of.opened_us),
            "C": Time(of.closed_us),
            "F": first_id,
            "L": last_id,
            "n": count,
        }

    def mini_ticker_event(self, of: Statistics) -> dict[str, Any]:
        """Return an event of ``@miniTicker``."""
        numbers = of.numbers()
        return {
            "e": "24hrMiniTicker",
            "E": Time(of.closed_us),
            "s": of.spec.symbol,
            "c": numbers["last"],
            "o": numbers["open"],
            "h": numbers["high"],
            "l": numbers["low"],
            "v": numbers["volume"],
            "q": numbers["turnover"],
        }


def _change(of: Statistics, numbers: dict[str, str]) -> dict[str, Any]:
    return {
        "symbol": of.spec.symbol,
        "priceChange": numbers["change"],
        "priceChangePercent": numbers["percent"],
        "weightedAvgPrice": numbers["average"],
    }


def _range(numbers: dict[str, str]) -> dict[str, Any]:
    return {"openPrice": numbers["open"], "highPrice": numbers["high"], "lowPrice": numbers["low"]}


def _traded(of: Statistics, numbers: dict[str, str]) -> dict[str, Any]:
    first_id, last_id, count = of.ids()
    return {
        "volume": numbers["volume"],
        "quoteVolume": numbers["turnover"],
        "openTime": Time(of.opened_us),
        "closeTime": Time(of.closed_us),
        "firstId": first_id,
        "lastId": last_id,
        "count": count,
    }
