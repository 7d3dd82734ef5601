"""A plain client-side book, built by the venue's documented rule and by nothing else.

It shares no code with the market, the feed or the provider, is slow and obvious, and serves as the second
opinion in tests: what it shows at an update id must equal the sim's truth, the known results of a recording,
and the provider's book.
"""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any


class SequenceGapError(Exception):
    """A delta does not follow the one before it."""


class ReferenceBook:
    """One spot symbol: buffer deltas, take a snapshot, apply what follows.

    Attributes
    ----------
    bids, asks : dict of Decimal to str
        Price to quantity text as received.
    last_id : int or None
        Update id of the book; None before the join.
    snapshot_id, dropped, applied, crossed, removals, unknown_removals, max_levels : int
        Counters named as in the table of known results that comes with the recordings.
    """

    def __init__(self) -> None:
        self.bids: dict[Decimal, str] = {}
        self.asks: dict[Decimal, str] = {}
        self.last_id: int | None = None
        self.snapshot_id = 0
        self.dropped = 0
        self.applied = 0
        self.crossed = 0
        self.removals = 0
        self.unknown_removals = 0
        self.max_levels = 0
        self._buffer: list[dict[str, Any]] = []

    @property
    def buffered(self) -> int:
        """Deltas that wait for a snapshot."""
        return len(self._buffer)

    def on_snapshot(self, body: str) -> bool:
        """Take a snapshot body; False if it is too old for what is buffered and must be fetched again."""
        snapshot = json.loads(body)
        if not self._buffer or self._is_too_old(snapshot["lastUpdateId"]):
            return False
        self.snapshot_id = self.last_id = snapshot["lastUpdateId"]
        self.bids = {Decimal(price): quantity for price, quantity in snapshot["bids"]}
        self.asks = {Decimal(price): quantity for price, quantity in snapshot["asks"]}
        buffered, self._buffer = self._buffer, []
        for delta in buffered:
            self.on_delta(delta)
        return True

    def on_delta(self, delta: dict[str, Any]) -> None:
        """Take a ``depthUpdate`` event.

        Raises
        ------
        SequenceGapError
            If update ids are missing before it; the book is then of no use any more.
        """
        if self.last_id is None:
            self._buffer.append(delta)
            return
        if self._is_old(delta, self.last_id):
            self.dropped += 1
            return
        if not self._follows(delta, self.last_id):
            raise SequenceGapError(f"{delta['U']} after {self.last_id}")
        for book, levels in ((self.bids, delta["b"]), (self.asks, delta["a"])):
            for price_text, quantity in levels:
                price = Decimal(price_text)
                if Decimal(quantity):
                    book[price] = quantity
                else:
                    self.removals += 1
                    self.unknown_removals += book.pop(price, None) is None
        self.applied += 1
        self.max_levels = max(self.max_levels, len(delta["b"]) + len(delta["a"]))
        self.last_id = delta["u"]
        if self.bids and self.asks and max(self.bids) >= min(self.asks):
            self.crossed += 1

    def _is_too_old(self, snapshot_id: int) -> bool:
        """Return whether deltas are missing between a snapshot and the first one buffered."""
        return bool(snapshot_id < self._buffer[0]["U"] - 1)

    def _is_old(self, delta: dict[str, Any], last_id: int) -> bool:
        return bool(delta["u"] <= last_id)

    def _follows(self, delta: dict[str, Any], last_id: int) -> bool:
        return bool(delta["U"] <= last_id + 1)

    def depth(self, count: int) -> tuple[list[list[str]], list[list[str]]]:
        """Return up to `count` levels a side, best first, as pairs of decimal strings with eight decimals."""
        bids = sorted(self.bids, reverse=True)[:count]
        asks = sorted(self.asks)[:count]
        return [[f"{p:.8f}", self.bids[p]] for p in bids], [[f"{p:.8f}", self.asks[p]] for p in asks]


class FuturesReferenceBook(ReferenceBook):
    """One contract: the first delta contains the snapshot's id, each later one names the last as ``pu``."""

    def _is_too_old(self, snapshot_id: int) -> bool:
        return bool(snapshot_id < self._buffer[0]["pu"])

    def _is_old(self, delta: dict[str, Any], last_id: int) -> bool:
        if self.applied:
            return bool(delta["u"] <= last_id)
        return bool(delta["u"] < last_id)

    def _follows(self, delta: dict[str, Any], last_id: int) -> bool:
        if self.applied:
            return bool(delta["pu"] == last_id)
        return bool(delta["pu"] <= last_id <= delta["u"])
