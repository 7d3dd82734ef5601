"""What may stand between a provider and its venue, and misbehave: a TCP road, an HTTP proxy, a resolver."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import threading
from collections.abc import Coroutine
from enum import Enum
from pathlib import Path
from typing import Any, TypeVar

from integration.harness import ROOT

T = TypeVar("T")

_HEADER_END = b"\r\n\r\n"


class Behaviour(Enum):
    """What a `Roadside` does with a connection it has accepted."""

    FORWARD = "forward"
    """Pass everything on to the target, and back."""
    PROXY = "proxy"
    """Do that where a CONNECT request says, but always on this machine: names are not looked up."""
    SILENT = "silent"
    """Take everything, say nothing."""


class Roadside:
    """A listener on the way to the venue, served by a thread of its own until `close`.

    Parameters
    ----------
    behaviour
        See `Behaviour`; bytes are the answer to every request, after which the connection ends.
    target
        Port that `Behaviour.FORWARD` leads to.
    port
        Where to listen; 0: any free port.
    """

    def __init__(self, behaviour: Behaviour | bytes, target: int = 0, port: int = 0) -> None:
        self.behaviour = behaviour
        self.target = target
        self.accepted = 0
        self.requests: list[str] = []
        self._server: asyncio.Server | None = None
        self._served: set[asyncio.Task[None]] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()
        self.port = port
        self.listen()

    def _call(self, coroutine: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result()

    def listen(self) -> None:
        """Listen, after `leave` on the same port again."""

        async def listen() -> None:
            self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)

        self._call(listen())
        assert self._server is not None
        self.port = self._server.sockets[0].getsockname()[1]

    def leave(self) -> None:
        """Stop to listen and cut what was accepted: whoever comes is refused."""

        async def leave() -> None:
            assert self._server is not None
            self._server.close()
            self._server = None

        self._call(leave())
        self.cut()

    def cut(self) -> None:
        """End every connection there is."""

        async def cut() -> None:
            for task in tuple(self._served):
                task.cancel()
            await asyncio.gather(*self._served, return_exceptions=True)

        self._call(cut())

    def close(self) -> None:
        """Give everything back."""
        if self._server is not None:
            self.leave()
        self._call(asyncio.sleep(0))  # what the transports had still to do
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted += 1
        task = asyncio.current_task()
        assert task is not None
        self._served.add(task)
        try:
            await self._behave(reader, writer)
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # either side may go at any time
        finally:
            self._served.discard(task)
            writer.transport.abort()

    async def _behave(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.behaviour is Behaviour.SILENT:
            while await reader.read(65536):
                pass
            return
        target = self.target
        if self.behaviour is not Behaviour.FORWARD:
            request = (await reader.readuntil(_HEADER_END)).decode()
            self.requests.append(request)
            if isinstance(self.behaviour, bytes):
                writer.write(self.behaviour)
                await writer.drain()
                await reader.read()
                return
            method, authority, _ = request.split(" ", 2)
            assert method == "CONNECT", request
            target = int(authority.rpartition(":")[2])
        beyond_reader, beyond_writer = await asyncio.open_connection("127.0.0.1", target)
        try:
            if self.behaviour is Behaviour.PROXY:
                writer.write(b"HTTP/1.1 200 Connection established" + _HEADER_END)
            ways = [
                asyncio.ensure_future(_pass_on(reader, beyond_writer)),
                asyncio.ensure_future(_pass_on(beyond_reader, writer)),
            ]
            try:
                await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for way in ways:
                    way.cancel()
                await asyncio.gather(*ways, return_exceptions=True)
        finally:
            beyond_writer.transport.abort()


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()


class FullHouse:
    """A port of this machine that answers no attempt to connect, as a firewall that drops packets would.

    Its queue of connections to be accepted is full, which nobody empties until `close`.
    """

    def __init__(self) -> None:
        self._listener = socket.socket()
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._listener.bind(("127.0.0.1", 0))
        self._listener.listen(0)
        self.port: int = self._listener.getsockname()[1]
        self._guest = socket.create_connection(("127.0.0.1", self.port))

    def close(self) -> None:
        """Be a port without a listener."""
        self._guest.close()
        self._listener.close()


class Hosts:
    """A resolver for processes that are given `environment`; it knows the names of this test alone.

    Parameters
    ----------
    folder
        For the table of names and the library that is preloaded.
    """

    def __init__(self, folder: Path) -> None:
        self._table = folder / "hosts"
        library = folder / "libhosts.so"
        source = ROOT / "tests/support/hosts.c"
        command = [os.environ.get("CC", "cc"), "-std=c99", "-O1", "-Wall", "-Wextra", "-shared", "-fPIC"]
        subprocess.run([*command, str(source), "-o", str(library), "-ldl"], check=True)
        preload = [str(library), *filter(None, [os.environ.get("LD_PRELOAD")])]
        self.environment = {"LD_PRELOAD": ":".join(preload), "MDP_TEST_HOSTS": str(self._table)}
        self.set()

    def set(self, **addresses: str | list[str]) -> None:
        """Let each name, with "_" for ".", have one or several addresses, and no other name any.

        "silence" for an address: the question is not answered before that is something else.
        """
        lines = [
            f"{name.replace('_', '.')} {address}\n"
            for name, those in addresses.items()
            for address in ([those] if isinstance(those, str) else those)
        ]
        # Renamed, for a reader must not find half of it.
        whole = self._table.with_suffix(".new")
        whole.write_text("".join(lines))
        whole.replace(self._table)
