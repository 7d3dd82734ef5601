"""Subscriber, batches, followers: against a live publisher in another process."""

from __future__ import annotations

import asyncio
import importlib
import os
import signal
import threading
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from mdp import (
    Book,
    BookState,
    EventBatch,
    EventType,
    LappedError,
    LocalBook,
    PublisherStatus,
    ReadStatus,
    SegmentError,
    StaleBookError,
    StateReason,
    Subscriber,
)
from mdp import _core as core
from mdp.reading import dtypes as mdp_dtypes
from support.live import LivePublisher, wait_until

STEPS = 2000
SYMBOLS = ("BTCUSDT", "ETHUSDT", "SOLUSDT", "QUIETUSDT")


@pytest.fixture
def publisher() -> Iterator[LivePublisher]:
    with LivePublisher() as live:
        yield live


@pytest.fixture(scope="module")
def filled() -> Iterator[tuple[LivePublisher, EventBatch]]:
    """Give one batch of a few thousand events, from the very first on, and its publisher at rest."""
    with LivePublisher(ring_bytes=4 << 20) as live:
        live.fill(STEPS)
        yield live, Subscriber(live.segment, from_oldest=True).poll(100_000)


@pytest.mark.parametrize("name", sorted(core.record_layouts()))
def test_dtype_has_sizes_and_offsets_of_the_cpp_struct(name: str) -> None:
    dtype = getattr(mdp_dtypes, name)
    size, offsets = core.record_layouts()[name]
    assert dtype.itemsize == size
    assert {field: dtype.fields[field][1] for field in dtype.names} == offsets


def test_dtypes_leave_no_bytes_uncovered() -> None:
    # Equal offsets alone would not show a field that is too narrow.
    for name, unused in {"EVENT_DTYPE": 0, "LEVEL_DTYPE": 0, "BBO_DTYPE": 0, "TRADE_DTYPE": 7}.items():
        dtype = getattr(mdp_dtypes, name)
        assert sum(dtype.fields[field][0].itemsize for field in dtype.names) == dtype.itemsize - unused


def test_batch_holds_every_event_once(filled: tuple[LivePublisher, EventBatch]) -> None:
    live, batch = filled
    assert len(batch) == live.events
    assert batch.status == ReadStatus.EMPTY
    np.testing.assert_array_equal(batch.headers["sequence"], np.arange(live.events))
    kinds = np.bincount(batch.headers["type"], minlength=8)
    assert kinds[EventType.BOOK_DELTA.value] == STEPS
    assert kinds[EventType.BBO.value] == STEPS // 2 == len(batch.bbo)
    assert kinds[EventType.TRADE.value] == STEPS // 4 == len(batch.trades)
    assert batch.level_offset[0] == 0
    assert batch.level_offset[-1] == len(batch.levels)


def test_arrays_and_objects_say_the_same(filled: tuple[LivePublisher, EventBatch]) -> None:
    _, batch = filled
    bbo, trades = dict(zip(batch.bbo_rows.tolist(), batch.bbo, strict=True)), {}
    trades = dict(zip(batch.trade_rows.tolist(), batch.trades, strict=True))
    seen = set()
    for row, event in enumerate(batch):
        header = batch.headers[row]
        for field in ("sequence", "symbol_id", "update_id", "first_update_id", "pub_ts_ns", "exchange_id"):
            assert getattr(event, field) == header[field]
        assert event.type.value == header["type"]
        levels = batch.levels[batch.level_offset[row] : batch.level_offset[row + 1]]
        if event.type == EventType.BOOK_DELTA:
            pairs = [*map(tuple, event.bids.tolist()), *map(tuple, event.asks.tolist())]
            assert pairs == levels.tolist()
            assert len(event.bids) == header["bid_count"] > 0
        else:
            assert len(levels) == 0
        if event.type == EventType.BBO:
            assert (*event.bid, *event.ask) == bbo[row].item()
        if event.type == EventType.TRADE:
            got = (event.price, event.quantity, event.trade_id, event.side.value)
            assert got == trades[row].item()
        seen.add(event.type)
    assert seen == {EventType.BOOK_STATE, EventType.BOOK_DELTA, EventType.BBO, EventType.TRADE}


def test_batch_is_a_sequence(filled: tuple[LivePublisher, EventBatch]) -> None:
    _, batch = filled
    assert batch[0].sequence == 0
    assert batch[-1].sequence == len(batch) - 1
    assert [event.sequence for event in batch[2:8:3]] == [2, 5]
    with pytest.raises(IndexError):
        batch[len(batch)]
    assert batch


def test_arrays_are_read_only_and_outlive_batch_and_subscriber(publisher: LivePublisher) -> None:
    publisher.fill(100)
    subscriber = Subscriber(publisher.segment, from_oldest=True)
    batch = subscriber.poll()
    headers, levels = batch.headers, batch.levels
    before = levels.copy()
    with pytest.raises(ValueError, match="read-only"):
        headers["sequence"] = 0
    del batch
    publisher.fill(100)
    subscriber.poll()
    del subscriber
    np.testing.assert_array_equal(levels, before)
    np.testing.assert_array_equal(headers["sequence"], np.arange(len(headers)))


def test_poll_takes_no_more_than_asked_and_goes_on_there(publisher: LivePublisher) -> None:
    events = publisher.fill(500)
    subscriber = Subscriber(publisher.segment, from_oldest=True)
    sequences: list[int] = []
    while batch := subscriber.poll(7):
        assert len(batch) <= 7
        assert (batch.status == ReadStatus.OK) == (len(batch) == 7)
        sequences += batch.headers["sequence"].tolist()
    assert sequences == list(range(events))


def test_empty_batch_has_arrays_of_no_length(publisher: LivePublisher) -> None:
    batch = Subscriber(publisher.segment).poll()
    assert not batch
    assert list(batch) == []
    for array in (batch.headers, batch.levels, batch.bbo, batch.trades, batch.bbo_rows, batch.trade_rows):
        assert array.shape == (0,)
    assert batch.level_offset.tolist() == [0]
    for what in ("events", "levels", "bbo", "trades"):
        assert all(len(column) == 0 for column in batch.columns(what, numbers="float").values())


def test_columns_of_levels_know_their_side(filled: tuple[LivePublisher, EventBatch]) -> None:
    _, batch = filled
    table = batch.columns("levels")
    assert {len(column) for column in table.values()} == {len(batch.levels)}
    # The publisher's bids are below 1,000,000 and its asks above.
    np.testing.assert_array_equal(table["is_bid"], table["price"] < 1_000_000)
    deltas = [event for event in batch if event.type == EventType.BOOK_DELTA]
    assert table["sequence"][-1] == deltas[-1].sequence


def test_numbers_are_exact_or_the_nearest_float(filled: tuple[LivePublisher, EventBatch]) -> None:
    _, batch = filled
    for what, price, quantity in (
        ("trades", "price", "quantity"),
        ("levels", "price", "quantity"),
        ("bbo", "ask_price", "ask_quantity"),
    ):
        mantissas = batch.columns(what)  # type: ignore[arg-type]
        floats = batch.columns(what, numbers="float")  # type: ignore[arg-type]
        exact = batch.columns(what, numbers="decimal")  # type: ignore[arg-type]
        assert mantissas[price].dtype == np.int64
        # The publisher's exponents are -2 and -3.
        for name, exponent in ((price, -2), (quantity, -3)):
            wanted = [Decimal(value).scaleb(exponent) for value in mantissas[name].tolist()]
            assert exact[name].tolist() == wanted
            assert floats[name].tolist() == [float(value) for value in wanted]
    with pytest.raises(ValueError, match="numbers"):
        batch.columns("trades", numbers="text")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="what"):
        batch.columns("books")  # type: ignore[arg-type]


@pytest.mark.parametrize("numbers", ["mantissa", "float", "decimal"])
@pytest.mark.parametrize("library", ["pandas", "polars", "pyarrow"])
def test_tables_of_other_libraries_have_the_same_values(
    filled: tuple[LivePublisher, EventBatch], library: str, numbers: Any
) -> None:
    pytest.importorskip(library, reason=f"{library} is not installed; mdp does not need it")
    _, batch = filled
    for what in ("events", "levels", "bbo", "trades"):
        columns = batch.columns(what, numbers=numbers)  # type: ignore[arg-type]
        table = getattr(batch, {"pyarrow": "to_arrow"}.get(library, f"to_{library}"))(what, numbers=numbers)
        names = table.column_names if library == "pyarrow" else list(table.columns)
        assert names == list(columns)
        for name, column in columns.items():
            values = table[name].to_pylist() if library == "pyarrow" else list(table[name])
            assert values == column.tolist(), f"{what}.{name}"


@pytest.mark.parametrize(
    ("method", "library"), [("to_pandas", "pandas"), ("to_polars", "polars"), ("to_arrow", "pyarrow")]
)
def test_missing_library_is_named(
    filled: tuple[LivePublisher, EventBatch], monkeypatch: pytest.MonkeyPatch, method: str, library: str
) -> None:
    real = importlib.import_module

    def without(name: str, package: str | None = None) -> Any:
        if name == library:
            raise ModuleNotFoundError(name)
        return real(name, package)

    monkeypatch.setattr("mdp.reading.batch.import_module", without)
    with pytest.raises(ImportError, match=f"pip install {library}"):
        getattr(filled[1], method)()


def test_lapped_reader_counts_what_it_lost(publisher: LivePublisher) -> None:
    subscriber = Subscriber(publisher.segment, from_oldest=True)
    first = subscriber.poll(3)
    assert [event.sequence for event in first] == [0, 1, 2]
    events = publisher.fill(20_000)  # several times the ring
    lapped = subscriber.poll()
    assert lapped.status == ReadStatus.LAPPED
    assert not lapped
    rest = [event.sequence for event in iter_at_rest(subscriber)]
    assert subscriber.lost_events == rest[0] - 3 > 0
    assert rest == list(range(rest[0], events))


def test_strict_reader_raises_once_for_each_loss(publisher: LivePublisher) -> None:
    subscriber = Subscriber(publisher.segment, from_oldest=True, strict=True)
    subscriber.poll()
    publisher.fill(20_000)
    with pytest.raises(LappedError, match="events were lost"):
        subscriber.poll()
    assert subscriber.poll(), "it goes on behind the hole"


def test_iteration_ends_when_the_publisher_stops(publisher: LivePublisher) -> None:
    events = publisher.fill(100)
    subscriber = Subscriber(publisher.segment, from_oldest=True)
    publisher.stop()
    assert [event.sequence for event in subscriber] == list(range(events))
    assert subscriber.publisher_status() == PublisherStatus.STOPPED
    assert subscriber.publisher_gone


def test_iteration_ends_when_the_publisher_dies(publisher: LivePublisher) -> None:
    events = publisher.fill(100)
    subscriber = Subscriber(publisher.segment, from_oldest=True)
    publisher.die()
    assert [event.sequence for event in subscriber] == list(range(events))
    assert subscriber.publisher_status() == PublisherStatus.DEAD


def test_no_book_of_a_dead_publisher_is_live(publisher: LivePublisher) -> None:
    publisher.fill(100)
    subscriber = Subscriber(publisher.segment)
    follower = Subscriber(publisher.segment).follow("BTCUSDT")
    assert subscriber.book("BTCUSDT", require_live=True).live
    assert follower.live
    publisher.die()
    wait_until(lambda: not subscriber.book("BTCUSDT").live, "its death to be noticed")
    assert subscriber.heartbeat_age_s > 1
    book = subscriber.book("BTCUSDT")
    assert (book.state, book.reason, book.publisher) == (
        BookState.STALE,
        StateReason.SYNCED,
        PublisherStatus.DEAD,
    )
    assert len(book.bids), "what it knew can be read"
    with pytest.raises(StaleBookError, match=r"is STALE \(PUBLISHER_DEAD\), wanted LIVE"):
        subscriber.book("BTCUSDT", require_live=True)
    assert follower.book.live, "as far as its events went"
    assert not follower.live


def test_segment_of_another_user_takes_trust(publisher: LivePublisher) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root may give a file to another user")
    os.chown(f"/dev/shm/{publisher.segment}", 12345, -1)
    with pytest.raises(SegmentError, match="not trusted: the segment belongs to uid 12345"):
        Subscriber(publisher.segment)
    assert Subscriber(publisher.segment, trusted_uid=12345).instruments


def test_silent_publisher_that_lives_is_stale_not_gone(publisher: LivePublisher) -> None:
    publisher.fill(100)
    subscriber = Subscriber(publisher.segment)
    publisher.process.send_signal(signal.SIGSTOP)
    try:
        wait_until(lambda: subscriber.publisher_status() == PublisherStatus.SILENT, "an old heartbeat")
        assert not subscriber.publisher_gone
        assert subscriber.book("BTCUSDT").why == "PUBLISHER_SILENT"
    finally:
        publisher.process.send_signal(signal.SIGCONT)
    wait_until(lambda: subscriber.publisher_status() == PublisherStatus.RUNNING, "the heartbeat to come back")


def test_async_for_yields_every_event_and_lets_others_run(publisher: LivePublisher) -> None:
    subscriber = Subscriber(publisher.segment, from_oldest=True)

    async def read() -> tuple[list[int], int]:
        turns = 0

        async def other() -> None:
            nonlocal turns
            while True:
                turns += 1
                await asyncio.sleep(0)

        task = asyncio.create_task(other())
        commands = threading.Thread(target=lambda: (publisher.fill(500), publisher.stop()))
        commands.start()
        # Small batches, so that there are turns to give even if all was published before the first poll.
        sequences = [event.sequence async for event in subscriber.stream(max_events=64)]
        task.cancel()
        commands.join()
        return sequences, turns

    sequences, turns = asyncio.run(read())
    assert sequences == list(range(publisher.events))
    assert turns >= publisher.events // 64


def test_subscriber_is_an_async_iterable(publisher: LivePublisher) -> None:
    subscriber = Subscriber(publisher.segment, from_oldest=True)
    events = publisher.fill(50)
    publisher.stop()

    async def read() -> list[int]:
        return [event.sequence async for event in subscriber]

    assert asyncio.run(read()) == list(range(events))


def test_stream_can_be_left(publisher: LivePublisher) -> None:
    publisher.fill(100)
    subscriber = Subscriber(publisher.segment, from_oldest=True)

    async def first(count: int) -> list[int]:
        sequences = []
        async for event in subscriber.stream(max_events=8):
            sequences.append(event.sequence)
            if len(sequences) == count:
                break
        return sequences

    assert asyncio.run(first(16)) == list(range(16))
    assert subscriber.poll(1)[0].sequence == 16, "what was not polled is still to be read"


def iter_at_rest(subscriber: Subscriber) -> Iterator[Any]:
    """Yield what is in the ring now."""
    while batch := subscriber.poll():
        yield from batch


def assert_same_book(local: LocalBook, book: Book, symbol: str) -> int:
    """Compare the levels `local` knows with the published ones; return how many were compared."""
    compared = 0
    for side in ("bids", "asks"):
        published = [tuple(level) for level in getattr(book, side).tolist()]
        mine = local.levels(side)[: len(published)]  # type: ignore[arg-type]
        assert mine == published[: len(mine)], f"{symbol} {side}"
        compared += len(mine)
    assert local.update_id == book.update_id
    assert local.state == book.state
    return compared


@pytest.mark.parametrize("levels", [4, 64])
def test_follower_keeps_the_book(levels: int) -> None:
    with LivePublisher(ring_bytes=8 << 20, levels=levels) as publisher:
        publisher.fill(1000)
        subscribers = [Subscriber(publisher.segment) for _ in SYMBOLS]
        followers = [sub.follow(symbol) for sub, symbol in zip(subscribers, SYMBOLS, strict=True)]
        compared = 0
        for _ in range(50):
            publisher.fill(37)
            for follower, subscriber, symbol in zip(followers, subscribers, SYMBOLS, strict=True):
                while follower.poll(100).status == ReadStatus.OK:
                    pass
                compared += assert_same_book(follower.book, subscriber.book(symbol), symbol)
        assert compared > 0
        if levels == 64:  # the whole book is in the table, so none of it may be missing
            for follower in followers:
                book = follower._subscriber.book(follower.instrument.symbol_id)
                assert len(follower.book.levels("bids")) == len(book.bids) > 0
                assert len(follower.book.levels("asks")) == len(book.asks) > 0
        assert all(follower.joins == 1 for follower in followers)


def join_again_and_again(publisher: LivePublisher, joins: int) -> None:
    """Join under full load: the events after each join count on from the book, without a hole or a repeat."""
    subscriber = Subscriber(publisher.segment)
    publisher.load()
    done = laps = events = 0
    while done < joins:
        symbol = SYMBOLS[done % 3] if done % 16 else SYMBOLS[3]
        follower = subscriber.follow(symbol)
        update_id, followed = follower.book.update_id, 0
        while followed < (1 if symbol == SYMBOLS[3] else 5):
            batch = follower._read(64)
            events += len(batch)
            for event in batch:
                assert event.symbol_id == follower.instrument.symbol_id
                if event.type == EventType.BOOK_DELTA:
                    update_id += 1
                    assert event.update_id == update_id, f"join {done} of {symbol}"
                    followed += 1
            if batch.status == ReadStatus.LAPPED:  # this process was not scheduled for a while, and was told
                laps += 1
                break
            assert batch.status in (ReadStatus.OK, ReadStatus.EMPTY)
        else:
            done += 1
    published = publisher.rest()
    print(f"{done} joins under {published} events, {events} events checked behind them, {laps} laps")
    # The last one is followed to the end: its book is the published one.
    follower = subscriber.follow(SYMBOLS[0])
    while follower.poll().status != ReadStatus.EMPTY:
        pass
    assert_same_book(follower.book, subscriber.book(SYMBOLS[0]), SYMBOLS[0])


def test_joins_under_load_have_no_gap_and_no_duplicate() -> None:
    with LivePublisher(ring_bytes=16 << 20) as publisher:
        join_again_and_again(publisher, 300)


@pytest.mark.stress
@pytest.mark.timeout(900)
def test_thousands_of_joins_under_load_have_no_gap_and_no_duplicate() -> None:
    with LivePublisher(ring_bytes=16 << 20) as publisher:
        join_again_and_again(publisher, 20_000)


def test_lapped_follower_joins_anew(publisher: LivePublisher) -> None:
    subscriber = Subscriber(publisher.segment)
    follower = subscriber.follow("ETHUSDT")
    publisher.fill(20_000)
    while follower.poll().status != ReadStatus.EMPTY:
        pass
    assert follower.joins == 2
    assert_same_book(follower.book, subscriber.book("ETHUSDT"), "ETHUSDT")


def test_strict_follower_joins_anew_after_it_was_told(publisher: LivePublisher) -> None:
    subscriber = Subscriber(publisher.segment, strict=True)
    follower = subscriber.follow("ETHUSDT")
    publisher.fill(20_000)
    with pytest.raises(LappedError):
        follower.poll()
    publisher.fill(20)
    while follower.poll().status != ReadStatus.EMPTY:
        pass
    assert follower.joins == 2
    assert_same_book(follower.book, subscriber.book("ETHUSDT"), "ETHUSDT")


def test_follower_iterates_its_instrument_until_the_end(publisher: LivePublisher) -> None:
    publisher.fill(50)
    follower = Subscriber(publisher.segment).follow("test:SOLUSDT")
    start = follower.book.update_id
    publisher.fill(100)
    publisher.stop()
    ids = []
    for event in follower:
        assert event.symbol_id == 2
        if event.type == EventType.BOOK_DELTA:
            assert follower.book.update_id == event.update_id, "the book is that after the event"
            ids.append(event.update_id)
    assert ids == list(range(start + 1, start + 1 + len(ids)))
    assert len(ids) > 20


def test_follower_of_an_unknown_symbol(publisher: LivePublisher) -> None:
    with pytest.raises(SegmentError, match="NOSUCH"):
        Subscriber(publisher.segment).follow("NOSUCH")


def local_book(bids: list[tuple[int, int]], asks: list[tuple[int, int]], capacity: int) -> LocalBook:
    book = LocalBook()
    assert (book.state, book.live, book.best("bids")) == (BookState.STALE, False, None)
    book.reset(BookState.LIVE, StateReason.SYNCED, 5, bids, asks, capacity)
    return book


def test_local_book_says_what_it_knows() -> None:
    book = local_book([(100, 1), (98, 1)], [(101, 1)], 2)
    assert (book.live, book.whole, book.update_id, book.reason) == (True, False, 5, StateReason.SYNCED)
    assert book.levels("bids") == [(100, 1), (98, 1)]
    assert book.levels("bids", 1) == [(100, 1)]
    assert (book.best("bids"), book.best("asks")) == ((100, 1), (101, 1))
    assert local_book([(100, 1)], [], 2).whole, "the table had both sides"
    assert local_book([(100, 1)], [], 2).best("asks") is None
    with pytest.raises(ValueError, match='wanted is "bids" or "asks", found "bid"'):
        book.levels("bid")  # type: ignore[arg-type]


@pytest.mark.parametrize("verify", [False, True])
def test_local_book_applies_the_events_of_a_batch(publisher: LivePublisher, verify: bool) -> None:
    subscriber = Subscriber(publisher.segment)
    publisher.fill(STEPS)
    events = list(Subscriber(publisher.segment, from_oldest=True).poll(100_000))
    assert len(events) == publisher.events
    for symbol_id, symbol in enumerate(SYMBOLS):
        book = LocalBook()
        book.verify = verify
        book.reset(BookState.STALE, StateReason.STARTING, 0, [], [], 20)
        assert not book.whole, "a book that is not LIVE promises nothing of its levels"
        book.reset(BookState.LIVE, StateReason.STARTING, 0, [], [], 20)
        mine = [event for event in events if event.symbol_id == symbol_id]
        for event in mine:
            book.apply(event)
        assert assert_same_book(book, subscriber.book(symbol), symbol) > 2
        assert (book.whole, book.gaps, book.mismatches) == (True, 0, 0)
        before = book.levels("bids"), book.levels("asks"), book.update_id
        for event in mine:  # which it has already
            book.apply(event)
        assert (book.levels("bids"), book.levels("asks"), book.update_id) == before


def test_polled_and_iterated_follower_keep_the_same_book(publisher: LivePublisher) -> None:
    polled, iterated = (Subscriber(publisher.segment).follow("BTCUSDT", verify=True) for _ in range(2))
    for steps in (500, 20_000, 500):  # within the ring, beyond it, and after the lap
        publisher.fill(steps)
        while polled.poll().status != ReadStatus.EMPTY:
            pass
        while (batch := iterated._read()).status != ReadStatus.EMPTY or batch:
            for event in batch:
                iterated.book.apply(event)
        for side in ("bids", "asks"):
            assert polled.book.levels(side) == iterated.book.levels(side)  # type: ignore[arg-type]
        assert polled.book.update_id == iterated.book.update_id
    assert polled.joins == iterated.joins == 2


def test_trades_that_a_lap_left_in_the_ring_are_followed(publisher: LivePublisher) -> None:
    subscriber = Subscriber(publisher.segment)
    follower = subscriber.follow("BTCUSDT")
    publisher.fill(20_000)
    assert follower.poll().status == ReadStatus.LAPPED
    present = subscriber.book("BTCUSDT").update_id
    assert follower.book.update_id == present, "the book is the present one"
    trades, ids = 0, []
    while (batch := follower.poll()).status != ReadStatus.EMPTY or batch:
        trades += sum(event.type == EventType.TRADE for event in batch)
        ids += [event.update_id for event in batch if event.type == EventType.BOOK_DELTA]
        assert follower.book.update_id == present, "and stays so until its events are reached"
    assert trades > 100
    assert ids == list(range(ids[0], present + 1))
