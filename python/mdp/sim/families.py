"""The three products of the venue: paths, speeds, weights and limits, each in one row."""

from __future__ import annotations

import re
from dataclasses import dataclass

_DEPTH = re.compile(r"@depth(?:\d+)?(?:@.*)?$")
_BOOK_DATA = re.compile(r"@(?:depth\d*(?:@.*)?|bookTicker|rpiDepth(?:@.*)?|trade)$|^!bookTicker$")


@dataclass(frozen=True)
class Family:
    """One product with listeners of its own.

    Attributes
    ----------
    name : str
        Name of the venue in configurations.
    rest_bases : tuple of str
        Where its REST paths begin; every one serves the same.
    routes : tuple of str
        Prefixes of its WebSocket paths; ``/public`` and ``/market`` carry different streams.
    depth_ms : dict
        Suffix of ``@depth`` to the nominal interval in ms.
    futures : bool
        Futures frames and the ``pu`` rule instead of spot's.
    product : int
        What the venue calls ``st``: 1 USD-M, 2 COIN-M; 0 spot.
    depth_weights : tuple
        Pairs of most levels and weight of a snapshot.
    depth_default, depth_limits : int, tuple of int
        Levels of a snapshot without ``limit``; the limits allowed, empty for any up to the last bound.
    info_weight : int
        Weight of exchangeInfo.
    weight_pool, weight_limit : str, int
        Families with one pool share one budget of weight per minute and address.
    messages_per_s : int
        Client messages a connection may send in one second.
    ping_interval_s, pong_timeout_s : float
        Keep-alive.
    id_base : int
        Where shared update ids begin; 0 for ids of each symbol's own.
    """

    name: str
    rest_bases: tuple[str, ...]
    routes: tuple[str, ...]
    depth_ms: dict[str, int]
    futures: bool
    product: int
    depth_weights: tuple[tuple[int, int], ...]
    depth_default: int
    depth_limits: tuple[int, ...]
    info_weight: int
    weight_pool: str
    weight_limit: int
    messages_per_s: int
    ping_interval_s: float
    pong_timeout_s: float
    id_base: int

    def depth_weight(self, limit: int) -> int:
        """Return the request weight of a snapshot of `limit` levels."""
        most = self.depth_weights[-1][0]
        return next(weight for bound, weight in self.depth_weights if min(limit, most) <= bound)

    def carries(self, route: str, stream: str) -> bool:
        """Return whether a stream is to be had on a route; where not, it is acked and stays silent."""
        if route not in ("/public", "/market"):
            return True
        return (_BOOK_DATA.search(stream) is not None) == (route == "/public")


def is_depth(stream: str) -> bool:
    """Return whether a stream is one of depth batches or partial books."""
    return _DEPTH.search(stream) is not None


_FUTURES_WEIGHTS = ((50, 2), (100, 5), (500, 10), (1000, 20))
_FUTURES_LIMITS = (5, 10, 20, 50, 100, 500, 1000)
# Some speeds have two names, for `@depth` alone is one of them. The interval of @depth@0ms is not documented:
# this is about what was recorded in 2024.
_USDM_DEPTH_MS = {"@100ms": 100, "": 250, "@250ms": 250, "@500ms": 500, "@0ms": 50}
_COINM_DEPTH_MS = {**_USDM_DEPTH_MS, "@0ms": 10}

FAMILIES: dict[str, Family] = {
    family.name: family
    for family in (
        Family(
            name="binance",
            rest_bases=("/api/v3", "/api/v1"),  # v1 is what sessions of 2021 used
            routes=("",),
            depth_ms={"@100ms": 100, "": 1000, "@1000ms": 1000},
            futures=False,
            product=0,
            depth_weights=((100, 5), (500, 25), (1000, 50), (5000, 250)),
            depth_default=100,
            depth_limits=(),
            info_weight=20,
            weight_pool="spot",
            weight_limit=6000,
            messages_per_s=5,
            ping_interval_s=20.0,
            pong_timeout_s=60.0,
            id_base=0,
        ),
        Family(
            name="binance-usdm",
            rest_bases=("/fapi/v1",),
            routes=("/public", "/market"),
            depth_ms=_USDM_DEPTH_MS,
            futures=True,
            product=1,
            depth_weights=_FUTURES_WEIGHTS,
            depth_default=500,
            depth_limits=_FUTURES_LIMITS,
            info_weight=1,
            weight_pool="futures",
            weight_limit=2400,
            messages_per_s=10,
            ping_interval_s=180.0,
            pong_timeout_s=600.0,
            id_base=5_123_107_000_000,
        ),
        Family(
            name="binance-coinm",
            rest_bases=("/dapi/v1",),
            routes=("",),
            depth_ms=_COINM_DEPTH_MS,
            futures=True,
            product=2,
            depth_weights=_FUTURES_WEIGHTS,
            depth_default=500,
            depth_limits=_FUTURES_LIMITS,
            info_weight=1,
            weight_pool="futures",
            weight_limit=2400,
            messages_per_s=10,
            ping_interval_s=180.0,
            pong_timeout_s=600.0,
            id_base=1_007_198_000_000,
        ),
    )
}
"""Every family the sim serves."""
