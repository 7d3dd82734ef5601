"""The three products of the venue: paths, speeds, weights and limits, each in one row."""

from __future__ import annotations

import json
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mdp.sim.frames import Frame
from mdp.sim.instruments import Instrument
from mdp.sim.market import Market, SharedIds
from mdp.sim.wire.binance import control, handshake, info, rest
from mdp.sim.wire.binance.frames_spot import server_shutdown
from mdp.sim.wire.binance.instruments import FAMILY_INSTRUMENTS, select_instruments
from mdp.sim.wire.binance.publisher import FuturesPublisher, Publisher, SpotPublisher
from mdp.sim.wire.binance.recordings import Recordings
from mdp.sim.wire.protocol import Opening, RestError, Route, SnapshotRoute

if TYPE_CHECKING:
    from aiohttp import web

    from mdp.sim.client import Client
    from mdp.sim.hub import Hub
    from mdp.sim.options import SimOptions

_RECORDINGS = Recordings()
_BOOK_DATA = re.compile(r"@(?:depth\d*(?:@.*)?|bookTicker|rpiDepth(?:@.*)?|trade)$|^!bookTicker$")

NUMBERS = {
    "price": re.compile(r'"(?:p|b)":(?:\[\[)?"([0-9.]+)"|"a":\[\["([0-9.]+)"'),
    "quantity": re.compile(r'"(?:q|B)":"([0-9.]*[1-9][0-9.]*)"|\["[0-9.]+","([0-9.]*[1-9][0-9.]*)"\]'),
    "id": re.compile(r'"(?:u|t|a|lastUpdateId)":([0-9]+)'),
}
"""How the first of each is found in a frame."""


@dataclass(frozen=True)
class Family(ABC):
    """One product with listeners of its own; see `mdp.sim.wire.protocol.Wire`.

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

    # ---- what the families have in common ----

    @property
    def used_weight_headers(self) -> tuple[str, ...]:
        """Headers of every REST answer that say how much weight is used."""
        return ("X-MBX-USED-WEIGHT", "X-MBX-USED-WEIGHT-1M")

    @property
    def numbers(self) -> Mapping[str, re.Pattern[str]]:
        """How the first price, quantity and id of a frame are found."""
        return NUMBERS

    def depth_weight(self, limit: int) -> int:
        """Return the request weight of a snapshot of `limit` levels."""
        most = self.depth_weights[-1][0]
        return next(weight for bound, weight in self.depth_weights if min(limit, most) <= bound)

    @property
    def built_in(self) -> tuple[Instrument, ...]:
        """Instruments that exist without configuration, most liquid first."""
        return FAMILY_INSTRUMENTS[self.name]

    def instruments(self, wanted: list[str] | int | None) -> list[Instrument]:
        """Choose instruments by name or number; see `select_instruments`."""
        return select_instruments(wanted, self.name)

    def shared_ids(self, stride: int, index: int) -> SharedIds | None:
        """Return how a symbol's update ids are spread over those of all, None where each has its own."""
        return SharedIds(self.id_base, stride, index) if self.id_base else None

    def paths(self) -> list[str]:
        """Return the WebSocket paths, as the router writes them."""
        return [f"{route}{path}" for route in self.routes for path in ("/ws", "/ws/{streams:.+}", "/stream")]

    def open(self, request: web.Request) -> Opening:
        """Return what a handshake asks for."""
        return handshake.opening(request, self.routes, micro_offered=self.microseconds)

    def carries(self, route: str, stream: str) -> bool:
        """Return whether a stream is to be had on a route; where not, it is acked and stays silent."""
        if route not in ("/public", "/market"):
            return True
        return (_BOOK_DATA.search(stream) is not None) == (route == "/public")

    @property
    def recordings(self) -> Recordings:
        """How its recorded sessions are read."""
        return _RECORDINGS

    def symbols_of(self, streams: str) -> str:
        """Return the pattern of symbols that a pattern of streams is about."""
        return streams.partition("@")[0].upper()

    def answer(self, hub: Hub, client: Client, text: str) -> dict[str, Any] | None:
        """Carry out a control message of a client, and return the answer."""
        return control.answer(hub, client, text)

    def shutdown_notice(self, time_us: int) -> Frame:
        """Return the maintenance notice."""
        return server_shutdown(time_us)

    def has_path(self, path: str) -> bool:
        """Return whether a path over REST is one of this family."""
        return any(path.startswith(f"{base}/") for base in self.rest_bases)

    def rest_routes(
        self, symbols: Sequence[str], instrument_list: Callable[[list[str] | None], str]
    ) -> Mapping[str, Route | SnapshotRoute]:
        """Return by path what every family answers: pings, times, instruments, snapshots."""
        return rest.common_routes(self, symbols, instrument_list)

    def error(self, error: RestError) -> tuple[str, str]:
        """Return the body of an error and its content type."""
        return json.dumps(
            {"code": error.code, "msg": error.message}, separators=(",", ":")
        ), "application/json"

    def unknown_symbol(self) -> RestError:
        """Return the error of a symbol that there is not."""
        return RestError(400, -1121, "Invalid symbol.")

    def refusal(self, status: int, until_ms: int = 0, message: str = "") -> RestError:
        """Return the error of a status that limits and faults answer with."""
        if status == 418:
            said = f"Way too much request weight used; IP banned until {until_ms}."
        elif status == 429:
            said = "Too much request weight used."
        else:
            said = "An unknown error occurred while processing the request."
        return RestError(status, -1003 if status in (418, 429) else -1000, message or said)

    def too_many_connects(self) -> RestError:
        """Return the error of a handshake that is one too many."""
        return RestError(429, -1034, "Too many concurrent connections; current limit is '300 per 5 minutes'.")

    def too_many_streams(self, most: int) -> RestError:
        """Return the error of a handshake that asks for too many streams."""
        return RestError(400, -1100, f"More than {most} streams.")

    # ---- what they have not ----

    @property
    @abstractmethod
    def microseconds(self) -> bool:
        """Whether a client may have times in microseconds."""

    @property
    @abstractmethod
    def list_names(self) -> tuple[str, ...]:
        """Parameters of exchangeInfo."""

    @property
    @abstractmethod
    def snapshot_names(self) -> tuple[str, ...]:
        """Parameters of depth."""

    @abstractmethod
    def unknown_path(self, method: str, path: str) -> RestError | None:
        """Return the error of a path that there is not; None where it is a 404 without a body."""

    @abstractmethod
    def instrument_list(self, weight_limit: int, instruments: list[Instrument]) -> str:
        """Return the body of exchangeInfo."""

    @abstractmethod
    def publisher(self, options: SimOptions, hub: Hub, markets: Mapping[str, Market]) -> Publisher:
        """Return what tells clients of these markets."""


@dataclass(frozen=True)
class Spot(Family):
    """Spot."""

    @property
    def microseconds(self) -> bool:
        """Whether a client may have times in microseconds: it may."""
        return True

    @property
    def list_names(self) -> tuple[str, ...]:
        """Parameters of exchangeInfo."""
        return ("symbol", "symbols", "permissions", "symbolStatus", "showPermissionSets")

    @property
    def snapshot_names(self) -> tuple[str, ...]:
        """Parameters of depth."""
        return ("symbol", "limit", "symbolStatus")

    def unknown_path(self, method: str, path: str) -> RestError | None:
        """Return None: a 404 without a body."""
        return None

    def instrument_list(self, weight_limit: int, instruments: list[Instrument]) -> str:
        """Return the body of exchangeInfo."""
        return info.spot(weight_limit, instruments)

    def publisher(self, options: SimOptions, hub: Hub, markets: Mapping[str, Market]) -> Publisher:
        """Return what tells clients of these markets."""
        return SpotPublisher(options, hub, self, markets)


@dataclass(frozen=True)
class Futures(Family):
    """USD-M or COIN-M: frames with ``pu``, update ids shared by all symbols, mark prices, liquidations."""

    @property
    def microseconds(self) -> bool:
        """Whether a client may have times in microseconds: the parameters for it are ignored."""
        return False

    @property
    def list_names(self) -> tuple[str, ...]:
        """Parameters of exchangeInfo: it has no filters."""
        return ()

    @property
    def snapshot_names(self) -> tuple[str, ...]:
        """Parameters of depth."""
        return ("symbol", "limit")

    def unknown_path(self, method: str, path: str) -> RestError | None:
        """Return the error of a path that there is not."""
        return RestError(404, -5000, f"Path {path}, Method {method} is invalid")

    def instrument_list(self, weight_limit: int, instruments: list[Instrument]) -> str:
        """Return the body of exchangeInfo."""
        return info.futures(self.product, weight_limit, instruments)

    def publisher(self, options: SimOptions, hub: Hub, markets: Mapping[str, Market]) -> Publisher:
        """Return what tells clients of these markets."""
        return FuturesPublisher(options, hub, self, markets)


_FUTURES_WEIGHTS = ((50, 2), (100, 5), (500, 10), (1000, 20))
_FUTURES_LIMITS = (5, 10, 20, 50, 100, 500, 1000)
# Some speeds have two names, for `@depth` alone is one of them. The interval of @depth@0ms is not documented:
# this is about what was recorded in 2024.
_USDM_DEPTH_MS = {"@100ms": 100, "": 250, "@250ms": 250, "@500ms": 500, "@0ms": 50}
_COINM_DEPTH_MS = {**_USDM_DEPTH_MS, "@0ms": 10}

FAMILIES: tuple[Family, ...] = (
    Spot(
        name="binance",
        rest_bases=("/api/v3", "/api/v1"),  # v1 is what sessions of 2021 used
        routes=("",),
        depth_ms={"@100ms": 100, "": 1000, "@1000ms": 1000},
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
    Futures(
        name="binance-usdm",
        rest_bases=("/fapi/v1",),
        routes=("/public", "/market"),
        depth_ms=_USDM_DEPTH_MS,
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
    Futures(
        name="binance-coinm",
        rest_bases=("/dapi/v1",),
        routes=("",),
        depth_ms=_COINM_DEPTH_MS,
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
"""The families of the venue."""
