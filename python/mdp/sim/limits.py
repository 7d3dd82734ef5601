"""The venue's rate limits: REST weight per minute, client messages per second, connection attempts."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

_BAN_SECONDS = 120


@dataclass(frozen=True)
class Refusal:
    """Why a request was turned away."""

    status: int
    retry_after_s: int
    message: str


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
