"""The config loader over any text: a `Config`, or a `ConfigError` that says what is wrong; nothing else.

The longer search is tests/fuzz/fuzz_config.py, with coverage as its guide (`make fuzz`).
"""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mdp.configuring.config import Config, parse_config
from mdp.errors import ConfigError

SHIPPED = [
    path.read_text() for path in sorted((Path(__file__).resolve().parents[2] / "config").glob("*.yaml"))
]

scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
trees = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


def load(text: str) -> None:
    try:
        loaded = parse_config(text)
    except ConfigError:
        return
    assert isinstance(loaded, Config)


@given(st.text(max_size=200))
def test_any_text(text: str) -> None:
    load(text)


@given(st.sampled_from(SHIPPED), st.data())
def test_shipped_configurations_with_pieces_cut_and_put_in(text: str, data: st.DataObject) -> None:
    begin = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(begin, min(len(text), begin + 40)))
    load(text[:begin] + data.draw(st.text(max_size=12)) + text[end:])


@given(st.sampled_from(["segment", "engine", "venues", "metrics", "log"]), trees)
def test_any_value_of_any_section(section: str, value: object) -> None:
    load(f"venues: [{{name: binance, symbols: [BTCUSDT]}}]\n{section}: {value!r}\n")


@pytest.mark.parametrize(
    "text",
    [
        "!!python/object/apply:os.system ['false']",
        "venues: !!python/name:os.system",
        "a: &a [*a]",
        "&a [" * 50 + "]" * 50,
        "{" * 2000,
        "? [[[[",
        "\x00",
        "venues: [{name: binance, symbols: [BTCUSDT]}]\nvenues: []",
    ],
)
def test_hostile_yaml_is_an_error(text: str) -> None:
    with pytest.raises(ConfigError):
        parse_config(text)
