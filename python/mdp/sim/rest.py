"""The REST interface of one family: weights, error shapes, snapshots, instrument lists."""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections import Counter
from collections.abc import Awaitable, Callable

from aiohttp import web
from multidict import MultiMapping

from mdp.sim import faults as fl
from mdp.sim.families import Family
from mdp.sim.feed import Feed, RestError
from mdp.sim.limits import Counters, WeightLedger

_SYMBOL = r"[\w.-]{1,20}"
_SYMBOL_RE = re.compile(_SYMBOL)
_LIMIT_RE = re.compile(r"[0-9]{1,20}")
_DELAY_POLL_S = 0.001

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


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
        self.requests = 0

    @property
    def snapshots(self) -> dict[str, int]:
        """How many depth snapshots were asked for, by symbol; those refused for their weight do not count."""
        return {symbol: count for symbol, count in self._snapshots.items() if symbol}

    def routes(self) -> list[tuple[str, Handler]]:
        """Return path and handler of every GET."""
        handlers = [
            ("ping", self._charged(1, self._ping)),
            ("time", self._charged(1, self._time)),
            ("exchangeInfo", self._charged(self._family.info_weight, self._exchange_info)),
            ("depth", self._charged(0, self._depth)),
        ]
        return [(f"{base}/{name}", handler) for base in self._family.rest_bases for name, handler in handlers]

    def _charged(self, weight: int, handler: Callable[[web.Request], Awaitable[web.Response]]) -> Handler:
        """Wrap a handler with weight ledger and error form; weight 0 = depends on the limit."""

        async def wrapped(request: web.Request) -> web.Response:
            self.requests += 1
            pool = self._family.weight_pool
            address = request.remote or ""
            cost = weight or self._depth_cost(request)
            self._counters.request(pool, cost)
            refusal = self._ledger.charge(address, cost)
            used = str(self._ledger.used(address))
            if refusal is not None:
                headers = {"Retry-After": str(refusal.retry_after_s)}
                response = error_response(refusal.status, -1003, refusal.message, headers)
            else:
                try:
                    fault = self._faults.first(fl.REST, self._family.name)
                    response = failure(fault) if fault else await handler(request)
                except RestError as error:
                    response = error_response(error.status, error.code, error.message)
            if response.status in (418, 429):
                retry_after = int(response.headers.get("Retry-After", "0"))
                self._counters.refused(pool, response.status, retry_after)
            response.headers["X-MBX-USED-WEIGHT"] = used
            response.headers["X-MBX-USED-WEIGHT-1M"] = used
            return response

        return wrapped

    def _depth_cost(self, request: web.Request) -> int:
        limit = request.query.get("limit", "")
        known = int(limit) if _LIMIT_RE.fullmatch(limit) else self._family.depth_default
        return self._family.depth_weight(known)

    async def _ping(self, request: web.Request) -> web.Response:
        _check_names(request.query, ())
        return _json("{}")

    async def _time(self, request: web.Request) -> web.Response:
        _check_names(request.query, ())
        unit = request.headers.get("X-MBX-TIME-UNIT", "").upper()
        micro = unit == "MICROSECOND" and not self._family.futures
        return _json(f'{{"serverTime":{time.time_ns() // (1000 if micro else 1_000_000)}}}')

    async def _exchange_info(self, request: web.Request) -> web.Response:
        query = request.query
        if self._family.futures:  # which has no filters
            _check_names(query, ())
            return _json(self._feed.exchange_info(None))
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
            self._feed.exchange_info(None if wanted is None else [self._symbol(name) for name in wanted])
        )

    def _symbol(self, name: str) -> str:
        if not _SYMBOL_RE.fullmatch(name):
            raise _illegal("symbol", _SYMBOL)
        if name not in self._feed.symbols:
            raise RestError(400, -1121, "Invalid symbol.")
        return name

    def _limit(self, text: str) -> int:
        family = self._family
        if not _LIMIT_RE.fullmatch(text) or int(text) < 1:
            raise _illegal("limit", "[0-9]{1,20}")
        if family.depth_limits and int(text) not in family.depth_limits:
            raise RestError(400, -1130, "Data sent for parameter 'limit' is not valid.")
        return min(int(text), family.depth_weights[-1][0])

    async def _depth(self, request: web.Request) -> web.Response:
        query = request.query
        _check_names(
            query, ("symbol", "limit") if self._family.futures else ("symbol", "limit", "symbolStatus")
        )
        if not query.get("symbol"):
            raise RestError(
                400, -1102, "Mandatory parameter 'symbol' was not sent, was empty/null, or malformed."
            )
        symbol = self._symbol(query["symbol"])
        if query.get("symbolStatus", "TRADING") != "TRADING":
            raise RestError(400, -1220, "The symbol's status does not match the requested symbolStatus.")
        limit = self._limit(query.get("limit", str(self._family.depth_default)))

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
