"""Reading what a provider publishes: books from the book table, events from the ring."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal

import numpy as np
import numpy.typing as npt

from mdp._core import BookState, Event, InstrumentEntry, Reader, ReadStatus, StateReason, format_decimal
from mdp.errors import LappedError, SegmentError, StaleBookError

_IDLE_SLEEP_S = 0.0005
_HEARTBEAT_LIMIT_NS = 2_000_000_000


@dataclass(frozen=True)
class Book:
    """The best levels of one instrument at one moment.

    `bids` and `asks` are int64 arrays of shape (levels, 2), best level first: price and quantity mantissas.
    ``price = mantissa * 10**instrument.price_exponent``; likewise for quantities. Times are nanoseconds since
    the Unix epoch.
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

    @property
    def live(self) -> bool:
        """Whether the book is right up to `update_id`."""
        return self.state == BookState.LIVE

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

    Raises
    ------
    SegmentError
        There is no such segment, or it cannot be read.
    """

    def __init__(self, segment: str, *, from_oldest: bool = False, strict: bool = False) -> None:
        self._reader = Reader(segment, from_oldest)
        self._segment = segment
        self._strict = strict
        self._lost_seen = 0
        self._owes_error = False  # strict: events that came before the lap were returned first
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
            With `require_live`, when the book is not LIVE.
        """
        instrument = self.instrument(symbol)
        entry, bids, asks = self._reader.book(instrument.symbol_id)
        if require_live and entry.state != BookState.LIVE:
            raise StaleBookError(
                f"{instrument.canonical_symbol} is {entry.state.name} ({entry.reason.name}), wanted LIVE"
            )
        return Book(
            instrument,
            entry.state,
            entry.reason,
            entry.update_id,
            entry.exch_ts_ns,
            entry.recv_ts_ns,
            entry.pub_ts_ns,
            bids,
            asks,
        )

    def poll(self, max_events: int = 1024) -> list[Event]:
        """Return up to `max_events` new events, oldest first; empty when there are none. Never blocks.

        Raises
        ------
        LappedError
            With ``strict``, when events were lost.
        SegmentError
            The ring is corrupt.
        """
        if self._owes_error:
            self._raise_lapped()
        events, status = self._reader.poll(max_events)
        if status == ReadStatus.LAPPED and self._strict:
            self._owes_error = True
            if not events:
                self._raise_lapped()
        if status == ReadStatus.CORRUPT:
            raise SegmentError(f'segment "{self._segment}": what stands in the ring is no record')
        return events

    def __iter__(self) -> Iterator[Event]:
        """Yield every event as it comes, until the publisher stops or dies."""
        while True:
            events = self.poll()
            yield from events
            if not events:
                if self.publisher_status() != ReadStatus.EMPTY:
                    return
                time.sleep(_IDLE_SLEEP_S)

    def publisher_status(self) -> ReadStatus:
        """Return EMPTY while the publisher lives, else STOPPED or PUBLISHER_DEAD."""
        return self._reader.check_publisher(_HEARTBEAT_LIMIT_NS)

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

    def _raise_lapped(self) -> None:
        self._owes_error = False
        lost = self._reader.lost_events
        count, self._lost_seen = lost - self._lost_seen, lost
        raise LappedError(f'segment "{self._segment}": {count} events were lost; poll more often')

    def _refresh(self) -> None:
        self._instruments = {entry.symbol_id: entry for entry in self._reader.instruments()}
