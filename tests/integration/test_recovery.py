"""Every fault of the exchange: the books concerned leave LIVE for the right reason and come back true."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from integration.harness import (
    LIVE_ROAD,
    RingModel,
    assert_book_is_true,
    assert_ring_equals_table,
    recovery,
    wait_for,
    wait_live,
)
from mdp import BookState, Provider, StateReason, Subscriber
from mdp.sim import SimProcess, start_sim_process

STRUCK, OTHER = SYMBOLS = ["BTCUSDT", "ETHUSDT"]
DEPTH_STREAM = "btcusdt@depth@100ms"
RECOVERY_UPDATES = 2000
"""How many updates of the exchange's book a recovery may take, the longest being those from silence."""


@pytest.fixture(scope="module")
def sim() -> Iterator[SimProcess]:
    with start_sim_process(symbols=SYMBOLS, seed=5, rate=100, depth_interval_ms=50) as sim:
        sim.status()  # the handle's connection is there before any test counts descriptors
        yield sim


@pytest.fixture(autouse=True)
def _no_old_faults(sim: SimProcess, leak_check: None) -> None:
    sim.clear_faults()


class Watched:
    """A provider whose books are LIVE, and its ring read up to now."""

    def __init__(self, sim: SimProcess, provider: Provider, segment: str) -> None:
        self.sim, self.provider = sim, provider
        self.subscriber = Subscriber(segment)
        self.ids = {symbol: self.subscriber.instrument(symbol).symbol_id for symbol in SYMBOLS}
        self.model = RingModel(segment)
        wait_live(provider)
        self.model.advance(
            lambda: all(self.model.books[id_].state == BookState.LIVE for id_ in self.ids.values()), "LIVE"
        )
        assert [self.model.book(symbol).states for symbol in SYMBOLS] == [LIVE_ROAD, LIVE_ROAD]

    def strike(self, kind: str, **params: Any) -> None:
        """Arm a fault and wait until it has struck."""
        number = self.sim.fault(kind, **params)["id"]
        self.wait_fired(number)

    def wait_fired(self, number: int, times: int = 1) -> None:
        def fired() -> bool:
            return any(fault["id"] == number and fault["fired"] >= times for fault in self.sim.faults())

        wait_for(fired, lambda: f"fault {number} to strike: {self.sim.faults()}")

    def states(self, symbol: str) -> list[tuple[BookState, StateReason]]:
        """The states since the book was LIVE first."""
        return self.model.book(symbol).states[len(LIVE_ROAD) :]

    def check(self, struck: list[Any], other: list[Any]) -> None:
        """Wait until each book went exactly this way, then compare both with the truth, twice."""

        def over() -> bool:
            return all(
                len(self.states(symbol)) >= len(states)
                for symbol, states in ((STRUCK, struck), (OTHER, other))
            )

        self.model.advance(over, lambda: f"{struck} and {other}, not {[*map(self.states, SYMBOLS)]}")
        for _ in range(2):
            for symbol in SYMBOLS:
                at = self.subscriber.book(symbol).update_id
                wait_for(lambda symbol=symbol, at=at: self.subscriber.book(symbol).update_id > at, symbol)
                book = self.subscriber.book(symbol, require_live=True)
                assert_book_is_true(self.sim, book)
                assert_ring_equals_table(self.model, book)
        self.model.catch_up()
        assert [self.states(symbol) for symbol in SYMBOLS] == [struck, other]
        for symbol in SYMBOLS:
            assert max(self.updates_missed(symbol), default=0) <= RECOVERY_UPDATES

    def updates_missed(self, symbol: str) -> list[int]:
        """How many updates of the exchange's book each recovery took, from the last LIVE id to the next."""
        book = self.model.book(symbol)
        live = [
            id_
            for (state, _), id_ in zip(book.states, book.state_ids, strict=True)
            if state == BookState.LIVE
        ]
        stale = [
            id_
            for (state, reason), id_ in zip(book.states, book.state_ids, strict=True)
            if state == BookState.STALE and reason != StateReason.STARTING
        ]
        return [back - left for left, back in zip(stale, live[1:], strict=False)]


@pytest.fixture
def watch(sim: SimProcess, provider_for: Callable[..., Provider], segment: str) -> Callable[..., Watched]:
    return lambda **venue: Watched(sim, provider_for(sim, **venue), segment)


GAP = recovery(StateReason.GAP)
LOST_LINE = recovery(StateReason.DISCONNECTED)
UNREADABLE = recovery(StateReason.PARSE_ERROR)
REQUESTED = recovery(StateReason.REQUESTED)


@pytest.mark.parametrize(
    ("kind", "params", "states", "parse_errors"),
    [
        ("drop", {}, GAP, 0),
        ("reorder", {}, GAP, 0),
        ("corrupt", {}, UNREADABLE, 1),
        # A frame without its end names no symbol: the book is right until the next one shows the hole.
        ("truncate", {"mode": "json"}, GAP, 1),
        ("wrong_level", {"mode": "crossed"}, recovery(StateReason.CROSSED), 0),
    ],
    ids=["drop", "reorder", "corrupt", "truncate", "crossed"],
)
def test_bad_frame_resyncs_its_symbol_alone(
    watch: Callable[..., Watched], kind: str, params: dict[str, str], states: list[Any], parse_errors: int
) -> None:
    watched = watch()
    watched.strike(kind, stream=DEPTH_STREAM, **params)
    watched.check(states, [])
    health = watched.provider.health().engine
    assert health.resyncs == 1
    assert health.gaps == (states is GAP)
    assert sum(line.parse_errors for line in health.lines) == parse_errors
    assert sum(line.reconnects for line in health.lines) == 0


def test_duplicate_frame_changes_nothing(watch: Callable[..., Watched]) -> None:
    watched = watch()
    watched.strike("duplicate", stream=DEPTH_STREAM, count=3)
    wait_for(lambda: watched.provider.health().engine.duplicates >= 1, "a duplicate to be counted")
    watched.check([], [])
    assert watched.provider.health().engine.resyncs == 0


@pytest.mark.parametrize("stream", ["btcusdt@trade", "btcusdt@bookTicker"])
def test_lost_trade_or_quote_is_no_gap_of_the_book(watch: Callable[..., Watched], stream: str) -> None:
    watched = watch()
    watched.strike("drop", stream=stream)
    watched.check([], [])
    assert watched.provider.health().engine.gaps == 0


def test_huge_delta_is_published_whole(watch: Callable[..., Watched]) -> None:
    watched = watch()
    watched.sim.fault("oversized", symbol=STRUCK, levels=6000)
    book = watched.model.book(STRUCK)
    watched.model.advance(lambda: book.largest_update > 3000, "thousands of levels in one update")
    watched.check([], [])


def test_stall_is_waited_out(watch: Callable[..., Watched]) -> None:
    watched = watch()
    watched.sim.fault("stall", ms=400)
    watched.check([], [])
    assert sum(line.reconnects for line in watched.provider.health().engine.lines) == 0


@pytest.mark.parametrize(
    ("kind", "params"),
    [
        ("disconnect", {"mode": "reset"}),
        ("disconnect", {"mode": "abort"}),
        ("disconnect", {"mode": "close"}),
        ("truncate", {"mode": "frame", "stream": DEPTH_STREAM}),
    ],
    ids=lambda value: value if isinstance(value, str) else "-".join(value.values()),
)
def test_lost_line_resyncs_all_its_books(
    watch: Callable[..., Watched], kind: str, params: dict[str, str]
) -> None:
    watched = watch()
    watched.sim.fault(kind, **params)
    watched.check(LOST_LINE, LOST_LINE)
    assert watched.model.lines == ["UP", "DOWN", "UP"]
    health = watched.provider.health().engine
    assert [line.reconnects for line in health.lines] == [1]
    assert (health.gaps, health.resyncs) == (0, 2)


def test_mute_line_is_noticed_and_replaced(watch: Callable[..., Watched]) -> None:
    watched = watch(idle_timeout_ms=1000)
    watched.sim.fault("half_open")
    watched.check(LOST_LINE, LOST_LINE)
    assert watched.model.lines == ["UP", "DOWN", "UP"]


def test_refused_handshakes_are_tried_again(watch: Callable[..., Watched]) -> None:
    watched = watch()
    number = watched.sim.fault("refuse_connect", status=503, count=3)["id"]
    watched.sim.fault("disconnect", mode="reset")
    watched.wait_fired(number, 3)
    watched.check(LOST_LINE, LOST_LINE)
    assert watched.model.lines == ["UP", "DOWN", "UP"], "only what changes is told"


@pytest.mark.parametrize(
    ("kind", "params"),
    [
        ("snapshot_error", {"status": 500}),
        ("snapshot_error", {"status": 500, "html": True}),
        ("snapshot_error", {"status": 429, "retry_after": 1}),
        ("snapshot_error", {"status": 418, "retry_after": 1}),
        ("snapshot_truncate", {}),
        ("snapshot_stale", {"updates": 1000}),
        ("snapshot_delay_ms", {"ms": 500}),
    ],
    ids=lambda value: value if isinstance(value, str) else "-".join(map(str, value.values())),
)
def test_bad_snapshot_is_fetched_again(
    watch: Callable[..., Watched], kind: str, params: dict[str, Any]
) -> None:
    watched = watch()
    number = watched.sim.fault(kind, symbol=STRUCK, **params)["id"]
    watched.provider.resync(watched.ids[STRUCK])
    watched.wait_fired(number)
    watched.check(REQUESTED, [])
    health = watched.provider.health().engine
    assert (health.snapshots_too_old >= 1) == (kind == "snapshot_stale")
    assert health.resyncs == 1


def test_gap_while_the_snapshot_is_under_way_starts_over(watch: Callable[..., Watched]) -> None:
    watched = watch()
    number = watched.sim.fault("snapshot_delay_ms", symbol=STRUCK, ms=1000)["id"]
    watched.provider.resync(watched.ids[STRUCK])
    watched.wait_fired(number)
    # Two frames pass first. One alone may end where the snapshot does, and then nothing has joined it: a hole
    # behind it only makes the snapshot too old.
    watched.strike("drop", stream=DEPTH_STREAM, skip=2)
    # The hole lies among the deltas that wait for the snapshot and is found when it is joined. Those behind
    # it begin the next sync at once.
    again = (BookState.SYNCING, StateReason.GAP)
    watched.check([*REQUESTED[:2], GAP[0], again, GAP[2]], [])
    assert watched.provider.health().engine.gaps == 1


def test_line_lost_while_the_snapshot_is_under_way_starts_over(watch: Callable[..., Watched]) -> None:
    watched = watch()
    number = watched.sim.fault("snapshot_delay_ms", symbol=STRUCK, ms=500)["id"]
    watched.provider.resync(watched.ids[STRUCK])
    watched.wait_fired(number)
    watched.model.advance(lambda: len(watched.states(STRUCK)) == 2, "SYNCING")
    watched.sim.fault("disconnect", mode="abort")
    watched.check([*REQUESTED[:2], *LOST_LINE], LOST_LINE)
