"""Bytes that are no UTF-8, at every border where C++ hands Python a text: none of them can raise."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
import unicodedata
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mdp import Subscriber, _core, log
from mdp.errors import ConfigError, SegmentError

LATIN_1 = "Soci\u00e9t\u00e9".encode("latin-1")
SHOWN = "Soci\ufffdt\ufffd"
BTCUSDT = b'{"lastUpdateId":1,"bids":[["1.0","1.0"]],"asks":[["2.0","1.0"]]}'
_numbers = itertools.count()


def is_one_line(text: str) -> bool:
    """Whether it has neither control characters nor line ends."""
    return not {unicodedata.category(char) for char in text} & {"Cc", "Cs", "Zl", "Zp"}


def replay_of_one_symbol() -> _core.Replay:
    survey = _core.ReplaySurvey("binance")
    survey.add_unlisted("BTCUSDT")
    survey.snapshot("BTCUSDT", BTCUSDT)
    return _core.Replay("binance", survey.found(), 1)


@given(st.binary(max_size=300))
def test_problems_of_a_replay_are_text_whatever_was_recorded(body: bytes) -> None:
    replay = replay_of_one_symbol()
    replay.line_state(0, _core.LineState.UP, 1)
    replay.frame(0, 1, body)
    replay.snapshot("BTCUSDT", 2, body)
    for problem in replay.take_problems():
        assert is_one_line(problem)
    assert json.loads(replay.books()).keys() == {"binance:BTC-USDT"}


def test_problem_shows_the_words_that_could_not_be_read() -> None:
    replay = replay_of_one_symbol()
    replay.line_state(0, _core.LineState.UP, 1)
    replay.frame(0, 1, b'{"e":"' + LATIN_1)
    replay.snapshot("BTCUSDT", 2, b"<html><p>" + LATIN_1 + b"</p>")
    frame, snapshot = sorted(replay.take_problems())
    assert frame == f'unreadable frame on line 0 (malformed-frame): {{"e":"{SHOWN}'
    assert snapshot == f"unreadable snapshot of binance:BTC-USDT (malformed-frame): {SHOWN}"


@given(st.binary(max_size=300))
def test_error_about_a_recorded_list_is_text_whatever_it_holds(body: bytes) -> None:
    # A JSON object with an array of symbols is not what bytes become by chance.
    with pytest.raises(ConfigError) as refused:
        _core.ReplaySurvey("binance").add_listed(body)
    assert is_one_line(str(refused.value))


def test_error_of_the_core_shows_what_it_found() -> None:
    with pytest.raises(ConfigError, match=f'an array "symbols", found: {SHOWN}$'):
        _core.ReplaySurvey("binance").add_listed(LATIN_1)


@pytest.fixture
def engine() -> Iterator[_core.Engine]:
    config, segment = _core.EngineConfig(), _core.SegmentConfig()
    segment.name = f"mdp-unit-text-{os.getpid()}-{next(_numbers)}"
    segment.ring = 1 << 16
    segment.instruments = 4
    config.segment = segment
    engine = _core.Engine(config)
    yield engine
    engine.stop()


def test_directory_of_a_hostile_segment_is_printable(engine: _core.Engine) -> None:
    venue = _core.VenueConfig()
    venue.name = "binance"
    engine.add_venue(venue)
    survey = _core.ReplaySurvey("binance")
    survey.add_unlisted("BTCUSDT")
    survey.snapshot("BTCUSDT", BTCUSDT)
    (symbol,) = survey.found()
    engine.add_symbol(0, symbol.instrument)
    file = Path("/dev/shm") / engine.segment_name
    at = file.read_bytes().index(b"binance:BTC-USDT\0")
    hostile = b"\x1b[2J" + LATIN_1
    with file.open("r+b") as segment:
        segment.seek(at)
        segment.write(hostile.ljust(64, b"\0"))
    (entry,) = Subscriber(engine.segment_name).instruments
    assert entry.canonical_symbol == f" [2J{SHOWN}"
    assert entry.venue_symbol == "BTCUSDT"


def test_half_a_surrogate_pair_from_python_is_no_type_error(tmp_path: Path) -> None:
    # What sys.argv holds where an argument was no UTF-8.
    with pytest.raises(SegmentError, match=r'"\?\?": bad segment name'):
        Subscriber("\udcff\ud800")
    file = tmp_path / "log.txt"
    _core.start_logging(_core.LogLevel.INFO, str(file))
    _core.log(_core.LogLevel.INFO, "event text=\ud800")
    log.info("event", text="\ud800")
    _core.stop_logging()
    assert [line.split("event ")[1] for line in file.read_text().splitlines()] == ["text=?", 'text=" "']


def test_command_prints_symbols_that_the_terminal_has_no_characters_for(tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    file.write_text('venues: [{name: binance, symbols: ["\u5e01\u5b89USDT", "\\ud800"]}]', encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "mdp", "check", str(file)],
        capture_output=True,
        env={**os.environ, "PYTHONIOENCODING": "ascii"},
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, b"")
    assert b"binance: 2 symbols (depth, trade, quote): \\u5e01\\u5b89USDT, \\ud800" in done.stdout
