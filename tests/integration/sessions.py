"""Sessions composed for the tests, in the format and with the frames of the venue, and files of recordings.

They make the tests strong where the recorded sessions are not at hand. The book behind them is kept in
decimals; nothing of mdp is used.
"""

from __future__ import annotations

import gzip
import json
import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from decimal import Decimal
from pathlib import Path
from typing import Any

from integration.decimal_model import Record


@dataclass
class _Market:
    """One symbol's true book."""

    symbol: str
    rng: random.Random
    tick: Decimal
    lot: Decimal
    bids: dict[Decimal, Decimal] = field(default_factory=dict)
    asks: dict[Decimal, Decimal] = field(default_factory=dict)
    changed: dict[str, dict[Decimal, Decimal]] = field(default_factory=lambda: {"b": {}, "a": {}})
    first_id: int | None = None
    sent_id: int = 0

    def __post_init__(self) -> None:
        middle = self.tick * self.rng.randint(20_000, 60_000)
        for distance in range(1, 41):
            self.bids[middle - self.tick * distance] = self._quantity()
            self.asks[middle + self.tick * distance] = self._quantity()

    def _quantity(self) -> Decimal:
        return self.lot * self.rng.randint(1, 99_999)

    def _set(self, side: str, price: Decimal, quantity: Decimal) -> None:
        levels = self.bids if side == "b" else self.asks
        if quantity:
            levels[price] = quantity
        else:
            levels.pop(price, None)
        self.changed[side][price] = quantity

    def top(self) -> tuple[Decimal, Decimal]:
        return max(self.bids), min(self.asks)

    def step(self, update_id: int) -> None:
        """Change a few levels, most of them near the top; the book is never crossed."""
        if self.first_id is None:
            self.first_id = update_id
        for _ in range(self.rng.randint(1, 4)):
            side = self.rng.choice("ba")
            bid, ask = self.top()
            away = self.tick * int(self.rng.expovariate(0.3))
            price = min(bid + self.tick, ask - self.tick) - away if side == "b" else 0
            if side == "a":
                price = max(ask - self.tick, bid + self.tick) + away
            levels = self.bids if side == "b" else self.asks
            remove = self.rng.random() < 0.45 and len(levels) > 10
            self._set(side, price, Decimal(0) if remove else self._quantity())

    def take_delta(self, update_id: int) -> dict[str, Any]:
        """Return what changed since the last delta, as levels with absolute quantities."""
        assert self.first_id is not None
        delta = {"U": self.first_id, "u": update_id, "pu": self.sent_id}
        for side in "ba":
            levels = sorted(self.changed[side].items(), reverse=side == "b")
            delta[side] = [[str(price), str(quantity)] for price, quantity in levels]
            self.changed[side] = {}
        self.first_id, self.sent_id = None, update_id
        return delta


def compose(seed: int, *, symbols: Iterable[str] = ("BTCUSDT", "DOTUSDT"), deltas: int = 60) -> list[Record]:
    """Compose a spot session: deltas, trades, quotes, an instrument list and a snapshot per symbol.

    Snapshots come between two deltas of their symbol, as an answer takes its time: some deltas wait for them.
    """
    rng = random.Random(seed)
    markets = {
        symbol: _Market(symbol, rng, Decimal("0.01000000"), Decimal("0.00001000")) for symbol in symbols
    }
    ids = {symbol: rng.randint(10**6, 10**10) for symbol in markets}
    for symbol, market in markets.items():
        market.sent_id = ids[symbol]
    now_us = 1_700_000_000_000_000
    records: list[Record] = []
    snapshots: dict[str, dict[str, Any]] = {}
    sent = dict.fromkeys(markets, 0)
    trade_id = 1000

    def put(kind: str, data: Any, url: str | None = None) -> None:
        nonlocal now_us
        now_us += rng.randint(1, 40_000)
        text = json.dumps(data, separators=(",", ":"))
        records.append(Record(Decimal(now_us) / 10**6, kind, url, text))

    def stream(name: str, data: dict[str, Any]) -> None:
        first = all(record.kind != "ws-in" for record in records)
        put(
            "ws-in",
            {"stream": name, "data": data},
            "wss://127.0.0.1/stream?streams=composed" if first else None,
        )

    put("http", _exchange_info(markets), "https://127.0.0.1/api/v3/exchangeInfo")
    while min(sent.values()) < deltas:
        symbol = rng.choice(list(markets))
        market = markets[symbol]
        for _ in range(rng.randint(1, 5)):
            before = market.top(), market.bids[market.top()[0]], market.asks[market.top()[1]]
            ids[symbol] += 1
            market.step(ids[symbol])
            (bid, ask), name = market.top(), symbol.lower()
            if ((bid, ask), market.bids[bid], market.asks[ask]) != before:
                quote = {"u": ids[symbol], "s": symbol, "b": str(bid), "B": str(market.bids[bid])}
                quote |= {"a": str(ask), "A": str(market.asks[ask])}
                stream(f"{name}@bookTicker", quote)
            if rng.random() < 0.2:
                trade_id += 1
                event = {"e": "trade", "E": now_us // 1000, "s": symbol, "t": trade_id, "p": str(bid)}
                event |= {"q": "0.01500000", "T": now_us // 1000, "m": True, "M": True}
                stream(f"{name}@trade", event)
            if sent[symbol] == 3 and symbol not in snapshots:
                snapshots[symbol] = {
                    "lastUpdateId": ids[symbol],
                    "bids": [[str(p), str(q)] for p, q in sorted(market.bids.items(), reverse=True)],
                    "asks": [[str(p), str(q)] for p, q in sorted(market.asks.items())],
                }
        delta = market.take_delta(ids[symbol])
        del delta["pu"]
        stream(f"{name}@depth@100ms", {"e": "depthUpdate", "E": now_us // 1000, "s": symbol, **delta})
        sent[symbol] += 1
        if sent[symbol] == 6:
            put("http", snapshots[symbol], f"https://127.0.0.1/api/v3/depth?symbol={symbol}&limit=1000")
    return records


def _exchange_info(markets: dict[str, _Market]) -> dict[str, Any]:
    def entry(market: _Market) -> dict[str, Any]:
        return {
            "symbol": market.symbol,
            "status": "TRADING",
            "baseAsset": market.symbol[:-4],
            "quoteAsset": market.symbol[-4:],
            "filters": [
                {"filterType": "PRICE_FILTER", "minPrice": str(market.tick), "tickSize": str(market.tick)},
                {"filterType": "LOT_SIZE", "minQty": str(market.lot), "stepSize": str(market.lot)},
            ],
        }

    return {"timezone": "UTC", "symbols": [entry(market) for market in markets.values()]}


REST_PATHS = {"binance": "/api/v3", "binance-usdm": "/fapi/v1", "binance-coinm": "/dapi/v1"}
"""What the paths of the venues' REST calls begin with."""


class HandMade:
    """A recording put together frame by frame: each says what a test needs of it."""

    def __init__(self, venue: str) -> None:
        self.venue = venue
        self.records: list[Record] = []

    def _put(self, kind: str, data: Any, url: str | None) -> None:
        t = Decimal(1_700_000_000) + Decimal(len(self.records)) / 20
        self.records.append(Record(t, kind, url, json.dumps(data, separators=(",", ":"))))

    def listed(self, *symbols: str, max_qty: str, step: str) -> None:
        """Put in a list of instruments, all with these limits."""
        entries = [
            {
                "symbol": symbol,
                "status": "TRADING",
                "baseAsset": symbol[:4],
                "quoteAsset": symbol[4:],
                "marginAsset": symbol[:4],
                "contractType": "PERPETUAL",
                "deliveryDate": 4_133_404_800_000,
                "contractSize": 10,
                "filters": [
                    {"filterType": "PRICE_FILTER", "maxPrice": "1.00000000", "tickSize": "0.00000001"},
                    {"filterType": "LOT_SIZE", "maxQty": max_qty, "stepSize": step},
                ],
            }
            for symbol in symbols
        ]
        self._put("http", {"symbols": entries}, f"https://127.0.0.1{REST_PATHS[self.venue]}/exchangeInfo")

    def delta(
        self, symbol: str, ids: tuple[int, int, int], bids: Iterable[Any], asks: Iterable[Any] = ()
    ) -> None:
        """Put in a delta; `ids` are U, u and pu."""
        event = {"e": "depthUpdate", "E": 1_700_000_000_000, "s": symbol, "U": ids[0], "u": ids[1]}
        if self.venue != "binance":
            event |= {"T": 1_700_000_000_000, "pu": ids[2]}
        event |= {"b": [list(level) for level in bids], "a": [list(level) for level in asks]}
        self.frame(f"{symbol.lower()}@depth@100ms", event)

    def snapshot(self, symbol: str, update_id: int, bids: Iterable[Any], asks: Iterable[Any]) -> None:
        """Put in a REST snapshot."""
        body = {"lastUpdateId": update_id, "bids": list(bids), "asks": list(asks)}
        self._put("http", body, f"https://127.0.0.1{REST_PATHS[self.venue]}/depth?symbol={symbol}&limit=1000")

    def frame(self, stream: str, event: dict[str, Any]) -> None:
        """Put in any event of a stream."""
        first = all(record.kind != "ws-in" for record in self.records)
        self._put("ws-in", {"stream": stream, "data": event}, "wss://127.0.0.1/stream" if first else None)


def line_of(record: Record) -> str:
    """Return the record as a line of a recording."""
    item = {"t": float(record.t), "kind": record.kind}
    if record.url is not None:
        item["url"] = record.url
    return json.dumps(item | {"data": record.data}, separators=(",", ":")) + "\n"


def write_session(folder: Path, records: Iterable[Record], name: str = "composed") -> list[Path]:
    """Write a session as the recordings are: frames, snapshots and the instrument list apart."""
    texts: dict[str, list[str]] = {"ws1": [], "http": [], "info": []}
    for record in records:
        info = record.url is not None and record.url.endswith("/exchangeInfo")
        part = "ws1" if record.kind != "http" else "info" if info else "http"
        texts[part].append(line_of(record))
    paths = []
    for part, lines in texts.items():
        if lines:
            paths.append(folder / f"{name}.{part}.jsonl.gz")
            with gzip.open(paths[-1], "wt", encoding="utf-8", compresslevel=1) as file:
                file.writelines(lines)
    return paths


def edited(records: list[Record], at: int, edit: Callable[[dict[str, Any]], None]) -> list[Record]:
    """Return the records with one frame's JSON edited."""
    frame = json.loads(records[at].data)
    edit(frame)
    text = json.dumps(frame, separators=(",", ":"))
    return [*records[:at], replace(records[at], data=text), *records[at + 1 :]]
