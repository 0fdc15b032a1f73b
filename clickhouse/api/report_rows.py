"""Rows of reports: what the queries return and what the answers show. Pure."""

from datetime import date, datetime
from decimal import Decimal
from typing import Annotated
from zoneinfo import ZoneInfo

from msgspec import UNSET, Meta, Struct, UnsetType

from clickhouse.api.answers import instant
from clickhouse.api.exact import count, money, ratio, total
from clickhouse.api.periods import Interval, Span
from schemas.control import Goal

Bucket = Annotated[
    str | UnsetType,
    Meta(description="Start of the bucket in the report's zone: a day, or for hours an instant with its offset"),
]


class Money(Struct, frozen=True):
    """A sum in one currency; null where the clients named none."""

    currency: str | None
    amount: Decimal


class Rate(Struct, frozen=True, kw_only=True):
    """``numerator`` over ``denominator``, by name; the value is null where the denominator is 0."""

    value: Decimal | None
    numerator: str
    denominator: str
    denominator_count: int


class Totals(Struct, frozen=True, kw_only=True):
    """Of all rows. A person counts once, however many rows they are in."""

    conversions: Decimal
    unique_converters: int
    revenue: list[Money]
    rate: Rate
    session_rate: Rate


class GoalRow(Struct, frozen=True, kw_only=True):
    """A goal, or a goal in one bucket."""

    goal_id: str
    name: str
    bucket: Bucket = UNSET
    conversions: int
    unique_converters: int
    gross: list[Money]
    refunded: list[Money]
    """Of these hits, whenever it was refunded."""
    revenue: list[Money]
    """What remains: gross less refunded."""
    rate: Rate


class SourceRow(Struct, frozen=True, kw_only=True):
    """A source, or a source in one bucket. ``conversions`` is a sum of shares."""

    source: str
    medium: str
    campaign: str
    channel: str
    bucket: Bucket = UNSET
    conversions: Decimal
    unique_converters: int
    revenue: list[Money]
    rate: Rate
    session_rate: Rate


class GoalHits(Struct, frozen=True):
    """A row of ``queries/goals_report.sql``."""

    total: bool
    goal_id: str
    bucket: str
    conversions: int
    unique_converters: int
    gross: dict[str, Decimal]
    refunded: dict[str, Decimal]


class Credited(Struct, frozen=True):
    """A row of ``queries/sources_report.sql``."""

    total: bool
    source: str
    medium: str
    campaign: str
    channel: str
    bucket: str
    conversions: Decimal
    unique_converters: int
    revenue: dict[str, Decimal]

    @property
    def place(self) -> tuple[str, str, str, str, str]:
        return self.source, self.medium, self.campaign, self.channel, self.bucket


class Visits(Struct, frozen=True):
    """A row of ``queries/visits.sql``."""

    total: bool
    source: str = ""
    medium: str = ""
    campaign: str = ""
    channel: str = ""
    bucket: str = ""
    visitors: int = 0
    sessions: int = 0

    @property
    def place(self) -> tuple[str, str, str, str, str]:
        return self.source, self.medium, self.campaign, self.channel, self.bucket


def goal_rows(
    goals: list[Goal], hits: list[GoalHits], visits: list[Visits], interval: Interval, span: Span
) -> tuple[list[GoalRow], Totals]:
    """One row a goal, also where nothing was hit; with an interval, one a goal and bucket that has hits."""
    names = {goal.id: goal for goal in goals}
    found = {(hit.goal_id, hit.bucket): hit for hit in hits if not hit.total}
    if interval is Interval.NONE:
        for goal in goals:
            found.setdefault((goal.id, ""), GoalHits(False, goal.id, "", 0, 0, {}, {}))
    seen = {visit.bucket: visit for visit in visits if not visit.total}
    rows, sums = [], []
    for (goal_id, bucket), hit in found.items():
        visit = seen.get(bucket, Visits(False))
        # Money without a currency of its own is in the goal's, as in the goal's stats.
        gross = _sum_by_currency([hit.gross], names[goal_id].currency)
        refunded = _sum_by_currency([hit.refunded], names[goal_id].currency)
        revenue = _less(gross, refunded)
        sums.append(revenue)
        rows.append(
            GoalRow(
                goal_id=goal_id,
                name=names[goal_id].name,
                bucket=_shown(bucket, interval, span),
                conversions=hit.conversions,
                unique_converters=hit.unique_converters,
                gross=_money(gross),
                refunded=_money(refunded),
                revenue=_money(revenue),
                rate=_visitor_rate(hit.unique_converters, visit),
            )
        )
    rows.sort(key=lambda row: (-row.conversions, row.name, row.goal_id, str(row.bucket)))
    whole = next((hit for hit in hits if hit.total), GoalHits(True, "", "", 0, 0, {}, {}))
    return rows, _totals(
        Decimal(whole.conversions), whole.unique_converters, _sum_by_currency(sums, None), _whole(visits)
    )


def source_rows(
    credited: list[Credited], visits: list[Visits], interval: Interval, span: Span
) -> tuple[list[SourceRow], Totals]:
    """One row a source that is credited or was visited from; with an interval, one a source and bucket."""
    found = {row.place: row for row in credited if not row.total}
    seen = {visit.place: visit for visit in visits if not visit.total}
    rows = []
    for place in found.keys() | seen.keys():
        credit = found.get(place) or _uncredited(place)
        visit = seen.get(place, Visits(False))
        rows.append(
            SourceRow(
                source=credit.source,
                medium=credit.medium,
                campaign=credit.campaign,
                channel=credit.channel,
                bucket=_shown(credit.bucket, interval, span),
                conversions=count(credit.conversions),
                unique_converters=credit.unique_converters,
                revenue=_money(_sum_by_currency([credit.revenue], None)),
                rate=_visitor_rate(credit.unique_converters, visit),
                session_rate=_session_rate(credit.conversions, visit),
            )
        )
    rows.sort(
        key=lambda row: (
            -row.conversions,
            -row.session_rate.denominator_count,
            (row.source, row.medium, row.campaign, row.channel),
            str(row.bucket),
        )
    )
    whole = next((row for row in credited if row.total), Credited(True, "", "", "", "", "", Decimal(0), 0, {}))
    return rows, _totals(
        whole.conversions, whole.unique_converters, _sum_by_currency([whole.revenue], None), _whole(visits)
    )


def _uncredited(place: tuple[str, str, str, str, str]) -> Credited:
    source, medium, campaign, channel, bucket = place
    return Credited(False, source, medium, campaign, channel, bucket, Decimal(0), 0, {})


def _whole(visits: list[Visits]) -> Visits:
    return next((visit for visit in visits if visit.total), Visits(True))


def _totals(conversions: Decimal, converters: int, revenue: dict[str, Decimal], visit: Visits) -> Totals:
    return Totals(
        conversions=count(conversions),
        unique_converters=converters,
        revenue=_money(revenue),
        rate=_visitor_rate(converters, visit),
        session_rate=_session_rate(conversions, visit),
    )


def _sum_by_currency(sums: list[dict[str, Decimal]], default: str | None) -> dict[str, Decimal]:
    parts: dict[str, list[Decimal]] = {}
    for one in sums:
        for currency, amount in one.items():
            parts.setdefault(currency or default or "", []).append(amount)
    return {currency: total(amounts) for currency, amounts in sorted(parts.items())}


def _less(gross: dict[str, Decimal], refunded: dict[str, Decimal]) -> dict[str, Decimal]:
    """What remains; a currency that was refunded was sold."""
    return {currency: total([amount, -refunded.get(currency, Decimal(0))]) for currency, amount in gross.items()}


def _money(sums: dict[str, Decimal]) -> list[Money]:
    return [Money(currency or None, money(amount)) for currency, amount in sums.items() if amount]


def _visitor_rate(converters: int, visit: Visits) -> Rate:
    return Rate(
        value=ratio(Decimal(converters), visit.visitors),
        numerator="unique_converters",
        denominator="visitors",
        denominator_count=visit.visitors,
    )


def _session_rate(conversions: Decimal, visit: Visits) -> Rate:
    return Rate(
        value=ratio(conversions, visit.sessions),
        numerator="conversions",
        denominator="sessions",
        denominator_count=visit.sessions,
    )


def _shown(bucket: str, interval: Interval, span: Span) -> str | UnsetType:
    match interval:
        case Interval.NONE:
            return UNSET
        case Interval.HOUR:
            local: datetime = instant(int(bucket)).astimezone(ZoneInfo(span.time_zone))
            return local.isoformat(timespec="seconds")
        case _:
            return date.fromisoformat(bucket).isoformat()
