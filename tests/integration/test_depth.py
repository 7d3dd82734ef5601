"""Books that know little of a market that runs: whatever is LIVE is the exchange's.

Snapshots end and caps cut; the truth knows nothing of that. A LIVE book must be made known deeper before the
market has eaten what it knows, or leave LIVE.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from integration.harness import (
    RingModel,
    all_live,
    assert_book_is_true,
    assert_ring_is_true,
    fresh,
    wait_for,
    wait_live,
)
from mdp import BookState, Provider, StateReason, Subscriber
from mdp.sim import SimProcess, start_sim_process

SYMBOLS = ["BTCUSDT", "ETHUSDT", "BNBUSDT"]
LOOKS = 20  # at each book, for each pair of depths
STRESS_LOOKS = int(os.environ.get("MDP_DEPTH_LOOKS", "400"))
EXHAUSTED = (BookState.STALE, StateReason.DEPTH_EXHAUSTED)

# Levels published, levels of a snapshot, levels kept (0: all).
DEPTHS = [(20, 40, 0), (20, 100, 40), (5, 10, 0), (1, 5, 2), (10, 500, 20)]


@pytest.fixture(scope="module", params=["binance", "binance-usdm"])
def market(request: pytest.FixtureRequest) -> Iterator[tuple[str, SimProcess]]:
    sim = start_sim_process(
        families=[request.param], symbols=SYMBOLS, seed=11, rate=400, weight_limit=1_000_000
    )
    sim.status()  # opens the connection that all tests ask the exchange on, before any counts descriptors
    yield request.param, sim
    sim.stop()


class Runs:
    """A provider on markets that run up and down, and looks at what it publishes."""

    def __init__(self, sim: SimProcess, provider: Provider, segment: str, seed: int) -> None:
        self.sim = sim
        self.provider = provider
        self.rng = random.Random(seed)
        wait_live(provider)
        self.subscriber = Subscriber(segment)
        self.model = RingModel(segment)
        self.looks = 0

    def look(self, looks: int) -> None:
        for round_ in range(looks):
            if round_ % 4 == 0:
                for symbol in SYMBOLS:
                    self.sim.lean(symbol, self.rng.choice([-1, 1]) * self.rng.randint(200, 3000))
            before = fresh(self.provider).health().engine.events
            wait_for(
                lambda before=before: fresh(self.provider).health().engine.events > before + 100, "events"
            )
            self.model.catch_up()
            for symbol in SYMBOLS:
                book = self.subscriber.book(symbol)
                if book.live:
                    assert_book_is_true(self.sim, book)
                    self.looks += 1
                ring = self.model.book(symbol)
                if ring.state == BookState.LIVE and ring.update_id:
                    assert_ring_is_true(self.sim, self.model, symbol, 5000)

    def check(self) -> None:
        engine = fresh(self.provider).health().engine
        assert (engine.gaps, engine.crossed, engine.audit_mismatches) == (0, 0, 0)
        assert (engine.rest_audit_mismatches, engine.widen_disputes) == (0, 0)
        for symbol in SYMBOLS:
            stale = [state for state in self.model.book(symbol).states if state[0] == BookState.STALE]
            assert set(stale[1:]) <= {EXHAUSTED}, symbol
        wait_for(lambda: all_live(self.provider), lambda: fresh(self.provider).states())
        print(f"{self.looks} looks, {engine.widened} widened, {engine.depth_exhausted} exhausted")


@pytest.fixture
def runs(
    market: tuple[str, SimProcess],
    start_provider: Callable[..., Provider],
    segment_factory: Callable[[], str],
) -> Callable[..., Runs]:
    from integration.harness import merged, settings

    def start(depths: tuple[int, int, int], topology: str = "fused", **over: Any) -> Runs:
        name, sim = market
        levels, snapshot_depth, book_depth = depths
        segment = segment_factory()
        config = settings(sim, segment, topology=topology, name=name, snapshot_depth=snapshot_depth)
        own = {"segment": {"levels": levels, "ring": "64MiB"}, "engine": {"book_depth": book_depth}}
        return Runs(sim, start_provider(merged(merged(config, own), over)), segment, seed=sum(depths))

    return start


@pytest.mark.parametrize("depths", DEPTHS, ids=str)
def test_what_is_live_is_true_however_little_is_known(
    runs: Callable[..., Runs], depths: tuple[int, int, int]
) -> None:
    running = runs(depths)
    running.look(LOOKS)
    running.check()
    assert running.looks > LOOKS  # books are LIVE most of the time

    def widened() -> bool:
        engine = fresh(running.provider).health().engine
        # With a few levels to spare one batch may eat them all: then there is no time for a snapshot.
        return engine.widened > 0 or (depths[1] - depths[0] < 20 and engine.depth_exhausted > 0)

    # A market that runs fast beside a slow machine exhausts most books before their snapshot is there.
    for _ in range(5):
        if not widened():
            running.look(LOOKS)
    assert widened()


def test_a_book_is_made_deeper_without_leaving_live(runs: Callable[..., Runs], topology: str) -> None:
    running = runs((10, 60, 0), topology)
    running.look(LOOKS)
    running.check()
    engine = fresh(running.provider).health().engine
    assert engine.widened > 0
    assert sum(running.model.book(symbol).widened for symbol in SYMBOLS) > 0


@pytest.mark.stress
@pytest.mark.parametrize("depths", DEPTHS, ids=str)
def test_thousands_of_looks(runs: Callable[..., Runs], depths: tuple[int, int, int]) -> None:
    running = runs(depths)
    running.look(STRESS_LOOKS)
    running.check()
    assert running.looks > STRESS_LOOKS
