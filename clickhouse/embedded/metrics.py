"""Prometheus metrics of the embedded server, with closed label sets."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from clickhouse.embedded.statement import Kind

CONTENT_TYPE = CONTENT_TYPE_LATEST
OUTCOMES = ("ok", "refused", "failed", "gone")
"""Answered; the sender's fault (4xx); the server's (5xx); the client left before its answer's end."""


class Metrics:
    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.queries = Counter(
            "headwater_clickhouse_queries", "Queries by kind and outcome.", ("kind", "outcome"), registry=self.registry
        )
        self.seconds = Histogram(
            "headwater_clickhouse_query_seconds",
            "Time from a query's last byte to its answer's last byte.",
            ("kind",),
            buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300),
            registry=self.registry,
        )
        self.inflight = Gauge(
            "headwater_clickhouse_queries_inflight", "Queries running or waiting.", registry=self.registry
        )
        self.rows = Counter("headwater_clickhouse_written_rows", "Rows that queries wrote.", registry=self.registry)
        ProcessCollector(namespace="headwater_clickhouse", registry=self.registry)
        for kind in [*(kind.value for kind in Kind), "unknown"]:
            for outcome in OUTCOMES:
                self.queries.labels(kind, outcome)

    def observe(self, kind: str, status: int | None, seconds: float, written_rows: int) -> None:
        """Count a query. ``status`` is the answer's, or None if the client has gone."""
        outcome = "gone" if status is None else "ok" if status < 400 else "refused" if status < 500 else "failed"
        self.queries.labels(kind, outcome).inc()
        self.seconds.labels(kind).observe(seconds)
        self.rows.inc(written_rows)

    def render(self) -> bytes:
        return generate_latest(self.registry)
