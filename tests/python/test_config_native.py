"""Every key of the configuration that concerns C++ reaches it, by its own name and with its own default."""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum
from typing import Any, Literal, get_args, get_origin

import pytest
from mdp import _core
from mdp.configuring.config import Config, EngineSection, SegmentSection, VenueSection, parse_config
from mdp.configuring.native import NOT_NATIVE, WrittenAs, fill
from pydantic import BaseModel, SecretStr

SECTIONS = [
    (SegmentSection(), _core.SegmentConfig),
    (EngineSection(), _core.EngineConfig),
    (VenueSection(name="binance", symbols=["BTCUSDT"]), _core.VenueConfig),
]
CONTROLS_OWN = {"symbols", "quiet_sync_ms", "retry_missing_ms"}


def another(value: Any, annotation: Any) -> Any:
    """Return a value of the same kind that is not the default."""
    if get_origin(annotation) is Literal:
        return next(word for word in get_args(annotation) if word != value)
    if isinstance(value, bool):
        return not value
    if isinstance(value, (int, float)):
        return value + 3
    if isinstance(value, SecretStr):
        return SecretStr("http://127.0.0.1:3128")
    if isinstance(value, str):
        return "0600" if value.isdigit() else value + "x"
    if isinstance(value, list):
        return ["mark_price", "depth"] if value else [7, 5]
    assert value is None
    return 250


def changed(section: BaseModel) -> BaseModel:
    """Return the section with every value another, those of sections within it too."""
    values = {}
    for name, key in type(section).model_fields.items():
        value = getattr(section, name)
        values[name] = changed(value) if isinstance(value, BaseModel) else another(value, key.annotation)
    return section.model_copy(update=values)


def leaves(section: BaseModel, native: object, path: str = "") -> Iterator[tuple[str, Any, Any]]:
    """Yield path, value as C++ writes it, and the attribute, of each key that concerns C++."""
    for name, key in type(section).model_fields.items():
        if NOT_NATIVE in key.metadata:
            continue
        value, attribute = getattr(section, name), getattr(native, name)
        if isinstance(value, BaseModel):
            yield from leaves(value, attribute, f"{path}{name}.")
            continue
        for written in key.metadata:
            if isinstance(written, WrittenAs):
                value = written.to_native(value)
        yield path + name, value, attribute


def attributes(native: object, path: str = "") -> set[str]:
    """Return the settings there are in C++, those of structs within it too; `segment` is a section apart."""
    found = set()
    for name in dir(native):
        if name.startswith("_") or name == "segment":
            continue
        value = getattr(native, name)
        is_plain = isinstance(value, (int, float, str, list, Enum)) or value is None
        found |= {path + name} if is_plain else attributes(value, f"{path}{name}.")
    return found


@pytest.mark.parametrize(("section", "struct"), SECTIONS)
def test_every_key_reaches_cpp_with_another_value(section: BaseModel, struct: Any) -> None:
    other = changed(section)
    before = {path: attribute for path, _, attribute in leaves(other, struct())}
    reached = list(leaves(other, fill(struct(), other)))
    assert len(reached) >= 8
    for path, value, attribute in reached:
        assert attribute == value, path
        assert attribute != before[path], path


@pytest.mark.parametrize(("section", "struct"), SECTIONS)
def test_every_setting_of_cpp_is_a_key(section: BaseModel, struct: Any) -> None:
    assert attributes(struct()) == {path for path, _, _ in leaves(section, struct())}


@pytest.mark.parametrize(("section", "struct"), SECTIONS)
def test_every_default_is_that_of_cpp(section: BaseModel, struct: Any) -> None:
    given = {"name"} if isinstance(section, VenueSection) else set()
    for path, value, attribute in leaves(section, struct()):
        assert value == attribute or path in given, path


def test_what_cpp_does_not_read_is_known() -> None:
    found = {
        name
        for section, _ in SECTIONS
        for name, key in type(section).model_fields.items()
        if NOT_NATIVE in key.metadata
    }
    assert found == CONTROLS_OWN
    assert set(Config.model_fields) - {"segment", "engine", "venues"} == {"log", "metrics", "strict"}


def test_a_key_that_cpp_lacks_is_no_silent_loss() -> None:
    class Added(SegmentSection):
        colour: str = "red"

    with pytest.raises(AttributeError, match="colour"):
        fill(_core.SegmentConfig(), Added())


def test_units_and_words_of_the_yaml_are_those_of_cpp() -> None:
    config = parse_config(
        "segment: {mode: '0600', ring: 128KiB}\n"
        "engine: {topology: fused, idle: yield, frame_size: 32KiB, cores: {parsers: [2, 3]}}\n"
        "venues:\n"
        "  - {name: binance, symbols: [BTCUSDT], channels: [quote], max_connection_age_s: 90,\n"
        "     proxy: 'http://user:secret@127.0.0.1:1', backoff: {max_ms: 9}, depth_interval_ms: 100}\n"
    )
    engine, venue = config.native(), config.venues[0].native()
    assert (engine.segment.mode, engine.segment.ring) == (0o600, 1 << 17)
    assert (engine.topology, engine.idle) == (_core.Topology.FUSED, _core.IdleMode.YIELD)
    assert (engine.frame_size, engine.cores.parsers) == (1 << 15, [2, 3])
    assert (venue.channels, venue.max_connection_age_s) == ([_core.Channel.QUOTE], 90)
    assert (venue.proxy, venue.backoff.max_ms) == ("http://user:secret@127.0.0.1:1", 9)
    assert venue.depth_interval_ms == 100
