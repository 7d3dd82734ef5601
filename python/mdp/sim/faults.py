"""Faults as data: what can go wrong, which parameters each takes, and what is armed now.

A fault is armed with a dict (from ``POST /sim/fault`` or, later, a line of a script), checked against
`FAULT_KINDS`, and used up as frames, requests or connections meet it. Adding a kind means one line in the
table and one branch where its scope is handled.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

FRAME = "frame"
SNAPSHOT = "snapshot"
CONNECTION = "connection"
HANDSHAKE = "handshake"
MARKET = "market"


class FaultError(ValueError):
    """A fault description is wrong; the text says what was found and what is allowed."""


@dataclass(frozen=True)
class FaultKind:
    """One row of the table.

    Attributes
    ----------
    scope : str
        Where it strikes: on frames of a stream, on depth snapshots, on open connections at once, on new
        connections, or on the market itself.
    doc : str
        What a client will see.
    params : dict
        Parameter name to default value; the default's type is the type required.
    """

    scope: str
    doc: str
    params: dict[str, Any] = field(default_factory=dict)


FAULT_KINDS: dict[str, FaultKind] = {
    "drop": FaultKind(FRAME, "the frame is never sent"),
    "duplicate": FaultKind(FRAME, "the frame is sent twice"),
    "reorder": FaultKind(FRAME, "the frame is sent after the next one of its stream"),
    "corrupt": FaultKind(FRAME, "a comma in the middle becomes ';': valid text, malformed JSON"),
    "truncate": FaultKind(
        FRAME,
        "mode json: the text ends after two thirds; mode frame: so do the WebSocket frame and the connection",
        {"mode": "json"},
    ),
    "wrong_level": FaultKind(
        FRAME,
        "a depth frame lies with perfect ids; mode quantity: best bid has one lot more, mode crossed: a bid "
        "at the best ask",
        {"mode": "quantity"},
    ),
    "oversized": FaultKind(
        MARKET, "thousands of levels really change at once, so the next depth frame is huge", {"levels": 4000}
    ),
    "disconnect": FaultKind(
        CONNECTION,
        "mode reset: TCP RST; mode abort: TCP FIN without a closing frame; mode close: clean closing frame",
        {"mode": "reset", "code": 1001},
    ),
    "stall": FaultKind(CONNECTION, "nothing is sent for some time, then all of it", {"ms": 1000}),
    "half_open": FaultKind(CONNECTION, "the server goes mute for good and keeps the socket open"),
    "shutdown_notice": FaultKind(CONNECTION, "the serverShutdown event is sent"),
    "no_ping": FaultKind(CONNECTION, "ping frames stop (on: false to start again)", {"on": True}),
    "refuse_connect": FaultKind(
        HANDSHAKE, "WebSocket handshakes are refused", {"status": 503, "retry_after": 0}
    ),
    "snapshot_stale": FaultKind(SNAPSHOT, "the snapshot is that of some updates ago", {"updates": 1000}),
    "snapshot_error": FaultKind(
        SNAPSHOT, "an HTTP error in place of the snapshot", {"status": 500, "retry_after": 0, "html": False}
    ),
    "snapshot_delay_ms": FaultKind(SNAPSHOT, "the snapshot is taken at once and sent late", {"ms": 1000}),
    "snapshot_truncate": FaultKind(SNAPSHOT, "the snapshot body ends after two thirds, as valid HTTP"),
}
"""Every kind of fault the sim knows."""

_MODES = {
    "truncate": ("json", "frame"),
    "wrong_level": ("quantity", "crossed"),
    "disconnect": ("reset", "abort", "close"),
}
_SELECTORS: dict[str, Any] = {"stream": "*", "symbol": "*", "client": 0, "count": 1, "skip": 0}


@dataclass
class Fault:
    """One armed fault.

    Attributes
    ----------
    fault_id : int
        Number by which reports name it.
    kind : str
        Key of `FAULT_KINDS`.
    stream, symbol : str
        Which streams or symbols it concerns; shell patterns, ``*`` for all.
    client : int
        Connection it is limited to, 0 for all.
    remaining : int
        How often it will still strike; -1 for ever.
    skip : int
        How many matching frames or requests pass unharmed first.
    fired : int
        How often it has struck.
    params : dict
        Values for the kind's own parameters.
    """

    fault_id: int
    kind: str
    stream: str
    symbol: str
    client: int
    remaining: int
    skip: int
    params: dict[str, Any]
    fired: int = 0

    def report(self) -> dict[str, Any]:
        """Return the state as JSON-ready dict."""
        return {
            "id": self.fault_id,
            "kind": self.kind,
            "stream": self.stream,
            "symbol": self.symbol,
            "client": self.client,
            "remaining": self.remaining,
            "fired": self.fired,
            **self.params,
        }

    def strike(self) -> bool:
        """Count one match; return whether the fault strikes this time."""
        if self.remaining == 0:
            return False
        if self.skip > 0:
            self.skip -= 1
            return False
        if self.remaining > 0:
            self.remaining -= 1
        self.fired += 1
        return True


def _checked(kind: str, name: str, value: Any, default: Any) -> Any:
    # bool is a subclass of int, and {"count": true} is a mistake, so the types must match exactly.
    if type(value) is not type(default):
        raise FaultError(
            f"{kind}: {name} must be {type(default).__name__}, not {type(value).__name__} {value!r}"
        )
    if isinstance(value, int) and not isinstance(value, bool) and value < 0:
        raise FaultError(f"{kind}: {name} must not be negative, is {value}")
    if name == "mode" and value not in _MODES[kind]:
        raise FaultError(f"{kind}: mode must be one of {', '.join(_MODES[kind])}, not {value!r}")
    return value


class FaultTable:
    """The faults armed now, and the history of those used up."""

    def __init__(self) -> None:
        self._faults: list[Fault] = []
        self._by_scope: dict[str, list[Fault]] = {}
        self._next_id = 1

    def add(self, description: dict[str, Any]) -> Fault:
        """Check a description and arm it.

        Parameters
        ----------
        description : dict
            ``kind`` and any of ``stream``, ``symbol``, ``client``, ``count`` (0 = for ever), ``skip`` and the
            kind's own parameters.

        Raises
        ------
        FaultError
            If the kind or a parameter is unknown or a value is of the wrong type.
        """
        kind = description.get("kind")
        row = FAULT_KINDS.get(kind) if isinstance(kind, str) else None
        if row is None or not isinstance(kind, str):
            raise FaultError(f"unknown fault kind {kind!r}; allowed: {', '.join(FAULT_KINDS)}")
        allowed = {**_SELECTORS, **row.params}
        unknown = set(description) - set(allowed) - {"kind"}
        if unknown:
            raise FaultError(
                f"{kind}: unknown parameters {', '.join(sorted(unknown))}; allowed: {', '.join(allowed)}"
            )
        values = {
            name: _checked(kind, name, description.get(name, default), default)
            for name, default in allowed.items()
        }
        fault = Fault(
            self._next_id,
            kind,
            values.pop("stream"),
            values.pop("symbol").upper(),
            values.pop("client"),
            values.pop("count") or -1,
            values.pop("skip"),
            values,
        )
        self._next_id += 1
        self._faults.append(fault)
        if row.scope in (FRAME, SNAPSHOT, HANDSHAKE):
            self._by_scope.setdefault(row.scope, []).append(fault)
        return fault

    def clear(self) -> None:
        """Disarm everything."""
        self._faults.clear()
        self._by_scope.clear()

    def report(self) -> list[dict[str, Any]]:
        """Return every fault ever armed since the last `clear`, JSON-ready."""
        return [fault.report() for fault in self._faults]

    def armed(self, scope: str) -> list[Fault]:
        """Return the faults of a scope that have not been used up."""
        faults = self._by_scope.get(scope)
        if not faults:
            return []
        live = [fault for fault in faults if fault.remaining]
        if len(live) != len(faults):
            self._by_scope[scope] = live
        return live

    def frame_faults(self, stream: str) -> list[Fault]:
        """Return the armed frame faults that concern `stream`; the caller lets them strike."""
        return [fault for fault in self.armed(FRAME) if fnmatchcase(stream, fault.stream)]

    def snapshot_faults(self, symbol: str) -> list[Fault]:
        """Return the snapshot faults that strike this request of `symbol`."""
        return [f for f in self.armed(SNAPSHOT) if fnmatchcase(symbol, f.symbol) and f.strike()]

    def handshake_fault(self) -> Fault | None:
        """Return the fault that refuses this handshake, if any."""
        for fault in self.armed(HANDSHAKE):
            if fault.strike():
                return fault
        return None
