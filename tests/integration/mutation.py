"""Mutations of recorded frames, and a judge that knows what every book was at every update id.

The judge is the decimal model over the unmutated frames. A LIVE book that differs from it at the id it claims
is a mutation that was not caught.
"""

from __future__ import annotations

import json
import random
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qs, urlsplit

from integration.decimal_model import Record, play
from mdp._core import LineState, Replay, ReplaySurvey, ReplaySymbol

KINDS = ("drop", "duplicate", "swap", "truncate", "digits")


@dataclass(frozen=True)
class Depth:
    """Where a depth frame stands in its symbol's sequence."""

    symbol: str
    last_id: int
    needed: bool  # it lies behind the snapshot: without it the book is another one
    last: bool  # no other depth frame of the symbol follows, so nothing can tell that it is missing


@dataclass
class Base:
    """Frames to mutate and the truth about them."""

    name: str
    venue: str
    records: list[Record]
    futures: bool
    symbols: list[ReplaySymbol] = field(default_factory=list)
    depth: dict[int, Depth] = field(default_factory=dict)  # by index of the record
    truth: dict[str, dict[int, int]] = field(default_factory=dict)  # canonical symbol, update id: fingerprint
    shared: int = 0

    def __post_init__(self) -> None:
        survey = ReplaySurvey(self.venue)
        self._survey(survey)
        self.symbols = survey.found()
        canonical = {s.instrument.venue_symbol: s.instrument.canonical_symbol for s in self.symbols}
        self.truth = {name: {} for name in canonical.values()}
        model = play(self.records, futures=self.futures, on_update=self._note(canonical))
        assert all(book.gaps == 0 for book in model.books.values())
        self.shared = sum(quote == top for _, _, quote, top in model.shared())
        self._place_depth_frames()

    def _survey(self, survey: ReplaySurvey) -> None:
        for record in self.records:
            if record.kind == "http" and (record.url or "").endswith("exchangeInfo"):
                survey.add_listed(record.data.encode())
        for record in self.records:
            if symbol := snapshot_symbol(record):
                survey.add_unlisted(symbol)
        for record in self.records:
            if symbol := snapshot_symbol(record):
                survey.snapshot(symbol, record.data.encode())
            elif record.kind == "ws-in":
                survey.frame(0, record.data.encode())

    def _note(self, canonical: dict[str, str]) -> Callable[..., None]:
        def note(
            symbol: str, update_id: int, bids: dict[Decimal, Decimal], asks: dict[Decimal, Decimal]
        ) -> None:
            levels = [("bids", bids), ("asks", asks)]
            self.truth[canonical[symbol]][update_id] = sum(
                level_mark(side, f"{price.normalize():f}", f"{quantity.normalize():f}")
                for side, book in levels
                for price, quantity in book.items()
            )

        return note

    def _place_depth_frames(self) -> None:
        snapshots = {
            symbol: json.loads(record.data)["lastUpdateId"]
            for record in self.records
            if (symbol := snapshot_symbol(record))
        }
        seen: dict[str, int] = {}
        for index, record in enumerate(self.records):
            event = event_of(record)
            if event.get("e") != "depthUpdate":
                continue
            symbol, last = event["s"], event["u"]
            # The one that ends at the snapshot is in it already.
            needed = last > snapshots[symbol]
            self.depth[index] = Depth(symbol, last, needed, last=True)
            if symbol in seen:
                self.depth[seen[symbol]] = replace(self.depth[seen[symbol]], last=False)
            seen[symbol] = index

    def frames(self) -> list[int]:
        """Return the indices of the received frames."""
        return [index for index, record in enumerate(self.records) if record.kind == "ws-in"]


def level_mark(side: str, price: str, quantity: str) -> int:
    """Return what a level adds to the fingerprint of its book: a sum, so that changes cost little."""
    return hash((side, price, quantity))


def event_of(record: Record) -> dict[str, Any]:
    """Return the venue's event of a frame; nothing for other records."""
    if record.kind != "ws-in":
        return {}
    frame = json.loads(record.data)
    event = frame.get("data", frame)
    return event if isinstance(event, dict) else {}


def snapshot_symbol(record: Record) -> str | None:
    """Return the symbol whose snapshot a record is."""
    if record.kind != "http":
        return None
    url = urlsplit(record.url or "")
    return parse_qs(url.query)["symbol"][0] if url.path.endswith("/depth") else None


def cut_session(records: list[Record], symbol: str, deltas: int) -> list[Record]:
    """Return one symbol's records up to so many deltas behind its snapshot."""
    kept, left, snapshot = [], deltas, False
    for record in records:
        if record.kind == "http":
            own = snapshot_symbol(record)
            if own == symbol and not snapshot:
                snapshot = True
                kept.append(record)
            continue
        event = event_of(record)
        if event.get("s") != symbol:
            continue
        kept.append(record)
        left -= snapshot and event.get("e") == "depthUpdate"
        if left == 0:
            break
    return kept


@dataclass
class Mutant:
    """A mutated session."""

    records: list[Record]
    what: str
    must_be_caught: bool
    harmless: bool


def mutate(base: Base, kind: str, rng: random.Random) -> Mutant:
    """Make one mutation of a kind; most of them hit depth frames."""
    frames = base.frames()
    depth = list(base.depth)
    at = rng.choice(depth if rng.random() < 0.75 else frames)
    records, hit = base.records, base.depth.get(at)
    needed = hit is not None and hit.needed
    if kind == "drop":
        seen = needed and not hit.last  # type: ignore[union-attr]
        return Mutant([*records[:at], *records[at + 1 :]], f"frame {at}", seen, not needed)
    if kind == "duplicate":
        later = min(at + rng.randint(0, 6), len(records) - 1)
        copy = replace(records[at], t=records[later].t, url=None)
        copies = [*records[: later + 1], copy, *records[later + 1 :]]
        return Mutant(copies, f"frame {at} again behind {later}", False, True)
    if kind == "swap":
        other = frames[min(frames.index(at) + rng.randint(1, 5), len(frames) - 1)]
        swapped = list(records)
        swapped[at] = replace(records[at], data=records[other].data)
        swapped[other] = replace(records[other], data=records[at].data)
        order = swapped_order(base, at, other)
        return Mutant(swapped, f"frames {at} and {other}", order, not order)
    text = records[at].data
    if kind == "truncate":
        cut = rng.randrange(len(text))
        mutated = replace(records[at], data=text[:cut])
        return Mutant(
            [*records[:at], mutated, *records[at + 1 :]], f"frame {at} to {cut} bytes", needed, False
        )
    assert kind == "digits"
    return alter_digit(base, rng)


def swapped_order(base: Base, at: int, other: int) -> bool:
    """Tell whether a swap puts needed depth frames of a symbol out of order."""
    moved = dict(base.depth)
    moved.pop(at, None)
    moved.pop(other, None)
    for here, there in ((at, other), (other, at)):
        if here in base.depth:
            moved[there] = base.depth[here]
    ids: dict[str, list[int]] = defaultdict(list)
    for index in sorted(moved):
        if moved[index].needed:
            ids[moved[index].symbol].append(moved[index].last_id)
    return any(own != sorted(own) for own in ids.values())


def alter_digit(base: Base, rng: random.Random) -> Mutant:
    """Alter one digit of one level: the frame stays well-formed, the sequence stays whole."""
    while True:
        at = rng.choice([index for index, depth in base.depth.items() if depth.needed])
        frame = json.loads(base.records[at].data)
        event = frame.get("data", frame)
        rows = [(side, i) for side in "ba" for i in range(len(event[side]))]
        if not rows:
            continue
        side, row = rng.choice(rows)
        field_index = rng.randrange(2)
        text = event[side][row][field_index]
        place = rng.choice([i for i, c in enumerate(text) if c.isdigit()])
        digit = rng.choice([c for c in "0123456789" if c != text[place]])
        altered = text[:place] + digit + text[place + 1 :]
        if Decimal(altered) != Decimal(text):
            break
    event[side][row][field_index] = altered
    mutated = replace(base.records[at], data=json.dumps(frame, separators=(",", ":")))
    records = [*base.records[:at], mutated, *base.records[at + 1 :]]
    shown = play(records, futures=base.futures).shared()
    visible = sum(quote == top for _, _, quote, top in shown) != base.shared
    return Mutant(records, f"frame {at}: {text} as {altered}", visible, False)


@dataclass
class Outcome:
    """What the replay made of a mutant."""

    wrong_live: int  # LIVE books that differ from the truth at the id they claim
    told: bool  # an error, a gap, a resync, a wrong quote, or a book that is not LIVE at the end
    resyncs: int
    ends_right: bool  # all books LIVE and, at their last id, the truth


def judge(base: Base, records: list[Record], *, pipelined: bool = False) -> Outcome:
    """Replay mutated records and hold every LIVE book against the truth."""
    replay = Replay(base.venue, base.symbols, 1, pipelined, True)
    replay.line_state(0, LineState.UP, int(records[0].t * 10**9))
    for record in records:
        recv_ts_ns = int(record.t * 10**9)
        if symbol := snapshot_symbol(record):
            replay.snapshot(symbol, recv_ts_ns, record.data.encode(), record.url or "")
        elif record.kind == "ws-in":
            replay.frame(0, recv_ts_ns, record.data.encode())
    wrong = 0
    prints: dict[str, int] = {}
    books: dict[str, dict[tuple[str, str], str]] = {}
    at: dict[str, int] = {}
    live: set[str] = set()

    def differs(symbol: str) -> bool:
        return base.truth[symbol].get(at[symbol]) != prints[symbol]

    for line in replay.take_event_lines().splitlines():
        if not line.startswith((b'{"type":"book_',)):
            continue
        event = json.loads(line)
        symbol, kind = event["symbol"], event["type"]
        if kind == "book_state":
            before = symbol in live
            live.discard(symbol)
            if event["state"] == "LIVE":
                live.add(symbol)
                wrong += not before and differs(symbol)
            continue
        if kind == "book_snapshot":
            books[symbol], prints[symbol] = {}, 0
        book, change = books[symbol], 0
        for side in ("bids", "asks"):
            for price, quantity in event[side]:
                old = book.pop((side, price), None)
                if old is not None:
                    change -= level_mark(side, price, old)
                if quantity != "0":
                    book[side, price] = quantity
                    change += level_mark(side, price, quantity)
        prints[symbol] += change
        at[symbol] = event["update_id"]
        wrong += symbol in live and differs(symbol)
    counts = replay.summary()
    faults = counts.parse_errors + counts.gaps + counts.resyncs + counts.crossed + counts.quotes_wrong
    all_live = len(live) == len(base.symbols)
    right = all_live and not any(differs(symbol) for symbol in live)
    return Outcome(wrong, faults > 0 or not all_live, counts.resyncs, right)


@dataclass
class Figures:
    """The campaign's figures for one kind of mutation."""

    cases: int = 0
    must_be_caught: int = 0
    caught: int = 0
    harmless: int = 0
    resynced: int = 0  # though harmless
    elsewhere: int = 0  # neither: nothing in the stream shows it, or nothing is left to change
    elsewhere_told: int = 0
    faults: list[str] = field(default_factory=list)


def campaign(bases: list[Base], cases: int, seed: int) -> dict[str, Figures]:
    """Run so many mutations, spread over bases and kinds, and judge each."""
    rng = random.Random(seed)
    figures = {kind: Figures() for kind in KINDS}
    for number in range(cases):
        kind = KINDS[number % len(KINDS)]
        base = rng.choice(bases)
        mutant = mutate(base, kind, rng)
        outcome = judge(base, mutant.records, pipelined=number % 50 == 49)
        _count(
            figures[kind],
            mutant,
            outcome,
            f"{kind} of {base.name}, seed {seed}, case {number}: {mutant.what}",
        )
    return figures


def _count(figures: Figures, mutant: Mutant, outcome: Outcome, what: str) -> None:
    figures.cases += 1
    altered = what.startswith("digits")
    if mutant.must_be_caught:
        figures.must_be_caught += 1
        # A quote may come behind the update it belongs to: then the wrong book was published, and is told.
        caught = outcome.told and (altered or outcome.wrong_live == 0)
        figures.caught += caught
        if not caught:
            figures.faults.append(f"not caught: {what}")
    elif mutant.harmless:
        figures.harmless += 1
        if outcome.resyncs or not outcome.ends_right or outcome.wrong_live:
            figures.resynced += 1
            figures.faults.append(f"harmless, and yet {outcome}: {what}")
    else:
        figures.elsewhere += 1
        figures.elsewhere_told += outcome.told
        if outcome.wrong_live and not altered:
            figures.faults.append(f"wrong while LIVE: {what}")


def table(figures: dict[str, Figures]) -> str:
    """Return the figures as a table."""
    heads = ("caught / should be", "harmless (resynced)", "other (told)")
    rows = [f"{'kind':<10} {'cases':>7} {heads[0]:>20} {heads[1]:>20} {heads[2]:>16}"]
    for kind, own in figures.items():
        caught = f"{own.caught} / {own.must_be_caught}"
        harmless = f"{own.harmless} ({own.resynced})"
        other = f"{own.elsewhere} ({own.elsewhere_told})"
        rows.append(f"{kind:<10} {own.cases:>7} {caught:>20} {harmless:>20} {other:>16}")
    return "\n".join(rows)
