"""What futures have and spot has not: mark price, funding, liquidations. Seeded like the books."""

from __future__ import annotations

import random

from mdp.sim.instruments import text_e8
from mdp.sim.market import AggregateTrade, Market, Trade
from mdp.sim.wire.binance.frames_futures import MarkPrice

_FUNDING_US = 8 * 3600 * 1_000_000
_LIQUIDATIONS = 1 / 40
_MOST_RATE_E8 = 30_000


class Derivative:
    """Mark price and liquidations of one contract.

    Parameters
    ----------
    market : Market
        Its book.
    seed : int
        Seed of the sim.

    Attributes
    ----------
    liquidation : AggregateTrade or None
        The newest forced order that has not been published yet.
    """

    def __init__(self, market: Market, seed: int) -> None:
        self.market = market
        self.liquidation: AggregateTrade | None = None
        self._name = f"{seed}:{market.instrument.symbol}"
        self._random = random.Random(f"mark:{self._name}").random
        self._forced = random.Random(f"force:{self._name}").random

    def mark(self, now_us: int) -> MarkPrice:
        """Return mark price, index and funding at a time, microseconds since the epoch."""
        spec = self.market.instrument
        top = self.market.top()
        middle_e8 = (top.bid_ticks + top.ask_ticks) * spec.tick_e8 // 2
        # One part in ten thousand either way, to eight decimals: the mark is not the book's middle.
        index_e8 = middle_e8 + int(middle_e8 * (self._random() - 0.5) * 2e-4)
        average_e8 = (middle_e8 + index_e8) // 2
        mark, index = text_e8(average_e8), text_e8(index_e8)
        if spec.contract_type != "PERPETUAL":
            return MarkPrice(mark, mark, index, index, "", 0)
        period = now_us // _FUNDING_US
        rate_e8 = random.Random(f"funding:{self._name}:{period}").randint(-_MOST_RATE_E8, _MOST_RATE_E8)
        rate = ("-" if rate_e8 < 0 else "") + text_e8(abs(rate_e8))
        return MarkPrice(mark, mark, index, index, rate, (period + 1) * _FUNDING_US)

    def on_fill(self, fill: AggregateTrade) -> Trade | None:
        """Decide whether the taker of `fill` was being liquidated.

        Returns
        -------
        Trade or None
            The trade by which the insurance fund took over the rest. It touches no book, and the venue leaves
            it out of aggTrade.
        """
        if self._forced() >= _LIQUIDATIONS:
            return None
        self.liquidation = fill
        number = self.market.take_trade_id()
        return Trade(number, fill.price_ticks, fill.lots, fill.buyer_is_maker, self.market.update_id)
