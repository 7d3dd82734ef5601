"""One family as it is served: its feed, its clients, its REST interface, and the port they share."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time

from aiohttp import web

from mdp.sim.faults import FaultTable
from mdp.sim.feed import Feed, SyntheticFeed
from mdp.sim.hub import Hub
from mdp.sim.limits import Counters, WeightLedger
from mdp.sim.listener import Listener
from mdp.sim.options import SimOptions
from mdp.sim.replay import Recording, ReplayFeed
from mdp.sim.rest import Handler, Rest
from mdp.sim.sockets import Sockets
from mdp.sim.tls import TlsFiles
from mdp.sim.wire.protocol import Wire

_log = logging.getLogger("mdp.sim")


class Venue:
    """One family of a sim.

    Attributes
    ----------
    family : Wire
    hub : Hub
        Connections and subscriptions.
    feed : Feed
        Source of market data.
    rest : Rest
        REST interface.
    port : int
        Where it listens, once started.
    """

    def __init__(
        self,
        options: SimOptions,
        family: Wire,
        faults: FaultTable,
        ledger: WeightLedger,
        counters: Counters,
        recording: Recording | None,
    ) -> None:
        self.family = family
        self.hub = Hub(options, faults, family, counters)
        self.feed: Feed
        if recording is None:
            self.feed = SyntheticFeed(options, self.hub, family)
        else:
            self.feed = ReplayFeed(options, self.hub, recording)
        self.rest = Rest(family, self.feed, faults, ledger, counters)
        self.port = 0
        self._options = options
        self._faults = faults
        self._listener: Listener | None = None
        self._runner: web.AppRunner | None = None
        self._tasks: list[asyncio.Task[None]] = []

    def _url(self, scheme: str) -> str:
        host = self._options.host
        if host in ("0.0.0.0", "::"):
            host = "localhost"
        return (
            f"{scheme}{'s' if self._options.tls else ''}://{f'[{host}]' if ':' in host else host}:{self.port}"
        )

    @property
    def rest_url(self) -> str:
        """Base address of the REST interface, without a trailing slash."""
        return self._url("http")

    @property
    def ws_url(self) -> str:
        """Base address of the WebSocket interface, without a trailing slash and without a route."""
        return self._url("ws")

    @property
    def symbols(self) -> list[str]:
        """Symbols that have data."""
        return self.feed.session_symbols if isinstance(self.feed, ReplayFeed) else self.feed.symbols

    async def start(
        self, tls_files: TlsFiles | None, port: int, side: list[tuple[str, str, Handler]]
    ) -> None:
        """Listen, and let the market run.

        Parameters
        ----------
        tls_files : TlsFiles or None
            Certificates.
        port : int
            0 for any free one.
        side : list of tuple
            Method, path and handler of what is no venue's.

        Raises
        ------
        OSError
            If the address cannot be bound.
        """
        app = web.Application(client_max_size=1 << 20)
        for method, path, handler in side:
            app.router.add_route(method, path, handler)
        for path, handler in Sockets(self.hub).routes():
            app.router.add_route("GET", path, handler)
        for path, handler in self.rest.routes():
            app.router.add_route("GET", path, handler)
            app.router.add_route("HEAD", path, handler)
        app.router.add_route("*", r"/{path:[\s\S]*}", self.rest.unknown)  # a dot would leave out line ends
        # A handler is cancelled when its client goes: one that a fault has stalled would else wait for ever.
        runner = self._runner = web.AppRunner(
            app, access_log=None, handle_signals=False, shutdown_timeout=1.0, handler_cancellation=True
        )
        await runner.setup()
        assert runner.server is not None
        self._listener = Listener(self.family.name, self._faults, tls_files, self._options.tls_flavour)
        self._listener.open(self._options.host, port, runner.server)
        self.port = self._listener.port
        loop = asyncio.get_running_loop()
        for coroutine in (self.feed.run(), self._keep_alive()):
            task = loop.create_task(coroutine)
            task.add_done_callback(_report_crash)
            self._tasks.append(task)

    async def stop(self) -> None:
        """Close every connection and stop listening."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks.clear()
        if self._listener is not None:
            await self._listener.close()
            self._listener = None
        await self.hub.close_all()
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def _keep_alive(self) -> None:
        while True:
            self.hub.keep_alive(time.monotonic())
            await asyncio.sleep(self.hub.keep_alive_period)


def _report_crash(task: asyncio.Task[None]) -> None:
    with contextlib.suppress(asyncio.CancelledError):
        error = task.exception()
        if error is not None:
            _log.error("sim task failed", exc_info=error)
