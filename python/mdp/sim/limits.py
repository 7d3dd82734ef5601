"""The venue's limits: REST weight per minute, messages, connection attempts; and how clients kept them."""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

_BAN_SECONDS = 120
_REFUSALS_KEPT = 1024
_REQUESTS_AFTER_KEPT = 16


@dataclass(frozen=True)
class Refusal:
    """Why a request was turned away."""

    status: int
    retry_after_s: int
    message: str


@dataclass
class RefusalRecord:
    """One 429 or 418, and when the requests after it came.

    Attributes
    ----------
    pool : str
        Weight budget, or the family for a refused handshake.
    status, retry_after_s : int
        What was answered.
    at_s : float
        When, seconds since the epoch.
    requests_after_s : list of float
        How long after it the next requests of the same pool came, at most sixteen.
    """

    pool: str
    status: int
    retry_after_s: int
    at_s: float
    requests_after_s: list[float] = field(default_factory=list)


class Counters:
    """What clients did, for tests to read.

    Attributes
    ----------
    violations : Counter
        Broken limits by name: ``messages``, ``streams``, ``connects``, ``weight``, ``early_request`` (before
        Retry-After had passed), ``banned_request`` (answered by 418), ``pong``.
    connects, connects_refused : int
        WebSocket handshakes accepted and refused.
    weight_per_minute : dict
        Weight used by pool and minute since the epoch.
    refusals : deque of RefusalRecord
        The newest ones.
    """

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self.violations: Counter[str] = Counter()
        self.connects = 0
        self.connects_refused = 0
        self.expired_connections = 0
        self.weight_per_minute: dict[tuple[str, int], int] = {}
        self.refusals: deque[RefusalRecord] = deque(maxlen=_REFUSALS_KEPT)
        self._last: dict[str, RefusalRecord] = {}

    def request(self, pool: str, weight: int) -> None:
        """Note a request of some weight, before it is answered."""
        now = self._clock()
        minute = (pool, int(now // 60))
        self.weight_per_minute[minute] = self.weight_per_minute.get(minute, 0) + weight
        last = self._last.get(pool)
        if last is None:
            return
        if len(last.requests_after_s) < _REQUESTS_AFTER_KEPT:
            last.requests_after_s.append(now - last.at_s)
        if now - last.at_s < last.retry_after_s:
            self.violations["early_request"] += 1

    def refused(self, pool: str, status: int, retry_after_s: int) -> None:
        """Note that a request was answered by 429 or 418."""
        record = RefusalRecord(pool, status, retry_after_s, self._clock())
        self.refusals.append(record)
        self._last[pool] = record
        self.violations["banned_request" if status == 418 else "weight"] += 1

    def report(self) -> dict[str, Any]:
        """Return the state as JSON-ready dict."""
        weights: dict[str, dict[str, int]] = {}
        for (pool, minute), used in self.weight_per_minute.items():
            weights.setdefault(pool, {})[str(minute)] = used
        return {
            "violations": dict(self.violations),
            "connects": self.connects,
            "connectsRefused": self.connects_refused,
            "expiredConnections": self.expired_connections,
            "weightPerMinute": weights,
            "refusals": [
                {
                    "pool": record.pool,
                    "status": record.status,
                    "retryAfter": record.retry_after_s,
                    "at": record.at_s,
                    "requestsAfter": record.requests_after_s,
                }
                for record in self.refusals
            ],
        }


def used_up_message(limit: int) -> str:
    """Return the venue's text for 429."""
    return (
        f"Too much request weight used; current limit is {limit} request weight per 1 MINUTE. "
        "Please use WebSocket Streams for live updates to avoid polling the API."
    )


def banned_message(until_ms: int) -> str:
    """Return the venue's text for 418."""
    return (
        f"Way too much request weight used; IP banned until {until_ms}. "
        "Please use WebSocket Streams for live updates to avoid bans."
    )


@dataclass
class _Account:
    minute: int = 0
    used: int = 0
    refused: int = 0
    banned_until_s: float = 0.0


class WeightLedger:
    """Request weight per address and clock minute.

    Parameters
    ----------
    limit : int
        Weight a minute may use.
    ban_after : int
        Refused requests in one minute after which the address is banned for two minutes.
    clock : callable
        Seconds since the epoch; tests give their own.
    """

    def __init__(self, limit: int, ban_after: int, clock: Callable[[], float] = time.time) -> None:
        self.limit = limit
        self._ban_after = ban_after
        self._clock = clock
        self._accounts: dict[str, _Account] = {}

    def _account(self, address: str) -> _Account:
        account = self._accounts.setdefault(address, _Account())
        minute = int(self._clock() // 60)
        if account.minute != minute:
            account.minute, account.used, account.refused = minute, 0, 0
        return account

    def used(self, address: str) -> int:
        """Return the weight used in the current minute."""
        return self._account(address).used

    def charge(self, address: str, weight: int) -> Refusal | None:
        """Book `weight`, or return why not. Refused requests count too, as the venue counts them."""
        account = self._account(address)
        now = self._clock()
        if now < account.banned_until_s:
            return Refusal(
                418, int(account.banned_until_s - now) + 1, banned_message(int(account.banned_until_s * 1000))
            )
        account.used += weight
        if account.used <= self.limit:
            return None
        account.refused += 1
        if account.refused > self._ban_after:
            account.banned_until_s = now + _BAN_SECONDS
            return Refusal(418, _BAN_SECONDS, banned_message(int(account.banned_until_s * 1000)))
        return Refusal(429, int(60 - now % 60) + 1, used_up_message(self.limit))


class SlidingWindow:
    """At most `limit` occurrences within any `seconds`."""

    def __init__(self, limit: int, seconds: float) -> None:
        self._limit = limit
        self._seconds = seconds
        self._times: deque[float] = deque()

    def allow(self, now: float) -> bool:
        """Count one occurrence at `now` (monotonic seconds); return whether it is still allowed."""
        times = self._times
        while times and times[0] <= now - self._seconds:
            times.popleft()
        times.append(now)
        return len(times) <= self._limit
