"""The reference of the configuration: complete, and what stands in the documents."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path

import pytest
import yaml
from mdp.__main__ import main
from mdp.commands.keys import print_table
from mdp.configuring import keys as config_keys
from mdp.configuring.config import Config, parse_config
from mdp.errors import ConfigError
from rich.console import Console

ROOT = Path(__file__).parents[2]
BY_PATH = {section.path: section for section in config_keys.sections()}
KEYS = {f"{path}.{key.name}".lstrip("."): key for path, section in BY_PATH.items() for key in section.keys}


def test_document_is_what_the_command_prints(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["mdp", "keys", "--format", "markdown"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 0
    document = (ROOT / "docs/configuration.md").read_text()
    assert capsys.readouterr().out == document, "mdp keys --format markdown > docs/configuration.md"


@pytest.mark.parametrize("name", KEYS)
def test_every_key_says_what_it_means(name: str) -> None:
    assert KEYS[name].meaning.endswith(".")


def test_sections_are_explained_and_hold_every_key_there_is() -> None:
    assert list(BY_PATH) == [
        "",
        "segment",
        "engine",
        "engine.cores",
        "log",
        "metrics",
        "venues[]",
        "venues[].socket",
        "venues[].tls",
        "venues[].backoff",
    ]
    assert all(section.meaning for section in BY_PATH.values())
    assert len(KEYS) == 1 + sum(count_leaves(model) for model in models()), (
        "the one of the top level is strict"
    )


def models() -> set[type]:
    """Every section's class, found through the annotations and not through the schema."""
    module = sys.modules[Config.__module__]
    return {value for name, value in vars(module).items() if name.endswith("Section") and name[0] != "_"}


def count_leaves(model: type) -> int:
    return sum(field.annotation not in models() for field in model.model_fields.values())  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("name", "takes", "default"),
    [
        ("strict", "true or false", "false"),
        ("segment.ring", "size", "64MiB"),
        ("segment.mode", "text", "0640"),
        ("engine.topology", "auto, pipelined or fused", "auto"),
        ("engine.cores.parsers", "list of: -1 to 4095", "[]"),
        ("metrics.port", "0 to 65535", "none"),
        ("venues[].name", "text", ""),
        ("venues[].lines", "1 to 4", "1"),
        ("venues[].idle_timeout_ms", "1 or more", "60000"),
        ("venues[].socket.receive_buffer", "size", "0"),
        ("venues[].tls.insecure_skip_verify", "true or false", "false"),
        ("venues[].backoff.jitter", "0.0 to 1.0", "1.0"),
    ],
)
def test_what_a_key_takes(name: str, takes: str, default: str) -> None:
    assert (KEYS[name].takes, KEYS[name].default) == (takes, default)


@pytest.mark.parametrize("name", [name for name, key in KEYS.items() if " to " in key.takes])
def test_bounds_are_those_that_are_checked(name: str) -> None:
    least, most = KEYS[name].takes.removeprefix("list of: ").split(" to ")
    number = float if "." in least else int
    refused = [number(least) - 1, number(most) + 1]
    for value in (number(least), number(most)):
        assert not refusal(name, value)
    for value in refused:
        assert f"{name.replace('[]', '[0]')}" in refusal(name, value)


def refusal(name: str, value: float) -> str:
    """What a configuration with that value at that key is told; empty where it is accepted."""
    venue: dict[str, object] = {"name": "binance", "symbols": ["BTCUSDT"]}
    # With few levels published, depths of a few suffice.
    config: dict[str, object] = {"venues": [venue], "segment": {"levels": 1}}
    *sections, key = name.split(".")
    place = config
    for section in sections:
        place = venue if section == "venues[]" else place.setdefault(section, {})  # type: ignore[assignment]
    place[key] = [value] if KEYS[name].takes.startswith("list") else value
    try:
        parse_config(yaml.safe_dump(config))
    except ConfigError as error:
        return str(error)
    return ""


def test_table_fits_and_shows_brackets() -> None:
    out = io.StringIO()
    print_table(Console(file=out, width=90))
    assert "[user:password@]" in out.getvalue()
    assert max(map(len, out.getvalue().splitlines())) <= 90


def test_json_schema_is_one() -> None:
    schema = json.loads(config_keys.as_json_schema())
    assert schema["required"] == ["venues"]
    assert schema["additionalProperties"] is False
    assert "description" in schema["$defs"]["VenueSection"]["properties"]["lines"]
