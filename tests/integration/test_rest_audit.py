"""The background audit: LIVE books against snapshots over REST, where no quotes tell."""

from __future__ import annotations

from collections.abc import Callable

from integration.harness import LIVE_ROAD, RingModel, assert_book_is_true, fresh, wait_for, wait_live
from mdp import BookState, Provider, StateReason, Subscriber
from mdp.sim import SimProcess

SYMBOLS = ["BTCUSDT", "ETHUSDT"]
CHANNELS = ["depth", "trade"]


def test_a_book_that_is_wrong_at_perfect_ids_is_found_without_quotes(
    start_sim: Callable[..., SimProcess], provider_for: Callable[..., Provider], segment: str
) -> None:
    # The market moves by hand: what the one wrong frame leaves behind stays until somebody finds it.
    sim = start_sim(symbols=SYMBOLS, seed=5, rate=0)
    provider = provider_for(sim, channels=CHANNELS, rest_audit_s=1)
    wait_live(provider)
    model, subscriber = RingModel(segment), Subscriber(segment)
    sim.fault("wrong_level", stream="btcusdt@depth@100ms", mode="quantity", count=1)
    before = fresh(provider).health().engine
    at = sim.step("BTCUSDT", 50, cut="@100ms")
    wait_for(lambda: fresh(provider).health().engine.rest_audit_mismatches == 1, "an audit to find it")
    engine = fresh(provider).health().engine
    # One that was under way, then each symbol's turn; one without an outcome costs a round.
    dropped = engine.rest_audits_dropped - before.rest_audits_dropped
    assert engine.rest_audits - before.rest_audits <= 3 + 2 * dropped
    stale = (BookState.STALE, StateReason.AUDIT_MISMATCH)
    model.advance(
        lambda: (
            stale in model.book("BTCUSDT").states and model.book("BTCUSDT").states[-1:] == [LIVE_ROAD[-1]]
        ),
        lambda: model.book("BTCUSDT").states,
    )
    wait_live(provider)
    # Not one update of the venue's was needed for it.
    assert subscriber.book("BTCUSDT").update_id == at
    assert model.book("BTCUSDT").states.count(stale) == 1
    assert model.book("ETHUSDT").states == LIVE_ROAD
    for symbol in SYMBOLS:
        assert_book_is_true(sim, subscriber.book(symbol, require_live=True))
    rounds = fresh(provider).health().engine.rest_audits
    wait_for(lambda: fresh(provider).health().engine.rest_audits >= rounds + 2, "a round of audits")
    assert fresh(provider).health().engine.rest_audit_mismatches == 1


def test_audits_of_busy_books_on_lossy_lines_find_nothing(
    start_sim: Callable[..., SimProcess], provider_for: Callable[..., Provider], segment: str
) -> None:
    sim = start_sim(symbols=SYMBOLS, seed=6, rate=100, depth_interval_ms=50, depth_phases=2)
    provider = provider_for(sim, channels=CHANNELS, lines=2, rest_audit_s=1)
    wait_live(provider)
    wait_for(lambda: sum(line.up for line in fresh(provider).health().engine.lines) == 2, "both lines")
    model, subscriber = RingModel(segment), Subscriber(segment)
    sim.fault("drop", stream="*@depth@100ms", line=0, every=5, count=0)
    sim.fault("lag", stream="*", line=1, frames=2, every=3, count=0)
    wait_for(lambda: fresh(provider).health().engine.rest_audits >= 4, "audits")
    assert fresh(provider).health().engine.rest_audit_mismatches == 0
    assert sim.status()["counters"]["violations"] == {}
    model.catch_up()
    for symbol in SYMBOLS:
        assert (BookState.STALE, StateReason.AUDIT_MISMATCH) not in model.book(symbol).states
        wait_live(provider)
        assert_book_is_true(sim, subscriber.book(symbol, require_live=True))
