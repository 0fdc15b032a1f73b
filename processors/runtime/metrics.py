"""Metrics of a stage's process. Labels are closed sets: stage, outcome, reason, table, topic, partition."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from schemas.outcomes import Outcome, Quarantine, Stage

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_AGES = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0, 300.0, 3600.0, 86400.0)


class ProcessorMetrics:
    """One a process; the registry decides where it is served."""

    def __init__(self, registry: CollectorRegistry, stage: Stage) -> None:
        self.registry = registry
        self._stage = stage.value
        self._records = Counter(
            "headwater_processor_records",
            "Events by what became of them in the stage.",
            ["stage", "outcome"],
            registry=registry,
        )
        self.lag = Gauge(
            "headwater_processor_lag_records",
            "Records on the topic that are not processed yet.",
            ["topic", "partition"],
            registry=registry,
        )
        self.age = Histogram(
            "headwater_processor_event_age_seconds",
            "Receipt at ingest until the event is stored; the newest event of each batch.",
            registry=registry,
            buckets=_AGES,
        )
        self.batch = Histogram(
            "headwater_processor_batch_duration_seconds",
            "A micro-batch, from polled to committed.",
            registry=registry,
            buckets=_SECONDS,
        )
        self.last_success = Gauge(
            "headwater_processor_last_success_timestamp_seconds",
            "When the last batch was committed.",
            registry=registry,
        )
        self._dead_letters = Counter(
            "headwater_processor_dead_letters",
            "Lines sent to the dead-letter topic.",
            ["reason"],
            registry=registry,
        )
        self.retries = Counter(
            "headwater_processor_retries", "Attempts that failed and are tried again.", ["step"], registry=registry
        )
        self.halted = Gauge(
            "headwater_processor_halted_partitions", "Partitions that need an operator.", registry=registry
        )
        self.state_bytes = Gauge(
            "headwater_processor_state_size_bytes", "State on disk.", ["topic", "partition"], registry=registry
        )
        self.rows = Counter("headwater_store_insert_rows", "Rows inserted.", ["table"], registry=registry)
        self.insert = Histogram(
            "headwater_store_insert_duration_seconds", "An insert.", ["table"], registry=registry, buckets=_SECONDS
        )
        for outcome in Outcome:
            self._records.labels(self._stage, outcome.value)
        for reason in Quarantine:
            self._dead_letters.labels(reason.value)

    def count(self, outcomes: dict[Outcome, int]) -> None:
        """Count the events of a committed batch."""
        for outcome, events in outcomes.items():
            self._records.labels(self._stage, outcome.value).inc(events)

    def dead_letter(self, reason: Quarantine) -> None:
        self._dead_letters.labels(reason.value).inc()
