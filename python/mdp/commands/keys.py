"""``mdp keys``: every key of a configuration."""

from __future__ import annotations

from enum import Enum
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from mdp.configuring.keys import TOP_LEVEL, as_json_schema, as_markdown, sections


class KeysFormat(str, Enum):
    """How `keys` prints."""

    TABLE = "table"
    MARKDOWN = "markdown"
    JSON_SCHEMA = "json-schema"


def keys(
    format: Annotated[KeysFormat, typer.Option(help="json-schema is for editors.")] = KeysFormat.TABLE,
) -> None:
    """Print every key of a configuration: what it takes, its default, what it means."""
    if format == KeysFormat.TABLE:
        print_table(Console())
    else:
        text = as_markdown() if format == KeysFormat.MARKDOWN else as_json_schema()
        print(text, end="")


def print_table(console: Console) -> None:
    """Print all keys for people."""
    for section in sections():
        console.print(Text.assemble((section.path or TOP_LEVEL, "bold"), f"  {section.meaning}"))
        table = Table(box=None, padding=(0, 2, 0, 2), show_header=False)
        for key in section.keys:
            state = f"default {key.default}" if key.default else "must be given"
            table.add_row(key.name, Text(f"{key.takes}; {state}"), Text(key.meaning.replace("`", "")))
        console.print(table)
        console.print()
