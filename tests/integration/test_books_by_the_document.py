"""A reader written from docs/wire-format.md alone keeps every book of a working provider, and none is wrong.

It verifies the checksum of each update, every refresh, and each book against the book table, while lines
break, symbols come and go, publishers are killed, and it falls behind by more than a ring. The stress form
takes an hour's worth of events: four symbols with ten updates a second each.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import pytest
from integration.harness import Mdp, decimals, settings, strike, wait_for, wait_live, write_config
from mdp import Provider
from mdp.sim import SimProcess
from python.wire_format_books import Books
from python.wire_format_reader import CorruptError, Segment

SYMBOLS = ["BTCUSDT", "ETHUSDT", "BNBUSDT", "SOLUSDT"]
RATE = 250
HOUR = 4 * 10 * 3600
LAP_EVERY = 4_000  # events: then it rests for longer than the ring holds
RING_BYTES = 1 << 20


EVENTS = [pytest.param(12_000, id="short"), pytest.param(HOUR, id="hour", marks=pytest.mark.stress)]


def assert_books_are_true(sim: SimProcess, segment: Segment, books: Books) -> int:
    """Compare each whole LIVE book with the exchange's at the same update id; return how many were."""
    exponents = {entry.symbol_id: entry for entry in segment.instruments()}
    compared = 0
    for book in books.books.values():
        if book.state != "LIVE" or not book.whole:
            continue
        entry = exponents[book.symbol_id]
        depth = min(len(book.bids), len(book.asks), 400)
        truth = sim.truth(entry.venue_symbol, book.update_id, depth)
        sides = sorted(book.bids.items(), reverse=True), sorted(book.asks.items())
        for name, side in zip(("bids", "asks"), sides, strict=True):
            found = [
                (
                    Decimal(price).scaleb(entry.price_exponent),
                    Decimal(quantity).scaleb(entry.quantity_exponent),
                )
                for price, quantity in side[:depth]
            ]
            assert found == decimals(truth[name]), f"{book}: {name}"
        compared += 1
    return compared


def rest_for_a_lap(segment: Segment) -> None:
    """Wait until the publisher has written more than a ring."""
    begin = segment.cursor
    wait_for(lambda: (segment.cursor - begin) > 1.2 * RING_BYTES, "a lap of the ring")


@pytest.mark.parametrize("wanted", EVENTS)
def test_no_book_is_wrong_through_faults_laps_and_churn(
    start_sim: Callable[..., SimProcess], provider_for: Callable[..., Provider], segment: str, wanted: int
) -> None:
    sim = start_sim(symbols=SYMBOLS, rate=RATE, depth_interval_ms=20)
    provider = provider_for(sim, over={"segment": {"ring": RING_BYTES}}, snapshot_depth=100)
    wait_live(provider)
    reader = Segment(segment)
    books = Books(reader)
    rng = random.Random(14)
    churned = compared = 0
    next_lap, next_fault = LAP_EVERY, 1000
    away: int | None = None
    while books.events < wanted:
        wait_for(books.work, "something new in the ring")
        if books.events >= next_fault:
            next_fault += 1500
            compared += assert_books_are_true(sim, reader, books)
            if away is None:
                away = rng.randrange(len(SYMBOLS))
                assert provider.unsubscribe(away)
            else:
                assert provider.subscribe("binance", SYMBOLS[away]) == away, "it has its old id"
                away, churned = None, churned + 1
            # One that comes while the line is down strikes nobody.
            wait_for(lambda: sim.status()["clients"], "a line to the exchange")
            strike(sim, rng.choice(["drop", "disconnect", "duplicate"]))
        if books.events >= next_lap:
            next_lap += LAP_EVERY
            rest_for_a_lap(reader)
    reader.close()
    print(
        f"{books.events} events, {books.verified} checksums, {books.compared} looks at the table, "
        f"{compared} at the venue, {books.laps} laps, {churned} symbols came back; begun from a whole book "
        f"{books.from_refresh} times, from the table {books.from_table} times"
    )
    assert books.laps >= 2
    assert churned >= 2
    assert books.verified > wanted / 6
    assert books.compared > 100
    assert compared > 10
    assert books.from_refresh > 4 * books.laps / 2, "late joiners get whole books"


@pytest.mark.parametrize("wanted", EVENTS)
def test_no_book_is_wrong_through_kills(
    start_sim: Callable[..., SimProcess],
    start_mdp: Callable[..., Mdp],
    segment: str,
    tmp_path: Path,
    wanted: int,
) -> None:
    sim = start_sim(symbols=SYMBOLS, rate=RATE, depth_interval_ms=20)
    config = settings(sim, segment, snapshot_depth=100)
    config["segment"]["ring"] = RING_BYTES
    path = write_config(tmp_path / "c.yaml", config)
    lives = events = verified = 0
    generations = set()
    while events < wanted:
        process = start_mdp("run", path)
        wait_for(lambda process=process: process.stderr.count("book.live") >= 4, lambda p=process: p.stderr)
        reader = attached(segment, generations)
        generations.add(reader.generation)
        books = Books(reader)
        while books.events < wanted / 4:
            wait_for(books.work, "something new in the ring")
        assert reader.publisher() == "running"
        process.kill()
        books.advance()  # what it left is whole
        wait_for(lambda reader=reader: reader.publisher() == "dead", "its death to show")
        assert_books_are_true(sim, reader, books)
        reader.close()
        lives += 1
        events += books.events
        verified += books.verified
    for left in (segment, f".{segment}.lock"):  # by the last one, which was killed
        Path("/dev/shm", left).unlink()
    print(f"{events} events of {lives} lives, {verified} checksums")
    assert lives >= 4
    assert verified > wanted / 6


def attached(name: str, known: set[int]) -> Segment:
    """Open the segment of a publisher that is none of those known."""

    def fresh() -> Segment | None:
        try:
            segment = Segment(name)
        except (CorruptError, FileNotFoundError):
            return None
        if segment.generation not in known:
            return segment
        segment.close()
        return None

    return wait_for(fresh, "a new segment")
