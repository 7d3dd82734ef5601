"""The REST interface of one family: weights, error shapes, snapshots, instrument lists."""

from __future__ import annotations

import asyncio
import base64
import json
import logging
import time
import zlib
from collections import Counter
from collections.abc import Awaitable, Callable

from aiohttp import web
from multidict import MultiMapping

from mdp.sim import faults as fl
from mdp.sim.families import Family
from mdp.sim.feed import Feed, SyntheticFeed
from mdp.sim.limits import Counters, WeightLedger
from mdp.sim.rest_market import Route, Weight, market_routes
from mdp.sim.rest_query import Query, RestError, requested_limit
from mdp.sim.wording import body

_log = logging.getLogger("mdp.sim")

_DELAY_POLL_S = 0.001
_UNKNOWN_TOLD = 100
_GZIP_FROM_BYTES = 256

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Answer = Callable[[web.Request], Awaitable[web.Response]]


def error_response(
    status: int, code: int, message: str, headers: dict[str, str] | None = None
) -> web.Response:
    """Return an error in the venue's form."""
    body = json.dumps({"code": code, "msg": message}, separators=(",", ":"))
    return web.Response(status=status, text=body, content_type="application/json", headers=headers)


def failure(fault: fl.Fault) -> web.Response:
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
        return error_response(status, -1003, message, headers)
    if status == 429:
        return error_response(status, -1003, "Too much request weight used.", headers)
    return error_response(status, -1000, "An unknown error occurred while processing the request.", headers)


async def struck(fault: fl.Fault, handler: Answer, request: web.Request) -> web.Response:
    """Return the answer to a request that a fault on REST has struck."""
    params = fault.params
    if fault.kind == "rest_body":
        return web.Response(
            body=base64.b64decode(params["body"]), status=params["status"], headers=params["headers"]
        )
    if fault.kind == "rest_coded":
        response = await handler(request)
        window = {"gzip": 31, "deflate": 15, "raw-deflate": -15}[params["coding"]]
        coder = zlib.compressobj(wbits=window)
        body = coder.compress((response.text or "").encode()) + coder.flush()
        headers = {"Content-Encoding": params["coding"].removeprefix("raw-")} if params["named"] else {}
        return web.Response(
            body=body[: len(body) - params["cut"]],
            status=response.status,
            headers={"Content-Type": "application/json", **headers},
        )
    return failure(fault)


def _json(text: str) -> web.Response:
    return web.Response(text=text, content_type="application/json")


def _takes_gzip(request: web.Request) -> bool:
    """Return whether the client lists gzip, or anything, in Accept-Encoding without forbidding it."""
    weights: dict[str, bool] = {}
    for part in request.headers.get("Accept-Encoding", "").split(","):
        name, _, parameter = part.strip().lower().partition(";")
        weights[name.strip()] = parameter.replace(" ", "").rstrip("0") not in ("q=", "q=0.")
    return weights.get("gzip", weights.get("*", False))


def _compress(request: web.Request, response: web.Response) -> None:
    """Compress a body that is worth it, for a client that takes gzip, unless a fault has encoded it."""
    content = response.body
    if (
        not isinstance(content, bytes)
        or len(content) < _GZIP_FROM_BYTES
        or "Content-Encoding" in response.headers
    ):
        return
    response.headers["Vary"] = "Accept-Encoding"
    if _takes_gzip(request):
        response.enable_compression(web.ContentCoding.gzip)


class Rest:
    """Answers requests from a feed.

    Parameters
    ----------
    family : Family
        Paths, weights and parameters.
    feed : Feed
        Where the data come from.
    faults : FaultTable
        What may strike.
    ledger : WeightLedger
        Budget, shared by families of one pool.
    counters : Counters
        What clients did.

    Attributes
    ----------
    requests : int
        Since the start, refused ones included.
    """

    def __init__(
        self, family: Family, feed: Feed, faults: fl.FaultTable, ledger: WeightLedger, counters: Counters
    ) -> None:
        self._family = family
        self._feed = feed
        self._faults = faults
        self._ledger = ledger
        self._counters = counters
        self._snapshots: Counter[str] = Counter()  # by symbol; the empty one is the total
        self._unknown: set[str] = set()
        self.requests = 0

    @property
    def snapshots(self) -> dict[str, int]:
        """How many depth snapshots were asked for, by symbol; those refused for their weight do not count."""
        return {symbol: count for symbol, count in self._snapshots.items() if symbol}

    def routes(self) -> list[tuple[str, Handler]]:
        """Return path and handler of every GET and HEAD, with and without a slash at the end."""
        bases = self._family.rest_bases
        handlers = {
            f"{base}/{name}": handler
            for name, handler in (
                ("ping", self._charged(1, self._ping)),
                ("time", self._charged(1, self._time)),
                ("exchangeInfo", self._charged(self._family.info_weight, self._exchange_info)),
                ("depth", self._charged(self._depth_cost, self._depth)),
            )
            for base in bases
        }
        if isinstance(self._feed, SyntheticFeed):  # a recording knows nothing of what was traded before it
            for path, route in market_routes(self._family, self._feed.view).items():
                handlers[path] = self._charged(route.weight, self._answering(route))
        return [(path + end, handler) for path, handler in handlers.items() for end in ("", "/")]

    @property
    def unknown(self) -> Handler:
        """What answers every other path and method, as the venue does; the log says each once."""
        return self._charged(0, self._unknown_route)

    def _charged(self, weight: int | Weight, handler: Answer) -> Handler:
        """Wrap a handler with weight ledger, error form, and what every answer has."""

        async def wrapped(request: web.Request) -> web.Response:
            self.requests += 1
            pool = self._family.weight_pool
            address = request.remote or ""
            cost = weight if isinstance(weight, int) else weight(request.query)
            self._counters.request(pool, cost)
            refusal = self._ledger.charge(address, cost)
            used = str(self._ledger.used(address))
            if refusal is not None:
                headers = {"Retry-After": str(refusal.retry_after_s)}
                response = error_response(refusal.status, -1003, refusal.message, headers)
            else:
                try:
                    fault = self._faults.first(fl.REST, self._family.name, request.path.rpartition("/")[2])
                    response = await struck(fault, handler, request) if fault else await handler(request)
                except RestError as error:
                    response = error_response(error.status, error.code, error.message)
            if response.status in (418, 429):
                retry_after = int(response.headers.get("Retry-After", "0"))
                self._counters.refused(pool, response.status, retry_after)
            response.headers["X-MBX-USED-WEIGHT"] = used
            response.headers["X-MBX-USED-WEIGHT-1M"] = used
            _compress(request, response)
            return response

        return wrapped

    def _depth_cost(self, query: MultiMapping[str]) -> int:
        return self._family.depth_weight(requested_limit(query, self._family.depth_default))

    def _query(self, request: web.Request, *names: str) -> Query:
        return Query(request.query, names, self._feed.symbols)

    def _micro(self, request: web.Request) -> bool:
        """Return whether times are wanted in microseconds, which spot alone offers."""
        unit = request.headers.get("X-MBX-TIME-UNIT", "").upper()
        return unit == "MICROSECOND" and not self._family.futures

    def _answering(self, route: Route) -> Callable[[web.Request], Awaitable[web.Response]]:
        async def answer(request: web.Request) -> web.Response:
            if route.keyed and not request.headers.get("X-MBX-APIKEY"):
                raise RestError(401, -2014, "API-key format invalid.")
            found = route.answer(self._query(request, *route.names))
            return _json(body(found, micro=self._micro(request)))

        return answer

    async def _unknown_route(self, request: web.Request) -> web.Response:
        # The path is the client's text: what is logged of it is cut, and its control characters are escaped.
        asked = f"{request.method} {request.path[:100]!a}"
        if asked not in self._unknown and len(self._unknown) < _UNKNOWN_TOLD:
            self._unknown.add(asked)
            _log.warning(
                "%s: no such route here: %s (docs/sim.md lists the routes)", self._family.name, asked
            )
        if self._family.futures:
            message = f"Path {request.path}, Method {request.method} is invalid"
            return error_response(404, -5000, message)
        return web.Response(status=404)

    async def _ping(self, request: web.Request) -> web.Response:
        self._query(request)
        return _json("{}")

    async def _time(self, request: web.Request) -> web.Response:
        self._query(request)
        divisor = 1000 if self._micro(request) else 1_000_000
        return _json(f'{{"serverTime":{time.time_ns() // divisor}}}')

    async def _exchange_info(self, request: web.Request) -> web.Response:
        if self._family.futures:  # which has no filters
            self._query(request)
            return _json(self._feed.exchange_info(None))
        query = self._query(request, "symbol", "symbols", "permissions", "symbolStatus", "showPermissionSets")
        wanted = query.symbols()
        if request.query.get("symbolStatus", "TRADING") != "TRADING":
            wanted = []
        return _json(self._feed.exchange_info(wanted))

    async def _depth(self, request: web.Request) -> web.Response:
        family = self._family
        query = self._query(request, "symbol", "limit", *(() if family.futures else ("symbolStatus",)))
        symbol = query.symbol()
        query.check_status()
        limit = query.limit(family.depth_default, family.depth_weights[-1][0], allowed=family.depth_limits)

        self._snapshots.update(("", symbol))
        for counted in ("", symbol):
            self._faults.happened("snapshot", self._family.name, self._snapshots[counted], counted)
        struck = self._faults.snapshot_faults(self._family.name, symbol)
        by_kind = {fault.kind: fault for fault in struck}
        if "snapshot_unknown" in by_kind:
            raise RestError(400, -1121, "Invalid symbol.")
        failing = by_kind.get("snapshot_error")
        if failing is not None:
            response = failure(failing)
        else:
            stale, wrong = (
                sum(fault.params["updates"] for fault in struck if fault.kind == kind)
                for kind in ("snapshot_stale", "snapshot_mislabeled")
            )
            response = _json(await self._feed.snapshot(symbol, limit, stale, wrong))
        if "snapshot_truncate" in by_kind and response.text:
            response = _json(response.text[: len(response.text) * 2 // 3])
        for fault in struck:
            if fault.kind == "snapshot_delay_ms":
                await self._delay(symbol, fault)
        return response

    async def _delay(self, symbol: str, fault: fl.Fault) -> None:
        updates = fault.params["updates"]
        if not updates:
            await asyncio.sleep(fault.params["ms"] / 1000)
            return
        until = self._feed.updates(symbol) + updates
        while self._feed.updates(symbol) < until:
            await asyncio.sleep(_DELAY_POLL_S)
