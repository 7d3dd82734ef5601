"""What is published of the synthetic markets of a family: its streams of books, trades and the rest."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING

from mdp.sim.frames import Frame
from mdp.sim.market import AggregateTrade, Levels, Market, MarketEvent, Top, Trade
from mdp.sim.tape import Tape
from mdp.sim.wire.binance import frames_futures, frames_spot
from mdp.sim.wire.binance.derivatives import Derivative
from mdp.sim.wire.binance.market_view import MarketView
from mdp.sim.wire.binance.rest import told_routes
from mdp.sim.wire.binance.rest_market import FuturesRoutes, MarketRoutes, SpotRoutes
from mdp.sim.wire.binance.rest_market import Route as MarketRoute
from mdp.sim.wire.binance.ticker_streams import STREAMS, TickerStreams
from mdp.sim.wire.binance.wording import Wording
from mdp.sim.wire.binance.wording_futures import FuturesWording
from mdp.sim.wire.binance.wording_spot import SpotWording
from mdp.sim.wire.protocol import Route, Timer

if TYPE_CHECKING:
    from mdp.sim.hub import Hub
    from mdp.sim.options import SimOptions
    from mdp.sim.wire.binance.families import Family

_ALL_TOPS = "!bookTicker"


def _now_us() -> int:
    return time.time_ns() // 1000


class _Batcher:
    """Cuts one symbol's changes into the depth frames of one interval and one phase."""

    __slots__ = ("last_id", "market", "partials", "stream")

    def __init__(self, market: Market, suffix: str) -> None:
        name = market.instrument.symbol.lower()
        self.market = market
        self.stream = f"{name}@depth{suffix}"
        self.partials = [(f"{name}@depth{count}{suffix}", count) for count in (5, 10, 20)]
        self.last_id = market.update_id


class Publisher(ABC):
    """What the families have in common; see `mdp.sim.wire.protocol.Publisher`.

    Attributes
    ----------
    view : MarketView
        What the markets traded, and the words for it.
    tickers : TickerStreams
        The streams that tell of trades at an interval.
    """

    kinds: tuple[str, ...] = ("bookTicker", "trade", "aggTrade")
    """Streams of a symbol, beside those of depth."""
    arrays: tuple[str, ...] = ()
    """Streams of all symbols, beside ``!bookTicker``."""

    def __init__(
        self,
        options: SimOptions,
        hub: Hub,
        family: Family,
        markets: Mapping[str, Market],
        wording: Wording,
        derivatives: dict[str, Derivative],
    ) -> None:
        self.markets = dict(markets)
        self._options = options
        self._hub = hub
        self._family = family
        tapes = {symbol: Tape(market.instrument) for symbol, market in markets.items()}
        self.view = MarketView(self.markets, tapes, derivatives, wording)
        self.tickers = TickerStreams(hub, self.view)
        self._batchers = {
            (suffix, phase): [_Batcher(market, suffix) for market in markets.values()]
            for suffix in family.depth_ms
            for phase in range(options.depth_phases)
        }
        self._names = {
            symbol: tuple(f"{symbol.lower()}@{kind}" for kind in ("bookTicker", "trade", "aggTrade"))
            for symbol in markets
        }
        self._all_tops_ms = STREAMS[family.name].book_tickers_ms
        self._tops_told: dict[str, int] = {}
        self.moved_us = _now_us()
        """When the markets moved last."""

    # ------------------------------------------------------------------ the words of a family

    @abstractmethod
    def trade(self, stream: str, market: Market, event: Trade, times_us: tuple[int, int]) -> Frame:
        """Return the frame of a trade; the times are now and when the market moved."""

    @abstractmethod
    def agg_trade(
        self, stream: str, market: Market, event: AggregateTrade, times_us: tuple[int, int]
    ) -> Frame:
        """Return the frame of an aggregate trade."""

    @abstractmethod
    def top(self, stream: str, market: Market, top: Top, times_us: tuple[int, int]) -> Frame:
        """Return the frame of best bid and ask."""

    @abstractmethod
    def depth(self, stream: str, market: Market, since_id: int, bids: Levels, asks: Levels) -> Frame:
        """Return the frame of the changes after `since_id`."""

    @abstractmethod
    def partial_depth(self, stream: str, market: Market, since_id: int, bids: Levels, asks: Levels) -> Frame:
        """Return the frame of the best levels."""

    @abstractmethod
    def snapshot(self, market: Market, update_id: int, bids: Levels, asks: Levels) -> str:
        """Return the body of a depth snapshot that says it is of `update_id`."""

    @abstractmethod
    def market_routes(self) -> MarketRoutes:
        """Return what tells of these markets over REST."""

    def filled(self, market: Market, event: AggregateTrade, stream: str, times_us: tuple[int, int]) -> None:
        """Note that an order was filled; `stream` is that of its market's trades."""
        return  # nothing follows from it on spot

    # ------------------------------------------------------------------ streams

    def timers(self) -> Iterator[Timer]:
        """Yield what is published at an interval."""
        options = self._options
        for suffix, nominal in self._family.depth_ms.items():
            slow = nominal >= 1000  # spot's alone, by either of its two names
            interval = options.slow_depth_interval_ms if slow else options.depth_interval_ms * nominal / 100
            for phase in range(options.depth_phases):
                offset = interval / 1000 * phase / options.depth_phases
                yield interval / 1000, partial(self.publish_depth, suffix, phase), offset
        ratio = options.ticker_interval_ms / 1000
        for interval_ms, publish in self.tickers.timers():
            yield interval_ms * ratio / 1000, publish, 0.0
        if self._all_tops_ms:
            yield self._all_tops_ms * ratio / 1000, self.publish_tops, 0.0

    @property
    def cuts(self) -> list[tuple[str, int]]:
        """Every speed and phase that `publish_depth` knows."""
        return list(self._batchers)

    def serves(self, stream: str) -> bool:
        """Return whether there will ever be frames of a stream, given that its symbol moves."""
        if self.tickers.serves(stream):
            return True
        symbol, _, kind = stream.partition("@")
        if not symbol.startswith("!"):
            depths = [
                f"depth{levels}{suffix}" for levels in ("", 5, 10, 20) for suffix in self._family.depth_ms
            ]
            known = symbol == symbol.lower() and symbol.upper() in self.markets
            return known and kind in (*self.kinds, *depths)
        return stream in self.arrays or (stream == _ALL_TOPS and self._all_tops_ms is not None)

    def publish_events(self, market: Market, events: Sequence[MarketEvent], moved_us: int) -> None:
        """Publish the real-time streams of what happened in a market."""
        self.moved_us = moved_us
        symbol = market.instrument.symbol
        tape = self.view.tapes[symbol]
        ticker, trades, agg_trades = self._names[symbol]
        hub = self._hub
        want_ticker, want_trades, want_agg = hub.wanted(ticker), hub.wanted(trades), hub.wanted(agg_trades)
        want_all = self._all_tops_ms == 0 and hub.wanted(_ALL_TOPS)
        times_us = (_now_us(), moved_us)
        for event in events:
            if isinstance(event, Top):
                if want_ticker:
                    hub.publish(self.top(ticker, market, event, times_us))
                if want_all:
                    hub.publish(self.top(_ALL_TOPS, market, event, times_us))
            elif isinstance(event, AggregateTrade):
                tape.record_agg(event, moved_us)
                if want_agg:
                    hub.publish(self.agg_trade(agg_trades, market, event, times_us))
                self.filled(market, event, trades, times_us)
            else:
                tape.record(event, moved_us)
                if want_trades:
                    hub.publish(self.trade(trades, market, event, times_us))

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
                hub.publish(self.depth(batcher.stream, market, since_id, *market.batch(since_id)), phased)
            for stream, count in batcher.partials:
                if hub.wanted(stream, phased):
                    levels = market.depth(count)
                    hub.publish(self.partial_depth(stream, market, since_id, *levels), phased)

    def publish_tops(self) -> None:
        """Publish the best bid and ask of every book that has changed on ``!bookTicker``."""
        if not self._hub.wanted(_ALL_TOPS):
            return
        times_us = (_now_us(), self.moved_us)
        for symbol, market in self.markets.items():
            if self._tops_told.get(symbol) != market.update_id:
                self._tops_told[symbol] = market.update_id
                self._hub.publish(self.top(_ALL_TOPS, market, market.top(), times_us))

    def ids_began_anew(self, markets: Sequence[Market]) -> None:
        """Let no depth frame of these markets reach back to the ids before."""
        for batchers in self._batchers.values():
            for batcher in batchers:
                if batcher.market in markets:
                    batcher.last_id = batcher.market.update_id

    # ------------------------------------------------------------------ REST

    def routes(self) -> dict[str, MarketRoute]:
        """Return by full path what is told of these markets, beside snapshots and instruments."""
        own = self.market_routes().routes()
        return {f"{base}/{name}": route for base in self._family.rest_bases for name, route in own.items()}

    def rest_routes(self, symbols: Sequence[str]) -> Mapping[str, Route]:
        """Return `routes` as texts of answers."""
        return told_routes(self.routes(), symbols, micro_offered=self._family.microseconds)


class SpotPublisher(Publisher):
    """Spot: update ids of each symbol's own, times in two frames alone."""

    def __init__(self, options: SimOptions, hub: Hub, family: Family, markets: Mapping[str, Market]) -> None:
        self._wording = SpotWording()
        super().__init__(options, hub, family, markets, self._wording, {})

    def trade(self, stream: str, market: Market, event: Trade, times_us: tuple[int, int]) -> Frame:
        """Return the frame of a trade."""
        return frames_spot.trade(stream, market.instrument, event, times_us)

    def agg_trade(
        self, stream: str, market: Market, event: AggregateTrade, times_us: tuple[int, int]
    ) -> Frame:
        """Return the frame of an aggregate trade."""
        return frames_spot.agg_trade(stream, market.instrument, event, times_us)

    def top(self, stream: str, market: Market, top: Top, times_us: tuple[int, int]) -> Frame:
        """Return the frame of best bid and ask, which has no time here."""
        return frames_spot.book_ticker(stream, market.instrument, top)

    def depth(self, stream: str, market: Market, since_id: int, bids: Levels, asks: Levels) -> Frame:
        """Return the frame of the changes after `since_id`."""
        first_id = market.first_id_after(since_id)
        return frames_spot.depth_update(
            stream, market.instrument, first_id, market.top(), bids, asks, _now_us()
        )

    def partial_depth(self, stream: str, market: Market, since_id: int, bids: Levels, asks: Levels) -> Frame:
        """Return the frame of the best levels."""
        return frames_spot.partial_depth(stream, market.instrument, market.update_id, bids, asks)

    def snapshot(self, market: Market, update_id: int, bids: Levels, asks: Levels) -> str:
        """Return the body of a depth snapshot."""
        return frames_spot.depth_snapshot(market.instrument, update_id, bids, asks)

    def market_routes(self) -> MarketRoutes:
        """Return what tells of these markets over REST."""
        return SpotRoutes(self.view, self._wording)


class FuturesPublisher(Publisher):
    """USD-M and COIN-M: every frame names the one before, and there are mark prices and liquidations."""

    kinds = (*Publisher.kinds, "markPrice", "markPrice@1s", "forceOrder")
    arrays = ("!markPrice@arr", "!markPrice@arr@1s", "!forceOrder@arr")

    def __init__(self, options: SimOptions, hub: Hub, family: Family, markets: Mapping[str, Market]) -> None:
        self._style = frames_futures.Style(family.product, options.classic_frames)
        self._wording = FuturesWording(self._style)
        self.derivatives = {symbol: Derivative(market, options.seed) for symbol, market in markets.items()}
        super().__init__(options, hub, family, markets, self._wording, self.derivatives)

    def trade(self, stream: str, market: Market, event: Trade, times_us: tuple[int, int]) -> Frame:
        """Return the frame of a trade."""
        return frames_futures.trade(stream, market.instrument, self._style, event, times_us)

    def agg_trade(
        self, stream: str, market: Market, event: AggregateTrade, times_us: tuple[int, int]
    ) -> Frame:
        """Return the frame of an aggregate trade."""
        return frames_futures.agg_trade(stream, market.instrument, self._style, event, times_us)

    def top(self, stream: str, market: Market, top: Top, times_us: tuple[int, int]) -> Frame:
        """Return the frame of best bid and ask."""
        return frames_futures.book_ticker(stream, market.instrument, self._style, top, times_us)

    def depth(self, stream: str, market: Market, since_id: int, bids: Levels, asks: Levels) -> Frame:
        """Return the frame of the changes after `since_id`."""
        return self._depth(stream, market, since_id, bids, asks, partial=False)

    def partial_depth(self, stream: str, market: Market, since_id: int, bids: Levels, asks: Levels) -> Frame:
        """Return the frame of the best levels, which looks like one of changes."""
        return self._depth(stream, market, since_id, bids, asks, partial=True)

    def _depth(
        self, stream: str, market: Market, since_id: int, bids: Levels, asks: Levels, *, partial: bool
    ) -> Frame:
        return frames_futures.depth_update(
            stream,
            market.instrument,
            self._style,
            (market.first_id_after(since_id), since_id),
            market.top(),
            bids,
            asks,
            (_now_us(), self.moved_us),
            partial=partial,
        )

    def snapshot(self, market: Market, update_id: int, bids: Levels, asks: Levels) -> str:
        """Return the body of a depth snapshot."""
        times_us = (_now_us(), self.moved_us)
        return frames_futures.depth_snapshot(
            market.instrument, self._family.product, update_id, bids, asks, times_us
        )

    def market_routes(self) -> MarketRoutes:
        """Return what tells of these markets over REST."""
        return FuturesRoutes(self.view, self._wording)

    def routes(self) -> dict[str, MarketRoute]:
        """Return by full path what is told of these markets; USD-M has one path more."""
        routes = super().routes()
        if not self._wording.coin:
            routes["/fapi/v2/ticker/price"] = routes["/fapi/v1/ticker/price"]
        return routes

    def timers(self) -> Iterator[Timer]:
        """Yield what is published at an interval, mark prices and liquidations too."""
        yield from super().timers()
        mark = self._options.mark_interval_ms / 1000
        yield mark, partial(self.publish_marks, "@markPrice@1s"), 0.0
        yield 3 * mark, partial(self.publish_marks, "@markPrice"), 0.0
        yield mark, self.publish_liquidations, 0.0

    def filled(self, market: Market, event: AggregateTrade, stream: str, times_us: tuple[int, int]) -> None:
        """Let the order have been a liquidation, now and then, whose rest the insurance fund takes over."""
        insured = self.derivatives[market.instrument.symbol].on_fill(event)
        if insured is not None and self._hub.wanted(stream):
            frame = frames_futures.trade(
                stream, market.instrument, self._style, insured, times_us, "INSURANCE_FUND"
            )
            self._hub.publish(frame)

    def publish_marks(self, suffix: str) -> None:
        """Publish the mark prices of each contract, and of all in an array.

        Parameters
        ----------
        suffix : str
            ``@markPrice`` or ``@markPrice@1s``.
        """
        now_us = _now_us()
        every = "!markPrice@arr" + suffix.removeprefix("@markPrice")
        want_all = self._hub.wanted(every)
        marks = []
        for symbol, derivative in self.derivatives.items():
            stream = symbol.lower() + suffix
            if want_all or self._hub.wanted(stream):
                spec = derivative.market.instrument
                event = derivative.mark(now_us)
                mark = frames_futures.mark_price(stream, spec, self._style, event, now_us)
                self._hub.publish(mark)
                marks.append(mark)
        if want_all:
            self._hub.publish(Frame.array(every, marks))

    def publish_liquidations(self) -> None:
        """Publish the newest liquidation of each contract that had one since the last time."""
        times_us = (_now_us(), self.moved_us)
        for symbol, derivative in self.derivatives.items():
            event, derivative.liquidation = derivative.liquidation, None
            if event is None:
                continue
            for stream in (f"{symbol.lower()}@forceOrder", "!forceOrder@arr"):
                if self._hub.wanted(stream):
                    spec = derivative.market.instrument
                    self._hub.publish(frames_futures.force_order(stream, spec, self._style, event, times_us))
