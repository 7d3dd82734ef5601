"""Which snapshot is fetched when, for syncs and for audits, on a budget that venues of one pool share.

Pure logic on a clock the caller gives; `Provider` feeds it wishes and outcomes and does what it decides.

What a wish is for (`Wish`) and what became of the book's syncs so far say how urgent it is (`Urgency`), and
that says how much of the budget and how many places it must leave to those before it. So a book that cannot
be right, for whatever reason, has what the others do not need.
"""

from __future__ import annotations

import math
import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum, IntEnum, auto

from mdp._core import StateReason

_WINDOW_S = 60.0
_SUSPECT_WAIT_S = 30.0  # between two audits of one suspect; doubled while it stays one
_MAX_SUSPECT_WAIT_S = 600.0
_AUDIT_LOST_S = 60.0  # an audit of which nothing was heard for so long does not hold up the next one
_PATIENCE = 3  # syncs in a row that did not last, after which a book is one that fails again and again
_FAIR_SHARE = 6  # snapshots of one book in a minute that are as urgent as their reason


class Wish(IntEnum):
    """What a snapshot is wanted for; of two wishes for one book the first in this list counts."""

    SYNC = auto()
    """To make a book LIVE."""
    WIDEN = auto()
    """To know more levels of a book that is about to run out of those it knows; it stays LIVE meanwhile."""
    WIDEN_SOON = auto()
    """The same for a book that has some room left."""


class Urgency(IntEnum):
    """Who goes first.

    To widen a LIVE book at the last moment comes before a first sync: put off, it would become a book that
    was right and has to be synced anew, which comes first anyway, and its readers would have seen it STALE.
    As long as the book has room, a first sync does not wait for it.
    """

    RESYNC = auto()
    """The sync of a book that was right."""
    WIDEN = auto()
    FIRST = auto()
    """The sync of a book of which nothing is known yet."""
    WIDEN_SOON = auto()
    AGAIN = auto()
    """A book whose syncs do not last, whose symbol the venue does not know, or that asks all the time."""
    AUDIT = auto()
    """Nobody waits for it."""


@dataclass(frozen=True)
class _Terms:
    """What a wish leaves to those that are more urgent, as shares of the whole."""

    weight: float
    places: float


_LEAVES = {
    Urgency.RESYNC: _Terms(weight=0.0, places=0.0),
    Urgency.WIDEN: _Terms(weight=0.15, places=0.0),
    Urgency.FIRST: _Terms(weight=0.15, places=0.0),
    Urgency.WIDEN_SOON: _Terms(weight=0.35, places=0.25),
    Urgency.AGAIN: _Terms(weight=0.5, places=0.5),
    Urgency.AUDIT: _Terms(weight=0.5, places=1.0),
}
_APART_S = {Wish.SYNC: 0.0, Wish.WIDEN: 1.0, Wish.WIDEN_SOON: 5.0}
"""From any snapshot of a book to one for this wish at least, beside the waits after failures."""


class Failure(Enum):
    """Whose fault it is that a request brought no snapshot."""

    VENUE = auto()
    """Nobody's in particular: no connection, no answer, an error of the server, a limit."""
    BOOK = auto()
    """An answer came, and it cannot be read or held: as a sync that did not last."""
    SYMBOL = auto()
    """The venue does not know the symbol: it is asked rarely."""


@dataclass(frozen=True)
class LiveSpan:
    """The last time that a book was LIVE and is no more.

    Parameters
    ----------
    number
        Of the book's spans, from 1; 0: it was never LIVE.
    seconds
        How long it lasted.
    ended_by
        Why the book left LIVE.
    moved_on
        Whether an update was applied to it meanwhile.
    """

    number: int
    seconds: float
    ended_by: StateReason
    moved_on: bool = True


_ENDED_FROM_OUTSIDE = {
    StateReason.DISCONNECTED,
    StateReason.SILENT,
    StateReason.REJECTED,
    StateReason.REQUESTED,
    StateReason.UNSUBSCRIBED,
    StateReason.DEPTH_EXHAUSTED,
    StateReason.SEQUENCE_RESET,
}
"""Reasons that say nothing of the sync before."""
_LASTED_S = (5.0, 60.0)
"""A book that was found out has lasted if it was LIVE for four times as long as it had waited for its
snapshot, within these bounds."""


@dataclass
class RestBudget:
    """What an address may ask of a pool of venues in a minute, and what was spent of it.

    Parameters
    ----------
    weight_per_minute
        What the venues allow; 0: no limit.
    reserve
        Share of it left to others on the same address.
    """

    weight_per_minute: int
    reserve: float = 0.1

    _spent: deque[tuple[float, int]] = field(default_factory=deque)
    _paused_until: float = 0.0

    def affords(self, weight: int, now: float, reserve: float = 0.0) -> bool:
        """Whether a request of this weight may go out at `now` (seconds, monotonic).

        `reserve`: the share of the budget it must leave, where that is more than the budget's own.
        """
        if now < self._paused_until:
            return False
        if self.weight_per_minute <= 0:
            return True
        while self._spent and self._spent[0][0] <= now - _WINDOW_S:
            self._spent.popleft()
        spent = sum(weight for _, weight in self._spent)
        if spent == 0:  # or a budget that is small beside one request would never let it out
            return weight <= self.weight_per_minute
        return spent + weight <= self.weight_per_minute * (1.0 - max(self.reserve, reserve))

    def spend(self, weight: int, now: float) -> None:
        """Note a request."""
        self._spent.append((now, weight))

    def pause(self, until: float) -> None:
        """Let nothing out before `until`: the venue's own word."""
        self._paused_until = max(self._paused_until, until)

    def learn(self, used_weight: int, now: float) -> None:
        """Count what others on this address have spent, as far as the venue shows it (-1: it does not)."""
        known = sum(weight for when, weight in self._spent if when > now - _WINDOW_S)
        if used_weight > known:
            self._spent.append((now, used_weight - known))


@dataclass
class _Book:
    """What is known of the syncs of one book."""

    not_before: float = 0.0
    asked: deque[float] = field(default_factory=lambda: deque(maxlen=_FAIR_SHARE))
    """When the last snapshots for a sync went out."""
    synced_at: float = -math.inf
    """When the last one came."""
    answered_at: float = -math.inf
    """When the last snapshot of any kind came."""
    is_judged: bool = True
    """False: a snapshot has come for a sync since, and what became of it has not been looked at."""
    span: LiveSpan | None = None
    """The one that followed the last snapshot, if it is over."""
    spans: int = 0
    misses: int = 0
    """Syncs in a row that did not last."""
    failures: int = 0
    """Requests in a row without an answer, `Failure.VENUE`."""
    was_right: bool = False
    is_unknown: bool = False


@dataclass
class SnapshotScheduler:
    """Decides which symbols' snapshots to fetch now.

    A book whose sync did not last waits longer and longer from one snapshot to the next: half a second, then
    twice as long each time, `max_wait_s` at most. A sync that lasted sets that back: see `LiveSpan` and
    `saw`.

    Parameters
    ----------
    budget
        Of the venue's pool.
    weight
        What one snapshot costs.
    max_in_flight
        Requests under way at once.
    lost_after_s
        A request that nothing was heard of for so long has failed: more than its own time-out, so that only
        word of it that was lost within the program is given up.
    initial_retry_s
        From one snapshot of a book to the next at most, where nothing is wrong with it.
    max_retry_s
        The longest wait after requests without an answer.
    max_wait_s
        The longest wait of a book whose syncs do not last, and of a symbol that the venue does not know.
    rng
        Source of the jitter: of each wait half to all is taken.
    """

    budget: RestBudget
    weight: int
    max_in_flight: int = 4
    lost_after_s: float = 60.0
    initial_retry_s: float = 0.5
    max_retry_s: float = 30.0
    max_wait_s: float = 300.0
    rng: random.Random = field(default_factory=random.Random)

    _books: dict[int, _Book] = field(default_factory=dict)
    _waiting: dict[int, Wish] = field(default_factory=dict)  # in the order they came
    _in_flight: dict[int, tuple[Wish, float]] = field(default_factory=dict)  # and when it went out
    _again: set[int] = field(default_factory=set)  # to be synced, wanted once more while one was under way

    def want(self, symbol_id: int, wish: Wish = Wish.SYNC) -> None:
        """Note that a book waits for a snapshot.

        For a sync, one under way may be too old: then it is another, and `saw` is told first what became of
        the sync before. To widen a book is told again and again as long as it is needed: what is told while a
        snapshot is under way is dropped, for that one may be enough. A wish that waits becomes more urgent
        when a more urgent one is told, never less.
        """
        if symbol_id in self._in_flight:
            if wish is Wish.SYNC:
                self._again.add(symbol_id)
            return
        self._waiting[symbol_id] = min(wish, self._waiting.get(symbol_id, wish))
        if wish is Wish.SYNC:
            self._judge(self._book(symbol_id))

    def saw(self, symbol_id: int, span: LiveSpan) -> None:
        """Note the last time that a book was LIVE; may be told again and again."""
        book = self._book(symbol_id)
        if span.number > book.spans:
            book.spans, book.span = span.number, span
            book.was_right = book.was_right or self._lasted(span, book.misses)

    def ask_rarely(self, symbol_id: int) -> None:
        """Note that the venue does not know or does not trade the symbol, until a snapshot of it comes."""
        self._book(symbol_id).is_unknown = True

    def pardon(self, symbol_id: int) -> None:
        """Let a book's next snapshot wait no longer than anyone's: somebody who knows more asks for it."""
        book = self._book(symbol_id)
        book.misses = book.failures = 0
        book.is_unknown, book.is_judged, book.span = False, True, None
        book.not_before = min(book.not_before, book.synced_at + self.initial_retry_s)

    def forget(self, symbol_id: int) -> None:
        """Drop a symbol that is no longer subscribed to."""
        self._books.pop(symbol_id, None)
        self._waiting.pop(symbol_id, None)
        self._in_flight.pop(symbol_id, None)
        self._again.discard(symbol_id)

    def take(self, now: float, still_wanted: Callable[[int, Wish], bool] = lambda *_: True) -> list[int]:
        """Return the symbols to fetch at `now` (seconds, monotonic); they count as under way from here on.

        Those that are not `still_wanted` when their turn comes are dropped.
        """
        for symbol_id in [id_ for id_, (_, at) in self._in_flight.items() if now - at > self.lost_after_s]:
            self.failed(symbol_id, now)
        chosen: list[int] = []
        if not self._waiting or not self.admits(Urgency.RESYNC, now):
            return chosen
        due = [id_ for id_ in self._waiting if now >= self._due_at(id_)]
        for symbol_id in sorted(due, key=lambda id_: self.urgency(id_, now)):
            if not self.admits(self.urgency(symbol_id, now), now):
                break
            wish = self._waiting.pop(symbol_id)
            if not still_wanted(symbol_id, wish):
                continue
            self._in_flight[symbol_id] = (wish, now)
            if wish is Wish.SYNC:
                book = self._book(symbol_id)
                book.asked.append(now)
                book.span = None  # it says nothing of the sync that begins
            self.budget.spend(self.weight, now)
            chosen.append(symbol_id)
        return chosen

    def urgency(self, symbol_id: int, now: float) -> Urgency:
        """Return how urgent the wish of a symbol is that waits or is under way."""
        book = self._book(symbol_id)
        wish = self._waiting.get(symbol_id) or self.under_way(symbol_id) or Wish.SYNC
        # A book to be widened is LIVE: it may have lasted by now.
        fails = book.misses >= _PATIENCE and (
            wish is Wish.SYNC or now - book.synced_at < self._must_last_s(book.misses)
        )
        asks_all_the_time = len(book.asked) == _FAIR_SHARE and book.asked[0] > now - _WINDOW_S
        if fails or book.is_unknown or asks_all_the_time:
            return Urgency.AGAIN
        if wish is not Wish.SYNC:
            return Urgency.WIDEN if wish is Wish.WIDEN else Urgency.WIDEN_SOON
        return Urgency.RESYNC if book.was_right else Urgency.FIRST

    def admits(self, urgency: Urgency, now: float) -> bool:
        """Whether places and budget allow one more request of this urgency at `now`."""
        leaves = _LEAVES[urgency]
        places = max(1, int(self.max_in_flight * (1.0 - leaves.places)))
        return len(self._in_flight) < places and self.budget.affords(self.weight, now, leaves.weight)

    def under_way(self, symbol_id: int) -> Wish | None:
        """Return what a symbol's snapshot that is under way is for; None: there is none."""
        return self._in_flight[symbol_id][0] if symbol_id in self._in_flight else None

    def succeeded(self, symbol_id: int, now: float, used_weight: int = -1) -> None:
        """Note an answer; `used_weight` is what the venue says was used this minute, -1 if it says nothing.

        A book may want another at once (the snapshot was older than its deltas): it waits a moment, since
        each costs weight.
        """
        wish = self._landed(symbol_id)
        book = self._book(symbol_id)
        book.failures, book.is_unknown = 0, False
        book.answered_at = now
        if wish in (None, Wish.SYNC):
            book.synced_at = now
            book.not_before = now + self._jitter(self.initial_retry_s)
            book.is_judged = False
        self.budget.learn(used_weight, now)
        if symbol_id in self._again:
            self._again.remove(symbol_id)
            self.want(symbol_id)

    def failed(
        self,
        symbol_id: int,
        now: float,
        retry_after_s: float = -1,
        used_weight: int = -1,
        whose: Failure = Failure.VENUE,
    ) -> float:
        """Note a failure and return how long until the next attempt, in seconds.

        `retry_after_s` is the venue's own word (429, 418): nothing at all is fetched before.
        """
        wish = self._landed(symbol_id) or Wish.SYNC
        if symbol_id in self._again:
            self._again.remove(symbol_id)
            wish = Wish.SYNC
        book = self._book(symbol_id)
        if whose is Failure.VENUE:
            book.failures += 1
            delay = self._jitter(self._doubled(book.failures, self.max_retry_s))
        elif whose is Failure.BOOK:
            book.misses += 1
            delay = self._jitter(self._doubled(book.misses, self.max_wait_s))
        else:
            book.is_unknown = True
            delay = self._jitter(self.max_wait_s)
        if retry_after_s >= 0:
            self.budget.pause(now + retry_after_s)
            delay = max(delay, retry_after_s)
        book.not_before = now + delay
        self.budget.learn(used_weight, now)
        self.want(symbol_id, wish)
        return delay

    def misses(self, symbol_id: int) -> int:
        """Return how many syncs of a book in a row did not last."""
        return self._book(symbol_id).misses

    def wait_s(self, symbol_id: int, now: float) -> float:
        """Return how long a book must wait at least before its next snapshot may go out."""
        return max(0.0, self._due_at(symbol_id) - now)

    def is_idle(self, now: float) -> bool:
        """Whether no snapshot is under way and none waits for its turn; one that must wait does not count."""
        return not self._in_flight and all(now < self._due_at(id_) for id_ in self._waiting)

    @property
    def waiting(self) -> int:
        """How many symbols wait for their turn."""
        return len(self._waiting)

    @property
    def in_flight(self) -> int:
        """How many requests are under way."""
        return len(self._in_flight)

    def _book(self, symbol_id: int) -> _Book:
        return self._books.setdefault(symbol_id, _Book())

    def _due_at(self, symbol_id: int) -> float:
        book = self._book(symbol_id)
        return max(book.not_before, book.answered_at + _APART_S[self._waiting.get(symbol_id, Wish.SYNC)])

    def _landed(self, symbol_id: int) -> Wish | None:
        wish, _ = self._in_flight.pop(symbol_id, (None, 0.0))
        return wish

    def _judge(self, book: _Book) -> None:
        """Look at what became of the sync that the last answer was for, once: the book wants another."""
        if book.is_judged:
            return
        book.is_judged = True
        span, book.span = book.span, None
        if span is not None and self._lasted(span, book.misses):
            book.misses = 0
            return
        book.misses += 1
        wait = self._jitter(self._doubled(book.misses, self.max_wait_s))
        book.not_before = max(book.not_before, book.synced_at + wait)

    def _lasted(self, span: LiveSpan, misses: int) -> bool:
        if span.ended_by in _ENDED_FROM_OUTSIDE:
            return True
        if span.ended_by == StateReason.GAP and span.moved_on:
            return True  # it was joined right, and then the venue or the line lost something
        return span.seconds >= self._must_last_s(misses)

    def _must_last_s(self, misses: int) -> float:
        least, most = _LASTED_S
        waited = self._doubled(misses, self.max_wait_s) if misses else 0.0
        return min(max(least, 4 * waited), most)

    def _doubled(self, times: int, most: float) -> float:
        return float(min(most, self.initial_retry_s * 2.0 ** min(times - 1, 30)))

    def _jitter(self, seconds: float) -> float:
        return seconds * self.rng.uniform(0.5, 1.0)


@dataclass
class AuditScheduler:
    """Decides which LIVE book is compared with a snapshot next: one at a time, each in its turn.

    Never in the way of a sync: only while no book of the venue waits for its turn and half of the budget is
    unspent (`Urgency.AUDIT`). A suspect waits for no turn and for nobody's sync, also where `interval_s` is
    0; but if it stays one after its audit, the waits until the next ones double.

    Parameters
    ----------
    snapshots
        The venue's scheduler, whose budget and weight count.
    interval_s
        Between two audits of the venue; 0: none.
    """

    snapshots: SnapshotScheduler
    interval_s: float

    _turns: deque[int] = field(default_factory=deque)
    _due: float | None = None
    _began: float = 0.0
    _under_way: int | None = None
    _suspects: list[int] = field(default_factory=list)
    _spared: dict[int, tuple[float, float]] = field(default_factory=dict)  # until when, and for how long

    def add(self, symbol_id: int) -> None:
        """Give a symbol its turns."""
        self._turns.append(symbol_id)

    def forget(self, symbol_id: int) -> None:
        """Take them away."""
        if symbol_id in self._turns:
            self._turns.remove(symbol_id)
        if symbol_id in self._suspects:
            self._suspects.remove(symbol_id)
        self._spared.pop(symbol_id, None)

    def suspect(self, symbol_id: int) -> bool:
        """Note that a LIVE book may not be right; False if that is known already."""
        if symbol_id in self._suspects:
            return False
        self._suspects.append(symbol_id)
        return True

    def _take_suspect(self, now: float, is_live: Callable[[int], bool]) -> int | None:
        self._suspects = [symbol_id for symbol_id in self._suspects if is_live(symbol_id)]
        for symbol_id in self._suspects:
            until, wait = self._spared.get(symbol_id, (now, 0.0))
            if now < until:
                continue
            again = wait and now < until + wait  # else it has not been one for so long that it is a new one
            wait = min(2 * wait, _MAX_SUSPECT_WAIT_S) if again else _SUSPECT_WAIT_S
            self._spared[symbol_id] = (now + wait, wait)
            self._suspects.remove(symbol_id)
            return symbol_id
        return None

    def take(self, now: float, is_live: Callable[[int], bool]) -> int | None:
        """Return the symbol to audit at `now` (seconds, monotonic), or None; `is_live` says who can be."""
        if self._due is None:
            self._due = now + self.interval_s
        turn = self.interval_s > 0 and now >= self._due and self.snapshots.is_idle(now)
        busy = self._under_way is not None and now < self._began + _AUDIT_LOST_S
        if busy or not (turn or self._suspects):
            return None
        budget, weight = self.snapshots.budget, self.snapshots.weight
        if not budget.affords(weight, now, reserve=_LEAVES[Urgency.AUDIT].weight):
            return None
        chosen = self._take_suspect(now, is_live)
        if chosen is None and turn:
            for _ in range(len(self._turns)):
                self._turns.rotate(-1)
                if is_live(self._turns[-1]):
                    chosen = self._turns[-1]
                    break
        if chosen is not None:
            budget.spend(weight, now)
            self._under_way = chosen
            self._began = now
            self._due = now + max(self.interval_s, _AUDIT_LOST_S)  # unless its end is told before
        return chosen

    def done(self, symbol_id: int, now: float, retry_after_s: float = -1, used_weight: int = -1) -> None:
        """Note the answer to an audit's request, whatever it was; the rest as `SnapshotScheduler.failed`."""
        if retry_after_s >= 0:
            self.snapshots.budget.pause(now + retry_after_s)
        self.snapshots.budget.learn(used_weight, now)
        if symbol_id == self._under_way:
            self._under_way = None
            self._due = self._began + self.interval_s
