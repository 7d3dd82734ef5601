"""Keep the books of a segment with nothing but docs/wire-format.md: proof that its rules are enough.

Built on wire_format_reader.py, which reads segments by the same page; nothing of mdp is imported. `Books`
follows every instrument at once, verifies each checksum, and compares what it holds with the book table.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from python.wire_format_reader import Book, CorruptError, Event, LappedError, Level, Segment

DELTA, SNAPSHOT, STATE, INSTRUMENT = 1, 2, 5, 6
FIRST, LAST, TOP, REFRESH, CHECKSUM = 1, 2, 4, 8, 16
MASK = (1 << 64) - 1


class WrongBookError(Exception):
    """A book is not what the publisher says it is."""


def level_checksum(price: int, quantity: int, *, is_ask: bool) -> int:
    """Give what one level adds to the checksum of its book."""
    weight = price * (price + 1) + 1
    return (-weight if is_ask else weight) * quantity & MASK


@dataclass
class KeptBook:
    """One instrument's book: quantities by price. `whole`: it has every level that the publisher has."""

    symbol_id: int
    start_sequence: int
    state: str = "STALE"
    update_id: int = 0
    whole: bool = False
    bids: dict[int, int] = field(default_factory=dict)
    asks: dict[int, int] = field(default_factory=dict)
    parts: list[Event] = field(default_factory=list)
    verified: int = 0

    def apply(self, event: Event) -> None:
        """Take in the next record of this instrument."""
        if event.type == STATE:
            self.state = event.state()
        elif event.type in (DELTA, SNAPSHOT) and not event.flags & TOP:
            if event.flags & FIRST:
                self.parts.clear()
            elif not self.parts:
                return  # its first part was before the place where this reader began
            self.parts.append(event)
            if event.flags & LAST:
                self._apply_update()

    def _apply_update(self) -> None:
        parts, self.parts = self.parts, []
        last = parts[-1]
        sides: tuple[list[Level], list[Level]] = ([], [])
        for part in parts:
            for side, levels in zip(sides, part.levels(), strict=True):
                side += levels
        if last.type == SNAPSHOT:
            new = [{level.price: level.quantity for level in side if level.quantity} for side in sides]
            refresh = bool(last.flags & REFRESH)
            if refresh and self.whole and self.state == "LIVE" and new != [self.bids, self.asks]:
                raise WrongBookError(f"{self}: a refresh at {last.sequence} is another book")
            self.bids, self.asks = new
            self.whole = True
            if refresh:
                self.state = "LIVE"  # no other book is refreshed
        else:
            if self.state == "LIVE" and last.first_update_id > self.update_id + 1:
                raise WrongBookError(f"{self}: update {last.first_update_id} leaves a hole")
            for held, side in zip((self.bids, self.asks), sides, strict=True):
                for level in side:
                    if level.quantity:
                        held[level.price] = level.quantity
                    else:
                        held.pop(level.price, None)
        self.update_id = last.update_id
        if self.whole and last.flags & CHECKSUM:
            self._verify(last)

    def checksum(self) -> int:
        """Add up all levels."""
        bids = (level_checksum(price, quantity, is_ask=False) for price, quantity in self.bids.items())
        asks = (level_checksum(price, quantity, is_ask=True) for price, quantity in self.asks.items())
        return (sum(bids) + sum(asks)) & MASK

    def _verify(self, last: Event) -> None:
        self.verified += 1
        wanted = last.checksum()
        if self.checksum() != wanted:
            raise WrongBookError(f"{self}: checksum at {last.sequence} is not {wanted:#x}")

    def compare(self, entry: Book) -> None:
        """Hold this book against the table's, which is as new."""
        if self.state != entry.state:
            raise WrongBookError(f"{self}: the table says {entry.state}")
        if not self.whole or self.state != "LIVE":
            return
        best = (
            sorted(self.bids.items(), reverse=True)[: len(entry.bids)],
            sorted(self.asks.items())[: len(entry.asks)],
        )
        table = tuple([(level.price, level.quantity) for level in side] for side in (entry.bids, entry.asks))
        if self.update_id != entry.update_id or best != table:
            raise WrongBookError(f"{self}: the table at {entry.update_id} has {table}, this {best}")

    def __str__(self) -> str:
        return f"book of symbol {self.symbol_id} at {self.update_id}, {self.state}"


class Books:
    """All books of a segment, kept from its ring."""

    def __init__(self, segment: Segment) -> None:
        self._segment = segment
        self.laps = self.events = self.compared = self.from_refresh = self.from_table = 0
        self._verified_before = 0
        self.books: dict[int, KeptBook] = {}
        self.position = self.sequence = 0
        self.join()

    @property
    def verified(self) -> int:
        """How many updates were held against their checksum."""
        return self._verified_before + sum(book.verified for book in self.books.values())

    def join(self) -> None:
        """Begin anew with every active instrument."""
        segment = self._segment
        self._verified_before = self.verified
        self.position, self.sequence = segment.newest()
        self.books = {}
        for instrument in segment.instruments():
            if instrument.status == 1:
                self._join_one(instrument.symbol_id)

    def _join_one(self, symbol_id: int) -> None:
        try:
            entry = self._segment.book(symbol_id)
        except CorruptError:  # its publisher died inside: nobody knows where to begin
            return
        position, sequence = entry.refresh_position, entry.refresh_sequence
        if self._segment.safe(position):
            self.books[symbol_id] = KeptBook(symbol_id, sequence)
            self.from_refresh += 1
        else:
            position, sequence = entry.ring_position, entry.next_sequence
            book = KeptBook(symbol_id, sequence, entry.state, entry.update_id)
            book.bids = {level.price: level.quantity for level in entry.bids}
            book.asks = {level.price: level.quantity for level in entry.asks}
            self.books[symbol_id] = book
            self.from_table += 1
        # Begins where the earliest of them begins; the others pass over what is before their own place.
        if (self.position - position) & MASK < 1 << 63:
            self.position, self.sequence = position, sequence

    def advance(self, until: int | None = None, most: int = 1 << 60) -> None:
        """Take in the ring up to its end, or up to the event number `until`, at most so many events."""
        for event in self._segment.events(self.position):
            if event.sequence == until or most == 0:
                return
            most -= 1
            if event.sequence != self.sequence:
                raise WrongBookError(f"event {event.sequence}, wanted {self.sequence}")
            self.sequence += 1
            self.position = (event.position + event.size) & MASK
            self.events += 1
            self._take(event)

    def _take(self, event: Event) -> None:
        if event.type == INSTRUMENT and event.symbol_id not in self.books:
            entry = self._segment.instrument(event.symbol_id)
            if entry is not None and entry.status == 1:
                # All of its records are still to come.
                self.books[event.symbol_id] = KeptBook(event.symbol_id, event.sequence)
        book = self.books.get(event.symbol_id)
        if book is not None and event.sequence >= book.start_sequence:
            book.apply(event)

    def check(self, symbol_id: int) -> None:
        """Go on to the place that the instrument's table entry is at, and compare the two."""
        entry = self._segment.book(symbol_id)
        if entry.next_sequence < self.sequence or symbol_id not in self.books:
            return  # written before what is known here
        self.advance(until=entry.next_sequence)
        if self.sequence == entry.next_sequence and self.sequence >= self.books[symbol_id].start_sequence:
            self.books[symbol_id].compare(entry)
            self.compared += 1

    def work(self, most: int = 2000) -> bool:
        """Advance by some events, check every book; after a lap join anew. False: nothing was new."""
        before = self.events
        try:
            self.advance(most=most)
            for symbol_id in list(self.books):
                self.check(symbol_id)
        except LappedError:
            self.laps += 1
            self.join()
            return True
        return self.events != before
