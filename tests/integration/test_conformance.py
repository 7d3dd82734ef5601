"""Every Binance recording through `mdp replay`, against the decimal model and the recordings' own README."""

from __future__ import annotations

import io
import json
import re
from collections import defaultdict
from collections.abc import Iterator
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from integration.decimal_model import Session, Top, play, read_session
from integration.harness import SHARED_DATA as DATA
from integration.sessions import compose, write_session
from mdp._core import venue_names
from mdp.replaying.replay import ReplayResult, replay_session

# Folder of recordings, and the venue that sent them.
FOLDERS = {"binance-spot": "binance", "binance-usdm": "binance-usdm", "binance-coinm": "binance-coinm"}

# Two books of this session start from REST snapshots that are older than the id they carry.
OLD_SNAPSHOTS = ("binance-coinm", "2021-04-17")
RUNS_OUT = ("binance-spot", "2024-08-08-btcusdt")
WRONG_IDS = {
    ("BTCUSD_PERP", 86143366172),
    ("BTCUSD_210924", 86143408975),
    ("BTCUSD_210924", 86143412037),
    ("BTCUSD_210924", 86143412640),
    ("BTCUSD_210924", 86143413637),
}


def recorded_sessions() -> Iterator[Any]:
    """Yield folder and name of every session, or one that skips with the reason."""
    for folder, venue in FOLDERS.items():
        found = sorted({path.name.split(".")[0] for path in (DATA / folder).glob("*.ws*.jsonl.gz")})
        reason = "" if found else f"recorded sessions are not at {DATA}; set MDP_SHARED_DATA"
        if venue not in venue_names():
            reason = f"this build does not know the venue {venue}"
        marks = [pytest.mark.skip(reason=reason)] if reason else []
        for name in found or ["none"]:
            yield pytest.param((folder, name), id=f"{folder}/{name}", marks=marks)


def files_of(session: tuple[str, str]) -> list[Path]:
    return sorted((DATA / session[0]).glob(f"{session[1]}.*"))


@cache
def model_of(session: tuple[str, str]) -> Session:
    """Run the decimal model, once for all tests of a session."""
    return play(read_session(files_of(session)), futures=session[0] != "binance-spot")


def replayed(paths: list[Path], venue: str, topology: str) -> tuple[ReplayResult, bytes]:
    out = io.BytesIO()
    return replay_session(paths, venue, events=out, topology=topology), out.getvalue()


def as_text(level: tuple[Decimal, Decimal] | None) -> list[str] | None:
    return None if level is None else [f"{number.normalize():f}" for number in level]


def venue_symbols(symbols: Any, canonical: Any) -> dict[str, str]:
    """Map canonical symbols to the venue's, by letters and digits alone; perpetuals may add their word."""
    bare = {re.sub(r"[^A-Z0-9]", "", symbol.upper()): symbol for symbol in symbols}
    found = {}
    for name in canonical:
        letters = re.sub(r"[^A-Z0-9]", "", name.split(":")[1].upper())
        found[name] = bare[letters] if letters in bare else bare[letters.removesuffix("PERP")]
    return found


def best_of(event: dict[str, Any]) -> tuple[Any, Any]:
    """Return best bid and best ask of an event; None for an empty side."""
    return (event["bids"] or [None])[0], (event["asks"] or [None])[0]


def check_events(text: bytes, model: Session) -> None:
    """Every delta, trade and quote was published once and in order, and every top is the model's."""
    tops: dict[str, dict[int, tuple[Any, Any]]] = defaultdict(dict)
    bbo: dict[str, tuple[Any, Any]] = {}
    at: dict[str, int] = {}
    joined: dict[str, int] = {}
    trades: dict[str, list[tuple[int, str, str]]] = defaultdict(list)
    quotes: dict[str, list[tuple[int, Any, Any]]] = defaultdict(list)
    for line in text.splitlines():
        event = json.loads(line)
        symbol, kind = event["symbol"], event["type"]
        if kind in ("book_snapshot", "book_delta"):
            at[symbol] = event["update_id"]
            tops[symbol][at[symbol]] = bbo.get(symbol, (None, None))
            if kind == "book_snapshot":
                joined[symbol] = at[symbol]
        elif kind == "bbo":  # follows the update that changed the top
            bbo[symbol] = best_of(event)
            tops[symbol][at[symbol]] = bbo[symbol]
        elif kind == "trade":
            trades[symbol].append((event["trade_id"], event["price"], event["quantity"]))
        elif kind == "quote":
            quotes[symbol].append((event["update_id"], *best_of(event)))
    names = venue_symbols(model.books, tops)
    assert sorted(names.values()) == sorted(model.books)
    for symbol, own in tops.items():
        truth = model.tops[names[symbol]]
        published = list(own)
        assert published == [joined[symbol], *(u for u in truth if u > joined[symbol])], symbol
        for update_id, top in own.items():
            if update_id in truth:  # the snapshot's own id need not be an update's
                assert top == tuple(map(as_text, truth[update_id])), f"{symbol} at {update_id}"
    for symbol, name in names.items():
        assert trades[symbol] == [
            (trade.get("t", trade.get("a")), *(f"{Decimal(trade[key]).normalize():f}" for key in "pq"))
            for trade in model.trades[name]
        ]
        assert quotes[symbol] == [(u, *map(shown, top)) for u, top in model.quotes[name]]


def shown(level: tuple[Decimal, Decimal] | None) -> list[str] | None:
    return as_text(level) if level is not None and level[1] != 0 else None


def check_books(result: ReplayResult, model: Session) -> None:
    books = json.loads(result.books)
    for name, symbol in venue_symbols(model.books, books).items():
        book = model.books[symbol]
        if book.exhausted_at is not None:  # the recording has no other snapshot
            assert books[name]["state"] != "LIVE"
            assert books[name]["update_id"] == book.exhausted_at
            continue
        assert books[name] == {
            "state": "LIVE",
            "update_id": book.update_id,
            "bids": [as_text(level) for level in book.side("bids")],
            "asks": [as_text(level) for level in book.side("asks")],
        }, symbol
    assert len(books) == len(model.books)


def check_summary(result: ReplayResult, model: Session) -> None:
    shared = model.shared()
    exhausted = sum(book.exhausted_at is not None for book in model.books.values())
    assert result.summary == {
        "frames": model.frames,
        "parse_errors": 0,
        "gaps": 0,
        "resyncs": exhausted,
        "book_updates": sum(book.applied_live for book in model.books.values()),
        "trades": sum(map(len, model.trades.values())),
        "bbo_checked": len(shared),
        "bbo_wrong": sum(quote != top for _, _, quote, top in shared),
        "crossed": 0,
        "suspicions": 0,
        "books": len(model.books),
        "books_live": len(model.books) - exhausted,
    }


@pytest.mark.parametrize("session", list(recorded_sessions()))
@pytest.mark.parametrize("topology", ["fused", "pipelined"])
def test_recorded_session_is_replayed_exactly(session: tuple[str, str], topology: str) -> None:
    model = model_of(session)
    result, text = replayed(files_of(session), FOLDERS[session[0]], topology)
    check_summary(result, model)
    check_books(result, model)
    check_events(text, model)
    print(f"{session[0]}/{session[1]} {topology}: {result.summary}")
    if session == OLD_SNAPSHOTS:
        names = venue_symbols(model.books, {name for name, _, _, _ in result.wrong_quotes})
        assert {(names[name], update_id) for name, update_id, _, _ in result.wrong_quotes} == WRONG_IDS
        assert len(result.wrong_quotes) == 5 and not result.ok
        # With the audit acting, as it does live, each of the two books is made to sync anew at its first.
        audited = replay_session(files_of(session), FOLDERS[session[0]], topology=topology, audit=True)
        assert (audited.summary["resyncs"], audited.summary["bbo_wrong"]) == (2, 2)
        states = {name: book["state"] for name, book in json.loads(audited.books).items()}
        assert {names[name] for name, state in states.items() if state != "LIVE"} == {s for s, _ in WRONG_IDS}
    else:
        assert not result.wrong_quotes
        # In one session the market runs through all that its one snapshot tells.
        exhausted = {symbol for symbol, book in model.books.items() if book.exhausted_at is not None}
        assert exhausted == ({"BTCUSDT"} if session == RUNS_OUT else set())
        assert result.ok == (not exhausted)


@pytest.mark.parametrize("session", list(recorded_sessions()))
def test_the_model_finds_what_the_recordings_readme_says(session: tuple[str, str]) -> None:
    row = re.compile(
        rf"^\| {session[0]} \| {re.escape(session[1])} \| (\S+) \| snapshot id \d+; "
        r"dropped (\d+), applied (\d+), gaps 0, crossed 0; .*last id (\d+); "
        r"final best bid (\S+) x (\S+), best ask (\S+) x (\S+); (\d+) bid / (\d+) ask levels \|$",
        re.MULTILINE,
    )
    known = {match[1]: match.groups()[1:] for match in row.finditer((DATA / "README.md").read_text())}
    model = model_of(session)
    assert known.keys() == model.books.keys()
    for symbol, (dropped, applied, last_id, *numbers, bid_levels, ask_levels) in known.items():
        book = model.books[symbol]
        top: Top = book.top()
        assert (book.dropped, book.applied, book.gaps) == (int(dropped), int(applied), 0)
        assert book.update_id == int(last_id)
        assert [*(top[0] or ()), *(top[1] or ())] == [Decimal(number) for number in numbers]
        assert (len(book.bids), len(book.asks)) == (int(bid_levels), int(ask_levels))


@pytest.mark.parametrize("seed", range(1, 9))
@pytest.mark.parametrize("topology", ["fused", "pipelined"])
def test_composed_session_is_replayed_exactly(tmp_path: Path, seed: int, topology: str) -> None:
    records = compose(seed, symbols=("BTCUSDT", "DOTUSDT", "ETHUSDT"), deltas=100)
    model = play(records, futures=False)
    result, text = replayed(write_session(tmp_path, records), "binance", topology)
    check_summary(result, model)
    check_books(result, model)
    check_events(text, model)
    assert result.ok and result.summary["bbo_checked"] > 50
