"""Metrics of the API. Labels are closed sets: the route's template and never its path, no tenant."""

import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Final

from msgspec import Struct
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from clickhouse.read import Reader
from schemas.errors import HeadwaterError

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Message, Receive, Send], Awaitable[None]]
"""An ASGI application, as the standard has it."""

METHODS: Final = frozenset({"GET", "HEAD", "POST", "PATCH", "PUT", "DELETE", "OPTIONS"})
UNMATCHED: Final = "unmatched"
IMBALANCE_KEPT_S: Final = 10.0
"""The ledger is asked for at most this often, however often the metrics are scraped."""


class LedgerRow(Struct, frozen=True, kw_only=True):
    """A stage's events since its topic began; ``imbalance`` is 0 at rest."""

    stage: str
    received: int
    stored: int
    duplicate: int
    rejected: int
    quarantined: int
    erased: int
    conflict: int
    imbalance: int


class ApiMetrics:
    """Requests by route."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.requests = Counter(
            "headwater_api_requests",
            "Requests to the read and control API.",
            ["route", "method", "status"],
            registry=registry,
        )
        self.seconds = Histogram(
            "headwater_api_request_duration_seconds",
            "Time until the answer was sent.",
            ["route", "method"],
            registry=registry,
        )


class Measured:
    """The application, with its requests counted and timed."""

    def __init__(self, app: Application, metrics: ApiMetrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begun = time.perf_counter()
        status = 500

        async def watched(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, watched)
        finally:
            # The router writes the template of the route it chose into the scope.
            route = scope.get("path_template") or UNMATCHED
            method = scope["method"] if scope["method"] in METHODS else "other"
            self._metrics.requests.labels(route, method, str(status)).inc()
            self._metrics.seconds.labels(route, method).observe(time.perf_counter() - begun)


class Imbalance:
    """The ledger's imbalance by stage, as of the latest answer; absent while ClickHouse gives none."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._gauge = Gauge(
            "headwater_ledger_imbalance",
            "Events of a stage that are not accounted for; 0 at rest.",
            ["stage"],
            registry=registry,
        )
        self._asked_at: float | None = None

    async def refresh(self, reader: Reader) -> None:
        """Ask for the ledger, unless that was done a moment ago."""
        now = time.monotonic()
        if self._asked_at is not None and now - self._asked_at < IMBALANCE_KEPT_S:
            return
        self._asked_at = now
        try:
            rows = await reader.rows("ledger", LedgerRow)
        except HeadwaterError:
            self._gauge.clear()
            return
        for row in rows:
            self._gauge.labels(row.stage).set(row.imbalance)
