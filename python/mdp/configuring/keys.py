"""Every key of a configuration: what it takes, what it is when left out, what it means.

All of it is read from the schema in `mdp.configuring.config`, which is what checks a configuration too.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from pydantic import ByteSize

from mdp.configuring.config import Config

_INTRODUCTION = """\
# Configuration

Every key of the YAML that `mdp run` takes. `venues` must be given, with the `name` and `symbols` of each; all
else has a default. `mdp check FILE` checks a file and contacts nobody. `mdp keys` prints what stands here,
and `mdp keys --format markdown` has made it.

An editor that knows JSON Schema checks and completes while you type: write `mdp keys --format json-schema` to
a file, and name it in the first line of the YAML: `# yaml-language-server: $schema=mdp.schema.json`."""


TOP_LEVEL = "Top level"
"""The title of the section whose path is empty."""


@dataclass(frozen=True)
class Key:
    """One key; `default` is empty where it must be given."""

    name: str
    takes: str
    default: str
    meaning: str


@dataclass(frozen=True)
class Section:
    """A mapping of keys; `path` as errors show it, with ``[]`` for any place in a list; "": the top level."""

    path: str
    meaning: str
    keys: list[Key]


def sections() -> list[Section]:
    """Return all sections, each before those within it."""
    schema = Config.model_json_schema()
    return [section for section in _walk(schema, schema["$defs"], "") if section.keys]


def as_json_schema() -> str:
    """Return the JSON Schema, by which an editor completes and checks the YAML."""
    return json.dumps(Config.model_json_schema(), indent=2) + "\n"


def as_markdown() -> str:
    """Return the text of ``docs/configuration.md``."""
    lines = [_INTRODUCTION]
    for section in sections():
        title = f"`{section.path}`" if section.path else TOP_LEVEL
        lines += ["", f"## {title}", section.meaning, ""]
        lines += ["| Key | Takes | Default | Meaning |", "|---|---|---|---|"]
        for key in section.keys:
            default = f"`{key.default}`" if key.default else ""
            lines.append(f"| `{key.name}` | {key.takes} | {default} | {key.meaning} |")
    return "\n".join(lines) + "\n"


def _walk(node: dict[str, Any], defs: dict[str, Any], path: str) -> Iterator[Section]:
    keys: list[Key] = []
    within: list[tuple[str, dict[str, Any]]] = []
    required = node.get("required", [])
    for name, value in node["properties"].items():
        inner = value.get("$ref") or value.get("items", {}).get("$ref")
        if inner:
            place = f"{path}.{name}".lstrip(".") + ("[]" if "items" in value else "")
            within.append((place, defs[inner.removeprefix("#/$defs/")]))
        else:
            default = "" if name in required else _shown(value)
            keys.append(Key(name, _takes(value), default, _one_line(value.get("description", ""))))
    yield Section(path, _one_line(node.get("description", "")), keys)
    for place, section in within:
        yield from _walk(section, defs, place)


def _takes(value: dict[str, Any]) -> str:
    if "enum" in value:
        *first, last = value["enum"]
        return f"{', '.join(first)} or {last}"
    if "anyOf" in value:
        return "size" if _is_size(value) else _takes(value["anyOf"][0])
    if value["type"] == "array":
        return f"list of: {_takes(value['items'])}"
    if value["type"] == "boolean":
        return "true or false"
    if value["type"] == "string":
        return "text"
    least = value.get("minimum")
    most = value["exclusiveMaximum"] - 1 if "exclusiveMaximum" in value else value.get("maximum")
    return f"{least} to {most}" if most is not None else f"{least} or more"


def _is_size(value: dict[str, Any]) -> bool:
    return any(choice["type"] == "string" for choice in value.get("anyOf", ()))


def _shown(value: dict[str, Any]) -> str:
    default = value["default"]
    if default is None or default == "":
        return "none" if default is None else '""'
    if _is_size(value):
        return ByteSize(default).human_readable().replace(".0", "") if default else "0"
    return default if isinstance(default, str) else json.dumps(default)


def _one_line(text: str) -> str:
    return " ".join(text.replace("``", "`").split())
