"""The listening sockets of one family: accepts, and lets faults strike below HTTP and below TLS."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import socket
import ssl
from collections.abc import Callable, Coroutine
from typing import Any

from mdp.sim.faults import ACCEPT, FaultTable
from mdp.sim.tls import TlsFiles

_log = logging.getLogger("mdp.sim")

_BACKLOG = 1024


class Listener:
    """Hands accepted sockets to an aiohttp server, each with the certificate that is due.

    Parameters
    ----------
    venue : str
        Family, for the faults' ``venue``.
    faults : FaultTable
        Asked at every accepted socket.
    tls_files : TlsFiles or None
        Certificates; None without TLS.
    flavour : str
        Certificate presented where no fault says otherwise.
    """

    def __init__(self, venue: str, faults: FaultTable, tls_files: TlsFiles | None, flavour: str) -> None:
        self._venue = venue
        self._faults = faults
        self._tls_files = tls_files
        self._contexts: dict[str, ssl.SSLContext] = {}
        self._flavour = flavour
        self._sockets: list[socket.socket] = []
        self._stalled: list[socket.socket] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self.port = 0

    def open(self, host: str, port: int, factory: Callable[[], asyncio.Protocol]) -> None:
        """Listen, and serve until `close`.

        Raises
        ------
        OSError
            If the address cannot be bound.
        """
        # A name may stand for several addresses, as localhost does for 127.0.0.1 and ::1.
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        for family, kind, protocol, _, address in dict.fromkeys(found):
            try:
                listening = self._bind(socket.socket(family, kind, protocol), (address[0], self.port or port))
            except OSError as error:
                if self._sockets and error.errno in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT):
                    continue
                raise
            self._sockets.append(listening)
            self.port = listening.getsockname()[1]
            self._start(self._accept(listening, factory))

    @staticmethod
    def _bind(listening: socket.socket, address: tuple[str | int, int]) -> socket.socket:
        try:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if listening.family == socket.AF_INET6:
                listening.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            listening.bind(address)
            listening.listen(_BACKLOG)
            listening.setblocking(False)
        except OSError:
            listening.close()
            raise
        return listening

    def _start(self, coroutine: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _accept(self, listening: socket.socket, factory: Callable[[], asyncio.Protocol]) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                sock, _ = await loop.sock_accept(listening)
            except OSError as error:  # out of descriptors, or a client that is gone already
                _log.warning("accept: %s", error)
                await asyncio.sleep(0.05)
                continue
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            fault = self._faults.first(ACCEPT, self._venue)
            if fault is not None and fault.kind == "tls_stall":
                self._stalled.append(sock)
                continue
            self._start(self._serve(sock, factory, fault.params["flavour"] if fault else self._flavour))

    async def _serve(
        self, sock: socket.socket, factory: Callable[[], asyncio.Protocol], flavour: str
    ) -> None:
        # A client that refuses the certificate, or goes during the handshake, is its own affair.
        with contextlib.suppress(OSError):
            await asyncio.get_running_loop().connect_accepted_socket(
                factory, sock, ssl=self._context(flavour)
            )

    def _context(self, flavour: str) -> ssl.SSLContext | None:
        if self._tls_files is None:
            return None
        if flavour not in self._contexts:
            self._contexts[flavour] = self._tls_files.server_context(flavour)
        return self._contexts[flavour]

    async def close(self) -> None:
        """Stop listening and let go of stalled sockets."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for sock in [*self._stalled, *self._sockets]:
            sock.close()
        self._stalled.clear()
        self._sockets.clear()
