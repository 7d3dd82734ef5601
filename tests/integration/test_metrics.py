"""Metrics are what the provider's health says, at the moment of the scrape."""

from __future__ import annotations

import socket
import urllib.error
import urllib.request
from collections.abc import Callable

import pytest
from integration.harness import fresh, settings, wait_for, wait_live
from mdp import ConfigError, Provider
from mdp.sim import SimProcess


def scrape(port: int) -> dict[str, float]:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        lines = answer.read().decode().splitlines()
    return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines if line[:1] != "#")}


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def test_scrape_tells_books_lines_and_counters(
    start_sim: Callable[..., SimProcess], provider_for: Callable[..., Provider]
) -> None:
    sim = start_sim(symbols=["BTCUSDT", "ETHUSDT"], seed=4, rate=100)
    port = free_port()
    provider = provider_for(sim, symbols=["BTCUSDT", "ETHUSDT", "NOSUCH"], over={"metrics": {"port": port}})
    wait_live(provider)
    wait_for(lambda: fresh(provider).health().engine.updates > 10, "updates")
    before = fresh(provider).health().engine
    seen = scrape(port)
    after = fresh(provider).health().engine
    assert seen['mdp_books{state="live"}'] == 2
    assert seen['mdp_books{state="stale"}'] == 0
    assert seen['mdp_missing{venue="binance"}'] == 1
    assert before.events <= seen["mdp_events_total"] <= after.events
    assert before.updates <= seen["mdp_updates_total"] <= after.updates
    assert seen['mdp_line_up{line="0",venue="binance"}'] == 1
    assert seen['mdp_line_frames_total{line="0",venue="binance"}'] > 0
    assert (
        0
        < seen['mdp_publish_latency_seconds{quantile="0.5"}']
        <= seen['mdp_publish_latency_seconds{quantile="0.99"}']
    )

    provider.stop()
    with pytest.raises(urllib.error.URLError):
        scrape(port)


def test_port_in_use_is_an_error_that_names_it(
    start_sim: Callable[..., SimProcess], start_provider: Callable[..., Provider], segment: str
) -> None:
    sim = start_sim(symbols=["BTCUSDT"], rate=10)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ConfigError, match=rf"metrics\.port: cannot serve at 127\.0\.0\.1:{port}"):
            start_provider(settings(sim, segment) | {"metrics": {"port": port}})
