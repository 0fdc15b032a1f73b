"""``/v1/projects/{id}/models``: compute a data-driven model over a period, keep it, and read what was kept.

A run is a function of what was asked and of what it read: the same paths and money give the same run, which is answered
as it was stored. It names the run of the booker that it read.
"""

import asyncio
import time
import uuid
from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, Final

from litestar import Controller, Response, get, post
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import FromPath, FromQuery, JSONBody
from msgspec import UNSET, Meta, Struct, UnsetType

from clickhouse.api.access import guard, needs
from clickhouse.api.answers import CONFLICT, REFUSALS, instant
from clickhouse.api.as_of import newest_run
from clickhouse.api.attribution_rows import Revenue, revenue
from clickhouse.api.exact import ExactResponse, count
from clickhouse.api.given import GivenModels, GivenProject, GivenReader
from clickhouse.api.periods import Period, Span, resolve
from clickhouse.api.reports import Days
from clickhouse.model_store import StoredRun
from clickhouse.models import shares
from clickhouse.models.computed import Computed, DataModel, Dimension, compute
from clickhouse.models.paths import MAX_STEPS, Ends, Path, gathered, inputs_hash
from clickhouse.read import Parameters, Reader
from schemas.control import Project, Scope
from schemas.errors import Reason, Refused
from schemas.ids import derived

MAX_PATHS: Final = 200_000
"""Different ones. More of them are refused, never cut."""
MAX_RUNS: Final = 1000


class NewModel(Struct, frozen=True, kw_only=True, rename={"first": "from", "last": "to"}):
    """What to compute. ``from`` and ``to``: days, both inclusive, of ``time_zone`` (default: the project's)."""

    model: DataModel
    dimension: Dimension
    first: str
    last: str
    order: Annotated[int, Meta(ge=1, le=2, description="Of markov: 1 (default) or 2")] | UnsetType = UNSET
    time_zone: str | None = None


class ModelRun(Struct, frozen=True, kw_only=True):
    """A stored run. ``inputs_hash``: SHA-256 of the sorted path counts and the revenue. ``book_run``: what it read."""

    id: str
    model: DataModel
    order: int | None
    dimension: Dimension
    days: Days
    inputs_hash: str
    book_run: int
    conversions: int
    paths_without_conversion: int
    cut_paths: int
    grouped_values: int
    created_at: datetime


class ModelShare(Struct, frozen=True, kw_only=True):
    """Weights sum to 1, and the rest to the totals, to the last digit."""

    value: str
    weight: Decimal
    conversions: Decimal
    revenue: list[Revenue]


class ModelRunAnswer(ModelRun, frozen=True, kw_only=True):
    """With its shares, most first."""

    shares: list[ModelShare]


class ModelRunList(Struct, frozen=True):
    """Newest first, without shares."""

    data: list[ModelRun]


KNOWN: Final = {
    200: ResponseSpec(
        data_container=ModelRunAnswer, description="The stored run of these inputs", generate_examples=False
    )
}


class RunRow(Struct, frozen=True, kw_only=True):
    """A row of ``queries/model_runs.sql``."""

    id: str
    model: DataModel
    model_order: int
    dimension: Dimension
    first_day: str
    last_day: str
    time_zone: str
    from_ms: int
    to_ms: int
    inputs_hash: str
    book_run: int
    conversions: int
    lost_paths: int
    cut_paths: int
    grouped_values: int
    created_ms: int

    def shown(self) -> ModelRun:
        return ModelRun(
            id=self.id,
            model=self.model,
            order=self.model_order or None,
            dimension=self.dimension,
            days=Days(self.first_day, self.last_day, self.time_zone),
            inputs_hash=self.inputs_hash,
            book_run=self.book_run,
            conversions=self.conversions,
            paths_without_conversion=self.lost_paths,
            cut_paths=self.cut_paths,
            grouped_values=self.grouped_values,
            created_at=instant(self.created_ms),
        )


class ShareRow(Struct, frozen=True):
    """A row of ``queries/model_shares.sql``."""

    value: str
    weight: Decimal
    conversions: Decimal
    revenue: dict[str, Decimal]
    refunded: dict[str, Decimal]


class CountedPath(Struct, frozen=True):
    """A row of ``queries/model_paths.sql`` and ``queries/model_lost_paths.sql``."""

    steps: list[str]
    ends: int
    cut: int


class Earned(Struct, frozen=True):
    """A row of ``queries/model_revenue.sql``."""

    currency: str
    net: Decimal
    refunded: Decimal


class Inputs(Struct, frozen=True, kw_only=True):
    """All that a run reads."""

    book_run: int
    paths: dict[Path, Ends]
    cut_paths: int
    revenue: dict[str, shares.Money]


async def read_inputs(reader: Reader, project: Project, dimension: Dimension, span: Span) -> Inputs:
    """Paths and revenue as of the newest run of the booker. Raises :class:`Refused` (conflict, invalid_value)."""
    newest = await newest_run(reader)
    period: Parameters = {
        "project_id": project.id,
        "from_ms": span.from_ms,
        "to_ms": span.to_ms,
        "as_of": newest.number,
    }
    walked = {**period, "dimension": dimension.value, "max_steps": MAX_STEPS, "max_paths": MAX_PATHS}
    won, lost, earned = await asyncio.gather(
        reader.rows("model_paths", CountedPath, walked),
        reader.rows("model_lost_paths", CountedPath, walked),
        reader.rows("model_revenue", Earned, period),
    )
    if max(len(won), len(lost)) > MAX_PATHS:
        message = f"there are more than {MAX_PATHS} different paths: take a shorter period or a coarser dimension"
        raise Refused(Reason.INVALID_VALUE, message, field="dimension")
    if not won:
        raise Refused(Reason.CONFLICT, "no conversion is booked in this period", field="from")
    paths = [(path.steps, Ends(conversions=path.ends)) for path in won]
    paths += [(path.steps, Ends(nothing=path.ends)) for path in lost]
    return Inputs(
        book_run=newest.number,
        paths=gathered(paths),
        cut_paths=sum(path.cut for path in (*won, *lost)),
        revenue={row.currency: shares.Money(net=row.net, refunded=row.refunded) for row in earned},
    )


async def stored(reader: Reader, project: Project, run_id: str) -> ModelRunAnswer | None:
    """The run with its shares, if there is one."""
    for run in await find_runs(reader, project, run_id=run_id):
        earned = await find_shares(reader, project, run.id)
        fields = {name: getattr(run.shown(), name) for name in ModelRun.__struct_fields__}
        return ModelRunAnswer(**fields, shares=[_share(share) for share in earned])
    return None


async def find_shares(reader: Reader, project: Project, run_id: str) -> list[ShareRow]:
    """What a stored run says, most first."""
    return await reader.rows("model_shares", ShareRow, {"project_id": project.id, "run_id": run_id})


async def find_runs(
    reader: Reader,
    project: Project,
    *,
    run_id: str = "",
    model: DataModel | None = None,
    dimension: Dimension | None = None,
    span: Span | None = None,
) -> list[RunRow]:
    """Stored runs, newest first, narrowed to what is given."""
    asked: Parameters = {
        "project_id": project.id,
        "run_id": run_id,
        "model": model or "",
        "dimension": dimension or "",
        "from_ms": span.from_ms if span else 0,
        "to_ms": span.to_ms if span else 0,
        "most": MAX_RUNS,
    }
    return await reader.rows("model_runs", RunRow, asked)


def _share(row: ShareRow) -> ModelShare:
    return ModelShare(
        value=row.value,
        weight=count(row.weight),
        conversions=count(row.conversions),
        revenue=revenue(row.revenue, row.refunded),
    )


def _order(asked: NewModel) -> int:
    if asked.model is DataModel.MARKOV:
        return 1 if asked.order is UNSET else asked.order
    if asked.order is not UNSET:
        raise Refused(Reason.INVALID_VALUE, "only markov has an order", field="order")
    return 0


class Models(Controller):
    """Data-driven attribution."""

    path = "/v1/projects/{project_id:str}/models"
    guards = (guard,)
    tags = ("Models",)

    @post(
        opt=needs(Scope.ANALYTICS_WRITE),
        responses=REFUSALS | CONFLICT | KNOWN,
        summary="Compute a data-driven model over a period; 200 with the stored run where the inputs are the same",
    )
    async def compute(
        self, project: GivenProject, reader: GivenReader, models: GivenModels, data: JSONBody[NewModel]
    ) -> Response[ModelRunAnswer]:
        now_ms = time.time_ns() // 1_000_000
        order = _order(data)
        span = resolve(Period.CUSTOM, data.first, data.last, data.time_zone or project.time_zone, now_ms)
        inputs = await read_inputs(reader, project, data.dimension, span)
        hashed = inputs_hash(inputs.paths, inputs.revenue)
        days = span.first.isoformat(), span.last.isoformat(), span.time_zone
        run_id = derived("model", project.id, data.model, str(order), data.dimension, *days, hashed)
        known = await stored(reader, project, run_id)
        if known is not None:
            return ExactResponse(known, status_code=200)
        computed: Computed = await models.alone(compute, data.model, order, inputs.paths, inputs.revenue)
        await models.keep(
            StoredRun(
                project_id=project.id,
                run_id=run_id,
                model=data.model.value,
                model_order=order,
                dimension=data.dimension.value,
                first_day=span.first,
                last_day=span.last,
                time_zone=span.time_zone,
                from_ms=span.from_ms,
                to_ms=span.to_ms,
                inputs_hash=hashed,
                book_run=inputs.book_run,
                conversions=computed.conversions,
                lost_paths=computed.lost_paths,
                cut_paths=inputs.cut_paths,
                grouped_values=computed.grouped_values,
                created_at=datetime.fromtimestamp(now_ms / 1000, UTC),
            ),
            computed.shares,
        )
        return ExactResponse(await stored(reader, project, run_id), status_code=201)

    @get(opt=needs(Scope.ANALYTICS_READ), responses=REFUSALS, summary="Stored runs, newest first")
    async def list(
        self,
        project: GivenProject,
        reader: GivenReader,
        model: FromQuery[DataModel | None] = None,
        dimension: FromQuery[Dimension | None] = None,
    ) -> ModelRunList:
        found = await find_runs(reader, project, model=model, dimension=dimension)
        return ModelRunList([run.shown() for run in found])

    @get("/{run_id:str}", opt=needs(Scope.ANALYTICS_READ), responses=REFUSALS, summary="A stored run with its shares")
    async def read(self, project: GivenProject, reader: GivenReader, run_id: FromPath[str]) -> ModelRunAnswer:
        try:
            found = await stored(reader, project, str(uuid.UUID(run_id)))
        except ValueError:
            found = None
        if found is None:
            raise Refused(Reason.NOT_FOUND, "no such run")
        return found
