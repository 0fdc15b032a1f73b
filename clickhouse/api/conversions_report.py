"""``/v1/projects/{id}/reports/conversions``: what conversions of each name brought, whether or not a goal counts them.

1. A conversion counts once, on its own day, under the name of the event that reported it (S1: its goal's type).
2. Refunds are those of the conversions shown. Sums are per currency.
3. ``rate``: unique converters of all visitors with an event in the period.
4. It is read from the facts: a conversion is there as soon as it is stored.
"""

import asyncio
import time
from decimal import Decimal

from litestar import Controller, get
from litestar.params import FromQuery
from msgspec import Struct

from clickhouse.api.access import guard, needs
from clickhouse.api.answers import REFUSALS
from clickhouse.api.attribution_rows import Revenue, revenue
from clickhouse.api.exact import ratio
from clickhouse.api.given import GivenProject, GivenReader
from clickhouse.api.periods import Period, resolve
from clickhouse.api.report_rows import Rate, Visits
from clickhouse.api.reports import Days, Zone
from clickhouse.api.revenue import Since, Until
from clickhouse.read import Parameters
from schemas.control import Scope


class NamedRow(Struct, frozen=True):
    """A row of ``queries/conversions_report.sql``."""

    total: bool
    name: str
    conversions: int
    unique_converters: int
    net: dict[str, Decimal]
    refunded: dict[str, Decimal]


class NamedFigures(Struct, frozen=True, kw_only=True):
    """Conversions of one name; in the totals (``name`` null) of all."""

    name: str | None
    conversions: int
    unique_converters: int
    revenue: list[Revenue]
    rate: Rate


class ConversionsReport(Struct, frozen=True, kw_only=True):
    """Rows by conversions, most first."""

    project_id: str
    days: Days
    rows: list[NamedFigures]
    totals: NamedFigures


class Conversions(Controller):
    """Conversions by name."""

    path = "/v1/projects/{project_id:str}/reports"
    guards = (guard,)
    tags = ("Reports",)

    @get(
        "/conversions",
        opt=needs(Scope.ANALYTICS_READ),
        responses=REFUSALS,
        summary="Conversions, unique converters and revenue by the name of their event",
    )
    async def conversions(
        self,
        project: GivenProject,
        reader: GivenReader,
        period: FromQuery[Period | None] = None,
        since: Since = None,
        until: Until = None,
        zone: Zone = None,
    ) -> ConversionsReport:
        span = resolve(period, since, until, zone or project.time_zone, time.time_ns() // 1_000_000)
        asked: Parameters = {"project_id": project.id, "from_ms": span.from_ms, "to_ms": span.to_ms}
        unfiltered = dict.fromkeys(("interval", "source", "medium", "campaign", "channel"), "")
        found, visits = await asyncio.gather(
            reader.rows("conversions_report", NamedRow, asked),
            reader.rows("visits", Visits, {**asked, **unfiltered, "time_zone": span.time_zone, "by_source": False}),
        )
        visitors = sum(visit.visitors for visit in visits if visit.total)
        rows = [_shown(row, visitors) for row in found if not row.total]
        (totals,) = [row for row in found if row.total] or [NamedRow(True, "", 0, 0, {}, {})]
        return ConversionsReport(
            project_id=project.id,
            days=Days.of(span),
            rows=rows,
            totals=_shown(totals, visitors),
        )


def _shown(row: NamedRow, visitors: int) -> NamedFigures:
    return NamedFigures(
        name=None if row.total else row.name,
        conversions=row.conversions,
        unique_converters=row.unique_converters,
        revenue=revenue(row.net, row.refunded),
        rate=Rate(
            value=ratio(Decimal(row.unique_converters), visitors),
            numerator="unique_converters",
            denominator="visitors",
            denominator_count=visitors,
        ),
    )
