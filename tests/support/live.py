"""A live segment for tests of readers: a publisher in a process of its own, told what to do line by line."""

from __future__ import annotations

import itertools
import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PUBLISHER = ROOT / "build/release/tests/mdp_test_publisher"
DEADLINE_S = 60.0

_numbers = itertools.count()


def unique_segment() -> str:
    return f"mdp-test-py-{os.getpid()}-{next(_numbers)}"


def wait_until(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        if time.monotonic() > deadline:
            pytest.fail(f"waited {DEADLINE_S} s for {what}")
        time.sleep(0.001)


class LivePublisher:
    """Starts mdp_test_publisher (tests/support/test_publisher.cpp says what it publishes)."""

    def __init__(self, segment: str | None = None, *, ring_bytes: int = 1 << 20, levels: int = 20) -> None:
        if not PUBLISHER.exists():
            pytest.skip("mdp_test_publisher is not built: run `make build`")
        self.segment = segment or unique_segment()
        self.process = subprocess.Popen(
            [str(PUBLISHER), self.segment, str(ring_bytes), str(levels)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.events = self._answer("ready")

    def fill(self, steps: int) -> int:
        """Publish so many steps; return how many events the segment has had."""
        return self._command(f"fill {steps}", "filled")

    def load(self) -> None:
        self._command("load", "loading")

    def rest(self) -> int:
        return self._command("rest", "resting")

    def stop(self) -> None:
        """End it in order."""
        if self.process.stdin and not self.process.stdin.closed:
            self.process.stdin.close()
        assert self.process.wait(DEADLINE_S) == 0
        if self.process.stdout:
            self.process.stdout.close()

    def die(self) -> None:
        assert self.process.stdin
        self.process.stdin.write("die\n")
        self.process.stdin.close()
        assert self.process.wait(DEADLINE_S) == 9

    def __enter__(self) -> LivePublisher:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.stop()
        else:
            # One that died left its segment and its lock behind.
            for name in (self.segment, f".{self.segment}.lock"):
                Path("/dev/shm", name).unlink(missing_ok=True)

    def _command(self, command: str, answer: str) -> int:
        assert self.process.stdin
        self.process.stdin.write(command + "\n")
        self.process.stdin.flush()
        self.events = self._answer(answer)
        return self.events

    def _answer(self, word: str) -> int:
        assert self.process.stdout
        line = self.process.stdout.readline().split()
        assert line[:1] == [word], f"the publisher said {line}, exit code {self.process.poll()}"
        return int(line[1])
