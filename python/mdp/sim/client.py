"""One WebSocket connection of a client, as the sim's side sees it."""

from __future__ import annotations

import asyncio
import socket
import struct
import time
from collections import deque
from typing import Any

from aiohttp import web

from mdp.sim.limits import SlidingWindow

SILENT = -1
"""Line of a stream that is acked and never sent."""


class Client:
    """One WebSocket connection.

    Bytes wait in `_pending` until the hub flushes them and then in the transport's buffer; both together are
    bounded by ``client_buffer_bytes``. Full policy: the connection is cut, as a venue cuts a slow client.

    Attributes
    ----------
    client_id : int
        Ordinal of the connection on its family, from 1.
    route : str
        Prefix of the path it came by.
    combined, micro : bool
        Its framing and its time unit.
    messages : SlidingWindow
        How many it may send.
    streams : dict of str to int
        What it has subscribed, and as which line: see `Hub.subscribe`.
    held, lagging
        Frames that faults hold back: by stream, and in order.
    unread : list of str
        Requests that a fault leaves for the next ping.
    """

    def __init__(
        self,
        client_id: int,
        ws: web.WebSocketResponse,
        transport: asyncio.Transport,
        route: str,
        combined: bool,
        micro: bool,
        messages: SlidingWindow,
    ) -> None:
        self.client_id = client_id
        self.ws = ws
        self.transport = transport
        self.route = route
        self.combined = combined
        self.micro = micro
        self.messages = messages
        self.streams: dict[str, int] = {}
        self.closed = False
        self.half_open = False
        self.no_ping = False
        self.stalled_until = 0.0
        self.stalled_frames = 0
        self.held: dict[str, list[bytes]] = {}
        self.lagging: deque[bytes] = deque()
        self.unread: list[str] = []
        self.frames_sent = 0
        self.pings_sent = 0
        self.pings_received = 0
        self.pongs_received = 0
        self.opened = self.last_ping = time.monotonic()
        self.ping_payloads: dict[bytes, float] = {}
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
        # A TLS transport that was closed twice, by a fault and then by aiohttp, cannot be asked any more.
        if self.transport.is_closing():
            return self._pending_bytes
        return self._pending_bytes + self.transport.get_write_buffer_size()

    def stalled(self, now: float) -> bool:
        """Return whether a stall holds everything back."""
        if len(self._pending) >= self.stalled_frames:
            self.stalled_frames = 0
        return self.stalled_frames > 0 or now < self.stalled_until

    def flush(self, now: float) -> None:
        """Hand pending bytes to the transport unless the connection is stalled."""
        if self.closed or not self._pending or self.stalled(now):
            return
        data = b"".join(self._pending)
        self._pending.clear()
        self._pending_bytes = 0
        if not self.transport.is_closing():
            self.transport.write(data)

    def end_stall(self) -> None:
        """Let go whatever a stall holds."""
        self.stalled_until = 0.0
        self.stalled_frames = 0

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
            "route": self.route,
            "combined": self.combined,
            "subscriptions": list(self.streams),
            "lines": dict(self.streams),
            "framesSent": self.frames_sent,
            "unsentBytes": self.unsent_bytes,
            "pingsSent": self.pings_sent,
            "pingsReceived": self.pings_received,
            "pongsReceived": self.pongs_received,
        }
