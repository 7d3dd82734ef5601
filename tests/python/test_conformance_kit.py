"""The conformance kit: a segment in a file, and what a right reader finds in it.

Held against it are the reader that was written from docs/wire-format.md alone, and mdp's own.
"""

from __future__ import annotations

import json
import os
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import mdp
import pytest
from mdp._core import Reader
from python.wire_format_books import Books
from python.wire_format_reader import CorruptError, Segment

KIT = Path(__file__).parent.parent / "data" / "conformance"
SYMBOLS = ("a:BTC-USDT", "BTCUSDT", "b:BTC-USDT", "a:ETH-USDT", "ETHUSDT", "BTC-27MAR26-45000-P", "no:SUCH")


def lines_of(segment: Segment) -> Iterator[dict[str, Any]]:
    """Say all that is in a segment, in the form of the kit's expected.jsonl."""
    yield {
        "line": "header",
        "generation": f"{segment.generation:016x}",
        "start_ts_ns": str(segment.start_ts_ns),
        "optional_features": segment.features,
        "ring_bytes": segment.ring_bytes,
        "levels_per_side": segment.levels_per_side,
        "state": segment.state,
    }
    for exchange_id, name in segment.venues().items():
        yield {"line": "venue", "exchange_id": exchange_id, "name": name}
    for instrument in segment.instruments():
        fields = {name: value for name, value in vars(instrument).items() if name != "expiry_ns"}
        yield {"line": "instrument", **fields, "expiry_ns": str(instrument.expiry_ns)}
    for symbol in SYMBOLS:
        yield {"line": "find", "symbol": symbol, "symbol_id": segment.find(symbol)}
    for instrument in segment.instruments():
        yield table_line(segment, instrument.symbol_id)
    for event in segment.events(segment.oldest()):
        words = sum(struct.unpack(f"<{len(event.body) // 8}Q", event.body))
        names = ("position", "size", "type", "flags", "exchange_id", "symbol_id", "bid_count", "ask_count")
        names += ("sequence", "update_id", "first_update_id")
        fields = {name: getattr(event, name) for name in names}
        yield {"line": "event", **fields, "body_sum": f"{words % (1 << 64):016x}"}
    books = Books(segment)
    books.advance()
    for book in books.books.values():
        bids, asks = sorted(book.bids.items(), reverse=True), sorted(book.asks.items())
        yield {
            "line": "book",
            "symbol_id": book.symbol_id,
            "state": book.state,
            "update_id": book.update_id,
            "levels": [len(bids), len(asks)],
            "best": [bids[0], asks[0]] if bids and asks else [],
            "checksum": f"{book.checksum():016x}",
        }


def table_line(segment: Segment, symbol_id: int) -> dict[str, Any]:
    """Say what the book table has of one instrument."""
    line: dict[str, Any] = {"line": "table", "symbol_id": symbol_id}
    try:
        book = segment.book(symbol_id)
    except CorruptError:
        return {**line, "busy": True}
    sides = [[[level.price, level.quantity] for level in side] for side in (book.bids, book.asks)]
    line |= {"state": book.state, "update_id": book.update_id, "bids": sides[0], "asks": sides[1]}
    line |= {"ring_position": book.ring_position, "next_sequence": book.next_sequence}
    return {**line, "refresh_position": str(book.refresh_position), "refresh_sequence": book.refresh_sequence}


def expected() -> list[dict[str, Any]]:
    return [json.loads(line) for line in (KIT / "expected.jsonl").read_text().splitlines()]


def of_kind(kind: str) -> list[dict[str, Any]]:
    return [line for line in expected() if line["line"] == kind]


def test_the_reader_by_the_document_finds_what_is_expected() -> None:
    segment = Segment(str(KIT / "segment.bin"))
    found = json.loads(json.dumps(list(lines_of(segment))))
    segment.close()
    wanted = expected()
    for line, other in zip(found, wanted, strict=False):
        assert line == other
    assert len(found) == len(wanted)


def test_the_kit_has_all_that_a_reader_stumbles_over() -> None:
    """Nobody takes the hard parts out unseen."""
    events = of_kind("event")
    assert events[0]["sequence"] > 100, "it has lapped"
    assert {event["type"] for event in events} >= {1, 2, 3, 4, 5, 6, 7, 8, 9, 0x8001}
    assert any(event["flags"] & 0x0800 for event in events), "a flag that nobody knows"
    assert any(event["flags"] & 4 for event in events), "only the best levels"
    assert any(event["type"] == 2 and not event["flags"] & 2 for event in events), "a book in several records"
    ends = {event["position"] + event["size"] for event in events}
    assert any(event["position"] not in ends for event in events[1:]), "a padding record"
    assert [line for line in of_kind("table") if line.get("busy")]
    assert {line.get("state") for line in of_kind("table")} == {"LIVE", "STALE", None}
    assert [line["status"] for line in of_kind("instrument")].count(2) == 1


@pytest.fixture
def copy() -> Iterator[str]:
    """Put the kit where segments are."""
    name = f"mdp-test-kit-{os.getpid()}"
    path = Path("/dev/shm", name)
    path.write_bytes((KIT / "segment.bin").read_bytes())
    path.chmod(0o600)
    yield name
    path.unlink()


def test_mdps_own_reader_finds_what_is_expected(copy: str) -> None:
    subscriber = mdp.Subscriber(copy, from_oldest=True)
    reader = Reader(copy)
    for line in of_kind("table"):
        if line.get("busy") or line["symbol_id"] not in {entry.symbol_id for entry in subscriber.instruments}:
            continue
        entry, bids, asks = reader.book(line["symbol_id"])
        assert (bids.tolist(), asks.tolist()) == (line["bids"], line["asks"])
        assert (entry.update_id, entry.ring_position) == (line["update_id"], line["ring_position"])
    for line in of_kind("instrument"):
        if line["status"] == 1:
            found = subscriber.instrument(line["symbol_id"])
            for name in ("canonical_symbol", "venue_symbol", "underlying", "strike_price", "max_quantity"):
                assert getattr(found, name) == line[name]
            assert found.kind.value == line["kind"]
    events: list[Any] = []
    while batch := subscriber.poll(64):
        events += batch
    expected = [line for line in of_kind("event") if line["type"] < 0x8000]  # private types are passed over
    assert [event.sequence for event in events] == [line["sequence"] for line in expected]
    for event, line in zip(events, expected, strict=True):
        assert (event.flags, event.symbol_id) == (line["flags"], line["symbol_id"])
        assert (len(event.bids), len(event.asks)) == (
            (line["bid_count"], line["ask_count"]) if line["type"] in (1, 2) else (0, 0)
        )


def test_mdps_book_keeper_finds_what_is_expected(copy: str) -> None:
    known = {entry.symbol_id for entry in mdp.Subscriber(copy).instruments}
    busy = {line["symbol_id"] for line in of_kind("table") if line.get("busy")}
    whole = 0
    for line in of_kind("book"):
        if line["symbol_id"] not in known - busy:
            continue
        follower = mdp.Subscriber(copy).follow(line["symbol_id"], verify=True)
        while follower.poll().status == mdp.ReadStatus.OK:
            pass
        book = follower.book
        assert (book.state.name, book.update_id, book.mismatches) == (line["state"], line["update_id"], 0)
        if not book.whole:
            continue
        whole += 1
        sides = book.levels("bids"), book.levels("asks")
        assert [len(side) for side in sides] == line["levels"]
        assert [list(side[0]) for side in sides if side] == line["best"]
        assert f"{book.checksum:016x}" == line["checksum"]
    assert whole > 0
