"""The log of a provider process: lines of ``event key=value ...``, written asynchronously by the core."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

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


@dataclass
class _Repeats:
    """What came of one kind of warning."""

    since: float  # of the last line about it
    wait_s: float
    shown: int = 0
    more: int = 0  # since then
    last: float = 0.0  # when the last one came


class RepeatedWarning:
    """A warning that may come by the thousand: the first few of a kind in full, then how many more came.

    Counts are told at an interval that doubles. A kind of which nothing came for `forget_s` is forgotten: its
    next one is the first again.

    Parameters
    ----------
    event
        The first word of the lines.
    shown
        Lines of a kind in full.
    wait_s, max_wait_s
        The first and the longest interval between two counts, in seconds.
    forget_s
        Seconds; infinite where a kind is told in full once and never again.
    """

    def __init__(
        self,
        event: str,
        shown: int = 3,
        wait_s: float = 1.0,
        max_wait_s: float = 600.0,
        forget_s: float = 3600.0,
    ) -> None:
        self._event = event
        self._shown = shown
        self._wait_s = wait_s
        self._max_wait_s = max_wait_s
        self._forget_s = forget_s
        self._kinds: dict[tuple[tuple[str, object], ...], _Repeats] = {}

    def tell(self, now: float, kind: Mapping[str, object], **details: object) -> None:
        """Log or count one.

        Parameters
        ----------
        now
            Seconds, monotonic.
        kind
            Fields that are on every line about it, counts too.
        details
            Fields of the lines in full.
        """
        repeats = self._kinds.setdefault(tuple(kind.items()), _Repeats(now, self._wait_s))
        repeats.last = now
        if repeats.shown == self._shown:
            repeats.more += 1
            return
        repeats.shown += 1
        repeats.since = now
        warning(self._event, **kind, **details)

    def sum_up(self, now: float) -> None:
        """Log the counts that are due at `now`; to be called every now and then."""
        for kind, repeats in list(self._kinds.items()):
            if repeats.more and now >= repeats.since + repeats.wait_s:
                warning(self._event, **dict(kind), more=repeats.more, in_s=round(now - repeats.since))
                repeats.more, repeats.since = 0, now
                repeats.wait_s = min(2 * repeats.wait_s, self._max_wait_s)
            elif now >= repeats.last + self._forget_s:
                del self._kinds[kind]
