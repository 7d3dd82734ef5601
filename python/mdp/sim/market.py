"""Synthetic market with a ground truth: one seeded, deterministic order book per symbol.

Everything is an integer: prices count ticks, quantities count lots, and both convert to the venue's eight
decimals without rounding. Every single change of a level takes the next update id, as the venue does, and
is kept in a bounded history, so the book at any recent update id can be rebuilt exactly.
"""

from __future__ import annotations

import heapq
import random
from array import array
from bisect import bisect_left, insort
from collections import deque
from dataclasses import dataclass
from typing import NamedTuple

BID = 0
ASK = 1

E8 = 100_000_000
_SEGMENT_CHANGES = 4096
_DEFAULT_HISTORY = 65_536

Levels = list[tuple[int, int]]
"""Pairs of price in ticks and quantity in lots, best first."""


def text_e8(value: int) -> str:
    """Format a count of 1e-8 units as the venue does: always eight decimals."""
    return f"{value // E8}.{value % E8:08d}"


@dataclass(frozen=True)
class Instrument:
    """One symbol, and the numbers that give its book a realistic shape.

    Attributes
    ----------
    symbol, base, quote : str
        Venue symbol and its two assets.
    tick_e8, lot_e8 : int
        Price tick and quantity step in units of 1e-8.
    start_ticks : int
        First best bid, in ticks.
    spacing_ticks : int
        Typical distance of neighbouring levels near the top.
    typical_lots : int
        Mean quantity of a level.
    levels : int
        Levels a side the book hovers around.
    """

    symbol: str
    base: str
    quote: str
    tick_e8: int
    lot_e8: int
    start_ticks: int
    spacing_ticks: int
    typical_lots: int
    levels: int

    def price_text(self, ticks: int) -> str:
        """Return a price as the venue writes it."""
        return text_e8(ticks * self.tick_e8)

    def quantity_text(self, lots: int) -> str:
        """Return a quantity as the venue writes it."""
        return text_e8(lots * self.lot_e8)


BUILT_IN: tuple[Instrument, ...] = (
    Instrument("BTCUSDT", "BTC", "USDT", 1_000_000, 1_000, 6_183_763, 40, 30_000, 1_400),
    Instrument("ETHUSDT", "ETH", "USDT", 1_000_000, 10_000, 265_432, 8, 20_000, 1_200),
    Instrument("BNBUSDT", "BNB", "USDT", 1_000_000, 100_000, 51_234, 5, 3_000, 900),
    Instrument("SOLUSDT", "SOL", "USDT", 1_000_000, 100_000, 15_432, 2, 40_000, 900),
    Instrument("XRPUSDT", "XRP", "USDT", 10_000, 100_000_000, 6_123, 1, 2_500, 800),
    Instrument("ADAUSDT", "ADA", "USDT", 10_000, 10_000_000, 4_512, 1, 30_000, 600),
    Instrument("DOGEUSDT", "DOGE", "USDT", 1_000, 100_000_000, 12_345, 2, 9_000, 1_000),
    Instrument("1000SATSUSDT", "1000SATS", "USDT", 10, 100_000_000, 2_835, 1, 400_000, 500),
    Instrument("LTCUSDT", "LTC", "USDT", 1_000_000, 100_000, 6_789, 1, 8_000, 500),
    Instrument("LINKUSDT", "LINK", "USDT", 100_000, 1_000_000, 11_231, 2, 9_000, 700),
    Instrument("DOTUSDT", "DOT", "USDT", 100_000, 1_000_000, 43_495, 6, 9_000, 700),
    Instrument("AVAXUSDT", "AVAX", "USDT", 1_000_000, 1_000_000, 2_345, 1, 6_000, 400),
    Instrument("TRXUSDT", "TRX", "USDT", 10_000, 10_000_000, 1_301, 1, 60_000, 300),
    Instrument("ETHBTC", "ETH", "BTC", 1_000, 10_000, 4_292, 1, 15_000, 600),
    Instrument("SOLBTC", "SOL", "BTC", 100, 1_000_000, 24_956, 3, 900, 500),
    Instrument("BTCEUR", "BTC", "EUR", 1_000_000, 1_000, 5_662_310, 60, 20_000, 800),
)
"""Symbols that exist without configuration, most liquid first."""


def select_instruments(wanted: list[str] | int | None = None) -> list[Instrument]:
    """Choose instruments by name or number.

    Parameters
    ----------
    wanted : list of str, int or None
        Symbols (upper case), or how many; a number beyond the built-in ones adds made-up symbols
        (``T016USDT``, ...) for load runs. None takes the first eight.

    Raises
    ------
    ValueError
        If a symbol is unknown or the number is not positive.
    """
    if wanted is None:
        wanted = 8
    if isinstance(wanted, int):
        if wanted < 1:
            raise ValueError(f"number of symbols must be positive, not {wanted}")
        chosen = list(BUILT_IN[:wanted])
        for index in range(len(chosen), wanted):
            chosen.append(
                Instrument(
                    f"T{index:03d}USDT", f"T{index:03d}", "USDT", 10_000, 1_000_000, 20_000, 3, 9_000, 400
                )
            )
        return chosen
    known = {instrument.symbol: instrument for instrument in BUILT_IN}
    missing = [symbol for symbol in wanted if symbol not in known]
    if missing:
        raise ValueError(f"unknown symbols {', '.join(missing)}; built in: {', '.join(known)}")
    return [known[symbol] for symbol in dict.fromkeys(wanted)]


class Top(NamedTuple):
    """Best bid or ask changed, by price or by quantity, with the update id of that change."""

    update_id: int
    bid_ticks: int
    bid_lots: int
    ask_ticks: int
    ask_lots: int


class Trade(NamedTuple):
    """One fill against one resting order."""

    trade_id: int
    price_ticks: int
    lots: int
    buyer_is_maker: bool
    update_id: int


class AggTrade(NamedTuple):
    """The fills of one taker order at one price."""

    agg_id: int
    price_ticks: int
    lots: int
    first_trade_id: int
    last_trade_id: int
    buyer_is_maker: bool


MarketEvent = Top | Trade | AggTrade


class _Segment:
    """A checkpoint of the book and the changes that follow it.

    Asks are stored with a negative price: a change is then two machine words, and a minute of history
    of a busy symbol stays below a megabyte.
    """

    __slots__ = ("asks", "base_id", "bids", "prices", "quantities")

    def __init__(self, base_id: int, bids: dict[int, int], asks: dict[int, int]) -> None:
        self.base_id = base_id
        self.bids = bids
        self.asks = asks
        self.prices = array("q")
        self.quantities = array("q")


class OutsideHistoryError(LookupError):
    """The update id asked for is older than the history or has not happened yet."""


class Market:
    """Order book of one symbol that moves by itself.

    Not safe for threads; the sim drives it from its event loop. Two markets made with the same arguments
    that are advanced by the same number of events are identical, whatever the sizes of the steps.

    Parameters
    ----------
    instrument : Instrument
        What is traded.
    seed : int
        Seed of the sim; the symbol is mixed in, so books differ from each other.
    history_changes : int
        Update ids that can be asked back, at least.
    """

    def __init__(
        self, instrument: Instrument, seed: int = 1, history_changes: int = _DEFAULT_HISTORY
    ) -> None:
        self.instrument = instrument
        rng = random.Random(f"{seed}:{instrument.symbol}")
        self._random = rng.random
        self.bids: dict[int, int] = {}
        self.asks: dict[int, int] = {}
        # Ascending both, so the best bid is at the back and the best ask at the front.
        self._bid_prices: list[int] = []
        self._ask_prices: list[int] = []
        self._fair = instrument.start_ticks
        self._out: list[MarketEvent] = []
        self.update_id = 10_000_000_000 + self._below(50_000_000_000)
        self._trade_id = 100_000_000 + self._below(3_000_000_000)
        self._agg_id = 50_000_000 + self._below(1_000_000_000)
        self._fill_book()
        self._segments: deque[_Segment] = deque(maxlen=history_changes // _SEGMENT_CHANGES + 2)
        self._open_segment()

    # ------------------------------------------------------------------ reading

    def top(self) -> Top:
        """Return the best levels at the current update id."""
        bid = self._bid_prices[-1]
        ask = self._ask_prices[0]
        return Top(self.update_id, bid, self.bids[bid], ask, self.asks[ask])

    def depth(self, limit: int) -> tuple[Levels, Levels]:
        """Return up to `limit` levels a side of the current book, best first."""
        bids = [(price, self.bids[price]) for price in self._bid_prices[: -limit - 1 : -1]]
        asks = [(price, self.asks[price]) for price in self._ask_prices[:limit]]
        return bids, asks

    @property
    def oldest_update_id(self) -> int:
        """Oldest update id whose book can still be rebuilt."""
        return self._segments[0].base_id

    def depth_at(self, update_id: int, limit: int) -> tuple[Levels, Levels]:
        """Return up to `limit` levels a side, best first, of the book as it was at `update_id`.

        Raises
        ------
        OutsideHistoryError
            If that book is no longer, or not yet, known.
        """
        oldest = self.oldest_update_id
        if not oldest <= update_id <= self.update_id:
            raise OutsideHistoryError(
                f"update id {update_id} is outside the history {oldest}..{self.update_id}"
            )
        index = max(0, (update_id - oldest - 1) // _SEGMENT_CHANGES)
        segment = self._segments[index]
        bids = dict(segment.bids)
        asks = dict(segment.asks)
        count = update_id - segment.base_id
        for price, quantity in zip(segment.prices[:count], segment.quantities[:count], strict=True):
            side = bids if price > 0 else asks
            if quantity:
                side[abs(price)] = quantity
            else:
                del side[abs(price)]
        return (
            [(price, bids[price]) for price in heapq.nlargest(limit, bids)],
            [(price, asks[price]) for price in heapq.nsmallest(limit, asks)],
        )

    def batch(self, since_id: int) -> tuple[Levels, Levels]:
        """Return the levels touched after `since_id` with their present quantity (0 = gone), best first.

        This is what the venue puts into one depth frame ``since_id + 1 .. update_id``. A level that came and
        went within the batch is listed as removed although a client never saw it; the venue does the same.
        """
        touched: set[int] = set()
        for segment in reversed(self._segments):
            touched.update(segment.prices[max(0, since_id - segment.base_id) :])
            if segment.base_id <= since_id:
                break
        bids = [
            (price, self.bids.get(price, 0)) for price in sorted((p for p in touched if p > 0), reverse=True)
        ]
        asks = [(price, self.asks.get(price, 0)) for price in sorted(-p for p in touched if p < 0)]
        return bids, asks

    # ------------------------------------------------------------------ moving

    def advance(self, events: int) -> list[MarketEvent]:
        """Let `events` things happen and return what a real-time stream would say about them, in order."""
        out: list[MarketEvent] = []
        self._out = out
        for _ in range(events):
            self._step()
        return out

    def burst(self, levels: int) -> list[MarketEvent]:
        """Change about `levels` distinct levels at once, away from the top, as a liquidation cascade would.

        The changes are ordinary ones, with update ids and history: a frame that carries them is large
        and true.
        """
        out: list[MarketEvent] = []
        self._out = out
        for side, prices in ((BID, self._bid_prices), (ASK, self._ask_prices)):
            price = prices[len(prices) // 2]
            for _ in range(levels // 2):
                price += -1 if side == BID else 1
                if price < 1:
                    break
                self._set(side, price, self._lots())
        return out

    def _below(self, bound: int) -> int:
        return int(self._random() * bound)

    def _lots(self) -> int:
        # The product of two uniforms has many small values and a long tail, like real level sizes.
        return 1 + int(self._random() * self._random() * 4 * self.instrument.typical_lots)

    def _fill_book(self) -> None:
        spec = self.instrument
        for side in (BID, ASK):
            price = spec.start_ticks + side
            book = self.asks if side == ASK else self.bids
            for index in range(spec.levels):
                book[price] = self._lots()
                gap = 1 + self._below(2 * spec.spacing_ticks - 1) * (1 + index // 200)
                price += gap if side == ASK else -gap
                if price < 1:
                    break
        self._bid_prices = sorted(self.bids)
        self._ask_prices = sorted(self.asks)

    def _open_segment(self) -> None:
        self._segment = _Segment(self.update_id, dict(self.bids), dict(self.asks))
        self._segments.append(self._segment)

    def _set(self, side: int, price: int, lots: int) -> None:
        """Apply one change of one level; the only place where the book changes."""
        book, prices = (self.bids, self._bid_prices) if side == BID else (self.asks, self._ask_prices)
        old_best = prices[-1] if side == BID else prices[0]
        if lots:
            if price not in book:
                insort(prices, price)
            book[price] = lots
        else:
            del book[price]
            del prices[bisect_left(prices, price)]
        self.update_id += 1
        segment = self._segment
        segment.prices.append(price if side == BID else -price)
        segment.quantities.append(lots)
        if len(segment.prices) == _SEGMENT_CHANGES:
            self._open_segment()
        if price == old_best or (prices[-1] if side == BID else prices[0]) != old_best:
            self._out.append(self.top())

    def _step(self) -> None:
        spec = self.instrument
        best_bid = self._bid_prices[-1]
        best_ask = self._ask_prices[0]
        roll = self._below(128)
        if roll < 16:  # the fair price is a bounded random walk; the book follows it below
            move = self._below(2 * spec.spacing_ticks + 1) - spec.spacing_ticks
            if abs(self._fair + move - spec.start_ticks) < spec.start_ticks // 4:
                self._fair += move
        lean = 2 * self._fair - best_bid - best_ask
        rising = lean > 0 if self._below(4) else self._below(2) == 0

        if best_ask - best_bid > 2 * spec.spacing_ticks + 1:
            self._improve(BID if rising else ASK, best_bid, best_ask)
            return
        if self._below(128) < 6:
            self._trade(ASK if rising else BID)
            return
        kind = self._below(100)
        if kind < 42:
            self._change(self._below(2), near=True)
        elif kind < 62:
            side = self._below(2)
            if best_ask - best_bid > 1 and self._below(3) == 0:
                self._improve(BID if rising else ASK, best_bid, best_ask)
            else:
                self._add(side, near=True)
        elif kind < 80:
            self._remove((ASK if rising else BID) if self._below(3) else self._below(2), near=True)
        elif kind < 87:
            self._change(self._below(2), near=False)
        elif kind < 94:
            self._add(self._below(2), near=False)
        else:
            self._remove(self._below(2), near=False)

    def _pick(self, side: int, *, near: bool) -> int:
        """Return the price of a level: usually within the first thirty, or anywhere."""
        prices = self._bid_prices if side == BID else self._ask_prices
        count = len(prices)
        index = min(int(self._random() * self._random() * 30), count - 1) if near else self._below(count)
        return prices[-1 - index] if side == BID else prices[index]

    def _change(self, side: int, *, near: bool) -> None:
        price = self._pick(side, near=near)
        book = self.bids if side == BID else self.asks
        lots = self._lots()
        # Writing the quantity that already stands would be an update id without a change.
        self._set(side, price, lots if lots != book[price] else lots + 1)

    def _add(self, side: int, *, near: bool) -> None:
        book = self.bids if side == BID else self.asks
        if len(book) > self.instrument.levels * 5 // 4:
            self._remove(side, near=False)
            return
        away = -1 if side == BID else 1
        price = self._pick(side, near=near) + away * (1 + self._below(2 * self.instrument.spacing_ticks))
        if price < 1 or price in book:
            self._change(side, near=near)
        else:
            self._set(side, price, self._lots())

    def _remove(self, side: int, *, near: bool) -> None:
        book = self.bids if side == BID else self.asks
        if len(book) < self.instrument.levels * 3 // 4:
            self._add(side, near=near)
        else:
            self._set(side, self._pick(side, near=near), 0)

    def _improve(self, side: int, best_bid: int, best_ask: int) -> None:
        """Add a level inside the spread, which must be wider than one tick."""
        step = 1 + self._below(min(best_ask - best_bid - 1, 2 * self.instrument.spacing_ticks))
        self._set(side, best_bid + step if side == BID else best_ask - step, self._lots())

    def _trade(self, side: int) -> None:
        """Let a taker eat into `side`: every fill is one trade and one change of the level it hit."""
        book, prices = (self.bids, self._bid_prices) if side == BID else (self.asks, self._ask_prices)
        remaining = 1 + self._lots() // 2
        for _ in range(5):
            if not remaining or len(book) < self.instrument.levels // 2:
                break
            price = prices[-1] if side == BID else prices[0]
            take = min(remaining, book[price])
            remaining -= take
            first_id = self._trade_id + 1
            parts = (take // 3, take - take // 3) if take >= 3 and self._below(4) == 0 else (take,)
            for lots in parts:
                self._trade_id += 1
                self._out.append(Trade(self._trade_id, price, lots, side == BID, self.update_id + 1))
                self._set(side, price, book[price] - lots)
            self._agg_id += 1
            self._out.append(AggTrade(self._agg_id, price, take, first_id, self._trade_id, side == BID))
