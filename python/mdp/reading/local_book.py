"""LocalBook: a book kept up to date from events, in the reader's own process."""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt

from mdp._core import BookState, Event, EventFlag, EventType, StateReason

Level = tuple[int, int]
_FIRST, _LAST, _TOP = EventFlag.FIRST.value, EventFlag.LAST.value, EventFlag.TOP.value


class _Side:
    """Quantities by price. `bound` is the last price that is known; None: all are."""

    def __init__(self, sign: int) -> None:
        self.sign = sign  # 1: asks, lowest first; -1: bids, highest first
        self.quantities: dict[int, int] = {}
        self.bound: int | None = None
        self._sorted: list[Level] | None = []

    def replace(self, levels: list[Level], *, whole: bool) -> None:
        self.quantities = dict(levels)
        self.bound = None if whole or not levels else levels[-1][0]
        self._sorted = None

    def change(self, levels: list[Level]) -> None:
        for price, quantity in levels:
            if self.bound is not None and (price - self.bound) * self.sign > 0:
                continue  # beyond what is known: neighbours of this level may be missing
            if quantity:
                self.quantities[price] = quantity
            else:
                self.quantities.pop(price, None)
        self._sorted = None

    def levels(self) -> list[Level]:
        if self._sorted is None:
            self._sorted = sorted(self.quantities.items(), reverse=self.sign < 0)
        return self._sorted


class LocalBook:
    """One instrument's book, changed by `apply`.

    The book table holds the best levels only. A book that began there knows the prices up to the last of
    them; what lies beyond is left out rather than shown with holes, so as levels are taken away fewer remain,
    until the next whole snapshot or `Follower.rejoin`. What `levels` returns is right whenever `state` is
    LIVE.

    Attributes
    ----------
    state, reason
        As in `Book`.
    update_id
        The venue's id of the book after the last event applied.
    """

    def __init__(self) -> None:
        self.state = BookState.STALE
        self.reason = StateReason.STARTING
        self.update_id = 0
        self._bids, self._asks = _Side(-1), _Side(1)
        self._split: list[Event] = []

    def reset(
        self,
        state: BookState,
        reason: StateReason,
        update_id: int,
        bids: list[Level],
        asks: list[Level],
        capacity: int,
    ) -> None:
        """Begin anew with the best `capacity` levels a side; fewer than that are the whole side."""
        self.state, self.reason, self.update_id = state, reason, update_id
        self._bids.replace(bids, whole=len(bids) < capacity)
        self._asks.replace(asks, whole=len(asks) < capacity)
        self._split.clear()

    @property
    def live(self) -> bool:
        """Whether the book is right up to `update_id`; `Follower.live` also asks for its publisher."""
        return self.state == BookState.LIVE

    def apply(self, event: Event) -> None:
        """Take in the next event of this instrument. Trades and quotes change nothing."""
        if event.type == EventType.BOOK_STATE:
            self.state, self.reason = event.book_state, event.reason
        elif event.type in (EventType.BOOK_DELTA, EventType.BOOK_SNAPSHOT):
            # A large update comes in several records, and the book is right again after the last of them.
            if event.flags & _FIRST:
                self._split.clear()
            self._split.append(event)
            if event.flags & _LAST:
                self._apply_update()

    def levels(self, side: Literal["bids", "asks"], depth: int | None = None) -> list[Level]:
        """Return (price, quantity) mantissas of a side, best first, at most `depth` of those known."""
        return (self._bids if side == "bids" else self._asks).levels()[:depth]

    def best(self, side: Literal["bids", "asks"]) -> Level | None:
        """Return (price, quantity) of the best level of a side; None: there is none, or none is known."""
        best = self.levels(side, 1)
        return best[0] if best else None

    def _apply_update(self) -> None:
        bids = [level for event in self._split for level in _pairs(event.bids)]
        asks = [level for event in self._split for level in _pairs(event.asks)]
        last = self._split[-1]
        if last.type == EventType.BOOK_SNAPSHOT:
            self._bids.replace(bids, whole=not last.flags & _TOP)
            self._asks.replace(asks, whole=not last.flags & _TOP)
        else:
            self._bids.change(bids)
            self._asks.change(asks)
        self.update_id = last.update_id
        self._split.clear()


def _pairs(levels: npt.NDArray[np.int64]) -> list[Level]:
    return [(price, quantity) for price, quantity in levels.tolist()]
