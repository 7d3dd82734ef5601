"""Connections, subscriptions, and the fan-out of frames to them.

All of it runs on the event loop of the sim. Frames go to the transport of a connection directly, already
encoded, and joined: one TLS record and one system call per client and market tick instead of one per frame.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Callable, Container, Iterable
from fnmatch import fnmatchcase
from typing import Any, TypeVar

from aiohttp import web

from mdp.sim import faults as fl
from mdp.sim.client import SILENT, Client
from mdp.sim.frames import OP_PING, OP_PONG, DepthFrame, Frame, encode_ws
from mdp.sim.limits import Counters, SlidingWindow
from mdp.sim.options import SimOptions
from mdp.sim.spoil import spoil
from mdp.sim.wire.protocol import Wire

_Number = TypeVar("_Number", int, float)

_log = logging.getLogger("mdp.sim")

_POLICY_VIOLATION = 1008
_GOING_AWAY = 1001
_UNSERVED_TOLD = 100


class Hub:
    """All connections of one family.

    Attributes
    ----------
    clients : dict
        Open connections by their ordinal.
    streams : dict
        Streams that someone listens to, with the listeners by ordinal.
    frames_sent, slow_disconnects, connections : int
        Since the start.
    serves : callable
        Tells whether there will ever be frames of a stream; the feed sets it.
    """

    def __init__(
        self,
        options: SimOptions,
        faults: fl.FaultTable,
        family: Wire,
        counters: Counters | None = None,
    ) -> None:
        self.options = options
        self.faults = faults
        self.family = family
        self.counters = counters or Counters()
        self.clients: dict[int, Client] = {}
        self.streams: dict[str, dict[int, Client]] = {}
        self.frames_sent = 0
        self.slow_disconnects = 0
        self.connections = 0
        self.subscribed = asyncio.Event()
        self.cut_slow_clients = True
        self._ping_interval = _default(options.ping_interval_s, family.ping_interval_s)
        self._pong_timeout = _default(options.pong_timeout_s, family.pong_timeout_s)
        self._dirty: dict[int, Client] = {}
        self._any_held = False
        self._no_ping = False
        self._tasks: set[asyncio.Task[Any]] = set()
        self.serves: Callable[[str], bool] = lambda _: True
        self._unserved: set[str] = set()

    # ------------------------------------------------------------------ connections

    def add(
        self, ws: web.WebSocketResponse, transport: asyncio.Transport, route: str, combined: bool, micro: bool
    ) -> Client:
        """Register a connection whose handshake is done."""
        self.connections += 1
        self.counters.connects += 1
        limit = _default(self.options.client_messages_per_s, self.family.messages_per_s)
        client = Client(self.connections, ws, transport, route, combined, micro, SlidingWindow(limit, 1.0))
        client.no_ping = self._no_ping
        self.clients[client.client_id] = client
        return client

    def remove(self, client: Client) -> None:
        """Forget a connection; its streams lose a subscriber."""
        client.closed = True
        self.clients.pop(client.client_id, None)
        self._dirty.pop(client.client_id, None)
        self.unsubscribe(client, list(client.streams))

    def close(self, client: Client, code: int, reason: str) -> None:
        """Close with a closing frame, in the background."""
        if client.closed:
            return
        client.end_stall()
        client.flush(float("inf"))
        client.closed = True
        task = asyncio.get_running_loop().create_task(client.ws.close(code=code, message=reason.encode()))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def subscribe_faults(self, stream: str) -> list[fl.Fault]:
        """Return the faults that strike this subscription."""
        if not self.faults.armed(fl.SUBSCRIBE):
            return []
        return self.faults.subscribe_faults(self.family.name, stream)

    def subscribe(self, client: Client, streams: Iterable[str], silent: Container[str] = ()) -> None:
        """Add streams to a connection; unknown names and those of another route are kept and stay silent.

        Each stream of a connection takes the lowest line that is free among the connections that carry it:
        the first is line 0, the second line 1; one that comes back after a disconnect has its number again.
        """
        for stream in streams:
            if stream in client.streams:
                continue
            self._tell_if_unserved(stream)
            if stream in silent or not self.family.carries(client.route, stream):
                client.streams[stream] = SILENT
                continue
            carriers = self.streams.setdefault(stream, {})
            taken = {carrier.streams[stream] for carrier in carriers.values()}
            client.streams[stream] = next(line for line in range(len(taken) + 1) if line not in taken)
            carriers[client.client_id] = client
        if self.streams:
            self.subscribed.set()

    def _tell_if_unserved(self, stream: str) -> None:
        """Log a stream that there is none of here, once: on the wire it looks like one that is quiet."""
        if self.serves(stream) or stream in self._unserved or len(self._unserved) >= _UNSERVED_TOLD:
            return
        self._unserved.add(stream)
        _log.warning(
            "%s: no stream %s here: acknowledged and silent, as on the venue (docs/sim.md lists the streams)",
            self.family.name,
            stream[:100],
        )

    def unsubscribe(self, client: Client, streams: Iterable[str]) -> None:
        """Take streams from a connection."""
        for stream in streams:
            client.streams.pop(stream, None)
            client.held.pop(stream, None)
            subscribers = self.streams.get(stream)
            if subscribers is not None:
                subscribers.pop(client.client_id, None)
                if not subscribers:
                    del self.streams[stream]

    # ------------------------------------------------------------------ client messages

    def on_message(self, client: Client) -> bool:
        """Count a message of the client; False if it was one too many and the connection is being closed."""
        if client.messages.allow(time.monotonic()):
            return True
        self.counters.violations["messages"] += 1
        if not self.options.strict:
            return True
        self.close(client, _POLICY_VIOLATION, "Too many requests")
        return False

    def on_text(self, client: Client, text: str) -> None:
        """Carry out a control message and answer it, unless it is too long for a fault."""
        fault = self.faults.request_fault(self.family.name, len(text.encode()))
        if fault is None:
            self._carry_out(client, text)
        elif fault.params["mode"] == "ping":
            client.unread.append(text)

    def _carry_out(self, client: Client, text: str) -> None:
        reply = self.family.answer(self, client, text)
        if reply is not None:
            self.send_now(client, encode_ws(json.dumps(reply, separators=(",", ":")).encode()))

    def on_ping(self, client: Client, payload: bytes) -> None:
        """Answer a ping of the client."""
        client.pings_received += 1
        self.send_now(client, encode_ws(payload, OP_PONG))

    def on_pong(self, client: Client, payload: bytes) -> None:
        """Note a pong; only one that carries the payload of a ping counts as an answer."""
        if client.ping_payloads.pop(payload, None) is not None:
            client.pongs_received += 1

    def send_now(self, client: Client, data: bytes) -> None:
        """Send bytes in order with what is pending, at once."""
        client.queue(data)
        self._dirty[client.client_id] = client
        client.flush(time.monotonic())

    # ------------------------------------------------------------------ fan-out

    def _in_phase(self, stream: str, phase: int | None) -> dict[int, Client]:
        subscribers = self.streams.get(stream, {})
        if phase is None:
            return subscribers
        phases = self.options.depth_phases
        return {
            number: client
            for number, client in subscribers.items()
            if client.streams[stream] % phases == phase
        }

    def wanted(self, stream: str, phase: int | None = None) -> bool:
        """Return whether anyone listens, so that nobody renders frames for nobody.

        With `phase`, only the lines whose number leaves that remainder by ``depth_phases`` are asked.
        """
        return stream in self.streams and (phase is None or bool(self._in_phase(stream, phase)))

    def publish(self, frame: Frame, phase: int | None = None) -> None:
        """Queue a frame for every subscriber, or those of one phase; `flush` sends it."""
        subscribers = self._in_phase(frame.stream, phase)
        if not subscribers:
            return
        if self._any_held or self.faults.armed(fl.FRAME):
            self._publish_faulty(frame, subscribers)
            return
        dirty = self._dirty
        for client_id, client in subscribers.items():
            client.queue(frame.encoded(client.combined, client.micro))
            client.frames_sent += 1
            dirty[client_id] = client
        self.frames_sent += len(subscribers)

    def _publish_faulty(self, frame: Frame, subscribers: dict[int, Client]) -> None:
        stream = frame.stream
        struck = [
            fault
            for fault in self.faults.frame_faults(self.family.name, stream)
            if (fault.kind != "wrong_level" or isinstance(frame, DepthFrame))
            and any(fault.selects(number, client.streams[stream]) for number, client in subscribers.items())
            and fault.strike()
        ]
        lag_is_on = any(fault.kind == "lag" for fault in struck) or any(
            fault.kind == "lag" for fault in self.faults.armed(fl.FRAME)
        )
        for client in list(subscribers.values()):
            before: list[bytes] = []
            if client.lagging and not lag_is_on:
                before = list(client.lagging)
                client.lagging.clear()
            released = client.held.pop(stream, [])
            out = [frame.encoded(client.combined, client.micro)]
            cut = False
            for fault in struck:
                if out and fault.selects(client.client_id, client.streams[stream]):
                    out, ends = spoil(self.family, fault, frame, client, out)
                    cut = cut or ends
            sent = before + out + released
            for data in sent:
                client.queue(data)
            client.frames_sent += len(sent)
            self.frames_sent += len(sent)
            self._dirty[client.client_id] = client
            if cut:
                client.end_stall()
                client.flush(float("inf"))
                client.closed = True
                client.transport.close()
        self._any_held = any(client.held or client.lagging for client in self.clients.values())

    def flush(self) -> None:
        """Send what is pending, and cut the connections that take too little."""
        if not self._dirty:
            return
        now = time.monotonic()
        limit = self.options.client_buffer_bytes
        for client_id, client in list(self._dirty.items()):
            client.flush(now)
            if self.cut_slow_clients and client.unsent_bytes > limit:
                self.slow_disconnects += 1
                client.abort()
            if client.closed or not client.stalled(now):
                del self._dirty[client_id]

    async def drain(self, below_bytes: int) -> None:
        """Wait until every connection has at most `below_bytes` unsent, or is gone."""
        # asyncio tells only the protocol, which is aiohttp's, when a buffer has drained; hence the polling.
        while any(
            c.unsent_bytes > below_bytes and not c.transport.is_closing() for c in self.clients.values()
        ):
            await asyncio.sleep(0.0005)
            self.flush()

    # ------------------------------------------------------------------ keep-alive and faults

    @property
    def keep_alive_period(self) -> float:
        """How often `keep_alive` is to be called, seconds."""
        shortest = min(self._ping_interval, self._pong_timeout, self.options.max_connection_age_s)
        return max(0.01, min(1.0, shortest / 8))

    def keep_alive(self, now: float) -> None:
        """Send the pings that are due; close connections that owe a pong for too long or are too old."""
        for client in list(self.clients.values()):
            if client.closed or client.half_open:
                continue
            if now - client.opened > self.options.max_connection_age_s:
                self.counters.expired_connections += 1
                self.close(client, _GOING_AWAY, "Connection lifetime is over")
                continue
            if client.no_ping:
                continue
            oldest = next(iter(client.ping_payloads.values()), now)
            if now - oldest > self._pong_timeout:
                self.counters.violations["pong"] += 1
                self.close(client, _POLICY_VIOLATION, "Pong timeout")
            elif now - client.last_ping >= self._ping_interval:
                client.last_ping = now
                client.pings_sent += 1
                payload = str(time.time_ns() // 1_000_000).encode()
                client.ping_payloads.setdefault(payload, now)
                self.send_now(client, encode_ws(payload, OP_PING))
                unread, client.unread = client.unread, []
                for text in unread:
                    self._carry_out(client, text)

    def strike_connections(self, fault: fl.Fault) -> None:
        """Apply a connection fault to those it selects: all, one, or those with some stream or line."""
        by_stream = fault.stream != "*" or fault.line != fl.ANY_LINE
        if fault.kind == "no_ping" and not fault.client and not by_stream:
            self._no_ping = bool(fault.params["on"])
        for client in list(self.clients.values()):
            if client.closed or client.transport.is_closing() or fault.client not in (0, client.client_id):
                continue
            if by_stream and not any(
                fnmatchcase(name, fault.stream) and fault.selects(client.client_id, line)
                for name, line in client.streams.items()
            ):
                continue
            fault.fired += 1
            self._strike(fault, client)

    def _strike(self, fault: fl.Fault, client: Client) -> None:
        if fault.kind == "disconnect":
            mode = fault.params["mode"]
            if mode == "close":
                self.close(client, fault.params["code"], "")
            elif mode == "abort":
                client.abort()
            else:
                client.reset()
        elif fault.kind == "stall":
            if fault.params["frames"]:
                client.stalled_frames = fault.params["frames"]
            else:
                client.stalled_until = time.monotonic() + fault.params["ms"] / 1000
            self._dirty[client.client_id] = client
        elif fault.kind == "half_open":
            client.half_open = True
            if fault.params["mode"] == "deaf":
                client.transport.pause_reading()
        elif fault.kind == "no_ping":
            client.no_ping = bool(fault.params["on"])
            client.ping_payloads.clear()
        elif fault.kind == "shutdown_notice":
            notice = self.family.shutdown_notice(time.time_ns() // 1000)
            self.send_now(client, notice.encoded(client.combined, client.micro))

    async def close_all(self) -> None:
        """Close every connection as a venue that goes away."""
        for client in list(self.clients.values()):
            self.close(client, _GOING_AWAY, "")
        if self._tasks:
            await asyncio.wait(set(self._tasks), timeout=1.0)
        for client in list(self.clients.values()):
            client.abort()


def _default(value: _Number | None, default: _Number) -> _Number:
    return default if value is None else value
