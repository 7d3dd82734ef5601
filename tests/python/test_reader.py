"""`Subscriber` and `Book`: on a segment without a venue, and on a reader that a test directs."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import mdp.reading.reader
import numpy as np
import pytest
from mdp import Book, BookState, LappedError, SegmentError, StaleBookError, StateReason, Subscriber, _core
from mdp._core import PublisherStatus, ReadStatus

_numbers = itertools.count()


@pytest.fixture
def engine() -> Iterator[_core.Engine]:
    config, segment = _core.EngineConfig(), _core.SegmentConfig()
    segment.name = f"mdp-unit-{os.getpid()}-{next(_numbers)}"
    segment.ring = 1 << 16
    segment.instruments = 4
    config.segment = segment
    engine = _core.Engine(config)
    yield engine
    engine.stop()


def test_no_segment_is_said_so() -> None:
    name = f"mdp-unit-{os.getpid()}-none"
    with pytest.raises(SegmentError, match=f'cannot attach to segment "{name}": no such segment'):
        Subscriber(name)
    with pytest.raises(SegmentError, match="bad segment name"):
        Subscriber("../etc/passwd")


def test_empty_segment(engine: _core.Engine) -> None:
    subscriber = Subscriber(engine.segment_name)
    assert subscriber.publisher_pid == os.getpid()
    assert subscriber.instruments == []
    assert list(subscriber.poll()) == []
    assert subscriber.lost_events == 0
    assert subscriber.publisher_status() == PublisherStatus.RUNNING
    with pytest.raises(SegmentError, match="has no instrument 'BTCUSDT'; it has: none"):
        subscriber.book("BTCUSDT")


def test_reader_sees_the_end_and_goes_over_to_the_next_publisher(engine: _core.Engine) -> None:
    subscriber = Subscriber(engine.segment_name)
    engine.stop()
    assert subscriber.publisher_status() == PublisherStatus.STOPPED
    assert list(subscriber) == [], "iteration ends"
    assert not subscriber.reattach()
    config, segment = _core.EngineConfig(), _core.SegmentConfig()
    segment.name = engine.segment_name
    config.segment = segment
    successor = _core.Engine(config)
    try:
        assert subscriber.reattach()
        assert subscriber.publisher_status() == PublisherStatus.RUNNING
    finally:
        successor.stop()


class FakeBatch(list[Any]):
    """Stands for the columns of a batch."""

    def event(self, row: int) -> Any:
        return self[row]


class FakeReader:
    """Answers what a test has prepared."""

    lost_events = 0
    publisher_pid = 1
    levels_per_side = 20

    def __init__(self, segment: str, from_oldest: bool, trusted_uid: int | None) -> None:
        self.segment, self.from_oldest, self.trusted_uid = segment, from_oldest, trusted_uid
        self.directory: list[Any] = []
        self.polls: list[tuple[list[Any], ReadStatus, int]] = []
        self.state = BookState.LIVE
        self.publisher = PublisherStatus.RUNNING

    def instruments(self) -> list[Any]:
        return self.directory

    def poll(self, max_events: int, symbol_id: int, _: Any = None) -> tuple[FakeBatch, ReadStatus]:
        if not self.polls:
            return FakeBatch(), ReadStatus.EMPTY
        events, status, self.lost_events = self.polls.pop(0)
        return FakeBatch(events), status

    def publisher_status(self) -> PublisherStatus:
        return self.publisher

    def sleep(self, _: float) -> None:
        pass

    @property
    def lag_bytes(self) -> int:
        return 64 * len(self.polls)

    def book(self, symbol_id: int) -> Any:
        entry = SimpleNamespace(
            state=self.state,
            reason=StateReason.SYNCED,
            update_id=9,
            exch_ts_ns=1,
            recv_ts_ns=2,
            pub_ts_ns=3,
        )
        return entry, np.array([[100, 5], [99, 6]]), np.empty((0, 2), dtype=np.int64)


def entry(symbol_id: int, venue_symbol: str) -> Any:
    return SimpleNamespace(
        symbol_id=symbol_id,
        venue_symbol=venue_symbol,
        canonical_symbol=f"binance:{venue_symbol}",
        price_exponent=-1,
        quantity_exponent=0,
    )


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> type[FakeReader]:
    monkeypatch.setattr(mdp.reading.reader, "Reader", FakeReader)
    return FakeReader


def reader_of(subscriber: Subscriber) -> FakeReader:
    reader = subscriber._reader
    assert isinstance(reader, FakeReader)
    return reader


def test_lost_events_are_counted(fake: type[FakeReader]) -> None:
    subscriber = Subscriber("s")
    reader_of(subscriber).polls = [(["a"], ReadStatus.LAPPED, 7), (["b"], ReadStatus.OK, 7)]
    assert [*subscriber.poll(), *subscriber.poll()] == ["a", "b"]
    assert subscriber.lost_events == 7


def test_strict_reader_is_told_of_every_lap_with_its_own_count(fake: type[FakeReader]) -> None:
    subscriber = Subscriber("s", strict=True)
    reader_of(subscriber).polls = [
        ([], ReadStatus.LAPPED, 7),
        (["b"], ReadStatus.EMPTY, 7),
        ([], ReadStatus.LAPPED, 10),
        (["c"], ReadStatus.EMPTY, 10),
    ]
    with pytest.raises(LappedError, match='segment "s": 7 events were lost; poll more often'):
        subscriber.poll()
    assert list(subscriber.poll()) == ["b"]
    with pytest.raises(LappedError, match="3 events were lost"):
        subscriber.poll()
    assert list(subscriber.poll()) == ["c"]


def test_strict_reader_gets_what_was_read_before_the_lap(fake: type[FakeReader]) -> None:
    subscriber = Subscriber("s", strict=True)
    reader_of(subscriber).polls = [(["a"], ReadStatus.LAPPED, 7), (["b"], ReadStatus.EMPTY, 7)]
    assert list(subscriber.poll()) == ["a"]
    with pytest.raises(LappedError, match="7 events were lost"):
        subscriber.poll()
    assert list(subscriber.poll()) == ["b"]


def test_corrupt_ring_is_an_error(fake: type[FakeReader]) -> None:
    subscriber = Subscriber("s")
    reader_of(subscriber).polls = [([], ReadStatus.CORRUPT, 0)]
    with pytest.raises(SegmentError, match='segment "s": what stands in the ring is no record'):
        subscriber.poll()


@pytest.mark.parametrize("end", [PublisherStatus.STOPPED, PublisherStatus.DEAD, PublisherStatus.REPLACED])
def test_iteration_waits_out_silence_and_ends_with_the_publisher(
    fake: type[FakeReader], end: PublisherStatus
) -> None:
    subscriber = Subscriber("s")
    reader = reader_of(subscriber)
    reader.polls = [
        (["a", "b"], ReadStatus.EMPTY, 0),
        ([], ReadStatus.EMPTY, 0),
        (["c"], ReadStatus.EMPTY, 0),
    ]
    reader.publisher = end
    assert list(subscriber) == ["a", "b", "c"]


def test_instrument_is_found_by_every_name_also_when_it_came_later(fake: type[FakeReader]) -> None:
    subscriber = Subscriber("s")
    with pytest.raises(SegmentError, match="has no instrument 'AB'; it has: none"):
        subscriber.instrument("AB")
    reader_of(subscriber).directory = [entry(4, "AB"), entry(6, "CD")]
    for name in (4, "AB", "binance:AB"):
        assert subscriber.instrument(name).symbol_id == 4
    with pytest.raises(SegmentError, match="has no instrument 5; it has: AB, CD"):
        subscriber.instrument(5)


def test_book_has_exact_levels_and_an_empty_side(fake: type[FakeReader]) -> None:
    subscriber = Subscriber("s")
    reader_of(subscriber).directory = [entry(4, "AB")]
    book = subscriber.book("AB", require_live=True)
    assert isinstance(book, Book)
    assert book.live
    assert book.update_id == 9
    assert book.levels("bids") == [("10", "5"), ("9.9", "6")]
    assert book.levels("bids", 1) == [("10", "5")]
    assert book.levels("asks") == []
    assert book.best("bids") == (Decimal(10), Decimal(5))
    assert book.best("asks") is None


@pytest.mark.parametrize("state", [BookState.STALE, BookState.SYNCING])
def test_stale_book_is_refused_to_who_wants_only_live_ones(fake: type[FakeReader], state: BookState) -> None:
    subscriber = Subscriber("s")
    reader_of(subscriber).directory = [entry(4, "AB")]
    reader_of(subscriber).state = state
    assert not subscriber.book("AB").live
    with pytest.raises(StaleBookError, match=f"binance:AB is {state.name} \\(SYNCED\\), wanted LIVE"):
        subscriber.book("AB", require_live=True)
