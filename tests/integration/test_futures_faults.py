"""Faults on the futures: the `pu` chain, ids that skip, and the two routes of USD-M, each lost alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from integration.harness import (
    ROOM_S,
    SNAPSHOT_PAUSE_S,
    Watched,
    fresh,
    recovery,
    settings,
    wait_fired,
    wait_for,
)
from mdp import BookState, EventFlag, EventType, Provider, StateReason, Subscriber
from mdp.sim import SimProcess, start_sim_process

RATE = 100
BACKOFF_S = 0.02  # the first, of `settings`
IDLE_TIMEOUT_S = 1.0
SYMBOLS = {"binance-usdm": ["BTCUSDT", "ETHUSDT"], "binance-coinm": ["BTCUSD_PERP", "ETHUSD_PERP"]}
ROUTES = {"binance-usdm": 2, "binance-coinm": 1}
CHANNELS = ["depth", "quote", "aggregate_trade", "mark_price"]
GAP = recovery(StateReason.GAP)
LOST_LINE = recovery(StateReason.DISCONNECTED)
REQUESTED = recovery(StateReason.REQUESTED)


@pytest.fixture(scope="module")
def sim() -> Iterator[SimProcess]:
    symbols = [symbol for own in SYMBOLS.values() for symbol in own]
    with start_sim_process(
        families=list(SYMBOLS), symbols=symbols, seed=6, rate=RATE, depth_interval_ms=50
    ) as sim:
        for venue in SYMBOLS:  # the handle's connections are there before any test counts descriptors
            sim.status(venue)
        yield sim


@pytest.fixture(autouse=True)
def _no_old_faults(sim: SimProcess, leak_check: None) -> None:
    sim.clear_faults()


def venue_settings(sim: SimProcess, segment: str, venue: str, **own: Any) -> dict[str, Any]:
    """Settings for one family alone; each in another topology."""
    served = sim.venues[venue]
    return settings(
        sim,
        segment,
        topology="fused" if venue == "binance-coinm" else "pipelined",
        name=venue,
        ws_url=served["ws_url"],
        rest_url=served["rest_url"],
        symbols=served["symbols"],
        channels=CHANNELS,
        **{"snapshot_depth": 100, **own},
    )


class WatchedFutures(Watched):
    """A provider of one family, all lines of which are up."""

    def __init__(self, sim: SimProcess, provider: Provider, segment: str, rate: float, venue: str) -> None:
        super().__init__(sim, provider, segment, rate=rate, venue=venue)
        self.struck, self.other = SYMBOLS[venue]
        self.depth_stream = f"{self.struck.lower()}@depth@100ms"
        self.routes = ROUTES[venue]
        assert len(self.lines()) == self.routes
        self.model.advance(lambda: len(self.model.lines) >= self.routes, "lines up in the ring")

    def both(self, states: list[Any]) -> dict[str, list[Any]]:
        """The same road for both books."""
        return {self.struck: states, self.other: states}


@pytest.fixture
def watch(
    sim: SimProcess, start_provider: Callable[..., Provider], segment: str
) -> Callable[..., WatchedFutures]:
    def start(venue: str, **own: Any) -> WatchedFutures:
        provider = start_provider(venue_settings(sim, segment, venue, **own))
        return WatchedFutures(sim, provider, segment, RATE, venue)

    return start


families = pytest.mark.parametrize("venue", SYMBOLS)


@families
@pytest.mark.parametrize("kind", ["drop", "reorder"])
def test_broken_chain_resyncs_its_symbol_alone(
    watch: Callable[..., WatchedFutures], venue: str, kind: str
) -> None:
    watched = watch(venue)
    watched.strike(kind, stream=watched.depth_stream)
    watched.check({watched.struck: GAP})
    assert fresh(watched.provider).health().engine.gaps == 1


@families
def test_duplicate_frame_changes_nothing(watch: Callable[..., WatchedFutures], venue: str) -> None:
    watched = watch(venue)
    watched.strike("duplicate", times=3, stream=watched.depth_stream, count=3)
    wait_for(lambda: fresh(watched.provider).health().engine.duplicates >= 3, "the copies to be counted")
    watched.check()


@families
@pytest.mark.parametrize("mode", ["reset", "close"])
def test_lost_lines_resync_their_books(watch: Callable[..., WatchedFutures], venue: str, mode: str) -> None:
    watched = watch(venue)
    watched.strike("disconnect", times=watched.routes, mode=mode)
    watched.check(watched.both(LOST_LINE), wait_s=BACKOFF_S, connections=watched.routes)


@families
def test_half_open_lines_are_noticed_and_replaced(watch: Callable[..., WatchedFutures], venue: str) -> None:
    watched = watch(venue, idle_timeout_ms=round(IDLE_TIMEOUT_S * 1000))
    watched.strike("half_open", times=watched.routes)
    wait_for(
        lambda: (
            sum(line.reconnects for line in fresh(watched.provider).health().engine.lines) == watched.routes
        ),
        "every line lost",
    )
    watched.check(watched.both(LOST_LINE), wait_s=IDLE_TIMEOUT_S + BACKOFF_S, connections=watched.routes)


@families
def test_stale_snapshot_is_fetched_again(watch: Callable[..., WatchedFutures], venue: str) -> None:
    watched = watch(venue)
    number = watched.arm_stale_snapshot(watched.struck)
    watched.provider.resync(watched.ids[watched.struck])
    wait_fired(watched.sim, number)
    watched.check({watched.struck: REQUESTED}, wait_s=0.5 + SNAPSHOT_PAUSE_S, more_snapshots=1)
    assert fresh(watched.provider).health().engine.snapshots_too_old == 1


@families
def test_shutdown_notice_renews_every_connection(watch: Callable[..., WatchedFutures], venue: str) -> None:
    watched = watch(venue, overlap_ms=500)
    before = watched.lines()
    watched.strike("shutdown_notice", times=watched.routes)
    wait_for(
        lambda: len(watched.lines()) == watched.routes and not set(watched.lines()) & set(before), before
    )
    watched.updates(3)
    watched.check(connections=watched.routes)
    assert sum(line.reconnects for line in fresh(watched.provider).health().engine.lines) == 0


# ---- the two routes of USD-M ----


def aggregate_trades(subscriber: Subscriber, symbol_id: int) -> list[int]:
    """The ids of the aggregate trades that came since the last call."""
    ids: list[int] = []
    while batch := subscriber.poll(4096):
        ids += [
            event.trade_id
            for event in batch
            if event.type == EventType.TRADE
            and event.symbol_id == symbol_id
            and event.flags & EventFlag.AGGREGATE.value
        ]
    return ids


def test_losing_the_route_of_the_books_touches_no_trade(watch: Callable[..., WatchedFutures]) -> None:
    watched = watch("binance-usdm")
    trades = Subscriber(watched.provider.segment, from_oldest=True)
    symbol_id = watched.ids[watched.struck]
    watched.strike("disconnect", mode="reset", stream=watched.depth_stream)
    watched.check(watched.both(LOST_LINE), wait_s=BACKOFF_S, connections=1)
    assert watched.model.lines == ["UP", "UP", "DOWN", "UP"]
    ids: list[int] = []
    wait_for(lambda: ids.extend(aggregate_trades(trades, symbol_id)) or len(ids) > 10, "trades")
    assert ids == list(range(ids[0], ids[0] + len(ids))), "not one is missing"


def test_losing_the_route_of_the_trades_touches_no_book(watch: Callable[..., WatchedFutures]) -> None:
    watched = watch("binance-usdm")
    trades = Subscriber(watched.provider.segment, from_oldest=True)
    symbol_id = watched.ids[watched.struck]
    watched.strike("disconnect", mode="reset", stream=f"{watched.struck.lower()}@aggTrade")
    watched.model.advance(
        lambda: watched.model.lines == ["UP", "UP", "DOWN", "UP"], lambda: watched.model.lines
    )
    aggregate_trades(trades, symbol_id)
    wait_for(lambda: aggregate_trades(trades, symbol_id), "trades again")
    watched.check(connections=1)


def test_quiet_book_comes_back_while_the_other_route_flaps(
    start_sim: Callable[..., SimProcess], start_provider: Callable[..., Provider], segment: str
) -> None:
    # Nothing happens to the books. The mark prices of the other family go on: they are the clock.
    mark_s, quiet_s = 0.05, 2.0
    sim = start_sim(
        families=list(SYMBOLS),
        symbols=["BTCUSDT", "BTCUSD_PERP"],
        rate=0,
        mark_interval_ms=round(mark_s * 1000),
    )
    usdm, coinm = (
        venue_settings(sim, segment, venue, quiet_sync_ms=round(quiet_s * 1000)) for venue in SYMBOLS
    )
    provider = start_provider({**usdm, "venues": [*usdm["venues"], *coinm["venues"]]})
    watched = Watched(sim, provider, segment, rate=0, venue="binance-usdm")
    wait_for(lambda: len(watched.lines()) == 3, watched.lines)
    book = watched.model.book("BTCUSDT")
    clock = watched.model.book("BTCUSD_PERP")
    watched.strike("disconnect", mode="reset", stream="btcusdt@depth@100ms")
    watched.model.advance(lambda: book.state == BookState.STALE, lambda: book.states)
    marks_before = clock.marks
    flaps = 0

    def live_at_last() -> bool:
        # Each time the other route is up it is lost again, sooner than a book is called quiet.
        nonlocal flaps
        if len(watched.lines()) == 3:
            watched.strike("disconnect", mode="reset", stream="btcusdt@aggTrade")
            flaps += 1
        watched.model.advance(lambda at=clock.marks: clock.marks > at, "mark prices")
        return book.state == BookState.LIVE

    wait_for(live_at_last, lambda: f"LIVE, but {flaps} flaps have led to {book.states}")
    assert clock.marks - marks_before <= (quiet_s + BACKOFF_S + SNAPSHOT_PAUSE_S + ROOM_S) / mark_s
    assert flaps > 2
    assert watched.states("BTCUSDT") == LOST_LINE
