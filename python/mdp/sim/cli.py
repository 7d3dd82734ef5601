"""Command line of the embedded exchange: the function that the main command mounts as ``mdp sim``."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import sys
import threading
from typing import Annotated, Optional

import typer

from mdp.sim.faults import FaultError
from mdp.sim.options import SimOptions
from mdp.sim.replay import ReplayError, ReplayFeed
from mdp.sim.server import SimServer
from mdp.sim.tls import TLS_FLAVOURS


def _parse_symbols(text: str | None) -> list[str] | int | None:
    if not text:
        return None
    if text.isdigit():
        return int(text)
    return [part.strip().upper() for part in text.split(",") if part.strip()]


def _watch_stdin(loop: asyncio.AbstractEventLoop, stop: asyncio.Event) -> None:
    """Set `stop` when standard input ends, that is when the parent process is gone, however it went."""

    def watch() -> None:
        # A blocking read in a thread works for pipes, files and terminals and on every platform.
        while os.read(0, 4096):
            pass
        loop.call_soon_threadsafe(stop.set)

    threading.Thread(target=watch, name="stdin-watch", daemon=True).start()


async def serve(options: SimOptions, *, ready_json: bool = False, die_with_stdin: bool = False) -> None:
    """Run a sim until SIGINT or SIGTERM, or until standard input ends.

    Parameters
    ----------
    options : SimOptions
        Settings.
    ready_json : bool
        Print one JSON line with the address once listening, instead of text for people.
    die_with_stdin : bool
        Also stop at the end of standard input.
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        try:
            loop.add_signal_handler(number, stop.set)
        except NotImplementedError:  # Windows: no loop signal handlers, the plain kind does
            signal.signal(number, lambda *_: loop.call_soon_threadsafe(stop.set))
    if die_with_stdin:
        _watch_stdin(loop, stop)
    async with SimServer(options) as server:
        feed = server.feed
        symbols = feed.session_symbols if isinstance(feed, ReplayFeed) else feed.symbols
        ready = {
            "host": server.host,
            "port": server.port,
            "ca_file": server.ca_file,
            "rest_url": server.rest_url,
            "ws_url": server.ws_url,
            "symbols": symbols,
            "pid": os.getpid(),
        }
        if ready_json:
            print(json.dumps(ready), flush=True)
        else:
            what = f"replay of {options.replay}" if options.replay else "synthetic market"
            print(f"mdp sim: {what}, {len(symbols)} symbols", file=sys.stderr)
            print(f"  REST       {server.rest_url}\n  WebSocket  {server.ws_url}", file=sys.stderr)
            print(f"  CA file    {server.ca_file}", file=sys.stderr)
        await stop.wait()


def sim(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="TCP port; 0 takes any free one.")] = 0,
    symbols: Annotated[
        Optional[str], typer.Option(help="Comma-separated symbols, or how many. Default: eight.")  # noqa: UP045
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of the synthetic market.")] = 1,
    rate: Annotated[
        float, typer.Option(help="Events per second per symbol; 0 freezes the market.", min=0)
    ] = 300.0,
    depth_interval_ms: Annotated[int, typer.Option(help="Interval of @depth@100ms.", min=1)] = 100,
    slow_depth_interval_ms: Annotated[int, typer.Option(help="Interval of @depth.", min=1)] = 1000,
    tls_dir: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(help="Directory for the certificates, kept; default: a temporary one."),
    ] = None,
    tls_flavour: Annotated[str, typer.Option(help=f"One of: {', '.join(TLS_FLAVOURS)}.")] = "good",
    plain: Annotated[bool, typer.Option("--plain", help="No TLS.")] = False,
    replay: Annotated[
        Optional[str], typer.Option(help="Path prefix of a recorded session to replay.")  # noqa: UP045
    ] = None,
    speed: Annotated[
        float, typer.Option(help="Pace of the replay; 0: as fast as clients read.", min=0)
    ] = 1.0,
    start_streams: Annotated[
        int, typer.Option(help="Streams that must be subscribed before a replay starts.")
    ] = 0,
    start_grace: Annotated[
        float, typer.Option(help="Seconds from first subscription to replay start.")
    ] = 0.2,
    snapshot_wait: Annotated[
        float, typer.Option(help="Seconds a replay waits for a snapshot to be fetched.")
    ] = 10.0,
    strict: Annotated[bool, typer.Option("--strict", help="Enforce message and connection limits.")] = False,
    weight_limit: Annotated[int, typer.Option(help="REST weight per minute.")] = 6000,
    ping_interval: Annotated[float, typer.Option(help="Seconds between server pings.")] = 20.0,
    pong_timeout: Annotated[float, typer.Option(help="Seconds a pong may be owed.")] = 60.0,
    client_buffer: Annotated[int, typer.Option(help="Unsent bytes after which a client is cut.")] = 8 << 20,
    ready_json: Annotated[
        bool, typer.Option("--ready-json", help="Print one JSON line once listening.")
    ] = False,
    die_with_stdin: Annotated[
        bool, typer.Option("--die-with-stdin", help="Stop when standard input ends.")
    ] = False,
) -> None:
    """Run an exchange on loopback: real protocol, synthetic or recorded market, faults on demand."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(levelname)s %(message)s")
    options = SimOptions(
        host=host,
        port=port,
        tls=not plain,
        tls_dir=tls_dir,
        tls_flavour=tls_flavour,
        symbols=_parse_symbols(symbols),
        seed=seed,
        rate=rate,
        depth_interval_ms=depth_interval_ms,
        slow_depth_interval_ms=slow_depth_interval_ms,
        weight_limit=weight_limit,
        strict=strict,
        ping_interval_s=ping_interval,
        pong_timeout_s=pong_timeout,
        client_buffer_bytes=client_buffer,
        replay=replay,
        speed=speed,
        start_streams=start_streams,
        start_grace_s=start_grace,
        snapshot_wait_s=snapshot_wait,
    )
    try:
        asyncio.run(serve(options, ready_json=ready_json, die_with_stdin=die_with_stdin))
    except (ReplayError, FaultError, ValueError, OSError) as error:
        typer.echo(f"mdp sim: {error}", err=True)
        raise typer.Exit(2) from None
