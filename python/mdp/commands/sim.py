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
from mdp.sim.replay import ReplayError
from mdp.sim.server import SimServer
from mdp.sim.tls import TLS_FLAVOURS
from mdp.sim.wire import DEFAULT, FAMILIES


def _split(text: str | None) -> list[str] | None:
    return [part.strip() for part in text.split(",") if part.strip()] if text else None


def _parse_symbols(text: str | None) -> list[str] | int | None:
    if text and text.isdigit():
        return int(text)
    names = _split(text)
    return [name.upper() for name in names] if names else None


def _watch_stdin(loop: asyncio.AbstractEventLoop, stop: asyncio.Event) -> None:
    """Set `stop` when standard input ends, that is when the parent process is gone, however it went."""

    def watch() -> None:
        # A blocking read in a thread works for pipes, files and terminals and on every platform.
        while os.read(0, 4096):
            pass
        loop.call_soon_threadsafe(stop.set)

    threading.Thread(target=watch, name="stdin-watch", daemon=True).start()


async def serve(
    options: SimOptions, *, script: str | None = None, ready_json: bool = False, die_with_stdin: bool = False
) -> None:
    """Run a sim until SIGINT or SIGTERM, or until standard input ends.

    Parameters
    ----------
    options : SimOptions
        Settings.
    script : str or None
        File of faults to be armed.
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
    async with SimServer(options, script) as server:
        venues = {
            name: {
                "port": venue.port,
                "rest_url": venue.rest_url,
                "ws_url": venue.ws_url,
                "symbols": venue.symbols,
            }
            for name, venue in server.venues.items()
        }
        first = next(iter(venues.values()))
        ready = {
            "host": server.host,
            "ca_file": server.ca_file,
            **first,
            "venues": venues,
            "pid": os.getpid(),
        }
        if ready_json:
            print(json.dumps(ready), flush=True)
        else:
            what = f"replay of {options.replay}" if options.replay else "synthetic market"
            print(f"mdp sim: {what}", file=sys.stderr)
            for name, venue in server.venues.items():
                print(f"  {name}, {len(venue.symbols)} symbols", file=sys.stderr)
                routes = " and ".join(venue.ws_url + route for route in venue.family.routes)
                print(f"    REST       {venue.rest_url}\n    WebSocket  {routes}", file=sys.stderr)
            print(f"  CA file      {server.ca_file}", file=sys.stderr)
        await stop.wait()


def sim(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="TCP port; 0 takes any free one.")] = 0,
    families: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(help=f"Comma-separated, of: {', '.join(FAMILIES)}. Default: {DEFAULT.name}."),
    ] = None,
    symbols: Annotated[
        Optional[str], typer.Option(help="Comma-separated symbols, or how many. Default: eight.")  # noqa: UP045
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of the synthetic market.")] = 1,
    rate: Annotated[
        float, typer.Option(help="Events per second per symbol; 0 freezes the market.", min=0)
    ] = 300.0,
    depth_interval_ms: Annotated[int, typer.Option(help="Interval of @depth@100ms.", min=1)] = 100,
    slow_depth_interval_ms: Annotated[
        int, typer.Option(help="Interval of spot's @depth and @depth@1000ms.", min=1)
    ] = 1000,
    depth_phases: Annotated[
        int, typer.Option(help="In how many ways the lines of a stream cut its depth batches.", min=1)
    ] = 1,
    mark_interval_ms: Annotated[int, typer.Option(help="Interval of @markPrice@1s.", min=1)] = 1000,
    ticker_interval_ms: Annotated[
        int,
        typer.Option(help="Interval of spot's @ticker; other tickers and klines keep their ratio.", min=1),
    ] = 1000,
    classic_frames: Annotated[
        bool, typer.Option("--classic-frames", help="Futures frames as before 2025.")
    ] = False,
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
    weight_limit: Annotated[
        Optional[int], typer.Option(help="REST weight per minute. Default: the venue's.")  # noqa: UP045
    ] = None,
    ban_after: Annotated[int, typer.Option(help="Requests in spite of 429 until 418.", min=0)] = 20,
    connects_per_5_min: Annotated[int, typer.Option(help="Handshakes of an address, if strict.")] = 300,
    ping_interval: Annotated[
        Optional[float],  # noqa: UP045
        typer.Option(help="Seconds between server pings. Default: the venue's."),
    ] = None,
    pong_timeout: Annotated[
        Optional[float],  # noqa: UP045
        typer.Option(help="Seconds a pong may be owed. Default: the venue's."),
    ] = None,
    max_connection_age: Annotated[float, typer.Option(help="Seconds a connection may live.")] = 86_400.0,
    client_buffer: Annotated[int, typer.Option(help="Unsent bytes after which a client is cut.")] = 8 << 20,
    faults: Annotated[
        Optional[str], typer.Option(help="Script of faults, YAML: docs/sim.md.")  # noqa: UP045
    ] = None,
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
        families=_split(families),
        symbols=_parse_symbols(symbols),
        seed=seed,
        rate=rate,
        depth_interval_ms=depth_interval_ms,
        slow_depth_interval_ms=slow_depth_interval_ms,
        depth_phases=depth_phases,
        mark_interval_ms=mark_interval_ms,
        ticker_interval_ms=ticker_interval_ms,
        classic_frames=classic_frames,
        weight_limit=weight_limit,
        ban_after=ban_after,
        connects_per_5_min=connects_per_5_min,
        max_connection_age_s=max_connection_age,
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
        asyncio.run(serve(options, script=faults, ready_json=ready_json, die_with_stdin=die_with_stdin))
    except (ReplayError, FaultError, ValueError, OSError) as error:
        typer.echo(f"mdp sim: {error}", err=True)
        raise typer.Exit(2) from None
