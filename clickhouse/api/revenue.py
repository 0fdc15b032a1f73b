"""``/v1/projects/{id}/reports/revenue``: what was sold, what was refunded and what remains, by day and currency.

1. Sales count on their own day. Refunds count on the day of their sale (``by=sale``: what became of what was sold that
   day) or on their own (``by=refund``: what went in and out that day, so net may be below zero).
2. A refund counts as far as it applies: never more than its sale had.
3. Days are those of the report's zone, sums are per currency. Days without either are left out.
"""

import time
from decimal import Decimal
from enum import StrEnum
from typing import Annotated

from litestar import Controller, get
from litestar.params import FromQuery, QueryParameter
from msgspec import Struct

from clickhouse.api.access import guard, needs
from clickhouse.api.answers import REFUSALS
from clickhouse.api.exact import money, total
from clickhouse.api.given import GivenProject, GivenReader
from clickhouse.api.periods import Period, resolve
from clickhouse.api.reports import Days, Zone
from schemas.control import Scope

Since = Annotated[str | None, QueryParameter(name="from", description="First day, YYYY-MM-DD")]
Until = Annotated[str | None, QueryParameter(name="to", description="Last day, inclusive")]


class By(StrEnum):
    """The day on which a refund counts."""

    SALE = "sale"
    REFUND = "refund"


class DayRow(Struct, frozen=True, kw_only=True):
    """One day in one currency (null where the clients named none). ``conversions``: those with money."""

    day: str
    currency: str | None
    conversions: int
    refunds: int
    gross: Decimal
    refunded: Decimal
    net: Decimal


class CurrencyTotal(Struct, frozen=True, kw_only=True):
    """All days, in one currency."""

    currency: str | None
    conversions: int
    refunds: int
    gross: Decimal
    refunded: Decimal
    net: Decimal


class RevenueReport(Struct, frozen=True, kw_only=True):
    """Rows by day, earliest first."""

    project_id: str
    days: Days
    by: By
    rows: list[DayRow]
    totals: list[CurrencyTotal]


class Sums(Struct, frozen=True):
    """A row of ``queries/revenue_report.sql``."""

    day: str
    currency: str
    conversions: int
    gross: Decimal
    refunds: int
    refunded: Decimal


class Revenue(Controller):
    """Gross, refunded, net."""

    path = "/v1/projects/{project_id:str}/reports"
    guards = (guard,)
    tags = ("Reports",)

    @get(
        "/revenue",
        opt=needs(Scope.ANALYTICS_READ),
        responses=REFUSALS,
        summary="Gross, refunded and net revenue by day, of the sale or of the refund",
    )
    async def revenue(
        self,
        project: GivenProject,
        reader: GivenReader,
        period: FromQuery[Period | None] = None,
        since: Since = None,
        until: Until = None,
        zone: Zone = None,
        by: FromQuery[By] = By.SALE,
    ) -> RevenueReport:
        span = resolve(period, since, until, zone or project.time_zone, time.time_ns() // 1_000_000)
        sums = await reader.rows(
            "revenue_report",
            Sums,
            {
                "project_id": project.id,
                "from_ms": span.from_ms,
                "to_ms": span.to_ms,
                "time_zone": span.time_zone,
                "by_sale": by is By.SALE,
            },
        )
        return RevenueReport(
            project_id=project.id,
            days=Days.of(span),
            by=by,
            rows=[_row(one) for one in sums],
            totals=totals(sums),
        )


def _row(sums: Sums) -> DayRow:
    return DayRow(
        day=sums.day,
        currency=sums.currency or None,
        conversions=sums.conversions,
        refunds=sums.refunds,
        gross=money(sums.gross),
        refunded=money(sums.refunded),
        net=money(total([sums.gross, -sums.refunded])),
    )


def totals(sums: list[Sums]) -> list[CurrencyTotal]:
    """The sums of all days, by currency."""
    parts: dict[str, list[Sums]] = {}
    for one in sums:
        parts.setdefault(one.currency, []).append(one)
    return [
        CurrencyTotal(
            currency=currency or None,
            conversions=sum(one.conversions for one in some),
            refunds=sum(one.refunds for one in some),
            gross=money(total(one.gross for one in some)),
            refunded=money(total(one.refunded for one in some)),
            net=money(total([*(one.gross for one in some), *(-one.refunded for one in some)])),
        )
        for currency, some in sorted(parts.items())
    ]
