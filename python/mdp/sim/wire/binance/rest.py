"""REST routes that every family has, whatever its market is: pings, times, instruments, depth snapshots."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from mdp.sim.wire.binance.rest_market import Route as MarketRoute
from mdp.sim.wire.binance.rest_query import Query, requested_limit
from mdp.sim.wire.binance.wording import body
from mdp.sim.wire.protocol import RestError, Route, SnapshotRoute

if TYPE_CHECKING:
    from aiohttp import web

    from mdp.sim.wire.binance.families import Family


def micro_wanted(request: web.Request, *, offered: bool) -> bool:
    """Return whether times are wanted in microseconds, where they are offered."""
    return offered and request.headers.get("X-MBX-TIME-UNIT", "").upper() == "MICROSECOND"


def common_routes(
    family: Family, symbols: Sequence[str], instrument_list: Callable[[list[str] | None], str]
) -> Mapping[str, Route | SnapshotRoute]:
    """Return what `Wire.rest_routes` returns."""

    def query(request: web.Request, *names: str) -> Query:
        return Query(request.query, names, symbols)

    def ping(request: web.Request) -> str:
        query(request)
        return "{}"

    def server_time(request: web.Request) -> str:
        query(request)
        divisor = 1000 if micro_wanted(request, offered=family.microseconds) else 1_000_000
        return f'{{"serverTime":{time.time_ns() // divisor}}}'

    def exchange_info(request: web.Request) -> str:
        wanted = query(request, *family.list_names).symbols()
        if request.query.get("symbolStatus", "TRADING") != "TRADING":
            wanted = []
        return instrument_list(wanted)

    def depth(request: web.Request) -> tuple[str, int]:
        asked = query(request, *family.snapshot_names)
        symbol = asked.symbol()
        asked.check_status()
        most = family.depth_weights[-1][0]
        return symbol, asked.limit(family.depth_default, most, allowed=family.depth_limits)

    named: dict[str, Route | SnapshotRoute] = {
        "ping": Route(lambda _: 1, ping),
        "time": Route(lambda _: 1, server_time),
        "exchangeInfo": Route(lambda _: family.info_weight, exchange_info),
        "depth": SnapshotRoute(
            lambda asked: family.depth_weight(requested_limit(asked, family.depth_default)), depth
        ),
    }
    return {f"{base}/{name}": route for name, route in named.items() for base in family.rest_bases}


def told_routes(
    routes: Mapping[str, MarketRoute], symbols: Sequence[str], *, micro_offered: bool
) -> Mapping[str, Route]:
    """Return the routes of a family's market as texts of answers."""

    def told(route: MarketRoute) -> Callable[[web.Request], str]:
        def answer(request: web.Request) -> str:
            if route.keyed and not request.headers.get("X-MBX-APIKEY"):
                raise RestError(401, -2014, "API-key format invalid.")
            found = route.answer(Query(request.query, route.names, symbols))
            return body(found, micro=micro_wanted(request, offered=micro_offered))

        return answer

    return {path: Route(route.weight, told(route)) for path, route in routes.items()}
