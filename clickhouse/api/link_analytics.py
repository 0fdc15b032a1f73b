"""Seed S1: what clicks on links brought. Days are whole, in the project's zone, and end today.

1. A conversion counts on its day if a click inside its window is credited for it (scope ``clicks`` of the books).
2. Sums are per currency. ``total_value`` and ``average_value`` are there if all values are in one currency, else null.
3. ``conversion_rate`` is conversions / clicks x 100, null without clicks. Bots and prefetches are no clicks.
4. ``time_to_convert`` is the average time from click to conversion, in seconds.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Any, Final

from litestar import Controller, Response, get
from litestar.openapi.datastructures import ResponseSpec
from litestar.openapi.spec import OpenAPIMediaType, OpenAPIResponse, OpenAPIType, Operation, Schema
from litestar.params import FromQuery, QueryParameter
from litestar.response import Stream
from msgspec import Struct

from clickhouse.api.access import guard, needs
from clickhouse.api.answers import REFUSALS
from clickhouse.api.exact import ExactResponse, money, ratio, rounded, total
from clickhouse.api.given import GivenLog, GivenProject, GivenReader
from clickhouse.api.periods import Period, Span, resolve
from clickhouse.read import Parameters
from schemas.control import ControlView, Link, Project, Scope
from schemas.errors import Reason, Refused

DAYS: Final = 30


class Format(StrEnum):
    """What the answer is written in."""

    JSON = "json"
    CSV = "csv"


class Brought(Struct, frozen=True):
    """The row of ``link_conversions``."""

    day: str
    currency: str
    conversions: int
    value: Decimal
    convert_ms: int


class Clicked(Struct, frozen=True):
    """The row of ``link_clicks``."""

    day: str
    clicks: int
    marked: int


class CurrencyValue(Struct, frozen=True, kw_only=True):
    """Conversions with a value in this currency."""

    currency: str
    conversions: int
    total_value: Decimal
    average_value: Decimal


class DayFigures(Struct, frozen=True, kw_only=True):
    """One day. ``conversions`` are those of the day, whenever their click was."""

    date: str
    clicks: int
    conversions: int
    currencies: list[CurrencyValue]


class ConversionAnalytics(Struct, frozen=True, kw_only=True):
    """The figures of one link, or of all links of the project (``link_id`` null)."""

    link_id: int | None
    days: int
    first_day: str
    last_day: str
    time_zone: str
    clicks: int
    marked_clicks: int
    conversions: int
    conversion_rate: Decimal | None
    total_value: Decimal | None
    average_value: Decimal | None
    currency: str | None
    time_to_convert: Decimal | None
    currencies: list[CurrencyValue]
    by_day: list[DayFigures]


def linked(view: ControlView, project: Project, text: str | None) -> int:
    """The id of the project's link, also of a deleted one; 0 if none is asked for. Raises :class:`Refused`."""
    if text is None:
        return 0
    if not (text.isascii() and text.isdigit()):
        raise Refused(Reason.INVALID_VALUE, "must be the integer id of a link", field="link_id")
    entry = view.entry(Link, text)
    if entry is None or not isinstance(entry.body, Link) or entry.body.project_id != project.id:
        raise Refused(Reason.NOT_FOUND, "no such link", field="link_id")
    return int(text)


def figures(link_id: int, span: Span, brought: list[Brought], clicked: list[Clicked]) -> ConversionAnalytics:
    """The rows of both queries as one answer."""
    conversions, clicks = _conversions(brought), sum(row.clicks for row in clicked)
    currencies = _by_currency(brought)
    single = len(currencies) <= 1
    value = total(one.total_value for one in currencies)
    clicks_of = {row.day: row.clicks for row in clicked}
    days = [(span.first + timedelta(days=n)).isoformat() for n in range(_length(span))]
    of_day: dict[str, list[Brought]] = {day: [] for day in days}
    for row in brought:
        of_day[row.day].append(row)
    return ConversionAnalytics(
        link_id=link_id or None,
        days=_length(span),
        first_day=days[0],
        last_day=days[-1],
        time_zone=span.time_zone,
        clicks=clicks,
        marked_clicks=sum(row.marked for row in clicked),
        conversions=conversions,
        conversion_rate=ratio(Decimal(100 * conversions), clicks),
        total_value=money(value) if single else None,
        average_value=_average(value, conversions) if single else None,
        currency=currencies[0].currency if len(currencies) == 1 else None,
        time_to_convert=ratio(Decimal(sum(row.convert_ms for row in brought)) / 1000, conversions),
        currencies=currencies,
        by_day=[
            DayFigures(
                date=day,
                clicks=clicks_of.get(day, 0),
                conversions=_conversions(of_day[day]),
                currencies=_by_currency(of_day[day]),
            )
            for day in days
        ],
    )


def _length(span: Span) -> int:
    return (span.last - span.first).days + 1


def _conversions(rows: Iterable[Brought]) -> int:
    return sum(row.conversions for row in rows)


def _by_currency(rows: Iterable[Brought]) -> list[CurrencyValue]:
    parts: dict[str, list[Brought]] = {}
    for row in rows:
        if row.currency:
            parts.setdefault(row.currency, []).append(row)
    found = []
    for currency, some in sorted(parts.items()):
        value, conversions = total(row.value for row in some), _conversions(some)
        found.append(
            CurrencyValue(
                currency=currency,
                conversions=conversions,
                total_value=money(value),
                average_value=_average(value, conversions),
            )
        )
    return found


def _average(value: Decimal, conversions: int) -> Decimal:
    return money(rounded(value / conversions)) if conversions else money(Decimal(0))


@dataclass
class FiguresOrCsv(Operation):
    """What OpenAPI says of the route: it answers in one of two media types."""

    def __post_init__(self) -> None:
        found = (self.responses or {}).get("200")
        if isinstance(found, OpenAPIResponse) and found.content:
            found.content["text/csv"] = OpenAPIMediaType(schema=Schema(type=OpenAPIType.STRING))


class LinkAnalytics(Controller):
    """Conversions of links."""

    path = "/api/v1/analytics/conversions"
    guards = (guard,)
    tags = ("Links",)

    @get(
        opt=needs(Scope.ANALYTICS_READ, current=True),
        responses={
            **REFUSALS,
            200: ResponseSpec(
                ConversionAnalytics, description="The figures, or one CSV row a conversion", generate_examples=False
            ),
        },
        operation_class=FiguresOrCsv,
        summary="Conversions, rate, value and time to convert of a link, by currency and day",
    )
    async def read(
        self,
        project: GivenProject,
        log: GivenLog,
        reader: GivenReader,
        link_id: FromQuery[str | None] = None,
        days: Annotated[int, QueryParameter(ge=1, le=3660)] = DAYS,
        format: FromQuery[Format] = Format.JSON,
    ) -> Response[Any]:
        asked_link = linked(log.view, project, link_id)
        today: date = resolve(Period.MONTH, None, None, project.time_zone, time.time_ns() // 1_000_000).last
        span = Span(today - timedelta(days=days - 1), today, project.time_zone)
        asked: Parameters = {
            "project_id": project.id,
            "link_id": asked_link,
            "from_ms": span.from_ms,
            "to_ms": span.to_ms,
        }
        if format is Format.CSV:
            chunks = reader.csv("link_export", asked)
            first = await anext(chunks, b"")  # what ClickHouse refuses is still answered as an error
            return Stream(
                _after(first, chunks),
                media_type="text/csv; charset=utf-8",
                headers={"Content-Disposition": 'attachment; filename="conversions.csv"'},
            )
        in_zone = {**asked, "time_zone": span.time_zone}
        brought, clicked = await asyncio.gather(
            reader.rows("link_conversions", Brought, in_zone), reader.rows("link_clicks", Clicked, in_zone)
        )
        return ExactResponse(figures(asked_link, span, brought, clicked))


async def _after(first: bytes, rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield first
    async for chunk in rest:
        yield chunk
