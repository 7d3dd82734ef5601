"""What the server needs of a source of market data, and the synthetic one."""

from __future__ import annotations

import asyncio
import json
import time
from fnmatch import fnmatchcase
from typing import Any, Protocol

from mdp.sim import frames
from mdp.sim.hub import Hub
from mdp.sim.market import AggTrade, Levels, Market, MarketEvent, Top, select_instruments, text_e8
from mdp.sim.options import SimOptions


class RestError(Exception):
    """An error answer in the venue's form.

    Parameters
    ----------
    status : int
        HTTP status.
    code : int
        Venue error code, negative.
    message : str
        Venue error text.
    """

    def __init__(self, status: int, code: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message


class Feed(Protocol):
    """A source of frames and snapshots: the synthetic market or a recorded session."""

    symbols: list[str]

    async def run(self) -> None:
        """Publish to the hub until cancelled."""

    def exchange_info(self, symbols: list[str] | None) -> str:
        """Return the instrument list, all or some of it."""

    async def snapshot(self, symbol: str, limit: int, stale_updates: int) -> str:
        """Return a snapshot body, raise `RestError` where there is none."""

    def truth(self, symbol: str, update_id: int | None, depth: int) -> dict[str, Any]:
        """Return the book at an update id (None: now), raise LookupError where it is not known."""

    def burst(self, symbol_pattern: str, levels: int) -> int:
        """Change many levels at once; return the number of symbols concerned."""

    def status(self) -> dict[str, Any]:
        """Return what `GET /sim/status` shows of this feed."""


def rate_limits(weight: int) -> list[dict[str, Any]]:
    """Return the ``rateLimits`` of exchangeInfo."""
    return [
        {"rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1, "limit": weight},
        {"rateLimitType": "ORDERS", "interval": "SECOND", "intervalNum": 10, "limit": 100},
        {"rateLimitType": "ORDERS", "interval": "DAY", "intervalNum": 1, "limit": 200_000},
        {"rateLimitType": "RAW_REQUESTS", "interval": "MINUTE", "intervalNum": 5, "limit": 300_000},
    ]


def symbol_info(symbol: str, base: str, quote: str, tick_e8: int, lot_e8: int) -> dict[str, Any]:
    """Return one entry of ``symbols`` in exchangeInfo, keys and filters as the venue has them."""
    return {
        "symbol": symbol,
        "status": "TRADING",
        "baseAsset": base,
        "baseAssetPrecision": 8,
        "quoteAsset": quote,
        "quotePrecision": 8,
        "quoteAssetPrecision": 8,
        "baseCommissionPrecision": 8,
        "quoteCommissionPrecision": 8,
        "orderTypes": [
            "LIMIT",
            "LIMIT_MAKER",
            "MARKET",
            "STOP_LOSS",
            "STOP_LOSS_LIMIT",
            "TAKE_PROFIT",
            "TAKE_PROFIT_LIMIT",
        ],
        "icebergAllowed": True,
        "ocoAllowed": True,
        "otoAllowed": True,
        "quoteOrderQtyMarketAllowed": True,
        "allowTrailingStop": True,
        "cancelReplaceAllowed": True,
        "isSpotTradingAllowed": True,
        "isMarginTradingAllowed": False,
        "filters": [
            {
                "filterType": "PRICE_FILTER",
                "minPrice": text_e8(tick_e8),
                "maxPrice": text_e8(tick_e8 * 100_000_000),
                "tickSize": text_e8(tick_e8),
            },
            {
                "filterType": "LOT_SIZE",
                "minQty": text_e8(lot_e8),
                "maxQty": text_e8(lot_e8 * 900_000_000),
                "stepSize": text_e8(lot_e8),
            },
            {"filterType": "ICEBERG_PARTS", "limit": 10},
            {
                "filterType": "MARKET_LOT_SIZE",
                "minQty": "0.00000000",
                "maxQty": text_e8(lot_e8 * 9_000_000),
                "stepSize": "0.00000000",
            },
            {
                "filterType": "NOTIONAL",
                "minNotional": "5.00000000",
                "applyMinToMarket": True,
                "maxNotional": "9000000.00000000",
                "applyMaxToMarket": False,
                "avgPriceMins": 5,
            },
            {"filterType": "MAX_NUM_ORDERS", "maxNumOrders": 200},
            {"filterType": "MAX_NUM_ALGO_ORDERS", "maxNumAlgoOrders": 5},
        ],
        "permissions": [],
        "permissionSets": [["SPOT"]],
        "defaultSelfTradePreventionMode": "EXPIRE_MAKER",
        "allowedSelfTradePreventionModes": ["EXPIRE_TAKER", "EXPIRE_MAKER", "EXPIRE_BOTH", "DECREMENT"],
    }


def exchange_info_text(weight_limit: int, symbols: list[dict[str, Any]]) -> str:
    """Return the body of ``GET /api/v3/exchangeInfo``."""
    return json.dumps(
        {
            "timezone": "UTC",
            "serverTime": time.time_ns() // 1_000_000,
            "rateLimits": rate_limits(weight_limit),
            "exchangeFilters": [],
            "symbols": symbols,
        },
        separators=(",", ":"),
    )


class _Batcher:
    """Cuts one symbol's changes into depth frames of one interval."""

    __slots__ = ("last_id", "market", "partials", "stream")

    def __init__(self, market: Market, suffix: str) -> None:
        name = market.instrument.symbol.lower()
        self.market = market
        self.stream = f"{name}@depth{suffix}"
        self.partials = [(f"{name}@depth{count}{suffix}", count) for count in (5, 10, 20)]
        self.last_id = market.update_id


class SyntheticFeed:
    """Drives one `Market` per symbol in real time."""

    def __init__(self, options: SimOptions, hub: Hub) -> None:
        self._options = options
        self._hub = hub
        history = max(options.history_changes, int(options.rate * 90))
        instruments = select_instruments(options.symbols)
        self.markets = {item.symbol: Market(item, options.seed, history) for item in instruments}
        self.symbols = list(self.markets)
        self._fast = [_Batcher(market, "@100ms") for market in self.markets.values()]
        self._slow = [_Batcher(market, "") for market in self.markets.values()]
        self._names = {
            symbol: (f"{symbol.lower()}@bookTicker", f"{symbol.lower()}@trade", f"{symbol.lower()}@aggTrade")
            for symbol in self.symbols
        }

    async def run(self) -> None:
        """Move the markets on and publish, until cancelled."""
        options = self._options
        hub = self._hub
        loop = asyncio.get_running_loop()
        tick = options.tick_ms / 1000
        fast = options.depth_interval_ms / 1000
        slow = options.slow_depth_interval_ms / 1000
        now = loop.time()
        next_tick, next_fast, next_slow = now, now + fast, now + slow
        debt = 0.0
        while True:
            # A starved process does not catch up on more than a quarter second: it would only starve on.
            debt += min(loop.time() - now, 0.25) * options.rate
            now = loop.time()
            events = int(debt)
            debt -= events
            if events:
                for market in self.markets.values():
                    self._publish_events(market, market.advance(events))
            if now >= next_fast:
                self._publish_batches(self._fast)
                next_fast += fast * (1 + (now - next_fast) // fast)
            if now >= next_slow:
                self._publish_batches(self._slow)
                next_slow += slow * (1 + (now - next_slow) // slow)
            hub.flush()
            next_tick = max(next_tick + tick, loop.time())
            await asyncio.sleep(next_tick - loop.time())

    def _publish_events(self, market: Market, events: list[MarketEvent]) -> None:
        ticker, trades, agg_trades = self._names[market.instrument.symbol]
        hub = self._hub
        want_ticker, want_trades, want_agg = hub.wanted(ticker), hub.wanted(trades), hub.wanted(agg_trades)
        if not (want_ticker or want_trades or want_agg):
            return
        spec = market.instrument
        now_us = time.time_ns() // 1000
        for event in events:
            if isinstance(event, Top):
                if want_ticker:
                    hub.publish(frames.book_ticker(ticker, spec, event))
            elif isinstance(event, AggTrade):
                if want_agg:
                    hub.publish(frames.agg_trade(agg_trades, spec, event, now_us))
            elif want_trades:
                hub.publish(frames.trade(trades, spec, event, now_us))

    def _publish_batches(self, batchers: list[_Batcher]) -> None:
        hub = self._hub
        for batcher in batchers:
            market = batcher.market
            first_id = batcher.last_id + 1
            if market.update_id < first_id:
                continue
            batcher.last_id = market.update_id
            if hub.wanted(batcher.stream):
                bids, asks = market.batch(first_id - 1)
                self._lie(batcher.stream, market, bids)
                hub.publish(
                    frames.depth_update(
                        batcher.stream,
                        market.instrument,
                        first_id,
                        market.update_id,
                        bids,
                        asks,
                        time.time_ns() // 1000,
                    )
                )
            for stream, count in batcher.partials:
                if hub.wanted(stream):
                    levels = market.depth(count)
                    hub.publish(frames.partial_depth(stream, market.instrument, market.update_id, *levels))

    def _lie(self, stream: str, market: Market, bids: Levels) -> None:
        """Let ``wrong_level`` faults strike: the ids stay perfect, the book does not."""
        for fault in self._hub.faults.frame_faults(stream):
            if fault.kind == "wrong_level" and fault.strike():
                top = market.top()
                crossed = fault.params["mode"] == "crossed"
                price = top.ask_ticks if crossed else top.bid_ticks
                kept = [level for level in bids if level[0] != price]
                bids[:] = sorted([*kept, (price, top.bid_lots + 1)], reverse=True)

    def exchange_info(self, symbols: list[str] | None) -> str:
        """Return the instrument list, all or some of it."""
        specs = [self.markets[symbol].instrument for symbol in (symbols or self.symbols)]
        return exchange_info_text(
            self._options.weight_limit,
            [symbol_info(s.symbol, s.base, s.quote, s.tick_e8, s.lot_e8) for s in specs],
        )

    async def snapshot(self, symbol: str, limit: int, stale_updates: int) -> str:
        """Return the book now, or as it was `stale_updates` changes ago (as far as history reaches)."""
        market = self.markets[symbol]
        if not stale_updates:
            return frames.depth_snapshot(market.instrument, market.update_id, *market.depth(limit))
        update_id = max(market.update_id - stale_updates, market.oldest_update_id)
        return frames.depth_snapshot(market.instrument, update_id, *market.depth_at(update_id, limit))

    def truth(self, symbol: str, update_id: int | None, depth: int) -> dict[str, Any]:
        """Return the book at an update id (None: now)."""
        market = self.markets[symbol]
        at = market.update_id if update_id is None else update_id
        bids, asks = market.depth_at(at, depth)
        spec = market.instrument
        return {
            "symbol": symbol,
            "updateId": at,
            "bids": [[spec.price_text(price), spec.quantity_text(lots)] for price, lots in bids],
            "asks": [[spec.price_text(price), spec.quantity_text(lots)] for price, lots in asks],
        }

    def burst(self, symbol_pattern: str, levels: int) -> int:
        """Change many levels of the matching symbols at once."""
        chosen = [m for symbol, m in self.markets.items() if fnmatchcase(symbol, symbol_pattern)]
        for market in chosen:
            self._publish_events(market, market.burst(levels))
        return len(chosen)

    def status(self) -> dict[str, Any]:
        """Return the update ids per symbol."""
        return {
            "replay": None,
            "symbols": {
                symbol: {"updateId": market.update_id, "oldestUpdateId": market.oldest_update_id}
                for symbol, market in self.markets.items()
            },
        }
