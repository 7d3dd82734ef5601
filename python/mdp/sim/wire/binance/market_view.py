"""What the markets of one family traded, as its tickers tell it."""

from __future__ import annotations

from dataclasses import dataclass

from mdp.sim.market import Market
from mdp.sim.tape import Tape
from mdp.sim.wire.binance.derivatives import Derivative
from mdp.sim.wire.binance.wording import Statistics, Wording, average_e8, price_e8_text

_DAY_S = 86_400
_AVERAGE_S = 300


@dataclass(frozen=True)
class MarketView:
    """What the routes and streams tell about: markets, what they traded, and the words for it.

    Attributes
    ----------
    markets : dict of str to Market
    tapes : dict of str to Tape
    derivatives : dict of str to Derivative
        Empty on spot.
    wording : Wording
    """

    markets: dict[str, Market]
    tapes: dict[str, Tape]
    derivatives: dict[str, Derivative]
    wording: Wording

    def statistics(self, symbol: str, now_us: int, since_s: int, opened_us: int) -> Statistics:
        """Return the ticker of a symbol over a window that begins at the minute of `since_s`."""
        tape, market = self.tapes[symbol], self.markets[symbol]
        return Statistics(
            market.instrument,
            tape.window(since_s),
            opened_us,
            now_us,
            tape.close_before(since_s),
            tape.trades[-1][0].lots if tape.trades else 0,
            market.top(),
        )

    def day(self, symbol: str, now_us: int) -> Statistics:
        """Return the ticker of the last 24 hours."""
        return self.statistics(symbol, now_us, now_us // 1_000_000 - _DAY_S, now_us - _DAY_S * 1_000_000)

    def rolling(self, symbol: str, now_us: int, window_s: int) -> Statistics:
        """Return the ticker of a window that begins at a whole minute: ``ticker``, ``@ticker_1h``."""
        since_s = (now_us // 1_000_000 - window_s) // 60 * 60
        return self.statistics(symbol, now_us, since_s, since_s * 1_000_000)

    def average(self, symbol: str, now_us: int) -> tuple[str, int]:
        """Return the mean price of the last five minutes, and the time of the last trade.

        Without a trade in that time it is the last price.
        """
        tape = self.tapes[symbol]
        spec = tape.instrument
        if not tape.trades:
            return spec.price_text(0), 0
        last, time_us = tape.trades[-1]
        bar = tape.window(now_us // 1_000_000 - _AVERAGE_S, seconds=True)
        if bar is None:
            return spec.price_text(last.price_ticks), time_us
        return price_e8_text(spec, average_e8(spec, bar)), time_us
