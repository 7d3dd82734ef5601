"""Read a segment with nothing but docs/wire-format.md, `struct` and `mmap`: proof that it is enough.

Imports nothing of mdp and takes no number from it. Tests import `Segment`; as a program it prints what a
segment holds, one JSON object a line::

    python wire_format_reader.py NAME
"""

from __future__ import annotations

import json
import mmap
import struct
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import reduce
from operator import xor
from pathlib import Path

MAGIC = 0x004D48532D50444D
EVENT_TYPES = {
    1: "book_delta",
    2: "book_snapshot",
    3: "bbo",
    4: "trade",
    5: "book_state",
    6: "instrument",
    7: "connection_status",
    8: "mark_price",
    9: "liquidation",
}
STATES = {0: "STALE", 1: "SYNCING", 2: "LIVE"}
MASK = (1 << 64) - 1
NO_POSITION = MASK


class CorruptError(Exception):
    """The segment contradicts the document."""


class LappedError(Exception):
    """The publisher overwrote what was being read."""


@dataclass(frozen=True)
class Level:
    """One price of a book, both numbers integers."""

    price: int
    quantity: int


@dataclass(frozen=True)
class Event:
    """One record of the ring."""

    position: int
    size: int
    type: int
    flags: int
    exchange_id: int
    symbol_id: int
    bid_count: int
    ask_count: int
    sequence: int
    update_id: int
    first_update_id: int
    exch_ts_ns: int
    recv_ts_ns: int
    pub_ts_ns: int
    body: bytes

    def levels(self) -> tuple[list[Level], list[Level]]:
        """Give the bids and asks of a book delta or snapshot."""
        total = self.bid_count + self.ask_count
        found = [Level(*struct.unpack_from("<qq", self.body, 16 * i)) for i in range(total)]
        return found[: self.bid_count], found[self.bid_count :]

    def state(self) -> str:
        """Give the state of a book state."""
        return STATES[self.body[16]]


@dataclass(frozen=True)
class Instrument:
    """One instrument entry of the directory."""

    symbol_id: int
    exchange_id: int
    price_exponent: int
    quantity_exponent: int
    tick_size: int
    lot_size: int
    status: int
    venue_symbol: str
    base: str
    canonical_symbol: str
    quote: str
    venue_status: str


@dataclass(frozen=True)
class Book:
    """One entry of the book table."""

    state: str
    reason: int
    update_id: int
    exch_ts_ns: int
    recv_ts_ns: int
    pub_ts_ns: int
    ring_position: int
    next_sequence: int
    bids: list[Level]
    asks: list[Level]


def text(field: bytes) -> str:
    """Decode a NUL-padded field."""
    return field.split(b"\0", 1)[0].decode()


class Segment:
    """A segment mapped read-only.

    Python has no memory orders; on x86-64 the reads below happen in program order, which is what the
    document asks for, and an aligned 8-byte read is made in one piece.
    """

    def __init__(self, name: str) -> None:
        with Path("/dev/shm", name).open("rb") as file:
            self._map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        self._words = memoryview(self._map).cast("Q")
        if len(self._map) < 1024 or self._word(0) != MAGIC:
            raise CorruptError("no magic")
        fields = struct.unpack_from("<QIIQQqII16xQQQQQQQQIIIIIIII", self._map, 0)
        (_, version, header_size, total, self.generation, self.start_ts_ns, self.pid, _) = fields[:8]
        sections = list(zip(fields[8:16:2], fields[9:16:2], strict=True))
        self._venue_stride, self.venue_capacity = fields[16:18]
        self._instrument_stride, self.instrument_capacity = fields[18:20]
        self._table_stride, self.levels_per_side, checkpoints, _ = fields[20:]
        if version != 1:
            raise CorruptError(f"layout version {version}")
        if total > len(self._map) or header_size < 1024 or checkpoints != 64:
            raise CorruptError("sizes")
        for offset, size in sections:
            if offset % 64 or offset < header_size or offset > total or size > total - offset:
                raise CorruptError("a section leaves the segment")
        self._venues, self._instruments, self._table, self._ring = (offset for offset, _ in sections)
        self.ring_bytes = sections[3][1]

    def close(self) -> None:
        """Unmap."""
        self._words.release()
        self._map.close()

    def _word(self, offset: int) -> int:
        return self._words[offset // 8]

    @property
    def state(self) -> int:
        """0 starting, 1 running, 2 stopped."""
        return self._word(192)

    @property
    def heartbeat_ns(self) -> int:
        """When the publisher last said it is alive."""
        return self._word(256)

    @property
    def cursor(self) -> int:
        """End of the last whole record."""
        return self._word(392)

    def _locked(self, offset: int, size: int) -> bytes:
        """Copy a seqlocked entry."""
        for _ in range(100_000):
            before = self._word(offset)
            copy = self._map[offset : offset + size]
            if before % 2 == 0 and self._word(offset) == before:
                return copy
        raise CorruptError("the publisher died inside an entry")

    def venues(self) -> dict[int, str]:
        """Give the venues by exchange_id."""
        found = {}
        for index in range(min(self._word(200), self.venue_capacity)):
            entry = self._locked(self._venues + index * self._venue_stride, 64)
            found[struct.unpack_from("<H", entry, 8)[0]] = text(entry[16:64])
        return found

    def instruments(self) -> list[Instrument]:
        """Give the instruments that are in use or were removed."""
        found = []
        for index in range(min(self._word(208), self.instrument_capacity)):
            entry = self._locked(self._instruments + index * self._instrument_stride, 256)
            numbers = struct.unpack_from("<IHbbqqB", entry, 8)
            if numbers[6] != 0:
                texts = (entry[64:112], entry[112:128], entry[128:192], entry[192:208], entry[224:240])
                found.append(Instrument(*numbers, *map(text, texts)))
        return found

    def book(self, symbol_id: int) -> Book:
        """Copy the present book of an instrument."""
        if symbol_id >= self.instrument_capacity:
            raise CorruptError(f"no symbol_id {symbol_id}")
        n = self.levels_per_side
        entry = self._locked(self._table + symbol_id * self._table_stride, 64 + 32 * n)
        state, reason, bid_count, ask_count = struct.unpack_from("<BBxxHH", entry, 8)
        update_id, exch, recv, pub, position, sequence = struct.unpack_from("<QqqqQQ", entry, 16)
        if bid_count > n or ask_count > n:
            raise CorruptError("more levels than there is room for")
        bids = [Level(*struct.unpack_from("<qq", entry, 64 + 16 * i)) for i in range(bid_count)]
        asks = [Level(*struct.unpack_from("<qq", entry, 64 + 16 * (n + i))) for i in range(ask_count)]
        return Book(STATES[state], reason, update_id, exch, recv, pub, position, sequence, bids, asks)

    def _overwritten(self, position: int) -> bool:
        return bool((self._word(320) - position) & MASK > self.ring_bytes)

    def record(self, position: int) -> Event | None:
        """Copy the record at a position, padding included; None at the cursor."""
        end = self.cursor
        if position == end:
            return None
        if (end - position) & MASK > self.ring_bytes:
            raise LappedError
        at = position % self.ring_bytes
        header = self._map[self._ring + at : self._ring + at + 64]
        fields = struct.unpack("<IBBHIHHQQQqqq", header)
        size = fields[0]
        fits = 64 <= size <= min(self.ring_bytes - at, (end - position) & MASK) and size % 64 == 0
        body = self._map[self._ring + at + 64 : self._ring + at + size] if fits else b""
        if self._overwritten(position):
            raise LappedError
        if not fits:
            raise CorruptError(f"record of {size} bytes at {position}")
        return Event(position, *fields, body)

    def events(self, position: int) -> Iterator[Event]:
        """Give the events from a position to the cursor."""
        while (event := self.record(position)) is not None:
            position = (position + event.size) & MASK
            if event.type != 0:
                yield event

    def oldest(self) -> int:
        """Find the position of the oldest record that is not about to be overwritten."""
        end, part = self.cursor, self.ring_bytes // 64
        first = end % self.ring_bytes // part + 1
        for i in range(64):
            index = (first + i) % 64
            position = self._word(512 + 8 * index)
            behind = (end - position) & MASK
            if position == NO_POSITION or behind == 0 or behind > self.ring_bytes:
                continue
            if position % self.ring_bytes // part == index and not self._overwritten(position - 2 * part):
                return position
        return end


def main() -> None:
    """Print the directory, the books, and the events that the ring still holds."""
    segment = Segment(sys.argv[1])
    out = {"venues": segment.venues(), "state": segment.state}
    out |= {"pid": segment.pid, "ring_bytes": segment.ring_bytes}
    print(json.dumps(out))
    for instrument in segment.instruments():
        book = segment.book(instrument.symbol_id)
        top = [[(level.price, level.quantity) for level in side] for side in (book.bids, book.asks)]
        row = {"instrument": instrument.canonical_symbol, "state": book.state, "update_id": book.update_id}
        print(json.dumps({**row, "bids": top[0], "asks": top[1], "next_sequence": book.next_sequence}))
    for event in segment.events(segment.oldest()):
        row = {"sequence": event.sequence, "type": EVENT_TYPES.get(event.type, event.type)}
        row |= {"symbol_id": event.symbol_id, "update_id": event.update_id, "size": event.size}
        if event.type in (1, 2):
            every = (level.price ^ level.quantity for side in event.levels() for level in side)
            row["xor"] = reduce(xor, every, 0)
        print(json.dumps(row))


if __name__ == "__main__":
    main()
