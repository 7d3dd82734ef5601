"""The venue's limits, enforced: many symbols come up without a refusal, and a refusal is obeyed."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest
from integration.harness import merged, settings, wait_for, wait_live
from mdp import Provider
from mdp.sim import SimProcess


def bring_up(
    sim: SimProcess, start_provider: Callable[..., Provider], segment: str, **venue: Any
) -> Provider:
    over = {"segment": {"instruments": 600, "ring": "64MiB"}}
    provider = start_provider(merged(settings(sim, segment, topology="fused", **venue), over))
    wait_for(
        lambda: provider.health().live == len(sim.symbols),
        lambda: f"{len(sim.symbols)} LIVE, are {provider.health().live}",
        timeout_s=300,
    )
    return provider


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


@pytest.mark.stress
def test_five_hundred_symbols_come_up_and_come_back(
    start_sim: Callable[..., SimProcess], start_provider: Callable[..., Provider], segment: str
) -> None:
    sim = start_sim(symbols=500, seed=22, rate=1, strict=True)
    provider = bring_up(sim, start_provider, segment, snapshot_depth=100)
    assert_no_limit_was_touched(sim)
    reconnects = sum(line.reconnects for line in provider.health().engine.lines)
    sim.fault("disconnect", mode="reset")
    wait_for(
        lambda: sum(line.reconnects for line in provider.health().engine.lines) > reconnects, "the lines lost"
    )
    wait_for(lambda: provider.health().live == 500, lambda: provider.health().live, timeout_s=300)
    assert_no_limit_was_touched(sim)


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
    sim.fault("snapshot_error", status=status, retry_after=3)
    provider = start_provider(settings(sim, segment, topology="fused"))
    began = time.monotonic()
    wait_live(provider)
    assert time.monotonic() - began >= 3.0
    (refusal,) = sim.counters()["refusals"]
    assert refusal["status"] == status
    # What was under way when the refusal came is not held against us.
    after = [seconds for seconds in refusal["requestsAfter"] if seconds > 0.5]
    assert after, refusal
    assert min(after) >= 3.0, refusal
    # In venue events: nothing but the three snapshots, the refused one again, and the list of instruments.
    assert len(refusal["requestsAfter"]) <= 4, refusal
