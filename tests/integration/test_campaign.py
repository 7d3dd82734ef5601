"""Campaigns over real sockets: random scripts of faults. A book that says LIVE is true at every look.

After each scenario all books are LIVE again and equal to the ground truth, and nothing was left behind: no
thread, no descriptor, and over the whole campaign no memory. MDP_CAMPAIGN_SEED and MDP_CAMPAIGN_SCENARIOS
repeat or prolong a run of the stress test.
"""

from __future__ import annotations

import gc
import os
import random
from collections.abc import Callable
from typing import Any

import pytest
from integration.harness import (
    SNAPSHOT_PAUSE_S,
    RingModel,
    all_live,
    assert_book_is_true,
    assert_ring_is_true,
    assert_soon_live,
    descriptors,
    doubling_s,
    fresh,
    threads,
    wait_fired,
    wait_for,
    wait_live,
)
from mdp import Provider, StateReason, Subscriber
from mdp.sim import SimProcess

SYMBOLS = ["BTCUSDT", "ETHUSDT", "BNBUSDT", "SOLUSDT"]
LEVELS = 5
RATE = 150
IDLE_TIMEOUT_S = 1.5
CI_SCENARIOS = 6  # in each topology: a dozen
STRESS_SCENARIOS = int(os.environ.get("MDP_CAMPAIGN_SCENARIOS", "150"))  # in each topology
STRESS_SEED = int(os.environ.get("MDP_CAMPAIGN_SEED", "1000"))
FAULTS = (2, 5)  # of one scenario
LOOKS_AFTER_EACH = 2
WARM_UP = 40  # scenarios until every buffer has grown to its size
# Of a scenario after that, in memory that is this process's own: 3 measured, for the states that the model of
# the ring keeps, and a step of 1 MiB where a snapshot or a burst is larger than any before. The ring does not
# count: the mapping that the model has of it fills with what is published, 75 a scenario, and then no more.
GROWTH_KIB = 32
STEPS_KIB = 2048


def random_fault(rng: random.Random) -> dict[str, Any]:
    """Draw a fault of any kind that leaves the ids honest."""
    symbol = rng.choice([*SYMBOLS, "*"])
    stream = rng.choice([f"{symbol.lower()}@depth@100ms", f"{symbol.lower()}@*"])
    frame = {"stream": stream, "count": rng.randint(1, 3), "skip": rng.randint(0, 3)}
    return rng.choice(
        [
            {"kind": "drop", **frame},
            {"kind": "duplicate", **frame},
            {"kind": "reorder", **frame},
            {"kind": "corrupt", **frame},
            {"kind": "truncate", **frame},
            {"kind": "truncate", "mode": "frame", "stream": stream},
            {"kind": "oversized", "symbol": symbol, "levels": rng.randint(100, 5000)},
            {"kind": "disconnect", "mode": rng.choice(["reset", "abort", "close"])},
            {"kind": "stall", "ms": rng.randint(10, 500)},
            {"kind": "half_open"},
            {"kind": "shutdown_notice"},
            {"kind": "refuse_connect", "status": 503, "count": rng.randint(1, 3)},
            {"kind": "snapshot_stale", "symbol": symbol, "updates": rng.randint(1, 3000)},
            {
                "kind": "snapshot_error",
                "symbol": symbol,
                "status": rng.choice([500, 429, 418]),
                "retry_after": 1,
            },
            {"kind": "snapshot_truncate", "symbol": symbol},
            {"kind": "snapshot_delay_ms", "symbol": symbol, "ms": rng.randint(10, 800)},
        ]
    )


def wait_s(script: list[dict[str, Any]]) -> float:
    """How long the faults of a script may keep a book from LIVE, all of them one after another."""
    failed = sum(
        fault["kind"] in ("snapshot_error", "snapshot_truncate", "snapshot_stale") for fault in script
    )
    attempts = sum(1 + fault.get("count", 1) for fault in script if fault["kind"] == "refuse_connect")
    seconds = doubling_s(SNAPSHOT_PAUSE_S, failed) + 0.2 * (attempts + len(script))  # longest backoff: 200 ms
    for fault in script:
        if fault["kind"] in ("stall", "snapshot_delay_ms"):
            seconds += fault["ms"] / 1000
        elif fault["kind"] == "half_open":
            seconds += IDLE_TIMEOUT_S
        elif fault["kind"] == "snapshot_error":
            seconds += fault["retry_after"]
        elif fault["kind"] == "oversized":
            seconds += fault["levels"] / RATE  # updates as well
        # Each may strike while the one before is being recovered from: a snapshot more.
        seconds += SNAPSHOT_PAUSE_S
    return seconds


def own_kib() -> int:
    """Return the memory of this process that is in use and nobody else's: without shared memory and files."""
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("RssAnon:"))


class Campaign:
    """One provider against one sim, and what it is held against."""

    def __init__(self, sim: SimProcess, provider: Provider, segment: str) -> None:
        self.sim = sim
        self.provider = provider
        wait_live(provider)
        self.subscriber = Subscriber(segment)
        self.model = RingModel(segment)
        self.looks = 0
        self.faults = 0
        self.fired: set[str] = set()
        self.bounded = dict.fromkeys(SYMBOLS, 0)  # recoveries whose length has been looked at
        self.wait_s = 1.0  # of the scenario before, or the start: its faults may still be under way
        self.open_every_connection()
        self.threads = len(threads())
        self.descriptors = len(descriptors())

    def open_every_connection(self) -> None:
        """Have all descriptors counted that there may be: ours to the sim, and REST's for every book at once.

        On a slow machine the first snapshots come one by one, on one connection, and those opened later stay
        for 30 s: they were taken for a leak.
        """
        delays = self.sim.fault("snapshot_delay_ms", ms=1000, count=len(SYMBOLS))["id"]
        for symbol_id in range(len(SYMBOLS)):
            self.provider.resync(symbol_id)
        wait_fired(self.sim, delays, len(SYMBOLS))
        wait_for(lambda: all_live(self.provider), lambda: fresh(self.provider).states())

    def scenario(self, seed: int) -> None:
        """Play one random script and see that everything is right again."""
        rng = random.Random(seed)
        script = [random_fault(rng) for _ in range(rng.randint(*FAULTS))]
        kinds = ", ".join(fault["kind"] for fault in script)
        print(f"scenario {seed}, {own_kib()} KiB of its own: {kinds}")
        for fault in script:
            self.sim.fault(**fault)
            self.faults += 1
            for _ in range(LOOKS_AFTER_EACH):
                self.look()
        self.fired |= {fault["kind"] for fault in self.sim.faults() if fault["fired"]}
        self.sim.clear_faults()
        wait_for(
            lambda: all_live(self.provider), lambda: f"LIVE after {script}: {fresh(self.provider).states()}"
        )
        for symbol in SYMBOLS:
            # Wait for the newest: a book may have gone STALE again by a fault that was still on its way.
            book = wait_for(lambda symbol=symbol: self.live_book(symbol), f"a LIVE book of {symbol}")
            assert_book_is_true(self.sim, book)
            self.model.catch_up()
            assert_ring_is_true(self.sim, self.model, symbol, LEVELS)
        self.each_was_soon_over(script)
        self.no_leak()

    def each_was_soon_over(self, script: list[dict[str, Any]]) -> None:
        """Bound each recovery since the last scenario in updates of the exchange's book."""
        own_s = wait_s(script)
        for symbol in SYMBOLS:
            recoveries = self.model.book(symbol).recoveries
            new = recoveries[self.bounded[symbol] :]
            self.bounded[symbol] = len(recoveries)
            assert_soon_live(self.sim, symbol, new, RATE, self.wait_s + own_s)
        self.wait_s = own_s

    def look(self) -> None:
        before = fresh(self.provider).health().engine.events
        wait_for(lambda: fresh(self.provider).health().engine.events > before + 20, "events")
        self.model.catch_up()
        for symbol in SYMBOLS:
            book = self.live_book(symbol)
            if book is not None:
                assert_book_is_true(self.sim, book)
                self.looks += 1

    def live_book(self, symbol: str) -> Any:
        book = self.subscriber.book(symbol)
        return book if book.live else None

    def no_leak(self) -> None:
        def left() -> tuple[int, int]:
            return len(threads()) - self.threads, len(descriptors()) - self.descriptors

        wait_for(
            lambda: max(left()) <= 0,
            lambda: f"more threads, descriptors than before: {left()}: {sorted(threads() | descriptors())}",
        )

    def end(self, scenarios: int) -> None:
        print(
            f"{scenarios} scenarios, {self.faults} faults ({len(self.fired)} kinds fired), {self.looks} looks"
        )
        assert self.model.subscriber.lost_events == 0
        # None of these faults makes ids begin anew or dries a stream up, and none is taken for it.
        for symbol in SYMBOLS:
            reasons = {reason for _, reason in self.model.book(symbol).states}
            assert not reasons & {StateReason.SEQUENCE_RESET, StateReason.SILENT}, f"{symbol}: {reasons}"
        # Otherwise the campaign saw nothing.
        assert self.looks > scenarios
        assert len(self.fired) > min(scenarios // 2, 10)


@pytest.fixture
def campaign(
    start_sim: Callable[..., SimProcess], provider_for: Callable[..., Provider], segment: str
) -> Callable[[], Campaign]:
    def start() -> Campaign:
        sim = start_sim(symbols=SYMBOLS, seed=7, rate=RATE, weight_limit=1_000_000)
        # Small snapshots cost little of the minute's budget, and are soon eaten: books are widened often.
        over = {"segment": {"levels": LEVELS}}
        idle_timeout_ms = round(IDLE_TIMEOUT_S * 1000)
        provider = provider_for(sim, snapshot_depth=20, idle_timeout_ms=idle_timeout_ms, over=over)
        return Campaign(sim, provider, segment)

    return start


def test_a_dozen_scenarios(campaign: Callable[[], Campaign], topology: str) -> None:
    running = campaign()
    for number in range(CI_SCENARIOS):
        running.scenario(number if topology == "fused" else CI_SCENARIOS + number)
    running.end(CI_SCENARIOS)


@pytest.mark.stress
def test_hundreds_of_scenarios(campaign: Callable[[], Campaign], topology: str) -> None:
    running = campaign()
    warm = 0
    for number in range(STRESS_SCENARIOS):
        running.scenario(STRESS_SEED + number)
        if number == WARM_UP:
            gc.collect()
            warm = own_kib()
    gc.collect()
    grown, after = own_kib() - warm, STRESS_SCENARIOS - WARM_UP
    print(f"own memory grew by {grown} KiB in {after} scenarios")
    assert after <= 0 or grown < STEPS_KIB + GROWTH_KIB * after
    running.end(STRESS_SCENARIOS)
