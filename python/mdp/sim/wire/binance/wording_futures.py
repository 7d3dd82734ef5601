"""Trades and tickers in the words of USD-M and COIN-M futures."""

from __future__ import annotations

from typing import Any

from mdp.sim.instruments import Instrument
from mdp.sim.market import AggregateTrade, Top, Trade
from mdp.sim.wire.binance.frames_futures import MarkPrice, Style
from mdp.sim.wire.binance.wording import Statistics, Time, turnover_text

_COIN = 2
_INTEREST_RATE = "0.00010000"


class FuturesWording:
    """See `mdp.sim.wire.binance.wording.Wording`.

    COIN-M names the pair beside the symbol, and its turnover is in the base asset.

    Parameters
    ----------
    style : Style
        Which keys events carry.

    Attributes
    ----------
    coin : bool
        Whether it is COIN-M.
    """

    def __init__(self, style: Style) -> None:
        self._style = style
        self.coin = style.product == _COIN

    def trade_row(self, spec: Instrument, trade: Trade, worth: int, time_us: int) -> dict[str, Any]:
        """Return a row of ``trades``."""
        row: dict[str, Any] = {
            "id": trade.trade_id,
            "price": spec.price_text(trade.price_ticks),
            "qty": spec.quantity_text(trade.lots),
            "baseQty" if self.coin else "quoteQty": turnover_text(spec, worth),
            "time": Time(time_us),
            "isBuyerMaker": trade.buyer_is_maker,
        }
        if not (self.coin or self._style.classic):
            row["isRPITrade"] = False
        return row

    def agg_trade_row(self, spec: Instrument, trade: AggregateTrade, time_us: int) -> dict[str, Any]:
        """Return a row of ``aggTrades``."""
        quantity = spec.quantity_text(trade.lots)
        return {
            "a": trade.agg_id,
            "p": spec.price_text(trade.price_ticks),
            "q": quantity,
            **({} if self.coin or self._style.classic else {"nq": quantity}),
            "f": trade.first_trade_id,
            "l": trade.last_trade_id,
            "T": Time(time_us),
            "m": trade.buyer_is_maker,
        }

    def _names(self, spec: Instrument, pair: str = "pair") -> dict[str, str]:
        return {"symbol": spec.symbol, pair: spec.pair} if self.coin else {"symbol": spec.symbol}

    def ticker_row(self, of: Statistics) -> dict[str, Any]:
        """Return a row of ``ticker/24hr``."""
        numbers = of.numbers()
        first_id, last_id, count = of.ids()
        return {
            **self._names(of.spec),
            "priceChange": numbers["change"],
            "priceChangePercent": numbers["percent"],
            "weightedAvgPrice": numbers["average"],
            "lastPrice": numbers["last"],
            "lastQty": numbers["last_quantity"],
            "openPrice": numbers["open"],
            "highPrice": numbers["high"],
            "lowPrice": numbers["low"],
            "volume": numbers["volume"],
            "baseVolume" if self.coin else "quoteVolume": numbers["turnover"],
            "openTime": Time(of.opened_us),
            "closeTime": Time(of.closed_us),
            "firstId": first_id,
            "lastId": last_id,
            "count": count,
        }

    def price_row(self, spec: Instrument, price_ticks: int, time_us: int) -> dict[str, Any]:
        """Return a row of ``ticker/price``."""
        return {
            **self._names(spec, "ps"),
            "price": spec.price_text(price_ticks),
            "time": Time(time_us),
        }

    def book_ticker_row(self, spec: Instrument, top: Top, time_us: int) -> dict[str, Any]:
        """Return a row of ``ticker/bookTicker``."""
        return {
            **({"lastUpdateId": top.update_id} if self.coin else {}),
            **self._names(spec),
            "bidPrice": spec.price_text(top.bid_ticks),
            "bidQty": spec.quantity_text(top.bid_lots),
            "askPrice": spec.price_text(top.ask_ticks),
            "askQty": spec.quantity_text(top.ask_lots),
            "time": Time(time_us),
        }

    def mark_row(self, spec: Instrument, mark: MarkPrice, time_us: int) -> dict[str, Any]:
        """Return a row of ``premiumIndex``; a dated contract has no funding."""
        return {
            **self._names(spec),
            "markPrice": mark.mark,
            "indexPrice": mark.index,
            "estimatedSettlePrice": mark.settle,
            "lastFundingRate": mark.rate or ("" if self.coin else "0.00000000"),
            "interestRate": _INTEREST_RATE if mark.rate else ("" if self.coin else "0.00000000"),
            "nextFundingTime": Time(mark.next_funding_us),
            "time": Time(time_us),
        }

    def ticker_event(self, of: Statistics) -> dict[str, Any]:
        """Return an event of ``@ticker``."""
        numbers = of.numbers()
        first_id, last_id, count = of.ids()
        return {
            "e": "24hrTicker",
            "E": Time(of.closed_us),
            "s": of.spec.symbol,
            **self._pair_of_old(of.spec),
            "p": numbers["change"],
            "P": numbers["percent"],
            "w": numbers["average"],
            "c": numbers["last"],
            "Q": numbers["last_quantity"],
            "o": numbers["open"],
            "h": numbers["high"],
            "l": numbers["low"],
            "v": numbers["volume"],
            "q": numbers["turnover"],
            "O": Time(of.opened_us),
            "C": Time(of.closed_us),
            "F": first_id,
            "L": last_id,
            "n": count,
            **self._end(of.spec),
        }

    def mini_ticker_event(self, of: Statistics) -> dict[str, Any]:
        """Return an event of ``@miniTicker``."""
        numbers = of.numbers()
        return {
            "e": "24hrMiniTicker",
            "E": Time(of.closed_us),
            "s": of.spec.symbol,
            **self._pair_of_old(of.spec),
            "c": numbers["last"],
            "o": numbers["open"],
            "h": numbers["high"],
            "l": numbers["low"],
            "v": numbers["volume"],
            "q": numbers["turnover"],
            **self._end(of.spec),
        }

    def _pair_of_old(self, spec: Instrument) -> dict[str, str]:
        """Return ``ps`` where COIN-M has always had it."""
        return {"ps": spec.pair} if self.coin else {}

    def _end(self, spec: Instrument) -> dict[str, Any]:
        """Return what events got at their end in 2026."""
        if self._style.classic:
            return {}
        return {**({} if self.coin else {"ps": spec.pair}), "st": self._style.product}
