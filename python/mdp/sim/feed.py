"""What the server needs of a source of market data, and the synthetic one."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from fnmatch import fnmatchcase
from typing import Any, Protocol

from mdp.sim.hub import Hub
from mdp.sim.market import Market
from mdp.sim.options import SimOptions
from mdp.sim.wire.protocol import Wire


class Feed(Protocol):
    """A source of frames and snapshots: the synthetic market or a recorded session."""

    symbols: list[str]

    async def run(self) -> None:
        """Publish to the hub until cancelled."""

    def instrument_list(self, symbols: list[str] | None) -> str:
        """Return the instrument list, all or some of it."""

    async def snapshot(self, symbol: str, limit: int, stale_updates: int, wrong_updates: int) -> str:
        """Return a snapshot body, raise `mdp.sim.wire.protocol.RestError` where there is none.

        `stale_updates` gives the book of so many changes ago; `wrong_updates` does too, under the id of now.
        """

    def updates(self, symbol: str) -> int:
        """Return how often a symbol has changed since the start, as triggers of faults count."""

    def truth(self, symbol: str, update_id: int | None, depth: int) -> dict[str, Any]:
        """Return the book at an update id (None: now), raise LookupError where it is not known."""

    def burst(self, symbol_pattern: str, levels: int) -> int:
        """Change many levels at once; return the number of symbols concerned."""

    def begin_ids_anew(self, symbol_pattern: str, back: int) -> int:
        """Let ids begin with 1 again, or `back` changes below; return the number of symbols concerned."""

    def status(self) -> dict[str, Any]:
        """Return what `GET /sim/status` shows of this feed."""


class _Timer:
    """Something that is published at an interval."""

    def __init__(self, interval_s: float, publish: Callable[[], None], offset_s: float = 0.0) -> None:
        self._interval_s = interval_s
        self._publish = publish
        self._offset_s = offset_s
        self._due = 0.0

    def start(self, now: float) -> None:
        self._due = now + self._interval_s + self._offset_s

    def run(self, now: float) -> None:
        if now >= self._due:
            self._publish()
            self._due += self._interval_s * (1 + (now - self._due) // self._interval_s)


class SyntheticFeed:
    """Drives one `Market` per symbol of a family in real time; its publisher tells of them.

    Attributes
    ----------
    markets : dict of str to Market
    symbols : list of str
    publisher : Publisher
        What the family's streams and routes say of the markets.
    """

    def __init__(self, options: SimOptions, hub: Hub, family: Wire) -> None:
        self._options = options
        self._hub = hub
        self._family = family
        history = max(options.history_changes, int(options.rate * 90))
        instruments = family.instruments(options.symbols)
        # One more than there are symbols: as on the venue, some ids belong to contracts not listed here.
        stride = len(instruments) + 1
        self.markets = {
            item.symbol: Market(item, options.seed, history, family.shared_ids(stride, index))
            for index, item in enumerate(instruments)
        }
        self.symbols = list(self.markets)
        self.publisher = family.publisher(options, hub, self.markets)
        hub.serves = self.publisher.serves
        self._timers = [_Timer(*timer) for timer in self.publisher.timers()]

    async def run(self) -> None:
        """Move the markets on and publish, until cancelled."""
        options = self._options
        loop = asyncio.get_running_loop()
        tick = options.tick_ms / 1000
        now = next_tick = loop.time()
        for timer in self._timers:
            timer.start(now)
        debt = 0.0
        while True:
            # A starved process does not catch up on more than a quarter second: it would only starve on.
            debt += min(loop.time() - now, 0.25) * options.rate
            now = loop.time()
            events = int(debt)
            debt -= events
            if events:
                for symbol in self.symbols:
                    self.advance(symbol, events)
            for timer in self._timers:
                timer.run(now)
            self._hub.flush()
            next_tick = max(next_tick + tick, loop.time())
            await asyncio.sleep(next_tick - loop.time())

    def advance(self, symbol: str, events: int) -> None:
        """Let `events` things happen to a symbol and publish its real-time streams; depth has its timers."""
        market = self.markets[symbol]
        faults = self._hub.faults
        moved_us = time.time_ns() // 1000
        # One by one only while a fault waits for this symbol: it is then armed at the very update it names.
        while events and faults.any_waits and faults.waits("update", self._family.name, symbol):
            self.publisher.publish_events(market, market.advance(1), moved_us)
            events -= 1
            faults.happened("update", self._family.name, market.changes, symbol)
        if events:
            self.publisher.publish_events(market, market.advance(events), moved_us)

    # ------------------------------------------------------------------ Feed

    def instrument_list(self, symbols: list[str] | None) -> str:
        """Return the instrument list, all or some of it."""
        specs = [self.markets[symbol].instrument for symbol in (self.symbols if symbols is None else symbols)]
        return self._family.instrument_list(self._options.weight_of(self._family), specs)

    async def snapshot(self, symbol: str, limit: int, stale_updates: int, wrong_updates: int) -> str:
        """Return the book now, or as it was some changes ago, as far as history reaches."""
        market = self.markets[symbol]
        update_id = market.id_before(stale_updates) if stale_updates else market.update_id
        of_id = market.id_before(wrong_updates) if wrong_updates else update_id
        levels = market.depth(limit) if of_id == market.update_id else market.depth_at(of_id, limit)
        return self.publisher.snapshot(market, update_id, *levels)

    def updates(self, symbol: str) -> int:
        """Return how often the book of a symbol has changed since the start."""
        return self.markets[symbol].changes

    def truth(self, symbol: str, update_id: int | None, depth: int) -> dict[str, Any]:
        """Return the book at an update id (None: now)."""
        market = self.markets[symbol]
        at = market.update_id if update_id is None else update_id
        bids, asks = market.depth_at(at, depth)
        spec = market.instrument
        return {
            "symbol": symbol,
            "updateId": at,
            "changes": market.changes_at(at),
            "bids": [[spec.price_text(price), spec.quantity_text(lots)] for price, lots in bids],
            "asks": [[spec.price_text(price), spec.quantity_text(lots)] for price, lots in asks],
        }

    def burst(self, symbol_pattern: str, levels: int) -> int:
        """Change many levels of the matching symbols at once."""
        chosen = [m for symbol, m in self.markets.items() if fnmatchcase(symbol, symbol_pattern)]
        moved_us = time.time_ns() // 1000
        for market in chosen:
            self.publisher.publish_events(market, market.burst(levels), moved_us)
            symbol = market.instrument.symbol
            self._hub.faults.happened("update", self._family.name, market.changes, symbol)
        return len(chosen)

    def begin_ids_anew(self, symbol_pattern: str, back: int) -> int:
        """Let the ids of the matching symbols begin anew; no depth frame reaches across."""
        chosen = [m for symbol, m in self.markets.items() if fnmatchcase(symbol, symbol_pattern)]
        for market in chosen:
            market.begin_ids_anew(back)
        self.publisher.ids_began_anew(chosen)
        return len(chosen)

    def status(self) -> dict[str, Any]:
        """Return the update ids per symbol."""
        return {
            "replay": None,
            "symbols": {
                symbol: {
                    "updateId": market.update_id,
                    "oldestUpdateId": market.oldest_update_id,
                    "changes": market.changes,
                }
                for symbol, market in self.markets.items()
            },
        }
