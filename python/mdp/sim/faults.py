"""Faults as data: what can go wrong, which parameters each takes, and what is armed now.

A fault is armed with a dict, from ``POST /sim/fault``, `SimServer.arm` or one entry of a script, checked
against `FAULT_KINDS`, and used up as frames, requests or connections meet it. Adding a kind means one line in
the table and one branch where its scope is handled.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

from mdp.sim.tls import TLS_FLAVOURS
from mdp.sim.wire import FAMILIES

FRAME = "frame"
SUBSCRIBE = "subscribe"
REQUEST = "request"
SNAPSHOT = "snapshot"
REST = "rest"
CONNECTION = "connection"
HANDSHAKE = "handshake"
ACCEPT = "accept"
MARKET = "market"


class FaultError(ValueError):
    """A fault description is wrong; the text says what was found and what is allowed.

    Attributes
    ----------
    key : str
        The key at fault, so that a script can point at its line; empty for the description as a whole.
    """

    def __init__(self, message: str, key: str = "") -> None:
        super().__init__(message)
        self.key = key


@dataclass(frozen=True)
class FaultKind:
    """One row of the table.

    Attributes
    ----------
    scope : str
        Where it strikes: on frames of a stream, on SUBSCRIBE requests, on any WebSocket request, on depth
        snapshots, on any REST request, on open connections at once, on WebSocket handshakes, on accepted
        sockets, or on the market.
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
    "lag": FaultKind(
        FRAME,
        "the frame is sent after so many more of its connection; what is held leaves when it ends",
        {"frames": 10},
    ),
    "corrupt": FaultKind(
        FRAME,
        "mode json: a comma in the middle becomes ';', malformed JSON; modes price, quantity, id: one digit "
        "of the first such number is another, in a well-formed frame",
        {"mode": "json"},
    ),
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
    "oversized_header": FaultKind(
        FRAME, "the header of the WebSocket frame claims so many bytes, which never come", {"bytes": 1 << 40}
    ),
    "oversized": FaultKind(
        MARKET, "thousands of levels really change at once, so the next depth frame is huge", {"levels": 4000}
    ),
    "ids_begin_anew": FaultKind(
        MARKET,
        "update and trade ids begin with 1 again on connections that stay up, in streams and snapshots; or, "
        "where back is given, that many changes below",
        {"back": 0},
    ),
    "disconnect": FaultKind(
        CONNECTION,
        "mode reset: TCP RST; mode abort: TCP FIN without a closing frame; mode close: clean closing frame",
        {"mode": "reset", "code": 1001},
    ),
    "stall": FaultKind(
        CONNECTION,
        "nothing is sent for some time, or until so many frames wait, then all of it",
        {"ms": 1000, "frames": 0},
    ),
    "half_open": FaultKind(
        CONNECTION,
        "the server goes mute for good and keeps the socket open; mode deaf: it does not read either",
        {"mode": "mute"},
    ),
    "shutdown_notice": FaultKind(CONNECTION, "the serverShutdown event is sent"),
    "no_ping": FaultKind(CONNECTION, "ping frames stop (on: false to start again)", {"on": True}),
    "subscribe_error": FaultKind(
        SUBSCRIBE,
        "a SUBSCRIBE that names a matching stream is refused as a whole; wrapped: the error has the shape "
        '{"error":{...},"id":...}',
        {"code": 2, "msg": "Invalid request: unknown stream", "wrapped": False},
    ),
    "subscribe_no_ack": FaultKind(SUBSCRIBE, "a SUBSCRIBE that names a matching stream has no answer, ever"),
    "subscribe_silent": FaultKind(SUBSCRIBE, "a matching stream is acked and stays silent"),
    "request_long": FaultKind(
        REQUEST,
        "a request of more bytes is carried out and answered with the next ping of the exchange only; mode "
        "never: not at all",
        {"bytes": 4000, "mode": "ping"},
    ),
    "refuse_connect": FaultKind(
        HANDSHAKE, "WebSocket handshakes are refused", {"status": 503, "retry_after": 0}
    ),
    "upgrade_stall": FaultKind(HANDSHAKE, "the WebSocket handshake is never answered"),
    "tls_stall": FaultKind(ACCEPT, "the connection is accepted and nothing is ever said, TLS included"),
    "tls_certificate": FaultKind(
        ACCEPT, "another certificate is presented: see TLS_FLAVOURS", {"flavour": "expired"}
    ),
    "rest_error": FaultKind(
        REST, "an HTTP error to any REST request", {"status": 503, "retry_after": 0, "html": False}
    ),
    "rest_body": FaultKind(
        REST,
        "these bytes (base64) are the answer to any REST request whose last name in the path matches",
        {"body": "", "status": 200, "headers": {}, "path": "*"},
    ),
    "rest_coded": FaultKind(
        REST,
        "the true answer, compressed though nobody asked: gzip, deflate (zlib) or raw-deflate; named: with "
        "the header that says so; cut: so many bytes are missing at the end",
        {"coding": "gzip", "named": True, "cut": 0, "path": "*"},
    ),
    "snapshot_stale": FaultKind(SNAPSHOT, "the snapshot is that of some updates ago", {"updates": 1000}),
    "snapshot_mislabeled": FaultKind(
        SNAPSHOT, "the levels of some updates ago, under the update id of now", {"updates": 1000}
    ),
    "snapshot_error": FaultKind(
        SNAPSHOT, "an HTTP error in place of the snapshot", {"status": 500, "retry_after": 0, "html": False}
    ),
    "snapshot_delay_ms": FaultKind(
        SNAPSHOT,
        "the snapshot is taken at once and sent late: after some time, or, where updates is given, once the "
        "symbol has changed so often",
        {"ms": 1000, "updates": 0},
    ),
    "snapshot_truncate": FaultKind(SNAPSHOT, "the snapshot body ends after two thirds, as valid HTTP"),
    "snapshot_unknown": FaultKind(
        SNAPSHOT, "the symbol is not known any more, as one that was taken off the list: code -1121"
    ),
}
"""Every kind of fault the sim knows."""

_CHOICES: dict[tuple[str, str], tuple[str, ...]] = {
    ("corrupt", "mode"): ("json", "price", "quantity", "id"),
    ("truncate", "mode"): ("json", "frame"),
    ("wrong_level", "mode"): ("quantity", "crossed"),
    ("disconnect", "mode"): ("reset", "abort", "close"),
    ("half_open", "mode"): ("mute", "deaf"),
    ("request_long", "mode"): ("ping", "never"),
    ("tls_certificate", "flavour"): TLS_FLAVOURS,
    ("rest_coded", "coding"): ("gzip", "deflate", "raw-deflate"),
}
ANY_LINE = -1
_SELECTORS: dict[str, Any] = {
    "venue": "*",
    "stream": "*",
    "symbol": "*",
    "client": 0,
    "line": ANY_LINE,
    "count": 1,
    "skip": 0,
    "every": 1,
}
_EVENTS = ("update", "connection", "snapshot")


@dataclass
class Trigger:
    """When a fault that waits is armed.

    Attributes
    ----------
    event : str
        ``update`` (book changes of a symbol since the start; depth frames of it in a replay), ``connection``
        (WebSocket connections accepted) or ``snapshot`` (depth snapshots asked for).
    number : int
        The one that arms it, from 1.
    every : int
        After how many more it is armed again; 0 for never.
    symbol : str
        Whose updates or snapshots count; empty for every symbol's, which updates do not allow.
    """

    event: str
    number: int
    every: int
    symbol: str


@dataclass
class Fault:
    """One armed fault.

    Attributes
    ----------
    fault_id : int
        Number by which reports name it.
    kind : str
        Key of `FAULT_KINDS`.
    venue, stream, symbol : str
        Which families, streams or symbols it concerns; shell patterns, ``*`` for all.
    client : int
        Connection it is limited to, 0 for all.
    line : int
        Line of a stream it is limited to, `ANY_LINE` for all: see `Hub.subscribe`.
    remaining : int
        How often it will still strike; -1 for ever.
    skip : int
        How many matching frames or requests pass unharmed first.
    every : int
        Of those after, each so many-th is struck.
    params : dict
        Values for the kind's own parameters.
    trigger : Trigger or None
        What it waits for.
    fired : int
        How often it has struck.
    """

    fault_id: int
    kind: str
    venue: str
    stream: str
    symbol: str
    client: int
    line: int
    remaining: int
    skip: int
    every: int
    params: dict[str, Any]
    trigger: Trigger | None = None
    fired: int = 0
    _met: int = 0

    def report(self) -> dict[str, Any]:
        """Return the state as JSON-ready dict."""
        return {
            "id": self.fault_id,
            "kind": self.kind,
            "venue": self.venue,
            "stream": self.stream,
            "symbol": self.symbol,
            "client": self.client,
            "line": self.line,
            "remaining": self.remaining,
            "waits": self.trigger is not None,
            "fired": self.fired,
            **self.params,
        }

    @property
    def scope(self) -> str:
        """Where it strikes."""
        return FAULT_KINDS[self.kind].scope

    def selects(self, client_id: int, line: int) -> bool:
        """Return whether a connection that carries a stream as `line` is meant."""
        return self.client in (0, client_id) and self.line in (ANY_LINE, line)

    def strike(self) -> bool:
        """Count one match; return whether the fault strikes this time."""
        if self.remaining == 0:
            return False
        if self.skip > 0:
            self.skip -= 1
            return False
        self._met += 1
        if self._met % self.every:
            return False
        if self.remaining > 0:
            self.remaining -= 1
        self.fired += 1
        return True


def _checked(kind: str, name: str, value: Any, default: Any) -> Any:
    # bool is a subclass of int, and {"count": true} is a mistake, so the types must match exactly.
    if type(value) is not type(default):
        raise FaultError(
            f"{kind}: {name} must be {type(default).__name__}, not {type(value).__name__} {value!r}", name
        )
    if isinstance(value, int) and not isinstance(value, bool) and value < min(0, default):
        raise FaultError(f"{kind}: {name} must not be negative, is {value}", name)
    if name == "every" and value < 1:
        raise FaultError(f"{kind}: every must be at least 1, is {value}", name)
    choices = _CHOICES.get((kind, name))
    if choices and value not in choices:
        raise FaultError(f"{kind}: {name} must be one of {', '.join(choices)}, not {value!r}", name)
    return value


def _trigger(kind: str, scope: str, at: Any) -> Trigger:
    if not isinstance(at, dict):
        raise FaultError(f"{kind}: at must be a mapping, not {type(at).__name__} {at!r}", "at")
    named = [event for event in _EVENTS if event in at]
    unknown = set(at) - {*_EVENTS, "symbol", "every"}
    if len(named) != 1 or unknown:
        raise FaultError(
            f"{kind}: at wants one of {', '.join(_EVENTS)}, and may have symbol and every; found "
            f"{', '.join(map(str, at)) or 'nothing'}",
            "at",
        )
    event = named[0]
    number, every, symbol = at[event], at.get("every", 0), at.get("symbol", "")
    for name, value in ((event, number), ("every", every)):
        if type(value) is not int or value < (1 if name == event else 0):
            raise FaultError(f"{kind}: at.{name} must be a positive int, not {value!r}", "at")
    if not isinstance(symbol, str) or (event == "update") > bool(symbol):
        raise FaultError(f"{kind}: at.update needs at.symbol, one symbol's name", "at")
    if event == "connection" and symbol:
        raise FaultError(f"{kind}: at.connection takes no symbol", "at")
    if every and scope not in (CONNECTION, MARKET):
        raise FaultError(f"{kind}: at.every is for faults that strike at once; use every", "at")
    return Trigger(event, number, every, symbol.upper())


class FaultTable:
    """The faults armed now, those that wait, and the history of those used up.

    Parameters
    ----------
    venues : tuple of str
        Families served; a fault that selects none of them is refused.
    """

    def __init__(self, venues: tuple[str, ...] = tuple(FAMILIES)) -> None:
        self._venues = venues
        self._faults: list[Fault] = []
        self._by_scope: dict[str, list[Fault]] = {}
        self._waiting: list[Fault] = []
        self._next_id = 1
        self.symbols: Mapping[str, Collection[str]] = {}
        """Symbols of each family, where known: a trigger that can never be met is refused."""
        self.on_fire: Callable[[Fault], None] = lambda fault: None
        """Called when a fault that strikes at once has met its trigger."""

    def add(self, description: dict[str, Any]) -> Fault:
        """Check a description and arm it, or let it wait for its trigger.

        Parameters
        ----------
        description : dict
            ``kind`` and any of ``venue``, ``stream``, ``symbol``, ``client``, ``line``, ``count`` (0 = for
            ever), ``skip``, ``every``, ``at`` and the kind's own parameters.

        Raises
        ------
        FaultError
            If the kind or a parameter is unknown or a value is of the wrong type.
        """
        kind = description.get("kind")
        row = FAULT_KINDS.get(kind) if isinstance(kind, str) else None
        if row is None or not isinstance(kind, str):
            raise FaultError(f"unknown fault kind {kind!r}; allowed: {', '.join(FAULT_KINDS)}", "kind")
        allowed = {**_SELECTORS, **row.params}
        unknown = sorted(map(str, set(description) - set(allowed) - {"kind", "at"}))
        if unknown:
            raise FaultError(
                f"{kind}: unknown parameters {', '.join(unknown)}; allowed: {', '.join(allowed)}, at",
                unknown[0],
            )
        values = {
            name: _checked(kind, name, description.get(name, default), default)
            for name, default in allowed.items()
        }
        if not any(fnmatchcase(venue, values["venue"]) for venue in self._venues):
            raise FaultError(
                f"{kind}: venue {values['venue']!r} is not served; here: {', '.join(self._venues)}", "venue"
            )
        trigger = _trigger(kind, row.scope, description["at"]) if "at" in description else None
        if trigger is not None:
            self._check_symbol(kind, values["venue"], trigger.symbol)
        fault = Fault(
            self._next_id,
            kind,
            values.pop("venue"),
            values.pop("stream"),
            values.pop("symbol").upper(),
            values.pop("client"),
            values.pop("line"),
            values.pop("count") or -1,
            values.pop("skip"),
            values.pop("every"),
            values,
            trigger,
        )
        self._next_id += 1
        self._faults.append(fault)
        if trigger is not None:
            self._waiting.append(fault)
        else:
            self._arm(fault)
        return fault

    def _check_symbol(self, kind: str, venue: str, symbol: str) -> None:
        selected = [symbols for name, symbols in self.symbols.items() if fnmatchcase(name, venue)]
        if symbol and selected and not any(symbol in symbols for symbols in selected):
            known = sorted({name for symbols in selected for name in symbols})
            raise FaultError(f"{kind}: at.symbol {symbol!r} is not served; here: {', '.join(known)}", "at")

    def _arm(self, fault: Fault) -> None:
        if fault.scope not in (CONNECTION, MARKET):
            self._by_scope.setdefault(fault.scope, []).append(fault)

    def clear(self) -> None:
        """Disarm everything."""
        self._faults.clear()
        self._by_scope.clear()
        self._waiting.clear()

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

    # ------------------------------------------------------------------ triggers

    @property
    def any_waits(self) -> bool:
        """Whether any fault waits for anything: asked for every symbol at every tick, so it must be cheap."""
        return bool(self._waiting)

    def waits(self, event: str, venue: str, symbol: str = "") -> bool:
        """Return whether any fault waits for this, so that events need not be counted one by one else."""
        return any(self._concerns(fault, event, venue, symbol) for fault in self._waiting)

    @staticmethod
    def _concerns(fault: Fault, event: str, venue: str, symbol: str) -> bool:
        trigger = fault.trigger
        return (
            trigger is not None
            and trigger.event == event
            and trigger.symbol == symbol
            and fnmatchcase(venue, fault.venue)
        )

    def happened(self, event: str, venue: str, number: int, symbol: str = "") -> None:
        """Tell that the `number`-th of an event has happened; arm what waited for it.

        Parameters
        ----------
        event : str
            See `Trigger`.
        venue : str
            Family it happened on.
        number : int
            How many there were by now.
        symbol : str
            Whose, where it is a symbol's; what is counted for a symbol and in all is told twice.
        """
        if not self._waiting:
            return
        for fault in list(self._waiting):
            trigger = fault.trigger
            if trigger is None or not self._concerns(fault, event, venue, symbol) or number < trigger.number:
                continue
            if fault.scope not in (CONNECTION, MARKET):
                self._waiting.remove(fault)
                fault.trigger = None
                self._arm(fault)
                continue
            fault.remaining -= fault.remaining > 0
            if not trigger.every or not fault.remaining:
                self._waiting.remove(fault)
                fault.trigger = None
            else:
                trigger.number = number + trigger.every
            self.on_fire(fault)

    # ------------------------------------------------------------------ matches

    def frame_faults(self, venue: str, stream: str) -> list[Fault]:
        """Return the armed frame faults that concern `stream`; the caller lets them strike."""
        return [
            fault
            for fault in self.armed(FRAME)
            if fnmatchcase(stream, fault.stream) and fnmatchcase(venue, fault.venue)
        ]

    def subscribe_faults(self, venue: str, stream: str) -> list[Fault]:
        """Return the faults that strike the subscription of `stream`."""
        return [
            fault
            for fault in self.armed(SUBSCRIBE)
            if fnmatchcase(stream, fault.stream) and fnmatchcase(venue, fault.venue) and fault.strike()
        ]

    def request_fault(self, venue: str, size: int) -> Fault | None:
        """Return the fault that strikes a WebSocket request of so many bytes, if any."""
        for fault in self.armed(REQUEST):
            if size > fault.params["bytes"] and fnmatchcase(venue, fault.venue) and fault.strike():
                return fault
        return None

    def snapshot_faults(self, venue: str, symbol: str) -> list[Fault]:
        """Return the snapshot faults that strike this request of `symbol`."""
        return [
            fault
            for fault in self.armed(SNAPSHOT)
            if fnmatchcase(symbol, fault.symbol) and fnmatchcase(venue, fault.venue) and fault.strike()
        ]

    def first(self, scope: str, venue: str, path: str = "") -> Fault | None:
        """Return the one fault that strikes this request, handshake or accepted socket, if any."""
        for fault in self.armed(scope):
            meant = fnmatchcase(venue, fault.venue) and fnmatchcase(path, fault.params.get("path", "*"))
            if meant and fault.strike():
                return fault
        return None
