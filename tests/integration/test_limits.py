"""The venue's limits, enforced: many symbols come up without a refusal, and a refusal is obeyed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from integration.harness import (
    RingModel,
    assert_soon_live,
    fresh,
    merged,
    settings,
    wait_fired,
    wait_for,
    wait_live,
)
from mdp import Provider
from mdp.sim import SimProcess


def bring_up(
    sim: SimProcess, start_provider: Callable[..., Provider], segment: str, **venue: Any
) -> Provider:
    over = {"segment": {"instruments": 600, "ring": "64MiB"}}
    provider = start_provider(merged(settings(sim, segment, topology="fused", **venue), over))
    wait_for(
        lambda: fresh(provider).health().live == len(sim.symbols),
        lambda: f"{len(sim.symbols)} LIVE, are {fresh(provider).health().live}",
        timeout_s=300,
    )
    return provider


def asked(sim: SimProcess) -> tuple[int, int]:
    """How many connections and REST requests the exchange has had."""
    status = sim.status()
    return status["connections"], status["restRequests"]


def fired(sim: SimProcess, number: int) -> int:
    """How often an armed fault has struck."""
    return next(int(fault["fired"]) for fault in sim.faults() if fault["id"] == number)


def assert_no_limit_was_touched(sim: SimProcess) -> None:
    counters = sim.counters()
    assert counters["violations"] == {}, counters
    assert counters["refusals"] == []


def test_many_symbols_come_up_within_the_limits(
    start_sim: Callable[..., SimProcess], start_provider: Callable[..., Provider], segment: str
) -> None:
    # 60 snapshots of weight 5 and the list of instruments: within the minute's 90 % of 400.
    sim = start_sim(symbols=60, seed=21, rate=4, strict=True, weight_limit=400)
    bring_up(sim, start_provider, segment, snapshot_depth=100)
    assert_no_limit_was_touched(sim)
    assert asked(sim) == (1, 1 + 60), "one connection; the list of instruments, and each snapshot once"


@pytest.mark.parametrize("mode", ["ping", "never"])
def test_a_venue_that_does_not_answer_long_requests_gets_shorter_ones_on_the_same_connection(
    start_sim: Callable[..., SimProcess], start_provider: Callable[..., Provider], segment: str, mode: str
) -> None:
    sim = start_sim(symbols=90, seed=26, rate=2, strict=True)
    provider = bring_up(sim, start_provider, segment, snapshot_depth=100, subscribe_timeout_ms=500)

    def connects_anew(times: int) -> None:
        """Lose the line, so that all is asked for at once, and be LIVE on the next connection."""
        sim.fault("disconnect", mode="reset")

        def state() -> tuple[int, bool, int]:
            (line,) = fresh(provider).health().engine.lines
            return line.reconnects, line.up, fresh(provider).health().live

        wait_for(lambda: state() == (times, True, 90), state, timeout_s=60)
        assert asked(sim)[0] == 1 + times

    at_4000 = sim.fault("request_long", bytes=4000, mode=mode, count=0)["id"]
    connects_anew(1)
    assert fired(sim, at_4000) == 0, "90 symbols in one request are more than 4,000 bytes"
    at_1000 = sim.fault("request_long", bytes=1000, mode=mode, count=0)["id"]
    connects_anew(2)
    struck = fired(sim, at_1000)
    assert struck >= 2
    connects_anew(3)
    assert fired(sim, at_1000) == struck, "a connection begins with what the one before had answers to"
    assert_no_limit_was_touched(sim)


@pytest.mark.stress
def test_five_hundred_symbols_come_up_and_come_back(
    start_sim: Callable[..., SimProcess], start_provider: Callable[..., Provider], segment: str
) -> None:
    sim = start_sim(symbols=500, seed=22, rate=1, strict=True)
    provider = bring_up(sim, start_provider, segment, snapshot_depth=100)
    assert_no_limit_was_touched(sim)
    lines = len(fresh(provider).health().engine.lines)
    assert asked(sim) == (lines, 1 + 500)
    sim.fault("disconnect", mode="reset")
    wait_for(
        lambda: sum(line.reconnects for line in provider.health().engine.lines) == lines,
        "the lines lost",
    )
    wait_for(
        lambda: fresh(provider).health().live == 500, lambda: fresh(provider).health().live, timeout_s=300
    )
    assert_no_limit_was_touched(sim)
    assert asked(sim) == (2 * lines, 1 + 2 * 500), "no attempt and no snapshot more than it takes"


@pytest.mark.parametrize("status", [429, 418])
def test_retry_after_of_the_first_request_is_obeyed(
    start_sim: Callable[..., SimProcess],
    start_provider: Callable[..., Provider],
    segment: str,
    status: int,
) -> None:
    sim = start_sim(symbols=["BTCUSDT"], seed=23, rate=50)
    sim.fault("rest_error", status=status, retry_after=2)
    provider = start_provider(settings(sim, segment, topology="fused"))
    wait_live(provider)
    (refusal,) = sim.counters()["refusals"]
    # The list of instruments again, then the snapshot.
    assert len(refusal["requestsAfter"]) == 2, refusal
    assert refusal["requestsAfter"][0] >= 2.0, refusal
    assert "early_request" not in sim.counters()["violations"]


@pytest.mark.parametrize("status", [429, 418])
def test_retry_after_is_obeyed_to_the_second(
    start_sim: Callable[..., SimProcess],
    start_provider: Callable[..., Provider],
    segment: str,
    status: int,
) -> None:
    sim = start_sim(symbols=["BTCUSDT", "ETHUSDT", "BNBUSDT"], seed=23, rate=50)
    number = sim.fault("snapshot_error", status=status, retry_after=3)["id"]
    provider = start_provider(settings(sim, segment, topology="fused"))
    wait_fired(sim, number)
    refused_at = {symbol: row["updateId"] for symbol, row in sim.status()["symbols"].items()}
    wait_live(provider)
    (refusal,) = sim.counters()["refusals"]
    assert refusal["status"] == status
    # What was under way when the refusal came is not held against us.
    after = [seconds for seconds in refusal["requestsAfter"] if seconds > 0.5]
    assert after, refusal
    assert min(after) >= 3.0, refusal
    # In venue events: nothing but the list of instruments, the three snapshots, and the refused one again.
    assert asked(sim) == (1, 1 + 3 + 1)
    model = RingModel(segment)
    for symbol in sim.symbols:
        book = model.book_when_live(symbol)
        assert_soon_live(sim, symbol, [(refused_at[symbol], book.live_at)], 50, wait_s=3.0)
