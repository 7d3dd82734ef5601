"""When what is configured and cannot be had is tried again, and what is told of it."""

from __future__ import annotations

import random
from typing import Any

import pytest
from mdp.configuring.config import VenueSection
from mdp.providing.wanted import Wanted


class Highest(random.Random):
    """No jitter: always the whole step."""

    def uniform(self, a: float, b: float) -> float:
        return b


class Lowest(random.Random):
    """The shortest wait there may be."""

    def uniform(self, a: float, b: float) -> float:
        return a


def wanted(rng: random.Random | None = None, **over: Any) -> Wanted:
    section = {"name": "binance", "symbols": ["AAA", "BBB"], "retry_missing_ms": 1_000, **over}
    return Wanted(VenueSection.model_validate(section), rng or Highest())


def test_everything_is_wanted_at_once_and_until_it_is_had() -> None:
    venue = wanted()
    assert venue.symbols == ["AAA", "BBB"]
    assert venue.due(0.0)
    assert not venue.asked
    venue.begin()
    assert not venue.due(1e9), "one attempt at a time"
    venue.have("AAA")
    venue.have("BBB")
    venue.answered(5.0)
    assert venue.asked
    assert venue.missing == {}
    assert not venue.due(1e9), "nothing is missing"


def test_venue_that_does_not_answer_is_asked_soon_by_its_backoff() -> None:
    venue = wanted(backoff={"initial_ms": 100, "max_ms": 500, "multiplier": 2})
    waits = []
    for _ in range(5):
        venue.begin()
        waits.append(venue.unreachable("silence", 0.0))
    assert waits == [0.1, 0.2, 0.4, 0.5, 0.5]
    assert venue.attempts == 5
    assert venue.missing == {"AAA": "silence", "BBB": "silence"}
    assert not venue.due(0.499)
    assert venue.due(0.5)
    venue.begin()
    venue.answered(1.0)
    assert venue.attempts == 0, "it answered, and the waits begin anew"
    venue.begin()
    assert venue.unreachable("silence", 2.0) == 0.1


@pytest.mark.parametrize("multiplier", [1.01, 10.0])
def test_backoff_reaches_its_cap_and_never_overflows(multiplier: float) -> None:
    venue = wanted(backoff={"multiplier": multiplier, "max_ms": 30_000})
    for _ in range(2_000):
        venue.begin()
        last = venue.unreachable("silence", 0.0)
    assert last == 30.0


def test_backoff_has_the_jitter_that_is_configured() -> None:
    half = wanted(Lowest(), backoff={"initial_ms": 100, "jitter": 0.5})
    half.begin()
    assert half.unreachable("silence", 0.0) == pytest.approx(0.05)


def test_word_of_the_venue_makes_the_wait_longer_never_shorter() -> None:
    venue = wanted(backoff={"initial_ms": 2_000})
    venue.begin()
    assert venue.unreachable("429", 0.0, retry_after_s=60) == 60
    venue.begin()
    assert venue.unreachable("429", 0.0, retry_after_s=1) == 4.0


def test_what_an_answering_venue_lacks_is_tried_rarely_and_ever_more_so() -> None:
    venue = wanted(retry_missing_ms=30_000)
    now, waits = 0.0, []
    for _ in range(8):
        assert venue.due(now)
        venue.begin()
        venue.refuse("AAA", "not listed")
        venue.have("BBB")
        waits.append(venue.answered(now))
        assert not venue.due(now + waits[-1] - 0.001)
        now += waits[-1]
    assert waits == [30, 60, 120, 240, 480, 600, 600, 600]


def test_first_wait_longer_than_ten_minutes_is_kept() -> None:
    venue = wanted(retry_missing_ms=3_600_000)
    waits = []
    for _ in range(2):
        venue.begin()
        waits.append(venue.answered(0.0))
    assert waits == [3_600, 3_600]


def test_the_same_is_told_once() -> None:
    venue = wanted()
    assert venue.refuse("AAA", "not listed")
    assert not venue.refuse("AAA", "not listed")
    venue.begin()
    venue.unreachable("silence", 0.0)  # told by itself each time
    assert not venue.refuse("AAA", "not listed"), "as before the silence"
    assert venue.refuse("AAA", "tickSize is not a number")
    assert venue.refuse_all("no such channel")
    assert not venue.refuse_all("no such channel")
    assert venue.missing == dict.fromkeys(["AAA", "BBB"], "no such channel")


def test_stream_refused_while_all_else_runs_is_tried_like_what_was_never_had() -> None:
    venue = wanted()
    venue.begin()
    for symbol in venue.symbols:
        venue.have(symbol)
    venue.answered(0.0)
    assert venue.refuse("AAA trade", "code 2")
    venue.later(100.0)
    assert not venue.due(100.9)
    assert venue.due(101.0)
    venue.begin()
    assert venue.symbols == [], "no symbol is missing for it"
    assert venue.answered(101.0) == 1.0
    venue.have("AAA trade")
    assert not venue.due(1e9)
    assert not venue.refuse("AAA trade", "code 2"), "the same again is no news"
    venue.later(101.1)
    assert not venue.due(103.0)
    assert venue.due(103.1), "twice as long"
