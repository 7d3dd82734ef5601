"""``mdp run`` and ``mdp check``: publish what a configuration names, or say what it would do."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated, Optional

import typer

from mdp import _core
from mdp.commands.signals import stop_on_signals
from mdp.configuring.config import Config, load_config
from mdp.errors import MdpError
from mdp.providing.provider import Provider, check_venues

_SIGNAL_INTERVAL_S = 0.05  # between two looks whether to stop


def run(
    config: Annotated[Path, typer.Argument(help="Configuration file (YAML).")],
    duration: Annotated[
        Optional[float],  # noqa: UP045
        typer.Option(min=0, help="Stop after this many seconds, whatever could be reached by then."),
    ] = None,
) -> None:
    """Publish the books of a configuration until SIGINT or SIGTERM.

    What cannot be reached or is not listed is tried again while the rest runs, unless the configuration says
    `strict: true`.
    """
    over_at = float("inf") if duration is None else time.monotonic() + duration
    settings = load_config(config)
    stop = stop_on_signals()
    _core.start_logging(_core.LogLevel[settings.log.level.upper()], settings.log.file)
    provider = Provider(settings)
    try:
        provider.start(cancelled=lambda: stop.is_set() or time.monotonic() >= over_at)
        while not stop.is_set() and time.monotonic() < over_at and not provider.wait(_SIGNAL_INTERVAL_S):
            pass
    except MdpError:
        if not stop.is_set():
            raise
    finally:
        provider.stop()
        _core.stop_logging()


def check(config: Annotated[Path, typer.Argument(help="Configuration file (YAML).")]) -> None:
    """Check a configuration file and say what it would do. Contacts nobody."""
    settings = load_config(config)
    check_venues(settings)
    print(f"{config}: ok")
    print(_summary(settings))


def _summary(settings: Config) -> str:
    lines = [
        f"segment {settings.segment.name}: ring of {settings.segment.ring.human_readable()}, "
        f"{settings.segment.levels} levels a side, room for {settings.segment.instruments} symbols"
    ]
    for venue in settings.venues:
        channels = ", ".join(venue.channels)
        lines.append(f"{venue.name}: {len(venue.symbols)} symbols ({channels}): {', '.join(venue.symbols)}")
    return "\n".join(lines)
