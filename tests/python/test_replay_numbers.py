"""Numbers and ids that few books have, through `mdp replay`: held exactly, or told for their symbol alone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from integration.sessions import REST_PATHS, HandMade, write_session
from mdp.replaying.replay import ReplayResult, replay_session

TOPOLOGIES = pytest.mark.parametrize("topology", ["fused", "pipelined"])


def replayed(session: HandMade, folder: Path, topology: str) -> tuple[ReplayResult, dict[str, Any]]:
    """Replay a session; return the result and the books by venue symbol."""
    result = replay_session(write_session(folder, session.records), session.venue, topology=topology)
    books = {
        name.split(":")[1].removesuffix("-PERP").replace("-", ""): book
        for name, book in json.loads(result.books).items()
    }
    return result, books


@TOPOLOGIES
@pytest.mark.parametrize("venue", REST_PATHS)
def test_a_level_of_twice_the_largest_quantity_is_held(tmp_path: Path, venue: str, topology: str) -> None:
    session = HandMade(venue)
    session.listed("SHIBUSDT", max_qty="46116860414.00", step="1.00")
    session.delta("SHIBUSDT", (1001, 1002, 1000), [("0.00000900", "1.00")])
    session.snapshot("SHIBUSDT", 1001, [("0.00000900", "1.00")], [("0.00000901", "5.00")])
    session.delta("SHIBUSDT", (1003, 1003, 1002), [("0.00000500", "92233720828.00")])
    session.delta(
        "SHIBUSDT", (1004, 1004, 1003), [("0.00000899", "7.00"), ("0.00000400", "46116860414000.00")]
    )
    result, books = replayed(session, tmp_path, topology)
    assert result.ok, result.problems
    assert books["SHIBUSDT"] == {
        "state": "LIVE",
        "update_id": 1004,
        "bids": [
            ["0.000009", "1"],
            ["0.00000899", "7"],
            ["0.000005", "92233720828"],
            ["0.000004", "46116860414000"],
        ],
        "asks": [["0.00000901", "5"]],
    }


@TOPOLOGIES
def test_a_level_that_does_not_fit_costs_its_symbol_alone(tmp_path: Path, topology: str) -> None:
    session = HandMade("binance")
    session.listed("SHIBUSDT", "PEPEUSDT", max_qty="46116860414.00", step="1.00")
    for symbol in ("SHIBUSDT", "PEPEUSDT"):
        session.delta(symbol, (1001, 1002, 1000), [("0.00000900", "1.00")])
        session.snapshot(symbol, 1001, [("0.00000900", "1.00")], [("0.00000901", "5.00")])
    session.delta("SHIBUSDT", (1003, 1003, 0), [("0.00000500", "92233720368548.00")])
    session.delta("PEPEUSDT", (1003, 1003, 0), [("0.00000500", "92233720368547.00")])
    session.delta("SHIBUSDT", (1004, 1004, 0), [("0.00000501", "1.00")])
    session.delta("PEPEUSDT", (1004, 1004, 0), [("0.00000501", "1.00")])
    result, books = replayed(session, tmp_path, topology)
    assert (result.summary["parse_errors"], result.summary["resyncs"]) == (1, 1)
    (problem,) = result.problems
    assert problem.startswith(
        "unreadable frame on line 0 (number-overflow): binance:SHIB-USDT: 92233720368548.00 is beyond "
        '92233720368547.75807, the largest number of the exponent -5: {"stream":"shibusdt@depth@100ms"'
    )
    assert books["SHIBUSDT"]["state"] != "LIVE"
    assert (books["PEPEUSDT"]["state"], books["PEPEUSDT"]["update_id"]) == ("LIVE", 1004)
    assert ["0.000005", "92233720368547"] in books["PEPEUSDT"]["bids"]


@TOPOLOGIES
def test_a_snapshot_that_cannot_be_held_names_the_number(tmp_path: Path, topology: str) -> None:
    session = HandMade("binance")
    session.listed("SHIBUSDT", max_qty="46116860414.00", step="1.00")
    session.delta("SHIBUSDT", (1001, 1002, 0), [("0.00000900", "1.00")])
    session.snapshot("SHIBUSDT", 1001, [("0.00000900", "1.000001")], [("0.00000901", "5.00")])
    result, books = replayed(session, tmp_path, topology)
    assert result.problems == [
        "unreadable snapshot of binance:SHIB-USDT (inexact-number): 1.000001 has digits below 0.00001, "
        "the smallest step of the exponent -5"
    ]
    assert books["SHIBUSDT"]["state"] != "LIVE"


@TOPOLOGIES
def test_a_zero_with_a_power_of_ten_removes_its_level(tmp_path: Path, topology: str) -> None:
    session = HandMade("binance")
    session.delta("ABCUSDT", (1001, 1002, 0), [("100.0", "1")])
    session.snapshot("ABCUSDT", 1001, [("100.0", "1"), ("99.0", "1")], [("101.0", "1"), ("102.0", "1")])
    session.delta("ABCUSDT", (1003, 1003, 0), [("99.5", "1")])
    session.delta("ABCUSDT", (1004, 1004, 0), [("99.5", "0E-8"), ("9.8E+1", "25E-1")])
    result, books = replayed(session, tmp_path, topology)
    assert result.ok, result.problems
    assert books["ABCUSDT"]["bids"] == [["100", "1"], ["99", "1"], ["98", "2.5"]]


@TOPOLOGIES
@pytest.mark.parametrize("venue", ["binance-usdm", "binance-coinm"])
def test_the_first_event_of_a_book_joins_a_snapshot_and_is_followed(
    tmp_path: Path, venue: str, topology: str
) -> None:
    session = HandMade(venue)
    session.delta("RUNEUSD_PERP", (849, 849, -1), [], [("8.4400", "2")])
    session.snapshot("RUNEUSD_PERP", 849, [], [("8.4400", "2")])
    session.delta("RUNEUSD_PERP", (900, 910, 849), [("8.40", "3")])
    session.delta("RUNEUSD_PERP", (920, 930, 910), [("8.41", "3")])
    result, books = replayed(session, tmp_path, topology)
    assert result.ok, result.problems
    (book,) = books.values()
    assert book["update_id"] == 930
    assert (book["bids"], book["asks"]) == ([["8.41", "3"], ["8.4", "3"]], [["8.44", "2"]])


@TOPOLOGIES
@pytest.mark.parametrize(("snapshot_id", "live"), [(847, False), (848, True), (849, True), (851, True)])
def test_a_first_event_joins_no_snapshot_that_may_miss_something(
    tmp_path: Path, snapshot_id: int, live: bool, topology: str
) -> None:
    session = HandMade("binance-coinm")
    session.delta("RUNEUSD_PERP", (849, 850, -1), [], [("8.4400", "2")])
    session.snapshot("RUNEUSD_PERP", snapshot_id, [], [("8.45", "1")])
    session.delta("RUNEUSD_PERP", (900, 910, 850 if snapshot_id < 851 else 851), [("8.40", "3")])
    result, books = replayed(session, tmp_path, topology)
    assert not result.problems
    (book,) = books.values()
    assert (book["state"] == "LIVE") is live
    if live:
        assert book["asks"] == ([["8.44", "2"]] if snapshot_id < 851 else []) + [["8.45", "1"]]


@TOPOLOGIES
def test_a_first_event_is_a_gap_for_a_book_that_is_live_below_it(tmp_path: Path, topology: str) -> None:
    session = HandMade("binance-coinm")
    session.delta("RUNEUSD_PERP", (101, 105, 100), [], [("8.4400", "2")])
    session.snapshot("RUNEUSD_PERP", 103, [("8.1", "1")], [("8.45", "1")])
    session.delta("RUNEUSD_PERP", (110, 112, 105), [("8.40", "3")])
    session.delta("RUNEUSD_PERP", (849, 850, -1), [], [("9.4400", "2")])
    result, books = replayed(session, tmp_path, topology)
    (book,) = books.values()
    assert (result.summary["parse_errors"], result.summary["gaps"], book["state"]) == (0, 1, "SYNCING")
    # A copy of what is applied changes nothing.
    session = HandMade("binance-coinm")
    session.delta("RUNEUSD_PERP", (849, 850, -1), [], [("8.4400", "2")])
    session.snapshot("RUNEUSD_PERP", 850, [("8.1", "1")], [("8.45", "1")])
    session.delta("RUNEUSD_PERP", (900, 910, 850), [("8.40", "3")])
    session.delta("RUNEUSD_PERP", (849, 850, -1), [], [("8.4400", "2")])
    again = tmp_path / "again"
    again.mkdir()
    result, books = replayed(session, again, topology)
    assert result.ok, result.problems
