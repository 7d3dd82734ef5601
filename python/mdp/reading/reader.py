"""Reading what a provider publishes: books from the book table, events from the ring."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from decimal import Decimal

import numpy as np
import numpy.typing as npt

from mdp._core import (
    NO_SYMBOL,
    BookState,
    Event,
    InstrumentEntry,
    LocalBook,
    PublisherStatus,
    Reader,
    ReadStatus,
    StateReason,
    format_decimal,
)
from mdp.errors import LappedError, SegmentError, StaleBookError
from mdp.reading.batch import EventBatch

_IDLE_SLEEP_S = 0.0005
_LONGEST_SLEEP_S = 0.1


@dataclass(frozen=True)
class Book:
    """The best levels of one instrument at one moment.

    `bids` and `asks` are int64 arrays of shape (levels, 2), best level first: price and quantity mantissas.
    ``price = mantissa * 10**instrument.price_exponent``; likewise for quantities. Times are nanoseconds since
    the Unix epoch. `capacity` is the most levels a side that a table entry holds: a side of a LIVE book that
    has fewer has no more.

    `state` is the one to take the book in: of a publisher that is not RUNNING no book is LIVE, whatever it
    had written, for nobody keeps it. `publisher` is what it was when the book was read, and `reason` the one
    that it wrote.
    """

    instrument: InstrumentEntry
    state: BookState
    reason: StateReason
    update_id: int
    exch_ts_ns: int
    recv_ts_ns: int
    pub_ts_ns: int
    bids: npt.NDArray[np.int64]
    asks: npt.NDArray[np.int64]
    capacity: int
    publisher: PublisherStatus = PublisherStatus.RUNNING

    @property
    def live(self) -> bool:
        """Whether the book is right up to `update_id`, and its publisher keeps it so."""
        return self.state == BookState.LIVE

    @property
    def why(self) -> str:
        """Why it is in its state, in a word: SYNCED, GAP and so on, or PUBLISHER_DEAD and its like."""
        if self.publisher != PublisherStatus.RUNNING:
            return f"PUBLISHER_{self.publisher.name}"
        return self.reason.name

    def levels(self, side: str, depth: int | None = None) -> list[tuple[str, str]]:
        """Return exact decimal (price, quantity) texts of ``"bids"`` or ``"asks"``, best first."""
        rows = (self.bids if side == "bids" else self.asks)[:depth]
        price_exponent, quantity_exponent = self.instrument.price_exponent, self.instrument.quantity_exponent
        return [
            (format_decimal(int(price), price_exponent), format_decimal(int(quantity), quantity_exponent))
            for price, quantity in rows
        ]

    def best(self, side: str) -> tuple[Decimal, Decimal] | None:
        """Return the exact (price, quantity) of the best level of a side, or None where it is empty."""
        levels = self.levels(side, 1)
        return (Decimal(levels[0][0]), Decimal(levels[0][1])) if levels else None


class Subscriber:
    """A reader of one segment.

    Parameters
    ----------
    segment
        Name of the segment, as in the provider's configuration.
    from_oldest
        Begin with the oldest event still in the ring instead of the next one to come.
    strict
        Raise `LappedError` when events were lost, instead of counting them in `lost_events`.
    trusted_uid
        User (a number) whose segments are taken, besides root's and those of the user who runs this.

    Raises
    ------
    SegmentError
        There is no such segment, it cannot be read, or it is not to be trusted.
    """

    def __init__(
        self,
        segment: str,
        *,
        from_oldest: bool = False,
        strict: bool = False,
        trusted_uid: int | None = None,
    ) -> None:
        self._reader = Reader(segment, from_oldest, trusted_uid)
        self._segment = segment
        self._strict = strict
        self._lost_seen = 0
        self._instruments: dict[int, InstrumentEntry] = {}
        self._refresh()

    @property
    def instruments(self) -> list[InstrumentEntry]:
        """The active instruments, as the directory has them now."""
        self._refresh()
        return list(self._instruments.values())

    def instrument(self, symbol: str | int) -> InstrumentEntry:
        """Return the instrument of a symbol_id, a canonical symbol (binance:BTC-USDT) or a venue's (BTCUSDT).

        Raises
        ------
        SegmentError
            The segment has no such instrument.
        """
        for attempt in range(2):
            if attempt:
                self._refresh()
            if isinstance(symbol, int) and symbol in self._instruments:
                return self._instruments[symbol]
            for entry in self._instruments.values():
                if symbol in (entry.canonical_symbol, entry.venue_symbol):
                    return entry
        known = ", ".join(entry.venue_symbol for entry in self._instruments.values()) or "none"
        raise SegmentError(f'segment "{self._segment}" has no instrument {symbol!r}; it has: {known}')

    def book(self, symbol: str | int, *, require_live: bool = False) -> Book:
        """Return the present book of an instrument.

        Raises
        ------
        SegmentError
            No such instrument, or the publisher died while it wrote the entry.
        StaleBookError
            With `require_live`, when the book is not LIVE, or its publisher is not running.
        """
        instrument = self.instrument(symbol)
        entry, bids, asks = self._reader.book(instrument.symbol_id)
        # Behind the book: it was alive then or later.
        publisher = self._reader.publisher_status()
        live = entry.state == BookState.LIVE
        book = Book(
            instrument,
            BookState.STALE if live and publisher != PublisherStatus.RUNNING else entry.state,
            entry.reason,
            entry.update_id,
            entry.exch_ts_ns,
            entry.recv_ts_ns,
            entry.pub_ts_ns,
            bids,
            asks,
            self._reader.levels_per_side,
            publisher,
        )
        if require_live and not book.live:
            raise StaleBookError(
                f"{instrument.canonical_symbol} is {book.state.name} ({book.why}), wanted LIVE"
            )
        return book

    def poll(self, max_events: int = 1024) -> EventBatch:
        """Return up to `max_events` new events, oldest first; empty when there are none. Never blocks.

        Raises
        ------
        LappedError
            With ``strict``, when events were lost; those before the hole have been returned by then.
        SegmentError
            The ring is corrupt; what came before has been returned by then.
        """
        return self._poll(max_events, NO_SYMBOL)

    def _poll(self, max_events: int, symbol_id: int, book: LocalBook | None = None) -> EventBatch:
        self._raise_loss()
        batch, status = self._reader.poll(max_events, symbol_id, book)
        events = EventBatch(batch, status, self.instrument)
        if not events:
            self._raise_loss()
            if status == ReadStatus.CORRUPT:
                raise SegmentError(f'segment "{self._segment}": what stands in the ring is no record')
        return events

    def _raise_loss(self) -> None:
        if self._strict and self._reader.lost_events > self._lost_seen:
            count, self._lost_seen = self._reader.lost_events - self._lost_seen, self._reader.lost_events
            raise LappedError(f'segment "{self._segment}": {count} events were lost; poll more often')

    def __iter__(self) -> Iterator[Event]:
        """Yield every event as it comes, until the publisher stops or dies."""
        return _events(self, self.poll)

    def stream(self, *, max_events: int = 1024, idle_sleep_s: float = _IDLE_SLEEP_S) -> AsyncIterator[Event]:
        """Yield every event as it comes, until the publisher stops or dies; for ``async for``.

        Other tasks run between two batches of at most `max_events`; while nothing comes, it looks again every
        `idle_sleep_s` seconds.
        """
        return _stream(self, max_events, idle_sleep_s)

    def __aiter__(self) -> AsyncIterator[Event]:
        return self.stream()

    def follow(self, symbol: str | int, *, verify: bool = False) -> Follower:
        """Join one instrument: its present book, and then exactly the events after it.

        The follower reads with this subscriber, whose place in the ring it sets: use one of the two.

        Parameters
        ----------
        symbol
            As in `instrument`.
        verify
            Compare the book with the publisher's checksum after each update; see `Follower`.

        Raises
        ------
        SegmentError
            No such instrument, or the publisher died while it wrote the entry.
        """
        return Follower(self, self.instrument(symbol), verify=verify)

    def publisher_status(self) -> PublisherStatus:
        """Return what the publisher is: RUNNING, SILENT, DEAD, STOPPED or REPLACED.

        It is RUNNING while its last heartbeat is no older than the segment's header asks for, a second.
        SILENT: it is hung or suspended and may go on, or it is another user's and dead.
        """
        return self._reader.publisher_status()

    @property
    def publisher_gone(self) -> bool:
        """Whether the publisher stopped or died, or another has its name, and all it published was read."""
        gone = self.publisher_status() not in (PublisherStatus.RUNNING, PublisherStatus.SILENT)
        return gone and self._reader.lag_bytes == 0

    @property
    def heartbeat_age_s(self) -> float:
        """How long the publisher has given no sign of life, in seconds."""
        return self._reader.heartbeat_age_ns / 1e9

    @property
    def generation(self) -> int:
        """Number of the publisher's start: another one after each."""
        return self._reader.generation

    def reattach(self) -> bool:
        """Go over to the segment of a publisher that was started again; False while there is none."""
        if not self._reader.reattach():
            return False
        self._instruments.clear()
        self._refresh()
        return True

    @property
    def lost_events(self) -> int:
        """How many events were lost to laps so far, exactly."""
        return self._reader.lost_events

    @property
    def publisher_pid(self) -> int:
        """The publisher's process."""
        return self._reader.publisher_pid

    def _refresh(self) -> None:
        self._instruments = {entry.symbol_id: entry for entry in self._reader.instruments()}


class Follower:
    """One instrument from now on: made by `Subscriber.follow`.

    Iterating yields the instrument's events (trades and quotes too), the first being the first that `book`
    did not have; `book` is then the book after the event just yielded. It has every level that the publisher
    has where the ring holds a whole one (`LocalBook.whole`), else those of the book table.

    After a lap, which `Subscriber.lost_events` counts, the book is loaded anew: it is the present one. The
    events that are still in the ring follow, so that no trade among them is missed, and change the book again
    from the first on that it does not have (`LocalBook.next_sequence`).

    With `verify`, a whole book is compared with the publisher's checksum after each update of it, where the
    publisher sends them. One that differs is not `live` until it comes whole again; `LocalBook.mismatches`
    counts, and `poll` returns a batch with the status MISMATCH.

    Attributes
    ----------
    instrument
        What the directory says of it.
    book
        The book after the last event.
    """

    def __init__(self, subscriber: Subscriber, instrument: InstrumentEntry, *, verify: bool = False) -> None:
        self._subscriber = subscriber
        self.instrument = instrument
        self.book = LocalBook()
        self.book.verify = verify
        self._load_next = False
        self.rejoin()

    @property
    def joins(self) -> int:
        """How often the book was loaded; more than once after laps."""
        return self.book.loads

    def rejoin(self) -> None:
        """Take the present book, and go on behind it."""
        self._subscriber._reader.follow(self.instrument.symbol_id, self.book)
        self._load_next = False

    @property
    def live(self) -> bool:
        """Whether `book` is LIVE, and its publisher is running."""
        running = PublisherStatus.RUNNING
        return self.book.live and self._subscriber.publisher_status() == running

    def poll(self, max_events: int = 1024) -> EventBatch:
        """Return the instrument's events among the next `max_events` of the ring, and apply them to `book`.

        Raises
        ------
        LappedError, SegmentError
            As `Subscriber.poll`.
        """
        self._load_after_lap()
        return self._subscriber._poll(max_events, self.instrument.symbol_id, self.book)

    def __iter__(self) -> Iterator[Event]:
        """Apply and yield every event as it comes, until the publisher stops or dies."""
        for event in _events(self._subscriber, self._read):
            self.book.apply(event)
            yield event

    def _read(self, max_events: int = 1024) -> EventBatch:
        self._load_after_lap()
        lost = self._subscriber.lost_events
        try:
            return self._subscriber._poll(max_events, self.instrument.symbol_id)
        finally:
            # Not yet: what came before the hole is still to be applied to the book that is there. Also when a
            # strict reader raises, or its next events would be applied to a book from before the hole.
            self._load_next = self._subscriber.lost_events != lost

    def _load_after_lap(self) -> None:
        if self._load_next:
            self._subscriber._reader.load(self.instrument.symbol_id, self.book)
            self._load_next = False


def _events(subscriber: Subscriber, poll: Callable[[], EventBatch]) -> Iterator[Event]:
    while True:
        events = poll()
        yield from events
        if not events and events.status not in (ReadStatus.OK, ReadStatus.LAPPED):
            if subscriber.publisher_gone:
                return
            subscriber._reader.sleep(_LONGEST_SLEEP_S)


async def _stream(subscriber: Subscriber, max_events: int, idle_sleep_s: float) -> AsyncIterator[Event]:
    import asyncio  # takes as long to load as NumPy and brings a TLS library; who comes here has it already

    while True:
        events = subscriber.poll(max_events)
        for event in events:
            yield event
        idle = not events and events.status != ReadStatus.LAPPED
        if idle and subscriber.publisher_gone:
            return
        await asyncio.sleep(idle_sleep_s if idle else 0)
