"""Read a segment with nothing but docs/wire-format.md, `struct` and `mmap`: proof that it is enough.

Imports nothing of mdp and takes no number from it. Tests import `Segment`; as a program it prints what a
segment holds, one JSON object a line::

    python wire_format_reader.py NAME
"""

from __future__ import annotations

import fcntl
import json
import mmap
import os
import stat
import struct
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import reduce
from operator import xor

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

    def checksum(self) -> int:
        """Give the checksum of the book, which stands behind the levels."""
        found: int = struct.unpack_from("<Q", self.body, 16 * (self.bid_count + self.ask_count))[0]
        return found

    def state(self) -> str:
        """Give the state of a book state."""
        return STATES.get(struct.unpack_from("<H", self.body, 16)[0], "STALE")


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
    kind: int
    settlement: int
    contract_unit: int
    option_right: int
    contract_exponent: int
    strike_exponent: int
    notional_exponent: int
    contract_size: int
    expiry_ns: int
    strike_price: int
    min_quantity: int
    max_quantity: int
    min_notional: int
    canonical_symbol: str
    venue_symbol: str
    underlying: str
    base: str
    quote: str
    settle: str
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
    refresh_position: int
    refresh_sequence: int
    bids: list[Level]
    asks: list[Level]


def text(field: bytes) -> str:
    """Decode a NUL-padded field."""
    return field.split(b"\0", 1)[0].decode()


def open_safely(name: str) -> int:
    """Open a segment, or a file of one (a path), if only this user or root may write it."""
    fd = os.open(os.path.join("/dev/shm", name), os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
    info = os.fstat(fd)
    if not stat.S_ISREG(info.st_mode) or info.st_uid not in (0, os.geteuid()) or info.st_mode & 0o022:
        os.close(fd)
        raise CorruptError("no file to trust")
    return fd


class Segment:
    """A segment mapped read-only.

    Python has no memory orders; on x86-64 the reads below happen in program order, which is what the
    document asks for, and an aligned 8-byte read is made in one piece.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        fd = open_safely(name)
        try:
            self._file = os.fstat(fd)
            self._map = mmap.mmap(fd, 0, access=mmap.ACCESS_READ)
        finally:
            os.close(fd)
        self._words = memoryview(self._map).cast("Q")
        if len(self._map) < 1024 or self._word(0) != MAGIC:
            raise CorruptError("no magic")
        head = struct.unpack_from("<QHHIQQQQqII", self._map, 0)
        _, version, _, header_size, total, required, self.features, self.generation = head[:8]
        self.start_ts_ns, self.pid, self.heartbeat_interval_ns = head[8:]
        numbers = struct.unpack_from("<12Q", self._map, 64)
        sections = list(zip(numbers[::2], numbers[1::2], strict=True))
        counts = struct.unpack_from("<10I", self._map, 160)
        self._venue_stride, self.venue_capacity = counts[:2]
        self._instrument_stride, self.instrument_capacity = counts[2:4]
        self._table_stride, self.levels_per_side, self._levels_offset = counts[4:7]
        self.parts, self._max_record, self.bell_id = counts[7:]
        if version != 1 or required != 0:
            raise CorruptError(f"layout version {version}, required features {required:#x}")
        if total > len(self._map) or header_size < 1024:
            raise CorruptError("sizes")
        for offset, size in sections:
            if offset % 64 or offset < header_size or offset > total or size > total - offset:
                raise CorruptError("a section leaves the segment")
        self._venues, self._instruments, self._index, self._table, self._ring, self._checkpoints = (
            offset for offset, _ in sections
        )
        self._index_slots = sections[2][1] // 8
        self.ring_bytes = sections[4][1]

    def close(self) -> None:
        """Unmap."""
        self._words.release()
        self._map.close()

    def _word(self, offset: int) -> int:
        return self._words[offset // 8]

    @property
    def state(self) -> int:
        """0 starting, 1 running, 2 stopped."""
        return self._word(256)

    def publisher(self, limit_ns: int | None = None) -> str:
        """Judge the publisher: stopped, running, replaced, dead or silent."""
        if self.state == 2:
            return "stopped"
        beat = self.heartbeat_ns
        age = time.monotonic_ns() - beat
        if 0 <= age <= (10 * self.heartbeat_interval_ns if limit_ns is None else limit_ns):
            return "running"
        try:
            fd = open_safely(self._name)
        except (OSError, CorruptError):
            pass
        else:
            present = os.fstat(fd)
            os.close(fd)
            if (present.st_dev, present.st_ino) != (self._file.st_dev, self._file.st_ino):
                return "replaced"
        return "dead" if self._lock_is_free() else "silent"

    def _lock_is_free(self) -> bool:
        flags = os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            fd = os.open(f"/dev/shm/.{self._name}.lock", flags)
        except OSError:
            return False
        try:
            info = os.fstat(fd)
            if not stat.S_ISREG(info.st_mode) or info.st_uid != self._file.st_uid:
                return False
            whole = struct.pack("hhqqi4x", fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)  # struct flock of Linux
            found: int = struct.unpack_from("h", fcntl.fcntl(fd, fcntl.F_GETLK, whole))[0]
            return found == fcntl.F_UNLCK
        finally:
            os.close(fd)

    @property
    def heartbeat_ns(self) -> int:
        """When the publisher last said it is alive, on the monotonic clock."""
        return self._word(320)

    @property
    def cursor(self) -> int:
        """End of the last whole record."""
        return self._word(520)

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
        for index in range(min(self._word(264), self.venue_capacity)):
            entry = self._locked(self._venues + index * self._venue_stride, 64)
            found[struct.unpack_from("<H", entry, 8)[0]] = text(entry[16:64])
        return found

    def instruments(self) -> list[Instrument]:
        """Give the instruments that are in use or were removed."""
        count = min(self._word(272), self.instrument_capacity)
        return [found for index in range(count) if (found := self.instrument(index)) is not None]

    def instrument(self, symbol_id: int) -> Instrument | None:
        """Give one instrument; None: there is none of that id."""
        if symbol_id >= min(self._word(272), self.instrument_capacity):
            return None
        entry = self._locked(self._instruments + symbol_id * self._instrument_stride, 512)
        numbers = struct.unpack_from("<IHbbqqHHHHHbbb3xqqqqqq", entry, 8)
        places = (128, 96), (224, 64), (288, 32), (320, 24), (344, 24), (368, 24), (392, 24)
        found = Instrument(*numbers, *(text(entry[start : start + size]) for start, size in places))
        return found if found.status != 0 else None

    def find(self, symbol: str) -> int | None:
        """Find the active instrument of a symbol by the index: its symbol_id."""
        hashed = 0xCBF29CE484222325
        for byte in symbol.encode():
            hashed = (hashed ^ byte) * 0x100000001B3 & MASK
        hashed ^= hashed >> 32
        by_venue_symbol = []
        for step in range(self._index_slots):
            slot = self._word(self._index + 8 * ((hashed + step) % self._index_slots))
            if slot == 0:
                break
            if slot >> 32 != hashed >> 32:
                continue
            entry = self.instrument((slot & 0xFFFFFFFF) - 1)
            if entry is not None and entry.status == 1:
                if entry.canonical_symbol == symbol:
                    return entry.symbol_id
                if entry.venue_symbol == symbol:
                    by_venue_symbol.append(entry.symbol_id)
        return min(by_venue_symbol, default=None)

    def book(self, symbol_id: int) -> Book:
        """Copy the present book of an instrument."""
        if symbol_id >= self.instrument_capacity:
            raise CorruptError(f"no symbol_id {symbol_id}")
        n = self.levels_per_side
        start = self._levels_offset
        entry = self._locked(self._table + symbol_id * self._table_stride, start + 32 * n)
        state, reason, bid_count, ask_count = struct.unpack_from("<HHHH", entry, 8)
        numbers = struct.unpack_from("<QqqqQQQQ", entry, 16)
        if bid_count > n or ask_count > n:
            raise CorruptError("more levels than there is room for")
        bids = [Level(*struct.unpack_from("<qq", entry, start + 16 * i)) for i in range(bid_count)]
        asks = [Level(*struct.unpack_from("<qq", entry, start + 16 * (n + i))) for i in range(ask_count)]
        return Book(STATES.get(state, "STALE"), reason, *numbers, bids, asks)

    def newest(self) -> tuple[int, int]:
        """Give the end of the ring and the number of the event that will stand there."""
        while True:
            count = self._word(528)
            position = self.cursor
            if self._word(512) == count:
                return position, count

    def safe(self, position: int) -> bool:
        """Tell whether a record's place is in the ring, and not about to be overwritten."""
        margin = 2 * self.ring_bytes // self.parts
        behind = (self.cursor - position) & MASK
        return (
            position != NO_POSITION and behind <= self.ring_bytes and not self._overwritten(position - margin)
        )

    def _overwritten(self, position: int) -> bool:
        return bool((self._word(384) - position) & MASK > self.ring_bytes)

    def record(self, position: int) -> Event | None:
        """Copy the record at a position, padding included; None at the cursor."""
        end = self.cursor
        if position == end:
            return None
        if (end - position) & MASK > self.ring_bytes:
            raise LappedError
        at = position % self.ring_bytes
        header = self._map[self._ring + at : self._ring + at + 64]
        fields = struct.unpack("<HHHHIHHQQQqqq", header)
        size = 64 * fields[0]
        room = min(self.ring_bytes - at, (end - position) & MASK, self._max_record)
        fits = 64 <= size <= room
        body = self._map[self._ring + at + 64 : self._ring + at + size] if fits else b""
        if self._overwritten(position):
            raise LappedError
        if not fits:
            raise CorruptError(f"record of {size} bytes at {position}")
        return Event(position, size, *fields[1:], body)

    def events(self, position: int) -> Iterator[Event]:
        """Give the events from a position to the cursor."""
        while (event := self.record(position)) is not None:
            position = (position + event.size) & MASK
            if event.type != 0:
                yield event

    def oldest(self) -> int:
        """Find the position of the oldest record that is not about to be overwritten."""
        end, part = self.cursor, self.ring_bytes // self.parts
        first = end % self.ring_bytes // part + 1
        for i in range(self.parts):
            index = (first + i) % self.parts
            position = self._word(self._checkpoints + 8 * index)
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
