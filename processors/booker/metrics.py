"""What operators see of the booker."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram


class BookerMetrics:
    """One object a process, on the registry it is given."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.runs = Counter("headwater_booker_runs_total", "Committed runs by kind.", ["kind"], registry=registry)
        self.failures = Counter(
            "headwater_booker_failures_total", "Runs given up; the next one computes anew.", registry=registry
        )
        self.run_seconds = Histogram(
            "headwater_booker_run_duration_seconds",
            "Start of a run to its commit.",
            ["kind"],
            registry=registry,
            buckets=(0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300),
        )
        self.number = Gauge("headwater_booker_run_number", "Newest committed run.", registry=registry)
        self.last_success = Gauge(
            "headwater_booker_last_success_timestamp_seconds",
            "Last time everything checkpointed was booked.",
            registry=registry,
        )
        self.leads = Gauge("headwater_booker_leader", "1 while this process may book.", registry=registry)
