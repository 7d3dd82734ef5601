"""Several lines: what one loses nobody misses, and a connection is replaced without a moment between."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from integration.harness import (
    LIVE_ROAD,
    RingModel,
    Watched,
    assert_book_is_true,
    assert_soon_live,
    fresh,
    recovery,
    settings,
    strike,
    wait_fired,
    wait_for,
    wait_live,
)
from mdp import BookState, Provider, StateReason, Subscriber
from mdp.sim import SimProcess, start_sim_process

SYMBOLS = ["BTCUSDT", "ETHUSDT"]
RATE = 100


@pytest.fixture(scope="module")
def sim() -> Iterator[SimProcess]:
    with start_sim_process(symbols=SYMBOLS, seed=11, rate=RATE, depth_interval_ms=50, depth_phases=2) as sim:
        sim.status()
        yield sim


@pytest.fixture(autouse=True)
def _no_old_faults(sim: SimProcess, leak_check: None) -> None:
    sim.clear_faults()


@pytest.fixture
def run(sim: SimProcess, provider_for: Callable[..., Provider], segment: str) -> Callable[..., Watched]:
    def start(lines: int = 1, confirmed: bool = True, **venue: Any) -> Watched:
        provider = provider_for(sim, lines=lines, snapshot_depth=100, **venue)
        watched = Watched(sim, provider, segment, rate=RATE, confirmed=confirmed)
        assert len(watched.lines()) == (lines if confirmed else 0)
        return watched

    return start


@pytest.mark.parametrize("mode", ["reset", "abort", "close"])
def test_losing_either_line_loses_nothing(run: Callable[..., Watched], mode: str) -> None:
    watched = run(lines=2)
    watched.updates(25)  # both lines are known to bring both symbols
    for line in (0, 1):
        watched.strike("disconnect", mode=mode, line=line, stream="btcusdt@depth@100ms")
        watched.updates(3)
        wait_for(lambda: len(watched.lines()) == 2, "both lines up again")
        watched.updates(25)
    watched.check(connections=2)
    engine = fresh(watched.provider).health().engine
    assert engine.gaps == 0
    assert engine.duplicates > 0
    assert all(line.wins > 0 and line.lead_p99_ns > 0 for line in engine.lines if line.in_use)
    assert sum(line.reconnects for line in engine.lines) == 2


def test_frames_lost_on_one_line_come_on_the_other(run: Callable[..., Watched]) -> None:
    watched = run(lines=2)
    watched.updates(10)
    watched.strike("drop", times=5, stream="btcusdt@depth@100ms", line=0, every=3, count=5)
    watched.strike("drop", times=5, stream="btcusdt@depth@100ms", line=1, every=3, count=5)
    watched.strike("corrupt", times=2, mode="json", stream="btcusdt@depth@100ms", line=1, every=5, count=2)
    watched.updates(5)
    watched.check()
    engine = fresh(watched.provider).health().engine
    assert engine.gaps == 0
    assert engine.resyncs == 0
    assert sum(line.parse_errors for line in engine.lines) == 2


def test_a_line_that_is_late_only_comes_second(run: Callable[..., Watched]) -> None:
    watched = run(lines=2)
    watched.strike("lag", times=30, stream="*", line=1, frames=6, count=30)
    watched.updates(10)
    watched.check()
    assert fresh(watched.provider).health().engine.gaps == 0


def test_a_frame_lost_on_both_lines_is_a_gap(run: Callable[..., Watched]) -> None:
    watched = run(lines=2)
    watched.updates(10)
    # Longer than what the lines cut differently can cover: both miss the same ids.
    watched.arm("drop", stream="btcusdt@depth@100ms", line=0, count=4)
    watched.strike("drop", times=4, stream="btcusdt@depth@100ms", line=1, count=4)
    watched.check({"BTCUSDT": recovery(StateReason.GAP)})


def test_a_shutdown_notice_renews_the_connection(run: Callable[..., Watched]) -> None:
    watched = run(overlap_ms=1500)
    watched.updates(5)
    before = watched.lines()
    watched.strike("shutdown_notice")
    wait_for(lambda: len(watched.lines()) == 2, "the new connection beside the old one")
    wait_for(lambda: len(watched.lines()) == 1, "the old connection closed")
    assert watched.lines() != before
    watched.updates(5)
    watched.check(connections=1)
    engine = fresh(watched.provider).health().engine
    assert engine.gaps == 0
    assert sum(line.reconnects for line in engine.lines) == 0


def test_connections_are_renewed_before_they_are_too_old(
    start_sim: Callable[..., SimProcess], start_provider: Callable[..., Provider], segment: str, topology: str
) -> None:
    sim = start_sim(symbols=SYMBOLS, seed=12, rate=RATE, depth_interval_ms=50, max_connection_age=8)
    provider = start_provider(
        settings(sim, segment, topology=topology, max_connection_age_s=6, overlap_ms=1200)
    )
    watched = Watched(sim, provider, segment, rate=RATE)
    seen = watched.lines()

    def renewed_twice() -> bool:
        for line in watched.lines():
            if seen[-1] != line:
                seen.append(line)
        return sum(client["framesSent"] > 0 for client in sim.status()["clients"]) == 1 and len(seen) >= 4

    wait_for(renewed_twice, lambda: f"two renewals, lines were {seen}")
    watched.updates(3)
    watched.check(connections=None)
    assert fresh(provider).health().engine.gaps == 0
    assert sim.counters()["expiredConnections"] == 0, "none was as old as the exchange allows"


def test_a_book_that_is_wrong_at_perfect_ids_is_found_by_the_audit(run: Callable[..., Watched]) -> None:
    watched = run()
    # One lot too many at the best bid, in every frame until an id that the venue's quotes share shows it.
    watched.arm("wrong_level", stream="btcusdt@depth@100ms", mode="quantity", count=0)
    health = watched.provider.health
    wait_for(lambda: health().engine.audit_mismatches >= 1, "the audit to find it")
    watched.sim.clear_faults()
    found = health().engine.audit_mismatches
    # What else was wrong may lie deeper now, where no quote shows it.
    watched.provider.resync(watched.ids["BTCUSDT"])
    watched.model.advance(
        lambda: (
            watched.states("BTCUSDT")[-1:] == [LIVE_ROAD[-1]]
            and (BookState.STALE, StateReason.REQUESTED) in watched.states("BTCUSDT")
        ),
        "LIVE again",
    )
    wait_live(watched.provider)
    watched.updates(5)
    watched.model.catch_up()
    states = watched.states("BTCUSDT")
    assert states[0] == (BookState.STALE, StateReason.AUDIT_MISMATCH)
    assert states.count((BookState.STALE, StateReason.AUDIT_MISMATCH)) == found
    # However often it was found: each time it was over soon, and the other book never knew.
    watched.check({"BTCUSDT": states}, more_snapshots=None)


def test_a_refused_subscription_affects_its_symbol_alone(
    sim: SimProcess, provider_for: Callable[..., Provider], segment: str
) -> None:
    before = sim.status()
    # The whole request is refused as long as it names the stream.
    sim.fault(
        "subscribe_error", stream="ethusdt@depth*", code=2, msg="Invalid request: no such book", count=0
    )
    provider = provider_for(sim, quiet_sync_ms=200)
    model = RingModel(segment)
    eth, btc = model.subscriber.instrument("ETHUSDT"), model.subscriber.instrument("BTCUSDT")
    model.advance(lambda: model.books[btc.symbol_id].state == BookState.LIVE, "BTCUSDT LIVE")
    model.advance(
        lambda: (BookState.STALE, StateReason.REJECTED) in model.books[eth.symbol_id].states,
        lambda: model.books[eth.symbol_id].states,
    )
    subscriber = Subscriber(segment)
    at = subscriber.book("BTCUSDT").update_id
    wait_for(lambda: subscriber.book("BTCUSDT").update_id > at, "BTCUSDT going on")
    assert_book_is_true(sim, subscriber.book("BTCUSDT", require_live=True))
    model.catch_up()
    assert model.book("BTCUSDT").states == LIVE_ROAD
    assert fresh(provider).health().live == 1
    # Nor is it taken for a quiet one, to be LIVE from a snapshot that nothing follows: not on this connection
    # and not on the next, which does not ask for it any more.
    model.advance(lambda: model.lines == ["UP"], lambda: model.lines)
    book = model.books[eth.symbol_id]
    for connections in (1, 2):
        model.advance(
            lambda at=model.books[btc.symbol_id].update_id: model.books[btc.symbol_id].update_id > at + RATE,
            "a second of BTCUSDT",
        )
        assert BookState.LIVE not in [state for state, _ in book.states]
        after = sim.status()
        assert after["connections"] - before["connections"] == connections
        assert after["snapshots"].get("ETHUSDT") == before["snapshots"].get("ETHUSDT")
        if connections == 1:
            strike(sim, "disconnect", mode="reset")
            model.advance(lambda: model.lines == ["UP", "DOWN", "UP"], lambda: model.lines)


SILENT = (BookState.STALE, StateReason.SILENT)
SILENCE_S = 5.0
"""BookOptions::max_silence_ns"""


def watch_silent_stream(
    sim: SimProcess, start_provider: Callable[..., Provider], segment: str, count: int
) -> Watched:
    """Start with a depth stream of BTCUSDT that is acknowledged `count` times (0: always) in vain."""
    sim.fault("subscribe_silent", stream="btcusdt@depth*", count=count)
    # At first the book is taken for a quiet one.
    provider = start_provider(settings(sim, segment, topology="fused", quiet_sync_ms=100, overlap_ms=100))
    watched = Watched(sim, provider, segment, rate=RATE)
    book = watched.model.book("BTCUSDT")
    watched.model.advance(lambda: book.state == BookState.STALE, lambda: book.states)
    now = sim.truth("BTCUSDT", depth=1)["updateId"]
    assert_soon_live(sim, "BTCUSDT", [(book.left_live_at, now)], RATE, SILENCE_S)
    return watched


def test_a_stream_that_is_acknowledged_and_silent_gets_a_new_connection(
    sim: SimProcess, start_provider: Callable[..., Provider], segment: str
) -> None:
    watched = watch_silent_stream(sim, start_provider, segment, count=1)
    back = [SILENT, *recovery(StateReason.SILENT)[1:]]
    watched.model.advance(lambda: watched.states("BTCUSDT") == back, lambda: watched.states("BTCUSDT"))
    watched.assert_over_within(SILENCE_S)
    assert watched.states("ETHUSDT") == []
    watched.assert_true()


def test_a_stream_that_stays_silent_is_not_believed_again(
    sim: SimProcess, start_provider: Callable[..., Provider], segment: str
) -> None:
    watched = watch_silent_stream(sim, start_provider, segment, count=0)
    # As long as only quotes come it stays so, on the new connection too; the other book never knows.
    watched.updates(2 * RATE // 5, "ETHUSDT")
    watched.model.catch_up()
    assert watched.states("BTCUSDT") == [SILENT]
    assert watched.states("ETHUSDT") == []
    # A connection on which it speaks brings the book back.
    sim.clear_faults()
    watched.strike("disconnect", mode="reset")
    lost = recovery(StateReason.DISCONNECTED)
    watched.model.advance(
        lambda: watched.states("BTCUSDT") == [SILENT, *lost], lambda: watched.states("BTCUSDT")
    )
    watched.model.advance(lambda: watched.states("ETHUSDT") == lost, lambda: watched.states("ETHUSDT"))
    watched.assert_true()


@pytest.mark.parametrize(
    ("unanswered", "lines"),
    [
        pytest.param({"count": 1}, ["UP"], id="one-request"),
        # The whole request, and then the one stream that is asked for alone.
        pytest.param({"count": 2, "stream": "btcusdt@depth@100ms"}, ["DOWN", "UP"], id="one-stream-alone"),
    ],
)
def test_a_connection_is_made_anew_when_a_single_stream_has_no_answer_and_not_before(
    sim: SimProcess,
    provider_for: Callable[..., Provider],
    segment: str,
    unanswered: dict[str, Any],
    lines: list[str],
) -> None:
    before = sim.status()["connections"]
    fault = sim.fault("subscribe_no_ack", **unanswered)["id"]
    provider_for(sim, subscribe_timeout_ms=500)
    model = RingModel(segment)
    model.advance(lambda: model.lines[-1:] == ["UP"], lambda: model.lines)
    assert model.lines == lines
    wait_fired(sim, fault, unanswered["count"])
    for symbol in SYMBOLS:
        book = model.book(symbol)
        model.advance(lambda book=book: book.state == BookState.LIVE, lambda book=book: book.states)
        assert_book_is_true(sim, model.subscriber.book(symbol, require_live=True))
    assert sim.status()["connections"] - before == len(lines)


def test_a_line_lost_before_it_was_confirmed_is_lost_all_the_same(
    sim: SimProcess, run: Callable[..., Watched]
) -> None:
    # Frames come, but never the answer: the books are LIVE, the line is not up.
    sim.fault("subscribe_no_ack", count=0)
    watched = run(confirmed=False, subscribe_timeout_ms=60_000)
    lost = recovery(StateReason.DISCONNECTED)
    for times in (1, 2):
        watched.strike("disconnect", mode="reset")
        watched.check(dict.fromkeys(SYMBOLS, lost * times), wait_s=0.02, connections=times)
