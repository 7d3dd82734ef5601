"""Which snapshot is fetched when, for syncs and for audits, on a budget that venues of one pool share.

Pure logic on a clock the caller gives; `Provider` feeds it wishes and outcomes and does what it decides.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

_WINDOW_S = 60.0
_AUDIT_RESERVE = 0.5
_SUSPECT_WAIT_S = 30.0  # between two audits of one suspect; doubled while it stays one
_MAX_SUSPECT_WAIT_S = 600.0
_AUDIT_LOST_S = 60.0  # an audit of which nothing was heard for so long does not hold up the next one


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
class SnapshotScheduler:
    """Decides which symbols' snapshots to fetch now.

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
    rng
        Source of the jitter.
    """

    budget: RestBudget
    weight: int
    max_in_flight: int = 4
    lost_after_s: float = 60.0
    initial_retry_s: float = 0.5
    max_retry_s: float = 30.0
    rng: random.Random = field(default_factory=random.Random)

    _waiting: deque[int] = field(default_factory=deque)
    _in_flight: dict[int, float] = field(default_factory=dict)  # when it went out
    _again: set[int] = field(default_factory=set)  # wanted once more while one was under way
    _not_before: dict[int, float] = field(default_factory=dict)
    _failures: dict[int, int] = field(default_factory=dict)

    def want(self, symbol_id: int) -> None:
        """Note that a book waits for a snapshot. One under way may be too old for it: then it is another."""
        if symbol_id in self._in_flight:
            self._again.add(symbol_id)
        elif symbol_id not in self._waiting:
            self._waiting.append(symbol_id)

    def forget(self, symbol_id: int) -> None:
        """Drop a symbol that is no longer subscribed to."""
        if symbol_id in self._waiting:
            self._waiting.remove(symbol_id)
        self._in_flight.pop(symbol_id, None)
        self._again.discard(symbol_id)
        self._not_before.pop(symbol_id, None)
        self._failures.pop(symbol_id, None)

    def take(self, now: float, still_wanted: Callable[[int], bool] = lambda _: True) -> list[int]:
        """Return the symbols to fetch at `now` (seconds, monotonic); they count as under way from here on.

        Those that are not `still_wanted` when their turn comes are dropped.
        """
        for symbol_id in [id_ for id_, since in self._in_flight.items() if now - since > self.lost_after_s]:
            self.failed(symbol_id, now)
        chosen: list[int] = []
        for _ in range(len(self._waiting)):
            if len(self._in_flight) >= self.max_in_flight or not self.budget.affords(self.weight, now):
                break
            symbol_id = self._waiting.popleft()
            if now < self._not_before.get(symbol_id, 0.0):
                self._waiting.append(symbol_id)
                continue
            if not still_wanted(symbol_id):
                continue
            self._in_flight[symbol_id] = now
            self.budget.spend(self.weight, now)
            chosen.append(symbol_id)
        return chosen

    def succeeded(self, symbol_id: int, now: float, used_weight: int = -1) -> None:
        """Note an answer; `used_weight` is what the venue says was used this minute, -1 if it says nothing.

        The same book may want another at once (the snapshot was older than its deltas): it waits a moment,
        since each costs weight.
        """
        self._in_flight.pop(symbol_id, None)
        self._failures.pop(symbol_id, None)
        self._not_before[symbol_id] = now + self.initial_retry_s * self.rng.uniform(0.5, 1.0)
        self.budget.learn(used_weight, now)
        if symbol_id in self._again:
            self._again.remove(symbol_id)
            self.want(symbol_id)

    def failed(self, symbol_id: int, now: float, retry_after_s: float = -1, used_weight: int = -1) -> float:
        """Note a failure and return how long until the next attempt, in seconds.

        `retry_after_s` is the venue's own word (429, 418): nothing at all is fetched before.
        """
        self._in_flight.pop(symbol_id, None)
        self._again.discard(symbol_id)
        failures = self._failures.get(symbol_id, 0)
        self._failures[symbol_id] = failures + 1
        step = min(self.max_retry_s, self.initial_retry_s * 2.0 ** min(failures, 30))
        delay = step * self.rng.uniform(0.5, 1.0)
        if retry_after_s >= 0:
            self.budget.pause(now + retry_after_s)
            delay = max(delay, retry_after_s)
        self._not_before[symbol_id] = now + delay
        self.budget.learn(used_weight, now)
        self.want(symbol_id)
        return delay

    @property
    def idle(self) -> bool:
        """Whether no book waits for a snapshot and none is on its way."""
        return not self._waiting and not self._in_flight

    @property
    def waiting(self) -> int:
        """How many symbols wait for their turn."""
        return len(self._waiting)

    @property
    def in_flight(self) -> int:
        """How many requests are under way."""
        return len(self._in_flight)


@dataclass
class AuditScheduler:
    """Decides which LIVE book is compared with a snapshot next: one at a time, each in its turn.

    Never in the way of a sync: only while no book of the venue waits for a snapshot and half of the budget is
    unspent. A suspect waits for no turn and for nobody's sync, also where `interval_s` is 0; but if it stays
    one after its audit, the waits until the next ones double.

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
        turn = self.interval_s > 0 and now >= self._due and self.snapshots.idle
        busy = self._under_way is not None and now < self._began + _AUDIT_LOST_S
        if busy or not (turn or self._suspects):
            return None
        budget, weight = self.snapshots.budget, self.snapshots.weight
        if not budget.affords(weight, now, reserve=_AUDIT_RESERVE):
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
