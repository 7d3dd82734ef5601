"""Prometheus metrics of a provider, read from its counters when a scraper asks: nothing is counted twice."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING
from wsgiref.simple_server import WSGIServer

from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

if TYPE_CHECKING:
    from mdp.providing.provider import Health, Provider

_ENGINE_COUNTERS = {
    "events": "Records published in the ring",
    "table_writes": "Writes to the book table",
    "rejected_events": "Events the publisher could not publish: a bug",
    "control_dropped": "Notices to the control thread that were dropped because it was too far behind",
    "updates": "Deltas applied to LIVE books",
    "duplicates": "Copies: what another line, or the same, had brought before",
    "trades": "Trades",
    "quotes": "Best bid and ask messages of the venues",
    "mark_prices": "Mark price messages",
    "liquidations": "Liquidations",
    "gaps": "Missing sequence numbers found in LIVE books",
    "holes": "Deltas that waited for another line to bring what was missing before them",
    "audits": "Times a book's top was compared with the venue's at the same update id",
    "audit_mismatches": "Times they differed",
    "rest_audits": "Books compared level by level with a snapshot over REST",
    "rest_audit_mismatches": "Times they differed",
    "widened": "LIVE books made known deeper by a snapshot beside them",
    "widen_disputes": "Snapshots for that which contradicted the book once",
    "depth_exhausted": "Times a book knew fewer levels of a side than are published",
    "rest_audits_dropped": "Audits against REST without an outcome: the book left LIVE, or nothing fitted",
    "suspicions": "Times a LIVE book was suspect, so that an audit against REST was asked for",
    "resyncs": "Times a book left LIVE",
    "crossed": "Books crossed after an update",
    "buffer_overflows": "Times too many deltas waited for a snapshot",
    "snapshots_applied": "Snapshots joined with their deltas",
    "snapshots_too_old": "Snapshots older than the first delta that waited for them",
    "snapshots_unused": "Snapshots for a book that waited for none",
    "message_waits": "Times a parser waited for room in the manager's queue",
    "event_waits": "Times a manager waited for room in the publisher's queue",
}
_LINE_COUNTERS = {
    "frames": "Frames received",
    "bytes": "Bytes received",
    "pings": "Pings of the venue",
    "reconnects": "Times the line was lost",
    "pool_waits": "Times reading stopped because every frame buffer was out",
    "parse_errors": "Frames that could not be read exactly",
    "wins": "Book updates this line brought first while another was up",
    "late": "Book updates another line had brought before",
}
_QUANTILES = {"0.5": "p50_ns", "0.9": "p90_ns", "0.99": "p99_ns", "0.999": "p999_ns"}


class HealthCollector:
    """Turns `Provider.health` into metrics at each scrape."""

    def __init__(self, provider: Provider) -> None:
        self._provider = provider

    def collect(self) -> Iterator[Metric]:
        """Yield every metric with its present value."""
        health = self._provider.health()
        yield from _books(health)
        for name, text in _ENGINE_COUNTERS.items():
            yield CounterMetricFamily(f"mdp_{name}", text, value=getattr(health.engine, name))
        latency = GaugeMetricFamily(
            "mdp_publish_latency_seconds", "Socket receive to ring commit, since start", labels=["quantile"]
        )
        for quantile, field in _QUANTILES.items():
            latency.add_metric([quantile], getattr(health.engine, field) / 1e9)
        yield latency
        yield GaugeMetricFamily(
            "mdp_event_queue_depth", "Events waiting for the publisher", value=health.engine.event_queue_depth
        )
        yield from _lines(health)


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


def serve(provider: Provider, host: str, port: int) -> Server:
    """Serve the provider's metrics over HTTP; port 0 takes a free one.

    Raises
    ------
    OSError
        The address cannot be bound.
    """
    registry = CollectorRegistry()
    registry.register(HealthCollector(provider))
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
    depth = GaugeMetricFamily(
        "mdp_line_raw_queue_depth", "Frames waiting for the parser", labels=["venue", "line"]
    )
    for line in health.engine.lines:
        labels = [line.venue, str(line.line)]
        up.add_metric(labels, float(line.up))
        traffic.add_metric(labels, line.last_traffic_ns / 1e9)
        depth.add_metric(labels, line.raw_queue_depth)
    lead = GaugeMetricFamily(
        "mdp_line_lead_seconds",
        "By how much the line was first, where another brought the same later",
        labels=["venue", "line", "quantile"],
    )
    for line in health.engine.lines:
        if line.wins:
            lead.add_metric([line.venue, str(line.line), "0.5"], line.lead_p50_ns / 1e9)
            lead.add_metric([line.venue, str(line.line), "0.99"], line.lead_p99_ns / 1e9)
    yield from (up, traffic, depth, lead)
    for name, text in _LINE_COUNTERS.items():
        family = CounterMetricFamily(f"mdp_line_{name}", text, labels=["venue", "line"])
        for line in health.engine.lines:
            family.add_metric([line.venue, str(line.line)], getattr(line, name))
        yield family
