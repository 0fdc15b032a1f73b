"""What an operator sees of the edge. Closed label sets: never a project, a key or a URL."""

from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from schemas.errors import STATUS, Reason
from schemas.outcomes import EdgeOutcome

SECONDS: Final = (0.0025, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0)
EVENTS: Final = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)
CODES: Final = (*sorted({200, 201, 202, 204, 302, *STATUS.values()}), 499)
"""499: the client went away before its answer."""


class IngestMetrics:
    """One a process, on a registry of its own."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.registry = registry
        requests = Counter(
            "headwater_ingest_requests", "Requests to the tracking routes, by status.", ["code"], registry=registry
        )
        events = Counter("headwater_ingest_events", "Events, by outcome.", ["outcome"], registry=registry)
        rejected = Counter(
            "headwater_ingest_rejected_events", "Events and requests refused, by reason.", ["reason"], registry=registry
        )
        # A labelled child is looked up once, here, and not with every event.
        self.requests = {code: requests.labels(str(code)) for code in CODES}
        self.events = {outcome: events.labels(outcome.value) for outcome in EdgeOutcome}
        self.rejected = {reason: rejected.labels(reason.value) for reason in Reason}
        self.request_seconds = Histogram(
            "headwater_ingest_request_seconds", "From first byte to answer.", buckets=SECONDS, registry=registry
        )
        self.produce_seconds = Histogram(
            "headwater_ingest_produce_seconds", "From send to acks=all.", buckets=SECONDS, registry=registry
        )
        self.batch_events = Histogram(
            "headwater_ingest_batch_events", "Events of a request.", buckets=EVENTS, registry=registry
        )
        self.pending_bytes = Gauge(
            "headwater_ingest_pending_bytes", "Event bytes that wait for Kafka's acknowledgement.", registry=registry
        )
        self.kafka_up = Gauge("headwater_ingest_kafka_up", "1 while Kafka takes events.", registry=registry)
        self.producers = Counter(
            "headwater_ingest_producers", "Kafka producers made: more than one means trouble.", registry=registry
        )
