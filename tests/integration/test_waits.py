"""Books that cannot be right: they wait longer and longer, and no other book waits for them."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from integration.harness import (
    LIVE_ROAD,
    Mdp,
    RingModel,
    assert_book_is_true,
    assert_soon_live,
    recovery,
    settings,
    strike,
    wait_for,
    write_config,
)
from mdp import BookState, Provider, StateReason, Subscriber
from mdp.sim import SimProcess

RATE = 100
GOOD, *BAD = SYMBOLS = ["BTCUSDT", "ETHUSDT", "BNBUSDT", "SOLUSDT"]
MISMATCH = (BookState.STALE, StateReason.AUDIT_MISMATCH)


@pytest.fixture
def sim(start_sim: Callable[..., SimProcess]) -> SimProcess:
    return start_sim(symbols=SYMBOLS, seed=41, rate=RATE, depth_interval_ms=50)


def snapshots(sim: SimProcess) -> Counter[str]:
    """How many snapshots the exchange was asked for, by symbol."""
    return Counter(sim.status()["snapshots"])


def lie_in_every_quote(sim: SimProcess) -> None:
    for symbol in BAD:
        sim.fault("corrupt", mode="quantity", stream=f"{symbol.lower()}@bookTicker", count=0)


def updates(model: RingModel, symbol: str, count: int) -> None:
    """Let the book of a symbol move on: the exchange's own clock."""
    book = model.book_when_live(symbol)
    until = book.update_id + count
    model.advance(lambda: book.update_id >= until, f"{count} updates of {symbol}")


def test_a_healthy_book_that_loses_a_delta_is_live_again_beside_books_whose_quotes_never_agree(
    sim: SimProcess, provider_for: Callable[..., Provider], segment: str
) -> None:
    lie_in_every_quote(sim)
    # A snapshot of this size is 250 of the 6,000 a minute: 21 in all, which the three had used up in 3 s.
    provider_for(sim, snapshot_depth=5000)
    model = RingModel(segment)
    updates(model, GOOD, 10 * RATE)
    before = snapshots(sim)
    for symbol in BAD:
        assert model.book(symbol).states.count(MISMATCH) >= 3, "it was synced and found out again and again"
    assert before[GOOD] == 1
    assert sum(before[symbol] for symbol in BAD) <= 12, "half of the budget, less what the good one took"

    strike(sim, "drop", stream=f"{GOOD.lower()}@depth@100ms")
    book = model.book(GOOD)
    road = [*LIVE_ROAD, *recovery(StateReason.GAP)]
    model.advance(lambda: book.states == road, lambda: book.states)
    assert_soon_live(sim, GOOD, book.recoveries, RATE, wait_s=0.0)
    assert_book_is_true(sim, model.subscriber.book(GOOD, require_live=True))
    asked = snapshots(sim) - before
    assert asked[GOOD] == 1
    assert sum(asked[symbol] for symbol in BAD) <= 3, "they wait for seconds by now"


def test_a_book_whose_quotes_agree_again_is_live_and_stays_so(
    sim: SimProcess, provider_for: Callable[..., Provider], segment: str
) -> None:
    lie_in_every_quote(sim)
    provider_for(sim, snapshot_depth=100)
    model = RingModel(segment)
    books = [model.book(symbol) for symbol in BAD]
    model.advance(
        lambda: all(book.states.count(MISMATCH) >= 3 for book in books), lambda: [b.states for b in books]
    )
    sim.clear_faults()
    for symbol in BAD:
        updates(model, symbol, 5 * RATE)
        assert_book_is_true(sim, model.subscriber.book(symbol, require_live=True))
    # What it had to wait for before is forgotten: it is a book like any other.
    strike(sim, "drop", stream=f"{BAD[0].lower()}@depth@100ms")
    model.advance(lambda: books[0].states[-3:] == recovery(StateReason.GAP), lambda: books[0].states)
    assert_soon_live(sim, BAD[0], books[0].recoveries[-1:], RATE, wait_s=0.0)


class Told:
    """``mdp run`` and how often its log has a line."""

    def __init__(self, process: Mdp) -> None:
        self.process = process

    def count(self, pattern: str) -> int:
        return len(re.findall(pattern, self.process.stderr))


@pytest.fixture
def run(sim: SimProcess, start_mdp: Callable[..., Mdp], tmp_path: Path, segment: str) -> Callable[..., Told]:
    def start(**venue: Any) -> Told:
        file = write_config(tmp_path / "config.yaml", settings(sim, segment, **venue))
        told = Told(start_mdp("run", file))
        told.process.wait_for_text("book.live")
        return told

    return start


def test_a_wait_of_seconds_is_told(sim: SimProcess, run: Callable[..., Told], segment: str) -> None:
    lie_in_every_quote(sim)
    told = run(snapshot_depth=100)
    postponed = r"sync\.postponed symbol=binance:ETH-USDT failed=([0-9]+) retry_in_ms=([0-9]+)"
    wait_for(lambda: told.count(postponed) >= 2, lambda: told.process.stderr)
    found = [(int(failed), int(ms)) for failed, ms in re.findall(postponed, told.process.stderr)]
    assert [failed for failed, _ in found] == list(range(found[0][0], found[0][0] + len(found)))
    assert all(ms >= 1000 for _, ms in found)
    assert told.count(r"sync\.postponed symbol=binance:BTC-USDT") == 0


def test_a_symbol_that_the_venue_does_not_know_any_more_is_asked_once_and_told_once(
    sim: SimProcess, run: Callable[..., Told], segment: str
) -> None:
    sim.fault("snapshot_unknown", symbol="ETHUSDT", count=0)
    told = run(snapshot_depth=100)
    model = RingModel(segment)
    updates(model, GOOD, 5 * RATE)
    assert snapshots(sim) == dict.fromkeys(SYMBOLS, 1)
    unknown = (
        r"symbol\.unknown symbol=binance:ETH-USDT error=.*-1121: Invalid symbol.* retry_in_ms=[0-9]{6}\n"
    )
    assert told.count(unknown) == told.count("symbol.unknown") == 1, told.process.stderr
    assert told.count("snapshot.failed") == 0
    assert [state for state, _ in model.book("ETHUSDT").states] == [BookState.STALE, BookState.SYNCING]


def test_a_resync_by_hand_does_not_wait_until_the_unknown_symbol_is_asked_again(
    sim: SimProcess, provider_for: Callable[..., Provider], segment: str
) -> None:
    sim.fault("snapshot_unknown", symbol="ETHUSDT")
    provider = provider_for(sim, snapshot_depth=100)
    model, subscriber = RingModel(segment), Subscriber(segment)
    updates(model, GOOD, 2 * RATE)
    assert model.book("ETHUSDT").state == BookState.SYNCING
    provider.resync(subscriber.instrument("ETHUSDT").symbol_id)
    book = model.book_when_live("ETHUSDT")
    assert book.states[-3:] == recovery(StateReason.REQUESTED)
    assert snapshots(sim)["ETHUSDT"] == 2
