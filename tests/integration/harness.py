"""What the integration tests share: waiting, configurations, books rebuilt from the ring, processes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any, TypeVar

from mdp import Book, BookState, EventFlag, EventType, Provider, StateReason, Subscriber
from mdp._core import Event, format_decimal
from mdp.sim import SimProcess

DEADLINE_S = float(os.environ.get("MDP_TEST_DEADLINE_S", "60"))
"""How long a condition may take before a test gives up. Only a broken program waits this long."""

ROOT = Path(__file__).resolve().parents[2]

SHARED_DATA = Path(os.environ.get("MDP_SHARED_DATA", ROOT.parent / "shared" / "data"))
"""Where the recorded sessions are, on machines that have them."""

T = TypeVar("T")

LIVE_ROAD = [
    (BookState.STALE, StateReason.STARTING),
    (BookState.SYNCING, StateReason.SUBSCRIBED),
    (BookState.LIVE, StateReason.SYNCED),
]
"""The states of a book from its subscription on."""


def fresh(provider: Provider) -> Provider:
    """Return the provider once it has published what it knows now (`health` is some 10 ms old else)."""
    provider.post(lambda: None).exception()  # of a stopped one: what it published last is final
    return provider


def recovery(reason: StateReason) -> list[tuple[BookState, StateReason]]:
    """Return the states of a LIVE book that is distrusted for `reason` and synced anew."""
    return [(BookState.STALE, reason), *LIVE_ROAD[1:]]


def wait_for(condition: Callable[[], T], what: object, timeout_s: float = DEADLINE_S) -> T:
    """Poll until `condition` gives something true, and return it.

    `what` says what was waited for; a callable is asked only when the time is over.
    """
    deadline = time.monotonic() + timeout_s
    while True:
        if result := condition():
            return result
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {timeout_s} s in vain: {what() if callable(what) else what}")
        time.sleep(0.005)


# ---- configurations ----


def merged(base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    """Return `base` with the values of `over`, section by section."""
    result = dict(base)
    for key, value in over.items():
        both = isinstance(value, dict) and isinstance(result.get(key), dict)
        result[key] = merged(result[key], value) if both else value
    return result


def settings(sim: SimProcess | None, segment: str, *, topology: str = "auto", **venue: Any) -> dict[str, Any]:
    """Return a configuration against `sim` as the dict its YAML would be; JSON is YAML too."""
    own: dict[str, Any] = {
        "name": "binance",
        "backoff": {"initial_ms": 20, "max_ms": 200},
        "quiet_sync_ms": 500,
        "snapshot_depth": 500,
    }
    if sim is not None:
        own |= {"ws_url": sim.ws_url, "rest_url": sim.rest_url, "symbols": sim.symbols}
        if sim.ca_file is not None:
            own["tls"] = {"ca_file": sim.ca_file}
    return {
        "segment": {"name": segment, "ring": "16MiB", "instruments": 64, "levels": 10},
        "engine": {"topology": topology, "idle": "park"},
        "venues": [merged(own, venue)],
    }


def write_config(path: Path, config: dict[str, Any]) -> Path:
    """Write a configuration as JSON, which is YAML."""
    path.write_text(json.dumps(config, indent=2), encoding="utf-8")
    return path


def all_live(provider: Provider) -> bool:
    """Whether every book of a provider is LIVE."""
    health = fresh(provider).health()
    return health.symbols > 0 and health.live == health.symbols


def wait_live(provider: Provider) -> None:
    """Wait until every book of a provider is LIVE, and published as such: a queue may be in between."""
    wait_for(lambda: all_live(provider), lambda: f"LIVE: {fresh(provider).states()}")
    subscriber = Subscriber(provider.segment)
    wait_for(
        lambda: all(subscriber.book(entry.symbol_id).live for entry in subscriber.instruments),
        "LIVE in the book table",
    )


# ---- truth ----

Levels = list[tuple[Decimal, Decimal]]


def decimals(levels: list[Any]) -> Levels:
    """Return levels of decimal texts as numbers, so that 1.50 equals 1.5."""
    return [(Decimal(price), Decimal(quantity)) for price, quantity in levels]


def assert_book_is_true(sim: SimProcess, book: Book, venue: str | None = None) -> None:
    """Compare a published book with the exchange's at the same update id, as deep as it could show it."""
    symbol = book.instrument.venue_symbol
    truth = sim.truth(symbol, book.update_id, book.capacity, venue=venue)
    for side in ("bids", "asks"):
        found = decimals(book.levels(side))
        assert found, f"{symbol}: no {side}"
        assert found == decimals(truth[side]), f"{symbol} {side} at update {book.update_id}"


# ---- books rebuilt from the ring alone ----


@dataclass
class RingBook:
    """One book as a reader of events knows it: nothing but mantissas by price."""

    bids: dict[int, int] = field(default_factory=dict)
    asks: dict[int, int] = field(default_factory=dict)
    update_id: int = 0
    states: list[tuple[BookState, StateReason]] = field(default_factory=list)
    recoveries: list[tuple[int, int]] = field(default_factory=list)
    """Update ids of the book when it left LIVE, and when it was LIVE again."""
    left_live_at: int | None = None
    live_at: int | None = None
    """Update id at which it was LIVE first."""
    book_bbo: tuple[tuple[int, int], tuple[int, int]] | None = None
    chunks: list[Event] = field(default_factory=list)
    snapshot_is_last: bool = False
    largest_update: int = 0
    known: dict[str, int | None] = field(default_factory=lambda: {"bids": None, "asks": None})
    """The last price of each side of which everything is known; None: of all."""
    widened: int = 0
    """Times the known prices changed while the book was LIVE."""
    marks: int = 0
    """Mark prices so far: where nothing else happens they are the clock."""

    def best(self) -> tuple[tuple[int, int], tuple[int, int]]:
        """Return the best (price, quantity) of both sides."""
        bid, ask = max(self.bids), min(self.asks)
        return (bid, self.bids[bid]), (ask, self.asks[ask])

    def side(self, name: str, depth: int | None = None) -> list[tuple[int, int]]:
        """Return the levels of a side, best first."""
        levels = self.bids if name == "bids" else self.asks
        return sorted(levels.items(), reverse=name == "bids")[:depth]

    def knows(self, name: str, price: int) -> bool:
        """Whether a price lies within the known part of a side."""
        known = self.known[name]
        return known is None or (price >= known if name == "bids" else price <= known)

    @property
    def state(self) -> BookState:
        """The newest state."""
        return self.states[-1][0] if self.states else BookState.STALE

    def take_state(self, event: Event) -> None:
        """Note a change of state, and how deep the book is known."""
        self.known = {"bids": event.known_bid, "asks": event.known_ask}
        if event.reason == StateReason.DEPTH_CHANGED:
            assert self.state == event.book_state == BookState.LIVE
            self.widened += 1
            return
        if self.state == BookState.LIVE and event.book_state != BookState.LIVE:
            self.left_live_at = self.update_id
        elif event.book_state == BookState.LIVE and self.left_live_at is not None:
            self.recoveries.append((self.left_live_at, event.update_id))
            self.left_live_at = None
        if event.book_state == BookState.LIVE and self.live_at is None:
            self.live_at = event.update_id
        self.states.append((event.book_state, event.reason))

    def take_levels(self, event: Event) -> None:
        """Apply a book update once its last record is there, all of it or nothing."""
        if event.flags & EventFlag.FIRST.value:
            assert not self.chunks, f"update began before the last one ended, at sequence {event.sequence}"
        else:
            assert self.chunks, f"update without a beginning at sequence {event.sequence}"
            assert event.update_id == self.chunks[0].update_id
        self.chunks.append(event)
        if not event.flags & EventFlag.LAST.value:
            return
        chunks, self.chunks = self.chunks, []
        if event.type == EventType.BOOK_SNAPSHOT:
            self.bids.clear()
            self.asks.clear()
        elif self.state == BookState.LIVE:
            assert event.first_update_id <= self.update_id + 1, (
                f"{event.first_update_id} after {self.update_id}"
            )
            # The futures' first delta after a snapshot may end where the snapshot does.
            assert event.update_id >= self.update_id + (not self.snapshot_is_last), "an update id twice"
        self.snapshot_is_last = event.type == EventType.BOOK_SNAPSHOT
        changed = 0
        for chunk in chunks:
            for levels, rows in ((self.bids, chunk.bids), (self.asks, chunk.asks)):
                for price, quantity in rows.tolist():
                    changed += 1
                    if quantity:
                        levels[price] = quantity
                    else:
                        levels.pop(price, None)
        self.update_id = event.update_id
        if event.type == EventType.BOOK_DELTA:
            self.largest_update = max(self.largest_update, changed)


class RingModel:
    """Reads a ring from its oldest event, checks that no event is missing, and rebuilds every book."""

    def __init__(self, segment: str) -> None:
        self.subscriber = Subscriber(segment, from_oldest=True, strict=True)
        self.books: dict[int, RingBook] = defaultdict(RingBook)
        self.counts: dict[EventType, int] = defaultdict(int)
        self.venue_quotes = 0
        self.lines: list[str] = []
        self.next_sequence = 0
        self._unread: deque[Event] = deque()

    def step(self) -> Event | None:
        """Take one event; None when there is none."""
        if not self._unread:
            self._unread.extend(self.subscriber.poll())
            if not self._unread:
                return None
        event = self._unread.popleft()
        assert event.sequence == self.next_sequence, "the ring's sequence has a hole"
        self.next_sequence += 1
        self.counts[event.type] += 1
        self._apply(event)
        return event

    def _apply(self, event: Event) -> None:
        if event.type == EventType.CONNECTION_STATUS:
            self.lines.append(event.line_state.name)
            return
        book = self.books[event.symbol_id]
        if event.type in (EventType.BOOK_DELTA, EventType.BOOK_SNAPSHOT):
            book.take_levels(event)
        elif event.type == EventType.BOOK_STATE:
            book.take_state(event)
        elif event.type == EventType.MARK_PRICE:
            book.marks += 1
        elif event.type == EventType.BBO:
            if event.flags & EventFlag.VENUE_QUOTE.value:
                self.venue_quotes += 1
            else:
                book.book_bbo = (event.bid, event.ask)
                assert (event.bid, event.ask) == book.best(), (
                    f"Bbo event {event.sequence} is not the book's top"
                )

    def catch_up(self) -> None:
        """Take every event that is there now."""
        while self.step() is not None:
            pass

    def advance(self, condition: Callable[[], bool], what: object) -> None:
        """Take events, one at a time, until `condition` holds."""
        deadline = time.monotonic() + DEADLINE_S
        while not condition():
            if self.step() is None:
                assert time.monotonic() < deadline, f"waited in vain: {what() if callable(what) else what}"
                time.sleep(0.002)

    def advance_to(self, symbol_id: int, update_id: int) -> RingBook:
        """Take events until the book has reached an update id, and return it exactly there."""
        book = self.books[symbol_id]
        self.advance(
            lambda: book.update_id >= update_id, f"update {update_id} of symbol {symbol_id} in the ring"
        )
        assert book.update_id == update_id, "the book table names an update that the ring does not have"
        return book

    def book(self, symbol: str) -> RingBook:
        """Return the book of a venue symbol."""
        return self.books[self.subscriber.instrument(symbol).symbol_id]

    def book_when_live(self, symbol: str) -> RingBook:
        """Take events until the book of a venue symbol is LIVE, and return it."""
        book = self.book(symbol)
        self.advance(lambda: book.state == BookState.LIVE, lambda: book.states)
        return book


def assert_ring_equals_table(model: RingModel, table: Book) -> None:
    """Advance the ring to the table's update, then compare all levels the table shows."""
    ring = model.advance_to(table.instrument.symbol_id, table.update_id)
    for side, rows in (("bids", table.bids), ("asks", table.asks)):
        assert ring.side(side, len(rows)) == [tuple(row) for row in rows.tolist()], side


def assert_ring_is_true(sim: SimProcess, model: RingModel, symbol: str, depth: int) -> None:
    """Compare `depth` levels of the book rebuilt from the ring with the exchange's at the same update id.

    Of those that the book does not claim to know there must be none.
    """
    instrument = model.subscriber.instrument(symbol)
    ring = model.books[instrument.symbol_id]
    truth = sim.truth(symbol, ring.update_id, depth)
    for side in ("bids", "asks"):
        found = [
            (
                Decimal(format_decimal(price, instrument.price_exponent)),
                Decimal(format_decimal(quantity, instrument.quantity_exponent)),
            )
            for price, quantity in ring.side(side, depth)
        ]
        last = ring.known[side]
        known = None if last is None else Decimal(format_decimal(last, instrument.price_exponent))
        expected = [
            (price, quantity)
            for price, quantity in decimals(truth[side])
            if known is None or (price >= known if side == "bids" else price <= known)
        ]
        assert found == expected, f"{symbol} {side} at update {ring.update_id}, known to {known}"


# ---- what a fault costs, in events of the exchange ----

ROOM_S = 3.0
"""What a recovery may take beyond the waits that the fault and the configuration impose: room for a slow
machine, and less than any time-out nobody should wait for (connect 5 s, REST and subscribe 10 s)."""

SNAPSHOT_PAUSE_S = 0.5
"""Of `mdp.providing.snapshots`: from one snapshot of a book to its next at most, doubled with each
failure."""

UPDATES_PER_EVENT = 1.1
"""Of the synthetic market; 1.05 on the average."""


def updates_in(rate: float, seconds: float) -> int:
    """Return how many updates of one book an exchange of that rate makes in `seconds`, at most.

    A sim that is starved makes fewer, never more, so this bound is kinder to a slow machine than one in time.
    """
    return round(rate * UPDATES_PER_EVENT * seconds)


def doubling_s(first_s: float, times: int, cap_s: float = float("inf")) -> float:
    """Return the sum of so many waits, each twice the one before, at most the cap."""
    return sum(min(first_s * 2**number, cap_s) for number in range(times))


def assert_soon_live(
    sim: SimProcess,
    symbol: str,
    recoveries: list[tuple[int, int]],
    rate: float,
    wait_s: float,
    venue: str | None = None,
) -> None:
    """Bound the updates of the exchange's book between these pairs of update ids: see `Watched.check`."""

    def changes(update_id: int) -> int:
        return int(sim.truth(symbol, update_id, 1, venue=venue)["changes"])

    missed = [changes(back) - changes(left) for left, back in recoveries]
    bound = updates_in(rate, wait_s + SNAPSHOT_PAUSE_S + ROOM_S)
    assert max(missed, default=0) <= bound, f"{symbol}: updates missed {missed}, at most {bound} allowed"


def strike(sim: SimProcess, kind: str, times: int = 1, **params: Any) -> int:
    """Arm a fault, wait until it has struck so often, and return its number."""
    number = int(sim.fault(kind, **params)["id"])
    wait_fired(sim, number, times)
    return number


def wait_fired(sim: SimProcess, number: int, times: int = 1) -> None:
    """Wait until an armed fault has struck."""

    def fired() -> bool:
        return any(fault["id"] == number and fault["fired"] >= times for fault in sim.faults())

    wait_for(fired, lambda: f"fault {number} to strike {times} times: {sim.faults()}")


class Watched:
    """A provider whose books are LIVE, its ring read up to now, and what it had asked of the exchange so far.

    From here on all is counted in events of the exchange: updates of its books, connections, snapshots. So
    every line has to be up first: the books of USD-M are LIVE before the route of the trades has connected at
    all where the machine is slow, and the first of two lines makes a book LIVE without the second.

    Parameters
    ----------
    rate
        Of the sim: events per second and symbol.
    venue
        The family that is watched; None for the first.
    confirmed
        Whether the exchange confirms what the lines ask for. False: none of them will be up.
    """

    def __init__(
        self,
        sim: SimProcess,
        provider: Provider,
        segment: str,
        *,
        rate: float,
        venue: str | None = None,
        confirmed: bool = True,
    ) -> None:
        self.sim, self.provider, self.rate, self.venue = sim, provider, rate, venue
        self.subscriber = Subscriber(segment)
        self.model = RingModel(segment)
        wait_live(provider)
        self.ids = {
            entry.venue_symbol: entry.symbol_id
            for entry in self.subscriber.instruments
            if venue in (None, entry.canonical_symbol.partition(":")[0])
        }
        self.model.advance(
            lambda: all(self.model.books[id_].state == BookState.LIVE for id_ in self.ids.values()), "LIVE"
        )
        assert [self.model.books[id_].states for id_ in self.ids.values()] == [LIVE_ROAD] * len(self.ids)
        self.confirmed = confirmed
        self.wait_for_lines()
        self.start_counting()

    def wait_for_lines(self) -> None:
        """Wait until every line is up that can be: only then are connections counted."""

        def down() -> list[int]:
            return [
                line.line
                for line in fresh(self.provider).health().engine.lines
                if line.in_use and not line.up
            ]

        if self.confirmed:
            wait_for(lambda: not down(), lambda: f"lines that are not up: {down()}")

    def start_counting(self) -> None:
        """Forget what was asked of the exchange before."""
        self._asked_before = self._asked()

    def _asked(self) -> tuple[int, Counter[str]]:
        status = self.sim.status(self.venue)
        return status["connections"], Counter(status["snapshots"])

    def strike(self, kind: str, times: int = 1, **params: Any) -> int:
        """Arm a fault of the family and wait until it has struck."""
        return strike(self.sim, kind, times, venue=self.venue or "*", **params)

    def arm(self, kind: str, **params: Any) -> int:
        """Arm a fault of the family and return its number."""
        return int(self.sim.fault(kind, venue=self.venue or "*", **params)["id"])

    def arm_stale_snapshot(self, symbol: str) -> int:
        """Arm an old snapshot for the next sync of a book, and return the fault's number.

        It is held until updates have come: joined before the first of them, it would make the book LIVE as it
        was then, and the first update would be a gap.
        """
        self.arm("snapshot_delay_ms", symbol=symbol, updates=round(self.rate / 2))
        return self.arm("snapshot_stale", symbol=symbol, updates=1000)

    def lines(self) -> list[int]:
        """Return the lines that are up."""
        return [line.line for line in fresh(self.provider).health().engine.lines if line.up]

    def states(self, symbol: str) -> list[tuple[BookState, StateReason]]:
        """Return the states since the book was LIVE first."""
        return self.model.books[self.ids[symbol]].states[len(LIVE_ROAD) :]

    def updates(self, count: int, *symbols: str) -> None:
        """Wait until these books, or all, have moved on `count` times."""
        for id_ in [self.ids[symbol] for symbol in symbols or self.ids]:
            for _ in range(count):
                at = self.subscriber.book(id_).update_id
                wait_for(lambda id_=id_, at=at: self.subscriber.book(id_).update_id > at, f"symbol {id_}")

    def check(
        self,
        roads: dict[str, list[tuple[BookState, StateReason]]] | None = None,
        *,
        wait_s: float = 0.0,
        connections: int | None = 0,
        more_snapshots: int | None = 0,
    ) -> None:
        """Wait until each book went exactly its way, then hold them against the truth and count what it took.

        Parameters
        ----------
        roads
            States by symbol since the book was LIVE first. One that is not named must not have left LIVE: no
            state in the ring, and `RingBook` has seen that each update followed the one before.
        wait_s
            What fault and configuration make a recovery wait beside `SNAPSHOT_PAUSE_S`, for the last snapshot
            may have been just now. With `ROOM_S` they bound the updates of the exchange's book from the last
            id the book was LIVE at to the first one it is LIVE at again.
        connections
            How many the exchange has accepted since, exactly; None where the test cannot know.
        more_snapshots
            How many it was asked for, exactly, beside one for each time a book became LIVE; None as above.
        """
        roads = {symbol: (roads or {}).get(symbol, []) for symbol in self.ids}
        self.model.advance(
            lambda: all(len(self.states(symbol)) >= len(states) for symbol, states in roads.items()),
            lambda: f"{roads}, not { ({symbol: self.states(symbol) for symbol in self.ids}) }",
        )
        if self.rate:
            for _ in range(2):
                self.updates(1)
                self.assert_true()
        self.assert_true()
        self.model.catch_up()
        assert {symbol: self.states(symbol) for symbol in self.ids} == roads
        self.assert_over_within(wait_s)
        self.wait_for_lines()
        now, before = self._asked(), self._asked_before
        assert connections in (None, now[0] - before[0]), f"{now[0] - before[0]} connections"
        live = Counter({symbol: states.count(LIVE_ROAD[-1]) for symbol, states in roads.items()})
        snapshots = now[1] - before[1]
        assert not snapshots.keys() - (+live).keys(), f"a book that was LIVE: {snapshots}"
        assert more_snapshots in (None, (snapshots - live).total()), f"snapshots {snapshots}, LIVE {live}"

    def assert_true(self) -> None:
        """Hold every book, which must be LIVE, against the exchange's, and the ring's against the table's."""
        for id_ in self.ids.values():
            book = self.subscriber.book(id_, require_live=True)
            assert_book_is_true(self.sim, book, self.venue)
            assert_ring_equals_table(self.model, book)

    def assert_over_within(self, wait_s: float) -> None:
        """Bound what each recovery in the ring took."""
        for symbol in self.ids:
            recoveries = self.model.books[self.ids[symbol]].recoveries
            assert_soon_live(self.sim, symbol, recoveries, self.rate, wait_s, self.venue)


# ---- processes ----


class Mdp:
    """``mdp ...`` as a process of its own; its output is read while it runs."""

    def __init__(
        self, *arguments: str | Path, cwd: Path | None = None, env: dict[str, str] | None = None
    ) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "mdp", *map(str, arguments)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=cwd,
            env={**os.environ, "COLUMNS": "200", **(env or {})},
        )
        self._lines: dict[str, list[str]] = {"stdout": [], "stderr": []}
        self._readers = [
            threading.Thread(target=self._read, args=(name,), daemon=True) for name in self._lines
        ]
        for reader in self._readers:
            reader.start()

    def _read(self, name: str) -> None:
        with getattr(self.process, name) as pipe:
            for line in pipe:
                self._lines[name].append(line)

    @property
    def stdout(self) -> str:
        """What it has written so far."""
        return "".join(self._lines["stdout"])

    @property
    def stderr(self) -> str:
        """What it has complained of so far."""
        return "".join(self._lines["stderr"])

    def wait(self, timeout_s: float = DEADLINE_S) -> int:
        """Wait for its end and return the exit code."""
        code = self.process.wait(timeout_s)
        for reader in self._readers:
            reader.join()
        return code

    def signal(self, number: int) -> None:
        """Send a signal."""
        self.process.send_signal(number)

    def kill(self) -> None:
        """End it without a chance to tidy up."""
        self.process.kill()
        self.wait()

    def wait_for_text(self, text: str) -> None:
        """Wait until `text` stands in what it wrote to standard error."""

        def there() -> bool:
            assert text in self.stderr or self.process.poll() is None, (
                f"ended without {text!r}: {self.stderr}"
            )
            return text in self.stderr

        wait_for(there, lambda: f"{text!r} in {self.stderr!r}")


def run_mdp(*arguments: str | Path) -> Mdp:
    """Run ``mdp ...`` to its end."""
    process = Mdp(*arguments)
    try:
        process.wait()
    except BaseException:
        process.kill()
        raise
    return process


# ---- what is left behind ----


def shared_memory() -> set[str]:
    """Return the names in the shared-memory directory."""
    return set(os.listdir("/dev/shm"))


def threads() -> set[str]:
    """Return the threads of this process as ``id name``."""
    found = set()
    for task in Path("/proc/self/task").iterdir():
        try:
            found.add(f"{task.name} {(task / 'comm').read_text().strip()}")
        except FileNotFoundError:
            continue
    return found


def descriptors() -> set[str]:
    """Return the open file descriptors of this process as ``number target``."""
    return set(_descriptors())


def _descriptors() -> Iterator[str]:
    for number in os.listdir("/proc/self/fd"):
        try:
            yield f"{number} {os.readlink(f'/proc/self/fd/{number}')}"
        except FileNotFoundError:  # the listing's own
            continue


def children() -> set[str]:
    """Return the child processes of this process."""
    found: set[str] = set()
    for task in Path("/proc/self/task").iterdir():
        try:
            found.update((task / "children").read_text().split())
        except FileNotFoundError:
            continue
    return found
