"""`mdp replay` on composed sessions: what it reads, writes, counts and refuses."""

from __future__ import annotations

import gzip
import io
import json
import random
import re
import sys
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import typer
from integration.decimal_model import Record, play
from integration.sessions import compose, edited, line_of, write_session
from mdp._core import ReplaySurvey
from mdp.commands.replay import replay
from mdp.errors import ConfigError, MdpError
from mdp.replaying.recording import Recording, connection_name, to_ns
from mdp.replaying.replay import ReplayResult, replay_session
from typer.testing import CliRunner

EXACT = re.compile(r"(0|[1-9]\d*)(\.\d*[1-9])?")


def run(paths: list[Path], **options: Any) -> tuple[ReplayResult, list[dict[str, Any]], bytes]:
    """Replay files; return the result, the events, and their bytes."""
    out = io.BytesIO()
    result = replay_session(paths, options.pop("venue", "binance"), events=out, **options)
    return result, [json.loads(line) for line in out.getvalue().splitlines()], out.getvalue()


def levels(rows: list[tuple[Decimal, Decimal]]) -> list[list[str]]:
    """Return decimals as the replay writes them."""
    return [[f"{price.normalize():f}", f"{quantity.normalize():f}"] for price, quantity in rows]


def frame_at(records: list[Record], stream: str, number: int) -> int:
    """Return the index of the so many-th frame of a stream."""
    found = [i for i, record in enumerate(records) if f'"stream":"{stream}' in record.data]
    return found[number]


@pytest.fixture
def session(tmp_path: Path) -> tuple[list[Record], list[Path]]:
    records = compose(7)
    return records, write_session(tmp_path, records)


@pytest.mark.parametrize("topology", ["fused", "pipelined"])
def test_counts_and_books_are_those_of_the_decimal_model(
    session: tuple[list[Record], list[Path]], topology: str
) -> None:
    records, paths = session
    model = play(records, futures=False)
    result, _, _ = run(paths, topology=topology)
    assert result.ok and not result.problems and not result.wrong_quotes
    assert result.summary == {
        "frames": model.frames,
        "parse_errors": 0,
        "gaps": 0,
        "resyncs": 0,
        "book_updates": sum(book.applied for book in model.books.values()),
        "trades": sum(map(len, model.trades.values())),
        "bbo_checked": len(model.shared()),
        "bbo_wrong": 0,
        "crossed": 0,
        "suspicions": 0,
        "books": 2,
        "books_live": 2,
    }
    assert result.summary["bbo_checked"] > 20
    assert json.loads(result.books) == {
        f"binance:{symbol[:-4]}-USDT": {
            "state": "LIVE",
            "update_id": book.update_id,
            "bids": levels(book.side("bids")),
            "asks": levels(book.side("asks")),
        }
        for symbol, book in model.books.items()
    }


def test_output_is_the_same_every_time_in_both_topologies(
    session: tuple[list[Record], list[Path]],
) -> None:
    paths = session[1]
    first, _, text = run(paths, topology="fused")
    for topology in ("pipelined", "fused", "pipelined"):
        again, _, other = run(list(reversed(paths)), topology=topology)
        assert other == text
        assert (again.books, again.summary) == (first.books, first.summary)


def test_events_are_the_books_told_step_by_step(session: tuple[list[Record], list[Path]]) -> None:
    records, paths = session
    model = play(records, futures=False)
    result, events, _ = run(paths)
    books: dict[str, dict[str, dict[str, str]]] = {}
    live = {}
    for event in events:
        assert list(event)[:6] == ["type", "venue", "symbol", "update_id", "exch_ts_ns", "recv_ts_ns"]
        assert event["venue"] == "binance"
        for row in [*event.get("bids", ()), *event.get("asks", ())]:
            assert all(EXACT.fullmatch(number) for number in row)
        symbol = event["symbol"]
        if event["type"] == "book_snapshot":
            books[symbol] = {side: dict(event[side]) for side in ("bids", "asks")}
        elif event["type"] == "book_delta":
            assert live[symbol]
            for side in ("bids", "asks"):
                for price, quantity in event[side]:
                    books[symbol][side][price] = quantity
                    if quantity == "0":
                        del books[symbol][side][price]
            top = model.tops[symbol.split(":")[1].replace("-", "")][event["update_id"]]
            for side, best, level in (("bids", max, top[0]), ("asks", min, top[1])):
                assert level is not None
                assert Decimal(best(books[symbol][side], key=Decimal)) == level[0]
        elif event["type"] == "book_state":
            live[symbol] = event["state"] == "LIVE"
    for symbol, book in json.loads(result.books).items():
        assert {side: dict(book[side]) for side in ("bids", "asks")} == books[symbol]
        assert live[symbol]
    kinds = {event["type"] for event in events}
    assert kinds == {
        "book_state", "connection_status", "book_snapshot", "book_delta", "bbo", "quote", "trade"
    }  # fmt: skip


def test_an_event_carries_what_was_recorded(session: tuple[list[Record], list[Path]]) -> None:
    records, paths = session
    at = frame_at(records, "btcusdt@trade", 0)
    recorded = json.loads(records[at].data)["data"]
    _, events, _ = run(paths)
    trade = next(event for event in events if event["type"] == "trade" and "BTC" in event["symbol"])
    assert trade == {
        "type": "trade",
        "venue": "binance",
        "symbol": "binance:BTC-USDT",
        "update_id": 0,
        "exch_ts_ns": recorded["T"] * 10**6,
        "recv_ts_ns": int(records[at].t * 10**9),
        "price": f"{Decimal(recorded['p']).normalize():f}",
        "quantity": "0.015",
        "side": "sell",
        "trade_id": recorded["t"],
        "aggregate": False,
    }


def test_exponents_come_from_the_digits_where_no_list_was_recorded(tmp_path: Path) -> None:
    records = compose(8)
    with_list, _, text = run(write_session(tmp_path, records))
    bare = [record for record in records if not (record.url or "").endswith("/exchangeInfo")]
    (tmp_path / "bare").mkdir()
    without, _, other = run(write_session(tmp_path / "bare", bare))
    assert (without.summary, without.books, other) == (with_list.summary, with_list.books, text)


def test_digits_finer_than_eight_decimals_are_found(tmp_path: Path) -> None:
    records = [r for r in compose(8, symbols=["DOTUSDT"]) if not (r.url or "").endswith("/exchangeInfo")]
    at = frame_at(records, "dotusdt@depth", 30)

    def finer(frame: dict[str, Any]) -> None:
        frame["data"]["b"].append(["0.00000000002", "5950000000000"])

    result, events, _ = run(write_session(tmp_path, edited(records, at, finer)))
    assert result.ok
    assert any(["0.00000000002", "5950000000000"] in event.get("bids", ()) for event in events)


def test_a_lost_frame_is_a_gap_and_exit_code_1(tmp_path: Path) -> None:
    records = compose(9)
    at = frame_at(records, "btcusdt@depth", 20)
    paths = write_session(tmp_path, [*records[:at], *records[at + 1 :]])
    result, events, _ = run(paths)
    assert not result.ok
    assert (result.summary["gaps"], result.summary["resyncs"], result.summary["books_live"]) == (1, 1, 1)
    lost = json.loads(records[at].data)["data"]["u"]
    gap = next(event for event in events if event.get("reason") == "gap")
    assert (gap["type"], gap["state"], gap["symbol"]) == ("book_state", "STALE", "binance:BTC-USDT")
    later = [e for e in events if e["type"] == "book_delta" and e["symbol"] == gap["symbol"]]
    assert max(event["update_id"] for event in later) < lost


def test_a_snapshot_after_a_gap_makes_the_book_live_again(tmp_path: Path) -> None:
    records = compose(9)
    model = play(records, futures=False)
    lost, after = (frame_at(records, "btcusdt@depth", number) for number in (20, 24))
    book = play(records[: after + 1], futures=False).books["BTCUSDT"]
    body = {
        "lastUpdateId": book.update_id,
        "bids": levels(book.side("bids")),
        "asks": levels(book.side("asks")),
    }
    answer = Record(
        records[after].t, "http", "https://127.0.0.1/api/v3/depth?limit=1000&symbol=BTCUSDT", json.dumps(body)
    )
    edited_session = [*records[:lost], *records[lost + 1 : after + 1], answer, *records[after + 1 :]]
    result, _, _ = run(write_session(tmp_path, edited_session))
    assert (result.summary["gaps"], result.summary["books_live"], result.ok) == (1, 2, False)
    final = json.loads(result.books)["binance:BTC-USDT"]
    assert final["update_id"] == model.books["BTCUSDT"].update_id
    assert final["bids"] == levels(model.books["BTCUSDT"].side("bids"))


def test_an_unreadable_frame_is_told_and_counted(tmp_path: Path) -> None:
    records = compose(10)
    at = frame_at(records, "dotusdt@depth", 15)
    cut = replace(records[at], data=records[at].data[:-3])
    result, _, _ = run(write_session(tmp_path, [*records[:at], cut, *records[at + 1 :]]))
    assert result.summary["parse_errors"] == 1
    assert [text.split(":")[0] for text in result.problems] == [
        "unreadable frame on line 0 (malformed-frame)"
    ]


@pytest.mark.parametrize("early", [False, True])
def test_a_wrong_quote_is_found_in_either_order_of_arrival(tmp_path: Path, early: bool) -> None:
    records = compose(11)
    model = play(records, futures=False)
    symbol, update_id, _, _ = model.shared()[-1]
    at = next(
        i for i, r in enumerate(records)
        if f'"stream":"{symbol.lower()}@bookTicker","data":{{"u":{update_id},' in r.data
    )  # fmt: skip
    depth = next(i for i, r in enumerate(records) if "@depth" in r.data and f'"u":{update_id},' in r.data)

    def double(frame: dict[str, Any]) -> None:
        frame["data"]["B"] = str(Decimal(frame["data"]["B"]) * 2)

    wrong = edited(records, at, double)
    if not early:  # the quote comes right behind the depth update
        quote = replace(wrong[at], t=wrong[depth].t)
        wrong = [*wrong[:at], *wrong[at + 1 : depth + 1], quote, *wrong[depth + 1 :]]
    result, _, _ = run(write_session(tmp_path, wrong))
    assert (result.summary["bbo_wrong"], result.summary["bbo_checked"]) == (1, len(model.shared()))
    ((name, wrong_id, book, venue),) = result.wrong_quotes
    assert (name, wrong_id) == (f"binance:{symbol[:-4]}-USDT", update_id)
    assert Decimal(venue[1]) == 2 * Decimal(book[1]) and venue[2:] == book[2:]
    assert not result.ok
    # As it is live: the book goes STALE, and what was wrong is not shown where the quote came first.
    audited, events, _ = run(write_session(tmp_path, wrong), audit=True)
    assert (audited.summary["bbo_wrong"], audited.summary["resyncs"], audited.ok) == (1, 1, False)
    assert [e["symbol"] for e in events if e.get("reason") == "audit_mismatch"] == [name]
    shown = [e for e in events if e["type"] == "book_delta" and e["symbol"] == name]
    assert any(event["update_id"] == update_id for event in shown) is not early


def test_a_new_connection_makes_its_books_stale(tmp_path: Path) -> None:
    records = compose(12)
    at = frame_at(records, "btcusdt@depth", 40)
    again = replace(records[at], url="wss://127.0.0.1/stream?streams=composed")
    result, events, _ = run(write_session(tmp_path, [*records[:at], again, *records[at + 1 :]]))
    lines = [(e["state"], e["recv_ts_ns"]) for e in events if e["type"] == "connection_status"]
    assert [state for state, _ in lines] == ["up", "down", "up"]
    assert lines[1][1] == int(records[at].t * 10**9)
    assert result.summary["resyncs"] == 2
    assert {e["symbol"] for e in events if e.get("reason") == "disconnected"} == {
        "binance:BTC-USDT", "binance:DOT-USDT"
    }  # fmt: skip


def test_parts_of_a_connection_are_one_line_and_files_are_merged_by_time(tmp_path: Path) -> None:
    records = compose(13)
    _, _, whole = run(write_session(tmp_path, records))
    frames = [record for record in records if record.kind == "ws-in"]
    rest = [record for record in records if record.kind == "http"]
    parts = tmp_path / "parts"
    parts.mkdir()
    half = len(frames) // 2
    for name, some in (("s.http", rest), ("s.ws1.part1", frames[:half]), ("s.ws1.part2", frames[half:])):
        (parts / f"{name}.jsonl").write_text("".join(map(line_of, some)))
    _, _, merged = run(sorted(parts.iterdir(), reverse=True))
    assert merged == whole
    # Everything in one file is the same session too.
    (tmp_path / "one.jsonl").write_text("".join(map(line_of, records)))
    _, _, one = run([tmp_path / "one.jsonl"])
    assert one == whole


def test_connections_are_lines_of_their_own(tmp_path: Path) -> None:
    records = compose(14)
    of: dict[str, list[Record]] = {"btc": [], "dot": [], "rest": []}
    for record in records:
        name = "rest" if record.kind == "http" else "btc" if "btcusdt@" in record.data else "dot"
        of[name].append(replace(record, url=None) if name != "rest" else record)
    for name, some in of.items():
        (tmp_path / f"{name}.jsonl").write_text("".join(map(line_of, some)))
    result, events, fused = run(sorted(tmp_path.iterdir()))
    assert result.ok
    assert {e["line"] for e in events if e["type"] == "connection_status"} == {0, 1}
    _, _, pipelined = run(sorted(tmp_path.iterdir()), topology="pipelined")
    assert pipelined == fused


@pytest.mark.parametrize("symbol", ["DOTUSDT", "binance:DOT-USDT"])
def test_symbols_can_be_chosen(session: tuple[list[Record], list[Path]], symbol: str) -> None:
    result, events, _ = run(session[1], symbols=[symbol])
    assert {event["symbol"] for event in events} == {"binance:DOT-USDT", None}
    assert list(json.loads(result.books)) == ["binance:DOT-USDT"]


def test_faults_of_the_input_are_told(session: tuple[list[Record], list[Path]], tmp_path: Path) -> None:
    paths = session[1]
    with pytest.raises(MdpError, match=r"nothing of LTCUSDT: it has BTCUSDT, DOTUSDT"):
        run(paths, symbols=["LTCUSDT"])
    with pytest.raises(MdpError, match="no recording"):
        run([tmp_path / "absent.jsonl"])
    with pytest.raises(MdpError, match="named twice"):
        run([*paths, paths[0]])
    with pytest.raises(ConfigError, match="unknown venue"):
        run(paths, venue="nowhere")
    with pytest.raises(MdpError, match="topology"):
        run(paths, topology="sideways")
    broken = tmp_path / "broken.jsonl"
    broken.write_text(line_of(session[0][1]) + "{}\n")
    with pytest.raises(MdpError, match=r"broken\.jsonl:2: not a record"):
        run([broken])
    whole = gzip.compress(line_of(session[0][1]).encode())
    (tmp_path / "cut.jsonl.gz").write_bytes(whole[:-9])
    with pytest.raises(MdpError, match=r"cannot read .*cut\.jsonl\.gz"):
        run([tmp_path / "cut.jsonl.gz"])
    trades = tmp_path / "trades.jsonl"
    trades.write_text("".join(line_of(r) for r in session[0] if r.kind == "ws-in"))
    with pytest.raises(MdpError, match="name them with --symbol"):
        run([trades])


def test_zst_files_are_read(session: tuple[list[Record], list[Path]], tmp_path: Path) -> None:
    zstandard = pytest.importorskip("zstandard", reason="the package zstandard is not installed")
    paths = []
    for path in session[1]:
        paths.append(tmp_path / path.name.replace(".gz", ".zst"))
        paths[-1].write_bytes(zstandard.ZstdCompressor().compress(gzip.decompress(path.read_bytes())))
    assert run(paths)[2] == run(session[1])[2]
    paths[0].write_bytes(paths[0].read_bytes()[:-5])
    with pytest.raises(MdpError):
        run(paths)


def test_zst_without_its_package_is_refused_with_the_way_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "zstandard", None)
    (tmp_path / "s.jsonl.zst").write_bytes(b"")
    with pytest.raises(MdpError, match="pip install zstandard"):
        run([tmp_path / "s.jsonl.zst"])


@pytest.mark.parametrize(
    ("written", "ns"),
    [
        ("1617566591.326123", 1617566591326123000),
        ("1617566591.3", 1617566591300000000),
        (1617566591, 1617566591000000000),
        ("1617566591.0000000019", 1617566591000000001),
        ("1.617566591326123e9", 1617566591326123000),
    ],
)
def test_times_are_exact(written: str | int, ns: int) -> None:
    assert to_ns(written) == ns


def test_names_of_connections() -> None:
    for suffix in (".jsonl", ".jsonl.gz", ".part1.jsonl.zst", ".part12.jsonl.gz", ".jsonl.zst"):
        assert connection_name(Path("x/2024-08-08-btcusdt.ws1" + suffix)) == "x/2024-08-08-btcusdt.ws1"


def test_records_of_one_time_keep_the_order_of_the_files(tmp_path: Path) -> None:
    rng = random.Random(1)
    written: list[tuple[int, str]] = []
    for name in "ab":
        times = sorted(rng.randint(0, 5) for _ in range(20))
        rows = [Record(Decimal(t), "ws-in", None, f"{name}{i}") for i, t in enumerate(times)]
        (tmp_path / f"{name}.jsonl").write_text("".join(map(line_of, rows)))
        written += [(t, row.data) for t, row in zip(times, rows, strict=True)]
    read = [
        (record.recv_ts_ns // 10**9, record.data.decode())
        for record in Recording(list(tmp_path.iterdir())).records()
    ]
    assert read == sorted(written, key=lambda item: item[0])


@pytest.fixture
def command(tmp_path: Path) -> Callable[..., Any]:
    app = typer.Typer()
    app.command()(replay)
    return lambda *arguments: CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_the_command_writes_files_and_prints_the_summary(
    command: Callable[..., Any], session: tuple[list[Record], list[Path]], tmp_path: Path
) -> None:
    out, books = tmp_path / "events.jsonl", tmp_path / "books.json"
    done = command(*session[1], "--venue", "binance", "--events", out, "--books", books)
    assert done.exit_code == 0, done.output
    result, _, text = run(session[1])
    assert json.loads(done.stdout) == result.summary
    assert (out.read_bytes(), books.read_bytes()) == (text, result.books)
    assert "frames in" in done.stderr


def test_the_command_says_what_is_wrong(command: Callable[..., Any], tmp_path: Path) -> None:
    records = compose(15)
    at = frame_at(records, "btcusdt@depth", 20)
    done = command(*write_session(tmp_path, [*records[:at], *records[at + 1 :]]), "--venue", "binance")
    assert done.exit_code == 1
    assert json.loads(done.stdout)["gaps"] == 1
    assert "not LIVE at the end: binance:BTC-USDT (SYNCING)" in done.stderr


@pytest.mark.parametrize(
    ("venue", "symbol", "name"),
    [
        ("binance", "BTCUSDT", "binance:BTC-USDT"),
        ("binance", "GTOBTC", "binance:GTO-BTC"),
        ("binance-usdm", "BTCUSDT", "binance-usdm:BTC-USDT-PERP"),
        ("binance-usdm", "BTCUSDT_210625", "binance-usdm:BTC-USDT-210625"),
        ("binance-coinm", "BTCUSD_PERP", "binance-coinm:BTC-USD-PERP"),
    ],
)
def test_a_symbol_without_a_list_is_named_as_its_text_tells(venue: str, symbol: str, name: str) -> None:
    survey = ReplaySurvey(venue)
    survey.add_unlisted(symbol)
    survey.snapshot(symbol, b'{"lastUpdateId":1,"bids":[["1.25","3"]],"asks":[["1.5","0.0625"]]}')
    (found,) = [found.instrument for found in survey.found()]
    assert (found.venue_symbol, found.canonical_symbol) == (symbol, name)
    assert (found.price_exponent, found.quantity_exponent) == (-2, -4)
