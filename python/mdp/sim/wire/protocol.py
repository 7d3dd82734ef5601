"""What a venue's folder gives the exchange: the words of each of its families."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import re

    from aiohttp import web
    from multidict import MultiMapping

    from mdp.sim.client import Client
    from mdp.sim.frames import Frame
    from mdp.sim.hub import Hub
    from mdp.sim.instruments import Instrument
    from mdp.sim.market import Levels, Market, MarketEvent, SharedIds
    from mdp.sim.options import SimOptions

Weight = Callable[["MultiMapping[str]"], int]
"""What a request with these parameters costs."""

Timer = tuple[float, Callable[[], None], float]
"""Interval in seconds, what is called, and how long after the start of an interval."""


class RestError(Exception):
    """A request that is answered with an error, in the venue's words.

    Attributes
    ----------
    status : int
        HTTP status.
    code : int
        The venue's own number for it.
    message : str
        The venue's text.
    """

    def __init__(self, status: int, code: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message


@dataclass(frozen=True)
class Route:
    """A path over REST: what a request costs, and what makes its answer's text or raises `RestError`."""

    weight: Weight
    answer: Callable[[web.Request], str]


@dataclass(frozen=True)
class SnapshotRoute:
    """The path of depth snapshots: what a request costs, and which symbol and how many levels it asks for."""

    weight: Weight
    asked: Callable[[web.Request], tuple[str, int]]


@dataclass(frozen=True)
class Opening:
    """What a client asks for by the address it connects to.

    Attributes
    ----------
    route : str
        One of `Wire.routes`.
    combined : bool
        Whether each event comes wrapped, with the name of its stream.
    micro : bool
        Whether times are in microseconds.
    streams : list of str
        Subscriptions that begin with the connection.
    """

    route: str
    combined: bool
    micro: bool
    streams: list[str]


class Publisher(Protocol):
    """Tells of the synthetic markets of one family, in its streams and over REST."""

    def timers(self) -> Iterable[Timer]:
        """Return what is published at an interval."""

    @property
    def cuts(self) -> Sequence[tuple[str, int]]:
        """Every speed and phase that `publish_depth` knows."""

    def serves(self, stream: str) -> bool:
        """Return whether there will ever be frames of a stream, given that its symbol moves."""

    def publish_events(self, market: Market, events: Sequence[MarketEvent], moved_us: int) -> None:
        """Publish the real-time streams of what happened in a market at `moved_us` since the epoch."""

    def publish_depth(self, suffix: str, phase: int = 0) -> None:
        """Cut the depth frames of one speed for the lines of one phase."""

    def ids_began_anew(self, markets: Sequence[Market]) -> None:
        """Let no depth frame of these markets reach back to the ids before."""

    def snapshot(self, market: Market, update_id: int, bids: Levels, asks: Levels) -> str:
        """Return the body of a depth snapshot that says it is of `update_id`."""

    def rest_routes(self, symbols: Sequence[str]) -> Mapping[str, Route]:
        """Return by path what is told over REST of these markets, beside snapshots and instruments."""


class Recordings(Protocol):
    """Reads what frames and REST answers of a recorded session mean; `mdp.sim.replay` plays them."""

    def frame(self, text: str) -> Frame:
        """Return a recorded frame; ValueError where it is none that can be replayed."""

    def depth_symbol(self, stream: str) -> str | None:
        """Return the symbol of a stream of books or their changes; None of another stream."""

    def is_list(self, url: str) -> bool:
        """Return whether a request asked for the list of instruments."""

    def snapshot_symbol(self, url: str) -> str | None:
        """Return the symbol whose snapshot a request asked for; None of another request."""

    def seen_instruments(
        self, snapshots: Mapping[str, Sequence[str]], frames: Iterable[Frame]
    ) -> list[Instrument]:
        """Return what a session without a list shows of its instruments."""

    def listed(self, info: str) -> list[str]:
        """Return the symbols of a list of instruments."""

    def part_of_list(self, info: str, wanted: Sequence[str]) -> str:
        """Return a list of instruments with the wanted ones alone."""

    def cut(self, body: str, limit: int) -> str:
        """Return a snapshot with at most `limit` levels a side."""

    def no_snapshot(self) -> RestError:
        """Return the error of a symbol of which no snapshot was recorded."""

    def too_early(self) -> RestError:
        """Return the error of a snapshot that the recorded clock has not come to."""


class Wire(Protocol):
    """One family: a product of a venue, with listeners of its own, and all that is said there.

    A subscription and its frames are known by the name of a stream; everything else here is the family's.
    """

    # ---- facts ----

    @property
    def name(self) -> str:
        """Name of the venue in configurations."""

    @property
    def routes(self) -> tuple[str, ...]:
        """Prefixes of its WebSocket paths; each may carry streams of its own."""

    @property
    def weight_pool(self) -> str:
        """Families with one pool share one budget of weight per minute and address."""

    @property
    def weight_limit(self) -> int:
        """Request weight per minute and address."""

    @property
    def messages_per_s(self) -> int:
        """Client messages a connection may send in one second."""

    @property
    def ping_interval_s(self) -> float:
        """Seconds between its pings."""

    @property
    def pong_timeout_s(self) -> float:
        """Seconds a pong may be owed."""

    @property
    def used_weight_headers(self) -> tuple[str, ...]:
        """Headers of every REST answer that say how much weight is used."""

    @property
    def numbers(self) -> Mapping[str, re.Pattern[str]]:
        """How the first ``price``, ``quantity`` and ``id`` of a frame are found: the group that matches."""

    # ---- instruments ----

    @property
    def built_in(self) -> tuple[Instrument, ...]:
        """Instruments that exist without configuration, most liquid first."""

    def instruments(self, wanted: list[str] | int | None) -> list[Instrument]:
        """Choose instruments by name or number; ValueError where there are none such."""

    def shared_ids(self, stride: int, index: int) -> SharedIds | None:
        """Return how a symbol's update ids are spread over those of all, None where each has its own."""

    def instrument_list(self, weight_limit: int, instruments: list[Instrument]) -> str:
        """Return the body of the list of instruments, which also names the limit of weight."""

    # ---- WebSocket ----

    def paths(self) -> Iterable[str]:
        """Return the WebSocket paths, as the router writes them."""

    def open(self, request: web.Request) -> Opening:
        """Return what a handshake asks for; may raise `RestError`."""

    def carries(self, route: str, stream: str) -> bool:
        """Return whether a stream is to be had on a route; where not, it is acked and stays silent."""

    def symbols_of(self, streams: str) -> str:
        """Return the pattern of symbols that a pattern of streams is about, for faults of whole markets."""

    def answer(self, hub: Hub, client: Client, text: str) -> Any:
        """Carry out a message of a client; return the JSON-ready answer, None where there is none."""

    def shutdown_notice(self, time_us: int) -> Frame:
        """Return the notice that connections will be closed."""

    # ---- recordings ----

    @property
    def recordings(self) -> Recordings:
        """How its recorded sessions are read."""

    # ---- synthetic markets ----

    def publisher(self, options: SimOptions, hub: Hub, markets: Mapping[str, Market]) -> Publisher:
        """Return what tells clients of these markets."""

    # ---- REST ----

    def has_path(self, path: str) -> bool:
        """Return whether a path over REST is one of this family."""

    def rest_routes(
        self, symbols: Sequence[str], instrument_list: Callable[[list[str] | None], str]
    ) -> Mapping[str, Route | SnapshotRoute]:
        """Return by path what every family of the venue answers, whatever its market is."""

    def error(self, error: RestError) -> tuple[str, str]:
        """Return the body of an error and its content type."""

    def unknown_path(self, method: str, path: str) -> RestError | None:
        """Return the error of a path that there is not; None where it is a 404 without a body."""

    def unknown_symbol(self) -> RestError:
        """Return the error of a symbol that there is not."""

    def refusal(self, status: int, until_ms: int = 0, message: str = "") -> RestError:
        """Return the error of a status that limits and faults answer with.

        Parameters
        ----------
        status : int
            429, 418 or any other.
        until_ms : int
            When a ban (418) ends, ms since the epoch.
        message : str
            What is said; "": the venue's words for the status.
        """

    def too_many_connects(self) -> RestError:
        """Return the error of a handshake that is one too many."""

    def too_many_streams(self, most: int) -> RestError:
        """Return the error of a handshake that asks for too many streams."""
