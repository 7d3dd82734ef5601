"""Log lines: one a call, fields that can be read back, levels, files."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mdp import _core, log
from mdp.errors import ConfigError

FIELD = re.compile(r'(\w+)=("(?:[^"\\]|\\.)*"|[^ "]+)(?: |$)')


@pytest.fixture(autouse=True)
def _stop_logging() -> Iterator[None]:
    yield
    _core.stop_logging()


def read_back(text: str) -> dict[str, str]:
    found = {}
    for key, value in FIELD.findall(text):
        quoted = value.startswith('"')
        found[key] = re.sub(r"\\(.)", r"\1", value[1:-1]) if quoted else value
    return found


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("plain", "plain"),
        (7, "7"),
        ("binance:BTC-USDT", "binance:BTC-USDT"),
        ("wss://host:9443/ws", "wss://host:9443/ws"),
        ("two words", '"two words"'),
        ("", '""'),
        ('say "no"', '"say \\"no\\""'),
        ("back\\slash", '"back\\\\slash"'),
        ("a=b", '"a=b"'),
        ("line\nbreak\r\x1b[31m", '"line break  [31m"'),
        (None, "None"),
    ],
)
def test_value_is_quoted_where_it_must_be(value: object, text: str) -> None:
    assert log.fields(key=value) == f"key={text}"


@given(
    st.dictionaries(st.from_regex(r"[a-z]\w{0,8}", fullmatch=True).filter(str.isascii), st.text(), max_size=5)
)
def test_fields_can_be_read_back_from_one_line(values: dict[str, str]) -> None:
    text = log.fields(**values)
    assert len(text.splitlines()) <= 1
    clean = {key: "".join(c if c.isprintable() else " " for c in value) for key, value in values.items()}
    assert read_back(text) == clean


def test_lines_go_to_the_file_with_time_and_level(tmp_path: Path) -> None:
    file = tmp_path / "log.txt"
    _core.start_logging(_core.LogLevel.INFO, str(file))
    log.debug("too.quiet")
    log.info("first", symbol="binance:BTC-USDT", n=1)
    log.warning("second")
    log.error("third", text="two words")
    _core.stop_logging()
    lines = file.read_text().splitlines()
    times = [re.fullmatch(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z) (.*)", line) for line in lines]
    assert [match[2].rstrip() for match in times if match] == [
        "info first symbol=binance:BTC-USDT n=1",
        "warning second",
        'error third text="two words"',
    ]


def test_file_is_appended_to_after_a_new_start(tmp_path: Path) -> None:
    file = tmp_path / "log.txt"
    for turn in range(3):
        _core.start_logging(_core.LogLevel.DEBUG, str(file))
        log.debug("turn", n=turn)
        _core.stop_logging()
    assert [line.split("n=")[1] for line in file.read_text().splitlines()] == ["0", "1", "2"]


def test_file_that_cannot_be_opened(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="log file: "):
        _core.start_logging(_core.LogLevel.INFO, str(tmp_path / "file" / "below"))


@pytest.fixture
def warned(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    lines: list[str] = []
    monkeypatch.setattr(
        log, "warning", lambda event, **values: lines.append(f"{event} {log.fields(**values)}")
    )
    return lines


def taken(lines: list[str]) -> list[str]:
    found = lines[:]
    lines.clear()
    return found


def test_a_warning_that_repeats_is_shown_a_few_times_then_counted(warned: list[str]) -> None:
    repeated = log.RepeatedWarning("frame.unreadable")
    told = 0
    for step in range(8_000):  # a millisecond each: 8 s of nothing else
        now = 100 + step / 1000
        repeated.tell(now, {"line": 0}, frame=step)
        told += 1
        repeated.sum_up(now)
    lines = taken(warned)
    assert lines[:3] == [f"frame.unreadable line=0 frame={step}" for step in range(3)]
    counts = [read_back(line) for line in lines[3:]]
    assert [count["in_s"] for count in counts] == ["1", "2", "4"], "each interval is twice the one before"
    assert all("frame" not in count for count in counts)
    more = sum(int(count["more"]) for count in counts)
    repeated.sum_up(115.1)
    (rest,) = taken(warned)
    assert 3 + more + int(read_back(rest)["more"]) == told, "every one is in a line or in a count"
    repeated.sum_up(10_000)
    assert not warned, "no count of nothing"


def test_intervals_end_at_the_longest(warned: list[str]) -> None:
    repeated = log.RepeatedWarning("x", shown=1, wait_s=1, max_wait_s=4)
    for second in range(40):
        repeated.tell(second, {"line": 0})
        repeated.sum_up(second)
    assert [read_back(line)["in_s"] for line in warned[1:]] == ["1", "2", *["4"] * 9]


def test_each_kind_of_warning_has_its_own_count(warned: list[str]) -> None:
    repeated = log.RepeatedWarning("x", shown=1)
    for symbol in ("A", "B", "A", "C", "A"):
        repeated.tell(0, {"symbol": symbol, "line": 1}, text="t")
    assert taken(warned) == [f"x symbol={symbol} line=1 text=t" for symbol in "ABC"]
    repeated.sum_up(1)
    assert taken(warned) == ["x symbol=A line=1 more=2 in_s=1"]


def test_after_a_long_silence_a_warning_is_shown_again_unless_it_is_for_once(warned: list[str]) -> None:
    for forget_s, again in ((60, ["x a=1 n=2"]), (math.inf, [])):
        repeated = log.RepeatedWarning("x", shown=1, forget_s=forget_s)
        repeated.tell(0, {"a": 1}, n=1)
        repeated.sum_up(59)
        repeated.sum_up(60)
        assert taken(warned) == ["x a=1 n=1"]
        repeated.tell(61, {"a": 1}, n=2)
        assert taken(warned) == again


def test_without_a_start_nothing_is_written(capfd: pytest.CaptureFixture[str]) -> None:
    log.error("into.the.void")
    assert capfd.readouterr() == ("", "")
