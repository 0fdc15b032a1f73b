"""For operators: the ledger, health, metrics."""

from litestar import Controller, Response, get
from litestar.enums import MediaType
from msgspec import Struct
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from clickhouse.api.access import guard, needs
from clickhouse.api.answers import REFUSALS
from clickhouse.api.given import GivenImbalance, GivenLog, GivenReader, GivenRegistry
from clickhouse.api.metrics import LedgerRow
from schemas.control import Scope


class LedgerAnswer(Struct, frozen=True):
    """received = stored + duplicate + rejected + quarantined + erased, and stored = rows really there."""

    data: list[LedgerRow]


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
