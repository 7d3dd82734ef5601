"""Replay of a recorded session: frames byte for byte, snapshots at their recorded moment.

The recorded clock is the time stamp of the record to be played next. It stops at every depth snapshot
until a client that follows this symbol has fetched it, so a join sees the same frames before and after the
snapshot at any speed.
"""

from __future__ import annotations

import asyncio
import glob
import gzip
import json
import logging
import os
import time
from bisect import bisect_right
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from mdp.sim.frames import Frame
from mdp.sim.hub import Hub
from mdp.sim.options import SimOptions
from mdp.sim.wire import DEFAULT, FAMILIES
from mdp.sim.wire.protocol import Wire

_log = logging.getLogger("mdp.sim")

_DRAIN_BYTES = 256 << 10
_FRAMES_PER_DRAIN = 64
_OTHERS_WAIT_S = 0.5


class ReplayError(Exception):
    """A recording cannot be found or is not one of this venue."""


@dataclass
class _Snapshots:
    """Recorded snapshots of one symbol, oldest first."""

    times: list[float] = field(default_factory=list)
    bodies: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Recording:
    """A recorded session, merged by time.

    Attributes
    ----------
    records : list of (float, Frame or str)
        Time in seconds since the epoch, and a frame or the symbol whose snapshot was fetched then.
    snapshots : dict
        Per symbol, the bodies.
    info : str or None
        Body of exchangeInfo, if recorded.
    family : str
        Product it was recorded from.
    """

    records: list[tuple[float, Frame | str]]
    snapshots: dict[str, _Snapshots]
    info: str | None
    family: str


def _files(prefix: str) -> list[str]:
    found = [
        path
        for part in (".http", ".ws", ".info")
        for path in glob.glob(f"{glob.escape(prefix)}{part}*")
        if path.endswith((".jsonl", ".jsonl.gz"))
    ]
    return sorted(found)


def load_recording(prefix: str) -> Recording:
    """Read every file of a session.

    Parameters
    ----------
    prefix : str
        Path without the ``.ws1.part1.jsonl.gz`` and so on.

    Raises
    ------
    ReplayError
        If there is no such session, or a frame is not in the venue's combined form.
    """
    paths = _files(prefix)
    if not any(os.path.basename(path)[len(os.path.basename(prefix)) :].startswith(".ws") for path in paths):
        raise ReplayError(f"no recorded session {prefix}.*: expected {prefix}.ws1.jsonl.gz or the like")
    records: list[tuple[float, Frame | str]] = []
    snapshots: dict[str, _Snapshots] = {}
    fetched: list[tuple[float, str, str]] = []
    info: str | None = None
    family = ""
    for path in paths:
        with (
            gzip.open(path, "rt", encoding="utf-8")
            if path.endswith(".gz")
            else open(path, encoding="utf-8") as file
        ):
            for number, line in enumerate(file, 1):
                record = json.loads(line)
                if record["kind"] == "http":
                    family = family or _family_of_path(urlsplit(record["url"]).path)
                    words = FAMILIES.get(family, DEFAULT).recordings
                    symbol = words.snapshot_symbol(record["url"])
                    if words.is_list(record["url"]):
                        info = record["data"]
                    elif symbol is not None:
                        fetched.append((record["t"], symbol, record["data"]))
                elif record["kind"] == "ws-in":
                    try:
                        frame = FAMILIES.get(family, DEFAULT).recordings.frame(record["data"])
                    except ValueError as error:
                        raise ReplayError(f"{path}:{number}: {error}") from error
                    records.append((record["t"], frame))
    for t, symbol, body in sorted(fetched):
        records.append((t, symbol))
        own = snapshots.setdefault(symbol, _Snapshots())
        own.times.append(t)
        own.bodies.append(body)
    records.sort(key=lambda item: item[0])  # stable, so frames of one connection keep their order
    return Recording(records, snapshots, info, family or DEFAULT.name)


def _family_of_path(path: str) -> str:
    return next(
        (name for name, row in FAMILIES.items() if row.has_path(path)),
        "",
    )


class ReplayFeed:
    """Plays a `Recording` to whoever has subscribed."""

    def __init__(self, options: SimOptions, hub: Hub, recording: Recording) -> None:
        self._options = options
        self._hub = hub
        self._family: Wire = hub.family
        self._words = self._family.recordings
        # Losing a frame would break the promise to replay everything, so slow clients are waited for instead.
        hub.cut_slow_clients = False
        self.recording = recording
        self.state = "waiting"
        self.frames_played = 0
        self.snapshots_given_up = 0
        self._clock = float("-inf")
        self._moved = asyncio.Condition()
        self._waiting: dict[str, int] = {}
        self._fetched: dict[str, int] = {}
        self._updates: dict[str, int] = {}
        if self.recording.info is None:
            bodies = {symbol: own.bodies for symbol, own in recording.snapshots.items()}
            frames = (item for _, item in recording.records if not isinstance(item, str))
            seen = self._words.seen_instruments(bodies, frames)
            self._info = self._family.instrument_list(options.weight_of(self._family), seen)
        else:
            self._info = self.recording.info
        self.session_symbols = sorted(self.recording.snapshots)
        self.symbols = list(dict.fromkeys([*self.session_symbols, *self._words.listed(self._info)]))

    # ------------------------------------------------------------------ clock

    async def run(self) -> None:
        """Play the session once."""
        await self._wait_for_start()
        self.state = "running"
        speed = self._options.speed
        loop = asyncio.get_running_loop()
        records = self.recording.records
        first_t = records[0][0]
        started = loop.time()
        for index, (t, item) in enumerate(records):
            if speed > 0:
                ahead = (t - first_t) / speed - (loop.time() - started)
                if ahead > 0:
                    self._hub.flush()
                    await asyncio.sleep(ahead)
            if isinstance(item, str):
                stopped = loop.time()
                await self._hub.drain(_DRAIN_BYTES)
                self._hub.flush()
                await self._stop_for_snapshot(t, item)
                started += loop.time() - stopped
                continue
            self._clock = max(self._clock, t)
            self._count(item.stream)
            self._hub.publish(item)
            self.frames_played += 1
            if index % _FRAMES_PER_DRAIN == 0:
                self._hub.flush()
                await self._hub.drain(_DRAIN_BYTES)
                # Draining returns at once while there is room; others must get their turn all the same.
                await asyncio.sleep(0)
        self._hub.flush()
        await self._hub.drain(0)
        self.state = "finished"
        async with self._moved:
            self._clock = float("inf")
            self._moved.notify_all()
        while True:  # faults such as a stall may still hold bytes back
            self._hub.flush()
            await asyncio.sleep(0.05)

    def _count(self, stream: str) -> None:
        """Count a depth frame as update of its symbol, for faults that wait for one."""
        symbol = self._words.depth_symbol(stream)
        if symbol is not None:
            count = self._updates[symbol] = self._updates.get(symbol, 0) + 1
            self._hub.faults.happened("update", self._family.name, count, symbol)

    async def _wait_for_start(self) -> None:
        wanted = self._options.start_streams
        while len(self._hub.streams) < max(1, wanted):
            self._hub.subscribed.clear()
            await self._hub.subscribed.wait()
        if not wanted:
            await asyncio.sleep(self._options.start_grace_s)

    async def _stop_for_snapshot(self, t: float, symbol: str) -> None:
        """Let the clock reach a snapshot, and stand until a client that follows the symbol has it."""
        loop = asyncio.get_running_loop()
        async with self._moved:
            before = self._fetched.get(symbol, 0)
            self._clock = max(self._clock, t)
            self._moved.notify_all()
            follows = any(self._words.depth_symbol(name) == symbol for name in self._hub.streams)
            if not follows:
                return
            self.state = f"stopped at the snapshot of {symbol}"
            deadline = loop.time() + self._options.snapshot_wait_s
            while self._fetched.get(symbol, 0) == before:
                # A client that fetches one snapshot at a time may be waiting for a later one than this.
                # Standing here would be a deadlock; going on is harmless, for this one stays available.
                others = any(count for name, count in self._waiting.items() if name != symbol)
                until = min(deadline, loop.time() + _OTHERS_WAIT_S) if others else deadline
                try:
                    await asyncio.wait_for(self._moved.wait(), max(0.0, until - loop.time()))
                except asyncio.TimeoutError:
                    self.snapshots_given_up += 1
                    _log.warning("nobody fetched the snapshot of %s; the replay goes on", symbol)
                    break
            self.state = "running"

    # ------------------------------------------------------------------ Feed

    async def snapshot(self, symbol: str, limit: int, stale_updates: int, wrong_updates: int) -> str:
        """Return the newest recorded snapshot not after the clock; wait for the first one."""
        if stale_updates or wrong_updates:
            raise self._family.refusal(500, message="snapshots of other moments need the synthetic market")
        own = self.recording.snapshots.get(symbol)
        if own is None:
            raise self._words.no_snapshot()
        async with self._moved:
            if self._clock < own.times[0]:
                self._waiting[symbol] = self._waiting.get(symbol, 0) + 1
                self._moved.notify_all()
                try:
                    await asyncio.wait_for(
                        self._moved.wait_for(lambda: self._clock >= own.times[0]),
                        self._options.snapshot_wait_s,
                    )
                except asyncio.TimeoutError:
                    raise self._words.too_early() from None
                finally:
                    self._waiting[symbol] -= 1
            body = own.bodies[bisect_right(own.times, self._clock) - 1]
            self._fetched[symbol] = self._fetched.get(symbol, 0) + 1
            self._moved.notify_all()
        return self._words.cut(body, limit)

    def updates(self, symbol: str) -> int:
        """Return how many depth frames of a symbol have been played."""
        return self._updates.get(symbol, 0)

    def instrument_list(self, symbols: list[str] | None) -> str:
        """Return the recorded instrument list as it was received, or the wanted part of it."""
        return self._info if symbols is None else self._words.part_of_list(self._info, symbols)

    def truth(self, symbol: str, update_id: int | None, depth: int) -> dict[str, Any]:
        """Refuse: a recording has no ground truth."""
        raise LookupError("a replay has no ground truth")

    def burst(self, symbol_pattern: str, levels: int) -> int:
        """Refuse: a recording cannot be added to."""
        raise LookupError("a replay has no market that could burst")

    def begin_ids_anew(self, symbol_pattern: str, back: int) -> int:
        """Refuse: a recording has the ids it has."""
        raise LookupError("a replay has no market whose ids could begin anew")

    def status(self) -> dict[str, Any]:
        """Return how far the replay is."""
        return {
            "replay": self.state,
            "framesPlayed": self.frames_played,
            "framesTotal": sum(1 for _, item in self.recording.records if not isinstance(item, str)),
            "snapshotsFetched": dict(self._fetched),
            "snapshotsGivenUp": self.snapshots_given_up,
            "symbols": {symbol: {} for symbol in self.session_symbols},
            "wallTime": time.time(),
        }
