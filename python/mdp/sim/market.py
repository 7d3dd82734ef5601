"""Synthetic market with a ground truth: one seeded, deterministic order book per symbol.

Everything is an integer: prices count ticks, quantities count lots, and both convert to the venue's decimals
without rounding. Every single change of a level takes an update id and is kept in a bounded history, so the
book at any recent update id can be rebuilt exactly.
"""

from __future__ import annotations

import heapq
import random
from array import array
from bisect import bisect_left, bisect_right, insort
from collections import deque
from typing import NamedTuple

from mdp.sim.instruments import Instrument

BID = 0
ASK = 1

_SEGMENT_CHANGES = 4096
_DEFAULT_HISTORY = 65_536

Levels = list[tuple[int, int]]
"""Pairs of price in ticks and quantity in lots, best first."""


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


class AggregateTrade(NamedTuple):
    """The fills of one taker order at one price."""

    agg_id: int
    price_ticks: int
    lots: int
    first_trade_id: int
    last_trade_id: int
    buyer_is_maker: bool


MarketEvent = Top | Trade | AggregateTrade


class _Segment:
    """A checkpoint of the book and the changes that follow it.

    Asks are stored with a negative price: a change is then two machine words, and a minute of history
    of a busy symbol stays below a megabyte. Where ids skip, they are a third.
    """

    __slots__ = ("asks", "base_id", "bids", "ids", "prices", "quantities")

    def __init__(self, base_id: int, bids: dict[int, int], asks: dict[int, int]) -> None:
        self.base_id = base_id
        self.bids = bids
        self.asks = asks
        self.prices = array("q")
        self.quantities = array("q")
        self.ids = array("q")

    def count_until(self, update_id: int) -> int:
        """Return how many changes have an id up to `update_id`."""
        if self.ids:
            return bisect_right(self.ids, update_id)
        return min(max(0, update_id - self.base_id), len(self.prices))


class OutsideHistoryError(LookupError):
    """The update id asked for is older than the history or has not happened yet."""


class SharedIds(NamedTuple):
    """How a symbol takes update ids from a counter that all symbols of the venue share.

    A symbol takes every `stride`-th id or a later one, beginning at its own `offset`: ids skip ahead, no two
    symbols ever have the same, and yet each book depends on its own seed alone.
    """

    base: int
    stride: int
    offset: int


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
        Changes that can be asked back, at least.
    shared_ids : SharedIds or None
        None numbers the changes one by one, as the spot venue does.

    Attributes
    ----------
    update_id : int
        Id of the newest change.
    changes : int
        Changes since the start.
    """

    def __init__(
        self,
        instrument: Instrument,
        seed: int = 1,
        history_changes: int = _DEFAULT_HISTORY,
        shared_ids: SharedIds | None = None,
    ) -> None:
        self.instrument = instrument
        self.changes = 0
        self._shared_ids = shared_ids
        rng = random.Random(f"{seed}:{instrument.symbol}")
        self._random = rng.random
        self.bids: dict[int, int] = {}
        self.asks: dict[int, int] = {}
        # Ascending both, so the best bid is at the back and the best ask at the front.
        self._bid_prices: list[int] = []
        self._ask_prices: list[int] = []
        self._fair = self._home = instrument.start_ticks
        self._out: list[MarketEvent] = []
        self.update_id = 10_000_000_000 + self._below(50_000_000_000)
        self._trade_id = 100_000_000 + self._below(3_000_000_000)
        self._agg_id = 50_000_000 + self._below(1_000_000_000)
        # A generator of its own: the book is the same whether ids skip or not.
        self._skip = random.Random(f"ids:{seed}:{instrument.symbol}").random
        if shared_ids is not None:
            self.update_id = shared_ids.base + shared_ids.offset
        self._next_id = self._id_after(self.update_id)
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
        segment = next(segment for segment in reversed(self._segments) if segment.base_id <= update_id)
        bids = dict(segment.bids)
        asks = dict(segment.asks)
        count = segment.count_until(update_id)
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

        This is what the venue puts into one depth frame ``first_id_after(since_id) .. update_id``. A level
        that came and went within the batch is listed as removed although a client never saw it; the venue
        does the same.
        """
        touched: set[int] = set()
        for segment in reversed(self._segments):
            touched.update(segment.prices[segment.count_until(since_id) :])
            if segment.base_id <= since_id:
                break
        bids = [
            (price, self.bids.get(price, 0)) for price in sorted((p for p in touched if p > 0), reverse=True)
        ]
        asks = [(price, self.asks.get(price, 0)) for price in sorted(-p for p in touched if p < 0)]
        return bids, asks

    def first_id_after(self, since_id: int) -> int:
        """Return the id of the first change after `since_id`, which is in the history and not the newest."""
        if self._shared_ids is None:
            return since_id + 1
        first = self.update_id
        for segment in reversed(self._segments):
            at = segment.count_until(since_id)
            if at < len(segment.ids):
                first = segment.ids[at]
            if segment.base_id <= since_id:
                break
        return first

    def id_before(self, changes: int) -> int:
        """Return the id that was the newest `changes` changes ago, or the oldest of the history."""
        if self._shared_ids is None:
            return max(self.update_id - changes, self.oldest_update_id)
        for segment in reversed(self._segments):
            if changes < len(segment.ids):
                return segment.ids[-1 - changes]
            changes -= len(segment.ids)
        return self.oldest_update_id

    def changes_at(self, update_id: int) -> int:
        """Return how many changes there were from the start up to `update_id`, which is in the history."""
        after = 0
        for segment in reversed(self._segments):
            after += len(segment.prices) - segment.count_until(update_id)
            if segment.base_id <= update_id:
                break
        return self.changes - after

    # ------------------------------------------------------------------ moving

    def advance(self, events: int) -> list[MarketEvent]:
        """Let `events` things happen and return what a real-time stream would say about them, in order."""
        out: list[MarketEvent] = []
        self._out = out
        for _ in range(events):
            self._step()
        return out

    def lean(self, ticks: int) -> None:
        """Move the fair price: the book runs after it, up or down, through the levels that are in its way."""
        spec = self.instrument
        self._fair = max(self._fair + ticks, spec.levels * spec.spacing_ticks)
        self._home = self._fair

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

    def begin_ids_anew(self, back: int = 0) -> None:
        """Begin with id 1 again, or `back` changes below the present one, as a venue that restarts may.

        The book stays as it is. What it was at the ids of before is forgotten, for they may come again.
        """
        shared = self._shared_ids
        stride = shared.stride if shared else 1
        first = stride + shared.offset if shared else 1
        self.update_id = max(first, self.update_id - back * stride) if back else first
        self._next_id = self._id_after(self.update_id)
        self._trade_id = max(0, self._trade_id - back) if back else 0
        self._agg_id = max(0, self._agg_id - back) if back else 0
        self._segments.clear()
        self._open_segment()

    def take_trade_id(self) -> int:
        """Take the next trade id, for a trade that touches no level."""
        self._trade_id += 1
        return self._trade_id

    def _id_after(self, update_id: int) -> int:
        shared = self._shared_ids
        return update_id + 1 if shared is None else update_id + shared.stride * (1 + int(self._skip() * 3))

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
        self.update_id = self._next_id
        self._next_id = self._id_after(self.update_id)
        self.changes += 1
        segment = self._segment
        if self._shared_ids is not None:
            segment.ids.append(self.update_id)
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
            if abs(self._fair + move - self._home) < spec.start_ticks // 4:
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
                self._out.append(Trade(self._trade_id, price, lots, side == BID, self._next_id))
                self._set(side, price, book[price] - lots)
            self._agg_id += 1
            self._out.append(AggregateTrade(self._agg_id, price, take, first_id, self._trade_id, side == BID))
