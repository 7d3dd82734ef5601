"""``mdp replay``: a recorded session through parser, sync rule and books."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, BinaryIO, Optional

import typer

from mdp.errors import MdpError
from mdp.replaying.replay import ReplayResult, replay_session

_SHOWN = 20  # problems and wrong quotes told in words
_EXIT_WRONG = 1


def replay(
    files: Annotated[list[Path], typer.Argument(help="Files of one session: .jsonl, .gz or .zst.")],
    venue: Annotated[str, typer.Option(help='The venue, as in canonical symbols: "binance".')],
    events: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(help="Write every event to this file, a JSON object a line."),
    ] = None,
    books: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(help="Write the final books to this file, as JSON."),
    ] = None,
    symbol: Annotated[list[str], typer.Option(help="Only this symbol; may be given again.")] = [],  # noqa: B006
    topology: Annotated[str, typer.Option(help="fused or pipelined; what comes out is the same.")] = "fused",
    audit: Annotated[
        bool, typer.Option("--audit", help="A wrong top makes its book STALE, as it does live.")
    ] = False,
) -> None:
    """Replay a recorded session; exit code 1 when anything in it is wrong."""
    with _output(events) as out:
        result = replay_session(
            files, venue, symbols=symbol, topology=topology, audit=audit, events=out, show_progress=True
        )
    if books is not None:
        with _output(books) as out:
            assert out is not None
            out.write(result.books)
    for text in _faults(result):
        print(text, file=sys.stderr)
    print(json.dumps(result.summary))
    if not result.ok:
        raise typer.Exit(_EXIT_WRONG)


@contextlib.contextmanager
def _output(path: Path | None) -> Iterator[BinaryIO | None]:
    if path is None:
        yield None
        return
    try:
        with path.open("wb") as file:
            yield file
    except OSError as error:
        raise MdpError(f"cannot write {path}: {error}") from None


def _faults(result: ReplayResult) -> Iterator[str]:
    """Yield what was wrong in words, of very many not all."""
    yield from result.problems[:_SHOWN]
    for symbol, update_id, book, venue in result.wrong_quotes[:_SHOWN]:
        yield f"wrong top: {symbol} at {update_id}: book {_top(book)}, venue {_top(venue)}"
    if result.summary["books"] == result.summary["books_live"]:
        return
    for name, book in json.loads(result.books).items():
        if book["state"] != "LIVE":
            yield f"not LIVE at the end: {name} ({book['state']})"


def _top(top: tuple[str, str, str, str]) -> str:
    return f"{top[0]} x {top[1]} / {top[2]} x {top[3]}"
