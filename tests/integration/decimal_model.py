"""Binance's books in plain Python and decimals, written from the venue's documentation alone.

It knows nothing of mdp: it reads recorded frames with the standard library and keeps dictionaries. It is slow
and simple, so that it can be trusted where mdp is judged by it.
"""

from __future__ import annotations

import gzip
import json
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

Level = tuple[Decimal, Decimal]
Top = tuple[Level | None, Level | None]


@dataclass(frozen=True)
class Record:
    """One line of a recording."""

    t: Decimal
    kind: str
    url: str | None
    data: str


def read_session(paths: list[Path]) -> list[Record]:
    """Read the files of a session, merged by time; records of one time stay in the order of the files."""
    records = []
    for path in paths:
        with gzip.open(path, "rt", encoding="utf-8") if path.suffix == ".gz" else path.open("rt") as file:
            for line in file:
                item = json.loads(line, parse_float=Decimal)
                records.append(Record(Decimal(item["t"]), item["kind"], item.get("url"), item["data"]))
    records.sort(key=lambda record: record.t)
    return records


@dataclass
class Book:
    """One symbol: what the venue's rule makes of a snapshot and the deltas."""

    futures: bool
    bids: dict[Decimal, Decimal] = field(default_factory=dict)
    asks: dict[Decimal, Decimal] = field(default_factory=dict)
    update_id: int | None = None  # of the last delta applied, or of the snapshot
    joined: bool = False  # a delta has followed the snapshot
    applied: int = 0
    dropped: int = 0
    gaps: int = 0
    exhausted_at: int | None = None  # the update that left nothing known of a side
    applied_live: int = 0  # before that
    waiting: list[dict[str, Any]] = field(default_factory=list)  # deltas that came before the snapshot
    # The worst prices of the snapshot: what is behind them was not told. None: the snapshot told it all.
    known_bid: Decimal | None = None
    known_ask: Decimal | None = None

    def on_snapshot(self, snapshot: dict[str, Any], limit: int) -> list[dict[str, Any]]:
        """Take the first snapshot, of `limit` levels a side at most; return the deltas that waited for it."""
        if self.update_id is not None:
            return []
        self.update_id = snapshot["lastUpdateId"]
        for side, levels in ((self.bids, snapshot["bids"]), (self.asks, snapshot["asks"])):
            side.update({Decimal(price): Decimal(quantity) for price, quantity in levels})
        if len(self.bids) >= limit:
            self.known_bid = min(self.bids)
        if len(self.asks) >= limit:
            self.known_ask = max(self.asks)
        waiting, self.waiting = self.waiting, []
        return waiting

    def on_delta(self, delta: dict[str, Any]) -> bool:
        """Apply a delta by the venue's rule; say whether it changed what the book can stand for."""
        if self.update_id is None:
            self.waiting.append(delta)
            return False
        first, last = delta["U"], delta["u"]
        if not self.joined:
            if last < self.update_id or (last == self.update_id and not self.futures):
                self.dropped += 1
                return False
            follows = first <= self.update_id + (0 if self.futures else 1)
        elif self.futures:
            follows = delta["pu"] == self.update_id
        else:
            follows = first == self.update_id + 1
        if not follows:
            self.gaps += 1
            return False
        for side, levels in ((self.bids, delta["b"]), (self.asks, delta["a"])):
            for price_text, quantity_text in levels:
                price, quantity = Decimal(price_text), Decimal(quantity_text)
                if quantity == 0:
                    side.pop(price, None)
                else:
                    side[price] = quantity
        self.update_id = last
        self.joined = True
        self.applied += 1
        if self.exhausted_at is None and self.is_exhausted():
            self.exhausted_at = last
        self.applied_live += self.exhausted_at is None
        return self.exhausted_at is None

    def is_exhausted(self) -> bool:
        """Whether a side has no level in the part that is known, although there may be some behind it."""
        bid, ask = max(self.bids, default=None), min(self.asks, default=None)
        bids_left = self.known_bid is None or (bid is not None and bid >= self.known_bid)
        asks_left = self.known_ask is None or (ask is not None and ask <= self.known_ask)
        return not (bids_left and asks_left)

    def top(self) -> Top:
        """Return the best bid and the best ask."""
        bid, ask = max(self.bids, default=None), min(self.asks, default=None)
        return (
            None if bid is None else (bid, self.bids[bid]),
            None if ask is None else (ask, self.asks[ask]),
        )

    def known(self, name: str) -> dict[Decimal, Decimal]:
        """Return the levels of "bids" or "asks" that the snapshot and the deltas tell without a hole."""
        if name == "bids":
            return {p: q for p, q in self.bids.items() if self.known_bid is None or p >= self.known_bid}
        return {p: q for p, q in self.asks.items() if self.known_ask is None or p <= self.known_ask}

    def side(self, name: str) -> list[Level]:
        """Return those levels, best first."""
        return sorted(self.known(name).items(), reverse=name == "bids")


@dataclass
class Session:
    """What a whole session comes to."""

    books: dict[str, Book] = field(default_factory=dict)
    tops: dict[str, dict[int, Top]] = field(default_factory=lambda: defaultdict(dict))
    quotes: dict[str, list[tuple[int, Top]]] = field(default_factory=lambda: defaultdict(list))
    trades: dict[str, list[dict[str, Any]]] = field(default_factory=lambda: defaultdict(list))
    frames: int = 0

    def shared(self) -> list[tuple[str, int, Top, Top]]:
        """Return every quote whose id is that of an applied delta: symbol, id, the quote, the book's top."""
        return [
            (symbol, update_id, quote, self.tops[symbol][update_id])
            for symbol, quotes in self.quotes.items()
            for update_id, quote in quotes
            if update_id in self.tops[symbol]
        ]


OnUpdate = Callable[[str, int, dict[Decimal, Decimal], dict[Decimal, Decimal]], None]


def play(
    records: list[Record],
    *,
    futures: bool,
    on_update: OnUpdate | None = None,
    books: dict[str, Book] | None = None,
) -> Session:
    """Run a session through the model.

    `on_update` sees what is known of every book after the snapshot and each delta; `books` is where they are
    kept.
    """
    session = Session(books={} if books is None else books)

    def book_of(symbol: str) -> Book:
        return session.books.setdefault(symbol, Book(futures))

    def changed(symbol: str, book: Book) -> bool:
        if on_update is not None and book.update_id is not None:
            on_update(symbol, book.update_id, book.known("bids"), book.known("asks"))
        return True

    for record in records:
        if record.kind == "http":
            url = urlsplit(record.url or "")
            if url.path.endswith("/depth"):
                query = parse_qs(url.query)
                symbol = query["symbol"][0]
                book = book_of(symbol)
                waiting = book.on_snapshot(json.loads(record.data), int(query["limit"][0]))
                changed(symbol, book)
                applied = [delta["u"] for delta in waiting if book.on_delta(delta) and changed(symbol, book)]
                if applied:  # only the last of them is ever shown
                    session.tops[symbol][applied[-1]] = book.top()
            continue
        if record.kind != "ws-in":
            continue
        session.frames += 1
        event = json.loads(record.data)
        event = event.get("data", event)
        kind, symbol = event.get("e"), event.get("s")
        if kind == "depthUpdate":
            book = book_of(symbol)
            if book.on_delta(event):
                session.tops[symbol][event["u"]] = book.top()
                changed(symbol, book)
        elif kind in ("trade", "aggTrade"):
            session.trades[symbol].append(event)
        elif {"u", "b", "B", "a", "A"} <= event.keys() and isinstance(event["b"], str):
            bid, ask = (tuple(Decimal(event[key]) for key in pair) for pair in ("bB", "aA"))
            session.quotes[symbol].append((event["u"], (bid, ask)))  # type: ignore[arg-type]
    return session
