"""The whole road, from the exchange's socket to readers of shared memory, in both topologies."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from integration.harness import (
    LIVE_ROAD,
    RingModel,
    assert_book_is_true,
    assert_ring_equals_table,
    assert_ring_is_true,
    fresh,
    wait_for,
    wait_live,
)
from mdp import BookState, EventType, LappedError, Provider, Subscriber
from mdp._core import PublisherStatus
from mdp.sim import SimProcess, start_sim_process

SYMBOLS = ["BTCUSDT", "ETHUSDT", "BNBUSDT", "SOLUSDT", "1000SATSUSDT", "ETHBTC"]
ROUNDS = 6


@pytest.fixture(scope="module")
def sim():
    with start_sim_process(symbols=SYMBOLS, seed=11, rate=200) as sim:
        sim.status()  # the handle's connection is there before any test counts descriptors
        yield sim


def test_every_book_equals_the_truth_while_it_changes(
    sim: SimProcess, provider_for: Callable[..., Provider], segment: str
) -> None:
    provider = provider_for(sim, over={"segment": {"levels": 100}})
    wait_live(provider)
    subscriber = Subscriber(segment)
    assert [entry.venue_symbol for entry in subscriber.instruments] == SYMBOLS
    seen: dict[str, set[int]] = {symbol: set() for symbol in SYMBOLS}
    model = RingModel(segment)
    for _ in range(ROUNDS):
        for symbol in SYMBOLS:
            before = subscriber.book(symbol)
            model.advance(
                lambda symbol=symbol, before=before: subscriber.book(symbol).update_id > before.update_id,
                f"a change of {symbol}",
            )
            book = subscriber.book(symbol, require_live=True)
            assert book.update_id not in seen[symbol]
            seen[symbol].add(book.update_id)
            assert len(book.bids) == len(book.asks) == 100
            assert_book_is_true(sim, book)
    health = fresh(provider).health()
    assert health.live == health.symbols == len(SYMBOLS)
    assert (health.engine.gaps, health.engine.resyncs, health.engine.crossed) == (0, 0, 0)
    assert health.engine.rejected_events == 0
    assert [line.parse_errors for line in health.engine.lines] == [0]


def test_late_joiner_has_every_level_and_verifies_each_update(
    sim: SimProcess, provider_for: Callable[..., Provider], segment: str
) -> None:
    over = {"segment": {"levels": 5, "ring": "1MiB"}}
    # Not 5000: the tests share one exchange, and what it allows in a minute.
    wait_live(provider_for(sim, snapshot_depth=500, over=over))

    def gone_round() -> bool:
        oldest = Subscriber(segment, from_oldest=True).poll(1)
        return len(oldest) > 0 and oldest[0].sequence > 0

    wait_for(gone_round, "the first whole books to leave the ring")
    for symbol in SYMBOLS:
        subscriber = Subscriber(segment)
        follower = subscriber.follow(symbol, verify=True)
        book = follower.book
        assert book.whole, f"{symbol}: {book.reason.name}"
        assert follower.live
        assert len(book.levels("bids")) > 100, "of which the table has five"
        wait_for(
            lambda follower=follower: follower.poll() is not None and follower.book.verified > 10, symbol
        )
        assert (book.mismatches, book.gaps) == (0, 0)
        published = subscriber.book(symbol)
        while book.update_id < published.update_id:
            follower.poll(1)
        assert book.update_id == published.update_id
        for side, levels in (("bids", published.bids), ("asks", published.asks)):
            assert book.levels(side, 5) == [tuple(level) for level in levels.tolist()]


def test_ring_alone_gives_every_book_trade_and_quote(
    sim: SimProcess, provider_for: Callable[..., Provider], segment: str
) -> None:
    provider = provider_for(sim, snapshot_depth=5000)  # so the whole book is known, to its last level
    model = RingModel(segment)
    subscriber = Subscriber(segment)
    wait_live(provider)
    for _ in range(3):
        for instrument in subscriber.instruments:
            ring = model.books[instrument.symbol_id]
            model.advance(lambda ring=ring: ring.state == BookState.LIVE, "LIVE in the ring")
            at = ring.update_id
            model.advance(lambda ring=ring, at=at: ring.update_id > at, "an update in the ring")
            assert_ring_is_true(sim, model, instrument.venue_symbol, 5000)
            assert_ring_equals_table(model, subscriber.book(instrument.symbol_id))
    model.advance(lambda: model.counts[EventType.TRADE] > 50, "trades")
    model.advance(lambda: model.venue_quotes > 50, "the venue's quotes")
    for symbol in SYMBOLS:
        assert model.book(symbol).states == LIVE_ROAD
    assert model.lines == ["UP"]
    assert model.counts[EventType.INSTRUMENT] == len(SYMBOLS)
    assert model.counts[EventType.BOOK_STATE] == 3 * len(SYMBOLS)
    provider.stop()
    # What the provider counted is what the ring holds, to the event, and the reader lost none of it.
    model.catch_up()
    health = fresh(provider).health()
    assert model.next_sequence == health.engine.events
    assert model.counts[EventType.TRADE] == health.engine.trades
    assert model.venue_quotes == health.engine.quotes
    assert model.subscriber.lost_events == 0
    assert model.subscriber.publisher_status() == PublisherStatus.STOPPED
    for symbol in SYMBOLS:
        assert model.book(symbol).states == LIVE_ROAD, "stopping is told by the segment, not by books"


def test_times_are_in_order_and_ids_rise(
    sim: SimProcess, provider_for: Callable[..., Provider], segment: str
) -> None:
    provider = provider_for(sim)
    subscriber = Subscriber(segment, from_oldest=True)
    wait_live(provider)
    last_update: dict[int, int] = {}
    last_trade: dict[int, int] = {}
    published = deltas = 0
    for event in subscriber:
        assert event.pub_ts_ns >= published
        published = event.pub_ts_ns
        if event.type in (EventType.BOOK_DELTA, EventType.TRADE):
            assert 0 < event.recv_ts_ns <= event.pub_ts_ns
            # The exchange is this machine, so its clock is ours; it writes whole milliseconds.
            assert 0 < event.exch_ts_ns <= event.recv_ts_ns + 1_000_000
        if event.type == EventType.BOOK_DELTA:
            assert event.update_id > last_update.get(event.symbol_id, 0)
            last_update[event.symbol_id] = event.update_id
            deltas += 1
        elif event.type == EventType.TRADE:
            assert event.price > 0
            assert event.quantity > 0
            assert event.side.name in ("BUY", "SELL")
            assert event.trade_id > last_trade.get(event.symbol_id, -1)
            last_trade[event.symbol_id] = event.trade_id
        if deltas >= 60 and len(last_trade) == len(SYMBOLS):
            break


def test_lapped_reader_knows_how_many_events_it_lost(
    sim: SimProcess, provider_for: Callable[..., Provider], segment: str
) -> None:
    provider = provider_for(sim, over={"segment": {"ring": "64KiB"}})
    slow, strict = Subscriber(segment, from_oldest=True), Subscriber(segment, from_oldest=True, strict=True)
    wait_live(provider)
    at = fresh(provider).health().engine.events
    wait_for(lambda: fresh(provider).health().engine.events > at + 2000, "a ring written over several times")
    with pytest.raises(LappedError, match=f'segment "{segment}": \\d+ events were lost'):
        strict.poll()
    provider.stop()
    events = list(slow)
    assert slow.lost_events > 1000
    assert slow.lost_events + len(events) == fresh(provider).health().engine.events, "not one more or less"
    sequences = [event.sequence for event in events]
    assert sequences[-1] == fresh(provider).health().engine.events - 1
    assert sequences == sorted(set(sequences))
