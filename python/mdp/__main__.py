"""The command line: ``mdp`` or ``python -m mdp``."""

from __future__ import annotations

import io
import signal
import sys
import threading
import time
from enum import Enum
from pathlib import Path
from types import FrameType
from typing import Annotated, Optional

import typer
from rich.console import Console

import mdp
from mdp import _core
from mdp.commands.demo import demo
from mdp.commands.live import describe_event, live_view, print_book
from mdp.commands.sim import sim
from mdp.configuring import keys as config_keys
from mdp.configuring.config import Config, load_config
from mdp.errors import MdpError
from mdp.providing.provider import Provider, check_venues
from mdp.reading.reader import Subscriber
from mdp.replaying.replay import replay

_EXIT_ERROR = 2

app = typer.Typer(
    name="mdp",
    help="Crypto market data over shared memory: exact books, trades and quotes for every local process.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command("demo")(demo)
app.command("sim")(sim)
app.command("replay")(replay)


@app.callback(invoke_without_command=True)
def _options(
    version: Annotated[bool, typer.Option("--version", help="Print the version and exit.")] = False,
    cmake_dir: Annotated[
        bool, typer.Option("--cmake-dir", help="Print the folder for CMake's mdp_DIR and exit.")
    ] = False,
    include_dir: Annotated[
        bool, typer.Option("--include-dir", help="Print the folder of the C++ headers and exit.")
    ] = False,
) -> None:
    installed = Path(_core.__file__).parent
    if version:
        print(mdp.__version__)
    elif cmake_dir:
        print(installed / "lib" / "cmake" / "mdp")
    elif include_dir:
        print(installed / "include")
    else:
        return
    raise typer.Exit


@app.command()
def run(
    config: Annotated[Path, typer.Argument(help="Configuration file (YAML).")],
    duration: Annotated[
        Optional[float],  # noqa: UP045
        typer.Option(min=0, help="Stop after this many seconds, whatever could be reached by then."),
    ] = None,
) -> None:
    """Publish the books of a configuration until SIGINT or SIGTERM.

    What cannot be reached or is not listed is tried again while the rest runs, unless the configuration says
    `strict: true`.
    """
    over_at = float("inf") if duration is None else time.monotonic() + duration
    settings = load_config(config)
    stop = stop_on_signals()
    _core.start_logging(_core.LogLevel[settings.log.level.upper()], settings.log.file)
    provider = Provider(settings)
    try:
        provider.start(cancelled=lambda: stop.is_set() or time.monotonic() >= over_at)
        stop.wait(None if duration is None else max(over_at - time.monotonic(), 0.0))
    except MdpError:
        if not stop.is_set():
            raise
    finally:
        provider.stop()
        _core.stop_logging()


@app.command()
def check(config: Annotated[Path, typer.Argument(help="Configuration file (YAML).")]) -> None:
    """Check a configuration file and say what it would do. Contacts nobody."""
    settings = load_config(config)
    check_venues(settings)
    print(f"{config}: ok")
    print(_summary(settings))


class KeysFormat(str, Enum):
    """How `keys` prints."""

    TABLE = "table"
    MARKDOWN = "markdown"
    JSON_SCHEMA = "json-schema"


@app.command()
def keys(
    format: Annotated[KeysFormat, typer.Option(help="json-schema is for editors.")] = KeysFormat.TABLE,
) -> None:
    """Print every key of a configuration: what it takes, its default, what it means."""
    if format == KeysFormat.TABLE:
        config_keys.print_table(Console())
    else:
        text = config_keys.as_markdown() if format == KeysFormat.MARKDOWN else config_keys.as_json_schema()
        print(text, end="")


@app.command()
def tail(
    segment: Annotated[str, typer.Argument(help="Name of the segment.")],
    symbol: Annotated[list[str], typer.Option(help="Only these symbols; may be given again.")] = [],  # noqa: B006
    oldest: Annotated[bool, typer.Option(help="Begin with the oldest event still in the ring.")] = False,
    count: Annotated[int, typer.Option(min=0, help="Stop after this many events; 0: never.")] = 0,
) -> None:
    """Print every event of a segment as it comes."""
    subscriber = Subscriber(segment, from_oldest=oldest)
    wanted = {subscriber.instrument(name).symbol_id for name in symbol}
    printed = lost = 0
    try:
        for event in subscriber:
            if subscriber.lost_events != lost:
                print(
                    f"lost {subscriber.lost_events - lost} events: this reader was too slow", file=sys.stderr
                )
                lost = subscriber.lost_events
            if wanted and event.symbol_id not in wanted:
                continue
            print(describe_event(event, subscriber))
            printed += 1
            if printed == count:
                return
    except KeyboardInterrupt:
        return
    except BrokenPipeError:
        sys.stderr.close()
        return
    print(f"the publisher of {segment} is gone: {subscriber.publisher_status().name}", file=sys.stderr)


@app.command()
def book(
    segment: Annotated[str, typer.Argument(help="Name of the segment.")],
    symbol: Annotated[str, typer.Argument(help="BTCUSDT or binance:BTC-USDT.")],
    depth: Annotated[int, typer.Option(min=1, help="Levels a side.")] = 10,
    top: Annotated[
        bool, typer.Option("--top", help="One line: symbol, state, update id, bid, quantity, ask, quantity.")
    ] = False,
) -> None:
    """Print the present book of one symbol."""
    print_book(Subscriber(segment).book(symbol), depth, top_only=top)


@app.command()
def top(
    segment: Annotated[str, typer.Argument(help="Name of the segment.")],
    duration: Annotated[
        Optional[float], typer.Option(min=0, help="Stop after this many seconds.")  # noqa: UP045
    ] = None,
) -> None:
    """Show all books of a segment, live; plain lines where there is no terminal."""
    subscriber = Subscriber(segment)
    stop = stop_on_signals()
    deadline = None if duration is None else time.monotonic() + duration
    live_view(subscriber, stop, deadline)


def stop_on_signals() -> threading.Event:
    """Return an event that SIGINT and SIGTERM set; a second signal ends the process at once."""
    stop = threading.Event()

    def on_signal(number: int, _: FrameType | None) -> None:
        if stop.is_set():
            signal.signal(number, signal.SIG_DFL)
            signal.raise_signal(number)
        stop.set()

    signal.signal(signal.SIGINT, on_signal)
    signal.signal(signal.SIGTERM, on_signal)
    return stop


def _summary(settings: Config) -> str:
    lines = [
        f"segment {settings.segment.name}: ring of {settings.segment.ring.human_readable()}, "
        f"{settings.segment.levels} levels a side, room for {settings.segment.instruments} symbols"
    ]
    for venue in settings.venues:
        channels = ", ".join(venue.channels)
        lines.append(f"{venue.name}: {len(venue.symbols)} symbols ({channels}): {', '.join(venue.symbols)}")
    return "\n".join(lines)


def main() -> None:
    """Run the command line; errors of mdp end it with exit code 2 and one message."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(
            stream, io.TextIOWrapper
        ):  # symbols may have characters that the terminal's encoding lacks
            stream.reconfigure(errors="backslashreplace")
    try:
        app()
    except MdpError as error:
        log_end = getattr(_core, "stop_logging", None)
        if log_end:
            log_end()
        print(f"error: {error}", file=sys.stderr)
        sys.exit(_EXIT_ERROR)


if __name__ == "__main__":
    main()
