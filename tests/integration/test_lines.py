"""Several lines: what one loses nobody misses, and a connection is replaced without a moment between."""

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
    settings,
    wait_for,
    wait_live,
)
from mdp import BookState, Provider, StateReason, Subscriber
from mdp.sim import SimProcess, start_sim_process

SYMBOLS = ["BTCUSDT", "ETHUSDT"]


@pytest.fixture(scope="module")
def sim() -> Iterator[SimProcess]:
    with start_sim_process(symbols=SYMBOLS, seed=11, rate=100, depth_interval_ms=50, depth_phases=2) as sim:
        sim.status()
        yield sim


@pytest.fixture(autouse=True)
def _no_old_faults(sim: SimProcess, leak_check: None) -> None:
    sim.clear_faults()


def updates(subscriber: Subscriber, count: int) -> None:
    """Wait until every book has moved on `count` times."""
    for symbol in SYMBOLS:
        for _ in range(count):
            at = subscriber.book(symbol).update_id
            wait_for(lambda symbol=symbol, at=at: subscriber.book(symbol).update_id > at, symbol)


def strike(sim: SimProcess, kind: str, times: int = 1, **params: Any) -> None:
    """Arm a fault and wait until it has struck."""
    number = sim.fault(kind, **params)["id"]

    def fired() -> bool:
        return any(fault["id"] == number and fault["fired"] >= times for fault in sim.faults())

    wait_for(fired, lambda: f"{kind} to strike: {sim.faults()}")


def assert_never_left_live(sim: SimProcess, subscriber: Subscriber, model: RingModel) -> None:
    """Each book went LIVE once and is, in table and ring, what the exchange has."""
    for symbol in SYMBOLS:
        book = subscriber.book(symbol, require_live=True)
        assert_book_is_true(sim, book)
        assert_ring_equals_table(model, book)
        assert model.book(symbol).states == LIVE_ROAD


class Running:
    """A provider whose books are LIVE."""

    def __init__(self, provider: Provider, segment: str) -> None:
        self.provider = provider
        self.subscriber = Subscriber(segment)
        self.model = RingModel(segment)
        wait_live(provider)

    def lines(self) -> list[int]:
        """The lines that are up."""
        return [line.line for line in self.provider.health().engine.lines if line.up]


@pytest.fixture
def run(sim: SimProcess, provider_for: Callable[..., Provider], segment: str) -> Callable[..., Running]:
    def start(**venue: Any) -> Running:
        running = Running(provider_for(sim, **venue), segment)
        wanted = venue.get("lines", 1)
        wait_for(lambda: len(running.lines()) == wanted, lambda: f"{wanted} lines, up are {running.lines()}")
        return running

    return start


@pytest.mark.parametrize("mode", ["reset", "abort", "close"])
def test_losing_either_line_loses_nothing(sim: SimProcess, run: Callable[..., Running], mode: str) -> None:
    running = run(lines=2)
    updates(running.subscriber, 25)  # both lines are known to bring both symbols
    for line in (0, 1):
        strike(sim, "disconnect", mode=mode, line=line, stream="btcusdt@depth@100ms")
        updates(running.subscriber, 3)
        wait_for(lambda: len(running.lines()) == 2, "both lines up again")
        updates(running.subscriber, 25)
    assert_never_left_live(sim, running.subscriber, running.model)
    engine = running.provider.health().engine
    assert engine.gaps == 0
    assert engine.duplicates > 0
    assert all(line.wins > 0 and line.lead_p99_ns > 0 for line in engine.lines if line.in_use)
    assert sum(line.reconnects for line in engine.lines) >= 2


def test_frames_lost_on_one_line_come_on_the_other(sim: SimProcess, run: Callable[..., Running]) -> None:
    running = run(lines=2)
    updates(running.subscriber, 10)
    strike(sim, "drop", times=5, stream="btcusdt@depth@100ms", line=0, every=3, count=5)
    strike(sim, "drop", times=5, stream="btcusdt@depth@100ms", line=1, every=3, count=5)
    strike(sim, "corrupt", times=2, mode="json", stream="btcusdt@depth@100ms", line=1, every=5, count=2)
    updates(running.subscriber, 5)
    assert_never_left_live(sim, running.subscriber, running.model)
    engine = running.provider.health().engine
    assert engine.gaps == 0
    assert engine.resyncs == 0
    assert sum(line.parse_errors for line in engine.lines) == 2


def test_a_line_that_is_late_only_comes_second(sim: SimProcess, run: Callable[..., Running]) -> None:
    running = run(lines=2)
    strike(sim, "lag", times=30, stream="*", line=1, frames=6, count=30)
    updates(running.subscriber, 10)
    assert_never_left_live(sim, running.subscriber, running.model)
    assert running.provider.health().engine.gaps == 0


def test_a_frame_lost_on_both_lines_is_a_gap(sim: SimProcess, run: Callable[..., Running]) -> None:
    running = run(lines=2)
    updates(running.subscriber, 10)
    # Longer than what the lines cut differently can cover: both miss the same ids.
    sim.fault("drop", stream="btcusdt@depth@100ms", line=0, count=4)
    strike(sim, "drop", times=4, stream="btcusdt@depth@100ms", line=1, count=4)
    running.model.advance(
        lambda: running.model.book("BTCUSDT").states[len(LIVE_ROAD) :] == recovery(StateReason.GAP),
        lambda: running.model.book("BTCUSDT").states,
    )
    updates(running.subscriber, 3)
    for symbol in SYMBOLS:
        assert_book_is_true(sim, running.subscriber.book(symbol, require_live=True))
    assert running.model.book("ETHUSDT").states == LIVE_ROAD


def test_a_shutdown_notice_renews_the_connection(sim: SimProcess, run: Callable[..., Running]) -> None:
    running = run(overlap_ms=1500)
    updates(running.subscriber, 5)
    before = running.lines()
    strike(sim, "shutdown_notice")
    wait_for(lambda: len(running.lines()) == 2, "the new connection beside the old one")
    wait_for(lambda: len(running.lines()) == 1, "the old connection closed")
    assert running.lines() != before
    updates(running.subscriber, 5)
    assert_never_left_live(sim, running.subscriber, running.model)
    engine = running.provider.health().engine
    assert engine.gaps == 0
    assert sum(line.reconnects for line in engine.lines) == 0


def test_connections_are_renewed_before_they_are_too_old(
    start_sim: Callable[..., SimProcess], start_provider: Callable[..., Provider], segment: str, topology: str
) -> None:
    sim = start_sim(symbols=SYMBOLS, seed=12, rate=100, depth_interval_ms=50, max_connection_age=8)
    provider = start_provider(
        settings(sim, segment, topology=topology, max_connection_age_s=6, overlap_ms=1200)
    )
    running = Running(provider, segment)
    seen: list[int] = []

    def renewed_twice() -> bool:
        for line in running.lines():
            if not seen or seen[-1] != line:
                seen.append(line)
        return sum(client["framesSent"] > 0 for client in sim.status()["clients"]) == 1 and len(seen) >= 4

    wait_for(renewed_twice, lambda: f"two renewals, lines were {seen}")
    updates(running.subscriber, 3)
    assert_never_left_live(sim, running.subscriber, running.model)
    assert provider.health().engine.gaps == 0


def test_a_book_that_is_wrong_at_perfect_ids_is_found_by_the_audit(
    sim: SimProcess, run: Callable[..., Running]
) -> None:
    running = run()
    # One lot too many at the best bid, in every frame until an id that the venue's quotes share shows it.
    sim.fault("wrong_level", stream="btcusdt@depth@100ms", mode="quantity", count=0)
    engine = running.provider.health
    wait_for(lambda: engine().engine.audit_mismatches >= 1, "the audit to find it")
    sim.clear_faults()
    found = engine().engine.audit_mismatches
    # What else was wrong may lie deeper now, where no quote shows it.
    running.provider.resync(running.subscriber.instrument("BTCUSDT").symbol_id)
    running.model.advance(
        lambda: (
            running.model.book("BTCUSDT").states[-1:] == [LIVE_ROAD[-1]]
            and (BookState.STALE, StateReason.REQUESTED) in running.model.book("BTCUSDT").states
        ),
        "LIVE again",
    )
    wait_live(running.provider)
    updates(running.subscriber, 5)
    running.model.catch_up()
    states = running.model.book("BTCUSDT").states
    assert states[len(LIVE_ROAD)] == (BookState.STALE, StateReason.AUDIT_MISMATCH)
    assert states.count((BookState.STALE, StateReason.AUDIT_MISMATCH)) == found
    assert running.model.book("ETHUSDT").states == LIVE_ROAD
    for symbol in SYMBOLS:
        assert_book_is_true(sim, running.subscriber.book(symbol, require_live=True))


def test_a_refused_subscription_affects_its_symbol_alone(
    sim: SimProcess, provider_for: Callable[..., Provider], segment: str
) -> None:
    # The whole request is refused as long as it names the stream.
    sim.fault(
        "subscribe_error", stream="ethusdt@depth*", code=2, msg="Invalid request: no such book", count=0
    )
    provider = provider_for(sim)
    model = RingModel(segment)
    eth, btc = model.subscriber.instrument("ETHUSDT"), model.subscriber.instrument("BTCUSDT")
    model.advance(lambda: model.books[btc.symbol_id].state == BookState.LIVE, "BTCUSDT LIVE")
    model.advance(
        lambda: (BookState.STALE, StateReason.REJECTED) in model.books[eth.symbol_id].states,
        lambda: model.books[eth.symbol_id].states,
    )
    assert model.book("BTCUSDT").states == LIVE_ROAD
    subscriber = Subscriber(segment)
    at = subscriber.book("BTCUSDT").update_id
    wait_for(lambda: subscriber.book("BTCUSDT").update_id > at, "BTCUSDT going on")
    assert provider.health().live == 1


def test_a_request_without_an_answer_makes_the_connection_anew(
    sim: SimProcess, provider_for: Callable[..., Provider], segment: str
) -> None:
    sim.fault("subscribe_no_ack", count=1)
    provider = provider_for(sim, subscribe_timeout_ms=500)
    wait_for(lambda: any(line.reconnects for line in provider.health().engine.lines), "a reconnect")
    wait_live(provider)
