"""``/v1/projects/{id}/reports/*``: goals and sources, over whole days of a zone, in buckets if asked.

Sums are per currency and never mixed. A rate names its denominator: ``visitors`` and ``sessions`` are those with an
event in the span, and a filter narrows them as it narrows the rows: to sessions of that source.

In the report on goals a filter looks at where a hit came from: for a conversion the source that ``model`` credits, for
any other hit the source of its session.
"""

import asyncio
import time
from enum import StrEnum
from types import MappingProxyType
from typing import Annotated, Final

from litestar import Controller, get
from litestar.di import NamedDependency, Provide
from litestar.params import FromQuery, QueryParameter
from msgspec import Struct

from clickhouse.api.access import guard, needs
from clickhouse.api.answers import REFUSALS
from clickhouse.api.given import GivenLog, GivenProject, GivenReader
from clickhouse.api.goals import in_order
from clickhouse.api.periods import Interval, Period, Span, resolve
from clickhouse.api.report_rows import Credited, GoalHits, GoalRow, SourceRow, Totals, Visits, goal_rows, source_rows
from clickhouse.api.stats import Since, Until
from clickhouse.read import Parameters
from schemas.control import Project, Scope
from schemas.errors import Reason, Refused

MAX_DAYS: Final = {Interval.HOUR: 366, Interval.DAY: 36_600}
"""The longest span that is cut into such buckets."""


class Model(StrEnum):
    """Attribution models that the booker books (``clickhouse/bookings/attribution.sql``)."""

    LAST_TOUCH = "last_touch"
    FIRST_TOUCH = "first_touch"
    LINEAR = "linear"
    POSITION = "position"
    TIME_DECAY = "time_decay"


class Filters(Struct, frozen=True):
    """What the rows are narrowed to; empty: everything."""

    source: str = ""
    medium: str = ""
    campaign: str = ""
    channel: str = ""


class Days(Struct, frozen=True, rename={"first": "from", "last": "to"}):
    """Days of the report, both inclusive, in its zone."""

    first: str
    last: str
    time_zone: str

    @classmethod
    def of(cls, span: Span) -> "Days":
        return cls(span.first.isoformat(), span.last.isoformat(), span.time_zone)


class GoalsReport(Struct, frozen=True, kw_only=True):
    """Rows by conversions, most first."""

    project_id: str
    days: Days
    interval: Interval
    model: Model
    filters: Filters
    rows: list[GoalRow]
    totals: Totals


class SourcesReport(Struct, frozen=True, kw_only=True):
    """Rows by conversions, most first."""

    project_id: str
    days: Days
    interval: Interval
    model: Model
    filters: Filters
    rows: list[SourceRow]
    totals: Totals


Zone = Annotated[str | None, QueryParameter(name="time_zone", description="IANA name; default: the project's")]
Text = Annotated[str, QueryParameter(max_length=512)]


def _filters(source: Text = "", medium: Text = "", campaign: Text = "", channel: Text = "") -> Filters:
    found = Filters(source, medium, campaign, channel)
    for field in Filters.__struct_fields__:
        if not getattr(found, field).isprintable():
            raise Refused(Reason.INVALID_TEXT, "holds characters that cannot be printed", field=field)
    return found


def _span(
    project: GivenProject,
    period: FromQuery[Period] = Period.MONTH,
    since: Since = None,
    until: Until = None,
    zone: Zone = None,
    interval: FromQuery[Interval] = Interval.NONE,
) -> Span:
    span = resolve(period, since, until, zone or project.time_zone, time.time_ns() // 1_000_000)
    limit = MAX_DAYS.get(interval)
    if limit is not None and (span.last - span.first).days >= limit:
        raise Refused(Reason.INVALID_VALUE, f"by {interval} a report may span {limit} days", field="interval")
    return span


def _asked(project: Project, span: Span, interval: Interval, filters: Filters) -> Parameters:
    return {
        "project_id": project.id,
        "from_ms": span.from_ms,
        "to_ms": span.to_ms,
        "interval": "" if interval is Interval.NONE else interval.value,
        "time_zone": span.time_zone,
        "source": filters.source,
        "medium": filters.medium,
        "campaign": filters.campaign,
        "channel": filters.channel,
    }


class Reports(Controller):
    """Conversions and revenue."""

    path = "/v1/projects/{project_id:str}/reports"
    guards = (guard,)
    tags = ("Reports",)
    dependencies = MappingProxyType(
        {"filters": Provide(_filters, sync_to_thread=False), "span": Provide(_span, sync_to_thread=False)}
    )

    @get(
        "/goals",
        opt=needs(Scope.ANALYTICS_READ),
        responses=REFUSALS,
        summary="Conversions, unique converters and revenue per goal",
    )
    async def goals(
        self,
        project: GivenProject,
        log: GivenLog,
        reader: GivenReader,
        span: NamedDependency[Span],
        filters: NamedDependency[Filters],
        interval: FromQuery[Interval] = Interval.NONE,
        model: FromQuery[Model] = Model.LAST_TOUCH,
    ) -> GoalsReport:
        goals = in_order(log.view, project)
        asked = _asked(project, span, interval, filters)
        hits, visits = await asyncio.gather(
            reader.rows(
                "goals_report", GoalHits, {**asked, "goal_ids": [goal.id for goal in goals], "model": model.value}
            ),
            reader.rows("visits", Visits, {**asked, "by_source": False}),
        )
        rows, totals = goal_rows(goals, hits, visits, interval, span)
        return GoalsReport(
            project_id=project.id,
            days=Days.of(span),
            interval=interval,
            model=model,
            filters=filters,
            rows=rows,
            totals=totals,
        )

    @get(
        "/sources",
        opt=needs(Scope.ANALYTICS_READ),
        responses=REFUSALS,
        summary="Conversions, unique converters and revenue per source",
    )
    async def sources(
        self,
        project: GivenProject,
        reader: GivenReader,
        span: NamedDependency[Span],
        filters: NamedDependency[Filters],
        interval: FromQuery[Interval] = Interval.NONE,
        model: FromQuery[Model] = Model.LAST_TOUCH,
    ) -> SourcesReport:
        asked = _asked(project, span, interval, filters)
        credited, visits = await asyncio.gather(
            reader.rows("sources_report", Credited, {**asked, "model": model.value}),
            reader.rows("visits", Visits, {**asked, "by_source": True}),
        )
        rows, totals = source_rows(credited, visits, interval, span)
        return SourcesReport(
            project_id=project.id,
            days=Days.of(span),
            interval=interval,
            model=model,
            filters=filters,
            rows=rows,
            totals=totals,
        )
