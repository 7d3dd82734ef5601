"""What the configuration wants of a venue and cannot have yet, and when it is tried again.

Pure logic on a clock the caller gives; `Provider` tries, and tells what comes of it.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field

from mdp.configuring.config import VenueSection

_LONGEST_S = 600.0
"""Between two attempts to have what a venue that answers does not give."""


@dataclass
class Wanted:
    """One venue of the configuration: what is missing of it.

    There are two kinds of waits. A venue that cannot be reached, or whose answer cannot be read, is asked
    again soon, by its `backoff`. One that answers and lacks something (a symbol it does not list, a stream it
    refuses) is asked rarely: first after `retry_missing_ms`, then after twice as long each time, up to ten
    minutes. So is a venue that cannot be used as configured.

    Parameters
    ----------
    section
        The venue's part of the configuration.
    rng
        Source of the jitter.
    """

    section: VenueSection
    rng: random.Random = field(default_factory=random.Random)

    asked: bool = False
    """Whether there was an outcome at all: a list, or why there is none."""
    attempts: int = 0
    """Failures in a row to reach the venue."""
    _missing: dict[str, str] = field(default_factory=dict)  # what, and why
    _told: dict[str, str] = field(default_factory=dict)  # likewise, also of what was had since
    _under_way: bool = False
    _due: float = 0.0
    _step_ms: float = 0.0  # of the waits while the venue does not answer
    _rounds: int = 0  # rare attempts so far

    def __post_init__(self) -> None:
        """Want every symbol."""
        for symbol in self.section.symbols:
            self._missing[symbol] = "not asked for yet"

    @property
    def missing(self) -> dict[str, str]:
        """What is missing and why: symbols, and ``symbol channel`` of streams the venue refuses."""
        return dict(self._missing)

    @property
    def symbols(self) -> list[str]:
        """The symbols that are missing, in the order of the configuration."""
        return [symbol for symbol in self.section.symbols if symbol in self._missing]

    def due(self, now: float) -> bool:
        """Whether to try at `now` (seconds, monotonic)."""
        return not self._under_way and bool(self._missing) and now >= self._due

    def begin(self) -> None:
        """Note that an attempt is under way."""
        self._under_way = True

    def unreachable(self, why: str, now: float, retry_after_s: float = -1) -> float:
        """Note that the venue did not answer, or not readably; return how long until the next attempt, in s.

        `retry_after_s` is the venue's own word (429, 418); -1: it said none.
        """
        backoff = self.section.backoff
        step_ms = self._step_ms * backoff.multiplier if self.attempts else backoff.initial_ms
        self._step_ms = min(step_ms, backoff.max_ms)
        self.attempts += 1
        self._missing = dict.fromkeys(self._missing, why)
        delay = self._step_ms / 1000 * self.rng.uniform(1.0 - backoff.jitter, 1.0)
        return self._end(now, max(delay, retry_after_s))

    def answered(self, now: float) -> float:
        """Note that an attempt is over; return how long until the next one, in s, if it is needed."""
        self.attempts = 0
        delay = self._rare()
        self._rounds += bool(self._missing)
        return self._end(now, delay)

    def refuse(self, what: str, why: str) -> bool:
        """Note what cannot be had; say whether this is news: the same is told once."""
        self._missing[what] = why
        news = self._told.get(what) != why
        self._told[what] = why
        return news

    def refuse_all(self, why: str) -> bool:
        """Note that nothing can be had of the venue, and why; say whether this is news."""
        news = False
        for what in list(self._missing):
            news |= self.refuse(what, why)
        return news

    def have(self, what: str) -> None:
        """Note what is not missing any more."""
        self._missing.pop(what, None)

    def later(self, now: float) -> None:
        """Put the next attempt off: something that was had is missing again."""
        if not self._under_way:
            self._due = max(self._due, now + self._rare())

    def _rare(self) -> float:
        first = self.section.retry_missing_ms / 1000
        step = min(first * 2.0 ** min(self._rounds, 60), max(first, _LONGEST_S))
        return step * self.rng.uniform(0.5, 1.0)

    def _end(self, now: float, delay: float) -> float:
        self.asked = True
        self._under_way = False
        self._due = now + delay
        return delay
