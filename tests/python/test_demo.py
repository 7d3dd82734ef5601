"""The demonstration's check can fail: a book that differs from the truth in one level is a mismatch."""

from __future__ import annotations

import threading
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import typer
from mdp._core import BookState, StateReason
from mdp.commands import demo
from mdp.configuring.config import parse_config
from mdp.errors import MdpError
from mdp.reading.reader import Book

CONFIG = parse_config("venues:\n  - name: binance\n    symbols: [BTCUSDT]\n")
INSTRUMENT: Any = SimpleNamespace(
    symbol_id=0,
    venue_symbol="BTCUSDT",
    canonical_symbol="binance:BTC-USDT",
    price_exponent=-2,
    quantity_exponent=-3,
)


def book(bids: list[tuple[int, int]], asks: list[tuple[int, int]], state: BookState = BookState.LIVE) -> Book:
    rows = [np.array(side, dtype=np.int64).reshape(-1, 2) for side in (bids, asks)]
    return Book(INSTRUMENT, state, StateReason.SYNCED, 77, 0, 0, 0, *rows, capacity=20)


PUBLISHED = book([(10_050, 1_500), (10_000, 2_000)], [(10_060, 10)])
TRUTH = {
    "bids": [["100.50000000", "1.50000000"], ["100.00000000", "2.00000000"]],
    "asks": [["100.60000000", "0.01000000"]],
}


class FakeSim:
    """Tells a truth that a test chooses."""

    def __init__(self, truth: Any) -> None:
        self._truth = truth
        self.asked: list[tuple[str, int, int]] = []

    def truth(self, symbol: str, update_id: int, depth: int) -> Any:
        self.asked.append((symbol, update_id, depth))
        if isinstance(self._truth, Exception):
            raise self._truth
        return self._truth


class FakeSubscriber:
    def __init__(self, *books: Book) -> None:
        self.books = list(books)
        self.instruments = [INSTRUMENT]

    def book(self, symbol_id: int) -> Book:
        return self.books.pop(0) if len(self.books) > 1 else self.books[0]


def run_of(truth: Any) -> tuple[Any, FakeSim]:
    sim: Any = FakeSim(truth)
    return demo._Demo(CONFIG, sim, threading.Event()), sim


def test_true_book_matches() -> None:
    run, sim = run_of(TRUTH)
    assert run._matches(PUBLISHED)
    assert sim.asked == [("BTCUSDT", 77, 20)], "at its own update id, as deep as it can be"


@pytest.mark.parametrize(
    ("side", "levels"),
    [
        (
            "bids",
            [["100.50000000", "1.50100000"], ["100.00000000", "2.00000000"]],
        ),  # a quantity, as wrong_level lies
        ("bids", [["100.51000000", "1.50000000"], ["100.00000000", "2.00000000"]]),  # a price
        ("bids", [["100.50000000", "1.50000000"]]),  # a level that should not be there
        ("bids", [["100.00000000", "2.00000000"], ["100.50000000", "1.50000000"]]),  # the order
        ("asks", [["100.60000000", "0.01000000"], ["100.70000000", "1.00000000"]]),  # a level that is missing
        ("asks", []),
    ],
)
def test_any_difference_is_a_mismatch(
    side: str, levels: list[list[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    run, _ = run_of({**TRUTH, side: levels})
    assert not run._matches(PUBLISHED)
    assert f"mismatch: binance:BTC-USDT {side} at update 77" in capsys.readouterr().err


def test_every_check_counts_and_a_stale_book_is_not_one() -> None:
    run, sim = run_of({**TRUTH, "asks": []})
    run._check_one(FakeSubscriber(PUBLISHED))
    assert run._mismatches == 1
    run._next_check = 0.0
    run._check_one(FakeSubscriber(book([], [], BookState.STALE)))
    assert (run._mismatches, len(sim.asked)) == (1, 1)


def test_end_checks_every_book_and_waits_for_one_that_is_syncing(monkeypatch: pytest.MonkeyPatch) -> None:
    run, sim = run_of(TRUTH)
    figures: Any = SimpleNamespace(events=9, gaps=0, resyncs=1, p50_ns=1, p99_ns=2)
    monkeypatch.setattr(run._provider, "health", lambda: SimpleNamespace(symbols=1, engine=figures))
    syncing = book([], [], BookState.SYNCING)
    result = run._finish(FakeSubscriber(syncing, syncing, PUBLISHED))
    assert (result["symbols"], result["live"], result["mismatches"], len(sim.asked)) == (1, 1, 0, 1)
    monkeypatch.setattr(demo, "_SETTLE_S", 0.0)
    result = run._finish(FakeSubscriber(syncing))
    assert (result["live"], result["mismatches"]) == (0, 0)


@pytest.mark.parametrize("failure", [LookupError("too old"), ConnectionRefusedError(111, "refused")])
def test_truth_that_cannot_be_had_is_an_error(failure: Exception) -> None:
    run, _ = run_of(failure)
    with pytest.raises(MdpError, match=r"the embedded exchange cannot tell the truth: .*(too old|refused)"):
        run._matches(PUBLISHED)


class FakeSimContext:
    ws_url = rest_url = ca_file = ""

    def __enter__(self) -> FakeSimContext:
        return self

    def __exit__(self, *_: object) -> None:
        pass


@pytest.mark.parametrize(
    ("figures", "code"),
    [
        ({"symbols": 5, "live": 5, "mismatches": 0}, 0),
        ({"symbols": 5, "live": 5, "mismatches": 1}, 1),
        ({"symbols": 5, "live": 4, "mismatches": 0}, 1),
    ],
)
@pytest.mark.parametrize("as_json", [False, True])
def test_exit_code_tells_whether_all_was_right(
    monkeypatch: pytest.MonkeyPatch, figures: dict[str, int], code: int, as_json: bool
) -> None:
    result = {**figures, "events": 1, "gaps": 0, "resyncs": 0, "p50_ns": 1, "p99_ns": 2}
    monkeypatch.setattr(demo, "start_sim_process", lambda **_: FakeSimContext())
    monkeypatch.setattr(demo._Demo, "run", lambda *_, **__: result)
    monkeypatch.setattr("mdp.commands.demo.stop_on_signals", threading.Event)
    with pytest.raises(typer.Exit) as ended:
        demo.demo(duration=0, as_json=as_json)
    assert ended.value.exit_code == code


@pytest.mark.parametrize("text", ["1", "1.0", "1.50", "100", "0.00000000", "1234.56780000"])
def test_plain_keeps_the_value(text: str) -> None:
    plain = demo._plain(text)
    assert Decimal(plain) == Decimal(text)
    assert "." not in plain or plain[-1] not in "0."
