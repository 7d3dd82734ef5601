"""The REST interface of one family: weights, error shapes, snapshots, instrument lists."""

from __future__ import annotations

import asyncio
import base64
import logging
import time
import zlib
from collections import Counter
from collections.abc import Awaitable, Callable

from aiohttp import web

from mdp.sim import faults as fl
from mdp.sim.feed import Feed, SyntheticFeed
from mdp.sim.limits import Counters, WeightLedger
from mdp.sim.wire.protocol import RestError, Route, SnapshotRoute, Weight, Wire

_log = logging.getLogger("mdp.sim")

_DELAY_POLL_S = 0.001
_UNKNOWN_TOLD = 100
_GZIP_FROM_BYTES = 256

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Answer = Callable[[web.Request], Awaitable[web.Response]]


def error_response(family: Wire, error: RestError, headers: dict[str, str] | None = None) -> web.Response:
    """Return an error in the venue's form."""
    text, content_type = family.error(error)
    return web.Response(status=error.status, text=text, content_type=content_type, headers=headers)


def failure(family: Wire, fault: fl.Fault) -> web.Response:
    """Return the error answer that a fault asks for."""
    status = fault.params["status"]
    retry_after = fault.params["retry_after"]
    headers = {"Retry-After": str(retry_after)} if retry_after else None
    if fault.params.get("html"):
        text = f"<html><head><title>{status}</title></head><body><h1>{status}</h1></body></html>"
        return web.Response(status=status, text=text, content_type="text/html", headers=headers)
    until_ms = int((time.time() + retry_after) * 1000)
    return error_response(family, family.refusal(status, until_ms), headers)


async def struck(family: Wire, fault: fl.Fault, handler: Answer, request: web.Request) -> web.Response:
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
    return failure(family, fault)


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
    family : Wire
        Paths, weights and words.
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
        self, family: Wire, feed: Feed, faults: fl.FaultTable, ledger: WeightLedger, counters: Counters
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
        routes = dict(self._family.rest_routes(self._feed.symbols, self._feed.instrument_list))
        if isinstance(self._feed, SyntheticFeed):  # a recording knows nothing of what was traded before it
            routes |= self._feed.publisher.rest_routes(self._feed.symbols)
        handlers = {
            path: self._charged(route.weight, self._answering(route)) for path, route in routes.items()
        }
        return [(path + end, handler) for path, handler in handlers.items() for end in ("", "/")]

    @property
    def unknown(self) -> Handler:
        """What answers every other path and method, as the venue does; the log says each once."""
        return self._charged(lambda _: 0, self._unknown_route)

    def _charged(self, weight: Weight, handler: Answer) -> Handler:
        """Wrap a handler with weight ledger, error form, and what every answer has."""

        async def wrapped(request: web.Request) -> web.Response:
            self.requests += 1
            pool = self._family.weight_pool
            address = request.remote or ""
            cost = weight(request.query)
            self._counters.request(pool, cost)
            refusal = self._ledger.charge(address, cost)
            used = str(self._ledger.used(address))
            if refusal is not None:
                headers = {"Retry-After": str(refusal.retry_after_s)}
                error = self._family.refusal(refusal.status, message=refusal.message)
                response = error_response(self._family, error, headers)
            else:
                try:
                    fault = self._faults.first(fl.REST, self._family.name, request.path.rpartition("/")[2])
                    response = (
                        await struck(self._family, fault, handler, request)
                        if fault
                        else await handler(request)
                    )
                except RestError as refused:
                    response = error_response(self._family, refused)
            if response.status in (418, 429):
                retry_after = int(response.headers.get("Retry-After", "0"))
                self._counters.refused(pool, response.status, retry_after)
            for header in self._family.used_weight_headers:
                response.headers[header] = used
            _compress(request, response)
            return response

        return wrapped

    def _answering(self, route: Route | SnapshotRoute) -> Answer:
        async def answer(request: web.Request) -> web.Response:
            if isinstance(route, SnapshotRoute):
                return await self._snapshot(*route.asked(request))
            return _json(route.answer(request))

        return answer

    async def _unknown_route(self, request: web.Request) -> web.Response:
        # The path is the client's text: what is logged of it is cut, and its control characters are escaped.
        asked = f"{request.method} {request.path[:100]!a}"
        if asked not in self._unknown and len(self._unknown) < _UNKNOWN_TOLD:
            self._unknown.add(asked)
            _log.warning(
                "%s: no such route here: %s (docs/sim.md lists the routes)", self._family.name, asked
            )
        error = self._family.unknown_path(request.method, request.path)
        return web.Response(status=404) if error is None else error_response(self._family, error)

    async def _snapshot(self, symbol: str, limit: int) -> web.Response:
        self._snapshots.update(("", symbol))
        for counted in ("", symbol):
            self._faults.happened("snapshot", self._family.name, self._snapshots[counted], counted)
        struck = self._faults.snapshot_faults(self._family.name, symbol)
        by_kind = {fault.kind: fault for fault in struck}
        if "snapshot_unknown" in by_kind:
            raise self._family.unknown_symbol()
        failing = by_kind.get("snapshot_error")
        if failing is not None:
            response = failure(self._family, failing)
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
