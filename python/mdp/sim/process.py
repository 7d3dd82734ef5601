"""A sim in a process of its own, for tests and demos that must not share an interpreter with it."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import ssl
import subprocess
import sys
import threading
import time
from importlib.util import find_spec
from pathlib import Path
from typing import Any, final
from urllib.parse import quote, urlencode, urlsplit

from mdp._loading import missing_extra

_PACKAGES = ("aiohttp", "cryptography", "typer", "yaml")
"""What the process needs besides what this one does."""


class SimProcessError(RuntimeError):
    """The sim did not start, or refused a request on its side path."""


@final
class SimProcess:
    """Handle of a sim process; made by `start_sim_process`, usable as a context manager.

    Attributes
    ----------
    host, port : str, int
        Where it listens.
    ca_file : str or None
        Certificate to trust; None with ``plain=True``.
    rest_url, ws_url : str
        Base addresses without a trailing slash.
    symbols : list of str
        Symbols served.
    venues : dict of str to dict
        Per family its ``port``, ``rest_url``, ``ws_url`` and ``symbols``; those above are the first's.
    process : subprocess.Popen
        The process itself.
    """

    def __init__(self, process: subprocess.Popen[str], ready: dict[str, Any]) -> None:
        self.process = process
        self.host: str = ready["host"]
        self.port: int = ready["port"]
        self.ca_file: str | None = ready["ca_file"]
        self.rest_url: str = ready["rest_url"]
        self.ws_url: str = ready["ws_url"]
        self.symbols: list[str] = ready["symbols"]
        self.venues: dict[str, dict[str, Any]] = ready["venues"]
        self._lock = threading.Lock()
        self._connections: dict[int, http.client.HTTPConnection] = {}

    def __enter__(self) -> SimProcess:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def pid(self) -> int:
        """Process id."""
        return self.process.pid

    def _connect(self, port: int) -> http.client.HTTPConnection:
        host = urlsplit(self.rest_url).hostname or self.host
        if self.ca_file is None:
            return http.client.HTTPConnection(host, port, timeout=30)
        # The side path is not what TLS tests are about, and it must work with a bad certificate too.
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        return http.client.HTTPSConnection(host, port, timeout=30, context=context)

    def request(
        self, method: str, path: str, body: dict[str, Any] | None = None, *, venue: str | None = None
    ) -> tuple[int, dict[str, str], str]:
        """Send one request on a kept connection, to the first family where no venue is named.

        Returns
        -------
        tuple
            Status, headers with lower-case names, body text.
        """
        data = None if body is None else json.dumps(body)
        headers = {} if body is None else {"Content-Type": "application/json"}
        port = self.port if venue is None else self.venues[venue]["port"]
        with self._lock:
            for attempt in (1, 2):
                connection = self._connections.get(port)
                if connection is None:
                    connection = self._connections[port] = self._connect(port)
                try:
                    connection.request(method, path, data, headers)
                    response = connection.getresponse()
                    text = response.read().decode()
                    return response.status, {k.lower(): v for k, v in response.getheaders()}, text
                except (OSError, http.client.HTTPException):
                    # An idle connection may have been closed meanwhile; once is forgiven.
                    connection.close()
                    del self._connections[port]
                    if attempt == 2:
                        raise
        raise AssertionError("unreachable")

    def _json(
        self, method: str, path: str, body: dict[str, Any] | None = None, venue: str | None = None
    ) -> Any:
        status, _, text = self.request(method, path, body, venue=venue)
        if status == 404 and path.startswith("/sim/truth"):
            raise LookupError(json.loads(text)["reason"])
        if status != 200:
            raise SimProcessError(f"{method} {path}: {status} {text}")
        return json.loads(text)

    def truth(
        self, symbol: str, update_id: int | None = None, depth: int = 20, *, venue: str | None = None
    ) -> dict[str, Any]:
        """Return the true book.

        Parameters
        ----------
        symbol : str
            Upper case.
        update_id : int or None
            Which book; None for the newest.
        depth : int
            Levels a side, at least 1.
        venue : str or None
            Family; None for the first.

        Returns
        -------
        dict
            ``symbol``, ``updateId``, ``changes`` (of the book since the start, up to that id; ids may skip),
            ``bids``, ``asks``; levels are pairs of decimal strings, best first.

        Raises
        ------
        LookupError
            If that book is not, or no longer, known.
        """
        query: dict[str, Any] = {"symbol": symbol, "depth": depth}
        if update_id is not None:
            query["updateId"] = update_id
        result: dict[str, Any] = self._json(
            "GET", f"/sim/truth?{urlencode(query, quote_via=quote)}", venue=venue
        )
        return result

    def fault(self, kind: str, **params: Any) -> dict[str, Any]:
        """Arm a fault; parameters as `mdp.sim.faults.FaultTable.add` takes them."""
        result: dict[str, Any] = self._json("POST", "/sim/fault", {"kind": kind, **params})
        return result

    def faults(self) -> list[dict[str, Any]]:
        """Return every fault armed since the last `clear_faults`, with how often it fired."""
        result: list[dict[str, Any]] = self._json("GET", "/sim/fault")
        return result

    def clear_faults(self) -> None:
        """Disarm every fault."""
        self._json("DELETE", "/sim/fault")

    def step(
        self,
        symbol: str,
        events: int = 1,
        *,
        cut: str | None = None,
        phase: int = 0,
        venue: str | None = None,
    ) -> int:
        """Let `events` things happen to a symbol of a sim with ``rate=0`` and return its update id.

        Parameters
        ----------
        symbol : str
            Upper case.
        events : int
            How many; an event is about 1.05 changes of the book.
        cut : str or None
            Speed whose depth batches are cut afterwards, ``""`` or ``@100ms`` and so on; None for none. With
            an interval that never ends, these are all the cuts there are.
        phase : int
            Which lines get that batch, below ``depth_phases``.
        venue : str or None
            Family; None for the first.
        """
        body = {"symbol": symbol, "events": events, "cut": cut, "phase": phase}
        return int(self._json("POST", "/sim/step", body, venue)["updateId"])

    def lean(self, symbol: str, ticks: int, *, venue: str | None = None) -> None:
        """Move the fair price of a symbol: its book runs after it by its own rate, a negative number down."""
        self._json("POST", "/sim/step", {"symbol": symbol, "events": 0, "lean": ticks}, venue)

    def status(self, venue: str | None = None) -> dict[str, Any]:
        """Return a family's clients, frames sent, REST requests, snapshots, update ids, replay, counters."""
        result: dict[str, Any] = self._json("GET", "/sim/status", venue=venue)
        return result

    def counters(self) -> dict[str, Any]:
        """Return what clients did: violations, weight per minute, refusals and the requests after them."""
        result: dict[str, Any] = self.status()["counters"]
        return result

    def stop(self, timeout_s: float = 10.0) -> int:
        """End the process and return its exit code; harmless if it has ended already."""
        with self._lock:
            for connection in self._connections.values():
                connection.close()
            self._connections.clear()
        if self.process.poll() is None:
            self.process.terminate()
        try:
            return self.process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait()
        finally:
            for pipe in (self.process.stdin, self.process.stdout):
                if pipe is not None:
                    with contextlib.suppress(OSError):
                        pipe.close()


def _flag(name: str, value: Any) -> list[str]:
    option = "--" + name.replace("_", "-")
    if value is None or value is False:
        return []
    if value is True:
        return [option]
    if isinstance(value, (list, tuple)):
        return [option, ",".join(value)]
    return [option, str(value)]


def start_sim_process(*, start_timeout_s: float = 60.0, **options: Any) -> SimProcess:
    """Start ``python -m mdp sim`` and return when it is listening.

    The child ends with this process, however this process ends: it watches its standard input.

    Parameters
    ----------
    start_timeout_s : float
        How long to wait for it to listen.
    **options
        Options of the command line with underscores: ``symbols=["BTCUSDT"]``, ``rate=300``, ``seed=1``,
        ``replay="..."``, ``speed=0``, ``plain=True``, ``tls_flavour="expired"``, ``strict=True``, ...

    Raises
    ------
    SimProcessError
        If it ends or stays silent instead of listening.
    MissingExtraError
        A package that it needs is not installed.
    """
    for package in _PACKAGES:
        if find_spec(package) is None:
            raise missing_extra("the embedded exchange", package, "sim")
    command = [sys.executable, "-m", "mdp", "sim", "--ready-json", "--die-with-stdin"]
    for name, value in options.items():
        command += _flag(name, value)
    # The package may be on sys.path by ways a child does not inherit (pytest's pythonpath setting).
    root = str(Path(__file__).resolve().parents[2])
    paths = [root, *filter(None, [os.environ.get("PYTHONPATH")])]
    process = subprocess.Popen(  # noqa: S603 - our own interpreter and module
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        # Ctrl-C reaches the whole group of a terminal. The parent decides when this one ends, for it may have
        # a last question.
        start_new_session=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
    )
    lines: list[str] = []
    assert process.stdout is not None
    stdout = process.stdout
    reader = threading.Thread(target=lambda: lines.append(stdout.readline()), daemon=True)
    reader.start()
    deadline = time.monotonic() + start_timeout_s
    reader.join(max(0.0, deadline - time.monotonic()))
    if not lines or not lines[0]:
        process.kill()
        code = process.wait()
        raise SimProcessError(f"{' '.join(command)} did not get ready; exit code {code}")
    return SimProcess(process, json.loads(lines[0]))
