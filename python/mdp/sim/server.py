"""The embedded exchange: the venue's REST and WebSocket interface on one TLS port.

`SimServer` wires the parts: a `Feed` (synthetic or recorded) publishes into the `Hub`, which fans out to
WebSocket clients; REST requests are answered from the same feed. Paths below ``/sim/`` are no venue's: they
let a test in another process ask for the truth and arm faults.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import re
import shutil
import tempfile
import time
from collections.abc import Awaitable, Callable
from typing import Any, final

from aiohttp import WSMsgType, web
from multidict import MultiMapping

from mdp.sim import faults as fl
from mdp.sim.feed import Feed, RestError, SyntheticFeed
from mdp.sim.hub import Client, Hub
from mdp.sim.limits import SlidingWindow, WeightLedger
from mdp.sim.market import Market
from mdp.sim.options import SimOptions
from mdp.sim.replay import ReplayFeed
from mdp.sim.tls import TlsFiles, create_tls, ensure_tls

_log = logging.getLogger("mdp.sim")

_SYMBOL = r"[\w.-]{1,20}"
_SYMBOL_RE = re.compile(_SYMBOL)
_LIMIT_RE = re.compile(r"[0-9]{1,20}")
_MAX_DEPTH = 5000
_DEPTH_WEIGHTS = ((100, 5), (500, 25), (1000, 50), (_MAX_DEPTH, 250))

_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def depth_weight(limit: int) -> int:
    """Return the request weight of a depth snapshot of `limit` levels."""
    return next(weight for bound, weight in _DEPTH_WEIGHTS if min(limit, _MAX_DEPTH) <= bound)


def _error(status: int, code: int, message: str, headers: dict[str, str] | None = None) -> web.Response:
    body = json.dumps({"code": code, "msg": message}, separators=(",", ":"))
    return web.Response(status=status, text=body, content_type="application/json", headers=headers)


def _json(text: str) -> web.Response:
    return web.Response(text=text, content_type="application/json")


def _illegal(name: str, pattern: str) -> RestError:
    return RestError(
        400, -1100, f"Illegal characters found in parameter '{name}'; legal range is '^{pattern}$'."
    )


def _check_names(query: MultiMapping[str], allowed: tuple[str, ...]) -> None:
    names = set(query.keys())
    if len(names) < len(query):
        raise RestError(400, -1101, "Duplicate values for a parameter detected.")
    if not names <= set(allowed):
        read = len(names & set(allowed))
        raise RestError(
            400,
            -1104,
            f"Not all sent parameters were read; read '{read}' parameter(s) but was sent '{len(names)}'.",
        )


@final
class SimServer:
    """One running sim.

    Use it with ``async with`` inside an event loop, or from another process with
    `mdp.sim.start_sim_process`.

    Parameters
    ----------
    options : SimOptions, optional
        Settings; defaults are the venue's.

    Attributes
    ----------
    options : SimOptions
    hub : Hub
        Connections and subscriptions.
    faults : FaultTable
        Armed faults.
    feed : Feed
        Source of market data.
    host, port : str, int
        Where it listens, once started.
    tls_files : TlsFiles or None
        Certificates, once started; None without TLS.
    """

    def __init__(self, options: SimOptions | None = None) -> None:
        self.options = options or SimOptions()
        self.faults = fl.FaultTable()
        self.hub = Hub(self.options, self.faults)
        self.feed: Feed
        if self.options.replay is None:
            self.feed = SyntheticFeed(self.options, self.hub)
        else:
            self.feed = ReplayFeed(self.options, self.hub)
        self.host = self.options.host
        self.port = self.options.port
        self.tls_files: TlsFiles | None = None
        self.rest_requests = 0
        self._ledger = WeightLedger(self.options.weight_limit, self.options.ban_after)
        self._connects = SlidingWindow(self.options.connects_per_5_min, 300.0)
        self._temporary_dir: str | None = None
        self._runner: web.AppRunner | None = None
        self._tasks: list[asyncio.Task[None]] = []

    # ------------------------------------------------------------------ life

    async def __aenter__(self) -> SimServer:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    @property
    def ca_file(self) -> str | None:
        """Path of the certificate a client must trust; None without TLS."""
        return str(self.tls_files.ca_file) if self.tls_files else None

    @property
    def rest_url(self) -> str:
        """Base address of the REST interface, without a trailing slash."""
        return f"http{'s' if self.options.tls else ''}://{_url_host(self.host)}:{self.port}"

    @property
    def ws_url(self) -> str:
        """Base address of the WebSocket interface, without a trailing slash."""
        return f"ws{'s' if self.options.tls else ''}://{_url_host(self.host)}:{self.port}"

    def market(self, symbol: str) -> Market:
        """Return the synthetic market of a symbol.

        Raises
        ------
        LookupError
            In a replay, or if there is no such symbol.
        """
        if isinstance(self.feed, SyntheticFeed):
            return self.feed.markets[symbol]
        raise LookupError("a replay has no synthetic market")

    async def start(self) -> None:
        """Listen, and let the market run.

        Raises
        ------
        OSError
            If the address cannot be bound.
        """
        context = None
        if self.options.tls:
            directory = self.options.tls_dir
            if directory is None:
                directory = self._temporary_dir = tempfile.mkdtemp(prefix="mdp-sim-tls-")
            if self.options.tls_flavour == "good":
                self.tls_files = ensure_tls(directory)
            else:
                self.tls_files = create_tls(directory, self.options.tls_flavour)
            context = self.tls_files.server_context()
        try:
            self._runner = web.AppRunner(
                self._app(), access_log=None, handle_signals=False, shutdown_timeout=1.0
            )
            await self._runner.setup()
            site = web.TCPSite(self._runner, self.options.host, self.options.port, ssl_context=context)
            await site.start()
            self.port = self._runner.addresses[0][1]
            loop = asyncio.get_running_loop()
            for coroutine in (self.feed.run(), self._keep_alive()):
                task = loop.create_task(coroutine)
                task.add_done_callback(_report_crash)
                self._tasks.append(task)
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        """Close every connection, stop listening and remove temporary certificates."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks.clear()
        await self.hub.close_all()
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None
        if self._temporary_dir is not None:
            shutil.rmtree(self._temporary_dir, ignore_errors=True)
            self._temporary_dir = None

    async def _keep_alive(self) -> None:
        period = max(0.01, min(1.0, self.options.ping_interval_s / 8, self.options.pong_timeout_s / 8))
        while True:
            self.hub.keep_alive(time.monotonic())
            await asyncio.sleep(period)

    def _app(self) -> web.Application:
        app = web.Application(client_max_size=1 << 20)
        routes: list[tuple[str, str, _Handler]] = [
            ("GET", "/sim/truth", self._truth),
            ("GET", "/sim/status", self._status),
            ("POST", "/sim/fault", self._post_fault),
            ("GET", "/sim/fault", self._get_faults),
            ("DELETE", "/sim/fault", self._delete_faults),
        ]
        # v1 is what sessions of 2021 used; fapi and dapi serve replays of the futures venues.
        for base in ("/api/v3", "/api/v1", "/fapi/v1", "/dapi/v1"):
            routes += [
                ("GET", f"{base}/ping", self._rest(1, self._ping)),
                ("GET", f"{base}/time", self._rest(1, self._time)),
                ("GET", f"{base}/exchangeInfo", self._rest(20, self._exchange_info)),
                ("GET", f"{base}/depth", self._rest(0, self._depth)),
            ]
        for base in ("", "/public", "/market"):
            routes += [
                ("GET", f"{base}/ws", self._websocket),
                ("GET", f"{base}/ws/{{streams:.+}}", self._websocket),
                ("GET", f"{base}/stream", self._websocket),
            ]
        for method, path, handler in routes:
            app.router.add_route(method, path, handler)
        return app

    # ------------------------------------------------------------------ REST

    def _rest(self, weight: int, handler: Callable[[web.Request], Awaitable[web.Response]]) -> _Handler:
        """Wrap a handler with weight ledger and error form; weight 0 = depends on the limit."""

        async def wrapped(request: web.Request) -> web.Response:
            self.rest_requests += 1
            address = request.remote or ""
            cost = weight or self._depth_cost(request)
            refusal = self._ledger.charge(address, cost)
            used = str(self._ledger.used(address))
            if refusal is not None:
                response = _error(
                    refusal.status, -1003, refusal.message, {"Retry-After": str(refusal.retry_after_s)}
                )
            else:
                try:
                    response = await handler(request)
                except RestError as error:
                    response = _error(error.status, error.code, error.message)
            response.headers["X-MBX-USED-WEIGHT"] = used
            response.headers["X-MBX-USED-WEIGHT-1M"] = used
            return response

        return wrapped

    @staticmethod
    def _depth_cost(request: web.Request) -> int:
        limit = request.query.get("limit", "")
        return depth_weight(int(limit)) if _LIMIT_RE.fullmatch(limit) else depth_weight(100)

    async def _ping(self, request: web.Request) -> web.Response:
        _check_names(request.query, ())
        return _json("{}")

    async def _time(self, request: web.Request) -> web.Response:
        _check_names(request.query, ())
        micro = request.headers.get("X-MBX-TIME-UNIT", "").upper() == "MICROSECOND"
        return _json(f'{{"serverTime":{time.time_ns() // (1000 if micro else 1_000_000)}}}')

    async def _exchange_info(self, request: web.Request) -> web.Response:
        query = request.query
        _check_names(query, ("symbol", "symbols", "permissions", "symbolStatus", "showPermissionSets"))
        if "symbol" in query and "symbols" in query:
            raise RestError(400, -1128, "Combination of optional parameters invalid.")
        wanted: list[str] | None = None
        if "symbol" in query:
            wanted = [query["symbol"]]
        elif "symbols" in query:
            pattern = f'\\[("{_SYMBOL}"(,"{_SYMBOL}"){{0,}}){{0,1}}\\]'
            if not re.fullmatch(pattern, query["symbols"]):
                raise _illegal("symbols", pattern)
            wanted = json.loads(query["symbols"])
        if query.get("symbolStatus", "TRADING") != "TRADING":
            wanted = []
        return _json(
            self.feed.exchange_info(None if wanted is None else [self._symbol(name) for name in wanted])
        )

    def _symbol(self, name: str) -> str:
        if not _SYMBOL_RE.fullmatch(name):
            raise _illegal("symbol", _SYMBOL)
        if name not in self.feed.symbols:
            raise RestError(400, -1121, "Invalid symbol.")
        return name

    async def _depth(self, request: web.Request) -> web.Response:
        query = request.query
        _check_names(query, ("symbol", "limit", "symbolStatus"))
        if not query.get("symbol"):
            raise RestError(
                400, -1102, "Mandatory parameter 'symbol' was not sent, was empty/null, or malformed."
            )
        symbol = self._symbol(query["symbol"])
        if query.get("symbolStatus", "TRADING") != "TRADING":
            raise RestError(400, -1220, "The symbol's status does not match the requested symbolStatus.")
        limit_text = query.get("limit", "100")
        if not _LIMIT_RE.fullmatch(limit_text) or int(limit_text) < 1:
            raise _illegal("limit", "[0-9]{1,20}")
        limit = min(int(limit_text), _MAX_DEPTH)

        struck = self.faults.snapshot_faults(symbol)
        stale = sum(fault.params["updates"] for fault in struck if fault.kind == "snapshot_stale")
        failing = next((fault for fault in struck if fault.kind == "snapshot_error"), None)
        response = _failure(failing) if failing else _json(await self.feed.snapshot(symbol, limit, stale))
        for fault in struck:
            if fault.kind == "snapshot_truncate" and response.text:
                response = _json(response.text[: len(response.text) * 2 // 3])
        for fault in struck:
            if fault.kind == "snapshot_delay_ms":
                await asyncio.sleep(fault.params["ms"] / 1000)
        return response

    # ------------------------------------------------------------------ WebSocket

    async def _websocket(self, request: web.Request) -> web.StreamResponse:
        if self.options.strict and not self._connects.allow(time.monotonic()):
            return _error(
                429, -1034, "Too many concurrent connections; current limit is '300 per 5 minutes'."
            )
        refused = self.faults.handshake_fault()
        if refused is not None:
            return _failure(refused)
        unit = request.query.get("timeUnit", "MILLISECOND").upper()
        if unit not in ("MILLISECOND", "MICROSECOND"):
            return _error(400, -1100, "Invalid timeUnit.")
        combined = "/stream" in request.path and "streams" not in request.match_info
        listed = request.query.get("streams", "") if combined else request.match_info.get("streams", "")
        streams = [name for name in listed.split("/") if name]
        if len(streams) > self.options.max_streams:
            return _error(400, -1100, f"More than {self.options.max_streams} streams.")

        # Pings and pongs are answered here: they count against the message limit, and faults hold them back.
        ws = web.WebSocketResponse(autoping=False, compress=False, timeout=1.0, max_msg_size=1 << 20)
        await ws.prepare(request)
        transport = request.transport
        if transport is None:  # gone during the handshake
            return ws
        client = self.hub.add(ws, transport, combined, unit == "MICROSECOND")
        self.hub.subscribe(client, streams)
        try:
            await self._receive(client)
        finally:
            self.hub.remove(client)
        return ws

    async def _receive(self, client: Client) -> None:
        hub = self.hub
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

    # ------------------------------------------------------------------ side path

    async def _truth(self, request: web.Request) -> web.Response:
        query = request.query
        try:
            symbol = query.get("symbol", "")
            if symbol not in self.feed.symbols:
                return web.json_response({"reason": f"unknown symbol {symbol!r}"}, status=404)
            update_id = int(query["updateId"]) if "updateId" in query else None
            depth = int(query.get("depth", "20"))
            if depth < 1:
                raise ValueError("depth must be positive")
            return web.json_response(self.feed.truth(symbol, update_id, depth))
        except ValueError as error:
            return web.json_response({"reason": str(error)}, status=400)
        except LookupError as error:
            return web.json_response({"reason": str(error)}, status=404)

    async def _status(self, _: web.Request) -> web.Response:
        hub = self.hub
        return web.json_response(
            {
                "clients": [client.report() for client in hub.clients.values()],
                "subscriptions": sum(len(client.streams) for client in hub.clients.values()),
                "framesSent": hub.frames_sent,
                "slowDisconnects": hub.slow_disconnects,
                "restRequests": self.rest_requests,
                **self.feed.status(),
            }
        )

    async def _post_fault(self, request: web.Request) -> web.Response:
        try:
            description = await request.json()
            if not isinstance(description, dict):
                raise fl.FaultError("a fault is a JSON object")
            fault = self.arm(description)
        except (json.JSONDecodeError, fl.FaultError) as error:
            return web.json_response({"error": str(error), "allowed": list(fl.FAULT_KINDS)}, status=400)
        except LookupError as error:
            return web.json_response({"error": str(error.args[0])}, status=409)
        return web.json_response(fault.report())

    def arm(self, description: dict[str, Any]) -> fl.Fault:
        """Arm a fault, or carry it out if it is of the kind that happens at once.

        Parameters
        ----------
        description : dict
            See `FaultTable.add`.

        Raises
        ------
        FaultError
            If the description is wrong.
        LookupError
            If the fault is impossible here, such as a burst of a recorded market.
        """
        if description.get("kind") == "snapshot_stale" and self.options.replay is not None:
            raise LookupError("a replay has no older snapshots than the recorded ones")
        fault = self.faults.add(description)
        scope = fl.FAULT_KINDS[fault.kind].scope
        if scope == fl.CONNECTION:
            self.hub.strike_connections(fault)
        elif scope == fl.MARKET:
            fault.remaining = 0
            symbol = fault.stream.split("@")[0].upper() if fault.symbol == "*" else fault.symbol
            fault.fired = self.feed.burst(symbol, fault.params["levels"])
        return fault

    async def _get_faults(self, _: web.Request) -> web.Response:
        return web.json_response(self.faults.report())

    async def _delete_faults(self, _: web.Request) -> web.Response:
        self.faults.clear()
        return web.json_response([])


def _failure(fault: fl.Fault) -> web.Response:
    """Return the error answer that a fault asks for."""
    status = fault.params["status"]
    retry_after = fault.params["retry_after"]
    headers = {"Retry-After": str(retry_after)} if retry_after else None
    if fault.params.get("html"):
        text = f"<html><head><title>{status}</title></head><body><h1>{status}</h1></body></html>"
        return web.Response(status=status, text=text, content_type="text/html", headers=headers)
    if status == 418:
        until_ms = int((time.time() + retry_after) * 1000)
        message = f"Way too much request weight used; IP banned until {until_ms}."
        return _error(status, -1003, message, headers)
    if status == 429:
        return _error(status, -1003, "Too much request weight used.", headers)
    return _error(status, -1000, "An unknown error occurred while processing the request.", headers)


def _url_host(host: str) -> str:
    if host in ("0.0.0.0", "::"):
        return "localhost"
    return f"[{host}]" if ":" in host else host


def _report_crash(task: asyncio.Task[None]) -> None:
    with contextlib.suppress(asyncio.CancelledError):
        error = task.exception()
        if error is not None:
            _log.error("sim task failed", exc_info=error)
