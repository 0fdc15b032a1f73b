"""Metrics of the control log."""

from enum import StrEnum

from prometheus_client import CollectorRegistry, Counter, Gauge


class WriteOutcome(StrEnum):
    """What became of a write."""

    WON = "won"
    LOST = "lost"
    """Another writer had replaced the same version first."""
    UNAVAILABLE = "unavailable"
    """Kafka did not acknowledge it in time. It may be in the log nevertheless."""


class ControlMetrics:
    """One a process; the registry decides where it is served."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.offset = Gauge(
            "headwater_control_offset", "Offset up to which the control log is applied.", registry=registry
        )
        self.writes = Counter(
            "headwater_control_writes", "Writes to the control log, by outcome.", ["outcome"], registry=registry
        )
        self.lookups = Counter(
            "headwater_control_lookups",
            "Requests for the end of the control log: a flood of unknown keys shows here, divided by its concurrency.",
            registry=registry,
        )
        self.skipped = Counter(
            "headwater_control_skipped_records",
            "Control records that this version could not decode.",
            registry=registry,
        )
        for outcome in WriteOutcome:
            self.writes.labels(outcome)
