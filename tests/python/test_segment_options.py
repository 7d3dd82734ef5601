"""Segment options reach the engine, and forked workers do not keep a dead publisher's name."""

from __future__ import annotations

import contextlib
import itertools
import multiprocessing
import os
import signal
import sys
from multiprocessing.connection import Connection
from pathlib import Path

import pytest
from mdp import SegmentError, _core
from mdp.configuring.config import parse_config
from mdp.errors import ConfigError

pytestmark = [
    pytest.mark.unit,
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks into /dev/shm and /proc"),
]
VENUES = "venues:\n  - name: binance\n    symbols: [BTCUSDT]\n"
_numbers = itertools.count()


def segment_name() -> str:
    """Give a name that no other test has."""
    return f"mdp-test-options-{os.getpid()}-{next(_numbers)}"


def engine(name: str, options: str = "") -> _core.Engine:
    """Create an engine, and with it its segment."""
    text = f"segment:\n  name: {name}\n  ring: 64KiB\n  instruments: 16\n{options}{VENUES}"
    return _core.Engine(parse_config(text).native())


def locked_kilobytes() -> int:
    """Return what this process holds locked in memory, kB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmLck:"))


def test_options_are_off_by_default_and_must_be_booleans() -> None:
    segment = parse_config(VENUES).segment
    assert (segment.lock_memory, segment.huge_pages) == (False, False)
    config = parse_config("segment: {lock_memory: true, huge_pages: true}\n" + VENUES)
    native = config.native().segment
    assert (native.lock_memory, native.huge_pages) == (True, True)
    for key in ("lock_memory", "huge_pages"):
        with pytest.raises(ConfigError, match=rf"segment\.{key}"):
            parse_config(f"segment: {{{key}: perhaps}}\n" + VENUES)


@pytest.mark.parametrize("option", ["lock_memory", "huge_pages"])
def test_what_the_system_refuses_is_a_warning_and_no_error(option: str, tmp_path: Path) -> None:
    name, log_file = segment_name(), tmp_path / "log"
    before = locked_kilobytes()
    _core.start_logging(_core.LogLevel.WARNING, str(log_file))
    running = engine(name, f"  {option}: true\n")
    locked = locked_kilobytes() > before
    running.stop()
    _core.stop_logging()
    log = log_file.read_text()
    if option == "lock_memory":
        assert locked != (f"segment.not_locked name={name}" in log)
    else:
        # 64 KiB and a few pages hold no page of 2 MiB.
        assert f"segment.no_huge_pages name={name}" in log
    assert not Path("/dev/shm", name).exists()


def _work(parent: Connection) -> None:
    with contextlib.suppress(EOFError):
        parent.recv()


def _publish(name: str, parent: Connection) -> None:
    kept = engine(name)
    ours, theirs = multiprocessing.Pipe()
    worker = multiprocessing.get_context("fork").Process(target=_work, args=(theirs,))
    worker.start()
    parent.send(worker.pid)
    parent.recv()  # never comes: this process is killed
    del kept, ours


def test_forked_worker_that_survives_does_not_keep_the_name() -> None:
    name = segment_name()
    ours, theirs = multiprocessing.Pipe()
    publisher = multiprocessing.get_context("spawn").Process(target=_publish, args=(name, theirs))
    publisher.start()
    theirs.close()  # or its death would not show here
    worker = ours.recv()
    try:
        with pytest.raises(SegmentError, match=str(publisher.pid)):
            engine(name)
        publisher.kill()
        publisher.join()
        os.kill(worker, 0)  # it still runs
        engine(name).stop()
        assert not Path("/dev/shm", name).exists()
    finally:
        os.kill(worker, signal.SIGKILL)
