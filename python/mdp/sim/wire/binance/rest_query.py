"""Parameters of REST requests, read and refused as the venue does."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Sequence

from multidict import MultiMapping

from mdp.sim.wire.protocol import RestError

_SYMBOL = r"[\w.-]{1,20}"
_SYMBOL_RE = re.compile(_SYMBOL)
_SYMBOLS = f'\\[("{_SYMBOL}"(,"{_SYMBOL}"){{0,}}){{0,1}}\\]'
_NUMBER = r"[0-9]{1,20}"
_ZONE_RE = re.compile(r"([+-]?)(\d{1,2})(?::(\d{2}))?")
_MOST_BEHIND_S, _MOST_AHEAD_S = -12 * 3600, 14 * 3600
_MICROSECONDS_FROM = 10**14  # what is larger cannot be milliseconds: that would be after the year 5138


def _illegal(name: str, pattern: str) -> RestError:
    return RestError(
        400, -1100, f"Illegal characters found in parameter '{name}'; legal range is '^{pattern}$'."
    )


def invalid(name: str) -> RestError:
    """Return the error of a parameter whose value is none of those allowed."""
    return RestError(400, -1130, f"Data sent for parameter '{name}' is not valid.")


def requested_limit(query: MultiMapping[str], default: int) -> int:
    """Return the limit of a request for its weight, which is charged before the parameter is checked."""
    text = query.get("limit", "")
    return int(text) if re.fullmatch(_NUMBER, text) else default


class Query:
    """The parameters of one request.

    Parameters
    ----------
    query : MultiMapping
        As sent.
    allowed : sequence of str
        Names that the route reads.
    known : collection of str
        Symbols there are.

    Raises
    ------
    RestError
        If a name is sent twice or is none of those the route reads.
    """

    def __init__(self, query: MultiMapping[str], allowed: Sequence[str], known: Collection[str]) -> None:
        names = set(query.keys())
        if len(names) < len(query):
            raise RestError(400, -1101, "Duplicate values for a parameter detected.")
        if not names <= set(allowed):
            raise RestError(
                400,
                -1104,
                f"Not all sent parameters were read; read '{len(names & set(allowed))}' parameter(s) "
                f"but was sent '{len(names)}'.",
            )
        self._query = query
        self._known = known

    def __contains__(self, name: str) -> bool:
        return name in self._query

    def text(self, name: str) -> str:
        """Return a parameter that must be there."""
        found = self._query.get(name)
        if not found:
            raise RestError(
                400, -1102, f"Mandatory parameter '{name}' was not sent, was empty/null, or malformed."
            )
        return found

    def choice(self, name: str, allowed: Collection[str], default: str) -> str:
        """Return a parameter that is one of some words."""
        found = self._query.get(name, default)
        if found not in allowed:
            raise invalid(name)
        return found

    def number(self, name: str) -> int | None:
        """Return a parameter that is a whole number, or None."""
        found = self._query.get(name)
        if found is None:
            return None
        if not re.fullmatch(_NUMBER, found):
            raise _illegal(name, _NUMBER)
        return int(found)

    def limit(self, default: int, most: int, *, cut: bool = True, allowed: Sequence[int] = ()) -> int:
        """Return how many rows are wanted.

        Parameters
        ----------
        default, most : int
            Without the parameter, and the largest there is.
        cut : bool
            A larger one is cut, as on spot, not refused, as on futures.
        allowed : sequence of int
            The values allowed; empty for any.
        """
        found = self.number("limit")
        if found is None:
            return default
        if found < 1:
            raise _illegal("limit", _NUMBER)
        if (allowed and found not in allowed) or (found > most and not cut):
            raise invalid("limit")
        return min(found, most)

    def seconds(self, name: str) -> float | None:
        """Return a time sent in milliseconds or microseconds as seconds since the epoch, or None."""
        found = self.number(name)
        if found is None:
            return None
        return found / (1_000_000 if found >= _MICROSECONDS_FROM else 1000)

    def zone_s(self) -> int:
        """Return ``timeZone`` in seconds ahead of UTC."""
        match = _ZONE_RE.fullmatch(self._query.get("timeZone", "0"))
        if match is None:
            raise invalid("timeZone")
        sign = -1 if match[1] == "-" else 1
        zone_s = sign * (int(match[2]) * 3600 + int(match[3] or 0) * 60)
        if not _MOST_BEHIND_S <= zone_s <= _MOST_AHEAD_S:
            raise invalid("timeZone")
        return zone_s

    def check_symbol(self, name: str) -> str:
        """Return a symbol if there is one of that name."""
        if not _SYMBOL_RE.fullmatch(name):
            raise _illegal("symbol", _SYMBOL)
        if name not in self._known:
            raise RestError(400, -1121, "Invalid symbol.")
        return name

    def symbol(self) -> str:
        """Return ``symbol``, which must be there."""
        return self.check_symbol(self.text("symbol"))

    def symbols(self) -> list[str] | None:
        """Return the symbols asked for by ``symbol`` or ``symbols``; None where neither is sent."""
        query = self._query
        if "symbol" in query and "symbols" in query:
            raise RestError(400, -1128, "Combination of optional parameters invalid.")
        if "symbol" in query:
            return [self.symbol()]
        if "symbols" not in query:
            return None
        if not re.fullmatch(_SYMBOLS, query["symbols"]):
            raise _illegal("symbols", _SYMBOLS)
        return [self.check_symbol(name) for name in json.loads(query["symbols"])]

    def check_status(self) -> bool:
        """Return whether symbols that trade are wanted; all of the sim's do.

        Raises
        ------
        RestError
            If one symbol is asked for and another status.
        """
        if self._query.get("symbolStatus", "TRADING") == "TRADING":
            return True
        if "symbol" in self._query:
            raise RestError(400, -1220, "The symbol's status does not match the requested symbolStatus.")
        return False
