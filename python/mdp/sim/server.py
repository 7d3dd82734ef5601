"""The embedded exchange: the families' REST and WebSocket interfaces, each on a TLS port of its own.

`SimServer` wires the parts: per family a `Venue`, whose feed (synthetic or recorded) publishes into its
`Hub`, which fans out to WebSocket clients; REST requests are answered from the same feed. Paths below
``/sim/`` are no venue's: they let a test in another process ask for the truth, read counters and arm faults.
"""

from __future__ import annotations

import dataclasses
import json
import shutil
import tempfile
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, final

from aiohttp import web

from mdp.sim import faults as fl
from mdp.sim.feed import Feed, SyntheticFeed
from mdp.sim.hub import Hub
from mdp.sim.limits import Counters, WeightLedger
from mdp.sim.market import Market
from mdp.sim.options import SimOptions
from mdp.sim.replay import load_recording
from mdp.sim.rest import Handler
from mdp.sim.script import load_script
from mdp.sim.tls import TLS_FLAVOURS, TlsFiles, ensure_tls
from mdp.sim.venue import Venue
from mdp.sim.wire import DEFAULT, FAMILIES


@final
class SimServer:
    """One running sim.

    Use it with ``async with`` inside an event loop, or from another process with
    `mdp.sim.start_sim_process`.

    Parameters
    ----------
    options : SimOptions, optional
        Settings; defaults are the venue's.
    script : str, Path or list of dict, optional
        Faults to be armed at the start: a file, or what `arm` takes.

    Attributes
    ----------
    options : SimOptions
    venues : dict of str to Venue
        Families served, in the order asked for.
    faults : FaultTable
        Armed faults.
    counters : Counters
        What clients did.
    host : str
        Where it listens.
    tls_files : TlsFiles or None
        Certificates, once started; None without TLS.

    Raises
    ------
    ValueError
        If a family, a symbol, a TLS flavour or a fault is unknown.
    """

    def __init__(
        self, options: SimOptions | None = None, script: str | Path | list[dict[str, Any]] | None = None
    ) -> None:
        self.options = options = options or SimOptions()
        self.host = options.host
        if options.tls_flavour not in TLS_FLAVOURS:
            raise ValueError(
                f"unknown TLS flavour {options.tls_flavour!r}; allowed: {', '.join(TLS_FLAVOURS)}"
            )
        recording = load_recording(options.replay) if options.replay is not None else None
        names = options.families or [recording.family if recording else DEFAULT.name]
        unknown = [name for name in names if name not in FAMILIES]
        if unknown:
            raise ValueError(f"unknown families {', '.join(unknown)}; allowed: {', '.join(FAMILIES)}")
        if recording is not None and names != [recording.family]:
            raise ValueError(f"the recording is one of {recording.family} alone, not of {', '.join(names)}")
        self.faults = fl.FaultTable(tuple(names))
        self.faults.on_fire = self._strike
        self.counters = Counters()
        ledgers = {
            family.weight_pool: WeightLedger(options.weight_of(family), options.ban_after)
            for family in FAMILIES.values()
        }
        self.venues = {
            name: Venue(
                _with_own_symbols(options, name, names),
                FAMILIES[name],
                self.faults,
                ledgers[FAMILIES[name].weight_pool],
                self.counters,
                recording,
            )
            for name in dict.fromkeys(names)
        }
        self._first = self.venues[names[0]]
        self.faults.symbols = {name: venue.symbols for name, venue in self.venues.items()}
        if script is None:
            self._script = []
        elif isinstance(script, list):
            self._script = script
        else:
            self._script = load_script(script, tuple(names), self.faults.symbols)
        self.tls_files: TlsFiles | None = None
        self._temporary_dir: str | None = None

    # ------------------------------------------------------------------ the first family

    @property
    def hub(self) -> Hub:
        """Connections of the first family."""
        return self._first.hub

    @property
    def feed(self) -> Feed:
        """Source of market data of the first family."""
        return self._first.feed

    @property
    def port(self) -> int:
        """Where the first family listens, once started."""
        return self._first.port

    @property
    def rest_url(self) -> str:
        """Base address of the first family's REST interface, without a trailing slash."""
        return self._first.rest_url

    @property
    def ws_url(self) -> str:
        """Base address of the first family's WebSocket interface, without a trailing slash."""
        return self._first.ws_url

    @property
    def ca_file(self) -> str | None:
        """Path of the certificate a client must trust; None without TLS."""
        return str(self.tls_files.ca_file) if self.tls_files else None

    def market(self, symbol: str, family: str | None = None) -> Market:
        """Return the synthetic market of a symbol, of the first family where none is named.

        Raises
        ------
        LookupError
            In a replay, or if there is no such symbol.
        """
        feed = self.feed if family is None else self.venues[family].feed
        if isinstance(feed, SyntheticFeed):
            return feed.markets[symbol]
        raise LookupError("a replay has no synthetic market")

    # ------------------------------------------------------------------ life

    async def __aenter__(self) -> SimServer:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def start(self) -> None:
        """Listen, and let the markets run.

        Raises
        ------
        OSError
            If an address cannot be bound.
        FaultError
            If a fault of the script is impossible with these options.
        """
        if self.options.tls:
            directory = self.options.tls_dir
            if directory is None:
                directory = self._temporary_dir = tempfile.mkdtemp(prefix="mdp-sim-tls-")
            self.tls_files = ensure_tls(directory)
        try:
            for number, description in enumerate(self._script):
                try:
                    self.arm(description)
                except LookupError as error:
                    raise fl.FaultError(f"faults[{number}]: {error.args[0]}") from error
            for index, venue in enumerate(self.venues.values()):
                port = self.options.port + index if self.options.port else 0
                await venue.start(self.tls_files, port, self._side_routes(venue))
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        """Close every connection, stop listening and remove temporary certificates."""
        for venue in self.venues.values():
            await venue.stop()
        if self._temporary_dir is not None:
            shutil.rmtree(self._temporary_dir, ignore_errors=True)
            self._temporary_dir = None

    # ------------------------------------------------------------------ faults

    def arm(self, description: dict[str, Any]) -> fl.Fault:
        """Arm a fault; carry it out if it is of the kind that happens at once and waits for nothing.

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
        kind = description.get("kind")
        if self.options.replay is not None:
            if kind in ("snapshot_stale", "snapshot_mislabeled"):
                raise LookupError("a replay has no older snapshots than the recorded ones")
            if kind == "oversized":
                raise LookupError("a replay has no market that could burst")
            if kind == "ids_begin_anew":
                raise LookupError("a replay has no market whose ids could begin anew")
        if kind == "tls_certificate" and not self.options.tls:
            raise LookupError("there is no certificate without TLS")
        fault = self.faults.add(description)
        if fault.trigger is None and fault.scope in (fl.CONNECTION, fl.MARKET):
            fault.remaining = 0
            self._strike(fault)
        return fault

    def _strike(self, fault: fl.Fault) -> None:
        for name, venue in self.venues.items():
            if not fnmatchcase(name, fault.venue):
                continue
            if fault.scope == fl.CONNECTION:
                venue.hub.strike_connections(fault)
            else:
                streams = venue.family.symbols_of(fault.stream)
                symbol = streams if fault.symbol == "*" else fault.symbol
                if fault.kind == "oversized":
                    fault.fired += venue.feed.burst(symbol, fault.params["levels"])
                else:
                    fault.fired += venue.feed.begin_ids_anew(symbol, fault.params["back"])

    # ------------------------------------------------------------------ side path

    def _side_routes(self, venue: Venue) -> list[tuple[str, str, Handler]]:
        """Return what is no venue's; truth and status are those of the family whose port is asked."""

        async def truth(request: web.Request) -> web.Response:
            return _truth(venue.feed, request)

        async def status(_: web.Request) -> web.Response:
            hub = venue.hub
            return web.json_response(
                {
                    "venue": venue.family.name,
                    "clients": [client.report() for client in hub.clients.values()],
                    "subscriptions": sum(len(client.streams) for client in hub.clients.values()),
                    "connections": hub.connections,
                    "framesSent": hub.frames_sent,
                    "slowDisconnects": hub.slow_disconnects,
                    "restRequests": venue.rest.requests,
                    "snapshots": venue.rest.snapshots,
                    "counters": self.counters.report(),
                    **venue.feed.status(),
                }
            )

        async def step(request: web.Request) -> web.Response:
            return await _step(venue, request)

        return [
            ("GET", "/sim/truth", truth),
            ("POST", "/sim/step", step),
            ("GET", "/sim/status", status),
            ("POST", "/sim/fault", self._post_fault),
            ("GET", "/sim/fault", self._get_faults),
            ("DELETE", "/sim/fault", self._delete_faults),
        ]

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

    async def _get_faults(self, _: web.Request) -> web.Response:
        return web.json_response(self.faults.report())

    async def _delete_faults(self, _: web.Request) -> web.Response:
        self.faults.clear()
        return web.json_response([])


def _with_own_symbols(options: SimOptions, family: str, families: list[str]) -> SimOptions:
    """Return the options with the symbols that a family has; a name that none has stays for the error."""
    if not isinstance(options.symbols, list) or len(families) == 1:
        return options
    own = {spec.symbol for spec in FAMILIES[family].built_in}
    everywhere = {spec.symbol for name in families for spec in FAMILIES[name].built_in}
    kept = [symbol for symbol in options.symbols if symbol in own or symbol not in everywhere]
    if not kept:
        raise ValueError(f"{family}: none of the symbols {', '.join(options.symbols)} is one of its")
    return dataclasses.replace(options, symbols=kept)


async def _step(venue: Venue, request: web.Request) -> web.Response:
    """Move one market by hand and cut the depth batches of one speed, where one is named."""
    feed = venue.feed
    if not isinstance(feed, SyntheticFeed):
        return web.json_response({"error": "a replay has no market that could be moved"}, status=409)
    try:
        wanted = await request.json()
        symbol, events = wanted["symbol"], wanted.get("events", 1)
        cut, phase, lean = wanted.get("cut"), wanted.get("phase", 0), wanted.get("lean", 0)
        if symbol not in feed.markets or type(events) is not int or events < 0 or type(lean) is not int:
            raise ValueError(f"symbol must be one of {', '.join(feed.symbols)}, events and lean numbers")
        if cut is not None and (cut, phase) not in feed.publisher.cuts:
            raise ValueError(f"cut and phase must be one of {', '.join(map(str, feed.publisher.cuts))}")
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        return web.json_response({"error": str(error)}, status=400)
    if lean:
        feed.markets[symbol].lean(lean)
    feed.advance(symbol, events)
    if cut is not None:
        feed.publisher.publish_depth(cut, phase)
    venue.hub.flush()
    market = feed.markets[symbol]
    return web.json_response({"updateId": market.update_id, "changes": market.changes})


def _truth(feed: Feed, request: web.Request) -> web.Response:
    query = request.query
    try:
        symbol = query.get("symbol", "")
        if symbol not in feed.symbols:
            return web.json_response({"reason": f"unknown symbol {symbol!r}"}, status=404)
        update_id = int(query["updateId"]) if "updateId" in query else None
        depth = int(query.get("depth", "20"))
        if depth < 1:
            raise ValueError("depth must be positive")
        return web.json_response(feed.truth(symbol, update_id, depth))
    except ValueError as error:
        return web.json_response({"reason": str(error)}, status=400)
    except LookupError as error:
        return web.json_response({"reason": str(error)}, status=404)
