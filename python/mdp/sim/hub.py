"""Connections, subscriptions, and the fan-out of frames to them.

All of it runs on the event loop of the sim. Frames go to the transport of a connection directly, already
encoded, and joined: one TLS record and one system call per client and market tick instead of one per frame.
"""

from __future__ import annotations

import asyncio
import json
import re
import socket
import struct
import time
from collections.abc import Iterable
from fnmatch import fnmatchcase
from typing import Any

from aiohttp import web

from mdp.sim import faults as fl
from mdp.sim.frames import OP_PING, OP_PONG, Frame, encode_ws, server_shutdown
from mdp.sim.limits import SlidingWindow
from mdp.sim.options import SimOptions

_METHODS = ("SUBSCRIBE", "UNSUBSCRIBE", "LIST_SUBSCRIPTIONS", "SET_PROPERTY", "GET_PROPERTY")
_ID_TEXT = re.compile(r"[A-Za-z0-9_-]{1,36}")
_POLICY_VIOLATION = 1008


def _malform(text: str) -> str:
    """Return `text` with one structural comma turned into ';', as near to the middle as there is one."""
    middle = len(text) // 2
    at = text.find(",", middle)
    if at < 0:
        at = text.rfind(",", 0, middle)
    return f"{text[:at]};{text[at + 1 :]}" if at >= 0 else text[:-1] + ";"


class Client:
    """One WebSocket connection.

    Bytes wait in `_pending` until the hub flushes them and then in the transport's buffer; both together are
    bounded by ``client_buffer_bytes``. Full policy: the connection is cut, as a venue cuts a slow client.
    """

    def __init__(
        self,
        client_id: int,
        ws: web.WebSocketResponse,
        transport: asyncio.Transport,
        combined: bool,
        micro: bool,
    ) -> None:
        self.client_id = client_id
        self.ws = ws
        self.transport = transport
        self.combined = combined
        self.micro = micro
        self.streams: dict[str, None] = {}
        self.closed = False
        self.half_open = False
        self.no_ping = False
        self.stalled_until = 0.0
        self.held: dict[str, list[bytes]] = {}
        self.frames_sent = 0
        self.pings_sent = 0
        self.pongs_received = 0
        self.last_ping = time.monotonic()
        self.ping_payloads: dict[bytes, float] = {}
        self.messages: SlidingWindow | None = None
        self._pending: list[bytes] = []
        self._pending_bytes = 0

    def queue(self, data: bytes) -> None:
        """Append encoded bytes; they leave with the next flush."""
        if not (self.closed or self.half_open):
            self._pending.append(data)
            self._pending_bytes += len(data)

    @property
    def unsent_bytes(self) -> int:
        """Bytes that the operating system has not taken yet."""
        # A TLS transport that both ends closed has no buffer to ask for any more (CPython 3.11, sslproto.py).
        if self.transport.is_closing():
            return self._pending_bytes
        return self._pending_bytes + self.transport.get_write_buffer_size()

    def flush(self, now: float) -> None:
        """Hand pending bytes to the transport unless the connection is stalled."""
        if self.closed or not self._pending or now < self.stalled_until:
            return
        data = b"".join(self._pending)
        self._pending.clear()
        self._pending_bytes = 0
        if not self.transport.is_closing():
            self.transport.write(data)

    def reset(self) -> None:
        """Cut the connection with a TCP reset."""
        sock = self.transport.get_extra_info("socket")
        if sock is not None:
            # Lingering for zero seconds turns the close into RST instead of FIN.
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.abort()

    def abort(self) -> None:
        """Drop the socket without a WebSocket closing frame."""
        self.closed = True
        self._pending.clear()
        self._pending_bytes = 0
        self.transport.abort()

    def report(self) -> dict[str, Any]:
        """Return the state as JSON-ready dict."""
        return {
            "id": self.client_id,
            "combined": self.combined,
            "subscriptions": list(self.streams),
            "framesSent": self.frames_sent,
            "unsentBytes": self.unsent_bytes,
            "pingsSent": self.pings_sent,
            "pongsReceived": self.pongs_received,
        }


class Hub:
    """All connections of a sim."""

    def __init__(self, options: SimOptions, faults: fl.FaultTable) -> None:
        self.options = options
        self.faults = faults
        self.clients: dict[int, Client] = {}
        self.streams: dict[str, dict[int, Client]] = {}
        self.frames_sent = 0
        self.slow_disconnects = 0
        self.subscribed = asyncio.Event()
        self.cut_slow_clients = True
        self._dirty: dict[int, Client] = {}
        self._next_id = 1
        self._any_held = False
        self._no_ping = False
        self._tasks: set[asyncio.Task[Any]] = set()

    # ------------------------------------------------------------------ connections

    def add(
        self, ws: web.WebSocketResponse, transport: asyncio.Transport, combined: bool, micro: bool
    ) -> Client:
        """Register a connection whose handshake is done."""
        client = Client(self._next_id, ws, transport, combined, micro)
        client.no_ping = self._no_ping
        if self.options.strict:
            client.messages = SlidingWindow(self.options.client_messages_per_s, 1.0)
        self._next_id += 1
        self.clients[client.client_id] = client
        return client

    def remove(self, client: Client) -> None:
        """Forget a connection; its streams lose a subscriber."""
        client.closed = True
        self.clients.pop(client.client_id, None)
        self._dirty.pop(client.client_id, None)
        for stream in list(client.streams):
            self.unsubscribe(client, [stream])

    def close(self, client: Client, code: int, reason: str) -> None:
        """Close with a closing frame, in the background."""
        if client.closed:
            return
        client.flush(float("inf"))
        client.closed = True
        task = asyncio.get_running_loop().create_task(client.ws.close(code=code, message=reason.encode()))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def subscribe(self, client: Client, streams: Iterable[str]) -> None:
        """Add streams to a connection; unknown names are kept and stay silent."""
        for stream in streams:
            client.streams[stream] = None
            self.streams.setdefault(stream, {})[client.client_id] = client
        if self.streams:
            self.subscribed.set()

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
        if client.messages is None or client.messages.allow(time.monotonic()):
            return True
        self.close(client, _POLICY_VIOLATION, "Too many requests")
        return False

    def on_text(self, client: Client, text: str) -> None:
        """Carry out a control message and answer it."""
        self.send_now(
            client, encode_ws(json.dumps(self._control(client, text), separators=(",", ":")).encode())
        )

    def on_ping(self, client: Client, payload: bytes) -> None:
        """Answer a ping of the client."""
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

    def _control(self, client: Client, text: str) -> dict[str, Any]:
        try:
            message = json.loads(text)
        except json.JSONDecodeError as error:
            return {
                "code": 3,
                "msg": f"Invalid JSON: expected value at line {error.lineno} column {error.colno}",
            }
        if not isinstance(message, dict):
            return {"code": 2, "msg": "Invalid request: expected an object"}
        extra = sorted(set(message) - {"method", "params", "id"})
        if extra:
            return {"code": 2, "msg": f"Invalid request: unknown field `{extra[0]}`"}
        request_id = message.get("id")
        if not _valid_id(request_id):
            return {"code": 2, "msg": "Invalid request: request ID must be an integer, a string or null"}
        if "method" not in message:
            return {"code": 2, "msg": "Invalid request: missing field `method`"}
        method = message["method"]
        if method not in _METHODS:
            expected = ", ".join(f"`{name}`" for name in _METHODS)
            return {
                "code": 2,
                "msg": f"Invalid request: unknown variant `{method}`, expected one of {expected}",
            }
        params = message.get("params", [])
        if not isinstance(params, list):
            return {"code": 2, "msg": "Invalid request: params must be an array"}
        if method == "LIST_SUBSCRIPTIONS":
            return {"result": list(client.streams), "id": request_id}
        if method.endswith("_PROPERTY"):
            return self._property(client, method, params, request_id)
        if not params or not all(isinstance(name, str) and name for name in params):
            return {"code": 2, "msg": "Invalid request: params must be stream names"}
        if method == "UNSUBSCRIBE":
            self.unsubscribe(client, params)
        elif len(client.streams.keys() | set(params)) > self.options.max_streams:
            return {"code": 2, "msg": f"Invalid request: more than {self.options.max_streams} streams"}
        else:
            self.subscribe(client, params)
        return {"result": None, "id": request_id}

    @staticmethod
    def _property(client: Client, method: str, params: list[Any], request_id: Any) -> dict[str, Any]:
        expected = 2 if method == "SET_PROPERTY" else 1
        if len(params) != expected or not isinstance(params[0], str):
            return {"code": 2, "msg": "Invalid request: property name must be a string"}
        if params[0] != "combined":
            return {"code": 0, "msg": "Unknown property", "id": request_id}
        if method == "GET_PROPERTY":
            return {"result": client.combined, "id": request_id}
        if not isinstance(params[1], bool):
            return {"code": 1, "msg": "Invalid value type: expected Boolean"}
        client.combined = params[1]
        return {"result": None, "id": request_id}

    # ------------------------------------------------------------------ fan-out

    def wanted(self, stream: str) -> bool:
        """Return whether anyone listens, so that nobody renders frames for nobody."""
        return stream in self.streams

    def publish(self, frame: Frame) -> None:
        """Queue a frame for every subscriber; `flush` sends it."""
        subscribers = self.streams.get(frame.stream)
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
        struck = [
            fault
            for fault in self.faults.frame_faults(frame.stream)
            if fault.kind != "wrong_level"
            and (not fault.client or fault.client in subscribers)
            and fault.strike()
        ]
        for client in list(subscribers.values()):
            released = client.held.pop(frame.stream, [])
            out = [frame.encoded(client.combined, client.micro)]
            cut = False
            for fault in struck:
                if fault.client in (0, client.client_id):
                    out, cut = self._apply(fault, frame, client, out, cut)
            for data in out + released:
                client.queue(data)
            client.frames_sent += len(out) + len(released)
            self.frames_sent += len(out) + len(released)
            self._dirty[client.client_id] = client
            if cut:
                client.flush(float("inf"))
                client.closed = True
                client.transport.close()
        self._any_held = any(client.held for client in self.clients.values())

    @staticmethod
    def _apply(
        fault: fl.Fault, frame: Frame, client: Client, out: list[bytes], cut: bool
    ) -> tuple[list[bytes], bool]:
        if fault.kind == "drop":
            return [], cut
        if fault.kind == "duplicate":
            return out + out, cut
        if fault.kind == "reorder":
            client.held[frame.stream] = out
            return [], cut
        text = frame.text(client.combined, client.micro)
        if fault.kind == "corrupt":
            return [encode_ws(_malform(text).encode())], cut
        if fault.params["mode"] == "frame":
            whole = encode_ws(text.encode())
            return [whole[: len(whole) * 2 // 3]], True
        return [encode_ws(text[: len(text) * 2 // 3].encode())], cut

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
            if client.closed or now >= client.stalled_until:
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

    def keep_alive(self, now: float) -> None:
        """Send the pings that are due and close connections that owe a pong for too long."""
        for client in list(self.clients.values()):
            if client.closed or client.half_open or client.no_ping:
                continue
            oldest = next(iter(client.ping_payloads.values()), now)
            if now - oldest > self.options.pong_timeout_s:
                self.close(client, _POLICY_VIOLATION, "Pong timeout")
            elif now - client.last_ping >= self.options.ping_interval_s:
                client.last_ping = now
                client.pings_sent += 1
                payload = str(time.time_ns() // 1_000_000).encode()
                client.ping_payloads[payload] = now
                self.send_now(client, encode_ws(payload, OP_PING))

    def strike_connections(self, fault: fl.Fault) -> None:
        """Apply a connection fault to the connections selected: all, one, or those with a certain stream."""
        if fault.kind == "no_ping" and not fault.client and fault.stream == "*":
            self._no_ping = bool(fault.params["on"])
        for client in list(self.clients.values()):
            if fault.client not in (0, client.client_id):
                continue
            if fault.stream != "*" and not any(fnmatchcase(name, fault.stream) for name in client.streams):
                continue
            fault.fired += 1
            self._strike(fault, client)
        fault.remaining = 0

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
            client.stalled_until = time.monotonic() + fault.params["ms"] / 1000
            self._dirty[client.client_id] = client
        elif fault.kind == "half_open":
            client.half_open = True
        elif fault.kind == "no_ping":
            client.no_ping = bool(fault.params["on"])
            client.ping_payloads.clear()
        elif fault.kind == "shutdown_notice":
            notice = server_shutdown(time.time_ns() // 1000)
            self.send_now(client, notice.encoded(client.combined, client.micro))

    async def close_all(self) -> None:
        """Close every connection as a venue that goes away."""
        for client in list(self.clients.values()):
            self.close(client, 1001, "")
        if self._tasks:
            await asyncio.wait(set(self._tasks), timeout=1.0)
        for client in list(self.clients.values()):
            client.abort()


def _valid_id(value: Any) -> bool:
    if value is None:
        return True
    if isinstance(value, bool):
        return False
    if isinstance(value, int):
        return -(2**63) <= value < 2**63
    return isinstance(value, str) and _ID_TEXT.fullmatch(value) is not None
