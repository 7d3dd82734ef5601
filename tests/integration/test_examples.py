"""The programs in examples/ do what their heads say, as they stand."""

from __future__ import annotations

import csv
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path

import pytest
from integration.harness import DEADLINE_S, ROOT, wait_for
from mdp import EventType, Subscriber, _core
from mdp.about import shm_library
from mdp.sim import start_sim_process
from python.test_consumer import build_consumer, run
from support.live import LivePublisher, unique_segment

EXAMPLES = ROOT / "examples"


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the C and C++ programs against what was installed with mdp; return their folder."""
    package = Path(_core.__file__).parent / "lib" / "cmake" / "mdp"
    return build_consumer(package, tmp_path_factory.mktemp("examples")).parent


class Running:
    """A program whose lines come while it runs."""

    def __init__(self, *command: str | Path) -> None:
        words = [str(word) for word in command]
        self.process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        # One that says nothing must not hang the test.
        self.limit = threading.Timer(DEADLINE_S, self.process.kill)
        self.limit.start()

    def until(self, matches: Callable[[str], bool]) -> str:
        """Read lines up to one that matches, and return it."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if matches(line.rstrip("\n")):
                return line.rstrip("\n")
        raise AssertionError(f"it ended: {self.process.communicate()[1]}")


@contextmanager
def running(*command: str | Path) -> Iterator[Running]:
    program = Running(*command)
    try:
        yield program
    finally:
        program.limit.cancel()
        program.process.kill()
        program.process.communicate()


def is_top(line: str) -> bool:
    return re.fullmatch(r"\d+\.\d+ \d+\.\d+", line) is not None


def test_recorded_trades_are_those_of_the_ring(tmp_path: Path) -> None:
    with LivePublisher() as publisher:
        publisher.fill(2_000)
        feed = Subscriber(publisher.segment, from_oldest=True)
        trades = [event for event in feed.poll(100_000) if event.type == EventType.TRADE]
        path = tmp_path / "trades.csv"
        with running(
            sys.executable, EXAMPLES / "python/record_trades.py", publisher.segment, path
        ) as program:
            wait_for(lambda: path.exists() and path.stat().st_size > 0, "trades")
            publisher.stop()
            assert program.until(lambda line: line.endswith("trades")) == f"{len(trades)} trades"
    rows = list(csv.DictReader(path.open()))
    assert len(rows) == len(trades) > 100
    for row, trade in zip(rows, trades, strict=True):
        assert int(row["sequence"]) == trade.sequence
        assert Decimal(row["price"]) == Decimal(trade.price).scaleb(-2)
        assert Decimal(row["quantity"]) == Decimal(trade.quantity).scaleb(-3)


def test_the_imbalance_of_a_live_book_is_printed() -> None:
    with LivePublisher() as publisher:
        command = [sys.executable, "-u", EXAMPLES / "python/imbalance.py", publisher.segment, "BTCUSDT"]
        with running(*command) as program:
            seen: list[str] = []

            def enough() -> bool:
                publisher.fill(20)
                return program.process.poll() is not None or len(seen) >= 20

            def read() -> None:
                for line in program.process.stdout or ():
                    seen.append(line)

            reader = threading.Thread(target=read)
            reader.start()
            wait_for(enough, "twenty lines")
            publisher.stop()
            assert program.process.wait(60) == 0
            reader.join()
        numbers = [float(line.split()[1]) for line in seen]
        assert len(numbers) >= 20
        assert all(-1 <= number <= 1 for number in numbers)
        assert len(set(numbers)) > 1


def test_a_followed_book_goes_on_with_the_next_publisher(built: Path) -> None:
    segment = unique_segment()
    first = LivePublisher(segment)
    with running("stdbuf", "-oL", built / "follow_book", segment, "BTCUSDT") as program:
        try:
            assert program.until(lambda _: True) == "BTCUSDT LIVE"
            first.fill(200)
            program.until(is_top)
        finally:
            first.stop()
        assert program.until(lambda line: not is_top(line)) == "the publisher stopped"
        with LivePublisher(segment) as second:
            program.until(lambda line: line == "BTCUSDT LIVE")
            second.fill(200)
            program.until(is_top)
    done = subprocess.run([built / "follow_book", segment, "X"], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith(f"follow_book: {segment}: ")


# ---- other languages, over libmdp_shm ----


def tool(name: str, *elsewhere: str) -> str:
    """Find a compiler; none: the test is skipped."""
    found = shutil.which(name, path=os.pathsep.join([os.environ["PATH"], *elsewhere]))
    if found is None:
        pytest.skip(f"{name} is not installed: `scripts/setup system` brings it")
    return found


def build_rust(folder: Path, library: Path) -> list[str]:
    source, program = EXAMPLES / "rust/follow_book.rs", folder / "follow_book_rust"
    options = ["--edition", "2021", "-O", "-D", "warnings", "-L", f"native={library}"]
    run(tool("rustc", str(Path.home() / ".cargo/bin")), *options, source, "-o", program)
    return [str(program)]


def build_go(folder: Path, library: Path) -> list[str]:
    source, program = EXAMPLES / "go/follow_book.go", folder / "follow_book_go"
    go = tool("go", "/usr/local/go/bin")
    settings = [f"CGO_LDFLAGS=-L{library}", "GO111MODULE=off", f"GOCACHE={folder / 'cache'}"]
    run("env", *settings, go, "build", "-o", program, source)
    return [str(program)]


def build_csharp(folder: Path, library: Path) -> list[str]:
    source, program = EXAMPLES / "csharp/FollowBook.cs", folder / "FollowBook.exe"
    run(tool("mcs"), "-warnaserror", source, f"-out:{program}")
    return [tool("mono"), str(program)]


class Witness:
    """Lines for every book that one publisher had, by the Python reader."""

    def __init__(self, segment: str) -> None:
        self.follower = Subscriber(segment).follow("BTCUSDT", verify=True)
        self.lines: set[str] = set()

    def fill(self, publisher: LivePublisher, steps: int) -> None:
        publisher.fill(steps)
        while events := self.follower._read():
            for event in events:
                self.follower.book.apply(event)
                self.note()

    def note(self) -> None:
        book = self.follower.book
        best = book.best("bids"), book.best("asks")
        if best[0] is not None and best[1] is not None:
            texts = [
                f"{_core.format_decimal(price, -2)} {_core.format_decimal(size, -3)}" for price, size in best
            ]
            self.lines.add(f"{book.update_id} {texts[0]} {texts[1]}")


def follow_both(program: Running, publisher: LivePublisher) -> None:
    """Publish; what the program prints is what the Python reader has."""
    witness = Witness(publisher.segment)
    assert program.until(lambda _: True) == "joined"
    seen: list[str] = []
    for _ in range(10):  # so that the program waits now and then
        witness.fill(publisher, 20)
        last = f"{witness.follower.book.update_id} "
        seen.append(program.until(lambda line, last=last: seen.append(line) or line.startswith(last)))  # type: ignore[misc]
    assert set(seen) <= witness.lines
    assert len(set(seen)) > 20


@pytest.mark.parametrize("build", [build_rust, build_go, build_csharp])
def test_a_book_is_followed_in_another_language(
    build: Callable[[Path, Path], list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    library = Path(shm_library()).parent
    command = build(tmp_path, library)
    monkeypatch.setenv("LD_LIBRARY_PATH", str(library))
    segment = unique_segment()
    refused = subprocess.run([*command, segment, "BTCUSDT"], capture_output=True, text=True, check=False)
    assert refused.returncode == 1
    assert refused.stderr == f"follow_book: {segment}: no such segment: is the publisher running?\n"
    with LivePublisher(segment) as first, running(*command, segment, "BTCUSDT", "2") as program:
        follow_both(program, first)
        first.process.kill()
        first.process.wait()
        assert program.until(lambda _: True) == "the publisher died"
        with LivePublisher(segment) as second:
            follow_both(program, second)
            second.stop()
            assert program.until(lambda _: True) == "the publisher stopped"
        assert program.process.wait(60) == 0


def test_a_program_of_ones_own_runs_a_provider(tmp_path: Path, segment: str) -> None:
    with start_sim_process(symbols="BTCUSDT,ETHUSDT", seed=3) as sim:
        config = {
            "segment": {"name": segment, "ring": "1MiB"},
            "engine": {"topology": "fused", "idle": "park"},
            "venues": [
                {
                    "name": "binance",
                    "symbols": ["BTCUSDT"],
                    "ws_url": sim.ws_url,
                    "rest_url": sim.rest_url,
                    "tls": {"ca_file": str(sim.ca_file)},
                }
            ],
        }
        (tmp_path / "config.yaml").write_text(json.dumps(config))
        command = [sys.executable, "-u", EXAMPLES / "python/control.py", tmp_path / "config.yaml", "ETHUSDT"]
        with running(*command) as program:
            assert program.until(lambda _: True).startswith(f"publishing {segment}")
            assert program.until(lambda _: True) == "ETHUSDT is symbol 1 of the segment"
            program.until(lambda line: line.startswith("2 of 2 books LIVE"))
            program.process.send_signal(signal.SIGINT)
            program.until(lambda line: line == "stopping")
            assert program.process.wait(60) == 0
