"""Processes from start to end: signals, the demonstration, and its exit code."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from integration.harness import (
    Mdp,
    assert_book_is_true,
    children,
    settings,
    shared_memory,
    wait_for,
    write_config,
)
from mdp import SegmentError, Subscriber
from mdp._core import PublisherStatus
from mdp.sim import SimProcess

RESULT_KEYS = ["symbols", "live", "events", "gaps", "resyncs", "mismatches", "p50_ns", "p99_ns"]


def demo_config(path: Path, segment: str, topology: str = "auto") -> Path:
    """Write a configuration for the demonstration, whose segments are named after `segment`."""
    symbols = ["BTCUSDT", "ETHUSDT", "BNBUSDT", "SOLUSDT", "XRPUSDT"]
    return write_config(path, settings(None, segment, topology=topology, symbols=symbols))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signal_ends_run_cleanly(
    start_sim: Callable[..., SimProcess],
    start_mdp: Callable[..., Mdp],
    tmp_path: Path,
    segment: str,
    topology: str,
    number: int,
) -> None:
    sim = start_sim(symbols=["BTCUSDT", "ETHUSDT"], rate=100)
    process = start_mdp("run", write_config(tmp_path / "c.yaml", settings(sim, segment, topology=topology)))
    wait_for(lambda: process.stderr.count("book.live") == 2, lambda: process.stderr)
    reader = Subscriber(segment)
    process.signal(number)
    assert process.wait() == 0
    assert segment not in shared_memory()
    assert "Traceback" not in process.stderr
    while reader.poll():
        pass
    assert reader.publisher_status() == PublisherStatus.STOPPED, "a reader learns that it ended in order"
    wait_for(lambda: sim.status()["clients"] == [], lambda: sim.status())


def test_publisher_whose_files_are_removed_publishes_again_under_its_name(
    start_sim: Callable[..., SimProcess],
    start_mdp: Callable[..., Mdp],
    tmp_path: Path,
    segment: str,
    topology: str,
) -> None:
    sim = start_sim(symbols=["BTCUSDT", "ETHUSDT"], rate=100)
    process = start_mdp("run", write_config(tmp_path / "c.yaml", settings(sim, segment, topology=topology)))
    wait_for(lambda: process.stderr.count("book.live") == 2, lambda: process.stderr)
    reader = Subscriber(segment)
    generation = reader.generation
    for name in (segment, f".{segment}.lock"):
        os.unlink(f"/dev/shm/{name}")
    process.wait_for_text("segment.published_again")
    assert process.stderr.count("segment.name_lost") == 1
    assert {segment, f".{segment}.lock"} <= shared_memory()
    for _ in reader:  # to the end of what has no name any more
        pass
    assert reader.publisher_status() == PublisherStatus.STOPPED
    assert reader.reattach()
    assert reader.generation != generation
    for symbol in ("BTCUSDT", "ETHUSDT"):
        wait_for(lambda symbol=symbol: reader.book(symbol).live, f"{symbol} to be LIVE again")
        assert_book_is_true(sim, reader.book(symbol, require_live=True))
    process.signal(signal.SIGTERM)
    assert process.wait() == 0
    assert not {segment, f".{segment}.lock"} & shared_memory()


def test_run_ends_after_its_duration(
    start_sim: Callable[..., SimProcess], start_mdp: Callable[..., Mdp], tmp_path: Path, segment: str
) -> None:
    sim = start_sim(symbols=["BTCUSDT"], rate=50)
    config = write_config(tmp_path / "c.yaml", settings(sim, segment))
    assert start_mdp("run", config, "--duration", "0.5").wait() == 0
    assert segment not in shared_memory()


def test_demo_prints_one_json_object(
    start_mdp: Callable[..., Mdp], tmp_path: Path, segment: str, topology: str
) -> None:
    config = demo_config(tmp_path / "demo.yaml", segment, topology)
    process = start_mdp("demo", "--config", config, "--duration", "5", "--json")
    assert process.wait() == 0, process.stderr
    lines = process.stdout.splitlines()
    assert len(lines) == 1
    result: dict[str, Any] = json.loads(lines[0])
    assert list(result) == RESULT_KEYS
    assert all(type(value) is int for value in result.values())
    assert result["live"] == result["symbols"] == 5
    assert (result["mismatches"], result["gaps"], result["resyncs"]) == (0, 0, 0)
    assert result["events"] > 500
    assert 0 < result["p50_ns"] <= result["p99_ns"]
    assert not [name for name in shared_memory() if name.startswith(segment)]


def test_demo_shows_plain_lines_without_a_terminal(
    start_mdp: Callable[..., Mdp], tmp_path: Path, segment: str
) -> None:
    config = demo_config(tmp_path / "demo.yaml", segment)
    process = start_mdp("demo", "--config", config, "--duration", "4")
    assert process.wait() == 0, process.stderr
    *lines, last = process.stdout.splitlines()
    live = {line.split()[0]: line.split()[2] for line in lines if line.split()[1] == "LIVE"}
    assert len(live) == 5
    assert "5 of 5 books live" in last
    assert "0 mismatches" in last


def remove_what_a_kill_leaves(name: str) -> None:
    """Remove a dead publisher's segment and lock; the next publisher of the name would take both over."""
    for left in (name, f".{name}.lock"):
        Path("/dev/shm", left).unlink(missing_ok=True)


def group_of(number: int, tmp_path: Path, segment: str) -> tuple[int, str, str]:
    """Run the demonstration in a group of its own, as a terminal does, signal the whole group, and wait."""
    config = demo_config(tmp_path / "demo.yaml", segment)
    process = subprocess.Popen(
        [sys.executable, "-m", "mdp", "demo", "--config", str(config), "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        name = f"{segment}-{process.pid}"
        wait_for(lambda: name in shared_memory() or process.poll() is not None, "the demo's segment")

        def live() -> bool:
            try:
                reader = Subscriber(name)
            except SegmentError:  # not ready yet
                return False
            return sum(reader.book(entry.symbol_id).live for entry in reader.instruments) == 5

        wait_for(live, "five LIVE books")
        os.killpg(process.pid, number)
        out, err = process.communicate(timeout=60)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
            remove_what_a_kill_leaves(name)
    assert name not in shared_memory()
    return process.returncode, out, err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_ends_the_demo_cleanly(tmp_path: Path, segment: str, number: int) -> None:
    before = children()
    code, out, err = group_of(number, tmp_path, segment)
    assert code == 0, err
    result = json.loads(out)
    assert (result["live"], result["mismatches"]) == (5, 0)
    assert "Traceback" not in err
    assert children() == before


def test_killed_demo_leaves_no_exchange_behind(
    start_mdp: Callable[..., Mdp], tmp_path: Path, segment: str
) -> None:
    process = start_mdp("demo", "--config", demo_config(tmp_path / "demo.yaml", segment), "--json")
    name = f"{segment}-{process.process.pid}"
    wait_for(lambda: name in shared_memory(), "the demo's segment")
    sims = Path(f"/proc/{process.process.pid}/task/{process.process.pid}/children").read_text().split()
    assert len(sims) == 1
    process.kill()
    wait_for(lambda: not Path(f"/proc/{sims[0]}").exists(), "the exchange to end too")
    remove_what_a_kill_leaves(name)
