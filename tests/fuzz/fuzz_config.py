"""The config loader over any text: a `Config`, or a `ConfigError` that says what is wrong; nothing else.

Run by scripts/fuzz with libFuzzer's arguments. Needs the package atheris.
"""

from __future__ import annotations

import sys

import atheris

with atheris.instrument_imports(include=["mdp.configuring.config", "yaml"]):
    from mdp.configuring.config import Config, parse_config
    from mdp.errors import ConfigError


def test_one_input(data: bytes) -> None:
    """Load one text."""
    text = atheris.FuzzedDataProvider(data).ConsumeUnicodeNoSurrogates(len(data))
    try:
        loaded = parse_config(text)
    except ConfigError:
        return
    assert isinstance(loaded, Config)


if __name__ == "__main__":
    atheris.Setup(sys.argv, test_one_input)
    atheris.Fuzz()
