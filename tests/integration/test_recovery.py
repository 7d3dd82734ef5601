"""Every fault of the exchange: the books concerned leave LIVE for the right reason and come back true."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from integration.harness import (
    SNAPSHOT_PAUSE_S,
    Watched,
    doubling_s,
    fresh,
    recovery,
    settings,
    wait_fired,
    wait_for,
    wait_live,
)
from mdp import BookState, Provider, StateReason
from mdp.sim import SimProcess, start_sim_process

STRUCK, OTHER = SYMBOLS = ["BTCUSDT", "ETHUSDT"]
DEPTH_STREAM = "btcusdt@depth@100ms"
RATE = 100
IDLE_TIMEOUT_S = 1.0
CONNECT_TIMEOUT_S = 0.5


def backoff_s(attempts: int) -> float:
    """How long that many attempts to connect wait in all, at most: `backoff` of `settings`."""
    return doubling_s(0.02, attempts, 0.2)


@pytest.fixture(scope="module")
def sim() -> Iterator[SimProcess]:
    with start_sim_process(symbols=SYMBOLS, seed=5, rate=RATE, depth_interval_ms=50) as sim:
        sim.status()  # the handle's connection is there before any test counts descriptors
        yield sim


@pytest.fixture(autouse=True)
def _no_old_faults(sim: SimProcess, leak_check: None) -> None:
    sim.clear_faults()


@pytest.fixture
def watch(sim: SimProcess, provider_for: Callable[..., Provider], segment: str) -> Callable[..., Watched]:
    # Snapshots of this size cost little: all tests here share the address's weight of a minute.
    def start(**venue: Any) -> Watched:
        return Watched(sim, provider_for(sim, **{"snapshot_depth": 100, **venue}), segment, rate=RATE)

    return start


GAP = recovery(StateReason.GAP)
LOST_LINE = recovery(StateReason.DISCONNECTED)
UNREADABLE = recovery(StateReason.PARSE_ERROR)
REQUESTED = recovery(StateReason.REQUESTED)
CROSSED = recovery(StateReason.CROSSED)
AUDIT_MISMATCH = recovery(StateReason.AUDIT_MISMATCH)


def both(states: list[Any]) -> dict[str, list[Any]]:
    """The same road for both books."""
    return dict.fromkeys(SYMBOLS, states)


@pytest.mark.parametrize(
    ("kind", "params", "states", "parse_errors"),
    [
        ("drop", {}, GAP, 0),
        ("reorder", {}, GAP, 0),
        ("corrupt", {}, UNREADABLE, 1),
        # A frame without its end names no symbol: the book is right until the next one shows the hole.
        ("truncate", {"mode": "json"}, GAP, 1),
        ("wrong_level", {"mode": "crossed"}, CROSSED, 0),
    ],
    ids=["drop", "reorder", "corrupt", "truncate", "crossed"],
)
def test_bad_frame_resyncs_its_symbol_alone(
    watch: Callable[..., Watched], kind: str, params: dict[str, str], states: list[Any], parse_errors: int
) -> None:
    watched = watch()
    watched.strike(kind, stream=DEPTH_STREAM, **params)
    watched.check({STRUCK: states})
    health = fresh(watched.provider).health().engine
    assert health.resyncs == 1
    assert health.gaps == (states is GAP)
    assert sum(line.parse_errors for line in health.lines) == parse_errors
    assert sum(line.reconnects for line in health.lines) == 0


def test_duplicate_frame_changes_nothing(watch: Callable[..., Watched]) -> None:
    watched = watch()
    watched.strike("duplicate", stream=DEPTH_STREAM, count=3)
    wait_for(lambda: fresh(watched.provider).health().engine.duplicates >= 1, "a duplicate to be counted")
    watched.check()
    assert fresh(watched.provider).health().engine.resyncs == 0


@pytest.mark.parametrize("stream", ["btcusdt@trade", "btcusdt@bookTicker"])
def test_lost_trade_or_quote_is_no_gap_of_the_book(watch: Callable[..., Watched], stream: str) -> None:
    watched = watch()
    watched.strike("drop", stream=stream)
    watched.check()
    assert fresh(watched.provider).health().engine.gaps == 0


def test_huge_delta_is_published_whole(watch: Callable[..., Watched]) -> None:
    watched = watch(snapshot_depth=5000)  # or most of them would be beyond what is known
    watched.arm("oversized", symbol=STRUCK, levels=6000)
    book = watched.model.book(STRUCK)
    watched.model.advance(lambda: book.largest_update > 3000, "thousands of levels in one update")
    watched.check()


def test_stall_is_waited_out(watch: Callable[..., Watched]) -> None:
    watched = watch()
    watched.strike("stall", ms=400)
    watched.check()
    assert sum(line.reconnects for line in fresh(watched.provider).health().engine.lines) == 0


@pytest.mark.parametrize(
    ("kind", "params"),
    [
        ("disconnect", {"mode": "reset"}),
        ("disconnect", {"mode": "abort"}),
        ("disconnect", {"mode": "close"}),
        ("truncate", {"mode": "frame", "stream": DEPTH_STREAM}),
        ("oversized_header", {"stream": DEPTH_STREAM}),
    ],
    ids=lambda value: value if isinstance(value, str) else "-".join(value.values()),
)
def test_lost_line_resyncs_all_its_books(
    watch: Callable[..., Watched], kind: str, params: dict[str, str]
) -> None:
    watched = watch()
    watched.strike(kind, **params)
    watched.check(both(LOST_LINE), wait_s=backoff_s(1), connections=1)
    assert watched.model.lines == ["UP", "DOWN", "UP"]
    health = fresh(watched.provider).health().engine
    assert [line.reconnects for line in health.lines] == [1]
    assert (health.gaps, health.resyncs) == (0, 2)


@pytest.mark.parametrize("mode", ["mute", "deaf"])
def test_half_open_line_is_noticed_and_replaced(watch: Callable[..., Watched], mode: str) -> None:
    watched = watch(idle_timeout_ms=round(IDLE_TIMEOUT_S * 1000))
    watched.strike("half_open", mode=mode)
    watched.check(both(LOST_LINE), wait_s=IDLE_TIMEOUT_S + backoff_s(1), connections=1)
    assert watched.model.lines == ["UP", "DOWN", "UP"]


def test_quiet_line_without_pings_is_asked_and_stays(
    start_sim: Callable[..., SimProcess], provider_for: Callable[..., Provider], segment: str
) -> None:
    sim = start_sim(symbols=SYMBOLS, seed=5, rate=0, ping_interval=0.05)
    sim.fault("no_ping")
    watched = Watched(sim, provider_for(sim, idle_timeout_ms=200), segment, rate=0)
    watched.start_counting()

    def client() -> dict[str, Any]:
        (only,) = sim.status()["clients"]
        return dict(only)

    asked = client()["pingsReceived"]
    wait_for(lambda: client()["pingsReceived"] >= asked + 8, "pings, each after half an idle time-out")
    assert client()["pingsSent"] == 0
    watched.check()
    at = sim.step(STRUCK, 5)
    wait_for(lambda: watched.subscriber.book(STRUCK).update_id == at, "the line still carries what comes")
    watched.check()


@pytest.mark.parametrize(
    ("status", "retry_after", "count"), [(503, 0, 3), (429, 1, 1), (418, 1, 1)], ids=["503", "429", "418"]
)
def test_refused_handshakes_are_tried_again(
    watch: Callable[..., Watched], status: int, retry_after: int, count: int
) -> None:
    watched = watch()
    number = watched.arm("refuse_connect", status=status, retry_after=retry_after, count=count)
    watched.strike("disconnect", mode="reset")
    wait_fired(watched.sim, number, count)
    watched.check(both(LOST_LINE), wait_s=retry_after + backoff_s(1 + count), connections=1)
    assert watched.model.lines == ["UP", "DOWN", "UP"], "only what changes is told"


@pytest.mark.parametrize("kind", ["tls_stall", "upgrade_stall"])
def test_stalled_handshake_is_given_up_and_tried_again(watch: Callable[..., Watched], kind: str) -> None:
    watched = watch(connect_timeout_ms=round(CONNECT_TIMEOUT_S * 1000))
    number = watched.arm(kind)
    watched.strike("disconnect", mode="reset")
    wait_fired(watched.sim, number)
    watched.check(both(LOST_LINE), wait_s=CONNECT_TIMEOUT_S + backoff_s(2), connections=1)
    assert watched.model.lines == ["UP", "DOWN", "UP"]


def test_line_comes_back_once_the_certificate_is_right_again(watch: Callable[..., Watched]) -> None:
    watched = watch()
    number = watched.arm("tls_certificate", flavour="expired", count=2)
    watched.strike("disconnect", mode="reset")
    wait_fired(watched.sim, number, 2)
    # The exchange counts handshakes of WebSocket: to the two impostors nothing was said.
    watched.check(both(LOST_LINE), wait_s=backoff_s(3), connections=1)
    assert watched.model.lines == ["UP", "DOWN", "UP"]


@pytest.mark.parametrize(
    ("kind", "params", "wait_s", "more"),
    [
        ("snapshot_error", {"status": 500}, SNAPSHOT_PAUSE_S, 1),
        ("snapshot_error", {"status": 500, "html": True}, SNAPSHOT_PAUSE_S, 1),
        ("snapshot_error", {"status": 500, "count": 2}, doubling_s(SNAPSHOT_PAUSE_S, 2), 2),
        ("snapshot_error", {"status": 429, "retry_after": 1}, 1.0, 1),
        ("snapshot_error", {"status": 418, "retry_after": 1}, 1.0, 1),
        ("snapshot_truncate", {}, SNAPSHOT_PAUSE_S, 1),
        ("snapshot_delay_ms", {"ms": 500}, 0.5, 0),
    ],
    ids=lambda value: "-".join(map(str, value.values())) if isinstance(value, dict) else str(value),
)
def test_bad_snapshot_is_fetched_again(
    watch: Callable[..., Watched], kind: str, params: dict[str, Any], wait_s: float, more: int
) -> None:
    watched = watch()
    number = watched.arm(kind, symbol=STRUCK, **params)
    watched.provider.resync(watched.ids[STRUCK])
    wait_fired(watched.sim, number, params.get("count", 1))
    watched.check({STRUCK: REQUESTED}, wait_s=wait_s, more_snapshots=more)
    health = fresh(watched.provider).health().engine
    assert health.snapshots_too_old == 0
    assert health.resyncs == 1


def test_stale_snapshot_is_fetched_again(watch: Callable[..., Watched]) -> None:
    watched = watch()
    number = watched.arm_stale_snapshot(STRUCK)
    watched.provider.resync(watched.ids[STRUCK])
    wait_fired(watched.sim, number)
    watched.check({STRUCK: REQUESTED}, wait_s=0.5 + SNAPSHOT_PAUSE_S, more_snapshots=1)
    health = fresh(watched.provider).health().engine
    assert health.snapshots_too_old == 1
    assert health.resyncs == 1


def test_levels_under_a_false_id_are_found_out(watch: Callable[..., Watched]) -> None:
    watched = watch()
    watched.arm("snapshot_mislabeled", symbol=STRUCK, updates=300)
    watched.provider.resync(watched.ids[STRUCK])
    # Levels that are gone at the venue stay in this book: sooner or later one is its top, or crosses it.
    found_out = (AUDIT_MISMATCH, CROSSED)
    later = [[*REQUESTED, *reason] for reason in found_out]
    at_the_join = [[*REQUESTED[:2], *reason] for reason in found_out]  # LIVE was never said of it
    roads = later + at_the_join
    watched.model.advance(lambda: watched.states(STRUCK) in roads, lambda: watched.states(STRUCK))
    road = watched.states(STRUCK)
    watched.check({STRUCK: road}, more_snapshots=road in at_the_join)


def test_instruments_that_fail_are_listed_again(
    sim: SimProcess, start_provider: Callable[..., Provider], segment: str, topology: str
) -> None:
    before = sim.status()["restRequests"]
    sim.fault("rest_error", status=503, count=2)
    sim.fault("rest_error", status=502, html=True)
    provider = start_provider(settings(sim, segment, topology=topology))
    wait_live(provider)
    # Four times the list, then a snapshot of each book.
    assert sim.status()["restRequests"] - before == 4 + len(SYMBOLS)


def test_gap_while_the_snapshot_is_under_way_starts_over(watch: Callable[..., Watched]) -> None:
    watched = watch()
    number = watched.arm("snapshot_delay_ms", symbol=STRUCK, ms=1000)
    watched.provider.resync(watched.ids[STRUCK])
    wait_fired(watched.sim, number)
    # Two frames pass first. One alone may end where the snapshot does, and then nothing has joined it: a hole
    # behind it only makes the snapshot too old.
    watched.strike("drop", stream=DEPTH_STREAM, skip=2)
    # The hole lies among the deltas that wait for the snapshot and is found when it is joined. Those behind
    # it begin the next sync at once.
    again = (BookState.SYNCING, StateReason.GAP)
    road = [*REQUESTED[:2], GAP[0], again, GAP[2]]
    watched.check({STRUCK: road}, wait_s=1.0 + SNAPSHOT_PAUSE_S, more_snapshots=1)
    assert fresh(watched.provider).health().engine.gaps == 1


def test_line_lost_while_the_snapshot_is_under_way_starts_over(watch: Callable[..., Watched]) -> None:
    watched = watch()
    number = watched.arm("snapshot_delay_ms", symbol=STRUCK, updates=RATE)
    watched.provider.resync(watched.ids[STRUCK])
    wait_fired(watched.sim, number)
    # Two batches are cut before the line is lost: what the new one brings begins behind that snapshot.
    watched.updates(2, OTHER)
    watched.strike("disconnect", mode="abort")
    watched.check(
        {STRUCK: [*REQUESTED[:2], *LOST_LINE], OTHER: LOST_LINE},
        wait_s=1.0 + SNAPSHOT_PAUSE_S + backoff_s(1),
        connections=1,
        more_snapshots=1,
    )
