"""Replay of recorded sessions through the engine's own stages.

The frames go through the venue's parser, its book rule and the books exactly as live ones do. What differs
is where they come from, and that a snapshot enters when its recorded time comes: a book that needs another
one has what the recording has.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO
from urllib.parse import parse_qs, urlsplit

from mdp import _core
from mdp.errors import MdpError
from mdp.replaying.recording import Record, Recording

_BATCH = 4096  # records between two looks at what came out
_PROBE = "SYMBOL0PROBE"
_LOOK_S = 1.0

WrongQuote = tuple[str, int, tuple[str, str, str, str], tuple[str, str, str, str]]


@dataclass(frozen=True)
class ReplayResult:
    """What a replay came to.

    Attributes
    ----------
    summary : dict of str to int
        As ``mdp replay`` prints it.
    books : bytes
        All books, as JSON.
    wrong_quotes : list
        Symbol, update id, the book's top and the venue's quote of each disagreement.
    problems : list of str
        What could not be read; not all where there are thousands.
    ok : bool
        Nothing was wrong: every frame was read, no gap, no resync, no wrong quote, all books LIVE.
    """

    summary: dict[str, int]
    books: bytes
    wrong_quotes: list[WrongQuote]
    problems: list[str]
    ok: bool


class _RestCalls:
    """Knows recorded REST answers by their URLs, whatever version of the path was recorded."""

    def __init__(self, survey: _core.ReplaySurvey) -> None:
        wanted = urlsplit(survey.snapshot_target(_PROBE))
        self._path = wanted.path.split("/")
        keys = [key for key, values in parse_qs(wanted.query).items() if values == [_PROBE]]
        self._key = keys[0] if keys else None
        self._list = urlsplit(survey.instruments_target).path.rsplit("/", 1)[-1]

    def snapshot_of(self, url: str) -> str | None:
        """Return the symbol whose snapshot the URL asks for."""
        found = urlsplit(url)
        path = found.path.split("/")
        if self._key is not None:
            values = parse_qs(found.query).get(self._key)
            return values[0] if values and path[-1] == self._path[-1] else None
        if len(path) != len(self._path) or _PROBE not in self._path:
            return None
        at = self._path.index(_PROBE)
        return path[at] if path[at + 1 :] == self._path[at + 1 :] else None

    def is_list(self, url: str) -> bool:
        """Tell whether the URL asks for the instruments."""
        return urlsplit(url).path.rsplit("/", 1)[-1] == self._list


@dataclass
class _Session:
    """A recording after the first look at it."""

    symbols: list[_core.ReplaySymbol]
    lines: dict[str, int]  # by connection
    calls: _RestCalls


def _look(recording: Recording, venue: str, wanted: Collection[str], progress: _Progress) -> _Session:
    """Find the symbols, their exponents and the connections of a session."""
    survey = _core.ReplaySurvey(venue)
    calls = _RestCalls(survey)
    names = dict.fromkeys(name for name in wanted if ":" not in name)
    listed = False
    for record in recording.rest_answers():
        symbol = calls.snapshot_of(record.url or "")
        if symbol is not None:
            names[symbol] = None
        elif not listed and calls.is_list(record.url or ""):
            survey.add_listed(record.data)
            listed = True
    for name in names:
        survey.add_unlisted(name)
    lines: dict[str, int] = {}
    for record in recording.records():
        if record.kind == "ws-in":
            line = lines.setdefault(record.connection, len(lines))
            survey.frame(line, record.data, record.binary)
            progress.step("looking")
        elif record.kind == "http":
            symbol = calls.snapshot_of(record.url or "")
            if symbol is not None:
                survey.snapshot(symbol, record.data)
    found = survey.found()
    if not found:
        raise MdpError(
            f"the recording shows no symbol of {venue}: it has no list of instruments and no snapshot "
            "whose symbols are in its frames; name them with --symbol"
        )
    known = [{symbol.instrument.venue_symbol, symbol.instrument.canonical_symbol} for symbol in found]
    for name in wanted:
        if not any(name in names for names in known):
            have = ", ".join(symbol.instrument.venue_symbol for symbol in found)
            raise MdpError(f"the recording has nothing of {name}: it has {have}")
    if wanted:
        found = [symbol for symbol, own in zip(found, known, strict=True) if own & set(wanted)]
    return _Session(found, lines, calls)


class _Player:
    """Puts the records of a session into a replay."""

    def __init__(self, replay: _core.Replay, session: _Session) -> None:
        self._replay = replay
        self._session = session
        self._up: set[int] = set()

    def put_in(self, record: Record) -> bool:
        """Enter a record; say whether it was a frame."""
        if record.kind == "http":
            symbol = self._session.calls.snapshot_of(record.url or "")
            if symbol is not None:
                self._replay.snapshot(symbol, record.recv_ts_ns, record.data, record.url or "")
            return False
        if record.kind != "ws-in":
            return False
        line = self._session.lines[record.connection]
        if line not in self._up or record.url is not None:
            self._connect(line, record.recv_ts_ns)
        self._replay.frame(line, record.recv_ts_ns, record.data, record.binary)
        return True

    def _connect(self, line: int, recv_ts_ns: int) -> None:
        """Bring a new connection up: what was known from the one before is void."""
        if line in self._up:
            self._replay.line_state(line, _core.LineState.DOWN, recv_ts_ns)
        self._up.add(line)
        self._replay.line_state(line, _core.LineState.UP, recv_ts_ns)


def replay_session(
    paths: Sequence[Path],
    venue: str,
    *,
    symbols: Collection[str] = (),
    topology: str = "fused",
    audit: bool = False,
    events: BinaryIO | None = None,
    show_progress: bool = False,
) -> ReplayResult:
    """Replay a recorded session as fast as it goes.

    Parameters
    ----------
    paths : sequence of Path
        The files of one session, in any order (see `mdp.replaying.recording`).
    venue : str
        As in canonical symbols: "binance".
    symbols : collection of str
        Only these, by the venue's name or canonical; all if empty.
    topology : {"fused", "pipelined"}
        The events are the same in both.
    audit : bool
        Whether a quote of the venue that disagrees makes the book STALE, as it does live. Otherwise it is
        counted, and so are all that follow it.
    events : binary file, optional
        Gets every event as a line of JSON.
    show_progress : bool
        Tell on stderr how far it is.

    Raises
    ------
    MdpError
        If the files cannot be read, or show no symbol of this venue.
    ConfigError
        If there is no such venue.
    """
    if topology not in ("fused", "pipelined"):
        raise MdpError(f'topology: expected "fused" or "pipelined", found "{topology}"')
    recording = Recording(paths)
    progress = _Progress(show_progress)
    session = _look(recording, venue, symbols, progress)
    replay = _core.Replay(
        venue, session.symbols, len(session.lines), topology == "pipelined", events is not None, audit
    )
    player = _Player(replay, session)
    problems: list[str] = []

    def collect() -> None:
        problems.extend(replay.take_problems())
        if events is not None:
            events.write(replay.take_event_lines())

    progress.begin()
    for number, record in enumerate(recording.records(), 1):
        if player.put_in(record):
            progress.step("replaying")
        if number % _BATCH == 0:
            collect()
    collect()
    progress.end()
    counts = replay.summary()
    wrong = replay.wrong_quotes()
    return ReplayResult(_summary(counts), replay.books(), wrong, problems, _is_ok(counts))


def _summary(counts: _core.ReplaySummary) -> dict[str, int]:
    return {
        "frames": counts.frames,
        "parse_errors": counts.parse_errors,
        "gaps": counts.gaps,
        "resyncs": counts.resyncs,
        "book_updates": counts.book_updates,
        "trades": counts.trades,
        "bbo_checked": counts.quotes_checked,
        "bbo_wrong": counts.quotes_wrong,
        "crossed": counts.crossed,
        "suspicions": counts.suspicions,
        "books": counts.books,
        "books_live": counts.books_live,
    }


def _is_ok(counts: _core.ReplaySummary) -> bool:
    wrong = counts.parse_errors + counts.gaps + counts.resyncs + counts.quotes_wrong + counts.crossed
    return wrong == 0 and counts.books_live == counts.books


class _Progress:
    """Tells on stderr how far a replay is: in place on a terminal, a line a second elsewhere."""

    def __init__(self, shown: bool) -> None:
        self._shown = shown
        self.begin()

    def begin(self) -> None:
        """Count from zero."""
        self._frames = 0
        self._began = self._told = time.monotonic()

    def step(self, what: str) -> None:
        """Count a frame."""
        self._frames += 1
        if not self._shown or self._frames % _BATCH:
            return
        now = time.monotonic()
        if now - self._told >= _LOOK_S:
            self._told = now
            self._tell(f"{what}: {self._frames} frames")

    def end(self) -> None:
        """Tell what it came to."""
        seconds = max(time.monotonic() - self._began, 1e-9)
        self._tell(f"replayed {self._frames} frames in {seconds:.2f} s, {self._frames / seconds:.0f}/s\n")

    def _tell(self, text: str) -> None:
        if not self._shown:
            return
        terminal = sys.stderr.isatty()
        sys.stderr.write(f"\r\x1b[K{text}" if terminal else text.rstrip("\n") + "\n")
        sys.stderr.flush()
