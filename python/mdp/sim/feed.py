"""What the server needs of a source of market data, and the synthetic one."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from fnmatch import fnmatchcase
from functools import partial
from typing import Any, Protocol

from mdp.sim import frames, frames_futures
from mdp.sim.derivatives import Derivative
from mdp.sim.families import FAMILIES, Family
from mdp.sim.hub import Hub
from mdp.sim.info import exchange_info
from mdp.sim.instruments import select_instruments
from mdp.sim.market import AggTrade, Levels, Market, MarketEvent, SharedIds, Top, Trade
from mdp.sim.market_view import MarketView
from mdp.sim.options import SimOptions
from mdp.sim.tape import Tape
from mdp.sim.ticker_streams import STREAMS, TickerStreams
from mdp.sim.wording_futures import FuturesWording
from mdp.sim.wording_spot import SpotWording


class Feed(Protocol):
    """A source of frames and snapshots: the synthetic market or a recorded session."""

    symbols: list[str]

    async def run(self) -> None:
        """Publish to the hub until cancelled."""

    def exchange_info(self, symbols: list[str] | None) -> str:
        """Return the instrument list, all or some of it."""

    async def snapshot(self, symbol: str, limit: int, stale_updates: int, wrong_updates: int) -> str:
        """Return a snapshot body, raise `mdp.sim.rest_query.RestError` where there is none.

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


_ALL_TOPS = "!bookTicker"


class _Batcher:
    """Cuts one symbol's changes into the depth frames of one interval and one phase."""

    __slots__ = ("last_id", "market", "partials", "stream")

    def __init__(self, market: Market, suffix: str) -> None:
        name = market.instrument.symbol.lower()
        self.market = market
        self.stream = f"{name}@depth{suffix}"
        self.partials = [(f"{name}@depth{count}{suffix}", count) for count in (5, 10, 20)]
        self.last_id = market.update_id


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
    """Drives one `Market` per symbol of a family in real time."""

    def __init__(self, options: SimOptions, hub: Hub, family: Family = FAMILIES["binance"]) -> None:
        self._options = options
        self._hub = hub
        self._family = family
        history = max(options.history_changes, int(options.rate * 90))
        instruments = select_instruments(options.symbols, family.name)
        # One more than there are symbols: as on the venue, some ids belong to contracts not listed here.
        stride = len(instruments) + 1
        self.markets = {
            item.symbol: Market(
                item,
                options.seed,
                history,
                SharedIds(family.id_base, stride, index) if family.futures else None,
            )
            for index, item in enumerate(instruments)
        }
        self.symbols = list(self.markets)
        self._style = frames_futures.Style(family.product, options.classic_frames)
        self._derivatives = (
            {symbol: Derivative(market, options.seed) for symbol, market in self.markets.items()}
            if family.futures
            else {}
        )
        self.view = MarketView(
            self.markets,
            {symbol: Tape(market.instrument) for symbol, market in self.markets.items()},
            self._derivatives,
            FuturesWording(self._style) if family.futures else SpotWording(),
        )
        self.tickers = TickerStreams(hub, self.view)
        hub.serves = self.serves
        self._batchers = {
            (suffix, phase): [_Batcher(market, suffix) for market in self.markets.values()]
            for suffix in family.depth_ms
            for phase in range(options.depth_phases)
        }
        self._names = {
            symbol: (f"{symbol.lower()}@bookTicker", f"{symbol.lower()}@trade", f"{symbol.lower()}@aggTrade")
            for symbol in self.symbols
        }
        self._all_tops_ms = STREAMS[family.name].book_tickers_ms
        self._tops_told: dict[str, int] = {}
        self._moved_us = time.time_ns() // 1000
        self._timers = self._make_timers()

    def _make_timers(self) -> list[_Timer]:
        options = self._options
        timers = []
        for suffix, nominal in self._family.depth_ms.items():
            slow = nominal >= 1000  # spot's alone, by either of its two names
            interval = options.slow_depth_interval_ms if slow else options.depth_interval_ms * nominal / 100
            for phase in range(options.depth_phases):
                timers.append(
                    _Timer(
                        interval / 1000,
                        partial(self.publish_depth, suffix, phase),
                        interval / 1000 * phase / options.depth_phases,
                    )
                )
        if self._family.futures:
            mark = options.mark_interval_ms / 1000
            timers += [
                _Timer(mark, lambda: self.publish_marks("@markPrice@1s")),
                _Timer(3 * mark, lambda: self.publish_marks("@markPrice")),
                _Timer(mark, self.publish_liquidations),
            ]
        ratio = options.ticker_interval_ms / 1000
        timers += [
            _Timer(interval_ms * ratio / 1000, publish) for interval_ms, publish in self.tickers.timers()
        ]
        if self._all_tops_ms:
            timers.append(_Timer(self._all_tops_ms * ratio / 1000, self.publish_tops))
        return timers

    def serves(self, stream: str) -> bool:
        """Return whether there will ever be frames of a stream, given that its symbol moves."""
        if self.tickers.serves(stream):
            return True
        symbol, _, kind = stream.partition("@")
        if not symbol.startswith("!"):
            kinds = ["bookTicker", "trade", "aggTrade"]
            if self._family.futures:
                kinds += ["markPrice", "markPrice@1s", "forceOrder"]
            kinds += [
                f"depth{levels}{suffix}" for levels in ("", 5, 10, 20) for suffix in self._family.depth_ms
            ]
            return kind in kinds and symbol == symbol.lower() and symbol.upper() in self.markets
        every = ["!markPrice@arr", "!markPrice@arr@1s", "!forceOrder@arr"] if self._family.futures else []
        if self._all_tops_ms is not None:
            every.append(_ALL_TOPS)
        return stream in every

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

    # ------------------------------------------------------------------ publishing

    def advance(self, symbol: str, events: int) -> None:
        """Let `events` things happen to a symbol and publish its real-time streams; depth has its timers."""
        market = self.markets[symbol]
        faults = self._hub.faults
        self._moved_us = time.time_ns() // 1000
        # One by one only while a fault waits for this symbol: it is then armed at the very update it names.
        while events and faults.any_waits and faults.waits("update", self._family.name, symbol):
            self._publish_events(market, market.advance(1))
            events -= 1
            faults.happened("update", self._family.name, market.changes, symbol)
        if events:
            self._publish_events(market, market.advance(events))

    def _publish_events(self, market: Market, events: list[MarketEvent]) -> None:
        symbol = market.instrument.symbol
        derivative = self._derivatives.get(symbol)
        tape = self.view.tapes[symbol]
        ticker, trades, agg_trades = self._names[symbol]
        hub = self._hub
        want_ticker, want_trades, want_agg = hub.wanted(ticker), hub.wanted(trades), hub.wanted(agg_trades)
        want_all = self._all_tops_ms == 0 and hub.wanted(_ALL_TOPS)
        times_us = (time.time_ns() // 1000, self._moved_us)
        for event in events:
            if isinstance(event, Top):
                if want_ticker:
                    hub.publish(self._book_ticker(ticker, market, event, times_us))
                if want_all:
                    hub.publish(self._book_ticker(_ALL_TOPS, market, event, times_us))
            elif isinstance(event, AggTrade):
                tape.record_agg(event, self._moved_us)
                if want_agg:
                    hub.publish(self._agg_trade(agg_trades, market, event, times_us))
                insured = derivative.on_fill(event) if derivative else None
                if insured is not None and want_trades:
                    hub.publish(self._trade(trades, market, insured, times_us, "INSURANCE_FUND"))
            else:
                tape.record(event, self._moved_us)
                if want_trades:
                    hub.publish(self._trade(trades, market, event, times_us))

    def _trade(
        self, stream: str, market: Market, event: Trade, times_us: tuple[int, int], origin: str = "MARKET"
    ) -> frames.Frame:
        if self._family.futures:
            return frames_futures.trade(stream, market.instrument, self._style, event, times_us, origin)
        return frames.trade(stream, market.instrument, event, times_us)

    def _book_ticker(self, stream: str, market: Market, top: Top, times_us: tuple[int, int]) -> frames.Frame:
        if self._family.futures:
            return frames_futures.book_ticker(stream, market.instrument, self._style, top, times_us)
        return frames.book_ticker(stream, market.instrument, top)

    def _agg_trade(
        self, stream: str, market: Market, event: AggTrade, times_us: tuple[int, int]
    ) -> frames.Frame:
        if self._family.futures:
            return frames_futures.agg_trade(stream, market.instrument, self._style, event, times_us)
        return frames.agg_trade(stream, market.instrument, event, times_us)

    @property
    def cuts(self) -> list[tuple[str, int]]:
        """Every speed and phase that `publish_depth` knows."""
        return list(self._batchers)

    def publish_depth(self, suffix: str, phase: int = 0) -> None:
        """Cut the depth frames of one speed for the lines of one phase.

        Parameters
        ----------
        suffix : str
            Of ``@depth``: a key of `Family.depth_ms`.
        phase : int
            Below ``depth_phases``.
        """
        hub = self._hub
        phased = phase if self._options.depth_phases > 1 else None
        for batcher in self._batchers[suffix, phase]:
            market = batcher.market
            since_id = batcher.last_id
            if market.update_id == since_id:
                continue
            batcher.last_id = market.update_id
            if hub.wanted(batcher.stream, phased):
                hub.publish(self._depth(batcher.stream, market, since_id, *market.batch(since_id)), phased)
            for stream, count in batcher.partials:
                if hub.wanted(stream, phased):
                    hub.publish(self._partial(stream, market, since_id, *market.depth(count)), phased)

    def _depth(
        self,
        stream: str,
        market: Market,
        since_id: int,
        bids: Levels,
        asks: Levels,
        *,
        partial: bool = False,
    ) -> frames.Frame:
        first_id = market.first_id_after(since_id)
        now_us = time.time_ns() // 1000
        spec, top = market.instrument, market.top()
        if self._family.futures:
            return frames_futures.depth_update(
                stream,
                spec,
                self._style,
                (first_id, since_id),
                top,
                bids,
                asks,
                (now_us, self._moved_us),
                partial=partial,
            )
        return frames.depth_update(stream, spec, first_id, top, bids, asks, now_us)

    def _partial(
        self, stream: str, market: Market, since_id: int, bids: Levels, asks: Levels
    ) -> frames.Frame:
        if self._family.futures:  # where partial books look like deltas
            return self._depth(stream, market, since_id, bids, asks, partial=True)
        return frames.partial_depth(stream, market.instrument, market.update_id, bids, asks)

    def publish_marks(self, suffix: str) -> None:
        """Publish the mark prices of each contract, and of all in an array.

        Parameters
        ----------
        suffix : str
            ``@markPrice`` or ``@markPrice@1s``.
        """
        now_us = time.time_ns() // 1000
        every = "!markPrice@arr" + suffix.removeprefix("@markPrice")
        want_all = self._hub.wanted(every)
        marks = []
        for symbol, derivative in self._derivatives.items():
            stream = symbol.lower() + suffix
            if want_all or self._hub.wanted(stream):
                spec = derivative.market.instrument
                event = derivative.mark(now_us)
                mark = frames_futures.mark_price(stream, spec, self._style, event, now_us)
                self._hub.publish(mark)
                marks.append(mark)
        if want_all:
            self._hub.publish(frames.Frame.array(every, marks))

    def publish_tops(self) -> None:
        """Publish the best bid and ask of every book that has changed on ``!bookTicker``."""
        if not self._hub.wanted(_ALL_TOPS):
            return
        times_us = (time.time_ns() // 1000, self._moved_us)
        for symbol, market in self.markets.items():
            if self._tops_told.get(symbol) != market.update_id:
                self._tops_told[symbol] = market.update_id
                self._hub.publish(self._book_ticker(_ALL_TOPS, market, market.top(), times_us))

    def publish_liquidations(self) -> None:
        """Publish the newest liquidation of each contract that had one since the last time."""
        now_us = time.time_ns() // 1000
        for symbol, derivative in self._derivatives.items():
            event, derivative.liquidation = derivative.liquidation, None
            if event is None:
                continue
            for stream in (f"{symbol.lower()}@forceOrder", "!forceOrder@arr"):
                if self._hub.wanted(stream):
                    spec = derivative.market.instrument
                    times_us = (now_us, self._moved_us)
                    self._hub.publish(frames_futures.force_order(stream, spec, self._style, event, times_us))

    # ------------------------------------------------------------------ Feed

    def exchange_info(self, symbols: list[str] | None) -> str:
        """Return the instrument list, all or some of it."""
        specs = [self.markets[symbol].instrument for symbol in (self.symbols if symbols is None else symbols)]
        return exchange_info(self._family, self._options.weight_of(self._family), specs)

    async def snapshot(self, symbol: str, limit: int, stale_updates: int, wrong_updates: int) -> str:
        """Return the book now, or as it was some changes ago, as far as history reaches."""
        market = self.markets[symbol]
        update_id = market.id_before(stale_updates) if stale_updates else market.update_id
        of_id = market.id_before(wrong_updates) if wrong_updates else update_id
        levels = market.depth(limit) if of_id == market.update_id else market.depth_at(of_id, limit)
        if self._family.futures:
            return frames_futures.depth_snapshot(
                market.instrument,
                self._family.product,
                update_id,
                *levels,
                (time.time_ns() // 1000, self._moved_us),
            )
        return frames.depth_snapshot(market.instrument, update_id, *levels)

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
        self._moved_us = time.time_ns() // 1000
        for market in chosen:
            self._publish_events(market, market.burst(levels))
            symbol = market.instrument.symbol
            self._hub.faults.happened("update", self._family.name, market.changes, symbol)
        return len(chosen)

    def begin_ids_anew(self, symbol_pattern: str, back: int) -> int:
        """Let the ids of the matching symbols begin anew; no depth frame reaches across."""
        chosen = [m for symbol, m in self.markets.items() if fnmatchcase(symbol, symbol_pattern)]
        for market in chosen:
            market.begin_ids_anew(back)
        for batchers in self._batchers.values():
            for batcher in batchers:
                if batcher.market in chosen:
                    batcher.last_id = batcher.market.update_id
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
