"""Fixtures of the integration tests: sims, providers, processes that end with the test, and a leak check."""

from __future__ import annotations

import gc
import itertools
import json
import os
import subprocess
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any

import pytest
from integration.harness import (
    Mdp,
    children,
    descriptors,
    merged,
    settings,
    shared_memory,
    threads,
    wait_for,
)
from mdp import Provider
from mdp.configuring.config import parse_config
from mdp.sim import SimProcess, start_sim_process

_numbers = itertools.count()
_FAILED = pytest.StashKey[bool]()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark everything here."""
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.integration)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Keep whether the test itself failed, for the leak check."""
    report = yield
    if report.when == "call":
        item.stash[_FAILED] = report.failed
    return report


@pytest.fixture(params=["fused", "pipelined"])
def topology(request: pytest.FixtureRequest) -> str:
    """Both ways to spread the stages over threads."""
    return str(request.param)


@pytest.fixture(autouse=True)
def leak_check(request: pytest.FixtureRequest) -> Iterator[None]:
    """Fail a test that leaves a segment, thread, file descriptor or child process behind."""
    gc.collect()
    before = (threads(), descriptors(), children())
    yield
    if request.node.stash.get(_FAILED, False):
        return  # the traceback keeps the test's objects alive
    gc.collect()
    own = f"mdp-test-{os.getpid()}-"

    def left() -> dict[str, list[str]]:
        now = {
            "shared memory": {name for name in shared_memory() if own in name},
            "threads": threads() - before[0],
            "descriptors": descriptors() - before[1],
            "children": children() - before[2],
        }
        return {what: sorted(names) for what, names in now.items() if names}

    wait_for(lambda: not left(), lambda: f"left behind: {left()}", timeout_s=10)


@pytest.fixture
def segment(leak_check: None) -> str:
    """Name for a segment that no other test has."""
    return f"mdp-test-{os.getpid()}-{next(_numbers)}"


@pytest.fixture
def segment_factory(leak_check: None) -> Callable[[], str]:
    """Give more names like `segment`."""
    return lambda: f"mdp-test-{os.getpid()}-{next(_numbers)}"


@pytest.fixture
def start_sim(leak_check: None) -> Iterator[Callable[..., SimProcess]]:
    """Start embedded exchanges that end with the test."""
    started: list[SimProcess] = []

    def start(**options: Any) -> SimProcess:
        started.append(start_sim_process(**options))
        return started[-1]

    yield start
    for sim in started:
        sim.stop()


@pytest.fixture
def start_provider(leak_check: None) -> Iterator[Callable[..., Provider]]:
    """Start providers, configured by a dict of settings, that stop with the test."""
    started: list[Provider] = []

    def start(config: dict[str, Any], *, cancelled: Callable[[], bool] = lambda: False) -> Provider:
        provider = Provider(parse_config(json.dumps(config)))
        started.append(provider)
        provider.start(cancelled=cancelled)
        return provider

    yield start
    while started:  # popped, for a stopped provider keeps descriptors until it is collected
        started.pop().stop()


@pytest.fixture
def provider_for(
    start_provider: Callable[..., Provider], segment: str, topology: str
) -> Callable[..., Provider]:
    """Start a provider against a sim in the test's topology; further settings of the venue as keywords."""

    def start(sim: SimProcess, *, over: dict[str, Any] | None = None, **venue: Any) -> Provider:
        return start_provider(merged(settings(sim, segment, topology=topology, **venue), over or {}))

    return start


@pytest.fixture
def start_mdp(leak_check: None) -> Iterator[Callable[..., Mdp]]:
    """Start ``mdp ...`` processes that are gone after the test."""
    started: list[Mdp] = []

    def start(*arguments: str | Path, env: dict[str, str] | None = None) -> Mdp:
        started.append(Mdp(*arguments, env=env))
        return started[-1]

    yield start
    for process in started:
        if process.process.poll() is None:
            process.process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
        process.wait()
