"""Prometheus metrics of a provider, read from its counters when a scraper asks: nothing is counted twice."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from wsgiref.simple_server import WSGIServer

from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from mdp import _core
from mdp.providing.health import Health

_QUANTILES = {"0.5": "p50_ns", "0.9": "p90_ns", "0.99": "p99_ns", "0.999": "p999_ns"}


class HealthCollector:
    """Turns health into metrics at each scrape: one for each line of core/counters.def, and some more.

    Parameters
    ----------
    read
        Returns the health of now; called on the thread of the scraper.
    """

    def __init__(self, read: Callable[[], Health]) -> None:
        self._read = read

    def collect(self) -> Iterator[Metric]:
        """Yield every metric with its present value."""
        health = self._read()
        yield from _books(health)
        yield _latency(health)
        yield from _lines(health)
        for metric in _core.metrics():
            yield _of_each_line(metric, health) if metric.of_line else _of_the_engine(metric, health)


class Server:
    """An HTTP server of metrics, on a thread of its own until `close`."""

    def __init__(self, server: WSGIServer, thread: threading.Thread, host: str) -> None:
        self._server = server
        self._thread = thread
        self.host = host
        self.port = int(server.server_port)

    def close(self) -> None:
        """Stop serving and give the port back."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def serve(read: Callable[[], Health], host: str, port: int) -> Server:
    """Serve the metrics of the health that `read` returns over HTTP; port 0 takes a free one.

    Raises
    ------
    OSError
        The address cannot be bound.
    """
    registry = CollectorRegistry()
    registry.register(HealthCollector(read))
    server, thread = start_http_server(port, addr=host, registry=registry)
    return Server(server, thread, host)


def _books(health: Health) -> Iterator[Metric]:
    books = GaugeMetricFamily("mdp_books", "Books by state", labels=["state"])
    for state, count in (("live", health.live), ("syncing", health.syncing), ("stale", health.stale)):
        books.add_metric([state], count)
    yield books
    missing = GaugeMetricFamily(
        "mdp_missing", "Symbols and streams that are configured and cannot be had", labels=["venue"]
    )
    for venue, count in health.missing.items():
        missing.add_metric([venue], count)
    yield missing


def _lines(health: Health) -> Iterator[Metric]:
    up = GaugeMetricFamily("mdp_line_up", "Whether the line is up", labels=["venue", "line"])
    traffic = GaugeMetricFamily(
        "mdp_line_last_traffic_timestamp_seconds",
        "When the last byte came, pings included; 0: never",
        labels=["venue", "line"],
    )
    for line in health.engine.lines:
        labels = [line.venue, str(line.line)]
        up.add_metric(labels, float(line.up))
        traffic.add_metric(labels, line.last_traffic_ns / 1e9)
    lead = GaugeMetricFamily(
        "mdp_line_lead_seconds",
        "By how much the line was first, where another brought the same later",
        labels=["venue", "line", "quantile"],
    )
    for line in health.engine.lines:
        if line.wins:
            lead.add_metric([line.venue, str(line.line), "0.5"], line.lead_p50_ns / 1e9)
            lead.add_metric([line.venue, str(line.line), "0.99"], line.lead_p99_ns / 1e9)
    yield from (up, traffic, lead)


def _latency(health: Health) -> Metric:
    latency = GaugeMetricFamily(
        "mdp_publish_latency_seconds", "Socket receive to ring commit, since start", labels=["quantile"]
    )
    for quantile, field in _QUANTILES.items():
        latency.add_metric([quantile], getattr(health.engine, field) / 1e9)
    return latency


def _of_the_engine(metric: _core.Metric, health: Health) -> Metric:
    family = GaugeMetricFamily if metric.is_gauge else CounterMetricFamily
    return family(f"mdp_{metric.name}", metric.help, value=getattr(health.engine, metric.name))


def _of_each_line(metric: _core.Metric, health: Health) -> Metric:
    family = GaugeMetricFamily if metric.is_gauge else CounterMetricFamily
    result = family(f"mdp_line_{metric.name}", metric.help, labels=["venue", "line"])
    for line in health.engine.lines:
        result.add_metric([line.venue, str(line.line)], getattr(line, metric.name))
    return result
