"""Metrics of delivery. Labels are closed sets: kind of destination, outcome."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from schemas.control import DestinationKind
from schemas.outcomes import DeliveryOutcome

_SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


class DeliveryMetrics:
    """One a process; the registry decides where it is served."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._attempts = Counter(
            "headwater_delivery_attempts",
            "Attempts by what became of them.",
            ["kind", "outcome"],
            registry=registry,
        )
        self.seconds = Histogram(
            "headwater_delivery_attempt_duration_seconds",
            "One attempt over the network.",
            ["kind"],
            registry=registry,
            buckets=_SECONDS,
        )
        self.pending = Gauge(
            "headwater_delivery_pending_conversions",
            "Conversions that wait for an attempt, over all destinations.",
            registry=registry,
        )
        self.disabled = Counter(
            "headwater_delivery_disabled_destinations", "Destinations disabled by their failures.", registry=registry
        )
        self.undecodable = Counter(
            "headwater_delivery_undecodable_records",
            "Records that could not be read and were passed over.",
            registry=registry,
        )
        self.recorded = Counter(
            "headwater_delivery_recorded_rows", "Attempts written to the table deliveries.", registry=registry
        )
        self.record_failures = Counter(
            "headwater_delivery_record_failures", "Inserts that failed and are tried again.", registry=registry
        )
        for kind in DestinationKind:
            self.seconds.labels(kind.value)
            for outcome in DeliveryOutcome:
                self._attempts.labels(kind.value, outcome.value)

    def count(self, kind: DestinationKind, outcome: DeliveryOutcome) -> None:
        self._attempts.labels(kind.value, outcome.value).inc()
