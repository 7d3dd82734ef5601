"""The log of a provider process: lines of ``event key=value ...``, written asynchronously by the core."""

from __future__ import annotations

from mdp._core import LogLevel
from mdp._core import log as _log

_BARE = set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-+:/@%")


def fields(**values: object) -> str:
    """Return ``key=value`` pairs on one line; a value with blanks or quotes is quoted."""
    parts = []
    for key, value in values.items():
        text = str(value)
        if not text or not set(text) <= _BARE:
            # Venues' texts are in here: none may end the line or steer a terminal.
            text = "".join(char if char.isprintable() else " " for char in text)
            text = '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
        parts.append(f"{key}={text}")
    return " ".join(parts)


def debug(event: str, **values: object) -> None:
    """Log what only a developer wants to see."""
    _log(LogLevel.DEBUG, f"{event} {fields(**values)}")


def info(event: str, **values: object) -> None:
    """Log what an operator wants to see when all is well."""
    _log(LogLevel.INFO, f"{event} {fields(**values)}")


def warning(event: str, **values: object) -> None:
    """Log what mdp recovers from by itself."""
    _log(LogLevel.WARNING, f"{event} {fields(**values)}")


def error(event: str, **values: object) -> None:
    """Log what needs somebody's attention."""
    _log(LogLevel.ERROR, f"{event} {fields(**values)}")
