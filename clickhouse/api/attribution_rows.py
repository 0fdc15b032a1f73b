"""Rows of the attribution report: what the queries return and what the answer shows. Pure."""

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Self

from msgspec import UNSET, Struct, UnsetType

from clickhouse.api.answers import instant
from clickhouse.api.exact import count, money, ratio, total
from clickhouse.api.report_rows import Rate


class Revenue(Struct, frozen=True, kw_only=True):
    """A sum in one currency; null where the clients named none. ``net`` = ``gross`` - ``refunded``."""

    currency: str | None
    gross: Decimal
    refunded: Decimal
    net: Decimal


class Figures(Struct, frozen=True, kw_only=True):
    """Conversions (sum of shares) and what they brought."""

    conversions: Decimal
    revenue: list[Revenue]


class Attributed(Figures, frozen=True, kw_only=True):
    """Of the first column; with two of them also the other's, and what it has more."""

    rate_per_visitor: Rate | None
    rate_per_session: Rate | None
    compared: Figures | UnsetType = UNSET
    difference: Figures | UnsetType = UNSET


class AttributionRow(Attributed, frozen=True, kw_only=True):
    """A value of the dimension; empty where the touch has none. ``name``: of a link, an e-mail campaign or a flow."""

    value: str
    name: str | None


class Change(Struct, frozen=True, kw_only=True):
    """What one run booked for one conversion, signed, and why."""

    run: int
    committed_at: datetime
    cause: str
    conversion_id: str
    value: str
    entry: str
    currency: str | None
    conversions: Decimal
    net: Decimal


class Changes(Struct, frozen=True, kw_only=True):
    """All entries that make the difference, earliest first; ``left_out``: how many more there are."""

    entries: list[Change]
    left_out: int


class CreditedRow(Struct, frozen=True):
    """A row of ``queries/attribution_report.sql``."""

    model: str
    value: str
    currency: str
    conversions: Decimal
    net: Decimal
    refunded: Decimal


class VisitRow(Struct, frozen=True):
    """A row of ``queries/attribution_visits.sql``."""

    total: bool
    value: str = ""
    visitors: int = 0
    sessions: int = 0


class ChangeRow(Struct, frozen=True):
    """A row of ``queries/attribution_changes.sql``."""

    run: int
    committed_ms: int
    cause: str
    conversion_id: str
    value: str
    entry: str
    currency: str
    conversions: Decimal
    net: Decimal
    found: int


class Sums(Struct, frozen=True):
    """Exact sums before they are shown: conversions, and per currency what remains and what was refunded."""

    conversions: Decimal
    net: dict[str, Decimal]
    refunded: dict[str, Decimal]

    @classmethod
    def of(cls, parts: Iterable["Sums"]) -> Self:
        known = list(parts)
        return cls(
            total(part.conversions for part in known),
            _merged(part.net for part in known),
            _merged(part.refunded for part in known),
        )

    @classmethod
    def row(cls, row: CreditedRow) -> Self:
        return cls(row.conversions, {row.currency: row.net}, {row.currency: row.refunded})

    def minus(self, other: "Sums") -> "Sums":
        return Sums.of([self, other.negated()])

    def negated(self) -> "Sums":
        return Sums(self.conversions.copy_negate(), _negated(self.net), _negated(self.refunded))

    def shown(self) -> Figures:
        return Figures(conversions=count(self.conversions), revenue=revenue(self.net, self.refunded))


Column = Mapping[str, Sums]
"""By value."""

NOTHING = Sums(Decimal(0), {}, {})


def column(rows: Iterable[CreditedRow], model: str) -> Column:
    """What ``model`` credits."""
    parts: dict[str, list[Sums]] = {}
    for row in rows:
        if row.model == model:
            parts.setdefault(row.value, []).append(Sums.row(row))
    return {value: Sums.of(found) for value, found in parts.items()}


def revenue(net: Mapping[str, Decimal], refunded: Mapping[str, Decimal]) -> list[Revenue]:
    """By currency, of those with any money."""
    shown = []
    for currency in sorted(net.keys() | refunded.keys()):
        left, back = net.get(currency, Decimal(0)), refunded.get(currency, Decimal(0))
        if left or back:
            shown.append(
                Revenue(
                    currency=currency or None,
                    gross=money(total([left, back])),
                    refunded=money(back),
                    net=money(left),
                )
            )
    return shown


def rows(
    columns: list[Column], visits: list[VisitRow] | None, name_of: Callable[[str], str | None]
) -> tuple[list[AttributionRow], Attributed]:
    """One row a value that is credited in a column or was visited by, most conversions first; and all together.

    ``visits`` is None where there are no denominators.
    """
    seen = {visit.value: visit for visit in visits or () if not visit.total}
    whole = next((visit for visit in visits or () if visit.total), VisitRow(True))
    values = set(seen).union(*columns)
    found = []
    for value in values:
        figures = [column.get(value, NOTHING) for column in columns]
        visit = seen.get(value, VisitRow(False)) if visits is not None else None
        shown = _attributed(figures, visit)
        fields = {field: getattr(shown, field) for field in Attributed.__struct_fields__}
        found.append(AttributionRow(value=value, name=name_of(value), **fields))
    found.sort(
        key=lambda row: (
            -row.conversions,
            -(row.compared.conversions if row.compared is not UNSET else 0),
            -(row.rate_per_session.denominator_count if row.rate_per_session else 0),
            row.value,
        )
    )
    sums = [Sums.of(column.values()) for column in columns]
    return found, _attributed(sums, whole if visits is not None else None)


def changes(found: list[ChangeRow], sign: int) -> Changes:
    """``sign``: -1 where the second column is the earlier one."""

    def signed(number: Decimal) -> Decimal:
        return number.copy_negate() if sign < 0 else number

    return Changes(
        entries=[
            Change(
                run=row.run,
                committed_at=instant(row.committed_ms),
                cause=row.cause,
                conversion_id=row.conversion_id,
                value=row.value,
                entry=row.entry,
                currency=row.currency or None,
                conversions=count(signed(row.conversions)),
                net=money(signed(row.net)),
            )
            for row in found
        ],
        left_out=found[0].found - len(found) if found else 0,
    )


def _attributed(figures: list[Sums], visit: VisitRow | None) -> Attributed:
    first = figures[0].shown()
    second = figures[1] if len(figures) > 1 else None
    return Attributed(
        conversions=first.conversions,
        revenue=first.revenue,
        rate_per_visitor=_rate(figures[0], "visitors", visit.visitors) if visit else None,
        rate_per_session=_rate(figures[0], "sessions", visit.sessions) if visit else None,
        compared=second.shown() if second else UNSET,
        difference=second.minus(figures[0]).shown() if second else UNSET,
    )


def _rate(figures: Sums, denominator: str, number: int) -> Rate:
    return Rate(
        value=ratio(figures.conversions, number),
        numerator="conversions",
        denominator=denominator,
        denominator_count=number,
    )


def _merged(sums: Iterable[Mapping[str, Decimal]]) -> dict[str, Decimal]:
    parts: dict[str, list[Decimal]] = {}
    for one in sums:
        for currency, amount in one.items():
            parts.setdefault(currency, []).append(amount)
    return {currency: total(amounts) for currency, amounts in parts.items()}


def _negated(sums: Mapping[str, Decimal]) -> dict[str, Decimal]:
    return {currency: amount.copy_negate() for currency, amount in sums.items()}
