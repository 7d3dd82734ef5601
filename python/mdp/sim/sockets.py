"""The WebSocket interface of one family: handshakes, and what clients send."""

from __future__ import annotations

import asyncio
import time

from aiohttp import WSMsgType, web

from mdp.sim import faults as fl
from mdp.sim.client import Client
from mdp.sim.hub import Hub
from mdp.sim.limits import SlidingWindow
from mdp.sim.rest import Handler, error_response, failure
from mdp.sim.wire.protocol import RestError

_CONNECT_WINDOW_S = 300.0


class Sockets:
    """Takes connections for a hub.

    Parameters
    ----------
    hub : Hub
        Whose clients they become.
    """

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._attempts: dict[str, SlidingWindow] = {}

    def routes(self) -> list[tuple[str, Handler]]:
        """Return path and handler of every GET."""
        return [(path, self._websocket) for path in self._hub.family.paths()]

    async def _websocket(self, request: web.Request) -> web.StreamResponse:
        hub = self._hub
        refused = await self._refused(request)
        if refused is not None:
            hub.counters.connects_refused += 1
            return refused
        try:
            asked = hub.family.open(request)
            if len(asked.streams) > hub.options.max_streams:
                hub.counters.violations["streams"] += 1
                raise hub.family.too_many_streams(hub.options.max_streams)
        except RestError as error:
            return error_response(hub.family, error)

        # Pings and pongs are answered here: they count against the message limit, and faults hold them back.
        ws = web.WebSocketResponse(autoping=False, compress=False, timeout=1.0, max_msg_size=1 << 20)
        await ws.prepare(request)
        transport = request.transport
        if transport is None:  # gone during the handshake
            return ws
        client = hub.add(ws, transport, asked.route, asked.combined, asked.micro)
        silent = {
            name
            for name in asked.streams
            for fault in hub.subscribe_faults(name)
            if fault.kind == "subscribe_silent"
        }
        hub.subscribe(client, asked.streams, silent)
        hub.faults.happened("connection", hub.family.name, hub.connections)
        try:
            await self._receive(client)
        finally:
            hub.remove(client)
        return ws

    async def _refused(self, request: web.Request) -> web.Response | None:
        """Return why a handshake is turned away, if it is; a stalled one never returns."""
        hub = self._hub
        options = hub.options
        window = self._attempts.setdefault(
            request.remote or "", SlidingWindow(options.connects_per_5_min, _CONNECT_WINDOW_S)
        )
        if not window.allow(time.monotonic()):
            hub.counters.violations["connects"] += 1
            if options.strict:
                return error_response(hub.family, hub.family.too_many_connects())
        fault = hub.faults.first(fl.HANDSHAKE, hub.family.name)
        if fault is None:
            return None
        if fault.kind == "upgrade_stall":
            await asyncio.Event().wait()  # until the client goes, which cancels the handler
        return failure(hub.family, fault)

    async def _receive(self, client: Client) -> None:
        hub = self._hub
        async for message in client.ws:
            # Also without answering, messages must be taken, or a closing handshake would not be seen.
            if client.half_open or client.closed or not hub.on_message(client):
                continue
            if message.type == WSMsgType.TEXT:
                hub.on_text(client, message.data)
            elif message.type == WSMsgType.PING:
                hub.on_ping(client, bytes(message.data))
            elif message.type == WSMsgType.PONG:
                hub.on_pong(client, bytes(message.data))
            elif message.type == WSMsgType.BINARY:
                hub.on_text(client, "")
