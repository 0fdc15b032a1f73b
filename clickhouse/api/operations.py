"""For operators: the ledger, dead letters, health, metrics."""

from datetime import datetime
from typing import Annotated

from litestar import Controller, Response, get
from litestar.enums import MediaType
from litestar.params import FromQuery, QueryParameter
from msgspec import Struct
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from clickhouse.api.access import guard, needs
from clickhouse.api.answers import REFUSALS, instant
from clickhouse.api.given import GivenImbalance, GivenLog, GivenReader, GivenRegistry
from clickhouse.api.metrics import LedgerRow
from schemas.control import Scope
from schemas.outcomes import Quarantine, Stage

Limit = Annotated[int, QueryParameter(ge=1, le=1000, description="At most so many, newest first")]


class LedgerAnswer(Struct, frozen=True):
    """received = stored + duplicate + rejected + quarantined + erased, and stored = rows really there."""

    data: list[LedgerRow]


class DeadLetter(Struct, frozen=True, kw_only=True):
    """Bytes that a stage could not read; ``payload_head`` is their first 1024 in base64."""

    stage: str
    topic: str
    partition: int
    offset: int
    index: int
    reason: str
    error: str
    quarantined_at: datetime
    payload_bytes: int
    payload_head: str


class DeadLetterAnswer(Struct, frozen=True):
    data: list[DeadLetter]


class _Letter(Struct, frozen=True, kw_only=True):
    stage: str
    topic: str
    kafka_partition: int
    kafka_offset: int
    kafka_index: int
    reason: str
    error: str
    quarantined_ms: int
    payload_bytes: int
    payload_head: str


class Operations(Controller):
    """Is everything accounted for?"""

    path = "/v1"
    guards = (guard,)
    tags = ("Operations",)

    @get(
        "/ledger", opt=needs(Scope.ANALYTICS_READ), responses=REFUSALS, summary="What came in and where it is, by stage"
    )
    async def ledger(self, reader: GivenReader) -> LedgerAnswer:
        return LedgerAnswer(await reader.rows("ledger", LedgerRow))

    @get(
        "/dead-letters",
        opt=needs(Scope.PROJECTS_ADMIN),
        responses=REFUSALS,
        summary="What a stage could not read, of all projects",
    )
    async def dead_letters(
        self,
        reader: GivenReader,
        stage: FromQuery[Stage | None] = None,
        reason: FromQuery[Quarantine | None] = None,
        limit: Limit = 100,
    ) -> DeadLetterAnswer:
        letters = await reader.rows(
            "dead_letters",
            _Letter,
            {"stage": stage.value if stage else "", "reason": reason.value if reason else "", "limit": limit},
        )
        return DeadLetterAnswer([_shown(letter) for letter in letters])


def _shown(letter: _Letter) -> DeadLetter:
    return DeadLetter(
        stage=letter.stage,
        topic=letter.topic,
        partition=letter.kafka_partition,
        offset=letter.kafka_offset,
        index=letter.kafka_index,
        reason=letter.reason,
        error=letter.error,
        quarantined_at=instant(letter.quarantined_ms),
        payload_bytes=letter.payload_bytes,
        payload_head=letter.payload_head,
    )


class Parts(Struct, frozen=True):
    """Whether each part works."""

    clickhouse: bool
    control: bool


class Health(Struct, frozen=True):
    status: str
    parts: Parts


class Alive(Struct, frozen=True):
    status: str


@get("/livez", tags=("Health",), summary="The process answers")
async def livez() -> Alive:
    return Alive("alive")


@get("/readyz", tags=("Health",), summary="200 only if ClickHouse answers and the control log is followed")
async def readyz(log: GivenLog, reader: GivenReader) -> Response[Health]:
    parts = Parts(clickhouse=await reader.answers(), control=log.healthy)
    if parts.clickhouse and parts.control:
        return Response(Health("ready", parts))
    return Response(Health("not ready", parts), status_code=503, headers={"Retry-After": "1"})


@get("/metrics", tags=("Health",), summary="Prometheus", media_type=MediaType.TEXT)
async def metrics(reader: GivenReader, registry: GivenRegistry, imbalance: GivenImbalance) -> Response[bytes]:
    await imbalance.refresh(reader)
    return Response(generate_latest(registry), headers={"Content-Type": CONTENT_TYPE_LATEST})
