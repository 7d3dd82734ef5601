"""Log lines: one a call, fields that can be read back, levels, files."""

from __future__ import annotations

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


def test_without_a_start_nothing_is_written(capfd: pytest.CaptureFixture[str]) -> None:
    log.error("into.the.void")
    assert capfd.readouterr() == ("", "")
